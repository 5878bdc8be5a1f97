//! The order in which the judgements of a flow decide, and the deny that ends a closed flow.

use std::sync::Arc;

use crate::net::{PortRange, PortSet};
use crate::policy::closed::Extent;
use crate::policy::cover::covers;
use crate::policy::{Action, Class, Flow, Judgement, Nat, Party, Policy, Rank, Special, Traffic, TrafficList};
use crate::span::Location;
use crate::syntax::tree::View;

/// Puts each flow's judgements into deciding order and adds the deny that ends a closed flow.
pub(super) fn finish_flows(policy: &mut Policy) {
    // The prelude does not count as mentioning a flow.
    policy.flows.retain(|_, judgements| judgements.iter().any(|judgement| judgement.rank > Rank::Prelude));
    let forwards = forwarded_targets(policy);
    for (flow, judgements) in &mut policy.flows {
        // A log line decides nothing: it brings neither the prelude nor anything else that lets packets pass or stops them.
        if judgements.iter().all(|judgement| judgement.rank == Rank::Prelude || judgement.action == Action::Log) {
            judgements.retain(|judgement| judgement.rank > Rank::Prelude);
            continue;
        }
        order(judgements);
        // A default that decides about all that is left stands at the end itself.
        if judgements.iter().any(Judgement::is_unconditional) {
            continue;
        }
        match closed_by_allows(*flow, judgements) {
            Some((extent, location)) => judgements.push(end(*flow, extent, location)),
            None => {
                let targets = forwards.iter().filter(|(known, _)| known == flow);
                judgements.extend(targets.map(|(_, end)| end.clone()));
            }
        }
    }
}

/// Rules keep source order; defaults go from the more specific to the more general.
fn order(judgements: &mut [Judgement]) {
    let place = |judgement: &Judgement| {
        let narrowness = if judgement.rank == Rank::Default { specificity(judgement) } else { 0 };
        (position(judgement), std::cmp::Reverse(narrowness))
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
}

/// Which part of its flow a judgement is in. What the prelude lets in from bridges of platforms that are not used, the one part of it
/// that names interfaces, is for where nothing else decides: a deny of the policy goes before it.
fn position(judgement: &Judgement) -> u8 {
    match judgement.rank {
        Rank::Prelude if judgement.from.cards.is_some() => 2,
        Rank::Prelude => 0,
        Rank::Rule => 1,
        Rank::Default => 3,
        Rank::End => 4,
    }
}

/// What a flow's allows close, and the first allow that does.
fn closed_by_allows(flow: Flow, judgements: &[Judgement]) -> Option<(Extent, Location)> {
    let allows = || {
        judgements.iter().filter(|judgement| {
            judgement.rank == Rank::Rule && judgement.action == Action::Allow && !judgement.forwarded
        })
    };
    let first = allows().next()?.location;
    // From this machine a container's own address is a flow of its own: containers talk on their networks by it, and
    // docker-proxy reaches them.
    let apart = flow.to == Class::Container && matches!(flow.from, Class::Host | Class::Container);
    if !apart {
        return Some((Extent::Whole, first));
    }
    let direct = |allow: &Judgement| allow.to.view == Some(View::Direct);
    let extent = match (allows().any(direct), allows().all(direct)) {
        (false, _) => Extent::HostAddresses,
        (true, true) => Extent::OwnAddresses,
        (true, false) => Extent::Whole,
    };
    Some((extent, first))
}

/// The deny at the end of a flow.
fn end(flow: Flow, extent: Extent, location: Location) -> Judgement {
    let view = (extent == Extent::OwnAddresses).then_some(View::Direct);
    let to = match view {
        Some(view) => Party::special(flow.to, Special { view: Some(view), ..Special::default() }),
        None => Party::of(flow.to),
    };
    Judgement {
        statement: u32::MAX,
        rank: Rank::End,
        action: Action::Deny,
        family: None,
        traffic: Traffic::ALL.into(),
        from: Party::of(flow.from),
        to,
        via: None,
        options: Arc::default(),
        forwarded: false,
        leaves_own_addresses: extent == Extent::HostAddresses,
        location,
        target: None,
    }
}

/// What each `forward` closes: its target at the port that it forwards to, for whoever connects to that without it, and what it
/// has translated where its allow has a condition besides.
fn forwarded_targets(policy: &Policy) -> Vec<(Flow, Judgement)> {
    let mut ends = Vec::new();
    for nat in &policy.nat {
        let Nat::Forward { judgement, port, .. } = nat else { continue };
        let flow = Flow { from: judgement.from.class, to: judgement.to.class };
        let closes = |traffic: TrafficList, forwarded| Judgement {
            family: judgement.family,
            traffic,
            to: judgement.to.clone(),
            forwarded,
            ..end(flow, Extent::Whole, judgement.location)
        };
        let at_target = |traffic: &Traffic| Traffic {
            ports: port.map_or_else(|| traffic.ports.clone(), |port| Some(PortSet::new([PortRange::single(port)]))),
            ..traffic.clone()
        };
        let targets = judgement.traffic.iter().map(at_target).collect::<Vec<Traffic>>();
        ends.push((flow, closes(judgement.traffic.clone(), true)));
        ends.push((flow, closes(targets.into(), false)));
    }
    ends
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
