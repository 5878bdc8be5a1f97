//! The commands of a script, and the blocks of a listing.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::super::missing::missing;
use super::super::{Fault, FaultKind, Object, Reading, owner, quoted};
use super::lex::{Kind, Lexer, Token, spaced};
use super::rule;
use super::set::RawSet;
use super::vocabulary::Stranger;
use crate::net::{Card, Protocol};
use crate::netfilter::{Base, Chain, Hook, Match, MatchKind, Rule, Set, Table, TableFamily, TableKind, Verdict};
use crate::span::{FileId, Location, Span};

/// Families as nft names them; `None` for those whose tables the netfilter form lacks.
fn family(word: &str) -> Option<Option<TableFamily>> {
    Some(match word {
        "ip" => Some(TableFamily::Ipv4),
        "ip6" => Some(TableFamily::Ipv6),
        "inet" => Some(TableFamily::Inet),
        "bridge" => Some(TableFamily::Bridge),
        "netdev" => Some(TableFamily::Netdev),
        "arp" => None,
        _ => return None,
    })
}

pub(super) struct RawTable<'t> {
    pub family: TableFamily,
    pub name: &'t str,
    pub sets: Vec<RawSet<'t>>,
    pub set_at: FxHashMap<&'t str, usize>,
    chains: Vec<RawChain<'t>>,
    chain_at: FxHashMap<&'t str, usize>,
    /// Connection helpers: what they are for.
    pub helpers: FxHashMap<&'t str, (&'t str, Option<Protocol>)>,
    dormant: bool,
    whole: bool,
    /// Sets that rules add to.
    grown: FxHashSet<&'t str>,
}

impl RawTable<'_> {
    /// Whether the text has the whole table: it makes its sets in a block, and no other file is included.
    pub fn is_whole(&self) -> bool {
        self.whole
    }
}

struct RawChain<'t> {
    name: &'t str,
    base: Option<Base>,
    /// The devices that it looks at, in netdev tables.
    devices: Vec<&'t str>,
    rules: Vec<(usize, usize)>,
}

pub(super) struct Script<'t> {
    file: FileId,
    text: &'t str,
    lexer: Lexer<'t>,
    tables: Vec<RawTable<'t>>,
    faults: Vec<Fault>,
    objects: Vec<Object>,
    tokens: Vec<Token<'t>>,
    /// Whether files are included that may hold more of the tables.
    includes: bool,
}

impl<'t> Script<'t> {
    pub fn new(file: FileId, text: &'t str, includes: bool) -> Self {
        let lexer = Lexer::new(text);
        let (tables, faults, objects, tokens) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { file, text, lexer, tables, faults, objects, tokens, includes }
    }

    fn fault(&mut self, start: usize, end: usize, message: String, help: &str) {
        let span = Span::new(start, end);
        self.faults.push(Fault::new(FaultKind::Broken, self.file, span, message, help));
    }

