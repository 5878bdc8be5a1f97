//! `fwc man`: the manual pages.

use super::failure::Failure;
use super::{Ending, print};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The command whose page is wanted; without it, the page of fwc itself
    command: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> Result<Ending, Failure> {
    let wanted = arguments.command.as_ref().map_or_else(|| "fwc".to_owned(), |command| format!("fwc-{command}"));
    let pages = pages();
    let page = pages.iter().find(|(name, _)| *name == wanted).ok_or_else(|| {
        let names: Vec<_> = pages.iter().filter_map(|(name, _)| name.strip_prefix("fwc-")).collect();
        Failure::new(format!("there is no page `{wanted}`; commands: {}", names.join(", ")))
    })?;
    print(&page.1)?;
    Ok(Ending::Clean)
}

/// Every page: its name without the section, and its text in roff.
#[must_use]
pub fn pages() -> Vec<(String, String)> {
    let mut command = super::command();
    // Gives the parts their full names, `fwc build` and `fwc-build`.
    command.build();
    let parts = command.get_subcommands().cloned();
    let commands = std::iter::once(command.clone()).chain(parts);
    commands.map(|command| (name(&command), page(command))).collect()
}

fn name(command: &clap::Command) -> String {
    command.get_display_name().unwrap_or(command.get_name()).to_owned()
}

fn page(command: clap::Command) -> String {
    let name = name(&command);
    let mut out = Vec::new();
    // Writing to memory does not fail, and the date is left out: the same program gives the same page.
    let page = clap_mangen::Man::new(command)
        .title(name.to_uppercase())
        .section("1")
        .manual("fwc")
        .source(concat!("fwc ", env!("CARGO_PKG_VERSION")));
    let _ = page.render(&mut out);
    String::from_utf8_lossy(&out).into_owned()
}
