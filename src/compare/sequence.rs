//! All base chains at a hook as one list of steps: what one accepts goes on to the next.

use std::rc::Rc;

use crate::host::{Entry, Host};
use crate::net::Family;
use crate::netfilter::{Hook, TableKind, Verdict};
use crate::packet::field::Assigned;
use crate::packet::{Cube, Field};
use crate::program::{Does, End, Event, Marks, Place, Program, Space, Step, flatten, flatten_from};

/// States of marks at one hook: with more, the list is not complete.
const MOST_STATES: usize = 64;

/// The list for the chains at a hook that translate addresses, or for those that do not. What marks hold where one chain lets packets
/// on, the next one knows: it is written once for each state that they can have there.
#[must_use]
pub fn at(host: &Host, family: Family, hook: Hook, translation: bool, space: &mut Space) -> Program {
    let entries = host.entries(family, hook).into_iter();
    let entries = entries.filter(|entry| (entry.base.kind == TableKind::Nat) == translation);
    let mut chains: Vec<Chain> = entries.filter_map(|entry| Chain::new(host, entry, space)).collect();
    let accept = space.number(Event::Verdict(Verdict::Accept));
    let passed = space.number(Event::Passed);
    let lets_on = |does: Does| does == Does::Decide(accept) || does == Does::Decide(passed);
    let mut steps: Vec<Step> = Vec::new();
    let mut complete = true;
    // Where packets come into the chain that is written next, by what their marks hold.
    let mut inlets: Vec<(Marks, Vec<usize>)> = vec![(Marks::new(), Vec::new())];
    while !chains.is_empty() {
        let chain = chains.remove(0);
        let asked: Vec<Field> = chains.iter().flat_map(|later| later.asks(space)).collect();
        for (marks, leads) in std::mem::take(&mut inlets) {
            let first = number(steps.len());
            for lead in leads {
                if let Some(step) = steps.get_mut(lead) {
                    step.does = Does::Lead(first);
                }
            }
            let Some(program) = chain.program(host, space, &marks) else { continue };
            complete &= program.complete;
            for (at, step) in (0..).zip(&program.steps) {
                if lets_on(step.does) && !chains.is_empty() {
                    let mut marks = program.marks_at(at).to_vec();
                    marks.retain(|(field, _)| asked.contains(field));
                    let inlet = inlets.iter().position(|(known, _)| *known == marks).unwrap_or(inlets.len());
                    if inlet == inlets.len() && inlet < MOST_STATES {
                        inlets.push((marks, Vec::new()));
                    }
                    match inlets.get_mut(inlet) {
                        Some((_, leads)) => leads.push(steps.len()),
                        None => complete = false,
                    }
                }
                let does = match step.does {
                    Does::Lead(to) => Does::Lead(to.saturating_add(first)),
                    Does::Decide(_) if lets_on(step.does) => Does::Decide(accept),
                    does => does,
                };
                steps.push(Step { cube: step.cube.clone(), does, place: step.place });
            }
        }
    }
    if steps.is_empty() {
        let place = Place { table: u32::MAX, chain: u32::MAX, rule: u32::MAX };
        steps.push(Step { cube: Cube::all(), does: Does::Decide(accept), place });
    }
    // What counts is compared by its name and place, as a condition; that it is asked is nothing that a packet meets.
    let counted =
        |step: &Step| matches!(step.does, Does::Happen(event) if matches!(space.event(event), Event::Counted(_)));
    Program::new(steps, complete).rebuilt(|step| (!counted(step)).then(|| step.clone()))
}

/// A base chain at a hook.
struct Chain {
    table: usize,
    name: std::sync::Arc<str>,
    end: End,
    /// Its list for packets whose marks hold what they held at the start.
    plain: Rc<Program>,
}

impl Chain {
    fn new(host: &Host, entry: Entry, space: &mut Space) -> Option<Self> {
        let name = host.ruleset.tables.get(entry.table)?.chains.get(entry.chain)?.name.clone();
        let end = if entry.base.accept { End::Accept } else { End::Drop };
        let plain = Rc::new(flatten(&host.ruleset, entry.table, &name, end, space)?);
        Some(Self { table: entry.table, name, end, plain })
    }

    /// The groups of mark bits on which it depends.
    fn asks(&self, space: &Space) -> Vec<Field> {
        let tested = self.plain.steps.iter().flat_map(|step| step.cube.parts()).map(|(field, _)| *field);
        let copied = self.plain.mark_states().flatten().filter_map(|(_, assigned)| match assigned {
            Assigned::Of(field, _) => Some(*field),
            _ => None,
        });
        let mut fields: Vec<Field> = tested.filter(|field| space.universe.is_mark(*field)).chain(copied).collect();
        fields.sort_unstable();
        fields.dedup();
        fields
    }

    fn program(&self, host: &Host, space: &mut Space, marks: &Marks) -> Option<Rc<Program>> {
        if marks.is_empty() {
            return Some(Rc::clone(&self.plain));
        }
        flatten_from(&host.ruleset, self.table, &self.name, self.end, space, marks).map(Rc::new)
    }
}

/// The same list, of which only allowing and denying is left.
pub(super) fn verdicts(program: &Program, space: &mut Space) -> Program {
    let accept = space.number(Event::Verdict(Verdict::Accept));
    let drop = space.number(Event::Verdict(Verdict::Drop));
    program.rebuilt(|step| {
        let does = match step.does {
            Does::Happen(_) => return None,
            Does::Decide(event) => Does::Decide(match allows(space.event(event)) {
                Some(true) => accept,
                Some(false) => drop,
                None => event,
            }),
            does => does,
        };
        Some(Step { cube: step.cube.clone(), does, place: step.place })
    })
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
