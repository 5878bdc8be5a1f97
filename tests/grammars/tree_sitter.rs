//! The tree-sitter grammar: its parser is the one that its sources give, and it gives the trees and colours of its own tests, which are
//! in tree-sitter's form (`tree-sitter test` reads them too).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{project, read, skipped};

const HOME: &str = "editors/tree-sitter-fwc";

/// What Debian's library and older editors take.
const ABI: usize = 14;

/// Every file below a directory, relative to it.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            found.extend(files(&entry));
        } else {
            found.push(entry);
        }
    }
    found.sort();
    found
}

/// The driver with the checked-in parser in it; `Err` says why there is none.
pub fn driver(directory: &Path) -> Result<PathBuf, String> {
    let driver = directory.join("driver");
    let compiler = Command::new("cc")
        .args(["-O0", "-o"])
        .arg(&driver)
        .args([project("tests/grammars/driver.c"), project("editors/tree-sitter-fwc/src/parser.c")])
        .arg("-I")
        .arg(project("editors/tree-sitter-fwc/src"))
        .arg("-ltree-sitter")
        .output()
        .map_err(|error| format!("no C compiler: {error}"))?;
    let said = String::from_utf8_lossy(&compiler.stderr);
    let lacks = ["tree_sitter/api.h: No such file", "cannot find -ltree-sitter"].iter().any(|lack| said.contains(lack));
    if lacks {
        return Err("libtree-sitter-dev is not installed".to_owned());
    }
    assert!(compiler.status.success(), "the parser does not compile: {said}");
    Ok(driver)
}

/// What the driver says to these arguments.
fn says<S: AsRef<std::ffi::OsStr>>(driver: &Path, arguments: &[S]) -> String {
    let output = Command::new(driver).args(arguments).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).expect("JSON")
}

/// A changed `grammar.js` whose parser was not made anew would change nothing.
#[test]
fn the_parser_is_what_its_grammar_gives() {
    let directory = tempfile::tempdir().expect("directory");
    for name in ["grammar.js", "tree-sitter.json", "src/grammar.json"] {
        let copy = directory.path().join(name);
        fs::create_dir_all(copy.parent().expect("a directory")).expect("directory");
        fs::copy(project(HOME).join(name), copy).expect("a copy");
    }
    let node = Command::new("node").arg("--version").output().is_ok();
    if !node {
        skipped("the_parser_is_what_its_grammar_gives, of grammar.js", "node is not installed");
    }
    let source = directory.path().join(if node { "grammar.js" } else { "src/grammar.json" });
    tree_sitter_generate::generate_parser_in_directory(
        directory.path(),
        None::<&Path>,
        Some(&source),
        ABI,
        None,
        Some("node"),
        true,
        tree_sitter_generate::OptLevel::default(),
    )
    .expect("a grammar");
    let made = files(&directory.path().join("src"));
    assert!(made.len() >= 6, "{made:?}");
    for file in made {
        let path = format!("{HOME}/{}", file.strip_prefix(directory.path()).expect("inside").display());
        let fresh = fs::read_to_string(&file).expect("text");
        let is_current = || match file.extension() {
            // In an object the order of what it holds says nothing.
            Some(end) if end == "json" => json(&fresh) == json(&read(&path)),
            _ => fresh == read(&path),
        };
        if !is_current() && std::env::var_os("UPDATE").is_some() {
            fs::copy(&file, project(&path)).expect("a copy");
        }
        assert!(is_current(), "{path} is out of date: run `UPDATE=1 cargo test grammars`");
    }
}

/// The tests of a file in tree-sitter's form: title, text, tree.
fn corpus(text: &str) -> Vec<(String, String, String)> {
    let mut cases: Vec<(String, String, String)> = Vec::new();
    let mut lines = text.lines().peekable();
    let mut in_tree = false;
    while let Some(line) = lines.next() {
        if line.starts_with("===") {
            let title = lines.next().unwrap_or_default().to_owned();
            lines.next_if(|line| line.starts_with("==="));
            cases.push((title, String::new(), String::new()));
            in_tree = false;
        } else if line == "---" {
            in_tree = true;
        } else if let Some((_, policy, tree)) = cases.last_mut() {
            let part = if in_tree { tree } else { policy };
            part.push_str(line);
            part.push('\n');
        }
    }
    cases
}

