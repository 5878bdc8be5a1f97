//! Places in texts as the protocol counts them: lines from zero, and in a line the units of the encoding that client and server
//! agreed upon. Everything else counts bytes.

use gen_lsp_types::{Position, PositionEncodingKind, Range};

use crate::span::Span;

/// How columns are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Bytes.
    Utf8,
    /// Units of two bytes: what every client understands.
    Utf16,
    /// Code points.
    Utf32,
}

impl Encoding {
    /// The one of those that a client offers that costs least; UTF-16 if it says nothing.
    pub fn agreed(offered: &[&str]) -> Self {
        if offered.contains(&"utf-8") {
            Self::Utf8
        } else if offered.contains(&"utf-32") && !offered.contains(&"utf-16") {
            Self::Utf32
        } else {
            Self::Utf16
        }
    }

    /// Its name in the protocol.
    pub fn kind(self) -> PositionEncodingKind {
        match self {
            Self::Utf8 => PositionEncodingKind::UTF8,
            Self::Utf16 => PositionEncodingKind::UTF16,
            Self::Utf32 => PositionEncodingKind::UTF32,
        }
    }

    fn units(self, letter: char) -> usize {
        match self {
            Self::Utf8 => letter.len_utf8(),
            Self::Utf16 => letter.len_utf16(),
            Self::Utf32 => 1,
        }
    }
}

/// Where the lines of a text begin. A line ends with `\n`, `\r\n` or `\r`, as the protocol has it.
#[derive(Clone, Debug)]
pub struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
    encoding: Encoding,
}

impl<'t> Lines<'t> {
    /// Scans a text once.
    pub fn new(text: &'t str, encoding: Encoding) -> Self {
        let bytes = text.as_bytes();
        let mut starts = vec![0];
        // Half of `\r\n` is no end.
        let ends = memchr::memchr2_iter(b'\n', b'\r', bytes)
            .filter(|&at| bytes.get(at) == Some(&b'\n') || bytes.get(at + 1) != Some(&b'\n'));
        starts.extend(ends.map(|at| at + 1));
        Self { text, starts, encoding }
    }

    /// The place of a byte; one beyond the end is the end.
    pub fn position(&self, offset: usize) -> Position {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let line = self.starts.partition_point(|&start| start <= offset).max(1) - 1;
        let start = self.starts.get(line).copied().unwrap_or_default();
        let before = self.text.get(start..offset).unwrap_or_default();
        let character = match self.encoding {
            Encoding::Utf8 => before.len(),
            encoding => before.chars().map(|letter| encoding.units(letter)).sum(),
        };
        Position { line: number(line), character: number(character) }
    }

    /// The byte at a place. A column beyond the line's end is its end, as the protocol has it; a line beyond the last is the end;
    /// a place within a character is its beginning.
    pub fn offset(&self, position: Position) -> usize {
        let line = position.line as usize;
        let Some(&start) = self.starts.get(line) else { return self.text.len() };
        let end = self.starts.get(line + 1).copied().unwrap_or(self.text.len());
        let content = self.text.get(start..end).unwrap_or_default();
        let content = if line + 1 < self.starts.len() { content.trim_end_matches(['\n', '\r']) } else { content };
        let mut left = position.character as usize;
        for (at, letter) in content.char_indices() {
            let units = self.encoding.units(letter);
            if left < units {
                return start + at;
            }
            left -= units;
        }
        start + content.len()
    }

    /// The place of some bytes.
    pub fn range(&self, span: Span) -> Range {
        let bytes = span.range();
        Range { start: self.position(bytes.start), end: self.position(bytes.end.max(bytes.start)) }
    }

    /// The bytes of a place.
    pub fn span(&self, range: Range) -> Span {
        let start = self.offset(range.start);
        Span::new(start, self.offset(range.end).max(start))
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Where bytes of an old text are in a new one, if the change between the two does not touch them.
#[derive(Clone, Copy, Debug)]
pub struct Moved {
    /// Bytes that both begin with.
    before: usize,
    /// Where in the old text that begins which both end with.
    after: usize,
    old: usize,
    new: usize,
}

impl Moved {
    /// Compares two texts.
    pub fn new(old: &str, new: &str) -> Self {
        let (old, new) = (old.as_bytes(), new.as_bytes());
        let before = old.iter().zip(new).take_while(|(a, b)| a == b).count();
        let most = old.len().min(new.len()) - before;
        let same = old.iter().rev().zip(new.iter().rev()).take(most).take_while(|(a, b)| a == b).count();
        Self { before, after: old.len() - same, old: old.len(), new: new.len() }
    }

    /// The new place of a span. None if the change touches it.
    pub fn span(&self, span: Span) -> Option<Span> {
        let bytes = span.range();
        if bytes.end < self.before || (self.before == self.old && self.old == self.new) {
            return Some(span);
        }
        if bytes.start < self.after || bytes.end > self.old {
            return None;
        }
        Some(Span::new(bytes.start + self.new - self.old, bytes.end + self.new - self.old))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: u32, character: u32) -> Position {
        Position { line, character }
    }

    #[test]
    fn columns_are_counted_in_the_units_agreed_upon() {
        let text = "# 🧱é\nallow\r\nping\rend";
        for (encoding, column) in [(Encoding::Utf8, 8), (Encoding::Utf16, 5), (Encoding::Utf32, 4)] {
            let lines = Lines::new(text, encoding);
            assert_eq!(lines.position(8), at(0, column), "{encoding:?}");
            assert_eq!(lines.offset(at(0, column)), 8, "{encoding:?}");
            assert_eq!(lines.position(9), at(1, 0));
            assert_eq!(lines.position(16), at(2, 0));
            assert_eq!(lines.offset(at(3, 0)), 21);
        }
    }

    #[test]
    fn places_that_are_not_there_are_the_nearest_that_are() {
        let lines = Lines::new("ab\ncd\n", Encoding::Utf16);
        assert_eq!(lines.offset(at(0, 99)), 2, "the end of the line");
        assert_eq!(lines.offset(at(99, 0)), 6, "the end of the text");
        assert_eq!(lines.position(99), at(2, 0));
        let wall = Lines::new("🧱", Encoding::Utf16);
        assert_eq!(wall.offset(at(0, 1)), 0, "half of a pair");
        assert_eq!(wall.position(2), at(0, 0), "within a character");
    }

    #[test]
    fn utf_8_is_preferred_and_utf_16_is_what_remains() {
        assert_eq!(Encoding::agreed(&["utf-16", "utf-8"]), Encoding::Utf8);
        assert_eq!(Encoding::agreed(&["utf-16", "utf-32"]), Encoding::Utf16);
        assert_eq!(Encoding::agreed(&["utf-32"]), Encoding::Utf32);
        assert_eq!(Encoding::agreed(&[]), Encoding::Utf16);
    }

    #[test]
    fn what_a_change_does_not_touch_moves_with_the_text() {
        let moved = Moved::new("one\ntwo\nthree\n", "one\ntwo and a half\nthree\n");
        assert_eq!(moved.span(Span::new(0, 3)), Some(Span::new(0, 3)));
        assert_eq!(moved.span(Span::new(4, 7)), None, "the change touches it");
        assert_eq!(moved.span(Span::new(8, 13)), Some(Span::new(19, 24)));
        let same = Moved::new("one\n", "one\n");
        assert_eq!(same.span(Span::new(1, 4)), Some(Span::new(1, 4)));
        let shorter = Moved::new("aa\naa\naa\n", "aa\naa\n");
        assert_eq!(shorter.span(Span::new(0, 2)), Some(Span::new(0, 2)));
    }
}
