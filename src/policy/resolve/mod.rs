//! From trees to the policy: scopes and groups unfolded, names resolved, each statement split over the flows that it judges.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::diagnostic::Diagnostic;
use crate::library;
use crate::list::make_room;
use crate::names::closest as nearest;
use crate::names::{reject, syslog};
use crate::net::{AddressRange, AddressSet, Card, Family, PortSet};
use crate::netfilter::Reject;
use crate::netfilter::words::quotable;
use crate::platform::Platform;
use crate::policy::host::{
    classes, containers, declared_facts, gather_facts, guest_addresses, known_cards, local_cards, name_facts,
    platforms, spoken_classes,
};
use crate::policy::names::{Names, TOO_MANY_RULES, at, find, too_deep};
use crate::policy::order::finish_flows;
use crate::policy::who::{Parties, Places, Role};
use crate::policy::{
    Action, Assertion, CardSet, Class, Early, Flow, Judgement, Limit, LiveSet, Log, Options, Party, Policy, Rank,
    RawChain, Special, Traffic, TrafficList, service,
};
use crate::project::Project;
use crate::span::{FileId, Location, Spanned};
use crate::syntax::tree::{
    self, Clauses, LimitAmount, Name, RateUnit, Rule, RuleOption, Sentence, SetValue, Statement, StatementKind, Who,
};
use faults::*;

mod change;
pub mod faults;
mod gate;
mod nat;

/// The prelude's parts that connection states stand for; the rest is written in the language.
const STATE_PARTS: [&str; 3] = ["loopback", "established", "invalid"];

/// The prelude's part that depends on what the policy names.
const BRIDGE_SERVICES: &str = "bridge-services";

/// Rules that applied groups may come to.
const MOST_APPLIED: usize = 500_000;

