//! From the policy to the netfilter form: which hooks a flow passes, in which chains it is judged there, and which words see
//! there what the author meant. The chains lead into one another by `goto` alone, so that RETURN anywhere leaves the whole
//! program: an allow beside Docker says so and lets Docker decide the rest. Knows nothing of output syntax.

mod change;
mod condition;
mod dispatch;
mod gate;
mod nat;
mod own_address;
mod proxy;
pub mod summary;

use std::sync::Arc;

use rustc_hash::FxHashMap;

use thin_vec::thin_vec;

use crate::diagnostic::Diagnostic;
use crate::list::make_room;
use crate::net::{Card, Family, Protocol};
use crate::netfilter::Target;
use crate::netfilter::{
    Base, Chain, Effect, Hook, Limit, Match, MatchKind, Owner, Reject, Rule, Ruleset, Set, SetField, State, Table,
    TableFamily, TableKind, Verdict,
};
use crate::netfilter::{entry, words};
use crate::policy::{Action, CardSet, Class, Early, Flow, Gate, Judgement, Party, Policy, Rank, who};
use crate::span::Location;

pub use condition::{Conjunction, HostLeg, Seat, dialled};
pub use dispatch::ACCEPTED;
pub use gate::chains_of;
pub(crate) use own_address::{at_own_addresses, own_addresses, own_ports};

/// Every code that this stage gives.
pub static CODES: &[&crate::diagnostic::Code] = &[
    &gate::GUEST_ROAD_UNSEEN,
    &gate::GATE_WITHOUT_ADDRESS,
    &dispatch::REJECT_IN_MANGLE,
    &change::MARK_AFTER_ROUTING,
    &change::MARK_ON_LOCAL_NETWORKS,
    &proxy::OWN_ADDRESS_LEFT_OPEN,
    &proxy::OWN_ADDRESS_CANNOT_CLOSE,
    &own_address::NEIGHBOURS_LEFT_OPEN,
];

pub use crate::netfilter::{CONSENT_MARK, MASQUERADE_MARK, RESERVED_MARKS};

/// Classes on this machine, in the order in which their cards are asked for.
const LOCAL: [Class; 3] = [Class::Container, Class::Instance, Class::Guest];

/// The chain that tells the bridges of platforms that the policy does not use.
const BRIDGE_SERVICES: &str = "fwc-bridge-services";

/// How many log lines of one statement may come at once.
const LOG_BURST: u32 = 5;

/// Lowers a policy for a back end. Diagnostics say where the back end cannot do what the policy says.
#[must_use]
pub fn lower(policy: &Policy, target: Target) -> (Ruleset, Vec<Diagnostic>) {
    let mut program = Program::new(policy, target);
    program.unseen_gates();
    program.note_own_addresses();
    program.note_neighbours();
    program.build()
}

/// Lowers a policy of one sentence, for what it means: at every place where its packets may be met, whatever else has to pass there.
#[must_use]
pub fn lower_sentence(policy: &Policy, target: Target) -> Ruleset {
    Program { sentence: true, ..Program::new(policy, target) }.build().0
}

/// The program under construction.
struct Program<'p> {
    policy: &'p Policy,
    target: Target,
    ruleset: Ruleset,
    out: Vec<Diagnostic>,
    /// The chains of limits, by statement, table and what tells seats apart.
    limits: FxHashMap<(u32, TableKind, &'static str), Arc<str>>,
    /// The policy is one sentence, which is lowered for what it means.
    sentence: bool,
}

impl<'p> Program<'p> {
    fn new(policy: &'p Policy, target: Target) -> Self {
        Self {
            policy,
            target,
            ruleset: Ruleset::default(),
            out: Vec::new(),
            limits: FxHashMap::default(),
            sentence: false,
        }
    }

    fn build(mut self) -> (Ruleset, Vec<Diagnostic>) {
        self.live_sets();
        self.early();
        self.input();
        self.output();
        self.forward();
        self.bridge();
        self.changes();
        self.nat();
        self.finish()
    }

