//! `allow … to container direct` where Docker's own rules stop the traffic first, or behind.

use super::{roads, same_bridge};
use crate::diagnostic::{Code, Diagnostic, Level};
use crate::facts::Backend;
use crate::net::Family;
use crate::netfilter::Target;
use crate::platform::{Outcome, Platform, Possible, Road};
use crate::policy::resolve::families;
use crate::policy::{Action, Class, Flow, Judgement, Policy};
use crate::syntax::tree::View;
use crate::traffic::{self, Address, Query};

/// Stopped, whatever is still unknown.
pub static DIRECT_DROPPED: Code = Code {
    number: "FW0307",
    name: "direct-dropped",
    level: Level::Error,
    summary: "an allow to a container's own address has no effect: Docker drops the traffic",
    explanation: "\
From 28.0 on Docker drops, in table raw before any rule of a user's, what other machines send straight to a container's own
address: to published ports at first, to every port from 28.2 on. It also drops unpublished ports behind the user's rules. Up
to 27 what is not published ends at FORWARD's policy, which Docker sets to DROP. An `allow` of fwc's means that this policy
does not object; it cannot take back what Docker drops.

```fw
fact docker.version = \"28.5.2\"
network app on br-app address 172.18.0.0/16
container db on app address 172.18.0.5
allow postgres from 10.8.0.0/24 to container db direct     # error: never arrives
```

**Instead**, one of:

- publish the port, and leave out `direct`;
- let Docker route: `--allow-direct-routing` for the daemon (`fact docker.allow-direct-routing = on`), or the network's option
  `com.docker.network.bridge.trusted_host_interfaces` with the card that the traffic comes in by, both from 28.2 on;
- give the network the gateway mode `routed` (27 and later; the ports must be published) or `nat-unprotected` (28 and later);
- with Docker 29, for what only the unpublished-port drop stops: `--bridge-accept-fwmark` for the daemon,
  the fact `docker.bridge-accept-fwmark`, and a `mark` of the same number on the traffic.
",
};

/// Stopped by some versions or settings.
pub static DIRECT_MAY_BE_DROPPED: Code = Code {
    number: "FW0308",
    name: "direct-may-be-dropped",
    level: Level::Warning,
    summary: "an allow to a container's own address has no effect under some versions or settings of Docker",
    explanation: "\
Whether what other machines send straight to a container's own address arrives depends on Docker: its version (from 28 it is
dropped in table raw), the gateway mode of the network, whether the port is published, and the policy of FORWARD. What is known
does not settle it. The notes say under which versions and settings the traffic is dropped, and by what; FW0307 has the page on
what to do.

```fw
network app on br-app address 172.18.0.0/16
container db on app address 172.18.0.5
allow postgres from 10.8.0.0/24 to container db direct     # warning: not with Docker 28.2 and later
fact docker.version = \"27.5.1\"                             # settles a part of it
```
",
};

/// The check.
pub fn check(policy: &Policy, _: Target) -> Vec<Diagnostic> {
    let mut statements = Vec::new();
    let mut out = Vec::new();
    for from in [Class::Outside, Class::Instance, Class::Guest, Class::Container] {
        let flow = Flow { from, to: Class::Container };
        for judgement in roads::written(policy, flow) {
            let direct = judgement.action == Action::Allow && judgement.to.view == Some(View::Direct);
            // Neighbours on one network meet no rule of Docker's.
            let meant = from != Class::Container || on_different_networks(policy, judgement);
            if direct && meant && !statements.contains(&judgement.statement) {
                let found = stopped(policy, flow, judgement);
                statements.extend(found.is_some().then_some(judgement.statement));
                out.extend(found);
            }
        }
    }
    out
}

/// Whether opener and target are known to share no network.
fn on_different_networks(policy: &Policy, judgement: &Judgement) -> bool {
    let networks = |party| same_bridge::networks(policy, party);
    match (networks(&judgement.from), networks(&judgement.to)) {
        (Some(from), Some(to)) => !from.iter().any(|network| to.contains(network)),
        _ => false,
    }
}

/// Whether the platform stops a rule's traffic, in any family and of any kind.
fn stopped(policy: &Policy, flow: Flow, judgement: &Judgement) -> Option<Diagnostic> {
    let query = |family| Query { policy, flow, rule: Some(judgement), family };
    let guards = |platform: &&'static Platform| platform.guards_own_addresses();
    let platform = query(Family::Ipv4).platforms().into_iter().find(guards)?;
    let title = platform.title.as_str();
    let paths: Vec<Possible<'static, Road>> =
        families(judgement).into_iter().flat_map(|family| query(family).usual_paths(platform, Address::Own)).collect();
    let arrives = |path: &Possible<'_, Road>| path.item.outcome == Outcome::Delivered;
    let dropped: Vec<&Possible<'static, Road>> = paths.iter().filter(|path| !arrives(path)).collect();
    if dropped.is_empty() {
        return None;
    }
    let certain = !paths.iter().any(arrives);
    let mut found = if certain {
        Diagnostic::new(&DIRECT_DROPPED, judgement.location, format!("{title} drops this before it arrives"))
    } else {
        let message = format!("{title} possibly drops this before it arrives");
        Diagnostic::new(&DIRECT_MAY_BE_DROPPED, judgement.location, message)
    };
    found = found.label(format!("allowed by the policy, and stopped by {title}'s own rules"));
    let place = judgement.to.member.as_deref().and_then(|name| traffic::container(policy, name));
    if let Some(location) = place.and_then(|(container, _)| container.location) {
        found = found.related(location, "the container");
    }
    found = found.help("publish the port and leave out `direct`, or let Docker route: `fwc explain FW0307`");
    if policy.facts.docker.as_ref().and_then(|docker| docker.firewall_backend) == Some(Backend::Nftables) {
        found =
            found.help("or let Docker accept a mark that the policy sets: its `--bridge-accept-fwmark`, and `mark`");
    }
    for note in traffic::reasons(platform, &dropped) {
        found = found.note(note);
    }
    Some(found)
}
