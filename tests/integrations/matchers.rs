//! The problem matchers, on what `fwc check --format short` really writes.

use std::process::Command;

use regex::Regex;
use serde_json::Value;

use super::{read, repository};

/// A matcher: its expression, which group is what, and the severity of those that have no group for it.
struct Matcher {
    expression: Regex,
    pattern: Value,
    severity: Option<String>,
}

/// File, line, column, severity, code, message.
type Found = [String; 6];

impl Matcher {
    fn new(matcher: &Value) -> Self {
        let pattern = if matcher["pattern"].is_array() { &matcher["pattern"][0] } else { &matcher["pattern"] };
        Self {
            expression: Regex::new(pattern["regexp"].as_str().expect("an expression")).expect("an expression"),
            pattern: pattern.clone(),
            severity: matcher["severity"].as_str().map(str::to_owned),
        }
    }

    fn find(&self, line: &str) -> Option<Found> {
        let groups = self.expression.captures(line)?;
        Some(["file", "line", "column", "severity", "code", "message"].map(|part| match self.pattern[part].as_u64() {
            Some(group) => groups[usize::try_from(group).expect("small")].to_owned(),
            None => self.severity.clone().unwrap_or_default(),
        }))
    }
}

/// The lines that `short` writes, and by `json` what they have to be found to say.
fn findings() -> (String, Vec<Found>) {
    let place = repository(&[
        ("a b/höst.fw", "\"é\" include \"x\"\nallow https from \"é\" to host\nallow https from wan to hots # é\n"),
        (
            "rules.v4",
            "*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp -j DROP\n-A INPUT -p tcp --dport 22 -j ACCEPT\n-A INPUT -m recent --name a: -j DROP\nCOMMIT\n",
        ),
        (
            "notes.fw",
            "default deny to host\nallow https to host\nallow https to host\nallow http to host\nallow http to host\n\
             chain filter INPUT {\n    -m state --state NEW -j ACCEPT\n}\n",
        ),
        ("over.fw", "interface wan\nallow tcp 22 from <&\"'%,:>\nlog ssh to host\nallow ssh to host early\nset x\n"),
    ]);
    let check = |form: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fwc"));
        command
            .args(["check", "--format", form, "a b/höst.fw", "rules.v4", "notes.fw", "over.fw"])
            .current_dir(place.path());
        String::from_utf8(command.output().expect("fwc").stdout).expect("text")
    };
    let objects = check("json");
    let wanted = objects.lines().map(|line| {
        let one: Value = serde_json::from_str(line).expect("JSON");
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let place = &one["primary"];
        [
            text(&place["file"]),
            text(&place["line"]),
            text(&place["column"]),
            text(&one["level"]),
            text(&one["code"]),
            text(&one["message"]),
        ]
    });
    let wanted = wanted.collect();
    (check("short"), wanted)
}

fn all_are_found(matchers: &[Matcher], note: &str) {
    let (lines, mut wanted) = findings();
    for one in wanted.iter_mut().filter(|one| one[3] == "note") {
        one[3] = note.to_owned();
    }
    let levels = |level: &str| wanted.iter().filter(|one| one[3] == level).count();
    assert!(levels("error") >= 2 && levels("warning") >= 2 && levels(note) >= 1, "{lines}");
    let found: Vec<Found> = lines
        .lines()
        .filter_map(|line| {
            let found: Vec<Found> = matchers.iter().filter_map(|matcher| matcher.find(line)).collect();
            assert!(found.len() < 2, "two matchers take {line}");
            found.into_iter().next()
        })
        .collect();
    assert_eq!(found, wanted, "{lines}");
}

/// A runner takes `error`, `warning` and `notice` alone, and passes over a line that says `note`.
#[test]
fn github_finds_every_finding() {
    let file: Value = serde_json::from_str(&read("integrations/problem-matcher.json")).expect("JSON");
    let matchers = file["problemMatcher"].as_array().expect("a list");
    let owners: Vec<_> = matchers.iter().map(|matcher| &matcher["owner"]).collect();
    assert_eq!(owners, ["fwc", "fwc-notes"]);
    all_are_found(&matchers.iter().map(Matcher::new).collect::<Vec<_>>(), "notice");
}

#[test]
fn vs_code_finds_every_finding() {
    let file: Value = serde_json::from_str(&read("editors/vscode/package.json")).expect("JSON");
    let matcher = &file["contributes"]["problemMatchers"][0];
    // Its own severity is for lines that say none.
    let matcher = Matcher { severity: None, ..Matcher::new(matcher) };
    all_are_found(&[matcher], "note");
}
