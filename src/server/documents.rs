//! The texts that the editor has open. They outweigh what is on disk.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gen_lsp_types::{TextDocumentContentChangeEvent, Uri};

use super::address;
use super::text::{Encoding, Lines};
use crate::disk::Disk;
use crate::project::{Entry, ReadError, System};

/// An open text.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its name, as the client writes it.
    pub uri: Uri,
    /// Its version, as the client counts.
    pub version: i32,
    /// What it is, as the client says.
    pub language: String,
    /// Its content.
    pub text: Arc<str>,
}

/// All open texts, by the path by which a file is known whichever way leads to it.
#[derive(Clone, Debug, Default)]
pub struct Documents(BTreeMap<PathBuf, Document>);

impl Documents {
    /// The name by which a path is known: links are followed as far as there are files.
    pub fn identity(path: &Path) -> PathBuf {
        if let Some(known) = Disk.identity(path) {
            return known;
        }
        match (path.parent().and_then(|parent| Disk.identity(parent)), path.file_name()) {
            (Some(parent), Some(name)) => parent.join(name),
            _ => path.to_path_buf(),
        }
    }

    /// The name by which a URI is known.
    pub fn key(uri: &Uri) -> PathBuf {
        Self::identity(&address::path(uri))
    }

    /// Takes in a text.
    pub fn open(&mut self, key: PathBuf, document: Document) {
        self.0.insert(key, document);
    }

    /// Lets a text go; from now on what is on disk counts.
    pub fn close(&mut self, key: &Path) {
        self.0.remove(key);
    }

    /// Changes a text, one change after the other. Whether it was open.
    pub fn change(
        &mut self,
        key: &Path,
        version: i32,
        changes: Vec<TextDocumentContentChangeEvent>,
        encoding: Encoding,
    ) -> bool {
        let Some(document) = self.0.get_mut(key) else { return false };
        document.version = version;
        for change in changes {
            document.text = match change {
                TextDocumentContentChangeEvent::TextDocumentContentChangeWholeDocument(whole) => whole.text.into(),
                TextDocumentContentChangeEvent::TextDocumentContentChangePartial(part) => {
                    let bytes = Lines::new(&document.text, encoding).span(part.range).range();
                    let before = document.text.get(..bytes.start).unwrap_or_default();
                    let after = document.text.get(bytes.end..).unwrap_or_default();
                    [before, &part.text, after].concat().into()
                }
            };
        }
        true
    }

    /// The text of that name.
    pub fn get(&self, key: &Path) -> Option<&Document> {
        self.0.get(key)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&PathBuf, &Document)> {
        self.0.iter()
    }

    /// The name of a file in the protocol: as the client wrote it, if it is open.
    pub fn uri(&self, key: &Path) -> Uri {
        self.0.get(key).map_or_else(|| address::uri(key), |document| document.uri.clone())
    }
}

/// What the loader sees: open texts, and behind them the disk. Remembers what was asked for.
pub struct Overlay<'a> {
    documents: &'a Documents,
    asked: RefCell<BTreeSet<PathBuf>>,
}

impl<'a> Overlay<'a> {
    /// Before the disk, these texts.
    pub fn new(documents: &'a Documents) -> Self {
        Self { documents, asked: RefCell::default() }
    }

    /// The files and directories that were looked for, found or not.
    pub fn asked(self) -> BTreeSet<PathBuf> {
        self.asked.into_inner()
    }
}

impl System for Overlay<'_> {
    fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, ReadError> {
        self.asked.borrow_mut().insert(path.to_path_buf());
        match self.documents.get(&Documents::identity(path)) {
            Some(document) if document.text.len() as u64 > limit => Err(ReadError::TooLarge),
            Some(document) => Ok(document.text.as_bytes().to_vec()),
            None => Disk.read(path, limit),
        }
    }

    fn identity(&self, path: &Path) -> Option<PathBuf> {
        Some(Documents::identity(path))
    }

    fn list(&self, directory: &Path) -> Result<Vec<Entry>, ReadError> {
        self.asked.borrow_mut().insert(directory.to_path_buf());
        let mut entries = Disk.list(directory)?;
        // A text that was never saved is not there yet.
        let key = Documents::identity(directory);
        for (path, _) in self.documents.iter().filter(|(path, _)| path.parent() == Some(&key)) {
            let name = path.file_name().unwrap_or_default();
            if !entries.iter().any(|entry| entry.name == name) {
                entries.push(Entry { name: name.to_owned(), directory: false });
            }
        }
        Ok(entries)
    }
}
