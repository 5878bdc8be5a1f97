//! From facts and a connection to the road it takes: works out what the facts say about each attribute, asks the platform,
//! and fills the road's symbols with interfaces, addresses and ports.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::situation::{Attribute, Condition, Situation};
use super::{Destination, Interface, Leg, Outcome, Platform, family_name};
use crate::facts::{Backend, DockerContainer, DockerNetwork, Facts, ForwardPolicy, InstanceFact, PublishedPort};
use crate::net::{Family, Protocol};
use crate::netfilter::Hook;

/// Who opens a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Another machine, whose packets come in on this interface (`None`: the one of the default route).
    Outside {
        /// The card.
        interface: Option<String>,
    },
    /// A program on the host.
    Host,
    /// A container, instance or guest, by its name in the facts.
    Inside(String),
}

/// The first packet of a connection, as its opener sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Who opens it.
    pub origin: Origin,
    /// Transport protocol.
    pub protocol: Protocol,
    /// The dialled address.
    pub address: IpAddr,
    /// The dialled port.
    pub port: u16,
}

/// What the symbols of a road stand for. What the facts do not tell is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// [`Interface::Arrival`].
    pub arrival: Option<String>,
    /// [`Interface::Bridge`].
    pub bridge: Option<String>,
    /// [`Interface::Departure`].
    pub departure: Option<String>,
    /// [`Interface::Parent`].
    pub parent: Option<String>,
    /// The target's own address for the dialled family, or the one that a proxy uses.
    pub target: Option<IpAddr>,
    /// The target's own port.
    pub target_port: Option<u16>,
    /// The opener's address.
    pub opener: Option<IpAddr>,
}

/// What a packet's headers and conntrack say at a hook. `None`: not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The hook.
    pub hook: Hook,
    /// Whose packet.
    pub leg: Leg,
    /// In-interface; `None` also where the hook has none.
    pub input: Option<String>,
    /// Out-interface; `None` also where the hook has none.
    pub output: Option<String>,
    /// Destination address.
    pub address: Option<IpAddr>,
    /// Destination port.
    pub port: Option<u16>,
    /// conntrack's original destination port.
    pub original_port: Option<u16>,
}

/// A road that the facts leave possible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prediction {
    /// The platform whose data says so.
    pub platform: &'static str,
    /// The road's name.
    pub road: &'static str,
    /// The hooks of the filter tables with what is seen there, in order.
    pub headers: Vec<Header>,
    /// What becomes of it.
    pub outcome: &'static Outcome,
    /// The rule or setting that decides.
    pub by: Option<&'static str>,
    /// What it rests on; empty if the facts settle it.
    pub conditions: Vec<Condition>,
}

/// Every road that `connection` may take on the host that `facts` describe.
#[must_use]
pub fn predict(facts: &Facts, connection: &Connection) -> Vec<Prediction> {
    let views = views(facts);
    // The platform that the target belongs to decides, else the opener's. A connection that belongs to none may still meet
    // what any of them does with it, as far as its facts are not complete.
    let of_target: Vec<&View> = views.iter().filter(|view| view.target(facts, connection).is_some()).collect();
    let of_opener: Vec<&View> = views.iter().filter(|view| view.opener(connection).is_some()).collect();
    let plain = View { platform: "host", complete: true, ..View::default() };
    let chosen: Vec<&View> = match (of_target.first(), of_opener.first()) {
        (Some(view), _) | (None, Some(view)) => vec![view],
        (None, None) if views.is_empty() => vec![&plain],
        (None, None) => views.iter().collect(),
    };
    let opener = views.iter().find_map(|view| view.opener(connection));
    let mut out = Vec::new();
    for view in chosen {
        let Some(platform) = Platform::load(view.platform) else { continue };
        let target = view.target(facts, connection);
        let (situation, endpoints) = situate(facts, view, platform, connection, opener, target);
        for possible in platform.roads(&situation) {
            let road = possible.item;
            let prediction = Prediction {
                platform: &platform.name,
                road: &road.name,
                headers: road.steps.iter().map(|step| header(step, connection, &endpoints)).collect(),
                outcome: &road.outcome,
                by: road.by.as_deref(),
                conditions: possible.conditions,
            };
            // Two platforms that both leave it alone say the same.
            let alike = |other: &Prediction| other.road == prediction.road && other.conditions == prediction.conditions;
            if !out.iter().any(alike) {
                out.push(prediction);
            }
        }
    }
    out
}

