//! The editor shows what `fwc check` says, code by code and level by level.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::client::Client;
use crate::fixture;

/// Code, severity, line and column of a diagnostic.
type Told = BTreeSet<(String, u64, u64, u64)>;

/// What `fwc check` says of the policies in a directory, by their names.
fn checked(directory: &Path) -> BTreeMap<String, Told> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fwc"));
    let output = command.args(["check", "--format", "json", "."]).current_dir(directory).output().expect("it runs");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let mut said: BTreeMap<String, Told> = BTreeMap::new();
    for line in text.lines() {
        let one: Value = serde_json::from_str(line).expect("JSON");
        let severity = match one["level"].as_str() {
            Some("error") => 1,
            Some("warning") => 2,
            _ => 3,
        };
        let place = &one["primary"];
        let number = |name: &str| place[name].as_u64().expect("a number") - 1;
        let file = place["file"].as_str().expect("a name").trim_start_matches("./").to_owned();
        let code = one["code"].as_str().expect("a code").to_owned();
        said.entry(file).or_default().insert((code, severity, number("line"), number("column")));
    }
    said
}

fn told(diagnostics: &[Value]) -> Told {
    let one = |one: &Value| {
        let (start, code) = (&one["range"]["start"], one["code"].as_str().unwrap_or_default().to_owned());
        let number = |value: &Value| value.as_u64().expect("a number");
        (code, number(&one["severity"]), number(&start["line"]), number(&start["character"]))
    };
    diagnostics.iter().map(one).collect()
}

/// The policies of the tests of diagnostics, each with the files that it reads in a directory of its own.
fn cases() -> Vec<(String, String)> {
    let mut files = Vec::new();
    for path in ["check", "expect"].iter().flat_map(|directory| fixture::files(directory)) {
        let name = path
            .strip_prefix(fixture::root())
            .expect("a fixture")
            .with_extension("")
            .to_string_lossy()
            .replace('/', "-");
        for (number, mut case) in fixture::read(&path).into_iter().enumerate() {
            // In every other one something is expected at the first statement, and comes or does not.
            if number % 2 == 1 {
                let expected = "# fwc: expect(rule-too-late, shadowed-rule, unused-name) -- to compare\n";
                case.files[0].1.insert_str(0, expected);
            }
            files.extend(case.files.into_iter().map(|(other, text)| (format!("{name}-{number}/{other}"), text)));
        }
    }
    files.push((
        "fwc.toml".to_owned(),
        "[levels]\nrule-too-late = \"warn\"\nunused-name = \"deny\"\nFW0353 = \"allow\"\n".to_owned(),
    ));
    files
}

#[test]
fn the_editor_shows_what_check_says() {
    let files = cases();
    let listed: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let mut client = Client::new(&listed);
    let said = checked(&client.path(""));
    let (mut compared, mut missed) = (0, 0);
    for (name, text) in files.iter().filter(|(name, _)| name.ends_with("/site.fw")) {
        client.open(name, text);
        let wanted = said.get(name).cloned().unwrap_or_default();
        client.until(name, |diagnostics| {
            let seen = told(diagnostics);
            if seen != wanted {
                println!("{name}: {:?}", seen.symmetric_difference(&wanted));
            }
            seen == wanted
        });
        client.close(name);
        compared += wanted.len();
        missed += wanted.iter().filter(|(code, ..)| code == "FW0034").count();
    }
    assert!(compared > 150 && missed > 20, "{compared} {missed}");
}
