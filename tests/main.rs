//! Tests through the front door.

mod check;
mod cli;
mod compose;
mod emit;
mod generated;
mod interpreter;
mod kernel;
mod layout;
mod optimise;
mod roads;
