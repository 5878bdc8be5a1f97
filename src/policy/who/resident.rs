//! Who lives on this machine: containers, instances, guests and their networks, as declarations and facts know them.

use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::facts::{DockerContainer, InstanceFact, NetworkDriver, PublishedPort};
use crate::names::closest as nearest;
use crate::net::{AddressRange, AddressSet, Card, Family, Protocol};
use crate::policy::names::{at, find};
use crate::policy::who::codes::{
    CONTAINER_ORIGIN, HOST_NETWORK, MISPLACED_WORD, OFF_BRIDGE, UNKNOWN_CONTAINER, UNPUBLISHED_CONTAINER,
};
use crate::policy::who::{Places, Role};
use crate::policy::{CardSet, Class, Party, Published, Special};
use crate::span::{FileId, Location, Spanned};
use crate::syntax::tree::{GuestKind, Name, Place, View, Who};

impl Places<'_, '_> {
    pub(super) fn docker_container(&self, name: &str) -> Option<&DockerContainer> {
        let docker = self.facts.docker.iter().map(|docker| &docker.containers);
        docker.chain(self.facts.podman.iter().map(|podman| &podman.containers)).find_map(|table| table.get(name))
    }

    pub(super) fn container(
        &self,
        file: FileId,
        place: Location,
        name: &Name,
        view: Option<&Spanned<View>>,
        role: Role,
        out: &mut Vec<Diagnostic>,
    ) -> Option<Party> {
        let here = at(file, name.span);
        find(&self.names.containers, &name.value);
        let Some(container) = self.docker_container(&name.value) else {
            if self.names.is_unreadable(&name.value) {
                self.failed.set(true);
                return None;
            }
            let tables = self.facts.docker.iter().map(|docker| &docker.containers);
            let tables = tables.chain(self.facts.podman.iter().map(|podman| &podman.containers));
            let known: Vec<&str> = tables.flat_map(|table| table.keys()).map(String::as_str).collect();
            out.push(self.unknown_member("container", here, &name.value, &known));
            return None;
        };
        if let Some(fault) = self.elsewhere(place, &name.value, container, view, role) {
            out.push(fault);
            return None;
        }
        let member = Some(Arc::<str>::from(&*name.value));
        let direct = view.is_some_and(|view| view.value == View::Direct);
        if role == Role::To && !direct {
            let published: Arc<[Published]> = published_by(&name.value, container).into();
            let addresses = (!container.addresses.is_empty()).then(|| own_addresses(container));
            let special = Special { member, published: Some(published), ..Special::default() };
            return Some(Party { addresses, ..Party::special(Class::Container, special) });
        }
        if !container.addresses.is_empty() {
            let addresses = Some(own_addresses(container));
            let special = Special { member, ..Special::default() };
            return Some(Party { addresses, ..Party::special(Class::Container, special) });
        }
        if let [network] = container.networks.as_slice()
            && let Some((mut party, alone)) = self.network_party(network)
            && alone
        {
            party.member = member;
            return Some(party);
        }
        let mut fault = Diagnostic::new(
            &CONTAINER_ORIGIN,
            here,
            format!("container `{}` has no fixed address and no network of its own", name.value),
        )
        .help("give it `ipv4_address` in the compose file, or a network that it shares with nobody");
        if let Some(location) = container.location {
            fault = fault.related(location, "the container is declared here");
        }
        out.push(fault);
        None
    }

