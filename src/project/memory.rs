//! A file system in memory: the [`System`] of every test and bench, and of any program that has its texts already.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use super::{Entry, ReadError, Root, System};

/// The most symbolic links that one path may lead through, as in Linux.
const MAX_LINKS: usize = 40;

/// Files and symbolic links by path. Directories are there if something is in them. Relative paths begin in a directory of their own.
#[derive(Clone, Debug, Default)]
pub struct MemoryFileSystem(BTreeMap<PathBuf, Content>);

#[derive(Clone, Debug)]
enum Content {
    File(Vec<u8>),
    Link(PathBuf),
}

impl MemoryFileSystem {
    /// The files with these paths and texts. A path has no `.` or `..` in it.
    pub fn new<P: Into<PathBuf>, T: Into<Vec<u8>>>(files: impl IntoIterator<Item = (P, T)>) -> Self {
        Self(files.into_iter().map(|(path, text)| (path.into(), Content::File(text.into()))).collect())
    }

    /// Writes a file, over the one that was there.
    pub fn write(&mut self, path: impl Into<PathBuf>, text: impl Into<Vec<u8>>) {
        self.0.insert(path.into(), Content::File(text.into()));
    }

    /// Makes a symbolic link, which need not lead anywhere.
    pub fn link(&mut self, path: impl Into<PathBuf>, target: impl Into<PathBuf>) {
        self.0.insert(path.into(), Content::Link(target.into()));
    }

    /// A file, to begin reading with; none if it cannot be read.
    #[must_use]
    pub fn root(&self, path: impl Into<PathBuf>) -> Option<Root> {
        let path = path.into();
        Some(Root { bytes: self.read(&path, u64::MAX).ok()?, path })
    }

    /// The path without links and without `.` and `..`; something may be there or not.
    fn resolve(&self, path: &Path) -> Result<PathBuf, ReadError> {
        let mut resolved = PathBuf::new();
        let mut links = 0;
        let mut rest: Vec<Component<'_>> = path.components().rev().collect();
        while let Some(part) = rest.pop() {
            match part {
                Component::CurDir => {}
                Component::ParentDir => drop(resolved.pop()),
                part => resolved.push(part),
            }
            if let Some(Content::Link(target)) = self.0.get(&resolved) {
                links += 1;
                if links > MAX_LINKS {
                    return Err(ReadError::Other("too many levels of symbolic links".to_owned()));
                }
                resolved.pop();
                rest.extend(target.components().rev());
            }
        }
        Ok(resolved)
    }

    fn is_directory(&self, resolved: &Path) -> bool {
        resolved == Path::new("") || self.0.keys().any(|path| path != resolved && path.starts_with(resolved))
    }
}

impl System for MemoryFileSystem {
    fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, ReadError> {
        let path = self.resolve(path)?;
        match self.0.get(&path) {
            Some(Content::File(bytes)) if bytes.len() as u64 > limit => Err(ReadError::TooLarge),
            Some(Content::File(bytes)) => Ok(bytes.clone()),
            _ if self.is_directory(&path) => Err(ReadError::Directory),
            _ => Err(ReadError::NotFound),
        }
    }

    fn identity(&self, path: &Path) -> Option<PathBuf> {
        let path = self.resolve(path).ok()?;
        (self.0.contains_key(&path) || self.is_directory(&path)).then_some(path)
    }

    fn list(&self, directory: &Path) -> Result<Vec<Entry>, ReadError> {
        let directory = self.resolve(directory)?;
        let mut entries: Vec<Entry> = Vec::new();
        for path in self.0.keys() {
            let inside = path.strip_prefix(&directory).ok().filter(|_| path.is_absolute() == directory.is_absolute());
            let Some(name) = inside.and_then(|inside| inside.iter().next()) else { continue };
            if entries.last().is_some_and(|last| last.name == name) {
                continue;
            }
            let entry = self.resolve(&directory.join(name)).is_ok_and(|entry| self.is_directory(&entry));
            entries.push(Entry { name: name.to_owned(), directory: entry });
        }
        if entries.is_empty() { Err(ReadError::NotFound) } else { Ok(entries) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> MemoryFileSystem {
        let mut files =
            MemoryFileSystem::new([("site.fw", "root"), ("conf.d/a.fw", "a"), ("conf.d/b/c.fw", "c"), ("/etc/x", "x")]);
        files.link("sites", "conf.d/b");
        files.link("a.fw", "conf.d/../conf.d/a.fw");
        files.link("round", "./round");
        files
    }

    #[test]
    fn files_are_read_by_whichever_path_leads_to_them() {
        let files = files();
        for path in ["conf.d/a.fw", "./conf.d/b/../a.fw", "a.fw", "sites/../a.fw"] {
            assert_eq!(files.read(Path::new(path), 1), Ok(b"a".to_vec()), "{path}");
            assert_eq!(files.identity(Path::new(path)), Some("conf.d/a.fw".into()), "{path}");
        }
        assert_eq!(files.read(Path::new("sites/c.fw"), 9), Ok(b"c".to_vec()));
        assert_eq!(files.read(Path::new("/etc/x"), 9), Ok(b"x".to_vec()));
    }

    #[test]
    fn what_is_no_file_is_not_read() {
        let files = files();
        let why = |path: &str, limit| files.read(Path::new(path), limit).expect_err(path);
        assert_eq!(why("a.fw", 0), ReadError::TooLarge);
        assert_eq!(why("conf.d", 9), ReadError::Directory);
        assert_eq!(why("sites", 9), ReadError::Directory);
        assert_eq!(why("etc/x", 9), ReadError::NotFound);
        assert_eq!(why("round", 9), ReadError::Other("too many levels of symbolic links".to_owned()));
        assert_eq!(files.identity(Path::new("conf.d/z.fw")), None);
        assert_eq!(files.identity(Path::new("sites/..")), Some("conf.d".into()));
    }

    #[test]
    fn a_directory_lists_what_is_in_it() {
        let list = |path: &str| {
            let entries = files().list(Path::new(path)).expect(path).into_iter();
            entries.map(|entry| (entry.name.to_string_lossy().into_owned(), entry.directory)).collect::<Vec<_>>()
        };
        let own = |entries: &[(&str, bool)]| entries.iter().map(|(n, d)| ((*n).to_owned(), *d)).collect::<Vec<_>>();
        assert_eq!(list("conf.d"), own(&[("a.fw", false), ("b", true)]));
        assert_eq!(list("sites"), own(&[("c.fw", false)]));
        let here = [("a.fw", false), ("conf.d", true), ("round", false), ("site.fw", false), ("sites", true)];
        assert_eq!(list("."), own(&here));
        assert_eq!(files().list(Path::new("none")), Err(ReadError::NotFound));
    }
}
