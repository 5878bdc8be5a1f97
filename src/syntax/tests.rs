//! Fixtures in `tests/syntax/` are read whole: each line of a snapshot is a line of the fixture, with what was said about it
//! below.

use std::fmt::Write;
use std::path::Path;

use super::*;
use crate::span::LineIndex;

fn read(text: &str) -> Parsed {
    parse(text, FileId(0))
}

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The text with every edit of one help carried out.
fn applied(text: &str, help: &crate::diagnostic::Help) -> String {
    let mut text = text.to_owned();
    for edit in help.edits.iter().rev() {
        text.replace_range(edit.location.span.range(), &edit.replacement);
    }
    text
}

/// What was said, one line for each part of it.
fn said(text: &str, diagnostic: &Diagnostic) -> String {
    let mut out = String::new();
    let span = diagnostic.primary.location.span;
    let (_, column) = LineIndex::new(text).line_column(span.start);
    let under = text.get(span.range()).expect("spans lie in the text and on characters").replace('\n', "⏎");
    writeln!(out, "  {}:{} {} [{under}] {}", diagnostic.code.number, column, diagnostic.code.name, diagnostic.message)
        .expect("write");
    if !diagnostic.primary.message.is_empty() {
        writeln!(out, "    {}", diagnostic.primary.message).expect("write");
    }
    for label in &diagnostic.related {
        let there = text.get(label.location.span.range()).expect("a span in the text");
        writeln!(out, "    [{there}] {}", label.message).expect("write");
    }
    for help in &diagnostic.helps {
        writeln!(out, "    help: {}", help.message).expect("write");
        if !help.edits.is_empty() {
            let mended = applied(text, help);
            let old: Vec<&str> = text.lines().collect();
            let new: Vec<&str> = mended.lines().collect();
            let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
            let left = new.len() - same;
            let tail = old.iter().rev().zip(new.iter().rev()).take(left).take_while(|(a, b)| a == b).count();
            for line in &new[same..new.len() - tail] {
                writeln!(out, "      => {line}").expect("write");
            }
        }
    }
    out
}

/// The text, each line with what was said about it below.
fn annotated(text: &str) -> String {
    let parsed = read(text);
    let index = LineIndex::new(text);
    let mut out = String::new();
    for (number, line) in text.lines().enumerate() {
        writeln!(out, "{line}").expect("write");
        for diagnostic in &parsed.diagnostics {
            let (at, _) = index.line_column(diagnostic.primary.location.span.start);
            if at as usize == number + 1 {
                out.push_str(&said(text, diagnostic));
            }
        }
    }
    out
}

macro_rules! snapshot {
    ($name:expr, $text:expr) => {
        insta::with_settings!({ snapshot_path => "../../tests/syntax/snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!($name, $text);
        });
    };
}

#[test]
fn the_first_sentence_is_read_however_its_line_ends() {
    let sentence = "allow tcp 443 from 10.1.1.1 to container via ens33";
    let plain = read(sentence);
    assert_eq!(plain.diagnostics, []);
    assert_eq!(plain.tree.statements.len(), 1);
    assert_eq!(plain.tree.statements[0].span, Span::new(0, sentence.len()));
    let tabs = sentence.replace(' ', "\t \t");
    for text in [
        format!("{sentence}\n"),
        format!("{sentence}\r\n"),
        format!("\u{feff}{sentence}\r\n\r\n"),
        format!("  {sentence}  # why\n"),
        format!("{tabs}\t\n"),
    ] {
        assert_eq!(brief(&read(&text)), brief(&plain), "{text:?}");
    }
}

#[test]
fn every_construct_is_read() {
    let text = fixture("syntax/constructs.fw");
    let parsed = read(&text);
    let said: String = parsed.diagnostics.iter().map(|diagnostic| said(&text, diagnostic)).collect();
    assert_eq!(said, "");
    let mut out = String::new();
    for statement in &parsed.tree.statements {
        writeln!(out, "{}\n  {}", &text[statement.span.range()], brief(&statement.value)).expect("write");
    }
    snapshot!("constructs", out);
}

