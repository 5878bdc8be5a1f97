//! What a policy means, read straight from its source tree: the ten rules of the language, evaluated for one first packet of a
//! connection at a time. It is slow and simple on purpose, and it shares nothing with the compiler behind the parser: names,
//! sets, scopes, flows and defaults are worked out here a second time, so that the two can disagree.

mod icmp;
mod load;
mod rules;

pub use load::load;

use std::collections::BTreeMap;
use std::net::IpAddr;

use fwc::net::{AddressRange, Card, Family, Mac, PortRange, Protocol};
use fwc::syntax::tree::{Action, Clauses, Direction, GuestKind, Item, One, Place, RuleOption, View, Who};

/// What kind of party stands at one end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Not on this machine.
    Outside,
    /// The machine itself.
    Host,
    /// A container.
    Container,
    /// An LXD or Incus instance.
    Instance,
    /// A virtual machine.
    Guest,
}

impl Class {
    const ALL: [Self; 5] = [Self::Outside, Self::Host, Self::Container, Self::Instance, Self::Guest];
}

/// One end of a connection.
#[derive(Clone, Debug)]
pub struct Party {
    /// Its kind.
    pub class: Class,
    /// The card that it is reached by; `None`: the host.
    pub card: Option<String>,
    /// Its own address.
    pub address: IpAddr,
    /// Its Ethernet address, where a packet shows it.
    pub mac: Option<Mac>,
    /// Its name in the policy or the facts.
    pub name: Option<String>,
}

/// The first packet of a connection, and what it is meant for.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Who opens it.
    pub from: Party,
    /// Whom it is for, after every translation.
    pub to: Party,
    /// The address that the client dialled.
    pub dialled: IpAddr,
    /// The port that the client dialled.
    pub port: Option<u16>,
    /// The target's own port.
    pub inside: Option<u16>,
    /// The target is a container and its own address was dialled.
    pub direct: bool,
    /// At a container's own address: the ports at which that port of it is published.
    pub published_as: Vec<u16>,
    /// A `forward` of the policy carried it to its target.
    pub forwarded: bool,
    /// IP protocol.
    pub protocol: u8,
    /// ICMP type and code.
    pub icmp: Option<(u8, u8)>,
    /// Source port.
    pub source_port: Option<u16>,
    /// What connection tracking makes of it.
    pub state: State,
}

/// What connection tracking makes of a packet that nothing went before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The first of a connection.
    New,
    /// It can open no connection, and belongs to none.
    Invalid,
    /// It is not tracked at all (neighbour discovery).
    Untracked,
}

impl State {
    /// Of an ICMP message by its type; of everything else, the first packet opens a connection. What can open one is in the
    /// kernel's nf_conntrack_proto_icmp.c and nf_conntrack_proto_icmpv6.c.
    pub fn of(v4: bool, icmp: Option<(u8, u8)>) -> Self {
        match icmp {
            None => Self::New,
            Some((8 | 13 | 15 | 17, _)) if v4 => Self::New,
            Some((128 | 139, _)) if !v4 => Self::New,
            Some((130..=136 | 143, _)) if !v4 => Self::Untracked,
            _ => Self::Invalid,
        }
    }
}

/// What the policy says to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It does not object.
    Allow,
    /// Silence.
    Deny,
    /// Refused with an answer.
    Reject,
    /// Nothing: the platform decides.
    Platform,
    /// It depends on how many came before, or on the time of day.
    Varies,
}

/// A verdict and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The verdict.
    pub verdict: Verdict,
    /// The rule that decided, by its number in [`Policy::labels`]; `None`: an implied deny, or nothing.
    pub rule: Option<usize>,
    /// Whether a rule decided, not a default or what is implied at the end.
    pub by_rule: bool,
    /// Whether whatever no rule names is refused in this flow, on this card.
    pub closed: bool,
}

/// A rule with all its scopes.
#[derive(Clone, Debug)]
pub struct FlatRule {
    /// Its number.
    pub id: usize,
    /// What it does.
    pub action: Action,
    /// One family, if it says so.
    pub family: Option<Family>,
    /// Services.
    pub what: Vec<Item>,
    /// Its own clauses and those of the scopes around it: all must hold.
    pub clauses: Vec<Clauses>,
    /// Options.
    pub options: Vec<RuleOption>,
    /// It is the allow that a `forward` implies: for what was forwarded, not for those who dial the target itself.
    pub forwarded: bool,
}

/// A guest's block.
#[derive(Clone, Debug)]
pub struct GuestBlock {
    /// Guest or instance.
    pub kind: GuestKind,
    /// Its name.
    pub name: String,
    /// Its Ethernet address.
    pub mac: Option<Mac>,
    /// Its addresses.
    pub address: Option<Who>,
    /// Its judges; `None`: it has no block.
    pub gates: Option<Vec<(Direction, FlatRule)>>,
}

