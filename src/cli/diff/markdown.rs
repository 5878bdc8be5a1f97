//! The answer as a comment on a pull request: what becomes allowed first, and never longer than such a comment may be.

use std::fmt::Write as _;

use super::{Both, closed_by, counted, packets, rule};
use crate::cli::render::harmless;
use crate::compare::{Change, Kind};

/// How many bytes are written at most. GitHub takes 65,536 characters; the rest is for what a pipeline puts around it.
const LONGEST: usize = 60_000;

/// How many characters of one rule, one set of packets: a set of a thousand addresses says no more in full.
const LONGEST_SPAN: usize = 600;

/// How many hooks that were left open, and how many notes, are told one by one.
const MOST_REMARKS: usize = 10;

pub(super) fn markdown(both: &Both<'_>) -> String {
    let names = [&both.one.name, &both.other.name].map(|name| code(name));
    let mut out = format!("### Firewall: {} → {}\n\n{}\n", names[0], names[1], both.summary());
    let closed = both.closed().into_iter().map(|(side, flow)| format!("**{}**", prose(&closed_by(side, &flow))));
    out.push_str(&remarks(&closed.collect::<Vec<_>>()));
    let unknown: Vec<String> = both.report.unknown.iter().map(|hook| format!("**Unknown:** {}", prose(hook))).collect();
    out.push_str(&remarks(&unknown));
    let notes = remarks(&both.notes().map(|note| prose(&note)).collect::<Vec<_>>());

    let mut left = Vec::new();
    for (title, changes) in ordered(both) {
        let mut title = format!("\n#### {title}\n\n");
        for change in changes {
            let text = format!("{title}{}", entry(both, change));
            // In order: what is shown is never less grave than what is left out.
            if left.is_empty() && out.len() + text.len() + notes.len() <= LONGEST {
                out.push_str(&text);
                title.clear();
            } else {
                left.push(change);
            }
        }
    }
    if !left.is_empty() {
        let (count, kinds) = (left.len(), counted(left.into_iter()));
        let _ = writeln!(
            out,
            "\n**{count} more** ({kinds}): they are too long for a comment. `fwc diff` lists all of them."
        );
    }
    out + &notes
}

/// The changes by hook and kind, and of the hooks those where something becomes allowed first.
fn ordered<'b>(both: &'b Both<'_>) -> Vec<(String, Vec<&'b Change>)> {
    let mut groups = both.groups();
    groups.sort_by_key(|(_, changes)| match changes.first().map(|change| &change.kind) {
        Some(Kind::Allowed) => 0,
        Some(Kind::Denied) => 1,
        Some(Kind::Effect(..)) | None => 2,
    });
    groups
}

/// One change: its packets, one of them, and what decides before and after.
fn entry(both: &Both<'_>, change: &Change) -> String {
    let mut out = format!("- {}\n", code(&packets(change)));
    if let Kind::Effect(left, right) = &change.kind {
        let _ = writeln!(out, "  - before {}, after {}", code(left), code(right));
    }
    let _ = writeln!(out, "  - example: {}", code(&change.example));
    for (side, host, place) in [("before", both.one, change.left), ("after", both.other, change.right)] {
        let (line, text) = rule(host, place);
        let _ = writeln!(out, "  - {side}: {} {}", code(&line), code(&text));
    }
    out
}

/// Remarks, a paragraph each, and how many there are besides.
fn remarks(all: &[String]) -> String {
    let mut out: String = all.iter().take(MOST_REMARKS).map(|remark| format!("\n> {}\n", shortened(remark))).collect();
    if let Some(more) = all.len().checked_sub(MOST_REMARKS).filter(|more| *more > 0) {
        let _ = writeln!(out, "\n> {more} more like these");
    }
    out
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST_SPAN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// A text as it is, in which nothing means anything: no link, no mention of a person, no markup.
fn code(text: &str) -> String {
    let text = shortened(&harmless(text).replace('\n', " "));
    let longest = text.split(|letter| letter != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest + 1);
    // A space on both sides is taken away by who reads it.
    let pad = if text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']) { " " } else { "" };
    if text.trim().is_empty() { String::new() } else { format!("{fence}{pad}{text}{pad}{fence}") }
}

/// A sentence of ours with names of the user's in it.
fn prose(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in harmless(text).chars() {
        match letter {
            '\n' => out.push(' '),
            // Neither a person nor an issue is meant, and a backslash does not say so.
            '@' | '#' => {
                out.push(letter);
                out.push_str("<!-- -->");
            }
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '~' | '|' | '&' | '$' => {
                out.push('\\');
                out.push(letter);
            }
            _ => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_SPAN, code, prose, shortened};

    #[test]
    fn nothing_of_the_user_is_markup() {
        assert_eq!(code("a"), "`a`");
        assert_eq!(code("a ` b"), "``a ` b``");
        assert_eq!(code("`` a"), "``` `` a ```");
        assert_eq!(code(" a "), "`  a  `");
        assert_eq!(code("a\nb\u{1b}[1m"), "`a b\\u{1b}[1m`");
        assert_eq!(code("@team <b> #1"), "`@team <b> #1`");
        assert_eq!(prose("a_b [x](y) `c` <b>\n*d*"), "a\\_b \\[x\\](y) \\`c\\` \\<b\\> \\*d\\*");
        assert_eq!(prose("of @team, #1"), "of @<!-- -->team, #<!-- -->1");
    }

    #[test]
    fn what_is_long_is_cut_between_letters() {
        let long = "é".repeat(LONGEST_SPAN);
        assert_eq!(shortened(&long), long);
        assert_eq!(shortened(&(long.clone() + "éé")), long + "…");
    }
}
