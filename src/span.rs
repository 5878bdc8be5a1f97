//! Places in source text. A [`Span`] is kept apart from the value it locates, so that moving a line down changes no value.

use std::fmt;
use std::sync::Arc;

/// A half-open range of byte offsets in one file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The range from `start` up to, not including, `end`.
    #[must_use]
    pub fn new(start: usize, end: usize) -> Self {
        Self { start: clamp(start), end: clamp(end) }
    }

    /// The smallest span that holds both.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    /// As a range of `usize`, for slicing and for renderers.
    #[must_use]
    pub fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

fn clamp(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}

/// Which of a project's texts: an index into the project's file table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub u32);

/// A span and the file it is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Location {
    /// The file.
    pub file: FileId,
    /// The bytes.
    pub span: Span,
}

/// One text of a project: its path as the user knows it, and its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceText {
    /// Path relative to where the command runs, with `/`; standard library files begin with `std:`.
    pub path: Arc<str>,
    /// The content.
    pub text: Arc<str>,
}

impl SourceText {
    /// The lines of a place, with the end of the last, if nothing else stands on them.
    #[must_use]
    pub fn whole_lines(&self, place: Span) -> Option<Span> {
        let range = place.range();
        let start = self.text.get(..range.start)?.rfind('\n').map_or(0, |at| at + 1);
        let end = self.text.get(range.end..)?.find('\n').map_or(self.text.len(), |at| range.end + at + 1);
        let around = [self.text.get(start..range.start)?, self.text.get(range.end..end)?];
        around.iter().all(|text| text.trim().is_empty()).then(|| Span::new(start, end))
    }
}

/// A value and where it stands. Equality looks at the value alone.
#[derive(Clone, Debug)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stands in its file.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// Pairs a value with its place.
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}
impl<T: Eq> Eq for Spanned<T> {}

impl<T: fmt::Display> fmt::Display for Spanned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// Byte offsets of line starts, for turning offsets into line numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineIndex(Vec<u32>);

impl LineIndex {
    /// Scans `text` once.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut starts = vec![0];
        starts.extend(text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n').map(|(at, _)| clamp(at + 1)));
        Self(starts)
    }

    /// Line and column (bytes) of an offset, both counted from 1.
    #[must_use]
    pub fn line_column(&self, offset: u32) -> (u32, u32) {
        let line = self.0.partition_point(|&start| start <= offset).max(1);
        let start = self.0.get(line - 1).copied().unwrap_or(0);
        (clamp(line), offset - start + 1)
    }
}
