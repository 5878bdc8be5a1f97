//! Pest's, tree-sitter's, TextMate's, Emacs' and Vim's readings of the same texts.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

use fwc::span::FileId;
use fwc::syntax::cuts::{Part, cuts};
use fwc::syntax::parse;

use super::tree_sitter::driver;
use super::words::{Class, classes};
use super::{project, skipped};

/// The parts that a foreign engine makes of a text: place and what it calls them; and its faults.
#[derive(Default)]
struct Reading {
    parts: Vec<(Range<usize>, String)>,
    faults: Vec<Range<usize>>,
    /// Lines that the editor would indent otherwise.
    moved: Vec<usize>,
}

/// Every policy of the project, written to files: an engine is started once for all.
fn corpus(directory: &Path) -> Vec<(String, String, PathBuf)> {
    let texts = crate::format::corpus().into_iter().enumerate();
    let written = texts.map(|(number, (name, text))| {
        let path = directory.join(format!("{number}.fw"));
        fs::write(&path, &text).expect("the directory is ours");
        (name, text, path)
    });
    written.collect()
}

/// Where `./test` puts TextMate's engine; `Err` says why there is none.
fn textmate() -> Result<PathBuf, String> {
    let modules = project("target/npm/node_modules");
    if Command::new("node").arg("--version").output().is_err() {
        return Err("node is not installed".to_owned());
    }
    let there = modules.join("vscode-textmate").exists() && modules.join("vscode-oniguruma").exists();
    there.then_some(modules).ok_or_else(|| "vscode-textmate is not installed: `./test` does it".to_owned())
}

