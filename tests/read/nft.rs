//! What nft lists, in particular.

use std::fmt::Write as _;

use fwc::netfilter::{Hook, Match, MatchKind, Rule, Ruleset, TableFamily, Verdict};
use fwc::read::{FaultKind, Reading, nft, nft_json};
use fwc::span::FileId;

use super::{faults, settled};

const TEXT: &str = include_str!("../data/listings/everything.txt");
const JSON: &str = include_str!("../data/listings/everything.json");

fn read(text: &str) -> Reading {
    nft(FileId(0), text)
}

/// The rules of a chain that holds these lines.
fn rules(lines: &str) -> Vec<Rule> {
    let reading = read(&format!("table inet t {{\n\tchain c {{\n{lines}\n\t}}\n}}\n"));
    assert_eq!(reading.faults, [], "{lines}");
    let mut rules = reading.ruleset.tables[0].chains[0].rules.clone();
    rules.iter_mut().for_each(|rule| rule.origin = None);
    rules
}

/// Each rule of a listing with what it was read as.
fn shown(ruleset: &Ruleset, text: &str) -> String {
    let mut out = String::new();
    for table in &ruleset.tables {
        let _ = writeln!(out, "table {:?} {} of kind {}", table.family, table.name, table.kind.name());
        for set in &table.sets {
            let _ = writeln!(
                out,
                "  set {} {:?}, live: {}, {} elements",
                set.name,
                set.fields,
                set.live,
                set.elements.len()
            );
        }
        for chain in &table.chains {
            let _ = writeln!(out, "  chain {} {:?}", chain.name, chain.base);
            for rule in &chain.rules {
                let origin = rule.origin.map_or("", |origin| text.get(origin.span.range()).unwrap_or("?"));
                let _ = write!(out, "    {origin}\n        =>");
                if let Some(family) = rule.family {
                    let _ = write!(out, " {family}");
                }
                for item in &rule.matches {
                    let _ = write!(out, " {}{:?}", if item.negated { "not " } else { "" }, item.kind);
                }
                for effect in &rule.effects {
                    let _ = write!(out, " then {effect:?}");
                }
                let _ = writeln!(
                    out,
                    "{}",
                    rule.verdict.as_ref().map_or(String::new(), |verdict| format!(" do {verdict:?}"))
                );
            }
        }
    }
    out
}

#[test]
fn every_statement_has_its_meaning() {
    let reading = read(TEXT);
    assert_eq!(faults(&reading, TEXT), [""; 0]);
    insta::assert_snapshot!("everything", shown(&reading.ruleset, TEXT));
    let objects: Vec<&str> =
        reading.objects.iter().map(|object| object.text.split_whitespace().next().unwrap_or("")).collect();
    assert_eq!(objects, ["counter", "limit", "quota", "table"]);
}

#[test]
fn both_listings_say_the_same() {
    let (mut text, mut json) = (read(TEXT), nft_json(FileId(0), JSON));
    assert_eq!(faults(&json, JSON), [""; 0]);
    // nft 1.0.6 leaves the device of an ingress chain out of its JSON.
    for reading in [&mut text, &mut json] {
        let netdev =
            reading.ruleset.tables.iter().position(|table| table.family == TableFamily::Netdev).expect("there is one");
        reading.ruleset.tables.remove(netdev);
    }
    assert_eq!(settled(&text.ruleset), settled(&json.ruleset));
    let place = json.ruleset.tables[0].chains[1].rules[0].origin.expect("a place").span;
    assert!(JSON.get(place.range()).expect("in the text").contains("\"established\""));
}

#[test]
fn a_chain_without_its_device_is_not_taken_for_every_device() {
    let json = nft_json(FileId(0), JSON);
    let netdev = json.ruleset.tables.iter().find(|table| table.family == TableFamily::Netdev).expect("there is one");
    let chain = &netdev.chains[0];
    assert!(chain.base.expect("a place").accept && chain.base.expect("a place").hook == Hook::Ingress);
    assert!(chain.rules.iter().all(|rule| matches!(rule.matches[0].kind, MatchKind::Unknown(_))));
}

#[test]
fn a_match_behind_an_effect_makes_two_rules_or_is_kept_by_its_text() {
    let two = rules("iifname \"eth0\" log prefix \"a\" ip saddr 10.0.0.1 drop");
    assert_eq!(two.len(), 2);
    // The log is written for both families, the drop holds for one.
    assert_eq!((two[0].family, two[0].matches.len(), two[0].effects.len(), &two[0].verdict), (None, 1, 1, &None));
    assert_eq!((two[1].matches.len(), two[1].effects.len(), &two[1].verdict), (2, 0, &Some(Verdict::Drop)));
    let kept = rules("limit rate 1/second log prefix \"a\" ip saddr 10.0.0.1 drop");
    assert!(matches!(kept.as_slice(), [Rule { verdict: Some(Verdict::Unknown(_)), .. }]), "{kept:?}");
    let marked = rules("meta mark 0x1 meta mark set 0x2 ip saddr 10.0.0.1 drop");
    assert!(matches!(marked.as_slice(), [Rule { verdict: Some(Verdict::Unknown(_)), .. }]), "{marked:?}");
}

