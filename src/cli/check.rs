//! `fwc check`: what is wrong with policies, and with rule sets that exist already.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::build::in_force;
use super::failure::Failure;
use super::inputs::{InputArguments, read_root};
use super::report::{FormatArguments, Order, Reporter};
use super::{Color, Ending, disk, print_aside};
use crate::database::{self, Database, Found, ProjectInput, Unchecked};
use crate::diagnostic::Diagnostic;
use crate::expectation::Expectations;
use crate::host::listing as given;
use crate::levels::Levels;
use crate::levels::codes::UNFULFILLED;
use crate::project::{ImportKind, Options, ReadError, Root, System};
use crate::prove::findings::codes::NOT_READ;
use crate::read::Form;
use crate::rules::{compose, listing};
use crate::span::{Location, SourceText, Span};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Policies, or rule sets (iptables-save, ip6tables-save, nft list ruleset, also as JSON); of a directory, every *.fw below it
    /// that no other includes; `-` for the standard input
    #[arg(required = true)]
    path: Vec<PathBuf>,
    #[command(flatten)]
    input: InputArguments,
    #[command(flatten)]
    format: FormatArguments,
    /// Tell also what is rarely a fault: rules of opposite verdicts that share packets, rules that say what the policy says, and
    /// findings in rules that Docker and others write
    #[arg(long)]
    all: bool,
}

/// How deep a directory is searched for policies.
const DEPTH: usize = 32;

pub(super) fn run(arguments: &Arguments, color: Color) -> Result<Ending, Failure> {
    arguments.input.check_levels()?;
    let mut roots = Vec::new();
    for path in &arguments.path {
        if path.is_dir() {
            roots.extend(policies(path)?);
        } else {
            roots.push(path.clone());
        }
    }
    let color = color.on(std::io::stdout().is_terminal());
    let mut reporter = Reporter::new(&arguments.format, color)?;
    let mut checked = Vec::new();
    for root in &roots {
        let text = read_root(root)?;
        if let Some((form, source)) = rule_set(&text) {
            checked.push(Checked::listing(form, source, arguments.input.levels(root)?, arguments.all)?);
            continue;
        }
        if let Some(silent) = compose::silent_policy(&text) {
            checked.push(Checked::compose(silent, arguments.input.options(root)?));
            continue;
        }
        let mut db = Database::default();
        let options = arguments.input.options(root)?;
        let input = db.load(&disk::Disk, text, options);
        checked.push(Checked::policy(db, input, arguments.all));
    }
    agree(&mut checked);
    let mut told = Vec::new();
    for one in &checked {
        let tally = reporter.add(&one.files, &one.diagnostics, &one.levels, one.order)?;
        if let (Some(line), Some(root)) = (&one.in_force, one.files.first())
            && tally.errors == 0
            && reporter.is_for_people()
        {
            told.push(in_force(&root.path, line));
        }
    }
    let tally = reporter.finish()?;
    told.iter().for_each(|line| print_aside(line));
    let open = checked.iter().flat_map(|one| &one.diagnostics).any(|one| one.code == &NOT_READ);
    Ok(match tally.errors {
        0 if open => Ending::Open,
        0 => Ending::Clean,
        _ => Ending::Errors,
    })
}

/// A policy or a rule set that was checked.
struct Checked {
    files: Vec<SourceText>,
    /// The paths of those files in which comments speak to fwc.
    own: BTreeSet<Arc<str>>,
    diagnostics: Vec<Diagnostic>,
    levels: Levels,
    order: Order,
    /// What a policy has in force, in one line.
    in_force: Option<String>,
}

/// A text that is a rule set already, by what it begins with.
fn rule_set(root: &Root) -> Option<(Form, SourceText)> {
    let text = std::str::from_utf8(&root.bytes).ok()?;
    let form = given::form(&root.path, text)?;
    Some((form, SourceText { path: root.path.to_string_lossy().into(), text: text.into() }))
}

impl Checked {
    /// Who reaches what a compose file publishes.
    fn compose(silent: Root, options: Options) -> Self {
        let levels = options.levels.clone();
        let mut db = Database::default();
        let input = db.load(&disk::Disk, silent, options);
        let files = database::project(&db, input).files.clone();
        let mut diagnostics: Vec<Diagnostic> = Unchecked::new(&db, input).said().to_vec();
        if !diagnostics.iter().any(Diagnostic::is_error) {
            diagnostics.extend(compose::check(&database::resolved(&db, input).0));
        }
        Self { own: BTreeSet::new(), files, diagnostics, levels, order: Order::Worth, in_force: None }
    }

    /// What is wrong with a rule set.
    fn listing(form: Form, source: SourceText, levels: Levels, all: bool) -> Result<Self, Failure> {
        if form == Form::Ipset {
            let advice = "check the rules that look into them";
            return Err(Failure::new(format!("`{}` has sets and no rules: {advice}", source.path)));
        }
        let mut diagnostics =
            listing::listing(&source, form, given::family(&source.path), &[], all, |table, chain, rule| {
                all || given::is_users(table, chain, rule)
            });
        Expectations::settle_rules(&source, form, all, &mut diagnostics);
        Ok(Self {
            own: BTreeSet::from([Arc::clone(&source.path)]),
            files: vec![source],
            diagnostics,
            levels,
            order: Order::Worth,
            in_force: None,
        })
    }

