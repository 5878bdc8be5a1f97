//! Names of ICMP and ICMPv6 types, and of the codes that have names of their own: those of iptables (`iptables -p icmp -h`,
//! extensions/libxt_icmp.h) and those of nft (`nft describe icmp type`).

use crate::net::Family;
use crate::netfilter::IcmpType;

/// A name, the type, and the code where the name means one.
type Entry = (&'static str, u8, Option<u8>);

/// ICMP for IPv4. The first name of a number is the one that is written in output.
const IPV4: &[Entry] = &[
    ("echo-reply", 0, None),
    ("pong", 0, None),
    ("destination-unreachable", 3, None),
    ("network-unreachable", 3, Some(0)),
    ("net-unreachable", 3, Some(0)),
    ("host-unreachable", 3, Some(1)),
    ("protocol-unreachable", 3, Some(2)),
    ("prot-unreachable", 3, Some(2)),
    ("port-unreachable", 3, Some(3)),
    ("fragmentation-needed", 3, Some(4)),
    ("frag-needed", 3, Some(4)),
    ("source-route-failed", 3, Some(5)),
    ("network-unknown", 3, Some(6)),
    ("host-unknown", 3, Some(7)),
    ("network-prohibited", 3, Some(9)),
    ("net-prohibited", 3, Some(9)),
    ("host-prohibited", 3, Some(10)),
    ("tos-network-unreachable", 3, Some(11)),
    ("tos-host-unreachable", 3, Some(12)),
    ("communication-prohibited", 3, Some(13)),
    ("admin-prohibited", 3, Some(13)),
    ("host-precedence-violation", 3, Some(14)),
    ("precedence-cutoff", 3, Some(15)),
    ("source-quench", 4, None),
    ("redirect", 5, None),
    ("network-redirect", 5, Some(0)),
    ("host-redirect", 5, Some(1)),
    ("tos-network-redirect", 5, Some(2)),
    ("tos-host-redirect", 5, Some(3)),
    ("echo-request", 8, None),
    ("ping", 8, None),
    ("router-advertisement", 9, None),
    ("router-solicitation", 10, None),
    ("time-exceeded", 11, None),
    ("ttl-exceeded", 11, None),
    ("ttl-zero-during-transit", 11, Some(0)),
    ("ttl-zero-during-reassembly", 11, Some(1)),
    ("parameter-problem", 12, None),
    ("ip-header-bad", 12, Some(0)),
    ("required-option-missing", 12, Some(1)),
    ("timestamp-request", 13, None),
    ("timestamp-reply", 14, None),
    ("info-request", 15, None),
    ("info-reply", 16, None),
    ("address-mask-request", 17, None),
    ("address-mask-reply", 18, None),
];

/// ICMP for IPv6. The first name of a number is the one that is written in output.
const IPV6: &[Entry] = &[
    ("destination-unreachable", 1, None),
    ("no-route", 1, Some(0)),
    ("communication-prohibited", 1, Some(1)),
    ("admin-prohibited", 1, Some(1)),
    ("beyond-scope", 1, Some(2)),
    ("address-unreachable", 1, Some(3)),
    ("addr-unreachable", 1, Some(3)),
    ("port-unreachable", 1, Some(4)),
    ("failed-policy", 1, Some(5)),
    ("policy-fail", 1, Some(5)),
    ("reject-route", 1, Some(6)),
    ("packet-too-big", 2, None),
    ("time-exceeded", 3, None),
    ("ttl-exceeded", 3, None),
    ("ttl-zero-during-transit", 3, Some(0)),
    ("ttl-zero-during-reassembly", 3, Some(1)),
    ("parameter-problem", 4, None),
    ("bad-header", 4, Some(0)),
    ("unknown-header-type", 4, Some(1)),
    ("unknown-option", 4, Some(2)),
    ("echo-request", 128, None),
    ("ping", 128, None),
    ("echo-reply", 129, None),
    ("pong", 129, None),
    ("mld-listener-query", 130, None),
    ("mld-listener-report", 131, None),
    ("mld-listener-done", 132, None),
    ("mld-listener-reduction", 132, None),
    ("router-solicitation", 133, None),
    ("nd-router-solicit", 133, None),
    ("router-advertisement", 134, None),
    ("nd-router-advert", 134, None),
    ("neighbour-solicitation", 135, None),
    ("neighbor-solicitation", 135, None),
    ("nd-neighbor-solicit", 135, None),
    ("neighbour-advertisement", 136, None),
    ("neighbor-advertisement", 136, None),
    ("nd-neighbor-advert", 136, None),
    ("redirect", 137, None),
    ("nd-redirect", 137, None),
    ("router-renumbering", 138, None),
    ("ind-neighbor-solicit", 141, None),
    ("ind-neighbor-advert", 142, None),
    ("mld2-listener-report", 143, None),
];

fn table(family: Family) -> &'static [Entry] {
    match family {
        Family::Ipv4 => IPV4,
        Family::Ipv6 => IPV6,
    }
}

