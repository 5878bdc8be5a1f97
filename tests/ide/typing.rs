//! What is asked while a line is typed: what may follow, how the statement goes on; and what there is to know about a place.

use std::fmt::Write as _;

use fwc::ide::{self, Completion, CompletionKind};
use fwc::span::{FileId, Span};

use super::draw::{Mark, draw};
use super::features::check;

/// A list, the author's own first; of the library and of long lists only the number.
fn listed(found: &[Completion]) -> String {
    const MOST: usize = 12;
    let mut out = String::new();
    let mut kinds: Vec<(u8, CompletionKind)> = found.iter().map(|one| (one.order, one.kind)).collect();
    kinds.dedup();
    for (order, kind) in kinds {
        let own: Vec<&Completion> = found.iter().filter(|one| (one.order, one.kind) == (order, kind)).collect();
        let _ = writeln!(out, "{kind:?} ({order})");
        if kind == CompletionKind::Keyword {
            let words: Vec<&str> = own.iter().map(|one| one.label.as_str()).collect();
            let _ = writeln!(out, "  {}", words.join(" "));
            continue;
        }
        for one in own.iter().take(MOST) {
            let insert = if one.insert == one.label { String::new() } else { format!(" as {}", one.insert) };
            let detail = if one.detail.is_empty() { String::new() } else { format!(": {}", one.detail) };
            let _ = writeln!(out, "  {}{insert}{detail}", one.label);
        }
        if own.len() > MOST {
            let _ = writeln!(out, "  … {} in all", own.len());
        }
    }
    if out.is_empty() { "nothing".to_owned() } else { out }
}

#[test]
fn complete() {
    check("complete", &|db, input, file, offset| {
        let found = ide::complete(db, input, file, offset);
        let text = &input.files(db)[file.0 as usize].0.source(db).text;
        let mut out = String::new();
        if let Some(first) = found.first() {
            assert!(found.iter().all(|one| one.replace == first.replace));
            let _ = writeln!(out, "instead of {:?}", &text[first.replace.range()]);
        }
        out.push_str(&listed(&found));
        out
    });
}

#[test]
fn documentation() {
    check("documentation", &|db, input, file, offset| {
        let found = ide::complete(db, input, file, offset);
        let mut out = String::new();
        for one in found.iter().take(4) {
            let _ = writeln!(out, "## {}\n{}\n", one.label, one.documentation.trim_end());
        }
        out
    });
}

#[test]
fn signature() {
    check("signature", &|db, input, file, offset| {
        let Some(found) = ide::signature(db, input, file, offset) else { return "nothing".to_owned() };
        let mut out = format!("{}\n", found.label);
        match found.active.and_then(|at| found.parts.get(at)) {
            Some(part) => {
                let under = "^".repeat(part.range().len());
                let _ = writeln!(out, "{}{under}", " ".repeat(part.start as usize));
            }
            None => out.push_str("no part\n"),
        }
        out
    });
}

#[test]
fn hover() {
    check("hover", &|db, input, file, offset| {
        let Some(found) = ide::hover(db, input, file, offset) else { return "nothing".to_owned() };
        let mark = Mark::new(file, found.span, "");
        format!("{}{}", draw(db, input, &[mark], false), found.text)
    });
}

#[test]
fn inlays() {
    check("inlays", &|db, input, file, _| {
        let text = &input.files(db)[file.0 as usize].0.source(db).text;
        let found = ide::inlays(db, input, file, Span::new(0, text.len())).into_iter();
        let at = |offset| Span { start: offset, end: offset };
        let marks: Vec<Mark> = found.map(|one| Mark::new(file, at(one.offset), one.label)).collect();
        draw(db, input, &marks, true)
    });
}

#[test]
fn every_statement_can_be_written_by_taking_what_is_offered() {
    // Each word of these lines has to be offered in front of itself.
    let policy = "set office = 192.0.2.1\ninterface wan = eth0\ngroup web {\n}\nservice app = tcp 8443\n\
                  network net on br0\ncontainer c on net publish tcp 80\nguest vm on tap0 address 10.0.0.1\n";
    let lines = [
        "allow ipv4 app from not office to host via wan limit 10/minute per source burst 5 log \"x\" level info during mon-fri comment \"y\"",
        "reject with tcp-reset app from world on wan to container c inside",
        "default deny from network net to host",
        "assert deny app from host user root to guest vm",
        "mark 1 app to world",
        "dscp ef app from office",
        "clamp mss to world",
        "helper ftp app to host",
        "masquerade from office to world via wan as 192.0.2.9",
        "forward app at 192.0.2.9 to office port 80 early",
        "redirect app from office to port 80",
        "use prelude except dhcp-client",
        "use target nft",
        "interface lan = default-route",
        "set b from file \"x\"",
        "set c live",
        "apply web",
        "chain filter INPUT",
        "container d on net address office publish tcp 80 at 192.0.2.9 to 81",
        "instance i on br0 mac 1e:0b:85:27:8d:65 address office",
    ];
    let mut asked = 0;
    for line in lines {
        let text = format!("{policy}allow ssh from host user root to world\n{line}\n");
        let case =
            super::Case { title: String::new(), files: vec![("site.fw".to_owned(), text.clone())], cursor: None };
        let mut db = fwc::database::Database::default();
        let input = case.load(&mut db);
        let start = text.len() - line.len() - 1;
        let mut next = 0;
        for word in line.split(' ') {
            let at = next;
            next += word.len() + 1;
            let first = word.chars().next().expect("a word");
            let free = first.is_ascii_digit() || "\"1=".contains(first) || word.contains(':');
            let new = ["lan", "b", "d", "i"].contains(&word) || word == "c" && at == 4 || word == "br0";
            if free || new {
                continue;
            }
            let offset = u32::try_from(start + at).expect("small");
            // What stands behind the place is not looked at, but for the word to be replaced.
            let found = ide::complete(&db, input, FileId(0), offset);
            assert!(found.iter().any(|one| one.label == word), "`{word}` is not offered in `{}|`", &line[..at]);
            asked += 1;
        }
    }
    assert!(asked > 100, "{asked}");
}
