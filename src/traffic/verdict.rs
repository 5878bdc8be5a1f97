//! What the platform's own rules do with a connection that a policy does not stop.

use std::net::IpAddr;

use super::published::{container, ip6tables, iptables_off};
use super::{Address, Query};
use crate::facts::{Backend, ForwardPolicy};
use crate::net::Family;
use crate::netfilter::Hook;
use crate::platform::{
    Attribute, Condition, Connection, Origin, Outcome, Platform, Possible, Prediction, Road, predict, settings,
};
use crate::policy::Class;

/// What the rules of the platform do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlatformVerdict {
    /// They let it through; the platform's title.
    Open(&'static str),
    /// They stop it; which of them does.
    Closed(String),
    /// That depends on what is not known.
    Depends {
        /// Each a sentence.
        reasons: Vec<String>,
        /// The facts that settle it, as a policy or the facts file names them.
        facts: Vec<String>,
    },
    /// No platform has rules there.
    Nobody,
}

/// How packets reach the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// On INPUT, by a socket of the host: its own, or one of the platform's proxy.
    Socket,
    /// By a published port: the platform translates the destination.
    Translated,
    /// By the target's own address.
    Own,
}

/// What becomes of a query's connections behind the rules of a policy.
#[must_use]
pub fn verdict(query: &Query<'_>, reached: Reached) -> PlatformVerdict {
    let platforms = query.platforms();
    if reached == Reached::Socket || platforms.is_empty() {
        return PlatformVerdict::Nobody;
    }
    let verdicts: Vec<PlatformVerdict> =
        platforms.into_iter().map(|platform| by_platform(query, platform, reached)).collect();
    verdicts.into_iter().reduce(PlatformVerdict::or).unwrap_or(PlatformVerdict::Nobody)
}

fn by_platform(query: &Query<'_>, platform: &'static Platform, reached: Reached) -> PlatformVerdict {
    let title = platform.title.as_str();
    match (query.flow.from, query.flow.to) {
        (Class::Host, Class::Container) => PlatformVerdict::Open(title),
        (Class::Container, Class::Container) if reached == Reached::Translated => between_containers(query, platform),
        (_, Class::Container) if reached == Reached::Translated => PlatformVerdict::Open(title),
        (Class::Container, Class::Container) => PlatformVerdict::Depends {
            reasons: vec![format!(
                "{title} lets containers on one network talk, and keeps those on different networks apart"
            )],
            facts: Vec::new(),
        },
        (_, Class::Container) => of_paths(query, platform, &query.usual_paths(platform, Address::Own)),
        (Class::Container, Class::Outside) => PlatformVerdict::Open(title),
        _ => PlatformVerdict::Nobody,
    }
}

/// The verdict on what containers send to ports that others publish, of one container of each network that facts list: closed where
/// nothing is delivered between two that are named, and not certain where the platform delivers something and drops the answer.
fn between_containers(query: &Query<'_>, platform: &'static Platform) -> PlatformVerdict {
    let title = platform.title.as_str();
    let found = openers(query).into_iter().flat_map(|opener| published_to(query, opener));
    let found: Vec<Prediction> = found.filter(|one| one.platform == platform.name).collect();
    let by = |one: &Prediction| one.by.map_or_else(|| format!("{title}'s own rules"), str::to_owned);
    if let Some(unanswered) = found.iter().find(|one| *one.outcome == Outcome::Unanswered) {
        return PlatformVerdict::Depends { reasons: vec![by(unanswered)], facts: Vec::new() };
    }
    // A container of a network may fare otherwise than the one that is looked at, if only at its own port.
    let is_named = query.rule.is_some_and(|rule| rule.from.member.is_some() && rule.to.member.is_some());
    match found.first() {
        Some(first) if is_named && found.iter().all(|one| *one.outcome != Outcome::Delivered) => {
            PlatformVerdict::Closed(by(first))
        }
        _ => PlatformVerdict::Open(title),
    }
}

