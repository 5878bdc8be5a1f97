//! Address translation: on arrival (`forward`, `redirect`) and on departure (`masquerade`).

use std::sync::Arc;

use thin_vec::thin_vec;

use crate::net::Family;
use crate::netfilter::Target;
use crate::netfilter::{Effect, Hook, Match, MatchKind, Rule, TableFamily, TableKind, Verdict};
use crate::policy::{Class, Flow, Judgement, Nat, Party, Special};

use super::condition::{self, Seat};
use super::dispatch::to;
use super::{MASQUERADE_MARK, Program};

impl Program<'_> {
    /// The nat table, and the marks in mangle that it rests on.
    pub(super) fn nat(&mut self) {
        let (mut arrival, mut departure, mut marks) = (Vec::new(), Vec::new(), Vec::new());
        for nat in &self.policy.nat {
            match nat {
                Nat::Forward { judgement, address, port, at } => {
                    let verdict = Verdict::Dnat { address: *address, port: *port };
                    arrival.extend(translate(self, judgement, at.as_ref(), &verdict));
                }
                Nat::Redirect { judgement, port } => {
                    arrival.extend(translate(self, judgement, None, &Verdict::Redirect(*port)));
                }
                Nat::Masquerade { judgement, address } => {
                    self.masquerade(judgement, *address, &mut departure, &mut marks);
                }
            }
        }
        if !arrival.is_empty() {
            self.entry(TableFamily::Inet, TableKind::Nat, Hook::Prerouting, "fwc-nat-prerouting", arrival);
        }
        if !departure.is_empty() {
            self.entry(TableFamily::Inet, TableKind::Nat, Hook::Postrouting, "fwc-nat-postrouting", departure);
        }
        self.add_to_mangle_forward(marks);
    }

    fn masquerade(
        &self,
        judgement: &Judgement,
        address: Option<std::net::IpAddr>,
        departure: &mut Vec<Rule>,
        marks: &mut Vec<Rule>,
    ) {
        let mut judgement = judgement.clone();
        if let Some(address) = address {
            judgement.family = Some(Family::of(address));
        }
        let verdict = address.map_or(Verdict::Masquerade, Verdict::Snat);
        let flow = Flow { from: judgement.from.class, to: judgement.to.class };
        let by_card = origin_cards(self, &judgement);
        if self.target == Target::Nft || by_card.is_empty() {
            let seat = Seat::new(Hook::Postrouting, TableKind::Nat, flow);
            for conjunction in condition::of(self.policy, &judgement, &seat) {
                let mut matches = conjunction.matches;
                matches.splice(0..0, by_card.iter().cloned());
                departure.push(Rule {
                    family: conjunction.family,
                    origin: Some(judgement.location),
                    ..to(matches, verdict.clone())
                });
            }
            return;
        }
        // iptables sees no arrival card in POSTROUTING: FORWARD marks what came from it.
        let seat = Seat::new(Hook::Forward, TableKind::Mangle, flow);
        for conjunction in condition::of(self.policy, &judgement, &seat) {
            let mut matches = conjunction.matches;
            let missing: Vec<Match> = by_card.iter().filter(|card| !matches.contains(card)).cloned().collect();
            matches.splice(0..0, missing);
            marks.push(Rule {
                family: conjunction.family,
                matches,
                effects: thin_vec![Effect::SetMark { value: MASQUERADE_MARK, mask: MASQUERADE_MARK }],
                origin: Some(judgement.location),
                ..Rule::default()
            });
        }
        let marked = Match::is(MatchKind::Mark { value: MASQUERADE_MARK, mask: MASQUERADE_MARK });
        departure.push(Rule {
            family: judgement.family,
            origin: Some(judgement.location),
            ..to(vec![marked], verdict)
        });
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

/// The matches for the card that a masqueraded party arrives by, or for its class.
fn origin_cards(program: &Program<'_>, judgement: &Judgement) -> Vec<Match> {
    let party: &Party = &judgement.from;
    if let Some(cards) = &party.cards {
        let kind = MatchKind::InInterface(cards.cards.clone());
        return vec![Match { negated: cards.complement, kind }];
    }
    if party.addresses.is_some() { Vec::new() } else { program.told_by(party.class, MatchKind::InInterface) }
}

/// Destination NAT for what arrives at an address of this machine.
fn translate(
    program: &Program<'_>,
    judgement: &Judgement,
    at: Option<&crate::net::AddressSet>,
    verdict: &Verdict,
) -> Vec<Rule> {
    let mut judgement = judgement.clone();
    // In PREROUTING the target is not known yet: the packet still goes to the host.
    judgement.to = Party::special(Class::Host, Special { at: at.cloned(), ..Special::default() });
    judgement.forwarded = false;
    let local = at.is_none();
    let flow = Flow { from: judgement.from.class, to: Class::Host };
    let seat = Seat::new(Hook::Prerouting, TableKind::Nat, flow);
    let beside = program.policy.nat.iter().filter_map(|nat| match nat {
        Nat::Forward { judgement, .. } | Nat::Redirect { judgement, .. } => Some(judgement),
        Nat::Masquerade { .. } => None,
    });
    let beside = beside.filter(|other| other.statement == judgement.statement).map(|other| &other.from);
    let origins = program.told_end(&judgement, &judgement.from, beside, MatchKind::InInterface);
    condition::of(program.policy, &judgement, &seat)
        .into_iter()
        .flat_map(|conjunction| origins.iter().map(move |origin| (conjunction.clone(), origin)))
        .map(|(conjunction, origin)| {
            let mut matches = conjunction.matches;
            matches.splice(0..0, origin.iter().cloned());
            if local {
                matches.push(Match::is(MatchKind::DestinationLocal));
            }
            let comment: Option<Arc<str>> = judgement.options.comment.clone();
            Rule {
                family: conjunction.family,
                comment,
                origin: Some(judgement.location),
                ..to(matches, verdict.clone())
            }
        })
        .collect()
}
