//! `iptables-save` and `ip6tables-save`, and what the restore programs take: `:CHAIN`, `-A`, `-I`, `-N`, `-P`, `-F`.

mod rule;

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use rule::read_rule;

use super::missing::missing;
use super::scan::{self, Word};
use super::shell;
use super::{ChainName, Change, ChangeKind, Fault, FaultKind, Reading, address, owner, quoted};
use crate::names::closest;
use crate::net::Family;
use crate::netfilter::{Base, Chain, Hook, Match, MatchKind, Owner, Rule, Table, TableFamily, TableKind, Verdict};
use crate::span::{FileId, Location, Span};

/// Reads a text of `iptables-save` (or `ip6tables-save`, as `family` says), or one that the restore programs take.
#[must_use]
pub fn iptables(file: FileId, text: &str, family: Family) -> Reading {
    let mut reader = Reader::new(file, family);
    reader.listed = listed(text);
    if let Some(kind) = reader.listed {
        let end = text.lines().next().map_or(0, str::len);
        let message = format!("this list names no table: it is read as the table {}", kind.name());
        let help = "`iptables-save` lists all tables, in the form that can be loaded";
        reader.reading.faults.push(Fault::new(FaultKind::Passed, file, Span::new(0, end), message, help));
    }
    let mut words = Vec::new();
    let bom = text.starts_with(BOM);
    if bom {
        let (message, help) =
            ("the text begins with a byte order mark", "save it as plain UTF-8: iptables-restore refuses the mark");
        reader.reading.faults.push(Fault::new(
            FaultKind::Unloadable,
            file,
            Span::new(0, BOM.len_utf8()),
            message,
            help,
        ));
    }
    if let Some(at) = text.find("\r\n") {
        let (message, help) = (
            "the lines end with a carriage return",
            "save the text with line ends of Unix: iptables-restore refuses these",
        );
        reader.reading.faults.push(Fault::new(FaultKind::Unloadable, file, Span::new(at, at + 1), message, help));
    }
    for (start, line) in scan::lines(text) {
        let (start, line) = line.strip_prefix(BOM).map_or((start, line), |rest| (start + BOM.len_utf8(), rest));
        if let Err(refusal) = reader.line(start, line, &mut words) {
            reader.fault(start, refusal);
        }
    }
    reader.uncommitted();
    let mut reading = reader.finish(text);
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
    // It may be meant for any chain.
    let rules = read_rule(line, &words, family, None, &FxHashMap::default()).map_err(|refusal| refusal.span)?;
    match rules.as_slice() {
        [one] => Ok(one.clone()),
        _ => Ok(Rule { verdict: Some(Verdict::Unknown(Arc::from(line))), ..Rule::default() }),
    }
}

const BOM: char = '\u{feff}';

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

/// Why a line is none that the tool takes.
pub(super) struct Refusal {
    pub kind: FaultKind,
    /// What of the line is wrong.
    pub span: Span,
    pub message: String,
    pub help: String,
    /// What to write there instead.
    pub replacement: Option<String>,
}

/// A refusal of something that the tool refuses, too.
pub(super) fn refuse(span: Span, message: impl Into<String>, help: &str) -> Refusal {
    Refusal { kind: FaultKind::Refused, span, message: message.into(), help: help.to_owned(), replacement: None }
}

/// Follows commands of iptables: what its tables hold after them.
pub(super) struct Reader {
    file: FileId,
    family: Family,
    pub reading: Reading,
    /// The chains of the current table, by name.
    chains: FxHashMap<Arc<str>, usize>,
    /// The current table, and where its lines begin.
    current: Option<(usize, Span)>,
    /// Whether the lines belong to a table that is not known.
    skipping: bool,
    /// The chain of the rule before: rules of one chain stand together.
    last: Option<usize>,
    /// Tables whose built-in chains the text declares, as a list of the whole table does.
    whole: FxHashSet<usize>,
    /// Chains that rules are put into and no line makes, each at the first of them.
    unmade: FxHashMap<(usize, Arc<str>), Span>,
    /// Whether the current table is a list of `iptables -S`: policies by `-P`, and no lines that begin with a colon.
    lists: bool,
    /// What has to hold for the rules that are put in now, where that is not known.
    pub condition: Option<Arc<str>>,
    /// The table that lines outside of a table are for: a list of `iptables -S` has no others.
    listed: Option<TableKind>,
}

