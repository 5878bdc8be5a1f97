//! `fwc diff`: what changes, in which words, and how it ends.

use std::path::Path;

use super::{Place, Run};

fn recorded(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/rulesets").join(path).to_string_lossy().into_owned()
}

const ONE: &str = "*filter
:INPUT DROP [0:0]
-A INPUT -p tcp --dport 22 -s 10.0.0.0/9 -j ACCEPT
-A INPUT -p tcp --dport 22 -s 10.128.0.0/9 -j ACCEPT
-A INPUT -p tcp --dport 80 -j REJECT
-A INPUT -p tcp --dport 443 -j ACCEPT
COMMIT
";
const SAME: &str = "*filter
:INPUT DROP [0:0]
-A INPUT -p tcp --dport 443 -j ACCEPT
-A INPUT -p tcp --dport 80 -j REJECT
-A INPUT -p tcp --dport 22 -s 10.0.0.0/8 -j ACCEPT
COMMIT
";
const OTHER: &str = "*filter
:INPUT DROP [0:0]
-A INPUT -p tcp --dport 22 -i eth0 -j ACCEPT
-A INPUT -p tcp --dport 443 -j LOG --log-prefix \"web \"
-A INPUT -p tcp --dport 443 -j ACCEPT
COMMIT
";

fn diff(arguments: &[&str]) -> Run {
    let place = Place::new(&[
        ("one.v4", ONE),
        ("same.v4", SAME),
        ("other.v4", OTHER),
        ("six.v6", "*filter\n:INPUT DROP [0:0]\n-A INPUT -p ipv6-icmp -j ACCEPT\nCOMMIT\n"),
        ("a.fw", "to host {\n    allow ssh from 10.0.0.0/8\n}\n"),
        ("b.fw", "to host {\n    allow ssh from 10.0.0.0/8\n    allow https\n}\n"),
        ("broken.fw", "allow ssh from nowhere\n"),
    ]);
    let mut all = vec!["diff"];
    all.extend(arguments);
    place.run(&all)
}

#[test]
fn equal_in_meaning_ends_with_0() {
    let run = diff(&["one.v4", "same.v4"]);
    assert_eq!((run.code, run.out.as_str()), (Some(0), "A: one.v4\nB: same.v4\n\nno difference\n"));
}

#[test]
fn a_line_that_comes_in_front_makes_no_limit_another_one() {
    let limits = |rate: &str| {
        format!(
            "to host {{\n    allow ssh from 10.0.0.0/8 limit {rate} per source\n    allow http limit 9/second\n    \
             allow ssh from 192.0.2.0/24 limit 3/minute per source\n}}\n"
        )
    };
    let before = limits("3/minute");
    let moved =
        format!("# Who may log in.\nset office = {{ 198.51.100.0/24 }}\nallow https from office to host\n{before}");
    let faster = limits("30/minute");
    let place = Place::new(&[("before.fw", &before), ("moved.fw", &moved), ("faster.fw", &faster)]);
    let run = place.run(&["diff", "before.fw", "moved.fw"]);
    assert!(run.out.ends_with("becomes allowed: 1, becomes denied: 0, other effects: 0\n"), "{}", run.out);
    let run = place.run(&["diff", "before.fw", "faster.fw"]);
    assert_eq!(run.code, Some(1));
    assert!(
        run.out.contains("`limit 30/minute per source burst 5") && !run.out.contains("192.0.2.0/24"),
        "{}",
        run.out
    );
}

#[test]
fn a_limit_that_two_services_share_is_not_one_of_each() {
    let limits = |lines: &[&str]| format!("to host {{\n    {}\n}}\n", lines.join("\n    "));
    let place = Place::new(&[
        ("each.fw", &limits(&["allow ssh limit 9/minute", "allow http limit 9/minute"])),
        ("shared.fw", &limits(&["allow { ssh, http } limit 9/minute"])),
    ]);
    let run = place.run(&["diff", "each.fw", "shared.fw"]);
    assert_eq!(run.code, Some(1), "{}", run.out);
    let run = place.run(&["diff", "shared.fw", "shared.fw"]);
    assert_eq!(run.code, Some(0), "{}", run.out);
}

