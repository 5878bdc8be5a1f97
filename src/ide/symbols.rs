//! What a file declares and how it is divided, and the names of a whole project.

use super::names::{Index, SymbolKind, declares, unquoted};
use super::{outline, text};
use crate::database::{Db, ProjectInput};
use crate::span::{FileId, Location, Span};
use crate::syntax::outline::{Entry, Outline};

/// What an entry of a file's table of contents is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// A declaration.
    Declares(SymbolKind),
    /// A block with clauses.
    Scope,
    /// `chain …`.
    Chain,
    /// `default …`.
    Default,
    /// `assert …`.
    Assert,
}

/// An entry of a file's table of contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentSymbol {
    /// What it is called: a name, or the words of its head.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
    /// What else its first line says, shortened; may be empty.
    pub detail: String,
    /// The whole, its block with it.
    pub span: Span,
    /// The name, or the words of its head; inside of `span`.
    pub name_span: Span,
    /// What stands in its block.
    pub children: Vec<Self>,
}

/// A name of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkspaceSymbol {
    /// The name.
    pub name: String,
    /// What it names.
    pub kind: SymbolKind,
    /// Where it is declared: the name.
    pub location: Location,
}

/// The declarations, blocks, defaults and asserts of a file, in source order, one in another as they stand. Rules are not listed.
#[must_use]
pub fn document_symbols(db: &dyn Db, input: ProjectInput, file: FileId) -> Vec<DocumentSymbol> {
    let Some(outline) = outline(db, input, file) else { return Vec::new() };
    let library = input.library(db).contains(&file);
    let source = text(db, input, file);
    let mut open: Vec<(usize, DocumentSymbol)> = Vec::new();
    let mut top = Vec::new();
    for (number, entry) in outline.entries.iter().enumerate() {
        let Some(symbol) = symbol(outline, entry, source, library) else { continue };
        while let Some((last, _)) = open.last()
            && !encloses(outline, *last, number)
        {
            close(&mut open, &mut top);
        }
        open.push((number, symbol));
    }
    while !open.is_empty() {
        close(&mut open, &mut top);
    }
    top
}

fn close(open: &mut Vec<(usize, DocumentSymbol)>, top: &mut Vec<DocumentSymbol>) {
    let Some((_, symbol)) = open.pop() else { return };
    match open.last_mut() {
        Some((_, outer)) => outer.children.push(symbol),
        None => top.push(symbol),
    }
}

fn encloses(outline: &Outline, outer: usize, inner: usize) -> bool {
    let parent = |at: usize| outline.entries.get(at).and_then(|entry| entry.parent);
    std::iter::successors(parent(inner), |&at| parent(at)).any(|at| at == outer)
}

fn symbol(outline: &Outline, entry: &Entry, source: &str, library: bool) -> Option<DocumentSymbol> {
    let head = source.get(entry.span.range())?;
    let span = entry.block.map_or(entry.span, |block| entry.span.to(block));
    let (name, kind, name_span, detail) = match declares(outline, entry, library) {
        Some((kind, at)) => {
            let name = unquoted(source.get(at.range())?).to_owned();
            let rest = source.get(at.end as usize..entry.span.end as usize).unwrap_or_default();
            (name, EntryKind::Declares(kind), at, short(rest.trim_start().trim_start_matches('=')))
        }
        None => {
            let kind = match head.split_whitespace().next()? {
                "default" => EntryKind::Default,
                "assert" => EntryKind::Assert,
                "chain" => EntryKind::Chain,
                "from" | "to" | "via" if entry.block.is_some() => EntryKind::Scope,
                _ => return None,
            };
            (short(head), kind, entry.span, String::new())
        }
    };
    // A client refuses an entry without a name.
    (!name.is_empty()).then_some(DocumentSymbol { name, kind, detail, span, name_span, children: Vec::new() })
}

/// Words on one line, cut where they are many.
fn short(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut out = String::new();
    for word in text.lines().flat_map(|line| line.split('#').next()).flat_map(str::split_whitespace) {
        if out.chars().count() + word.chars().count() > LONGEST {
            out.push_str(" …");
            break;
        }
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

/// The names that a project declares in its own files and that have the letters of `query` in that order, whatever their case; all of
/// them, if it is empty. Ordered by name.
#[must_use]
pub fn workspace_symbols(db: &dyn Db, input: ProjectInput, query: &str) -> Vec<WorkspaceSymbol> {
    let index = Index::new(db, input);
    let mut found = Vec::new();
    for (kind, name, declarations) in index.all().filter(|(_, name, _)| has_letters(name, query)) {
        for one in declarations.iter().filter(|one| !one.library) {
            found.push(WorkspaceSymbol { name: name.to_owned(), kind, location: one.name });
        }
    }
    found.sort_by(|a, b| (&a.name, a.location).cmp(&(&b.name, b.location)));
    found
}

fn has_letters(name: &str, query: &str) -> bool {
    let mut letters = name.chars().flat_map(char::to_lowercase);
    query.chars().flat_map(char::to_lowercase).all(|wanted| letters.any(|letter| letter == wanted))
}
