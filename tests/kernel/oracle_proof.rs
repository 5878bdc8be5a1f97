//! The oracle itself, proven with rules written by hand, on every program that loads rules.

use std::net::IpAddr;

use super::namespace::{HostPlan, Namespace, inside};
use super::oracle::{Entry, Oracle, Outcome, Probe};
use super::packet::{ACK, Packet, Payload, SYN};

fn host() -> HostPlan {
    HostPlan::parse(
        "ens33 203.0.113.10/24 2001:db8::10/64
         docker0 172.17.0.1/16 fd00:17::1/64
         eth1 192.168.2.1/24 fd00:2::1/64",
    )
}

fn address(text: &str) -> IpAddr {
    text.parse().expect(text)
}

fn tcp(entry: Entry, source: &str, destination: &str, port: u16) -> Probe {
    let payload = Payload::Tcp { source: 40_000, destination: port, flags: SYN };
    Probe { entry, packet: Packet { source: address(source), destination: address(destination), payload }, mac: None }
}

fn left(card: usize, destination: &str, port: u16) -> Outcome {
    Outcome::Left { card, destination: address(destination), port: Some(port) }
}

fn load_iptables(namespace: &Namespace, variant: &str, v4: &str, v6: &str) {
    namespace.run(&format!("iptables-{variant}-restore"), &["-w"], v4).expect("IPv4 rules load");
    namespace.run(&format!("ip6tables-{variant}-restore"), &["-w"], v6).expect("IPv6 rules load");
}

#[test]
fn with_no_rules_everything_passes() {
    inside("with_no_rules_everything_passes", &host(), |namespace| {
        let mut oracle = Oracle::new(namespace);
        let probes = [
            tcp(Entry::Card(0), "203.0.113.1", "203.0.113.10", 22),
            tcp(Entry::Card(0), "203.0.113.1", "172.17.0.2", 80),
            tcp(Entry::Card(1), "172.17.0.2", "8.8.8.8", 53),
            tcp(Entry::Host, "203.0.113.10", "192.168.2.9", 25),
            tcp(Entry::Card(0), "2001:db8::1", "2001:db8::10", 22),
            tcp(Entry::Card(0), "2001:db8::1", "fd00:17::2", 80),
            tcp(Entry::Host, "2001:db8::10", "2001:db8::1", 25),
        ];
        assert_eq!(
            oracle.judge(&probes),
            [
                Outcome::Delivered,
                left(1, "172.17.0.2", 80),
                left(0, "8.8.8.8", 53),
                left(2, "192.168.2.9", 25),
                Outcome::Delivered,
                left(1, "fd00:17::2", 80),
                left(0, "2001:db8::1", 25),
            ]
        );
    });
}

fn drops_and_rejects_are_told_apart(name: &str, load: impl Fn(&Namespace) + Sync) {
    inside(name, &host(), |namespace| {
        load(namespace);
        let mut oracle = Oracle::new(namespace);
        let mut probes = Vec::new();
        let mut expected = Vec::new();
        for (peer, own, container, remote) in [
            ("203.0.113.1", "203.0.113.10", "172.17.0.2", "203.0.113.7"),
            ("2001:db8::1", "2001:db8::10", "fd00:17::2", "2001:db8::7"),
        ] {
            for (port, outcome) in
                [(1, None), (2, Some(Outcome::Rejected)), (3, Some(Outcome::Rejected)), (4, Some(Outcome::Dropped))]
            {
                probes.push(tcp(Entry::Card(0), peer, own, port));
                expected.push(outcome.unwrap_or(Outcome::Delivered));
                probes.push(tcp(Entry::Card(0), peer, container, port));
                expected.push(outcome.unwrap_or(left(1, container, port)));
                probes.push(tcp(Entry::Host, own, remote, port));
                expected.push(outcome.unwrap_or(left(0, remote, port)));
            }
        }
        assert_eq!(oracle.judge(&probes), expected);
    });
}

const SAVE: &str = "*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:OURS - [0:0]
-A INPUT -i lo -j ACCEPT
-A OUTPUT -o lo -j ACCEPT
-A INPUT -j OURS
-A FORWARD -j OURS
-A OUTPUT -j OURS
-A OURS -p tcp --tcp-flags RST RST -j ACCEPT
-A OURS -p tcp --dport 1 -j ACCEPT
-A OURS -p tcp --dport 2 -j REJECT
-A OURS -p tcp --dport 3 -j REJECT --reject-with tcp-reset
-A OURS -p tcp -j DROP
COMMIT
";

#[test]
fn iptables_nft_drops_and_rejects_are_told_apart() {
    drops_and_rejects_are_told_apart("iptables_nft_drops_and_rejects_are_told_apart", |namespace| {
        load_iptables(namespace, "nft", SAVE, SAVE);
    });
}

#[test]
fn iptables_legacy_drops_and_rejects_are_told_apart() {
    drops_and_rejects_are_told_apart("iptables_legacy_drops_and_rejects_are_told_apart", |namespace| {
        load_iptables(namespace, "legacy", SAVE, SAVE);
    });
}

#[test]
fn nft_drops_and_rejects_are_told_apart() {
    drops_and_rejects_are_told_apart("nft_drops_and_rejects_are_told_apart", |namespace| {
        let script = "table inet t {
            chain ours {
                iifname lo accept
                oifname lo accept
                tcp flags rst accept
                tcp dport 1 accept
                tcp dport 2 reject
                tcp dport 3 reject with tcp reset
                meta l4proto tcp drop
            }
            chain i { type filter hook input priority 0; jump ours; }
            chain f { type filter hook forward priority 0; jump ours; }
            chain o { type filter hook output priority 0; jump ours; }
        }";
        namespace.run("nft", &["-f", "-"], script).expect("the rules load");
    });
}

