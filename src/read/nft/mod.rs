//! `nft list ruleset`, and scripts for `nft -f`, in two steps: the text's tables, chains and sets are collected as its commands leave
//! them, and then each rule is put into the netfilter form, when all sets are known.

mod compare;
mod define;
mod field;
mod json;
mod lex;
mod rule;
mod script;
mod set;
mod value;
mod vocabulary;

use super::{Count, Reading};
use crate::span::{FileId, Location};
use lex::{Kind, Lexer, Token};

pub use json::nft_json;

/// Reads the listing of `nft list ruleset`, or a script: what is there when it has run on an empty host.
#[must_use]
pub fn nft(file: FileId, text: &str) -> Reading {
    let Some(mut expanded) = define::expand(file, text) else { return plain(file, text, false) };
    let mut reading = plain(file, &expanded.text, expanded.includes);
    reading.relocate(|location| Location { file: location.file, span: expanded.back(location.span) });
    reading.faults.append(&mut expanded.faults);
    reading.faults.sort_by_key(|fault| fault.span.start);
    reading
}

/// Reads a text without definitions; whether files are included that may hold more of its tables.
fn plain(file: FileId, text: &str, includes: bool) -> Reading {
    let mut script = script::Script::new(file, text, includes);
    script.read();
    script.finish()
}

/// What the counters in a rule's words have counted. Those of a set's members stand in braces.
pub(super) fn counters(rule: &str) -> Vec<Count> {
    let mut depth = 0usize;
    let mut tokens: Vec<Token> = Vec::new();
    for token in Lexer::new(rule) {
        match token.text {
            "{" if token.kind == Kind::Mark => depth += 1,
            "}" if token.kind == Kind::Mark => depth = depth.saturating_sub(1),
            _ if depth == 0 => tokens.push(token),
            _ => {}
        }
    }
    let count = |words: &[Token]| match words {
        [counter, packets, number, bytes, size]
            if counter.is("counter") && packets.is("packets") && bytes.is("bytes") =>
        {
            Some(Count { packets: number.text.parse().ok()?, bytes: size.text.parse().ok()? })
        }
        _ => None,
    };
    tokens.windows(5).filter_map(count).collect()
}
