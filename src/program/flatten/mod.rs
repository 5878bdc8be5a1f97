//! From chains to a list of steps.
//!
//! A jump is written out in place, for the packets that take it, and RETURN leads behind it. A chain that several rules *go to*, from
//! where they will not come back, is written once, behind everything that leads there. So the list grows with the rules and with
//! the jumps, not with the ways through them.
//!
//! A rule that sets the mark leads on into a second copy of the list, in which that mark is known. There are as many copies as there
//! are marks that packets can have, and only what can be reached with that mark is written.

mod marks;
mod order;
mod rule;

use std::collections::VecDeque;

use rustc_hash::{FxHashMap, FxHasher};
use std::hash::{Hash, Hasher};

use super::condition::Reader;
use super::{Does, Event, EventId, Marks, Place, Program, Space, Step};
use crate::netfilter::{Rule, Ruleset, Table, Verdict};
use crate::packet::condition::Counter;
use crate::packet::field::Assigned;
use crate::packet::{Cube, Field};
use order::arrange;

/// More steps than this are not written.
const MOST_STEPS: usize = 6_000_000;
/// Copies of the list for marks.
const MOST_MARKS: usize = 24;
/// Rules that lead to one chain beyond which it is not looked for which packets they do.
const MOST_INLETS: usize = 64;
/// Ranges of one field that a guard may be narrowed to on the way through a chain.
const FEW: usize = 6;
/// Ranges of one field beyond which no more is taken out of the packets that counters are numbered by.
const MANY: usize = 64;
/// The path of the first chain: the hash of a path from nothing would be nothing again.
const START: u64 = 0x9e37_79b9_7f4a_7c15;
/// Jumps within jumps: netfilter itself refuses more than 16.
const DEEPEST: usize = 64;

/// What becomes of a packet at the end of the first chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It goes on, undecided.
    Passed,
    /// A base chain's policy.
    Accept,
    /// A base chain's policy.
    Drop,
}

type Label = u32;

/// A chain that is being written: where RETURN leads, and the chains that are still to be written before that place.
struct Frame {
    end: Label,
    pending: Vec<Pending>,
    /// How many rules that go to a chain no packet matches: those of the other family, and contradictions.
    idle: FxHashMap<usize, usize>,
    /// The path of the rule that jumped.
    path: u64,
    /// In the first chain: what its end is. Then RETURN need not lead there.
    decided: Option<EventId>,
}

impl Frame {
    fn to(end: Label) -> Self {
        Self { end, pending: Vec::new(), idle: FxHashMap::default(), path: START, decided: None }
    }

    /// Whether all rules that go to a chain have been written, if so many do.
    fn has_seen(&self, pending: &Pending, gotos: usize) -> bool {
        pending.seen + self.idle.get(&pending.chain).copied().unwrap_or(0) == gotos
    }

    /// What RETURN does.
    fn leave(&self) -> Does {
        self.decided.map_or(Does::Lead(self.end), Does::Decide)
    }
}

struct Pending {
    chain: usize,
    label: Label,
    path: u64,
    /// The packets that are led there, as far as they were counted.
    inlets: Vec<Cube>,
    /// How many of the rules that go there have been written.
    seen: usize,
    /// Whether some inlet may hold packets that are not led there.
    loose: bool,
}

impl Pending {
    /// A cube that holds all packets that are led there.
    fn guard(&self, frame: &Cube) -> Cube {
        let mut inlets = self.inlets.iter();
        let Some(first) = inlets.next().filter(|_| self.inlets.len() < MOST_INLETS) else { return frame.clone() };
        let hull = inlets.fold(first.clone(), |hull, inlet| hull.hull(inlet));
        hull.intersection(frame).unwrap_or(hull)
    }

    /// Whether that cube holds no others: its inlets differ in one field at most.
    fn is_exact(&self) -> bool {
        let Some((first, rest)) = self.inlets.split_first() else { return false };
        let mut differ: Vec<Field> = Vec::new();
        for inlet in rest {
            let fields = first.parts().iter().chain(inlet.parts()).map(|(field, _)| *field);
            differ.extend(fields.filter(|field| first.get(*field) != inlet.get(*field)));
        }
        differ.sort_unstable();
        differ.dedup();
        differ.len() <= 1 && !self.loose && self.inlets.len() < MOST_INLETS
    }
}

/// A second copy that is still to be written, and where packets come into it.
struct Copy {
    marks: Marks,
    entries: FxHashMap<u64, Vec<Label>>,
}

struct Chain<'r> {
    rules: &'r [Rule],
    /// In an order in which chains stand before those they lead to.
    rank: usize,
    /// How many rules go to it, without coming back.
    gotos: usize,
    /// It, or one that it leads to, sets the mark.
    marks: bool,
    /// The chain that every way to it passes last: behind all of that, it can be written.
    after: Option<usize>,
}

