//! The search: which first packets of a sentence meet something else in the finished rules than what is claimed.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::rc::Rc;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::hooks;
use crate::lower;
use crate::net::{Family, Hours};
use crate::netfilter::{Hook, Ruleset, TableFamily, TableKind, Target, Verdict};
use crate::packet::condition::Counter;
use crate::packet::{Condition, Cube, Field, Universe, Values};
use crate::policy::{Action, Policy, Rank};
use crate::program::{Does, End, Event, EventId, HAPPENS, LEADS, Place, Program, Space, Step, example, flatten};
use crate::prove::cover::{Budget, Spent, Stretch, left_over};
use crate::span::Location;
use crate::traffic::PlatformVerdict;

use super::world::World;

/// What an assertion claims of each of its packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// It is let through.
    Allow,
    /// It is not.
    Deny,
    /// It is not, and its sender hears so.
    Reject,
}

/// What becomes of packets in this policy's rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A rule allows it.
    Allowed,
    /// No rule decides.
    Left,
    /// It is dropped.
    Denied,
    /// It is answered.
    Rejected,
    /// Words that are not known decide.
    Unknown,
}

/// How wrong that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wrong {
    No,
    Possibly,
    Fails,
}

/// How surely a claim is wrong of packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Certainty {
    /// If something holds that is not known.
    Possibly,
    /// Beyond a limit, or at some times; within it and at others the claim may be right.
    Beyond,
    /// Whatever is not known.
    Certain,
}

/// Packets of which the claim is wrong, or possibly wrong.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// Whether it is certain.
    pub(super) certainty: Certainty,
    /// The packets.
    pub(super) cube: Cube,
    /// What becomes of them.
    pub(super) meaning: Meaning,
    /// The rule that decides; `None`: there are no rules where they pass.
    pub(super) place: Option<Place>,
    /// What it depends on that no packet shows, and with which answer.
    pub(super) conditions: Vec<(Condition, bool)>,
}

impl Found {
    /// It rests on something that is not known, unless that is `known`.
    pub(super) fn rests_on(&mut self, known: bool) {
        if !known {
            self.certainty = Certainty::Possibly;
        }
    }
}

/// What is asked.
pub(super) struct Question<'a> {
    pub(super) claim: Claim,
    pub(super) platform: &'a PlatformVerdict,
    /// The sentence names no service: it does not speak of what the prelude lets live.
    pub(super) every_service: bool,
    /// `platform` is what becomes of packets that no rule accepts for good.
    pub(super) accept_is_final: bool,
    /// Rules that let in what is the host's own, and so is not meant.
    pub(super) own_ports: Option<&'a FxHashSet<Location>>,
}

/// The rules of a build, flattened as they are asked for.
pub(super) struct Court<'p> {
    pub(super) ruleset: Cow<'p, Ruleset>,
    target: Target,
    prelude: FxHashSet<Location>,
    sides: [Side; 2],
}

struct Side {
    space: Space,
    flat: FxHashMap<(usize, usize), Rc<Program>>,
    worlds: FxHashMap<(usize, usize, World), Rc<Program>>,
    guards: FxHashMap<(usize, usize, World), Option<Rc<Program>>>,
}

/// A place at which packets are judged: the family, and the table and chain in the rules, if they have such a one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bench {
    pub(super) family: Family,
    pub(super) table: (TableFamily, TableKind),
    pub(super) hook: Hook,
    pub(super) world: World,
}

impl<'p> Court<'p> {
    pub(super) fn new(policy: &Policy, ruleset: Cow<'p, Ruleset>, target: Target) -> Self {
        let judgements = policy.flows.values().flatten().chain(&policy.gate_prelude);
        let prelude = judgements.filter(|judgement| judgement.rank == Rank::Prelude);
        let prelude = prelude.map(|judgement| judgement.location).collect();
        let side = |family| Side {
            space: Space::new(family, [&*ruleset]),
            flat: FxHashMap::default(),
            worlds: FxHashMap::default(),
            guards: FxHashMap::default(),
        };
        let sides = [side(Family::Ipv4), side(Family::Ipv6)];
        Self { ruleset, target, prelude, sides }
    }

