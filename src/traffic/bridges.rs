//! Bridges whose other ports nobody has named.

use crate::net::Card;
use crate::platform::Platform;
use crate::policy::Policy;

/// The bridges of declared instances that no platform makes and no fact lists, as far as is known: a port of such a bridge may be the host's
/// uplink, and then what comes from outside looks like what comes from an instance.
#[must_use]
pub fn may_lead_outside(policy: &Policy) -> Vec<&Card> {
    let listed = |card: &Card| {
        policy.facts.instances.as_ref().is_some_and(|facts| facts.bridges.keys().any(|name| *name == *card.name))
    };
    let cards = policy.cards.instance.iter();
    cards.filter(|card| !card.prefix && Platform::of_bridge(&card.name).is_none() && !listed(card)).collect()
}