    /// What is wrong with a policy. The database is let go when its texts are read.
    fn policy(db: Database, input: ProjectInput, all: bool) -> Self {
        let project = Arc::clone(database::project(&db, input));
        let policies = project.files.iter().zip(&project.parsed).filter(|(_, parsed)| parsed.is_some());
        let own = policies.map(|(source, _)| Arc::clone(&source.path)).collect();
        let (files, levels) = (project.files.clone(), input.levels(&db).clone());
        drop(project);
        let unchecked = Unchecked::new(&db, input);
        drop(db);
        let (mut diagnostics, mut in_force) = (Vec::new(), None);
        if let Some(case) = unchecked.check(&|| false) {
            diagnostics.extend(case.said().cloned());
            let verdicts = case.asserts(&|| false);
            in_force = verdicts.as_ref().map(|verdicts| case.in_force(verdicts));
            let found = verdicts.and_then(|verdicts| case.found(verdicts, all, &|| false));
            diagnostics.extend(found.into_iter().flat_map(Found::whole));
        }
        Self { files, own, diagnostics, levels, order: Order::Place, in_force }
    }

    /// What is said, as it is the same from whichever policy includes the file: path, place, code, message.
    fn key(&self, one: &Diagnostic) -> (Arc<str>, Span, &'static str, String) {
        let Location { file, span } = one.primary.location;
        let path = self.files.get(file.0 as usize).map_or_else(|| "".into(), |source| Arc::clone(&source.path));
        (path, span, one.code.number, one.message.clone())
    }
}

/// Files may be part of several policies. Their faults are the same in each, and are told once. What a comment in them expects is missed
/// if it comes in none.
fn agree(checked: &mut [Checked]) {
    let missed = |one: &&Diagnostic| one.code == &UNFULFILLED;
    let mut times: BTreeMap<_, usize> = BTreeMap::new();
    for one in checked.iter() {
        let keys: BTreeSet<_> = one.diagnostics.iter().filter(missed).map(|missed| one.key(missed)).collect();
        keys.into_iter().for_each(|key| *times.entry(key).or_default() += 1);
    }
    times.retain(|(path, ..), times| *times == checked.iter().filter(|one| one.own.contains(path)).count());
    let mut told = BTreeSet::new();
    for one in checked {
        let mut diagnostics = std::mem::take(&mut one.diagnostics);
        diagnostics.retain(|diagnostic| {
            let key = one.key(diagnostic);
            (!missed(&diagnostic) || times.contains_key(&key)) && told.insert(key)
        });
        one.diagnostics = diagnostics;
    }
}

/// The policies below a directory that no other policy below it includes. Files that only include each other in a circle have
/// no such file among them; then the first by name stands for the circle.
fn policies(directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    search(directory, DEPTH, "fw", &mut found)?;
    found.sort_unstable();
    if found.is_empty() {
        return Err(Failure::new(format!("there is no policy (*.fw) below `{}`", directory.display())));
    }
    let reached: Vec<BTreeSet<PathBuf>> = found.iter().map(|path| includes(path)).collect::<Result<_, _>>()?;
    let identity = |path: &Path| disk::Disk.identity(path).unwrap_or_else(|| path.to_path_buf());
    let included: BTreeSet<&PathBuf> = reached.iter().flatten().collect();
    let mut covered: BTreeSet<PathBuf> = BTreeSet::new();
    let mut roots = Vec::new();
    let is_included = |path: &PathBuf| included.contains(&identity(path));
    for circles in [false, true] {
        for (path, reaches) in found.iter().zip(&reached) {
            let wanted = if circles { !covered.contains(&identity(path)) } else { !is_included(path) };
            if wanted {
                covered.insert(identity(path));
                covered.extend(reaches.iter().cloned());
                roots.push(path.clone());
            }
        }
    }
    roots.sort_unstable();
    Ok(roots)
}

/// The files that a policy includes, directly or through others; not itself.
fn includes(path: &Path) -> Result<BTreeSet<PathBuf>, Failure> {
    let mut db = Database::default();
    let input = db.load(&disk::Disk, read_root(path)?, Options::default());
    let project = database::project(&db, input);
    let included = project.imports.iter().filter(|import| import.kind == ImportKind::Include);
    let paths = included.flat_map(|import| &import.files).filter_map(|&file| project.source(file));
    Ok(paths.filter_map(|source| disk::Disk.identity(Path::new(&*source.path))).collect())
}

/// The files below a directory whose names end so, sorted.
pub(super) fn below(directory: &Path, ending: &str) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    search(directory, DEPTH, ending, &mut found)?;
    found.sort_unstable();
    Ok(found)
}

/// Finds files by the ending of their names. Links to directories are not followed, and what begins with a dot is left alone.
fn search(directory: &Path, depth: usize, ending: &str, found: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let entries = disk::Disk.list(directory).map_err(|error: ReadError| Failure::read(directory.display(), error))?;
    for entry in entries {
        let path = directory.join(&entry.name);
        if entry.name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if entry.directory {
            if depth > 1 && !path.is_symlink() {
                search(&path, depth - 1, ending, found)?;
            }
        } else if path.extension().is_some_and(|extension| extension == ending) {
            found.push(path);
        }
    }
    Ok(())
}
