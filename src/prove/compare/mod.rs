//! Whether two programs do the same to every packet, by dividing the packets until both sides are short or alike.
//!
//! For some packets, of either program only the steps count that any of them meets, and of a step only what it asks beyond what they
//! have in common. If both lists are then the same, apart from steps that nothing tells which is first, nothing more has to be asked of
//! these packets; if the first step of both takes them all, it is seen what becomes of them. Otherwise they are divided, where the
//! steps that have no counterpart say, and each part is looked at. Programs that come from the same rules are alike in all but a
//! few places, so that few parts are needed, however many rules overlap.

mod cut;
mod list;

use std::ops::ControlFlow;

use super::cover::{Budget, Spent};
use crate::packet::{Cube, Universe};
use crate::program::{Does, Program, Space};
use cut::Cut;
use list::{List, Relation};

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

/// Packets for which the programs differ, if there are any; `found` is given each and says whether to go on. No two of them have
/// packets in common. A step of the budget is the work on one step of a program.
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
    let universe = &space.universe;
    let part = |region: Cube, form: Form| {
        let lists = [List::of(left, &region, universe), List::of(right, &region, universe)];
        Part { region, lists, form }
    };
    let mut whole = part(region.clone(), Form::Long);
    if whole.lists.iter().any(List::leads) {
        whole.lists.iter_mut().for_each(List::shorten);
    }
    let mut open = vec![whole];
    while let Some(mut now) = open.pop() {
        budget.take(1 + now.lists.iter().map(|list| list.steps().len() as u64).sum::<u64>())?;
        match now.outcome(universe, budget)? {
            Outcome::Same => {}
            Outcome::Differs(left, right) if now.form == Form::Exact => {
                if found(Difference { cube: now.region, left, right }).is_break() {
                    return Ok(());
                }
            }
            Outcome::Differs(..) => {
                budget.take(u64::from(left.len()) + u64::from(right.len()))?;
                open.push(part(now.region, Form::Exact));
            }
            Outcome::Open(cut) => {
                let [inside, outside] = cut.sides(&now.region, universe);
                open.extend(outside.and_then(|region| now.within(region, &cut)));
                open.extend(inside.and_then(|region| now.within(region, &cut)));
            }
        }
    }
    Ok(())
}

/// Packets, and what they can meet in each program.
struct Part<'p> {
    region: Cube,
    lists: [List<'p>; 2],
    form: Form,
}

/// What steps of lists are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Of those that decide alike at the end of a list the last stands for all.
    Long,
    /// As that, and one step stands for all that decide the same behind one another and differ in one field.
    Short,
    /// The program's: who does not meet others meets these. Once it is known that there is a difference, it is told so.
    Exact,
}

enum Outcome {
    Same,
    /// The steps that they meet.
    Differs(u32, u32),
    Open(Cut),
}

impl Part<'_> {
    /// A part of these packets, which differs in one field.
    fn within(&self, region: Cube, cut: &Cut) -> Option<Self> {
        let values = region.get(cut.field)?;
        let lists = self.lists.each_ref().map(|list| list.within(cut.field, values));
        Some(Self { region, lists, form: self.form })
    }

    fn outcome(&mut self, universe: &Universe, budget: &mut Budget) -> Result<Outcome, Spent> {
        self.settle();
        if let Some(outcome) = self.first()? {
            return Ok(outcome);
        }
        if self.form == Form::Long && !self.lists.iter().any(List::leads) {
            let [left, right] = &self.lists;
            if list::is_same(left, right) {
                return Ok(Outcome::Same);
            }
            self.form = Form::Short;
            self.lists.iter_mut().for_each(List::shorten);
            self.settle();
        }
        let [left, right] = &self.lists;
        if left.only_decision().is_some_and(|event| right.only_decision() == Some(event)) {
            return Ok(Outcome::Same);
        }
        let dividing = match list::relation(left, right, budget)? {
            Relation::Same => return Ok(Outcome::Same),
            Relation::But(steps) => Cut::best(&steps, &self.lists, &self.region, universe),
        };
        // Those may ask nothing more of these packets; the others do.
        let others = || {
            let all: Vec<_> = self.lists.iter().flat_map(List::steps).collect();
            Cut::best(&all, &self.lists, &self.region, universe)
        };
        dividing.or_else(others).map(Outcome::Open).ok_or(Spent)
    }

    fn settle(&mut self) {
        self.lists.iter_mut().for_each(List::settle);
        if self.form != Form::Exact {
            self.lists.iter_mut().for_each(List::leave_alike);
        }
    }

    /// What becomes of them, if the first steps say so. What happens to all of them on both sides is gone through.
    fn first(&mut self) -> Result<Option<Outcome>, Spent> {
        let [left, right] = &mut self.lists;
        loop {
            // Every packet meets a step that decides.
            let (Some(one), Some(other)) = (left.steps().first(), right.steps().first()) else { return Err(Spent) };
            if !one.is_whole() || !other.is_whole() {
                return Ok(None);
            }
            match (one.does, other.does) {
                (Does::Happen(event), Does::Happen(same)) if event == same => {
                    left.skip();
                    right.skip();
                }
                (Does::Decide(event), Does::Decide(same)) if event == same => return Ok(Some(Outcome::Same)),
                (Does::Lead(_), _) | (_, Does::Lead(_)) => return Err(Spent),
                _ => return Ok(Some(Outcome::Differs(one.number, other.number))),
            }
        }
    }
}
