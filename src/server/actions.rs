//! Code actions: what the editor offers at a place.

use std::collections::BTreeMap;

use gen_lsp_types::{
    Code, CodeAction, CodeActionKind, CodeActionParams, CodeActionResponse, CodeActionTriggerKind,
    Diagnostic as Published, DocumentChange, Edit, Location as Place, OptionalVersionedTextDocumentIdentifier,
    TextDocumentEdit, TextDocumentIdentifier, TextEdit, Uri, WorkspaceEdit,
};

use super::diagnostics::Texts;
use super::documents::Documents;
use super::snapshot::Snapshot;
use super::subject::Kind;
use crate::diagnostic::{self, Diagnostic};
use crate::ide;
use crate::ide::action::{self, Action, ActionKind};
use crate::span::Location;

/// What is offered, for a client that asks for some kinds alone.
pub const KINDS: [CodeActionKind; 3] =
    [CodeActionKind::QuickFix, CodeActionKind::RefactorRewrite, CodeActionKind::Refactor];

/// What can be done at a place.
pub fn actions(
    snapshot: &Snapshot,
    asked: CodeActionParams,
) -> Result<Option<Vec<CodeActionResponse>>, super::dispatch::Refused> {
    if !snapshot.client.action_literals {
        return Ok(Some(Vec::new()));
    }
    let wanted = |kind: &CodeActionKind| {
        let (only, kind) = (asked.context.only.as_ref(), String::from(kind.clone()));
        let within = |one: String| one.is_empty() || kind == one || kind.starts_with(&format!("{one}."));
        only.is_none_or(|only| only.iter().any(|one| within(String::from(one.clone()))))
    };
    // What takes a proof is offered to whoever opens the menu, not at every movement of the cursor.
    let proved =
        asked.context.trigger_kind != Some(CodeActionTriggerKind::Automatic) && wanted(&CodeActionKind::Refactor);
    let key = Documents::key(&asked.text_document.uri);
    let mut out: Vec<CodeAction> = Vec::new();
    let mut rewritten = false;
    for (view, file) in snapshot.views_of(&key) {
        let texts = Texts::new(&view.table, &snapshot.documents, &snapshot.client);
        let Some(place) = texts.lines(file).map(|lines| lines.span(asked.range)) else { continue };
        let Some(source) = view.table.files.get(file.0 as usize) else { continue };
        let of_policy = view.policy.as_ref().filter(|(db, input)| ide::is_policy(db, *input, file));
        let comments = of_policy.is_some() || matches!(view.kind, Kind::Rules(_));
        let mut found = action::about(&view.said, source, Location { file, span: place }, comments);
        // One policy of those that include the file says what can be made of it, the first.
        if let Some((db, input)) = of_policy.filter(|_| !std::mem::replace(&mut rewritten, true)) {
            found.extend(action::rewrites(db, *input, file, place, proved));
        }
        for one in found.into_iter().filter(|one| wanted(&kind(&one.kind))) {
            let Some(action) = code_action(&texts, snapshot, one, &asked.context.diagnostics) else { continue };
            if !out.iter().any(|known| known.title == action.title && known.edit == action.edit) {
                out.push(action);
            }
        }
    }
    Ok(Some(out.into_iter().map(Into::into).collect()))
}

fn kind(kind: &ActionKind<'_>) -> CodeActionKind {
    match kind {
        ActionKind::Repairs { .. } | ActionKind::Expects(_) => CodeActionKind::QuickFix,
        ActionKind::Folds => CodeActionKind::RefactorRewrite,
        ActionKind::Asserts => CodeActionKind::Refactor,
    }
}

/// An action in the protocol's words. What mends a diagnostic alone is what an editor does when it is asked to repair.
fn code_action(texts: &Texts<'_>, snapshot: &Snapshot, action: Action<'_>, shown: &[Published]) -> Option<CodeAction> {
    let about = match action.kind {
        ActionKind::Repairs { of, .. } | ActionKind::Expects(of) => Some(of),
        ActionKind::Folds | ActionKind::Asserts => None,
    };
    let told: Vec<Published> = about.map(|of| told(texts, of, shown)).unwrap_or_default();
    Some(CodeAction {
        kind: Some(kind(&action.kind)),
        title: action.title,
        diagnostics: (!told.is_empty()).then_some(told),
        is_preferred: matches!(action.kind, ActionKind::Repairs { alone: true, .. }).then_some(true),
        disabled: None,
        edit: Some(workspace_edit(snapshot, placed(texts, &action.edits)?)?),
        command: None,
        data: None,
        tags: None,
    })
}

/// The diagnostics of the client that are this one.
fn told(texts: &Texts<'_>, diagnostic: &Diagnostic, shown: &[Published]) -> Vec<Published> {
    let range = texts.place(diagnostic.primary.location).map(|place| place.range);
    let number = Code::String(diagnostic.code.number.to_owned());
    shown.iter().filter(|one| Some(one.range) == range && one.code.as_ref() == Some(&number)).cloned().collect()
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
