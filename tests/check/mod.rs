//! Every check, on policies that it has to report and on policies that are nearly those and that it has to leave alone.
//!
//! Each file `tests/check/NAME.fw` holds policies under lines `# --- TITLE`. A title that begins with `fine:` must give no
//! diagnostic at all; every other must give one. What they give is in `tests/check/snapshots`, each policy before its
//! diagnostics.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use fwc::cli::render::{Levels, Sheet, full};
use fwc::database::{self, Database};
use fwc::project::{Entry, Options, ReadError, Root, System};

/// A disk with nothing on it.
struct Nothing;

impl System for Nothing {
    fn read(&self, _: &Path, _: u64) -> Result<Vec<u8>, ReadError> {
        Err(ReadError::NotFound)
    }

    fn identity(&self, _: &Path) -> Option<PathBuf> {
        None
    }

    fn list(&self, _: &Path) -> Result<Vec<Entry>, ReadError> {
        Ok(Vec::from([Entry { name: OsString::from("site.fw"), directory: false }]))
    }
}

/// The diagnostics of a policy, as a terminal shows them.
fn diagnose(text: &str) -> String {
    let mut db = Database::default();
    let root = Root { path: PathBuf::from("site.fw"), bytes: text.as_bytes().to_vec() };
    let input = db.load(&Nothing, root, Options::default());
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
fn names() {
    check("names");
}
