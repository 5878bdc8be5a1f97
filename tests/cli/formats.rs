//! The forms that other programs read: each against what is published of it, and against what the findings are.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::{Place, Run};

/// A repository with two policies and a rule set, below a directory whose name takes quoting. The command runs in `sites`.
fn repository() -> Place {
    Place::new(&[
        (".git/HEAD", "ref: refs/heads/main\n"),
        ("sites/a b/höst.fw", "# a policy\n\"é\" include \"bsae.fw\"\ninclude \"bsae.fw\"\ninclude \"conf.d/*.fw\"\n"),
        ("sites/a b/base.fw", ""),
        ("sites/clean.fw", "# nothing\n"),
        (
            "sites/rules.v4",
            "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp -j DROP\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\nCOMMIT\n",
        ),
        ("sites/long.fw", "to host {\n    allow tcp 22 from <&\"'%,:>\n}\n"),
    ])
}

const PATHS: [&str; 4] = ["a b/höst.fw", "clean.fw", "rules.v4", "long.fw"];

fn check(place: &Place, arguments: &[&str]) -> Run {
    let mut command = place.command(&["check"]);
    command.args(arguments).args(PATHS).current_dir(place.path("sites"));
    super::ended(&mut command)
}

fn in_form(form: &str) -> String {
    let run = check(&repository(), &["--format", form]);
    // People are told what the one policy without errors closes.
    let told = ["full", "short"].contains(&form);
    assert_eq!((run.code, run.err.starts_with("clean.fw: 0 rules; closed: nothing;")), (Some(1), told), "{}", run.out);
    assert!(run.err.lines().count() == usize::from(told), "{}", run.err);
    run.out
}

fn json(form: &str) -> Value {
    serde_json::from_str(&in_form(form)).expect("JSON")
}

/// What stands in a value that its published schema does not allow.
fn assert_valid(schema: &str, value: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/schemas").join(schema);
    let text = fs::read_to_string(path).expect("a schema");
    let (mut schemas, mut compiler) = (boon::Schemas::new(), boon::Compiler::new());
    compiler.enable_format_assertions();
    let place = format!("file:///{schema}");
    compiler.add_resource(&place, serde_json::from_str(&text).expect("JSON")).expect("a schema");
    let index = compiler.compile(&place, &mut schemas).expect("a schema");
    let valid = schemas.validate(value, index);
    assert!(valid.is_ok(), "{:#}\n{value:#}", valid.expect_err("invalid"));
}

/// Whether the validator that is published for reviewdog's format takes a report, and what it says; `None` where it is not installed.
fn rdjson(report: &Value) -> Option<(bool, String)> {
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/npm/node_modules");
    let validator = modules.join("@umbrelladocs/rdformat-validator/bin/rdformat-validator.js");
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("report.json");
    fs::write(&file, report.to_string()).expect("a file");
    let mut node = Command::new("node");
    node.arg(validator.exists().then_some(validator)?)
        .args(["--strict", "--no-extra-fields", "--format", "json"])
        .arg(&file);
    let output = node.output().ok()?;
    Some((output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned()))
}

/// Which fields of an entry are not what GitLab documents; there is no schema of them that is published on its own.
/// <https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format>
fn faults_of_issue(issue: &Value) -> Vec<&'static str> {
    let text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    let line = |value: &Value| value.as_u64().unwrap_or_default();
    let place = &issue["location"];
    let path = place["path"].as_str().unwrap_or_default();
    let severities = ["info", "minor", "major", "critical", "blocker"];
    let keys = |value: &Value| value.as_object().map(|object| object.keys().cloned().collect::<Vec<_>>());
    let is = |wanted: &[&str], value: &Value| keys(value).is_some_and(|keys| keys == wanted);
    [
        ("fields", is(&["description", "check_name", "fingerprint", "severity", "location"], issue)),
        ("description", text(&issue["description"])),
        ("check_name", text(&issue["check_name"])),
        ("fingerprint", text(&issue["fingerprint"])),
        ("severity", issue["severity"].as_str().is_some_and(|severity| severities.contains(&severity))),
        ("location", is(&["path", "lines"], place)),
        ("location.path", !path.is_empty() && !path.starts_with("./")),
        ("location.lines", (1..=line(&place["lines"]["end"])).contains(&line(&place["lines"]["begin"]))),
    ]
    .into_iter()
    .filter_map(|(name, holds)| (!holds).then_some(name))
    .collect()
}

