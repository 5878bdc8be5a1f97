//! The host that daemons are tried on: its cards, its neighbours, its containers in every form of publishing; and what a build is told
//! of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;

use serde_json::{Value, json};

use super::daemon::Daemon;

/// A container: its name, its network, and what it publishes in `docker run`'s words.
pub struct Container {
    pub name: &'static str,
    pub network: &'static str,
    pub publishes: &'static [&'static str],
}

const fn container(name: &'static str, network: &'static str, publishes: &'static [&'static str]) -> Container {
    Container { name, network, publishes }
}

/// The containers, in the order in which they start: that is also the order of their addresses.
pub const CONTAINERS: [Container; 13] = [
    container(
        "web",
        "bridge",
        &["8080:80", "127.0.0.1:9000:80", "203.0.113.10:8443:443", "5353:53/udp", "7000-7001:7000-7001", "8000:6666"],
    ),
    container("neighbour", "bridge", &[]),
    container("db", "app", &["5432:5432", "81:443"]),
    container("client", "app", &[]),
    container("dual", "six", &["8086:80"]),
    container("private", "internal", &[]),
    container("onhost", "host", &[]),
    container("single", "bridge", &["203.0.113.10:9443:443"]),
    container("admin", "bridge", &["127.0.0.1:9001:80"]),
    container("range", "app", &["7010-7011:7000-7001"]),
    container("resolver", "app", &["5300:53/udp", "5300:80"]),
    container("mail", "six", &["[2001:db8::10]:9444:443", "5354:53/udp"]),
    container("inner", "internal", &["9500:80"]),
];

/// A network that is made: its name, its bridge, its subnets, and whether it is internal.
pub struct Network {
    pub name: &'static str,
    pub bridge: &'static str,
    pub subnets: &'static [&'static str],
    pub gateways: &'static [&'static str],
    pub internal: bool,
}

/// The networks; the first is Docker's own.
pub const NETWORKS: [Network; 4] = [
    network("bridge", "docker0", &["172.17.0.0/16"], &["172.17.0.1"], false),
    network("app", "br-app", &["172.18.0.0/16"], &["172.18.0.1"], false),
    network("six", "br-six", &["172.19.0.0/16", "fd00:6::/64"], &["172.19.0.1", "fd00:6::1"], false),
    network("internal", "br-int", &["172.20.0.0/16"], &["172.20.0.1"], true),
];

const fn network(
    name: &'static str,
    bridge: &'static str,
    subnets: &'static [&'static str],
    gateways: &'static [&'static str],
    internal: bool,
) -> Network {
    Network { name, bridge, subnets, gateways, internal }
}

impl Network {
    /// The words of `docker network create`.
    pub fn creation(&self) -> String {
        let mut words = format!("network create -d bridge -o com.docker.network.bridge.name={}", self.bridge);
        for subnet in self.subnets {
            write!(words, " --subnet {subnet}").expect("a string takes everything");
        }
        if self.is_dual() {
            words += " --ipv6";
        }
        if self.internal {
            words += " --internal";
        }
        format!("{words} {}", self.name)
    }

    fn is_dual(&self) -> bool {
        self.subnets.len() > 1
    }
}

/// The cards behind which somebody is who is not on this machine, with the host's addresses there.
const CARDS: [(&str, &[&str]); 3] = [
    ("ens33", &["203.0.113.10/24", "2001:db8::10/64"]),
    ("wg0", &["10.9.0.1/24", "fd00:9::1/64"]),
    ("eth1", &["192.168.2.1/24", "fd00:2::1/64"]),
];

/// A machine that is not this one.
pub struct Neighbour {
    /// What its network namespace is called.
    pub name: &'static str,
    /// The host's card that leads there.
    pub card: &'static str,
    /// Its addresses.
    pub addresses: &'static [&'static str],
}

/// `peer` is the world, and the office with its other addresses.
pub const NEIGHBOURS: [Neighbour; 3] = [
    Neighbour {
        name: "peer",
        card: "ens33",
        addresses: &["203.0.113.1/24", "10.1.1.1/32", "2001:db8::1/64", "2001:db8:1::1/128"],
    },
    Neighbour { name: "vpn", card: "wg0", addresses: &["10.9.0.2/24", "fd00:9::2/64"] },
    Neighbour { name: "lan", card: "eth1", addresses: &["192.168.2.5/24", "fd00:2::5/64"] },
];

/// The commands that make the namespaces: the host's is `prefix` itself, a neighbour's has its name behind it.
pub fn links(prefix: &str) -> String {
    let mut script = format!("set -e\nip netns add {prefix}\nip -n {prefix} link set lo up\n");
    for (neighbour, (card, own)) in NEIGHBOURS.iter().zip(CARDS) {
        let namespace = format!("{prefix}-{}", neighbour.name);
        let _ = writeln!(
            script,
            "ip netns add {namespace}; ip -n {namespace} link set lo up
ip link add {card} netns {prefix} type veth peer name eth0 netns {namespace}"
        );
        let mut add = |namespace: &str, card: &str, addresses: &[&str]| {
            for address in addresses {
                let nodad = if address.contains(':') { " nodad" } else { "" };
                let _ = writeln!(script, "ip -n {namespace} addr add {address} dev {card}{nodad}");
            }
            let _ = writeln!(script, "ip -n {namespace} link set {card} up");
        };
        add(prefix, card, own);
        add(&namespace, "eth0", neighbour.addresses);
        if neighbour.card != "ens33" {
            for address in own {
                let address = address.split('/').next().unwrap_or_default();
                let _ = writeln!(script, "ip -n {namespace} route add default via {address}");
            }
        }
    }
    let peer = format!("{prefix}-peer");
    for net in ["172.16.0.0/12", "192.168.2.0/24", "10.9.0.0/24"] {
        let _ = writeln!(script, "ip -n {peer} route add {net} via 203.0.113.10");
    }
    script
        + &format!(
            "ip -n {peer} -6 route add fd00::/8 via 2001:db8::10
ip -n {prefix} route add default via 203.0.113.1
ip -n {prefix} -6 route add default via 2001:db8::1
ip -n {prefix} route add 10.1.1.0/24 via 203.0.113.1
"
        )
}

