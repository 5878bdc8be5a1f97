//! `fwc who`: who can reach what.

mod json;
mod page;
mod picture;
mod text;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use ipnet::IpNet;

use super::failure::Failure;
use super::hosts::{HostArguments, address};
use super::output;
use super::{Color, Ending, print};
use crate::exposure::{self, Effort, Wanted};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A policy or a rule set; several files of one host with `+` between (rules.v4+rules.v6+ipset); `-` for the standard input
    file: PathBuf,
    /// One more file of the same host; may be given several times
    #[arg(long, value_name = "FILE")]
    with: Vec<PathBuf>,
    #[command(flatten)]
    host: HostArguments,
    /// An address of the host, such as eth0=203.0.113.10/24; may be given several times
    #[arg(long, value_name = "CARD=ADDRESS", value_parser = address)]
    address: Vec<(String, IpNet)>,
    /// Also what containers and guests can reach of this host and of one another
    #[arg(long)]
    inside: bool,
    /// Also what this host, its containers and guests may open to elsewhere
    #[arg(long)]
    outbound: bool,
    /// Also what the prelude lets live, such as answers of DHCP servers
    #[arg(long)]
    all: bool,
    /// How the answer is written; without it, as the name behind -o ends, or as a table
    #[arg(long)]
    format: Option<Form>,
    /// Where it is written; `-`, or nothing, is the standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// How the answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For a terminal
    Table,
    /// One JSON object, described in docs/who.md
    Json,
    /// One page with a picture of the host
    Html,
    /// For a comment or a wiki
    Markdown,
}

pub(super) fn run(arguments: &Arguments, color: Color) -> Result<Ending, Failure> {
    let Some(mut host) = arguments.host.load(&arguments.file, &arguments.with, color)? else {
        return Ok(Ending::Errors);
    };
    for (card, address) in &arguments.address {
        host.cards.add(card, *address);
    }
    let wanted = Wanted { inside: arguments.inside, outbound: arguments.outbound };
    let report = exposure::expose(&host, wanted, Effort::default());
    let place = arguments.output.as_deref().filter(|path| path.as_os_str() != "-");
    let to_terminal = place.is_none() && std::io::stdout().is_terminal();
    let text = match form(arguments.format, place) {
        Form::Table => text::table(&host, &report, arguments.all, color.on(to_terminal)),
        Form::Json => json::object(&host, &report),
        Form::Markdown => text::markdown(&host, &report, arguments.all),
        Form::Html => page::page(&host, &report, arguments.all),
    };
    match place {
        None => print(&text)?,
        Some(path) => write(path, text)?,
    }
    Ok(if host.unread { Ending::Open } else { Ending::Clean })
}

fn form(said: Option<Form>, place: Option<&Path>) -> Form {
    said.unwrap_or_else(|| match place.and_then(Path::extension).and_then(|ending| ending.to_str()) {
        Some("html" | "htm") => Form::Html,
        Some("json") => Form::Json,
        Some("md") => Form::Markdown,
        _ => Form::Table,
    })
}

/// Writes a file as builds write theirs: whole or not at all.
fn write(path: &Path, text: String) -> Result<(), Failure> {
    let name = path.file_name().and_then(|name| name.to_str());
    let Some(name) = name else {
        return Err(Failure::new(format!("cannot write `{}`: it is no file's name", path.display())));
    };
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    output::write(directory, &[(name.to_owned(), text)], &[])
}
