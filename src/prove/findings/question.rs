//! What is asked about one rule at one place of a program.

use rustc_hash::{FxHashMap, FxHashSet};

use super::packets::{comes, point};
use super::{Fate, Findings, Occurrence, rule};
use crate::netfilter::{Rule, Ruleset};
use crate::packet::Cube;
use crate::program::{Does, Place, Program, Space, Step};
use crate::prove::cover::{Budget, Spent, Stretch, left_over};

/// Work for one question.
pub(super) const QUESTION: u64 = 30_000;
/// So many steps that together take all of a rule's packets are tried one by one for whether they are needed.
const MINIMISED: usize = 24;

/// What was found at one place.
pub(super) enum Answer {
    /// A packet comes to it. If it was asked whether the rule could be left out there: the step that makes it so.
    Comes(Option<Result<Option<Place>, Spent>>),
    /// None does: the rules that take its packets before.
    Taken(Vec<Place>),
    /// That is not known.
    Open,
}

impl Answer {
    /// Whether something is left open.
    pub(super) fn is_open(&self) -> bool {
        matches!(self, Self::Open | Self::Comes(Some(Err(Spent))))
    }
}

/// Asks about the rules of one program.
#[derive(Clone, Copy)]
pub(super) struct Asker<'p> {
    pub(super) ruleset: &'p Ruleset,
    pub(super) program: &'p Program,
    pub(super) space: &'p Space,
    /// Rules that stand at several places of the program, or share their statement with others.
    pub(super) repeated: &'p FxHashSet<Place>,
    /// Work that is left.
    pub(super) left: u64,
}

impl Asker<'_> {
    /// Work for one question, of what is left.
    pub(super) fn ask<T>(&mut self, question: impl FnOnce(&mut Budget) -> Result<T, Spent>) -> Result<T, Spent> {
        let most = QUESTION.min(self.left);
        let mut budget = Budget::new(most);
        let answer = question(&mut budget);
        self.left -= most - budget.left().min(most);
        answer
    }

    /// Looks at some places one after the other; nothing is found where all is known that there is to know.
    pub(super) fn look_at(&mut self, places: &[Occurrence], found: &Findings) -> Vec<Option<Answer>> {
        let mut repeated: FxHashMap<Place, Fate> = FxHashMap::default();
        let mut look = |one: &Occurrence| {
            let fate = repeated.get(&one.place).or_else(|| found.fate(one.place))?;
            let answer = self.look(one, fate)?;
            if self.repeated.contains(&one.place) {
                let mut fate = fate.clone();
                fate.note(&answer, one.place);
                repeated.insert(one.place, fate);
            }
            Some(answer)
        };
        places.iter().map(&mut look).collect()
    }

    /// What there is to find at a place, beside what is known of the rule.
    pub(super) fn look(&mut self, one: &Occurrence, fate: &Fate) -> Option<Answer> {
        let candidate = fate.redundant != Some(false) && self.is_candidate(one.place);
        if fate.reached == Some(true) && !candidate {
            return None;
        }
        Some(match self.arriving(one) {
            Ok(Some(witness)) => Answer::Comes(candidate.then(|| self.redundant(one, &witness))),
            Ok(None) if fate.is_reached_nowhere() => Answer::Taken(self.keepers(one)),
            Ok(None) => Answer::Taken(Vec::new()),
            Err(Spent) => Answer::Open,
        })
    }

    /// Packets that come to a rule and match.
    fn arriving(&mut self, one: &Occurrence) -> Result<Option<Cube>, Spent> {
        let (program, space) = (self.program, self.space);
        let stretch = [Stretch { program, from: 0, to: one.at, events: false }];
        let cubes = || (one.at..one.does).filter_map(|step| program.step(step)).map(|step| &step.cube);
        // Single packets answer quickly, where one of them gets through.
        for way in 0..3 {
            for cube in cubes().take(4) {
                let point = point(cube, way);
                match self.ask(|budget| comes(program, &point, one.at, budget)) {
                    Ok(Some(true)) => return Ok(Some(point)),
                    Ok(Some(false)) => continue,
                    Ok(None) | Err(Spent) => {}
                }
                let answer = self.ask(|budget| left_over(&point, &stretch, &space.universe, budget, |_, _| ()));
                if let Ok(Some(witness)) = answer {
                    return Ok(Some(witness));
                }
            }
        }
        for cube in cubes() {
            if let Some(witness) = self.ask(|budget| left_over(cube, &stretch, &space.universe, budget, |_, _| ()))? {
                return Ok(Some(witness));
            }
        }
        Ok(None)
    }

    /// The rules that take all packets of one that none comes to.
    fn keepers(&mut self, one: &Occurrence) -> Vec<Place> {
        let (program, space) = (self.program, self.space);
        let stretch = [Stretch { program, from: 0, to: one.at, events: false }];
        let cubes: Vec<&Cube> =
            (one.at..one.does).filter_map(|step| program.step(step)).map(|step| &step.cube).collect();
        let mut used = Vec::new();
        for cube in &cubes {
            // The question was answered within the budget before.
            let _ = self.ask(|budget| left_over(cube, &stretch, &space.universe, budget, |_, step| used.push(step)));
        }
        used.sort_unstable();
        used.dedup();
        self.needed(&cubes, used)
    }

    /// Those of some steps that are needed to take all of the cubes.
    pub(super) fn needed(&mut self, cubes: &[&Cube], mut used: Vec<u32>) -> Vec<Place> {
        let (program, space) = (self.program, self.space);
        let decides = |step: &u32| program.step(*step).is_some_and(|step| matches!(step.does, Does::Decide(_)));
        if (2..=MINIMISED).contains(&used.len()) && used.iter().all(decides) {
            for step in used.clone().into_iter().rev() {
                let fewer: Vec<u32> = used.iter().copied().filter(|other| *other != step).collect();
                let steps: Vec<Step> = fewer.iter().filter_map(|step| program.step(*step)).cloned().collect();
                let small = Program::new(steps, true);
                let stretch = [Stretch { program: &small, from: 0, to: small.len(), events: false }];
                let covered = cubes.iter().all(|cube| {
                    let answer = self.ask(|budget| left_over(cube, &stretch, &space.universe, budget, |_, _| ()));
                    matches!(answer, Ok(None))
                });
                if covered {
                    used = fewer;
                }
            }
        }
        let mut places: Vec<Place> =
            used.iter().filter_map(|step| program.step(*step)).map(|step| step.place).collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    pub(super) fn rule(&self, place: Place) -> Option<&Rule> {
        rule(self.ruleset, place)
    }
}