/// A `forward`.
#[derive(Clone, Debug)]
pub struct Forward {
    /// The rule that it implies.
    pub rule: FlatRule,
    /// The host address dialled.
    pub at: Option<AddressRange>,
    /// Where it goes.
    pub to: Who,
    /// The port there.
    pub port: Option<u16>,
}

/// A policy, flattened.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Interfaces.
    pub interfaces: BTreeMap<String, Vec<Card>>,
    /// Sets.
    pub sets: BTreeMap<String, Who>,
    /// Sets that others fill.
    pub live: Vec<String>,
    /// Services.
    pub services: BTreeMap<String, Vec<Item>>,
    /// Networks: their cards.
    pub networks: BTreeMap<String, Vec<Card>>,
    /// Guests and instances.
    pub guests: Vec<GuestBlock>,
    /// The prelude, in order.
    pub prelude: Vec<FlatRule>,
    /// How many rules of the prelude stand before the place where invalid packets are dropped.
    pub before_invalid: usize,
    /// Where the prelude's part `bridge-services` begins, which is its last; `None`: it is turned off.
    pub bridge_services: Option<usize>,
    /// Whether the prelude's part `invalid` is in force.
    pub drops_invalid: bool,
    /// The rules, in order.
    pub rules: Vec<FlatRule>,
    /// The defaults, in order.
    pub defaults: Vec<FlatRule>,
    /// Port forwardings.
    pub forwards: Vec<Forward>,
    /// `FILE:LINE` of each rule, by number; those of the prelude too.
    pub labels: Vec<String>,
    /// Whether something in it cannot be evaluated here (netfilter's own words), and what.
    pub unmodelled: Vec<String>,
}

impl Policy {
    /// What the policy says to `attempt`.
    pub fn answer(&self, attempt: &Attempt) -> Answer {
        let flow = self.flow_answer(attempt);
        let mut gates = Vec::new();
        if let Some(block) = self.block(&attempt.from)
            && let Some(rules) = &block.gates
        {
            gates.push(self.gate(block, rules, Direction::Out, attempt));
        }
        if let Some(block) = self.block(&attempt.to)
            && let Some(rules) = &block.gates
        {
            gates.push(self.gate(block, rules, Direction::In, attempt));
        }
        // Every judge must consent. What a judge's own rule says goes before defaults, which come after all rules; and a gate
        // speaks where the rest of the policy says nothing.
        let mut result = flow;
        for gate in gates {
            result = match (result.verdict, gate.verdict) {
                _ if result.by_rule && matches!(result.verdict, Verdict::Deny | Verdict::Reject | Verdict::Varies) => {
                    result
                }
                _ if gate.by_rule || result.verdict == Verdict::Platform => gate,
                (_, Verdict::Deny | Verdict::Reject) => gate,
                _ => result,
            };
        }
        result
    }

    /// The `early` deny of a packet that comes from outside. Whom it is for is not known so early, and its card is that of arrival.
    fn early(&self, attempt: &Attempt) -> Option<&FlatRule> {
        let mut arriving = attempt.clone();
        arriving.to = Party { class: Class::Host, card: None, mac: None, name: None, ..attempt.to.clone() };
        let early = self.rules.iter().filter(|rule| rule.options.contains(&RuleOption::Early));
        early.into_iter().find(|rule| self.matches(rule, &arriving) == Some(true))
    }

    /// Takes the last rules out and gives each as the one rule of a policy: an assert is read as a rule that is looked at by itself.
    pub fn split_asserts(mut self, count: usize) -> (Self, Vec<Self>) {
        let asserts = self.rules.split_off(self.rules.len() - count);
        let alone = |rule| Self { rules: vec![rule], defaults: Vec::new(), ..self.clone() };
        let asserts = asserts.into_iter().map(alone).collect();
        (self, asserts)
    }

    /// Whether an assert, which is a policy of one rule, speaks of a connection. One about every service does not speak of what the
    /// prelude always allows.
    pub fn is_asserted(&self, assert: &Self, attempt: &Attempt) -> bool {
        let rule = &assert.rules[0];
        let about = self.matches(rule, attempt) == Some(true) && assert.answer(attempt).rule == Some(rule.id);
        about && !(rule.what.is_empty() && self.is_of_prelude(self.answer(attempt).rule))
    }

    fn is_of_prelude(&self, rule: Option<usize>) -> bool {
        rule.is_some_and(|rule| self.labels[rule].starts_with("prelude.fw:"))
    }

