//! From trees to the policy: scopes and groups unfolded, names resolved, each statement split over the flows that it judges.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use rustc_hash::FxHashSet;

use crate::diagnostic::{Code, Diagnostic, Level};
use crate::facts::{self, Facts};
use crate::library;
use crate::names::closest as nearest;
use crate::names::{dscp, helper, reject, syslog};
use crate::net::{AddressSet, Card, Family, PortSet};
use crate::netfilter::Reject;
use crate::platform;
use crate::policy::names::{Names, TOO_MANY_RULES, at, find, too_deep};
use crate::policy::who::{self, Places, Role};
use crate::policy::{
    Action, Assertion, CardSet, Change, ChangeKind, Class, Containers, Early, Flow, Gate, GateLine, Group, Judgement,
    Limit, LiveSet, LocalCards, Log, Nat, Options, Party, Policy, Published, Rank, RawChain, Traffic, service,
};
use crate::project::{ImportKind, Project};
use crate::span::{FileId, Location, Spanned};
use crate::syntax::tree::{
    self, Clauses, Direction, GuestKind, InterfaceValue, LimitAmount, Name, Place, RateUnit, Rule, RuleOption,
    Sentence, SetValue, Statement, StatementKind, Who,
};

/// An allow that does not say to whom.
pub static ALLOW_TO_WHOM: Code = Code {
    number: "FW0201",
    name: "allow-to-whom",
    level: Level::Error,
    summary: "an `allow` does not say what it opens",
    explanation: "A deny without `to` means everywhere; an allow without it would open the host, every container and every network behind\nit. So it must be said.\n\n```fw\nallow ssh from office             # error: to whom?\nallow ssh from office to host\n```\n\nInside a block the block may say it: `to host { allow ssh from office }`.",
};

/// An allow of everything from everyone that may be half a sentence.
pub static ALLOW_EVERYTHING: Code = Code {
    number: "FW0202",
    name: "allow-everything",
    level: Level::Error,
    summary: "an `allow` names neither a service nor an origin",
    explanation: "`allow to container` opens everything to everyone. That is rarely what is meant, and more often a sentence that was not\nfinished.\n\n```fw\nallow to container                # error\nallow from any to container       # says that it is meant\nallow https to container\n```",
};

/// A clause that the block around has said already.
pub static CLAUSE_SAID_TWICE: Code = Code {
    number: "FW0203",
    name: "clause-said-twice",
    level: Level::Error,
    summary: "a rule says `from`, `to` or `via` although its block says it",
    explanation: "```fw\nto host {\n    allow https to container     # error: the block says `to host`\n}\n```\n\nMove the rule out of the block, or take the clause out of the rule.",
};

/// `via` on traffic that does not cross just one card.
pub static VIA_CROSSES_NOTHING: Code = Code {
    number: "FW0204",
    name: "via-without-crossing",
    level: Level::Error,
    summary: "`via` on traffic that does not cross between outside and this machine",
    explanation: "`via` names the card where a connection crosses between outside and this machine. Routed traffic crosses two cards, so each\nend says its own:\n\n```fw\nallow https from lan to wan via wan            # error\nallow https from lan to wan\nallow https from office on wg0 to world on lan\n```\n\nTraffic between two places on this machine crosses none.",
};

/// Something that belongs elsewhere.
pub static MISPLACED_STATEMENT: Code = Code {
    number: "FW0205",
    name: "statement-in-wrong-block",
    level: Level::Error,
    summary: "a statement that cannot stand where it stands",
    explanation: "Declarations, `use`, `include`, NAT and defaults stand at the top of a file, not inside a block.\n\n```fw\nto host {\n    set office = { 198.51.100.0/24 }   # error\n}\n```\n\nMove it out of the block.",
};

/// A group that nobody declares.
pub static UNKNOWN_GROUP: Code = Code {
    number: "FW0120",
    name: "unknown-group",
    level: Level::Error,
    summary: "`apply` of a group that nothing declares",
    explanation: "```fw\ngroup web { allow https }\nto host { apply wbe }       # error: did you mean `web`?\n```\n\nCorrect the name, or declare the group.",
};

/// A group that applies itself.
pub static GROUP_CYCLE: Code = Code {
    number: "FW0121",
    name: "group-cycle",
    level: Level::Error,
    summary: "a group applies itself",
    explanation: "```fw\ngroup a { apply b }\ngroup b { apply a }     # error\n```\n\nA group may apply others, but not, by whatever road, itself.",
};

/// A platform that does not exist.
pub static UNKNOWN_PLATFORM: Code = Code {
    number: "FW0122",
    name: "unknown-platform",
    level: Level::Error,
    summary: "`use` of a name that the standard library does not have",
    explanation: "```fw\nuse dokcer        # error: did you mean `docker`?\n```\n\n`use` brings in a platform of the standard library (`docker`, `lxd`, `incus`, `libvirt`, `podman`, …), or says which parts\nof the prelude are not wanted: `use prelude except dhcp-client`.",
};

/// A word that names no known thing.
pub static UNKNOWN_WORD: Code = Code {
    number: "FW0123",
    name: "unknown-word",
    level: Level::Error,
    summary: "a reject kind, log level, DSCP class, helper or prelude part that does not exist",
    explanation: "```fw\nreject with host-prohibitted to host   # error: did you mean `host-prohibited`?\n```\n\nThese words are netfilter's own: reject kinds (`port-unreachable`, `host-prohibited`, `tcp-reset`, …), syslog levels\n(`debug`, `info`, …), DSCP classes (`ef`, `af11`, `cs1`, …), conntrack helpers (`ftp`, `sip`, …).",
};

