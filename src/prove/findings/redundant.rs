//! Rules whose packets meet the same verdict behind them.

use std::ops::ControlFlow;

use super::packets::{comes, point};
use super::question::Asker;
use super::{Occurrence, rule};
use crate::netfilter::{Effect, MatchKind, Ruleset, Verdict};
use crate::packet::Cube;
use crate::program::{Does, EventId, LEADS, Place, Program, Space, Step};
use crate::prove::cover::{Budget, Spent, Stretch, left_over};

/// Packets that are tried before all of a rule's are looked at, and the way in which the first is chosen.
const TRIED: u64 = 4;
const FIRST: u64 = 4;

impl Asker<'_> {
    /// Whether a rule does nothing but decide, so that another could do it in its place.
    pub(super) fn is_candidate(&self, place: Place) -> bool {
        let Some(rule) = self.rule(place) else { return false };
        let counts = |kind: &MatchKind| matches!(kind, MatchKind::Limit(_) | MatchKind::ConnectionsAbove { .. });
        matches!(rule.verdict, Some(Verdict::Accept | Verdict::Drop | Verdict::Reject(_)))
            && rule.effects.iter().all(|_: &Effect| false)
            && !rule.matches.iter().any(|item| counts(&item.kind))
    }

    /// Whether the packets that come to a rule would meet the same verdict without it: a step that gives it to some of them.
    pub(super) fn redundant(&mut self, one: &Occurrence, witness: &Cube) -> Result<Option<Place>, Spent> {
        let (program, space) = (self.program, self.space);
        let decides = |step: u32| match program.step(step)?.does {
            Does::Decide(event) => Some(event),
            _ => None,
        };
        // Anything else that it does, such as asking something that counts, is not done by others.
        let Some(event) = decides(one.does).filter(|_| (one.does..one.end).all(|step| decides(step).is_some())) else {
            return Ok(None);
        };
        let (ruleset, place) = (self.ruleset, one.place);
        let same_verdict = |other: u32| alike(ruleset, program, other, event, place);
        // The quick way to a no: what becomes of a packet that comes here, and of some others.
        let first = self.ask(|budget| follower(program, point(witness, 0), one.end, space, budget))?;
        let Some(follower) = first.filter(|first| same_verdict(*first)) else { return Ok(None) };
        let packets = |cube: &Cube, ways: std::ops::Range<u64>, budget: &mut Budget| {
            some_differ(program, one, cube, ways, space, budget, same_verdict)
        };
        if let Some(step) = program.step(one.does)
            && self.ask(|budget| packets(&step.cube, FIRST..FIRST + TRIED, budget)) == Ok(true)
        {
            return Ok(None);
        }
        let alone = !self.repeated.contains(&one.place);
        let met = self.ask(|budget| {
            // Steps that give the same verdict are of interest only where they are of the same statement.
            let wanted = |class: u32| class != LEADS && !(alone && class == event.0);
            for step in one.does..one.end {
                let Some(cube) = program.step(step).map(|step| &step.cube) else { continue };
                let mut spent = false;
                let last = decided_by(program, cube, one.end, event, budget, same_verdict)?;
                let met = program.index().meeting(cube, one.end..last, wanted, |other| {
                    let answer = budget.take(1).and_then(|()| {
                        let differs = program.step(other).filter(|_| !same_verdict(other));
                        let Some(both) = differs.and_then(|other| other.cube.intersection(cube)) else {
                            return Ok(false);
                        };
                        if packets(&both, 0..2, budget)? {
                            return Ok(true);
                        }
                        let stretches = [
                            Stretch { program, from: 0, to: one.at, events: false },
                            Stretch { program, from: one.end, to: other, events: true },
                        ];
                        left_over(&both, &stretches, &space.universe, budget, |_, _| ()).map(|left| left.is_some())
                    });
                    spent |= answer.is_err();
                    if answer == Ok(false) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
                });
                if spent {
                    return Err(Spent);
                }
                if met.is_break() {
                    return Ok(true);
                }
            }
            Ok(false)
        })?;
        Ok(program.step(follower).filter(|_| !met).map(|step| step.place))
    }
}

/// Whether any of some packets of a cube comes to a rule and would meet another verdict without it.
fn some_differ(
    program: &Program,
    one: &Occurrence,
    cube: &Cube,
    ways: std::ops::Range<u64>,
    space: &Space,
    budget: &mut Budget,
    same_verdict: impl Fn(u32) -> bool,
) -> Result<bool, Spent> {
    for way in ways {
        let packet = point(cube, way);
        if comes(program, &packet, one.at, budget)? == Some(true)
            && let Some(next) = follower(program, packet, one.end, space, budget)?
            && !same_verdict(next)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The step behind which no packet of a cube comes that stands at `from`, because one that is `alike` decides all of them; the end if
/// there is none.
fn decided_by(
    program: &Program,
    cube: &Cube,
    from: u32,
    event: EventId,
    budget: &mut Budget,
    alike: impl Fn(u32) -> bool,
) -> Result<u32, Spent> {
    let (all, mut looked) = (program.len(), 0);
    let first = program.first_covering(cube, from..all, |class| class == event.0, &mut looked, &alike);
    let leads_past = |step: &Step, first: u32| matches!(step.does, Does::Lead(to) if to > first);
    let last = first.filter(|first| {
        let leads = |class| class == LEADS;
        program.first_meeting(cube, from..*first, leads, &mut looked, |step| leads_past(step, *first)).is_none()
    });
    budget.take(looked / 64)?;
    Ok(last.unwrap_or(all))
}

/// Whether a step gives that verdict, and is of another statement: one that is left out is left out everywhere.
fn alike(ruleset: &Ruleset, program: &Program, step: u32, event: EventId, place: Place) -> bool {
    let Some(step) = program.step(step) else { return false };
    let origin = |place| rule(ruleset, place).and_then(|rule| rule.origin);
    let own = || step.place == place || (origin(place).is_some() && origin(step.place) == origin(place));
    step.does == Does::Decide(event) && !own()
}

/// The first step that some packets of a cube meet from a place on.
fn follower(
    program: &Program,
    mut cube: Cube,
    mut from: u32,
    space: &Space,
    budget: &mut Budget,
) -> Result<Option<u32>, Spent> {
    loop {
        let mut looked = 64;
        let number = program.first_meeting(&cube, from..program.len(), |_| true, &mut looked, |_| true);
        budget.take(looked / 64)?;
        let Some((number, step)) = number.and_then(|number| Some((number, program.step(number)?))) else {
            return Ok(None);
        };
        match (step.cube.covers(&cube), step.does) {
            (true, Does::Lead(to)) => from = to,
            (true, _) => return Ok(Some(number)),
            (false, _) => {
                let Some(rest) = cube.difference(&step.cube, &space.universe).pop() else { return Ok(None) };
                cube = rest;
                from = number + 1;
            }
        }
    }
}
