//! What names stand for, in words. Markdown.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::names::{Declaration, Symbol, SymbolKind};
use super::{outline, text};
use crate::database::{self, Db, ProjectInput};
use crate::facts::{DockerContainer, DockerNetwork, Facts, PublishedPort};
use crate::names::icmp;
use crate::net::{AddressSet, Family};
use crate::policy::meaning::Meanings;
use crate::policy::{CardSet, Party, Traffic};
use crate::span::Span;

/// Members of a set that are shown one by one.
const MOST_MEMBERS: usize = 16;

/// What traffic is, as the language writes it: `tcp 80, 443; icmp echo-request`.
pub(super) fn traffic(list: &[Traffic]) -> String {
    let mut said: Vec<String> = Vec::new();
    for one in list {
        let protocol = match (one.protocol, one.icmp.is_some() || one.family.is_some()) {
            (None, _) => "everything".to_owned(),
            (Some(protocol), _) if protocol.has_ports() => protocol.to_string(),
            (Some(_), true) => "icmp".to_owned(),
            (Some(protocol), false) => format!("protocol {protocol}"),
        };
        let ports = one.ports.iter().flat_map(|set| set.ranges()).map(ToString::to_string);
        let types = one.icmp.iter().flatten().map(|kind| {
            let family = one.family.unwrap_or(Family::Ipv4);
            icmp::name(family, *kind).map_or_else(|| kind.kind.to_string(), str::to_owned)
        });
        let details = ports.chain(types).collect::<Vec<_>>().join(", ");
        let whole = if details.is_empty() { protocol } else { format!("{protocol} {details}") };
        // A type of ICMP that both families have is said once.
        if !said.contains(&whole) {
            said.push(whole);
        }
    }
    said.join("; ")
}

/// Cards, as the language writes them.
pub(super) fn cards(set: &CardSet) -> String {
    let names: Vec<String> = set.cards.iter().map(ToString::to_string).collect();
    match (set.complement, names.is_empty()) {
        (true, _) => format!("every card but {}", names.join(", ")),
        (false, true) => "no card".to_owned(),
        (false, false) => names.join(", "),
    }
}

/// How many addresses a set has, in few words: `3 ranges`.
pub(super) fn size(parties: &[Party]) -> Option<String> {
    let ranges: usize = parties.iter().filter_map(|party| party.addresses.as_ref()).map(|set| set.ranges().len()).sum();
    let live = parties.iter().any(|party| party.live.is_some());
    match (ranges, live) {
        (0, true) => Some("live".to_owned()),
        (0, false) => None,
        (1, _) => Some("1 range".to_owned()),
        (many, _) => Some(format!("{many} ranges")),
    }
}

/// Everyone whom a set means, one a line.
fn parties(list: &[Party]) -> String {
    let mut out = String::new();
    for party in list {
        match &party.addresses {
            Some(set) if party.macs.is_empty() => addresses(set, &mut out),
            _ => {
                let mut what = format!("everyone of class {}", party.class);
                if let Some(name) = &party.live {
                    what = format!("whoever is put in at run time: `fwc-{name}-v4`, `fwc-{name}-v6`");
                }
                if let Some(name) = &party.member {
                    what = format!("the {} `{name}`", party.class);
                }
                if !party.macs.is_empty() {
                    let macs: Vec<String> = party.macs.iter().map(ToString::to_string).collect();
                    what = format!("mac {}", macs.join(", "));
                }
                if let Some(set) = &party.cards {
                    let _ = write!(what, " on {}", cards(set));
                }
                let _ = writeln!(out, "- {what}");
            }
        }
        let except: usize = party.except.len();
        if except > 0 {
            let _ = writeln!(out, "  - but for {except} that are taken out");
        }
    }
    out
}

fn addresses(set: &AddressSet, out: &mut String) {
    for family in Family::BOTH {
        let own = set.of_family(family);
        let ranges = own.ranges();
        if ranges.is_empty() {
            continue;
        }
        let shown: Vec<String> = ranges.iter().take(MOST_MEMBERS).map(|range| format!("`{range}`")).collect();
        let more = ranges.len().saturating_sub(MOST_MEMBERS);
        let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
        let _ = writeln!(out, "- {}{rest}", shown.join(", "));
    }
}

/// The remark that its author gave a declaration: behind it on its line, or on the lines right above.
pub(super) fn remark(db: &dyn Db, input: ProjectInput, declaration: &Declaration) -> Option<String> {
    let file = declaration.name.file;
    let outline = outline(db, input, file)?;
    let source = text(db, input, file);
    let line_end = |at: u32| {
        source.get(at as usize..).and_then(|rest| rest.find('\n')).map_or(source.len(), |length| at as usize + length)
    };
    let statement = declaration.statement.span;
    let words = |span: &Span| source.get(span.range()).unwrap_or_default().trim_start_matches('#').trim().to_owned();
    let behind = |from: u32| {
        let end = line_end(from);
        let next = outline.comments.partition_point(|one| one.start < from);
        outline.comments.get(next).filter(|one| one.end as usize <= end).map(words)
    };
    let first_line = u32::try_from(line_end(statement.start)).unwrap_or(statement.end).min(statement.end);
    if let Some(found) = behind(first_line) {
        return Some(found);
    }
    let mut above = Vec::new();
    let mut start = source.get(..statement.start as usize)?.rfind('\n')?;
    while let Some(line) = source.get(..start) {
        let begin = line.rfind('\n').map_or(0, |at| at + 1);
        let Some(remark) = line.get(begin..).and_then(|line| line.trim().strip_prefix('#')) else { break };
        above.push(remark.trim().to_owned());
        let Some(before) = begin.checked_sub(1) else { break };
        start = before;
    }
    above.reverse();
    let above = above.join(" ");
    (!above.is_empty()).then_some(above)
}