impl Reader {
    pub fn new(file: FileId, family: Family) -> Self {
        Self {
            file,
            family,
            reading: Reading::default(),
            chains: FxHashMap::default(),
            current: None,
            skipping: false,
            last: None,
            whole: FxHashSet::default(),
            unmade: FxHashMap::default(),
            lists: false,
            condition: None,
            listed: None,
        }
    }

    /// The table of this kind becomes the current one.
    pub fn enter(&mut self, kind: TableKind, span: Span) {
        self.lists = false;
        let same = |table: &Table| table.kind == kind;
        if self.current.is_some_and(|(at, _)| self.reading.ruleset.tables.get(at).is_some_and(same)) {
            return;
        }
        self.last = None;
        self.chains.clear();
        self.skipping = false;
        let family = if self.family == Family::Ipv4 { TableFamily::Ipv4 } else { TableFamily::Ipv6 };
        let tables = &mut self.reading.ruleset.tables;
        let at = tables.iter().position(same).unwrap_or_else(|| {
            let (sets, chains) = (Vec::new(), Vec::new());
            tables.push(Table { family, kind, name: kind.name().to_owned(), sets, chains });
            tables.len() - 1
        });
        if let Some(table) = tables.get(at) {
            self.chains.extend(table.chains.iter().enumerate().map(|(at, chain)| (chain.name.clone(), at)));
        }
        self.current = Some((at, span));
    }

    /// What was read, with the chains that are missing.
    pub fn finish(self, text: &str) -> Reading {
        let Self { mut reading, whole, file, unmade, .. } = self;
        let mut unmade: Vec<_> = unmade.into_iter().filter(|((table, _), _)| whole.contains(table)).collect();
        unmade.sort_by_key(|(_, span)| span.start);
        for ((number, chain), span) in unmade {
            let Some(table) = reading.ruleset.tables.get(number) else { continue };
            let message = format!("no line makes the chain `{}` of the table {}", quoted(&chain), table.name);
            let others = table.chains.iter().map(|chain| &*chain.name).filter(|name| *name != &*chain);
            let near = closest(&chain, others).map(str::to_owned);
            let help = near
                .as_ref()
                .map_or_else(|| format!("declare it: `:{chain} - [0:0]`"), |near| format!("did you mean `{near}`?"));
            let missing = Some(ChainName { family: table.family, table: table.name.clone(), chain });
            let fault = Fault::new(FaultKind::MissingChain, file, span, message, help);
            reading.faults.push(Fault { replacement: near, missing, ..fault });
        }
        for (number, table) in reading.ruleset.tables.iter().enumerate() {
            reading.faults.extend(missing(file, text, table, whole.contains(&number), rule::TARGETS));
        }
        reading
    }

    fn fault(&mut self, start: usize, refusal: Refusal) {
        let Refusal { kind, span, message, help, replacement } = refusal;
        let span = Span::new(start + span.start as usize, start + span.end as usize);
        self.reading.faults.push(Fault { replacement, ..Fault::new(kind, self.file, span, message, help) });
    }

    fn line<'t>(&mut self, start: usize, line: &'t str, words: &mut Vec<Word<'t>>) -> Result<(), Refusal> {
        let whole = Span::new(0, line.len());
        let Some(first) = line.bytes().find(|byte| !byte.is_ascii_whitespace()) else { return Ok(()) };
        if first == b'#' {
            return Ok(());
        }
        if first == b'*' {
            return self.table(start, line, whole);
        }
        if line.trim() == "COMMIT" {
            if self.current.is_none() && !self.skipping {
                return Err(refuse(
                    whole,
                    "this `COMMIT` belongs to no table",
                    "take it out, or begin the table with a line such as `*filter`",
                ));
            }
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
            return Err(broken(whole, message, "lines begin with `*TABLE`, `:CHAIN`, `-A CHAIN` or `COMMIT`"));
        }
        if self.current.is_none() {
            let Some(listed) = self.listed else {
                return Err(broken(
                    whole,
                    "this line stands outside of a table",
                    "begin the table with a line such as `*filter`",
                ));
            };
            self.enter(listed, Span::default());
        }
        scan::words(line, words)
            .map_err(|span| broken(span, "this quotation mark is never closed", "close it on the same line"))?;
        if first == b':' {
            return self.declare(words, whole);
        }
        self.command(Origin { start, line: whole }, line, words)
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

