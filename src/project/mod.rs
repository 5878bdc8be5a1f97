//! A project: the root file and every text that it leads to, as values. What the later stages see of the world; they never
//! learn where a text came from. Loading goes through [`System`], so that the command line can use files on disk and an editor
//! its open buffers, and so that a build is a function of the texts.

mod glob;
pub mod codes;
mod load;
mod memory;
#[cfg(test)]
mod tests;

pub use load::{MAX_FILE_BYTES, Options, Root, load};
pub use memory::MemoryFileSystem;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::facts::{Backend, Facts};
use crate::span::{FileId, Location, SourceText};
use crate::syntax::Parsed;
use crate::syntax::tree::{StatementKind, Target};

/// A root file and what it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// Where reading begins.
    pub root: FileId,
    /// Every text, by [`FileId`].
    pub files: Vec<SourceText>,
    /// What the policy files among them say, by [`FileId`]; `None` for compose files, set files and facts.
    pub parsed: Vec<Option<Arc<Parsed>>>,
    /// What each `include`, `compose` and `set … from file` led to, in the order of reading.
    pub imports: Vec<Import>,
    /// The files of the standard library, in its order; they stand last in the table.
    pub library: Vec<FileId>,
    /// The text of `fwc.facts.json`, if there is one.
    pub facts: Option<FileId>,
    /// What the command line says about the target; it outweighs the source.
    pub target: Option<Target>,
}

impl Project {
    /// The text of a file; empty if there is no such file.
    #[must_use]
    pub fn text(&self, file: FileId) -> &str {
        self.source(file).map_or("", |source| &source.text)
    }

    /// A file of this project.
    #[must_use]
    pub fn source(&self, file: FileId) -> Option<&SourceText> {
        self.files.get(file.0 as usize)
    }

    /// What a policy file says.
    #[must_use]
    pub fn parsed(&self, file: FileId) -> Option<&Parsed> {
        self.parsed.get(file.0 as usize)?.as_deref()
    }

    /// What to emit: what the command line says, else the source (the root file before those that it includes), else what the
    /// facts suggest (nft where Docker itself uses nftables), else iptables.
    #[must_use]
    pub fn target(&self, facts: &Facts) -> Target {
        let said = || {
            let statements = self.parsed.iter().flatten().flat_map(|parsed| &parsed.tree.statements);
            statements.filter_map(|statement| match &statement.value {
                StatementKind::Target(target) => Some(target.value),
                _ => None,
            })
        };
        let backend = facts.docker.as_ref().and_then(|docker| docker.firewall_backend);
        let suggested = || (backend == Some(Backend::Nftables)).then_some(Target::Nft);
        self.target.or_else(|| said().next()).or_else(suggested).unwrap_or(Target::Iptables)
    }
}

/// What one statement led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// The whole statement.
    pub at: Location,
    /// What kind of text it asks for.
    pub kind: ImportKind,
    /// The files, in order. An include that was read before, elsewhere, is not listed again; a file that could not be read is
    /// absent here and present in the diagnostics.
    pub files: Vec<FileId>,
    /// The `.env` beside a compose file.
    pub environment: Option<FileId>,
}

/// What a statement asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ImportKind {
    /// Policy files.
    Include,
    /// A compose file.
    Compose,
    /// A list of addresses.
    SetFile,
}

/// Where texts come from.
pub trait System {
    /// The bytes of a regular file.
    ///
    /// # Errors
    /// Says why it could not be read; never reads more than `limit` bytes.
    fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, ReadError>;

    /// A name by which the same file is known whichever way leads to it (symbolic links followed). `None` if there is none.
    fn identity(&self, path: &Path) -> Option<PathBuf>;

    /// What a directory holds, in any order. Entries that cannot be read are left out.
    ///
    /// # Errors
    /// Says why the directory could not be read.
    fn list(&self, directory: &Path) -> Result<Vec<Entry>, ReadError>;
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name, without the directory.
    pub name: std::ffi::OsString,
    /// Whether it is a directory (symbolic links followed).
    pub directory: bool,
}

/// Why a file could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// There is none.
    NotFound,
    /// It is a directory.
    Directory,
    /// It is neither a file nor a directory: a socket, a pipe, a device.
    Special,
    /// It has more bytes than the limit.
    TooLarge,
    /// The operating system's own words.
    Other(String),
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotFound => "there is no such file",
            Self::Directory => "it is a directory",
            Self::Special => "it is not a regular file",
            Self::TooLarge => "it is larger than 64 MiB",
            Self::Other(words) => words,
        })
    }
}
