//! What the prelude promises between all pairs of places, whatever a policy closes: neighbour discovery, without which there is no IPv6
//! once the caches are empty, and what routers and DHCP servers tell guests.
//!
//! Those of one class have ports of one bridge, and one more port leads outside. Frames between ports pass ip6tables here.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

use super::bridged::{know_neighbour, make_bridge};
use super::emitted::{Backend, build, load};
use super::namespace::{HostPlan, Namespace, inside};
use super::oracle::{Entry, Oracle, Outcome, Probe};
use super::packet::{Header, Packet, Payload, SYN};

/// Those on a bridge, and policies that close what crosses it.
struct Neighbours {
    /// What they are, in the policy's word.
    class: &'static str,
    bridge: &'static str,
    /// The ports of the bridge: outside, and two of the class.
    ports: [&'static str; 3],
    /// What stands before the rules.
    declared: &'static str,
    policies: &'static [&'static str],
    /// Whether frames are told apart by their ports, for which nft's bridge table needs connection tracking on bridges.
    by_port: bool,
}

const NEIGHBOURS: &[Neighbours] = &[
    Neighbours {
        class: "container",
        bridge: "br-app",
        ports: ["eno1", "vethc1", "vethc2"],
        declared: "use docker\nfact sysctls.net.bridge.bridge-nf-call-iptables = 1\n",
        policies: &[
            "allow tcp 80 from container to container direct\n",
            "deny tcp 81 from any to container\ndefault deny from any to container\n",
            "default deny from container to any\n",
            "deny from container to container direct\n",
        ],
        by_port: false,
    },
    Neighbours {
        class: "instance",
        bridge: "lxdbr0",
        ports: ["eno1", "vethi1", "vethi2"],
        declared: "use lxd\nfact sysctls.net.bridge.bridge-nf-call-iptables = 1\n",
        policies: &[
            "allow tcp 80 from instance to instance\n",
            "default deny from any to instance\n",
            "default deny from instance to any\n",
        ],
        by_port: false,
    },
    Neighbours {
        class: "guest",
        bridge: "virbr0",
        ports: ["eno1", "vnet1", "vnet2"],
        declared: "use libvirt\nfact sysctls.net.bridge.bridge-nf-call-iptables = 1\n",
        policies: &["allow tcp 80 from guest to guest\n", "default deny from any to guest\n"],
        by_port: false,
    },
    Neighbours {
        class: "guest with a block",
        bridge: "vmbr0",
        ports: ["eno1", "tap1i0", "tap2i0"],
        declared: "use tap\nfact sysctls.net.bridge.bridge-nf-call-iptables = 1\n",
        policies: &[
            "guest vm1 on tap1i0 {\n    in allow tcp 80\n    out allow tcp 80\n}\nguest vm2 on tap2i0 {\n    in allow tcp 80\n}\n",
        ],
        by_port: true,
    },
];

/// The bridge's own addresses, and those behind its ports.
const HOST: [&str; 2] = ["192.168.100.2", "fd64::2"];
const BEHIND: [[&str; 2]; 3] =
    [["192.168.100.55", "fd64::55"], ["192.168.100.110", "fd64::110"], ["192.168.100.111", "fd64::111"]];
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;

fn mac(port: usize) -> [u8; 6] {
    [2, 0, 0, 0, 0, 0x50 + u8::try_from(port).expect("few ports")]
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn discovery(source: &str, destination: IpAddr, kind: u8) -> Packet {
    Packet { source: address(source), destination, payload: Payload::Icmp { kind, code: 0, id: 0 } }
}

/// Where a solicitation for an address goes that no one has in the cache (RFC 4291, section 2.7.1), and its Ethernet address.
fn solicited_node(own: &str) -> (IpAddr, [u8; 6]) {
    let IpAddr::V6(own) = address(own) else { panic!("{own}: no IPv6") };
    let [.., a, b, c] = own.octets();
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), u16::from_be_bytes([b, c]));
    (group.into(), [0x33, 0x33, 0xff, a, b, c])
}