    /// Why a target is reached by none of those who open: it publishes nothing, and they are not its neighbours. Containers on one network
    /// mean its own address there, if that is fixed.
    pub(in crate::policy) fn unreached(
        &self,
        from: &[Party],
        to: &Party,
        place: Location,
        who: &Who,
    ) -> Option<Diagnostic> {
        let name = to.member.as_deref()?;
        if !to.published.as_ref()?.is_empty() {
            return None;
        }
        let container = self.docker_container(name)?;
        let is_neighbour = |party: &Party| {
            let other = party.member.as_deref().filter(|_| party.class == Class::Container);
            let other = other.and_then(|other| self.docker_container(other));
            other.is_some_and(|other| other.networks.iter().any(|network| container.networks.contains(network)))
        };
        let neighbours = !from.is_empty() && from.iter().all(is_neighbour);
        if self.on_routed_network(container) || neighbours && to.addresses.is_some() && to.at.is_none() {
            return None;
        }
        let named = who.members.iter().find_map(|one| match &one.place.value {
            Place::Container(Some(own)) if *own.value == *name => Some(Location { file: place.file, span: own.span }),
            _ => None,
        });
        let fault = unpublished(named.unwrap_or(place), name, container);
        Some(if neighbours { fault.help("or give it a fixed address: its neighbours reach it there") } else { fault })
    }

    /// A container that is not where rules to containers look: on the host's network, in another's, or on no bridge.
    fn elsewhere(
        &self,
        place: Location,
        name: &str,
        container: &DockerContainer,
        view: Option<&Spanned<View>>,
        role: Role,
    ) -> Option<Diagnostic> {
        let docker = self.facts.docker.iter().map(|docker| &docker.networks);
        let tables = docker.chain(self.facts.podman.iter().map(|podman| &podman.networks));
        let networks: Vec<_> = tables
            .flat_map(|table| table.iter().filter(|(network, _)| container.networks.contains(*network)))
            .collect();
        let of_host = networks.iter().any(|(_, network)| network.driver == Some(NetworkDriver::Host));
        let told = |fault: Diagnostic| match container.location {
            Some(location) => fault.related(location, "the container"),
            None => fault,
        };
        if let Some(other) = &container.network_of {
            let fault = Diagnostic::new(
                &HOST_NETWORK,
                place,
                format!("container `{name}` lives in the network of container `{other}`"),
            );
            return Some(told(fault).fix("name that one", place, format!("container {other}")));
        }
        if container.networks.iter().any(|network| network == "host") || of_host {
            let fault = Diagnostic::new(&HOST_NETWORK, place, format!("container `{name}` shares the host's network"))
                .label("no rule to containers meets it");
            return Some(match (role, view) {
                (Role::To, None) => told(fault).fix("its ports are the host's", place, "host"),
                (Role::To, Some(_)) => told(fault).help("its ports are the host's: `to host`"),
                (Role::From, _) => told(fault).help("its connections are the host's: `from host`, every program on it"),
            });
        }
        let (first, _) = networks.first()?;
        let unseen = networks.len() == container.networks.len()
            && networks.iter().all(|(_, network)| match network.driver {
                Some(NetworkDriver::Macvlan) => true,
                Some(NetworkDriver::Ipvlan) => network.ipvlan_mode.as_deref().is_none_or(|mode| mode == "l2"),
                _ => false,
            });
        if !unseen {
            return None;
        }
        let driver =
            networks.first().and_then(|(_, network)| network.driver.as_ref()).unwrap_or(&NetworkDriver::Macvlan);
        let mut fault = Diagnostic::new(
            &OFF_BRIDGE,
            place,
            format!("the host's firewall never sees container `{name}`, on a network of driver {driver}"),
        )
        .label("no hook of the host is passed");
        if let Some(location) = networks.first().and_then(|(_, network)| network.location) {
            fault = fault.related(location, format!("network `{first}`"));
        }
        Some(told(fault).help("filter on that network's router or in the container, or put it on a bridge network"))
    }

    fn on_routed_network(&self, container: &DockerContainer) -> bool {
        let networks = self.facts.docker.iter().flat_map(|docker| &docker.networks);
        networks.filter(|(name, _)| container.networks.contains(name)).any(|(_, network)| network.is_routed())
    }

