//! Diagnostics as text. One file for each form; all of them are functions of values.

pub mod finding;
pub mod full;
pub mod github;
pub mod gitlab;
pub mod json;
pub mod junit;
pub mod rdjson;
mod repair;
pub mod sarif;
pub mod short;

use std::fmt::Write as _;

use crate::diagnostic::{Diagnostic, Level};
use crate::levels::Levels;
use crate::span::{FileId, Location, SourceText};

/// The diagnostics of one project, ready to be written: sorted by file and place, with their levels.
#[derive(Clone, Debug)]
pub struct Sheet<'a> {
    /// The project's texts.
    pub files: &'a [SourceText],
    /// The diagnostics.
    pub diagnostics: Vec<(Level, &'a Diagnostic)>,
}

impl<'a> Sheet<'a> {
    /// Sorts, and leaves out what is not told. Of equal diagnostics one is kept: two stages may see the same fault.
    #[must_use]
    pub fn new(files: &'a [SourceText], diagnostics: &'a [Diagnostic], levels: &Levels) -> Self {
        let mut sorted: Vec<_> = diagnostics.iter().filter_map(|one| Some((levels.of(one.code)?, one))).collect();
        sorted.sort_by_key(|(_, one)| (one.primary.location, one.code.number));
        sorted.dedup_by(|a, b| a.1 == b.1);
        Self { files, diagnostics: sorted }
    }

    /// How many of each level.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let of = |wanted| self.diagnostics.iter().filter(|(level, _)| *level == wanted).count();
        Tally { errors: of(Level::Error), warnings: of(Level::Warning) }
    }

    fn source(&self, file: FileId) -> Option<&'a SourceText> {
        self.files.get(file.0 as usize)
    }

    /// The bytes of a place, made to lie within the text and on the borders of characters.
    fn bytes(&self, location: Location) -> Option<(&'a SourceText, std::ops::Range<usize>)> {
        let source = self.source(location.file)?;
        let range = location.span.range();
        let last = source.text.len();
        let mut start = range.start.min(last);
        while !source.text.is_char_boundary(start) {
            start -= 1;
        }
        let mut end = range.end.clamp(start, last);
        while !source.text.is_char_boundary(end) {
            end += 1;
        }
        Some((source, start..end))
    }
}

/// How many diagnostics of each level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Errors.
    pub errors: usize,
    /// Warnings.
    pub warnings: usize,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.errors += other.errors;
        self.warnings += other.warnings;
    }
}

impl Tally {
    /// `2 errors, 1 warning`; nothing if there are none.
    #[must_use]
    pub fn line(self) -> String {
        let count = |number: usize, word: &str| match number {
            0 => None,
            1 => Some(format!("1 {word}")),
            _ => Some(format!("{number} {word}s")),
        };
        let parts: Vec<String> =
            [count(self.errors, "error"), count(self.warnings, "warning")].into_iter().flatten().collect();
        if parts.is_empty() { String::new() } else { format!("{}\n", parts.join(", ")) }
    }
}

/// Makes text of others harmless for a terminal: control characters, which move the cursor or change colours, and those that
/// turn the direction of writing around, are written as `\u{…}`.
#[must_use]
pub fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_dangerous(letter) && letter != '\n' {
            let _ = write!(out, "{}", letter.escape_unicode());
        } else {
            out.push(letter);
        }
    }
    out
}

fn is_dangerous(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}
