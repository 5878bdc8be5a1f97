//! Tests through the front door.

mod check;
mod cli;
mod compare;
mod compose;
mod construct;
mod documents;
mod editors;
mod emit;
mod examples;
mod explain;
mod exposure;
mod format;
mod front;
mod generated;
mod grammars;
mod hostile;
mod ide;
mod interpreter;
mod kernel;
mod layout;
mod optimise;
mod prove;
mod read;
mod roads;
mod server;
mod traffic;
