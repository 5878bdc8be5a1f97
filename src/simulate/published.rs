//! Ports of this host that containers publish, where a policy stands for itself: the platform's own rules are not there to be followed, and
//! what they make of such a connection is what facts and the platforms' data say.

use crate::facts::{DockerNetwork, NetworkDriver};
use crate::host::words;
use crate::net::{Card, Family};
use crate::packet::Field;
use crate::packet::field::name_number;
use crate::policy::{Policy, Published};
use crate::traffic;

use super::Way;

/// Where the platform leads a connection.
pub(super) struct Led {
    /// The bridge of the container's network, or one that is called as such are.
    pub(super) bridge: String,
    /// What happened, in words.
    pub(super) why: String,
    /// The container, and its port.
    pub(super) target: String,
}

impl Way<'_, '_> {
    /// Translates a connection to a port that a container publishes, as the platform does at PREROUTING.
    pub(super) fn lead_to_container(&mut self) -> Option<Led> {
        let question = self.question;
        let opens = question.state == 0 && !question.reply && question.dialled.is_none();
        let host = self.host;
        let policy = host.policy.as_ref().filter(|_| host.policy_alone() && opens && self.tracked)?;
        if self.translated.destination_settled || self.packet.get(Field::LOCAL) == Some(0) {
            return None;
        }
        let (protocol, port) = (question.protocol?, question.destination_port?);
        let arrives = question.arrives.as_deref();
        if arrives.is_some_and(|name| name == "lo" || policy.cards.container.iter().any(|card| card.matches(name))) {
            return None;
        }
        let bound = |one: &&Published| one.address.is_none() || one.address == question.destination;
        let one = policy
            .containers
            .published
            .iter()
            .filter(|one| one.protocol == protocol && (one.ports.first..=one.ports.last).contains(&port))
            .filter(bound)
            .find(|one| traffic::translated(policy, one, self.family))?;
        let (container, networks) = traffic::container(policy, &one.container)?;
        let own = one.container_ports;
        let inside = if own.first == own.last { own.first } else { own.first.saturating_add(port - one.ports.first) };
        let address = container.addresses.iter().copied().find(|address| Family::of(*address) == self.family);
        match address {
            Some(address) => self.packet.set(Field::DESTINATION, words::address_number(address)),
            None => self.packet.forget(Field::DESTINATION),
        }
        self.packet.set(Field::DESTINATION_PORT, u128::from(inside));
        self.packet.set(Field::TRANSLATED, 1);
        self.packet.set(Field::MULTICAST, 0);
        self.packet.set(Field::BROADCAST, 0);
        self.packet.set(Field::LOCAL, 0);
        self.translated.destination = true;
        self.translated.destination_settled = true;
        let (bridge, known) = bridge(policy, &networks);
        self.packet.set(Field::OUT_INTERFACE, name_number(&bridge));
        if !known {
            self.note(format!(
                "the bridge of the network of `{}` is not known: one that is called {bridge} is taken",
                one.container
            ));
        }
        let target = format!("container {}, port {inside}", one.container);
        let platform = traffic::owner(policy, &one.container).map_or("the platform", |platform| &platform.title);
        let why = format!("{platform} leads port {port} of this host to {target}: out by {bridge}");
        Some(Led { bridge, why, target })
    }
}

/// The bridge of a container's networks, and whether it is known.
fn bridge(policy: &Policy, networks: &[&DockerNetwork]) -> (String, bool) {
    let bridged = networks.iter().filter(|network| matches!(network.driver, None | Some(NetworkDriver::Bridge)));
    if let Some(name) = bridged.filter_map(|network| network.bridge.clone()).next() {
        return (name, true);
    }
    let usual = |card: &Card| if card.prefix { format!("{}1", card.name) } else { card.name.clone() };
    // A network that a compose file makes has a bridge of a name that Docker makes; the usual one is for containers without a network.
    let made = policy.cards.container.iter().find(|card| card.prefix || networks.is_empty());
    (made.or(policy.cards.container.first()).map_or_else(|| "docker0".to_owned(), usual), false)
}
