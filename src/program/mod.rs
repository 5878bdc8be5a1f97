//! Chains as one list of steps. Jumps are written out, RETURN and `goto` become steps that lead forward; so a packet goes through the
//! list once, from the top, and what it meets is told by sets of packets alone. Works on netfilter's form, whatever it
//! was read from.

mod condition;
mod counters;
pub mod describe;
mod flatten;
mod tidy;
mod walk;

use std::hash::Hash;
use std::sync::{Arc, OnceLock};

use rustc_hash::FxHashMap;

use crate::netfilter::{Effect, MarkWord, MatchKind, Ruleset, Verdict};
use crate::packet::condition::{CounterName, Question};
use crate::packet::field::{Assigned, Masks};
use crate::packet::{Cube, Field, Index, Universe};

pub use counters::Counters;
pub use flatten::{End, can_match, flatten, flatten_from, flatten_with_visits};
pub use walk::{Packet, Visit, Walk, example, walk};

/// Something that a packet can meet, and by which two programs are told apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A verdict that ends its way through this program.
    Verdict(Verdict),
    /// It came to the end, or was returned from the first chain.
    Passed,
    /// A side effect; it goes on.
    Effect(Effect),
    /// Something that counts packets was asked; it goes on.
    Counted(Question),
}

/// The number of an [`Event`] in a [`Space`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(pub u32);

/// Nothing happens: a rule stands there. Such steps are in no index, and searches do not see them.
pub const VISIT: EventId = EventId(u32::MAX);

/// What programs that are compared have in common: the fields of packets, and the numbers of events.
#[derive(Clone, Debug)]
pub struct Space {
    /// The fields.
    pub universe: Universe,
    events: Vec<Event>,
    numbers: FxHashMap<Event, EventId>,
    /// Names of counters are not compared, only which questions go to the same one.
    renamed: Option<Counters>,
}

impl Space {
    /// For programs made of these rule sets.
    #[must_use]
    pub fn new<'a>(family: crate::net::Family, rulesets: impl IntoIterator<Item = &'a Ruleset>) -> Self {
        let mut masks = Masks::default();
        let mut copies = false;
        let tables = rulesets.into_iter().flat_map(|ruleset| &ruleset.tables);
        for rule in tables.flat_map(|table| &table.chains).flat_map(|chain| &chain.rules) {
            for item in &rule.matches {
                match &item.kind {
                    MatchKind::Mark { mask, .. } => masks.marks.push(*mask),
                    MatchKind::ConnectionMark { mask, .. } => masks.connection_marks.push(*mask),
                    MatchKind::TcpFlags { mask, .. } => masks.flags.push(u32::from(*mask)),
                    _ => {}
                }
            }
            if rule.effects.contains(&Effect::ClampMss) {
                masks.flags.push(u32::from(condition::SYN_OR_RST));
            }
            for change in rule.effects.iter().flat_map(Effect::mark_changes) {
                let own = match change.word {
                    MarkWord::Packet => &mut masks.marks,
                    MarkWord::Connection => &mut masks.connection_marks,
                };
                own.extend([change.cleared, change.copied, change.value & !change.cleared]);
                copies |= change.copied != 0;
            }
        }
        if copies {
            // Bits that are copied are divided alike on both sides.
            let all = [masks.marks, masks.connection_marks].concat();
            (masks.marks, masks.connection_marks) = (all.clone(), all);
        }
        for list in [&mut masks.marks, &mut masks.connection_marks] {
            list.sort_unstable();
            list.dedup();
        }
        Self {
            universe: Universe::new(family, &masks),
            events: Vec::new(),
            numbers: FxHashMap::default(),
            renamed: None,
        }
    }

    /// From now on programs are made of the rule set with these counters, one side of a comparison. What a counter is called
    /// does not matter then.
    pub fn compare(&mut self, counters: &Counters) {
        self.renamed = Some(counters.clone());
    }

    /// What tells a counter from others of its rate: its name, or what it is called in a comparison. There one that is not called
    /// anything is known by what is asked of it alone, unless it is one `of_sources`.
    fn counter(&self, name: &Arc<str>, of_sources: bool) -> CounterName {
        let own = || CounterName::Own(Arc::clone(name));
        match &self.renamed {
            None => own(),
            Some(renamed) => {
                let unnamed = || if of_sources { own() } else { CounterName::Unnamed };
                renamed.0.get(name).cloned().unwrap_or_else(unnamed)
            }
        }
    }

    /// The number of an event.
    pub fn number(&mut self, event: Event) -> EventId {
        if let Some(number) = self.numbers.get(&event) {
            return *number;
        }
        let number = EventId(u32::try_from(self.events.len()).unwrap_or(u32::MAX));
        self.events.push(event.clone());
        self.numbers.insert(event, number);
        number
    }

    /// How many events there are.
    #[must_use]
    pub fn events(&self) -> usize {
        self.events.len()
    }

    /// The event of a number.
    #[must_use]
    pub fn event(&self, number: EventId) -> &Event {
        self.events.get(number.0 as usize).unwrap_or(&Event::Passed)
    }
}

