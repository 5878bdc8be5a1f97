//! `fwc test`: which policy is tested, what is said of each line, and how it ends.

use super::Place;

const POLICY: &str = "set office = { 198.51.100.0/24 }\nallow ssh from office to host\n";

#[test]
fn tests_beside_a_policy_pass_and_fail_line_by_line() {
    let place = Place::new(&[
        ("site.fw", POLICY),
        (
            "site.fwtest",
            "# The names of the policy are known here.\nassert deny ssh from not office to host\nset lab = { 10.0.0.0/8 }\n\
             assert allow ssh from lab to host\n",
        ),
    ]);
    let run = place.run(&["test", "site.fwtest", "--format", "short"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    let lines: Vec<&str> = run.out.lines().collect();
    assert_eq!(lines[0], "ok        site.fwtest:2  assert deny ssh from not office to host");
    assert_eq!(lines[1], "FAILS     site.fwtest:4  assert allow ssh from lab to host");
    assert!(lines[2].starts_with("site.fwtest:4:1: error[FW0821]: this assert fails"), "{run:?}");
    assert_eq!(lines.last(), Some(&"1 passed, 1 failed"));
    assert!(run.out.contains("\nproved if the jumps to fwc's chains are in place;\n  and nothing manages"), "{run:?}");
    // What fails in the tests is no fault of the policy.
    assert_eq!(place.run(&["check", "site.fw"]).code, Some(0));
}

#[test]
fn all_tests_below_a_directory_are_found_and_may_include_their_policy() {
    let place = Place::new(&[
        ("site.fw", POLICY),
        ("tests/ssh.fwtest", "include \"../site.fw\"\nassert deny ssh from not office to host\n"),
        ("tests/more/telnet.fwtest", "assert deny telnet from any to host\ninclude \"../../site.fw\"\n"),
    ]);
    let run = place.run(&["test", "tests"]);
    assert_eq!((run.code, run.out.lines().last()), (Some(0), Some("2 passed, 0 failed")), "{run:?}");
    assert!(
        run.out.starts_with("ok        tests/more/telnet.fwtest:1  assert deny telnet from any to host\n"),
        "{run:?}"
    );
}

#[test]
fn what_is_not_proved_has_not_passed() {
    let place = Place::new(&[
        (
            "site.fw",
            "set banned live\ndeny from banned to host\nallow { http, ssh } from any to host limit 10/minute\n",
        ),
        ("site.fwtest", "assert allow ssh from any to host\n"),
        (
            "words.fw",
            "target iptables\nchain filter INPUT {\n    -m geoip --source-country XX -j DROP\n}\nallow ssh from any to host\n",
        ),
        ("words.fwtest", "assert allow ssh from any to host\n"),
    ]);
    let limited = place.run(&["test", "site.fwtest"]);
    assert_eq!(limited.code, Some(1));
    assert!(limited.out.starts_with("limited   site.fwtest:1  assert allow ssh from any to host\n"), "{limited:?}");
    assert!(limited.out.contains("[FW0826] Error"), "{limited:?}");
    let unknown = place.run(&["test", "words.fwtest"]);
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.out.starts_with("undecided words.fwtest:1  assert allow ssh from any to host\n"), "{unknown:?}");
    assert!(unknown.out.contains("FW0822"), "{unknown:?}");
}

#[test]
fn a_rule_among_tests_is_an_error() {
    let place = Place::new(&[
        ("site.fw", POLICY),
        ("site.fwtest", "allow http from any to host\nassert allow http from any to host\n"),
    ]);
    let run = place.run(&["test", "site.fwtest"]);
    assert_eq!(run.code, Some(1));
    assert!(run.out.contains("[FW0825]") && run.out.ends_with("0 passed, 0 failed, 1 file with errors\n"), "{run:?}");
}

#[test]
fn tests_of_nothing_are_told_of() {
    let place = Place::new(&[
        ("lonely.fwtest", "assert deny telnet from any to host\n"),
        ("site.fw", POLICY),
        ("site.fwtest", "# soon\n"),
    ]);
    let run = place.run(&["test", "lonely.fwtest"]);
    assert_eq!(run.code, Some(2));
    assert!(run.err.contains("includes no policy, and there is none of its name beside it"), "{run:?}");
    let run = place.run(&["test", "site.fwtest"]);
    assert_eq!((run.code, run.err.as_str()), (Some(2), "fwc: `site.fwtest` asserts nothing\n"), "{run:?}");
    std::fs::create_dir(place.path("empty")).expect("directory");
    assert_eq!(place.run(&["test", "empty"]).code, Some(2));
}

#[test]
fn a_failing_assert_stops_a_build_and_leaves_no_file() {
    let place = Place::new(&[("site.fw", "allow ssh from any to host\nassert deny ssh from 10.0.0.0/8 to host\n")]);
    let run = place.run(&["build", "site.fw", "-o", "out"]);
    assert_eq!(run.code, Some(1));
    assert!(
        run.err.contains("[FW0821]") && run.err.contains("`tcp 10.1.1.7 -> 203.0.113.10:22 to host via eth0`"),
        "{run:?}"
    );
    assert_eq!(place.names("out"), [""; 0]);
}
