//! The order in which the judgements of a flow decide, and the deny that ends a flow with an allow.

use std::sync::Arc;

use crate::syntax::tree::View;

use crate::policy::cover::covers;
use crate::policy::who::{self};
use crate::policy::{Action, CardSet, Judgement, Party, Policy, Rank, Traffic};

/// Puts each flow's judgements into deciding order and adds the deny that ends a flow with an allow.
pub(super) fn finish_flows(policy: &mut Policy) {
    // The prelude does not count as mentioning a flow.
    policy.flows.retain(|_, judgements| judgements.iter().any(|judgement| judgement.rank > Rank::Prelude));
    for (flow, judgements) in &mut policy.flows {
        // Stable: rules keep source order; defaults go from the more specific to the more general.
        let place = |judgement: &Judgement| {
            let narrowness = if judgement.rank == Rank::Default { specificity(judgement) } else { 0 };
            (judgement.rank, std::cmp::Reverse(narrowness))
        };
        // Most are in order already, and sorting takes room for as many again.
        if !judgements.is_sorted_by_key(place) {
            judgements.sort_by_key(place);
        }
        let defaults = judgements.partition_point(|judgement| judgement.rank < Rank::Default);
        for equals in judgements
            .get_mut(defaults..)
            .unwrap_or_default()
            .chunk_by_mut(|a, b| a.rank == b.rank && specificity(a) == specificity(b))
        {
            inner_first(equals);
        }
        let rules = || judgements.iter().filter(|judgement| judgement.rank > Rank::Prelude);
        let whole = |judgement: &Judgement| {
            judgement.rank == Rank::Default
                && judgement.action != Action::Log
                && judgement.from.is_whole_class()
                && judgement.to.is_whole_class()
                && judgement.via.is_none()
                && judgement.family.is_none()
                && *judgement.traffic == [Traffic::ALL]
                && judgement.options.limit.is_none()
                && judgement.options.during.is_none()
                && judgement.options.source_ports.is_none()
        };
        let Some(first) = rules().find(|judgement| judgement.action == Action::Allow && judgement.rank == Rank::Rule)
        else {
            continue;
        };
        if rules().any(whole) {
            continue;
        }
        // The allow closes what it speaks of: the cards of its `via`, or the whole flow.
        let mut via = Some(CardSet::only(Vec::new()));
        for allow in rules().filter(|judgement| judgement.action == Action::Allow) {
            via = match (via, &allow.via) {
                (Some(all), Some(more)) => Some(who::unite(all, CardSet::clone(more))),
                _ => None,
            };
        }
        // An allow for everyone closes what is dialled at an address of the host. Containers' own addresses it leaves alone, where
        // they are reached from this machine: a line that names who opens, or says `direct`, closes them too.
        let in_passing = |allow: &Judgement| allow.anyone && allow.to.view != Some(View::Direct);
        let anyone = rules().filter(|judgement| judgement.action == Action::Allow).all(in_passing);
        let end = Judgement {
            statement: u32::MAX,
            rank: Rank::End,
            action: Action::Deny,
            family: None,
            traffic: Traffic::ALL.into(),
            from: Party::of(flow.from),
            to: Party::of(flow.to),
            via: via.map(Arc::new),
            options: Arc::default(),
            forwarded: false,
            anyone,
            location: first.location,
            target: None,
        };
        judgements.push(end);
    }
}

/// With more defaults of one kind in one flow, their order in the source stands; that one comes too late is then an error.
const MOST_COMPARED: usize = 500;

/// Of defaults that say as much, one that speaks of a part of what another speaks of comes first: the smaller prefix, the
/// shorter list. The others keep the order of the source.
fn inner_first(defaults: &mut [Judgement]) {
    if defaults.len() > MOST_COMPARED {
        return;
    }
    for at in 1..defaults.len() {
        // The first of those in front that this one is a part of.
        let Some((before, rest)) = defaults.split_at_mut_checked(at) else { return };
        let Some(inner) = rest.first() else { return };
        let outer = before.iter().position(|outer| covers(outer, inner) && !covers(inner, outer));
        if let Some(moved) = outer.and_then(|outer| defaults.get_mut(outer..=at)) {
            moved.rotate_right(1);
        }
    }
}

/// How much a default says: the more, the earlier it stands. What speaks of a part of another's traffic never says less.
fn specificity(judgement: &Judgement) -> usize {
    let party = |party: &Party| {
        usize::from(party.cards.is_some())
            + 2 * usize::from(
                party.addresses.is_some() || party.live.is_some() || !party.macs.is_empty() || party.user.is_some(),
            )
            + 3 * usize::from(party.member.is_some())
            + usize::from(party.at.is_some())
            + usize::from(!party.except.is_empty())
    };
    party(&judgement.from)
        + party(&judgement.to)
        + usize::from(judgement.via.is_some())
        + usize::from(judgement.family.is_some())
        + 2 * usize::from(*judgement.traffic != [Traffic::ALL])
}
