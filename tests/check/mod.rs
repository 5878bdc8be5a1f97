//! Every check, on policies that it has to report and on policies that are nearly those and that it has to leave alone.
//!
//! Each file `tests/check/NAME.fw` holds fixtures. A title that begins with `fine:` must give no diagnostic at all; every other must give
//! one. What they give is in `tests/check/snapshots`, each policy before its diagnostics.

use std::fmt::Write as _;

use fwc::cli::render::{Sheet, full};
use fwc::database::{self, Database};
use fwc::levels::Levels;

use crate::fixture::{self, Fixture};

/// The diagnostics of a policy, as a terminal shows them.
fn diagnose(fixture: &Fixture) -> String {
    let mut db = Database::default();
    let input = fixture.load(&mut db, None);
    let compiled = database::compile(&db, input, "site".to_owned());
    let project = database::project(&db, input);
    full::render(&Sheet::new(&project.files, &compiled.diagnostics, &Levels::default()), false)
}

#[track_caller]
fn check(name: &str) {
    let mut shown = String::new();
    let mut faults = Vec::new();
    for case in fixture::read(format!("check/{name}.fw")) {
        let diagnostics = diagnose(&case);
        if diagnostics.is_empty() != case.title.starts_with("fine:") {
            faults.push(format!("{}:\n{diagnostics}", case.title));
        }
        let said = if diagnostics.is_empty() { "nothing\n" } else { &diagnostics };
        writeln!(shown, "{}\n\n{said}", case.text().trim_end()).expect("a string takes everything");
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