    fn finish(mut self) -> (Ruleset, Vec<Diagnostic>) {
        self.raw_chains();
        self.attach();
        for table in &mut self.ruleset.tables {
            let compared = match (table.family, self.target) {
                (TableFamily::Bridge, _) => by_port,
                // nft's inet tables see no ports; what the bridge table lets through comes here by the bridge, or a tap is routed.
                (_, Target::Nft) => by_interface,
                (_, Target::Iptables) => continue,
            };
            table.chains.iter_mut().flat_map(|chain| &mut chain.rules).for_each(compared);
        }
        self.ruleset.tables.sort_by_key(|table| (table.family, table.kind));
        (self.ruleset, self.out)
    }

    fn governed(&self, from: Class, to: Class) -> bool {
        self.policy.governs(Flow { from, to })
    }

    /// How a flow's chain is entered. What has only log lines goes on as if it were not there.
    fn enter(&self, flow: Flow, chain: &str) -> Verdict {
        if self.policy.only_logs(flow) { Verdict::Jump(Arc::from(chain)) } else { dispatch::goto(chain) }
    }

    fn table(&mut self, kind: TableKind) -> &mut Table {
        self.ruleset.table_mut(TableFamily::Inet, kind)
    }

    /// Adds a plain chain of ours.
    fn chain(&mut self, family: TableFamily, kind: TableKind, name: &str, rules: Vec<Rule>) {
        let chain = Chain { name: Arc::from(name), owner: Owner::Fwc, base: None, rules };
        self.ruleset.table_mut(family, kind).chains.push(chain);
    }

    /// Adds a chain that packets enter from a hook.
    fn entry(&mut self, family: TableFamily, kind: TableKind, hook: Hook, name: &str, rules: Vec<Rule>) {
        let base = match family {
            // Bridge filters stand at -200 by custom; ours come before them.
            TableFamily::Bridge => Base { kind, hook, priority: -205, accept: true },
            _ => entry::base(kind, hook),
        };
        let base = Some(base);
        let chain = Chain { name: Arc::from(name), owner: Owner::Fwc, base, rules };
        self.ruleset.table_mut(family, kind).chains.push(chain);
    }