/// The containers that a rule's connections come from, as far as facts list them: one of each network.
fn openers<'p>(query: &Query<'p>) -> Vec<&'p str> {
    let facts = &query.policy.facts;
    let docker = facts.docker.iter().flat_map(|docker| &docker.containers);
    let podman = facts.podman.iter().flat_map(|podman| &podman.containers);
    let wanted = query.rule.and_then(|rule| rule.from.member.as_deref());
    let mut networks: Vec<&[String]> = Vec::new();
    let mut found = Vec::new();
    for (name, container) in docker.chain(podman) {
        if wanted.is_none_or(|wanted| wanted == name) && !networks.contains(&container.networks.as_slice()) {
            networks.push(&container.networks);
            found.push(name.as_str());
        }
    }
    found
}

/// What becomes of a container's connections to published ports that a rule means, one of each container that publishes them.
fn published_to(query: &Query<'_>, opener: &str) -> Vec<Prediction> {
    let Query { policy, family, .. } = *query;
    let of_family = |address: &IpAddr| Family::of(*address) == family;
    let known = container(policy, opener);
    let networks = known.iter().flat_map(|(_, networks)| networks);
    // From a network without a way out the host is reached by its own gateway alone.
    let gateway = networks.clone().find_map(|network| network.gateways.iter().copied().find(of_family));
    let gateway = gateway.filter(|_| networks.clone().all(|network| network.internal));
    let own = policy.facts.interfaces.values().flat_map(|interface| &interface.addresses).map(ipnet::IpNet::addr);
    let Some(address) = gateway.or_else(|| own.into_iter().find(|one| of_family(one) && !one.is_loopback())) else {
        return Vec::new();
    };
    let mut targets: Vec<&str> = vec![opener];
    let mut found = Vec::new();
    for one in &policy.containers.published {
        let meant = query.rule.is_none_or(|rule| {
            rule.to.published.as_ref().is_none_or(|list| list.contains(one))
                && rule.traffic.iter().any(|traffic| {
                    traffic.protocol.is_none_or(|protocol| protocol == one.protocol)
                        && traffic.ports.as_ref().is_none_or(|ports| ports.meets(one.ports))
                })
        });
        let address = one.address.filter(|at| !at.is_unspecified()).unwrap_or(address);
        if !meant || !of_family(&address) || targets.contains(&&*one.container) {
            continue;
        }
        targets.push(&one.container);
        let origin = Origin::Inside(opener.to_owned());
        let connection = Connection { origin, protocol: one.protocol, address, port: one.ports.first, mark: 0 };
        let translated = |one: &Prediction| one.headers.iter().any(|header| header.hook == Hook::Forward);
        found.extend(predict(&policy.facts, &connection).into_iter().filter(translated));
    }
    found
}

