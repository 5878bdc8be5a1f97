//! Rules between neighbours on one bridge, and about guests on ports of a bridge: bridged packets pass no hook of the IP tables unless bridge
//! netfilter is on.

use rustc_hash::FxHashSet;

use super::roads;
use crate::diagnostic::{Code, Diagnostic, Level};
use crate::net::{Card, Family};
use crate::netfilter::Target;
use crate::policy::{Action, Class, Flow, Judgement, Party, Policy};
use crate::span::Location;
use crate::syntax::tree::{GuestKind, View};
use crate::traffic;

/// Neighbours that nothing judges.
pub static SAME_BRIDGE: Code = Code {
    number: "FW0315",
    name: "same-bridge-unseen",
    level: Level::Warning,
    summary: "a rule between neighbours on one bridge, whose traffic possibly passes no hook",
    explanation: "\
Containers on one network are neighbours on one bridge. What they send to each other's own addresses is bridged, not routed, and
the kernel shows bridged packets to iptables and to nft's inet tables only with `net.bridge.bridge-nf-call-iptables` set to 1.
Docker turns that on only where it needs it (`icc` off, or docker-proxy off).

**Why it hurts.** A deny between two such containers is loaded and never asked.

```fw
use docker
network back on br-back address 172.18.0.0/16
container app on back address 172.18.0.7
container db on back address 172.18.0.8
deny from container app to container db direct   # warning
```

**Instead**, put them on different networks, turn `icc` off for the network and let Docker drop everything between neighbours,
or turn bridge netfilter on and say so (what instances of LXD and Incus or guests of libvirt on one bridge send each other is
bridged in the same way):

```fw
fact sysctls.net.bridge.bridge-nf-call-iptables = 1
```

The same is true, with iptables, of guests whose taps are ports of a bridge of the host's own, beside its uplink:

```fw
use tap
target iptables
deny tcp 80 from world to guest                   # warning
```

There the bridge table of nft sees every frame, whatever the setting: `target nft`.

What a container dials at an address of the host, at a published port, is not bridged and is not meant here. A deny `from any` is
reported only where an assert denies connections between containers.
",
};

/// The check.
pub fn check(policy: &Policy, target: Target) -> Vec<Diagnostic> {
    let mut out = between_containers(policy);
    out.extend([Class::Instance, Class::Guest].into_iter().filter_map(|class| between_members(policy, class)));
    out.extend(at_ports(policy, target));
    out.extend(by_uplinks(policy));
    out
}

/// Rules between outside and instances on a bridge that may have the uplink among its ports.
fn by_uplinks(policy: &Policy) -> Option<Diagnostic> {
    let bridge = traffic::may_lead_outside(policy).into_iter().next()?;
    let flows = [(Class::Outside, Class::Instance), (Class::Instance, Class::Outside)];
    let beyond = roads::statements_beyond(policy, |flow| [flow.from, flow.to].contains(&Class::Instance));
    let written = flows.into_iter().flat_map(|(from, to)| roads::written(policy, Flow { from, to }));
    let meant = |party: &Party| party.cards.as_ref().is_none_or(|cards| cards.cards.contains(bridge));
    let stops = written.filter(|judgement| {
        let instance = if judgement.to.class == Class::Instance { &judgement.to } else { &judgement.from };
        roads::stops(judgement.action) && !beyond.contains(&judgement.statement) && meant(instance)
    });
    let mut places: Vec<Location> = stops.map(|judgement| judgement.location).collect();
    places.sort_unstable();
    places.dedup();
    let mut places = places.into_iter();
    let first = places.next()?;
    let message = format!("if `{bridge}` has the uplink, this is not asked for what comes by it");
    let found = Diagnostic::new(&SAME_BRIDGE, first, message)
        .label("frames from outside look like those of instances there")
        .help("put the instances on a bridge of their own")
        .help(format!("if it has none, say so: list `{bridge}` in `instances.bridges` of fwc.facts.json"));
    Some(places.fold(found, |found, place| found.related(place, "and here")))
}

/// Rules about guests on bridge ports, which iptables sees by bridge netfilter alone.
fn at_ports(policy: &Policy, target: Target) -> Option<Diagnostic> {
    const FLOWS: [(Class, Class); 4] = [
        (Class::Outside, Class::Guest),
        (Class::Guest, Class::Guest),
        (Class::Guest, Class::Outside),
        (Class::Guest, Class::Host),
    ];
    let setting = policy.facts.sysctls.get("net.bridge.bridge-nf-call-iptables").map(String::as_str);
    if target != Target::Iptables || policy.cards.guest_ports.is_empty() || setting == Some("1") {
        return None;
    }
    // A statement about everyone is about guests where nothing else could be meant.
    let beyond = roads::statements_beyond(policy, |flow| [flow.from, flow.to].contains(&Class::Guest));
    let flows = FLOWS.into_iter().flat_map(|(from, to)| roads::written(policy, Flow { from, to }));
    let stops = flows.filter(|judgement| roads::stops(judgement.action) && !beyond.contains(&judgement.statement));
    let gates = policy.gates.iter().filter(|gate| gate.kind == GuestKind::Guest).map(|gate| gate.location);
    let mut places: Vec<Location> = stops.map(|judgement| judgement.location).chain(gates).collect();
    places.sort_unstable();
    places.dedup();
    let mut places = places.into_iter();
    let first = places.next()?;
    let possibly = if setting.is_some() { "" } else { "possibly " };
    let message = format!("what guests' bridge ports carry {possibly}passes no hook of iptables");
    let found = Diagnostic::new(&SAME_BRIDGE, first, message)
        .label("not asked for bridged frames")
        .help("turn bridge netfilter on and say so: `fact sysctls.net.bridge.bridge-nf-call-iptables = 1`")
        .help("or build for nft, whose bridge table sees every port: `target nft`");
    Some(places.fold(found, |found, place| found.related(place, "and here")))
}