/// An `early` rule that compares what is not known so early.
pub static EARLY_TOO_RICH: Code = Code {
    number: "FW0206",
    name: "early-too-rich",
    level: Level::Error,
    summary: "an `early` rule may only deny addresses",
    explanation: "`early` judges every packet before connection tracking: only where it comes from (and its card) is known there.\n\n```fw\ndeny ssh from blocked early        # error\ndeny from blocked early\n```\n\nTake the service, target and options out, or the word `early`.",
};

/// A `forward` that does not say where to.
pub static FORWARD_WHERE: Code = Code {
    number: "FW0207",
    name: "forward-target",
    level: Level::Error,
    summary: "a `forward` needs one known address as its target",
    explanation: "Destination NAT writes one address into the packet. It must be known when the policy is built.\n\n```fw\nforward tcp 2222 from wan to 192.168.2.5 port 22\nforward tcp 25565 from wan to instance games      # needs the instance's fixed address\n```\n\nGive the address in the declaration (`instance games on lxdbr0 address 10.10.10.5`) or in fwc.facts.json.",
};

/// NAT or a change for a flow where the kernel has no place for it.
pub static CHANGE_NOT_POSSIBLE: Code = Code {
    number: "FW0208",
    name: "change-not-possible",
    level: Level::Error,
    summary: "a NAT statement or change for traffic that does not pass the place where it would happen",
    explanation: "`masquerade` happens on departure to outside; `forward` and `redirect` on arrival; `clamp mss` for forwarded TCP.\n\n```fw\nmasquerade from lan to host     # error: it never leaves\nmasquerade from lan to wan\n```",
};

/// Traffic that an address family rules out.
pub static FAMILIES_NEVER_MEET: Code = Code {
    number: "FW0209",
    name: "families-never-meet",
    level: Level::Error,
    summary: "the parts of a rule are of different address families",
    explanation: "A packet is IPv4 or IPv6. A rule from an IPv4 address to an IPv6 address matches none.\n\n```fw\nallow ssh from 10.1.1.1 to host at 2001:db8::10      # error\nallow ipv6 ping from 198.51.100.0/24 to host         # error\n```\n\nGive both ends addresses of the same family, or take the word out.",
};

/// The prelude's parts that connection states stand for; the rest is written in the language.
const STATE_PARTS: [&str; 3] = ["loopback", "established", "invalid"];

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
    from: Vec<Arc<Party>>,
    to: Vec<Arc<Party>>,
    via: Option<Arc<CardSet>>,
    from_said: bool,
    to_said: bool,
    /// What stands behind `to`.
    target: Option<Location>,
}

/// Resolves a project to its policy. Faulty statements are reported and left out; every other one is resolved.
#[must_use]
pub fn resolve(project: &Project) -> (Policy, Vec<Diagnostic>) {
    let mut out = Vec::new();
    let names = Names::collect(project, &mut out);
    let mut facts = gather_facts(project, &mut out);
    declared_facts(project, &names, &mut facts, &mut out);
    let platforms = platforms(&names, &facts, &mut out);
    let cards = local_cards(&names, &facts, &platforms);
    let known_cards = known_cards(&names, &facts, &cards);
    let classes = classes(&names, &platforms, &cards);
    let mut resolver = Resolver {
        places: Places::new(project, &names, &facts, &cards, &known_cards),
        classes,
        policy: Policy { platforms, ..Policy::default() },
        out,
        statement: 0,
        raw: 0,
        no_options: Arc::default(),
        all_traffic: Arc::from([Traffic::ALL]),
        applied: 0,
    };
    resolver.prelude();
    for &(file, statement) in &names.statements {
        resolver.statement(file, statement, Context::default(), &mut Vec::new(), true);
    }
    let Resolver { mut policy, mut out, .. } = resolver;
    finish_flows(&mut policy);
    names.unused(&mut out);
    policy.containers = containers(&facts, &policy);
    policy.cards = cards;
    name_facts(&mut policy, &names, &facts, &mut out);
    policy.facts = facts;
    (policy, out)
}

/// Facts from `fwc.facts.json` and from compose files.
fn gather_facts(project: &Project, out: &mut Vec<Diagnostic>) -> Facts {
    let mut facts = Facts::default();
    if let Some(file) = project.facts {
        let (read, diagnostics) = facts::json::read(project.text(file), file);
        facts = read;
        out.extend(diagnostics);
    }
    for import in project.imports.iter().filter(|import| import.kind == ImportKind::Compose) {
        let environment = import.environment.map(|file| project.text(file));
        for &file in &import.files {
            let (read, diagnostics) = facts::compose::read(project.text(file), environment, file);
            out.extend(diagnostics);
            // What a compose file says is nearer to the policy than what was once recorded on the host.
            let (merged, diagnostics) = read.merge(facts);
            facts = merged;
            out.extend(diagnostics);
        }
    }
    facts
}

/// Facts said in source: `fact`, `container`, `network`. They go before what a file says.
fn declared_facts<'a>(project: &'a Project, names: &Names<'a>, facts: &mut Facts, out: &mut Vec<Diagnostic>) {
    for &(file, statement) in &names.statements {
        match &statement.value {
            StatementKind::Fact(fact) => out.extend(facts::declared::declare(facts, fact, file)),
            StatementKind::Container(container) => declared_container(project, file, container, facts, names, out),
            _ => {}
        }
    }
}

