//! A host that is closed while nothing is said of its containers: what they publish goes past the host's rules.

use super::lockout;
use crate::diagnostic::{Code, Diagnostic, Level};
use crate::netfilter::Target;
use crate::platform::{self, Platform};
use crate::policy::{Class, Flow, Policy, Published};

/// The host is closed, containers are not.
pub static LEFT_OPEN: Code = Code {
    number: "FW0360",
    name: "published-ports-left-open",
    level: Level::Warning,
    summary: "the host is closed, and what containers publish stays open",
    explanation: "\
`to host` is what the host itself listens to. What a container publishes is led past the host's rules by address translation, and a
flow that no rule speaks of is left to the platform: Docker lets everybody in.

**Why it hurts.** Whoever writes `default deny to host` believes the machine to be closed, and the database that a container publishes
is open to the Internet.

```fw
use docker
container db on app publish tcp 5432
allow ssh from 198.51.100.0/24 to host
default deny to host                        # warning: `db` stays open
```

**Instead**, say what is to be reached; the rest of the containers is closed by that:

```fw
use docker
container db on app publish tcp 5432
allow ssh from 198.51.100.0/24 to host
allow postgres from 198.51.100.0/24 to container db
default deny to host
```

or that it is meant: `default allow to container`.
",
};

/// The check.
pub fn check(policy: &Policy, _: Target) -> Vec<Diagnostic> {
    let to = |to| Flow { from: Class::Outside, to };
    let raw = policy.raw.iter().any(|raw| matches!(&*raw.hook, "FORWARD" | "DOCKER-USER"));
    if !policy.containers.used || raw || policy.governs(to(Class::Container)) {
        return Vec::new();
    }
    let host = policy.flows.get(&to(Class::Host)).into_iter().flatten();
    let Some(closing) = host.into_iter().find(|judgement| lockout::closes(policy, judgement)) else {
        return Vec::new();
    };
    let reached = |one: &&Published| one.address.is_none_or(|address| !address.is_loopback());
    let mut published = policy.containers.published.iter().filter(reached);
    let found = Diagnostic::new(&LEFT_OPEN, closing.location, "this does not close what containers publish");
    let found = match published.next() {
        Some(one) => {
            let port = format!("`{}` publishes {} {}", one.container, one.protocol, one.ports);
            let found = found.label("the host's rules are not asked about it");
            let more = if published.next().is_some() { ", and more is published" } else { "" };
            match one.location {
                Some(location) => found.related(location, format!("{port}{more}")),
                None => found.note(format!("{port}{more}")),
            }
        }
        // Nothing is known to be published, and something may be.
        None if !is_known(policy) => found.label(around(policy)),
        None => return Vec::new(),
    };
    vec![
        found
            .help(
                "say what is to be reached (`allow https to container`), or close it all: `default deny to container`",
            )
            .help("or say that it is meant: `default allow to container`"),
    ]
}

/// What goes past the host's rules.
fn around(policy: &Policy) -> String {
    let used = policy.platforms.iter().filter_map(|name| Platform::load(name));
    let mut titles = used.filter(|platform| platform.class == Some(platform::Class::Container));
    match titles.next() {
        Some(kubernetes) if kubernetes.name == "kubernetes" => {
            "NodePorts (30000-32767), hostPorts and load balancers go past the host's rules".to_owned()
        }
        Some(platform) => format!("{} leads what they publish past the host's rules", platform.title),
        None => "what they publish goes past the host's rules".to_owned(),
    }
}

/// Whether the containers are known, and so what they publish.
fn is_known(policy: &Policy) -> bool {
    let docker = policy.facts.docker.as_ref().is_some_and(|docker| docker.complete || !docker.containers.is_empty());
    docker || policy.facts.podman.as_ref().is_some_and(|podman| podman.complete || !podman.containers.is_empty())
}
