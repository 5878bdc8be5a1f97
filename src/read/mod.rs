//! Rule sets that exist already, as the tools list them, into the netfilter form: `iptables-save` and `ip6tables-save`, `ipset save`,
//! `nft list ruleset` and `nft -j list ruleset`; and the files that load such rule sets, our own among them.
//!
//! A reader knows nothing of how fwc writes rules: a build is validated by reading what was written, and a fault that both
//! sides shared would go unnoticed. `words`, which looks at the rules of a `chain` block, is therefore not used here either.
//!
//! Nothing is dropped. What is not modelled is kept with its exact text ([`MatchKind::Unknown`](crate::netfilter::MatchKind::Unknown),
//! [`Effect::Unknown`](crate::netfilter::Effect::Unknown), [`Verdict::Unknown`](crate::netfilter::Verdict::Unknown)); what is no rule set at all is a [`Fault`], which costs its line.

mod address;
mod count;
mod ipset;
mod iptables;
mod join;
mod line;
mod missing;
mod nft;
mod scan;
mod shell;

use std::sync::Arc;

use rustc_hash::FxHashSet;

use crate::net::Family;
use crate::netfilter::{Owner, Ruleset, TableFamily, TableKind};
use crate::span::{FileId, Location, Span};

pub use count::{Count, counts};
pub use ipset::ipset;
pub use iptables::{iptables, iptables_rule};
pub use join::{join, merge};
pub use line::{Line, iptables_line, nft_line};
pub use nft::{nft, nft_json};
pub use shell::script;

/// What a text says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The rules, as far as they were read.
    pub ruleset: Ruleset,
    /// What is wrong with the text, and what of it was not read.
    pub faults: Vec<Fault>,
    /// Chains that the text empties before it fills them.
    pub emptied: FxHashSet<ChainName>,
    /// What the text does to whole chains, in its order.
    pub changes: Vec<Change>,
    /// Where a script writes every rule that the kernel has into a file (`iptables-save > FILE`), and where rules were put in before.
    pub saved: Vec<Location>,
    /// Things beside tables, sets, chains and rules (flowtables, quotas, tables of other families), by their text.
    pub objects: Vec<Object>,
}

/// What a text does to a chain, or to all chains of a table (`iptables -F`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What.
    pub kind: ChangeKind,
    /// The table.
    pub table: TableKind,
    /// The chain; `None`: every chain of the table.
    pub chain: Option<Arc<str>>,
    /// The command.
    pub location: Location,
}

/// See [`Change`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// Its rules are taken out (`-F`).
    Emptied,
    /// It is taken away (`-X`).
    Deleted,
    /// It is made, which fails where it is there (`-N`).
    Made,
    /// A rule is looked for in it, or taken out by its words, before it is put in (`-C`, `-D`).
    LookedFor,
}

/// Something that is wrong with a text, or that was not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// How much it matters.
    pub kind: FaultKind,
    /// The file.
    pub file: FileId,
    /// The line, or what of it is wrong.
    pub span: Span,
    /// What is wrong. Lower case, no final full stop, the user's text in backticks.
    pub message: String,
    /// What to do.
    pub help: String,
    /// What to write in the place of the span, where the help says it.
    pub replacement: Option<String>,
    /// The chain that is missing.
    pub missing: Option<ChainName>,
}

/// A chain by its table and name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ChainName {
    /// The table's family.
    pub family: TableFamily,
    /// The table's name.
    pub table: String,
    /// The chain's name.
    pub chain: Arc<str>,
}

impl ChainName {
    /// Whether a rule set has it.
    #[must_use]
    pub fn is_in(&self, ruleset: &Ruleset) -> bool {
        let tables = ruleset.tables.iter().filter(|table| table.family == self.family && table.name == self.table);
        tables.flat_map(|table| &table.chains).any(|chain| chain.name == self.chain)
    }
}

impl Reading {
    /// Moves everything to where it came from, where the text was made of another.
    fn relocate(&mut self, place: impl Fn(Location) -> Location) {
        let tables = &mut self.ruleset.tables;
        for rule in tables.iter_mut().flat_map(|table| &mut table.chains).flat_map(|chain| &mut chain.rules) {
            rule.origin = rule.origin.map(&place);
        }
        for fault in &mut self.faults {
            let Location { file, span } = place(Location { file: fault.file, span: fault.span });
            (fault.file, fault.span) = (file, span);
        }
        for object in &mut self.objects {
            object.location = place(object.location);
        }
        for change in &mut self.changes {
            change.location = place(change.location);
        }
        self.saved.iter_mut().for_each(|location| *location = place(*location));
    }
}

