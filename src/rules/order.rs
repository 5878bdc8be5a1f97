//! Jumps to chains of bans behind the accept of what they are for.

use super::codes::BAN_TOO_LATE;
use super::walk::{At, at_hook};
use super::{Subject, is_narrowed, ports, takes_first};
use crate::diagnostic::Diagnostic;
use crate::net::{Family, PortSet, Protocol};
use crate::netfilter::{Hook, MatchKind, Table, Verdict};
use crate::platform::{self, Role};

pub(super) fn check(subject: &Subject<'_>) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    for family in Family::BOTH {
        for (table, chain) in at_hook(subject.ruleset, family, Hook::Input) {
            for (number, rule) in chain.rules.iter().enumerate() {
                let Some(Verdict::Jump(to)) = &rule.verdict else { continue };
                let (Some(location), true) = (rule.origin, holds_bans(table, to)) else { continue };
                let mut accepts = chain.rules.iter().take(number).map(|rule| At { table, chain, rule });
                let Some(earlier) = accepts.rfind(|at| takes(at, ports(rule), family)) else { continue };
                let message = format!("no new connection comes to `{to}`: what it is for is accepted before");
                let mut found = Diagnostic::new(&BAN_TOO_LATE, location, message).label("nobody is banned by it");
                if let Some(origin) = earlier.rule.origin {
                    found = found.related(origin, "accepts it first");
                }
                out.push(found.help("move the jump in front of that rule"));
            }
        }
    }
    out
}

fn holds_bans(table: &Table, chain: &str) -> bool {
    platform::owner_of(Some(table.family), &table.name, chain).is_some_and(|owned| owned.role == Role::Ban)
}

/// Whether a rule accepts every new connection that a jump for these ports is for.
fn takes(at: &At<'_>, wanted: Option<(Protocol, &PortSet)>, family: Family) -> bool {
    let on_loopback = at.rule.matches.iter().any(|one| matches!(one.kind, MatchKind::InInterface(_)));
    if at.rule.verdict != Some(Verdict::Accept) || !takes_first(at.rule) || is_narrowed(at.rule, family) || on_loopback
    {
        return false;
    }
    match (ports(at.rule), wanted) {
        (Some((one, asked)), Some((other, wanted))) => {
            one == other && wanted.ranges().iter().all(|range| asked.meets(*range) && asked.contains(range.first))
        }
        (None, Some((other, _))) => at.rule.matches.iter().all(|one| match &one.kind {
            MatchKind::Protocol(asked) => !one.negated && asked.contains(&other),
            MatchKind::State(_) => true,
            _ => false,
        }),
        (_, None) => false,
    }
}
