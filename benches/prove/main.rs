//! What proofs cost, whole processes of the program: `fwc check` (rules that are shadowed, redundant or never match), `fwc build` with
//! the proof that the files mean what the policy means and without, `fwc diff` with an edited copy, and asserts.
//! `cargo bench --bench prove [RULES…]`.
//!
//! Policies and rule sets of a host (few rules overlap) and of a firewall between networks (prefixes of every length on both sides that
//! overlap widely, in the manner of ClassBench's firewall seeds). Milliseconds are of processor time, the least of some runs, for
//! other programs disturb the clock. Checks and proofs use several processors, so that the clock may say less; it is shown, too.
//! `growth` is the time a rule takes, as a multiple of what it took in the list a tenth as long. What misses what is to be reached
//! is marked: a check of 10,000 rules in 150 ms, of 50,000 of a firewall in 3 s and of 100,000 of a host in 1.5 s, a proved build of
//! 100,000 in 2 s, all on the clock; 300 MB. The peer is Capirca, which looks for a rule that one other shadows.

mod edits;
mod lists;
#[path = "../build/measure.rs"]
mod measure;
mod peer;
#[path = "../build/policies.rs"]
mod policies;

use std::process::ExitCode;

use measure::Taken;

const FWC: &str = env!("CARGO_BIN_EXE_fwc");
const SIZES: [u32; 3] = [1_000, 10_000, 100_000];
/// Bytes.
const MEMORY: u64 = 300_000_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let Some((measure::FLAG, rest)) = arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        return if measure::child(rest).is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let sizes: Vec<u32> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
    let sizes = if sizes.is_empty() { SIZES.to_vec() } else { sizes };
    if table(&sizes).is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What is done with a list.
struct Job {
    name: &'static str,
    arguments: &'static [&'static str],
    /// The files that it is done with.
    files: Files,
    /// Whether the files that it writes are proved.
    proved: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Files {
    One,
    /// The list and an edited copy.
    Two,
    /// The list with asserts.
    Asserting,
}

const fn job(name: &'static str, arguments: &'static [&'static str], files: Files, proved: bool) -> Job {
    Job { name, arguments, files, proved }
}

const POLICIES: [Job; 7] = [
    job("check", &["check", "--format", "short"], Files::One, false),
    job("check with 10 asserts", &["check", "--format", "short"], Files::Asserting, false),
    job("build iptables, not proved", &["build", "--no-verify", "--target", "iptables"], Files::One, false),
    job("build iptables", &["build", "--target", "iptables"], Files::One, true),
    job("build nft, not proved", &["build", "--no-verify", "--target", "nft"], Files::One, false),
    job("build nft", &["build", "--target", "nft"], Files::One, true),
    job("diff", &["diff"], Files::Two, false),
];
const LISTS: [Job; 2] =
    [job("check", &["check", "--format", "short"], Files::One, false), job("diff", &["diff"], Files::Two, false)];

fn table(sizes: &[u32]) -> Option<()> {
    println!(
        "| list | rules | what | ms | ms clock | µs a rule | growth | MB | |\n|---|---:|---|---:|---:|---:|---:|---:|---|"
    );
    for kind in policies::Kind::ALL {
        let write = |rules| kind.policy(rules);
        jobs(&format!("policy, {}", kind.name()), "fw", sizes, &POLICIES, &write)?;
    }
    for kind in lists::Kind::ALL {
        let write = |rules| kind.text(rules);
        jobs(&format!("rule set, {}", kind.name()), "v4", sizes, &LISTS, &write)?;
    }
    for rules in sizes.iter().copied().filter(|rules| *rules <= peer::MOST) {
        match peer::shadowed(rules) {
            Some(taken) => row("rule set, host", rules, "check by Capirca", taken, None, ""),
            None => println!("skipped: Capirca: it is not installed (pip install capirca), or not able to run"),
        }
    }
    Some(())
}

/// All jobs with one kind of list, of growing length.
fn jobs(list: &str, ending: &str, sizes: &[u32], jobs: &[Job], write: &dyn Fn(u32) -> String) -> Option<()> {
    let directory = tempfile::tempdir().ok()?;
    let mut before: Vec<Option<f64>> = vec![None; jobs.len()];
    for &rules in sizes {
        let text = write(rules);
        let file = |name: &str, text: &str| {
            let path = directory.path().join(format!("{name}.{ending}"));
            std::fs::write(&path, text).ok()?;
            path.to_str().map(str::to_owned)
        };
        let (one, other) = (file("rules", &text)?, file("edited", &edits::edited(&text))?);
        let asserting = file("asserting", &edits::asserting(&text))?;
        for (job, before) in jobs.iter().zip(&mut before) {
            let mut arguments = job.arguments.to_vec();
            match job.files {
                Files::One => arguments.push(&one),
                Files::Two => arguments.extend([one.as_str(), other.as_str()]),
                Files::Asserting => arguments.push(&asserting),
            }
            let runs = if rules < 100_000 { 5 } else { 3 };
            // A difference is 1, and so are errors that a check finds in rules.
            let finds = job.files == Files::Two || job.name == "check";
            let ends: &[i32] = if finds { &[0, 1] } else { &[0] };
            let Some(taken) = measure::best_ending(runs, FWC, &arguments, ends) else {
                println!("| {list} | {rules} | {} | it fails | | | | | |", job.name);
                continue;
            };
            let each = taken.processor * 1e6 / f64::from(rules);
            let growth = before.replace(each).map(|before| each / before);
            row(list, rules, job.name, taken, growth, &misses(list, rules, job, &arguments, taken));
        }
    }
    Some(())
}

fn row(list: &str, rules: u32, what: &str, taken: Taken, growth: Option<f64>, misses: &str) {
    let each = taken.processor * 1e6 / f64::from(rules);
    let growth = growth.map_or_else(|| "-".to_owned(), |growth| format!("{growth:.2}"));
    println!(
        "| {list} | {rules} | {what} | {:.0} | {:.0} | {each:.2} | {growth} | {} | {misses} |",
        taken.processor * 1e3,
        taken.seconds * 1e3,
        taken.memory / 1_000_000,
    );
}

/// What a job does not reach.
fn misses(list: &str, rules: u32, job: &Job, arguments: &[&str], taken: Taken) -> String {
    let (check, firewall) = (job.name == "check", list.ends_with("firewall"));
    let seconds = match rules {
        ..=10_000 if check => Some(0.15),
        ..=50_000 if check && firewall => Some(3.0),
        ..=100_000 if check && !firewall => Some(1.5),
        ..=100_000 if job.proved => Some(2.0),
        _ => None,
    };
    let mut misses = Vec::new();
    if seconds.is_some_and(|most| taken.seconds > most) {
        misses.push("too slow");
    }
    if taken.memory > MEMORY {
        misses.push("too large");
    }
    if (job.proved || job.files == Files::Two) && edits::leaves_open(FWC, arguments) {
        misses.push("a chain is left open");
    }
    misses.join(", ")
}
