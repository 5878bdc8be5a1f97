//! What is offered to be done, and what becomes of it: every action that is offered anywhere in any policy is carried out.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use fwc::assertion::{self, Outcome};
use fwc::check::late;
use fwc::database::{self, Database, ProjectInput, Unchecked};
use fwc::diagnostic::{Diagnostic, Edit};
use fwc::ide::action::{self, Action, ActionKind};
use fwc::levels::codes as comments;
use fwc::lower::lower;
use fwc::netfilter::Target;
use fwc::span::{FileId, Location, Span};
use fwc::verify::verify;

use super::features::check;
use super::hostile::case;
use super::{Case, agrees, cases};
use crate::fixture::{self, Fixture};

/// Everything that is said of a policy.
fn said(db: &Database, input: ProjectInput) -> Vec<Diagnostic> {
    let case = Unchecked::new(db, input).check(&|| false).expect("nobody gives it up");
    let mut said: Vec<Diagnostic> = case.said().cloned().collect();
    let verdicts = case.asserts(&|| false).expect("nobody gave it up");
    said.extend(case.found(verdicts, false, &|| false).expect("nobody gave it up").whole());
    said
}

/// Everything that is offered at a place.
fn offered<'s>(
    db: &Database,
    input: ProjectInput,
    said: &'s [Diagnostic],
    file: FileId,
    offset: u32,
    proved: bool,
) -> Vec<Action<'s>> {
    let span = Span { start: offset, end: offset };
    let source = input.files(db)[file.0 as usize].0.source(db);
    let mut found = action::about(said, source, Location { file, span }, true);
    found.extend(action::rewrites(db, input, file, span, proved));
    found
}

/// The files after edits; a file is known by its path.
fn carried_out(
    db: &Database,
    input: ProjectInput,
    files: &[(String, String)],
    edits: &[Edit],
) -> Vec<(String, String)> {
    let mut files = files.to_vec();
    let mut edits = edits.to_vec();
    edits.sort_by_key(|edit| edit.location);
    for Edit { location, replacement } in edits.iter().rev() {
        let path = &input.files(db)[location.file.0 as usize].0.source(db).path;
        let (_, text) = files.iter_mut().find(|(name, _)| **name == **path).expect("a file of the case");
        text.replace_range(location.span.range(), replacement);
    }
    files
}

#[test]
fn actions() {
    check("actions", &|db, input, file, offset| {
        let said = said(db, input);
        let mut out = String::new();
        let own = |id: u32| {
            let source = input.files(db)[id as usize].0.source(db);
            (source.path.to_string(), source.text.to_string())
        };
        let count = u32::try_from(input.files(db).len()).expect("few");
        let files: Vec<_> = (0..count).map(own).filter(|(path, _)| !path.starts_with("std:")).collect();
        for action in offered(db, input, &said, file, offset, true) {
            let kind = match action.kind {
                ActionKind::Repairs { of, alone } => {
                    format!("repairs {}{}", of.code.number, if alone { ", preferred" } else { "" })
                }
                ActionKind::Expects(of) => format!("expects {}", of.code.number),
                other => format!("{other:?}").to_lowercase(),
            };
            let _ = writeln!(out, "----- {} [{kind}]", action.title);
            let after = carried_out(db, input, &files, &action.edits);
            for ((_, before), (_, after)) in files.iter().zip(&after).filter(|(before, after)| before != after) {
                let diff = similar::TextDiff::from_lines(before.as_str(), after.as_str());
                out.push_str(&diff.unified_diff().context_radius(1).to_string());
            }
        }
        if out.is_empty() { "nothing".to_owned() } else { out }
    });
}

/// How many actions of each kind were carried out.
type Tally = BTreeMap<&'static str, usize>;

/// A policy and what is said of it.
struct Subject<'c> {
    case: &'c Case,
    db: Database,
    input: ProjectInput,
    said: Vec<Diagnostic>,
}

