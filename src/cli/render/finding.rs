//! Diagnostics as reports for other programs need them: with lines and columns, under the paths that a repository knows.

use std::cell::OnceCell;
use std::sync::Arc;

use super::Sheet;
use crate::diagnostic::{Code, Level};
use crate::span::{LineIndex, Location};

/// One diagnostic of a report.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What kind.
    pub code: &'static Code,
    /// Its level, after all.
    pub level: Level,
    /// What is wrong.
    pub message: String,
    /// What is at the place itself; may be empty.
    pub label: String,
    /// Where.
    pub region: Region,
    /// The other parties, each with its part in it.
    pub related: Vec<(Region, String)>,
    /// What to do.
    pub helps: Vec<Advice>,
    /// Facts that bear on it.
    pub notes: Vec<String>,
    /// Stays when lines move.
    pub fingerprint: String,
}

/// Advice, with what carries it out.
#[derive(Clone, Debug)]
pub struct Advice {
    /// What to do.
    pub message: String,
    /// Replacements, which belong together.
    pub edits: Vec<(Region, String)>,
}

/// A part of a file.
#[derive(Clone, Debug)]
pub struct Region {
    /// The file, relative to the repository.
    pub path: Arc<str>,
    /// Its first place.
    pub start: Position,
    /// The place behind its last.
    pub end: Position,
    /// Bytes before it.
    pub offset: usize,
    /// Bytes in it.
    pub length: usize,
}

/// A place in a file, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The column, in bytes of UTF-8.
    pub byte: u32,
    /// The column, in characters.
    pub letter: u32,
}

impl Finding {
    /// Message, other parties, advice and remarks, each on a line of its own.
    #[must_use]
    pub fn whole(&self) -> String {
        let mut lines = vec![self.message.clone()];
        if !self.label.is_empty() {
            lines.push(format!("here: {}", self.label));
        }
        lines.extend(
            self.related.iter().map(|(region, label)| format!("{}:{}: {label}", region.path, region.start.line)),
        );
        lines.extend(self.helps.iter().map(|help| format!("help: {}", help.message)));
        lines.extend(self.notes.iter().map(|note| format!("note: {note}")));
        lines.join("\n")
    }
}

/// The findings of a sheet; `names` are its files' paths in the repository, `fingerprints` those of its diagnostics.
#[must_use]
pub fn findings(sheet: &Sheet<'_>, names: &[Arc<str>], fingerprints: Vec<String>) -> Vec<Finding> {
    let regions = Regions { sheet, names, lines: sheet.files.iter().map(|_| OnceCell::new()).collect() };
    let all = sheet.diagnostics.iter().zip(fingerprints);
    all.map(|(&(level, one), fingerprint)| Finding {
        code: one.code,
        level,
        message: one.message.clone(),
        label: one.primary.message.clone(),
        region: regions.of(one.primary.location),
        related: one.related.iter().map(|label| (regions.of(label.location), label.message.clone())).collect(),
        helps: one
            .helps
            .iter()
            .map(|help| Advice {
                message: help.message.clone(),
                edits: help.edits.iter().map(|edit| (regions.of(edit.location), edit.replacement.clone())).collect(),
            })
            .collect(),
        notes: one.notes.clone(),
        fingerprint,
    })
    .collect()
}

struct Regions<'a> {
    sheet: &'a Sheet<'a>,
    names: &'a [Arc<str>],
    lines: Vec<OnceCell<LineIndex>>,
}

impl Regions<'_> {
    fn of(&self, location: Location) -> Region {
        let file = location.file.0 as usize;
        let path = self.names.get(file).cloned().unwrap_or_else(|| Arc::from(""));
        let first = Position { line: 1, byte: 1, letter: 1 };
        let (Some((source, range)), Some(lines)) = (self.sheet.bytes(location), self.lines.get(file)) else {
            return Region { path, start: first, end: first, offset: 0, length: 0 };
        };
        let lines = lines.get_or_init(|| LineIndex::new(&source.text));
        let at = |offset: usize| {
            let (line, byte) = lines.line_column(u32::try_from(offset).unwrap_or(u32::MAX));
            let before = source.text.get(offset.saturating_sub(byte as usize - 1)..offset).unwrap_or_default();
            let letters = u32::try_from(before.chars().count()).unwrap_or(u32::MAX);
            Position { line, byte, letter: letters.saturating_add(1) }
        };
        Region { path, start: at(range.start), end: at(range.end), offset: range.start, length: range.len() }
    }
}
