//! The fields of a packet as nft names them.

use super::lex::{Kind, Token};
use crate::net::{Family, Protocol};
use crate::netfilter::MarkWord;

/// A field, as far as the netfilter form knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    InInterface,
    OutInterface,
    Source(Family),
    Destination(Family),
    /// `meta l4proto`; with a family, `ip protocol`.
    Protocol(Option<Family>),
    NfProto,
    /// `ip6 nexthdr`.
    NextHeader,
    /// `meta protocol`, `ether type`.
    EtherType,
    Version(Family),
    /// Of this protocol, or of any.
    SourcePort(Option<Protocol>),
    DestinationPort(Option<Protocol>),
    IcmpType(Family),
    IcmpCode(Family),
    TcpFlags,
    State,
    Status,
    Direction,
    OriginalSource(Option<Family>),
    OriginalDestination(Option<Family>),
    OriginalPort,
    Mark(MarkWord),
    SourceMac,
    User,
    PacketType,
    DestinationType,
    SourceType,
    Hour,
    Day,
    Dscp(Family),
    /// `tcp option maxseg size`.
    MaximumSegment,
    /// A field that is not modelled.
    Other,
}

/// Keys that stand with `meta` or alone.
const META: &[&str] = &[
    "iif",
    "oif",
    "iifname",
    "oifname",
    "mark",
    "iiftype",
    "oiftype",
    "skuid",
    "skgid",
    "nftrace",
    "rtclassid",
    "ibriport",
    "obriport",
    "ibrname",
    "obrname",
    "pkttype",
    "cpu",
    "iifgroup",
    "oifgroup",
    "cgroup",
    "time",
    "day",
    "hour",
    "priority",
    "protocol",
    "length",
    "l4proto",
    "nfproto",
    "random",
    "ipsec",
    "iifkind",
    "oifkind",
    "ibrpvid",
    "ibrvproto",
    "sdif",
    "sdifname",
    "broute",
    "ibrhwaddr",
];

/// Those that the kernel's listing writes alone (nftables, `src/meta.c`).
const LISTED_ALONE: &[&str] = &["iif", "oif", "iifname", "oifname", "iifgroup", "oifgroup"];

