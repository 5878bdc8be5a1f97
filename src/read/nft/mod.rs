//! `nft list ruleset`, and scripts for `nft -f`, in two steps: the text's tables, chains and sets are collected as its commands leave
//! them, and then each rule is put into the netfilter form, when all sets are known.

mod compare;
mod field;
mod json;
mod lex;
mod rule;
mod script;
mod set;
mod value;

use super::Reading;
use crate::span::FileId;

pub use json::nft_json;

/// Reads the listing of `nft list ruleset`, or a script: what is there when it has run on an empty host.
#[must_use]
pub fn nft(file: FileId, text: &str) -> Reading {
    let mut script = script::Script::new(file, text);
    script.read();
    script.finish()
}
