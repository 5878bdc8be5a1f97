//! Steps that change nothing are left out: those that lead where their packets come anyway.

use std::cell::OnceCell;
use std::ops::ControlFlow;

use super::{Does, Program, Step, VISIT, kept, moved};
use crate::packet::{Cube, Index};

/// Steps behind one that are looked at one by one before an index of all is made.
const NEAR: usize = 64;

/// The program without steps that lead past nothing that their packets would meet.
pub(super) fn tidy(mut program: Program) -> Program {
    let leads = |step: &Step| matches!(step.does, Does::Lead(_));
    while program.steps.iter().any(leads) {
        let before = program.steps.len();
        let list = List { visits: visits_before(&program.steps), index: OnceCell::new(), steps: &program.steps };
        let idle: Vec<bool> = (0..).zip(&program.steps).map(|(number, step)| list.is_idle(number, step)).collect();
        drop(list);
        let steps = program.steps.into_iter().zip(idle);
        let (steps, places) = kept(steps.map(|(step, idle)| (!idle).then_some(step)));
        program = Program { states: moved(&program.states, &places), ..Program::new(steps, program.complete) };
        if program.steps.len() == before {
            break;
        }
    }
    program
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

struct List<'s> {
    steps: &'s [Step],
    visits: Vec<u32>,
    /// Most steps that lead elsewhere are followed closely by one that their packets would meet: few lists need it.
    index: OnceCell<Index>,
}

impl List<'_> {
    fn is_idle(&self, number: u32, step: &Step) -> bool {
        let Does::Lead(to) = step.does else { return false };
        let before = |step: u32| self.visits.get(step as usize).or(self.visits.last());
        if before(number + 1) != before(to) {
            // It leads past rules.
            return false;
        }
        let met = |other: &Step| {
            // What leads at most as far does not count: whatever it does, its packets come to the same place.
            let no_farther = matches!(other.does, Does::Lead(further) if further <= to);
            !no_farther && other.does != Does::Happen(VISIT) && other.cube.meets(&step.cube)
        };
        let end = self.steps.len().min(to as usize);
        let passed = self.steps.get(number as usize + 1..end).unwrap_or_default();
        if passed.iter().take(NEAR).any(met) {
            return false;
        }
        if passed.len() <= NEAR {
            return true;
        }
        let index = self.index.get_or_init(|| index(self.steps));
        let visit = |other: u32| {
            if self.steps.get(other as usize).is_some_and(met) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        index.meeting(&step.cube, number + 1..to, |_| true, visit).is_continue()
    }
}

/// The index of steps that packets may meet. All are of one class: with one for each of ten thousand decisions, a search has as many trees.
fn index(steps: &[Step]) -> Index {
    let cube = |number: u32| steps.get(number as usize).map_or(&EVERYTHING, |step| &step.cube);
    let seen = (0..).zip(steps).filter(|(_, step)| step.does != Does::Happen(VISIT));
    Index::new(seen.map(|(number, _)| (number, 0)), cube)
}

static EVERYTHING: Cube = Cube::all();
