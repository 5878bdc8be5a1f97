//! One family's share of a rule that is written for both: iptables has a program for each family, and nft's matches on addresses
//! imply theirs.

use std::borrow::Cow;

use crate::net::{AddressSet, Family, Protocol};
use crate::netfilter::{Match, MatchKind, Rule, Verdict};

/// The rule as packets of `family` see it; `None` if it matches none of them.
pub(super) fn of_family(rule: &Rule, family: Family) -> Option<Cow<'_, Rule>> {
    if rule.family.is_some_and(|only| only != family) {
        return None;
    }
    match &rule.verdict {
        Some(Verdict::Dnat { address, .. } | Verdict::Snat(address)) if Family::of(*address) != family => return None,
        _ => {}
    }
    let mut changed: Option<Vec<Match>> = None;
    for (at, item) in rule.matches.iter().enumerate() {
        match share(item, family) {
            Share::Same => {
                if let Some(matches) = &mut changed {
                    matches.push(item.clone());
                }
            }
            Share::Other(kind) => {
                let matches = changed.get_or_insert_with(|| rule.matches.iter().take(at).cloned().collect());
                matches.push(Match { negated: item.negated, kind });
            }
            Share::Always => {
                changed.get_or_insert_with(|| rule.matches.iter().take(at).cloned().collect());
            }
            Share::Never => return None,
        }
    }
    if rule.matches.iter().any(|item| matches!(item.kind, MatchKind::IcmpType(_))) {
        let own = if family == Family::Ipv4 { Protocol::ICMP } else { Protocol::ICMPV6 };
        let other = rule.matches.iter().any(|item| match &item.kind {
            MatchKind::Protocol(list) => !item.negated && !list.contains(&own),
            _ => false,
        });
        if other {
            return None;
        }
    }
    Some(match changed {
        None => Cow::Borrowed(rule),
        Some(matches) => Cow::Owned(Rule {
            family: rule.family,
            matches,
            effects: rule.effects.clone(),
            verdict: rule.verdict.clone(),
            comment: rule.comment.clone(),
            origin: rule.origin,
        }),
    })
}

/// Whether both families' shares are the same words, so that nft can say them in one rule.
pub(super) fn is_neutral(rule: &Rule) -> bool {
    let address = |set: &AddressSet| set.is_empty();
    rule.matches.iter().all(|item| match &item.kind {
        MatchKind::Source(set)
        | MatchKind::Destination(set)
        | MatchKind::OriginalSource(set)
        | MatchKind::OriginalDestination(set) => address(set),
        MatchKind::IcmpType(_) => false,
        MatchKind::Limit(limit) => limit.source_prefix.is_none(),
        MatchKind::ConnectionsAbove { source_prefix, .. } => *source_prefix == 0,
        _ => true,
    })
}

enum Share {
    Same,
    Other(MatchKind),
    Always,
    Never,
}

fn share(item: &Match, family: Family) -> Share {
    let set = match &item.kind {
        MatchKind::Source(set)
        | MatchKind::Destination(set)
        | MatchKind::OriginalSource(set)
        | MatchKind::OriginalDestination(set) => set,
        MatchKind::Protocol(list) if list.is_empty() => return none(item.negated),
        MatchKind::SourcePort(ports)
        | MatchKind::DestinationPort(ports)
        | MatchKind::OriginalDestinationPort(ports)
            if ports.is_empty() =>
        {
            return none(item.negated);
        }
        MatchKind::InInterface(cards)
        | MatchKind::OutInterface(cards)
        | MatchKind::InPort(cards)
        | MatchKind::OutPort(cards)
            if cards.is_empty() =>
        {
            return none(item.negated);
        }
        MatchKind::IcmpType(list) if list.is_empty() => return none(item.negated),
        MatchKind::SourceMac(list) if list.is_empty() => return none(item.negated),
        // A limit that tells IPv6 sources apart by 64 bits tells IPv4 sources apart by all of theirs.
        MatchKind::Limit(limit) if family == Family::Ipv4 && limit.source_prefix.is_some_and(|length| length > 32) => {
            let mut limit = limit.clone();
            limit.source_prefix = Some(32);
            return Share::Other(MatchKind::Limit(limit));
        }
        MatchKind::ConnectionsAbove { count, source_prefix, name } if family == Family::Ipv4 && *source_prefix > 32 => {
            return Share::Other(MatchKind::ConnectionsAbove { count: *count, source_prefix: 32, name: name.clone() });
        }
        _ => return Share::Same,
    };
    // IPv4 stands before IPv6 in a set: the ends tell whether it is all of one family.
    let ends = (set.ranges().first().map(|range| range.family()), set.ranges().last().map(|range| range.family()));
    match ends {
        (Some(first), Some(last)) if first == family && last == family => Share::Same,
        (Some(first), Some(last)) if first == family || last == family => {
            let own = set.of_family(family);
            Share::Other(match &item.kind {
                MatchKind::Source(_) => MatchKind::Source(own),
                MatchKind::Destination(_) => MatchKind::Destination(own),
                MatchKind::OriginalSource(_) => MatchKind::OriginalSource(own),
                _ => MatchKind::OriginalDestination(own),
            })
        }
        _ => none(item.negated),
    }
}

/// A list in which nothing is: never matches, and its opposite always does.
fn none(negated: bool) -> Share {
    if negated { Share::Always } else { Share::Never }
}
