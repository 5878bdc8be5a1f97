//! Ports that Swarm's routing mesh publishes: it keeps the port, so that no rule ever sees the container's own.

use super::roads;
use crate::diagnostic::{Code, Diagnostic, Level};
use crate::net::{PortRange, Protocol};
use crate::netfilter::Target;
use crate::policy::{Class, Flow, Judgement, Policy, Published, Traffic};
use crate::syntax::tree::View;

/// A container's own port, compared where the mesh shows the published one.
pub static SWARM_KEEPS_PORT: Code = Code {
    number: "FW0317",
    name: "swarm-keeps-port",
    level: Level::Warning,
    summary: "the container's own port is compared, and Swarm's routing mesh keeps the published one",
    explanation: "\
A port with `mode: ingress` is published on every node of a swarm. The host's NAT leads it to the routing mesh's own namespace, on
`docker_gwbridge`, and keeps the port; only behind that does it become the container's own. Every hook of the host shows the
published port: `--dport` and `--ctorigdstport` are the same number, and the container's own is on no packet.

**Why it hurts.** A rule that compares the container's own port decides nothing: a deny leaves the service open on every node.

```yaml
services:
  web: { ports: [ { target: 80, published: 8080, mode: ingress } ] }
```

```text
deny tcp 80 to container inside              # warning
chain filter DOCKER-USER {
    -p tcp --dport 80 -j DROP                # warning
}
```

**Instead**, name the port that is dialled, or the container; both are right with the mesh and without it:

```text
deny tcp 8080 to container
deny tcp 80 to container web inside
```

In a `chain` block, `--dport 8080` is right for the mesh alone; `-m conntrack --ctdir ORIGINAL --ctorigdstport 8080` for both. The mesh takes
the port at every address of the host, so that `at ADDRESS` narrows a rule, and not what is published.
`fact docker.swarm = off` says that there is no swarm; `mode: ingress` then means nothing.
",
};

/// The check.
pub fn check(policy: &Policy, _: Target) -> Vec<Diagnostic> {
    let mut told: Vec<u32> = Vec::new();
    let mut out = Vec::new();
    if kept(policy).next().is_none() {
        return out;
    }
    for from in Class::ALL {
        for judgement in roads::written(policy, Flow { from, to: Class::Container }) {
            // Of a container by name it is known which port is dialled for its own: that is compared.
            let compared = judgement.to.view == Some(View::Inside) && judgement.to.published.is_none();
            if !compared || told.contains(&judgement.statement) {
                continue;
            }
            if let Some(found) = judgement.traffic.iter().find_map(|traffic| unseen(policy, judgement, traffic)) {
                told.push(judgement.statement);
                out.push(found);
            }
        }
    }
    out
}

/// What the mesh publishes, or would if there were a swarm, under another number than the container's own.
fn kept(policy: &Policy) -> impl Iterator<Item = &Published> {
    let swarm = policy.facts.docker.as_ref().and_then(|docker| docker.swarm) != Some(false);
    policy.containers.published.iter().filter(move |one| swarm && one.ingress && one.ports != one.container_ports)
}

fn unseen(policy: &Policy, judgement: &Judgement, traffic: &Traffic) -> Option<Diagnostic> {
    traffic.ports.as_ref()?;
    let one =
        kept(policy).find(|one| roads::meant(traffic, one, Some(View::Inside)) && !roads::meant(traffic, one, None))?;
    let place = roads::own_target(judgement).unwrap_or(judgement.location);
    Some(
        told(policy, one, Diagnostic::new(&SWARM_KEEPS_PORT, place, message(one)))
            .help(format!("name what is dialled, without `inside`: `{} {}` to `container`", one.protocol, one.ports)),
    )
}

/// The same in a `chain` block: a line behind NAT that compares the container's own port.
pub(super) fn compared(
    policy: &Policy,
    here: crate::span::Location,
    protocol: Protocol,
    ports: &[PortRange],
) -> Option<Diagnostic> {
    let meets = |range: PortRange| ports.iter().any(|one| one.first <= range.last && range.first <= one.last);
    let other = |one: &Published| one.protocol == protocol && !one.ingress && meets(one.container_ports);
    if policy.containers.published.iter().any(other) {
        return None;
    }
    let one = kept(policy).find(|one| one.protocol == protocol && meets(one.container_ports) && !meets(one.ports))?;
    Some(
        told(policy, one, Diagnostic::new(&SWARM_KEEPS_PORT, here, message(one)))
            .help(format!("compare the port that is dialled: {protocol} {}", one.ports)),
    )
}

/// Whether the mesh shows this port as it was dialled, so that comparing it behind NAT is right.
pub(super) fn shown(policy: &Policy, one: &Published) -> bool {
    kept(policy).any(|kept| kept == one)
}

fn message(one: &Published) -> String {
    format!("the routing mesh keeps port {}: no rule sees the container's own {}", one.ports, one.container_ports)
}

fn told(policy: &Policy, one: &Published, found: Diagnostic) -> Diagnostic {
    let sure = policy.facts.docker.as_ref().and_then(|docker| docker.swarm) == Some(true);
    let found = found.label(if sure { "decides nothing" } else { "decides nothing if this host is in a swarm" });
    match one.location {
        Some(location) => found.related(location, roads::publishes(one)),
        None => found,
    }
}
