//! The words of other firewalls, and ports behind what has none.

use super::codes::{FOREIGN_WORD, NO_PORTS_HERE};
use super::translate::traffic;
use super::{Case, Change};
use crate::diagnostic::Diagnostic;
use crate::syntax::grammar::{RESERVED, Rule};
use crate::syntax::values::shown;

pub(super) fn foreign(case: &Case<'_>) -> Option<Diagnostic> {
    let told = |index: usize, message: String, help: &str, change: Change| {
        let diagnostic = Diagnostic::new(&FOREIGN_WORD, case.location(case.range_of(index)), message);
        Some(case.fix(diagnostic, help, change))
    };
    if let Some(found) = other_order(case) {
        return Some(found);
    }
    let candidates = [Some(case.at), case.at.checked_sub(1)];
    for index in candidates.into_iter().flatten().filter(|&index| index > 0 || case.at == 0) {
        let word = case.text_of(index);
        if word.is_empty() || word.starts_with('"') {
            continue;
        }
        if let Some(plain) = word.strip_suffix(';') {
            let change = case.try_token(index, plain).or_else(|| case.try_token(index, format!("{plain},")));
            if let Some(change) = change {
                return told(index, "no `;` is needed".into(), "leave it out", change);
            }
            if index + 1 < case.tokens.len() {
                let message = "each statement has a line of its own, without `;`";
                let diagnostic = Diagnostic::new(&FOREIGN_WORD, case.location(case.range_of(index)), message);
                return Some(diagnostic.help("end the line here, and take the `;` out"));
            }
        }
        if let Some(plain) = word.strip_prefix('!')
            && let Some(change) = case.try_token(index, format!("not {plain}").trim_end())
        {
            return told(index, format!("`{}` is written with `not`", shown(word)), "write `not`", change);
        }
        let instead = match word {
            "->" | "=>" | ">" | "dst" | "daddr" | "dest" | "destination" | "-d" => Some("to"),
            "src" | "saddr" | "source" | "-s" => Some("from"),
            "iif" | "iifname" | "oif" | "oifname" | "-i" | "-o" | "dev" => Some("via"),
            "and" | "or" | "&" | "&&" | "|" | "||" => Some(","),
            "proto" => Some("protocol"),
            "nftables" => Some("nft"),
            "ip6tables" => Some("iptables"),
            "icmpv6" | "icmp6" => Some("ipv6 icmp"),
            "icmpv4" | "icmp4" => Some("ipv4 icmp"),
            _ => None,
        };
        if let Some(instead) = instead
            && let Some(change) = case.try_token(index, instead)
        {
            return told(
                index,
                format!("`{word}` is not a word here: it is `{instead}`"),
                &format!("write `{instead}`"),
                change,
            );
        }
        if matches!(word, "and" | "or" | "&" | "&&" | "|" | "||") && index > 0 {
            let (left, right) = (case.text_of(index - 1), case.text_of(index + 1));
            let range = case.range_of(index - 1).start..case.range_of(index + 1).end;
            if let Some(change) = case.try_replace(range, format!("{{ {left}, {right} }}")) {
                return told(index, "several of a kind are a list in braces".into(), "write a list", change);
            }
        }
        if matches!(word, "port" | "ports" | "dport" | "dports" | "--dport" | "--dports" | "-p" | "proto" | "th") {
            // Without it, `on 22` would be an interface, and every port open on it.
            if index > 0 && matches!(case.text_of(index - 1), "on" | "at" | "with" | "using") {
                let fault =
                    Diagnostic::new(&FOREIGN_WORD, case.location(case.range_of(index)), "ports follow the protocol");
                return Some(fault.help("write the port behind the protocol: `allow tcp 22 to host`"));
            }
            if let Some(change) = case.try_without(index) {
                return told(
                    index,
                    format!("`{word}` is not needed: ports follow the protocol"),
                    "leave it out",
                    change,
                );
            }
            if let Some(change) = case.try_token(index, "tcp") {
                let diagnostic = Diagnostic::new(
                    &FOREIGN_WORD,
                    case.location(case.range_of(index)),
                    format!("`{word}` does not say of which protocol"),
                )
                .label("expected `tcp` or `udp` in front of the port");
                let udp = case.try_token(index, "udp");
                let diagnostic = case.fix(diagnostic, "write `tcp`", change);
                return Some(match udp {
                    Some(change) => case.fix(diagnostic, "or `udp`", change),
                    None => diagnostic,
                });
            }
        }
        if matches!(word, "sport" | "sports" | "--sport") && index > 0 {
            let diagnostic = Diagnostic::new(
                &FOREIGN_WORD,
                case.location(case.range_of(index)),
                format!("`{word}` is written `source port`"),
            );
            return Some(match case.try_token(index, "source port") {
                Some(change) => case.fix(diagnostic, "write `source port`", change),
                None => {
                    diagnostic.help("it is an option and stands behind the clauses: `… to host source port 1024-65535`")
                }
            });
        }
        if let Some((first, second)) = word.split_once('/') {
            let (port, protocol) = if is_number(first) { (first, second) } else { (second, first) };
            if is_number(port) && matches!(protocol, "tcp" | "udp" | "sctp") {
                let right = format!("{protocol} {port}");
                if let Some(change) = case.try_token(index, &*right) {
                    return told(
                        index,
                        format!("`{}` is written `{right}`", shown(word)),
                        "write the protocol first",
                        change,
                    );
                }
            }
        }
        if index == case.at
            && is_number(word)
            && let Some(change) = case.try_token(index, format!("tcp {word}"))
        {
            let diagnostic = Diagnostic::new(
                &FOREIGN_WORD,
                case.location(case.range_of(index)),
                format!("`{}` alone is not a service", shown(word)),
            )
            .label("expected `tcp` or `udp` in front of a port");
            return Some(case.fix(
                case.fix(diagnostic, "write `tcp`", change),
                "or `udp`",
                (case.range_of(index), format!("udp {word}")),
            ));
        }
        if matches!(word, "-" | ":" | "..") && index > 0 {
            let range = case.range_of(index - 1).start..case.range_of(index + 1).end;
            let joined = format!("{}-{}", case.text_of(index - 1), case.text_of(index + 1));
            if let Some(change) = case.try_replace(range, joined) {
                return told(index, "a range is written without spaces".into(), "write it in one word", change);
            }
        }
    }
    None
}

