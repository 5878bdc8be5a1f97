//! The vocabulary of packets that every stage shares: families, addresses, ports, protocols, interface names.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

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

/// An inclusive range of addresses of one family. Whether it is a prefix is asked of [`AddressRange::prefix`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AddressRange {
    /// First address.
    pub first: IpAddr,
    /// Last address, of the same family, not below `first`.
    pub last: IpAddr,
}

impl AddressRange {
    /// A range; `None` if the families differ or the ends are the wrong way round.
    #[must_use]
    pub fn new(first: IpAddr, last: IpAddr) -> Option<Self> {
        (Family::of(first) == Family::of(last) && first <= last).then_some(Self { first, last })
    }

    /// One address.
    #[must_use]
    pub fn single(address: IpAddr) -> Self {
        Self { first: address, last: address }
    }

    /// Its family.
    #[must_use]
    pub fn family(&self) -> Family {
        Family::of(self.first)
    }

    /// Whether `address` lies inside.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        Family::of(address) == self.family() && self.first <= address && address <= self.last
    }

    /// The prefix that is exactly this range, if there is one.
    #[must_use]
    pub fn prefix(&self) -> Option<IpNet> {
        let prefixes = self.prefixes();
        (prefixes.len() == 1).then(|| prefixes[0])
    }

    /// The fewest prefixes that cover the range exactly.
    #[must_use]
    pub fn prefixes(&self) -> Vec<IpNet> {
        match (self.first, self.last) {
            (IpAddr::V4(first), IpAddr::V4(last)) => ipnet::Ipv4Subnets::new(first, last, 0).map(IpNet::V4).collect(),
            (IpAddr::V6(first), IpAddr::V6(last)) => ipnet::Ipv6Subnets::new(first, last, 0).map(IpNet::V6).collect(),
            _ => Vec::new(),
        }
    }

    fn number(address: IpAddr) -> u128 {
        match address {
            IpAddr::V4(address) => u128::from(u32::from(address)),
            IpAddr::V6(address) => u128::from(address),
        }
    }

    fn address(family: Family, number: u128) -> IpAddr {
        match family {
            // A number of an IPv4 range always fits: it came from one.
            Family::Ipv4 => IpAddr::V4(Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX))),
            Family::Ipv6 => IpAddr::V6(Ipv6Addr::from(number)),
        }
    }
}

impl From<IpNet> for AddressRange {
    fn from(net: IpNet) -> Self {
        Self { first: net.network(), last: net.broadcast() }
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else if let Some(prefix) = self.prefix() {
            write!(f, "{prefix}")
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

/// The length and the ends: a list of 100,000 is put into tables as often as rules name it.
fn hash_ends<T: Hash, H: Hasher>(all: &[T], state: &mut H) {
    all.len().hash(state);
    all.iter().take(4).chain(all.iter().rev().take(4)).for_each(|range| range.hash(state));
}

/// Whether two shared lists are equal; most that are equal are one.
fn same<T: PartialEq>(one: &Arc<[T]>, other: &Arc<[T]>) -> bool {
    Arc::ptr_eq(one, other) || one == other
}

/// A set of addresses of both families: sorted, disjoint, merged ranges. IPv4 stands before IPv6. Shared by all that name it: a range
/// takes 34 bytes, and what holds a set is small that way.
#[derive(Clone, Debug, Default, Eq)]
pub struct AddressSet(Arc<[AddressRange]>);

impl PartialEq for AddressSet {
    fn eq(&self, other: &Self) -> bool {
        same(&self.0, &other.0)
    }
}

impl Hash for AddressSet {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_ends(&self.0, state);
    }
}

impl AddressSet {
    /// The union of `ranges`.
    #[must_use]
    pub fn new(ranges: impl IntoIterator<Item = AddressRange>) -> Self {
        let mut ranges = ranges.into_iter();
        let Some(first) = ranges.next() else { return Self::default() };
        let Some(second) = ranges.next() else { return Self(Arc::from([first])) };
        let mut ranges: Vec<AddressRange> = [first, second].into_iter().chain(ranges).collect();
        ranges.sort_unstable();
        let mut merged: Vec<AddressRange> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match merged.last_mut() {
                Some(last)
                    if last.family() == range.family()
                        && AddressRange::number(range.first) <= AddressRange::number(last.last).saturating_add(1) =>
                {
                    last.last = last.last.max(range.last);
                }
                _ => merged.push(range),
            }
        }
        Self(merged.into())
    }

    /// Every address of `family`.
    #[must_use]
    pub fn all(family: Family) -> Self {
        let max = if family == Family::Ipv4 { u128::from(u32::MAX) } else { u128::MAX };
        Self(Arc::from([AddressRange {
            first: AddressRange::address(family, 0),
            last: AddressRange::address(family, max),
        }]))
    }

    /// The ranges, in order.
    #[must_use]
    pub fn ranges(&self) -> &[AddressRange] {
        &self.0
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges().is_empty()
    }

    /// The part of one family.
    #[must_use]
    pub fn of_family(&self, family: Family) -> Self {
        if self.ranges().first().is_some_and(|range| range.family() == family)
            && self.ranges().last().is_some_and(|range| range.family() == family)
        {
            return self.clone();
        }
        Self(self.ranges().iter().copied().filter(|range| range.family() == family).collect())
    }

    /// Whether it has members of one family.
    #[must_use]
    pub fn has_family(&self, family: Family) -> bool {
        // IPv4 stands first, IPv6 last.
        let ends = [self.ranges().first(), self.ranges().last()];
        ends.into_iter().flatten().any(|range| range.family() == family)
    }

    /// Whether every member of `other` is a member.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        // Ranges that touch are one, so that a range of `other` has to lie in one of ours.
        other.ranges().iter().all(|range| {
            let after = self.ranges().partition_point(|own| own.first <= range.first);
            after
                .checked_sub(1)
                .and_then(|at| self.ranges().get(at))
                .is_some_and(|own| own.family() == range.family() && range.last <= own.last)
        })
    }