/// Runs an engine over files.
fn readings(command: &mut Command, paths: &[&Path]) -> BTreeMap<PathBuf, Reading> {
    let mut readings: BTreeMap<PathBuf, Reading> = BTreeMap::new();
    let output = command.args(paths).output().expect("the engine runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let out = String::from_utf8(output.stdout).expect("text");
    let mut reading = &mut Reading::default();
    for line in out.lines() {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        let number = |at: usize| words[at].parse::<usize>().expect("a number");
        match words[0] {
            "file" => reading = readings.entry(PathBuf::from(line.split_at(5).1)).or_default(),
            "moved" => reading.moved.push(number(1)),
            "fault" => reading.faults.push(number(1)..number(2)),
            "n" | "k" => reading.parts.push((number(1)..number(2), format!("{} {}", words[0], words[3]))),
            _ => {
                let scopes = line.splitn(3, ' ').nth(2).unwrap_or_default();
                reading.parts.push((number(0)..number(1), scopes.to_owned()));
            }
        }
    }
    assert_eq!(readings.len(), paths.len());
    readings
}

/// What tree-sitter's name of a leaf means.
fn of_tree_sitter(kind: &str) -> Class {
    match kind {
        "n identifier" => Class::Name,
        "n address" | "n port" | "n number" | "n rate" | "n time" | "n mac_address" => Class::Value,
        "n string" => Class::Text,
        "n comment" => Class::Comment,
        "n raw_word" | "n raw_string" => Class::Raw,
        "k {" | "k }" | "k ," | "k =" => Class::Mark,
        "n allow" | "n deny" | "n log" | "n early" => Class::Keyword,
        _ if kind.starts_with("k ") => Class::Keyword,
        _ => panic!("a leaf of an unknown kind: {kind}"),
    }
}

/// What TextMate's scopes mean.
fn of_textmate(scopes: &str) -> Class {
    let has = |scope: &str| scopes.split(' ').any(|one| one.starts_with(scope));
    match () {
        () if has("comment") => Class::Comment,
        () if has("meta.raw") => Class::Raw,
        () if has("string") => Class::Text,
        () if has("constant.numeric") => Class::Value,
        () if has("keyword.operator") || has("punctuation") => Class::Mark,
        () if has("keyword") || has("storage") => Class::Keyword,
        () if has("variable") || has("entity") => Class::Name,
        () => Class::Raw,
    }
}

/// What Emacs' faces mean.
fn of_emacs(face: &str) -> Class {
    match face {
        _ if face.contains("font-lock-comment-") => Class::Comment,
        _ if face.starts_with("raw ") => Class::Raw,
        "font-lock-string-face" => Class::Text,
        "fwc-value" => Class::Value,
        "fwc-allow" | "fwc-deny" | "font-lock-keyword-face" | "font-lock-builtin-face" => Class::Keyword,
        // A name that nothing tells from others has no colour, nor has a mark.
        "none" | "font-lock-type-face" | "font-lock-variable-name-face" | "font-lock-function-name-face" => Class::Name,
        _ => panic!("a face of an unknown kind: {face}"),
    }
}

/// What the groups of Vim's syntax mean.
fn of_vim(group: &str) -> Class {
    match group {
        "fwcComment" | "fwcTodo" => Class::Comment,
        "fwcString" => Class::Text,
        "fwcValue" | "fwcFactNumber" => Class::Value,
        "fwcAllow" | "fwcDeny" | "fwcKeyword" | "fwcDeclare" | "fwcProtocol" | "fwcPlace" | "fwcUser" => Class::Keyword,
        "fwcRaw" | "fwcRawBlock" | "fwcRawString" => Class::Raw,
        "none" | "fwcName" | "fwcDeclared" | "fwcFact" | "fwcFactWord" | "fwcTable" | "fwcHook" | "fwcEquals"
        | "fwcMark" => Class::Name,
        _ => panic!("a group of an unknown kind: {group}"),
    }
}

/// Where an engine takes a word for something else than the compiler does.
fn differences(text: &str, reading: &Reading, class: fn(&str) -> Class) -> Vec<String> {
    let mut differences = Vec::new();
    for (place, expected) in classes(text) {
        let part = reading.parts.iter().find(|(range, _)| range.start <= place.start && place.start < range.end);
        let found = part.map(|(range, name)| (class(name), range, name));
        let same = found.as_ref().is_some_and(|(class, range, _)| {
            // Netfilter's words may be cut otherwise; a mark among them is theirs.
            let raw = expected == Class::Raw && matches!(class, Class::Raw | Class::Mark);
            // Editors with two colours for names have none for marks.
            let mark = expected == Class::Mark && *class == Class::Name;
            // An address where a name must stand is read as one and refused (FW0509); those that look at the spelling alone differ.
            let address =
                expected == Class::Name && *class == Class::Value && text[place.clone()].parse::<IpAddr>().is_ok();
            raw || mark || address || (*class == expected && (range.end >= place.end || expected == Class::Comment))
        });
        if !same {
            let line = text[..place.start].matches('\n').count() + 1;
            differences.push(format!("line {line}: `{}` is {expected:?}, found {found:?}", &text[place]));
        }
    }
    differences
}

/// Whether the compiler's grammar reads all of a text.
fn is_well_formed(text: &str) -> bool {
    parse(text, FileId(0)).diagnostics.iter().all(|found| !found.is_error())
}

#[test]
fn tree_sitter_reads_what_the_compiler_reads() {
    let directory = tempfile::tempdir().expect("directory");
    let driver = match driver(directory.path()) {
        Ok(driver) => driver,
        Err(reason) => return skipped("tree_sitter_reads_what_the_compiler_reads", &reason),
    };
    let corpus = corpus(directory.path());
    let paths: Vec<&Path> = corpus.iter().map(|(.., path)| path.as_path()).collect();
    let readings = readings(&mut Command::new(driver), &paths);
    let mut faults = Vec::new();
    let mut compared = 0;
    for (name, text, path) in corpus.iter().filter(|(_, text, _)| is_well_formed(text)) {
        let reading = &readings[path];
        let wrong = reading.faults.iter().map(|range| format!("a fault at {range:?}: {:?}", text.get(range.clone())));
        let wrong = wrong.chain(differences(text, reading, of_tree_sitter));
        faults.extend(wrong.map(|fault| format!("{name}: {fault}")));
        compared += 1;
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(compared > 300, "{compared} texts");
}

#[test]
fn tree_sitter_refuses_what_the_compiler_refuses() {
    let directory = tempfile::tempdir().expect("directory");
    let driver = match driver(directory.path()) {
        Ok(driver) => driver,
        Err(reason) => return skipped("tree_sitter_refuses_what_the_compiler_refuses", &reason),
    };
    let mut broken = Vec::new();
    for (name, text) in crate::format::corpus() {
        let unread = cuts(&text).filter_map(|part| match part {
            Part::Statement { range, read: false, .. } if !range.is_empty() => Some(text[range].to_owned()),
            _ => None,
        });
        for statement in unread.collect::<Vec<_>>() {
            let path = directory.path().join(format!("{}.fw", broken.len()));
            fs::write(&path, &statement).expect("the directory is ours");
            broken.push((name.clone(), statement, path));
        }
    }
    let paths: Vec<&Path> = broken.iter().map(|(.., path)| path.as_path()).collect();
    let readings = readings(&mut Command::new(driver), &paths);
    let taken: Vec<_> = broken.iter().filter(|(.., path)| readings[path].faults.is_empty()).collect();
    let list: Vec<String> = taken.iter().map(|(name, statement, _)| format!("{name}: {statement}")).collect();
    // A name that is a keyword, a list of one kind with a member of another: the grammar for editors is wider there.
    assert!(taken.len() * 5 < broken.len(), "{} of {} are taken:\n{}", taken.len(), broken.len(), list.join("\n"));
    assert!(broken.len() > 200, "{} statements", broken.len());
}

#[test]
fn textmate_reads_what_the_compiler_reads() {
    let modules = match textmate() {
        Ok(modules) => modules,
        Err(reason) => return skipped("textmate_reads_what_the_compiler_reads", &reason),
    };
    let directory = tempfile::tempdir().expect("directory");
    let corpus = corpus(directory.path());
    let paths: Vec<&Path> = corpus.iter().map(|(.., path)| path.as_path()).collect();
    let mut command = Command::new("node");
    command.arg(project("tests/grammars/scopes.js")).arg(modules);
    command.arg(project("editors/vscode/syntaxes/fwc.tmLanguage.json"));
    let readings = readings(&mut command, &paths);
    let mut faults = Vec::new();
    for (name, text, path) in corpus.iter().filter(|(_, text, _)| is_well_formed(text)) {
        faults.extend(
            differences(text, &readings[path], of_textmate).into_iter().map(|fault| format!("{name}: {fault}")),
        );
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// An editor's own colours agree with the compiler's reading of all that is laid out, and it indents every line as it is.
fn agrees(test: &str, editor: &mut Command, class: fn(&str) -> Class) {
    if Command::new(editor.get_program()).arg("--version").output().is_err() {
        return skipped(test, &format!("{} is not installed", editor.get_program().to_string_lossy()));
    }
    let directory = tempfile::tempdir().expect("directory");
    let well_formed = crate::format::corpus().into_iter().filter(|(_, text)| is_well_formed(text));
    let laid_out = well_formed.enumerate().map(|(number, (name, text))| {
        let (text, path) = (fwc::format::format(&text), directory.path().join(format!("{number}.fw")));
        fs::write(&path, &text).expect("the directory is ours");
        (name, text, path)
    });
    let corpus: Vec<_> = laid_out.collect();
    let paths: Vec<&Path> = corpus.iter().map(|(.., path)| path.as_path()).collect();
    let readings = readings(editor.env("HOME", directory.path()), &paths);
    let mut faults = Vec::new();
    for (name, text, path) in &corpus {
        let reading = &readings[path];
        let moved = reading.moved.iter().map(|line| format!("line {line} is moved: {:?}", text.lines().nth(line - 1)));
        faults
            .extend(differences(text, reading, class).into_iter().chain(moved).map(|fault| format!("{name}: {fault}")));
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    assert!(corpus.len() > 300, "{} texts", corpus.len());
}

#[test]
fn emacs_reads_what_the_compiler_reads() {
    let mut emacs = Command::new("emacs");
    emacs.args(["--batch", "-l"]).arg(project("editors/emacs/fwc-mode.el"));
    emacs.arg("-l").arg(project("tests/grammars/faces.el"));
    agrees("emacs_reads_what_the_compiler_reads", &mut emacs, of_emacs);
}

#[test]
fn vim_reads_what_the_compiler_reads() {
    let mut nvim = Command::new("nvim");
    nvim.args(["--headless", "-u", "NONE", "-i", "NONE", "-n", "--cmd"]);
    nvim.arg(format!("set runtimepath^={}", project("editors/nvim").display()));
    nvim.arg("-c").arg(format!("luafile {}", project("tests/grammars/colours.lua").display()));
    agrees("vim_reads_what_the_compiler_reads", &mut nvim, of_vim);
}
