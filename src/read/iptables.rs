//! `iptables-save` and `ip6tables-save`, and what the restore programs take: `:CHAIN`, `-A`, `-I`, `-N`, `-P`, `-F`.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::scan::{self, Word};
use super::{Fault, Reading, address, owner, quoted};
use crate::names;
use crate::net::{AddressSet, Card, Family, PortSet};
use crate::netfilter::{
    Base, Chain, Effect, Hook, Limit, Match, MatchKind, Owner, Reject, Rule, State, Table, TableFamily, TableKind,
    Verdict,
};
use crate::span::{FileId, Location, Span};

/// Reads a text of `iptables-save` (or `ip6tables-save`, as `family` says), or one that the restore programs take.
#[must_use]
pub fn iptables(file: FileId, text: &str, family: Family) -> Reading {
    let mut reader = Reader {
        file,
        family,
        reading: Reading::default(),
        chains: FxHashMap::default(),
        current: None,
        skipping: false,
        last: None,
    };
    let mut words = Vec::new();
    for (start, line) in scan::lines(text) {
        if let Err((span, message, help)) = reader.line(start, line, &mut words) {
            let span = Span::new(start + span.start as usize, start + span.end as usize);
            reader.reading.faults.push(Fault { file, span, message, help });
        }
    }
    reader.reading
}

/// Reads the words of one rule, from behind `-A CHAIN`: `-p tcp --dport 22 -j ACCEPT`. Other chains are taken to exist.
///
/// # Errors
/// The place in the line of what is no rule.
pub fn iptables_rule(line: &str, family: Family) -> Result<Rule, Span> {
    let mut words = Vec::new();
    scan::words(line, &mut words)?;
    read_rule(line, &words, family, &FxHashMap::default()).map_err(|(span, ..)| span)
}

/// The family that the remarks of a text name: who speaks of ip6tables means IPv6.
pub(super) fn family_of_remarks(text: &str) -> Option<Family> {
    let remarks = || text.lines().take_while(|line| line.is_empty() || line.starts_with('#'));
    let named = |program: &str| {
        let programs = ["", "-nft", "-legacy"].map(|variant| format!("{program}{variant}-"));
        let verbs = |line: &str, program: &str| {
            line.match_indices(program).any(|(at, _)| {
                let after = line.get(at + program.len()..).unwrap_or_default();
                after.starts_with("save") || after.starts_with("restore")
            })
        };
        remarks().any(|line| programs.iter().any(|program| verbs(line, program)))
    };
    if named("ip6tables") { Some(Family::Ipv6) } else { named("iptables").then_some(Family::Ipv4) }
}

/// The family that a text shows, by its remarks or by an address.
pub(super) fn family(text: &str) -> Option<Family> {
    family_of_remarks(text).or_else(|| {
        text.lines().filter(|line| line.starts_with('-') || line.starts_with('[')).find_map(|line| {
            line.split_whitespace().find_map(|word| match word {
                "ipv6-icmp" | "icmp6" | "--icmpv6-type" => Some(Family::Ipv6),
                "--icmp-type" => Some(Family::Ipv4),
                _ => address::range(word).map(|range| range.family()),
            })
        })
    })
}

type Refusal = (Span, String, String);

fn refuse(span: Span, message: impl Into<String>, help: &str) -> Refusal {
    (span, message.into(), help.to_owned())
}

struct Reader {
    file: FileId,
    family: Family,
    reading: Reading,
    /// The chains of the current table, by name.
    chains: FxHashMap<Arc<str>, usize>,
    /// The current table.
    current: Option<usize>,
    /// Whether the lines belong to a table that is not known.
    skipping: bool,
    /// The chain of the rule before: rules of one chain stand together.
    last: Option<usize>,
}

