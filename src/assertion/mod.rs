//! `assert`: what a policy's author says is true of it, proved over the finished rules for every first packet of the sentence. Works
//! on netfilter's form; how a sentence reads there is asked of the stage that lowers rules. Gives diagnostics, changes nothing.

pub mod codes;
mod example;
mod judge;
mod paths;
mod raw;
mod region;
mod reply;
mod report;
mod sample;
pub mod test;
mod world;

pub use sample::packets;

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashSet;

use crate::diagnostic::{Code, Diagnostic};
use crate::net::address_number;
use crate::net::{Family, Protocol};
use crate::netfilter::{Hook, Rule, Ruleset, TableFamily, TableKind, Target};
use crate::packet::{Cube, Field, Values};
use crate::platform::Platform;
use crate::policy::resolve::families;
use crate::policy::{Action, Assertion, Class, Flow, Judgement, Nat, Policy, Published, Rank, Traffic};
use crate::program::Place;
use crate::prove::cover::{Budget, Spent};
use crate::span::Location;
use crate::syntax::tree::View;
use crate::traffic::{self, PlatformVerdict, Query, Reached};

use judge::{Bench, Certainty, Claim, Court, Found, Question};
use paths::{Dialled, Unseen};
use world::World;

/// Whether a diagnostic leaves the rules without a meaning. What is wrong with an assert does not: the rules say what they say.
#[must_use]
pub fn is_hole(diagnostic: &Diagnostic) -> bool {
    diagnostic.is_error() && !CODES.contains(&diagnostic.code)
}

/// Every code that proofs give.
pub static CODES: &[&Code] = &[
    &codes::ASSERT_FAILS,
    &codes::UNDECIDED,
    &codes::ASSERT_SAYS_NOTHING,
    &codes::ASSERT_OUT_OF_WORK,
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
    Undecided,
    /// The effort was spent before the answer was known.
    OutOfWork,
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
    /// What it rests on, if it holds.
    pub assumes: BTreeSet<Assumption>,
}

impl Proof {
    fn refuted(location: Location, outcome: Outcome, diagnostic: Diagnostic) -> Self {
        Self { location, outcome, diagnostic: Some(diagnostic), assumes: BTreeSet::new() }
    }
}

/// What a proof takes for granted, since no policy and no fact can say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Assumption {
    /// The jumps to our chains are there, where the attach script puts them.
    Attached,
    /// No one else writes rules.
    NothingElse,
    /// No container has a network that no hook of the host sees.
    OnBridges,
    /// Where a sentence about containers names no port, what an allow to the host names is the host's own.
    OwnPorts,
    /// What the data of a platform in use say that no fact settles.
    OfPlatform(&'static str),
}

impl std::fmt::Display for Assumption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Attached => "the jumps to fwc's chains are in place",
            Self::NothingElse => "nothing manages the host but what the policy and the facts name",
            Self::OnBridges => "no container has a macvlan or ipvlan network",
            Self::OwnPorts => "ports that an `allow` to the host names are the host's own",
            Self::OfPlatform(assumed) => assumed,
        })
    }
}

/// How many assertions hold.
#[must_use]
pub fn proved(proofs: &[Proof]) -> usize {
    proofs.iter().filter(|proof| proof.outcome == Outcome::Holds).count()
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
    let court = Court::new(policy, raw::read(policy, ruleset, target), target);
    let silent = region::silent(policy);
    let mut bare = silent.clone();
    bare.containers.published.clear();
    let mut prover = Prover { policy, target, court, silent, bare, effort };
    policy.assertions.iter().map(|assertion| prover.assertion(assertion)).collect()
}

/// The rule at a place; none at a chain's end.
fn rule_at(ruleset: &Ruleset, place: Place) -> Option<&Rule> {
    ruleset.tables.get(place.table as usize)?.chains.get(place.chain as usize)?.rules.get(place.rule as usize)
}

/// How the packets of a finding reach what they are meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Path {
    /// As the sentence's words say at the hook.
    Words,
    /// Through a proxy of the platform with this title.
    Proxy(&'static str),
    /// From the host to itself by the loopback interface, and through the proxy.
    Loopback(&'static str),
    /// What the proxy of the platform with this title opens for it.
    SecondConnection(&'static str),
    /// It has arrived; this is the answer.
    Reply,
}

/// Where in the host something was found, and of which flow.
struct Finding {
    flow: Flow,
    bench: Bench,
    platform: PlatformVerdict,
    found: Found,
    path: Path,
    /// It is so if something is published that no fact lists.
    if_published: bool,
    /// The facts that would say whether there is such a path.
    facts: Vec<String>,
}

/// A path through a proxy: the hooks before it, and where it leads.
struct Route<'a> {
    claim: Claim,
    platform: &'a PlatformVerdict,
    family: Family,
    every_service: bool,
    own_ports: Option<FxHashSet<Location>>,
    hooks: &'a [Hook],
    dialled: &'a Dialled,
}

struct Prover<'p> {
    policy: &'p Policy,
    target: Target,
    court: Court<'p>,
    silent: Policy,
    /// As `silent`, of a host on which nothing is published.
    bare: Policy,
    effort: u64,
}

