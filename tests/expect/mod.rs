//! Policies with what `fwc check` says of them at the spot: under a line, carets below the characters that a diagnostic points at, its
//! severity, its code and, after a colon, what its message contains.
//!
//! ```text
//! # --- TITLE
//! allow shh to host
//! #     ^^^ error FW0201: there is no service
//! # @ docker-compose.yml
//! services: {}
//! ```
//!
//! Every diagnostic has to be annotated, and every annotation met; annotations are taken out before a text is read, so that they may be in
//! any file. Places that cannot be drawn are in [`annotation::mark`]; what points into a file that is not the fixture's is expected at the
//! top of the policy, as `# in std:sets.fw: error FW0213`. A policy without errors has to build, and its files to be proved equal to it.
//!
//! A case without a policy, whose one file is a rule set (`iptables-save`, `nft list ruleset`, a script of such commands), is checked as
//! `fwc check FILE` does it.
//!
//! Each file `tests/expect/*.fw` holds such cases. `UPDATE=1 cargo test expect` writes their annotations; read what changed. Other modules
//! use [`expect`] on a text of their own.

mod annotation;

use std::fmt::Write as _;
use std::fs;
use std::sync::Arc;

use fwc::database::{Database, Found, Unchecked, project};
use fwc::diagnostic::Diagnostic;
use fwc::host::listing::is_users;
use fwc::levels::Levels;
use fwc::net::Family;
use fwc::span::SourceText;
use fwc::{read, rules};
use similar::TextDiff;

use crate::fixture::{self, Fixture};
use annotation::{Annotation, mark, severity};

/// Asserts that a policy, and further files after lines `# @ PATH`, gives the diagnostics that are annotated in it, and no other.
#[track_caller]
pub fn expect(text: &str) {
    if let Err(difference) = compare(&Fixture::new("as the test expects", text)) {
        panic!("{difference}");
    }
}

/// An annotation and where it is: the file's place among those of its fixture, and how many lines of the file are above.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Placed {
    file: usize,
    below: usize,
    annotation: Annotation,
}

/// The fixture without its annotations, and these.
fn take_out(fixture: &Fixture) -> (Fixture, Vec<Placed>) {
    let mut plain = Fixture { title: fixture.title.clone(), files: Vec::new() };
    let mut expected = Vec::new();
    for (file, (path, text)) in fixture.files.iter().enumerate() {
        let (mut kept, mut below) = (String::new(), 0);
        for line in text.split_inclusive('\n') {
            if let Some(annotation) = Annotation::read(line.trim_end_matches('\n')) {
                expected.push(Placed { file, below, annotation });
            } else {
                kept.push_str(line);
                below += 1;
            }
        }
        plain.files.push((path.clone(), kept));
    }
    (plain, expected)
}

/// The fixture with annotations in it.
fn put_in(mut plain: Fixture, annotations: &[Placed]) -> Fixture {
    for (file, (_, text)) in plain.files.iter_mut().enumerate() {
        let at = |below: usize| annotations.iter().filter(move |one| one.file == file && one.below == below);
        let mut whole: String = at(0).map(|one| one.annotation.line()).collect();
        for (line, below) in text.split_inclusive('\n').zip(1..) {
            whole.push_str(line);
            if at(below).next().is_some() && !line.ends_with('\n') {
                whole.push('\n');
            }
            whole.extend(at(below).map(|one| one.annotation.line()));
        }
        *text = whole;
    }
    plain
}

/// What `fwc check` says of a project, and its texts. What it says of building is tried.
fn check(fixture: &Fixture) -> (Vec<SourceText>, Vec<Diagnostic>) {
    if let ("", [_, (path, text)]) = (fixture.policy(), fixture.files.as_slice()) {
        let source = SourceText { path: path.as_str().into(), text: text.as_str().into() };
        let form = read::detect(text).expect("a rule set");
        let diagnostics = rules::listing::listing(&source, form, Family::Ipv4, &[], false, is_users);
        return (vec![SourceText { path: fixture::POLICY.into(), text: "".into() }, source], diagnostics);
    }
    let mut db = Database::default();
    let input = fixture.load(&mut db, None);
    let project = Arc::clone(project(&db, input));
    let case = Unchecked::new(&db, input).check(&|| false).expect("not given up");
    let mut diagnostics: Vec<Diagnostic> = case.said().cloned().collect();
    let verdicts = case.asserts(&|| false).expect("not given up");
    diagnostics.extend(case.found(verdicts, false, &|| false).into_iter().flat_map(Found::whole));
    let (_, compiled) = db.compile_once(input, "site", &[], true);
    assert_eq!(compiled.disagreement, None, "{}: the files are not what the policy means", fixture.title);
    let wrong = diagnostics.iter().any(Diagnostic::is_error);
    assert_eq!(compiled.outputs.is_empty(), wrong, "{}: files are written if there is no error", fixture.title);
    (project.files.clone(), diagnostics)
}

/// A diagnostic as an annotation of a fixture.
fn placed(fixture: &Fixture, files: &[SourceText], diagnostic: Diagnostic) -> Placed {
    let Diagnostic { code, message, primary, .. } = diagnostic;
    // A rule set is the first file of its own, and the second of its case.
    let number = primary.location.file.0 as usize + usize::from(fixture.policy().is_empty() && files.len() == 2);
    let source = files.get(number).expect("a file of the project");
    let level = Levels::default().of(code).expect("a level");
    let annotation =
        |place| Annotation { place, severity: severity(level).to_owned(), code: code.number.to_owned(), message };
    match fixture.files.iter().position(|(path, _)| **path == *source.path) {
        None => Placed { file: 0, below: 0, annotation: annotation(format!("# in {}:", source.path)) },
        Some(file) => {
            let (line, place) = mark(&source.text, primary.location.span);
            let below = line.map_or(source.text.split_inclusive('\n').count(), |line| line + 1);
            Placed { file, below, annotation: annotation(place) }
        }
    }
}

