//! One rule: its words cut into options, and what each says.

mod matches;
mod target;

pub(super) use target::TARGETS;

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::{Refusal, refuse};
use crate::net::{AddressSet, Card, Family};
use crate::netfilter::{Match, MatchKind, Rule};
use crate::read::scan::Word;
use crate::read::{address, quoted};
use crate::span::Span;

/// An option of a match or a target: whether `!` stands before it, its name, its values.
#[derive(Clone, Copy)]
struct Opt<'w, 't> {
    negated: bool,
    name: &'t str,
    values: &'w [Word<'t>],
    /// Where it begins in the line, `!` included.
    start: usize,
    end: usize,
}

impl<'t> Opt<'_, 't> {
    /// Its value, if it has exactly one.
    fn value(&self) -> Option<&'t str> {
        match self.values {
            [one] => Some(one.text),
            _ => None,
        }
    }
}

struct Builder<'w, 't, 'c> {
    line: &'t str,
    words: &'w [Word<'t>],
    at: usize,
    family: Family,
    chains: &'c FxHashMap<Arc<str>, usize>,
    rule: Rule,
    /// What `-p` asks for: options of that protocol need no `-m`.
    protocol: Option<&'t str>,
    options: Vec<Opt<'w, 't>>,
}

pub(super) fn read_rule(
    line: &str,
    words: &[Word],
    family: Family,
    chains: &FxHashMap<Arc<str>, usize>,
) -> Result<Rule, Refusal> {
    let rule = Rule::default();
    let options = Vec::new();
    let mut builder = Builder { line, words, at: 0, family, chains, rule, protocol: None, options };
    builder.read()?;
    Ok(builder.rule)
}

/// Whether a word begins an option.
fn is_option(word: &Word) -> bool {
    !word.quoted
        && word.text.len() > 1
        && word.text.starts_with('-')
        && !word.text.as_bytes().get(1).is_some_and(u8::is_ascii_digit)
}

fn is_not(word: &Word) -> bool {
    !word.quoted && word.text == "!"
}

/// Options that belong to no module.
fn is_basic(name: &str) -> bool {
    matches!(
        name,
        "-p" | "-s"
            | "-d"
            | "-i"
            | "-o"
            | "-m"
            | "-j"
            | "-g"
            | "-f"
            | "-4"
            | "-6"
            | "-c"
            | "--protocol"
            | "--source"
            | "--src"
            | "--destination"
            | "--dst"
            | "--in-interface"
            | "--out-interface"
            | "--match"
            | "--jump"
            | "--goto"
            | "--fragment"
            | "--set-counters"
            | "--ipv4"
            | "--ipv6"
    )
}

