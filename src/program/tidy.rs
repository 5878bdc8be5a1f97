//! Steps that change nothing are left out: those that lead where their packets come anyway.

use std::ops::ControlFlow;

use super::{Does, Program, Step};

/// The list without steps that lead past nothing that their packets would meet.
pub(super) fn tidy(mut steps: Vec<Step>) -> Vec<Step> {
    let leads = |step: &Step| matches!(step.does, Does::Lead(_));
    while steps.iter().any(leads) {
        let before = steps.len();
        let program = Program::new(steps, true);
        let idle: Vec<bool> = (0..).zip(&program.steps).map(|(number, step)| is_idle(&program, number, step)).collect();
        steps = without(program.steps, &idle);
        if steps.len() == before {
            break;
        }
    }
    steps
}

fn is_idle(program: &Program, number: u32, step: &Step) -> bool {
    let Does::Lead(to) = step.does else { return false };
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