impl Reader {
    fn line<'t>(&mut self, start: usize, line: &'t str, words: &mut Vec<Word<'t>>) -> Result<(), Refusal> {
        let line_span = Span::new(0, line.len());
        let Some(first) = line.bytes().find(|byte| !byte.is_ascii_whitespace()) else { return Ok(()) };
        if first == b'#' {
            return Ok(());
        }
        if first == b'*' {
            return self.table(line, line_span);
        }
        if line.trim() == "COMMIT" {
            self.current = None;
            self.skipping = false;
            return Ok(());
        }
        if self.skipping {
            return Ok(());
        }
        let known = matches!(first, b':' | b'-' | b'[');
        if !known {
            let message = format!("`{}` is no line of a rule set as iptables-save writes it", quoted(line.trim()));
            return Err(refuse(line_span, message, "lines begin with `*TABLE`, `:CHAIN`, `-A CHAIN` or `COMMIT`"));
        }
        let Some(table) = self.current else {
            return Err(refuse(
                line_span,
                "this line stands outside of a table",
                "begin the table with a line such as `*filter`",
            ));
        };
        scan::words(line, words)
            .map_err(|span| refuse(span, "this quotation mark is never closed", "close it on the same line"))?;
        if first == b':' {
            return self.declare(table, words, line_span);
        }
        self.command(table, start, line, words, line_span)
    }

    fn table(&mut self, line: &str, span: Span) -> Result<(), Refusal> {
        let name = line.trim().trim_start_matches('*').trim();
        self.last = None;
        self.chains.clear();
        let Some(kind) = TableKind::ALL.into_iter().find(|kind| kind.name() == name) else {
            self.current = None;
            self.skipping = true;
            let message = format!("iptables has no table `{}`", quoted(name));
            return Err(refuse(span, message, "the tables are raw, mangle, nat, filter and security"));
        };
        self.skipping = false;
        let family = if self.family == Family::Ipv4 { TableFamily::Ipv4 } else { TableFamily::Ipv6 };
        let tables = &mut self.reading.ruleset.tables;
        let at = tables.iter().position(|table| table.kind == kind);
        let at = at.unwrap_or_else(|| {
            tables.push(Table { family, kind, name: name.to_owned(), sets: Vec::new(), chains: Vec::new() });
            tables.len() - 1
        });
        if let Some(table) = tables.get(at) {
            self.chains.extend(table.chains.iter().enumerate().map(|(at, chain)| (chain.name.clone(), at)));
        }
        self.current = Some(at);
        Ok(())
    }

    /// The chain of this name, made if absent: a file for `--noflush` may add to chains that it does not declare.
    fn chain(&mut self, table: usize, name: &str) -> Option<usize> {
        let table = self.reading.ruleset.tables.get_mut(table)?;
        if let Some(at) = self.last
            && table.chains.get(at).is_some_and(|chain| &*chain.name == name)
        {
            return Some(at);
        }
        let at = match self.chains.get(name) {
            Some(at) => *at,
            None => {
                let name: Arc<str> = Arc::from(name);
                let base = built_in(table.kind, &name);
                let owner = if base.is_some() { Owner::Kernel } else { owner(&name) };
                table.chains.push(Chain { name: name.clone(), owner, base, rules: Vec::new() });
                self.chains.insert(name, table.chains.len() - 1);
                table.chains.len() - 1
            }
        };
        self.last = Some(at);
        Some(at)
    }

    fn chain_mut(&mut self, table: usize, name: &str) -> Option<&mut Chain> {
        let at = self.chain(table, name)?;
        self.reading.ruleset.tables.get_mut(table)?.chains.get_mut(at)
    }

    /// `:INPUT DROP [12:34]`; `:mine - [0:0]`, which also empties the chain.
    fn declare(&mut self, table: usize, words: &[Word], span: Span) -> Result<(), Refusal> {
        let name = words.first().and_then(|word| word.text.strip_prefix(':')).unwrap_or_default();
        let name = if name.is_empty() { words.get(1).map_or("", |word| word.text) } else { name };
        if name.is_empty() {
            return Err(refuse(span, "a chain is declared without a name", "write `:NAME - [0:0]`"));
        }
        let policy = words.iter().skip(1).find(|word| matches!(word.text, "ACCEPT" | "DROP" | "-"));
        let accept = policy.is_none_or(|word| word.text != "DROP");
        if let Some(chain) = self.chain_mut(table, name) {
            match &mut chain.base {
                // The restore programs set the policy of a built-in chain and leave its rules.
                Some(base) => base.accept = accept,
                None => chain.rules.clear(),
            }
        }
        Ok(())
    }

    fn command<'t>(
        &mut self,
        table: usize,
        start: usize,
        line: &'t str,
        words: &[Word<'t>],
        line_span: Span,
    ) -> Result<(), Refusal> {
        let mut rest = words;
        // `[12:3456]`, the counters of `iptables-save -c`.
        if let [first, after @ ..] = rest
            && first.text.starts_with('[')
        {
            rest = after;
        }
        let Some((command, rest)) = rest.split_first() else {
            return Err(refuse(
                line_span,
                "counters stand without a rule",
                "write the rule behind them: `[0:0] -A CHAIN …`",
            ));
        };
        let Some((name, rest)) = rest.split_first() else {
            let message = format!("`{}` stands without a chain", quoted(command.text));
            return Err(refuse(line_span, message, "name the chain behind it"));
        };
        match command.text {
            "-A" | "--append" | "-I" | "--insert" => {
                let insert = command.text.starts_with("-I") || command.text == "--insert";
                let number =
                    rest.first().filter(|word| insert && !word.quoted).and_then(|word| address::number(word.text));
                let rest = if number.is_some() { rest.get(1..).unwrap_or_default() } else { rest };
                let at = self.chain(table, name.text);
                let mut rule = read_rule(line, rest, self.family, &self.chains)?;
                rule.origin = Some(Location { file: self.file, span: Span::new(start, start + line.len()) });
                let chain = at.and_then(|at| self.reading.ruleset.tables.get_mut(table)?.chains.get_mut(at));
                if let Some(chain) = chain {
                    let place = (number.unwrap_or(1) as usize).saturating_sub(1).min(chain.rules.len());
                    if insert { chain.rules.insert(place, rule) } else { chain.rules.push(rule) }
                }
            }
            "-N" | "--new-chain" => {
                self.chain(table, name.text);
            }
            "-F" | "--flush" => {
                if let Some(chain) = self.chain_mut(table, name.text) {
                    chain.rules.clear();
                }
            }
            "-P" | "--policy" => {
                let drop = rest.first().is_some_and(|word| word.text == "DROP");
                if let Some(base) = self.chain_mut(table, name.text).and_then(|chain| chain.base.as_mut()) {
                    base.accept = !drop;
                }
            }
            other => {
                let message = format!("`{}` is a command that is not read", quoted(other));
                let span = Span::new(command.start, command.end);
                return Err(refuse(
                    span,
                    message,
                    "a rule set has `-A`, `-I`, `-N`, `-P` and `-F`; list it with iptables-save",
                ));
            }
        }
        Ok(())
    }
}

