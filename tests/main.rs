//! Tests.

mod emit;
mod kernel;
mod optimise;
