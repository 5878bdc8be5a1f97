//! What becomes of a packet that this policy does not stop: what the platform is known to do with it.

use crate::check::direct;
use crate::net::Family;
use crate::netfilter::Hook;
use crate::platform::{Attribute, Outcome};
use crate::policy::{Class, Flow, Judgement, Policy};

use super::world::World;

/// What stands behind this policy's rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Beyond {
    /// The platform lets it through.
    Open,
    /// The platform stops it; by which rule of its own.
    Closed(String),
    /// That depends on what is not known; each is a sentence, with the fact that settles it.
    Depends(Vec<String>),
    /// No platform has a say: what other rules there are on the host is not known.
    Nobody,
}

/// What the platform does with first packets of a flow at a hook.
pub(super) fn of(
    policy: &Policy,
    judgement: &Judgement,
    flow: Flow,
    hook: Hook,
    world: World,
    family: Family,
) -> Beyond {
    match (flow.from, flow.to, hook, world) {
        // Docker writes no rules for INPUT and OUTPUT; docker-proxy takes in whatever comes.
        (_, _, Hook::Input, _) => Beyond::Nobody,
        (_, Class::Container, _, World::Translated) | (Class::Host, Class::Container, ..) => Beyond::Open,
        (Class::Container, Class::Container, ..) => Beyond::Depends(vec![
            "Docker lets containers on one network talk, and keeps those on different networks apart".to_owned(),
        ]),
        (_, Class::Container, ..) => direct_roads(policy, judgement, family),
        (Class::Container, Class::Outside, ..) => Beyond::Open,
        _ => Beyond::Nobody,
    }
}

/// From elsewhere straight to a container's own address.
fn direct_roads(policy: &Policy, judgement: &Judgement, family: Family) -> Beyond {
    let roads = direct::roads_to(policy, judgement, family);
    let arrives = roads.iter().filter(|road| road.item.outcome == Outcome::Delivered).count();
    if roads.is_empty() {
        return Beyond::Nobody;
    }
    if arrives == roads.len() {
        return Beyond::Open;
    }
    let stopped = || roads.iter().filter(|road| road.item.outcome != Outcome::Delivered);
    if arrives == 0 {
        let by = stopped().find_map(|road| road.item.by.clone());
        return Beyond::Closed(by.unwrap_or_else(|| "Docker's own rules".to_owned()));
    }
    let refs: Vec<_> = stopped().collect();
    let mut reasons = direct::reasons(&refs);
    let mut facts: Vec<String> = Vec::new();
    for condition in roads.iter().flat_map(|road| &road.conditions) {
        let fact = match condition.attribute {
            Attribute::Version => "`docker.version`",
            Attribute::Backend => "`docker.firewall-backend`",
            Attribute::Rules => "`docker.ip6tables`",
            Attribute::Direct => "`docker.allow-direct-routing`",
            Attribute::ForwardPolicy if family == Family::Ipv4 => "`forward-policy-ipv4`",
            Attribute::ForwardPolicy => "`forward-policy-ipv6`",
            Attribute::Opened => "what the container publishes",
            Attribute::Mode | Attribute::Internal => "which network it is on",
            _ => continue,
        };
        if !facts.iter().any(|known| known == fact) {
            facts.push(fact.to_owned());
        }
    }
    if !facts.is_empty() {
        reasons.push(format!("what would settle it: {}", facts.join(", ")));
    }
    Beyond::Depends(reasons)
}
