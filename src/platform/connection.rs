//! From facts and a connection to the road it takes: works out what the facts say about each attribute, asks the platform,
//! and fills the road's symbols with interfaces, addresses and ports.

use std::net::IpAddr;

use super::members::{Member, Target, View, is_link_local, is_local, opens, towards, views};
use super::situation::{Attribute, Condition, Situation};
use super::{Destination, Interface, Leg, Outcome, Platform, Possible, Road, Source, family_name};
use crate::facts::{Backend, DockerNetwork, Facts, ForwardPolicy, GatewayMode, Isolation, PublishedPort};
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
    /// The mark that a rule has put on it before FORWARD; 0 if none has.
    pub mark: u32,
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
    /// [`Interface::SwarmBridge`].
    pub swarm_bridge: Option<String>,
    /// The target's own address for the dialled family, or the one that a proxy uses.
    pub target: Option<IpAddr>,
    /// The target's own port.
    pub target_port: Option<u16>,
    /// The opener's address.
    pub opener: Option<IpAddr>,
    /// Whether what the opener's network sends to other networks gets an address of the host's.
    pub masqueraded: bool,
    /// The host's address on the target's bridge, of the family in which the target is met.
    pub bridge_address: Option<IpAddr>,
    /// The address that the host itself takes for what it opens: the dialled one if that is its own.
    pub host_address: Option<IpAddr>,
    /// The host's address on the card towards the dialled address.
    pub departure_address: Option<IpAddr>,
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
    /// Whether NAT has replaced the destination by then.
    pub translated: bool,
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
    /// The address that the target sees as the opener's; `None`: the opener's own, which the facts do not tell.
    pub source: Option<IpAddr>,
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
    let of_target: Vec<&View> = views.iter().filter(|view| !view.targets(facts, connection).is_empty()).collect();
    let of_opener: Vec<&View> = views.iter().filter(|view| view.opener(connection).is_some()).collect();
    let plain = View { platform: "host", complete: true, ..View::default() };
    let chosen: Vec<&View> = match (of_target.first(), of_opener.first()) {
        (Some(view), _) | (None, Some(view)) => vec![view],
        (None, None) if views.is_empty() => vec![&plain],
        (None, None) => views.iter().collect(),
    };
    let opener = views.iter().find_map(|view| view.opener(connection));
    let mut out: Vec<Prediction> = Vec::new();
    for view in chosen {
        let Some(platform) = Platform::load(view.platform) else { continue };
        let mut targets: Vec<Option<Target<'_>>> = view.targets(facts, connection).into_iter().map(Some).collect();
        if targets.is_empty() {
            targets.push(None);
        }
        for target in targets {
            let (situation, endpoints) = Asking::new(facts, view, platform, connection).answer(opener, target);
            for prediction in
                platform.roads(&situation).into_iter().map(|road| found(platform, road, connection, &endpoints))
            {
                // Two platforms that both leave it alone say the same.
                let alike = |other: &Prediction| {
                    other.road == prediction.road
                        && other.conditions == prediction.conditions
                        && other.headers == prediction.headers
                };
                if !out.iter().any(alike) {
                    out.push(prediction);
                }
            }
        }
    }
    out
}

fn found(
    platform: &'static Platform,
    possible: Possible<'static, Road>,
    connection: &Connection,
    endpoints: &Endpoints,
) -> Prediction {
    let road = possible.item;
    Prediction {
        platform: &platform.name,
        road: &road.name,
        headers: road.steps.iter().map(|step| header(step, connection, endpoints)).collect(),
        outcome: &road.outcome,
        source: seen(road.source, connection, endpoints),
        by: road.by.as_deref(),
        conditions: possible.conditions,
    }
}

/// Works out what the facts say about a connection, one party after the other.
struct Asking<'a> {
    facts: &'a Facts,
    view: &'a View,
    platform: &'a Platform,
    connection: &'a Connection,
    family: Family,
    situation: Situation,
    endpoints: Endpoints,
}

