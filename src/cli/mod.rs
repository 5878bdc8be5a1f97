//! The command line: the only part that reads and writes files, looks at the environment and knows of a terminal. One file for
//! each command.

mod baseline;
mod build;
mod check;
pub mod completions;
mod diff;
mod explain;
mod failure;
mod fmt;
mod hosts;
mod inputs;
mod lsp;
pub mod man;
mod output;
pub mod render;
mod report;
mod repository;
mod services;
mod test;
mod trace;
mod who;

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{CommandFactory as _, Parser, Subcommand, ValueEnum};

use crate::disk;
use failure::Failure;

/// How a command ends when all is well; a failure ends it with 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// Nothing above a warning.
    Clean,
    /// At least one error.
    Errors,
    /// The answer is not certain: something was not read that may change it.
    Open,
    /// A fault of fwc itself, of which the user has been told.
    Fault,
}

/// The arguments.
#[derive(Debug, Parser)]
#[command(
    name = "fwc",
    version,
    about = "A firewall policy compiler for Linux hosts that run containers and guests",
    after_help = "Exit status: 0 clean or warnings only, 1 errors, 2 usage or input/output, or an answer\nthat rests on what was not read, 101 a fault of fwc itself.",
    disable_help_subcommand = true
)]
struct Arguments {
    /// When to use colours; NO_COLOR and CLICOLOR_FORCE are respected
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: Color,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Compile a policy into netfilter rules
    Build(build::Arguments),
    /// Say what is wrong with policies, and write nothing
    Check(check::Arguments),
    /// Prove the asserts in files of tests (*.fwtest) of policies
    Test(test::Arguments),
    /// Follow one packet through a policy or rule set, rule by rule
    Trace(trace::Arguments),
    /// Say which packets two policies or rule sets treat differently
    Diff(diff::Arguments),
    /// Say who can reach what: the exposure table of a policy or rule set
    Who(who::Arguments),
    /// Serve an editor: the language server
    Lsp(lsp::Arguments),
    /// Lay policies out in the one style
    Fmt(fmt::Arguments),
    /// Explain a diagnostic
    Explain(explain::Arguments),
    /// List the services of the standard library
    Services(services::Arguments),
    /// Write a completion script for a shell
    Completions(completions::Arguments),
    /// Write the manual page, in roff
    Man(man::Arguments),
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Color {
    /// At a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl Color {
    /// Whether to colour what goes to a stream. <https://no-color.org> and <https://bixense.com/clicolors>: the argument
    /// outweighs the environment, NO_COLOR outweighs CLICOLOR_FORCE, and either outweighs what the stream is.
    fn on(self, stream_is_terminal: bool) -> bool {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto if set("NO_COLOR").is_some() => false,
            Self::Auto if set("CLICOLOR_FORCE").is_some_and(|value| value != "0") => true,
            Self::Auto => stream_is_terminal && std::env::var_os("TERM").is_none_or(|term| term != "dumb"),
        }
    }
}

/// How `fwc test` writes diagnostics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// With the lines of source that take part
    Full,
    /// One line each: FILE:LINE:COLUMN: LEVEL[CODE]: MESSAGE
    Short,
    /// One JSON object a line, described in docs/diagnostics-json.md
    Json,
}

/// What to emit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum TargetArgument {
    /// iptables-restore files for IPv4 and IPv6
    Iptables,
    /// An nft script
    Nft,
}

impl From<TargetArgument> for crate::syntax::tree::Target {
    fn from(target: TargetArgument) -> Self {
        match target {
            TargetArgument::Iptables => Self::Iptables,
            TargetArgument::Nft => Self::Nft,
        }
    }
}

/// Room for trees that are deeply nested. The parser bounds the depth; this is what the bound may cost.
const STACK: usize = 64 << 20;

/// Whether there is no standard output: what is written there is lost without an error.
static WITHOUT_OUTPUT: AtomicBool = AtomicBool::new(false);

