//! The clauses of a sentence: each once, and in one order.

use std::ops::Range;

use super::Case;
use super::codes::{CLAUSE_ORDER, CLAUSE_TWICE};
use crate::diagnostic::Diagnostic;
use crate::syntax::grammar::Rule;
use crate::syntax::values::shown;

fn is_clause(word: &str) -> bool {
    matches!(word, "from" | "to" | "via")
}

/// Where a word stands in a sentence: the higher, the further to the right.
pub(super) fn rank(word: &str) -> Option<u8> {
    Some(match word {
        "from" => 1,
        "to" => 2,
        "via" => 3,
        "as" | "port" => 4,
        "limit" | "log" | "during" | "source" | "comment" | "early" => 5,
        _ => return None,
    })
}

pub(super) fn is_sentence(rule: Rule) -> bool {
    matches!(
        rule,
        Rule::rule_line
            | Rule::default_line
            | Rule::assert_line
            | Rule::change_line
            | Rule::masquerade_line
            | Rule::forward_line
            | Rule::redirect_line
            | Rule::scope_head
    )
}

/// The clauses and options of a sentence: the token that each begins with, its rank, and where its text begins.
fn parts(case: &Case<'_>) -> Vec<(usize, u8)> {
    let head = match case.rule {
        Rule::scope_head => 0,
        Rule::default_line | Rule::assert_line => 2,
        _ => 1,
    };
    (head..case.tokens.len())
        .filter(|&index| case.depth_of(index) == 0)
        .filter(|&index| {
            let last = index.checked_sub(1).map_or("", |before| case.text_of(before));
            !(case.text_of(index) == "port" && matches!(last, "source" | "to"))
        })
        .filter_map(|index| rank(case.text_of(index)).map(|rank| (index, rank)))
        .collect()
}

pub(super) fn clause_twice(case: &Case<'_>) -> Option<Diagnostic> {
    let word = case.found();
    if !is_sentence(case.rule) || !is_clause(word) || case.depth_of(case.at) > 0 {
        return None;
    }
    let parts = parts(case);
    let first = parts.iter().position(|&(index, _)| index < case.at && case.text_of(index) == word)?;
    let second = parts.iter().position(|&(index, _)| index == case.at)?;
    let part = |which: usize| -> Option<Range<usize>> {
        let start = case.range_of(parts.get(which)?.0).end;
        let end = parts.get(which + 1).map_or(case.text.len(), |&(next, _)| case.range_of(next).start);
        Some(start..end)
    };
    let (first_range, second_range) = (case.range_of(parts.get(first)?.0), case.range_of(case.at));
    let mut diagnostic =
        Diagnostic::new(&CLAUSE_TWICE, case.location(second_range.clone()), format!("`{word}` is given twice"))
            .label("a second time here")
            .related(case.location(first_range.clone()), "first here");
    let (a, b) = (part(first)?, part(second)?);
    let members = |range: &Range<usize>| {
        let text = case.text.get(range.clone()).unwrap_or_default().trim();
        let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(text);
        inner.trim().trim_end_matches(',').trim_end().to_owned()
    };
    let between = case.text.get(a.end..second_range.start).unwrap_or_default();
    let rest = case.text.get(b.end..).unwrap_or_default();
    let merged = format!(" {{ {}, {} }} {between}{rest}", members(&a), members(&b));
    if let Some(change) = case.try_replace(a.start..case.text.len(), merged.trim_end()) {
        diagnostic = case.fix(diagnostic, "put both into one list", change);
    }
    Some(diagnostic)
}

pub(super) fn clause_order(case: &Case<'_>) -> Option<Diagnostic> {
    if !is_sentence(case.rule) || case.depth_of(case.at) > 0 || case.at >= case.tokens.len() {
        return None;
    }
    let word = case.found();
    let parts = parts(case);
    let before = parts.iter().take_while(|&&(index, _)| index < case.at).last().copied();
    let first = parts.first()?.0;
    let start = case.range_of(first).start;
    let piece = |which: usize| -> Option<(u8, &str)> {
        let &(index, rank) = parts.get(which)?;
        let end = parts.get(which + 1).map_or(case.text.len(), |&(next, _)| case.range_of(next).start);
        Some((rank, case.text.get(case.range_of(index).start..end)?.trim()))
    };
    if let Some(mine) = rank(word)
        && let Some(&(later, _)) = parts.iter().find(|&&(index, rank)| index < case.at && rank > mine)
    {
        let mut pieces: Vec<(u8, &str)> = (0..parts.len()).filter_map(piece).collect();
        pieces.sort_by_key(|&(rank, _)| rank);
        let sorted: Vec<&str> = pieces.into_iter().map(|(_, text)| text).collect();
        let other = case.text_of(later);
        let diagnostic =
            Diagnostic::new(&CLAUSE_ORDER, case.place(), format!("`{word}` stands before `{other}`, not behind it"))
                .label(format!("this `{word}` comes too late"))
                .related(case.location(case.range_of(later)), format!("`{other}` is here"));
        return Some(match case.try_replace(start..case.text.len(), sorted.join(" ")) {
            Some(change) => case.fix(diagnostic, "put them in order", change),
            None => diagnostic.help("the order is: service, `from`, `to`, `via`, then options"),
        });
    }
    // A service behind a clause: everything up to the next clause moves in front of the first.
    before?;
    let end = parts
        .iter()
        .find(|&&(index, _)| index > case.at)
        .map_or(case.text.len(), |&(next, _)| case.range_of(next).start);
    let found = case.range_of(case.at);
    let service = case.text.get(found.start..end)?.trim();
    let (clauses, rest) = (case.text.get(start..found.start)?, case.text.get(end..)?);
    let change = case.try_replace(start..case.text.len(), format!("{service} {}{rest}", clauses).trim_end())?;
    Some(
        case.fix(
            Diagnostic::new(
                &CLAUSE_ORDER,
                case.location(found.start..found.start + service.len()),
                format!("the service `{}` stands before the clauses", shown(service)),
            )
            .label("this comes too late"),
            "put it in front",
            change,
        ),
    )
}
