//! What the library says of a place, in the protocol's words.

use gen_lsp_types as lsp;

use super::actions::workspace_edit;
use super::diagnostics::Texts;
use super::dispatch::Refused;
use super::snapshot::{Snapshot, Spot};
use super::text::Lines;
use crate::diagnostic::Edit;
use crate::ide;
use crate::span::{Location, Span};

type Answered<T> = Result<T, Refused>;

/// `textDocument/definition`.
pub fn definition(snapshot: &Snapshot, asked: lsp::DefinitionParams) -> Answered<Option<lsp::DefinitionResponse>> {
    let Some((spot, offset)) = snapshot.place(&asked.text_document_position_params) else {
        return Ok(None);
    };
    let found = ide::definition(spot.db, spot.input, spot.file, offset);
    let Some(lines) = spot.texts.lines(spot.file) else { return Ok(None) };
    if snapshot.client.links {
        let links = found.iter().filter_map(|one| {
            let (whole, name) = (spot.texts.anywhere(one.whole)?, spot.texts.anywhere(one.name)?);
            Some(lsp::LocationLink {
                origin_selection_range: Some(lines.range(one.from)),
                target_uri: whole.uri,
                target_range: whole.range,
                target_selection_range: name.range,
            })
        });
        return Ok(Some(links.collect::<Vec<_>>().into()));
    }
    let places: Vec<lsp::Location> = found.iter().filter_map(|one| spot.texts.anywhere(one.name)).collect();
    Ok(Some(lsp::Definition::from(places).into()))
}

/// `textDocument/references`. A file that several policies include has them in each.
pub fn references(snapshot: &Snapshot, asked: lsp::ReferenceParams) -> Answered<Option<Vec<lsp::Location>>> {
    let at = &asked.text_document_position_params;
    let mut places: Vec<lsp::Location> = Vec::new();
    for spot in snapshot.spots(&at.text_document.uri) {
        let Some(offset) = spot.offset(at.position) else { continue };
        for found in ide::references(spot.db, spot.input, spot.file, offset) {
            let wanted = asked.context.include_declaration || !found.declares;
            places.extend(spot.texts.anywhere(found.location).filter(|place| wanted && !places.contains(place)));
        }
    }
    Ok(Some(places))
}

/// `textDocument/documentHighlight`.
pub fn highlights(
    snapshot: &Snapshot,
    asked: lsp::DocumentHighlightParams,
) -> Answered<Option<Vec<lsp::DocumentHighlight>>> {
    let Some((spot, offset)) = snapshot.place(&asked.text_document_position_params) else {
        return Ok(None);
    };
    let Some(lines) = spot.texts.lines(spot.file) else { return Ok(None) };
    let found = ide::highlights(spot.db, spot.input, spot.file, offset).into_iter();
    let kind = |declares| if declares { lsp::DocumentHighlightKind::Write } else { lsp::DocumentHighlightKind::Read };
    let shown =
        found.map(|(span, declares)| lsp::DocumentHighlight { range: lines.range(span), kind: Some(kind(declares)) });
    Ok(Some(shown.collect()))
}

/// `textDocument/prepareRename`.
pub fn prepare_rename(
    snapshot: &Snapshot,
    asked: lsp::PrepareRenameParams,
) -> Answered<Option<lsp::PrepareRenameResult>> {
    let Some((spot, offset)) = snapshot.place(&asked.text_document_position_params) else {
        return Ok(None);
    };
    let found = ide::renamable(spot.db, spot.input, spot.file, offset).map_err(Refused::said)?;
    let Some(lines) = spot.texts.lines(spot.file) else { return Ok(None) };
    Ok(Some(lsp::PrepareRenamePlaceholder { range: lines.range(found.span), placeholder: found.name }.into()))
}

