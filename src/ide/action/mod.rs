//! What an editor offers to do at a place: repairs that diagnostics come with, saying that a finding is known, one statement for
//! several, and asserts that hold.

mod assert;
mod fold;

use crate::check::late;
use crate::database::{Db, ProjectInput};
use crate::diagnostic::{Diagnostic, Edit};
use crate::expectation;
use crate::span::{FileId, Location, SourceText, Span};
use crate::syntax::tree::Statement;

/// What kind of thing is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActionKind<'s> {
    /// A help of a diagnostic is carried out.
    Repairs {
        /// The diagnostic.
        of: &'s Diagnostic,
        /// Whether it has no other help that can be.
        alone: bool,
    },
    /// A comment says that a finding is known.
    Expects(&'s Diagnostic),
    /// Statements become one that means the same.
    Folds,
    /// An assert is added.
    Asserts,
}

/// Something that can be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action<'s> {
    /// What it is called.
    pub title: String,
    /// What kind of thing it is.
    pub kind: ActionKind<'s>,
    /// How it is done.
    pub edits: Vec<Edit>,
}

/// What the comment says until somebody says why.
const REASON: &str = "why it may stay";

/// What can be done about what was said of a place. `comments`: whether the file can have comments that speak to fwc.
#[must_use]
pub fn about<'s>(said: &'s [Diagnostic], source: &SourceText, here: Location, comments: bool) -> Vec<Action<'s>> {
    let mut repairs = Vec::new();
    let mut expects: Vec<Action<'_>> = Vec::new();
    for one in said.iter().filter(|one| touch(one.primary.location, here)) {
        let helps = one.helps.iter().filter(|help| !help.edits.is_empty());
        let mut own: Vec<_> = helps.map(|help| (capitalised(&help.message), help.edits.clone())).collect();
        own.extend(deletion(source, one).map(|edit| ("Delete it".to_owned(), vec![edit])));
        let kind = ActionKind::Repairs { of: one, alone: own.len() == 1 };
        repairs.extend(own.into_iter().map(|(title, edits)| Action { title, kind, edits }));
        if let Some(edit) = expectation::insertion(source, one, REASON).filter(|_| comments) {
            let title = format!("Expect `{}` here, for a reason", one.code.name);
            expects.push(Action { title, kind: ActionKind::Expects(one), edits: vec![edit] });
        }
    }
    repairs.extend(expects);
    repairs
}

/// What can be made of the statements of a place. `proved`: whether there is time to prove something.
#[must_use]
pub fn rewrites(db: &dyn Db, input: ProjectInput, file: FileId, span: Span, proved: bool) -> Vec<Action<'static>> {
    let mut found = fold::folds(db, input, file, span);
    if proved {
        found.extend(assert::asserts(db, input, file, span));
    }
    found
}

/// Takes out a statement that decides nothing, whether it is meant otherwise or not.
fn deletion(source: &SourceText, one: &Diagnostic) -> Option<Edit> {
    if ![&late::REDUNDANT, &late::DUPLICATE_RULE].contains(&one.code) {
        return None;
    }
    let Location { file, span } = one.primary.location;
    let span = source.whole_lines(span)?;
    Some(Edit { location: Location { file, span }, replacement: String::new() })
}

/// Whether two places share a byte, or one stands at the edge of the other.
fn touch(one: Location, other: Location) -> bool {
    one.file == other.file && one.span.start <= other.span.end && other.span.start <= one.span.end
}

/// Whether a statement without its block shares a byte with a place, or one stands at the edge of the other.
fn touches(statement: &Statement, place: Span) -> bool {
    statement.span.start <= place.end && place.start <= statement.span.end
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