struct Writer<'r, 's> {
    space: &'s mut Space,
    reader: Reader<'r>,
    table: u32,
    chains: Vec<Chain<'r>>,
    by_name: FxHashMap<&'r str, usize>,
    steps: Vec<Step>,
    /// Where each label stands, and whether a step leads there.
    labels: Vec<(u32, bool)>,
    marks: Marks,
    /// The steps from which on marks hold something else, and what.
    states: Vec<(u32, Marks)>,
    entries: FxHashMap<u64, Vec<Label>>,
    copies: VecDeque<Copy>,
    made: usize,
    /// Whether packets come here at all: in a copy none do before the first place at which they enter.
    live: bool,
    /// Packets that do not come here, since the step before keeps them all and nothing leads here.
    shut: Option<Cube>,
    complete: bool,
    /// The packets that may come to what is being written: as its guard, in however many ranges. Counters are numbered by it.
    coming: Cube,
    /// Whether any rule sets the mark: then packets come into copies in the middle of a chain, past what has been taken out of `coming`.
    sets_marks: bool,
    /// Whether the guard of what is being written may hold packets that do not come there: those were led past it by steps.
    loose: bool,
    /// Whether each rule's place in the list is kept, by a step of its own.
    visits: bool,
    depth: usize,
    /// The questions to counters of each kind: for which packets, and by what number.
    questions: FxHashMap<Counter, Vec<(Cube, u32)>>,
    numbered: FxHashMap<(u64, Counter), u32>,
}

/// Writes out a chain of a rule set's table for one family, the space's. `None` if there is no such chain.
pub fn flatten(ruleset: &Ruleset, table: usize, chain: &str, end: End, space: &mut Space) -> Option<Program> {
    written(ruleset, table, chain, end, space, &[], false)
}

/// As [`flatten`], of packets whose marks hold something since chains before this one changed them.
pub fn flatten_from(
    ruleset: &Ruleset,
    table: usize,
    chain: &str,
    end: End,
    space: &mut Space,
    marks: &[(Field, Assigned)],
) -> Option<Program> {
    written(ruleset, table, chain, end, space, marks, false)
}

/// As [`flatten`], with a step in front of each rule that does nothing ([`VISIT`](super::VISIT)) to the packets that match it: whether any
/// packet comes there and matches can then be asked of every rule, of those that decide nothing, too.
pub fn flatten_with_visits(
    ruleset: &Ruleset,
    table: usize,
    chain: &str,
    end: End,
    space: &mut Space,
) -> Option<Program> {
    written(ruleset, table, chain, end, space, &[], true)
}

fn written(
    ruleset: &Ruleset,
    table: usize,
    chain: &str,
    end: End,
    space: &mut Space,
    marks: &[(Field, Assigned)],
    visits: bool,
) -> Option<Program> {
    let own = ruleset.tables.get(table)?;
    let by_name: FxHashMap<&str, usize> = own.chains.iter().enumerate().map(|(at, chain)| (&*chain.name, at)).collect();
    let first = *by_name.get(chain)?;
    let mut chains: Vec<Chain> = own
        .chains
        .iter()
        .map(|chain| Chain { rules: &chain.rules, rank: 0, gotos: 0, marks: false, after: None })
        .collect();
    let acyclic = arrange(&mut chains, &by_name, first);
    let mut writer = Writer {
        reader: Reader::new(own),
        space,
        table: u32::try_from(table).unwrap_or(u32::MAX),
        chains,
        by_name,
        steps: Vec::new(),
        labels: Vec::new(),
        marks: marks.to_vec(),
        states: Vec::new(),
        entries: FxHashMap::default(),
        copies: VecDeque::new(),
        made: 1,
        live: true,
        shut: None,
        complete: acyclic,
        coming: Cube::all(),
        sets_marks: false,
        loose: false,
        visits,
        depth: 0,
        questions: FxHashMap::default(),
        numbered: FxHashMap::default(),
    };
    let event = match end {
        End::Passed => Event::Passed,
        End::Accept => Event::Verdict(Verdict::Accept),
        End::Drop => Event::Verdict(Verdict::Drop),
    };
    let event = writer.space.number(event);
    writer.sets_marks = writer.chains.get(first).is_none_or(|chain| chain.marks);
    writer.whole(first, event);
    while let Some(copy) = writer.copies.pop_front() {
        writer.marks = copy.marks;
        writer.entries = copy.entries;
        writer.live = false;
        writer.whole(first, event);
    }
    Some(writer.finish())
}

