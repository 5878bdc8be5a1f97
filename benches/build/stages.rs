//! Where the time of a build goes: each stage through the library, in one process.

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use fwc::netfilter::Target;
use fwc::project::{MemoryFileSystem, Options, Root};
use fwc::{check, emit, lower, optimise, policy, project, syntax};

/// Names of the stages.
pub const NAMES: [&str; 6] = ["parse", "resolve", "check", "lower", "optimise", "emit"];

/// Milliseconds of each stage: the best of some runs.
pub fn times(text: &str, target: Target, runs: usize) -> [f64; 6] {
    let mut best = [f64::INFINITY; 6];
    for _ in 0..runs {
        for (best, now) in best.iter_mut().zip(once(text, target)) {
            *best = best.min(now);
        }
    }
    best
}

fn once(text: &str, target: Target) -> [f64; 6] {
    let mut laps = [0.0; 6];
    let mut start = Instant::now();
    let mut lap = |at: usize| {
        if let Some(slot) = laps.get_mut(at) {
            *slot = start.elapsed().as_secs_f64() * 1e3;
        }
        start = Instant::now();
    };
    let root = Root { path: PathBuf::from("site.fw"), bytes: text.as_bytes().to_vec() };
    let options = Options { target: Some(target), ..Options::default() };
    let mut parse = |id, source: &fwc::span::SourceText| Arc::new(syntax::parse(&source.text, id));
    let (project, _) = project::load(&MemoryFileSystem::default(), root, options, &mut parse);
    lap(0);
    let (policy, _) = policy::resolve::resolve(&project);
    lap(1);
    black_box(check::run(&project, &policy, target, &|| false));
    lap(2);
    let (mut ruleset, _) = lower::lower(&policy, target);
    lap(3);
    optimise::optimise(&mut ruleset, target, &project.files);
    lap(4);
    let header = lower::summary::header(&policy, target, &[]);
    let context = emit::Context { target, stem: "site", sources: &project.files, header, partial: false };
    black_box(emit::emit(&ruleset, &context).is_ok());
    lap(5);
    laps
}
