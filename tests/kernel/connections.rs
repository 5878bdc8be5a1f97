//! Whole connections through emitted rules beside those of platforms, whose FORWARD policies stand: an allowed connection is
//! opened, answered, carried on, and an error about it comes back, in both directions. What is expected is written by hand.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use super::conversation::converse;
use super::emitted::{Backend, build, load};
use super::namespace::{HostPlan, Namespace, inside};
use super::oracle::{Entry, Oracle, Probe};
use super::packet::{Packet, Payload, SYN};
use super::platforms::RecordedHost;
use super::program::load_recorded;
use crate::fixture;

/// A host with its policy, and what is tried on it.
struct Scene {
    name: &'static str,
    policy: &'static str,
    /// A recorded host, with its facts, interfaces and rules; else they are what follows.
    host: Option<&'static str>,
    /// Facts below `tests/data/hosts`.
    facts: Option<&'static str>,
    /// Its interfaces: a line each, that of the default route first.
    cards: &'static str,
    /// Rule sets below `tests/data/rulesets`.
    rulesets: &'static [&'static str],
    backends: &'static [Backend],
    /// What the host sends to itself by its loopback: `tcp ADDRESS:PORT`, where docker-proxy or another program listens.
    local: &'static [(&'static str, Expected)],
    /// `INTERFACE SOURCE > DESTINATION PROTOCOL PORT`, and whether it is a whole connection or its first packet is stopped.
    tried: &'static [(&'static str, Expected)],
    /// Why it is known to go wrong.
    open: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Whole,
    Stopped,
}
use Expected::{Stopped, Whole};

/// Docker sets FORWARD's policy to DROP in both families.
const DOCKER: &str = "docker-28.5/c-ipv6";
const LXD_CARDS: &str = "ens33 203.0.113.10/24 2001:db8::10/64
    eth1 192.168.2.1/24 fd00:2::1/64
    docker0 172.17.0.1/16
    lxdbr0 10.10.10.1/24 fd42:10::1/64";

const DOCKER_CARDS: &str = "ens33 203.0.113.10/24 2001:db8::10/64
    docker0 172.17.0.1/16
    br-app 172.18.0.1/16";

const LIBVIRT_CARDS: &str = "ens33 203.0.113.10/24 2001:db8::10/64
    docker0 172.17.0.1/16
    virbr0 192.168.122.1/24";

const BESIDE_LXD: &[&str] = &[DOCKER, "lxd-5.0-nft/a-bridge"];

/// What most scenes have.
const PLAIN: Scene = Scene {
    name: "",
    policy: "",
    host: None,
    facts: None,
    cards: DOCKER_CARDS,
    rulesets: &[DOCKER],
    backends: Backend::ALL,
    local: &[],
    tried: &[],
    open: None,
};

const DOCKER_29: &str = "use docker
set office = { 198.51.100.0/24, 2001:db8:1::/48 }
allow { tcp 8080, udp 5353 } from office to container
allow from container to world
";

/// What both firewall backends do alike.
const DOCKER_29_TRIED: &[(&str, Expected)] = &[
    ("ens33 198.51.100.7 > 203.0.113.10 tcp 8080", Whole),
    ("ens33 198.51.100.7 > 203.0.113.10 udp 5353", Whole),
    ("ens33 2001:db8:1::5 > 2001:db8::10 tcp 8080", Whole),
    ("ens33 203.0.113.16 > 203.0.113.10 tcp 8080", Stopped),
    ("ens33 203.0.113.16 > 203.0.113.10 udp 5353", Stopped),
    ("ens33 2001:db8:2::5 > 2001:db8::10 tcp 8080", Stopped),
    ("ens33 198.51.100.7 > 172.17.0.2 tcp 80", Stopped),
    ("docker0 172.17.0.2 > 8.8.8.8 tcp 443", Whole),
    ("docker0 172.17.0.2 > 8.8.8.8 udp 53", Whole),
    // No line says anything of containers among each other: published ports are reached, their own addresses are not.
    ("br-app 172.18.0.3 > 203.0.113.10 tcp 8080", Whole),
    ("br-app 172.18.0.3 > 172.17.0.2 tcp 80", Stopped),
    ("host 172.17.0.1 > 172.17.0.2 tcp 80", Whole),
];

