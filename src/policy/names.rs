//! What names stand for: every declaration of a project, by kind. A declaration may stand anywhere, also in an included file.

use std::cell::{Cell, RefCell};

use rustc_hash::{FxHashMap, FxHashSet};

use crate::diagnostic::{Code, Diagnostic, Level};
use crate::netfilter::{entry, words};
use crate::policy::TrafficList;
use crate::project::{Import, Project};
use crate::span::{FileId, Location, Span};
use crate::syntax::tree::{self, SetValue, Statement, StatementKind};

/// A declaration: the node, where its name stands, and whether anything uses it.
#[derive(Debug)]
pub struct Declared<'a, T> {
    /// The node.
    pub node: &'a T,
    /// The file it is in.
    pub file: FileId,
    /// Its name's place.
    pub location: Location,
    /// The whole statement's place.
    pub statement: Location,
    /// Whether something refers to it.
    pub used: Cell<bool>,
    /// Whether the standard library declares it.
    pub library: bool,
}

type Table<'a, T> = FxHashMap<&'a str, Declared<'a, T>>;

/// The declarations of a project.
#[derive(Debug, Default)]
pub struct Names<'a> {
    /// Interfaces.
    pub interfaces: Table<'a, tree::Interface>,
    /// Sets.
    pub sets: Table<'a, tree::Set>,
    /// Services.
    pub services: Table<'a, tree::Service>,
    /// Groups.
    pub groups: Table<'a, tree::Group>,
    /// Guests and instances.
    pub guests: Table<'a, tree::Guest>,
    /// Networks.
    pub networks: Table<'a, tree::Network>,
    /// Containers.
    pub containers: Table<'a, tree::Container>,
    /// The policy's statements in order, includes in their place, standard library left out.
    pub statements: Vec<(FileId, &'a Statement)>,
    /// What each service came to, once somebody asked.
    pub(super) traffic: RefCell<FxHashMap<&'a str, TrafficList>>,
    imports: FxHashMap<Location, &'a Import>,
    /// Names whose declarations could not be read: that was told, and what uses them has no fault of its own.
    unreadable: FxHashSet<&'a str>,
}

/// A name that is declared twice.
pub static DUPLICATE_NAME: Code = Code {
    number: "FW0101",
    name: "duplicate-name",
    level: Level::Error,
    summary: "a name is declared twice",
    explanation: "Each interface, set, service, group, guest, network and container has one declaration. With two, a reader (and the\ncompiler) cannot know which is meant.\n\n```fw\nset office = { 198.51.100.0/24 }\nset office = { 203.0.113.0/24 }   # error\n```\n\nKeep one, or give the second a name of its own. A declaration without a value (`interface wan`, `set admins`) is a\nparameter: it may stand beside the one declaration that gives the value.",
};

/// A declaration without a value that nothing completes.
pub static MISSING_PARAMETER: Code = Code {
    number: "FW0102",
    name: "missing-parameter",
    level: Level::Error,
    summary: "an interface or set is declared without a value, and no including file gives it one",
    explanation: "\
`interface wan` and `set admins` without `=` are parameters of a file that others include. The including file must give them a value.

```fw
set admins                       # error, where nobody includes this file
allow ssh from admins to host
```

Without a value nothing can be built: no card and no address is guessed.

**Instead**, give it one, here or in the file that includes this one:

```fw
set admins = { 10.0.0.0/24 }
allow ssh from admins to host
```
",
};

/// A name that nothing uses.
pub static UNUSED_NAME: Code = Code {
    number: "FW0103",
    name: "unused-name",
    level: Level::Warning,
    summary: "a declaration that no rule uses",
    explanation: "A set, service, group or interface that no rule mentions decides nothing. Often the rule that should use it was\nforgotten or misspelt.\n\n```fw\nset office = { 198.51.100.0/24 }   # warning: nothing uses `office`\nallow ssh from any to host\n```\n\nUse it, or delete the line.",
};

