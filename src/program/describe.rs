//! Sets of packets, and what becomes of them, in words.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::names;
use crate::net::{AddressRange, Family, Protocol};
use crate::netfilter::{Effect, MarkWord, Verdict};
use crate::packet::field::{Word, number_name};
use crate::packet::values::Range;
use crate::packet::{Cube, Field, Universe, Values};

const STATES: [&str; 5] = ["new", "established", "related", "invalid", "untracked"];

/// One packet of a cube: a value for each field that it narrows.
#[must_use]
pub fn packet(cube: &Cube, universe: &Universe) -> String {
    let words = cube.parts().iter().map(|(field, values)| {
        let first = one_of(*field, values);
        value(*field, (first, first), universe)
    });
    list(words.collect())
}

/// All packets of a cube.
#[must_use]
pub fn cube(cube: &Cube, universe: &Universe) -> String {
    let words = cube.parts().iter().map(|(field, values)| {
        let shown: Vec<String> = values.ranges().iter().take(4).map(|range| value(*field, *range, universe)).collect();
        let more = values.ranges().len().saturating_sub(4);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{}{more}", shown.join(" or "))
    });
    list(words.collect())
}

/// A verdict: `accept`, `drop`, `dnat to 172.17.0.2:80`.
#[must_use]
pub fn verdict(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Accept => "accept".to_owned(),
        Verdict::Drop => "drop".to_owned(),
        Verdict::Reject(kind) => format!("reject with {}", names::reject::name(*kind)),
        Verdict::Return => "return".to_owned(),
        Verdict::Jump(chain) => format!("jump {chain}"),
        Verdict::Goto(chain) => format!("goto {chain}"),
        Verdict::Dnat { address, port: None } => format!("dnat to {address}"),
        Verdict::Dnat { address, port: Some(port) } => format!("dnat to {}", SocketAddr::new(*address, *port)),
        Verdict::Snat(address) => format!("snat to {address}"),
        Verdict::Masquerade => "masquerade".to_owned(),
        Verdict::Redirect(port) => format!("redirect to port {port}"),
        Verdict::Map { .. } => "a look-up".to_owned(),
        Verdict::Unknown(text) => format!("`{text}`"),
    }
}

/// An effect: `log "refused: "`, `mark 0x1`.
#[must_use]
pub fn effect(effect: &Effect) -> String {
    match effect {
        Effect::Log { prefix, level } => {
            let level = names::syslog::name(*level).map(|name| format!(" level {name}")).unwrap_or_default();
            format!("log {prefix:?}{level}")
        }
        Effect::SetMark { value, mask } if *mask == u32::MAX => format!("mark {value:#x}"),
        Effect::SetMark { value, mask } => format!("mark {value:#x}/{mask:#x}"),
        Effect::SetConnectionMark { value, mask } if *mask == u32::MAX => format!("connection mark {value:#x}"),
        Effect::SetConnectionMark { value, mask } => format!("connection mark {value:#x}/{mask:#x}"),
        Effect::CopyMark { to, copied, value, .. } => {
            let (to, from) = match to {
                MarkWord::Packet => ("mark", "connection mark"),
                MarkWord::Connection => ("connection mark", "mark"),
            };
            match (*copied, *value) {
                (u32::MAX, 0) => format!("{to} = {from}"),
                (copied, value) if copied == !value => format!("{to} = {from} | {value:#x}"),
                (copied, 0) => format!("{to} = {from} & {copied:#x}"),
                (copied, value) => format!("{to} = {from} & {copied:#x} ^ {value:#x}"),
            }
        }
        Effect::SetDscp(value) => format!("dscp {value:#04x}"),
        Effect::ClampMss => "clamp mss".to_owned(),
        Effect::Notrack => "notrack".to_owned(),
        Effect::Helper(name) => format!("helper {name}"),
        Effect::Unknown(text) | Effect::OpenMarks(text) => format!("`{text}`"),
    }
}

fn list(words: Vec<String>) -> String {
    if words.is_empty() { "any packet".to_owned() } else { words.join(", ") }
}

