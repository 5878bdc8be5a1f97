//! What tells counters apart where two rule sets are compared.

use std::collections::VecDeque;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::net::Family;
use crate::netfilter::{Chain, Limit, Match, MatchKind, Rule, Ruleset, Verdict};
use crate::packet::condition::CounterName;

/// What the counters of a rule set are called in a comparison, by their names.
#[derive(Clone, Debug)]
pub struct Counters(pub(super) Arc<FxHashMap<Arc<str>, CounterName>>);

impl Counters {
    /// Of a rule set that is compared with what is written of it: those that count each source by itself are called after the chain
    /// that asks, the first by name if several do, with a number if it asks several of one rate. A chain has one name in the policy's
    /// rules and in what is written of them; a counter has not.
    #[must_use]
    pub fn of(ruleset: &Ruleset) -> Self {
        let mut chains: Vec<&Chain> = ruleset.tables.iter().flat_map(|table| &table.chains).collect();
        chains.sort_by(|one, other| one.name.cmp(&other.name));
        let mut places = FxHashMap::default();
        for chain in chains {
            let mut rates = FxHashMap::default();
            for item in chain.rules.iter().flat_map(|rule| &rule.matches) {
                let MatchKind::Limit(limit) = &item.kind else { continue };
                if limit.source_prefix.is_none() || places.contains_key(&limit.name) {
                    continue;
                }
                let rate = (limit.count, limit.seconds, limit.burst, limit.source_prefix);
                let number = rates.entry(rate).and_modify(|number| *number += 1).or_insert(1);
                let asked = CounterName::AskedIn { chain: Arc::clone(&chain.name), number: *number };
                places.insert(Arc::clone(&limit.name), asked);
            }
        }
        Self(Arc::new(places))
    }

    /// Those of two rule sets that are not made of one another. A counter of the second is called what one of the first is that counts at
    /// the same rate for the same packets: for those that ask it, and that are led to the chain that asks. Names, and chains, may be made
    /// of line numbers, and change when a line comes or goes elsewhere.
    #[must_use]
    pub fn alike(left: &Ruleset, right: &Ruleset) -> [Self; 2] {
        let ours = asked(left);
        let names: FxHashSet<&Arc<str>> = ours.iter().map(|(_, name)| *name).collect();
        let mut same: FxHashMap<&Asked<'_>, VecDeque<&Arc<str>>> = FxHashMap::default();
        for (question, name) in &ours {
            same.entry(question).or_default().push_back(name);
        }
        let own = |name: &Arc<str>| CounterName::Own(Arc::clone(name));
        let theirs = asked(right).into_iter().map(|(question, name)| {
            let twin = same.get_mut(&question).and_then(VecDeque::pop_front).map(own);
            let unlike = || if names.contains(name) { CounterName::OfSecond(Arc::clone(name)) } else { own(name) };
            (Arc::clone(name), twin.unwrap_or_else(unlike))
        });
        let theirs = Self(Arc::new(theirs.collect()));
        [Self(Arc::new(ours.iter().map(|(_, name)| (Arc::clone(name), own(name))).collect())), theirs]
    }
}

/// What makes a counter say yes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Rate {
    Limit { count: u32, seconds: u32, burst: u32, source_prefix: Option<u8> },
    Connections { count: u32, source_prefix: u8 },
}

/// What a rule asks besides a counter: its family and its other matches.
type Others<'r> = (Option<Family>, Vec<&'r Match>);

/// The packets for which a counter is asked, and its rate.
#[derive(PartialEq, Eq, Hash)]
struct Asked<'r> {
    rate: Rate,
    /// What is asked by the rules that lead to the chain.
    leading: Vec<Others<'r>>,
    /// What is asked beside it.
    beside: Others<'r>,
}

/// The counter that a rule asks, by name, and its rate.
fn counter(rule: &Rule) -> Option<(&Arc<str>, Rate)> {
    let asked = rule.matches.iter().find_map(|item| match &item.kind {
        MatchKind::Limit(limit) => {
            let &Limit { count, seconds, burst, source_prefix, ref name } = &**limit;
            Some((name, Rate::Limit { count, seconds, burst, source_prefix }))
        }
        &MatchKind::ConnectionsAbove { count, source_prefix, ref name } => {
            Some((name, Rate::Connections { count, source_prefix }))
        }
        _ => None,
    });
    // One without a name is its rule's own.
    asked.filter(|(name, _)| !name.is_empty())
}

fn others(rule: &Rule) -> Others<'_> {
    let counts = |kind: &MatchKind| matches!(kind, MatchKind::Limit(_) | MatchKind::ConnectionsAbove { .. });
    (rule.family, rule.matches.iter().filter(|item| !counts(&item.kind)).collect())
}

/// The counters of a rule set, by name, in the order in which they are first asked, and what they are asked.
fn asked(ruleset: &Ruleset) -> Vec<(Asked<'_>, &Arc<str>)> {
    let chains = || ruleset.tables.iter().flat_map(|table| &table.chains);
    let asking: FxHashSet<&str> = chains()
        .filter(|chain| chain.rules.iter().any(|rule| counter(rule).is_some()))
        .map(|chain| &*chain.name)
        .collect();
    let mut leading: FxHashMap<&str, Vec<Others<'_>>> = FxHashMap::default();
    for rule in chains().flat_map(|chain| &chain.rules) {
        if let Some(Verdict::Jump(to) | Verdict::Goto(to)) = &rule.verdict
            && asking.contains(&**to)
        {
            leading.entry(to).or_default().push(others(rule));
        }
    }
    let mut seen: FxHashSet<&Arc<str>> = FxHashSet::default();
    let mut asked = Vec::new();
    for chain in chains().filter(|chain| asking.contains(&*chain.name)) {
        for rule in &chain.rules {
            let Some((name, rate)) = counter(rule).filter(|(name, _)| seen.insert(*name)) else { continue };
            let leading = leading.get(&*chain.name).cloned().unwrap_or_default();
            asked.push((Asked { rate, leading, beside: others(rule) }, name));
        }
    }
    asked
}
