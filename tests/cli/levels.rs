//! Levels: from `fwc.toml`, from the command line, and the last word counts.

use super::{Place, Run};

/// A warning (FW0155) and an error that is a judgement (FW0352).
const POLICY: &str = "include \"conf.d/*.fw\"\nto host {\n    deny http from 10.0.0.0/8\n    allow http from 10.1.0.0/16\n    allow ssh\n}\n";

fn short(place: &Place, arguments: &[&str]) -> Run {
    let mut all = vec!["check", "--format", "short"];
    all.extend(arguments);
    all.push("site.fw");
    place.run(&all)
}

fn levels(run: &Run) -> Vec<String> {
    let line = |line: &str| Some(line.split_once(": ")?.1.split_once(':')?.0.to_owned());
    run.out.lines().filter_map(line).collect()
}

#[test]
fn the_last_word_on_the_command_line_counts() {
    let place = Place::new(&[("site.fw", POLICY)]);
    let of = |arguments: &[&str]| {
        let run = short(&place, arguments);
        (run.code, levels(&run))
    };
    let (warning, error) = ("warning[FW0155]".to_owned(), "error[FW0352]".to_owned());
    assert_eq!(of(&[]), (Some(1), vec![warning.clone(), error.clone()]));
    assert_eq!(of(&["--warn", "rule-too-late"]).0, Some(0));
    assert_eq!(of(&["--allow", "FW0155"]), (Some(1), vec![error.clone()]));
    assert_eq!(of(&["--allow", "warnings", "--warn", "FW0155"]), (Some(1), vec![warning.clone(), error.clone()]));
    assert_eq!(of(&["--warn", "FW0155", "--allow", "warnings"]), (Some(1), vec![error.clone()]));
    assert_eq!(of(&["--deny", "warnings,FW0352", "--allow", "FW0352"]), (Some(1), vec!["error[FW0155]".to_owned()]));
    // What was put at `allow` is not counted, either.
    let run = short(&place, &["--allow", "FW0155,FW0352"]);
    assert_eq!((run.code, run.out.as_str()), (Some(0), ""));
}

#[test]
fn fwc_toml_is_found_above_and_the_command_line_outweighs_it() {
    let place = Place::new(&[
        ("fwc.toml", "[levels]\nrule-too-late = \"warn\"\nFW0155 = \"allow\"\n"),
        ("a/b/site.fw", POLICY),
    ]);
    let run = |arguments: &[&str]| {
        let mut command = place.command(&["check", "--format", "short"]);
        command.args(arguments).arg("site.fw").current_dir(place.path("a/b"));
        let run = super::ended(&mut command);
        (run.code, levels(&run))
    };
    assert_eq!(run(&[]), (Some(0), vec!["warning[FW0352]".to_owned()]));
    assert_eq!(run(&["--deny", "FW0352"]), (Some(1), vec!["error[FW0352]".to_owned()]));
    // Of one that lies nearer nothing is added to the other.
    place.write("a/fwc.toml", b"[levels]\n");
    assert_eq!(run(&[]).0, Some(1));
}

#[test]
fn a_faulty_fwc_toml_is_told_with_its_place_and_nothing_is_checked() {
    let place = Place::new(&[("fwc.toml", "[levels]\n# nothing\nrule-to-late = \"warn\"\n"), ("site.fw", POLICY)]);
    let run = short(&place, &[]);
    assert_eq!((run.code, run.out.as_str()), (Some(2), ""));
    assert!(
        run.err.contains("fwc.toml:3:1: there is no diagnostic `rule-to-late`: did you mean `rule-too-late`?"),
        "{}",
        run.err
    );
}

#[test]
fn a_fault_stays_an_error() {
    let place = Place::new(&[("site.fw", "allow sssh to host\n")]);
    let run = short(&place, &["--allow", "unknown-service"]);
    assert_eq!(
        (run.code, run.err.as_str()),
        (
            Some(2),
            "fwc: --allow: `unknown-service` is always an error: with it there is no meaning that the output could have\n"
        )
    );
    let run = short(&place, &["--warn", "unknown-servic"]);
    assert!(run.err.contains("did you mean `unknown-service`?"), "{}", run.err);
}

/// A judgement that is lowered lets a build through, and what is built is the rest of the policy.
#[test]
fn a_build_obeys_the_levels() {
    let place = Place::new(&[("site.fw", POLICY)]);
    let build = |arguments: &[&str]| {
        let mut all = vec!["build", "site.fw", "-o", "out"];
        all.extend(arguments);
        place.run(&all).code
    };
    assert_eq!(build(&[]), Some(1));
    assert!(place.names("out").is_empty());
    assert_eq!(build(&["--warn", "rule-too-late"]), Some(0));
    assert!(place.names("out").contains(&"site.rules.v4".to_owned()));
    assert_eq!(build(&["--allow", "rule-too-late", "--deny", "FW0155"]), Some(1));
    place.write("fwc.toml", b"[levels]\nrule-too-late = \"allow\"\n");
    assert_eq!(build(&[]), Some(0));
    // Other commands read the same policy.
    assert_eq!(place.run(&["trace", "site.fw", "tcp 10.1.1.1 -> 192.0.2.1:80 to host via eth0"]).code, Some(0));
}
