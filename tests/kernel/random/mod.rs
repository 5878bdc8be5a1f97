//! Random policies through the kernel's own tools: what is built is loaded and attached, one after another over the one before, into one
//! namespace for each tool, then detached, and the rules are those of before.
//!
//! A run has a seed of its own, which it prints; `FWC_SEED` repeats it, and `FWC_POLICIES` says how many policies are loaded by each tool.
//! A policy that the compiler refuses is no fault, and does not count: the statements with errors are taken out, and what is left is tried.

mod policy;

use std::fmt::Write as _;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use fwc::database::Database;
use fwc::project::{MemoryFileSystem, Options, Root};
use fwc::syntax::tree::Target;

use super::attached::{attach, rules};
use super::emitted::{Backend, Files, load};
use super::namespace::{HostPlan, Namespace, at_once, inside};
use policy::Writer;

/// Policies that each tool loads in an ordinary run.
const POLICIES: usize = 300;

/// Policies that are built before the next ones: what is built waits for the tools.
const BATCH: u64 = 16;

/// Faults that are told; the first ones say enough.
const TOLD: usize = 12;

const CARDS: &str = "eth0 203.0.113.10/24 2001:db8::10/64
    eth1 192.168.2.1/24 fd00:2::1/64";

/// What others have written before: bans, Docker's chain for its users, translations.
const FOREIGN: &str = "*nat
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
COMMIT
*filter
:f2b-sshd - [0:0]
:DOCKER-USER - [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -p tcp -m tcp --dport 22 -j f2b-sshd
-A FORWARD -j DOCKER-USER
-A FORWARD -i docker0 -j ACCEPT
-A DOCKER-USER -s 198.51.100.9/32 -j DROP
COMMIT
";

/// What became of a policy.
enum Outcome {
    /// Built: its text, its files, and whether all of it was proved equal to the policy.
    Built(String, Files, bool),
    /// Refused, with an error that has a place.
    Refused,
    /// A fault of the compiler.
    Broken(String),
}

/// Builds a policy in this process. Statements with errors are taken out.
fn build(seed: u64, target: Target) -> Outcome {
    let policy::Policy { mut statements, facts } = Writer::policy(seed, target);
    for _ in 0..12 {
        let text = statements.join("\n") + "\n";
        let compiled = std::panic::catch_unwind(AssertUnwindSafe(|| compile(&text, facts)));
        let Ok((lines, compiled)) = compiled else {
            return Outcome::Broken(format!("the compiler panics:\n{text}"));
        };
        if let Some(found) = compiled.disagreement {
            return Outcome::Broken(format!("{}\n{text}", found.0));
        }
        if lines.is_empty() {
            let proved = compiled.diagnostics.iter().all(|one| one.code.number != "FW0606");
            let files = compiled.outputs.into_iter().collect();
            return Outcome::Built(text, files, proved);
        }
        let mut at = 1;
        let before = statements.len();
        statements.retain(|statement| {
            let from = at;
            at += statement.lines().count().max(1);
            !lines.iter().any(|line| (from..at).contains(line))
        });
        if statements.len() == before {
            return Outcome::Refused;
        }
    }
    Outcome::Refused
}

/// The lines that keep a policy from being loaded: those with errors, and those that are written as they are, unchecked.
fn compile(text: &str, facts: Option<&str>) -> (Vec<usize>, fwc::database::Compiled) {
    let mut db = Database::default();
    let root = Root { path: PathBuf::from("site.fw"), bytes: text.as_bytes().to_vec() };
    let facts = facts.map(|name| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/hosts/{name}.facts.json"));
        Root { bytes: std::fs::read(&path).expect("facts"), path: PathBuf::from("fwc.facts.json") }
    });
    let input = db.load(&MemoryFileSystem::default(), root, Options { facts, ..Options::default() });
    let (files, compiled) = db.compile_once(input, "site", &[], true);
    let mut lines = Vec::new();
    for diagnostic in compiled.diagnostics.iter().filter(|one| one.is_error() || one.code.number == "FW0717") {
        let place = diagnostic.primary.location;
        let file = files.get(place.file.0 as usize).filter(|file| &*file.path == "site.fw");
        let before = file.and_then(|file| file.text.get(..place.span.range().start));
        // An error without a line of the policy leaves nothing to take out.
        lines.push(before.map_or(usize::MAX, |before| before.matches('\n').count() + 1));
    }
    (lines, compiled)
}

