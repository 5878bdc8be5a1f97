//! Facts: what is known about the host that a policy is for. Plain values, the same whether they came from
//! `fwc.facts.json`, from declarations in source or from a compose file. Every field may be unknown (`None`, empty).

pub mod compose;
mod counters;
pub mod declared;
mod decode;
mod document;
mod isolation;
pub mod json;
mod merge;
mod network;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod tests;
pub mod validate;
mod yaml;

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::diagnostic::Code;
use crate::span::Location;

pub use counters::{CountedFamily, CountedTable, CounterFact};
pub use isolation::Isolation;
pub use network::{GatewayMode, NetworkDriver};

/// Everything that is known. The JSON form is `fwc.facts.json`, described in `docs/facts.md`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Facts {
    /// Version of this schema; 1.
    pub version: Option<u32>,
    /// Interfaces by name.
    pub interfaces: BTreeMap<String, InterfaceFact>,
    /// The interface of the default route.
    pub default_route: Option<String>,
    /// Docker, if it runs there.
    pub docker: Option<DockerFact>,
    /// LXD or Incus bridges.
    pub instances: Option<InstancesFact>,
    /// libvirt networks.
    pub libvirt: Option<LibvirtFact>,
    /// Podman, if it runs there.
    pub podman: Option<PodmanFact>,
    /// Which variant of iptables holds the platforms' chains.
    pub iptables_variant: Option<IptablesVariant>,
    /// The policy of filter FORWARD for IPv4. Docker sets DROP unless forwarding was on before it started.
    pub forward_policy_ipv4: Option<ForwardPolicy>,
    /// The policy of filter FORWARD for IPv6.
    pub forward_policy_ipv6: Option<ForwardPolicy>,
    /// Whether ufw is enabled on the host.
    pub ufw: Option<bool>,
    /// Whether firewalld runs on the host.
    pub firewalld: Option<bool>,
    /// Whether fail2ban runs on the host.
    pub fail2ban: Option<bool>,
    /// Kernel settings that matter, by sysctl name (`net.ipv4.ip_forward`).
    pub sysctls: BTreeMap<String, String>,
    /// What the host counted for rules of ours, for the editor to show beside them. Nothing that is built or checked rests on it.
    pub counters: Vec<CounterFact>,
    /// Where each fact is said, by its path (`docker.version`), for diagnostics and for naming the facts that a build used.
    #[serde(skip)]
    pub sources: BTreeMap<String, Location>,
}

/// The policy of a built-in chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ForwardPolicy {
    /// ACCEPT.
    Accept,
    /// DROP.
    Drop,
}

/// An interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct InterfaceFact {
    /// Its addresses with prefix lengths.
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub addresses: Vec<ipnet::IpNet>,
    /// The bridge that it is a port of.
    pub bridge: Option<String>,
}

/// iptables-nft or iptables-legacy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum IptablesVariant {
    /// `iptables` prints `(nf_tables)`.
    NfTables,
    /// `iptables` prints `(legacy)`.
    Legacy,
}

/// Docker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct DockerFact {
    /// The daemon's version: `28.5.2`.
    pub version: Option<String>,
    /// `iptables` or `nftables` (29 and later).
    pub firewall_backend: Option<Backend>,
    /// Whether docker-proxy runs (daemon default: yes).
    pub userland_proxy: Option<bool>,
    /// Whether Docker manages iptables (daemon default: yes).
    pub iptables: Option<bool>,
    /// Whether Docker manages ip6tables (default: no up to 26, yes from 27).
    pub ip6tables: Option<bool>,
    /// Whether the daemon is part of a swarm.
    pub swarm: Option<bool>,
    /// `--allow-direct-routing` (28.2 and later).
    pub allow_direct_routing: Option<bool>,
    /// Whether Docker writes its rules in table raw (28 and later; `DOCKER_INSECURE_NO_IPTABLES_RAW=1` leaves them out).
    pub raw_rules: Option<bool>,
    /// The daemon's `ip`: the host address of ports that are published without one; unknown or `0.0.0.0`: all.
    pub default_address: Option<IpAddr>,
    /// `--bridge-accept-fwmark` (29 and later): `MARK[/MASK]`.
    pub bridge_accept_fwmark: Option<String>,
    /// Networks by name.
    pub networks: BTreeMap<String, DockerNetwork>,
    /// Containers by name.
    pub containers: BTreeMap<String, DockerContainer>,
    /// Whether `networks` and `containers` are all there are. A compose file alone never says so.
    pub complete: bool,
}

/// The mark that Docker was told to accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcceptedMark {
    mark: u32,
    mask: u32,
}

impl AcceptedMark {
    /// `MARK[/MASK]`, each decimal or with `0x`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let number = |text: &str| match text.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        };
        let (mark, mask) = text.split_once('/').map_or((text, None), |(mark, mask)| (mark, Some(mask)));
        Some(Self { mark: number(mark)?, mask: mask.map_or(Some(u32::MAX), number)? })
    }

    /// Whether a packet with this mark is accepted.
    #[must_use]
    pub fn covers(self, mark: u32) -> bool {
        mark & self.mask == self.mark
    }
}

