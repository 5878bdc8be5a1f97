//! `chain` blocks among the rules: lines in netfilter's own words, read as the tool would, so that what they decide counts.

use std::borrow::Cow;

use rustc_hash::FxHashSet;

use crate::net::Family;
use crate::netfilter::{Match, MatchKind, Rule, Ruleset, Target, Verdict};
use crate::policy::Policy;
use crate::read;
use crate::span::{FileId, Location};

/// The rules with the lines of `chain` blocks read. What cannot be read may decide anything.
pub(super) fn read<'r>(policy: &Policy, ruleset: &'r Ruleset, target: Target) -> Cow<'r, Ruleset> {
    if policy.raw.is_empty() {
        return Cow::Borrowed(ruleset);
    }
    let lines: FxHashSet<Location> =
        policy.raw.iter().flat_map(|raw| &raw.lines).map(|(_, location)| *location).collect();
    let is_line = |rule: &Rule| rule.origin.is_some_and(|origin| lines.contains(&origin));
    let mut own = ruleset.clone();
    for chain in own.tables.iter_mut().flat_map(|table| &mut table.chains) {
        if !chain.rules.iter().any(is_line) {
            continue;
        }
        let rules = std::mem::take(&mut chain.rules).into_iter();
        chain.rules = rules.flat_map(|rule| if is_line(&rule) { line(rule, target) } else { vec![rule] }).collect();
    }
    Cow::Owned(own)
}

fn line(rule: Rule, target: Target) -> Vec<Rule> {
    let [Match { kind: MatchKind::Unknown(text), .. }] = rule.matches.as_slice() else { return vec![rule] };
    let mut read = match target {
        Target::Iptables => {
            let families = rule.family.map_or_else(|| Family::BOTH.to_vec(), |family| vec![family]);
            families
                .into_iter()
                .filter_map(|family| {
                    let read = read::iptables_rule(text, family).ok()?;
                    Some(Rule { family: Some(family), ..read })
                })
                .collect()
        }
        Target::Nft => {
            let whole = format!("table inet read {{\nchain read {{\n{text}\n}}\n}}\n");
            let reading = read::nft(FileId(0), &whole);
            let faulty = !reading.faults.is_empty();
            let chains = reading.ruleset.tables.into_iter().filter(|_| !faulty).flat_map(|table| table.chains);
            chains.flat_map(|chain| chain.rules).collect::<Vec<_>>()
        }
    };
    if read.is_empty() {
        read.push(Rule { verdict: Some(Verdict::Unknown(text.clone())), ..rule.clone() });
    }
    for one in &mut read {
        one.origin = rule.origin;
    }
    read
}
