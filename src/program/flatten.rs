//! From chains to a list of steps.
//!
//! A jump is written out in place, for the packets that take it, and RETURN leads behind it. A chain that several rules *go to*, from
//! where they will not come back, is written once, behind everything that leads there. So the list grows with the rules and with
//! the jumps, not with the ways through them.
//!
//! A rule that sets the mark leads on into a second copy of the list, in which that mark is known. There are as many copies as there
//! are marks that packets can have, and only what can be reached with that mark is written.

use std::collections::VecDeque;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHasher};
use std::hash::{Hash, Hasher};

use super::condition::{Condition, MarkTest, Reader, element_cube, narrowed_by_bits};
use super::{Does, Event, EventId, Place, Program, Space, Step, VISIT};
use crate::net::Family;
use crate::netfilter::{Effect, Reject, Rule, Ruleset, Table, Verdict};
use crate::packet::{Bits, Cube, Field, Values};

/// More steps than this are not written.
const MOST_STEPS: usize = 6_000_000;
/// Copies of the list for marks.
const MOST_MARKS: usize = 24;
/// Rules that lead to one chain beyond which it is not looked for which packets they do.
const MOST_INLETS: usize = 64;
/// Ranges of one field that a guard may be narrowed to on the way through a chain.
const FEW: usize = 6;
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

/// The values of groups of mark bits that are known.
type Marks = Vec<(Field, u128)>;

/// A chain that is being written: where RETURN leads, and the chains that are still to be written before that place.
struct Frame {
    end: Label,
    pending: Vec<Pending>,
    /// The path of the rule that jumped.
    path: u64,
    /// In the first chain: what its end is. Then RETURN need not lead there.
    decided: Option<EventId>,
}

impl Frame {
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
    entries: FxHashMap<u64, Vec<Label>>,
    copies: VecDeque<Copy>,
    made: usize,
    /// Whether packets come here at all: in a copy none do before the first place at which they enter.
    live: bool,
    /// Packets that do not come here, since the step before keeps them all and nothing leads here.
    shut: Option<Cube>,
    complete: bool,
    /// Whether the guard of what is being written may hold packets that do not come there: those were led past it by steps.
    loose: bool,
    /// Whether each rule's place in the list is kept, by a step of its own.
    visits: bool,
    depth: usize,
    /// The questions to counters of each kind: for which packets, and by what number.
    questions: FxHashMap<Arc<str>, Vec<(Cube, u32)>>,
    numbered: FxHashMap<(u64, Arc<str>), u32>,
}

/// Writes out a chain of a rule set's table for one family, the space's. `None` if there is no such chain.
pub fn flatten(ruleset: &Ruleset, table: usize, chain: &str, end: End, space: &mut Space) -> Option<Program> {
    written(ruleset, table, chain, end, space, false)
}

/// As [`flatten`], with a step in front of each rule that does nothing ([`VISIT`]) to the packets that match it: whether any
/// packet comes there and matches can then be asked of every rule, of those that decide nothing, too.
pub fn flatten_with_visits(
    ruleset: &Ruleset,
    table: usize,
    chain: &str,
    end: End,
    space: &mut Space,
) -> Option<Program> {
    written(ruleset, table, chain, end, space, true)
}