/// A policy that was built, on its way to a tool.
struct Job {
    seed: u64,
    text: String,
    files: Files,
}

/// Counts and faults of a run.
#[derive(Default)]
struct Report {
    faults: Vec<String>,
    /// Rule sets that this kernel cannot take, by what it lacks.
    skipped: usize,
}

impl Report {
    fn fault(&mut self, what: String) {
        self.faults.push(what);
    }
}

/// Loads whatever comes, over what was there before.
fn loads(namespace: &Namespace, backend: Backend, jobs: &Receiver<Arc<Job>>, report: &Mutex<Report>) -> usize {
    let name = format!("{backend:?}");
    namespace.forget_rules();
    for program in ["iptables", "ip6tables"] {
        let foreign = if program == "iptables" { FOREIGN.to_owned() } else { of_ipv6(FOREIGN) };
        let program = format!("{program}-{}-restore", backend.variant());
        namespace.run(&program, &["-w", "--noflush"], &foreign).expect("the test's own rules");
    }
    let before = rules(namespace, backend);
    let mut count = 0;
    let mut last = None;
    for job in jobs {
        // These kernels have no connection tracking for bridged frames: nft reads the rules and asks the kernel for the rest in vain.
        if job.files.iter().any(|(name, text)| name.ends_with("site.nft") && text.contains("table bridge fwc {")) {
            let script = job.files.iter().find(|(name, _)| name.ends_with("site.nft")).map_or("", |(_, text)| text);
            if let Err(error) = namespace.run("nft", &["-c", "-f", "-"], script)
                && !error.contains("Could not process rule")
            {
                report.lock().expect("a lock").fault(told(&job, &name, &error));
            }
            report.lock().expect("a lock").skipped += 1;
            continue;
        }
        match load(namespace, &job.files, backend) {
            Ok(()) => count += 1,
            Err(error) => report.lock().expect("a lock").fault(told(&job, &name, &error)),
        }
        last = Some(job);
    }
    let Some(last) = last else { return count };
    attach(namespace, &last.files, backend, "detach");
    let after = rules(namespace, backend);
    if after != before {
        let gone = before.iter().filter(|line| !after.contains(line)).map(|line| format!("- {line}"));
        let new = after.iter().filter(|line| !before.contains(line)).map(|line| format!("+ {line}"));
        let difference: Vec<String> = gone.chain(new).take(20).collect();
        report.lock().expect("a lock").fault(format!("{name}: detached, but changed:\n{}", difference.join("\n")));
    }
    count
}

/// Rules of the test's own for the other family.
fn of_ipv6(text: &str) -> String {
    text.replace("172.17.0.0/16", "fd00:17::/64").replace("198.51.100.9/32", "2001:db8:9::9/128")
}

fn told(job: &Job, tool: &str, error: &str) -> String {
    let error: String = error.chars().take(700).collect();
    let numbers = error.split(|letter: char| !letter.is_ascii_digit()).filter_map(|word| word.parse::<usize>().ok());
    let mut text = format!("{tool}, seed {}:\n{error}\n", job.seed);
    // The lines that the tool names, in every file that has them.
    for number in numbers.filter(|number| *number > 3).take(2) {
        for (name, file) in &job.files {
            if let Some(line) = file.lines().nth(number - 1).filter(|line| !line.starts_with(['#', ':'])) {
                let _ = writeln!(text, "  {name}:{number}: {line}");
            }
        }
    }
    text + "\n" + &job.text
}

