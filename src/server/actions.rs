//! Code actions: what the editor offers at a place.

use std::collections::{BTreeMap, HashMap};

use gen_lsp_types::{
    Code, CodeAction, CodeActionKind, CodeActionParams, CodeActionResponse, Diagnostic as Published, DocumentChange,
    Edit, OptionalVersionedTextDocumentIdentifier, TextDocumentEdit, TextDocumentIdentifier, TextEdit, WorkspaceEdit,
};

use super::diagnostics::Texts;
use super::documents::Documents;
use super::session::Session;
use crate::diagnostic::{self, Diagnostic};
use crate::span::{FileId, Span};

/// What can be done at a place.
pub fn actions(session: &mut Session, parameters: &CodeActionParams) -> Vec<CodeActionResponse> {
    session.settle();
    let wanted = |kind: &CodeActionKind| {
        let (only, kind) = (parameters.context.only.as_ref(), String::from(kind.clone()));
        only.is_none_or(|only| {
            only.iter()
                .map(|one| String::from(one.clone()))
                .any(|one| kind == one || kind.starts_with(&format!("{one}.")))
        })
    };
    if !session.client.action_literals || !wanted(&CodeActionKind::QuickFix) {
        return Vec::new();
    }
    let key = Documents::key(&parameters.text_document.uri);
    let mut out: Vec<CodeAction> = Vec::new();
    for subject in session.subjects_of(&key) {
        let texts = Texts::new(subject, &session.documents, &session.client);
        let Some(file) = subject.keys.iter().position(|known| *known == key).and_then(|at| u32::try_from(at).ok())
        else {
            continue;
        };
        let file = FileId(file);
        let Some(asked) = texts.lines(file).map(|lines| lines.span(parameters.range)) else { continue };
        let here = subject
            .diagnostics()
            .filter(|one| one.primary.location.file == file && touch(one.primary.location.span, asked));
        for one in here {
            for action in fixes(&texts, session, one, &parameters.context.diagnostics) {
                if !out.iter().any(|known| known.title == action.title && known.edit == action.edit) {
                    out.push(action);
                }
            }
        }
    }
    out.into_iter().map(Into::into).collect()
}

/// Whether two places share a byte, or one stands at the edge of the other.
fn touch(one: Span, other: Span) -> bool {
    one.start <= other.end && other.start <= one.end
}

/// The helps of a diagnostic that can be carried out. The first is what an editor does when it is asked to repair.
fn fixes(texts: &Texts<'_>, session: &Session, diagnostic: &Diagnostic, shown: &[Published]) -> Vec<CodeAction> {
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
                edit: Some(workspace_edit(texts, session, &help.edits)?),
                command: None,
                data: None,
                tags: None,
            })
        })
        .collect()
}

/// Edits as the protocol has them. None if one is of a text that cannot be edited.
pub fn workspace_edit(texts: &Texts<'_>, session: &Session, edits: &[diagnostic::Edit]) -> Option<WorkspaceEdit> {
    let mut by_file: BTreeMap<FileId, Vec<TextEdit>> = BTreeMap::new();
    for edit in edits {
        let range = texts.lines(edit.location.file)?.range(edit.location.span);
        by_file.entry(edit.location.file).or_default().push(TextEdit { range, new_text: edit.replacement.clone() });
    }
    if !session.client.document_changes {
        let mut changes = HashMap::new();
        for (file, edits) in by_file {
            changes.insert(texts.uri(file)?, edits);
        }
        return Some(WorkspaceEdit { changes: Some(changes), document_changes: None, change_annotations: None });
    }
    let mut changes = Vec::new();
    for (file, edits) in by_file {
        let version = texts.key(file).and_then(|key| session.documents.get(key)).map(|document| document.version);
        let text_document_identifier = TextDocumentIdentifier { uri: texts.uri(file)? };
        changes.push(DocumentChange::TextDocumentEdit(TextDocumentEdit {
            text_document: OptionalVersionedTextDocumentIdentifier { version, text_document_identifier },
            edits: edits.into_iter().map(Edit::TextEdit).collect(),
        }));
    }
    Some(WorkspaceEdit { changes: None, document_changes: Some(changes), change_annotations: None })
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
