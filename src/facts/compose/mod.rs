//! Reads a Docker Compose file as far as it says which ports are open and on which networks: the same facts as if the
//! containers were running. What it does not read and what could change ports is said, never passed over.

mod ports;
pub mod variables;

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::rc::Rc;

use super::document::{Node, Value};
use super::{DockerContainer, DockerFact, DockerNetwork, Facts, PublishedPort, brief, validate, yaml};
use crate::diagnostic::{Code, Diagnostic, Level};
use crate::names::closest;
use crate::span::{FileId, Location, Span};
use variables::Variables;

/// Not a compose file.
pub static COMPOSE_SYNTAX: Code = Code {
    number: "FW0420",
    name: "compose-syntax",
    level: Level::Error,
    summary: "a compose file, or its `.env` file, cannot be read",
    explanation: "\
A compose file is one YAML document, an object with `services` in it. Anchors, aliases and merge keys (`<<`) are read; a name
that stands twice in one object is an error, as it is for `docker compose`, because one of the two would be lost.

```yaml
services:
  web: { ports: [\"80:80\"] }
  web: { ports: [\"443:443\"] }
```

`docker compose config` shows the same fault in its own words.
",
};

/// A value of the wrong type.
pub static COMPOSE_VALUE: Code = Code {
    number: "FW0421",
    name: "compose-value",
    level: Level::Error,
    summary: "a value in a compose file is not what compose expects there",
    explanation: "\
A part of a compose file that says which ports are open, or on which network, has a value that `docker compose` would refuse: a
text where a list is due, an address that is none, a network mode that does not exist.

```yaml
services:
  web:
    ports: \"80:80\"
```

`ports` is a list:

```yaml
services:
  web:
    ports: [\"80:80\"]
```
",
};

/// A port that Docker would refuse.
pub static COMPOSE_PORT: Code = Code {
    number: "FW0422",
    name: "compose-port",
    level: Level::Error,
    summary: "a published port in a compose file cannot be read",
    explanation: "\
A published port has the short form `[[ADDRESS:]HOST-PORTS:]PORTS[/PROTOCOL]` or the long one with `target` and `published`.
A port that Docker would refuse is an error: no rule can be made for a port that is not known.

```yaml
ports:
  - \"127.0.0.1:8080\"        # an address needs both ports
  - \"8000-8010:80-85\"       # ranges of different length
```

Write:

```yaml
ports:
  - \"127.0.0.1:8080:80\"
  - \"8000-8005:80-85\"
```
",
};

/// A port rests on a variable that has no value.
pub static UNSET_VARIABLE_IN_PORT: Code = Code {
    number: "FW0423",
    name: "unset-variable-in-port",
    level: Level::Error,
    summary: "a published port rests on a variable that has no value",
    explanation: "\
`docker compose` takes variables from the shell and from the `.env` file beside the compose file, and leaves an unset one empty.
A build knows only the `.env` file, so that it gives the same rules everywhere. With the variable empty, `${PORT}:80` publishes a
port of Docker's choice, and `${ADDRESS}:80:80` publishes on every address instead of one.

```yaml
ports: [\"${ADDRESS}:8080:80\"]
```

Put the variable into `.env`, or give it a default:

```yaml
ports: [\"${ADDRESS:-127.0.0.1}:8080:80\"]
```
",
};

/// Something else rests on a variable that has no value.
pub static UNSET_VARIABLE: Code = Code {
    number: "FW0424",
    name: "unset-variable",
    level: Level::Warning,
    summary: "a setting in a compose file rests on a variable that has no value",
    explanation: "\
A network, a name or an address in a compose file uses a variable that neither the `.env` file nor a default gives a value. It is
left empty, as `docker compose` does; if the shell on the host sets it, the facts differ from the host.

```yaml
networks: { app: { driver: \"${DRIVER}\" } }
```

Put the variable into `.env`, or give it a default: `${DRIVER:-bridge}`.
",
};

/// A part that is not read.
pub static NOT_READ: Code = Code {
    number: "FW0425",
    name: "compose-part-not-read",
    level: Level::Warning,
    summary: "a compose file has a part that could publish ports and that is not read",
    explanation: "\
`include` and `extends` with `file` bring in other files, which may publish ports. They are not read, and the ports of those files
are not among the facts: an INPUT rule for such a port would be one that Docker's NAT carries the traffic around.

```yaml
include: [monitoring/compose.yml]
```

Name the other file in the policy, too:

```text
compose \"docker-compose.yml\"
compose \"monitoring/compose.yml\"
```

or feed the policy with the output of `docker compose config`, in which everything is resolved.
",
};

