//! The form for people: the lines of source that take part, with every party marked (ariadne).

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::ops::Range;

use ariadne::{Cache, Color, Config, IndexType, Label, Report, ReportKind, Source};

use super::{Sheet, harmless, is_dangerous, repair, short};
use crate::diagnostic::{Diagnostic, Level};
use crate::span::LineIndex;

/// Longer lines are not drawn; the short form stands in.
const LONGEST_LINE: usize = 500;
/// So many are written in full. Nobody reads more, and the rest is counted.
const MOST: usize = 200;
/// A party that stands farther away than so many bytes is named, not drawn.
const EXCERPT: usize = 64 << 10;

/// The diagnostics of a sheet. When there are too many, errors have precedence.
#[must_use]
pub fn render(sheet: &Sheet<'_>, color: bool) -> String {
    let mut shown = sheet.clone();
    if shown.diagnostics.len() > MOST {
        shown.diagnostics.sort_by_key(|(level, _)| std::cmp::Reverse(*level));
        shown.diagnostics.truncate(MOST);
        shown.diagnostics.sort_by_key(|(_, one)| (one.primary.location, one.code.number));
    }
    let lines: Vec<OnceCell<LineIndex>> = sheet.files.iter().map(|_| OnceCell::new()).collect();
    let mut out = String::new();
    for &(level, diagnostic) in &shown.diagnostics {
        match drawing(&shown, level, diagnostic, color, &lines) {
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

/// `None` if it cannot be drawn: no text to point at, or a line that no terminal shows.
fn drawing(
    sheet: &Sheet<'_>,
    level: Level,
    diagnostic: &Diagnostic,
    color: bool,
    lines: &[OnceCell<LineIndex>],
) -> Option<String> {
    let kind = match level {
        Level::Error => ReportKind::Error,
        Level::Warning => ReportKind::Warning,
        Level::Note => ReportKind::Advice,
    };
    let primary = mark(sheet, &diagnostic.primary)?;
    let mut excerpts = Excerpts { sheet, lines, of: BTreeMap::new() };
    excerpts.include(&primary);
    let mut others = Vec::new();
    let mut elsewhere = Vec::new();
    for label in &diagnostic.related {
        match mark(sheet, label).filter(|mark| excerpts.include(mark)) {
            Some(mark) => others.push(mark),
            None => elsewhere.extend(short::location(sheet.files, label.location).map(|place| (place, &label.message))),
        }
    }
    let mut texts = excerpts.cut();
    let config = Config::new().with_color(color).with_index_type(IndexType::Byte);
    let mut report = Report::build(kind, texts.place(&primary))
        .with_config(config)
        .with_code(diagnostic.code.number)
        .with_message(harmless(&diagnostic.message));
    for (order, mark) in (0i32..).zip(in_order(&primary, &others)) {
        let label = texts.label(mark).with_order(order);
        let is_primary = std::ptr::eq(mark, &raw const primary);
        report.add_label(if is_primary {
            label.with_color(tint(level)).with_priority(1)
        } else {
            label.with_color(Color::Cyan)
        });
    }
    for help in &diagnostic.helps {
        let mut text = harmless(&help.message);
        let mut path = sheet.source(diagnostic.primary.location.file).map_or("", |source| &source.path);
        for line in repair::lines(sheet, help, lines) {
            if line.path != path {
                let _ = write!(text, "\nin {}:", harmless(line.path));
                path = line.path;
            }
            let sign = if line.gone { '-' } else { '|' };
            let _ = write!(text, "\n{} {sign} {}", line.line, line.text);
        }
        report.add_help(text);
    }
    for (place, message) in elsewhere {
        report.add_note(format!("{place}: {}", harmless(message)));
    }
    for note in &diagnostic.notes {
        report.add_note(harmless(note));
    }
    let mut out = Vec::new();
    report.finish().write(&mut texts, &mut out).ok()?;
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

/// A place to mark: file, bytes, and what is said there.
struct Mark<'a> {
    file: usize,
    range: Range<usize>,
    message: &'a str,
}

/// `None` if its line is too long to be drawn.
fn mark<'a>(sheet: &Sheet<'_>, label: &'a crate::diagnostic::Label) -> Option<Mark<'a>> {
    let (source, range) = sheet.bytes(label.location)?;
    let (from, _) = line_at(&source.text, range.start);
    let (_, to) = line_at(&source.text, range.end);
    let lines = source.text.get(from..to)?;
    let drawable = lines.split('\n').all(|line| line.len() <= LONGEST_LINE);
    // ariadne draws no mark at all for a label without words.
    let message = if label.message.is_empty() { "here" } else { &label.message };
    drawable.then_some(Mark { file: label.location.file.0 as usize, range, message })
}

/// The marks as they are drawn: those of the primary file first, of each file from its top to its end. ariadne draws marks of one
/// file together only if they come in this order.
fn in_order<'m, 'a>(primary: &'m Mark<'a>, others: &'m [Mark<'a>]) -> Vec<&'m Mark<'a>> {
    let mut files = vec![primary.file];
    for other in others {
        if !files.contains(&other.file) {
            files.push(other.file);
        }
    }
    let mut marks: Vec<&Mark> = std::iter::once(primary).chain(others).collect();
    marks.sort_by_key(|mark| (files.iter().position(|file| *file == mark.file), mark.range.end));
    marks
}

/// Where the line begins and ends that holds `offset`.
fn line_at(text: &str, offset: usize) -> (usize, usize) {
    let start = text.get(..offset).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
    let end = text.get(offset..).and_then(|after| after.find('\n')).map_or(text.len(), |at| offset + at);
    (start, end)
}

/// The part of each file that has marks. ariadne goes through all lines of what it is given for every diagnostic, which for
/// large files takes longer than the compiler does.
struct Excerpts<'a> {
    sheet: &'a Sheet<'a>,
    lines: &'a [OnceCell<LineIndex>],
    of: BTreeMap<usize, Range<usize>>,
}

impl Excerpts<'_> {
    /// Widens the excerpt of a mark's file. Refuses what would make it too large.
    fn include(&mut self, mark: &Mark<'_>) -> bool {
        let Some(source) = self.sheet.files.get(mark.file) else { return false };
        let (start, _) = line_at(&source.text, mark.range.start);
        let (_, end) = line_at(&source.text, mark.range.end);
        let known = self.of.get(&mark.file).cloned().unwrap_or(start..end);
        let wider = known.start.min(start)..known.end.max(end);
        let fits = wider.len() <= EXCERPT;
        if fits {
            self.of.insert(mark.file, wider);
        }
        fits
    }

    fn cut(self) -> Texts {
        let mut texts = Texts { of: HashMap::new() };
        for (file, range) in self.of {
            let (Some(source), Some(lines)) = (self.sheet.files.get(file), self.lines.get(file)) else { continue };
            let lines = lines.get_or_init(|| LineIndex::new(&source.text));
            let (line, _) = lines.line_column(u32::try_from(range.start).unwrap_or(u32::MAX));
            // Empty lines stand for those before the excerpt: ariadne's own offset of line numbers does not reach its margin.
            let before = line.saturating_sub(1) as usize;
            let text = "\n".repeat(before) + &same_length(source.text.get(range.clone()).unwrap_or_default());
            let place = Excerpt { path: harmless(&source.path), start: range.start, before, text: Source::from(text) };
            texts.of.insert(file, place);
        }
        texts
    }
}

