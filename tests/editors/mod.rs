//! The language server under real clients. Where one is not installed, its test says by name that it was skipped; `./test` as root
//! installs them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A policy with one word misspelt.
const POLICY: &str = "\
set office = 192.0.2.0/24
allow { ssh, ping } from ofice to host
allow https from office to host
";

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/editors")
}

/// A directory with a policy in it, which is no other project's.
fn policy() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("site.fw");
    std::fs::write(&file, POLICY).expect("a file");
    (directory, file)
}

/// Runs a client with the server and the policy in its environment. `None`, and a word about it, if it is not installed.
fn run(test: &str, client: &mut Command, asks: &[&str]) -> Option<Output> {
    let program = client.get_program().to_owned();
    let probe = Command::new(&program).args(asks).stdin(Stdio::null()).output();
    if !probe.is_ok_and(|probe| probe.status.success()) {
        println!("skipped: {test}: `{} {}` fails here", program.to_string_lossy(), asks.join(" "));
        return None;
    }
    client.env("FWC", env!("CARGO_BIN_EXE_fwc")).env("NO_COLOR", "1").stdin(Stdio::null());
    Some(client.output().expect("it runs"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn neovim_sees_a_diagnostic_and_takes_the_repair() {
    let (directory, file) = policy();
    let report = directory.path().join("report");
    let mut nvim = Command::new("nvim");
    nvim.args(["--headless", "-u", "NONE", "-i", "NONE", "-n", "-c"]);
    nvim.arg(format!("luafile {}", scripts().join("neovim.lua").display()));
    nvim.env("FILE", &file).env("REPORT", &report).env("HOME", directory.path());
    let Some(output) = run("editors::neovim", &mut nvim, &["--version"]) else { return };
    let seen = std::fs::read_to_string(&report).unwrap_or_else(|_| text(&output.stderr));
    let wanted = "\
sees 1:25 no set or interface is called `ofice`
takes Did you mean `office`?
line set office = 192.0.2.0/24
line allow { ssh, ping } from office to host
line allow https from office to host
done
";
    assert_eq!(seen, wanted);
}

#[test]
fn emacs_sees_a_diagnostic_and_that_it_is_gone() {
    let (directory, file) = policy();
    let mut emacs = Command::new("emacs");
    emacs.arg("--batch").arg("-l").arg(scripts().join("eglot.el"));
    emacs.env("FILE", &file).env("HOME", directory.path());
    let eglot = ["--batch", "--eval", "(progn (package-initialize) (require 'eglot))"];
    let Some(output) = run("editors::emacs", &mut emacs, &eglot) else { return };
    let wanted = "sees 2 fwc [FW0114]: no set or interface is called `ofice`\nsees nothing\ndone\n";
    assert_eq!(text(&output.stdout), wanted, "{}", text(&output.stderr));
}

#[test]
fn the_protocol_is_spoken_as_pytest_lsp_speaks_it() {
    // `./test` makes an environment for it; elsewhere that of the user may do.
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/python/bin/python");
    let (directory, _) = policy();
    let mut python = if own.exists() { Command::new(own) } else { Command::new("python3") };
    python.arg("-B").arg(scripts().join("protocol.py")).env("HOME", directory.path());
    let Some(output) = run("editors::pytest_lsp", &mut python, &["-c", "import pytest_lsp"]) else { return };
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    assert!(text(&output.stdout).contains("12 passed"), "{}", text(&output.stdout));
}