/// Rules between instances, or between guests, on a bridge that their platform made.
fn between_members(policy: &Policy, class: Class) -> Option<Diagnostic> {
    let flow = Flow { from: class, to: class };
    let setting = policy.facts.sysctls.get("net.bridge.bridge-nf-call-iptables").map(String::as_str);
    let query = traffic::Query { policy, flow, rule: None, family: Family::Ipv4 };
    // Bridge ports of the host's own are another matter.
    let on_bridges = query.platforms().into_iter().any(|platform| platform.ports.is_empty());
    if setting == Some("1") || !on_bridges {
        return None;
    }
    let ports = &policy.cards.guest_ports;
    let on_port = |party: &Party| {
        let cards = party.cards.as_ref().filter(|cards| !cards.complement);
        cards.is_some_and(|cards| cards.cards.iter().all(|card| ports.contains(card)))
    };
    let beyond = roads::statements_beyond(policy, |other| other == flow);
    let stops = roads::written(policy, flow).filter(|judgement| {
        let cards = (judgement.from.cards.as_deref(), judgement.to.cards.as_deref());
        roads::stops(judgement.action)
            && !beyond.contains(&judgement.statement)
            && !on_port(&judgement.from)
            && !on_port(&judgement.to)
            && !roads::cards_apart(cards.0, cards.1)
    });
    let mut places: Vec<Location> = stops.map(|judgement| judgement.location).collect();
    places.sort_unstable();
    places.dedup();
    let mut places = places.into_iter();
    let first = places.next()?;
    let possibly = if setting.is_some() { "" } else { "possibly " };
    let members = if class == Class::Instance { "instances" } else { "guests" };
    let message = format!("what {members} on one bridge send each other {possibly}passes no hook");
    let found = Diagnostic::new(&SAME_BRIDGE, first, message)
        .label("not asked for bridged packets")
        .help("put them on different bridges")
        .help("or turn bridge netfilter on and say so: `fact sysctls.net.bridge.bridge-nf-call-iptables = 1`");
    Some(places.fold(found, |found, place| found.related(place, "and here")))
}

fn between_containers(policy: &Policy) -> Vec<Diagnostic> {
    let docker = policy.facts.docker.as_ref();
    let setting = policy.facts.sysctls.get("net.bridge.bridge-nf-call-iptables").map(String::as_str);
    let by_docker = docker.and_then(|docker| docker.userland_proxy) == Some(false) && !traffic::iptables_off(policy);
    if setting == Some("1") || (setting.is_none() && by_docker) {
        return Vec::new();
    }
    let flow = Flow { from: Class::Container, to: Class::Container };
    let claims = policy.assertions.iter().flat_map(|assertion| &assertion.judgements);
    let asserted = claims.into_iter().any(|(claimed, judgement)| *claimed == flow && roads::stops(judgement.action));
    let beyond = roads::statements_beyond(policy, |other| other == flow);
    let mut told: FxHashSet<u32> = FxHashSet::default();
    let mut out = Vec::new();
    for judgement in roads::written(policy, flow) {
        let speaks = roads::stops(judgement.action)
            || (judgement.action == Action::Allow && judgement.to.view == Some(View::Direct));
        if !speaks || told.contains(&judgement.statement) {
            continue;
        }
        let Some(found) = unseen(policy, judgement, setting.is_some()) else { continue };
        // A statement about everyone is not about neighbours, unless an assert says that it is.
        if asserted || !beyond.contains(&judgement.statement) {
            told.insert(judgement.statement);
            out.push(found);
        }
    }
    out
}

fn unseen(policy: &Policy, judgement: &Judgement, certain: bool) -> Option<Diagnostic> {
    let (from, to) = (networks(policy, &judgement.from), networks(policy, &judgement.to));
    let docker = policy.facts.docker.as_ref();
    let apart = |name: &&String| docker.and_then(|docker| docker.networks.get(*name)?.icc) == Some(false);
    let shared = match (&from, &to) {
        (Some(from), Some(to)) => Some(from.iter().find(|name| to.contains(name) && !apart(name))?.clone()),
        _ => None,
    };
    let possibly = if certain { "" } else { "possibly " };
    let message = match &shared {
        Some(name) => format!("both are on network `{name}`, whose traffic {possibly}passes no hook"),
        None => format!("what containers on one network send each other {possibly}passes no hook"),
    };
    let mut found = Diagnostic::new(&SAME_BRIDGE, judgement.location, message).label("not asked for bridged packets");
    let location = shared.as_ref().and_then(|name| docker?.networks.get(name)?.location);
    if let Some(location) = location {
        found = found.related(location, "the network");
    }
    Some(
        found
            .help("put them on different networks, or turn `icc` off for the network")
            .help("or turn bridge netfilter on and say so: `fact sysctls.net.bridge.bridge-nf-call-iptables = 1`"),
    )
}

/// The networks that a party is on; `None`: any.
pub(super) fn networks(policy: &Policy, party: &Party) -> Option<Vec<String>> {
    if let Some(name) = party.member.as_deref() {
        return traffic::container(policy, name).map(|(container, _)| container.networks.clone());
    }
    let cards = party.cards.as_ref().filter(|cards| !cards.complement)?;
    let docker = policy.facts.docker.as_ref()?;
    let on = |card: &Card| {
        let named = docker.networks.iter().find(|(_, network)| network.bridge.as_deref() == Some(&*card.name));
        named.map_or_else(|| card.name.to_string(), |(name, _)| name.clone())
    };
    Some(cards.cards.iter().map(on).collect())
}
