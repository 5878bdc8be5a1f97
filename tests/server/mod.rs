//! The language server, in the same process.

mod actions;
mod agrees;
mod client;
mod diagnostics;
mod features;
mod formatting;
mod interrupted;
mod levels;
mod many;
mod process;
mod protocol;
