//! What a sentence means where packets are judged: the assertion is lowered as if its judgements were all that the policy says,
//! with the code that lowers rules, so that a word means the same in both. What its rules match is the region of the sentence.

use crate::hooks::openers;
use crate::lower;
use crate::netfilter::{Hook, RESERVED_MARKS, Ruleset, Target, Verdict};
use crate::packet::field::name_number;
use crate::packet::{Cube, Field, Universe, Values};
use crate::policy::{Action, Class, Flow, Gate, Group, Judgement, Nat, Policy};
use crate::program::{Does, End, Event, Program, Space, flatten};
use crate::prove::cover::{Budget, Spent, Stretch, all_left_over};
use crate::span::Location;

use super::world::World;

/// A policy that says nothing, on a host like that of another.
pub(super) fn silent(policy: &Policy) -> Policy {
    let gates = policy.gates.iter().map(|gate| Gate { lines: Vec::new(), ..gate.clone() });
    let first = |wanted: fn(&Nat) -> bool| policy.nat.iter().find(|nat| wanted(nat)).cloned();
    let forward = first(|nat| matches!(nat, Nat::Forward { .. }));
    let redirect = first(|nat| matches!(nat, Nat::Redirect { .. }));
    Policy {
        target: policy.target,
        platforms: policy.platforms.clone(),
        prelude: policy.prelude.iter().filter(|part| *part == "loopback").cloned().collect(),
        nat: forward.into_iter().chain(redirect).collect(),
        gates: gates.collect(),
        groups: Vec::<Group>::new(),
        live_sets: policy.live_sets.clone(),
        cards: policy.cards.clone(),
        containers: policy.containers.clone(),
        facts: policy.facts.clone(),
        ..Policy::default()
    }
}

/// The rules of a sentence in one flow. Those that stand for the sentence drop, whatever is claimed; no other rule does.
pub(super) fn lowered(
    silent: &mut Policy,
    policy: &Policy,
    target: Target,
    flow: Flow,
    judgements: &[Judgement],
) -> Ruleset {
    let claims_allow = judgements.iter().any(|judgement| judgement.action == Action::Allow);
    silent.flows.clear();
    silent.flows.insert(flow, judgements.to_vec());
    // What an allow to a container implies on the roads of docker-proxy: the first leg through INPUT, and the second.
    if claims_allow && flow.to == Class::Container && flow.from != Class::Host {
        let to_host = Flow { from: flow.from, to: Class::Host };
        let second = Flow { from: Class::Host, to: Class::Container };
        for implied in [to_host, second] {
            if policy.governs(implied) {
                silent.flows.entry(implied).or_default();
            }
        }
    }
    let mut ruleset = lower::lower_sentence(silent, target);
    silent.flows.clear();
    let Some(location) = judgements.first().map(|judgement| judgement.location) else { return ruleset };
    for table in &mut ruleset.tables {
        // The judges of guests are called by jumps; nothing else is. They say nothing here.
        let jumps = table.chains.iter().flat_map(|chain| &chain.rules).filter_map(|rule| match &rule.verdict {
            Some(Verdict::Jump(name)) => Some(name.clone()),
            _ => None,
        });
        let judges: rustc_hash::FxHashSet<_> = jumps.collect();
        for chain in &mut table.chains {
            if judges.contains(&chain.name) {
                chain.rules.clear();
            }
            for rule in chain.rules.iter_mut().filter(|rule| rule.origin == Some(location)) {
                if rule.verdict.is_some() {
                    rule.verdict = Some(Verdict::Drop);
                }
            }
        }
    }
    ruleset
}

/// The steps that stand for the sentence.
fn means(ruleset: &Ruleset, program: &Program, space: &Space, location: Location) -> Vec<u32> {
    let stands = |(number, step): (u32, &crate::program::Step)| {
        let Does::Decide(event) = step.does else { return None };
        let origin = super::rule_at(ruleset, step.place).and_then(|rule| rule.origin);
        let drops = *space.event(event) == Event::Verdict(Verdict::Drop);
        (drops && origin == Some(location)).then_some(number)
    };
    (0u32..).zip(&program.steps).filter_map(stands).collect()
}

/// The first packets that a sentence means at an entry chain, by world; cubes without packets in common.
#[allow(clippy::too_many_arguments)]
pub(super) fn cubes(
    ruleset: &Ruleset,
    table: usize,
    chain: &str,
    hook: Hook,
    worlds: &[World],
    location: Location,
    space: &mut Space,
    budget: &mut Budget,
) -> Result<Vec<(World, Cube)>, Spent> {
    let Some(program) = flatten(ruleset, table, chain, End::Passed, space) else { return Ok(Vec::new()) };
    if means(ruleset, &program, space, location).is_empty() {
        return Ok(Vec::new());
    }
    if !program.complete {
        return Err(Spent);
    }
    let mut found = Vec::new();
    for &world in worlds {
        let program = world.program(&program, hook);
        for number in means(ruleset, &program, space, location) {
            let Some(step) = program.step(number) else { continue };
            let before = Stretch { program: &program, from: 0, to: number, events: false };
            for cube in openers(&step.cube, RESERVED_MARKS, space) {
                let left = all_left_over(&cube, &[before], &space.universe, budget)?;
                found.extend(left.into_iter().map(|cube| (world, cube)));
            }
        }
    }
    Ok(found)
}

/// The packets of a cube that can come to a hook: nothing that is routed comes or goes by the loopback interface, and what another
/// machine sends does not come by it. The host's own connection to its own address, translated, leaves by it.
pub(super) fn that_can_be(hook: Hook, world: World, cube: Cube, universe: &Universe) -> Option<Cube> {
    let fields: &[Field] = match (hook, world) {
        (Hook::Forward, _) => &[Field::IN_INTERFACE, Field::OUT_INTERFACE],
        (Hook::Input, _) => &[Field::IN_INTERFACE],
        (Hook::Output, World::Plain) => &[Field::OUT_INTERFACE],
        _ => &[],
    };
    let loopback = Values::single(name_number("lo"));
    fields.iter().try_fold(cube, |cube, field| match cube.get(*field) {
        Some(values) => cube.replaced(*field, Some(values.difference(&loopback)?)).into(),
        None => cube.with(*field, universe.complement(*field, &loopback)?),
    })
}
