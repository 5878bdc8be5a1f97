//! Why a command could not do its work: usage, or input and output. Faults of a policy are diagnostics instead.

use std::fmt;
use std::io;

/// A message for the user, lower case, without final full stop. Ends the command with 2.
#[derive(Debug)]
pub(super) struct Failure(String);

impl Failure {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    pub(super) fn read(what: impl fmt::Display, reason: impl fmt::Display) -> Self {
        Self(format!("cannot read `{what}`: {reason}"))
    }

    pub(super) fn write(what: impl fmt::Display, error: &io::Error) -> Self {
        Self(format!("cannot write {what}: {}", words(error)))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The system's words for an error, in lower case and without the number that Rust adds.
pub(super) fn words(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error ").next().unwrap_or(&text);
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}