    /// Whether an `early` deny stops packets of a connection in one of its directions.
    pub fn is_cut_early(&self, attempt: &Attempt) -> bool {
        let answer = Attempt { from: attempt.to.clone(), to: attempt.from.clone(), ..attempt.clone() };
        self.early(attempt).is_some() || self.early(&answer).is_some()
    }

    fn flow_answer(&self, attempt: &Attempt) -> Answer {
        let closed = self.end(attempt);
        let is_closed = closed.as_ref().is_some_and(|end| matches!(end.verdict, Verdict::Deny | Verdict::Reject));
        if let Some(rule) = self.early(attempt) {
            return Answer { closed: is_closed, ..self.decided(rule) };
        }
        let mentioned = self.mentions(attempt);
        let prelude = if mentioned { self.prelude_for(attempt) } else { &[] };
        // Rules judge first packets. Of the others, the prelude lets some through and drops the invalid.
        if attempt.state != State::New {
            let before = if attempt.state == State::Invalid { self.before_invalid } else { prelude.len() };
            let part = prelude.get(..before).unwrap_or_default();
            if let Some(rule) = part.iter().find(|rule| self.matches(rule, attempt) == Some(true)) {
                return Answer { closed: is_closed, ..self.decided(rule) };
            }
            let verdict = match attempt.state {
                _ if !mentioned => Verdict::Platform,
                State::Invalid if self.drops_invalid => Verdict::Deny,
                // Where rules meet untracked packets, the language promises nothing.
                _ => Verdict::Varies,
            };
            return Answer { verdict, rule: None, by_rule: true, closed: is_closed };
        }
        // The services of bridges are the one part of the prelude that comes after the rules.
        let (first, last) = prelude.split_at(self.bridge_services.unwrap_or(prelude.len()).min(prelude.len()));
        for rule in first.iter().chain(&self.rules).chain(last) {
            if rule.action == Action::Log {
                continue;
            }
            match self.matches(rule, attempt) {
                Some(true) => return Answer { closed: is_closed, ..self.decided(rule) },
                Some(false) => {}
                None => {
                    return Answer { verdict: Verdict::Varies, rule: Some(rule.id), by_rule: true, closed: is_closed };
                }
            }
        }
        closed.unwrap_or(Answer { verdict: Verdict::Platform, rule: None, by_rule: false, closed: false })
    }

    /// The prelude as it is for the interface where `attempt` arrives: the services of bridges are for platforms that the policy
    /// does not use, and an interface that it names itself is not one of theirs.
    fn prelude_for(&self, attempt: &Attempt) -> &[FlatRule] {
        let named = attempt.from.card.as_deref().is_some_and(|card| self.names_interface(card));
        match self.bridge_services {
            Some(first) if named => &self.prelude[..first],
            _ => &self.prelude,
        }
    }

    /// Whether the policy declares an interface, or says `via` or `on` it.
    fn names_interface(&self, card: &str) -> bool {
        let declared = self.interfaces.values().flatten().any(|known| known.matches(card));
        let own = self.rules.iter().chain(&self.defaults).flat_map(|rule| &rule.clauses);
        declared
            || own.into_iter().any(|clauses| {
                let who = [&clauses.from, &clauses.to].into_iter().flatten().flat_map(|who| &who.members);
                let mut names = clauses.via.iter().chain(who.flat_map(|one| &one.on));
                names.any(|name| self.is_card(&name.value, card))
            })
    }

    /// Whether anything of this flow is decided by the policy: all of it where it is closed, else the interfaces that its lines
    /// name. Log lines decide nothing.
    fn mentions(&self, attempt: &Attempt) -> bool {
        let all = self.rules.iter().chain(&self.defaults).filter(|rule| rule.action != Action::Log);
        let in_flow: Vec<&FlatRule> =
            all.filter(|rule| self.in_flow(rule, attempt.from.class, attempt.to.class)).collect();
        self.closing_allows(attempt).next().is_some() || in_flow.iter().any(|rule| self.via(rule, attempt))
    }

    /// The allows that close the flow of `attempt`. A `forward` is none of them.
    fn closing_allows(&self, attempt: &Attempt) -> impl Iterator<Item = &FlatRule> {
        let (from, to) = (attempt.from.class, attempt.to.class);
        let allows = self.rules.iter().filter(|rule| rule.action == Action::Allow && !rule.forwarded);
        allows.filter(move |rule| self.in_flow(rule, from, to))
    }

