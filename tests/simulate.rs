//! `fwc trace` against connections that were recorded on real hosts, and the marks of packets and of connections.

use std::collections::BTreeMap;
use std::path::Path;

use fwc::host::{Host, load};
use fwc::project::{MemoryFileSystem, Options, Root};
use fwc::simulate::{Outcome, Trace, parse, trace};

use super::recorded;

fn data(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn host(name: &str, text: String) -> Host {
    let root = Root { path: name.into(), bytes: text.into_bytes() };
    let mut host = load(&MemoryFileSystem::default(), vec![root], Vec::new(), Options::default())
        .unwrap_or_else(|refused| panic!("{refused:?}"));
    host.cards.default_route = Some("ens33".to_owned());
    host
}

fn followed(host: &Host, packet: &str) -> Trace {
    let question = parse(packet).unwrap_or_else(|fault| panic!("{packet}: {fault:?}"));
    trace(host, &question).unwrap_or_else(|why| panic!("{packet}: {why}"))
}

/// Whether a packet gets through, and its answer.
fn is_answered(trace: &Trace) -> bool {
    matches!(trace.outcome, Outcome::Delivered | Outcome::Left(_)) && trace.answer.is_none()
}

/// Every connection that was opened from outside or by a container meets what the trace through the recorded rules says, without a doubt.
#[track_caller]
fn connections_end_as_recorded(scenario: &str, rules: &str) {
    let facts = recorded::scenario(scenario).facts;
    let mut host = host("nft.txt", data(&format!("rulesets/{rules}")));
    for (name, interface) in &facts.interfaces {
        for address in &interface.addresses {
            host.cards.add(name, *address);
        }
    }
    let podman = facts.podman.as_ref().expect("facts of Podman");
    let networks: BTreeMap<String, _> =
        podman.networks.iter().map(|(name, network)| (format!("{name}c"), network)).collect();
    let (mut asked, mut wrong) = (0, Vec::new());
    for line in recorded::lines().iter().filter(|line| line.scenario == scenario && line.mark.is_none()) {
        let six = line.address.is_ipv6();
        let (source, arrives) = match networks.get(&line.from) {
            // A container of an internal network has no route, so that rules are not what stops it.
            Some(network) if network.internal => continue,
            Some(network) => {
                let own = network.subnets.iter().find(|subnet| subnet.addr().is_ipv6() == six);
                let Some(source) = own.and_then(|subnet| subnet.hosts().nth(98)) else { continue };
                (source, network.bridge.clone().expect("a bridge"))
            }
            None if line.from == "outside" => {
                let source = if six { "2001:db8::1" } else { "203.0.113.1" };
                (source.parse().expect("an address"), "ens33".to_owned())
            }
            None => continue,
        };
        let internal = podman.networks.values().filter(|network| network.internal);
        if internal.flat_map(|network| &network.subnets).any(|subnet| subnet.contains(&line.address)) {
            continue;
        }
        let (from, to) = (std::net::SocketAddr::new(source, 40000), std::net::SocketAddr::new(line.address, line.port));
        let packet = format!("{} {from} -> {to} in {arrives}", line.protocol);
        let trace = followed(&host, &packet);
        // Where the first packet came to INPUT, no rule but the lack of a program is why there is no answer.
        let passed = line.answer == "answered" || line.hooks.last().is_some_and(|seen| seen.hook == "input");
        asked += 1;
        if is_answered(&trace) != passed || !trace.doubts.is_empty() {
            wrong.push(format!(
                "{packet}: {} here {:?}, answer stopped: {}",
                line.answer,
                trace.outcome,
                trace.answer.is_some()
            ));
        }
    }
    assert!(asked > 20, "only {asked} connections");
    assert!(wrong.is_empty(), "{} of {asked}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn podman_6_isolated_networks_reach_published_ports_by_the_connection_mark() {
    connections_end_as_recorded(
        "podman-6.0-netavark-2.1-isolation",
        "podman-6.0-netavark-2.1-nftables/d-isolation/nft.txt",
    );
}

#[test]
fn podman_6_without_the_connection_mark_isolates_published_ports() {
    connections_end_as_recorded(
        "podman-6.0-netavark-2.0-isolation",
        "podman-6.0-netavark-2.0-nftables/d-isolation/nft.txt",
    );
}

#[test]
fn a_packet_that_passes_while_its_answer_is_dropped_is_said() {
    let mut host = host("nft.txt", data("rulesets/podman-6.0-netavark-2.1-nftables/d-isolation/nft.txt"));
    for (name, network) in [("br-o1", "10.90.6.1/24"), ("br-st", "10.90.3.1/24")] {
        host.cards.add(name, network.parse().expect("a network"));
    }
    // A network without isolation sends to a strict one; what the strict one sends back is dropped.
    let trace = followed(&host, "tcp 10.90.6.99:40000 -> 10.90.3.2:80 in br-o1 out br-st");
    assert_eq!(trace.outcome, Outcome::Left(Some("br-st".to_owned())));
    let stopped = trace.answer.expect("the answer is stopped");
    assert_eq!(stopped.outcome, Outcome::Dropped);
}

const CONNMARK: &str = "*mangle
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A PREROUTING -j CONNMARK --restore-mark --nfmask 0xff --ctmask 0xff
-A PREROUTING -m mark --mark 0x0/0xff -i eth1 -j MARK --set-xmark 0x2/0xff
-A PREROUTING -j CONNMARK --save-mark --nfmask 0xff --ctmask 0xff
COMMIT
*filter
:FORWARD DROP [0:0]
-A FORWARD -m connmark --mark 0x2/0xff -j ACCEPT
-A FORWARD -m connmark --mark 0x100/0x100 -m conntrack --ctstate NEW -j REJECT
COMMIT
";

#[test]
fn iptables_saves_and_restores_marks() {
    let host = host("rules.v4", CONNMARK.to_owned());
    let outcome = |packet: &str| {
        let trace = followed(&host, packet);
        assert_eq!(trace.doubts, [], "{packet}");
        trace.outcome
    };
    let left = Outcome::Left(Some("eth0".to_owned()));
    assert_eq!(outcome("tcp 192.0.2.7:40000 -> 198.51.100.7:80 in eth1 out eth0"), left);
    assert_eq!(outcome("tcp 192.0.2.7:40000 -> 198.51.100.7:80 in eth2 out eth0"), Outcome::Dropped);
    // What the connection had before is restored, and counts.
    let later = "tcp 192.0.2.7:40000 -> 198.51.100.7:80 in eth2 out eth0 state established";
    assert_eq!(outcome(&format!("{later} connmark 0x2")), left);
    assert_eq!(outcome(&format!("{later} connmark 0x102")), left);
    assert_eq!(outcome(&format!("{later} connmark 0x100")), Outcome::Dropped);
    // An answer has its connection's mark.
    let first = followed(&host, "tcp 192.0.2.7:40000 -> 198.51.100.7:80 in eth1 out eth0");
    assert!(first.answer.is_none());
    // Without a connection there is no mark to ask for, not even 0.
    assert_eq!(outcome("tcp 192.0.2.7:40000 -> 198.51.100.7:80 in eth1 out eth0 state untracked"), Outcome::Dropped);
}
