//! What tells counters apart where two rule sets are compared.

use std::collections::VecDeque;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::netfilter::{Chain, Limit, MatchKind, Rule, Ruleset, Verdict};

/// What the counters of a rule set are called in a comparison, by their names.
#[derive(Clone, Debug)]
pub struct Counters(pub(super) Arc<FxHashMap<Arc<str>, String>>);

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
                places.insert(Arc::clone(&limit.name), format!("counter {number} of `{}`,", chain.name));
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
        let names: FxHashSet<&Arc<str>> = ours.iter().map(|(_, name)| name).collect();
        let mut same: FxHashMap<&str, VecDeque<&Arc<str>>> = FxHashMap::default();
        for (question, name) in &ours {
            same.entry(question).or_default().push_back(name);
        }
        let theirs = asked(right).into_iter().map(|(question, name)| {
            let twin = same.get_mut(&*question).and_then(VecDeque::pop_front).map(ToString::to_string);
            let own = || if names.contains(&name) { format!("the second's {name}") } else { name.to_string() };
            let called = twin.unwrap_or_else(own);
            (name, called)
        });
        let theirs = Self(Arc::new(theirs.collect()));
        [Self(Arc::new(ours.iter().map(|(_, name)| (Arc::clone(name), name.to_string())).collect())), theirs]
    }
}

/// The counter that a rule asks, by name, and what makes it say yes.
fn counter(rule: &Rule) -> Option<(&Arc<str>, String)> {
    let asked = rule.matches.iter().find_map(|item| match &item.kind {
        MatchKind::Limit(limit) => {
            let Limit { count, seconds, burst, source_prefix, name } = &**limit;
            Some((name, format!("{count}/{seconds} {burst} {source_prefix:?}")))
        }
        MatchKind::ConnectionsAbove { count, source_prefix, name } => Some((name, format!("{count} {source_prefix}"))),
        _ => None,
    });
    // One without a name is its rule's own.
    asked.filter(|(name, _)| !name.is_empty())
}

/// The counters of a rule set, by name, in the order in which they are first asked, and what they are asked.
fn asked(ruleset: &Ruleset) -> Vec<(String, Arc<str>)> {
    let chains = || ruleset.tables.iter().flat_map(|table| &table.chains);
    let others = |rule: &Rule| -> String {
        let counts = |kind: &MatchKind| matches!(kind, MatchKind::Limit(_) | MatchKind::ConnectionsAbove { .. });
        let others = rule.matches.iter().filter(|item| !counts(&item.kind));
        others.fold(format!("{:?}", rule.family), |text, item| format!("{text} {item:?}"))
    };
    let asking: FxHashSet<&str> = chains()
        .filter(|chain| chain.rules.iter().any(|rule| counter(rule).is_some()))
        .map(|chain| &*chain.name)
        .collect();
    let mut leading: FxHashMap<&str, String> = FxHashMap::default();
    for rule in chains().flat_map(|chain| &chain.rules) {
        if let Some(Verdict::Jump(to) | Verdict::Goto(to)) = &rule.verdict
            && asking.contains(&**to)
        {
            leading.entry(to).or_default().push_str(&others(rule));
        }
    }
    let mut seen: FxHashSet<&Arc<str>> = FxHashSet::default();
    let mut asked = Vec::new();
    for chain in chains().filter(|chain| asking.contains(&*chain.name)) {
        let before = leading.get(&*chain.name).map_or("", String::as_str);
        for rule in &chain.rules {
            let Some((name, rate)) = counter(rule).filter(|(name, _)| seen.insert(*name)) else { continue };
            asked.push((format!("{rate} {before} {}", others(rule)), Arc::clone(name)));
        }
    }
    asked
}
