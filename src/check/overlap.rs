//! Two defaults that meet in a part of their traffic and say opposite things there.

use std::sync::Arc;

use super::roads;
use crate::diagnostic::{Code, Diagnostic, Level};
use crate::net::AddressSet;
use crate::netfilter::Target;
use crate::policy::resolve::families;
use crate::policy::{Action, Class, Judgement, Party, Policy, Rank, Special, cover, who};
use crate::span::Location;

/// Two defaults of which neither is the more specific.
pub static OVERLAPPING_DEFAULTS: Code = Code {
    number: "FW0358",
    name: "overlapping-defaults",
    level: Level::Error,
    summary: "two defaults meet in a part of their traffic, and say opposite things there",
    explanation: "\
Defaults have no order of their own: of two, the one that speaks of a part of the other's traffic comes first. Two that meet, each
with something besides, have no such order. Where both keep out, the answer is the same either way, but for its kind. Where one lets
in what the other keeps out, nobody can tell which is meant.

```fw
interface lan = eth1
set office = { 198.51.100.0/24 }
default allow from office to host
default deny to host via lan           # error: the office, on lan?
```

**Why it hurts.** A guess would open, or close, the traffic in the middle, and a reader of either line would believe the opposite.

**Instead**, write the one that goes first as a rule, because rules come before all defaults; or say what happens in the middle in a
default of its own:

```fw
interface lan = eth1
set office = { 198.51.100.0/24 }
default deny to host via lan
allow from office to host
```
",
};

/// So many defaults of one flow are compared with each other.
const MOST_COMPARED: usize = 500;

/// The check.
pub fn check(policy: &Policy, _: Target) -> Vec<Diagnostic> {
    let mut told: Vec<(Location, Location)> = Vec::new();
    let mut out = Vec::new();
    for list in policy.flows.values() {
        let defaults: Vec<&Judgement> = list
            .iter()
            .filter(|judgement| judgement.rank == Rank::Default && judgement.action != Action::Log)
            .take(MOST_COMPARED)
            .collect();
        for (at, second) in defaults.iter().enumerate() {
            for first in defaults.iter().take(at) {
                let (a, b) = (first.location.min(second.location), first.location.max(second.location));
                if opposite(first, second) && meet(first, second) && !told.contains(&(a, b)) {
                    // Something that goes first and decides all that both speak of leaves no question.
                    let middle = middle(first, second);
                    let settled = middle.is_some_and(|middle| {
                        defaults
                            .iter()
                            .take_while(|one| one.location != first.location)
                            .any(|one| cover::covers(one, &middle))
                    });
                    if !settled {
                        told.push((a, b));
                        out.push(report(a, b));
                    }
                }
            }
        }
    }
    out
}

fn opposite(a: &Judgement, b: &Judgement) -> bool {
    (a.action == Action::Allow) != (b.action == Action::Allow)
}

/// Whether some packet is of both, and neither is a part of the other.
fn meet(a: &Judgement, b: &Judgement) -> bool {
    let other = families(b);
    families(a).iter().any(|family| other.contains(family))
        && a.location != b.location
        && a.traffic.iter().any(|one| b.traffic.iter().any(|other| cover::meets(one, other)))
        && !roads::apart(&a.from, &b.from)
        && !roads::apart(&a.to, &b.to)
        && !roads::cards_apart(a.via.as_deref(), b.via.as_deref())
        && !crossing_apart(a, b)
        && !crossing_apart(b, a)
        && !cover::covers(a, b)
        && !cover::covers(b, a)
}

/// Whether one's `via` is none of the cards that the other's outside party is behind: both name the card of the crossing.
fn crossing_apart(a: &Judgement, b: &Judgement) -> bool {
    let outside = |judgement: &Judgement| {
        let ends = [&judgement.from, &judgement.to];
        ends.into_iter().find(|end| end.class == Class::Outside).and_then(|end| end.cards.clone())
    };
    a.via.is_some() && roads::cards_apart(a.via.as_deref(), outside(b).as_deref())
}

/// What both of two defaults speak of, if one judgement can say it.
fn middle(a: &Judgement, b: &Judgement) -> Option<Judgement> {
    let mut traffic = Vec::new();
    for one in a.traffic.iter() {
        for other in b.traffic.iter().filter(|other| cover::meets(one, other)) {
            traffic.push(match (cover::traffic(one, other), cover::traffic(other, one)) {
                (true, _) => other.clone(),
                (false, true) => one.clone(),
                (false, false) => return None,
            });
        }
    }
    let via = match (&a.via, &b.via) {
        (Some(a), Some(b)) => Some(Arc::new(who::intersect(a, b))),
        (one, other) => one.clone().or_else(|| other.clone()),
    };
    let (from, to) = (both(&a.from, &b.from)?, both(&a.to, &b.to)?);
    Some(Judgement { traffic: traffic.into(), via, from, to, family: a.family.or(b.family), ..a.clone() })
}

/// Whoever is both.
fn both(a: &Party, b: &Party) -> Option<Party> {
    let addresses = |a: Option<&AddressSet>, b: Option<&AddressSet>| match (a, b) {
        (Some(a), Some(b)) => Some(a.intersection(b)),
        (one, other) => one.or(other).cloned(),
    };
    let cards = match (&a.cards, &b.cards) {
        (Some(a), Some(b)) => Some(Arc::new(who::intersect(a, b))),
        (one, other) => one.clone().or_else(|| other.clone()),
    };
    let differ = |a: bool, b: bool, same: bool| a && b && !same;
    if differ(a.live.is_some(), b.live.is_some(), a.live == b.live)
        || differ(a.user.is_some(), b.user.is_some(), a.user == b.user)
        || differ(a.member.is_some(), b.member.is_some(), a.member == b.member)
        || differ(!a.macs.is_empty(), !b.macs.is_empty(), a.macs == b.macs)
        || differ(a.published.is_some(), b.published.is_some(), a.published == b.published)
        || a.view != b.view
    {
        return None;
    }
    let special = Special {
        live: a.live.clone().or_else(|| b.live.clone()),
        macs: if a.macs.is_empty() { b.macs.clone() } else { a.macs.clone() },
        user: a.user.clone().or_else(|| b.user.clone()),
        at: addresses(a.at.as_ref(), b.at.as_ref()),
        view: a.view,
        member: a.member.clone().or_else(|| b.member.clone()),
        published: a.published.clone().or_else(|| b.published.clone()),
        except: a.except.iter().chain(&b.except).cloned().collect(),
    };
    let mut party = Party::special(a.class, special);
    (party.cards, party.addresses) = (cards, addresses(a.addresses.as_ref(), b.addresses.as_ref()));
    Some(party)
}

fn report(earlier: Location, later: Location) -> Diagnostic {
    Diagnostic::new(&OVERLAPPING_DEFAULTS, later, "this default and another say opposite things of what both speak of")
        .label("neither is a part of the other, so neither goes first")
        .related(earlier, "the other")
        .help("write the one that is to go first as a rule: rules come before all defaults")
}
