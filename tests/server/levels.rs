//! What a finding weighs, and what comments say of it, is the same in the editor as in `fwc check`.

use serde_json::{Value, json};

use super::client::{Client, has, shown};

/// A warning, a judgement and nothing that is always an error.
const POLICY: &str = "\
set office = 192.0.2.0/24
to host {
    deny http from 10.0.0.0/8
    allow http from 10.1.0.0/16
    allow ssh
}
";

/// Code and severity of each diagnostic.
fn levels(diagnostics: &[Value]) -> Vec<(String, u64)> {
    let level = |one: &Value| {
        let code = one["code"].as_str().unwrap_or_default().to_owned();
        (code, one["severity"].as_u64().unwrap_or_default())
    };
    diagnostics.iter().map(level).collect()
}

fn is(wanted: &[(&str, u64)]) -> impl Fn(&[Value]) -> bool {
    let wanted: Vec<_> = wanted.iter().map(|(code, level)| ((*code).to_owned(), *level)).collect();
    move |told| levels(told) == wanted
}

#[test]
fn the_nearest_configuration_counts_as_it_stands_in_the_editor() {
    let mut client = Client::new(&[("fwc.toml", "[levels]\nunused-name = \"deny\"\n"), ("a/b/site.fw", POLICY)]);
    client.open("a/b/site.fw", POLICY);
    client.until("a/b/site.fw", is(&[("FW0103", 1), ("FW0352", 1)]));
    // An open text outweighs the disk.
    client.open("fwc.toml", "[levels]\nunused-name = \"allow\"\nrule-too-late = \"warn\"\n");
    client.until("a/b/site.fw", is(&[("FW0352", 2)]));
    client.replace("fwc.toml", "[levels]\nwarnings = \"deny\"\nrule-too-late = \"allow\"\n");
    client.until("a/b/site.fw", is(&[("FW0103", 1)]));
    // One that lies nearer hides it, on disk as well.
    client.write("a/fwc.toml", "[levels]\n");
    let changed = json!({ "changes": [{ "uri": client.uri("a/fwc.toml"), "type": 1 }] });
    client.tell("workspace/didChangeWatchedFiles", changed);
    client.until("a/b/site.fw", is(&[("FW0103", 2), ("FW0352", 1)]));
    std::fs::remove_file(client.path("a/fwc.toml")).expect("removed");
    let changed = json!({ "changes": [{ "uri": client.uri("a/fwc.toml"), "type": 3 }] });
    client.tell("workspace/didChangeWatchedFiles", changed);
    client.until("a/b/site.fw", is(&[("FW0103", 1)]));
    client.close("fwc.toml");
    client.until("a/b/site.fw", is(&[("FW0103", 1), ("FW0352", 1)]));
}

#[test]
fn what_is_lowered_keeps_nothing_from_being_proved() {
    // With an error in it nothing is proved of a policy.
    let text = format!("{POLICY}{}", super::diagnostics::DEAD);
    let mut client = Client::new(&[]);
    client.open("site.fw", &text);
    client.until("site.fw", |told| has("FW0352")(told) && !has("FW0801")(told));
    client.open("fwc.toml", "[levels]\nrule-too-late = \"warn\"\n");
    let told = client.until("site.fw", |told| levels(told).contains(&("FW0801".to_owned(), 1)));
    assert!(levels(&told).contains(&("FW0352".to_owned(), 2)), "{}", shown(&told));
}

#[test]
fn a_faulty_configuration_is_shown_at_its_place() {
    let faulty = "[levels]\n# nothing\nrule-to-late = \"warn\"\n";
    let mut client = Client::new(&[("fwc.toml", faulty)]);
    client.open("site.fw", POLICY);
    let message = " 2:0-2:12 there is no diagnostic `rule-to-late`: did you mean `rule-too-late`?";
    assert_eq!(shown(&client.until("fwc.toml", |told| !told.is_empty())), message);
    // The policy is looked at without it.
    client.until("site.fw", is(&[("FW0103", 2), ("FW0352", 1)]));
    client.open("fwc.toml", faulty);
    assert_eq!(shown(&client.published("fwc.toml")), message, "it is told once");
    client.replace("fwc.toml", &faulty.replace("to-late", "too-late"));
    assert_eq!(shown(&client.until("fwc.toml", <[_]>::is_empty)), "");
    client.until("site.fw", is(&[("FW0103", 2), ("FW0352", 2)]));
    // By itself, too.
    client.close("site.fw");
    client.replace("fwc.toml", "levles = 1\n");
    let message = " 0:0-0:6 `levles` is no part of a configuration: `[levels]` is";
    assert_eq!(shown(&client.until("fwc.toml", |told| !told.is_empty())), message);
}

#[test]
fn comments_say_what_is_known() {
    let mut client = Client::new(&[]);
    let with = |comment: &str| POLICY.replace("    allow http", &format!("    {comment}\n    allow http"));
    let known = with("# fwc: expect(rule-too-late) -- until the office has moved");
    client.open("site.fw", &known);
    client.until("site.fw", is(&[("FW0103", 2)]));
    let codes: Vec<_> = [
        ("# fwc: expect(rule-too-late)", "FW0031"),
        ("# fwc: expect(rule-to-late) -- why", "FW0032"),
        ("# fwc: expect(unknown-service) -- why", "FW0033"),
    ]
    .into_iter()
    .map(|(comment, code)| (with(comment), code))
    .collect();
    for (text, code) in codes {
        client.replace("site.fw", &text);
        client.until("site.fw", |told| has(code)(told) && has("FW0352")(told));
    }
    // What does not come is missed as soon as everything was looked for.
    client.replace("site.fw", &known.replace("deny http", "allow dns"));
    client.until("site.fw", is(&[("FW0103", 2), ("FW0034", 2)]));
    // What is proved is known as well.
    let dead = super::diagnostics::DEAD.replace("    deny", "    # fwc: expect(shadowed-rule) -- a trap\n    deny");
    client.replace("site.fw", &dead);
    client.until("site.fw", <[_]>::is_empty);
    client.replace("site.fw", &dead.replace("deny tcp 1020-1060", "allow tcp 1200"));
    client.until("site.fw", is(&[("FW0034", 2)]));
}

#[test]
fn comments_of_rule_sets_and_tests_count() {
    let mut client = Client::new(&[("site.fw", "allow ssh to host\n")]);
    let rules = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp -j DROP\n# fwc: expect(shadowed-rule) -- a trap\n-A INPUT -p tcp --dport 22 -j ACCEPT\n# fwc: expect(FW0800) -- the vendor's\nthis is none\nCOMMIT\n";
    client.open("rules.v4", rules);
    client.until("rules.v4", <[_]>::is_empty);
    client.replace("rules.v4", &rules.replace("this is none\n", ""));
    client.until("rules.v4", |told| !told.is_empty());
    let test = "# fwc: expect(assert-fails) -- to be closed\nassert deny http to host\n";
    client.open("site.fwtest", test);
    client.until("site.fwtest", |told| !told.is_empty());
}
