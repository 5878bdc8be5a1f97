//! Containers' own addresses, beside the host's addresses at which their ports are published: a deny is for both, and an allow between
//! two containers on one network means the address at which they reach each other there.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::diagnostic::{Code, Diagnostic, Level};
use crate::net::{AddressRange, AddressSet, Card, PortRange, PortSet};
use crate::netfilter::Hook;
use crate::policy::{Action, CardSet, Class, Flow, Judgement, Party, Policy, Published, Rank, Traffic, TrafficList};
use crate::span::Location;
use crate::syntax::tree::View;
use crate::traffic;

use super::Program;
use super::condition::{HostLeg, Seat, dialled};

/// A deny between containers that leaves an own address open.
pub static NEIGHBOURS_LEFT_OPEN: Code = Code {
    number: "FW0332",
    name: "neighbours-left-open",
    level: Level::Warning,
    summary: "a deny leaves a container's own address open to its neighbours, because that address is not known",
    explanation: "\
Containers on one network reach each other at their own addresses, and Docker gives a container another one at each start. A
rule for a container whose address is not fixed can close its ports at the host's addresses. Closing them on the whole network would cut
all its containers off from each other.

```fw
use docker
network app on br-app
container db on app publish tcp 5432
container web on app publish tcp 443
deny postgres from container to container db        # warning: web still reaches it on br-app
```

**Instead**, give the container a fixed address (`ipv4_address` in the compose file, `address` in its declaration), or a
network that it shares with nobody whom the deny is for.
",
};

impl Program<'_> {
    /// Reports denies from containers to one whose own address is not known, where they share a network.
    pub(super) fn note_neighbours(&mut self) {
        let policy = self.policy;
        let flow = Flow { from: Class::Container, to: Class::Container };
        let list = policy.flows.get(&flow).into_iter().flatten();
        let stops = list.filter(|judgement| judgement.action.stops() && judgement.rank > Rank::Prelude);
        let open = stops.flat_map(|judgement| {
            let left = left_open(policy, judgement).filter(|name| has_neighbours(policy, name));
            left.map(|name| (judgement.location, name))
        });
        let places: BTreeSet<(Location, Arc<str>)> = open.collect();
        self.out.extend(places.into_iter().map(|(location, name)| {
            Diagnostic::new(
                &NEIGHBOURS_LEFT_OPEN,
                location,
                format!("other containers on its network still reach `{name}` at its own address"),
            )
            .label("closes the ports at the host's addresses")
            .help(format!("give `{name}` a fixed address (`ipv4_address`), or a network of its own"))
        }));
    }
}

/// The containers whose own addresses a deny from the host or from containers leaves open, because they are not known.
pub(super) fn left_open(policy: &Policy, deny: &Judgement) -> impl Iterator<Item = Arc<str>> {
    let own = at_own_addresses(policy, deny).into_iter().filter(|own| !own.can_be_told());
    own.filter_map(|own| own.container)
}

/// Whether other containers may be on a network of this one.
fn has_neighbours(policy: &Policy, name: &str) -> bool {
    let Some((container, _)) = traffic::container(policy, name) else { return true };
    let docker = policy.facts.docker.iter().flat_map(|docker| &docker.containers);
    let podman = policy.facts.podman.iter().flat_map(|podman| &podman.containers);
    let complete = policy.facts.docker.as_ref().is_some_and(|docker| docker.complete);
    let mut others = docker.chain(podman).filter(|(other, _)| *other != name);
    !complete || others.any(|(_, other)| other.networks.iter().any(|network| container.networks.contains(network)))
}

/// What a rule about ports that a container publishes means at the container's own address.
pub(crate) struct AtOwnAddress {
    /// The container; `None`: whichever has these ports.
    container: Option<Arc<str>>,
    /// Its addresses, where they are fixed.
    addresses: Option<AddressSet>,
    /// Its own ports.
    traffic: Vec<Traffic>,
}

impl AtOwnAddress {
    /// Whether rules can tell this container's address from those of its neighbours.
    fn can_be_told(&self) -> bool {
        self.container.is_none() || self.addresses.is_some()
    }