impl<'a> Asking<'a> {
    fn new(facts: &'a Facts, view: &'a View, platform: &'a Platform, connection: &'a Connection) -> Self {
        let situation = match (&view.version, view.versions) {
            (Some(version), _) => platform.with_version(Situation::unknown(), version),
            (None, Some(bounds)) => platform.with_versions(Situation::unknown(), bounds),
            (None, None) => Situation::unknown(),
        };
        let family = Family::of(connection.address);
        let endpoints = Endpoints { swarm_bridge: platform.swarm_bridge.clone(), ..Endpoints::default() };
        Self { facts, view, platform, connection, family, situation, endpoints }
    }

    fn answer(mut self, opener: Option<Member<'_>>, target: Option<Target<'_>>) -> (Situation, Endpoints) {
        self.settings();
        self.opener(opener, target.as_ref());
        self.dialled(target.as_ref());
        match &target {
            Some(target) => self.target(target),
            None => self.unlisted(),
        }
        (self.situation, self.endpoints)
    }

    fn is(&mut self, attribute: Attribute, value: &str) {
        self.situation = std::mem::take(&mut self.situation).with(attribute, value);
    }

    fn known(&mut self, attribute: Attribute, value: Option<bool>) {
        self.situation = std::mem::take(&mut self.situation).with_known(attribute, value);
    }

    /// What holds for every connection of this family.
    fn settings(&mut self) {
        let (facts, view, ipv6) = (self.facts, self.view, self.family == Family::Ipv6);
        self.is(Attribute::Family, family_name(self.family));
        self.is(Attribute::Protocol, protocol_name(self.connection.protocol));
        self.known(Attribute::LinkLocal, Some(is_link_local(self.connection.address)));
        self.known(Attribute::Rules, if ipv6 { view.rules[1] } else { view.rules[0] });
        self.known(Attribute::Proxy, view.proxy);
        self.known(Attribute::Swarm, view.swarm);
        let marked = match self.connection.mark {
            0 => Some(false),
            mark => view.accepts_mark(mark),
        };
        self.known(Attribute::Marked, marked);
        match view.backend {
            Some(Backend::Iptables) => self.is(Attribute::Backend, "iptables"),
            Some(Backend::Nftables) => self.is(Attribute::Backend, "nftables"),
            None => {}
        }
        match if ipv6 { facts.forward_policy_ipv6 } else { facts.forward_policy_ipv4 } {
            Some(ForwardPolicy::Accept) => self.is(Attribute::ForwardPolicy, "accept"),
            Some(ForwardPolicy::Drop) => self.is(Attribute::ForwardPolicy, "drop"),
            None => {}
        }
        let name = if ipv6 { "net.bridge.bridge-nf-call-ip6tables" } else { "net.bridge.bridge-nf-call-iptables" };
        self.known(Attribute::BridgeNetfilter, facts.sysctls.get(name).map(|value| value == "1"));
    }

    /// Who opens it, and where its packets come in.
    fn opener(&mut self, opener: Option<Member<'_>>, target: Option<&Target<'_>>) {
        match (&self.connection.origin, opener) {
            (Origin::Host, _) => self.is(Attribute::From, "host"),
            (Origin::Outside { interface }, _) => {
                self.endpoints.arrival = interface.clone().or_else(|| self.facts.default_route.clone());
                self.is(Attribute::From, "outside");
            }
            // A name that the facts do not have: somewhere on this machine, but not where.
            (Origin::Inside(_), None) => {}
            (Origin::Inside(_), Some(opener)) => {
                self.endpoints.arrival = opener.bridge().map(str::to_owned);
                self.endpoints.opener = opener.address(self.family);
                self.endpoints.masqueraded = opener.network.is_some_and(|(_, network)| {
                    !network.internal
                        && matches!(
                            network.gateway_mode(self.family),
                            None | Some(GatewayMode::Nat | GatewayMode::NatUnprotected)
                        )
                });
                self.known(Attribute::OriginFamily, opener.has_family(self.family));
                let subnets = opener.network.map(|(_, network)| &network.subnets).filter(|subnets| !subnets.is_empty());
                let own = subnets.map(|all| all.iter().any(|subnet| subnet.contains(&self.connection.address)));
                self.known(Attribute::OwnSubnet, own);
                self.is(Attribute::From, stands(&opener, target.map(|target| &target.member)));
            }
        }
        let arrival = self.endpoints.arrival.as_ref().and_then(|name| self.facts.interfaces.get(name));
        let facing = arrival.map(|card| card.addresses.iter().any(|own| own.addr() == self.connection.address));
        self.known(Attribute::FacingAddress, facing);
    }

