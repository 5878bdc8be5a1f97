//! What is open to anybody, though nobody wants it so: a filter that refuses nothing, accepts by source port, services that are not made
//! for the Internet.

use super::codes::{ANSWERS_ANYBODY, EXPOSED_SERVICE, NOTHING_REFUSED, OTHER_FAMILY_OPEN, SOURCE_PORT_DECIDES};
use super::walk::{At, at_hook, reached};
use super::{Subject, families, is_for_users, is_narrowed, is_open, lets_through, ports, refuses, takes_first};
use crate::diagnostic::Diagnostic;
use crate::net::{Card, Family, Protocol};
use crate::netfilter::{Chain, Hook, MatchKind, Rule, Table, Verdict};

/// Ports that nobody opens to the Internet on purpose, and what listens there.
const SENSITIVE: &[(u16, &str)] = &[
    (23, "Telnet"),
    (111, "the RPC port mapper"),
    (139, "SMB"),
    (445, "SMB"),
    (1433, "SQL Server"),
    (1521, "Oracle"),
    (2049, "NFS"),
    (2375, "the Docker API without TLS"),
    (2379, "etcd"),
    (2380, "etcd"),
    (3306, "MySQL"),
    (3389, "Remote Desktop"),
    (5432, "PostgreSQL"),
    (5900, "VNC"),
    (5984, "CouchDB"),
    (6379, "Redis"),
    (6443, "the Kubernetes API"),
    (8086, "InfluxDB"),
    (9042, "Cassandra"),
    (9200, "Elasticsearch"),
    (10_250, "the kubelet"),
    (11_211, "memcached"),
    (27_017, "MongoDB"),
];

/// UDP services that send more than they are sent, to whatever address a packet claims to come from.
const AMPLIFIERS: &[(u16, &str)] = &[
    (17, "the quote of the day"),
    (19, "the character generator"),
    (53, "DNS"),
    (69, "TFTP"),
    (111, "the RPC port mapper"),
    (123, "NTP"),
    (137, "NetBIOS"),
    (161, "SNMP"),
    (389, "LDAP"),
    (1900, "SSDP"),
    (5353, "multicast DNS"),
    (11_211, "memcached"),
];

/// Interfaces that lead to the Internet on many hosts; of others nothing is known.
const PUBLIC: [&str; 6] = ["eth", "en", "wan", "ppp", "wwan", "venet"];

/// Ports from which a range says no more than "any".
const WIDE: u16 = 1_000;

/// What listens at a port that nobody opens to the Internet on purpose.
pub(super) fn service_at(protocol: Protocol, port: u16) -> Option<&'static str> {
    let list = if protocol == Protocol::TCP { SENSITIVE } else { return None };
    list.iter().find(|(known, _)| *known == port).map(|(_, name)| *name)
}

/// A filter that refuses nothing, or, of a text for both families, nothing of one.
pub(super) fn nothing_refused(subject: &Subject<'_>, both: bool) -> Vec<Diagnostic> {
    let mut out: Vec<Diagnostic> =
        Family::BOTH.into_iter().filter_map(|family| nothing_refused_of(subject, family)).collect();
    if out.is_empty() && both {
        out.extend(Family::BOTH.into_iter().filter_map(|family| other_family_open(subject, family)));
    }
    out
}

pub(super) fn check(subject: &Subject<'_>) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    for table in &subject.ruleset.tables {
        let starts = table.chains.iter().filter(|chain| match chain.base {
            Some(base) => matches!(base.hook, Hook::Input | Hook::Forward),
            None => is_for_users(table, chain),
        });
        for (way, at) in starts.flat_map(|chain| reached(table, chain)) {
            let is_new = way.iter().map(|jump| jump.rule).chain([at.rule]).all(takes_first);
            if is_new && lets_through(&at) && subject.is_told(&at) {
                out.extend(source_port(&way, &at));
                out.extend(families(table).first().and_then(|&family| sensitive(&way, &at, family)));
            }
        }
    }
    out
}

