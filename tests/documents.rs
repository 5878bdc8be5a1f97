//! What the documents show is true: every policy in them compiles, every output is what the program writes.

use std::path::{Path, PathBuf};
use std::process::Command;

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(project(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A fenced block: the words behind its fence, its text, its first line's number.
struct Block {
    info: String,
    text: String,
    line: usize,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut list: Vec<Block> = Vec::new();
    let mut open = false;
    for (number, line) in page.lines().enumerate() {
        if let Some(info) = line.strip_prefix("```") {
            open = !open;
            if open {
                list.push(Block { info: info.to_owned(), text: String::new(), line: number + 2 });
            }
        } else if let Some(block) = list.last_mut().filter(|_| open) {
            block.text.push_str(line);
            block.text.push('\n');
        }
    }
    assert!(!open, "a block is not closed");
    list
}

/// The files that examples name.
const BESIDE: [(&str, &str); 3] = [
    ("base.fw", "interface wan\nset admins\nallow ssh from admins to host\nallow https to host via wan\n"),
    ("blocklist.txt", "192.0.2.0/24\n2001:db8:bad::/48\n"),
    ("docker-compose.yml", "services:\n  nginx:\n    image: nginx\n    ports: [\"80:80\", \"443:443\"]\n"),
];

/// The value of `key=VALUE` behind a fence.
fn value<'a>(info: &'a str, key: &str) -> Option<&'a str> {
    info.split_whitespace().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

/// What is wrong with an example; `None` if it does what its fence says.
fn fault(directory: &Path, block: &Block, shared: &str) -> Option<String> {
    let alone = block.info.split_whitespace().any(|word| word == "alone" || word == "shared");
    let text = if alone { block.text.clone() } else { format!("{shared}{}", block.text) };
    std::fs::write(directory.join("example.fw"), text).expect("the directory is ours");
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_fwc")).current_dir(directory).args(arguments).output();
        let output = output.expect("fwc runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code(), said)
    };
    let targets = value(&block.info, "target").map_or_else(|| vec!["iptables", "nft"], |one| vec![one]);
    for target in targets {
        let (code, said) = run(&["check", "example.fw", "--format", "short", "--target", target]);
        if let Some(expected) = value(&block.info, "error") {
            if code != Some(1) || !said.contains(&format!("error[{expected}]")) {
                return Some(format!("{target}: should be refused with {expected}, but ends with {code:?}:\n{said}"));
            }
            continue;
        }
        if let Some(expected) = value(&block.info, "warning")
            && !said.contains(&format!("warning[{expected}]"))
        {
            return Some(format!("{target}: should be warned of with {expected}:\n{said}"));
        }
        let (code, said) = run(&["build", "example.fw", "--target", target, "-o", "out"]);
        if code != Some(0) {
            return Some(format!("{target}: does not build:\n{said}"));
        }
    }
    None
}

/// Compiles every policy on a page; gives how many there were.
fn compiles(page: &str) -> usize {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, text) in BESIDE {
        std::fs::write(directory.path().join(name), text).expect("the directory is ours");
    }
    let text = read(page);
    let all = blocks(&text);
    let policies: Vec<&Block> =
        all.iter().filter(|block| block.info.split_whitespace().next() == Some("fw")).collect();
    let is_shared = |block: &&&Block| block.info == "fw shared";
    let shared: String = policies.iter().filter(is_shared).map(|block| block.text.as_str()).collect();
    let faults: Vec<String> = policies
        .iter()
        .filter_map(|block| Some(format!("{page}:{}: {}", block.line, fault(directory.path(), block, &shared)?)))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    policies.len()
}

#[test]
fn every_policy_of_the_reference_compiles() {
    assert!(compiles("docs/language.md") > 50);
}

#[test]
fn the_reference_names_every_statement() {
    let page = read("docs/language.md");
    let words = [
        "allow", "deny", "reject", "log", "default", "assert", "use", "target", "include", "compose", "fact",
        "interface", "set", "service", "group", "guest", "instance", "network", "container", "apply", "mark", "dscp",
        "clamp", "notrack", "helper", "masquerade", "forward", "redirect", "chain",
    ];
    for word in words {
        let shown = blocks(&page).iter().any(|block| {
            let words = block.text.split(|letter: char| !letter.is_alphanumeric() && letter != '-');
            block.info.starts_with("fw") && words.into_iter().any(|other| other == word)
        });
        assert!(shown, "docs/language.md has no example of `{word}`");
    }
}