impl Fault {
    fn new(kind: FaultKind, file: FileId, span: Span, message: impl Into<String>, help: impl Into<String>) -> Self {
        let (message, help) = (message.into(), help.into());
        Self { kind, file, span, message, help, replacement: None, missing: None }
    }
}

/// How much a [`Fault`] matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FaultKind {
    /// The text around the rules was passed over: no tool loads it, and no rule is lost.
    Passed,
    /// The tool may take a rule that is not understood here. In its place is a rule that may decide.
    UnreadRule,
    /// The tool may take it, and it is not understood here. It may change any answer.
    Unread,
    /// Rules jump to a chain that this part of a rule set does not have: it is in another file, or in the kernel.
    ChainElsewhere,
    /// Rules jump to a chain that a whole table does not have.
    MissingChain,
    /// The tool takes a rule for another one than it says: what it does is unknown.
    Misread,
    /// The tool refuses the file for how it is written (line ends, no `COMMIT`); what is meant is plain.
    Unloadable,
    /// The tool refuses the file for what it says. The rules around it were read.
    Refused,
    /// No form at all: what follows may be read wrongly.
    Broken,
}

impl FaultKind {
    /// Whether the answers that rest on the text are not certain.
    #[must_use]
    pub fn leaves_open(self) -> bool {
        matches!(self, Self::UnreadRule | Self::Misread | Self::Unread | Self::ChainElsewhere | Self::MissingChain)
    }

    /// Whether no tool loads the text, so that it has no meaning to be asked about.
    #[must_use]
    pub fn is_refused(self) -> bool {
        matches!(self, Self::Refused | Self::Broken)
    }
}

/// Something that has no place in the netfilter form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its text.
    pub text: Arc<str>,
    /// Where it stands.
    pub location: Location,
}

/// A form of text that a rule set comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// `iptables-save` or `ip6tables-save`; the family, if the text shows it.
    Iptables(Option<Family>),
    /// `ipset save`.
    Ipset,
    /// `nft list ruleset`, or a script for `nft -f`.
    Nft,
    /// `nft -j list ruleset`.
    NftJson,
    /// A shell script with the commands of these tools.
    Script,
}

/// Which form a text has, by what it begins with.
#[must_use]
pub fn detect(text: &str) -> Option<Form> {
    let text = text.trim_start_matches('\u{feff}');
    if text.trim_start().starts_with('{') {
        return text
            .get(..text.len().min(400))
            .map_or_else(|| text.contains("\"nftables\""), |head| head.contains("\"nftables\""))
            .then_some(Form::NftJson);
    }
    let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    let Some(line) = line else {
        // An empty rule set is its comments.
        let family = iptables::family_of_remarks(text);
        return family.map(|family| Form::Iptables(Some(family)));
    };
    if line.starts_with(['*', ':', '-', '[']) {
        return Some(Form::Iptables(iptables::family(text)));
    }
    // nft's commands end at a semicolon, too.
    let mut words = line.split(|letter: char| letter.is_whitespace() || letter == ';').filter(|word| !word.is_empty());
    let (first, second, third) = (words.next()?, words.next().unwrap_or(""), words.next().unwrap_or(""));
    let object =
        ["table", "chain", "rule", "set", "map", "element", "ruleset", "flowtable", "counter", "ct"].contains(&second);
    match first {
        "table" | "define" | "include" | "insert" | "replace" => Some(Form::Nft),
        "add" | "delete" | "destroy" | "flush" | "create" if object => Some(Form::Nft),
        "create" if third.starts_with("hash:") || third.starts_with("bitmap:") || third.starts_with("list:") => {
            Some(Form::Ipset)
        }
        "add" | "flush" | "destroy" | "swap" | "del" if !second.is_empty() => Some(Form::Ipset),
        _ if surrounded(text) => Some(Form::Iptables(iptables::family(text))),
        _ => shell::is_script(text).then_some(Form::Script),
    }
}

/// Whether a text has a table as `iptables-save` writes it, with other text before it.
fn surrounded(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim);
    let table =
        |line: &str| line.strip_prefix('*').is_some_and(|name| TableKind::ALL.iter().any(|kind| kind.name() == name));
    lines.any(table) && lines.any(|line| line.starts_with([':', '-', '[']) || line == "COMMIT")
}

/// Who writes a chain, as far as its name tells.
fn owner(name: &str) -> Owner {
    if name.starts_with("fwc-") { Owner::Fwc } else { Owner::Other }
}

/// A user's text in a message: short, and without line ends.
fn quoted(text: &str) -> String {
    let mut out: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(48).collect();
    if out.len() < text.len() {
        out.push('…');
    }
    out
}