fn declared_container<'a>(
    project: &'a Project,
    file: FileId,
    node: &tree::Container,
    facts: &mut Facts,
    names: &Names<'a>,
    out: &mut Vec<Diagnostic>,
) {
    let empty = Facts::default();
    let cards = LocalCards::default();
    let places = Places::new(project, names, &empty, &cards, &[]);
    let own = node.address.as_ref().map(|who| places.own(file, who, out));
    let addresses = own.iter().flat_map(|set| set.ranges()).map(|range| range.first).collect();
    let mut ports = Vec::new();
    for publish in &node.publish {
        for traffic in service::traffic(names, file, std::slice::from_ref(&publish.item), out).iter() {
            let (Some(protocol), Some(set)) = (traffic.protocol, &traffic.ports) else {
                out.push(
                    Diagnostic::new(
                        &who::MISPLACED_WORD,
                        at(file, publish.item.span),
                        "`publish` needs a protocol and ports",
                    )
                    .help("as in `publish tcp 443`"),
                );
                continue;
            };
            ports.extend(set.ranges().iter().map(|range| facts::PublishedPort {
                protocol: protocol.to_string(),
                address: publish.at.as_ref().map(|at| at.value.first),
                port: Some(range.first),
                last_port: (range.last > range.first).then_some(range.last),
                container_port: publish.to.as_ref().map_or(range.first, |to| to.value),
                ingress: false,
                one_of_range: false,
                location: Some(at(file, publish.item.span)),
            }));
        }
    }
    let docker = facts.docker.get_or_insert_default();
    if let Some(network) = names.networks.get(&*node.network.value) {
        find(&names.networks, &node.network.value);
        let own = network.node.address.as_ref().map(|who| places.own(network.file, who, out));
        let prefixes = own.iter().flat_map(|set| set.ranges()).filter_map(crate::net::AddressRange::prefix).collect();
        docker.networks.entry(node.network.value.to_string()).or_insert_with(|| facts::DockerNetwork {
            bridge: network.node.cards.first().map(|card| card.value.to_string()),
            subnets: prefixes,
            location: Some(network.location),
            ..facts::DockerNetwork::default()
        });
    }
    docker.containers.insert(
        node.name.value.to_string(),
        facts::DockerContainer {
            networks: vec![node.network.value.to_string()],
            addresses,
            ports,
            location: Some(at(file, node.name.span)),
            ..facts::DockerContainer::default()
        },
    );
}

/// The platforms in use: by `use`, or implied by what the policy speaks of.
fn platforms(names: &Names<'_>, facts: &Facts, out: &mut Vec<Diagnostic>) -> Vec<String> {
    let mut used = BTreeSet::new();
    for &(file, statement) in &names.statements {
        let StatementKind::Use(node) = &statement.value else { continue };
        let name = &*node.name.value;
        if name == "prelude" {
            continue;
        }
        if platform::Platform::load(name).is_some() {
            used.insert(name.to_owned());
        } else {
            let here = at(file, node.name.span);
            let mut fault = Diagnostic::new(&UNKNOWN_PLATFORM, here, format!("the standard library has no `{name}`"));
            let known: Vec<&str> = platform::Platform::names().collect();
            fault = match nearest(name, known.iter().copied().chain(["prelude"])) {
                Some(near) => fault.fix(format!("did you mean `{near}`?"), here, near),
                None => fault.help(format!("it has {}", known.join(", "))),
            };
            out.push(fault);
        }
    }
    let spoken = spoken_classes(names);
    let has = |used: &BTreeSet<String>, class: Class| {
        used.iter().filter_map(|name| platform::Platform::load(name)).any(|platform| class_of(platform) == Some(class))
    };
    if facts.docker.is_some() || (spoken.contains(&Class::Container) && !has(&used, Class::Container)) {
        used.insert("docker".to_owned());
    }
    if facts.podman.is_some() {
        used.insert("podman".to_owned());
    }
    if spoken.contains(&Class::Instance) && !has(&used, Class::Instance) {
        used.extend(["lxd".to_owned(), "incus".to_owned()]);
    }
    used.into_iter().collect()
}

/// The classes on this machine that the source mentions by their words.
fn spoken_classes(names: &Names<'_>) -> FxHashSet<Class> {
    fn who(found: &mut FxHashSet<Class>, list: Option<&Who>) {
        for one in list.iter().flat_map(|who| &who.members) {
            match one.place.value {
                Place::Container(_) => found.insert(Class::Container),
                Place::Instance(_) => found.insert(Class::Instance),
                Place::Guest(_) => found.insert(Class::Guest),
                _ => false,
            };
        }
    }
    fn clauses(found: &mut FxHashSet<Class>, clauses: &Clauses) {
        who(found, clauses.from.as_ref());
        who(found, clauses.to.as_ref());
    }
    fn statement(found: &mut FxHashSet<Class>, node: &StatementKind) {
        match node {
            StatementKind::Rule(rule) | StatementKind::Default(rule) | StatementKind::Assert(rule) => {
                clauses(found, &rule.sentence.clauses);
            }
            StatementKind::Change(change) => clauses(found, &change.sentence.clauses),
            StatementKind::Nat(nat) => match &**nat {
                tree::Nat::Masquerade { sentence, .. }
                | tree::Nat::Forward { sentence, .. }
                | tree::Nat::Redirect { sentence, .. } => clauses(found, &sentence.clauses),
            },
            StatementKind::Scope(scope) => {
                clauses(found, &scope.clauses);
                scope.body.iter().for_each(|inner| statement(found, &inner.value));
            }
            StatementKind::Group(group) => group.body.iter().for_each(|inner| statement(found, &inner.value)),
            StatementKind::Set(set) => {
                if let SetValue::Who(members) = &set.value {
                    who(found, Some(members));
                }
            }
            StatementKind::Guest(guest) => {
                found.insert(who::class_of(guest.kind));
                for gate in guest.gates.iter().flatten() {
                    statement(found, &gate.statement.value);
                }
            }
            StatementKind::Container(_) => {
                found.insert(Class::Container);
            }
            _ => {}
        }
    }
    let mut found = FxHashSet::default();
    for (_, node) in &names.statements {
        statement(&mut found, &node.value);
    }
    found
}

