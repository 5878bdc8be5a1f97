//! How long a full check takes, and how it grows: `cargo bench --bench findings [RULES…]`.
//!
//! Rule sets are read and looked at; policies are parsed, resolved, checked, lowered and looked at. Each case runs in a process of its own, so that
//! its memory is its own; the least processor time of several runs counts, because other programs disturb the clock.

#[path = "lists.rs"]
mod lists;
#[path = "../build/policies.rs"]
mod policies;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use fwc::database::{self, Database};
use fwc::diagnostic::Diagnostic;
use fwc::net::Family;
use fwc::project::{Entry, Options, ReadError, Root, System};
use fwc::prove::findings::listing::listing;
use fwc::read::Form;
use fwc::span::SourceText;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;

/// The argument that makes this program the process of one case.
const ONE: &str = "--one";
/// Runs of each case.
const RUNS: usize = 3;

struct Alone;

impl System for Alone {
    fn read(&self, _: &Path, _: u64) -> Result<Vec<u8>, ReadError> {
        Err(ReadError::NotFound)
    }
    fn identity(&self, _: &Path) -> Option<PathBuf> {
        None
    }
    fn list(&self, _: &Path) -> Result<Vec<Entry>, ReadError> {
        Err(ReadError::NotFound)
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [flag, name, rules] = arguments.as_slice()
        && flag == ONE
    {
        one(name, rules.parse().expect("a number"));
        return;
    }
    let sizes: Vec<u32> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
    let sizes = if sizes.is_empty() { vec![1_000, 10_000, 50_000, 100_000] } else { sizes };
    println!("| list | rules | seconds | µs a rule | MiB | found |\n|---|---:|---:|---:|---:|---|");
    for name in ["rules: host", "rules: firewall", "policy: addresses", "policy: host"] {
        for &rules in &sizes {
            let runs = (0..RUNS).map(|_| child(name, rules));
            let best = runs.min_by(|a, b| a.0.total_cmp(&b.0));
            let Some((seconds, memory, found)) = best else { continue };
            let each = seconds * 1e6 / f64::from(rules);
            println!("| {name} | {rules} | {seconds:.3} | {each:.1} | {} | {found} |", memory >> 10);
        }
    }
}

/// Processor seconds, KiB, and what was found.
fn child(name: &str, rules: u32) -> (f64, i64, String) {
    let own = std::env::current_exe().expect("this program");
    let output = Command::new(own).args([ONE, name, &rules.to_string()]).output().expect("it runs");
    let text = String::from_utf8(output.stdout).expect("text");
    let mut parts = text.trim().splitn(3, ' ');
    let mut next = || parts.next().unwrap_or_default().to_owned();
    (next().parse().unwrap_or(f64::NAN), next().parse().unwrap_or(0), next())
}

fn one(name: &str, rules: u32) {
    let list = lists::Kind::ALL.into_iter().find(|kind| name == format!("rules: {}", kind.name()));
    let policy = policies::Kind::ALL.into_iter().find(|kind| name == format!("policy: {}", kind.name()));
    let text = list.map(|kind| kind.text(rules)).or_else(|| policy.map(|kind| kind.policy(rules))).expect("a case");
    let before = processor();
    let found: Vec<Diagnostic> = if list.is_some() {
        let source = SourceText { path: "rules.v4".into(), text: text.into() };
        listing(&source, Form::Iptables(Some(Family::Ipv4)), Family::Ipv4, &[], false, |_, _, _| true)
    } else {
        let mut db = Database::default();
        let root = Root { path: PathBuf::from("site.fw"), bytes: text.into_bytes() };
        let input = db.load(&Alone, root, Options::default());
        let said = database::compile(&db, input, "site".to_owned()).diagnostics.clone();
        said.into_iter().chain(database::findings(&db, input, false).iter().cloned()).collect()
    };
    let seconds = processor() - before;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for one in &found {
        *counts.entry(one.code.number).or_default() += 1;
    }
    let counts: Vec<String> = counts.iter().map(|(code, count)| format!("{code} {count}")).collect();
    let memory = getrusage(UsageWho::RUSAGE_SELF).expect("usage").max_rss();
    println!("{seconds} {memory} {}", counts.join(", "));
}

fn processor() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("usage");
    let time = |value: nix::sys::time::TimeVal| value.num_microseconds() as f64 / 1e6;
    time(usage.user_time()) + time(usage.system_time())
}
