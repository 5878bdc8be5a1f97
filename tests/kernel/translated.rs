//! Address translation by the kernel: what leaves, by which interface, from which address and to which; and what gets to the host itself.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use super::namespace::Namespace;
use super::packet::{Header, Packet, Payload};
use super::program::on_each_backend;

const CARDS: &str = "\
ens33 203.0.113.10/24 2001:db8::10/64
eth1 192.168.2.1/24 fd00:2::1/64
eth2 192.168.3.1/24 fd00:3::1/64
docker0 172.17.0.1/16";

const POLICY: &str = "\
use docker
interface wan = ens33
interface lan = eth1
interface iot = eth2
masquerade from lan to not 198.51.100.0/24 on wan
masquerade from iot to wan as 203.0.113.11
masquerade from host to world as 203.0.113.12
masquerade ipv6 from fd00:3::/64 to wan
redirect udp 80 from host to port 3128
forward udp 2222 from host to 192.168.2.5 port 22
";

/// The interfaces, by their places in the plan.
const WAN: usize = 0;
const LAN: usize = 1;
const IOT: usize = 2;
const DOCKER: usize = 3;

/// A packet as it leaves: interface, source, destination and its port.
pub(super) type Left = (usize, IpAddr, SocketAddr);

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

pub(super) fn socket(text: &str) -> SocketAddr {
    text.parse().expect("an address and a port")
}

/// The next packet of UDP that leaves by any interface.
pub(super) fn leaves(namespace: &mut Namespace) -> Option<Left> {
    let mut buffer = [0; 2048];
    let mut left = None;
    for card in [WAN, LAN, IOT, DOCKER] {
        while let Some(bytes) = namespace.taps[card].read(&mut buffer) {
            let Some(header) = Header::read(bytes).filter(|header| header.protocol == 17) else { continue };
            let port = bytes.get(header.payload + 2..header.payload + 4).expect("a port");
            let to = SocketAddr::new(header.destination, u16::from_be_bytes([port[0], port[1]]));
            assert_eq!(left.replace((card, header.source, to)), None, "it leaves once");
        }
    }
    left
}

/// What is sent through the host: where it arrives, its source and target, where it leaves and from which address.
const ROUTED: [(usize, &str, &str, usize, &str); 8] = [
    (LAN, "192.168.2.5", "192.0.2.1:9", WAN, "203.0.113.10"),
    // Not translated: the target is taken out, not its interface.
    (LAN, "192.168.2.5", "198.51.100.7:9", WAN, "192.168.2.5"),
    // IPv6 where nobody says so.
    (LAN, "fd00:2::5", "[2001:db8:9::1]:9", WAN, "fd00:2::5"),
    (IOT, "fd00:3::5", "[2001:db8:9::1]:9", WAN, "2001:db8::10"),
    (IOT, "192.168.3.5", "192.0.2.1:9", WAN, "203.0.113.11"),
    // The host's own address is for its own connections.
    (LAN, "192.168.2.5", "172.17.0.2:9", DOCKER, "192.168.2.5"),
    (DOCKER, "172.17.0.2", "192.0.2.1:9", WAN, "172.17.0.2"),
    (DOCKER, "172.17.0.2", "192.168.2.5:9", LAN, "172.17.0.2"),
];

/// As [`Left`], in words.
type Written = (usize, &'static str, &'static str);

/// What the host sends out: from where it would, to where; where it leaves, from which address and to which.
const SENT: [(&str, &str, Written); 3] = [
    ("0.0.0.0:0", "192.0.2.1:9", (WAN, "203.0.113.12", "192.0.2.1:9")),
    ("0.0.0.0:0", "172.17.0.2:9", (DOCKER, "172.17.0.1", "172.17.0.2:9")),
    // The `forward`, and then the `masquerade` of what leaves to the world.
    ("203.0.113.10:0", "203.0.113.10:2222", (LAN, "203.0.113.12", "192.168.2.5:22")),
];

/// What the host sends to itself: from where, to where, and where it is taken in.
const KEPT: [(&str, &str, &str); 3] = [
    ("203.0.113.10:0", "203.0.113.10:80", "127.0.0.1:3128"),
    ("127.0.0.1:0", "127.0.0.1:2222", "127.0.0.1:2222"),
    ("203.0.113.10:0", "203.0.113.10:81", "203.0.113.10:81"),
];

