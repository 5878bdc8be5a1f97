//! `explain`, `services`, `completions`, `man`, `--version`, and how wrong usage ends.

use super::Place;

fn run(arguments: &[&str]) -> super::Run {
    Place::new(&[]).run(arguments)
}

#[test]
fn version_and_help_end_well() {
    let version = run(&["--version"]);
    assert_eq!((version.code, version.out.as_str()), (Some(0), concat!("fwc ", env!("CARGO_PKG_VERSION"), "\n")));
    assert_eq!(run(&["--help"]).code, Some(0));
}

#[test]
fn wrong_usage_ends_with_2_and_says_what_was_meant() {
    assert_eq!(run(&[]).code, Some(2));
    let command = run(&["biuld", "a.fw"]);
    assert_eq!(command.code, Some(2));
    assert!(command.err.contains("'build'"), "{}", command.err);
    assert_eq!(run(&["build", "a.fw", "--target", "pf"]).code, Some(2));
    assert_eq!(run(&["build", "a.fw", "--stdout", "-o", "x"]).code, Some(2));
}

#[test]
fn a_code_is_explained_by_number_and_by_name() {
    let number = run(&["explain", "fw0152"]);
    assert_eq!(number.code, Some(0));
    assert!(number.out.starts_with("FW0152 include-cycle (error)\n"), "{}", number.out);
    assert_eq!(number.out, run(&["explain", "include-cycle"]).out);
    let list = run(&["explain"]).out;
    assert!(list.lines().any(|line| line.starts_with("FW0152  error    include-cycle ")), "{list}");
}

#[test]
fn an_unknown_code_ends_with_2_and_the_nearest_one() {
    for arguments in [&["explain", "include-cycel"][..], &["check", "--deny", "include-cycel", "."][..]] {
        let unknown = run(arguments);
        assert_eq!(unknown.code, Some(2));
        assert_eq!(unknown.err, "fwc: there is no diagnostic `include-cycel`: did you mean `include-cycle`?\n");
        assert_eq!(unknown.out, "");
    }
}

#[test]
fn services_are_found_by_name_and_port() {
    let ssh = run(&["services", "ssh"]);
    assert_eq!(ssh.code, Some(0));
    assert!(ssh.out.starts_with("ssh ") && ssh.out.contains("tcp 22"), "{}", ssh.out);
    assert_eq!(ssh.out.lines().count(), 1);
    let port = run(&["services", "22"]);
    assert!(port.out.lines().any(|line| line == ssh.out.trim_end()) || port.out.contains("ssh"), "{}", port.out);
    assert!(run(&["services"]).out.lines().count() > 100);
    let unknown = run(&["services", "posgres"]);
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.err.contains("did you mean `postgres`?"), "{}", unknown.err);
}

#[test]
fn completions_and_manual_are_written() {
    assert!(run(&["completions", "bash"]).out.contains("complete -F _fwc"));
    assert!(run(&["man"]).out.contains(".TH FWC 1"));
    assert!(run(&["man", "build"]).out.contains("fwc\\-build") || run(&["man", "build"]).out.contains("fwc-build"));
    assert_eq!(run(&["man", "nothing"]).code, Some(2));
}

#[test]
fn a_reader_that_goes_away_is_no_fault() {
    let place = Place::new(&[]);
    let mut command = place.command(&["completions", "bash"]);
    let mut child =
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().expect("fwc");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("fwc");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty());
}
