//! Packets that show what each rule does: for every rule a packet of the exact set that comes to it and matches, as the engine of
//! packet sets finds it, and its neighbours: the same packet with one field at the values on either side of an edge of the rule.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use fwc::net::Family;
use fwc::netfilter::{Hook, Ruleset};
use fwc::packet::field::name_number;
use fwc::packet::{Bits, Cube, Field, Values};
use fwc::program::{Does, End, Place, Space, Step, VISIT, flatten_with_visits};
use fwc::prove::cover::{Budget, Stretch, left_over};

use crate::kernel::namespace::HostPlan;
use crate::kernel::oracle::{Entry, Probe};
use crate::kernel::packet::{ACK, Packet, Payload, SYN};
use crate::kernel::traffic::Random;

/// Of one rule, so many copies of it in the list of steps are asked for a packet.
const COPIES: usize = 2;
/// Neighbours of one packet.
const NEIGHBOURS: usize = 12;
/// What a search may cost.
const BUDGET: u64 = 20_000;
/// Source ports that no rule names come from here on, each once.
pub const FRESH: u16 = 20_000;
const FIN: u8 = 0x01;
/// TCP flags that are sent: the first opens a connection, the others belong to none.
const FLAGS: [u8; 6] = [SYN, ACK, SYN | ACK, FIN | ACK, FIN, 0];
const DEFAULT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
/// Sources and destinations of packets whose rule does not say any.
const FOUR: [&str; 9] = [
    "203.0.113.10",
    "192.168.2.1",
    "172.17.0.2",
    "172.18.0.2",
    "192.168.2.9",
    "203.0.113.77",
    "198.51.100.9",
    "10.1.1.1",
    "172.17.0.1",
];
const SIX: [&str; 7] =
    ["2001:db8::10", "fd00:17::2", "fd00:18::2", "fd00:2::9", "2001:db8::1", "2001:db8:9::1", "fd00:18::1"];

struct Witnesses<'p> {
    plan: &'p HostPlan,
    random: Random,
    fresh: u16,
    probes: Vec<Probe>,
}

/// The packets for every rule of a rule set.
pub fn witnesses(ruleset: &Ruleset, plan: &HostPlan, seed: u64) -> Vec<Probe> {
    let mut made = Witnesses { plan, random: Random::new(seed | 1), fresh: FRESH, probes: Vec::new() };
    for family in Family::BOTH {
        let mut space = Space::new(family, [ruleset]);
        for (number, table) in ruleset.tables.iter().enumerate() {
            for chain in &table.chains {
                let Some(base) = chain.base else { continue };
                let program = flatten_with_visits(ruleset, number, &chain.name, End::Passed, &mut space);
                made.hook(&program.expect("the chain is there"), base.hook, &space);
            }
        }
    }
    let mut seen = std::collections::HashSet::new();
    // Nobody sends to himself.
    made.probes.retain(|probe| probe.packet.source != probe.packet.destination && seen.insert(*probe));
    made.probes
}

