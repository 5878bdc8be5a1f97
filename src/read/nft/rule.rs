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
use super::set::{Type, card, simple_verdict, socket, values};
use crate::names;
use crate::net::{AddressSet, Card, Family, PortRange, PortSet, Protocol};
use crate::netfilter::{
    Effect, IcmpType, Limit, Match, MatchKind, Reject, Rule, SetField, SetValue, State, TableFamily, Verdict,
};
use crate::span::Location;

/// Reads a rule's words and appends the rules that it means.
pub(super) fn read(
    table: &mut RawTable,
    chains: &FxHashMap<&str, Arc<str>>,
    tokens: &[Token],
    place: (&str, usize),
    origin: Location,
    out: &mut Vec<Rule>,
) {
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
    };
    reader.read();
    reader.finish(origin, out);
}

/// How many matches and effects of one rule are read; the rest of it is kept by its text.
const LONGEST: usize = 256;

enum Item {
    Match(Match),
    Effect(Effect),
}

struct Reader<'a, 't> {
    table: &'a mut RawTable<'t>,
    chains: &'a FxHashMap<&'a str, Arc<str>>,
    tokens: &'a [Token<'a>],
    at: usize,
    /// The chain, and the rule's number in it.
    place: (&'a str, usize),
    items: Vec<Item>,
    family: Option<Family>,
    /// How many items stand before the first word that says the family.
    family_from: usize,
    verdict: Option<Verdict>,
    comment: Option<Arc<str>>,
    /// What the last words choose between, where no map can say it: a match and its verdict each.
    alternatives: Vec<(Match, Verdict)>,
}

/// What a match is compared with.
enum Right<'a> {
    /// `established,related`; one value is the usual case.
    List(Vec<&'a [Token<'a>]>),
    /// `{ 80, 443 }`.
    Set(Vec<&'a [Token<'a>]>),
    Named(&'a str),
}

impl<'a> Right<'a> {
    fn all(&self) -> &[&'a [Token<'a>]] {
        match self {
            Self::List(list) | Self::Set(list) => list,
            Self::Named(_) => &[],
        }
    }
}

