//! What a network is made with, and what its gateway does: words of Docker and Podman.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::DockerNetwork;
use crate::net::Family;

/// What carries the packets of a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum NetworkDriver {
    /// A bridge of this host.
    Bridge,
    /// The host's own network.
    Host,
    /// The parent interface, with Ethernet addresses of the containers' own.
    Macvlan,
    /// The parent interface, with its Ethernet address.
    Ipvlan,
    /// A swarm's network.
    Overlay,
    /// Nothing.
    None,
    /// A plugin.
    Other(String),
}

/// How a bridge's gateway treats what goes to its containers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum GatewayMode {
    /// Published ports are translated; others are closed.
    Nat,
    /// Published ports are translated; others are open to who routes there.
    NatUnprotected,
    /// Nothing is translated; published ports are open.
    Routed,
    /// The gateway has no address on the host.
    Isolated,
    /// None that Docker has.
    Other(String),
}

impl NetworkDriver {
    fn name(&self) -> &str {
        match self {
            Self::Bridge => "bridge",
            Self::Host => "host",
            Self::Macvlan => "macvlan",
            Self::Ipvlan => "ipvlan",
            Self::Overlay => "overlay",
            Self::None => "none",
            Self::Other(name) => name,
        }
    }
}

impl GatewayMode {
    /// The word for it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Nat => "nat",
            Self::NatUnprotected => "nat-unprotected",
            Self::Routed => "routed",
            Self::Isolated => "isolated",
            Self::Other(name) => name,
        }
    }
}

impl From<String> for NetworkDriver {
    fn from(name: String) -> Self {
        let known = [Self::Bridge, Self::Host, Self::Macvlan, Self::Ipvlan, Self::Overlay, Self::None];
        known.into_iter().find(|driver| driver.name() == name).unwrap_or(Self::Other(name))
    }
}

impl From<NetworkDriver> for String {
    fn from(driver: NetworkDriver) -> Self {
        driver.name().to_owned()
    }
}

impl From<String> for GatewayMode {
    fn from(name: String) -> Self {
        let known = [Self::Nat, Self::NatUnprotected, Self::Routed, Self::Isolated];
        known.into_iter().find(|mode| mode.name() == name).unwrap_or(Self::Other(name))
    }
}

impl From<GatewayMode> for String {
    fn from(mode: GatewayMode) -> Self {
        mode.name().to_owned()
    }
}

impl fmt::Display for NetworkDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for GatewayMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl DockerNetwork {
    /// Its gateway mode for a family, where it is told.
    #[must_use]
    pub fn gateway_mode(&self, family: Family) -> Option<&GatewayMode> {
        match family {
            Family::Ipv4 => self.gateway_mode_ipv4.as_ref(),
            Family::Ipv6 => self.gateway_mode_ipv6.as_ref(),
        }
    }

    /// Whether it is routed, in a family at least.
    #[must_use]
    pub fn is_routed(&self) -> bool {
        Family::BOTH.into_iter().any(|family| self.gateway_mode(family) == Some(&GatewayMode::Routed))
    }

    /// Whether it has a bridge on this host.
    #[must_use]
    pub fn is_bridge(&self) -> bool {
        self.driver.as_ref().is_none_or(|driver| *driver == NetworkDriver::Bridge)
    }

    /// Whether its packets go by no hook of this host.
    #[must_use]
    pub fn is_off_bridge(&self) -> bool {
        matches!(self.driver, Some(NetworkDriver::Macvlan | NetworkDriver::Ipvlan))
    }
}
