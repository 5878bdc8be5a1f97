//! Every diagnostic that fwc can give, in one list: for `fwc explain`, for `--deny`, and for the page `docs/diagnostics.md`.
//! A code is declared beside the check that gives it; a test sees that each one is listed here.

use std::fmt::Write as _;

use crate::diagnostic::{Code, Level};
use crate::names::closest;
use crate::{assertion, check, emit, facts, levels, lower, policy, project, prove, rules, syntax, verify};

/// Each stage's own list. A stage that gives diagnostics has one line here.
static STAGES: &[&[&Code]] = &[
    &syntax::CODES,
    facts::CODES,
    project::codes::CODES,
    policy::CODES,
    check::CODES,
    lower::CODES,
    assertion::CODES,
    &emit::CODES,
    &[&verify::NOT_PROVED],
    prove::CODES,
    rules::codes::CODES,
    levels::codes::CODES,
];

/// All codes, by number.
#[must_use]
pub fn all() -> Vec<&'static Code> {
    let mut codes: Vec<_> = STAGES.iter().flat_map(|stage| stage.iter().copied()).collect();
    codes.sort_unstable_by_key(|code| code.number);
    codes
}

/// A code by its number or its name, however it is capitalised.
#[must_use]
pub fn find(wanted: &str) -> Option<&'static Code> {
    all().into_iter().find(|code| code.number.eq_ignore_ascii_case(wanted) || code.name.eq_ignore_ascii_case(wanted))
}

/// The number or name that is most like `wanted`, if any is like it at all.
#[must_use]
pub fn nearest(wanted: &str) -> Option<&'static str> {
    closest(wanted, all().into_iter().flat_map(|code| [code.number, code.name]))
}

/// What to say of a number or name that is none.
#[must_use]
pub fn unknown(wanted: &str) -> String {
    let advice = match nearest(wanted) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => "`fwc explain` lists them".to_owned(),
    };
    format!("there is no diagnostic `{wanted}`: {advice}")
}

/// A level as the user reads it.
#[must_use]
pub fn level_name(level: Level) -> &'static str {
    match level {
        Level::Note => "note",
        Level::Warning => "warning",
        Level::Error => "error",
    }
}

/// One code's page, Markdown.
#[must_use]
pub fn page(code: &Code) -> String {
    format!(
        "{} {} ({})\n\n{}.\n\n{}\n",
        code.number,
        code.name,
        level_name(code.level),
        capitalised(code.summary),
        body(code)
    )
}

/// The explanation without a title of its own: the number and the name are the title.
fn body(code: &Code) -> &'static str {
    let text = code.explanation.trim();
    match text.strip_prefix("# ").and_then(|titled| titled.split_once('\n')) {
        Some((_, rest)) => rest.trim(),
        None => text,
    }
}

/// The page of all codes, Markdown: `docs/diagnostics.md`.
#[must_use]
pub fn all_pages() -> String {
    let mut out = String::from(
        "# Diagnostics\n\n\
         <!-- Generated from the declarations in src/ by the test `generated::diagnostics_page`. -->\n\n\
         `fwc explain CODE` shows one of these pages; [levels can be changed](ci.md#levels). Numbers and names are stable.\n\n\
         | code | name | level | what |\n|---|---|---|---|\n",
    );
    for code in all() {
        let (number, name, level) = (code.number, code.name, level_name(code.level));
        let _ =
            writeln!(out, "| [{number}](#{}-{name}) | {name} | {level} | {} |", number.to_lowercase(), code.summary);
    }
    for code in all() {
        // The level is not part of the heading: links lead to it, and levels change.
        let (level, summary) = (capitalised(level_name(code.level)), capitalised(code.summary));
        let _ = write!(out, "\n## {} {}\n\n*{level}.* {summary}.\n\n{}\n", code.number, code.name, body(code));
    }
    out
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// The numbers of the codes that are declared in the files below `directory`.
    fn declared(directory: &Path, numbers: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(directory).expect("src").map(|entry| entry.expect("entry").path()) {
            if entry.is_dir() {
                declared(&entry, numbers);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&entry).expect("source file");
                // Put together here, so that this file does not seem to declare one.
                let declaration = [": Code", "= Code {"].join(" ");
                for after in text.split(&declaration).skip(1) {
                    let number = after.split("number: \"").nth(1).and_then(|rest| rest.split('"').next());
                    numbers
                        .insert(number.unwrap_or_else(|| panic!("{}: a code without number", entry.display())).into());
                }
            }
        }
    }

    #[test]
    fn every_declared_code_is_listed() {
        let mut numbers = BTreeSet::new();
        declared(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut numbers);
        let listed: BTreeSet<String> = all().iter().map(|code| code.number.to_owned()).collect();
        let missing: Vec<_> = numbers.difference(&listed).collect();
        assert!(missing.is_empty(), "declared and not listed in its stage's list of codes: {missing:?}");
    }

    #[test]
    fn numbers_and_names_are_unique_and_in_order() {
        let numbers: Vec<_> = all().iter().map(|code| code.number).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        let names: BTreeSet<_> = all().iter().map(|code| code.name).collect();
        assert_eq!(names.len(), all().len());
        for code in all() {
            assert!(code.number.len() == 6 && code.number.starts_with("FW"), "{}", code.number);
            assert!(code.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'));
        }
    }

    #[test]
    fn every_code_is_explained_with_an_example() {
        for code in all() {
            let fenced = code.explanation.contains("```");
            assert!(
                fenced || code.explanation.contains("\n    ") || code.explanation.contains("\n| `"),
                "{} has no example",
                code.number
            );
            assert!(code.explanation.len() > 80, "{} says too little", code.number);
            assert!(!code.summary.ends_with('.') && !code.summary.is_empty(), "{}", code.number);
        }
    }

    #[test]
    fn a_code_is_found_by_number_and_name_and_nearly() {
        assert_eq!(find("fw0152"), find("include-cycle"));
        assert_eq!(nearest("include-cylce"), Some("include-cycle"));
        assert_eq!(nearest("something else entirely"), None);
    }
}