impl<'a> Reader<'a, '_> {
    fn word(&self, ahead: usize) -> &'a str {
        self.tokens.get(self.at + ahead).filter(|token| token.kind != Kind::Quoted).map_or("", |token| token.text)
    }

    fn token(&self, ahead: usize) -> Option<&'a Token<'a>> {
        self.tokens.get(self.at + ahead)
    }

    fn since(&self, start: usize) -> &'a [Token<'a>] {
        self.tokens.get(start..self.at).unwrap_or_default()
    }

    /// The text of a statement; sets that it looks into are written out, so that other elements make another text.
    fn text(&mut self, tokens: &[Token]) -> Arc<str> {
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

    fn is(&mut self, kind: MatchKind) {
        self.items.push(Item::Match(Match::is(kind)));
    }

    fn push(&mut self, negated: bool, kind: MatchKind) {
        self.items.push(Item::Match(Match { negated, kind }));
    }

    fn effect(&mut self, effect: Effect) {
        self.items.push(Item::Effect(effect));
    }

    fn unknown_match(&mut self, start: usize) {
        let text = self.text(self.since(start));
        self.is(MatchKind::Unknown(text));
    }

    fn unknown_effect(&mut self, start: usize) {
        let text = self.text(self.since(start));
        self.effect(Effect::Unknown(text));
    }

    fn unknown_verdict(&mut self, start: usize) {
        let text = self.text(self.since(start));
        self.verdict = Some(Verdict::Unknown(text));
    }

    /// Only packets of this family.
    fn only(&mut self, family: Family) {
        let of_table = match self.table.family {
            TableFamily::Ipv4 => Some(Family::Ipv4),
            TableFamily::Ipv6 => Some(Family::Ipv6),
            _ => None,
        };
        if of_table.or(self.family).is_some_and(|other| other != family) {
            // Of two families at once: a list without members matches nothing.
            self.is(MatchKind::Protocol(Vec::new()));
        } else if of_table.is_none() {
            if self.family.is_none() {
                self.family_from = self.items.len();
            }
            self.family = Some(family);
        }
    }

    /// Only packets of this protocol, if the rule has not said so.
    fn needs(&mut self, protocol: Protocol) {
        if self.protocol() != Some(protocol) {
            self.is(MatchKind::Protocol(vec![protocol]));
        }
    }

    /// The one protocol that the rule asks for.
    fn protocol(&self) -> Option<Protocol> {
        self.items.iter().rev().find_map(|item| match item {
            Item::Match(Match { negated: false, kind: MatchKind::Protocol(list) }) => match list.as_slice() {
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
            "xt" if matches!(self.word(1), "match" | "target") && self.token(2).is_some() => {
                self.at += 3;
                // The listing hides what the extension was told: another rule with the same words is another matter.
                let text =
                    Arc::from(format!("{} in rule {} of {}", spaced(self.since(start)), self.place.1, self.place.0));
                let name = self.tokens.get(start + 2).map_or("", |token| token.text);
                if self.tokens.get(start + 1).is_some_and(|token| token.is("match")) {
                    if name != "comment" {
                        self.is(MatchKind::Unknown(text));
                    }
                } else if [
                    "LOG", "MARK", "CHECKSUM", "CONNMARK", "NFLOG", "TCPMSS", "CT", "CLASSIFY", "SET", "DSCP", "TOS",
                ]
                .contains(&name)
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
                            self.is(MatchKind::Protocol(vec![protocol]));
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
            Some((Some((over, limit)), _)) => self.push(over, MatchKind::Limit(limit)),
            Some((None, _)) => self.unknown_match(start),
            None => return false,
        }
        true
    }

    /// A rate, from `limit` on. Outer `None`: not understood. Inner `None`: of bytes.
    #[allow(clippy::type_complexity)]
    fn rate(&mut self) -> Option<(Option<(bool, Limit)>, ())> {
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
        Some((
            rate.map(|(count, seconds)| {
                (over, Limit { count, seconds, burst, source_prefix: None, name: Arc::from("") })
            }),
            (),
        ))
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
                let (over, limit) = self.rate()?.0?;
                (family, over, MatchKind::Limit(Limit { source_prefix: Some(prefix), name, ..limit }))
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
            ("dnat", Some(text)) => socket(text).map(|(address, port)| Verdict::Dnat { address, port }),
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

    /// A statement that begins with a field: a match, a map, or a change.
    fn comparison(&mut self) -> bool {
        let start = self.at;
        let mut fields = Vec::with_capacity(1);
        loop {
            let Some((field, length)) = field::read(self.tokens.get(self.at..).unwrap_or_default()) else {
                return false;
            };
            fields.push(field);
            self.at += length;
            if self.word(0) != "." {
                break;
            }
            self.at += 1;
        }
        let mut mask: Option<Vec<&'a [Token<'a>]>> = None;
        if matches!(self.word(0), "&" | "and") && fields.len() == 1 {
            self.at += 1;
            mask = match self.right() {
                Some(Right::List(list)) => Some(list),
                _ => return false,
            };
        } else if matches!(self.word(0), "|" | "^" | "or" | "xor" | "<<" | ">>") {
            return false;
        }
        match self.word(0) {
            "vmap" if mask.is_none() => return self.map(start, &fields),
            "set" if mask.is_none() => {
                let [field] = fields.as_slice() else { return false };
                return self.change(start, *field);
            }
            _ => {}
        }
        let op = match self.word(0) {
            op @ ("==" | "!=" | "<" | ">" | "<=" | ">=" | "!") => {
                self.at += 1;
                op
            }
            _ => "",
        };
        let Some(right) = self.right() else { return false };
        if self.word(0) == "/" {
            // `tcp flags syn / syn,rst`.
            self.at += 1;
            let Some(Right::List(list)) = self.right() else { return false };
            mask = Some(list);
        }
        let modelled = match fields.as_slice() {
            [field] => self.one(*field, op, mask.as_deref(), &right),
            _ if mask.is_none() => self.several(&fields, op, &right),
            _ => None,
        };
        if modelled.is_none() {
            self.unknown_match(start);
        }
        true
    }

    /// What stands on the right: a value, a list, a set, the name of a set.
    fn right(&mut self) -> Option<Right<'a>> {
        let token = self.token(0)?;
        if token.is("{") {
            let close = closing(self.tokens, self.at)?;
            let inside = self.tokens.get(self.at + 1..close)?;
            self.at = close + 1;
            return Some(Right::Set(inside.split(|token| token.is(",")).filter(|part| !part.is_empty()).collect()));
        }
        if token.is("(") {
            // `(fin | syn)`.
            let length = self.tokens.get(self.at..)?.iter().position(|token| token.is(")"))?;
            let inside = self.tokens.get(self.at + 1..self.at + length)?;
            self.at += length + 1;
            return Some(Right::List(inside.split(|token| token.is("|") || token.is("or")).collect()));
        }
        if token.kind == Kind::Word
            && let Some(name) = token.text.strip_prefix('@')
        {
            self.at += 1;
            return Some(Right::Named(name));
        }
        let mut list = Vec::with_capacity(1);
        loop {
            let from = self.at;
            loop {
                let token = self.token(0)?;
                if token.kind == Kind::Mark {
                    return None;
                }
                self.at += 1;
                // `"08:00"-"18:00"`, and concatenations.
                if !matches!(self.word(0), "." | "-") {
                    break;
                }
                self.at += 1;
            }
            list.push(self.since(from));
            if !matches!(self.word(0), "," | "|") {
                return Some(Right::List(list));
            }
            self.at += 1;
        }
    }

    /// One field compared. `None`: it is not modelled; nothing has been pushed then.
    fn one(&mut self, field: Field, op: &str, mask: Option<&[&'a [Token<'a>]]>, right: &Right<'a>) -> Option<()> {
        let negated = match op {
            "" | "==" => false,
            "!=" => true,
            "!" if matches!(field, Field::State | Field::Status | Field::TcpFlags) => true,
            "<" | ">" | "<=" | ">=" => return self.ordered(field, op, mask, right),
            _ => return None,
        };
        match field {
            Field::State => {
                let bits = flags(right, state)?;
                // A packet is in one state: `state == a,b` asks for both at once.
                let many = bits.count_ones() > 1 && matches!(right, Right::List(_)) && matches!(op, "==" | "!=");
                if many || mask.is_some() {
                    return None;
                }
                self.push(negated, MatchKind::State(bits));
            }
            Field::Status => {
                let (asked, set) = match mask {
                    Some(mask) => (single(mask)?, Some(single(right.all())?)),
                    None if op.is_empty() || op == "!" => (single(right.all())?, None),
                    None => return None,
                };
                let kind = match asked {
                    "dnat" => MatchKind::DestinationTranslated,
                    "snat" => MatchKind::SourceTranslated,
                    _ => return None,
                };
                let negated = match set {
                    None => negated,
                    Some(zero) if address::number(zero) == Some(0) => !negated,
                    Some(same) if same == asked => negated,
                    Some(_) => return None,
                };
                self.push(negated, kind);
            }
            Field::TcpFlags => {
                let bits = |list: &[&[Token]]| list.iter().try_fold(0u8, |bits, part| Some(bits | tcp_flag(part)?));
                let set = match right {
                    Right::List(list) => bits(list)?,
                    _ => return None,
                };
                let (negated, mask, set) = match (mask, op) {
                    (Some(mask), "" | "==" | "!=") => (negated, bits(mask)?, set),
                    (None, "==" | "!=") => (negated, 0xff, set),
                    (None, "!") => (false, set, 0),
                    // Any of them.
                    (None, "") => (true, set, 0),
                    _ => return None,
                };
                self.needs(Protocol::TCP);
                // One flag that is set is said as that.
                if negated && set == 0 && mask.count_ones() == 1 {
                    self.is(MatchKind::TcpFlags { mask, set: mask });
                } else {
                    self.push(negated, MatchKind::TcpFlags { mask, set });
                }
            }
            Field::Mark => {
                let mask = match mask {
                    Some(mask) => address::number(single(mask)?)?,
                    None => u32::MAX,
                };
                if matches!(right, Right::Set(list) if list.len() != 1) {
                    return None;
                }
                let value = address::number(single(right.all())?)?;
                self.push(negated, MatchKind::Mark { value, mask });
            }
            Field::Source(family) | Field::Destination(family) => {
                let set = match (mask, right) {
                    (None, _) => self.addresses(
                        right,
                        Some(family),
                        if matches!(field, Field::Source(_)) { SetField::Source } else { SetField::Destination },
                    )?,
                    (Some(mask), Right::List(_)) => {
                        let length = address::length_of(single(mask)?.parse().ok()?)?;
                        Addresses::Known(
                            [address::of_family(&format!("{}/{length}", single(right.all())?), family)?]
                                .into_iter()
                                .collect(),
                        )
                    }
                    _ => return None,
                };
                self.only(family);
                let source = matches!(field, Field::Source(_));
                let kind = match set {
                    Addresses::Known(set) if source => MatchKind::Source(set),
                    Addresses::Known(set) => MatchKind::Destination(set),
                    Addresses::Named(set) => MatchKind::InSet {
                        set,
                        fields: vec![if source { SetField::Source } else { SetField::Destination }],
                    },
                };
                self.push(negated, kind);
            }
            _ if mask.is_some() => return None,
            Field::OriginalSource(family) | Field::OriginalDestination(family) => {
                let Addresses::Known(set) = self.addresses(right, family, SetField::Source)? else { return None };
                let mut families = set.ranges().iter().map(|range| range.family());
                if let Some(family) = family.or(families.next()) {
                    self.only(family);
                }
                let source = matches!(field, Field::OriginalSource(_));
                self.push(
                    negated,
                    if source { MatchKind::OriginalSource(set) } else { MatchKind::OriginalDestination(set) },
                );
            }
            Field::SourcePort(protocol) | Field::DestinationPort(protocol) => {
                let source = matches!(field, Field::SourcePort(_));
                let asked = if source { SetField::SourcePort } else { SetField::DestinationPort };
                let kind = self.ports(right, asked)?;
                if let Some(protocol) = protocol {
                    self.needs(protocol);
                }
                self.push(negated, kind);
            }
            Field::OriginalPort => {
                let MatchKind::DestinationPort(set) = self.ports(right, SetField::DestinationPort)? else {
                    return None;
                };
                self.push(negated, MatchKind::OriginalDestinationPort(set));
            }
            Field::InInterface | Field::OutInterface => {
                let inward = field == Field::InInterface;
                let asked = if inward { SetField::InInterface } else { SetField::OutInterface };
                let kind = match right {
                    Right::Named(name) => self.named(name, &[asked], None)?,
                    _ => {
                        let cards =
                            right.all().iter().map(|part| card(text_of(part)?)).collect::<Option<Vec<Card>>>()?;
                        if inward { MatchKind::InInterface(cards) } else { MatchKind::OutInterface(cards) }
                    }
                };
                let bridge = self.table.family == TableFamily::Bridge;
                let kind = match kind {
                    MatchKind::InInterface(cards) if bridge => MatchKind::InPort(cards),
                    MatchKind::OutInterface(cards) if bridge => MatchKind::OutPort(cards),
                    MatchKind::InSet { .. } if bridge => return None,
                    kind => kind,
                };
                self.push(negated, kind);
            }
            Field::Protocol(family) => {
                let kind = match right {
                    Right::Named(name) => self.named(name, &[SetField::Protocol], None)?,
                    _ => {
                        let list = right.all().iter().map(|part| address::protocol(text_of(part)?));
                        MatchKind::Protocol(list.collect::<Option<Vec<Protocol>>>()?)
                    }
                };
                if let Some(family) = family {
                    self.only(family);
                }
                self.push(negated, kind);
            }
            Field::NfProto | Field::EtherType => {
                let named = match (field, single(right.all())?) {
                    (Field::NfProto, "ipv4") | (Field::EtherType, "ip") => Family::Ipv4,
                    (Field::NfProto, "ipv6") | (Field::EtherType, "ip6") => Family::Ipv6,
                    _ => return None,
                };
                let inet = matches!(self.table.family, TableFamily::Inet | TableFamily::Ipv4 | TableFamily::Ipv6);
                match (negated, inet, field) {
                    (false, false, Field::NfProto) => return None,
                    (false, ..) => self.only(named),
                    // Of an inet table's packets, those that are not of one family are of the other.
                    (true, true, _) => self.only(if named == Family::Ipv4 { Family::Ipv6 } else { Family::Ipv4 }),
                    _ => return None,
                }
            }
            Field::Version(family) if !negated => {
                let version = if family == Family::Ipv4 { 4 } else { 6 };
                if address::number(single(right.all())?)? != version {
                    return None;
                }
                self.only(family);
            }
            Field::IcmpType(family) => {
                let mut list = Vec::new();
                for part in right.all() {
                    let types = names::icmp::lookup(family, text_of(part)?)?;
                    if types.iter().any(|one| one.code.is_some()) {
                        return None;
                    }
                    list.extend(types);
                }
                if matches!(right, Right::Named(_)) {
                    return None;
                }
                self.only(family);
                self.needs(if family == Family::Ipv4 { Protocol::ICMP } else { Protocol::ICMPV6 });
                self.push(negated, MatchKind::IcmpType(list));
            }
            Field::IcmpCode(family) if !negated && !matches!(right, Right::Named(_)) => {
                let codes = right.all().iter().map(|part| icmp_code(family, text_of(part)?));
                let codes = codes.collect::<Option<Vec<u8>>>()?;
                // Behind the type that it belongs to.
                let Some(Item::Match(Match { negated: false, kind: MatchKind::IcmpType(list) })) =
                    self.items.last_mut()
                else {
                    return None;
                };
                let types =
                    list.iter().map(|one| one.code.is_none().then_some(one.kind)).collect::<Option<Vec<u8>>>()?;
                *list = types
                    .iter()
                    .flat_map(|kind| codes.iter().map(|code| IcmpType { kind: *kind, code: Some(*code) }))
                    .collect();
            }
            Field::Direction => match single(right.all())? {
                "original" => self.push(negated, MatchKind::DirectionOriginal),
                "reply" => self.push(!negated, MatchKind::DirectionOriginal),
                _ => return None,
            },
            Field::SourceMac => {
                let kind = match right {
                    Right::Named(name) => self.named(name, &[SetField::SourceMac], None)?,
                    _ => {
                        let list = right.all().iter().map(|part| text_of(part)?.parse().ok());
                        MatchKind::SourceMac(list.collect::<Option<Vec<_>>>()?)
                    }
                };
                self.push(negated, kind);
            }
            Field::User => {
                let user = single(right.all())?;
                if user.contains('-') && user.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
                    return None;
                }
                self.push(negated, MatchKind::User(user.to_owned()));
            }
            Field::PacketType
                if self.table.family == TableFamily::Bridge && single(right.all()) == Some("multicast") =>
            {
                self.push(negated, MatchKind::DestinationMulticast);
            }
            Field::DestinationType | Field::SourceType => {
                let kind = match (field, single(right.all())?) {
                    (Field::DestinationType, "local") => MatchKind::DestinationLocal,
                    (Field::DestinationType, "multicast") => MatchKind::DestinationMulticast,
                    (Field::DestinationType, "broadcast") => MatchKind::DestinationBroadcast,
                    (Field::SourceType, "local") => MatchKind::SourceLocal,
                    _ => return None,
                };
                self.push(negated, kind);
            }
            Field::Hour => {
                let [part] = right.all() else { return None };
                let [from, dash, to] = part else { return None };
                let times = (clock(from.text)?, clock(to.text)?);
                if !dash.is("-") || matches!(right, Right::Set(_)) {
                    return None;
                }
                // Outside of the day's hours is from their end to their start.
                let times = if negated { (times.1, times.0) } else { times };
                self.is(MatchKind::Time { days: 0x7f, times: Some(times) });
            }
            Field::Day => {
                let days = right.all().iter().try_fold(0u8, |days, part| Some(days | 1 << day(text_of(part)?)?))?;
                if days == 0 {
                    return None;
                }
                let days = if negated { !days & 0x7f } else { days };
                // The hour and the day of one time.
                match self.items.last_mut() {
                    Some(Item::Match(Match {
                        negated: false,
                        kind: MatchKind::Time { days: every @ 0x7f, times: Some(_) },
                    })) => *every = days,
                    _ => self.is(MatchKind::Time { days, times: None }),
                }
            }
            _ => return None,
        }
        Some(())
    }

    /// `tcp dport > 1024`.
    fn ordered(&mut self, field: Field, op: &str, mask: Option<&[&'a [Token<'a>]]>, right: &Right<'a>) -> Option<()> {
        let (protocol, source) = match field {
            Field::SourcePort(protocol) => (protocol, true),
            Field::DestinationPort(protocol) => (protocol, false),
            _ => return None,
        };
        let port = address::port(single(right.all())?)?;
        let range = match op {
            "<" => PortRange { first: 0, last: port.checked_sub(1)? },
            "<=" => PortRange { first: 0, last: port },
            ">" => PortRange { first: port.checked_add(1)?, last: u16::MAX },
            _ => PortRange { first: port, last: u16::MAX },
        };
        if mask.is_some() || matches!(right, Right::Set(_)) {
            return None;
        }
        if let Some(protocol) = protocol {
            self.needs(protocol);
        }
        let set = PortSet::new([range]);
        self.is(if source { MatchKind::SourcePort(set) } else { MatchKind::DestinationPort(set) });
        Some(())
    }

    fn addresses(&mut self, right: &Right<'a>, family: Option<Family>, field: SetField) -> Option<Addresses> {
        if let Right::Named(name) = right {
            return match self.named(name, &[field], None)? {
                MatchKind::Source(set) | MatchKind::Destination(set) => Some(Addresses::Known(set)),
                MatchKind::InSet { set, .. } => Some(Addresses::Named(set)),
                _ => None,
            };
        }
        let one = |part: &&[Token]| {
            let text = text_of(part)?;
            match family {
                Some(family) => address::of_family(text, family),
                None => address::range(text),
            }
        };
        right.all().iter().map(one).collect::<Option<AddressSet>>().map(Addresses::Known)
    }

    fn ports(&mut self, right: &Right<'a>, field: SetField) -> Option<MatchKind> {
        if let Right::Named(name) = right {
            return self.named(name, &[field], None);
        }
        let set: PortSet = right.all().iter().map(|part| address::ports(text_of(part)?, '-')).collect::<Option<_>>()?;
        Some(if field == SetField::SourcePort { MatchKind::SourcePort(set) } else { MatchKind::DestinationPort(set) })
    }

    /// A look-up in a named set: its elements if they are known and of one field, else its name.
    fn named(&mut self, name: &str, fields: &[SetField], protocol: Option<Protocol>) -> Option<MatchKind> {
        let at = *self.table.set_at.get(name)?;
        let set = self.table.sets.get_mut(at)?;
        let types = set.types.as_ref()?;
        if set.verdicts || set.data || set.broken || !super::set::fits(types, fields, protocol) {
            return None;
        }
        if let [field] = fields
            && set.whole()
            && let Some(kind) = set.folded().compared(*field).or_else(|| empty(&set.elements, *field))
        {
            return Some(kind);
        }
        Some(MatchKind::InSet { set: Arc::from(name), fields: fields.to_vec() })
    }

    /// Several fields at once: a set of concatenations.
    fn several(&mut self, fields: &[Field], op: &str, right: &Right<'a>) -> Option<()> {
        let negated = match op {
            "" | "==" => false,
            "!=" => true,
            _ => return None,
        };
        if let [Field::IcmpType(family), Field::IcmpCode(_)] = fields {
            return self.icmp(*family, negated, right);
        }
        let key = self.key(fields)?;
        let kind = match right {
            Right::Named(name) => self.named(name, &key.fields, None)?,
            _ => {
                // One value of each: the conjunction of its parts.
                let [part] = right.all() else { return None };
                if negated {
                    return None;
                }
                let values = values(&key.types, part)?;
                self.implied(&key);
                for (field, value) in key.fields.iter().zip(values) {
                    for kind in compared(*field, value)? {
                        self.is(kind);
                    }
                }
                return Some(());
            }
        };
        self.implied(&key);
        self.push(negated, kind);
        Some(())
    }

    fn implied(&mut self, key: &Key) {
        if let Some(family) = key.family {
            self.only(family);
        }
        if let Some(protocol) = key.protocol {
            self.needs(protocol);
        }
    }

    /// `icmp type . icmp code @set`, the set's elements as types with codes.
    fn icmp(&mut self, family: Family, negated: bool, right: &Right<'a>) -> Option<()> {
        let mut list = Vec::new();
        match right {
            Right::Named(name) => {
                let set = self.table.sets.get(*self.table.set_at.get(*name)?)?;
                let word = if family == Family::Ipv4 {
                    ["icmp_type", ".", "icmp_code"]
                } else {
                    ["icmpv6_type", ".", "icmpv6_code"]
                };
                if set.live || set.declared != word {
                    return None;
                }
                for text in &set.text {
                    let tokens: Vec<Token> =
                        super::lex::Lexer::new(text).filter(|token| token.kind != Kind::End).collect();
                    for part in tokens.split(|token| token.is(",")).filter(|part| !part.is_empty()) {
                        icmp_pair(family, part, &mut list)?;
                    }
                }
            }
            _ => {
                for part in right.all() {
                    icmp_pair(family, part, &mut list)?;
                }
            }
        }
        self.only(family);
        self.needs(if family == Family::Ipv4 { Protocol::ICMP } else { Protocol::ICMPV6 });
        self.push(negated, MatchKind::IcmpType(list));
        Some(())
    }

    /// The fields of a set that a concatenation asks with.
    fn key(&self, fields: &[Field]) -> Option<Key> {
        let mut key = Key { fields: Vec::new(), types: Vec::new(), family: None, protocol: None };
        for field in fields {
            let (of_set, kind) = match field {
                Field::Source(family) => (SetField::Source, Type::Address(*family)),
                Field::Destination(family) => (SetField::Destination, Type::Address(*family)),
                Field::Protocol(_) => (SetField::Protocol, Type::Protocol),
                Field::DestinationPort(_) if key.fields.last() == Some(&SetField::Protocol) => {
                    key.fields.pop();
                    key.types.pop();
                    (SetField::DestinationService, Type::Service)
                }
                Field::DestinationPort(_) => (SetField::DestinationPort, Type::Port),
                Field::SourcePort(_) => (SetField::SourcePort, Type::Port),
                Field::SourceMac => (SetField::SourceMac, Type::Mac),
                Field::InInterface if self.table.family != TableFamily::Bridge => {
                    (SetField::InInterface, Type::Interface)
                }
                Field::OutInterface if self.table.family != TableFamily::Bridge => {
                    (SetField::OutInterface, Type::Interface)
                }
                Field::OriginalPort => (SetField::OriginalService, Type::Port),
                _ => return None,
            };
            match field {
                Field::Source(family) | Field::Destination(family) | Field::Protocol(Some(family)) => {
                    if key.family.is_some_and(|other| other != *family) {
                        return None;
                    }
                    key.family = Some(*family);
                }
                Field::DestinationPort(Some(protocol)) | Field::SourcePort(Some(protocol)) => {
                    if key.protocol.is_some_and(|other| other != *protocol) {
                        return None;
                    }
                    key.protocol = Some(*protocol);
                }
                _ => {}
            }
            key.fields.push(of_set);
            key.types.push(kind);
        }
        Some(key)
    }

    /// `FIELDS vmap @map`, `FIELDS vmap { … }`.
    fn map(&mut self, start: usize, fields: &[Field]) -> bool {
        self.at += 1;
        let open = self.at;
        let Some(right) = self.map_right() else { return false };
        let key = self.key(fields);
        let protocol = key.as_ref().and_then(|key| key.protocol).or(self.protocol());
        let elements: Option<Arc<[(Vec<SetValue>, Verdict)]>> = match (&key, right) {
            (Some(key), Some(name)) => {
                let set = self.table.set_at.get(name).and_then(|at| self.table.sets.get_mut(*at));
                set.and_then(|set| set.map(&key.fields, protocol))
            }
            (Some(key), None) => {
                let inside = self.tokens.get(open + 1..self.at - 1).unwrap_or_default();
                let mut set =
                    super::set::RawSet { verdicts: true, types: Some(key.types.clone()), ..Default::default() };
                for part in inside.split(|token| token.is(",")).filter(|part| !part.is_empty()) {
                    set.add(part);
                }
                set.map(&key.fields, protocol)
            }
            _ => None,
        };
        if let (Some(key), Some(elements)) = (key, elements) {
            self.implied(&key);
            self.verdict = Some(Verdict::Map { fields: key.fields, elements });
            return true;
        }
        if let ([field], None) = (fields, right)
            && self.choices(*field, open).is_some()
        {
            return true;
        }
        self.alternatives.clear();
        self.unknown_verdict(start);
        true
    }

    /// The name of a map, or `None` for one in braces; the position is behind it.
    #[allow(clippy::option_option)]
    fn map_right(&mut self) -> Option<Option<&'a str>> {
        let token = self.token(0)?;
        if token.is("{") {
            self.at = closing(self.tokens, self.at)? + 1;
            return Some(None);
        }
        let name = token.text.strip_prefix('@')?;
        self.at += 1;
        Some(Some(name))
    }

    /// A map over a field that the netfilter form's maps lack: one rule for each key, for no packet has two of them.
    fn choices(&mut self, field: Field, open: usize) -> Option<()> {
        if !self.items.iter().all(|item| matches!(item, Item::Match(item) if is_stateless(&item.kind))) {
            return None;
        }
        let inside = self.tokens.get(open + 1..self.at - 1)?;
        let mut alternatives = Vec::new();
        let kept = self.items.len();
        for part in inside.split(|token| token.is(",")).filter(|part| !part.is_empty()) {
            let colon = part.iter().position(|token| token.is(":"))?;
            let (key, verdict) = part.split_at(colon);
            let verdict = simple_verdict(verdict.get(1..)?)??;
            let right = Right::List(vec![key]);
            self.one(field, "", None, &right)?;
            let item = self.items.pop()?;
            let Item::Match(item) = item else { return None };
            // A key that implies more than itself (a protocol) is left alone.
            if self.items.len() != kept {
                self.items.truncate(kept);
                return None;
            }
            alternatives.push((item, verdict));
        }
        self.alternatives = alternatives;
        (!self.alternatives.is_empty()).then_some(())
    }

    /// `meta mark set 0x1`, `ip dscp set ef`.
    fn change(&mut self, start: usize, field: Field) -> bool {
        self.at += 1;
        let from = self.at;
        // To the next word that begins a statement.
        while let Some(token) = self.token(0) {
            let begins = matches!(
                token.text,
                "accept"
                    | "drop"
                    | "return"
                    | "continue"
                    | "jump"
                    | "goto"
                    | "counter"
                    | "comment"
                    | "log"
                    | "reject"
                    | "limit"
                    | "notrack"
            );
            if self.at > from && token.kind == Kind::Word && begins {
                break;
            }
            if self.at > from && token.kind == Kind::Word && !is_operator(token.text) {
                let before = self.tokens.get(self.at - 1).map_or("", |token| token.text);
                let meant = is_operator(before)
                    || field::read(self.since(from)).is_some_and(|(_, length)| from + length > self.at)
                    || field::read(self.tokens.get(from..).unwrap_or_default())
                        .is_some_and(|(_, length)| from + length > self.at)
                    || matches!(before, "map" | "{" | "," | ":");
                let inside = unclosed(self.since(from));
                if !meant && !inside {
                    break;
                }
            }
            self.at += 1;
        }
        let value = self.since(from);
        let effect = match field {
            Field::Mark => mark(value).map(|(value, mask)| Effect::SetMark { value, mask }),
            Field::Dscp(family) => match value {
                [one] => names::dscp::lookup(one.text).map(|value| {
                    self.only(family);
                    Effect::SetDscp(value)
                }),
                _ => None,
            },
            Field::MaximumSegment => match value {
                [rt, mtu] if rt.is("rt") && mtu.is("mtu") => Some(Effect::ClampMss),
                _ => None,
            },
            _ => None,
        };
        match effect {
            Some(effect) => self.effect(effect),
            None => self.unknown_effect(start),
        }
        true
    }

    /// Puts the statements in the netfilter form's order.
    fn finish(self, origin: Location, out: &mut Vec<Rule>) {
        let Reader { items, family, family_from, verdict, comment, alternatives, tokens, .. } = self;
        let base = Rule { family, comment, origin: Some(origin), ..Rule::default() };
        let mut matches: Vec<Match> = Vec::with_capacity(items.len());
        let mut effects: Vec<Effect> = Vec::new();
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
                            Effect::SetMark { .. } => {
                                !matches.iter().any(|item| matches!(item.kind, MatchKind::Mark { .. }))
                            }
                            _ => false,
                        });
                    if !again {
                        let text: Arc<str> = Arc::from(spaced(tokens));
                        let matches = vec![Match::is(MatchKind::Unknown(text.clone()))];
                        let effects = vec![Effect::Unknown(text.clone())];
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
        for (item, verdict) in alternatives {
            let mut all = matches.clone();
            all.push(item);
            out.push(Rule { matches: all, verdict: Some(verdict), ..base.clone() });
        }
    }
}

