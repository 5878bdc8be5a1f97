//! The pages of `fwc explain` are true: what a page shows first gives the code that the page is about, and what it shows to write
//! instead does not.
//!
//! Shown are policies (` ```fw `, or lines that are indented), facts (` ```json `) and compose files (` ```yaml `). A page whose example is of another kind,
//! or that takes more than an example, is in [`BY_OTHER_TESTS`].

use std::collections::BTreeSet;

use fwc::codes;
use fwc::database::{self, Database};
use fwc::diagnostic::Code;
use fwc::netfilter::Target;

use crate::fixture;

/// Pages that are not shown by an example alone, and what shows them.
const BY_OTHER_TESTS: &[(&str, &str)] = &[
    ("FW0371", "a facts file: `tests/expect/interfaces.fw`"),
    ("FW0001", "bytes that are no text: `syntax::tests`"),
    ("FW0006", "64 blocks: `syntax::tests::nesting_has_a_limit`"),
    ("FW0007", "4 MiB: `syntax::tests::a_statement_has_a_greatest_length`"),
    ("FW0008", "500 faults: `syntax::tests::nesting_has_a_limit`"),
    ("FW0029", "4 GiB"),
    ("FW0030", "500 faults: `syntax::tests::nesting_has_a_limit`"),
    ("FW0117", "a set's file: `tests/check/names.fw`"),
    ("FW0151", "a directory: `project::tests`"),
    ("FW0153", "bytes that are no text: `project::tests`"),
    ("FW0317", "a policy and a compose file: `tests/check/swarm.fw`"),
    ("FW0409", "a policy and a facts file: `facts::tests`"),
    ("FW0430", "two compose files: `tests/check/projects.fw`"),
    ("FW0503", "a long text: `tests/check/limits.fw`"),
    ("FW0550", "1000 files: `project::tests`"),
    ("FW0551", "64 names: `tests/check/names.fw`"),
    ("FW0552", "a million rules: `tests/hostile.rs`"),
    ("FW0606", "more work than there is time for: `fwc::verify`"),
    ("FW0809", "more work than there is time for: `prove::findings`"),
    ("FW0601", "checks find it before: `tests/emit`"),
    ("FW0602", "checks find it before: `tests/emit`"),
    ("FW0603", "checks find it before: `tests/emit`"),
    ("FW0605", "checks find it before: `tests/emit`"),
    ("FW0824", "400,000 steps: `prove::asserts`"),
    ("FW0825", "a policy and a file of tests: `cli::test`"),
];

/// Names that pages use as the reference does.
const SHARED: [(&str, &str); 4] = [
    ("wan", "interface wan = eth0"),
    ("lan", "interface lan = eth1"),
    ("vpn", "interface vpn = wg0"),
    ("office", "set office = { 198.51.100.0/24, 2001:db8:1::/48 }"),
];

/// Files that pages name.
const BESIDE: [(&str, &str); 3] = [
    ("base.fw", "allow ssh from 198.51.100.0/24 to host\n"),
    ("blocklist.txt", ""),
    (
        "docker-compose.yml",
        "services:\n  web: { image: nginx, ports: [\"8080:80\", \"443:443\"] }\n  app: { image: app }\n  db: { image: db }\n  \
         metrics: { image: metrics, network_mode: host }\n  resolver: { image: dns, networks: [outer] }\n\
         networks: { outer: { driver: macvlan } }\n",
    ),
];

/// The examples of a page: their kind (`fw`, `json`, …) and text. Lines that are indented are a policy.
fn examples(page: &str) -> Vec<(String, String)> {
    let mut list: Vec<(String, String)> = Vec::new();
    let (mut fence, mut run) = (false, false);
    for line in page.lines() {
        if let Some(kind) = line.strip_prefix("```") {
            fence = !fence;
            run = false;
            if fence {
                list.push((kind.to_owned(), String::new()));
            }
            continue;
        }
        let shown = if fence { Some(line) } else { line.strip_prefix("    ") };
        match shown {
            Some(text) => {
                if !fence && !run {
                    list.push(("fw".to_owned(), String::new()));
                    run = true;
                }
                if let Some((_, example)) = list.last_mut() {
                    example.push_str(text);
                    example.push('\n');
                }
            }
            None => run = false,
        }
    }
    list
}