/// Names that stand for names that stand for names.
pub static NAMES_TOO_DEEP: Code = Code {
    number: "FW0551",
    name: "names-nested-too-deeply",
    level: Level::Error,
    summary: "a set, service or group is made of others, more than 64 deep",
    explanation: "A set may hold other sets, a service other services, and a group may apply other groups, up to 64 deep. Nobody can follow more;\nthe file was probably made by a program that lost count.\n\n```fw\nset a0 = 192.0.2.1\nset a1 = a0\nset a2 = a1        # and so on, to `a65`\n```\n\nSay the addresses, services or rules where they are needed.",
};

/// A policy whose groups multiply.
pub static TOO_MANY_RULES: Code = Code {
    number: "FW0552",
    name: "too-many-applied-rules",
    level: Level::Error,
    summary: "applied groups come to more than 500,000 rules",
    explanation: "Each `apply` counts the rules of its group once more. Groups that apply groups several times multiply: twenty that each apply\nthe next one twice are a million rules.\n\n```fw\ngroup a { allow ssh }\ngroup b {\n    apply a\n    apply a        # the same once more: it decides nothing\n}\n```\n\nApply each group once, where it is meant.",
};

/// How far back a list's declaration may have begun.
const LONGEST_LIST: usize = 100;

/// The names in declarations of a file that could not be read.
fn unreadable(project: &Project, file: FileId) -> Vec<&str> {
    let Some(parsed) = project.parsed(file) else { return Vec::new() };
    let text = project.text(file);
    let faults = parsed.diagnostics.iter().filter(|fault| fault.is_error());
    let name = |fault: &Diagnostic| {
        let at = fault.primary.location.span.range().start;
        let end = text.get(at..)?.find('\n').map_or(text.len(), |length| at + length);
        for line in text.get(..end)?.rsplit('\n').take(LONGEST_LIST) {
            let mut words =
                line.split(|letter: char| letter.is_whitespace() || letter == '=').filter(|word| !word.is_empty());
            let first = words.next().unwrap_or_default();
            if ["set", "interface", "service", "group", "guest", "instance", "network", "container"].contains(&first) {
                return words.next().map(|word| word.trim_matches('"'));
            }
            if crate::syntax::begins_statement(first) {
                return None;
            }
        }
        None
    };
    faults.filter_map(name).collect()
}

impl<'a> Names<'a> {
    /// Collects the declarations of a project; duplicates and incomplete parameters are reported.
    pub fn collect(project: &'a Project, diagnostics: &mut Vec<Diagnostic>) -> Self {
        let imports = project.imports.iter().map(|import| (import.at, import)).collect();
        let mut names = Self { imports, ..Self::default() };
        let mut seen = Vec::new();
        for &file in &project.library {
            for statement in project.parsed(file).iter().flat_map(|parsed| &parsed.tree.statements) {
                names.declare(file, true, statement, diagnostics);
            }
        }
        names.walk(project, project.root, &mut seen);
        for &file in &seen {
            names.unreadable.extend(unreadable(project, file));
        }
        for index in 0..names.statements.len() {
            let (file, statement) = names.statements[index];
            names.declare(file, false, statement, diagnostics);
        }
        names.parameters(diagnostics);
        names
    }

    /// Whether a declaration of that name could not be read.
    #[must_use]
    pub fn is_unreadable(&self, name: &str) -> bool {
        self.unreadable.contains(name)
    }