/// The ports by which a frame for many leaves.
fn flooded(namespace: &mut Namespace, from: usize, packet: &Packet, target: [u8; 6]) -> BTreeSet<usize> {
    const NUMBER: u16 = 60_002;
    let bytes = packet.bytes(NUMBER, 255);
    namespace.taps[from].write_to(&bytes, Some(mac(from)), target).expect("a port that is up takes a frame");
    let mut buffer = [0u8; 2048];
    let mut left = BTreeSet::new();
    for port in 0..namespace.taps.len() {
        while let Some(bytes) = namespace.taps[port].read(&mut buffer) {
            if Header::read(bytes).is_some_and(|header| header.id == NUMBER) {
                left.insert(port);
            }
        }
    }
    left
}

/// What of neighbour discovery is lost, and how much was sent.
fn lost(namespace: &mut Namespace, neighbours: &Neighbours) -> (usize, Vec<String>) {
    let (mut sent, mut faults) = (0, Vec::new());
    let mut fault = |what: String| faults.push(what);
    let ports = 0..neighbours.ports.len();
    for (from, [_, own]) in ports.clone().zip(BEHIND) {
        // With an empty cache everyone on the link is asked.
        for (to, [_, target]) in ports.clone().zip(BEHIND).filter(|(to, _)| *to != from) {
            let (group, ethernet) = solicited_node(target);
            let left = flooded(namespace, from, &discovery(own, group, SOLICITATION), ethernet);
            sent += 1;
            if !left.contains(&to) {
                let [from, to] = [from, to].map(|port| neighbours.ports[port]);
                fault(format!("{from}: a solicitation for {target} does not reach {to}"));
            }
        }
    }
    let mut oracle = Oracle::new(namespace);
    for kind in [SOLICITATION, ADVERTISEMENT] {
        for (from, [_, own]) in ports.clone().zip(BEHIND) {
            for (to, [_, target]) in ports.clone().zip(BEHIND) {
                let packet = discovery(own, address(target), kind);
                let probe = Probe { entry: Entry::Card(from), packet, mac: Some(mac(from)) };
                let outcome = if from == to { continue } else { oracle.judge(&[probe])[0] };
                sent += 1;
                if !matches!(outcome, Outcome::Left { card, .. } if card == to) {
                    fault(format!("{packet} from {}: {outcome:?}", neighbours.ports[from]));
                }
            }
            let to_host = discovery(own, address(HOST[1]), kind);
            let to_host = Probe { entry: Entry::Card(from), packet: to_host, mac: Some(mac(from)) };
            let from_host = Probe { entry: Entry::Host, packet: discovery(HOST[1], address(own), kind), mac: None };
            for probe in [to_host, from_host] {
                let outcome = oracle.judge(&[probe])[0];
                sent += 1;
                if !outcome.passed() {
                    fault(format!("{} by {:?}: {outcome:?}", probe.packet, probe.entry));
                }
            }
        }
    }
    (sent, faults)
}

/// How many of the connections between those of the class are stopped: a policy that closes nothing would show nothing.
fn stopped(namespace: &mut Namespace) -> usize {
    let mut oracle = Oracle::new(namespace);
    let payload = Payload::Tcp { source: 40_000, destination: 81, flags: SYN };
    let pairs = [(1, 2), (2, 1), (0, 1), (1, 0)];
    let probes = pairs.map(|(from, to)| Probe {
        entry: Entry::Card(from),
        packet: Packet { source: address(BEHIND[from][1]), destination: address(BEHIND[to][1]), payload },
        mac: Some(mac(from)),
    });
    oracle.judge(&probes).into_iter().filter(|outcome| !outcome.passed()).count()
}

