//! Matches, verdicts and sets of packets in words that people use.

use std::net::IpAddr;

use crate::names;
use crate::net::{AddressRange, Card, Family, Protocol};
pub use crate::net::{address_number, numbered_address as address};
use crate::netfilter::{IcmpType, Match, MatchKind, State};
use crate::packet::field::{name_among, number_name};
use crate::packet::{Cube, Field, Universe, Values};
pub use crate::program::describe::{effect, verdict};

/// More values than this are counted, not listed.
const LISTED: usize = 6;

/// Puts a comma between items; of a long list, how many more there are.
fn list(items: impl Iterator<Item = String>) -> String {
    let all: Vec<String> = items.collect();
    let shown = all.iter().take(LISTED).cloned().collect::<Vec<_>>().join(", ");
    match all.len().checked_sub(LISTED) {
        None | Some(0) => shown,
        Some(more) => format!("{shown} and {more} more"),
    }
}

/// The states of a set, by name.
const STATES: [(u8, &str); 5] = [
    (State::NEW, "new"),
    (State::ESTABLISHED, "established"),
    (State::RELATED, "related"),
    (State::INVALID, "invalid"),
    (State::UNTRACKED, "untracked"),
];

/// A connection state by its number.
#[must_use]
pub fn state(number: u128) -> &'static str {
    usize::try_from(number).ok().and_then(|at| STATES.get(at)).map_or("unknown", |(_, name)| name)
}

fn cards(cards: &[Card]) -> String {
    list(cards.iter().map(ToString::to_string))
}

fn icmp(family: Family, one: IcmpType) -> String {
    names::icmp::name(family, one).map_or_else(
        || one.code.map_or_else(|| one.kind.to_string(), |code| format!("{}/{code}", one.kind)),
        ToOwned::to_owned,
    )
}

/// What a match asks for: `destination port 22`, `not arrival interface docker0`.
#[must_use]
pub fn asked(item: &Match, family: Family) -> String {
    let text = match &item.kind {
        MatchKind::InInterface(list) => format!("arrival interface {}", cards(list)),
        MatchKind::OutInterface(list) => format!("departure interface {}", cards(list)),
        MatchKind::InPort(list) => format!("bridge port of arrival {}", cards(list)),
        MatchKind::OutPort(list) => format!("bridge port of departure {}", cards(list)),
        MatchKind::Bridged => "a bridged frame".to_owned(),
        MatchKind::Source(set) => format!("source {}", list(set.ranges().iter().map(range))),
        MatchKind::Destination(set) => format!("destination {}", list(set.ranges().iter().map(range))),
        MatchKind::DestinationLocal => "a destination on this host".to_owned(),
        MatchKind::SourceLocal => "a source on this host".to_owned(),
        MatchKind::DestinationBroadcast => "a broadcast destination".to_owned(),
        MatchKind::DestinationMulticast => "a multicast destination".to_owned(),
        MatchKind::Protocol(protocols) => format!("protocol {}", list(protocols.iter().map(ToString::to_string))),
        MatchKind::SourcePort(ports) => format!("source port {}", list(ports.ranges().iter().map(ToString::to_string))),
        MatchKind::DestinationPort(ports) => {
            format!("destination port {}", list(ports.ranges().iter().map(ToString::to_string)))
        }
        MatchKind::IcmpType(types) => format!("icmp type {}", list(types.iter().map(|one| icmp(family, *one)))),
        MatchKind::TcpFlags { mask, set } => format!("tcp flags {set:#04x} of {mask:#04x}"),
        MatchKind::State(states) => {
            let named = STATES.iter().filter(|(bit, _)| states & bit != 0).map(|(_, name)| (*name).to_owned());
            format!("state {}", list(named))
        }
        MatchKind::DirectionOriginal => "the direction in which the connection was opened".to_owned(),
        MatchKind::DestinationTranslated => "a translated destination".to_owned(),
        MatchKind::SourceTranslated => "a translated source".to_owned(),
        MatchKind::OriginalSource(set) => format!("original source {}", list(set.ranges().iter().map(range))),
        MatchKind::OriginalDestination(set) => format!("dialled address {}", list(set.ranges().iter().map(range))),
        MatchKind::OriginalDestinationPort(ports) => {
            format!("dialled port {}", list(ports.ranges().iter().map(ToString::to_string)))
        }
        MatchKind::Mark { value, mask } if *mask == u32::MAX => format!("mark {value:#x}"),
        MatchKind::Mark { value, mask } => format!("mark {value:#x}/{mask:#x}"),
        MatchKind::ConnectionMark { value, mask } if *mask == u32::MAX => format!("connection mark {value:#x}"),
        MatchKind::ConnectionMark { value, mask } => format!("connection mark {value:#x}/{mask:#x}"),
        MatchKind::SourceMac(macs) => format!("source MAC {}", list(macs.iter().map(ToString::to_string))),
        MatchKind::User(user) => format!("user {user}"),
        MatchKind::InSet(asked) => {
            format!("{} in set {}", list(asked.fields.iter().map(ToString::to_string)), asked.set)
        }
        MatchKind::Limit(limit) => format!("at most {} in {} s", limit.count, limit.seconds),
        MatchKind::ConnectionsAbove { count, .. } => format!("more than {count} connections"),
        MatchKind::Time { .. } => "a time of day or week".to_owned(),
        MatchKind::Unknown(text) => format!("`{text}`"),
    };
    if item.negated { format!("not {text}") } else { text }
}

