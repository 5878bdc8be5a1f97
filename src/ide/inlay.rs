//! Remarks between the words: the ports behind a service's name, how large a set is.

use super::names::{Index, SymbolKind, unquoted};
use super::{describe, outline, text};
use crate::database::{self, Db, ProjectInput};
use crate::span::{FileId, Span};
use crate::syntax::outline::Role;

/// A remark that is shown behind a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inlay {
    /// Where: the end of the word.
    pub offset: u32,
    /// What is shown there.
    pub label: String,
}

/// The remarks in a part of a file, in source order: behind each service that a rule names its protocols and ports; behind each set that
/// is named or declared how many ranges of addresses it has, where they are not written there.
#[must_use]
pub fn inlays(db: &dyn Db, input: ProjectInput, file: FileId, range: Span) -> Vec<Inlay> {
    let Some(outline) = outline(db, input, file) else { return Vec::new() };
    let source = text(db, input, file);
    let index = Index::new(db, input);
    let meanings = database::meanings(db, input);
    let mut found = Vec::new();
    let words = outline.words.iter().filter(|word| range.start <= word.span.end && word.span.start <= range.end);
    for word in words {
        let Role::Name { naming, declares } = word.role else { continue };
        let name = unquoted(source.get(word.span.range()).unwrap_or_default());
        let label = match index.kind(naming, name) {
            Some(SymbolKind::Service) if !declares => meanings.services.get(name).map(|list| describe::traffic(list)),
            Some(SymbolKind::Set) => {
                let from_file = || {
                    let rest = source.get(word.span.end as usize..).unwrap_or_default();
                    rest.trim_start_matches([' ', '\t']).starts_with("from")
                };
                let size = || meanings.sets.get(name).and_then(|list| describe::size(list));
                if !declares || from_file() { size() } else { None }
            }
            _ => None,
        };
        found.extend(label.map(|label| Inlay { offset: word.span.end, label }));
    }
    found
}