/// What all forms have to tell: path, line, code, level.
fn expected() -> Vec<(String, u64, String, String)> {
    let lines = check(&repository(), &["--format", "short"]).out;
    let lines = lines.lines().filter_map(|line| {
        let (place, rest) = line.split_once(": ")?;
        let (path, at) = place.split_once(':')?;
        let (level, rest) = rest.split_once('[')?;
        let line = at.split(':').next()?.parse().ok()?;
        Some((format!("sites/{path}"), line, rest.split(']').next()?.to_owned(), level.to_owned()))
    });
    let all: Vec<_> = lines.collect();
    assert!(all.len() >= 5 && all.iter().any(|one| one.2 == "FW0801"), "{all:?}");
    all
}

#[test]
fn sarif_is_valid_and_says_the_same() {
    let log = json("sarif");
    assert_valid("sarif-2.1.0.json", &log);
    let run = &log["runs"][0];
    let results = run["results"].as_array().expect("results");
    let told: Vec<_> = results
        .iter()
        .map(|result| {
            let place = &result["locations"][0]["physicalLocation"];
            let uri = place["artifactLocation"]["uri"].as_str().expect("a URI");
            assert!(uri.is_ascii() && !uri.contains(' '), "{uri}");
            let path = percent_encoding::percent_decode_str(uri).decode_utf8().expect("text").into_owned();
            let code = result["ruleId"].as_str().expect("a code").to_owned();
            let index = usize::try_from(result["ruleIndex"].as_u64().expect("a number")).expect("small");
            assert_eq!(run["tool"]["driver"]["rules"][index]["id"], code.as_str());
            let level = result["level"].as_str().expect("a level").to_owned();
            (path, place["region"]["startLine"].as_u64().expect("a line"), code, level)
        })
        .collect();
    assert_eq!(told, expected());
    let misspelt = results.iter().find(|result| result["ruleId"] == "FW0150").expect("the missing file");
    assert_eq!(misspelt["fixes"][0]["artifactChanges"][0]["replacements"][0]["insertedContent"]["text"], "\"base.fw\"");
    let shadowed = results.iter().find(|result| result["ruleId"] == "FW0801").expect("the shadowed rule");
    assert_eq!(shadowed["relatedLocations"][0]["physicalLocation"]["region"]["startLine"], 3);
}

#[test]
fn sarif_without_findings_is_valid() {
    let run = Place::new(&[("site.fw", "")]).run(&["check", "--format", "sarif", "site.fw"]);
    assert_eq!(run.code, Some(0));
    let log: Value = serde_json::from_str(&run.out).expect("JSON");
    assert_valid("sarif-2.1.0.json", &log);
    assert_eq!(log["runs"][0]["results"], Value::Array(Vec::new()));
}

#[test]
fn columns_are_counted_as_each_form_counts_them() {
    let place = Place::new(&[("site.fw", "set a = { 10.0.0.0/8 } # é\nallow ssh from \"é\" to hots\n")]);
    let of = |form: &str| serde_json::from_str::<Value>(&place.run(&["check", "--format", form, "site.fw"]).out);
    let sarif = of("sarif").expect("JSON");
    let rdjson = of("rdjson").expect("JSON");
    let columns: Vec<(Value, Value)> = sarif["runs"][0]["results"]
        .as_array()
        .expect("results")
        .iter()
        .zip(rdjson["diagnostics"].as_array().expect("diagnostics"))
        .map(|(one, other)| {
            (
                one["locations"][0]["physicalLocation"]["region"]["startColumn"].clone(),
                other["location"]["range"]["start"]["column"].clone(),
            )
        })
        .collect();
    assert!(columns.contains(&(Value::from(23), Value::from(24))), "{columns:?}");
}

#[test]
fn gitlab_is_valid_and_says_the_same() {
    let report = json("gitlab");
    let issues = report.as_array().expect("an array");
    let told: Vec<_> = issues
        .iter()
        .map(|issue| {
            assert_eq!(faults_of_issue(issue), Vec::<&str>::new(), "{issue:#}");
            let level = match issue["severity"].as_str().expect("a severity") {
                "critical" => "error",
                "major" => "warning",
                "info" => "note",
                other => panic!("{other}"),
            };
            let code = issue["check_name"].as_str().and_then(|name| name.split(' ').next()).expect("a code");
            let place = &issue["location"];
            (
                place["path"].as_str().expect("a path").to_owned(),
                place["lines"]["begin"].as_u64().expect("a line"),
                code.to_owned(),
                level.to_owned(),
            )
        })
        .collect();
    assert_eq!(told, expected());
    let mut fingerprints: Vec<&str> = issues.iter().filter_map(|issue| issue["fingerprint"].as_str()).collect();
    fingerprints.sort_unstable();
    fingerprints.dedup();
    assert_eq!(fingerprints.len(), issues.len());
}

