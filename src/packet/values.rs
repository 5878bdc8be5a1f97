//! Sets of values of one field: sorted, disjoint ranges that do not touch.

use std::sync::Arc;

/// An inclusive range of values.
pub type Range = (u128, u128);

/// Some values of a field; never none.
#[derive(Clone, Debug, Eq)]
pub enum Values {
    /// One range.
    One(Range),
    /// Two ranges or more, in order, with a gap between any two.
    Many(Arc<[Range]>),
}

impl PartialEq for Values {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Many(a), Self::Many(b)) if Arc::ptr_eq(a, b) => true,
            _ => self.ranges() == other.ranges(),
        }
    }
}

/// Where a search in the longer list costs less than a walk over both.
const MUCH_SHORTER: usize = 8;

impl Values {
    /// One value.
    #[must_use]
    pub fn single(value: u128) -> Self {
        Self::One((value, value))
    }

    /// The union of ranges in any order; `None` if there are none.
    pub fn union(ranges: impl IntoIterator<Item = Range>) -> Option<Self> {
        let mut ranges: Vec<Range> = ranges.into_iter().collect();
        if !ranges.is_sorted() {
            ranges.sort_unstable();
        }
        let mut merged: Vec<Range> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
                _ => merged.push((first, last)),
            }
        }
        Self::sorted(merged)
    }

    /// From ranges that are in order and apart.
    fn sorted(ranges: Vec<Range>) -> Option<Self> {
        match ranges.as_slice() {
            [] => None,
            [one] => Some(Self::One(*one)),
            _ => Some(Self::Many(ranges.into())),
        }
    }

    /// The ranges, in order.
    #[must_use]
    pub fn ranges(&self) -> &[Range] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }

    /// The smallest and the largest value.
    #[must_use]
    pub fn hull(&self) -> Range {
        match self {
            Self::One(one) => *one,
            Self::Many(many) => {
                (many.first().map_or(0, |range| range.0), many.last().map_or(u128::MAX, |range| range.1))
            }
        }
    }

    /// Whether `value` is among them.
    #[must_use]
    pub fn contains(&self, value: u128) -> bool {
        self.from(value).first().is_some_and(|range| range.0 <= value)
    }

    /// The ranges that do not end before `value`.
    fn from(&self, value: u128) -> &[Range] {
        let ranges = self.ranges();
        ranges.get(ranges.partition_point(|range| range.1 < value)..).unwrap_or_default()
    }

    /// Whether every value of `other` is among them.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::One(a), Self::One(b)) => a.0 <= b.0 && b.1 <= a.1,
            (Self::Many(a), Self::Many(b)) if Arc::ptr_eq(a, b) => true,
            _ => other
                .ranges()
                .iter()
                .all(|range| self.from(range.0).first().is_some_and(|own| own.0 <= range.0 && range.1 <= own.1)),
        }
    }

    /// Whether any value is in both.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::One(a), Self::One(b)) => a.0 <= b.1 && b.0 <= a.1,
            _ => {
                let (few, many) =
                    if self.ranges().len() <= other.ranges().len() { (self, other) } else { (other, self) };
                few.ranges().iter().any(|range| many.from(range.0).first().is_some_and(|other| other.0 <= range.1))
            }
        }
    }

    /// The values in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::One(a), Self::One(b)) => {
                let both = (a.0.max(b.0), a.1.min(b.1));
                (both.0 <= both.1).then_some(Self::One(both))
            }
            (Self::Many(a), Self::Many(b)) if Arc::ptr_eq(a, b) => Some(self.clone()),
            _ => {
                let (few, many) =
                    if self.ranges().len() <= other.ranges().len() { (self, other) } else { (other, self) };
                let mut found = Vec::new();
                let mut rest = many.ranges();
                let search = few.ranges().len() * MUCH_SHORTER < many.ranges().len();
                for range in few.ranges() {
                    let skipped = if search {
                        rest.partition_point(|other| other.1 < range.0)
                    } else {
                        rest.iter().take_while(|other| other.1 < range.0).count()
                    };
                    rest = rest.get(skipped..).unwrap_or_default();
                    for other in rest.iter().take_while(|other| other.0 <= range.1) {
                        found.push((range.0.max(other.0), range.1.min(other.1)));
                    }
                }
                Self::sorted(found)
            }
        }
    }

    /// The values that `other` lacks.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Option<Self> {
        let mut left = Vec::new();
        for &(first, last) in self.ranges() {
            let mut next = Some(first);
            for out in other.from(first).iter().take_while(|out| out.0 <= last) {
                let Some(from) = next else { break };
                if from < out.0 {
                    left.push((from, out.0 - 1));
                }
                next = out.1.checked_add(1).filter(|next| *next <= last);
            }
            if let Some(from) = next {
                left.push((from, last));
            }
        }
        Self::sorted(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sets of values below 8 that a byte's bits name.
    fn of(bits: u8) -> Option<Values> {
        Values::union((0..8).filter(|bit| bits & (1 << bit) != 0).map(|bit| (bit, bit)))
    }

    fn bits(values: Option<&Values>) -> u8 {
        (0..8u8).filter(|bit| values.is_some_and(|values| values.contains(u128::from(*bit)))).map(|bit| 1 << bit).sum()
    }

    #[test]
    fn every_operation_agrees_with_bits() {
        for a in 1..=255u8 {
            for b in 1..=255u8 {
                let (Some(left), Some(right)) = (of(a), of(b)) else { unreachable!("not empty") };
                assert_eq!(bits(left.intersection(&right).as_ref()), a & b);
                assert_eq!(bits(left.difference(&right).as_ref()), a & !b);
                assert_eq!(left.meets(&right), a & b != 0);
                assert_eq!(left.covers(&right), b & !a == 0);
                let gap = |values: &Values| values.ranges().windows(2).all(|two| two[0].1 + 1 < two[1].0);
                assert!(left.intersection(&right).is_none_or(|both| gap(&both)));
            }
        }
    }

    #[test]
    fn a_difference_ends_at_the_ends_of_the_world() {
        let all = Values::One((0, u128::MAX));
        assert_eq!(all.difference(&all), None);
        assert_eq!(all.difference(&Values::single(u128::MAX)), Some(Values::One((0, u128::MAX - 1))));
        assert_eq!(all.difference(&Values::single(0)), Some(Values::One((1, u128::MAX))));
    }
}