    fn side(&mut self, family: Family) -> &mut Side {
        let [v4, v6] = &mut self.sides;
        if family == Family::Ipv4 { v4 } else { v6 }
    }

    pub(super) fn space(&mut self, family: Family) -> &mut Space {
        &mut self.side(family).space
    }

    /// The entry chains of a hook, by table and chain.
    fn entries(&self, hook: Hook, wanted: impl Fn(TableFamily, TableKind) -> bool) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        for (number, table) in self.ruleset.tables.iter().enumerate().filter(|(_, one)| wanted(one.family, one.kind)) {
            let chains = table.chains.iter().enumerate();
            let own = chains.filter(|(_, chain)| chain.base.is_some_and(|base| base.hook == hook));
            found.extend(own.map(|(chain, _)| (number, chain)));
        }
        found
    }

    fn flat(&mut self, family: Family, table: usize, chain: usize) -> Option<Rc<Program>> {
        let name = self.ruleset.tables.get(table)?.chains.get(chain)?.name.clone();
        let side = match family {
            Family::Ipv4 => self.sides.first_mut()?,
            Family::Ipv6 => self.sides.last_mut()?,
        };
        if let Some(known) = side.flat.get(&(table, chain)) {
            return Some(Rc::clone(known));
        }
        let program = Rc::new(flatten(&self.ruleset, table, &name, End::Passed, &mut side.space)?);
        side.flat.insert((table, chain), Rc::clone(&program));
        Some(program)
    }

    fn judge(&mut self, bench: &Bench) -> Option<Rc<Program>> {
        let entry = self.entries(bench.hook, |family, kind| (family, kind) == bench.table).into_iter().next();
        let (table, chain) = entry?;
        if let Some(known) = self.side(bench.family).worlds.get(&(table, chain, bench.world)) {
            return Some(Rc::clone(known));
        }
        let flat = self.flat(bench.family, table, chain)?;
        let program = Rc::new(bench.world.program(&flat, bench.hook));
        self.side(bench.family).worlds.insert((table, chain, bench.world), Rc::clone(&program));
        Some(program)
    }

    /// What may also stop packets on their way: the other tables of the hook, and what is passed before and behind it. In these
    /// programs every other decision leads to the last step.
    fn guards(&mut self, bench: &Bench) -> Vec<Rc<Program>> {
        if bench.table.0 != TableFamily::Inet {
            return Vec::new();
        }
        let stops = |kind| matches!(kind, TableKind::Raw | TableKind::Mangle | TableKind::Filter | TableKind::Security);
        let inet = |family, kind| family == TableFamily::Inet && stops(kind);
        let mut entries: Vec<(usize, usize, bool)> = Vec::new();
        if matches!(bench.hook, Hook::Input | Hook::Forward) {
            entries.extend(self.entries(Hook::Prerouting, inet).into_iter().map(|(table, chain)| (table, chain, true)));
        }
        let beside = self.entries(bench.hook, |family, kind| inet(family, kind) && (family, kind) != bench.table);
        entries.extend(beside.into_iter().map(|(table, chain)| (table, chain, false)));
        if matches!(bench.hook, Hook::Output | Hook::Forward) {
            entries
                .extend(self.entries(Hook::Postrouting, inet).into_iter().map(|(table, chain)| (table, chain, false)));
        }
        let guards = entries.into_iter().filter_map(|(table, chain, before)| self.guard(bench, table, chain, before));
        guards.collect()
    }

    fn guard(&mut self, bench: &Bench, table: usize, chain: usize, before: bool) -> Option<Rc<Program>> {
        if let Some(known) = self.side(bench.family).guards.get(&(table, chain, bench.world)) {
            return known.clone();
        }
        let flat = self.flat(bench.family, table, chain)?;
        let hook = self.ruleset.tables.get(table)?.chains.get(chain)?.base.map_or(bench.hook, |base| base.hook);
        let program = if before { bench.world.program_before(&flat, hook) } else { bench.world.program(&flat, hook) };
        let guard = self.as_guard(bench.family, &program).map(Rc::new);
        self.side(bench.family).guards.insert((table, chain, bench.world), guard.clone());
        guard
    }

    fn as_guard(&mut self, family: Family, program: &Program) -> Option<Program> {
        let stops = |court: &Self, step: &Step| {
            let meaning = court.meaning(family, step);
            matches!(meaning, Some(Meaning::Denied | Meaning::Rejected | Meaning::Unknown))
        };
        if program.complete && !program.steps.iter().any(|step| stops(self, step)) {
            return None;
        }
        let passed = self.space(family).number(Event::Passed);
        Some(hooks::keeping(program, passed, |step| stops(self, step)))
    }

    /// What a step decides, if it does.
    fn meaning(&self, family: Family, step: &Step) -> Option<Meaning> {
        let Does::Decide(event) = step.does else { return None };
        let [v4, v6] = &self.sides;
        let space = if family == Family::Ipv4 { &v4.space } else { &v6.space };
        Some(match space.event(event) {
            Event::Verdict(Verdict::Accept) => Meaning::Allowed,
            Event::Verdict(Verdict::Drop) => Meaning::Denied,
            Event::Verdict(Verdict::Reject(_)) => Meaning::Rejected,
            Event::Passed => {
                // Beside Docker an allow is RETURN. What no line of the source says leads to nothing of ours.
                let rule = super::rule_at(&self.ruleset, step.place);
                let says = rule.is_some_and(|rule| rule.verdict == Some(Verdict::Return) && rule.origin.is_some());
                if says { Meaning::Allowed } else { Meaning::Left }
            }
            _ => Meaning::Unknown,
        })
    }

    fn wrong(&self, family: Family, question: &Question<'_>, step: &Step) -> Wrong {
        let Some(meaning) = self.meaning(family, step) else { return Wrong::No };
        let origin = super::rule_at(&self.ruleset, step.place).and_then(|rule| rule.origin);
        if question.every_service
            && question.claim != Claim::Allow
            && origin.is_some_and(|origin| self.prelude.contains(&origin))
        {
            return Wrong::No;
        }
        if let (Some(own), Some(origin)) = (question.own_ports, origin)
            && own.contains(&origin)
        {
            return Wrong::No;
        }
        if question.accept_is_final && self.passes_for_good(meaning, step) {
            return judged(question.claim, meaning, &PlatformVerdict::Nobody);
        }
        judged(question.claim, meaning, question.platform)
    }

    /// Whether what a step lets through is not stopped by another owner's chain at the hook. With nft an accept is for its own table
    /// alone, unless it sets the mark that the other owner's chain accepts.
    fn passes_for_good(&self, meaning: Meaning, step: &Step) -> bool {
        let place = step.place;
        let chain = || self.ruleset.tables.get(place.table as usize)?.chains.get(place.chain as usize);
        let accepts = self.target == Target::Iptables || chain().is_some_and(|chain| &*chain.name == lower::ACCEPTED);
        let rule = super::rule_at(&self.ruleset, place);
        meaning == Meaning::Allowed && accepts && rule.is_some_and(|rule| rule.verdict == Some(Verdict::Accept))
    }

    /// Packets of a cube for which the claim is wrong; as surely as there are such.
    ///
    /// That something is let through is claimed while nothing is in the sets that others fill, and of packets within the policy's limits
    /// first: only if it is right of those, it matters that beyond them it is not.
    pub(super) fn search(
        &mut self,
        question: &Question<'_>,
        bench: &Bench,
        cube: &Cube,
        budget: &mut Budget,
    ) -> Result<Option<Found>, Spent> {
        let judge = self.judge(bench);
        let guards = self.guards(bench);
        if question.claim != Claim::Allow {
            return self.search_all(question, bench, cube, judge, &guards, budget);
        }
        let universe = &self.space(bench.family).universe;
        let asked = conditions_asked(cube, judge.iter().chain(&guards));
        // Nothing is in the sets that others fill.
        let cube = &answered(cube, &asked, universe, |condition| {
            matches!(condition, Condition::Member { .. }).then_some(false)
        });
        let within = answered(cube, &asked, universe, within_limit);
        let found = self.search_all(question, bench, &within, judge.clone(), &guards, budget)?;
        if within == *cube || found.as_ref().is_some_and(|found| found.certainty == Certainty::Certain) {
            return Ok(found);
        }
        let beyond = self.search_all(question, bench, cube, judge, &guards, budget)?;
        Ok([found, beyond].into_iter().flatten().max_by_key(|found| found.certainty))
    }

    fn search_all(
        &mut self,
        question: &Question<'_>,
        bench: &Bench,
        cube: &Cube,
        judge: Option<Rc<Program>>,
        guards: &[Rc<Program>],
        budget: &mut Budget,
    ) -> Result<Option<Found>, Spent> {
        if judge.iter().chain(guards).any(|program| !program.complete) {
            return Err(Spent);
        }
        let space = self.space(bench.family);
        let passed = space.number(Event::Passed);
        let impossible = impossible(&space.universe, passed);
        let no_packets = Stretch { program: &impossible, from: 0, to: impossible.len(), events: false };
        let behind = guards.iter().map(|guard| Stretch {
            program: guard,
            from: 0,
            to: guard.len().saturating_sub(1),
            events: false,
        });
        let ends: Vec<Stretch<'_>> = behind.chain((!impossible.is_empty()).then_some(no_packets)).collect();
        let mut best: Option<Found> = None;
        for level in [Wrong::Fails, Wrong::Possibly] {
            if level == Wrong::Possibly && best.is_some() {
                break;
            }
            if judge.is_none()
                && judged(question.claim, Meaning::Left, question.platform) == level
                && let Some(left) = left_over(cube, &ends, &self.space(bench.family).universe, budget, |_, _| ())?
            {
                let found = self.found(bench, question, cube, left, Meaning::Left, None, level);
                if found.certainty == Certainty::Certain || level == Wrong::Possibly {
                    return Ok(Some(found));
                }
                keep_surer(&mut best, found);
            }
            // What a guard stops is wrong by itself; what the judge decides, only if no guard stops it.
            let asked = judge.iter().map(|judge| (judge, true)).chain(guards.iter().map(|guard| (guard, false)));
            for (program, is_judge) in asked {
                let last = if is_judge { program.len() } else { program.len().saturating_sub(1) };
                for number in self.wrong_steps(program, bench.family, question, cube, level, last) {
                    let Some(step) = program.step(number) else { continue };
                    let Some(both) = step.cube.intersection(cube) else { continue };
                    let mut stretches = vec![Stretch { program, from: 0, to: number, events: false }];
                    if is_judge {
                        stretches.extend(&ends);
                    } else if !impossible.is_empty() {
                        stretches.push(no_packets);
                    }
                    let left = left_over(&both, &stretches, &self.space(bench.family).universe, budget, |_, _| ())?;
                    let Some(left) = left else { continue };
                    let meaning = self.meaning(bench.family, step).unwrap_or(Meaning::Unknown);
                    let mut found = self.found(bench, question, cube, left, meaning, Some(step.place), level);
                    if let Some(judge) = &judge
                        && found.certainty != Certainty::Certain
                        && level == Wrong::Fails
                        && self.is_wrong_whatever_holds(question, bench, judge, &ends, cube, &found.cube, budget)?
                    {
                        found.certainty = Certainty::Certain;
                    }
                    if found.certainty == Certainty::Certain || level == Wrong::Possibly {
                        return Ok(Some(found));
                    }
                    keep_surer(&mut best, found);
                }
            }
        }
        Ok(best)
    }

    fn wrong_steps(
        &self,
        program: &Program,
        family: Family,
        question: &Question<'_>,
        cube: &Cube,
        level: Wrong,
        last: u32,
    ) -> Vec<u32> {
        let mut steps = Vec::new();
        let all = program.index().meeting(
            cube,
            0..last,
            |class| class != HAPPENS && class != LEADS,
            |number| {
                if program.step(number).is_some_and(|step| self.wrong(family, question, step) == level) {
                    steps.push(number);
                }
                ControlFlow::<()>::Continue(())
            },
        );
        debug_assert!(all.is_continue());
        steps.sort_unstable();
        steps
    }

    #[allow(clippy::too_many_arguments)]
    fn found(
        &mut self,
        bench: &Bench,
        question: &Question<'_>,
        region: &Cube,
        cube: Cube,
        meaning: Meaning,
        place: Option<Place>,
        level: Wrong,
    ) -> Found {
        let marked = self.ruleset.marks_connections();
        let space = self.space(bench.family);
        // What the sentence itself asks for is given.
        let open = |field: &Field| field.is_condition() && region.get(*field).is_none();
        let asked = cube.parts().iter().filter(|(field, _)| open(field));
        let mut asked: Vec<(Condition, bool)> = asked
            .filter_map(|(field, values)| Some((space.universe.condition(*field)?.clone(), values.contains(1))))
            .collect();
        // A connection begins without a mark; others may give it one.
        let marks = space.universe.connection_marks(&cube).filter(|(_, _, values)| marked || !values.contains(0));
        asked.extend(marks.map(|(_, bits, _)| (Condition::ConnectionMark(bits), true)));
        // Every time of day comes, every user may open a connection, the first packet is within a limit as the later ones are beyond it,
        // and others may put anything into the sets that they fill.
        let known = asked.iter().all(|(condition, _)| condition.is_modelled());
        let settled = level == Wrong::Fails && meaning != Meaning::Unknown && known;
        let at_times = |condition: &Condition| matches!(condition, Condition::Counted(_) | Condition::Time(_));
        let certainty = match settled {
            false => Certainty::Possibly,
            true if question.claim == Claim::Allow && asked.iter().any(|(one, _)| at_times(one)) => Certainty::Beyond,
            true => Certainty::Certain,
        };
        Found { certainty, cube, meaning, place, conditions: asked }
    }

    /// Whether one packet of a cube fares wrong whatever the conditions come to.
    #[allow(clippy::too_many_arguments)]
    fn is_wrong_whatever_holds(
        &mut self,
        question: &Question<'_>,
        bench: &Bench,
        judge: &Program,
        ends: &[Stretch<'_>],
        region: &Cube,
        cube: &Cube,
        budget: &mut Budget,
    ) -> Result<bool, Spent> {
        let packet = example(cube);
        let mut point = Some(Cube::all());
        let marks: Vec<Field> =
            self.space(bench.family).universe.connection_marks(cube).map(|(field, ..)| field).collect();
        for (field, value) in packet.values() {
            let given = region.get(*field).is_some();
            if given || !(field.is_condition() || marks.contains(field)) {
                point = point.and_then(|point| point.with(*field, crate::packet::Values::single(*value)));
            }
        }
        let Some(point) = point else { return Ok(false) };
        let right = self.wrong_steps(judge, bench.family, question, &point, Wrong::No, judge.len());
        let possibly = self.wrong_steps(judge, bench.family, question, &point, Wrong::Possibly, judge.len());
        for number in right.into_iter().chain(possibly) {
            let Some(both) = judge.step(number).and_then(|step| step.cube.intersection(&point)) else { continue };
            let own = Stretch { program: judge, from: 0, to: number, events: false };
            let stretches: Vec<Stretch<'_>> = std::iter::once(own).chain(ends.iter().copied()).collect();
            let universe = &self.space(bench.family).universe;
            if left_over(&both, &stretches, universe, budget, |_, _| ())?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn keep_surer(best: &mut Option<Found>, found: Found) {
    if best.as_ref().is_none_or(|best| best.certainty < found.certainty) {
        *best = Some(found);
    }
}

/// The conditions that steps of programs ask of packets of a cube, where the cube itself does not say the answer.
fn conditions_asked<'p>(cube: &Cube, programs: impl Iterator<Item = &'p Rc<Program>>) -> Vec<Field> {
    let mut asked = FxHashSet::default();
    for program in programs {
        let all = program.index().meeting(
            cube,
            0..program.len(),
            |class| class != HAPPENS,
            |number| {
                let parts = program.step(number).map_or(&[][..], |step| step.cube.parts());
                let fields = parts.iter().map(|(field, _)| *field);
                asked.extend(fields.filter(|field| field.is_condition() && cube.get(*field).is_none()));
                ControlFlow::<()>::Continue(())
            },
        );
        debug_assert!(all.is_continue());
    }
    let mut asked: Vec<Field> = asked.into_iter().collect();
    asked.sort_unstable();
    asked
}

/// The packets of a cube for which conditions have the answers that are given.
fn answered(cube: &Cube, asked: &[Field], universe: &Universe, answer: impl Fn(&Condition) -> Option<bool>) -> Cube {
    let answers = asked.iter().filter_map(|field| Some((*field, answer(universe.condition(*field)?)?)));
    answers.fold(cube.clone(), |cube, (field, holds)| cube.replaced(field, Some(Values::single(u128::from(holds)))))
}

/// What a limit says of a packet before which none were counted.
fn within_limit(condition: &Condition) -> Option<bool> {
    match condition {
        Condition::Counted(asked) => match asked.counter {
            Counter::Limit { .. } => Some(true),
            Counter::Connections { .. } => Some(false),
            Counter::Unmodelled(_) => None,
        },
        _ => None,
    }
}

/// Answers to conditions that no packet can have at once: hours of which no minute is in both, or in neither, and two users of one
/// socket. As a program that keeps all packets to which rules would give them.
fn impossible(universe: &Universe, kept: EventId) -> Program {
    let excluding = |condition: &Condition| matches!(condition, Condition::Time(_) | Condition::User(_));
    let conditions: Vec<(Field, &Condition)> =
        universe.conditions().filter(|(_, condition)| excluding(condition)).collect();
    let mut steps = Vec::new();
    for (number, (field, condition)) in conditions.iter().enumerate() {
        for (other_field, other) in conditions.iter().skip(number + 1) {
            for (holds, other_holds) in [(true, true), (true, false), (false, true), (false, false)] {
                let possible = match (condition, other) {
                    (Condition::Time(one), Condition::Time(two)) => {
                        Hours::some_minute([(one, holds), (two, other_holds)])
                    }
                    (Condition::User(_), Condition::User(_)) => !(holds && other_holds),
                    _ => true,
                };
                let values = |holds: bool| Values::single(u128::from(holds));
                let both = Cube::of(vec![(*field, values(holds)), (*other_field, values(other_holds))]);
                if let Some(cube) = both.filter(|_| !possible) {
                    let place = Place { table: 0, chain: 0, rule: 0 };
                    steps.push(Step { cube, does: Does::Decide(kept), place });
                }
            }
        }
    }
    Program::new(steps, true)
}

/// How wrong a claim is of packets that fare so.
fn judged(claim: Claim, meaning: Meaning, platform: &PlatformVerdict) -> Wrong {
    match (claim, meaning) {
        (_, Meaning::Unknown) => Wrong::Possibly,
        (Claim::Allow, Meaning::Denied | Meaning::Rejected) => Wrong::Fails,
        (Claim::Allow, _) => match platform {
            // Where no platform has a say, nothing is known to stop it.
            PlatformVerdict::Open(_) | PlatformVerdict::Nobody => Wrong::No,
            PlatformVerdict::Depends { .. } => Wrong::Possibly,
            PlatformVerdict::Closed(_) => Wrong::Fails,
        },
        (Claim::Deny | Claim::Reject, Meaning::Rejected) | (Claim::Deny, Meaning::Denied) => Wrong::No,
        (Claim::Reject, _) => Wrong::Fails,
        (Claim::Deny, open) => match platform {
            PlatformVerdict::Closed(_) => Wrong::No,
            PlatformVerdict::Depends { .. } if open == Meaning::Left => Wrong::Possibly,
            _ => Wrong::Fails,
        },
    }
}

/// What an action claims.
pub(super) fn claim(action: Action) -> Option<Claim> {
    match action {
        Action::Allow => Some(Claim::Allow),
        Action::Deny => Some(Claim::Deny),
        Action::Reject(_) => Some(Claim::Reject),
        Action::Log => None,
    }
}