    /// What the statement at `at` (the whole statement's span) led to.
    #[must_use]
    pub fn import(&self, at: Location) -> Option<&'a Import> {
        self.imports.get(&at).copied()
    }

    fn walk(&mut self, project: &'a Project, id: FileId, seen: &mut Vec<FileId>) {
        if seen.contains(&id) {
            return;
        }
        seen.push(id);
        let Some(parsed) = project.parsed(id) else { return };
        for statement in &parsed.tree.statements {
            if matches!(statement.value, StatementKind::Include(_)) {
                for &included in self.import(at(id, statement.span)).iter().flat_map(|import| &import.files) {
                    self.walk(project, included, seen);
                }
            } else {
                self.statements.push((id, statement));
            }
        }
    }

    fn declare(&mut self, file: FileId, library: bool, statement: &'a Statement, out: &mut Vec<Diagnostic>) {
        let here = Place { file, library, statement: at(file, statement.span) };
        match &statement.value {
            StatementKind::Interface(node) => {
                put(&mut self.interfaces, &**node, &node.name, here, |node| node.value.is_none(), out);
            }
            StatementKind::Set(node) => {
                put(&mut self.sets, &**node, &node.name, here, |node| node.value == SetValue::Parameter, out);
            }
            StatementKind::Service(node) => put(&mut self.services, &**node, &node.name, here, |_| false, out),
            // The prelude's parts are groups that nobody applies.
            StatementKind::Group(node) if !library => put(&mut self.groups, &**node, &node.name, here, |_| false, out),
            StatementKind::Guest(node) => put(&mut self.guests, &**node, &node.name, here, |_| false, out),
            StatementKind::Network(node) => put(&mut self.networks, &**node, &node.name, here, |_| false, out),
            StatementKind::Container(node) => put(&mut self.containers, &**node, &node.name, here, |_| false, out),
            _ => {}
        }
    }

    fn parameters(&self, out: &mut Vec<Diagnostic>) {
        let interfaces = self.interfaces.iter().filter(|(_, declared)| declared.node.value.is_none());
        let sets = self.sets.iter().filter(|(_, declared)| declared.node.value == SetValue::Parameter);
        for (kind, name, location) in interfaces
            .map(|(name, declared)| ("interface", name, declared.location))
            .chain(sets.map(|(name, declared)| ("set", name, declared.location)))
        {
            let value = if kind == "set" { "{ 192.0.2.0/24 }" } else { "eth0" };
            out.push(
                Diagnostic::new(&MISSING_PARAMETER, location, format!("{kind} `{name}` has no value"))
                    .label("a parameter, which no including file gives")
                    .help(format!(
                        "say what it is here, or in the file that includes this one: `{kind} {name} = {value}`"
                    )),
            );
        }
    }

    /// What each declaration that nothing uses mentions, by its name.
    fn mentioned_by_unused(&self) -> FxHashMap<&'a str, FxHashSet<&'a str>> {
        let mut found: FxHashMap<&'a str, FxHashSet<&'a str>> = FxHashMap::default();
        for (name, declared) in self.groups.iter().filter(|(_, declared)| !declared.used.get()) {
            let own = found.entry(name).or_default();
            declared.node.body.iter().for_each(|statement| mentions(&statement.value, own));
        }
        for (name, declared) in self.sets.iter().filter(|(_, declared)| !declared.used.get()) {
            let own = found.entry(name).or_default();
            if let SetValue::Who(who) = &declared.node.value {
                people(who, own);
            }
        }
        for (name, declared) in self.services.iter().filter(|(_, declared)| !declared.used.get()) {
            items(&declared.node.what, found.entry(name).or_default());
        }
        found
    }

    /// The names that are told of with an unused one that leads to them. Names that lead to each other alone are no such.
    fn told_with_others(&self) -> FxHashSet<&'a str> {
        let mentioned = self.mentioned_by_unused();
        let by_others: FxHashSet<&str> = mentioned.values().flatten().copied().collect();
        let mut open: Vec<&str> = mentioned.keys().filter(|name| !by_others.contains(*name)).copied().collect();
        let mut told = FxHashSet::default();
        while let Some(name) = open.pop() {
            let next = mentioned.get(name).into_iter().flatten();
            open.extend(next.filter(|name| told.insert(**name)));
        }
        told
    }

    /// Notes the live sets that a line of netfilter's own words looks into.
    pub fn looked_up_in(&self, line: &str) {
        let words = words::words(line).into_iter();
        for name in words.filter_map(|word| entry::live_set_name(word.text.trim_start_matches('@'))) {
            if let Some(set) = self.sets.get(name).filter(|set| set.node.value == SetValue::Live) {
                set.used.set(true);
            }
        }
    }

    /// Reports what nothing used.
    pub fn unused(&self, project: &Project, out: &mut Vec<Diagnostic>) {
        // A statement that could not be read may use anything.
        let unread = project.parsed.iter().flatten().flat_map(|parsed| &parsed.diagnostics);
        if unread.into_iter().any(Diagnostic::is_error) {
            return;
        }
        // What only an unused group, set or service mentions is told with that one.
        let told = self.told_with_others();
        fn each<T>(kind: &str, table: &Table<'_, T>, told: &FxHashSet<&str>, out: &mut Vec<Diagnostic>) {
            let unused = table.iter().filter(|(_, declared)| !declared.library && !declared.used.get());
            for (name, declared) in unused.filter(|(name, _)| !told.contains(*name)) {
                out.push(
                    Diagnostic::new(&UNUSED_NAME, declared.location, format!("nothing uses {kind} `{name}`"))
                        .help("use it in a rule, or delete the line"),
                );
            }
        }
        each("interface", &self.interfaces, &told, out);
        each("set", &self.sets, &told, out);
        each("service", &self.services, &told, out);
        each("group", &self.groups, &told, out);
    }
}

