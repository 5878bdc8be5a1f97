//! Whether all packets of a set are taken by steps that come earlier; if not, some that are left.

use std::ops::ControlFlow;

use crate::packet::{Cube, Universe, Values};
use crate::program::{Does, HAPPENS, Program};

/// How much may be tried before a question is left open.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    left: u64,
}

impl Budget {
    /// So many steps of work, in all the questions that it is given to.
    #[must_use]
    pub fn new(steps: u64) -> Self {
        Self { left: steps }
    }

    fn spend(&mut self, amount: u64) -> Result<(), Spent> {
        self.left = self.left.checked_sub(amount).ok_or(Spent)?;
        Ok(())
    }
}

/// The budget was spent before the answer was known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent;

/// The steps of a program between two of its places, as those that keep packets from the second.
#[derive(Clone, Copy)]
pub struct Stretch<'p> {
    /// The program.
    pub program: &'p Program,
    /// The first step that counts.
    pub from: u32,
    /// The step that packets are kept from; later ones do not count.
    pub to: u32,
    /// Whether events that packets survive keep them, too: then what is asked is who meets no event before.
    pub events: bool,
}

impl Stretch<'_> {
    /// Whether a step of the stretch keeps its packets from the end of the stretch.
    fn keeps(&self, number: u32) -> Option<&Cube> {
        let step = self.program.steps.get(number as usize).filter(|_| number >= self.from)?;
        let keeps = match step.does {
            Does::Decide(_) => true,
            Does::Happen(_) => self.events,
            Does::Lead(to) => to > self.to,
        };
        keeps.then_some(&step.cube)
    }
}

/// Ranges in one field beyond which a set is looked at range by range.
const SCATTERED: usize = 6;
/// Overlapping steps among which the best one to divide by is chosen.
const CHOICE: usize = 12;

/// Packets of a cube that no stretch keeps; `None` if all are kept. Steps that took part are given to `used`: the number of the
/// stretch and the step.
///
/// # Errors
/// [`Spent`] if the budget ends first.
pub fn left_over(
    cube: &Cube,
    stretches: &[Stretch<'_>],
    universe: &Universe,
    budget: &mut Budget,
    mut used: impl FnMut(usize, u32),
) -> Result<Option<Cube>, Spent> {
    let mut found = None;
    walk(cube, stretches, universe, budget, &mut used, |left| {
        found = Some(left);
        ControlFlow::Break(())
    })?;
    Ok(found)
}

/// All packets of a cube that no stretch keeps, as cubes without packets in common.
///
/// # Errors
/// [`Spent`] if the budget ends first.
pub fn all_left_over(
    cube: &Cube,
    stretches: &[Stretch<'_>],
    universe: &Universe,
    budget: &mut Budget,
) -> Result<Vec<Cube>, Spent> {
    let mut found = Vec::new();
    walk(cube, stretches, universe, budget, &mut |_, _| (), |left| {
        found.push(left);
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

fn walk(
    cube: &Cube,
    stretches: &[Stretch<'_>],
    universe: &Universe,
    budget: &mut Budget,
    used: &mut impl FnMut(usize, u32),
    mut left: impl FnMut(Cube) -> ControlFlow<()>,
) -> Result<(), Spent> {
    let mut open = vec![cube.clone()];
    while let Some(cube) = open.pop() {
        budget.spend(1)?;
        match keeper(&cube, stretches, budget)? {
            Keeper::None => {
                if left(cube).is_break() {
                    return Ok(());
                }
            }
            Keeper::Whole(stretch, step) => used(stretch, step),
            Keeper::Part(stretch, step, by) => {
                // A long list that is kept value by value is gone through once, not once for each value.
                if let Some((field, values)) = cube.scattered(SCATTERED)
                    && !by.get(field).is_none_or(|other| other.covers(values))
                {
                    budget.spend(values.ranges().len() as u64 / 4)?;
                    let pieces = values.ranges().iter().map(|range| cube.replaced(field, Some(Values::One(*range))));
                    open.extend(pieces);
                    continue;
                }
                used(stretch, step);
                open.append(&mut cube.difference(by, universe));
            }
        }
    }
    Ok(())
}

enum Keeper<'p> {
    None,
    Whole(usize, u32),
    Part(usize, u32, &'p Cube),
}

/// A step that keeps the whole cube, or else the one by which it is best divided.
fn keeper<'p>(cube: &Cube, stretches: &[Stretch<'p>], budget: &mut Budget) -> Result<Keeper<'p>, Spent> {
    let mut looked = 0u64;
    for (number, stretch) in stretches.iter().enumerate() {
        let wanted = |class: u32| stretch.events || class != HAPPENS;
        let whole = stretch.program.covering(cube, stretch.from..stretch.to, wanted, |step| {
            looked += 1;
            match stretch.keeps(step) {
                Some(keeps) if keeps.covers(cube) => ControlFlow::Break(step),
                _ => ControlFlow::Continue(()),
            }
        });
        if let ControlFlow::Break(step) = whole {
            return Ok(Keeper::Whole(number, step));
        }
    }
    let mut best: Option<(usize, usize, u32, &Cube)> = None;
    for (number, stretch) in stretches.iter().enumerate() {
        let program: &'p Program = stretch.program;
        let wanted = |class: u32| stretch.events || class != HAPPENS;
        let mut seen = 0;
        let _ = program.meeting(cube, stretch.from..stretch.to, wanted, |step| {
            looked += 1;
            let Some(keeps) = stretch.keeps(step).filter(|keeps| keeps.meets(cube)) else {
                return ControlFlow::Continue(());
            };
            let sides = keeps.sides(cube);
            if best.is_none_or(|(known, ..)| sides < known)
                && let Some(keeping) = program.step(step)
            {
                best = Some((sides, number, step, &keeping.cube));
            }
            seen += 1;
            if seen >= CHOICE { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
    }
    budget.spend(looked / 16)?;
    Ok(best.map_or(Keeper::None, |(_, number, step, cube)| Keeper::Part(number, step, cube)))
}
