//! Which packets to send: at the edges of everything that a policy names, and some at random.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::model::Model;
use super::oracle::{Entry, Probe};
use super::packet::{Packet, Payload, SYN};
use crate::interpreter::{Answer, Attempt, Class, Edge, Policy, Verdict};

/// A packet, what it is an attempt at, and what the policy says.
pub struct Case {
    /// The packet.
    pub probe: Probe,
    /// What it means.
    pub attempt: Attempt,
    /// The policy's answer.
    pub answer: Answer,
}

/// A generator of numbers that are the same in every run (xorshift64*, Vigna 2016).
pub struct Random(u64);

impl Random {
    /// From a seed that is not zero.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).expect("31 bits") % bound
    }

    /// True once in so many times.
    pub fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    /// One of a list.
    pub fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }
}

/// Every packet at the edges: each place that packets come from, by each place that they go to, by each service.
pub struct Grid {
    sources: Vec<(Entry, IpAddr, Option<[u8; 6]>)>,
    ranges: Vec<fwc::net::AddressRange>,
    destinations: Vec<IpAddr>,
    services: Vec<Service>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Service {
    Port(u8, u16),
    FromPort(u8, u16, u16),
    Icmp { v4: bool, kind: u8, code: u8 },
    Protocol(u8),
}

impl Grid {
    /// The grid of a host and its policy.
    pub fn new(model: &Model, policy: &Policy) -> Self {
        let mut edges = BTreeSet::new();
        for range in policy.address_ranges() {
            for address in [before(range.first), Some(range.first), Some(range.last), after(range.last)] {
                edges.extend(address.filter(|&address| is_ordinary(address) && !model.plan.is_edge(address)));
            }
        }
        // Somebody on the Internet whom nobody named.
        edges.extend(["8.8.8.8", "2606:4700::1111"].map(|text| text.parse::<IpAddr>().expect("an address")));
        let mut sources = Vec::new();
        for (number, card) in model.plan.cards.iter().enumerate() {
            let entry = Entry::Card(number);
            let mut neighbours: Vec<IpAddr> = card.addresses.iter().filter_map(|net| neighbour(net.addr())).collect();
            neighbours.extend(model.names.keys().filter(|&&address| model.plan.route(address) == card.name));
            let outside = model.class(&card.name) == Class::Outside;
            sources.extend(neighbours.iter().map(|&address| (entry, address, None)));
            // A container or guest may give itself an address of a family that its network does not have.
            if !outside && card.addresses.iter().all(|net| net.addr().is_ipv4()) {
                sources.push((entry, "fd00:77::7".parse().expect("an address"), None));
            }
            if outside {
                sources.extend(neighbours.iter().map(|&address| (entry, address, Some([2, 0, 0, 0, 0, 0x42]))));
                sources.push((entry, "fe80::7".parse().expect("an address"), None));
                // An address that is behind a bridge would be a forgery, which routing judges.
                let here = edges.iter().filter(|&&address| {
                    let route = model.plan.route(address);
                    route == card.name || model.class(route) == Class::Outside
                });
                sources.extend(here.map(|&address| (entry, address, None)));
            }
            sources.extend(card.addresses.iter().map(|net| (Entry::Host, net.addr(), None)));
        }
        let mut destinations: BTreeSet<IpAddr> = edges;
        for card in &model.plan.cards {
            for net in &card.addresses {
                destinations.insert(net.addr());
                destinations.extend(neighbour(net.addr()));
            }
        }
        destinations.extend(model.names.keys());
        sources.sort_by_key(|(entry, address, mac)| (matches!(entry, Entry::Host), card_of(*entry), *address, *mac));
        sources.dedup();
        let destinations = destinations.into_iter().collect();
        Self { sources, ranges: policy.address_ranges(), destinations, services: services(model, policy) }
    }

    /// How many packets the grid has, those that make no sense included.
    pub fn len(&self) -> usize {
        self.sources.len() * self.destinations.len() * self.services.len()
    }

    /// How many services the grid has: every so many packets there is the next of one service.
    pub fn services(&self) -> usize {
        self.services.len()
    }

    /// What a packet of a service with ports carries, from a port at random.
    pub fn payload(&self, service: usize, random: &mut Random) -> Option<Payload> {
        let from = 32_768 + u16::try_from(random.below(28_000)).expect("it is below 28,000");
        match self.services[service] {
            Service::Port(protocol, port) => with_ports(protocol, from, port),
            _ => None,
        }
    }

