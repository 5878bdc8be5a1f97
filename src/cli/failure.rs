//! Why a command could not do its work: usage, or input and output. Faults of a policy are diagnostics instead.

use std::fmt;
use std::io;

use crate::disk::words;

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