/// The fixture with what is found in place of what is expected. Expectations that are met stay as they are: what they leave out of a
/// message is no difference.
fn annotate(fixture: &Fixture) -> Fixture {
    let (plain, expected) = take_out(fixture);
    let (files, diagnostics) = check(&plain);
    let mut found: Vec<Placed> = diagnostics.into_iter().map(|one| placed(&plain, &files, one)).collect();
    found.sort_by_key(|one| (one.file, one.below));
    let mut met = vec![false; expected.len()];
    // What says more of the message has the first choice.
    let mut order: Vec<usize> = (0..expected.len()).collect();
    order.sort_by_key(|&at| std::cmp::Reverse(expected[at].annotation.message.len()));
    for at in order {
        let one = &expected[at];
        let same = |other: &Placed| (other.file, other.below) == (one.file, one.below);
        if let Some(other) = found.iter().position(|other| same(other) && one.annotation.is_met_by(&other.annotation)) {
            found.remove(other);
            met[at] = true;
        }
    }
    let kept = expected.into_iter().zip(met).filter(|(_, met)| *met).map(|(one, _)| one);
    put_in(plain, &kept.chain(found).collect::<Vec<_>>())
}

/// Says how what is found differs from what is expected.
fn compare(fixture: &Fixture) -> Result<(), String> {
    let (expected, found) = (fixture.text(), annotate(fixture).text());
    if expected == found {
        return Ok(());
    }
    let difference = TextDiff::from_lines(&expected, &found);
    let mut shown = format!("{}: the diagnostics (+) are not those that are expected (-)\n", fixture.title);
    for change in difference.iter_all_changes() {
        write!(shown, "{}{change}", change.tag()).expect("a string takes everything");
    }
    Err(shown)
}

#[test]
fn policies_give_the_diagnostics_that_are_annotated() {
    let mut faults = Vec::new();
    for path in fixture::files("expect") {
        let text = fs::read_to_string(&path).expect("the cases");
        let (before, cases) = fixture::cases(&text);
        assert!(!cases.is_empty(), "{}: no cases", path.display());
        if std::env::var_os("UPDATE").is_some() {
            let updated: String = cases.iter().map(|case| annotate(case).text()).collect();
            fs::write(&path, before + &updated).expect("write");
        } else {
            let different = cases.iter().filter_map(|case| compare(case).err());
            faults.extend(different.map(|one| format!("{}: {one}", path.display())));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The lines that differ, with their signs.
fn difference(text: &str) -> Vec<String> {
    let shown = compare(&Fixture::new("title", text)).expect_err("a difference");
    let changed = shown.lines().skip(1).filter(|line| !line.starts_with(' '));
    changed.map(str::to_owned).collect()
}

const UNKNOWN: &str =
    "allow ssh from 10.0.0.0/8 to host\nallow shh to host\n#     ^^^ error FW0111: no service is called `shh`\n";

#[test]
fn what_is_as_expected_is_no_difference() {
    expect("allow ssh from 10.0.0.0/8 to host\n");
    expect(UNKNOWN);
    // A part of the message, or none.
    expect(&UNKNOWN.replace("no service is called `shh`", "`shh`"));
    expect(&UNKNOWN.replace(": no service is called `shh`", ""));
}

#[test]
fn whatever_is_not_as_expected_is_a_difference() {
    let found = "+#     ^^^ error FW0111: no service is called `shh`";
    for (from, to) in [
        ("error", "warning"),
        ("FW0111", "FW0112"),
        ("`shh`", "`ssh`"),
        ("#     ^^^", "#    ^^^"),
        ("#     ^^^", "#     ^^"),
        ("#     ^^^", "#     ^^^ +1"),
    ] {
        let text = UNKNOWN.replace(from, to);
        let expected = format!("-{}", text.lines().last().expect("a line"));
        assert_eq!(difference(&text), [expected, found.to_owned()], "{from} → {to}");
    }
}

#[test]
fn a_diagnostic_that_is_not_expected_is_a_difference() {
    let text = UNKNOWN.replace("#     ^^^ error FW0111: no service is called `shh`\n", "");
    assert_eq!(difference(&text), ["+#     ^^^ error FW0111: no service is called `shh`"]);
}

#[test]
fn a_diagnostic_that_does_not_come_is_a_difference() {
    let again = "#     ^^^ error FW0111: no service is called `shh`\n";
    assert_eq!(difference(&format!("{UNKNOWN}{again}")), [format!("-{}", again.trim_end())]);
    let above = UNKNOWN.replace("to host\nallow", &format!("to host\n{again}allow"));
    assert_eq!(difference(&above), [format!("-{}", again.trim_end())]);
}

#[test]
fn annotations_are_written_where_there_are_none() {
    let policy = "allow shh to host\nto host {\n    allow ssh from 10.0.0.0/8\n    allow frm\n}";
    let annotated = annotate(&Fixture::new("title", policy)).files.remove(0).1;
    assert_eq!(
        annotated,
        "\
allow shh to host
#     ^^^ error FW0111: no service is called `shh`
to host {
    allow ssh from 10.0.0.0/8
    allow frm
#         ^^^ error FW0111: no service is called `frm`
}"
    );
    expect(&annotated);
}

#[test]
fn places_in_other_files_are_annotated_there() {
    expect(
        "\
include \"a.fw\"
include \"b.fw\"
#       ^^^^^^ error FW0150
allow ssh from 10.0.0.0/8 to host
# @ a.fw
allow shh to host
#     ^^^ error FW0111
",
    );
}
