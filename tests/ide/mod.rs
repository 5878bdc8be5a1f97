//! What an editor is told, drawn beneath the text that it is told about.
//!
//! Each file `tests/ide/NAME.txt` holds cases under lines `# --- TITLE`. A case is a project: its first file is the policy; before
//! each other one stands a line `-- PATH --`; `fwc.facts.json` are its facts. `<CURSOR>` is where the question is asked (it is taken
//! out). `INSTA_UPDATE=always cargo test ide::` writes the snapshots anew; read what changed.

mod actions;
mod agrees;
mod counted;
mod draw;
mod features;
mod hostile;
mod renamed;
mod typing;
mod written;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use fwc::database::{Database, ProjectInput};
use fwc::netfilter::Target;
use fwc::project::{Entry, Options, ReadError, Root, System};
use fwc::span::FileId;

/// Where the question is asked.
const CURSOR: &str = "<CURSOR>";

/// The files of a case, path and text, and the place of the cursor: path and offset.
struct Case {
    title: String,
    files: Vec<(String, String)>,
    cursor: Option<(String, u32)>,
}

impl Case {
    fn new(title: &str, text: &str) -> Self {
        let mut files = vec![("site.fw".to_owned(), String::new())];
        for line in text.split_inclusive('\n') {
            match line.trim_end().strip_prefix("-- ").and_then(|rest| rest.strip_suffix(" --")) {
                Some(path) => files.push((path.to_owned(), String::new())),
                None => files.last_mut().expect("a file").1.push_str(line),
            }
        }
        let mut cursor = None;
        for (path, text) in &mut files {
            if let Some(at) = text.find(CURSOR) {
                text.replace_range(at..at + CURSOR.len(), "");
                cursor = Some((path.clone(), u32::try_from(at).expect("small")));
            }
        }
        // The last line feed belongs to the list of cases.
        files.iter_mut().for_each(|(_, text)| text.truncate(text.trim_end_matches('\n').len() + 1));
        Self { title: title.to_owned(), files, cursor }
    }

    fn load(&self, db: &mut Database) -> ProjectInput {
        self.load_for(db, None)
    }

    fn load_for(&self, db: &mut Database, target: Option<Target>) -> ProjectInput {
        let (path, text) = &self.files[0];
        let facts = self.files.iter().find(|(path, _)| path == "fwc.facts.json");
        let facts = facts.map(|(path, text)| Root { path: PathBuf::from(path), bytes: text.as_bytes().to_vec() });
        let root = Root { path: PathBuf::from(path), bytes: text.as_bytes().to_vec() };
        db.load(&Files(&self.files), root, Options { facts, target, ..Options::default() })
    }
}

/// A disk with these files on it.
struct Files<'t>(&'t [(String, String)]);

impl System for Files<'_> {
    fn read(&self, path: &Path, _: u64) -> Result<Vec<u8>, ReadError> {
        let found = self.0.iter().find(|(name, _)| Path::new(name) == path);
        found.map(|(_, text)| text.as_bytes().to_vec()).ok_or(ReadError::NotFound)
    }

    fn identity(&self, path: &Path) -> Option<PathBuf> {
        self.0.iter().any(|(name, _)| Path::new(name) == path).then(|| path.to_owned())
    }

    fn list(&self, directory: &Path) -> Result<Vec<Entry>, ReadError> {
        let inside = self.0.iter().filter_map(|(name, _)| Path::new(name).strip_prefix(directory).ok());
        let names = inside.filter_map(|rest| rest.iter().next());
        Ok(names.map(|name| Entry { name: OsString::from(name), directory: false }).collect())
    }
}

/// The file of a project with this path.
fn file(db: &Database, input: ProjectInput, path: &str) -> FileId {
    let files = (0u32..).zip(input.files(db));
    let found = files.into_iter().find(|(_, (source, _))| &*source.source(db).path == path);
    FileId(found.unwrap_or_else(|| panic!("no file {path}")).0)
}

/// The cases of a file.
fn cases(name: &str) -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/ide/{name}.txt"));
    let text = std::fs::read_to_string(path).expect("the cases");
    let parts = text.split("# --- ").skip(1).filter_map(|case| case.split_once('\n'));
    parts.map(|(title, text)| Case::new(title, text)).collect()
}