/// The place of a built-in chain, with the priorities of iptables (`NF_IP_PRI_*`).
fn built_in(kind: TableKind, name: &str) -> Option<Base> {
    use Hook::{Forward, Input, Output, Postrouting, Prerouting};
    let hook = [Prerouting, Input, Forward, Output, Postrouting].into_iter().find(|hook| hook.chain() == name)?;
    let there = match kind {
        TableKind::Raw => matches!(hook, Prerouting | Output),
        TableKind::Mangle => true,
        TableKind::Nat => hook != Forward,
        TableKind::Filter | TableKind::Security => matches!(hook, Input | Forward | Output),
    };
    let priority = match (kind, hook) {
        (TableKind::Raw, _) => -300,
        (TableKind::Mangle, _) => -150,
        (TableKind::Nat, Input | Postrouting) => 100,
        (TableKind::Nat, _) => -100,
        (TableKind::Filter, _) => 0,
        (TableKind::Security, _) => 50,
    };
    there.then_some(Base { kind, hook, priority, accept: true })
}

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

fn read_rule(line: &str, words: &[Word], family: Family, chains: &FxHashMap<Arc<str>, usize>) -> Result<Rule, Refusal> {
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
                address::protocol(name).map(|protocol| MatchKind::Protocol(vec![protocol]))
            }
            ("-s" | "--source" | "--src", Some(text)) => self.addresses(text).map(MatchKind::Source),
            ("-d" | "--destination" | "--dst", Some(text)) => self.addresses(text).map(MatchKind::Destination),
            ("-i" | "--in-interface", Some(name)) => Some(MatchKind::InInterface(vec![card(name)])),
            ("-o" | "--out-interface", Some(name)) => Some(MatchKind::OutInterface(vec![card(name)])),
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

    /// A match module with its options. Some modules' options hold apart from one another; of the others, all are modelled or the
    /// whole module is kept by its text.
    fn module(&mut self, name: &'t str, start: usize, end: usize) {
        let options = std::mem::take(&mut self.options);
        let before = self.rule.matches.len();
        let whole = match name {
            "comment" => {
                for option in &options {
                    if let (false, "--comment", [value]) = (option.negated, option.name, option.values) {
                        self.remark(&value.value());
                    } else {
                        self.unknown(option.start, option.end);
                    }
                }
                true
            }
            // Of a packet without a connection the states alone are asked, whatever stands beside them (`conntrack_mt`).
            "conntrack" if options.len() > 1 && options.iter().any(holds_unconnected) => false,
            "tcp" | "udp" | "sctp" | "dccp" | "udplite" | "icmp" | "icmp6" | "conntrack" | "state" | "physdev"
            | "iprange" | "mark" | "mac" | "owner" => {
                for option in &options {
                    match self.one(name, option) {
                        Some(kind) => {
                            let flips =
                                name == "conntrack" && option.name == "--ctdir" && option.value() == Some("REPLY");
                            self.push(option.negated != flips, kind);
                        }
                        None if self.holds_always(name, option) => {}
                        None => {
                            let text =
                                format!("-m {name} {}", self.line.get(option.start..option.end).unwrap_or_default());
                            self.push(false, MatchKind::Unknown(text.into()));
                        }
                    }
                }
                true
            }
            "multiport" | "addrtype" => match options.as_slice() {
                [option] => match self.one(name, option) {
                    Some(kind) => {
                        self.push(option.negated, kind);
                        true
                    }
                    None => false,
                },
                [first, second] if name == "addrtype" && first.name != second.name => {
                    match (self.one(name, first), self.one(name, second)) {
                        (Some(one), Some(other)) => {
                            self.push(first.negated, one);
                            self.push(second.negated, other);
                            true
                        }
                        _ => false,
                    }
                }
                _ => false,
            },
            "limit" => self.limit(&options).is_some(),
            "hashlimit" => self.hashlimit(&options).is_some(),
            "connlimit" => self.connlimit(&options).is_some(),
            "time" => self.time(&options).is_some(),
            _ => false,
        };
        if !whole {
            self.rule.matches.truncate(before);
            self.unknown(start, end);
        }
        self.options = options;
    }

    fn remark(&mut self, text: &str) {
        self.rule.comment = Some(match &self.rule.comment {
            Some(before) => Arc::from(format!("{before} {text}")),
            None => Arc::from(text),
        });
    }

    /// Options that every packet of the rule fulfils.
    fn holds_always(&self, module: &str, option: &Opt) -> bool {
        let any_type = matches!((module, option.name), ("icmp", "--icmp-type") | ("icmp6", "--icmpv6-type"));
        any_type && !option.negated && matches!(option.value(), Some("any" | "255"))
    }

    /// A match that one option says.
    fn one(&self, module: &str, option: &Opt) -> Option<MatchKind> {
        let value = option.value();
        Some(match (module, option.name) {
            ("tcp" | "udp" | "sctp" | "dccp" | "udplite", "--dport" | "--destination-port") => {
                MatchKind::DestinationPort(PortSet::new([address::ports(value?, ':')?]))
            }
            ("tcp" | "udp" | "sctp" | "dccp" | "udplite", "--sport" | "--source-port") => {
                MatchKind::SourcePort(PortSet::new([address::ports(value?, ':')?]))
            }
            ("multiport", "--dports" | "--destination-ports") => MatchKind::DestinationPort(port_list(value?)?),
            ("multiport", "--sports" | "--source-ports") => MatchKind::SourcePort(port_list(value?)?),
            ("tcp", "--syn") if option.values.is_empty() => MatchKind::TcpFlags { mask: 0x17, set: 0x02 },
            ("tcp", "--tcp-flags") => match option.values {
                [mask, set] => MatchKind::TcpFlags { mask: tcp_flags(mask.text)?, set: tcp_flags(set.text)? },
                _ => return None,
            },
            ("icmp", "--icmp-type") if self.family == Family::Ipv4 && value != Some("any") && value != Some("255") => {
                MatchKind::IcmpType(names::icmp::lookup(Family::Ipv4, value?)?)
            }
            ("icmp6", "--icmpv6-type") if self.family == Family::Ipv6 && value != Some("any") => {
                MatchKind::IcmpType(names::icmp::lookup(Family::Ipv6, value?)?)
            }
            ("conntrack", "--ctstate") => match value? {
                "DNAT" => MatchKind::DestinationTranslated,
                "SNAT" => MatchKind::SourceTranslated,
                list => MatchKind::State(states(list)?),
            },
            ("state", "--state") => MatchKind::State(states(value?)?),
            ("conntrack", "--ctdir") if matches!(value, Some("ORIGINAL" | "REPLY")) && !option.negated => {
                MatchKind::DirectionOriginal
            }
            ("conntrack", "--ctorigsrc") => MatchKind::OriginalSource(self.addresses(value?)?),
            ("conntrack", "--ctorigdst") => MatchKind::OriginalDestination(self.addresses(value?)?),
            ("conntrack", "--ctorigdstport") => {
                MatchKind::OriginalDestinationPort(PortSet::new([address::ports(value?, ':')?]))
            }
            ("addrtype", "--dst-type") => match value? {
                "LOCAL" => MatchKind::DestinationLocal,
                "MULTICAST" => MatchKind::DestinationMulticast,
                "BROADCAST" => MatchKind::DestinationBroadcast,
                _ => return None,
            },
            ("addrtype", "--src-type") if value? == "LOCAL" => MatchKind::SourceLocal,
            ("physdev", "--physdev-in") => MatchKind::InPort(vec![card(value?)]),
            ("physdev", "--physdev-out") => MatchKind::OutPort(vec![card(value?)]),
            ("physdev", "--physdev-is-bridged") if option.values.is_empty() => MatchKind::Bridged,
            ("iprange", "--src-range") => MatchKind::Source(self.addresses(value?)?),
            ("iprange", "--dst-range") => MatchKind::Destination(self.addresses(value?)?),
            ("mark", "--mark") => {
                let (value, mask) = masked(value?)?;
                MatchKind::Mark { value, mask }
            }
            ("mac", "--mac-source") => MatchKind::SourceMac(vec![value?.parse().ok()?]),
            ("owner", "--uid-owner") if !value?.contains('-') || address::number(value?).is_some() => {
                MatchKind::User(value?.to_owned())
            }
            _ => return None,
        })
    }

    fn limit(&mut self, options: &[Opt]) -> Option<()> {
        // xt_limit's own burst, which the listing leaves out.
        let mut limit = Limit { count: 3, seconds: 3600, burst: 5, source_prefix: None, name: Arc::from("") };
        for option in options {
            match (option.name, option.negated) {
                ("--limit", false) => (limit.count, limit.seconds) = rate(option.value()?)?,
                ("--limit-burst", false) => limit.burst = address::number(option.value()?)?,
                _ => return None,
            }
        }
        self.push(false, MatchKind::Limit(limit));
        Some(())
    }

    /// Modelled: packets by source. What the hash table's own parameters say concerns its memory.
    fn hashlimit(&mut self, options: &[Opt]) -> Option<()> {
        let whole = if self.family == Family::Ipv4 { 32 } else { 128 };
        let mut limit = Limit { count: 0, seconds: 1, burst: 5, source_prefix: None, name: Arc::from("") };
        let mut prefix = whole;
        let mut above = false;
        for option in options.iter().filter(|option| !option.name.starts_with("--hashlimit-htable-")) {
            let value = option.value()?;
            match (option.name, option.negated) {
                ("--hashlimit-upto" | "--hashlimit", false) | ("--hashlimit-above", true) => {
                    (limit.count, limit.seconds) = rate(value)?;
                }
                ("--hashlimit-above", false) | ("--hashlimit-upto", true) => {
                    (limit.count, limit.seconds) = rate(value)?;
                    above = true;
                }
                ("--hashlimit-burst", false) => limit.burst = address::number(value)?,
                ("--hashlimit-mode", false) if value == "srcip" => limit.source_prefix = Some(whole),
                ("--hashlimit-srcmask", false) => prefix = value.parse().ok().filter(|prefix| *prefix <= whole)?,
                ("--hashlimit-name", false) => limit.name = Arc::from(value),
                _ => return None,
            }
        }
        limit.source_prefix = Some(limit.source_prefix.map(|_| prefix)?);
        (limit.count > 0).then(|| self.push(above, MatchKind::Limit(limit)))
    }

    fn connlimit(&mut self, options: &[Opt]) -> Option<()> {
        let mut found = None;
        let mut source_prefix = if self.family == Family::Ipv4 { 32 } else { 128 };
        for option in options {
            match option.name {
                "--connlimit-above" | "--connlimit-upto" => {
                    let over = (option.name == "--connlimit-above") != option.negated;
                    found = Some((over, address::number(option.value()?)?));
                }
                "--connlimit-mask" if !option.negated => {
                    source_prefix = option.value()?.parse().ok().filter(|prefix| *prefix <= source_prefix)?;
                }
                "--connlimit-saddr" if !option.negated && option.values.is_empty() => {}
                _ => return None,
            }
        }
        let (over, count) = found?;
        self.push(!over, MatchKind::ConnectionsAbove { count, source_prefix, name: Arc::from("") });
        Some(())
    }

    /// Modelled in the kernel's local time alone, and by the minute.
    fn time(&mut self, options: &[Opt]) -> Option<()> {
        let (mut from, mut to, mut days, mut local) = (None, None, 0x7f, false);
        for option in options {
            match (option.name, option.negated) {
                ("--timestart", false) => from = Some(clock(option.value()?)?),
                ("--timestop", false) => to = Some(clock(option.value()?)?),
                ("--kerneltz", false) => local = true,
                // The ends of time, which iptables-nft lists where none was asked for.
                ("--datestart", false) if option.value()? == "1970-01-01T00:00:00" => {}
                ("--datestop", false) if option.value()? == "2038-01-19T03:14:07" => {}
                ("--weekdays", negated) => {
                    days = 0;
                    for day in option.value()?.split(',') {
                        days |= 1
                            << ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
                                .iter()
                                .position(|name| *name == day)?;
                    }
                    days = if negated { !days & 0x7f } else { days };
                }
                _ => return None,
            }
        }
        let times = match (from, to) {
            (None, None) => None,
            (from, to) => Some((from.unwrap_or(0), to.unwrap_or(24 * 60))),
        };
        local.then(|| self.push(false, MatchKind::Time { days, times }))
    }

    fn target(&mut self, name: &'t str, goto: bool, start: usize, end: usize) {
        let options = std::mem::take(&mut self.options);
        let declared = self.chains.get_key_value(name).map(|(name, _)| name.clone());
        let chain = |name: &str| declared.clone().unwrap_or_else(|| Arc::from(name));
        let text = self.text(start, end);
        if goto {
            self.rule.verdict =
                Some(if options.is_empty() { Verdict::Goto(chain(name)) } else { Verdict::Unknown(text) });
        } else if declared.is_some() && options.is_empty() {
            self.rule.verdict = Some(Verdict::Jump(chain(name)));
        } else {
            match self.extension(name, &options) {
                Some(Action::Decides(verdict, detail)) => {
                    self.rule.effects.extend(detail.map(Effect::Unknown));
                    self.rule.verdict = Some(verdict);
                }
                Some(Action::Does(effects)) => self.rule.effects = effects,
                None if NEVER_DECIDES.contains(&name) => self.rule.effects.push(Effect::Unknown(text)),
                None if options.is_empty() && !DECIDES.contains(&name) => {
                    self.rule.verdict = Some(Verdict::Jump(chain(name)));
                }
                None => self.rule.verdict = Some(Verdict::Unknown(text)),
            }
        }
        self.options = options;
    }

    fn extension(&self, name: &str, options: &[Opt]) -> Option<Action> {
        use Action::{Decides, Does};
        let only = || match options {
            [one] if !one.negated => Some((one.name, one.value().unwrap_or_default())),
            _ => None,
        };
        let decides = |verdict| options.is_empty().then_some(Decides(verdict, None));
        match name {
            "ACCEPT" => decides(Verdict::Accept),
            "DROP" => decides(Verdict::Drop),
            "RETURN" => decides(Verdict::Return),
            "REJECT" if options.is_empty() => Some(Decides(Verdict::Reject(Reject::PortUnreachable), None)),
            "REJECT" => match only()? {
                ("--reject-with", how) => Some(Decides(Verdict::Reject(names::reject::lookup(how)?), None)),
                _ => None,
            },
            "LOG" => self.log(options),
            "NOTRACK" if options.is_empty() => Some(Does(vec![Effect::Notrack])),
            "CT" => Some(Does(vec![match only()? {
                ("--notrack", "") => Effect::Notrack,
                ("--helper", helper) if !helper.is_empty() => Effect::Helper(Arc::from(helper)),
                _ => return None,
            }])),
            "MARK" => {
                let (option, text) = only()?;
                let (value, mask) = masked(text)?;
                let bare = !text.contains('/');
                Some(Does(vec![match option {
                    "--set-xmark" => Effect::SetMark { value, mask },
                    "--set-mark" => Effect::SetMark { value, mask: mask | value },
                    "--and-mark" if bare => Effect::SetMark { value: 0, mask: !value },
                    "--or-mark" if bare => Effect::SetMark { value, mask: value },
                    "--xor-mark" if bare => Effect::SetMark { value, mask: 0 },
                    _ => return None,
                }]))
            }
            "DSCP" => Some(Does(vec![match only()? {
                ("--set-dscp", value) => {
                    Effect::SetDscp(u8::try_from(address::number(value)?).ok().filter(|value| *value < 64)?)
                }
                ("--set-dscp-class", class) => Effect::SetDscp(names::dscp::lookup(class)?),
                _ => return None,
            }])),
            "TCPMSS" => (only()? == ("--clamp-mss-to-pmtu", "")).then(|| Does(vec![Effect::ClampMss])),
            "MASQUERADE" => Some(Decides(Verdict::Masquerade, self.rest(options, ""))),
            "REDIRECT" => {
                let port = address::port(plain(options, "--to-ports")?)?;
                Some(Decides(Verdict::Redirect(port), self.rest(options, "--to-ports")))
            }
            "SNAT" => {
                let to: std::net::IpAddr = plain(options, "--to-source")?.parse().ok()?;
                (Family::of(to) == self.family).then(|| Decides(Verdict::Snat(to), self.rest(options, "--to-source")))
            }
            "DNAT" => {
                let (address, port) = socket(plain(options, "--to-destination")?)?;
                (Family::of(address) == self.family)
                    .then(|| Decides(Verdict::Dnat { address, port }, self.rest(options, "--to-destination")))
            }
            _ => None,
        }
    }

    /// The text of all options but one: what is not modelled of a target that is.
    fn rest(&self, options: &[Opt], but: &str) -> Option<Arc<str>> {
        let mut out = String::new();
        for option in options.iter().filter(|option| option.name != but) {
            if !out.is_empty() {
                out.push(' ');
            }
            out.push_str(self.line.get(option.start..option.end).unwrap_or_default());
        }
        (!out.is_empty()).then(|| Arc::from(out))
    }

    /// What else a line of the log shows is kept beside it.
    fn log(&self, options: &[Opt]) -> Option<Action> {
        let (mut prefix, mut level) = (Arc::from(""), 4);
        let mut shows = String::new();
        for option in options {
            match (option.name, option.values) {
                ("--log-prefix", [text]) => prefix = Arc::from(&*text.value()),
                ("--log-level", [text]) => level = names::syslog::lookup(text.text)?,
                _ => {
                    shows.push_str(if shows.is_empty() { "" } else { " " });
                    shows.push_str(self.line.get(option.start..option.end).unwrap_or_default());
                }
            }
        }
        let mut effects = vec![Effect::Log { prefix, level }];
        if !shows.is_empty() {
            effects.push(Effect::Unknown(shows.into()));
        }
        Some(Action::Does(effects))
    }
}