/// Everything that one assertion comes to.
#[derive(Default)]
struct Tally {
    worst: Option<Finding>,
    unseen: Option<Unseen>,
    any: bool,
    spent: bool,
    /// Rules let in what was taken for the host's own.
    own_ports: bool,
}

impl Tally {
    /// Whether nothing worse can be found.
    fn is_settled(&self) -> bool {
        self.worst.as_ref().is_some_and(|worst| worst.found.certainty == Certainty::Certain)
    }

    /// Keeps a finding, if it is surer than what there is.
    fn keep(&mut self, finding: Finding) {
        if self.worst.as_ref().is_none_or(|worst| worst.found.certainty < finding.found.certainty) {
            self.worst = Some(finding);
        }
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
            if tally.is_settled() {
                break;
            }
        }
        let Tally { worst, unseen, any, spent, own_ports } = tally;
        let mut assumes = BTreeSet::from([Assumption::Attached, Assumption::NothingElse]);
        if flows.keys().any(|flow| flow.from == Class::Container || flow.to == Class::Container) {
            assumes.insert(Assumption::OnBridges);
            let platforms = self.policy.platforms.iter().filter_map(|name| Platform::load(name));
            let assumed = platforms.flat_map(|platform| &platform.faults).filter_map(|fault| fault.assumed.as_deref());
            assumes.extend(assumed.map(Assumption::OfPlatform));
        }
        if own_ports {
            assumes.insert(Assumption::OwnPorts);
        }
        match (worst, unseen) {
            (Some(finding), _) if finding.found.certainty > Certainty::Possibly || !spent => {
                report::found(self.policy, &mut self.court, claim, location, &finding)
            }
            (None, Some(unseen)) if !spent => report::unseen(location, &unseen),
            _ if spent => report::out_of_work(location),
            _ if !any => report::nothing(location),
            _ => Proof { location, outcome: Outcome::Holds, diagnostic: None, assumes },
        }
    }

    fn flow(
        &mut self,
        claim: Claim,
        flow: Flow,
        rules: &[Judgement],
        location: Location,
        budget: &mut Budget,
        tally: &mut Tally,
    ) -> Result<(), Spent> {
        let ruleset = region::lowered(&mut self.silent, self.policy, self.target, flow, rules);
        for family in Family::BOTH {
            self.entries(&ruleset, claim, flow, rules, location, family, budget, tally)?;
            if tally.is_settled() {
                return Ok(());
            }
        }
        // What is denied has to be denied on every path, also on those that the words do not show.
        for rule in rules {
            for family in families(rule) {
                if claim == Claim::Allow {
                    let query = Query { policy: self.policy, flow, rule: Some(rule), family };
                    if tally.unseen.is_none() {
                        tally.unseen = paths::taken_for_outside(&query, rule, self.target);
                    }
                    self.carried_on(&query, rule, location, budget, tally)?;
                } else {
                    self.beside_the_words(claim, flow, rule, location, family, budget, tally)?;
                }
                if tally.is_settled() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The paths of one rule's connections that its words do not show where they are lowered.
    #[allow(clippy::too_many_arguments)]
    fn beside_the_words(
        &mut self,
        claim: Claim,
        flow: Flow,
        rule: &Judgement,
        location: Location,
        family: Family,
        budget: &mut Budget,
        tally: &mut Tally,
    ) -> Result<(), Spent> {
        let query = Query { policy: self.policy, flow, rule: Some(rule), family };
        if tally.unseen.is_none() {
            tally.unseen = paths::unseen(&query, rule, self.target);
        }
        if flow.to != Class::Container || rule.to.view == Some(View::Direct) {
            return Ok(());
        }
        self.proxies(claim, &query, rule, location, budget, tally)?;
        for own in paths::to_own_addresses(self.policy, rule) {
            let own = [own];
            let ruleset = region::lowered(&mut self.bare, self.policy, self.target, flow, &own);
            self.entries(&ruleset, claim, flow, &own, location, family, budget, tally)?;
        }
        if let Some(own) = paths::to_unlisted_addresses(self.policy, rule) {
            let own = [own];
            let ruleset = region::lowered(&mut self.bare, self.policy, self.target, flow, &own);
            let mut unlisted = Tally::default();
            self.entries(&ruleset, claim, flow, &own, location, family, budget, &mut unlisted)?;
            tally.any |= unlisted.any;
            if let Some(mut finding) = unlisted.worst {
                finding.found.rests_on(false);
                tally.keep(Finding { if_published: true, ..finding });
            }
        }
        Ok(())
    }

    /// What a proxy of the platform takes in: closed where the client's packets are, or where the proxy's second connection is.
    fn proxies(
        &mut self,
        claim: Claim,
        query: &Query<'_>,
        rule: &Judgement,
        location: Location,
        budget: &mut Budget,
        tally: &mut Tally,
    ) -> Result<(), Spent> {
        let (from, family) = (query.flow.from, query.family);
        let ways = paths::proxied(query);
        if ways.is_empty() {
            return Ok(());
        }
        for dialled in paths::dialled(self.policy, rule, family) {
            let cubes = self.taken_by_a_proxy(rule, &dialled, family, location, budget)?;
            let hooks = paths::hooks(from);
            for way in &ways {
                for cube in &cubes {
                    let universe = &self.court.space(family).universe;
                    let Some(cube) = paths::first_packets(way, from, cube, universe) else { continue };
                    tally.any = true;
                    let platform = PlatformVerdict::Open(&way.platform.title);
                    // What the prelude lets live is not meant by a sentence about everything, but for the loopback interface.
                    let every_service = from != Class::Host && *rule.traffic == [Traffic::ALL];
                    let own_ports = self.own_ports(rule, &dialled);
                    tally.own_ports |= own_ports.as_ref().is_some_and(|own| !own.is_empty());
                    let dialled = &dialled;
                    let route = Route { claim, platform: &platform, family, every_service, own_ports, hooks, dialled };
                    let Some((bench, mut found)) = self.open_along(&route, 0, cube, budget)? else { continue };
                    found.rests_on(way.facts.is_empty() && dialled.known);
                    let path = match from {
                        Class::Host => Path::Loopback(&way.platform.title),
                        _ => Path::Proxy(&way.platform.title),
                    };
                    let (flow, facts) = (query.flow, way.facts.clone());
                    tally.keep(Finding { flow, bench, platform, found, path, if_published: !dialled.known, facts });
                    if tally.is_settled() {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// The allows to the host that name their ports. Where a sentence about containers names none, and no list says that something is
    /// published at those ports, they are the host's own.
    fn own_ports(&self, rule: &Judgement, dialled: &Dialled) -> Option<FxHashSet<Location>> {
        if dialled.known || rule.traffic.iter().any(|traffic| traffic.ports.is_some()) {
            return None;
        }
        let flow = Flow { from: rule.from.class, to: Class::Host };
        let named = |allow: &&Judgement| {
            let ports =
                allow.traffic.iter().all(|one| one.ports.is_some() || one.protocol.is_some_and(|one| !one.has_ports()));
            ports && allow.action == Action::Allow && allow.rank == Rank::Rule
        };
        let own = self.policy.flows.get(&flow).into_iter().flatten().filter(named);
        Some(own.map(|allow| allow.location).collect())
    }

    /// The packets of a sentence at the filter chains of a hook.
    fn region(
        &mut self,
        ruleset: &Ruleset,
        hook: Hook,
        family: Family,
        location: Location,
        budget: &mut Budget,
    ) -> Result<Vec<Cube>, Spent> {
        let mut cubes = Vec::new();
        for (number, table) in ruleset.tables.iter().enumerate().filter(|(_, table)| table.kind == TableKind::Filter) {
            let entries = table.chains.iter().filter(|chain| chain.base.is_some_and(|base| base.hook == hook));
            for chain in entries.filter(|_| table.family == TableFamily::Inet) {
                let space = self.court.space(family);
                let found =
                    region::cubes(ruleset, number, &chain.name, hook, &[World::Plain], location, space, budget)?;
                cubes.extend(found.into_iter().map(|(_, cube)| cube));
            }
        }
        Ok(cubes)
    }

    /// Packets that get along all hooks from one on, and through the proxy's second connection: where they are let through first.
    fn open_along(
        &mut self,
        route: &Route<'_>,
        at: usize,
        cube: Cube,
        budget: &mut Budget,
    ) -> Result<Option<(Bench, Found)>, Spent> {
        let Some(&hook) = route.hooks.get(at) else { return self.second_connection(route, &cube, budget) };
        let mut open = vec![cube];
        while let Some(cube) = open.pop() {
            let (bench, found) = self.along(route, route.family, hook, &cube, budget)?;
            let Some(mut found) = found else { continue };
            let next = if hook == Hook::Output { paths::looped(&found.cube) } else { found.cube.clone() };
            if let Some((_, later)) = self.open_along(route, at + 1, next, budget)? {
                found.certainty = found.certainty.min(later.certainty);
                return Ok(Some((bench, found)));
            }
            open.extend(cube.difference(&found.cube, &self.court.space(route.family).universe));
        }
        Ok(None)
    }

    /// The connections that a proxy opens for packets of a cube, of the families that the container has.
    fn second_connection(
        &mut self,
        route: &Route<'_>,
        cube: &Cube,
        budget: &mut Budget,
    ) -> Result<Option<(Bench, Found)>, Spent> {
        for family in route.dialled.families() {
            let Some(cube) = paths::second_connection(self.policy, route.dialled, cube, family) else { continue };
            if let (bench, Some(found)) = self.along(route, family, Hook::Output, &cube, budget)? {
                return Ok(Some((bench, found)));
            }
        }
        Ok(None)
    }

    /// What a hook's filter chains do otherwise than a route claims.
    fn along(
        &mut self,
        route: &Route<'_>,
        family: Family,
        hook: Hook,
        cube: &Cube,
        budget: &mut Budget,
    ) -> Result<(Bench, Option<Found>), Spent> {
        let bench = Bench { family, table: (TableFamily::Inet, TableKind::Filter), hook, world: World::Plain };
        let (claim, platform, every_service) = (route.claim, route.platform, route.every_service);
        let question =
            Question { claim, platform, every_service, accept_is_final: false, own_ports: route.own_ports.as_ref() };
        Ok((bench, self.court.search(&question, &bench, cube, budget)?))
    }

    /// What an allow speaks of has to be let through on its way to a proxy of the platform, too, and so has what the proxy opens for it.
    fn carried_on(
        &mut self,
        query: &Query<'_>,
        rule: &Judgement,
        location: Location,
        budget: &mut Budget,
        tally: &mut Tally,
    ) -> Result<(), Spent> {
        if query.flow.to != Class::Container || rule.to.view == Some(View::Direct) {
            return Ok(());
        }
        let (from, family) = (query.flow.from, query.family);
        let ways = paths::proxied(query);
        for dialled in paths::taken_in(self.policy, rule, family) {
            let cubes = self.taken_by_a_proxy(rule, &dialled, family, location, budget)?;
            for way in &ways {
                let platform = PlatformVerdict::Open(&way.platform.title);
                let every_service = from != Class::Host && *rule.traffic == [Traffic::ALL];
                let (claim, hooks, dialled) = (Claim::Allow, paths::hooks(from), &dialled);
                let route =
                    Route { claim, platform: &platform, family, every_service, own_ports: None, hooks, dialled };
                for cube in &cubes {
                    let universe = &self.court.space(family).universe;
                    let Some(cube) = paths::first_packets(way, from, cube, universe) else { continue };
                    let stopped = self.stopped_along(&route, way.platform, cube, budget)?;
                    let Some((bench, mut found, path)) = stopped else { continue };
                    found.rests_on(way.facts.is_empty() && dialled.known);
                    let (flow, facts, if_published) = (query.flow, way.facts.clone(), !dialled.known);
                    tally.keep(Finding { flow, bench, platform: platform.clone(), found, path, if_published, facts });
                    if tally.is_settled() {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// The packets of a rule to containers that a proxy takes in, where they first pass a hook.
    fn taken_by_a_proxy(
        &mut self,
        rule: &Judgement,
        dialled: &Dialled,
        family: Family,
        location: Location,
        budget: &mut Budget,
    ) -> Result<Vec<Cube>, Spent> {
        let (flow, rule) = paths::to_the_proxy(rule, dialled, family);
        let first = paths::hooks(flow.from).first().copied().unwrap_or(Hook::Input);
        let ruleset = region::lowered(&mut self.bare, self.policy, self.target, flow, &[rule]);
        self.region(&ruleset, first, family, location, budget)
    }

    /// Packets that are stopped at one of the hooks before a proxy, or whose second connection is.
    fn stopped_along(
        &mut self,
        route: &Route<'_>,
        platform: &'static Platform,
        mut cube: Cube,
        budget: &mut Budget,
    ) -> Result<Option<(Bench, Found, Path)>, Spent> {
        let title = &platform.title;
        for &hook in route.hooks {
            if let (bench, Some(found)) = self.along(route, route.family, hook, &cube, budget)? {
                let by_loopback = route.hooks.contains(&Hook::Output);
                let path = if by_loopback { Path::Loopback(title) } else { Path::Proxy(title) };
                return Ok(Some((bench, found, path)));
            }
            if hook == Hook::Output {
                cube = paths::looped(&cube);
            }
        }
        let stopped = self.second_connection(route, &cube, budget)?;
        Ok(stopped.map(|(bench, found)| (bench, found, Path::SecondConnection(title))))
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
        budget: &mut Budget,
        tally: &mut Tally,
    ) -> Result<(), Spent> {
        let tables = ruleset.tables.iter().enumerate();
        let tables = tables.filter(|(_, table)| table.kind != TableKind::Nat && covers(table.family, family));
        for (number, table) in tables {
            for chain in &table.chains {
                let Some(base) = chain.base else { continue };
                let worlds = self.worlds(flow, base.hook);
                let space = self.court.space(family);
                let found = region::cubes(ruleset, number, &chain.name, base.hook, worlds, location, space, budget)?;
                for (world, cube) in found {
                    let Some(cube) = region::that_can_be(base.hook, world, cube, &self.court.space(family).universe)
                    else {
                        continue;
                    };
                    let bench = Bench { family, table: (table.family, table.kind), hook: base.hook, world };
                    self.cubes(claim, flow, judgements, bench, cube, budget, tally)?;
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
        budget: &mut Budget,
        tally: &mut Tally,
    ) -> Result<(), Spent> {
        let Some(first) = judgements.first() else { return Ok(()) };
        let query = Query { policy: self.policy, flow, rule: Some(first), family: bench.family };
        let reached = match (bench.hook, bench.world) {
            (Hook::Input, _) => Reached::Socket,
            (_, World::Translated | World::TranslatedAnswer) => Reached::Translated,
            (_, World::Plain | World::Answer) => Reached::Own,
        };
        // What FORWARD's policy drops counts for an allow; a deny does not rest on it where a platform's own rules may accept.
        let has_containers = flow.from == Class::Container || flow.to == Class::Container;
        let routed = bench.hook == Hook::Forward && (claim == Claim::Allow || !has_containers);
        let policy = routed.then(|| traffic::forward_policy(&query)).flatten();
        let accept_is_final = policy.is_some();
        let platform = policy.unwrap_or_else(|| traffic::verdict(&query, reached));
        let every_service = *first.traffic == [Traffic::ALL];
        for cube in self.translations(flow, &bench, cube) {
            tally.any = true;
            let question = Question { claim, platform: &platform, every_service, accept_is_final, own_ports: None };
            let found = self.court.search(&question, &bench, &cube, budget)?;
            let (bench, platform, mut found, path) = match found {
                Some(found) => (bench, platform.clone(), found, Path::Words),
                None if claim == Claim::Allow => {
                    let Some((bench, platform, found)) = self.reply(flow, &bench, &cube, budget)? else { continue };
                    (bench, platform, found, Path::Reply)
                }
                None => continue,
            };
            let if_published = self.is_guess(flow, &bench, &found);
            found.rests_on(!if_published);
            tally.keep(Finding { flow, bench, platform, found, path, if_published, facts: Vec::new() });
            if tally.is_settled() {
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

    fn worlds(&self, flow: Flow, hook: Hook) -> &'static [World] {
        let nat = |wanted: fn(&Nat) -> bool| self.policy.nat.iter().any(wanted);
        let translated = match hook {
            Hook::Input => nat(|nat| matches!(nat, Nat::Redirect { .. })),
            Hook::Output => flow.to == Class::Container,
            // No platform translates what is sent to guests.
            Hook::Forward => {
                matches!(flow.to, Class::Container | Class::Instance) || nat(|nat| matches!(nat, Nat::Forward { .. }))
            }
            _ => false,
        };
        if translated { &[World::Plain, World::Translated] } else { &[World::Plain] }
    }

    /// The packets of a cube that can be, where facts list everything that is translated to containers.
    fn translations(&self, flow: Flow, bench: &Bench, cube: Cube) -> Vec<Cube> {
        let published = &self.policy.containers.published;
        let complete = traffic::lists_all(self.policy);
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
        Some(address) => cube.with(Field::ORIGINAL_DESTINATION, Values::single(address_number(address))),
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