#[test]
fn rdjson_is_valid_and_says_the_same() {
    let report = json("rdjson");
    match rdjson(&report) {
        Some((valid, said)) => assert!(valid, "{said}"),
        None => println!("skipped: formats::rdjson against its validator: it is not installed: `./test` does it"),
    }
    let told: Vec<_> = report["diagnostics"]
        .as_array()
        .expect("an array")
        .iter()
        .map(|one| {
            let level = match one["severity"].as_str().expect("a severity") {
                "ERROR" => "error",
                "WARNING" => "warning",
                "INFO" => "note",
                other => panic!("{other}"),
            };
            (
                one["location"]["path"].as_str().expect("a path").to_owned(),
                one["location"]["range"]["start"]["line"].as_u64().expect("a line"),
                one["code"]["value"].as_str().expect("a code").to_owned(),
                level.to_owned(),
            )
        })
        .collect();
    assert_eq!(told, expected());
    let misspelt =
        report["diagnostics"].as_array().and_then(|all| all.iter().find(|one| one["code"]["value"] == "FW0150"));
    let suggestion = &misspelt.expect("the missing file")["suggestions"][0];
    assert_eq!(suggestion["text"], "\"base.fw\"");
    assert_eq!(suggestion["range"]["start"]["column"], 9);
}

#[test]
fn github_is_one_command_a_line() {
    let out = in_form("github");
    let told: Vec<_> = out
        .lines()
        .map(|line| {
            let (word, rest) = line.strip_prefix("::").and_then(|rest| rest.split_once(' ')).expect("a command");
            let (properties, message) = rest.split_once("::").expect("a message");
            assert!(!message.is_empty());
            let of = |name: &str| {
                let found = properties.split(',').find_map(|property| property.strip_prefix(&format!("{name}=")));
                found.unwrap_or_else(|| panic!("no {name}: {line}")).replace("%2C", ",").replace("%3A", ":")
            };
            let level = if word == "notice" { "note" } else { word };
            let title = of("title");
            let code = title.split(' ').next().expect("a code");
            (of("file"), of("line").parse::<u64>().expect("a line"), code.to_owned(), level.to_owned())
        })
        .collect();
    assert_eq!(told, expected());
    assert!(out.contains("%0Ahelp: there is a file `base.fw`"), "{out}");
}

#[test]
fn junit_is_valid_and_counts_errors_as_failures() {
    let place = repository();
    let run = check(&place, &["--output-file", "junit=report.xml", "--format", "short"]);
    assert_eq!(run.code, Some(1), "{}", run.err);
    let text = fs::read_to_string(place.path("sites/report.xml")).expect("the report");
    let errors = expected().iter().filter(|one| one.3 == "error").count();
    assert!(text.contains(&format!("failures=\"{errors}\" errors=\"0\">\n  <testsuite")), "{text}");
    assert_eq!(text.matches("<failure ").count(), errors);
    assert!(text.contains("<testcase classname=\"sites/clean.fw\" name=\"no findings\"/>"), "{text}");
    // As a whole it is valid whatever a message holds.
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/schemas/junit-10.xsd");
    let mut command = Command::new("xmllint");
    command.args(["--noout", "--schema"]).arg(schema).arg(place.path("sites/report.xml"));
    match command.output() {
        Ok(output) => assert!(output.status.success(), "{}\n{text}", String::from_utf8_lossy(&output.stderr)),
        Err(_) => println!("skipped: formats::junit against its schema: xmllint is not installed"),
    }
}

#[test]
fn several_forms_are_written_at_once() {
    let place = repository();
    let run =
        check(&place, &["--output-file", "sarif=x.sarif", "--output-file", "gitlab=y.json", "--format", "github"]);
    assert_eq!((run.code, run.err.as_str()), (Some(1), ""));
    let read = |name: &str| fs::read_to_string(place.path("sites").join(name)).expect("a report");
    assert_eq!(read("x.sarif"), in_form("sarif"));
    assert_eq!(read("y.json"), in_form("gitlab"));
    assert_eq!(run.out, in_form("github"));
}

