//! A policy whose names are exchanged means the same.

use fwc::database::{self, Database};
use fwc::diagnostic::Edit;
use fwc::ide::{self, SymbolKind};
use fwc::netfilter::{Ruleset, Target};

use super::{Case, agrees};

/// The rules that a policy comes to, without the places and remarks that they carry; `None`: it has errors.
fn rules(case: &Case, target: Target) -> Option<Ruleset> {
    let mut db = Database::default();
    let input = case.load(&mut db);
    let (policy, faults) = &**database::resolved(&db, input);
    let said = database::source_diagnostics(&db, input);
    if faults.iter().chain(said.iter()).any(fwc::diagnostic::Diagnostic::is_error) {
        return None;
    }
    let (mut ruleset, _) = fwc::lower::lower(policy, target);
    for rule in ruleset.tables.iter_mut().flat_map(|table| &mut table.chains).flat_map(|chain| &mut chain.rules) {
        rule.origin = None;
    }
    Some(ruleset)
}

fn apply(text: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|edit| std::cmp::Reverse(edit.location.span.start));
    let mut text = text.to_owned();
    for edit in edits {
        text.replace_range(edit.location.span.range(), &edit.replacement);
    }
    text
}

#[test]
fn what_is_renamed_means_the_same() {
    let mut renamed = 0;
    for (path, text) in agrees::policies() {
        if path.components().any(|part| part.as_os_str() == "stdlib") {
            continue;
        }
        let case = Case { title: String::new(), files: vec![("site.fw".to_owned(), text.clone())], cursor: None };
        let Some(before) = rules(&case, Target::Iptables) else { continue };
        let mut db = Database::default();
        let input = case.load(&mut db);
        // These names reach no output; those of guests, groups and live sets do.
        let quiet = [SymbolKind::Interface, SymbolKind::Set, SymbolKind::Service];
        for symbol in ide::workspace_symbols(&db, input, "").into_iter().filter(|symbol| quiet.contains(&symbol.kind)) {
            let at = symbol.location;
            let line = text[at.span.start as usize..].lines().next().unwrap_or_default();
            if line.split_whitespace().any(|word| word == "live") {
                continue;
            }
            for new in ["entirely-new", "sehr \u{e4}hnlich"] {
                let edits = ide::rename(&db, input, at.file, at.span.start, new).expect("it can be renamed");
                assert!(!edits.is_empty());
                let files = vec![("site.fw".to_owned(), apply(&text, edits))];
                let after = Case { title: String::new(), files, cursor: None };
                assert_eq!(
                    rules(&after, Target::Iptables).as_ref(),
                    Some(&before),
                    "{}: {}",
                    path.display(),
                    symbol.name
                );
                renamed += 1;
            }
        }
    }
    assert!(renamed > 60, "only {renamed} names");
}
