//! Statements that are none: an unknown first word, or a list that never ends.

use pest::Parser;

use super::codes::{UNEXPECTED, UNKNOWN_STATEMENT};
use super::translate::translated;
use super::{LONGEST_TRIED, tokens};
use crate::diagnostic::Diagnostic;
use crate::names::closest;
use crate::span::{FileId, Location, Span};
use crate::syntax::blocks::{MISPLACED, UNCLOSED_BRACE, split_word};
use crate::syntax::grammar::{Grammar, Rule, STATEMENTS, rule_of};
use crate::syntax::values::shown;

/// A statement whose first word is not known.
pub(in crate::syntax) fn unknown_statement(text: &str, base: usize, file: FileId, block: bool) -> Diagnostic {
    let (word, rest) = split_word(text);
    let at = |start: usize, end: usize| Location { file, span: Span::new(base + start, base + end) };
    let first = text.chars().next().map_or(0, char::len_utf8);
    let place = at(0, word.len().max(first));
    if rule_of(word).is_some() {
        return Diagnostic::new(&MISPLACED, place, format!("`{word}` cannot stand behind `in` or `out`"))
            .label("expected a rule, `apply` or a change");
    }
    if matches!(word, "in" | "out") {
        return Diagnostic::new(&UNEXPECTED, place, format!("a rule is expected behind `{word}`"))
            .help(format!("in a guest's block: `{word} allow ssh from office`"));
    }
    let shown_word = shown(if word.is_empty() { text.get(..first).unwrap_or_default() } else { word });
    let lower = word.to_ascii_lowercase();
    let diagnostic = Diagnostic::new(&UNKNOWN_STATEMENT, place, format!("no statement begins with `{shown_word}`"));
    let instead = match lower.as_str() {
        "accept" | "permit" | "pass" | "open" | "return" => Some("allow"),
        "drop" | "block" | "discard" => Some("deny"),
        "snat" | "nat" => Some("masquerade"),
        "dnat" | "rdr" | "portforward" | "port-forward" => Some("forward"),
        "define" | "var" | "let" | "ipset" | "alias" => Some("set"),
        "iface" | "nic" | "zone" => Some("interface"),
        "policy" => Some("default"),
        "import" | "source" | "load" => Some("include"),
        "test" | "verify" => Some("assert"),
        "vm" => Some("guest"),
        _ => None,
    };
    let keywords = STATEMENTS.map(|(known, _)| known);
    if let Some(instead) = instead.or_else(|| keywords.into_iter().find(|known| *known == lower)) {
        let why = if instead == lower { "words are written in lower case" } else { "that is its word here" };
        return diagnostic.fix(format!("write `{instead}`: {why}"), place, instead);
    }
    if let Some(ours) = translated(text)
        && (Grammar::parse(Rule::rule_line, &ours).is_ok() || Grammar::parse(Rule::default_line, &ours).is_ok())
    {
        return diagnostic.label("this looks like another firewall's language").fix(
            format!("write `{ours}`"),
            at(0, text.trim_end().len()),
            ours,
        );
    }
    if matches!(
        lower.as_str(),
        "iptables" | "ip6tables" | "nft" | "table" | "add" | "flush" | "ufw" | "pfctl" | "commit" | "rule"
    ) || word.starts_with(['-', '*', ':'])
    {
        return diagnostic
            .label("this looks like another firewall's language")
            .help("netfilter's own words go into a block: `chain filter INPUT { … }`")
            .help("to check a file of iptables or nft rules, give it to `fwc check`");
    }
    if let Some(meant) = closest(word, keywords.into_iter().chain(["in", "out"])) {
        return diagnostic.fix(format!("did you mean `{meant}`?"), place, meant);
    }
    let sentence =
        |with: &str| text.len() <= LONGEST_TRIED && Grammar::parse(Rule::rule_line, &format!("{with} {text}")).is_ok();
    let begins_service = matches!(word, "tcp" | "udp" | "sctp" | "icmp" | "protocol" | "ipv4" | "ipv6");
    if !block && (begins_service || rest.starts_with("from") || rest.starts_with("to")) && sentence("allow") {
        return diagnostic
            .label("a rule begins with what it does")
            .fix("write `allow` in front", at(0, 0), "allow ")
            .fix("or `deny`", at(0, 0), "deny ");
    }
    let scope = format!("to {text}");
    if block && text.len() <= LONGEST_TRIED && Grammar::parse(Rule::scope_head, &scope).is_ok() {
        return diagnostic
            .label("a block begins with the clause that it says for its lines")
            .fix("for what goes there", at(0, 0), "to ")
            .fix("or for what comes from there", at(0, 0), "from ");
    }
    diagnostic
        .help("a line begins with `allow`, `deny`, `reject`, `default`, `set`, `interface`, `use` or another keyword")
}

/// A list that is not closed: `brace` is where it was opened, in the file.
pub(in crate::syntax) fn unclosed_list(text: &str, base: usize, brace: usize, file: FileId) -> Diagnostic {
    let at =
        |position: usize, length: usize| Location { file, span: Span::new(base + position, base + position + length) };
    let opened = brace.saturating_sub(base);
    let diagnostic = Diagnostic::new(&UNCLOSED_BRACE, at(opened, 1), "this list is not closed")
        .label("expected a `}` behind its last member");
    let (head, rest) = split_word(text);
    let statement = if matches!(head, "in" | "out") { rest } else { text };
    let skipped = text.len() - statement.len();
    let Some(rule) = rule_of(split_word(statement).0) else { return diagnostic };
    if text.len() > LONGEST_TRIED {
        return diagnostic;
    }
    for token in tokens(text).iter().filter(|token| token.range.start > opened).take(64) {
        let end = token.range.end;
        let (Some(front), Some(back)) = (text.get(skipped..end), text.get(end..)) else { continue };
        if Grammar::parse(rule, &format!("{front} }}{back}")).is_ok() {
            return diagnostic.fix("close it here", at(end, 0), " }");
        }
    }
    diagnostic
}
