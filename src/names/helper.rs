//! Conntrack helpers that Linux has (net/netfilter/nf_conntrack_*.c, net/ipv4/netfilter). Since Linux 6.0 none is given to a
//! connection by itself: a rule must say `CT --helper` or `ct helper set`.

use crate::net::{Family, Protocol};

/// A helper as it is registered for one protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Helper {
    /// Name in a policy.
    pub name: &'static str,
    /// Name in the kernel, which `CT --helper` takes.
    pub kernel: &'static str,
    /// Module to load.
    pub module: &'static str,
    /// Protocol of the connection that it reads.
    pub protocol: Protocol,
    /// Port of that connection by custom.
    pub port: u16,
    /// Whether it reads IPv6, too.
    pub ipv6: bool,
}

const fn helper(
    name: &'static str,
    kernel: &'static str,
    module: &'static str,
    protocol: Protocol,
    port: u16,
    ipv6: bool,
) -> Helper {
    Helper { name, kernel, module, protocol, port, ipv6 }
}

/// All of them. A name that the kernel registers for two protocols, or under two names, stands here twice.
pub const HELPERS: &[Helper] = &[
    helper("amanda", "amanda", "nf_conntrack_amanda", Protocol::UDP, 10080, true),
    helper("ftp", "ftp", "nf_conntrack_ftp", Protocol::TCP, 21, true),
    helper("h323", "RAS", "nf_conntrack_h323", Protocol::UDP, 1719, true),
    helper("h323", "Q.931", "nf_conntrack_h323", Protocol::TCP, 1720, true),
    helper("irc", "irc", "nf_conntrack_irc", Protocol::TCP, 6667, false),
    helper("netbios-ns", "netbios-ns", "nf_conntrack_netbios_ns", Protocol::UDP, 137, false),
    helper("pptp", "pptp", "nf_conntrack_pptp", Protocol::TCP, 1723, false),
    helper("sane", "sane", "nf_conntrack_sane", Protocol::TCP, 6566, true),
    helper("sip", "sip", "nf_conntrack_sip", Protocol::UDP, 5060, true),
    helper("sip", "sip", "nf_conntrack_sip", Protocol::TCP, 5060, true),
    helper("snmp", "snmp", "nf_conntrack_snmp", Protocol::UDP, 161, false),
    helper("tftp", "tftp", "nf_conntrack_tftp", Protocol::UDP, 69, true),
];

impl Helper {
    /// Whether it reads connections of a family.
    #[must_use]
    pub fn reads(&self, family: Family) -> bool {
        family == Family::Ipv4 || self.ipv6
    }
}

/// The registrations of a helper, by its name in a policy or in the kernel; empty if there is none.
#[must_use]
pub fn lookup(name: &str) -> Vec<Helper> {
    let known = |helper: &&Helper| helper.name.eq_ignore_ascii_case(name) || helper.kernel == name;
    HELPERS.iter().filter(known).copied().collect()
}

/// Every name, for suggestions.
pub fn names() -> impl Iterator<Item = &'static str> {
    HELPERS.iter().map(|helper| helper.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helpers_are_found_with_protocol_and_port() {
        let ftp = lookup("ftp");
        assert_eq!((ftp.len(), ftp[0].protocol, ftp[0].port), (1, Protocol::TCP, 21));
        assert_eq!(lookup("sip").len(), 2);
        assert_eq!(lookup("h323").len(), 2);
        assert_eq!(lookup("RAS").len(), 1);
        assert!(lookup("pptp").iter().all(|helper| !helper.reads(Family::Ipv6) && helper.reads(Family::Ipv4)));
        assert!(lookup("gopher").is_empty());
    }
}
