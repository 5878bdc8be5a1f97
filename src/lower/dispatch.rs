//! The entry chains: which flow a packet belongs to is told from its cards, then a `goto` leads to the flow's own chain.
//! A flow that nobody mentions goes back to the platform at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use thin_vec::thin_vec;

use crate::diagnostic::{Code, Diagnostic, Level};
use crate::facts::{Backend, ForwardPolicy};
use crate::net::{AddressRange, AddressSet, Card, Family, PortSet, Protocol};
use crate::netfilter::Target;
use crate::netfilter::{
    ACCEPTED_MARK, Attached, Attachment, Effect, Hook, Match, MatchKind, Rule, TableFamily, TableKind, Verdict,
};
use crate::policy::{Action, Class, Flow, Judgement, Published, Rank, Traffic, who};
use crate::traffic;

use super::condition::Seat;
use super::{LOCAL, Program, gate, has_part, reply};

/// A reject that is a drop for IPv6.
pub static REJECT_IN_MANGLE: Code = Code {
    number: "FW0316",
    name: "reject-becomes-drop",
    level: Level::Note,
    summary: "a reject of a container's IPv6 traffic is emitted as a drop",
    explanation: "\
Docker 20.10 never leads IPv6 to the chain DOCKER-USER, and up to 26 does so only with `ip6tables` on. The one place where a deny
holds under every version is table mangle, and REJECT exists in filter alone. Unless it is known that Docker leads IPv6 to
DOCKER-USER, a `reject` of a container's IPv6 traffic is therefore a drop: just as closed, but the client waits for a time-out.

```fw
reject smtp from container to world      # note: IPv6 is dropped
```

**Instead**, say which Docker it is; from 27 on, or from 23 on with `ip6tables`, the reject is one:

```fw
fact docker.version = \"28.5.2\"
```
",
};

/// Origins of traffic that arrives: the rest, outside, comes last because only the others have cards to be told by.
const ORIGINS: [Class; 4] = [Class::Container, Class::Instance, Class::Guest, Class::Outside];

/// Docker's chain for the rules of its users: it comes first in FORWARD.
const DOCKER_USER: &str = "DOCKER-USER";

/// The chain that marks what our nft table accepts where Docker's FORWARD would drop it, and accepts it.
pub const ACCEPTED: &str = "fwc-accepted";

