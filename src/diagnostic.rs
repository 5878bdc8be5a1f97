//! What fwc says to its user: a code, a level, a message, the places involved, and a help that can be applied.
//! Knows nothing of terminals: rendering is the command line's matter.

use crate::span::Location;

/// How much a diagnostic weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// Worth knowing; never changes the exit status.
    Note,
    /// The output is what the source says, but probably not what was meant.
    Warning,
    /// No output is written.
    Error,
}

/// One kind of diagnostic: declared once, as data, beside the check that gives it.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    /// Stable number: `FW0301`.
    pub number: &'static str,
    /// Stable kebab-case name: `published-port-bypasses-input`.
    pub name: &'static str,
    /// The level it has unless the user says otherwise.
    pub level: Level,
    /// One line for the list of all codes.
    pub summary: &'static str,
    /// The page for `fwc explain`, Markdown: what it is, why it hurts, an example, what to write instead.
    pub explanation: &'static str,
}

/// A place that takes part, and what it has to do with the matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub location: Location,
    /// What is there; may be empty for the primary place.
    pub message: String,
}

/// A replacement of source text that mends the fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// What to replace (an empty span inserts).
    pub location: Location,
    /// The new text.
    pub replacement: String,
}

/// Advice, with the edits that carry it out where that is possible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Help {
    /// What to do.
    pub message: String,
    /// How, in place; empty if it takes a person.
    pub edits: Vec<Edit>,
}

/// One thing to tell the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind.
    pub code: &'static Code,
    /// Lower case, no final full stop, the user's text in backticks, under 100 characters.
    pub message: String,
    /// The place that the message is about.
    pub primary: Label,
    /// Every other party.
    pub related: Vec<Label>,
    /// What to do.
    pub helps: Vec<Help>,
    /// Facts that bear on it.
    pub notes: Vec<String>,
}

impl Diagnostic {
    /// A diagnostic at one place.
    pub fn new(code: &'static Code, location: Location, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            primary: Label { location, message: String::new() },
            related: Vec::new(),
            helps: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Says what is at the primary place.
    #[must_use]
    pub fn label(mut self, message: impl Into<String>) -> Self {
        self.primary.message = message.into();
        self
    }

    /// Adds another party.
    #[must_use]
    pub fn related(mut self, location: Location, message: impl Into<String>) -> Self {
        self.related.push(Label { location, message: message.into() });
        self
    }

    /// Adds advice in words.
    #[must_use]
    pub fn help(mut self, message: impl Into<String>) -> Self {
        self.helps.push(Help { message: message.into(), edits: Vec::new() });
        self
    }

    /// Adds advice that can be applied.
    #[must_use]
    pub fn fix(mut self, message: impl Into<String>, location: Location, replacement: impl Into<String>) -> Self {
        self.helps
            .push(Help { message: message.into(), edits: vec![Edit { location, replacement: replacement.into() }] });
        self
    }

    /// Adds a remark.
    #[must_use]
    pub fn note(mut self, message: impl Into<String>) -> Self {
        self.notes.push(message.into());
        self
    }

    /// Whether it stops a build.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.code.level == Level::Error
    }
}
