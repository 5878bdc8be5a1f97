//! The formatter, on every policy that there is: fixtures, examples, the standard library, the documents. It says the same twice, says
//! what the source says, keeps every comment, and makes one text of all that differ in white space alone. Damaged texts, too.

mod command;
mod style;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use fwc::database::{self, Database};
use fwc::format::{apply, edits, edits_in, format, unread};
use fwc::project::{MemoryFileSystem, Options};
use fwc::span::FileId;
use fwc::syntax::parse;

/// Damaged texts in all.
const DAMAGED: usize = 3_000;

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    let mut paths: Vec<_> =
        fs::read_dir(directory).expect("directory").map(|entry| entry.expect("entry").path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "fw" || ending == "fwtest") {
            found.push(path);
        }
    }
}

/// Name and text of every policy of the project: each file, each case in a file of cases, each example in the documents.
pub fn corpus() -> Vec<(String, String)> {
    let mut paths = Vec::new();
    for directory in ["tests", "examples", "stdlib", "fuzz/seeds"] {
        files(&project(directory), &mut paths);
    }
    let mut found = Vec::new();
    for path in paths {
        let name = path.strip_prefix(project("")).expect("inside").display().to_string();
        let text = fs::read_to_string(&path).expect("policy");
        for (number, case) in text.split("# --- ").skip(1).enumerate() {
            found.push((format!("{name} case {number}"), format!("# {case}")));
        }
        found.push((name, text));
    }
    for entry in fs::read_dir(project("docs")).expect("docs").map(|entry| entry.expect("entry").path()) {
        if entry.extension().is_some_and(|ending| ending == "md") {
            let name = entry.file_name().expect("name").to_string_lossy().into_owned();
            let page = fs::read_to_string(&entry).expect("page");
            let examples = page.split("\n```fw").skip(1).filter_map(|rest| rest.split_once('\n'));
            let examples = examples.map(|(_, rest)| rest.split("\n```").next().unwrap_or_default().to_owned());
            found.extend(examples.enumerate().map(|(number, text)| (format!("{name} example {number}"), text)));
        }
    }
    assert!(found.len() > 400, "{} policies", found.len());
    found
}

/// The same numbers in every run (xorshift64*, Vigna 2016).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).expect("31 bits") % end.max(1)
    }
}

/// Tree and faults of a text, for comparison.
fn meaning(text: &str) -> (fwc::syntax::tree::Tree, Vec<(&'static str, String)>) {
    let parsed = parse(text, FileId(0));
    let faults = parsed.diagnostics.iter().map(|found| (found.code.number, found.message.clone())).collect();
    (parsed.tree, faults)
}

/// Everything of a text but its white space and commas, in order of bytes: what no layout may lose or invent.
fn ink(text: &str) -> Vec<u8> {
    let text = text.trim_start_matches('\u{feff}');
    let mut ink: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace() && *byte != b',').collect();
    ink.sort_unstable();
    ink
}

/// What must hold of every text.
fn holds(name: &str, text: &str) {
    let once = format(text);
    assert!(meaning(text) == meaning(&once), "{name}: says something else:\n{text}\n-----\n{once}");
    let twice = format(&once);
    assert!(once == twice, "{name}: not the same twice:\n{once}\n-----\n{twice}");
    assert!(ink(text) == ink(&once), "{name}: something was lost:\n{text}\n-----\n{once}");
    let kept = |text: &str| -> Vec<String> { unread(text).into_iter().map(|range| text[range].to_owned()).collect() };
    assert!(kept(text) == kept(&once), "{name}: what cannot be read was changed:\n{text}\n-----\n{once}");
}

#[test]
fn every_policy_keeps_its_meaning_and_is_laid_out_once() {
    for (name, text) in corpus() {
        holds(&name, &text);
        holds(&format!("{name}, with carriage returns"), &text.replace('\n', "\r\n"));
        holds(&format!("{name}, without its last line end"), text.trim_end());
        holds(&format!("{name}, with a byte order mark"), &format!("\u{feff}{text}"));
    }
}

/// Spaces a text anew where that cannot change what it says: between words, at the beginnings and ends of lines.
fn respaced(text: &str, random: &mut Random) -> String {
    let mut out = String::new();
    let mut raw = false;
    let step = random.below(3);
    for line in text.lines() {
        let words = line.trim();
        let one_line = words.starts_with("chain ") && words.ends_with('}');
        if raw || one_line {
            raw = raw && words != "}";
            out.push_str(line);
            out.push('\n');
            continue;
        }
        raw = words.starts_with("chain ") && words.contains('{');
        let indent = line.len() - line.trim_start().len();
        // Where a comment goes on below another, its column says so.
        let kept = raw || words.starts_with('#');
        let indent = if kept { indent } else { indent * step };
        out.push_str(&" ".repeat(indent));
        let (mut quoted, mut comment) = (false, false);
        for letter in words.chars() {
            comment |= letter == '#' && !quoted;
            quoted ^= letter == '"' && !comment;
            match letter {
                ' ' if !quoted && !comment => out.push_str([" ", "  ", "\t", "   \t "][random.below(4)]),
                '{' | '}' | ',' | '=' if !quoted && !comment => {
                    out.push_str(["", " ", "\t"][random.below(3)]);
                    out.push(letter);
                    out.push_str(["", " ", "  "][random.below(3)]);
                }
                _ => out.push(letter),
            }
        }
        out.push_str(["\n", " \n", "\t\n", "\r\n"][random.below(4)]);
    }
    out
}

/// Whether a comment alone may go on with the one behind the line above.
fn has_hanging_comments(text: &str) -> bool {
    text.lines().any(|line| line.trim_start().starts_with('#') && line.len() - line.trim_start().len() > 8)
}