    /// The cards of a class on this machine.
    fn cards(&self, class: Class) -> &'p [Card] {
        match class {
            Class::Container => &self.policy.cards.container,
            Class::Instance => &self.policy.cards.instance,
            Class::Guest => &self.policy.cards.guest,
            Class::Outside | Class::Host => &[],
        }
    }

    /// The matches that tell a class of this machine by its cards: without those that the policy calls outside, though a
    /// platform's pattern takes them (`br-lan` beside `br-+`). Empty where it has no cards.
    fn told_by(&self, class: Class, kind: fn(Arc<[Card]>) -> MatchKind) -> Vec<Match> {
        let cards = self.cards(class);
        if cards.is_empty() {
            return Vec::new();
        }
        let outside = self.policy.cards.outside.iter();
        let outside: Vec<Card> =
            outside.filter(|one| cards.iter().any(|card| card.covers(one) || one.covers(card))).cloned().collect();
        let mut matches = vec![Match::is(kind(cards.into()))];
        if !outside.is_empty() {
            matches.push(Match::not(kind(outside.into())));
        }
        matches
    }

    /// The matches that tell everybody outside by card: alternatives.
    fn told_outside(&self, kind: fn(Arc<[Card]>) -> MatchKind) -> Vec<Vec<Match>> {
        let local: Vec<Card> = LOCAL.into_iter().flat_map(|class| self.cards(class).iter().cloned()).collect();
        if local.is_empty() {
            return vec![Vec::new()];
        }
        let outside = Some(&self.policy.cards.outside).filter(|cards| !cards.is_empty());
        let named = outside.map(|cards| vec![Match::is(kind(cards.as_slice().into()))]);
        std::iter::once(vec![Match::not(kind(local.into()))]).chain(named).collect()
    }

    /// The matches that tell one end of a translation or change by card: alternatives. Those have no entry chain that has told the
    /// classes apart. `beside` are the same end of the other judgements of the statement: where it speaks of everyone, nobody has
    /// to be told from anybody.
    fn told_end<'a>(
        &self,
        judgement: &Judgement,
        party: &Party,
        beside: impl Iterator<Item = &'a Party>,
        kind: fn(Arc<[Card]>) -> MatchKind,
    ) -> Vec<Vec<Match>> {
        if party.cards.is_some() || party.class == Class::Host {
            return vec![Vec::new()];
        }
        if party.class != Class::Outside {
            return vec![self.told_by(party.class, kind)];
        }
        let narrow = party.addresses.is_some() || party.live.is_some() || !party.macs.is_empty();
        let whole: Vec<Class> = beside.filter_map(|party| party.is_whole_class().then_some(party.class)).collect();
        let everyone = LOCAL.iter().all(|class| self.cards(*class).is_empty() || whole.contains(class));
        if narrow || everyone || judgement.via.is_some() {
            return vec![Vec::new()];
        }
        self.told_outside(kind)
    }

    /// Sets that others fill: one a family, in every table that may ask for them.
    fn live_sets(&mut self) {
        for live in &self.policy.live_sets {
            for family in Family::BOTH {
                let set = Set {
                    name: entry::live_set(&live.name, family),
                    family: Some(family),
                    fields: vec![SetField::Source],
                    elements: Vec::new(),
                    live: true,
                };
                self.table(TableKind::Filter).sets.push(set);
            }
        }
    }

    /// Denies before tracking. They speak of what comes from outside: the host's own loopback, and what its containers, instances
    /// and guests send, may well have addresses that nobody outside should have.
    fn early(&mut self) {
        let mut rules = Vec::new();
        let by_card = |early: &Early| {
            let named = |cards: &Option<Arc<CardSet>>| cards.as_ref().is_some_and(|cards| !cards.complement);
            named(&early.judgement.via) || named(&early.judgement.from.cards)
        };
        if !self.policy.early.iter().all(by_card) {
            let leave = |matches| Rule { matches, verdict: Some(Verdict::Return), ..Rule::default() };
            rules.push(leave(vec![Match::is(MatchKind::InInterface([Card::exact("lo")].into()))]));
            for class in LOCAL {
                rules.extend(self.arrives_from(class).into_iter().map(leave));
            }
            rules.dedup();
        }
        for early in &self.policy.early {
            let seat = Seat::new(Hook::Prerouting, TableKind::Raw, Flow { from: Class::Outside, to: Class::Host });
            rules.extend(self.judge(&early.judgement, &seat));
        }
        if !rules.is_empty() {
            self.entry(TableFamily::Inet, TableKind::Raw, Hook::Prerouting, "fwc-raw-prerouting", rules);
        }
    }

    /// The rules of a flow's chain at a seat: established and invalid, the prelude, the policy's own, the end.
    fn flow_rules(&mut self, flow: Flow, seat: &Seat) -> Vec<Rule> {
        let policy = self.policy;
        let mut rules = Vec::new();
        if policy.only_logs(flow) {
            let logs = policy.flows.get(&flow).into_iter().flatten().filter(|log| seat.covers(log));
            rules.extend(logs.flat_map(|log| self.judge(log, seat)));
            return of_families(rules, seat);
        }
        let left = self.leave_other_interfaces(flow, seat);
        if left.is_some() && seat.hook == Hook::Forward && !seat.bridged && self.carries_replies(flow) {
            rules.push(reply(seat.allow.clone()));
        }
        rules.extend(left);
        let mut invalid_due = has_part(policy, "invalid");
        let (mut rules_done, mut proxy_due) = (false, seat.leg == Some(HostLeg::OwnAddress));
        if has_part(policy, "established") {
            rules.push(state(State::ESTABLISHED | State::RELATED, seat.allow.clone()));
        }
        let list = policy.flows.get(&flow).map(Vec::as_slice).unwrap_or_default();
        for (done, judgement) in list.iter().enumerate() {
            make_room(&mut rules, done, list.len() - done);
            let prelude_before_invalid = judgement.rank == Rank::Prelude && judgement.statement <= policy.invalid_after;
            if invalid_due && !prelude_before_invalid {
                rules.push(state(State::INVALID, Verdict::Drop));
                invalid_due = false;
            }
            if judgement.rank >= Rank::Default && !rules_done {
                rules.extend(self.allowed_by_gates(flow, seat));
                rules_done = true;
            }
            if judgement.rank == Rank::Prelude && judgement.from.cards.is_some() {
                rules.extend(self.bridge_services(judgement, seat));
                continue;
            }
            if !self.covers(judgement, seat) {
                continue;
            }
            if judgement.rank == Rank::End && seat.leg == Some(HostLeg::Published) {
                rules.extend(proxy::loopback_addresses());
            }
            let own = self.judge(judgement, seat);
            if judgement.action.stops() && std::mem::take(&mut proxy_due) {
                rules.extend(self.proxy_connections(seat));
            }
            rules.extend(own);
        }
        if invalid_due {
            rules.push(state(State::INVALID, Verdict::Drop));
        }
        of_families(rules, seat)
    }

    /// Where nothing closes a flow and everything that decides in it names its interfaces with `via`, the other interfaces are left
    /// to the platform: what crosses there never gets as far as the prelude, only to the lines that log it.
    fn leave_other_interfaces(&mut self, flow: Flow, seat: &Seat) -> Option<Rule> {
        let policy = self.policy;
        let own = || policy.flows.get(&flow).into_iter().flatten().filter(|judgement| judgement.rank > Rank::Prelude);
        let mut all: Option<CardSet> = None;
        for judgement in own().filter(|judgement| judgement.action != Action::Log) {
            let via = CardSet::clone(judgement.via.as_ref()?);
            all = Some(match all {
                Some(before) => who::unite(before, via),
                None => via,
            });
        }
        let cards = all.filter(|cards| !cards.complement && !cards.cards.is_empty())?;
        let kind = match (flow.from == Class::Outside, seat.hook) {
            (true, Hook::Input | Hook::Forward) => MatchKind::InInterface(cards.cards),
            (false, Hook::Output | Hook::Forward) => MatchKind::OutInterface(cards.cards),
            _ => return None,
        };
        let logs: Vec<Rule> = own()
            .filter(|judgement| judgement.action == Action::Log && seat.covers(judgement))
            .flat_map(|judgement| self.judge(judgement, seat))
            .collect();
        let verdict = if logs.is_empty() {
            Verdict::Return
        } else {
            let chain = format!("{}-l{}", dispatch::chain_name(flow), seat.suffix());
            self.chain(seat.family, seat.table, &chain, logs);
            dispatch::goto(&chain)
        };
        Some(Rule { matches: vec![Match::not(kind)], verdict: Some(verdict), ..Rule::default() })
    }

    /// What the prelude lets in from bridges of platforms that are not used. Their names are compared in a chain of their own: they
    /// are many, and iptables takes one in a rule.
    fn bridge_services(&mut self, judgement: &Judgement, seat: &Seat) -> Vec<Rule> {
        let allow = Judgement { from: Party::of(judgement.from.class), ..judgement.clone() };
        let mut rules = self.judge(&allow, seat);
        for rule in &mut rules {
            rule.verdict = Some(Verdict::Jump(Arc::from(BRIDGE_SERVICES)));
        }
        let arrives =
            |party: &Party| party.cards.as_ref().map(|set| Match::is(MatchKind::InInterface(set.cards.clone())));
        let rule = |found: Option<Match>, verdict: Verdict| Rule {
            matches: found.into_iter().collect(),
            verdict: Some(verdict),
            origin: Some(judgement.location),
            ..Rule::default()
        };
        let others = judgement.from.except.iter().map(|other| rule(arrives(other), Verdict::Return));
        let bridges = rule(arrives(&judgement.from), seat.allow.clone());
        let own = others.chain([bridges]).collect();
        self.chain(seat.family, seat.table, BRIDGE_SERVICES, own);
        rules
    }

    /// What a rule of a guest's or instance's own block has allowed: defaults come after all rules. Whatever comes this far towards
    /// one with a block its `in` lines have allowed; what comes from one its `out` lines may merely not have denied, so that those
    /// that allow are asked once more.
    fn allowed_by_gates(&mut self, flow: Flow, seat: &Seat) -> Vec<Rule> {
        let policy = self.policy;
        let mut rules = self.let_in_by_gates(flow, seat);
        // A tap's `out` lines are asked where its frames are seen: on the bridge, and with iptables on INPUT.
        let asked = |gate: &&Gate| {
            let tap = gate::is_on_tap(gate);
            !tap || seat.bridged || seat.hook == Hook::Input && self.target == Target::Iptables
        };
        let asked: Vec<&Gate> =
            policy.gates.iter().filter(|gate| who::class_of(gate.kind) == flow.from).filter(asked).collect();
        for gate in asked {
            for allow in gate::out_allows(policy, gate, flow.to) {
                rules.extend(self.out_allow(gate, allow, seat));
            }
        }
        rules
    }

    /// Guests and instances whose own `in` lines have allowed what comes this far.
    fn let_in_by_gates(&self, flow: Flow, seat: &Seat) -> Vec<Rule> {
        let mut rules = Vec::new();
        for gate in self.policy.gates.iter().filter(|gate| who::class_of(gate.kind) == flow.to) {
            for (family, matches) in gate::towards(gate, seat.bridged) {
                let verdict = Some(seat.allow.clone());
                rules.push(Rule { family, matches, verdict, origin: Some(gate.location), ..Rule::default() });
            }
        }
        rules
    }

    /// An allow of an `out` line once more, for the guest whose block has it. Its limit has counted in the guest's own chain.
    fn out_allow(&mut self, gate: &Gate, allow: &Judgement, seat: &Seat) -> Vec<Rule> {
        let options = crate::policy::Options { limit: None, log: None, ..(*allow.options).clone() };
        let allow = Judgement { options: Arc::new(options), ..allow.clone() };
        let own = self.judge(&allow, seat);
        let mut rules = Vec::new();
        for (family, matches) in gate::from(gate) {
            for rule in own.iter().filter(|rule| family.is_none() || rule.family.is_none() || rule.family == family) {
                let matches = matches.iter().chain(&rule.matches).cloned().collect();
                rules.push(Rule { family: rule.family.or(family), matches, ..rule.clone() });
            }
        }
        rules
    }

    /// Whether a judgement has a say at a seat.
    fn covers(&self, judgement: &Judgement, seat: &Seat) -> bool {
        match seat.leg {
            Some(HostLeg::OwnAddress) => self.covers_own_address(judgement),
            _ => seat.covers(judgement),
        }
    }

    fn proxy_is_off(&self) -> bool {
        self.policy.facts.docker.as_ref().and_then(|docker| docker.userland_proxy) == Some(false)
    }

    /// The rules of one judgement at a seat.
    fn judge(&mut self, judgement: &Judgement, seat: &Seat) -> Vec<Rule> {
        let conjunctions = condition::of(self.policy, judgement, seat);
        let mut rules = Vec::with_capacity(conjunctions.len());
        if conjunctions.is_empty() {
            return rules;
        }
        let verdict = self.verdict(judgement.action, seat);
        let options = &judgement.options;
        let log = options.log.clone().or_else(|| {
            (judgement.action == Action::Log).then(|| crate::policy::Log {
                prefix: Arc::from("fwc "),
                level: 6,
                rate: (10, 60),
            })
        });
        for conjunction in conjunctions {
            let base = Rule {
                family: conjunction.family,
                matches: conjunction.matches,
                comment: options.comment.clone(),
                origin: Some(judgement.location),
                ..Rule::default()
            };
            if let Some(limit) = options.limit.as_ref().filter(|_| judgement.action == Action::Allow) {
                let chain = self.limit_chain(judgement, limit, log.as_ref(), seat);
                if seat.counts_with_others() {
                    rules.push(Rule { verdict: Some(Verdict::Jump(chain)), ..base.clone() });
                    rules.push(Rule { verdict: verdict.clone(), ..base });
                    continue;
                }
                rules.push(Rule { verdict: Some(Verdict::Goto(chain)), ..base });
                continue;
            }
            if let Some(log) = &log {
                rules.push(log_rule(base.clone(), log, judgement.statement));
            }
            if let Some(verdict) = &verdict {
                rules.extend(by_protocol(Rule { verdict: Some(verdict.clone()), ..base }));
            }
        }
        rules
    }

    fn verdict(&self, action: Action, seat: &Seat) -> Option<Verdict> {
        match action {
            Action::Allow => Some(seat.allow.clone()),
            Action::Deny => Some(Verdict::Drop),
            Action::Reject(kind) if seat.can_reject() => Some(Verdict::Reject(kind)),
            Action::Reject(_) => Some(Verdict::Drop),
            Action::Log => None,
        }
    }

    /// The chain that holds a statement's limit, made where first needed: within it allow, beyond it deny. Every alternative of
    /// the statement goes there, so that they share one state. A chain of several hooks returns what is within: an allow is not the
    /// same at each.
    fn limit_chain(
        &mut self,
        judgement: &Judgement,
        limit: &crate::policy::Limit,
        log: Option<&crate::policy::Log>,
        seat: &Seat,
    ) -> Arc<str> {
        let key = (judgement.statement, seat.table, seat.suffix());
        if let Some(name) = self.limits.get(&key) {
            return name.clone();
        }
        let number = judgement.statement;
        let name: Arc<str> = Arc::from(format!("fwc-limit-{number}{}", seat.suffix()));
        self.limits.insert(key, name.clone());
        let within = if seat.counts_with_others() { Verdict::Return } else { seat.allow.clone() };
        let mut rules = Vec::new();
        let origin = Some(judgement.location);
        let state_name: Arc<str> = Arc::from(format!("fwc-{number}{}", seat.suffix()));
        match limit.seconds {
            Some(seconds) => {
                let families: &[Option<Family>] =
                    if limit.per_source { &[Some(Family::Ipv4), Some(Family::Ipv6)] } else { &[None] };
                for &family in families {
                    let source_prefix = family.map(|family| if family == Family::Ipv4 { 32 } else { 64 });
                    let kind = MatchKind::Limit(Box::new(Limit {
                        count: limit.count,
                        seconds,
                        burst: limit.burst,
                        source_prefix,
                        name: state_name.clone(),
                    }));
                    let base = Rule { family, matches: vec![Match::is(kind)], origin, ..Rule::default() };
                    rules.push(Rule { verdict: Some(within.clone()), ..base });
                }
            }
            None => {
                let beyond = match log {
                    Some(log) => {
                        let over = format!("fwc-over-{number}{}", seat.suffix());
                        let last = Rule { verdict: Some(Verdict::Drop), origin, ..Rule::default() };
                        let line = log_rule(Rule { origin, ..Rule::default() }, log, number);
                        self.chain(seat.family, seat.table, &over, vec![line, last]);
                        Verdict::Goto(Arc::from(over))
                    }
                    None => Verdict::Drop,
                };
                for family in Family::BOTH {
                    let whole = if family == Family::Ipv4 { 32 } else { 64 };
                    let source_prefix = if limit.per_source { whole } else { 0 };
                    let kind =
                        MatchKind::ConnectionsAbove { count: limit.count, source_prefix, name: state_name.clone() };
                    let matches = vec![Match::is(kind)];
                    rules.push(Rule {
                        family: Some(family),
                        matches,
                        verdict: Some(beyond.clone()),
                        origin,
                        ..Rule::default()
                    });
                }
                rules.push(Rule { verdict: Some(within), origin, ..Rule::default() });
            }
        }
        if limit.seconds.is_some() {
            if let Some(log) = log {
                rules.push(log_rule(Rule { origin, ..Rule::default() }, log, number));
            }
            rules.push(Rule { verdict: Some(Verdict::Drop), origin, ..Rule::default() });
        }
        self.chain(seat.family, seat.table, &name, rules);
        name
    }

    /// `chain` blocks: each lands in a chain of ours, called from ours at that hook before everything else.
    fn raw_chains(&mut self) {
        for (number, raw) in self.policy.raw.iter().enumerate() {
            let Some((kind, hook)) = entry::place(&raw.table, &raw.hook) else { continue };
            let name = format!("fwc-chain-{}", number + 1);
            let target = self.target;
            let rules = raw.lines.iter().map(|(line, location)| raw_rule(line, *location, target)).collect();
            self.chain(TableFamily::Inet, kind, &name, rules);
            let call =
                Rule { verdict: Some(Verdict::Jump(Arc::from(&*name))), origin: Some(raw.location), ..Rule::default() };
            let table = self.table(kind);
            let entry = table.chains.iter_mut().find(|chain| chain.base.is_some_and(|base| base.hook == hook));
            match entry {
                Some(chain) => chain.rules.insert(0, call),
                None => {
                    let name = entry::entry_chain(kind, hook);
                    self.entry(TableFamily::Inet, kind, hook, &name, vec![call]);
                }
            }
        }
    }
}

