//! Many small sets of packets as few large ones, that a person can read.

use std::cell::Cell;

use rustc_hash::FxHashMap;

use crate::packet::values::Range;
use crate::packet::{Cube, Field, Universe, Values};

/// Packets on which one pair of steps decides.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) cube: Cube,
    pub(super) left: u32,
    pub(super) right: u32,
}

/// What has packets.
pub trait Packets: Clone {
    /// Which.
    fn cube(&self) -> &Cube;
}

impl Packets for Piece {
    fn cube(&self) -> &Cube {
        &self.cube
    }
}

/// Pieces beyond which none is made larger.
const MANY: usize = 150;
/// What is left of a cube while pieces are taken from it: beyond this it is taken not to be covered.
const MOST_LEFT: usize = 200;

/// How much is tried to say many sets in few, in all the questions that it is given to. When it is spent, what is said stays right and is
/// longer.
#[derive(Debug)]
pub struct Allowance(Cell<u64>);

impl Allowance {
    /// So many cubes from which others are taken.
    #[must_use]
    pub fn new(steps: u64) -> Self {
        Self(Cell::new(steps))
    }

    fn takes(&self, steps: usize) -> bool {
        let left = self.0.get().checked_sub(steps as u64);
        self.0.set(left.unwrap_or(0));
        left.is_some()
    }
}

impl Default for Allowance {
    /// A few seconds of work.
    fn default() -> Self {
        Self::new(10_000_000)
    }
}

/// The union of pieces as few cubes, each with a piece that lies in it. Cubes may overlap; none reaches beyond the union, but for packets
/// that there are not (`never`).
pub fn few<P: Packets>(
    pieces: Vec<P>,
    never: &[Cube],
    region: &Cube,
    universe: &Universe,
    allowance: &Allowance,
) -> Vec<(Cube, P)> {
    let merged = merge(pieces);
    if merged.len() > MANY {
        return merged;
    }
    let all: Vec<Cube> = merged.iter().map(|(cube, _)| cube).chain(never).cloned().collect();
    let mut wide: Vec<(Cube, P)> =
        merged.into_iter().map(|(cube, piece)| (widened(cube, &all, region, universe, allowance), piece)).collect();
    // What says least comes first: it holds most.
    wide.sort_by_key(|(cube, _)| said(cube, region));
    let mut kept: Vec<(Cube, P)> = Vec::new();
    for (cube, piece) in wide {
        let known: Vec<Cube> = kept.iter().map(|(cube, _)| cube.clone()).collect();
        if !covered(&cube, &known, universe, allowance) {
            kept.push((cube, piece));
        }
    }
    kept
}

/// How many fields, and how many ranges, it takes to say which packets are in a cube.
fn said(cube: &Cube, region: &Cube) -> (usize, usize) {
    let parts = cube.parts().iter().filter(|(field, values)| region.get(*field) != Some(values));
    parts.fold((0, 0), |(fields, ranges), (_, values)| (fields + 1, ranges + values.ranges().len()))
}

/// Puts together what differs in one field alone, until nothing does.
fn merge<P: Packets>(pieces: Vec<P>) -> Vec<(Cube, P)> {
    let mut list: Vec<(Cube, P)> = pieces.into_iter().map(|piece| (piece.cube().clone(), piece)).collect();
    loop {
        let before = list.len();
        let mut fields: Vec<Field> =
            list.iter().flat_map(|(cube, _)| cube.parts().iter().map(|(field, _)| *field)).collect();
        fields.sort_unstable();
        fields.dedup();
        for field in fields.into_iter().rev() {
            let mut groups: FxHashMap<Cube, usize> = FxHashMap::default();
            // Ranges are put together once all are known: one by one, long lists would take the square of their length.
            let mut next: Vec<(Cube, P, Vec<Range>)> = Vec::with_capacity(list.len());
            for (cube, piece) in list {
                let Some(values) = cube.get(field).cloned() else {
                    next.push((cube, piece, Vec::new()));
                    continue;
                };
                let key = cube.replaced(field, None);
                let known = groups.get(&key).copied();
                match known.and_then(|at| next.get_mut(at)) {
                    Some((.., ranges)) => ranges.extend(values.ranges().iter().copied()),
                    None => {
                        groups.insert(key, next.len());
                        next.push((cube, piece, values.ranges().to_vec()));
                    }
                }
            }
            list = next
                .into_iter()
                .map(|(cube, piece, ranges)| match Values::union(ranges) {
                    Some(values) => (cube.replaced(field, Some(values)), piece),
                    None => (cube, piece),
                })
                .collect();
        }
        if list.len() == before {
            return list;
        }
    }
}

/// A cube without the conditions that the union does not need.
fn widened(mut cube: Cube, all: &[Cube], region: &Cube, universe: &Universe, allowance: &Allowance) -> Cube {
    let mut fields: Vec<Field> = cube.parts().iter().map(|(field, _)| *field).collect();
    // What takes most words is tried first.
    fields.sort_by_key(|field| std::cmp::Reverse(cube.get(*field).map_or(0, |values| values.ranges().len())));
    for field in fields {
        if cube.get(field) == region.get(field) {
            continue;
        }
        let wider = cube.replaced(field, region.get(field).cloned());
        if covered(&wider, all, universe, allowance) {
            cube = wider;
        }
    }
    cube
}

/// Whether every packet of a cube is in one of these; not, if that takes more than is left to try.
#[must_use]
pub fn covered(cube: &Cube, by: &[Cube], universe: &Universe, allowance: &Allowance) -> bool {
    let mut rest = vec![cube.clone()];
    for other in by {
        if rest.is_empty() {
            return true;
        }
        if rest.len() > MOST_LEFT || !allowance.takes(rest.len()) {
            return false;
        }
        rest = rest
            .into_iter()
            .flat_map(|cube| if cube.meets(other) { cube.difference(other, universe) } else { vec![cube] })
            .collect();
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Family;
    use crate::packet::field::Masks;

    #[test]
    fn without_an_allowance_nothing_is_taken_to_be_covered() {
        let universe = Universe::new(Family::Ipv4, &Masks::default());
        let ports = |first, last| Cube::default().replaced(Field::DESTINATION_PORT, Some(Values::range((first, last))));
        let halves = [ports(0, 99), ports(100, 200)];
        assert!(covered(&ports(50, 150), &halves, &universe, &Allowance::default()));
        assert!(!covered(&ports(50, 250), &halves, &universe, &Allowance::default()));
        // The second half is never looked at.
        assert!(!covered(&ports(50, 150), &halves, &universe, &Allowance::new(1)));
    }
}
