//! What is diagnosed: a policy with everything that it leads to, a file of tests, a rule set, or a configuration.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::documents::{Documents, Overlay};
use super::proofs::{Job, Part, Work};
use super::text::Moved;
use crate::assertion::test;
use crate::configuration::{self, Unusable};
use crate::database::{self, Database, ProjectInput, Unchecked};
use crate::diagnostic::{Diagnostic, Level};
use crate::expectation::Expectations;
use crate::host::listing;
use crate::levels::Levels;
use crate::project::{MAX_FILE_BYTES, Options, Root, System as _};
use crate::read::Form;
use crate::rules::listing::{read, unreadable};
use crate::span::{FileId, SourceText};
use crate::syntax;

/// The file that lies beside a policy.
const FACTS: &str = "fwc.facts.json";

/// How many states of a text are kept from being freed by whoever edits it.
const GENERATIONS: usize = 2;

/// What kind of text a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A policy.
    Policy,
    /// A file of tests.
    Test,
    /// A rule set in a form that the readers know.
    Rules(Form),
    /// What says the levels of codes.
    Configuration,
    /// None of these: it counts for what refers to it.
    Other,
}

impl Kind {
    /// By name, else by what the editor says, else by what the text begins with.
    pub fn of(path: &Path, language: &str, text: &str) -> Self {
        if path.file_name().is_some_and(|name| name == configuration::FILE) {
            return Self::Configuration;
        }
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("fw") => return Self::Policy,
            Some("fwtest") => return Self::Test,
            Some("yml" | "yaml" | "json" | "env" | "toml") if language != "json" && language != "jsonc" => {
                return Self::Other;
            }
            _ => {}
        }
        match language {
            "fwc" | "fw" => Self::Policy,
            "fwtest" => Self::Test,
            _ => listing::form(path, text).filter(|form| *form != Form::Ipset).map_or(Self::Other, Self::Rules),
        }
    }
}

/// The texts of a root.
#[derive(Debug, Default)]
pub struct Table {
    /// The texts.
    pub files: Vec<SourceText>,
    /// By what name each is known.
    pub keys: Vec<PathBuf>,
    /// Of these, the first are not of the standard library.
    pub own: usize,
}

impl Table {
    /// Which of them a file is.
    pub fn file(&self, key: &Path) -> Option<FileId> {
        let at = self.keys.iter().take(self.own).position(|known| known == key)?;
        u32::try_from(at).ok().map(FileId)
    }
}

/// A root and what is known of it.
pub struct Subject {
    /// The file that reading begins with.
    pub path: PathBuf,
    /// What it is.
    pub kind: Kind,
    /// Its database and its input there; none for rule sets.
    pub policy: Option<(Database, ProjectInput)>,
    /// Its texts as they are now.
    pub table: Arc<Table>,
    /// The files that it would depend on, whether they exist or not.
    pub asked: BTreeSet<PathBuf>,
    /// The levels of codes there.
    levels: Levels,
    /// The configuration that should say the levels, if it cannot.
    pub misconfigured: Option<Unusable>,
    /// What reading, names and kinds say.
    at_once: Vec<Diagnostic>,
    /// What the worker says; of an earlier text until it has looked at this one, with places moved along.
    later: [Vec<Diagnostic>; 2],
    /// The states that the worker was given last, the newest behind: the database lets go of a value two changes after it has a new one,
    /// and who lets go last frees it.
    given: VecDeque<Unchecked>,
    /// Counts the changes. Whoever proves an earlier one may give it up.
    revision: Arc<AtomicU64>,
}

impl Subject {
    /// A root of which nothing is known yet.
    pub fn new(path: PathBuf, kind: Kind) -> Self {
        Self {
            path,
            kind,
            policy: None,
            table: Arc::default(),
            asked: BTreeSet::new(),
            levels: Levels::default(),
            misconfigured: None,
            at_once: Vec::new(),
            later: Default::default(),
            given: VecDeque::new(),
            revision: Arc::default(),
        }
    }

    /// Counts a result in if it is of the text as it is now.
    pub fn is_current(&self, revision: u64) -> bool {
        self.revision.load(Ordering::Acquire) == revision
    }

    /// Gives up what is being proved.
    pub fn give_up(&self) {
        self.revision.fetch_add(1, Ordering::AcqRel);
    }

    /// Reads everything again.
    pub fn read(&mut self, documents: &Documents) {
        self.give_up();
        let overlay = Overlay::new(documents);
        let bytes = overlay.read(&self.path, MAX_FILE_BYTES).unwrap_or_default();
        let mut root = Root { path: self.path.clone(), bytes };
        let directory = self.path.parent().unwrap_or(Path::new(""));
        let configuration = match self.kind {
            Kind::Configuration => configuration::from_bytes(self.path.clone(), root.bytes.clone()),
            _ => configuration::nearest(&overlay, directory),
        };
        (self.levels, self.misconfigured) = match configuration {
            Ok(configuration) => (configuration.levels, None),
            Err(unusable) => (Levels::default(), Some(unusable)),
        };
        let files = if matches!(self.kind, Kind::Rules(_) | Kind::Configuration) {
            let text = String::from_utf8_lossy(&root.bytes).into_owned();
            vec![SourceText { path: self.path.to_string_lossy().into(), text: text.into() }]
        } else {
            if self.kind == Kind::Test {
                with_policy(&overlay, &mut root);
            }
            let facts = self.path.with_file_name(FACTS);
            let facts = overlay.read(&facts, MAX_FILE_BYTES).ok().map(|bytes| Root { path: facts, bytes });
            let options = Options { facts, levels: self.levels.clone(), ..Options::default() };
            match &mut self.policy {
                Some((db, input)) => db.reload(*input, &overlay, root, options),
                None => {
                    let mut db = Database::default();
                    let input = db.load(&overlay, root, options);
                    self.policy = Some((db, input));
                }
            }
            self.policy.as_ref().map(|(db, input)| database::project(db, *input).files.clone()).unwrap_or_default()
        };
        let library = self.policy.as_ref().map_or(0, |(db, input)| database::project(db, *input).library.len());
        let own = files.len() - library.min(files.len());
        self.asked = overlay.asked();
        self.keep_places(&files);
        let before = &self.table;
        let same = |(old, new): (&SourceText, &SourceText)| old.path == new.path;
        let keys = if files.len() == before.files.len() && before.files.iter().zip(&files).all(same) {
            before.keys.clone()
        } else {
            files.iter().map(|file| Documents::identity(Path::new(&*file.path))).collect()
        };
        self.table = Arc::new(Table { files, keys, own });
    }