fn is_number(word: &str) -> bool {
    word.bytes().next().is_some_and(|byte| byte.is_ascii_digit())
        && word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
}

pub(super) fn no_ports(case: &Case<'_>) -> Option<Diagnostic> {
    let ports = case.found();
    if !is_number(ports) {
        return None;
    }
    let before = case.before();
    let earlier = case.at.checked_sub(2).map_or("", |index| case.text_of(index));
    let diagnostic = |message: String| Diagnostic::new(&NO_PORTS_HERE, case.place(), message);
    if before == "icmp" {
        let name = match ports {
            "0" => Some("echo-reply"),
            "3" => Some("destination-unreachable"),
            "8" | "128" => Some("echo-request"),
            "11" => Some("time-exceeded"),
            _ => None,
        };
        let diagnostic = diagnostic("ICMP has no ports".into())
            .label("expected the name of a type, such as `echo-request`, or nothing");
        return Some(match name.and_then(|name| case.try_token(case.at, name)) {
            Some(change) => case.fix(diagnostic, "if the type of this number is meant, write its name", change),
            None => diagnostic,
        });
    }
    if earlier == "protocol" {
        let whole = case.range_of(case.at - 2).start..case.range_of(case.at - 1).end;
        let diagnostic = diagnostic(format!("`protocol {}` is not followed by ports", shown(before)));
        if matches!(before, "tcp" | "udp" | "sctp")
            && let Some(change) = case.try_replace(whole, before)
        {
            return Some(case.fix(diagnostic, format!("with ports, write `{before}` alone"), change));
        }
        return Some(match case.try_without(case.at) {
            Some(change) => case.fix(diagnostic, "leave the ports out", change),
            None => diagnostic,
        });
    }
    // A service by name, with ports behind it.
    if case.at < 1
        || RESERVED.contains(&before)
        || !before.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic())
    {
        return None;
    }
    let as_tcp =
        case.try_replace(case.range_of(case.at - 1).start..case.range_of(case.at).end, format!("tcp {ports}"))?;
    // Without the ports the service's own would be opened, which were not written.
    let diagnostic = diagnostic(format!("the service `{}` has ports of its own", shown(before)))
        .label("expected no port behind the name of a service");
    Some(case.fix(diagnostic, "write the protocol and the ports, without the service", as_tcp))
}

