//! A word that is almost another, or a keyword where a name belongs.

use super::Case;
use super::codes::{KEYWORD_AS_NAME, UNEXPECTED};
use crate::diagnostic::Diagnostic;
use crate::names::closest;
use crate::syntax::grammar::{RESERVED, Rule};
use crate::syntax::values::shown;

pub(super) fn keyword_as_name(case: &Case<'_>) -> Option<Diagnostic> {
    let word = case.found();
    if !RESERVED.contains(&word) {
        return None;
    }
    let change = case.try_token(case.at, format!("\"{word}\""))?;
    Some(case.fix(
        Diagnostic::new(&KEYWORD_AS_NAME, case.place(), format!("`{word}` is a keyword, and a name is expected here")),
        format!("put it in quotes if it is the name: `\"{word}\"`"),
        change,
    ))
}

/// Words that are no names and yet not reserved, for finding what was meant.
const OTHER_WORDS: [&str; 18] = [
    "user",
    "file",
    "live",
    "except",
    "level",
    "rate",
    "burst",
    "per",
    "connections",
    "address",
    "publish",
    "mss",
    "default-route",
    "nft",
    "iptables",
    "second",
    "minute",
    "hour",
];

pub(super) fn misspelt(case: &Case<'_>) -> Option<Diagnostic> {
    let cannot = |index: usize, what: &str| {
        Diagnostic::new(
            &UNEXPECTED,
            case.location(case.range_of(index)),
            format!("{what} `{}`", shown(case.text_of(index))),
        )
    };
    if case.found() == "per"
        && case.before().contains('/')
        && let Some(change) = case.try_token(case.at + 1, "source")
    {
        return Some(case.fix(
            cannot(case.at + 1, "a limit counts for everyone together or `per source`, not per"),
            "write `source`",
            change,
        ));
    }
    if matches!(case.found(), "per" | "a" | "/") && case.at > 0 && !case.before().contains('/') {
        let range = case.range_of(case.at - 1).start..case.range_of(case.at + 1).end;
        let rate = format!("{}/{}", case.before(), case.text_of(case.at + 1));
        if let Some(change) = case.try_replace(range, rate) {
            let what = match case.found() {
                "/" => "a rate has no blanks around its",
                _ => "a rate is written with `/`, not with",
            };
            return Some(case.fix(cannot(case.at, what), "write it in one word", change));
        }
    }
    if matches!(case.found(), ":" | ":=" | "==" | "is")
        || matches!(case.rule, Rule::set_line | Rule::interface_line | Rule::service_line)
    {
        let here = case.range_of(case.at).start;
        let change = case.try_token(case.at, "=").or_else(|| case.try_replace(here..here, "= "));
        if let Some(change) = change {
            return Some(case.fix(cannot(case.at, "a `=` is expected in front of"), "write `=`", change));
        }
    }
    for index in [Some(case.at), case.at.checked_sub(1)].into_iter().flatten().filter(|&index| index > 0) {
        let word = case.text_of(index);
        let known = RESERVED.iter().chain(&OTHER_WORDS).copied().filter(|&known| known != word);
        let Some(meant) = closest(word, known) else { continue };
        let Some(change) = case.try_token(index, meant) else { continue };
        return Some(case.fix(
            Diagnostic::new(
                &UNEXPECTED,
                case.location(case.range_of(index)),
                format!("`{}` is not a word that can stand here", shown(word)),
            ),
            format!("did you mean `{meant}`?"),
            change,
        ));
    }
    None
}