/// The types that a name means in a family: a name of either tool, a number `3`, or a number and a code `3/4`. `None`: the
/// family has no such message.
#[must_use]
pub fn lookup(family: Family, name: &str) -> Option<Vec<IcmpType>> {
    let found: Vec<IcmpType> = table(family)
        .iter()
        .filter(|(known, ..)| known.eq_ignore_ascii_case(name))
        .map(|&(_, kind, code)| IcmpType { kind, code })
        .collect();
    if !found.is_empty() {
        return Some(found);
    }
    let (kind, code) = match name.split_once('/') {
        Some((kind, code)) => (kind, Some(number(code)?)),
        None => (name, None),
    };
    Some(vec![IcmpType { kind: number(kind)?, code }])
}

/// Digits alone: `u8::from_str` would also take `+3`.
fn number(text: &str) -> Option<u8> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// Every name of a family, for suggestions.
pub fn names(family: Family) -> impl Iterator<Item = &'static str> {
    table(family).iter().map(|&(name, ..)| name)
}

/// The name of a type and code as iptables writes it, if it has one.
#[must_use]
pub fn name(family: Family, icmp: IcmpType) -> Option<&'static str> {
    table(family).iter().find(|&&(_, kind, code)| kind == icmp.kind && code == icmp.code).map(|&(name, ..)| name)
}

/// What connection tracking makes of a message that belongs to no known connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrackedAs {
    /// It opens one.
    Opens,
    /// It is left out of tracking.
    Untracked,
    /// It is invalid.
    Invalid,
}

/// What tracking makes of messages of a type: nf_conntrack_proto_icmp.c and nf_conntrack_proto_icmpv6.c (`valid_new`,
/// `noct_valid_new`). Errors and answers that belong to a known connection are related or established.
#[must_use]
pub fn tracked_as(family: Family, kind: u8) -> TrackedAs {
    match (family, kind) {
        (Family::Ipv4, 8 | 13 | 15 | 17) | (Family::Ipv6, 128 | 139) => TrackedAs::Opens,
        (Family::Ipv6, 130..=136 | 143) => TrackedAs::Untracked,
        _ => TrackedAs::Invalid,
    }
}

/// Whether messages of a type are errors about connections, or answers in one.
#[must_use]
pub fn belongs_to_connections(family: Family, kind: u8) -> bool {
    match family {
        Family::Ipv4 => matches!(kind, 0 | 3 | 4 | 5 | 11 | 12 | 14 | 16 | 18),
        Family::Ipv6 => matches!(kind, 1..=4 | 129 | 140),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_tools_names_mean_the_same() {
        for (iptables, nft) in [
            ("neighbour-solicitation", "nd-neighbor-solicit"),
            ("router-advertisement", "nd-router-advert"),
            ("communication-prohibited", "admin-prohibited"),
        ] {
            assert_eq!(lookup(Family::Ipv6, iptables), lookup(Family::Ipv6, nft), "{iptables}");
            assert!(lookup(Family::Ipv6, iptables).is_some());
        }
        assert_eq!(lookup(Family::Ipv4, "frag-needed"), Some(vec![IcmpType { kind: 3, code: Some(4) }]));
    }

    #[test]
    fn families_have_names_of_their_own() {
        assert_eq!(lookup(Family::Ipv4, "packet-too-big"), None);
        assert_eq!(lookup(Family::Ipv6, "fragmentation-needed"), None);
        assert_eq!(lookup(Family::Ipv4, "echo-request"), Some(vec![IcmpType { kind: 8, code: None }]));
        assert_eq!(lookup(Family::Ipv6, "Echo-Request"), Some(vec![IcmpType { kind: 128, code: None }]));
    }

    #[test]
    fn numbers_are_names_too() {
        assert_eq!(lookup(Family::Ipv4, "3/4"), Some(vec![IcmpType { kind: 3, code: Some(4) }]));
        assert_eq!(lookup(Family::Ipv6, "143"), Some(vec![IcmpType { kind: 143, code: None }]));
        for bad in ["256", "3/", "/4", "+3", "3/4/5", "", "-1"] {
            assert_eq!(lookup(Family::Ipv4, bad), None, "{bad}");
        }
    }

    #[test]
    fn every_name_is_there_once_and_comes_back() {
        for family in Family::BOTH {
            for entry in names(family) {
                assert_eq!(names(family).filter(|other| *other == entry).count(), 1, "{entry}");
                let types = lookup(family, entry).expect(entry);
                let canonical = name(family, types[0]).expect(entry);
                assert_eq!(lookup(family, canonical), Some(types));
            }
        }
    }
}
