//! The files that `include`, `compose` and `set … from file` lead to.

use super::{outline, text};
use crate::database::{self, Db, ProjectInput};
use crate::span::{FileId, Location, Span};
use crate::syntax::outline::Role;

/// A path in the text, and a file that it leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The path, without its quotes.
    pub span: Span,
    /// The file. A pattern leads to several, each a link of its own.
    pub target: FileId,
}

/// The paths of a file that lead to files of the project. One that leads nowhere is absent: a diagnostic says so.
#[must_use]
pub fn links(db: &dyn Db, input: ProjectInput, file: FileId) -> Vec<Link> {
    let Some(outline) = outline(db, input, file) else { return Vec::new() };
    let project = database::project(db, input);
    let source = text(db, input, file);
    let mut found = Vec::new();
    for entry in &outline.entries {
        for word in outline.words_of(entry).iter().filter(|word| word.role == Role::Path) {
            let quoted = source.get(word.span.range()).unwrap_or_default();
            let end = word.span.end - u32::from(quoted.len() > 1 && quoted.ends_with('"'));
            let span = Span { start: word.span.start + 1, end: end.max(word.span.start + 1) };
            let at = Location { file, span: entry.span };
            let imports = project.imports.iter().filter(|import| import.at == at);
            let before = found.len();
            found.extend(imports.flat_map(|import| &import.files).map(|&target| Link { span, target }));
            if found.len() == before {
                let path = source.get(span.range()).unwrap_or_default();
                found.extend(elsewhere(db, input, file, path).map(|target| Link { span, target }));
            }
        }
    }
    found
}

/// A file that was read already where another statement named it.
fn elsewhere(db: &dyn Db, input: ProjectInput, file: FileId, path: &str) -> Option<FileId> {
    let own = input.files(db).get(file.0 as usize).map_or("", |(source, _)| &source.source(db).path);
    let directory = own.rfind('/').and_then(|end| own.get(..=end)).unwrap_or_default();
    let wanted = format!("{directory}{}", path.strip_prefix("./").unwrap_or(path));
    let mut all = (0u32..).map(FileId).zip(input.files(db));
    all.find(|(_, (source, _))| *source.source(db).path == *wanted).map(|(id, _)| id)
}
