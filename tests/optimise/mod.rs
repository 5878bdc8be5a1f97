//! What the optimiser makes of a list decides every packet as the list did. The evaluator here is made for this test alone: it walks
//! chains as the kernel does, over a universe small enough to try every packet.

use std::net::IpAddr;
use std::sync::Arc;

use fwc::emit::Target;
use fwc::net::{Family, Protocol};
use fwc::netfilter::{
    Chain, Effect, Hook, Match, MatchKind, Owner, Rule, Ruleset, Set, SetField, SetValue, Table, TableFamily,
    TableKind, Verdict,
};
use fwc::optimise::optimise;
use fwc::span::{FileId, Location, SourceText, Span};

use crate::emit::{addresses, at_hook, chain, is, not, ports, protocol, rule};

#[derive(Clone, Copy, Debug)]
struct Packet {
    source: IpAddr,
    destination: IpAddr,
    protocol: Protocol,
    port: u16,
    dialled: u16,
    mark: u32,
}

/// What became of a packet: the effects in order, then the verdict; `None` if our program has nothing to say.
type Fate = (Vec<Effect>, Option<Verdict>);

struct Evaluator<'a> {
    table: &'a Table,
}

/// How a chain was left.
enum Left {
    Decided(Verdict),
    Returned,
}

impl Evaluator<'_> {
    fn fate(&self, entry: &str, packet: Packet) -> Fate {
        let mut effects = Vec::new();
        let left = self.chain(entry, packet, &mut effects, 0);
        (
            effects,
            match left {
                Left::Decided(verdict) => Some(verdict),
                Left::Returned => None,
            },
        )
    }

    fn find(&self, name: &str) -> &Chain {
        self.table.chains.iter().find(|chain| &*chain.name == name).expect("every chain that is named exists")
    }

    fn set(&self, name: &str) -> &Set {
        self.table.sets.iter().find(|set| &*set.name == name).expect("every set that is named exists")
    }

    fn chain(&self, name: &str, packet: Packet, effects: &mut Vec<Effect>, depth: usize) -> Left {
        assert!(depth < 16, "nf_tables takes no more gotos");
        for rule in &self.find(name).rules {
            if !self.rule(rule, packet) {
                continue;
            }
            effects.extend(rule.effects.iter().cloned());
            match &rule.verdict {
                None => {}
                Some(Verdict::Return) => return Left::Returned,
                Some(Verdict::Goto(next)) => return self.chain(next, packet, effects, depth + 1),
                Some(Verdict::Jump(next)) => {
                    if let Left::Decided(verdict) = self.chain(next, packet, effects, depth + 1) {
                        return Left::Decided(verdict);
                    }
                }
                Some(Verdict::Map { fields, elements }) => {
                    let holds =
                        |key: &[SetValue]| fields.iter().zip(key).all(|(field, value)| in_value(*field, value, packet));
                    if let Some((_, next)) = elements.iter().find(|(key, _)| holds(key)) {
                        return self.chain(chain_of(next), packet, effects, depth + 1);
                    }
                }
                Some(verdict) => return Left::Decided(verdict.clone()),
            }
        }
        Left::Returned
    }

    fn rule(&self, rule: &Rule, packet: Packet) -> bool {
        rule.family.is_none_or(|family| family == Family::of(packet.source))
            && rule.matches.iter().all(|item| self.matches(item, packet) != item.negated)
    }

    fn matches(&self, item: &Match, packet: Packet) -> bool {
        match &item.kind {
            MatchKind::Source(set) => set.contains(packet.source),
            MatchKind::Destination(set) => set.contains(packet.destination),
            MatchKind::Protocol(list) => list.contains(&packet.protocol),
            MatchKind::DestinationPort(set) => packet.protocol.has_ports() && set.contains(packet.port),
            MatchKind::OriginalDestinationPort(set) => packet.protocol.has_ports() && set.contains(packet.dialled),
            MatchKind::Mark { value, mask } => packet.mark & mask == *value,
            // Uninterpreted, but the same for the same packet.
            MatchKind::Limit(_) => packet.mark % 2 == 1,
            MatchKind::InSet(asked) => {
                self.set(&asked.set).elements.iter().any(|element| {
                    asked.fields.iter().zip(element).all(|(field, value)| in_value(*field, value, packet))
                })
            }
            kind => panic!("the lists of this test have no {kind:?}"),
        }
    }
}

