//! Files on disk, as the loader sees them: for the command line and the language server.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::project::{Entry, ReadError, System};

/// The file system of this machine.
pub(crate) struct Disk;

impl System for Disk {
    fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, ReadError> {
        // Looked at before it is opened: opening a pipe waits for its writer.
        let kind = fs::metadata(path).map_err(|error| match reason(&error) {
            // A link that leads nowhere is a fault, not an absence.
            ReadError::NotFound if fs::symlink_metadata(path).is_ok() => {
                ReadError::Other("it is a link that leads nowhere".to_owned())
            }
            reason => reason,
        })?;
        if kind.is_dir() {
            return Err(ReadError::Directory);
        }
        if !kind.is_file() {
            return Err(ReadError::Special);
        }
        read_bounded(fs::File::open(path).map_err(|error| reason(&error))?, limit)
    }

    fn identity(&self, path: &Path) -> Option<PathBuf> {
        fs::canonicalize(path).ok()
    }

    fn list(&self, directory: &Path) -> Result<Vec<Entry>, ReadError> {
        let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
        let entries = fs::read_dir(directory).map_err(|error| reason(&error))?;
        Ok(entries
            .filter_map(Result::ok)
            .map(|entry| Entry { name: entry.file_name(), directory: entry.path().is_dir() })
            .collect())
    }
}

/// Reads to the end, or to one byte beyond `limit`, which is too much.
pub(crate) fn read_bounded(source: impl io::Read, limit: u64) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    source.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| reason(&error))?;
    if bytes.len() as u64 > limit { Err(ReadError::TooLarge) } else { Ok(bytes) }
}

pub(crate) fn reason(error: &io::Error) -> ReadError {
    match error.kind() {
        io::ErrorKind::NotFound => ReadError::NotFound,
        io::ErrorKind::IsADirectory => ReadError::Directory,
        _ => ReadError::Other(words(error)),
    }
}

/// The system's words for an error, in lower case and without the number that Rust adds.
pub(crate) fn words(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error ").next().unwrap_or(&text);
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}