impl Program<'_> {
    /// What comes to the host: `to host`, and `to container` by docker-proxy's road.
    pub(super) fn input(&mut self) {
        let governed: Vec<bool> = ORIGINS.iter().map(|&from| self.governed(from, Class::Host)).collect();
        let proxied: Vec<bool> = ORIGINS.iter().map(|&from| self.divides_input(from)).collect();
        let logged = |&from: &Class| self.policy.only_logs(Flow { from, to: Class::Host });
        let gated = self.target == Target::Iptables && self.policy.gates.iter().any(gate::is_on_tap);
        let routed_gates = self.policy.gates.iter().any(|gate| !gate::is_on_tap(gate));
        if !governed.iter().chain(&proxied).any(|&yes| yes) && !gated && !routed_gates && !ORIGINS.iter().any(logged) {
            return;
        }
        let mut rules = Vec::new();
        if has_part(self.policy, "loopback") {
            let verdict = self.loopback(|flow| matches!(flow.to, Class::Host | Class::Container));
            rules.push(to(vec![Match::is(MatchKind::InInterface([Card::exact("lo")].into()))], verdict));
        }
        rules.extend(self.gate_calls(Hook::Input));
        for (index, from) in ORIGINS.into_iter().enumerate() {
            let flow = Flow { from, to: Class::Host };
            let origins = self.arrives_from(from);
            // A class without a card cannot be told, and nothing of it exists.
            if origins.is_empty() {
                continue;
            }
            if proxied[index] {
                let chain = format!("fwc-{from}-published");
                for (family, matches) in published_matches(&self.policy.containers.published) {
                    let to_containers = Flow { from, to: Class::Container };
                    let verdict = self.enter(to_containers, &chain);
                    rules.extend(each(&origins, &matches, &verdict).map(|rule| Rule { family, ..rule }));
                }
                self.published_chain(from, &chain);
            }
            if !self.governed(from, Class::Container) && governed[index] && self.input_is_known() {
                // Ports of containers, in a flow that nobody mentions: not the host's, so not the host's rules' business.
                for (family, matches) in published_matches(&self.policy.containers.published) {
                    rules.extend(each(&origins, &matches, &Verdict::Return).map(|rule| Rule { family, ..rule }));
                }
            }
            if self.policy.flows.contains_key(&flow) {
                let seat = Seat { translated: self.has_redirects(), ..Seat::new(Hook::Input, TableKind::Filter, flow) };
                let mut own = self.flow_rules(flow, &seat);
                if governed[index] {
                    self.widen_for_proxy(from, &mut own);
                }
                let chain = chain_name(flow);
                self.chain(TableFamily::Inet, TableKind::Filter, &chain, own);
                rules.extend(each(&origins, &[], &self.enter(flow, &chain)));
            }
            if !governed[index] && from != Class::Outside {
                rules.extend(each(&origins, &[], &Verdict::Return));
            }
        }
        self.entry(TableFamily::Inet, TableKind::Filter, Hook::Input, "fwc-input", rules);
    }

    /// What the host opens.
    pub(super) fn output(&mut self) {
        let spoken_of = |to| self.policy.flows.contains_key(&Flow { from: Class::Host, to });
        let routed_gates = self.policy.gates.iter().any(|gate| !gate.addresses.is_empty());
        let any = LOCAL.into_iter().chain([Class::Outside]).any(spoken_of);
        if !any && !routed_gates {
            return;
        }
        let mut rules = Vec::new();
        let lo = || Match::is(MatchKind::OutInterface([Card::exact("lo")].into()));
        if spoken_of(Class::Container) {
            rules.extend(self.sent_to_published_ports());
        }
        rules.extend(self.forwarded_from_host(&lo()));
        if has_part(self.policy, "loopback") {
            rules.push(to(vec![lo()], self.loopback(|flow| flow.from == Class::Host)));
        }
        rules.extend(self.gate_calls(Hook::Output));
        for class in LOCAL.into_iter().chain([Class::Outside]) {
            let flow = Flow { from: Class::Host, to: class };
            let targets = self.leaves_to(class);
            if targets.is_empty() {
                continue;
            }
            if class == Class::Container && self.policy.flows.contains_key(&flow) {
                let verdict = self.own_address_chain().map_or(Verdict::Return, |chain| self.enter(flow, &chain));
                rules.extend(each_of(&targets, &verdict));
            } else if self.policy.flows.contains_key(&flow) {
                let seat = Seat::new(Hook::Output, TableKind::Filter, flow);
                let own = self.flow_rules(flow, &seat);
                let chain = chain_name(flow);
                self.chain(TableFamily::Inet, TableKind::Filter, &chain, own);
                rules.extend(each_of(&targets, &self.enter(flow, &chain)));
            }
            if !self.governed(Class::Host, class) && class != Class::Outside {
                rules.extend(each_of(&targets, &Verdict::Return));
            }
        }
        self.entry(TableFamily::Inet, TableKind::Filter, Hook::Output, "fwc-output", rules);
    }

    /// What a `forward` has turned from an address of the host to another machine shows the loopback's interface on OUTPUT: the route was
    /// chosen before.
    fn forwarded_from_host(&self, lo: &Match) -> Vec<Rule> {
        let mut rules: Vec<Rule> = Vec::new();
        for nat in &self.policy.nat {
            let crate::policy::Nat::Forward { judgement, address, .. } = nat else { continue };
            if judgement.from.class != Class::Host {
                continue;
            }
            let target = AddressSet::new([AddressRange::single(*address)]);
            let matches = vec![
                lo.clone(),
                Match::is(MatchKind::Destination(target)),
                Match::is(MatchKind::DestinationTranslated),
                Match::is(MatchKind::DirectionOriginal),
            ];
            let flow = Flow { from: Class::Host, to: judgement.to.class };
            let family = Some(Family::of(*address));
            let rule = Rule { family, ..to(matches, self.enter(flow, &chain_name(flow))) };
            if !rules.contains(&rule) {
                rules.push(rule);
            }
        }
        rules
    }

    /// What becomes of the loopback's packets at a hook that these flows pass: log lines alone do not accept them, either.
    fn loopback(&self, passes: impl Fn(&Flow) -> bool) -> Verdict {
        let decides = self.policy.flows.keys().any(|flow| passes(flow) && self.policy.governs(*flow));
        if decides || !self.policy.gates.is_empty() { Verdict::Accept } else { Verdict::Return }
    }

    /// What passes through.
    pub(super) fn forward(&mut self) {
        let bridged = self.target == Target::Iptables && self.judges_bridged();
        let routed_gates = self.policy.gates.iter().any(|gate| !gate.addresses.is_empty());
        let any = self.policy.flows.keys().any(|flow| flow.from != Class::Host && flow.to != Class::Host);
        if !any && !bridged && !routed_gates {
            return;
        }
        let containers_apart = self.containers_in_mangle();
        let mut rules = self.gate_calls(Hook::Forward);
        rules.extend(self.forward_dispatch(TableKind::Filter, containers_apart));
        self.mark_accepted(&mut rules);
        if bridged {
            self.bridged_frames(&rules);
            rules.insert(0, to(vec![Match::is(MatchKind::Bridged)], goto(gate::BRIDGED)));
        }
        self.entry(TableFamily::Inet, TableKind::Filter, Hook::Forward, "fwc-forward", rules);
        if containers_apart && self.container_flows().next().is_some() {
            self.note_rejects();
            let rules = self.forward_dispatch(TableKind::Mangle, true);
            self.entry(TableFamily::Inet, TableKind::Mangle, Hook::Forward, "fwc-mangle-forward", rules);
        }
    }

    /// What lets routed traffic through for good.
    fn routed(&self) -> Verdict {
        let routes = |flow: &&Flow| flow.to != Class::Host && flow.from != Class::Host && !touches_containers(**flow);
        let mut routed = self.policy.flows.keys().filter(routes);
        let by_mark = self.target == Target::Nft
            && self.forward_drops().next().is_some()
            && (routed.any(|flow| self.allows_some(*flow)) || LOCAL.into_iter().any(|class| self.is_gated(class)));
        if by_mark { goto(ACCEPTED) } else { Verdict::Accept }
    }

    /// Whether a rule or a default of the policy allows something in a flow.
    fn allows_some(&self, flow: Flow) -> bool {
        let allows = |judgement: &Judgement| {
            judgement.action == Action::Allow && matches!(judgement.rank, Rank::Rule | Rank::Default)
        };
        self.policy.flows.get(&flow).is_some_and(|list| list.iter().any(allows))
    }

    /// Whether guests or instances of a class have rules of their own that are evaluated by their address, as routed packets are.
    fn is_gated(&self, class: Class) -> bool {
        let own = |gate: &crate::policy::Gate| who::class_of(gate.kind) == class && !gate.addresses.is_empty();
        self.policy.gates.iter().any(own)
    }

    /// Whether a routed flow carries replies to connections that the policy allows in the other direction. Without an accept of ours
    /// another owner drops them where nothing else covers the flow: Docker sets FORWARD's policy to DROP. Beside a Docker bridge
    /// an allow is RETURN, and Docker accepts the replies to what it lets through.
    pub(super) fn carries_replies(&self, flow: Flow) -> bool {
        let opposite = Flow { from: flow.to, to: flow.from };
        let routes = flow.from != Class::Host && flow.to != Class::Host && !touches_containers(flow);
        routes && has_part(self.policy, "established") && (self.allows_some(opposite) || self.is_gated(flow.from))
    }

    /// The rules of a routed flow that no rule of the policy covers: replies to what is allowed in the other direction, and new
    /// connections to which a guest's own rules have consented.
    fn carried_by_other_flows(&self, flow: Flow, origins: &[Vec<Match>], routed: &Verdict) -> Vec<Rule> {
        if touches_containers(flow) {
            return Vec::new();
        }
        let mut rules = Vec::new();
        if self.carries_replies(flow) {
            rules.push(reply(routed.clone()));
        }
        let seat = Seat { allow: routed.clone(), ..Seat::new(Hook::Forward, TableKind::Filter, flow) };
        rules.extend(self.let_in_by_gates(flow, &seat));
        let from = |origin: &Vec<Match>| {
            let before = move |rule: &Rule| {
                let matches = origin.iter().chain(&rule.matches).cloned().collect();
                Rule { matches, ..rule.clone() }
            };
            rules.iter().map(before).collect::<Vec<_>>()
        };
        origins.iter().flat_map(from).collect()
    }

    /// Where routed traffic is let through by a mark: the chain that sets it. What comes with the mark had it from elsewhere.
    fn mark_accepted(&mut self, forward: &mut Vec<Rule>) {
        let set =
            |value| Rule { effects: thin_vec![Effect::SetMark { value, mask: ACCEPTED_MARK }], ..Rule::default() };
        let table = self.table(TableKind::Filter);
        let uses = |rule: &Rule| matches!(&rule.verdict, Some(Verdict::Goto(to)) if &**to == ACCEPTED);
        if table.chains.iter().flat_map(|chain| &chain.rules).any(uses) {
            let accept = Rule { verdict: Some(Verdict::Accept), ..set(ACCEPTED_MARK) };
            self.chain(TableFamily::Inet, TableKind::Filter, ACCEPTED, vec![accept]);
            forward.insert(0, set(0));
        }
    }

    /// The families in which Docker's FORWARD drops routed traffic that no rule accepts, as far as is known.
    fn forward_drops(&self) -> impl Iterator<Item = Family> {
        let (policy, facts) = (self.policy, &self.policy.facts);
        let drops = move |family: &Family| match family {
            Family::Ipv4 => facts.forward_policy_ipv4 != Some(ForwardPolicy::Accept),
            Family::Ipv6 => match facts.forward_policy_ipv6 {
                None => traffic::ip6tables(policy) != Some(false),
                Some(known) => known == ForwardPolicy::Drop,
            },
        };
        Family::BOTH.into_iter().filter(drops).filter(|_| self.docker_user_exists())
    }

    /// A reject of a container's IPv6 traffic stands in mangle, where there is no REJECT.
    fn note_rejects(&mut self) {
        let rejects = |judgement: &&Judgement| {
            judgement.rank > Rank::Prelude
                && matches!(judgement.action, Action::Reject(_))
                && crate::policy::resolve::families(judgement).contains(&Family::Ipv6)
        };
        let flows: Vec<Flow> = self.container_flows().collect();
        let places: std::collections::BTreeSet<crate::span::Location> = flows
            .iter()
            .filter_map(|flow| self.policy.flows.get(flow))
            .flatten()
            .filter(rejects)
            .map(|judgement| judgement.location)
            .collect();
        let mut places = places.into_iter();
        let Some(first) = places.next() else { return };
        let note =
            Diagnostic::new(&REJECT_IN_MANGLE, first, "IPv6 traffic of containers is dropped here, without an answer")
                .label("IPv4 is rejected as said")
                .help(
                    "if Docker leads IPv6 to DOCKER-USER, say so: `fact docker.version = \"28.5.2\"`, its own version",
                )
                .note("before Docker 27 IPv6 is judged in table mangle, which has no REJECT");
        self.out.push(places.fold(note, |note, place| note.related(place, "and here")));
    }

    fn container_flows(&self) -> impl Iterator<Item = Flow> {
        let flows = self.policy.flows.keys().copied();
        flows.filter(|flow| flow.from != Class::Host && flow.to != Class::Host && touches_containers(*flow))
    }

    /// Where FORWARD's packets go. With `apart`, IPv6 flows of containers are judged in mangle: there a deny holds on every
    /// version of Docker, also those that never lead IPv6 to DOCKER-USER.
    fn forward_dispatch(&mut self, table: TableKind, apart: bool) -> Vec<Rule> {
        let mut rules = Vec::new();
        let routed = self.routed();
        let whole = (table == TableKind::Mangle).then_some(Family::Ipv6);
        for to_class in LOCAL.into_iter().chain([Class::Outside]) {
            let targets = self.leaves_to(to_class);
            if targets.is_empty() {
                continue;
            }
            let flows: Vec<Flow> = ORIGINS.iter().map(|&from| Flow { from, to: to_class }).collect();
            let here = |flow: &Flow| {
                let governed = self.policy.flows.contains_key(flow);
                governed && (table == TableKind::Filter || touches_containers(*flow))
                    || table == TableKind::Filter && (self.carries_replies(*flow) || self.is_gated(flow.to))
            };
            if !flows.iter().any(here) {
                if to_class != Class::Outside {
                    rules.extend(of_family(each_of(&targets, &Verdict::Return), whole));
                }
                continue;
            }
            let mut inner = Vec::new();
            for flow in flows {
                let origins = self.arrives_from(flow.from);
                if origins.is_empty() {
                    continue;
                }
                let families: &[Family] = match (table, apart && touches_containers(flow)) {
                    (TableKind::Mangle, _) => &[Family::Ipv6],
                    (_, true) => &[Family::Ipv4],
                    _ => &Family::BOTH,
                };
                let family = if let [one] = families { Some(*one) } else { None };
                let touched = table == TableKind::Filter || touches_containers(flow);
                if !self.policy.flows.contains_key(&flow) || !touched {
                    if table == TableKind::Filter {
                        inner.extend(self.carried_by_other_flows(flow, &origins, &routed));
                    }
                    if flow.from != Class::Outside {
                        inner.extend(of_family(each(&origins, &[], &Verdict::Return), whole));
                    }
                    continue;
                }
                let chain =
                    if table == TableKind::Mangle { format!("{}-m", chain_name(flow)) } else { chain_name(flow) };
                let seat = Seat {
                    allow: if touches_containers(flow) { Verdict::Return } else { routed.clone() },
                    families: families.to_vec(),
                    translated: self.has_forwards(),
                    ..Seat::new(Hook::Forward, table, flow)
                };
                let own = self.flow_rules(flow, &seat);
                self.chain(TableFamily::Inet, table, &chain, own);
                inner.extend(of_family(each(&origins, &[], &self.enter(flow, &chain)), family));
                if self.policy.only_logs(flow) {
                    if table == TableKind::Filter {
                        inner.extend(self.carried_by_other_flows(flow, &origins, &routed));
                    }
                    if flow.from != Class::Outside {
                        inner.extend(of_family(each(&origins, &[], &Verdict::Return), whole));
                    }
                    continue;
                }
                // The other family of this flow is judged in the other table; it must not fall through to another flow.
                if family.is_some() && table == TableKind::Filter && flow.from != Class::Outside {
                    inner.extend(of_family(each(&origins, &[], &Verdict::Return), Some(Family::Ipv6)));
                }
            }
            if to_class == Class::Outside {
                rules.extend(inner);
            } else {
                let chain = match table {
                    TableKind::Mangle => format!("fwc-to-{to_class}-m"),
                    _ => format!("fwc-to-{to_class}"),
                };
                self.chain(TableFamily::Inet, table, &chain, inner);
                rules.extend(of_family(each_of(&targets, &goto(&chain)), whole));
            }
        }
        rules
    }

    /// Whether IPv6 traffic of containers must be judged in mangle: with iptables, unless it is known that Docker leads IPv6 to
    /// DOCKER-USER (never in 20.10; by default from 27; up to 26 with `ip6tables` on).
    pub(super) fn containers_in_mangle(&self) -> bool {
        if self.target == Target::Nft || !self.policy.containers.used {
            return false;
        }
        let Some(docker) = &self.policy.facts.docker else { return true };
        let major = docker.version.as_ref().and_then(|version| version.split('.').next()?.parse::<u32>().ok());
        match (major, docker.ip6tables) {
            (Some(major), Some(true)) => major < 23,
            (Some(major), None) => major < 27,
            _ => true,
        }
    }

    /// The matches that tell an origin where its packets have arrived: alternatives, of which outside, the rest, asks nothing. Guests on a
    /// bridge of the host's own are told by their ports, which iptables alone sees in its tables. None: nobody can be told.
    pub(super) fn arrives_from(&self, from: Class) -> Vec<Vec<Match>> {
        let told = match from {
            Class::Outside => return vec![Vec::new()],
            _ => self.told_by(from, MatchKind::InInterface),
        };
        let ports = &self.policy.cards.guest_ports;
        let by_port = from == Class::Guest && self.target == Target::Iptables && !ports.is_empty();
        let by_port = by_port.then(|| vec![Match::is(MatchKind::InPort(ports.as_slice().into()))]);
        by_port.into_iter().chain(Some(told).filter(|matches| !matches.is_empty())).collect()
    }

    /// The matches that tell a target before a bridge has chosen a port: by the interface, and guests on a bridge of the host's own by their
    /// addresses.
    fn leaves_to(&self, to: Class) -> Vec<(Option<Family>, Vec<Match>)> {
        let told = match to {
            Class::Outside => return vec![(None, Vec::new())],
            _ => self.told_by(to, MatchKind::OutInterface),
        };
        let by_interface = Some(told).filter(|matches| !matches.is_empty()).map(|matches| (None, matches));
        let known = &self.policy.cards.guest_addresses;
        let families = Family::BOTH.into_iter().filter(|family| to == Class::Guest && known.has_family(*family));
        let by_address =
            families.map(|family| (Some(family), vec![Match::is(MatchKind::Destination(known.of_family(family)))]));
        by_interface.into_iter().chain(by_address).collect()
    }

    /// Whether facts divide INPUT for an origin: something is published, and the flow to containers is governed.
    fn divides_input(&self, from: Class) -> bool {
        self.input_is_known()
            && self.policy.flows.contains_key(&Flow { from, to: Class::Container })
            && (from == Class::Outside || !self.cards(from).is_empty())
    }

    /// Whether it is known which ports docker-proxy listens at.
    fn input_is_known(&self) -> bool {
        self.policy.containers.used && !self.policy.containers.published.is_empty() && !self.proxy_is_off()
    }

    fn published_chain(&mut self, from: Class, chain: &str) {
        let flow = Flow { from, to: Class::Container };
        let seat = Seat { proxied: true, ..Seat::new(Hook::Input, TableKind::Filter, flow) };
        let rules = self.flow_rules(flow, &seat);
        self.chain(TableFamily::Inet, TableKind::Filter, chain, rules);
    }

    /// Without facts docker-proxy's ports look like the host's. An allow to containers that names its ports lets them in on the
    /// roads that exist: IPv6 from outside, everything from containers.
    fn widen_for_proxy(&mut self, from: Class, rules: &mut Vec<Rule>) {
        if !self.policy.containers.published.is_empty() || self.proxy_is_off() || !self.policy.containers.used {
            return;
        }
        let flow = Flow { from, to: Class::Container };
        let iptables_off = self.policy.facts.docker.as_ref().and_then(|docker| docker.iptables) == Some(false);
        let families = match from {
            Class::Outside if !iptables_off => vec![Family::Ipv6],
            _ => Family::BOTH.to_vec(),
        };
        let policy = self.policy;
        let seat = Seat { proxied: true, families, ..Seat::new(Hook::Input, TableKind::Filter, flow) };
        let mut added = Vec::new();
        let mut stops: Vec<&Judgement> = Vec::new();
        for judgement in policy.flows.get(&flow).into_iter().flatten() {
            let plain = judgement.to.view.is_none() && !judgement.forwarded && judgement.to.published.is_none();
            if !plain || judgement.action == Action::Log || judgement.rank != Rank::Rule {
                continue;
            }
            if judgement.action != Action::Allow {
                stops.push(judgement);
                continue;
            }
            if judgement.traffic.iter().any(|traffic| traffic.ports.is_none()) {
                continue;
            }
            // A deny in front of the allow narrows it here, too, at the allow's ports; a deny alone must not close a port of the
            // host.
            for stop in &stops {
                let traffic = common_traffic(&stop.traffic, &judgement.traffic);
                if !traffic.is_empty() {
                    added.extend(self.judge(&Judgement { traffic: traffic.into(), ..(*stop).clone() }, &seat));
                }
            }
            added.extend(self.judge(judgement, &seat));
        }
        // Before the defaults of the flow, behind its own rules: the host's rules and these speak of different ports.
        let end = rules
            .iter()
            .rposition(|rule| rule.verdict == Some(Verdict::Drop) && rule.matches.is_empty())
            .unwrap_or(rules.len());
        let end = end.min(self.first_default(from, rules).unwrap_or(end));
        rules.splice(end..end, added);
    }

    /// Where the defaults of a flow to the host begin among its rules.
    fn first_default(&self, from: Class, rules: &[Rule]) -> Option<usize> {
        let list = self.policy.flows.get(&Flow { from, to: Class::Host })?;
        let first = list.iter().find(|judgement| judgement.rank >= Rank::Default)?;
        rules.iter().position(|rule| rule.origin == Some(first.location))
    }

    pub(super) fn has_redirects(&self) -> bool {
        self.policy.nat.iter().any(|nat| matches!(nat, crate::policy::Nat::Redirect { .. }))
    }

    fn has_forwards(&self) -> bool {
        self.policy.nat.iter().any(|nat| matches!(nat, crate::policy::Nat::Forward { .. }))
    }

    /// The jumps into our entry chains; for nft, which has none, the accept of what our table accepted.
    pub(super) fn attach(&mut self) {
        if self.target == Target::Nft {
            let chains = self.ruleset.tables.iter().flat_map(|table| &table.chains);
            if chains.into_iter().any(|chain| &*chain.name == ACCEPTED) {
                let accept = |family| Attachment {
                    family,
                    table: TableKind::Filter,
                    parent: DOCKER_USER.to_owned(),
                    rule: Attached::Accept(ACCEPTED_MARK),
                    create_parent: true,
                };
                self.ruleset.attachments = self.forward_drops().map(accept).collect();
            }
            return;
        }
        let docker = self.policy.containers.used && self.docker_user_exists();
        let mut attachments = Vec::new();
        for table in &self.ruleset.tables {
            for chain in &table.chains {
                let Some(base) = chain.base else { continue };
                for family in Family::BOTH {
                    let user = docker && base.hook == Hook::Forward && table.kind == TableKind::Filter;
                    // Without a version IPv6 is attached to FORWARD itself: 20.10 never leads it to DOCKER-USER.
                    let user = user && (family == Family::Ipv4 || !self.containers_in_mangle());
                    let parent = if user { DOCKER_USER } else { base.hook.chain() };
                    attachments.push(Attachment {
                        family,
                        table: table.kind,
                        parent: parent.to_owned(),
                        rule: Attached::Jump(chain.name.clone()),
                        create_parent: user,
                    });
                }
            }
        }
        self.ruleset.attachments = attachments;
    }

    /// Docker with its iptables backend makes DOCKER-USER; Podman and Docker without iptables or with nftables do not.
    fn docker_user_exists(&self) -> bool {
        if !self.policy.platforms.iter().any(|name| name == "docker") {
            return false;
        }
        let Some(docker) = &self.policy.facts.docker else { return true };
        docker.iptables != Some(false) && docker.firewall_backend != Some(Backend::Nftables)
    }
}

