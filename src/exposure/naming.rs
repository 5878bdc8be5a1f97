//! What addresses, ports, cards and machines are called, by the policy, by the facts, or by the standard library.

use std::net::IpAddr;

use crate::host::{Host, Vocabulary, words};
use crate::names;
use crate::net::{AddressRange, AddressSet, Family, PortRange, Protocol};
use crate::netfilter::IcmpType;
use crate::packet::field::name_number;
use crate::packet::{Cube, Field, Universe, Values};
use crate::policy::{Published, Traffic};

use super::asked::narrower;

/// Prefixes that are listed; of a longer list, how many more there are.
const LISTED: usize = 4;

/// A field's values as addresses.
pub(super) fn addresses(values: Option<&Values>, family: Family) -> AddressSet {
    let Some(values) = values else { return AddressSet::all(family) };
    let ranges = values.ranges();
    let ranges = ranges
        .iter()
        .filter_map(|(first, last)| AddressRange::new(words::address(*first, family), words::address(*last, family)));
    AddressSet::new(ranges)
}

/// Every address of some families.
pub(super) fn everyone(families: &[Family]) -> AddressSet {
    families.iter().fold(AddressSet::default(), |all, family| all.union(&AddressSet::all(*family)))
}

/// A set of addresses in words: names where sets have them, `anyone`, `anyone but …`, prefixes.
pub(super) fn people(set: &AddressSet, families: &[Family], names: &Vocabulary) -> String {
    let all = everyone(families);
    if set.covers(&all) {
        return "anyone".to_owned();
    }
    // One family's are enough: the other one's may be all.
    if families.len() > 1 {
        for (family, other) in [(Family::Ipv4, Family::Ipv6), (Family::Ipv6, Family::Ipv4)] {
            if set.of_family(family).covers(&AddressSet::all(family)) {
                let rest = set.of_family(other);
                let any = format!("any {}", name_of(family));
                return if rest.is_empty() { any } else { format!("{any}, {}", people(&rest, &[other], names)) };
            }
        }
    }
    let others = all.difference(set);
    let (own, out) = (listed(set, families, names), listed(&others, families, names));
    if out.len() < own.len() || (out.len() == 1 && own.len() == 1 && others.ranges().len() < set.ranges().len()) {
        format!("anyone but {}", brief(&out))
    } else {
        brief(&own)
    }
}

/// Addresses that are dialled, in words; `all` is what can be.
pub(super) fn places(set: &AddressSet, all: &AddressSet, family: Family, names: &Vocabulary) -> String {
    let (own, out) = (listed(set, &[family], names), listed(&all.difference(set), &[family], names));
    if out.len() < own.len() { format!("anything but {}", brief(&out)) } else { brief(&own) }
}

fn name_of(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "IPv4",
        Family::Ipv6 => "IPv6",
    }
}

fn brief(list: &[String]) -> String {
    let shown = list.iter().take(LISTED).cloned().collect::<Vec<_>>().join(", ");
    match list.len().checked_sub(LISTED) {
        None | Some(0) => shown,
        Some(more) => format!("{shown} and {more} more"),
    }
}

/// A set as names of sets that lie in it, the largest first, and the prefixes of what is left.
fn listed(set: &AddressSet, families: &[Family], names: &Vocabulary) -> Vec<String> {
    let of_families = |known: &AddressSet| {
        families.iter().fold(AddressSet::default(), |all, family| all.union(&known.of_family(*family)))
    };
    let mut rest = set.clone();
    let mut found = Vec::new();
    let mut known: Vec<(usize, &str, AddressSet)> = names
        .sets
        .iter()
        .enumerate()
        .map(|(at, (name, addresses))| (usize::from(at >= names.own_sets), name.as_str(), of_families(addresses)))
        .filter(|(_, _, addresses)| !addresses.is_empty() && set.covers(addresses))
        .collect();
    known.sort_by_key(|(library, _, addresses)| (*library, std::cmp::Reverse(size(addresses))));
    for (_, name, addresses) in known {
        if rest.covers(&addresses) {
            rest = rest.difference(&addresses);
            found.push(name.to_owned());
        }
    }
    found.extend(rest.ranges().iter().flat_map(|range| {
        let prefixes = range.prefixes();
        let one = |prefix: &ipnet::IpNet| {
            if prefix.prefix_len() == prefix.max_prefix_len() { prefix.addr().to_string() } else { prefix.to_string() }
        };
        if prefixes.len() <= 2 { prefixes.iter().map(one).collect() } else { vec![range.to_string()] }
    }));
    found
}

/// How many networks a set has, of the size that a site gets: addresses of IPv4, networks of 64 bits of IPv6.
pub(super) fn size(set: &AddressSet) -> u128 {
    set.ranges().iter().fold(0u128, |sum, range| {
        let (first, last) = (words::address_number(range.first), words::address_number(range.last));
        let count = last - first;
        let count = if range.family() == Family::Ipv4 { count } else { count >> 64 };
        sum.saturating_add(count).saturating_add(1)
    })
}

