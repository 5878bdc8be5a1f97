//! Loading over a file system in memory, with a reader that knows `include`, `compose` and `set` alone: what is tested here is
//! which texts are read, in which order, and what is said when that fails.

use std::sync::Arc;

use super::*;
use crate::diagnostic::Diagnostic;
use crate::span::{Span, Spanned};
use crate::syntax::tree::{Set, SetValue, StatementKind, Tree};

fn read(text: &str) -> Arc<Parsed> {
    let mut tree = Tree::default();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let span = Span::new(at, at + line.trim_end().len());
        at += line.len();
        let Some((words, rest)) = line.split_once('"') else { continue };
        let Some((name, _)) = rest.split_once('"') else { continue };
        let start = span.start as usize + words.len();
        let name = Spanned::new(name.into(), Span::new(start, start + name.len() + 2));
        let kind = match words.split_whitespace().next() {
            Some("include") => StatementKind::Include(Box::new(name)),
            Some("compose") => StatementKind::Compose(Box::new(name)),
            Some("set") => StatementKind::Set(Box::new(Set { name: name.clone(), value: SetValue::File(name) })),
            _ => continue,
        };
        tree.statements.push(Spanned::new(kind, span));
    }
    Arc::new(Parsed { tree, diagnostics: Vec::new() })
}

fn loaded(files: &[(&str, &str)]) -> (Project, Vec<Diagnostic>) {
    let (path, _) = files.first().expect("a root");
    loaded_from(&MemoryFileSystem::new(files.iter().copied()), path)
}

fn loaded_from(system: &MemoryFileSystem, root: &str) -> (Project, Vec<Diagnostic>) {
    load(system, system.root(root).expect("a root"), Options::default(), &mut |_, source| read(&source.text))
}

/// The user's files, in the order of the table.
fn paths(project: &Project) -> Vec<&str> {
    let own = project.files.iter().filter(|source| !source.path.starts_with("std:"));
    own.map(|source| &*source.path).collect()
}

fn said(diagnostics: &[Diagnostic]) -> Vec<(&str, &str)> {
    diagnostics.iter().map(|one| (one.code.name, one.message.as_str())).collect()
}

#[test]
fn names_are_relative_to_the_file_they_stand_in() {
    let (project, diagnostics) = loaded(&[
        ("etc/site.fw", "include \"parts/web.fw\"\n"),
        ("etc/parts/web.fw", "include \"../db.fw\"\nset x from file \"ban.list\"\n"),
        ("etc/db.fw", ""),
        ("etc/parts/ban.list", "10.0.0.1\n"),
    ]);
    assert_eq!(said(&diagnostics), []);
    assert_eq!(paths(&project), ["etc/site.fw", "etc/parts/web.fw", "etc/db.fw", "etc/parts/ban.list"]);
    assert_eq!(project.imports.iter().map(|import| import.files.len()).sum::<usize>(), 3);
}

#[test]
fn a_file_is_read_once_where_it_is_first_included_also_under_another_name() {
    let mut system = MemoryFileSystem::new([
        ("a.fw", "include \"b.fw\"\ninclude \"c.fw\"\ninclude \"link.fw\"\n"),
        ("b.fw", "include \"d.fw\"\n"),
        ("c.fw", "include \"d.fw\"\n"),
        ("d.fw", ""),
    ]);
    system.link("link.fw", "d.fw");
    let (project, diagnostics) = loaded_from(&system, "a.fw");
    assert_eq!(said(&diagnostics), []);
    assert_eq!(paths(&project), ["a.fw", "b.fw", "d.fw", "c.fw"]);
}

#[test]
fn a_circle_is_told_with_every_file_in_it() {
    let (_, diagnostics) =
        loaded(&[("a.fw", "include \"b.fw\"\n"), ("b.fw", "include \"c.fw\"\n"), ("c.fw", "include \"a.fw\"\n")]);
    assert_eq!(said(&diagnostics), [("include-cycle", "this include closes a circle")]);
    let circle = diagnostics.first().expect("one");
    assert_eq!(circle.notes, ["the circle: a.fw → b.fw → c.fw → a.fw"]);
    assert_eq!(circle.primary.location.file, FileId(2));
    assert_eq!(circle.related.len(), 2);
    let (_, alone) = loaded(&[("a.fw", "include \"a.fw\"\n")]);
    assert_eq!(alone.first().expect("one").notes, ["the circle: a.fw → a.fw"]);
}