    fn table(&mut self, start: usize, line: &str, span: Span) -> Result<(), Refusal> {
        let name = line.trim().trim_start_matches('*').split_ascii_whitespace().next().unwrap_or_default();
        self.uncommitted();
        self.current = None;
        let Some(kind) = TableKind::ALL.into_iter().find(|kind| kind.name() == name) else {
            self.skipping = true;
            let message = format!("iptables has no table `{}`", quoted(name));
            let names = TableKind::ALL.map(TableKind::name);
            return Err(match closest(name, names) {
                Some(near) => Refusal {
                    replacement: Some(format!("*{near}")),
                    ..refuse(span, message, &format!("did you mean `{near}`?"))
                },
                None => refuse(span, message, "the tables are raw, mangle, nat, filter and security"),
            });
        };
        self.enter(kind, Span::new(start, start + line.len()));
        Ok(())
    }

    /// Reports the current table if no `COMMIT` ended it.
    fn uncommitted(&mut self) {
        // A list of `iptables -S` under the name of its table has none.
        if let Some((table, span)) = self.current.filter(|(_, span)| span.end > span.start && !self.lists) {
            let name = self.reading.ruleset.tables.get(table).map_or("", |table| &table.name);
            let message = format!("no `COMMIT` ends the table {name}: nothing of it is loaded");
            let help = "write `COMMIT` after its last line";
            self.reading.faults.push(Fault::new(FaultKind::Unloadable, self.file, span, message, help));
        }
    }

