//! One rule: its words cut into options, and what each says.

mod canonical;
mod matches;
mod parse;
mod place;
mod target;
mod value;

pub(super) use target::TARGETS;

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::Refusal;
use crate::names;
use crate::net::{AddressSet, Card, Family, Mac};
use crate::netfilter::{Hook, IcmpType, Match, MatchKind, Rule, State, TableKind, Verdict};
use crate::read::address;
use crate::read::scan::Word;
use crate::read::shell;
use parse::{Item, Opt};

/// The chain that a rule is for, as far as it tells what can be used there.
#[derive(Clone, Copy)]
pub(super) struct Chain {
    pub table: TableKind,
    /// Of a built-in chain.
    pub hook: Option<Hook>,
}

struct Builder<'t, 'c> {
    line: &'t str,
    family: Family,
    chains: &'c FxHashMap<Arc<str>, usize>,
    rule: Rule,
    /// Matches of which one holds, and their text.
    alternatives: Vec<Match>,
    alternatives_text: String,
}

/// Reads the words of a rule: the rules that it means. Several, where one list asks for things that the netfilter form compares
/// apart.
pub(super) fn read_rule(
    line: &str,
    words: &[Word],
    family: Family,
    chain: Option<Chain>,
    chains: &FxHashMap<Arc<str>, usize>,
) -> Result<Vec<Rule>, Refusal> {
    let parsed = parse::parse(words, family)?;
    if let Some(chain) = chain {
        place::check(&parsed, chain)?;
    }
    let mut builder = Builder {
        line,
        family,
        chains,
        rule: Rule::default(),
        alternatives: Vec::new(),
        alternatives_text: String::new(),
    };
    for item in &parsed.items {
        match item {
            Item::Basic(at) => parsed.basic.get(*at).into_iter().for_each(|option| builder.basic(option)),
            Item::Match(at) => parsed.matches.get(*at).into_iter().for_each(|instance| builder.module(instance)),
        }
    }
    if let Some(target) = &parsed.target {
        builder.target(target, parsed.goto);
    }
    Ok(builder.finish())
}

impl<'t> Builder<'t, '_> {
    fn text(&self, option: &Opt) -> &'t str {
        self.line.get(option.start..option.end).unwrap_or_default()
    }

    fn push(&mut self, negated: bool, kind: MatchKind) {
        self.rule.matches.push(Match { negated, kind });
    }

    fn unknown(&mut self, text: impl AsRef<str>) {
        self.push(false, MatchKind::Unknown(shell::shown(text.as_ref())));
    }

    fn basic(&mut self, option: &Opt<'t>) {
        if option.is_open() {
            return self.unknown(self.text(option));
        }
        let kind = match (option.name, option.value()) {
            ("-4" | "-6" | "-c", _) => return,
            ("-p", Some(name)) => {
                let name = address::lowered(name);
                if matches!(&*name, "all" | "0" | "ip") && !option.negated {
                    return;
                }
                address::protocol(&name).map(MatchKind::protocol)
            }
            ("-s", Some(text)) => match self.addresses(text) {
                Some(set) if is_everything(&set, self.family) && !option.negated => return,
                set => set.map(MatchKind::Source),
            },
            ("-d", Some(text)) => match self.addresses(text) {
                Some(set) if is_everything(&set, self.family) && !option.negated => return,
                set => set.map(MatchKind::Destination),
            },
            ("-i" | "-o", Some("+")) if !option.negated => return,
            ("-i", Some(name)) => Some(MatchKind::InInterface([card(name)].into())),
            ("-o", Some(name)) => Some(MatchKind::OutInterface([card(name)].into())),
            _ => None,
        };
        match kind {
            Some(kind) => self.push(option.negated, kind),
            None => self.unknown(self.text(option)),
        }
    }

    fn addresses(&self, text: &str) -> Option<AddressSet> {
        text.split(',').map(|part| address::spelt(part, self.family)?).collect()
    }

    /// `10.0.0.1-10.0.0.9`.
    fn range(&self, text: &str) -> Option<AddressSet> {
        address::of_family(text, self.family).map(|range| AddressSet::new([range]))
    }

    fn remark(&mut self, text: &str) {
        self.rule.comment = Some(match &self.rule.comment {
            Some(before) => Arc::from(format!("{before} {text}")),
            None => Arc::from(text),
        });
    }

    /// A match of which one of several holds: a rule for each, where that is the same.
    fn finish(mut self) -> Vec<Rule> {
        if self.alternatives.is_empty() {
            return vec![self.rule];
        }
        let alone = self.rule.effects.is_empty() && self.rule.matches.iter().all(|item| !is_counting(&item.kind));
        let ends = matches!(
            self.rule.verdict,
            Some(Verdict::Accept | Verdict::Drop | Verdict::Reject(_) | Verdict::Return | Verdict::Goto(_))
        );
        if !alone || !ends {
            let text = std::mem::take(&mut self.alternatives_text);
            self.unknown(text);
            return vec![self.rule];
        }
        let Self { rule, alternatives, .. } = self;
        let with = |item: Match| {
            let mut rule = rule.clone();
            rule.matches.push(item);
            rule
        };
        alternatives.into_iter().map(with).collect()
    }
}

