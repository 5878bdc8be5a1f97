//! File name patterns in `include`. `*`, `?`, `[…]` and `{a,b}` stay within one name, `**` crosses directories, names that
//! begin with a dot are left out unless the pattern says the dot (editors leave such files beside the real ones).

use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use super::{ReadError, System};

/// How deep `**` goes. A symbolic link that leads back to a parent would otherwise never end.
const DEPTH: usize = 16;
/// How many directory entries are looked at for one pattern.
const ENTRIES: usize = 100_000;

/// Whether a text is a pattern rather than a name.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '[', '{'])
}

/// Why a pattern gave nothing.
#[derive(Debug)]
pub(super) enum GlobError {
    /// It is not a pattern.
    Pattern(String),
    /// A directory could not be read.
    Directory(PathBuf, ReadError),
    /// There is more to look at than [`ENTRIES`].
    TooMany,
}

/// The files below `base` that match, sorted by the bytes of their paths.
pub(super) fn expand(system: &dyn System, base: &Path, pattern: &str) -> Result<Vec<PathBuf>, GlobError> {
    let mut directory = base.to_path_buf();
    let mut rest: Vec<&str> = Vec::new();
    for component in Path::new(pattern).components() {
        let text = component.as_os_str().to_str().unwrap_or_default();
        match component {
            _ if !rest.is_empty() || is_pattern(text) => rest.push(text),
            Component::CurDir => {}
            _ => directory.push(component),
        }
    }
    let pattern = rest.join("/");
    let matcher = GlobBuilder::new(&pattern)
        .literal_separator(true)
        .build()
        .map_err(|error| GlobError::Pattern(error.kind().to_string()))?
        .compile_matcher();
    let depth = if rest.contains(&"**") { DEPTH } else { rest.len() };
    let hidden = rest.iter().any(|part| part.starts_with('.'));
    let mut walk = Walk { system, matcher, hidden, looked_at: 0, found: Vec::new() };
    walk.directory(&directory, Path::new(""), depth)?;
    walk.found.sort_unstable_by(|a, b| a.as_os_str().as_encoded_bytes().cmp(b.as_os_str().as_encoded_bytes()));
    Ok(walk.found)
}

struct Walk<'a> {
    system: &'a dyn System,
    matcher: GlobMatcher,
    hidden: bool,
    looked_at: usize,
    found: Vec<PathBuf>,
}

impl Walk<'_> {
    fn directory(&mut self, directory: &Path, relative: &Path, depth: usize) -> Result<(), GlobError> {
        let entries = match self.system.list(directory) {
            Ok(entries) => entries,
            // A directory that is not there holds nothing that matches; below the first it may also just have gone.
            Err(ReadError::NotFound) => return Ok(()),
            Err(error) => return Err(GlobError::Directory(directory.to_path_buf(), error)),
        };
        self.looked_at += entries.len();
        if self.looked_at > ENTRIES {
            return Err(GlobError::TooMany);
        }
        for entry in entries {
            if !self.hidden && entry.name.as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let (path, relative) = (directory.join(&entry.name), relative.join(&entry.name));
            if entry.directory {
                if depth > 1 {
                    self.directory(&path, &relative, depth - 1)?;
                }
            } else if self.matcher.is_match(&relative) {
                self.found.push(path);
            }
        }
        Ok(())
    }
}
