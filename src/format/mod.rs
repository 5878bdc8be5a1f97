//! How a policy is laid out: one style, no options. A text comes in, a text or edits go out; what it means stays the same.
//!
//! `words` cuts a statement into words, lists and comments; `layout` makes lines of a text, each of which knows the part of the source
//! that it came from; `align` puts them under one another. A statement that cannot be read is kept byte for byte. Where braces do not
//! match, nobody can know what belongs where: there, only the words within a line are spaced, and no line is moved.
//!
//! Nothing is taken on trust: a layout that reads differently from the source is not given out.

mod align;
mod layout;
mod words;

use std::ops::Range;

use crate::diagnostic::Code;
use crate::span::FileId;
use crate::syntax::cuts::{Part, cuts};
use crate::syntax::parse;

/// How wide a line may become before its lists are broken, in characters.
pub const WIDTH: usize = 100;
/// By how much what is inside of braces is indented.
const STEP: usize = 4;

/// A piece of a text and what takes its place. Edits of one text stand in order and do not touch each other's ranges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Bytes of the text.
    pub range: Range<usize>,
    /// What stands there instead.
    pub replacement: String,
}

/// The text as it should be laid out.
#[must_use]
pub fn format(text: &str) -> String {
    apply(text, &edits(text))
}

/// The edits that lay a text out, each as small as may be carried out alone: the lines that hold whole statements.
#[must_use]
pub fn edits(text: &str) -> Vec<Edit> {
    let alike = |edits: &Vec<Edit>| reads_alike(text, &apply(text, edits));
    let laid_out = layout::lines(text).filter(alike);
    laid_out.or_else(|| Some(layout::spaces(text)).filter(alike)).unwrap_or_default()
}

/// Those of [`edits`] that share a byte with a range of bytes, or that an empty range stands in. What surrounds them stays as it is:
/// a line that ends where the range begins is none of its lines.
#[must_use]
pub fn edits_in(text: &str, range: &Range<usize>) -> Vec<Edit> {
    let touches = |edit: &Edit| {
        let edit = &edit.range;
        if range.is_empty() {
            edit.start <= range.start && (range.start < edit.end || edit.is_empty() || edit.end == text.len())
        } else if edit.is_empty() {
            range.start <= edit.start && edit.start <= range.end
        } else {
            edit.start < range.end && range.start < edit.end
        }
    };
    edits(text).into_iter().filter(touches).collect()
}

/// A text with its edits carried out.
#[must_use]
pub fn apply(text: &str, edits: &[Edit]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for edit in edits {
        out.push_str(text.get(at..edit.range.start).unwrap_or_default());
        out.push_str(&edit.replacement);
        at = edit.range.end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

/// The statements that cannot be read and are therefore left as they are.
#[must_use]
pub fn unread(text: &str) -> Vec<Range<usize>> {
    let broken = |part| match part {
        Part::Statement { range, read: false, .. } => Some(range),
        _ => None,
    };
    cuts(text).filter_map(broken).collect()
}

/// Whether two texts have the same tree and the same faults.
fn reads_alike(one: &str, other: &str) -> bool {
    let read = |text: &str| parse(text, FileId(0));
    let (one, other) = (read(one), read(other));
    let codes = |parsed: &crate::syntax::Parsed| -> Vec<(&'static Code, String)> {
        parsed.diagnostics.iter().map(|found| (found.code, found.message.clone())).collect()
    };
    one.tree == other.tree && codes(&one) == codes(&other)
}
