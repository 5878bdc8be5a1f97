//! What stands on the right of a comparison or a change: names and numbers of nft.

use super::super::address;
use super::lex::Token;
use crate::names;
use crate::net::Family;
use crate::net::hours::DAYS;
use crate::netfilter::{Effect, IcmpType, MarkWord, State};

/// A conntrack state.
pub(super) fn state(name: &str) -> Option<u8> {
    Some(match name {
        "new" => State::NEW,
        "established" => State::ESTABLISHED,
        "related" => State::RELATED,
        "invalid" => State::INVALID,
        "untracked" => State::UNTRACKED,
        _ => return None,
    })
}

/// TCP flags: one by name, or all of them as a number.
pub(super) fn tcp_flag(part: &[Token]) -> Option<u8> {
    let text = super::compare::text_of(part)?;
    let names = ["fin", "syn", "rst", "psh", "ack", "urg", "ecn", "cwr"];
    names
        .iter()
        .position(|name| *name == text)
        .map(|at| 1 << at)
        .or_else(|| address::number(text).and_then(|number| u8::try_from(number).ok()))
}

pub(super) fn seconds(unit: &str) -> Option<u32> {
    Some(match unit {
        "second" => 1,
        "minute" => 60,
        "hour" => 3600,
        "day" => 86_400,
        "week" => 604_800,
        _ => return None,
    })
}

/// Codes by number, or by the names that nft has for those of "destination unreachable".
pub(super) fn icmp_code(family: Family, text: &str) -> Option<u8> {
    if let Some(number) = address::number(text) {
        return u8::try_from(number).ok();
    }
    Some(match (family, text) {
        (Family::Ipv4, "net-unreachable") => 0,
        (Family::Ipv4, "host-unreachable") => 1,
        (Family::Ipv4, "prot-unreachable") => 2,
        (Family::Ipv4, "port-unreachable") => 3,
        (Family::Ipv4, "frag-needed") => 4,
        (Family::Ipv4, "net-prohibited") => 9,
        (Family::Ipv4, "host-prohibited") => 10,
        (Family::Ipv4, "admin-prohibited") => 13,
        (Family::Ipv6, "no-route") => 0,
        (Family::Ipv6, "admin-prohibited") => 1,
        (Family::Ipv6, "addr-unreachable") => 3,
        (Family::Ipv6, "port-unreachable") => 4,
        (Family::Ipv6, "policy-fail") => 5,
        (Family::Ipv6, "reject-route") => 6,
        _ => return None,
    })
}

/// `destination-unreachable . frag-needed`, `8 . 0-255`.
pub(super) fn icmp_pair(family: Family, part: &[Token], list: &mut Vec<IcmpType>) -> Option<()> {
    let [kind, dot, code] = part else { return None };
    if !dot.is(".") {
        return None;
    }
    let types = names::icmp::lookup(family, kind.text)?;
    for IcmpType { kind, code: of_type } in types {
        if of_type.is_some() {
            return None;
        }
        // The listing may name the first code of a range: `net-unreachable-255`.
        let ends = code
            .text
            .rsplit_once('-')
            .and_then(|(first, last)| Some((icmp_code(family, first)?, icmp_code(family, last)?)));
        match (icmp_code(family, code.text), ends) {
            (Some(code), _) => list.push(IcmpType { kind, code: Some(code) }),
            (None, Some((0, 255))) => list.push(IcmpType { kind, code: None }),
            (None, Some((first, last))) => list.extend((first..=last).map(|code| IcmpType { kind, code: Some(code) })),
            _ => return None,
        }
    }
    Some(())
}

/// What a mark becomes: `(mark & keep) ^ flip`, of itself or of the other mark. Read from left to right, as nft's precedence has it where
/// `&` comes first.
pub(super) fn mark(word: MarkWord, value: &[Token]) -> Option<Effect> {
    let (from, mut rest) = match value {
        [one] if !one.is("mark") => (None, value.get(..0)?),
        [meta, mark, rest @ ..] if meta.is("meta") && mark.is("mark") => (Some(MarkWord::Packet), rest),
        [ct, mark, rest @ ..] if ct.is("ct") && mark.is("mark") => (Some(MarkWord::Connection), rest),
        [mark, rest @ ..] if mark.is("mark") => (Some(MarkWord::Packet), rest),
        _ => return None,
    };
    let (mut keep, mut flip) = match (from, value) {
        (None, [one]) => (0, address::number(one.text)?),
        _ => (u32::MAX, 0),
    };
    let mut weakest = 0;
    while let [op, operand, after @ ..] = rest {
        let number = address::number(operand.text)?;
        let strength = match op.text {
            "&" | "and" => {
                (keep, flip) = (keep & number, flip & number);
                0
            }
            "^" | "xor" => {
                flip ^= number;
                1
            }
            "|" | "or" => {
                (keep, flip) = (keep & !number, flip | number);
                2
            }
            _ => return None,
        };
        if strength < weakest {
            return None;
        }
        weakest = strength;
        rest = after;
    }
    if !rest.is_empty() {
        return None;
    }
    Some(match word {
        to if from == Some(to.other()) => Effect::CopyMark { to, cleared: u32::MAX, copied: keep, value: flip },
        MarkWord::Packet => Effect::SetMark { value: flip, mask: !keep },
        MarkWord::Connection => Effect::SetConnectionMark { value: flip, mask: !keep },
    })
}

/// Minutes from `08:00`; the last second of the day is its end.
pub(super) fn clock(text: &str) -> Option<u16> {
    if text == "23:59:59" || text == "24:00" {
        return Some(24 * 60);
    }
    let mut parts = text.split(':');
    let (hour, minute) = (address::port(parts.next()?)?, address::port(parts.next()?)?);
    let whole = parts.next().is_none_or(|second| second == "00") && parts.next().is_none();
    (whole && hour < 24 && minute < 60).then_some(hour * 60 + minute)
}

/// The place of a day in the week, Monday first; nft's numbers begin with Sunday.
pub(super) fn day(text: &str) -> Option<u8> {
    if let Some(at) = DAYS.iter().position(|name| *name == text) {
        return u8::try_from(at).ok();
    }
    match address::port(text)? {
        0 => Some(6),
        number @ 1..=6 => u8::try_from(number - 1).ok(),
        _ => None,
    }
}
