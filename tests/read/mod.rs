//! Readers of rule sets: what iptables-save, ipset and nft list, and what fwc writes.

mod built;
mod hostile;
mod iptables;
mod nft;
mod recorded;
mod written;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fwc::netfilter::{Match, MatchKind, Ruleset, Verdict};
use fwc::read::Reading;

/// Files below a directory whose names end so, in order.
pub fn files(directory: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory).expect("directory") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                directories.push(path);
            } else if endings.iter().any(|ending| path.to_string_lossy().ends_with(ending)) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The faults of a reading, with the lines that they stand on.
pub fn faults(reading: &Reading, text: &str) -> Vec<String> {
    let faults = reading.faults.iter();
    faults.map(|fault| format!("{}: {}", text.get(fault.span.range()).unwrap_or("?"), fault.message)).collect()
}

/// A rule set without what a listing says in another way: places, the order of the elements of a list, set or map and of matches between which order
/// means nothing.
pub fn settled(ruleset: &Ruleset) -> Ruleset {
    let stateful = |item: &Match| {
        matches!(item.kind, MatchKind::Limit(_) | MatchKind::ConnectionsAbove { .. } | MatchKind::Unknown(_))
    };
    let mut ruleset = ruleset.clone();
    for table in &mut ruleset.tables {
        for set in &mut table.sets {
            set.elements.sort();
        }
        table.sets.sort_by(|a, b| a.name.cmp(&b.name));
        table.chains.sort_by(|a, b| a.name.cmp(&b.name));
        for rule in table.chains.iter_mut().flat_map(|chain| &mut chain.rules) {
            rule.origin = None;
            if let Some(Verdict::Map { elements, .. }) = &mut rule.verdict {
                let mut sorted = elements.to_vec();
                sorted.sort_by(|(a, _), (b, _)| a.cmp(b));
                *elements = sorted.into();
            }
            for item in &mut rule.matches {
                match &mut item.kind {
                    MatchKind::InInterface(list)
                    | MatchKind::OutInterface(list)
                    | MatchKind::InPort(list)
                    | MatchKind::OutPort(list) => Arc::make_mut(list).sort(),
                    MatchKind::Protocol(list) => {
                        let mut sorted = list.to_vec();
                        sorted.sort();
                        *list = sorted.into();
                    }
                    MatchKind::IcmpType(list) => list.sort(),
                    MatchKind::SourceMac(list) => list.sort(),
                    _ => {}
                }
            }
            for part in rule.matches.split_mut(stateful) {
                part.sort_by_key(|item| format!("{item:?}"));
            }
        }
    }
    ruleset.tables.sort_by(|a, b| (a.family, &a.name).cmp(&(b.family, &b.name)));
    ruleset
}
