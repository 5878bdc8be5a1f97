//! The grammars for editors and the compiler's own agree, word for word, on every policy of the project.
//!
//! The tree-sitter parser is compiled with the C compiler and Debian's libtree-sitter, the TextMate grammar is run by the engine of VS
//! Code. `./test` installs what is missing; elsewhere the tests say by name that they are skipped.

mod compare;
mod tree_sitter;
mod words;

use std::path::{Path, PathBuf};

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(project(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Says by name that a test is skipped.
fn skipped(test: &str, reason: &str) {
    println!("skipped: grammars::{test}: {reason}");
}

/// A keyword that an editor's grammar does not know would be shown as a name.
#[test]
fn every_reserved_word_is_a_keyword_in_every_grammar() {
    let parser = read("editors/tree-sitter-fwc/src/grammar.json");
    let colours = read("editors/tree-sitter-fwc/queries/highlights.scm");
    let others =
        ["editors/vscode/syntaxes/fwc.tmLanguage.json", "editors/emacs/fwc-mode.el", "editors/nvim/syntax/fwc.vim"];
    let others = others.map(|path| (path, read(path)));
    let reserved = words::reserved();
    assert!(reserved.len() > 50);
    // Those that are nodes of their own.
    let nodes = ["allow", "deny", "reject", "early", "tcp", "udp", "sctp", "ipv4", "ipv6"];
    for word in reserved {
        assert!(parser.contains(&format!("\"value\": \"{word}\"")), "tree-sitter-fwc does not know `{word}`");
        let coloured = nodes.contains(&&*word) || colours.contains(&format!("\"{word}\""));
        assert!(coloured, "highlights.scm has no colour for `{word}`");
        for (path, text) in &others {
            let listed = text.split(|letter: char| !letter.is_alphanumeric()).any(|other| other == word);
            assert!(listed, "{path} does not know `{word}`");
        }
    }
}

/// Every text that a snippet writes, its places filled with what stands in them, is one that the compiler reads.
#[test]
fn every_snippet_can_be_read() {
    let snippets: serde_json::Value = serde_json::from_str(&read("editors/vscode/snippets/fwc.json")).expect("JSON");
    let snippets = snippets.as_object().expect("an object");
    assert!(snippets.len() > 10);
    for (name, snippet) in snippets {
        let body = match &snippet["body"] {
            serde_json::Value::Array(lines) => {
                lines.iter().filter_map(|line| line.as_str()).collect::<Vec<_>>().join("\n")
            }
            line => line.as_str().expect("a line").to_owned(),
        };
        let mut text = filled(&body);
        if text.starts_with("limit") {
            text = format!("allow ssh to host {text}");
        }
        let faults = fwc::syntax::parse(&text, fwc::span::FileId(0)).diagnostics;
        assert!(faults.is_empty(), "{name}: {text}: {:?}", faults.first().map(|fault| &fault.message));
        assert_eq!(fwc::format::format(&text).trim_end(), text.trim_end(), "{name} is not laid out");
    }
}

/// `${1:text}`, `${1|one,other|}` and `$0`, filled with the first that may stand there.
fn filled(body: &str) -> String {
    let mut out = String::new();
    let mut rest = body.replace("$0", "");
    while let Some((before, place)) = rest.clone().split_once("${") {
        let (inner, after) = place.split_once('}').expect("the place ends");
        let inner = inner.trim_start_matches(|letter: char| letter.is_ascii_digit());
        let first = inner.trim_matches(['|', ':']).split(if inner.starts_with('|') { ',' } else { '\n' }).next();
        out.push_str(before);
        out.push_str(first.unwrap_or_default());
        rest = after.to_owned();
    }
    out + &rest
}
