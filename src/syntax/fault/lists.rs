//! Lists: braces, commas, and at least one member.

use super::codes::{EMPTY_LIST, LIST_MARKS};
use super::{Case, Change};
use crate::diagnostic::Diagnostic;

pub(super) fn empty_list(case: &Case<'_>) -> Option<Diagnostic> {
    if case.found() != "}" || case.before() != "{" {
        return None;
    }
    let whole = case.range_of(case.at - 1).start..case.range_of(case.at).end;
    Some(
        Diagnostic::new(&EMPTY_LIST, case.location(whole), "this list is empty")
            .label("expected at least one member")
            .help("write `any` for everyone, or take the statement out"),
    )
}

/// `tcp { 22, 80 }`, as nft and pf write it. Here each service of a list says its protocol.
pub(super) fn ports_in_braces(case: &Case<'_>) -> Option<Diagnostic> {
    let protocol = case.before();
    let source = protocol == "port" && case.at.checked_sub(2).is_some_and(|index| case.text_of(index) == "source");
    if case.found() != "{" || !(source || matches!(protocol, "tcp" | "udp" | "sctp")) {
        return None;
    }
    let inside = |index: &usize| case.depth_of(*index) > case.depth_of(case.at);
    let end = (case.at + 1..case.tokens.len()).find(|index| !inside(index))?;
    let members: Vec<&str> = (case.at + 1..end).map(|index| case.text_of(index)).filter(|word| *word != ",").collect();
    let braces = case.range_of(case.at).start..case.range_of(end).end;
    let told = |message: String| Diagnostic::new(&LIST_MARKS, case.location(braces.clone()), message);
    if source {
        let change = case.try_replace(braces.clone(), members.join(", "))?;
        let fault = told("the ports behind `source port` need no braces".into());
        return Some(case.fix(fault, "leave the braces out", change));
    }
    let whole = case.range_of(case.at - 1).start..braces.end;
    // In a list already, its members stand there directly; names of services know their protocol.
    let listed = |with: &str| {
        let each: Vec<String> = members.iter().map(|member| format!("{with}{member}")).collect();
        let list = each.join(", ");
        if case.depth_of(case.at) > 0 { list } else { format!("{{ {list} }}") }
    };
    let fault = told(format!("`{protocol}` is not followed by a list in braces"));
    if let Some(change) = case.try_replace(whole.clone(), listed(&format!("{protocol} "))) {
        return Some(case.fix(fault, "say the protocol with each port", change));
    }
    let change = case.try_replace(whole, listed(""))?;
    Some(case.fix(fault, "a service by its name knows its protocol", change))
}

/// `tcp,udp 53`: the port behind the last protocol is meant for each. In braces as they stand, the first would be all of its ports.
fn protocols_of_a_port(case: &Case<'_>, comma: usize) -> Option<Diagnostic> {
    let is_protocol = |index: usize| matches!(case.text_of(index), "tcp" | "udp" | "sctp");
    let first = comma.checked_sub(1).filter(|first| is_protocol(*first))?;
    let mut last = first;
    while last + 2 < case.tokens.len() && case.text_of(last + 1) == "," && is_protocol(last + 2) {
        last += 2;
    }
    let told = Diagnostic::new(&LIST_MARKS, case.location(case.range_of(comma)), "each protocol needs its port");
    let port = Some(last + 1).filter(|port| *port < case.tokens.len()).map(|port| case.text_of(port));
    let port = port.filter(|port| last > first && port.starts_with(|letter: char| letter.is_ascii_digit()));
    let change = port.and_then(|port| {
        let each: Vec<String> = (first..=last).step_by(2).map(|at| format!("{} {port}", case.text_of(at))).collect();
        case.try_replace(case.range_of(first).start..case.range_of(last + 1).end, format!("{{ {} }}", each.join(", ")))
    });
    Some(match change {
        Some(change) => case.fix(told, "say the port with each protocol", change),
        None => told.help("write `{ tcp 53, udp 53 }`; a protocol without a port is all of its ports"),
    })
}

pub(super) fn list_marks(case: &Case<'_>) -> Option<Diagnostic> {
    let found = case.found();
    let marks = |message: &str| Diagnostic::new(&LIST_MARKS, case.place(), message);
    let comma = if found == "," { Some(case.at) } else { case.at.checked_sub(1).filter(|_| case.before() == ",") };
    if let Some(told) = comma.filter(|_| case.depth_of(case.at) == 0).and_then(|comma| protocols_of_a_port(case, comma))
    {
        return Some(told);
    }
    if found == "," {
        if case.depth_of(case.at) == 0
            && let Some(change) = in_braces(case, case.at)
        {
            return Some(case.fix(marks("several of a kind need braces around them"), "put them in braces", change));
        }
        if let Some(change) = case.try_token(case.at, "") {
            return Some(case.fix(marks("this comma is one too many"), "leave it out", change));
        }
        return None;
    }
    if case.before() == ","
        && case.depth_of(case.at) == 0
        && let Some(change) = in_braces(case, case.at - 1)
    {
        return Some(case.fix(marks("several of a kind need braces around them"), "put them in braces", change));
    }
    // Where a service is expected the grammar points at the one before the gap.
    let gap = (case.at..case.at + 16).find_map(|index| missing_comma(case, index));
    if let Some((index, change)) = gap {
        let place = case.location(case.range_of(index));
        let diagnostic = Diagnostic::new(&LIST_MARKS, place, "a comma is missing in front of this");
        return Some(case.fix(diagnostic, "put commas between the members", change));
    }
    (case.depth_of(case.at) > 0 && found == "{").then(|| {
        marks("a list cannot stand inside of a list")
            .help("write all members into one list, or give the inner one a name with `set`")
    })
}

/// Commas from the gap before the token at `at` to the end of its list.
fn missing_comma(case: &Case<'_>, at: usize) -> Option<(usize, Change)> {
    let before = at.checked_sub(1).map_or("", |index| case.text_of(index));
    if case.depth_of(at) == 0
        || at >= case.tokens.len()
        || matches!(before, "{" | ",")
        || matches!(case.text_of(at), "}" | "{" | ",")
    {
        return None;
    }
    let here = case.range_of(at).start;
    let after = case.range_of(at - 1).end;
    let change = case.try_replace(after..here, ", ").or_else(|| {
        // More than one may be missing.
        let commas = (at..case.tokens.len()).take_while(|&index| case.depth_of(index) > 0);
        let mut list = String::new();
        let mut end = after;
        for index in commas.take(64) {
            let range = case.range_of(index);
            if case.text_of(index) != "," {
                list.push_str(", ");
                list.push_str(case.text_of(index));
            }
            end = range.end;
        }
        case.try_replace(after..end, list)
    })?;
    Some((at, change))
}

/// Braces around the members that stand about the comma at `comma`: from some word before it to some word behind the last one.
fn in_braces(case: &Case<'_>, comma: usize) -> Option<Change> {
    let furthest = case.tokens.len().min(comma + 24);
    for first in (comma.saturating_sub(4)..comma).rev() {
        for last in (comma + 1..furthest).rev() {
            let range = case.range_of(first).start..case.range_of(last).end;
            let list = format!("{{ {} }}", case.text.get(range.clone())?);
            if let Some(change) = case.try_replace(range, list) {
                return Some(change);
            }
        }
    }
    None
}