struct Key {
    fields: Vec<SetField>,
    types: Vec<Type>,
    family: Option<Family>,
    protocol: Option<Protocol>,
}

enum Addresses {
    Known(AddressSet),
    Named(Arc<str>),
}

/// Whether asking twice gives the same answer.
fn is_stateless(kind: &MatchKind) -> bool {
    !matches!(kind, MatchKind::Limit(_) | MatchKind::ConnectionsAbove { .. } | MatchKind::Unknown(_))
}

/// The brace that closes the one at `open`.
fn closing(tokens: &[Token], open: usize) -> Option<usize> {
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

fn unclosed(tokens: &[Token]) -> bool {
    tokens.iter().filter(|token| token.is("{")).count() > tokens.iter().filter(|token| token.is("}")).count()
}

fn is_operator(word: &str) -> bool {
    matches!(word, "&" | "|" | "^" | "and" | "or" | "xor" | "." | "<<" | ">>" | "map")
}

/// A value of one word.
fn text_of<'t>(part: &[Token<'t>]) -> Option<&'t str> {
    match part {
        [one] => Some(one.text),
        _ => None,
    }
}

/// The one value of a list of one.
fn single<'t>(list: &[&[Token<'t>]]) -> Option<&'t str> {
    match list {
        [one] => text_of(one),
        _ => None,
    }
}

