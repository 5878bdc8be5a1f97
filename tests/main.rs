//! Tests through the front door.

mod cli;
mod compose;
mod emit;
mod front;
mod generated;
mod hostile;
mod interpreter;
mod kernel;
mod layout;
mod optimise;
mod roads;
