//! What a selection grows to, step by step.

use super::{outline, text};
use crate::database::{Db, ProjectInput};
use crate::span::{FileId, Span};
use crate::syntax::outline::{Outline, Role, Word};

/// The spans around a place, from the innermost outwards, each larger than the one before: a name without its quotes, a word, a list, a
/// clause, a statement, its block, what the block around holds, …, the file.
#[must_use]
pub fn selection(db: &dyn Db, input: ProjectInput, file: FileId, offset: u32) -> Vec<Span> {
    let source = text(db, input, file);
    let mut found = Vec::new();
    if let Some(outline) = outline(db, input, file) {
        if let Some(comment) = outline.comments.iter().find(|one| one.start <= offset && offset <= one.end) {
            found.push(*comment);
        }
        words(outline, source, offset, &mut found);
        let mut at = outline.entry_at(offset);
        while let Some(entry) = at.and_then(|at| outline.entries.get(at)) {
            found.push(entry.span);
            if let Some(block) = entry.block {
                found.push(inner(source, block));
                found.push(block);
                found.push(entry.span.to(block));
            }
            at = entry.parent;
        }
    }
    found.push(Span::new(0, source.len()));
    found.retain(|span| span.start <= offset && offset <= span.end);
    let mut steps: Vec<Span> = Vec::new();
    for span in found {
        if steps.last().is_none_or(|last| span.start <= last.start && last.end <= span.end && span != *last) {
            steps.push(span);
        }
    }
    steps
}

/// The word, the list and the clause.
fn words(outline: &Outline, source: &str, offset: u32, found: &mut Vec<Span>) {
    let Some(entry) = outline.entry_at(offset).and_then(|at| outline.entries.get(at)) else { return };
    if let Some(word) = outline.word_at(offset).or_else(|| outline.word_at(offset.checked_sub(1)?)) {
        let whole = |text: &str| text.len() > 1 && text.starts_with('"') && text.ends_with('"');
        let quoted = source.get(word.span.range()).is_some_and(whole);
        if quoted {
            found.push(Span { start: word.span.start + 1, end: word.span.end - 1 });
        }
        found.push(word.span);
    }
    for list in entry.lists.iter().filter(|list| list.start <= offset && offset <= list.end) {
        found.push(inner(source, *list));
        found.push(*list);
    }
    let words = outline.words_of(entry);
    let begins: Vec<usize> =
        (0..words.len()).filter(|&at| words.get(at).is_some_and(|word| clause(word, source))).collect();
    for (number, &at) in begins.iter().enumerate() {
        let next = begins.get(number + 1).copied().unwrap_or(words.len());
        let last = next.checked_sub(1).and_then(|last| words.get(last));
        if let (Some(first), Some(last)) = (words.get(at), last) {
            let list = entry.lists.iter().find(|list| list.start < last.span.start && last.span.end < list.end);
            found.push(first.span.to(*list.unwrap_or(&last.span)));
        }
    }
}

/// What stands between two braces, without the white space at its ends.
fn inner(source: &str, braces: Span) -> Span {
    let whole = source.get(braces.range()).unwrap_or_default();
    let body = whole.strip_prefix('{').unwrap_or(whole);
    let body = body.strip_suffix('}').unwrap_or(body);
    let start = braces.start as usize + 1 + (body.len() - body.trim_start().len());
    Span::new(start, (start + body.trim().len()).max(start))
}

/// Whether a clause or an option begins with this word.
fn clause(word: &Word, source: &str) -> bool {
    let text = source.get(word.span.range()).unwrap_or_default();
    word.role == Role::Keyword
        && matches!(
            text,
            "from"
                | "to"
                | "via"
                | "limit"
                | "log"
                | "during"
                | "source"
                | "comment"
                | "early"
                | "address"
                | "publish"
                | "except"
        )
}
