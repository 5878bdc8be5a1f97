//! `fwc services`: what the standard library calls by name.

use std::fmt::Write as _;

use super::failure::Failure;
use super::{Ending, print};
use crate::library;
use crate::names::closest;
use crate::net::PortRange;
use crate::span::{FileId, Spanned};
use crate::syntax;
use crate::syntax::tree::{Few, Item, StatementKind};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A name or a part of one, or a port; without it, all are listed
    #[arg(value_name = "NAME|PORT")]
    wanted: Option<String>,
}

/// A service: its name, what it means, and the remark behind its declaration.
struct Known {
    name: String,
    what: Few<Spanned<Item>>,
    remark: String,
}

pub(super) fn run(arguments: &Arguments) -> Result<Ending, Failure> {
    let services = all();
    let chosen: Vec<&Known> = match &arguments.wanted {
        None => services.iter().collect(),
        Some(wanted) => choose(&services, wanted)?,
    };
    let name_width = chosen.iter().map(|service| service.name.len()).max().unwrap_or_default();
    let whats: Vec<String> = chosen.iter().map(|service| describe(&service.what)).collect();
    let what_width = whats.iter().map(String::len).filter(|&length| length <= 40).max().unwrap_or_default();
    let mut out = String::new();
    for (service, what) in chosen.iter().zip(whats) {
        let line = format!("{:<name_width$}  {what:<what_width$}  {}", service.name, service.remark);
        let _ = writeln!(out, "{}", line.trim_end());
    }
    print(&out)?;
    Ok(Ending::Clean)
}

fn choose<'a>(services: &'a [Known], wanted: &str) -> Result<Vec<&'a Known>, Failure> {
    if let Ok(port) = wanted.parse::<u16>() {
        let found: Vec<_> = services.iter().filter(|service| uses(&service.what, port)).collect();
        return if found.is_empty() {
            Err(Failure::new(format!(
                "no service of the standard library uses port {port}: write `tcp {port}` or `udp {port}`"
            )))
        } else {
            Ok(found)
        };
    }
    let exact: Vec<_> = services.iter().filter(|service| service.name == wanted).collect();
    if !exact.is_empty() {
        return Ok(exact);
    }
    let partly: Vec<_> = services.iter().filter(|service| service.name.contains(wanted)).collect();
    if !partly.is_empty() {
        return Ok(partly);
    }
    let nearest = closest(wanted, services.iter().map(|service| service.name.as_str()));
    Err(Failure::new(match nearest {
        Some(nearest) => format!("there is no service `{wanted}`: did you mean `{nearest}`?"),
        None => format!("there is no service `{wanted}`: `fwc services` lists them"),
    }))
}

/// The services of the standard library, by name.
fn all() -> Vec<Known> {
    let mut services = Vec::new();
    for (_, text) in library::FILES {
        for statement in syntax::parse(text, FileId(0)).tree.statements {
            if let StatementKind::Service(service) = statement.value {
                let after = text.get(statement.span.end as usize..).unwrap_or_default();
                let remark =
                    after.lines().next().and_then(|rest| rest.trim_start().strip_prefix('#')).unwrap_or_default();
                services.push(Known {
                    name: service.name.value.into(),
                    what: service.what,
                    remark: remark.trim().to_owned(),
                });
            }
        }
    }
    services.sort_by(|a, b| a.name.cmp(&b.name));
    services
}

fn uses(what: &[Spanned<Item>], port: u16) -> bool {
    what.iter().any(|item| match &item.value {
        Item::Ports { ports, .. } => ports.iter().any(|range| range.first <= port && port <= range.last),
        _ => false,
    })
}

/// `tcp 80, 443; udp 443`.
fn describe(what: &[Spanned<Item>]) -> String {
    let items = what.iter().map(|item| match &item.value {
        Item::Ports { protocol, ports } if ports.is_empty() => protocol.to_string(),
        Item::Ports { protocol, ports } => {
            let ports: Vec<String> = ports.iter().map(PortRange::to_string).collect();
            format!("{protocol} {}", ports.join(", "))
        }
        Item::Icmp(None) => "icmp".to_owned(),
        Item::Icmp(Some(name)) => format!("icmp {name}"),
        Item::Protocol(protocol) => format!("protocol {protocol}"),
        Item::Name(name) => name.to_string(),
    });
    items.collect::<Vec<_>>().join("; ")
}