#[test]
fn what_nat_does_is_seen_and_replies_find_back() {
    inside("what_nat_does_is_seen_and_replies_find_back", &host(), |namespace| {
        let rules = "*nat
-A PREROUTING -d 203.0.113.10 -p tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
COMMIT
*filter
:FORWARD DROP [0:0]
:INPUT DROP [0:0]
-A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
-A FORWARD -m conntrack --ctstate INVALID -j REJECT
-A FORWARD -i ens33 -o docker0 -m conntrack --ctstate DNAT --ctorigdstport 8080 --ctdir ORIGINAL -j ACCEPT
COMMIT
";
        load_iptables(namespace, "nft", rules, "*filter\nCOMMIT\n");
        let mut oracle = Oracle::new(namespace);
        let first = tcp(Entry::Card(0), "203.0.113.1", "203.0.113.10", 8080);
        let direct = tcp(Entry::Card(0), "203.0.113.1", "172.17.0.2", 80);
        assert_eq!(oracle.judge(&[first, direct]), [left(1, "172.17.0.2", 80), Outcome::Dropped]);

        let (opened, rest) = oracle.converse(&first, |_, _| {
            let seen = Packet {
                destination: address("172.17.0.2"),
                ..tcp(Entry::Host, "203.0.113.1", "203.0.113.1", 80).packet
            };
            let stranger = Packet { source: address("172.17.0.3"), ..seen.reply() };
            [seen.reply(), stranger].map(|packet| Probe { entry: Entry::Card(1), packet, mac: None }).to_vec()
        });
        assert_eq!(opened, left(1, "172.17.0.2", 80));
        // An answer that belongs to no connection cannot open one: it is invalid, which these rules refuse.
        assert_eq!(rest, [left(0, "203.0.113.1", 40_000), Outcome::Rejected]);

        // The host opens; the answer comes in where everything new is dropped.
        let (opened, rest) = oracle.converse(&tcp(Entry::Host, "203.0.113.10", "203.0.113.1", 25), |_, _| {
            let packet = tcp(Entry::Host, "203.0.113.10", "203.0.113.1", 25).packet.reply();
            vec![
                Probe { entry: Entry::Card(0), packet, mac: None },
                tcp(Entry::Card(0), "203.0.113.1", "203.0.113.10", 25),
            ]
        });
        assert_eq!(opened, left(0, "203.0.113.1", 25));
        assert_eq!(rest, [Outcome::Delivered, Outcome::Dropped]);
    });
}

#[test]
fn states_macs_and_protocols_reach_the_rules() {
    inside("states_macs_and_protocols_reach_the_rules", &host(), |namespace| {
        let script = "table inet t { chain i { type filter hook input priority 0;
            ct state invalid reject
            ether saddr 02:00:00:00:00:99 drop
            meta l4proto sctp sctp dport 5 drop
            udp dport 5 drop
            ip protocol gre drop
            icmp type timestamp-request drop
            icmpv6 type 140 drop
            ip saddr 10.0.0.0/8 drop
        }
        }";
        namespace.run("nft", &["-f", "-"], script).expect("the rules load");
        let mut oracle = Oracle::new(namespace);
        let probe = |source: &str, destination: &str, payload| Probe {
            entry: Entry::Card(0),
            packet: Packet { source: address(source), destination: address(destination), payload },
            mac: None,
        };
        let (peer, own, peer6, own6) = ("203.0.113.1", "203.0.113.10", "2001:db8::1", "2001:db8::10");
        let other_mac = Probe { mac: Some([2, 0, 0, 0, 0, 0x99]), ..tcp(Entry::Card(0), peer, own, 1) };
        let probes = [
            (tcp(Entry::Card(0), peer, own, 1), Outcome::Delivered),
            (probe(peer, own, Payload::Tcp { source: 9, destination: 9, flags: ACK }), Outcome::Rejected),
            (probe(peer6, own6, Payload::Tcp { source: 9, destination: 9, flags: ACK }), Outcome::Rejected),
            (probe(peer, own, Payload::Icmp { kind: 0, code: 0, id: 3 }), Outcome::Rejected),
            (other_mac, Outcome::Dropped),
            (probe(peer, own, Payload::Sctp { source: 9, destination: 5 }), Outcome::Dropped),
            (probe(peer6, own6, Payload::Sctp { source: 9, destination: 6 }), Outcome::Delivered),
            (probe(peer6, own6, Payload::Udp { source: 9, destination: 5 }), Outcome::Dropped),
            (probe(peer6, own6, Payload::Udp { source: 9, destination: 6 }), Outcome::Delivered),
            (probe(peer, own, Payload::Other(47)), Outcome::Dropped),
            (probe(peer, own, Payload::Other(50)), Outcome::Delivered),
            (probe(peer, own, Payload::Icmp { kind: 8, code: 0, id: 3 }), Outcome::Delivered),
            (probe(peer, own, Payload::Icmp { kind: 13, code: 0, id: 3 }), Outcome::Dropped),
            (probe(peer6, own6, Payload::Icmp { kind: 128, code: 0, id: 3 }), Outcome::Delivered),
            (probe("10.1.1.1", own, Payload::Udp { source: 9, destination: 6 }), Outcome::Dropped),
        ];
        for (probe, expected) in probes {
            assert_eq!(oracle.judge(&[probe]), [expected], "{}", probe.packet);
        }
    });
}
