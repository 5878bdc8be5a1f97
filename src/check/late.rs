//! Rules that stand behind others which decide everything that they speak of. Only the clear cases, one rule behind one other;
//! what several rules together leave over is the proof engine's matter.

use std::hash::{Hash as _, Hasher as _};

use rustc_hash::{FxHashMap, FxHasher};

use super::words;
use crate::diagnostic::{Code, Diagnostic, Edit, Help, Level};
use crate::net::Protocol;
use crate::netfilter::Target;
use crate::policy::cover;
use crate::policy::{Action, Judgement, Policy, Rank};
use crate::project::Project;
use crate::span::{Location, Span};

/// A deny behind the allow that it should stop.
pub static TOO_LATE: Code = Code {
    number: "FW0352",
    name: "rule-too-late",
    level: Level::Error,
    summary: "a deny stands behind an allow of the same traffic, or an allow behind a deny: it never decides",
    explanation: "\
# Too late

In each flow the first rule that matches decides. A rule whose whole traffic an earlier rule has decided never comes to its turn.

**Why it hurts.** The policy reads as if the traffic were closed (or open), and the opposite is the case.

```fw
allow ssh to host
deny ssh from 198.51.100.7 to host      # error: the allow has let it in
```

**Instead**, write the narrower rule first:

```fw
deny ssh from 198.51.100.7 to host
allow ssh to host
```
",
};

/// A rule that another has made superfluous.
pub static REDUNDANT: Code = Code {
    number: "FW0353",
    name: "redundant-rule",
    level: Level::Warning,
    summary: "an earlier rule decides everything that this one speaks of, in the same way",
    explanation: "\
# Superfluous

An earlier rule decides all the traffic of this one, and in the same way; a `log` there never writes a line.

**Why it hurts.** A limit, a log or a comment on the later rule has no effect; and whoever deletes it in the belief that this closes
something is wrong.

```fw
allow from 198.51.100.0/24 to host
allow ssh from 198.51.100.7 to host limit 10/minute      # warning: no limit applies
```

Delete the later rule, or move it in front if what it says more is meant.
",
};

/// The same rule twice.
pub static DUPLICATE_RULE: Code = Code {
    number: "FW0354",
    name: "duplicate-rule",
    level: Level::Warning,
    summary: "a rule says again what another says",
    explanation: "\
# Said twice

Two rules match the same traffic and do the same. The second never decides.

```fw
allow ssh from 198.51.100.0/24 to host
allow tcp 22 from 198.51.100.0/24 to host      # warning
```

**Why it hurts.** Whoever takes one of them out to close the service leaves it open.

Delete one.
",
};

/// Defaults that say opposite things.
pub static CONTRADICTORY_DEFAULT: Code = Code {
    number: "FW0355",
    name: "contradictory-default",
    level: Level::Error,
    summary: "two defaults for the same traffic say different things",
    explanation: "\
# Two defaults

Defaults come after all rules, the more specific before the more general. Two that speak of the same traffic cannot both hold.

```fw
default deny to host
default allow to host      # error
```

**Why it hurts.** The first in the source would win, and a reader of the second believes the opposite.

Delete one; or say in one of them what it is for (`default allow from lan to host`).
",
};

/// In flows of up to so many judgements each is compared with every earlier one. Beyond that, with those of the same traffic and
/// addresses and with the widest: comparing 100,000 rules with each other would take minutes.
const COMPARE_ALL: usize = 500;
/// How many of the widest judgements are kept for that.
const WIDEST: usize = 64;
/// Judgements with more ports than that are not looked up by port.
const MANY_PORTS: usize = 32;

/// A judgement and an earlier one that covers it.
type Covered<'p> = (&'p Judgement, &'p Judgement);

/// The check.
pub fn check(project: &Project, policy: &Policy, _: Target) -> Vec<Diagnostic> {
    let mut covered: Vec<Covered> = Vec::new();
    policy.flows.values().for_each(|list| flow(list, &mut covered));
    // A statement is late if all are that were made of it: those that have others besides are not.
    let mut fates: FxHashMap<Location, (usize, Covered)> = FxHashMap::default();
    for one in covered {
        fates.entry(one.0.location).or_insert((0, one)).0 += 1;
    }
    for judgement in policy.flows.values().flat_map(|list| compared(list)) {
        if let Some((count, _)) = fates.get_mut(&judgement.location) {
            *count = count.wrapping_sub(1);
        }
    }
    let mut late: Vec<Covered> = fates.into_values().filter(|(left, _)| *left == 0).map(|(_, first)| first).collect();
    late.sort_by_key(|(judgement, _)| judgement.location);
    late.into_iter().map(|(judgement, earlier)| report(project, judgement, earlier)).collect()
}