/// The cards of each class: from facts where they say all, otherwise the platforms' patterns too.
fn local_cards(names: &Names<'_>, facts: &Facts, platforms: &[String]) -> LocalCards {
    let mut cards = LocalCards::default();
    for platform in platforms.iter().filter_map(|name| platform::Platform::load(name)) {
        let all_known = class_of(platform) == Some(Class::Container)
            && facts.docker.as_ref().is_some_and(|docker| {
                docker.complete
                    && docker.networks.values().all(|network| network.bridge.is_some() || !is_bridge(network))
            });
        let list = match class_of(platform) {
            Some(Class::Container) => &mut cards.container,
            Some(Class::Instance) => &mut cards.instance,
            Some(Class::Guest) => &mut cards.guest,
            _ => continue,
        };
        if !all_known {
            list.extend(platform.bridges.iter().cloned());
        }
    }
    let docker = facts.docker.iter().flat_map(|docker| docker.networks.values());
    let podman = facts.podman.iter().flat_map(|podman| podman.networks.values());
    for network in docker.chain(podman).filter(|network| is_bridge(network)) {
        add_card(&mut cards.container, network.bridge.as_deref());
    }
    for bridge in facts.instances.iter().flat_map(|instances| instances.bridges.keys()) {
        add_card(&mut cards.instance, Some(bridge));
    }
    for bridge in facts.libvirt.iter().flat_map(|libvirt| libvirt.bridges.keys()) {
        add_card(&mut cards.guest, Some(bridge));
    }
    for (_, statement) in &names.statements {
        match &statement.value {
            StatementKind::Guest(node) if node.kind == GuestKind::Instance => {
                for card in &node.cards {
                    add_card(&mut cards.instance, Some(&card.value.to_string()));
                }
            }
            StatementKind::Network(node) => {
                for card in &node.cards {
                    if cards.class_of(&card.value).is_none() {
                        cards.container.push(card.value.clone());
                    }
                }
            }
            _ => {}
        }
    }
    // What the author calls an interface is outside, also where a platform's pattern would take it (`br-lan`).
    for declared in names.interfaces.values() {
        let Some(InterfaceValue::Cards(list)) = declared.node.value.as_ref().map(|value| &value.value) else {
            continue;
        };
        for card in list {
            let own_bridge = [&cards.container, &cards.instance, &cards.guest]
                .into_iter()
                .any(|known| known.iter().any(|known| *known == card.value));
            if !own_bridge && cards.class_of(&card.value).is_some() {
                cards.outside.push(card.value.clone());
            }
        }
    }
    for list in [&mut cards.container, &mut cards.instance, &mut cards.guest, &mut cards.outside] {
        list.sort();
        list.dedup();
        let all = list.clone();
        list.retain(|card| !all.iter().any(|other| other != card && other.covers(card)));
    }
    cards
}

fn class_of(platform: &platform::Platform) -> Option<Class> {
    platform.class.map(|class| match class {
        platform::Class::Container => Class::Container,
        platform::Class::Instance => Class::Instance,
        platform::Class::Guest => Class::Guest,
    })
}

fn backend_name(backend: facts::Backend) -> &'static str {
    match backend {
        facts::Backend::Iptables => "iptables",
        facts::Backend::Nftables => "nftables",
    }
}

fn is_bridge(network: &facts::DockerNetwork) -> bool {
    network.driver.as_deref().is_none_or(|driver| driver == "bridge")
}

fn add_card(list: &mut Vec<Card>, name: Option<&str>) {
    if let Some(name) = name {
        let card = Card::parse(name);
        if !list.iter().any(|known| known.covers(&card)) {
            list.push(card);
        }
    }
}

/// Every card that something names: what an unknown default route is not.
fn known_cards(names: &Names<'_>, facts: &Facts, cards: &LocalCards) -> Vec<Card> {
    let mut known = vec![Card::exact("lo")];
    known.extend(cards.container.iter().chain(&cards.instance).chain(&cards.guest).cloned());
    for declared in names.interfaces.values() {
        if let Some(InterfaceValue::Cards(list)) = declared.node.value.as_ref().map(|value| &value.value) {
            known.extend(list.iter().map(|card| card.value.clone()));
        }
    }
    for guest in names.guests.values() {
        known.extend(guest.node.cards.iter().map(|card| card.value.clone()));
    }
    let _ = facts;
    known.sort();
    known.dedup();
    known
}

/// The classes that exist on this host: flows with others are not judged.
fn classes(names: &Names<'_>, platforms: &[String], cards: &LocalCards) -> Vec<Class> {
    let spoken = spoken_classes(names);
    let mut classes = vec![Class::Outside, Class::Host];
    let used = |class| {
        platforms
            .iter()
            .filter_map(|name| platform::Platform::load(name))
            .any(|platform| class_of(platform) == Some(class))
    };
    for (class, list) in
        [(Class::Container, &cards.container), (Class::Instance, &cards.instance), (Class::Guest, &cards.guest)]
    {
        if used(class) || spoken.contains(&class) || !list.is_empty() {
            classes.push(class);
        }
    }
    classes
}

/// Published ports and routed bridges, from facts.
fn containers(facts: &Facts, policy: &Policy) -> Containers {
    let used = policy
        .platforms
        .iter()
        .filter_map(|name| platform::Platform::load(name))
        .any(|platform| class_of(platform) == Some(Class::Container));
    let docker = facts.docker.iter().flat_map(|docker| &docker.containers);
    let podman = facts.podman.iter().flat_map(|podman| &podman.containers);
    let published: Vec<Published> =
        docker.chain(podman).flat_map(|(name, container)| who::published_by(name, container)).collect();
    let routed = facts.docker.iter().flat_map(|docker| docker.networks.values());
    let routed = routed.filter(|network| {
        network.gateway_mode_ipv4.as_deref() == Some("routed") || network.gateway_mode_ipv6.as_deref() == Some("routed")
    });
    let routed_bridges = routed.filter_map(|network| network.bridge.clone().map(Card::exact)).collect();
    Containers { used, published, routed_bridges }
}