const PODMAN_6: &str = "use podman
set office = { 198.51.100.0/24, 2001:db8:1::/48 }
allow { tcp 8080, tcp 8081, udp 5353 } from office to container
allow from container to world
";

const PODMAN_6_BESIDE_DOCKER: &str = "use docker
use podman
set office = { 198.51.100.0/24, 2001:db8:1::/48 }
allow { tcp 8080, tcp 8081, udp 5353 } from office to container
allow from container to world
";

const SCENES: &[Scene] = &[
    Scene {
        name: "instances open connections beside Docker",
        policy: "use docker\nuse lxd\nallow from instance to world\n",
        cards: LXD_CARDS,
        rulesets: BESIDE_LXD,
        tried: &[
            ("lxdbr0 10.10.10.7 > 8.8.8.8 tcp 80", Whole),
            ("lxdbr0 10.10.10.7 > 8.8.8.8 udp 53", Whole),
            ("lxdbr0 fd42:10::7 > 2606:4700::1111 tcp 443", Whole),
            ("lxdbr0 fd42:10::7 > 2606:4700::1111 udp 53", Whole),
            ("lxdbr0 10.10.10.7 > 192.168.2.9 tcp 80", Whole),
            ("ens33 8.8.8.8 > 10.10.10.7 tcp 80", Stopped),
            ("ens33 8.8.8.8 > 10.10.10.7 udp 53", Stopped),
            ("ens33 2606:4700::1111 > fd42:10::7 tcp 80", Stopped),
        ],
        ..PLAIN
    },
    Scene {
        name: "instances are reached beside Docker",
        policy: "use docker\nuse lxd\nallow { ssh, dns } from world to instance\n",
        cards: LXD_CARDS,
        rulesets: BESIDE_LXD,
        tried: &[
            ("ens33 8.8.8.8 > 10.10.10.7 tcp 22", Whole),
            ("ens33 8.8.8.8 > 10.10.10.7 udp 53", Whole),
            ("ens33 2606:4700::1111 > fd42:10::7 tcp 22", Whole),
            ("eth1 192.168.2.9 > 10.10.10.7 tcp 22", Whole),
            ("ens33 8.8.8.8 > 10.10.10.7 tcp 23", Stopped),
            ("lxdbr0 10.10.10.7 > 8.8.8.8 tcp 80", Stopped),
            ("lxdbr0 fd42:10::7 > 2606:4700::1111 tcp 80", Stopped),
        ],
        ..PLAIN
    },
    Scene {
        name: "by one interface, beside Docker",
        policy: "use docker\nuse lxd\ninterface wan = ens33\nallow ssh to instance via wan\ndeny smtp from instance to world via wan\n",
        cards: LXD_CARDS,
        rulesets: BESIDE_LXD,
        tried: &[
            ("ens33 8.8.8.8 > 10.10.10.7 tcp 22", Whole),
            ("ens33 2606:4700::1111 > fd42:10::7 tcp 22", Whole),
            ("lxdbr0 10.10.10.7 > 8.8.8.8 tcp 25", Stopped),
        ],
        ..PLAIN
    },
    Scene {
        name: "an instance with a block of its own, beside Docker",
        policy: "use docker\nuse lxd\ninstance web on lxdbr0 address { 10.10.10.7, fd42:10::7 } {\n    in allow http from world\n}\n",
        cards: LXD_CARDS,
        rulesets: BESIDE_LXD,
        tried: &[
            ("ens33 8.8.8.8 > 10.10.10.7 tcp 80", Whole),
            ("ens33 2606:4700::1111 > fd42:10::7 tcp 80", Whole),
            ("ens33 8.8.8.8 > 10.10.10.7 tcp 22", Stopped),
            ("ens33 8.8.8.8 > 10.10.10.8 tcp 80", Stopped),
        ],
        ..PLAIN
    },
    Scene {
        name: "guests of libvirt beside Docker",
        policy: "use docker\nuse libvirt\nallow from guest to world\nallow ssh from world to guest\n",
        cards: LIBVIRT_CARDS,
        rulesets: &[DOCKER, "libvirt-11.3-nftables/a-default"],
        tried: &[("virbr0 192.168.122.7 > 8.8.8.8 tcp 80", Whole), ("virbr0 192.168.122.7 > 8.8.8.8 udp 53", Whole)],
        ..PLAIN
    },
    Scene {
        name: "guests of libvirt are reached beside Docker",
        policy: "use docker\nuse libvirt\nallow ssh from world to guest\n",
        cards: LIBVIRT_CARDS,
        rulesets: &[DOCKER, "libvirt-11.3-iptables/a-default"],
        backends: Backend::IPTABLES,
        tried: &[("ens33 8.8.8.8 > 192.168.122.7 tcp 22", Whole), ("ens33 8.8.8.8 > 192.168.122.7 tcp 23", Stopped)],
        ..PLAIN
    },
    Scene {
        name: "a routed network beside Docker",
        policy: "use docker\ninterface lan = eth1\ninterface wan = ens33\nallow from lan to wan\n",
        cards: "ens33 203.0.113.10/24 2001:db8::10/64
            eth1 192.168.2.1/24 fd00:2::1/64
            docker0 172.17.0.1/16",
        tried: &[
            ("eth1 192.168.2.9 > 8.8.8.8 tcp 80", Whole),
            ("eth1 192.168.2.9 > 8.8.8.8 udp 53", Whole),
            ("eth1 fd00:2::9 > 2606:4700::1111 tcp 80", Whole),
            ("ens33 8.8.8.8 > 192.168.2.9 tcp 80", Stopped),
            ("ens33 2606:4700::1111 > fd00:2::9 tcp 80", Stopped),
        ],
        ..PLAIN
    },
    Scene {
        name: "a forward to an instance beside Docker",
        policy: "use docker\nuse lxd\ninterface wan = ens33\ninstance web on lxdbr0 address 10.10.10.7\nforward tcp 2222 from wan to instance web port 22\n",
        cards: LXD_CARDS,
        rulesets: BESIDE_LXD,
        tried: &[("ens33 8.8.8.8 > 203.0.113.10 tcp 2222", Whole), ("ens33 8.8.8.8 > 10.10.10.7 tcp 22", Stopped)],
        ..PLAIN
    },
    Scene {
        name: "a deny from the host closes its paths to a published port",
        policy: "use docker\ndeny { tcp 8080, tcp 9000 } from host to container\n",
        facts: Some("docker-web.facts.json"),
        rulesets: &["docker-28.5/b-web"],
        local: &[
            ("tcp 127.0.0.1:8080", Stopped),
            ("tcp [::1]:8080", Stopped),
            ("tcp [2001:db8::10]:8080", Stopped),
            ("tcp 127.0.0.1:7001", Whole),
            ("tcp [2001:db8::10]:7001", Whole),
            ("tcp 127.0.0.1:5432", Whole),
        ],
        tried: &[
            ("host 203.0.113.10 > 203.0.113.10 tcp 8080", Stopped),
            ("host 203.0.113.10 > 203.0.113.10 tcp 7001", Whole),
            // What docker-proxy opens for its clients.
            ("host 172.17.0.1 > 172.17.0.2 tcp 80", Whole),
            ("ens33 2001:db8::16 > 2001:db8::10 tcp 8080", Whole),
            ("ens33 203.0.113.16 > 203.0.113.10 tcp 8080", Whole),
            ("host 172.17.0.1 > 172.17.0.2 tcp 8080", Stopped),
        ],
        ..PLAIN
    },
    Scene {
        name: "a deny from the host without facts",
        policy: "use docker\ndeny tcp 8080 from host to container\n",
        rulesets: &["docker-28.5/b-web"],
        local: &[("tcp 127.0.0.1:8080", Stopped), ("tcp [::1]:8080", Stopped), ("tcp 127.0.0.1:7001", Whole)],
        tried: &[
            ("host 203.0.113.10 > 203.0.113.10 tcp 8080", Stopped),
            ("host 203.0.113.10 > 203.0.113.10 tcp 7001", Whole),
            ("host 172.17.0.1 > 172.17.0.2 tcp 80", Whole),
        ],
        ..PLAIN
    },
    Scene {
        name: "an allow from the host leaves docker-proxy its connections",
        policy: "use docker\nallow tcp 8443 from host to container api\n",
        facts: Some("docker-web.facts.json"),
        rulesets: &["docker-28.5/b-web"],
        local: &[
            ("tcp 127.0.0.1:8080", Whole),
            ("tcp [::1]:8080", Whole),
            ("tcp [2001:db8::10]:7001", Stopped),
            ("tcp 127.0.0.1:5432", Whole),
        ],
        tried: &[
            ("host 203.0.113.10 > 203.0.113.10 tcp 8443", Whole),
            ("host 203.0.113.10 > 203.0.113.10 tcp 8080", Stopped),
            ("host 172.17.0.1 > 172.17.0.2 tcp 80", Whole),
            ("host 172.18.0.1 > 172.18.0.2 tcp 7001", Whole),
            ("ens33 2001:db8::16 > 2001:db8::10 tcp 8080", Whole),
        ],
        ..PLAIN
    },
    Scene {
        name: "one allowed from outside, denied from the host",
        policy: "use docker\nset office = { 198.51.100.0/24, 2001:db8:1::/48 }\nallow tcp 7001 from office to container\ndeny tcp 7001 from host to container\n",
        facts: Some("docker-web.facts.json"),
        rulesets: &["docker-28.5/b-web"],
        local: &[("tcp 127.0.0.1:7001", Stopped), ("tcp [2001:db8::10]:7001", Stopped)],
        tried: &[
            ("ens33 2001:db8:1::5 > 2001:db8::10 tcp 7001", Whole),
            ("ens33 2001:db8:2::5 > 2001:db8::10 tcp 7001", Stopped),
            ("ens33 198.51.100.7 > 203.0.113.10 tcp 7001", Whole),
            ("host 172.18.0.1 > 172.18.0.2 tcp 7001", Whole),
            ("host 203.0.113.10 > 203.0.113.10 tcp 7001", Stopped),
        ],
        ..PLAIN
    },
    Scene {
        name: "everything from the host is denied",
        policy: "use docker\ndefault deny from host to container\ndefault deny from world to container\n",
        facts: Some("docker-web.facts.json"),
        rulesets: &["docker-28.5/b-web"],
        local: &[("tcp 127.0.0.1:8080", Stopped), ("tcp [::1]:9000", Whole), ("tcp 127.0.0.1:5432", Whole)],
        tried: &[
            ("host 203.0.113.10 > 203.0.113.10 tcp 8080", Stopped),
            // Another container may have docker-proxy open these.
            ("host 172.17.0.1 > 172.17.0.2 tcp 80", Whole),
            ("host 172.17.0.1 > 172.17.0.2 tcp 81", Stopped),
            ("host 172.18.0.1 > 172.18.0.2 tcp 22", Stopped),
        ],
        ..PLAIN
    },
    Scene {
        name: "nobody is left whom docker-proxy serves",
        policy: "use docker\ndefault deny from any to container\n",
        facts: Some("docker-web.facts.json"),
        rulesets: &["docker-28.5/b-web"],
        local: &[("tcp 127.0.0.1:8080", Stopped), ("tcp [::1]:8080", Stopped)],
        tried: &[
            ("host 172.17.0.1 > 172.17.0.2 tcp 80", Stopped),
            ("host 172.18.0.1 > 172.18.0.2 tcp 7001", Stopped),
            ("ens33 2001:db8::16 > 2001:db8::10 tcp 8080", Stopped),
        ],
        ..PLAIN
    },
    Scene {
        name: "a deny to a container closes its own address",
        policy: "use docker\nset office = { 198.51.100.0/24, 2001:db8:1::/48 }\ndeny tcp 7001 from not office to container api\ndeny tcp 8080 from world to container web\n",
        facts: Some("docker-web.facts.json"),
        rulesets: &["docker-20.10/b-web"],
        tried: &[
            ("ens33 203.0.113.16 > 203.0.113.10 tcp 7001", Stopped),
            ("ens33 203.0.113.16 > 172.18.0.2 tcp 7001", Stopped),
            ("ens33 198.51.100.7 > 203.0.113.10 tcp 7001", Whole),
            ("ens33 198.51.100.7 > 172.18.0.2 tcp 7001", Whole),
            ("ens33 203.0.113.16 > 172.18.0.2 tcp 7002", Whole),
            ("ens33 203.0.113.16 > 203.0.113.10 tcp 8080", Stopped),
            ("ens33 203.0.113.16 > 172.17.0.2 tcp 80", Stopped),
        ],
        ..PLAIN
    },
    Scene {
        name: "a deny to a container without a fixed address closes its port on its bridge",
        policy: "use docker\nnetwork app on br-app\ncontainer api on app publish tcp 7001 publish tcp 15432 to 7002\ndeny { tcp 7001, tcp 15432 } from world to container api\n",
        rulesets: &["docker-20.10/b-web"],
        tried: &[
            ("ens33 203.0.113.16 > 203.0.113.10 tcp 7001", Stopped),
            ("ens33 203.0.113.16 > 172.18.0.2 tcp 7001", Stopped),
            ("ens33 203.0.113.16 > 172.18.0.2 tcp 7002", Stopped),
            ("ens33 203.0.113.16 > 172.18.0.2 tcp 7003", Whole),
        ],
        ..PLAIN
    },
    Scene {
        name: "an allow between two containers on one network",
        policy: "use docker\nnetwork app on br-app\ncontainer api on app address 172.18.0.2\ncontainer db on app address 172.18.0.3 publish tcp 5432\nallow postgres from container api to container db\n",
        rulesets: &["docker-28.5/b-web"],
        tried: &[("br-app 172.18.0.2 > 172.18.0.3 tcp 5432", Whole)],
        ..PLAIN
    },
    Scene {
        name: "an allow between two containers of which all others are denied",
        policy: "use docker\nnetwork app on br-app\ncontainer api on app address 172.18.0.2\ncontainer db on app address 172.18.0.3 publish tcp 5432\nallow postgres from container api to container db\ndefault deny from container to container\n",
        rulesets: &["docker-28.5/b-web"],
        tried: &[
            ("br-app 172.18.0.2 > 172.18.0.3 tcp 5432", Whole),
            ("br-app 172.18.0.2 > 172.18.0.3 tcp 80", Stopped),
            ("br-app 172.18.0.3 > 172.18.0.2 tcp 5432", Stopped),
            ("br-app 172.18.0.9 > 172.18.0.3 tcp 5432", Stopped),
        ],
        ..PLAIN
    },
    Scene {
        name: "Docker 29.7 with iptables",
        policy: DOCKER_29,
        host: Some("docker-29.7-iptables-web"),
        tried: DOCKER_29_TRIED,
        ..PLAIN
    },
    Scene {
        name: "Docker 29.7 with nftables",
        policy: DOCKER_29,
        host: Some("docker-29.7-nftables-web"),
        tried: DOCKER_29_TRIED,
        ..PLAIN
    },
    Scene {
        name: "Podman 6 with netavark 2.1",
        policy: PODMAN_6,
        host: Some("podman-6.0-netavark-2.1-web"),
        tried: &[
            ("ens33 198.51.100.7 > 203.0.113.10 tcp 8080", Whole),
            ("ens33 198.51.100.7 > 203.0.113.10 udp 5353", Whole),
            ("ens33 2001:db8:1::5 > 2001:db8::10 tcp 8081", Whole),
            ("ens33 203.0.113.16 > 203.0.113.10 tcp 8080", Stopped),
            ("ens33 203.0.113.16 > 203.0.113.10 udp 5353", Stopped),
            ("ens33 2001:db8:2::5 > 2001:db8::10 tcp 8081", Stopped),
            ("podman0 10.88.0.2 > 8.8.8.8 tcp 443", Whole),
            ("podman0 10.88.0.2 > 8.8.8.8 udp 53", Whole),
            // Isolation is strict, but published ports are reached from every network.
            ("br-app 10.89.5.2 > 203.0.113.10 tcp 8080", Whole),
            ("br-app 10.89.5.2 > 10.88.0.2 tcp 80", Stopped),
            ("host 10.88.0.1 > 10.88.0.2 tcp 80", Whole),
        ],
        ..PLAIN
    },
    Scene {
        name: "Podman 6 with netavark 2.0",
        policy: PODMAN_6,
        host: Some("podman-6.0-netavark-2.0-web"),
        tried: &[
            ("ens33 198.51.100.7 > 203.0.113.10 tcp 8080", Whole),
            ("ens33 198.51.100.7 > 203.0.113.10 udp 5353", Whole),
            ("ens33 203.0.113.16 > 203.0.113.10 tcp 8080", Stopped),
            ("podman0 10.88.0.2 > 8.8.8.8 tcp 443", Whole),
            ("br-app 10.89.5.2 > 203.0.113.10 tcp 8080", Stopped),
            ("br-app 10.89.5.2 > 10.88.0.2 tcp 80", Stopped),
        ],
        ..PLAIN
    },
    Scene {
        name: "Podman 6 where Docker has set FORWARD's policy",
        policy: PODMAN_6_BESIDE_DOCKER,
        host: Some("podman-6.0-netavark-2.1-forward-drop"),
        tried: &[
            ("ens33 198.51.100.7 > 203.0.113.10 tcp 8080", Whole),
            ("ens33 198.51.100.7 > 203.0.113.10 udp 5353", Whole),
            ("ens33 2001:db8:1::5 > 2001:db8::10 tcp 8081", Whole),
            ("ens33 203.0.113.16 > 203.0.113.10 tcp 8080", Stopped),
            ("podman0 10.88.0.2 > 8.8.8.8 tcp 443", Whole),
            ("podman0 10.88.0.2 > 8.8.8.8 udp 53", Whole),
        ],
        open: Some("an allow to Podman's containers ends in RETURN, and Docker's policy of FORWARD drops it"),
        ..PLAIN
    },
];