    /// The containers of a Docker network, and whether it is one container alone.
    fn network_party(&self, name: &str) -> Option<(Party, bool)> {
        let docker = self.facts.docker.iter().map(|docker| (&docker.networks, &docker.containers));
        let podman = self.facts.podman.iter().map(|podman| (&podman.networks, &podman.containers));
        let (networks, containers) = docker.chain(podman).find(|(networks, _)| networks.contains_key(name))?;
        let network = networks.get(name)?;
        let members = containers.values().filter(|container| container.networks.iter().any(|on| on == name)).count();
        let cards = network.bridge.as_ref().map(|bridge| Arc::new(CardSet::only(vec![Card::exact(bridge.clone())])));
        let addresses = (!network.subnets.is_empty())
            .then(|| network.subnets.iter().map(|&subnet| AddressRange::from(subnet)).collect());
        (cards.is_some() || addresses.is_some())
            .then(|| (Party { cards, addresses, ..Party::of(Class::Container) }, members == 1))
    }

    /// The addresses of all declared networks of this machine.
    pub(in crate::policy) fn declared_networks(&self) -> AddressSet {
        let declared = self.names.networks.values();
        let own = declared.filter_map(|network| {
            let who = network.node.address.as_ref()?;
            Some(self.own(network.file, who, &mut Vec::new()))
        });
        own.fold(AddressSet::default(), |all, set| all.union(&set))
    }

    pub(super) fn network(&self, file: FileId, name: &Name, out: &mut Vec<Diagnostic>) -> Option<Party> {
        if let Some(network) = find(&self.names.networks, &name.value) {
            let cards: Vec<Card> = network.node.cards.iter().map(|card| card.value.clone()).collect();
            let class = cards.iter().find_map(|card| self.cards.class_of(card)).unwrap_or(Class::Container);
            let addresses = network.node.address.as_ref().map(|who| self.own(network.file, who, out));
            return Some(Party { cards: Some(Arc::new(CardSet::only(cards))), addresses, ..Party::of(class) });
        }
        if let Some((party, _)) = self.network_party(&name.value) {
            return Some(party);
        }
        if self.names.is_unreadable(&name.value) {
            self.failed.set(true);
            return None;
        }
        let known: Vec<&str> = self
            .facts
            .docker
            .iter()
            .flat_map(|docker| docker.networks.keys())
            .map(String::as_str)
            .chain(self.names.networks.keys().copied())
            .collect();
        if known.contains(&&*name.value) {
            out.push(
                Diagnostic::new(
                    &CONTAINER_ORIGIN,
                    at(file, name.span),
                    format!("neither bridge nor subnet of network `{}` is known", name.value),
                )
                .help("give it a subnet (`ipam`) or `com.docker.network.bridge.name` in the compose file, or facts"),
            );
        } else {
            out.push(self.unknown_member("network", at(file, name.span), &name.value, &known));
        }
        None
    }

    pub(super) fn guest(&self, file: FileId, name: &Name, kind: GuestKind, out: &mut Vec<Diagnostic>) -> Option<Party> {
        let class = class_of(kind);
        let member = Some(Arc::<str>::from(&*name.value));
        let fact = self.instance_fact(kind, &name.value);
        if let Some(guest) = find(&self.names.guests, &name.value).filter(|guest| guest.node.kind == kind) {
            let cards = guest.node.cards.iter().map(|card| card.value.clone()).collect();
            let mut addresses = guest.node.address.as_ref().map(|who| self.own(guest.file, who, out));
            if addresses.is_none() {
                addresses = fact.and_then(known_addresses);
            }
            let macs = guest.node.mac.iter().map(|mac| mac.value).collect();
            let special = Special { macs, member, ..Special::default() };
            let cards = Some(Arc::new(CardSet::only(cards)));
            return Some(Party { cards, addresses, ..Party::special(class, special) });
        }
        if let Some(fact) = fact {
            let cards = fact.tap.as_ref().or(fact.bridge.as_ref());
            let cards = cards.map(|card| Arc::new(CardSet::only(vec![Card::exact(card.clone())])));
            let macs = fact.mac.iter().filter_map(|mac| mac.parse().ok()).collect();
            let special = Special { macs, member, ..Special::default() };
            return Some(Party { cards, addresses: known_addresses(fact), ..Party::special(class, special) });
        }
        if self.names.is_unreadable(&name.value) {
            self.failed.set(true);
            return None;
        }
        let word = class.name();
        let declared = self.names.guests.iter().filter(|(_, guest)| guest.node.kind == kind).map(|(name, _)| *name);
        let known: Vec<&str> = declared.chain(self.instance_names(kind)).collect();
        out.push(self.unknown_member(word, at(file, name.span), &name.value, &known));
        None
    }

