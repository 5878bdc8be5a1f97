//! A deny of published ports is for containers' own addresses, too, by the container's side of each port.

use std::net::{IpAddr, Ipv4Addr};

use super::namespace::Namespace;
use super::oracle::{Entry, Oracle, Probe};
use super::packet::{Packet, Payload, SYN};
use super::program::on_each_backend;

const CARDS: &str = "ens33 203.0.113.10/24\nlxdbr0 10.5.0.1/24\nbr-app 172.18.0.1/16";

const DECLARED: &str = "\
use docker
use lxd
network app on br-app address 172.18.0.0/16
container web on app publish tcp 8080 to 80 publish udp 8443 to 443 publish tcp 9000-9002 to 7000
container other on app address 172.18.0.9 publish tcp 8081 to 90
";

const PEER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
const INSTANCE: Ipv4Addr = Ipv4Addr::new(10, 5, 0, 7);
/// An address that some container on the bridge has.
const SOME: Ipv4Addr = Ipv4Addr::new(172, 18, 0, 2);
/// The fixed address of `other`.
const OTHER: Ipv4Addr = Ipv4Addr::new(172, 18, 0, 9);

/// Where a packet comes from, the protocol, what it is sent to, and whether it passes.
type Case = (Ipv4Addr, u8, Ipv4Addr, u16, bool);

fn probe(&(from, protocol, to, port, _): &Case) -> Probe {
    let payload = match protocol {
        6 => Payload::Tcp { source: 40_000, destination: port, flags: SYN },
        _ => Payload::Udp { source: 40_000, destination: port },
    };
    let packet = Packet { source: IpAddr::V4(from), destination: IpAddr::V4(to), payload };
    Probe { entry: Entry::Card(usize::from(from == INSTANCE)), packet, mac: None }
}

#[track_caller]
fn agree(name: &str, denies: &str, cases: &[Case]) {
    on_each_backend(name, &format!("{DECLARED}{denies}"), CARDS, |namespace: &mut Namespace, backend| {
        let probes: Vec<Probe> = cases.iter().map(probe).collect();
        let outcomes = Oracle::new(namespace).judge(&probes);
        for (case, outcome) in cases.iter().zip(outcomes) {
            assert_eq!(outcome.passed(), case.4, "{denies}{backend:?}: {case:?}: {outcome:?}");
        }
    });
}

#[test]
fn a_deny_by_published_ports_closes_the_containers_own() {
    let name = "a_deny_by_published_ports_closes_the_containers_own";
    let denies = "deny tcp 8080 from world to container\ndeny udp 8443 from world to container\n\
                  deny tcp 9001 from { world, instance } to container\ndeny tcp 8081 from world to container\n";
    let cases = [
        (PEER, 6, SOME, 80, false),
        (PEER, 6, SOME, 443, true),
        (PEER, 17, SOME, 443, false),
        (PEER, 6, SOME, 7001, false),
        (PEER, 6, SOME, 7002, true),
        // Where the address is known, the neighbours' ports stay open.
        (PEER, 6, OTHER, 90, false),
        (PEER, 6, SOME, 90, true),
        (INSTANCE, 6, SOME, 80, true),
        (INSTANCE, 6, SOME, 7001, false),
    ];
    agree(name, denies, &cases);
}

#[test]
fn a_deny_by_the_containers_own_port_closes_its_address() {
    let name = "a_deny_by_the_containers_own_port_closes_its_address";
    let cases = [(PEER, 6, SOME, 80, false), (PEER, 6, SOME, 81, true), (INSTANCE, 6, SOME, 80, true)];
    agree(name, "deny tcp 80 from world to container inside\n", &cases);
    agree(name, "deny tcp 80 from world to container web inside\n", &cases);
}
