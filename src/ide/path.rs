//! A path that is being written: which files it may lead to. What files there are is known to whoever reads the disk.

use super::{is_policy, text};
use crate::database::{Db, ProjectInput};
use crate::span::{FileId, Span};

/// What kind of file a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathKind {
    /// Behind `include`.
    Policy,
    /// Behind `compose`.
    Compose,
    /// Behind `set NAME from file`.
    Addresses,
}

impl PathKind {
    /// Whether a file of that name may be such.
    #[must_use]
    pub fn fits(self, name: &str) -> bool {
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        match self {
            Self::Policy => ending == "fw",
            Self::Compose => matches!(ending, "yml" | "yaml"),
            Self::Addresses => !matches!(ending, "fw" | "fwtest" | "yml" | "yaml" | "json" | "toml"),
        }
    }
}

/// A path as far as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathAt {
    /// What it leads to.
    pub kind: PathKind,
    /// Its directories, with the last `/`; relative to the file's own.
    pub directory: String,
    /// Its last part, in front of the quote if there is one.
    pub replace: Span,
}

/// The path that stands at a place, closed or not.
#[must_use]
pub fn path_at(db: &dyn Db, input: ProjectInput, file: FileId, offset: u32) -> Option<PathAt> {
    if !is_policy(db, input, file) {
        return None;
    }
    let source = text(db, input, file);
    let before = source.get(..offset as usize)?.rsplit('\n').next()?;
    let (head, typed) = before.split_once('"')?;
    let words: Vec<&str> = head.split_whitespace().collect();
    let kind = match words.as_slice() {
        ["include"] => PathKind::Policy,
        ["compose"] => PathKind::Compose,
        ["set", _, "from", "file"] => PathKind::Addresses,
        _ => return None,
    };
    if typed.contains('"') {
        return None;
    }
    let (directory, part) = typed.rsplit_once('/').map_or(("", typed), |(directory, part)| (directory, part));
    let directory = if typed.contains('/') { format!("{directory}/") } else { String::new() };
    let rest = source.get(offset as usize..)?;
    let more = rest.find(['"', '/', '\n']).unwrap_or(rest.len());
    // Without a quote on the line, what follows is no part of it.
    let line = rest.split('\n').next().unwrap_or_default();
    let more = if line.contains('"') { more } else { 0 };
    Some(PathAt { kind, directory, replace: Span::new(offset as usize - part.len(), offset as usize + more) })
}