/// Puts each flow's judgements into deciding order and adds the deny that ends a flow with an allow.
fn finish_flows(policy: &mut Policy) {
    // The prelude does not count as mentioning a flow.
    policy.flows.retain(|_, judgements| judgements.iter().any(|judgement| judgement.rank > Rank::Prelude));
    for (flow, judgements) in &mut policy.flows {
        // Stable: rules keep source order; defaults go from the more specific to the more general.
        judgements.sort_by_key(|judgement| {
            let narrowness = if judgement.rank == Rank::Default { specificity(judgement) } else { 0 };
            (judgement.rank, std::cmp::Reverse(narrowness))
        });
        let rules = || judgements.iter().filter(|judgement| judgement.rank > Rank::Prelude);
        let whole = |judgement: &Judgement| {
            judgement.rank == Rank::Default
                && judgement.action != Action::Log
                && judgement.from.is_whole_class()
                && judgement.to.is_whole_class()
                && judgement.via.is_none()
                && judgement.family.is_none()
                && *judgement.traffic == [Traffic::ALL]
                && judgement.options.limit.is_none()
                && judgement.options.during.is_none()
                && judgement.options.source_ports.is_none()
        };
        let Some(first) = rules().find(|judgement| judgement.action == Action::Allow && judgement.rank == Rank::Rule)
        else {
            continue;
        };
        if rules().any(whole) {
            continue;
        }
        // The allow closes what it speaks of: the cards of its `via`, or the whole flow.
        let mut via = Some(CardSet::only(Vec::new()));
        for allow in rules().filter(|judgement| judgement.action == Action::Allow) {
            via = match (via, &allow.via) {
                (Some(all), Some(more)) => Some(who::unite(all, CardSet::clone(more))),
                _ => None,
            };
        }
        let end = Judgement {
            statement: u32::MAX,
            rank: Rank::End,
            action: Action::Deny,
            family: None,
            traffic: Arc::from([Traffic::ALL]),
            from: Arc::new(Party::of(flow.from)),
            to: Arc::new(Party::of(flow.to)),
            via: via.map(Arc::new),
            options: Arc::default(),
            forwarded: false,
            location: first.location,
            target: None,
        };
        judgements.push(end);
    }
}

/// How much a default says: the more, the earlier it stands.
fn specificity(judgement: &Judgement) -> usize {
    let party = |party: &Party| {
        usize::from(party.cards.is_some())
            + 2 * usize::from(
                party.addresses.is_some() || party.live.is_some() || !party.macs.is_empty() || party.user.is_some(),
            )
            + 3 * usize::from(party.member.is_some())
            + usize::from(party.at.is_some())
            + usize::from(!party.except.is_empty())
    };
    party(&judgement.from)
        + party(&judgement.to)
        + usize::from(judgement.via.is_some())
        + usize::from(judgement.family.is_some())
        + 2 * usize::from(*judgement.traffic != [Traffic::ALL])
}

/// Notes the facts that the policy rests on, and warns where one that matters is missing.
fn name_facts(policy: &mut Policy, names: &Names<'_>, facts: &Facts, out: &mut Vec<Diagnostic>) {
    let asked = names.interfaces.values().find_map(|declared| {
        let value = declared.node.value.as_ref()?;
        (value.value == InterfaceValue::DefaultRoute && declared.used.get())
            .then(|| (declared.node.name.value.clone(), Location { file: declared.file, span: value.span }))
    });
    if let Some((name, location)) = asked {
        match &facts.default_route {
            Some(card) => policy.facts_used.push(format!("default route: {card}")),
            None => out.push(
                Diagnostic::new(&DEFAULT_ROUTE, location, format!("no fact says which card `{name}` is"))
                    .label("taken as every card that nothing else names")
                    .help(format!("write the card: `interface {name} = eth0`, or `fact default-route = eth0`")),
            ),
        }
    }
    if let Some(docker) = &facts.docker {
        let mut used = Vec::new();
        used.extend(docker.version.as_ref().map(|version| format!("version {version}")));
        used.extend(docker.firewall_backend.map(|backend| format!("firewall backend {}", backend_name(backend))));
        let switches =
            [("userland-proxy", docker.userland_proxy), ("iptables", docker.iptables), ("ip6tables", docker.ip6tables)];
        used.extend(
            switches
                .iter()
                .filter_map(|(name, value)| Some(format!("{name} {}", if (*value)? { "on" } else { "off" }))),
        );
        if !used.is_empty() {
            policy.facts_used.push(format!("Docker: {}", used.join(", ")));
        }
    }
    for published in &policy.containers.published {
        let address = published.address.map(|address| format!(" at {address}")).unwrap_or_default();
        policy.facts_used.push(format!(
            "container {} publishes {} {}{address} to {}",
            published.container, published.protocol, published.ports, published.container_ports
        ));
    }
}

use crate::policy::who::DEFAULT_ROUTE_UNKNOWN as DEFAULT_ROUTE;

struct Resolver<'r, 'a> {
    places: Places<'r, 'a>,
    classes: Vec<Class>,
    policy: Policy,
    out: Vec<Diagnostic>,
    statement: u32,
    raw: usize,
    /// What nearly every rule has; shared.
    no_options: Arc<Options>,
    all_traffic: Arc<[Traffic]>,
    /// Statements that stand in applied groups, counted each time.
    applied: usize,
}