/// Whether any packet of the space's family matches some rules of a table, wherever they stand: its chain and rule are given to
/// `found` for each that one matches.
pub fn can_match(
    table: &Table,
    space: &mut Space,
    rules: impl Iterator<Item = (usize, usize)>,
    mut found: impl FnMut(usize, usize),
) {
    let mut reader = Reader::new(table);
    for (chain, number) in rules {
        let rule = table.chains.get(chain).and_then(|chain| chain.rules.get(number));
        // Only whether anything is left is looked at: what counts may have any number.
        if rule.is_some_and(|rule| !reader.read(rule, space, &mut |_, _| 0).cubes.is_empty()) {
            found(chain, number);
        }
    }
}

impl Writer<'_, '_> {
    fn whole(&mut self, first: usize, end: EventId) {
        self.states.push((clamp(self.steps.len()), self.marks.clone()));
        self.coming = Cube::all();
        let mut frame = Frame { path: START, decided: Some(end), ..Frame::to(self.label()) };
        self.chain(first, &Cube::all(), &mut frame, START);
        self.close(&mut frame, &Cube::all());
        if self.live {
            let name = self.chains.get(first).map_or(0, |chain| chain.rules.len());
            let place = Place { table: self.table, chain: clamp(first), rule: clamp(name) };
            self.steps.push(Step { cube: Cube::all(), does: Does::Decide(end), place });
        }
    }

    fn finish(mut self) -> Program {
        for step in &mut self.steps {
            if let Does::Lead(label) = &mut step.does {
                *label = self.labels.get(*label as usize).map_or(u32::MAX, |(place, _)| *place);
            }
        }
        super::tidy::tidy(Program { states: self.states, ..Program::new(self.steps, self.complete) })
    }

    fn label(&mut self) -> Label {
        self.labels.push((u32::MAX, false));
        clamp(self.labels.len() - 1)
    }

    fn put(&mut self, label: Label) {
        let here = clamp(self.steps.len());
        if let Some((place, used)) = self.labels.get_mut(label as usize) {
            *place = here;
            if *used {
                self.shut = None;
            }
        }
    }

    /// Whether any packet of a cube may come to the step that is written next.
    fn comes_here(&self, cube: &Cube) -> bool {
        // Where rules are looked at one by one, what stands behind one that takes all is of interest, too.
        self.live && (self.visits || !self.shut.as_ref().is_some_and(|shut| shut.covers(cube)))
    }

    fn step(&mut self, cube: Cube, does: Does, place: Place) {
        if !self.comes_here(&cube) {
            return;
        }
        if self.steps.len() >= MOST_STEPS {
            self.complete = false;
            return;
        }
        if let Does::Lead(label) = does
            && let Some((_, used)) = self.labels.get_mut(label as usize)
        {
            *used = true;
        }
        if !matches!(does, Does::Happen(_)) {
            self.shut = Some(cube.clone());
        }
        self.steps.push(Step { cube, does, place });
    }

    /// Writes what is still to be written before a frame's end, and then its end.
    fn close(&mut self, frame: &mut Frame, guard: &Cube) {
        self.pending(guard, frame, |_, _| true);
        self.put(frame.end);
    }

    /// Writes a chain to which all rules that go there have been written, where they lead to nothing else. Gives the packets that
    /// went there, if they are one cube; `None` if there is no such chain.
    fn complete_pending(&mut self, chain: usize, guard: &Cube, frame: &mut Frame) -> Option<Option<Cube>> {
        let ready = |pending: &Pending| {
            let known = self.chains.get(pending.chain);
            known.is_some_and(|known| known.after == Some(chain) && frame.has_seen(pending, known.gotos))
        };
        let at = frame.pending.iter().position(ready)?;
        let pending = frame.pending.swap_remove(at);
        let (inside, exact) = (pending.guard(guard), pending.is_exact());
        let rules = self.chains.get(pending.chain).map_or(0, |chain| chain.rules.len());
        let place = Place { table: self.table, chain: clamp(pending.chain), rule: clamp(rules) };
        let behind = self.label();
        if !exact {
            self.step(guard.clone(), Does::Lead(behind), place);
        }
        self.put(pending.label);
        let around = std::mem::replace(&mut self.coming, inside.clone());
        self.inside(!exact, |writer| writer.chain(pending.chain, &inside, frame, pending.path));
        self.coming = around;
        self.step(inside.clone(), frame.leave(), place);
        self.put(behind);
        Some(exact.then_some(inside))
    }

