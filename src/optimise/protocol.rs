//! Rules about ICMP that stand together are led to by one jump: what is not ICMP passes them in one step. Without it every packet
//! that opens an IPv6 connection to the host would walk the dozen rules with which the prelude lets IPv6 live.

use std::sync::Arc;

use super::tree::{Names, plain};
use crate::net::{Family, Protocol};
use crate::netfilter::{Chain, Match, MatchKind, Rule, Verdict};

/// Comparisons that a jump has to spare.
const WORTH_A_JUMP: usize = 4;

/// Puts runs of rules about ICMP into chains of their own, which go to `made`.
pub fn gather(chain: &Arc<str>, rules: Vec<Rule>, names: &mut Names, made: &mut Vec<Chain>) -> Vec<Rule> {
    if !rules.iter().any(|rule| icmp(rule).is_some()) {
        return rules;
    }
    let mut out = Vec::with_capacity(rules.len());
    let mut run: Vec<Rule> = Vec::new();
    for rule in rules {
        if changes_places(&rule) {
            run.push(rule);
        } else {
            out.append(&mut gather_run(chain, std::mem::take(&mut run), names, made));
            out.push(rule);
        }
    }
    out.append(&mut gather_run(chain, run, names, made));
    out
}

/// Whether a rule may change places with one of the other family, and stand in a chain that is called: RETURN and goto would
/// lead elsewhere from there.
fn changes_places(rule: &Rule) -> bool {
    rule.family.is_some() && matches!(rule.verdict, Some(Verdict::Accept | Verdict::Drop | Verdict::Reject(_)))
}

/// The kind of ICMP that a rule is about.
fn icmp(rule: &Rule) -> Option<Protocol> {
    rule.matches.iter().find_map(|item| match &item.kind {
        MatchKind::Protocol(list) if !item.negated => match &**list {
            [one @ (Protocol::ICMP | Protocol::ICMPV6)] => Some(*one),
            _ => None,
        },
        _ => None,
    })
}

/// How many types a rule compares with: in iptables each takes a line.
fn types(rule: &Rule) -> usize {
    let types = rule.matches.iter().map(|item| match &item.kind {
        MatchKind::IcmpType(list) => list.len(),
        _ => 1,
    });
    types.max().unwrap_or(1)
}

/// In a run whose rules all name their family, those of IPv4 may stand first: no packet meets both.
fn gather_run(chain: &Arc<str>, run: Vec<Rule>, names: &mut Names, made: &mut Vec<Chain>) -> Vec<Rule> {
    let worth = |family: Family| {
        let of_family = run.iter().filter(|rule| rule.family == Some(family)).map(|rule| (icmp(rule), types(rule)));
        let (mut longest, mut now, mut last) = (0, 0, None);
        for (kind, types) in of_family {
            now = if kind.is_some() && kind == last { now + types } else { types };
            last = kind;
            longest = longest.max(if kind.is_some() { now } else { 0 });
        }
        longest >= WORTH_A_JUMP
    };
    if !Family::BOTH.into_iter().any(worth) {
        return run;
    }
    let mut out = Vec::with_capacity(run.len());
    let (first, second): (Vec<Rule>, Vec<Rule>) = run.into_iter().partition(|rule| rule.family == Some(Family::Ipv4));
    for (family, rules) in [(Family::Ipv4, first), (Family::Ipv6, second)] {
        let mut rules = rules.into_iter().peekable();
        while let Some(rule) = rules.next() {
            let Some(kind) = icmp(&rule) else {
                out.push(rule);
                continue;
            };
            let mut together = vec![rule];
            together.extend(std::iter::from_fn(|| rules.next_if(|next| icmp(next) == Some(kind))));
            if together.iter().map(types).sum::<usize>() < WORTH_A_JUMP {
                out.append(&mut together);
                continue;
            }
            let name = names.named(chain, if kind == Protocol::ICMP { "icmp" } else { "icmp6" });
            out.push(Rule {
                family: Some(family),
                matches: vec![Match::is(MatchKind::protocol(kind))],
                verdict: Some(Verdict::Jump(name.clone())),
                ..Rule::default()
            });
            made.push(plain(name, together));
        }
    }
    out
}
