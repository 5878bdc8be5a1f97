//! Shell scripts that load rules, as far as they are plain: lines of `iptables`, `ip6tables`, `ipset` and `nft`, with variables that the script
//! sets, loops over words, functions, here-documents. What a command prints is a parameter: what compares with it is unknown. What is run
//! if a condition holds is a rule that may be there.

mod lex;
mod parse;

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::iptables::{Origin, Reader, Refusal};
use super::scan;
use super::{Fault, FaultKind, Reading, ipset, join, nft, quoted};
use crate::net::Family;
use crate::netfilter::TableKind;
use crate::span::{FileId, Location, Span};
use lex::{Part, Word};
use parse::{Command, Simple, Statement};

/// The letter that stands before the name of a parameter in a word: no tool's words have it.
const PARAMETER: char = '\u{e000}';

/// Whether a parameter stands in a word. Most words are ASCII, and it is not.
pub(super) fn has_parameter(text: &str) -> bool {
    !text.is_ascii() && text.contains(PARAMETER)
}

/// A text with parameters as the script writes them.
pub(super) fn shown(text: &str) -> Arc<str> {
    if has_parameter(text) { text.replace(PARAMETER, "$").into() } else { text.into() }
}

/// Commands that are run, at most: loops in loops.
const MOST: usize = 50_000;
/// Functions that call one another.
const DEEPEST: usize = 16;

/// Commands that change no rules.
const HARMLESS: &[&str] = &[
    ":",
    "[",
    "[[",
    "alias",
    "arp",
    "awk",
    "basename",
    "break",
    "cat",
    "cd",
    "chmod",
    "chown",
    "command",
    "conntrack",
    "continue",
    "cp",
    "cut",
    "date",
    "declare",
    "depmod",
    "dirname",
    "dmesg",
    "echo",
    "egrep",
    "ethtool",
    "exit",
    "export",
    "expr",
    "false",
    "fgrep",
    "getopts",
    "grep",
    "head",
    "hostname",
    "id",
    "ifconfig",
    "install",
    "ip",
    "ip6tables-save",
    "iptables-save",
    "kill",
    "let",
    "ln",
    "local",
    "logger",
    "ls",
    "lsmod",
    "mkdir",
    "mktemp",
    "modinfo",
    "modprobe",
    "mv",
    "netstat",
    "ping",
    "popd",
    "printf",
    "ps",
    "pushd",
    "pwd",
    "read",
    "readonly",
    "return",
    "rm",
    "rmdir",
    "route",
    "sed",
    "seq",
    "set",
    "shift",
    "shopt",
    "sleep",
    "sort",
    "ss",
    "stat",
    "sysctl",
    "tail",
    "tc",
    "tee",
    "test",
    "touch",
    "tput",
    "tr",
    "trap",
    "true",
    "type",
    "typeset",
    "ulimit",
    "umask",
    "uname",
    "uniq",
    "unset",
    "wait",
    "wc",
    "which",
    "whoami",
];

/// Words before a command that change nothing about it.
const PREFIXES: &[&str] = &["sudo", "exec", "nice", "time", "command", "env", "builtin", "nohup"];

/// Whether a text is a script that loads rules.
pub(super) fn is_script(text: &str) -> bool {
    let shell = text.lines().next().is_some_and(|line| line.starts_with("#!") && line.contains("sh"));
    let mut commands = text.lines().filter(|line| {
        let mut words = line.split_ascii_whitespace().filter(|word| !PREFIXES.contains(word));
        let first = words.next().unwrap_or_default();
        let second = words.next().unwrap_or_default();
        tool(first).is_some() && (second.starts_with('-') || first.contains("nft") || first.contains("ipset"))
            || (shell && first.starts_with('$') && second.starts_with('-'))
    });
    commands.next().is_some()
}

/// Reads a script: what there is when it has run on an empty host.
#[must_use]
pub fn script(file: FileId, text: &str) -> Reading {
    let statements = parse::statements(&lex::tokens(text));
    let mut runner = Runner {
        file,
        text,
        ipv4: Reader::new(file, Family::Ipv4),
        ipv6: Reader::new(file, Family::Ipv6),
        used: [false; 2],
        nft: String::new(),
        places: Vec::new(),
        sets: String::new(),
        variables: FxHashMap::default(),
        functions: FxHashMap::default(),
        conditions: Vec::new(),
        faults: Vec::new(),
        saved: Vec::new(),
        run: 0,
        depth: 0,
        ended: false,
    };
    runner.all(&statements);
    runner.finish()
}

