//! The kernel's own verdict on a packet. Each packet carries a number of its own (IPv4 identification, IPv6 flow label), by
//! which it is known again wherever it comes out:
//!
//! - forwarded: it is read from the card that it left by;
//! - delivered to the host: a chain behind every other one on the input hook notes its number in a set and ends it there;
//! - refused: an ICMP error that quotes it, or a TCP reset to it, comes back on a card or to the host;
//! - dropped: none of these.
//!
//! No service listens here. So that a connection to the host stays open, the kernel's own reset to its first packet is taken away
//! before connection tracking sees it.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, SockaddrIn6, recv, sendto, socket,
};

use super::namespace::Namespace;
use super::packet::{DELIVERED_TTL, Header, LOOPBACK_TTL, Packet, Payload, RST};

/// Where a packet comes into the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Entry {
    /// From the wire of a card, by its number.
    Card(usize),
    /// From a socket of the host.
    Host,
}

/// A packet to be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Probe {
    /// Where it comes in.
    pub entry: Entry,
    /// The packet.
    pub packet: Packet,
    /// Its Ethernet source; `None`: some neighbour's.
    pub mac: Option<[u8; 6]>,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It reached the host itself.
    Delivered,
    /// It left by a card, to this address and port.
    Left { card: usize, destination: IpAddr, port: Option<u16> },
    /// It was refused with an answer.
    Rejected,
    /// It is gone.
    Dropped,
}

impl Outcome {
    /// Whether it got through.
    pub fn passed(self) -> bool {
        matches!(self, Self::Delivered | Self::Left { .. })
    }
}

/// The source that a forwarded packet left with, after any translation.
pub type Seen = Option<(IpAddr, Option<u16>)>;

/// The oracle of one namespace.
pub struct Oracle<'a> {
    /// The namespace.
    pub namespace: &'a mut Namespace,
    senders: [OwnedFd; 2],
    errors: [OwnedFd; 2],
    resets: [OwnedFd; 2],
    seen_as: Seen,
}

/// The chain `tracked` is reached from nowhere: it keeps connections tracked where no other rule asks for that.
const SETS: &str = "table inet packet-oracle
delete table inet packet-oracle
table inet packet-oracle {
    chain tracked { ct state invalid accept; }
    set seen4 { typeof ip id; flags dynamic; size 65535; }
    set seen6 { typeof ip6 flowlabel; flags dynamic; size 65535; }
    set quiet { type inet_service; flags dynamic; size 65535; }
    chain input {
        type filter hook input priority 2147483647; policy accept;
        iifname \"lo\" ip ttl 78 add @seen4 { ip id } drop
        iifname \"lo\" ip6 hoplimit 78 add @seen6 { ip6 flowlabel } drop
        iifname \"lo\" accept
        ip ttl 77 tcp sport != 0 add @quiet { tcp sport } accept
        ip6 hoplimit 77 tcp sport != 0 add @quiet { tcp sport } accept
        ip ttl 77 accept
        ip6 hoplimit 77 accept
        meta nfproto ipv4 add @seen4 { ip id } drop
        meta nfproto ipv6 add @seen6 { ip6 flowlabel } drop
    }
    chain output {
        type filter hook output priority -400; policy accept;
        tcp flags & rst == rst tcp dport @quiet drop
    }
}
";

impl<'a> Oracle<'a> {
    /// Puts the chain of notes into the namespace.
    pub fn new(namespace: &'a mut Namespace) -> Self {
        namespace.run("nft", &["-f", "-"], SETS).expect("the oracle's own table loads");
        let raw = |protocol| {
            [AddressFamily::Inet, AddressFamily::Inet6].map(|family| {
                let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
                socket(family, SockType::Raw, flags, protocol).expect("root may open raw sockets")
            })
        };
        let senders = raw(SockProtocol::Raw);
        let resets = raw(SockProtocol::Tcp);
        let errors = [(AddressFamily::Inet, SockProtocol::Icmp), (AddressFamily::Inet6, SockProtocol::IcmpV6)].map(
            |(family, protocol)| {
                let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
                socket(family, SockType::Raw, flags, protocol).expect("root may open raw sockets")
            },
        );
        Self { namespace, senders, errors, resets, seen_as: None }
    }

    /// Sends the packets one after another and says what became of each. Between packets without ports, and every few
    /// hundred others, tracked connections are forgotten, so that each is the first of its connection.
    pub fn judge(&mut self, probes: &[Probe]) -> Vec<Outcome> {
        let outcomes = self.judge_each(probes, |probe| probe.packet.destination_port().is_some());
        outcomes.into_iter().map(|(outcome, _)| outcome).collect()
    }