#[test]
fn each_translation_is_for_those_that_it_names() {
    on_each_backend("translated", POLICY, CARDS, |namespace, backend| {
        for (id, (arrives, source, target, card, from)) in (1..).zip(ROUTED) {
            let to = socket(target);
            let payload = Payload::Udp { source: 40_000, destination: to.port() };
            let packet = Packet { source: address(source), destination: to.ip(), payload };
            namespace.taps[arrives].write(&packet.bytes(id, 64), None).expect("an interface that is up takes a packet");
            assert_eq!(leaves(namespace), Some((card, address(from), to)), "{backend:?}: {packet}");
        }
        for (from, to, (card, source, target)) in SENT {
            let sender = UdpSocket::bind(socket(from)).expect("an address of the host");
            sender.send_to(b"hello", socket(to)).expect("a route");
            let left = Some((card, address(source), socket(target)));
            assert_eq!(leaves(namespace), left, "{backend:?}: from {from} to {to}");
        }
        for (from, to, taken) in KEPT {
            let sender = UdpSocket::bind(socket(from)).expect("an address of the host");
            let server = UdpSocket::bind(socket(taken)).expect("a free port");
            server.set_read_timeout(Some(Duration::from_secs(1))).expect("a time");
            sender.send_to(b"hello", socket(to)).expect("a route");
            let (_, client) = server.recv_from(&mut [0; 16]).unwrap_or_else(|error| {
                panic!("{backend:?}: from {from} to {to}: nothing came to {taken}: {error}");
            });
            assert_eq!(client.ip(), socket(from).ip(), "{backend:?}: from {from} to {to}");
        }
    });
}

/// What is sent to everyone on a link comes to this host: rules about that address are for it, too.
#[test]
fn broadcasts_come_to_the_host() {
    let policy = "allow udp 5353 from 192.168.2.0/24 to 255.255.255.255\n";
    on_each_backend("broadcast", policy, CARDS, |namespace, backend| {
        let server = UdpSocket::bind("0.0.0.0:5353").expect("a free port");
        server.set_read_timeout(Some(Duration::from_millis(200))).expect("a time");
        for (id, (source, comes)) in (1..).zip([("192.168.2.5", true), ("192.168.7.5", false)]) {
            let payload = Payload::Udp { source: 40_000, destination: 5353 };
            let packet = Packet { source: address(source), destination: address("255.255.255.255"), payload };
            namespace.taps[LAN].write(&packet.bytes(id, 64), None).expect("an interface that is up takes a packet");
            assert_eq!(server.recv_from(&mut [0; 64]).is_ok(), comes, "{backend:?}: {packet}");
        }
    });
}

/// A reset for TCP, the ICMP error for the rest, by one statement that names no service.
#[test]
fn a_reject_without_a_service_answers_each_protocol() {
    let policy = "default reject with tcp-reset to host\n";
    on_each_backend("reset", policy, CARDS, |namespace, backend| {
        let mut answer = |id, payload| {
            let (source, destination) = (address("192.168.2.5"), address("192.168.2.1"));
            let packet = Packet { source, destination, payload };
            namespace.taps[LAN].write(&packet.bytes(id, 64), None).expect("an interface that is up takes a packet");
            let mut buffer = [0; 2048];
            let bytes = namespace.taps[LAN].read(&mut buffer).unwrap_or_default();
            let header = Header::read(bytes).unwrap_or_else(|| panic!("{backend:?}: {packet}: no answer"));
            (header.protocol, bytes.get(header.payload..).unwrap_or_default().to_vec())
        };
        let (protocol, tcp) = answer(1, Payload::Tcp { source: 40_000, destination: 22, flags: super::packet::SYN });
        assert_eq!((protocol, tcp.get(13).map(|flags| flags & 4)), (6, Some(4)), "{backend:?}: a reset");
        let (protocol, udp) = answer(2, Payload::Udp { source: 40_000, destination: 22 });
        assert_eq!((protocol, udp.get(..2)), (1, Some(&[3, 3][..])), "{backend:?}: port unreachable");
    });
}
