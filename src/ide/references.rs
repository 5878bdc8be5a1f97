//! Everywhere that something is named, in the whole project or in one file.

use super::names::Index;
use super::outline;
use crate::database::{Db, ProjectInput};
use crate::span::{FileId, Location, Span};

/// A place where something is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The name, quotes with it.
    pub location: Location,
    /// Whether it is declared here.
    pub declares: bool,
}

/// Every place in the project where what is named at a place is named, its declarations with it, file by file. Where a compose file or
/// the facts say it, the place there comes first.
#[must_use]
pub fn references(db: &dyn Db, input: ProjectInput, file: FileId, offset: u32) -> Vec<Reference> {
    let index = Index::new(db, input);
    let Some((symbol, _)) = index.at(file, offset) else { return Vec::new() };
    let mut found = Vec::new();
    if index.declarations(&symbol).is_empty() {
        found.extend(index.in_facts(&symbol).map(|location| Reference { location, declares: true }));
    }
    let named = index.occurrences(&symbol).into_iter();
    found.extend(named.map(|one| Reference { location: one.location, declares: one.declares }));
    found
}

/// The same in the file alone, if it is a policy: the places, each with whether it declares.
#[must_use]
pub fn highlights(db: &dyn Db, input: ProjectInput, file: FileId, offset: u32) -> Vec<(Span, bool)> {
    let index = Index::new(db, input);
    let Some(outline) = outline(db, input, file) else { return Vec::new() };
    let Some((symbol, _)) = index.at(file, offset) else { return Vec::new() };
    let named = index.occurrences_in(file, outline, &symbol).into_iter();
    named.map(|one| (one.location.span, one.declares)).collect()
}
