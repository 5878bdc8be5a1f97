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
        let open = list.filter(|judgement| {
            let to = &judgement.to;
            judgement.action.stops()
                && judgement.rank > Rank::Prelude
                && to.published.is_some()
                && to.addresses.is_none()
                && to.at.is_none()
                && to.member.as_deref().is_some_and(|name| has_neighbours(policy, name))
        });
        let places: BTreeSet<(Location, Option<Arc<str>>)> =
            open.map(|judgement| (judgement.location, judgement.to.member.clone())).collect();
        self.out.extend(places.into_iter().map(|(location, name)| {
            let name = name.unwrap_or_default();
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

/// Whether other containers may be on a network of this one.
fn has_neighbours(policy: &Policy, name: &str) -> bool {
    let Some((container, _)) = traffic::container(policy, name) else { return true };
    let docker = policy.facts.docker.iter().flat_map(|docker| &docker.containers);
    let podman = policy.facts.podman.iter().flat_map(|podman| &podman.containers);
    let complete = policy.facts.docker.as_ref().is_some_and(|docker| docker.complete);
    let mut others = docker.chain(podman).filter(|(other, _)| *other != name);
    !complete || others.any(|(_, other)| other.networks.iter().any(|network| container.networks.contains(network)))
}

/// A deny of what is sent to a container is for its own address, too, and an allow between two containers on one network for theirs: the
/// same judgement, about that address. `None`: it says nothing more.
pub(super) fn at_own_address(policy: &Policy, judgement: &Judgement, seat: &Seat) -> Option<Judgement> {
    let forward = seat.hook == Hook::Forward && !seat.bridged;
    let here = forward || seat.leg == Some(HostLeg::OwnAddress);
    let target = &judgement.to;
    if !here || target.class != Class::Container || target.view.is_some() || target.at.is_some() || judgement.forwarded
    {
        return None;
    }
    let Some(published) = &target.published else {
        // FORWARD's words for a container that is not named see both addresses.
        let host = seat.leg == Some(HostLeg::OwnAddress) && judgement.action.stops();
        return host.then(|| directly(judgement, judgement.traffic.clone()));
    };
    let known = target.addresses.is_some();
    if judgement.action == Action::Allow {
        let neighbours = known && on_one_network(policy, &judgement.from, target);
        return neighbours.then(|| directly(judgement, judgement.traffic.clone()));
    }
    if !judgement.action.stops() || !known && matches!(seat.flow.from, Class::Host | Class::Container) {
        return None;
    }
    let mut list: Vec<Traffic> = Vec::new();
    for traffic in judgement.traffic.iter() {
        if known {
            list.push(traffic.clone());
        }
        let reached = published.iter().filter(|_| !known || traffic.ports.is_some()).filter_map(|one| {
            let meant = dialled(traffic, one, None)?;
            let ports = own_ports(one, &meant);
            Some(Traffic { protocol: Some(one.protocol), ports: Some(ports), ..traffic.clone() })
        });
        for one in reached {
            if !list.contains(&one) {
                list.push(one);
            }
        }
    }
    let mut direct = directly(judgement, list.into());
    if !known {
        direct.to.cards = bridges(policy, target).map(Arc::new);
    }
    (!direct.traffic.is_empty()).then_some(direct)
}

/// A judgement about the containers' own addresses.
fn directly(judgement: &Judgement, traffic: TrafficList) -> Judgement {
    let mut direct = Judgement { traffic, ..judgement.clone() };
    direct.to.view = Some(View::Direct);
    direct.to.published = None;
    direct
}

/// The bridges that a named container is on, where all are known.
fn bridges(policy: &Policy, party: &Party) -> Option<CardSet> {
    let (_, networks) = traffic::container(policy, party.member.as_deref()?)?;
    let cards: Option<Vec<Card>> = networks.iter().map(|network| network.bridge.clone().map(Card::exact)).collect();
    cards.filter(|cards| !cards.is_empty()).map(CardSet::only)
}

/// The container's side of published ports.
fn own_ports(one: &Published, ports: &PortSet) -> PortSet {
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
pub(super) fn own_addresses(policy: &Policy, container: &str) -> Option<AddressSet> {
    let (container, _) = traffic::container(policy, container)?;
    let addresses: AddressSet = container.addresses.iter().copied().map(AddressRange::single).collect();
    (!addresses.is_empty()).then_some(addresses)
}
