//! From the netfilter form to itself: the same verdicts and effects for every packet, in fewer steps.
//!
//! Three things are done, in this order. [`fold`] makes one rule of many that decide alike and differ in addresses or ports: a set is
//! looked up in about the time that one comparison takes. [`protocol`] leads past the rules about ICMP. [`tree`] divides what remains long by one field, so that a packet
//! meets only the rules that its value can match. None touches what counts (limits, connection counts) nor what is not
//! modelled, and nothing is moved across a rule that decides otherwise.

pub mod fold;
pub mod origin;
pub mod protocol;
pub mod tree;

use std::sync::Arc;

use rustc_hash::FxHashMap;
use thin_vec::ThinVec;

use crate::netfilter::{Match, MatchKind, Rule, Ruleset, TableFamily, Target};
use crate::span::{Location, SourceText};

/// The fields by which rules may differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Field {
    Source,
    Destination,
    DestinationPort,
    OriginalPort,
}

impl Field {
    /// Whether a match is on this field and could be a member of a list.
    fn of(self, item: &Match) -> bool {
        !item.negated
            && match item.kind {
                MatchKind::Source(_) => self == Self::Source,
                MatchKind::Destination(_) => self == Self::Destination,
                MatchKind::DestinationPort(_) => self == Self::DestinationPort,
                MatchKind::OriginalDestinationPort(_) => self == Self::OriginalPort,
                _ => false,
            }
    }
}

/// The places that rules were made from, where there are several: by a rule's own place and its remark.
pub type Folded = FxHashMap<(Location, Arc<str>), Vec<Location>>;

/// Folds and divides every chain of ours. `sources` gives the line numbers for the remarks of rules that were made into one.
/// Gives the places that those come from.
pub fn optimise(ruleset: &mut Ruleset, target: Target, sources: &[SourceText]) -> Folded {
    let mut folded = Folded::default();
    let lines = origin::Lines::new(sources);
    for table in &mut ruleset.tables {
        let mut sets = fold::Sets::new(&mut table.sets);
        let mut names = tree::Names::new(table.chains.iter().map(|chain| chain.name.clone()));
        let concatenate = table.family != TableFamily::Bridge;
        let mut made = Vec::new();
        for chain in &mut table.chains {
            let (mut rules, places) = fold::fold(std::mem::take(&mut chain.rules), target, concatenate, &mut sets);
            for (rule, places) in rules.iter_mut().zip(places).filter(|(_, places)| places.len() > 1) {
                remark(rule, places, &lines, &mut folded);
            }
            let rules = protocol::gather(&chain.name, rules, &mut names, &mut made);
            // A chain that drops at its end has to keep its end.
            chain.rules = if chain.base.is_some_and(|base| !base.accept) {
                rules
            } else {
                tree::divide(&chain.name, rules, target, &mut names, &mut made)
            };
        }
        table.chains.append(&mut made);
    }
    folded
}

/// Says of a rule that was made of several where those stand.
fn remark(rule: &mut Rule, places: ThinVec<Location>, lines: &origin::Lines, folded: &mut Folded) {
    rule.origin = places.iter().min().copied();
    let words = lines.describe(&places);
    if !words.is_empty() {
        rule.comment = Some(match rule.comment.take() {
            Some(comment) => format!("{words} {comment}").into(),
            None => words.into(),
        });
    }
    if let (Some(origin), Some(comment)) = (rule.origin, &rule.comment) {
        folded.entry((origin, Arc::clone(comment))).or_default().extend(places);
    }
}

/// Whether a match gives the same answer however often it is asked, and is understood.
fn is_plain(kind: &MatchKind) -> bool {
    !matches!(
        kind,
        MatchKind::Limit(_) | MatchKind::ConnectionsAbove { .. } | MatchKind::Unknown(_) | MatchKind::Time { .. }
    )
}