#[test]
fn what_is_not_understood_keeps_its_verdict_and_its_text() {
    let text = "table inet t {\nchain c {\ntcp dport 22 frobnicate the packet { 1, 2 } drop comment \"x\"\n}\n}\n";
    let reading = read(text);
    let [fault] = reading.faults.as_slice() else { panic!("{:?}", reading.faults) };
    // A later nft may have it.
    assert_eq!((fault.kind, text.get(fault.span.range())), (FaultKind::UnreadRule, Some("frobnicate")));
    let read = reading.ruleset.tables[0].chains[0].rules.clone();
    let [one] = read.as_slice() else { panic!("{read:?}") };
    assert_eq!(one.matches.last(), Some(&Match::is(MatchKind::Unknown("frobnicate the packet { 1, 2 } drop".into()))));
    assert_eq!((one.verdict.clone(), one.comment.as_deref()), (Some(Verdict::Drop), Some("x")));
    let extensions = rules("xt match \"recent\" counter drop\nxt match \"recent\" counter drop");
    assert_ne!(extensions[0].matches, extensions[1].matches, "their parameters are hidden and may differ");
}

#[test]
fn sets_that_are_not_modelled_are_told_apart_by_their_elements() {
    let with = |elements: &str| {
        let text = format!(
            "table inet t {{\nset m {{\ntype mark\nelements = {{ {elements} }}\n}}\nchain c {{\nmeta mark @m drop\n}}\n}}\n"
        );
        let reading = read(&text);
        assert_eq!(reading.faults, []);
        reading.ruleset.tables[0].chains[0].rules[0].matches.clone()
    };
    assert_eq!(with("0x1, 0x2"), with("0x1,\n 0x2"));
    assert_ne!(with("0x1, 0x2"), with("0x1, 0x3"));
}

#[test]
fn a_script_is_read_as_it_leaves_the_host() {
    let text = "#!/usr/sbin/nft -f\ntable inet a { chain x { drop; }; }\ndelete table inet a\nadd table inet a\n\
        add chain inet a x { type filter hook input priority filter - 5; policy drop; }\n\
        add set inet a s { type ipv4_addr; flags interval; }\nadd rule inet a x ip saddr @s accept\n\
        add rule inet a x counter drop\ninsert rule inet a x iifname \"lo\" accept\n\
        add element inet a s { 10.0.0.0/8, \\\n 192.168.0.0/16 }\ntable ip b {\n\tchain y {\n\t\taccept\n\t}\n}\nflush chain ip b y\n";
    let reading = read(text);
    assert_eq!(reading.faults, []);
    let table = &reading.ruleset.tables[0];
    assert_eq!(table.chains.len(), 1);
    let [first, second, third] = table.chains[0].rules.as_slice() else { panic!("{:?}", table.chains[0].rules) };
    assert!(matches!(first.matches[0].kind, MatchKind::InInterface(_)));
    let MatchKind::Source(set) = &second.matches[0].kind else { panic!("{second:?}") };
    assert_eq!(set.ranges().len(), 2);
    assert_eq!(third.verdict, Some(Verdict::Drop));
    assert!(reading.ruleset.tables[1].chains[0].rules.is_empty());
}

#[test]
fn a_bad_line_costs_itself_alone() {
    let text = "nonsense\ntable inet t {\n\twhat is this\n\tchain c {\n\t\ttype filter hook nowhere priority 0\n\t\tlog prefix \"open\n\t\taccept\n\t}\n\tset s {\n\t\ttype ipv4_addr\n\t\tcolour green\n\t\telements = { 10.0.0.1 }\n\t}\n}\ndefine x = 1\ntable inet u {\n\tchain d {\n\t\tdrop\n";
    let reading = read(text);
    assert_eq!(reading.ruleset.tables[0].chains[0].rules.len(), 1);
    assert_eq!(reading.ruleset.tables[1].chains[0].rules.len(), 1);
    assert_eq!(reading.ruleset.tables[0].sets[0].elements.len(), 1);
    let messages: Vec<String> =
        reading.faults.iter().map(|fault| format!("{} | {}", fault.message, fault.help)).collect();
    insta::assert_snapshot!("nft_faults", messages.join("\n"));
}

#[test]
fn one_question_is_one_condition_however_it_is_written() {
    for (short, listed) in [
        ("time > \"2020-01-01 00:00:00\" accept", "meta time > \"2020-01-01 00:00:00\" accept"),
        ("time \"2020-01-01 00:00:00\" accept", "meta time == \"2020-01-01 00:00:00\" accept"),
        ("cpu 2 accept", "meta cpu 2 accept"),
        ("meta iifgroup 7 accept", "iifgroup 7 accept"),
    ] {
        let read = rules(short);
        assert_eq!(read, rules(listed), "{short}");
        let unknown = |item: &Match| matches!(item.kind, MatchKind::Unknown(_));
        assert!(matches!(read[0].matches.as_slice(), [one] if unknown(one)), "{read:?}");
    }
}