/// A value that a person can read, if there is one: a name that an interface can have.
fn one_of(field: Field, values: &Values) -> u128 {
    let name = [Field::IN_INTERFACE, Field::OUT_INTERFACE, Field::IN_PORT, Field::OUT_PORT].contains(&field);
    let ranges = values.ranges();
    let starts = ranges.iter().flat_map(|range| {
        let usual = ["eth0", "eth1", "wlan0", "x0"].map(crate::packet::field::name_number);
        std::iter::once(range.0).chain(usual.into_iter().filter(|usual| (range.0..=range.1).contains(usual)))
    });
    let mut readable = starts.filter(|number| !name || number_name(*number).is_some());
    readable.next().unwrap_or(values.hull().0)
}

fn value(field: Field, range: Range, universe: &Universe) -> String {
    let (first, last) = range;
    let numbers = || if first == last { first.to_string() } else { format!("{first}-{last}") };
    match field {
        Field::SOURCE | Field::DESTINATION | Field::ORIGINAL_DESTINATION | Field::ORIGINAL_SOURCE => {
            let text = addresses(universe.family(), range);
            match field {
                Field::SOURCE => format!("from {text}"),
                Field::DESTINATION => format!("to {text}"),
                Field::ORIGINAL_SOURCE => format!("opened from {text}"),
                _ => format!("dialled at {text}"),
            }
        }
        Field::PROTOCOL => match u8::try_from(first) {
            Ok(number) if first == last => Protocol(number).to_string(),
            _ => format!("protocol {}", numbers()),
        },
        Field::STATE => {
            let names = (first..=last).filter_map(|state| STATES.get(usize::try_from(state).ok()?));
            names.copied().collect::<Vec<_>>().join(" or ")
        }
        Field::ICMP if first == last => format!("icmp type {} code {}", first >> 8, first & 0xff),
        Field::ICMP => format!("icmp type {}", first >> 8),
        Field::DESTINATION_PORT => format!("port {}", numbers()),
        Field::SOURCE_PORT => format!("source port {}", numbers()),
        Field::ORIGINAL_PORT => format!("dialled port {}", numbers()),
        Field::IN_INTERFACE => format!("in by {}", card(range)),
        Field::OUT_INTERFACE => format!("out by {}", card(range)),
        Field::IN_PORT => format!("in by bridge port {}", card(range)),
        Field::OUT_PORT => format!("out by bridge port {}", card(range)),
        Field::MAC => format!("MAC {}", mac(first)),
        field if field.is_condition() => {
            let words = universe.condition(field).map_or_else(|| "a condition".to_owned(), ToString::to_string);
            if first == 1 { format!("`{words}`") } else { format!("not `{words}`") }
        }
        field => match universe.bits(field, first) {
            Some((Word::Mark(MarkWord::Packet), bits)) => format!("mark {:#x}/{:#x}", bits.value, bits.mask),
            Some((Word::Mark(MarkWord::Connection), bits)) => {
                format!("connection mark {:#x}/{:#x}", bits.value, bits.mask)
            }
            Some((Word::TcpFlags, bits)) => format!("flags {:#x}/{:#x}", bits.value, bits.mask),
            None if first == last && first == 1 => field.to_string(),
            None if first == last => format!("not {field}"),
            None => format!("any {field}"),
        },
    }
}

fn addresses(family: Family, (first, last): Range) -> String {
    let address = |number: u128| match family {
        Family::Ipv4 => IpAddr::V4(Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX))),
        Family::Ipv6 => IpAddr::V6(Ipv6Addr::from(number)),
    };
    AddressRange::new(address(first), address(last)).map_or_else(String::new, |range| range.to_string())
}

fn card((first, last): Range) -> String {
    if first == last {
        return number_name(first).unwrap_or_else(|| "no interface".to_owned());
    }
    match (number_name(first), number_name(last)) {
        (Some(name), _) => format!("{name} and names behind it"),
        _ => "any other interface".to_owned(),
    }
}

fn mac(number: u128) -> String {
    let bytes = number.to_be_bytes();
    let last: Vec<String> = bytes.iter().skip(10).map(|byte| format!("{byte:02x}")).collect();
    last.join(":")
}
