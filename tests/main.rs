//! Tests through the front door.

mod cli;
mod compose;
mod emit;
mod generated;
mod interpreter;
mod kernel;
mod layout;
mod optimise;
mod roads;
mod traffic;
