//! Who dials what in the matrix: every kind of party, every kind of address.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use super::daemon::Daemon;
use super::dial::Dial;
use super::site::{CONTAINERS, NEIGHBOURS, NETWORKS};
use crate::kernel::namespace::HostPlan;
use crate::kernel::oracle::{Entry, Probe};
use crate::kernel::packet::{Packet, Payload, SYN};

/// One connection to try, and where it comes to the host.
pub struct Try {
    pub dial: Dial,
    /// The host's card, if it does not come from the host.
    card: Option<&'static str>,
    /// The address that it comes from.
    from: IpAddr,
}

impl Try {
    /// Its first packet.
    pub fn probe(&self, plan: &HostPlan) -> Probe {
        let at = |name: &str| plan.cards.iter().position(|card| card.name == name).expect("the host has the card");
        let (source, destination) = (40_000, self.dial.target.port());
        let payload = if self.dial.datagram {
            Payload::Udp { source, destination }
        } else {
            Payload::Tcp { source, destination, flags: SYN }
        };
        let packet = Packet { source: self.from, destination: self.dial.target.ip(), payload };
        Probe { entry: self.card.map_or(Entry::Host, |card| Entry::Card(at(card))), packet, mac: None }
    }
}

/// A party that dials.
struct Origin {
    party: &'static str,
    /// The address that it binds; `None`: the one that its kernel chooses.
    source: Option<IpAddr>,
    card: Option<&'static str>,
    from: IpAddr,
}

fn address(text: &str) -> IpAddr {
    text.split('/').next().and_then(|text| text.parse().ok()).expect(text)
}

/// The parties, once for each of their addresses.
fn origins(addresses: &BTreeMap<String, Vec<IpAddr>>) -> Vec<Origin> {
    let mut origins = Vec::new();
    for neighbour in &NEIGHBOURS {
        for from in neighbour.addresses.iter().map(|text| address(text)) {
            origins.push(Origin { party: neighbour.name, source: Some(from), card: Some(neighbour.card), from });
        }
    }
    for container in &CONTAINERS {
        let Some(network) = NETWORKS.iter().find(|network| network.name == container.network) else { continue };
        for &from in addresses.get(container.name).into_iter().flatten() {
            origins.push(Origin { party: container.name, source: None, card: Some(network.bridge), from });
        }
    }
    for from in ["203.0.113.10", "2001:db8::10"].map(address) {
        origins.push(Origin { party: "host", source: None, card: None, from });
    }
    origins
}

/// Ports of a host address: the host's own, and published ones.
const ALL: &[&str] = &[
    "tcp 22", "tcp 9100", "tcp 8888", "udp 54", "tcp 8080", "tcp 8443", "tcp 9000", "tcp 7001", "tcp 8000", "tcp 5432",
    "tcp 81", "tcp 8086", "tcp 9443", "tcp 7011", "tcp 5300", "tcp 9444", "tcp 9500", "tcp 2222", "udp 5353",
    "udp 5300", "udp 5354",
];
const SOME: &[&str] = &["tcp 22", "tcp 9100", "tcp 8080", "tcp 5432", "tcp 8086", "tcp 9444", "udp 5353", "udp 54"];
const FEW: &[&str] = &["tcp 22", "tcp 8080", "tcp 5432"];

/// What an origin dials: addresses, each with services.
fn targets(origin: &Origin, addresses: &BTreeMap<String, Vec<IpAddr>>) -> Vec<(IpAddr, &'static str)> {
    let v4 = origin.from.is_ipv4();
    let mut targets = Vec::new();
    let mut add = |address: IpAddr, services: &[&'static str]| {
        if address.is_ipv4() == v4 {
            targets.extend(services.iter().map(|&service| (address, service)));
        }
    };
    let outside = NEIGHBOURS.iter().any(|neighbour| neighbour.name == origin.party);
    let contained = origin.card.filter(|_| !outside);
    // The host's addresses, its gateways, its loopback.
    for text in ["203.0.113.10", "2001:db8::10"] {
        add(address(text), if contained.is_some() { SOME } else { ALL });
    }
    for (text, party) in [("10.9.0.1", "vpn"), ("fd00:9::1", "vpn"), ("192.168.2.1", "lan"), ("fd00:2::1", "lan")] {
        if origin.party == party || origin.card.is_none() {
            add(address(text), FEW);
        }
    }
    for network in &NETWORKS {
        let own = contained.is_some_and(|card| card == network.bridge);
        let seen = own || origin.card.is_none() || network.name == "bridge" && (outside || contained.is_some());
        for gateway in network.gateways.iter().filter(|_| seen) {
            add(address(gateway), FEW);
        }
    }
    if origin.card.is_none() {
        for text in ["127.0.0.1", "::1"] {
            add(address(text), ALL);
        }
    }
    // Containers at their own addresses: what is published, and what is not.
    let direct: [(&str, &[&'static str]); 8] = [
        ("web", &["tcp 80", "tcp 443", "udp 53"]),
        ("neighbour", &["tcp 80"]),
        ("db", &["tcp 5432", "tcp 80"]),
        ("client", &["tcp 80"]),
        ("dual", &["tcp 80", "tcp 443"]),
        ("mail", &["tcp 443", "udp 53"]),
        ("admin", &["tcp 80"]),
        ("inner", &["tcp 80"]),
    ];
    for (name, services) in direct.into_iter().filter(|(name, _)| *name != origin.party) {
        for &own in addresses.get(name).into_iter().flatten() {
            add(own, services);
        }
    }
    // What is behind the host.
    for neighbour in NEIGHBOURS.iter().filter(|neighbour| neighbour.name != origin.party) {
        for text in [neighbour.addresses[0], neighbour.addresses[neighbour.addresses.len() / 2]] {
            add(address(text), &["tcp 22", "tcp 80", "tcp 443", "udp 53"]);
        }
    }
    targets
}

/// Every connection of the matrix, once.
pub fn tries(daemon: &Daemon, addresses: &BTreeMap<String, Vec<IpAddr>>) -> Vec<Try> {
    let mut seen = BTreeSet::new();
    let mut tries = Vec::new();
    for origin in origins(addresses) {
        for (target, service) in targets(&origin, addresses) {
            let (protocol, port) = service.split_once(' ').expect("a protocol and a port");
            // A client in the LAN would be answered past the host by the machine that is forwarded to.
            if port == "2222" && origin.party == "lan" {
                continue;
            }
            let target = SocketAddr::new(target, port.parse().expect("a port"));
            let dial =
                Dial { party: origin.party.to_owned(), source: origin.source, datagram: protocol == "udp", target };
            // Of the host's own connections, the address that the kernel chooses is the one dialled, if that is its own.
            if seen.insert(dial.clone()) {
                tries.push(Try { dial, card: origin.card, from: origin.from });
            }
        }
    }
    tries.retain(|one| daemon.setup.iptables || one.dial.target.port() != 2222);
    tries
}
