//! Rules about containers, instances or guests of which facts say that there is no bridge: no rule can be written for them.

use crate::diagnostic::{Code, Diagnostic, Level};
use crate::netfilter::Target;
use crate::policy::{Class, Policy, Rank};
use crate::span::Location;

/// Nobody whom a rule is about can be told by an interface.
pub static NO_BRIDGE: Code = Code {
    number: "FW0373",
    name: "no-bridge-for-rule",
    level: Level::Warning,
    summary: "a rule is about containers, instances or guests, and facts list no bridge of theirs",
    explanation: "\
Containers, instances and guests are told by the bridges that they are on. Where facts are complete and list none, there is nobody whom a
rule could be for, and none is written.

```fw
use docker
fact docker.complete = true
deny https from world to container        # warning
```

**Why it hurts.** The first network that is made later has no rule, although the policy has a line about it.

**Instead**, write the facts anew on the host (`fwc facts`), or take the line out.
",
};

/// The check.
pub fn check(policy: &Policy, _: Target) -> Vec<Diagnostic> {
    let is_absent = |class: Class| match class {
        Class::Container => policy.cards.container.is_empty(),
        Class::Instance => policy.cards.instance.is_empty(),
        Class::Guest => policy.cards.guest.is_empty(),
        Class::Outside | Class::Host => false,
    };
    let written = || {
        let flows = policy.flows.iter();
        let all = flows.flat_map(|(flow, list)| list.iter().map(move |judgement| (flow, judgement)));
        all.filter(|(_, judgement)| matches!(judgement.rank, Rank::Rule | Rank::Default))
    };
    let mut absent: Vec<(Location, Class)> = Vec::new();
    for (flow, judgement) in written() {
        if let Some(class) = [flow.to, flow.from].into_iter().find(|class| is_absent(*class)) {
            absent.push((judgement.location, class));
        }
    }
    if absent.is_empty() {
        return Vec::new();
    }
    // What is about others as well has its effect on them.
    let on_others =
        written().filter(|(flow, _)| !is_absent(flow.from) && !is_absent(flow.to)).map(|(_, other)| other.location);
    let on_others: Vec<Location> = on_others.collect();
    absent.retain(|(location, _)| !on_others.contains(location));
    absent.sort_unstable();
    absent.dedup_by_key(|(location, _)| *location);
    let found = |(location, class): (Location, Class)| {
        Diagnostic::new(
            &NO_BRIDGE,
            location,
            format!("facts list no bridge of any {class}: no rule is written for this"),
        )
        .help("write the facts anew on the host (`fwc facts`), or take the line out")
    };
    absent.into_iter().map(found).collect()
}
