//! `allow … to container direct` where Docker's own rules stop the traffic first, or behind.

use super::roads;
use crate::diagnostic::{Code, Diagnostic, Level};
use crate::facts::{AcceptedMark, Backend, DockerNetwork, ForwardPolicy};
use crate::net::{Card, Family, PortSet};
use crate::netfilter::Target;
use crate::platform::{Attribute, Outcome, Platform, Possible, Road, Situation};
use crate::policy::resolve::families;
use crate::policy::{Action, ChangeKind, Class, Flow, Judgement, Policy};
use crate::syntax::tree::View;

/// Stopped, whatever is still unknown.
pub static DIRECT_DROPPED: Code = Code {
    number: "FW0307",
    name: "direct-dropped",
    level: Level::Error,
    summary: "an allow to a container's own address has no effect: Docker drops the traffic",
    explanation: "\
From 28.0 on Docker drops, in table raw before any rule of a user's, what other machines send straight to a container's own
address: to published ports at first, to every port from 28.2 on. It also drops unpublished ports behind the user's rules. Up
to 27 what is not published ends at FORWARD's policy, which Docker sets to DROP. An `allow` of fwc's means that this policy
does not object; it cannot take back what Docker drops.

```fw
fact docker.version = \"28.5.2\"
network app on br-app address 172.18.0.0/16
container db on app address 172.18.0.5
allow postgres from 10.8.0.0/24 to container db direct     # error: never arrives
```

**Instead**, one of:

- publish the port, and leave out `direct`;
- let Docker route: `--allow-direct-routing` for the daemon (`fact docker.allow-direct-routing = on`), or the network's option
  `com.docker.network.bridge.trusted_host_interfaces` with the card that the traffic comes in by, both from 28.2 on;
- give the network the gateway mode `routed` (27 and later; the ports must be published) or `nat-unprotected` (28 and later);
- with Docker 29, for what only the unpublished-port drop stops: `--bridge-accept-fwmark` for the daemon,
  the fact `docker.bridge-accept-fwmark`, and a `mark` of the same number on the traffic.
",
};

/// Stopped by some versions or settings.
pub static DIRECT_MAY_BE_DROPPED: Code = Code {
    number: "FW0308",
    name: "direct-may-be-dropped",
    level: Level::Warning,
    summary: "an allow to a container's own address has no effect under some versions or settings of Docker",
    explanation: "\
Whether what other machines send straight to a container's own address arrives depends on Docker: its version (from 28 it is
dropped in table raw), the gateway mode of the network, whether the port is published, and the policy of FORWARD. What is known
does not settle it. The notes say under which versions and settings the traffic is dropped, and by what; FW0307 has the page on
what to do.

```fw
network app on br-app address 172.18.0.0/16
container db on app address 172.18.0.5
allow postgres from 10.8.0.0/24 to container db direct     # warning: not with Docker 28.2 and later
fact docker.version = \"27.5.1\"                             # settles a part of it
```
",
};

/// The check.
pub fn check(policy: &Policy, _: Target) -> Vec<Diagnostic> {
    let Some(docker) = Platform::load("docker").filter(|_| policy.platforms.iter().any(|name| name == "docker")) else {
        return Vec::new();
    };
    let flow = Flow { from: Class::Outside, to: Class::Container };
    let direct = roads::written(policy, flow)
        .filter(|judgement| judgement.action == Action::Allow && judgement.to.view == Some(View::Direct));
    direct.filter_map(|judgement| stopped(policy, docker, judgement)).collect()
}

/// The roads of a rule's traffic, in every family and for every kind.
fn stopped(policy: &Policy, docker: &'static Platform, judgement: &Judgement) -> Option<Diagnostic> {
    let roads: Vec<Possible<'static, Road>> = families(judgement)
        .into_iter()
        .filter(|&family| has_family(policy, judgement, family))
        .flat_map(|family| docker.roads(&situation(policy, docker, judgement, family)))
        .collect();
    let arrives = |road: &Possible<'_, Road>| road.item.outcome == Outcome::Delivered;
    let dropped: Vec<&Possible<'static, Road>> = roads.iter().filter(|road| !arrives(road)).collect();
    if dropped.is_empty() {
        return None;
    }
    let certain = !roads.iter().any(arrives);
    let mut found = if certain {
        Diagnostic::new(&DIRECT_DROPPED, judgement.location, "Docker drops this before it arrives")
    } else {
        Diagnostic::new(&DIRECT_MAY_BE_DROPPED, judgement.location, "Docker possibly drops this before it arrives")
    };
    found = found.label("allowed by the policy, and stopped by Docker's own rules");
    let place = judgement.to.member.as_deref().and_then(|name| roads::container(policy, name));
    if let Some(location) = place.and_then(|(container, _)| container.location) {
        found = found.related(location, "the container");
    }
    found = found.help("publish the port and leave out `direct`, or let Docker route: `fwc explain FW0307`");
    if policy.facts.docker.as_ref().and_then(|docker| docker.firewall_backend) == Some(Backend::Nftables) {
        found =
            found.help("or let Docker accept a mark that the policy sets: its `--bridge-accept-fwmark`, and `mark`");
    }
    for note in reasons(&dropped) {
        found = found.note(note);
    }
    Some(found)
}