/// `textDocument/rename`, in every policy that the file takes part in.
pub fn rename(snapshot: &Snapshot, asked: lsp::RenameParams) -> Answered<Option<lsp::WorkspaceEdit>> {
    let at = &asked.text_document_position_params;
    let mut edits: Vec<(lsp::Location, String)> = Vec::new();
    let spots = snapshot.spots(&at.text_document.uri);
    for spot in &spots {
        let Some(offset) = spot.offset(at.position) else { continue };
        let found = ide::rename(spot.db, spot.input, spot.file, offset, &asked.new_name).map_err(Refused::said)?;
        for Edit { location, replacement } in found {
            let Some(place) = spot.texts.place(location) else { continue };
            if !edits.iter().any(|(known, _)| *known == place) {
                edits.push((place, replacement));
            }
        }
    }
    Ok(workspace_edit(snapshot, edits))
}

/// `textDocument/documentSymbol`.
pub fn document_symbols(
    snapshot: &Snapshot,
    asked: lsp::DocumentSymbolParams,
) -> Answered<Option<lsp::DocumentSymbolResponse>> {
    let Some(spot) = snapshot.spot(&asked.text_document) else { return Ok(None) };
    let Some(lines) = spot.texts.lines(spot.file) else { return Ok(None) };
    let found = ide::document_symbols(spot.db, spot.input, spot.file);
    if snapshot.client.symbol_trees {
        return Ok(Some(found.into_iter().map(|one| document_symbol(lines, one)).collect::<Vec<_>>().into()));
    }
    let mut flat = Vec::new();
    flatten(&mut flat, lines, &asked.text_document.uri, None, found);
    Ok(Some(flat.into()))
}

fn document_symbol(lines: &Lines<'_>, symbol: ide::DocumentSymbol) -> lsp::DocumentSymbol {
    let children: Vec<lsp::DocumentSymbol> =
        symbol.children.into_iter().map(|child| document_symbol(lines, child)).collect();
    #[allow(deprecated, reason = "the protocol's own field")]
    lsp::DocumentSymbol {
        name: symbol.name,
        detail: Some(symbol.detail).filter(|detail| !detail.is_empty()),
        kind: entry_kind(symbol.kind),
        tags: None,
        deprecated: None,
        range: lines.range(symbol.span),
        selection_range: lines.range(symbol.name_span),
        children: (!children.is_empty()).then_some(children),
    }
}

fn flatten(
    out: &mut Vec<lsp::SymbolInformation>,
    lines: &Lines<'_>,
    uri: &lsp::Uri,
    inside: Option<&str>,
    symbols: Vec<ide::DocumentSymbol>,
) {
    for symbol in symbols {
        let location = lsp::Location { uri: uri.clone(), range: lines.range(symbol.span) };
        #[allow(deprecated, reason = "the protocol's own field")]
        out.push(lsp::SymbolInformation {
            deprecated: None,
            location,
            base_symbol_information: named(symbol.name.clone(), entry_kind(symbol.kind), inside),
        });
        flatten(out, lines, uri, Some(&symbol.name), symbol.children);
    }
}

fn named(name: String, kind: lsp::SymbolKind, inside: Option<&str>) -> lsp::BaseSymbolInformation {
    lsp::BaseSymbolInformation { name, kind, tags: None, container_name: inside.map(str::to_owned) }
}

fn entry_kind(kind: ide::EntryKind) -> lsp::SymbolKind {
    match kind {
        ide::EntryKind::Declares(kind) => symbol_kind(kind),
        ide::EntryKind::Scope => lsp::SymbolKind::Namespace,
        ide::EntryKind::Chain => lsp::SymbolKind::Method,
        ide::EntryKind::Default => lsp::SymbolKind::Event,
        ide::EntryKind::Assert => lsp::SymbolKind::Boolean,
    }
}

fn symbol_kind(kind: ide::SymbolKind) -> lsp::SymbolKind {
    match kind {
        ide::SymbolKind::Interface => lsp::SymbolKind::Interface,
        ide::SymbolKind::Set => lsp::SymbolKind::Array,
        ide::SymbolKind::Service => lsp::SymbolKind::Constant,
        ide::SymbolKind::Group => lsp::SymbolKind::Function,
        _ => lsp::SymbolKind::Class,
    }
}

