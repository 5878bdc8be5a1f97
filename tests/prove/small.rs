//! A second way to the same answers: every packet of a small world is sent through every rule. What a match means is told here
//! from its own words; nothing of the engine's takes part.
//!
//! The world has a packet for each way in which rules of [`super::lists`] can tell packets apart. Which packets a match takes is
//! looked up in a table; only marks, which rules change, are compared on the way.

use std::collections::HashMap;

use fwc::net::Protocol;
use fwc::netfilter::{Effect, MatchKind, Ruleset, SetField, SetValue, Verdict};

use super::lists::FIRST;

/// A packet, as far as these rules look.
#[derive(Clone, Copy)]
struct Packet {
    source: u32,
    protocol: Protocol,
    port: Option<u16>,
    state: u8,
    mark: u32,
}

/// Which packets of the world, by number.
type Taken = [u64; 6];

/// The world, and what is known of matches.
pub struct World {
    packets: Vec<Packet>,
    known: HashMap<MatchKind, Taken>,
}

/// A rule, as it is asked.
struct Step<'r> {
    taken: Taken,
    marks: Vec<(u32, u32, bool)>,
    effects: &'r [Effect],
    verdict: Option<&'r Verdict>,
}

/// What a packet meets: lines of log and changes of the mark in order, by number, and then the end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fate<'r> {
    met: Vec<&'r Effect>,
    verdict: Option<&'r Verdict>,
}

/// A rule set, ready to be asked.
pub struct Chains<'r> {
    chains: Vec<Vec<Step<'r>>>,
    names: HashMap<&'r str, usize>,
}

impl World {
    pub fn new() -> Self {
        let mut packets = Vec::new();
        for source in (0..4).map(|number| FIRST + number).chain([1]) {
            for (protocol, ports) in [
                (6, &[Some(22), Some(53), Some(80)][..]),
                (17, &[Some(22), Some(53), Some(80)]),
                // Another protocol with ports, and one without that no rule names.
                (33, &[Some(22), Some(53), Some(80)]),
                (1, &[None]),
                (47, &[None]),
            ] {
                for &port in ports {
                    for state in [1, 2, 8] {
                        for mark in [0, 1] {
                            packets.push(Packet { source, protocol: Protocol(protocol), port, state, mark });
                        }
                    }
                }
            }
        }
        assert!(packets.len() <= 64 * 6);
        Self { packets, known: HashMap::new() }
    }

    pub fn len(&self) -> usize {
        self.packets.len()
    }

    /// Prepares a rule set's first table.
    pub fn chains<'r>(&mut self, ruleset: &'r Ruleset) -> Chains<'r> {
        let table = &ruleset.tables[0];
        let mut chains = Vec::new();
        for chain in &table.chains {
            let mut steps = Vec::with_capacity(chain.rules.len());
            for rule in &chain.rules {
                let mut step = Step {
                    taken: [u64::MAX; 6],
                    marks: Vec::new(),
                    effects: &rule.effects,
                    verdict: rule.verdict.as_ref(),
                };
                for item in &rule.matches {
                    if let MatchKind::Mark { value, mask } = item.kind {
                        step.marks.push((value, mask, item.negated));
                        continue;
                    }
                    let (taken, asked) = self.taken(&item.kind, ruleset);
                    for (own, (taken, asked)) in step.taken.iter_mut().zip(taken.iter().zip(asked)) {
                        *own &= asked & if item.negated { !taken } else { *taken };
                    }
                }
                steps.push(step);
            }
            chains.push(steps);
        }
        let names = table.chains.iter().enumerate().map(|(at, chain)| (&*chain.name, at)).collect();
        Chains { chains, names }
    }

    /// The packets that a match takes, and those that have what it asks for at all: only some protocols have ports.
    fn taken(&mut self, kind: &MatchKind, ruleset: &Ruleset) -> (Taken, Taken) {
        let with_ports = matches!(kind, MatchKind::DestinationPort(_));
        let asked = if with_ports { set(&self.packets, |packet| packet.port.is_some()) } else { [u64::MAX; 6] };
        // What is in a set is the set's; all rule sets have the same one.
        let packets = &self.packets;
        let taken =
            *self.known.entry(kind.clone()).or_insert_with(|| set(packets, |packet| holds(kind, packet, ruleset)));
        (taken, asked)
    }

    /// What becomes of each packet. `seen` is told of each rule that one matched: its chain and number.
    pub fn fates<'r>(&self, chains: &Chains<'r>, mut seen: impl FnMut(usize, usize)) -> Vec<Fate<'r>> {
        let fate = |(at, packet): (usize, &Packet)| {
            let mut way = Way { at, packet: *packet, chains, met: Vec::new(), seen: &mut seen };
            let verdict = way.chain(0).unwrap_or(None);
            Fate { met: way.met, verdict }
        };
        self.packets.iter().enumerate().map(fate).collect()
    }
}

