//! What is wrong with rules, whatever they were read from or made of: rules that no packet comes to, rules that could be left out,
//! rules that nothing matches, policies and chains that are never reached.
//!
//! What is said here is proved, for every packet. What could not be decided within the budget is counted, and never taken for
//! fine.

pub mod codes;
pub mod listing;
mod packets;
mod policy;
mod redundant;
pub mod report;

use std::ops::ControlFlow;

use rustc_hash::{FxHashMap, FxHashSet};

use super::cover::{Budget, Spent, Stretch, left_over};
use crate::net::Family;
use crate::netfilter::{Chain, Owner, Ruleset, Table, TableFamily, Verdict};
use crate::packet::Cube;
use crate::program::{Does, End, Place, Program, Space, Step, VISIT, can_match, flatten_with_visits};
use crate::span::Location;
use packets::{comes, point};

/// Work for one question.
const QUESTION: u64 = 30_000;
/// Work for all questions together: so much for each rule.
const EACH: u64 = 600;
/// Work for all questions together, at least.
const LEAST: u64 = 3_000_000;
/// So many steps that together take all of a rule's packets are tried one by one for whether they are needed.
const MINIMISED: usize = 24;

/// What is known of a rule after all chains were looked at that lead to it.
#[derive(Clone, Debug, Default)]
pub struct Fate {
    /// Whether a packet comes to it and matches; `None`: not known.
    pub reached: Option<bool>,
    /// If none does: the rules that take its packets before.
    pub keepers: Vec<Place>,
    /// Packets that match were looked for; if not, none that comes to the chain does.
    pub sought: bool,
    /// Some packet matches it, wherever it stands.
    pub matches: bool,
    /// Whether what follows decides all of its packets alike; `None`: not known.
    pub redundant: Option<bool>,
    /// Whether that was left open at some place.
    pub redundancy_open: bool,
    /// If so, a step that does.
    pub follower: Option<Place>,
}

/// A policy that no packet comes to.
#[derive(Clone, Debug)]
pub struct Unreached {
    /// The table.
    pub table: usize,
    /// The base chain.
    pub chain: usize,
    /// The rules that decide everything.
    pub keepers: Vec<Place>,
}

/// Two rules of opposite verdicts that share packets, each with others of its own.
#[derive(Clone, Debug)]
pub struct Overlap {
    /// The one that decides.
    pub first: Place,
    /// The one behind.
    pub second: Place,
}

/// Everything that was found.
#[derive(Debug, Default)]
pub struct Findings {
    /// By table, chain and rule.
    pub fates: Vec<Vec<Vec<Fate>>>,
    /// Policies that drop, and that no packet comes to.
    pub policies: Vec<Unreached>,
    /// Chains with rules to which no rule leads: table and chain.
    pub unused: Vec<(usize, usize)>,
    /// Rules that overlap, if they were asked for.
    pub overlaps: Vec<Overlap>,
    /// Questions that were not answered: the rules.
    pub open: Vec<Place>,
}

impl Findings {
    /// What is known of a rule.
    #[must_use]
    pub fn fate(&self, place: Place) -> Option<&Fate> {
        self.fates.get(place.table as usize)?.get(place.chain as usize)?.get(place.rule as usize)
    }

    fn fate_mut(&mut self, place: Place) -> Option<&mut Fate> {
        self.fates.get_mut(place.table as usize)?.get_mut(place.chain as usize)?.get_mut(place.rule as usize)
    }
}

/// What is looked for, and how.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    /// Whether the ends of base chains do what the chains' policies say; if not, packets go on there to rules of others.
    pub policies: bool,
    /// Whether rules that overlap are looked for.
    pub overlaps: bool,
}

