//! Tests.

mod kernel;
mod roads;