/// One platform's part of the facts, in one shape for all of them.
#[derive(Default)]
struct View {
    platform: &'static str,
    version: Option<String>,
    backend: Option<Backend>,
    rules: [Option<bool>; 2],
    proxy: Option<bool>,
    swarm: Option<bool>,
    direct: Option<bool>,
    complete: bool,
    networks: BTreeMap<String, DockerNetwork>,
    containers: BTreeMap<String, DockerContainer>,
}

/// A container and the network over which it is met.
#[derive(Clone, Copy)]
struct Member<'a> {
    name: &'a str,
    container: &'a DockerContainer,
    network: Option<(&'a str, &'a DockerNetwork)>,
}

impl Member<'_> {
    /// Its fixed address of `family` on the network.
    fn address(&self, family: Family) -> Option<IpAddr> {
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
    fn has_family(&self, family: Family) -> Option<bool> {
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

    fn bridge(&self) -> Option<&str> {
        self.network.and_then(|(_, network)| network.bridge.as_deref())
    }

    fn off_bridge(&self) -> bool {
        self.network.is_some_and(|(_, network)| matches!(network.driver.as_deref(), Some("macvlan" | "ipvlan")))
    }

    fn internal(&self) -> bool {
        self.network.is_some_and(|(_, network)| network.internal)
    }
}

/// What the dialled address and port lead to.
struct Target<'a> {
    member: Member<'a>,
    /// The publish that leads there; `None` if the container's own address was dialled.
    publish: Option<&'a PublishedPort>,
}

impl View {
    fn member<'a>(
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
    fn opener(&self, connection: &Connection) -> Option<Member<'_>> {
        let Origin::Inside(name) = &connection.origin else { return None };
        let (name, container) = self.containers.get_key_value(name)?;
        let near = |network: &DockerNetwork| network.subnets.iter().any(|subnet| subnet.contains(&connection.address));
        let choices: [&dyn Fn(&DockerNetwork) -> bool; 3] =
            [&near, &|network| !network.internal && network.driver.as_deref() != Some("overlay"), &|_| true];
        let mut members = choices.into_iter().map(|wanted| self.member(name, container, wanted));
        let first = members.find(|member| member.network.is_some());
        Some(first.unwrap_or(Member { name, container, network: None }))
    }

    /// What is dialled, if it is a container of this platform.
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
            // Docker publishes over a network with a way out; an internal one's publish it ignores.
            let member = self.member(name, container, |network| {
                !network.internal
                    && !matches!(network.driver.as_deref(), Some("overlay" | "macvlan" | "ipvlan" | "host" | "none"))
            });
            if member.network.is_some() {
                return Some(Target { member, publish: Some(publish) });
            }
        }
        None
    }
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

fn is_loopback(address: IpAddr) -> bool {
    address.is_loopback()
}

/// Whether an address is the host's own: loopback, a card's, or a bridge's gateway.
fn is_local(facts: &Facts, view: &View, address: IpAddr) -> bool {
    is_loopback(address)
        || facts.interfaces.values().any(|interface| interface.addresses.iter().any(|own| own.addr() == address))
        || view.networks.values().any(|network| network.gateways.contains(&address) && network.parent.is_none())
}

/// The interface of the host through which `address` is reached.
fn towards(facts: &Facts, address: IpAddr) -> Option<String> {
    let near = facts
        .interfaces
        .iter()
        .find(|(_, interface)| interface.addresses.iter().any(|own| own.contains(&address) && own.addr() != address));
    near.map(|(name, _)| name.clone()).or_else(|| facts.default_route.clone())
}