/// The host's cards, a line each, that of the default route first.
pub fn cards() -> String {
    let mut text = String::new();
    for (card, addresses) in CARDS {
        let _ = writeln!(text, "{card} {}", addresses.join(" "));
    }
    for network in &NETWORKS {
        let length = |subnet: &str| subnet.split('/').nth(1).unwrap_or_default().to_owned();
        let addresses = network.gateways.iter().zip(network.subnets);
        let addresses: Vec<String> =
            addresses.map(|(gateway, subnet)| format!("{gateway}/{}", length(subnet))).collect();
        let _ = writeln!(text, "{} {}", network.bridge, addresses.join(" "));
    }
    text + "lo 127.0.0.1/8 ::1/128\n"
}

/// What is true of a daemon's host, as facts have it, with the containers' addresses where they are told.
pub fn facts(daemon: &Daemon, addresses: &BTreeMap<String, Vec<IpAddr>>) -> Value {
    let setup = &daemon.setup;
    let networks = NETWORKS.iter().map(|network| {
        let value = json!({
            "driver": "bridge", "bridge": network.bridge, "subnets": network.subnets, "gateways": network.gateways,
            "internal": network.internal, "ipv6": network.is_dual(),
        });
        (network.name.to_owned(), value)
    });
    let mut networks: serde_json::Map<String, Value> = networks.collect();
    networks.insert("host".to_owned(), json!({ "driver": "host" }));
    let containers = CONTAINERS.iter().map(|container| {
        let ports: Vec<Value> = container.publishes.iter().map(|words| port(words)).collect();
        let mut value = json!({ "networks": [container.network], "ports": ports });
        if let Some(addresses) = addresses.get(container.name).filter(|addresses| !addresses.is_empty()) {
            value["addresses"] = json!(addresses);
        }
        (container.name.to_owned(), value)
    });
    let containers: serde_json::Map<String, Value> = containers.collect();
    let interfaces = CARDS.iter().map(|(card, addresses)| ((*card).to_owned(), json!({ "addresses": addresses })));
    let interfaces: serde_json::Map<String, Value> = interfaces.collect();
    let bridged = if setup.bridge_netfilter { "1" } else { "0" };
    json!({
        "version": 1,
        "interfaces": interfaces,
        "default-route": "ens33",
        "sysctls": {
            "net.bridge.bridge-nf-call-iptables": bridged, "net.bridge.bridge-nf-call-ip6tables": bridged,
        },
        "docker": {
            "version": daemon.version, "firewall-backend": "iptables", "userland-proxy": setup.userland_proxy,
            "iptables": setup.iptables, "ip6tables": daemon.writes_ipv6(), "swarm": false, "complete": true,
            "networks": networks, "containers": containers,
        },
    })
}

/// What `docker run -p` publishes, as facts have it.
fn port(words: &str) -> Value {
    let (words, protocol) = words.split_once('/').unwrap_or((words, "tcp"));
    let (front, inside) = words.rsplit_once(':').expect("a port of the container");
    let (address, outside) = front.rsplit_once(':').map_or((None, front), |(at, port)| (Some(at), port));
    let number = |text: &str| text.split('-').next().and_then(|port| port.parse::<u16>().ok()).expect("a port");
    let mut value = json!({ "protocol": protocol, "port": number(outside), "container-port": number(inside) });
    if let Some((_, last)) = outside.split_once('-') {
        value["last-port"] = json!(number(last));
    }
    if let Some(address) = address {
        value["address"] = json!(address.trim_matches(['[', ']']));
    }
    value
}

/// The compose file of these containers.
pub fn compose() -> String {
    let mut text = String::from("services:\n");
    for container in &CONTAINERS {
        let _ = writeln!(text, "  {}:\n    image: fwc-test", container.name);
        match container.network {
            mode @ ("bridge" | "host") => {
                let _ = writeln!(text, "    network_mode: {mode}");
            }
            network => {
                let _ = writeln!(text, "    networks: [{network}]");
            }
        }
        if !container.publishes.is_empty() {
            let ports: Vec<String> = container.publishes.iter().map(|port| format!("\"{port}\"")).collect();
            let _ = writeln!(text, "    ports: [{}]", ports.join(", "));
        }
    }
    text += "networks:\n";
    for network in NETWORKS.iter().skip(1) {
        let subnets: Vec<String> = network.subnets.iter().map(|subnet| format!("{{ subnet: \"{subnet}\" }}")).collect();
        let _ = writeln!(
            text,
            "  {}:\n    driver_opts: {{ com.docker.network.bridge.name: {} }}\n    ipam: {{ config: [{}] }}",
            network.name,
            network.bridge,
            subnets.join(", ")
        );
        if network.is_dual() {
            text += "    enable_ipv6: true\n";
        }
        if network.internal {
            text += "    internal: true\n";
        }
    }
    text
}