/// `workspace/symbol`: the names of every policy that is looked at.
pub fn workspace_symbols(
    snapshot: &Snapshot,
    asked: lsp::WorkspaceSymbolParams,
) -> Answered<Option<lsp::WorkspaceSymbolResponse>> {
    let mut out: Vec<lsp::WorkspaceSymbol> = Vec::new();
    for view in &snapshot.views {
        let Some((db, input)) = &view.policy else { continue };
        let texts = Texts::new(&view.table, &snapshot.documents, &snapshot.client);
        for symbol in ide::workspace_symbols(db, *input, &asked.query) {
            let Some(location) = texts.place(symbol.location) else { continue };
            let symbol = lsp::WorkspaceSymbol {
                location: location.into(),
                data: None,
                base_symbol_information: named(symbol.name, symbol_kind(symbol.kind), None),
            };
            if !out.contains(&symbol) {
                out.push(symbol);
            }
        }
    }
    Ok(Some(out.into()))
}

/// `textDocument/foldingRange`.
pub fn folds(snapshot: &Snapshot, asked: lsp::FoldingRangeParams) -> Answered<Option<Vec<lsp::FoldingRange>>> {
    let Some(spot) = snapshot.spot(&asked.text_document) else { return Ok(None) };
    let Some(lines) = spot.texts.lines(spot.file) else { return Ok(None) };
    let folds = ide::folds(spot.db, spot.input, spot.file).into_iter().map(|fold| {
        let range = lines.range(fold.span);
        lsp::FoldingRange {
            start_line: range.start.line,
            start_character: Some(range.start.character),
            end_line: range.end.line,
            end_character: Some(range.end.character),
            kind: match fold.kind {
                ide::FoldKind::Region => Some(lsp::FoldingRangeKind::Region),
                ide::FoldKind::Comment => Some(lsp::FoldingRangeKind::Comment),
                ide::FoldKind::Imports => Some(lsp::FoldingRangeKind::Imports),
            },
            collapsed_text: None,
        }
    });
    Ok(Some(folds.filter(|fold| fold.end_line > fold.start_line).collect()))
}

/// `textDocument/selectionRange`.
pub fn selections(snapshot: &Snapshot, asked: lsp::SelectionRangeParams) -> Answered<Option<Vec<lsp::SelectionRange>>> {
    let Some(spot) = snapshot.spot(&asked.text_document) else { return Ok(None) };
    Ok(Some(asked.positions.into_iter().filter_map(|position| selection(&spot, position)).collect()))
}

fn selection(spot: &Spot<'_>, position: lsp::Position) -> Option<lsp::SelectionRange> {
    let lines = spot.texts.lines(spot.file)?;
    let mut spans = ide::selection(spot.db, spot.input, spot.file, spot.offset(position)?);
    // From the whole to the word, whichever way they come.
    spans.sort_by_key(|span| std::cmp::Reverse(span.end - span.start));
    let outer = spans.into_iter().fold(None, |parent: Option<lsp::SelectionRange>, span| {
        Some(lsp::SelectionRange { range: lines.range(span), parent: parent.map(Box::new) })
    });
    Some(outer.unwrap_or(lsp::SelectionRange { range: lsp::Range { start: position, end: position }, parent: None }))
}

/// The kinds of words, in the order of the legend. The protocol knows all of them, so that every editor has colours for them.
const TOKEN_TYPES: &[&str] = &[
    "keyword",
    "class",
    "type",
    "interface",
    "variable",
    "function",
    "namespace",
    "enumMember",
    "number",
    "string",
    "comment",
    "macro",
];
/// What is said of a word besides, in the order of the legend; the last two are fwc's own.
const TOKEN_MODIFIERS: &[&str] = &["declaration", "defaultLibrary", "allow", "deny"];

/// What semantic tokens are of.
pub fn legend() -> lsp::SemanticTokensLegend {
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    lsp::SemanticTokensLegend { token_types: owned(TOKEN_TYPES), token_modifiers: owned(TOKEN_MODIFIERS) }
}

