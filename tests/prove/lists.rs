//! Random chains over a world so small that every packet of it can be tried: two values in most fields, four addresses.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use fwc::net::{AddressRange, AddressSet, Card, Protocol};
use fwc::net::{PortRange, PortSet};
use fwc::netfilter::{
    Chain, Effect, MarkWord, Match, MatchKind, Owner, Rule, Ruleset, Set, SetField, SetValue, State, Table,
    TableFamily, TableKind, Verdict,
};
use fwc::packet::{Cube, Field};
use fwc::program::{Packet, Space};
use thin_vec::thin_vec;

pub struct Lists {
    state: u64,
}

const CHAINS: [&str; 5] = ["start", "one", "two", "three", "four"];
/// The first of the world's addresses.
pub const FIRST: u32 = 0x0a00_0000;

impl Lists {
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// xorshift64*.
    fn next(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 33).expect("fits") % end
    }

    fn chance(&mut self, of_ten: usize) -> bool {
        self.below(10) < of_ten
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    pub fn ruleset(&mut self) -> Ruleset {
        let pairs = vec![
            [SetValue::Address(address(1).into()), SetValue::Service(Protocol::TCP, port(22))].into(),
            [SetValue::Address(address(2).into()), SetValue::Service(Protocol::UDP, port(53))].into(),
        ];
        let set = Set {
            name: Arc::from("pairs"),
            family: Some(fwc::net::Family::Ipv4),
            fields: vec![SetField::Source, SetField::DestinationService],
            elements: pairs,
            live: false,
        };
        let chains = (0..CHAINS.len()).map(|number| self.chain(number)).collect();
        let table = Table {
            family: TableFamily::Ipv4,
            kind: TableKind::Filter,
            name: "filter".to_owned(),
            sets: vec![set],
            chains,
        };
        Ruleset { tables: vec![table], attachments: Vec::new() }
    }

    /// As [`Lists::ruleset`], in a world of fewer packets: marks of one bit, no interfaces.
    pub fn small(&mut self) -> Ruleset {
        smaller(self.ruleset())
    }

    /// As [`Lists::changed`], in that world.
    pub fn changed_small(&mut self, ruleset: &Ruleset) -> Ruleset {
        smaller(self.changed(ruleset))
    }

    fn chain(&mut self, number: usize) -> Chain {
        let rules = (0..1 + self.below(5)).map(|_| self.rule(number)).collect();
        Chain { name: Arc::from(CHAINS[number]), owner: Owner::Fwc, base: None, rules }
    }

    fn rule(&mut self, chain: usize) -> Rule {
        let mut rule = Rule::default();
        for _ in 0..self.below(3) {
            let negated = self.chance(3);
            let kind = self.kind();
            rule.matches.push(Match { negated, kind });
        }
        if self.chance(2) {
            let effect = match self.below(6) {
                0 => Effect::SetMark { value: 1, mask: 1 },
                1 => Effect::SetMark { value: self.one(&[0, 2, 3]), mask: self.one(&[3, 1]) },
                2 => Effect::SetConnectionMark { value: self.one(&[0, 1, 2]), mask: self.one(&[3, 2]) },
                3 => {
                    let to = self.one(&[MarkWord::Packet, MarkWord::Connection]);
                    Effect::CopyMark { to, cleared: 3, copied: self.one(&[1, 2, 3]), value: self.one(&[0, 1]) }
                }
                _ => Effect::Log { prefix: Arc::from(self.one(&["a", "b"])), level: 6 },
            };
            rule.effects.push(effect);
        }
        if self.chance(8) || rule.effects.is_empty() {
            rule.verdict = Some(self.verdict(chain));
        }
        rule
    }

    fn verdict(&mut self, chain: usize) -> Verdict {
        let later: Vec<Arc<str>> = CHAINS[chain + 1..].iter().map(|name| Arc::from(*name)).collect();
        match self.below(if later.is_empty() { 4 } else { 9 }) {
            0 | 1 => Verdict::Accept,
            2 => Verdict::Drop,
            3 => Verdict::Return,
            4 | 5 => Verdict::Jump(self.one(&later)),
            6 | 7 => Verdict::Goto(self.one(&later)),
            _ => {
                let (first, second) = (self.verdict(chain), self.verdict(chain));
                let plain =
                    |verdict: Verdict| if matches!(verdict, Verdict::Map { .. }) { Verdict::Drop } else { verdict };
                Verdict::Map {
                    fields: thin_vec![SetField::Source],
                    elements: Arc::new(vec![
                        (vec![SetValue::Address(address(0).into())], plain(first)),
                        (vec![SetValue::Address(address(3).into())], plain(second)),
                    ]),
                }
            }
        }
    }

    fn kind(&mut self) -> MatchKind {
        match self.below(11) {
            0 | 1 => {
                let first = self.below(4);
                let last = first + self.below(4 - first);
                MatchKind::Source(AddressSet::new([range(first, last)]))
            }
            2 => MatchKind::Source(AddressSet::new([address(0), address(2)])),
            3 => MatchKind::protocol(self.one(&[Protocol::TCP, Protocol::UDP, Protocol::ICMP])),
            4 => MatchKind::DestinationPort(PortSet::new([self.one(&[port(22), port(53)])])),
            5 => MatchKind::State(self.one(&[State::NEW, State::ESTABLISHED | State::RELATED])),
            6 => MatchKind::Mark { value: self.one(&[0, 1]), mask: 1 },
            7 => MatchKind::Mark { value: self.one(&[0, 1, 2, 3]), mask: 3 },
            8 => MatchKind::ConnectionMark { value: self.one(&[0, 1, 2]), mask: self.one(&[1, 3]) },
            9 => MatchKind::InInterface([self.one(&[Card::exact("eth0"), Card::parse("e+")])].into()),
            _ => MatchKind::in_set(Arc::from("pairs"), thin_vec![SetField::Source, SetField::DestinationService]),
        }
    }

    /// The same rules with something done to them: often in a way that changes nothing.
    pub fn changed(&mut self, ruleset: &Ruleset) -> Ruleset {
        let mut ruleset = ruleset.clone();
        let number = self.below(CHAINS.len());
        let replacement = self.rule(number);
        let way = self.below(5);
        let at = self.below(5);
        let rules = &mut ruleset.tables[0].chains[number].rules;
        if rules.is_empty() {
            return ruleset;
        }
        let at = at % rules.len();
        match way {
            0 => {
                rules.remove(at);
            }
            1 => rules.insert(at, replacement),
            2 => {
                let again = rules[at].clone();
                rules.insert(at, again);
            }
            3 => {
                let next = (at + 1) % rules.len();
                rules.swap(at, next);
            }
            _ => {
                // The first match alone, in a rule in front of it.
                let mut split = rules[at].clone();
                split.matches.truncate(1);
                if split.matches == rules[at].matches {
                    split.comment = Some(Arc::from("the same"));
                }
                rules[at] = split;
            }
        }
        ruleset
    }

    /// A packet of which every field is known.
    pub fn packet(&mut self, space: &Space) -> Packet {
        let world: Vec<Packet> = vec![self.random(space)];
        world.into_iter().next().expect("one")
    }

    fn random(&mut self, space: &Space) -> Packet {
        let values: Vec<(Field, u128)> =
            fields(space).into_iter().map(|(field, list)| (field, self.one(&list))).collect();
        Packet::new(values)
    }

    /// A packet of a cube, with something for the fields that the cube leaves open.
    pub fn packet_of(&mut self, cube: &Cube, space: &Space) -> Packet {
        let open = fields(space).into_iter().map(|(field, list)| (field, list[0]));
        let mut packet = Packet::new(open);
        for (field, values) in cube.parts() {
            packet.set(*field, values.hull().0);
        }
        packet
    }

    /// Every packet.
    pub fn world(&self, space: &Space) -> impl Iterator<Item = Packet> + use<> {
        let mut all = vec![Packet::default()];
        for (field, list) in fields(space) {
            all = all
                .into_iter()
                .flat_map(|packet| {
                    list.iter()
                        .map(move |value| {
                            let mut packet = packet.clone();
                            packet.set(field, *value);
                            packet
                        })
                        .collect::<Vec<_>>()
                })
                .collect();
        }
        all.into_iter()
    }
}