/// What groups of mark bits hold, where that is not what they held at the start.
pub type Marks = Vec<(Field, Assigned)>;

/// A rule in a rule set: the numbers of its table, of its chain in that, and its own in that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The table.
    pub table: u32,
    /// The chain.
    pub chain: u32,
    /// The rule; one past the last for the chain's end.
    pub rule: u32,
}

/// What a step does with the packets that it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does {
    /// Ends their way.
    Decide(EventId),
    /// Happens to them; they go on to the next step.
    Happen(EventId),
    /// Leads them on to the step of that number, which comes later.
    Lead(u32),
}

/// A step: what it does, for which packets.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The packets.
    pub cube: Cube,
    /// What is done.
    pub does: Does,
    /// The rule that it comes from.
    pub place: Place,
}

/// A list of steps. Every packet meets one that decides.
#[derive(Debug, Default)]
pub struct Program {
    /// The steps.
    pub steps: Vec<Step>,
    /// Whether the list says everything; it does not if writing out all jumps would have taken too many steps.
    pub complete: bool,
    /// What marks hold, from a step on, where that is not what they held at the start.
    states: Vec<(u32, Marks)>,
    /// Made when it is first asked: who compares programs asks nothing.
    index: OnceLock<Index>,
    /// Where steps lead, and which, in order.
    leads: OnceLock<Vec<(u32, u32)>>,
}

impl Does {
    /// The class by which the index keeps steps apart: what is decided, or one of the two below.
    #[must_use]
    pub fn class(self) -> u32 {
        match self {
            Self::Decide(event) => event.0,
            Self::Happen(_) => HAPPENS,
            Self::Lead(_) => LEADS,
        }
    }
}

/// The class of all steps that packets survive.
pub const HAPPENS: u32 = u32::MAX;
/// The class of all steps that lead elsewhere.
pub const LEADS: u32 = u32::MAX - 1;

impl Program {
    /// A program of these steps.
    #[must_use]
    pub fn new(steps: Vec<Step>, complete: bool) -> Self {
        Self { steps, complete, states: Vec::new(), index: OnceLock::new(), leads: OnceLock::new() }
    }

    /// What marks hold at a step, where that is not what they held at the start.
    #[must_use]
    pub fn marks_at(&self, step: u32) -> &[(Field, Assigned)] {
        let behind = self.states.partition_point(|(first, _)| *first <= step);
        behind.checked_sub(1).and_then(|at| self.states.get(at)).map_or(&[], |(_, marks)| marks)
    }

    /// Every state that marks have in it.
    pub fn mark_states(&self) -> impl Iterator<Item = &Marks> {
        self.states.iter().map(|(_, marks)| marks)
    }

