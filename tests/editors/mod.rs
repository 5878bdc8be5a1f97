//! The language server under real clients. Where one is not installed, its test says by name that it was skipped; `./test` as root
//! installs them.

mod vscode;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// A policy with one word misspelt.
const POLICY: &str = "\
set office = 192.0.2.0/24
allow { ssh, ping } from ofice to host
allow https from office to host
";

/// A client that has not come to its end by then waits for something that never comes.
const LIMIT: Duration = Duration::from_secs(300);

fn scripts() -> PathBuf {
    project("tests/editors")
}

/// A directory with a policy in it, which is no other project's.
fn policy() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("site.fw");
    std::fs::write(&file, POLICY).expect("a file");
    (directory, file)
}

/// The home of somebody with a checkout and a policy in it, and no settings.
fn home() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("checkout/policies/site.fw");
    for path in ["checkout/.git", "checkout/policies"] {
        std::fs::create_dir_all(directory.path().join(path)).expect("a directory");
    }
    std::fs::write(&file, POLICY).expect("a file");
    (directory, file)
}

/// Where a command is tried, and the program is the first `fwc` on its path.
fn at_home(command: &mut Command, home: &Path) {
    let program = Path::new(env!("CARGO_BIN_EXE_fwc")).parent().expect("a directory");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::iter::once(program.to_owned()).chain(std::env::split_paths(&path));
    command.env("PATH", std::env::join_paths(path).expect("a path")).env("HOME", home);
    for name in ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "VIMRUNTIME", "VIMINIT"] {
        command.env_remove(name);
    }
}

/// The command of a step of a package's own page.
fn step(page: &str, number: usize) -> String {
    let page = std::fs::read_to_string(project(page)).expect("a page");
    let line = page.lines().find(|line| line.starts_with(&format!("{number}. "))).expect("the step");
    line.split('`').nth(1).expect("a command").to_owned()
}

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
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
    let child = client.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let process = child.id().to_string();
    let (done, ended) = mpsc::channel::<()>();
    let watch = thread::spawn(move || {
        if ended.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
            let killed = Command::new("kill").args(["-9", &process]).status();
            println!("the client was ended after {LIMIT:?}: {killed:?}");
        }
    });
    let output = child.wait_with_output().expect("it ends");
    drop(done);
    watch.join().expect("it ends");
    Some(output)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The package is installed as its page says, and nothing else is set.
fn neovim(test: &str, program: &Path) {
    let (home, file) = home();
    let mut install = Command::new("sh");
    install.arg("-c").arg(step("editors/nvim/README.md", 2)).current_dir(project(""));
    at_home(&mut install, home.path());
    assert!(install.status().is_ok_and(|status| status.success()));
    let report = home.path().join("report");
    let mut nvim = Command::new(program);
    nvim.args(["--headless", "-i", "NONE", "-n", "-c"])
        .arg(format!("luafile {}", scripts().join("neovim.lua").display()));
    at_home(&mut nvim, home.path());
    nvim.env("FILE", &file).env("REPORT", &report);
    let Some(output) = run(test, &mut nvim, &["--version"]) else { return };
    let seen = std::fs::read_to_string(&report).unwrap_or_else(|_| text(&output.stderr));
    let wanted = "\
file type fwc, syntax fwc, indented by 4
sees 1:25 no set or interface is called `ofice`
takes Did you mean `office`?
line set office = 192.0.2.0/24
line allow { ssh, ping } from office to host
line allow https from office to host
typed to host {|    allow   dns|}|log
laid out to host {|    allow dns|}
file type fwc
below checkout
1 server
done
";
    assert_eq!(seen, wanted, "{}", text(&output.stderr));
}

#[test]
fn neovim_of_debian_sees_a_diagnostic_and_takes_the_repair() {
    neovim("editors::neovim of Debian", Path::new("nvim"));
}

/// It starts servers another way (`vim.lsp.enable`), and asks for diagnostics that are sent anyway.
#[test]
fn neovim_of_today_sees_a_diagnostic_once_and_takes_the_repair() {
    neovim("editors::neovim of today", &project("target/python/bin/nvim"));
}

#[test]
fn emacs_sees_a_diagnostic_and_takes_the_repair() {
    let (home, file) = home();
    let eglot = ["--batch", "--eval", "(progn (package-initialize) (require 'eglot))"];
    let install = format!("(package-install-file {:?})", project("editors/emacs/fwc-mode.el"));
    let mut emacs = Command::new("emacs");
    emacs.args(["--batch", "--eval", "(require 'package)", "--eval", &install]);
    at_home(&mut emacs, home.path());
    let Some(output) = run("editors::emacs", &mut emacs, &eglot) else { return };
    assert!(output.status.success(), "{}", text(&output.stderr));
    let mut emacs = Command::new("emacs");
    emacs.arg("--batch").arg("-l").arg(scripts().join("eglot.el")).env("FILE", &file);
    at_home(&mut emacs, home.path());
    let Some(output) = run("editors::emacs", &mut emacs, &eglot) else { return };
    let wanted = "\
mode fwc-mode
sees 2 fwc [FW0114]: no set or interface is called `ofice`
takes Did you mean `office`?
sees nothing
set office = 192.0.2.0/24
allow { ssh, ping } from office to host
allow https from office to host
to host {
    allow dns
}
done
";
    assert_eq!(text(&output.stdout), wanted, "{}", text(&output.stderr));
}

/// Emacs' own judges of a package: its compiler and `checkdoc`.
#[test]
fn the_package_for_emacs_is_clean() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("fwc-mode.el");
    std::fs::copy(project("editors/emacs/fwc-mode.el"), &file).expect("a copy");
    let mut emacs = Command::new("emacs");
    emacs.args(["--batch", "-Q", "--eval", "(setq byte-compile-error-on-warn t)", "--eval"]);
    emacs.arg(format!("(progn (unless (byte-compile-file {file:?}) (kill-emacs 1)) (checkdoc-file {file:?}))"));
    let Some(output) = run("editors::emacs's judges", &mut emacs, &["--version"]) else { return };
    assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output.stderr));
}

#[test]
fn the_protocol_is_spoken_as_pytest_lsp_speaks_it() {
    // `./test` makes an environment for it; elsewhere that of the user may do.
    let own = project("target/python/bin/python");
    let (directory, _) = policy();
    let mut python = if own.exists() { Command::new(own) } else { Command::new("python3") };
    python.arg("-B").arg(scripts().join("protocol.py")).env("HOME", directory.path());
    let Some(output) = run("editors::pytest_lsp", &mut python, &["-c", "import pytest_lsp"]) else { return };
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    assert!(text(&output.stdout).contains("15 passed"), "{}", text(&output.stdout));
}