/// What a word of a command names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tool {
    Iptables(Family),
    Restore(Family),
    Ipset,
    Nft,
}

fn tool(word: &str) -> Option<Tool> {
    let name = word.rsplit('/').next().unwrap_or(word);
    Some(match name {
        "iptables" | "iptables-nft" | "iptables-legacy" => Tool::Iptables(Family::Ipv4),
        "ip6tables" | "ip6tables-nft" | "ip6tables-legacy" => Tool::Iptables(Family::Ipv6),
        "iptables-restore" | "iptables-nft-restore" | "iptables-legacy-restore" => Tool::Restore(Family::Ipv4),
        "ip6tables-restore" | "ip6tables-nft-restore" | "ip6tables-legacy-restore" => Tool::Restore(Family::Ipv6),
        "ipset" => Tool::Ipset,
        "nft" => Tool::Nft,
        _ => return None,
    })
}

struct Runner<'t> {
    file: FileId,
    text: &'t str,
    ipv4: Reader,
    ipv6: Reader,
    /// Whether any command was for IPv4, for IPv6.
    used: [bool; 2],
    /// The commands of nft, one a line, and for each line's beginning the place that it came from.
    nft: String,
    places: Vec<(usize, Span)>,
    /// The commands of ipset.
    sets: String,
    /// Variables; of a parameter the text that stands for it.
    variables: FxHashMap<String, String>,
    functions: FxHashMap<String, Arc<[Statement]>>,
    /// What has to hold for what is run now.
    conditions: Vec<String>,
    faults: Vec<Fault>,
    /// See [`Reading::saved`].
    saved: Vec<Location>,
    run: usize,
    depth: usize,
    /// Whether the script has ended.
    ended: bool,
}