fn situate(
    facts: &Facts,
    view: &View,
    platform: &Platform,
    connection: &Connection,
    opener: Option<Member<'_>>,
    target: Option<Target<'_>>,
) -> (Situation, Endpoints) {
    let family = Family::of(connection.address);
    let local = is_local(facts, view, connection.address);
    let mut endpoints = Endpoints::default();
    let mut situation = Situation::unknown()
        .with(Attribute::Family, family_name(family))
        .with(Attribute::Protocol, protocol_name(connection.protocol))
        .with_known(Attribute::Rules, view.rules[usize::from(family == Family::Ipv6)])
        .with_known(Attribute::Proxy, view.proxy)
        .with_known(Attribute::Swarm, view.swarm);
    if let Some(version) = &view.version {
        situation = platform.with_version(situation, version);
    }
    if let Some(backend) = view.backend {
        situation =
            situation.with(Attribute::Backend, if backend == Backend::Iptables { "iptables" } else { "nftables" });
    }
    let policy = if family == Family::Ipv4 { facts.forward_policy_ipv4 } else { facts.forward_policy_ipv6 };
    if let Some(policy) = policy {
        let policy = if policy == ForwardPolicy::Accept { "accept" } else { "drop" };
        situation = situation.with(Attribute::ForwardPolicy, policy);
    }
    let call = if family == Family::Ipv4 {
        "net.bridge.bridge-nf-call-iptables"
    } else {
        "net.bridge.bridge-nf-call-ip6tables"
    };
    situation = situation.with_known(Attribute::BridgeNetfilter, facts.sysctls.get(call).map(|value| value == "1"));

    // Who opens it.
    let from = match (&connection.origin, opener) {
        (Origin::Host, _) => Some("host"),
        (Origin::Outside { interface }, _) => {
            endpoints.arrival = interface.clone().or_else(|| facts.default_route.clone());
            Some("outside")
        }
        // A name that the facts do not have: somewhere on this machine, but not where.
        (Origin::Inside(_), None) => None,
        (Origin::Inside(_), Some(opener)) => {
            endpoints.arrival = opener.bridge().map(str::to_owned);
            endpoints.opener = opener.address(family);
            situation = situation.with_known(Attribute::OriginFamily, opener.has_family(family));
            if let Some((_, network)) = opener.network
                && !network.subnets.is_empty()
            {
                let own = network.subnets.iter().any(|subnet| subnet.contains(&connection.address));
                situation = situation.with_known(Attribute::OwnSubnet, Some(own));
            }
            let meets = target.as_ref().map(|target| target.member);
            Some(if opener.off_bridge() {
                "off-bridge"
            } else if meets.is_some_and(|member| member.name == opener.name) {
                "itself"
            } else if meets.is_some_and(|member| {
                member.network.zip(opener.network).is_some_and(|((one, _), (other, _))| one == other)
            }) {
                "same-bridge"
            } else if opener.internal() {
                "internal"
            } else {
                "other-bridge"
            })
        }
    };
    if let Some(from) = from {
        situation = situation.with(Attribute::From, from);
    }
    if let Some(interface) = endpoints.arrival.as_ref().and_then(|name| facts.interfaces.get(name)) {
        let facing = interface.addresses.iter().any(|own| own.addr() == connection.address);
        situation = situation.with_known(Attribute::FacingAddress, Some(facing));
    }

    // What is dialled.
    let to = match &target {
        _ if is_loopback(connection.address) => "loopback",
        _ if local => "host",
        Some(target) if target.member.off_bridge() => "off-bridge",
        Some(_) => "inside",
        // A container that the facts do not list is still behind its bridge.
        None => match view
            .networks
            .values()
            .find(|network| network.subnets.iter().any(|net| net.contains(&connection.address)))
        {
            Some(network) if network.parent.is_none() => {
                endpoints.bridge.clone_from(&network.bridge);
                "inside"
            }
            _ => "outside",
        },
    };
    situation = situation.with(Attribute::To, to);
    endpoints.departure = towards(facts, connection.address);

    let publish = target.as_ref().and_then(|target| target.publish);
    if local {
        situation = match publish {
            Some(publish) if publish.ingress => situation.with(Attribute::Publish, "ingress"),
            Some(_) => situation.with(Attribute::Publish, "yes"),
            None if view.complete => situation.with(Attribute::Publish, "no"),
            None => situation,
        };
    }
    if let Some(Target { member, publish }) = target {
        describe_target(facts, view, connection, member, publish, &mut situation, &mut endpoints);
    }
    (situation, endpoints)
}

