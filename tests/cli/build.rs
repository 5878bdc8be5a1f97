//! `fwc build`.

use std::os::unix::ffi::OsStrExt as _;

use super::Place;

#[test]
fn a_file_that_cannot_be_read_ends_with_2() {
    let place = Place::new(&[("d/a.fw", "")]);
    let missing = place.run(&["build", "b.fw"]);
    assert_eq!((missing.code, missing.err.as_str()), (Some(2), "fwc: cannot read `b.fw`: there is no such file\n"));
    let directory = place.run(&["build", "d"]);
    assert_eq!((directory.code, directory.err.as_str()), (Some(2), "fwc: cannot read `d`: it is a directory\n"));
    let facts = place.run(&["build", "d/a.fw", "--facts", "none.json"]);
    assert_eq!((facts.code, facts.err.as_str()), (Some(2), "fwc: cannot read `none.json`: there is no such file\n"));
}

#[test]
fn an_error_ends_with_1_and_touches_nothing() {
    let place = Place::new(&[("site.fw", "include \"missing.fw\"\n"), ("out/site.rules.v4", "before\n")]);
    let run = place.run(&["build", "site.fw", "-o", "out"]);
    assert_eq!(run.code, Some(1), "{}", run.err);
    assert_eq!(run.out, "");
    assert!(run.err.contains("[FW0150] Error: there is no file `missing.fw`"), "{}", run.err);
    assert!(run.err.ends_with("1 error\n"), "{}", run.err);
    assert_eq!(place.names("out"), ["site.rules.v4"]);
    assert_eq!(std::fs::read_to_string(place.path("out/site.rules.v4")).expect("file"), "before\n");
    let fresh = place.run(&["build", "site.fw", "-o", "fresh"]);
    assert_eq!(fresh.code, Some(1));
    assert!(!place.path("fresh").exists(), "the directory was made for nothing");
}

#[test]
fn facts_beside_the_policy_are_used_and_named() {
    let place =
        Place::new(&[("site.fw", ""), ("fwc.facts.json", "{\"version\": 1}"), ("other.json", "{\"version\": 1}")]);
    let named = |arguments: &[&str]| place.run(arguments).err.lines().any(|line| line.contains("using the facts"));
    assert!(named(&["build", "site.fw"]));
    assert!(place.run(&["build", "site.fw"]).err.starts_with("fwc: using the facts in fwc.facts.json\n"));
    assert!(!named(&["build", "site.fw", "--facts", "other.json"]));
}

#[test]
fn the_standard_input_is_a_policy_in_this_directory() {
    let place = Place::new(&[("base.fw", "include \"missing.fw\"\n")]);
    let run = place.run_with(&["build", "-"], b"include \"base.fw\"\n");
    assert_eq!(run.code, Some(1));
    assert!(run.err.contains("base.fw:1:9"), "{}", run.err);
}

#[test]
fn a_name_that_is_not_utf8_is_told() {
    let place = Place::new(&[]);
    let name = std::ffi::OsStr::from_bytes(b"p\xff.fw");
    std::fs::write(place.path(name), "include \"x\"\n").expect("write");
    let build = place.run(&["build".as_ref(), name]);
    assert_eq!(build.code, Some(2));
    assert!(build.err.contains("is not UTF-8, and outputs are named after it"), "{}", build.err);
    std::fs::write(place.path("a\n-A INPUT -j ACCEPT.fw"), "").expect("write");
    let lines = place.run(&["build", "a\n-A INPUT -j ACCEPT.fw"]);
    assert_eq!(lines.code, Some(2));
    assert_eq!(
        lines.err,
        "fwc: the name of `a\\n-A INPUT -j ACCEPT.fw` has control characters, and outputs are named after it\n"
    );
    // Checking makes no file, so the name does not matter.
    let check = place.run(&["check".as_ref(), name]);
    assert_eq!(check.code, Some(1), "{}", check.err);
}

