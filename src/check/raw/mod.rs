//! `chain` blocks: netfilter's own words, checked as far as they can be read.

pub mod codes;
mod iptables;
mod names;
mod nft;

use codes::{BYPASSED, FOREIGN_CHAIN, NEVER_REACHED, NO_SUCH_CHAIN, PORT_AFTER_NAT, UNCLOSED_QUOTE};

use super::swarm;
use crate::diagnostic::Diagnostic;
use crate::names::closest;
use crate::net::{PortRange, Protocol};
use crate::netfilter::{Hook, TableKind, Target, entry, words};
use crate::platform;
use crate::policy::{Policy, Published, RawChain};
use crate::project::Project;
use crate::span::{Location, Span};

/// A line of a block and everything that its checks look at.
struct Line<'p> {
    policy: &'p Policy,
    kind: TableKind,
    hook: Hook,
    /// The hook as the block says it: also `DOCKER-USER`.
    said: &'p str,
    text: &'p str,
    location: Location,
}

impl Line<'_> {
    /// The place of some bytes of the line.
    fn at(&self, range: std::ops::Range<usize>) -> Location {
        let start = self.location.span.range().start;
        Location { file: self.location.file, span: Span::new(start + range.start, start + range.end) }
    }
}

/// The check.
pub fn check(project: &Project, policy: &Policy, target: Target) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    for raw in &policy.raw {
        let Some((kind, hook)) = entry::place(&raw.table, &raw.hook) else {
            out.push(no_such_chain(project, raw));
            continue;
        };
        let mut end: Option<Location> = None;
        let mut told = false;
        for (text, location) in &raw.lines {
            let line = Line { policy, kind, hook, said: &raw.hook, text, location: *location };
            if text.matches('"').count() % 2 == 1 {
                out.push(unclosed(&line));
                continue;
            }
            let decides = match target {
                Target::Iptables => iptables::check(&line, &mut out),
                Target::Nft => nft::check(&line, &mut out),
            };
            if let Some(end) = end {
                if !told {
                    let fault = Diagnostic::new(&NEVER_REACHED, *location, "this line is never reached");
                    out.push(
                        fault
                            .related(end, "this decides every packet that comes so far")
                            .help("move it in front of that line, or delete it"),
                    );
                }
                told = true;
            } else if decides {
                end = Some(*location);
            }
        }
    }
    out
}

fn unclosed(line: &Line<'_>) -> Diagnostic {
    let start = line.text.rfind('"').unwrap_or(0);
    let end = line.at(line.text.len()..line.text.len());
    Diagnostic::new(&UNCLOSED_QUOTE, line.at(start..line.text.len()), "this quotation mark is not closed")
        .fix("close it", end, "\"")
}

fn no_such_chain(project: &Project, raw: &RawChain) -> Diagnostic {
    let start = raw.location.span.range().start;
    let text = super::words::text(project, raw.location);
    let head = text.split('{').next().unwrap_or_default();
    let place = |number: usize| {
        let word = words::words(head).get(number).map(words::Word::range).unwrap_or(0..head.trim_end().len());
        Location { file: raw.location.file, span: Span::new(start + word.start, start + word.end) }
    };
    let kinds = TableKind::ALL.map(TableKind::name);
    let Some(kind) = TableKind::ALL.into_iter().find(|kind| kind.name() == &*raw.table) else {
        let fault = Diagnostic::new(&NO_SUCH_CHAIN, place(1), format!("there is no table `{}`", raw.table));
        return match closest(&raw.table, kinds) {
            Some(near) => fault.fix(format!("did you mean `{near}`?"), place(1), near),
            None => fault.help(format!("one of {}", kinds.join(", "))),
        };
    };
    if let Some(owned) = platform::owner_of(None, kind.name(), &raw.hook) {
        let fault = Diagnostic::new(&FOREIGN_CHAIN, place(2), format!("`{}` is {}'s own chain", raw.hook, owned.owner));
        return fault
            .label("what others write there is lost when its owner writes it anew")
            .help("write to a hook, for example `chain filter FORWARD`, or `chain filter DOCKER-USER` in front of Docker's rules");
    }
    let hooks: Vec<&str> = entry::hooks(kind).iter().map(|hook| hook.chain()).collect();
    let fault = Diagnostic::new(&NO_SUCH_CHAIN, place(2), format!("table `{}` has no hook `{}`", raw.table, raw.hook));
    let near = hooks.iter().find(|hook| hook.eq_ignore_ascii_case(&raw.hook)).copied();
    match near.or_else(|| closest(&raw.hook, hooks.iter().copied())) {
        Some(near) => fault.fix(format!("did you mean `{near}`?"), place(2), near),
        None => fault.help(format!("it has {}", hooks.join(", "))),
    }
}

/// What containers publish among these ports.
fn published<'p>(policy: &'p Policy, protocol: Protocol, ports: &[PortRange]) -> Option<&'p Published> {
    policy.containers.published.iter().find(|published| {
        published.protocol == protocol
            && ports.iter().any(|range| range.first <= published.ports.last && published.ports.first <= range.last)
    })
}

/// A line at INPUT for ports that NAT leads past it.
fn bypassed(line: &Line<'_>, here: Location, protocol: Protocol, ports: &[PortRange]) -> Option<Diagnostic> {
    let docker = line.policy.facts.docker.as_ref();
    if line.hook != Hook::Input || docker.and_then(|docker| docker.iptables) == Some(false) {
        return None;
    }
    let published = published(line.policy, protocol, ports)?;
    let mut fault = Diagnostic::new(
        &BYPASSED,
        here,
        format!(
            "container `{}` publishes {protocol} {}: NAT leads it past INPUT",
            published.container, published.ports
        ),
    )
    .label("from outside, this decides nothing");
    if let Some(location) = published.location {
        fault = fault.related(location, "published here");
    }
    Some(fault.help(format!(
        "say it in the language, for every road: `allow {protocol} {} to container {}`, or `deny`",
        published.ports, published.container
    )))
}

/// A line behind NAT for a port that only clients dial. The edit is for words that compare one port.
fn after_nat(
    line: &Line<'_>,
    here: Location,
    protocol: Protocol,
    ports: &[PortRange],
    rewritten: Option<String>,
) -> Option<Diagnostic> {
    if line.hook != Hook::Forward {
        return None;
    }
    if let Some(found) = swarm::compared(line.policy, here, protocol, ports) {
        return Some(found);
    }
    let published = published(line.policy, protocol, ports).filter(|one| !swarm::shown(line.policy, one))?;
    let inside = line.policy.containers.published.iter().any(|one| {
        let own = one.container_ports;
        one.protocol == protocol && ports.iter().any(|range| range.first <= own.last && own.first <= range.last)
    });
    if inside {
        return None;
    }
    let mut fault = Diagnostic::new(
        &PORT_AFTER_NAT,
        here,
        format!(
            "{protocol} {} is what clients dial; here NAT has put {} there",
            published.ports, published.container_ports
        ),
    )
    .label("matches no connection to the container");
    if let Some(location) = published.location {
        fault = fault.related(location, "published here");
    }
    Some(match rewritten {
        Some(text) => fault.fix("compare the port that was dialled", here, text),
        None => fault.help("compare the port that was dialled, as connection tracking keeps it"),
    })
}
