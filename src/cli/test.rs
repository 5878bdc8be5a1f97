//! `fwc test`: whether what files of tests claim of a policy is so.

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use super::failure::Failure;
use super::inputs::{InputArguments, STANDARD_INPUT, read_root};
use super::render::{Sheet, full, harmless, json, short};
use super::{Color, Ending, Format, check, disk, print};
use crate::assertion::{Assumption, Outcome, Proof, test};
use crate::database::{self, Database};
use crate::diagnostic::Diagnostic;
use crate::levels::codes::UNFULFILLED;
use crate::project::Root;
use crate::span::{FileId, LineIndex, Location, SourceText};
use crate::syntax;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Files of tests; of a directory, every *.fwtest below it. One that includes no policy tests the policy beside it of the
    /// same name: site.fwtest tests site.fw
    #[arg(required = true)]
    path: Vec<PathBuf>,
    #[command(flatten)]
    input: InputArguments,
    /// How the diagnostics are written; `json` writes nothing else
    #[arg(long, default_value = "full")]
    format: Format,
}

/// What files of tests end in.
const ENDING: &str = "fwtest";

/// How many asserts hold, and how many were not shown to.
#[derive(Default)]
struct Score {
    passed: usize,
    failed: usize,
    /// Not shown to hold, and a comment says that this is known.
    expected: usize,
    /// Files that could not be tested.
    broken: usize,
    /// What those that hold rest on.
    assumes: BTreeSet<Assumption>,
}

pub(super) fn run(arguments: &Arguments, color: Color) -> Result<Ending, Failure> {
    let mut files = Vec::new();
    for path in &arguments.path {
        if path.is_dir() {
            let found = check::below(path, ENDING)?;
            if found.is_empty() {
                return Err(Failure::new(format!("there are no tests (*.{ENDING}) below `{}`", path.display())));
            }
            files.extend(found);
        } else {
            files.push(path.clone());
        }
    }
    let color = color.on(std::io::stdout().is_terminal());
    let mut score = Score::default();
    for path in &files {
        let root = with_policy(path, read_root(path)?)?;
        let options = arguments.input.options(path)?;
        let levels = options.levels.clone();
        let mut db = Database::default();
        let input = db.load(&disk::Disk, root, options);
        let project = database::project(&db, input);
        let parsed = project.parsed.first().and_then(Option::as_ref);
        let mut faults = parsed.map(|parsed| test::rules_in(&parsed.tree, FileId(0))).unwrap_or_default();
        let (said, proofs) = database::proofs(&db, input);
        // A policy's warnings are for `fwc check`.
        let missed = |one: &Diagnostic| one.code == &UNFULFILLED && one.primary.location.file == FileId(0);
        let (missed, said): (Vec<_>, Vec<_>) = said.into_iter().partition(missed);
        faults.extend(said.into_iter().filter(|one| levels.stops(one)));
        let mut told = String::new();
        if faults.is_empty() {
            for proof in &proofs {
                told.push_str(&line(&project.files, proof));
                match proof.outcome {
                    Outcome::Holds => {
                        score.passed += 1;
                        score.assumes.extend(&proof.assumes);
                    }
                    _ if proof.diagnostic.is_none() => score.expected += 1,
                    _ => score.failed += 1,
                }
            }
            if proofs.is_empty() {
                return Err(Failure::new(format!("`{}` asserts nothing", path.display())));
            }
        } else {
            score.broken += 1;
        }
        faults.extend(missed);
        faults.extend(proofs.into_iter().filter_map(|proof| proof.diagnostic));
        let sheet = Sheet::new(&project.files, &faults, &levels);
        let diagnostics = match arguments.format {
            Format::Full => full::render(&sheet, color),
            Format::Short => short::render(&sheet),
            Format::Json => json::render(&sheet),
        };
        if arguments.format != Format::Json {
            print(&told)?;
        }
        print(&diagnostics)?;
    }
    if arguments.format != Format::Json {
        print(&score.assumed())?;
        print(&score.line())?;
    }
    Ok(if score.failed + score.broken > 0 { Ending::Errors } else { Ending::Clean })
}

impl Score {
    /// `proved if the jumps to fwc's chains are in place`, and so on; nothing if nothing was proved.
    fn assumed(&self) -> String {
        let all: Vec<String> = self.assumes.iter().map(ToString::to_string).collect();
        if all.is_empty() { String::new() } else { format!("proved if {}\n", all.join(";\n  and ")) }
    }

    fn line(&self) -> String {
        let broken = match self.broken {
            0 => String::new(),
            1 => ", 1 file with errors".to_owned(),
            many => format!(", {many} files with errors"),
        };
        let expected = if self.expected > 0 { format!(", {} expected", self.expected) } else { String::new() };
        format!("{} passed, {} failed{expected}{broken}\n", self.passed, self.failed)
    }
}

/// `ok        site.fwtest:3  assert deny ssh from not office to host`.
fn line(files: &[SourceText], proof: &Proof) -> String {
    let word = match proof.outcome {
        Outcome::Holds => "ok       ",
        _ if proof.diagnostic.is_none() => "expected ",
        Outcome::Fails => "FAILS    ",
        Outcome::WithinLimits => "limited  ",
        Outcome::Undecided => "undecided",
        Outcome::OutOfWork => "unknown  ",
        Outcome::Nothing => "empty    ",
    };
    let (place, text) = shown(files, proof.location);
    format!("{word} {place}  {text}\n")
}

/// Where a statement stands, and its words on one line.
fn shown(files: &[SourceText], location: Location) -> (String, String) {
    let Some(source) = files.get(location.file.0 as usize) else { return Default::default() };
    let (line, _) = LineIndex::new(&source.text).line_column(location.span.start);
    let words = source.text.get(location.span.range()).unwrap_or_default().split_whitespace();
    let words: Vec<&str> = words.collect();
    (harmless(&format!("{}:{line}", source.path)), harmless(&words.join(" ")))
}

/// A file of tests that names no policy tests the one beside it: that is included behind its last line, where it moves no line of
/// the tests. Declarations may stand anywhere.
fn with_policy(path: &Path, mut root: Root) -> Result<Root, Failure> {
    let text = String::from_utf8_lossy(&root.bytes);
    if test::names_policy(&syntax::parse(&text, FileId(0)).tree) {
        return Ok(root);
    }
    let policy = path.with_extension("fw");
    let name = policy.file_name().and_then(|name| name.to_str()).filter(|name| !name.contains(['"', '*', '?', '[']));
    let Some(name) = name.filter(|_| path.as_os_str() != STANDARD_INPUT && policy.is_file()) else {
        let beside = if path.as_os_str() == STANDARD_INPUT { "beside it" } else { "of its name beside it" };
        return Err(Failure::new(format!(
            "`{}` includes no policy, and there is none {beside}: say `include \"site.fw\"` in it",
            path.display()
        )));
    };
    root.bytes.extend(format!("\ninclude \"{name}\"\n").into_bytes());
    Ok(root)
}