/// Reads `INTERFACE SOURCE > DESTINATION PROTOCOL PORT`; the host's own packets have `host` for the interface.
fn probe(plan: &HostPlan, text: &str, source_port: u16) -> Probe {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [card, source, ">", destination, protocol, port] = words[..] else { panic!("{text}") };
    let address = |text: &str| text.parse().expect("an address");
    let destination_port = port.parse().expect("a port");
    let payload = match protocol {
        "tcp" => Payload::Tcp { source: source_port, destination: destination_port, flags: SYN },
        "udp" => Payload::Udp { source: source_port, destination: destination_port },
        other => panic!("{text}: what is {other}?"),
    };
    let entry = match plan.cards.iter().position(|known| known.name == card) {
        Some(number) => Entry::Card(number),
        None if card == "host" => Entry::Host,
        None => panic!("{text}: the host has no {card}"),
    };
    let packet = Packet { source: address(source), destination: address(destination), payload };
    Probe { entry, packet, mac: None }
}

/// What is wrong in a scene whose rules are loaded.
fn faults(scene: &Scene, namespace: &mut Namespace) -> Vec<String> {
    let plan = namespace.plan.clone();
    let mut oracle = Oracle::new(namespace);
    let mut faults = Vec::new();
    for (number, &(text, expected)) in scene.tried.iter().enumerate() {
        let source_port = 40_000 + u16::try_from(number).expect("scenes are short");
        let first = probe(&plan, text, source_port);
        let opened = oracle.judge(&[first])[0];
        match expected {
            Stopped if opened.passed() => faults.push(format!("{text}: {opened:?}")),
            Whole if !opened.passed() => faults.push(format!("{text}: its first packet was {opened:?}")),
            Whole => faults.extend(converse(&mut oracle, &first)),
            Stopped => {}
        }
    }
    faults.extend(scene.local.iter().filter_map(|&(text, expected)| local_fault(text, expected)));
    faults
}