/// The cards of a field, in words; with the policy's names for them. `all`: those that there are in its place.
pub(super) fn cards(values: &Values, all: Option<&Values>, names: &Vocabulary, universe: &Universe) -> String {
    let single = |values: &Values| values.ranges().iter().all(|(first, last)| first == last);
    let each = |values: &Values| {
        let ranges = values.ranges();
        let each = ranges.iter().map(|(first, _)| {
            let name = words::value(Field::IN_INTERFACE, *first, universe);
            match alias(&name, names) {
                Some(alias) if alias != name => format!("{name} ({alias})"),
                _ => name,
            }
        });
        brief(&each.collect::<Vec<_>>())
    };
    if single(values) {
        return each(values);
    }
    match all.and_then(|all| all.difference(values)).filter(single) {
        Some(others) => format!("not {}", each(&others)),
        None => words::values(Field::IN_INTERFACE, values, universe),
    }
}

/// The policy's name for a card.
fn alias<'n>(card: &str, names: &'n Vocabulary) -> Option<&'n str> {
    let exact = |cards: &[crate::net::Card]| matches!(cards, [one] if !one.prefix && one.name == card);
    names.interfaces.iter().find(|(_, cards)| exact(cards)).map(|(name, _)| name.as_str())
}

/// One kind of traffic at one run of ports.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Service {
    /// The protocol's number; `None`: every one.
    pub protocol: Option<u8>,
    /// The ports that a client dials; `None`: all, or the protocol has none.
    pub ports: Option<(u16, u16)>,
    /// The ports that the packets have where they arrive, if others.
    pub own_ports: Option<(u16, u16)>,
    /// ICMP type and code.
    pub icmp: Option<(u8, Option<u8>)>,
    /// What is asked besides, in words.
    pub besides: Vec<String>,
    /// It is every protocol but these.
    pub but: Vec<u8>,
}

/// The fields that say which service is meant.
pub(super) const SERVICE: [Field; 5] =
    [Field::PROTOCOL, Field::ICMP, Field::DESTINATION_PORT, Field::ORIGINAL_PORT, Field::SOURCE_PORT];

/// Whether a cube names no few protocols.
pub(super) fn is_broad(cube: &Cube) -> bool {
    cube.get(Field::PROTOCOL).is_none_or(|values| {
        let count: u128 = values.ranges().iter().map(|(first, last)| last - first + 1).sum();
        count > MANY_PROTOCOLS as u128
    })
}

/// More protocols than this are said by those that are not meant.
const MANY_PROTOCOLS: usize = 16;

fn clamp(number: u128) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

/// The services of a cube.
pub(super) fn services(cube: &Cube, region: &Cube, apart: bool, universe: &Universe) -> Vec<Service> {
    let whole = Cube::all();
    let ports = |field| {
        let values: Option<&Values> = narrower(cube, field, &whole);
        values
            .map(|values| values.ranges().iter().map(|(first, last)| (clamp(*first), clamp(*last))).collect::<Vec<_>>())
    };
    let header = ports(Field::DESTINATION_PORT);
    let dialled = if apart { ports(Field::ORIGINAL_PORT) } else { header.clone() };
    let own = header.filter(|_| apart);
    let known = [
        Field::PROTOCOL,
        Field::DESTINATION_PORT,
        Field::ORIGINAL_PORT,
        Field::ICMP,
        Field::SOURCE,
        Field::IN_INTERFACE,
        Field::OUT_INTERFACE,
        Field::DESTINATION,
        Field::ORIGINAL_DESTINATION,
        Field::LOCAL,
        Field::MULTICAST,
        Field::BROADCAST,
        Field::SOURCE_LOCAL,
    ];
    let besides: Vec<String> = cube
        .parts()
        .iter()
        .filter(|(field, _)| !known.contains(field) && !super::asked::is_hidden(*field, universe))
        .filter(|(field, values)| *values.ranges() != [universe.all(*field)] && universe.bits(*field, 0).is_none())
        .filter(|(field, _)| narrower(cube, *field, region).is_some())
        .map(|(field, values)| format!("{field} {}", words::values(*field, values, universe)))
        .collect();
    let one = |protocol, ports, own_ports, icmp| Service {
        protocol,
        ports,
        own_ports,
        icmp,
        besides: besides.clone(),
        but: Vec::new(),
    };
    let has_ports = dialled.is_some() || own.is_some();
    let Some(protocols) = narrower(cube, Field::PROTOCOL, &whole) else {
        if has_ports {
            return at_ports(None, dialled.as_deref(), own.as_deref(), &one);
        }
        return vec![one(None, None, None, None)];
    };
    let numbers: Vec<u8> = protocols
        .ranges()
        .iter()
        .flat_map(|(first, last)| *first..=*last)
        .filter_map(|number| u8::try_from(number).ok())
        .collect();
    if numbers.len() > MANY_PROTOCOLS {
        let but = (0..=u8::MAX).filter(|number| !numbers.contains(number)).collect();
        return vec![Service { but, ..one(None, None, None, None) }];
    }
    let mut found = Vec::new();
    for number in numbers {
        let protocol = Protocol(number);
        let icmp = if universe.family() == Family::Ipv4 { Protocol::ICMP } else { Protocol::ICMPV6 };
        if protocol == icmp {
            let opening = if universe.family() == Family::Ipv4 { 4 } else { 2 };
            match narrower(cube, Field::ICMP, &whole).filter(|values| values.ranges().len() < opening) {
                Some(types) => found.extend(types.ranges().iter().map(|(first, last)| {
                    let (kind, code) = (clamp(first >> 8), clamp(first & 0xff));
                    let whole = last - first >= 0xff;
                    let code = (!whole).then(|| u8::try_from(code).unwrap_or(0));
                    one(Some(number), None, None, Some((u8::try_from(kind).unwrap_or(0), code)))
                })),
                None => found.push(one(Some(number), None, None, None)),
            }
        } else if protocol.has_ports() && has_ports {
            found.extend(at_ports(Some(number), dialled.as_deref(), own.as_deref(), &one));
        } else {
            found.push(one(Some(number), None, None, None));
        }
    }
    found
}

