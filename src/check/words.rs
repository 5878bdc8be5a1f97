//! The author's words, for checks: every statement of the policy's own files, however deep in blocks.

use crate::project::Project;
use crate::span::{FileId, Location, Span};
use crate::syntax::tree::{Statement, StatementKind};

/// Visits every statement of every file of the policy, the standard library's left out; a block before what is in it.
pub fn each<'p>(project: &'p Project, visit: &mut dyn FnMut(FileId, &'p Statement)) {
    for (id, parsed) in (0u32..).map(FileId).zip(&project.parsed) {
        let Some(parsed) = parsed.as_deref().filter(|_| !project.library.contains(&id)) else { continue };
        for statement in &parsed.tree.statements {
            inside(id, statement, visit);
        }
    }
}

fn inside<'p>(file: FileId, statement: &'p Statement, visit: &mut dyn FnMut(FileId, &'p Statement)) {
    visit(file, statement);
    match &statement.value {
        StatementKind::Group(group) => group.body.iter().for_each(|inner| inside(file, inner, visit)),
        StatementKind::Scope(scope) => scope.body.iter().for_each(|inner| inside(file, inner, visit)),
        StatementKind::Guest(guest) => {
            guest.gates.iter().flatten().for_each(|gate| inside(file, &gate.statement, visit));
        }
        _ => {}
    }
}

/// Where the policy says that it uses a platform.
pub fn used(project: &Project, name: &str) -> Option<Location> {
    let mut found = None;
    each(project, &mut |file, statement| {
        if let StatementKind::Use(node) = &statement.value
            && *node.name.value == *name
        {
            found.get_or_insert(Location { file, span: node.name.span });
        }
    });
    found
}

/// The place right in front of another.
#[must_use]
pub fn before(location: Location) -> Location {
    let start = location.span.start;
    Location { file: location.file, span: Span { start, end: start } }
}

/// The text at a place.
#[must_use]
pub fn text(project: &Project, location: Location) -> &str {
    project.text(location.file).get(location.span.range()).unwrap_or_default()
}
