//! Address translation: what a statement means for each class of origin, or why the kernel has no place for it.

use std::net::IpAddr;
use std::sync::Arc;

use smallvec::{SmallVec, smallvec};

use super::faults::*;
use super::{Context, Ends, Resolver, families, is_everyone};
use crate::diagnostic::Diagnostic;
use crate::net::{AddressRange, AddressSet, Family};
use crate::netfilter::MASQUERADE_ADDRESSES;
use crate::policy::names::at;
use crate::policy::who;
use crate::policy::{Action, Class, Flow, Judgement, Nat, Party, Rank};
use crate::span::{FileId, Location, Spanned};
use crate::syntax::tree::{self, Place, RuleOption, Sentence, Who};

impl<'a> Resolver<'_, 'a> {
    pub(super) fn nat(&mut self, file: FileId, span: crate::span::Span, nat: &'a tree::Nat) {
        let here = at(file, span);
        match nat {
            tree::Nat::Masquerade { sentence, address } => self.masquerade(file, here, sentence, address.as_ref()),
            tree::Nat::Forward { sentence, at: dialled, port, options } => {
                let port = port.as_ref().map(|port| port.value);
                self.forward(file, here, sentence, dialled.as_ref().map(|at| at.value), port, options);
            }
            tree::Nat::Redirect { sentence, port } => self.redirect(file, here, sentence, port.value),
        }
    }

    fn masquerade(
        &mut self,
        file: FileId,
        here: Location,
        sentence: &'a Sentence,
        address: Option<&Spanned<AddressRange>>,
    ) {
        let Some(mut ends) = self.ends(file, &sentence.clauses, Context::default(), &Class::ALL) else { return };
        let address = match address {
            Some(range) if range.value.first != range.value.last => {
                self.out.push(
                    Diagnostic::new(&CHANGE_NOT_POSSIBLE, at(file, range.span), "`as` takes one address")
                        .help("write the address that packets are to leave with"),
                );
                return;
            }
            address => address.map(|range| range.value.first),
        };
        let stays = |party: &Party| party.class != Class::Outside;
        // The host needs no word of its own to be left out of `any`.
        let anywhere = !ends.to_said || is_everyone(&ends.to);
        if !anywhere && ends.to.iter().any(stays) {
            let place = sentence.clauses.to.as_ref().map_or(here, |who| at(file, who.span));
            self.out.push(
                Diagnostic::new(&CHANGE_NOT_POSSIBLE, place, "what is masqueraded must leave this machine")
                    .help("name where it leaves: `masquerade from lan to wan`"),
            );
            return;
        }
        ends.to.retain(|party| !stays(party));
        let judgements = self.judgements(file, here, sentence, ends, Action::Allow, Rank::Rule, Arc::default());
        let any = !judgements.is_empty();
        let ipv6_is_written =
            [&sentence.clauses.from, &sentence.clauses.to].into_iter().flatten().any(|who| writes_ipv6(who));
        let mut left = false;
        let mut list: Vec<Judgement> = Vec::new();
        for (_, mut judgement) in judgements {
            if let Some(fault) = tell_by_address(&mut judgement) {
                self.out.push(fault);
                return;
            }
            let only_ipv6 = families(&judgement).as_slice() == [Family::Ipv6];
            let says_ipv6 = only_ipv6 || ipv6_is_written && lists_ipv6(&judgement);
            match (judgement.family, address) {
                (Some(family), Some(address)) if family != Family::of(address) => continue,
                (_, Some(address)) => judgement.family = Some(Family::of(address)),
                (None, None) if !says_ipv6 => {
                    left |= lists_ipv6(&judgement);
                    judgement.family = Some(Family::Ipv4);
                }
                _ => {}
            }
            if !families(&judgement).is_empty() {
                list.push(judgement);
            }
        }
        if any && list.is_empty() {
            self.out.push(
                Diagnostic::new(&FAMILIES_NEVER_MEET, here, "no packet is of every family that this names")
                    .help("masquerade each family to an address of its own: `as 203.0.113.10`, `as 2001:db8::10`"),
            );
        } else if left {
            self.out.push(
                Diagnostic::new(&MASQUERADE_LEAVES_IPV6, here, "this masquerades IPv4 alone")
                    .label("the IPv6 addresses that it names leave as they are")
                    .help("if they are to be masqueraded, too, add a line for them: `masquerade ipv6 …`"),
            );
        }
        self.policy.nat.extend(list.into_iter().map(|judgement| Nat::Masquerade { judgement, address }));
        if self.policy.masquerade_addresses().len() > MASQUERADE_ADDRESSES {
            let message = format!("a policy masquerades to at most {MASQUERADE_ADDRESSES} different addresses");
            self.out.push(
                Diagnostic::new(&CHANGE_NOT_POSSIBLE, here, message)
                    .help("a mark of the packet tells them apart, and has no room for more"),
            );
        }
    }

    fn redirect(&mut self, file: FileId, here: Location, sentence: &'a Sentence, port: u16) {
        let Some(mut ends) = self.ends(file, &sentence.clauses, Context::default(), &Class::ALL) else { return };
        keep_origins(&mut ends);
        // Between the host and itself no flow is judged; translated it is all the same.
        ends.to = smallvec![Party::of(Class::Outside)];
        for (_, mut judgement) in self.judgements(file, here, sentence, ends, Action::Allow, Rank::Rule, Arc::default())
        {
            judgement.to = Party::of(Class::Host);
            self.policy.nat.push(Nat::Redirect { judgement, port });
        }
    }

    fn forward(
        &mut self,
        file: FileId,
        here: Location,
        sentence: &'a Sentence,
        dialled: Option<AddressRange>,
        port: Option<u16>,
        options: &'a [Spanned<RuleOption>],
    ) {
        let Some(mut ends) = self.ends(file, &sentence.clauses, Context::default(), &Class::ALL) else { return };
        let target = match ends.to.as_slice() {
            [party] if ends.to_said => one_address(party).map(|address| (address, party.clone())),
            _ => None,
        };
        let Some((address, party)) = target else {
            let place = sentence.clauses.to.as_ref().map_or(here, |who| at(file, who.span));
            self.out.push(
                Diagnostic::new(&FORWARD_WHERE, place, "`forward` needs one known address to go to")
                    .help("write the address, or give the instance's in its declaration or in fwc.facts.json"),
            );
            return;
        };
        ends.to = smallvec![party];
        keep_origins(&mut ends);
        // The allow takes dialled ports; what was dialled at which address NAT has decided by then.
        let Some(options) = self.options(file, options) else { return };
        // `via` of a forward is the card of arrival, also where the target is routed to.
        if let Some(via) = ends.via.take() {
            if let Some(place) = sentence.clauses.from.as_ref().filter(|_| opens_here(&ends.from)) {
                self.out.push(
                    Diagnostic::new(
                        &VIA_CROSSES_NOTHING,
                        at(file, place.span),
                        "what the host opens arrives by no interface",
                    )
                    .label("`via` names where a forwarded connection arrives")
                    .help("give the host a line of its own, without `via`"),
                );
                return;
            }
            for from in &mut ends.from {
                from.cards = Some(match &from.cards {
                    Some(cards) => Arc::new(who::intersect(cards, &via)),
                    None => via.clone(),
                });
            }
        }
        let judgements: SmallVec<[(Flow, Judgement); 1]> =
            self.judgements(file, here, sentence, ends, Action::Allow, Rank::Rule, options);
        for (flow, mut judgement) in judgements {
            judgement.family = Some(Family::of(address));
            let at = dialled.map(|range| AddressSet::new([range]));
            self.policy.nat.push(Nat::Forward { judgement: judgement.clone(), address, port, at });
            judgement.forwarded = true;
            self.policy.flows.entry(flow).or_default().push(judgement);
        }
    }
}