impl Runner<'_> {
    fn all(&mut self, statements: &[Statement]) {
        for statement in statements {
            if self.ended {
                return;
            }
            self.statement(statement);
        }
    }

    fn statement(&mut self, statement: &Statement) {
        let mut before = &statement.first;
        self.command(before);
        let depth = self.conditions.len();
        for (if_good, next) in &statement.rest {
            // `iptables -C … || iptables -A …` and `iptables -N … || true` come to what the second says. What follows a test depends on it.
            if let Some(condition) = self.tested(before) {
                self.conditions.push(if *if_good { condition } else { format!("not {condition}") });
            }
            self.command(next);
            before = next;
        }
        self.conditions.truncate(depth);
    }

    /// The text of a command that tests something beside rules.
    fn tested(&self, command: &Command) -> Option<String> {
        let Command::Simple(simple) = command else { return None };
        let name = self.expand(simple.words.first()?).into_iter().next()?;
        let tests = matches!(&*name, "[" | "[[" | "test" | "grep" | "command" | "which" | "type" | "ip" | "lsmod");
        tests.then(|| self.text.get(simple.span.range()).unwrap_or_default().to_owned())
    }

    fn command(&mut self, command: &Command) {
        self.run += 1;
        if self.run > MOST || self.depth > DEEPEST {
            return;
        }
        match command {
            Command::Simple(simple) => self.simple(simple),
            Command::Group(body) => self.all(body),
            Command::Function { name, body } => {
                self.functions.insert(name.clone(), body.clone().into());
            }
            Command::For { name, words, body } => {
                let words: Vec<String> = words.iter().flat_map(|word| self.expand(word)).collect();
                for word in words {
                    self.variables.insert(name.clone(), word);
                    self.all(body);
                }
            }
            Command::Pipeline(commands) => {
                for command in commands {
                    match command {
                        Command::Simple(simple) if self.is_harmless(simple) => {}
                        Command::Simple(simple) => self.unread(simple.span, "its input comes from another command"),
                        other => self.command(other),
                    }
                }
            }
            Command::Branches { conditions, bodies, span } => {
                self.all(conditions);
                let line = self.text.get(span.start as usize..).unwrap_or_default().lines().next().unwrap_or_default();
                let assigned = self.variables.clone();
                for body in bodies {
                    self.conditions.push(line.trim().trim_start_matches("if ").to_owned());
                    self.all(body);
                    self.conditions.pop();
                    self.ended = false;
                }
                // Whichever branch was run: what they set is unknown.
                for (name, value) in &mut self.variables {
                    if assigned.get(name) != Some(value) {
                        *value = format!("{PARAMETER}{name}");
                    }
                }
            }
            Command::Opaque(span) => self.unread(*span, "it is not understood"),
        }
    }

    /// What is not understood is said once for each line.
    fn unread(&mut self, span: Span, why: &str) {
        let words = self.text.get(span.range()).unwrap_or_default();
        let message = format!("`{}` may change rules: {why}", quoted(words.lines().next().unwrap_or_default()));
        let help = "give the rules that it loads, too, or list them with `iptables-save` or `nft list ruleset`";
        if !self.faults.iter().any(|fault| fault.span == span) {
            self.faults.push(Fault::new(FaultKind::Unread, self.file, span, message, help));
        }
    }

    fn is_harmless(&self, simple: &Simple) -> bool {
        let words: Vec<String> = simple.words.iter().flat_map(|word| self.expand(word)).collect();
        match words.iter().map(String::as_str).find(|word| !PREFIXES.contains(word)) {
            None => true,
            Some(name) => HARMLESS.contains(&name.rsplit('/').next().unwrap_or(name)),
        }
    }

    fn simple(&mut self, simple: &Simple) {
        for (name, value) in &simple.assignments {
            let value = self.joined(value);
            self.variables.insert(name.clone(), value);
        }
        let mut words: Vec<String> = simple.words.iter().flat_map(|word| self.expand(word)).collect();
        while words.first().is_some_and(|word| PREFIXES.contains(&word.as_str())) && words.len() > 1 {
            words.remove(0);
        }
        let Some(name) = words.first().cloned() else { return };
        match (&*name, tool(&name)) {
            (_, Some(Tool::Iptables(family))) => self.iptables(family, simple, words.split_off(1)),
            (_, Some(Tool::Restore(family))) => match &simple.document {
                Some(parts) => {
                    let text = self.parts(parts);
                    self.restore(family, &text, simple.span);
                }
                None => self.unread(simple.span, "the file that it loads is not given"),
            },
            (_, Some(Tool::Ipset)) => {
                let add = |word: &str| if word.contains(' ') { format!("\"{word}\"") } else { word.to_owned() };
                let words: Vec<String> = words
                    .iter()
                    .skip(1)
                    .filter(|word| *word != "-exist" && *word != "-!")
                    .map(|word| add(word))
                    .collect();
                let line = words.join(" ").replacen("-N ", "create ", 1).replacen("-A ", "add ", 1);
                self.sets.push_str(&line);
                self.sets.push('\n');
            }
            (_, Some(Tool::Nft)) => self.nft(simple, &words),
            ("export" | "local" | "readonly" | "declare" | "typeset", _) => {
                for word in words.iter().skip(1) {
                    if let Some((name, value)) = word.split_once('=') {
                        self.variables.insert(name.to_owned(), value.to_owned());
                    }
                }
            }
            ("read", _) => {
                for name in words.iter().skip(1).filter(|name| !name.starts_with('-')) {
                    self.variables.insert(name.clone(), format!("{PARAMETER}{name}"));
                }
            }
            ("exit", _) if self.conditions.is_empty() => self.ended = true,
            ("iptables-save" | "ip6tables-save", _) => self.saves(simple.span),
            ("netfilter-persistent", _) if words.get(1).is_some_and(|word| word == "save") => self.saves(simple.span),
            (name, _) => match self.functions.get(name).cloned() {
                Some(body) => self.call(&body, &words),
                None if HARMLESS.contains(&name.rsplit('/').next().unwrap_or(name)) => {}
                None => self.unread(simple.span, "fwc does not know the command"),
            },
        }
    }

    /// Everything that the kernel has is written to a file; before any rule is put in, that is a copy to go back to.
    fn saves(&mut self, span: Span) {
        if self.used.contains(&true) {
            self.saved.push(Location { file: self.file, span });
        }
    }

    fn call(&mut self, body: &Arc<[Statement]>, words: &[String]) {
        let set = |runner: &mut Self, at: usize, word: Option<&String>| match word {
            Some(word) => runner.variables.insert(at.to_string(), word.clone()),
            None => runner.variables.remove(&at.to_string()),
        };
        let before: Vec<Option<String>> =
            (1..10).map(|at: usize| self.variables.get(&at.to_string()).cloned()).collect();
        for at in 1..10 {
            set(self, at, words.get(at));
        }
        let all = words.get(1..).unwrap_or_default().join(" ");
        let outer = self.variables.insert("@".to_owned(), all);
        self.depth += 1;
        self.all(body);
        self.depth -= 1;
        for (at, word) in (1..10).zip(&before) {
            set(self, at, word.as_ref());
        }
        match outer {
            Some(outer) => self.variables.insert("@".to_owned(), outer),
            None => self.variables.remove("@"),
        };
    }

    /// A word with its variables put in, cut at spaces where no quotation marks keep them together.
    fn expand(&self, word: &Word) -> Vec<String> {
        let mut out = vec![String::new()];
        let mut any = word.quoted;
        for part in &word.parts {
            let (text, splits) = self.part(part);
            any |= !text.is_empty();
            if !splits || has_parameter(&text) {
                out.last_mut().into_iter().for_each(|last| last.push_str(&text));
                continue;
            }
            let mut pieces = text.split_ascii_whitespace();
            if let Some(first) = pieces.next() {
                out.last_mut().into_iter().for_each(|last| last.push_str(first));
            }
            out.extend(pieces.map(str::to_owned));
        }
        if any { out } else { Vec::new() }
    }

    fn joined(&self, word: &Word) -> String {
        self.parts(&word.parts)
    }

    fn parts(&self, parts: &[Part]) -> String {
        parts.iter().map(|part| self.part(part).0).collect()
    }

    /// The text of a part, and whether it is cut at spaces.
    fn part(&self, part: &Part) -> (String, bool) {
        match part {
            Part::Text(text) => (text.clone(), false),
            Part::Unknown(text) => {
                let text = text
                    .trim_start_matches('$')
                    .replace(|letter: char| letter.is_whitespace() || "\"'".contains(letter), "_");
                (format!("{PARAMETER}{text}"), false)
            }
            Part::Variable { name, default, quoted } => {
                let value = self
                    .variables
                    .get(if name == "*" { "@" } else { name })
                    .filter(|value| !value.is_empty() || default.is_none());
                match (value, default) {
                    (Some(value), _) => (value.clone(), !quoted),
                    (None, Some(default)) => (default.clone(), !quoted),
                    // What nothing sets is given from outside.
                    (None, None) => (format!("{PARAMETER}{name}"), false),
                }
            }
        }
    }

    fn reader(&mut self, family: Family) -> &mut Reader {
        let at = usize::from(family == Family::Ipv6);
        self.used.get_mut(at).into_iter().for_each(|used| *used = true);
        if family == Family::Ipv4 { &mut self.ipv4 } else { &mut self.ipv6 }
    }

    fn iptables(&mut self, family: Family, simple: &Simple, words: Vec<String>) {
        let mut table = "filter".to_owned();
        let mut rest: Vec<String> = Vec::new();
        let mut words = words.into_iter().peekable();
        while let Some(word) = words.next() {
            match &*word {
                "-t" | "--table" => table = words.next().unwrap_or_default(),
                "-w" | "--wait" | "-W" | "--wait-interval" => {
                    words.next_if(|word| word.bytes().all(|byte| byte.is_ascii_digit()));
                }
                "-n" | "-v" | "--verbose" | "--numeric" | "-4" | "-6" => {}
                _ => rest.push(word),
            }
        }
        let Some(kind) = TableKind::ALL.into_iter().find(|kind| kind.name() == table) else {
            return self.unread(simple.span, "fwc does not know the table");
        };
        // The command may stand behind matches.
        let at = rest.iter().position(|word| super::iptables::is_command(word)).unwrap_or(0);
        let (before, after) = rest.split_at(at);
        let order: Vec<&String> = match after {
            [command, chain, more @ ..] => [command, chain].into_iter().chain(before).chain(more).collect(),
            _ => rest.iter().collect(),
        };
        let line: Vec<String> = order.into_iter().map(|word| in_line(word)).collect();
        self.run_line(family, kind, &line.join(" "), simple.span);
    }

    /// Runs one line in the words of a restore file.
    fn run_line(&mut self, family: Family, kind: TableKind, line: &str, span: Span) {
        let mut words = Vec::new();
        let condition = self.conditions.last().map(|text| Arc::from(format!("if {text}")));
        let changes =
            ["-P", "-F", "-X", "-D", "-R", "-E", "--policy", "--flush", "--delete-chain", "--delete", "--replace"];
        let reader = self.reader(family);
        reader.enter(kind, Span::default());
        reader.condition = condition;
        let origin = Origin { start: span.start as usize, line: Span::new(0, (span.end - span.start) as usize) };
        let refusal = match scan::words(line, &mut words) {
            Ok(()) if words.iter().take(2).any(|word| has_parameter(word.text)) => {
                return self.unread(span, "its chain is a parameter");
            }
            Ok(()) => {
                let changes = words.first().is_some_and(|word| changes.contains(&word.text));
                let refusal = reader.command(origin, line, &words).err();
                if changes && reader.condition.is_some() {
                    self.unread(span, "it depends on a condition whether it is run");
                }
                refusal
            }
            Err(_) => return self.unread(span, "its quotation marks are not understood"),
        };
        if let Some(Refusal { kind, message, help, .. }) = refusal {
            // The words are not those of the text where variables were put in.
            let message = message.replace(PARAMETER, "$");
            self.faults.push(Fault::new(kind, self.file, span, message, help));
        }
    }

    /// A here-document for the restore programs.
    fn restore(&mut self, family: Family, text: &str, span: Span) {
        let mut kind = TableKind::Filter;
        for line in
            text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#') && *line != "COMMIT")
        {
            match line.strip_prefix('*') {
                Some(name) => match TableKind::ALL.into_iter().find(|kind| kind.name() == name) {
                    Some(named) => kind = named,
                    None => return self.unread(span, "fwc does not know the table"),
                },
                None if line.starts_with(':') => self.declared(family, kind, line, span),
                None => self.run_line(family, kind, line, span),
            }
        }
    }

    fn declared(&mut self, family: Family, kind: TableKind, line: &str, span: Span) {
        let mut words = line.trim_start_matches(':').split_ascii_whitespace();
        let (Some(chain), policy) = (words.next(), words.next().unwrap_or("-")) else { return };
        let command = if policy == "-" { format!("-N {chain}") } else { format!("-P {chain} {policy}") };
        self.run_line(family, kind, &command, span);
    }

    fn nft(&mut self, simple: &Simple, words: &[String]) {
        if let Some(parts) = &simple.document {
            let text = self.parts(parts);
            self.places.push((self.nft.len(), simple.span));
            self.nft.push_str(&text);
            self.nft.push('\n');
            return;
        }
        let rest: Vec<&String> =
            words.iter().skip(1).filter(|word| !word.starts_with('-') || word.len() == 1).collect();
        let verb = rest.first().map_or("", |word| word.as_str());
        if words.iter().any(|word| word == "-f" || word == "--file") || simple.input {
            return self.unread(simple.span, "the file that it loads is not given");
        }
        if matches!(verb, "list" | "monitor" | "describe" | "reset") {
            return;
        }
        let line: Vec<&str> = rest.iter().map(|word| word.as_str()).collect();
        let line = line.join(" ");
        if has_parameter(&line) || !self.conditions.is_empty() {
            return self.unread(simple.span, "it depends on what is not known here");
        }
        self.places.push((self.nft.len(), simple.span));
        self.nft.push_str(&line);
        self.nft.push('\n');
    }

    fn finish(self) -> Reading {
        let Self { file, text, ipv4, ipv6, used, nft: commands, places, sets, mut faults, saved, .. } = self;
        let mut readings = Vec::new();
        for (reader, used) in [ipv4, ipv6].into_iter().zip(used) {
            if used {
                readings.push(reader.finish(text));
            }
        }
        if !commands.is_empty() {
            let mut reading = nft(file, &commands);
            let back = |span: Span| {
                let at = places.partition_point(|(start, _)| *start <= span.start as usize).saturating_sub(1);
                places.get(at).map_or(Span::default(), |(_, span)| *span)
            };
            reading.relocate(|location| Location { file: location.file, span: back(location.span) });
            readings.push(reading);
        }
        let (sets, of_sets) = ipset(file, &sets);
        faults.extend(of_sets.into_iter().map(|fault| Fault {
            kind: FaultKind::Unread,
            span: Span::default(),
            ..fault
        }));
        let mut whole = join::merge(readings, &sets);
        whole.faults.extend(faults);
        whole.saved = saved;
        whole.faults.sort_by_key(|fault| fault.span.start);
        whole
    }
}

/// A word as a line of a restore file has it.
fn in_line(word: &str) -> String {
    let plain =
        !word.is_empty() && !word.contains(|letter: char| letter.is_whitespace() || letter == '"' || letter == '\'');
    if plain { word.to_owned() } else { format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\"")) }
}
