//! What `notrack` takes out of tracking: asked of the kernel, packet by packet, behind the place where tracking begins.

use std::net::{IpAddr, Ipv4Addr};

use super::namespace::Namespace;
use super::packet::{Packet, Payload};
use super::program::on_each_backend;

const CARDS: &str = "ens33 203.0.113.10/24\neth1 192.168.2.1/24";

const POLICY: &str = "\
interface wan = ens33
interface lan = eth1
notrack { udp 123, ping } from 192.168.2.0/24 to 198.51.100.0/24
notrack udp 514 from lan to host at 192.168.2.1
notrack udp 53 from host to 198.51.100.9 via wan
allow { udp 123, ping } from 192.168.2.0/24 to 198.51.100.0/24
allow ssh from 192.168.2.0/24 to host
";

/// Counts what is not tracked, behind tracking (which has priority -200).
const WATCH: &str = "table inet watch { counter untracked { }; chain arrival { type filter hook prerouting priority -190; \
                     ct state untracked counter name untracked; }; }";

const INNER: Ipv4Addr = Ipv4Addr::new(192, 168, 2, 5);
const ROUTER_INSIDE: Ipv4Addr = Ipv4Addr::new(192, 168, 2, 1);
const ROUTER_OUTSIDE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
const CLOCK: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);
const OTHER_CLOCK: Ipv4Addr = Ipv4Addr::new(198, 51, 101, 7);
const NAMES: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 9);

/// Where a packet arrives: the place of its card in the plan.
const WAN: usize = 0;
const LAN: usize = 1;

fn udp((source, from): (Ipv4Addr, u16), (destination, to): (Ipv4Addr, u16)) -> Packet {
    let payload = Payload::Udp { source: from, destination: to };
    Packet { source: IpAddr::V4(source), destination: IpAddr::V4(destination), payload }
}

fn icmp(source: Ipv4Addr, destination: Ipv4Addr, kind: u8) -> Packet {
    let payload = Payload::Icmp { kind, code: 0, id: 7 };
    Packet { source: IpAddr::V4(source), destination: IpAddr::V4(destination), payload }
}

/// Packets, where they arrive, and whether the policy leaves them out.
fn cases() -> Vec<(usize, Packet, bool)> {
    vec![
        (LAN, udp((INNER, 40_000), (CLOCK, 123)), true),
        (LAN, udp((INNER, 40_000), (CLOCK, 124)), false),
        (LAN, udp((INNER, 40_000), (OTHER_CLOCK, 123)), false),
        (WAN, udp((CLOCK, 123), (INNER, 40_000)), true),
        // What answers the host, and who asks by that port.
        (WAN, udp((CLOCK, 123), (ROUTER_OUTSIDE, 40_000)), false),
        (WAN, udp((CLOCK, 40_001), (INNER, 123)), false),
        (LAN, icmp(INNER, CLOCK, 8), true),
        (WAN, icmp(CLOCK, INNER, 0), true),
        (WAN, icmp(CLOCK, ROUTER_OUTSIDE, 0), false),
        (LAN, icmp(INNER, CLOCK, 0), false),
        // To the address that is named, not to the host's others.
        (LAN, udp((INNER, 40_000), (ROUTER_INSIDE, 514)), true),
        (LAN, udp((INNER, 40_000), (ROUTER_OUTSIDE, 514)), false),
        (WAN, udp((CLOCK, 40_000), (ROUTER_INSIDE, 514)), false),
        // Answers to the host, by the card that they come from; those to others are theirs.
        (WAN, udp((NAMES, 53), (ROUTER_OUTSIDE, 40_002)), true),
        (LAN, udp((NAMES, 53), (ROUTER_OUTSIDE, 40_002)), false),
        (WAN, udp((NAMES, 53), (INNER, 40_002)), false),
    ]
}

fn untracked(namespace: &Namespace) -> u64 {
    let listed = namespace.run("nft", &["list", "counter", "inet", "watch", "untracked"], "").expect("it is there");
    let words: Vec<&str> = listed.split_whitespace().collect();
    let at = words.iter().position(|word| *word == "packets").expect("a number of packets");
    words.get(at + 1).and_then(|number| number.parse().ok()).expect("a number")
}

#[test]
fn what_is_not_tracked_is_what_the_policy_says() {
    on_each_backend("untracked", POLICY, CARDS, |namespace, backend| {
        namespace.run("nft", &["-f", "-"], WATCH).expect("the counter loads");
        for (id, (card, packet, expected)) in (1..).zip(cases()) {
            let before = untracked(namespace);
            namespace.taps[card].write(&packet.bytes(id, 64), None).expect("a card that is up takes a packet");
            let found = untracked(namespace) > before;
            assert_eq!(found, expected, "{backend:?}: {packet} on card {card}: not tracked");
        }
    });
}
