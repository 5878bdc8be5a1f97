//! `fwc diff`: which packets two hosts treat differently.

use std::path::PathBuf;

use super::failure::Failure;
use super::hosts::HostArguments;
use super::{Color, Ending};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The first policy or rule set; several files of one host with `+` between (rules.v4+rules.v6+ipset)
    a: PathBuf,
    /// The second
    b: PathBuf,
    #[command(flatten)]
    host: HostArguments,
}

pub(super) fn run(arguments: &Arguments, color: Color) -> Result<Ending, Failure> {
    let _ = (arguments, color);
    Err(Failure::new("not there yet"))
}
