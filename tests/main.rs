//! Tests.

mod roads;