/// Who writes a platform's rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Backend {
    /// iptables.
    Iptables,
    /// nftables.
    Nftables,
}

/// A Docker network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct DockerNetwork {
    /// `bridge` (the default), `host`, `macvlan`, `ipvlan`, `overlay`, `none`.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub driver: Option<NetworkDriver>,
    /// The bridge's interface name.
    pub bridge: Option<String>,
    /// Subnets.
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub subnets: Vec<ipnet::IpNet>,
    /// Gateway addresses.
    pub gateways: Vec<IpAddr>,
    /// No way out and none in.
    pub internal: bool,
    /// Has IPv6.
    pub ipv6: Option<bool>,
    /// Whether its containers may talk among themselves (`com.docker.network.bridge.enable_icc`; default yes).
    pub icc: Option<bool>,
    /// `nat`, `nat-unprotected`, `routed`, `isolated`; default `nat`.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub gateway_mode_ipv4: Option<GatewayMode>,
    /// As `gateway_mode_ipv4`.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub gateway_mode_ipv6: Option<GatewayMode>,
    /// Interfaces from which packets routed straight to its containers are let in (28.2 and later,
    /// `com.docker.network.bridge.trusted_host_interfaces`).
    pub trusted_host_interfaces: Vec<String>,
    /// Podman's `isolate`: `true` keeps it apart from networks with `true` or `strict`, `strict` from every other (the default from
    /// netavark 2.0 on).
    pub isolate: Option<Isolation>,
    /// The parent interface of a macvlan or ipvlan.
    pub parent: Option<String>,
    /// The mode of an ipvlan: `l2` (the default; the host's hooks see nothing), `l3`, `l3s`.
    pub ipvlan_mode: Option<String>,
    /// The compose project that it belongs to.
    pub project: Option<String>,
    /// Its name in that project's file, where Docker calls it by another (`backend` for `site_backend`).
    pub compose_name: Option<String>,
    /// Made outside of the compose file that names it (`external`): nothing more is known from there.
    pub external: bool,
    /// Where a declaration or a compose file says it.
    #[serde(skip)]
    pub location: Option<Location>,
}

/// A container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct DockerContainer {
    /// The networks that it is on, by name; `host` for the host's own.
    pub networks: Vec<String>,
    /// Addresses that are fixed by configuration.
    pub addresses: Vec<IpAddr>,
    /// The container in whose network namespace it lives (`network_mode: service:vpn`); it then has no network and no published
    /// port of its own.
    pub network_of: Option<String>,
    /// Docker's name for it, where a policy calls it by another (by its compose service).
    pub container_name: Option<String>,
    /// The compose project that it belongs to.
    pub project: Option<String>,
    /// Its service in that project's file.
    pub service: Option<String>,
    /// What it publishes.
    pub ports: Vec<PublishedPort>,
    /// Where a declaration or a compose file says it.
    #[serde(skip)]
    pub location: Option<Location>,
}

/// One published port or range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PublishedPort {
    /// `tcp`, `udp` or `sctp`.
    #[serde(default = "tcp")]
    pub protocol: String,
    /// The host address that it is bound to; `None`: all. `0.0.0.0` means all of IPv4, `::` all of IPv6.
    #[serde(default)]
    pub address: Option<IpAddr>,
    /// First published port on the host. `None`: Docker picks one at each start.
    #[serde(default)]
    pub port: Option<u16>,
    /// Last published port; `None`: only `port`.
    #[serde(default)]
    pub last_port: Option<u16>,
    /// The container's own first port. A published range goes to as many ports of the container, one to one.
    pub container_port: u16,
    /// Docker picks one port from `port` to `last-port` at each start (`8000-8010:80`); all go to `container-port`.
    #[serde(default)]
    pub one_of_range: bool,
    /// Published by Swarm on every node (`mode: ingress`, said so; without a swarm it means nothing).
    #[serde(default)]
    pub ingress: bool,
    /// Where a declaration or a compose file says it.
    #[serde(skip)]
    pub location: Option<Location>,
}

impl PublishedPort {
    /// The ports on the host: published, or one of which is; `None`: Docker picks one.
    #[must_use]
    pub fn host_ports(&self) -> Option<crate::net::PortRange> {
        let first = self.port?;
        Some(crate::net::PortRange { first, last: self.last_port.unwrap_or(first).max(first) })
    }

    /// The container's own ports.
    #[must_use]
    pub fn container_ports(&self) -> crate::net::PortRange {
        let more = match self.host_ports() {
            Some(range) if !self.one_of_range => range.last - range.first,
            _ => 0,
        };
        let first = self.container_port;
        crate::net::PortRange { first, last: first.saturating_add(more) }
    }

    /// Whether it is bound to addresses of that family, as far as its host address says.
    #[must_use]
    pub fn binds(&self, family: crate::net::Family) -> bool {
        self.address.is_none_or(|address| crate::net::Family::of(address) == family)
    }
}

