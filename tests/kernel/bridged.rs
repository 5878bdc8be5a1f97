//! Guests on one bridge: iptables sees their frames where bridge netfilter hands them on, and tells taps apart by `physdev`.
//!
//! A card of the host and every guest's tap are ports of one bridge. What one port sends for another is bridged; what it sends for
//! the host is delivered. The kernel's verdict is compared with the interpreter's. What iptables cannot see (from the host to a
//! guest, FW0311) is not asked; nft's bridge table needs connection tracking on bridges.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;

use fwc::net::Mac;

use super::emitted::{Backend, Files, build, load};
use super::namespace::{HostPlan, Namespace, inside};
use super::oracle::{Entry, Oracle, Outcome, Probe};
use super::packet::{Packet, Payload, SYN};
use crate::interpreter::{Attempt, Class, Party, Policy, State, Verdict, load as read_policy};

/// Whoever has a port of the bridge: the card, its number, Ethernet address, addresses, name.
struct Port {
    card: &'static str,
    number: usize,
    mac: [u8; 6],
    addresses: [&'static str; 2],
    guest: Option<&'static str>,
}

const fn port(
    card: &'static str,
    number: usize,
    mac: [u8; 6],
    addresses: [&'static str; 2],
    guest: Option<&'static str>,
) -> Port {
    Port { card, number, mac, addresses, guest }
}

/// Two parties on the wire, and the guests of the policy.
const PORTS: [Port; 6] = [
    port("eno1", 0, [2, 0, 0, 0, 0, 0x55], ["192.168.100.55", "fd64::55"], None),
    port("eno1", 0, [2, 0, 0, 0, 0, 0x77], ["192.168.100.77", "fd64::77"], None),
    port("tap110i0", 1, [0x1e, 0x0b, 0x85, 0x27, 0x8d, 0x65], ["192.168.100.110", "fd64::110"], Some("vm110")),
    port("tap111i0", 2, [0x32, 0x36, 0x8a, 0xe1, 0xb5, 0x65], ["192.168.100.111", "fd64::111"], Some("vm111")),
    port("tap112i0", 3, [0xaa, 0xab, 0xab, 0xab, 0xab, 0xab], ["192.168.100.112", "fd64::112"], Some("vm112")),
    port("tap113i0", 4, [0xce, 0xcd, 0xcd, 0xcd, 0xcd, 0xcd], ["192.168.100.113", "fd64::113"], Some("vm113")),
];
const HOST: [&str; 2] = ["192.168.100.2", "fd64::2"];

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

impl Port {
    fn party(&self, family: usize, mac: [u8; 6]) -> Party {
        Party {
            class: if self.guest.is_some() { Class::Guest } else { Class::Outside },
            card: Some(if self.guest.is_some() { self.card } else { "vmbr0" }.to_owned()),
            address: address(self.addresses[family]),
            mac: Some(Mac(mac)),
            name: self.guest.map(str::to_owned),
        }
    }
}

/// Makes the namespace's cards ports of a bridge, which has these addresses, and says whether it hands its frames to iptables.
pub(super) fn make_bridge(
    namespace: &Namespace,
    bridge: &str,
    addresses: [&str; 2],
    hands_on: bool,
) -> Result<(), String> {
    let mut script = format!(
        "set -e
ip link add {bridge} type bridge stp_state 0 forward_delay 0 mcast_snooping 0
sysctl -qw net.ipv4.conf.{bridge}.rp_filter=0
ip link set {bridge} arp off multicast off addrgenmode none
"
    );
    for card in &namespace.plan.cards {
        script += &format!("ip link set {0} master {bridge}\nbridge link set dev {0} learning off\n", card.name);
    }
    let [v4, v6] = addresses;
    script +=
        &format!("ip link set {bridge} up\nip addr add {v4}/24 dev {bridge}\nip addr add {v6}/64 dev {bridge} nodad\n");
    script += &format!(
        "ip route replace default dev {bridge}\nip -6 route del default\nip -6 route add default dev {bridge}\n"
    );
    let call = u8::from(hands_on);
    script +=
        &format!("sysctl -qw net.bridge.bridge-nf-call-iptables={call} net.bridge.bridge-nf-call-ip6tables={call}\n");
    let made = namespace.run("sh", &["-s"], &script).map(drop);
    made.map_err(|error| format!("no bridge that hands frames to iptables: {error}"))
}

/// Tells a bridge, and those who write frames, behind which port an Ethernet address is, and its IP addresses.
pub(super) fn know_neighbour(namespace: &mut Namespace, card: &str, mac: [u8; 6], addresses: [&str; 2]) {
    let mac_text = Mac(mac).to_string();
    namespace.run("bridge", &["fdb", "replace", &mac_text, "dev", card, "master", "static"], "").expect("a port");
    namespace.neighbours.extend(addresses.map(|text| (address(text), mac)));
}

/// The bridge of the guests, with what is behind its ports.
pub(super) fn make_guests_bridge(namespace: &mut Namespace, hands_on: bool) -> Result<(), String> {
    make_bridge(namespace, "vmbr0", HOST, hands_on)?;
    for port in &PORTS {
        know_neighbour(namespace, port.card, port.mac, port.addresses);
    }
    Ok(())
}

/// The interfaces that are ports of the guests' bridge.
pub(super) fn guests_plan() -> HostPlan {
    let cards: BTreeSet<(usize, &str)> = PORTS.iter().map(|port| (port.number, port.card)).collect();
    HostPlan::parse(&cards.into_iter().map(|(_, card)| format!("{card}\n")).collect::<String>())
}

/// [`attempts`] under their senders' own Ethernet addresses: under another's it is another's frame.
pub(super) fn honest_attempts() -> Vec<(Probe, Attempt, Option<usize>)> {
    let own = |(probe, attempt, _): &(Probe, Attempt, Option<usize>)| {
        probe.mac.map(Mac) == attempt.from.mac && PORTS.iter().any(|port| Some(port.mac) == probe.mac)
    };
    attempts().into_iter().filter(own).collect()
}

/// What is tried: who, for whom, to which port, with which Ethernet source.
fn attempts() -> Vec<(Probe, Attempt, Option<usize>)> {
    let mut found = Vec::new();
    let mut source_port = 20_000;
    for family in [0, 1] {
        for from in &PORTS {
            for to in PORTS.iter().map(Some).chain([None]) {
                // Frames do not leave by the port that they came in by.
                if to.is_some_and(|to| to.number == from.number) {
                    continue;
                }
                for (protocol, number) in [(6, 22), (6, 80), (6, 81), (6, 53), (6, 8006), (17, 53), (17, 68), (6, 443)]
                {
                    for mac in [from.mac, [2, 0, 0, 0, 0, 9]] {
                        source_port += 1;
                        let target = to.map_or(HOST[family], |to| to.addresses[family]);
                        let packet = Packet {
                            source: address(from.addresses[family]),
                            destination: address(target),
                            payload: match protocol {
                                6 => Payload::Tcp { source: source_port, destination: number, flags: SYN },
                                _ => Payload::Udp { source: source_port, destination: number },
                            },
                        };
                        let host =
                            Party { class: Class::Host, card: None, address: address(target), mac: None, name: None };
                        let attempt = Attempt {
                            from: from.party(family, mac),
                            to: to.map_or(host, |to| to.party(family, to.mac)),
                            dialled: address(target),
                            port: Some(number),
                            inside: Some(number),
                            direct: false,
                            published_as: Vec::new(),
                            forwarded: false,
                            protocol,
                            icmp: None,
                            source_port: Some(source_port),
                            state: State::New,
                        };
                        let probe = Probe { entry: Entry::Card(from.number), packet, mac: Some(mac) };
                        found.push((probe, attempt, to.map(|to| to.number)));
                    }
                }
            }
        }
    }
    found
}

/// Sends everything, without rules and with them; gives what was wrong, or why it could not be asked.
fn run(
    name: &str,
    plan: &HostPlan,
    policy: &Policy,
    attempts: &[(Probe, Attempt, Option<usize>)],
    backend: Backend,
    files: &Files,
) -> Option<Result<Vec<String>, String>> {
    let probes: Vec<Probe> = attempts.iter().map(|(probe, ..)| *probe).collect();
    inside(name, plan, |namespace| {
        make_guests_bridge(namespace, true)?;
        let mut oracle = Oracle::new(namespace);
        let alone = oracle.judge(&probes);
        if let Err(error) = load(oracle.namespace, files, backend) {
            let probe = "add table bridge p; add chain bridge p c; add rule bridge p c ct state new accept";
            assert!(backend == Backend::Nft && oracle.namespace.run("nft", &[probe], "").is_err(), "{name}: {error}");
            return Err("this kernel tracks no connections on bridges".to_owned());
        }
        let with = oracle.judge(&probes);
        let (mut faults, mut closed) = (Vec::new(), 0);
        for (((probe, attempt, to), alone), with) in attempts.iter().zip(alone).zip(with) {
            let goes = match (to, alone) {
                (Some(to), Outcome::Left { card, .. }) => card == *to,
                (None, Outcome::Delivered) => true,
                _ => false,
            };
            assert!(goes, "{name}: without rules {} was {alone:?}", probe.packet);
            let verdict = policy.answer(attempt).verdict;
            let right = match verdict {
                Verdict::Allow | Verdict::Platform => with == alone,
                Verdict::Deny => with == Outcome::Dropped,
                other => panic!("{name}: {}: {other:?}", probe.packet),
            };
            closed += usize::from(with == Outcome::Dropped);
            if !right {
                faults.push(format!(
                    "{} in by {:?}, {:?}: {verdict:?}, but {with:?}",
                    probe.packet, attempt.from.name, probe.mac
                ));
            }
        }
        println!("{name}: {} packets, {closed} dropped, {} wrong", attempts.len(), faults.len());
        assert!(closed > 20 && closed < attempts.len() - 100, "{name}: {closed} are closed");
        Ok(faults)
    })
}

/// Guests that have no rules of their own, on ports of a bridge with the uplink.
const WITHOUT_BLOCKS: &str = "\
use tap
guest vm110 on tap110i0 address { 192.168.100.110, fd64::110 }
guest vm111 on tap111i0 address { 192.168.100.111, fd64::111 }
guest vm112 on tap112i0 address { 192.168.100.112, fd64::112 }
guest vm113 on tap113i0 address { 192.168.100.113, fd64::113 }
deny tcp 80 from world to guest
deny tcp 22 from guest to guest vm111
deny tcp 443 from guest vm112 to world
deny { tcp 8006, udp 53 } from guest to host
";

/// As [`WITHOUT_BLOCKS`], closed.
const CLOSED: &str = "\
use tap
guest vm110 on tap110i0 address { 192.168.100.110, fd64::110 }
allow tcp 80 from world to guest vm110
default deny to guest
";

#[test]
fn guests_without_rules_of_their_own_are_told_by_their_ports() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("site.fw");
    let plan = guests_plan();
    for (title, text) in [("without blocks", WITHOUT_BLOCKS), ("closed", CLOSED)] {
        std::fs::write(&path, text).expect("it can be written");
        let policy = read_policy(&path, &root.join("stdlib"), "vmbr0");
        let attempts = honest_attempts();
        for backend in Backend::ALL.iter().copied() {
            let name = format!("guests {title} with {backend:?}");
            let files = build(&path, None, backend.target()).unwrap_or_else(|error| panic!("{name}: {error}"));
            match run(&name, &plan, &policy, &attempts, backend, &files) {
                None => return,
                Some(Err(reason)) => println!("skipped: {name}: {reason}"),
                Some(Ok(faults)) => {
                    assert!(
                        faults.is_empty(),
                        "{name}: {}\n{}",
                        faults.len(),
                        faults[..faults.len().min(12)].join("\n")
                    );
                }
            }
        }
    }
}

#[test]
fn frames_between_taps_are_judged_as_the_policy_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("tests/data/policies/03-hypervisor.fw")).expect("the policy");
    // Two of its Ethernet addresses are of groups: no bridge takes a frame from those.
    let text = text.replace("ab:ab:ab:ab:ab:ab", "aa:ab:ab:ab:ab:ab").replace("cd:cd:cd:cd:cd:cd", "ce:cd:cd:cd:cd:cd");
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("site.fw");
    std::fs::write(&path, text).expect("it can be written");
    let policy = read_policy(&path, &root.join("stdlib"), "vmbr0");
    let plan = guests_plan();
    let attempts = attempts();
    for backend in Backend::ALL.iter().copied() {
        let name = format!("bridged taps with {backend:?}");
        let files = build(&path, None, backend.target()).unwrap_or_else(|error| panic!("{name}: {error}"));
        match run(&name, &plan, &policy, &attempts, backend, &files) {
            None => return,
            Some(Err(reason)) => {
                println!("skipped: {name}: {reason}");
                continue;
            }
            Some(Ok(faults)) => {
                assert!(faults.is_empty(), "{name}: {}\n{}", faults.len(), faults[..faults.len().min(12)].join("\n"));
            }
        }
        for (right, wrong) in
            [("--dport 80 ", "--dport 81 "), ("--mac-source 32:36:8a:e1:b5:65", "--mac-source 32:36:8a:e1:b5:66")]
        {
            let mutant: Files = files.iter().map(|(file, text)| (file.clone(), text.replace(right, wrong))).collect();
            assert!(mutant != files, "{name}: no {right}");
            let faults =
                run(&name, &plan, &policy, &attempts, backend, &mutant).expect("it ran before").expect("and loaded");
            assert!(!faults.is_empty(), "{name}: nothing noticed {wrong} for {right}");
        }
    }
}
