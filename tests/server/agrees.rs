//! The editor shows what `fwc check` says, code by code and level by level.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::client::Client;

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

/// The policies of the tests of checks, each with the files that it reads in a directory of its own.
fn cases() -> Vec<(String, String)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check");
    let mut files = Vec::new();
    for path in std::fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path()) {
        if path.extension().is_none_or(|extension| extension != "fw") {
            continue;
        }
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).expect("a text");
        let policies = text.split("# --- ").skip(1).filter_map(|case| case.split_once('\n'));
        for (number, (_, policy)) in policies.enumerate() {
            let mut parts = policy.split("# @ ");
            let mut policy = parts.next().unwrap_or_default().to_owned();
            // In every other one something is expected at the first statement, and comes or does not.
            if number % 2 == 1 {
                policy = format!("# fwc: expect(rule-too-late, shadowed-rule, unused-name) -- to compare\n{policy}");
            }
            files.push((format!("{name}-{number}/site.fw"), policy));
            let others = parts.filter_map(|part| part.split_once('\n'));
            files.extend(others.map(|(other, text)| (format!("{name}-{number}/{other}"), text.to_owned())));
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
