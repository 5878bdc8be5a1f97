//! Where two programs that were made from nearly the same rules can differ at all: in packets that some step is for which has no
//! counterpart in the other program, in the same order. All others meet the same steps in both.

use std::hash::{Hash, Hasher};

use rustc_hash::{FxHashMap, FxHasher};

use crate::packet::Cube;
use crate::program::{Does, Program, Step};

/// The packets of steps without a counterpart, as cubes that may overlap: outside of them the programs do the same. `None` if there
/// are more than `most`.
#[must_use]
pub fn without_counterpart<'p>(left: &'p Program, right: &'p Program, most: usize) -> Option<Vec<&'p Cube>> {
    let pairs = in_order(candidates(left, right));
    let known = pairs.len();
    if left.steps.len() - known + right.steps.len() - known > most {
        return None;
    }
    let (before_left, before_right) =
        (before(left, pairs.iter().map(|pair| pair.0)), before(right, pairs.iter().map(|pair| pair.1)));
    let mut alone: Vec<&Cube> = Vec::new();
    let (mut next_left, mut next_right) = (0, 0);
    for (one, other) in &pairs {
        let (Some(step), Some(twin)) = (left.step(*one), right.step(*other)) else { return None };
        alone.extend(cubes(left, next_left, *one));
        alone.extend(cubes(right, next_right, *other));
        (next_left, next_right) = (one + 1, other + 1);
        // What leads elsewhere leads to the same place: as many of the others stand before it.
        if let (Does::Lead(to), Does::Lead(there)) = (step.does, twin.does)
            && count(&before_left, to) != count(&before_right, there)
        {
            alone.push(&step.cube);
        }
    }
    alone.extend(cubes(left, next_left, left.len()));
    alone.extend(cubes(right, next_right, right.len()));
    (alone.len() <= most).then_some(alone)
}

fn cubes(program: &Program, from: u32, to: u32) -> impl Iterator<Item = &Cube> {
    (from..to).filter_map(|step| program.step(step)).map(|step| &step.cube)
}

/// For each place in a program how many of some steps stand before it.
fn before(program: &Program, mut steps: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut next = steps.next();
    let mut counts = Vec::with_capacity(program.steps.len() + 1);
    let mut count = 0;
    for place in 0..=program.len() {
        counts.push(count);
        if next == Some(place) {
            count += 1;
            next = steps.next();
        }
    }
    counts
}

fn count(before: &[u32], place: u32) -> Option<u32> {
    before.get(place as usize).or(before.last()).copied()
}

/// Pairs of steps that are for the same packets and do the same: the first of such steps with the first, and so on. In the order of
/// the first program.
fn candidates(left: &Program, right: &Program) -> Vec<(u32, u32)> {
    let mut places: FxHashMap<u64, Vec<u32>> = FxHashMap::default();
    for number in (0..right.len()).rev() {
        if let Some(step) = right.step(number) {
            places.entry(key(step)).or_default().push(number);
        }
    }
    let mut pairs = Vec::with_capacity(left.steps.len());
    for (number, step) in (0u32..).zip(&left.steps) {
        let Some(list) = places.get_mut(&key(step)) else { continue };
        let Some(other) = list.last().copied() else { continue };
        if right.step(other).is_some_and(|twin| is_alike(step, twin)) {
            list.pop();
            pairs.push((number, other));
        }
    }
    pairs
}

fn is_alike(step: &Step, other: &Step) -> bool {
    let does = match (step.does, other.does) {
        (Does::Lead(_), Does::Lead(_)) => true,
        (one, other) => one == other,
    };
    does && step.cube == other.cube
}

fn key(step: &Step) -> u64 {
    let mut hasher = FxHasher::default();
    step.does.class().hash(&mut hasher);
    for (field, values) in step.cube.parts() {
        let ranges = values.ranges();
        (field, ranges.len()).hash(&mut hasher);
        ranges.iter().take(4).chain(ranges.iter().rev().take(2)).for_each(|range| range.hash(&mut hasher));
    }
    hasher.finish()
}

/// The longest part of some pairs that is in order on both sides.
fn in_order(pairs: Vec<(u32, u32)>) -> Vec<(u32, u32)> {
    // For each length of a part, the pair that ends one with the smallest place on the other side; and for each pair the one before.
    let (mut ends, mut previous): (Vec<usize>, Vec<Option<usize>>) = (Vec::new(), Vec::with_capacity(pairs.len()));
    let place = |at: usize| pairs.get(at).map_or(u32::MAX, |pair| pair.1);
    for (at, pair) in pairs.iter().enumerate() {
        let length = ends.partition_point(|end| place(*end) < pair.1);
        previous.push(length.checked_sub(1).and_then(|before| ends.get(before)).copied());
        match ends.get_mut(length) {
            Some(end) => *end = at,
            None => ends.push(at),
        }
    }
    let mut part = Vec::with_capacity(ends.len());
    let mut at = ends.last().copied();
    while let Some(here) = at {
        part.extend(pairs.get(here));
        at = previous.get(here).copied().flatten();
    }
    part.reverse();
    part
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Field, Values};
    use crate::program::{EventId, Place};

    fn step(port: u128, does: Does) -> Step {
        let cube = Cube::all().with(Field::DESTINATION_PORT, Values::single(port)).expect("not empty");
        Step { cube, does, place: Place { table: 0, chain: 0, rule: 0 } }
    }

    fn decide(port: u128) -> Step {
        step(port, Does::Decide(EventId(0)))
    }

    fn ports(left: Vec<Step>, right: Vec<Step>) -> Vec<u128> {
        let (left, right) = (Program::new(left, true), Program::new(right, true));
        let alone = without_counterpart(&left, &right, 100).expect("few");
        let mut ports: Vec<u128> = alone.iter().filter_map(|cube| Some(cube.parts().first()?.1.hull().0)).collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }

    #[test]
    fn what_is_new_gone_or_moved_has_no_counterpart() {
        let list = |ports: &[u128]| ports.iter().copied().map(decide).collect::<Vec<_>>();
        assert!(ports(list(&[1, 2, 3, 2]), list(&[1, 2, 3, 2])).is_empty());
        assert_eq!(ports(list(&[1, 2, 3]), list(&[1, 3, 4])), [2, 4]);
        assert_eq!(ports(list(&[1, 2, 3, 4]), list(&[4, 1, 2, 3])), [4]);
    }

    #[test]
    fn what_leads_elsewhere_counts_as_other() {
        let lead = |to| step(9, Does::Lead(to));
        let same = || vec![lead(2), decide(1), decide(2)];
        assert!(ports(same(), same()).is_empty());
        assert_eq!(ports(same(), vec![lead(3), decide(1), decide(2)]), [9]);
        // One more on the way: it is the one that differs, and what leads past it does not.
        assert_eq!(ports(same(), vec![lead(3), decide(5), decide(1), decide(2)]), [5]);
    }
}
