//! What fwc writes is read whole: nothing in it is unknown.

use fwc::net::Family;
use fwc::netfilter::{Effect, MatchKind, Ruleset, Verdict};
use fwc::read::{self, Form, Reading};
use fwc::span::FileId;

use super::{faults, files, root};

/// Everything that is not modelled.
fn unknown(ruleset: &Ruleset) -> Vec<String> {
    let mut found = Vec::new();
    for rule in ruleset.tables.iter().flat_map(|table| &table.chains).flat_map(|chain| &chain.rules) {
        for item in &rule.matches {
            if let MatchKind::Unknown(text) = &item.kind {
                found.push(text.to_string());
            }
        }
        found.extend(rule.effects.iter().filter_map(|effect| match effect {
            Effect::Unknown(text) => Some(text.to_string()),
            _ => None,
        }));
        if let Some(Verdict::Unknown(text)) = &rule.verdict {
            found.push(text.to_string());
        }
    }
    found
}

#[test]
fn the_examples_outputs_are_read_whole() {
    let mut count = 0;
    for directory in
        std::fs::read_dir(root().join("examples")).expect("examples").map(|entry| entry.expect("entry").path())
    {
        let built = directory.join("built");
        if !built.is_dir() {
            continue;
        }
        let mut sets = Vec::new();
        let mut readings: Vec<Reading> = Vec::new();
        for path in files(&built, &[".ipset", ".v4", ".v6", ".nft"]) {
            let text = std::fs::read_to_string(&path).expect("a file");
            let reading = match read::detect(&text) {
                Some(Form::Ipset) => {
                    let (found, faults) = read::ipset(FileId(0), &text);
                    assert_eq!(faults, [], "{}", path.display());
                    sets = found;
                    continue;
                }
                Some(Form::Iptables(family)) => {
                    let named =
                        if path.extension().is_some_and(|word| word == "v6") { Family::Ipv6 } else { Family::Ipv4 };
                    assert_eq!(family, Some(named), "{}", path.display());
                    read::iptables(FileId(0), &text, named)
                }
                Some(Form::Nft) => read::nft(FileId(0), &text),
                other => panic!("{}: {other:?}", path.display()),
            };
            assert_eq!(faults(&reading, &text), [""; 0], "{}", path.display());
            assert_eq!(reading.objects, [], "{}", path.display());
            count += reading
                .ruleset
                .tables
                .iter()
                .flat_map(|table| &table.chains)
                .map(|chain| chain.rules.len())
                .sum::<usize>();
            readings.push(reading);
        }
        let whole = read::merge(readings, &sets);
        assert_eq!(unknown(&whole.ruleset), [""; 0], "{}", directory.display());
    }
    assert!(count > 1000, "{count}");
}

#[test]
fn sets_beside_iptables_become_part_of_the_rules() {
    let sets = "create spare hash:net family inet -exist\nflush spare\nadd spare 10.0.0.0/8\nadd spare 192.0.2.1\nswap spare fwc-net\n";
    let (found, faults) = read::ipset(FileId(0), sets);
    assert!(found.iter().all(|set| &*set.name != "spare"), "{found:?}");
    assert_eq!(faults, []);
    let rules = "*filter\n:INPUT ACCEPT\n-A INPUT -m set ! --match-set fwc-net dst -j DROP\n-A INPUT -m set --match-set gone src -j DROP\nCOMMIT\n";
    let whole = read::merge([read::iptables(FileId(0), rules, Family::Ipv4)], &found);
    let rules = &whole.ruleset.tables[0].chains[0].rules;
    assert!(rules[0].matches[0].negated);
    let MatchKind::Destination(set) = &rules[0].matches[0].kind else { panic!("{:?}", rules[0]) };
    assert_eq!(set.ranges().len(), 2);
    assert_eq!(unknown(&whole.ruleset), ["-m set --match-set gone src"]);
    let (found, _) =
        read::ipset(FileId(0), "create live hash:ip timeout 0\ncreate pair hash:net,port\nadd pair 10.0.0.1,udp:53\n");
    let rules = "*filter\n:INPUT ACCEPT\n-A INPUT -m set --match-set live src -j DROP\n-A INPUT -m set --match-set pair src,dst -j DROP\nCOMMIT\n";
    let whole = read::merge([read::iptables(FileId(0), rules, Family::Ipv4)], &found);
    assert_eq!(unknown(&whole.ruleset), [""; 0]);
    assert_eq!(whole.ruleset.tables[0].sets.len(), 2);
    assert!(whole.ruleset.tables[0].sets[0].live);
}