/// Looks at every rule of a rule set.
#[must_use]
pub fn findings(ruleset: &Ruleset, search: Search) -> Findings {
    let fates = |chain: &Chain| vec![Fate::default(); chain.rules.len()];
    let tables = || ruleset.tables.iter();
    let rules: usize = tables().flat_map(|table| &table.chains).map(|chain| chain.rules.len()).sum();
    let mut found = Findings {
        fates: tables().map(|table| table.chains.iter().map(fates).collect()).collect(),
        ..Findings::default()
    };
    let total = LEAST.max(EACH.saturating_mul(rules as u64));
    for (number, table) in tables().enumerate() {
        if matches!(table.family, TableFamily::Bridge | TableFamily::Netdev) {
            // Frames there may be of neither family.
            continue;
        }
        let entries = entries(table);
        found.unused.extend(entries.unused.iter().map(|chain| (number, *chain)));
        let mut unreached: FxHashMap<usize, Option<Vec<Place>>> = FxHashMap::default();
        for family in families(table.family) {
            let mut space = Space::new(*family, [ruleset]);
            let mut examiner = Examiner { ruleset, search, found: &mut found, total, repeated: FxHashSet::default() };
            for &chain in &entries.chains {
                examiner.chain(number, chain, &mut space, &mut unreached);
            }
        }
        conditions(number, table, &mut found);
        let policies = unreached
            .into_iter()
            .filter_map(|(chain, keepers)| keepers.map(|keepers| Unreached { table: number, chain, keepers }));
        found.policies.extend(policies);
    }
    found.policies.sort_by_key(|policy| (policy.table, policy.chain));
    found.open.sort_unstable();
    found.open.dedup();
    let open = std::mem::take(&mut found.open);
    let is_open = |fate: &Fate| fate.reached.is_none() || (fate.redundancy_open && fate.redundant != Some(false));
    found.open = open.into_iter().filter(|place| found.fate(*place).is_some_and(is_open)).collect();
    found
}

/// Which of the rules that no packet was sought for match anything, wherever they stand.
fn conditions(number: usize, table: &Table, found: &mut Findings) {
    let Some(fates) = found.fates.get_mut(number) else { return };
    let unsought = |fates: &[Vec<Fate>]| -> Vec<(usize, usize)> {
        let chains = fates.iter().enumerate();
        chains
            .flat_map(|(chain, rules)| {
                rules.iter().enumerate().filter(|(_, fate)| !fate.sought).map(move |(rule, _)| (chain, rule))
            })
            .collect()
    };
    let wanted = unsought(fates);
    if wanted.is_empty() {
        return;
    }
    for family in families(table.family) {
        // The space is for this question alone: masks of marks play no part in it.
        let mut space = Space::new(*family, std::iter::empty());
        can_match(table, &mut space, wanted.iter().copied(), |chain, rule| {
            if let Some(fate) = fates.get_mut(chain).and_then(|rules| rules.get_mut(rule)) {
                fate.matches = true;
            }
        });
    }
}

fn families(of: TableFamily) -> &'static [Family] {
    match of {
        TableFamily::Ipv4 => &[Family::Ipv4],
        TableFamily::Ipv6 => &[Family::Ipv6],
        _ => &Family::BOTH,
    }
}

/// Where packets come in.
struct Entries {
    chains: Vec<usize>,
    /// Chains that nothing leads to, of a table that is there as a whole.
    unused: Vec<usize>,
}

/// Chains that others lead to from elsewhere.
fn is_attached(chain: &Chain) -> bool {
    chain.owner == Owner::Fwc || &*chain.name == "DOCKER-USER"
}

fn entries(table: &Table) -> Entries {
    let mut led: FxHashSet<&str> = FxHashSet::default();
    for verdict in table.chains.iter().flat_map(|chain| &chain.rules).filter_map(|rule| rule.verdict.as_ref()) {
        match verdict {
            Verdict::Jump(name) | Verdict::Goto(name) => {
                led.insert(name);
            }
            Verdict::Map { elements, .. } => {
                led.extend(elements.iter().filter_map(|(_, verdict)| match verdict {
                    Verdict::Jump(name) | Verdict::Goto(name) => Some(&**name),
                    _ => None,
                }));
            }
            _ => {}
        }
    }
    let whole = table.chains.iter().any(|chain| chain.base.is_some());
    let mut entries = Entries { chains: Vec::new(), unused: Vec::new() };
    for (number, chain) in table.chains.iter().enumerate() {
        if chain.base.is_some() {
            entries.chains.push(number);
        } else if !led.contains(&*chain.name) && !chain.rules.is_empty() {
            // What stands in it is looked at, too: it is part of a file whose other parts lead to it, or will be used.
            entries.chains.push(number);
            if whole && !is_attached(chain) {
                entries.unused.push(number);
            }
        }
    }
    entries
}

/// Looks at the rules of one program after the other.
struct Examiner<'r, 'f> {
    ruleset: &'r Ruleset,
    search: Search,
    found: &'f mut Findings,
    /// Work that is left.
    total: u64,
    /// Rules that stand at several places of the program, or share their statement with others.
    repeated: FxHashSet<Place>,
}

/// One place in a program at which a rule stands.
struct Occurrence {
    place: Place,
    /// Its first step.
    at: u32,
    /// The first of its own steps that does something.
    does: u32,
    /// The first step behind it.
    end: u32,
}

