//! The action, the job and the hooks, run on small repositories.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::{BAD, GOOD, path, project, python, read, repository, said, yaml};

/// How the steps of the action ended that are commands, in order, with what all of them said; it stops where a runner would.
struct Action {
    steps: Vec<(String, Option<i32>)>,
    text: String,
    status: String,
    uploads: bool,
}

/// `${{ inputs.NAME }}` and `${{ steps.check.outputs.status }}`, replaced.
fn filled(text: &str, inputs: &BTreeMap<String, String>, status: &str) -> String {
    let mut out = text.replace("${{ steps.check.outputs.status }}", status);
    for (name, value) in inputs {
        out = out.replace(&format!("${{{{ inputs.{name} }}}}"), value);
    }
    assert!(!out.contains("${{"), "{out}");
    out
}

/// The steps as they stand in `action.yml`, by GitHub's `bash`.
fn act(action: &Value, place: &Path, given: &[(&str, &str)]) -> Action {
    let defaults = action["inputs"].as_object().expect("inputs").iter();
    let mut inputs: BTreeMap<String, String> = defaults
        .map(|(name, input)| (name.clone(), input["default"].as_str().unwrap_or_default().to_owned()))
        .collect();
    for (name, value) in given {
        assert!(inputs.insert((*name).to_owned(), (*value).to_owned()).is_some(), "there is no input {name}");
    }
    let outputs = place.join(".git/outputs");
    fs::write(&outputs, "").expect("a file");
    let mut done = Action { steps: Vec::new(), text: String::new(), status: String::new(), uploads: false };
    for step in action["runs"]["steps"].as_array().expect("steps") {
        let name = step["name"].as_str().expect("a name").to_owned();
        let Some(script) = step["run"].as_str() else {
            assert_eq!(step["if"], "inputs.upload == 'true' && steps.check.outputs.status != '2'");
            let file = filled(step["with"]["sarif_file"].as_str().expect("a file"), &inputs, &done.status);
            done.uploads = inputs["upload"] == "true" && done.status != "2";
            assert!(!done.uploads || place.join(&file).exists(), "there is no {file}");
            continue;
        };
        assert_eq!(step["shell"], "bash");
        let file = place.join(".git/step.sh");
        fs::write(&file, filled(script, &inputs, &done.status)).expect("a file");
        let mut bash = Command::new("bash");
        bash.args(["--noprofile", "--norc", "-e", "-o", "pipefail"]).arg(&file);
        bash.env("PATH", path()).env("GITHUB_OUTPUT", &outputs).env("GITHUB_ACTION_PATH", project(""));
        bash.current_dir(match step["working-directory"].as_str() {
            Some(directory) => place.join(filled(directory, &inputs, &done.status)),
            None => place.to_owned(),
        });
        for (name, value) in step["env"].as_object().into_iter().flatten() {
            bash.env(name, filled(value.as_str().expect("text"), &inputs, &done.status));
        }
        let (code, text) = said(&mut bash);
        done.text += &text;
        done.steps.push((name, code));
        let told = fs::read_to_string(&outputs).expect("outputs");
        done.status =
            told.lines().filter_map(|line| line.strip_prefix("status=")).next_back().unwrap_or_default().to_owned();
        if code != Some(0) {
            break;
        }
    }
    done
}

fn ends(action: &Action) -> Vec<(&str, Option<i32>)> {
    action.steps.iter().map(|(name, code)| (name.as_str(), *code)).collect()
}

#[test]
fn the_action_annotates_and_fails_where_there_are_errors() {
    let Some(action) = yaml("action", &read("action.yml")) else { return };
    let place = repository(&[("policies/a b.fw", BAD), ("policies/good.fw", GOOD), ("other/bad.fw", BAD)]);
    let all = |last| vec![("Install fwc", Some(0)), ("fwc check", Some(0)), ("Errors fail the job", Some(last))];

    let bad = act(&action, place.path(), &[("paths", "a b.fw\ngood.fw\n"), ("working-directory", "policies")]);
    assert_eq!(ends(&bad), all(1), "{}", bad.text);
    assert_eq!((bad.status.as_str(), bad.uploads), ("1", true));
    assert!(bad.text.contains("::error file=policies/a b.fw,line=2,"), "{}", bad.text);
    assert!(!bad.text.contains("other/bad.fw"), "{}", bad.text);
    let log: Value = serde_json::from_str(&fs::read_to_string(place.path().join("policies/fwc.sarif")).expect("a log"))
        .expect("JSON");
    assert_eq!(log["runs"][0]["results"][0]["ruleId"], "FW0009");

    let good =
        act(&action, place.path(), &[("paths", "policies/good.fw"), ("sarif-file", "x.sarif"), ("upload", "false")]);
    assert_eq!(ends(&good), all(0), "{}", good.text);
    assert_eq!((good.status.as_str(), good.uploads), ("0", false));

    let levels = act(&action, place.path(), &[("paths", "policies/good.fw"), ("arguments", "--deny\nwarnings\n")]);
    assert_eq!(ends(&levels), all(i32::from(good.text.contains("::warning"))), "{}", levels.text);

    // A path is never taken for an argument.
    let odd = act(&action, place.path(), &[("paths", "--help")]);
    assert_eq!((ends(&odd), odd.uploads), (all(2), false), "{}", odd.text);
    let wrong = act(&action, place.path(), &[("arguments", "--no-such-argument")]);
    assert_eq!((ends(&wrong), wrong.uploads), (all(2), false), "{}", wrong.text);
}

