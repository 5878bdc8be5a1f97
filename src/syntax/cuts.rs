//! A text as the scan cuts it: statements, braces, and whether the grammar can read each statement. For those who work on the form of
//! a text, with its comments and its white space, of which the tree knows nothing.

use std::ops::Range;

use pest::Parser as _;

use crate::span::Span;
use crate::syntax::blocks::{LONGEST, gate_rule, split_word};
use crate::syntax::grammar::{Grammar, rule_of};
use crate::syntax::quick;
pub use crate::syntax::scan::Ending;
use crate::syntax::scan::{Cut, Piece, Scanner};

/// What a text is made of, in order. Between two parts stand white space and comments alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// A statement, or the head of a block.
    Statement {
        /// From its first byte to its last. Empty: a brace that nothing stands in front of.
        range: Range<usize>,
        /// What follows it.
        ending: Ending,
        /// Whether the grammar can read it. Its values may still be wrong.
        read: bool,
    },
    /// `}` where no list is open, and its place.
    Close(usize),
}

/// The parts of a text.
pub fn cuts(text: &str) -> impl Iterator<Item = Part> {
    Scanner::new(text).map(|piece| match piece {
        Piece::Close(at) => Part::Close(at),
        Piece::Statement(cut) => {
            let read = can_be_read(text, &cut);
            Part::Statement { range: cut.range, ending: cut.ending, read }
        }
    })
}

fn can_be_read(text: &str, cut: &Cut) -> bool {
    let text = text.get(cut.range.clone()).unwrap_or_default();
    if cut.fault.is_some() || text.len() > LONGEST {
        return false;
    }
    let (head, rest) = split_word(text);
    let (rule, statement) = match head {
        "in" | "out" => (rule_of(split_word(rest).0).filter(|&rule| gate_rule(rule)), rest),
        _ => (rule_of(head), text),
    };
    let span = Span::new(cut.range.start, cut.range.end);
    rule.is_some_and(|rule| quick::rule(statement, 0, span).is_some() || Grammar::parse(rule, statement).is_ok())
}
