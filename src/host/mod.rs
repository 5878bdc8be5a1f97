//! A host as far as texts tell it: a policy or rule sets of any readable kind, and the rule sets recorded beside them, as one
//! netfilter form in which our chains are reached from where they will be attached. What `trace` and `diff` work on.

mod attach;
mod cards;
pub mod listing;
mod load;
pub mod sentence;
pub mod words;

pub use cards::{Cards, Link};
pub use load::{Refused, load};

use crate::net::{AddressSet, Card, Family};
use crate::netfilter::{Base, Hook, MatchKind, Rule, Ruleset, TableFamily, TableKind, Verdict};
use crate::policy::{Judgement, Policy, Rank, TrafficList};
use crate::program::Place;
use crate::span::{FileId, LineIndex, Location, SourceText};

/// A host.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// What it is called: the names of its texts.
    pub name: String,
    /// Its rules. Our own chains are reached from the chains of others, as the attach script makes it.
    pub ruleset: Ruleset,
    /// The texts that rules come from, by file number.
    pub files: Vec<SourceText>,
    /// How many of them, in front, are a policy's.
    pub policy_files: usize,
    /// The families of which the texts say anything.
    pub families: Vec<Family>,
    /// Its addresses, and the networks behind its cards.
    pub cards: Cards,
    /// What a reader should know about the answer: lines that were not understood, what was assumed.
    pub notes: Vec<String>,
    /// Whether something was not read that may change any answer. What has its place among the rules is a rule there instead.
    pub open: bool,
    /// Whether anything was not read, or a chain is missing.
    pub unread: bool,
    /// What the policy means; beside rule sets alone, what a policy that says nothing knows of the facts.
    pub policy: Option<Policy>,
    /// Whether rule sets take part that were recorded on the host.
    pub recorded: bool,
    /// What addresses and cards are called.
    pub names: Vocabulary,
}

/// Names of addresses and cards: those that a policy gives, then those of the standard library.
#[derive(Clone, Debug, Default)]
pub struct Vocabulary {
    /// Sets of addresses.
    pub sets: Vec<(String, AddressSet)>,
    /// How many of them, in front, a policy declares.
    pub own_sets: usize,
    /// Interfaces.
    pub interfaces: Vec<(String, Vec<Card>)>,
    /// Services.
    pub services: Vec<(String, TrafficList)>,
}

fn is_open(verdict: &Verdict, has: &impl Fn(&str) -> bool) -> bool {
    match verdict {
        Verdict::Unknown(_) => true,
        Verdict::Jump(name) | Verdict::Goto(name) => !has(name),
        Verdict::Map { elements, .. } => elements.iter().any(|(_, verdict)| is_open(verdict, has)),
        _ => false,
    }
}

/// A base chain of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its table.
    pub table: usize,
    /// The chain in it.
    pub chain: usize,
    /// Its place at the hook.
    pub base: Base,
}

impl Host {
    /// The base chains at a hook for a family, in the order in which the kernel asks them. Where two have one priority, the order
    /// in which they were loaded decides; here it is the order of the texts.
    #[must_use]
    pub fn entries(&self, family: Family, hook: Hook) -> Vec<Entry> {
        let mut found = Vec::new();
        for (number, table) in self.ruleset.tables.iter().enumerate() {
            if !speaks(table.family, family) {
                continue;
            }
            for (chain, known) in table.chains.iter().enumerate() {
                if let Some(base) = known.base.filter(|base| base.hook == hook) {
                    found.push(Entry { table: number, chain, base });
                }
            }
        }
        found.sort_by_key(|entry| entry.base.priority);
        found
    }

    /// Whether a policy stands for itself: no rule set was recorded beside it.
    #[must_use]
    pub fn policy_alone(&self) -> bool {
        self.policy.is_some() && !self.recorded
    }

    /// Whether a policy has rules among those of the host; one that only reads facts has none.
    #[must_use]
    pub fn says_rules(&self) -> bool {
        let rules = self.ruleset.tables.iter().flat_map(|table| &table.chains).flat_map(|chain| &chain.rules);
        rules.filter_map(|rule| rule.origin).any(|origin| self.is_policy(origin.file))
    }

    /// Whether it is not known what the rule at a place decides: it was not read, or leads to a chain that no text has.
    #[must_use]
    pub fn is_open(&self, place: Place) -> bool {
        let verdict = self.rule(place).and_then(|rule| rule.verdict.as_ref());
        let has = |name: &str| {
            let table = self.ruleset.tables.get(place.table as usize);
            table.is_some_and(|table| table.chains.iter().any(|chain| &*chain.name == name))
        };
        verdict.is_some_and(|verdict| is_open(verdict, &has))
    }

