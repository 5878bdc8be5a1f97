//! One rule of nft into the netfilter form.
//!
//! nft runs a rule's statements in order; the netfilter form has matches, then effects, then a verdict. A match behind an effect makes
//! two rules of one where that means the same, and else the rule is kept by its text.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::super::address;
use super::field::{self, Field};
use super::lex::{Kind, Token, spaced};
use super::script::RawTable;
use super::set::simple_verdict;
use super::value::seconds;
use super::vocabulary::{self, Stranger};
use thin_vec::{ThinVec, thin_vec};

use crate::names;
use crate::net::{Family, Protocol};
use crate::netfilter::{Effect, Limit, MarkWord, Match, MatchKind, Reject, Rule, TableFamily, Verdict};
use crate::span::Location;

/// Reads a rule's words and appends the rules that it means.
pub(super) fn read(
    table: &mut RawTable,
    chains: &FxHashMap<&str, Arc<str>>,
    tokens: &[Token],
    place: (&str, usize),
    origin: Location,
    out: &mut Vec<Rule>,
) -> Option<Stranger> {
    let mut reader = Reader {
        table,
        chains,
        tokens,
        at: 0,
        place,
        items: Vec::new(),
        family: None,
        family_from: 0,
        verdict: None,
        comment: None,
        alternatives: Vec::new(),
        stranger: None,
    };
    reader.read();
    let stranger = reader.stranger.take();
    reader.finish(origin, out);
    stranger
}

/// How many matches and effects of one rule are read; the rest of it is kept by its text.
const LONGEST: usize = 256;

pub(super) enum Item {
    Match(Match),
    Effect(Effect),
}

pub(super) struct Reader<'a, 't> {
    pub(super) table: &'a mut RawTable<'t>,
    pub(super) chains: &'a FxHashMap<&'a str, Arc<str>>,
    pub(super) tokens: &'a [Token<'a>],
    pub(super) at: usize,
    /// The chain, and the rule's number in it.
    pub(super) place: (&'a str, usize),
    pub(super) items: Vec<Item>,
    pub(super) family: Option<Family>,
    /// How many items stand before the first word that says the family.
    pub(super) family_from: usize,
    pub(super) verdict: Option<Verdict>,
    pub(super) comment: Option<Arc<str>>,
    /// What the last words choose between, where no map can say it: a match and its verdict each.
    pub(super) alternatives: Vec<(Choice, Verdict)>,
    /// A word that nft refuses.
    pub(super) stranger: Option<Stranger>,
}

/// What one of several alternatives asks for.
#[derive(Clone)]
pub(super) enum Choice {
    Match(Match),
    Family(Family),
}

