//! Tests.

mod interpreter;
mod kernel;