    /// What facts know of an instance or virtual machine.
    #[must_use]
    pub fn instance_fact(&self, kind: GuestKind, name: &str) -> Option<&InstanceFact> {
        match kind {
            GuestKind::Instance => self.facts.instances.as_ref()?.instances.get(name),
            GuestKind::Guest => self.facts.libvirt.as_ref()?.guests.get(name),
        }
    }

    fn instance_names(&self, kind: GuestKind) -> Vec<&str> {
        match kind {
            GuestKind::Instance => {
                self.facts.instances.iter().flat_map(|facts| facts.instances.keys()).map(String::as_str).collect()
            }
            GuestKind::Guest => {
                self.facts.libvirt.iter().flat_map(|facts| facts.guests.keys()).map(String::as_str).collect()
            }
        }
    }

    /// Addresses in a declaration: a guest's or a network's own, not a party outside.
    pub fn own(&self, file: FileId, who: &Who, out: &mut Vec<Diagnostic>) -> AddressSet {
        let mut ranges = Vec::new();
        for one in &who.members {
            match &one.place.value {
                Place::Address(range) if !one.negated && !who.negated => ranges.push(range.unpacked()),
                Place::Name(name) if !one.negated && !who.negated && self.names.sets.contains_key(&**name) => {
                    let parties = self.name(at(file, one.place.span), name, Role::From, &mut Vec::new(), out);
                    let plain = |party: &Party| {
                        let rest = party.at_any_address();
                        party.addresses.is_some() && rest == Party::of(Class::Outside)
                    };
                    if !parties.iter().all(plain) {
                        let message = format!("`{name}` holds more than addresses");
                        out.push(
                            Diagnostic::new(&MISPLACED_WORD, at(file, one.place.span), message)
                                .help("give the addresses alone, in a set of their own or in braces"),
                        );
                    }
                    let sets = parties.iter().filter_map(|party| party.addresses.as_ref());
                    ranges.extend(sets.flat_map(AddressSet::iter));
                }
                _ => out.push(
                    Diagnostic::new(
                        &MISPLACED_WORD,
                        at(file, one.place.span),
                        "an address or prefix was expected here",
                    )
                    .help("as in `address 192.0.2.5` or `address { 192.0.2.5, 2001:db8::5 }`"),
                ),
            }
        }
        AddressSet::new(ranges)
    }

    /// What compose projects call by this name, by the names that Docker has for them.
    fn in_projects(&self, kind: &str, name: &str) -> Vec<&str> {
        let docker = self.facts.docker.as_ref();
        let services = docker.into_iter().flat_map(|docker| &docker.containers);
        let networks = docker.into_iter().flat_map(|docker| &docker.networks);
        let is = |said: &Option<String>| said.as_deref() == Some(name);
        match kind {
            "container" => services.filter(|(_, one)| is(&one.service)).map(|(key, _)| key.as_str()).collect(),
            "network" => networks.filter(|(_, one)| is(&one.compose_name)).map(|(key, _)| key.as_str()).collect(),
            _ => Vec::new(),
        }
    }