/// A tree in one line, without the names of fields.
fn bare(tree: &str) -> String {
    tree.split_whitespace().filter(|word| !word.ends_with(':')).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_corpus_has_the_trees_that_it_shows() {
    let directory = tempfile::tempdir().expect("directory");
    let driver = match driver(directory.path()) {
        Ok(driver) => driver,
        Err(reason) => return skipped("the_corpus_has_the_trees_that_it_shows", &reason),
    };
    let mut compared = 0;
    for path in files(&project(HOME).join("test/corpus")) {
        for (title, policy, tree) in corpus(&fs::read_to_string(&path).expect("text")) {
            let file = directory.path().join("case.fw");
            fs::write(&file, &policy).expect("the directory is ours");
            let said = says(&driver, &["--tree".as_ref(), file.as_os_str()]);
            let found = said.lines().nth(1).unwrap_or_default();
            assert_eq!(bare(found), bare(&tree), "{}: {title}", path.display());
            let faults = fwc::syntax::parse(&policy, fwc::span::FileId(0)).diagnostics;
            assert!(faults.is_empty(), "{title}: the compiler does not read it: {:?}", faults[0].message);
            compared += 1;
        }
    }
    assert!(compared >= 25, "{compared} cases");
}

/// What a query captures in a text: places in bytes and names, the last at one place outweighing those before it.
fn captures(driver: &Path, query: &Path, file: &Path) -> Vec<(usize, usize, String)> {
    let said = says(driver, &["--captures".as_ref(), query.as_os_str(), file.as_os_str()]);
    let number = |word: Option<&str>| word.and_then(|word| word.parse().ok()).expect("a number");
    let parts = said.lines().skip(1).map(|line| {
        let mut words = line.splitn(3, ' ');
        (number(words.next()), number(words.next()), words.next().unwrap_or_default().to_owned())
    });
    parts.collect()
}

/// `# <- NAME` speaks of the column of its `#`, `#  ^ NAME` of that of its `^`, in the last line that is no such comment.
#[test]
fn the_colours_are_those_that_are_asked_for() {
    let directory = tempfile::tempdir().expect("directory");
    let driver = match driver(directory.path()) {
        Ok(driver) => driver,
        Err(reason) => return skipped("the_colours_are_those_that_are_asked_for", &reason),
    };
    let query = project(HOME).join("queries/highlights.scm");
    let mut asked = 0;
    for path in files(&project(HOME).join("test/highlight")) {
        let found = captures(&driver, &query, &path);
        let (mut start, mut line_start) = (0, 0);
        for (number, line) in fs::read_to_string(&path).expect("text").lines().enumerate() {
            let claim = line.strip_prefix('#').map(str::trim_start);
            let name = claim.and_then(|claim| claim.strip_prefix("<-").or_else(|| claim.strip_prefix('^')));
            if let Some(name) = name {
                let column = line.find('^').unwrap_or(0);
                let place = line_start + column;
                let covers = found.iter().rev().find(|(from, to, _)| *from <= place && place < *to);
                let capture = covers.map(|(.., capture)| capture.as_str());
                assert_eq!(capture, Some(name.trim()), "{}:{}", path.display(), number + 1);
                asked += 1;
            } else {
                line_start = start;
            }
            start += line.len() + 1;
        }
    }
    assert!(asked > 30, "{asked} colours");
}

/// One word that the parser does not know, and an editor takes none of the query.
#[test]
fn every_query_fits_the_parser_and_colours_every_word() {
    let directory = tempfile::tempdir().expect("directory");
    let driver = match driver(directory.path()) {
        Ok(driver) => driver,
        Err(reason) => return skipped("every_query_fits_the_parser_and_colours_every_word", &reason),
    };
    let policy = project("tests/syntax/constructs.fw");
    let text = read("tests/syntax/constructs.fw");
    let mut queries = 0;
    for home in ["editors/tree-sitter-fwc/queries", "editors/helix/queries/fwc", "editors/zed/languages/fwc"] {
        for query in files(&project(home)).into_iter().filter(|path| path.extension().is_some_and(|end| end == "scm")) {
            let found = captures(&driver, &query, &policy);
            assert!(!found.is_empty(), "{} finds nothing", query.display());
            queries += 1;
            if !query.ends_with("highlights.scm") {
                continue;
            }
            for (place, word) in super::words::words(&text) {
                let covered = found.iter().any(|(from, to, _)| *from <= place.start && place.start < *to);
                assert!(covered, "{}: `{word}` at {} has no colour", query.display(), place.start);
            }
        }
    }
    assert!(queries >= 14, "{queries} queries");
}
