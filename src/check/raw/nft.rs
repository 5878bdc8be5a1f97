//! Lines in nft's words.

use super::codes::{
    COMMAND, FOREIGN_CHAIN, LOG_WITHOUT_LIMIT, NOT_READ, OTHER_BACK_END, OVERRIDDEN_ACCEPT, PORT_WITHOUT_PROTOCOL,
    REFUSED, WITHOUT_DIRECTION, WRONG_DIRECTION, WRONG_PLACE,
};
use super::{Line, names};
use crate::check::limits;
use crate::diagnostic::Diagnostic;
use crate::facts::Backend;
use crate::names::closest;
use crate::net::{Card, Family, PortRange, Protocol};
use crate::netfilter::words::{self, Word};
use crate::netfilter::{Effect, Hook, MatchKind, Rule, TableKind, Target, Verdict, entry};
use crate::policy::Class;
use crate::policy::who::card_fault;
use crate::policy::who::codes::CARD_NAME_TOO_LONG;
use crate::read;
use crate::traffic;

/// Words that nft's statements and expressions begin with (nft(8), 1.0.6).
const BEGINNINGS: &[&str] = &[
    "accept",
    "drop",
    "reject",
    "return",
    "continue",
    "queue",
    "jump",
    "goto",
    "counter",
    "log",
    "limit",
    "quota",
    "ct",
    "meta",
    "ip",
    "ip6",
    "tcp",
    "udp",
    "udplite",
    "sctp",
    "dccp",
    "icmp",
    "icmpv6",
    "igmp",
    "ether",
    "arp",
    "vlan",
    "th",
    "esp",
    "ah",
    "comp",
    "iif",
    "oif",
    "iifname",
    "oifname",
    "iifgroup",
    "oifgroup",
    "iiftype",
    "oiftype",
    "mark",
    "skuid",
    "skgid",
    "socket",
    "osf",
    "fib",
    "rt",
    "ipsec",
    "numgen",
    "jhash",
    "symhash",
    "hash",
    "exthdr",
    "dst",
    "frag",
    "hbh",
    "mh",
    "srh",
    "masquerade",
    "snat",
    "dnat",
    "redirect",
    "notrack",
    "dup",
    "fwd",
    "tproxy",
    "synproxy",
    "flow",
    "set",
    "add",
    "update",
    "delete",
    "map",
    "pkttype",
    "l4proto",
    "nfproto",
    "protocol",
    "length",
    "priority",
    "cgroup",
    "cpu",
    "time",
    "day",
    "hour",
    "nftrace",
    "tunnel",
    "@nh",
    "@th",
    "@ll",
    "@ih",
    "secmark",
    "random",
    "xt",
];

/// Words that begin a command or a declaration, and no rule.
const COMMANDS: &[&str] = &[
    "nft", "insert", "replace", "destroy", "flush", "list", "reset", "rename", "table", "chain", "type", "policy",
    "create", "include", "define", "rule", "elements", "flags", "hook",
];

/// Whether a line begins as nft's statements do.
pub(super) fn begins(line: &str) -> bool {
    words::words(line).first().is_some_and(|word| {
        BEGINNINGS.contains(&word.text.split(',').next().unwrap_or_default()) || COMMANDS.contains(&word.text)
    })
}

/// Checks one line; whether it decides every packet.
pub(super) fn check(line: &Line<'_>, out: &mut Vec<Diagnostic>) -> bool {
    let whole = line.at(0..line.text.len());
    if words::is_iptables(line.text) {
        out.push(
            Diagnostic::new(&OTHER_BACK_END, whole, "this line is written in iptables' words, and the target is nft")
                .help("write it as nft takes it, say `target iptables`, or say it in the language, which has both"),
        );
        return false;
    }
    let all = words::words(line.text.trim_end().trim_end_matches(';'));
    let Some(first) = all.first() else { return false };
    let told = out.len();
    let second = all.get(1).map_or("", |word| word.text);
    // `add @set { … }` and its like are statements; `add rule` is a command.
    let adds = ["add", "delete", "update"].contains(&first.text) && !second.starts_with('@');
    if COMMANDS.contains(&first.text) || adds {
        out.push(
            Diagnostic::new(
                &COMMAND,
                line.at(first.range()),
                format!("`{}` begins a command, and a line here is a rule", first.text),
            )
            .help("write the rule alone: matches, statements and a verdict; the block says table and hook"),
        );
        return false;
    }
    if !begins(line.text) {
        let here = line.at(first.range());
        let fault = Diagnostic::new(&NOT_READ, here, format!("cannot read `{}`: it is emitted unchecked", first.text));
        out.push(match closest(first.text, BEGINNINGS.iter().copied()) {
            Some(near) => fault.fix(format!("did you mean `{near}`?"), here, near),
            None => fault.help("test the file on the host: if its nft cannot read the word either, nothing is loaded"),
        });
    }
    directions(line, &all, out);
    interfaces(line, &all, out);
    statements(line, &all, out);
    dialled_port(line, &all, out);
    ports(line, &all, out);
    out.extend(overridden(line, &all));
    if out.iter().skip(told).all(|one| !one.is_error() && one.code.number != NOT_READ.number) {
        out.extend(refused(line, &all).or_else(|| names::refused(line, &all)).or_else(|| as_read(line)));
    }
    decides(&all)
}

