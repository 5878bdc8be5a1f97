//! What is generated is checked in. `UPDATE=1 cargo test generated` writes it anew; without that, a file that is out of date
//! fails.

use std::fs;
use std::path::Path;

use clap_complete::Shell;

fn current(path: &str, text: &str) {
    let whole = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(whole.parent().expect("a directory")).expect("directory");
        fs::write(&whole, text).expect("write");
    }
    let there = fs::read_to_string(&whole).unwrap_or_default();
    assert!(there == text, "{path} is out of date: run `UPDATE=1 cargo test generated`");
}

#[test]
fn diagnostics_page() {
    current("docs/diagnostics.md", &fwc::codes::all_pages());
}

#[test]
fn manual_pages() {
    for (name, text) in fwc::cli::man::pages() {
        current(&format!("docs/generated/{name}.1"), &text);
    }
}

#[test]
fn completions() {
    for (shell, name) in [(Shell::Bash, "fwc.bash"), (Shell::Zsh, "_fwc"), (Shell::Fish, "fwc.fish")] {
        current(&format!("docs/generated/{name}"), &fwc::cli::completions::script(shell));
    }
}
