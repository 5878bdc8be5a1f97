//! `fwc lsp`: the language server, at the standard input and output.

use std::path::PathBuf;

use super::Ending;
use super::failure::Failure;
use crate::disk::words;
use crate::server::{self, Ended, Options};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Speak over the standard input and output; there is no other way, and editors like to say so
    #[arg(long)]
    stdio: bool,
}

pub(super) fn run(_: &Arguments) -> Result<Ending, Failure> {
    let (connection, writer) = server::connect(std::io::stdin(), std::io::stdout())
        .map_err(|error| Failure::new(format!("cannot start a thread: {}", words(&error))))?;
    let ended = server::serve(&connection, Options { pages: pages() });
    // Without the sender the writer ends, when all is written.
    drop(connection);
    let written = writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    match ended {
        Ended::Orderly => {
            written.map_err(|error| Failure::write("the standard output", &error))?;
            Ok(Ending::Clean)
        }
        Ended::Abruptly => Ok(Ending::Errors),
    }
}

/// The user's directory for what can be made again, as <https://specifications.freedesktop.org/basedir-spec> has it.
fn pages() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")))?;
    Some(caches.join("fwc").join(env!("CARGO_PKG_VERSION")))
}
