//! What is wrong with rules, whatever they were read from or made of: rules that no packet comes to, rules that could be left out,
//! rules that nothing matches, policies and chains that are never reached.
//!
//! What is said here is proved, for every packet. What could not be decided within the budget is counted, and never taken for
//! fine.

pub mod codes;
mod packets;
mod policy;
mod question;
mod redundant;
pub mod report;

use std::ops::ControlFlow;

use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};

use super::cover::{Spent, Stretch, left_over};
use crate::net::Family;
use crate::netfilter::{Chain, Owner, Ruleset, Table, TableFamily, Verdict};
use crate::program::{Does, End, Place, Program, Space, Step, VISIT, can_match, flatten_with_visits};
use crate::span::Location;
use question::{Answer, Asker, QUESTION};

/// Work for all questions together: so much for each rule.
const EACH: u64 = 600;
/// Work for all questions together, at least.
const LEAST: u64 = 3_000_000;
/// So many places are looked at one after the other; others may be looked at meanwhile.
const PART: usize = 1_024;

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

impl Fate {
    /// Takes in what was found at one of the places where the rule stands.
    fn note(&mut self, answer: &Answer, own: Place) {
        match answer {
            Answer::Comes(redundant) => {
                self.sought = true;
                self.reached = Some(true);
                self.keepers.clear();
                match redundant {
                    None | Some(Ok(None)) => self.redundant = Some(false),
                    Some(Ok(Some(follower))) if self.redundant != Some(false) => {
                        self.redundant = Some(true);
                        self.follower = Some(*follower);
                    }
                    Some(Ok(Some(_))) => {}
                    Some(Err(Spent)) => self.redundancy_open = true,
                }
            }
            Answer::Taken(keepers) if self.is_reached_nowhere() => {
                self.sought = true;
                self.reached = Some(false);
                self.keepers.extend(keepers.iter().filter(|keeper| **keeper != own));
                self.keepers.sort_unstable();
                self.keepers.dedup();
            }
            Answer::Taken(_) => {}
            Answer::Open => {
                self.sought = true;
                self.reached = self.reached.filter(|reached| *reached);
                self.redundancy_open = true;
                self.keepers.clear();
            }
        }
    }

    /// Whether no packet came to it at the places that were looked at, if any was.
    fn is_reached_nowhere(&self) -> bool {
        self.reached == Some(false) || !self.sought
    }
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

    /// Takes in what was found at a place.
    fn note(&mut self, place: Place, answer: &Answer) {
        if answer.is_open() {
            self.open.push(place);
        }
        if let Some(fate) = self.fate_mut(place) {
            fate.note(answer, place);
        }
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
            let mut examiner = Examiner { ruleset, search, found: &mut found, total };
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
        let repeated = self.repeated(&occurrences);
        let ruleset = self.ruleset;
        let mut asker = Asker { ruleset, program: &program, space, repeated: &repeated, left: self.total };
        self.look_at_all(&occurrences, &mut asker);
        if end == End::Drop {
            let keepers = asker.end(chain, entry.rules.len());
            let known = unreached.entry(chain).or_insert_with(|| Some(Vec::new()));
            *known = known.take().zip(keepers).map(|(mut known, keepers)| {
                known.extend(keepers);
                known
            });
        }
        if self.search.overlaps {
            self.overlaps(&mut asker);
        }
        self.total = asker.left;
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
        places.into_iter().for_each(|place| self.found.note(place, &Answer::Open));
    }

    /// Looks at every place of a program at which a rule stands: parts of them side by side, each with its share of the work. What a
    /// part leaves open because its share is spent is looked at once more, with what the others left.
    fn look_at_all(&mut self, occurrences: &[Occurrence], asker: &mut Asker<'_>) {
        if occurrences.is_empty() {
            return;
        }
        // It is made here, once: a thread that makes it in the middle of its part would take up another part while it waits for others to
        // make theirs of the index, and ask for an index that is not there yet.
        let _ = asker.program.index();
        let (found, all) = (&*self.found, occurrences.len() as u128);
        let share = |part: usize| u64::try_from(u128::from(asker.left) * part as u128 / all).unwrap_or(u64::MAX);
        let looked: Vec<_> = occurrences
            .par_chunks(PART)
            .map(|part| {
                let mut asker = Asker { left: share(part.len()), ..*asker };
                (asker.look_at(part, found), asker.left)
            })
            .collect();
        asker.left = looked.iter().map(|(_, left)| left).sum();
        for (part, (answers, left)) in occurrences.chunks(PART).zip(looked) {
            for (one, answer) in part.iter().zip(answers) {
                let Some(mut answer) = answer else { continue };
                if answer.is_open() && left < QUESTION && asker.left > left {
                    let again = self.found.fate(one.place).and_then(|fate| asker.look(one, fate));
                    answer = again.unwrap_or(answer);
                }
                self.found.note(one.place, &answer);
            }
        }
    }

    /// Rules of opposite verdicts that share packets.
    fn overlaps(&mut self, asker: &mut Asker<'_>) {
        /// Pairs that are kept.
        const MOST: usize = 10_000;
        let program = asker.program;
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
            let universe = &asker.space.universe;
            let shared = asker.ask(|budget| left_over(&both, &stretch, universe, budget, |_, _| ()));
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