    /// What kind of address is dialled.
    fn dialled(&mut self, target: Option<&Target<'_>>) {
        let address = self.connection.address;
        let local = is_local(self.facts, self.view, address);
        let network = self.view.network_of(address).filter(|network| network.parent.is_none());
        let to = match target {
            _ if address.is_loopback() => "loopback",
            _ if local => "host",
            Some(target) if target.member.off_bridge() => "off-bridge",
            Some(_) => "inside",
            None if network.is_some() => "inside",
            None => "outside",
        };
        self.is(Attribute::To, to);
        self.endpoints.departure = towards(self.facts, address);
        self.endpoints.departure_address = self.own_address(self.endpoints.departure.as_deref(), self.family);
        self.endpoints.host_address = if local { Some(address) } else { self.endpoints.departure_address };
        if !local {
            return;
        }
        match target.and_then(|target| target.publish) {
            Some(publish) if publish.ingress => self.is(Attribute::Publish, "ingress"),
            Some(_) => self.is(Attribute::Publish, "yes"),
            None if self.view.may_publish(self.connection) => {}
            None => self.is(Attribute::Publish, "no"),
        }
    }

    /// The container that is meant.
    fn target(&mut self, target: &Target<'_>) {
        let member = &target.member;
        match member.network {
            Some((_, network)) => {
                let has_family = member.has_family(self.family);
                self.known(Attribute::TargetFamily, has_family);
                // A proxied connection to a container without the dialled family goes on over IPv4, under that family's
                // settings.
                let inner = if has_family == Some(false) { Family::Ipv4 } else { self.family };
                self.endpoints.bridge.clone_from(&network.bridge);
                self.endpoints.parent.clone_from(&network.parent);
                self.endpoints.target = member.address(inner);
                self.endpoints.bridge_address = self.own_address(network.bridge.as_deref(), inner);
                self.network(network);
            }
            // On overlay networks alone: met over the swarm's bridge, which is IPv4 and an ordinary nat network otherwise.
            None => {
                self.endpoints.bridge = self.endpoints.swarm_bridge.clone();
                self.known(Attribute::TargetFamily, Some(self.family == Family::Ipv4));
                self.known(Attribute::Internal, Some(false));
                self.is(Attribute::Mode, "nat");
            }
        }
        match target.publish {
            Some(publish) => self.published(publish),
            None => {
                self.endpoints.target_port = Some(self.connection.port);
                let opened = member.container.ports.iter().any(|publish| opens(publish, member, self.connection));
                // One publish that opens it is enough; that none does takes facts that are complete.
                self.known(Attribute::Opened, (opened || self.view.complete).then_some(opened));
            }
        }
    }

    /// A container or guest that the facts do not list, behind a bridge that they do.
    fn unlisted(&mut self) {
        let network = self.view.network_of(self.connection.address);
        if let Some(network) = network.filter(|_| self.situation.value(Attribute::To) == Some("inside")) {
            self.endpoints.bridge.clone_from(&network.bridge);
            self.endpoints.target_port = Some(self.connection.port);
            self.endpoints.bridge_address = self.own_address(network.bridge.as_deref(), self.family);
            self.known(Attribute::TargetFamily, Some(true));
            self.network(network);
        }
    }

