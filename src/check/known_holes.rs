//! Versions of a platform whose own rules leave something open that an advisory names.

use super::{roads, words};
use crate::diagnostic::{Code, Diagnostic, Level};
use crate::net::{PortRange, Protocol};
use crate::netfilter::Target;
use crate::platform::{Advisory, Opening, Platform, Requirement};
use crate::policy::{Action, Class, Flow, Judgement, Policy, Traffic};
use crate::project::Project;
use crate::syntax::tree::View;

/// A version with a hole.
pub static KNOWN_HOLE: Code = Code {
    number: "FW0365",
    name: "known-hole",
    level: Level::Warning,
    summary: "this version's own rules have a known hole, and the policy does not close it",
    explanation: "\
A platform keeps some things closed by rules of its own, and a policy relies on them: containers on different networks are kept apart by
Docker, and a container's own address is closed to other machines. Some versions fail to: an advisory says which, and the platform's
data has it as a row.

**Why it hurts.** Nothing in the policy changes on the day when the platform's rules are gone. With Docker 28.2.0 to 28.3.2 a reload of
firewalld takes the rules away that keep other machines from a container's own address, and what is published on 127.0.0.1 is open to
every neighbour (CVE-2025-54388).

```fw
use docker
fact docker.version = \"28.3.1\"              # warning
fact firewalld = true
allow ssh from 198.51.100.0/24 to host
```

**Instead**, update, or say what is to be closed; a policy that closes it gets no warning:

```fw
use docker
fact docker.version = \"28.3.1\"
fact firewalld = true
allow ssh from 198.51.100.0/24 to host
deny from world to container direct
deny from container to container direct
```

Where firewalld does not run, say so: `fact firewalld = false`.
",
};

/// The same, where it is not known that the host has what the hole needs.
pub static POSSIBLE_HOLE: Code = Code {
    number: "FW0372",
    name: "possible-hole",
    level: Level::Note,
    summary: "this version's own rules have a known hole, if firewalld runs on the host",
    explanation: "\
As FW0365: an advisory names a hole in the rules of this version of the platform, and the policy does not close it. It opens only where
firewalld runs, and nothing says whether it does.

```fw
use docker
fact docker.version = \"28.3.1\"              # note
allow ssh from 198.51.100.0/24 to host
```

**Instead**, say that it does not run, or close what the advisory names:

```fw
use docker
fact docker.version = \"28.3.1\"
fact firewalld = false
allow ssh from 198.51.100.0/24 to host
```
",
};

/// The check.
pub fn check(project: &Project, policy: &Policy, _: Target) -> Vec<Diagnostic> {
    let used = policy.platforms.iter().filter_map(|name| Platform::load(name));
    used.flat_map(|platform| platform.advisories().iter().map(move |advisory| (platform, advisory)))
        .filter_map(|(platform, advisory)| open(project, policy, platform, advisory))
        .collect()
}

fn open(project: &Project, policy: &Policy, platform: &Platform, advisory: &Advisory) -> Option<Diagnostic> {
    let docker = policy.facts.docker.as_ref().filter(|_| platform.name == "docker");
    let affected = advisory.affects(docker.and_then(|docker| docker.version.as_deref()));
    let required = required(policy, advisory.requires);
    // What neither the version nor the host is known to have would be said of everybody.
    if affected == Some(false) || required == Some(false) || (affected.is_none() && required.is_none()) {
        return None;
    }
    if closed(policy, advisory.opening) {
        return None;
    }
    let version = policy.facts.source(&format!("{}.version", platform.name));
    let location = version.or_else(|| words::used(project, &platform.name))?;
    let code = if required.is_none() { &POSSIBLE_HOLE } else { &KNOWN_HOLE };
    let mut found = Diagnostic::new(code, location, advisory.summary.clone())
        .label(advisory.id.clone())
        .help(format!("{}, or close it: `{}`", advisory.remedy, advisory.rule));
    if affected.is_none() {
        found = found.help("or say which version runs: `fact docker.version = …`");
    }
    if required.is_none() {
        found = found.help("or say that firewalld does not run: `fact firewalld = false`");
    }
    Some(found.note(format!("source: {}", advisory.source)))
}

/// Whether the host has what the hole needs; `None`: not known.
fn required(policy: &Policy, requirement: Requirement) -> Option<bool> {
    match requirement {
        Requirement::Firewalld if policy.platforms.iter().any(|name| name == "firewalld") => Some(true),
        Requirement::Firewalld => policy.facts.firewalld,
        // Few daemons are in a swarm, and whoever has one has its facts.
        Requirement::Swarm => Some(policy.facts.docker.as_ref().and_then(|docker| docker.swarm) == Some(true)),
    }
}

/// Whether the policy denies what is open: to everybody in a closed flow, or by a rule that says so.
fn closed(policy: &Policy, opening: Opening) -> bool {
    let list = |from, to| policy.flows.get(&Flow { from, to }).into_iter().flatten();
    match opening {
        Opening::DirectFromOutside => list(Class::Outside, Class::Container).any(stops_direct),
        Opening::BetweenNetworks => list(Class::Container, Class::Container).any(stops_direct),
        // Docker's own drops come after every rule that was there before.
        Opening::Vxlan => !list(Class::Outside, Class::Host).any(lets_vxlan_in),
    }
}

/// Whether anybody may send VXLAN packets by this.
fn lets_vxlan_in(judgement: &Judgement) -> bool {
    let vxlan = |traffic: &Traffic| {
        let ports = traffic.ports.as_ref();
        traffic.protocol == Some(Protocol::UDP)
            && ports.is_some_and(|ports| roads::overlaps(ports, PortRange::single(4789)))
    };
    judgement.action == Action::Allow && judgement.from.addresses.is_none() && judgement.traffic.iter().any(vxlan)
}

/// Whether everything to any container's own address is denied.
fn stops_direct(judgement: &Judgement) -> bool {
    let anyone = judgement.from.is_whole_class();
    let anywhere = judgement.to.addresses.is_none() && judgement.to.cards.is_none() && judgement.to.member.is_none();
    roads::stops(judgement.action)
        && anyone
        && anywhere
        && matches!(judgement.to.view, None | Some(View::Direct))
        && judgement.via.is_none()
        && judgement.traffic.contains(&Traffic::ALL)
}
