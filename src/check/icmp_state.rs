//! Rules about ICMP messages that no rule sees: tracking takes those for answers, which pass before, or for invalid, which are dropped
//! before.

use crate::diagnostic::{Code, Diagnostic, Level};
use crate::names::icmp::{self, TrackedAs};
use crate::net::Family;
use crate::netfilter::{IcmpType, Target};
use crate::policy::resolve::families;
use crate::policy::{Action, GateLine, Judgement, Policy, Rank};
use crate::span::Location;

/// A message that never comes to the rule.
pub static ICMP_NEVER_EVALUATED: Code = Code {
    number: "FW0334",
    name: "icmp-never-evaluated",
    level: Level::Warning,
    summary: "a rule is about an ICMP message that passes as an answer, or is dropped as invalid, before any rule",
    explanation: "\
Connection tracking knows which ICMP messages open a connection (an echo request), which are left out of it (IPv6 neighbour discovery), and
which are answers or errors about connections. All others are invalid for it: an IPv6 redirect, a router advertisement of IPv4. The
prelude lets answers and errors pass and drops what is invalid, before the rules.

```fw
allow ipv6 icmp redirect from fe80::/10 to host        # warning: dropped as invalid
deny icmp echo-reply from world to host                # warning: passes as an answer
allow ssh from 198.51.100.0/24 to host
```

**Why it hurts.** The rule has no effect, and nothing shows that it has none.

**Instead**, deny what is answered (`deny ping from host to world`); to have rules see what is invalid, turn that part of the
prelude off:

```fw
use prelude except invalid
allow ipv6 icmp redirect from fe80::/10 to host
allow ssh from 198.51.100.0/24 to host
```
",
};

/// The check.
pub fn check(policy: &Policy, _: Target) -> Vec<Diagnostic> {
    let of_flows = policy.flows.values().flatten().filter(|one| matches!(one.rank, Rank::Rule | Rank::Default));
    let lines = policy.gates.iter().flat_map(|gate| gate.lines.iter().map(|(_, line)| line));
    let lines = lines.chain(policy.groups.iter().flat_map(|group| &group.lines));
    let of_gates = lines.filter_map(|line| match line {
        GateLine::Rule(judgement) => Some(&**judgement),
        GateLine::Apply(..) => None,
    });
    let mut told: Vec<(Location, &str)> = Vec::new();
    let mut out = Vec::new();
    for judgement in of_flows.chain(of_gates) {
        for (family, kind) in types(judgement) {
            let Some(name) = icmp::name(family, IcmpType { kind, code: None }) else { continue };
            let known = (judgement.location, name);
            if let Some(why) = unseen(policy, judgement.action, family, kind)
                && !told.contains(&known)
            {
                told.push(known);
                out.push(found(judgement.location, family, name, why));
            }
        }
    }
    out
}

/// Why a rule does not see a message.
#[derive(Clone, Copy)]
enum Unseen {
    PassesBefore,
    DroppedBefore,
}

/// Why a message never comes to a rule, where the rule does not want what becomes of it.
fn unseen(policy: &Policy, action: Action, family: Family, kind: u8) -> Option<Unseen> {
    let has = |part: &str| policy.prelude.iter().any(|wanted| wanted == part);
    if icmp::tracked_as(family, kind) != TrackedAs::Invalid {
        return None;
    }
    let belongs = icmp::belongs_to_connections(family, kind);
    match action {
        Action::Allow => (!belongs && has("invalid")).then_some(Unseen::DroppedBefore),
        Action::Deny | Action::Reject(_) => (belongs && has("established")).then_some(Unseen::PassesBefore),
        Action::Log if belongs => has("established").then_some(Unseen::PassesBefore),
        Action::Log => has("invalid").then_some(Unseen::DroppedBefore),
    }
}

/// The ICMP types that a judgement names, in the families that it is for.
fn types(judgement: &Judgement) -> impl Iterator<Item = (Family, u8)> {
    let possible = families(judgement);
    let named = judgement.traffic.iter().filter_map(|traffic| Some((traffic.family?, traffic.icmp.as_ref()?)));
    let named = named.filter(move |(family, _)| possible.contains(family));
    named.flat_map(|(family, types)| types.iter().map(move |one| (family, one.kind)))
}

fn found(location: Location, family: Family, name: &str, why: Unseen) -> Diagnostic {
    match why {
        Unseen::PassesBefore => {
            let message =
                format!("`{name}` of {family} passes before this rule, as an answer or error in a connection");
            Diagnostic::new(&ICMP_NEVER_EVALUATED, location, message)
                .help("deny what it answers: whoever may not open a connection gets no answer in it")
        }
        Unseen::DroppedBefore => {
            let message =
                format!("`{name}` of {family} is dropped before this rule: it is invalid for connection tracking");
            Diagnostic::new(&ICMP_NEVER_EVALUATED, location, message)
                .help("to have rules see what is invalid, say `use prelude except invalid`")
        }
    }
}