impl Witnesses<'_> {
    fn hook(&mut self, program: &fwc::program::Program, hook: Hook, space: &Space) {
        let worlds = self.worlds(hook, space.universe.family());
        let mut copies: std::collections::BTreeMap<Place, Vec<u32>> = std::collections::BTreeMap::new();
        for (number, step) in (0u32..).zip(&program.steps) {
            if step.does == Does::Happen(VISIT) {
                copies.entry(step.place).or_default().push(number);
            }
        }
        for steps in copies.into_values() {
            for number in steps.into_iter().take(COPIES) {
                let step = program.step(number).expect("a step of that number");
                for world in &worlds {
                    let Some(wanted) = step.cube.intersection(world) else { continue };
                    let before = [Stretch { program, from: 0, to: number, events: false }];
                    let mut budget = Budget::new(BUDGET);
                    let left = left_over(&wanted, &before, &space.universe, &mut budget, |_, _| ());
                    let Ok(Some(left)) = left else { continue };
                    if let Some(probe) = self.packet(&left, hook, space) {
                        self.probes.push(probe);
                        self.neighbours(&probe, step, space);
                    }
                }
            }
        }
    }

    /// What packets at a hook have in common on this host: for each way through it, one set.
    fn worlds(&self, hook: Hook, family: Family) -> Vec<Cube> {
        let fixed = [(Field::DIRECTION, 0), (Field::BRIDGED, 0), (Field::MULTICAST, 0), (Field::BROADCAST, 0)];
        let mut all = Cube::all();
        for (field, value) in fixed {
            all = all.with(field, Values::single(value)).expect("the first value of that field");
        }
        all = all.with(Field::STATE, values([0, 3])).expect("states");
        let names = |skip: Option<&str>| {
            values(self.plan.cards.iter().filter(|card| Some(&*card.name) != skip).map(|card| name_number(&card.name)))
        };
        let own: Vec<u128> = (self.plan.cards.iter().flat_map(|card| &card.addresses))
            .filter(|net| Family::of(net.addr()) == family)
            .map(|net| number(net.addr()))
            .collect();
        let narrowed = |cube: &Cube, parts: Vec<(Field, Values)>| {
            parts.into_iter().try_fold(cube.clone(), |cube, (field, values)| cube.with(field, values))
        };
        let arrives = || (Field::IN_INTERFACE, names(None));
        let nowhere = |field: Field| (field, Values::single(0));
        let foreign = || {
            let own = values(own.iter().copied());
            let all = if family == Family::Ipv4 { u128::from(u32::MAX) } else { u128::MAX };
            (Field::DESTINATION, Values::range((0, all)).difference(&own).expect("there are others"))
        };
        let local = |is: u128| (Field::LOCAL, Values::single(is));
        let from_here = |is: u128| (Field::SOURCE_LOCAL, Values::single(is));
        let worlds = match hook {
            Hook::Input => vec![vec![
                arrives(),
                nowhere(Field::OUT_INTERFACE),
                (Field::DESTINATION, values(own.iter().copied())),
                local(1),
                from_here(0),
            ]],
            Hook::Prerouting => vec![
                vec![
                    arrives(),
                    nowhere(Field::OUT_INTERFACE),
                    (Field::DESTINATION, values(own.iter().copied())),
                    local(1),
                    from_here(0),
                ],
                vec![arrives(), nowhere(Field::OUT_INTERFACE), foreign(), local(0), from_here(0)],
            ],
            Hook::Forward => (self.plan.cards.iter())
                .map(|card| {
                    let out = (Field::OUT_INTERFACE, Values::single(name_number(&card.name)));
                    vec![(Field::IN_INTERFACE, names(Some(&card.name))), out, foreign(), local(0), from_here(0)]
                })
                .collect(),
            _ => (self.plan.cards.iter())
                .flat_map(|card| {
                    let out = || (Field::OUT_INTERFACE, Values::single(name_number(&card.name)));
                    let way = |is: u128| vec![nowhere(Field::IN_INTERFACE), out(), foreign(), local(0), from_here(is)];
                    let both = hook == Hook::Postrouting;
                    [Some(way(1)), both.then(|| way(0))].into_iter().flatten().collect::<Vec<_>>()
                })
                .collect(),
        };
        worlds.into_iter().filter_map(|parts| narrowed(&all, parts)).collect()
    }

    /// A packet that is in a set when it comes to a hook, if one can be sent.
    fn packet(&mut self, cube: &Cube, hook: Hook, space: &Space) -> Option<Probe> {
        let family = space.universe.family();
        let pool: Vec<u128> =
            if family == Family::Ipv4 { &FOUR[..] } else { &SIX[..] }.iter().map(|text| of(text)).collect();
        let translated = cube.get(Field::TRANSLATED).is_some_and(|values| !values.contains(0));
        // What was translated came with another destination: the one that the client dialled.
        let own = pool.first().copied().map(Values::single);
        let to = if translated {
            cube.get(Field::ORIGINAL_DESTINATION).cloned().or(own)
        } else {
            both(cube.get(Field::DESTINATION), cube.get(Field::ORIGINAL_DESTINATION))?
        };
        let leaves = cube.get(Field::OUT_INTERFACE).filter(|values| !values.contains(0) && !translated).cloned();
        let plan = self.plan;
        let destination = self.choose(to.as_ref(), &pool, |value| {
            let address = address(value, family);
            let fits = leaves.as_ref().is_none_or(|cards| cards.contains(name_number(plan.route(address))));
            fits && is_destination(plan, address)
        })?;
        let destination = address(destination, family);
        let local = cube.get(Field::SOURCE_LOCAL).is_some_and(|values| !values.contains(0));
        let from_host = match hook {
            Hook::Output => true,
            Hook::Postrouting => local,
            _ => false,
        };
        let from = both(cube.get(Field::SOURCE), cube.get(Field::ORIGINAL_SOURCE))?;
        let (entry, source) = if from_host {
            if plan.owns(destination) {
                return None;
            }
            let card = plan.cards.iter().find(|card| card.name == plan.route(destination))?;
            let source = card.addresses.iter().find(|net| Family::of(net.addr()) == family)?.addr();
            if from.is_some_and(|values| !values.contains(number(source))) {
                return None;
            }
            (Entry::Host, source)
        } else {
            let cards: Vec<usize> = (0..plan.cards.len())
                .filter(|card| {
                    let known = cube.get(Field::IN_INTERFACE).filter(|values| !values.contains(0));
                    known.is_none_or(|values| values.contains(name_number(&plan.cards[*card].name)))
                })
                .collect();
            let card = *cards.get(self.random.below(cards.len().max(1)))?;
            let source = self.choose(from.as_ref(), &pool, |value| is_source(plan, address(value, family)))?;
            (Entry::Card(card), address(source, family))
        };
        let mac = match cube.get(Field::MAC) {
            None => None,
            Some(values) => {
                let known = number_of_mac(DEFAULT_MAC);
                let near = [known, known + 0x98, known + 1, 0x1e0b_8527_8d65];
                Some(mac_of(near.into_iter().find(|mac| values.contains(*mac))?))
            }
        };
        let payload = self.payload(cube, translated, space)?;
        let probe = Probe { entry, packet: Packet { source, destination, payload }, mac: mac.filter(|_| !from_host) };
        let state = u128::from(state(&probe.packet));
        cube.get(Field::STATE).is_none_or(|values| values.contains(state)).then_some(probe)
    }

    fn payload(&mut self, cube: &Cube, translated: bool, space: &Space) -> Option<Payload> {
        let six = space.universe.family() == Family::Ipv6;
        let icmp = if six { 58 } else { 1 };
        let wanted = cube.get(Field::PROTOCOL);
        let invalid = cube.get(Field::STATE).is_some_and(|values| !values.contains(0));
        let flags: Vec<u8> = FLAGS
            .into_iter()
            .filter(|flags| {
                let mut parts = space.universe.flags(Bits { value: u32::from(*flags), mask: 0xff }).into_iter();
                parts.all(|(field, value)| cube.get(field).is_none_or(|values| values.contains(value)))
            })
            .filter(|flags| !invalid || *flags != SYN)
            .collect();
        // What belongs to no connection is a TCP segment or an answer to no echo request.
        let pool: &[u128] = if invalid { &[6, icmp] } else { &[6, 6, 17, 17, icmp, 132, 47, 50, 253] };
        let protocol = self.choose(wanted, pool, |value| pool.contains(&value))?;
        let port = |maker: &mut Self, fields: [Field; 2]| {
            let values = both(cube.get(fields[0]), cube.get(fields[1]))?;
            maker
                .choose(values.as_ref(), &[80, 443, 22, 8080, 7001], |_| true)
                .and_then(|port| u16::try_from(port).ok())
        };
        let destination =
            [if translated { Field::ORIGINAL_PORT } else { Field::DESTINATION_PORT }, Field::ORIGINAL_PORT];
        Some(match protocol {
            6 | 17 | 132 => {
                let to = port(self, destination)?;
                let from = if cube.get(Field::SOURCE_PORT).is_some() {
                    port(self, [Field::SOURCE_PORT; 2])?
                } else {
                    self.fresh()
                };
                match protocol {
                    6 => {
                        let plain = flags.contains(&SYN) && self.random.below(4) > 0;
                        let flags = if plain { SYN } else { *flags.get(self.random.below(flags.len().max(1)))? };
                        Payload::Tcp { source: from, destination: to, flags }
                    }
                    17 => Payload::Udp { source: from, destination: to },
                    _ => Payload::Sctp { source: from, destination: to },
                }
            }
            1 | 58 => {
                let kinds: Vec<u128> = if six { [128, 129, 1] } else { [8, 0, 3] }.map(|kind| kind << 8).to_vec();
                let kinds: Vec<u128> = kinds.into_iter().flat_map(|kind| [kind, kind | 1]).collect();
                let kinds: Vec<u128> = if invalid { kinds[2..].to_vec() } else { kinds };
                let icmp = self.choose(cube.get(Field::ICMP), &kinds, |value| kinds.contains(&value))?;
                let [kind, code] = u16::try_from(icmp).ok()?.to_be_bytes();
                Payload::Icmp { kind, code, id: self.fresh() }
            }
            other => Payload::Other(u8::try_from(other).ok()?),
        })
    }

    fn fresh(&mut self) -> u16 {
        self.fresh = self.fresh.checked_add(1).unwrap_or(FRESH);
        self.fresh
    }

    /// One of the values: those of the pool that are among them and their edges, as far as they can be used.
    fn choose(&mut self, values: Option<&Values>, pool: &[u128], usable: impl Fn(u128) -> bool) -> Option<u128> {
        let fits = |value: &u128| values.is_none_or(|values| values.contains(*value)) && usable(*value);
        let mut found: Vec<u128> = pool.iter().copied().filter(fits).collect();
        let edges = values
            .into_iter()
            .flat_map(|values| values.ranges().to_vec())
            .flat_map(|(first, last)| [first, first + 1, first + (last - first) / 2, last.saturating_sub(1), last]);
        if values.is_some() {
            found.extend(edges.filter(fits));
        }
        (!found.is_empty()).then(|| found[self.random.below(found.len())])
    }

    /// The packet with one field changed, to values around the edges of the rule.
    fn neighbours(&mut self, probe: &Probe, step: &Step, space: &Space) {
        let family = space.universe.family();
        let mut near = Vec::new();
        for (field, values) in step.cube.parts() {
            let top = space.universe.largest(*field);
            let around = |(first, last): &(u128, u128)| {
                let below = first.checked_sub(1);
                let above = last.checked_add(1).filter(|value| *value <= top);
                [below, Some(*first), Some(*last), above].into_iter().flatten().collect::<Vec<_>>()
            };
            for value in values.ranges().iter().flat_map(around) {
                near.extend(self.with(probe, *field, value, family));
            }
        }
        for card in 0..self.plan.cards.len() {
            if matches!(probe.entry, Entry::Card(own) if own != card) {
                near.push(Probe { entry: Entry::Card(card), ..*probe });
            }
        }
        while near.len() > NEIGHBOURS {
            let at = self.random.below(near.len());
            near.swap_remove(at);
        }
        // Every packet opens a connection of its own, but where the source port is what a rule asks for.
        let told = step.cube.get(Field::SOURCE_PORT).is_some();
        for mut probe in near {
            if !told {
                probe.packet.payload = match probe.packet.payload {
                    Payload::Tcp { destination, flags, .. } => {
                        Payload::Tcp { source: self.fresh(), destination, flags }
                    }
                    Payload::Udp { destination, .. } => Payload::Udp { source: self.fresh(), destination },
                    Payload::Sctp { destination, .. } => Payload::Sctp { source: self.fresh(), destination },
                    Payload::Icmp { kind, code, .. } => Payload::Icmp { kind, code, id: self.fresh() },
                    other => other,
                };
            }
            self.probes.push(probe);
        }
    }

    /// The packet with another value in a field; nothing if there is no such packet.
    fn with(&self, probe: &Probe, field: Field, value: u128, family: Family) -> Option<Probe> {
        let mut probe = *probe;
        let from_host = probe.entry == Entry::Host;
        let packet = &mut probe.packet;
        match field {
            Field::SOURCE | Field::ORIGINAL_SOURCE if !from_host => {
                packet.source = Some(address(value, family)).filter(|address| is_source(self.plan, *address))?;
            }
            Field::DESTINATION | Field::ORIGINAL_DESTINATION => {
                let to = Some(address(value, family)).filter(|address| is_destination(self.plan, *address))?;
                // From another card the host would send from another address.
                if from_host && (self.plan.owns(to) || self.plan.route(to) != self.plan.route(packet.destination)) {
                    return None;
                }
                packet.destination = to;
            }
            Field::DESTINATION_PORT | Field::ORIGINAL_PORT | Field::SOURCE_PORT => {
                let port = u16::try_from(value).ok()?;
                let own = |old: u16, is: Field| {
                    if (field == Field::SOURCE_PORT) == (is == Field::SOURCE_PORT) { port } else { old }
                };
                let (from, to) = (Field::SOURCE_PORT, Field::DESTINATION_PORT);
                packet.payload = match packet.payload {
                    Payload::Tcp { source, destination, flags } => {
                        Payload::Tcp { source: own(source, from), destination: own(destination, to), flags }
                    }
                    Payload::Udp { source, destination } => {
                        Payload::Udp { source: own(source, from), destination: own(destination, to) }
                    }
                    Payload::Sctp { source, destination } => {
                        Payload::Sctp { source: own(source, from), destination: own(destination, to) }
                    }
                    _ => return None,
                };
                let source = match packet.payload {
                    Payload::Tcp { source, .. } | Payload::Udp { source, .. } | Payload::Sctp { source, .. } => source,
                    _ => 1,
                };
                // The port from which nothing is sent.
                if source == 0 {
                    return None;
                }
            }
            Field::PROTOCOL => {
                let (source, destination) = match packet.payload {
                    Payload::Tcp { source, destination, .. }
                    | Payload::Udp { source, destination }
                    | Payload::Sctp { source, destination } => (source, destination),
                    _ => (FRESH, 80),
                };
                packet.payload = match (value, family) {
                    (5..=7, _) => Payload::Udp { source, destination },
                    (16..=18, _) => Payload::Tcp { source, destination, flags: SYN },
                    (131..=133, _) => Payload::Sctp { source, destination },
                    (46 | 48, _) => Payload::Other(47),
                    (49 | 51, _) => Payload::Other(50),
                    _ => return None,
                };
            }
            Field::ICMP => match &mut packet.payload {
                Payload::Icmp { kind, code, .. } => {
                    [*kind, *code] = u16::try_from(value).ok()?.to_be_bytes();
                    let known: &[u8] = if family == Family::Ipv4 { &[8, 0, 3] } else { &[128, 129, 1] };
                    if !known.contains(kind) {
                        return None;
                    }
                }
                _ => return None,
            },
            Field::MAC if !from_host => {
                let mac = mac_of(value);
                if mac[0] & 1 == 1 || mac == [0; 6] {
                    return None;
                }
                probe.mac = Some(mac);
            }
            Field::STATE => match &mut packet.payload {
                Payload::Tcp { flags, .. } => *flags = if *flags == SYN { ACK } else { SYN },
                _ => return None,
            },
            _ => return None,
        }
        Some(probe)
    }
}

