//! The files for pipelines, and the examples of them in the documents, by the schemas that are published for them.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{project, python, read, said};

/// Whether a file is valid by a schema that check-jsonschema has from its publisher.
fn check(program: &Path, schema: &str, file: &Path) -> (bool, String) {
    let mut command = Command::new(program);
    let (code, text) = said(command.args(["--builtin-schema", &format!("vendor.{schema}")]).arg(file));
    (code == Some(0), text)
}

#[test]
fn the_files_are_valid() {
    let Some(program) = python("schemas", "check-jsonschema") else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("file.yml");
    let judge = |schema: &str, text: &str| {
        fs::write(&file, text).expect("a file");
        check(&program, schema, &file)
    };
    let action = read("action.yml");
    // What is only there to be extended is not looked at; the job that extends it is.
    let job = read("integrations/gitlab-ci.yml").replace("\n.fwc-check:", "\nfwc-check:");
    assert!(job.contains("\nfwc-check:"));
    for (schema, text) in [("github-actions", &action), ("gitlab-ci", &job)] {
        let (valid, said) = judge(schema, text);
        assert!(valid, "{schema}: {said}");
    }
    // A judge that lets everything pass would pass the rest.
    assert!(!judge("github-actions", &action.replace("using: composite", "using: nothing")).0);
    assert!(!judge("gitlab-ci", &job.replace("stage: test", "stage: [[test]]")).0);
    let Some(program) = python("schemas of pre-commit", "pre-commit") else { return };
    let (code, text) = said(Command::new(program).arg("validate-manifest").arg(project(".pre-commit-hooks.yaml")));
    assert_eq!((code, text.as_str()), (Some(0), ""));
}

/// The blocks of a page that begin with ```` ```yaml KIND ````.
fn examples(page: &str) -> Vec<(String, String)> {
    let blocks = page.split("\n```yaml ").skip(1).filter_map(|rest| rest.split_once('\n'));
    blocks
        .map(|(kind, rest)| (kind.to_owned(), rest.split("\n```").next().unwrap_or_default().to_owned() + "\n"))
        .collect()
}

#[test]
fn the_examples_in_the_documents_are_valid() {
    let Some(program) = python("examples", "check-jsonschema") else { return };
    let Some(hooks) = python("examples", "pre-commit") else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let examples = examples(&read("docs/ci.md"));
    for (kind, text) in &examples {
        let file = directory.path().join("example.yaml");
        fs::write(&file, text).expect("a file");
        let (valid, said) = match kind.as_str() {
            "github" => check(&program, "github-workflows", &file),
            "gitlab" => check(&program, "gitlab-ci", &file),
            "pre-commit" => {
                let (code, text) = said(Command::new(&hooks).arg("validate-config").arg(&file));
                (code == Some(0) && text.is_empty(), text)
            }
            _ => panic!("nothing is known of {kind}"),
        };
        assert!(valid, "{said}\n{text}");
    }
    let kinds: Vec<&str> = examples.iter().map(|(kind, _)| kind.as_str()).collect();
    assert!(["github", "gitlab", "pre-commit"].iter().all(|kind| kinds.contains(kind)), "{kinds:?}");
}
