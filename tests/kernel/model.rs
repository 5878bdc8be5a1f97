//! What a host is, as far as a packet's meaning goes: which card is whose, what is published where. Read from the facts that
//! are true of the host; knows nothing of rules.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use fwc::facts::{DockerContainer, DockerNetwork, Facts};
use fwc::net::Mac;
use fwc::syntax::tree::{Place, Who};

use super::hosts::HostCase;
use super::namespace::HostPlan;
use super::oracle::{Entry, Probe};
use super::packet::Payload;
use crate::interpreter::{Attempt, Class, Party, Policy, State};

/// A published port or range.
#[derive(Clone, Debug)]
pub struct Published {
    /// Its bridge.
    pub card: String,
    /// Its address.
    pub address: IpAddr,
    /// Protocol number.
    pub protocol: u8,
    /// The host address that it is bound to.
    pub at: Option<IpAddr>,
    /// First port on the host.
    pub first: u16,
    /// Last port on the host.
    pub last: u16,
    /// First port of the container.
    pub inside: u16,
}

/// A host.
pub struct Model {
    /// Its cards.
    pub plan: HostPlan,
    /// Cards behind which something else than the outside is.
    pub bridges: BTreeMap<String, Class>,
    /// Fixed addresses of containers and instances, with their names.
    pub names: BTreeMap<IpAddr, String>,
    /// What is published.
    pub published: Vec<Published>,
    /// Whether the build knows what is published. Otherwise docker-proxy's road cannot be told from the host's own services.
    pub known: bool,
    /// Whether Docker may not lead IPv6 to DOCKER-USER, for all that the build is told: before version 27, or where it writes no
    /// rules; nor has Podman a chain for that. Then it is judged in table mangle.
    pub silent_ipv6: bool,
}