/// The state in which a packet that belongs to no connection begins: new, or invalid.
pub fn state(packet: &Packet) -> u8 {
    let opens = match packet.payload {
        Payload::Tcp { flags, .. } => flags == SYN,
        Payload::Icmp { kind, .. } => kind == 8 || kind == 128,
        _ => true,
    };
    if opens { 0 } else { 3 }
}

/// The Ethernet source that a probe arrives with.
pub fn mac(probe: &Probe) -> [u8; 6] {
    probe.mac.unwrap_or(DEFAULT_MAC)
}

/// The values that both sides allow: nothing, if there are none; no values, if neither side says any.
fn both(one: Option<&Values>, other: Option<&Values>) -> Option<Option<Values>> {
    match (one, other) {
        (Some(one), Some(other)) => one.intersection(other).map(Some),
        (one, other) => Some(one.or(other).cloned()),
    }
}

fn values(list: impl IntoIterator<Item = u128>) -> Values {
    Values::union(list.into_iter().map(|value| (value, value))).expect("there are some")
}

/// Whether a neighbour can send from there: an ordinary address, and not one of the host's.
fn is_source(plan: &HostPlan, address: IpAddr) -> bool {
    is_ordinary(address) && !plan.is_edge(address)
}

/// Whether what goes there is for the host or routed on.
fn is_destination(plan: &HostPlan, address: IpAddr) -> bool {
    is_ordinary(address) && (plan.owns(address) || !plan.is_edge(address))
}

fn is_ordinary(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => matches!(address.octets()[0], 1..=126 | 128..=223) && !address.is_link_local(),
        IpAddr::V6(address) => {
            let first = address.segments()[0];
            first & 0xe000 == 0x2000 || first & 0xff00 == 0xfd00
        }
    }
}

fn of(text: &str) -> u128 {
    number(text.parse().expect("an address"))
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

fn address(number: u128, family: Family) -> IpAddr {
    match family {
        Family::Ipv4 => Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX)).into(),
        Family::Ipv6 => Ipv6Addr::from(number).into(),
    }
}

fn number_of_mac(mac: [u8; 6]) -> u128 {
    mac.into_iter().fold(0, |number, byte| number << 8 | u128::from(byte))
}

fn mac_of(number: u128) -> [u8; 6] {
    let bytes = number.to_be_bytes();
    bytes[10..].try_into().expect("six bytes")
}