/// A policy that both targets can say.
const POLICY: &str = "allow ssh from 10.0.0.0/8 to host\n";

#[test]
fn the_standard_output_has_each_file_under_its_name() {
    let place = Place::new(&[("site.fw", POLICY)]);
    let run = place.run(&["build", "site.fw"]);
    assert_eq!(run.code, Some(0), "{}", run.err);
    let names: Vec<&str> = run.out.lines().filter_map(|line| line.strip_prefix("# --- ")).collect();
    assert!(names.starts_with(&["site.rules.v4"]) || names.contains(&"site.rules.v4"), "{names:?}");
    assert_eq!(run.out, place.run(&["build", "site.fw", "--stdout"]).out);
    assert_eq!(place.names("."), ["site.fw"], "a file was written");
    place.run(&["build", "site.fw", "-o", "out"]);
    let mut sorted: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    sorted.sort();
    assert_eq!(place.names("out"), sorted);
    let written: String = names
        .iter()
        .map(|name| format!("# --- {name}\n{}", std::fs::read_to_string(place.path("out").join(name)).expect("file")))
        .collect();
    assert_eq!(run.out, written);
}

#[test]
fn what_an_earlier_build_left_is_removed_of_this_target_and_policy_alone() {
    let place = Place::new(&[("site.fw", POLICY)]);
    for name in ["out/site.ipset", "out/site.nft", "out/other.ipset"] {
        place.write(name, b"old\n");
    }
    assert_eq!(place.run(&["build", "site.fw", "-o", "out"]).code, Some(0));
    let names = place.names("out");
    assert!(!names.contains(&"site.ipset".to_owned()), "{names:?}");
    assert!(names.contains(&"site.nft".to_owned()) && names.contains(&"other.ipset".to_owned()), "{names:?}");
}

#[test]
fn a_place_that_cannot_be_written_ends_with_2_and_nothing_is_touched() {
    let place = Place::new(&[("site.fw", POLICY), ("out/site.rules.v4", "before\n"), ("file", "")]);
    std::fs::create_dir(place.path("out/site.rules.v6")).expect("directory");
    let run = place.run(&["build", "site.fw", "-o", "out"]);
    assert_eq!(run.code, Some(2));
    assert!(run.err.ends_with("fwc: cannot write `out/site.rules.v6`: it is a directory\n"), "{}", run.err);
    assert_eq!(std::fs::read_to_string(place.path("out/site.rules.v4")).expect("file"), "before\n");
    assert_eq!(place.names("out"), ["site.rules.v4", "site.rules.v6"]);
    let file = place.run(&["build", "site.fw", "-o", "file"]);
    assert_eq!(file.code, Some(2), "{}", file.err);
    assert!(file.err.contains("cannot write into `file`: it is a file, and a directory is asked for"), "{}", file.err);
}

#[test]
fn the_target_is_what_the_command_line_says_and_then_the_source() {
    let place = Place::new(&[("site.fw", POLICY), ("nft.fw", &format!("target nft\n{POLICY}"))]);
    let first = |arguments: &[&str]| {
        let run = place.run(arguments);
        run.out.lines().next().map(str::to_owned).unwrap_or(run.err)
    };
    assert_eq!(first(&["build", "site.fw"]), "# --- site.rules.v4");
    assert_eq!(first(&["build", "site.fw", "--target", "nft"]), "# --- site.nft");
    assert_eq!(first(&["build", "nft.fw"]), "# --- nft.nft");
    assert_eq!(first(&["build", "nft.fw", "--target", "iptables"]), "# --- nft.rules.v4");
}

#[test]
fn a_build_gives_the_same_bytes_again() {
    let place = Place::new(&[("site.fw", POLICY)]);
    assert_eq!(place.run(&["build", "site.fw"]).out, place.run(&["build", "site.fw"]).out);
}

