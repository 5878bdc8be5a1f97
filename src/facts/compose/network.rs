//! Networks of a compose file: driver, bridge, subnets, and what the drivers' options say.

use std::rc::Rc;

use super::Reader;
use super::codes::{COMPOSE_VALUE, NOT_READ};
use crate::facts::document::{Node, Value};
use crate::facts::{DockerNetwork, GatewayMode, NetworkDriver, brief};
use crate::span::Span;

impl Reader {
    /// Reads a network and gives the name that it has among the facts.
    pub(super) fn network(&mut self, key: &str, key_span: Span, node: &Node) -> String {
        let what = |field: &str| format!("`{field}` of the network `{}`", brief(key));
        let mut network = DockerNetwork {
            project: self.project.clone(),
            compose_name: Some(key.to_owned()),
            location: Some(self.location(key_span)),
            ..DockerNetwork::default()
        };
        let mut name = node.get("name").and_then(|name| self.text(name, &what("name"))).filter(|name| !name.is_empty());
        if let Some(external) = node.get("external") {
            // The old form names the network in here.
            if let Value::Map(_) = external.value {
                network.external = true;
                name = name.or_else(|| external.get("name").and_then(|name| self.text(name, &what("external.name"))));
            } else {
                network.external = self.flag(external, &what("external")).unwrap_or(false);
            }
            if network.external {
                // It is not this project's, and its name is Docker's own.
                network.project = None;
                network.compose_name = name.is_some().then(|| key.to_owned());
            }
        }
        if let Some(driver) = node.get("driver") {
            let named = self.text(driver, &what("driver")).filter(|name| !name.is_empty() && name != "default");
            network.driver = named.map(NetworkDriver::from);
        }
        network.driver = network.driver.take().or((!network.external).then_some(NetworkDriver::Bridge));
        if let Some(internal) = node.get("internal") {
            network.internal = self.flag(internal, &what("internal")).unwrap_or(false);
        }
        if let Some(ipv6) = node.get("enable_ipv6") {
            network.ipv6 = self.flag(ipv6, &what("enable_ipv6"));
        }
        self.ipam(node, &mut network, &what);
        if let Some(options) = node.get("driver_opts")
            && self.expect_map(options, &what("driver_opts"))
        {
            for option in options.entries() {
                self.driver_option(&option.key, &option.value, &mut network, &what);
            }
        }
        let default = if key == "default" { self.default_network.clone() } else { key.to_owned() };
        if name.as_deref() == Some(key) {
            // Docker calls it by no other name, in whatever project.
            network.compose_name = None;
        }
        let name = name.unwrap_or(default);
        self.docker.networks.insert(name.clone(), network);
        name
    }

    fn ipam(&mut self, node: &Node, network: &mut DockerNetwork, what: &dyn Fn(&str) -> String) {
        let Some(configuration) = node.get("ipam").and_then(|ipam| ipam.get("config")) else { return };
        let configuration = Rc::clone(configuration);
        for item in self.items(&configuration, &what("ipam.config")) {
            if let Some(subnet) = item.get("subnet")
                && let Some(text) = self.text(subnet, &what("subnet")).filter(|text| !text.is_empty())
            {
                match text.parse::<ipnet::IpNet>() {
                    Ok(subnet) => network.subnets.push(subnet.trunc()),
                    Err(_) => {
                        let message = format!("{} is `{}`, expected a subnet", what("subnet"), brief(&text));
                        self.fault(&COMPOSE_VALUE, subnet.span, message, "write it as `172.20.0.0/16`");
                    }
                }
            }
            if let Some(gateway) = item.get("gateway") {
                network.gateways.extend(self.address(gateway, &what("gateway")));
            }
        }
    }

    /// Options of Docker's bridge, macvlan and ipvlan drivers.
    fn driver_option(&mut self, key: &str, node: &Node, network: &mut DockerNetwork, what: &dyn Fn(&str) -> String) {
        let name = what(key.rsplit('.').next().unwrap_or(key));
        match key {
            "com.docker.network.bridge.name" => network.bridge = self.text(node, &name).filter(|text| !text.is_empty()),
            "com.docker.network.bridge.enable_icc" => network.icc = self.flag(node, &name),
            "com.docker.network.bridge.gateway_mode_ipv4" => {
                network.gateway_mode_ipv4 = self.text(node, &name).map(GatewayMode::from);
            }
            "com.docker.network.bridge.gateway_mode_ipv6" => {
                network.gateway_mode_ipv6 = self.text(node, &name).map(GatewayMode::from);
            }
            "com.docker.network.bridge.trusted_host_interfaces" => {
                let cards = self.text(node, &name).unwrap_or_default();
                network.trusted_host_interfaces =
                    cards.split([':', ',']).filter(|card| !card.is_empty()).map(str::to_owned).collect();
            }
            "com.docker.network.bridge.host_binding_ipv4" => {
                let message = format!("{name} is not read: ports count as published everywhere");
                self.fault(&NOT_READ, node.span, message, "write the address into each published port");
            }
            "parent" => network.parent = self.text(node, &name),
            "ipvlan_mode" => network.ipvlan_mode = self.text(node, &name),
            _ => {}
        }
    }
}
