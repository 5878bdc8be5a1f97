//! Options that a line of iptables takes once (`-i`, `-o`, `-s`, `-d`, `-p`): matches of one kind become one. What is left of several
//! lists is what is in all of them; where a negated list narrows a prefix, both stay, and the excluded are led around (`detour`).

use std::borrow::Cow;
use std::sync::Arc;

use crate::net::{AddressSet, Card, Protocol};
use crate::netfilter::{Match, MatchKind, Rule};

/// The rule of one family with each of these options at most once; None if no packet fulfils it.
pub(super) fn once(rule: Cow<'_, Rule>) -> Option<Cow<'_, Rule>> {
    if !repeats(&rule) {
        return Some(rule);
    }
    let mut rule = rule.into_owned();
    let mut at = 0;
    while let Some(first) = rule.matches.get(at) {
        let same = |other: &Match| std::mem::discriminant(&other.kind) == std::mem::discriminant(&first.kind);
        if !is_single(&first.kind) || rule.matches.iter().skip(at + 1).filter(|other| same(other)).count() == 0 {
            at += 1;
            continue;
        }
        let all: Vec<Match> = rule.matches.iter().filter(|other| same(other)).cloned().collect();
        let keep: Vec<bool> = rule.matches.iter().map(|other| !same(other)).collect();
        let mut keep = keep.iter();
        rule.matches.retain(|_| keep.next().copied().unwrap_or(true));
        let merged = merge(&all)?;
        let count = merged.len();
        rule.matches.splice(at..at, merged);
        at += count;
    }
    Some(Cow::Owned(rule))
}

fn is_single(kind: &MatchKind) -> bool {
    matches!(
        kind,
        MatchKind::InInterface(_)
            | MatchKind::OutInterface(_)
            | MatchKind::Source(_)
            | MatchKind::Destination(_)
            | MatchKind::Protocol(_)
    )
}

fn repeats(rule: &Rule) -> bool {
    rule.matches.iter().enumerate().any(|(at, one)| {
        let same = |other: &Match| std::mem::discriminant(&other.kind) == std::mem::discriminant(&one.kind);
        is_single(&one.kind) && rule.matches.iter().skip(at + 1).any(same)
    })
}

/// Matches of one kind as the fewest that mean the same; None if nothing fulfils all of them.
fn merge(all: &[Match]) -> Option<Vec<Match>> {
    match &all.first()?.kind {
        MatchKind::InInterface(_) => interfaces(all, MatchKind::InInterface),
        MatchKind::OutInterface(_) => interfaces(all, MatchKind::OutInterface),
        MatchKind::Source(_) => addresses(all, MatchKind::Source),
        MatchKind::Destination(_) => addresses(all, MatchKind::Destination),
        MatchKind::Protocol(_) => protocols(all),
        _ => Some(all.to_vec()),
    }
}

fn interfaces(all: &[Match], kind: fn(Arc<[Card]>) -> MatchKind) -> Option<Vec<Match>> {
    let lists = |negated: bool| {
        all.iter().filter(move |item| item.negated == negated).filter_map(|item| match &item.kind {
            MatchKind::InInterface(list) | MatchKind::OutInterface(list) => Some(&**list),
            _ => None,
        })
    };
    let excluded: Vec<Card> = lists(true).flatten().cloned().collect();
    let Some(allowed) = lists(false).map(<[Card]>::to_vec).reduce(|before, list| common(&before, &list)) else {
        return Some(vec![Match::not(kind(excluded.into()))]);
    };
    let left: Vec<Card> = allowed.into_iter().filter(|card| !excluded.iter().any(|one| one.covers(card))).collect();
    if left.is_empty() {
        return None;
    }
    // Of the excluded only those are worth a word that a prefix among the others means, too.
    let narrower: Vec<Card> = excluded.into_iter().filter(|one| left.iter().any(|card| card.covers(one))).collect();
    let mut merged = vec![Match::is(kind(left.into()))];
    merged.extend((!narrower.is_empty()).then(|| Match::not(kind(narrower.into()))));
    Some(merged)
}

/// The interfaces that both lists mean. Of two names that have one in common, one covers the other.
fn common(one: &[Card], other: &[Card]) -> Vec<Card> {
    let mut both: Vec<Card> = Vec::new();
    for (a, b) in one.iter().flat_map(|a| other.iter().map(move |b| (a, b))) {
        let narrower = if a.covers(b) { b } else { a };
        if (a.covers(b) || b.covers(a)) && !both.contains(narrower) {
            both.push(narrower.clone());
        }
    }
    both
}

fn addresses(all: &[Match], kind: fn(AddressSet) -> MatchKind) -> Option<Vec<Match>> {
    let sets = |negated: bool| {
        all.iter().filter(move |item| item.negated == negated).filter_map(|item| match &item.kind {
            MatchKind::Source(set) | MatchKind::Destination(set) => Some(set),
            _ => None,
        })
    };
    let excluded = sets(true).fold(AddressSet::default(), |before, set| before.union(set));
    let Some(allowed) = sets(false).cloned().reduce(|before, set| before.intersection(&set)) else {
        return Some(vec![Match::not(kind(excluded))]);
    };
    let left = allowed.difference(&excluded);
    (!left.is_empty()).then(|| vec![Match::is(kind(left))])
}

fn protocols(all: &[Match]) -> Option<Vec<Match>> {
    let lists = |negated: bool| {
        all.iter().filter(move |item| item.negated == negated).filter_map(|item| match &item.kind {
            MatchKind::Protocol(list) => Some(&**list),
            _ => None,
        })
    };
    let excluded: Vec<Protocol> = lists(true).flatten().copied().collect();
    let both =
        |before: Vec<Protocol>, list: Vec<Protocol>| before.into_iter().filter(|one| list.contains(one)).collect();
    let Some(allowed) = lists(false).map(<[Protocol]>::to_vec).reduce(both) else {
        return Some(vec![Match::not(MatchKind::Protocol(excluded.into()))]);
    };
    let left: Vec<Protocol> = allowed.into_iter().filter(|one| !excluded.contains(one)).collect();
    (!left.is_empty()).then(|| vec![Match::is(MatchKind::Protocol(left.into()))])
}
