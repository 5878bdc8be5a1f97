//! `iptables-save` and `ip6tables-save`, and what the restore programs take: `:CHAIN`, `-A`, `-I`, `-N`, `-P`, `-F`.

mod rule;

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use rule::read_rule;

use super::missing::missing;
use super::scan::{self, Word};
use super::{ChainName, Fault, FaultKind, Reading, address, owner, quoted};
use crate::net::Family;
use crate::netfilter::{Base, Chain, Hook, Owner, Rule, Table, TableFamily, TableKind, Verdict};
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
        whole: FxHashSet::default(),
    };
    let mut words = Vec::new();
    for (start, line) in scan::lines(text) {
        if let Err((span, message, help)) = reader.line(start, line, &mut words) {
            let span = Span::new(start + span.start as usize, start + span.end as usize);
            reader.reading.faults.push(Fault::new(FaultKind::Broken, file, span, message, help));
        }
    }
    let Reader { mut reading, whole, .. } = reader;
    for (number, table) in reading.ruleset.tables.iter().enumerate() {
        reading.faults.extend(missing(file, text, table, whole.contains(&number), rule::TARGETS));
    }
    reading.faults.sort_by_key(|fault| fault.span.start);
    reading
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
    /// Tables whose built-in chains the text declares, as a list of the whole table does.
    whole: FxHashSet<usize>,
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
        if !known && self.current.is_none() {
            self.pass_over(start, line);
            return Ok(());
        }
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

    /// Text around the tables: a shell prompt, a sentence. Lines in a row are one.
    fn pass_over(&mut self, start: usize, line: &str) {
        let end = start + line.len();
        match self.reading.faults.last_mut() {
            Some(last) if last.kind == FaultKind::Passed && last.span.end as usize + 2 >= start => {
                last.span = Span::new(last.span.start as usize, end);
            }
            _ => {
                let (message, help) =
                    ("this text belongs to no table and is passed over", "take it out before the file is loaded");
                self.reading.faults.push(Fault::new(
                    FaultKind::Passed,
                    self.file,
                    Span::new(start, end),
                    message,
                    help,
                ));
            }
        }
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

    /// Notes that a chain of the user's own has nothing of what others put into it before.
    fn empties(&mut self, table: usize, name: &str) {
        if let Some(table) = self.reading.ruleset.tables.get(table)
            && built_in(table.kind, name).is_none()
        {
            let name = ChainName { family: table.family, table: table.name.clone(), chain: Arc::from(name) };
            self.reading.emptied.insert(name);
        }
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
        self.empties(table, name);
        if let Some(chain) = self.chain_mut(table, name) {
            match &mut chain.base {
                // The restore programs set the policy of a built-in chain and leave its rules.
                Some(base) => {
                    base.accept = accept;
                    self.whole.insert(table);
                }
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
                let read = read_rule(line, rest, self.family, &self.chains);
                let (mut rule, refusal) = match read {
                    Ok(rule) => (rule, None),
                    // It may have said anything.
                    Err(refusal) => {
                        (Rule { verdict: Some(Verdict::Unknown(Arc::from(line))), ..Rule::default() }, Some(refusal))
                    }
                };
                rule.origin = Some(Location { file: self.file, span: Span::new(start, start + line.len()) });
                let chain = at.and_then(|at| self.reading.ruleset.tables.get_mut(table)?.chains.get_mut(at));
                if let Some(chain) = chain {
                    let place = (number.unwrap_or(1) as usize).saturating_sub(1).min(chain.rules.len());
                    if insert { chain.rules.insert(place, rule) } else { chain.rules.push(rule) }
                }
                return refusal.map_or(Ok(()), Err);
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