impl<'a> Reader<'a, '_> {
    pub(super) fn word(&self, ahead: usize) -> &'a str {
        self.tokens.get(self.at + ahead).filter(|token| token.kind != Kind::Quoted).map_or("", |token| token.text)
    }

    pub(super) fn token(&self, ahead: usize) -> Option<&'a Token<'a>> {
        self.tokens.get(self.at + ahead)
    }

    pub(super) fn since(&self, start: usize) -> &'a [Token<'a>] {
        self.tokens.get(start..self.at).unwrap_or_default()
    }

    /// The text of a statement; sets that it looks into are written out, so that other elements make another text.
    pub(super) fn text(&mut self, tokens: &[Token]) -> Arc<str> {
        let mut text = spaced(tokens);
        for token in tokens.iter().filter(|token| token.kind == Kind::Word) {
            if let Some(name) = token.text.strip_prefix('@')
                && let Some(set) = self.table.set_at.get(name).and_then(|at| self.table.sets.get_mut(*at))
                && let Some(listed) = set.listed()
            {
                text = text.replace(token.text, &listed);
            }
        }
        Arc::from(text)
    }

    pub(super) fn is(&mut self, kind: MatchKind) {
        self.items.push(Item::Match(Match::is(kind)));
    }

    pub(super) fn push(&mut self, negated: bool, kind: MatchKind) {
        self.items.push(Item::Match(Match { negated, kind }));
    }

    pub(super) fn effect(&mut self, effect: Effect) {
        self.items.push(Item::Effect(effect));
    }

    pub(super) fn unknown_match(&mut self, start: usize) {
        let text = self.text(self.since(start));
        self.is(MatchKind::Unknown(text));
    }

    /// A comparison that is not modelled, in the words of the kernel's listing: `time > 5` and `meta time > 5` are one question.
    pub(super) fn unknown_comparison(&mut self, start: usize) {
        let (named, rest) = field::as_listed(self.since(start));
        let rest: Vec<Token> = rest.iter().filter(|token| !token.is("==")).copied().collect();
        let text = format!("{named}{}", self.text(&rest));
        self.is(MatchKind::Unknown(Arc::from(text)));
    }

    pub(super) fn unknown_effect(&mut self, start: usize) {
        let text = self.text(self.since(start));
        self.effect(Effect::Unknown(text));
    }

    pub(super) fn unknown_verdict(&mut self, start: usize) {
        let text = self.text(self.since(start));
        self.verdict = Some(Verdict::Unknown(text));
    }

    /// Only packets of this family.
    pub(super) fn only(&mut self, family: Family) {
        let of_table = match self.table.family {
            TableFamily::Ipv4 => Some(Family::Ipv4),
            TableFamily::Ipv6 => Some(Family::Ipv6),
            _ => None,
        };
        if of_table.or(self.family).is_some_and(|other| other != family) {
            // Of two families at once: a list without members matches nothing.
            self.is(MatchKind::Protocol(Default::default()));
        } else if of_table.is_none() {
            if self.family.is_none() {
                self.family_from = self.items.len();
            }
            self.family = Some(family);
        }
    }

    /// Only packets of this protocol, if the rule has not said so.
    pub(super) fn needs(&mut self, protocol: Protocol) {
        if self.protocol() != Some(protocol) {
            self.is(MatchKind::protocol(protocol));
        }
    }

    /// The one protocol that the rule asks for.
    pub(super) fn protocol(&self) -> Option<Protocol> {
        self.items.iter().rev().find_map(|item| match item {
            Item::Match(Match { negated: false, kind: MatchKind::Protocol(list) }) => match &**list {
                [one] => Some(*one),
                _ => None,
            },
            _ => None,
        })
    }

    fn chain(&self, name: &str) -> Arc<str> {
        self.chains.get(name).cloned().unwrap_or_else(|| Arc::from(name))
    }

    fn read(&mut self) {
        while self.verdict.is_none() && self.alternatives.is_empty() {
            let Some(token) = self.token(0) else { return };
            let start = self.at;
            // The kernel takes no rule as long as this (`NFT_RULE_MAXEXPRS` is 128).
            if self.items.len() >= LONGEST {
                self.rest();
                return;
            }
            let done = token.kind == Kind::Word && self.statement(token.text);
            if !done {
                self.at = start;
                if token.kind == Kind::Word && self.stranger.is_none() {
                    self.stranger = vocabulary::beginning(self.tokens, start);
                }
                self.rest();
                return;
            }
        }
        self.trailer();
    }

    /// The remark, which stands at the end; anything else there is not understood.
    fn trailer(&mut self) {
        let start = self.at;
        while self.word(0) == "comment" && self.token(1).is_some() {
            self.remark();
        }
        if self.at < self.tokens.len() {
            self.at = start;
            self.rest();
        }
    }

    fn remark(&mut self) {
        self.comment = self.token(1).map(|token| Arc::from(token.text));
        self.at += 2;
    }

    /// What is not read: the rest of the rule may ask anything, do anything, decide anything. A plain verdict at its end is one.
    fn rest(&mut self) {
        let start = self.at;
        self.alternatives.clear();
        let mut end = self.tokens.len();
        if let [.., word, text] = self.tokens
            && word.is("comment")
            && text.kind == Kind::Quoted
            && end - 2 >= start
        {
            self.comment = Some(Arc::from(text.text));
            end -= 2;
        }
        let rest = self.tokens.get(start..end).unwrap_or_default();
        let text = self.text(rest);
        let plain = match rest {
            [.., last] => simple_verdict(std::slice::from_ref(last)).flatten(),
            [] => None,
        };
        self.at = self.tokens.len();
        self.is(MatchKind::Unknown(text.clone()));
        self.verdict = Some(match plain {
            Some(verdict) if self.verdict.is_none() => verdict,
            _ => Verdict::Unknown(text),
        });
    }

    /// One statement; `false` if it is not known where it ends.
    fn statement(&mut self, word: &str) -> bool {
        let start = self.at;
        match word {
            "counter" => {
                self.at += match (self.word(1), self.word(3)) {
                    ("packets", "bytes") => 5,
                    ("name", _) => 3,
                    _ => 1,
                };
            }
            "comment" if self.token(1).is_some() => self.remark(),
            "accept" | "drop" | "return" => {
                self.verdict = self.tokens.get(start..=start).and_then(|one| simple_verdict(one).flatten());
                self.at += 1;
            }
            "continue" => self.at += 1,
            "jump" | "goto" => {
                let Some(name) = self.token(1) else { return false };
                let name = self.chain(name.text);
                self.verdict = Some(if word == "jump" { Verdict::Jump(name) } else { Verdict::Goto(name) });
                self.at += 2;
            }
            "reject" => return self.reject(),
            "log" => return self.log(),
            "limit" => return self.limit(),
            "quota" => {
                self.at += 1;
                self.words(&["name", "over", "until", "used"]);
                self.unknown_match(start);
            }
            "notrack" => {
                self.at += 1;
                self.effect(Effect::Notrack);
            }
            "masquerade" | "redirect" | "dnat" | "snat" => return self.translation(word),
            "add" | "update" | "delete" if self.word(1).starts_with('@') => return self.dynamic(),
            "meter" => return self.meter(),
            // `XT target MASQUERADE not found` is how older versions print what they cannot translate.
            "xt" | "XT" if matches!(self.word(1), "match" | "target") && self.token(2).is_some() => {
                self.at += 3;
                self.at += if (self.word(0), self.word(1)) == ("not", "found") { 2 } else { 0 };
                // The listing hides what the extension was told: another rule with the same words is another matter.
                let text =
                    Arc::from(format!("{} in rule {} of {}", spaced(self.since(start)), self.place.1, self.place.0));
                let name = self.tokens.get(start + 2).map_or("", |token| token.text);
                if self.tokens.get(start + 1).is_some_and(|token| token.is("match")) {
                    if name != "comment" {
                        self.is(MatchKind::Unknown(text));
                    }
                } else if ["MARK", "CONNMARK", "HMARK"].contains(&name) {
                    self.effect(Effect::OpenMarks(text));
                } else if ["LOG", "CHECKSUM", "NFLOG", "TCPMSS", "CT", "CLASSIFY", "SET", "DSCP", "TOS"].contains(&name)
                {
                    self.effect(Effect::Unknown(text));
                } else {
                    self.verdict = Some(Verdict::Unknown(text));
                }
            }
            "queue" => {
                self.at = self.tokens.len();
                if let [.., word, text] = self.tokens
                    && word.is("comment")
                    && text.kind == Kind::Quoted
                {
                    self.at -= 2;
                }
                self.unknown_verdict(start);
            }
            "ct" if self.word(1) == "count" => {
                let over = self.word(2) == "over";
                let number = self.word(if over { 3 } else { 2 });
                let Some(count) = address::number(number) else { return false };
                self.at += if over { 4 } else { 3 };
                self.push(!over, MatchKind::ConnectionsAbove { count, source_prefix: 0, name: Arc::from("") });
            }
            "ct" if matches!(self.word(1), "helper" | "timeout" | "expectation") && self.word(2) == "set" => {
                let Some(name) = self.token(3) else { return false };
                self.at += 4;
                match self
                    .table
                    .helpers
                    .get(name.text)
                    .copied()
                    .filter(|_| self.tokens.get(start + 1).is_some_and(|word| word.is("helper")))
                {
                    Some((kind, protocol)) => {
                        // The object holds for its protocol alone.
                        if let Some(protocol) = protocol.filter(|protocol| self.protocol() != Some(*protocol)) {
                            self.is(MatchKind::protocol(protocol));
                        }
                        self.effect(Effect::Helper(Arc::from(kind)));
                    }
                    None => self.unknown_effect(start),
                }
            }
            _ => return self.comparison(),
        }
        true
    }

    /// Passes words of a list, each with one value.
    fn words(&mut self, known: &[&str]) {
        while known.contains(&self.word(0)) {
            self.at += 1;
        }
        // `10 mbytes`.
        while !self.word(0).is_empty()
            && (self.word(0).bytes().all(|byte| byte.is_ascii_digit())
                || self.word(0).ends_with("bytes")
                || known.contains(&self.word(0)))
        {
            self.at += 1;
        }
        if self.token(0).is_some_and(|token| token.kind == Kind::Quoted) {
            self.at += 1;
        }
    }

    fn reject(&mut self) -> bool {
        let start = self.at;
        self.at += 1;
        if self.word(0) != "with" {
            self.verdict = Some(Verdict::Reject(Reject::PortUnreachable));
            return true;
        }
        let kind = self.word(1);
        self.at += 2;
        if self.word(0) == "type" {
            self.at += 1;
        }
        let how = self.word(0);
        self.at += 1;
        let how = match (kind, how) {
            ("tcp", "reset") => {
                self.verdict = Some(Verdict::Reject(Reject::TcpReset));
                return true;
            }
            ("icmp" | "icmpv6" | "icmpx", how) => names::reject::lookup(how),
            _ => return false,
        };
        match kind {
            "icmp" => self.only(Family::Ipv4),
            "icmpv6" => self.only(Family::Ipv6),
            _ => {}
        }
        match how {
            Some(how) => self.verdict = Some(Verdict::Reject(how)),
            None => self.unknown_verdict(start),
        }
        true
    }

    fn log(&mut self) -> bool {
        let start = self.at;
        self.at += 1;
        let (mut prefix, mut level) = (Arc::from(""), Some(4));
        let mut shows: Vec<Token> = Vec::new();
        loop {
            let option = self.word(0);
            match option {
                "prefix" => prefix = Arc::from(self.token(1).map_or("", |token| token.text)),
                "level" => level = names::syslog::lookup(self.word(1)),
                "group" | "snaplen" | "queue-threshold" => level = None,
                "flags" => {}
                _ => break,
            }
            if self.token(1).is_none() {
                return false;
            }
            if option == "flags" {
                // `flags tcp sequence,options`, `flags all`.
                let from = self.at;
                self.at += if matches!(self.word(1), "tcp" | "ip") { 3 } else { 2 };
                while self.word(0) == "," {
                    self.at += 2;
                }
                shows.extend(self.since(from).iter().copied());
            } else {
                self.at += 2;
            }
        }
        match level {
            Some(level) => {
                self.effect(Effect::Log { prefix, level });
                if !shows.is_empty() {
                    self.effect(Effect::Unknown(Arc::from(spaced(&shows))));
                }
            }
            // To a program, not to the kernel's log.
            None => self.unknown_effect(start),
        }
        true
    }

    /// `limit rate over 10/minute burst 5 packets`, `limit name "x"`.
    fn limit(&mut self) -> bool {
        let start = self.at;
        if self.word(1) == "name" {
            self.at += 3;
            self.unknown_match(start);
            return true;
        }
        match self.rate() {
            Some(Some((over, limit))) => self.push(over, MatchKind::Limit(Box::new(limit))),
            Some(None) => self.unknown_match(start),
            None => return false,
        }
        true
    }

    /// A rate, from `limit` on. Outer `None`: not understood. Inner `None`: of bytes.
    #[allow(clippy::option_option)]
    fn rate(&mut self) -> Option<Option<(bool, Limit)>> {
        if self.word(1) != "rate" {
            return None;
        }
        self.at += 2;
        let over = self.word(0) == "over";
        self.at += usize::from(over || self.word(0) == "until");
        let first = self.word(0);
        let mut bytes = false;
        let rate = match first.split_once('/') {
            Some((count, unit)) => Some((address::number(count)?, seconds(unit)?)),
            None => {
                address::number(first)?;
                bytes = self.word(1).contains("bytes/");
                self.at += 1;
                None
            }
        };
        if !bytes && rate.is_none() {
            return None;
        }
        self.at += 1;
        // The kernel's own burst, which the listing leaves out.
        let mut burst = 5;
        if self.word(0) == "burst" {
            burst = address::number(self.word(1))?;
            self.at += 2;
            if matches!(self.word(0), "packets") || self.word(0).ends_with("bytes") {
                self.at += 1;
            }
        }
        let limit =
            |(count, seconds)| (over, Limit { count, seconds, burst, source_prefix: None, name: Arc::from("") });
        Some(rate.map(limit))
    }

    /// `update @set { ip saddr limit rate 10/minute }`.
    fn dynamic(&mut self) -> bool {
        let start = self.at;
        let name = self.word(1).trim_start_matches('@');
        self.at += 2;
        self.per_source(start, name)
    }

    fn meter(&mut self) -> bool {
        let start = self.at;
        let Some(name) = self.token(1) else { return false };
        self.at += 2;
        if self.word(0) == "size" {
            self.at += 2;
        }
        self.per_source(start, name.text)
    }

    fn per_source(&mut self, start: usize, name: &str) -> bool {
        if self.word(0) != "{" {
            return false;
        }
        let open = self.at;
        let Some(close) = closing(self.tokens, open) else { return false };
        self.at += 1;
        let modelled = self.counted(close, name);
        self.at = close + 1;
        match modelled {
            Some((family, negated, kind)) => {
                self.only(family);
                self.push(negated, kind);
            }
            None => {
                let inside = self.tokens.get(open..close).unwrap_or_default();
                // A limit or a count in it decides whether the rule goes on.
                let asks = inside.iter().any(|token| token.is("limit") || token.is("count") || token.is("quota"));
                if asks { self.unknown_match(start) } else { self.unknown_effect(start) }
            }
        }
        true
    }

    /// A key that is the source, or its network, and one limit or count.
    fn counted(&mut self, close: usize, name: &str) -> Option<(Family, bool, MatchKind)> {
        let (field, length) = field::read(self.tokens.get(self.at..close)?)?;
        let Field::Source(family) = field else { return None };
        self.at += length;
        let mut prefix = if family == Family::Ipv4 { 32 } else { 128 };
        if matches!(self.word(0), "&" | "and") {
            let mask: std::net::IpAddr = self.word(1).parse().ok()?;
            prefix = address::length_of(mask).filter(|_| Family::of(mask) == family)?;
            self.at += 2;
        }
        if self.word(0) == "timeout" {
            self.at += 2;
        }
        let name: Arc<str> = Arc::from(name);
        let found = match (self.word(0), self.word(1)) {
            ("limit", _) => {
                let (over, limit) = self.rate()??;
                (family, over, MatchKind::Limit(Box::new(Limit { source_prefix: Some(prefix), name, ..limit })))
            }
            ("ct", "count") => {
                let over = self.word(2) == "over";
                let count = address::number(self.word(if over { 3 } else { 2 }))?;
                self.at += if over { 4 } else { 3 };
                (family, !over, MatchKind::ConnectionsAbove { count, source_prefix: prefix, name })
            }
            _ => return None,
        };
        (self.at == close).then_some(found)
    }

    /// `dnat ip to 10.0.0.1:80`, `masquerade to :1024-65535 random`.
    fn translation(&mut self, word: &str) -> bool {
        let start = self.at;
        self.at += 1;
        let family = match self.word(0) {
            "ip" => Some(Family::Ipv4),
            "ip6" => Some(Family::Ipv6),
            _ => None,
        };
        self.at += usize::from(family.is_some());
        if matches!(self.word(0), "prefix" | "interval" | "addr") {
            self.at += 1;
        }
        let before = self.at;
        let to = self.word(0) == "to";
        if to {
            self.at += 1;
            let is_flag = |word: &str| matches!(word, "random" | "fully-random" | "persistent" | "comment");
            let mut depth = 0usize;
            while let Some(token) = self.token(0) {
                if depth == 0 && token.kind == Kind::Word && is_flag(token.text) {
                    break;
                }
                depth = if token.is("{") { depth + 1 } else { depth.saturating_sub(usize::from(token.is("}"))) };
                self.at += 1;
            }
        }
        let target = self.since(before + usize::from(to));
        let flags_from = self.at;
        while matches!(self.word(0), "random" | "fully-random" | "persistent" | ",") {
            self.at += 1;
        }
        let flags = spaced(self.since(flags_from));
        if let Some(family) = family {
            self.only(family);
        }
        let single = match target {
            [one] => Some(one.text),
            _ => None,
        };
        let verdict = match (word, single) {
            ("masquerade", _) => {
                if to {
                    let text = spaced(self.tokens.get(before..flags_from).unwrap_or_default());
                    self.effect(Effect::Unknown(Arc::from(text)));
                }
                Some(Verdict::Masquerade)
            }
            ("redirect", Some(port)) => port.strip_prefix(':').and_then(address::port).map(Verdict::Redirect),
            ("snat", Some(text)) => text.parse().ok().map(Verdict::Snat),
            ("dnat", Some(text)) => address::socket(text).map(|(address, port)| Verdict::Dnat { address, port }),
            _ => None,
        };
        match verdict {
            Some(verdict) => {
                if !flags.is_empty() {
                    self.effect(Effect::Unknown(Arc::from(flags)));
                }
                self.verdict = Some(verdict);
            }
            None => self.unknown_verdict(start),
        }
        true
    }

    /// Puts the statements in the netfilter form's order.
    fn finish(self, origin: Location, out: &mut Vec<Rule>) {
        let Reader { items, family, family_from, verdict, comment, alternatives, tokens, .. } = self;
        let base = Rule { family, comment, origin: Some(origin), ..Rule::default() };
        let mut matches: Vec<Match> = Vec::with_capacity(items.len());
        let mut effects: ThinVec<Effect> = ThinVec::new();
        let mut rules: Vec<Rule> = Vec::new();
        for (at, item) in items.into_iter().enumerate() {
            match item {
                Item::Effect(effect) => effects.push(effect),
                Item::Match(item) if effects.is_empty() => matches.push(item),
                Item::Match(item) => {
                    // What was done before this match is done whether or not it holds. Asking the matches before it a second time
                    // must give the same answer.
                    let again = matches.iter().all(|item| is_stateless(&item.kind))
                        && effects.iter().all(|effect| match effect {
                            Effect::Log { .. } => true,
                            effect => {
                                let asked = |word| matches.iter().any(|item| asks_mark(&item.kind) == Some(word));
                                effect.changes_marks() && !effect.mark_changes().any(|change| asked(change.word))
                            }
                        });
                    if !again {
                        let text: Arc<str> = Arc::from(spaced(tokens));
                        let matches = vec![Match::is(MatchKind::Unknown(text.clone()))];
                        let effects = thin_vec![Effect::Unknown(text.clone())];
                        out.push(Rule { matches, effects, verdict: Some(Verdict::Unknown(text)), ..base });
                        return;
                    }
                    let done = std::mem::take(&mut effects);
                    // What comes before the word that says the family is done for both.
                    let family = family.filter(|_| family_from < at);
                    rules.push(Rule { family, matches: matches.clone(), effects: done, ..base.clone() });
                    matches.push(item);
                }
            }
        }
        out.append(&mut rules);
        if alternatives.is_empty() {
            out.push(Rule { matches, effects, verdict, ..base });
            return;
        }
        for (choice, verdict) in alternatives {
            let mut rule = Rule { matches: matches.clone(), verdict: Some(verdict), ..base.clone() };
            match choice {
                Choice::Match(item) => rule.matches.push(item),
                Choice::Family(family) => rule.family = Some(family),
            }
            out.push(rule);
        }
    }
}

/// The mark that a match asks for.
fn asks_mark(kind: &MatchKind) -> Option<MarkWord> {
    match kind {
        MatchKind::Mark { .. } => Some(MarkWord::Packet),
        MatchKind::ConnectionMark { .. } => Some(MarkWord::Connection),
        _ => None,
    }
}

/// Whether asking twice gives the same answer.
pub(super) fn is_stateless(kind: &MatchKind) -> bool {
    !matches!(kind, MatchKind::Limit(_) | MatchKind::ConnectionsAbove { .. } | MatchKind::Unknown(_))
}

/// The brace that closes the one at `open`.
pub(super) fn closing(tokens: &[Token], open: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        if token.is("{") {
            depth += 1;
        } else if token.is("}") {
            depth = depth.checked_sub(1)?;
            if depth == 0 {
                return Some(at);
            }
        }
    }
    None
}
