//! How files are called in reports that others read: relative to the repository that the command runs in.

use std::path::{Component, Path, PathBuf};

use super::inputs::STANDARD_INPUT;

/// The directory that paths in reports are relative to.
#[derive(Clone, Debug)]
pub(super) struct Repository {
    root: PathBuf,
}

impl Repository {
    /// The repository around the working directory: the nearest directory with a `.git`; without one, the working directory.
    pub(super) fn here() -> Self {
        let working = std::env::current_dir().and_then(std::fs::canonicalize).unwrap_or_default();
        let root = working.ancestors().find(|directory| directory.join(".git").exists()).unwrap_or(&working);
        Self { root: root.to_path_buf() }
    }

    /// A file's path below the root, with `/`; a file elsewhere keeps its whole path, and what is no file (`std:`, `-`) its name.
    pub(super) fn name(&self, path: &str) -> String {
        if path == STANDARD_INPUT || path.starts_with("std:") {
            return path.to_owned();
        }
        let Ok(whole) = std::path::absolute(path) else { return path.to_owned() };
        // Of a file that is a link, the link's place is in the repository, wherever it leads.
        let directory = whole.parent().and_then(|parent| std::fs::canonicalize(parent).ok());
        let whole = match (directory, whole.file_name()) {
            (Some(directory), Some(name)) => directory.join(name),
            _ => whole,
        };
        let inside = whole.strip_prefix(&self.root).unwrap_or(&whole);
        slashes(inside)
    }
}

fn slashes(path: &Path) -> String {
    let mut out = String::new();
    for part in path.components() {
        match part {
            Component::RootDir => out.push('/'),
            part => {
                if !out.is_empty() && !out.ends_with('/') {
                    out.push('/');
                }
                out.push_str(&part.as_os_str().to_string_lossy());
            }
        }
    }
    out
}
