//! What a rule set does to one kind of packet, in three values: what a question leaves open, a rule may match or not.

use crate::net::{AddressSet, Card, Family, Protocol};
use crate::netfilter::{Chain, Hook, Match, MatchKind, Rule, Ruleset, State, Table, TableFamily, TableKind, Verdict};

/// Jumps within jumps that are followed.
const DEEPEST: usize = 16;

/// A rule and where it stands.
#[derive(Clone, Copy)]
pub(super) struct At<'r> {
    pub table: &'r Table,
    pub chain: &'r Chain,
    pub rule: &'r Rule,
}

/// A packet as far as it is said.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub family: Family,
    pub protocol: Protocol,
    /// One bit of [`State`].
    pub state: u8,
    pub arrives: Option<String>,
    pub departs: Option<String>,
    /// `None`: an address that no rule names.
    pub source: Option<AddressSet>,
    /// `None`: an address that no rule names.
    pub destination: Option<AddressSet>,
    /// `None`: a port that no rule names.
    pub source_port: Option<u16>,
    /// `None`: a port that no rule names.
    pub port: Option<u16>,
    /// The port that the client connected to, where NAT has led the connection elsewhere.
    pub original_port: Option<u16>,
}

/// What became of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Passed,
    Refused,
}

/// What became of a packet in a list of rules.
pub(super) struct Judged<'r> {
    /// What decided it for certain, and the rule that did; nothing: it came to the end.
    pub decided: Option<(Fate, At<'r>)>,
    /// Rules before that may have decided it.
    pub doubts: Vec<(Fate, At<'r>)>,
}

impl Question {
    /// The answer to a packet of this kind.
    pub fn answer(&self) -> Self {
        Self {
            family: self.family,
            protocol: self.protocol,
            state: State::ESTABLISHED,
            arrives: self.departs.clone(),
            departs: self.arrives.clone(),
            source: self.destination.clone(),
            destination: self.source.clone(),
            source_port: self.port,
            port: self.source_port,
            original_port: self.original_port,
        }
    }

    /// Whether it matches all that a rule asks; `None`: that depends on what is not said.
    pub fn meets(&self, rule: &Rule) -> Option<bool> {
        if rule.family.is_some_and(|family| family != self.family) {
            return Some(false);
        }
        let mut open = false;
        for one in &rule.matches {
            match self.meets_one(one) {
                Some(false) => return Some(false),
                Some(true) => {}
                None => open = true,
            }
        }
        if open { None } else { Some(true) }
    }

    fn meets_one(&self, one: &Match) -> Option<bool> {
        let named = |said: &Option<AddressSet>, asked: &AddressSet| match said {
            _ if asked.covers(&AddressSet::all(self.family)) => Some(true),
            None => Some(false),
            Some(said) if asked.covers(said) => Some(true),
            Some(said) if !asked.meets(said) => Some(false),
            Some(_) => None,
        };
        let interface = |said: &Option<String>, asked: &[Card]| {
            let said = said.as_ref()?;
            Some(asked.iter().any(|card| card.matches(said)))
        };
        let first = self.state == State::NEW;
        let found = match &one.kind {
            MatchKind::InInterface(asked) => interface(&self.arrives, asked),
            MatchKind::OutInterface(asked) => interface(&self.departs, asked),
            MatchKind::Source(asked) => named(&self.source, asked),
            MatchKind::Destination(asked) => named(&self.destination, asked),
            MatchKind::Protocol(asked) => Some(asked.contains(&self.protocol)),
            MatchKind::SourcePort(asked) => Some(self.source_port.is_some_and(|port| asked.contains(port))),
            MatchKind::DestinationPort(asked) => Some(self.port.is_some_and(|port| asked.contains(port))),
            MatchKind::State(asked) => Some(asked & self.state != 0),
            // SYN of a first packet, SYN and ACK of an answer.
            MatchKind::TcpFlags { mask, set } if self.protocol == Protocol::TCP => {
                let flags = if first { 0x02 } else { 0x12 };
                Some(flags & mask == *set)
            }
            MatchKind::OriginalDestinationPort(asked) => {
                Some(self.original_port.is_some_and(|port| asked.contains(port)))
            }
            MatchKind::DestinationTranslated => Some(self.original_port.is_some()),
            MatchKind::OriginalSource(asked) => named(if first { &self.source } else { &self.destination }, asked),
            MatchKind::DirectionOriginal => Some(first),
            MatchKind::IcmpType(_) => Some(false),
            MatchKind::Bridged | MatchKind::DestinationBroadcast | MatchKind::DestinationMulticast => Some(false),
            MatchKind::SourceLocal if self.arrives.is_some() => Some(false),
            // A limit lets the first packet through.
            MatchKind::Limit(_) => Some(true),
            MatchKind::ConnectionsAbove { .. } => Some(false),
            MatchKind::Unknown(words) => return self.meets_parameter(words),
            _ => None,
        };
        found.map(|found| found != one.negated)
    }

    /// An interface whose name a script takes from outside: no other is called so.
    fn meets_parameter(&self, words: &str) -> Option<bool> {
        let Parameter { arrival, negated, name } = Parameter::read(words)?;
        let said = if arrival { self.arrives.as_deref() } else { self.departs.as_deref() };
        Some((said? == name) != negated)
    }
}

/// An interface that a rule compares, where its name is a parameter of a script: `-i $EXT_IF`.
pub(super) struct Parameter<'t> {
    /// The interface of arrival, or that of departure.
    arrival: bool,
    negated: bool,
    /// As the script writes it.
    pub name: &'t str,
}

