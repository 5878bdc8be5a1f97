//! Lines of a text with their places, and the words of a line as iptables and ipset cut them.

use std::borrow::Cow;

use crate::span::Span;

/// The lines of a text, each with the offset of its first byte; without line ends.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    text.split('\n').map(move |line| {
        let start = at;
        at += line.len() + 1;
        (start, line.strip_suffix('\r').unwrap_or(line))
    })
}

/// A word of a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word<'t> {
    /// Without its quotation marks; escapes are still in it.
    pub text: &'t str,
    /// Where it begins in the line, quotation mark included.
    pub start: usize,
    /// One past its end.
    pub end: usize,
    /// Whether it stood in quotation marks.
    pub quoted: bool,
}

impl<'t> Word<'t> {
    /// What it says: a backslash in quotation marks stands for the next character (`xtables_save_string`).
    pub fn value(&self) -> Cow<'t, str> {
        if !self.quoted || !self.text.contains('\\') {
            return Cow::Borrowed(self.text);
        }
        let mut out = String::with_capacity(self.text.len());
        let mut letters = self.text.chars();
        while let Some(letter) = letters.next() {
            out.extend(if letter == '\\' { letters.next() } else { Some(letter) });
        }
        Cow::Owned(out)
    }
}

/// Cuts a line into words, after those that are in `words` already being forgotten; gives the place of a quotation mark that
/// nothing closes.
pub(super) fn words<'t>(line: &'t str, words: &mut Vec<Word<'t>>) -> Result<(), Span> {
    words.clear();
    let bytes = line.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte.is_ascii_whitespace() {
            at += 1;
            continue;
        }
        let start = at;
        if byte == b'"' || byte == b'\'' {
            at += 1;
            loop {
                match bytes.get(at) {
                    Some(b'\\') if byte == b'"' => at += 2,
                    Some(other) if *other == byte => break,
                    Some(_) => at += 1,
                    None => return Err(Span::new(start, line.len())),
                }
            }
            // Quotation marks are ASCII, so that both ends are ends of characters.
            let text = line.get(start + 1..at).unwrap_or_default();
            at += 1;
            words.push(Word { text, start, end: at, quoted: true });
        } else {
            while let Some(byte) = bytes.get(at).filter(|byte| !byte.is_ascii_whitespace()) {
                at += 1;
                if *byte == b'"' {
                    // A text in quotation marks in the middle of a word is a part of it.
                    let rest = bytes.get(at..).unwrap_or_default();
                    let close = rest.iter().position(|byte| *byte == b'"');
                    at += close.ok_or(Span::new(at - 1, line.len()))? + 1;
                }
            }
            words.push(Word { text: line.get(start..at).unwrap_or_default(), start, end: at, quoted: false });
        }
    }
    Ok(())
}
