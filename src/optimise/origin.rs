//! Which source lines a rule came from, as a remark that a person can read.

use std::cell::OnceCell;

use crate::span::{LineIndex, Location, SourceText};

/// Line numbers of source texts; each text is scanned when it is first asked for.
pub struct Lines<'a> {
    sources: &'a [SourceText],
    indexes: Vec<OnceCell<LineIndex>>,
}

impl<'a> Lines<'a> {
    /// For these texts, by file number.
    #[must_use]
    pub fn new(sources: &'a [SourceText]) -> Self {
        Self { sources, indexes: sources.iter().map(|_| OnceCell::new()).collect() }
    }

    /// Path and line of a place; `None` if its file is not among the texts.
    #[must_use]
    pub fn place(&self, location: Location) -> Option<(&'a str, u32)> {
        let at = usize::try_from(location.file.0).ok()?;
        let source = self.sources.get(at)?;
        let index = self.indexes.get(at)?.get_or_init(|| LineIndex::new(&source.text));
        Some((&source.path, index.line_column(location.span.start).0))
    }

    /// `site.fw:3-5,9 other.fw:1`, for rules that were made into one. The first place stands first.
    #[must_use]
    pub fn describe(&self, locations: &[Location]) -> String {
        let mut order = locations.to_vec();
        order.sort_unstable();
        let mut places: Vec<(&str, u32)> = order.into_iter().filter_map(|location| self.place(location)).collect();
        places.dedup();
        let mut out = String::new();
        let mut rest = places.as_slice();
        let mut path = "";
        while let [(file, first), after @ ..] = rest {
            let mut last = *first;
            rest = after;
            while let [(next, line), after @ ..] = rest
                && next == file
                && *line == last + 1
            {
                last = *line;
                rest = after;
            }
            if *file == path {
                out.push(',');
            } else {
                if !path.is_empty() {
                    out.push(' ');
                }
                out.push_str(file);
                out.push(':');
                path = file;
            }
            out.push_str(&first.to_string());
            if last > *first {
                out.push('-');
                out.push_str(&last.to_string());
            }
            // A comment holds 255 bytes; what lies beyond would only be cut.
            if out.len() > 300 {
                break;
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::{FileId, Span};

    #[test]
    fn places_stand_in_the_order_in_which_files_were_read() {
        let text = |path: &str| SourceText { path: path.into(), text: "a\nb\nc\n".into() };
        let sources = [text("site.fw"), text("parts/base.fw")];
        let at = |file, start| Location { file: FileId(file), span: Span::new(start, start + 1) };
        let said = Lines::new(&sources).describe(&[at(1, 0), at(0, 4), at(0, 2), at(0, 4)]);
        assert_eq!(said, "site.fw:2-3 parts/base.fw:1");
    }
}
