//! Two rules for the same traffic that want opposite things: the first decides, the other never does.

use std::hash::{Hash, Hasher};

use rustc_hash::{FxHashMap, FxHasher};

use super::roads;
use crate::diagnostic::{Code, Diagnostic, Level};
use crate::netfilter::Target;
use crate::policy::{Action, Judgement, Policy, Rank};

/// The same traffic, allowed and denied.
pub static CONTRADICTION: Code = Code {
    number: "FW0317",
    name: "contradicting-rules",
    level: Level::Warning,
    summary: "two rules allow and deny the very same traffic; the second never decides",
    explanation: "\
In a flow the first rule that matches decides. Of two rules that match the very same traffic between the same places, the second
is never asked; if one allows and the other denies, one of them is not what was meant.

```fw
allow ssh from office to host
deny ssh from office to host          # warning: decides nothing
```

**Why it hurts.** Whoever added the second line, perhaps in another file, believes that it works.

**Instead**, delete one. Two defaults for the same traffic are the same case.
",
};

/// The check.
pub fn check(policy: &Policy, _: Target) -> Vec<Diagnostic> {
    let mut told: Vec<(u32, u32)> = Vec::new();
    let mut out = Vec::new();
    for list in policy.flows.values() {
        let mut known: FxHashMap<u64, Vec<&Judgement>> = FxHashMap::default();
        let written = list.iter().filter(|judgement| {
            matches!(judgement.rank, Rank::Rule | Rank::Default)
                && judgement.action != Action::Log
                && !judgement.forwarded
        });
        for judgement in written {
            let alike = known.entry(mark(judgement)).or_default();
            match alike.iter().find(|first| same(first, judgement)) {
                Some(first) if roads::stops(first.action) != roads::stops(judgement.action) => {
                    let pair = (first.statement, judgement.statement);
                    if !told.contains(&pair) {
                        told.push(pair);
                        out.push(contradiction(first, judgement));
                    }
                }
                Some(_) => {}
                None => alike.push(judgement),
            }
        }
    }
    out
}

fn contradiction(first: &Judgement, second: &Judgement) -> Diagnostic {
    let word = |judgement: &Judgement| match judgement.action {
        Action::Allow => "allowed",
        Action::Reject(_) => "rejected",
        _ => "denied",
    };
    Diagnostic::new(
        &CONTRADICTION,
        second.location,
        format!("this is {} already, so it is never {} here", word(first), word(second)),
    )
    .label("decides nothing")
    .related(first.location, format!("{} here", word(first)))
    .help("delete the one that is not meant")
}

/// A number that the same traffic has, cheap to work out.
fn mark(judgement: &Judgement) -> u64 {
    let mut hasher = FxHasher::default();
    judgement.traffic.hash(&mut hasher);
    judgement.family.hash(&mut hasher);
    judgement.via.hash(&mut hasher);
    for party in [&judgement.from, &judgement.to] {
        party.cards.hash(&mut hasher);
        party.member.hash(&mut hasher);
        party.live.hash(&mut hasher);
        party.at.as_ref().map(|set| set.ranges().len()).hash(&mut hasher);
        for range in party.addresses.iter().flat_map(|set| set.ranges()).take(4) {
            range.hash(&mut hasher);
        }
    }
    hasher.finish()
}

/// Whether the first decides whatever the second is asked about. One that has a limit, a time or other conditions is not
/// certain to match; a limit decides all the same, beyond it by a deny.
fn same(first: &Judgement, second: &Judgement) -> bool {
    first.options.during == second.options.during
        && first.options.source_ports == second.options.source_ports
        && first.options.limit.is_none()
        && first.rank == second.rank
        && first.family == second.family
        && first.via == second.via
        && first.traffic == second.traffic
        && first.from == second.from
        && first.to == second.to
}