/// What is understood and stands at another place, or in other marks, than the language has it.
fn other_order(case: &Case<'_>) -> Option<Diagnostic> {
    let (found, before) = (case.found(), case.before());
    let told = |message: String, help: &str, change: Change| {
        let diagnostic = Diagnostic::new(&FOREIGN_WORD, case.place(), message);
        Some(case.fix(diagnostic, help, change))
    };
    let both = || case.range_of(case.at.saturating_sub(1)).start..case.range_of(case.at).end;
    if let Some(rest) = case.text.strip_prefix("log and ")
        && let Some(change) = case.try_replace(0..case.text.len(), format!("{} log", rest.trim_end()))
    {
        return told("logging is an option behind the sentence".into(), "write `log` at the end", change);
    }
    if found == "and"
        && let Some(change) = case.try_without(case.at)
    {
        return told("options stand one after the other, without `and`".into(), "leave it out", change);
    }
    if case.text.contains(['(', '[']) && found.starts_with(['(', '[']) {
        let braces: String = case
            .text
            .chars()
            .map(|letter| match letter {
                '(' | '[' => '{',
                ')' | ']' => '}',
                other => other,
            })
            .collect();
        if let Some(change) = case.try_replace(0..case.text.len(), spaced(&braces)) {
            return told("a list stands in braces, with commas".into(), "write braces", change);
        }
    }
    if case.rule == Rule::chain_head
        && case.at >= case.tokens.len()
        && let Some(change) = case.try_token(1, format!("filter {}", case.text_of(1)))
    {
        return told("a chain block names the table and the hook".into(), "say the table", change);
    }
    if before == "comment" {
        let rest = case.range_of(case.at).start..case.text.len();
        let text = case.text.get(rest.clone()).unwrap_or_default().trim_end().replace('"', "");
        if let Some(change) = case.try_replace(rest, format!("\"{text}\"")) {
            return told("a comment's text stands in quotes".into(), "put it in quotes", change);
        }
    }
    if matches!(before, "tcp" | "udp" | "sctp")
        && !is_number(found)
        && !RESERVED.contains(&found)
        && let Some(change) = case.try_replace(both(), found)
    {
        return told(format!("the service `{}` knows its protocol", shown(found)), "leave the protocol out", change);
    }
    if matches!(found, "in" | "out" | "inbound" | "outbound" | "incoming" | "outgoing")
        && let Some(change) = case.try_without(case.at)
    {
        return told(format!("`{found}` is not needed: `from` and `to` say the direction"), "leave it out", change);
    }
    if found == "rate"
        && let Some(change) = case.try_token(case.at, "limit")
    {
        return told("how often connections may come is a `limit`".into(), "write `limit`", change);
    }
    if before == "log"
        && let Some(change) = case.try_token(case.at, format!("\"{found} \""))
    {
        return told("the text of a log line stands in quotes".into(), "put it in quotes", change);
    }
    if case.rule == Rule::redirect_line
        && is_number(found)
        && let Some(change) = case.try_token(case.at, format!("port {found}"))
    {
        return told("a redirect goes to a `port`".into(), "say so", change);
    }
    if case.depth_of(case.at) == 0
        && is_number(found)
        && is_number(before)
        && let Some(change) = case.try_replace(both(), format!("{before}, {found}"))
    {
        return told("ports have commas between them".into(), "write a comma", change);
    }
    None
}