fn describe_target(
    facts: &Facts,
    view: &View,
    connection: &Connection,
    member: Member<'_>,
    publish: Option<&PublishedPort>,
    situation: &mut Situation,
    endpoints: &mut Endpoints,
) {
    let family = Family::of(connection.address);
    let has_family = member.has_family(family);
    endpoints.bridge = member.bridge().map(str::to_owned);
    endpoints.parent = member.network.and_then(|(_, network)| network.parent.clone());
    endpoints.target = if has_family == Some(false) { member.address(Family::Ipv4) } else { member.address(family) };
    // A proxied connection to a container without the dialled family goes on over IPv4, under that family's settings.
    let inner = if has_family == Some(false) { Family::Ipv4 } else { family };
    let mut known = std::mem::take(situation).with_known(Attribute::TargetFamily, has_family);
    match publish {
        Some(publish) => {
            let first = publish.port.unwrap_or(connection.port);
            endpoints.target_port = publish.container_port.checked_add(connection.port - first);
            let every = publish.address.is_none_or(|address| address.is_unspecified());
            known = known.with_known(Attribute::EveryAddress, Some(every));
        }
        None => {
            endpoints.target_port = Some(connection.port);
            if view.complete {
                let opened = member.container.ports.iter().any(|publish| opens(publish, &member, connection));
                known = known.with_known(Attribute::Opened, Some(opened));
            }
        }
    }
    if let Some((_, network)) = member.network {
        let mode = if inner == Family::Ipv4 { &network.gateway_mode_ipv4 } else { &network.gateway_mode_ipv6 };
        known = match mode {
            Some(mode) => known.with(Attribute::Mode, mode),
            None if view.complete => known.with(Attribute::Mode, "nat"),
            None => known,
        };
        known = known.with_known(Attribute::Internal, Some(network.internal));
        known = known.with_known(Attribute::Icc, network.icc.or(view.complete.then_some(true)));
        let trusted = endpoints.arrival.as_ref().is_some_and(|name| network.trusted_host_interfaces.contains(name));
        known = known.with_known(Attribute::Direct, if trusted { Some(true) } else { view.direct });
        let opener = view.opener(connection).and_then(|opener| opener.network);
        if let Some((_, other)) = opener {
            let both = network.isolate.unwrap_or(false) && other.isolate.unwrap_or(false);
            known = known.with_known(Attribute::Isolate, Some(both));
        }
    }
    if endpoints.departure.is_none() {
        endpoints.departure.clone_from(&facts.default_route);
    }
    *situation = known;
}

/// Whether a publish opens the dialled port of the container's own address: its rule accepts that too.
fn opens(publish: &PublishedPort, member: &Member<'_>, connection: &Connection) -> bool {
    let family = Family::of(connection.address);
    let count = publish.last_port.unwrap_or_default().saturating_sub(publish.port.unwrap_or_default());
    let ports = publish.container_port..=publish.container_port.saturating_add(if publish.last_port.is_some() {
        count
    } else {
        0
    });
    Protocol::by_name(&publish.protocol) == Some(connection.protocol)
        && ports.contains(&connection.port)
        && publish.address.is_none_or(|address| Family::of(address) == family)
        && member.has_family(family) != Some(false)
}

fn protocol_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::TCP => "tcp",
        Protocol::UDP => "udp",
        _ => "other",
    }
}

fn header(step: &super::Step, connection: &Connection, endpoints: &Endpoints) -> Header {
    let interface = |interface: Interface| match interface {
        Interface::Arrival => endpoints.arrival.clone(),
        Interface::Bridge => endpoints.bridge.clone(),
        Interface::Loopback => Some("lo".to_owned()),
        Interface::Departure => endpoints.departure.clone(),
        Interface::Parent => endpoints.parent.clone(),
        Interface::SwarmBridge => Some("docker_gwbridge".to_owned()),
    };
    let (address, port) = match step.destination {
        Destination::Dialled => (Some(connection.address), Some(connection.port)),
        Destination::Target => (endpoints.target, endpoints.target_port),
        Destination::Mesh => (None, Some(connection.port)),
        Destination::Opener => (endpoints.opener, None),
    };
    Header {
        hook: step.hook,
        leg: step.leg,
        input: step.input.and_then(interface),
        output: step.output.and_then(interface),
        address,
        port,
        original_port: if step.leg == Leg::Client { Some(connection.port) } else { port },
    }
}

/// The container platforms in the facts.
fn views(facts: &Facts) -> Vec<View> {
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
            backend: docker.firewall_backend,
            rules: [all, ip6tables],
            proxy: docker.userland_proxy,
            swarm: docker.swarm,
            direct: match (docker.allow_direct_routing, docker.raw_rules) {
                (Some(true), _) | (_, Some(false)) => Some(true),
                (Some(false), None | Some(true)) => Some(false),
                (None, _) => docker.complete.then_some(false),
            },
            complete: docker.complete,
            networks: docker.networks.clone(),
            containers: docker.containers.clone(),
        });
    }
    if let Some(podman) = &facts.podman {
        out.push(View {
            platform: "podman",
            backend: podman.firewall_driver,
            rules: [Some(true); 2],
            complete: podman.complete,
            networks: podman.networks.clone(),
            containers: podman.containers.clone(),
            ..View::default()
        });
    }
    if let Some(instances) = &facts.instances {
        let bridges = instances.bridges.iter().map(|(name, bridge)| (name, &bridge.subnets));
        out.push(bridged("lxd", instances.firewall, bridges, &instances.instances));
    }
    if let Some(libvirt) = &facts.libvirt {
        let bridges = libvirt.bridges.iter().map(|(name, bridge)| (name, &bridge.subnets));
        out.push(bridged("libvirt", libvirt.firewall_backend, bridges, &libvirt.guests));
    }
    out
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
