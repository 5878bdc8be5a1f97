//! What the kernel lists after a load reads the same as what was loaded.
//!
//! The listings differ from the files where `settled` says (places, order), and in these things:
//! - a user's name is listed as a number (the rules that name one are left out here);
//! - before `meta l4proto ipv6-icmp` nft 1.0.6 leaves `meta nfproto ipv6` out, which it loaded;
//! - `meta mark set mark & X ^ Y` is listed as `mark & Z | Y` (the same bits, which reading shows).

use std::path::{Path, PathBuf};

use fwc::emit::Target;
use fwc::net::{Family, Protocol};
use fwc::netfilter::{MatchKind, Ruleset};
use fwc::read::{self, Form};
use fwc::span::FileId;

use super::accept::{can, in_namespace};
use crate::emit::{build, everything};
use crate::read::{faults, settled};

fn read_file(path: &Path, family: Family) -> Ruleset {
    let text = std::fs::read_to_string(path).expect("a file");
    let reading = match read::detect(&text) {
        Some(Form::Iptables(_)) => read::iptables(FileId(0), &text, family),
        Some(Form::NftJson) => read::nft_json(FileId(0), &text),
        _ => read::nft(FileId(0), &text),
    };
    assert_eq!(faults(&reading, &text), [""; 0], "{}", path.display());
    reading.ruleset
}

/// Compares what was loaded with what is listed: our chains and their rules.
fn compare(name: &str, loaded: &Ruleset, listed: &Ruleset) -> usize {
    let (loaded, listed) = (settled(loaded), settled(listed));
    let icmp6 = MatchKind::protocol(Protocol(58));
    let mut count = 0;
    for table in &loaded.tables {
        let other = listed.tables.iter().find(|other| (other.family, &other.name) == (table.family, &table.name));
        let other = other.unwrap_or_else(|| panic!("{name}: no table {}", table.name));
        for chain in &table.chains {
            let same = other.chains.iter().find(|same| same.name == chain.name);
            let same = same.unwrap_or_else(|| panic!("{name}: no chain {}", chain.name));
            assert_eq!(chain.base, same.base, "{name}: {}", chain.name);
            assert_eq!(chain.rules.len(), same.rules.len(), "{name}: {}", chain.name);
            for (rule, listed) in chain.rules.iter().zip(&same.rules) {
                let by_name = rule.matches.iter().any(|item| {
                    matches!(&item.kind, MatchKind::User(user) if user.bytes().any(|byte| !byte.is_ascii_digit()))
                });
                if by_name {
                    continue;
                }
                let mut loaded = rule.clone();
                if listed.family.is_none() && loaded.matches.iter().any(|item| item.kind == icmp6) {
                    loaded.family = None;
                }
                assert_eq!(&loaded, listed, "{name}: {}", chain.name);
                count += 1;
            }
        }
        for set in &table.sets {
            let same = other.sets.iter().find(|same| same.name == set.name);
            assert_eq!(Some(set), same, "{name}: {}", set.name);
        }
    }
    count
}

/// The directories of what is loaded: each example's output, and everything that can be written.
fn directories(target: Target) -> Vec<(String, PathBuf, Option<tempfile::TempDir>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(crate::read::root().join("examples")).expect("examples") {
        let path = entry.expect("entry").path().join("built");
        if path.is_dir() {
            found.push((path.display().to_string(), path, None));
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    let own = tempfile::tempdir().expect("a directory");
    for file in build(&everything(), target, "site") {
        std::fs::write(own.path().join(file.name), file.text).expect("the directory is ours");
    }
    found.push(("everything".to_owned(), own.path().to_owned(), Some(own)));
    found
}

fn one(directory: &Path, ending: &str) -> Option<PathBuf> {
    let files = crate::read::files(directory, &[ending]);
    files.into_iter().find(|path| !path.to_string_lossy().contains(".empty."))
}

#[test]
fn what_iptables_lists_reads_as_what_was_loaded() {
    for variant in ["nft", "legacy"] {
        let test = format!("what_iptables_lists_reads_as_what_was_loaded ({variant})");
        if !can(&test, &[&format!("iptables-{variant} -S"), "ipset list"]) {
            continue;
        }
        let mut count = 0;
        for (name, directory, _kept) in directories(Target::Iptables) {
            for (family, program, ending) in
                [(Family::Ipv4, "iptables", ".rules.v4"), (Family::Ipv6, "ip6tables", ".rules.v6")]
            {
                let Some(rules) = one(&directory, ending) else { continue };
                let sets = one(&directory, ".ipset");
                let members = sets.as_ref().map(|path| std::fs::read_to_string(path).expect("a file"));
                let (members, bad) = read::ipset(FileId(0), &members.unwrap_or_default());
                assert_eq!(bad, [], "{name}");
                let sets = sets.map(|path| format!("ipset restore -exist -file {}\n", path.display()));
                let script = format!(
                    "{}{program}-{variant}-restore --noflush {}\n{program}-{variant}-save",
                    sets.unwrap_or_default(),
                    rules.display()
                );
                let listing = in_namespace(&directory, &script).unwrap_or_else(|error| panic!("{name}: {error}"));
                let mut reading = read::iptables(FileId(0), &listing, family);
                assert_eq!(faults(&reading, &listing), [""; 0], "{name}");
                let mut loaded = read_file(&rules, family);
                read::join(&mut loaded, &members);
                read::join(&mut reading.ruleset, &members);
                count += compare(&format!("{name}, {program}-{variant}"), &loaded, &reading.ruleset);
            }
        }
        assert!(count > 1000, "{count}");
    }
}

#[test]
fn what_nft_lists_reads_as_what_was_loaded() {
    if !can("what_nft_lists_reads_as_what_was_loaded", &["nft list ruleset"]) {
        return;
    }
    let listings = crate::read::root().join("tests/data/listings");
    let mut directories = directories(Target::Nft);
    directories.push(("every statement".to_owned(), listings, None));
    let mut count = 0;
    for (name, directory, _kept) in directories {
        let Some(rules) = one(&directory, ".nft") else { continue };
        let probe = "nft 'add table bridge p; add chain bridge p c; add rule bridge p c ct state new accept'";
        if std::fs::read_to_string(&rules).expect("a file").contains("table bridge fwc {")
            && in_namespace(&directory, probe).is_err()
        {
            println!("skipped: {name}: no connection tracking on bridges here");
            continue;
        }
        let mut loaded = read_file(&rules, Family::Ipv4);
        for (form, flag) in [("text", ""), ("JSON", "-j ")] {
            let script = format!("nft -f {}\nnft {flag}list ruleset", rules.display());
            let listing = in_namespace(&directory, &script).unwrap_or_else(|error| panic!("{name}: {error}"));
            let reading =
                if flag.is_empty() { read::nft(FileId(0), &listing) } else { read::nft_json(FileId(0), &listing) };
            assert_eq!(faults(&reading, &listing), [""; 0], "{name}");
            if !flag.is_empty() {
                // nft 1.0.6 leaves the device of an ingress chain out of its JSON.
                loaded.tables.retain(|table| table.family != fwc::netfilter::TableFamily::Netdev);
            }
            // Written by hand, and listed in other words: what is not modelled is compared by the listings alone.
            if name != "every statement" {
                count += compare(&format!("{name}, {form}"), &loaded, &reading.ruleset);
            }
        }
    }
    assert!(count > 50, "{count}");
}