#[test]
fn patterns_give_files_in_the_order_of_their_names() {
    let files = [
        ("a.fw", "include \"conf.d/*.fw\"\ninclude \"more/**/*.fw\"\ninclude \"conf.d/*.conf\"\ninclude \"x/[a.fw\"\n"),
        ("conf.d/20.fw", ""),
        ("conf.d/10.fw", ""),
        ("conf.d/.#10.fw", ""),
        ("conf.d/sub/30.fw", ""),
        ("more/1.fw", ""),
        ("more/deep/er/2.fw", ""),
    ];
    let (project, diagnostics) = loaded(&files);
    assert_eq!(paths(&project), ["a.fw", "conf.d/10.fw", "conf.d/20.fw", "more/1.fw", "more/deep/er/2.fw"]);
    assert_eq!(
        said(&diagnostics),
        [
            ("pattern-matches-nothing", "no file matches `conf.d/*.conf`"),
            ("invalid-file-pattern", "`x/[a.fw` is not a pattern of file names"),
        ]
    );
}

#[test]
fn a_file_that_is_missing_is_told_at_its_name_with_the_nearest_one() {
    let (project, diagnostics) = loaded(&[("a.fw", "# one\ninclude \"bsae.fw\"\n"), ("base.fw", "")]);
    assert_eq!(said(&diagnostics), [("file-not-found", "there is no file `bsae.fw`")]);
    let missing = diagnostics.first().expect("one");
    assert_eq!(project.text(FileId(0)).get(missing.primary.location.span.range()), Some("\"bsae.fw\""));
    let edit = missing.helps.first().and_then(|help| help.edits.first()).expect("an edit");
    assert_eq!(edit.replacement, "\"base.fw\"");
}

#[test]
fn a_directory_is_told_with_the_pattern_that_was_meant() {
    let (_, diagnostics) = loaded(&[("a.fw", "include \"conf.d/\"\n"), ("conf.d/x.fw", "")]);
    assert_eq!(said(&diagnostics), [("file-unreadable", "`conf.d` is a directory, and a file was expected")]);
    let edit = diagnostics.first().and_then(|one| one.helps.first()?.edits.first()).expect("an edit");
    assert_eq!(edit.replacement, "\"conf.d/*.fw\"");
}

#[test]
fn a_loop_of_links_is_told_in_the_systems_words() {
    let mut system = MemoryFileSystem::new([("a.fw", "include \"x.fw\"\n")]);
    system.link("x.fw", "y.fw");
    system.link("y.fw", "x.fw");
    let (_, diagnostics) = loaded_from(&system, "a.fw");
    assert_eq!(said(&diagnostics), [("file-unreadable", "cannot read `x.fw`: too many levels of symbolic links")]);
}

#[test]
fn bytes_that_are_not_utf8_are_told_where_they_stand() {
    let mut system = MemoryFileSystem::new([("a.fw", "include \"b.fw\"\n")]);
    system.write("b.fw", b"# one\n# Zug\xe4nge\n");
    let (project, diagnostics) = loaded_from(&system, "a.fw");
    assert_eq!(said(&diagnostics), [("file-not-utf8", "`b.fw` is not UTF-8 text")]);
    let wrong = diagnostics.first().expect("one");
    assert_eq!(wrong.primary.location, Location { file: FileId(1), span: Span::new(11, 11) });
    assert_eq!(wrong.primary.message, "the byte e4 follows here");
    assert_eq!(project.text(FileId(1)), "# one\n# Zug");
}

#[test]
fn a_name_that_would_write_a_line_of_its_own_is_refused() {
    let (project, diagnostics) = loaded(&[("a.fw", "include \"d/*.fw\"\n"), ("d/x\n-F\n.fw", "")]);
    assert_eq!(said(&diagnostics), [("file-unreadable", "the name `d/x\\n-F\\n.fw` has control characters")]);
    assert_eq!(paths(&project), ["a.fw"]);
}

#[test]
fn a_compose_file_brings_its_environment() {
    let (project, diagnostics) =
        loaded(&[("a.fw", "compose \"app/compose.yml\"\n"), ("app/compose.yml", ""), ("app/.env", "PORT=80\n")]);
    assert_eq!(said(&diagnostics), []);
    let import = project.imports.first().expect("one");
    assert_eq!((import.kind, &*import.files), (ImportKind::Compose, &[FileId(1)][..]));
    assert_eq!(import.environment.map(|file| project.text(file)), Some("PORT=80\n"));
}

#[test]
fn the_number_of_files_is_bounded_and_told_once() {
    let many: Vec<(String, &str)> = (0..1_200).map(|number| (format!("d/{number:04}.fw"), "")).collect();
    let mut files = vec![("a.fw", "include \"d/*.fw\"\n")];
    files.extend(many.iter().map(|(path, text)| (path.as_str(), *text)));
    let (project, diagnostics) = loaded(&files);
    assert_eq!(paths(&project).len(), 1_000);
    assert_eq!(said(&diagnostics), [("too-much-to-read", "the project has more than 1000 files")]);
}
