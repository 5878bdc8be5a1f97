//! Two sets of facts about one host. What is declared in source beats what a file says; where they contradict each other,
//! the author is told.

use serde::Serialize;
use std::collections::BTreeMap;

use super::{
    BridgeFact, DockerContainer, DockerFact, DockerNetwork, Facts, InstanceFact, InstancesFact, InterfaceFact,
    LibvirtFact, PodmanFact,
};
use crate::diagnostic::{Code, Diagnostic, Level};
use crate::span::Location;

/// Two sources say different things.
pub static CONTRADICTORY_FACTS: Code = Code {
    number: "FW0409",
    name: "contradictory-facts",
    level: Level::Warning,
    summary: "two sources of facts contradict each other",
    explanation: "\
Facts come from declarations in the policy, from compose files and from `fwc.facts.json`. Where two of them give different
values for the same thing, the nearer one is used: a declaration beats a compose file, a compose file beats the facts file.

One of them is wrong about the host, and rules that rest on it would guard a port or an address that is not there:

```text
# site.fw
fact docker.version = \"28.5.2\"
# fwc.facts.json
{ \"version\": 1, \"docker\": { \"version\": \"26.1.5\" } }
```

Correct the file where the host has changed since, or take the declaration away.
",
};

impl Facts {
    /// Both together. `self` is the nearer source: where both know a thing and differ, its value stays and a diagnostic says so.
    #[must_use]
    pub fn merge(self, other: Self) -> (Self, Vec<Diagnostic>) {
        let mut far = other;
        if self.docker.is_some() || far.docker.is_some() {
            rename(&self, &mut far);
        }
        self.merge_by_name(far)
    }

    /// As [`Facts::merge`], where both call the same thing by the same name.
    #[must_use]
    pub fn merge_by_name(self, far: Self) -> (Self, Vec<Diagnostic>) {
        let mut near = self;
        let mut merge = Merge { near: near.sources.clone(), far: far.sources.clone(), diagnostics: Vec::new() };
        merge.facts(&mut near, far);
        for (path, location) in std::mem::take(&mut merge.far) {
            near.sources.entry(path).or_insert(location);
        }
        (near, merge.diagnostics)
    }
}

/// Gives what a compose file started the names that the compose file has for it, so that the two are one.
fn rename(near: &Facts, far: &mut Facts) {
    let (Some(near), Some(docker)) = (&near.docker, &mut far.docker) else { return };
    let same_project = |a: &Option<String>, b: &Option<String>| a.is_none() || b.is_none() || a == b;
    let mut networks = BTreeMap::new();
    for (name, network) in std::mem::take(&mut docker.networks) {
        // By the name in the compose file, or by both names where the nearer source calls the network as Docker does.
        let same_name = near.networks.contains_key(&name);
        let key = near.networks.iter().filter(|_| !same_name).find_map(|(key, known)| {
            let by_name = network.compose_name.as_ref() == Some(key) && same_project(&known.project, &network.project);
            let both = network.compose_name.is_some() && network.compose_name == known.compose_name;
            let one_project = network.project.is_some() && network.project == known.project;
            (by_name || both && one_project).then(|| key.clone())
        });
        if let Some(key) = &key {
            for container in docker.containers.values_mut() {
                container.networks.iter_mut().filter(|other| **other == name).for_each(|other| other.clone_from(key));
            }
        }
        move_sources(&mut far.sources, "docker.networks", &name, key.as_deref());
        networks.insert(key.unwrap_or(name), network);
    }
    docker.networks = networks;
    let mut containers = BTreeMap::new();
    for (name, mut container) in std::mem::take(&mut docker.containers) {
        let same_name = near.containers.contains_key(&name);
        let key = near.containers.iter().filter(|_| !same_name).find_map(|(key, known)| {
            let named = known.container_name.as_deref() == Some(name.as_str());
            let service = known.service.is_some() && known.service == container.service;
            ((named || service) && same_project(&known.project, &container.project)).then(|| key.clone())
        });
        if let Some(key) = key.as_ref().filter(|key| **key != name) {
            move_sources(&mut far.sources, "docker.containers", &name, Some(key));
            container.container_name.get_or_insert_with(|| name.clone());
        }
        containers.insert(key.unwrap_or(name), container);
    }
    docker.containers = containers;
}