/// What is wrong with a connection of the host to itself.
fn local_fault(text: &str, expected: Expected) -> Option<String> {
    let address: SocketAddr = text.strip_prefix("tcp ").and_then(|address| address.parse().ok()).expect(text);
    let _listener = TcpListener::bind(address).unwrap_or_else(|error| panic!("{text}: {error}"));
    let opened = TcpStream::connect_timeout(&address, Duration::from_millis(150));
    match (expected, opened) {
        (Whole, Err(error)) => Some(format!("{text} by the loopback: {error}")),
        (Stopped, Ok(_)) => Some(format!("{text} by the loopback was opened")),
        _ => None,
    }
}

/// Whose interfaces, facts and rules a scene has.
enum Setting<'h> {
    Recorded(&'h RecordedHost),
    Given(&'static Scene),
}

impl Setting<'_> {
    fn plan(&self) -> HostPlan {
        match self {
            Self::Recorded(host) => host.model.plan.clone(),
            Self::Given(scene) => HostPlan::parse(scene.cards),
        }
    }

    fn facts(&self) -> Option<Vec<u8>> {
        match self {
            Self::Recorded(host) => Some(serde_json::to_vec(&host.facts).expect("facts are data")),
            Self::Given(scene) => {
                let path = fixture::root().join("data/hosts").join(scene.facts?);
                Some(std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
            }
        }
    }

    fn load_rules(&self, namespace: &Namespace, backend: Backend) {
        match self {
            Self::Recorded(host) => host.load_rules(namespace, backend),
            Self::Given(scene) => {
                for ruleset in scene.rulesets {
                    load_recorded(namespace, &fixture::root().join("data/rulesets").join(ruleset), &[], backend);
                }
            }
        }
    }

    fn backends(&self) -> &'static [Backend] {
        match self {
            Self::Recorded(host) => host.backends(),
            Self::Given(scene) => scene.backends,
        }
    }
}

