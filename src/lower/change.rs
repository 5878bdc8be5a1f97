//! Changes of packets: marks, DSCP, MSS clamping, tracking exemptions, helpers. They decide nothing.

use std::collections::BTreeMap;

use std::sync::Arc;

use crate::net::{Card, Protocol};
use crate::netfilter::{Effect, Hook, Match, MatchKind, Rule, TableFamily, TableKind};
use crate::policy::{Change, ChangeKind, Class, Judgement, Party};

use super::Program;
use super::condition::{self, Seat};
use crate::netfilter::entry::entry_chain;

/// TCP flag bits SYN and RST.
const SYN: u8 = 0x02;
const RST: u8 = 0x04;

impl Program<'_> {
    /// The rules of all changes, each at the hook where it takes effect.
    pub(super) fn changes(&mut self) {
        let mut places: BTreeMap<(TableKind, Hook), Vec<Rule>> = BTreeMap::new();
        for change in &self.policy.changes {
            for (kind, hook, rules) in self.change(change) {
                let place = places.entry((kind, hook)).or_default();
                for rule in rules {
                    if !place.contains(&rule) {
                        place.push(rule);
                    }
                }
            }
        }
        for ((kind, hook), rules) in places {
            if (kind, hook) == (TableKind::Mangle, Hook::Forward) {
                self.add_to_mangle_forward(rules);
                continue;
            }
            let table = self.table(kind);
            match table.chains.iter_mut().find(|chain| chain.base.is_some_and(|base| base.hook == hook)) {
                Some(chain) => chain.rules.extend(rules),
                None => self.entry(TableFamily::Inet, kind, hook, &entry_chain(kind, hook), rules),
            }
        }
    }

    fn change(&self, change: &Change) -> Vec<(TableKind, Hook, Vec<Rule>)> {
        let judgement = &change.judgement;
        let (from, to) = (change.flow.from, change.flow.to);
        let arrival = if from == Class::Host { Hook::Output } else { Hook::Prerouting };
        let altered = match (from, to) {
            (Class::Host, _) => Hook::Output,
            // Marks choose routes: what does not name where it goes is marked before it is routed.
            (_, Class::Host) => Hook::Prerouting,
            _ => Hook::Forward,
        };
        match &change.kind {
            ChangeKind::Mark(mark) => {
                let effect = Effect::SetMark { value: *mark, mask: !super::RESERVED_MARKS };
                vec![(TableKind::Mangle, altered, self.changed(change, TableKind::Mangle, altered, &effect))]
            }
            ChangeKind::Dscp(class) => {
                let effect = Effect::SetDscp(*class);
                vec![(TableKind::Mangle, altered, self.changed(change, TableKind::Mangle, altered, &effect))]
            }
            ChangeKind::ClampMss => {
                let mut both = self.clamp(judgement);
                // Both SYN and SYN/ACK carry the option: the answer crosses the other way.
                let back = Judgement { from: judgement.to.clone(), to: judgement.from.clone(), ..judgement.clone() };
                both.extend(self.clamp(&back));
                vec![(TableKind::Mangle, Hook::Forward, both)]
            }
            ChangeKind::Notrack => {
                let forth = self.changed(change, TableKind::Raw, arrival, &Effect::Notrack);
                let mut list = vec![(TableKind::Raw, arrival, forth)];
                // The answers would otherwise open a connection of their own.
                let hook = if to == Class::Host { Hook::Output } else { Hook::Prerouting };
                list.push((TableKind::Raw, hook, self.answers(change, hook)));
                list
            }
            ChangeKind::Helper(name) => {
                let rules = self.changed(change, TableKind::Raw, arrival, &Effect::Helper(name.clone()));
                vec![(TableKind::Raw, arrival, rules)]
            }
        }
    }

    fn changed(&self, change: &Change, kind: TableKind, hook: Hook, effect: &Effect) -> Vec<Rule> {
        let seat = Seat::new(hook, kind, change.flow);
        let mut judgement = change.judgement.clone();
        let early = hook == Hook::Prerouting;
        if early {
            // The target's cards are not known before routing, and a container is still an address of the host.
            judgement.to =
                Arc::new(Party { at: None, published: None, cards: None, view: None, ..Party::clone(&judgement.to) });
        }
        let mut rules = Vec::new();
        for conjunction in condition::of(self.policy, &judgement, &seat) {
            let mut matches = self.class_matches(&judgement, hook);
            matches.extend(conjunction.matches);
            rules.push(Rule {
                family: conjunction.family,
                matches,
                effects: vec![effect.clone()],
                origin: Some(judgement.location),
                ..Rule::default()
            });
        }
        rules
    }

    /// Cards of the classes at both ends, where the hook sees them.
    fn class_matches(&self, judgement: &Judgement, hook: Hook) -> Vec<Match> {
        let mut matches = Vec::new();
        let local = |class: Class| -> Option<Vec<Card>> {
            let cards = self.cards(class);
            (!cards.is_empty()).then(|| cards.to_vec())
        };
        if matches!(hook, Hook::Prerouting | Hook::Input | Hook::Forward)
            && judgement.from.cards.is_none()
            && let Some(cards) = local(judgement.from.class)
        {
            matches.push(Match::is(MatchKind::InInterface(cards)));
        }
        if matches!(hook, Hook::Forward | Hook::Output)
            && judgement.to.cards.is_none()
            && let Some(cards) = local(judgement.to.class)
        {
            matches.push(Match::is(MatchKind::OutInterface(cards)));
        }
        if hook == Hook::Prerouting && judgement.to.class == Class::Host && judgement.to.addresses.is_none() {
            matches.push(Match::is(MatchKind::DestinationLocal));
        }
        matches
    }

    fn clamp(&self, judgement: &Judgement) -> Vec<Rule> {
        let flow = crate::policy::Flow { from: judgement.from.class, to: judgement.to.class };
        let seat = Seat::new(Hook::Forward, TableKind::Mangle, flow);
        let mut judgement = judgement.clone();
        judgement.traffic =
            [crate::policy::Traffic { protocol: Some(Protocol::TCP), ..crate::policy::Traffic::ALL }].into();
        let mut rules = Vec::new();
        for conjunction in condition::of(self.policy, &judgement, &seat) {
            let mut matches = self.class_matches(&judgement, Hook::Forward);
            matches.extend(
                conjunction
                    .matches
                    .into_iter()
                    .filter(|one| !matches!(one.kind, MatchKind::DestinationTranslated | MatchKind::DirectionOriginal)),
            );
            matches.push(Match::is(MatchKind::TcpFlags { mask: SYN | RST, set: SYN }));
            rules.push(Rule {
                family: conjunction.family,
                matches,
                effects: vec![Effect::ClampMss],
                origin: Some(judgement.location),
                ..Rule::default()
            });
        }
        rules
    }

    /// The other direction of untracked traffic: ends and ports the other way round.
    fn answers(&self, change: &Change, hook: Hook) -> Vec<Rule> {
        let forth = self.changed(change, TableKind::Raw, Hook::Prerouting, &Effect::Notrack);
        forth
            .into_iter()
            .map(|rule| {
                let matches = rule
                    .matches
                    .into_iter()
                    .filter_map(|one| {
                        let kind = match one.kind {
                            MatchKind::Source(set) => MatchKind::Destination(set),
                            MatchKind::Destination(set) => MatchKind::Source(set),
                            MatchKind::DestinationPort(ports) => MatchKind::SourcePort(ports),
                            MatchKind::SourcePort(ports) => MatchKind::DestinationPort(ports),
                            MatchKind::InInterface(cards) if hook == Hook::Output => MatchKind::OutInterface(cards),
                            MatchKind::InInterface(_) | MatchKind::DestinationLocal | MatchKind::SourceMac(_) => {
                                return None;
                            }
                            other => other,
                        };
                        Some(Match { negated: one.negated, kind })
                    })
                    .collect();
                Rule { matches, ..rule }
            })
            .collect()
    }
}