/// Words that fields of one header come after, where only one of them fits a packet.
const HEADERS: [&[&str]; 2] = [&["ip", "ip6"], &["tcp", "udp", "udplite", "sctp", "dccp", "icmp", "icmpv6"]];

/// What nft refuses: headers that no packet has together, variables, and ranges that end before they begin.
fn refused(line: &Line<'_>, all: &[Word<'_>]) -> Option<Diagnostic> {
    const FIELDS: [&str; 14] = [
        "saddr", "daddr", "sport", "dport", "type", "code", "flags", "protocol", "nexthdr", "ttl", "hoplimit", "dscp",
        "length", "id",
    ];
    for headers in HEADERS {
        let mut compared = all.windows(2).filter_map(|pair| match pair {
            [header, field] if headers.contains(&header.text) && FIELDS.contains(&field.text) => Some(header),
            _ => None,
        });
        let first = compared.next();
        if let Some((first, other)) =
            first.and_then(|first| Some((first, compared.find(|other| other.text != first.text)?)))
        {
            let what = format!("no packet has a header of `{}` and one of `{}`", first.text, other.text);
            let fault = Diagnostic::new(&REFUSED, line.at(other.range()), what).label("nft refuses the whole file");
            return Some(fault.help("write a line for each"));
        }
    }
    for word in all.iter().filter(|word| !word.quoted) {
        let inner = word.text.trim_matches(['{', '}', ',', ';']);
        let ends = inner.split_once('-').map(|(first, last)| (first.parse::<u16>(), last.parse::<u16>()));
        let (what, help) = if inner.starts_with('$') {
            (format!("`{inner}` is a variable, and there is none"), "write the value")
        } else if matches!(ends, Some((Ok(first), Ok(last))) if first > last) {
            (format!("the range `{inner}` ends before it begins"), "write the smaller end first")
        } else if let Some(what) = counts_nothing(all, word) {
            (what, "write a number above 0")
        } else {
            continue;
        };
        let fault = Diagnostic::new(&REFUSED, line.at(word.range()), what);
        return Some(fault.label("nft refuses the whole file").help(help));
    }
    None
}