/// Leaves of a program only the chains of some guests, instances and groups, and the limits that these rest on. The rest of the
/// program is taken to be loaded.
pub fn keep(ruleset: &mut Ruleset, policy: &Policy, names: &[String]) {
    let wanted: Vec<String> = names.iter().flat_map(|name| gate::chains_of(policy, name)).collect();
    for table in &mut ruleset.tables {
        let is_wanted = |chain: &Chain| wanted.iter().any(|name| **name == *chain.name);
        let targets = |chain: &Chain| -> Vec<Arc<str>> {
            let verdicts = chain.rules.iter().filter_map(|rule| rule.verdict.as_ref());
            let gotos = verdicts
                .filter_map(|verdict| if let Verdict::Goto(name) = verdict { Some(name.clone()) } else { None });
            gotos.collect()
        };
        let limits: Vec<Arc<str>> = table.chains.iter().filter(|chain| is_wanted(chain)).flat_map(targets).collect();
        table.chains.retain(|chain| is_wanted(chain) || limits.contains(&chain.name));
        table.sets.retain(|set| set.live);
    }
    ruleset.tables.retain(|table| !table.chains.is_empty());
    ruleset.attachments.clear();
}

/// The rules of a seat that only one family comes to: the other family's file has the chain, too, but nothing leads there.
fn of_families(mut rules: Vec<Rule>, seat: &Seat) -> Vec<Rule> {
    if let [only] = seat.families.as_slice() {
        for rule in &mut rules {
            rule.family.get_or_insert(*only);
        }
    }
    rules
}