/// Debug output without spans, which say nothing to a reader.
fn brief(value: &impl std::fmt::Debug) -> String {
    let text = format!("{value:?}");
    let mut out = String::new();
    let mut rest = text.as_str();
    // For each `Spanned { value: X, span: … }` whether the closing brace is still to come.
    let mut open: Vec<bool> = Vec::new();
    let mut in_string = false;
    while !rest.is_empty() {
        if let Some(next) = rest.strip_prefix("Spanned { value: ") {
            open.push(true);
            rest = next;
        } else if let Some(next) =
            rest.strip_prefix("span: Span { start: ").or_else(|| rest.strip_prefix(", span: Span { start: "))
        {
            rest = next.split_once('}').expect("a span ends").1;
            rest = rest.strip_prefix(", ").unwrap_or(rest);
        } else {
            let c = rest.chars().next().expect("not empty");
            rest = &rest[c.len_utf8()..];
            if c == '"' && !out.ends_with('\\') {
                in_string = !in_string;
            }
            if c == '{' && !in_string {
                open.push(false);
            }
            if c == '}' && !in_string && open.pop() == Some(true) {
                out.truncate(out.trim_end().len());
                continue;
            }
            out.push(c);
        }
    }
    out
}

#[test]
fn every_fault_is_told() {
    snapshot!("faults", annotated(&fixture("syntax/faults.fw")));
}

#[test]
fn blocks_recover() {
    snapshot!("blocks", annotated(&fixture("syntax/blocks.fw")));
}

#[test]
fn every_shipped_policy_is_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/policies");
    let mut folders = vec![folder];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == "fw") {
                let text = std::fs::read_to_string(&entry).expect("text");
                let parsed = read(&text);
                let said: String = parsed.diagnostics.iter().map(|diagnostic| said(&text, diagnostic)).collect();
                assert_eq!(said, "", "{}", entry.display());
                assert!(!parsed.tree.statements.is_empty());
                files += 1;
            }
        }
    }
    assert_eq!(files, 11);
}

/// The edits of `fault::explain` are tried before they are offered; here all the others are too, and every help that names an
/// edit is applied once more: the statement must then read better than before.
#[test]
fn an_edit_mends_what_it_is_offered_for() {
    let text = fixture("syntax/faults.fw");
    let mut edits = 0;
    for line in text.lines().filter(|line| !line.ends_with('{') && !line.starts_with([' ', '}'])) {
        let parsed = read(line);
        for diagnostic in &parsed.diagnostics {
            for help in diagnostic.helps.iter().filter(|help| !help.edits.is_empty()) {
                let mended = applied(line, help);
                let after = read(&mended).diagnostics;
                let same = |other: &&Diagnostic| {
                    other.code == diagnostic.code && other.primary.location == diagnostic.primary.location
                };
                assert!(after.iter().find(same).is_none(), "{line}\n{mended}\n{after:#?}");
                edits += 1;
            }
        }
    }
    assert!(edits > 60, "{edits}");
}

#[test]
fn every_code_is_given_by_a_fixture_or_a_test_of_its_own() {
    let given: Vec<Diagnostic> = ["syntax/faults.fw", "syntax/blocks.fw"]
        .iter()
        .flat_map(|name| {
            let text = fixture(name);
            // A list that is not closed must not hide the rest of the file.
            read(&text).diagnostics
        })
        .collect();
    let elsewhere = ["FW0001", "FW0006", "FW0007", "FW0008", "FW0029", "FW0030"];
    for code in CODES {
        let found = given.iter().any(|diagnostic| diagnostic.code == code);
        assert_ne!(found, elsewhere.contains(&code.number), "{} {}", code.number, code.name);
    }
}

#[test]
fn messages_keep_the_house_style() {
    for name in ["syntax/faults.fw", "syntax/blocks.fw"] {
        for diagnostic in read(&fixture(name)).diagnostics {
            let message = &diagnostic.message;
            assert!(message.chars().count() < 100, "{message}");
            assert!(!message.ends_with('.'), "{message}");
            let first = message.chars().next().expect("a message");
            assert!(!first.is_uppercase() || message.starts_with("ICMP"), "{message}");
        }
    }
    let mut numbers: Vec<&str> = CODES.iter().map(|code| code.number).collect();
    assert!(numbers.is_sorted());
    numbers.dedup();
    assert_eq!(numbers.len(), CODES.len());
    for code in CODES {
        assert!(code.explanation.len() > 150, "{}", code.number);
    }
}

