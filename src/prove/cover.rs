//! Whether all packets of a set are taken by steps that come earlier; if not, some that are left.

use std::ops::ControlFlow;

use crate::packet::{Cube, Universe, Values};
use crate::program::{Does, HAPPENS, LEADS, Program};

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

    /// What is left of it.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Takes so much of it.
    ///
    /// # Errors
    /// [`Spent`] if there is not as much.
    pub fn take(&mut self, amount: u64) -> Result<(), Spent> {
        self.spend(amount)
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

/// Packets that are looked at, and from which step of each stretch on.
struct Open<'p> {
    cube: Cube,
    stretches: Vec<Stretch<'p>>,
}

fn walk(
    cube: &Cube,
    stretches: &[Stretch<'_>],
    universe: &Universe,
    budget: &mut Budget,
    used: &mut impl FnMut(usize, u32),
    mut left: impl FnMut(Cube) -> ControlFlow<()>,
) -> Result<(), Spent> {
    let mut open = vec![Open { cube: cube.clone(), stretches: stretches.to_vec() }];
    while let Some(Open { cube, stretches }) = open.pop() {
        budget.spend(1)?;
        // Who is led past steps that keep others has to be looked at apart.
        if let Some((number, lead, to)) = first_detour(&cube, &stretches, budget)? {
            let Some(stretch) = stretches.get(number).copied() else { continue };
            let Some(taking) = stretch.program.step(lead).map(|step| &step.cube) else { continue };
            for rest in cube.difference(taking, universe) {
                open.push(Open { cube: rest, stretches: stretches.clone() });
            }
            let Some(inside) = cube.intersection(taking) else { continue };
            let before = Stretch { to: lead, ..stretch };
            for arriving in all_left_over(&inside, &[before], universe, budget)? {
                let mut stretches = stretches.clone();
                if let Some(stretch) = stretches.get_mut(number) {
                    stretch.from = to;
                }
                open.push(Open { cube: arriving, stretches });
            }
            continue;
        }
        match keeper(&cube, &stretches, budget)? {
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
                    let ranges = values.ranges();
                    let pieces = ranges.iter().map(|range| cube.replaced(field, Some(Values::range(*range))));
                    open.extend(pieces.map(|cube| Open { cube, stretches: stretches.clone() }));
                    continue;
                }
                used(stretch, step);
                let pieces = cube.difference(by, universe);
                open.extend(pieces.into_iter().map(|cube| Open { cube, stretches: stretches.clone() }));
            }
        }
    }
    Ok(())
}

/// Steps that lead, so few that to look at each takes less time than to search for those that meet a cube.
const FEW_LEADS: usize = 4_096;

/// The steps of a stretch that may lead packets of a cube elsewhere in it, in order.
fn leads(cube: &Cube, stretch: &Stretch<'_>) -> Vec<u32> {
    let range = stretch.from..stretch.to;
    let within = stretch.program.leads_up_to(stretch.to);
    let mut leads: Vec<u32> = Vec::new();
    if within.len() <= FEW_LEADS {
        leads.extend(within.iter().map(|(_, step)| *step).filter(|step| range.contains(step)));
    } else {
        let all = stretch.program.index().meeting(
            cube,
            range,
            |class| class == LEADS,
            |step| {
                leads.push(step);
                ControlFlow::<()>::Continue(())
            },
        );
        debug_assert!(all.is_continue());
    }
    leads.sort_unstable();
    leads
}

/// The first step that leads packets of a cube past steps which keep them, but not past the end: the number of the stretch, the
/// step, and where it leads.
fn first_detour(
    cube: &Cube,
    stretches: &[Stretch<'_>],
    budget: &mut Budget,
) -> Result<Option<(usize, u32, u32)>, Spent> {
    for (number, stretch) in stretches.iter().enumerate() {
        let leads = leads(cube, stretch);
        budget.spend(leads.len() as u64 / 16)?;
        let crossing = |lead: u32| -> Option<(u32, &Cube)> {
            let step = stretch.program.step(lead)?;
            let Does::Lead(to) = step.does else { return None };
            (to <= stretch.to && step.cube.meets(cube)).then_some((to, &step.cube))
        };
        for &lead in &leads {
            let Some((to, taking)) = crossing(lead) else { continue };
            let Some(taken) = taking.intersection(cube) else { continue };
            let wanted = |class: u32| stretch.events || class != HAPPENS;
            let passes = stretch.program.index().meeting(&taken, lead + 1..to, wanted, |other| {
                let Some(other) = stretch.program.step(other).filter(|other| other.cube.meets(&taken)) else {
                    return ControlFlow::Continue(());
                };
                match other.does {
                    Does::Lead(further) if further <= to => ControlFlow::Continue(()),
                    _ => ControlFlow::Break(()),
                }
            });
            if passes.is_break() {
                // Packets that an earlier step leads past this one do not come to it: they are looked at first.
                let mut first = (lead, to);
                while let Some(earlier) = leads
                    .iter()
                    .take_while(|earlier| **earlier < first.0)
                    .find_map(|earlier| Some((*earlier, crossing(*earlier)?.0)).filter(|(_, to)| *to > first.0))
                {
                    first = earlier;
                }
                return Ok(Some((number, first.0, first.1)));
            }
        }
    }
    Ok(None)
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
        let whole = stretch.program.index().covering(cube, stretch.from..stretch.to, wanted, |step| {
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
    // Where the cube has one value in all fields that a step narrows, the step would hold all of it.
    let single = cube.single_fields();
    for (number, stretch) in stretches.iter().enumerate() {
        let program: &'p Program = stretch.program;
        let wanted = |class: u32| stretch.events || class != HAPPENS;
        let mut seen = 0;
        let _ = program.index().meeting_beyond(single, cube, stretch.from..stretch.to, wanted, |step| {
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