/// The codes that an example gives.
fn given(kind: &str, text: &str) -> BTreeSet<&'static str> {
    let form = match kind {
        "iptables" => Some(fwc::read::Form::Iptables(Some(fwc::net::Family::Ipv4))),
        "nft" => Some(fwc::read::Form::Nft),
        "sh" if text.starts_with("#!") => Some(fwc::read::Form::Script),
        _ => None,
    };
    if let Some(form) = form {
        let source = fwc::span::SourceText { path: "rules".into(), text: text.into() };
        let found = fwc::rules::listing::listing(&source, form, fwc::net::Family::Ipv4, &[], true, |_, _, _| true);
        return found.iter().map(|one| one.code.number).collect();
    }
    if kind == "compose" {
        let root = |path: &str, text: &str| fwc::project::Root { path: path.into(), bytes: text.as_bytes().to_vec() };
        let silent = fwc::rules::compose::silent_policy(&root("compose.yml", text)).expect("a compose file");
        let system = fwc::project::MemoryFileSystem::new([("compose.yml", text.as_bytes())]);
        let mut db = fwc::database::Database::default();
        let input = db.load(&system, silent, fwc::project::Options::default());
        let found = fwc::rules::compose::check(&fwc::database::resolved(&db, input).0);
        return found.iter().map(|one| one.code.number).collect();
    }
    let mut files: Vec<(String, String)> =
        BESIDE.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    let mut policy = "allow ssh from 198.51.100.0/24 to host\n".to_owned();
    match kind {
        "json" => {
            files.push(("fwc.facts.json".to_owned(), text.to_owned()));
        }
        "yaml" => {
            let whole = if text.contains("services") { text.to_owned() } else { in_a_service(text) };
            files.retain(|(name, _)| name != "docker-compose.yml");
            files.push(("docker-compose.yml".to_owned(), whole));
            policy.push_str("compose \"docker-compose.yml\"\n");
        }
        _ => {
            let word = |name: &str| {
                text.split(|letter: char| !(letter.is_alphanumeric() || "-_.\"".contains(letter)))
                    .any(|one| one == name)
            };
            let declared =
                |name: &str| ["interface", "set"].iter().any(|kind| text.contains(&format!("{kind} {name}")));
            let shared = SHARED.iter().filter(|(name, _)| word(name) && !declared(name));
            policy = shared.map(|(_, line)| format!("{line}\n")).collect::<String>() + text;
        }
    }
    files.insert(0, ("site.fw".to_owned(), policy));
    let mut codes = BTreeSet::new();
    for target in [Target::Iptables, Target::Nft] {
        let mut db = Database::default();
        let input = fixture::load(&mut db, &files, Some(target));
        codes.extend(database::compile(&db, input, "site".to_owned()).diagnostics.iter().map(|one| one.code.number));
    }
    codes
}

/// A part of a service, as pages show it.
fn in_a_service(part: &str) -> String {
    if part.starts_with("networks") {
        return format!("services: {{}}\n{part}");
    }
    let lines: String = part.lines().map(|line| format!("    {line}\n")).collect();
    format!("services:\n  web:\n{lines}")
}

/// What is wrong with a page.
fn fault(code: &Code) -> Option<String> {
    let all = examples(code.explanation);
    let mut shown = all
        .iter()
        .filter(|(kind, _)| ["fw", "json", "yaml", "iptables", "nft", "sh", "compose"].contains(&kind.as_str()));
    let Some((kind, first)) = shown.next() else { return Some("has no example that can be tried".to_owned()) };
    let codes = given(kind, first);
    if !codes.contains(code.number) {
        return Some(format!("its first example gives {codes:?}"));
    }
    let second = shown.find(|(other, _)| other == kind);
    second
        .filter(|(kind, text)| given(kind, text).contains(code.number))
        .map(|_| "its second example gives it, too".to_owned())
}

#[test]
fn every_page_shows_what_it_is_about() {
    let mut faults = Vec::new();
    for code in codes::all() {
        let elsewhere = BY_OTHER_TESTS.iter().any(|(number, _)| *number == code.number);
        match fault(code) {
            Some(fault) if !elsewhere => faults.push(format!("{} {}: {fault}", code.number, code.name)),
            None if elsewhere => faults.push(format!("{} {}: is shown by its example now", code.number, code.name)),
            _ => {}
        }
    }
    assert!(faults.is_empty(), "{} pages:\n{}", faults.len(), faults.join("\n"));
}