/// Without `from`, what arrives is translated: everybody's connections but the host's own.
fn keep_origins(ends: &mut Ends) {
    if !ends.from_said {
        ends.from.retain(|party| party.class != Class::Host);
    }
}

fn opens_here(from: &[Party]) -> bool {
    from.iter().any(|party| party.class == Class::Host)
}

fn one_address(party: &Party) -> Option<IpAddr> {
    match &*party.addresses.as_ref()?.ranges() {
        [range] if range.first == range.last => Some(range.first),
        _ => None,
    }
}

/// A guest's tap is a port of a bridge, and its Ethernet address is gone on departure: there its own address tells it. A fault if that is
/// not known.
fn tell_by_address(judgement: &mut Judgement) -> Option<Diagnostic> {
    let from = &mut judgement.from;
    let name = from.member.clone().filter(|_| from.class == Class::Guest && from.cards.is_some())?;
    if from.addresses.is_none() {
        let message = format!("the address of guest `{name}` is not known: on departure nothing else tells it");
        let fault = Diagnostic::new(&CHANGE_NOT_POSSIBLE, judgement.location, message);
        return Some(fault.help(format!("declare it: `guest {name} on … address …`")));
    }
    from.cards = None;
    from.macs = Vec::new();
    None
}

/// Whether IPv6 addresses are among those that a judgement is for.
fn lists_ipv6(judgement: &Judgement) -> bool {
    let lists = |party: &Party| party.addresses.as_ref().is_some_and(|set| set.has_family(Family::Ipv6));
    lists(&judgement.from) || lists(&judgement.to)
}

/// Whether a clause itself names an IPv6 address, not by the name of a set.
fn writes_ipv6(who: &Who) -> bool {
    who.members.iter().any(
        |one| matches!(&one.place.value, Place::Address(range) if Family::of(range.unpacked().first) == Family::Ipv6),
    )
}