/// The field that a match compares, where it is one.
#[must_use]
pub fn compared(item: &Match) -> Option<Field> {
    Some(match &item.kind {
        MatchKind::InInterface(_) => Field::IN_INTERFACE,
        MatchKind::OutInterface(_) => Field::OUT_INTERFACE,
        MatchKind::InPort(_) => Field::IN_PORT,
        MatchKind::OutPort(_) => Field::OUT_PORT,
        MatchKind::Source(_) => Field::SOURCE,
        MatchKind::Destination(_) => Field::DESTINATION,
        MatchKind::Protocol(_) => Field::PROTOCOL,
        MatchKind::SourcePort(_) => Field::SOURCE_PORT,
        MatchKind::DestinationPort(_) => Field::DESTINATION_PORT,
        MatchKind::IcmpType(_) => Field::ICMP,
        MatchKind::State(_) => Field::STATE,
        MatchKind::OriginalSource(_) => Field::ORIGINAL_SOURCE,
        MatchKind::OriginalDestination(_) => Field::ORIGINAL_DESTINATION,
        MatchKind::OriginalDestinationPort(_) => Field::ORIGINAL_PORT,
        MatchKind::SourceMac(_) => Field::MAC,
        _ => return None,
    })
}

/// `192.0.2.1:80`, `[2001:db8::1]:80`.
#[must_use]
pub fn endpoint(address: IpAddr, port: u16) -> String {
    std::net::SocketAddr::new(address, port).to_string()
}

fn range(range: &AddressRange) -> String {
    match range.prefix() {
        Some(prefix) if prefix.prefix_len() == prefix.max_prefix_len() => prefix.addr().to_string(),
        _ => range.to_string(),
    }
}

/// One value of a field.
#[must_use]
pub fn value(field: Field, number: u128, universe: &Universe) -> String {
    match field {
        Field::STATE => state(number).to_owned(),
        Field::DIRECTION => if number == 0 { "original" } else { "reply" }.to_owned(),
        Field::SOURCE_PORT | Field::DESTINATION_PORT | Field::ORIGINAL_PORT => number.to_string(),
        Field::PROTOCOL => u8::try_from(number).map_or_else(|_| number.to_string(), |one| Protocol(one).to_string()),
        Field::ICMP => {
            let (kind, code) = (u8::try_from(number >> 8).unwrap_or(0), u8::try_from(number & 0xff).unwrap_or(0));
            let whole = names::icmp::name(universe.family(), IcmpType { kind, code: Some(code) });
            let kind_alone = names::icmp::name(universe.family(), IcmpType { kind, code: None }).filter(|_| code == 0);
            whole.or(kind_alone).map_or_else(|| format!("{kind}/{code}"), ToOwned::to_owned)
        }
        Field::IN_INTERFACE | Field::OUT_INTERFACE | Field::IN_PORT | Field::OUT_PORT => {
            number_name(number).unwrap_or_else(|| if number == 0 { "none".to_owned() } else { "another".to_owned() })
        }
        Field::SOURCE | Field::DESTINATION | Field::ORIGINAL_DESTINATION | Field::ORIGINAL_SOURCE => {
            address(number, universe.family()).to_string()
        }
        Field::MAC => {
            let bytes = number.to_be_bytes();
            let six = bytes.get(10..).unwrap_or_default();
            six.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
        }
        _ => match universe.bits(field, number) {
            Some((_, bits)) => format!("{:#x}/{:#x}", bits.value, bits.mask),
            None => if number == 0 { "no" } else { "yes" }.to_owned(),
        },
    }
}