    /// The chain of this name, made if absent: a file for `--noflush` may add to chains that it does not declare.
    fn chain(&mut self, name: &str) -> Option<usize> {
        let (table, _) = self.current?;
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

    fn chain_mut(&mut self, name: &str) -> Option<&mut Chain> {
        let at = self.chain(name)?;
        self.current_mut()?.chains.get_mut(at)
    }

    fn current_mut(&mut self) -> Option<&mut Table> {
        let (table, _) = self.current?;
        self.reading.ruleset.tables.get_mut(table)
    }

    fn kind(&self) -> TableKind {
        let table = self.current.and_then(|(table, _)| self.reading.ruleset.tables.get(table));
        table.map_or(TableKind::Filter, |table| table.kind)
    }

    /// Notes that a chain of the user's own has nothing of what others put into it before.
    fn empties(&mut self, name: &str) {
        if built_in(self.kind(), name).is_none()
            && let Some((table, _)) = self.current
            && let Some(table) = self.reading.ruleset.tables.get(table)
        {
            let name = ChainName { family: table.family, table: table.name.clone(), chain: Arc::from(name) };
            self.reading.emptied.insert(name);
        }
    }

    /// `:INPUT DROP [12:34]`; `:mine - [0:0]`, which also empties the chain.
    fn declare(&mut self, words: &[Word], span: Span) -> Result<(), Refusal> {
        let name = words.first().and_then(|word| word.text.strip_prefix(':')).unwrap_or_default();
        let (name, rest) = if name.is_empty() { (words.get(1).map_or("", |word| word.text), 2) } else { (name, 1) };
        if name.is_empty() {
            return Err(refuse(span, "a chain is declared without a name", "write `:NAME - [0:0]`"));
        }
        let Some(policy) = words.get(rest) else {
            return Err(refuse(
                span,
                format!("the chain `{}` is declared without a policy", quoted(name)),
                "write `:NAME - [0:0]`",
            ));
        };
        let accept = self.policy(name, policy, true)?;
        self.lists = false;
        self.empties(name);
        let table = self.current.map(|(table, _)| table);
        let mut built_in = false;
        if let Some(chain) = self.chain_mut(name) {
            match &mut chain.base {
                // The restore programs set the policy of a built-in chain and leave its rules.
                Some(base) => {
                    base.accept = accept.unwrap_or(base.accept);
                    built_in = true;
                }
                None => chain.rules.clear(),
            }
        }
        self.whole.extend(table.filter(|_| built_in));
        Ok(())
    }

    /// Whether a policy accepts; `None` for `-`.
    fn policy(&self, chain: &str, word: &Word, declared: bool) -> Result<Option<bool>, Refusal> {
        let span = Span::new(word.start, word.end);
        let own = built_in(self.kind(), chain).is_some();
        match word.text {
            // Of a chain of the user's own nothing is made of it.
            _ if declared && !own => Ok(None),
            "-" if declared => Ok(None),
            "ACCEPT" if own => Ok(Some(true)),
            "DROP" if own => Ok(Some(false)),
            "ACCEPT" | "DROP" => {
                let message = format!(
                    "`{}` is no built-in chain of the table {}: it has no policy",
                    quoted(chain),
                    self.kind().name()
                );
                Err(refuse(span, message, "end the chain with a rule that decides"))
            }
            other => {
                let message = format!("`{}` is no policy of a chain", quoted(other));
                Err(match closest(other, ["ACCEPT", "DROP"]) {
                    Some(near) => Refusal {
                        replacement: Some(near.to_owned()),
                        ..refuse(span, message, &format!("did you mean `{near}`?"))
                    },
                    None => refuse(span, message, "the policies are ACCEPT and DROP"),
                })
            }
        }
    }

    /// Runs one command in the current table: `-A INPUT …`, perhaps with counters before it.
    pub fn command<'t>(&mut self, origin: Origin, line: &'t str, words: &[Word<'t>]) -> Result<(), Refusal> {
        let mut rest = words;
        // `[12:3456]`, the counters of `iptables-save -c`.
        if let [first, after @ ..] = rest
            && first.text.starts_with('[')
        {
            rest = after;
        }
        let Some((word, rest)) = rest.split_first() else {
            return Err(refuse(
                origin.line,
                "counters stand without a rule",
                "write the rule after them: `[0:0] -A CHAIN …`",
            ));
        };
        // `-AINPUT`: the chain may follow at once.
        let attached = word.text.get(2..).filter(|chain| !chain.is_empty() && !word.text.starts_with("--"));
        if let Some((chain, short)) =
            attached.zip(word.text.get(..2)).filter(|(_, short)| Command::named(short).is_some())
        {
            let (start, end) = (word.start, word.end);
            let mut apart = vec![Word { text: short, start, end: start + 2, quoted: false }];
            apart.push(Word { text: chain, start: start + 2, end, quoted: false });
            apart.extend_from_slice(rest);
            return self.command(origin, line, &apart);
        }
        let Some(command) = Command::named(word.text) else {
            let span = Span::new(word.start, word.end);
            let message = format!("`{}` is no command of iptables", quoted(word.text));
            let names = COMMANDS.iter().map(|(_, long, _)| *long);
            return Err(match closest(word.text, names).filter(|_| word.text.starts_with("--")) {
                Some(near) => Refusal {
                    replacement: Some(near.to_owned()),
                    ..refuse(span, message, &format!("did you mean `{near}`?"))
                },
                None => refuse(span, message, "a line begins with a command, such as `-A INPUT`"),
            });
        };
        if let Some(table) = rest.iter().find(|word| !word.quoted && matches!(word.text, "-t" | "--table")) {
            let span = Span::new(table.start, table.end);
            return Err(refuse(
                span,
                "the table of a line is that of its block",
                "take `-t` out, and write the line after `*TABLE`",
            ));
        }
        let change = match command {
            Command::Flush => Some(ChangeKind::Emptied),
            Command::DeleteChain => Some(ChangeKind::Deleted),
            // What lists rules names the chains that there are.
            Command::New if !self.lists => Some(ChangeKind::Made),
            Command::Delete | Command::Check => Some(ChangeKind::LookedFor),
            _ => None,
        };
        if let Some(kind) = change {
            let chain = rest.first().map(|name| Arc::from(name.text));
            let (table, location) = (self.kind(), origin.location(self.file));
            self.reading.changes.push(Change { kind, table, chain, location });
        }
        let Some((name, rest)) = rest.split_first() else {
            return match command {
                Command::Flush => {
                    self.current_mut()
                        .into_iter()
                        .flat_map(|table| &mut table.chains)
                        .for_each(|chain| chain.rules.clear());
                    Ok(())
                }
                Command::DeleteChain => {
                    self.forget(|_| true);
                    Ok(())
                }
                Command::Nothing => Ok(()),
                _ => {
                    let message = format!("`{}` stands without a chain", quoted(word.text));
                    Err(refuse(origin.line, message, "name the chain after it"))
                }
            };
        };
        self.on_chain(command, origin, line, name, rest)
    }

    fn on_chain<'t>(
        &mut self,
        command: Command,
        origin: Origin,
        line: &'t str,
        name: &Word<'t>,
        rest: &[Word<'t>],
    ) -> Result<(), Refusal> {
        let other = if self.family == Family::Ipv4 { ["-6", "--ipv6"] } else { ["-4", "--ipv4"] };
        if rest.iter().any(|word| !word.quoted && other.contains(&word.text)) {
            // The tool for this family passes the line over.
            return Ok(());
        }
        let number = rest.first().filter(|word| !word.quoted).and_then(|word| address::number(word.text));
        let after = || rest.get(1..).unwrap_or_default();
        match command {
            Command::Append => self.put(origin, line, name, rest, None),
            Command::Insert if number == Some(0) => {
                Err(refuse(origin.line, "rules are numbered from 1", "insert it at 1"))
            }
            Command::Insert if number.is_some() => self.put(origin, line, name, after(), number),
            Command::Insert => self.put(origin, line, name, rest, Some(1)),
            Command::Replace => {
                self.take_out(name.text, number);
                self.put(origin, line, name, after(), number)
            }
            Command::Delete if number.is_some() && rest.len() == 1 => {
                self.take_out(name.text, number);
                Ok(())
            }
            Command::Delete => {
                let rules = self.rules(origin, line, name, rest)?;
                // What is not there is deleted from what the kernel has already.
                if let Some(chain) = self.chain_mut(name.text) {
                    for rule in rules {
                        let same = |known: &Rule| {
                            (&known.matches, &known.effects, &known.verdict)
                                == (&rule.matches, &rule.effects, &rule.verdict)
                        };
                        chain.rules.iter().position(same).map(|at| chain.rules.remove(at));
                    }
                }
                Ok(())
            }
            Command::New => {
                self.empties(name.text);
                self.chain(name.text);
                Ok(())
            }
            Command::Flush => {
                if let Some(chain) = self.chain_mut(name.text) {
                    chain.rules.clear();
                }
                Ok(())
            }
            Command::DeleteChain => {
                self.forget(|chain| &*chain.name == name.text);
                Ok(())
            }
            Command::Policy => {
                let Some(policy) = rest.first() else {
                    return Err(refuse(
                        origin.line,
                        "`-P` stands without a policy",
                        "write `-P CHAIN DROP` or `-P CHAIN ACCEPT`",
                    ));
                };
                let accept = self.policy(name.text, policy, false)?;
                self.lists |= self.current.is_some_and(|(table, _)| !self.whole.contains(&table));
                if let Some(base) = self.chain_mut(name.text).and_then(|chain| chain.base.as_mut()) {
                    base.accept = accept.unwrap_or(base.accept);
                }
                Ok(())
            }
            Command::Rename => {
                if let (Some(to), Some(chain)) = (rest.first(), self.chain_mut(name.text)) {
                    chain.name = Arc::from(to.text);
                    self.renamed(name.text, to.text);
                }
                Ok(())
            }
            Command::Check | Command::Nothing => Ok(()),
        }
    }

    /// The rules that some words mean in a chain; what the tool refuses may have said anything.
    fn rules<'t>(
        &self,
        origin: Origin,
        line: &'t str,
        chain: &Word<'t>,
        words: &[Word<'t>],
    ) -> Result<Vec<Rule>, Refusal> {
        let place = rule::Chain { table: self.kind(), hook: built_in(self.kind(), chain.text).map(|base| base.hook) };
        let mut rules = read_rule(line, words, self.family, Some(place), &self.chains)?;
        for rule in &mut rules {
            if let Some(condition) = &self.condition {
                rule.matches.insert(0, Match::is(MatchKind::Unknown(Arc::clone(condition))));
            }
            rule.origin = Some(origin.location(self.file));
        }
        Ok(rules)
    }

    /// Adds a rule at its end, or before the rule of a number.
    fn put<'t>(
        &mut self,
        origin: Origin,
        line: &'t str,
        name: &Word<'t>,
        words: &[Word<'t>],
        before: Option<u32>,
    ) -> Result<(), Refusal> {
        let made = self.is_made(name.text);
        let at = self.chain(name.text);
        if let Some((table, _)) = self.current.filter(|_| !made) {
            let span = Span::new(origin.start + name.start, origin.start + name.end);
            self.unmade.entry((table, Arc::from(name.text))).or_insert(span);
        }
        let (rules, refusal) = match self.rules(origin, line, name, words) {
            Ok(rules) => (rules, None),
            Err(refusal) => {
                let verdict = Some(Verdict::Unknown(shell::shown(line)));
                (vec![Rule { verdict, origin: Some(origin.location(self.file)), ..Rule::default() }], Some(refusal))
            }
        };
        if let Some(chain) = at.and_then(|at| self.current_mut()?.chains.get_mut(at)) {
            let too_far = before.is_some_and(|number| number as usize > chain.rules.len() + 1);
            if too_far && made && refusal.is_none() {
                let message = format!(
                    "`{}` has {} rules before this one: there is no such place",
                    quoted(name.text),
                    chain.rules.len()
                );
                return Err(refuse(origin.line, message, "insert it at a smaller number, or append it with `-A`"));
            }
            let place = before.map(|number| (number as usize).saturating_sub(1).min(chain.rules.len()));
            match place {
                Some(place) => drop(chain.rules.splice(place..place, rules)),
                None => chain.rules.extend(rules),
            }
        }
        refusal.map_or(Ok(()), Err)
    }

    /// Whether a chain is built in, or a line made it.
    fn is_made(&self, name: &str) -> bool {
        let Some((table, _)) = self.current else { return false };
        self.chains.contains_key(name) && !self.unmade.contains_key(&(table, Arc::from(name)))
            || built_in(self.kind(), name).is_some()
    }

    fn take_out(&mut self, chain: &str, number: Option<u32>) {
        let at = number.and_then(|number| (number as usize).checked_sub(1));
        if let (Some(chain), Some(at)) = (self.chain_mut(chain), at)
            && at < chain.rules.len()
        {
            chain.rules.remove(at);
        }
    }

    /// Deletes chains of the user's own.
    fn forget(&mut self, gone: impl Fn(&Chain) -> bool) {
        let Some(table) = self.current_mut() else { return };
        table.chains.retain(|chain| chain.base.is_some() || !gone(chain));
        let chains = table.chains.iter().enumerate().map(|(at, chain)| (chain.name.clone(), at)).collect();
        self.chains = chains;
        self.last = None;
    }

    /// Leads the rules that lead to a chain to its new name.
    fn renamed(&mut self, from: &str, to: &str) {
        let Some(table) = self.current_mut() else { return };
        for rule in table.chains.iter_mut().flat_map(|chain| &mut chain.rules) {
            if let Some(Verdict::Jump(name) | Verdict::Goto(name)) = &mut rule.verdict
                && &**name == from
            {
                *name = Arc::from(to);
            }
        }
        self.forget(|_| false);
    }
}

/// Whether a word is a command of iptables.
pub(super) fn is_command(word: &str) -> bool {
    Command::named(word).is_some()
}

/// Where a command stands.
#[derive(Clone, Copy)]
pub(super) struct Origin {
    /// Where its line begins in the text.
    pub start: usize,
    /// The line.
    pub line: Span,
}

impl Origin {
    fn location(self, file: FileId) -> Location {
        let Span { start, end } = self.line;
        Location { file, span: Span::new(self.start + start as usize, self.start + end as usize) }
    }
}

/// What a command does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Command {
    Append,
    Insert,
    Replace,
    Delete,
    New,
    DeleteChain,
    Rename,
    Flush,
    Policy,
    /// It looks for a rule.
    Check,
    /// It lists, or sets counters to zero.
    Nothing,
}

