//! From text to tree. Never fails: a line that cannot be read costs that line and gives a diagnostic.

pub mod tree;