fn in_value(field: SetField, value: &SetValue, packet: Packet) -> bool {
    match (field, value) {
        (SetField::Source, SetValue::Address(range)) => range.unpacked().contains(packet.source),
        (SetField::Destination, SetValue::Address(range)) => range.unpacked().contains(packet.destination),
        (SetField::DestinationService, SetValue::Service(protocol, range)) => {
            *protocol == packet.protocol && range.first <= packet.port && packet.port <= range.last
        }
        (SetField::OriginalService, SetValue::Service(protocol, range)) => {
            *protocol == packet.protocol && range.first <= packet.dialled && packet.dialled <= range.last
        }
        other => panic!("no set of this test has {other:?}"),
    }
}

/// A small generator of numbers (xorshift): the same lists in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }

    fn one_in(&mut self, sides: u64) -> bool {
        self.roll(sides) == 0
    }
}

const SOURCES: [&str; 8] =
    ["10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.9", "2001:db8::", "2001:db8::1", "2001:db8::2"];

fn packets() -> Vec<Packet> {
    let mut out = Vec::new();
    for source in SOURCES {
        let source: IpAddr = source.parse().expect("address");
        for host in 0..3 {
            let destination = if source.is_ipv4() { format!("10.1.0.{host}") } else { format!("2001:db9::{host}") };
            for protocol in [Protocol::TCP, Protocol::UDP, Protocol::ICMP] {
                for port in 0..24 {
                    for mark in [0, 1] {
                        let destination = destination.parse().expect("address");
                        // The port that was dialled and the one behind translation differ.
                        out.push(Packet { source, destination, protocol, port, dialled: (port * 7) % 24, mark });
                    }
                }
            }
        }
    }
    out
}

fn random_rule(dice: &mut Dice, shape: u64, at: usize) -> Rule {
    let six = dice.one_in(4);
    let mut matches = Vec::new();
    let address = |dice: &mut Dice| match (six, dice.roll(6)) {
        (false, 0) => "10.0.0.0/30".to_owned(),
        (false, 1) => "10.0.0.1-10.0.0.2 10.0.0.9".to_owned(),
        (false, number) => format!("10.0.0.{}", number % 4),
        (true, 0) => "2001:db8::/127".to_owned(),
        (true, number) => format!("2001:db8::{}", number % 3),
    };
    if shape != 1 || dice.one_in(3) {
        let set = addresses(&address(dice));
        matches.push(if dice.one_in(9) { not(MatchKind::Source(set)) } else { is(MatchKind::Source(set)) });
    }
    if dice.one_in(5) {
        let set =
            addresses(&if six { format!("2001:db9::{}", dice.roll(3)) } else { format!("10.1.0.{}", dice.roll(3)) });
        matches.push(is(MatchKind::Destination(set)));
    }
    if shape != 2 || dice.one_in(3) {
        matches.push(match dice.roll(4) {
            0 => protocol(Protocol::UDP),
            1 if dice.one_in(3) => is(MatchKind::Protocol(vec![Protocol::TCP, Protocol::UDP].into())),
            _ => protocol(Protocol::TCP),
        });
        let first = dice.roll(24);
        let set = ports(&match dice.roll(5) {
            0 => format!("{first}-{}", first + 3),
            1 => format!("{first} {}", first + 5),
            _ => first.to_string(),
        });
        matches.push(match (shape, dice.one_in(12)) {
            (3, _) => is(MatchKind::OriginalDestinationPort(set)),
            (_, true) => not(MatchKind::DestinationPort(set)),
            _ => is(MatchKind::DestinationPort(set)),
        });
    }
    if dice.one_in(25) {
        matches.push(is(MatchKind::Mark { value: 1, mask: 1 }));
    }
    if dice.one_in(40) {
        matches.push(crate::emit::limit(None));
    }
    let allow = match dice.roll(3) {
        0 => Verdict::Return,
        1 => Verdict::Goto("fwc-sub".into()),
        _ => Verdict::Accept,
    };
    let mut out = rule(
        matches,
        if dice.one_in(4) {
            Verdict::Drop
        } else if dice.one_in(3) {
            allow
        } else {
            Verdict::Accept
        },
    );
    if dice.one_in(30) {
        out.effects.push(Effect::Log { prefix: format!("{at}: ").into(), level: 4 });
        if dice.one_in(2) {
            out.verdict = None;
        }
    }
    out.family = Some(if six { Family::Ipv6 } else { Family::Ipv4 });
    out.origin = Some(Location { file: FileId(0), span: Span::new(at * 2, at * 2 + 1) });
    out
}

