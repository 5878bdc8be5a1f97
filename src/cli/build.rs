//! `fwc build`: from a policy to netfilter rules.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use super::failure::Failure;
use super::inputs::{InputArguments, STANDARD_INPUT, read_root};
use super::output::{self, Output};
use super::render::{Sheet, full, harmless};
use super::{Color, Ending, disk, print, print_aside};
use crate::database::{self, Database};
use crate::syntax::tree::Target;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The policy; `-` for the standard input
    file: PathBuf,
    #[command(flatten)]
    input: InputArguments,
    /// The directory that the files are written to, all or none; it is made if absent
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Only the chains of this guest, instance or group, to be loaded into the running program; may be given several times
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Write to the standard output, each file under a line `# --- NAME`; so it is without -o
    #[arg(long, conflicts_with = "output")]
    stdout: bool,
    /// Do not read the output back and prove it equal to the policy; for measuring how long that takes
    #[arg(long)]
    no_verify: bool,
}

/// What the files of each target end in; a build may make some of them and not others.
fn endings(target: Target) -> &'static [&'static str] {
    match target {
        Target::Iptables => &["rules.v4", "rules.v6", "ipset", "attach", "empty.v4", "empty.v6"],
        Target::Nft => &["nft", "nft.attach", "empty.nft"],
    }
}

pub(super) fn run(arguments: &Arguments, color: Color) -> Result<Ending, Failure> {
    let root = read_root(&arguments.file)?;
    let options = arguments.input.options(&arguments.file)?;
    let levels = options.levels.clone();
    let mut stem = stem(&arguments.file)?;
    if !arguments.only.is_empty() {
        stem.push_str(".part");
    }
    let mut db = Database::default();
    let input = db.load(&disk::Disk, root, options);
    check_parts(&db, input, &arguments.only)?;
    let (files, compiled) = db.compile_once(input, &stem, &arguments.only, !arguments.no_verify);
    if let Some(disagreement) = &compiled.disagreement {
        print_aside(&format!(
            "fwc: internal error: {}\n\
             This is a fault of fwc {}, not of your policy; no output file was touched. Please report it, with the policy if you \
             may share it.\n",
            disagreement.0,
            env!("CARGO_PKG_VERSION")
        ));
        return Ok(Ending::Fault);
    }
    let sheet = Sheet::new(&files, &compiled.diagnostics, &levels);
    let tally = sheet.tally();
    print_aside(&full::render(&sheet, color.on(std::io::stderr().is_terminal())));
    print_aside(&tally.line());
    if tally.errors > 0 {
        return Ok(Ending::Errors);
    }
    match &arguments.output {
        Some(directory) => {
            output::write(directory, &compiled.outputs, &stale(&stem, compiled.target, &compiled.outputs))?;
            print_aside(&of_other_target(directory, &stem, compiled.target));
        }
        None => list(&compiled.outputs)?,
    }
    if !compiled.in_force.is_empty() {
        print_aside(&in_force(&arguments.file.to_string_lossy(), &compiled.in_force));
    }
    Ok(Ending::Clean)
}

/// What a policy has in force, as a build and a check say it when all went well.
pub(super) fn in_force(path: &str, line: &str) -> String {
    format!("{}: {line}\n", harmless(path).replace('\n', "\\n"))
}

/// Whether each name of `--only` has chains of its own.
fn check_parts(db: &Database, input: database::ProjectInput, names: &[String]) -> Result<(), Failure> {
    let (policy, _) = &**database::resolved(db, input);
    for name in names {
        if crate::lower::chains_of(policy, name).is_empty() {
            let gates = policy.gates.iter().map(|gate| &*gate.name);
            let known: Vec<&str> = gates.chain(policy.groups.iter().map(|group| &*group.name)).collect();
            let near = crate::names::closest(name, known.iter().copied());
            let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            let what = "no guest or instance with a block, and no group that one applies, is called";
            return Err(Failure::new(format!("{what} `{name}`{near}")));
        }
    }
    Ok(())
}

/// What the output files are named after.
fn stem(file: &Path) -> Result<String, Failure> {
    if file.as_os_str() == STANDARD_INPUT {
        return Ok("policy".to_owned());
    }
    let stem = file.file_stem().unwrap_or_default();
    let refuse = |what: &str| {
        let shown = harmless(&file.to_string_lossy()).replace('\n', "\\n");
        Failure::new(format!("the name of `{shown}` {what}, and outputs are named after it"))
    };
    match stem.to_str() {
        None => Err(refuse("is not UTF-8")),
        // The outputs say their own names and their sources' in comments; a line end in one would begin a rule.
        Some(_) if file.to_string_lossy().contains(char::is_control) => Err(refuse("has control characters")),
        Some(stem) => Ok(stem.to_owned()),
    }
}

/// Files of the same stem and target that an earlier build may have left and this one does not make.
fn stale(stem: &str, target: Target, outputs: &[Output]) -> Vec<String> {
    let names = endings(target).iter().map(|ending| format!("{stem}.{ending}"));
    names.filter(|name| outputs.iter().all(|(made, _)| made != name)).collect()
}

/// Says that there are files of a build for the other target, which a host may still load. They are not removed: with them its rules are
/// taken away, and a directory may hold both on purpose.
fn of_other_target(directory: &Path, stem: &str, target: Target) -> String {
    let (other, name) = match target {
        Target::Nft => (Target::Iptables, "iptables"),
        Target::Iptables => (Target::Nft, "nft"),
    };
    let names = endings(other).iter().map(|ending| format!("{stem}.{ending}"));
    let there: Vec<String> = names.filter(|name| directory.join(name).exists()).collect();
    if there.is_empty() {
        return String::new();
    }
    let (directory, names) = (harmless(&directory.to_string_lossy()), harmless(&there.join(", ")));
    format!(
        "fwc: `{directory}` also has files of a build for {name}: {names}\n\
         fwc: a host that loaded them has both rule sets; take those out of its kernel before the files are deleted\n"
    )
}

/// Writes the files one after another. A large build's text is not copied for that.
fn list(outputs: &[Output]) -> Result<(), Failure> {
    for (name, text) in outputs {
        print(&format!("# --- {name}\n"))?;
        print(text)?;
        if !text.is_empty() && !text.ends_with('\n') {
            print("\n")?;
        }
    }
    Ok(())
}
