//! Time and memory of another program.
//!
//! The kernel tells the peak memory of all children that a process has waited for, not of one; and a child's begins with what
//! its parent had. So each program is run by a small process of its own: this bench once more, with [`FLAG`] in front.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;

/// The argument that makes this program the small process.
pub const FLAG: &str = "--measure";

/// What a run took.
#[derive(Clone, Copy)]
pub struct Taken {
    /// Seconds from start to end.
    pub seconds: f64,
    /// Seconds of processor time.
    pub processor: f64,
    /// Peak of resident memory, bytes.
    pub memory: u64,
    /// Bytes written to the standard output.
    pub output: u64,
}

/// Runs a program some times; the least of each. `None` if it cannot be run, or fails.
pub fn best(runs: usize, program: &str, arguments: &[&str]) -> Option<Taken> {
    best_ending(runs, program, arguments, &[0])
}

/// As [`best`], for a program that says something by its exit status.
pub fn best_ending(runs: usize, program: &str, arguments: &[&str], statuses: &[i32]) -> Option<Taken> {
    let taken: Vec<Taken> = (0..runs).map(|_| once(program, arguments, statuses)).collect::<Option<_>>()?;
    taken.into_iter().reduce(|a, b| Taken {
        seconds: a.seconds.min(b.seconds),
        processor: a.processor.min(b.processor),
        memory: a.memory.min(b.memory),
        output: a.output,
    })
}

fn once(program: &str, arguments: &[&str], statuses: &[i32]) -> Option<Taken> {
    let own = std::env::current_exe().ok()?;
    let output = Command::new(own).arg(FLAG).arg(program).args(arguments).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
    let mut numbers = text.split_whitespace();
    let status = numbers.next()?.parse().ok()?;
    statuses.contains(&status).then_some(())?;
    Some(Taken {
        seconds: numbers.next()?.parse().ok()?,
        processor: numbers.next()?.parse().ok()?,
        memory: numbers.next()?.parse().ok()?,
        output: numbers.next()?.parse().ok()?,
    })
}

/// The small process: runs what its arguments say, and prints the exit status, seconds, processor seconds, bytes of memory and
/// bytes of output.
pub fn child(arguments: &[String]) -> Option<()> {
    let (program, rest) = arguments.split_first()?;
    let start = Instant::now();
    let mut child = Command::new(program).args(rest).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let output = std::io::copy(&mut child.stdout.take()?, &mut std::io::sink()).ok()?;
    let status = child.wait().ok()?.code()?;
    let seconds = start.elapsed().as_secs_f64();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).ok()?;
    let memory = u64::try_from(usage.max_rss()).ok()? * 1024;
    let time = |value: nix::sys::time::TimeVal| value.num_microseconds() as f64 / 1e6;
    let processor = time(usage.user_time()) + time(usage.system_time());
    writeln!(std::io::stdout(), "{status} {seconds} {processor} {memory} {output}").ok()
}
