//! Whether facts can be true: names that the kernel takes, ports that exist, networks that are listed.

use std::net::IpAddr;

use super::document::{Node, Value};
use super::{
    AcceptedMark, Backend, DockerContainer, DockerFact, DockerNetwork, Facts, GatewayMode, PodmanFact, PublishedPort,
    brief, release,
};
use crate::diagnostic::{Code, Diagnostic, Level};
use crate::names::closest;
use crate::net::{Card, Family, Mac};
use crate::span::{FileId, Location};

/// A schema of the future, or a wrong number.
pub static FACTS_VERSION: Code = Code {
    number: "FW0404",
    name: "facts-version",
    level: Level::Error,
    summary: "a facts file has a schema version that this fwc does not read",
    explanation: "\
`version` is the version of the schema, not of the file or of fwc. This fwc reads version 1. A file of a later version may say
things that change rules and that this fwc would not see.

```json
{ \"version\": 2 }
```

Use the version of fwc that the file was written for, or write the file as this one reads it: `docs/facts.md` lists every field.
",
};

/// No version at all.
pub static NO_FACTS_VERSION: Code = Code {
    number: "FW0405",
    name: "facts-without-version",
    level: Level::Warning,
    summary: "a facts file does not say which schema it follows",
    explanation: "\
A facts file begins with the version of its schema, so that a later fwc knows how to read it. Without one, version 1 is assumed.

```json
{ \"default-route\": \"ens33\" }
```

Write:

```json
{ \"version\": 1, \"default-route\": \"ens33\" }
```
",
};

/// No host can have it.
pub static IMPOSSIBLE_FACT: Code = Code {
    number: "FW0406",
    name: "impossible-fact",
    level: Level::Error,
    summary: "a fact that no host can have",
    explanation: "\
The kernel has limits: an interface name has at most 15 bytes and neither spaces nor slashes, a port is a number from 1 to
65535, a range does not end before it begins, and ports belong to tcp, udp or sctp. Docker has some, too: its nftables backend
exists from version 29 and not beside Swarm. A counted rule begins with `-A CHAIN`.

A fact beyond them is an error, since a rule that is made from it would not load, or never match.

```json
{ \"version\": 1, \"docker\": { \"networks\": { \"app\": {} }, \"containers\": { \"web\": { \"networks\": [\"app\"],
  \"ports\": [{ \"port\": 8010, \"last-port\": 8000, \"container-port\": 80 }] } } } }
```

Write the smaller port first:

```json
{ \"version\": 1, \"docker\": { \"networks\": { \"app\": {} }, \"containers\": { \"web\": { \"networks\": [\"app\"],
  \"ports\": [{ \"port\": 8000, \"last-port\": 8010, \"container-port\": 80 }] } } } }
```
",
};

/// A container on a network that is not there.
pub static UNLISTED_NETWORK: Code = Code {
    number: "FW0407",
    name: "container-on-unlisted-network",
    level: Level::Error,
    summary: "a container is on a network that the facts do not list",
    explanation: "\
The road of a connection to a container depends on its network: its bridge, its subnets, whether it has IPv6 or is internal. A
container on a network that is not among `networks` has an unknown road, mostly because a name is misspelt.

```json
{ \"version\": 1, \"docker\": { \"networks\": { \"app\": {} }, \"containers\": { \"db\": { \"networks\": [\"ap\"] } } } }
```

Write the network's name, or list the network. `host`, `none` and `bridge` are always there.
",
};

/// Two containers want one port.
pub static PUBLISHED_TWICE: Code = Code {
    number: "FW0408",
    name: "port-published-twice",
    level: Level::Warning,
    summary: "two containers publish the same port of the same address",
    explanation: "\
Only one program can have a port of an address. When two containers publish the same one, the second does not start, and which
one it is depends on their order. A rule for one of them would then be a rule for the other.

```yaml
services:
  blog: { ports: [\"80:80\"] }
  shop: { ports: [\"80:8080\"] }
```

Give each a port or a host address of its own. If one of the two is never started on this host, take it out of the facts.
",
};

