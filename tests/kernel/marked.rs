//! Marks that choose a route: `ip rule … fwmark` sends what the policy marks out by a second uplink, and nothing else.

use std::net::UdpSocket;

use super::packet::{Packet, Payload};
use super::program::on_each_backend;
use super::translated::{leaves, socket};

const CARDS: &str = "\
ens33 203.0.113.10/24
eth1 192.168.2.1/24
eth2 198.51.100.10/24
docker0 172.17.0.1/16";

/// The interfaces, by their places in the plan.
const WAN: usize = 0;
const LAN: usize = 1;
const UPLINK: usize = 2;
const DOCKER: usize = 3;

const POLICY: &str = "\
use docker
network app on docker0 address 172.17.0.0/16
interface wan = ens33
mark 0x1 from network app to world
mark 0x1 from 192.168.2.7 to world
forward udp 2222 from wan to 192.168.2.7 port 22
mark 0x1 from world on eth2 to { host, container, 192.168.2.8 }
forward udp 2223 to 192.168.2.8 via eth2 port 22
";

/// Source and target of a packet, with ports, the interface where it arrives, and the one by which it leaves.
const CONNECTIONS: [(usize, &str, &str, usize); 14] = [
    (LAN, "192.168.2.7:40000", "192.0.2.1:9", UPLINK),
    (LAN, "192.168.2.8:40000", "192.0.2.1:9", WAN),
    (DOCKER, "172.17.0.2:40000", "192.0.2.1:9", UPLINK),
    (DOCKER, "172.17.0.2:40000", "172.17.0.3:9", DOCKER),
    // Connections from outside, and the answers to them.
    (WAN, "192.0.2.9:40001", "172.17.0.2:9", DOCKER),
    (DOCKER, "172.17.0.2:9", "192.0.2.9:40001", WAN),
    (WAN, "192.0.2.9:40002", "203.0.113.10:2222", LAN),
    (LAN, "192.168.2.7:22", "192.0.2.9:40002", WAN),
    // What comes in by the second uplink is answered there.
    (UPLINK, "192.0.2.9:40003", "172.17.0.2:9", DOCKER),
    (DOCKER, "172.17.0.2:9", "192.0.2.9:40003", UPLINK),
    (UPLINK, "192.0.2.9:40004", "198.51.100.10:2223", LAN),
    (LAN, "192.168.2.8:22", "192.0.2.9:40004", UPLINK),
    (WAN, "192.0.2.9:40005", "172.17.0.2:9", DOCKER),
    (DOCKER, "172.17.0.2:9", "192.0.2.9:40005", WAN),
];

#[test]
fn marks_choose_a_route_for_those_who_open() {
    on_each_backend("marked", POLICY, CARDS, |namespace, backend| {
        let rules = "rule add fwmark 0x1/0xff lookup 100\nroute add default dev eth2 table 100\n";
        namespace.run("ip", &["-batch", "-"], rules).expect("routes");
        for (id, (arrives, source, target, leaves_by)) in (1..).zip(CONNECTIONS) {
            let (from, to) = (socket(source), socket(target));
            let payload = Payload::Udp { source: from.port(), destination: to.port() };
            let packet = Packet { source: from.ip(), destination: to.ip(), payload };
            namespace.taps[arrives].write(&packet.bytes(id, 64), None).expect("an interface that is up takes a packet");
            let left = leaves(namespace).map(|(card, ..)| card);
            assert_eq!(left, Some(leaves_by), "{backend:?}: {packet}");
        }
        // The host itself answers there, too.
        let server = UdpSocket::bind("198.51.100.10:53").expect("a free port");
        let (source, destination) = (socket("192.0.2.9:40006").ip(), socket("198.51.100.10:53").ip());
        let packet = Packet { source, destination, payload: Payload::Udp { source: 40_006, destination: 53 } };
        namespace.taps[UPLINK].write(&packet.bytes(99, 64), None).expect("an interface that is up takes a packet");
        let (_, client) = server.recv_from(&mut [0; 64]).expect("it comes to the host");
        server.send_to(b"answer", client).expect("a route");
        assert_eq!(leaves(namespace).map(|(card, ..)| card), Some(UPLINK), "{backend:?}: the host's answer");
    });
}
