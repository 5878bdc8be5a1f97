//! The checks on platforms and traffic, each on policies that it has to report and on near misses that it has to leave alone.
//!
//! Each file `tests/traffic/NAME.fw` holds policies under lines `# --- CODES: title`, where `fine` stands for no code. A line
//! `# +++ PATH` begins a file that the policy reads. Every policy must give just those codes of FW0200 to FW0349; what it gives
//! is in `tests/traffic/snapshots`, each policy before its diagnostics.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use fwc::cli::render::{Sheet, full};
use fwc::database::{self, Database};
use fwc::levels::Levels;
use fwc::project::{Entry, Options, ReadError, Root, System};

/// The files of one case.
struct Files(BTreeMap<PathBuf, String>);

impl System for Files {
    fn read(&self, path: &Path, _: u64) -> Result<Vec<u8>, ReadError> {
        self.0.get(path).map(|text| text.clone().into_bytes()).ok_or(ReadError::NotFound)
    }

    fn identity(&self, path: &Path) -> Option<PathBuf> {
        self.0.contains_key(path).then(|| path.to_path_buf())
    }

    fn list(&self, _: &Path) -> Result<Vec<Entry>, ReadError> {
        Ok(Vec::new())
    }
}

/// The codes that a policy gives, and all its diagnostics as a terminal shows them.
fn diagnose(case: &str) -> (BTreeSet<String>, String) {
    let mut parts = case.split("# +++ ");
    let policy = parts.next().expect("a policy");
    let files = parts.filter_map(|part| part.split_once('\n')).map(|(path, text)| (path.into(), text.to_owned()));
    let mut db = Database::default();
    let root = Root { path: PathBuf::from("site.fw"), bytes: policy.as_bytes().to_vec() };
    let input = db.load(&Files(files.collect()), root, Options::default());
    let compiled = database::compile(&db, input, "site".to_owned());
    let project = database::project(&db, input);
    let ours = |number: &&str| ("FW0200".."FW0350").contains(number);
    let codes = compiled.diagnostics.iter().map(|one| one.code.number).filter(ours).map(str::to_owned).collect();
    (codes, full::render(&Sheet::new(&project.files, &compiled.diagnostics, &Levels::default()), false))
}

#[track_caller]
fn check(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/traffic/{name}.fw"));
    let file = std::fs::read_to_string(path).expect("the policies");
    let mut shown = String::new();
    let mut faults = Vec::new();
    for (title, policy) in file.split("# --- ").skip(1).filter_map(|case| case.split_once('\n')) {
        let expected = title.split(':').next().unwrap_or_default();
        let expected: BTreeSet<String> =
            expected.split(", ").filter(|code| *code != "fine").map(str::to_owned).collect();
        let (codes, diagnostics) = diagnose(policy);
        // A near miss with another fault in it would prove nothing.
        let broken = expected.is_empty() && diagnostics.contains("] Error:");
        if codes != expected || broken {
            faults.push(format!("{title}\n{codes:?}\n{diagnostics}"));
        }
        let said = if diagnostics.is_empty() { "nothing\n" } else { &diagnostics };
        writeln!(shown, "# --- {title}\n{}\n\n{said}", policy.trim_end()).expect("a string takes everything");
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, shown);
    });
}

#[test]
fn published_port() {
    check("published_port");
}

#[test]
fn docker_proxy() {
    check("docker_proxy");
}

#[test]
fn container_ports() {
    check("container_ports");
}

#[test]
fn container_kinds() {
    check("container_kinds");
}

#[test]
fn direct() {
    check("direct");
}

#[test]
fn overridden() {
    check("overridden");
}

#[test]
fn same_bridge() {
    check("same_bridge");
}

#[test]
fn addresses() {
    check("addresses");
}

#[test]
fn rejects() {
    check("rejects");
}