/// Probably a slip.
pub static DOUBTFUL_FACT: Code = Code {
    number: "FW0410",
    name: "doubtful-fact",
    level: Level::Warning,
    summary: "facts that do not fit each other",
    explanation: "\
Facts that are possible but do not fit: a container's fixed address outside its network's subnets, a gateway outside them, a
default route over an interface that is not listed. Rules are made from each of them as it stands, so that one of the two
matches nothing.

```json
{ \"version\": 1, \"docker\": { \"networks\": { \"app\": { \"subnets\": [\"172.18.0.0/16\"], \"gateways\": [\"172.19.0.1\"] } } } }
```

Correct the one that is wrong.
",
};

/// At most so many of one kind, so that a file that is wrong everywhere can still be read about.
const MOST: usize = 50;

/// Whether the version of the schema is there and known.
pub(super) fn version(facts: &Facts, root: &Node, file: FileId) -> Option<Diagnostic> {
    match facts.version {
        Some(Facts::VERSION) => None,
        Some(other) => {
            let location = facts.source("version").unwrap_or(Location { file, span: root.span });
            let message = format!("facts of version {other}, but this fwc reads version {}", Facts::VERSION);
            let diagnostic = Diagnostic::new(&FACTS_VERSION, location, message);
            Some(
                diagnostic
                    .help(format!("write it in version {}, or use the fwc that it was written for", Facts::VERSION)),
            )
        }
        // A version that could not be read has had its diagnostic.
        None if root.entry("version").is_some() || !matches!(root.value, Value::Map(_)) => None,
        None => {
            let start = root.span.start as usize;
            let location = Location { file, span: crate::span::Span::new(start, start + 1) };
            let separator = if root.entries().is_empty() { "" } else { "," };
            let diagnostic = Diagnostic::new(&NO_FACTS_VERSION, location, "the facts do not say their `version`");
            let line = format!("{{ \"version\": {}{separator}", Facts::VERSION);
            Some(diagnostic.fix(format!("begin with `\"version\": {}`", Facts::VERSION), location, line))
        }
    }
}

/// What is wrong with facts, wherever they came from. `whole` is the place for what has none of its own.
#[must_use]
pub fn validate(facts: &Facts, whole: Location) -> Vec<Diagnostic> {
    let mut check = Check { facts, whole, diagnostics: Vec::new() };
    check.interfaces();
    check.counters();
    if let Some(docker) = &facts.docker {
        check.docker(docker);
        check.networks("docker", &docker.networks);
        check.containers("docker", &docker.networks, &docker.containers, docker.complete);
    }
    if let Some(podman) = &facts.podman {
        check.podman(podman);
        check.networks("podman", &podman.networks);
        check.containers("podman", &podman.networks, &podman.containers, false);
    }
    let instances = facts.instances.iter().flat_map(|fact| &fact.instances).map(|one| ("instances.instances", one));
    let guests = facts.libvirt.iter().flat_map(|fact| &fact.guests).map(|one| ("libvirt.guests", one));
    for (kind, (name, machine)) in instances.chain(guests) {
        let path = format!("{kind}.{name}");
        for (field, card) in [("bridge", &machine.bridge), ("tap", &machine.tap)] {
            check.card(&format!("{path}.{field}"), card.as_deref());
        }
        if let Some(mac) = machine.mac.as_ref().filter(|mac| mac.parse::<Mac>().is_err()) {
            let message = format!("`{}` is not an Ethernet address", brief(mac));
            check.impossible(&format!("{path}.mac"), message, "write six pairs of digits: `1e:0b:85:27:8d:65`");
        }
    }
    let bridges = facts.instances.iter().flat_map(|fact| &fact.bridges).map(|one| ("instances.bridges", one));
    let virtual_bridges = facts.libvirt.iter().flat_map(|fact| &fact.bridges).map(|one| ("libvirt.bridges", one));
    for (kind, (name, _)) in bridges.chain(virtual_bridges) {
        check.card(&format!("{kind}.{name}"), Some(name));
    }
    check.diagnostics
}

struct Check<'a> {
    facts: &'a Facts,
    whole: Location,
    diagnostics: Vec<Diagnostic>,
}

