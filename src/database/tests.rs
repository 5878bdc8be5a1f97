//! What is done again after a change, and that places stay right.

use std::sync::{Arc, Mutex};

use super::*;
use crate::facts::Facts;
use crate::project::MemoryFileSystem;

/// Reads the project of `site.fw`.
fn load(db: &mut Database, files: &MemoryFileSystem) -> ProjectInput {
    db.load(files, files.root("site.fw").expect("a root"), Options::default())
}

/// A database that counts how often a query runs.
fn counting() -> (Database, Arc<Mutex<Vec<String>>>) {
    let ran = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&ran);
    let event = move |event: salsa::Event| {
        if let salsa::EventKind::WillExecute { database_key } = event.kind {
            log.lock().expect("log").push(format!("{database_key:?}"));
        }
    };
    (Database { storage: salsa::Storage::new(Some(Box::new(event))), files: HashMap::new() }, ran)
}

fn parsed_again(ran: &Mutex<Vec<String>>) -> usize {
    let mut ran = ran.lock().expect("log");
    let count = ran.iter().filter(|query| query.starts_with("parse(")).count();
    ran.clear();
    count
}

#[test]
fn only_the_text_that_changed_is_parsed_again() {
    let (mut db, ran) = counting();
    let mut files = MemoryFileSystem::new([
        ("site.fw", "include \"a.fw\"\ninclude \"b.fw\"\n"),
        ("a.fw", "allow ping to host\n"),
        ("b.fw", "allow ssh to host\n"),
    ]);
    let first = load(&mut db, &files);
    assert_eq!(source_diagnostics(&db, first).len(), 0);
    assert_eq!(parsed_again(&ran), 3 + crate::library::FILES.len());
    let second = load(&mut db, &files);
    assert_eq!(source_diagnostics(&db, second).len(), 0);
    assert_eq!(parsed_again(&ran), 0, "nothing changed");
    files.write("b.fw", "allow ssh to host\nallow http to host\n");
    let third = load(&mut db, &files);
    assert_eq!(project(&db, third).parsed(FileId(2)).map(|parsed| parsed.tree.statements.len()), Some(2));
    assert_eq!(parsed_again(&ran), 1, "one text changed");
}

#[test]
fn a_fault_that_moves_down_is_told_at_its_new_place() {
    let mut db = Database::default();
    let mut files = MemoryFileSystem::new([("site.fw", "allow tcp 99999 to host\n")]);
    let place = |db: &mut Database, files: &MemoryFileSystem| {
        let input = load(db, files);
        source_diagnostics(db, input).first().map(|one| one.primary.location.span.start)
    };
    let before = place(&mut db, &files).expect("a fault");
    files.write("site.fw", "# a line above\nallow tcp 99999 to host\n");
    assert_eq!(place(&mut db, &files), Some(before + 15));
}

#[test]
fn the_target_is_said_by_the_command_line_then_the_source_then_the_facts() {
    let chosen = |text: &str, asked: Option<Target>, facts: &Facts| {
        let mut db = Database::default();
        let root = Root { path: "site.fw".into(), bytes: text.as_bytes().to_vec() };
        let input = db.load(&MemoryFileSystem::default(), root, Options { target: asked, ..Options::default() });
        project(&db, input).target(facts)
    };
    let nftables = Facts {
        docker: Some(crate::facts::DockerFact {
            firewall_backend: Some(crate::facts::Backend::Nftables),
            ..Default::default()
        }),
        ..Default::default()
    };
    assert_eq!(chosen("", None, &Facts::default()), Target::Iptables);
    assert_eq!(chosen("", None, &nftables), Target::Nft);
    assert_eq!(chosen("target iptables\n", None, &nftables), Target::Iptables);
    assert_eq!(chosen("use target iptables\n", Some(Target::Nft), &Facts::default()), Target::Nft);
}

#[test]
fn only_the_text_that_changed_is_outlined_again() {
    let (mut db, ran) = counting();
    let mut files = MemoryFileSystem::new([
        ("site.fw", "include \"a.fw\"\nallow ssh to host\n"),
        ("a.fw", "set office = 192.0.2.1\n"),
    ]);
    let outlined = |db: &Database, input: ProjectInput| {
        input.files(db).iter().filter(|(_, policy)| *policy).for_each(|(file, _)| drop(Arc::clone(outline(db, *file))));
        let mut ran = ran.lock().expect("log");
        let count = ran.iter().filter(|query| query.starts_with("outline(")).count();
        ran.clear();
        count
    };
    let input = load(&mut db, &files);
    assert_eq!(outlined(&db, input), 2 + crate::library::FILES.len());
    files.write("a.fw", "set office = 192.0.2.1\nset lan = 10.0.0.0/8\n");
    let input = load(&mut db, &files);
    assert_eq!(outlined(&db, input), 1);
}

#[test]
fn the_lines_of_statements_are_made_once_for_a_target() {
    let (mut db, ran) = counting();
    let files = MemoryFileSystem::new([("site.fw", "allow ssh to host\n")]);
    let input = load(&mut db, &files);
    for _ in 0..3 {
        assert!(!written(&db, input, Target::Nft).lines.is_empty());
    }
    let ran = ran.lock().expect("log");
    assert_eq!(ran.iter().filter(|query| query.starts_with("written(")).count(), 1);
}

/// How often each query ran since this was asked last.
fn executed(ran: &Mutex<Vec<String>>) -> Vec<(String, usize)> {
    let mut counts: Vec<(String, usize)> = Vec::new();
    for query in ran.lock().expect("log").drain(..) {
        let name = query.split('(').next().unwrap_or_default().to_owned();
        match counts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => counts.push((name, 1)),
        }
    }
    counts.sort();
    counts
}

#[test]
fn an_edit_redoes_only_what_depends_on_it() {
    let (mut db, ran) = counting();
    let mut files = MemoryFileSystem::new([
        ("site.fw", "include \"a.fw\"\nallow ssh from office to host\n"),
        ("a.fw", "set office = 192.0.2.0/24\n"),
    ]);
    let input = load(&mut db, &files);
    let reload = |db: &mut Database, files: &MemoryFileSystem| {
        db.reload(input, files, files.root("site.fw").expect("a root"), Options::default());
        judged(db, input).said.len()
    };
    assert_eq!(judged(&db, input).said.len(), 0);
    executed(&ran);
    // Nothing changed: nothing is done again.
    assert_eq!(reload(&mut db, &files), 0);
    assert_eq!(executed(&ran), []);
    // One text changed: it alone is parsed, and each stage behind runs once.
    files.write("a.fw", "set office = 192.0.2.0/24\nset unused = 198.51.100.0/24\n");
    assert_eq!(reload(&mut db, &files), 1);
    let names = ["expectations", "judged", "named", "parse", "project", "resolved", "source_diagnostics"];
    assert_eq!(executed(&ran), names.map(|name| (name.to_owned(), 1)));
    // What rests on no part of it (another project's diagnostics, proofs that nobody asks for) does not run at all.
    assert_eq!(reload(&mut db, &files), 1);
    assert_eq!(executed(&ran), []);
}
