//! A rule to the host for a port that a `forward` of the policy sends to another machine: it is not asked.

use rustc_hash::FxHashSet;

use super::roads;
use crate::diagnostic::{Code, Diagnostic, Level};
use crate::net::Family;
use crate::netfilter::Target;
use crate::policy::cover;
use crate::policy::{Class, Flow, Nat, Policy, Rank};

/// A forward takes what the rule speaks of.
pub static CARRIED_AWAY: Code = Code {
    number: "FW0359",
    name: "forward-bypasses-input",
    level: Level::Warning,
    summary: "a rule to the host for a port that a `forward` sends to another machine does not judge it",
    explanation: "\
`forward` translates before anything is judged: the connection goes through to the other machine, and rules `to host` for that port
are not asked.

**Why it hurts.** A `deny … to host` leaves the port open, on the machine behind; an `allow ssh to host` no longer reaches the host's
own SSH.

```fw
set bad = { 198.51.100.0/24 }
deny tcp 2222 from bad to host              # warning: the forward takes it
forward tcp 2222 to 192.168.2.5 port 22
```

**Instead**, say it of the machine that the connection goes to, in front of the `forward`, with the port that the client dials; or give
the `forward` another port, or the one address of the host that it is for (`at`).

```fw
set bad = { 198.51.100.0/24 }
deny tcp 2222 from bad to 192.168.2.5
forward tcp 2222 to 192.168.2.5 port 22
```
",
};

/// The check.
pub fn check(policy: &Policy, _: Target) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    if !policy.nat.iter().any(|nat| matches!(nat, Nat::Forward { .. })) {
        return out;
    }
    let beyond = policy.flows.iter().filter(|(flow, _)| flow.to != Class::Host).flat_map(|(_, list)| list);
    let beyond: FxHashSet<u32> = beyond.map(|judgement| judgement.statement).collect();
    let mut told: FxHashSet<u32> = FxHashSet::default();
    for from in [Class::Outside, Class::Container, Class::Instance, Class::Guest] {
        for judgement in roads::written(policy, Flow { from, to: Class::Host }) {
            // The same statement speaks of other machines as well.
            if judgement.rank != Rank::Rule || beyond.contains(&judgement.statement) {
                continue;
            }
            let Some((forward, address)) = cover::carried_away(policy, judgement) else { continue };
            if !told.insert(judgement.statement) {
                continue;
            }
            let family = if Family::of(address) == Family::Ipv4 { "IPv4" } else { "IPv6" };
            out.push(
                Diagnostic::new(
                    &CARRIED_AWAY,
                    judgement.location,
                    format!("this is not asked about {family}: a `forward` sends it to another machine"),
                )
                .related(forward.location, "before any rule to the host is asked")
                .help(format!("say it of that machine, in front of the `forward`: `… to {address}`"))
                .help("or forward another port, or say `at` which address of the host it is for"),
            );
        }
    }
    out
}
