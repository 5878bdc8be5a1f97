//! What an editor is told, drawn beneath the text that it is told about.
//!
//! Each file `tests/ide/NAME.txt` holds fixtures. `<CURSOR>` is where the question is asked (it is taken out).
//! `INSTA_UPDATE=always cargo test ide::` writes the snapshots anew; read what changed.

mod actions;
mod agrees;
mod counted;
mod draw;
mod features;
mod hostile;
mod renamed;
mod typing;
mod written;

use fwc::database::{Database, ProjectInput};
use fwc::netfilter::Target;
use fwc::span::FileId;

use crate::fixture::{self, Fixture};

/// Where the question is asked.
const CURSOR: &str = "<CURSOR>";

/// The files of a case, path and text, and the place of the cursor: path and offset.
struct Case {
    title: String,
    files: Vec<(String, String)>,
    cursor: Option<(String, u32)>,
}

impl Case {
    fn new(fixture: Fixture) -> Self {
        let Fixture { title, mut files } = fixture;
        let mut cursor = None;
        for (path, text) in &mut files {
            if let Some(at) = text.find(CURSOR) {
                text.replace_range(at..at + CURSOR.len(), "");
                cursor = Some((path.clone(), u32::try_from(at).expect("small")));
            }
        }
        // The last line feed belongs to the list of cases.
        files.iter_mut().for_each(|(_, text)| text.truncate(text.trim_end_matches('\n').len() + 1));
        Self { title, files, cursor }
    }

    fn load(&self, db: &mut Database) -> ProjectInput {
        self.load_for(db, None)
    }

    fn load_for(&self, db: &mut Database, target: Option<Target>) -> ProjectInput {
        fixture::load(db, &self.files, target)
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
    let read = fixture::read(format!("ide/{name}.txt"));
    read.into_iter().map(Case::new).collect()
}
