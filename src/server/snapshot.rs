//! The state of a session at one moment, for a request that is answered while the session goes on.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gen_lsp_types::{Position, TextDocumentIdentifier, TextDocumentPositionParams, Uri};

use super::client::Client;
use super::diagnostics::Texts;
use super::documents::Documents;
use super::subject::{Kind, Table};
use crate::database::{Database, ProjectInput};
use crate::diagnostic::Diagnostic;
use crate::span::FileId;

/// A session at one moment.
pub struct Snapshot {
    /// Its roots.
    pub views: Vec<View>,
    /// What is open.
    pub documents: Arc<Documents>,
    /// What the client can do.
    pub client: Arc<Client>,
}

/// A root at one moment.
pub struct View {
    /// The file that reading begins with.
    pub path: PathBuf,
    /// What it is.
    pub kind: Kind,
    /// A handle of its database, and its input there; none for rule sets.
    pub policy: Option<(Database, ProjectInput)>,
    /// Its texts.
    pub table: Arc<Table>,
    /// What is said of it.
    pub said: Vec<Diagnostic>,
}

/// A policy and a file of it.
pub struct Spot<'s> {
    /// The database.
    pub db: &'s Database,
    /// The project in it.
    pub input: ProjectInput,
    /// The file.
    pub file: FileId,
    /// The project's texts.
    pub texts: Texts<'s>,
}

impl Snapshot {
    /// The roots in which a file takes part, those that it belongs to first.
    pub fn views_of(&self, key: &Path) -> Vec<(&View, FileId)> {
        let parts = self.views.iter().filter_map(|view| Some((view, view.table.file(key)?)));
        let (mut own, others): (Vec<_>, Vec<_>) =
            parts.partition(|(view, _)| view.kind != Kind::Test || view.path == key);
        own.extend(others);
        own
    }

    /// The policies that a file takes part in, those that it belongs to first.
    pub fn spots(&self, uri: &Uri) -> Vec<Spot<'_>> {
        let key = Documents::key(uri);
        let mut spots = Vec::new();
        for (view, file) in self.views_of(&key) {
            if let Some((db, input)) = &view.policy {
                let texts = Texts::new(&view.table, &self.documents, &self.client);
                spots.push(Spot { db, input: *input, file, texts });
            }
        }
        spots
    }

    /// The policy that a file belongs to.
    pub fn spot(&self, document: &TextDocumentIdentifier) -> Option<Spot<'_>> {
        self.spots(&document.uri).into_iter().next()
    }

    /// A place in the policy that it belongs to.
    pub fn place(&self, at: &TextDocumentPositionParams) -> Option<(Spot<'_>, u32)> {
        let spot = self.spot(&at.text_document)?;
        let offset = spot.offset(at.position)?;
        Some((spot, offset))
    }
}

impl Spot<'_> {
    /// A place in the file, in bytes.
    pub fn offset(&self, position: Position) -> Option<u32> {
        u32::try_from(self.texts.lines(self.file)?.offset(position)).ok()
    }
}