pub(super) fn move_sources(sources: &mut BTreeMap<String, Location>, kind: &str, name: &str, key: Option<&str>) {
    let Some(key) = key.filter(|key| *key != name) else { return };
    let old = format!("{kind}.{name}");
    let moved: Vec<(String, Location)> = sources
        .range(old.clone()..)
        .take_while(|(path, _)| path.starts_with(&old))
        .filter(|(path, _)| path.len() == old.len() || path.get(old.len()..).is_some_and(|rest| rest.starts_with('.')))
        .map(|(path, location)| (path.clone(), *location))
        .collect();
    for (path, location) in moved {
        sources.remove(&path);
        sources.insert(format!("{kind}.{key}{}", path.get(old.len()..).unwrap_or("")), location);
    }
}

struct Merge {
    near: BTreeMap<String, Location>,
    far: BTreeMap<String, Location>,
    diagnostics: Vec<Diagnostic>,
}

impl Merge {
    /// Where a fact is said: the fact itself, or the nearest thing around it whose place is known.
    fn place(sources: &BTreeMap<String, Location>, path: &str) -> Option<Location> {
        let mut path = path;
        loop {
            if let Some(location) = sources.get(path) {
                return Some(*location);
            }
            path = path.rsplit_once('.')?.0;
        }
    }

    fn contradiction(&mut self, path: &str, near: &str, far: &str) {
        let (near_place, far_place) = (Self::place(&self.near, path), Self::place(&self.far, path));
        let location = near_place.or(far_place).unwrap_or_default();
        let message = format!("two values for the fact `{}`", super::brief(path));
        let mut diagnostic =
            Diagnostic::new(&CONTRADICTORY_FACTS, location, message).label(format!("{near} here, which is used"));
        if let Some(place) = far_place.filter(|place| *place != location) {
            diagnostic = diagnostic.related(place, format!("{far} here"));
        }
        self.diagnostics.push(diagnostic.help("take away the one that is not true of the host"));
    }

    fn value<T: PartialEq + Serialize>(&mut self, path: &str, near: &mut Option<T>, far: Option<T>) {
        match (&*near, far) {
            (None, far) => *near = far,
            (Some(a), Some(b)) if *a != b => {
                let (a, b) = (shown(a), shown(&b));
                self.contradiction(path, &a, &b);
            }
            _ => {}
        }
    }

    fn list<T: PartialEq + Serialize>(&mut self, path: &str, near: &mut Vec<T>, far: Vec<T>) {
        if near.is_empty() {
            *near = far;
        } else if !far.is_empty() && !same(near, &far) {
            let (a, b) = (shown(near), shown(&far));
            self.contradiction(path, &a, &b);
        }
    }

    fn map<T>(
        &mut self,
        path: &str,
        near: &mut BTreeMap<String, T>,
        far: BTreeMap<String, T>,
        inner: impl Fn(&mut Self, &str, &mut T, T),
    ) {
        for (name, value) in far {
            match near.get_mut(&name) {
                Some(known) => inner(self, &format!("{path}.{name}"), known, value),
                None => {
                    near.insert(name, value);
                }
            }
        }
    }

    // Each of these names every field, so that a new field that is not merged does not compile.

    fn facts(&mut self, near: &mut Facts, far: Facts) {
        let Facts {
            version,
            interfaces,
            default_route,
            docker,
            instances,
            libvirt,
            podman,
            iptables_variant,
            forward_policy_ipv4,
            forward_policy_ipv6,
            ufw,
            firewalld,
            fail2ban,
            sysctls,
            counters,
            sources: _,
        } = far;
        self.value("version", &mut near.version, version);
        self.map("interfaces", &mut near.interfaces, interfaces, Self::interface);
        self.value("default-route", &mut near.default_route, default_route);
        match (&mut near.docker, docker) {
            (Some(near), Some(far)) => self.docker(near, far),
            (near, far) => *near = near.take().or(far),
        }
        match (&mut near.instances, instances) {
            (Some(near), Some(far)) => self.instances(near, far),
            (near, far) => *near = near.take().or(far),
        }
        match (&mut near.libvirt, libvirt) {
            (Some(near), Some(far)) => self.libvirt(near, far),
            (near, far) => *near = near.take().or(far),
        }
        match (&mut near.podman, podman) {
            (Some(near), Some(far)) => self.podman(near, far),
            (near, far) => *near = near.take().or(far),
        }
        self.value("iptables-variant", &mut near.iptables_variant, iptables_variant);
        self.value("forward-policy-ipv4", &mut near.forward_policy_ipv4, forward_policy_ipv4);
        self.value("forward-policy-ipv6", &mut near.forward_policy_ipv6, forward_policy_ipv6);
        self.value("ufw", &mut near.ufw, ufw);
        self.value("firewalld", &mut near.firewalld, firewalld);
        self.value("fail2ban", &mut near.fail2ban, fail2ban);
        self.map("sysctls", &mut near.sysctls, sysctls, |merge, path, near, far| {
            if *near != far {
                merge.contradiction(path, &shown(near), &shown(&far));
            }
        });
        // A listing is taken at one moment: parts of two do not go together.
        if near.counters.is_empty() {
            near.counters = counters;
        }
    }

