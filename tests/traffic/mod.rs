//! The checks on platforms and traffic, each on policies that it has to report and on near misses that it has to leave alone.
//!
//! Each file `tests/traffic/NAME.fw` holds fixtures whose titles are `CODES: title`, where `fine` stands for no code. Every policy must give
//! just those codes of FW0200 to FW0349; what it gives is in `tests/traffic/snapshots`, each policy before its diagnostics.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use fwc::cli::render::{Sheet, full};
use fwc::database::{self, Database};
use fwc::levels::Levels;

use crate::fixture::{self, Fixture};

/// The codes that a policy gives, and all its diagnostics as a terminal shows them.
fn diagnose(case: &Fixture) -> (BTreeSet<String>, String) {
    let mut db = Database::default();
    let input = case.load(&mut db, None);
    let compiled = database::compile(&db, input, "site".to_owned());
    let project = database::project(&db, input);
    let ours = |number: &&str| ("FW0200".."FW0350").contains(number);
    let codes = compiled.diagnostics.iter().map(|one| one.code.number).filter(ours).map(str::to_owned).collect();
    (codes, full::render(&Sheet::new(&project.files, &compiled.diagnostics, &Levels::default()), false))
}

#[track_caller]
fn check(name: &str) {
    let mut shown = String::new();
    let mut faults = Vec::new();
    for case in fixture::read(format!("traffic/{name}.fw")) {
        let expected = case.title.split(':').next().unwrap_or_default();
        let expected: BTreeSet<String> =
            expected.split(", ").filter(|code| *code != "fine").map(str::to_owned).collect();
        let (codes, diagnostics) = diagnose(&case);
        // A near miss with another fault in it would prove nothing.
        let broken = expected.is_empty() && diagnostics.contains("] Error:");
        if codes != expected || broken {
            faults.push(format!("{}\n{codes:?}\n{diagnostics}", case.title));
        }
        let said = if diagnostics.is_empty() { "nothing\n" } else { &diagnostics };
        writeln!(shown, "{}\n\n{said}", case.text().trim_end()).expect("a string takes everything");
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
