//! The facts of every container platform in one shape: who is on which network, at which address, and what leads there.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::Platform;
use super::connection::{Connection, Origin};
use super::situation::{Attribute, Situation};
use crate::facts::{
    AcceptedMark, Backend, DockerContainer, DockerNetwork, Facts, InstanceFact, NetworkDriver, PublishedPort,
};
use crate::net::{Card, Family, Protocol};

/// One platform's part of the facts, in one shape for all of them.
#[derive(Default)]
pub(super) struct View {
    pub(super) platform: &'static str,
    pub(super) version: Option<String>,
    /// What else is known of the version, as bounds of the platform's file.
    pub(super) versions: Option<&'static str>,
    pub(super) backend: Option<Backend>,
    pub(super) rules: [Option<bool>; 2],
    pub(super) proxy: Option<bool>,
    pub(super) swarm: Option<bool>,
    pub(super) direct: Option<bool>,
    /// `MARK[/MASK]` that the daemon accepts.
    pub(super) accepted_mark: Option<AcceptedMark>,
    pub(super) complete: bool,
    pub(super) networks: BTreeMap<String, DockerNetwork>,
    pub(super) containers: BTreeMap<String, DockerContainer>,
}

/// A container and the network over which it is met.
#[derive(Clone, Copy)]
pub(super) struct Member<'a> {
    pub(super) name: &'a str,
    pub(super) container: &'a DockerContainer,
    pub(super) network: Option<(&'a str, &'a DockerNetwork)>,
}

impl Member<'_> {
    /// Its fixed address of `family` on the network.
    pub(super) fn address(&self, family: Family) -> Option<IpAddr> {
        let network = self.network.map(|(_, network)| network);
        let mut of_family = self.container.addresses.iter().filter(|address| Family::of(**address) == family);
        let within = of_family.clone().find(|address| {
            network.is_some_and(|network| network.subnets.iter().any(|subnet| subnet.contains(*address)))
        });
        match network {
            Some(network) if !network.subnets.is_empty() => within.copied(),
            _ => of_family.next().copied(),
        }
    }

    /// Whether it has an address of `family`, as far as the network says.
    pub(super) fn has_family(&self, family: Family) -> Option<bool> {
        if self.address(family).is_some() {
            return Some(true);
        }
        let (_, network) = self.network?;
        match family {
            Family::Ipv4 => Some(true),
            Family::Ipv6 => network.ipv6.or_else(|| {
                let subnets = &network.subnets;
                (!subnets.is_empty()).then(|| subnets.iter().any(|subnet| Family::of(subnet.addr()) == family))
            }),
        }
    }

    pub(super) fn bridge(&self) -> Option<&str> {
        self.network.and_then(|(_, network)| network.bridge.as_deref())
    }

    pub(super) fn off_bridge(&self) -> bool {
        self.network.is_some_and(|(_, network)| network.is_off_bridge())
    }

    pub(super) fn internal(&self) -> bool {
        self.network.is_some_and(|(_, network)| network.internal)
    }
}

/// What the dialled address and port lead to.
pub(super) struct Target<'a> {
    pub(super) member: Member<'a>,
    /// The publish that leads there; `None` if the container's own address was dialled.
    pub(super) publish: Option<&'a PublishedPort>,
}

impl View {
    pub(super) fn member<'a>(
        &'a self,
        name: &'a str,
        container: &'a DockerContainer,
        wanted: impl Fn(&DockerNetwork) -> bool,
    ) -> Member<'a> {
        let mut joined = container.networks.iter().filter_map(|name| {
            let (name, network) = self.networks.get_key_value(name)?;
            Some((name.as_str(), network))
        });
        Member { name, container, network: joined.find(|(_, network)| wanted(network)) }
    }

    /// The container that opens the connection, on the network over which it reaches the dialled address: one that holds the
    /// address, else the first with a way out, else the first.
    pub(super) fn opener(&self, connection: &Connection) -> Option<Member<'_>> {
        let Origin::Inside(name) = &connection.origin else { return None };
        let (name, container) = self.containers.get_key_value(name)?;
        let near = |network: &DockerNetwork| network.subnets.iter().any(|subnet| subnet.contains(&connection.address));
        let choices: [&dyn Fn(&DockerNetwork) -> bool; 3] =
            [&near, &|network| !network.internal && network.driver != Some(NetworkDriver::Overlay), &|_| true];
        let mut members = choices.into_iter().map(|wanted| self.member(name, container, wanted));
        let first = members.find(|member| member.network.is_some());
        Some(first.unwrap_or(Member { name, container, network: None }))
    }

    /// What is dialled, if it is a container of this platform: one way to it for each network over which it may be published.
    pub(super) fn targets(&self, facts: &Facts, connection: &Connection) -> Vec<Target<'_>> {
        let Some(first) = self.target(facts, connection) else { return Vec::new() };
        let every = Platform::load(self.platform).is_some_and(|platform| platform.published_over_every_network);
        if !every || first.publish.is_none() {
            return vec![first];
        }
        let Member { name, container, .. } = first.member;
        let networks = container.networks.iter().filter_map(|name| self.networks.get_key_value(name));
        networks
            .filter(|(_, network)| publishes(network))
            .map(|(network_name, network)| Target {
                member: Member { name, container, network: Some((network_name, network)) },
                publish: first.publish,
            })
            .collect()
    }

    fn target(&self, facts: &Facts, connection: &Connection) -> Option<Target<'_>> {
        for (name, container) in &self.containers {
            let holds =
                |network: &DockerNetwork| network.subnets.iter().any(|subnet| subnet.contains(&connection.address));
            if container.addresses.contains(&connection.address) {
                return Some(Target { member: self.member(name, container, holds), publish: None });
            }
        }
        if !is_local(facts, self, connection.address) {
            return None;
        }
        for (name, container) in &self.containers {
            let Some(publish) = container.ports.iter().find(|publish| covers(publish, connection)) else { continue };
            let member = self.member(name, container, publishes);
            let mut joined = container.networks.iter().filter_map(|name| self.networks.get(name));
            let swarm = joined.any(|network| network.driver == Some(NetworkDriver::Overlay));
            // A container on overlay networks is published over the swarm's bridge, which facts need not list.
            if member.network.is_some() || publish.ingress || swarm {
                return Some(Target { member, publish: Some(publish) });
            }
        }
        None
    }
}