impl<'t> Parameter<'t> {
    /// From the exact text of a match that is not modelled.
    pub fn read(words: &'t str) -> Option<Self> {
        let (negated, words) = words.strip_prefix("! ").map_or((false, words), |rest| (true, rest));
        let (option, name) = words.split_once(' ')?;
        let arrival = match option {
            "-i" | "--in-interface" => true,
            "-o" | "--out-interface" => false,
            _ => return None,
        };
        (name.starts_with('$') && !name.contains(' ')).then_some(Self { arrival, negated, name })
    }
}

/// What a list of rules does to a packet, from the top of a chain.
pub(super) fn judge<'r>(table: &'r Table, chain: &'r Chain, question: &Question) -> Judged<'r> {
    let mut judged = Judged { decided: None, doubts: Vec::new() };
    follow(table, chain, question, true, 0, &mut judged);
    judged
}

/// Whether the rules behind a jump are still to be asked.
fn follow<'r>(
    table: &'r Table,
    chain: &'r Chain,
    question: &Question,
    certain: bool,
    depth: usize,
    judged: &mut Judged<'r>,
) {
    // Where a rule may have left the chain, what follows is no longer certain.
    let mut certain = certain;
    for rule in &chain.rules {
        let Some(verdict) = &rule.verdict else { continue };
        let Some(sure) = question.meets(rule).map_or(Some(false), |meets| meets.then_some(true)) else { continue };
        let at = At { table, chain, rule };
        let sure = sure && certain;
        let fate = match verdict {
            Verdict::Accept => Fate::Passed,
            Verdict::Drop | Verdict::Reject(_) => Fate::Refused,
            Verdict::Return if sure => return,
            Verdict::Return => {
                certain = false;
                continue;
            }
            Verdict::Jump(to) | Verdict::Goto(to) => {
                let next = table.chains.iter().find(|next| next.name == *to);
                match next.filter(|_| depth < DEEPEST) {
                    Some(next) => follow(table, next, question, sure, depth + 1, judged),
                    None => judged.doubts.extend([Fate::Passed, Fate::Refused].map(|fate| (fate, at))),
                }
                if judged.decided.is_some() || sure && matches!(verdict, Verdict::Goto(_)) {
                    return;
                }
                certain &= sure || matches!(verdict, Verdict::Jump(_));
                continue;
            }
            _ => {
                judged.doubts.extend([Fate::Passed, Fate::Refused].map(|fate| (fate, at)));
                continue;
            }
        };
        if sure {
            judged.decided = Some((fate, at));
            return;
        }
        judged.doubts.push((fate, at));
    }
}

/// Every rule that a packet at a chain can come to, with the rules whose jumps lead there.
pub(super) fn reached<'r>(table: &'r Table, chain: &'r Chain) -> Vec<(Vec<At<'r>>, At<'r>)> {
    fn add<'r>(table: &'r Table, chain: &'r Chain, way: &mut Vec<At<'r>>, out: &mut Vec<(Vec<At<'r>>, At<'r>)>) {
        for rule in &chain.rules {
            let at = At { table, chain, rule };
            out.push((way.clone(), at));
            if let Some(Verdict::Jump(to) | Verdict::Goto(to)) = &rule.verdict
                && way.len() < DEEPEST
                && out.len() < MOST
                && let Some(next) = table.chains.iter().find(|next| next.name == *to)
            {
                way.push(at);
                add(table, next, way, out);
                way.pop();
            }
        }
    }
    let mut out = Vec::new();
    add(table, chain, &mut Vec::new(), &mut out);
    out
}

/// Rules that are looked at for one chain, those that are reached in several ways counted for each.
const MOST: usize = 20_000;

/// The chains at a hook in which packets of a family are judged, in the order in which they are asked.
pub(super) fn at_hook(ruleset: &Ruleset, family: Family, hook: Hook) -> Vec<(&Table, &Chain)> {
    let has = |table: &Table| match table.family {
        TableFamily::Ipv4 => family == Family::Ipv4,
        TableFamily::Ipv6 => family == Family::Ipv6,
        TableFamily::Inet => true,
        TableFamily::Bridge | TableFamily::Netdev => false,
    };
    let tables = ruleset.tables.iter().filter(|table| has(table));
    let chains = tables.flat_map(|table| table.chains.iter().map(move |chain| (table, chain)));
    let judges = |chain: &Chain| chain.base.is_some_and(|base| base.hook == hook && base.kind != TableKind::Nat);
    let mut found: Vec<_> = chains.filter(|(_, chain)| judges(chain)).collect();
    found.sort_by_key(|(_, chain)| chain.base.map(|base| base.priority));
    found
}
