//! Where packets come from and go to on a host: which cards lead to what, and which addresses lie behind them.

use crate::host::Host;
use crate::host::words::address_number;
use crate::net::{Card, Family};
use crate::netfilter::{MatchKind, Ruleset};
use crate::packet::Values;
use crate::packet::field::{card_range, name_number};
use crate::packet::values::Range;
use crate::platform::{self, Platform};
use crate::policy::{Class, LocalCards};

/// Every name that a card can have.
pub(super) fn named() -> Values {
    Values::range((name_number("!"), u128::MAX))
}

/// The numbers of cards.
pub(super) fn cards(list: &[Card]) -> Option<Values> {
    Values::union(list.iter().map(card_range))
}

/// Destinations behind a card.
#[derive(Clone, Debug)]
pub(super) struct Behind {
    /// What stands behind the card.
    pub(super) class: Class,
    /// The card, or those that it may be.
    pub(super) cards: Values,
    /// The destinations; none if there are none.
    pub(super) destinations: Values,
}

/// A host's cards and addresses, of one family.
#[derive(Debug)]
pub(super) struct Geography {
    family: Family,
    /// Cards that lead away from this machine.
    pub(super) outside: Values,
    /// Cards that lead to machines on this one.
    pub(super) inside: Vec<(Class, Values)>,
    /// The host's own addresses, if they are known.
    pub(super) own: Option<Values>,
    /// Destinations that may be this host's: its own addresses, or what no card is known to lead to.
    pub(super) here: Values,
    /// What is routed where.
    pub(super) routed: Vec<Behind>,
}

/// 127.0.0.0/8 and ::1, which no card takes in; multicast and broadcast, which are for many.
fn one_party(family: Family) -> Option<Values> {
    match family {
        Family::Ipv4 => Values::union([(0, 0x7eff_ffff), (0x8000_0000, 0xdfff_ffff), (0xf000_0000, 0xffff_fffe)]),
        Family::Ipv6 => Values::union([(0, 0), (2, (0xff << 120) - 1)]),
    }
}

impl Geography {
    /// What is known of a host.
    pub(super) fn new(host: &Host, family: Family) -> Self {
        let local = local_cards(host);
        let mut outside = named();
        let mut inside: Vec<(Class, Values)> = Vec::new();
        let without = |values: &Values, other: &Values| values.difference(other);
        let lo = Values::single(name_number("lo"));
        outside = without(&outside, &lo).unwrap_or(outside);
        let exceptions = cards(&local.outside);
        let lists =
            [(Class::Container, &local.container), (Class::Instance, &local.instance), (Class::Guest, &local.guest)];
        for (class, list) in lists {
            let Some(own) = cards(list) else { continue };
            let own = match &exceptions {
                Some(exceptions) => own.difference(exceptions),
                None => Some(own),
            };
            let taken = inside.iter().fold(own, |left, (_, known)| left.and_then(|left| left.difference(known)));
            let Some(own) = taken else { continue };
            outside = without(&outside, &own).unwrap_or(outside);
            inside.push((class, own));
        }
        let own = host.cards.links.iter().filter(|link| !link.guessed).filter_map(|link| link.own);
        let own = own.filter(|address| Family::of(*address) == family && !address.is_loopback());
        let own = Values::union(own.map(|address| (address_number(address), address_number(address))));
        let here = Values::single(0);
        let mut geography = Self { family, outside, inside, own, here, routed: Vec::new() };
        geography.here = geography.local(host);
        geography.routed = geography.routes(host);
        geography
    }

    /// Destinations that are one party's.
    pub(super) fn unicast(&self) -> Values {
        one_party(self.family).unwrap_or(Values::range((0, u128::MAX)))
    }

    fn local(&self, host: &Host) -> Values {
        if let Some(own) = &self.own {
            return own.clone();
        }
        let links = host.cards.links.iter().filter(|link| link.card.is_some() && link.own.is_none());
        let networks = links
            .filter(|link| Family::of(link.network.addr()) == self.family)
            .map(|link| (address_number(link.network.network()), address_number(link.network.broadcast())));
        let whole = self.unicast();
        let left =
            Values::union(networks).map_or_else(|| Some(whole.clone()), |elsewhere| whole.difference(&elsewhere));
        left.unwrap_or(whole)
    }

    /// What stands behind a card.
    pub(super) fn class_of(&self, card: &str) -> Class {
        let number = name_number(card);
        let known = self.inside.iter().find(|(_, cards)| cards.contains(number));
        known.map_or(Class::Outside, |(class, _)| *class)
    }

    /// The cards of a class; those that lead away are outside's.
    pub(super) fn cards_of(&self, class: Class) -> Option<&Values> {
        match class {
            Class::Outside => Some(&self.outside),
            _ => self.inside.iter().find(|(known, _)| *known == class).map(|(_, cards)| cards),
        }
    }