fn occurrences(program: &Program) -> Vec<Occurrence> {
    let mut list: Vec<Occurrence> = Vec::new();
    let visit = |step: &Step| step.does == Does::Happen(VISIT);
    let lead = |step: &Step| if let Does::Lead(to) = step.does { Some(to) } else { None };
    let led_to: FxHashSet<u32> = program.steps.iter().filter_map(lead).collect();
    let mut at = 0u32;
    while let Some(step) = program.step(at) {
        if !visit(step) {
            at += 1;
            continue;
        }
        let place = step.place;
        let while_own = |from: u32, wanted: &dyn Fn(&Step) -> bool| {
            (from..)
                .find(|next| !program.step(*next).is_some_and(|step| step.place == place && wanted(step)))
                .unwrap_or(from)
        };
        // The same rule once more, where other packets come in, is another place.
        let own = while_own(at, &visit);
        let does = (at + 1..own).find(|next| led_to.contains(next)).unwrap_or(own);
        let end = while_own(does, &|step| !visit(step));
        list.push(Occurrence { place, at, does, end });
        at = does.max(at + 1);
    }
    list
}

impl<'r> Examiner<'r, '_> {
    fn chain(
        &mut self,
        table: usize,
        chain: usize,
        space: &mut Space,
        unreached: &mut FxHashMap<usize, Option<Vec<Place>>>,
    ) {
        let Some(entry) = self.ruleset.tables.get(table).and_then(|table| table.chains.get(chain)) else { return };
        let end = match entry.base {
            Some(base) if self.search.policies => {
                if base.accept {
                    End::Accept
                } else {
                    End::Drop
                }
            }
            _ => End::Passed,
        };
        let Some(program) = flatten_with_visits(self.ruleset, table, &entry.name, end, space) else { return };
        let occurrences = occurrences(&program);
        if !program.complete {
            // Nothing is known of any rule that it was not written for.
            self.all_open(table);
            return;
        }
        self.repeated = self.repeated(&occurrences);
        for occurrence in &occurrences {
            self.occurrence(&program, occurrence, space);
        }
        if end == End::Drop {
            let keepers = self.end(&program, chain, space);
            let known = unreached.entry(chain).or_insert_with(|| Some(Vec::new()));
            *known = known.take().zip(keepers).map(|(mut known, keepers)| {
                known.extend(keepers);
                known
            });
        }
        if self.search.overlaps {
            self.overlaps(&program, space);
        }
    }

    fn repeated(&self, occurrences: &[Occurrence]) -> FxHashSet<Place> {
        let mut statements: FxHashMap<Location, Place> = FxHashMap::default();
        let (mut seen, mut repeated) = (FxHashSet::default(), FxHashSet::default());
        for place in occurrences.iter().map(|one| one.place) {
            if !seen.insert(place) {
                repeated.insert(place);
            }
            if let Some(origin) = self.origin(place) {
                let first = *statements.entry(origin).or_insert(place);
                if first != place {
                    repeated.extend([first, place]);
                }
            }
        }
        repeated
    }

    fn all_open(&mut self, table: usize) {
        let number = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        let chains = self.found.fates.get(table).into_iter().flatten().enumerate();
        let places: Vec<Place> = chains
            .flat_map(|(chain, rules)| {
                (0..rules.len()).map(move |rule| Place {
                    table: number(table),
                    chain: number(chain),
                    rule: number(rule),
                })
            })
            .collect();
        places.into_iter().for_each(|place| self.open(place));
    }

    fn open(&mut self, place: Place) {
        self.found.open.push(place);
        if let Some(fate) = self.found.fate_mut(place) {
            fate.sought = true;
            fate.reached = fate.reached.filter(|reached| *reached);
            fate.redundancy_open = true;
            fate.keepers.clear();
        }
    }

    /// Work for one question, of what is left.
    fn ask<T>(&mut self, question: impl FnOnce(&mut Budget) -> Result<T, Spent>) -> Result<T, Spent> {
        let most = QUESTION.min(self.total);
        let mut budget = Budget::new(most);
        let answer = question(&mut budget);
        self.total -= most - budget.left().min(most);
        answer
    }

    fn occurrence(&mut self, program: &Program, one: &Occurrence, space: &Space) {
        let Some(fate) = self.found.fate(one.place) else { return };
        let known = fate.reached == Some(true);
        let candidate = fate.redundant != Some(false) && self.is_candidate(one.place);
        if known && !candidate {
            return;
        }
        let undecided = fate.sought && fate.reached.is_none();
        match self.arriving(program, one, space) {
            Ok(Some(witness)) => {
                let redundant = candidate.then(|| self.redundant(program, one, &witness, space));
                let Some(fate) = self.found.fate_mut(one.place) else { return };
                fate.sought = true;
                fate.reached = Some(true);
                fate.keepers.clear();
                match redundant {
                    None => fate.redundant = Some(false),
                    Some(Ok(None)) => fate.redundant = Some(false),
                    Some(Ok(Some(follower))) => {
                        fate.redundant = Some(true);
                        fate.follower = Some(follower);
                    }
                    Some(Err(Spent)) => {
                        fate.redundancy_open = true;
                        self.found.open.push(one.place);
                    }
                }
            }
            Ok(None) => {
                let keepers = if known || undecided { Vec::new() } else { self.keepers(program, one, space) };
                let Some(fate) = self.found.fate_mut(one.place) else { return };
                if !known && !undecided {
                    fate.sought = true;
                    fate.reached = Some(false);
                    fate.keepers.extend(keepers.into_iter().filter(|keeper| *keeper != one.place));
                    fate.keepers.sort_unstable();
                    fate.keepers.dedup();
                }
            }
            Err(Spent) => self.open(one.place),
        }
    }

    /// Packets that come to a rule and match.
    fn arriving(&mut self, program: &Program, one: &Occurrence, space: &Space) -> Result<Option<Cube>, Spent> {
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
    fn keepers(&mut self, program: &Program, one: &Occurrence, space: &Space) -> Vec<Place> {
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
        self.needed(program, &cubes, used, space)
    }

    /// Those of some steps that are needed to take all of the cubes.
    fn needed(&mut self, program: &Program, cubes: &[&Cube], mut used: Vec<u32>, space: &Space) -> Vec<Place> {
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

    /// Rules of opposite verdicts that share packets.
    fn overlaps(&mut self, program: &Program, space: &Space) {
        /// Pairs that are kept.
        const MOST: usize = 10_000;
        for (number, step) in (0u32..).zip(&program.steps) {
            let Some(stops) = self.stops(step) else { continue };
            if self.found.overlaps.len() >= MOST
                || self.found.fate(step.place).is_none_or(|fate| fate.reached != Some(true))
            {
                continue;
            }
            let mut first = None;
            let _ = program.index().meeting(
                &step.cube,
                0..number,
                |class| class < crate::program::LEADS,
                |other| {
                    let Some(earlier) = program.step(other).filter(|earlier| {
                        earlier.place.chain == step.place.chain
                            && earlier.cube.meets(&step.cube)
                            && !earlier.cube.covers(&step.cube)
                            && !step.cube.covers(&earlier.cube)
                    }) else {
                        return ControlFlow::Continue(());
                    };
                    if self.stops(earlier) == Some(!stops) {
                        first = Some((other, earlier));
                        return ControlFlow::Break(());
                    }
                    ControlFlow::Continue(())
                },
            );
            let Some((other, earlier)) = first else { continue };
            let Some(both) = earlier.cube.intersection(&step.cube) else { continue };
            let stretch = [Stretch { program, from: 0, to: other, events: false }];
            let shared = self.ask(|budget| left_over(&both, &stretch, &space.universe, budget, |_, _| ()));
            let pair = (earlier.place, step.place);
            let told = self.found.overlaps.last().is_some_and(|last| (last.first, last.second) == pair);
            if matches!(shared, Ok(Some(_))) && !told {
                self.found.overlaps.push(Overlap { first: pair.0, second: pair.1 });
            }
        }
    }

    /// Whether a step keeps packets out, or lets them in.
    fn stops(&self, step: &Step) -> Option<bool> {
        match (step.does, &self.rule(step.place)?.verdict) {
            (Does::Decide(_), Some(Verdict::Accept)) => Some(false),
            (Does::Decide(_), Some(Verdict::Drop | Verdict::Reject(_))) => Some(true),
            _ => None,
        }
    }

    fn rule(&self, place: Place) -> Option<&'r crate::netfilter::Rule> {
        rule(self.ruleset, place)
    }

    fn origin(&self, place: Place) -> Option<Location> {
        self.rule(place)?.origin
    }
}

/// The rule at a place.
#[must_use]
pub fn rule(ruleset: &Ruleset, place: Place) -> Option<&crate::netfilter::Rule> {
    ruleset.tables.get(place.table as usize)?.chains.get(place.chain as usize)?.rules.get(place.rule as usize)
}
