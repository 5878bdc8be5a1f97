//! Scripts that are run again: rules that double, and files that keep what platforms wrote today.

use rustc_hash::FxHashSet;

use super::codes::{RULES_DOUBLE, SAVES_EVERYTHING};
use super::{Subject, is_for_users};
use crate::diagnostic::Diagnostic;
use crate::netfilter::{Chain, Table};
use crate::platform;
use crate::read::{ChangeKind, Reading};

pub(super) fn check(reading: &Reading, subject: &Subject<'_>) -> Vec<Diagnostic> {
    doubling(reading, subject).into_iter().chain(saving(reading, subject)).collect()
}

/// Rules that are put into chains that outlive the script, where nothing empties them or looks for the rules first. Told once a script.
fn doubling(reading: &Reading, subject: &Subject<'_>) -> Option<Diagnostic> {
    let prepared = |table: &Table, chain: &Chain| {
        reading.changes.iter().any(|change| {
            change.table == table.kind
                && change.chain.as_ref().is_none_or(|name| *name == chain.name)
                && change.kind != ChangeKind::Made
        })
    };
    let made: FxHashSet<&str> = reading
        .changes
        .iter()
        .filter(|change| change.kind == ChangeKind::Made)
        .filter_map(|change| change.chain.as_deref())
        .collect();
    // A chain that the script makes itself: making it again fails, and says so.
    let lasting = |table: &Table, chain: &Chain| {
        is_for_users(table, chain) || chain.base.is_some() && !made.contains(&*chain.name)
    };
    let doubled = |at: &super::walk::At<'_>| lasting(at.table, at.chain) && !prepared(at.table, at.chain);
    let mut rules = subject.rules().filter(doubled).filter_map(|at| Some((at.rule.origin?, at.chain)));
    let (location, chain) = rules.next()?;
    let mut others: Vec<&str> = rules.map(|(_, other)| &*other.name).filter(|name| *name != &*chain.name).collect();
    others.sort_unstable();
    others.dedup();
    let beside = if others.is_empty() { String::new() } else { format!(" and {}", others.join(", ")) };
    Some(
        Diagnostic::new(&RULES_DOUBLE, location, format!("run again, this script puts its rules into {}{beside} twice", chain.name))
            .label("the first of them")
            .help("put them into a chain of your own that is emptied first (`-F`), or ask before: `iptables -C … || iptables -I …`"),
    )
}

/// Everything that the kernel has is saved, rules of platforms among it.
fn saving(reading: &Reading, subject: &Subject<'_>) -> Option<Diagnostic> {
    let location = *reading.saved.last()?;
    let owner = subject.ruleset.tables.iter().find_map(|table| {
        table.chains.iter().find_map(|chain| platform::owner_of(Some(table.family), &table.name, &chain.name))
    })?;
    let owner = &owner.owner;
    Some(
        Diagnostic::new(&SAVES_EVERYTHING, location, format!("the file has {owner}'s rules in it, as they are today"))
            .label("saves every rule that the kernel has")
            .help("keep your rules in a file of their own, and load that with `iptables-restore --noflush`"),
    )
}
