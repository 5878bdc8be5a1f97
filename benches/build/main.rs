//! Time and memory of `fwc build`, whole process, for policies of 1,000, 10,000 and 100,000 rules on both back ends, beside
//! ferm on the same 10,000 lines; and the time of each stage. `cargo bench --bench build`.
//!
//! What is to be reached: 10,000 rules in less than 60 ms, 100,000 in less than 0.7 s, and less than 500 bytes of memory a rule
//! beyond the source. The lines that miss are marked.

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

/// Seconds that a build of so many rules may take.
fn reach(rules: u32) -> f64 {
    if rules <= 10_000 { 0.060 } else { 0.7 }
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
    let start = build(&small, "iptables")?;
    println!("one rule: {:.1} ms, {:.1} MB", start.seconds * 1e3, mega(start.memory));

    let lines = write("lines.ferm", &ferm::lines(10_000))?;
    let ferm = measure::best(3, "ferm", &["--noexec", "--lines", &lines]);
    match ferm {
        Some(ferm) => println!("ferm, 10000 address lines: {:.0} ms, {:.0} MB", ferm.seconds * 1e3, mega(ferm.memory)),
        None => println!("ferm: not installed, or not able to run"),
    }

    println!("\npolicy     rules   target      ms  processor ms  ferm/fwc  bytes/rule   output MB");
    for kind in Kind::ALL {
        for rules in SIZES {
            let text = kind.policy(rules);
            let path = write("site.fw", &text)?;
            for (name, _) in TARGETS {
                let Some(taken) = build(&path, name) else {
                    println!("{:9} {rules:6}   {name:8}  does not build", kind.name());
                    continue;
                };
                let own = taken.memory.saturating_sub(start.memory) as f64 - text.len() as f64;
                let memory = own / f64::from(rules);
                let ratio = ferm
                    .filter(|_| rules == 10_000)
                    .map_or(String::from("-"), |ferm| format!("{:.0}", ferm.seconds / taken.seconds));
                let late = if taken.seconds < reach(rules) { "" } else { "  too slow" };
                let large = if memory < MEMORY { "" } else { "  too large" };
                println!(
                    "{:9} {rules:6}   {name:8} {:6.1}  {:12.1}  {ratio:>8}  {memory:10.0}  {:10.1}{late}{large}",
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

fn build(path: &str, target: &str) -> Option<Taken> {
    measure::best(RUNS, FWC, &["build", path, "--target", target])
}

fn mega(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