impl View {
    /// Whether the daemon accepts packets with this mark; `None`: not known.
    pub(super) fn accepts_mark(&self, mark: u32) -> Option<bool> {
        match self.accepted_mark {
            Some(accepted) => Some(accepted.covers(mark)),
            None => self.complete.then_some(false),
        }
    }

    /// Whether a port that Docker picks at each start may be the dialled one.
    pub(super) fn may_publish(&self, connection: &Connection) -> bool {
        let mut ports = self.containers.values().flat_map(|container| &container.ports);
        !self.complete
            || ports.any(|publish| {
                publish.port.is_none()
                    && Protocol::by_name(&publish.protocol) == Some(connection.protocol)
                    && publish.address.is_none_or(|address| address.is_unspecified() || address == connection.address)
            })
    }

    /// The network that holds the dialled address, for a container that the facts do not list.
    pub(super) fn network_of(&self, address: IpAddr) -> Option<&DockerNetwork> {
        self.networks.values().find(|network| network.subnets.iter().any(|subnet| subnet.contains(&address)))
    }
}

/// Whether containers are published over a network: one with a way out; an internal one's publish is ignored.
fn publishes(network: &DockerNetwork) -> bool {
    use NetworkDriver::{Host, Ipvlan, Macvlan, None, Overlay};
    !network.internal && !matches!(network.driver, Some(Overlay | Macvlan | Ipvlan | Host | None))
}

/// Whether this publish answers the dialled protocol, address and port.
fn covers(publish: &PublishedPort, connection: &Connection) -> bool {
    let Some(first) = publish.port else { return false };
    let ports = first..=publish.last_port.unwrap_or(first);
    Protocol::by_name(&publish.protocol) == Some(connection.protocol)
        && ports.contains(&connection.port)
        && publish.address.is_none_or(|address| {
            address == connection.address
                || (address.is_unspecified() && Family::of(address) == Family::of(connection.address))
        })
}

/// fe80::/10.
pub(super) fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

/// Whether an address is the host's own: loopback, a card's, or a bridge's gateway.
pub(super) fn is_local(facts: &Facts, view: &View, address: IpAddr) -> bool {
    address.is_loopback()
        // Facts leave link-local addresses out; dialled across a link they can only be the host's.
        || is_link_local(address)
        || facts.interfaces.values().any(|interface| interface.addresses.iter().any(|own| own.addr() == address))
        || view.networks.values().any(|network| network.gateways.contains(&address) && network.parent.is_none())
}

/// The interface of the host through which `address` is reached.
pub(super) fn towards(facts: &Facts, address: IpAddr) -> Option<String> {
    let near = facts
        .interfaces
        .iter()
        .find(|(_, interface)| interface.addresses.iter().any(|own| own.contains(&address) && own.addr() != address));
    near.map(|(name, _)| name.clone()).or_else(|| facts.default_route.clone())
}

/// Whether a publish opens the dialled port of the container's own address: its rule accepts that too.
pub(super) fn opens(publish: &PublishedPort, member: &Member<'_>, connection: &Connection) -> bool {
    let family = Family::of(connection.address);
    let more = publish.last_port.zip(publish.port).map_or(0, |(last, first)| last.saturating_sub(first));
    let ports = publish.container_port..=publish.container_port.saturating_add(more);
    Protocol::by_name(&publish.protocol) == Some(connection.protocol)
        && ports.contains(&connection.port)
        && publish.address.is_none_or(|address| Family::of(address) == family)
        && member.has_family(family) != Some(false)
}