enum Action {
    /// A verdict, and what is not modelled of it.
    Decides(Verdict, Option<Arc<str>>),
    Does(Vec<Effect>),
}

/// Targets behind which the next rule is considered (`XT_CONTINUE` in their kernel modules).
const NEVER_DECIDES: &[&str] = &[
    "AUDIT",
    "CHECKSUM",
    "CLASSIFY",
    "CONNMARK",
    "CONNSECMARK",
    "CT",
    "DNPT",
    "DSCP",
    "ECN",
    "HL",
    "HMARK",
    "IDLETIMER",
    "LED",
    "LOG",
    "MARK",
    "NFLOG",
    "NOTRACK",
    "RATEEST",
    "SECMARK",
    "SET",
    "SNPT",
    "TCPMSS",
    "TCPOPTSTRIP",
    "TEE",
    "TOS",
    "TRACE",
    "TTL",
    "ULOG",
];

/// Targets that may decide and take no option: their names are no chains.
const DECIDES: &[&str] = &[
    "ACCEPT",
    "CLUSTERIP",
    "DNAT",
    "DROP",
    "MASQUERADE",
    "NETMAP",
    "NFQUEUE",
    "QUEUE",
    "REDIRECT",
    "REJECT",
    "RETURN",
    "SNAT",
    "SYNPROXY",
    "TPROXY",
];

