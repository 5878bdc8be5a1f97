//! Whether two programs do the same to every packet: the same events in the same order, and the same verdict.

use std::ops::ControlFlow;

use super::cover::{Budget, Spent, Stretch, all_left_over, left_over};
use crate::packet::Cube;
use crate::program::{Does, EventId, LEADS, Program, Space};

/// Packets to which two programs do different things.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The packets.
    pub cube: Cube,
    /// The step that they meet in the first program.
    pub left: u32,
    /// The step that they meet in the second.
    pub right: u32,
}

/// The event of a step that is one.
fn event(program: &Program, step: u32) -> Option<(EventId, bool)> {
    match program.steps.get(step as usize)?.does {
        Does::Decide(event) => Some((event, true)),
        Does::Happen(event) => Some((event, false)),
        Does::Lead(_) => None,
    }
}

/// Packets for which the programs differ, if there are any; `found` is given each and says whether to go on.
///
/// # Errors
/// [`Spent`] if the budget ends before the answer is known, or a program is not complete.
pub fn differences(
    left: &Program,
    right: &Program,
    region: &Cube,
    space: &Space,
    budget: &mut Budget,
    mut found: impl FnMut(Difference) -> ControlFlow<()>,
) -> Result<(), Spent> {
    if !left.complete || !right.complete {
        return Err(Spent);
    }
    // Packets that have met the same events so far, and where they are in each program.
    let mut open = vec![(region.clone(), 0u32, 0u32)];
    while let Some((region, from_left, from_right)) = open.pop() {
        let mut rights = Vec::new();
        let all = right.meeting(
            &region,
            from_right..right.len(),
            |class| class != LEADS,
            |step| {
                rights.push(step);
                ControlFlow::<()>::Continue(())
            },
        );
        debug_assert!(all.is_continue());
        rights.sort_unstable();
        for step in rights {
            let Some((event_right, decides)) = event(right, step) else { continue };
            let Some(cube) = right.steps.get(step as usize).and_then(|step| step.cube.intersection(&region)) else {
                continue;
            };
            let mut lefts = Vec::new();
            // Two that decide alike agree on whatever packets they share.
            let wanted = |class: u32| class != LEADS && !(decides && class == event_right.0);
            let all = left.meeting(&cube, from_left..left.len(), wanted, |other| {
                if let Some((event_left, decides_left)) = event(left, other) {
                    lefts.push((other, event_left == event_right && !decides && !decides_left));
                }
                ControlFlow::<()>::Continue(())
            });
            debug_assert!(all.is_continue());
            for (other, same) in lefts {
                let Some(both) = left.steps.get(other as usize).and_then(|step| step.cube.intersection(&cube)) else {
                    continue;
                };
                let stretches = [
                    Stretch { program: left, from: from_left, to: other, events: true },
                    Stretch { program: right, from: from_right, to: step, events: true },
                ];
                if same {
                    for rest in all_left_over(&both, &stretches, &space.universe, budget)? {
                        open.push((rest, other + 1, step + 1));
                    }
                } else if let Some(cube) = left_over(&both, &stretches, &space.universe, budget, |_, _| ())?
                    && found(Difference { cube, left: other, right: step }).is_break()
                {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}