/// A frame's interfaces are the ports of its bridge: so a bridge table compares them.
fn by_port(rule: &mut Rule) {
    for item in &mut rule.matches {
        item.kind = match std::mem::replace(&mut item.kind, MatchKind::Bridged) {
            MatchKind::InInterface(list) => MatchKind::InPort(list),
            MatchKind::OutInterface(list) => MatchKind::OutPort(list),
            other => other,
        };
    }
}

/// A tap that is no port of a bridge is an interface.
fn by_interface(rule: &mut Rule) {
    for item in &mut rule.matches {
        item.kind = match std::mem::replace(&mut item.kind, MatchKind::Bridged) {
            MatchKind::InPort(list) => MatchKind::InInterface(list),
            MatchKind::OutPort(list) => MatchKind::OutInterface(list),
            other => other,
        };
    }
}

fn has_part(policy: &Policy, part: &str) -> bool {
    policy.prelude.iter().any(|wanted| wanted == part)
}

fn state(states: u8, verdict: Verdict) -> Rule {
    Rule { matches: vec![Match::is(MatchKind::State(states))], verdict: Some(verdict), ..Rule::default() }
}

/// Replies in a connection that was let through, and errors about it: nothing here opens one.
fn reply(verdict: Verdict) -> Rule {
    let mut rule = state(State::ESTABLISHED | State::RELATED, verdict);
    rule.matches.push(Match::not(MatchKind::DirectionOriginal));
    rule
}