/// Runs the command that the process's arguments specify. The caller knows whether the process was started without a standard output.
#[must_use]
pub fn main(without_output: bool) -> ExitCode {
    install_panic_hook();
    WITHOUT_OUTPUT.store(without_output, Ordering::Relaxed);
    let worker = std::thread::Builder::new().name("fwc".to_owned()).stack_size(STACK).spawn(run);
    match worker.map(std::thread::JoinHandle::join) {
        Ok(Ok(code)) => code,
        // The hook has said what there is to say.
        Ok(Err(_)) => ExitCode::from(101),
        Err(error) => {
            eprintln!("fwc: cannot start a thread: {error}");
            ExitCode::from(2)
        }
    }
}

fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(usage) => {
            return match usage.exit_code() {
                // The help and the version are what was asked for. `print` of clap knows of the terminal's colours.
                0 => answer(written(usage.print()).map(|()| Ending::Clean)),
                code => {
                    let _ = usage.print();
                    ExitCode::from(u8::try_from(code).unwrap_or(2))
                }
            };
        }
    };
    let color = arguments.color;
    let ending = match arguments.command {
        Command::Build(arguments) => build::run(&arguments, color),
        Command::Check(arguments) => check::run(&arguments, color),
        Command::Test(arguments) => test::run(&arguments, color),
        Command::Trace(arguments) => trace::run(&arguments, color),
        Command::Diff(arguments) => diff::run(&arguments, color),
        Command::Who(arguments) => who::run(&arguments, color),
        Command::Lsp(arguments) => lsp::run(&arguments),
        Command::Fmt(arguments) => fmt::run(&arguments, color),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Services(arguments) => services::run(&arguments),
        Command::Completions(arguments) => completions::run(&arguments),
        Command::Man(arguments) => man::run(&arguments),
    };
    answer(ending)
}

/// The exit status of a command. Why it could not do its work goes to the standard error.
fn answer(ending: Result<Ending, Failure>) -> ExitCode {
    match ending {
        Ok(Ending::Clean) => ExitCode::SUCCESS,
        Ok(Ending::Errors) => ExitCode::from(1),
        Ok(Ending::Open) => ExitCode::from(2),
        Ok(Ending::Fault) => ExitCode::from(101),
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "fwc: {failure}");
            ExitCode::from(2)
        }
    }
}

/// Makes a panic say whose fault it is. The standard report, with its backtrace, is for those who ask for it.
pub fn install_panic_hook() {
    let standard = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0") {
            standard(panic);
        }
        let payload = panic.payload();
        let what =
            payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let what = what.unwrap_or("no message");
        let place = panic.location().map(|place| format!(" ({}:{})", place.file(), place.line())).unwrap_or_default();
        let _ = writeln!(
            std::io::stderr(),
            "fwc: internal error: {what}{place}\n\
             This is a fault of fwc {}, not of your policy; no output file was touched. Please report it, with the policy if you \
             may share it. RUST_BACKTRACE=1 shows more.",
            env!("CARGO_PKG_VERSION")
        );
    }));
}

/// The definition of the command line, for completions and manual pages.
#[must_use]
pub fn command() -> clap::Command {
    Arguments::command()
}

/// Writes to the standard output.
fn print(text: &str) -> Result<(), Failure> {
    if text.is_empty() {
        return Ok(());
    }
    let mut out = std::io::stdout().lock();
    written(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// What became of a text for the standard output. A reader that has closed its end (`fwc … | head`) has seen what it wanted.
fn written(result: std::io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::write("the standard output", &error)),
        Ok(()) if WITHOUT_OUTPUT.load(Ordering::Relaxed) => {
            Err(Failure::new("cannot write the standard output: it is closed"))
        }
        Ok(()) => Ok(()),
    }
}

/// Writes to the standard error. There is nowhere to complain if that fails.
fn print_aside(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
