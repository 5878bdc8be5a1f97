//! Policies that speak of containers without a `use`: what was the world until then is a class of its own, and closed no more.

use super::roads;
use crate::diagnostic::{Code, Diagnostic, Level};
use crate::netfilter::Target;
use crate::platform::{self, Platform};
use crate::policy::closed::{End, Extent};
use crate::policy::{Class, Flow, Judgement, Policy, Rank};
use crate::project::Project;
use crate::syntax::tree::StatementKind;

/// Bridges that are no part of the world any more.
pub static BRIDGES_LEAVE_WORLD: Code = Code {
    number: "FW0377",
    name: "bridges-leave-world",
    level: Level::Note,
    summary: "a policy that closes something to the world speaks of containers, whose bridges are no world any more",
    explanation: "\
The bridges of a platform that the policy does not `use` lead outside as far as it knows: what closes the host to the world closes it to
containers, too. The first line that speaks of containers brings their platform with it, and containers are a class of their own from then on.

**Why it hurts.** A line that only denies something then opens the host to every container.

```fw
allow ssh from 198.51.100.0/24 to host
deny postgres from world to container        # note: containers reach this host
```

**Instead**, say what containers may do, or that they are meant to reach the host:

```fw
use docker
allow ssh from 198.51.100.0/24 to host
deny postgres from world to container
deny from container to host
```
",
};

/// The check.
pub fn check(project: &Project, policy: &Policy, _: Target) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    for class in [Class::Container, Class::Instance] {
        out.extend(leaves(project, policy, class));
    }
    out
}

fn leaves(project: &Project, policy: &Policy, class: Class) -> Option<Diagnostic> {
    let of_class = |name: &str| Platform::load(name).is_some_and(|platform| is(platform, class));
    let statements = project.parsed.iter().flatten().flat_map(|parsed| &parsed.tree.statements);
    let used = statements.into_iter().any(|statement| match &statement.value {
        StatementKind::Use(node) => of_class(&node.name.value),
        _ => false,
    });
    let known = match class {
        Class::Container => policy.facts.docker.is_some() || policy.facts.podman.is_some(),
        _ => policy.facts.instances.is_some(),
    };
    let implied = policy.platforms.iter().any(|name| of_class(name)) && !used && !known;
    if !implied || !policy.flows.iter().any(|(flow, list)| list.iter().any(stops) && opens(policy, *flow, class)) {
        return None;
    }
    let speaks = policy.flows.iter().filter(|(flow, _)| flow.from == class || flow.to == class);
    let written = speaks.flat_map(|(_, list)| list).filter(|judgement| judgement.rank > Rank::Prelude);
    let first = written.map(|judgement| judgement.location).min()?;
    let (word, platform) = (class.name(), if class == Class::Container { "docker" } else { "lxd" });
    let message =
        format!("with this, bridges of {word}s are no part of the world: what is closed to it is open to them");
    Some(
        Diagnostic::new(&BRIDGES_LEAVE_WORLD, first, message)
            .label(format!("the first line that speaks of {word}s"))
            .help(format!("say what is closed to them as well: `deny from {word} to host`"))
            .help(format!("or, if it is meant, name the platform: `use {platform}`")),
    )
}

fn stops(judgement: &Judgement) -> bool {
    judgement.rank > Rank::Prelude && roads::stops(judgement.action)
}

/// Whether a flow from or to the world is closed no more for a class that has left it.
fn opens(policy: &Policy, flow: Flow, class: Class) -> bool {
    if [flow.from, flow.to].contains(&class) {
        return false;
    }
    let left = |end: Class| if end == Class::Outside { class } else { end };
    let own = Flow { from: left(flow.from), to: left(flow.to) };
    let others = [Flow { from: own.from, ..flow }, Flow { to: own.to, ..flow }, own];
    let closed = |flow: Flow| policy.end(flow) == End::Closed(Extent::Whole);
    others.into_iter().any(|other| other != flow && !closed(other))
}

fn is(platform: &Platform, class: Class) -> bool {
    matches!(
        (platform.class, class),
        (Some(platform::Class::Container), Class::Container) | (Some(platform::Class::Instance), Class::Instance)
    )
}
