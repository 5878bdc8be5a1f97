//! Rule sets made at random, of everything that both back ends can say and that a packet can be asked about at once: lists, ranges,
//! named sets, negation, states, jumps, `goto`, RETURN, translation, marks, Ethernet addresses, both families.

use std::sync::Arc;

use fwc::net::{AddressSet, Card, Family, Mac, PortSet, Protocol};
use fwc::netfilter::{
    Chain, Effect, Hook, IcmpType, Match, MatchKind, Owner, Reject, Rule, Ruleset, Set, SetField, SetValue, State,
    TableFamily, TableKind, Verdict,
};
use thin_vec::{ThinVec, thin_vec};

use crate::emit::{addresses, at_hook, cards, is, ports, protocol, rule};
use crate::kernel::traffic::Random;

/// Addresses and networks that rules name, around those of the host.
const FOUR: [&str; 14] = [
    "203.0.113.0/24",
    "203.0.113.10",
    "203.0.113.64-203.0.113.99",
    "10.0.0.0/8",
    "10.1.1.1",
    "172.16.0.0/12",
    "172.17.0.2",
    "172.18.0.0/16",
    "172.17.0.2-172.18.0.9",
    "192.168.2.0/25",
    "192.168.2.9",
    "198.51.100.0/24",
    "0.0.0.0/1",
    "128.0.0.0/2",
];
const SIX: [&str; 10] = [
    "2001:db8::/64",
    "2001:db8::10",
    "2001:db8::/32",
    "2001:db8:9::1",
    "fd00:17::2",
    "fd00:17::/64",
    "fd00:18::2-fd00:18::ff",
    "fd00:2::9",
    "2000::/3",
    "fd00::/8",
];
const PORTS: [&str; 10] =
    ["22", "53", "80", "443", "80 443", "1-1023", "8000-8099", "53 8080 9000-9010", "65535", "7001"];
const MACS: [&str; 3] = ["02:00:00:00:00:01", "02:00:00:00:00:99", "1e:0b:85:27:8d:65"];
const CARDS: [&str; 6] = ["ens33", "docker0", "br-app", "eth1", "br-+", "e+"];

/// What leads in: the chains of a rule set, each with the chance of being there, out of ten.
const HOOKS: [(TableKind, Hook, usize); 10] = [
    (TableKind::Raw, Hook::Prerouting, 5),
    (TableKind::Raw, Hook::Output, 2),
    (TableKind::Mangle, Hook::Prerouting, 6),
    (TableKind::Mangle, Hook::Forward, 3),
    (TableKind::Mangle, Hook::Postrouting, 3),
    (TableKind::Nat, Hook::Prerouting, 7),
    (TableKind::Nat, Hook::Postrouting, 6),
    (TableKind::Filter, Hook::Input, 10),
    (TableKind::Filter, Hook::Forward, 10),
    (TableKind::Filter, Hook::Output, 7),
];

/// A rule set.
pub fn ruleset(seed: u64) -> Ruleset {
    let mut maker = Maker { random: Random::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1), chains: 0 };
    let mut ruleset = Ruleset::default();
    for (kind, hook, chance) in HOOKS {
        if maker.chance(chance) {
            maker.hook(&mut ruleset, kind, hook);
        }
    }
    ruleset
}

