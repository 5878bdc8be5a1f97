//! Steps that change nothing are left out: those that lead where their packets come anyway.

use std::ops::ControlFlow;

use super::{Does, Program, Step, VISIT};

/// The list without steps that lead past nothing that their packets would meet.
pub(super) fn tidy(mut steps: Vec<Step>) -> Vec<Step> {
    let leads = |step: &Step| matches!(step.does, Does::Lead(_));
    while steps.iter().any(leads) {
        let before = steps.len();
        let program = Program::new(steps, true);
        let visits = visits_before(&program.steps);
        let idle: Vec<bool> =
            (0..).zip(&program.steps).map(|(number, step)| is_idle(&program, &visits, number, step)).collect();
        steps = without(program.steps, &idle);
        if steps.len() == before {
            break;
        }
    }
    steps
}

/// How many rules have their place before each step.
fn visits_before(steps: &[Step]) -> Vec<u32> {
    let mut before = 0;
    let counted = steps.iter().map(|step| {
        let here = before;
        before += u32::from(step.does == Does::Happen(VISIT));
        here
    });
    counted.collect()
}

fn is_idle(program: &Program, visits: &[u32], number: u32, step: &Step) -> bool {
    let Does::Lead(to) = step.does else { return false };
    let before = |step: u32| visits.get(step as usize).or(visits.last());
    if before(number + 1) != before(to) {
        // It leads past rules.
        return false;
    }
    let passed = program.meeting(
        &step.cube,
        number + 1..to,
        |_| true,
        |other| {
            let Some(other) = program.step(other).filter(|other| other.cube.meets(&step.cube)) else {
                return ControlFlow::Continue(());
            };
            match other.does {
                // It leads at most as far: whatever it does, its packets come to the same place.
                Does::Lead(further) if further <= to => ControlFlow::Continue(()),
                _ => ControlFlow::Break(()),
            }
        },
    );
    passed.is_continue()
}

fn without(steps: Vec<Step>, idle: &[bool]) -> Vec<Step> {
    // Where each place is afterwards: a place that was left out is the next one.
    let mut places = Vec::with_capacity(steps.len() + 1);
    let mut next = 0u32;
    for gone in idle {
        places.push(next);
        next += u32::from(!gone);
    }
    places.push(next);
    let kept = steps.into_iter().zip(idle).filter(|(_, gone)| !**gone).map(|(step, _)| step);
    kept.map(|mut step| {
        if let Does::Lead(to) = &mut step.does {
            *to = places.get(*to as usize).copied().unwrap_or(next);
        }
        step
    })
    .collect()
}