/// A log line in front of the rule it speaks of, limited by itself so that it never changes what is decided.
fn log_rule(mut base: Rule, log: &crate::policy::Log, statement: u32) -> Rule {
    let (count, seconds) = log.rate;
    base.matches.push(Match::is(MatchKind::Limit(Box::new(Limit {
        count,
        seconds,
        // At less than five a day, the kernel cannot count five at once.
        burst: if seconds == 86_400 { LOG_BURST.min(count) } else { LOG_BURST },
        source_prefix: None,
        name: Arc::from(format!("fwc-log-{statement}")),
    }))));
    base.effects = thin_vec![Effect::Log { prefix: log.prefix.clone(), level: log.level }];
    base.verdict = None;
    base
}

/// `reject with tcp-reset` is for TCP; other protocols get the answer that they understand. A rule for both becomes two.
fn by_protocol(rule: Rule) -> Vec<Rule> {
    if rule.verdict != Some(Verdict::Reject(Reject::TcpReset)) {
        return vec![rule];
    }
    let others = Some(Verdict::Reject(Reject::PortUnreachable));
    let protocols = rule.matches.iter().find_map(|one| match &one.kind {
        MatchKind::Protocol(list) if !one.negated => Some(&**list),
        _ => None,
    });
    match protocols {
        Some([Protocol::TCP]) => vec![rule],
        Some(list) if !list.contains(&Protocol::TCP) => vec![Rule { verdict: others, ..rule }],
        _ => {
            let mut reset = rule.clone();
            match reset.matches.iter_mut().find(|one| matches!(one.kind, MatchKind::Protocol(_))) {
                Some(one) => one.kind = MatchKind::protocol(Protocol::TCP),
                None => reset.matches.push(Match::is(MatchKind::protocol(Protocol::TCP))),
            }
            let mut rest = Rule { verdict: others, ..rule };
            for one in &mut rest.matches {
                if let MatchKind::Protocol(list) = &mut one.kind {
                    let others = list.iter().copied().filter(|protocol| *protocol != Protocol::TCP);
                    *list = others.collect::<Vec<Protocol>>().into();
                }
            }
            vec![reset, rest]
        }
    }
}

/// A line of netfilter's own words. The families that its words name, if it names any, are the rule's; nft's words say theirs
/// themselves.
fn raw_rule(line: &str, location: Location, target: Target) -> Rule {
    let family = match (target, words::families(line).as_slice()) {
        (Target::Iptables, [family]) => Some(*family),
        _ => None,
    };
    Rule {
        family,
        matches: vec![Match::is(MatchKind::Unknown(Arc::from(line)))],
        origin: Some(location),
        ..Rule::default()
    }
}