    /// What stands at the end of the flow: a default, the deny that an allow implies, or nothing.
    fn end(&self, attempt: &Attempt) -> Option<Answer> {
        let mut fitting = Vec::new();
        for rule in &self.defaults {
            // A default without places is about what comes from outside.
            if (says_where(rule) || attempt.from.class == Class::Outside) && self.matches(rule, attempt) != Some(false)
            {
                fitting.push(rule);
            }
        }
        // The more specific goes first. Of two that overlap without one being inside the other, the language says nothing.
        let first: Vec<&&FlatRule> = fitting
            .iter()
            .filter(|rule| !fitting.iter().any(|other| self.within(other, rule) && !self.within(rule, other)))
            .collect();
        if let Some(rule) = first.first() {
            let closed = matches!(rule.action, Action::Deny | Action::Reject(_));
            let answer = Answer { closed, by_rule: false, ..self.decided(rule) };
            let agreed = first.iter().all(|other| self.decided(other).verdict == answer.verdict);
            let ordered = first.iter().all(|other| self.within(other, rule));
            let verdict = if agreed || ordered { answer.verdict } else { Verdict::Varies };
            return Some(Answer { verdict, ..answer });
        }
        // A default allow for all of the flow takes the place of its end, for containers' own addresses as well, though it does
        // not open them.
        let replaces = |rule: &&FlatRule| {
            rule.action == Action::Allow
                && (says_where(rule) || attempt.from.class == Class::Outside)
                && self.is_unconditional(rule, attempt)
        };
        if self.defaults.iter().any(|rule| replaces(&rule)) {
            return None;
        }
        let deny = Answer { verdict: Verdict::Deny, rule: None, by_rule: false, closed: true };
        if self.forward_target(attempt) {
            return Some(deny);
        }
        // From this machine a container's own address is a flow of its own, which only those that say `direct` close.
        let apart =
            matches!(attempt.from.class, Class::Host | Class::Container) && attempt.to.class == Class::Container;
        // An allow leaves to the host what it sends to itself by the loopback, docker-proxy's ports there among them.
        let by_loopback = attempt.from.class == Class::Host && attempt.dialled.is_loopback();
        let closes = |rule: &FlatRule| !by_loopback && (!apart || self.says_direct(rule) == attempt.direct);
        let closed = self.closing_allows(attempt).any(closes);
        closed.then_some(deny)
    }

    /// Whether a default is about every packet of a flow.
    fn is_unconditional(&self, rule: &FlatRule, attempt: &Attempt) -> bool {
        let whole = |who: &Who, class: Class| {
            !who.negated
                && who.members.iter().any(|one| {
                    let place = match &one.place.value {
                        Place::Any => true,
                        Place::World => class == Class::Outside,
                        Place::Host(user) => class == Class::Host && user.is_none(),
                        Place::Container(name) => class == Class::Container && name.is_none(),
                        Place::Guest(name) => class == Class::Guest && name.is_none(),
                        Place::Instance(name) => class == Class::Instance && name.is_none(),
                        _ => false,
                    };
                    place && !one.negated && one.on.is_empty() && one.at.is_none() && one.view.is_none()
                })
        };
        let limits = |option: &RuleOption| {
            matches!(option, RuleOption::Limit(_) | RuleOption::During(_) | RuleOption::SourcePort(_))
        };
        rule.what.is_empty()
            && rule.family.is_none()
            && !rule.options.iter().any(limits)
            && rule.clauses.iter().all(|clauses| {
                clauses.via.is_empty()
                    && clauses.from.as_ref().is_none_or(|who| whole(who, attempt.from.class))
                    && clauses.to.as_ref().is_none_or(|who| whole(who, attempt.to.class))
            })
    }

    /// Whether `attempt` goes to the address and port that a `forward` of its flow forwards to, or was carried there by one.
    fn forward_target(&self, attempt: &Attempt) -> bool {
        self.forwards.iter().filter(|_| attempt.from.class != Class::Host).any(|forward| {
            let from = forward.rule.clauses.iter().filter_map(|clauses| clauses.from.as_ref());
            let in_flow = from.into_iter().all(|who| self.classes(who).contains(&attempt.from.class));
            let at_port = forward.rule.what.iter().any(|item| match forward.port {
                Some(port) => self.speaks_of_protocol(item, attempt) && attempt.inside == Some(port),
                None => self.serves(item, attempt, attempt.inside),
            });
            in_flow && self.holds(&forward.to, &attempt.to, attempt, true) && (at_port || attempt.forwarded)
        })
    }

    /// Whether a service has anything of the protocol of `attempt`.
    fn speaks_of_protocol(&self, item: &Item, attempt: &Attempt) -> bool {
        match item {
            Item::Ports { protocol, .. } | Item::Protocol(protocol) => attempt.protocol == protocol.0,
            Item::Icmp(_) => attempt.icmp.is_some(),
            Item::Name(name) => {
                let items = self.services.get(name.as_ref()).into_iter().flatten();
                items.into_iter().any(|item| self.speaks_of_protocol(item, attempt))
            }
        }
    }

