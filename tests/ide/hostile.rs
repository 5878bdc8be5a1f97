//! Whatever is asked of whatever text, there is an answer, and soon.

use std::path::Path;
use std::time::{Duration, Instant};

use fwc::database::{Database, ProjectInput};
use fwc::ide;
use fwc::span::{FileId, Span};

use super::{Case, agrees};

/// Asks everything that is asked about a whole file.
fn of_file(db: &Database, input: ProjectInput, file: FileId) {
    let text = &input.files(db)[file.0 as usize].0.source(db).text;
    let inside = |span: Span| text.get(span.range()).unwrap_or_else(|| panic!("{span:?} is no part of the text"));
    let mut end = 0;
    for one in ide::highlight(db, input, file) {
        assert!(end <= one.span.start && one.span.start < one.span.end, "words lie over each other at {:?}", one.span);
        assert!(!inside(one.span).contains('\n'));
        end = one.span.end;
    }
    ide::folds(db, input, file).iter().for_each(|fold| assert!(inside(fold.span).contains('\n')));
    ide::document_symbols(db, input, file).iter().for_each(|one| drop(inside(one.span).to_owned()));
    ide::links(db, input, file).iter().for_each(|link| drop(inside(link.span).to_owned()));
    let _ = ide::workspace_symbols(db, input, "a");
    for inlay in ide::inlays(db, input, file, Span::new(0, text.len())) {
        assert!(text.is_char_boundary(inlay.offset as usize) && !inlay.label.is_empty());
    }
}

/// Asks everything that is asked about a place.
fn at_place(db: &Database, input: ProjectInput, file: FileId, offset: u32) {
    let text = &input.files(db)[file.0 as usize].0.source(db).text;
    for definition in ide::definition(db, input, file, offset) {
        assert!(text.get(definition.from.range()).is_some());
    }
    let references = ide::references(db, input, file, offset);
    if input.files(db)[file.0 as usize].1 {
        let here = references.iter().filter(|one| one.location.file == file).count();
        assert_eq!(ide::highlights(db, input, file, offset).len(), here);
    }
    if let Ok(found) = ide::renamable(db, input, file, offset) {
        assert!(text.get(found.span.range()).is_some_and(|name| name.contains(&found.name)));
        let _ = ide::rename(db, input, file, offset, "something");
    }
    for one in ide::complete(db, input, file, offset) {
        assert!(text.get(one.replace.range()).is_some() && !one.insert.is_empty());
        let word = one.kind == ide::CompletionKind::Keyword;
        assert!(!word || !one.documentation.is_empty(), "`{}` has no meaning", one.label);
    }
    if let Some(found) = ide::signature(db, input, file, offset) {
        assert!(found.active.is_none_or(|active| active < found.parts.len()));
        assert!(found.parts.iter().all(|part| found.label.get(part.range()).is_some()));
    }
    if let Some(found) = ide::hover(db, input, file, offset) {
        assert!(text.get(found.span.range()).is_some() && !found.text.is_empty());
    }
    let place = Span { start: offset, end: offset };
    for one in ide::action::rewrites(db, input, file, place, false) {
        assert!(one.edits.iter().all(|edit| text.get(edit.location.span.range()).is_some()) && !one.edits.is_empty());
    }
    let steps = ide::selection(db, input, file, offset);
    assert_eq!(steps.last().map(|span| span.range()), Some(0..text.len()));
    for pair in steps.windows(2) {
        assert!(pair[1].start <= pair[0].start && pair[0].end <= pair[1].end && pair[0] != pair[1]);
    }
}

/// A policy among the files that those of the constructs name.
pub fn case(text: &str, facts: Option<String>) -> Case {
    let mut files = vec![("site.fw".to_owned(), text.to_owned())];
    for name in BESIDE {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/construct").join(name);
        files.push((name.to_owned(), std::fs::read_to_string(path).expect("a file")));
    }
    files.extend(facts.map(|text| ("fwc.facts.json".to_owned(), text)));
    Case { title: String::new(), files, cursor: None }
}

const BESIDE: [&str; 3] = ["include.part.fw", "compose.part.yml", "blocked.part.txt"];

#[test]
fn every_place_of_every_policy_has_an_answer() {
    let mut longest = Duration::ZERO;
    let mut asked = 0;
    for (path, text) in agrees::policies() {
        // Those of the constructs are asked everywhere, the others at some places.
        let step = if path.to_string_lossy().contains("construct") { 1 } else { 1 + text.len() / 25 };
        let mut db = Database::default();
        let facts = std::fs::read_to_string(path.with_extension("facts.json")).ok();
        let input = case(&text, facts).load(&mut db);
        let start = Instant::now();
        of_file(&db, input, FileId(0));
        longest = longest.max(start.elapsed());
        for offset in (0..=text.len()).step_by(step) {
            let start = Instant::now();
            at_place(&db, input, FileId(0), u32::try_from(offset).expect("small"));
            let took = start.elapsed();
            assert!(took < Duration::from_secs(5), "{} at {offset}: {took:?}", path.display());
            longest = longest.max(took);
            asked += 1;
        }
    }
    assert!(asked > 10_000, "{asked}");
    println!("{asked} places, at most {longest:?}");
}

#[test]
fn damaged_policies_have_answers() {
    let mut asked = 0;
    for (_, text) in agrees::policies().into_iter().filter(|(path, _)| path.to_string_lossy().contains("construct")) {
        let marks = ["{", "}", "\"", ",", "#", "=", "\u{e4}", "\n", " from ", "not"];
        for (number, at) in (0..text.len()).step_by(61).enumerate() {
            let Some((before, after)) = text.split_at_checked(at) else { continue };
            let mark = marks[number % marks.len()];
            let skipped = after.get(3..).unwrap_or_default();
            for damaged in [before.to_owned(), format!("{before}{mark}{after}"), format!("{before}{mark}{skipped}")] {
                let mut db = Database::default();
                let input = case(&damaged, None).load(&mut db);
                of_file(&db, input, FileId(0));
                for offset in [at.saturating_sub(2), at, (at + 3).min(damaged.len())] {
                    at_place(&db, input, FileId(0), u32::try_from(offset).expect("small"));
                }
                asked += 1;
            }
        }
    }
    assert!(asked > 300, "{asked}");
}

#[test]
fn files_beside_a_policy_have_answers() {
    let policy = "compose \"compose.part.yml\"\nset blocked from file \"blocked.part.txt\"\ninclude \"include.part.fw\"\n\
                  allow http to container web\ndeny from blocked to host\n";
    let mut db = Database::default();
    let facts = "{ \"version\": 1, \"docker\": { \"containers\": { \"old\": { \"networks\": [] } } } }".to_owned();
    let input = case(policy, Some(facts)).load(&mut db);
    let mut named = 0;
    for (id, (source, policy)) in (0u32..).zip(input.files(&db)) {
        let source = source.source(&db);
        if source.path.starts_with("std:") {
            continue;
        }
        of_file(&db, input, FileId(id));
        for offset in 0..=source.text.len() {
            at_place(&db, input, FileId(id), u32::try_from(offset).expect("small"));
            named += usize::from(!policy && !ide::references(&db, input, FileId(id), offset as u32).is_empty());
        }
    }
    assert!(named > 4, "{named}");
}
