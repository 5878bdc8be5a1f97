//! Renames what the policy declares, wherever it is named; or says why not.

use super::names::{Index, Symbol, SymbolKind, unquoted};
use super::policies;
use crate::database::{self, Db, ProjectInput};
use crate::diagnostic::Edit;
use crate::span::{FileId, Span};
use crate::syntax::outline::{Naming, Role, is_reserved};

/// A name that can be given anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renamable {
    /// Where it stands, quotes with it.
    pub span: Span,
    /// The name as it is now, without quotes.
    pub name: String,
}

/// Whether what is named at a place can be renamed.
///
/// # Errors
/// Why not, for the user.
pub fn renamable(db: &dyn Db, input: ProjectInput, file: FileId, offset: u32) -> Result<Renamable, String> {
    let (symbol, span) = own(&Index::new(db, input), file, offset)?;
    Ok(Renamable { span, name: symbol.name })
}

/// The edits that give what is named at a place a new name, in every file of the project. `new` is the name without quotes; where it needs
/// them, it gets them.
///
/// # Errors
/// Why not, for the user.
pub fn rename(db: &dyn Db, input: ProjectInput, file: FileId, offset: u32, new: &str) -> Result<Vec<Edit>, String> {
    let index = Index::new(db, input);
    let (symbol, _) = own(&index, file, offset)?;
    let new = unquoted(new.trim());
    if new == symbol.name {
        return Ok(Vec::new());
    }
    let written = written(new, symbol.kind)?;
    clash(db, input, &index, &symbol, new)?;
    let places = index.occurrences(&symbol).into_iter();
    Ok(places.map(|place| Edit { location: place.location, replacement: written.clone() }).collect())
}

/// What is named at a place, if the policy itself declares it.
fn own(index: &Index, file: FileId, offset: u32) -> Result<(Symbol, Span), String> {
    let (symbol, span) = index.at(file, offset).ok_or("there is no name here that the policy declares")?;
    let kind = symbol.kind.name();
    match index.declarations(&symbol).first() {
        Some(first) if first.library => Err(format!("{kind} `{}` belongs to the standard library", symbol.name)),
        Some(_) => Ok((symbol, span)),
        None if index.in_facts(&symbol).is_some() => {
            Err(format!("{kind} `{}` is named by a compose file or by the facts: rename it there", symbol.name))
        }
        None => Err(format!("nothing in the policy declares {kind} `{}`", symbol.name)),
    }
}

/// A name as it is written: in quotes where it needs them.
fn written(new: &str, kind: SymbolKind) -> Result<String, String> {
    if new.is_empty() {
        return Err("a name cannot be empty".to_owned());
    }
    if is_reserved(new) {
        return Err(format!("`{new}` is a word of the language"));
    }
    if let Some(letter) = new.chars().find(|letter| *letter == '"' || letter.is_control()) {
        return Err(format!("a name cannot hold {letter:?}"));
    }
    let machine = matches!(kind, SymbolKind::Guest | SymbolKind::Network | SymbolKind::Container);
    let first = |letter: char| letter == '_' || letter.is_ascii_alphabetic() || machine && letter.is_ascii_digit();
    let plain = new.starts_with(first)
        && new.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.'));
    Ok(if plain { new.to_owned() } else { format!("\"{new}\"") })
}

/// Refuses a name that would mean something else than it does, or that something else would be meant by.
fn clash(db: &dyn Db, input: ProjectInput, index: &Index, symbol: &Symbol, new: &str) -> Result<(), String> {
    // A place by name alone is a set or an interface.
    let kinds: &[SymbolKind] = match symbol.kind {
        SymbolKind::Set | SymbolKind::Interface => &[SymbolKind::Set, SymbolKind::Interface],
        _ => std::slice::from_ref(&symbol.kind),
    };
    for &kind in kinds {
        let other = Symbol { kind, name: new.to_owned() };
        if let Some(first) = index.declarations(&other).first() {
            let kind = kind.name();
            return Err(match first.library {
                true => format!("the standard library has a {kind} `{new}`"),
                false => format!("`{new}` is the name of another {kind}"),
            });
        }
        if index.in_facts(&other).is_some() {
            return Err(format!("a compose file or the facts have a {} `{new}` already", kind.name()));
        }
    }
    if matches!(symbol.kind, SymbolKind::Set | SymbolKind::Interface) {
        let cards = &database::resolved(db, input).0.facts.interfaces;
        if symbol.kind == SymbolKind::Interface && cards.contains_key(new) {
            return Err(format!("the host has a card `{new}`, which `via {new}` would no longer mean"));
        }
    }
    // A name that nothing declares yet would be caught by the new declaration.
    let captured = policies(db, input).find_map(|(file, outline)| {
        let source = super::text(db, input, file);
        outline.words.iter().find(|word| {
            let Role::Name { naming, .. } = word.role else { return false };
            let would = match symbol.kind {
                SymbolKind::Set => naming == Naming::Place,
                SymbolKind::Interface => matches!(naming, Naming::Place | Naming::Via),
                _ => index.kind(naming, new) == Some(symbol.kind),
            };
            would && source.get(word.span.range()).is_some_and(|word| unquoted(word) == new)
        })
    });
    match captured {
        Some(_) => Err(format!("`{new}` is used already, and would then name this {}", symbol.kind.name())),
        None => Ok(()),
    }
}