#[test]
fn the_job_of_gitlab_writes_its_reports() {
    let Some(file) = yaml("gitlab", &read("integrations/gitlab-ci.yml")) else { return };
    let job = &file[".fwc-check"];
    let lines = job["script"].as_array().expect("a script").iter().map(|line| line.as_str().expect("a line"));
    let script = lines.collect::<Vec<_>>().join("\n");
    let run = |paths: &str| {
        let place = repository(&[("policies/bad.fw", BAD), ("policies/good.fw", GOOD)]);
        let mut shell = Command::new("sh");
        shell.args(["-e", "-c", &script]).current_dir(place.path()).env("PATH", path());
        for (name, value) in job["variables"].as_object().expect("variables") {
            shell.env(name, value.as_str().expect("text"));
        }
        let (code, text) = said(shell.env("FWC_PATHS", paths));
        let read = |name: &str| {
            let path = job["artifacts"]["reports"][name].as_str().expect("a path");
            fs::read_to_string(place.path().join(path)).unwrap_or_else(|error| panic!("{path}: {error}: {text}"))
        };
        (code, serde_json::from_str::<Value>(&read("codequality")).expect("JSON"), read("junit"))
    };
    let (code, quality, tests) = run("policies");
    assert_eq!(code, Some(1));
    assert_eq!(quality[0]["location"]["path"], "policies/bad.fw");
    assert!(tests.contains("<failure "), "{tests}");
    let (code, quality, tests) = run("policies/good.fw");
    assert_eq!(code, Some(0), "{quality}");
    assert!(!tests.contains("<failure "), "{tests}");
}

/// The twins that take the `fwc` on the path: the others build the same program first.
#[test]
fn the_hooks_of_pre_commit_stop_a_bad_policy() {
    let Some(program) = python("pre_commit", "pre-commit") else { return };
    let hooks = repository(&[(".pre-commit-hooks.yaml", &read(".pre-commit-hooks.yaml"))]);
    let home = tempfile::tempdir().expect("a directory");
    let run = |hook: &str, files: &[(&str, &str)]| {
        let place = repository(files);
        let mut command = Command::new(&program);
        command.args(["try-repo", "--color=never"]).arg(hooks.path()).args([hook, "--all-files", "--verbose"]);
        command.current_dir(place.path()).env("PATH", path()).env("PRE_COMMIT_HOME", home.path());
        let (code, text) = said(command.env("GIT_CONFIG_GLOBAL", "/dev/null"));
        (code, text, place)
    };
    let rules =
        "*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp -j DROP\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\nCOMMIT\n";
    let (code, text, _) = run("fwc-check-system", &[("good.fw", GOOD), ("bad.fw", BAD)]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("bad.fw:2:1: error[FW0009]"), "{text}");
    let (code, text, _) = run("fwc-check-system", &[("good.fw", GOOD), ("bad.txt", BAD)]);
    assert_eq!(code, Some(0), "{text}");
    let (code, text, place) = run("fwc-fmt-system", &[("site.fw", "allow   ssh   to host\n")]);
    assert_eq!(code, Some(1), "{text}");
    assert_eq!(fs::read_to_string(place.path().join("site.fw")).expect("text"), "allow ssh to host\n");
    let (code, text, _) = run("fwc-check-rules-system", &[("etc/iptables/rules.v4", rules)]);
    assert_eq!((code, text.contains("rules.v4:4:1: error[FW0801]")), (Some(1), true), "{text}");
    let tests = [
        ("site.fw", "default deny to host\nallow ssh to host\n"),
        ("site.fwtest", "assert deny ssh from any to host\n"),
    ];
    let (code, text, _) = run("fwc-test-system", &tests);
    assert_eq!((code, text.contains("site.fwtest:1:1: error[")), (Some(1), true), "{text}");
}

/// A hook that builds and its twin differ in where `fwc` comes from.
#[test]
fn every_hook_has_its_twin() {
    let Some(hooks) = yaml("twins", &read(".pre-commit-hooks.yaml")) else { return };
    let hooks = hooks.as_array().expect("a list");
    let built = hooks.iter().filter(|hook| hook["language"] == "rust");
    let mut count = 0;
    for hook in built {
        let id = format!("{}-system", hook["id"].as_str().expect("an id"));
        let twin = hooks.iter().find(|other| other["id"] == *id).unwrap_or_else(|| panic!("there is no {id}"));
        assert_eq!(twin["language"], "system");
        for key in ["name", "entry", "files", "require_serial"] {
            assert_eq!(hook[key], twin[key], "{id}: {key}");
        }
        count += 1;
    }
    assert_eq!(count * 2, hooks.len());
}
