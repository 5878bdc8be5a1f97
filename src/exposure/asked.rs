//! Conditions that no packet shows, in words: limits and times that traffic meets, and what is not known.

use crate::netfilter::{MarkWord, entry};
use crate::packet::condition::Counter;
use crate::packet::field::Word;
use crate::packet::{Condition, Cube, Field, Universe, Values};

/// A condition in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Some packets meet it, whoever runs the host: a limit, a time of day, the user of a socket.
    Limit(String),
    /// Whether it holds is not known.
    Open(String),
}

/// A condition, and whether it has to hold.
pub(super) fn asked(condition: &Condition, holds: bool) -> Asked {
    let said = |holding: String, failing: String| if holds { holding } else { failing };
    match condition {
        Condition::User(user) => Asked::Limit(said(format!("from user {user}"), format!("not from user {user}"))),
        condition @ Condition::ConnectionMark(_) => {
            Asked::Open(said(format!("if {condition}"), format!("unless {condition}")))
        }
        Condition::Time(hours) => Asked::Limit(said(format!("only {hours}"), format!("but not {hours}"))),
        Condition::Counted(question) => Asked::Limit(counter(&question.counter, holds)),
        Condition::Member { set, .. } => {
            let set = entry::live_set_name(set).unwrap_or(set);
            Asked::Open(said(format!("if set `{set}` lists it"), format!("unless set `{set}` lists it")))
        }
        Condition::Decides(text) => {
            Asked::Open(said(format!("if `{text}` lets it pass"), format!("unless `{text}` stops it")))
        }
        Condition::Unmodelled(text) => Asked::Open(said(format!("if `{text}`"), format!("unless `{text}`"))),
    }
}

fn counter(counter: &Counter, holds: bool) -> String {
    let amount = counter.amount();
    match (counter, holds) {
        (Counter::Limit { .. }, true) => amount,
        (Counter::Limit { .. }, false) => format!("beyond {amount}"),
        // It says yes when too many are open.
        (Counter::Connections { .. }, true) => format!("above {amount}"),
        (Counter::Connections { .. }, false) => amount,
        (Counter::Unmodelled(_), true) => format!("while `{amount}`"),
        (Counter::Unmodelled(_), false) => format!("while not `{amount}`"),
    }
}

/// A cube without the conditions that traffic meets, which are said beside it.
pub(super) fn without_limits(cube: &Cube, universe: &Universe) -> (Cube, Vec<String>) {
    let mut rest = cube.clone();
    let mut limits = Vec::new();
    for (field, values) in cube.parts() {
        if let Some(condition) = universe.condition(*field)
            && let Asked::Limit(words) = asked(condition, values.contains(1))
        {
            rest = rest.replaced(*field, None);
            if !limits.contains(&words) {
                limits.push(words);
            }
        }
    }
    (rest, limits)
}

/// What is not known of a cube's packets, in words: conditions, and marks that another chain may have set.
pub(super) fn open(cube: &Cube, region: &Cube, universe: &Universe) -> Vec<String> {
    let mut found = Vec::new();
    for (field, values) in cube.parts().iter().filter(|(field, _)| narrower(cube, *field, region).is_some()) {
        if let Some(condition) = universe.condition(*field) {
            if let Asked::Open(words) = asked(condition, values.contains(1)) {
                found.push(words);
            }
        } else if universe.is_mark(*field) {
            let Some((word, bits)) = universe.bits(*field, values.hull().0) else { continue };
            let whose = if word == Word::Mark(MarkWord::Connection) { "its connection's" } else { "its" };
            found.push(format!("if {whose} mark is {:#x}/{:#x} then", bits.value, bits.mask));
        }
    }
    found
}

/// Whether a field is one that packets do not show: a condition, or bits of the mark.
pub(super) fn is_hidden(field: Field, universe: &Universe) -> bool {
    field.is_condition() || universe.is_mark(field)
}

/// A cube without what packets do not show, and with other fields as `region` has them.
pub(super) fn shown(cube: &Cube, soft: &[Field], region: &Cube, universe: &Universe) -> Cube {
    let mut shown = cube.clone();
    for (field, _) in cube.parts() {
        if is_hidden(*field, universe) || soft.contains(field) {
            shown = shown.replaced(*field, region.get(*field).cloned());
        }
    }
    shown
}

/// The values of a field, where a region does not say the same.
pub(super) fn narrower<'c>(cube: &'c Cube, field: Field, region: &Cube) -> Option<&'c Values> {
    cube.get(field).filter(|values| region.get(field).is_none_or(|whole| !values.covers(whole)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Family;
    use crate::netfilter::{Limit, Match, MatchKind, Rule, Ruleset, Table, TableFamily, TableKind, Verdict};
    use crate::program::{End, Space, flatten};

    /// The words for a match, as a condition of a chain.
    fn words(kind: MatchKind, negated: bool) -> Vec<Asked> {
        let rule = Rule { matches: vec![Match { negated, kind }], verdict: Some(Verdict::Accept), ..Rule::default() };
        let chain = crate::netfilter::Chain {
            name: "start".into(),
            owner: crate::netfilter::Owner::Other,
            base: None,
            rules: vec![rule],
        };
        let table = Table {
            family: TableFamily::Ipv4,
            kind: TableKind::Filter,
            name: "filter".to_owned(),
            sets: Vec::new(),
            chains: vec![chain],
        };
        let ruleset = Ruleset { tables: vec![table], attachments: Vec::new() };
        let mut space = Space::new(Family::Ipv4, [&ruleset]);
        let program = flatten(&ruleset, 0, "start", End::Drop, &mut space).expect("a chain");
        let first = program.steps.iter().find(|step| matches!(step.does, crate::program::Does::Decide(_)));
        let cube = &first.expect("a step").cube;
        cube.parts()
            .iter()
            .filter_map(|(field, values)| Some(asked(space.universe.condition(*field)?, values.contains(1))))
            .collect()
    }

    #[test]
    fn conditions_are_said_as_policies_say_them() {
        let limit = |source_prefix| Limit { count: 10, seconds: 60, burst: 5, source_prefix, name: "ssh".into() };
        let said = |text: &str| vec![Asked::Limit(text.to_owned())];
        assert_eq!(words(MatchKind::Limit(Box::new(limit(Some(32)))), false), said("10/minute per source"));
        assert_eq!(words(MatchKind::Limit(Box::new(limit(None))), false), said("10/minute"));
        assert_eq!(words(MatchKind::Limit(Box::new(limit(None))), true), said("beyond 10/minute"));
        let connections = MatchKind::ConnectionsAbove { count: 20, source_prefix: 32, name: "c".into() };
        assert_eq!(words(connections, true), said("20 connections per source"));
        let time = MatchKind::Time { days: 0b001_1111, times: Some((480, 1080)) };
        assert_eq!(words(time, false), said("only Mon, Tue, Wed, Thu, Fri, 08:00 to 18:00"));
        assert_eq!(words(MatchKind::User("www".into()), false), said("from user www"));
        let set = MatchKind::in_set("banned".into(), thin_vec::thin_vec![crate::netfilter::SetField::Source]);
        assert_eq!(words(set, true), vec![Asked::Open("unless set `banned` lists it".to_owned())]);
        let unknown = MatchKind::Unknown("-m geoip --src-cc DE".into());
        assert_eq!(words(unknown, false), vec![Asked::Open("if `-m geoip --src-cc DE`".to_owned())]);
    }
}