/// A list, its first packet that is decided otherwise afterwards (if any), and the rules before and after.
fn compare(rules: Vec<Rule>, target: Target, spoil: impl Fn(&mut Table)) -> (Option<String>, usize, usize) {
    let mut ruleset = Ruleset::default();
    at_hook(&mut ruleset, TableKind::Filter, Hook::Input, rules);
    let table = ruleset.table_mut(TableFamily::Inet, TableKind::Filter);
    table.chains.push(chain("fwc-sub", vec![rule(vec![is(MatchKind::Mark { value: 1, mask: 1 })], Verdict::Drop)]));
    let before = table.clone();
    let sources = [SourceText { path: "site.fw".into(), text: "\n".repeat(4000).into() }];
    optimise(&mut ruleset, target, &sources);
    let table = ruleset.table_mut(TableFamily::Inet, TableKind::Filter);
    spoil(table);
    let mut names: Vec<&Arc<str>> = table.chains.iter().map(|chain| &chain.name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), table.chains.len(), "chain names are used once");
    assert!(names.iter().all(|name| name.len() <= 28), "chain names fit");
    let (old, new) = (Evaluator { table: &before }, Evaluator { table });
    let differs = packets().into_iter().find_map(|packet| {
        let (was, is) = (old.fate("fwc-input", packet), new.fate("fwc-input", packet));
        (was != is).then(|| format!("{packet:?}: {was:?}, and now {is:?}"))
    });
    let length = |table: &Table| {
        table.chains.iter().find(|chain| &*chain.name == "fwc-input").map_or(0, |chain| chain.rules.len())
    };
    (differs, length(&before), length(table))
}

