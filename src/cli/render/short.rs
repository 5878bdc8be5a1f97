//! The form for logs and editors: one line for each diagnostic, `FILE:LINE:COLUMN: LEVEL[CODE]: MESSAGE` (codespan-reporting).

use std::ops::Range;

use codespan_reporting::diagnostic::{Diagnostic as Short, Label, Severity};
use codespan_reporting::files::{Error, Files};
use codespan_reporting::term::{Config, DisplayStyle, emit_to_string};

use super::{Sheet, harmless};
use crate::diagnostic::{Diagnostic, Level};
use crate::span::{FileId, Location, SourceText, Span};

/// The diagnostics of a sheet.
#[must_use]
pub fn render(sheet: &Sheet<'_>) -> String {
    let lines = Lines::new(sheet.files);
    sheet.diagnostics.iter().map(|&(level, diagnostic)| line(&lines, sheet, level, diagnostic)).collect()
}

/// One of them.
pub(super) fn one(sheet: &Sheet<'_>, level: Level, diagnostic: &Diagnostic) -> String {
    line(&Lines::new(sheet.files), sheet, level, diagnostic)
}

fn line(lines: &Lines<'_>, sheet: &Sheet<'_>, level: Level, diagnostic: &Diagnostic) -> String {
    let severity = match level {
        Level::Error => Severity::Error,
        Level::Warning => Severity::Warning,
        Level::Note => Severity::Note,
    };
    let message = harmless(&diagnostic.message).replace('\n', " ");
    let mut short = Short::new(severity).with_code(diagnostic.code.number).with_message(message);
    if let Some((_, range)) = sheet.bytes(diagnostic.primary.location) {
        short = short.with_label(Label::primary(diagnostic.primary.location.file, range));
    }
    let config = Config { display_style: DisplayStyle::Short, ..Config::default() };
    let mut out = String::new();
    // Every place lies within its text by now; should one not, the message still counts.
    if emit_to_string(&mut out, &config, lines, &short).is_err() {
        out = format!("{}[{}]: {}\n", crate::codes::level_name(level), diagnostic.code.number, diagnostic.message);
    }
    out
}

/// Line starts of each text, found when first asked for.
struct Lines<'a> {
    files: &'a [SourceText],
    starts: Vec<std::cell::OnceCell<Vec<usize>>>,
}

impl<'a> Lines<'a> {
    fn new(files: &'a [SourceText]) -> Self {
        Self { files, starts: files.iter().map(|_| std::cell::OnceCell::new()).collect() }
    }

    fn text(&self, id: FileId) -> Result<&'a str, Error> {
        self.files.get(id.0 as usize).map(|file| &*file.text).ok_or(Error::FileMissing)
    }

    fn starts(&self, id: FileId) -> Result<&[usize], Error> {
        let text = self.text(id)?;
        let cell = self.starts.get(id.0 as usize).ok_or(Error::FileMissing)?;
        Ok(cell.get_or_init(|| codespan_reporting::files::line_starts(text).collect()))
    }
}

impl<'f> Files<'f> for Lines<'_> {
    type FileId = FileId;
    type Name = String;
    type Source = &'f str;

    fn name(&'f self, id: FileId) -> Result<String, Error> {
        self.files.get(id.0 as usize).map(|file| harmless(&file.path)).ok_or(Error::FileMissing)
    }

    fn source(&'f self, id: FileId) -> Result<&'f str, Error> {
        self.text(id)
    }

    fn line_index(&'f self, id: FileId, byte: usize) -> Result<usize, Error> {
        Ok(self.starts(id)?.partition_point(|&start| start <= byte).saturating_sub(1))
    }

    fn line_range(&'f self, id: FileId, line: usize) -> Result<Range<usize>, Error> {
        let starts = self.starts(id)?;
        let start = *starts.get(line).ok_or(Error::LineTooLarge { given: line, max: starts.len() })?;
        Ok(start..starts.get(line + 1).copied().unwrap_or(self.text(id)?.len()))
    }
}

/// Where a place begins, as `FILE:LINE:COLUMN`, for texts that mention it.
#[must_use]
pub fn location(files: &[SourceText], location: Location) -> Option<String> {
    let lines = Lines::new(files);
    let Span { start, .. } = location.span;
    let place = Files::location(&lines, location.file, start as usize).ok()?;
    Some(format!("{}:{}:{}", lines.name(location.file).ok()?, place.line_number, place.column_number))
}