    /// The words up to the line's end or an opening or closing brace, which is left.
    fn head(&mut self) -> Vec<Token<'t>> {
        let mut words = Vec::new();
        while let Some(token) = self.lexer.peek() {
            if token.kind == Kind::End || token.is("{") || token.is("}") {
                break;
            }
            self.lexer.next();
            words.push(token);
        }
        words
    }

    /// Collects the rest of a statement into `tokens`: to its line's end outside of braces, or to the brace that closes the block.
    fn statement(&mut self) {
        self.tokens.clear();
        let mut depth = 0usize;
        while let Some(token) = self.lexer.peek() {
            match token.kind {
                Kind::End if depth == 0 => break,
                Kind::End => {
                    self.lexer.next();
                    continue;
                }
                Kind::Mark if token.text == "{" => depth += 1,
                Kind::Mark if token.text == "}" && depth == 0 => break,
                Kind::Mark if token.text == "}" => depth -= 1,
                _ => {}
            }
            self.lexer.next();
            self.tokens.push(token);
        }
    }

    /// Passes a block in braces, if one stands here.
    fn skip_block(&mut self) -> usize {
        let mut depth = 0usize;
        let mut end = 0;
        while let Some(token) = self.lexer.peek() {
            if depth == 0 && !token.is("{") {
                break;
            }
            self.lexer.next();
            end = token.end;
            if token.is("{") {
                depth += 1;
            } else if token.is("}") {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
        }
        end
    }

    fn take(&mut self, text: &str) -> bool {
        let there = self.lexer.peek().is_some_and(|token| token.is(text));
        if there {
            self.lexer.next();
        }
        there
    }

    /// Reads all commands.
    pub fn read(&mut self) {
        while let Some(token) = self.lexer.peek() {
            if token.kind == Kind::End {
                self.lexer.next();
                continue;
            }
            if token.is("{") || token.is("}") {
                self.lexer.next();
                self.fault(
                    token.start,
                    token.end,
                    format!("`{}` stands outside of a table", token.text),
                    "begin with `table FAMILY NAME {`",
                );
                continue;
            }
            let words = self.head();
            if !self.command(&words) {
                let text: Vec<&str> = words.iter().map(|word| word.text).collect();
                let message = format!("`{}` is no command of an nft script", quoted(&text.join(" ")));
                let end = self.skip_block();
                self.fault(
                    token.start,
                    words.last().map_or(end, |word| word.end.max(end)),
                    message,
                    "a rule set is a list of `table FAMILY NAME { … }`",
                );
            }
        }
    }

    /// One command; whether it is one.
    fn command(&mut self, words: &[Token<'t>]) -> bool {
        let text = |at: usize| words.get(at).map_or("", |word| word.text);
        if text(0) == "table" {
            return self.table_block(words.get(1..).unwrap_or_default(), words.first());
        }
        let (verb, what) = (text(0), text(1));
        if verb == "flush" && what == "ruleset" {
            self.tables.clear();
            return true;
        }
        let what_words = if matches!((what, text(2)), ("ct", "helper" | "timeout" | "expectation")) { 3 } else { 2 };
        let rest = words.get(what_words..).unwrap_or_default();
        // The family may be left out: it is `ip` then.
        let named = rest.first().is_some_and(|word| family(word.text).is_some());
        let of =
            if named { rest.first().and_then(|word| family(word.text)).flatten() } else { Some(TableFamily::Ipv4) };
        let rest = if named { rest.get(1..).unwrap_or_default() } else { rest };
        let Some((table, rest)) = rest.split_first() else { return false };
        let Some(of) = of else {
            self.skip_block();
            self.statement();
            return matches!(verb, "add" | "create" | "delete" | "destroy" | "flush" | "insert");
        };
        match (verb, what) {
            ("add" | "create", "table") => self.table_block(words.get(2..).unwrap_or_default(), words.first()),
            ("delete" | "destroy", "table") => {
                self.tables.retain(|known| known.family != of || known.name != table.text);
                true
            }
            ("flush", "table") => {
                let at = self.table(of, table.text);
                if let Some(table) = self.tables.get_mut(at) {
                    table.chains.iter_mut().for_each(|chain| chain.rules.clear());
                }
                true
            }
            ("add" | "create", "chain" | "set" | "map" | "rule" | "element") | ("insert", "rule") => {
                let at = self.table(of, table.text);
                self.add_to(at, verb == "insert", what, rest)
            }
            ("add" | "create", _) => {
                let Some(first) = words.first() else { return false };
                let start = first.start;
                if what == "ct" && text(2) == "helper" {
                    let at = self.table(of, table.text);
                    return self.helper(at, rest.first().copied(), start);
                }
                self.object(start, words);
                true
            }
            ("flush" | "delete" | "destroy", "chain" | "set" | "map") => {
                let at = self.table(of, table.text);
                let Some(name) = rest.first() else { return false };
                let Some(table) = self.tables.get_mut(at) else { return false };
                if what == "chain" {
                    if let Some(chain) = table.chain_at.get(name.text).and_then(|at| table.chains.get_mut(*at)) {
                        chain.rules.clear();
                    }
                    if verb != "flush" {
                        table.chains.retain(|chain| chain.name != name.text);
                        table.chain_at = table.chains.iter().enumerate().map(|(at, chain)| (chain.name, at)).collect();
                    }
                } else if let Some(set) = table.set_at.get(name.text).and_then(|at| table.sets.get_mut(*at)) {
                    set.clear();
                }
                true
            }
            (
                "flush" | "delete" | "destroy",
                "rule" | "element" | "flowtable" | "counter" | "quota" | "limit" | "ct" | "secmark" | "synproxy",
            ) => {
                // What these take away is told by a number that a text does not give.
                false
            }
            _ => false,
        }
    }

    fn table(&mut self, family: TableFamily, name: &'t str) -> usize {
        if let Some(at) = self.tables.iter().position(|table| table.family == family && table.name == name) {
            return at;
        }
        self.tables.push(RawTable {
            family,
            name,
            sets: Vec::new(),
            set_at: FxHashMap::default(),
            chains: Vec::new(),
            chain_at: FxHashMap::default(),
            helpers: FxHashMap::default(),
            dormant: false,
            whole: false,
            grown: FxHashSet::default(),
        });
        self.tables.len() - 1
    }

    /// `table FAMILY NAME`, with or without a block.
    fn table_block(&mut self, words: &[Token<'t>], first: Option<&Token<'t>>) -> bool {
        let (of, name) = match words {
            [name] => (Some(TableFamily::Ipv4), name),
            [word, name] => match family(word.text) {
                Some(of) => (of, name),
                None => return false,
            },
            _ => return false,
        };
        let start = first.map_or(name.start, |word| word.start);
        let Some(of) = of else {
            let end = self.skip_block().max(name.end);
            let text = self.text.get(start..end).unwrap_or_default();
            self.objects.push(Object { text: Arc::from(text), location: self.location(start, end) });
            return true;
        };
        let at = self.table(of, name.text);
        if !self.take("{") {
            return true;
        }
        let whole = !self.includes;
        self.tables.get_mut(at).into_iter().for_each(|table| table.whole = whole);
        loop {
            let Some(token) = self.lexer.peek() else {
                self.fault(
                    start,
                    name.end,
                    format!("the block of table `{}` is never closed", quoted(name.text)),
                    "close it with `}`",
                );
                return true;
            };
            if token.is("}") {
                self.lexer.next();
                return true;
            }
            if token.kind == Kind::End {
                self.lexer.next();
                continue;
            }
            self.member(at);
        }
    }

    fn location(&self, start: usize, end: usize) -> Location {
        Location { file: self.file, span: Span::new(start, end) }
    }

    /// One thing in a table's block.
    fn member(&mut self, at: usize) {
        let words = self.head();
        let text = |at: usize| words.get(at).map_or("", |word| word.text);
        let Some(first) = words.first().copied() else {
            // A brace without a name.
            let token = self.lexer.next();
            if let Some(token) = token {
                self.fault(token.start, token.end, "a block stands without a name".to_owned(), "write `chain NAME {`");
            }
            return;
        };
        match text(0) {
            "chain" | "set" | "map" if words.len() == 2 => {
                self.add_to(at, false, first.text, words.get(1..).unwrap_or_default());
            }
            "ct" if text(1) == "helper" => {
                self.helper(at, words.get(2).copied(), first.start);
            }
            "flags" => {
                if let Some(table) = self.tables.get_mut(at) {
                    table.dormant |= words.iter().any(|flag| flag.text == "dormant");
                }
            }
            "comment" => {}
            "flowtable" | "counter" | "quota" | "limit" | "secmark" | "synproxy" | "ct" | "tunnel" => {
                self.object(first.start, &words)
            }
            _ => {
                let end = self.skip_block().max(words.last().map_or(0, |word| word.end));
                let message = format!("`{}` is nothing that a table holds", quoted(&spaced(&words)));
                self.fault(first.start, end, message, "a table holds chains, sets, maps and objects");
            }
        }
    }

    /// Keeps something that the netfilter form lacks.
    fn object(&mut self, start: usize, words: &[Token<'t>]) {
        let end = self.skip_block().max(words.last().map_or(start, |word| word.end));
        let text = self.text.get(start..end).unwrap_or_default();
        self.objects.push(Object { text: Arc::from(text), location: self.location(start, end) });
    }

    fn add_to(&mut self, at: usize, insert: bool, what: &str, words: &[Token<'t>]) -> bool {
        let Some((name, rest)) = words.split_first() else { return false };
        match what {
            "chain" => {
                let chain = self.chain(at, name.text);
                if self.take("{") {
                    self.chain_block(at, chain, name);
                }
            }
            "set" | "map" => {
                let set = self.set(at, name.text);
                if self.take("{") {
                    self.set_block(at, set, name);
                }
            }
            "element" => {
                let set = self.set(at, name.text);
                if self.take("{") {
                    self.elements(at, set);
                }
            }
            "rule" => {
                let chain = self.chain(at, name.text);
                let from = rest.first().map(|word| word.start);
                self.statement();
                let start = from.or(self.tokens.first().map(|token| token.start)).unwrap_or(name.end);
                let end =
                    self.tokens.last().map(|token| token.end).or(rest.last().map(|word| word.end)).unwrap_or(start);
                self.grows(at, rest);
                let tokens = std::mem::take(&mut self.tokens);
                self.grows(at, &tokens);
                self.tokens = tokens;
                if let Some(chain) = self.tables.get_mut(at).and_then(|table| table.chains.get_mut(chain)) {
                    if insert { chain.rules.insert(0, (start, end)) } else { chain.rules.push((start, end)) }
                }
            }
            _ => return false,
        }
        true
    }

    fn chain(&mut self, at: usize, name: &'t str) -> usize {
        let Some(table) = self.tables.get_mut(at) else { return 0 };
        *table.chain_at.entry(name).or_insert_with(|| {
            table.chains.push(RawChain { name, base: None, devices: Vec::new(), rules: Vec::new() });
            table.chains.len() - 1
        })
    }

    fn set(&mut self, at: usize, name: &'t str) -> usize {
        let Some(table) = self.tables.get_mut(at) else { return 0 };
        *table.set_at.entry(name).or_insert_with(|| {
            table.sets.push(RawSet { name, ..RawSet::default() });
            table.sets.len() - 1
        })
    }

    fn chain_block(&mut self, at: usize, chain: usize, name: &Token<'t>) {
        loop {
            let Some(token) = self.lexer.peek() else {
                self.fault(
                    name.start,
                    name.end,
                    format!("the block of chain `{}` is never closed", quoted(name.text)),
                    "close it with `}`",
                );
                return;
            };
            if token.is("}") {
                self.lexer.next();
                return;
            }
            if token.kind == Kind::End {
                self.lexer.next();
                continue;
            }
            if token.is("{") {
                let end = self.skip_block();
                self.fault(token.start, end, "a block stands without a name".to_owned(), "a chain's block holds rules");
                continue;
            }
            self.statement();
            let tokens = std::mem::take(&mut self.tokens);
            self.chain_line(at, chain, &tokens);
            self.tokens = tokens;
        }
    }

    fn chain_line(&mut self, at: usize, chain: usize, tokens: &[Token<'t>]) {
        let text = |at: usize| tokens.get(at).map_or("", |word| word.text);
        let (Some(first), Some(last)) = (tokens.first(), tokens.last()) else { return };
        if let Some(broken) = tokens.iter().find(|token| token.kind == Kind::Broken) {
            self.fault(
                broken.start,
                broken.end,
                "this quotation mark is never closed".to_owned(),
                "close it on the same line",
            );
            return;
        }
        let Some(table) = self.tables.get_mut(at) else { return };
        let of = table.family;
        if text(0) == "type" && text(2) == "hook" {
            let Some(base) = base(of, tokens) else {
                let message = format!("`{}` is no place of a chain", quoted(&spaced(tokens)));
                self.fault(first.start, last.end, message, "write `type filter hook input priority filter`");
                return;
            };
            if let Some(chain) = table.chains.get_mut(chain) {
                chain.base = Some(base);
                let at = tokens.iter().position(|token| token.is("device") || token.is("devices"));
                let devices = tokens.iter().skip(at.map_or(tokens.len(), |at| at + 1));
                let devices = devices.take_while(|token| !token.is("priority"));
                chain.devices = devices
                    .filter(|token| token.kind == Kind::Quoted || (token.kind == Kind::Word && token.text != "="))
                    .map(|token| token.text)
                    .collect();
            }
        } else if text(0) == "policy" && tokens.len() == 2 {
            let accept = text(1) != "drop";
            if let Some(base) = table.chains.get_mut(chain).and_then(|chain| chain.base.as_mut()) {
                base.accept = accept;
            }
        } else if text(0) == "comment" && tokens.len() == 2 {
            // The chain's own remark.
        } else {
            if let Some(chain) = table.chains.get_mut(chain) {
                chain.rules.push((first.start, last.end));
            }
            self.grows(at, tokens);
        }
    }

    /// Notes the sets that a rule adds to.
    fn grows(&mut self, at: usize, tokens: &[Token<'t>]) {
        let Some(table) = self.tables.get_mut(at) else { return };
        for pair in tokens.windows(2) {
            if let [verb, set] = pair
                && verb.kind == Kind::Word
                && matches!(verb.text, "add" | "update" | "delete")
                && let Some(name) = set.text.strip_prefix('@').filter(|_| set.kind == Kind::Word)
            {
                table.grown.insert(name);
            }
        }
    }

    fn set_block(&mut self, at: usize, set: usize, name: &Token<'t>) {
        loop {
            let Some(token) = self.lexer.peek() else {
                self.fault(
                    name.start,
                    name.end,
                    format!("the block of set `{}` is never closed", quoted(name.text)),
                    "close it with `}`",
                );
                return;
            };
            if token.is("}") {
                self.lexer.next();
                return;
            }
            if token.kind == Kind::End {
                self.lexer.next();
                continue;
            }
            let words = self.head();
            let text = words.first().map_or("", |word| word.text);
            if text == "elements" && self.take("{") {
                self.elements(at, set);
                continue;
            }
            let live = words.iter().any(|word| matches!(word.text, "timeout" | "dynamic"));
            let known = self.tables.get_mut(at).and_then(|table| table.sets.get_mut(set));
            match (text, known) {
                ("type" | "typeof", Some(set)) => {
                    set.set_types(words.get(1..).unwrap_or_default(), text == "typeof");
                }
                ("flags" | "timeout", Some(set)) => set.live |= live,
                ("size" | "policy" | "gc-interval" | "auto-merge" | "comment" | "counter" | "flags" | "timeout", _) => {
                }
                _ => {
                    let end = self.skip_block().max(words.last().map_or(token.end, |word| word.end));
                    let message = format!("`{}` is nothing that a set says", quoted(&spaced(&words)));
                    self.fault(token.start, end, message, "a set has `type`, `flags` and `elements`");
                }
            }
        }
    }

    /// The elements, from behind the opening brace.
    fn elements(&mut self, at: usize, set: usize) {
        let mut tokens: Vec<Token<'t>> = Vec::with_capacity(8);
        let Some(known) = self.tables.get_mut(at).and_then(|table| table.sets.get_mut(set)) else { return };
        let mut bounds: Option<(usize, usize)> = None;
        let mut depth = 0usize;
        for token in self.lexer.by_ref() {
            let close = token.is("}") && depth == 0;
            if (token.is(",") && depth == 0) || close {
                if !tokens.is_empty() {
                    known.add(&tokens);
                    tokens.clear();
                }
                if close {
                    break;
                }
                continue;
            }
            if token.kind == Kind::End {
                continue;
            }
            if token.is("{") {
                depth += 1;
            } else if token.is("}") {
                depth -= 1;
            }
            bounds = Some((bounds.map_or(token.start, |(start, _)| start), token.end));
            tokens.push(token);
        }
        if let Some((start, end)) = bounds {
            known.text.extend(self.text.get(start..end));
        }
    }

    /// `ct helper NAME { type "ftp" protocol tcp; }`.
    fn helper(&mut self, at: usize, name: Option<Token<'t>>, start: usize) -> bool {
        let Some(name) = name else { return false };
        let from = self.lexer.clone();
        let end = self.skip_block();
        let inside: Vec<Token<'t>> = from.take_while(|token| token.end <= end).collect();
        let after = |word: &str| {
            inside.windows(2).find_map(|pair| match pair {
                [key, value] if key.is(word) => Some(value.text),
                _ => None,
            })
        };
        match (after("type"), after("protocol")) {
            (Some(kind), protocol) => {
                let protocol = protocol.and_then(super::super::address::protocol);
                if let Some(table) = self.tables.get_mut(at) {
                    table.helpers.insert(name.text, (kind, protocol));
                }
            }
            _ => self.fault(
                start,
                end.max(name.end),
                format!("the helper `{}` has no type", quoted(name.text)),
                "write `type \"ftp\" protocol tcp;`",
            ),
        }
        true
    }

    /// Puts everything into the netfilter form.
    pub fn finish(self) -> Reading {
        let mut reading = Reading { faults: self.faults, objects: self.objects, ..Reading::default() };
        for mut table in self.tables {
            let grown = std::mem::take(&mut table.grown);
            for set in &mut table.sets {
                set.live |= grown.contains(set.name);
            }
            let chains = std::mem::take(&mut table.chains);
            let mut names: FxHashMap<&str, Arc<str>> = FxHashMap::default();
            for chain in &chains {
                names.insert(chain.name, Arc::from(chain.name));
            }
            let mut out = Vec::with_capacity(chains.len());
            let mut tokens = Vec::new();
            for chain in chains {
                let mut rules = Vec::with_capacity(chain.rules.len());
                for (number, (start, end)) in chain.rules.iter().copied().enumerate() {
                    let text = self.text.get(start..end).unwrap_or_default();
                    tokens.clear();
                    tokens.extend(Lexer::new(text).filter(|token| token.kind != Kind::End));
                    let origin = Location { file: self.file, span: Span::new(start, end) };
                    let place = (chain.name, number + 1);
                    let strangers = rule::read(&mut table, &names, &tokens, place, origin, &mut rules);
                    reading
                        .faults
                        .extend(strangers.into_iter().filter_map(|one| stranger(self.file, &tokens, start, one)));
                }
                let base = chain.base.filter(|_| !table.dormant);
                let (base, rules) = at_devices(base, chain.name, &chain.devices, rules);
                let name = names.get(chain.name).cloned().unwrap_or_else(|| Arc::from(chain.name));
                let owner = owner(chain.name);
                out.push(Chain { name, owner, base, rules });
            }
            let mut kinds = out.iter().filter_map(|chain| chain.base).map(|base| base.kind);
            let first = kinds.next();
            let kind = first.filter(|first| kinds.all(|kind| kind == *first)).unwrap_or(TableKind::Filter);
            let sets = table.sets.into_iter().filter_map(|set| {
                let fields = set.default_fields().filter(|_| !set.verdicts && !set.data && !set.broken)?;
                let family = set.family();
                Some(Set { name: Arc::from(set.name), family, fields, elements: set.elements, live: set.live })
            });
            let sets = sets.collect();
            let whole = out.iter().any(|chain| chain.base.is_some()) && !self.includes;
            let table = Table { family: table.family, kind, name: table.name.to_owned(), sets, chains: out };
            reading.faults.extend(missing(self.file, self.text, &table, whole, &[]));
            reading.ruleset.tables.push(table);
        }
        reading
    }
}

/// The fault for a word that cannot stand where it does.
fn stranger(file: FileId, tokens: &[Token], start: usize, stranger: Stranger) -> Option<Fault> {
    let token = tokens.get(stranger.at)?;
    let span = Span::new(start + token.start, start + token.end);
    let message = format!("`{}` is no {}", quoted(token.text), stranger.what);
    let help = stranger
        .near
        .as_ref()
        .map_or_else(|| "nft refuses the file: correct the word".to_owned(), |near| format!("did you mean `{near}`?"));
    // A word that is like none may be one of a later nft.
    let kind = if stranger.later { FaultKind::UnreadRule } else { FaultKind::Refused };
    Some(Fault { replacement: stranger.near, ..Fault::new(kind, file, span, message, help) })
}

/// A chain at the hook of a device judges that device's frames alone: each rule says so, its policy too.
fn at_devices(base: Option<Base>, name: &str, devices: &[&str], mut rules: Vec<Rule>) -> (Option<Base>, Vec<Rule>) {
    let Some(mut base) = base.filter(|base| matches!(base.hook, Hook::Ingress | Hook::Egress)) else {
        return (base, rules);
    };
    let cards: Arc<[Card]> = devices.iter().map(|name| Card::exact(*name)).collect();
    let kind = match base.hook {
        // nft 1.0.6 leaves the device out of its JSON.
        _ if devices.is_empty() => MatchKind::Unknown(Arc::from(format!("device of {name}"))),
        Hook::Egress => MatchKind::OutInterface(cards),
        _ => MatchKind::InInterface(cards),
    };
    for rule in &mut rules {
        rule.matches.insert(0, Match::is(kind.clone()));
    }
    if !base.accept {
        base.accept = true;
        rules.push(Rule { matches: vec![Match::is(kind)], verdict: Some(Verdict::Drop), ..Rule::default() });
    }
    (Some(base), rules)
}

/// `type filter hook input device "eth0" priority filter - 5`, perhaps with `policy drop` behind it.
fn base(family: TableFamily, tokens: &[Token]) -> Option<Base> {
    let hook = match tokens.get(3)?.text {
        "prerouting" => Hook::Prerouting,
        "input" => Hook::Input,
        "forward" => Hook::Forward,
        "output" => Hook::Output,
        "postrouting" => Hook::Postrouting,
        "ingress" => Hook::Ingress,
        "egress" => Hook::Egress,
        _ => return None,
    };
    let at = tokens.iter().position(|token| token.is("priority"))?;
    let words: Vec<&str> =
        tokens.iter().skip(at + 1).take_while(|token| !token.is("policy")).map(|token| token.text).collect();
    let priority = priority(family, &words)?;
    let kind = match tokens.get(1)?.text {
        "nat" => TableKind::Nat,
        "route" => TableKind::Mangle,
        "filter" if matches!(family, TableFamily::Bridge | TableFamily::Netdev) => TableKind::Filter,
        // Connection tracking stands at -200.
        "filter" if priority < -200 => TableKind::Raw,
        "filter" if priority < -50 => TableKind::Mangle,
        "filter" => TableKind::Filter,
        _ => return None,
    };
    Some(Base { kind, hook, priority, accept: true })
}

/// A number, or a name (nft(8), "standard priority names") with a distance.
fn priority(family: TableFamily, words: &[&str]) -> Option<i32> {
    let (name, distance) = match words {
        [one] => (*one, 0),
        [name, sign @ ("+" | "-"), distance] => {
            let distance: i32 = distance.parse().ok()?;
            (*name, if *sign == "-" { distance.checked_neg()? } else { distance })
        }
        // `filter -5`.
        [name, distance] => (*name, distance.parse().ok()?),
        _ => return None,
    };
    let bridge = family == TableFamily::Bridge;
    let number: i32 = match name {
        "raw" => -300,
        "mangle" => -150,
        "dstnat" if bridge => -300,
        "dstnat" => -100,
        "filter" if bridge => -200,
        "filter" => 0,
        "out" => 100,
        "security" => 50,
        "srcnat" if bridge => 300,
        "srcnat" => 100,
        number => number.parse().ok()?,
    };
    number.checked_add(distance)
}