/// A limit of which a number is 0.
fn counts_nothing(all: &[Word<'_>], word: &Word<'_>) -> Option<String> {
    let at = all.iter().position(|other| other.start == word.start)?;
    let before = |distance: usize| at.checked_sub(distance).and_then(|at| all.get(at)).map_or("", |word| word.text);
    let rate = before(1) == "rate" || (before(2) == "rate" && ["over", "until"].contains(&before(1)));
    let of = if rate { word.text.split('/').next()? } else { word.text };
    let zero = of == "0" && (rate || before(1) == "burst");
    zero.then(|| format!("`{}` lets nothing through", word.text))
}

/// What the line says, as far as it is read: nft refuses some of it, or it is not known whether it does.
fn as_read(line: &Line<'_>) -> Option<Diagnostic> {
    let sets = line.policy.live_sets.iter();
    let sets = sets.flat_map(|live| Family::BOTH.map(|family| (entry::live_set(&live.name, family), family)));
    let read = read::nft_line(line.text, &sets.collect::<Vec<_>>());
    if let Some(fault) = read.faults.iter().find(|fault| fault.kind.is_refused()) {
        let refused = Diagnostic::new(&REFUSED, line.at(fault.span.range()), fault.message.clone());
        return Some(refused.label("nft refuses the whole file").help(fault.help.clone()));
    }
    if read.faults.is_empty() && !read.rules.iter().any(has_unknown) {
        return None;
    }
    let fault = Diagnostic::new(&NOT_READ, line.at(0..line.text.len()), "words of this line are emitted unchecked");
    Some(fault.help("test the file on the host: if its nft cannot read them either, nothing is loaded"))
}

fn has_unknown(rule: &Rule) -> bool {
    rule.matches.iter().any(|item| matches!(item.kind, MatchKind::Unknown(_)))
        || rule.effects.iter().any(|effect| matches!(effect, Effect::Unknown(_) | Effect::OpenMarks(_)))
        || matches!(rule.verdict, Some(Verdict::Unknown(_)))
}

fn position(all: &[Word<'_>], wanted: &[&str]) -> Option<usize> {
    all.windows(wanted.len())
        .position(|part| part.iter().zip(wanted).all(|(word, wanted)| word.text == *wanted && !word.quoted))
}

fn directions(line: &Line<'_>, all: &[Word<'_>], out: &mut Vec<Diagnostic>) {
    use Hook::{Forward, Input, Output, Postrouting, Prerouting};
    for (at, word) in all.iter().enumerate().filter(|(_, word)| !word.quoted) {
        let next = all.get(at + 1).map_or("", |word| word.text);
        let (wrong, why, instead): (&[Hook], &str, Option<&str>) = match word.text {
            "oif" => (&[Prerouting, Input], "a packet that arrives has no departure card yet", Some("iif")),
            "oifname" => (&[Prerouting, Input], "a packet that arrives has no departure card yet", Some("iifname")),
            "iif" => (&[Output], "the host's own packets have no arrival card", Some("oif")),
            "iifname" => (&[Output], "the host's own packets have no arrival card", Some("oifname")),
            "ether" if next == "saddr" => {
                (&[Output, Postrouting], "a packet that leaves has no Ethernet source yet", None)
            }
            "skuid" | "skgid" => (&[Prerouting, Forward], "only the host's own packets have a user", None),
            _ => continue,
        };
        if !wrong.contains(&line.hook) {
            continue;
        }
        let here = line.at(word.range());
        let fault = Diagnostic::new(
            &WRONG_DIRECTION,
            here,
            format!("`{}` cannot be compared at {}", word.text, line.hook.chain()),
        )
        .label(why);
        out.push(match instead {
            Some(instead) => fault.fix("the other card is", here, instead),
            None => fault.help("take it out, or write the rule at a hook that sees it"),
        });
    }
}

fn is_interface(word: &Word<'_>) -> bool {
    !word.quoted && ["iifname", "oifname"].contains(&word.text)
}

fn interfaces(line: &Line<'_>, all: &[Word<'_>], out: &mut Vec<Diagnostic>) {
    let after = |(before, name)| Some(name).filter(|_: &&Word<'_>| is_interface(before));
    let names = all.iter().zip(all.iter().skip(1)).filter_map(after);
    for name in names.filter(|name| !name.text.starts_with(['{', '@', '!', '='])) {
        let card = match name.text.strip_suffix('*') {
            Some(start) => Card { name: start.to_owned(), prefix: true },
            None => Card::exact(name.text),
        };
        out.extend(
            card_fault(line.at(name.range()), &card).filter(|fault| fault.code.number == CARD_NAME_TOO_LONG.number),
        );
    }
}

fn statements(line: &Line<'_>, all: &[Word<'_>], out: &mut Vec<Diagnostic>) {
    for (at, word) in all.iter().enumerate().filter(|(_, word)| !word.quoted) {
        let here = line.at(word.range());
        let next = all.get(at + 1);
        match word.text {
            "jump" | "goto" => {
                let Some(chain) = next else { continue };
                out.push(
                    Diagnostic::new(
                        &FOREIGN_CHAIN,
                        line.at(word.start..chain.end),
                        format!("`{}` is no chain that this block can jump to", chain.text),
                    )
                    .label("a jump cannot leave the table, and this one holds fwc's own chains alone")
                    .help("write the rules here, or say them in the language"),
                );
            }
            "log" if all.iter().all(|word| word.text != "limit" || word.quoted) => out.push(
                Diagnostic::new(&LOG_WITHOUT_LIMIT, here, "this writes to the log for every packet that matches")
                    .label("whoever sends packets fills the log")
                    .fix("give it a rate", line.at(word.start..word.start), "limit rate 10/minute "),
            ),
            "prefix" => {
                if let Some(text) = next.filter(|text| text.quoted) {
                    limits::prefix(line.at(text.range()), text.text, Target::Nft, out);
                }
            }
            "comment" => {
                if let Some(text) = next.filter(|text| text.quoted) {
                    limits::comment(line.at(text.range()), text.text, Target::Nft, out);
                }
            }
            "masquerade" | "snat" | "dnat" | "redirect" => {
                let hooks: &[Hook] = match word.text {
                    "masquerade" => &[Hook::Postrouting],
                    "snat" => &[Hook::Postrouting, Hook::Input],
                    _ => &[Hook::Prerouting, Hook::Output],
                };
                // `ct status dnat` is a match.
                let matched =
                    at > 0 && all.get(at - 1).is_some_and(|before| ["status", "==", "!=", ","].contains(&before.text));
                if !matched && (line.kind != TableKind::Nat || !hooks.contains(&line.hook)) {
                    let names: Vec<String> = hooks.iter().map(|hook| format!("`chain nat {}`", hook.chain())).collect();
                    out.push(
                        Diagnostic::new(
                            &WRONG_PLACE,
                            here,
                            format!("{} cannot stand in {} {}", word.text, line.kind.name(), line.said),
                        )
                        .label("the kernel refuses the whole file")
                        .help(format!("it belongs to {}", names.join(" or "))),
                    );
                }
            }
            "maxseg"
                if [Hook::Prerouting, Hook::Input].contains(&line.hook)
                    && all.iter().skip(at).any(|word| word.text == "rt") =>
            {
                let last = all.last().unwrap_or(word);
                let what = format!("the path's MTU is not known in {} {}", line.kind.name(), line.said);
                out.push(
                    Diagnostic::new(&WRONG_PLACE, line.at(word.start..last.end), what)
                        .label("the kernel refuses the whole file")
                        .help("it belongs to `chain mangle FORWARD`, or say it in the language: `clamp mss …`"),
                );
            }
            "notrack" if line.kind != TableKind::Raw => out.push(
                Diagnostic::new(
                    &WRONG_PLACE,
                    here,
                    format!("notrack cannot stand in {} {}", line.kind.name(), line.said),
                )
                .label("connections are tracked already here")
                .help("it belongs to `chain raw PREROUTING` or `chain raw OUTPUT`"),
            ),
            "reject" if line.kind == TableKind::Nat || line.hook == Hook::Postrouting => out.push(
                Diagnostic::new(
                    &WRONG_PLACE,
                    here,
                    format!("reject cannot stand in {} {}", line.kind.name(), line.said),
                )
                .label("the kernel refuses the whole file")
                .help("it belongs to `chain filter INPUT`, `FORWARD` or `OUTPUT`"),
            ),
            _ => {}
        }
    }
    if let Some(at) = position(all, &["ct", "original", "proto-dst"])
        && position(all, &["ct", "direction", "original"]).is_none()
        && let (Some(first), Some(last)) = (all.get(at), all.get(at + 2))
    {
        out.push(
            Diagnostic::new(
                &WITHOUT_DIRECTION,
                line.at(first.start..last.end),
                "replies and outgoing connections match this too",
            )
            .label("what the connection was opened to, in both directions")
            .fix(
                "ask for the direction in which it was opened",
                line.at(first.start..first.start),
                "ct direction original ",
            ),
        );
    }
}

