//! One packet's way through chains, rule by rule, as the kernel goes: what was asked, what it answered, what was done.

use super::condition::{Reader, RuleCondition, connected, copies_from_connection};
use super::{Place, Space};
use crate::netfilter::{Effect, Match, MatchKind, Rule, Ruleset, Verdict};
use crate::packet::field::Assigned;
use crate::packet::{Cube, Field, Values};

/// A packet, as far as it is known: the values of its fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packet(Vec<(Field, u128)>);

impl Packet {
    /// With these values; a later one replaces an earlier one of the same field.
    #[must_use]
    pub fn new(values: impl IntoIterator<Item = (Field, u128)>) -> Self {
        let mut packet = Self::default();
        values.into_iter().for_each(|(field, value)| packet.set(field, value));
        packet
    }

    /// What a field holds; `None`: not known.
    #[must_use]
    pub fn get(&self, field: Field) -> Option<u128> {
        self.0.iter().find(|(own, _)| *own == field).map(|(_, value)| *value)
    }

    /// Sets a field.
    pub fn set(&mut self, field: Field, value: u128) {
        self.0.retain(|(own, _)| *own != field);
        self.0.push((field, value));
    }

    /// Makes a field unknown.
    pub fn forget(&mut self, field: Field) {
        self.0.retain(|(own, _)| *own != field);
    }

    /// The fields that are known.
    #[must_use]
    pub fn values(&self) -> &[(Field, u128)] {
        &self.0
    }

    /// Whether it is in a cube; `None` if that depends on what is not known.
    #[must_use]
    pub fn is_in(&self, cube: &Cube) -> Option<bool> {
        let answers = cube.parts().iter().map(|(field, values)| self.get(*field).map(|value| values.contains(value)));
        all(answers)
    }
}

/// Whether all hold: no, if one does not; not known, if one is not known.
fn all(answers: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut known = Some(true);
    for answer in answers {
        match answer {
            Some(false) => return Some(false),
            None => known = None,
            Some(true) => {}
        }
    }
    known
}

fn any(answers: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    all(answers.map(|answer| answer.map(|holds| !holds))).map(|none| !none)
}

/// A rule that a packet came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Visit {
    /// The rule.
    pub place: Place,
    /// Whether it matched; `None`: possibly.
    pub matched: Option<bool>,
    /// If it did not, or possibly not: the number of the first match that did not hold or is not known.
    pub because: Option<usize>,
    /// How many jumps deep it stands.
    pub depth: usize,
    /// Whether it counts, so that it answers otherwise when many packets came before.
    pub counts: bool,
}

/// What became of a packet.
#[derive(Clone, Debug, PartialEq)]
pub struct Walk {
    /// The rules that it came to, in order.
    pub visits: Vec<Visit>,
    /// What happened to it on the way.
    pub effects: Vec<Effect>,
    /// The verdict; `None`: it came to the end of the first chain, or was returned from it.
    pub verdict: Option<Verdict>,
    /// Whether another outcome is possible: a rule that possibly matched was taken not to.
    pub possibly: bool,
}

enum Left {
    Decided(Verdict),
    Returned,
}

/// Follows a packet through a chain of a table, as the first that limits count. A rule that possibly matches is taken not to, and
/// that is noted; `None` if there is no such chain.
pub fn walk(ruleset: &Ruleset, table: usize, chain: &str, packet: &mut Packet, space: &mut Space) -> Option<Walk> {
    let own = ruleset.tables.get(table)?;
    let number = own.chains.iter().position(|known| &*known.name == chain)?;
    let mut walker = Walker {
        ruleset,
        table,
        reader: Reader::new(own),
        space,
        packet,
        walk: Walk { visits: Vec::new(), effects: Vec::new(), verdict: None, possibly: false },
    };
    if let Left::Decided(verdict) = walker.chain(number, 0) {
        walker.walk.verdict = Some(verdict);
    }
    Some(walker.walk)
}

struct Walker<'r, 's> {
    ruleset: &'r Ruleset,
    table: usize,
    reader: Reader<'r>,
    space: &'s mut Space,
    packet: &'s mut Packet,
    walk: Walk,
}

/// The state of a packet that is left out of tracking, as [`Field::STATE`] has it.
const UNTRACKED: u128 = 4;

/// Jumps within jumps: the kernel refuses more than 16.
const DEEPEST: usize = 64;

impl Walker<'_, '_> {
    fn chain(&mut self, chain: usize, depth: usize) -> Left {
        let rules =
            self.ruleset.tables.get(self.table).and_then(|table| table.chains.get(chain)).map(|chain| &chain.rules);
        let Some(rules) = rules.filter(|_| depth < DEEPEST) else { return Left::Returned };
        for (at, rule) in rules.iter().enumerate() {
            let (matched, because) = self.matches(rule);
            let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
            let place = Place { table: number(self.table), chain: number(chain), rule: number(at) };
            // What never gets as far as the count does not rest on it.
            let counts = rule
                .matches
                .iter()
                .take(because.map_or(usize::MAX, |at| at + 1))
                .any(|item| of_the_first(item).is_some());
            self.walk.visits.push(Visit { place, matched, because, depth, counts });
            self.walk.possibly |= matched.is_none();
            if matched != Some(true) {
                continue;
            }
            for effect in &rule.effects {
                self.walk.effects.push(effect.clone());
                self.change(effect);
            }
            let Some(verdict) = &rule.verdict else { continue };
            let visited = self.walk.visits.len();
            if self.is_open(verdict)
                && let Some(visit) = self.walk.visits.get_mut(visited - 1)
            {
                // It may decide, or let the packet go on.
                visit.matched = None;
                self.walk.possibly = true;
            }
            if let Some(left) = self.verdict(verdict, depth) {
                return left;
            }
        }
        Left::Returned
    }

