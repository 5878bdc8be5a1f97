//! Facts: what is known about the host that a policy is for. Plain values, the same whether they came from
//! `fwc.facts.json`, from declarations in source or from a compose file. Every field may be unknown (`None`, empty).

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::span::Location;

/// Everything that is known. The JSON form is `fwc.facts.json`, described in `docs/facts.md`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Kernel settings that matter, by sysctl name (`net.ipv4.ip_forward`).
    pub sysctls: BTreeMap<String, String>,
}

/// The policy of a built-in chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardPolicy {
    /// ACCEPT.
    Accept,
    /// DROP.
    Drop,
}

/// An interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct InterfaceFact {
    /// Its addresses with prefix lengths.
    pub addresses: Vec<ipnet::IpNet>,
    /// The bridge that it is a port of.
    pub bridge: Option<String>,
}

/// iptables-nft or iptables-legacy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IptablesVariant {
    /// `iptables` prints `(nf_tables)`.
    NfTables,
    /// `iptables` prints `(legacy)`.
    Legacy,
}

/// Docker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// `--bridge-accept-fwmark` (29, nftables backend): `MARK[/MASK]`.
    pub bridge_accept_fwmark: Option<String>,
    /// Networks by name.
    pub networks: BTreeMap<String, DockerNetwork>,
    /// Containers by name.
    pub containers: BTreeMap<String, DockerContainer>,
    /// Whether `networks` and `containers` are all there are. A compose file alone never says so.
    pub complete: bool,
}

/// Who writes a platform's rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backend {
    /// iptables.
    Iptables,
    /// nftables.
    Nftables,
}

/// A Docker network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct DockerNetwork {
    /// `bridge` (the default), `host`, `macvlan`, `ipvlan`, `overlay`, `none`.
    pub driver: Option<String>,
    /// The bridge's interface name.
    pub bridge: Option<String>,
    /// Subnets.
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
    pub gateway_mode_ipv4: Option<String>,
    /// As `gateway_mode_ipv4`.
    pub gateway_mode_ipv6: Option<String>,
    /// Interfaces from which packets routed straight to its containers are let in (28.2 and later,
    /// `com.docker.network.bridge.trusted_host_interfaces`).
    pub trusted_host_interfaces: Vec<String>,
    /// Podman's `isolate`: kept apart from other networks that ask for it too.
    pub isolate: Option<bool>,
    /// The parent interface of a macvlan or ipvlan.
    pub parent: Option<String>,
    /// Where a declaration or a compose file says it.
    #[serde(skip)]
    pub location: Option<Location>,
}

/// A container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct DockerContainer {
    /// The networks that it is on, by name; `host` for the host's own.
    pub networks: Vec<String>,
    /// Addresses that are fixed by configuration.
    pub addresses: Vec<IpAddr>,
    /// What it publishes.
    pub ports: Vec<PublishedPort>,
    /// Where a declaration or a compose file says it.
    #[serde(skip)]
    pub location: Option<Location>,
}

/// One published port or range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PublishedPort {
    /// `tcp`, `udp` or `sctp`.
    #[serde(default = "tcp")]
    pub protocol: String,
    /// The host address that it is bound to; `None`: all.
    #[serde(default)]
    pub address: Option<IpAddr>,
    /// First published port on the host. `None`: Docker picks one at each start.
    #[serde(default)]
    pub port: Option<u16>,
    /// Last published port; `None`: only `port`.
    #[serde(default)]
    pub last_port: Option<u16>,
    /// The container's own first port.
    pub container_port: u16,
    /// Published by Swarm on every node (`mode: ingress`).
    #[serde(default)]
    pub ingress: bool,
    /// Where a declaration or a compose file says it.
    #[serde(skip)]
    pub location: Option<Location>,
}

fn tcp() -> String {
    "tcp".to_owned()
}

/// LXD or Incus.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct BridgeFact {
    /// Subnets.
    pub subnets: Vec<ipnet::IpNet>,
}

/// An instance or a virtual machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct PodmanFact {
    /// netavark's firewall driver.
    pub firewall_driver: Option<Backend>,
    /// Networks by name.
    pub networks: BTreeMap<String, DockerNetwork>,
    /// Containers by name.
    pub containers: BTreeMap<String, DockerContainer>,
    /// Whether `networks` and `containers` are all there are.
    pub complete: bool,
}
