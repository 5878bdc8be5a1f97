//! Tests through the front door.

mod cli;
mod generated;
mod interpreter;
mod kernel;
mod roads;
mod layout;