impl<'c> Subject<'c> {
    fn new(case: &'c Case) -> Self {
        let mut db = Database::default();
        let input = case.load(&mut db);
        let said = said(&db, input);
        Self { case, db, input, said }
    }

    fn text(&self) -> &str {
        &self.input.files(&self.db)[0].0.source(&self.db).text
    }

    /// How many lines cannot be read.
    fn faults(&self) -> usize {
        database::source_diagnostics(&self.db, self.input).len()
    }

    /// How often something is said.
    fn times(&self, one: &Diagnostic) -> usize {
        self.said.iter().filter(|other| other.code == one.code && other.message == one.message).count()
    }

    /// Asserts, and those of them that hold.
    fn asserts(&self) -> (usize, usize) {
        let (_, proofs) = database::proofs(&self.db, self.input);
        (proofs.len(), proofs.iter().filter(|one| one.outcome == Outcome::Holds).count())
    }

    /// The policy after an action.
    fn after(&self, action: &Action<'_>) -> Case {
        let files = carried_out(&self.db, self.input, &self.case.files, &action.edits);
        Case { title: format!("{}: {}", self.case.title, action.title), files, cursor: None }
    }

    /// Carries out everything that is offered at its statements and where something is said, and looks at what comes of it.
    fn try_all(&self, tally: &mut Tally, proved: bool) {
        let outline = fwc::syntax::outline::outline(self.text());
        let told = self.said.iter().map(|one| one.primary.location).filter(|location| location.file == FileId(0));
        let places =
            outline.entries.iter().map(|entry| entry.span.start).chain(told.map(|location| location.span.start));
        let mut seen: Vec<Vec<Edit>> = Vec::new();
        for offset in places {
            for action in offered(&self.db, self.input, &self.said, FileId(0), offset, proved) {
                if !seen.contains(&action.edits) {
                    self.look_at(&action, tally);
                    seen.push(action.edits);
                }
            }
        }
    }

    /// As [`Subject::try_all`], for what makes one statement of several.
    fn try_folds(&self, tally: &mut Tally) {
        let mut seen: Vec<Vec<Edit>> = Vec::new();
        for entry in &fwc::syntax::outline::outline(self.text()).entries {
            let place = Span { start: entry.span.start, end: entry.span.start };
            for action in action::rewrites(&self.db, self.input, FileId(0), place, false) {
                if !seen.contains(&action.edits) {
                    self.look_at(&action, tally);
                    seen.push(action.edits);
                }
            }
        }
    }

    /// Carries an action out and looks at what comes of it.
    fn look_at(&self, action: &Action<'_>, tally: &mut Tally) {
        let case = self.after(action);
        let after = Subject::new(&case);
        let title = format!("{}\n{}\n=====\n{}\n{:#?}", case.title, self.text(), after.text(), after.said);
        assert!(after.faults() <= self.faults(), "it cannot be read: {title}");
        let kind = match action.kind {
            ActionKind::Repairs { of, .. } => {
                assert!(after.times(of) < self.times(of), "{} is still there: {title}", of.code.number);
                // A statement that decides nothing is missed by nobody.
                if of.code == &late::REDUNDANT && action.title == "Delete it" {
                    self.means(&after, &title);
                }
                "repairs"
            }
            ActionKind::Expects(of) => {
                assert!(after.times(of) < self.times(of), "{} is still there: {title}", of.code.number);
                let of_comments = |one: &&Diagnostic| comments::CODES.contains(&one.code);
                let count = |said: &[Diagnostic]| said.iter().filter(of_comments).count();
                assert!(count(&after.said) <= count(&self.said), "{title}");
                "expects"
            }
            ActionKind::Folds => self.means(&after, &title),
            ActionKind::Asserts => {
                let (all, holding) = self.asserts();
                assert_eq!(after.asserts(), (all + 1, holding + 1), "{title}");
                "asserts"
            }
        };
        *tally.entry(kind).or_default() += 1;
    }