impl Check<'_> {
    /// Where a fact is said, or the nearest thing around it.
    fn place(&self, path: &str) -> Location {
        let mut path = path;
        loop {
            if let Some(location) = self.facts.source(path) {
                return location;
            }
            match path.rsplit_once('.') {
                Some((outer, _)) => path = outer,
                None => return self.whole,
            }
        }
    }

    fn push(&mut self, diagnostic: Diagnostic) {
        let same = self.diagnostics.iter().filter(|known| known.code == diagnostic.code).count();
        if same < MOST {
            self.diagnostics.push(diagnostic);
        }
    }

    fn impossible(&mut self, path: &str, message: String, help: &str) {
        let location = self.place(path);
        self.push(Diagnostic::new(&IMPOSSIBLE_FACT, location, message).help(help));
    }

    fn doubtful(&mut self, path: &str, message: String, help: &str) {
        let location = self.place(path);
        self.push(Diagnostic::new(&DOUBTFUL_FACT, location, message).help(help));
    }

    /// A name that the kernel takes for an interface (dev_valid_name in net/core/dev.c).
    fn card(&mut self, path: &str, name: Option<&str>) {
        let Some(name) = name else { return };
        let fault = if name.len() > Card::MAX {
            format!("has {} bytes, an interface name at most {}", name.len(), Card::MAX)
        } else if name.is_empty() {
            "is no interface name".to_owned()
        } else if name == "." || name == ".." || name.contains(['/', ':']) || name.contains(char::is_whitespace) {
            "is no interface name: no spaces, `/`, `:`".to_owned()
        } else if !Card::exact(name).is_writable() {
            "is a name that iptables or nft cannot compare".to_owned()
        } else {
            return;
        };
        self.impossible(path, format!("`{}` {fault}", brief(name)), "write the name as `ip link` shows it");
    }

    fn interfaces(&mut self) {
        for (name, interface) in &self.facts.interfaces {
            self.card(&format!("interfaces.{name}"), Some(name));
            self.card(&format!("interfaces.{name}.bridge"), interface.bridge.as_deref());
        }
        let Some(route) = &self.facts.default_route else { return };
        self.card("default-route", Some(route));
        if !self.facts.interfaces.is_empty() && !self.facts.interfaces.contains_key(route) {
            let near = closest(route, self.facts.interfaces.keys().map(String::as_str));
            let help = near.map_or_else(
                || "add it to `interfaces`, or correct its name".to_owned(),
                |near| format!("is `{near}` meant?"),
            );
            let message = format!("the default route's `{}` is not among `interfaces`", brief(route));
            self.doubtful("default-route", message, &help);
        }
    }

    fn counters(&mut self) {
        // No more is asked of a rule: what a listing has that is not understood must not stop a build.
        for counter in self.facts.counters.iter().filter(|counter| counter.parts().is_none()) {
            let location = counter.location.unwrap_or_else(|| self.place("counters"));
            let message = format!("`{}` is no rule as iptables-save lists it", brief(&counter.rule));
            let help = "write the line of `iptables-save -c` without its counters: `-A CHAIN …`";
            self.push(Diagnostic::new(&IMPOSSIBLE_FACT, location, message).help(help));
        }
    }

    fn docker(&mut self, docker: &DockerFact) {
        let numbers = docker.version.as_deref().map(release);
        if let (Some(None), Some(version)) = (numbers, &docker.version) {
            let message = format!("`{}` is not a version of Docker", brief(version));
            self.impossible("docker.version", message, "write it as `docker version` shows it: `28.5.2`");
        }
        if let Some(Some((major, minor, ..))) = numbers {
            if (major, minor) < (20, 10) {
                let message = format!("Docker {major}.{minor:02} is older than every version that fwc knows");
                self.doubtful(
                    "docker.version",
                    message,
                    "20.10 and later are known; the policy is built as for any version",
                );
            } else if major > 29 {
                let message = format!("Docker {major} is newer than every version that fwc knows");
                self.doubtful("docker.version", message, "up to 29 are known; its rules are taken for those of 29");
            }
        }
        let nftables = docker.firewall_backend == Some(Backend::Nftables);
        if let (true, Some(Some((major, ..)))) = (nftables, numbers)
            && major < 29
        {
            let message = format!("Docker {major} has no nftables backend: it came with 29");
            self.impossible("docker.firewall-backend", message, "correct the version or the backend");
        }
        // 29.7 takes both, with the feature `swarm-nftables`; 29.0 does not start.
        if let (true, Some(true), Some(Some((29, 0, _)))) = (nftables, docker.swarm, numbers) {
            let message = "Docker 29.0 refuses the nftables backend in a swarm".to_owned();
            self.impossible("docker.firewall-backend", message, "write `iptables`, or `swarm` as false");
        }
        if let Some(mark) = &docker.bridge_accept_fwmark
            && AcceptedMark::parse(mark).is_none()
        {
            let message = format!("`{}` is not a mark", brief(mark));
            self.impossible("docker.bridge-accept-fwmark", message, "write `MARK` or `MARK/MASK`: `0x1/0x3`");
        }
    }

    fn podman(&mut self, podman: &PodmanFact) {
        let versions =
            [("version", "Podman", &podman.version, 6), ("netavark-version", "netavark", &podman.netavark_version, 2)];
        for (field, title, version, nftables_alone) in versions {
            let Some(version) = version else { continue };
            let path = format!("podman.{field}");
            match release(version) {
                None => {
                    let message = format!("`{}` is not a version of {title}", brief(version));
                    self.impossible(&path, message, "write it as `podman info` prints it: `6.0.2`, netavark's `2.1.0`");
                }
                Some((major, ..)) if major >= nftables_alone && podman.firewall_driver == Some(Backend::Iptables) => {
                    let message = format!("{title} {major} has no iptables driver any more");
                    self.impossible("podman.firewall-driver", message, "correct the version or the driver");
                }
                Some(_) => {}
            }
        }
    }

    fn networks(&mut self, platform: &str, networks: &std::collections::BTreeMap<String, DockerNetwork>) {
        for (name, network) in networks {
            let path = format!("{platform}.networks.{name}");
            self.card(&format!("{path}.bridge"), network.bridge.as_deref());
            self.card(&format!("{path}.parent"), network.parent.as_deref());
            for card in &network.trusted_host_interfaces {
                self.card(&format!("{path}.trusted-host-interfaces"), Some(card));
            }
            for (field, family) in [("gateway-mode-ipv4", Family::Ipv4), ("gateway-mode-ipv6", Family::Ipv6)] {
                if let Some(GatewayMode::Other(mode)) = network.gateway_mode(family) {
                    let message = format!("`{}` is no gateway mode", brief(mode));
                    let help = "Docker has `nat`, `nat-unprotected`, `routed` and `isolated`";
                    self.impossible(&format!("{path}.{field}"), message, help);
                }
            }
            for gateway in &network.gateways {
                if outside(*gateway, &network.subnets) {
                    let message = format!("the gateway {gateway} is outside of the subnets of `{}`", brief(name));
                    self.doubtful(&format!("{path}.gateways"), message, "correct the gateway or the subnet");
                }
            }
        }
    }

    fn containers(
        &mut self,
        platform: &str,
        networks: &std::collections::BTreeMap<String, DockerNetwork>,
        containers: &std::collections::BTreeMap<String, DockerContainer>,
        complete: bool,
    ) {
        for (name, container) in containers {
            let path = format!("{platform}.containers.{name}");
            for network in &container.networks {
                let known = networks.contains_key(network)
                    || ["host", "none", "bridge", "podman", "docker_gwbridge", "ingress"].contains(&network.as_str())
                    // Facts that list no network at all do not claim to list this one.
                    || networks.is_empty() && !complete;
                if !known {
                    let location = self.place(&format!("{path}.networks"));
                    let message =
                        format!("`{}` is on the network `{}`, which is not listed", brief(name), brief(network));
                    let near = closest(network, networks.keys().map(String::as_str));
                    let help = near.map_or_else(
                        || format!("add it to `{platform}.networks`"),
                        |near| format!("is `{near}` meant?"),
                    );
                    self.push(Diagnostic::new(&UNLISTED_NETWORK, location, message).help(help));
                }
            }
            let own = container.networks.iter().filter_map(|network| networks.get(network));
            let subnets: Vec<_> = own.flat_map(|network| network.subnets.iter().copied()).collect();
            for address in &container.addresses {
                if outside(*address, &subnets) {
                    let message = format!("{address} of `{}` is outside of its networks' subnets", brief(name));
                    self.doubtful(&format!("{path}.addresses"), message, "correct the address or the subnet");
                }
            }
            for port in &container.ports {
                let location = port.location.unwrap_or_else(|| self.place(&format!("{path}.ports")));
                if let Some((message, help)) = port_fault(port) {
                    self.push(Diagnostic::new(&IMPOSSIBLE_FACT, location, message).help(help));
                }
            }
        }
        self.published_twice(platform, containers);
    }

    fn published_twice(&mut self, platform: &str, containers: &std::collections::BTreeMap<String, DockerContainer>) {
        let mut all: Vec<(&str, &PublishedPort, crate::net::PortRange, &str)> = Vec::new();
        for (name, container) in containers {
            for port in container.ports.iter().filter(|port| !port.one_of_range && port_fault(port).is_none()) {
                if let Some(range) = port.host_ports() {
                    all.push((&port.protocol, port, range, name));
                }
            }
        }
        all.sort_by_key(|(protocol, _, range, name)| (*protocol, range.first, range.last, *name));
        // Enough for any real host; a file made to be slow gets fewer comparisons, not a slow build.
        let mut comparisons = 1_000_000u32;
        let mut found = 0;
        for (at, (protocol, port, range, name)) in all.iter().enumerate() {
            for (other_protocol, other, other_range, other_name) in all.iter().skip(at + 1) {
                comparisons = comparisons.saturating_sub(1);
                if comparisons == 0 || found >= MOST {
                    return;
                }
                if other_protocol != protocol || other_range.first > range.last {
                    break;
                }
                if !same_address(port.address, other.address) {
                    continue;
                }
                found += 1;
                let path = format!("{platform}.containers.{other_name}.ports");
                let place = other.location.unwrap_or_else(|| self.place(&path));
                let path = format!("{platform}.containers.{name}.ports");
                let related = port.location.unwrap_or_else(|| self.place(&path));
                let message = if name == other_name {
                    format!("`{}` publishes {} twice", brief(name), shown(other))
                } else {
                    format!("`{}` and `{}` both publish {}", brief(name), brief(other_name), shown(other))
                };
                let diagnostic = Diagnostic::new(&PUBLISHED_TWICE, place, message)
                    .related(related, format!("{} is published here", shown(port)))
                    .help("give each a port or a host address of its own");
                self.push(diagnostic);
            }
        }
    }
}

