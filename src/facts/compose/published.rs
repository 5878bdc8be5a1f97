//! What a service publishes, in the short form and in the long one.

use super::codes::{COMPOSE_PORT, COMPOSE_TOO_LARGE, RANDOM_PORT, UNSET_VARIABLE_IN_PORT};
use super::{Reader, ports};
use crate::diagnostic::Diagnostic;
use crate::facts::document::{Node, Value};
use crate::facts::{PublishedPort, brief};
use crate::names::closest;

/// How many published ports are read.
const PORTS: usize = 100_000;

impl Reader {
    pub(super) fn published(&mut self, node: &Node, into: &mut Vec<PublishedPort>, what: &str) {
        let inherited = into.len();
        for item in self.items(node, what) {
            let read = match &item.value {
                Value::Map(_) => self.long(item),
                _ => self.scalar(item, "a published port", &UNSET_VARIABLE_IN_PORT).map(|text| ports::short(&text)),
            };
            let new = match read {
                None => continue,
                Some(Ok(new)) => new,
                Some(Err(fault)) => {
                    self.fault(&COMPOSE_PORT, item.span, fault.message, &fault.help);
                    continue;
                }
            };
            self.ports += new.len();
            if self.ports > PORTS {
                self.fault(&COMPOSE_TOO_LARGE, item.span, format!("more than {PORTS} published ports"), "");
                return;
            }
            if let Some(port) = new.iter().find(|port| port.port.is_none()) {
                let message = format!("Docker picks the host port for {} at each start", port.container_port);
                let diagnostic = Diagnostic::new(&RANDOM_PORT, self.location(item.span), message);
                let help =
                    format!("write `HOST-PORT:{0}`, or nothing if only other containers use it", port.container_port);
                self.tell(diagnostic.help(help));
            }
            let location = Some(self.location(item.span));
            for port in new {
                let port = PublishedPort { location, ..port };
                // What a service repeats from one that it extends is published once.
                let same = |known: &PublishedPort| PublishedPort { location, ..known.clone() } == port;
                if port.port.is_none() || !into.iter().take(inherited).any(same) {
                    into.push(port);
                }
            }
        }
    }

    /// The long form: `target`, `published`, `host_ip`, `protocol`, `mode`.
    fn long(&mut self, node: &Node) -> Option<Result<Vec<PublishedPort>, ports::Fault>> {
        const KNOWN: [&str; 7] = ["target", "published", "host_ip", "protocol", "mode", "name", "app_protocol"];
        for entry in node.entries().iter().filter(|entry| !entry.key.starts_with("x-")) {
            if !KNOWN.contains(&&*entry.key) {
                let message = format!("a published port has no `{}`", brief(&entry.key));
                let mut diagnostic = Diagnostic::new(&COMPOSE_PORT, self.location(entry.key_span), message);
                diagnostic = match closest(&entry.key, KNOWN) {
                    Some(near) => diagnostic.fix(format!("write `{near}`"), self.location(entry.key_span), near),
                    None => diagnostic.help("it has `target`, `published`, `host_ip`, `protocol` and `mode`"),
                };
                self.tell(diagnostic);
                return None;
            }
        }
        let mut field = |name: &str| match node.get(name) {
            Some(value) => {
                let what = format!("`{name}` of a published port");
                self.scalar(value, &what, &UNSET_VARIABLE_IN_PORT).map(Some)
            }
            None => Some(None),
        };
        let (target, published, address) = (field("target")?, field("published")?, field("host_ip")?);
        let (protocol, mode) = (field("protocol")?, field("mode")?);
        Some((|| {
            let ingress = match mode.as_deref() {
                None | Some("" | "host") => false,
                Some("ingress") => true,
                Some(other) => {
                    return Err(ports::Fault {
                        message: format!("`{}` is no mode of a published port", brief(other)),
                        help: "write `host` or `ingress`".to_owned(),
                    });
                }
            };
            let protocol = ports::protocol_name(protocol.as_deref().unwrap_or(""))?;
            let address = ports::address_of(address.as_deref().unwrap_or(""))?;
            let ports =
                ports::build(&protocol, address, published.as_deref().unwrap_or(""), target.as_deref().unwrap_or(""))?;
            Ok(ports.into_iter().map(|port| PublishedPort { ingress, ..port }).collect())
        })())
    }
}
