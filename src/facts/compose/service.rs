//! Services of a compose file: which networks they are on, and whether they run at all.

use std::collections::BTreeMap;

use super::Reader;
use super::codes::{COMPOSE_VALUE, NETWORK_MODE, NOT_READ, PROFILE, UNKNOWN_COMPOSE_NETWORK};
use crate::diagnostic::Diagnostic;
use crate::facts::document::{Node, Value};
use crate::facts::{DockerContainer, DockerNetwork, NetworkDriver, brief};
use crate::names::closest;
use crate::span::Span;

/// How many services may extend each other in a row.
const EXTENDS: usize = 16;

impl Reader {
    pub(super) fn service(
        &mut self,
        key: &str,
        key_span: Span,
        node: &Node,
        services: &Node,
        names: &BTreeMap<String, String>,
    ) {
        let what = |field: &str| format!("`{field}` of `{}`", brief(key));
        let chain = self.extended(key, node, services);
        let mut container = DockerContainer {
            project: self.project.clone(),
            service: Some(key.to_owned()),
            location: Some(self.location(key_span)),
            ..DockerContainer::default()
        };
        if let Some(name) = node.get("container_name") {
            container.container_name = self.text(name, &what("container_name")).filter(|name| !name.is_empty());
        }
        for part in chain.iter().rev() {
            if let Some(list) = part.get("ports") {
                self.published(list, &mut container.ports, &what("ports"));
            }
        }
        self.run_count(key, &chain, !container.ports.is_empty());
        let mode = chain.iter().find_map(|part| part.get("network_mode"));
        let mode_text = mode.and_then(|mode| self.text(mode, &what("network_mode"))).filter(|mode| !mode.is_empty());
        match (mode, mode_text) {
            (Some(mode), Some(text)) => {
                let mode_span = mode.span;
                self.network_mode(key, mode_span, &text, &chain, services, &mut container);
            }
            _ => self.networks(key, &chain, names, &mut container),
        }
        self.docker.containers.insert(key.to_owned(), container);
    }

    /// The service and those that it extends in the same file, the nearest first.
    fn extended<'a>(&mut self, key: &str, node: &'a Node, services: &'a Node) -> Vec<&'a Node> {
        let mut chain = vec![node];
        let mut names: Vec<String> = vec![key.to_owned()];
        let mut current = node;
        while let Some(extends) = current.get("extends") {
            let what = format!("`extends` of `{}`", brief(key));
            if extends.get("file").is_some() {
                let message = format!("{what} names another file, which is not read: it may publish ports");
                let help =
                    "name that file in a `compose` line of its own, or use the output of `docker compose config`";
                self.fault(&NOT_READ, extends.span, message, help);
                break;
            }
            let name = extends.get("service").unwrap_or(extends);
            let Some(base) = self.text(name, &what) else { break };
            let Some(found) = services.get(&base) else {
                let near = closest(&base, services.entries().iter().map(|entry| &*entry.key));
                let help = near.map(|near| format!("is `{near}` meant?")).unwrap_or_default();
                let message = format!("{what} names `{}`, which is no service here", brief(&base));
                self.fault(&UNKNOWN_COMPOSE_NETWORK, name.span, message, &help);
                break;
            };
            if names.contains(&base) || names.len() >= EXTENDS {
                let message = if names.contains(&base) {
                    format!("the `extends` that begins at `{}` goes round in a circle", brief(key))
                } else {
                    format!("`{}` extends more than {EXTENDS} services in a row", brief(key))
                };
                self.fault(&COMPOSE_VALUE, name.span, message, "take one `extends` away");
                break;
            }
            names.push(base);
            chain.push(found);
            current = found;
        }
        chain
    }

    fn run_count(&mut self, key: &str, chain: &[&Node], publishes: bool) {
        if !publishes {
            return;
        }
        let profiles = chain.iter().find_map(|part| part.get("profiles"));
        if let Some(profiles) = profiles
            && let Value::List(items) = &profiles.value
            && !items.is_empty()
        {
            let message = format!("`{}` runs only with a profile; its ports are read as if it runs", brief(key));
            self.fault(&PROFILE, profiles.span, message, "");
        }
        let replicas = |part: &&Node| {
            part.get("scale").or_else(|| part.get("deploy").and_then(|deploy| deploy.get("replicas"))).cloned()
        };
        if let Some(count) = chain.iter().find_map(replicas)
            && let Some(text) = self.text(&count, &format!("the number of replicas of `{}`", brief(key)))
            && text != "1"
        {
            let message = format!("`{}` has {} replicas; its ports are read as they stand", brief(key), brief(&text));
            self.fault(&PROFILE, count.span, message, "give several replicas a range of host ports, one for each");
        }
    }