    fn published(&mut self, publish: &PublishedPort) {
        let offset = publish.port.map_or(0, |first| self.connection.port.saturating_sub(first));
        self.endpoints.target_port = publish.container_port.checked_add(offset);
        let every = publish.address.is_none_or(|address| address.is_unspecified());
        self.known(Attribute::EveryAddress, Some(every));
    }

    /// What a network says of isolation; if it says nothing and the facts are complete, what its platform's version does by default.
    fn isolation(&mut self, attribute: Attribute, network: &DockerNetwork) {
        match network.isolate {
            Some(Isolation::Off) => self.is(attribute, "no"),
            Some(Isolation::On) => self.is(attribute, "yes"),
            Some(Isolation::Strict) => self.is(attribute, "strict"),
            None if self.view.complete => {
                let preset = self.platform.with_defaults(self.situation.clone()).value(attribute);
                if let Some(value) = preset {
                    self.is(attribute, value);
                }
            }
            None => {}
        }
    }

    /// The host's own address of `family` on an interface.
    fn own_address(&self, interface: Option<&str>, family: Family) -> Option<IpAddr> {
        let addresses = &self.facts.interfaces.get(interface?)?.addresses;
        addresses.iter().map(ipnet::IpNet::addr).find(|address| Family::of(*address) == family)
    }

    /// The target's network. Its mode is that of the dialled family, also where a proxy goes on over IPv4 (moby,
    /// `configurePortBindingIPv6`; measured on 29.7.2).
    fn network(&mut self, network: &DockerNetwork) {
        let complete = self.view.complete;
        match network.gateway_mode(self.family).map(GatewayMode::name) {
            Some(mode) => self.is(Attribute::Mode, mode),
            None if complete => self.is(Attribute::Mode, "nat"),
            None => {}
        }
        self.known(Attribute::Internal, Some(network.internal));
        self.known(Attribute::Icc, network.icc.or(complete.then_some(true)));
        let arrival = self.endpoints.arrival.as_ref();
        let trusted = arrival.is_some_and(|name| network.trusted_host_interfaces.contains(name));
        self.known(Attribute::Direct, if trusted { Some(true) } else { self.view.direct });
        self.isolation(Attribute::ToIsolate, network);
        if let Some((_, other)) = self.view.opener(self.connection).and_then(|opener| opener.network) {
            self.isolation(Attribute::FromIsolate, other);
        }
    }
}

/// Where the opener stands, seen from the target.
fn stands(opener: &Member<'_>, target: Option<&Member<'_>>) -> &'static str {
    let network = |member: &Member<'_>| member.network.map(|(name, _)| name.to_owned());
    if opener.off_bridge() {
        "off-bridge"
    } else if target.is_some_and(|target| target.name == opener.name) {
        "itself"
    } else if target.is_some_and(|target| network(target).is_some() && network(target) == network(opener)) {
        "same-bridge"
    } else if opener.internal() {
        "internal"
    } else {
        "other-bridge"
    }
}

fn protocol_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::TCP => "tcp",
        Protocol::UDP => "udp",
        _ => "other",
    }
}

/// The address that the target sees.
fn seen(source: Source, connection: &Connection, endpoints: &Endpoints) -> Option<IpAddr> {
    match (source, &connection.origin) {
        (Source::Bridge, _) => endpoints.bridge_address,
        (Source::Masqueraded, Origin::Inside(_)) if endpoints.masqueraded => {
            endpoints.bridge_address.or(endpoints.departure_address)
        }
        (_, Origin::Host) => endpoints.host_address,
        _ => endpoints.opener,
    }
}

fn header(step: &super::Step, connection: &Connection, endpoints: &Endpoints) -> Header {
    let interface = |interface: Interface| match interface {
        Interface::Arrival => endpoints.arrival.clone(),
        Interface::Bridge => endpoints.bridge.clone(),
        Interface::Loopback => Some("lo".to_owned()),
        Interface::Departure => endpoints.departure.clone(),
        Interface::Parent => endpoints.parent.clone(),
        Interface::SwarmBridge => endpoints.swarm_bridge.clone(),
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
        translated: step.translated(),
    }
}