/// The port that the client dialled, compared before the protocol is: nft 1.0.6 does not read the number then.
fn dialled_port(line: &Line<'_>, all: &[Word<'_>], out: &mut Vec<Diagnostic>) {
    let Some(at) = position(all, &["proto-dst"]).or_else(|| position(all, &["proto-src"])) else { return };
    let before = all.get(..at).unwrap_or_default();
    let said =
        before.iter().any(|word| ["l4proto", "tcp", "udp", "sctp", "protocol"].contains(&word.text) && !word.quoted);
    if let Some(word) = all.get(at).filter(|_| !said) {
        out.push(
            Diagnostic::new(
                &PORT_WITHOUT_PROTOCOL,
                line.at(word.range()),
                format!("`{}` compares ports, and no protocol is said before it", word.text),
            )
            .label("nft 1.0.6 does not read the number then")
            .fix("say the protocol first", line.at(0..0), "meta l4proto tcp "),
        );
    }
}

/// Ports behind `tcp dport`: one, a range, or a list of them in braces.
fn ports(line: &Line<'_>, all: &[Word<'_>], out: &mut Vec<Diagnostic>) {
    for (name, protocol) in [("tcp", Protocol::TCP), ("udp", Protocol::UDP), ("sctp", Protocol::SCTP)] {
        let Some(at) = position(all, &[name, "dport"]) else { continue };
        let mut ranges = Vec::new();
        let mut end = at + 1;
        for (offset, word) in all.iter().enumerate().skip(at + 2) {
            let inner = word.text.trim_matches(['{', '}', ',']);
            let (first, last) = inner.split_once('-').unwrap_or((inner, inner));
            if let (Ok(first), Ok(last)) = (first.parse(), last.parse()) {
                ranges.push(PortRange { first, last });
            } else if !inner.is_empty() {
                break;
            }
            end = offset;
            if word.text.ends_with('}')
                || (ranges.len() == 1 && !all.get(at + 2).is_some_and(|word| word.text.starts_with('{')))
            {
                break;
            }
        }
        let (Some(first), Some(last)) = (all.get(at), all.get(end)) else { continue };
        let here = line.at(first.start..last.end);
        let v6 = all.iter().any(|word| word.text == "ip6" || word.text == "ipv6");
        let local = all.iter().zip(all.iter().skip(1)).any(|(word, value)| {
            word.text == "iifname"
                && (value.text == "lo" || line.policy.cards.class_of(&Card::parse(value.text)).is_some())
        });
        if !v6 && !local {
            out.extend(super::bypassed(line, here, protocol, &ranges));
        }
        let rewritten = match ranges.as_slice() {
            [one] => {
                Some(format!("meta l4proto {name} ct status dnat ct direction original ct original proto-dst {one}"))
            }
            _ => None,
        };
        out.extend(super::after_nat(line, here, protocol, &ranges, rewritten));
    }
}