#[test]
fn the_top_of_a_file_names_the_limits_that_the_build_told() {
    let sentence = "allow tcp 443 from 10.1.1.1 to container via ens33\n";
    let place = Place::new(&[
        ("limited.fw", sentence),
        ("whole.fw", "allow ssh from 198.51.100.0/24 to host\n"),
        ("known.fw", &format!("fact docker.userland-proxy = off\n{sentence}")),
    ]);
    let top = |file: &str| {
        let run = place.run(&["build", file]);
        assert_eq!(run.code, Some(0), "{}", run.err);
        let lines: Vec<String> = run.out.lines().filter(|line| line.starts_with("# ")).map(str::to_owned).collect();
        (run.err, lines)
    };
    let (told, limited) = top("limited.fw");
    assert!(told.contains("[FW0303]"), "{told}");
    let whole = "# Facts: none; holds for every supported version and setting of the platforms.";
    assert!(!limited.iter().any(|line| line == whole), "{limited:?}");
    let at = limited.iter().position(|line| line.ends_with("of the platforms but for:")).expect("a line about facts");
    assert!(limited[at + 1].starts_with("# Limit (FW0303, limited.fw:1): "), "{}", limited[at + 1]);
    let (told, all) = top("whole.fw");
    assert!(!told.contains("[FW0"), "{told}");
    assert!(all.iter().any(|line| line == whole), "{all:?}");
    let (_, known) = top("known.fw");
    assert!(!known.iter().any(|line| line.starts_with("# Limit")), "{known:?}");
}

#[test]
fn a_standard_output_that_cannot_be_written_ends_with_2() {
    let place = Place::new(&[("site.fw", POLICY)]);
    for (redirection, reason) in [(">&-", "it is closed"), (">/dev/full", "no space left on device")] {
        for command in ["build site.fw", "build site.fw --stdout", "services", "explain FW0111", "--help", "--version"]
        {
            let run = place.shell(&format!("\"$FWC\" {command} {redirection}"));
            let expected = format!("fwc: cannot write the standard output: {reason}\n");
            assert_eq!(run.code, Some(2), "{command} {redirection}: {}", run.err);
            assert!(run.err.ends_with(&expected), "{command} {redirection}: {}", run.err);
        }
    }
}

#[test]
fn output_that_nobody_wants_or_that_goes_to_files_needs_no_standard_output() {
    let place = Place::new(&[("site.fw", POLICY)]);
    for command in [
        "\"$FWC\" build site.fw >/dev/null",
        "\"$FWC\" build site.fw 1<>/dev/null",
        "\"$FWC\" build site.fw -o out >&-",
        // The reader has seen what it wanted.
        "set -o pipefail; \"$FWC\" services | true",
    ] {
        let run = place.shell(command);
        assert_eq!(run.code, Some(0), "{command}: {}", run.err);
    }
    assert!(!place.names("out").is_empty());
}

#[test]
fn what_a_killed_build_left_is_removed_by_the_next() {
    let place =
        Place::new(&[("site.fw", POLICY), ("out/.fwc-site.rules.v4-a1B2c3", "half"), ("out/.fwc-mine", "kept")]);
    assert_eq!(place.run(&["build", "site.fw", "-o", "out"]).code, Some(0));
    let hidden: Vec<String> = place.names("out").into_iter().filter(|name| name.starts_with('.')).collect();
    assert_eq!(hidden, [".fwc-mine"]);
}

#[test]
fn files_of_the_other_target_are_kept_and_named() {
    let place = Place::new(&[("site.fw", POLICY)]);
    assert!(!place.run(&["build", "site.fw", "-o", "out"]).err.contains("also has files"));
    let run = place.run(&["build", "site.fw", "-o", "out", "--target", "nft"]);
    assert!(run.err.contains("fwc: `out` also has files of a build for iptables: site.rules.v4, "), "{}", run.err);
    let names = place.names("out");
    assert!(["site.nft", "site.rules.v4"].iter().all(|name| names.contains(&(*name).to_owned())), "{names:?}");
}