    /// Whether anything is a member of both.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        let (mut left, mut right) = (0, 0);
        while let (Some(a), Some(b)) = (self.ranges().get(left), other.ranges().get(right)) {
            if a.first <= b.last && b.first <= a.last {
                return true;
            }
            if a.last <= b.last { left += 1 } else { right += 1 }
        }
        false
    }

    /// Whether `address` is a member.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let after = self.ranges().partition_point(|range| range.first <= address);
        after.checked_sub(1).and_then(|at| self.ranges().get(at)).is_some_and(|range| range.contains(address))
    }

    /// Members of either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self::new(self.ranges().iter().chain(other.ranges()).copied())
    }

    /// Members of both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let mut out = Vec::new();
        let (mut left, mut right) = (0, 0);
        while let (Some(a), Some(b)) = (self.ranges().get(left), other.ranges().get(right)) {
            if let Some(both) = AddressRange::new(a.first.max(b.first), a.last.min(b.last)) {
                out.push(both);
            }
            if a.last <= b.last { left += 1 } else { right += 1 }
        }
        Self(out.into())
    }

    /// Members of `self` that `other` lacks.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let gaps = Family::BOTH.into_iter().flat_map(|family| other.gaps(family));
        self.intersection(&Self(gaps.collect()))
    }

    fn gaps(&self, family: Family) -> Vec<AddressRange> {
        let max = if family == Family::Ipv4 { u128::from(u32::MAX) } else { u128::MAX };
        let mut next = Some(0u128);
        let mut out = Vec::new();
        let mut push = |from: u128, to: u128| {
            out.push(AddressRange {
                first: AddressRange::address(family, from),
                last: AddressRange::address(family, to),
            });
        };
        for range in self.ranges().iter().filter(|range| range.family() == family) {
            let (first, last) = (AddressRange::number(range.first), AddressRange::number(range.last));
            if let Some(from) = next
                && from < first
            {
                push(from, first - 1);
            }
            next = (last < max).then(|| last + 1);
        }
        if let Some(from) = next {
            push(from, max);
        }
        out
    }
}

impl FromIterator<AddressRange> for AddressSet {
    fn from_iter<T: IntoIterator<Item = AddressRange>>(ranges: T) -> Self {
        Self::new(ranges)
    }
}