/// What a statement inherits from the blocks around it.
#[derive(Clone, Copy, Default)]
struct Context<'a> {
    from: Option<(FileId, &'a Who)>,
    to: Option<(FileId, &'a Who)>,
    via: Option<(FileId, &'a [Name])>,
}

/// The parties and cards of a sentence.
struct Ends {
    from: Parties,
    to: Parties,
    via: Option<Arc<CardSet>>,
    from_said: bool,
    to_said: bool,
    /// What stands behind `to`.
    target: Option<Location>,
}

impl Ends {
    /// Which of the ends that a sentence lists crosses between outside and this machine with none of the others, where `via` names the
    /// interface. Where everyone is meant, those who cross are.
    fn part_without_crossing(&self) -> Option<String> {
        self.via.as_ref()?;
        let crosses = |one: &Party, other: &Party| (one.class == Class::Outside) != (other.class == Class::Outside);
        // What is sent to a group comes to this host as well, and is judged there.
        let is_group = |party: &Party| {
            party.addresses.as_ref().is_some_and(|set| set.iter().all(|range| AddressRange::is_group(&range)))
        };
        let stays = |one: &Party, others: &[Party]| !is_group(one) && !others.iter().any(|other| crosses(one, other));
        let from = self.from.iter().filter(|_| self.from_said && !is_everyone(&self.from));
        let to = self.to.iter().filter(|_| self.to_said && !is_everyone(&self.to));
        let (from, to) = (from.filter(|one| stays(one, &self.to)), to.filter(|one| stays(one, &self.from)));
        let named = from.map(|one| format!("from {}", one.class)).chain(to.map(|one| format!("to {}", one.class)));
        named.into_iter().next()
    }

    /// What is sent to a group or to everyone on a link comes to this host as well: such addresses are the host's, too.
    fn add_groups(&mut self) {
        let mut here = Vec::new();
        for party in self.to.iter().filter(|party| party.class == Class::Outside) {
            let listed = party.addresses.iter().flat_map(AddressSet::iter);
            let groups: Vec<AddressRange> = listed.filter(AddressRange::is_group).collect();
            if !groups.is_empty() {
                let at = Some(AddressSet::new(groups));
                let host = Party::special(Class::Host, Special { at, ..Special::default() });
                here.push(Party { cards: party.cards.clone(), ..host });
            }
        }
        self.to.extend(here);
    }
}

/// Whether `any` is meant, on some interface or not, but for some: the host and the world alike.
fn is_everyone(parties: &[Party]) -> bool {
    let narrowed_by = |party: &Party| {
        let mut party = Party { class: Class::Outside, ..party.clone() };
        party.except.clear();
        party
    };
    let of = |class: Class| parties.iter().filter(move |party| party.class == class).map(narrowed_by);
    of(Class::Host).any(|host| of(Class::Outside).any(|world| world == host))
}

/// Resolves a project to its policy. Faulty statements are reported and left out; every other one is resolved.
#[must_use]
pub fn resolve(project: &Project) -> (Policy, Vec<Diagnostic>) {
    let mut out = Vec::new();
    let names = Names::collect(project, &mut out);
    let mut facts = gather_facts(project, &mut out);
    declared_facts(project, &names, &mut facts, &mut out);
    let spoken = spoken_classes(&names);
    let platforms = platforms(&names, &spoken, &facts, &mut out);
    let mut cards = local_cards(&names, &facts, &platforms);
    cards.guest_addresses = guest_addresses(project, &names, &facts);
    let known_cards = known_cards(&names, &cards);
    let classes = classes(&spoken, &platforms, &cards);
    let mut resolver = Resolver {
        places: Places::new(project, &names, &facts, &cards, &known_cards),
        classes,
        policy: Policy { platforms, ..Policy::default() },
        out,
        statement: 0,
        rules: 0,
        all_rules: rules(names.statements.iter().map(|(_, statement)| *statement)),
        no_options: Arc::default(),
        applied: 0,
    };
    let bridge_services = resolver.prelude();
    for &(file, statement) in &names.statements {
        resolver.statement(file, statement, Context::default(), &mut Vec::new(), true);
    }
    if let Some((file, group)) = bridge_services {
        resolver.bridge_services(file, group);
    }
    let declared_networks = resolver.places.declared_networks();
    let Resolver { mut policy, mut out, .. } = resolver;
    policy.declared_networks = declared_networks;
    finish_flows(&mut policy);
    names.unused(project, &mut out);
    policy.containers = containers(&facts, &policy);
    policy.cards = cards;
    name_facts(&mut policy, &names, &facts, &mut out);
    policy.facts = facts;
    (policy, out)
}

/// How many rules and defaults there are, those in blocks included.
fn rules<'s>(statements: impl Iterator<Item = &'s Statement>) -> usize {
    let of = |statement: &Statement| match &statement.value {
        StatementKind::Rule(_) | StatementKind::Default(_) => 1,
        StatementKind::Scope(scope) => rules(scope.body.iter()),
        _ => 0,
    };
    statements.map(of).sum()
}

struct Resolver<'r, 'a> {
    places: Places<'r, 'a>,
    classes: Vec<Class>,
    policy: Policy,
    out: Vec<Diagnostic>,
    statement: u32,
    /// Rules that are resolved, and those that the policy has.
    rules: usize,
    all_rules: usize,
    /// What nearly every rule has; shared.
    no_options: Arc<Options>,
    /// Statements that stand in applied groups, counted each time.
    applied: usize,
}

impl<'a> Resolver<'_, 'a> {
    /// The prelude: its parts that are written in the language go to every flow that they speak of; parts that stand for
    /// connection states are noted by name. Gives back the part that waits for what the policy names, if it is wanted.
    fn prelude(&mut self) -> Option<(FileId, &'a tree::Group)> {
        let mut unwanted = Vec::new();
        let mut parts: Vec<&str> = STATE_PARTS.to_vec();
        let project = self.places.project;
        let path = library::path("prelude.fw");
        let prelude =
            project.library.iter().copied().find(|&id| project.source(id).is_some_and(|source| *source.path == *path));
        let groups: Vec<(FileId, &tree::Group)> = prelude
            .and_then(|id| Some((id, project.parsed(id)?)))
            .iter()
            .flat_map(|&(id, parsed)| parsed.tree.statements.iter().map(move |statement| (id, statement)))
            .filter_map(|(file, statement)| match &statement.value {
                StatementKind::Group(group) => Some((file, &**group)),
                _ => None,
            })
            .collect();
        parts.extend(groups.iter().map(|(_, group)| &*group.name.value));
        for &(file, statement) in &self.places.names.statements {
            let StatementKind::Use(node) = &statement.value else { continue };
            for part in node.except.iter().filter(|_| &*node.name.value == "prelude") {
                if parts.contains(&&*part.value) {
                    unwanted.push(part.value.clone());
                } else {
                    self.unknown_word(at(file, part.span), "the prelude has no part", &part.value, &parts);
                }
            }
        }
        self.policy.prelude = STATE_PARTS
            .iter()
            .filter(|part| !unwanted.iter().any(|other| &**other == **part))
            .map(|part| (*part).to_owned())
            .collect();
        let mut bridge_services = None;
        for (file, group) in groups {
            if &*group.name.value == "invalid" {
                self.policy.invalid_after = self.statement;
            }
            if STATE_PARTS.contains(&&*group.name.value) || unwanted.contains(&group.name.value) {
                continue;
            }
            if &*group.name.value == BRIDGE_SERVICES {
                bridge_services = Some((file, group));
                continue;
            }
            for statement in &group.body {
                self.prelude_statement(file, statement, Context::default());
            }
        }
        let behind = |class| matches!(class, Class::Guest | Class::Instance);
        let flows = self.policy.flows.iter().filter(|(flow, _)| behind(flow.from) || behind(flow.to));
        self.policy.gate_prelude = flows.flat_map(|(_, list)| list.iter().cloned()).collect();
        bridge_services
    }

    /// The part of the prelude for bridges of platforms that the policy does not use: without those that it does use, and without
    /// the interfaces that it names itself, whatever they are called.
    fn bridge_services(&mut self, file: FileId, group: &'a tree::Group) {
        let used: Vec<&Card> = self
            .policy
            .platforms
            .iter()
            .filter_map(|name| Platform::load(name))
            .flat_map(|platform| &platform.bridges)
            .collect();
        let named = self.places.named_outside();
        // That no statement declares these interfaces, and that facts list none of them, is how it should be.
        let told = self.out.len();
        for statement in &group.body {
            self.prelude_statement(file, statement, Context::default());
        }
        self.out.truncate(told);
        let flow = Flow { from: Class::Outside, to: Class::Host };
        let Some(list) = self.policy.flows.get_mut(&flow) else { return };
        list.retain_mut(|judgement| {
            let Some(cards) = judgement.from.cards.clone().filter(|_| judgement.location.file == file) else {
                return true;
            };
            let known = |card: &Card| used.iter().copied().chain(&named).any(|known| known.covers(card));
            let left: Vec<Card> = cards.cards.iter().filter(|card| !known(card)).cloned().collect();
            let taken_out = named.iter().filter(|known| left.iter().any(|card| card.covers(known)));
            judgement.from.except = taken_out
                .map(|card| Party {
                    cards: Some(Arc::new(CardSet::only(vec![card.clone()]))),
                    ..Party::of(Class::Outside)
                })
                .collect();
            let any = !left.is_empty();
            judgement.from.cards = Some(Arc::new(CardSet::only(left)));
            any
        });
    }

    fn prelude_statement(&mut self, file: FileId, statement: &'a Statement, context: Context<'a>) {
        match &statement.value {
            StatementKind::Rule(rule) => {
                let before: Vec<(Flow, usize)> =
                    self.policy.flows.iter().map(|(flow, list)| (*flow, list.len())).collect();
                self.rule(file, statement.span, rule, context, false);
                for (flow, list) in &mut self.policy.flows {
                    let old = before.iter().find(|(known, _)| known == flow).map_or(0, |(_, count)| *count);
                    for judgement in list.iter_mut().skip(old) {
                        judgement.rank = Rank::Prelude;
                    }
                }
            }
            StatementKind::Scope(scope) => {
                if let Some(context) = self.enter(file, &scope.clauses, context) {
                    for inner in &scope.body {
                        self.prelude_statement(file, inner, context);
                    }
                }
            }
            _ => {}
        }
    }

    fn statement(
        &mut self,
        file: FileId,
        statement: &'a Statement,
        context: Context<'a>,
        groups: &mut Vec<&'a str>,
        top: bool,
    ) {
        let span = statement.span;
        match &statement.value {
            StatementKind::Rule(rule) => self.rule(file, span, rule, context, false),
            StatementKind::Default(rule) => self.rule(file, span, rule, context, true),
            StatementKind::Assert(rule) => self.assertion(file, span, rule, context),
            StatementKind::Change(change) => self.change(file, span, change, context),
            StatementKind::Apply(name) => self.apply(file, name, context, groups),
            StatementKind::Scope(scope) => {
                if let Some(context) = self.enter(file, &scope.clauses, context) {
                    for inner in &scope.body {
                        self.statement(file, inner, context, groups, false);
                    }
                }
            }
            _ if !top => self.out.push(
                Diagnostic::new(&MISPLACED_STATEMENT, at(file, span), "this statement cannot stand inside a block")
                    .help("move it to the top of the file, out of the braces"),
            ),
            StatementKind::Nat(nat) => self.nat(file, span, nat),
            StatementKind::Guest(guest) => self.gate(file, guest),
            StatementKind::Target(target) => self.policy.target = Some(target.value),
            StatementKind::Set(set) if set.value == SetValue::Live => {
                self.policy
                    .live_sets
                    .push(LiveSet { name: Arc::from(&*set.name.value), location: at(file, set.name.span) });
            }
            StatementKind::Chain(chain) => {
                chain.lines.iter().for_each(|line| self.places.names.looked_up_in(&line.value));
                self.policy.raw.push(RawChain {
                    table: Arc::from(&*chain.table.value),
                    hook: Arc::from(&*chain.hook.value),
                    lines: chain.lines.iter().map(|line| (Arc::from(&*line.value), at(file, line.span))).collect(),
                    location: at(file, span),
                });
            }
            _ => {}
        }
    }

    /// The clauses of a block on top of those around it.
    fn enter(&mut self, file: FileId, clauses: &'a Clauses, outer: Context<'a>) -> Option<Context<'a>> {
        let mut fault = None;
        let mut twice = |word: &str, span| fault = Some((word.to_owned(), span));
        let from = match (clauses.from.as_deref(), outer.from) {
            (Some(who), None) => Some((file, who)),
            (Some(who), Some(_)) => {
                twice("from", who.span);
                None
            }
            (None, from) => from,
        };
        let to = match (clauses.to.as_deref(), outer.to) {
            (Some(who), None) => Some((file, who)),
            (Some(who), Some(_)) => {
                twice("to", who.span);
                None
            }
            (None, to) => to,
        };
        let via = match (clauses.via.as_slice(), outer.via) {
            ([], via) => via,
            ([first, ..], Some(_)) => {
                twice("via", first.span);
                None
            }
            (cards, None) => Some((file, cards)),
        };
        if let Some((word, span)) = fault {
            self.out.push(
                Diagnostic::new(&CLAUSE_SAID_TWICE, at(file, span), format!("the block around says `{word}` already"))
                    .help("move the rule out of the block, or take the clause out"),
            );
            return None;
        }
        Some(Context { from, to, via })
    }

    /// Resolves a sentence's ends. `None` where something could not be resolved: it is reported, and the statement left out.
    fn ends(&mut self, file: FileId, clauses: &'a Clauses, context: Context<'a>, nobody: &[Class]) -> Option<Ends> {
        let context = self.enter(file, clauses, context)?;
        let before = self.out.len();
        let mut failed = false;
        let mut resolve = |own: bool, said: Option<(FileId, &'a Who)>, role, default: &[Class]| {
            let Some((file, who)) = said else {
                return default.iter().map(|class| Party::of(*class)).collect();
            };
            let parties = if own {
                self.places.parties(file, who, role, &mut self.out)
            } else {
                self.places.parties_of_block(file, who, role, &mut self.out)
            };
            failed |= parties.is_none();
            parties.unwrap_or_default()
        };
        let mut from = resolve(clauses.from.is_some(), context.from, Role::From, nobody);
        let mut to = resolve(clauses.to.is_some(), context.to, Role::To, &Class::ALL);
        let via = context.via.map(|(file, cards)| self.places.card_set(file, cards, &mut self.out));
        if failed || self.out.get(before..).is_some_and(|new| new.iter().any(Diagnostic::is_error)) {
            return None;
        }
        from.retain(|party| self.classes.contains(&party.class));
        to.retain(|party| self.classes.contains(&party.class));
        let target = context.to.map(|(file, who)| at(file, who.span));
        if let Some((file, who)) = context.to {
            let unreached = to.iter().filter_map(|party| self.places.unreached(&from, party, at(file, who.span), who));
            let unreached: Vec<Diagnostic> = unreached.collect();
            if !unreached.is_empty() {
                self.out.extend(unreached);
                return None;
            }
        }
        Some(Ends { from, to, via, from_said: context.from.is_some(), to_said: context.to.is_some(), target })
    }

    fn rule(&mut self, file: FileId, span: crate::span::Span, rule: &'a Rule, context: Context<'a>, default: bool) {
        let here = at(file, span);
        // `default deny` alone governs what comes from outside; every other omission means anyone.
        let said_to = rule.sentence.clauses.to.is_some() || context.to.is_some();
        let anyone: &[Class] = if default && !said_to { &[Class::Outside] } else { &Class::ALL };
        let Some(action) = self.action(file, &rule.action) else { return };
        let Some(mut ends) = self.ends(file, &rule.sentence.clauses, context, anyone) else { return };
        ends.add_groups();
        if action == Action::Allow && !default && !self.complete_allow(here, rule, &ends) {
            return;
        }
        let Some(options) = self.options(file, &rule.options) else { return };
        if let Some(early) = rule.options.iter().find(|option| option.value == RuleOption::Early) {
            self.early(file, span, rule, ends, action, &options, at(file, early.span));
            return;
        }
        let rank = if default { Rank::Default } else { Rank::Rule };
        let judgements = self.judgements(file, here, &rule.sentence, ends, action, rank, options);
        self.rules += 1;
        let (done, left) = (self.rules, self.all_rules.saturating_sub(self.rules));
        for (flow, judgement) in judgements {
            let list = self.policy.flows.entry(flow).or_default();
            make_room(list, done, left);
            list.push(judgement);
        }
    }

    /// Whether the line behind a statement begins as if it went on there: what it says narrows the statement, so that nothing may be added.
    fn goes_on_behind(&self, here: Location) -> bool {
        let behind = self.places.project.text(here.file).get(here.span.end as usize..).unwrap_or_default();
        let mut lines = behind.lines().skip(1).filter(|line| !line.trim().is_empty());
        let first = lines.next().and_then(|line| line.split_whitespace().next());
        first.is_some_and(|word| matches!(word, "from" | "to" | "via" | "limit" | "during" | "source"))
    }

    /// Whether an allow says to whom, and does not open everything by omission.
    fn complete_allow(&mut self, here: Location, rule: &Rule, ends: &Ends) -> bool {
        if !ends.to_said {
            let end =
                Location { file: here.file, span: crate::span::Span { start: here.span.end, end: here.span.end } };
            let mut fault =
                Diagnostic::new(&ALLOW_TO_WHOM, here, "this `allow` does not say to whom").label("`to` is missing");
            fault = if self.goes_on_behind(here) {
                fault.help("a statement stands on one line: take the line break out")
            } else if rule.sentence.clauses.via.is_empty() && rule.options.is_empty() {
                // What the host sends to itself is not judged.
                let host = !ends.from.is_empty() && ends.from.iter().all(|party| party.class == Class::Host);
                if host {
                    fault.fix("say what it opens, for example the world outside", end, " to world")
                } else {
                    fault.fix("say what it opens, for example the host", end, " to host")
                }
            } else {
                fault.help("say what it opens: `to host`, `to container`, `to lan`")
            };
            self.out.push(fault);
            return false;
        }
        if !ends.from_said && rule.sentence.what.is_empty() {
            let after = Location {
                file: here.file,
                span: crate::span::Span { start: rule.action.span.end, end: rule.action.span.end },
            };
            self.out.push(
                Diagnostic::new(&ALLOW_EVERYTHING, here, "this `allow` names neither a service nor an origin")
                    .label("opens everything to everyone")
                    .fix("if that is meant, say so", after, " from any")
                    .help("otherwise name the service: `allow https …`"),
            );
            return false;
        }
        true
    }

    /// Splits a sentence over the flows that it judges.
    #[allow(clippy::too_many_arguments)]
    fn judgements(
        &mut self,
        file: FileId,
        here: Location,
        sentence: &'a Sentence,
        ends: Ends,
        action: Action,
        rank: Rank,
        options: Arc<Options>,
    ) -> SmallVec<[(Flow, Judgement); 1]> {
        let errors = self.out.len();
        let traffic: TrafficList = if sentence.what.is_empty() {
            Traffic::ALL.into()
        } else {
            service::traffic(self.places.names, file, &sentence.what, &mut self.out)
        };
        if traffic.is_empty() || self.out.get(errors..).is_some_and(|new| new.iter().any(Diagnostic::is_error)) {
            return SmallVec::new();
        }
        let family = sentence.family.as_ref().map(|family| family.value);
        self.statement += 1;
        let mut list = SmallVec::new();
        let mut crossed = false;
        for from in &ends.from {
            for to in &ends.to {
                let flow = Flow { from: from.class, to: to.class };
                if flow.from == Class::Host && flow.to == Class::Host {
                    continue;
                }
                let one_outside = (flow.from == Class::Outside) != (flow.to == Class::Outside);
                if ends.via.is_some() && !one_outside {
                    continue;
                }
                crossed = true;
                let judgement = Judgement {
                    statement: self.statement,
                    rank,
                    action,
                    family,
                    traffic: traffic.clone(),
                    from: from.clone(),
                    to: to.clone(),
                    via: ends.via.clone(),
                    options: options.clone(),
                    forwarded: false,
                    leaves_own_addresses: false,
                    location: here,
                    target: ends.target,
                };
                list.push((flow, judgement));
            }
        }
        if !crossed && ends.via.is_some() && !ends.from.is_empty() && !ends.to.is_empty() {
            self.out.push(
                Diagnostic::new(&VIA_CROSSES_NOTHING, here, "`via` has no card to name here")
                    .label("both ends are outside, or both on this machine")
                    .help("for routed traffic say a card at each end: `from … on wg0 to … on lan`"),
            );
        }
        if crossed && let Some(part) = ends.part_without_crossing() {
            self.out.push(
                Diagnostic::new(
                    &VIA_CROSSES_NOTHING,
                    here,
                    format!("`via` has no interface to name for a part of this: {part}"),
                )
                .label("crosses none, or two, so that nothing would be said about it")
                .help("give that part a line of its own, without `via`"),
            );
            return SmallVec::new();
        }
        let host = |parties: &[Party]| !parties.is_empty() && parties.iter().all(|party| party.class == Class::Host);
        if list.is_empty() && host(&ends.from) && host(&ends.to) {
            self.out.push(
                Diagnostic::new(&HOST_TO_ITSELF, here, "what the host sends to itself is not judged")
                    .label("it goes by the loopback, and always passes")
                    .help("take the rule out, or say who else opens it"),
            );
        }
        let possible = |judgement: &Judgement| !families(judgement).is_empty();
        if !list.is_empty() && !list.iter().any(|(_, judgement)| possible(judgement)) {
            self.out.push(
                Diagnostic::new(&FAMILIES_NEVER_MEET, here, "no packet is of every family that this names")
                    .help("give both ends addresses of the same family, or take the `ipv4` or `ipv6` out"),
            );
        }
        list.retain(|(_, judgement)| possible(judgement));
        list
    }

    fn action(&mut self, file: FileId, action: &Spanned<tree::Action>) -> Option<Action> {
        Some(match &action.value {
            tree::Action::Allow => Action::Allow,
            tree::Action::Deny => Action::Deny,
            tree::Action::Log => Action::Log,
            tree::Action::Reject(None) => Action::Reject(Reject::PortUnreachable),
            tree::Action::Reject(Some(name)) => match reject::lookup(&name.value) {
                Some(kind) => Action::Reject(kind),
                None => {
                    self.unknown_word(
                        at(file, name.span),
                        "there is no way to reject called",
                        &name.value,
                        &reject::names().collect::<Vec<_>>(),
                    );
                    return None;
                }
            },
        })
    }

    fn unknown_word(&mut self, here: Location, what: &str, word: &str, known: &[&str]) {
        let fault = Diagnostic::new(&UNKNOWN_WORD, here, format!("{what} `{word}`"));
        self.out.push(match nearest(word, known.iter().copied()) {
            Some(near) => fault.fix(format!("did you mean `{near}`?"), here, near),
            None => {
                let mut told: Vec<&str> = Vec::new();
                for name in known {
                    if !told.contains(name) {
                        told.push(name);
                    }
                }
                fault.help(format!("one of {}", told.join(", ")))
            }
        });
    }

    fn options(&mut self, file: FileId, list: &'a [Spanned<RuleOption>]) -> Option<Arc<Options>> {
        if list.is_empty() {
            return Some(self.no_options.clone());
        }
        let mut options = Options::default();
        for option in list {
            match &option.value {
                RuleOption::Limit(limit) => {
                    let (count, seconds) = match limit.amount {
                        LimitAmount::Rate(rate) => (rate.count, Some(seconds(rate.unit))),
                        LimitAmount::Connections(count) => (count, None),
                    };
                    // netfilter's own default burst is 5; a limit above it must at least let its own rate through at once.
                    let burst = limit.burst.unwrap_or(5.max(if seconds == Some(1) { count } else { 5 }));
                    options.limit = Some(Limit { count, seconds, per_source: limit.per_source, burst });
                }
                RuleOption::Log(log) => {
                    let level = match &log.level {
                        None => 6,
                        Some(name) => match syslog::lookup(&name.value) {
                            Some(level) => level,
                            None => {
                                let known: Vec<&str> = syslog::names().collect();
                                self.unknown_word(at(file, name.span), "there is no log level", &name.value, &known);
                                return None;
                            }
                        },
                    };
                    let rate =
                        log.rate.as_ref().map_or(DEFAULT_LOG_RATE, |rate| (rate.value.count, seconds(rate.value.unit)));
                    let prefix = log.prefix.as_ref().map_or("fwc ", |prefix| &prefix.value);
                    let prefix: String = prefix.chars().map(quotable).collect();
                    options.log = Some(Log { prefix: Arc::from(prefix), level, rate });
                }
                RuleOption::During(during) => options.during = Some((during.days, during.times)),
                RuleOption::SourcePort(ports) => options.source_ports = Some(PortSet::new(ports.iter().copied())),
                RuleOption::Comment(text) => options.comment = Some(Arc::from(&*text.value)),
                RuleOption::Early => {}
            }
        }
        Some(Arc::new(options))
    }

    #[allow(clippy::too_many_arguments)]
    fn early(
        &mut self,
        file: FileId,
        span: crate::span::Span,
        rule: &'a Rule,
        ends: Ends,
        action: Action,
        options: &Options,
        word: Location,
    ) {
        let rich = action != Action::Deny
            || ends.to_said
            || !rule.sentence.what.is_empty()
            || options.limit.is_some()
            || options.during.is_some()
            || options.source_ports.is_some();
        if rich {
            self.out.push(
                Diagnostic::new(&EARLY_TOO_RICH, word, "an `early` rule may only deny where packets come from")
                    .help("write `deny from … [via …] early`, or take `early` out"),
            );
            return;
        }
        self.statement += 1;
        for from in ends.from.into_iter().filter(|party| party.class == Class::Outside) {
            let judgement = Judgement {
                statement: self.statement,
                rank: Rank::Rule,
                action,
                family: rule.sentence.family.as_ref().map(|family| family.value),
                traffic: Traffic::ALL.into(),
                from,
                to: Party::of(Class::Host),
                via: ends.via.clone(),
                options: Arc::new(options.clone()),
                forwarded: false,
                leaves_own_addresses: false,
                location: at(file, span),
                target: None,
            };
            self.policy.early.push(Early { judgement });
        }
    }

    fn apply(&mut self, file: FileId, name: &'a Name, context: Context<'a>, inside: &mut Vec<&'a str>) {
        let Some(group) = self.group(file, name, inside) else { return };
        inside.push(&name.value);
        for statement in &group.1.body {
            self.applied += 1;
            if self.applied == MOST_APPLIED {
                self.out.push(
                    Diagnostic::new(
                        &TOO_MANY_RULES,
                        at(file, name.span),
                        "applied groups come to more than 500,000 rules",
                    )
                    .help("apply each group once: groups that apply groups several times multiply"),
                );
            }
            if self.applied >= MOST_APPLIED {
                break;
            }
            self.statement(group.0, statement, context, inside, false);
        }
        inside.pop();
    }

    fn group(&mut self, file: FileId, name: &Name, inside: &[&str]) -> Option<(FileId, &'a tree::Group)> {
        let here = at(file, name.span);
        let names = self.places.names;
        let Some(group) = find(&names.groups, &name.value) else {
            let fault = Diagnostic::new(&UNKNOWN_GROUP, here, format!("no group is called `{}`", name.value));
            self.out.push(match nearest(&name.value, names.groups.keys().copied()) {
                Some(near) => fault.fix(format!("did you mean `{near}`?"), here, near),
                None => fault.help(format!("declare it: `group {} {{ … }}`", name.value)),
            });
            return None;
        };
        if inside.contains(&&*name.value) {
            self.out.push(
                Diagnostic::new(&GROUP_CYCLE, here, format!("group `{}` applies itself", name.value))
                    .related(group.location, "the group")
                    .help("take this `apply` out"),
            );
            return None;
        }
        if let Some(fault) = too_deep(inside.len(), group.location, "group", &name.value) {
            self.out.push(fault);
            return None;
        }
        Some((group.file, group.node))
    }

    fn assertion(&mut self, file: FileId, span: crate::span::Span, rule: &'a Rule, context: Context<'a>) {
        let here = at(file, span);
        let Some(action) = self.action(file, &rule.action) else { return };
        let Some(mut ends) = self.ends(file, &rule.sentence.clauses, context, &Class::ALL) else { return };
        ends.add_groups();
        let judgements = self.judgements(file, here, &rule.sentence, ends, action, Rank::Rule, Arc::default());
        self.policy.assertions.push(Assertion { judgements: judgements.into_vec(), location: here });
    }
}

/// Log lines a rule writes at most, unless it says otherwise: enough to see what happens, too few to fill a disk.
const DEFAULT_LOG_RATE: (u32, u32) = (10, 60);

fn seconds(unit: RateUnit) -> u32 {
    match unit {
        RateUnit::Second => 1,
        RateUnit::Minute => 60,
        RateUnit::Hour => 3600,
        RateUnit::Day => 86400,
    }
}

/// The families in which a judgement can match a packet.
#[must_use]
pub fn families(judgement: &Judgement) -> SmallVec<[Family; 2]> {
    let holds = |set: &Option<AddressSet>, family| set.as_ref().is_none_or(|set| set.has_family(family));
    Family::BOTH
        .into_iter()
        .filter(|&family| {
            judgement.family.is_none_or(|only| only == family)
                && (!judgement.from.macs.is_empty() || holds(&judgement.from.addresses, family))
                && (judgement.to.published.is_some() || holds(&judgement.to.addresses, family))
                && judgement.to.at.as_ref().is_none_or(|set| set.has_family(family))
                && judgement.traffic.iter().any(|traffic| traffic.family.is_none_or(|only| only == family))
        })
        .collect()
}