/// The judgements of a flow that are looked at.
fn compared(list: &[Judgement]) -> impl Iterator<Item = &Judgement> {
    list.iter().filter(|judgement| matches!(judgement.rank, Rank::Rule | Rank::Default))
}

fn flow<'p>(list: &'p [Judgement], covered: &mut Vec<Covered<'p>>) {
    let mut own = Vec::with_capacity(list.len());
    own.extend(compared(list));
    let few = own.len() <= COMPARE_ALL;
    let is_wide = |judgement: &Judgement, widest: usize| {
        few || (widest < WIDEST && judgement.from.addresses.is_none() && judgement.from.macs.is_empty())
    };
    let alike = Alike::new(&own, is_wide);
    let mut earlier = Earlier::default();
    for (place, judgement) in own.iter().copied().enumerate() {
        let covers = |wide: &&Judgement| wide.location != judgement.location && cover::covers(wide, judgement);
        let found =
            earlier.candidates(judgement).find(covers).or_else(|| alike.before(place).take(WIDEST).find(covers));
        covered.extend(found.map(|wide| (judgement, wide)));
        if judgement.action != Action::Log && is_wide(judgement, earlier.list.len()) {
            earlier.push(judgement);
        }
    }
}

/// The judgements that are not compared with every later one, by what equal traffic between equal addresses has in common.
struct Alike<'f, 'p> {
    own: &'f [&'p Judgement],
    /// Keys with places in the list.
    order: Vec<(u32, u32)>,
}

impl<'f, 'p> Alike<'f, 'p> {
    fn new(own: &'f [&'p Judgement], is_wide: impl Fn(&Judgement, usize) -> bool) -> Self {
        let (mut order, mut widest) = (Vec::with_capacity(own.len()), 0);
        for (place, judgement) in (0..).zip(own).filter(|(_, judgement)| judgement.action != Action::Log) {
            if is_wide(judgement, widest) {
                widest += 1;
            } else {
                order.push((key(judgement), place));
            }
        }
        order.sort_unstable();
        Self { own, order }
    }

    /// Those before a place that may be like the one there.
    fn before(&self, place: usize) -> impl Iterator<Item = &'p Judgement> {
        let key = self.own.get(place).filter(|_| !self.order.is_empty()).map_or(0, |judgement| key(judgement));
        let start = self.order.partition_point(|(own, _)| *own < key);
        let alike = self.order.iter().skip(start).take_while(move |own| own.0 == key && (own.1 as usize) < place);
        alike.filter_map(|(_, place)| self.own.get(*place as usize).copied())
    }
}

/// Judgements that each later one of the flow is compared with. Most name ports one by one, and are asked only about
/// traffic to such a port.
#[derive(Default)]
struct Earlier<'p> {
    list: Vec<&'p Judgement>,
    /// Places in the list of those that name their ports, by protocol and port.
    by_port: FxHashMap<(Protocol, u16), Vec<usize>>,
    /// Places of the others.
    others: Vec<usize>,
}

impl<'p> Earlier<'p> {
    fn push(&mut self, judgement: &'p Judgement) {
        let place = self.list.len();
        self.list.push(judgement);
        let Some(ports) = named_ports(judgement) else {
            self.others.push(place);
            return;
        };
        for port in ports {
            let places = self.by_port.entry(port).or_default();
            if places.last() != Some(&place) {
                places.push(place);
            }
        }
    }

    /// Those that might cover a judgement, in their order: whoever covers it covers the first port that it speaks of.
    fn candidates(&self, judgement: &Judgement) -> impl Iterator<Item = &'p Judgement> {
        let first = judgement.traffic.first();
        let port = first.and_then(|traffic| Some((traffic.protocol?, traffic.ports.as_ref()?.ranges().first()?.first)));
        let named = port.and_then(|port| self.by_port.get(&port)).map(Vec::as_slice).unwrap_or_default();
        let mut rest = (named, self.others.as_slice());
        std::iter::from_fn(move || {
            let (place, after) = match rest {
                ([a, named @ ..], [b, ..]) if a < b => (a, (named, rest.1)),
                (_, [b, others @ ..]) => (b, (rest.0, others)),
                ([a, named @ ..], []) => (a, (named, rest.1)),
                ([], []) => return None,
            };
            rest = after;
            Some(*place)
        })
        .filter_map(|place| self.list.get(place).copied())
    }
}

