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
fn command_line_page() {
    let options = clap_markdown::MarkdownOptions::new()
        .title("The command line".to_owned())
        .show_footer(false)
        .show_table_of_contents(false);
    let page = clap_markdown::help_markdown_command_custom(&fwc::cli::command(), &options);
    let stock = "This document contains the help content for the `fwc` command-line program.";
    assert!(page.contains(stock));
    let page = page.replace(stock, "What `fwc --help` and `fwc COMMAND --help` say.").replace("\n\n\n\n", "\n");
    current("docs/command-line.md", &(page.trim_end().to_owned() + "\n"));
}

#[test]
fn manual_pages() {
    let pages = fwc::cli::man::pages();
    for (name, text) in &pages {
        current(&format!("docs/generated/{name}.1"), text);
    }
    // A command that is gone leaves no page.
    let there = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/generated")).expect("a directory");
    let there =
        there.filter(|entry| entry.as_ref().is_ok_and(|entry| entry.path().extension().is_some_and(|end| end == "1")));
    assert_eq!(there.count(), pages.len());
}

#[test]
fn completions() {
    for (shell, name) in [(Shell::Bash, "fwc.bash"), (Shell::Zsh, "_fwc"), (Shell::Fish, "fwc.fish")] {
        current(&format!("docs/generated/{name}"), &fwc::cli::completions::script(shell));
    }
}

/// The script that a shell reads, as that shell uses it.
#[test]
fn bash_completes_commands_and_values() {
    let ask = "source docs/generated/fwc.bash
        COMP_WORDS=(fwc ch) COMP_CWORD=1; _fwc fwc ch fwc; echo \"${COMPREPLY[@]}\"
        COMP_WORDS=(fwc check --format s) COMP_CWORD=3; _fwc fwc s --format; echo \"${COMPREPLY[@]}\"";
    let mut bash = std::process::Command::new("bash");
    let output = bash.args(["--norc", "-c", ask]).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let Ok(output) = output else { return println!("skipped: generated::bash: bash is not installed") };
    assert_eq!(String::from_utf8_lossy(&output.stdout), "check\nshort sarif\n");
}
