//! `fwc fmt` as a program.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Exit status, standard output, standard error.
fn fwc(directory: &Path, arguments: &[&str], input: &[u8]) -> (Option<i32>, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_fwc"))
        .current_dir(directory)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("fwc runs");
    // A program that ends before it has read all is no fault of the test.
    let _ = child.stdin.take().expect("a pipe").write_all(input);
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn files_are_rewritten_and_those_that_are_right_are_left() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path();
    fs::create_dir(path.join("below")).expect("directory");
    fs::write(path.join("a.fw"), "allow  ssh to host\n").expect("write");
    fs::write(path.join("below/b.fwtest"), "assert  deny ssh to host\n").expect("write");
    fs::write(path.join("right.fw"), "allow ssh to host\n").expect("write");
    fs::write(path.join("other.txt"), "allow  ssh to host\n").expect("write");
    let written = |name: &str| fs::metadata(path.join(name)).expect("file").modified().expect("a time");
    let before = written("right.fw");

    assert_eq!(fwc(path, &["fmt", "--check", "."], b""), (Some(1), "./a.fw\n./below/b.fwtest\n".into(), String::new()));
    assert_eq!(fs::read_to_string(path.join("a.fw")).expect("text"), "allow  ssh to host\n");
    assert_eq!(fwc(path, &["fmt", ".", "a.fw"], b""), (Some(0), String::new(), String::new()));
    assert_eq!(fs::read_to_string(path.join("a.fw")).expect("text"), "allow ssh to host\n");
    assert_eq!(fs::read_to_string(path.join("below/b.fwtest")).expect("text"), "assert deny ssh to host\n");
    assert_eq!(fs::read_to_string(path.join("other.txt")).expect("text"), "allow  ssh to host\n");
    assert_eq!(written("right.fw"), before);
    assert_eq!(fwc(path, &["fmt", "--check", "."], b"").0, Some(0));
}

#[test]
fn the_standard_input_goes_to_the_standard_output() {
    let here = Path::new(".");
    assert_eq!(fwc(here, &["fmt", "-"], b"allow  ssh to host"), (Some(0), "allow ssh to host\n".into(), String::new()));
    assert_eq!(fwc(here, &["fmt", "--check", "-"], b"use  lxd"), (Some(1), "<stdin>\n".into(), String::new()));
    let (status, out, said) = fwc(here, &["fmt", "-"], b"use  lxd\nallow  shh frm x");
    assert_eq!((status, out.as_str()), (Some(0), "use lxd\nallow  shh frm x\n"));
    assert_eq!(said, "fwc: <stdin>: 1 statement cannot be read and was left as found; `fwc check` says why\n");
}

#[test]
fn a_difference_is_a_patch() {
    let directory = tempfile::tempdir().expect("directory");
    fs::write(directory.path().join("a.fw"), "use docker\nallow  ssh to host\n").expect("write");
    let (status, out, _) = fwc(directory.path(), &["fmt", "--diff", "a.fw"], b"");
    let patch = "--- a.fw\n+++ a.fw\n@@ -1,2 +1,2 @@\n use docker\n-allow  ssh to host\n+allow ssh to host\n";
    assert_eq!((status, out.as_str()), (Some(0), patch));
    assert_eq!(fwc(directory.path(), &["fmt", "--diff", "--check", "a.fw"], b"").0, Some(1));
    assert_eq!(fs::read_to_string(directory.path().join("a.fw")).expect("text"), "use docker\nallow  ssh to host\n");
}

#[test]
fn nothing_is_written_if_one_file_cannot_be_read() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path();
    fs::write(path.join("a.fw"), "allow  ssh to host\n").expect("write");
    fs::write(path.join("latin.fw"), b"# caf\xe9\n").expect("write");
    fs::write(path.join("rules.v4"), "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n").expect("write");
    for (other, reason) in [
        ("latin.fw", "`latin.fw` is not UTF-8 text: see its byte 5"),
        ("rules.v4", "cannot lay out `rules.v4`: it is a rule set and no policy"),
        ("none.fw", "cannot read `none.fw`"),
    ] {
        let (status, out, said) = fwc(path, &["fmt", "a.fw", other], b"");
        assert_eq!((status, out.as_str()), (Some(2), ""));
        assert!(said.contains(reason), "{said}");
        assert_eq!(fs::read_to_string(path.join("a.fw")).expect("text"), "allow  ssh to host\n");
    }
}
