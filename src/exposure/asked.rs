//! Conditions that no packet shows, in words: limits and times that traffic meets, and what is not known.

use crate::packet::{Cube, Field, Universe, Values};

/// A condition in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Some packets meet it, whoever runs the host: a limit, a time of day, the user of a socket.
    Limit(String),
    /// Whether it holds is not known.
    Open(String),
}

/// A condition's text, and whether it has to hold.
pub(super) fn asked(text: &str, holds: bool) -> Asked {
    if let Some(user) = text.strip_prefix("owner ") {
        return Asked::Limit(if holds { format!("from user {user}") } else { format!("not from user {user}") });
    }
    if let Some(time) = text.strip_prefix("time ") {
        let time = self::time(time);
        return Asked::Limit(if holds { format!("only {time}") } else { format!("but not {time}") });
    }
    if let Some((question, _)) = text.rsplit_once(" (question ") {
        return Asked::Limit(counter(question, holds));
    }
    if let Some(set) = text.strip_prefix("member of ") {
        let set = set.split(" by ").next().unwrap_or(set);
        // A policy's own set is one for each family.
        let own = set.strip_prefix("fwc-");
        let set = own.and_then(|own| own.strip_suffix("-v4").or(own.strip_suffix("-v6"))).unwrap_or(set);
        return Asked::Open(if holds {
            format!("if set `{set}` lists it")
        } else {
            format!("unless set `{set}` lists it")
        });
    }
    if let Some(decides) = text.strip_suffix(" decides") {
        return Asked::Open(if holds {
            format!("if `{decides}` lets it pass")
        } else {
            format!("unless `{decides}` stops it")
        });
    }
    Asked::Open(if holds { format!("if `{text}`") } else { format!("unless `{text}`") })
}

/// `NAME limit 10/60 s burst 5 by /32`, `more than 20 connections by /32`.
fn counter(question: &str, holds: bool) -> String {
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<u64>().ok());
    let per = |text: Option<&str>| match text {
        Some("32" | "64" | "128") => " per source".to_owned(),
        Some("0") | None => String::new(),
        Some(prefix) => format!(" per /{prefix} of sources"),
    };
    if let Some((_, rest)) = question.rsplit_once(" limit ")
        && let Some((count, rest)) = rest.split_once('/')
        && let Some((seconds, rest)) = rest.split_once(" s burst ")
        && let (Some(count), Some(seconds)) = (number(Some(count)), number(Some(seconds)))
    {
        let unit = match seconds {
            1 => "second".to_owned(),
            60 => "minute".to_owned(),
            3600 => "hour".to_owned(),
            86400 => "day".to_owned(),
            other => format!("{other} s"),
        };
        let per = per(rest.split_once(" by /").map(|(_, prefix)| prefix));
        return if holds { format!("{count}/{unit}{per}") } else { format!("beyond {count}/{unit}{per}") };
    }
    if let Some((_, rest)) = question.rsplit_once("more than ")
        && let Some((count, rest)) = rest.split_once(" connections by /")
        && let Some(count) = number(Some(count))
    {
        let per = per(Some(rest));
        return if holds { format!("above {count} connections{per}") } else { format!("{count} connections{per}") };
    }
    if holds { format!("while `{question}`") } else { format!("while not `{question}`") }
}

/// `0011111 Some((480, 1080))`.
fn time(text: &str) -> String {
    let (days, times) = text.split_once(' ').unwrap_or((text, ""));
    let names = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let on: Vec<&str> = days.chars().rev().zip(names).filter(|(bit, _)| *bit == '1').map(|(_, name)| name).collect();
    let days = if on.len() == 7 || on.is_empty() { String::new() } else { on.join(", ") };
    let numbers: Vec<u32> =
        times.split(|letter: char| !letter.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect();
    let clock = |minutes: u32| format!("{:02}:{:02}", minutes / 60, minutes % 60);
    match (numbers.as_slice(), days.is_empty()) {
        ([from, to], true) => format!("{} to {}", clock(*from), clock(*to)),
        ([from, to], false) => format!("{days}, {} to {}", clock(*from), clock(*to)),
        (_, true) => "at times".to_owned(),
        _ => days,
    }
}

/// A cube without the conditions that traffic meets, which are said beside it.
pub(super) fn without_limits(cube: &Cube, universe: &Universe) -> (Cube, Vec<String>) {
    let mut rest = cube.clone();
    let mut limits = Vec::new();
    for (field, values) in cube.parts() {
        if let Some(text) = universe.text(*field)
            && let Asked::Limit(words) = asked(text, values.contains(1))
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
        if let Some(text) = universe.text(*field) {
            if let Asked::Open(words) = asked(text, values.contains(1)) {
                found.push(words);
            }
        } else if is_mark(*field, universe) {
            let bits = universe.bits(*field, values.hull().0);
            let words = bits.map(|(_, bits)| format!("if its mark is {:#x}/{:#x} then", bits.value, bits.mask));
            found.extend(words);
        }
    }
    found
}

/// Whether a field is one that packets do not show: a condition, or bits of the mark.
pub(super) fn is_hidden(field: Field, universe: &Universe) -> bool {
    field.is_condition() || is_mark(field, universe)
}

fn is_mark(field: Field, universe: &Universe) -> bool {
    matches!(universe.bits(field, 0), Some((crate::packet::field::Word::Mark, _)))
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

    /// The words for a match, read from the text that conditions of it have.
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
            .filter_map(|(field, values)| Some(asked(space.universe.text(*field)?, values.contains(1))))
            .collect()
    }

    #[test]
    fn conditions_are_read_as_they_are_written() {
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