/// The number that an environment variable has, if it is set.
pub fn number(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .map(|value| value.parse().unwrap_or_else(|_| panic!("{variable} is no number: {value}")))
}

/// The seed of a run: `FWC_SEED`, or another one each time.
pub fn seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.as_secs());
    number("FWC_SEED").unwrap_or(now)
}

#[test]
fn random_policies_load() {
    let seed = seed();
    let wanted = number("FWC_POLICIES").map_or(POLICIES, |count| usize::try_from(count).expect("a count"));
    println!("FWC_SEED={seed} FWC_POLICIES={wanted}");
    let start = Instant::now();
    let report = Mutex::new(Report::default());
    let plan = HostPlan::parse(CARDS);
    let channels = Backend::ALL.iter().map(|_| sync_channel::<Arc<Job>>(64));
    let (senders, receivers): (Vec<_>, Vec<_>) = channels.unzip();
    let mut refused = 0;
    let counts: Vec<Option<usize>> = std::thread::scope(|scope| {
        let (report, plan) = (&report, &plan);
        let tools: Vec<_> = Backend::ALL
            .iter()
            .zip(receivers)
            .map(|(&backend, jobs)| {
                let name = format!("random_policies_load, {backend:?}");
                scope.spawn(move || inside(&name, plan, move |namespace| loads(namespace, backend, &jobs, report)))
            })
            .collect();
        let mut next = seed;
        let mut built = [0usize; 2];
        let mut unproved = 0;
        let mut open = senders;
        while built.iter().any(|count| *count < wanted) && !open.is_empty() {
            let batch: Vec<(u64, Target)> =
                (next..next + BATCH).flat_map(|seed| [(seed, Target::Iptables), (seed, Target::Nft)]).collect();
            next += BATCH;
            let outcomes = at_once(2, &batch, |&(seed, target)| build(seed, target));
            for ((seed, target), outcome) in batch.into_iter().zip(outcomes) {
                let at = usize::from(target == Target::Nft);
                match outcome {
                    Outcome::Built(text, files, proved) if built[at] < wanted => {
                        built[at] += 1;
                        if !proved {
                            println!("not proved: seed {seed} for {target:?}");
                            unproved += 1;
                        }
                        let job = Arc::new(Job { seed, text, files });
                        // A tool that is skipped takes nothing.
                        for (backend, sender) in Backend::ALL.iter().zip(&open) {
                            if (*backend == Backend::Nft) == (target == Target::Nft) {
                                let _ = sender.send(Arc::clone(&job));
                            }
                        }
                    }
                    Outcome::Built(..) => {}
                    Outcome::Refused => refused += 1,
                    Outcome::Broken(what) => report.lock().expect("a lock").fault(format!("seed {seed}: {what}")),
                }
            }
            if report.lock().expect("a lock").faults.len() > TOLD * 8 {
                break;
            }
        }
        open.clear();
        // What takes too much work, and nothing else.
        assert!(unproved * 100 <= built.iter().sum::<usize>(), "{unproved} of {built:?} are not proved");
        tools.into_iter().map(|tool| tool.join().expect("a tool's thread")).collect()
    });
    let report = report.into_inner().expect("a lock");
    println!("loaded: {counts:?}; read by nft alone: {}; refused: {refused}; in {:?}", report.skipped, start.elapsed());
    let faults = report.faults.iter().take(TOLD).map(String::as_str).collect::<Vec<_>>().join("\n----\n");
    assert!(report.faults.is_empty(), "FWC_SEED={seed}: {} faults:\n{faults}", report.faults.len());
    for (count, backend) in counts.iter().zip(Backend::ALL) {
        let read = if *backend == Backend::Nft { report.skipped } else { 0 };
        assert!(count.is_none_or(|count| count + read == wanted), "{backend:?}: {count:?} of {wanted}");
    }
}
