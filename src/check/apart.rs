//! Two interfaces on one side of a statement that no packet can cross both.

use rustc_hash::FxHashMap;

use crate::diagnostic::{Code, Diagnostic, Level};
use crate::netfilter::Target;
use crate::policy::{Class, Judgement, Nat, Policy, Rank, who};
use crate::span::Location;

/// A place is behind one interface, and `via` names another.
pub static INTERFACES_APART: Code = Code {
    number: "FW0324",
    name: "interfaces-exclude-each-other",
    level: Level::Error,
    summary: "a place on one interface and `via` another on the same side: no packet matches",
    explanation: "\
`via` is the interface where a connection crosses between outside and this machine: where it arrives, or where it leaves if this machine
opens it. A place outside that is an interface, or has `on`, says the same. A packet crosses one interface there, so two different ones
match nothing.

**Why it hurts.** The rule guards nothing: an allow keeps everybody out, a deny lets in whom it is for.

```fw
interface wan = eth0
interface lan = eth1
allow ssh from lan to host via wan     # error
```

**Instead**, say one of them:

```fw
interface lan = eth1
allow ssh from lan to host
```

Traffic that is routed crosses two interfaces: `from 192.168.2.0/24 on eth1 to 198.51.100.0/24 on wg0`.
",
};

/// The check.
pub fn check(policy: &Policy, _: Target) -> Vec<Diagnostic> {
    let of_flows = policy.flows.values().flatten().filter(|one| matches!(one.rank, Rank::Rule | Rank::Default));
    let of_changes = policy.changes.iter().map(|change| &change.judgement);
    let of_nat = policy.nat.iter().map(|nat| match nat {
        Nat::Masquerade { judgement, .. } | Nat::Forward { judgement, .. } | Nat::Redirect { judgement, .. } => {
            judgement
        }
    });
    let early = policy.early.iter().map(|early| &early.judgement);
    // Of a list some may be behind the interface.
    let mut statements: FxHashMap<Location, bool> = FxHashMap::default();
    for judgement in of_flows.chain(of_changes).chain(of_nat).chain(early) {
        let apart = statements.entry(judgement.location).or_insert(true);
        *apart &= is_apart(judgement);
    }
    let mut apart: Vec<Location> =
        statements.into_iter().filter_map(|(location, apart)| apart.then_some(location)).collect();
    apart.sort_unstable();
    apart.into_iter().map(fault).collect()
}

fn fault(location: Location) -> Diagnostic {
    Diagnostic::new(&INTERFACES_APART, location, "no packet crosses both of these interfaces on one side")
        .help("say the interface once: `on` or the interface as a place, or `via`")
        .help("routed traffic crosses two: `from … on eth1 to … on wg0`, without `via`")
}

/// Whether a judgement names two interfaces on one side that have no name in common.
fn is_apart(judgement: &Judgement) -> bool {
    let outside = [&judgement.from, &judgement.to].into_iter().find(|party| party.class == Class::Outside);
    let Some((via, cards)) = judgement.via.as_ref().zip(outside.and_then(|party| party.cards.as_ref())) else {
        return false;
    };
    let both = who::intersect(via, cards);
    !both.complement && both.cards.is_empty()
}