/// A service in the words of another firewall, a remark in the marks of another language.
pub(super) fn others_words(case: &Case<'_>) -> Option<Diagnostic> {
    let found = case.found();
    let told = |message: String, help: &str, change: Change| {
        Some(case.fix(Diagnostic::new(&FOREIGN_WORD, case.place(), message), help, change))
    };
    if found.starts_with("//") || found == ";" {
        let start = case.range_of(case.at).start;
        let remark = case.text.get(start + found.find(|mark| mark != '/').unwrap_or(found.len())..).unwrap_or_default();
        let with = if remark.trim().is_empty() { String::new() } else { format!("# {}", remark.trim_start()) };
        let change = case.try_replace(start..case.text.len(), with)?;
        return told("a remark begins with `#`".into(), "write `#`", change);
    }
    let words: Vec<&str> = (case.at..case.tokens.len()).map(|index| case.text_of(index)).collect();
    if let ["in" | "out", "on", interface, ..] = words.as_slice()
        && case.at + 3 == case.tokens.len()
    {
        let range = case.range_of(case.at).start..case.range_of(case.at + 2).end;
        let change = case.try_replace(range, format!("via {interface}"))?;
        return told("the interface of a connection is said with `via`".into(), "write `via`", change);
    }
    // What was taken for the name of a service may be the first of the words.
    [Some(case.at), case.at.checked_sub(1)].into_iter().flatten().find_map(|start| {
        let words: Vec<&str> = (start..case.tokens.len()).map(|index| case.text_of(index)).collect();
        let (ours, count) = traffic(&words)?;
        let range = case.range_of(start).start..case.range_of(start + count - 1).end;
        let change = case.try_replace(range, &*ours)?;
        told(format!("this is written `{ours}`"), "write the protocol, then the ports", change)
    })
}

/// Two services side by side, where nothing better can be said.
pub(super) fn two_services(case: &Case<'_>) -> Option<Diagnostic> {
    let (found, before) = (case.found(), case.before());
    let is_name = |word: &str| {
        let plain = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        plain && !word.is_empty() && !RESERVED.contains(&word)
    };
    if case.rule != Rule::rule_line || case.at != 2 || !is_name(found) || !is_name(before) {
        return None;
    }
    let both = case.range_of(1).start..case.range_of(2).end;
    let change = case.try_replace(both, format!("{{ {before}, {found} }}"))?;
    let fault = Diagnostic::new(&FOREIGN_WORD, case.place(), "several services are a list in braces");
    Some(case.fix(fault, "write a list", change))
}

/// A list with a space inside of its braces and commas between its members, as the language is written.
fn spaced(text: &str) -> String {
    let wide = text.replace('{', "{ ").replace('}', " }");
    let Some((head, rest)) = wide.split_once("{ ") else { return wide };
    let Some((list, tail)) = rest.split_once(" }") else { return wide };
    if list.contains(',') {
        return wide;
    }
    let members: Vec<&str> = list.split_whitespace().collect();
    format!("{head}{{ {} }}{tail}", members.join(", "))
}

/// A state of connections where a service belongs: what it stands for passes without a line.
pub(super) fn state(case: &Case<'_>) -> Option<Diagnostic> {
    let word = case.found();
    matches!(word, "established" | "related" | "established,related" | "related,established").then(|| {
        Diagnostic::new(&FOREIGN_WORD, case.place(), format!("`{word}` is not said: answers pass before all rules"))
            .label("rules judge the first packet of a connection")
            .help("take the whole line out, if it is for answers")
    })
}