/// What something that is named is: a line that says so, and what it comes to.
pub(super) fn symbol(db: &dyn Db, input: ProjectInput, symbol: &Symbol, declared: &[Declaration]) -> String {
    let meanings = database::meanings(db, input);
    let facts = &database::resolved(db, input).0.facts;
    let name = &symbol.name;
    let mut out = format!("{} `{name}`", symbol.kind.name());
    match symbol.kind {
        SymbolKind::Set => set(meanings, name, &mut out),
        SymbolKind::Service => match meanings.services.get(name) {
            Some(list) => drop(writeln!(out, " = `{}`", traffic(list))),
            None => out.push('\n'),
        },
        SymbolKind::Interface => match meanings.interfaces.get(name) {
            Some(set) => drop(writeln!(out, " = {}", cards(set))),
            None => out.push('\n'),
        },
        SymbolKind::Container => container(facts, name, &mut out),
        SymbolKind::Network => network(facts, name, &mut out),
        SymbolKind::Group | SymbolKind::Guest | SymbolKind::Part => out.push('\n'),
    }
    if let Some(first) = declared.first() {
        if first.library {
            out.push_str("\nof the standard library\n");
        }
        if first.parameter {
            out.push_str("\na parameter: the including file gives it its value\n");
        }
        if matches!(symbol.kind, SymbolKind::Group | SymbolKind::Guest | SymbolKind::Part) {
            let _ = write!(out, "\n```fw\n{}\n```\n", extract(text(db, input, first.name.file), first.statement.span));
        }
        if let Some(remark) = remark(db, input, first) {
            let _ = write!(out, "\n{remark}\n");
        }
    }
    out
}

/// The first lines of a statement.
fn extract(source: &str, span: Span) -> String {
    const LINES: usize = 12;
    let whole = source.get(span.range()).unwrap_or_default();
    let mut lines: Vec<&str> = whole.lines().take(LINES).collect();
    if whole.lines().count() > LINES {
        lines.push("    …");
    }
    lines.join("\n")
}

fn set(meanings: &Meanings, name: &str, out: &mut String) {
    let Some(list) = meanings.sets.get(name) else { return out.push('\n') };
    if let Some(size) = size(list) {
        let _ = write!(out, ", {size}");
    }
    let _ = write!(out, "\n\n{}", parties(list));
}

/// Every container that is known, by its key, with its platform's networks.
pub(super) fn containers(facts: &Facts) -> impl Iterator<Item = (&String, &DockerContainer)> {
    let docker = facts.docker.iter().flat_map(|docker| &docker.containers);
    docker.chain(facts.podman.iter().flat_map(|podman| &podman.containers))
}

/// Every network that is known.
pub(super) fn networks(facts: &Facts) -> impl Iterator<Item = (&String, &DockerNetwork)> {
    let docker = facts.docker.iter().flat_map(|docker| &docker.networks);
    docker.chain(facts.podman.iter().flat_map(|podman| &podman.networks))
}

fn container(facts: &Facts, name: &str, out: &mut String) {
    let Some((key, found)) = facts.container(name) else { return out.push('\n') };
    if key != name {
        let _ = write!(out, ", Docker's `{key}`");
    }
    out.push_str("\n\n");
    for port in &found.ports {
        let _ = writeln!(out, "- publishes {}", published(port));
    }
    if found.ports.is_empty() {
        out.push_str("- publishes nothing that is known\n");
    }
    if !found.networks.is_empty() {
        let _ = writeln!(out, "- on {}", found.networks.join(", "));
    }
    if !found.addresses.is_empty() {
        let list: Vec<String> = found.addresses.iter().map(ToString::to_string).collect();
        let _ = writeln!(out, "- address {}", list.join(", "));
    }
    if let Some(other) = &found.network_of {
        let _ = writeln!(out, "- in the network of `{other}`");
    }
}

/// `tcp 8080, its own 80`.
pub(super) fn published(port: &PublishedPort) -> String {
    let at = port.address.map(|address| format!(" at {address}")).unwrap_or_default();
    match port.host_ports() {
        Some(range) => format!("{} {range}{at}, its own {}", port.protocol, port.container_ports()),
        None => format!("{} at a port that Docker picks{at}, its own {}", port.protocol, port.container_port),
    }
}

fn network(facts: &Facts, name: &str, out: &mut String) {
    let mut all = networks(facts);
    let found = all.find(|(key, network)| *key == name || network.compose_name.as_deref() == Some(name));
    let Some((key, network)) = found else { return out.push('\n') };
    if key != name {
        let _ = write!(out, ", Docker's `{key}`");
    }
    out.push_str("\n\n");
    let mut said: BTreeMap<&str, String> = BTreeMap::new();
    said.extend(network.bridge.iter().map(|bridge| ("bridge", bridge.clone())));
    said.extend(network.driver.iter().map(|driver| ("driver", driver.to_string())));
    if !network.subnets.is_empty() {
        said.insert("subnet", network.subnets.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    }
    if network.internal {
        said.insert("internal", "no way out and none in".to_owned());
    }
    for (what, value) in said {
        let _ = writeln!(out, "- {what}: {value}");
    }
    let members: Vec<&str> =
        containers(facts).filter(|(_, one)| one.networks.contains(key)).map(|(name, _)| name.as_str()).collect();
    if !members.is_empty() {
        let _ = writeln!(out, "- with {}", members.join(", "));
    }
}
