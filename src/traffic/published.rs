//! What facts say about published ports: whether NAT or a proxy takes the connection to one, and whose it is.

use crate::facts::{DockerContainer, DockerNetwork, GatewayMode, NetworkDriver, release};
use crate::net::Family;
use crate::platform::Platform;
use crate::policy::who::published_on_loopback;
use crate::policy::{Policy, Published};

/// A platform is in use that has a proxy for published ports, and no fact says that it is off.
#[must_use]
pub fn may_proxy(policy: &Policy) -> bool {
    let docker = policy.facts.docker.as_ref();
    let used = policy.platforms.iter().filter_map(|name| Platform::load(name));
    used.into_iter().any(Platform::has_proxy) && docker.and_then(|docker| docker.userland_proxy) != Some(false)
}

/// Whether nothing says what is published, so that on INPUT docker-proxy's ports look like the host's own.
#[must_use]
pub fn ports_unknown(policy: &Policy) -> bool {
    policy.containers.published.is_empty() && !policy.facts.docker.as_ref().is_some_and(|docker| docker.complete)
}

/// Whether facts list everything that is published: they say so, and no port is one that the daemon picks.
#[must_use]
pub fn lists_all(policy: &Policy) -> bool {
    let fixed = |container: &DockerContainer| container.ports.iter().all(|port| port.host_ports().is_some());
    policy.facts.docker.as_ref().is_some_and(|docker| docker.complete && docker.containers.values().all(fixed))
}

/// What containers publish on the loopback alone.
#[must_use]
pub fn on_loopback(policy: &Policy) -> Vec<Published> {
    let docker = policy.facts.docker.iter().flat_map(|docker| &docker.containers);
    let podman = policy.facts.podman.iter().flat_map(|podman| &podman.containers);
    docker.chain(podman).flat_map(|(name, container)| published_on_loopback(name, container)).collect()
}

/// Docker runs with `--iptables=false`: everything that is published comes by docker-proxy, in both families.
#[must_use]
pub fn iptables_off(policy: &Policy) -> bool {
    policy.facts.docker.as_ref().and_then(|docker| docker.iptables) == Some(false)
}

/// Whether Docker writes rules for IPv6, as far as is known: by default from 27.0 on.
#[must_use]
pub fn ip6tables(policy: &Policy) -> Option<bool> {
    let docker = policy.facts.docker.as_ref()?;
    let by_version = || Some(release(docker.version.as_deref()?)? >= (27, 0, 0));
    docker.ip6tables.or_else(by_version)
}

/// A container by its key in the facts, and its networks as far as they are known.
#[must_use]
pub fn container<'p>(policy: &'p Policy, name: &str) -> Option<(&'p DockerContainer, Vec<&'p DockerNetwork>)> {
    let docker = policy.facts.docker.iter().map(|docker| (&docker.containers, &docker.networks));
    let podman = policy.facts.podman.iter().map(|podman| (&podman.containers, &podman.networks));
    docker.chain(podman).find_map(|(containers, networks)| {
        let container = containers.get(name)?;
        Some((container, container.networks.iter().filter_map(|network| networks.get(network)).collect()))
    })
}

/// Whether connections from other machines to a published port are certain to be translated on their way in, so that they
/// never come to INPUT.
#[must_use]
pub fn translated(policy: &Policy, one: &Published, family: Family) -> bool {
    if iptables_off(policy) || one.only_family().is_some_and(|only| only != family) {
        return false;
    }
    let Some((_, networks)) = container(policy, &one.container) else { return false };
    let behind_nat = |network: &&DockerNetwork| {
        !network.internal
            && matches!(network.driver, None | Some(NetworkDriver::Bridge | NetworkDriver::Overlay))
            && matches!(network.gateway_mode(family), None | Some(GatewayMode::Nat | GatewayMode::NatUnprotected))
            && (family == Family::Ipv4 || network.ipv6 == Some(true))
    };
    let known = !networks.is_empty() && networks.iter().any(behind_nat);
    let unknown = networks.is_empty() && family == Family::Ipv4;
    (known || unknown) && (family == Family::Ipv4 || ip6tables(policy) == Some(true))
}

/// The platform whose facts list a container.
#[must_use]
pub fn owner(policy: &Policy, name: &str) -> Option<&'static Platform> {
    let facts = &policy.facts;
    let docker = facts.docker.as_ref().is_some_and(|docker| docker.containers.contains_key(name));
    let podman = facts.podman.as_ref().is_some_and(|podman| podman.containers.contains_key(name));
    // The facts have one part for each of the two.
    match (docker, podman) {
        (true, _) => Platform::load("docker"),
        (false, true) => Platform::load("podman"),
        (false, false) => None,
    }
}