#[test]
fn a_file_without_a_form_takes_what_the_standard_output_would_get() {
    let place = repository();
    let run = check(&place, &["--output-file", "out.txt", "--format", "short"]);
    assert_eq!((run.code, run.out.as_str(), run.err.as_str()), (Some(1), "", ""));
    let text = fs::read_to_string(place.path("sites/out.txt")).expect("the report");
    assert_eq!(text, in_form("short"));
    // A name with an equals sign is a file's, where it cannot be a form's.
    assert_eq!(check(&place, &["--output-file", "./a=b", "--format", "json"]).code, Some(1));
    assert_eq!(fs::read_to_string(place.path("sites/a=b")).expect("the report"), in_form("json"));
}

#[test]
fn a_form_that_is_none_is_refused() {
    let run = check(&repository(), &["--output-file", "xml=report.xml"]);
    assert_eq!(run.code, Some(2));
    assert!(run.err.contains("there is no format `xml` (there are full, short, json, sarif, github"), "{}", run.err);
    let run = check(&repository(), &["--output-file", "sarif=nowhere/x.sarif"]);
    assert_eq!((run.code, run.err.contains("cannot write `nowhere/x.sarif`")), (Some(2), true), "{}", run.err);
}

#[test]
fn without_a_repository_paths_are_relative_to_the_working_directory() {
    let place = Place::new(&[("a/site.fw", "alow ssh to host\n")]);
    let path = |run: &Run| serde_json::from_str::<Value>(&run.out).expect("JSON")[0]["location"]["path"].clone();
    assert_eq!(path(&place.run(&["check", "--format", "gitlab", "./a/../a/site.fw"])), "a/site.fw");
    let whole = place.path("a/site.fw").to_string_lossy().into_owned();
    assert_eq!(path(&place.run(&["check", "--format", "gitlab", &whole])), "a/site.fw");
    let mut elsewhere = place.command(&["check", "--format", "gitlab", &whole]);
    elsewhere.current_dir("/usr");
    let outside = path(&super::ended(&mut elsewhere));
    assert!(outside.as_str().is_some_and(|path| path.starts_with('/') && path.ends_with("/a/site.fw")), "{outside}");
}

#[test]
fn fingerprints_outlive_moved_lines() {
    let fingerprints = |text: &str| {
        let place = Place::new(&[("site.fw", text)]);
        let report: Value =
            serde_json::from_str(&place.run(&["check", "--format", "gitlab", "site.fw"]).out).expect("JSON");
        let of = |issue: &Value| issue["fingerprint"].as_str().unwrap_or_default().to_owned();
        report.as_array().map(|issues| issues.iter().map(of).collect::<Vec<_>>()).unwrap_or_default()
    };
    let before = fingerprints("alow ssh to host\nalow http to host\n");
    let after = fingerprints("# moved\n\nalow   ssh to host # why\nalow dns to host\nalow http to host\n");
    assert_eq!(before.len(), 2);
    assert_eq!((before.first(), before.last()), (after.first(), after.last()));
    assert!(!before.contains(after.get(1).expect("three")));
}

/// A validator that lets everything pass would pass every other test here.
#[test]
fn the_schemas_refuse_what_is_wrong() {
    let refused = |schema: &'static str, value: Value| {
        std::panic::catch_unwind(move || assert_valid(schema, &value)).expect_err("refused");
    };
    let mut log = json("sarif");
    log["runs"][0]["results"][0]["level"] = "fatal".into();
    refused("sarif-2.1.0.json", log);
    let mut report = json("rdjson");
    report["diagnostics"][0]["severity"] = "FATAL".into();
    assert!(rdjson(&report).is_none_or(|(valid, _)| !valid));
    let mut report = json("rdjson");
    report["diagnostics"][0]["hint"] = "x".into();
    assert!(rdjson(&report).is_none_or(|(valid, _)| !valid));
    let mut issue = json("gitlab")[0].clone();
    issue["fingerprint"] = Value::Null;
    issue["location"]["path"] = "./site.fw".into();
    assert_eq!(faults_of_issue(&issue), ["fingerprint", "location.path"]);
}
