//! Chains as one list of steps. Jumps are written out, RETURN and `goto` become steps that lead forward; so a packet goes through the
//! list once, from the top, and what it meets is told by sets of packets alone. Works on netfilter's form, whatever it
//! was read from.

mod condition;
pub mod describe;
mod flatten;
mod tidy;
mod walk;

use std::collections::VecDeque;
use std::hash::Hash;
use std::sync::{Arc, OnceLock};

use rustc_hash::{FxHashMap, FxHashSet};

use crate::netfilter::{Chain, Effect, Limit, MatchKind, Rule, Ruleset, Verdict};
use crate::packet::{Cube, Index, Universe};

pub use flatten::{End, can_match, flatten, flatten_with_visits};
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
    Counted(Arc<str>),
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

/// What tells the counters of a rule set apart, those that count each source by itself: the chain that asks, the first by name if
/// several do, and a number if it asks several of one rate. A chain has one name in the policy's rules and in what is written of
/// them; a counter has not.
#[derive(Clone, Debug)]
pub struct Counters(Arc<FxHashMap<Arc<str>, String>>);

impl Counters {
    /// The counters of a rule set.
    #[must_use]
    pub fn of(ruleset: &Ruleset) -> Self {
        let mut chains: Vec<&Chain> = ruleset.tables.iter().flat_map(|table| &table.chains).collect();
        chains.sort_by(|one, other| one.name.cmp(&other.name));
        let mut places = FxHashMap::default();
        for chain in chains {
            let mut rates = FxHashMap::default();
            for item in chain.rules.iter().flat_map(|rule| &rule.matches) {
                let MatchKind::Limit(limit) = &item.kind else { continue };
                if limit.source_prefix.is_none() || places.contains_key(&limit.name) {
                    continue;
                }
                let rate = (limit.count, limit.seconds, limit.burst, limit.source_prefix);
                let number = rates.entry(rate).and_modify(|number| *number += 1).or_insert(1);
                places.insert(Arc::clone(&limit.name), format!("counter {number} of `{}`,", chain.name));
            }
        }
        Self(Arc::new(places))
    }

    /// Those of two rule sets that are not made of one another. A counter of the second is called what one of the first is that counts at
    /// the same rate for the same packets: for those that ask it, and that are led to the chain that asks. Names, and chains, may be made
    /// of line numbers, and change when a line comes or goes elsewhere.
    #[must_use]
    pub fn alike(left: &Ruleset, right: &Ruleset) -> [Self; 2] {
        let ours = asked(left);
        let names: FxHashSet<&Arc<str>> = ours.iter().map(|(_, name)| name).collect();
        let mut same: FxHashMap<&str, VecDeque<&Arc<str>>> = FxHashMap::default();
        for (question, name) in &ours {
            same.entry(question).or_default().push_back(name);
        }
        let theirs = asked(right).into_iter().map(|(question, name)| {
            let twin = same.get_mut(&*question).and_then(VecDeque::pop_front).map(ToString::to_string);
            let own = || if names.contains(&name) { format!("the second's {name}") } else { name.to_string() };
            let called = twin.unwrap_or_else(own);
            (name, called)
        });
        let theirs = Self(Arc::new(theirs.collect()));
        [Self(Arc::new(ours.iter().map(|(_, name)| (Arc::clone(name), name.to_string())).collect())), theirs]
    }
}

/// The counter that a rule asks, by name, and what makes it say yes.
fn counter(rule: &Rule) -> Option<(&Arc<str>, String)> {
    let asked = rule.matches.iter().find_map(|item| match &item.kind {
        MatchKind::Limit(limit) => {
            let Limit { count, seconds, burst, source_prefix, name } = &**limit;
            Some((name, format!("{count}/{seconds} {burst} {source_prefix:?}")))
        }
        MatchKind::ConnectionsAbove { count, source_prefix, name } => Some((name, format!("{count} {source_prefix}"))),
        _ => None,
    });
    // One without a name is its rule's own.
    asked.filter(|(name, _)| !name.is_empty())
}

/// The counters of a rule set, by name, in the order in which they are first asked, and what they are asked.
fn asked(ruleset: &Ruleset) -> Vec<(String, Arc<str>)> {
    let chains = || ruleset.tables.iter().flat_map(|table| &table.chains);
    let others = |rule: &Rule| -> String {
        let counts = |kind: &MatchKind| matches!(kind, MatchKind::Limit(_) | MatchKind::ConnectionsAbove { .. });
        let others = rule.matches.iter().filter(|item| !counts(&item.kind));
        others.fold(format!("{:?}", rule.family), |text, item| format!("{text} {item:?}"))
    };
    let asking: FxHashSet<&str> = chains()
        .filter(|chain| chain.rules.iter().any(|rule| counter(rule).is_some()))
        .map(|chain| &*chain.name)
        .collect();
    let mut leading: FxHashMap<&str, String> = FxHashMap::default();
    for rule in chains().flat_map(|chain| &chain.rules) {
        if let Some(Verdict::Jump(to) | Verdict::Goto(to)) = &rule.verdict
            && asking.contains(&**to)
        {
            leading.entry(to).or_default().push_str(&others(rule));
        }
    }
    let mut seen: FxHashSet<&Arc<str>> = FxHashSet::default();
    let mut asked = Vec::new();
    for chain in chains().filter(|chain| asking.contains(&*chain.name)) {
        let before = leading.get(&*chain.name).map_or("", String::as_str);
        for rule in &chain.rules {
            let Some((name, rate)) = counter(rule).filter(|(name, _)| seen.insert(*name)) else { continue };
            asked.push((format!("{rate} {before} {}", others(rule)), Arc::clone(name)));
        }
    }
    asked
}

impl Space {
    /// For programs made of these rule sets.
    #[must_use]
    pub fn new<'a>(family: crate::net::Family, rulesets: impl IntoIterator<Item = &'a Ruleset>) -> Self {
        let (mut marks, mut flags) = (Vec::new(), Vec::new());
        let tables = rulesets.into_iter().flat_map(|ruleset| &ruleset.tables);
        for rule in tables.flat_map(|table| &table.chains).flat_map(|chain| &chain.rules) {
            for item in &rule.matches {
                match &item.kind {
                    MatchKind::Mark { mask, .. } => marks.push(*mask),
                    MatchKind::TcpFlags { mask, .. } => flags.push(u32::from(*mask)),
                    _ => {}
                }
            }
            if rule.effects.contains(&Effect::ClampMss) {
                flags.push(u32::from(condition::SYN_OR_RST));
            }
            for effect in &rule.effects {
                if let Effect::SetMark { value, mask } = effect {
                    marks.extend([*mask, *value & !*mask]);
                }
            }
        }
        marks.sort_unstable();
        marks.dedup();
        Self {
            universe: Universe::new(family, marks, flags),
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
    fn counter(&self, name: &Arc<str>, of_sources: bool) -> String {
        match &self.renamed {
            None => name.to_string(),
            Some(renamed) => {
                let own = || if of_sources { name.to_string() } else { String::new() };
                renamed.0.get(name).cloned().unwrap_or_else(own)
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
        Self { steps, complete, index: OnceLock::new(), leads: OnceLock::new() }
    }

    /// Which steps meet a cube.
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

static EVERYTHING: Cube = Cube::all();