/// Every rule that packets at some chains can come to.
fn rules_of<'r>(chains: &[(&'r Table, &'r Chain)]) -> Vec<At<'r>> {
    chains.iter().flat_map(|(table, chain)| reached(table, chain)).map(|(_, at)| at).collect()
}

/// Whether the policy of any of some chains is to drop.
fn drops(chains: &[(&Table, &Chain)]) -> bool {
    chains.iter().any(|(_, chain)| chain.base.is_some_and(|base| !base.accept))
}

/// A chain at INPUT in which nothing is refused.
fn nothing_refused_of(subject: &Subject<'_>, family: Family) -> Option<Diagnostic> {
    let chains = at_hook(subject.ruleset, family, Hook::Input);
    let every = rules_of(&chains);
    let closed = drops(&chains) || every.iter().any(|at| refuses(at.rule) || is_open(at));
    if closed {
        return None;
    }
    let accepts =
        |at: &&At<'_>| at.rule.verdict == Some(Verdict::Accept) && subject.is_told(at) && ports(at.rule).is_some();
    let first = every.iter().find(accepts)?;
    let location = first.rule.origin?;
    let message = format!("{} refuses nothing: what no rule accepts is accepted, too", first.chain.name);
    Some(
        Diagnostic::new(&NOTHING_REFUSED, location, message)
            .label("changes nothing")
            .note("a packet that shows it: `tcp 203.0.113.9 -> host:4321`")
            .help("set the chain's policy to DROP, with answers and loopback accepted first"),
    )
}

/// A family that is closed at INPUT where nothing refuses the other.
fn other_family_open(subject: &Subject<'_>, family: Family) -> Option<Diagnostic> {
    let other = if family == Family::Ipv4 { Family::Ipv6 } else { Family::Ipv4 };
    let applies = |at: &At<'_>, family: Family| at.rule.family.is_none_or(|own| own == family);
    let [own, others] = [family, other].map(|family| at_hook(subject.ruleset, family, Hook::Input));
    let closed = rules_of(&own);
    // The rule that refuses everything, or the last in front of a policy that does.
    let last = closed.iter().filter(|at| applies(at, family)).find(|at| refuses(at.rule) && at.rule.matches.is_empty());
    let last = last.or_else(|| closed.last().filter(|_| drops(&own)))?;
    // Only what lets packets on says nothing of them.
    let passes = |at: &At<'_>| {
        matches!(at.rule.verdict, None | Some(Verdict::Accept | Verdict::Return | Verdict::Jump(_) | Verdict::Goto(_)))
    };
    let may_refuse = |at: &At<'_>| applies(at, other) && (!passes(at) || is_open(at));
    if drops(&others) || rules_of(&others).iter().any(may_refuse) || !subject.is_told(last) {
        return None;
    }
    let location = last.rule.origin?;
    let (closed, open) = if family == Family::Ipv4 { ("IPv4", "IPv6") } else { ("IPv6", "IPv4") };
    let source = if family == Family::Ipv4 { "2001:db8::9" } else { "203.0.113.9" };
    Some(
        Diagnostic::new(&OTHER_FAMILY_OPEN, location, format!("{closed} is closed here, and nothing refuses {open}"))
            .label(format!("refuses {closed} alone"))
            .note(format!("a packet that shows it: `tcp {source} -> host:22`"))
            .help(format!("write the rules for {open}, too: a table `inet` is for both, and `ip6tables` has its own")),
    )
}