fn touches_containers(flow: Flow) -> bool {
    flow.from == Class::Container || flow.to == Class::Container
}

/// The chain of a flow.
pub(super) fn chain_name(flow: Flow) -> String {
    format!("fwc-{}-{}", flow.from, flow.to)
}

pub(super) fn goto(chain: &str) -> Verdict {
    Verdict::Goto(Arc::from(chain))
}

/// A rule for each of some alternatives, with further matches.
fn each<'a>(
    alternatives: &'a [Vec<Match>],
    more: &'a [Match],
    verdict: &'a Verdict,
) -> impl Iterator<Item = Rule> + 'a {
    alternatives.iter().map(move |own| to(own.iter().chain(more).cloned().collect(), verdict.clone()))
}

/// A rule for each of some alternatives of a family.
fn each_of<'a>(
    alternatives: &'a [(Option<Family>, Vec<Match>)],
    verdict: &'a Verdict,
) -> impl Iterator<Item = Rule> + 'a {
    alternatives.iter().map(|(family, own)| Rule { family: *family, ..to(own.clone(), verdict.clone()) })
}

/// Rules of one family, where that is said: those of the other are left out.
fn of_family(rules: impl Iterator<Item = Rule>, family: Option<Family>) -> impl Iterator<Item = Rule> {
    let fits = move |rule: &Rule| family.is_none() || rule.family.is_none() || rule.family == family;
    rules.filter(fits).map(move |rule| Rule { family: rule.family.or(family), ..rule })
}