    /// Writes the chains that several rules went to, those first that lead to others.
    fn pending(&mut self, guard: &Cube, frame: &mut Frame, wanted: impl Fn(&Self, &Pending) -> bool) {
        loop {
            let rank = |pending: &Pending| self.chains.get(pending.chain).map_or(usize::MAX, |chain| chain.rank);
            let list = frame.pending.iter().enumerate().filter(|(_, pending)| wanted(self, pending));
            let Some((next, _)) = list.min_by_key(|(_, pending)| rank(pending)) else { return };
            let pending = frame.pending.swap_remove(next);
            // What stands before it ends here, by no rule of its own.
            let rules = self.chains.get(pending.chain).map_or(0, |chain| chain.rules.len());
            let place = Place { table: self.table, chain: clamp(pending.chain), rule: clamp(rules) };
            self.step(guard.clone(), frame.leave(), place);
            self.put(pending.label);
            let (inside, exact) = (pending.guard(guard), pending.is_exact());
            let around = std::mem::replace(&mut self.coming, inside.clone());
            self.inside(!exact, |writer| writer.chain(pending.chain, &inside, frame, pending.path));
            self.coming = around;
            if inside != *guard {
                self.step(inside, frame.leave(), place);
            }
        }
    }

    /// Writes what only some packets of its guard come to, if `loose` says so.
    fn inside(&mut self, loose: bool, write: impl FnOnce(&mut Self)) {
        let before = self.loose;
        self.loose |= loose;
        write(self);
        self.loose = before;
    }

    /// Writes a chain, and behind it those that only its own ways lead to.
    fn chain(&mut self, chain: usize, guard: &Cube, frame: &mut Frame, path: u64) {
        self.rules(chain, guard, frame, path);
        let belongs = |writer: &Self, pending: &Pending| {
            writer.chains.get(pending.chain).is_some_and(|known| known.after == Some(chain))
        };
        self.pending(guard, frame, belongs);
    }

    fn rules(&mut self, chain: usize, guard: &Cube, frame: &mut Frame, path: u64) {
        let Some(rules) = self.chains.get(chain).map(|chain| chain.rules) else { return };
        if self.depth > DEEPEST {
            self.complete = false;
            return;
        }
        self.depth += 1;
        let whole = guard;
        let mut guard = guard.clone();
        let around = self.coming.clone();
        self.coming = guard.intersection(&around).unwrap_or_else(|| guard.clone());
        for (at, rule) in rules.iter().enumerate() {
            if self.steps.len() >= MOST_STEPS {
                self.complete = false;
                break;
            }
            let place = Place { table: self.table, chain: clamp(chain), rule: clamp(at) };
            let path = deeper(path, place);
            if self.live || self.leads_to_marks(rule) {
                let gone = self.rule(rule, &guard, frame, place, path);
                let goes = matches!(&rule.verdict, Some(Verdict::Goto(_))) && gone.len() == 1;
                self.leave_out(&gone);
                if let Some(rest) = gone.first().filter(|_| goes).and_then(|gone| self.narrowed(&guard, gone)) {
                    guard = rest;
                }
                while let Some(gone) = self.complete_pending(chain, whole, frame) {
                    self.leave_out(gone.as_slice());
                    if let Some(rest) = gone.and_then(|gone| self.narrowed(&guard, &gone)) {
                        guard = rest;
                    }
                }
            }
        }
        self.coming = around;
        self.depth -= 1;
    }

    /// Takes packets that have gone elsewhere out of those that may come to what is written next, where that leaves one cube. Where visits
    /// are kept, it is asked what becomes of packets without the rule that takes them: then they come.
    fn leave_out(&mut self, gone: &[Cube]) {
        for gone in gone.iter().filter(|_| !self.sets_marks && !self.visits) {
            let mut rest = self.coming.difference(gone, &self.space.universe);
            if rest.len() == 1
                && let Some(rest) = rest.pop()
                && rest.parts().iter().all(|(_, values)| values.ranges().len() <= MANY)
            {
                self.coming = rest;
            }
        }
    }

    /// What is left of a guard when packets have gone elsewhere, where that is as simple as before: a chain that divides values
    /// among others says of each only where it ends.
    fn narrowed(&self, guard: &Cube, gone: &Cube) -> Option<Cube> {
        let mut rest = guard.difference(gone, &self.space.universe);
        let changed = |cube: &Cube, field: Field| guard.get(field) != cube.get(field);
        let few = |cube: &Cube| {
            cube.parts().iter().all(|(field, values)| values.ranges().len() <= FEW || !changed(cube, *field))
        };
        let simple = rest.len() == 1 && rest.iter().all(few);
        rest.pop().filter(|_| simple)
    }
}

/// The path of a rule that is reached by another.
fn deeper(path: u64, place: Place) -> u64 {
    let mut hasher = FxHasher::default();
    (path, place.table, place.chain, place.rule).hash(&mut hasher);
    hasher.finish()
}

fn clamp(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