/// How the kernel's listing begins a comparison, and the words that follow: `meta` stands before all keys but a few.
pub(super) fn as_listed<'t, 's>(tokens: &'t [Token<'s>]) -> (&'static str, &'t [Token<'s>]) {
    match tokens {
        [meta, rest @ ..] if meta.is("meta") && rest.first().is_some_and(|key| LISTED_ALONE.contains(&key.text)) => {
            ("", rest)
        }
        [key, ..] if META.contains(&key.text) && !LISTED_ALONE.contains(&key.text) => ("meta ", tokens),
        _ => ("", tokens),
    }
}

/// Headers whose fields are one word.
const HEADERS: &[&str] = &[
    "ip", "ip6", "tcp", "udp", "udplite", "sctp", "dccp", "th", "ether", "arp", "ah", "esp", "comp", "icmp", "icmpv6",
    "igmp", "vlan", "hbh", "frag", "dst", "mh", "srh", "gre", "gretap", "vxlan", "geneve",
];

/// Reads a field at the beginning of `tokens`: what it is, and how many tokens it takes.
pub(super) fn read(tokens: &[Token]) -> Option<(Field, usize)> {
    let word = |at: usize| tokens.get(at).filter(|token| token.kind == Kind::Word).map_or("", |token| token.text);
    let first = word(0);
    if first == "meta" && META.contains(&word(1)) {
        return Some((meta(word(1)), 2));
    }
    if META.contains(&first) {
        return Some((meta(first), 1));
    }
    match first {
        "ct" => return connection(tokens),
        "fib" => return fib(tokens),
        "tcp" if word(1) == "option" => {
            // `tcp option maxseg size`, `tcp option sack exists`.
            let field = if (word(2), word(3)) == ("maxseg", "size") { Field::MaximumSegment } else { Field::Other };
            let alone = matches!(word(3), "exists" | "missing" | "" | "!=" | "==");
            return (!word(2).is_empty()).then_some((field, if alone { 3 } else { 4 }));
        }
        "ip" if word(1) == "option" => {
            let alone = matches!(word(3), "exists" | "missing" | "" | "!=" | "==");
            return (!word(2).is_empty()).then_some((Field::Other, if alone { 3 } else { 4 }));
        }
        "rt" => {
            let length = if matches!(word(1), "ip" | "ip6") { 3 } else { 2 };
            return (!word(length - 1).is_empty()).then_some((Field::Other, length));
        }
        "socket" if word(1) == "cgroupv2" => return Some((Field::Other, 4)),
        "socket" | "osf" if !word(1).is_empty() => return Some((Field::Other, 2)),
        "exthdr" => return Some((Field::Other, 2)),
        _ => {}
    }
    if HEADERS.contains(&first) && !word(1).is_empty() {
        return Some((header(first, word(1)), 2));
    }
    None
}

fn meta(key: &str) -> Field {
    match key {
        "iif" | "iifname" => Field::InInterface,
        "oif" | "oifname" => Field::OutInterface,
        "mark" => Field::Mark(MarkWord::Packet),
        "skuid" => Field::User,
        "pkttype" => Field::PacketType,
        "day" => Field::Day,
        "hour" => Field::Hour,
        "protocol" => Field::EtherType,
        "l4proto" => Field::Protocol(None),
        "nfproto" => Field::NfProto,
        _ => Field::Other,
    }
}

fn header(header: &str, field: &str) -> Field {
    let ports = match header {
        "tcp" => Some(Some(Protocol::TCP)),
        "udp" => Some(Some(Protocol::UDP)),
        "sctp" => Some(Some(Protocol::SCTP)),
        "dccp" => Some(Some(Protocol(33))),
        "udplite" => Some(Some(Protocol(136))),
        "th" => Some(None),
        _ => None,
    };
    match (header, field, ports) {
        (_, "sport", Some(protocol)) => Field::SourcePort(protocol),
        (_, "dport", Some(protocol)) => Field::DestinationPort(protocol),
        ("ip", "saddr", _) => Field::Source(Family::Ipv4),
        ("ip6", "saddr", _) => Field::Source(Family::Ipv6),
        ("ip", "daddr", _) => Field::Destination(Family::Ipv4),
        ("ip6", "daddr", _) => Field::Destination(Family::Ipv6),
        ("ip6", "nexthdr", _) => Field::NextHeader,
        ("ip", "protocol", _) => Field::Protocol(Some(Family::Ipv4)),
        ("ip", "version", _) => Field::Version(Family::Ipv4),
        ("ip6", "version", _) => Field::Version(Family::Ipv6),
        ("ip", "dscp", _) => Field::Dscp(Family::Ipv4),
        ("ip6", "dscp", _) => Field::Dscp(Family::Ipv6),
        ("tcp", "flags", _) => Field::TcpFlags,
        ("icmp", "type", _) => Field::IcmpType(Family::Ipv4),
        ("icmp", "code", _) => Field::IcmpCode(Family::Ipv4),
        ("icmpv6", "type", _) => Field::IcmpType(Family::Ipv6),
        ("icmpv6", "code", _) => Field::IcmpCode(Family::Ipv6),
        ("ether", "saddr", _) => Field::SourceMac,
        ("ether", "type", _) => Field::EtherType,
        _ => Field::Other,
    }
}

/// `ct state`, `ct original proto-dst`, `ct original ip daddr`, `ct original daddr`.
fn connection(tokens: &[Token]) -> Option<(Field, usize)> {
    let word = |at: usize| tokens.get(at).filter(|token| token.kind == Kind::Word).map_or("", |token| token.text);
    let direction = matches!(word(1), "original" | "reply");
    let at = if direction { 2 } else { 1 };
    let family = match word(at) {
        "ip" if direction => Some(Family::Ipv4),
        "ip6" if direction => Some(Family::Ipv6),
        _ => None,
    };
    let at = if family.is_some() { at + 1 } else { at };
    let field = match (word(1), word(at)) {
        (_, "") => return None,
        ("state", _) => Field::State,
        ("status", _) => Field::Status,
        ("direction", _) => Field::Direction,
        ("mark", _) => Field::Mark(MarkWord::Connection),
        ("original", "saddr") => Field::OriginalSource(family),
        ("original", "daddr") => Field::OriginalDestination(family),
        ("original", "proto-dst") => Field::OriginalPort,
        _ => Field::Other,
    };
    Some((field, at + 1))
}

/// `fib daddr type`, `fib saddr . iif oif`.
fn fib(tokens: &[Token]) -> Option<(Field, usize)> {
    let word = |at: usize| tokens.get(at).filter(|token| token.kind == Kind::Word).map_or("", |token| token.text);
    let mut at = 2;
    while word(at) == "." {
        at += 2;
    }
    let field = match (at, word(1), word(at)) {
        (2, "daddr", "type") => Field::DestinationType,
        (2, "saddr", "type") => Field::SourceType,
        (_, _, "type" | "oif" | "oifname" | "check") => Field::Other,
        _ => return None,
    };
    Some((field, at + 1))
}
