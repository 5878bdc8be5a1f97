//! `--baseline`: findings that are known and were left as they are when fwc was taken up. New ones are told; those that are gone
//! are told, too, so that the list can shrink.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::failure::Failure;
use super::inputs::read_root;
use super::output;
use super::render::harmless;
use crate::diagnostic::Diagnostic;
use crate::levels::can_be_lowered;

/// So many that are gone are named; the rest is counted.
const NAMED: usize = 20;
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    findings: Vec<Entry>,
}

/// One known finding. All but the fingerprint is for people.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    path: String,
    code: String,
    name: String,
    statement: String,
    fingerprint: String,
}

impl Entry {
    pub(super) fn new(diagnostic: &Diagnostic, path: &str, statement: String, fingerprint: &str) -> Self {
        Self {
            path: path.to_owned(),
            code: diagnostic.code.number.to_owned(),
            name: diagnostic.code.name.to_owned(),
            statement,
            fingerprint: fingerprint.to_owned(),
        }
    }
}

/// Whether a finding may be in a baseline. Without a fault mended nothing else was looked for.
pub(super) fn takes(diagnostic: &Diagnostic) -> bool {
    can_be_lowered(diagnostic.code)
}

/// A baseline that was read, and what of it has been found again.
pub(super) struct Baseline {
    name: String,
    known: BTreeMap<String, Entry>,
    met: BTreeSet<String>,
}

impl Baseline {
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let root = read_root(path)?;
        let name = path.display().to_string();
        let document: Document = serde_json::from_slice(&root.bytes)
            .map_err(|error| Failure::new(format!("`{name}` is no baseline: {error}; --write-baseline writes one")))?;
        if document.version != VERSION {
            let version = document.version;
            return Err(Failure::new(format!(
                "`{name}` is a baseline of version {version}, and this fwc reads {VERSION}"
            )));
        }
        let known = document.findings.into_iter().map(|entry| (entry.fingerprint.clone(), entry)).collect();
        Ok(Self { name, known, met: BTreeSet::new() })
    }

    /// Whether a finding is known; then it counts as found again.
    pub(super) fn knows(&mut self, diagnostic: &Diagnostic, fingerprint: &str) -> bool {
        let known = takes(diagnostic) && self.known.contains_key(fingerprint);
        if known {
            self.met.insert(fingerprint.to_owned());
        }
        known
    }

    /// What there is to say at the end: how many were found again, and which were not in the files that were looked at. Files with
    /// faults were not looked at to the end.
    pub(super) fn summary(&self, looked_at: &BTreeSet<String>) -> String {
        let mut out = String::new();
        let name = harmless(&self.name);
        match self.met.len() {
            0 => {}
            1 => {
                let _ = writeln!(out, "fwc: 1 finding is in the baseline {name}");
            }
            many => {
                let _ = writeln!(out, "fwc: {many} findings are in the baseline {name}");
            }
        }
        let gone = |entry: &&Entry| !self.met.contains(&entry.fingerprint) && looked_at.contains(&entry.path);
        let gone: BTreeSet<&Entry> = self.known.values().filter(gone).collect();
        if gone.is_empty() {
            return out;
        }
        let _ = writeln!(out, "fwc: no longer found, {} in all; --write-baseline {name} takes them out:", gone.len());
        for entry in gone.iter().take(NAMED) {
            let line = format!("  {}: {} {}: {}", entry.path, entry.code, entry.name, entry.statement);
            let _ = writeln!(out, "{}", harmless(&line));
        }
        if gone.len() > NAMED {
            let _ = writeln!(out, "  and {} more", gone.len() - NAMED);
        }
        out
    }
}

/// Writes findings as a baseline.
pub(super) fn write(path: &Path, mut findings: Vec<Entry>) -> Result<(), Failure> {
    findings.sort();
    let document = Document { version: VERSION, findings };
    output::replace(path, &(serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"))
}
