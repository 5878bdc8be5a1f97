//! What is known of the host before any rule is looked at: facts from every source, the platforms in use, which cards belong to
//! which class.

use std::collections::BTreeSet;

use rustc_hash::FxHashSet;

use crate::diagnostic::Diagnostic;
use crate::facts::{self, Facts, compose};
use crate::names::closest as nearest;
use crate::net::{AddressSet, Card};
use crate::platform::{self, Platform};
use crate::policy::names::{Names, at, find};
use crate::policy::resolve::faults::*;
use crate::policy::who::codes::DEFAULT_ROUTE_UNKNOWN as DEFAULT_ROUTE;
use crate::policy::who::{self, Places};
use crate::policy::{Class, Containers, LocalCards, Policy, Published, service};
use crate::project::{ImportKind, Project};
use crate::span::{FileId, Location};
use crate::syntax::tree::{self, Clauses, GuestKind, InterfaceValue, Place, SetValue, StatementKind, Who};

/// Facts from `fwc.facts.json` and from compose files.
pub(super) fn gather_facts(project: &Project, out: &mut Vec<Diagnostic>) -> Facts {
    let mut facts = Facts::default();
    if let Some(file) = project.facts {
        let (read, diagnostics) = facts::json::read(project.text(file), file);
        facts = read;
        out.extend(diagnostics);
    }
    let mut read = Vec::new();
    for import in project.imports.iter().filter(|import| import.kind == ImportKind::Compose) {
        let environment = import.environment.map(|file| project.text(file));
        for &file in &import.files {
            let (facts, said, diagnostics) = compose::read_project(project.text(file), environment, file);
            out.extend(diagnostics);
            let project = said.unwrap_or_else(|| compose::projects::name_of_directory(directory(project, file)));
            read.push(compose::projects::Read { project, facts });
        }
    }
    out.extend(compose::projects::keep_apart(&mut read));
    let composed = read.into_iter().map(|read| read.facts).reduce(|before, file| {
        let (merged, diagnostics) = file.merge_by_name(before);
        out.extend(diagnostics);
        merged
    });
    let Some(composed) = composed else { return facts };
    // What a compose file says is nearer to the policy than what was once recorded on the host.
    let (merged, diagnostics) = composed.merge(facts);
    out.extend(diagnostics);
    merged
}

/// The name of the directory that a file lies in; empty for the policy's own, whose name depends on who looks.
fn directory(project: &Project, file: FileId) -> &str {
    let path = |id: FileId| project.files.get(id.0 as usize).map_or("", |source| &*source.path);
    let parent = |path| <str>::rsplit_once(path, '/').map_or("", |(parent, _)| parent);
    let (own, root) = (parent(path(file)), parent(path(project.root)));
    let name = own.rsplit('/').next().unwrap_or_default();
    if own == root || name == ".." || name == "." { "" } else { name }
}

