//! Tests that need the kernel: each says by name where it is skipped.

mod accept;
