//! Names of the ways to refuse a packet: those of iptables' `--reject-with` (libipt_REJECT, libip6t_REJECT, with their short
//! forms) and of nft's `reject with icmp`, `icmpv6` and `icmpx`. The names of one family mean the nearest answer in the other.

use crate::netfilter::Reject;

/// The first name of a kind is the one that fwc's own texts use.
const KINDS: &[(&str, Reject)] = &[
    ("port-unreachable", Reject::PortUnreachable),
    ("icmp-port-unreachable", Reject::PortUnreachable),
    ("icmp6-port-unreachable", Reject::PortUnreachable),
    ("port-unreach", Reject::PortUnreachable),
    ("host-unreachable", Reject::HostUnreachable),
    ("icmp-host-unreachable", Reject::HostUnreachable),
    ("host-unreach", Reject::HostUnreachable),
    ("address-unreachable", Reject::HostUnreachable),
    ("addr-unreachable", Reject::HostUnreachable),
    ("icmp6-addr-unreachable", Reject::HostUnreachable),
    ("addr-unreach", Reject::HostUnreachable),
    ("network-unreachable", Reject::NetworkUnreachable),
    ("net-unreachable", Reject::NetworkUnreachable),
    ("icmp-net-unreachable", Reject::NetworkUnreachable),
    ("net-unreach", Reject::NetworkUnreachable),
    ("no-route", Reject::NetworkUnreachable),
    ("icmp6-no-route", Reject::NetworkUnreachable),
    ("host-prohibited", Reject::HostProhibited),
    ("icmp-host-prohibited", Reject::HostProhibited),
    ("host-prohib", Reject::HostProhibited),
    ("network-prohibited", Reject::NetworkProhibited),
    ("net-prohibited", Reject::NetworkProhibited),
    ("icmp-net-prohibited", Reject::NetworkProhibited),
    ("net-prohib", Reject::NetworkProhibited),
    ("admin-prohibited", Reject::AdminProhibited),
    ("icmp-admin-prohibited", Reject::AdminProhibited),
    ("admin-prohib", Reject::AdminProhibited),
    ("adm-prohibited", Reject::AdminProhibited),
    ("icmp6-adm-prohibited", Reject::AdminProhibited),
    ("tcp-reset", Reject::TcpReset),
    ("tcp-rst", Reject::TcpReset),
];

/// The kind that a name means.
#[must_use]
pub fn lookup(name: &str) -> Option<Reject> {
    KINDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|&(_, kind)| kind)
}

/// The name of a kind in fwc's own texts.
#[must_use]
pub fn name(kind: Reject) -> &'static str {
    KINDS.iter().find(|&&(_, known)| known == kind).map_or("port-unreachable", |&(name, _)| name)
}

/// The name of each kind in fwc's own texts, for suggestions.
pub fn names() -> impl Iterator<Item = &'static str> {
    KINDS.iter().filter(|&&(known, kind)| name(kind) == known).map(|&(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_found_by_the_names_of_both_tools() {
        assert_eq!(lookup("icmp-host-prohibited"), lookup("host-prohibited"));
        assert_eq!(lookup("icmp6-adm-prohibited"), Some(Reject::AdminProhibited));
        assert_eq!(lookup("TCP-reset"), Some(Reject::TcpReset));
        assert_eq!(lookup("politely"), None);
        for entry in names() {
            let kind = lookup(entry).expect(entry);
            assert_eq!(lookup(name(kind)), Some(kind), "{entry}");
        }
    }
}