    /// As [`Oracle::judge`], with the source that each left with. `is_told_apart` says of which packets no other can be of the same
    /// connection.
    pub fn judge_each(&mut self, probes: &[Probe], is_told_apart: impl Fn(&Probe) -> bool) -> Vec<(Outcome, Seen)> {
        let mut outcomes = Vec::with_capacity(probes.len());
        for part in probes.chunks(60_000) {
            self.forget_deliveries();
            self.namespace.forget_connections();
            let (mut judged, mut seen) = (Vec::with_capacity(part.len()), Vec::with_capacity(part.len()));
            for (at, probe) in part.iter().enumerate() {
                if at % 256 == 255 || !is_told_apart(probe) {
                    self.namespace.forget_connections();
                }
                judged.push(self.send(probe, number(at), 64));
                seen.push(self.seen_as);
            }
            self.note_delivered(part, &mut judged);
            outcomes.extend(judged.into_iter().zip(seen));
        }
        outcomes
    }

    /// Opens a connection with the first packet and then sends the others, which `then` makes from where the first came out.
    /// To the host the first is really delivered, so that the connection is kept.
    pub fn converse(
        &mut self,
        first: &Probe,
        then: impl FnOnce(Outcome, Seen) -> Vec<Probe>,
    ) -> (Outcome, Vec<Outcome>) {
        self.forget();
        let (opened, seen) = self.open(first);
        let outcomes = self.carry_on(&then(opened, seen));
        (opened, outcomes)
    }

    /// Forgets tracked connections, and what was delivered.
    pub fn forget(&mut self) {
        self.forget_deliveries();
        self.namespace.forget_connections();
    }

    /// Forgets what was delivered; connections stay, and resets to them are seen again.
    pub fn forget_deliveries(&mut self) {
        self.run_nft(
            "flush set inet packet-oracle seen4; flush set inet packet-oracle seen6; flush set inet packet-oracle quiet",
        );
    }

    /// Sends the first packet of a connection and says what was seen of it on a card; to the host it is really delivered, of
    /// which nothing is seen.
    pub fn open(&mut self, first: &Probe) -> (Outcome, Seen) {
        let opened = self.send(first, 60_001, DELIVERED_TTL);
        (opened, self.seen_as)
    }

    /// Sends packets of connections that are open.
    pub fn carry_on(&mut self, probes: &[Probe]) -> Vec<Outcome> {
        let mut outcomes: Vec<Outcome> =
            probes.iter().enumerate().map(|(at, probe)| self.send(probe, number(at), 64)).collect();
        self.note_delivered(probes, &mut outcomes);
        outcomes
    }

    fn run_nft(&self, script: &str) {
        self.namespace.run("nft", &["-f", "-"], script).expect("the oracle's own commands are right");
    }

    /// Those of which nothing was seen, but whose number the last input chain noted, were delivered.
    fn note_delivered(&self, probes: &[Probe], outcomes: &mut [Outcome]) {
        if outcomes.iter().all(|&outcome| outcome != Outcome::Dropped) {
            return;
        }
        let seen = [self.seen("seen4"), self.seen("seen6")];
        for (at, (probe, outcome)) in probes.iter().zip(outcomes).enumerate() {
            let family = usize::from(probe.packet.source.is_ipv6());
            if *outcome == Outcome::Dropped && seen[family].contains(&number(at)) {
                *outcome = Outcome::Delivered;
            }
        }
    }

    fn seen(&self, set: &str) -> BTreeSet<u16> {
        let text = self.namespace.run("nft", &["-j", "list", "set", "inet", "packet-oracle", set], "");
        let value: serde_json::Value = serde_json::from_str(&text.expect("the set is there")).expect("nft prints JSON");
        let sets = value["nftables"].as_array().expect("an array of objects").iter();
        let elements = sets.filter_map(|object| object["set"]["elem"].as_array()).flatten();
        elements.map(|element| number_of(element).expect("an element is a number")).collect()
    }