/// What of the messages of routers and DHCP servers outside does not reach the guests and the host.
fn untold(namespace: &mut Namespace) -> Vec<String> {
    let router = "fe80::55";
    let messages = |[v4, v6]: [&str; 2]| {
        let advertisement = Payload::Icmp { kind: 134, code: 0, id: 0 };
        [
            Packet { source: address(router), destination: address(v6), payload: advertisement },
            Packet {
                source: address(router),
                destination: address(v6),
                payload: Payload::Udp { source: 547, destination: 546 },
            },
            Packet {
                source: address(BEHIND[0][0]),
                destination: address(v4),
                payload: Payload::Udp { source: 67, destination: 68 },
            },
        ]
    };
    let packets: Vec<Packet> = [BEHIND[1], BEHIND[2], HOST].into_iter().flat_map(messages).collect();
    let probes: Vec<Probe> =
        packets.iter().map(|&packet| Probe { entry: Entry::Card(0), packet, mac: Some(mac(0)) }).collect();
    let outcomes = Oracle::new(namespace).judge(&probes);
    let lost = packets.iter().zip(outcomes).filter(|(_, outcome)| !outcome.passed());
    lost.map(|(packet, outcome)| format!("{packet}: {outcome:?}")).collect()
}

/// Loads a policy where those on the bridge are, and runs `body` there; none where it cannot run.
fn beside<T: Send>(
    neighbours: &Neighbours,
    backend: Backend,
    policy: &str,
    body: impl FnOnce(&mut Namespace) -> T + Send,
) -> Option<T> {
    let name = format!("neighbours: {}, {backend:?}", neighbours.class);
    if backend == Backend::Nft && neighbours.by_port {
        println!("skipped: {name}: nft's bridge table needs connection tracking on bridges");
        return None;
    }
    let text = format!("{}{policy}", neighbours.declared);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("site.fw");
    std::fs::write(&path, &text).expect("a file in a temporary directory");
    let files = build(&path, None, backend.target()).unwrap_or_else(|error| panic!("{name}: {error}\n{text}"));
    let cards: String = neighbours.ports.iter().map(|port| format!("{port}\n")).collect();
    let ran = inside(&name, &HostPlan::parse(&cards), |namespace| {
        make_bridge(namespace, neighbours.bridge, HOST, true)?;
        for (port, addresses) in BEHIND.into_iter().enumerate() {
            know_neighbour(namespace, neighbours.ports[port], mac(port), addresses);
        }
        load(namespace, &files, backend).unwrap_or_else(|error| panic!("{name}: {error}\n{text}"));
        Ok::<_, String>(body(namespace))
    });
    match ran? {
        Ok(found) => Some(found),
        Err(reason) => {
            println!("skipped: {name}: {reason}");
            None
        }
    }
}

#[test]
fn neighbours_find_each_other_whatever_is_closed() {
    let (mut sent, mut faults) = (0, Vec::new());
    for neighbours in NEIGHBOURS {
        for policy in neighbours.policies {
            for &backend in Backend::ALL {
                let found =
                    beside(neighbours, backend, policy, |namespace| (lost(namespace, neighbours), stopped(namespace)));
                let Some(((count, lost), stopped)) = found else { continue };
                let title = format!("{}, {backend:?}:\n{policy}", neighbours.class);
                assert!(stopped > 0, "nothing is closed: {title}");
                sent += count;
                faults.extend(lost.into_iter().map(|fault| format!("{fault}: {title}")));
            }
        }
    }
    println!("{sent} messages of neighbour discovery, {} lost", faults.len());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn without_the_prelude_neighbours_are_lost() {
    for neighbours in NEIGHBOURS {
        let policy = format!("use prelude except neighbour-discovery\n{}", neighbours.policies[0]);
        let found = beside(neighbours, Backend::IptablesNft, &policy, |namespace| lost(namespace, neighbours));
        assert!(found.is_none_or(|(_, lost)| !lost.is_empty()), "nothing is lost:\n{policy}");
    }
}

#[test]
fn guests_hear_routers_and_dhcp_servers() {
    for neighbours in NEIGHBOURS.iter().filter(|neighbours| neighbours.by_port) {
        for policy in neighbours.policies {
            let policy = format!("{policy}default deny from any to host\n");
            for &backend in Backend::IPTABLES {
                let untold = beside(neighbours, backend, &policy, untold).unwrap_or_default();
                assert_eq!(untold, [""; 0], "{backend:?}:\n{policy}");
            }
        }
    }
}
