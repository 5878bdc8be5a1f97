//! Readers of rule sets: what iptables-save, ipset and nft list, and what fwc writes.

mod iptables;
mod recorded;

use std::path::{Path, PathBuf};

use fwc::read::Reading;

/// Files below a directory whose names end so, in order.
fn files(directory: &Path, endings: &[&str]) -> Vec<PathBuf> {
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

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The faults of a reading, with the lines that they stand on.
fn faults(reading: &Reading, text: &str) -> Vec<String> {
    let faults = reading.faults.iter();
    faults.map(|fault| format!("{}: {}", text.get(fault.span.range()).unwrap_or("?"), fault.message)).collect()
}