/// The roads that connections from elsewhere may take to a container's own address; none if no Docker is in use.
#[must_use]
pub fn roads_to(policy: &Policy, judgement: &Judgement, family: Family) -> Vec<Possible<'static, Road>> {
    let docker = Platform::load("docker").filter(|_| policy.platforms.iter().any(|name| name == "docker"));
    let docker = docker.filter(|_| has_family(policy, judgement, family));
    docker.map_or_else(Vec::new, |docker| docker.roads(&situation(policy, docker, judgement, family)))
}

/// Each rule of Docker's that stops the traffic, once, with the versions in which it does.
#[must_use]
pub fn reasons(dropped: &[&Possible<'static, Road>]) -> Vec<String> {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for road in dropped {
        let by = road.item.by.as_deref().unwrap_or("Docker's own rules");
        let versions = road.conditions.iter().filter(|condition| condition.attribute == Attribute::Version);
        let versions: Vec<&str> = versions.flat_map(|condition| &condition.values).map(String::as_str).collect();
        match reasons.iter_mut().find(|(known, _)| *known == by) {
            // Without a version in one of the cases it holds for all.
            Some((_, known)) if known.is_empty() || versions.is_empty() => known.clear(),
            Some((_, known)) => {
                for version in versions {
                    if !known.contains(&version) {
                        known.push(version);
                    }
                }
            }
            None => reasons.push((by, versions)),
        }
    }
    let spoken = |(by, versions): (&str, Vec<&str>)| match versions.as_slice() {
        [] => format!("dropped by {by}"),
        some => format!("with Docker {}, dropped by {by}", some.join(", or ")),
    };
    reasons.into_iter().map(spoken).collect()
}

/// The networks that the rule's target is on, as far as they are known.
fn networks<'p>(policy: &'p Policy, judgement: &Judgement) -> Vec<&'p DockerNetwork> {
    let named = judgement.to.member.as_deref().and_then(|name| roads::container(policy, name));
    let docker = policy.facts.docker.iter().flat_map(|docker| docker.networks.values());
    let of_card = docker.filter(|network| {
        let bridge = network.bridge.as_ref().map(|bridge| Card::exact(bridge.clone()));
        judgement.to.cards.as_ref().is_some_and(|cards| bridge.is_some_and(|bridge| *cards.cards == [bridge]))
    });
    named.map_or_else(|| of_card.collect(), |(_, networks)| networks)
}

/// Whether the target may have an address of that family.
fn has_family(policy: &Policy, judgement: &Judgement, family: Family) -> bool {
    if let Some(addresses) = &judgement.to.addresses {
        return !addresses.of_family(family).is_empty();
    }
    let networks = networks(policy, judgement);
    family == Family::Ipv4 || networks.is_empty() || networks.iter().any(|network| network.ipv6 != Some(false))
}