const COMMANDS: &[(&str, &str, Command)] = &[
    ("-A", "--append", Command::Append),
    ("-I", "--insert", Command::Insert),
    ("-R", "--replace", Command::Replace),
    ("-D", "--delete", Command::Delete),
    ("-N", "--new-chain", Command::New),
    ("-X", "--delete-chain", Command::DeleteChain),
    ("-E", "--rename-chain", Command::Rename),
    ("-F", "--flush", Command::Flush),
    ("-P", "--policy", Command::Policy),
    ("-Z", "--zero", Command::Nothing),
    ("-C", "--check", Command::Check),
    ("-L", "--list", Command::Nothing),
    ("-S", "--list-rules", Command::Nothing),
];

impl Command {
    fn named(word: &str) -> Option<Self> {
        COMMANDS.iter().find(|(short, long, _)| *short == word || *long == word).map(|(_, _, command)| *command)
    }
}

/// A line that is no form at all.
fn broken(span: Span, message: impl Into<String>, help: &str) -> Refusal {
    Refusal { kind: FaultKind::Broken, ..refuse(span, message, help) }
}

/// The table that a list of `iptables -S` shows, which does not name it.
fn listed(text: &str) -> Option<TableKind> {
    if text.lines().any(|line| line.starts_with('*')) {
        return None;
    }
    let mut commands =
        text.lines().filter(|line| line.starts_with("-P ") || line.starts_with("-N ") || line.starts_with("-A "));
    let has = |name: &str| text.lines().any(|line| line.starts_with("-P ") && line.split(' ').nth(1) == Some(name));
    commands.next()?;
    Some(match (has("FORWARD"), has("POSTROUTING"), has("PREROUTING")) {
        (true, true, _) => TableKind::Mangle,
        (_, true, _) => TableKind::Nat,
        (false, _, true) => TableKind::Raw,
        _ => TableKind::Filter,
    })
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
