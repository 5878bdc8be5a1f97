//! Tests.

mod kernel;