/// Whether an address is in none of the subnets of its family, and there are some.
fn outside(address: IpAddr, subnets: &[ipnet::IpNet]) -> bool {
    let family = Family::of(address);
    let mut own = subnets.iter().filter(|subnet| Family::of(subnet.addr()) == family).peekable();
    own.peek().is_some() && !own.any(|subnet| subnet.contains(&address))
}

/// Whether two published addresses cannot both have the same port.
fn same_address(a: Option<IpAddr>, b: Option<IpAddr>) -> bool {
    match (a, b) {
        (None, _) | (_, None) => true,
        (Some(a), Some(b)) => Family::of(a) == Family::of(b) && (a == b || a.is_unspecified() || b.is_unspecified()),
    }
}

fn port_fault(port: &PublishedPort) -> Option<(String, &'static str)> {
    if !["tcp", "udp", "sctp"].contains(&port.protocol.as_str()) {
        return Some((
            format!("`{}` is no protocol with ports", brief(&port.protocol)),
            "write `tcp`, `udp` or `sctp`",
        ));
    }
    if port.port == Some(0) || port.container_port == 0 {
        return Some(("port 0 does not exist".to_owned(), "leave `port` out where Docker picks one at each start"));
    }
    match (port.port, port.last_port) {
        (None, Some(last)) => {
            Some((format!("a range that ends at {last} but has no beginning"), "add `port`, or leave `last-port` out"))
        }
        (Some(first), Some(last)) if last < first => {
            Some((format!("the range {first}-{last} ends before it begins"), "write the smaller port first"))
        }
        (Some(first), Some(last))
            if !port.one_of_range && u32::from(port.container_port) + u32::from(last - first) > 65535 =>
        {
            Some((
                format!("{} ports from {} on go beyond 65535", u32::from(last - first) + 1, port.container_port),
                "make the range shorter",
            ))
        }
        _ => None,
    }
}

/// A published port in few words: `tcp 203.0.113.10:8000-8010`.
pub(super) fn shown(port: &PublishedPort) -> String {
    let address = match port.address {
        Some(IpAddr::V4(address)) => format!("{address}:"),
        Some(IpAddr::V6(address)) => format!("[{address}]:"),
        None => String::new(),
    };
    let ports = match (port.port, port.last_port) {
        (Some(first), Some(last)) if last != first => format!("{first}-{last}"),
        (Some(first), _) => first.to_string(),
        (None, _) => "a port of Docker's choice".to_owned(),
    };
    format!("{} {address}{ports}", port.protocol)
}
