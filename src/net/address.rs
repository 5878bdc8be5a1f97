//! Addresses: ranges of one family, and sets of both.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::Family;
use crate::list::{View, hash_ends, same};

/// An inclusive range of addresses of one family. Whether it is a prefix is asked of [`AddressRange::prefix`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AddressRange {
    /// First address.
    pub first: IpAddr,
    /// Last address, of the same family, not below `first`.
    pub last: IpAddr,
}

/// An address as a number: that of its family.
#[must_use]
pub fn address_number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

/// The address of a number; of one that the family does not have, the last.
#[must_use]
pub fn numbered_address(number: u128, family: Family) -> IpAddr {
    match family {
        Family::Ipv4 => IpAddr::V4(Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX))),
        Family::Ipv6 => IpAddr::V6(Ipv6Addr::from(number)),
    }
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

    /// Whether these are addresses that no machine has for itself: those of groups (multicast), and what is above them in IPv4, with that
    /// of everyone on a link at the end.
    #[must_use]
    pub fn is_group(&self) -> bool {
        match self.first {
            IpAddr::V4(first) => first >= Ipv4Addr::new(224, 0, 0, 0),
            IpAddr::V6(first) => first.is_multicast(),
        }
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
}

/// A range in the room of two pointers. Most are of IPv4, and stand in place; the others have memory of their own.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PackedRange(Packed);

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Packed {
    Ipv4(Ipv4Addr, Ipv4Addr),
    Other(Box<AddressRange>),
}

impl From<AddressRange> for PackedRange {
    fn from(range: AddressRange) -> Self {
        Self(match (range.first, range.last) {
            (IpAddr::V4(first), IpAddr::V4(last)) => Packed::Ipv4(first, last),
            _ => Packed::Other(Box::new(range)),
        })
    }
}

impl fmt::Debug for PackedRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.unpacked(), f)
    }
}

impl PackedRange {
    /// The range.
    #[must_use]
    pub fn unpacked(&self) -> AddressRange {
        match &self.0 {
            Packed::Ipv4(first, last) => AddressRange { first: IpAddr::V4(*first), last: IpAddr::V4(*last) },
            Packed::Other(range) => **range,
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

/// A set of addresses of both families: sorted, disjoint, merged ranges. IPv4 stands before IPv6.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct AddressSet(AddressForm);

/// Address ranges in order. Most sets are one range of IPv4, kept without memory of its own; the others are shared by all that name them.
#[derive(Clone, Eq)]
enum AddressForm {
    /// Exactly one range of IPv4 addresses, by its ends.
    Ipv4(Ipv4Addr, Ipv4Addr),
    /// Any other number, or IPv6.
    Many(Arc<[AddressRange]>),
}

impl Default for AddressForm {
    fn default() -> Self {
        Self::Many(Arc::default())
    }
}

impl PartialEq for AddressForm {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Ipv4(first, last), Self::Ipv4(other_first, other_last)) => {
                (first, last) == (other_first, other_last)
            }
            (Self::Many(one), Self::Many(other)) => same(one, other),
            _ => false,
        }
    }
}

impl From<&[AddressRange]> for AddressForm {
    fn from(ranges: &[AddressRange]) -> Self {
        match ranges {
            [AddressRange { first: IpAddr::V4(first), last: IpAddr::V4(last) }] => Self::Ipv4(*first, *last),
            _ => Self::Many(Arc::from(ranges)),
        }
    }
}

/// The ranges of a set of addresses, in order. Reads as a slice.
pub type AddressRanges<'s> = View<'s, AddressRange>;

impl fmt::Debug for AddressSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AddressSet").field(&&*self.ranges()).finish()
    }
}

impl Hash for AddressSet {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_ends(&self.ranges(), state);
    }
}