/// Rules without what the small world does not have.
fn smaller(mut ruleset: Ruleset) -> Ruleset {
    for rule in ruleset.tables.iter_mut().flat_map(|table| &mut table.chains).flat_map(|chain| &mut chain.rules) {
        for item in &mut rule.matches {
            match &mut item.kind {
                MatchKind::Mark { value, mask } => (*value, *mask) = (*value & 1, 1),
                MatchKind::ConnectionMark { value, .. } => item.kind = MatchKind::Mark { value: *value & 1, mask: 1 },
                MatchKind::InInterface(_) => item.kind = MatchKind::State(State::NEW),
                _ => {}
            }
        }
        for effect in &mut rule.effects {
            if let Some(change) = effect.mark_changes().next() {
                *effect = Effect::SetMark { value: change.value & 1, mask: 1 };
            }
        }
    }
    ruleset
}

/// The fields of this world, and the values that tell rules apart; marks as far as rules look at them.
fn fields(space: &Space) -> Vec<(Field, Vec<u128>)> {
    let name = |name: &str| fwc::packet::field::name_number(name);
    let mut list = vec![
        (Field::SOURCE, (0..4).map(|number| u128::from(FIRST + number)).chain([1]).collect()),
        (Field::PROTOCOL, vec![6, 17, 1, 33]),
        (Field::DESTINATION_PORT, vec![22, 53, 80]),
        (Field::STATE, vec![0, 1, 3]),
        (Field::IN_INTERFACE, vec![name("eth0"), name("eno1"), name("lo")]),
    ];
    let marks = space.universe.no_marks().into_iter();
    list.extend(marks.map(|(field, _)| (field, (0..=space.universe.largest(field).min(3)).collect())));
    list
}

fn address(number: u32) -> AddressRange {
    AddressRange::single(IpAddr::V4(Ipv4Addr::from(FIRST + number)))
}

fn range(first: usize, last: usize) -> AddressRange {
    let at = |number: usize| IpAddr::V4(Ipv4Addr::from(FIRST + u32::try_from(number).expect("small")));
    AddressRange::new(at(first), at(last)).expect("in order")
}

fn port(number: u16) -> PortRange {
    PortRange::single(number)
}

/// Chains as text.
pub fn shown(ruleset: &Ruleset) -> String {
    let chains = ruleset.tables.iter().flat_map(|table| &table.chains);
    let rule = |rule: &Rule| {
        let matches: Vec<String> = rule
            .matches
            .iter()
            .map(|item| format!("{}{:?}", if item.negated { "! " } else { "" }, item.kind))
            .collect();
        format!("    {} {:?} {:?}\n", matches.join(", "), rule.effects, rule.verdict)
    };
    chains.map(|chain| format!("{}:\n{}", chain.name, chain.rules.iter().map(rule).collect::<String>())).collect()
}
