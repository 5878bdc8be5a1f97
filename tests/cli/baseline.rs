//! `--baseline`: what was there before is not told, what is new is, and so is what is gone.

use super::{Place, Run};

const RULES: &str = "*filter\n:INPUT DROP [3:180]\n-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT\n-A INPUT -p tcp -j DROP\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n-A INPUT -p tcp -m tcp --dport 25 -j ACCEPT\nCOMMIT\n";

fn check(place: &Place, arguments: &[&str]) -> Run {
    let mut all = vec!["check", "--format", "short", "rules.v4"];
    all.extend(arguments);
    place.run(&all)
}

fn adopted() -> Place {
    let place = Place::new(&[("rules.v4", RULES)]);
    assert_eq!(check(&place, &[]).code, Some(1));
    let run = check(&place, &["--write-baseline", "known.json"]);
    assert_eq!((run.code, run.out.as_str()), (Some(0), ""));
    assert_eq!(run.err, "fwc: 2 findings are written to the baseline known.json\n");
    place
}

#[test]
fn what_is_known_is_not_told_and_what_is_new_is() {
    let place = adopted();
    let run = check(&place, &["--baseline", "known.json"]);
    assert_eq!((run.code, run.out.as_str()), (Some(0), ""));
    assert_eq!(run.err, "fwc: 2 findings are in the baseline known.json\n");
    // Lines move and counters count; a third dead rule comes.
    let later = RULES.replace("[3:180]", "[77:9000]").replace("*filter\n", "# later\n*filter\n");
    let later = later.replace("COMMIT", "-A INPUT -p tcp -m tcp --dport 24 -j ACCEPT\nCOMMIT");
    place.write("rules.v4", later.as_bytes());
    let run = check(&place, &["--baseline", "known.json"]);
    assert_eq!(run.code, Some(1));
    assert!(run.out.starts_with("rules.v4:8:") && run.out.ends_with("\n1 error\n"), "{}", run.out);
}

#[test]
fn what_is_gone_is_told_and_the_baseline_can_shrink() {
    let place = adopted();
    place.write("rules.v4", RULES.replace("-A INPUT -p tcp -m tcp --dport 25 -j ACCEPT\n", "").as_bytes());
    let run = check(&place, &["--baseline", "known.json"]);
    assert_eq!(run.code, Some(0));
    assert_eq!(
        run.err,
        "fwc: 1 finding is in the baseline known.json\n\
         fwc: no longer found, 1 in all; --write-baseline known.json takes them out:\n  \
         rules.v4: FW0801 shadowed-rule: -A INPUT -p tcp -m tcp --dport 25 -j ACCEPT\n"
    );
    check(&place, &["--write-baseline", "known.json"]);
    assert_eq!(check(&place, &["--baseline", "known.json"]).err, "fwc: 1 finding is in the baseline known.json\n");
    // Of files that were not looked at nothing is said.
    place.write("other.v4", b"*filter\n:INPUT DROP [0:0]\nCOMMIT\n");
    let run = place.run(&["check", "--format", "short", "--baseline", "known.json", "other.v4"]);
    assert_eq!((run.code, run.err.as_str()), (Some(0), ""));
}

#[test]
fn reports_hold_what_is_new_alone() {
    let place = adopted();
    let run = place.run(&["check", "--format", "gitlab", "--baseline", "known.json", "rules.v4"]);
    assert_eq!((run.code, run.out.as_str()), (Some(0), "[]\n"));
}

#[test]
fn a_fault_is_never_taken_into_a_baseline() {
    let place = Place::new(&[("site.fw", "alow ssh to host\n")]);
    let run = place.run(&["check", "--format", "short", "--write-baseline", "known.json", "site.fw"]);
    assert_eq!(run.code, Some(1));
    assert!(run.out.contains("FW0009") && run.err.contains("0 findings"), "{} {}", run.out, run.err);
    assert_eq!(place.run(&["check", "--baseline", "known.json", "site.fw"]).code, Some(1));
}

#[test]
fn what_is_no_baseline_is_refused() {
    let place = Place::new(&[
        ("rules.v4", RULES),
        ("a.json", "{\"version\": 1, \"findigs\": []}"),
        ("b.json", "{\"version\": 9, \"findings\": []}"),
    ]);
    let run = |name: &str| check(&place, &["--baseline", name]);
    assert!(run("a.json").err.contains("`a.json` is no baseline: unknown field `findigs`"), "{}", run("a.json").err);
    assert!(run("b.json").err.contains("a baseline of version 9"), "{}", run("b.json").err);
    assert_eq!(run("none.json").code, Some(2));
}
