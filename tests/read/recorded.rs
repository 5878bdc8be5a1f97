//! Rule sets recorded from real platforms are read whole; what is not modelled is listed.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use fwc::net::Family;
use fwc::netfilter::{Effect, MatchKind, Ruleset, Verdict};
use fwc::read;
use fwc::span::FileId;

use super::{faults, files, root, settled};

/// The tables that iptables-nft makes.
const IPTABLES_NFT: [&str; 5] = ["raw", "mangle", "nat", "filter", "security"];

/// What of a rule set is not modelled, with how often it is there.
fn unknown(ruleset: &Ruleset, found: &mut BTreeMap<String, usize>) {
    let mut note = |kind: &str, text: &str| *found.entry(format!("{kind}: {text}")).or_insert(0) += 1;
    for rule in ruleset.tables.iter().flat_map(|table| &table.chains).flat_map(|chain| &chain.rules) {
        for item in &rule.matches {
            if let MatchKind::Unknown(text) = &item.kind {
                note("match", text);
            }
        }
        for effect in &rule.effects {
            if let Effect::Unknown(text) = effect {
                note("effect", text);
            }
        }
        if let Some(Verdict::Unknown(text)) = &rule.verdict {
            note("verdict", text);
        }
    }
}

#[test]
fn recorded_iptables_rule_sets_are_read_whole() {
    let mut found = BTreeMap::new();
    let paths = files(&root().join("tests/data/rulesets"), &["tables.save", "-legacy.save", ".rules"]);
    assert!(paths.len() > 20);
    for path in paths {
        let text = std::fs::read_to_string(&path).expect("a file");
        let named = if path.to_string_lossy().contains("ip6tables") { Family::Ipv6 } else { Family::Ipv4 };
        if let Some(form) = read::detect(&text) {
            let said = matches!(form, read::Form::Iptables(family) if family.is_none_or(|family| family == named));
            assert!(said, "{}: {form:?}", path.display());
        }
        let reading = read::iptables(FileId(0), &text, named);
        assert_eq!(faults(&reading, &text), [""; 0], "{}", path.display());
        let rules: usize =
            reading.ruleset.tables.iter().flat_map(|table| &table.chains).map(|chain| chain.rules.len()).sum();
        assert_eq!(rules, text.lines().filter(|line| line.starts_with("-A")).count(), "{}", path.display());
        unknown(&reading.ruleset, &mut found);
    }
    let mut out = String::new();
    for (text, count) in found {
        let _ = writeln!(out, "{count} {text}");
    }
    insta::assert_snapshot!("iptables_unknown", out);
}

#[test]
fn recorded_nft_rule_sets_are_read_whole() {
    let mut both = 0;
    let mut found = BTreeMap::new();
    let paths = files(&root().join("tests/data/rulesets"), &["nft.txt", ".nft"]);
    assert!(paths.len() > 25);
    for path in paths {
        let text = std::fs::read_to_string(&path).expect("a file");
        assert!(matches!(read::detect(&text), Some(read::Form::Nft) | None), "{}", path.display());
        let mut reading = read::nft(FileId(0), &text);
        assert_eq!(faults(&reading, &text), [""; 0], "{}", path.display());
        // The other listing, where it was recorded, says the same, but for what iptables-nft made: it hides the parameters of
        // extensions.
        reading.ruleset.tables.retain(|table| !IPTABLES_NFT.contains(&&*table.name));
        if let Ok(json) = std::fs::read_to_string(path.with_extension("json")) {
            let mut other = read::nft_json(FileId(0), &json);
            assert_eq!(faults(&other, &json), [""; 0], "{}", path.display());
            other.ruleset.tables.retain(|table| !IPTABLES_NFT.contains(&&*table.name));
            assert_eq!(settled(&reading.ruleset), settled(&other.ruleset), "{}", path.display());
            both += 1;
        }
        unknown(&reading.ruleset, &mut found);
    }
    let mut out = String::new();
    for (text, count) in found {
        let _ = writeln!(out, "{count} {text}");
    }
    assert!(both > 25, "{both}");
    insta::assert_snapshot!("nft_unknown", out);
}

#[test]
fn a_host_is_read_once_though_two_tools_list_it() {
    let directory = root().join("tests/data/rulesets/ufw-0.36/b-typical");
    let text = |name: &str| std::fs::read_to_string(directory.join(name)).expect(name);
    let readings = [
        read::iptables(FileId(0), &text("iptables.save"), Family::Ipv4),
        read::iptables(FileId(1), &text("ip6tables.save"), Family::Ipv6),
        read::nft(FileId(2), &text("nft.txt")),
    ];
    let before: usize = readings[..2].iter().map(|reading| reading.ruleset.tables.len()).sum();
    let whole = read::merge(readings, &[]);
    assert_eq!(whole.ruleset.tables.len(), before);
}
