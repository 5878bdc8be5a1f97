//! Denies to all containers while one of them has no network of its own: its ports are the host's.

use super::roads;
use crate::diagnostic::{Code, Diagnostic, Level};
use crate::netfilter::Target;
use crate::policy::{Class, Flow, Judgement, Policy, Rank};

/// A container that is the host.
pub static HOST_NETWORK_LEFT: Code = Code {
    number: "FW0370",
    name: "host-network-left-open",
    level: Level::Warning,
    summary: "containers are closed, and one of them shares the host's network, whose ports stay open",
    explanation: "\
With `network_mode: host` a container has no network of its own: it listens on the host's ports, and its connections go to INPUT. A rule
`to container` is not about it.

**Why it hurts.** `deny to container` reads as if every service of the compose file were closed, and this one is open.

```fw
use docker
compose \"docker-compose.yml\"          # `metrics` has `network_mode: host`
deny from world to container           # warning
```

**Instead**, close its ports for the host, or close the host:

```fw
use docker
compose \"docker-compose.yml\"
deny from world to container
deny tcp 9100 from world to host
```
",
};

/// The check.
pub fn check(policy: &Policy, _: Target) -> Vec<Diagnostic> {
    let to = |to| Flow { from: Class::Outside, to };
    let docker = policy.facts.docker.iter().flat_map(|docker| &docker.containers);
    let podman = policy.facts.podman.iter().flat_map(|podman| &podman.containers);
    let on_host = docker.chain(podman).find(|(_, container)| container.networks.iter().any(|name| name == "host"));
    let Some((name, container)) = on_host else { return Vec::new() };
    let host = policy.flows.get(&to(Class::Host)).into_iter().flatten();
    let mut closes = host.filter(|judgement| judgement.rank != Rank::Prelude && roads::stops(judgement.action));
    if closes.next().is_some() {
        return Vec::new();
    }
    let everyone = |judgement: &&Judgement| {
        let target = &judgement.to;
        roads::stops(judgement.action)
            && target.member.is_none()
            && target.addresses.is_none()
            && target.cards.is_none()
    };
    let Some(deny) = roads::written(policy, to(Class::Container)).find(everyone) else { return Vec::new() };
    let found = Diagnostic::new(
        &HOST_NETWORK_LEFT,
        deny.location,
        format!("`{name}` shares the host's network: this does not close its ports"),
    )
    .label("its connections go to the host")
    .help("close them there: `deny … to host`");
    vec![match container.location {
        Some(location) => found.related(location, "has no network of its own"),
        None => found,
    }]
}