/// What may stand in front of a name without quotes is the same in the grammar and in the messages.
#[test]
fn reserved_words_agree_with_the_grammar() {
    for word in grammar::RESERVED {
        let plain = read(&format!("set {word} = {{ 10.0.0.1 }}"));
        assert_eq!(plain.diagnostics.len(), 1, "{word}");
        assert_eq!(plain.diagnostics[0].code.name, "keyword-as-name", "{word}");
        let quoted = read(&format!("set \"{word}\" = {{ 10.0.0.1 }}\nallow from \"{word}\" to host"));
        assert_eq!(quoted.diagnostics, [], "{word}");
        let longer = read(&format!("set {word}x = {{ 10.0.0.1 }}\nset {word}-a = {{ {word}x, x{word} }}"));
        assert_eq!(longer.diagnostics, [], "{word}");
    }
    for (word, _) in grammar::STATEMENTS {
        assert!(grammar::RESERVED.contains(&word), "{word}");
    }
}

#[test]
fn five_mistakes_are_five_diagnostics() {
    let text = "alow ssh to host\nallow ssh to host\nset a = { }\nto host {\n  allow tcp 0\n  allow http\n  allow ssh form x\n}\ndeny 10.0.0 to\n";
    let parsed = read(text);
    assert_eq!(parsed.diagnostics.len(), 5, "{:#?}", parsed.diagnostics);
    assert_eq!(parsed.tree.statements.len(), 2);
}

fn numbers(parsed: &Parsed) -> Vec<&'static str> {
    parsed.diagnostics.iter().map(|diagnostic| diagnostic.code.number).collect()
}

#[test]
fn nesting_has_a_limit() {
    let deep =
        |depth: usize| format!("{}allow ssh\n{}allow http to host\n", "to host {\n".repeat(depth), "}\n".repeat(depth));
    assert_eq!(numbers(&read(&deep(64))), [""; 0]);
    for depth in [65, 10_000] {
        let parsed = read(&deep(depth));
        assert_eq!(numbers(&parsed), ["FW0006"]);
        // What stands behind all the braces is still read.
        assert_eq!(parsed.tree.statements.len(), 2);
    }
    for open in ["{", "to host {\n", "allow {", "set a = {\n", "group g {", "guest g on t {", "chain a b {", "x {\n"] {
        let parsed = read(&open.repeat(10_000));
        assert!(
            (1..=build::Report::MOST + 1).contains(&parsed.diagnostics.len()),
            "{open} {}",
            parsed.diagnostics.len()
        );
    }
    assert_eq!(numbers(&read(&"}".repeat(10_000))).len(), build::Report::MOST + 1);
    assert_eq!(
        read(&"allow ssh frm x\n".repeat(10_000)).diagnostics.last().map(|last| last.code.number),
        Some("FW0008")
    );
    // Warnings that are left out stop nothing, unless an error is among them.
    let warned = "deny from 10.0.0.1/8 to host\n".repeat(build::Report::MOST + 2);
    let last = |text: &str| read(text).diagnostics.last().map(|last| (last.code.number, last.is_error()));
    assert_eq!(last(&warned), Some(("FW0030", false)));
    assert!(!read(&warned).diagnostics.iter().any(Diagnostic::is_error));
    for wrong in ["allow ssh frm x", "allow tcp 0 to host", "alow ssh", "set a = {"] {
        assert_eq!(last(&format!("{warned}{wrong}\n")), Some(("FW0008", true)), "{wrong}");
    }
}

#[test]
fn a_statement_has_a_greatest_length() {
    let members = "10.0.0.1, ".repeat(1 << 20);
    let text = format!("allow from {{ {members} }} to host\nallow ssh to host\n");
    let parsed = read(&text);
    assert_eq!(numbers(&parsed), ["FW0007"]);
    assert_eq!(parsed.tree.statements.len(), 1);
    for line in [
        "x".repeat(10 << 20),
        "\0".repeat(10 << 20),
        "\"".repeat((10 << 20) + 1),
        format!("allow {}", "{ ".repeat(5 << 20)),
    ] {
        assert_eq!(read(&line).diagnostics.len(), 1, "{:?}", &line[..8]);
    }
}

