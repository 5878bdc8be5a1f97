//! `# fwc: expect(…) -- …` and `allow`, through the front door.

use super::Place;

/// What `fwc check --format short` says of a file, without the count at the end.
fn said(path: &str, text: &str) -> (Option<i32>, Vec<String>) {
    let place = Place::new(&[(path, text)]);
    let run = place.run(&["check", "--format", "short", path]);
    let lines = run.out.lines().filter(|line| line.contains('[')).map(str::to_owned).collect();
    (run.code, lines)
}

#[test]
fn what_is_expected_in_a_shared_file_comes_in_one_of_its_policies() {
    let shared = "set office = 192.0.2.0/24  # fwc: expect(unused-name) -- some hosts use it\n";
    let (uses, does_not) =
        ("include \"shared.fw\"\nallow ssh from office to host\n", "include \"shared.fw\"\nallow ssh to host\n");
    let missed = "shared.fw:1:42: warning[FW0034]: `unused-name` is expected here and does not come";
    let check = |a: &str, b: &str, paths: &[&str]| {
        let place = Place::new(&[("a.fw", a), ("b.fw", b), ("shared.fw", shared)]);
        let run = place.run(&[&["check", "--format", "short"], paths].concat());
        run.out
            .lines()
            .filter(|line| line.contains('['))
            .map(|line| line.trim_start_matches("./").to_owned())
            .collect::<Vec<_>>()
    };
    for paths in [&["."][..], &["a.fw", "b.fw"], &["b.fw", "a.fw"]] {
        assert_eq!(check(uses, does_not, paths), [""; 0], "{paths:?}");
        assert_eq!(check(does_not, uses, paths), [""; 0], "{paths:?}");
        assert_eq!(check(does_not, does_not, paths), [""; 0], "{paths:?}");
        assert_eq!(check(uses, uses, paths), [missed], "{paths:?}: told once");
        // Of a policy with errors nobody knows what would have come.
        let broken = check(uses, &format!("{uses}alow ssh to host\n"), paths);
        assert!(broken.iter().all(|line| line.starts_with("b.fw:3:")), "{broken:?}");
    }
    // What is not looked at cannot be asked.
    assert_eq!(check(uses, does_not, &["a.fw"]), [missed]);
}

fn policy(comment: &str, behind: &str) -> String {
    format!(
        "to host {{\n    deny http from 10.0.0.0/8\n    {comment}\n    allow http from 10.1.0.0/16 {behind}\n    allow ssh\n}}\n"
    )
}

#[test]
fn an_expected_finding_is_not_told_wherever_the_comment_stands() {
    let directive = "# fwc: expect(rule-too-late) -- until the office has moved";
    assert_eq!(said("site.fw", &policy(directive, "")), (Some(0), vec![]));
    assert_eq!(said("site.fw", &policy("", directive)), (Some(0), vec![]));
    assert_eq!(said("site.fw", &policy("#fwc:allow( fw0352 , unused-name )--why", "")), (Some(0), vec![]));
    // More comments and empty lines may stand between.
    assert_eq!(said("site.fw", &policy(&format!("{directive}\n\n    # of the office"), "")), (Some(0), vec![]));
    assert_eq!(said("site.fw", &policy("", "")).0, Some(1));
    // It holds for one statement.
    assert_eq!(said("site.fw", &policy("", "").replace("to host {", &format!("{directive}\nto host {{"))).0, Some(1));
}

#[test]
fn a_statement_of_several_lines_is_one() {
    let text = "set office = {   # fwc: expect(unused-name) -- for the next release\n    10.0.0.0/8,\n}\n";
    assert_eq!(said("site.fw", text), (Some(0), vec![]));
    let inside = "set office = {\n    10.0.0.0/8,   # fwc: expect(unused-name) -- for the next release\n}\n";
    assert_eq!(said("site.fw", inside), (Some(0), vec![]));
    // So it is in a block.
    let block = "to host {\n    deny http from 10.0.0.0/8\n    allow http from {\n        10.1.0.0/16,  # fwc: expect(rule-too-late) -- why\n    }\n    allow ssh\n}\n";
    assert_eq!(said("site.fw", block), (Some(0), vec![]));
}

#[test]
fn what_does_not_come_is_a_finding_if_it_is_expected() {
    let text = |word: &str| {
        format!(
            "set office = 10.0.0.0/8  # fwc: {word}(unused-name) -- why\nto host {{\n    allow ssh from office\n}}\n"
        )
    };
    assert_eq!(
        said("site.fw", &text("expect")),
        (Some(0), vec!["site.fw:1:40: warning[FW0034]: `unused-name` is expected here and does not come".to_owned()])
    );
    assert_eq!(said("site.fw", &text("allow")), (Some(0), vec![]));
    // While there are errors not everything was looked for.
    let (_, lines) = said("site.fw", &format!("{}alow ssh to host\n", text("expect")));
    assert!(lines.iter().all(|line| !line.contains("FW0034")), "{lines:?}");
}

