//! `assert`: what a policy's author says is true of it, proved over the finished rules for every first packet of the sentence. Works
//! on netfilter's form; how a sentence reads there is asked of the stage that lowers rules. Gives diagnostics, changes nothing.

mod beyond;
pub mod codes;
mod example;
mod judge;
mod raw;
mod region;
mod report;
pub mod test;
pub mod world;

use std::collections::BTreeMap;

use crate::diagnostic::{Code, Diagnostic};
use crate::net::{Family, Protocol};
use crate::netfilter::{Hook, Rule, Ruleset, TableFamily, TableKind, Target};
use crate::packet::{Cube, Field, Values};
use crate::policy::{Assertion, Class, Flow, Judgement, Nat, Policy, Published, Traffic};
use crate::program::Place;
use crate::prove::cover::{Budget, Spent};
use crate::span::Location;

use beyond::Beyond;
use judge::{Bench, Certainty, Claim, Court, Found, Question};
use world::World;

/// Whether a diagnostic leaves the rules without a meaning. What is wrong with an assert does not: the rules say what they say.
#[must_use]
pub fn is_hole(diagnostic: &Diagnostic) -> bool {
    diagnostic.is_error() && !CODES.contains(&diagnostic.code)
}

/// Every code that proofs give.
pub static CODES: &[&Code] = &[
    &codes::ASSERT_FAILS,
    &codes::ASSERT_POSSIBLY_FAILS,
    &codes::ASSERT_SAYS_NOTHING,
    &codes::ASSERT_UNDECIDED,
    &codes::RULE_IN_TEST,
    &codes::ALLOWED_WITHIN_LIMIT,
];

/// How much is tried for one assertion.
const EFFORT: u64 = 400_000;
/// With more publications than this, what the client dialled and what the container sees are taken to have nothing to do with
/// one another: that is true of more packets, so that what is proved holds.
const MANY_PUBLISHED: usize = 256;

/// What containers publish ports of.
const PUBLISHABLE: [Protocol; 3] = [Protocol::TCP, Protocol::UDP, Protocol::SCTP];

/// What became of an assertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Proved.
    Holds,
    /// Some packet fares otherwise.
    Fails,
    /// Beyond a limit, or at some times, packets fare otherwise; within it and at other times none does.
    WithinLimits,
    /// Some packet fares otherwise if something holds that is not known.
    Possibly,
    /// The effort was spent before the answer was known.
    Undecided,
    /// No packet is what it speaks of.
    Nothing,
}

/// An assertion and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The assertion.
    pub location: Location,
    /// What became of it.
    pub outcome: Outcome,
    /// What there is to say, if it does not hold.
    pub diagnostic: Option<Diagnostic>,
}

/// Proves a policy's assertions over its rules, as they are before they are optimised.
#[must_use]
pub fn prove(policy: &Policy, ruleset: &Ruleset, target: Target) -> Vec<Proof> {
    prove_within(policy, ruleset, target, EFFORT)
}

/// As [`prove`], with so much effort for each assertion.
#[must_use]
pub fn prove_within(policy: &Policy, ruleset: &Ruleset, target: Target, effort: u64) -> Vec<Proof> {
    if policy.assertions.is_empty() {
        return Vec::new();
    }
    let court = Court::new(policy, raw::read(policy, ruleset, target));
    let silent = region::silent(policy);
    let mut prover = Prover { policy, target, court, silent, effort };
    policy.assertions.iter().map(|assertion| prover.assertion(assertion)).collect()
}

/// The rule at a place; none at a chain's end.
fn rule_at(ruleset: &Ruleset, place: Place) -> Option<&Rule> {
    ruleset.tables.get(place.table as usize)?.chains.get(place.chain as usize)?.rules.get(place.rule as usize)
}

/// Where in the host something was found, and of which flow.
struct Finding {
    flow: Flow,
    bench: Bench,
    beyond: Beyond,
    found: Found,
    /// What docker-proxy may listen at, though no fact says so.
    if_published: bool,
}

struct Prover<'p> {
    policy: &'p Policy,
    target: Target,
    court: Court<'p>,
    silent: Policy,
    effort: u64,
}

/// Everything that one assertion comes to.
#[derive(Default)]
struct Tally {
    worst: Option<Finding>,
    any: bool,
    spent: bool,
}

impl Tally {
    /// Whether nothing worse can be found.
    fn is_certain(&self) -> bool {
        self.worst.as_ref().is_some_and(|worst| worst.found.certainty == Certainty::Certain)
    }
}

