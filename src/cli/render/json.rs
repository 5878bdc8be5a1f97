//! The form for programs: one JSON object a line for each diagnostic. `docs/diagnostics-json.md` describes it.

use std::cell::OnceCell;

use serde::Serialize;

use super::Sheet;
use crate::codes::level_name;
use crate::diagnostic::{Diagnostic, Level};
use crate::span::{LineIndex, Location};

#[derive(Serialize)]
struct Object<'a> {
    code: &'a str,
    name: &'a str,
    level: &'a str,
    message: &'a str,
    primary: Labelled<'a>,
    related: Vec<Labelled<'a>>,
    helps: Vec<Help<'a>>,
    notes: &'a [String],
}

#[derive(Serialize)]
struct Labelled<'a> {
    #[serde(flatten)]
    place: Place<'a>,
    label: &'a str,
}

#[derive(Serialize)]
struct Help<'a> {
    message: &'a str,
    edits: Vec<Edit<'a>>,
}

#[derive(Serialize)]
struct Edit<'a> {
    #[serde(flatten)]
    place: Place<'a>,
    replacement: &'a str,
}

#[derive(Serialize, Default)]
struct Place<'a> {
    file: &'a str,
    line: u32,
    column: u32,
    end_line: u32,
    end_column: u32,
    start: usize,
    end: usize,
}

/// The diagnostics of a sheet.
#[must_use]
pub fn render(sheet: &Sheet<'_>) -> String {
    let places = Places { sheet, lines: sheet.files.iter().map(|_| OnceCell::new()).collect() };
    let mut out = String::new();
    for &(level, diagnostic) in &sheet.diagnostics {
        // Texts and numbers always have a JSON form.
        out.push_str(&serde_json::to_string(&object(&places, level, diagnostic)).unwrap_or_default());
        out.push('\n');
    }
    out
}

fn object<'a>(places: &Places<'a>, level: Level, diagnostic: &'a Diagnostic) -> Object<'a> {
    let labelled =
        |label: &'a crate::diagnostic::Label| Labelled { place: places.of(label.location), label: &label.message };
    let edit =
        |edit: &'a crate::diagnostic::Edit| Edit { place: places.of(edit.location), replacement: &edit.replacement };
    Object {
        code: diagnostic.code.number,
        name: diagnostic.code.name,
        level: level_name(level),
        message: &diagnostic.message,
        primary: labelled(&diagnostic.primary),
        related: diagnostic.related.iter().map(labelled).collect(),
        helps: diagnostic
            .helps
            .iter()
            .map(|help| Help { message: &help.message, edits: help.edits.iter().map(edit).collect() })
            .collect(),
        notes: &diagnostic.notes,
    }
}

struct Places<'a> {
    sheet: &'a Sheet<'a>,
    lines: Vec<OnceCell<LineIndex>>,
}

impl<'a> Places<'a> {
    fn of(&self, location: Location) -> Place<'a> {
        let (Some((source, range)), Some(lines)) =
            (self.sheet.bytes(location), self.lines.get(location.file.0 as usize))
        else {
            return Place::default();
        };
        let lines = lines.get_or_init(|| LineIndex::new(&source.text));
        let at = |offset: usize| lines.line_column(u32::try_from(offset).unwrap_or(u32::MAX));
        let ((line, column), (end_line, end_column)) = (at(range.start), at(range.end));
        Place { file: &source.path, line, column, end_line, end_column, start: range.start, end: range.end }
    }
}
