//! Lines of netfilter's own words, as a `chain` block has them: rules without their table and chain.

use std::fmt::Write as _;
use std::sync::Arc;

use super::{Fault, Reading};
use crate::net::Family;
use crate::netfilter::{Rule, Set, TableKind};
use crate::span::{FileId, Span};

/// The chain in which a line is read.
const CHAIN: &str = "words";

/// A line that was read.
#[derive(Debug, Default)]
pub struct Line {
    /// The rules that it means.
    pub rules: Vec<Rule>,
    /// What is wrong with it, at its places in the line.
    pub faults: Vec<Fault>,
}

/// Reads a line of iptables' words, from behind `-A CHAIN`, in a table of this kind and beside these sets.
#[must_use]
pub fn iptables_line(line: &str, kind: TableKind, family: Family, sets: &[Set]) -> Line {
    let before = format!("*{}\n:{CHAIN} - [0:0]\n-A {CHAIN} ", kind.name());
    let mut reading = super::iptables(FileId(0), &format!("{before}{line}\nCOMMIT\n"), family);
    super::join(&mut reading.ruleset, sets);
    of_line(reading, before.len(), line)
}

/// Reads a line of nft's words, in a table that has these sets of addresses, filled at run time.
#[must_use]
pub fn nft_line(line: &str, live_sets: &[(Arc<str>, Family)]) -> Line {
    let mut before = "table inet words {\n".to_owned();
    for (name, family) in live_sets {
        let kind = if *family == Family::Ipv4 { "ipv4_addr" } else { "ipv6_addr" };
        let _ = writeln!(before, "\tset {name} {{ type {kind}; flags interval,timeout; }}");
    }
    let _ = write!(before, "\tchain {CHAIN} {{\n\t\t");
    let reading = super::nft(FileId(0), &format!("{before}{line}\n\t}}\n}}\n"));
    of_line(reading, before.len(), line)
}

/// The rules of a reading that has a line at `start`, and the faults as places in that line.
fn of_line(reading: Reading, start: usize, line: &str) -> Line {
    let chains = reading.ruleset.tables.into_iter().flat_map(|table| table.chains);
    let place = |at: u32| (at as usize).saturating_sub(start).min(line.len());
    let faults = reading.faults.into_iter().map(|fault| {
        let span = Span::new(place(fault.span.start), place(fault.span.end));
        Fault { span, ..fault }
    });
    Line { rules: chains.flat_map(|chain| chain.rules).collect(), faults: faults.collect() }
}
