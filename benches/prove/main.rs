//! What the proof costs that the files of a build mean what the policy means: `fwc build` with it and without, whole process, for
//! policies of 1,000, 10,000 and 100,000 rules. `cargo bench --bench prove`.
//!
//! What is to be reached: 100,000 rules in less than 2 seconds and less than 300 MB. Times are processor time: the two families
//! are compared side by side, so that the clock says less.

#[path = "../build/measure.rs"]
mod measure;
#[path = "../build/policies.rs"]
mod policies;

use std::process::ExitCode;

use policies::Kind;

const FWC: &str = env!("CARGO_BIN_EXE_fwc");
const SIZES: [u32; 3] = [1_000, 10_000, 100_000];
const RUNS: usize = 5;
/// Seconds.
const REACH: f64 = 2.0;
/// Bytes.
const MEMORY: u64 = 300_000_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some((measure::FLAG, rest)) = arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        return if measure::child(rest).is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    if table().is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn table() -> Option<()> {
    let directory = tempfile::tempdir().ok()?;
    let path = directory.path().join("site.fw");
    let path = path.to_str()?;
    println!("policy     rules  target     plain ms  proved ms  ms clock   MB  microseconds a rule  output MB");
    for kind in Kind::ALL {
        for rules in SIZES {
            std::fs::write(path, kind.policy(rules)).ok()?;
            for target in ["iptables", "nft"] {
                let plain = measure::best(RUNS, FWC, &["build", path, "--target", target, "--no-verify"]);
                let proved = measure::best(RUNS, FWC, &["build", path, "--target", target]);
                let (Some(plain), Some(proved)) = (plain, proved) else {
                    println!("{:9} {rules:6}  {target:8}  does not build", kind.name());
                    continue;
                };
                let late = if proved.seconds < REACH { "" } else { "  too slow" };
                let large = if proved.memory < MEMORY { "" } else { "  too large" };
                println!(
                    "{:9} {rules:6}  {target:8} {:9.0} {:10.0} {:9.0} {:4} {:20.2}  {:9.1}{late}{large}",
                    kind.name(),
                    plain.processor * 1e3,
                    proved.processor * 1e3,
                    proved.seconds * 1e3,
                    proved.memory / 1_000_000,
                    proved.processor * 1e6 / f64::from(rules),
                    proved.output as f64 / 1e6,
                );
            }
        }
    }
    Some(())
}
