//! A packet in the words that `fwc trace` takes: `tcp 198.51.100.7 -> 203.0.113.10:5432 to host via ens33`.

use std::net::{IpAddr, SocketAddr};

use crate::names::icmp;
use crate::net::{Card, Family, Mac, Protocol};
use crate::net::{address_number, numbered_address};
use crate::netfilter::{Hook, IcmpType};
use crate::packet::field::{name_among, name_number};
use crate::packet::{Cube, Field, Universe, Values};
use crate::policy::{Class, Flow, Policy};

use super::world::World;

/// Addresses that documents use, and such as one meets: the first that is possible is shown.
const OUTSIDE_V4: [&str; 8] =
    ["198.51.100.7", "203.0.113.77", "192.0.2.7", "10.1.1.7", "192.168.1.7", "172.16.1.7", "100.64.0.7", "8.8.8.8"];
const OUTSIDE_V6: [&str; 4] = ["2001:db8:ffff::7", "2001:db8::7", "fd00::7", "2a00::7"];
const HOST: [&str; 2] = ["203.0.113.10", "2001:db8::10"];
const INSIDE: [&str; 3] = ["172.17.0.2", "10.0.3.5", "fd00:17::2"];
/// Cards that hosts have.
const CARDS: [&str; 6] = ["eth0", "ens33", "enp1s0", "wg0", "eth1", "lan0"];
/// Ports that people know.
const PORTS: [u128; 7] = [443, 80, 22, 5432, 53, 8080, 40000];

/// Tells of a packet.
pub(super) struct Teller<'p> {
    pub(super) policy: &'p Policy,
    pub(super) universe: &'p Universe,
    /// From where to where the packet goes, which for an answer is the other way round than the connection.
    pub(super) flow: Flow,
    pub(super) hook: Hook,
    pub(super) world: World,
}

