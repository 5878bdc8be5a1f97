//! The outline of a text says the same as its tree, wherever there is a tree.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use fwc::span::{FileId, Span};
use fwc::syntax::outline::{Naming, Outline, Role, outline};
use fwc::syntax::parse;
use fwc::syntax::tree::{Change, Clauses, Item, Nat, Place, Rule, Sentence, SetValue, Statement, StatementKind, Who};

/// Every policy of the tests and examples, and the standard library.
pub fn policies() -> Vec<(PathBuf, String)> {
    fn inside(directory: &Path, found: &mut Vec<(PathBuf, String)>) {
        let entries = std::fs::read_dir(directory).expect("a directory");
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
        paths.sort();
        for path in paths {
            if path.is_dir() {
                inside(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "fw") {
                let bytes = std::fs::read(&path).expect("a file");
                found.extend(String::from_utf8(bytes).ok().map(|text| (path, text)));
            }
        }
    }
    let mut found = Vec::new();
    for directory in ["tests/construct", "tests/syntax", "tests/check", "tests/expect", "examples", "stdlib"] {
        inside(&Path::new(env!("CARGO_MANIFEST_DIR")).join(directory), &mut found);
    }
    found
}

/// Names with their places: declared ones, and those that are used.
#[derive(Default)]
struct Named {
    declared: BTreeSet<Span>,
    used: BTreeSet<Span>,
}

impl Named {
    fn who(&mut self, who: &Who) {
        for one in &who.members {
            self.used.extend(one.on.iter().map(|name| name.span));
            match &one.place.value {
                Place::Name(_) => drop(self.used.insert(one.place.span)),
                Place::Host(Some(name))
                | Place::Container(Some(name))
                | Place::Guest(Some(name))
                | Place::Instance(Some(name))
                | Place::Network(name) => drop(self.used.insert(name.span)),
                _ => {}
            }
        }
    }

    fn clauses(&mut self, clauses: &Clauses) {
        [&clauses.from, &clauses.to].into_iter().flatten().for_each(|who| self.who(who));
        self.used.extend(clauses.via.iter().map(|name| name.span));
    }

    fn items<'t>(&mut self, items: impl IntoIterator<Item = &'t fwc::span::Spanned<Item>>) {
        let names = items.into_iter().filter(|item| matches!(item.value, Item::Name(_)));
        self.used.extend(names.map(|item| item.span));
    }

    fn sentence(&mut self, sentence: &Sentence) {
        self.items(&sentence.what);
        self.clauses(&sentence.clauses);
    }

    fn statement(&mut self, statement: &Statement) {
        match &statement.value {
            StatementKind::Rule(rule) | StatementKind::Default(rule) | StatementKind::Assert(rule) => {
                let rule: &Rule = rule;
                self.sentence(&rule.sentence);
            }
            StatementKind::Change(change) => {
                let change: &Change = change;
                self.sentence(&change.sentence);
            }
            StatementKind::Nat(nat) => match &**nat {
                Nat::Masquerade { sentence, .. } | Nat::Forward { sentence, .. } | Nat::Redirect { sentence, .. } => {
                    self.sentence(sentence);
                }
            },
            StatementKind::Apply(name) => drop(self.used.insert(name.span)),
            StatementKind::Interface(node) => drop(self.declared.insert(node.name.span)),
            StatementKind::Set(node) => {
                self.declared.insert(node.name.span);
                if let SetValue::Who(who) = &node.value {
                    self.who(who);
                }
            }
            StatementKind::Service(node) => {
                self.declared.insert(node.name.span);
                self.items(&node.what);
            }
            StatementKind::Group(node) => {
                self.declared.insert(node.name.span);
                node.body.iter().for_each(|inner| self.statement(inner));
            }
            StatementKind::Guest(node) => {
                self.declared.insert(node.name.span);
                node.address.iter().for_each(|who| self.who(who));
                node.gates.iter().flatten().for_each(|gate| self.statement(&gate.statement));
            }
            StatementKind::Network(node) => {
                self.declared.insert(node.name.span);
                node.address.iter().for_each(|who| self.who(who));
            }
            StatementKind::Container(node) => {
                self.declared.insert(node.name.span);
                self.used.insert(node.network.span);
                node.address.iter().for_each(|who| self.who(who));
                self.items(node.publish.iter().map(|one| &one.item));
            }
            StatementKind::Scope(scope) => {
                self.clauses(&scope.clauses);
                scope.body.iter().for_each(|inner| self.statement(inner));
            }
            _ => {}
        }
    }
}

/// Whether a name of this kind is one that the tree has, too.
fn known(naming: Naming) -> bool {
    matches!(
        naming,
        Naming::Interface
            | Naming::Set
            | Naming::Place
            | Naming::Via
            | Naming::Service
            | Naming::Group
            | Naming::Guest
            | Naming::Instance
            | Naming::Network
            | Naming::Container
            | Naming::User
    )
}

/// Every letter of a policy belongs to a word or a comment, but for white space and marks.
fn uncovered(path: &Path, text: &str, outline: &Outline) {
    let mut rest = text.as_bytes().to_vec();
    let spans = outline.words.iter().map(|word| word.span).chain(outline.comments.iter().copied());
    for span in spans {
        for byte in &mut rest[span.range()] {
            assert_ne!(*byte, 0, "{}: {:?} is two things", path.display(), &text[span.range()]);
            *byte = 0;
        }
    }
    let mark = |byte: &u8| !(byte.is_ascii_whitespace() || b"{},=\0".contains(byte));
    let left = rest.iter().position(mark);
    assert_eq!(left.map(|at| &text[at..]), None, "{}", path.display());
}

#[test]
fn the_outline_has_the_names_of_the_tree() {
    let mut compared = 0;
    for (path, text) in policies() {
        let parsed = parse(&text, FileId(0));
        if parsed.diagnostics.iter().any(fwc::diagnostic::Diagnostic::is_error) {
            continue;
        }
        let mut tree = Named::default();
        parsed.tree.statements.iter().for_each(|statement| tree.statement(statement));
        let outline = outline(&text);
        uncovered(&path, &text, &outline);
        let mut seen = Named::default();
        for word in &outline.words {
            assert_ne!(word.role, Role::Unknown, "{}: {}", path.display(), &text[word.span.range()]);
            match word.role {
                Role::Name { naming, declares: true } if known(naming) => drop(seen.declared.insert(word.span)),
                Role::Name { naming, declares: false } if known(naming) => drop(seen.used.insert(word.span)),
                _ => {}
            }
        }
        let words = |spans: &BTreeSet<Span>| -> Vec<String> {
            spans.iter().map(|span| format!("{}: {}", span.start, &text[span.range()])).collect()
        };
        assert_eq!(words(&seen.declared), words(&tree.declared), "{}", path.display());
        assert_eq!(words(&seen.used), words(&tree.used), "{}", path.display());
        compared += seen.declared.len() + seen.used.len();
    }
    assert!(compared > 1_000, "only {compared} names");
}
