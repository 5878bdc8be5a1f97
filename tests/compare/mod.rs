//! Differences of random rule sets, against the ways of single packets: each example goes the two ways that are said, and where a
//! random packet's verdicts differ, a difference of that kind is told.

use fwc::compare::{Effort, Kind, compare};
use fwc::host::{Host, load};
use fwc::net::Family;
use fwc::netfilter::{Base, Hook, MarkWord, Ruleset, TableKind};
use fwc::packet::Field;
use fwc::packet::field::{Word, number_name};
use fwc::program::{Packet, Space};
use fwc::project::{MemoryFileSystem, Options, Root};
use fwc::simulate::{Outcome, parse, trace};

use crate::prove::lists::{Lists, shown};

fn host(mut ruleset: Ruleset) -> Host {
    for chain in &mut ruleset.tables[0].chains {
        if &*chain.name == "start" {
            chain.base = Some(Base { kind: TableKind::Filter, hook: Hook::Input, priority: 0, accept: true });
        }
    }
    Host { ruleset, families: vec![Family::Ipv4], ..Host::default() }
}

fn allowed(host: &Host, packet: &str) -> bool {
    let question = parse(packet).unwrap_or_else(|fault| panic!("{packet}: {fault:?}"));
    let way = trace(host, &question).expect(packet);
    assert!(way.doubts.is_empty(), "{packet}: something of it is not known");
    way.outcome == Outcome::Delivered
}

/// A packet of the small world in words.
fn words(packet: &Packet, space: &Space) -> String {
    let get = |field| packet.get(field).expect("every field is known");
    let source = std::net::Ipv4Addr::from(u32::try_from(get(Field::SOURCE)).expect("IPv4"));
    let card = number_name(get(Field::IN_INTERFACE)).expect("a name");
    let (protocol, port) = (get(Field::PROTOCOL), get(Field::DESTINATION_PORT));
    let marks = packet.values().iter().filter_map(|(field, value)| space.universe.bits(*field, *value));
    // A connection begins without a mark.
    let mark: u32 = marks.filter(|(word, _)| *word == Word::Mark(MarkWord::Packet)).map(|(_, bits)| bits.value).sum();
    // Of protocols without ports the world has ports, too; no rule sees them.
    let ends = match protocol {
        6 | 17 | 33 => format!("{source}:9 -> 192.0.2.1:{port}"),
        _ => format!("{source} -> 192.0.2.1"),
    };
    format!("protocol {protocol} {ends} in {card} to host mark {mark:#x}")
}

#[test]
fn examples_show_what_they_are_examples_of_and_nothing_is_left_out() {
    let mut lists = Lists::new(0xc0de);
    let (mut equal, mut told, mut differ, mut unknown) = (0, 0, 0, 0);
    for _ in 0..250 {
        let one = lists.ruleset();
        let other = lists.changed(&one);
        let (left, right) = (host(one.clone()), host(other.clone()));
        let text = || format!("{}\n{}", shown(&one), shown(&other));
        let report = compare(&left, &right, false, Effort::default());
        if !report.unknown.is_empty() {
            unknown += 1;
            continue;
        }
        equal += usize::from(report.changes.is_empty());
        for change in &report.changes {
            let ways = (allowed(&left, &change.example), allowed(&right, &change.example));
            let right_way = match change.kind {
                Kind::Allowed => ways == (false, true),
                Kind::Denied => ways == (true, false),
                Kind::Effect(..) => ways.0 == ways.1,
            };
            assert!(right_way, "{change:?} goes {ways:?}\n{}", text());
            told += 1;
        }
        let space = Space::new(Family::Ipv4, [&one, &other]);
        for _ in 0..40 {
            let mut packet = lists.packet(&space);
            packet.set(Field::STATE, 0);
            let packet = words(&packet, &space);
            let ways = (allowed(&left, &packet), allowed(&right, &packet));
            if ways.0 != ways.1 {
                differ += 1;
                let kind = if ways.1 { Kind::Allowed } else { Kind::Denied };
                assert!(report.changes.iter().any(|change| change.kind == kind), "{packet} goes {ways:?}\n{}", text());
            }
        }
    }
    println!("{equal} equal, {told} changes told, {differ} packets differ, {unknown} not compared");
    assert!(equal > 50 && told > 50 && differ > 50 && unknown < 25);
}

#[test]
fn a_spent_budget_is_said() {
    let mut lists = Lists::new(0xbead);
    let mut spent = 0;
    for _ in 0..40 {
        let one = lists.ruleset();
        let other = lists.changed(&one);
        let report = compare(&host(one), &host(other), false, Effort { search: 0, pair: 0 });
        spent += usize::from(!report.unknown.is_empty());
        assert!(report.changes.is_empty());
    }
    assert!(spent > 0);
}

/// A host whose table mangle marks what comes by an interface, and whose table filter asks for the mark.
fn marking(interface: &str) -> Host {
    let rules = format!(
        "*mangle\n:INPUT ACCEPT [0:0]\n-A INPUT -i {interface} -j MARK --set-xmark 0x1/0xff\n\
         -A INPUT -p udp -j CONNMARK --restore-mark\n-A INPUT -j CONNMARK --save-mark\nCOMMIT\n\
         *filter\n:INPUT DROP [0:0]\n-A INPUT -m connmark --mark 0x1/0xff -j ACCEPT\nCOMMIT\n"
    );
    let root = Root { path: "rules.v4".into(), bytes: rules.into_bytes() };
    load(&MemoryFileSystem::default(), vec![root], Vec::new(), Options::default())
        .unwrap_or_else(|refused| panic!("{refused:?}"))
}

#[test]
fn marks_are_followed_from_one_chain_into_the_next() {
    let (left, right) = (marking("eth0"), marking("eth1"));
    assert!(compare(&left, &left, false, Effort::default()).changes.is_empty());
    let report = compare(&left, &right, false, Effort::default());
    assert_eq!(report.unknown, Vec::<String>::new());
    let verdicts: Vec<_> = report.changes.iter().filter(|change| !matches!(change.kind, Kind::Effect(..))).collect();
    assert!(verdicts.iter().any(|change| change.kind == Kind::Allowed), "{verdicts:?}");
    assert!(verdicts.iter().any(|change| change.kind == Kind::Denied), "{verdicts:?}");
    for change in verdicts {
        let (before, after) = (allowed(&left, &change.example), allowed(&right, &change.example));
        assert_ne!(before, after, "{}", change.example);
        assert_eq!(after, change.kind == Kind::Allowed, "{}", change.example);
    }
}
