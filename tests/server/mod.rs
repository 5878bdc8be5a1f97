//! The language server, in the same process.

mod actions;
mod client;
mod diagnostics;
mod features;
mod protocol;