fn tcp() -> String {
    "tcp".to_owned()
}

/// LXD or Incus.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct InstancesFact {
    /// `nftables` or `iptables` (the xtables driver).
    pub firewall: Option<Backend>,
    /// Bridges by interface name.
    pub bridges: BTreeMap<String, BridgeFact>,
    /// Instances by name.
    pub instances: BTreeMap<String, InstanceFact>,
}

/// A bridge that a platform manages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct BridgeFact {
    /// Subnets.
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub subnets: Vec<ipnet::IpNet>,
}

/// An instance or a virtual machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct InstanceFact {
    /// The bridge that it is on.
    pub bridge: Option<String>,
    /// Fixed addresses.
    pub addresses: Vec<IpAddr>,
    /// Its Ethernet address, `1e:0b:85:27:8d:65`.
    pub mac: Option<String>,
    /// The host's end of its link.
    pub tap: Option<String>,
}

/// libvirt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct LibvirtFact {
    /// `firewall_backend` of network.conf.
    pub firewall_backend: Option<Backend>,
    /// Bridges by interface name.
    pub bridges: BTreeMap<String, BridgeFact>,
    /// Virtual machines by name.
    pub guests: BTreeMap<String, InstanceFact>,
}

/// Podman.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct PodmanFact {
    /// Podman's version: `6.0.2`.
    pub version: Option<String>,
    /// netavark's version, `2.1.0`, which decides what rules there are (`podman info`, `networkBackendInfo`). Podman 6 has netavark
    /// 2, an earlier one netavark 1, unless this says otherwise.
    pub netavark_version: Option<String>,
    /// netavark's firewall driver; `nftables` alone from netavark 2.0 on.
    pub firewall_driver: Option<Backend>,
    /// Networks by name.
    pub networks: BTreeMap<String, DockerNetwork>,
    /// Containers by name.
    pub containers: BTreeMap<String, DockerContainer>,
    /// Whether `networks` and `containers` are all there are.
    pub complete: bool,
}

/// Every kind of diagnostic that reading facts can give.
pub static CODES: &[&Code] = &[
    &json::FACTS_SYNTAX,
    &decode::UNKNOWN_FACT,
    &decode::WRONG_FACT,
    &validate::FACTS_VERSION,
    &validate::NO_FACTS_VERSION,
    &validate::IMPOSSIBLE_FACT,
    &validate::UNLISTED_NETWORK,
    &validate::PUBLISHED_TWICE,
    &validate::DOUBTFUL_FACT,
    &merge::CONTRADICTORY_FACTS,
    &compose::codes::COMPOSE_SYNTAX,
    &compose::codes::COMPOSE_VALUE,
    &compose::codes::COMPOSE_PORT,
    &compose::codes::UNSET_VARIABLE_IN_PORT,
    &compose::codes::UNSET_VARIABLE,
    &compose::codes::NOT_READ,
    &compose::codes::PROFILE,
    &compose::codes::UNKNOWN_COMPOSE_NETWORK,
    &compose::codes::NETWORK_MODE,
    &compose::codes::RANDOM_PORT,
    &compose::projects::SHARED_NAME,
    &compose::codes::COMPOSE_TOO_LARGE,
];

impl Facts {
    /// The version of the schema that this program reads.
    pub const VERSION: u32 = 1;

    /// Where a fact is said, by its path.
    #[must_use]
    pub fn source(&self, path: &str) -> Option<Location> {
        self.sources.get(path).copied()
    }

    /// A container by the name that a policy uses: its key here, Docker's name for it, or its compose service.
    #[must_use]
    pub fn container(&self, name: &str) -> Option<(&str, &DockerContainer)> {
        let docker = self.docker.iter().flat_map(|docker| &docker.containers);
        let podman = self.podman.iter().flat_map(|podman| &podman.containers);
        let all = || docker.clone().chain(podman.clone());
        let called = |container: &DockerContainer| {
            [&container.container_name, &container.service].into_iter().flatten().any(|other| other == name)
        };
        all()
            .find(|(key, _)| *key == name)
            .or_else(|| all().find(|(_, container)| called(container)))
            .map(|(key, container)| (key.as_str(), container))
    }
}

/// The numbers of a version: `28.5.2` and `20.10.24+dfsg1` have three, `29` has zeros behind it.
#[must_use]
pub fn release(version: &str) -> Option<(u32, u32, u32)> {
    let version = version.strip_prefix('v').unwrap_or(version);
    let mut parts = version.splitn(3, '.').map(|part| {
        let digits = part.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(part.len());
        part.get(..digits)?.parse::<u32>().ok()
    });
    let first = parts.next()??;
    let second = parts.next().unwrap_or(Some(0))?;
    let third = parts.next().unwrap_or(Some(0))?;
    Some((first, second, third))
}

/// The beginning of a text of any length, on one line, for a message.
fn brief(text: &str) -> String {
    let shown: String =
        text.chars().take(40).map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect();
    if shown.len() < text.len() && text.chars().count() > 40 { format!("{shown}…") } else { shown }
}
