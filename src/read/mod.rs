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
mod nft;
mod scan;

use std::sync::Arc;

use crate::net::Family;
use crate::netfilter::{Owner, Ruleset};
use crate::span::{FileId, Location, Span};

pub use count::{Count, counts};
pub use ipset::ipset;
pub use iptables::{iptables, iptables_rule};
pub use join::{join, merge};
pub use nft::{nft, nft_json};

/// What a text says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The rules, as far as they were read.
    pub ruleset: Ruleset,
    /// Lines that are none of the syntax. Each costs itself alone.
    pub faults: Vec<Fault>,
    /// Things beside tables, sets, chains and rules (flowtables, quotas, tables of other families), by their text.
    pub objects: Vec<Object>,
}

/// A line that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file.
    pub file: FileId,
    /// The line, or what of it is wrong.
    pub span: Span,
    /// What is wrong. Lower case, no final full stop, the user's text in backticks.
    pub message: String,
    /// What to do.
    pub help: String,
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
    let mut words = line.split_whitespace();
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
        _ => None,
    }
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