impl Model {
    /// Reads a host.
    pub fn of(case: &HostCase) -> Self {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(case.truth)).expect(case.truth);
        let facts: Facts = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", case.truth));
        Self::new(HostPlan::parse(case.cards), &facts, case.facts == case.truth)
    }

    /// The host that has these interfaces and of which this is true.
    pub fn new(plan: HostPlan, facts: &Facts, known: bool) -> Self {
        let mut model = Self {
            plan,
            bridges: BTreeMap::new(),
            names: BTreeMap::new(),
            published: Vec::new(),
            known,
            silent_ipv6: facts.podman.is_some()
                || facts.docker.as_ref().is_some_and(|docker| {
                    let version = docker.version.as_deref().and_then(|version| version.split('.').next()?.parse().ok());
                    docker.iptables == Some(false) || version.is_none_or(|version: u32| version < 27)
                }),
        };
        if let Some(docker) = &facts.docker {
            model.containers(&docker.networks, &docker.containers);
        }
        if let Some(podman) = &facts.podman {
            model.containers(&podman.networks, &podman.containers);
        }
        if let Some(instances) = &facts.instances {
            for name in instances.bridges.keys() {
                model.bridges.insert(name.clone(), Class::Instance);
            }
            for (name, instance) in &instances.instances {
                model.names.extend(instance.addresses.iter().map(|&address| (address, name.clone())));
            }
        }
        if let Some(libvirt) = &facts.libvirt {
            model.bridges.extend(libvirt.bridges.keys().map(|name| (name.clone(), Class::Guest)));
        }
        model
    }

    /// The networks of a platform that are on bridges, and the containers there that have an address.
    fn containers(
        &mut self,
        networks: &BTreeMap<String, DockerNetwork>,
        containers: &BTreeMap<String, DockerContainer>,
    ) {
        self.bridges.extend(networks.values().filter_map(|network| Some((network.bridge.clone()?, Class::Container))));
        for (name, container) in containers {
            let bridge = container.networks.iter().find_map(|network| networks.get(network)?.bridge.as_deref());
            if let Some(bridge) = bridge {
                self.container(name, container, bridge);
            }
        }
    }

    fn container(&mut self, name: &str, container: &DockerContainer, bridge: &str) {
        for &address in &container.addresses {
            self.names.insert(address, name.to_owned());
            for port in &container.ports {
                // What is bound to an address of one family leads to the container's address of that family, if it has one.
                let of_family = |at: IpAddr| container.addresses.iter().any(|own| own.is_ipv4() == at.is_ipv4());
                if port.address.is_some_and(|at| at.is_ipv4() != address.is_ipv4() && of_family(at)) {
                    continue;
                }
                let first = port.port.expect("the truth gives ports");
                self.published.push(Published {
                    card: bridge.to_owned(),
                    address,
                    protocol: fwc::net::Protocol::by_name(&port.protocol).expect("a protocol").0,
                    at: port.address.filter(|at| !at.is_unspecified()),
                    first,
                    last: port.last_port.unwrap_or(first),
                    inside: port.container_port,
                });
            }
        }
    }

    /// The kind of what is behind a card.
    pub fn class(&self, card: &str) -> Class {
        self.bridges.get(card).copied().unwrap_or(Class::Outside)
    }

    fn party(&self, card: &str, address: IpAddr, mac: Option<[u8; 6]>) -> Party {
        Party {
            class: self.class(card),
            card: Some(card.to_owned()),
            address,
            mac: mac.map(Mac),
            name: self.names.get(&address).cloned(),
        }
    }

    /// What a packet is an attempt at.
    pub fn attempt(&self, policy: &Policy, probe: &Probe) -> Attempt {
        let packet = &probe.packet;
        let from = match probe.entry {
            Entry::Host => Party { class: Class::Host, card: None, address: packet.source, mac: None, name: None },
            Entry::Card(card) => {
                let mac = probe.mac.unwrap_or([2, 0, 0, 0, 0, 1]);
                self.party(&self.plan.cards[card].name, packet.source, Some(mac))
            }
        };
        let dialled = packet.destination;
        let port = packet.destination_port();
        let (icmp, source_port) = match packet.payload {
            Payload::Icmp { kind, code, .. } => (Some((kind, code)), None),
            Payload::Tcp { source, .. } | Payload::Udp { source, .. } | Payload::Sctp { source, .. } => {
                (None, Some(source))
            }
            Payload::Unreachable { .. } | Payload::Other(_) => (None, None),
        };
        let host = Party { class: Class::Host, card: None, address: dialled, mac: None, name: None };
        let mut attempt = Attempt {
            from,
            to: host,
            dialled,
            port,
            inside: port,
            direct: false,
            published_as: Vec::new(),
            forwarded: false,
            protocol: packet.protocol(),
            icmp,
            source_port,
            state: State::of(packet.source.is_ipv4(), icmp),
        };
        if !self.plan.owns(dialled) {
            let card = self.plan.route(dialled).to_owned();
            attempt.to = self.party(&card, dialled, None);
            attempt.direct = attempt.to.class == Class::Container;
            attempt.published_as = self.published_as(attempt.protocol, dialled, port);
        } else if let Some((who, inside)) = policy.forwarded(&attempt)
            && let Some(address) = self.address_of(who, dialled)
        {
            attempt.to = self.party(self.plan.route(address), address, None);
            attempt.inside = inside.or(port);
            attempt.forwarded = true;
        } else if let Some(published) = self.published_at(attempt.protocol, dialled, port) {
            attempt.inside = port.map(|port| port - published.first + published.inside);
            attempt.to = self.party(&published.card, published.address, None);
        }
        attempt
    }

    /// The ports at which a container's own port is published.
    fn published_as(&self, protocol: u8, own: IpAddr, port: Option<u16>) -> Vec<u16> {
        let Some(port) = port else { return Vec::new() };
        // Whichever of its addresses the host's port leads to: they are one container's.
        let name = self.names.get(&own);
        let of = |one: &&Published| {
            let inside = one.inside..=one.inside.saturating_add(one.last - one.first);
            let its = one.address == own || name.is_some() && self.names.get(&one.address) == name;
            one.protocol == protocol && its && inside.contains(&port)
        };
        self.published.iter().filter(of).map(|one| one.first + (port - one.inside)).collect()
    }

    /// What is published there.
    pub fn published_at(&self, protocol: u8, dialled: IpAddr, port: Option<u16>) -> Option<&Published> {
        let port = port?;
        let mut found = self.published.iter().filter(|published| {
            published.protocol == protocol
                && (published.first..=published.last).contains(&port)
                && published.at.is_none_or(|at| at == dialled)
        });
        // docker-proxy leads from one family to the other where the container has one address alone.
        let any = found.clone().next();
        found.find(|published| published.address.is_ipv4() == dialled.is_ipv4()).or(any)
    }

    /// The one address, of the family of `like`, that a `forward` goes to.
    fn address_of(&self, who: &Who, like: IpAddr) -> Option<IpAddr> {
        let one = who.members.first()?;
        let address = match &one.place.value {
            Place::Address(range) => range.unpacked().first,
            Place::Instance(Some(name)) | Place::Container(Some(name)) | Place::Guest(Some(name)) => {
                *self.names.iter().find(|(_, known)| **known == *name.value)?.0
            }
            _ => return None,
        };
        (address.is_ipv4() == like.is_ipv4()).then_some(address)
    }
}