    /// A packet of the grid, if it makes sense: both ends of one family, and not from one guest's bridge back to it.
    pub fn probe(&self, model: &Model, at: usize) -> Option<Probe> {
        let service = self.services[at % self.services.len()];
        let rest = at / self.services.len();
        let destination = self.destinations[rest % self.destinations.len()];
        let (entry, source, mac) = self.sources[rest / self.destinations.len()];
        // What comes from a link-local address is for the link: for the host itself.
        let link_local = matches!(source, IpAddr::V6(address) if address.segments()[0] == 0xfe80);
        let other_family = source.is_ipv4() != destination.is_ipv4();
        if other_family || source == destination || link_local && !model.plan.owns(destination) {
            return None;
        }
        let route = model.plan.route(destination);
        let own = model.plan.owns(destination);
        match entry {
            // What the host sends to itself never leaves by a card.
            Entry::Host
                if own
                    || !model
                        .plan
                        .cards
                        .iter()
                        .any(|card| card.name == route && card.addresses.iter().any(|net| net.addr() == source)) =>
            {
                return None;
            }
            Entry::Card(card)
                if !own && model.plan.cards[card].name == route && model.class(route) != Class::Outside =>
            {
                return None;
            }
            _ => {}
        }
        // The source port tells connections apart; the grid's place gives each its own.
        let source_port = 32_768 + u16::try_from(at % 28_000).expect("it is below 28,000");
        let payload = match service {
            Service::Port(protocol, port) => with_ports(protocol, source_port, port)?,
            Service::FromPort(protocol, from, port) => with_ports(protocol, from, port)?,
            Service::Icmp { v4, .. } if v4 != source.is_ipv4() => return None,
            Service::Icmp { kind, code, .. } => Payload::Icmp { kind, code, id: source_port },
            Service::Protocol(protocol) => Payload::Other(protocol),
        };
        Some(Probe { entry, packet: Packet { source, destination, payload }, mac })
    }

    /// Picks packets: for each rule and each verdict without one, on each kind of road, up to `each` and each port once; then
    /// `total` more at random.
    pub fn pick(&self, model: &Model, policy: &Policy, each: usize, total: usize, random: &mut Random) -> Vec<Case> {
        let mut taken: BTreeMap<String, usize> = BTreeMap::new();
        let mut ports = BTreeSet::new();
        let mut places = BTreeSet::new();
        let mut between_containers = BTreeSet::new();
        let mut cases = Vec::new();
        let mut chosen = BTreeSet::new();
        let length = self.len();
        // Steps of a prime that does not divide the length visit every place once, in an order that mixes all three parts.
        let step =
            [7_919usize, 104_729, 1_299_709].into_iter().find(|prime| !length.is_multiple_of(*prime)).unwrap_or(1);
        let start = random.below(length);
        for turn in 0..length.min(1_000_000) {
            let at = (start + turn * step) % length;
            let Some(probe) = self.probe(model, at) else { continue };
            let attempt = model.attempt(policy, &probe);
            let answer = policy.answer(&attempt);
            if !is_told(&attempt, &answer) {
                continue;
            }
            let road = format!(
                "{:?} {} {:?} {:?} {:?} {:?} {} {}",
                answer.rule,
                attempt.protocol,
                attempt.icmp,
                answer.verdict,
                attempt.from.class,
                attempt.to.class,
                probe.packet.source.is_ipv4(),
                attempt.direct
            );
            // Each port at least once on each path: the edges of a rule's ports are where a wrong one shows. What is not let in is
            // asked for from each interface, and from each range of addresses that the policy names: a later rule may allow it.
            let refused = answer.rule.is_none() || matches!(answer.verdict, Verdict::Deny | Verdict::Reject);
            let origin = refused.then(|| (card_of(probe.entry), self.named(probe.packet.source)));
            let new_port = ports.insert((road.clone(), attempt.port, origin));
            // And each rule with each pair of places that the policy's addresses tell apart.
            let pair =
                (answer.rule, card_of(probe.entry), self.named(probe.packet.source), self.named(attempt.dialled));
            let new_pair = answer.rule.is_some() && places.insert(pair);
            // And each address at which one container reaches another's published port.
            let between =
                (attempt.from.class, attempt.to.class) == (Class::Container, Class::Container) && !attempt.direct;
            let new_road = between && between_containers.insert((card_of(probe.entry), attempt.port, attempt.dialled));
            let count = taken.entry(road).or_default();
            if *count < each || new_port || new_pair || new_road {
                *count += 1;
                chosen.insert(at);
                cases.push(Case { probe, attempt, answer });
            }
        }
        let enough = cases.len() + total;
        for _ in 0..total * 20 {
            if cases.len() >= enough {
                break;
            }
            let at = random.below(length);
            if let Some(probe) = self.probe(model, at)
                && chosen.insert(at)
            {
                let attempt = model.attempt(policy, &probe);
                let answer = policy.answer(&attempt);
                if is_told(&attempt, &answer) {
                    cases.push(Case { probe, attempt, answer });
                }
            }
        }
        cases
    }