    fn interface(&mut self, path: &str, near: &mut InterfaceFact, far: InterfaceFact) {
        let InterfaceFact { addresses, bridge } = far;
        self.list(&format!("{path}.addresses"), &mut near.addresses, addresses);
        self.value(&format!("{path}.bridge"), &mut near.bridge, bridge);
    }

    fn docker(&mut self, near: &mut DockerFact, far: DockerFact) {
        let DockerFact {
            version,
            firewall_backend,
            userland_proxy,
            iptables,
            ip6tables,
            swarm,
            allow_direct_routing,
            raw_rules,
            default_address,
            bridge_accept_fwmark,
            networks,
            containers,
            complete,
        } = far;
        self.value("docker.version", &mut near.version, version);
        self.value("docker.firewall-backend", &mut near.firewall_backend, firewall_backend);
        self.value("docker.userland-proxy", &mut near.userland_proxy, userland_proxy);
        self.value("docker.iptables", &mut near.iptables, iptables);
        self.value("docker.ip6tables", &mut near.ip6tables, ip6tables);
        self.value("docker.swarm", &mut near.swarm, swarm);
        self.value("docker.allow-direct-routing", &mut near.allow_direct_routing, allow_direct_routing);
        self.value("docker.raw-rules", &mut near.raw_rules, raw_rules);
        self.value("docker.default-address", &mut near.default_address, default_address);
        self.value("docker.bridge-accept-fwmark", &mut near.bridge_accept_fwmark, bridge_accept_fwmark);
        self.map("docker.networks", &mut near.networks, networks, Self::network);
        self.map("docker.containers", &mut near.containers, containers, Self::container);
        near.complete |= complete;
    }

    fn network(&mut self, path: &str, near: &mut DockerNetwork, far: DockerNetwork) {
        let DockerNetwork {
            driver,
            bridge,
            subnets,
            gateways,
            internal,
            ipv6,
            icc,
            isolate,
            gateway_mode_ipv4,
            gateway_mode_ipv6,
            parent,
            ipvlan_mode,
            trusted_host_interfaces,
            project,
            compose_name,
            external,
            location,
        } = far;
        self.value(&format!("{path}.driver"), &mut near.driver, driver);
        self.value(&format!("{path}.bridge"), &mut near.bridge, bridge);
        self.list(&format!("{path}.subnets"), &mut near.subnets, subnets);
        self.list(&format!("{path}.gateways"), &mut near.gateways, gateways);
        self.value(&format!("{path}.ipv6"), &mut near.ipv6, ipv6);
        self.value(&format!("{path}.isolate"), &mut near.isolate, isolate);
        self.value(&format!("{path}.icc"), &mut near.icc, icc);
        self.value(&format!("{path}.gateway-mode-ipv4"), &mut near.gateway_mode_ipv4, gateway_mode_ipv4);
        self.value(&format!("{path}.gateway-mode-ipv6"), &mut near.gateway_mode_ipv6, gateway_mode_ipv6);
        self.value(&format!("{path}.parent"), &mut near.parent, parent);
        self.value(&format!("{path}.ipvlan-mode"), &mut near.ipvlan_mode, ipvlan_mode);
        let trusted = format!("{path}.trusted-host-interfaces");
        self.list(&trusted, &mut near.trusted_host_interfaces, trusted_host_interfaces);
        near.internal |= internal;
        near.external &= external;
        near.project = near.project.take().or(project);
        near.compose_name = near.compose_name.take().or(compose_name);
        near.location = near.location.or(location);
    }

