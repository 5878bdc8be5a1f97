//! Addresses that a policy names: a party outside, unless they are this host's own or lie in a network on it.

use crate::diagnostic::Diagnostic;
use crate::facts::{DockerNetwork, InterfaceFact};
use crate::net::{AddressRange, AddressSet};
use crate::policy::who::Places;
use crate::policy::who::codes::{CONTAINER_ADDRESS, HOST_ADDRESS};
use crate::policy::{Class, Party};
use crate::span::Location;

impl Places<'_, '_> {
    pub(super) fn address(&self, here: Location, range: AddressRange, out: &mut Vec<Diagnostic>) -> Party {
        // The library lists addresses that no card outside should show, among them those of every host and of container networks.
        if !self.project.library.contains(&here.file) {
            out.extend(self.own_address(here, range).or_else(|| self.inner_address(here, range)));
        }
        Party { addresses: Some(AddressSet::new([range])), ..Party::of(Class::Outside) }
    }

    /// An address of this host: of a card, or a gateway that a platform has put on its bridge.
    fn own_address(&self, here: Location, range: AddressRange) -> Option<Diagnostic> {
        if range.first != range.last {
            return None;
        }
        let fault = || {
            Diagnostic::new(&HOST_ADDRESS, here, format!("`{}` is an address of this host", range.first)).fix(
                "name the host's own side",
                here,
                format!("host at {}", range.first),
            )
        };
        if range.first.is_loopback() {
            return Some(
                Diagnostic::new(&HOST_ADDRESS, here, format!("`{}` is this host itself", range.first))
                    .label("what the host sends to itself is not judged: it always passes")
                    .help("take it out; the prelude lets the loopback pass, and nobody else has that address"),
            );
        }
        let has = |card: &InterfaceFact| card.addresses.iter().any(|net| net.addr() == range.first);
        if let Some((card, _)) = self.facts.interfaces.iter().find(|(_, card)| has(card)) {
            return Some(fault().label(format!("on `{card}`")));
        }
        let (name, network) = self.bridge_networks().find(|(_, network)| network.gateways.contains(&range.first))?;
        let fault = fault().label(format!("the gateway of network `{name}`, on this host"));
        Some(network.location.map_or(fault.clone(), |location| fault.related(location, "the network")))
    }

    /// An address or prefix that lies in a network on this machine. A wider prefix, which merely holds one, is a party outside.
    fn inner_address(&self, here: Location, range: AddressRange) -> Option<Diagnostic> {
        let within = |net: &ipnet::IpNet| net.contains(&range.first) && net.contains(&range.last);
        if let Some((name, network)) = self.bridge_networks().find(|(_, network)| network.subnets.iter().any(within)) {
            let fault =
                Diagnostic::new(&CONTAINER_ADDRESS, here, format!("`{range}` lies in the container network `{name}`"))
                    .fix("name the network", here, format!("network {name}"))
                    .help("or name the container: `container NAME`");
            return Some(network.location.map_or(fault.clone(), |location| fault.related(location, "the network")));
        }
        let instances = self.facts.instances.iter().flat_map(|facts| &facts.bridges).map(|bridge| ("instance", bridge));
        let guests = self.facts.libvirt.iter().flat_map(|facts| &facts.bridges).map(|bridge| ("guest", bridge));
        let (word, (bridge, _)) = instances.chain(guests).find(|(_, (_, bridge))| bridge.subnets.iter().any(within))?;
        Some(
            Diagnostic::new(
                &CONTAINER_ADDRESS,
                here,
                format!("`{range}` lies on this machine, behind bridge `{bridge}`"),
            )
            .help(format!("name who has it: `{word} NAME`")),
        )
    }

    /// The networks that have a bridge on this host.
    fn bridge_networks(&self) -> impl Iterator<Item = (&String, &DockerNetwork)> {
        let docker = self.facts.docker.iter().flat_map(|docker| &docker.networks);
        let podman = self.facts.podman.iter().flat_map(|podman| &podman.networks);
        docker.chain(podman).filter(|(_, network)| network.is_bridge())
    }
}