/// An empty list, as a match of this field.
fn empty(elements: &[Vec<SetValue>], field: SetField) -> Option<MatchKind> {
    if !elements.is_empty() {
        return None;
    }
    Some(match field {
        SetField::SourcePort => MatchKind::SourcePort(PortSet::default()),
        SetField::DestinationPort => MatchKind::DestinationPort(PortSet::default()),
        SetField::SourceMac => MatchKind::SourceMac(Vec::new()),
        SetField::InInterface => MatchKind::InInterface(Vec::new()),
        SetField::OutInterface => MatchKind::OutInterface(Vec::new()),
        SetField::Protocol => MatchKind::Protocol(Vec::new()),
        _ => return None,
    })
}

/// The matches that compare a field with one value.
fn compared(field: SetField, value: SetValue) -> Option<Vec<MatchKind>> {
    Some(match (field, value) {
        (SetField::Source, SetValue::Address(range)) => vec![MatchKind::Source([range].into_iter().collect())],
        (SetField::Destination, SetValue::Address(range)) => {
            vec![MatchKind::Destination([range].into_iter().collect())]
        }
        (SetField::DestinationService, SetValue::Service(protocol, ports)) => {
            vec![MatchKind::Protocol(vec![protocol]), MatchKind::DestinationPort(PortSet::new([ports]))]
        }
        (SetField::Protocol, SetValue::Protocol(protocol)) => vec![MatchKind::Protocol(vec![protocol])],
        (SetField::SourcePort, SetValue::Port(ports)) => vec![MatchKind::SourcePort(PortSet::new([ports]))],
        (SetField::DestinationPort, SetValue::Port(ports)) => vec![MatchKind::DestinationPort(PortSet::new([ports]))],
        (SetField::SourceMac, SetValue::Mac(mac)) => vec![MatchKind::SourceMac(vec![mac])],
        (SetField::InInterface, SetValue::Interface(card)) => vec![MatchKind::InInterface(vec![card])],
        (SetField::OutInterface, SetValue::Interface(card)) => vec![MatchKind::OutInterface(vec![card])],
        _ => return None,
    })
}