/// Every port that a judgement speaks of; `None` where it speaks of more than ports, or of many.
fn named_ports(judgement: &Judgement) -> Option<Vec<(Protocol, u16)>> {
    let mut named = Vec::new();
    for traffic in judgement.traffic.iter() {
        let protocol = traffic.protocol?;
        for range in traffic.ports.as_ref()?.ranges() {
            if named.len() + usize::from(range.last - range.first) >= MANY_PORTS {
                return None;
            }
            named.extend((range.first..=range.last).map(|port| (protocol, port)));
        }
    }
    Some(named)
}

/// A number that equal traffic between equal addresses has in common, and little else.
fn key(judgement: &Judgement) -> u32 {
    let mut hasher = FxHasher::default();
    judgement.traffic.hash(&mut hasher);
    judgement.from.addresses.hash(&mut hasher);
    judgement.to.addresses.hash(&mut hasher);
    // The upper half: the lower one of this hash depends on less.
    u32::try_from(hasher.finish() >> 32).unwrap_or_default()
}

fn report(project: &Project, late: &Judgement, earlier: &Judgement) -> Diagnostic {
    let here = late.location;
    let there = earlier.location;
    let opposite = |a: &Judgement, b: &Judgement| (a.action == Action::Allow) != (b.action == Action::Allow);
    let both_defaults = late.rank == Rank::Default && earlier.rank == Rank::Default;
    if both_defaults && late.action != earlier.action && cover::covers(late, earlier) {
        return Diagnostic::new(
            &CONTRADICTORY_DEFAULT,
            here,
            "another default says something else for the same traffic",
        )
        .related(there, "this one comes first")
        .help("delete one, or say in one of them what it is for");
    }
    if late.action == Action::Log {
        return moved(
            project,
            Diagnostic::new(&REDUNDANT, here, "this never writes to the log")
                .related(there, "this decides everything that it speaks of, and comes first"),
            late,
            earlier,
        );
    }
    if opposite(late, earlier) {
        let fault = Diagnostic::new(&TOO_LATE, here, format!("this {} comes too late", verb(late)))
            .label("never decides anything")
            .related(there, format!("this {} decides all of it, and comes first", verb(earlier)));
        return if late.rank == Rank::Default {
            fault.help("a default comes after every rule: narrow the rule, or delete the default")
        } else {
            moved(project, fault, late, earlier)
        };
    }
    if late.action == earlier.action && late.options == earlier.options && cover::covers(late, earlier) {
        return Diagnostic::new(&DUPLICATE_RULE, here, "this says again what another rule says")
            .related(there, "said here")
            .help("delete one of them");
    }
    Diagnostic::new(&REDUNDANT, here, format!("this {} never decides anything", verb(late)))
        .related(there, format!("this {} decides all of it, and comes first", verb(earlier)))
        .help("delete it; or move it in front, if what it says more is meant")
}

fn verb(judgement: &Judgement) -> &'static str {
    match judgement.action {
        Action::Allow => "allow",
        Action::Deny => "deny",
        Action::Reject(_) => "reject",
        Action::Log => "log",
    }
}

/// Offers to move a rule in front of another, where both are lines of the same block.
fn moved(project: &Project, fault: Diagnostic, late: &Judgement, earlier: &Judgement) -> Diagnostic {
    let advice = "move it in front of that rule";
    let text = project.text(late.location.file);
    let (from, to) = (late.location.span.range(), earlier.location.span.range());
    let line = from.start
        - text.get(..from.start).map_or(0, |before| before.len() - before.rfind('\n').map_or(0, |at| at + 1));
    let rest = text.get(from.end..).unwrap_or_default();
    let end = rest.find('\n').map_or(text.len(), |at| from.end + at + 1);
    let alone = text.get(line..from.start).is_some_and(|before| before.trim().is_empty())
        && text.get(from.end..end).is_some_and(|after| after.trim().is_empty());
    let between = text.get(to.end..line).unwrap_or("{");
    let plain = late.location.file == earlier.location.file && !between.contains(['{', '}', '"']);
    if !(alone && plain) {
        return fault.help(advice);
    }
    let indent = text.get(line..from.start).unwrap_or_default();
    let at = words::before(earlier.location);
    let mut fault = fault;
    fault.helps.push(Help {
        message: advice.to_owned(),
        edits: vec![
            Edit { location: at, replacement: format!("{}\n{indent}", words::text(project, late.location)) },
            Edit { location: Location { file: at.file, span: Span::new(line, end) }, replacement: String::new() },
        ],
    });
    fault
}
