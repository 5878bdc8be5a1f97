//! Tests through the front door.

mod cli;
mod generated;
mod kernel;
mod roads;
mod layout;