/// Facts said in source: `fact`, `container`, `network`. They go before what a file says.
pub(super) fn declared_facts<'a>(
    project: &'a Project,
    names: &Names<'a>,
    facts: &mut Facts,
    out: &mut Vec<Diagnostic>,
) {
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
    let addresses = own.iter().flat_map(|set| set.iter()).map(|range| range.first).collect();
    let mut ports = Vec::new();
    for publish in &node.publish {
        for traffic in service::traffic(names, file, std::slice::from_ref(&publish.item), out).iter() {
            let (Some(protocol), Some(set)) = (traffic.protocol, &traffic.ports) else {
                out.push(
                    Diagnostic::new(
                        &who::codes::MISPLACED_WORD,
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
        let prefixes = own.iter().flat_map(|set| set.iter()).filter_map(|range| range.prefix()).collect();
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
pub(super) fn platforms(
    names: &Names<'_>,
    spoken: &FxHashSet<Class>,
    facts: &Facts,
    out: &mut Vec<Diagnostic>,
) -> Vec<String> {
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
    for (name, runs) in [("ufw", facts.ufw), ("firewalld", facts.firewalld), ("fail2ban", facts.fail2ban)] {
        match runs {
            Some(true) => used.insert(name.to_owned()),
            Some(false) => used.remove(name),
            None => continue,
        };
    }
    used.into_iter().collect()
}

/// The classes on this machine that the source mentions by their words.
pub(super) fn spoken_classes(names: &Names<'_>) -> FxHashSet<Class> {
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
        who(found, clauses.from.as_deref());
        who(found, clauses.to.as_deref());
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
pub(super) fn local_cards(names: &Names<'_>, facts: &Facts, platforms: &[String]) -> LocalCards {
    let mut cards = LocalCards::default();
    for platform in platforms.iter().filter_map(|name| platform::Platform::load(name)) {
        let all_known = class_of(platform) == Some(Class::Container)
            && facts.docker.as_ref().is_some_and(|docker| {
                docker.complete
                    && docker.networks.values().all(|network| network.bridge.is_some() || !network.is_bridge())
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
        cards.guest_ports.extend(platform.ports.iter().cloned());
    }
    let docker = facts.docker.iter().flat_map(|docker| docker.networks.values());
    let podman = facts.podman.iter().flat_map(|podman| podman.networks.values());
    for network in docker.chain(podman).filter(|network| network.is_bridge()) {
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
            StatementKind::Guest(node) => {
                cards.guest_ports.extend(ports(node).cloned());
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
            let own_bridge =
                [&cards.container, &cards.instance, &cards.guest].into_iter().any(|known| known.contains(&card.value));
            if !own_bridge && cards.class_of(&card.value).is_some() {
                cards.outside.push(card.value.clone());
            }
        }
    }
    for list in
        [&mut cards.container, &mut cards.instance, &mut cards.guest, &mut cards.guest_ports, &mut cards.outside]
    {
        list.sort();
        list.dedup();
        let all = list.clone();
        list.retain(|card| !all.iter().any(|other| other != card && other.covers(card)));
    }
    cards
}

/// The bridge ports that a guest is declared on, and not the bridges of a platform.
fn ports(guest: &tree::Guest) -> impl Iterator<Item = &Card> {
    let is_port = |card: &&Card| Platform::of_bridge(&card.name).is_none_or(|platform| !platform.ports.is_empty());
    guest.cards.iter().map(|card| &card.value).filter(is_port)
}

/// The addresses of guests that are behind bridge ports, as far as they are known.
pub(super) fn guest_addresses<'a>(project: &'a Project, names: &Names<'a>, facts: &Facts) -> AddressSet {
    let cards = LocalCards::default();
    let places = Places::new(project, names, facts, &cards, &[]);
    let declared = names.guests.iter().filter(|(_, guest)| guest.node.kind == GuestKind::Guest);
    let behind_ports = declared.filter(|(_, guest)| ports(guest.node).next().is_some());
    let known = behind_ports.filter_map(|(name, guest)| match &guest.node.address {
        // What is wrong with it is reported where the guest is named.
        Some(who) => Some(places.own(guest.file, who, &mut Vec::new())),
        None => who::known_addresses(places.instance_fact(GuestKind::Guest, name)?),
    });
    known.reduce(|all, own| all.union(&own)).unwrap_or_default()
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

fn add_card(list: &mut Vec<Card>, name: Option<&str>) {
    if let Some(name) = name {
        let card = Card::parse(name);
        if !list.iter().any(|known| known.covers(&card)) {
            list.push(card);
        }
    }
}

/// Every card that something names: what an unknown default route is not.
pub(super) fn known_cards(names: &Names<'_>, cards: &LocalCards) -> Vec<Card> {
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
    known.sort();
    known.dedup();
    known
}

/// The classes that exist on this host: flows with others are not judged.
pub(super) fn classes(spoken: &FxHashSet<Class>, platforms: &[String], cards: &LocalCards) -> Vec<Class> {
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
pub(super) fn containers(facts: &Facts, policy: &Policy) -> Containers {
    let used = policy
        .platforms
        .iter()
        .filter_map(|name| platform::Platform::load(name))
        .any(|platform| class_of(platform) == Some(Class::Container));
    let docker = facts.docker.iter().flat_map(|docker| &docker.containers);
    let podman = facts.podman.iter().flat_map(|podman| &podman.containers);
    let all = docker.chain(podman);
    let published: Vec<Published> =
        all.clone().flat_map(|(name, container)| who::published_by(name, container)).collect();
    let on_loopback = all.flat_map(|(name, container)| who::published_on_loopback(name, container)).collect();
    let routed = facts.docker.iter().flat_map(|docker| docker.networks.values());
    let routed_bridges = routed
        .filter(|network| network.is_routed())
        .filter_map(|network| network.bridge.clone().map(Card::exact))
        .collect();
    Containers { used, published, on_loopback, routed_bridges }
}

/// Notes the facts that the policy rests on, and warns where one that matters is missing.
pub(super) fn name_facts(policy: &mut Policy, names: &Names<'_>, facts: &Facts, out: &mut Vec<Diagnostic>) {
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
    for (name, runs) in [("ufw", facts.ufw), ("firewalld", facts.firewalld), ("fail2ban", facts.fail2ban)] {
        policy.facts_used.extend(runs.map(|runs| format!("{name} {}", if runs { "runs" } else { "does not run" })));
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
