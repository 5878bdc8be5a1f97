//! Address translation: on arrival (`forward`, `redirect`), of the host's own connections on OUTPUT, and on departure (`masquerade`).

use std::net::IpAddr;

use thin_vec::thin_vec;

use crate::net::{AddressSet, Card};
use crate::netfilter::entry::entry_chain;
use crate::netfilter::masquerade_mark;
use crate::netfilter::{Effect, Hook, Match, MatchKind, Rule, TableFamily, TableKind, Target, Verdict};
use crate::policy::{Class, Flow, Judgement, Nat, Party, Policy, Special};

use super::condition::{self, Seat};
use super::dispatch::to;
use super::{MASQUERADE_MARK, Program};

/// What a masquerade gives a connection, and for whom.
struct Departure<'j> {
    judgement: &'j Judgement,
    /// What the connection gets.
    verdict: Verdict,
    /// What tells that it leaves to outside, where its target does not: alternatives.
    leaves: Vec<Vec<Match>>,
}

impl Program<'_> {
    /// The nat table, and the marks in mangle that it rests on.
    pub(super) fn nat(&mut self) {
        let (mut arrival, mut own) = (Vec::new(), Vec::new());
        for nat in &self.policy.nat {
            let (judgement, at, verdict) = match nat {
                Nat::Forward { judgement, address, port, at } => {
                    (judgement, at.as_ref(), Verdict::Dnat { address: *address, port: *port })
                }
                Nat::Redirect { judgement, port } => (judgement, None, Verdict::Redirect(*port)),
                Nat::Masquerade { .. } => continue,
            };
            let list = if judgement.from.class == Class::Host { &mut own } else { &mut arrival };
            list.extend(self.translate(judgement, at, &verdict));
        }
        let (departure, marks) = self.masquerades();
        for (hook, rules) in [(Hook::Prerouting, arrival), (Hook::Output, own), (Hook::Postrouting, departure)] {
            if !rules.is_empty() {
                self.entry(TableFamily::Inet, TableKind::Nat, hook, &entry_chain(TableKind::Nat, hook), rules);
            }
        }
        self.add_to_mangle_forward(marks);
    }

    /// The rules of POSTROUTING, and with iptables those of FORWARD that mark what arrives by an interface: POSTROUTING does not see it.
    fn masquerades(&self) -> (Vec<Rule>, Vec<Rule>) {
        let (mut departure, mut marks) = (Vec::new(), Vec::new());
        let addresses = self.policy.masquerade_addresses();
        let mask = MASQUERADE_MARK | self.masquerade_numbers();
        for (judgement, address) in masqueraded(self.policy) {
            let verdict = address.map_or(Verdict::Masquerade, Verdict::Snat);
            let beside = masqueraded(self.policy).map(|(other, _)| other);
            let beside = beside.filter(|other| other.statement == judgement.statement);
            let leaves =
                self.told_end(judgement, &judgement.to, beside.clone().map(|one| &one.to), MatchKind::OutInterface);
            let origins = self.masqueraded_origins(judgement, beside.map(|one| &one.from));
            let one = Departure { judgement, verdict, leaves };
            if self.target == Target::Nft || !origins.iter().flatten().any(compares_arrival) {
                departure.extend(self.translated_on_departure(&one, &origins));
                continue;
            }
            let mark = masquerade_mark(addresses.iter().position(|known| *known == address).unwrap_or_default());
            marks.push(self.marked_for_departure(&one, &origins, (mark, mask)));
            departure.push(Rule {
                family: judgement.family,
                origin: Some(judgement.location),
                ..to(vec![Match::is(MatchKind::Mark { value: mark, mask })], one.verdict)
            });
        }
        // The first statement decides, and of marks the last one stays.
        (departure, marks.into_iter().rev().flatten().collect())
    }

    /// The bits by which several addresses are told apart, if iptables has to.
    pub(super) fn masquerade_numbers(&self) -> u32 {
        if self.target == Target::Iptables { self.policy.masquerade_numbers() } else { 0 }
    }

    /// What tells who opened a connection that leaves: alternatives. The host's have its source, and leave by another interface than the
    /// loopback's.
    fn masqueraded_origins<'j>(
        &self,
        judgement: &Judgement,
        beside: impl Iterator<Item = &'j Party> + Clone,
    ) -> Vec<Vec<Match>> {
        let from = &judgement.from;
        let own = MatchKind::SourceLocal;
        if from.class == Class::Host {
            let mut matches = vec![Match::is(own)];
            if judgement.to.cards.is_none() && judgement.via.is_none() {
                matches.push(Match::not(MatchKind::OutInterface([Card::exact("lo")].into())));
            }
            return vec![matches];
        }
        if let Some(cards) = &from.cards {
            return vec![vec![Match { negated: cards.complement, kind: MatchKind::InInterface(cards.cards.clone()) }]];
        }
        if from.class != Class::Outside && from.addresses.is_some() {
            return vec![Vec::new()];
        }
        let mut origins = self.told_end(judgement, from, beside.clone(), MatchKind::InInterface);
        // What has an address that the statement names may be the host's own; of everybody else it has to be told.
        let host_too = beside.into_iter().any(|party| party.class == Class::Host && party.is_whole_class());
        let by_mark = self.target == Target::Iptables && origins.iter().flatten().any(compares_arrival);
        if from.class == Class::Outside && !host_too && !by_mark {
            origins.iter_mut().for_each(|origin| origin.push(Match::not(own.clone())));
        }
        origins
    }

    fn translated_on_departure(&self, one: &Departure<'_>, origins: &[Vec<Match>]) -> Vec<Rule> {
        let judgement = one.judgement;
        let flow = Flow { from: judgement.from.class, to: judgement.to.class };
        let seat = Seat::new(Hook::Postrouting, TableKind::Nat, flow);
        let mut rules = Vec::new();
        for conjunction in condition::of(self.policy, judgement, &seat) {
            for ends in ends(origins, &one.leaves) {
                rules.push(Rule {
                    family: conjunction.family,
                    origin: Some(judgement.location),
                    ..to([ends, conjunction.matches.clone()].concat(), one.verdict.clone())
                });
            }
        }
        rules
    }

    fn marked_for_departure(
        &self,
        one: &Departure<'_>,
        origins: &[Vec<Match>],
        (value, mask): (u32, u32),
    ) -> Vec<Rule> {
        let judgement = one.judgement;
        let flow = Flow { from: judgement.from.class, to: judgement.to.class };
        let seat = Seat::new(Hook::Forward, TableKind::Mangle, flow);
        let mut rules = Vec::new();
        for conjunction in condition::of(self.policy, judgement, &seat) {
            for mut matches in ends(origins, &one.leaves) {
                matches.retain(|own| !conjunction.matches.contains(own));
                matches.extend(conjunction.matches.iter().cloned());
                rules.push(Rule {
                    family: conjunction.family,
                    matches,
                    effects: thin_vec![Effect::SetMark { value, mask }],
                    origin: Some(judgement.location),
                    ..Rule::default()
                });
            }
        }
        rules
    }

    /// Destination NAT for what is sent to an address of this machine: by others, on arrival; by the host itself, on OUTPUT.
    fn translate(&self, judgement: &Judgement, at: Option<&AddressSet>, verdict: &Verdict) -> Vec<Rule> {
        let mut judgement = judgement.clone();
        // The target is not known yet: the packet still goes to the host.
        judgement.to = Party::special(Class::Host, Special { at: at.cloned(), ..Special::default() });
        let flow = Flow { from: judgement.from.class, to: Class::Host };
        let hook = if flow.from == Class::Host { Hook::Output } else { Hook::Prerouting };
        let seat = Seat::new(hook, TableKind::Nat, flow);
        let beside = self.policy.nat.iter().filter_map(|nat| match nat {
            Nat::Forward { judgement, .. } | Nat::Redirect { judgement, .. } => Some(judgement),
            Nat::Masquerade { .. } => None,
        });
        let beside = beside.filter(|other| other.statement == judgement.statement).map(|other| &other.from);
        let origins = self.told_end(&judgement, &judgement.from, beside, MatchKind::InInterface);
        let mut rules = Vec::new();
        for conjunction in condition::of(self.policy, &judgement, &seat) {
            for origin in &origins {
                let mut matches = [origin.as_slice(), &conjunction.matches].concat();
                if at.is_none() {
                    matches.push(Match::is(MatchKind::DestinationLocal));
                }
                // From a loopback address nothing gets to another machine.
                if flow.from == Class::Host && at.is_none() && matches!(verdict, Verdict::Dnat { .. }) {
                    let loopback = conjunction.family.map(AddressSet::loopback);
                    matches.extend(loopback.map(|set| Match::not(MatchKind::Destination(set))));
                }
                rules.push(Rule {
                    family: conjunction.family,
                    comment: judgement.options.comment.clone(),
                    origin: Some(judgement.location),
                    ..to(matches, verdict.clone())
                });
            }
        }
        rules
    }

    /// Rules of mangle FORWARD that do not decide stand in front of those that do.
    pub(super) fn add_to_mangle_forward(&mut self, rules: Vec<Rule>) {
        if rules.is_empty() {
            return;
        }
        let table = self.table(TableKind::Mangle);
        let entry = table.chains.iter_mut().find(|chain| chain.base.is_some_and(|base| base.hook == Hook::Forward));
        match entry {
            Some(chain) => {
                chain.rules.splice(0..0, rules);
            }
            None => self.entry(TableFamily::Inet, TableKind::Mangle, Hook::Forward, "fwc-mangle-forward", rules),
        }
    }
}

/// The masquerades of a policy, each with the fixed address that it gives.
fn masqueraded(policy: &Policy) -> impl Iterator<Item = (&Judgement, Option<IpAddr>)> + Clone {
    policy.nat.iter().filter_map(|nat| match nat {
        Nat::Masquerade { judgement, address } => Some((judgement, *address)),
        _ => None,
    })
}

fn compares_arrival(one: &Match) -> bool {
    matches!(one.kind, MatchKind::InInterface(_))
}

/// What tells both ends of a connection: each of the one's alternatives with each of the other's.
fn ends<'m>(origins: &'m [Vec<Match>], leaves: &'m [Vec<Match>]) -> impl Iterator<Item = Vec<Match>> + 'm {
    origins.iter().flat_map(|origin| leaves.iter().map(|leave| [origin.as_slice(), leave].concat()))
}
