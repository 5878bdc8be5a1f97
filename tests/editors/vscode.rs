//! The extension for VS Code: type-checked, packaged with the published `vsce`; the package's content; and what was packaged, run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::{project, text};

/// Where `./test` has put what builds the extension.
const WORKPLACE: &str = "target/vscode";

/// What is in the package besides the modules that it runs with.
const CONTENT: [&str; 8] = [
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "extension.js",
    "language-configuration.json",
    "package.json",
    "readme.md",
    "snippets/fwc.json",
    "syntaxes/fwc.tmLanguage.json",
];

/// Every file below a directory, relative to it.
fn files(root: &Path, below: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root.join(below)).expect("a directory").map(|entry| entry.expect("an entry")) {
        let path = below.join(entry.file_name());
        if entry.path().is_dir() {
            found.extend(files(root, &path));
        } else {
            found.push(path.to_string_lossy().into_owned());
        }
    }
    found.sort();
    found
}

/// The extension beside the modules that build it; `None`, and a word about it, where they are not installed.
fn workplace() -> Option<PathBuf> {
    let workplace = project(WORKPLACE);
    let lock = |path: &Path| fs::read(path.join("package-lock.json")).ok();
    let source = project("editors/vscode");
    if !workplace.join("node_modules/.bin/vsce").exists() || lock(&workplace) != lock(&source) {
        println!("skipped: editors::vscode: vsce is not installed: `./test` does it");
        return None;
    }
    for entry in fs::read_dir(&workplace).expect("a directory").map(|entry| entry.expect("an entry")) {
        match entry.file_name() == "node_modules" {
            true => {}
            false if entry.path().is_dir() => fs::remove_dir_all(entry.path()).expect("it is ours"),
            false => fs::remove_file(entry.path()).expect("it is ours"),
        }
    }
    for path in files(&source, Path::new("")).iter().filter(|path| !path.starts_with("node_modules")) {
        let to = workplace.join(path);
        fs::create_dir_all(to.parent().expect("a directory")).expect("a directory");
        fs::copy(source.join(path), to).expect("a copy");
    }
    Some(workplace)
}

fn node(workplace: &Path, program: &str, arguments: &[&str]) {
    let mut command = Command::new(workplace.join("node_modules/.bin").join(program));
    let output = command.args(arguments).current_dir(workplace).output().expect("it runs");
    assert!(output.status.success(), "{program}: {}{}", text(&output.stdout), text(&output.stderr));
}

/// What was packaged is started as VS Code starts it, with the client that is in it; the editor itself is played.
fn is_run(extension: &Path) {
    let (home, file) = super::home();
    let mut node = Command::new("node");
    node.arg(project("tests/editors/vscode.js")).arg(extension).arg(file);
    super::at_home(&mut node, home.path());
    let output = node.output().expect("it runs");
    let wanted = "\
commands fwc.restartServer
sees 1:25 no set or interface is called `ofice`
sees nothing
started again
done
";
    assert_eq!(text(&output.stdout), wanted, "{}", text(&output.stderr));
}

#[test]
fn the_extension_is_packaged_whole_and_runs() {
    let Some(workplace) = workplace() else { return };
    node(&workplace, "tsc", &["--project", "jsconfig.json"]);
    let directory = tempfile::tempdir().expect("a directory");
    let package = directory.path().join("fwc.vsix").to_string_lossy().into_owned();
    node(&workplace, "vsce", &["package", "--allow-missing-repository", "--out", &package]);
    let unpacked = directory.path().join("unpacked");
    let unzip = Command::new("python3").args(["-m", "zipfile", "-e", &package]).arg(&unpacked).status();
    assert!(unzip.is_ok_and(|status| status.success()));
    let extension = unpacked.join("extension");

    let (modules, own): (Vec<String>, Vec<String>) =
        files(&extension, Path::new("")).into_iter().partition(|path| path.starts_with("node_modules/"));
    assert_eq!(own, CONTENT);
    assert!(modules.iter().any(|path| path == "node_modules/vscode-languageclient/lib/node/main.js"), "{modules:?}");
    // Nothing that is built for one machine, and nothing that only a compiler reads.
    let foreign =
        modules.iter().find(|path| [".node", ".gyp", ".so", ".dll", ".ts"].iter().any(|end| path.ends_with(end)));
    assert_eq!(foreign, None);

    is_run(&extension);

    let manifest: Value =
        serde_json::from_str(&fs::read_to_string(extension.join("package.json")).expect("text")).expect("JSON");
    let contributes = &manifest["contributes"];
    let named = [
        &manifest["main"],
        &contributes["languages"][0]["configuration"],
        &contributes["grammars"][0]["path"],
        &contributes["snippets"][0]["path"],
    ];
    for path in named.map(|path| path.as_str().expect("a path").trim_start_matches("./")) {
        assert!(CONTENT.contains(&path), "{path} is not in the package");
    }
    let modules = manifest["dependencies"].as_object().expect("an object").keys();
    for module in modules {
        assert!(extension.join("node_modules").join(module).join("package.json").exists(), "{module} is not there");
    }
}

/// What the extension runs with comes from the lock file, by its hash, and runs nothing when it is installed.
#[test]
fn the_extension_runs_with_nothing_that_is_built_when_installed() {
    let lock: Value =
        serde_json::from_str(&fs::read_to_string(project("editors/vscode/package-lock.json")).expect("text"))
            .expect("JSON");
    let packages = lock["packages"].as_object().expect("an object");
    let run_with = packages.iter().filter(|(path, package)| !path.is_empty() && package["dev"] != true);
    let mut count = 0;
    for (path, package) in run_with {
        assert_ne!(package["hasInstallScript"], true, "{path}");
        assert!(package["integrity"].is_string(), "{path}");
        assert_ne!(package["devOptional"], true, "{path}");
        count += 1;
    }
    assert!((5..20).contains(&count), "{count} packages");
}
