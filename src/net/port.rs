//! Ports: ranges and sets.

use std::fmt;

use crate::list::OneOrMany;

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
pub struct PortSet(OneOrMany<PortRange>);

impl PortSet {
    /// The union of `ranges`.
    #[must_use]
    pub fn new(ranges: impl IntoIterator<Item = PortRange>) -> Self {
        let mut ranges = ranges.into_iter();
        let Some(first) = ranges.next() else { return Self::default() };
        let Some(second) = ranges.next() else { return Self(OneOrMany::One([first])) };
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
        &self.0
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
