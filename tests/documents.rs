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
        if let Some(expected) = value(&block.info, "note")
            && !said.contains(&format!("note[{expected}]"))
        {
            return Some(format!("{target}: {expected} should be noted:\n{said}"));
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
    let policies: Vec<&Block> = all.iter().filter(|block| block.info.split_whitespace().next() == Some("fw")).collect();
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
    assert!(compiles("docs/language.md") > 45);
}

#[test]
fn the_reference_names_every_statement() {
    let page = read("docs/language.md");
    let words = [
        "allow",
        "deny",
        "reject",
        "log",
        "default",
        "assert",
        "use",
        "target",
        "include",
        "compose",
        "fact",
        "interface",
        "set",
        "service",
        "group",
        "guest",
        "instance",
        "network",
        "container",
        "apply",
        "mark",
        "dscp",
        "clamp",
        "notrack",
        "helper",
        "masquerade",
        "forward",
        "redirect",
        "chain",
    ];
    for word in words {
        let shown = blocks(&page).iter().any(|block| {
            let words = block.text.split(|letter: char| !letter.is_alphanumeric() && letter != '-');
            block.info.starts_with("fw") && words.into_iter().any(|other| other == word)
        });
        assert!(shown, "docs/language.md has no example of `{word}`");
    }
}

/// What is left of `text` behind `part`, which has to be there as whole lines.
fn behind<'a>(text: &'a str, part: &str) -> Option<&'a str> {
    let at = if text.starts_with(part) { 0 } else { text.find(&format!("\n{part}"))? + 1 };
    text.get(at + part.len()..)
}

#[test]
fn the_readme_shows_what_the_program_prints() {
    let page = read("README.md");
    let all = blocks(&page);
    let policy = all.iter().find(|block| block.info == "fw").expect("a policy");
    assert_eq!(policy.text, read("examples/vps/site.fw"));
    let shown: Vec<&Block> = all.iter().filter(|block| block.text.starts_with("$ fwc ")).collect();
    assert_eq!(shown.len(), 2);
    let directory = tempfile::tempdir().expect("a directory");
    for block in shown {
        let (command, expected) = block.text.split_once('\n').expect("a command and what it prints");
        let arguments: Vec<&str> = command.split_whitespace().skip(2).collect();
        let mut run = Command::new(env!("CARGO_BIN_EXE_fwc"));
        run.args(&arguments).env_remove("CLICOLOR_FORCE");
        if arguments.first() == Some(&"check") {
            let line = expected.lines().find_map(|line| line.strip_prefix(" 1 │ ")).expect("the line in the message");
            std::fs::write(directory.path().join("site.fw"), format!("{line}\n")).expect("the directory is ours");
            run.current_dir(directory.path());
        } else {
            run.current_dir(env!("CARGO_MANIFEST_DIR"));
        }
        let printed = String::from_utf8(run.output().expect("fwc runs").stdout).expect("text");
        let mut rest = printed.as_str();
        for part in expected.split("…\n") {
            rest = behind(rest, part).unwrap_or_else(|| panic!("`{command}` does not print, in this order:\n{part}"));
        }
    }
}

#[test]
fn links_lead_somewhere() {
    for page in [
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "docs/ARCHITECTURE.md",
        "docs/language.md",
        "docs/platforms.md",
        "docs/facts.md",
        "examples/README.md",
    ] {
        let text = read(page);
        let here = project(page);
        let directory = here.parent().expect("a directory");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            assert!(path.is_empty() || directory.join(path).exists(), "{page}: `{link}` leads nowhere");
            let slug = |line: &str| line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
            if path.is_empty() && !anchor.is_empty() {
                assert!(
                    text.lines().any(|line| line.starts_with('#') && slug(line) == anchor),
                    "{page}: no `#{anchor}`"
                );
            }
        }
    }
}

#[test]
fn the_platforms_page_tells_every_fault_that_the_data_has() {
    let page = read("docs/platforms.md").replace('\n', " ").split_whitespace().collect::<Vec<_>>().join(" ");
    let mut told = 0;
    for entry in std::fs::read_dir(project("stdlib/platforms")).expect("the platforms") {
        let path = entry.expect("an entry").path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".toml")) else { continue };
        let text = std::fs::read_to_string(&path).expect("text");
        assert!(["host", "others"].contains(&name) || page.contains(&format!("| `{name}` |")), "{name} is not told of");
        for line in text.lines().filter_map(|line| line.strip_prefix("summary = \"")) {
            let summary = line.trim_end_matches('"');
            assert!(page.contains(&format!("**{summary}**")), "{name}: docs/platforms.md does not say: {summary}");
            told += 1;
        }
    }
    assert!(told > 10, "only {told} faults were found");
}