    fn unknown_member(&self, kind: &str, here: Location, name: &str, known: &[&str]) -> Diagnostic {
        let unknown = Diagnostic::new(&UNKNOWN_CONTAINER, here, format!("no {kind} is called `{name}`"));
        let projects = self.in_projects(kind, name);
        if let [one] = projects.as_slice() {
            return unknown.fix(format!("Docker calls it `{one}`"), here, *one);
        }
        if !projects.is_empty() {
            let choose = |fault: Diagnostic, one: &&str| fault.fix(format!("write `{one}`"), here, *one);
            let shared = Diagnostic::new(&UNKNOWN_CONTAINER, here, format!("several {kind}s are called `{name}`"));
            return projects.iter().fold(shared, choose);
        }
        match nearest(name, known.iter().copied()) {
            Some(near) => unknown.fix(format!("did you mean `{near}`?"), here, near),
            None if kind == "container" => unknown
                .help(format!("read its compose file (`compose \"docker-compose.yml\"`), or declare it: `container {name} on NETWORK publish tcp 80`")),
            None if kind == "network" => unknown.help(format!("declare it: `network {name} on BRIDGE address 172.18.0.0/16`")),
            None => unknown.help(format!("declare it: `{kind} {name} on CARD address 192.0.2.5`, or give it in fwc.facts.json")),
        }
    }
}

/// Guest or instance as a class.
#[must_use]
pub fn class_of(kind: GuestKind) -> Class {
    match kind {
        GuestKind::Guest => Class::Guest,
        GuestKind::Instance => Class::Instance,
    }
}

/// The fixed addresses of an instance or guest, if any is known.
#[must_use]
pub fn known_addresses(fact: &InstanceFact) -> Option<AddressSet> {
    (!fact.addresses.is_empty()).then(|| fact.addresses.iter().copied().map(AddressRange::single).collect())
}

/// Why nobody reaches a container through an address of the host.
fn unpublished(here: Location, name: &str, container: &DockerContainer) -> Diagnostic {
    let ports = &container.ports;
    let loopback = |port: &&PublishedPort| port.address.is_some_and(|address| address.is_loopback());
    let (message, said, help) = if ports.is_empty() {
        (
            format!("container `{name}` publishes nothing"),
            "",
            "publish the port, or write `direct` behind it for its own address",
        )
    } else if ports.iter().all(|port| loopback(&port)) {
        (
            format!("container `{name}` publishes on the loopback alone"),
            "only the host reaches it here, and up to Docker 27 whoever routes to the container",
            "publish it on another address, or write `direct` behind it for its own address",
        )
    } else {
        (
            format!("Docker picks a port for container `{name}` at each start"),
            "no fixed port of the host",
            "publish it at a fixed port (`8080:80`), or write `direct` behind it for its own address",
        )
    };
    let mut fault = Diagnostic::new(&UNPUBLISHED_CONTAINER, here, message).help(help);
    let lines = ports.iter().filter_map(|port| port.location);
    for location in lines.clone() {
        fault = fault.related(location, said);
    }
    if lines.count() == 0
        && let Some(location) = container.location
    {
        fault = fault.related(location, "the container");
    }
    fault
}

fn own_addresses(container: &DockerContainer) -> AddressSet {
    container.addresses.iter().copied().map(AddressRange::single).collect()
}

/// What a container publishes at fixed ports and not on the loopback alone.
#[must_use]
pub fn published_by(name: &str, container: &DockerContainer) -> Vec<Published> {
    published_at(name, container, |address| !address.is_some_and(|address| address.is_loopback()))
}

/// What a container publishes at fixed ports on the loopback alone: reached from the host itself.
#[must_use]
pub fn published_on_loopback(name: &str, container: &DockerContainer) -> Vec<Published> {
    published_at(name, container, |address| address.is_some_and(|address| address.is_loopback()))
}

fn published_at(
    name: &str,
    container: &DockerContainer,
    wanted: impl Fn(Option<std::net::IpAddr>) -> bool,
) -> Vec<Published> {
    let container_name: Arc<str> = Arc::from(name);
    container
        .ports
        .iter()
        .filter(|port| wanted(port.address))
        .filter_map(|port| {
            let unspecified = port.address.filter(std::net::IpAddr::is_unspecified);
            Some(Published {
                container: container_name.clone(),
                protocol: Protocol::by_name(&port.protocol)?,
                address: port.address.filter(|address| !address.is_unspecified()),
                family: unspecified.map(Family::of),
                ports: port.host_ports()?,
                container_ports: port.container_ports(),
                ingress: port.ingress,
                location: port.location,
            })
        })
        .collect()
}
