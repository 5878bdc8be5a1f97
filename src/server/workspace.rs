//! Which policy a file belongs to. A file that others include is diagnosed with them; one that nobody includes is its own root.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::documents::{Documents, Overlay};
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
pub struct Workspace(BTreeMap<PathBuf, BTreeSet<PathBuf>>);

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
        Self(found.into_iter().filter_map(reach).collect())
    }

    /// Takes note of what a policy includes now.
    pub fn learn(&mut self, path: &Path, project: &Project) {
        self.0.insert(path.to_path_buf(), included(project));
    }

    /// The roots that a policy file belongs to, sorted: those that include it and are not themselves included; itself, if nobody
    /// includes it. Of files that include one another in a circle, the first by name stands for all.
    pub fn roots_of(&self, file: &Path) -> Vec<PathBuf> {
        let reaches = |from: &Path, to: &Path| self.0.get(from).is_some_and(|reached| reached.contains(to));
        let mut candidates: BTreeSet<&Path> =
            self.0.keys().map(PathBuf::as_path).filter(|other| reaches(other, file)).collect();
        candidates.insert(file);
        let stands_for =
            |other: &Path, own: &Path| other != own && reaches(other, own) && (!reaches(own, other) || other < own);
        let top = |own: &&Path| !candidates.iter().any(|other| stands_for(other, own));
        candidates.iter().copied().filter(top).map(Path::to_path_buf).collect()
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
