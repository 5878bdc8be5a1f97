//! Sets of values of one field: sorted, disjoint ranges that do not touch.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::list::View;

/// An inclusive range of values.
pub type Range = (u128, u128);

/// Some values of a field; never none. Kept small: a large policy is hundreds of thousands of products of them.
#[derive(Clone, Debug)]
pub struct Values(Form);

#[derive(Clone, Debug)]
enum Form {
    /// One range of small numbers, by its ends.
    Short(u64, u64),
    /// One large number: its upper and its lower half.
    Single(u64, u64),
    /// Anything else: ranges in order, with a gap between any two.
    Long(Arc<[Range]>),
}

/// The ranges of some values, in order. Reads as a slice.
pub type Ranges<'v> = View<'v, Range>;

impl Eq for Values {}

impl Hash for Values {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.ranges().iter().for_each(|range| range.hash(state));
    }
}

impl PartialEq for Values {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Form::Short(a, b), Form::Short(c, d)) | (Form::Single(a, b), Form::Single(c, d)) => a == c && b == d,
            (Form::Long(a), Form::Long(b)) => Arc::ptr_eq(a, b) || a == b,
            _ => false,
        }
    }
}

/// Where a search in the longer list costs less than a walk over both.
const MUCH_SHORTER: usize = 8;

impl Values {
    /// One value.
    #[must_use]
    pub fn single(value: u128) -> Self {
        Self::range((value, value))
    }

    /// One range.
    #[must_use]
    pub fn range(range: Range) -> Self {
        Self(match (u64::try_from(range.0), u64::try_from(range.1)) {
            (Ok(first), Ok(last)) => Form::Short(first, last),
            _ if range.0 == range.1 => {
                let half = |number: u128| u64::try_from(number & u128::from(u64::MAX)).unwrap_or(u64::MAX);
                Form::Single(half(range.0 >> 64), half(range.0))
            }
            _ => Form::Long(Arc::from([range])),
        })
    }

    /// The value, if there is only one.
    #[must_use]
    pub fn only(&self) -> Option<u128> {
        match self.hull() {
            (first, last) if first == last => Some(first),
            _ => None,
        }
    }

    /// The only range, unless there are several.
    fn one(&self) -> Option<Range> {
        match &self.0 {
            Form::Short(first, last) => Some((u128::from(*first), u128::from(*last))),
            Form::Single(upper, lower) => {
                let number = u128::from(*upper) << 64 | u128::from(*lower);
                Some((number, number))
            }
            Form::Long(list) => match **list {
                [one] => Some(one),
                _ => None,
            },
        }
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
            [one] => Some(Self::range(*one)),
            _ => Some(Self(Form::Long(ranges.into()))),
        }
    }

    /// The ranges, in order.
    #[must_use]
    pub fn ranges(&self) -> Ranges<'_> {
        match &self.0 {
            Form::Long(list) => Ranges::Many(list),
            _ => Ranges::One([self.hull()]),
        }
    }

    /// The smallest and the largest value.
    #[must_use]
    pub fn hull(&self) -> Range {
        match (self.one(), &self.0) {
            (None, Form::Long(list)) => {
                (list.first().map_or(0, |range| range.0), list.last().map_or(u128::MAX, |range| range.1))
            }
            (one, _) => one.unwrap_or((0, u128::MAX)),
        }
    }

    /// Whether `value` is among them.
    #[must_use]
    pub fn contains(&self, value: u128) -> bool {
        from(&self.ranges(), value).first().is_some_and(|range| range.0 <= value)
    }

    /// Whether every value of `other` is among them.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        if let Some(b) = other.one() {
            let within = |own: &Range| own.0 <= b.0 && b.1 <= own.1;
            return match self.one() {
                Some(a) => within(&a),
                None => from(&self.ranges(), b.0).first().is_some_and(within),
            };
        }
        if self.is_same_list(other) {
            return true;
        }
        let own = self.ranges();
        other
            .ranges()
            .iter()
            .all(|range| from(&own, range.0).first().is_some_and(|own| own.0 <= range.0 && range.1 <= own.1))
    }

    /// Whether any value is in both.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        if let (Some(a), Some(b)) = (self.one(), other.one()) {
            return a.0 <= b.1 && b.0 <= a.1;
        }
        let (own, others) = (self.ranges(), other.ranges());
        let (few, many) = if own.len() <= others.len() { (own, others) } else { (others, own) };
        few.iter().any(|range| from(&many, range.0).first().is_some_and(|other| other.0 <= range.1))
    }

    /// Whether any value of a range is among them.
    #[must_use]
    pub fn meets_range(&self, range: Range) -> bool {
        from(&self.ranges(), range.0).first().is_some_and(|own| own.0 <= range.1)
    }

    /// The values in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        if let (Some(a), Some(b)) = (self.one(), other.one()) {
            let both = (a.0.max(b.0), a.1.min(b.1));
            return (both.0 <= both.1).then(|| Self::range(both));
        }
        if self.is_same_list(other) {
            return Some(self.clone());
        }
        let (own, others) = (self.ranges(), other.ranges());
        let (few, many) = if own.len() <= others.len() { (own, others) } else { (others, own) };
        let mut found = Vec::new();
        let mut rest: &[Range] = &many;
        let search = few.len() * MUCH_SHORTER < many.len();
        for range in few.iter() {
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

    fn is_same_list(&self, other: &Self) -> bool {
        matches!((&self.0, &other.0), (Form::Long(a), Form::Long(b)) if Arc::ptr_eq(a, b))
    }

    /// The values that `other` lacks.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Option<Self> {
        let mut left = Vec::new();
        let others = other.ranges();
        for &(first, last) in self.ranges().iter() {
            let mut next = Some(first);
            for out in from(&others, first).iter().take_while(|out| out.0 <= last) {
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

/// The ranges that do not end before `value`.
fn from(ranges: &[Range], value: u128) -> &[Range] {
    ranges.get(ranges.partition_point(|range| range.1 < value)..).unwrap_or_default()
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
        let all = Values::range((0, u128::MAX));
        assert_eq!(all.difference(&all), None);
        assert_eq!(all.difference(&Values::single(u128::MAX)), Some(Values::range((0, u128::MAX - 1))));
        assert_eq!(all.difference(&Values::single(0)), Some(Values::range((1, u128::MAX))));
    }

    #[test]
    fn numbers_of_every_size_are_kept() {
        let large = u128::from(u64::MAX);
        for range in
            [(0, 0), (3, large), (large, large + 1), (large + 1, large + 1), (1 << 64, 1 << 96), (0, u128::MAX)]
        {
            let values = Values::range(range);
            assert_eq!(values.hull(), range);
            assert_eq!(*values.ranges(), [range]);
            assert!(values.covers(&values) && values.meets(&values) && values == Values::union([range]).expect("some"));
            assert_eq!(values.intersection(&Values::range((0, u128::MAX))).as_ref(), Some(&values));
        }
    }
}