#[test]
fn what_changes_is_said_in_few_words() {
    let run = diff(&["one.v4", "other.v4"]);
    assert_eq!(run.code, Some(1));
    assert_eq!(
        run.out,
        "A: one.v4
B: other.v4

ipv4 INPUT: becomes allowed
  protocol tcp; arrival interface eth0; destination port 22; source not 10.0.0.0/8
    example: tcp 198.51.100.7:40000 -> 192.0.2.1:22 to host in eth0
    A: filter INPUT: policy drop
    B: other.v4:3 (filter INPUT): -A INPUT -p tcp --dport 22 -i eth0 -j ACCEPT

ipv4 INPUT: becomes denied
  protocol tcp; arrival interface not eth0; destination port 22; source 10.0.0.0/8
    example: tcp 10.0.0.2:40000 -> 192.0.2.1:22 to host in eth1
    A: one.v4:3 (filter INPUT): -A INPUT -p tcp --dport 22 -s 10.0.0.0/9 -j ACCEPT
    B: filter INPUT: policy drop

ipv4 INPUT: same verdict, other effects
  protocol tcp; destination port 80
    A: reject with port-unreachable; B: drop
    example: tcp 198.51.100.7:40000 -> 192.0.2.1:80 to host in eth0
    A: one.v4:5 (filter INPUT): -A INPUT -p tcp --dport 80 -j REJECT
    B: filter INPUT: policy drop
  protocol tcp; destination port 443
    A: accept; B: log \"web \" level warn
    example: tcp 198.51.100.7:40000 -> 192.0.2.1:443 to host in eth0
    A: one.v4:6 (filter INPUT): -A INPUT -p tcp --dport 443 -j ACCEPT
    B: other.v4:4 (filter INPUT): -A INPUT -p tcp --dport 443 -j LOG --log-prefix \"web \"

becomes allowed: 1, becomes denied: 1, other effects: 2
"
    );
}

#[test]
fn policies_are_compared_in_both_families() {
    let run = diff(&["a.fw", "b.fw"]);
    assert_eq!(run.code, Some(1), "{}", run.err);
    for family in ["ipv4", "ipv6"] {
        assert!(
            run.out.contains(&format!(
                "{family} INPUT: becomes allowed\n  protocol tcp; arrival interface not lo; destination port 443"
            )),
            "{}",
            run.out
        );
    }
    assert!(run.out.contains("B: b.fw:3 (filter fwc-outside-host): accept, for: allow https"), "{}", run.out);
    assert!(!run.out.contains("becomes denied:\n"), "{}", run.out);
    assert_eq!(diff(&["a.fw", "a.fw"]).code, Some(0));
}

#[test]
fn json_and_markdown_say_the_same() {
    let json: serde_json::Value =
        serde_json::from_str(&diff(&["one.v4", "other.v4", "--format", "json"]).out).expect("an object");
    assert_eq!(json["equal"], false);
    assert_eq!(json["changes"].as_array().map(Vec::len), Some(4));
    assert_eq!(json["changes"][0]["change"], "allowed");
    assert_eq!(json["changes"][0]["packets"]["destination port"], "22");
    assert_eq!(json["changes"][0]["b"]["line"], 3);
    let markdown = diff(&["one.v4", "other.v4", "--format", "markdown"]).out;
    assert!(markdown.starts_with("### Firewall: `one.v4` → `other.v4`\n\nbecomes allowed: 1"), "{markdown}");
    assert!(
        markdown.contains("#### ipv4 INPUT: becomes allowed\n\n- `protocol tcp; arrival interface eth0;"),
        "{markdown}"
    );
    assert!(
        markdown.contains("\n  - after: `other.v4:3 (filter INPUT)` `-A INPUT -p tcp --dport 22 -i eth0 -j ACCEPT`\n"),
        "{markdown}"
    );
}