    /// Whether all that one default is about, another is about, too, as far as their words show it.
    fn within(&self, inner: &FlatRule, outer: &FlatRule) -> bool {
        let who = |inner: Option<&Who>, outer: Option<&Who>| match (inner, outer) {
            (_, None) => true,
            (None, Some(outer)) => words(outer) == "any",
            (Some(inner), Some(outer)) => {
                words(inner) == words(outer)
                    || words(outer) == "any"
                    || words(outer) == "world" && self.classes(inner) == [Class::Outside]
            }
        };
        let from = |rule: &'_ FlatRule| rule.clauses.iter().filter_map(|clauses| clauses.from.clone()).next_back();
        let to = |rule: &'_ FlatRule| rule.clauses.iter().filter_map(|clauses| clauses.to.clone()).next_back();
        let via = |rule: &FlatRule| -> Vec<String> {
            rule.clauses.iter().flat_map(|clauses| &clauses.via).map(|name| name.value.to_string()).collect()
        };
        who(from(inner).as_deref(), from(outer).as_deref())
            && who(to(inner).as_deref(), to(outer).as_deref())
            && (via(outer).is_empty() || via(inner) == via(outer))
            && (outer.what.is_empty() || inner.what == outer.what)
            && (outer.family.is_none() || inner.family == outer.family)
    }

    fn decided(&self, rule: &FlatRule) -> Answer {
        let varies = rule.options.iter().any(|option| matches!(option, RuleOption::Limit(_) | RuleOption::During(_)));
        let verdict = match rule.action {
            _ if varies => Verdict::Varies,
            Action::Allow => Verdict::Allow,
            Action::Deny => Verdict::Deny,
            Action::Reject(_) => Verdict::Reject,
            Action::Log => Verdict::Platform,
        };
        Answer { verdict, rule: Some(rule.id), by_rule: true, closed: false }
    }

    fn gate(
        &self,
        block: &GuestBlock,
        rules: &[(Direction, FlatRule)],
        direction: Direction,
        attempt: &Attempt,
    ) -> Answer {
        if direction == Direction::Out {
            let strange_mac = block.mac.is_some() && attempt.from.mac.is_some() && block.mac != attempt.from.mac;
            let strange_address =
                block.address.as_ref().is_some_and(|who| self.lists(who, attempt.from.address) == Some(false));
            if strange_mac || strange_address {
                return Answer { verdict: Verdict::Deny, rule: None, by_rule: true, closed: true };
            }
        }
        // The prelude stands before every rule, a gate's too.
        if let Some(rule) = self.prelude.iter().find(|rule| self.matches(rule, attempt) == Some(true)) {
            return Answer { closed: true, ..self.decided(rule) };
        }
        for (_, rule) in rules.iter().filter(|(own, rule)| *own == direction && rule.action != Action::Log) {
            match self.matches(rule, attempt) {
                Some(true) => return Answer { closed: true, ..self.decided(rule) },
                Some(false) => {}
                None => return Answer { verdict: Verdict::Varies, rule: Some(rule.id), by_rule: true, closed: true },
            }
        }
        let verdict = if direction == Direction::In { Verdict::Deny } else { Verdict::Allow };
        Answer { verdict, rule: None, by_rule: false, closed: verdict == Verdict::Deny }
    }

    /// The block of a party, by its name.
    fn block(&self, party: &Party) -> Option<&GuestBlock> {
        let kind = match party.class {
            Class::Guest => GuestKind::Guest,
            Class::Instance => GuestKind::Instance,
            _ => return None,
        };
        let name = party.name.as_deref()?;
        self.guests.iter().find(|block| block.kind == kind && block.name == name)
    }

    /// Whether a rule can be about connections from `from` to `to`.
    fn in_flow(&self, rule: &FlatRule, from: Class, to: Class) -> bool {
        let one_outside = (from == Class::Outside) != (to == Class::Outside);
        rule.clauses.iter().all(|clauses| {
            clauses.from.as_ref().is_none_or(|who| self.classes(who).contains(&from))
                && clauses.to.as_ref().is_none_or(|who| self.classes(who).contains(&to))
                && (clauses.via.is_empty() || one_outside)
        })
    }

