//! Why a statement could not be read, in the words of the field, and how to mend it. The grammar says how far it came; the
//! words there say what was meant. Every edit that is offered was tried first: the statement that it makes can be read.

mod clauses;
pub(super) mod codes;
mod expected;
mod foreign;
mod lists;
mod meant;
mod statement;
mod translate;

use pest::Parser;
use pest::error::{Error, ErrorVariant, InputLocation};
use std::ops::Range;

use crate::diagnostic::Diagnostic;
use crate::span::{FileId, Location, Span};
use crate::syntax::grammar::{Grammar, Rule};
use clauses::{clause_order, clause_twice};
use expected::unexpected;
use foreign::{foreign, no_ports, others_words, state, two_services};
use lists::{empty_list, list_marks, ports_in_braces};
use meant::{keyword_as_name, misspelt};

pub(super) use statement::{unclosed_list, unknown_statement};

/// Statements above this length get the plain message: every edit is tried by reading the statement again.
const LONGEST_TRIED: usize = 16 << 10;

/// A word, string or mark of a statement.
struct Token {
    range: Range<usize>,
    /// How many braces are open around it; of a brace itself, outside of it.
    depth: usize,
}

struct Case<'t> {
    rule: Rule,
    text: &'t str,
    base: usize,
    file: FileId,
    tokens: Vec<Token>,
    /// The token at which the grammar gave up; the number of tokens if the line ended too early.
    at: usize,
}

/// An edit inside of the statement: what to replace, and by what.
type Change = (Range<usize>, String);

impl Case<'_> {
    fn location(&self, range: Range<usize>) -> Location {
        Location { file: self.file, span: Span::new(self.base + range.start, self.base + range.end) }
    }

    fn text_of(&self, index: usize) -> &str {
        self.tokens.get(index).and_then(|token| self.text.get(token.range.clone())).unwrap_or_default()
    }

    fn found(&self) -> &str {
        self.text_of(self.at)
    }

    fn before(&self) -> &str {
        self.at.checked_sub(1).map_or("", |index| self.text_of(index))
    }

    fn range_of(&self, index: usize) -> Range<usize> {
        let end = self.text.len();
        self.tokens.get(index).map_or(end..end, |token| token.range.clone())
    }

    fn depth_of(&self, index: usize) -> usize {
        self.tokens.get(index).map_or(0, |token| token.depth)
    }

    /// The place of the token at fault, or the end of the statement.
    fn place(&self) -> Location {
        let range = self.range_of(self.at);
        if range.is_empty() {
            // The last word, so that there is something to underline.
            return self.location(self.range_of(self.at.saturating_sub(1)));
        }
        self.location(range)
    }

    fn fits(&self, (range, with): &Change) -> bool {
        if self.text.len() > LONGEST_TRIED {
            return false;
        }
        let (Some(head), Some(tail)) = (self.text.get(..range.start), self.text.get(range.end..)) else { return false };
        Grammar::parse(self.rule, &format!("{head}{with}{tail}")).is_ok()
    }

    /// The edit, if the statement can be read with it.
    fn try_replace(&self, range: Range<usize>, with: impl Into<String>) -> Option<Change> {
        let change = (range, with.into());
        self.fits(&change).then_some(change)
    }

    fn try_token(&self, index: usize, with: impl Into<String>) -> Option<Change> {
        self.tokens.get(index)?;
        self.try_replace(self.range_of(index), with)
    }

    /// Takes a token and the space behind it out.
    fn try_without(&self, index: usize) -> Option<Change> {
        self.tokens.get(index)?;
        let start = self.range_of(index).start;
        let end = if index + 1 < self.tokens.len() { self.range_of(index + 1).start } else { self.text.len() };
        self.try_replace(start..end, "")
    }

    fn fix(&self, diagnostic: Diagnostic, message: impl Into<String>, change: Change) -> Diagnostic {
        diagnostic.fix(message, self.location(change.0), change.1)
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let (mut at, mut depth) = (0, 0usize);
    while let Some(&byte) = bytes.get(at) {
        let rest = bytes.get(at + 1..).unwrap_or_default();
        let length = match byte {
            b' ' | b'\t' | b'\r' | b'\n' => {
                at += 1;
                continue;
            }
            b'#' => {
                at += 1 + rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
                continue;
            }
            b'"' => 2 + rest.iter().position(|&byte| byte == b'"').unwrap_or(rest.len().saturating_sub(1)),
            b'{' | b'}' | b',' | b'=' => 1,
            _ => {
                1 + rest
                    .iter()
                    .position(|byte| {
                        matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'"' | b'{' | b'}' | b',' | b'=' | b'#')
                    })
                    .unwrap_or(rest.len())
            }
        };
        depth = depth.saturating_sub(usize::from(byte == b'}'));
        tokens.push(Token { range: at..at + length, depth });
        depth += usize::from(byte == b'{');
        at += length;
    }
    tokens
}

/// Says why `text`, which `rule` was to read, could not be read.
pub(super) fn explain(rule: Rule, text: &str, base: usize, file: FileId, error: &Error<Rule>) -> Diagnostic {
    let position = match error.location {
        InputLocation::Pos(at) | InputLocation::Span((at, _)) => at,
    };
    let tokens = tokens(text);
    let at = tokens.partition_point(|token| token.range.end <= position);
    let case = Case { rule, text, base, file, tokens, at };
    let positives: &[Rule] = match &error.variant {
        ErrorVariant::ParsingError { positives, .. } => positives,
        ErrorVariant::CustomError { .. } => &[],
    };
    empty_list(&case)
        .or_else(|| ports_in_braces(&case))
        .or_else(|| state(&case))
        .or_else(|| clause_twice(&case))
        .or_else(|| clause_order(&case))
        .or_else(|| others_words(&case))
        .or_else(|| foreign(&case))
        .or_else(|| keyword_as_name(&case))
        .or_else(|| no_ports(&case))
        .or_else(|| list_marks(&case))
        .or_else(|| misspelt(&case))
        .or_else(|| two_services(&case))
        .unwrap_or_else(|| unexpected(&case, positives))
}
