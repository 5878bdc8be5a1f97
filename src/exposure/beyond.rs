//! What becomes of packets behind a policy's rules, where the platform's own are not there to be read.

use std::sync::Arc;

use super::roads::Road;
use crate::check::direct;
use crate::host::Host;
use crate::net::Family;
use crate::platform::Outcome;
use crate::policy::{Action, Class, Judgement, Options, Party, Policy, Rank, Traffic};
use crate::span::Location;

/// What stands behind this policy's rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Beyond {
    /// Packets arrive; who lets them, if it is the platform.
    Open(Option<String>),
    /// The platform stops them.
    Closed,
    /// That depends on what is not known.
    Depends(Vec<String>),
}

/// What becomes of packets of a road. `allowed`: a rule of the policy lets them through.
pub(super) fn beyond(host: &Host, road: &Road, family: Family, allowed: bool) -> Beyond {
    let Some(policy) = host.policy.as_ref().filter(|_| !host.recorded) else { return Beyond::Open(None) };
    let published = road.translation.as_ref().and_then(|translation| translation.published.as_ref());
    let anything = road.translation.as_ref().is_some_and(|translation| translation.anything);
    let proxied = road.translation.as_ref().is_some_and(|translation| translation.proxied);
    let silent = |whose: &str| Beyond::Depends(vec![format!("what {whose} other rules do is not known")]);
    match (road.from, road.to) {
        (_, Class::Container) if (published.is_some() || anything) && !proxied => {
            Beyond::Open(Some("Docker's own rules let in what is published".to_owned()))
        }
        (Class::Outside, Class::Container) if published.is_none() && road.translation.is_none() => {
            direct_roads(policy, family)
        }
        (Class::Container, Class::Outside) => Beyond::Open(Some("Docker's own rules let containers out".to_owned())),
        (Class::Container, Class::Container) if !allowed => Beyond::Depends(vec![
            "Docker lets containers on one network talk, and keeps those on different networks apart".to_owned(),
        ]),
        _ if allowed => Beyond::Open(None),
        (_, Class::Host) | (Class::Host, _) => silent("the host's"),
        _ => silent("the platform's and the host's"),
    }
}

/// From elsewhere straight to a container's own address.
fn direct_roads(policy: &Policy, family: Family) -> Beyond {
    let judgement = Judgement {
        statement: 0,
        rank: Rank::Rule,
        action: Action::Allow,
        family: None,
        traffic: Traffic::ALL.into(),
        from: Party::of(Class::Outside),
        to: Party::of(Class::Container),
        via: None,
        options: Arc::new(Options::default()),
        forwarded: false,
        anyone: false,
        location: Location::default(),
        target: None,
    };
    let roads = direct::roads_to(policy, &judgement, family);
    let stopped: Vec<_> = roads.iter().filter(|road| road.item.outcome != Outcome::Delivered).collect();
    if roads.is_empty() {
        return Beyond::Depends(vec!["what the platform's own rules do is not known".to_owned()]);
    }
    if stopped.is_empty() {
        return Beyond::Open(Some("Docker's own rules let packets straight to containers".to_owned()));
    }
    if stopped.len() == roads.len() {
        return Beyond::Closed;
    }
    Beyond::Depends(vec![
        "Docker's version and settings decide, and whether there is a route to the container's own address".to_owned(),
    ])
}
