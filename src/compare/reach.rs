//! A packet that comes to a rule and matches it, in the words in which `fwc trace` takes packets.

use super::example;
use crate::host::{Host, speaks};
use crate::net::Family;
use crate::program::{Does, End, Place, Program, Space, VISIT, flatten_with_visits};
use crate::prove::cover::{Budget, Stretch, left_over};

/// Work for one rule.
const EFFORT: u64 = 200_000;

/// Which packets come to a rule and match it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reached {
    /// This one, and perhaps others.
    By(String),
    /// None.
    Never,
    /// That was not decided.
    Open,
}

/// Looks for a packet that comes to a rule through any base chain of its table and matches it.
#[must_use]
pub fn reach(host: &Host, place: Place) -> Reached {
    let Some(table) = host.ruleset.tables.get(place.table as usize) else { return Reached::Open };
    let mut answer = Reached::Never;
    for family in Family::BOTH.into_iter().filter(|family| speaks(table.family, *family)) {
        let mut space = Space::new(family, [&host.ruleset]);
        for chain in &table.chains {
            let Some(base) = chain.base else { continue };
            // What the chain's end does is nothing that a rule in it sees.
            let flat = flatten_with_visits(&host.ruleset, place.table as usize, &chain.name, End::Passed, &mut space);
            let Some(program) = flat else { continue };
            match first(&program, place, &space) {
                Ok(Some(cube)) => {
                    return Reached::By(example::packet(&cube, base.hook, &space.universe, &[host]));
                }
                Ok(None) if program.complete => {}
                _ => answer = Reached::Open,
            }
        }
    }
    answer
}

/// Packets that come to a rule in a program and match it.
fn first(
    program: &Program,
    place: Place,
    space: &Space,
) -> Result<Option<crate::packet::Cube>, crate::prove::cover::Spent> {
    let mut budget = Budget::new(EFFORT);
    for (number, step) in (0u32..).zip(&program.steps) {
        if step.place != place || step.does != Does::Happen(VISIT) {
            continue;
        }
        let before = Stretch { program, from: 0, to: number, events: false };
        if let Some(cube) = left_over(&step.cube, &[before], &space.universe, &mut budget, |_, _| ())? {
            return Ok(Some(cube));
        }
    }
    Ok(None)
}