    fn networks(
        &mut self,
        key: &str,
        chain: &[&Node],
        names: &BTreeMap<String, String>,
        container: &mut DockerContainer,
    ) {
        let what = |field: &str| format!("`{field}` of `{}`", brief(key));
        for part in chain.iter().rev() {
            let Some(networks) = part.get("networks") else { continue };
            match &networks.value {
                Value::Map(entries) => {
                    for entry in entries.iter().filter(|entry| !entry.key.starts_with("x-")) {
                        self.join(&entry.key, entry.key_span, names, container);
                        for field in ["ipv4_address", "ipv6_address"] {
                            if let Some(address) = entry.value.get(field).cloned() {
                                container.addresses.extend(self.address(&address, &what(field)));
                            }
                        }
                    }
                }
                _ => {
                    for item in self.items(networks, &what("networks")) {
                        if let Some(name) = self.text(item, &what("networks")) {
                            self.join(&name, item.span, names, container);
                        }
                    }
                }
            }
        }
        if container.networks.is_empty() {
            let name = names.get("default").cloned().unwrap_or_else(|| self.default_network.clone());
            self.docker.networks.entry(name.clone()).or_insert_with(|| DockerNetwork {
                driver: Some(NetworkDriver::Bridge),
                project: self.project.clone(),
                compose_name: Some("default".to_owned()),
                ..DockerNetwork::default()
            });
            container.networks.push(name);
        }
    }

    fn join(&mut self, name: &str, span: Span, names: &BTreeMap<String, String>, container: &mut DockerContainer) {
        let known = match names.get(name) {
            Some(known) => known.clone(),
            None if name == "default" => {
                let default = self.default_network.clone();
                self.docker.networks.entry(default.clone()).or_insert_with(|| DockerNetwork {
                    driver: Some(NetworkDriver::Bridge),
                    project: self.project.clone(),
                    compose_name: Some("default".to_owned()),
                    ..DockerNetwork::default()
                });
                default
            }
            None => {
                let near = closest(name, names.keys().map(String::as_str));
                let message = format!("the compose file has no network `{}`", brief(name));
                let mut diagnostic = Diagnostic::new(&UNKNOWN_COMPOSE_NETWORK, self.location(span), message);
                diagnostic = match near {
                    Some(near) => diagnostic.fix(format!("write `{near}`"), self.location(span), near),
                    None => diagnostic.help("list it under `networks` at the top level"),
                };
                self.tell(diagnostic);
                return;
            }
        };
        if !container.networks.contains(&known) {
            container.networks.push(known);
        }
    }

    fn network_mode(
        &mut self,
        key: &str,
        span: Span,
        mode: &str,
        chain: &[&Node],
        services: &Node,
        container: &mut DockerContainer,
    ) {
        if let Some(networks) = chain.iter().find_map(|part| part.entry("networks")) {
            let message = format!("`{}` has both `network_mode` and `networks`; compose refuses that", brief(key));
            self.fault(&COMPOSE_VALUE, networks.key_span, message, "keep one of the two");
        }
        let mut own_ports = true;
        match mode {
            "host" | "none" => {
                own_ports = false;
                container.networks = vec![mode.to_owned()];
            }
            "bridge" | "default" => {
                self.docker.networks.entry("bridge".to_owned()).or_insert_with(|| DockerNetwork {
                    driver: Some(NetworkDriver::Bridge),
                    bridge: Some("docker0".to_owned()),
                    ..DockerNetwork::default()
                });
                container.networks = vec!["bridge".to_owned()];
            }
            _ => match mode.split_once(':') {
                Some((kind @ ("service" | "container"), name)) => {
                    own_ports = false;
                    if kind == "service" && services.entry(name).is_none() {
                        let near = closest(name, services.entries().iter().map(|entry| &*entry.key));
                        let help = near.map(|near| format!("is `{near}` meant?")).unwrap_or_default();
                        let message = format!("the compose file has no service `{}`", brief(name));
                        self.fault(&UNKNOWN_COMPOSE_NETWORK, span, message, &help);
                    }
                    container.network_of = Some(name.to_owned());
                }
                _ => {
                    let message = format!("`{}` is no network mode", brief(mode));
                    let help = "write `host`, `none`, `bridge`, `service:NAME` or `container:NAME`";
                    self.fault(&COMPOSE_VALUE, span, message, help);
                }
            },
        }
        if !own_ports && let Some(port) = container.ports.first() {
            let location = port.location.unwrap_or(self.location(span));
            let message = format!("`{}` publishes nothing: its `network_mode` is `{}`", brief(key), brief(mode));
            let help = match mode {
                "host" => "guard what it listens on with `to host`, or take `network_mode` away",
                "none" => "take `ports` or `network_mode` away",
                _ => "publish the port on the container whose network it uses",
            };
            let diagnostic = Diagnostic::new(&NETWORK_MODE, location, message)
                .related(self.location(span), "its network mode")
                .help(help);
            self.tell(diagnostic);
            container.ports.clear();
        }
    }
}