/// A pull request: a policy that lets in more, and less.
#[test]
fn a_comment_says_first_what_becomes_reachable() {
    let place = Place::new(&[
        ("old.v4", "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n-A INPUT -p tcp --dport 22 -j ACCEPT\nCOMMIT\n"),
        (
            "new.v4",
            "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n\
             -A FORWARD -p tcp --dport 80 -m comment --comment \"of `@team` *here*\" -j ACCEPT\nCOMMIT\n",
        ),
    ]);
    let run = place.run(&["diff", "old.v4", "new.v4", "--format", "markdown"]);
    let headings: Vec<&str> = run.out.lines().filter(|line| line.starts_with('#')).collect();
    assert_eq!(
        headings,
        ["### Firewall: `old.v4` → `new.v4`", "#### ipv4 FORWARD: becomes allowed", "#### ipv4 INPUT: becomes denied"],
        "{}",
        run.out
    );
    assert!(run.out.contains("--comment \"of `@team` *here*\" -j ACCEPT``\n"), "{}", run.out);
}

#[test]
fn a_comment_is_never_longer_than_it_may_be_and_says_what_it_leaves_out() {
    let rules = |source: &str, count: usize| {
        let rule = |number: usize| {
            let remark = "of our friends `there` ".repeat(9);
            let (high, low) = (number / 200, number % 200);
            format!(
                "-A INPUT -s {source}.{high}.{low} -p tcp --dport {number} -m comment --comment \"{remark}\" -j ACCEPT\n"
            )
        };
        let rules: String = (1..=count).map(rule).collect();
        format!("*filter\n:INPUT DROP [0:0]\n{rules}COMMIT\n")
    };
    let place = Place::new(&[("old.v4", &rules("10.0", 60)), ("new.v4", &rules("10.1", 150))]);
    let run = place.run(&["diff", "old.v4", "new.v4", "--format", "markdown"]);
    assert_eq!(run.code, Some(1), "{}", run.err);
    assert!(run.out.chars().count() < 65_536 && run.out.len() > 50_000, "{} bytes", run.out.len());
    assert!(run.out.contains("\n\nbecomes allowed: 150, becomes denied: 60, other effects: 0\n"), "{}", run.out);
    let (shown, end) = run.out.split_once("\n**").expect("a line about the rest");
    let shown = shown.matches("\n- `").count();
    let rest = 210 - shown;
    let allowed = 150_usize.saturating_sub(shown);
    let wanted =
        format!("{rest} more** (becomes allowed: {allowed}, becomes denied: {}, other effects: 0)", rest - allowed);
    assert!(end.starts_with(&wanted), "{wanted}: {end}");
}

#[test]
fn a_family_that_one_side_lacks_is_not_compared_and_that_is_said() {
    let run = diff(&["one.v4+six.v6", "same.v4"]);
    assert_eq!(run.code, Some(0));
    assert!(run.out.contains("note: same.v4 says nothing about ipv6, which is therefore not compared"), "{}", run.out);
}

#[test]
fn faults_end_with_2() {
    for arguments in [["one.v4", "missing.v4"], ["broken.fw", "one.v4"]] {
        let run = diff(&arguments);
        assert_eq!((run.code, run.out.as_str()), (Some(2), ""), "{arguments:?}: {}", run.err);
    }
}

#[test]
fn recorded_hosts_are_compared() {
    let (bare, web) = (recorded("docker-28.5/a-bare/iptables.save"), recorded("docker-28.5/b-web/iptables.save"));
    assert_eq!(diff(&[&web, &web]).code, Some(0));
    let run = diff(&[&bare, &web]);
    assert_eq!(run.code, Some(1));
    assert!(
        run.out.contains("departure interface docker0; destination port 80; destination 172.17.0.2\n"),
        "{}",
        run.out
    );
    assert!(run.out.contains("A: accept; B: dnat to 172.17.0.2:80"), "{}", run.out);
}

#[test]
fn an_implied_deny_and_ranges_of_types_are_said_as_such() {
    let place = Place::new(&[
        ("a.fw", "allow ssh from 192.0.2.0/24 to host\n"),
        ("b.fw", "allow ssh from 192.0.2.0/24 to host\nallow icmp to host\n"),
    ]);
    let run = place.run(&["diff", "a.fw", "b.fw"]);
    assert_eq!(run.code, Some(1), "{}", run.err);
    let said = "    A: a.fw:1 (filter fwc-outside-host): drop, the implied deny of outside to host\n    B: b.fw:2";
    assert!(run.out.contains(said), "{}", run.out);
    assert!(!run.out.contains("/255") && run.out.contains("types "), "{}", run.out);
}