type Ports = (u16, u16);

fn at_ports(
    protocol: Option<u8>,
    dialled: Option<&[Ports]>,
    own: Option<&[Ports]>,
    one: &impl Fn(Option<u8>, Option<Ports>, Option<Ports>, Option<(u8, Option<u8>)>) -> Service,
) -> Vec<Service> {
    let own = match own {
        Some([only]) => Some(*only),
        Some([first, .., last]) => Some((first.0, last.1)),
        _ => None,
    };
    match dialled {
        Some(ranges) => {
            ranges.iter().map(|ports| one(protocol, Some(*ports), own.filter(|own| own != ports), None)).collect()
        }
        None => vec![one(protocol, None, own, None)],
    }
}

fn kind(number: u8) -> String {
    let protocol = Protocol(number);
    protocol.name().map_or_else(|| format!("protocol {number}"), ToOwned::to_owned)
}

fn run((first, last): Ports) -> String {
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}

/// A list of services by protocol and port: `tcp 80, 443`, `udp 51820`, `icmp echo-request`, `everything`.
#[must_use]
pub fn numbers(services: &[Service]) -> String {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    let mut sorted: Vec<&Service> = services.iter().collect();
    sorted.sort_by_key(|service| (service.protocol.map(|number| if number == 58 { 1 } else { number }), *service));
    for service in sorted {
        let head = match (service.protocol, service.but.as_slice()) {
            (Some(58 | 1), _) => "icmp".to_owned(),
            (Some(number), _) => kind(number),
            (None, []) if service.ports.is_some() || service.own_ports.is_some() => "every protocol at".to_owned(),
            (None, []) => "everything".to_owned(),
            (None, but) => {
                format!("everything but {}", brief(&but.iter().map(|number| kind(*number)).collect::<Vec<_>>()))
            }
        };
        let mut tail = match (service.ports, service.own_ports) {
            (Some(ports), Some(own)) => format!("{} → {}", run(ports), run(own)),
            (Some(ports), None) => run(ports),
            (None, Some(own)) => format!("→ {}", run(own)),
            (None, None) => String::new(),
        };
        if let Some((number, code)) = service.icmp {
            let family = if service.protocol == Some(58) { Family::Ipv6 } else { Family::Ipv4 };
            tail = names::icmp::name(family, IcmpType { kind: number, code })
                .map_or_else(|| format!("type {number}"), ToOwned::to_owned);
        }
        if !service.besides.is_empty() {
            tail = format!("{tail} with {}", service.besides.join(", ")).trim_start().to_owned();
        }
        match groups.iter_mut().find(|(known, _)| *known == head) {
            Some((_, tails)) if tails.contains(&tail) => {}
            Some((_, tails)) => tails.push(tail),
            None => groups.push((head, vec![tail])),
        }
    }
    let group = |(head, tails): (String, Vec<String>)| {
        let tails: Vec<String> = tails.into_iter().filter(|tail| !tail.is_empty()).collect();
        if tails.is_empty() { head } else { format!("{head} {}", tails.join(", ")) }
    };
    groups.into_iter().map(group).collect::<Vec<_>>().join("; ")
}

