//! Rules whose packets meet the same verdict behind them.

use std::ops::ControlFlow;

use super::{Examiner, Occurrence};
use crate::netfilter::{Effect, MatchKind, Verdict};
use crate::packet::Cube;
use crate::program::{Does, EventId, LEADS, Place, Program, Space};
use crate::prove::cover::{Spent, Stretch, left_over};

impl Examiner<'_, '_> {
    /// Whether a rule does nothing but decide, so that another could do it in its place.
    pub(super) fn is_candidate(&self, place: Place) -> bool {
        let Some(rule) = self.rule(place) else { return false };
        let counts = |kind: &MatchKind| matches!(kind, MatchKind::Limit(_) | MatchKind::ConnectionsAbove { .. });
        matches!(rule.verdict, Some(Verdict::Accept | Verdict::Drop | Verdict::Reject(_)))
            && rule.effects.iter().all(|_: &Effect| false)
            && !rule.matches.iter().any(|item| counts(&item.kind))
    }

    /// Whether the packets that come to a rule would meet the same verdict without it: a step that gives it to some of them.
    pub(super) fn redundant(
        &mut self,
        program: &Program,
        one: &Occurrence,
        witness: &Cube,
        space: &Space,
    ) -> Result<Option<Place>, Spent> {
        let decides = |step: u32| match program.step(step)?.does {
            Does::Decide(event) => Some(event),
            _ => None,
        };
        // Anything else that it does, such as asking something that counts, is not done by others.
        let Some(event) = decides(one.does).filter(|_| (one.does..one.end).all(|step| decides(step).is_some())) else {
            return Ok(None);
        };
        // The quick way to a no: what becomes of a packet that comes here.
        let Some(follower) = follower(program, witness.clone(), one.end, space) else { return Ok(None) };
        if !self.alike(program, follower, event, one) {
            return Ok(None);
        }
        for step in one.does..one.end {
            let Some(cube) = program.step(step).map(|step| &step.cube) else { continue };
            let mut others = Vec::new();
            let _ = program.meeting(cube, one.end..program.len(), |class| class != LEADS, |other| {
                others.push(other);
                ControlFlow::<()>::Continue(())
            });
            others.sort_unstable();
            for other in others {
                if self.alike(program, other, event, one) {
                    continue;
                }
                let Some(both) = program.step(other).and_then(|other| other.cube.intersection(cube)) else { continue };
                let stretches = [
                    Stretch { program, from: 0, to: one.at, events: false },
                    Stretch { program, from: one.end, to: other, events: true },
                ];
                let met = self.ask(|budget| left_over(&both, &stretches, &space.universe, budget, |_, _| ()))?;
                if met.is_some() {
                    return Ok(None);
                }
            }
        }
        Ok(program.step(follower).map(|step| step.place))
    }

    /// Whether a step gives that verdict, and is of another statement: one that is left out is left out everywhere.
    fn alike(&self, program: &Program, step: u32, event: EventId, one: &Occurrence) -> bool {
        let Some(step) = program.step(step) else { return false };
        let own = step.place == one.place || {
            let origin = self.origin(one.place);
            origin.is_some() && self.origin(step.place) == origin
        };
        step.does == Does::Decide(event) && !own
    }
}

/// The first step that some packets of a cube meet from a place on.
fn follower(program: &Program, mut cube: Cube, mut from: u32, space: &Space) -> Option<u32> {
    loop {
        let mut next: Option<u32> = None;
        let _ = program.meeting(&cube, from..program.len(), |_| true, |step| {
            if next.is_none_or(|known| step < known) && program.step(step).is_some_and(|step| step.cube.meets(&cube)) {
                next = Some(step);
            }
            ControlFlow::<()>::Continue(())
        });
        let number = next?;
        let step = program.step(number)?;
        match (step.cube.covers(&cube), step.does) {
            (true, Does::Lead(to)) => from = to,
            (true, _) => return Some(number),
            (false, _) => {
                cube = cube.difference(&step.cube, &space.universe).pop()?;
                from = number + 1;
            }
        }
    }
}
