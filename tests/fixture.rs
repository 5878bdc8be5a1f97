//! The one form of fixtures: projects in a text, for every test that needs more than one file or more than one case.
//!
//! A line `# --- TITLE` begins a case, a line `# @ PATH` a further file of it; what comes before is the policy, `site.fw`. If one of the
//! files is `fwc.facts.json`, it is the project's facts.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use fwc::database::{Database, ProjectInput};
use fwc::netfilter::Target;
use fwc::project::{MemoryFileSystem, Options};

/// The policy of a fixture.
pub const POLICY: &str = "site.fw";
const FACTS: &str = "fwc.facts.json";
const CASE: &str = "# --- ";
const FILE: &str = "# @ ";

/// One project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fixture {
    pub title: String,
    /// Path and text of each file; the policy is the first.
    pub files: Vec<(String, String)>,
}

impl Fixture {
    /// A case without its title.
    pub fn new(title: &str, text: &str) -> Self {
        let mut files = vec![(POLICY.to_owned(), String::new())];
        for line in text.split_inclusive('\n') {
            match line.strip_prefix(FILE) {
                Some(path) => files.push((path.trim_end().to_owned(), String::new())),
                None => files.last_mut().expect("the policy").1.push_str(line),
            }
        }
        Self { title: title.to_owned(), files }
    }

    /// The text of the policy.
    pub fn policy(&self) -> &str {
        &self.files[0].1
    }

    /// The case as it is written, with its title.
    pub fn text(&self) -> String {
        let mut text = format!("{CASE}{}\n{}", self.title, self.policy());
        for (path, file) in self.files.iter().skip(1) {
            write!(text, "{FILE}{path}\n{file}").expect("a string takes everything");
        }
        text
    }

    /// Reads the project.
    pub fn load(&self, db: &mut Database, target: Option<Target>) -> ProjectInput {
        load(db, &self.files, target)
    }
}

/// Reads the project of some files, of which the first is the policy.
pub fn load(db: &mut Database, files: &[(String, String)], target: Option<Target>) -> ProjectInput {
    let system = MemoryFileSystem::new(files.iter().map(|(path, text)| (path, text.as_bytes())));
    let (root, facts) = (system.root(&files[0].0).expect("the policy"), system.root(FACTS));
    db.load(&system, root, Options { facts, target, ..Options::default() })
}

/// The cases of a text, after what comes before the first of them.
pub fn cases(text: &str) -> (String, Vec<Fixture>) {
    let mut before = String::new();
    let mut parts: Vec<(&str, String)> = Vec::new();
    for line in text.split_inclusive('\n') {
        match (line.strip_prefix(CASE), parts.last_mut()) {
            (Some(title), _) => parts.push((title.trim_end(), String::new())),
            (None, Some((_, part))) => part.push_str(line),
            (None, None) => before.push_str(line),
        }
    }
    (before, parts.into_iter().map(|(title, part)| Fixture::new(title, &part)).collect())
}

/// The directory below which fixtures are.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// The cases of a file below [`root`].
pub fn read(path: impl AsRef<Path>) -> Vec<Fixture> {
    let path = root().join(path);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (_, cases) = cases(&text);
    assert!(!cases.is_empty(), "{}: no line begins with `{CASE}`", path.display());
    cases
}

/// The files in a directory below [`root`] whose names end in `.fw`, in order.
pub fn files(directory: &str) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(root().join(directory)).expect("a directory").map(|entry| entry.expect("an entry").path());
    let mut paths: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|ending| ending == "fw")).collect();
    paths.sort();
    paths
}

#[test]
fn a_text_of_cases_is_read_and_written_the_same() {
    let text = "# --- one\nallow ssh to host\n\n# @ a/compose.yml\nservices: {}\n# @ fwc.facts.json\n{}\n# --- two\n";
    let (before, found) = cases(&format!("# What this is.\n{text}"));
    assert_eq!(before, "# What this is.\n");
    assert_eq!(found.iter().map(Fixture::text).collect::<String>(), text);
    let [one, two] = &found[..] else { panic!("two cases") };
    assert_eq!(one.files.iter().map(|(path, _)| &**path).collect::<Vec<_>>(), [POLICY, "a/compose.yml", FACTS]);
    assert_eq!((one.policy(), two.policy()), ("allow ssh to host\n\n", ""));
}