/// The value of the one option of this name.
fn plain<'t>(options: &[Opt<'_, 't>], name: &str) -> Option<&'t str> {
    let mut found = options.iter().filter(|option| option.name == name);
    let one = found.next().filter(|option| !option.negated)?;
    if found.next().is_some() { None } else { one.value() }
}

/// `10.0.0.1`, `10.0.0.1:80`, `2001:db8::1`, `[2001:db8::1]:80`.
pub(super) fn socket(text: &str) -> Option<(std::net::IpAddr, Option<u16>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, after) = rest.split_once(']')?;
        let address: std::net::Ipv6Addr = address.parse().ok()?;
        return match after.strip_prefix(':') {
            Some(port) => Some((address.into(), Some(address::port(port)?))),
            None => after.is_empty().then_some((address.into(), None)),
        };
    }
    if let Ok(address) = text.parse() {
        return Some((address, None));
    }
    let (address, port) = text.rsplit_once(':')?;
    let address: std::net::Ipv4Addr = address.parse().ok()?;
    Some((address.into(), Some(address::port(port)?)))
}

/// `eth0`, or `br-+` for every name that begins so.
fn card(name: &str) -> Card {
    match name.strip_suffix('+') {
        Some(name) => Card { name: name.to_owned(), prefix: true },
        None => Card::exact(name),
    }
}