    fn verdict(&mut self, verdict: &Verdict, depth: usize) -> Option<Left> {
        match verdict {
            Verdict::Return => Some(Left::Returned),
            Verdict::Jump(name) => {
                let chain = self.find(name)?;
                match self.chain(chain, depth + 1) {
                    Left::Returned => None,
                    decided => Some(decided),
                }
            }
            Verdict::Goto(name) => {
                // What comes back from a chain that is not here does not go on in this one.
                let Some(chain) = self.find(name) else { return Some(Left::Returned) };
                Some(self.chain(chain, depth))
            }
            Verdict::Map { fields, elements } => {
                let family = self.space.universe.family();
                for (key, verdict) in elements.iter() {
                    let Some(cube) = super::condition::element_cube(fields, key, family) else { continue };
                    if self.packet.is_in(&cube) == Some(true) {
                        return self.verdict(verdict, depth);
                    }
                }
                None
            }
            Verdict::Unknown(_) => None,
            verdict => Some(Left::Decided(verdict.clone())),
        }
    }

    /// Whether it is not known what becomes of a packet here: the rule may decide anything, or nothing.
    fn is_open(&self, verdict: &Verdict) -> bool {
        match verdict {
            Verdict::Unknown(_) => true,
            Verdict::Jump(name) | Verdict::Goto(name) => self.find(name).is_none(),
            Verdict::Map { fields, elements } => {
                let family = self.space.universe.family();
                let mut keys = elements.iter().filter_map(|(key, verdict)| {
                    let cube = super::condition::element_cube(fields, key, family)?;
                    Some((self.packet.is_in(&cube), verdict))
                });
                keys.any(|(holds, verdict)| holds.is_none() || (holds == Some(true) && self.is_open(verdict)))
            }
            _ => false,
        }
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.ruleset.tables.get(self.table)?.chains.iter().position(|chain| &*chain.name == name)
    }

    /// Whether a rule matches, and if it may not, which of its matches is to blame.
    fn matches(&mut self, rule: &Rule) -> (Option<bool>, Option<usize>) {
        if rule.family.is_some_and(|family| family != self.space.universe.family()) {
            return (Some(false), None);
        }
        if copies_from_connection(rule) && self.has_connection() == Some(false) {
            return (Some(false), None);
        }
        let mut open = None;
        for (number, item) in rule.matches.iter().enumerate() {
            match of_the_first(item).or_else(|| self.holds(item)) {
                Some(true) => {}
                Some(false) => return (Some(false), Some(number)),
                None => open = open.or(Some(number)),
            }
        }
        (if open.is_none() { Some(true) } else { None }, open)
    }

    fn holds(&mut self, item: &Match) -> Option<bool> {
        let rule = Rule { matches: vec![item.clone()], ..Rule::default() };
        // What counts is asked anew each time; no packet says what it would answer.
        let condition: RuleCondition = self.reader.read(&rule, self.space, &mut |_, _| 0);
        let never = any(condition.never.iter().map(|cube| self.packet.is_in(cube)));
        let cubes = any(condition.cubes.iter().map(|cube| self.packet.is_in(cube)));
        let marks = all(condition.marks.iter().map(|test| {
            let parts = test.parts.iter().map(|(field, value)| self.packet.get(*field).map(|own| own == *value));
            all(parts).map(|holds| holds != test.negated)
        }));
        all([never.map(|never| !never), cubes, marks].into_iter())
    }

    /// Whether the packet belongs to a connection, which has a mark.
    fn has_connection(&self) -> Option<bool> {
        self.packet.get(Field::STATE).map(|state| connected().contains(state))
    }

    /// What later rules see of an effect.
    fn change(&mut self, effect: &Effect) {
        let of_connection = matches!(effect, Effect::SetConnectionMark { .. } | Effect::CopyMark { .. });
        let without = of_connection && self.has_connection() == Some(false);
        for change in effect.mark_changes().filter(|_| !without) {
            let before = self.packet.clone();
            for (field, assigned) in self.space.universe.changed(change) {
                let value = match assigned {
                    Assigned::Value(value) => Some(value),
                    Assigned::Of(other, flip) => before.get(other).map(|value| value ^ flip),
                    Assigned::Open => None,
                };
                match value {
                    Some(value) => self.packet.set(field, value),
                    None => self.packet.forget(field),
                }
            }
        }
        if *effect == Effect::Notrack {
            self.packet.set(Field::STATE, UNTRACKED);
        }
    }
}

/// What a match that counts answers for the first packet that it is asked about: it is within every limit. `None`: it does not count.
fn of_the_first(item: &Match) -> Option<bool> {
    match item.kind {
        MatchKind::Limit(_) => Some(!item.negated),
        MatchKind::ConnectionsAbove { .. } => Some(item.negated),
        _ => None,
    }
}

/// One packet of a cube.
#[must_use]
pub fn example(cube: &Cube) -> Packet {
    Packet::new(cube.parts().iter().map(|(field, values): &(Field, Values)| (*field, values.hull().0)))
}