    /// The judgement about it: at its address, or else on the bridges that it is on.
    pub(crate) fn judgement(self, policy: &Policy, rule: &Judgement) -> Judgement {
        let mut direct = directly(rule, self.traffic.into());
        if self.addresses.is_none()
            && let Some(container) = &self.container
        {
            direct.to.cards = direct.to.cards.or_else(|| bridges(policy, container).map(Arc::new));
        }
        direct.to.addresses = self.addresses.or(direct.to.addresses);
        direct
    }
}

/// The containers' own addresses at which a deny of published ports means something that its words, at the ports that clients connect to, do
/// not see: what NAT gives another number.
pub(crate) fn at_own_addresses(policy: &Policy, rule: &Judgement) -> Vec<AtOwnAddress> {
    let target = &rule.to;
    if target.class != Class::Container || target.at.is_some() || rule.forwarded {
        return Vec::new();
    }
    match (&target.published, target.view) {
        (Some(published), None | Some(View::Inside)) => {
            let container = target.member.clone().or_else(|| published.first().map(|one| one.container.clone()));
            let mut own = AtOwnAddress { container, addresses: target.addresses.clone(), traffic: Vec::new() };
            for traffic in rule.traffic.iter() {
                let known = own.addresses.is_some();
                if known {
                    own.traffic.push(traffic.clone());
                }
                if !known || traffic.ports.is_some() && target.view.is_none() {
                    published.iter().for_each(|one| own.add(traffic, one, target.view));
                }
            }
            if own.traffic.is_empty() { Vec::new() } else { vec![own] }
        }
        (None, None) => of_any_container(policy, rule),
        (None, Some(View::Inside)) => {
            vec![AtOwnAddress { container: None, addresses: target.addresses.clone(), traffic: rule.traffic.to_vec() }]
        }
        (_, Some(View::Direct)) => Vec::new(),
    }
}

/// As [`at_own_addresses`], for a rule that names no container: all that publish its ports under another number than their own.
fn of_any_container(policy: &Policy, rule: &Judgement) -> Vec<AtOwnAddress> {
    let mut found: Vec<AtOwnAddress> = Vec::new();
    let with_ports = || rule.traffic.iter().filter_map(|traffic| Some((traffic, traffic.ports.as_ref()?)));
    if with_ports().next().is_none() {
        return found;
    }
    let containers = &policy.containers;
    for one in containers.published.iter().chain(&containers.on_loopback) {
        for (traffic, ports) in with_ports() {
            let Some(meant) = dialled(traffic, one, None) else { continue };
            let own = own_ports(one, &meant);
            if own.ranges().iter().all(|range| covers(ports, *range)) || !may_be(policy, &rule.to, &one.container) {
                continue;
            }
            let place = found.iter().position(|known| known.container.as_ref() == Some(&one.container));
            let place = place.unwrap_or_else(|| {
                let meant =
                    |own: AddressSet| rule.to.addresses.as_ref().map_or(own.clone(), |all| all.intersection(&own));
                let addresses = own_addresses(policy, &one.container).map(meant);
                let container = Some(one.container.clone());
                found.push(AtOwnAddress { container, addresses, traffic: Vec::new() });
                found.len() - 1
            });
            if let Some(known) = found.get_mut(place) {
                known.add(traffic, one, None);
            }
        }
    }
    found
}

impl AtOwnAddress {
    /// Adds the container's side of what is published, as far as a rule's traffic means it.
    fn add(&mut self, traffic: &Traffic, one: &Published, view: Option<View>) {
        let Some(meant) = dialled(traffic, one, view) else { return };
        let ports = Some(own_ports(one, &meant));
        let own = Traffic { protocol: Some(one.protocol), ports, ..traffic.clone() };
        if !self.traffic.contains(&own) {
            self.traffic.push(own);
        }
    }
}