fn set(packets: &[Packet], holds: impl Fn(&Packet) -> bool) -> Taken {
    let mut taken = [0; 6];
    for (at, _) in packets.iter().enumerate().filter(|(_, packet)| holds(packet)) {
        taken[at / 64] |= 1 << (at % 64);
    }
    taken
}

fn holds(kind: &MatchKind, packet: &Packet, ruleset: &Ruleset) -> bool {
    match kind {
        MatchKind::Source(set) => set.contains(std::net::Ipv4Addr::from(packet.source).into()),
        MatchKind::Protocol(list) => list.contains(&packet.protocol),
        MatchKind::DestinationPort(ports) => packet.port.is_some_and(|port| ports.contains(port)),
        MatchKind::State(states) => states & packet.state != 0,
        MatchKind::InSet(asked) => {
            let set = ruleset.tables[0].sets.iter().find(|own| own.name == asked.set).expect("the set is there");
            set.elements
                .iter()
                .any(|element| asked.fields.iter().zip(element).all(|(field, value)| has(*field, value, packet)))
        }
        other => panic!("no such match in this world: {other:?}"),
    }
}

fn has(field: SetField, value: &SetValue, packet: &Packet) -> bool {
    match (field, value) {
        (SetField::Source, SetValue::Address(range)) => {
            range.unpacked().contains(std::net::Ipv4Addr::from(packet.source).into())
        }
        (SetField::DestinationService, SetValue::Service(protocol, ports)) => {
            *protocol == packet.protocol && packet.port.is_some_and(|port| (ports.first..=ports.last).contains(&port))
        }
        other => panic!("no such field in this world: {other:?}"),
    }
}

struct Way<'c, 'r, S> {
    at: usize,
    packet: Packet,
    chains: &'c Chains<'r>,
    met: Vec<&'r Effect>,
    seen: S,
}

impl<'r, S: FnMut(usize, usize)> Way<'_, 'r, S> {
    /// The verdict that ends the packet's way; `None` if it comes back.
    fn chain(&mut self, chain: usize) -> Option<Option<&'r Verdict>> {
        let chains = self.chains;
        for (number, step) in chains.chains[chain].iter().enumerate() {
            let taken = step.taken[self.at / 64] >> (self.at % 64) & 1 == 1;
            let mark = self.packet.mark;
            if !taken || !step.marks.iter().all(|(value, mask, negated)| (mark & mask == *value) != *negated) {
                continue;
            }
            (self.seen)(chain, number);
            for effect in step.effects {
                if let Effect::SetMark { value, mask } = effect {
                    self.packet.mark = (self.packet.mark & !mask) ^ value;
                }
                self.met.push(effect);
            }
            let mut verdict = step.verdict;
            if let Some(Verdict::Map { fields, elements }) = verdict {
                let found = elements
                    .iter()
                    .find(|(key, _)| fields.iter().zip(key).all(|(field, value)| has(*field, value, &self.packet)));
                verdict = found.map(|(_, verdict)| verdict);
            }
            match verdict {
                None => {}
                Some(Verdict::Return) => return None,
                Some(Verdict::Jump(name)) => {
                    if let Some(ended) = self.chain(chains.names[&**name]) {
                        return Some(ended);
                    }
                }
                Some(Verdict::Goto(name)) => return self.chain(chains.names[&**name]),
                verdict => return Some(verdict),
            }
        }
        None
    }
}
