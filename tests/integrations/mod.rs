//! What the project gives to pipelines is run as they run it: GitHub's action, GitLab's job, the hooks of pre-commit, the problem
//! matchers. Python's packages are needed for most; `./test` installs them, elsewhere the tests say by name that they are skipped.

mod matchers;
mod pipelines;
mod schemas;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(project(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A program of Python's packages; `None`, and a word about it, where it is not installed.
fn python(test: &str, program: &str) -> Option<PathBuf> {
    let path = project("target/python/bin").join(program);
    let there = path.exists();
    if !there {
        println!("skipped: integrations::{test}: {program} is not installed: `./test` does it");
    }
    there.then_some(path)
}

/// A YAML text as JSON.
fn yaml(test: &str, text: &str) -> Option<Value> {
    let python = python(test, "python")?;
    let program = "import json, sys, yaml; json.dump(yaml.safe_load(sys.argv[1]), sys.stdout)";
    let output = Command::new(python).args(["-c", program, text]).output().expect("it runs");
    if String::from_utf8_lossy(&output.stderr).contains("No module named 'yaml'") {
        println!("skipped: integrations::{test}: PyYAML is not installed: `./test` does it");
        return None;
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).expect("JSON"))
}

/// The path of commands with this `fwc` in front.
fn path() -> OsString {
    let program = Path::new(env!("CARGO_BIN_EXE_fwc")).parent().expect("a directory").to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(std::iter::once(program).chain(std::env::split_paths(&path))).expect("a path")
}

/// A repository with these files.
fn repository(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    for (path, text) in files {
        let path = directory.path().join(path);
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        fs::write(path, text).expect("a file");
    }
    for arguments in [
        &["init", "--quiet"][..],
        &["add", "."],
        &["-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "--quiet", "--message=all"],
    ] {
        let mut git = Command::new("git");
        git.args(arguments).current_dir(directory.path()).env("GIT_CONFIG_GLOBAL", "/dev/null");
        let output = git.output().expect("git");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    directory
}

/// What a program said on both streams, and how it ended.
fn said(command: &mut Command) -> (Option<i32>, String) {
    let output = command.output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), text)
}

const GOOD: &str = "allow ssh from 192.0.2.0/24 to host\n";
const BAD: &str = "# a policy\nalow ssh to host\n";