/// Whether a container may be one of those that a rule is for, by its addresses and bridges as far as they are known.
fn may_be(policy: &Policy, target: &Party, container: &str) -> bool {
    let addresses = match (&target.addresses, own_addresses(policy, container)) {
        (Some(meant), Some(own)) => !meant.intersection(&own).is_empty(),
        _ => true,
    };
    let cards = match (&target.cards, bridges(policy, container)) {
        (Some(meant), Some(own)) => own.cards.iter().any(|card| meant.cards.contains(card) != meant.complement),
        _ => true,
    };
    addresses && cards
}

fn covers(ports: &PortSet, range: PortRange) -> bool {
    ports.ranges().iter().any(|own| own.first <= range.first && range.last <= own.last)
}

/// A deny of what is sent to a container is for its own address, too, and an allow between two containers on one network for theirs: the
/// same judgement, about that address. None: it means nothing more.
pub(super) fn at_own_address(policy: &Policy, judgement: &Judgement, seat: &Seat) -> Vec<Judgement> {
    let forward = seat.hook == Hook::Forward && !seat.bridged;
    let here = forward || seat.leg == Some(HostLeg::OwnAddress);
    let target = &judgement.to;
    if !here || target.class != Class::Container || target.at.is_some() || judgement.forwarded {
        return Vec::new();
    }
    if judgement.action == Action::Allow {
        let named = target.published.is_some() && target.addresses.is_some() && target.view.is_none();
        let neighbours = named && on_one_network(policy, &judgement.from, target);
        return if neighbours { vec![directly(judgement, judgement.traffic.clone())] } else { Vec::new() };
    }
    if !judgement.action.stops() || target.view == Some(View::Direct) {
        return Vec::new();
    }
    // FORWARD's words for a container that is not named see both addresses.
    let by_number = seat.leg == Some(HostLeg::OwnAddress) && target.published.is_none() && target.view.is_none();
    let by_number = by_number.then(|| directly(judgement, judgement.traffic.clone()));
    let local = matches!(seat.flow.from, Class::Host | Class::Container);
    let told = at_own_addresses(policy, judgement).into_iter().filter(|own| !local || own.can_be_told());
    by_number.into_iter().chain(told.map(|own| own.judgement(policy, judgement))).collect()
}

/// A judgement about the containers' own addresses.
fn directly(judgement: &Judgement, traffic: TrafficList) -> Judgement {
    let mut direct = Judgement { traffic, ..judgement.clone() };
    direct.to.view = Some(View::Direct);
    direct.to.published = None;
    direct
}

/// The bridges that a container is on, where all are known.
fn bridges(policy: &Policy, container: &str) -> Option<CardSet> {
    let (container, networks) = traffic::container(policy, container)?;
    let cards: Option<Vec<Card>> = networks.iter().map(|network| network.bridge.clone().map(Card::exact)).collect();
    let known = networks.len() == container.networks.len();
    cards.filter(|cards| known && !cards.is_empty()).map(CardSet::only)
}

/// The container's side of published ports.
pub(crate) fn own_ports(one: &Published, ports: &PortSet) -> PortSet {
    let inside =
        |port: u16| one.container_ports.first.saturating_add(port - one.ports.first).min(one.container_ports.last);
    let ranges = ports.ranges().iter().map(|range| PortRange { first: inside(range.first), last: inside(range.last) });
    PortSet::new(ranges)
}

/// Whether two named containers are on one network, where they reach each other at their own addresses.
fn on_one_network(policy: &Policy, from: &Party, to: &Party) -> bool {
    let networks = |party: &Party| {
        let name = party.member.as_deref().filter(|_| party.class == Class::Container)?;
        traffic::container(policy, name).map(|(container, _)| container.networks.clone())
    };
    match (networks(from), networks(to)) {
        (Some(from), Some(to)) => from.iter().any(|network| to.contains(network)),
        _ => false,
    }
}

/// A container's own addresses, where they are fixed.
pub(crate) fn own_addresses(policy: &Policy, container: &str) -> Option<AddressSet> {
    let (container, _) = traffic::container(policy, container)?;
    let addresses: AddressSet = container.addresses.iter().copied().map(AddressRange::single).collect();
    (!addresses.is_empty()).then_some(addresses)
}
