//! Packets of what an assertion speaks of, in the words that `fwc trace` takes.

use std::collections::BTreeMap;

use super::example::Teller;
use super::region;
use super::world::World;
use crate::net::Family;
use crate::netfilter::{Hook, TableKind, Target};
use crate::packet::{Cube, Field};
use crate::policy::{Assertion, Class, Flow, Judgement, Policy};
use crate::program::Space;
use crate::prove::cover::Budget;

/// Steps of work for all of them.
const EFFORT: u64 = 200_000;

/// Whether a container is known to publish a port that connections of a cube are to.
fn is_listed(policy: &Policy, cube: &Cube) -> bool {
    let ports = cube.get(Field::ORIGINAL_PORT);
    policy.containers.published.iter().any(|one| ports.is_some_and(|ports| ports.contains(u128::from(one.ports.first))))
}

/// The first packet of a connection of each kind that an assertion of a policy speaks of: for each flow, each family, and each way in which the
/// header may show it. What usually happens comes first. Empty if it speaks of no connection.
#[must_use]
pub fn packets(policy: &Policy, target: Target, assertion: &Assertion) -> Vec<String> {
    let mut flows: BTreeMap<Flow, Vec<Judgement>> = BTreeMap::new();
    for (flow, judgement) in &assertion.judgements {
        flows.entry(*flow).or_default().push(judgement.clone());
    }
    let mut silent = region::silent(policy);
    let mut budget = Budget::new(EFFORT);
    let mut found: Vec<(bool, Family, usize, String)> = Vec::new();
    for (flow, judgements) in &flows {
        let ruleset = region::lowered(&mut silent, policy, target, *flow, judgements);
        let published = flow.to == Class::Container;
        for family in Family::BOTH {
            let mut space = Space::new(family, [&ruleset]);
            for (number, table) in ruleset.tables.iter().enumerate().filter(|(_, table)| table.kind != TableKind::Nat) {
                for (chain, base) in table.chains.iter().filter_map(|chain| Some((chain, chain.base?))) {
                    let worlds: &[World] = if published && base.hook == Hook::Forward {
                        &[World::Translated, World::Plain]
                    } else {
                        &[World::Plain]
                    };
                    let asked = region::cubes(
                        &ruleset,
                        number,
                        &chain.name,
                        base.hook,
                        worlds,
                        assertion.location,
                        &mut space,
                        &mut budget,
                    );
                    for (world, cube) in asked.into_iter().flatten() {
                        let universe = &space.universe;
                        let Some(cube) = region::that_can_be(base.hook, world, cube, universe) else { continue };
                        let teller = Teller { policy, universe, flow: *flow, hook: base.hook, world };
                        // A port that a container publishes is usually translated on its way in.
                        let unusual = published && world != World::Translated;
                        let words = if world == World::Translated && is_listed(policy, &cube) {
                            teller.as_sent(&cube)
                        } else {
                            teller.words(&cube)
                        };
                        found.push((unusual, family, found.len(), words));
                    }
                }
            }
        }
    }
    found.sort();
    let mut packets: Vec<String> = found.into_iter().map(|(.., words)| words).collect();
    let mut seen = rustc_hash::FxHashSet::default();
    packets.retain(|words| seen.insert(words.clone()));
    packets
}
