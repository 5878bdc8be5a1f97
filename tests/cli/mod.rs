//! The real binary on real directories: exit statuses, streams, colours, and that no file is touched when something is wrong.

mod baseline;
mod build;
mod check;
mod diff;
mod expectations;
mod formats;
mod levels;
mod reference;
mod test;
mod trace;
mod unread;
mod who;

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A directory with files, and the binary run in it.
pub struct Place {
    directory: TempDir,
}

/// What a run gave.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Place {
    /// Files by path; directories are made as needed.
    pub fn new(files: &[(&str, &str)]) -> Self {
        let place = Self { directory: tempfile::tempdir().expect("directory") };
        for (path, text) in files {
            place.write(path, text.as_bytes());
        }
        place
    }

    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(path)
    }

    pub fn write(&self, path: &str, bytes: &[u8]) {
        let whole = self.path(path);
        fs::create_dir_all(whole.parent().expect("a directory")).expect("directory");
        fs::write(whole, bytes).expect("write");
    }

    /// Names of everything below `path`, sorted.
    pub fn names(&self, path: &str) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path(path))
            .map(|entries| {
                entries.map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned()).collect()
            })
            .unwrap_or_default();
        names.sort();
        names
    }

    /// The binary, without what the environment says about colours.
    pub fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fwc"));
        command.current_dir(self.directory.path()).args(arguments).stdin(Stdio::null());
        for name in ["NO_COLOR", "CLICOLOR_FORCE", "RUST_BACKTRACE"] {
            command.env_remove(name);
        }
        command
    }

    pub fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Run {
        ended(&mut self.command(arguments))
    }

    /// A line of bash, in which `$FWC` is the binary.
    pub fn shell(&self, line: &str) -> Run {
        let mut command = Command::new("bash");
        command.current_dir(self.directory.path()).args(["-c", line]).stdin(Stdio::null());
        ended(command.env("FWC", env!("CARGO_BIN_EXE_fwc")))
    }

    /// With a text on the standard input.
    pub fn run_with(&self, arguments: &[&str], input: &[u8]) -> Run {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("fwc");
        // A program that stops reading early is no fault of the test.
        let _ = child.stdin.take().expect("input").write_all(input);
        let output = child.wait_with_output().expect("fwc");
        Run {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

pub fn ended(command: &mut Command) -> Run {
    let output = command.output().expect("fwc");
    Run {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Not a test of its own: the one below runs this binary again with it, to see what a panic of ours looks like.
#[test]
#[ignore = "panics on purpose; run by `a_fault_of_ours_says_so`"]
fn panics_on_purpose() {
    fwc::cli::install_panic_hook();
    panic!("the third stage has no second");
}

#[test]
fn a_fault_of_ours_says_so() {
    let told = |backtrace: &str| {
        let mut command = Command::new(std::env::current_exe().expect("this binary"));
        command.args(["--ignored", "--exact", "--nocapture", "cli::panics_on_purpose"]);
        ended(command.env("RUST_BACKTRACE", backtrace)).err
    };
    let short = told("0");
    assert!(short.starts_with("fwc: internal error: the third stage has no second (tests/cli/mod.rs:"), "{short}");
    assert!(short.contains("Please report it") && !short.contains("stack backtrace"), "{short}");
    assert!(told("1").contains("stack backtrace"));
}
