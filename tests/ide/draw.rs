//! Draws places beneath the lines that they are in.

use std::fmt::Write as _;

use fwc::database::{Database, ProjectInput};
use fwc::span::{FileId, Location, Span};

/// A place and what is said of it.
pub struct Mark {
    pub location: Location,
    pub label: String,
}

impl Mark {
    pub fn new(file: FileId, span: Span, label: impl Into<String>) -> Self {
        Self { location: Location { file, span }, label: label.into() }
    }
}

/// Every line of a text that a place begins in, with the places beneath it; with `all`, every other line, too.
pub fn draw(db: &Database, input: ProjectInput, marks: &[Mark], all: bool) -> String {
    let mut out = String::new();
    for (id, (source, _)) in (0u32..).zip(input.files(db)) {
        let source = source.source(db);
        let mut here: Vec<&Mark> = marks.iter().filter(|mark| mark.location.file.0 == id).collect();
        here.sort_by_key(|mark| (mark.location.span.start, mark.location.span.end));
        let own = !source.path.starts_with("std:");
        if here.is_empty() && !(all && own) {
            continue;
        }
        let _ = writeln!(out, "-- {} --", source.path);
        let mut start = 0;
        for line in source.text.split_inclusive('\n') {
            let end = start + line.len();
            let inside = |mark: &&&Mark| {
                let at = mark.location.span.start as usize;
                start <= at && (at < end || at == end && end == source.text.len())
            };
            let under: Vec<&&Mark> = here.iter().filter(inside).collect();
            if (all && own) || !under.is_empty() {
                let _ = writeln!(out, "{}", line.trim_end_matches('\n'));
            }
            for mark in under {
                let span = mark.location.span.range();
                let before = source.text.get(start..span.start).unwrap_or_default().chars().count();
                let text = source.text.get(span.clone()).unwrap_or_default();
                let width = text.lines().next().unwrap_or_default().chars().count();
                let arms = if width == 0 { "|".to_owned() } else { "^".repeat(width) };
                let lines = text.lines().count();
                let more = if lines > 1 { format!(" (and {} lines more)", lines - 1) } else { String::new() };
                let line = format!("{}{arms}{more} {}", " ".repeat(before), mark.label);
                let _ = writeln!(out, "{}", line.trim_end());
            }
            start = end;
        }
    }
    out
}
