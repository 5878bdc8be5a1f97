//! The words and marks of a text, by the same rules as the scan: strings end on their line, `#` begins a comment, anything else
//! but white space and marks goes on a word.

use std::ops::Range;

use crate::span::Span;
use crate::syntax::scan::is_word;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A word, a number, an address.
    Word,
    /// A text in quotes, the quotes with it; the one at the end may be missing.
    Quoted,
    /// `{`
    Open,
    /// `}`
    Close,
    /// `,`
    Comma,
    /// `=`
    Equals,
    /// From `#` to the end of the line.
    Comment,
}

/// A token and its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub kind: TokenKind,
    pub span: Span,
}

/// The tokens of a part of a text.
pub(super) fn tokens(text: &str, range: Range<usize>) -> Vec<Token> {
    let bytes = text.as_bytes();
    let end = range.end.min(bytes.len());
    let mut found = Vec::new();
    let mut at = range.start;
    let until = |from: usize, stops: &dyn Fn(u8) -> bool| {
        let rest = bytes.get(from..end).unwrap_or_default();
        rest.iter().position(|&byte| stops(byte)).map_or(end, |length| from + length)
    };
    while let Some(&byte) = bytes.get(at).filter(|_| at < end) {
        let (kind, stop) = match byte {
            b' ' | b'\t' | b'\r' | b'\n' => {
                at += 1;
                continue;
            }
            b'#' => {
                let line = until(at, &|byte| byte == b'\n');
                let trimmed = bytes.get(at..line).unwrap_or_default().trim_ascii_end().len();
                (TokenKind::Comment, at + trimmed)
            }
            b'"' => {
                let stop = until(at + 1, &|byte| byte == b'"' || byte == b'\n');
                let closed = stop < end && bytes.get(stop) == Some(&b'"');
                (TokenKind::Quoted, stop + usize::from(closed))
            }
            b'{' => (TokenKind::Open, at + 1),
            b'}' => (TokenKind::Close, at + 1),
            b',' => (TokenKind::Comma, at + 1),
            b'=' => (TokenKind::Equals, at + 1),
            _ => (TokenKind::Word, until(at, &|byte| !is_word(byte))),
        };
        found.push(Token { kind, span: Span::new(at, stop) });
        at = stop;
    }
    found
}
