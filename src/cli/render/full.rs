//! The form for people: the lines of source that take part, with every party marked (ariadne).

use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::Range;

use ariadne::{Cache, Color, Config, IndexType, Label, Report, ReportKind, Source};

use super::{Sheet, harmless, is_dangerous, repair, short};
use crate::diagnostic::{Diagnostic, Level};
use crate::span::SourceText;

/// Longer lines are not drawn; the short form stands in.
const LONGEST_LINE: usize = 500;
/// So many are written in full. Nobody reads more, and the rest is counted.
const MOST: usize = 200;

/// The diagnostics of a sheet. When there are too many, errors have precedence.
#[must_use]
pub fn render(sheet: &Sheet<'_>, color: bool) -> String {
    let mut shown = sheet.clone();
    if shown.diagnostics.len() > MOST {
        shown.diagnostics.sort_by_key(|(level, _)| std::cmp::Reverse(*level));
        shown.diagnostics.truncate(MOST);
        shown.diagnostics.sort_by_key(|(_, one)| (one.primary.location, one.code.number));
    }
    let mut texts = Texts { files: sheet.files, drawn: HashMap::new() };
    let mut out = String::new();
    for &(level, diagnostic) in &shown.diagnostics {
        match drawing(&shown, level, diagnostic, color, &mut texts) {
            Some(text) => out.push_str(&text),
            None => out.push_str(&short::one(&shown, level, diagnostic)),
        }
        out.push('\n');
    }
    let left_out = sheet.diagnostics.len() - shown.diagnostics.len();
    if left_out > 0 {
        let _ = writeln!(out, "{left_out} more are not shown; --format short lists them all\n");
    }
    out
}

type Place = (usize, Range<usize>);

/// `None` if it cannot be drawn: no text to point at, or a line that no terminal shows.
fn drawing(
    sheet: &Sheet<'_>,
    level: Level,
    diagnostic: &Diagnostic,
    color: bool,
    texts: &mut Texts<'_>,
) -> Option<String> {
    let kind = match level {
        Level::Error => ReportKind::Error,
        Level::Warning => ReportKind::Warning,
        Level::Note => ReportKind::Advice,
    };
    let primary = place(sheet, diagnostic.primary.location)?;
    // Without any label ariadne would draw nothing, not even where it is; an empty message leaves the mark alone.
    let mut label = Label::new(primary.clone()).with_color(tint(level)).with_priority(1);
    if !diagnostic.primary.message.is_empty() {
        label = label.with_message(harmless(&diagnostic.primary.message));
    }
    let config = Config::new().with_color(color).with_index_type(IndexType::Byte);
    let mut report = Report::build(kind, primary)
        .with_config(config)
        .with_code(diagnostic.code.number)
        .with_message(harmless(&diagnostic.message))
        .with_label(label);
    for other in &diagnostic.related {
        if let Some(place) = place(sheet, other.location) {
            report.add_label(Label::new(place).with_color(Color::Cyan).with_message(harmless(&other.message)));
        }
    }
    for help in &diagnostic.helps {
        let mut text = harmless(&help.message);
        let mut path = sheet.source(diagnostic.primary.location.file).map_or("", |source| &source.path);
        for line in repair::lines(sheet, help) {
            if line.path != path {
                let _ = write!(text, "\nin {}:", harmless(line.path));
                path = line.path;
            }
            let _ = write!(text, "\n{:>5} | {}", line.line, line.text);
        }
        report.add_help(text);
    }
    for note in &diagnostic.notes {
        report.add_note(harmless(note));
    }
    let mut out = Vec::new();
    report.finish().write(texts, &mut out).ok()?;
    let text = String::from_utf8_lossy(&out);
    Some(text.lines().fold(String::with_capacity(text.len()), |mut all, line| {
        all.push_str(line.trim_end());
        all.push('\n');
        all
    }))
}

fn tint(level: Level) -> Color {
    match level {
        Level::Error => Color::Red,
        Level::Warning => Color::Yellow,
        Level::Note => Color::Cyan,
    }
}

fn place(sheet: &Sheet<'_>, location: crate::span::Location) -> Option<Place> {
    let (source, range) = sheet.bytes(location)?;
    let before = source.text.get(..range.start)?;
    let from = before.len() - before.rfind('\n').map_or(0, |at| at + 1);
    let after = source.text.get(range.start..)?;
    let to = after.find('\n').unwrap_or(after.len());
    (from + to <= LONGEST_LINE).then_some((location.file.0 as usize, range))
}

/// The texts, with what would harm a terminal taken out, split into lines when first drawn.
struct Texts<'a> {
    files: &'a [SourceText],
    drawn: HashMap<usize, Source<String>>,
}

impl Cache<usize> for Texts<'_> {
    type Storage = String;

    fn fetch(&mut self, id: &usize) -> Result<&Source<String>, impl std::fmt::Debug> {
        let Some(file) = self.files.get(*id) else { return Err("a place in no file") };
        Ok(self.drawn.entry(*id).or_insert_with(|| Source::from(same_length(&file.text))))
    }

    fn display<'b>(&self, id: &'b usize) -> Option<impl std::fmt::Display + 'b> {
        self.files.get(*id).map(|file| harmless(&file.path))
    }
}

/// Puts something visible of the same number of bytes in the place of each dangerous character, so that offsets hold. A carriage
/// return before a line's end becomes a space: ariadne would take it for an end of its own.
fn same_length(text: &str) -> String {
    let letters = text.chars().map(|letter| match (letter, letter.len_utf8()) {
        ('\n' | '\t', _) => letter,
        ('\r', _) => ' ',
        (_, 1) if is_dangerous(letter) => '?',
        (_, 2) if is_dangerous(letter) => '¿',
        (_, 3) if is_dangerous(letter) => '\u{fffd}',
        _ => letter,
    });
    letters.collect()
}
