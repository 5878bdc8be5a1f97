//! Time and memory of `fwc build`, whole process, for policies of 1,000, 10,000 and 100,000 rules on both back ends, beside
//! ferm on the same 10,000 lines; and the time of each stage. `cargo bench --bench build`. Each build is measured without the proof that
//! its files mean what the policy means (`--no-verify`) and with it, as users have it.
//!
//! What is to be reached without the proof: 10,000 rules in less than 60 ms, 100,000 in less than 0.7 s, and less than 500 bytes of
//! memory a rule beyond the source; with it 100,000 in 2 s and 300 MB. The lines that miss are marked.

mod ferm;
mod measure;
mod policies;
mod stages;

use std::process::ExitCode;

use fwc::netfilter::Target;
use measure::Taken;
use policies::Kind;

const FWC: &str = env!("CARGO_BIN_EXE_fwc");
const SIZES: [u32; 3] = [1_000, 10_000, 100_000];
const TARGETS: [(&str, Target); 2] = [("iptables", Target::Iptables), ("nft", Target::Nft)];
const RUNS: usize = 7;
/// Bytes a rule.
const MEMORY: f64 = 500.0;

/// Bytes, with the proof.
const PROVED_MEMORY: u64 = 300_000_000;

/// Seconds that a build of so many rules may take.
fn reach(rules: u32, proved: bool) -> f64 {
    match (rules, proved) {
        (..=10_000, false) => 0.060,
        (_, false) => 0.7,
        (_, true) => 2.0,
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some((measure::FLAG, rest)) = arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        return if measure::child(rest).is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    if table().is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn table() -> Option<()> {
    let directory = tempfile::tempdir().ok()?;
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).ok()?;
        Some(path.to_str()?.to_owned())
    };
    let small = write("small.fw", "allow tcp 443 from 10.1.1.1 to container via ens33\n")?;
    let start = build(&small, "iptables", false)?;
    println!("one rule: {:.1} ms, {:.1} MB", start.seconds * 1e3, mega(start.memory));

    let lines = write("lines.ferm", &ferm::lines(10_000))?;
    let ferm = measure::best(3, "ferm", &["--noexec", "--lines", &lines]);
    match ferm {
        Some(ferm) => println!("ferm, 10000 address lines: {:.0} ms, {:.0} MB", ferm.seconds * 1e3, mega(ferm.memory)),
        None => println!("ferm: not installed, or not able to run"),
    }

    println!("\npolicy     rules   target    proof      ms  processor ms  ferm/fwc  bytes/rule   output MB");
    for kind in Kind::ALL {
        for rules in SIZES {
            let text = kind.policy(rules);
            let path = write("site.fw", &text)?;
            for ((name, _), proved) in TARGETS.into_iter().flat_map(|target| [(target, false), (target, true)]) {
                let Some(taken) = build(&path, name, proved) else {
                    println!("{:9} {rules:6}   {name:8}  does not build", kind.name());
                    continue;
                };
                let own = taken.memory.saturating_sub(start.memory) as f64 - text.len() as f64;
                let memory = own / f64::from(rules);
                let ratio = ferm
                    .filter(|_| rules == 10_000)
                    .map_or(String::from("-"), |ferm| format!("{:.0}", ferm.seconds / taken.seconds));
                let late = if taken.seconds < reach(rules, proved) { "" } else { "  too slow" };
                let fits = if proved { taken.memory < PROVED_MEMORY } else { memory < MEMORY };
                let large = if fits { "" } else { "  too large" };
                let proof = if proved { "yes" } else { "no" };
                println!(
                    "{:9} {rules:6}   {name:8}  {proof:5} {:6.1}  {:12.1}  {ratio:>8}  {memory:10.0}  {:10.1}{late}{large}",
                    kind.name(),
                    taken.seconds * 1e3,
                    taken.processor * 1e3,
                    mega(taken.output),
                );
            }
        }
    }

    println!("\nmilliseconds of each stage, in one process");
    println!("policy     rules   target    {}", stages::NAMES.map(|name| format!("{name:>8}")).join(" "));
    for kind in Kind::ALL {
        for rules in SIZES {
            let text = kind.policy(rules);
            for (name, target) in TARGETS {
                let times = stages::times(&text, target, 3).map(|time| format!("{time:8.1}")).join(" ");
                println!("{:9} {rules:6}   {name:8}  {times}", kind.name());
            }
        }
    }
    Some(())
}

fn build(path: &str, target: &str, proved: bool) -> Option<Taken> {
    let arguments = ["build", path, "--target", target, "--no-verify"];
    let given = arguments.len() - usize::from(proved);
    measure::best(RUNS, FWC, arguments.get(..given)?)
}

fn mega(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
