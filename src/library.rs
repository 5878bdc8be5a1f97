//! The language's own library. (Replaced by the library's own branch.)

/// The files: the name after `std:`, and the text.
pub const FILES: &[(&str, &str)] = &[];

/// Path of a file of the library, as diagnostics show it.
#[must_use]
pub fn path(name: &str) -> String {
    format!("std:{name}")
}