#[test]
fn an_allowed_connection_is_whole_beside_platforms() {
    let hosts = RecordedHost::all();
    let (mut tried, mut wrong) = (0, Vec::new());
    for scene in SCENES {
        let recorded = |name| {
            let found = hosts.iter().find(|host| host.name.starts_with(name));
            Setting::Recorded(found.unwrap_or_else(|| panic!("no host is recorded as {name}")))
        };
        let setting = scene.host.map_or(Setting::Given(scene), recorded);
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("site.fw");
        std::fs::write(&path, scene.policy).expect("a file in a temporary directory");
        let facts = setting.facts().map(|bytes| {
            let path = directory.path().join("host.facts.json");
            std::fs::write(&path, bytes).expect("a file in a temporary directory");
            path
        });
        for &backend in setting.backends() {
            let name = format!("{}, {backend:?}", scene.name);
            let files =
                build(&path, facts.as_deref(), backend.target()).unwrap_or_else(|error| panic!("{name}: {error}"));
            let found = inside(&name, &setting.plan(), |namespace| {
                setting.load_rules(namespace, backend);
                load(namespace, &files, backend).unwrap_or_else(|error| panic!("{name}: {error}"));
                faults(scene, namespace)
            });
            let Some(found) = found else { return };
            tried += scene.tried.len() + scene.local.len();
            if let Some(reason) = scene.open {
                println!("{name}: {} are known to be wrong: {reason}", found.len());
                continue;
            }
            wrong.extend(found.into_iter().map(|fault| format!("{name}: {fault}")));
        }
    }
    println!("{tried} connections, {} wrong", wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