impl<'a> Resolver<'_, 'a> {
    /// The prelude: its parts that are written in the language go to every flow that they speak of; parts that stand for
    /// connection states are noted by name.
    fn prelude(&mut self) {
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
        for (file, group) in groups {
            if &*group.name.value == "invalid" {
                self.policy.invalid_after = self.statement;
            }
            if STATE_PARTS.contains(&&*group.name.value) || unwanted.contains(&group.name.value) {
                continue;
            }
            for statement in &group.body {
                self.prelude_statement(file, statement, Context::default());
            }
        }
        let behind = |class| matches!(class, Class::Guest | Class::Instance);
        let flows = self.policy.flows.iter().filter(|(flow, _)| behind(flow.from) || behind(flow.to));
        self.policy.gate_prelude = flows.flat_map(|(_, list)| list.iter().cloned()).collect();
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
                self.raw += 1;
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
        let from = match (&clauses.from, outer.from) {
            (Some(who), None) => Some((file, who)),
            (Some(who), Some(_)) => {
                twice("from", who.span);
                None
            }
            (None, from) => from,
        };
        let to = match (&clauses.to, outer.to) {
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
        let mut resolve = |said: Option<(FileId, &'a Who)>, role, default: &[Class]| match said {
            Some((file, who)) => match self.places.parties(file, who, role, &mut self.out) {
                Some(parties) => parties,
                None => {
                    failed = true;
                    Vec::new()
                }
            },
            None => default.iter().map(|class| self.places.everyone(*class)).collect(),
        };
        let mut from = resolve(context.from, Role::From, nobody);
        let mut to = resolve(context.to, Role::To, &Class::ALL);
        let via = context.via.map(|(file, cards)| Arc::new(self.places.card_set(file, cards, &mut self.out)));
        if failed || self.out.get(before..).is_some_and(|new| new.iter().any(Diagnostic::is_error)) {
            return None;
        }
        from.retain(|party| self.classes.contains(&party.class));
        to.retain(|party| self.classes.contains(&party.class));
        let target = context.to.map(|(file, who)| at(file, who.span));
        Some(Ends { from, to, via, from_said: context.from.is_some(), to_said: context.to.is_some(), target })
    }

    fn rule(&mut self, file: FileId, span: crate::span::Span, rule: &'a Rule, context: Context<'a>, default: bool) {
        let here = at(file, span);
        // `default deny` alone governs what comes from outside; every other omission means anyone.
        let said_to = rule.sentence.clauses.to.is_some() || context.to.is_some();
        let anyone: &[Class] = if default && !said_to { &[Class::Outside] } else { &Class::ALL };
        let Some(action) = self.action(file, &rule.action) else { return };
        let Some(ends) = self.ends(file, &rule.sentence.clauses, context, anyone) else { return };
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
        for (flow, judgement) in judgements {
            self.policy.flows.entry(flow).or_default().push(judgement);
        }
    }

    /// Whether an allow says to whom, and does not open everything by omission.
    fn complete_allow(&mut self, here: Location, rule: &Rule, ends: &Ends) -> bool {
        if !ends.to_said {
            let end =
                Location { file: here.file, span: crate::span::Span { start: here.span.end, end: here.span.end } };
            let mut fault =
                Diagnostic::new(&ALLOW_TO_WHOM, here, "this `allow` does not say to whom").label("`to` is missing");
            fault = if rule.sentence.clauses.via.is_empty() && rule.options.is_empty() {
                fault.fix("say what it opens, for example the host", end, " to host")
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
    ) -> Vec<(Flow, Judgement)> {
        let errors = self.out.len();
        let traffic: Arc<[Traffic]> = if sentence.what.is_empty() {
            self.all_traffic.clone()
        } else {
            service::traffic(self.places.names, file, &sentence.what, &mut self.out)
        };
        if traffic.is_empty() || self.out.get(errors..).is_some_and(|new| new.iter().any(Diagnostic::is_error)) {
            return Vec::new();
        }
        let family = sentence.family.as_ref().map(|family| family.value);
        self.statement += 1;
        let mut list = Vec::new();
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
            None => fault.help(format!("one of {}", known.join(", "))),
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
                traffic: Arc::from([Traffic::ALL]),
                from,
                to: self.places.everyone(Class::Host),
                via: ends.via.clone(),
                options: Arc::new(options.clone()),
                forwarded: false,
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
        let Some(ends) = self.ends(file, &rule.sentence.clauses, context, &Class::ALL) else { return };
        let judgements = self.judgements(file, here, &rule.sentence, ends, action, Rank::Rule, Arc::default());
        self.policy.assertions.push(Assertion { judgements, location: here });
    }

    fn change(&mut self, file: FileId, span: crate::span::Span, change: &'a tree::Change, context: Context<'a>) {
        let here = at(file, span);
        let kind_place = at(file, change.kind.span);
        let kind = match &change.kind.value {
            tree::ChangeKind::Mark(mark) => ChangeKind::Mark(*mark),
            tree::ChangeKind::Dscp(name) => match dscp::lookup(name) {
                Some(class) => ChangeKind::Dscp(class),
                None => {
                    self.unknown_word(kind_place, "there is no DSCP class", name, &dscp::names().collect::<Vec<_>>());
                    return;
                }
            },
            tree::ChangeKind::ClampMss => ChangeKind::ClampMss,
            tree::ChangeKind::Notrack => ChangeKind::Notrack,
            tree::ChangeKind::Helper(name) => {
                if helper::lookup(name).is_empty() {
                    self.unknown_word(
                        kind_place,
                        "the kernel has no conntrack helper",
                        name,
                        &helper::names().collect::<Vec<_>>(),
                    );
                    return;
                }
                ChangeKind::Helper(Arc::from(&**name))
            }
        };
        let Some(ends) = self.ends(file, &change.sentence.clauses, context, &Class::ALL) else { return };
        let to_said = ends.to_said;
        let judgements = self.judgements(file, here, &change.sentence, ends, Action::Log, Rank::Rule, Arc::default());
        let mut possible = false;
        for (flow, judgement) in judgements {
            let forwarded = flow.from != Class::Host && flow.to != Class::Host;
            if kind == ChangeKind::ClampMss && !forwarded {
                continue;
            }
            possible = true;
            self.policy.changes.push(Change { kind: kind.clone(), flow, judgement });
        }
        if !possible && to_said {
            self.out.push(
                Diagnostic::new(
                    &CHANGE_NOT_POSSIBLE,
                    here,
                    "this traffic does not pass the place where the change happens",
                )
                .help("`clamp mss` is for forwarded traffic: `clamp mss from lan to wan`"),
            );
        }
    }

    fn nat(&mut self, file: FileId, span: crate::span::Span, nat: &'a tree::Nat) {
        let here = at(file, span);
        match nat {
            tree::Nat::Masquerade { sentence, address } => {
                let Some(ends) = self.ends(file, &sentence.clauses, Context::default(), &Class::ALL) else { return };
                let address = match address {
                    None => None,
                    Some(range) if range.value.first == range.value.last => Some(range.value.first),
                    Some(range) => {
                        self.out.push(
                            Diagnostic::new(&CHANGE_NOT_POSSIBLE, at(file, range.span), "`as` takes one address")
                                .help("write the address that packets are to leave with"),
                        );
                        return;
                    }
                };
                let judgements = self.judgements(file, here, sentence, ends, Action::Allow, Rank::Rule, Arc::default());
                let leaving: Vec<Judgement> = judgements
                    .into_iter()
                    .filter(|(flow, _)| flow.to == Class::Outside)
                    .map(|(_, judgement)| judgement)
                    .collect();
                if leaving.is_empty() {
                    self.out.push(
                        Diagnostic::new(&CHANGE_NOT_POSSIBLE, here, "what is masqueraded must leave this machine")
                            .help("name where it leaves: `masquerade from lan to wan`"),
                    );
                }
                self.policy.nat.extend(leaving.into_iter().map(|judgement| Nat::Masquerade { judgement, address }));
            }
            tree::Nat::Forward { sentence, at: dialled, port, options } => {
                self.forward(
                    file,
                    here,
                    sentence,
                    dialled.as_ref().map(|at| at.value),
                    port.as_ref().map(|port| port.value),
                    options,
                );
            }
            tree::Nat::Redirect { sentence, port } => {
                let Some(mut ends) = self.ends(file, &sentence.clauses, Context::default(), &Class::ALL) else {
                    return;
                };
                ends.to = vec![self.places.everyone(Class::Host)];
                ends.from.retain(|party| party.class != Class::Host);
                for (_, judgement) in
                    self.judgements(file, here, sentence, ends, Action::Allow, Rank::Rule, Arc::default())
                {
                    self.policy.nat.push(Nat::Redirect { judgement, port: port.value });
                }
            }
        }
    }

    fn forward(
        &mut self,
        file: FileId,
        here: Location,
        sentence: &'a Sentence,
        dialled: Option<crate::net::AddressRange>,
        port: Option<u16>,
        options: &'a [Spanned<RuleOption>],
    ) {
        let Some(mut ends) = self.ends(file, &sentence.clauses, Context::default(), &Class::ALL) else { return };
        let target = match ends.to.as_slice() {
            [party] if ends.to_said => one_address(party).map(|address| (address, party.clone())),
            _ => None,
        };
        let Some((address, party)) = target else {
            let place = sentence.clauses.to.as_ref().map_or(here, |who| at(file, who.span));
            self.out.push(
                Diagnostic::new(&FORWARD_WHERE, place, "`forward` needs one known address to go to")
                    .help("write the address, or give the instance's in its declaration or in fwc.facts.json"),
            );
            return;
        };
        ends.to = vec![party];
        ends.from.retain(|party| party.class != Class::Host);
        // The allow takes dialled ports; what was dialled at which address NAT has decided by then.
        let Some(options) = self.options(file, options) else { return };
        // `via` of a forward is the card of arrival, also where the target is routed to.
        if let Some(via) = ends.via.take() {
            for from in &mut ends.from {
                let from = Arc::make_mut(from);
                from.cards = Some(match &from.cards {
                    Some(cards) => Arc::new(who::intersect(cards, &via)),
                    None => via.clone(),
                });
            }
        }
        let judgements = self.judgements(file, here, sentence, ends, Action::Allow, Rank::Rule, options);
        for (flow, mut judgement) in judgements {
            judgement.family = Some(Family::of(address));
            let at = dialled.map(|range| AddressSet::new([range]));
            self.policy.nat.push(Nat::Forward { judgement: judgement.clone(), address, port, at });
            judgement.forwarded = true;
            self.policy.flows.entry(flow).or_default().push(judgement);
        }
    }

    fn gate(&mut self, file: FileId, guest: &'a tree::Guest) {
        let location = at(file, guest.name.span);
        find(&self.places.names.guests, &guest.name.value);
        for card in &guest.cards {
            if card.value.name.len() > Card::MAX {
                self.out.push(
                    Diagnostic::new(
                        &who::CARD_NAME_TOO_LONG,
                        at(file, card.span),
                        format!("`{}` is longer than an interface name can be", card.value),
                    )
                    .help("interface names have at most 15 bytes"),
                );
            }
        }
        let Some(gates) = &guest.gates else { return };
        let fact = self.places.instance_fact(guest.kind, &guest.name.value);
        let known: Vec<crate::net::AddressRange> =
            fact.iter().flat_map(|fact| &fact.addresses).copied().map(crate::net::AddressRange::single).collect();
        let mac =
            guest.mac.as_ref().map(|mac| mac.value).or_else(|| fact.and_then(|fact| fact.mac.as_ref()?.parse().ok()));
        let addresses = match &guest.address {
            Some(who) => self.places.own(file, who, &mut self.out),
            None => AddressSet::new(known),
        };
        let mut lines = Vec::new();
        for gate in gates {
            let direction = gate.direction.value;
            lines.extend(
                self.gate_lines(file, &gate.statement, direction, guest.kind).into_iter().map(|line| (direction, line)),
            );
        }
        self.policy.gates.push(Gate {
            name: Arc::from(&*guest.name.value),
            kind: guest.kind,
            cards: guest.cards.iter().map(|card| card.value.clone()).collect(),
            mac,
            addresses,
            lines,
            location,
        });
    }

    fn gate_lines(
        &mut self,
        file: FileId,
        statement: &'a Statement,
        direction: Direction,
        kind: GuestKind,
    ) -> Vec<GateLine> {
        match &statement.value {
            StatementKind::Rule(rule) => self.gate_rule(file, statement.span, rule, Some((direction, kind))),
            StatementKind::Apply(name) => {
                self.gate_group(file, name, &mut Vec::new());
                vec![GateLine::Apply(Arc::from(&*name.value), at(file, name.span))]
            }
            _ => {
                self.out.push(
                    Diagnostic::new(
                        &MISPLACED_STATEMENT,
                        at(file, statement.span),
                        "a guest's block takes rules and `apply`",
                    )
                    .help("move this statement out of the block"),
                );
                Vec::new()
            }
        }
    }

    /// A rule of a gate: the guest is one end, the sentence's other end is whoever it names.
    fn gate_rule(
        &mut self,
        file: FileId,
        span: crate::span::Span,
        rule: &'a Rule,
        gate: Option<(Direction, GuestKind)>,
    ) -> Vec<GateLine> {
        let here = at(file, span);
        let clauses = &rule.sentence.clauses;
        let own_end = match gate {
            Some((Direction::In, _)) => clauses.to.as_ref().map(|who| ("to", who.span)),
            Some((Direction::Out, _)) => clauses.from.as_ref().map(|who| ("from", who.span)),
            None => clauses.to.as_ref().map(|who| ("to", who.span)),
        };
        if let Some((word, span)) = own_end {
            self.out.push(
                Diagnostic::new(&CLAUSE_SAID_TWICE, at(file, span), format!("`{word}` is the guest itself here"))
                    .help("take the clause out: the block says whose rule it is"),
            );
            return Vec::new();
        }
        let Some(action) = self.action(file, &rule.action) else { return Vec::new() };
        let Some(options) = self.options(file, &rule.options) else { return Vec::new() };
        let Some(mut ends) = self.ends(file, clauses, Context::default(), &Class::ALL) else { return Vec::new() };
        let class = gate.map_or(Class::Guest, |(_, kind)| who::class_of(kind));
        let own = vec![self.places.everyone(class)];
        match gate {
            Some((Direction::Out, _)) => ends.from = own,
            _ => ends.to = own,
        }
        let judgements = self.judgements(file, here, &rule.sentence, ends, action, Rank::Rule, options);
        judgements.into_iter().map(|(_, judgement)| GateLine::Rule(Box::new(judgement))).collect()
    }

    fn gate_group(&mut self, file: FileId, name: &'a Name, inside: &mut Vec<&'a str>) {
        let Some((group_file, group)) = self.group(file, name, inside) else { return };
        if self.policy.groups.iter().any(|known| *known.name == *name.value) {
            return;
        }
        inside.push(&name.value);
        let mut lines = Vec::new();
        for statement in &group.body {
            match &statement.value {
                StatementKind::Rule(rule) => lines.extend(self.gate_rule(group_file, statement.span, rule, None)),
                StatementKind::Apply(inner) => {
                    self.gate_group(group_file, inner, inside);
                    lines.push(GateLine::Apply(Arc::from(&*inner.value), at(group_file, inner.span)));
                }
                _ => self.out.push(
                    Diagnostic::new(
                        &MISPLACED_STATEMENT,
                        at(group_file, statement.span),
                        "a group that guests apply takes rules and `apply`",
                    )
                    .help("move this statement out of the group"),
                ),
            }
        }
        inside.pop();
        let location = at(group_file, group.name.span);
        self.policy.groups.push(Group { name: Arc::from(&*name.value), lines, location });
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

fn one_address(party: &Party) -> Option<IpAddr> {
    match party.addresses.as_ref()?.ranges() {
        [range] if range.first == range.last => Some(range.first),
        _ => None,
    }
}

/// The families in which a judgement can match a packet.
#[must_use]
pub fn families(judgement: &Judgement) -> Vec<Family> {
    let holds = |set: &Option<AddressSet>, family| set.as_ref().is_none_or(|set| !set.of_family(family).is_empty());
    Family::BOTH
        .into_iter()
        .filter(|&family| {
            judgement.family.is_none_or(|only| only == family)
                && (!judgement.from.macs.is_empty() || holds(&judgement.from.addresses, family))
                && (judgement.to.published.is_some() || holds(&judgement.to.addresses, family))
                && judgement.to.at.as_ref().is_none_or(|set| !set.of_family(family).is_empty())
                && judgement.traffic.iter().any(|traffic| traffic.family.is_none_or(|only| only == family))
        })
        .collect()
}
