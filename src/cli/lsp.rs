//! `fwc lsp`: the language server, at the standard input and output.

use lsp_server::Connection;

use super::Ending;
use super::failure::Failure;
use crate::server::{self, Ended};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Speak over the standard input and output; there is no other way, and editors like to say so
    #[arg(long)]
    stdio: bool,
}

pub(super) fn run(_: &Arguments) -> Result<Ending, Failure> {
    let (connection, threads) = Connection::stdio();
    let ended = server::serve(&connection);
    // Without the sender the writer ends, when all is written.
    drop(connection);
    match ended {
        Ended::Orderly => {
            threads.join().map_err(|error| Failure::write("the standard output", &error))?;
            Ok(Ending::Clean)
        }
        Ended::Abruptly => Ok(Ending::Errors),
    }
}
