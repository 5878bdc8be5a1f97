//! The networks of this machine: what is behind its bridges, by address.

use crate::net::{AddressRange, AddressSet};
use crate::policy::Policy;

/// Those that facts and declarations list.
#[must_use]
pub fn local_networks(policy: &Policy) -> AddressSet {
    let facts = &policy.facts;
    let docker = facts.docker.iter().flat_map(|docker| docker.networks.values());
    let podman = facts.podman.iter().flat_map(|podman| podman.networks.values());
    let bridged = docker.chain(podman).filter(|network| network.is_bridge());
    let instances = facts.instances.iter().flat_map(|instances| instances.bridges.values());
    let guests = facts.libvirt.iter().flat_map(|libvirt| libvirt.bridges.values());
    let bridges = instances.chain(guests).flat_map(|bridge| &bridge.subnets);
    let subnets = bridged.flat_map(|network| &network.subnets).chain(bridges);
    let listed: AddressSet = subnets.map(|&net| AddressRange::from(net)).collect();
    listed.union(&policy.declared_networks)
}

/// Whether those are all of the networks that its containers, instances and guests may be on.
#[must_use]
pub fn knows_local_networks(policy: &Policy) -> bool {
    let facts = &policy.facts;
    let complete = |used: &str| match used {
        "docker" => facts.docker.as_ref().is_some_and(|docker| docker.complete),
        "podman" => facts.podman.as_ref().is_some_and(|podman| podman.complete),
        _ => false,
    };
    let containers = policy.cards.container.is_empty() || policy.platforms.iter().any(|name| complete(name));
    let listed = |known: bool, bridges: &[crate::net::Card]| bridges.is_empty() || known;
    let instances = facts.instances.as_ref().is_some_and(|instances| !instances.bridges.is_empty());
    let guests = facts.libvirt.as_ref().is_some_and(|libvirt| !libvirt.bridges.is_empty());
    containers && listed(instances, &policy.cards.instance) && listed(guests, &policy.cards.guest)
}
