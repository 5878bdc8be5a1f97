//! All base chains at a hook as one list of steps: what one accepts goes on to the next.

use crate::host::Host;
use crate::net::Family;
use crate::netfilter::{Effect, Hook, TableKind, Verdict};
use crate::packet::Field;
use crate::packet::field::Word;
use crate::program::{Does, End, Event, Place, Program, Space, Step, flatten};

/// The list for the chains at a hook that translate addresses, or for those that do not.
#[must_use]
pub fn at(host: &Host, family: Family, hook: Hook, translation: bool, space: &mut Space) -> Program {
    let mut steps: Vec<Step> = Vec::new();
    let (mut complete, mut marked) = (true, false);
    let accept = space.number(Event::Verdict(Verdict::Accept));
    let passed = space.number(Event::Passed);
    let entries: Vec<_> = host
        .entries(family, hook)
        .into_iter()
        .filter(|entry| (entry.base.kind == TableKind::Nat) == translation)
        .collect();
    for entry in entries {
        let name = host
            .ruleset
            .tables
            .get(entry.table)
            .and_then(|table| table.chains.get(entry.chain))
            .map(|chain| chain.name.clone());
        let end = if entry.base.accept { End::Accept } else { End::Drop };
        let Some(program) = name.and_then(|name| flatten(&host.ruleset, entry.table, &name, end, space)) else {
            continue;
        };
        complete &= program.complete;
        let asks = |field: &Field| matches!(space.universe.bits(*field, 0), Some((Word::Mark, _)));
        // A mark that an earlier chain sets is not followed into this one.
        complete &=
            !(marked && program.steps.iter().any(|step| step.cube.parts().iter().any(|(field, _)| asks(field))));
        marked |= program.steps.iter().any(|step| {
            matches!(step.does, Does::Happen(event) if matches!(space.event(event), Event::Effect(Effect::SetMark { .. })))
        });
        // What the chain before accepted comes in here.
        let first = number(steps.len());
        for step in &mut steps {
            if step.does == Does::Decide(accept) {
                step.does = Does::Lead(first);
            }
        }
        steps.extend(program.steps.into_iter().map(|step| {
            let does = match step.does {
                Does::Lead(to) => Does::Lead(to.saturating_add(first)),
                Does::Decide(event) if event == passed => Does::Decide(accept),
                does => does,
            };
            Step { does, ..step }
        }));
    }
    // What counts is compared by its name and place, as a condition; that it is asked is nothing that a packet meets.
    let steps = if steps.is_empty() {
        steps
    } else {
        without(steps, |does| matches!(does, Does::Happen(event) if matches!(space.event(event), Event::Counted(_))))
    };
    let mut steps = steps;
    if steps.is_empty() {
        let place = Place { table: u32::MAX, chain: u32::MAX, rule: u32::MAX };
        steps.push(Step { cube: crate::packet::Cube::all(), does: Does::Decide(accept), place });
    }
    Program::new(steps, complete)
}

/// The same list, of which only allowing and denying is left.
pub(super) fn verdicts(program: &Program, space: &mut Space) -> Program {
    let accept = space.number(Event::Verdict(Verdict::Accept));
    let drop = space.number(Event::Verdict(Verdict::Drop));
    let mut steps = without(program.steps.clone(), |does| matches!(does, Does::Happen(_)));
    for step in &mut steps {
        if let Does::Decide(event) = step.does {
            step.does = Does::Decide(match allows(space.event(event)) {
                Some(true) => accept,
                Some(false) => drop,
                None => event,
            });
        }
    }
    Program::new(steps, program.complete)
}

/// A list without some of its steps; what led to one leads to the next.
fn without(steps: Vec<Step>, gone: impl Fn(Does) -> bool) -> Vec<Step> {
    let mut places = Vec::with_capacity(steps.len());
    let mut kept = 0u32;
    for step in &steps {
        places.push(kept);
        kept += u32::from(!gone(step.does));
    }
    let mut left: Vec<Step> = steps.into_iter().filter(|step| !gone(step.does)).collect();
    for step in &mut left {
        if let Does::Lead(to) = &mut step.does {
            *to = places.get(*to as usize).copied().unwrap_or(kept);
        }
    }
    left
}

/// Whether an event lets a packet through; `None`: that is not known.
pub(super) fn allows(event: &Event) -> Option<bool> {
    match event {
        Event::Verdict(Verdict::Drop | Verdict::Reject(_)) => Some(false),
        Event::Verdict(Verdict::Unknown(_)) => None,
        _ => Some(true),
    }
}

fn number(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
