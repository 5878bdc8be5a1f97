//! Parties in a list: those that differ in one thing alone become one, and `not` takes them away from everyone.

use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::net::AddressSet;
use crate::policy::who::codes::NESTED_NEGATION;
use crate::policy::who::unite;
use crate::policy::{CardSet, Class, Party, Special};
use crate::span::Location;

/// Everyone but these. Parties outside are taken from the world alone; others from everyone.
pub(super) fn complement(parties: Vec<Party>, here: Location, out: &mut Vec<Diagnostic>) -> Vec<Party> {
    if let [only] = parties.as_slice()
        && !only.except.is_empty()
        && *only == Party::special(only.class, Special { except: only.except.clone(), ..Special::default() })
    {
        return only.except.clone();
    }
    if parties.iter().any(|party| !party.except.is_empty()) {
        out.push(
            Diagnostic::new(&NESTED_NEGATION, here, "`not` stands over something that is negated already")
                .help("say it without the double negation"),
        );
        return Vec::new();
    }
    if parties.iter().all(|party| party.class == Class::Outside) {
        return vec![Party::special(Class::Outside, Special { except: parties, ..Special::default() })];
    }
    Class::ALL
        .into_iter()
        .filter(|&class| !parties.iter().any(|party| party.class == class && party.is_whole_class()))
        .map(|class| {
            let except = parties.iter().filter(|party| party.class == class).cloned().collect();
            Party::special(class, Special { except, ..Special::default() })
        })
        .collect()
}

/// Whether nothing narrows it but addresses.
fn differs_in_addresses_alone(party: &Party) -> bool {
    party.at_any_address().is_whole_class()
}

/// Parties that differ in their addresses alone, or in their cards alone, become one.
pub(super) fn merge(parties: Vec<Party>) -> Vec<Party> {
    if parties.len() < 2 {
        return parties;
    }
    // Plain addresses are the long lists: they are united at once.
    let plain =
        |party: &Party| party.class == Class::Outside && party.addresses.is_some() && differs_in_addresses_alone(party);
    let (listed, others): (Vec<Party>, Vec<Party>) = parties.into_iter().partition(plain);
    let mut merged: Vec<Party> = Vec::with_capacity(others.len() + 1);
    if !listed.is_empty() {
        let ranges = listed.iter().filter_map(|party| party.addresses.as_ref()).flat_map(AddressSet::iter);
        merged.push(Party { addresses: Some(AddressSet::new(ranges)), ..Party::of(Class::Outside) });
    }
    for party in others {
        let mut taken = false;
        for known in &mut merged {
            if let (Some(a), Some(b)) = (&known.addresses, &party.addresses)
                && known.at_any_address() == party.at_any_address()
                && party.published.is_none()
            {
                known.addresses = Some(a.union(b));
                taken = true;
                break;
            }
            if let (Some(a), Some(b)) = (&known.cards, &party.cards)
                && (Party { cards: None, ..known.clone() }) == (Party { cards: None, ..party.clone() })
                && party.member.is_none()
            {
                known.cards = Some(Arc::new(unite(CardSet::clone(a), CardSet::clone(b))));
                taken = true;
                break;
            }
        }
        if !taken && !merged.contains(&party) {
            merged.push(party);
        }
    }
    merged
}