pub(super) fn to(matches: Vec<Match>, verdict: Verdict) -> Rule {
    Rule { matches, verdict: Some(verdict), ..Rule::default() }
}

/// What docker-proxy listens for, gathered by protocol and address.
pub(super) fn published_matches(published: &[Published]) -> Vec<(Option<Family>, Vec<Match>)> {
    let mut table: BTreeMap<(Option<std::net::IpAddr>, Option<Family>, Protocol), Vec<crate::net::PortRange>> =
        BTreeMap::new();
    for one in published {
        table.entry((one.address, one.only_family(), one.protocol)).or_default().push(one.ports);
    }
    table
        .into_iter()
        .map(|((address, family, protocol), ports)| {
            let mut matches = Vec::new();
            if let Some(address) = address {
                let set = crate::net::AddressSet::new([crate::net::AddressRange::single(address)]);
                matches.push(Match::is(MatchKind::Destination(set)));
            }
            matches.push(Match::is(MatchKind::protocol(protocol)));
            matches.push(Match::is(MatchKind::DestinationPort(PortSet::new(ports))));
            (family, matches)
        })
        .collect()
}

/// What both lists speak of, where the second names its ports.
fn common_traffic(one: &[Traffic], with_ports: &[Traffic]) -> Vec<Traffic> {
    let mut common = Vec::new();
    for (left, right) in one.iter().flat_map(|left| with_ports.iter().map(move |right| (left, right))) {
        let apart = |a: Option<u8>, b: Option<u8>| a.is_some() && b.is_some() && a != b;
        let number = |traffic: &Traffic| traffic.protocol.map(|protocol| protocol.0);
        let family = |traffic: &Traffic| traffic.family.map(|family| u8::from(family == Family::Ipv6));
        if apart(number(left), number(right)) || apart(family(left), family(right)) {
            continue;
        }
        let ports = match (&left.ports, &right.ports) {
            (Some(left), Some(right)) => Some(left.intersection(right)),
            (_, right) => right.clone(),
        };
        if ports.as_ref().is_none_or(|ports| !ports.is_empty()) {
            common.push(Traffic { ports, family: left.family.or(right.family), ..right.clone() });
        }
    }
    common
}