/// Whether asking twice may give two answers.
fn is_counting(kind: &MatchKind) -> bool {
    matches!(kind, MatchKind::Limit(_) | MatchKind::ConnectionsAbove { .. } | MatchKind::Unknown(_))
}

/// `0/0`: every address.
fn is_everything(set: &AddressSet, family: Family) -> bool {
    address::spelt("0/0", family).flatten().is_some_and(|all| set.iter().eq([all]))
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

/// Connection states by name, cut short or not, in either case; whether translation is among them.
fn states(text: &str) -> Option<States> {
    let known = [
        ("INVALID", State::INVALID),
        ("NEW", State::NEW),
        ("ESTABLISHED", State::ESTABLISHED),
        ("RELATED", State::RELATED),
        ("UNTRACKED", State::UNTRACKED),
    ];
    let mut found = States::default();
    for name in text.split(',') {
        if let Some((_, bit)) = known.iter().find(|(known, _)| begins(known, name)) {
            found.bits |= bit;
        } else if begins("SNAT", name) {
            found.source_translated = true;
        } else if begins("DNAT", name) {
            found.destination_translated = true;
        } else {
            return None;
        }
    }
    Some(found)
}

/// What a list of states asks for: one of these.
#[derive(Clone, Copy, Default)]
struct States {
    bits: u8,
    source_translated: bool,
    destination_translated: bool,
}

/// Whether a word is the beginning of a name, in either case, as the tool compares them.
fn begins(name: &str, word: &str) -> bool {
    !word.is_empty() && name.get(..word.len()).is_some_and(|own| own.eq_ignore_ascii_case(word))
}

/// The ICMP types that a name means, cut short or not.
fn icmp_types(family: Family, text: &str) -> Option<Vec<IcmpType>> {
    names::icmp::lookup(family, text).or_else(|| {
        let named = text.bytes().next().is_some_and(|letter| letter.is_ascii_alphabetic());
        let mut meant = names::icmp::names(family).filter(|name| named && begins(name, text));
        let first = meant.next()?;
        meant.next().is_none().then(|| names::icmp::lookup(family, first)).flatten()
    })
}

/// `10/min`, `10/minute`, `10`: so many in so many seconds.
fn rate(text: &str) -> Option<(u32, u32)> {
    let (count, unit) = text.split_once('/').unwrap_or((text, "second"));
    let units = [("second", 1), ("minute", 60), ("hour", 3600), ("day", 86_400)];
    let (_, seconds) = units.into_iter().find(|(name, _)| begins(name, unit))?;
    // What follows the digits is passed over, as the tool does.
    let digits = count.len() - count.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
    Some((address::number(count.get(..digits)?)?, seconds))
}

/// An Ethernet address, of which each part may be one digit.
fn mac(text: &str) -> Option<Mac> {
    let parts = text.split(':').map(|part| u8::from_str_radix(part, 16).ok());
    let parts: Vec<u8> = parts.collect::<Option<_>>()?;
    Some(Mac(parts.try_into().ok()?))
}

/// The DSCP class that a word begins with, in either case, as the tool compares them.
fn dscp_class(word: &str) -> Option<u8> {
    let name =
        names::dscp::names().find(|name| word.get(..name.len()).is_some_and(|own| own.eq_ignore_ascii_case(name)))?;
    names::dscp::lookup(name)
}
