//! The vocabulary of packets that every stage shares: families, addresses, ports, protocols, interface names.

mod address;
pub mod hours;
mod port;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

pub use address::{AddressRange, AddressRanges, AddressSet, PackedRange, address_number, numbered_address};
pub use hours::Hours;
pub use port::{PortRange, PortSet};

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

impl Family {
    /// Both, in the order in which output is written.
    pub const BOTH: [Self; 2] = [Self::Ipv4, Self::Ipv6];

    /// The family of an address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::Ipv4 } else { Self::Ipv6 }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
        })
    }
}

/// An IP protocol number (IANA "Assigned Internet Protocol Numbers").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Protocol(pub u8);

impl Protocol {
    /// ICMP.
    pub const ICMP: Self = Self(1);
    /// TCP.
    pub const TCP: Self = Self(6);
    /// UDP.
    pub const UDP: Self = Self(17);
    /// ICMP for IPv6.
    pub const ICMPV6: Self = Self(58);
    /// SCTP.
    pub const SCTP: Self = Self(132);

    /// Names that iptables, nft and `/etc/protocols` agree on.
    pub const NAMES: [(&'static str, u8); 16] = [
        ("icmp", 1),
        ("igmp", 2),
        ("ipip", 4),
        ("tcp", 6),
        ("egp", 8),
        ("udp", 17),
        ("dccp", 33),
        ("gre", 47),
        ("esp", 50),
        ("ah", 51),
        ("icmpv6", 58),
        ("ospf", 89),
        ("pim", 103),
        ("vrrp", 112),
        ("sctp", 132),
        ("udplite", 136),
    ];

    /// Whether it has source and destination ports where conntrack and the port matches expect them.
    #[must_use]
    pub fn has_ports(self) -> bool {
        [Self::TCP, Self::UDP, Self::SCTP, Self(33), Self(136)].contains(&self)
    }

    /// By name or number.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::NAMES
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|&(_, number)| Self(number))
            .or_else(|| name.parse().ok().map(Self))
    }

    /// Its name, if it is one of [`Protocol::NAMES`].
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        Self::NAMES.iter().find(|&&(_, number)| number == self.0).map(|&(name, _)| name)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

/// An interface name as netfilter matches it: exact, or a prefix (`br-+` in iptables, `br-*` in nft).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Card {
    /// The name, or what names begin with. At most 15 bytes (IFNAMSIZ less the final NUL).
    pub name: String,
    /// Whether every name that begins so is meant.
    pub prefix: bool,
}

impl Card {
    /// The longest interface name that the kernel takes.
    pub const MAX: usize = 15;

    /// Exactly this interface.
    pub fn exact(name: impl Into<String>) -> Self {
        Self { name: name.into(), prefix: false }
    }

    /// Reads `eth0`, `br-+` or `br-*`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text.strip_suffix(['+', '*']) {
            Some(name) => Self { name: name.to_owned(), prefix: true },
            None => Self::exact(text),
        }
    }

    /// The name of an interface that it takes: its own, or one that begins with it.
    #[must_use]
    pub fn sample(&self) -> String {
        if self.prefix { format!("{}0", self.name) } else { self.name.clone() }
    }

    /// Whether the kernel's tools take this name as it is: both refuse more than 15 bytes with the sign for any ending; iptables reads
    /// a dash or `!` at the beginning and `+` at the end as its own, nft `*` and a backslash, and neither knows quotation marks inside.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"\"'\\*".contains(&byte);
        self.name.len() + usize::from(self.prefix) <= Self::MAX
            && (self.prefix || !(self.name.is_empty() || self.name.ends_with('+')))
            && !self.name.starts_with(['-', '!'])
            && self.name.bytes().all(plain)
    }

    /// Whether an interface of this name is meant.
    #[must_use]
    pub fn matches(&self, interface: &str) -> bool {
        if self.prefix { interface.starts_with(&self.name) } else { interface == self.name }
    }

    /// Whether every interface that `other` means is meant here too.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.matches(&other.name) && (self.prefix || !other.prefix)
    }
}

impl fmt::Display for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.name, if self.prefix { "+" } else { "" })
    }
}

/// An Ethernet address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// The address as a number of 48 bits.
    #[must_use]
    pub fn number(self) -> u128 {
        self.0.iter().fold(0, |number, byte| number << 8 | u128::from(*byte))
    }
}

impl FromStr for Mac {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("`{text}` is not a MAC address such as `1e:0b:85:27:8d:65`");
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts.next().filter(|part| part.len() == 2).ok_or_else(wrong)?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| wrong())?;
        }
        if parts.next().is_some() { Err(wrong()) } else { Ok(Self(bytes)) }
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> AddressSet {
        text.split_whitespace().map(|part| part.parse::<AddressRange>().expect(part)).collect()
    }

    #[test]
    fn packed_ranges_are_those_that_were_packed_in_the_same_order() {
        let texts = [
            "10.0.0.0/8",
            "10.0.0.1",
            "9.9.9.9-10.0.0.3",
            "::/0",
            "2001:db8::1",
            "2001:db8::1-2001:db8::9",
            "0.0.0.0/0",
        ];
        let mut ranges: Vec<AddressRange> = texts.map(|text| text.parse().expect(text)).to_vec();
        let mut packed: Vec<PackedRange> = ranges.iter().map(|range| PackedRange::from(*range)).collect();
        ranges.sort_unstable();
        packed.sort_unstable();
        assert_eq!(packed.iter().map(PackedRange::unpacked).collect::<Vec<_>>(), ranges);
    }

    #[test]
    fn address_sets_merge_intersect_and_subtract() {
        assert_eq!(set("10.0.0.0/9 10.128.0.0/9").ranges().len(), 1);
        assert_eq!(set("10.0.0.0/8").difference(&set("10.0.0.0/9")), set("10.128.0.0/9"));
        assert_eq!(
            set("10.0.0.0/8 2001:db8::/32").intersection(&set("10.1.0.0/16 ::/0")),
            set("10.1.0.0/16 2001:db8::/32")
        );
        assert_eq!(AddressSet::all(Family::Ipv4).difference(&set("0.0.0.0/1")), set("128.0.0.0/1"));
        assert!(set("0.0.0.0/0").difference(&set("0.0.0.0/0")).is_empty());
        assert_eq!(set("::/0").difference(&set("10.0.0.0/8")), set("::/0"));
    }

    #[test]
    fn a_range_is_written_as_briefly_as_it_can_be() {
        assert_eq!("10.0.0.0-10.0.0.255".parse::<AddressRange>().expect("range").to_string(), "10.0.0.0/24");
        assert_eq!("10.0.0.1-10.0.0.3".parse::<AddressRange>().expect("range").to_string(), "10.0.0.1-10.0.0.3");
        assert!("10.0.0.3-10.0.0.1".parse::<AddressRange>().is_err());
    }
}