    fn send(&mut self, probe: &Probe, id: u16, ttl: u8) -> Outcome {
        // What else comes in by the loopback are answers of the host to itself.
        let to = probe.packet.destination;
        let by_loopback = probe.entry == Entry::Host && (to.is_loopback() || self.namespace.plan.owns(to));
        let bytes = probe.packet.bytes(id, if by_loopback { LOOPBACK_TTL } else { ttl });
        match probe.entry {
            Entry::Card(card) => {
                let tap = &mut self.namespace.taps[card];
                let written = match self.namespace.neighbours.get(&probe.packet.destination) {
                    Some(&target) => tap.write_to(&bytes, probe.mac, target),
                    None => tap.write(&bytes, probe.mac),
                };
                written.expect("a card that is up takes a packet");
            }
            Entry::Host => {
                let sent = match probe.packet.destination {
                    IpAddr::V4(to) => {
                        let to = SockaddrIn::from(SocketAddrV4::new(to, 0));
                        sendto(self.senders[0].as_raw_fd(), &bytes, &to, MsgFlags::empty())
                    }
                    IpAddr::V6(to) => {
                        let to = SockaddrIn6::from(SocketAddrV6::new(to, 0, 0, 0));
                        sendto(self.senders[1].as_raw_fd(), &bytes, &to, MsgFlags::empty())
                    }
                };
                match sent {
                    // What a rule on the way out drops, the sender is refused; and what is translated from a loopback address to
                    // one beyond has no route, unless route_localnet is set.
                    Ok(_) | Err(Errno::EPERM) => {}
                    Err(Errno::EINVAL) if by_loopback => {}
                    Err(error) => panic!("{}: cannot be sent: {error}", probe.packet),
                }
            }
        }
        self.collect(probe, id)
    }

    /// Reads everything that came out anywhere, and finds this packet or the answer to it.
    fn collect(&mut self, probe: &Probe, id: u16) -> Outcome {
        let mut outcome = Outcome::Dropped;
        self.seen_as = None;
        let mut buffer = [0u8; 2048];
        for card in 0..self.namespace.taps.len() {
            while let Some(bytes) = self.namespace.taps[card].read(&mut buffer) {
                let Some(header) = Header::read(bytes) else { continue };
                let payload = bytes.get(header.payload..).unwrap_or_default();
                if is_answer(&probe.packet, id, header.protocol, payload) {
                    outcome = Outcome::Rejected;
                } else if header.id == id && header.protocol == probe.packet.protocol() {
                    let port = probe.packet.destination_port().and(destination_port(payload));
                    self.seen_as = Some((header.source, probe.packet.destination_port().and(source_port(payload))));
                    outcome = Outcome::Left { card, destination: header.destination, port };
                }
            }
        }
        for family in [0, 1] {
            let protocols = [(&self.errors, if family == 0 { 1 } else { 58 }), (&self.resets, 6)];
            for (sockets, protocol) in protocols {
                while let Ok(length) = recv(sockets[family].as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                    // A raw socket gives the IPv4 header, but not the IPv6 one.
                    let start = if family == 0 { usize::from(buffer[0] & 15) * 4 } else { 0 };
                    let payload = buffer.get(start..length).unwrap_or_default();
                    if probe.entry == Entry::Host && is_answer(&probe.packet, id, protocol, payload) {
                        outcome = Outcome::Rejected;
                    }
                }
            }
        }
        outcome
    }
}

/// The number of a packet in its part: never zero, which the kernel would replace.
fn number(at: usize) -> u16 {
    u16::try_from(at + 1).expect("a part has at most 60,000 packets")
}

fn number_of(element: &serde_json::Value) -> Option<u16> {
    // Some versions write an element as an object with more than its value.
    let value = if element.is_object() { &element["elem"]["val"] } else { element };
    value.as_u64().and_then(|number| u16::try_from(number).ok())
}

fn source_port(payload: &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes(payload.get(0..2)?.try_into().ok()?))
}

fn destination_port(payload: &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes(payload.get(2..4)?.try_into().ok()?))
}

/// Whether this is an ICMP error that quotes `packet`, or a reset to it.
fn is_answer(packet: &Packet, id: u16, protocol: u8, payload: &[u8]) -> bool {
    let quoted = |payload: &[u8]| payload.get(8..).and_then(Header::read).is_some_and(|header| header.id == id);
    match (protocol, packet.payload) {
        (1, _) => payload.first() == Some(&3) && quoted(payload),
        (58, _) => payload.first() == Some(&1) && quoted(payload),
        (6, Payload::Tcp { source, .. }) => {
            destination_port(payload) == Some(source) && payload.get(13).is_some_and(|flags| flags & RST != 0)
        }
        _ => false,
    }
}