/// The verdict over all paths that are possible.
fn of_paths(query: &Query<'_>, platform: &'static Platform, paths: &[Possible<'static, Road>]) -> PlatformVerdict {
    let title = platform.title.as_str();
    let stopped: Vec<_> = paths.iter().filter(|path| path.item.outcome != Outcome::Delivered).collect();
    if paths.is_empty() {
        return PlatformVerdict::Nobody;
    }
    if stopped.is_empty() {
        return PlatformVerdict::Open(title);
    }
    if stopped.len() == paths.len() {
        let by = stopped.iter().find_map(|path| path.item.by.clone());
        return PlatformVerdict::Closed(by.unwrap_or_else(|| format!("{title}'s own rules")));
    }
    let mut facts: Vec<String> = Vec::new();
    for fact in paths.iter().flat_map(|path| &path.conditions).filter_map(|one| fact_of(platform, one, query.family)) {
        if !facts.contains(&fact) {
            facts.push(fact);
        }
    }
    PlatformVerdict::Depends { reasons: reasons(platform, &stopped), facts }
}

/// What becomes of routed packets that no rule accepts for good, first packets and answers, where a platform has set FORWARD's policy and
/// its own rules do not accept them. `None`: it accepts them, or no platform has set it.
#[must_use]
pub fn forward_policy(query: &Query<'_>) -> Option<PlatformVerdict> {
    let (policy, family) = (query.policy, query.family);
    let owner = policy.platforms.iter().filter_map(|name| Platform::load(name)).find(|one| one.drops_forwarded)?;
    let title = owner.title.as_str();
    let backend = |platform: &'static Platform| settings(platform, &policy.facts).and_then(|settings| settings.backend);
    let has_containers = query.flow.from == Class::Container || query.flow.to == Class::Container;
    // An accept in another platform's chains of iptables is final, too; in a table of its own it is not.
    let accepts =
        |platform: &&'static Platform| platform.name == owner.name || backend(platform) == Some(Backend::Iptables);
    if has_containers && query.platforms().iter().all(accepts) {
        return None;
    }
    let writes_rules = match family {
        Family::Ipv4 => !iptables_off(policy),
        Family::Ipv6 => ip6tables(policy) != Some(false) && !iptables_off(policy),
    };
    let known = match family {
        Family::Ipv4 => policy.facts.forward_policy_ipv4,
        Family::Ipv6 => policy.facts.forward_policy_ipv6,
    };
    match known {
        Some(ForwardPolicy::Accept) => None,
        Some(ForwardPolicy::Drop) => Some(PlatformVerdict::Closed("the policy of FORWARD".to_owned())),
        None if backend(owner) == Some(Backend::Nftables) || !writes_rules => None,
        None => Some(PlatformVerdict::Depends {
            reasons: vec![format!(
                "{title} sets the policy of FORWARD to DROP unless forwarding was on before it started"
            )],
            facts: owner.fact(Attribute::ForwardPolicy, family).map(|fact| format!("`{fact}`")).into_iter().collect(),
        }),
    }
}

impl PlatformVerdict {
    /// Of two platforms that may both have the target.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (one, other) if one == other => one,
            (Self::Nobody, other) | (other, Self::Nobody) => other,
            (one, other) => {
                let (mut reasons, mut facts) = one.said();
                let (more, others) = other.said();
                reasons.extend(more);
                facts.extend(others.into_iter().filter(|fact| !facts.contains(fact)).collect::<Vec<_>>());
                Self::Depends { reasons, facts }
            }
        }
    }

    /// In sentences, with the facts that settle it.
    fn said(self) -> (Vec<String>, Vec<String>) {
        match self {
            Self::Open(title) => (vec![format!("{title} lets it through")], Vec::new()),
            Self::Closed(by) => (vec![format!("dropped by {by}")], Vec::new()),
            Self::Depends { reasons, facts } => (reasons, facts),
            Self::Nobody => (Vec::new(), Vec::new()),
        }
    }
}

/// Each rule of the platform that stops the traffic, once, with the versions in which it does.
#[must_use]
pub fn reasons(platform: &Platform, stopped: &[&Possible<'static, Road>]) -> Vec<String> {
    let title = platform.title.as_str();
    let mut reasons: Vec<(String, Vec<&str>)> = Vec::new();
    for path in stopped {
        let by = path.item.by.clone().unwrap_or_else(|| format!("{title}'s own rules"));
        let versions = path.conditions.iter().filter(|condition| condition.attribute == Attribute::Version);
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
    let spoken = |(by, versions): (String, Vec<&str>)| match versions.as_slice() {
        [] => format!("dropped by {by}"),
        some => format!("with {title} {}, dropped by {by}", some.join(", or ")),
    };
    reasons.into_iter().map(spoken).collect()
}

/// What settles a condition: the fact as it is written, or what has to be known of the target. `None`: nothing that facts have.
#[must_use]
pub fn fact_of(platform: &Platform, condition: &Condition, family: Family) -> Option<String> {
    if let Some(fact) = platform.fact(condition.attribute, family) {
        return Some(format!("`{fact}`"));
    }
    match condition.attribute {
        Attribute::Opened => Some("what the container publishes".to_owned()),
        Attribute::Mode | Attribute::Internal => Some("which network it is on".to_owned()),
        _ => None,
    }
}
