//! What a help's edits make of the lines that they touch.

use std::cell::OnceCell;

use crate::diagnostic::Help;
use crate::span::LineIndex;

use super::{Sheet, harmless};

/// Longer lines are not shown.
const LONGEST: usize = 500;

/// A line as it would be after the edits, or one that would be gone: the file's path, its number, its text.
pub(super) struct Repaired<'a> {
    pub path: &'a str,
    pub line: u32,
    pub gone: bool,
    pub text: String,
}

/// The lines that the edits touch, as they would be; an edit beyond the texts is left out.
pub(super) fn lines<'a>(sheet: &Sheet<'a>, help: &Help, indexes: &[OnceCell<LineIndex>]) -> Vec<Repaired<'a>> {
    let mut edits: Vec<_> = help
        .edits
        .iter()
        .filter_map(|edit| {
            let (source, range) = sheet.bytes(edit.location)?;
            let start = source.text.get(..range.start)?.rfind('\n').map_or(0, |at| at + 1);
            // What takes away a line to its very end leaves the next one as it is.
            let to_its_end = edit.replacement.is_empty() && source.text.get(range.clone())?.ends_with('\n');
            let end = source.text.get(range.end..)?.find('\n').map_or(source.text.len(), |at| range.end + at);
            let end = if to_its_end && start == range.start { range.end } else { end };
            Some((edit.location.file, start..end, range, &edit.replacement))
        })
        .collect();
    edits.sort_by_key(|(file, _, range, _)| (*file, range.start));
    let mut out = Vec::new();
    let mut rest = edits.as_slice();
    while let Some((file, whole, ..)) = rest.first() {
        // Edits whose lines touch or overlap are shown as one.
        let mut end = whole.end;
        let together = rest.iter().take_while(|(other, next, ..)| {
            let joined = other == file && next.start <= end;
            end = if joined { end.max(next.end) } else { end };
            joined
        });
        let count = together.count();
        let (now, later) = rest.split_at(count);
        rest = later;
        let Some(source) = sheet.source(*file) else { continue };
        let mut text = String::new();
        let mut at = whole.start;
        for (_, _, range, replacement) in now {
            text.push_str(source.text.get(at..range.start).unwrap_or_default());
            text.push_str(replacement);
            at = at.max(range.end);
        }
        text.push_str(source.text.get(at..end).unwrap_or_default());
        if text.len().max(end.saturating_sub(whole.start)) > LONGEST {
            continue;
        }
        let Some(index) = indexes.get(file.0 as usize) else { continue };
        let index = index.get_or_init(|| LineIndex::new(&source.text));
        let first = index.line_column(u32::try_from(whole.start).unwrap_or(u32::MAX)).0;
        let gone = text.is_empty();
        let text = if gone { source.text.get(whole.start..end).unwrap_or_default() } else { &text };
        let numbered = (first..).zip(text.lines());
        out.extend(numbered.map(|(line, text)| Repaired { path: &source.path, line, gone, text: harmless(text) }));
    }
    out
}