/// A service that does not always run.
pub static PROFILE: Code = Code {
    number: "FW0426",
    name: "compose-optional-service",
    level: Level::Note,
    summary: "a service that publishes ports does not always run once",
    explanation: "\
A service with `profiles` runs only if one of them is chosen, one with `replicas: 0` not at all, and one with several replicas
needs a port for each. Its ports are among the facts as they are written, so that rules for it are ready when it runs; while it does not run,
something else on the host may have the port.

```yaml
services:
  debug: { profiles: [dev], ports: [\"9229:9229\"] }
```

Nothing needs to be changed if the service is meant to run on this host.
",
};

/// A network that the file does not have.
pub static UNKNOWN_COMPOSE_NETWORK: Code = Code {
    number: "FW0427",
    name: "unknown-compose-network",
    level: Level::Error,
    summary: "a service is on a network, or in another service's network, that the compose file does not have",
    explanation: "\
Every network that a service names stands under `networks` at the top level (only `default` need not), and `network_mode:
service:NAME` names a service of the file. `docker compose` refuses anything else.

```yaml
services: { web: { networks: [front] } }
networks: { frontend: {} }
```

Write the same name in both places.
",
};

/// Ports or networks beside a network mode that excludes them.
pub static NETWORK_MODE: Code = Code {
    number: "FW0428",
    name: "compose-network-mode",
    level: Level::Warning,
    summary: "ports or networks of a service have no effect beside its `network_mode`",
    explanation: "\
With `network_mode: host` a container has the host's own addresses and ports: nothing is published, the ports it listens on are
the host's, and `to host` rules guard them. With `none` nothing reaches it. With `service:NAME` it lives in another container's
network, which alone can publish ports. Docker discards or refuses `ports` and `networks` beside these.

```yaml
services:
  web: { network_mode: host, ports: [\"8080:80\"] }   # listens on 80, not on 8080
```

Take `ports` away and write `allow tcp 80 to host`, or take `network_mode` away.
",
};

/// Docker picks the port.
pub static RANDOM_PORT: Code = Code {
    number: "FW0429",
    name: "random-host-port",
    level: Level::Note,
    summary: "Docker picks the host port of a container at each start",
    explanation: "\
A port that is published without a host port gets a free one (32768 and up) each time the container starts. No rule can name it,
so that only a rule for all ports of the container, or for its own port (`inside`), covers it.

```yaml
ports: [\"3000\"]
```

Give it a port, if outsiders are to reach it:

```yaml
ports: [\"3000:3000\"]
```

or take it away: containers of one network reach each other without it.
",
};

/// More than is read.
pub static COMPOSE_TOO_LARGE: Code = Code {
    number: "FW0541",
    name: "compose-too-large",
    level: Level::Error,
    summary: "a compose file is larger or deeper than is read",
    explanation: "\
A compose file is read up to 500,000 values, 64 lists and mappings in each other, 100,000 entries copied by merge keys and 100,000
published ports. Files of people stay far below; a file beyond is mostly generated, or made to exhaust the reader.

```yaml
ports: [\"1-65535\", \"1-65535/udp\"]
```

Publish ranges with host ports (`1-65535:1-65535`): they stay ranges.
",
};

/// How many published ports are read.
const PORTS: usize = 100_000;
/// How many services may extend each other in a row.
const EXTENDS: usize = 16;

/// The facts of a compose file, and what is wrong with it. `env` is the text of the `.env` file beside it, if there is one.
/// A network's name here is its name in the file, or its `name` where it has one; the network that compose makes without being
/// asked is `default`, or `PROJECT_default` where the project's name is known.
#[must_use]
pub fn read(text: &str, env: Option<&str>, file: FileId) -> (Facts, Vec<Diagnostic>) {
    let mut reader = Reader {
        file,
        variables: Variables::new(),
        diagnostics: Vec::new(),
        told: HashSet::new(),
        docker: DockerFact::default(),
        ports: 0,
        project: None,
        default_network: "default".to_owned(),
    };
    reader.environment(env);
    let facts = match yaml::parse(text) {
        Ok(Some(root)) => {
            reader.root(&root);
            Facts { docker: Some(reader.docker), ..Facts::default() }
        }
        Ok(None) => {
            let message = "the compose file is empty";
            reader.diagnostics.push(Diagnostic::new(
                &COMPOSE_SYNTAX,
                Location { file, span: Span::default() },
                message,
            ));
            Facts::default()
        }
        Err(fault) => {
            let code = if fault.too_large { &COMPOSE_TOO_LARGE } else { &COMPOSE_SYNTAX };
            let mut diagnostic = Diagnostic::new(code, Location { file, span: fault.span }, fault.message);
            if let Some(help) = fault.help {
                diagnostic = diagnostic.help(help);
            }
            reader.diagnostics.push(diagnostic);
            Facts::default()
        }
    };
    let mut diagnostics = reader.diagnostics;
    let facts = with_sources(facts);
    let whole = Location { file, span: Span::default() };
    diagnostics.extend(validate::validate(&facts, whole));
    (facts, diagnostics)
}

/// Records where networks, containers and ports are said, by path, as for a facts file.
fn with_sources(mut facts: Facts) -> Facts {
    let mut sources = BTreeMap::new();
    if let Some(docker) = &facts.docker {
        for (name, network) in &docker.networks {
            if let Some(location) = network.location {
                sources.insert(format!("docker.networks.{name}"), location);
            }
        }
        for (name, container) in &docker.containers {
            if let Some(location) = container.location {
                sources.insert(format!("docker.containers.{name}"), location);
            }
            if let Some(location) = container.ports.first().and_then(|port| port.location) {
                sources.insert(format!("docker.containers.{name}.ports"), location);
            }
        }
    }
    facts.sources = sources;
    facts
}

struct Reader {
    file: FileId,
    variables: Variables,
    diagnostics: Vec<Diagnostic>,
    /// Faults of scalars that have been told: a scalar that an alias repeats is one fault.
    told: HashSet<(Span, String)>,
    docker: DockerFact,
    ports: usize,
    project: Option<String>,
    default_network: String,
}

impl Reader {
    fn location(&self, span: Span) -> Location {
        Location { file: self.file, span }
    }

    /// Tells a fault once, however many aliases lead to it.
    fn tell(&mut self, diagnostic: Diagnostic) {
        if self.told.insert((diagnostic.primary.location.span, diagnostic.message.clone())) {
            self.diagnostics.push(diagnostic);
        }
    }

    fn fault(&mut self, code: &'static Code, span: Span, message: impl Into<String>, help: &str) {
        let mut diagnostic = Diagnostic::new(code, self.location(span), message);
        if !help.is_empty() {
            diagnostic = diagnostic.help(help);
        }
        self.tell(diagnostic);
    }

    fn environment(&mut self, env: Option<&str>) {
        let Some(env) = env else { return };
        let (variables, faults) = variables::read(env);
        self.variables = variables;
        for (line, fault) in faults {
            let message = format!("line {line} of the `.env` file: {fault}");
            self.fault(&COMPOSE_SYNTAX, Span::default(), message, "write `NAME=value`, one a line");
        }
    }

    /// A scalar with its variables filled in. `None`: it is no scalar, or a fault has been told.
    fn text(&mut self, node: &Node, what: &str) -> Option<String> {
        self.scalar(node, what, &UNSET_VARIABLE)
    }

    fn scalar(&mut self, node: &Node, what: &str, unset: &'static Code) -> Option<String> {
        let written = match &node.value {
            Value::Text(text) => text,
            Value::Null => return None,
            _ => {
                let message = format!("{what} is {}, a text was expected", node.kind());
                self.fault(&COMPOSE_VALUE, node.span, message, "");
                return None;
            }
        };
        let filled = variables::interpolate(written, &self.variables);
        let faulty = !filled.faults.is_empty();
        for fault in filled.faults {
            let code = if unset.level == Level::Error { unset } else { &COMPOSE_VALUE };
            self.fault(code, node.span, format!("{what}: {fault}"), "");
        }
        let missing = !filled.missing.is_empty();
        for name in filled.missing {
            let message = format!("{what} rests on the variable `{}`, which has no value", brief(&name));
            let help = format!("put `{}=…` into the `.env` file, or write a default: `${{{0}:-…}}`", brief(&name));
            self.fault(unset, node.span, message, &help);
        }
        let usable = !faulty && (!missing || unset.level != Level::Error);
        usable.then_some(filled.text)
    }

    fn flag(&mut self, node: &Node, what: &str) -> Option<bool> {
        let text = self.text(node, what)?;
        match text.to_lowercase().as_str() {
            "true" | "yes" | "on" | "y" | "1" => Some(true),
            "false" | "no" | "off" | "n" | "0" => Some(false),
            _ => {
                let message = format!("{what} is `{}`, expected `true` or `false`", brief(&text));
                self.fault(&COMPOSE_VALUE, node.span, message, "");
                None
            }
        }
    }

    fn address(&mut self, node: &Node, what: &str) -> Option<IpAddr> {
        let text = self.text(node, what).filter(|text| !text.is_empty())?;
        let address = text.parse().ok();
        if address.is_none() {
            self.fault(&COMPOSE_VALUE, node.span, format!("{what} is `{}`, expected an IP address", brief(&text)), "");
        }
        address
    }

    /// The items of a list; anything else is a fault.
    fn items<'a>(&mut self, node: &'a Node, what: &str) -> &'a [Rc<Node>] {
        match &node.value {
            Value::List(items) => items,
            Value::Null => &[],
            _ => {
                let message = format!("{what} is {}, expected a list", node.kind());
                self.fault(&COMPOSE_VALUE, node.span, message, "begin each item with `-`, or put them into brackets");
                &[]
            }
        }
    }

    fn expect_map(&mut self, node: &Node, what: &str) -> bool {
        let fits = matches!(node.value, Value::Map(_) | Value::Null);
        if !fits {
            self.fault(&COMPOSE_VALUE, node.span, format!("{what} is {}, expected an object", node.kind()), "");
        }
        fits
    }

    fn root(&mut self, root: &Node) {
        if !matches!(root.value, Value::Map(_)) {
            let message = format!("the file is {}, expected an object with `services`", root.kind());
            self.fault(&COMPOSE_SYNTAX, root.span, message, "");
            return;
        }
        self.project = match root.get("name") {
            Some(node) => self.text(node, "`name`"),
            None => self.variables.get("COMPOSE_PROJECT_NAME").cloned(),
        };
        self.project = self.project.take().filter(|name| !name.is_empty());
        if let Some(project) = &self.project {
            self.default_network = format!("{project}_default");
        }
        if let Some(entry) = root.entry("include") {
            let (span, message) = (entry.key_span, "`include` brings in files that are not read here");
            self.fault(&NOT_READ, span, message, "name each of those files in a `compose` line of its own");
        }
        let mut names = BTreeMap::new();
        if let Some(networks) = root.get("networks")
            && self.expect_map(networks, "`networks`")
        {
            for entry in networks.entries().iter().filter(|entry| !entry.key.starts_with("x-")) {
                if self.expect_map(&entry.value, &format!("the network `{}`", brief(&entry.key))) {
                    let name = self.network(&entry.key, entry.key_span, &entry.value);
                    names.insert(entry.key.to_string(), name);
                }
            }
        }
        let Some(services) = root.get("services") else {
            let (message, help) = ("the compose file has no `services`", "is this a compose file?");
            self.fault(&COMPOSE_SYNTAX, Span::default(), message, help);
            return;
        };
        if !self.expect_map(services, "`services`") {
            return;
        }
        for entry in services.entries().iter().filter(|entry| !entry.key.starts_with("x-")) {
            let what = format!("the service `{}`", brief(&entry.key));
            if self.expect_map(&entry.value, &what) {
                self.service(&entry.key, entry.key_span, &entry.value, services, &names);
            }
        }
    }

    /// Reads a network and gives the name that it has among the facts.
    fn network(&mut self, key: &str, key_span: Span, node: &Node) -> String {
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
            network.driver =
                self.text(driver, &what("driver")).filter(|driver| !driver.is_empty() && driver != "default");
        }
        network.driver = network.driver.take().or_else(|| (!network.external).then(|| "bridge".to_owned()));
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
            "com.docker.network.bridge.gateway_mode_ipv4" => network.gateway_mode_ipv4 = self.text(node, &name),
            "com.docker.network.bridge.gateway_mode_ipv6" => network.gateway_mode_ipv6 = self.text(node, &name),
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

    fn service(&mut self, key: &str, key_span: Span, node: &Node, services: &Node, names: &BTreeMap<String, String>) {
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
                driver: Some("bridge".to_owned()),
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
                    driver: Some("bridge".to_owned()),
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
                    driver: Some("bridge".to_owned()),
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

    fn published(&mut self, node: &Node, into: &mut Vec<PublishedPort>, what: &str) {
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
