//! What can be folded away: blocks, lists, comments of several lines, and the lines at the top that bring in other files.

use super::{outline, text};
use crate::database::{Db, ProjectInput};
use crate::span::{FileId, Span};
use crate::syntax::outline::Outline;

/// What is folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoldKind {
    /// A block or a list.
    Region,
    /// Comments on lines of their own.
    Comment,
    /// `use`, `include` and `compose`.
    Imports,
}

/// A part of the text of more than one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fold {
    /// From its first character to its last. Of a block, the braces with it.
    pub span: Span,
    /// What it is.
    pub kind: FoldKind,
}

/// Everything that can be folded, in the order of beginnings.
#[must_use]
pub fn folds(db: &dyn Db, input: ProjectInput, file: FileId) -> Vec<Fold> {
    let Some(outline) = outline(db, input, file) else { return Vec::new() };
    let source = text(db, input, file);
    let mut found = Vec::new();
    for entry in &outline.entries {
        let regions = entry.lists.iter().chain(&entry.block);
        found.extend(regions.map(|&span| Fold { span, kind: FoldKind::Region }));
    }
    found.extend(runs(source, &own_lines(source, outline)).map(|span| Fold { span, kind: FoldKind::Comment }));
    found.extend(runs(source, &imports(source, outline)).map(|span| Fold { span, kind: FoldKind::Imports }));
    found.retain(|fold| source.get(fold.span.range()).is_some_and(|text| text.contains('\n')));
    found.sort_by_key(|fold| (fold.span.start, fold.span.end));
    found
}

/// The comments that have a line for themselves.
fn own_lines(source: &str, outline: &Outline) -> Vec<Span> {
    let alone = |span: &&Span| {
        let before = source.get(..span.start as usize).unwrap_or_default();
        before.rsplit('\n').next().is_some_and(|line| line.trim().is_empty())
    };
    outline.comments.iter().filter(alone).copied().collect()
}

fn imports(source: &str, outline: &Outline) -> Vec<Span> {
    let head = |span: Span| source.get(span.range()).and_then(|text| text.split_whitespace().next());
    let statements = outline.entries.iter().filter(|entry| entry.parent.is_none());
    let bring = statements.filter(|entry| matches!(head(entry.span), Some("use" | "include" | "compose")));
    bring.map(|entry| entry.span).collect()
}

/// Spans that stand on lines that follow one another, made into one.
fn runs(source: &str, spans: &[Span]) -> impl Iterator<Item = Span> {
    let mut found: Vec<Span> = Vec::new();
    for span in spans {
        let joins = found.last().is_some_and(|last| {
            let between = source.get(last.end as usize..span.start as usize).unwrap_or("x");
            // A remark behind a statement does not part it from the next.
            let mut lines = between.split('\n');
            let first = lines.next().unwrap_or_default().trim_start();
            (first.is_empty() || first.starts_with('#'))
                && lines.next().is_some_and(|line| line.trim().is_empty())
                && lines.next().is_none()
        });
        match found.last_mut().filter(|_| joins) {
            Some(last) => last.end = span.end,
            None => found.push(*span),
        }
    }
    found.into_iter()
}
