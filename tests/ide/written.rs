//! The lines that a statement is said to become are those of the files.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use fwc::database::{self, Database};
use fwc::diagnostic::Diagnostic;
use fwc::ide;
use fwc::netfilter::Target;
use fwc::span::FileId;

use super::{Case, agrees};
use crate::fixture;

/// How often each line with a remark occurs.
fn counted<'t>(lines: impl Iterator<Item = &'t str>) -> BTreeMap<&'t str, usize> {
    let mut counts = BTreeMap::new();
    for line in lines.map(str::trim).filter(|line| line.contains("comment \"")) {
        *counts.entry(line).or_default() += 1;
    }
    counts
}

#[test]
fn the_lines_of_statements_are_those_of_the_files() {
    let mut compared = 0;
    for (path, text) in agrees::policies() {
        if path.components().any(|part| part.as_os_str() == "stdlib") {
            continue;
        }
        for target in [Target::Iptables, Target::Nft] {
            let files = vec![("site.fw".to_owned(), text.clone())];
            let mut db = Database::default();
            let input = fixture::load(&mut db, &files, Some(target));
            let compiled = database::compile(&db, input, "policy".to_owned());
            if compiled.diagnostics.iter().any(Diagnostic::is_error) {
                continue;
            }
            let written = database::written(&db, input, target);
            assert!(written.whole);
            let rules =
                compiled.outputs.iter().filter(|(name, _)| !name.contains("empty") && !name.ends_with("attach"));
            let files = counted(rules.flat_map(|(_, text)| text.lines()));
            let told = counted(written.lines.iter().map(|one| one.line.text.as_str()));
            assert_eq!(told, files, "{} for {target:?}", path.display());
            compared += files.len();
        }
    }
    assert!(compared > 1_000, "only {compared} lines");
}

#[test]
fn a_statement_among_many_that_became_one_rule_knows_it() {
    let mut text = String::new();
    for number in 0..300 {
        let _ = writeln!(text, "allow ssh from 10.0.{}.{} to host", number % 100, number / 100 * 7 + 1);
    }
    let case = Case { title: String::new(), files: vec![("site.fw".to_owned(), text.clone())], cursor: None };
    let mut db = Database::default();
    let input = case.load(&mut db);
    // The remark of the rule is cut long before the last line's number.
    let last = u32::try_from(text.trim_end().rfind('\n').expect("lines") + 2).expect("small");
    let hover = ide::hover(&db, input, FileId(0), last).expect("a rule");
    for words in ["**iptables**", "**nft**", "-j ACCEPT", " accept comment"] {
        assert!(hover.text.contains(words), "{}", hover.text);
    }
}