fn token_type(kind: ide::HighlightKind) -> &'static str {
    use ide::{HighlightKind, SymbolKind};
    match kind {
        HighlightKind::Allow | HighlightKind::Deny | HighlightKind::Keyword => "keyword",
        HighlightKind::Place => "class",
        HighlightKind::Protocol => "type",
        HighlightKind::Symbol(SymbolKind::Interface) => "interface",
        HighlightKind::Symbol(SymbolKind::Set) => "variable",
        HighlightKind::Symbol(SymbolKind::Service | SymbolKind::Group) => "function",
        HighlightKind::Symbol(_) => "namespace",
        HighlightKind::Name => "enumMember",
        HighlightKind::Number | HighlightKind::Address => "number",
        HighlightKind::Text => "string",
        HighlightKind::Comment => "comment",
        HighlightKind::Raw => "macro",
    }
}

/// The modifiers of a word, as bits.
fn token_modifiers(word: &ide::Highlight) -> u32 {
    let said =
        [word.declares, word.library, word.kind == ide::HighlightKind::Allow, word.kind == ide::HighlightKind::Deny];
    said.into_iter().zip(0..).map(|(is, bit)| u32::from(is) << bit).sum()
}

/// `textDocument/semanticTokens/full`.
pub fn tokens(snapshot: &Snapshot, asked: lsp::SemanticTokensParams) -> Answered<Option<lsp::SemanticTokens>> {
    Ok(snapshot.spot(&asked.text_document).and_then(|spot| semantic_tokens(&spot, None)))
}

/// `textDocument/semanticTokens/range`.
pub fn tokens_in(snapshot: &Snapshot, asked: lsp::SemanticTokensRangeParams) -> Answered<Option<lsp::SemanticTokens>> {
    Ok(snapshot.spot(&asked.text_document).and_then(|spot| semantic_tokens(&spot, Some(asked.range))))
}

fn semantic_tokens(spot: &Spot<'_>, range: Option<lsp::Range>) -> Option<lsp::SemanticTokens> {
    let lines = spot.texts.lines(spot.file)?;
    let within = range.map(|range| lines.span(range));
    let mut found = ide::highlight(spot.db, spot.input, spot.file);
    found.sort_by_key(|word| word.span.start);
    let mut data = Vec::new();
    let mut last = lsp::Position { line: 0, character: 0 };
    for word in found {
        if within.is_some_and(|within| word.span.end < within.start || word.span.start > within.end) {
            continue;
        }
        let kind = TOKEN_TYPES.iter().position(|name| *name == token_type(word.kind));
        let Some(token_type) = kind.and_then(|at| u32::try_from(at).ok()) else { continue };
        // A word stands on one line.
        let range = lines.range(word.span);
        let delta_line = range.start.line.saturating_sub(last.line);
        let before = if delta_line == 0 { last.character } else { 0 };
        let delta_start = range.start.character.saturating_sub(before);
        data.push(lsp::SemanticToken {
            delta_line,
            delta_start,
            length: range.end.character.saturating_sub(range.start.character),
            token_type,
            token_modifiers_bitset: token_modifiers(&word),
        });
        last = range.start;
    }
    Some(lsp::SemanticTokens { result_id: None, data })
}

/// `textDocument/documentLink`.
pub fn links(snapshot: &Snapshot, asked: lsp::DocumentLinkParams) -> Answered<Option<Vec<lsp::DocumentLink>>> {
    let Some(spot) = snapshot.spot(&asked.text_document) else { return Ok(None) };
    let Some(lines) = spot.texts.lines(spot.file) else { return Ok(None) };
    let found = ide::links(spot.db, spot.input, spot.file).into_iter();
    let links = found.filter_map(|link| {
        let target = spot.texts.anywhere(Location { file: link.target, span: Span::default() })?;
        Some(lsp::DocumentLink { range: lines.range(link.span), target: Some(target.uri), tooltip: None, data: None })
    });
    Ok(Some(links.collect()))
}
