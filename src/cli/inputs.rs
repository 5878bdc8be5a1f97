//! What `build`, `check` and `test` take in alike: a root file or the standard input, facts, and which diagnostics are raised.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::disk::{self, read_bounded};
use super::failure::Failure;
use super::{TargetArgument, print_aside};
use crate::codes;
use crate::configuration::{self, Reason};
use crate::levels::{Levels, Setting};
use crate::project::{MAX_FILE_BYTES, Options, Root};
use crate::span::LineIndex;

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
    #[command(flatten)]
    levels: LevelArguments,
}

impl InputArguments {
    /// Whether the levels on the command line can be read, before anything else is looked at.
    pub(super) fn check_levels(&self) -> Result<(), Failure> {
        self.levels.read().map(|_| ())
    }

    /// The levels of codes for a policy or rule set: what the nearest `fwc.toml` says, and the command line after it.
    pub(super) fn levels(&self, path: &Path) -> Result<Levels, Failure> {
        let mut levels = configured(path)?;
        levels.extend(self.levels.read()?);
        Ok(levels)
    }

    /// Target, facts and levels for a policy. Facts that were found, not asked for, are named once on the standard error.
    pub(super) fn options(&self, policy: &Path) -> Result<Options, Failure> {
        let facts = match &self.facts {
            Some(path) => Some(read_root(path)?),
            None => facts_beside(policy)?,
        };
        Ok(Options { target: self.target.map(Into::into), facts, levels: self.levels(policy)? })
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

/// What `--deny`, `--warn` and `--allow` say, in the order in which they stand.
#[derive(Clone, Debug, Default)]
struct LevelArguments(Vec<(&'static str, Setting, String)>);

impl LevelArguments {
    fn read(&self) -> Result<Levels, Failure> {
        let mut levels = Levels::default();
        for (name, setting, wanted) in &self.0 {
            match wanted.trim() {
                "warnings" => levels.set_warnings(*setting),
                wanted => {
                    let code = codes::find(wanted).ok_or_else(|| Failure::new(codes::unknown(wanted)))?;
                    levels.set(code, *setting).map_err(|fault| Failure::new(format!("--{name}: {fault}")))?;
                }
            }
        }
        Ok(levels)
    }
}

const LEVELS: [(&str, Setting, &str); 3] = [
    (
        "deny",
        Setting::Deny,
        "Make errors of these: codes by number or name, or `warnings` for all warnings; may be repeated",
    ),
    ("warn", Setting::Warn, "Make warnings of these; of --deny, --warn and --allow the last word counts"),
    ("allow", Setting::Allow, "Do not tell these"),
];

impl clap::Args for LevelArguments {
    fn augment_args(command: clap::Command) -> clap::Command {
        LEVELS.iter().fold(command, |command, &(name, _, help)| {
            let argument = clap::Arg::new(name).long(name).value_name("warnings|CODE").help(help);
            command.arg(argument.action(clap::ArgAction::Append).value_delimiter(','))
        })
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for LevelArguments {
    fn from_arg_matches(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
        let mut said: Vec<(usize, (&'static str, Setting, String))> = Vec::new();
        for (name, setting, _) in LEVELS {
            let values = matches.get_many::<String>(name).into_iter().flatten();
            let places = matches.indices_of(name).into_iter().flatten();
            said.extend(places.zip(values).map(|(at, value)| (at, (name, setting, value.clone()))));
        }
        said.sort_by_key(|(at, _)| *at);
        Ok(Self(said.into_iter().map(|(_, one)| one).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &clap::ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// What the nearest `fwc.toml` says, in the directory of a file or above it.
pub(super) fn configured(path: &Path) -> Result<Levels, Failure> {
    let start =
        if path.as_os_str() == STANDARD_INPUT { Path::new(".") } else { path.parent().unwrap_or(Path::new(".")) };
    let start = if start.as_os_str().is_empty() { Path::new(".") } else { start };
    let Ok(start) = fs::canonicalize(start) else { return Ok(Levels::default()) };
    let unusable = |configuration::Unusable { path, text, reason }| match reason {
        Reason::Unread(reason) => Failure::read(path.display(), reason),
        Reason::Faulty(fault) => {
            let (line, column) = LineIndex::new(&text).line_column(u32::try_from(fault.span.start).unwrap_or(u32::MAX));
            Failure::new(format!("{}:{line}:{column}: {}", path.display(), fault.message))
        }
    };
    configuration::nearest(&disk::Disk, &start).map(|found| found.levels).map_err(unusable)
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
