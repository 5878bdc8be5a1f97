//! What names stand for: every declaration of a project, by kind. A declaration may stand anywhere, also in an included file.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::diagnostic::{Code, Diagnostic, Level};
use crate::facts::Facts;
use crate::span::{FileId, Location, Span};
use crate::syntax::tree::{self, SetValue, Statement, StatementKind, Tree};

/// One parsed text of a project.
#[derive(Clone, Debug)]
pub struct ProjectFile {
    /// Which.
    pub id: FileId,
    /// Its tree.
    pub tree: Arc<Tree>,
    /// Which files each `include` of it means, in order. Each file is read once, where it is first included.
    pub includes: HashMap<Box<str>, Vec<FileId>>,
    /// Part of the standard library: its names need not be used.
    pub library: bool,
}

/// Everything that a policy is made from. All texts are read; nothing here touches a disk.
#[derive(Clone, Debug, Default)]
pub struct Project {
    /// The files of the policy and of the standard library.
    pub files: Vec<ProjectFile>,
    /// The file that was asked for.
    pub root: FileId,
    /// The prelude of the standard library.
    pub prelude: Option<FileId>,
    /// Facts from `fwc.facts.json` and from compose files.
    pub facts: Facts,
    /// Texts of files that sets are read from, by the file that names them and the name.
    pub set_files: HashMap<(FileId, Box<str>), (FileId, Arc<str>)>,
}

impl Project {
    /// A file by its number.
    #[must_use]
    pub fn file(&self, id: FileId) -> Option<&ProjectFile> {
        self.files.iter().find(|file| file.id == id)
    }
}

/// A declaration: the node, where its name stands, and whether anything uses it.
#[derive(Debug)]
pub struct Declared<'a, T> {
    /// The node.
    pub node: &'a T,
    /// The file it is in.
    pub file: FileId,
    /// Its name's place.
    pub location: Location,
    /// Whether something refers to it.
    pub used: Cell<bool>,
    library: bool,
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
    explanation: "`interface wan` and `set admins` without `=` are parameters of a file that others include. The including file must give\nthe value:\n\n```fw\ninterface wan = eno1\nset admins = { 10.0.0.0/24 }\ninclude \"base.fw\"\n```\n\nWithout it nothing can be built: no card and no address is guessed.",
};

/// A name that nothing uses.
pub static UNUSED_NAME: Code = Code {
    number: "FW0103",
    name: "unused-name",
    level: Level::Warning,
    summary: "a declaration that no rule uses",
    explanation: "A set, service, group or interface that no rule mentions decides nothing. Often the rule that should use it was\nforgotten or misspelt.\n\n```fw\nset office = { 198.51.100.0/24 }   # warning: nothing uses `office`\nallow ssh from any to host\n```\n\nUse it, or delete the line.",
};

impl<'a> Names<'a> {
    /// Collects the declarations of a project; duplicates and incomplete parameters are reported.
    pub fn collect(project: &'a Project, diagnostics: &mut Vec<Diagnostic>) -> Self {
        let mut names = Self::default();
        let mut seen = Vec::new();
        for file in project.files.iter().filter(|file| file.library) {
            for statement in &file.tree.statements {
                names.declare(file.id, true, statement, diagnostics);
            }
        }
        names.walk(project, project.root, &mut seen);
        for index in 0..names.statements.len() {
            let (file, statement) = names.statements[index];
            names.declare(file, false, statement, diagnostics);
        }
        names.parameters(diagnostics);
        names
    }

    fn walk(&mut self, project: &'a Project, id: FileId, seen: &mut Vec<FileId>) {
        if seen.contains(&id) {
            return;
        }
        seen.push(id);
        let Some(file) = project.file(id) else { return };
        for statement in &file.tree.statements {
            if let StatementKind::Include(path) = &statement.value {
                for &included in file.includes.get(&*path.value).into_iter().flatten() {
                    self.walk(project, included, seen);
                }
            } else {
                self.statements.push((id, statement));
            }
        }
    }

    fn declare(&mut self, file: FileId, library: bool, statement: &'a Statement, out: &mut Vec<Diagnostic>) {
        match &statement.value {
            StatementKind::Interface(node) => {
                put(&mut self.interfaces, node.as_ref(), &node.name, file, library, |node| node.value.is_none(), out);
            }
            StatementKind::Set(node) => put(
                &mut self.sets,
                node.as_ref(),
                &node.name,
                file,
                library,
                |node| node.value == SetValue::Parameter,
                out,
            ),
            StatementKind::Service(node) => {
                put(&mut self.services, node.as_ref(), &node.name, file, library, |_| false, out);
            }
            StatementKind::Group(node) => {
                put(&mut self.groups, node.as_ref(), &node.name, file, library, |_| false, out);
            }
            StatementKind::Guest(node) => {
                put(&mut self.guests, node.as_ref(), &node.name, file, library, |_| false, out);
            }
            StatementKind::Network(node) => {
                put(&mut self.networks, node.as_ref(), &node.name, file, library, |_| false, out);
            }
            StatementKind::Container(node) => {
                put(&mut self.containers, node.as_ref(), &node.name, file, library, |_| false, out);
            }
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
                    .help(format!("say what it is here, or in the file that includes this one: `{kind} {name} = {value}`")),
            );
        }
    }

    /// Reports what nothing used.
    pub fn unused(&self, out: &mut Vec<Diagnostic>) {
        fn each<T>(kind: &str, table: &Table<'_, T>, out: &mut Vec<Diagnostic>) {
            for (name, declared) in table.iter().filter(|(_, declared)| !declared.library && !declared.used.get()) {
                out.push(
                    Diagnostic::new(&UNUSED_NAME, declared.location, format!("nothing uses {kind} `{name}`"))
                        .help("use it in a rule, or delete the line"),
                );
            }
        }
        each("interface", &self.interfaces, out);
        each("set", &self.sets, out);
        each("service", &self.services, out);
        each("group", &self.groups, out);
    }
}

fn put<'a, T>(
    table: &mut Table<'a, T>,
    node: &'a T,
    name: &'a tree::Name,
    file: FileId,
    library: bool,
    parameter: impl Fn(&T) -> bool,
    out: &mut Vec<Diagnostic>,
) {
    let location = Location { file, span: name.span };
    let declared = Declared { node, file, location, used: Cell::new(false), library };
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

/// A place in a file.
#[must_use]
pub fn at(file: FileId, span: Span) -> Location {
    Location { file, span }
}