    /// Every destination that is not the host's own, by the card that leads there: the longest prefix decides, then the default route.
    fn routes(&self, host: &Host) -> Vec<Behind> {
        let whole = Some(self.unicast());
        let mut rest = match &self.own {
            Some(own) => whole.and_then(|whole| whole.difference(own)),
            None => whole,
        };
        let mut links: Vec<_> =
            host.cards.links.iter().filter(|link| Family::of(link.network.addr()) == self.family).collect();
        links.sort_by_key(|link| (link.guessed, std::cmp::Reverse(link.network.prefix_len())));
        let mut by_card: Vec<(String, Values)> = Vec::new();
        for link in links {
            let Some(card) = &link.card else { continue };
            let network: Range = (address_number(link.network.network()), address_number(link.network.broadcast()));
            let network = Values::range(network);
            let Some(here) = rest.as_ref().and_then(|rest| rest.intersection(&network)) else { continue };
            rest = rest.and_then(|rest| rest.difference(&network));
            match by_card.iter_mut().find(|(known, _)| known == card) {
                Some((_, values)) => {
                    let (own, others) = (values.ranges(), here.ranges());
                    let both = Values::union(own.iter().chain(others.iter()).copied());
                    *values = both.unwrap_or(here);
                }
                None => by_card.push((card.clone(), here)),
            }
        }
        let mut routed: Vec<Behind> = by_card
            .iter()
            .map(|(card, destinations)| Behind {
                class: self.class_of(card),
                cards: Values::single(name_number(card)),
                destinations: destinations.clone(),
            })
            .collect();
        let Some(rest) = rest else { return routed };
        // Networks of machines on this one need not all be known.
        let known = Values::union(by_card.iter().map(|(card, _)| (name_number(card), name_number(card))));
        let unknown =
            |cards: &Values| known.as_ref().map_or_else(|| Some(cards.clone()), |known| cards.difference(known));
        let default = host.cards.default_route.as_deref().map(|card| Values::single(name_number(card)));
        let away = default.or_else(|| Some(self.outside.clone()));
        let inside = self.inside.iter().map(|(class, cards)| (*class, unknown(cards)));
        for (class, cards) in std::iter::once((Class::Outside, away)).chain(inside) {
            let Some(cards) = cards else { continue };
            routed.push(Behind { class, cards, destinations: rest.clone() });
        }
        routed
    }
}

/// The cards of machines on this one: those that policy and facts know, and those of platforms whose chains are there.
fn local_cards(host: &Host) -> LocalCards {
    let mut local = host.policy.as_ref().map(|policy| policy.cards.clone()).unwrap_or_default();
    if !host.recorded {
        return local;
    }
    let present = owners(&host.ruleset);
    let mentioned = mentioned(&host.ruleset);
    for platform in Platform::names().filter_map(Platform::load) {
        let list = match platform.class {
            Some(platform::Class::Container) => &mut local.container,
            Some(platform::Class::Instance) => &mut local.instance,
            Some(platform::Class::Guest) => &mut local.guest,
            None => continue,
        };
        for card in &platform.bridges {
            // `br-lan` is a bridge of Docker's only where Docker is.
            let telling = !card.name.starts_with("br-") || present.contains(&platform.title.as_str());
            for name in mentioned.iter().filter(|name| telling && card.matches(name)) {
                let exact = Card::exact(name.clone());
                if !local.outside.contains(&exact) && !list.iter().any(|known| known.covers(&exact)) {
                    list.push(exact);
                }
            }
        }
    }
    local
}

/// The platforms whose chains or tables are in a rule set, by their owners' names.
fn owners(ruleset: &Ruleset) -> Vec<&'static str> {
    let tables = ruleset.tables.iter();
    let mut found: Vec<&str> = tables
        .flat_map(|table| {
            let chains = table.chains.iter().map(|chain| &*chain.name);
            chains.filter_map(|chain| platform::owner_of(Some(table.family), &table.name, chain))
        })
        .map(|owned| owned.owner.as_str())
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// The cards that rules name.
fn mentioned(ruleset: &Ruleset) -> Vec<String> {
    let rules = ruleset.tables.iter().flat_map(|table| &table.chains).flat_map(|chain| &chain.rules);
    let mut names: Vec<String> = rules
        .flat_map(|rule| &rule.matches)
        .filter_map(|item| match &item.kind {
            MatchKind::InInterface(list) | MatchKind::OutInterface(list) => Some(list),
            _ => None,
        })
        .flat_map(|list| list.iter())
        .filter(|card| !card.prefix)
        .map(|card| card.name.clone())
        .collect();
    names.sort();
    names.dedup();
    names
}
