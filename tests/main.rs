//! Tests.
mod compose;