fn situation(policy: &Policy, platform: &Platform, judgement: &Judgement, family: Family) -> Situation {
    let docker = policy.facts.docker.as_ref();
    let (family_name, rules, forward) = match family {
        Family::Ipv4 => ("ipv4", Some(!roads::iptables_off(policy)), policy.facts.forward_policy_ipv4),
        Family::Ipv6 if roads::iptables_off(policy) => ("ipv6", Some(false), policy.facts.forward_policy_ipv6),
        Family::Ipv6 => ("ipv6", roads::ip6tables(policy), policy.facts.forward_policy_ipv6),
    };
    let mut situation = Situation::unknown()
        .with(Attribute::Family, family_name)
        .with(Attribute::From, "outside")
        .with(Attribute::To, "inside")
        .with(Attribute::Publish, "no")
        .with(Attribute::TargetFamily, "yes")
        .with(Attribute::LinkLocal, "no")
        .with_known(Attribute::Rules, rules)
        .with_known(Attribute::Opened, opened(policy, judgement))
        .with_known(Attribute::Marked, Some(marked(policy)));
    if let Some(version) = docker.and_then(|docker| docker.version.as_deref()) {
        situation = platform.with_version(situation, version);
    }
    situation = match docker.and_then(|docker| docker.firewall_backend) {
        Some(Backend::Nftables) => situation.with(Attribute::Backend, "nftables"),
        Some(Backend::Iptables) => situation.with(Attribute::Backend, "iptables"),
        None => situation,
    };
    situation = match forward {
        Some(ForwardPolicy::Accept) => situation.with(Attribute::ForwardPolicy, "accept"),
        Some(ForwardPolicy::Drop) => situation.with(Attribute::ForwardPolicy, "drop"),
        None => situation,
    };
    let networks = networks(policy, judgement);
    if let [network] = networks.as_slice() {
        let mode = match family {
            Family::Ipv4 => &network.gateway_mode_ipv4,
            Family::Ipv6 => &network.gateway_mode_ipv6,
        };
        situation = situation
            .with(Attribute::Mode, mode.as_deref().unwrap_or("nat"))
            .with_known(Attribute::Internal, Some(network.internal));
    } else {
        situation = situation.with(Attribute::Internal, "no");
    }
    situation.with_known(Attribute::Direct, routed(policy, judgement, &networks))
}

/// Whether Docker lets packets straight to containers: by the daemon's settings, or for the cards that the rule names.
fn routed(policy: &Policy, judgement: &Judgement, networks: &[&DockerNetwork]) -> Option<bool> {
    let docker = policy.facts.docker.as_ref();
    let allowed = docker.and_then(|docker| docker.allow_direct_routing);
    let raw = docker.and_then(|docker| docker.raw_rules);
    if allowed == Some(true) || raw == Some(false) {
        return Some(true);
    }
    let trusted: Vec<Card> = networks
        .iter()
        .flat_map(|network| &network.trusted_host_interfaces)
        .map(|name| Card::exact(name.clone()))
        .collect();
    let cards = judgement.via.as_ref().or(judgement.from.cards.as_ref()).filter(|cards| !cards.complement);
    match cards {
        Some(cards) if cards.cards.iter().all(|card| trusted.contains(card)) => Some(true),
        Some(cards) if !cards.cards.iter().any(|card| trusted.contains(card)) && !networks.is_empty() => Some(false),
        _ if !trusted.is_empty() || networks.is_empty() => None,
        // Both are off unless somebody turned them on: the version's own default is what a known network has.
        _ => Some(false),
    }
}

/// Whether a publish leads to every port that the rule names, or to none.
fn opened(policy: &Policy, judgement: &Judgement) -> Option<bool> {
    let (container, _) = roads::container(policy, judgement.to.member.as_deref()?)?;
    let mut open = Vec::new();
    for traffic in judgement.traffic.iter() {
        let Some(ports) = &traffic.ports else {
            if container.ports.is_empty() {
                open.push(false);
                continue;
            }
            return None;
        };
        let own = container.ports.iter().filter(|port| {
            traffic.protocol.is_some_and(|protocol| Some(protocol) == crate::net::Protocol::by_name(&port.protocol))
        });
        let own = PortSet::new(own.map(crate::facts::PublishedPort::container_ports));
        match (roads::within(ports, &own), ports.intersection(&own).is_empty()) {
            (true, _) => open.push(true),
            (_, true) => open.push(false),
            _ => return None,
        }
    }
    match (open.contains(&true), open.contains(&false)) {
        (true, false) => Some(true),
        (false, true) => Some(false),
        _ => None,
    }
}

/// Docker accepts a mark, and the policy sets it on traffic to containers.
fn marked(policy: &Policy) -> bool {
    let accepted = policy.facts.docker.as_ref().and_then(|docker| docker.bridge_accept_fwmark.as_deref());
    let Some(accepted) = accepted.and_then(AcceptedMark::parse) else { return false };
    policy.changes.iter().any(|change| {
        change.flow.to == Class::Container && matches!(change.kind, ChangeKind::Mark(set) if accepted.covers(set))
    })
}