/// The part of a file that is drawn, with what would harm a terminal taken out.
struct Excerpt {
    path: String,
    /// Where it begins in the file.
    start: usize,
    /// How many bytes stand in it for the lines before.
    before: usize,
    text: Source<String>,
}

/// What ariadne draws from, by file.
struct Texts {
    of: HashMap<usize, Excerpt>,
}

impl Texts {
    fn place(&self, mark: &Mark<'_>) -> (usize, Range<usize>) {
        let (start, before) = self.of.get(&mark.file).map_or((0, 0), |excerpt| (excerpt.start, excerpt.before));
        let moved = |offset: usize| offset.saturating_sub(start) + before;
        (mark.file, moved(mark.range.start)..moved(mark.range.end))
    }

    fn label(&self, mark: &Mark<'_>) -> Label<(usize, Range<usize>)> {
        Label::new(self.place(mark)).with_message(harmless(mark.message))
    }
}

impl Cache<usize> for Texts {
    type Storage = String;

    fn fetch(&mut self, id: &usize) -> Result<&Source<String>, impl std::fmt::Debug> {
        self.of.get(id).map(|excerpt| &excerpt.text).ok_or("a place in no file")
    }

    fn display<'b>(&self, id: &'b usize) -> Option<impl std::fmt::Display + 'b> {
        self.of.get(id).map(|excerpt| excerpt.path.clone())
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