fn port_list(text: &str) -> Option<PortSet> {
    text.split(',').map(|part| address::ports(part, ':')).collect()
}

fn tcp_flags(text: &str) -> Option<u8> {
    match text {
        "ALL" => return Some(0x3f),
        "NONE" => return Some(0),
        _ => {}
    }
    text.split(',').try_fold(0, |bits, name| {
        ["FIN", "SYN", "RST", "PSH", "ACK", "URG"].iter().position(|known| *known == name).map(|at| bits | 1 << at)
    })
}

/// Whether a match on connections has a test of states that may hold for a packet without a connection.
fn holds_unconnected(option: &Opt) -> bool {
    let unconnected = |name: &str| matches!(name, "INVALID" | "UNTRACKED");
    let named = option.value().map_or(0, |list| list.split(',').filter(|name| unconnected(name)).count());
    option.name == "--ctstate" && if option.negated { named < 2 } else { named > 0 }
}

fn states(text: &str) -> Option<u8> {
    text.split(',').try_fold(0, |bits, name| {
        Some(
            bits | match name {
                "NEW" => State::NEW,
                "ESTABLISHED" => State::ESTABLISHED,
                "RELATED" => State::RELATED,
                "INVALID" => State::INVALID,
                "UNTRACKED" => State::UNTRACKED,
                _ => return None,
            },
        )
    })
}

/// `0x1/0xff`; without a mask, all bits count.
fn masked(text: &str) -> Option<(u32, u32)> {
    match text.split_once('/') {
        Some((value, mask)) => Some((address::number(value)?, address::number(mask)?)),
        None => Some((address::number(text)?, u32::MAX)),
    }
}

/// `10/min`, as the listing writes it, or `10/minute`.
fn rate(text: &str) -> Option<(u32, u32)> {
    let (count, unit) = text.split_once('/').unwrap_or((text, "second"));
    let seconds = match unit {
        "s" | "sec" | "second" => 1,
        "m" | "min" | "minute" => 60,
        "h" | "hour" => 3600,
        "d" | "day" => 86_400,
        _ => return None,
    };
    Some((address::number(count)?, seconds))
}

/// Minutes from `08:00` or `08:00:00`; the last second of the day is its end.
fn clock(text: &str) -> Option<u16> {
    if text == "23:59:59" {
        return Some(24 * 60);
    }
    let mut parts = text.split(':');
    let (hour, minute) = (address::port(parts.next()?)?, address::port(parts.next()?)?);
    let whole = parts.next().is_none_or(|second| second == "00") && parts.next().is_none();
    (whole && hour < 24 && minute < 60).then_some(hour * 60 + minute)
}
