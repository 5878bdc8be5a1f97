//! By which values packets are divided.

use crate::packet::{Cube, Field, Universe, Values};

use super::list::{List, Step};

/// Steps by which a way to divide is chosen.
const SAMPLE: usize = 24;
/// Ranges of a step that are looked at.
const RANGES: usize = 4;

/// Values of a field; packets that have them are divided from those that have others.
#[derive(Debug)]
pub struct Cut {
    /// The field.
    pub field: Field,
    values: Values,
}

impl Cut {
    /// The packets of a region with these values, and without.
    pub fn sides(&self, region: &Cube, universe: &Universe) -> [Option<Cube>; 2] {
        let own = region.get(self.field).cloned().unwrap_or_else(|| Values::range(universe.all(self.field)));
        let side = |values: Option<Values>| Some(region.replaced(self.field, Some(values?)));
        [side(own.intersection(&self.values)), side(own.difference(&self.values))]
    }

    /// The one after which the least work is left, of those that divide some steps; `None` if no step asks anything more of the
    /// region. Each of the steps may need a part of its own, and the parts on a side have to do with all that can be met there.
    pub fn best(steps: &[&Step<'_>], lists: &[List<'_>; 2], region: &Cube, universe: &Universe) -> Option<Self> {
        let steps = sample(steps.iter().copied().filter(|step| !step.is_whole()));
        let all = sample(lists.iter().flat_map(List::steps));
        let mut fields: Vec<Field> =
            steps.iter().flat_map(|cube| cube.parts().iter().map(|(field, _)| *field)).collect();
        fields.sort_unstable();
        fields.dedup();
        let mut best: Option<(usize, Self)> = None;
        for field in fields {
            let whole = region.get(field).map_or_else(|| universe.all(field), Values::hull);
            let parts: Vec<&Values> = steps.iter().filter_map(|cube| cube.get(field)).collect();
            for values in [common(&parts), middle(&parts, whole)].into_iter().flatten() {
                let sides = |cubes: &[&Cube]| {
                    let on = |meets: &dyn Fn(&Values) -> bool| {
                        cubes.iter().filter(|cube| cube.get(field).is_none_or(meets)).count()
                    };
                    [on(&|own| own.meets(&values)), on(&|own| !values.covers(own))]
                };
                let work = sides(&steps).iter().zip(sides(&all)).map(|(steps, all)| steps * all).sum();
                if best.as_ref().is_none_or(|(known, _)| work < *known) {
                    best = Some((work, Self { field, values }));
                }
            }
        }
        best.map(|(_, cut)| cut)
    }
}

/// Some of many steps, evenly spread.
fn sample<'s, 'p: 's>(steps: impl Iterator<Item = &'s Step<'p>> + Clone) -> Vec<&'s Cube> {
    let every = steps.clone().count().div_ceil(SAMPLE).max(1);
    steps.step_by(every).map(Step::cube).collect()
}

/// What most steps ask for.
fn common(parts: &[&Values]) -> Option<Values> {
    let count = |values: &Values| parts.iter().filter(|other| **other == values).count();
    parts.iter().copied().max_by_key(|values| count(values)).cloned()
}

/// All values below the one in the middle of those at which ranges of steps begin, or end.
fn middle(parts: &[&Values], all: (u128, u128)) -> Option<Values> {
    let mut bounds = Vec::with_capacity(parts.len() * RANGES * 2);
    for values in parts {
        let ranges = values.ranges();
        let every = ranges.len().div_ceil(RANGES).max(1);
        let ends = ranges.iter().step_by(every).chain(ranges.last());
        bounds.extend(ends.flat_map(|(first, last)| [Some(*first), last.checked_add(1)]).flatten());
    }
    bounds.retain(|bound| all.0 < *bound && *bound <= all.1);
    bounds.sort_unstable();
    let bound = bounds.get(bounds.len() / 2)?;
    Some(Values::range((0, bound - 1)))
}
