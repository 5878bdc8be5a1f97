//! Which policy a file belongs to. A file that others include is diagnosed with them; one that nobody includes is its own root.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::documents::{Documents, Overlay};
use super::relation::Relation;
use crate::disk::Disk;
use crate::project::{ImportKind, MAX_FILE_BYTES, Options, Project, Root, System as _, load};
use crate::span::SourceText;
use crate::syntax::{self, Parsed};

/// How deep folders are searched for policies.
const DEPTH: usize = 32;
/// How many entries of folders are looked at: an editor may have been started in a whole home directory.
const MOST: usize = 50_000;

/// The policies of the workspace, and what each includes.
#[derive(Debug, Default)]
pub struct Workspace(Relation);

impl Workspace {
    /// Looks through the folders. A text is parsed once, however often it is included.
    pub fn search(folders: &[PathBuf], documents: &Documents) -> Self {
        let mut found = BTreeSet::new();
        let mut left = MOST;
        for folder in folders {
            search(folder, DEPTH, &mut left, &mut found);
        }
        let mut parsed: HashMap<Arc<str>, Arc<Parsed>> = HashMap::new();
        let reach = |path: PathBuf| {
            let overlay = Overlay::new(documents);
            let bytes = overlay.read(&path, MAX_FILE_BYTES).ok()?;
            let root = Root { path: path.clone(), bytes };
            let (project, _) = load(&overlay, root, Options::default(), &mut |id, source: &SourceText| {
                let known = parsed.entry(Arc::clone(&source.path));
                Arc::clone(known.or_insert_with(|| Arc::new(syntax::parse(&source.text, id))))
            });
            Some((path, included(&project)))
        };
        let mut includes = Relation::default();
        for (path, included) in found.into_iter().filter_map(reach) {
            includes.set(&path, included);
        }
        Self(includes)
    }

    /// Takes note of what a policy includes now. Returns the files whose roots may be others for that.
    pub fn learn(&mut self, path: &Path, project: &Project) -> BTreeSet<PathBuf> {
        let now = included(project);
        let mut affected = self.0.set(path, now.clone());
        if affected != now {
            affected.extend(now);
            affected.insert(path.to_path_buf());
            return affected;
        }
        BTreeSet::new()
    }

    /// The roots that a policy file belongs to, sorted: those that include it and are not themselves included; itself, if nobody
    /// includes it. Of files that include one another in a circle, the first by name stands for all.
    pub fn roots_of(&self, file: &Path) -> BTreeSet<PathBuf> {
        let Self(includes) = self;
        let is_root = |own: &&Path| {
            let stands_for = |other: &Path| other != *own && (!includes.has(own, other) || other < *own);
            // What includes an includer includes the file as well, unless one of them was read before it was changed.
            let takes_part = |other: &Path| other == file || includes.has(other, file);
            !includes.to(own).any(|other| takes_part(other) && stands_for(other))
        };
        let candidates = includes.to(file).chain([file]);
        candidates.filter(is_root).map(Path::to_path_buf).collect()
    }
}

/// The files that a policy includes, directly or through others.
fn included(project: &Project) -> BTreeSet<PathBuf> {
    let imports = project.imports.iter().filter(|import| import.kind == ImportKind::Include);
    let files = imports.flat_map(|import| &import.files).filter_map(|&file| project.source(file));
    files.map(|source| Documents::identity(Path::new(&*source.path))).collect()
}

/// Finds policies. Links to directories are not followed, and what begins with a dot is left alone.
fn search(directory: &Path, depth: usize, left: &mut usize, found: &mut BTreeSet<PathBuf>) {
    for entry in Disk.list(directory).unwrap_or_default() {
        if *left == 0 {
            return;
        }
        *left -= 1;
        if entry.name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = directory.join(&entry.name);
        if entry.directory {
            if depth > 1 && !path.is_symlink() {
                search(&path, depth - 1, left, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "fw") {
            found.insert(Documents::identity(&path));
        }
    }
}
