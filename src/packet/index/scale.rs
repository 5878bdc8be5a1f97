//! Values of a field as numbers of 32 bits, in their order.

use crate::packet::values::{Range, Values};

/// From the first to the last number.
pub(super) type Span = (u32, u32);

/// Any value.
pub(super) const WHOLE: Span = (0, u32::MAX);

/// How values become numbers. What is greater never becomes less, so that what meets, or holds, still does; and of the values that a
/// scale was made of, what is apart stays apart.
#[derive(Debug)]
pub(super) enum Scale {
    /// As far as they lie behind this one.
    Behind(u128),
    /// By the places at which ranges begin, and behind their ends: how many of these a value has reached.
    Reached(Vec<u128>),
}

impl Scale {
    /// A scale for such values.
    pub fn new<'v>(values: impl Iterator<Item = &'v Values> + Clone) -> Self {
        let hulls = || values.clone().map(Values::hull);
        let first = hulls().map(|hull| hull.0).min().unwrap_or(0);
        let last = hulls().map(|hull| hull.1).max().unwrap_or(0);
        if last - first < u128::from(u32::MAX) {
            return Self::Behind(first);
        }
        let mut reached = Vec::new();
        for values in values {
            let ranges = values.ranges();
            reached.extend(ranges.iter().flat_map(|range| [Some(range.0), range.1.checked_add(1)]).flatten());
        }
        reached.sort_unstable();
        reached.dedup();
        reached.shrink_to_fit();
        Self::Reached(reached)
    }

    /// What a range becomes.
    pub fn span(&self, range: Range) -> Span {
        (self.number(range.0), self.number(range.1))
    }

    fn number(&self, value: u128) -> u32 {
        let number = match self {
            Self::Behind(first) => value.saturating_sub(*first),
            Self::Reached(places) => places.partition_point(|place| *place <= value) as u128,
        };
        u32::try_from(number).unwrap_or(u32::MAX)
    }

    /// All values that become one of a span.
    pub fn range(&self, span: Span) -> Range {
        let (first, last) = (span.0, span.1.checked_add(1));
        match self {
            Self::Behind(base) => (
                if first == 0 { 0 } else { base.saturating_add(first.into()) },
                last.map_or(u128::MAX, |last| base.saturating_add(last.into()) - 1),
            ),
            Self::Reached(places) => {
                let place = |number: u32| places.get((number as usize).checked_sub(1)?).copied();
                (place(first).unwrap_or(0), last.and_then(place).map_or(u128::MAX, |next| next.saturating_sub(1)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_meets_on_a_scale_is_what_meets() {
        let far = 1u128 << 100;
        for ranges in [
            vec![(3, 5), (9, 9)],
            vec![(3, 5), (far, far + 7)],
            vec![(0, u128::MAX)],
            vec![(2, far), (far + 1, u128::MAX)],
        ] {
            let all: Vec<Values> = ranges.iter().map(|range| Values::range(*range)).collect();
            let scale = Scale::new(all.iter());
            for value in [0, 1, 2, 3, 4, 5, 6, 8, 9, 10, far - 1, far, far + 1, far + 7, far + 8, u128::MAX] {
                let number = scale.span((value, value));
                let back = scale.range(number);
                assert!(back.0 <= value && value <= back.1, "{value} in {back:?} by {scale:?}");
                for range in &ranges {
                    let span = scale.span(*range);
                    let meets = span.0 <= number.1 && number.0 <= span.1;
                    assert!(meets || !(range.0..=range.1).contains(&value));
                    // Before and behind all of them, a value may look like the first or the last.
                    let beyond = value < 3 || value > far + 7;
                    assert!(
                        beyond || meets == (range.0..=range.1).contains(&value),
                        "{value} in {range:?} by {scale:?}"
                    );
                }
            }
        }
    }
}
