//! A policy laid out as `fwc fmt` does, whole or in part. There is one style, so that what an editor says of indents is of no
//! consequence. The text that is open counts, whichever policy it belongs to; it may be half written.

use std::ops::Range;

use gen_lsp_types::{DocumentFormattingParams, DocumentRangeFormattingParams, TextDocumentIdentifier, TextEdit};

use super::dispatch::Refused;
use super::documents::Documents;
use super::snapshot::Snapshot;
use super::subject::Kind;
use super::text::Lines;
use crate::format;
use crate::span::Span;

type Edits = Result<Option<Vec<TextEdit>>, Refused>;

/// `textDocument/formatting`.
pub fn whole(snapshot: &Snapshot, asked: DocumentFormattingParams) -> Edits {
    Ok(laid_out(snapshot, &asked.text_document, |text, _| format::edits(text)))
}

/// `textDocument/rangeFormatting`: of the edits for the whole those that touch the range.
pub fn range(snapshot: &Snapshot, asked: DocumentRangeFormattingParams) -> Edits {
    let within = |lines: &Lines<'_>| -> Range<usize> { lines.span(asked.range).range() };
    Ok(laid_out(snapshot, &asked.text_document, |text, lines| format::edits_in(text, &within(lines))))
}

/// The edits of a text that is open; none for what is no policy.
fn laid_out(
    snapshot: &Snapshot,
    document: &TextDocumentIdentifier,
    edits: impl FnOnce(&str, &Lines<'_>) -> Vec<format::Edit>,
) -> Option<Vec<TextEdit>> {
    let key = Documents::key(&document.uri);
    let document = snapshot.documents.get(&key)?;
    if !matches!(Kind::of(&key, &document.language, &document.text), Kind::Policy | Kind::Test) {
        return None;
    }
    let lines = Lines::new(&document.text, snapshot.client.encoding);
    let edits = edits(&document.text, &lines).into_iter().map(|edit| TextEdit {
        range: lines.range(Span::new(edit.range.start, edit.range.end)),
        new_text: edit.replacement,
    });
    Some(edits.collect())
}