#[test]
fn what_cannot_be_read_is_an_error() {
    let only = |comment: &str| {
        let (code, lines) = said("site.fw", &format!("to host {{\n    allow ssh {comment}\n}}\n"));
        assert_eq!((code, lines.len()), (Some(1), 1), "{lines:?}");
        lines.into_iter().next().unwrap_or_default()
    };
    assert!(only("# fwc: expect(shadowed-rule)").contains("FW0031]: a reason is missing"));
    assert!(only("# fwc: expect(shadowed-rule) -- ").contains("FW0031]: a reason is missing"));
    assert!(only("# fwc: expect -- why").contains("FW0031]: no code is named"));
    assert!(only("# fwc: allow() -- why").contains("FW0031]: no code is named"));
    assert!(only("# fwc: ignore(shadowed-rule) -- why").contains("FW0031]: a comment to fwc says"));
    assert!(
        only("# fwc: expect(shadowd-rule) -- why")
            .contains("site.fw:2:29: error[FW0032]: there is no diagnostic `shadowd-rule`")
    );
    assert!(only("# fwc: allow(all) -- why").contains("FW0032"));
    assert!(only("# fwc: allow(unknown-service) -- why").contains("FW0033]: `unknown-service` cannot be expected"));
    let (code, lines) = said("site.fw", "allow ssh from any to host\n# fwc: expect(unused-name) -- why\n");
    assert_eq!(code, Some(1));
    assert!(lines.iter().any(|line| line.contains("FW0031]: no statement follows")), "{lines:?}");
    // In a string it is no comment.
    let text = "to host {\n    allow ssh comment \"# fwc: nonsense\"\n}\n";
    assert_eq!(said("site.fw", text), (Some(0), vec![]));
}

#[test]
fn rule_sets_take_them_too() {
    let rules = |comment: &str| {
        format!(
            "*filter\n:INPUT DROP [0:0]\n-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT\n-A INPUT -p tcp -j DROP\n{comment}-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\nCOMMIT\n"
        )
    };
    let (code, lines) = said("rules.v4", &rules(""));
    assert!(code == Some(1) && lines.iter().any(|line| line.contains("error[FW0801]")), "{lines:?}");
    assert_eq!(said("rules.v4", &rules("# fwc: expect(shadowed-rule) -- the vendor's script writes it\n")).0, Some(0));
    let nft = "table inet f {\n\tchain input {\n\t\ttype filter hook input priority filter; policy drop;\n\t\tct state established,related accept\n\t\tmeta l4proto tcp drop\n\t\ttcp dport 22 accept # fwc: expect(shadowed-rule) -- known\n\t}\n}\n";
    assert_eq!(said("rules.nft", nft), (Some(0), vec![]));
    assert_eq!(said("rules.nft", &nft.replace("shadowed-rule", "covered-rule")).0, Some(1));
    let fulfilled = rules("# fwc: expect(shadowed-rule) -- known\n").replace("-p tcp -j DROP", "-p udp -j DROP");
    let (code, lines) = said("rules.v4", &fulfilled);
    assert_eq!((code, lines.len()), (Some(0), 1), "{lines:?}");
    assert!(lines.iter().all(|line| line.contains("FW0034")), "{lines:?}");
}

#[test]
fn a_build_obeys_them_and_misses_only_what_it_looks_for() {
    let expected = policy("# fwc: expect(rule-too-late) -- until the office has moved", "");
    let place = Place::new(&[("site.fw", &expected)]);
    let run = place.run(&["build", "site.fw", "-o", "out"]);
    assert_eq!((run.code, run.err.lines().count()), (Some(0), 1), "{}", run.err);
    let plain = Place::new(&[("site.fw", &policy("", ""))]);
    plain.run(&["build", "site.fw", "-o", "out", "--allow", "rule-too-late"]);
    let read = |place: &Place| std::fs::read_to_string(place.path("out/site.rules.v4")).expect("rules");
    assert_eq!(read(&place), read(&plain));
    // The proofs that find a shadowed rule are no part of a build.
    let place = Place::new(&[("site.fw", "to host {\n    allow ssh    # fwc: expect(shadowed-rule) -- why\n}\n")]);
    assert_eq!(place.run(&["build", "site.fw"]).err.lines().count(), 1);
    let checked = place.run(&["check", "--format", "short", "site.fw"]);
    assert!(checked.out.contains("FW0034"), "{}", checked.out);
}

#[test]
fn tests_of_a_policy_take_them_too() {
    let place = Place::new(&[
        ("site.fw", "interface wan = eth0\nto host {\n    allow ssh from 10.0.0.0/8\n}\n"),
        (
            "site.fwtest",
            "assert deny ssh from 192.0.2.1 to host via wan\n# fwc: expect(assert-says-nothing) -- nothing yet\nassert deny ipv6 ssh from 192.0.2.1 to host\n",
        ),
    ]);
    let run = place.run(&["test", "--format", "short", "site.fwtest"]);
    assert!(!run.out.contains("FW0031"), "{}", run.out);
}
