//! What the library says of a place while it is written and read: hover, completion, forms of statements, remarks between the words.

use std::path::Path;

use gen_lsp_types as lsp;

use super::dispatch::Refused;
use super::documents::{Documents, Overlay};
use super::rules;
use super::snapshot::{Snapshot, Spot};
use super::subject::Kind;
use super::text::Lines;
use crate::ide;
use crate::project::{Entry, System as _};
use crate::span::Span;

type Answered<T> = Result<T, Refused>;

/// `textDocument/hover`.
pub fn hover(snapshot: &Snapshot, asked: lsp::HoverParams) -> Answered<Option<lsp::Hover>> {
    let at = &asked.text_document_position_params;
    let Some((spot, offset)) = snapshot.place(at) else { return Ok(of_rule(snapshot, at)) };
    Ok(ide::hover(spot.db, spot.input, spot.file, offset).map(|hover| lsp::Hover {
        contents: markdown(hover.text).into(),
        range: spot.texts.lines(spot.file).map(|lines| lines.range(hover.span)),
    }))
}

/// Of a rule in a rule set: which packets come to it.
fn of_rule(snapshot: &Snapshot, at: &lsp::TextDocumentPositionParams) -> Option<lsp::Hover> {
    let key = Documents::key(&at.text_document.uri);
    let (view, file) = snapshot.views_of(&key).into_iter().find(|(view, _)| matches!(view.kind, Kind::Rules(_)))?;
    let source = view.table.files.get(file.0 as usize)?;
    let lines = Lines::new(&source.text, snapshot.client.encoding);
    let offset = u32::try_from(lines.offset(at.position)).ok()?;
    let (span, text) = rules::hover(view, &snapshot.documents, offset)?;
    Some(lsp::Hover { contents: markdown(text).into(), range: Some(lines.range(span)) })
}

/// `textDocument/completion`.
pub fn completion(snapshot: &Snapshot, asked: lsp::CompletionParams) -> Answered<Option<lsp::CompletionResponse>> {
    let Some((spot, offset)) = snapshot.place(&asked.text_document_position_params) else {
        return Ok(None);
    };
    let Some(lines) = spot.texts.lines(spot.file) else { return Ok(None) };
    if let Some(path) = ide::path_at(spot.db, spot.input, spot.file, offset) {
        return Ok(Some(paths(snapshot, &spot, lines, &path).into()));
    }
    let items = ide::complete(spot.db, spot.input, spot.file, offset).into_iter();
    let items: Vec<lsp::CompletionItem> = items.map(|item| completion_item(lines, item)).collect();
    Ok(Some(items.into()))
}

/// The files and directories that a path may go on to, those among them that are open and were never saved.
fn paths(snapshot: &Snapshot, spot: &Spot<'_>, lines: &Lines<'_>, path: &ide::PathAt) -> Vec<lsp::CompletionItem> {
    let Some(own) = spot.texts.key(spot.file) else { return Vec::new() };
    let directory = own.parent().unwrap_or(Path::new("")).join(&path.directory);
    let range = lines.range(path.replace);
    let item = |entry: Entry| {
        let name = entry.name.to_str().filter(|name| !name.starts_with('.') && !name.contains(['"', '*', '?', '[']))?;
        let wanted = entry.directory || path.kind.fits(name) && directory.join(name) != *own;
        let label = if entry.directory { format!("{name}/") } else { name.to_owned() };
        let kind = if entry.directory { lsp::CompletionItemKind::Folder } else { lsp::CompletionItemKind::File };
        wanted.then(|| lsp::CompletionItem {
            kind: Some(kind),
            text_edit: Some(lsp::TextEdit { range, new_text: label.clone() }.into()),
            label,
            ..lsp::CompletionItem::default()
        })
    };
    let entries = Overlay::new(&snapshot.documents).list(&directory).unwrap_or_default();
    let mut items: Vec<lsp::CompletionItem> = entries.into_iter().filter_map(item).collect();
    items.sort_by(|one, other| one.label.cmp(&other.label));
    items
}

fn completion_item(lines: &Lines<'_>, item: ide::Completion) -> lsp::CompletionItem {
    use ide::{CompletionKind, SymbolKind};
    let kind = match item.kind {
        CompletionKind::Keyword => lsp::CompletionItemKind::Keyword,
        CompletionKind::Mark => lsp::CompletionItemKind::Operator,
        CompletionKind::Name => lsp::CompletionItemKind::EnumMember,
        CompletionKind::Port => lsp::CompletionItemKind::Value,
        CompletionKind::Code => lsp::CompletionItemKind::Constant,
        CompletionKind::Symbol(SymbolKind::Interface) => lsp::CompletionItemKind::Interface,
        CompletionKind::Symbol(SymbolKind::Service) => lsp::CompletionItemKind::Constant,
        CompletionKind::Symbol(SymbolKind::Group) => lsp::CompletionItemKind::Function,
        CompletionKind::Symbol(SymbolKind::Set) => lsp::CompletionItemKind::Variable,
        CompletionKind::Symbol(_) => lsp::CompletionItemKind::Class,
    };
    let edit = lsp::TextEdit { range: lines.range(item.replace), new_text: item.insert };
    lsp::CompletionItem {
        sort_text: Some(format!("{} {}", item.order, item.label)),
        label: item.label,
        kind: Some(kind),
        detail: Some(item.detail).filter(|detail| !detail.is_empty()),
        documentation: Some(item.documentation).filter(|text| !text.is_empty()).map(|text| markdown(text).into()),
        text_edit: Some(edit.into()),
        ..lsp::CompletionItem::default()
    }
}

/// `textDocument/signatureHelp`.
pub fn signature(snapshot: &Snapshot, asked: lsp::SignatureHelpParams) -> Answered<Option<lsp::SignatureHelp>> {
    let Some((spot, offset)) = snapshot.place(&asked.text_document_position_params) else {
        return Ok(None);
    };
    let Some(form) = ide::signature(spot.db, spot.input, spot.file, offset) else { return Ok(None) };
    let part = |span: &Span| form.label.get(span.range()).unwrap_or_default().to_owned();
    let parameters =
        form.parts.iter().map(|span| lsp::ParameterInformation { label: part(span).into(), documentation: None });
    let active = form.active.and_then(|active| u32::try_from(active).ok());
    Ok(Some(lsp::SignatureHelp {
        signatures: vec![lsp::SignatureInformation {
            parameters: Some(parameters.collect()),
            documentation: Some(markdown(form.documentation.to_owned()).into()),
            active_parameter: None,
            label: form.label,
        }],
        active_signature: Some(0),
        active_parameter: active.map(Into::into),
    }))
}

/// `textDocument/inlayHint`.
pub fn inlays(snapshot: &Snapshot, asked: lsp::InlayHintParams) -> Answered<Option<Vec<lsp::InlayHint>>> {
    let Some(spot) = snapshot.spot(&asked.text_document) else { return Ok(None) };
    let Some(lines) = spot.texts.lines(spot.file) else { return Ok(None) };
    let found = ide::inlays(spot.db, spot.input, spot.file, lines.span(asked.range)).into_iter();
    let hints = found.map(|inlay| lsp::InlayHint {
        position: lines.position(inlay.offset as usize),
        label: inlay.label.into(),
        kind: Some(lsp::InlayHintKind::Type),
        text_edits: None,
        tooltip: None,
        padding_left: Some(true),
        padding_right: None,
        data: None,
    });
    Ok(Some(hints.collect()))
}

fn markdown(value: String) -> lsp::MarkupContent {
    lsp::MarkupContent { kind: lsp::MarkupKind::Markdown, value }
}