    /// Whether a rule is about `attempt`; `None`: that depends on the time.
    fn matches(&self, rule: &FlatRule, attempt: &Attempt) -> Option<bool> {
        let family = Family::of(attempt.from.address);
        if rule.family.is_some_and(|wanted| wanted != family) {
            return Some(false);
        }
        if rule.forwarded && !attempt.forwarded {
            return Some(false);
        }
        // allow never opens a container's own address without the word `direct`, but for the host if it is for every container.
        // The prelude is in force in every flow.
        let opens = self.says_direct(rule)
            || self.is_of_prelude(Some(rule.id))
            || self.is_between_neighbours(rule, attempt)
            || attempt.from.class == Class::Host && self.is_unconditional(rule, attempt);
        if attempt.direct && rule.action == Action::Allow && !opens {
            return Some(false);
        }
        if !self.names_service(rule, attempt) {
            return Some(false);
        }
        for clauses in &rule.clauses {
            if clauses.from.as_ref().is_some_and(|who| !self.holds(who, &attempt.from, attempt, false))
                || clauses.to.as_ref().is_some_and(|who| !self.holds(who, &attempt.to, attempt, true))
            {
                return Some(false);
            }
        }
        if !self.via(rule, attempt) {
            return Some(false);
        }
        let mut certain = true;
        for option in &rule.options {
            match option {
                RuleOption::SourcePort(ports) if !attempt.source_port.is_some_and(|port| contains(ports, port)) => {
                    return Some(false);
                }
                RuleOption::During(_) => certain = false,
                _ => {}
            }
        }
        certain.then_some(true)
    }

    /// Whether `attempt` is to a service of the rule, which may be to every one.
    pub fn names_service(&self, rule: &FlatRule, attempt: &Attempt) -> bool {
        let inside =
            rule.clauses.iter().filter_map(|clauses| clauses.to.as_ref()).any(|who| self.says(who, View::Inside));
        let port = if inside { attempt.inside } else { attempt.port };
        // A deny to containers closes at their own address what it closes at the host's; from this machine, where their address is said.
        // One that is about that address says its ports.
        let stops = matches!(rule.action, Action::Deny | Action::Reject(_)) && !self.says_direct(rule);
        let apart = matches!(attempt.from.class, Class::Host | Class::Container) && !names_container(rule, true);
        let published = attempt.published_as.iter().filter(|_| attempt.direct && stops && !apart);
        let ports: Vec<Option<u16>> = std::iter::once(port).chain(published.map(|&port| Some(port))).collect();
        let serves = |item: &Item| ports.iter().any(|&port| self.serves(item, attempt, port));
        rule.what.is_empty() || rule.what.iter().any(serves)
    }

    /// Whether an allow names two containers that reach each other on one bridge: there it means the address that they use.
    fn is_between_neighbours(&self, rule: &FlatRule, attempt: &Attempt) -> bool {
        names_container(rule, false) && names_container(rule, true) && attempt.from.card == attempt.to.card
    }

    /// Whether the connection crosses between outside and this machine at the cards that the rule names, if it names any.
    fn via(&self, rule: &FlatRule, attempt: &Attempt) -> bool {
        let crossing = match (attempt.from.class, attempt.to.class) {
            (Class::Outside, Class::Outside) => None,
            (Class::Outside, _) => attempt.from.card.as_deref(),
            (_, Class::Outside) => attempt.to.card.as_deref(),
            _ => None,
        };
        rule.clauses
            .iter()
            .filter(|clauses| !clauses.via.is_empty())
            .all(|clauses| crossing.is_some_and(|card| clauses.via.iter().any(|name| self.is_card(&name.value, card))))
    }

    fn is_card(&self, name: &str, card: &str) -> bool {
        match self.interfaces.get(name) {
            Some(cards) => cards.iter().any(|known| known.matches(card)),
            None => Card::parse(name).matches(card),
        }
    }

    fn serves(&self, item: &Item, attempt: &Attempt, port: Option<u16>) -> bool {
        match item {
            Item::Ports { protocol, ports } => {
                attempt.protocol == protocol.0 && (ports.is_empty() || port.is_some_and(|port| contains(ports, port)))
            }
            Item::Icmp(name) => {
                let v4 = attempt.from.address.is_ipv4();
                let protocol = if v4 { Protocol::ICMP } else { Protocol::ICMPV6 };
                attempt.protocol == protocol.0
                    && name
                        .as_deref()
                        .is_none_or(|name| attempt.icmp.is_some_and(|(kind, code)| icmp::is(name, v4, kind, code)))
            }
            Item::Protocol(protocol) => attempt.protocol == protocol.0,
            Item::Name(name) => self
                .services
                .get(name.as_ref())
                .unwrap_or_else(|| panic!("no service `{name}`"))
                .iter()
                .any(|item| self.serves(item, attempt, port)),
        }
    }