#[test]
fn bytes_that_are_no_text_are_told_once() {
    let mut bytes =
        b"allow ssh to host\nset caf\xe9 = { 10.0.0.1 }\n# caf\xe9\nalow http to host\nallow dns to host".to_vec();
    let parsed = parse_bytes(&bytes, FileId(0));
    assert_eq!(numbers(&parsed), ["FW0001", "FW0009"]);
    assert_eq!(parsed.diagnostics[0].primary.location.span, Span::new(25, 26));
    assert_eq!(parsed.tree.statements.len(), 2);
    bytes.retain(u8::is_ascii);
    assert_eq!(parse_bytes(&bytes, FileId(0)), read(std::str::from_utf8(&bytes).expect("ASCII")));
    assert_eq!(numbers(&parse_bytes(b"\xff\xfea\0l\0", FileId(0))), ["FW0001"]);
    assert_eq!(numbers(&read("allow\0 ssh to host")), ["FW0002"]);
    assert_eq!(numbers(&read("\0\0\0\0")), ["FW0002"]);
    assert_eq!(read(""), Parsed::default());
    assert_eq!(read("\u{feff}\n\r\n# nothing"), Parsed::default());
}

/// What the grammar makes of one rule, without the quick reader.
fn by_grammar(text: &str) -> (Option<String>, Vec<Diagnostic>) {
    use pest::Parser;
    let mut report = build::Report::new(FileId(0));
    let statement = grammar::Grammar::parse(grammar::Rule::rule_line, text).ok().and_then(|pairs| {
        build::Builder::new(&mut report, 7).statement(grammar::Rule::rule_line, pairs, Span::new(7, 7 + text.len()))
    });
    (statement.map(|statement| format!("{statement:?}")), report.diagnostics)
}

