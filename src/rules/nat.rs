//! Rules about ports that NAT in the same rule set translates: what is written is not what the packets have.

use super::{Subject, is_for_users, ports, refuses, takes_first};
use crate::check::raw::codes::{BYPASSED, OPENS_UNPUBLISHED, PORT_AFTER_NAT, WITHOUT_DIRECTION};
use crate::diagnostic::Diagnostic;
use crate::net::{PortRange, Protocol};
use crate::netfilter::{Hook, MatchKind, Rule, State, Table, TableFamily, Verdict};
use crate::rules::walk::{At, reached};
use crate::span::Location;

/// A port that NAT leads elsewhere.
struct Translated<'r> {
    table: &'r Table,
    protocol: Protocol,
    ports: PortRange,
    address: std::net::IpAddr,
    port: Option<u16>,
    origin: Option<Location>,
}

pub(super) fn check(subject: &Subject<'_>) -> Vec<Diagnostic> {
    let translated = translated(subject);
    let mut out = Vec::new();
    for (hook, at) in filtered(subject) {
        let Some(location) = at.rule.origin else { continue };
        let found = match hook {
            Hook::Input => bypassed(&translated, &at, location),
            _ => after_nat(&translated, &at, location)
                .or_else(|| without_direction(&at, location))
                .or_else(|| opens(&at, location)),
        };
        out.extend(found);
    }
    out
}

/// The rules that packets to this host, or through it, come to; a chain made for users is on the way through, whether a rule of this text
/// leads there or not.
fn filtered<'r>(subject: &'r Subject<'r>) -> Vec<(Hook, At<'r>)> {
    let mut out = Vec::new();
    for table in &subject.ruleset.tables {
        for chain in &table.chains {
            let hook = match chain.base {
                Some(base) if matches!(base.hook, Hook::Input | Hook::Forward) => base.hook,
                None if is_for_users(table, chain) => Hook::Forward,
                _ => continue,
            };
            let rules = reached(table, chain).into_iter().map(|(_, at)| at);
            out.extend(rules.filter(|at| subject.is_told(at)).map(|at| (hook, at)));
        }
    }
    out
}

fn translated<'r>(subject: &'r Subject<'r>) -> Vec<Translated<'r>> {
    let mut out = Vec::new();
    for table in &subject.ruleset.tables {
        for rule in table.chains.iter().flat_map(|chain| &chain.rules) {
            let Some(Verdict::Dnat { address, port }) = &rule.verdict else { continue };
            let Some((protocol, ports)) = ports(rule) else { continue };
            out.extend(ports.ranges().iter().map(|&ports| Translated {
                table,
                protocol,
                ports,
                address: *address,
                port: *port,
                origin: rule.origin,
            }));
        }
    }
    out
}

fn same_family(one: &Table, other: &Table) -> bool {
    one.family == other.family || [one, other].iter().any(|table| table.family == TableFamily::Inet)
}

/// A refusal at INPUT of what NAT leads past it.
fn bypassed(translated: &[Translated<'_>], at: &At<'_>, location: Location) -> Option<Diagnostic> {
    if !refuses(at.rule) || !takes_first(at.rule) {
        return None;
    }
    let (protocol, ports) = ports(at.rule)?;
    let led = translated.iter().find(|led| {
        led.protocol == protocol
            && ports.meets(led.ports)
            && same_family(led.table, at.table)
            && !(led.address.is_loopback() || led.address.is_unspecified())
    })?;
    let to = led.port.map_or(String::new(), |port| format!(" port {port}"));
    let message = format!("NAT leads {protocol} {} past INPUT, to {}{to}", led.ports, led.address);
    let mut found = Diagnostic::new(&BYPASSED, location, message).label("from outside, this decides nothing");
    if let Some(origin) = led.origin {
        found = found.related(origin, "translated here");
    }
    let words = format!("-p {protocol} -m conntrack --ctorigdstport {} --ctdir ORIGINAL", led.ports.first);
    Some(
        found.note(format!("a packet that shows it: `{protocol} 203.0.113.9 -> host:{}`", led.ports.first)).help(
            format!("refuse it where it passes, in FORWARD or the platform's chain for users: `{words} -j DROP`"),
        ),
    )
}

/// A port that only clients name, behind NAT.
fn after_nat(translated: &[Translated<'_>], at: &At<'_>, location: Location) -> Option<Diagnostic> {
    let (protocol, ports) = ports(at.rule)?;
    let decides = at.rule.verdict.as_ref().is_some_and(|verdict| !matches!(verdict, Verdict::Jump(_)));
    if !decides || !takes_first(at.rule) {
        return None;
    }
    let own = |led: &&Translated<'_>| led.protocol == protocol && same_family(led.table, at.table);
    let led = translated.iter().filter(own).find(|led| ports.meets(led.ports))?;
    let port = led.port.filter(|port| !ports.contains(*port))?;
    if translated.iter().filter(own).filter_map(|led| led.port).any(|port| ports.contains(port)) {
        return None;
    }
    let message = format!("{protocol} {} is what clients connect to; here NAT has put {port} there", led.ports);
    let mut found =
        Diagnostic::new(&PORT_AFTER_NAT, location, message).label("matches no connection that is translated");
    if let Some(origin) = led.origin {
        found = found.related(origin, "translated here");
    }
    Some(found.help(format!(
        "compare the port that the client connected to: `-m conntrack --ctorigdstport {} --ctdir ORIGINAL`",
        led.ports.first
    )))
}

/// The original port, refused in both directions.
fn without_direction(at: &At<'_>, location: Location) -> Option<Diagnostic> {
    let has = |wanted: fn(&MatchKind) -> bool| at.rule.matches.iter().any(|one| wanted(&one.kind));
    let original = has(|kind| matches!(kind, MatchKind::OriginalDestinationPort(_)));
    let directed = has(|kind| {
        matches!(
            kind,
            MatchKind::DirectionOriginal
                | MatchKind::DestinationTranslated
                | MatchKind::InInterface(_)
                | MatchKind::State(_)
        )
    });
    if !original || directed || !refuses(at.rule) {
        return None;
    }
    Some(
        Diagnostic::new(&WITHOUT_DIRECTION, location, "the port is compared without a direction")
            .label("also refuses connections that containers open to such a port elsewhere, and answers")
            .help("add `--ctdir ORIGINAL`, and the interface of arrival (`-i`) or `--ctstate DNAT`"),
    )
}

/// An accept in front of the platform's own rules that is not for a port that it publishes.
fn opens(at: &At<'_>, location: Location) -> Option<Diagnostic> {
    if !is_for_users(at.table, at.chain) || at.rule.verdict != Some(Verdict::Accept) || !takes_first(at.rule) {
        return None;
    }
    let published = |rule: &Rule| {
        rule.matches.iter().any(|one| match &one.kind {
            MatchKind::OriginalDestinationPort(_) | MatchKind::DestinationTranslated => !one.negated,
            MatchKind::State(asked) => asked & State::NEW == 0,
            _ => false,
        })
    };
    if published(at.rule) {
        return None;
    }
    let narrow = at.rule.matches.iter().any(|one| !matches!(one.kind, MatchKind::State(_) | MatchKind::InInterface(_)));
    let message = if narrow {
        format!("ACCEPT in {} also opens what the platform itself would refuse", at.chain.name)
    } else {
        format!("ACCEPT in {} opens every port of every container, published or not", at.chain.name)
    };
    Some(
        Diagnostic::new(&OPENS_UNPUBLISHED, location, message)
            .label("the platform's own rules are not asked")
            .help("write `-j RETURN`: what is published stays reachable, and the platform decides the rest"),
    )
}