    /// Whether a party is among those that `who` names. What is taken away comes after what is put in; with nothing put in,
    /// the rest of the same kinds of parties is meant.
    fn holds(&self, who: &Who, party: &Party, attempt: &Attempt, target: bool) -> bool {
        if !self.classes(who).contains(&party.class) {
            return false;
        }
        let (taken, put): (Vec<&One>, Vec<&One>) = who.members.iter().partition(|one| one.negated && one.on.is_empty());
        let put_in = put.is_empty() || put.iter().any(|one| self.one_holds(one, party, attempt, target));
        let taken_out = taken.iter().any(|one| self.one_holds(one, party, attempt, target));
        (put_in && !taken_out) != who.negated
    }

    fn one_holds(&self, one: &One, party: &Party, attempt: &Attempt, target: bool) -> bool {
        let outside = party.class == Class::Outside;
        let named = |name: &Option<Box<fwc::syntax::tree::Name>>| {
            name.as_ref().is_none_or(|name| party.name.as_deref() == Some(&*name.value))
        };
        let place = match &one.place.value {
            Place::Any => true,
            Place::World => outside,
            Place::Host(_) => party.class == Class::Host,
            Place::Address(range) => outside && range.unpacked().contains(party.address),
            Place::Mac(mac) => outside && party.mac == Some(*mac),
            Place::Container(name) => party.class == Class::Container && named(name),
            Place::Guest(name) => party.class == Class::Guest && named(name),
            Place::Instance(name) => party.class == Class::Instance && named(name),
            Place::Network(name) => {
                let cards = self.networks.get(&*name.value).unwrap_or_else(|| panic!("no network `{}`", name.value));
                party.card.as_ref().is_some_and(|card| cards.iter().any(|known| known.matches(card)))
            }
            Place::Name(name) => {
                if let Some(who) = self.sets.get(name.as_ref()) {
                    self.holds(who, party, attempt, target)
                } else if self.live.iter().any(|live| **live == **name) {
                    false
                } else {
                    outside && party.card.as_ref().is_some_and(|card| self.is_card(name, card))
                }
            }
        };
        let on = one.on.is_empty()
            || party.card.as_ref().is_some_and(|card| one.on.iter().any(|name| self.is_card(&name.value, card)));
        let at = !target || one.at.as_ref().is_none_or(|at| at.value.contains(attempt.dialled));
        let view = !target
            || one.view.as_ref().is_none_or(|view| match view.value {
                View::Direct => attempt.direct,
                View::Inside => !attempt.direct,
            });
        // `not` is for the place: `on` is for whoever else there is.
        let rest = one.negated && !one.on.is_empty();
        place != rest && on && at && view
    }

    /// The kinds of parties that `who` can name.
    fn classes(&self, who: &Who) -> Vec<Class> {
        let mut classes: Vec<Class> = who.members.iter().flat_map(|one| self.classes_of_one(one)).collect();
        classes.sort_unstable();
        classes.dedup();
        classes
    }

    fn classes_of_one(&self, one: &One) -> Vec<Class> {
        match &one.place.value {
            Place::Any => Class::ALL.to_vec(),
            Place::World | Place::Address(_) | Place::Mac(_) => vec![Class::Outside],
            Place::Host(_) => vec![Class::Host],
            Place::Container(_) => vec![Class::Container],
            Place::Guest(_) => vec![Class::Guest],
            Place::Instance(_) => vec![Class::Instance],
            Place::Network(_) => vec![Class::Container, Class::Instance, Class::Guest],
            Place::Name(name) => match self.sets.get(name.as_ref()) {
                Some(who) => self.classes(who),
                None => vec![Class::Outside],
            },
        }
    }

    /// Whether `who` lists an address; `None` if it lists anything but addresses.
    fn lists(&self, who: &Who, address: IpAddr) -> Option<bool> {
        let mut listed = false;
        let mut family_listed = false;
        for one in &who.members {
            match &one.place.value {
                Place::Address(range) => {
                    let range = range.unpacked();
                    family_listed |= range.family() == Family::of(address);
                    listed |= range.contains(address);
                }
                Place::Name(name) => listed |= self.lists(self.sets.get(name.as_ref())?, address)?,
                _ => return None,
            }
        }
        // An address list of one family says nothing about the other.
        (family_listed || listed).then_some(listed != who.negated)
    }

    fn says_direct(&self, rule: &FlatRule) -> bool {
        rule.clauses.iter().filter_map(|clauses| clauses.to.as_ref()).any(|who| self.says(who, View::Direct))
    }

    fn says(&self, who: &Who, view: View) -> bool {
        who.members.iter().any(|one| one.view.as_ref().is_some_and(|own| own.value == view))
    }