impl<'w, 't> Builder<'w, 't, '_> {
    fn read(&mut self) -> Result<(), Refusal> {
        let line = self.line;
        while let Some(option) = self.next() {
            let values = option.values;
            let span = Span::new(option.start, option.end);
            match option.name {
                "" => {
                    let message =
                        format!("`{}` belongs to no option", quoted(line.get(option.start..option.end).unwrap_or("")));
                    return Err(refuse(span, message, "put a text with spaces in quotation marks"));
                }
                "-m" | "--match" => {
                    let Some((module, after)) = values.split_first() else {
                        return Err(refuse(span, "`-m` stands without the name of a match", "name it: `-m conntrack`"));
                    };
                    if let Some(extra) = after.first() {
                        let message = format!("`{}` belongs to no option", quoted(extra.text));
                        return Err(refuse(Span::new(extra.start, extra.end), message, "options begin with a dash"));
                    }
                    let end = self.gather(option.end);
                    self.module(module.text, option.start, end);
                }
                "-j" | "--jump" | "-g" | "--goto" => {
                    let Some((target, after)) = values.split_first() else {
                        let message = format!("`{}` stands without a target", option.name);
                        return Err(refuse(span, message, "name a target or a chain"));
                    };
                    if let Some(extra) = after.first() {
                        let message = format!("`{}` belongs to no option", quoted(extra.text));
                        return Err(refuse(Span::new(extra.start, extra.end), message, "options begin with a dash"));
                    }
                    let end = self.gather(option.end);
                    if self.rule.verdict.is_some() || !self.rule.effects.is_empty() {
                        return Err(refuse(span, "the rule has a second target", "write a rule for each target"));
                    }
                    let goto = option.name == "-g" || option.name == "--goto";
                    self.target(target.text, goto, option.start, end);
                }
                name if is_basic(name) => {
                    if let Some(extra) = values.get(1).filter(|_| !matches!(name, "-c" | "--set-counters")) {
                        let message = format!("`{}` belongs to no option", quoted(extra.text));
                        return Err(refuse(Span::new(extra.start, extra.end), message, "options begin with a dash"));
                    }
                    self.basic(option);
                }
                // An option without `-m`: it is the protocol's, or asks for what is not known.
                _ => {
                    let start = option.start;
                    self.options.clear();
                    self.options.push(option);
                    // iptables looks through every module named so far, whatever stands between.
                    if let Some(module) = self.owner(option.name) {
                        self.module(module, start, option.end);
                        continue;
                    }
                    let end = self.gather_more(option.end);
                    // An option is its module's wherever it stands behind it; conntrack's are told by their names.
                    let (tracked, own): (Vec<_>, Vec<_>) = std::mem::take(&mut self.options)
                        .into_iter()
                        .partition(|option| option.name.starts_with("--ct"));
                    if !tracked.is_empty() {
                        self.options = tracked;
                        self.module("conntrack", start, end);
                    }
                    if own.is_empty() {
                        continue;
                    }
                    self.options = own;
                    let module = match self.protocol {
                        Some("icmp") => "icmp",
                        Some("ipv6-icmp" | "icmpv6") => "icmp6",
                        Some(protocol @ ("tcp" | "udp" | "sctp" | "dccp" | "udplite")) => protocol,
                        _ => "",
                    };
                    self.module(module, start, end);
                }
            }
        }
        Ok(())
    }

    /// The next option with its values; one without a name for a word that belongs to none.
    fn next(&mut self) -> Option<Opt<'w, 't>> {
        let words = self.words;
        let first = words.get(self.at)?;
        let negated = is_not(first);
        let word = if negated { words.get(self.at + 1) } else { Some(first) };
        let Some(word) = word.filter(|word| is_option(word)) else {
            self.at += 1 + usize::from(negated);
            return Some(Opt { negated, name: "", values: &[], start: first.start, end: word.unwrap_or(first).end });
        };
        let from = self.at + 1 + usize::from(negated);
        let mut to = from;
        while words.get(to).is_some_and(|word| !is_option(word) && !is_not(word)) {
            to += 1;
        }
        self.at = to;
        let values = words.get(from..to).unwrap_or_default();
        let end = values.last().unwrap_or(word).end;
        Some(Opt { negated, name: word.text, values, start: first.start, end })
    }

    /// The module named earlier in the rule that an option belongs to, of those whose options hold apart from one another.
    fn owner(&self, option: &str) -> Option<&'static str> {
        let module = match option {
            "--state" => "state",
            "--src-range" | "--dst-range" => "iprange",
            "--mark" => "mark",
            "--mac-source" => "mac",
            "--uid-owner" | "--gid-owner" => "owner",
            _ if option.starts_with("--ct") => "conntrack",
            _ if option.starts_with("--physdev-") => "physdev",
            _ => return None,
        };
        let before = self.words.get(..self.at).unwrap_or_default();
        let named = before.windows(2).any(|pair| match pair {
            [option, name] => matches!(option.text, "-m" | "--match") && name.text == module,
            _ => false,
        });
        named.then_some(module)
    }

    /// Collects the options of a module or a target; gives where they end.
    fn gather(&mut self, end: usize) -> usize {
        self.options.clear();
        self.gather_more(end)
    }

    fn gather_more(&mut self, mut end: usize) -> usize {
        loop {
            let before = self.at;
            match self.next() {
                Some(option) if !is_basic(option.name) => {
                    end = option.end;
                    self.options.push(option);
                }
                _ => {
                    self.at = before;
                    return end;
                }
            }
        }
    }

    fn text(&self, start: usize, end: usize) -> Arc<str> {
        Arc::from(self.line.get(start..end).unwrap_or_default())
    }

    fn push(&mut self, negated: bool, kind: MatchKind) {
        self.rule.matches.push(Match { negated, kind });
    }

    fn unknown(&mut self, start: usize, end: usize) {
        let text = self.text(start, end);
        self.push(false, MatchKind::Unknown(text));
    }

    fn basic(&mut self, option: Opt<'w, 't>) {
        let kind = match (option.name, option.value()) {
            ("-4" | "--ipv4" | "-6" | "--ipv6" | "-c" | "--set-counters", _) => return,
            ("-p" | "--protocol", Some("all" | "0" | "ip")) if !option.negated => return,
            ("-p" | "--protocol", Some(name)) => {
                if !option.negated {
                    self.protocol = Some(name);
                }
                address::protocol(name).map(MatchKind::protocol)
            }
            ("-s" | "--source" | "--src", Some(text)) => self.addresses(text).map(MatchKind::Source),
            ("-d" | "--destination" | "--dst", Some(text)) => self.addresses(text).map(MatchKind::Destination),
            ("-i" | "--in-interface", Some(name)) => Some(MatchKind::InInterface([card(name)].into())),
            ("-o" | "--out-interface", Some(name)) => Some(MatchKind::OutInterface([card(name)].into())),
            _ => None,
        };
        match kind {
            Some(kind) => self.push(option.negated, kind),
            None => self.unknown(option.start, option.end),
        }
    }

    fn addresses(&self, text: &str) -> Option<AddressSet> {
        let family = self.family;
        if text.contains(',') {
            return text.split(',').map(|part| address::of_family(part, family)).collect();
        }
        address::of_family(text, family).map(|range| AddressSet::new([range]))
    }

    fn remark(&mut self, text: &str) {
        self.rule.comment = Some(match &self.rule.comment {
            Some(before) => Arc::from(format!("{before} {text}")),
            None => Arc::from(text),
        });
    }
}

/// `eth0`, or `br-+` for every name that begins so.
fn card(name: &str) -> Card {
    match name.strip_suffix('+') {
        Some(name) => Card { name: name.to_owned(), prefix: true },
        None => Card::exact(name),
    }
}

/// `0x1/0xff`; without a mask, all bits count.
fn masked(text: &str) -> Option<(u32, u32)> {
    match text.split_once('/') {
        Some((value, mask)) => Some((address::number(value)?, address::number(mask)?)),
        None => Some((address::number(text)?, u32::MAX)),
    }
}
