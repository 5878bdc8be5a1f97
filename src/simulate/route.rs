//! Where a packet goes: to this machine, or on by a card. What was said outweighs what is known from facts, and that what the form
//! of rules shows.

use std::net::IpAddr;

use super::Way;
use crate::host::words;
use crate::packet::Field;
use crate::policy::{Class, Flow};

/// A routing decision.
#[derive(Clone, Debug)]
pub(super) struct Route {
    /// To this machine.
    pub(super) local: bool,
    /// Else: the card of departure, if known.
    pub(super) card: Option<String>,
    /// Why, in words.
    pub(super) why: String,
}

impl Way<'_, '_> {
    fn destination_address(&self) -> Option<IpAddr> {
        self.packet.get(Field::DESTINATION).map(|number| words::address(number, self.family))
    }

    /// Whether the destination is this machine's, before anything is translated.
    pub(super) fn locate_destination(&mut self) {
        let known = self.destination_address().and_then(|address| self.host.cards.local(address));
        let local = if self.question.to_host {
            true
        } else if let Some((local, _)) = known {
            local
        } else {
            self.question.leaves.is_none() && self.destination_address().is_some_and(|address| !address.is_multicast())
        };
        if self.destination_address().is_some() || self.question.to_host {
            self.packet.set(Field::LOCAL, u128::from(local));
        }
    }

    /// Whether the source is this machine's.
    pub(super) fn locate_source(&mut self) {
        let source = self.question.source;
        let local =
            source.and_then(|address| self.host.cards.local(address)).is_some_and(|(local, guessed)| local && !guessed);
        self.packet.set(Field::SOURCE_LOCAL, u128::from(local));
    }

    /// Where what this machine sends goes at first.
    pub(super) fn destination_of_host(&mut self) -> Route {
        if self.question.leaves.as_deref() == Some("lo") || self.question.to_host {
            return Route {
                local: true,
                card: Some("lo".to_owned()),
                why: "from this host to itself: out by lo".to_owned(),
            };
        }
        self.route_from_host()
    }

    fn route_from_host(&mut self) -> Route {
        let mut route = self.decide(true);
        if route.local {
            route.card = Some("lo".to_owned());
        }
        route
    }

    /// The routing decision.
    pub(super) fn route(&mut self) -> Route {
        self.decide(self.question.from_host)
    }

    fn decide(&mut self, from_host: bool) -> Route {
        let cards = &self.host.cards;
        let to = |card: Option<String>, why: String| Route { local: false, card, why };
        let here = |why: String| Route { local: true, card: None, why };
        let translated = self.translated.destination;
        if self.translated.redirected {
            return here("to this host: it was redirected".to_owned());
        }
        if self.question.to_host && !translated {
            return here("to this host, as said".to_owned());
        }
        if let Some(card) = self.question.leaves.clone().filter(|_| !translated || !from_host) {
            return to(Some(card.clone()), format!("out by {card}, as said"));
        }
        let Some(address) = self.destination_address() else {
            if from_host {
                return to(None, "from this host; where to is not said".to_owned());
            }
            self.note("the destination is not said: it is taken to be this host; `out CARD` is for what is routed on");
            return here("to this host: nothing else is said".to_owned());
        };
        match cards.local(address) {
            Some((true, guessed)) => {
                let by = if guessed { "as its ports are forwarded" } else { "by its addresses" };
                return here(format!("{address} is this host's own, {by}"));
            }
            _ if address.is_multicast() && !from_host => {
                return here(format!("{address} is a multicast address: a copy is for this host"));
            }
            _ => {}
        }
        if let Some(link) = cards.behind(address) {
            let card = link.card.clone();
            let name = card.clone().unwrap_or_default();
            let by = if link.guessed { "as rules name it there" } else { "by its addresses" };
            let network = link.network;
            return to(card, format!("{address} is in {network} behind {name}, {by}"));
        }
        let default = cards.default_route.clone();
        let known = cards.links.iter().any(|link| link.own.is_some() && !link.guessed);
        if translated || known || from_host {
            return match default {
                Some(card) => {
                    to(Some(card.clone()), format!("{address} is elsewhere: out by the default route, {card}"))
                }
                None => to(None, format!("{address} is elsewhere; by which interface is not known")),
            };
        }
        // A router whose policy is asked about what comes in from inside: hardly for the router itself.
        let routes = Flow { from: Class::Outside, to: Class::Outside };
        let routes = self.host.policy.as_ref().is_some_and(|policy| policy.governs(routes));
        if routes && self.question.arrives.is_some() && self.question.arrives != default {
            self.note(format!(
                "{address} is taken to be elsewhere: nothing says that it is this host's; `to host` says so"
            ));
            let by = default.as_ref().map_or_else(
                || "by which interface is not known".to_owned(),
                |card| format!("out by the default route, {card}"),
            );
            return to(default, format!("{address} is elsewhere: {by}"));
        }
        self.note(format!(
            "{address} is taken to be this host's own: nothing says otherwise; `out CARD` is for what is routed on"
        ));
        here(format!("{address} is taken to be this host's own"))
    }
}
