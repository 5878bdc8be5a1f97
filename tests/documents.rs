//! What the documents show is true: every policy in them compiles, every output is what the program writes.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fixture::Fixture;

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
    // A file is part of a session, which is tried as a whole.
    let is_example =
        |block: &&Block| block.info.split_whitespace().next() == Some("fw") && value(&block.info, "file").is_none();
    let policies: Vec<&Block> = all.iter().filter(is_example).collect();
    let is_shared = |block: &&&Block| block.info == "fw shared";
    let shared: String = policies.iter().filter(is_shared).map(|block| block.text.as_str()).collect();
    let faults: Vec<String> = policies
        .iter()
        .filter_map(|block| Some(format!("{page}:{}: {}", block.line, fault(directory.path(), block, &shared)?)))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    policies.len()
}

/// Every policy of the book, with the files that it names.
pub fn policies() -> Vec<Fixture> {
    let mut found = Vec::new();
    for page in pages().iter().filter(|page| *page != "docs/diagnostics.md") {
        let text = read(page);
        let all = blocks(&text);
        let shared: String = all.iter().filter(|block| block.info == "fw shared").map(|block| &*block.text).collect();
        for block in all.iter().filter(|block| block.info.split_whitespace().next() == Some("fw")) {
            let alone = block.info.split_whitespace().any(|word| word == "alone" || word == "shared");
            let policy = if alone { block.text.clone() } else { format!("{shared}{}", block.text) };
            let mut fixture = Fixture::new(&format!("{page}:{}", block.line), &policy);
            fixture.files.extend(BESIDE.map(|(name, text)| (name.to_owned(), text.to_owned())));
            found.push(fixture);
        }
    }
    found
}

/// The pages of the book, by the paths that its summary gives them.
fn pages() -> Vec<String> {
    let summary = read("docs/SUMMARY.md");
    let links = summary.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    links.map(|(link, _)| format!("docs/{link}")).collect()
}

#[test]
fn every_policy_of_the_book_compiles() {
    let mut compiled = 0;
    for page in pages() {
        // The examples of diagnostics are tried where each is declared.
        if page != "docs/diagnostics.md" {
            compiled += compiles(&page);
        }
    }
    assert!(compiled > 60, "only {compiled} policies were found");
}

#[test]
fn every_page_is_in_the_book_once() {
    let mut named = pages();
    named.sort();
    let mut there = vec![];
    for directory in ["docs", "docs/coming-from"] {
        for entry in std::fs::read_dir(project(directory)).expect("the documents") {
            let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
            if name.ends_with(".md") && name != "SUMMARY.md" {
                there.push(format!("{directory}/{name}"));
            }
        }
    }
    there.sort();
    assert_eq!(named, there);
}

/// Whether a command's output is what a page shows; `…` alone on a line stands for any lines.
fn is_shown(printed: &str, shown: &str) -> bool {
    let mut parts = shown.split("…\n");
    let Some(mut rest) = printed.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, between)) = parts.split_last() else { return rest.is_empty() };
    for part in between {
        match behind(rest, part) {
            Some(left) => rest = left,
            None => return false,
        }
    }
    last.is_empty() || rest == *last || rest.ends_with(&format!("\n{last}"))
}

/// Writes the files of a page's `file=NAME` blocks and runs the commands of its `console` blocks, in their order, in a directory of
/// the page's own. Gives how many commands there were.
fn session(page: &str) -> usize {
    let directory = tempfile::tempdir().expect("a directory");
    let program = Path::new(env!("CARGO_BIN_EXE_fwc")).parent().expect("it is in a directory");
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
    let text = read(page);
    let mut commands = 0;
    let mut faults = Vec::new();
    for block in blocks(&text) {
        if let Some(name) = value(&block.info, "file") {
            std::fs::write(directory.path().join(name), &block.text).expect("the directory is ours");
        }
        if block.info != "console" {
            continue;
        }
        for part in format!("\n{}", block.text).split("\n$ ").skip(1) {
            let (command, shown) = part.split_once('\n').unwrap_or((part, ""));
            let shown = if shown.is_empty() || shown.ends_with('\n') { shown.to_owned() } else { format!("{shown}\n") };
            let mut run = Command::new("sh");
            run.args(["-c", &format!("{command} 2>&1")]).current_dir(directory.path());
            let output = run.env("PATH", &path).env_remove("CLICOLOR_FORCE").output().expect("a shell runs");
            let printed = String::from_utf8_lossy(&output.stdout).into_owned();
            commands += 1;
            if !is_shown(&printed, &shown) {
                faults.push(format!("{page}:{}: `{command}` prints\n{printed}", block.line));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    commands
}

#[test]
fn every_session_of_the_book_prints_what_it_shows() {
    let commands: usize = pages().iter().map(|page| session(page)).sum();
    assert!(commands > 10, "only {commands} commands were found");
}

#[test]
fn what_is_shown_is_compared() {
    assert!(is_shown("a\nb\nc\n", "a\n…\nc\n") && is_shown("a\nb\n", "…\nb\n") && is_shown("a\n", "a\n"));
    assert!(is_shown("a\nb\nc\n", "a\n…\n") && is_shown("a\nb\nc\n", "…\nb\n…\n"));
    assert!(!is_shown("a\nb\n", "a\n") && !is_shown("a\nb\n", "…\na\n") && !is_shown("ab\n", "…\nb\n"));
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

/// What a heading is called in a link, on the forges and in the book alike.
fn slug(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
    kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
}

fn read_path(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn links_lead_somewhere() {
    let others = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "examples/README.md", "docs/SUMMARY.md"];
    for page in others.map(str::to_owned).into_iter().chain(pages()) {
        let text = read(&page);
        let here = project(&page);
        let directory = here.parent().expect("a directory");
        let links = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link);
        // Nobody asks the network here.
        for link in links.filter(|link| !link.starts_with("https://")) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            assert!(path.is_empty() || directory.join(path).exists(), "{page}: `{link}` leads nowhere");
            if !anchor.is_empty() {
                let target = if path.is_empty() { text.clone() } else { read_path(&directory.join(path)) };
                let found = target.lines().any(|line| line.starts_with('#') && slug(line) == anchor);
                assert!(found, "{page}: `{link}`: no such heading");
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
