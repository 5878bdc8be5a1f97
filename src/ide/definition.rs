//! Where a name is declared: in a policy file, in the standard library, in a compose file or in the facts.

use super::names::Index;
use crate::database::{Db, ProjectInput};
use crate::span::{FileId, Location, Span};

/// Where a name leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Definition {
    /// The name that was asked about, in the file that was asked about.
    pub from: Span,
    /// The declared name.
    pub name: Location,
    /// The whole declaration.
    pub whole: Location,
}

/// The declarations of what is named at a place; the one that counts first. A declaration that gives a parameter its value stands before
/// the parameter. Also where a link to a file leads to.
#[must_use]
pub fn definition(db: &dyn Db, input: ProjectInput, file: FileId, offset: u32) -> Vec<Definition> {
    let index = Index::new(db, input);
    if let Some((symbol, from)) = index.at(file, offset) {
        let declared = index.declarations(&symbol);
        // What the library declares as well is hidden by the author's own.
        let own = declared.first().is_some_and(|first| !first.library);
        let mut found: Vec<Definition> = declared
            .iter()
            .filter(|one| !own || !one.library)
            .map(|one| Definition { from, name: one.name, whole: one.statement })
            .collect();
        if found.is_empty() {
            found.extend(index.in_facts(&symbol).map(|name| Definition { from, name, whole: name }));
        }
        return found;
    }
    let links = super::links(db, input, file).into_iter();
    let here = links.filter(|link| link.span.start <= offset && offset <= link.span.end);
    here.map(|link| {
        let start = Location { file: link.target, span: Span::default() };
        Definition { from: link.span, name: start, whole: start }
    })
    .collect()
}