impl AddressSet {
    /// The union of `ranges`.
    #[must_use]
    pub fn new(ranges: impl IntoIterator<Item = AddressRange>) -> Self {
        let mut ranges = ranges.into_iter();
        let Some(first) = ranges.next() else { return Self::default() };
        let Some(second) = ranges.next() else { return Self::sorted(&[first]) };
        let mut ranges: Vec<AddressRange> = [first, second].into_iter().chain(ranges).collect();
        ranges.sort_unstable();
        let mut merged: Vec<AddressRange> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match merged.last_mut() {
                Some(last)
                    if last.family() == range.family()
                        && address_number(range.first) <= address_number(last.last).saturating_add(1) =>
                {
                    last.last = last.last.max(range.last);
                }
                _ => merged.push(range),
            }
        }
        Self::sorted(&merged)
    }

    /// From ranges that are in order and apart.
    fn sorted(ranges: &[AddressRange]) -> Self {
        Self(ranges.into())
    }

    /// Every address of `family`.
    #[must_use]
    pub fn all(family: Family) -> Self {
        let max = if family == Family::Ipv4 { u128::from(u32::MAX) } else { u128::MAX };
        Self::sorted(&[AddressRange { first: numbered_address(0, family), last: numbered_address(max, family) }])
    }

    /// The ranges, in order.
    #[must_use]
    pub fn ranges(&self) -> AddressRanges<'_> {
        match &self.0 {
            AddressForm::Ipv4(first, last) => {
                AddressRanges::One([AddressRange { first: IpAddr::V4(*first), last: IpAddr::V4(*last) }])
            }
            AddressForm::Many(ranges) => AddressRanges::Many(ranges),
        }
    }

    /// Each range, in order.
    pub fn iter(&self) -> impl Iterator<Item = AddressRange> + '_ {
        let (one, many) = match self.ranges() {
            AddressRanges::One([one]) => (Some(one), &[][..]),
            AddressRanges::Many(many) => (None, many),
        };
        one.into_iter().chain(many.iter().copied())
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges().is_empty()
    }

    /// The part of one family.
    #[must_use]
    pub fn of_family(&self, family: Family) -> Self {
        let ranges = self.ranges();
        let is_own = |range: &AddressRange| range.family() == family;
        if ranges.first().is_some_and(is_own) && ranges.last().is_some_and(is_own) {
            return self.clone();
        }
        Self::sorted(&self.iter().filter(|range| range.family() == family).collect::<Vec<_>>())
    }

    /// The addresses that networks give themselves: RFC 1918 and RFC 4193.
    #[must_use]
    pub fn private() -> Self {
        ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"]
            .iter()
            .filter_map(|text| text.parse().ok())
            .collect()
    }

    /// The addresses that every host has for itself.
    #[must_use]
    pub fn loopback(family: Family) -> Self {
        let [first, last] = match family {
            Family::Ipv4 => [[127, 0, 0, 0], [127, 255, 255, 255]].map(IpAddr::from),
            Family::Ipv6 => [IpAddr::from(std::net::Ipv6Addr::LOCALHOST); 2],
        };
        Self::new([AddressRange { first, last }])
    }

    /// Whether it has members of one family.
    #[must_use]
    pub fn has_family(&self, family: Family) -> bool {
        // IPv4 stands first, IPv6 last.
        let ranges = self.ranges();
        let ends = [ranges.first(), ranges.last()];
        ends.into_iter().flatten().any(|range| range.family() == family)
    }

    /// Whether every member of `other` is a member.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        // Ranges that touch are one, so that a range of `other` has to lie in one of ours.
        let all = self.ranges();
        other.ranges().iter().all(|range| {
            let after = all.partition_point(|own| own.first <= range.first);
            after
                .checked_sub(1)
                .and_then(|at| all.get(at))
                .is_some_and(|own| own.family() == range.family() && range.last <= own.last)
        })
    }

    /// Whether anything is a member of both.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        let (own, others) = (self.ranges(), other.ranges());
        let (mut left, mut right) = (0, 0);
        while let (Some(a), Some(b)) = (own.get(left), others.get(right)) {
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
        let ranges = self.ranges();
        let after = ranges.partition_point(|range| range.first <= address);
        after.checked_sub(1).and_then(|at| ranges.get(at)).is_some_and(|range| range.contains(address))
    }

    /// Members of either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self::new(self.iter().chain(other.iter()))
    }

    /// Members of both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let mut out = Vec::new();
        let (own, others) = (self.ranges(), other.ranges());
        let (mut left, mut right) = (0, 0);
        while let (Some(a), Some(b)) = (own.get(left), others.get(right)) {
            if let Some(both) = AddressRange::new(a.first.max(b.first), a.last.min(b.last)) {
                out.push(both);
            }
            if a.last <= b.last { left += 1 } else { right += 1 }
        }
        Self::sorted(&out)
    }

    /// Members of `self` that `other` lacks.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let gaps: Vec<AddressRange> = Family::BOTH.into_iter().flat_map(|family| other.gaps(family)).collect();
        self.intersection(&Self::sorted(&gaps))
    }

    fn gaps(&self, family: Family) -> Vec<AddressRange> {
        let max = if family == Family::Ipv4 { u128::from(u32::MAX) } else { u128::MAX };
        let mut next = Some(0u128);
        let mut out = Vec::new();
        let mut push = |from: u128, to: u128| {
            out.push(AddressRange { first: numbered_address(from, family), last: numbered_address(to, family) });
        };
        for range in self.iter().filter(|range| range.family() == family) {
            let (first, last) = (address_number(range.first), address_number(range.last));
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