    /// Whether a policy means the same after an action: what is written of it is proved to be what the one before was lowered to.
    fn means(&self, after: &Subject<'_>, title: &str) -> &'static str {
        let faulty = |one: &Diagnostic| one.is_error() && assertion::is_hole(one);
        assert!(after.said.iter().all(|one| !faulty(one) || self.said.iter().any(faulty)), "{title}");
        let mut proved = "folds in policies that are not built";
        for target in [Target::Iptables, Target::Nft] {
            let outputs = outputs(after.case, target);
            if outputs.is_empty() {
                continue;
            }
            let rules = lower(&database::resolved(&self.db, self.input).0, target).0;
            let compared = verify(&rules, target, &outputs);
            // What is wrong with a policy's files already is not the action's fault.
            if compared.is_err() && verify(&rules, target, &self::outputs(self.case, target)).is_err() {
                proved = "folds in policies that are not built right";
                continue;
            }
            assert_eq!(compared, Ok(Vec::new()), "it means something else: {title}");
            proved = "folds";
        }
        proved
    }
}

/// The files that a policy comes to; none if it has errors.
fn outputs(case: &Case, target: Target) -> Vec<(String, String)> {
    let mut db = Database::default();
    let input = case.load_for(&mut db, Some(target));
    db.compile_once(input, "policy", &[], false).1.outputs
}

/// The policies of the constructs, half of those of the tests of diagnostics, and those with a cursor.
fn all_cases() -> Vec<Case> {
    let mut found = cases("actions");
    for (path, text) in agrees::policies() {
        let name = path.to_string_lossy().into_owned();
        if name.contains("construct") {
            found.push(Case {
                title: name,
                ..case(&text, std::fs::read_to_string(path.with_extension("facts.json")).ok())
            });
        } else if ["tests/check", "tests/expect"].iter().any(|directory| name.contains(directory)) {
            for (number, case) in fixture::cases(&text).1.into_iter().enumerate().step_by(2) {
                found.push(Case::new(Fixture { title: format!("{name} {number}"), ..case }));
            }
        }
    }
    found
}

#[test]
fn whatever_is_offered_does_what_it_says() {
    let mut tally = Tally::new();
    for (number, case) in all_cases().iter().enumerate() {
        Subject::new(case).try_all(&mut tally, number % 8 == 0);
    }
    println!("{tally:?}");
    let enough = [("repairs", 40), ("expects", 60), ("folds", 5), ("asserts", 25)];
    assert!(enough.iter().all(|(kind, least)| tally.get(kind).is_some_and(|count| count >= least)), "{tally:?}");
}

/// Rules with another address or port, each behind its pattern: what can be folded comes to the same rules.
#[test]
fn folded_rules_mean_the_same_in_every_construct() {
    let mut tally = Tally::new();
    for case in all_cases() {
        let (path, text) = &case.files[0];
        let lines = text.lines().flat_map(|line| [Some(line.to_owned()), varied(line)].into_iter().flatten());
        let varied: String = lines.map(|line| line + "\n").collect();
        let mut files = case.files.clone();
        files[0] = (path.clone(), varied);
        let varied = Case { title: format!("{}, varied", case.title), files, cursor: None };
        Subject::new(&varied).try_folds(&mut tally);
    }
    println!("{tally:?}");
    assert!(tally["folds"] > 80, "{tally:?}");
}

/// A line that allows or denies, with its last number another.
fn varied(line: &str) -> Option<String> {
    let first = line.split_whitespace().next()?;
    if !["allow", "deny", "reject"].contains(&first) || line.contains(['#', '{', '}', '"']) {
        return None;
    }
    let digit = line.rfind(|letter: char| letter.is_ascii_digit())?;
    let start = line[..=digit].rfind(|letter: char| !letter.is_ascii_digit())? + 1;
    let number: u32 = line[start..=digit].parse().ok()?;
    let other = if number > 32 { number - 1 } else { number + 1 };
    Some(format!("{}{other}{}", &line[..start], &line[digit + 1..]))
}
