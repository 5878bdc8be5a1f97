//! What a line in nft's words refers to by its name: sets that are filled at run time, and objects, of which a policy makes none.

use super::Line;
use super::codes::REFUSED;
use crate::diagnostic::Diagnostic;
use crate::net::Family;
use crate::netfilter::entry;
use crate::netfilter::words::Word;

/// A reference that nft refuses.
pub(super) fn refused(line: &Line<'_>, all: &[Word<'_>]) -> Option<Diagnostic> {
    let fault = |word: Word<'_>, what: String| {
        Diagnostic::new(&REFUSED, line.at(word.range()), what).label("nft refuses the whole file")
    };
    for (at, word) in all.iter().enumerate() {
        let before = all.get(..at).unwrap_or_default();
        let inner = word.text.trim_matches(['{', '}', ',', ';']);
        // `@th,0,16` is a part of the packet.
        if let Some(name) = inner.strip_prefix('@').filter(|name| !name.contains(',') && !word.quoted) {
            let Some(family) = live_set(line, name) else {
                return Some(
                    fault(*word, format!("no set `{name}` is made by this policy"))
                        .help("declare it: `set NAME live` makes `fwc-NAME-v4` and `fwc-NAME-v6`"),
                );
            };
            if let Some((what, help)) = misused(before, word, family) {
                return Some(fault(*word, what).help(help));
            }
        } else if let Some((kind, help)) = object(before) {
            return Some(fault(*word, format!("no {kind} `{}` is made by this policy", word.text)).help(help));
        }
    }
    None
}

/// The family of the addresses in a live set of the policy.
fn live_set(line: &Line<'_>, name: &str) -> Option<Family> {
    let sets = &line.policy.live_sets;
    Family::BOTH.into_iter().find(|family| sets.iter().any(|live| *entry::live_set(&live.name, *family) == *name))
}

/// Why a set of addresses cannot be where it is.
fn misused(before: &[Word<'_>], word: &Word<'_>, family: Family) -> Option<(String, &'static str)> {
    if let Some(first) = before.first().filter(|first| ["add", "update", "delete"].contains(&first.text)) {
        let what = format!("rules cannot `{}` what is in `{}`", first.text, word.text);
        return Some((what, "the set holds networks, and nft changes those by its command alone"));
    }
    let compared =
        before.split_last().map_or(before, |(last, rest)| if matches!(last.text, "==" | "!=") { rest } else { before });
    let of = match compared {
        [.., header, field] if ["saddr", "daddr", "nexthop"].contains(&field.text) => match header.text {
            "ip" => Some(Family::Ipv4),
            "ip6" => Some(Family::Ipv6),
            _ => None,
        },
        _ => None,
    };
    let joined = compared.iter().rev().take(4).any(|word| word.text == ".");
    match of {
        Some(of) if of == family && !joined && word.text.starts_with('@') => None,
        Some(of) if of != family => {
            let what = format!("`{}` has {family} addresses, and this compares {of}", word.text);
            Some((what, "a live set NAME has those of IPv4 in `fwc-NAME-v4`, and those of IPv6 in `fwc-NAME-v6`"))
        }
        _ => {
            let what = format!("`{}` is a set of addresses, and none is compared", word.text);
            Some((
                what,
                "compare `ip saddr`, `ip daddr` or, with IPv6, `ip6 saddr`, `ip6 daddr`, with nothing joined to it",
            ))
        }
    }
}

/// The kind of a named object that is referred to after these words, and what to write instead.
fn object(before: &[Word<'_>]) -> Option<(&'static str, &'static str)> {
    let said = |words: &[&str]| {
        before.len() >= words.len()
            && before.iter().rev().zip(words.iter().rev()).all(|(word, wanted)| word.text == *wanted && !word.quoted)
    };
    if said(&["ct", "helper", "set"]) {
        return Some(("helper", "say it in the language: `helper ftp tcp 21 to host`"));
    }
    for (words, kind) in [
        (&["ct", "timeout", "set"][..], "time-out"),
        (&["ct", "expectation", "set"], "expectation"),
        (&["counter", "name"], "counter"),
        (&["limit", "name"], "limit"),
        (&["quota", "name"], "quota"),
        (&["synproxy", "name"], "synproxy"),
        (&["tunnel", "name"], "tunnel"),
    ] {
        if said(words) {
            return Some((kind, "write out what it says: a block has rules alone, and no objects"));
        }
    }
    None
}