/// The container platforms in the facts.
pub(super) fn views(facts: &Facts) -> Vec<View> {
    let mut out = Vec::new();
    if let Some(docker) = &facts.docker {
        let all = docker.iptables;
        // Unset, `--ip6tables` is what the version makes of it.
        let platform = Platform::load("docker");
        let by_version = platform.and_then(|platform| {
            let situation = platform.with_version(Situation::unknown(), docker.version.as_deref()?);
            let situation = situation.with(Attribute::Family, "ipv6");
            Some(platform.with_defaults(situation).value(Attribute::Rules)? == "yes")
        });
        let ip6tables = match (all, docker.ip6tables) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            (Some(true), None) if docker.complete => by_version,
            _ => None,
        };
        out.push(View {
            platform: "docker",
            version: docker.version.clone(),
            versions: None,
            backend: docker.firewall_backend,
            rules: [all, ip6tables],
            proxy: docker.userland_proxy,
            swarm: docker.swarm,
            direct: match (docker.allow_direct_routing, docker.raw_rules) {
                (Some(true), _) | (_, Some(false)) => Some(true),
                (Some(false), None | Some(true)) => Some(false),
                (None, _) => docker.complete.then_some(false),
            },
            accepted_mark: docker.bridge_accept_fwmark.as_deref().and_then(AcceptedMark::parse),
            complete: docker.complete,
            networks: docker.networks.clone(),
            containers: docker.containers.clone(),
        });
    }
    if let Some(podman) = &facts.podman {
        out.push(View {
            platform: "podman",
            version: podman.netavark_version.clone(),
            versions: podman.version.as_deref().and_then(netavark),
            backend: podman.firewall_driver,
            rules: [Some(true); 2],
            complete: podman.complete,
            networks: podman.networks.clone(),
            containers: podman.containers.clone(),
            ..View::default()
        });
    }
    if let Some(instances) = &facts.instances {
        // The facts have one shape for both; the bridges' names say which it is.
        let mut names = instances.bridges.keys().filter_map(|name| Platform::of_bridge(name));
        let platform = if names.any(|platform| platform.name == "incus") { "incus" } else { "lxd" };
        let bridges = instances.bridges.iter().map(|(name, bridge)| (name, &bridge.subnets));
        out.push(bridged(platform, instances.firewall, bridges, &instances.instances));
    }
    if let Some(libvirt) = &facts.libvirt {
        let bridges = libvirt.bridges.iter().map(|(name, bridge)| (name, &bridge.subnets));
        out.push(bridged("libvirt", libvirt.firewall_backend, bridges, &libvirt.guests));
    }
    out
}

/// The versions of netavark that go with a version of Podman: its 2.0.0 "is required for podman 6.0 … and only supported to be
/// used with them together" (release notes of netavark 2.0.0).
fn netavark(podman: &str) -> Option<&'static str> {
    let (major, ..) = crate::facts::release(podman)?;
    Some(if major >= 6 { ">=2.0" } else { "<2.0" })
}

/// Instances and guests are containers that publish nothing, on networks that are named like their bridges.
fn bridged<'a>(
    platform: &'static str,
    backend: Option<Backend>,
    bridges: impl Iterator<Item = (&'a String, &'a Vec<ipnet::IpNet>)>,
    members: &BTreeMap<String, InstanceFact>,
) -> View {
    let network = |(name, subnets): (&String, &Vec<ipnet::IpNet>)| {
        let network =
            DockerNetwork { bridge: Some(name.clone()), subnets: subnets.clone(), ..DockerNetwork::default() };
        (name.clone(), network)
    };
    let container = |(name, fact): (&String, &InstanceFact)| {
        let networks = fact.bridge.iter().cloned().collect();
        (name.clone(), DockerContainer { networks, addresses: fact.addresses.clone(), ..DockerContainer::default() })
    };
    View {
        platform,
        backend,
        rules: [Some(true); 2],
        networks: bridges.map(network).collect(),
        containers: members.iter().map(container).collect(),
        ..View::default()
    }
}

/// The interfaces that are bridges of `platform` on this host: those that the facts name and, unless the facts have all of them, the
/// names that the platform gives by itself.
#[must_use]
pub fn bridges(platform: &Platform, facts: &Facts) -> Vec<Card> {
    let views = views(facts);
    let view = views.iter().find(|view| view.platform == platform.name);
    let known = view.iter().flat_map(|view| view.networks.values()).filter_map(|network| network.bridge.as_deref());
    let mut cards: Vec<Card> = known.map(Card::exact).collect();
    if view.is_none_or(|view| !view.complete) {
        // A pattern that covers a name makes the name superfluous.
        cards.retain(|card| !platform.bridges.iter().any(|pattern| pattern.covers(card)));
        cards.extend(platform.bridges.iter().cloned());
    }
    cards.sort_unstable();
    cards.dedup();
    cards
}
