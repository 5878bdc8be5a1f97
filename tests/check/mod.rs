//! Every check, on policies that it has to report and on policies that are nearly those and that it has to leave alone.
//!
//! Each file `tests/check/NAME.fw` holds policies under lines `# --- TITLE`. A title that begins with `fine:` must give no
//! diagnostic at all; every other must give one. What they give is in `tests/check/snapshots`, each policy before its
//! diagnostics. Behind a line `# @ NAME` stands another file that the policy reads; `fwc.facts.json` are its facts.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use fwc::cli::render::{Sheet, full};
use fwc::database::{self, Database};
use fwc::levels::Levels;
use fwc::project::{Entry, Options, ReadError, Root, System};

/// A disk with the files of one case on it.
struct Files<'t>(Vec<(&'t str, &'t str)>);

impl System for Files<'_> {
    fn read(&self, path: &Path, _: u64) -> Result<Vec<u8>, ReadError> {
        let found = self.0.iter().find(|(name, _)| Path::new(name) == path);
        found.map(|(_, text)| text.as_bytes().to_vec()).ok_or(ReadError::NotFound)
    }

    fn identity(&self, path: &Path) -> Option<PathBuf> {
        self.0.iter().any(|(name, _)| Path::new(name) == path).then(|| path.to_owned())
    }

    fn list(&self, _: &Path) -> Result<Vec<Entry>, ReadError> {
        Ok(Vec::from([Entry { name: OsString::from("site.fw"), directory: false }]))
    }
}

/// The diagnostics of a policy, as a terminal shows them.
fn diagnose(text: &str) -> String {
    let mut db = Database::default();
    let mut parts = text.split("# @ ");
    let policy = parts.next().unwrap_or_default();
    let files = Files(parts.filter_map(|part| part.split_once('\n')).collect());
    let root = Root { path: PathBuf::from("site.fw"), bytes: policy.as_bytes().to_vec() };
    let facts = files.0.iter().find(|(name, _)| *name == "fwc.facts.json");
    let facts = facts.map(|(name, text)| Root { path: PathBuf::from(name), bytes: text.as_bytes().to_vec() });
    let input = db.load(&files, root, Options { facts, ..Options::default() });
    let compiled = database::compile(&db, input, "site".to_owned());
    let project = database::project(&db, input);
    full::render(&Sheet::new(&project.files, &compiled.diagnostics, &Levels::default()), false)
}

/// Title and text of each policy in a file.
fn cases(text: &str) -> Vec<(&str, &str)> {
    text.split("# --- ").skip(1).filter_map(|case| case.split_once('\n')).collect()
}

#[track_caller]
fn check(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/check/{name}.fw"));
    let file = std::fs::read_to_string(path).expect("the policies");
    let mut shown = String::new();
    let mut faults = Vec::new();
    for (title, policy) in cases(&file) {
        let diagnostics = diagnose(policy);
        if diagnostics.is_empty() != title.starts_with("fine:") {
            faults.push(format!("{title}:\n{diagnostics}"));
        }
        let said = if diagnostics.is_empty() { "nothing\n" } else { &diagnostics };
        writeln!(shown, "# --- {title}\n{}\n\n{said}", policy.trim_end()).expect("a string takes everything");
    }
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, shown);
    });
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn lockout() {
    check("lockout");
}

#[test]
fn changes() {
    check("changes");
}

#[test]
fn left_open() {
    check("left_open");
}

#[test]
fn carried_away() {
    check("carried_away");
}

#[test]
fn overlap() {
    check("overlap");
}

#[test]
fn raw() {
    check("raw");
}

#[test]
fn limits() {
    check("limits");
}

#[test]
fn late() {
    check("late");
}

#[test]
fn starved() {
    check("starved");
}

#[test]
fn options() {
    check("options");
}

#[test]
fn swarm() {
    check("swarm");
}

#[test]
fn tracking() {
    check("tracking");
}

#[test]
fn projects() {
    check("projects");
}

#[test]
fn second_manager() {
    check("second_manager");
}

#[test]
fn names() {
    check("names");
}

#[test]
fn asserts() {
    check("asserts");
}