    /// The ranges of the policy that an address is in.
    fn named(&self, address: IpAddr) -> Vec<usize> {
        let numbered = self.ranges.iter().enumerate();
        numbered.filter(|(_, range)| (range.first..=range.last).contains(&address)).map(|(at, _)| at).collect()
    }
}

/// Whether the verdict can be told apart: what the host sends to containers goes by docker-proxy, too, whose second connection
/// looks the same; so it is sent only where the policy says nothing of it.
fn is_told(attempt: &Attempt, answer: &Answer) -> bool {
    (attempt.from.class, attempt.to.class) != (Class::Host, Class::Container) || answer.verdict == Verdict::Platform
}

fn card_of(entry: Entry) -> usize {
    match entry {
        Entry::Card(card) => card,
        Entry::Host => usize::MAX,
    }
}

fn services(model: &Model, policy: &Policy) -> Vec<Service> {
    let mut services = BTreeSet::new();
    let mut around = |protocol: u8, first: u16, last: u16| {
        for port in [first.saturating_sub(1), first, last, last.saturating_add(1)] {
            if port != 0 {
                services.insert(Service::Port(protocol, port));
            }
        }
    };
    for published in &model.published {
        around(published.protocol, published.first, published.last);
        around(published.protocol, published.inside, published.inside);
    }
    for edge in policy.services_named() {
        match edge {
            Edge::Ports(protocol, first, last) => around(protocol, first, last),
            Edge::Protocol(protocol @ (6 | 17 | 132)) => around(protocol, 1, 65_535),
            _ => {}
        }
    }
    around(6, 4_321, 4_321);
    around(17, 4_321, 4_321);
    for edge in policy.services_named() {
        match edge {
            Edge::Icmp { v4, kind, code } => drop(services.insert(Service::Icmp { v4, kind, code })),
            Edge::Protocol(protocol) if ![1, 6, 17, 58, 132].contains(&protocol) => {
                services.insert(Service::Protocol(protocol));
            }
            _ => {}
        }
    }
    services.extend([
        Service::Icmp { v4: true, kind: 8, code: 0 },
        Service::Icmp { v4: true, kind: 13, code: 0 },
        Service::Icmp { v4: false, kind: 128, code: 0 },
        Service::Protocol(50),
        Service::Port(132, 9),
        // DHCP's answers, and IKE: from one known port to another.
        Service::FromPort(17, 67, 68),
        Service::FromPort(17, 547, 546),
        Service::FromPort(17, 500, 500),
        Service::FromPort(17, 68, 67),
        Service::FromPort(17, 546, 547),
    ]);
    services.into_iter().collect()
}

fn with_ports(protocol: u8, source: u16, destination: u16) -> Option<Payload> {
    match protocol {
        6 => Some(Payload::Tcp { source, destination, flags: SYN }),
        17 => Some(Payload::Udp { source, destination }),
        132 => Some(Payload::Sctp { source, destination }),
        _ => None,
    }
}

/// Another address on the link: the host's own, and some more.
fn neighbour(own: IpAddr) -> Option<IpAddr> {
    match own {
        IpAddr::V4(own) => Some(Ipv4Addr::from(u32::from(own) + 6).into()),
        IpAddr::V6(own) => Some(Ipv6Addr::from(u128::from(own) + 6).into()),
    }
}

fn before(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => u32::from(address).checked_sub(1).map(|number| Ipv4Addr::from(number).into()),
        IpAddr::V6(address) => u128::from(address).checked_sub(1).map(|number| Ipv6Addr::from(number).into()),
    }
}

fn after(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => u32::from(address).checked_add(1).map(|number| Ipv4Addr::from(number).into()),
        IpAddr::V6(address) => u128::from(address).checked_add(1).map(|number| Ipv6Addr::from(number).into()),
    }
}

/// Whether the kernel routes a packet from or to it at all, whatever the rules are.
fn is_ordinary(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let first = address.octets()[0];
            first != 0 && first != 127 && first < 224
        }
        IpAddr::V6(address) => {
            let first = address.segments()[0];
            first & 0xffc0 != 0xfe80
                && first & 0xff00 != 0xff00
                && address.segments()[7] != 0
                && u128::from(address) > 1 << 64
        }
    }
}