fn written(ruleset: &Ruleset, table: usize, chain: &str, end: End, space: &mut Space, visits: bool) -> Option<Program> {
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
        marks: Marks::new(),
        entries: FxHashMap::default(),
        copies: VecDeque::new(),
        made: 1,
        live: true,
        shut: None,
        complete: acyclic,
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

/// Finds the order of chains, who goes where, and who sets marks. `false` if chains lead in a circle, which no kernel loads.
fn arrange(chains: &mut [Chain], by_name: &FxHashMap<&str, usize>, first: usize) -> bool {
    let mut successors: Vec<Vec<usize>> = Vec::with_capacity(chains.len());
    let mut gotos = vec![0; chains.len()];
    let mut marks: Vec<bool> = Vec::with_capacity(chains.len());
    for chain in chains.iter() {
        let mut list = Vec::new();
        for rule in chain.rules {
            for (name, goes) in targets(rule.verdict.as_ref()) {
                if let Some(at) = by_name.get(name) {
                    list.push(*at);
                    if let Some(count) = gotos.get_mut(*at).filter(|_| goes) {
                        *count += 1;
                    }
                }
            }
        }
        list.sort_unstable();
        list.dedup();
        successors.push(list);
        marks.push(
            chain.rules.iter().any(|rule| rule.effects.iter().any(|effect| matches!(effect, Effect::SetMark { .. }))),
        );
    }
    // Depth first: a chain is finished after all that it leads to.
    let (mut finished, mut state) = (Vec::new(), vec![0u8; chains.len()]);
    let mut acyclic = true;
    let mut stack = vec![(first, 0)];
    if let Some(state) = state.get_mut(first) {
        *state = 1;
    }
    while let Some((chain, next)) = stack.pop() {
        match successors.get(chain).and_then(|list| list.get(next)) {
            Some(to) => {
                stack.push((chain, next + 1));
                match state.get(*to) {
                    Some(0) => {
                        state[*to] = 1;
                        stack.push((*to, 0));
                    }
                    Some(1) => acyclic = false,
                    _ => {}
                }
            }
            None => {
                if let Some(state) = state.get_mut(chain) {
                    *state = 2;
                }
                let below = successors.get(chain).into_iter().flatten();
                if below.into_iter().any(|to| marks.get(*to) == Some(&true)) {
                    marks[chain] = true;
                }
                finished.push(chain);
            }
        }
    }
    let count = finished.len();
    for (at, chain) in finished.iter().enumerate() {
        if let Some(known) = chains.get_mut(*chain) {
            known.rank = count - at;
            known.gotos = gotos.get(*chain).copied().unwrap_or(0);
            known.marks = marks.get(*chain).copied().unwrap_or(true);
        }
    }
    // Callers stand before those they call, so that their own place is known.
    for caller in finished.iter().rev() {
        for to in successors.get(*caller).into_iter().flatten() {
            let place = match chains.get(*to).and_then(|chain| chain.after) {
                Some(known) => common(chains, known, *caller),
                None => Some(*caller),
            };
            if let Some(chain) = chains.get_mut(*to) {
                chain.after = place;
            }
        }
    }
    acyclic
}

/// The nearest chain that the ways to both pass.
fn common(chains: &[Chain], one: usize, other: usize) -> Option<usize> {
    let rank = |at: usize| chains.get(at).map_or(0, |chain| chain.rank);
    let (mut one, mut other) = (one, other);
    while one != other {
        let deeper = if rank(one) > rank(other) { &mut one } else { &mut other };
        *deeper = chains.get(*deeper)?.after?;
    }
    Some(one)
}

/// The chains that a verdict leads to, and whether it goes there without coming back.
fn targets(verdict: Option<&Verdict>) -> Vec<(&str, bool)> {
    match verdict {
        Some(Verdict::Jump(name)) => vec![(name, false)],
        Some(Verdict::Goto(name)) => vec![(name, true)],
        Some(Verdict::Map { elements, .. }) => {
            elements.iter().flat_map(|(_, verdict)| targets(Some(verdict))).collect()
        }
        _ => Vec::new(),
    }
}

impl Writer<'_, '_> {
    fn whole(&mut self, first: usize, end: EventId) {
        let mut frame = Frame { end: self.label(), pending: Vec::new(), path: START, decided: Some(end) };
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
        Program::new(super::tidy::tidy(self.steps), self.complete)
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
            known.is_some_and(|known| known.after == Some(chain) && known.gotos == pending.seen)
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
        self.inside(!exact, |writer| writer.chain(pending.chain, &inside, frame, pending.path));
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
            self.inside(!exact, |writer| writer.chain(pending.chain, &inside, frame, pending.path));
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
        for (at, rule) in rules.iter().enumerate() {
            if self.steps.len() >= MOST_STEPS {
                self.complete = false;
                break;
            }
            let place = Place { table: self.table, chain: clamp(chain), rule: clamp(at) };
            let path = deeper(path, place);
            if self.live || self.leads_to_marks(rule) {
                let gone = self.rule(rule, &guard, frame, place, path);
                if let Some(rest) = gone.and_then(|gone| self.narrowed(&guard, &gone)) {
                    guard = rest;
                }
                while let Some(gone) = self.complete_pending(chain, whole, frame) {
                    if let Some(rest) = gone.and_then(|gone| self.narrowed(&guard, &gone)) {
                        guard = rest;
                    }
                }
            }
        }
        self.depth -= 1;
    }

    fn leads_to_marks(&self, rule: &Rule) -> bool {
        let sets = rule.effects.iter().any(|effect| matches!(effect, Effect::SetMark { .. }));
        sets || targets(rule.verdict.as_ref()).iter().any(|(name, _)| {
            self.by_name.get(name).and_then(|at| self.chains.get(*at)).is_some_and(|chain| chain.marks)
        })
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

    /// Writes a rule. Gives the packets that it sends elsewhere for good, if they are one cube.
    fn rule(&mut self, rule: &Rule, guard: &Cube, frame: &mut Frame, place: Place, path: u64) -> Option<Cube> {
        let condition = self.condition(rule, guard, path);
        let cubes: Vec<Cube> = condition.cubes.iter().filter_map(|cube| cube.intersection(guard)).collect();
        let after = self.label();
        if !cubes.is_empty() {
            for never in condition.never.iter().filter_map(|cube| cube.intersection(guard)) {
                self.step(never, Does::Lead(after), place);
            }
            if self.visits {
                self.visit(&cubes, &condition.marks, place);
            }
            for (asked, event) in &condition.counted {
                self.happen(asked.iter().filter_map(|cube| cube.intersection(guard)), *event, place);
            }
            // Packets of the cubes that fail these are led past the rule.
            let loose = !condition.never.is_empty() || !condition.marks.is_empty();
            self.inside(loose, |writer| {
                writer.matched(rule, &cubes, &condition.marks, guard, frame, after, place, path);
            });
        }
        self.put(after);
        let goes = matches!(&rule.verdict, Some(Verdict::Goto(_)))
            && condition.marks.is_empty()
            && condition.never.is_empty()
            && condition.counted.is_empty();
        cubes.into_iter().next().filter(|_| goes && condition.cubes.len() == 1)
    }

    /// The condition of a rule. Each question that it puts to a counter has a number, the first that no question of the kind has
    /// which was put to any of the same packets before. So what a packet is asked first is the first, wherever it stands.
    fn condition(&mut self, rule: &Rule, guard: &Cube, path: u64) -> Condition {
        let (questions, numbered) = (&mut self.questions, &mut self.numbered);
        let mut number = |key: &str, asked: &[Cube]| {
            let key: Arc<str> = Arc::from(key);
            *numbered.entry((path, Arc::clone(&key))).or_insert_with(|| {
                let before = questions.entry(key).or_default();
                let asked: Vec<Cube> = asked.iter().filter_map(|cube| cube.intersection(guard)).collect();
                let met = before.iter().filter(|(cube, _)| asked.iter().any(|own| own.meets(cube)));
                let taken: Vec<u32> = met.map(|(_, number)| *number).collect();
                let free = (1..).find(|number| !taken.contains(number)).unwrap_or(u32::MAX);
                before.extend(asked.into_iter().map(|cube| (cube, free)));
                free
            })
        };
        self.reader.read(rule, self.space, &mut number)
    }

    /// Keeps the place of a rule and the packets that match it.
    fn visit(&mut self, cubes: &[Cube], marks: &[MarkTest], place: Place) {
        if !self.live || self.steps.len() >= MOST_STEPS {
            return;
        }
        for cube in self.by_marks(cubes.to_vec(), marks) {
            self.steps.push(Step { cube, does: Does::Happen(VISIT), place });
        }
    }

    /// An event for packets that are in any of the cubes, once for each.
    fn happen(&mut self, cubes: impl Iterator<Item = Cube>, event: EventId, place: Place) {
        let mut cubes: Vec<Cube> = cubes.collect();
        let Some(last) = cubes.pop() else { return };
        let behind = self.label();
        for cube in cubes {
            self.step(cube.clone(), Does::Happen(event), place);
            self.step(cube, Does::Lead(behind), place);
        }
        self.step(last, Does::Happen(event), place);
        self.put(behind);
    }

    #[allow(clippy::too_many_arguments)]
    fn matched(
        &mut self,
        rule: &Rule,
        cubes: &[Cube],
        marks: &[MarkTest],
        guard: &Cube,
        frame: &mut Frame,
        after: Label,
        place: Place,
        path: u64,
    ) {
        // Tests of the mark do not narrow what follows a jump: the mark may be another one there.
        let mut tested = self.by_marks(cubes.to_vec(), marks);
        for effect in &rule.effects {
            let event = self.space.number(Event::Effect(effect.clone()));
            self.happen(tested.iter().cloned(), event, place);
            if let Effect::SetMark { value, mask } = effect {
                self.set_mark(Bits { value: *value, mask: *mask }, &tested, path, place);
                self.come_in(path, cubes, &mut tested, guard, after, place);
            }
        }
        if let Some(verdict) = &rule.verdict {
            self.verdict(verdict, cubes, tested, guard, frame, after, place, path);
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn verdict(
        &mut self,
        verdict: &Verdict,
        cubes: &[Cube],
        tested: Vec<Cube>,
        guard: &Cube,
        frame: &mut Frame,
        after: Label,
        place: Place,
        path: u64,
    ) {
        let body = |writer: &Self, name: &str| writer.by_name.get(name).copied();
        match verdict {
            Verdict::Return => tested.into_iter().for_each(|cube| self.step(cube, frame.leave(), place)),
            Verdict::Jump(name) if body(self, name).is_some() => {
                let Some(chain) = body(self, name) else { return };
                let guard = self.enter(chain, cubes, tested, guard, after, place);
                let mut inner = Frame { end: after, pending: Vec::new(), path, decided: None };
                if let Some(guard) = guard {
                    // What its rules lead to is written before its end: no packet is there that did not come in.
                    let before = std::mem::take(&mut self.loose);
                    self.chain(chain, &guard, &mut inner, path);
                    self.close(&mut inner, &guard);
                    self.loose = before;
                }
            }
            Verdict::Goto(name) if body(self, name).is_some() => {
                let Some(chain) = body(self, name) else { return };
                self.goes(chain, cubes, tested, guard, frame, after, place, path);
            }
            Verdict::Map { fields, elements } => {
                let family = self.space.universe.family();
                for (number, (key, verdict)) in elements.iter().enumerate() {
                    let Some(member) = element_cube(fields, key, family) else { continue };
                    let part = |cubes: &[Cube]| -> Vec<Cube> {
                        cubes.iter().filter_map(|cube| cube.intersection(&member)).collect()
                    };
                    let (cubes, tested) = (part(cubes), part(&tested));
                    if !cubes.is_empty() {
                        let path = deeper(path, Place { rule: clamp(number), ..place });
                        let behind = self.label();
                        self.verdict(verdict, &cubes, tested, guard, frame, behind, place, path);
                        self.put(behind);
                    }
                }
            }
            verdict => {
                let event = self.space.number(Event::Verdict(plain(verdict, self.space.universe.family())));
                let open = match verdict {
                    // It may decide, or let the packet go on.
                    Verdict::Unknown(text) => self.space.universe.condition(&format!("{text} decides")),
                    _ => None,
                };
                for cube in tested {
                    let cube = match open {
                        Some(field) => cube.with(field, Values::single(1)),
                        None => Some(cube),
                    };
                    if let Some(cube) = cube {
                        self.step(cube, Does::Decide(event), place);
                    }
                }
            }
        }
    }

    /// Goes to a chain: written here if this is the only rule that leads there, else behind all that do.
    #[allow(clippy::too_many_arguments)]
    fn goes(
        &mut self,
        chain: usize,
        cubes: &[Cube],
        tested: Vec<Cube>,
        guard: &Cube,
        frame: &mut Frame,
        after: Label,
        place: Place,
        path: u64,
    ) {
        let shared = self.chains.get(chain).is_some_and(|chain| chain.gotos > 1);
        if shared {
            let inlets = cubes.iter().take(MOST_INLETS).cloned();
            let loose = self.loose || tested != cubes;
            let label = match frame.pending.iter_mut().find(|pending| pending.chain == chain) {
                Some(pending) => {
                    if pending.inlets.len() < MOST_INLETS {
                        pending.inlets.extend(inlets);
                    }
                    pending.seen += 1;
                    pending.loose |= loose;
                    pending.label
                }
                None => {
                    let label = self.label();
                    // The same path in every copy, whichever rule leads there.
                    let path = deeper(frame.path, Place { table: place.table, chain: clamp(chain), rule: u32::MAX });
                    frame.pending.push(Pending { chain, label, path, inlets: inlets.collect(), seen: 1, loose });
                    label
                }
            };
            tested.into_iter().for_each(|cube| self.step(cube, Does::Lead(label), place));
            return;
        }
        // Of several cubes, all other packets are led past the chain.
        let loose = !matches!((cubes, tested.as_slice()), ([one], [exact]) if one == exact);
        if let Some(inside) = self.enter(chain, cubes, tested, guard, after, place) {
            self.inside(loose, |writer| writer.chain(chain, &inside, frame, path));
            self.step(inside, frame.leave(), place);
        }
    }

    /// Lets the packets that match into the chain that is written next, and leads the others past it. Gives the packets that may be in it.
    #[allow(clippy::too_many_arguments)]
    fn enter(
        &mut self,
        chain: usize,
        cubes: &[Cube],
        tested: Vec<Cube>,
        guard: &Cube,
        after: Label,
        place: Place,
    ) -> Option<Cube> {
        let sets_marks = self.chains.get(chain).is_some_and(|chain| chain.marks);
        if let ([one], [exact]) = (cubes, tested.as_slice())
            && (one == exact || !sets_marks)
        {
            return Some(exact.clone());
        }
        if !sets_marks && tested.is_empty() {
            return None;
        }
        let inside = self.label();
        tested.into_iter().for_each(|cube| self.step(cube, Does::Lead(inside), place));
        self.step(guard.clone(), Does::Lead(after), place);
        self.put(inside);
        match cubes {
            [one] => Some(one.clone()),
            _ => Some(guard.clone()),
        }
    }

    /// Cubes narrowed by tests of the mark, as far as it is known.
    fn by_marks(&self, mut cubes: Vec<Cube>, tests: &[MarkTest]) -> Vec<Cube> {
        for test in tests {
            let known = |field: Field| self.marks.iter().find(|(own, _)| *own == field).map(|(_, value)| *value);
            let mut open = Vec::new();
            let mut differs = false;
            for (field, value) in &test.parts {
                match known(*field) {
                    Some(known) => differs |= known != *value,
                    None => open.push((*field, *value)),
                }
            }
            if differs {
                if !test.negated {
                    return Vec::new();
                }
                continue;
            }
            cubes = narrowed_by_bits(&cubes, &open, test.negated, self.space);
        }
        cubes
    }

    /// Leads on into the copy in which the new mark is known.
    fn set_mark(&mut self, set: Bits, cubes: &[Cube], path: u64, place: Place) {
        let mut marks = self.marks.clone();
        for (field, value) in self.space.universe.mark(Bits { value: set.value, mask: set.mask }) {
            marks.retain(|(known, _)| *known != field);
            marks.push((field, value));
        }
        marks.sort_unstable();
        // Bits outside of the mask are turned round: those are not followed.
        if set.value & !set.mask != 0 {
            self.complete = false;
        }
        if marks == self.marks || !cubes.iter().any(|cube| self.comes_here(cube)) {
            return;
        }
        let label = self.label();
        match self.copies.iter_mut().find(|copy| copy.marks == marks) {
            Some(copy) => copy.entries.entry(path).or_default().push(label),
            None if self.made >= MOST_MARKS => self.complete = false,
            None => {
                self.made += 1;
                self.copies.push_back(Copy { marks, entries: FxHashMap::from_iter([(path, vec![label])]) });
            }
        }
        for cube in cubes {
            self.step(cube.clone(), Does::Lead(label), place);
        }
    }

    /// Lets packets in that set the mark in another copy; they have matched the rule, and meet what is left of it.
    fn come_in(&mut self, path: u64, cubes: &[Cube], tested: &mut Vec<Cube>, guard: &Cube, after: Label, place: Place) {
        let Some(labels) = self.entries.remove(&path) else { return };
        let inside = self.label();
        for cube in tested.drain(..) {
            self.step(cube, Does::Lead(inside), place);
        }
        self.step(guard.clone(), Does::Lead(after), place);
        self.live = true;
        self.put(inside);
        labels.into_iter().for_each(|label| self.put(label));
        tested.extend_from_slice(cubes);
    }
}

/// A verdict as packets of a family see it: ICMPv6 has one answer for all that is prohibited.
fn plain(verdict: &Verdict, family: Family) -> Verdict {
    match verdict {
        Verdict::Reject(Reject::HostProhibited | Reject::NetworkProhibited) if family == Family::Ipv6 => {
            Verdict::Reject(Reject::AdminProhibited)
        }
        verdict => verdict.clone(),
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
