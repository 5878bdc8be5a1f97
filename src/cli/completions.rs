//! `fwc completions`: a completion script for a shell.

use super::failure::Failure;
use super::{Ending, print};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The shell
    shell: clap_complete::Shell,
}

pub(super) fn run(arguments: &Arguments) -> Result<Ending, Failure> {
    print(&script(arguments.shell))?;
    Ok(Ending::Clean)
}

/// The script for a shell.
#[must_use]
pub fn script(shell: clap_complete::Shell) -> String {
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut super::command(), "fwc", &mut out);
    String::from_utf8_lossy(&out).into_owned()
}