/// What services are called, if each of them has a name: `http, https`.
#[must_use]
pub fn called(services: &[Service], names: &Vocabulary) -> Vec<String> {
    let atom = |service: &Service| {
        service.besides.is_empty() && service.but.is_empty() && (service.ports.is_some() || service.icmp.is_some())
    };
    if !services.iter().all(atom) {
        return Vec::new();
    }
    let mut rest: Vec<&Service> = services.iter().collect();
    let mut found = Vec::new();
    let mut known: Vec<(usize, &str, Vec<Service>)> = names
        .services
        .iter()
        .map(|(name, traffic)| (name.as_str(), traffic.iter().flat_map(atoms).collect::<Vec<_>>()))
        .filter(|(_, atoms)| !atoms.is_empty())
        .enumerate()
        .map(|(at, (name, atoms))| (at, name, atoms))
        .collect();
    let alike = |one: &Service, other: &Service| {
        one.protocol == other.protocol && one.ports == other.ports && one.icmp == other.icmp
    };
    // What is declared first is the usual name.
    known.sort_by_key(|(at, ..)| *at);
    for (_, name, atoms) in known {
        // A service that exists in both families is known by either's part.
        let mine: Vec<&Service> = atoms.iter().filter(|atom| rest.iter().any(|own| alike(own, atom))).collect();
        let whole = mine.len() == atoms.len() || (atoms.iter().all(|atom| atom.icmp.is_some()) && !mine.is_empty());
        if whole {
            rest.retain(|own| !atoms.iter().any(|atom| alike(own, atom)));
            found.push(name.to_owned());
        }
    }
    if rest.is_empty() { found } else { Vec::new() }
}

/// The parts of a kind of traffic, as services.
fn atoms(traffic: &Traffic) -> Vec<Service> {
    let one = |protocol: Protocol, ports: Option<PortRange>, icmp: Option<IcmpType>| Service {
        protocol: Some(protocol.0),
        ports: ports.map(|ports| (ports.first, ports.last)),
        own_ports: None,
        icmp: icmp.map(|icmp| (icmp.kind, icmp.code)),
        besides: Vec::new(),
        but: Vec::new(),
    };
    let Some(protocol) = traffic.protocol else { return Vec::new() };
    match (&traffic.ports, &traffic.icmp) {
        (Some(ports), _) => ports.ranges().iter().map(|range| one(protocol, Some(*range), None)).collect(),
        (None, Some(types)) => types.iter().map(|kind| one(protocol, None, Some(*kind))).collect(),
        _ => Vec::new(),
    }
}

/// A machine on this one.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Machine {
    /// Its name, if facts say it.
    pub(super) name: Option<String>,
    /// Its network or bridge.
    pub(super) network: Option<String>,
}

/// The machine that has an address; of containers, who publishes what was dialled.
pub(super) fn machine(
    host: &Host,
    address: Option<IpAddr>,
    published: Option<&Published>,
    cards: Option<&Values>,
    universe: &Universe,
) -> Machine {
    let card = cards.filter(|values| matches!(*values.ranges(), [(first, last)] if first == last));
    let card = card.map(|values| words::value(Field::OUT_INTERFACE, values.hull().0, universe));
    let mut machine = Machine { name: None, network: None };
    if let Some(policy) = &host.policy {
        let facts = &policy.facts;
        let docker = facts.docker.iter().flat_map(|docker| &docker.networks);
        let networks = docker.chain(facts.podman.iter().flat_map(|podman| &podman.networks));
        machine.network = networks
            .filter(|(name, network)| {
                let bridge = network.bridge.as_deref().or((*name == "bridge").then_some("docker0"));
                bridge.is_some() && bridge == card.as_deref()
            })
            .map(|(name, _)| name.clone())
            .next();
        let docker = facts.docker.iter().flat_map(|docker| &docker.containers);
        let containers = docker.chain(facts.podman.iter().flat_map(|podman| &podman.containers));
        let instances = facts.instances.iter().flat_map(|facts| &facts.instances);
        let guests = instances.chain(facts.libvirt.iter().flat_map(|facts| &facts.guests));
        machine.name = published.map(|one| one.container.to_string()).or_else(|| {
            let address = address?;
            let container = containers.clone().find(|(_, one)| one.addresses.contains(&address)).map(|(name, _)| name);
            let guest = || guests.clone().find(|(_, one)| one.addresses.contains(&address)).map(|(name, _)| name);
            let gate =
                || policy.gates.iter().find(|gate| gate.addresses.contains(address)).map(|gate| gate.name.to_string());
            container.or_else(guest).cloned().or_else(gate)
        });
    }
    if machine.network.is_none() {
        machine.network = card;
    }
    machine
}

/// A card's number, if a name is one.
pub(super) fn card_of(host: &Host) -> Option<u128> {
    host.cards.default_route.as_deref().map(name_number)
}
