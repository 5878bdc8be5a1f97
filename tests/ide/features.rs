//! Feature by feature.

use std::fmt::Write as _;

use fwc::database::{Database, ProjectInput};
use fwc::ide;
use fwc::span::FileId;

use super::draw::{Mark, draw};
use super::{Case, cases, file};

/// Asks at the cursor of every case of a file.
#[track_caller]
pub fn check(name: &str, ask: &dyn Fn(&Database, ProjectInput, FileId, u32) -> String) {
    let mut shown = String::new();
    for case in cases(name) {
        let mut db = Database::default();
        let input = case.load(&mut db);
        let (path, offset) = case.cursor.clone().unwrap_or_else(|| ("site.fw".to_owned(), 0));
        let id = file(&db, input, &path);
        let answer = ask(&db, input, id, offset);
        let asked = if case.cursor.is_some() { asked(&case) } else { String::new() };
        let _ = write!(shown, "# --- {}\n{asked}{}\n\n", case.title, answer.trim_end());
    }
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, shown);
    });
}

/// The line that is asked in, with the cursor.
fn asked(case: &Case) -> String {
    let Some((path, offset)) = &case.cursor else { return String::new() };
    let text = &case.files.iter().find(|(name, _)| name == path).expect("the file").1;
    let at = *offset as usize;
    let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let end = text[at..].find('\n').map_or(text.len(), |length| at + length);
    format!("{path}: {}|{}\n", &text[start..at], &text[at..end])
}

#[test]
fn highlight() {
    check("highlight", &|db, input, file, _| {
        let marks: Vec<Mark> = ide::highlight(db, input, file)
            .into_iter()
            .map(|one| {
                let kind = match one.kind {
                    ide::HighlightKind::Symbol(kind) => format!("{kind:?}"),
                    kind => format!("{kind:?}"),
                };
                let declares = if one.declares { " declared" } else { "" };
                let library = if one.library { " of the library" } else { "" };
                Mark::new(file, one.span, format!("{kind}{declares}{library}"))
            })
            .collect();
        draw(db, input, &marks, false)
    });
}

#[test]
fn definition() {
    check("definition", &|db, input, file, offset| {
        let found = ide::definition(db, input, file, offset);
        let mut marks: Vec<Mark> = Vec::new();
        for (number, one) in found.iter().enumerate() {
            if number == 0 {
                marks.push(Mark::new(file, one.from, "asked"));
            }
            marks.push(Mark { location: one.name, label: format!("definition {}", number + 1) });
            if one.whole != one.name {
                marks.push(Mark { location: one.whole, label: format!("whole {}", number + 1) });
            }
        }
        if marks.is_empty() { "nothing".to_owned() } else { draw(db, input, &marks, false) }
    });
}

#[test]
fn references() {
    check("references", &|db, input, file, offset| {
        let found = ide::references(db, input, file, offset);
        let label = |declares| if declares { "declared" } else { "used" };
        let marks: Vec<Mark> =
            found.iter().map(|one| Mark { location: one.location, label: label(one.declares).to_owned() }).collect();
        let here = ide::highlights(db, input, file, offset);
        let of_file = found.iter().filter(|one| one.location.file == file).count();
        let policy = input.files(db)[file.0 as usize].1;
        assert_eq!(here.len(), if policy { of_file } else { 0 });
        if marks.is_empty() { "nothing".to_owned() } else { draw(db, input, &marks, false) }
    });
}

#[test]
fn rename() {
    check("rename", &|db, input, file, offset| {
        let text = &input.files(db)[file.0 as usize].0.source(db).text;
        // The new name stands in the first line, behind `# to `.
        let new = text.lines().find_map(|line| line.strip_prefix("# to ")).expect("a new name");
        let found = ide::rename(db, input, file, offset, new);
        match (ide::renamable(db, input, file, offset), found) {
            (Err(why), Err(same)) => {
                assert_eq!(why, same);
                format!("refused at once: {why}")
            }
            (Ok(_), Err(why)) => format!("refused: {why}"),
            (Ok(asked), Ok(edits)) => {
                let mut marks = vec![Mark::new(file, asked.span, format!("was `{}`", asked.name))];
                marks.extend(edits.into_iter().map(|edit| Mark { location: edit.location, label: edit.replacement }));
                draw(db, input, &marks, false)
            }
            (Err(why), Ok(_)) => panic!("{why}"),
        }
    });
}

#[test]
fn symbols() {
    fn list(out: &mut String, symbols: &[ide::DocumentSymbol], depth: usize) {
        for symbol in symbols {
            assert!(symbol.span.start <= symbol.name_span.start && symbol.name_span.end <= symbol.span.end);
            let indent = "  ".repeat(depth);
            let _ = writeln!(out, "{indent}{} [{:?}] {} {:?}", symbol.name, symbol.kind, symbol.detail, symbol.span);
            list(out, &symbol.children, depth + 1);
        }
    }
    check("symbols", &|db, input, file, _| {
        let mut out = draw(db, input, &[], true);
        out.push_str("===== of the file\n");
        list(&mut out, &ide::document_symbols(db, input, file), 0);
        for query in ["", "wE", "ssh"] {
            let _ = writeln!(out, "===== of the project, asked for {query:?}");
            for symbol in ide::workspace_symbols(db, input, query) {
                let _ = writeln!(out, "{} [{:?}] {:?}", symbol.name, symbol.kind, symbol.location);
            }
        }
        out
    });
}

#[test]
fn folds() {
    check("folds", &|db, input, file, _| {
        let found = ide::folds(db, input, file).into_iter();
        let marks: Vec<Mark> = found.map(|one| Mark::new(file, one.span, format!("{:?}", one.kind))).collect();
        draw(db, input, &marks, true)
    });
}

#[test]
fn selection() {
    check("selection", &|db, input, file, offset| {
        let found = ide::selection(db, input, file, offset);
        let text = &input.files(db)[file.0 as usize].0.source(db).text;
        let steps = found.iter().map(|span| format!("{:?}", &text[span.range()]));
        steps.collect::<Vec<_>>().join("\n")
    });
}

#[test]
fn links() {
    check("links", &|db, input, file, _| {
        let path = |id: FileId| input.files(db)[id.0 as usize].0.source(db).path.to_string();
        let found = ide::links(db, input, file).into_iter();
        let marks: Vec<Mark> = found.map(|one| Mark::new(file, one.span, format!("to {}", path(one.target)))).collect();
        draw(db, input, &marks, true)
    });
}
