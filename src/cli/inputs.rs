//! What `build`, `check` and `test` take in alike: a root file or the standard input, facts, and which diagnostics are raised.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::disk::{self, read_bounded};
use super::failure::Failure;
use super::render::Levels;
use super::{TargetArgument, print_aside};
use crate::codes;
use crate::project::{MAX_FILE_BYTES, Options, Root};

/// The file that lies beside a policy.
const FACTS: &str = "fwc.facts.json";
/// What the standard input is called.
pub(super) const STANDARD_INPUT: &str = "-";

/// Arguments that `build` and `check` share.
#[derive(Debug, clap::Args)]
pub(super) struct InputArguments {
    /// What to emit, whatever the source and the facts say
    #[arg(long, value_name = "TARGET")]
    target: Option<TargetArgument>,
    /// What is known about the host; without it, fwc.facts.json beside the policy, if there is one
    #[arg(long, value_name = "FILE")]
    facts: Option<PathBuf>,
    /// Makes errors of warnings: all of them, or one code by number or name; may be repeated
    #[arg(long, value_name = "warnings|CODE")]
    deny: Vec<String>,
}

impl InputArguments {
    /// What `--deny` asks for.
    pub(super) fn levels(&self) -> Result<Levels, Failure> {
        let mut levels = Levels::default();
        for wanted in self.deny.iter().flat_map(|wanted| wanted.split(',')).map(str::trim) {
            if wanted == "warnings" {
                levels.deny_warnings();
            } else {
                levels.deny(find_code(wanted)?);
            }
        }
        Ok(levels)
    }

    /// Target and facts for a policy. Facts that were found, not asked for, are named once on the standard error.
    pub(super) fn options(&self, policy: &Path) -> Result<Options, Failure> {
        let facts = match &self.facts {
            Some(path) => Some(read_root(path)?),
            None => facts_beside(policy)?,
        };
        Ok(Options { target: self.target.map(Into::into), facts })
    }
}

pub(super) fn facts_beside(policy: &Path) -> Result<Option<Root>, Failure> {
    if policy.as_os_str() == STANDARD_INPUT {
        return Ok(None);
    }
    let path = policy.with_file_name(FACTS);
    // A link that leads nowhere is a fault, not an absence.
    if fs::symlink_metadata(&path).is_err() {
        return Ok(None);
    }
    let root = read_root(&path)?;
    print_aside(&format!("fwc: using the facts in {}\n", path.display()));
    Ok(Some(root))
}

/// A code by number or name.
pub(super) fn find_code(wanted: &str) -> Result<&'static crate::diagnostic::Code, Failure> {
    codes::find(wanted).ok_or_else(|| {
        let advice = match codes::nearest(wanted) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => "`fwc explain` lists them".to_owned(),
        };
        Failure::new(format!("there is no diagnostic `{wanted}`: {advice}"))
    })
}

/// Reads a file that the command line names: a regular file, a pipe, or `-` for the standard input.
pub(super) fn read_root(path: &Path) -> Result<Root, Failure> {
    let bytes = if path.as_os_str() == STANDARD_INPUT {
        read_bounded(io::stdin().lock(), MAX_FILE_BYTES).map_err(|error| Failure::read("the standard input", error))?
    } else {
        let file = fs::File::open(path).map_err(|error| Failure::read(path.display(), disk::reason(&error)))?;
        let directory = file.metadata().is_ok_and(|kind| kind.is_dir());
        if directory {
            return Err(Failure::read(path.display(), "it is a directory"));
        }
        read_bounded(file, MAX_FILE_BYTES).map_err(|error| Failure::read(path.display(), error))?
    };
    Ok(Root { path: path.to_path_buf(), bytes })
}
