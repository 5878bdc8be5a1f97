//! What an editor asks about a policy, answered from the database: plain values with places. Knows nothing of protocols, files on
//! disk or JSON, so that everything here can be tested with texts alone.
//!
//! Each function takes the database, the project, a file of it and, where it is asked about one, a place in that file as an offset in
//! bytes. None fails: where there is nothing to say, the answer is empty. A file that is no policy (a compose file, facts) has
//! references and hovers where it names a container or a network, and nothing else. Texts for people are Markdown where they say so. Answers may point into files of the standard library, whose paths
//! begin with `std:`.

pub mod action;
pub mod complete;
mod counted;
pub mod definition;
mod describe;
pub mod fold;
pub mod highlight;
pub mod hover;
pub mod inlay;
pub mod link;
pub mod names;
pub mod path;
pub mod references;
pub mod rename;
mod road;
pub mod select;
pub mod signature;
pub mod symbols;
mod words;

pub use action::{Action, ActionKind};
pub use complete::{Completion, CompletionKind, complete};
pub use definition::definition;
pub use fold::{Fold, FoldKind, folds};
pub use highlight::{Highlight, HighlightKind, highlight};
pub use hover::{Hover, hover};
pub use inlay::{Inlay, inlays};
pub use link::{Link, links};
pub use names::{Symbol, SymbolKind};
pub use path::{PathAt, PathKind, path_at};
pub use references::{Reference, highlights, references};
pub use rename::{Renamable, renamable, rename};
pub use select::selection;
pub use signature::{Signature, signature};
pub use symbols::{DocumentSymbol, EntryKind, WorkspaceSymbol, document_symbols, workspace_symbols};

use std::sync::Arc;

use crate::database::{self, Db, ProjectInput};
use crate::span::FileId;
use crate::syntax::outline::Outline;

/// The outline of a policy file; `None` for any other text.
pub(crate) fn outline(db: &dyn Db, input: ProjectInput, file: FileId) -> Option<&Arc<Outline>> {
    let (source, policy) = *input.files(db).get(file.0 as usize)?;
    policy.then(|| database::outline(db, source))
}

/// Whether a file is a policy, and not one of the standard library's.
#[must_use]
pub fn is_policy(db: &dyn Db, input: ProjectInput, file: FileId) -> bool {
    !input.library(db).contains(&file) && input.files(db).get(file.0 as usize).is_some_and(|(_, policy)| *policy)
}

/// The text of a file; empty if there is none.
pub(crate) fn text(db: &dyn Db, input: ProjectInput, file: FileId) -> &str {
    input.files(db).get(file.0 as usize).map_or("", |(source, _)| &source.source(db).text)
}

/// The policy files of a project, with their outlines.
pub(crate) fn policies(db: &dyn Db, input: ProjectInput) -> impl Iterator<Item = (FileId, &Arc<Outline>)> {
    let files = (0u32..).map(FileId).zip(input.files(db));
    files.filter(|(_, (_, policy))| *policy).map(move |(id, (source, _))| (id, database::outline(db, *source)))
}
