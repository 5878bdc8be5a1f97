//! An allow to containers that opens the same ports of the host, because docker-proxy's look like these.

use super::roads;
use crate::diagnostic::{Code, Diagnostic, Level};
use crate::netfilter::Target;
use crate::policy::closed::End;
use crate::policy::{Action, Class, Flow, Judgement, Party, Policy, Rank, Traffic, cover};
use crate::traffic;

/// Ports of the host that an allow to containers opens.
pub static OPENS_HOST_PORT: Code = Code {
    number: "FW0376",
    name: "opens-host-port",
    level: Level::Warning,
    summary: "an allow to containers opens the same ports of the host, where docker-proxy may listen at them",
    explanation: "\
docker-proxy takes in what comes over IPv6 to a network without IPv6, and what containers send to an address of the host. Those
connections pass INPUT, where its ports look like the host's own. While nothing says what is published, an allow to containers that names
its ports therefore opens them on INPUT, for these origins: without that, it would have no effect on them.

**Why it hurts.** If no container publishes the port, the host's own service answers there. Narrowing a line can open so: `allow tcp from any
to container` reaches INPUT at no port, `allow tcp 22 from any to container` at port 22.

```fw
use docker
allow https from 198.51.100.0/24 to host
allow ssh from any to container              # warning: and to the host's sshd, over IPv6 and from containers
```

**Instead**, say what is published. Then INPUT is divided by that, and nothing of the host is opened:

```fw
use docker
compose \"docker-compose.yml\"
allow https from 198.51.100.0/24 to host
allow ssh from any to container
```

or, if Docker runs without docker-proxy, `fact docker.userland-proxy = off`.
",
};

/// The check.
pub fn check(policy: &Policy, _: Target) -> Vec<Diagnostic> {
    let mut out: Vec<Diagnostic> = Vec::new();
    if !policy.containers.used || !policy.containers.published.is_empty() || !traffic::may_proxy(policy) {
        return out;
    }
    for (from, by) in [(Class::Outside, "over IPv6"), (Class::Container, "from containers")] {
        let to = |to| Flow { from, to };
        if !matches!(policy.end(to(Class::Host)), End::Closed(_)) {
            continue;
        }
        for allow in policy.flows.get(&to(Class::Container)).into_iter().flatten().filter(|allow| reaches_input(allow))
        {
            let of_host = Judgement { to: Party::of(Class::Host), ..allow.clone() };
            let mut own = policy.flows.get(&to(Class::Host)).into_iter().flatten();
            if own.any(|one| one.action == Action::Allow && cover::covers(one, &of_host)) {
                continue;
            }
            if out.iter().any(|found| found.primary.location == allow.location) {
                continue;
            }
            let ports: Vec<String> =
                allow.traffic.iter().map(|one| roads::spoken(one.protocol, one.ports.as_ref())).collect();
            let message = format!("{by}, this opens the host's own {}, too", ports.join(", "));
            out.push(
                Diagnostic::new(&OPENS_HOST_PORT, allow.location, message)
                    .label("on INPUT, docker-proxy's ports look like the host's own")
                    .help("say what is published: `compose \"docker-compose.yml\"`, `container NAME on NETWORK publish …`, or facts")
                    .help("or, if Docker runs without docker-proxy, `fact docker.userland-proxy = off`"),
            );
        }
    }
    out
}

/// Whether an allow to containers is one on INPUT as well, while nothing is known to be published.
fn reaches_input(allow: &Judgement) -> bool {
    let named = |one: &Traffic| one.ports.is_some();
    allow.action == Action::Allow
        && allow.rank == Rank::Rule
        && allow.to.view.is_none()
        && allow.to.published.is_none()
        && !allow.forwarded
        && allow.traffic.iter().all(named)
}