    /// Moves what the worker said of the texts before along with them.
    fn keep_places(&mut self, files: &[SourceText]) {
        if self.later.iter().all(Vec::is_empty) {
            return;
        }
        if files.len() != self.table.files.len() {
            self.later = Default::default();
            return;
        }
        let moved: Vec<Option<Moved>> = self
            .table
            .files
            .iter()
            .zip(files)
            .map(|(old, new)| (old.path == new.path).then(|| Moved::new(&old.text, &new.text)))
            .collect();
        let place = |location: &mut crate::span::Location| {
            let moved = moved.get(location.file.0 as usize).copied().flatten();
            match moved.and_then(|moved| moved.span(location.span)) {
                Some(span) => {
                    location.span = span;
                    true
                }
                None => false,
            }
        };
        for part in &mut self.later {
            part.retain_mut(|one| {
                one.helps.retain_mut(|help| help.edits.iter_mut().all(|edit| place(&mut edit.location)));
                one.related.retain_mut(|label| place(&mut label.location));
                place(&mut one.primary.location)
            });
        }
    }

    /// What can be said at once. Then what there is to check and to prove, for the worker; and an earlier state, of which nothing is asked
    /// any more, to be let go when there is time: to free a large policy takes as long as to read it.
    pub fn check(&mut self) -> (Job, Option<Unchecked>) {
        let mut before = None;
        let work = match (&self.policy, self.kind) {
            (Some((db, input)), kind) => {
                let unchecked = Unchecked::new(db, *input);
                self.at_once = unchecked.said().to_vec();
                if kind == Kind::Test {
                    // A policy's warnings stand at the policy.
                    self.at_once.retain(|one| self.levels.stops(one));
                    let project = database::project(db, *input);
                    let tree = project.parsed.first().and_then(Option::as_ref).map(|parsed| &parsed.tree);
                    self.at_once.extend(tree.map(|tree| test::rules_in(tree, FileId(0))).unwrap_or_default());
                }
                if self.at_once.iter().any(|one| self.levels.stops(one)) {
                    self.say(Part::Proofs, Vec::new());
                }
                self.given.push_back(unchecked.clone());
                before = (self.given.len() > GENERATIONS).then(|| self.given.pop_front()).flatten();
                Work::Policy { unchecked, asserts_only: kind == Kind::Test }
            }
            (None, Kind::Rules(form)) => {
                let source = self
                    .table
                    .files
                    .first()
                    .cloned()
                    .unwrap_or_else(|| SourceText { path: "".into(), text: "".into() });
                let reading = read(&source, form, listing::family(&source.path));
                self.at_once = reading.faults.iter().map(unreadable).collect();
                Expectations::of_rules(&source, form).excuse(&mut self.at_once, &mut Vec::new());
                Work::Rules { source, form }
            }
            (None, _) => Work::Nothing,
        };
        let (revision, now) = (self.revision.load(Ordering::Acquire), Arc::clone(&self.revision));
        (Job { root: self.path.clone(), revision, now, work }, before)
    }

    /// Takes in what the worker says.
    pub fn say(&mut self, part: Part, diagnostics: Vec<Diagnostic>) {
        let [checks, proofs] = &mut self.later;
        *match part {
            Part::Checks => checks,
            Part::Proofs => proofs,
        } = diagnostics;
    }

    /// Everything that is said, with what it weighs here; what is not told here is left out.
    pub fn diagnostics(&self) -> impl Iterator<Item = (Level, &Diagnostic)> {
        self.at_once.iter().chain(self.later.iter().flatten()).filter_map(|one| Some((self.levels.of(one.code)?, one)))
    }

    /// The files that take part, or would if they existed.
    pub fn rests_on(&self) -> BTreeSet<PathBuf> {
        let own = self.table.keys.iter().take(self.table.own);
        own.chain(&self.asked).chain([&self.path]).cloned().collect()
    }
}

/// A file of tests that names no policy tests the one beside it of its name, as `fwc test` does.
fn with_policy(overlay: &Overlay<'_>, root: &mut Root) {
    let text = String::from_utf8_lossy(&root.bytes);
    if test::names_policy(&syntax::parse(&text, FileId(0)).tree) {
        return;
    }
    let policy = root.path.with_extension("fw");
    let name = policy.file_name().and_then(|name| name.to_str()).filter(|name| !name.contains(['"', '*', '?', '[']));
    if let Some(name) = name.filter(|_| overlay.read(&policy, MAX_FILE_BYTES).is_ok()) {
        root.bytes.extend(format!("\ninclude \"{name}\"\n").into_bytes());
    }
}