    /// The flows that a rule closes because a statement elsewhere in them allows something, where it is such a rule: `outside to host`.
    #[must_use]
    pub fn implied(&self, place: Place) -> Option<String> {
        let rule = self.rule(place).filter(|rule| matches!(rule.verdict, Some(Verdict::Drop | Verdict::Reject(_))))?;
        let origin = rule.origin.filter(|origin| self.is_policy(origin.file))?;
        let flows = &self.policy.as_ref()?.flows;
        let ends = |judgement: &&Judgement| judgement.rank == Rank::End && judgement.location == origin;
        let closed = flows.iter().filter(|(_, list)| list.iter().any(|one| ends(&one)));
        let closed: Vec<String> = closed.map(|(flow, _)| flow.to_string()).collect();
        (!closed.is_empty()).then(|| closed.join(", "))
    }

    /// The kernel's name of an interface that a policy declares by this name; `None` if it declares none. The first of several, and of a
    /// pattern one that it takes.
    #[must_use]
    pub fn declared_interface(&self, name: &str) -> Option<String> {
        let (_, cards) = self.names.interfaces.iter().find(|(known, _)| known == name)?;
        cards.first().map(Card::sample)
    }

    /// Whether a text names an interface: a rule, the facts, a policy's declaration or one of its platforms.
    #[must_use]
    pub fn knows_interface(&self, name: &str) -> bool {
        let declared = self.names.interfaces.iter().flat_map(|(_, cards)| cards);
        let rules = self.ruleset.tables.iter().flat_map(|table| &table.chains).flat_map(|chain| &chain.rules);
        let asked = rules.flat_map(|rule| &rule.matches).filter_map(|one| match &one.kind {
            MatchKind::InInterface(cards) | MatchKind::OutInterface(cards) => Some(&**cards),
            _ => None,
        });
        let linked =
            self.cards.links.iter().filter_map(|link| link.card.as_deref()).chain(self.cards.default_route.as_deref());
        name == "lo"
            || linked.into_iter().any(|known| known == name)
            || self.policy.as_ref().is_some_and(|policy| policy.facts.interfaces.contains_key(name))
            || declared.chain(asked.flatten()).any(|card| card.matches(name))
    }

    /// The rule at a place.
    #[must_use]
    pub fn rule(&self, place: Place) -> Option<&Rule> {
        let table = self.ruleset.tables.get(place.table as usize)?;
        table.chains.get(place.chain as usize)?.rules.get(place.rule as usize)
    }

    /// `TABLE CHAIN`, as people call it: `filter FORWARD`, `inet fw input`.
    #[must_use]
    pub fn chain_name(&self, table: usize, chain: usize) -> String {
        let Some(own) = self.ruleset.tables.get(table) else { return String::new() };
        let name = own.chains.get(chain).map_or("", |chain| &*chain.name);
        let kind_table = TableKind::ALL.iter().any(|kind| kind.name() == own.name);
        match own.family {
            TableFamily::Ipv4 | TableFamily::Ipv6 if kind_table => format!("{} {name}", own.name),
            TableFamily::Ipv4 => format!("ip {} {name}", own.name),
            TableFamily::Ipv6 => format!("ip6 {} {name}", own.name),
            TableFamily::Inet => format!("inet {} {name}", own.name),
            TableFamily::Bridge => format!("bridge {} {name}", own.name),
            TableFamily::Netdev => format!("netdev {} {name}", own.name),
        }
    }

    /// `FILE:LINE` of a rule's source, without directories where the file's name alone says which it is.
    #[must_use]
    pub fn short_line(&self, location: Location) -> Option<String> {
        let (path, line) = self.line(location)?;
        let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        let alone = self.files.iter().filter(|file| name(&file.path) == name(&path)).count() == 1;
        Some(if alone { format!("{}:{line}", name(&path)) } else { format!("{path}:{line}") })
    }

    /// Whether a text is part of a policy, not a rule set.
    #[must_use]
    pub fn is_policy(&self, file: FileId) -> bool {
        (file.0 as usize) < self.policy_files
    }

    /// Path and line of a rule's source.
    #[must_use]
    pub fn line(&self, location: Location) -> Option<(String, u32)> {
        let source = self.files.get(location.file.0 as usize)?;
        let (line, _) = LineIndex::new(source.text.get(..location.span.end as usize).unwrap_or(&source.text))
            .line_column(location.span.start);
        Some((source.path.to_string(), line))
    }

    /// What stands there, on one line.
    #[must_use]
    pub fn text(&self, location: Location) -> Option<String> {
        let source = self.files.get(location.file.0 as usize)?;
        let text = source.text.get(location.span.range())?;
        Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

/// Whether a table's chains are asked about routed packets of a family.
#[must_use]
pub fn speaks(table: TableFamily, family: Family) -> bool {
    match table {
        TableFamily::Ipv4 => family == Family::Ipv4,
        TableFamily::Ipv6 => family == Family::Ipv6,
        TableFamily::Inet => true,
        TableFamily::Bridge | TableFamily::Netdev => false,
    }
}