    /// Where a `forward` of the policy carries what is dialled.
    pub fn forwarded(&self, attempt: &Attempt) -> Option<(&Who, Option<u16>)> {
        self.forwards.iter().find_map(|forward| {
            let from =
                forward.rule.clauses.iter().all(|clauses| {
                    clauses.from.as_ref().is_none_or(|who| self.holds(who, &attempt.from, attempt, false))
                });
            let at = forward.at.is_none_or(|at| at.contains(attempt.dialled));
            let what = forward.rule.what.iter().any(|item| self.serves(item, attempt, attempt.port));
            let family = forward.rule.family.is_none_or(|family| family == Family::of(attempt.dialled));
            (from && at && what && family).then_some((&forward.to, forward.port))
        })
    }

    /// Every range of addresses that the policy's text names, once.
    pub fn address_ranges(&self) -> Vec<AddressRange> {
        let mut ranges = Vec::new();
        for rule in self.all_rules() {
            for who in rule.clauses.iter().flat_map(|clauses| clauses.from.iter().chain(&clauses.to)) {
                self.collect_ranges(who, &mut ranges);
            }
        }
        ranges.sort_unstable();
        ranges.dedup();
        ranges
    }

    fn collect_ranges(&self, who: &Who, ranges: &mut Vec<AddressRange>) {
        for one in &who.members {
            match &one.place.value {
                Place::Address(range) => ranges.push(range.unpacked()),
                Place::Name(name) => {
                    if let Some(who) = self.sets.get(name.as_ref()) {
                        self.collect_ranges(who, ranges);
                    }
                }
                _ => {}
            }
            ranges.extend(one.at.iter().map(|at| at.value));
        }
    }

    /// Every service that the policy's rules name: protocol, and a range of ports if it has them; ICMP by its types.
    pub fn services_named(&self) -> Vec<Edge> {
        let mut edges = Vec::new();
        for rule in self.all_rules() {
            for item in &rule.what {
                self.collect_services(item, &mut edges);
            }
        }
        edges.sort_unstable();
        edges.dedup();
        edges
    }

    fn collect_services(&self, item: &Item, edges: &mut Vec<Edge>) {
        match item {
            Item::Ports { protocol, ports } if ports.is_empty() => edges.push(Edge::Protocol(protocol.0)),
            Item::Ports { protocol, ports } => {
                edges.extend(ports.iter().map(|range| Edge::Ports(protocol.0, range.first, range.last)));
            }
            Item::Icmp(None) => edges.extend([Edge::Protocol(1), Edge::Protocol(58)]),
            Item::Icmp(Some(name)) => edges.extend(icmp::types(name).into_iter().map(|(v4, kind, code)| Edge::Icmp {
                v4,
                kind,
                code: code.unwrap_or(0),
            })),
            Item::Protocol(protocol) => edges.push(Edge::Protocol(protocol.0)),
            Item::Name(name) => {
                for item in self.services.get(name.as_ref()).into_iter().flatten() {
                    self.collect_services(item, edges);
                }
            }
        }
    }

    fn all_rules(&self) -> impl Iterator<Item = &FlatRule> {
        let gates = self.guests.iter().filter_map(|block| block.gates.as_ref()).flatten().map(|(_, rule)| rule);
        self.prelude.iter().chain(&self.rules).chain(&self.defaults).chain(gates)
    }
}

/// Whether a rule has `from` or `to`, itself or by a scope.
fn says_where(rule: &FlatRule) -> bool {
    rule.clauses.iter().any(|clauses| clauses.from.is_some() || clauses.to.is_some())
}

/// Where a service begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Edge {
    /// A protocol without ports, or all of one.
    Protocol(u8),
    /// A protocol's ports from one to another.
    Ports(u8, u16, u16),
    /// A type of ICMP.
    Icmp { v4: bool, kind: u8, code: u8 },
}

/// Whether a rule's `to`, or its `from`, is a container by its name.
pub fn names_container(rule: &FlatRule, to: bool) -> bool {
    let ends = rule.clauses.iter().filter_map(|clauses| if to { clauses.to.as_ref() } else { clauses.from.as_ref() });
    ends.flat_map(|who| &who.members).any(|one| matches!(one.place.value, Place::Container(Some(_))))
}

fn contains(ports: &[PortRange], port: u16) -> bool {
    ports.iter().any(|range| range.first <= port && port <= range.last)
}

/// The places of `who`, without where they are written.
fn words(who: &Who) -> String {
    let place = |one: &One| match &one.place.value {
        Place::Any => "any".to_owned(),
        Place::World => "world".to_owned(),
        Place::Name(name) => name.to_string(),
        other => {
            let on: Vec<&str> = one.on.iter().map(|name| &*name.value).collect();
            format!("{} {other:?} {on:?} {:?} {:?}", one.negated, one.at, one.view)
        }
    };
    let mut places: Vec<String> = who.members.iter().map(place).collect();
    places.sort();
    format!("{}{}", if who.negated { "not " } else { "" }, places.join(", "))
}