    /// The program of the steps that some become; those that become nothing are left out.
    #[must_use]
    pub fn rebuilt(&self, change: impl Fn(&Step) -> Option<Step>) -> Self {
        let (steps, places) = kept(self.steps.iter().map(change));
        let mut program = Self::new(steps, self.complete);
        program.states = moved(&self.states, &places);
        program
    }

    /// Which steps meet a cube. It is made at the first call, on all processors if it is large: a program that the threads of the pool
    /// share is asked for it before they are.
    #[must_use]
    pub fn index(&self) -> &Index {
        self.index.get_or_init(|| index(&self.steps))
    }

    /// The steps that lead no farther than to a step: where each leads, and its number, in the order of where.
    pub fn leads_up_to(&self, farthest: u32) -> &[(u32, u32)] {
        let leads = self.leads.get_or_init(|| {
            let lead =
                |(number, step): (u32, &Step)| if let Does::Lead(to) = step.does { Some((to, number)) } else { None };
            let mut leads: Vec<_> = (0..).zip(&self.steps).filter_map(lead).collect();
            leads.sort_unstable();
            leads
        });
        leads.get(..leads.partition_point(|(to, _)| *to <= farthest)).unwrap_or_default()
    }

    /// A step.
    #[must_use]
    pub fn step(&self, number: u32) -> Option<&Step> {
        self.steps.get(number as usize)
    }

    /// The first step in `range`, of a wanted class, that meets a cube and is the one `sought`. The work is added to `looked`.
    pub fn first_meeting(
        &self,
        with: &Cube,
        range: std::ops::Range<u32>,
        wanted: impl Fn(u32) -> bool,
        looked: &mut u64,
        mut sought: impl FnMut(&Step) -> bool,
    ) -> Option<u32> {
        let sought = |number| self.step(number).is_some_and(|step| step.cube.meets(with) && sought(step));
        self.index().first_meeting(with, range, wanted, looked, sought)
    }

    /// As [`Program::first_meeting`], of the steps that hold all of a cube.
    pub fn first_covering(
        &self,
        with: &Cube,
        range: std::ops::Range<u32>,
        wanted: impl Fn(u32) -> bool,
        looked: &mut u64,
        mut sought: impl FnMut(u32) -> bool,
    ) -> Option<u32> {
        let covers = |number| self.step(number).is_some_and(|step| step.cube.covers(with));
        self.index().first_covering(with, range, wanted, looked, |number| covers(number) && sought(number))
    }

    /// How many steps there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        u32::try_from(self.steps.len()).unwrap_or(u32::MAX)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

/// The index of a list of steps; places of rules are not in it.
fn index(steps: &[Step]) -> Index {
    let cube = |number: u32| steps.get(number as usize).map_or(&EVERYTHING, |step| &step.cube);
    let seen = (0..).zip(steps).filter(|(_, step)| step.does != Does::Happen(VISIT));
    Index::new(seen.map(|(number, step)| (number, step.does.class())), cube)
}

/// Steps without those that are left out, and the new place of each: what led to one that is gone leads to the next.
fn kept(steps: impl ExactSizeIterator<Item = Option<Step>>) -> (Vec<Step>, Vec<u32>) {
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let mut places = Vec::with_capacity(steps.len() + 1);
    let mut left: Vec<Step> = Vec::with_capacity(steps.len());
    for step in steps {
        places.push(number(left.len()));
        left.extend(step);
    }
    let end = number(left.len());
    places.push(end);
    for step in &mut left {
        if let Does::Lead(to) = &mut step.does {
            *to = places.get(*to as usize).copied().unwrap_or(end);
        }
    }
    (left, places)
}

fn moved(states: &[(u32, Marks)], places: &[u32]) -> Vec<(u32, Marks)> {
    let place = |step: u32| places.get(step as usize).or(places.last()).copied().unwrap_or(step);
    states.iter().map(|(step, marks)| (place(*step), marks.clone())).collect()
}

static EVERYTHING: Cube = Cube::all();