#[test]
fn white_space_makes_no_difference() {
    let mut random = Random(7);
    let mut seen = 0;
    for (name, text) in corpus() {
        if !meaning(&text).1.is_empty() || has_hanging_comments(&text) {
            continue;
        }
        for _ in 0..4 {
            let other = respaced(&text, &mut random);
            let (one, two) = (format(&text), format(&other));
            let differs = one.lines().zip(two.lines()).find(|(one, two)| one != two);
            assert!(one == two, "{name}: {differs:#?} in:\n{other}");
            seen += 1;
        }
    }
    assert!(seen > 1_000, "{seen} texts");
}

#[test]
fn damaged_texts_keep_their_meaning() {
    let mut random = Random(11);
    let corpus = corpus();
    let marks = [
        "{",
        "}",
        "\"",
        ",",
        "#",
        "=",
        "\n",
        " ",
        "\t",
        "\r",
        "ä",
        "\u{0}",
        "to host {",
        "in ",
        "chain filter INPUT {",
    ];
    for _ in 0..DAMAGED {
        let (name, text) = &corpus[random.below(corpus.len())];
        if text.len() > 4_000 {
            continue;
        }
        let mut text = respaced(text, &mut random);
        for _ in 0..1 + random.below(4) {
            let place = random.below(text.len() + 1);
            let place = (0..=place).rev().find(|&place| text.is_char_boundary(place)).unwrap_or(0);
            match random.below(3) {
                0 => text.insert_str(place, marks[random.below(marks.len())]),
                1 if place < text.len() => drop(text.remove(place)),
                _ => {
                    let end = (place + random.below(30)).min(text.len());
                    let end = (end..=text.len()).find(|&end| text.is_char_boundary(end)).unwrap_or(place);
                    text.replace_range(place..end, "");
                }
            }
        }
        holds(name, &text);
    }
}

#[test]
fn each_edit_can_be_carried_out_alone() {
    let mut random = Random(3);
    for (name, text) in corpus() {
        let text = respaced(&text, &mut random);
        let all = edits(&text);
        assert_eq!(apply(&text, &all), format(&text));
        for pair in all.windows(2) {
            assert!(pair[0].range.end <= pair[1].range.start, "{name}: edits cross");
        }
        // A text of many edits is tried at some of them.
        let step = 1 + all.len() / 12;
        for edit in all.iter().step_by(step) {
            let alone = apply(&text, std::slice::from_ref(edit));
            assert!(meaning(&alone) == meaning(&text), "{name}: {edit:?} alone:\n{text}\n-----\n{alone}");
            let middle = edit.range.start + edit.range.len() / 2;
            assert!(edits_in(&text, &(middle..middle)).contains(edit), "{name}: {edit:?} is not found by its place");
        }
    }
}

/// The files below a directory; with `laid`, the policies laid out.
fn directory(path: &Path, laid: bool, files: &mut MemoryFileSystem) {
    for path in fs::read_dir(path).expect("a directory").map(|entry| entry.expect("an entry").path()) {
        if path.is_dir() {
            directory(&path, laid, files);
            continue;
        }
        let bytes = fs::read(&path).expect("a file");
        let policy = laid && path.extension() == Some(OsStr::new("fw"));
        files.write(path, if policy { format(&String::from_utf8(bytes).expect("text")).into_bytes() } else { bytes });
    }
}

/// What a policy is built to, without the numbers of source lines.
fn built(path: &Path, files: &MemoryFileSystem) -> Vec<(String, String)> {
    let mut db = Database::default();
    let facts = [path.with_file_name("fwc.facts.json"), path.with_extension("facts.json")];
    let facts = facts.into_iter().find_map(|path| files.root(path));
    let root = files.root(path).expect("the policy");
    let input = db.load(files, root, Options { facts, ..Options::default() });
    let compiled = database::compile(&db, input, "site".to_owned());
    let without_numbers = |text: &str| {
        let mut parts = text.split(".fw:");
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |whole, part| {
            whole + ".fw:" + part.trim_start_matches(|letter: char| letter.is_ascii_digit() || "-,".contains(letter))
        })
    };
    compiled.outputs.iter().map(|(name, text)| (name.clone(), without_numbers(text))).collect()
}

#[test]
fn the_rules_stay_the_same() {
    let mut paths = Vec::new();
    let [plain, laid] = [false, true].map(|laid| {
        let mut files = MemoryFileSystem::default();
        ["tests/construct", "examples"].iter().for_each(|path| directory(&project(path), laid, &mut files));
        files
    });
    files(&project("tests/construct"), &mut paths);
    files(&project("examples"), &mut paths);
    let mut seen = 0;
    for path in paths {
        let before = built(&path, &plain);
        assert!(before == built(&path, &laid), "{}", path.display());
        seen += usize::from(!before.is_empty());
    }
    assert!(seen > 50, "{seen} policies");
}

#[test]
fn examples_and_the_standard_library_are_laid_out() {
    let mut paths = Vec::new();
    files(&project("examples"), &mut paths);
    files(&project("stdlib"), &mut paths);
    for path in paths {
        let text = fs::read_to_string(&path).expect("policy");
        let laid = format(&text);
        if std::env::var_os("UPDATE").is_some() && laid != text {
            fs::write(&path, &laid).expect("write");
            continue;
        }
        assert!(laid == text, "{}: run `cargo run -- fmt examples stdlib`", path.display());
    }
}

#[test]
fn the_page_about_the_style_is_in_that_style() {
    let page = fs::read_to_string(project("docs/fmt.md")).expect("page");
    let (_, rest) = page.split_once("\n```fw\n").expect("an example");
    let (example, _) = rest.split_once("```").expect("its end");
    assert_eq!(format(example), example);
    assert!(meaning(example).1.is_empty());
}