impl Prover<'_> {
    fn assertion(&mut self, assertion: &Assertion) -> Proof {
        let location = assertion.location;
        let mut flows: BTreeMap<Flow, Vec<Judgement>> = BTreeMap::new();
        for (flow, judgement) in &assertion.judgements {
            flows.entry(*flow).or_default().push(judgement.clone());
        }
        let claimed = assertion.judgements.first().and_then(|(_, judgement)| judge::claim(judgement.action));
        let Some(claim) = claimed else {
            return report::nothing(location);
        };
        let mut budget = Budget::new(self.effort);
        let mut tally = Tally::default();
        for (flow, judgements) in &flows {
            let asked = self.flow(claim, *flow, judgements, location, &mut budget, &mut tally);
            tally.spent |= asked.is_err();
            if tally.is_certain() {
                break;
            }
        }
        let Tally { worst, any, spent } = tally;
        match worst {
            Some(finding) if finding.found.certainty > Certainty::Possibly || !spent => {
                report::found(self.policy, &mut self.court, claim, location, &finding)
            }
            _ if spent => report::undecided(location),
            _ if !any => report::nothing(location),
            _ => Proof { location, outcome: Outcome::Holds, diagnostic: None },
        }
    }

    fn flow(
        &mut self,
        claim: Claim,
        flow: Flow,
        judgements: &[Judgement],
        location: Location,
        budget: &mut Budget,
        tally: &mut Tally,
    ) -> Result<(), Spent> {
        // Without facts, nobody knows at which ports docker-proxy takes connections in for containers.
        let proxied = claim != Claim::Allow && self.proxy_may_listen(flow, judgements);
        for widened in [false, true] {
            if widened && !proxied {
                continue;
            }
            let ruleset = region::lowered(&mut self.silent, self.policy, self.target, flow, judgements, widened);
            for family in Family::BOTH {
                self.entries(&ruleset, claim, flow, judgements, location, family, widened, budget, tally)?;
                if tally.is_certain() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// One family's part of a sentence in one flow, at every entry chain that has such.
    #[allow(clippy::too_many_arguments)]
    fn entries(
        &mut self,
        ruleset: &Ruleset,
        claim: Claim,
        flow: Flow,
        judgements: &[Judgement],
        location: Location,
        family: Family,
        widened: bool,
        budget: &mut Budget,
        tally: &mut Tally,
    ) -> Result<(), Spent> {
        let tables = ruleset.tables.iter().enumerate();
        let tables = tables.filter(|(_, table)| table.kind != TableKind::Nat && covers(table.family, family));
        for (number, table) in tables {
            for chain in &table.chains {
                let Some(base) = chain.base.filter(|base| !widened || base.hook == Hook::Input) else { continue };
                let worlds = self.worlds(flow, base.hook);
                let space = self.court.space(family);
                let found = region::cubes(ruleset, number, &chain.name, worlds, location, space, budget)?;
                for (world, cube) in found {
                    let bench = Bench { family, table: (table.family, table.kind), hook: base.hook, world };
                    self.cubes(claim, flow, judgements, bench, cube, widened, budget, tally)?;
                }
            }
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments)]
    fn cubes(
        &mut self,
        claim: Claim,
        flow: Flow,
        judgements: &[Judgement],
        bench: Bench,
        cube: Cube,
        if_published: bool,
        budget: &mut Budget,
        tally: &mut Tally,
    ) -> Result<(), Spent> {
        let Some(first) = judgements.first() else { return Ok(()) };
        let beyond = beyond::of(self.policy, first, flow, bench.hook, bench.world, bench.family);
        let every_service = *first.traffic == [Traffic::ALL];
        for cube in self.translations(flow, &bench, cube) {
            tally.any = true;
            let question = Question { claim, beyond: &beyond, every_service };
            let Some(mut found) = self.court.search(&question, &bench, &cube, budget)? else { continue };
            let if_published = if_published || self.is_guess(flow, &bench, &found);
            if if_published {
                found.certainty = Certainty::Possibly;
            }
            let certain = found.certainty == Certainty::Certain;
            if certain || tally.worst.as_ref().is_none_or(|worst| worst.found.certainty < found.certainty) {
                tally.worst = Some(Finding { flow, bench, beyond: beyond.clone(), found, if_published });
            }
            if certain {
                break;
            }
        }
        Ok(())
    }

    /// Without facts docker-proxy's ports look like the host's: whether what decides on INPUT was said of the other of the two.
    fn is_guess(&self, flow: Flow, bench: &Bench, found: &Found) -> bool {
        let docker = self.policy.facts.docker.as_ref();
        let known = !self.policy.containers.published.is_empty() || docker.is_some_and(|docker| docker.complete);
        if known || bench.hook != Hook::Input || !self.policy.containers.used {
            return false;
        }
        let rule = found.place.and_then(|place| rule_at(&self.court.ruleset, place));
        let Some(origin) = rule.and_then(|rule| rule.origin) else { return flow.to == Class::Container };
        let own = self.policy.flows.get(&flow).into_iter().flatten();
        match flow.to {
            Class::Container => true,
            _ => !own.map(|judgement| judgement.location).any(|location| location == origin),
        }
    }

    /// Whether docker-proxy may take in connections on INPUT that the rules of the sentence do not see there.
    fn proxy_may_listen(&self, flow: Flow, judgements: &[Judgement]) -> bool {
        let docker = self.policy.facts.docker.as_ref();
        let off = docker.and_then(|docker| docker.userland_proxy) == Some(false);
        let known = !self.policy.containers.published.is_empty() || docker.is_some_and(|docker| docker.complete);
        let to_host = Flow { from: flow.from, to: Class::Host };
        self.policy.containers.used
            && !off
            && !known
            && flow.to == Class::Container
            && flow.from != Class::Host
            && self.policy.flows.contains_key(&to_host)
            && judgements.iter().any(|judgement| judgement.to.view.is_none() && judgement.to.published.is_none())
    }

    fn worlds(&self, flow: Flow, hook: Hook) -> &'static [World] {
        let nat = |wanted: fn(&Nat) -> bool| self.policy.nat.iter().any(wanted);
        let translated = match hook {
            Hook::Input => nat(|nat| matches!(nat, Nat::Redirect { .. })),
            Hook::Output => flow.to == Class::Container,
            Hook::Forward => flow.to != Class::Outside || nat(|nat| matches!(nat, Nat::Forward { .. })),
            _ => false,
        };
        if translated { &[World::Plain, World::Translated] } else { &[World::Plain] }
    }

    /// The packets of a cube that can be, where facts list everything that is translated to containers.
    fn translations(&self, flow: Flow, bench: &Bench, cube: Cube) -> Vec<Cube> {
        let published = &self.policy.containers.published;
        let complete = self.policy.facts.docker.as_ref().is_some_and(|docker| docker.complete);
        let others = self.policy.nat.iter().any(|nat| matches!(nat, Nat::Forward { .. }));
        if others || flow.to != Class::Container || bench.world != World::Translated {
            return vec![cube];
        }
        if !complete || published.len() > MANY_PUBLISHED {
            // Ports are what is published.
            let with_ports =
                Values::union(PUBLISHABLE.map(|protocol| (u128::from(protocol.0), u128::from(protocol.0))));
            return with_ports.and_then(|values| cube.with(Field::PROTOCOL, values)).into_iter().collect();
        }
        published.iter().filter_map(|one| publication(one, bench.family)?.intersection(&cube)).collect()
    }
}

/// The packets that a publication translates: what was dialled, and what it became.
fn publication(one: &Published, family: Family) -> Option<Cube> {
    if one.only_family().is_some_and(|only| only != family) {
        return None;
    }
    let ports = |range: crate::net::PortRange| Values::range((u128::from(range.first), u128::from(range.last)));
    let mut cube = Cube::all()
        .with(Field::PROTOCOL, Values::single(u128::from(one.protocol.0)))?
        .with(Field::ORIGINAL_PORT, ports(one.ports))?;
    // By the routing mesh the published port stays in the header as far as rules see it.
    cube = cube.with(Field::DESTINATION_PORT, ports(if one.ingress { one.ports } else { one.container_ports }))?;
    match one.address {
        Some(std::net::IpAddr::V4(address)) => {
            cube.with(Field::ORIGINAL_DESTINATION, Values::single(u128::from(u32::from(address))))
        }
        Some(std::net::IpAddr::V6(address)) => {
            cube.with(Field::ORIGINAL_DESTINATION, Values::single(u128::from(address)))
        }
        None => Some(cube),
    }
}

fn covers(table: TableFamily, family: Family) -> bool {
    match table {
        TableFamily::Ipv4 => family == Family::Ipv4,
        TableFamily::Ipv6 => family == Family::Ipv6,
        TableFamily::Inet | TableFamily::Bridge => true,
        TableFamily::Netdev => false,
    }
}
