//! What iptables has no words for in one line when it is negated: packets that it excludes are led around the rule.

use std::borrow::Cow;
use std::sync::Arc;

use super::matches::prefixes;
use super::{End, Place, Writer, counts, of_family};
use crate::net::{AddressRange, AddressSet, Family, PortSet};
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
    let (mut kept, mut around) = (Vec::<Match>::with_capacity(rule.matches.len()), Vec::new());
    for item in &rule.matches {
        let (stays, goes) = if has_no_wording(&rule, item) {
            (None, Some(item.kind.clone()))
        } else if !crowded || comparisons(item) == 0 {
            (Some(item.clone()), None)
        } else if kept.iter().any(|other| other.negated && is_of_kind(other, item)) {
            (None, Some(item.kind.clone()))
        } else {
            // A packet that has no connection, or no such header, matches neither the list nor its negation: the member that stays tells it.
            let (first, others) = split(&item.kind);
            (Some(Match::not(first)), others)
        };
        kept.extend(stays);
        around.extend(goes.map(|kind| {
            let item = Match::is(kind);
            let asked = rule.matches.iter().filter(|other| asks_protocol(&item) && is_protocol(other)).cloned();
            asked.chain([item.clone()]).collect::<Excluded>()
        }));
    }
    if around.is_empty() {
        return (rule, around);
    }
    (Cow::Owned(Rule { matches: kept, ..rule.into_owned() }), around)
}

/// Whether a negated match of a rule has no wording in one line.
fn has_no_wording(rule: &Rule, item: &Match) -> bool {
    item.negated
        && match &item.kind {
            // A line names one card of each direction.
            MatchKind::InInterface(cards) | MatchKind::OutInterface(cards) => {
                cards.len() > 1 || rule.matches.iter().filter(|other| is_of_kind(other, item)).count() > 1
            }
            MatchKind::Protocol(list) => list.len() > 1,
            MatchKind::Time { .. } | MatchKind::Unknown(_) => true,
            kind => counts(kind),
        }
}

/// How many comparisons a negated list comes to in a line. Lists of addresses and of ports become sets before they are long.
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

/// A list of which each member takes a comparison when it is negated: the first member, and the others, if there are any.
fn split(kind: &MatchKind) -> (MatchKind, Option<MatchKind>) {
    fn parted<T: Clone>(all: &[T], kind: impl Fn(&[T]) -> MatchKind) -> Option<(MatchKind, Option<MatchKind>)> {
        let (first, others) = all.split_at_checked(1)?;
        Some((kind(first), (!others.is_empty()).then(|| kind(others))))
    }
    let addresses = |ranges: &[AddressRange]| AddressSet::new(ranges.iter().copied());
    let parts = match kind {
        MatchKind::OriginalSource(set) => parted(&prefixes(set), |part| MatchKind::OriginalSource(addresses(part))),
        MatchKind::OriginalDestination(set) => {
            parted(&prefixes(set), |part| MatchKind::OriginalDestination(addresses(part)))
        }
        MatchKind::OriginalDestinationPort(ports) => {
            parted(ports.ranges(), |part| MatchKind::OriginalDestinationPort(PortSet::new(part.iter().copied())))
        }
        MatchKind::IcmpType(types) => parted(types, |part| MatchKind::IcmpType(part.into())),
        MatchKind::SourceMac(macs) => parted(macs, |part| MatchKind::SourceMac(part.into())),
        MatchKind::InPort(cards) => parted(cards, |part| MatchKind::InPort(part.into())),
        MatchKind::OutPort(cards) => parted(cards, |part| MatchKind::OutPort(part.into())),
        _ => None,
    };
    parts.unwrap_or_else(|| (kind.clone(), None))
}

fn is_of_kind(one: &Match, other: &Match) -> bool {
    std::mem::discriminant(&one.kind) == std::mem::discriminant(&other.kind)
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
