//! Whole connections through emitted rules beside those of platforms, whose FORWARD policies stand: an allowed connection is
//! opened, answered, carried on, and an error about it comes back, in both directions. What is expected is written by hand.

use std::path::Path;

use super::conversation::converse;
use super::emitted::{Backend, build, load};
use super::namespace::{HostPlan, Namespace, inside};
use super::oracle::{Entry, Oracle, Probe};
use super::packet::{Packet, Payload, SYN};
use super::program::load_recorded;

/// A host with its policy, and what is tried on it.
struct Scene {
    name: &'static str,
    policy: &'static str,
    /// Its interfaces: a line each, that of the default route first.
    cards: &'static str,
    /// Rule sets below `tests/data/rulesets`.
    rulesets: &'static [&'static str],
    backends: &'static [Backend],
    /// `INTERFACE SOURCE > DESTINATION PROTOCOL PORT`, and whether it is a whole connection or its first packet is stopped.
    tried: &'static [(&'static str, Expected)],
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

const SCENES: &[Scene] = &[
    Scene {
        name: "instances open connections beside Docker",
        policy: "use docker\nuse lxd\nallow from instance to world\n",
        cards: LXD_CARDS,
        rulesets: &[DOCKER, "lxd-5.0-nft/a-bridge"],
        backends: Backend::ALL,
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
    },
    Scene {
        name: "instances are reached beside Docker",
        policy: "use docker\nuse lxd\nallow { ssh, dns } from world to instance\n",
        cards: LXD_CARDS,
        rulesets: &[DOCKER, "lxd-5.0-nft/a-bridge"],
        backends: Backend::ALL,
        tried: &[
            ("ens33 8.8.8.8 > 10.10.10.7 tcp 22", Whole),
            ("ens33 8.8.8.8 > 10.10.10.7 udp 53", Whole),
            ("ens33 2606:4700::1111 > fd42:10::7 tcp 22", Whole),
            ("eth1 192.168.2.9 > 10.10.10.7 tcp 22", Whole),
            ("ens33 8.8.8.8 > 10.10.10.7 tcp 23", Stopped),
            ("lxdbr0 10.10.10.7 > 8.8.8.8 tcp 80", Stopped),
            ("lxdbr0 fd42:10::7 > 2606:4700::1111 tcp 80", Stopped),
        ],
    },
    Scene {
        name: "by one interface, beside Docker",
        policy: "use docker\nuse lxd\ninterface wan = ens33\nallow ssh to instance via wan\ndeny smtp from instance to world via wan\n",
        cards: LXD_CARDS,
        rulesets: &[DOCKER, "lxd-5.0-nft/a-bridge"],
        backends: Backend::ALL,
        tried: &[
            ("ens33 8.8.8.8 > 10.10.10.7 tcp 22", Whole),
            ("ens33 2606:4700::1111 > fd42:10::7 tcp 22", Whole),
            ("lxdbr0 10.10.10.7 > 8.8.8.8 tcp 25", Stopped),
        ],
    },
    Scene {
        name: "an instance with a block of its own, beside Docker",
        policy: "use docker\nuse lxd\ninstance web on lxdbr0 address { 10.10.10.7, fd42:10::7 } {\n    in allow http from world\n}\n",
        cards: LXD_CARDS,
        rulesets: &[DOCKER, "lxd-5.0-nft/a-bridge"],
        backends: Backend::ALL,
        tried: &[
            ("ens33 8.8.8.8 > 10.10.10.7 tcp 80", Whole),
            ("ens33 2606:4700::1111 > fd42:10::7 tcp 80", Whole),
            ("ens33 8.8.8.8 > 10.10.10.7 tcp 22", Stopped),
            ("ens33 8.8.8.8 > 10.10.10.8 tcp 80", Stopped),
        ],
    },
    Scene {
        name: "guests of libvirt beside Docker",
        policy: "use docker\nuse libvirt\nallow from guest to world\nallow ssh from world to guest\n",
        cards: "ens33 203.0.113.10/24 2001:db8::10/64
            docker0 172.17.0.1/16
            virbr0 192.168.122.1/24",
        rulesets: &[DOCKER, "libvirt-11.3-nftables/a-default"],
        backends: Backend::ALL,
        tried: &[("virbr0 192.168.122.7 > 8.8.8.8 tcp 80", Whole), ("virbr0 192.168.122.7 > 8.8.8.8 udp 53", Whole)],
    },
    Scene {
        name: "guests of libvirt are reached beside Docker",
        policy: "use docker\nuse libvirt\nallow ssh from world to guest\n",
        cards: "ens33 203.0.113.10/24 2001:db8::10/64
            docker0 172.17.0.1/16
            virbr0 192.168.122.1/24",
        rulesets: &[DOCKER, "libvirt-11.3-iptables/a-default"],
        backends: Backend::IPTABLES,
        tried: &[("ens33 8.8.8.8 > 192.168.122.7 tcp 22", Whole), ("ens33 8.8.8.8 > 192.168.122.7 tcp 23", Stopped)],
    },
    Scene {
        name: "a routed network beside Docker",
        policy: "use docker\ninterface lan = eth1\ninterface wan = ens33\nallow from lan to wan\n",
        cards: "ens33 203.0.113.10/24 2001:db8::10/64
            eth1 192.168.2.1/24 fd00:2::1/64
            docker0 172.17.0.1/16",
        rulesets: &[DOCKER],
        backends: Backend::ALL,
        tried: &[
            ("eth1 192.168.2.9 > 8.8.8.8 tcp 80", Whole),
            ("eth1 192.168.2.9 > 8.8.8.8 udp 53", Whole),
            ("eth1 fd00:2::9 > 2606:4700::1111 tcp 80", Whole),
            ("ens33 8.8.8.8 > 192.168.2.9 tcp 80", Stopped),
            ("ens33 2606:4700::1111 > fd00:2::9 tcp 80", Stopped),
        ],
    },
    Scene {
        name: "a forward to an instance beside Docker",
        policy: "use docker\nuse lxd\ninterface wan = ens33\ninstance web on lxdbr0 address 10.10.10.7\nforward tcp 2222 from wan to instance web port 22\n",
        cards: LXD_CARDS,
        rulesets: &[DOCKER, "lxd-5.0-nft/a-bridge"],
        backends: Backend::ALL,
        tried: &[("ens33 8.8.8.8 > 203.0.113.10 tcp 2222", Whole), ("ens33 8.8.8.8 > 10.10.10.7 tcp 22", Stopped)],
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
    faults
}

#[test]
fn an_allowed_connection_is_whole_beside_platforms() {
    let rulesets = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/rulesets");
    let (mut tried, mut wrong) = (0, Vec::new());
    for scene in SCENES {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("site.fw");
        std::fs::write(&path, scene.policy).expect("a file in a temporary directory");
        let plan = HostPlan::parse(scene.cards);
        for &backend in scene.backends {
            let name = format!("{}, {backend:?}", scene.name);
            let files = build(&path, None, backend.target()).unwrap_or_else(|error| panic!("{name}: {error}"));
            let found = inside(&name, &plan, |namespace| {
                for ruleset in scene.rulesets {
                    load_recorded(namespace, &rulesets.join(ruleset), &[], backend);
                }
                load(namespace, &files, backend).unwrap_or_else(|error| panic!("{name}: {error}"));
                faults(scene, namespace)
            });
            let Some(found) = found else { return };
            tried += scene.tried.len();
            wrong.extend(found.into_iter().map(|fault| format!("{name}: {fault}")));
        }
    }
    println!("{tried} connections, {} wrong", wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