fn flags(right: &Right, bit: impl Fn(&str) -> Option<u8>) -> Option<u8> {
    if matches!(right, Right::Named(_)) {
        return None;
    }
    right.all().iter().try_fold(0, |bits, part| Some(bits | bit(text_of(part)?)?))
}

fn state(name: &str) -> Option<u8> {
    Some(match name {
        "new" => State::NEW,
        "established" => State::ESTABLISHED,
        "related" => State::RELATED,
        "invalid" => State::INVALID,
        "untracked" => State::UNTRACKED,
        _ => return None,
    })
}

/// A flag by name, or all of them as a number.
fn tcp_flag(part: &[Token]) -> Option<u8> {
    let text = text_of(part)?;
    let names = ["fin", "syn", "rst", "psh", "ack", "urg", "ecn", "cwr"];
    names
        .iter()
        .position(|name| *name == text)
        .map(|at| 1 << at)
        .or_else(|| address::number(text).and_then(|number| u8::try_from(number).ok()))
}

fn seconds(unit: &str) -> Option<u32> {
    Some(match unit {
        "second" => 1,
        "minute" => 60,
        "hour" => 3600,
        "day" => 86_400,
        "week" => 604_800,
        _ => return None,
    })
}

/// Codes by number, or by the names that nft has for those of "destination unreachable".
fn icmp_code(family: Family, text: &str) -> Option<u8> {
    if let Some(number) = address::number(text) {
        return u8::try_from(number).ok();
    }
    Some(match (family, text) {
        (Family::Ipv4, "net-unreachable") => 0,
        (Family::Ipv4, "host-unreachable") => 1,
        (Family::Ipv4, "prot-unreachable") => 2,
        (Family::Ipv4, "port-unreachable") => 3,
        (Family::Ipv4, "frag-needed") => 4,
        (Family::Ipv4, "net-prohibited") => 9,
        (Family::Ipv4, "host-prohibited") => 10,
        (Family::Ipv4, "admin-prohibited") => 13,
        (Family::Ipv6, "no-route") => 0,
        (Family::Ipv6, "admin-prohibited") => 1,
        (Family::Ipv6, "addr-unreachable") => 3,
        (Family::Ipv6, "port-unreachable") => 4,
        (Family::Ipv6, "policy-fail") => 5,
        (Family::Ipv6, "reject-route") => 6,
        _ => return None,
    })
}

