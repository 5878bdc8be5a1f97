//! A policy that asks for no connections: the kernel passes what its lines say, packet by packet, and tracks nothing.

use std::net::{IpAddr, Ipv4Addr};

use super::namespace::Namespace;
use super::packet::{ACK, Packet, Payload, SYN};
use super::program::on_each_backend;

const CARDS: &str = "ens33 203.0.113.10/24\neth1 192.168.2.1/24";

const ASKS: &str = "table inet asks { chain f { type filter hook forward priority 0; ct state new accept; }; }";

const POLICY: &str = "\
use prelude except { established, invalid }
interface lan = eth1

to lan {
    allow tcp 443 from 10.0.0.0/8
    allow { icmp destination-unreachable, icmp time-exceeded } from 10.0.0.0/8
}
from lan {
    allow tcp 1024-65535 to 10.0.0.0/8 source port 443
    allow { icmp destination-unreachable, icmp time-exceeded } to 10.0.0.0/8
}
";

const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 1, 1, 1);
const STRANGER: Ipv4Addr = Ipv4Addr::new(11, 1, 1, 1);
const SERVER: Ipv4Addr = Ipv4Addr::new(192, 168, 2, 9);

/// Where a packet arrives, by the place of the card in the plan; it leaves by the other.
const WAN: usize = 0;
const LAN: usize = 1;

fn packet(source: Ipv4Addr, destination: Ipv4Addr, payload: Payload) -> Packet {
    Packet { source: IpAddr::V4(source), destination: IpAddr::V4(destination), payload }
}

fn tcp((source, from): (Ipv4Addr, u16), (destination, to): (Ipv4Addr, u16), flags: u8) -> Packet {
    packet(source, destination, Payload::Tcp { source: from, destination: to, flags })
}

/// Packets, where they arrive, and whether they pass.
fn cases() -> Vec<(usize, Packet, bool)> {
    vec![
        (WAN, tcp((CLIENT, 40_000), (SERVER, 443), SYN), true),
        (WAN, tcp((CLIENT, 40_000), (SERVER, 444), SYN), false),
        (WAN, tcp((STRANGER, 40_000), (SERVER, 443), SYN), false),
        (LAN, tcp((SERVER, 443), (CLIENT, 40_000), SYN | ACK), true),
        // Of a connection that nobody opened: nothing is known of connections.
        (WAN, tcp((CLIENT, 40_001), (SERVER, 443), ACK), true),
        (LAN, tcp((SERVER, 443), (CLIENT, 40_002), ACK), true),
        // The other way round than the lines say.
        (LAN, tcp((SERVER, 444), (CLIENT, 40_000), SYN | ACK), false),
        (LAN, tcp((SERVER, 443), (CLIENT, 1_023), SYN | ACK), false),
        (LAN, tcp((SERVER, 443), (STRANGER, 40_000), SYN | ACK), false),
        (LAN, tcp((SERVER, 40_000), (CLIENT, 443), SYN), false),
        (WAN, packet(CLIENT, SERVER, Payload::Icmp { kind: 3, code: 4, id: 0 }), true),
        (LAN, packet(SERVER, CLIENT, Payload::Icmp { kind: 11, code: 0, id: 0 }), true),
        (WAN, packet(CLIENT, SERVER, Payload::Icmp { kind: 8, code: 0, id: 1 }), false),
    ]
}

/// Connections that the kernel knows of in this namespace.
fn tracked(namespace: &Namespace) -> u64 {
    let count = namespace.run("cat", &["/proc/sys/net/netfilter/nf_conntrack_count"], "").expect("the kernel counts");
    count.trim().parse().expect("a number")
}

/// Whether a packet to this address comes out. The kernel says a word of its own now and then.
fn comes_out(namespace: &mut Namespace, card: usize, packet: &Packet) -> bool {
    let mut buffer = [0; 2048];
    let IpAddr::V4(destination) = packet.destination else { return false };
    while let Some(found) = namespace.taps[card].read(&mut buffer) {
        if found.get(16..20) == Some(&destination.octets()) {
            return true;
        }
    }
    false
}

#[test]
fn without_connections_the_kernel_passes_what_the_lines_say() {
    on_each_backend("stateless", POLICY, CARDS, |namespace, backend| {
        for (id, (card, packet, expected)) in (1..).zip(cases()) {
            namespace.taps[card].write(&packet.bytes(id, 64), None).expect("a card that is up takes a packet");
            let passed = comes_out(namespace, WAN + LAN - card, &packet);
            assert_eq!(passed, expected, "{backend:?}: {packet} on card {card}: passes");
        }
        assert_eq!(tracked(namespace), 0, "{backend:?}: connections were tracked");
        // One rule that asks for them: else a count that is always 0 would say nothing.
        namespace.run("nft", &["-f", "-"], ASKS).expect("the rule loads");
        let (card, packet, _) = cases().swap_remove(0);
        namespace.taps[card].write(&packet.bytes(1_000, 64), None).expect("a card that is up takes a packet");
        assert_eq!(tracked(namespace), 1, "{backend:?}: connections that are asked for");
    });
}
