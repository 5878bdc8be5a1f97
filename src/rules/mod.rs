//! What an expert sees first in a rule set that somebody wrote: findings that need no proof over every packet, each with the packet that
//! shows it. They work on netfilter's form, whatever it was read from.

pub mod codes;
mod comment;
pub mod compose;
mod exposed;
mod foreign;
mod guests;
pub mod listing;
mod nat;
mod order;
mod replies;
mod scripts;
mod walk;
mod written;

use crate::check::raw::codes::OLD_STATE_MATCH;
use crate::diagnostic::{Diagnostic, Label};
use crate::net::{AddressSet, Family, PortSet, Protocol};
use crate::netfilter::{Chain, MatchKind, Owner, Rule, Ruleset, State, Table, TableFamily, Verdict};
use crate::platform::{self, Role};
use crate::read::{FaultKind, Form, Reading};
use crate::span::SourceText;
use walk::At;

/// Whether a rule is one that findings are told of.
type Told<'t> = &'t dyn Fn(&Table, &Chain, &Rule) -> bool;

/// A rule set that is looked at.
struct Subject<'r> {
    ruleset: &'r Ruleset,
    told: Told<'r>,
}

/// Every finding about a rule set; nothing is said of rules that are not `told`, nor of chains that a policy made.
fn check(reading: &Reading, source: &SourceText, form: Form, told: Told<'_>) -> Vec<Diagnostic> {
    let subject = Subject { ruleset: &reading.ruleset, told };
    let mut out = nat::check(&subject);
    out.extend(exposed::check(&subject));
    // What is missing may be in what was not read, or in a line that does not load.
    let whole = !reading.faults.iter().any(|fault| may_hold_rules(fault.kind));
    if whole {
        out.extend(exposed::nothing_refused(&subject, !matches!(form, Form::Iptables(_))));
        out.extend(replies::check(&subject));
    }
    out.extend(order::check(&subject));
    out.extend(guests::check(&subject));
    out.extend(comment::check(&subject));
    out.extend(foreign::check(reading));
    out.extend(written::check(&subject, source));
    match form {
        Form::Iptables(_) => out.extend(written::tables(source)),
        Form::Script => out.extend(scripts::check(reading, &subject)),
        Form::Nft | Form::NftJson | Form::Ipset => {}
    }
    let mut seen = rustc_hash::FxHashSet::default();
    out.retain(|found| seen.insert((found.code.number, found.primary.location)));
    grouped(out)
}

/// Whether what is wrong there may have put rules in, or taken them out.
fn may_hold_rules(kind: FaultKind) -> bool {
    // In the place of a rule that is not understood is one that may decide, and so is a jump to a chain that is not here.
    matches!(kind, FaultKind::Unread | FaultKind::Refused | FaultKind::Broken)
}

/// What is told once for all the rules that have it: one cause, one finding.
fn grouped(found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut out: Vec<Diagnostic> = Vec::new();
    for one in found {
        let groups = one.code == &OLD_STATE_MATCH;
        match out.iter_mut().find(|known| groups && known.code == one.code) {
            Some(known) if known.related.len() < SHOWN => {
                known.related.push(Label { location: one.primary.location, message: "and here".to_owned() });
            }
            Some(_) => {}
            None => out.push(one),
        }
    }
    out
}

/// Further places that are shown of a finding.
const SHOWN: usize = 2;

impl<'r> Subject<'r> {
    fn is_told(&self, at: &At<'_>) -> bool {
        at.chain.owner != Owner::Fwc && (self.told)(at.table, at.chain, at.rule)
    }

    /// Every rule that is told, with its place.
    fn rules(&self) -> impl Iterator<Item = At<'r>> {
        let ruleset = self.ruleset;
        let tables = ruleset.tables.iter();
        let chains = tables.flat_map(|table| table.chains.iter().map(move |chain| (table, chain)));
        let rules = chains.flat_map(|(table, chain)| chain.rules.iter().map(move |rule| At { table, chain, rule }));
        rules.filter(|at| self.is_told(at))
    }
}

/// Whether a platform, or another program, writes the rules of a chain.
fn is_owned(at: &At<'_>) -> bool {
    matches!(at.chain.owner, Owner::Platform(_))
        || platform::owner_of(Some(at.table.family), &at.table.name, &at.chain.name)
            .is_some_and(|owned| owned.role != Role::User)
}

/// The families of a table that has addresses.
fn families(table: &Table) -> &'static [Family] {
    match table.family {
        TableFamily::Ipv4 => &[Family::Ipv4],
        TableFamily::Ipv6 => &[Family::Ipv6],
        TableFamily::Inet => &Family::BOTH,
        TableFamily::Bridge | TableFamily::Netdev => &[],
    }
}

/// Whether a platform made the chain for the rules of users.
fn is_for_users(table: &Table, chain: &Chain) -> bool {
    let owned = platform::owner_of(Some(table.family), &table.name, &chain.name);
    owned.is_some_and(|owned| owned.role == Role::User)
}

/// The destination ports that a rule asks for, and of which protocol.
fn ports(rule: &Rule) -> Option<(Protocol, &PortSet)> {
    let protocol = rule.matches.iter().find_map(|one| match &one.kind {
        MatchKind::Protocol(asked) if !one.negated => asked.first().copied(),
        _ => None,
    })?;
    let ports = rule.matches.iter().find_map(|one| match &one.kind {
        MatchKind::DestinationPort(asked) if !one.negated => Some(asked),
        _ => None,
    })?;
    Some((protocol, ports))
}

/// Whether a rule can take the first packet of a connection.
fn takes_first(rule: &Rule) -> bool {
    rule.matches.iter().all(|one| match &one.kind {
        MatchKind::State(asked) => (asked & State::NEW != 0) != one.negated,
        _ => true,
    })
}

/// Whether a rule is for somebody in particular: an address, a hardware address, a set, a user, or something that is not known.
fn is_narrowed(rule: &Rule, family: Family) -> bool {
    rule.matches.iter().any(|one| match &one.kind {
        MatchKind::Source(asked) => one.negated || !asked.covers(&AddressSet::all(family)),
        MatchKind::Protocol(_)
        | MatchKind::DestinationPort(_)
        | MatchKind::SourcePort(_)
        | MatchKind::State(_)
        | MatchKind::TcpFlags { .. }
        | MatchKind::Destination(_)
        | MatchKind::DestinationLocal
        | MatchKind::DirectionOriginal
        | MatchKind::Limit(_) => false,
        _ => true,
    })
}

/// Whether a verdict lets packets through where a chain is asked before its owner's: RETURN does in one made for users.
fn lets_through(at: &At<'_>) -> bool {
    match &at.rule.verdict {
        Some(Verdict::Accept) => true,
        Some(Verdict::Return) => is_for_users(at.table, at.chain),
        _ => false,
    }
}

/// Whether it is not known what a rule decides: it leads to a chain that is not in this text, or was not understood.
fn is_open(at: &At<'_>) -> bool {
    match &at.rule.verdict {
        Some(Verdict::Jump(to) | Verdict::Goto(to)) => at.table.chains.iter().all(|chain| chain.name != *to),
        Some(Verdict::Unknown(_) | Verdict::Map { .. }) => true,
        _ => false,
    }
}

fn refuses(rule: &Rule) -> bool {
    matches!(rule.verdict, Some(Verdict::Drop | Verdict::Reject(_)))
}