/// Reads `10.1.1.1`, `10.0.0.0/8`, `10.0.0.1-10.0.0.9`, and the same for IPv6. Host bits beyond a prefix are cleared.
impl FromStr for AddressRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some((first, last)) = text.split_once('-') {
            let (first, last) = (parse_address(first)?, parse_address(last)?);
            return Self::new(first, last)
                .ok_or_else(|| format!("`{text}` is not a range: its end lies before its start"));
        }
        if let Some((address, length)) = text.split_once('/') {
            let address = parse_address(address)?;
            let length: u8 = length.parse().map_err(|_| format!("`{length}` is not a prefix length"))?;
            let net = match address {
                IpAddr::V4(address) => Ipv4Net::new(address, length).map(IpNet::V4),
                IpAddr::V6(address) => Ipv6Net::new(address, length).map(IpNet::V6),
            };
            return net
                .map(|net| Self::from(net.trunc()))
                .map_err(|_| format!("`/{length}` is longer than the address `{address}`"));
        }
        parse_address(text).map(Self::single)
    }
}

fn parse_address(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| format!("`{text}` is not an IP address"))
}

/// An inclusive range of ports (or of any 16-bit field).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortRange {
    /// First port.
    pub first: u16,
    /// Last port, not below `first`.
    pub last: u16,
}

impl PortRange {
    /// One port.
    #[must_use]
    pub fn single(port: u16) -> Self {
        Self { first: port, last: port }
    }
}

/// A set of ports: sorted, disjoint, merged. Empty means none, not any.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PortSet(PortRanges);

/// Port ranges in order. Nearly every set has one, kept without memory of its own; a long list is shared by all that name it.
#[derive(Clone, Debug, Eq)]
enum PortRanges {
    /// Exactly one.
    One([PortRange; 1]),
    /// None, or several.
    Many(Arc<[PortRange]>),
}

impl PortRanges {
    fn as_slice(&self) -> &[PortRange] {
        match self {
            Self::One(one) => one,
            Self::Many(many) => many,
        }
    }
}

impl PartialEq for PortRanges {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Many(one), Self::Many(other)) => same(one, other),
            _ => self.as_slice() == other.as_slice(),
        }
    }
}

impl Hash for PortRanges {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_ends(self.as_slice(), state);
    }
}

impl From<Vec<PortRange>> for PortRanges {
    fn from(ranges: Vec<PortRange>) -> Self {
        <[PortRange; 1]>::try_from(ranges).map_or_else(|many| Self::Many(many.into()), Self::One)
    }
}

impl Default for PortRanges {
    fn default() -> Self {
        Self::Many(Arc::default())
    }
}

impl PortSet {
    /// The union of `ranges`.
    #[must_use]
    pub fn new(ranges: impl IntoIterator<Item = PortRange>) -> Self {
        let mut ranges = ranges.into_iter();
        let Some(first) = ranges.next() else { return Self::default() };
        let Some(second) = ranges.next() else { return Self(PortRanges::One([first])) };
        let mut ranges: Vec<PortRange> = [first, second].into_iter().chain(ranges).collect();
        ranges.sort_unstable();
        let mut merged: Vec<PortRange> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match merged.last_mut() {
                Some(last) if range.first <= last.last.saturating_add(1) => last.last = last.last.max(range.last),
                _ => merged.push(range),
            }
        }
        Self(merged.into())
    }

    /// The ranges, in order.
    #[must_use]
    pub fn ranges(&self) -> &[PortRange] {
        self.0.as_slice()
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges().is_empty()
    }

    /// Whether any port of the range is a member.
    #[must_use]
    pub fn meets(&self, range: PortRange) -> bool {
        let after = self.ranges().partition_point(|own| own.last < range.first);
        self.ranges().get(after).is_some_and(|own| own.first <= range.last)
    }

    /// Whether `port` is a member.
    #[must_use]
    pub fn contains(&self, port: u16) -> bool {
        self.meets(PortRange::single(port))
    }

    /// Members of both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let mut out = Vec::new();
        let (mut left, mut right) = (0, 0);
        while let (Some(a), Some(b)) = (self.ranges().get(left), other.ranges().get(right)) {
            let (first, last) = (a.first.max(b.first), a.last.min(b.last));
            if first <= last {
                out.push(PortRange { first, last });
            }
            if a.last <= b.last { left += 1 } else { right += 1 }
        }
        Self(out.into())
    }

    /// Members of either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self::new(self.ranges().iter().chain(other.ranges()).copied())
    }
}

impl FromIterator<PortRange> for PortSet {
    fn from_iter<T: IntoIterator<Item = PortRange>>(ranges: T) -> Self {
        Self::new(ranges)
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { write!(f, "{}", self.first) } else { write!(f, "{}-{}", self.first, self.last) }
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