/// Rule sets each of which drops, or leaves to the host's policy, what is not of a list that has more members than a line of iptables takes
/// comparisons.
pub fn crowded() -> Vec<Ruleset> {
    let odd: Vec<String> = (20..40).map(|number| (2 * number + 1).to_string()).collect();
    let macs: Vec<Mac> = (0..20)
        .map(|number| format!("02:00:00:00:00:{number:02x}").parse().expect("a MAC"))
        .chain(MACS.map(|text| text.parse().expect(text)))
        .collect();
    let types: Vec<IcmpType> = (0..16).map(|kind| IcmpType { kind, code: None }).collect();
    let lists = [
        vec![protocol(Protocol::TCP), Match::not(MatchKind::OriginalDestinationPort(ports(&odd.join(" "))))],
        vec![protocol(Protocol::UDP), Match::not(MatchKind::OriginalSource(addresses("10.0.0.1-10.15.255.254")))],
        vec![Match::not(MatchKind::OriginalDestination(addresses("128.0.0.1-223.255.255.254")))],
        vec![protocol(Protocol::ICMP), Match::not(MatchKind::IcmpType(types.into()))],
        macs.chunks(1).map(|mac| Match::not(MatchKind::SourceMac(mac.into()))).collect(),
        vec![Match::not(MatchKind::SourceMac(macs.into()))],
    ];
    let one = |(list, verdict): (Vec<Match>, Verdict)| {
        let mut ruleset = Ruleset::default();
        for hook in [Hook::Input, Hook::Forward] {
            let mut rules = answers(hook);
            rules.push(Rule { family: Some(Family::Ipv4), ..rule(list.clone(), verdict.clone()) });
            // What went around, and where the rule leaves the chain what it did not mean.
            rules.push(rule(vec![protocol(Protocol::TCP), is(MatchKind::DestinationPort(ports("41")))], Verdict::Drop));
            rules.push(rule(vec![is(MatchKind::InInterface(cards("eth1").into()))], Verdict::Drop));
            rules.push(rule(Vec::new(), Verdict::Accept));
            at_hook(&mut ruleset, TableKind::Filter, hook, rules);
        }
        ruleset
    };
    lists.into_iter().flat_map(|list| [(list.clone(), Verdict::Drop), (list, Verdict::Return)]).map(one).collect()
}

/// Where a rule stands, and of which family's packets it speaks.
#[derive(Clone, Copy)]
struct Spot {
    kind: TableKind,
    hook: Hook,
    family: Option<Family>,
}

impl Spot {
    fn sees_arrival(self) -> bool {
        matches!(self.hook, Hook::Prerouting | Hook::Input | Hook::Forward)
    }

    fn sees_departure(self) -> bool {
        matches!(self.hook, Hook::Forward | Hook::Output | Hook::Postrouting)
    }
}

struct Maker {
    random: Random,
    chains: usize,
}