#[test]
fn the_quick_reader_reads_as_the_grammar_does() {
    let words = [
        "allow",
        "deny",
        "reject",
        "log",
        "with",
        "tcp",
        "udp",
        "sctp",
        "icmp",
        "protocol",
        "gre",
        "ssh",
        "http-alt",
        "a.b",
        "_x",
        "3com",
        "443",
        "8000-8010",
        "8010-8000",
        "0",
        "70000",
        "80x",
        "443/tcp",
        "from",
        "to",
        "via",
        "any",
        "world",
        "host",
        "container",
        "guest",
        "instance",
        "network",
        "mac",
        "db",
        "1e:0b:85:27:8d:65",
        "10.1.1.1",
        "10.0.0.0/8",
        "10.0.0.1/8",
        "10.0.0.1-10.0.0.9",
        "10.1.1.300",
        "::1",
        "fd00::/8",
        "fe80::1",
        "abcd:",
        "dead",
        "dead:beef",
        ":",
        "not",
        "user",
        "root",
        "on",
        "at",
        "inside",
        "direct",
        "limit",
        "10/minute",
        "early",
        "eth0",
        "br-+",
        "br-*",
        "eth0.100",
        "eth0:1",
        "+",
        "-",
        "a+b",
        "ipv4",
        "ipv6",
        "office",
        "in",
        "in-x",
        "tcp4",
        "fromage",
        "host1",
        "%",
        "@",
        "x@y",
        "{",
        "}",
        ",",
        "\"q\"",
        "#",
        "é",
        ";",
    ];
    // A linear congruential generator (Knuth, MMIX) makes the same sentences in every run.
    let mut state = 42u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).expect("31 bits") % below
    };
    let mut texts: Vec<String> = Vec::new();
    for name in ["syntax/constructs.fw", "syntax/faults.fw", "syntax/blocks.fw"] {
        texts.extend(fixture(name).lines().map(|line| line.trim().to_owned()));
    }
    for _ in 0..40_000 {
        let count = 1 + random(6);
        let mut text = words[random(4)].to_owned();
        for _ in 0..count {
            text.push_str(["", " ", " ", " ", "  ", "\t"][random(6)]);
            text.push_str(words[random(words.len())]);
        }
        texts.push(text);
    }
    // Well-formed ones, with a word put in somewhere now and then.
    for _ in 0..40_000 {
        let mut parts = vec![words[random(4)]];
        let services: &[&str] = [
            &[][..],
            &["tcp", "443"],
            &["udp"],
            &["ssh"],
            &["tcp", "8000-8010"],
            &["icmp"],
            &["icmp", "echo-request"],
            &["icmp", "redirect"],
        ][random(8)];
        parts.extend(services);
        if random(4) == 0 {
            parts.insert(1, ["ipv4", "ipv6"][random(2)]);
        }
        for clause in ["from", "to"] {
            if random(3) > 0 {
                parts.push(clause);
                parts.extend(["not"].iter().filter(|_| random(6) == 0));
                parts.push(words[26 + random(28)]);
            }
        }
        if random(3) == 0 {
            parts.extend(["via", words[60 + random(8)]]);
        }
        if random(5) == 0 {
            parts.extend(["source", "port", words[16 + random(8)]]);
        }
        // Lists, and cards behind places.
        if random(3) == 0 {
            let clause = parts.iter().position(|part| ["from", "to"].contains(part)).unwrap_or(0);
            let list: &[&str] = [
                &["{", "ssh", "}"][..],
                &["{", "office", ",", "10.1.1.1", "}"],
                &["{", "tcp", "80", ",", "443", "}"],
                &["{", "tcp", "80", ",", "udp", "53", ",", "}"],
                &["{", "container", "db", ",", "db", "on", "eth1", "}"],
                &["{", "{", "ssh", "}", "}"],
                &["{", "}"],
                &["db", "on", "eth1"],
                &[",", "{"],
            ][random(9)];
            parts.splice(clause + 1..(clause + 1 + random(3)).min(parts.len()), list.iter().copied());
        }
        if random(4) == 0 {
            parts.insert(random(parts.len() + 1), words[random(words.len())]);
        }
        // Marks need no space around them.
        let text = parts.join(" ");
        texts.push(if random(5) == 0 { text.replace(" ,", ",").replace("{ ", "{").replace(" }", "}") } else { text });
    }
    let (mut quick, mut both) = (0, 0);
    for text in &texts {
        let (slow, diagnostics) = by_grammar(text);
        both += usize::from(slow.is_some());
        if let Some(statement) = quick::rule(text, 7, Span::new(7, 7 + text.len())) {
            quick += 1;
            assert_eq!(Some(format!("{statement:?}")), slow, "{text}");
            assert_eq!(diagnostics, [], "{text}");
        }
    }
    assert!(quick > 10_000 && both > quick, "{quick} of {both}");
}

/// What the fuzz target holds, for fixtures with bytes changed, lost, doubled and exchanged.
#[test]
fn damaged_texts_give_spans_inside_and_edits_that_can_be_carried_out() {
    let mut state = 7u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).expect("31 bits") % below
    };
    let sources = ["syntax/constructs.fw", "syntax/blocks.fw", "syntax/faults.fw"].map(fixture);
    let marks = b"{}\",=#\n\r\t \0\xff\xc3;!/-:0a";
    for _ in 0..1_000 {
        let source = sources[random(3)].as_bytes();
        let start = random(source.len() - 400);
        let mut bytes = source[start..start + 1 + random(400)].to_vec();
        for _ in 0..random(6) {
            let at = random(bytes.len());
            match random(4) {
                0 => bytes[at] = marks[random(marks.len())],
                1 => bytes.insert(at, marks[random(marks.len())]),
                2 if bytes.len() > 1 => drop(bytes.remove(at)),
                _ => bytes.swap(at, 0),
            }
        }
        let parsed = parse_bytes(&bytes, FileId(0));
        for diagnostic in &parsed.diagnostics {
            assert!(diagnostic.primary.location.span.range().end <= bytes.len(), "{diagnostic:?}");
        }
        let Ok(text) = std::str::from_utf8(&bytes) else { continue };
        for diagnostic in &parsed.diagnostics {
            assert!(text.get(diagnostic.primary.location.span.range()).is_some(), "{text}\n{diagnostic:?}");
            for help in &diagnostic.helps {
                let _ = read(&applied(text, help));
            }
        }
    }
}