fn mentions<'a>(statement: &'a StatementKind, found: &mut FxHashSet<&'a str>) {
    match statement {
        StatementKind::Rule(rule) => {
            items(&rule.sentence.what, found);
            clauses(&rule.sentence.clauses, found);
        }
        StatementKind::Change(change) => {
            items(&change.sentence.what, found);
            clauses(&change.sentence.clauses, found);
        }
        StatementKind::Scope(scope) => {
            clauses(&scope.clauses, found);
            scope.body.iter().for_each(|inner| mentions(&inner.value, found));
        }
        StatementKind::Apply(name) => {
            found.insert(&name.value);
        }
        _ => {}
    }
}

fn clauses<'a>(clauses: &'a tree::Clauses, found: &mut FxHashSet<&'a str>) {
    [&clauses.from, &clauses.to].into_iter().flatten().for_each(|who| people(who, found));
    found.extend(clauses.via.iter().map(|card| &*card.value));
}

fn people<'a>(who: &'a tree::Who, found: &mut FxHashSet<&'a str>) {
    for one in &who.members {
        if let tree::Place::Name(name) = &one.place.value {
            found.insert(name);
        }
        found.extend(one.on.iter().map(|card| &*card.value));
    }
}

fn items<'a>(items: &'a [crate::span::Spanned<tree::Item>], found: &mut FxHashSet<&'a str>) {
    found.extend(items.iter().filter_map(|item| match &item.value {
        tree::Item::Name(name) => Some(&**name),
        _ => None,
    }));
}

/// Where a declaration stands.
#[derive(Clone, Copy)]
struct Place {
    file: FileId,
    library: bool,
    statement: Location,
}

fn put<'a, T>(
    table: &mut Table<'a, T>,
    node: &'a T,
    name: &'a tree::Name,
    here: Place,
    parameter: impl Fn(&T) -> bool,
    out: &mut Vec<Diagnostic>,
) {
    let Place { file, library, statement } = here;
    let location = at(file, name.span);
    let declared = Declared { node, file, location, statement, used: Cell::new(false), library };
    if let Some(earlier) = table.get(&*name.value) {
        // The author's own declaration goes before the standard library's; a value goes before a parameter.
        if parameter(node) {
            return;
        }
        if !earlier.library && !parameter(earlier.node) {
            out.push(
                Diagnostic::new(&DUPLICATE_NAME, location, format!("`{}` is declared twice", name.value))
                    .label("second declaration")
                    .related(earlier.location, "first declaration")
                    .help("delete one, or give it another name"),
            );
            return;
        }
    }
    table.insert(&name.value, declared);
}

/// Looks a name up and notes that it is used.
pub fn find<'t, 'a, T>(table: &'t Table<'a, T>, name: &str) -> Option<&'t Declared<'a, T>> {
    let declared = table.get(name)?;
    declared.used.set(true);
    Some(declared)
}

/// Names within names, so deep: more was made by a program that lost count, and would end in the stack.
const DEEPEST: usize = 64;

/// The fault of a name that stands for others too deeply.
pub fn too_deep(depth: usize, location: Location, kind: &str, name: &str) -> Option<Diagnostic> {
    (depth >= DEEPEST).then(|| {
        Diagnostic::new(&NAMES_TOO_DEEP, location, format!("{kind} `{name}` stands more than {DEEPEST} deep in others"))
            .help("say here what it comes to, instead of naming another")
    })
}

/// A place in a file.
#[must_use]
pub fn at(file: FileId, span: Span) -> Location {
    Location { file, span }
}