fn values_range(field: Field, (first, last): (u128, u128), universe: &Universe) -> String {
    match field {
        Field::SOURCE | Field::DESTINATION | Field::ORIGINAL_DESTINATION | Field::ORIGINAL_SOURCE => {
            let family = universe.family();
            let both = AddressRange::new(address(first, family), address(last, family));
            both.as_ref().map_or_else(String::new, |both| match both.prefix() {
                Some(_) => range(both),
                None => {
                    let prefixes = both.prefixes();
                    if prefixes.len() <= 3 { list(prefixes.iter().map(ToString::to_string)) } else { both.to_string() }
                }
            })
        }
        Field::IN_INTERFACE | Field::OUT_INTERFACE | Field::IN_PORT | Field::OUT_PORT if first != last => {
            // The names that begin alike.
            let bytes = first.to_be_bytes();
            let length = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
            let tail = if length >= 16 { 0 } else { u128::MAX >> (8 * length) };
            match (number_name(first), last == first | tail) {
                (Some(name), true) => format!("{name}+"),
                _ => format!("names from {} to {}", edge(first), edge(last)),
            }
        }
        _ if first == last => value(field, first, universe),
        Field::ICMP if first & 0xff == 0 && last == first | 0xff => {
            let kind = u8::try_from(first >> 8).unwrap_or(0);
            icmp(universe.family(), IcmpType { kind, code: None })
        }
        Field::ICMP => match (first & 0xff, last & 0xff) {
            (0, 0xff) => format!("types {}-{}", first >> 8, last >> 8),
            (from, to) if first >> 8 == last >> 8 => format!("type {} codes {from}-{to}", first >> 8),
            (from, to) => format!("type/code {}/{from} to {}/{to}", first >> 8, last >> 8),
        },
        Field::DESTINATION_PORT | Field::SOURCE_PORT | Field::ORIGINAL_PORT => format!("{first}-{last}"),
        _ => format!("{}-{}", value(field, first, universe), value(field, last, universe)),
    }
}

fn edge(number: u128) -> String {
    let bytes = number.to_be_bytes();
    let shown: String = bytes.iter().take_while(|byte| byte.is_ascii_graphic()).map(|byte| char::from(*byte)).collect();
    if shown.is_empty() { "any".to_owned() } else { shown }
}

/// The values of a field, the shorter of what they are and what they are not.
#[must_use]
pub fn values(field: Field, values: &Values, universe: &Universe) -> String {
    let shown = |values: &Values| list(values.ranges().iter().map(|range| values_range(field, *range, universe)));
    let names = [Field::IN_INTERFACE, Field::OUT_INTERFACE, Field::IN_PORT, Field::OUT_PORT].contains(&field);
    // Numbers that no name has say nothing.
    let named = |values: Values| {
        if !names {
            return Some(values);
        }
        let ranges = values.ranges();
        let real = ranges.iter().filter(|range| name_among(range.0, range.1).is_some());
        Values::union(real.copied())
    };
    let (Some(own), others) = (named(values.clone()), universe.complement(field, values).and_then(named)) else {
        return "none".to_owned();
    };
    match others {
        Some(others) if others.ranges().len() < own.ranges().len() || (names && odd(&own) && !odd(&others)) => {
            format!("not {}", shown(&others))
        }
        None if names => "any".to_owned(),
        _ => shown(&own),
    }
}

/// Whether interfaces are said by more than their names and what names begin with.
fn odd(values: &Values) -> bool {
    values.ranges().iter().any(|(first, last)| {
        let bytes = first.to_be_bytes();
        let length = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        let tail = if length >= 16 { 0 } else { u128::MAX >> (8 * length) };
        number_name(*first).is_none() || !(first == last || *last == first | tail)
    })
}

/// A set of packets: `protocol tcp, destination port 22, source 10.0.0.0/8`. Fields that are as `known` says are left out.
#[must_use]
pub fn cube(cube: &Cube, known: &Cube, universe: &Universe) -> Vec<(String, String)> {
    let mut parts = Vec::new();
    for (field, own) in cube.parts() {
        if known.get(*field).is_some_and(|known| own.covers(known)) {
            continue;
        }
        let said = values(*field, own, universe);
        match universe.condition(*field) {
            Some(condition) => {
                let holds = if own.contains(1) { "holds" } else { "does not hold" };
                parts.push((format!("`{condition}`"), holds.to_owned()));
            }
            None => parts.push((field.to_string(), said)),
        }
    }
    parts
}