/// An accept of what goes to a bridge of Docker's: what is not published there, Docker's own table drops afterwards. A line that
/// asks for what was translated, or for connections that are open, accepts what Docker accepts.
fn overridden(line: &Line<'_>, all: &[Word<'_>]) -> Option<Diagnostic> {
    let policy = line.policy;
    let docker = policy.facts.docker.as_ref();
    if line.hook != Hook::Forward
        || !policy.platforms.iter().any(|name| name == "docker")
        || traffic::iptables_off(policy)
    {
        return None;
    }
    let accept = all.iter().find(|word| word.text == "accept" && !word.quoted)?;
    let card = |name: &str| {
        let value = all.get(all.iter().position(|word| word.text == name && !word.quoted)? + 1)?;
        Some(value.text)
    };
    let to = card("oifname").or_else(|| card("oif"))?;
    let from = card("iifname").or_else(|| card("iif"));
    let theirs = policy.cards.class_of(&Card::parse(to)) == Some(Class::Container);
    let docker_accepts = all
        .iter()
        .any(|word| !word.quoted && (["dnat", "original"].contains(&word.text) || word.text.contains("established")))
        || inside_ports(policy, all);
    if !theirs || docker_accepts || from == Some(to) || marks(all) {
        return None;
    }
    let backend = docker.and_then(|docker| docker.firewall_backend);
    let mut found = Diagnostic::new(
        &OVERRIDDEN_ACCEPT,
        line.at(accept.range()),
        "Docker drops what is not published, whatever an nft table accepts",
    )
    .label("ends this table alone")
    .help("publish the port and say `allow … to container`");
    if backend != Some(Backend::Nftables) {
        found = found.help("or write it for iptables: `target iptables` and `chain filter DOCKER-USER`");
    }
    if backend != Some(Backend::Iptables) {
        let here = line.at(accept.start..accept.start);
        found = match docker.and_then(|docker| docker.bridge_accept_fwmark.as_deref()) {
            Some(mark) if !mark.contains('/') => {
                found.fix("or set the mark that Docker accepts", here, format!("meta mark set {mark} "))
            }
            Some(mark) => found.help(format!("or set the mark that Docker accepts: `{mark}`, with `meta mark set`")),
            None => found.help(
                "or, with Docker's nftables backend, start it with `--bridge-accept-fwmark` and set that mark here",
            ),
        };
    }
    Some(found)
}

/// Whether the line compares the inside port of something that is published.
fn inside_ports(policy: &crate::policy::Policy, all: &[Word<'_>]) -> bool {
    let Some(at) = all.iter().position(|word| word.text == "dport" && !word.quoted) else { return false };
    let Some(port) = all.get(at + 1).and_then(|word| word.text.parse::<u16>().ok()) else { return false };
    policy.containers.published.iter().any(|one| one.container_ports.first <= port && port <= one.container_ports.last)
}

/// Whether the line sets the packet's mark.
fn marks(all: &[Word<'_>]) -> bool {
    position(all, &["mark", "set"]).is_some()
}

/// Whether a rule decides without asking anything.
fn decides(all: &[Word<'_>]) -> bool {
    let mut words = all.iter().filter(|word| !word.quoted).map(|word| word.text).peekable();
    if words.peek() == Some(&"counter") {
        words.next();
    }
    let verdict = words.next().is_some_and(|word| ["accept", "drop", "return", "reject"].contains(&word));
    verdict && words.all(|word| word == "comment")
}