fn source_port(way: &[At<'_>], at: &At<'_>) -> Option<Diagnostic> {
    let location = at.rule.origin?;
    let rules = || way.iter().map(|jump| jump.rule).chain([at.rule]);
    let by_source = rules().any(|rule| {
        rule.matches.iter().any(|one| match &one.kind {
            MatchKind::SourcePort(asked) => {
                !one.negated && asked.ranges().iter().all(|range| range.last - range.first < WIDE)
            }
            _ => false,
        })
    });
    // A rule that is for somebody, for a port or on one of the host's own networks is narrow by something else.
    let narrow = rules().any(|rule| {
        rule.matches.iter().any(|one| match &one.kind {
            MatchKind::DestinationPort(asked) => {
                one.negated || asked.ranges().iter().all(|range| range.last - range.first < WIDE)
            }
            MatchKind::InInterface(asked) => !one.negated && !asked.iter().any(is_public),
            // Stateless rules let answers of TCP in by their flags.
            MatchKind::TcpFlags { .. } => true,
            _ => false,
        }) || is_narrowed(&without_interfaces(rule), Family::Ipv4)
            && is_narrowed(&without_interfaces(rule), Family::Ipv6)
    });
    if !by_source || narrow {
        return None;
    }
    Some(
        Diagnostic::new(&SOURCE_PORT_DECIDES, location, "lets in whoever sends from this port, to every port")
            .label("the sender chooses the source port")
            .help("accept answers as such: `-m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT`"),
    )
}

fn without_interfaces(rule: &Rule) -> Rule {
    let mut rule = rule.clone();
    rule.matches.retain(|one| !matches!(one.kind, MatchKind::InInterface(_)));
    rule
}

fn is_public(card: &Card) -> bool {
    PUBLIC.iter().any(|beginning| card.name.starts_with(beginning))
}

fn sensitive(way: &[At<'_>], at: &At<'_>, family: Family) -> Option<Diagnostic> {
    let location = at.rule.origin?;
    let rules = || way.iter().map(|jump| jump.rule).chain([at.rule]);
    let (tcp, (port, name)) = rules().filter_map(original_or_own).find_map(|(protocol, has)| {
        let list = match protocol {
            Protocol::TCP => SENSITIVE,
            Protocol::UDP => AMPLIFIERS,
            _ => return None,
        };
        Some((protocol == Protocol::TCP, list.iter().copied().find(|(port, _)| has(*port))?))
    })?;
    let closed = rules().any(|rule| {
        is_narrowed(&without_originals(&without_interfaces(rule)), family)
            || rule.matches.iter().any(|one| match &one.kind {
                MatchKind::InInterface(asked) => one.negated || !asked.iter().any(is_public),
                _ => false,
            })
    });
    if closed {
        return None;
    }
    if !tcp {
        let help = if port == 53 {
            "answers of name servers need no such rule: accept ESTABLISHED; a name server says for whom it answers: `-s 192.0.2.0/28`"
        } else {
            "say from where: `-s 192.0.2.0/28`, or `-i` with the interface of a private network"
        };
        return Some(
            Diagnostic::new(&ANSWERS_ANYBODY, location, format!("opens {name} (udp {port}) to everybody"))
                .label("whoever forges an address can have answers sent there")
                .note(format!("a packet that shows it: `udp 203.0.113.9 -> host:{port}`"))
                .help(help),
        );
    }
    Some(
        Diagnostic::new(&EXPOSED_SERVICE, location, format!("opens {name} (tcp {port}) to everybody"))
            .label("no address, no set and no network of one's own narrows it")
            .note(format!("a packet that shows it: `tcp 203.0.113.9 -> host:{port}`"))
            .help("say from where: `-s 192.0.2.0/28`, or `-i` with the interface of a private network"),
    )
}

/// Whether a rule asks for a port, whichever way it says it. Ranges that are wide name none.
fn original_or_own(rule: &Rule) -> Option<(Protocol, impl Fn(u16) -> bool + '_)> {
    let protocol = rule.matches.iter().find_map(|one| match &one.kind {
        MatchKind::Protocol(asked) if !one.negated => asked.first().copied(),
        _ => None,
    })?;
    let asked = rule.matches.iter().find_map(|one| match &one.kind {
        MatchKind::DestinationPort(asked) | MatchKind::OriginalDestinationPort(asked) if !one.negated => Some(asked),
        _ => None,
    })?;
    Some((protocol, move |port| {
        asked.ranges().iter().any(|range| range.last - range.first < 100 && (range.first..=range.last).contains(&port))
    }))
}

fn without_originals(rule: &Rule) -> Rule {
    let mut rule = rule.clone();
    rule.matches
        .retain(|one| !matches!(one.kind, MatchKind::OriginalDestinationPort(_) | MatchKind::DestinationTranslated));
    rule
}
