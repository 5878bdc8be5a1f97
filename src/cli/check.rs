//! `fwc check`: what is wrong with policies, and with rule sets that exist already.

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use super::failure::Failure;
use super::inputs::{InputArguments, read_root};
use super::report::{FormatArguments, Reporter};
use super::{Color, Ending, disk};
use crate::database::{self, Database, ProjectInput};
use crate::diagnostic::Diagnostic;
use crate::expectation::Expectations;
use crate::host::listing as given;
use crate::levels::Levels;
use crate::project::{ImportKind, Options, ReadError, Root, System};
use crate::prove::findings::listing;
use crate::read::Form;
use crate::span::SourceText;

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
    let mut checker = Checker { reporter: Reporter::new(&arguments.format, color)?, all: arguments.all };
    // An included file's faults are the same from wherever it is included; they are told once.
    let mut told = BTreeSet::new();
    for root in &roots {
        let text = read_root(root)?;
        if let Some((form, listing)) = rule_set(&text) {
            checker.listing(form, &listing, &arguments.input.levels(root)?)?;
            continue;
        }
        let mut db = Database::default();
        let options = arguments.input.options(root)?;
        let input = db.load(&disk::Disk, text, options);
        checker.policy(&db, input, &mut told)?;
    }
    let tally = checker.reporter.finish()?;
    Ok(if tally.errors > 0 { Ending::Errors } else { Ending::Clean })
}

/// What was told: path, place, code, message.
type Told = BTreeSet<(String, crate::span::Span, &'static str, String)>;

struct Checker {
    reporter: Reporter,
    all: bool,
}

/// A text that is a rule set already, by what it begins with.
fn rule_set(root: &Root) -> Option<(Form, SourceText)> {
    let text = std::str::from_utf8(&root.bytes).ok()?;
    let form = given::form(&root.path, text)?;
    Some((form, SourceText { path: root.path.to_string_lossy().into(), text: text.into() }))
}

impl Checker {
    /// Says what is wrong with a rule set.
    fn listing(&mut self, form: Form, source: &SourceText, levels: &Levels) -> Result<(), Failure> {
        if form == Form::Ipset {
            let advice = "check the rules that look into them";
            return Err(Failure::new(format!("`{}` has sets and no rules: {advice}", source.path)));
        }
        let mut diagnostics =
            listing::listing(source, form, given::family(&source.path), &[], self.all, |table, chain, rule| {
                self.all || given::is_users(table, chain, rule)
            });
        Expectations::settle_rules(source, form, self.all, &mut diagnostics);
        self.reporter.add(std::slice::from_ref(source), &diagnostics, levels)
    }

    /// Says what is wrong with a policy.
    fn policy(&mut self, db: &Database, input: ProjectInput, told: &mut Told) -> Result<(), Failure> {
        let project = database::project(db, input);
        let compiled = database::compile(db, input, "policy".to_owned());
        let found = database::findings(db, input, self.all);
        let new = compiled.diagnostics.iter().chain(&**found).filter(|one| {
            let location = one.primary.location;
            let path = project.source(location.file).map(|source| source.path.to_string()).unwrap_or_default();
            told.insert((path, location.span, one.code.number, one.message.clone()))
        });
        let diagnostics: Vec<Diagnostic> = new.cloned().collect();
        self.reporter.add(&project.files, &diagnostics, input.levels(db))
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
