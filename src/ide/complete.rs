//! What may be written at a place, for the statement as far as it is typed.

use std::collections::BTreeSet;

use super::names::{Index, Symbol, SymbolKind, unquoted};
use super::{describe, outline, policies, text, words};
use crate::codes;
use crate::database::{self, Db, ProjectInput};
use crate::facts::{Facts, declared};
use crate::names::{dscp, helper, icmp, reject, syslog};
use crate::net::{Family, Protocol};
use crate::netfilter::TableKind;
use crate::platform::Platform;
use crate::span::{FileId, Span};
use crate::syntax::outline::{Expectation, Expected, Naming, Part, Role, expected, is_reserved};

/// What is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CompletionKind {
    /// A word of the language.
    Keyword,
    /// A mark.
    Mark,
    /// A name of the policy's own or of the library.
    Symbol(SymbolKind),
    /// A name that others give: a card, a user, a type of ICMP.
    Name,
    /// A port that a container publishes.
    Port,
    /// The code of a diagnostic.
    Code,
}

/// Something that may be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// What is shown.
    pub label: String,
    /// What is written instead of `replace`: the label, in quotes where a name needs them.
    pub insert: String,
    /// What is typed already.
    pub replace: Span,
    /// What it is.
    pub kind: CompletionKind,
    /// A few words beside it; may be empty.
    pub detail: String,
    /// What there is to know about it, Markdown; may be empty.
    pub documentation: String,
    /// Where it stands in the list: those with less come first, then by label.
    pub order: u8,
}

/// The names of the author's own come first, then words, then what is known of the host, then the library.
const OWN: u8 = 0;
const WORD: u8 = 1;
const HOST: u8 = 2;
const LIBRARY: u8 = 3;

/// Everything that may be written at a place and has the letters that are typed there, in order.
#[must_use]
pub fn complete(db: &dyn Db, input: ProjectInput, file: FileId, offset: u32) -> Vec<Completion> {
    if outline(db, input, file).is_none() {
        return Vec::new();
    }
    let source = text(db, input, file);
    let mut found = match codes_at(source, offset) {
        Some(found) => found,
        None => {
            let expectation = expected(source, offset);
            let mut list =
                List { db, input, index: Index::new(db, input), source, found: Vec::new(), at: &expectation };
            list.fill();
            list.found
        }
    };
    let typed =
        |one: &Completion| source.get(one.replace.start as usize..(offset as usize).max(one.replace.start as usize));
    found.retain(|one| typed(one).is_none_or(|typed| has_letters(&one.label, unquoted(typed))));
    found.sort_by(|a, b| (a.order, &a.label).cmp(&(b.order, &b.label)));
    found.dedup_by(|a, b| a.label == b.label && a.kind == b.kind);
    found
}

fn has_letters(label: &str, typed: &str) -> bool {
    let mut letters = label.chars().flat_map(char::to_lowercase);
    typed.chars().flat_map(char::to_lowercase).all(|wanted| letters.any(|letter| letter == wanted))
}

/// The codes of diagnostics, in a remark that silences or expects them: `# fwc: expect(…)`.
fn codes_at(source: &str, offset: u32) -> Option<Vec<Completion>> {
    let before = source.get(..offset as usize)?;
    let line = before.rsplit('\n').next()?;
    let (_, remark) = line.split_once('#')?;
    let asked = remark.trim_start().strip_prefix("fwc:")?.trim_start();
    let inside = asked.strip_prefix("expect(").or_else(|| asked.strip_prefix("allow("))?;
    if inside.contains(')') {
        return Some(Vec::new());
    }
    let typed = inside.rsplit([',', ' ']).next().unwrap_or_default();
    let rest = source.get(offset as usize..).unwrap_or_default();
    let more = rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'-').count();
    let replace = Span::new(offset as usize - typed.len(), offset as usize + more);
    let all = codes::all().into_iter().map(|code| Completion {
        label: code.name.to_owned(),
        insert: code.name.to_owned(),
        replace,
        kind: CompletionKind::Code,
        detail: code.number.to_owned(),
        documentation: format!("{}\n\n{}", code.summary, code.explanation),
        order: OWN,
    });
    Some(all.collect())
}

/// The names that the language itself has at such places, and what they are.
fn fixed_names(naming: Naming) -> (Vec<&'static str>, &'static str) {
    let once = |names: BTreeSet<&'static str>| names.into_iter().collect();
    match naming {
        Naming::Icmp => (once(Family::BOTH.into_iter().flat_map(icmp::names).collect()), "a type of ICMP"),
        Naming::Protocol => (Protocol::NAMES.map(|(name, _)| name).to_vec(), "an IP protocol"),
        // Of the many spellings the one that the language writes.
        Naming::Answer => (once(reject::names().filter_map(reject::lookup).map(reject::name).collect()), "an answer"),
        Naming::Helper => (helper::names().collect(), "a helper"),
        Naming::Dscp => (dscp::names().collect(), "a class"),
        Naming::Level => (syslog::names().collect(), "a level"),
        Naming::Day => (vec!["mon", "tue", "wed", "thu", "fri", "sat", "sun", "mon-fri", "sat-sun"], ""),
        Naming::Table => (TableKind::ALL.map(TableKind::name).to_vec(), "a table"),
        Naming::Hook => (vec!["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING", "DOCKER-USER"], "a chain"),
        _ => (Vec::new(), ""),
    }
}