    fn container(&mut self, path: &str, near: &mut DockerContainer, far: DockerContainer) {
        let DockerContainer { networks, addresses, network_of, container_name, project, service, ports, location } =
            far;
        self.list(&format!("{path}.networks"), &mut near.networks, networks);
        self.list(&format!("{path}.addresses"), &mut near.addresses, addresses);
        self.value(&format!("{path}.network-of"), &mut near.network_of, network_of);
        near.container_name = near.container_name.take().or(container_name);
        near.project = near.project.take().or(project);
        near.service = near.service.take().or(service);
        self.ports(&format!("{path}.ports"), near, ports);
        near.location = near.location.or(location);
    }

    /// Ports are compared without their places, and a port that Docker picked is the same as the one that it may pick.
    fn ports(&mut self, path: &str, near: &mut DockerContainer, far: Vec<super::PublishedPort>) {
        if near.ports.is_empty() {
            near.ports = far;
            return;
        }
        let bare = |ports: &[super::PublishedPort]| -> Vec<super::PublishedPort> {
            ports.iter().map(|port| super::PublishedPort { location: None, ingress: false, ..port.clone() }).collect()
        };
        let (a, b) = (bare(&near.ports), bare(&far));
        let may_be = |port: &super::PublishedPort, other: &super::PublishedPort| {
            let picked = port.port.is_none() || port.one_of_range;
            port == other || picked && port.protocol == other.protocol && port.container_port == other.container_port
        };
        let covered = |ports: &[super::PublishedPort], others: &[super::PublishedPort]| {
            ports.iter().all(|port| others.iter().any(|other| may_be(port, other) || may_be(other, port)))
        };
        let agree = b.is_empty() || covered(&a, &b) && covered(&b, &a);
        if !agree {
            self.contradiction(path, &shown_ports(&near.ports), &shown_ports(&far));
        }
    }

    fn instances(&mut self, near: &mut InstancesFact, far: InstancesFact) {
        let InstancesFact { firewall, bridges, instances } = far;
        self.value("instances.firewall", &mut near.firewall, firewall);
        self.map("instances.bridges", &mut near.bridges, bridges, Self::bridge);
        self.map("instances.instances", &mut near.instances, instances, Self::instance);
    }

    fn bridge(&mut self, path: &str, near: &mut BridgeFact, far: BridgeFact) {
        let BridgeFact { subnets } = far;
        self.list(&format!("{path}.subnets"), &mut near.subnets, subnets);
    }

    fn instance(&mut self, path: &str, near: &mut InstanceFact, far: InstanceFact) {
        let InstanceFact { bridge, addresses, mac, tap } = far;
        self.value(&format!("{path}.bridge"), &mut near.bridge, bridge);
        self.list(&format!("{path}.addresses"), &mut near.addresses, addresses);
        self.value(&format!("{path}.mac"), &mut near.mac, mac);
        self.value(&format!("{path}.tap"), &mut near.tap, tap);
    }

    fn libvirt(&mut self, near: &mut LibvirtFact, far: LibvirtFact) {
        let LibvirtFact { firewall_backend, bridges, guests } = far;
        self.value("libvirt.firewall-backend", &mut near.firewall_backend, firewall_backend);
        self.map("libvirt.bridges", &mut near.bridges, bridges, Self::bridge);
        self.map("libvirt.guests", &mut near.guests, guests, Self::instance);
    }

    fn podman(&mut self, near: &mut PodmanFact, far: PodmanFact) {
        let PodmanFact { version, netavark_version, firewall_driver, networks, containers, complete } = far;
        self.value("podman.version", &mut near.version, version);
        self.value("podman.netavark-version", &mut near.netavark_version, netavark_version);
        self.value("podman.firewall-driver", &mut near.firewall_driver, firewall_driver);
        self.map("podman.networks", &mut near.networks, networks, |merge, path, near, far| {
            merge.network(path, near, far);
        });
        self.map("podman.containers", &mut near.containers, containers, Self::container);
        near.complete |= complete;
    }
}

/// Whether two lists have the same members; order says nothing in facts.
fn same<T: PartialEq>(a: &[T], b: &[T]) -> bool {
    a.iter().all(|member| b.contains(member)) && b.iter().all(|member| a.contains(member))
}

/// A value for a message.
fn shown(value: &impl Serialize) -> String {
    let written = serde_json::to_string(value).unwrap_or_default();
    format!("`{}`", super::brief(&written.replace('"', "").replace(',', ", ")))
}

fn shown_ports(ports: &[super::PublishedPort]) -> String {
    let ports: Vec<String> = ports.iter().map(super::validate::shown).collect();
    format!("`{}`", super::brief(&ports.join(", ")))
}
