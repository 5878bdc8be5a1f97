//! What each word is, for colouring: what the grammar cannot tell (a set from an interface) is looked up.

use super::names::{Index, SymbolKind, unquoted};
use super::{outline, text};
use crate::database::{Db, ProjectInput};
use crate::span::{FileId, Span};
use crate::syntax::outline::{Naming, Role};

/// What a word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HighlightKind {
    /// `allow`.
    Allow,
    /// `deny`, `reject`.
    Deny,
    /// Any other word of the language.
    Keyword,
    /// A word for a place.
    Place,
    /// A protocol or a family.
    Protocol,
    /// A name that the policy or the library declares, by its kind.
    Symbol(SymbolKind),
    /// Another name: a card, a user, a platform, a type of ICMP.
    Name,
    /// A number, port, rate or time.
    Number,
    /// An address.
    Address,
    /// A text or a path.
    Text,
    /// A comment.
    Comment,
    /// A line of netfilter's own words.
    Raw,
}

/// A word and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Highlight {
    /// Its place; all on one line.
    pub span: Span,
    /// What it is.
    pub kind: HighlightKind,
    /// It is declared here.
    pub declares: bool,
    /// It belongs to the standard library.
    pub library: bool,
}

/// Every word and comment of a file, in source order, none over another. Words that the language does not know where they stand are
/// left out.
#[must_use]
pub fn highlight(db: &dyn Db, input: ProjectInput, file: FileId) -> Vec<Highlight> {
    let Some(outline) = outline(db, input, file) else { return Vec::new() };
    let source = text(db, input, file);
    let index = Index::new(db, input);
    let own_library = input.library(db).contains(&file);
    let plain = |span, kind| Highlight { span, kind, declares: false, library: false };
    let mut found: Vec<Highlight> = outline.comments.iter().map(|&span| plain(span, HighlightKind::Comment)).collect();
    for word in &outline.words {
        let kind = match word.role {
            Role::Allow => HighlightKind::Allow,
            Role::Deny => HighlightKind::Deny,
            Role::Keyword => HighlightKind::Keyword,
            Role::PlaceWord => HighlightKind::Place,
            Role::Protocol => HighlightKind::Protocol,
            Role::Number => HighlightKind::Number,
            Role::Address => HighlightKind::Address,
            Role::Text | Role::Path => HighlightKind::Text,
            Role::Raw => HighlightKind::Raw,
            Role::Unknown => continue,
            Role::Name { naming, declares } => {
                let name = unquoted(source.get(word.span.range()).unwrap_or_default());
                found.push(named(&index, word.span, naming, name, declares, own_library));
                continue;
            }
        };
        found.push(plain(word.span, kind));
    }
    found.sort_unstable_by_key(|one| one.span.start);
    found
}

fn named(index: &Index, span: Span, naming: Naming, name: &str, declares: bool, own_library: bool) -> Highlight {
    let part = own_library && declares && naming == Naming::Group;
    let kind = if part { Some(SymbolKind::Part) } else { index.kind(naming, name) };
    let library = kind.is_some_and(|kind| index.of(kind, name).first().is_some_and(|first| first.library));
    Highlight { span, kind: kind.map_or(HighlightKind::Name, HighlightKind::Symbol), declares, library }
}