/// The list in the making.
struct List<'d> {
    db: &'d dyn Db,
    input: ProjectInput,
    index: Index<'d>,
    source: &'d str,
    found: Vec<Completion>,
    at: &'d Expectation,
}

impl List<'_> {
    fn fill(&mut self) {
        let said: Vec<&str> = self
            .at
            .heads
            .iter()
            .flat_map(|head| self.source.get(head.range()))
            .flat_map(str::split_whitespace)
            .collect();
        let quoted = self.quoted();
        for &expected in &self.at.expected {
            match expected {
                // A clause that a block around says cannot be said again.
                Expected::Word(word @ ("from" | "to" | "via")) if said.contains(&word) => {}
                // Between quotes a word is a name.
                Expected::Word(_) | Expected::Equals if quoted => {}
                Expected::Word(word) => self.word(word),
                Expected::Equals => self.add("=", CompletionKind::Mark, WORD, "", ""),
                Expected::Name(naming) => self.names(naming),
                Expected::Value("port") => self.ports(),
                Expected::Value("value") => self.fact_values(),
                Expected::Value(_) | Expected::NewName(_) => {}
            }
        }
    }

    fn add(&mut self, label: &str, kind: CompletionKind, order: u8, detail: &str, documentation: &str) {
        self.found.push(Completion {
            label: label.to_owned(),
            insert: label.to_owned(),
            replace: self.at.typed,
            kind,
            detail: detail.to_owned(),
            documentation: documentation.to_owned(),
            order,
        });
    }

    /// A name: in quotes where it needs them, or where one is typed already.
    fn name(&mut self, label: &str, kind: CompletionKind, order: u8, detail: &str, documentation: &str) {
        self.add(label, kind, order, detail, documentation);
        let typed = self.quoted();
        let plain = label.starts_with(|first: char| first == '_' || first.is_ascii_alphanumeric())
            && label.chars().all(|letter| {
                letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.' | '@' | ':' | '+' | '*')
            });
        if let Some(last) = self.found.last_mut().filter(|_| typed || !plain || is_reserved(label)) {
            last.insert = format!("\"{label}\"");
        }
    }

    /// Whether a quote is typed already.
    fn quoted(&self) -> bool {
        self.source.get(self.at.typed.range()).is_some_and(|typed| typed.starts_with('"'))
    }

    fn word(&mut self, word: &str) {
        self.add(word, CompletionKind::Keyword, WORD, "", words::meaning(word).unwrap_or_default());
    }

    fn some(&mut self, names: impl IntoIterator<Item = impl AsRef<str>>, order: u8, detail: &str) {
        for name in names {
            self.name(name.as_ref(), CompletionKind::Name, order, detail, "");
        }
    }

    /// What `fact PATH =` may say.
    fn fact_values(&mut self) {
        let before = self.source.get(..self.at.typed.start as usize).unwrap_or_default();
        let said = before.rsplit('\n').next().unwrap_or_default().trim();
        let path = said.strip_prefix("fact").and_then(|rest| rest.strip_suffix('=')).map(str::trim);
        for value in path.map(declared::values).unwrap_or_default() {
            self.add(&value, CompletionKind::Name, HOST, "", "");
        }
    }

    fn facts(&self) -> &'_ Facts {
        &database::resolved(self.db, self.input).0.facts
    }

    fn names(&mut self, naming: Naming) {
        let db = self.db;
        let facts = &database::resolved(db, self.input).0.facts;
        match naming {
            Naming::Place => {
                self.declared(SymbolKind::Set);
                self.declared(SymbolKind::Interface);
            }
            Naming::Via => {
                self.declared(SymbolKind::Interface);
                self.some(facts.interfaces.keys(), HOST, "a card of the host");
            }
            Naming::Interface => self.declared(SymbolKind::Interface),
            Naming::Set => self.declared(SymbolKind::Set),
            Naming::Card => {
                self.some(facts.interfaces.keys(), HOST, "a card of the host");
                let bridges: BTreeSet<&String> =
                    describe::networks(facts).filter_map(|(_, one)| one.bridge.as_ref()).collect();
                self.some(bridges, HOST, "a bridge");
            }
            Naming::Service => {
                self.declared(SymbolKind::Service);
                self.published();
            }
            Naming::Group => self.declared(SymbolKind::Group),
            Naming::Part => self.declared(SymbolKind::Part),
            Naming::Guest | Naming::Instance => {
                self.guests(naming);
                let libvirt = facts.libvirt.iter().flat_map(|libvirt| libvirt.guests.keys());
                let instances = facts.instances.iter().flat_map(|fact| fact.instances.keys());
                if naming == Naming::Guest {
                    self.some(libvirt, HOST, "a guest")
                } else {
                    self.some(instances, HOST, "an instance")
                }
            }
            Naming::Network => {
                self.declared(SymbolKind::Network);
                let names: BTreeSet<&str> = describe::networks(facts).map(|(key, _)| key.as_str()).collect();
                self.known(SymbolKind::Network, names);
            }
            Naming::Container => {
                self.declared(SymbolKind::Container);
                let names: BTreeSet<&str> = describe::containers(facts).map(|(key, _)| key.as_str()).collect();
                self.known(SymbolKind::Container, names);
            }
            Naming::User => self.used(Naming::User),
            Naming::Platform => {
                let named = Platform::names().filter(|name| !is_reserved(name));
                self.some(named, LIBRARY, "a platform");
                self.add("prelude", CompletionKind::Name, LIBRARY, "what every policy lets live", "");
            }
            Naming::Fact => {
                for path in declared::paths() {
                    let known = if facts.source(&path).is_some() { "known already" } else { "" };
                    self.add(&path, CompletionKind::Name, HOST, known, "");
                }
            }
            fixed => {
                let (names, what) = fixed_names(fixed);
                self.some(names, LIBRARY, what);
            }
        }
    }

    /// What the policy and the library declare of a kind.
    fn declared(&mut self, kind: SymbolKind) {
        let (db, input) = (self.db, self.input);
        let meanings = database::meanings(db, input);
        let all: Vec<(String, bool, String)> = self
            .index
            .all()
            .filter(|(known, ..)| *known == kind)
            .filter_map(|(_, name, list)| {
                let symbol = Symbol { kind, name: name.to_owned() };
                Some((name.to_owned(), list.first()?.library, describe::symbol(db, input, &symbol, list)))
            })
            .collect();
        for (name, library, documentation) in all {
            let detail = match kind {
                SymbolKind::Service => meanings.services.get(&name).map(|list| describe::traffic(list)),
                SymbolKind::Set => meanings.sets.get(&name).and_then(|list| describe::size(list)),
                SymbolKind::Interface => meanings.interfaces.get(&name).map(describe::cards),
                _ => None,
            };
            let order = if library { LIBRARY } else { OWN };
            self.name(&name, CompletionKind::Symbol(kind), order, &detail.unwrap_or_default(), &documentation);
        }
    }

    /// Names that the facts have and the policy does not declare.
    fn known(&mut self, kind: SymbolKind, names: BTreeSet<&str>) {
        for name in names {
            let symbol = Symbol { kind, name: name.to_owned() };
            if self.index.declarations(&symbol).is_empty() {
                let documentation = describe::symbol(self.db, self.input, &symbol, &[]);
                self.name(name, CompletionKind::Symbol(kind), OWN, "", &documentation);
            }
        }
    }

    /// Virtual machines, or instances.
    fn guests(&mut self, naming: Naming) {
        let mut names = BTreeSet::new();
        for (file, outline) in policies(self.db, self.input) {
            let source = text(self.db, self.input, file);
            let declared = outline.words.iter().filter(|word| word.role == Role::Name { naming, declares: true });
            names.extend(declared.filter_map(|word| source.get(word.span.range())).map(unquoted));
        }
        for name in names {
            let symbol = Symbol { kind: SymbolKind::Guest, name: name.to_owned() };
            let documentation = describe::symbol(self.db, self.input, &symbol, self.index.declarations(&symbol));
            self.name(name, CompletionKind::Symbol(SymbolKind::Guest), OWN, "", &documentation);
        }
    }

    /// Names that the policy uses elsewhere at such places.
    fn used(&mut self, naming: Naming) {
        let mut names = BTreeSet::new();
        for (file, outline) in policies(self.db, self.input) {
            let source = text(self.db, self.input, file);
            let here = outline.words.iter().filter(|word| word.role == Role::Name { naming, declares: false });
            let elsewhere = here.filter(|word| word.span.start != self.at.typed.start);
            names.extend(elsewhere.filter_map(|word| source.get(word.span.range())).map(unquoted));
        }
        self.some(names, OWN, "named elsewhere in the policy");
    }

    /// What containers publish, as a service.
    fn published(&mut self) {
        for (label, whose) in self.publications() {
            self.add(&label, CompletionKind::Port, HOST, &whose, "");
        }
    }

    /// The ports that containers publish by the protocol that is said.
    fn ports(&mut self) {
        let words = &self.at.words;
        let protocol = words.iter().rev().find(|word| word.role == Role::Protocol);
        let protocol = protocol.and_then(|word| self.source.get(word.span.range())).unwrap_or_default();
        // Only what a client dials is published.
        if matches!(self.at.part, Part::What | Part::Value) {
            for (label, whose) in self.publications() {
                if let Some(port) = label.strip_prefix(protocol).filter(|port| port.starts_with(' ')) {
                    self.add(port.trim_start(), CompletionKind::Port, HOST, &whose, "");
                }
            }
        }
    }

    /// `tcp 443` and by whom it is published.
    fn publications(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for (name, container) in describe::containers(self.facts()) {
            for port in &container.ports {
                if let Some(range) = port.host_ports() {
                    let own = format!("published by {name}, its own {}", port.container_ports());
                    found.push((format!("{} {range}", port.protocol), own));
                }
            }
        }
        found
    }
}
