//! The quick way to show that two programs are equal: in pieces, where the one was made from the other in an order-keeping way.
//!
//! What packets survive, and what leads elsewhere, divides both programs into stretches in which every step decides. If those
//! dividing steps are the same in both, and each stretch decides as its counterpart, the programs are equal. Two stretches do if,
//! for every step of each, steps of the other decide all its packets alike, and none of those comes too late: a
//! step that decides otherwise, and that would come in between, has its own counterpart further in front.
//!
//! It says yes or nothing. What it does not show, the general comparison decides.

use std::cell::Cell;
use std::ops::{ControlFlow, Range};

use crate::packet::{Cube, Universe, Values};
use crate::program::{Does, EventId, Program};

/// Steps that are looked at before the attempt is given up.
const EFFORT: u64 = 4_000_000;

/// Whether the programs are shown to be equal in this way.
#[must_use]
pub fn aligned(left: &Program, right: &Program, universe: &Universe) -> bool {
    let (Some(ours), Some(theirs)) = (divided(left), divided(right)) else { return false };
    let effort = Cell::new(EFFORT);
    ours.marks.len() == theirs.marks.len()
        && ours.marks.iter().zip(&theirs.marks).all(|(one, other)| one.equals(other))
        && ours.stretches.iter().zip(&theirs.stretches).all(|(one, other)| {
            let (ours, theirs) = (
                Side { program: left, universe, effort: &effort, range: one.clone() },
                Side { program: right, universe, effort: &effort, range: other.clone() },
            );
            decides_alike(&ours, &theirs).is_some()
        })
}

/// A step that divides.
enum Mark<'p> {
    Happens(EventId, &'p Cube),
    /// Leads to the mark of that number.
    Leads(&'p Cube, usize),
    /// Something leads here.
    Here,
}

impl Mark<'_> {
    fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Happens(event, cube), Self::Happens(other_event, other)) => event == other_event && cube == other,
            (Self::Leads(cube, to), Self::Leads(other, other_to)) => to == other_to && cube == other,
            (Self::Here, Self::Here) => true,
            _ => false,
        }
    }
}

struct Divided<'p> {
    marks: Vec<Mark<'p>>,
    /// One more than marks.
    stretches: Vec<Range<u32>>,
}

fn divided(program: &Program) -> Option<Divided<'_>> {
    let mut heres: Vec<u32> =
        program.steps.iter().filter_map(|step| if let Does::Lead(to) = step.does { Some(to) } else { None }).collect();
    heres.sort_unstable();
    heres.dedup();
    let mut numbers = Vec::with_capacity(heres.len());
    let (mut marks, mut stretches, mut start) = (Vec::new(), Vec::new(), 0u32);
    let mut next = heres.iter().peekable();
    let mut open: Vec<(usize, u32)> = Vec::new();
    for (number, step) in (0u32..).zip(&program.steps) {
        if next.next_if(|here| **here == number).is_some() {
            numbers.push(marks.len());
            stretches.push(start..number);
            marks.push(Mark::Here);
            start = number;
        }
        match step.does {
            Does::Decide(_) => continue,
            Does::Happen(event) => {
                stretches.push(start..number);
                marks.push(Mark::Happens(event, &step.cube));
            }
            Does::Lead(to) => {
                stretches.push(start..number);
                open.push((marks.len(), to));
                marks.push(Mark::Leads(&step.cube, 0));
            }
        }
        start = number + 1;
    }
    stretches.push(start..program.len());
    for (mark, to) in open {
        let number = numbers.get(heres.binary_search(&to).ok()?).copied()?;
        if let Some(Mark::Leads(_, place)) = marks.get_mut(mark) {
            *place = number;
        }
    }
    Some(Divided { marks, stretches })
}

/// A stretch of a program in which every step decides.
struct Side<'p> {
    program: &'p Program,
    universe: &'p Universe,
    /// How many steps may still be looked at.
    effort: &'p Cell<u64>,
    range: Range<u32>,
}