#[test]
fn every_packet_is_decided_as_before() {
    let mut shortened = 0;
    for seed in 1..160 {
        for target in [Target::Iptables, Target::Nft] {
            let mut dice = Dice(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
            let count = 5 + dice.roll(90);
            let shape = dice.roll(4);
            let rules =
                (0..count).map(|at| random_rule(&mut dice, shape, usize::try_from(at).expect("small"))).collect();
            let (differs, before, after) = compare(rules, target, |_| {});
            assert_eq!(differs, None, "seed {seed}, {target:?}");
            shortened += usize::from(after < before);
        }
    }
    assert!(shortened > 200, "the lists of this test are meant to be shortened: {shortened} were");
}

#[test]
fn a_wrong_fold_is_seen() {
    let pairs = |verdict: Verdict| {
        (0..20).map(move |at: u16| {
            let source = addresses(&format!("10.0.0.{}", at % 4));
            let port = is(MatchKind::DestinationPort(ports(&at.to_string())));
            rule(vec![is(MatchKind::Source(source)), protocol(Protocol::TCP), port], verdict.clone())
        })
    };
    let (differs, before, after) = compare(pairs(Verdict::Accept).collect(), Target::Nft, |_| {});
    assert_eq!((differs, before, after), (None, 20, 1));
    // One element too few, one too many, one of another protocol.
    let spoils: [fn(&mut Table); 3] = [
        |table| drop(table.sets[0].elements.pop()),
        |table| {
            let element = vec![table.sets[0].elements[0][0].clone(), table.sets[0].elements[1][1].clone()];
            table.sets[0].elements.push(element.into());
        },
        |table| {
            if let SetValue::Service(protocol, _) = &mut table.sets[0].elements[3][1] {
                *protocol = Protocol::UDP;
            }
        },
    ];
    for spoil in spoils {
        assert!(compare(pairs(Verdict::Accept).collect(), Target::Nft, spoil).0.is_some());
    }
    // Moving a rule across one that decides otherwise.
    let mixed = || {
        pairs(Verdict::Accept)
            .zip(pairs(Verdict::Drop))
            .enumerate()
            .map(|(at, (yes, no))| if at % 2 == 0 { yes } else { no })
    };
    for target in [Target::Iptables, Target::Nft] {
        assert_eq!(compare(mixed().collect(), target, |_| {}).0, None);
        let lose = |table: &mut Table| {
            let leaf = table
                .chains
                .iter_mut()
                .rev()
                .find(|chain| chain.base.is_none() && chain.rules.len() > 1)
                .expect("a leaf");
            leaf.rules.remove(0);
        };
        assert!(compare(mixed().collect(), target, lose).0.is_some(), "{target:?}");
    }
}

#[test]
fn folded_rules_say_which_lines_they_came_from() {
    let mut ruleset = Ruleset::default();
    let rules = [0u16, 1, 2, 4].map(|line| {
        let mut one = rule(
            vec![protocol(Protocol::TCP), is(MatchKind::DestinationPort(ports(&line.to_string())))],
            Verdict::Accept,
        );
        let at = usize::from(line);
        one.origin = Some(Location { file: FileId(0), span: Span::new(at, at) });
        one
    });
    at_hook(&mut ruleset, TableKind::Filter, Hook::Input, rules.to_vec());
    let sources = [SourceText { path: "site.fw".into(), text: "\n\n\n\n\n".into() }];
    optimise(&mut ruleset, Target::Nft, &sources);
    let chain = &ruleset.tables[0].chains[0];
    assert_eq!(chain.owner, Owner::Fwc);
    assert_eq!(chain.rules.len(), 1);
    assert_eq!(chain.rules[0].comment.as_deref(), Some("site.fw:1-3,5"));
}

/// `allow tcp PORT from ADDRESS`, as many as asked, no two alike.
pub fn pairs(count: u32, dialled: bool) -> Ruleset {
    let rules = (0..count).map(|at| {
        let spread = at.wrapping_mul(2_654_435_761);
        let source = IpAddr::from(std::net::Ipv4Addr::from(0x0a00_0000 | (spread >> 8)));
        let port = u16::try_from(1 + at % 60_000).expect("a port");
        let set = [fwc::net::PortRange::single(port)].into_iter().collect();
        let port = if dialled { MatchKind::OriginalDestinationPort(set) } else { MatchKind::DestinationPort(set) };
        let source = [fwc::net::AddressRange::single(source)].into_iter().collect();
        let mut one = rule(vec![is(MatchKind::Source(source)), protocol(Protocol::TCP), is(port)], Verdict::Accept);
        one.family = Some(Family::Ipv4);
        one.origin = Some(Location { file: FileId(0), span: Span::new(at as usize, at as usize) });
        one
    });
    let mut ruleset = Ruleset::default();
    let mut rules: Vec<Rule> = rules.collect();
    rules.push(Rule { verdict: Some(Verdict::Drop), ..Rule::default() });
    at_hook(&mut ruleset, TableKind::Filter, Hook::Input, rules);
    ruleset
}

/// Where a map of ours leads: it goes, and does nothing else.
fn chain_of(verdict: &Verdict) -> &Arc<str> {
    match verdict {
        Verdict::Goto(next) => next,
        other => panic!("{other:?} in a map"),
    }
}

/// The most rules that one packet can meet on its way through a table.
fn longest_way(table: &Table, chain: &str) -> usize {
    let rules = &table.chains.iter().find(|found| &*found.name == chain).expect("a chain").rules;
    let mut worst = rules.len();
    for (at, one) in rules.iter().enumerate() {
        let next: Vec<&Arc<str>> = match &one.verdict {
            Some(Verdict::Goto(next)) => vec![next],
            Some(Verdict::Map { elements, .. }) => elements.iter().map(|(_, next)| chain_of(next)).collect(),
            _ => continue,
        };
        for next in next {
            worst = worst.max(at + 1 + longest_way(table, next));
        }
    }
    worst
}

#[test]
fn ten_thousand_rules_become_a_short_way() {
    for target in [Target::Iptables, Target::Nft] {
        for dialled in [false, true] {
            let mut ruleset = pairs(10_000, dialled);
            optimise(&mut ruleset, target, &[]);
            let way = longest_way(&ruleset.tables[0], "fwc-input");
            assert!(way <= 40, "{target:?}, dialled {dialled}: {way} rules");
        }
    }
}
