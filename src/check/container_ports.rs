//! Ports of a container on the wrong side of NAT: its own where what is dialled is compared, or the other way round.

use super::roads;
use crate::diagnostic::{Code, Diagnostic, Level};
use crate::net::PortSet;
use crate::netfilter::Target;
use crate::policy::who::codes::UNPUBLISHED_CONTAINER;
use crate::policy::{Class, Flow, Judgement, Policy, Published, Traffic};
use crate::syntax::tree::View;
use crate::traffic;

/// A service that no known publication has on that side.
pub static PORT_ON_THE_WRONG_SIDE: Code = Code {
    number: "FW0306",
    name: "port-on-the-wrong-side",
    level: Level::Warning,
    summary: "a port that nothing publishes, compared as what is dialled; or a published one, compared `inside`",
    explanation: "\
A published port has two numbers: the one that a client dials, and the container's own, to which NAT turns it. `to container`
compares what the client dials; `inside` compares the container's own.

```fw
container web on front publish tcp 8080 to 80
allow http from any to container              # warning: nobody dials 80
allow tcp 8080 from any to container inside   # warning: 8080 is not the container's own port
```

**Instead**, one of:

```fw
allow tcp 8080 from any to container
allow http from any to container inside
```

A port that the routing mesh of a swarm publishes is not translated where rules see it: FORWARD shows the published port, and
`inside` compares that.
",
};

/// The check.
pub fn check(policy: &Policy, _: Target) -> Vec<Diagnostic> {
    let known = &policy.containers.published;
    let mut told: Vec<u32> = Vec::new();
    let mut out = Vec::new();
    for from in [Class::Outside, Class::Container, Class::Instance, Class::Guest, Class::Host] {
        for judgement in roads::written(policy, Flow { from, to: Class::Container }) {
            if known.is_empty() || judgement.to.view == Some(View::Direct) || told.contains(&judgement.statement) {
                continue;
            }
            let found = match &judgement.to.published {
                Some(published) => named(policy, judgement, published),
                None if judgement.to.is_whole_class() || judgement.to.view.is_some() => {
                    services(judgement).iter().find_map(|traffic| unnamed(policy, judgement, traffic, known))
                }
                None => None,
            };
            if let Some(found) = found {
                told.push(judgement.statement);
                out.push(found);
            }
        }
    }
    out
}

/// What a rule names, one run of ports at a time.
fn services(judgement: &Judgement) -> Vec<Traffic> {
    let apart = |traffic: &Traffic| -> Vec<Traffic> {
        let Some(ports) = &traffic.ports else { return vec![traffic.clone()] };
        let alone = |range: &crate::net::PortRange| Traffic { ports: Some(PortSet::new([*range])), ..traffic.clone() };
        ports.ranges().iter().map(alone).collect()
    };
    judgement.traffic.iter().flat_map(apart).collect()
}

/// A rule to one container: each of its services must be among what that publishes.
fn named(policy: &Policy, judgement: &Judgement, published: &[Published]) -> Option<Diagnostic> {
    let name = judgement.to.member.as_deref()?;
    let (container, networks) = traffic::container(policy, name)?;
    if published.is_empty() || networks.iter().any(|network| network.is_routed()) {
        return None;
    }
    let view = judgement.to.view;
    let absent = |traffic: &&Traffic| !published.iter().any(|one| roads::meant(traffic, one, view));
    let services = services(judgement);
    let missing: Vec<&Traffic> = services.iter().filter(absent).collect();
    let first = *missing.first()?;
    let words = roads::spoken(first.protocol, first.ports.as_ref());
    let none = missing.len() == services.len();
    let message = match view {
        Some(View::Inside) => format!("`{words}` is not a port behind what container `{name}` publishes"),
        _ => format!("container `{name}` publishes no `{words}`"),
    };
    let code = if none { &UNPUBLISHED_CONTAINER } else { &PORT_ON_THE_WRONG_SIDE };
    let place = roads::own_target(judgement).unwrap_or(judgement.location);
    let mut found = Diagnostic::new(code, place, message).label(if none {
        "this rule decides nothing"
    } else {
        "the rule decides nothing for that"
    });
    for one in published {
        if let Some(location) = one.location {
            found = found.related(location, roads::publishes(one));
        }
    }
    if published.iter().all(|one| one.location.is_none())
        && let Some(location) = container.location
    {
        found = found.related(location, "the container");
    }
    Some(suggest(judgement, first, published, none && missing.len() == 1, found))
}

/// A rule to containers in general, at a port that stands on the other side only.
fn unnamed(policy: &Policy, judgement: &Judgement, traffic: &Traffic, known: &[Published]) -> Option<Diagnostic> {
    let ports = traffic.ports.as_ref()?;
    let view = judgement.to.view;
    let other = if view == Some(View::Inside) { None } else { Some(View::Inside) };
    if known.iter().any(|one| roads::meant(traffic, one, view)) {
        return None;
    }
    let meant: Vec<Published> = known.iter().filter(|one| roads::meant(traffic, one, other)).cloned().collect();
    let covered = PortSet::new(meant.iter().map(|one| if other.is_some() { one.container_ports } else { one.ports }));
    if meant.is_empty() || !roads::within(ports, &covered) {
        return None;
    }
    let words = roads::spoken(traffic.protocol, Some(ports));
    let sure = policy.facts.docker.as_ref().is_some_and(|docker| docker.complete);
    let message = match (view, sure) {
        (Some(View::Inside), _) => {
            format!("`{words}` is what clients dial, and `inside` compares the container's own port")
        }
        (_, true) => format!("nothing publishes `{words}`, so nobody reaches a container there"),
        (_, false) => format!("nothing is known to publish `{words}`; it is a container's own port"),
    };
    let place = roads::own_target(judgement).unwrap_or(judgement.location);
    let mut found = Diagnostic::new(&PORT_ON_THE_WRONG_SIDE, place, message).label("possibly decides nothing");
    for one in &meant {
        if let Some(location) = one.location {
            found = found.related(location, roads::publishes(one));
        }
    }
    Some(suggest(judgement, traffic, &meant, services(judgement).len() == 1, found))
}

/// What was probably meant: the same port on the other side of NAT.
fn suggest(
    judgement: &Judgement,
    traffic: &Traffic,
    published: &[Published],
    alone: bool,
    found: Diagnostic,
) -> Diagnostic {
    let view = judgement.to.view;
    let other = if view == Some(View::Inside) { None } else { Some(View::Inside) };
    let meant: Vec<&Published> =
        published.iter().filter(|one| traffic.ports.is_some() && roads::meant(traffic, one, other)).collect();
    if meant.is_empty() {
        return found.help("name what it publishes, publish the port, or write `direct` for its own address");
    }
    let dialled: Vec<String> = meant.iter().map(|one| format!("{} {}", one.protocol, one.ports)).collect();
    let target = roads::own_target(judgement).filter(|_| alone);
    match (view, target) {
        (Some(View::Inside), Some(target)) if judgement.to.at.is_none() => {
            let place =
                judgement.to.member.as_deref().map_or("container".to_owned(), |name| format!("container {name}"));
            found.fix("what clients dial is compared without `inside`", target, place)
        }
        (Some(View::Inside), _) => found.help("take the word `inside` out"),
        (_, Some(target)) => found.help(format!("it is reached at {}: name that", dialled.join(", "))).fix(
            "or compare the container's own port",
            roads::behind(target),
            " inside",
        ),
        _ => found
            .help(format!("it is reached at {}: name that", dialled.join(", ")))
            .help("or compare the container's own port: `inside` behind the container"),
    }
}
