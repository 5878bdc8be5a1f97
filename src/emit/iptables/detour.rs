//! What iptables has no words for in one line when it is negated: packets that it excludes are led around the rule.

use std::borrow::Cow;
use std::sync::Arc;

use super::matches::prefixes;
use super::{End, Place, Writer, counts, of_family};
use crate::net::{AddressSet, Family, PortSet};
use crate::netfilter::{Match, MatchKind, Rule, Verdict};

/// Comparisons that the negated lists of a line may come to, which each of their members takes one of. nf_tables takes 4 KiB for a rule,
/// of which a comparison of the connection's beginning takes 176 bytes, and the restoring programs 255 words for a line.
const MOST_IN_A_LINE: usize = 12;

/// Packets that a rule does not mean: those for which all of some matches hold.
pub(super) type Excluded = Vec<Match>;

/// What goes around a rule, of this family; None where nothing of the rule is written for it.
pub(super) fn excluded(rule: &Rule, family: Family) -> Option<Vec<Excluded>> {
    // Most rules have nothing negated, and an empty list costs nothing.
    if !rule.matches.iter().any(|item| item.negated) {
        return Some(Vec::new());
    }
    Some(divided(of_family(rule, family)?).1)
}

/// A rule without what has no place in its lines, and what goes around it instead.
pub(super) fn divided(rule: Cow<Rule>) -> (Cow<Rule>, Vec<Excluded>) {
    if !rule.matches.iter().any(|item| item.negated) {
        return (rule, Vec::new());
    }
    let crowded = rule.matches.iter().map(comparisons).sum::<usize>() > MOST_IN_A_LINE;
    let (mut kept, mut around) = (Vec::with_capacity(rule.matches.len()), Vec::new());
    for item in &rule.matches {
        if has_no_wording(&rule, item) {
            around.push(vec![Match::is(item.kind.clone())]);
        } else if let Some((first, others)) = Some(item).filter(|_| crowded).and_then(split) {
            // A packet that has no connection, or no such header, matches neither the list nor its negation: the member that stays tells it.
            kept.push(Match::not(first));
            let asked = rule.matches.iter().filter(|other| asks_protocol(item) && is_protocol(other)).cloned();
            around.push(asked.chain([Match::is(others)]).collect());
        } else {
            kept.push(item.clone());
        }
    }
    if around.is_empty() {
        return (rule, around);
    }
    (Cow::Owned(Rule { matches: kept, ..rule.into_owned() }), around)
}

/// Whether a negated match of a rule has no wording in one line.
fn has_no_wording(rule: &Rule, item: &Match) -> bool {
    let same = |other: &Match| std::mem::discriminant(&other.kind) == std::mem::discriminant(&item.kind);
    item.negated
        && match &item.kind {
            // A line names one card of each direction.
            MatchKind::InInterface(cards) | MatchKind::OutInterface(cards) => {
                cards.len() > 1 || rule.matches.iter().filter(|other| same(other)).count() > 1
            }
            MatchKind::Protocol(list) => list.len() > 1,
            MatchKind::Time { .. } | MatchKind::Unknown(_) => true,
            kind => counts(kind),
        }
}

/// How many comparisons a negated list comes to. Lists of addresses and of ports become sets before they are long.
fn comparisons(item: &Match) -> usize {
    match &item.kind {
        _ if !item.negated => 0,
        MatchKind::OriginalSource(set) | MatchKind::OriginalDestination(set) => prefixes(set).len(),
        MatchKind::OriginalDestinationPort(ports) => ports.ranges().len(),
        MatchKind::IcmpType(list) => list.len(),
        MatchKind::SourceMac(list) => list.len(),
        MatchKind::InPort(cards) | MatchKind::OutPort(cards) => cards.len(),
        _ => 0,
    }
}

/// A negated list of which each member takes a comparison: the first member, and the others, if there are any.
fn split(item: &Match) -> Option<(MatchKind, MatchKind)> {
    fn addresses(set: &AddressSet, kind: fn(AddressSet) -> MatchKind) -> Option<(MatchKind, MatchKind)> {
        let all = prefixes(set);
        let (first, others) = all.split_first().filter(|(_, others)| !others.is_empty())?;
        Some((kind(AddressSet::new([*first])), kind(AddressSet::new(others.iter().copied()))))
    }
    fn list<T: Clone>(all: &[T], kind: fn(Vec<T>) -> MatchKind) -> Option<(MatchKind, MatchKind)> {
        let (first, others) = all.split_first().filter(|(_, others)| !others.is_empty())?;
        Some((kind(vec![first.clone()]), kind(others.to_vec())))
    }
    match &item.kind {
        _ if !item.negated => None,
        MatchKind::OriginalSource(set) => addresses(set, MatchKind::OriginalSource),
        MatchKind::OriginalDestination(set) => addresses(set, MatchKind::OriginalDestination),
        MatchKind::OriginalDestinationPort(ports) => {
            list(ports.ranges(), |ports| MatchKind::OriginalDestinationPort(PortSet::new(ports)))
        }
        MatchKind::IcmpType(types) => list(types, MatchKind::IcmpType),
        MatchKind::SourceMac(macs) => list(macs, MatchKind::SourceMac),
        MatchKind::InPort(cards) => list(cards, MatchKind::InPort),
        MatchKind::OutPort(cards) => list(cards, MatchKind::OutPort),
        _ => None,
    }
}

/// Whether a match means nothing without the protocol beside it.
fn asks_protocol(item: &Match) -> bool {
    matches!(item.kind, MatchKind::OriginalDestinationPort(_) | MatchKind::IcmpType(_))
}

fn is_protocol(item: &Match) -> bool {
    !item.negated && matches!(item.kind, MatchKind::Protocol(_))
}

impl Writer<'_, '_> {
    /// Writes rules that packets go around; gives the chain that the next rule belongs in.
    ///
    /// Where none of the rules leaves the chain by RETURN or goto, they stand in a chain that is called and that the excluded leave by
    /// RETURN. Otherwise the excluded go to a new chain, which holds what follows. That is one goto deeper, and nf_tables counts
    /// those, so that it is not the rule.
    pub(super) fn detour(&mut self, current: &Arc<str>, around: &[Excluded], rules: &[Cow<Rule>]) -> Arc<str> {
        let leaves =
            |rule: &Cow<Rule>| matches!(rule.verdict, Some(Verdict::Return | Verdict::Goto(_) | Verdict::Map { .. }));
        let deeper = rules.iter().any(leaves);
        let next = self.fresh(current);
        let inner = if deeper { current } else { &next };
        if !deeper {
            self.remark.clear();
            self.line(Place::Body, current, &[], &[], 0, End::Jump(&next), None);
        }
        if let Some(first) = rules.first() {
            self.set_remark(first);
        }
        for matches in around {
            let origin = rules.first().and_then(|rule| rule.origin);
            let positive = Rule { matches: matches.clone(), origin, ..Rule::default() };
            self.lines(inner, &positive, if deeper { End::Goto(&next) } else { End::Verdict(&Verdict::Return) });
        }
        let mut last = inner.clone();
        for rule in rules {
            last = self.rule(&last, rule);
        }
        if !deeper {
            return current.clone();
        }
        self.remark.clear();
        self.goto(Place::Body, &last, &next);
        next
    }
}
