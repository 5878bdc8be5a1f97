//! Marks that choose a route: `ip rule … fwmark` sends what the policy marks out by a second uplink, and nothing else.

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
";

/// Source and target of a packet, with ports, the interface where it arrives, and the one by which it leaves.
const CONNECTIONS: [(usize, &str, &str, usize); 8] = [
    (LAN, "192.168.2.7:40000", "192.0.2.1:9", UPLINK),
    (LAN, "192.168.2.8:40000", "192.0.2.1:9", WAN),
    (DOCKER, "172.17.0.2:40000", "192.0.2.1:9", UPLINK),
    (DOCKER, "172.17.0.2:40000", "172.17.0.3:9", DOCKER),
    // Connections from outside, and the answers to them.
    (WAN, "192.0.2.9:40001", "172.17.0.2:9", DOCKER),
    (DOCKER, "172.17.0.2:9", "192.0.2.9:40001", WAN),
    (WAN, "192.0.2.9:40002", "203.0.113.10:2222", LAN),
    (LAN, "192.168.2.7:22", "192.0.2.9:40002", WAN),
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
    });
}