impl Teller<'_> {
    /// One packet of a cube.
    pub(super) fn words(&self, cube: &Cube) -> String {
        let protocol = self.protocol(cube);
        let has_ports = u8::try_from(protocol).is_ok_and(|number| Protocol(number).has_ports());
        let port = |field| cube.get(field).filter(|_| has_ports).map(|values| chosen(values, &PORTS));
        let source = self.address(cube.get(Field::SOURCE), self.flow.from, None);
        let target = self.address(cube.get(Field::DESTINATION), self.flow.to, Some(source));
        let dialled_port = port(Field::ORIGINAL_PORT);
        let translated = self.world == World::Translated;
        let usual = |known: Option<u128>| known.or(has_ports.then_some(443));
        let own_port = port(Field::DESTINATION_PORT).or(dialled_port.filter(|_| translated));
        let kind = self.kind(protocol, cube);
        let (from, to) = (with_port(source, port(Field::SOURCE_PORT)), with_port(target, usual(own_port)));
        let mut text = format!("{kind} {from} -> {to}");
        if translated {
            let dialled = self.address(cube.get(Field::ORIGINAL_DESTINATION), Class::Host, Some(source));
            text.push_str(&format!(" dialled {}", with_port(dialled, usual(dialled_port))));
        }
        text.push_str(&self.cards(cube));
        if let Some(mac) = cube.get(Field::MAC) {
            let bytes = chosen(mac, &[]).to_be_bytes();
            if let Some(&[a, b, c, d, e, f]) = bytes.last_chunk::<6>() {
                text.push_str(&format!(" mac {}", Mac([a, b, c, d, e, f])));
            }
        }
        let mark = self.universe.connection_marks(cube).fold(0, |mark, (_, bits, _)| mark | bits.value);
        if mark != 0 {
            text.push_str(&format!(" connmark {mark:#x}"));
        }
        if self.world.answers() {
            text.push_str(" reply");
        }
        text
    }

    /// One packet of a cube of translated connections, as the client sends it to an address of this host.
    pub(super) fn as_sent(&self, cube: &Cube) -> String {
        let protocol = self.protocol(cube);
        let source = self.address(cube.get(Field::SOURCE), self.flow.from, None);
        let port = |field, wanted: &[u128]| cube.get(field).map(|values| chosen(values, wanted));
        let listed =
            |port: &u128| self.policy.containers.published.iter().any(|one| u128::from(one.ports.first) == *port);
        let known: Vec<u128> = self.policy.containers.published.iter().map(|one| u128::from(one.ports.first)).collect();
        let dialled_port = port(Field::ORIGINAL_PORT, &known).filter(listed).or(port(Field::ORIGINAL_PORT, &PORTS));
        let dialled = self.address(cube.get(Field::ORIGINAL_DESTINATION), Class::Host, Some(source));
        let kind = self.kind(protocol, cube);
        let (from, to) = (with_port(source, port(Field::SOURCE_PORT, &PORTS)), with_port(dialled, dialled_port));
        format!("{kind} {from} -> {to} to host in {}", self.card(cube.get(Field::IN_INTERFACE), self.flow.from, ""))
    }

    fn protocol(&self, cube: &Cube) -> u128 {
        let ports = [Field::DESTINATION_PORT, Field::ORIGINAL_PORT, Field::SOURCE_PORT];
        let icmp = if self.universe.family() == Family::Ipv4 { 1 } else { 58 };
        match cube.get(Field::PROTOCOL) {
            Some(values) => chosen(values, &[6, 17, icmp]),
            None if cube.get(Field::ICMP).is_some() && !ports.iter().any(|port| cube.get(*port).is_some()) => icmp,
            None => 6,
        }
    }

    fn kind(&self, protocol: u128, cube: &Cube) -> String {
        let family = self.universe.family();
        let icmp_number = if family == Family::Ipv4 { 1 } else { 58 };
        if protocol == icmp_number {
            let message = cube.get(Field::ICMP).map_or(8 << 8, |values| chosen(values, &[8 << 8, 128 << 8]));
            let kind = u8::try_from(message >> 8).unwrap_or(u8::MAX);
            let word = if family == Family::Ipv4 { "icmp" } else { "icmpv6" };
            let name = icmp::name(family, IcmpType { kind, code: None });
            return name.map_or_else(|| format!("{word} {kind}"), |name| format!("{word} {name}"));
        }
        let number = u8::try_from(protocol).unwrap_or(u8::MAX);
        match Protocol(number).name() {
            Some(name @ ("tcp" | "udp" | "sctp")) => name.to_owned(),
            Some(name) => format!("protocol {name}"),
            None => format!("protocol {number}"),
        }
    }

    /// An address of a party, not that of the other one if it can be helped.
    fn address(&self, values: Option<&Values>, class: Class, other: Option<IpAddr>) -> IpAddr {
        let family = self.universe.family();
        let facts = self.policy.facts.interfaces.values().flat_map(|card| &card.addresses).map(ipnet::IpNet::addr);
        let facts = facts.filter(|address| !address.is_loopback() && class == Class::Host);
        let listed: &[&[&str]] = match class {
            Class::Outside => &[&OUTSIDE_V4, &OUTSIDE_V6],
            Class::Host => &[&HOST, &OUTSIDE_V4, &OUTSIDE_V6],
            _ => &[&INSIDE, &OUTSIDE_V4, &OUTSIDE_V6],
        };
        let listed = listed.iter().copied().flatten().filter_map(|text| text.parse::<IpAddr>().ok());
        let wanted: Vec<u128> = facts
            .chain(listed)
            .filter(|one| Family::of(*one) == family && Some(*one) != other)
            .map(address_number)
            .collect();
        let value = match values {
            Some(values) => chosen(values, &wanted),
            None => wanted.first().copied().unwrap_or(1),
        };
        numbered_address(value, family)
    }

    fn cards(&self, cube: &Cube) -> String {
        let card = |field, class| self.card(cube.get(field), class, "");
        let ports = cube.get(Field::IN_PORT).is_some() || cube.get(Field::OUT_PORT).is_some();
        let (arrives, leaves) =
            if ports { (Field::IN_PORT, Field::OUT_PORT) } else { (Field::IN_INTERFACE, Field::OUT_INTERFACE) };
        let Flow { from, to } = self.flow;
        match self.hook {
            Hook::Input => format!(" to host via {}", card(arrives, from)),
            Hook::Output => format!(" from host via {}", card(leaves, to)),
            _ => {
                let arrival = card(arrives, from);
                format!(" in {arrival} out {}", self.card(cube.get(leaves), to, &arrival))
            }
        }
    }

    /// A card of a party, not the other one's if it can be helped.
    fn card(&self, values: Option<&Values>, class: Class, other: &str) -> String {
        let policy = self.policy;
        let named = |cards: &[Card]| -> Vec<String> {
            cards
                .iter()
                .map(|card| if card.prefix { format!("{}app", card.name) } else { card.name.to_string() })
                .collect()
        };
        let mut known: Vec<String> = match class {
            Class::Container => named(&policy.cards.container),
            Class::Instance => named(&policy.cards.instance),
            Class::Guest => named(&policy.cards.guest),
            Class::Outside | Class::Host => policy.facts.default_route.iter().cloned().collect(),
        };
        known.extend(policy.facts.interfaces.keys().filter(|name| *name != "lo").cloned());
        known.extend(CARDS.map(str::to_owned));
        // Of policies that name all of those.
        known.extend((2..10).map(|number| format!("eth{number}")));
        known.retain(|name| name != other);
        let Some(values) = values else {
            return known.into_iter().next().unwrap_or_default();
        };
        if let Some(name) = known.into_iter().find(|name| values.contains(name_number(name))) {
            return name;
        }
        values.ranges().iter().find_map(|range| name_among(range.0, range.1)).unwrap_or_default()
    }
}

/// A value: one that is wanted, or else the first that is not all zeros or the first of a network.
fn chosen(values: &Values, wanted: &[u128]) -> u128 {
    if let Some(value) = wanted.iter().find(|value| values.contains(**value)) {
        return *value;
    }
    let (first, last) = values.ranges().first().copied().unwrap_or((0, 0));
    if last > first && (first == 0 || (wanted.len() > 1 && last - first > 2)) { first + 1 } else { first }
}

fn with_port(address: IpAddr, port: Option<u128>) -> String {
    match port.and_then(|port| u16::try_from(port).ok()) {
        Some(port) => SocketAddr::new(address, port).to_string(),
        None => address.to_string(),
    }
}