impl Side<'_> {
    fn step(&self, number: u32) -> Option<(EventId, &Cube)> {
        let step = self.program.step(number)?;
        if let Does::Decide(event) = step.does { Some((event, &step.cube)) } else { None }
    }

    /// The step by which, at the latest, all packets of a cube have met one that decides so.
    fn latest(&self, event: EventId, cube: &Cube) -> Option<u32> {
        let (mut latest, mut open) = (0, vec![cube.clone()]);
        while let Some(cube) = open.pop() {
            if let Some(first) = self.first(event, &cube)? {
                latest = latest.max(first);
            } else if let Some((field, values)) = cube.scattered(1) {
                open.extend(values.ranges().iter().map(|range| cube.replaced(field, Some(Values::One(*range)))));
            } else {
                // Several steps together, a part each.
                let (number, own) = self.part(event, &cube)?;
                latest = latest.max(number);
                open.append(&mut cube.difference(own, self.universe));
            }
        }
        Some(latest)
    }

    /// The first step that decides all packets of a cube so; `None` if that takes too much work.
    fn first(&self, event: EventId, cube: &Cube) -> Option<Option<u32>> {
        let mut looked = 1;
        let mut first: Option<u32> = None;
        let all = self.program.covering(
            cube,
            self.range.clone(),
            |class| class == event.0,
            |number| {
                looked += 1;
                if first.is_none_or(|known| number < known)
                    && self.step(number).is_some_and(|(_, own)| own.covers(cube))
                {
                    first = Some(number);
                }
                ControlFlow::<()>::Continue(())
            },
        );
        debug_assert!(all.is_continue());
        self.effort.set(self.effort.get().checked_sub(looked)?);
        Some(first)
    }

    /// A step that decides some packets of a cube so.
    fn part(&self, event: EventId, cube: &Cube) -> Option<(u32, &Cube)> {
        let part = self.program.meeting(
            cube,
            self.range.clone(),
            |class| class == event.0,
            |number| match self.step(number).filter(|(_, own)| own.meets(cube)) {
                Some((_, own)) => ControlFlow::Break((number, own)),
                None => ControlFlow::Continue(()),
            },
        );
        part.break_value()
    }
}

/// The latest place in a list so far, apart from one event: enough to know the two latest of different events.
#[derive(Clone, Copy, Default)]
struct Latest {
    first: Option<(u32, EventId)>,
    second: Option<u32>,
}

impl Latest {
    fn add(&mut self, place: u32, event: EventId) {
        match self.first {
            Some((known, own)) if own == event => self.first = Some((known.max(place), own)),
            Some((known, _)) if place > known => {
                self.second = Some(known);
                self.first = Some((place, event));
            }
            Some(_) => self.second = Some(self.second.map_or(place, |second| second.max(place))),
            None => self.first = Some((place, event)),
        }
    }

    /// The latest of any other event.
    fn but(&self, event: EventId) -> Option<u32> {
        match self.first {
            Some((place, own)) if own != event => Some(place),
            _ => self.second,
        }
    }
}

fn decides_alike(ours: &Side, theirs: &Side) -> Option<()> {
    // Where, in theirs, each of our steps has been decided alike.
    let mut done = Vec::with_capacity(ours.range.len());
    let mut latest = Vec::with_capacity(ours.range.len());
    let mut so_far = Latest::default();
    for number in ours.range.clone() {
        let (event, cube) = ours.step(number)?;
        let place = theirs.latest(event, cube)?;
        latest.push(so_far);
        so_far.add(place, event);
        done.push(place);
    }
    for number in theirs.range.clone() {
        let (event, cube) = theirs.step(number)?;
        let last = ours.latest(event, cube)?;
        let before = latest.get((last - ours.range.start) as usize)?;
        if before.but(event).is_some_and(|place| place >= number) {
            // One of them comes too late; does it concern these packets?
            let late = ours.program.meeting(
                cube,
                ours.range.start..last,
                |class| class != event.0,
                |other| {
                    let place = done.get((other - ours.range.start) as usize);
                    let concerned = place.is_none_or(|place| *place >= number)
                        && ours.step(other).is_some_and(|(_, other)| other.meets(cube));
                    if concerned { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                },
            );
            if late.is_break() {
                return None;
            }
        }
    }
    Some(())
}
