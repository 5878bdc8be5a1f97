//! Code actions: what the editor offers at a place.

use std::collections::BTreeMap;

use gen_lsp_types::{
    Code, CodeAction, CodeActionKind, CodeActionParams, CodeActionResponse, Diagnostic as Published, DocumentChange,
    Edit, Location as Place, OptionalVersionedTextDocumentIdentifier, TextDocumentEdit, TextDocumentIdentifier,
    TextEdit, Uri, WorkspaceEdit,
};

use super::diagnostics::Texts;
use super::documents::Documents;
use super::snapshot::Snapshot;
use crate::diagnostic::{self, Diagnostic};
use crate::span::{Location, Span};

/// What can be done at a place.
pub fn actions(
    snapshot: &Snapshot,
    asked: CodeActionParams,
) -> Result<Option<Vec<CodeActionResponse>>, super::dispatch::Refused> {
    let wanted = |kind: &CodeActionKind| {
        let (only, kind) = (asked.context.only.as_ref(), String::from(kind.clone()));
        let within = |one: String| kind == one || kind.starts_with(&format!("{one}."));
        only.is_none_or(|only| only.iter().any(|one| within(String::from(one.clone()))))
    };
    if !snapshot.client.action_literals || !wanted(&CodeActionKind::QuickFix) {
        return Ok(Some(Vec::new()));
    }
    let key = Documents::key(&asked.text_document.uri);
    let mut out: Vec<CodeAction> = Vec::new();
    for (view, file) in snapshot.views_of(&key) {
        let texts = Texts::new(&view.table, &snapshot.documents, &snapshot.client);
        let Some(place) = texts.lines(file).map(|lines| lines.span(asked.range)) else { continue };
        let here = |location: Location| location.file == file && touch(location.span, place);
        for one in view.said.iter().filter(|one| here(one.primary.location)) {
            for action in fixes(&texts, snapshot, one, &asked.context.diagnostics) {
                if !out.iter().any(|known| known.title == action.title && known.edit == action.edit) {
                    out.push(action);
                }
            }
        }
    }
    Ok(Some(out.into_iter().map(Into::into).collect()))
}

/// Whether two places share a byte, or one stands at the edge of the other.
fn touch(one: Span, other: Span) -> bool {
    one.start <= other.end && other.start <= one.end
}

/// The helps of a diagnostic that can be carried out. The first is what an editor does when it is asked to repair.
fn fixes(texts: &Texts<'_>, snapshot: &Snapshot, diagnostic: &Diagnostic, shown: &[Published]) -> Vec<CodeAction> {
    let range = texts.place(diagnostic.primary.location).map(|place| place.range);
    let number = Code::String(diagnostic.code.number.to_owned());
    let told: Vec<Published> =
        shown.iter().filter(|one| Some(one.range) == range && one.code.as_ref() == Some(&number)).cloned().collect();
    let helps = diagnostic.helps.iter().filter(|help| !help.edits.is_empty());
    let alone = helps.clone().count() == 1;
    helps
        .filter_map(|help| {
            Some(CodeAction {
                title: capitalised(&help.message),
                kind: Some(CodeActionKind::QuickFix),
                diagnostics: (!told.is_empty()).then(|| told.clone()),
                is_preferred: alone.then_some(true),
                disabled: None,
                edit: Some(workspace_edit(snapshot, placed(texts, &help.edits)?)?),
                command: None,
                data: None,
                tags: None,
            })
        })
        .collect()
}

/// Edits with their places. None if one is of a text that cannot be edited.
fn placed(texts: &Texts<'_>, edits: &[diagnostic::Edit]) -> Option<Vec<(Place, String)>> {
    edits.iter().map(|edit| Some((texts.place(edit.location)?, edit.replacement.clone()))).collect()
}

/// Edits as the protocol has them, for the versions that are open. None if there are none.
pub fn workspace_edit(snapshot: &Snapshot, edits: Vec<(Place, String)>) -> Option<WorkspaceEdit> {
    if edits.is_empty() {
        return None;
    }
    let mut by_file: BTreeMap<String, Vec<TextEdit>> = BTreeMap::new();
    for (place, new_text) in edits {
        by_file.entry(place.uri.0).or_default().push(TextEdit { range: place.range, new_text });
    }
    if !snapshot.client.document_changes {
        let changes = by_file.into_iter().map(|(uri, edits)| (Uri(uri), edits)).collect();
        return Some(WorkspaceEdit { changes: Some(changes), document_changes: None, change_annotations: None });
    }
    let changes = by_file.into_iter().map(|(uri, edits)| {
        let uri = Uri(uri);
        let version = snapshot.documents.get(&Documents::key(&uri)).map(|document| document.version);
        DocumentChange::TextDocumentEdit(TextDocumentEdit {
            text_document: OptionalVersionedTextDocumentIdentifier {
                version,
                text_document_identifier: TextDocumentIdentifier { uri },
            },
            edits: edits.into_iter().map(Edit::TextEdit).collect(),
        })
    });
    Some(WorkspaceEdit { changes: None, document_changes: Some(changes.collect()), change_annotations: None })
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