impl Maker {
    fn chance(&mut self, of_ten: usize) -> bool {
        self.random.below(10) < of_ten
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.random.below(of.len())].clone()
    }

    /// A chain at a hook, and those that it leads to.
    fn hook(&mut self, ruleset: &mut Ruleset, kind: TableKind, hook: Hook) {
        let sets = self.sets(kind);
        let table = ruleset.table_mut(TableFamily::Inet, kind);
        if table.sets.is_empty() {
            table.sets = sets;
        }
        let count = if kind == TableKind::Filter { 1 + self.random.below(4) } else { self.random.below(2) };
        let names: Vec<Arc<str>> =
            (0..count).map(|number| format!("fwc-sub-{}", self.chains + number).into()).collect();
        self.chains += count;
        let length = if kind == TableKind::Filter { 10 } else { 5 };
        let mut rules = answers(hook);
        rules.extend((0..2 + self.random.below(length)).map(|_| self.rule(kind, hook, &names)));
        for (at, name) in names.iter().enumerate() {
            let own = (0..1 + self.random.below(6)).map(|_| self.rule(kind, hook, &names[at + 1..])).collect();
            let chain = Chain { name: name.clone(), owner: Owner::Fwc, base: None, rules: own };
            ruleset.table_mut(TableFamily::Inet, kind).chains.push(chain);
        }
        at_hook(ruleset, kind, hook, rules);
    }

    fn sets(&mut self, kind: TableKind) -> Vec<Set> {
        let mut sets = Vec::new();
        for (family, pool, suffix) in [(Family::Ipv4, &FOUR[..], 4), (Family::Ipv6, &SIX[..], 6)] {
            let lone: AddressSet = (0..3).flat_map(|_| addresses(self.one(pool)).ranges().to_vec()).collect();
            let lone = lone.ranges().iter().map(|range| [SetValue::Address((*range).into())].into()).collect();
            let mut pairs: Vec<Box<[SetValue]>> = Vec::new();
            for _ in 0..1 + self.random.below(8) {
                let range = addresses(self.one(pool)).ranges()[0];
                let port = ports(self.one(&["22", "53", "80", "443", "8000-8099"])).ranges()[0];
                let service = SetValue::Service(self.one(&[Protocol::TCP, Protocol::UDP]), port);
                // nft takes no elements that overlap.
                if pairs.iter().all(|pair| pair[1] != service) {
                    pairs.push([SetValue::Address(range.into()), service].into());
                }
            }
            for (name, fields, elements) in [
                ("lone", vec![SetField::Source], lone),
                ("pairs", vec![SetField::Source, SetField::DestinationService], pairs),
            ] {
                // ipset has one name for all tables.
                let name = format!("fwc-{name}{suffix}-{}", kind.name()).into();
                sets.push(Set { name, family: Some(family), fields, elements, live: false });
            }
        }
        sets
    }

    fn rule(&mut self, kind: TableKind, hook: Hook, names: &[Arc<str>]) -> Rule {
        let family = self.one(&[None, None, Some(Family::Ipv4), Some(Family::Ipv4), Some(Family::Ipv6)]);
        let spot = Spot { kind, hook, family };
        let (verdict, mut matches) = self.verdict(spot, names);
        for _ in 0..self.one(&[0, 1, 1, 1, 1, 2, 2, 3]) {
            self.narrow(spot, &mut matches);
        }
        let effects = match kind {
            TableKind::Mangle if verdict.is_none() || self.chance(2) => {
                let (value, mask) = self.one(&[(1, 1), (2, 3), (7, u32::MAX), (0x100, 0xff00)]);
                thin_vec![Effect::SetMark { value, mask }]
            }
            TableKind::Raw if verdict.is_none() => thin_vec![Effect::Notrack],
            _ => ThinVec::new(),
        };
        // A rule that names addresses is one family's.
        let names_addresses = |item: &Match| {
            matches!(
                item.kind,
                MatchKind::Source(_)
                    | MatchKind::Destination(_)
                    | MatchKind::OriginalSource(_)
                    | MatchKind::OriginalDestination(_)
                    | MatchKind::InSet { .. }
            )
        };
        let translates = matches!(verdict, Some(Verdict::Dnat { .. } | Verdict::Snat(_)));
        let family = family.or_else(|| (translates || matches.iter().any(names_addresses)).then_some(Family::Ipv4));
        Rule { family, matches, effects, verdict, ..Rule::default() }
    }

    /// What a rule decides, and the protocol that this needs.
    fn verdict(&mut self, spot: Spot, names: &[Arc<str>]) -> (Option<Verdict>, Vec<Match>) {
        if !names.is_empty() && self.chance(3) {
            let name = self.one(names);
            return (Some(if self.chance(7) { Verdict::Jump(name) } else { Verdict::Goto(name) }), Vec::new());
        }
        let transport = |maker: &mut Self| vec![protocol(maker.one(&[Protocol::TCP, Protocol::UDP]))];
        match (spot.kind, spot.hook) {
            (TableKind::Filter, _) => match self.random.below(10) {
                0..=3 => (Some(Verdict::Accept), Vec::new()),
                4..=6 => (Some(Verdict::Drop), Vec::new()),
                7 => (Some(Verdict::Return), Vec::new()),
                8 => (Some(Verdict::Reject(Reject::TcpReset)), vec![protocol(Protocol::TCP)]),
                _ => {
                    let how = self.one(&[Reject::PortUnreachable, Reject::HostUnreachable, Reject::AdminProhibited]);
                    (Some(Verdict::Reject(how)), Vec::new())
                }
            },
            (TableKind::Nat, Hook::Postrouting) => match self.random.below(6) {
                0 | 1 => (Some(Verdict::Masquerade), Vec::new()),
                2 | 3 => {
                    let own = if spot.family == Some(Family::Ipv6) { "2001:db8::10" } else { "203.0.113.10" };
                    (Some(Verdict::Snat(own.parse().expect("an address"))), Vec::new())
                }
                4 => (Some(Verdict::Accept), Vec::new()),
                _ => (Some(Verdict::Return), Vec::new()),
            },
            (TableKind::Nat, _) => match self.random.below(8) {
                0..=4 => {
                    let to: &[&str] = if spot.family == Some(Family::Ipv6) {
                        &["fd00:17::2", "fd00:18::2", "2001:db8::10", "2001:db8:9::1"]
                    } else {
                        &["172.17.0.2", "172.18.0.2", "203.0.113.10", "192.168.2.9", "198.51.100.9"]
                    };
                    let address = self.one(to).parse().expect("an address");
                    let port = self.one(&[None, Some(80), Some(8080)]);
                    (Some(Verdict::Dnat { address, port }), if port.is_some() { transport(self) } else { Vec::new() })
                }
                5 => (Some(Verdict::Redirect(self.one(&[53, 8080]))), transport(self)),
                6 => (Some(Verdict::Accept), Vec::new()),
                _ => (Some(Verdict::Return), Vec::new()),
            },
            _ => match self.random.below(8) {
                0 => (Some(Verdict::Drop), Vec::new()),
                1 => (Some(Verdict::Accept), Vec::new()),
                2 => (Some(Verdict::Return), Vec::new()),
                _ => (None, Vec::new()),
            },
        }
    }

    /// One more match.
    fn narrow(&mut self, spot: Spot, matches: &mut Vec<Match>) {
        let protocols: Vec<Protocol> = matches
            .iter()
            .filter_map(|item| match &item.kind {
                // Beside a protocol that is excluded no other is asked for.
                MatchKind::Protocol(_) if item.negated => Some(vec![Protocol::TCP, Protocol::UDP, Protocol::ICMP]),
                MatchKind::Protocol(list) => Some(list.to_vec()),
                _ => None,
            })
            .flatten()
            .collect();
        let negated = self.chance(3);
        let made = match self.random.below(20) {
            0..=2 if spot.sees_arrival() => MatchKind::InInterface(self.cards().into()),
            0..=2 => MatchKind::OutInterface(self.cards().into()),
            3 if spot.sees_departure() => MatchKind::OutInterface(self.cards().into()),
            3..=5 => MatchKind::Source(self.addresses(spot)),
            6..=8 => MatchKind::Destination(self.addresses(spot)),
            9..=11 if protocols.is_empty() => return self.service(spot, negated, matches),
            9..=11 => return,
            12 | 13 => {
                let states =
                    [State::NEW, State::INVALID, State::ESTABLISHED | State::RELATED, State::NEW | State::UNTRACKED];
                MatchKind::State(self.one(&states))
            }
            14 => {
                let (value, mask) = self.one(&[(1, 1), (2, 3), (0, 3), (7, u32::MAX), (0x100, 0xff00)]);
                MatchKind::Mark { value, mask }
            }
            15 if spot.sees_arrival() => {
                let mut macs: Vec<Mac> = vec![self.one(&MACS).parse().expect("an Ethernet address")];
                if self.chance(4) {
                    macs.push(self.one(&MACS).parse().expect("an Ethernet address"));
                    macs.sort();
                    macs.dedup();
                }
                MatchKind::SourceMac(macs.into())
            }
            16 => {
                let suffix = if spot.family == Some(Family::Ipv6) { 6 } else { 4 };
                let (name, fields) = self.one(&[
                    ("lone", thin_vec![SetField::Source]),
                    ("pairs", thin_vec![SetField::Source, SetField::DestinationService]),
                ]);
                MatchKind::in_set(format!("fwc-{name}{suffix}-{}", spot.kind.name()).into(), fields)
            }
            17 => self.one(&[MatchKind::DestinationLocal, MatchKind::SourceLocal]),
            18 | 19 if spot.kind != TableKind::Raw => return self.connection(spot, &protocols, negated, matches),
            _ => return,
        };
        // Twice the same match is one that iptables does not take.
        let same = |item: &Match| std::mem::discriminant(&item.kind) == std::mem::discriminant(&made);
        if !matches.iter().any(same) {
            matches.push(Match { negated, kind: made });
        }
    }

    fn cards(&mut self) -> Vec<Card> {
        let mut found = cards(self.one(&CARDS));
        if self.chance(2) {
            found.extend(cards(self.one(&CARDS)));
            found.sort();
            found.dedup();
        }
        found
    }

    fn addresses(&mut self, spot: Spot) -> AddressSet {
        let pool: &[&str] = match spot.family {
            Some(Family::Ipv6) => &SIX,
            _ => &FOUR,
        };
        let count = self.one(&[1, 1, 1, 2, 3, 7]);
        (0..count).flat_map(|_| addresses(self.one(pool)).ranges().to_vec()).collect()
    }

    /// A protocol, and what it may be asked beside.
    fn service(&mut self, spot: Spot, negated: bool, matches: &mut Vec<Match>) {
        let ports_of = |maker: &mut Self| -> PortSet { ports(maker.one(&PORTS)) };
        match self.random.below(12) {
            0 => matches.push(Match { negated, kind: MatchKind::protocol(self.one(&[Protocol(47), Protocol(50)])) }),
            1 => matches.push(Match { negated, kind: MatchKind::Protocol(vec![Protocol::TCP, Protocol::UDP].into()) }),
            2 | 3 => {
                let six = spot.family == Some(Family::Ipv6) || spot.family.is_none() && self.chance(5);
                let (own, kinds) = if six { (Protocol::ICMPV6, [128, 129, 1]) } else { (Protocol::ICMP, [8, 0, 3]) };
                let code = self.one(&[None, None, Some(0), Some(1)]);
                let mut list = vec![IcmpType { kind: self.one(&kinds), code }];
                if self.chance(3) && list[0].kind != kinds[0] {
                    list.insert(0, IcmpType { kind: kinds[0], code: None });
                    list.sort_unstable();
                }
                matches.push(protocol(own));
                matches.push(Match { negated, kind: MatchKind::IcmpType(list.into()) });
            }
            4 => {
                let (mask, set) = self.one(&[(0x17, 0x02), (0x06, 0x06), (0x3f, 0), (0x12, 0x12)]);
                matches.push(protocol(Protocol::TCP));
                matches.push(Match { negated, kind: MatchKind::TcpFlags { mask, set } });
            }
            5 => {
                matches.push(protocol(self.one(&[Protocol::TCP, Protocol::UDP])));
                matches.push(Match { negated, kind: MatchKind::SourcePort(ports_of(self)) });
            }
            6 => {
                matches.push(is(MatchKind::Protocol(vec![Protocol::TCP, Protocol::UDP].into())));
                matches.push(Match { negated, kind: MatchKind::DestinationPort(ports_of(self)) });
            }
            _ => {
                matches.push(protocol(self.one(&[Protocol::TCP, Protocol::UDP, Protocol::SCTP])));
                matches.push(Match { negated, kind: MatchKind::DestinationPort(ports_of(self)) });
            }
        }
    }

    /// What connection tracking knows.
    fn connection(&mut self, spot: Spot, protocols: &[Protocol], negated: bool, matches: &mut Vec<Match>) {
        let made = match self.random.below(6) {
            0 => MatchKind::DirectionOriginal,
            1 => MatchKind::DestinationTranslated,
            2 => MatchKind::SourceTranslated,
            3 => MatchKind::OriginalDestination(self.addresses(spot)),
            4 => MatchKind::OriginalSource(self.addresses(spot)),
            _ => {
                match protocols {
                    [] => matches.push(protocol(self.one(&[Protocol::TCP, Protocol::UDP]))),
                    [only] if only.has_ports() => {}
                    _ => return,
                }
                MatchKind::OriginalDestinationPort(ports(self.one(&["80", "8080", "80 443", "1-1023"])))
            }
        };
        let same = |item: &Match| std::mem::discriminant(&item.kind) == std::mem::discriminant(&made);
        if matches.iter().any(same) {
            return;
        }
        if negated && matches!(made, MatchKind::DestinationTranslated | MatchKind::SourceTranslated) {
            // nft has words for this alone.
            matches.push(Match::not(MatchKind::State(State::INVALID | State::UNTRACKED)));
        }
        matches.push(Match { negated, kind: made });
    }
}

/// What the test itself needs: the host's own errors and resets get out, and what it sends to itself comes in; else nobody would see
/// that a packet was refused.
fn answers(hook: Hook) -> Vec<Rule> {
    let accept = |matches: Vec<Match>| rule(matches, Verdict::Accept);
    let lo = || cards("lo");
    if matches!(hook, Hook::Prerouting | Hook::Input) {
        return vec![accept(vec![is(MatchKind::InInterface(lo().into()))])];
    }
    if hook == Hook::Forward {
        return Vec::new();
    }
    let error = |own: Protocol, kind: u8| {
        let types = vec![IcmpType { kind, code: None }];
        accept(vec![is(MatchKind::SourceLocal), protocol(own), is(MatchKind::IcmpType(types.into()))])
    };
    vec![
        accept(vec![is(MatchKind::OutInterface(lo().into()))]),
        error(Protocol::ICMP, 3),
        error(Protocol::ICMPV6, 1),
        accept(vec![protocol(Protocol::TCP), is(MatchKind::TcpFlags { mask: 0x04, set: 0x04 })]),
    ]
}
