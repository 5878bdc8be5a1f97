//! The addresses of a host and the networks behind its cards: what the routing decision needs.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::facts::Facts;
use crate::netfilter::{Match, MatchKind, Rule, Ruleset, Verdict};

/// A network behind a card, or an address of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The card; `None`: which one is not known.
    pub card: Option<String>,
    /// The network that is reached there.
    pub network: IpNet,
    /// The host's own address in it, if known.
    pub own: Option<IpAddr>,
    /// Whether it was read from the form of a rule rather than said.
    pub guessed: bool,
}

/// What is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cards {
    /// The links.
    pub links: Vec<Link>,
    /// The card of the default route.
    pub default_route: Option<String>,
}

impl Cards {
    /// What facts say.
    #[must_use]
    pub fn of_facts(facts: &Facts) -> Self {
        let mut cards = Self { links: Vec::new(), default_route: facts.default_route.clone() };
        for (name, interface) in &facts.interfaces {
            for address in &interface.addresses {
                cards.add(name, *address);
            }
        }
        let docker = facts.docker.iter().flat_map(|docker| &docker.networks);
        for (name, network) in docker.chain(facts.podman.iter().flat_map(|podman| &podman.networks)) {
            let usual = (name == "bridge").then(|| "docker0".to_owned());
            let Some(card) = network.bridge.clone().or(usual) else { continue };
            for subnet in &network.subnets {
                let own = network.gateways.iter().copied().find(|gateway| subnet.contains(gateway));
                cards.links.push(Link { card: Some(card.clone()), network: subnet.trunc(), own, guessed: false });
            }
        }
        let bridges = facts.instances.iter().flat_map(|instances| &instances.bridges);
        for (card, bridge) in bridges.chain(facts.libvirt.iter().flat_map(|libvirt| &libvirt.bridges)) {
            for subnet in &bridge.subnets {
                let own = (subnet.addr() != subnet.network()).then(|| subnet.addr());
                cards.links.push(Link { card: Some(card.clone()), network: subnet.trunc(), own, guessed: false });
            }
        }
        cards
    }

    /// Adds an address of the host, with its prefix length.
    pub fn add(&mut self, card: &str, address: IpNet) {
        let own = Some(address.addr());
        self.links.push(Link { card: Some(card.to_owned()), network: address.trunc(), own, guessed: false });
    }

    /// Adds what the form of rules shows: a destination behind a departure card, a subnet that is masqueraded elsewhere than on its
    /// own bridge, and addresses whose ports are forwarded. Used only where nothing was said.
    pub fn guess(&mut self, ruleset: &Ruleset) {
        let rules = ruleset.tables.iter().flat_map(|table| &table.chains).flat_map(|chain| &chain.rules);
        for rule in rules {
            let found = behind(rule).or_else(|| forwarded(rule));
            if let Some(link) = found.filter(|link| !self.links.contains(link)) {
                self.links.push(link);
            }
        }
    }

    /// Whether an address is the host's own; and whether that is a guess. `None`: not known.
    #[must_use]
    pub fn local(&self, address: IpAddr) -> Option<(bool, bool)> {
        if address.is_loopback() {
            return Some((true, false));
        }
        if let Some(link) = self.links.iter().find(|link| link.own == Some(address)) {
            return Some((true, link.guessed));
        }
        if self.links.iter().any(|link| link.own.is_some() && !link.guessed) {
            return Some((false, false));
        }
        self.behind(address).map(|link| (false, link.guessed))
    }

    /// The link that leads to an address: the longest prefix, what was said before what was guessed.
    #[must_use]
    pub fn behind(&self, address: IpAddr) -> Option<&Link> {
        let with = self.links.iter().filter(|link| link.card.is_some() && link.network.contains(&address));
        with.max_by_key(|link| (!link.guessed, link.network.prefix_len()))
    }

    /// An address of the host on a card, of the family of another address.
    #[must_use]
    pub fn address_of(&self, card: &str, like: IpAddr) -> Option<IpAddr> {
        let own = self.links.iter().filter(|link| link.card.as_deref() == Some(card)).filter_map(|link| link.own);
        own.into_iter().find(|own| own.is_ipv4() == like.is_ipv4())
    }
}

fn one_card(item: &Match) -> Option<(&str, bool)> {
    match &item.kind {
        MatchKind::OutInterface(cards) => match &**cards {
            [card] if !card.prefix => Some((&card.name, item.negated)),
            _ => None,
        },
        _ => None,
    }
}

fn network(set: &crate::net::AddressSet) -> Option<IpNet> {
    match &*set.ranges() {
        [range] => range.prefix().filter(|prefix| prefix.prefix_len() > 0),
        _ => None,
    }
}

/// `-d ADDRESS -o CARD`, and `-s SUBNET ! -o CARD -j MASQUERADE`.
fn behind(rule: &Rule) -> Option<Link> {
    let (card, negated) = rule.matches.iter().find_map(one_card)?;
    let masquerades = matches!(rule.verdict, Some(Verdict::Masquerade));
    let network = rule.matches.iter().filter(|item| !item.negated).find_map(|item| match &item.kind {
        MatchKind::Destination(set) if !negated && !masquerades => network(set),
        MatchKind::Source(set) if negated && masquerades => network(set),
        _ => None,
    })?;
    // What goes there as multicast or broadcast does not live there.
    let usual = !network.addr().is_multicast() && network.addr() != IpAddr::from([255, 255, 255, 255]);
    usual.then(|| Link { card: Some(card.to_owned()), network, own: None, guessed: true })
}

/// `-d ADDRESS … -j DNAT`.
fn forwarded(rule: &Rule) -> Option<Link> {
    if !matches!(rule.verdict, Some(Verdict::Dnat { .. } | Verdict::Redirect(_))) {
        return None;
    }
    let network = rule.matches.iter().filter(|item| !item.negated).find_map(|item| match &item.kind {
        MatchKind::Destination(set) => network(set),
        _ => None,
    })?;
    let whole = network.prefix_len() == network.max_prefix_len();
    whole.then(|| Link { card: None, network, own: Some(network.addr()), guessed: true })
}