/// `destination-unreachable . frag-needed`, `8 . 0-255`.
fn icmp_pair(family: Family, part: &[Token], list: &mut Vec<IcmpType>) -> Option<()> {
    let [kind, dot, code] = part else { return None };
    if !dot.is(".") {
        return None;
    }
    let types = names::icmp::lookup(family, kind.text)?;
    for IcmpType { kind, code: of_type } in types {
        if of_type.is_some() {
            return None;
        }
        // The listing may name the first code of a range: `net-unreachable-255`.
        let ends = code
            .text
            .rsplit_once('-')
            .and_then(|(first, last)| Some((icmp_code(family, first)?, icmp_code(family, last)?)));
        match (icmp_code(family, code.text), ends) {
            (Some(code), _) => list.push(IcmpType { kind, code: Some(code) }),
            (None, Some((0, 255))) => list.push(IcmpType { kind, code: None }),
            (None, Some((first, last))) => list.extend((first..=last).map(|code| IcmpType { kind, code: Some(code) })),
            _ => return None,
        }
    }
    Some(())
}

/// What a mark becomes: `(mark & !mask) ^ value`. Read from left to right, as nft's precedence has it where `&` comes first.
fn mark(value: &[Token]) -> Option<(u32, u32)> {
    let (mut keep, mut flip, mut rest) = match value {
        [one] => return Some((address::number(one.text)?, u32::MAX)),
        [meta, mark, rest @ ..] if meta.is("meta") && mark.is("mark") => (u32::MAX, 0, rest),
        [mark, rest @ ..] if mark.is("mark") => (u32::MAX, 0, rest),
        _ => return None,
    };
    let mut weakest = 0;
    while let [op, operand, after @ ..] = rest {
        let number = address::number(operand.text)?;
        let strength = match op.text {
            "&" | "and" => {
                (keep, flip) = (keep & number, flip & number);
                0
            }
            "^" | "xor" => {
                flip ^= number;
                1
            }
            "|" | "or" => {
                (keep, flip) = (keep & !number, flip | number);
                2
            }
            _ => return None,
        };
        if strength < weakest {
            return None;
        }
        weakest = strength;
        rest = after;
    }
    rest.is_empty().then_some((flip, !keep))
}

/// Minutes from `08:00`; the last second of the day is its end.
fn clock(text: &str) -> Option<u16> {
    if text == "23:59:59" || text == "24:00" {
        return Some(24 * 60);
    }
    let mut parts = text.split(':');
    let (hour, minute) = (address::port(parts.next()?)?, address::port(parts.next()?)?);
    let whole = parts.next().is_none_or(|second| second == "00") && parts.next().is_none();
    (whole && hour < 24 && minute < 60).then_some(hour * 60 + minute)
}

/// The place of a day in the week, Monday first; nft's numbers begin with Sunday.
fn day(text: &str) -> Option<u8> {
    let names = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
    if let Some(at) = names.iter().position(|name| *name == text) {
        return u8::try_from(at).ok();
    }
    match address::port(text)? {
        0 => Some(6),
        number @ 1..=6 => u8::try_from(number - 1).ok(),
        _ => None,
    }
}
