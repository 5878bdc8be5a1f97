//! `fwc explain`: the page of a diagnostic.

use std::fmt::Write as _;

use super::failure::Failure;
use super::{Ending, print};
use crate::codes;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Its number (FW0152) or name (include-cycle); without it, all are listed
    code: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> Result<Ending, Failure> {
    match &arguments.code {
        Some(wanted) => print(&codes::page(codes::find(wanted).ok_or_else(|| Failure::new(codes::unknown(wanted)))?))?,
        None => print(&list())?,
    }
    Ok(Ending::Clean)
}

fn list() -> String {
    let width = codes::all().iter().map(|code| code.name.len()).max().unwrap_or_default();
    let mut out = String::new();
    for code in codes::all() {
        let (level, name) = (codes::level_name(code.level), code.name);
        let _ = writeln!(out, "{}  {level:<7}  {name:<width$}  {}", code.number, code.summary);
    }
    out
}
