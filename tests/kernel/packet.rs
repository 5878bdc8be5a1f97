//! Packets as bytes: built for the wire, and read back from it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Payload {
    /// TCP; `flags` as on the wire (SYN is 2, RST 4, ACK 16).
    Tcp { source: u16, destination: u16, flags: u8 },
    /// UDP.
    Udp { source: u16, destination: u16 },
    /// SCTP, with an INIT chunk.
    Sctp { source: u16, destination: u16 },
    /// ICMP or ICMPv6 by the packet's family.
    Icmp { kind: u8, code: u8, id: u16 },
    /// An ICMP error, port unreachable, about a packet of TCP or UDP (`protocol`) that travelled the other way, from port `source` to
    /// port `destination`.
    Unreachable { protocol: u8, source: u16, destination: u16 },
    /// Any other protocol, with eight bytes of nothing in particular.
    Other(u8),
}

/// SYN.
pub const SYN: u8 = 0x02;
/// RST.
pub const RST: u8 = 0x04;
/// ACK.
pub const ACK: u8 = 0x10;

/// A packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Packet {
    /// Source address.
    pub source: IpAddr,
    /// Destination address, of the same family.
    pub destination: IpAddr,
    /// What it carries.
    pub payload: Payload,
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, destination, payload } = self;
        match payload {
            Payload::Tcp { source: from, destination: to, flags } => {
                write!(f, "tcp [{source}]:{from} > [{destination}]:{to} flags {flags:#x}")
            }
            Payload::Udp { source: from, destination: to } => write!(f, "udp [{source}]:{from} > [{destination}]:{to}"),
            Payload::Sctp { source: from, destination: to } => {
                write!(f, "sctp [{source}]:{from} > [{destination}]:{to}")
            }
            Payload::Icmp { kind, code, .. } => write!(f, "icmp type {kind} code {code} {source} > {destination}"),
            Payload::Unreachable { protocol, source: from, destination: to } => {
                write!(f, "error {source} > {destination} about protocol {protocol} port {from} to {to}")
            }
            Payload::Other(protocol) => write!(f, "protocol {protocol} {source} > {destination}"),
        }
    }
}

/// The hop limit that marks a packet which the oracle lets through to the host itself, to open a connection.
pub const DELIVERED_TTL: u8 = 77;
/// The hop limit of what the host sends to itself.
pub const LOOPBACK_TTL: u8 = 78;

impl Packet {
    /// The IP protocol number.
    pub fn protocol(&self) -> u8 {
        match self.payload {
            Payload::Tcp { .. } => 6,
            Payload::Udp { .. } => 17,
            Payload::Sctp { .. } => 132,
            Payload::Icmp { .. } | Payload::Unreachable { .. } if self.source.is_ipv4() => 1,
            Payload::Icmp { .. } | Payload::Unreachable { .. } => 58,
            Payload::Other(protocol) => protocol,
        }
    }

    /// The destination port, if its protocol has ports.
    pub fn destination_port(&self) -> Option<u16> {
        match self.payload {
            Payload::Tcp { destination, .. } | Payload::Udp { destination, .. } | Payload::Sctp { destination, .. } => {
                Some(destination)
            }
            _ => None,
        }
    }

    /// The packet that the other side would answer with: TCP by SYN and ACK, an echo request by its reply.
    pub fn reply(&self) -> Self {
        let payload = match self.payload {
            Payload::Tcp { source, destination, .. } => {
                Payload::Tcp { source: destination, destination: source, flags: SYN | ACK }
            }
            Payload::Udp { source, destination } => Payload::Udp { source: destination, destination: source },
            Payload::Sctp { source, destination } => Payload::Sctp { source: destination, destination: source },
            Payload::Icmp { kind, code, id } => {
                let kind = match kind {
                    8 => 0,
                    128 => 129,
                    other => other,
                };
                Payload::Icmp { kind, code, id }
            }
            Payload::Unreachable { .. } => panic!("nothing answers an error"),
            Payload::Other(protocol) => Payload::Other(protocol),
        };
        Self { source: self.destination, destination: self.source, payload }
    }

    /// The ICMP error that the sender of this packet of TCP or UDP sends about what the other side has sent to it.
    pub fn refusal(&self) -> Self {
        let (Payload::Tcp { source, destination, .. } | Payload::Udp { source, destination }) = self.payload else {
            panic!("{self}: no error about this is sent here");
        };
        Self {
            payload: Payload::Unreachable { protocol: self.protocol(), source: destination, destination: source },
            ..*self
        }
    }

    /// The beginning of the packet that an error is about: its IP header and eight bytes.
    fn quoted(&self, protocol: u8, source: u16, destination: u16) -> Vec<u8> {
        let payload = match protocol {
            6 => Payload::Tcp { source, destination, flags: ACK },
            _ => Payload::Udp { source, destination },
        };
        let about = Self { source: self.destination, destination: self.source, payload };
        let mut bytes = about.bytes(0, 60);
        bytes.truncate(if self.source.is_ipv4() { 28 } else { 48 });
        bytes
    }

    /// Its bytes from the IP header on. `id` is the IPv4 identification, or the IPv6 flow label.
    pub fn bytes(&self, id: u16, ttl: u8) -> Vec<u8> {
        let payload = self.payload_bytes();
        let protocol = self.protocol();
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let length = u16::try_from(20 + payload.len()).expect("packets here are short");
                let mut header = vec![0x45, 0];
                header.extend(length.to_be_bytes());
                header.extend(id.to_be_bytes());
                header.extend([0, 0, ttl, protocol, 0, 0]);
                header.extend(source.octets());
                header.extend(destination.octets());
                let sum = checksum(&[&header]);
                header[10..12].copy_from_slice(&sum.to_be_bytes());
                header.extend(payload);
                header
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let length = u16::try_from(payload.len()).expect("packets here are short");
                let mut header = vec![0x60, 0];
                header.extend(id.to_be_bytes());
                header.extend(length.to_be_bytes());
                header.extend([protocol, ttl]);
                header.extend(source.octets());
                header.extend(destination.octets());
                header.extend(payload);
                header
            }
            _ => panic!("a packet of two families: {self:?}"),
        }
    }

    fn payload_bytes(&self) -> Vec<u8> {
        match self.payload {
            Payload::Tcp { source, destination, flags } => {
                let mut bytes = Vec::from(source.to_be_bytes());
                bytes.extend(destination.to_be_bytes());
                bytes.extend(1000u32.to_be_bytes());
                bytes.extend(if flags & ACK == 0 { 0u32 } else { 1001 }.to_be_bytes());
                bytes.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
                self.sum(bytes, 16)
            }
            Payload::Udp { source, destination } => {
                let mut bytes = Vec::from(source.to_be_bytes());
                bytes.extend(destination.to_be_bytes());
                bytes.extend([0, 12, 0, 0, b'f', b'w', b'c', b'\n']);
                self.sum(bytes, 6)
            }
            Payload::Sctp { source, destination } => {
                // Verification tag 0 and an INIT chunk of twenty bytes (RFC 9260, 3.3.2).
                let mut bytes = Vec::from(source.to_be_bytes());
                bytes.extend(destination.to_be_bytes());
                bytes.extend([0; 8]);
                bytes.extend([1, 0, 0, 20, 0, 0, 0, 1, 0, 0, 0x10, 0, 0, 1, 0, 1, 0, 0, 0, 1]);
                let sum = crc32c(&bytes);
                bytes[8..12].copy_from_slice(&sum.to_le_bytes());
                bytes
            }
            Payload::Icmp { kind, code, id } => {
                let mut bytes = vec![kind, code, 0, 0];
                bytes.extend(id.to_be_bytes());
                bytes.extend([0, 1, b'f', b'w', b'c', b'\n']);
                self.icmp_sum(bytes)
            }
            Payload::Unreachable { protocol, source, destination } => {
                let mut bytes = if self.source.is_ipv4() { vec![3, 3] } else { vec![1, 4] };
                bytes.extend([0; 6]);
                bytes.extend(self.quoted(protocol, source, destination));
                self.icmp_sum(bytes)
            }
            Payload::Other(_) => vec![0; 8],
        }
    }

    /// Puts in the checksum of ICMP, which in IPv4 is of the message alone.
    fn icmp_sum(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        if self.source.is_ipv6() {
            return self.sum(bytes, 2);
        }
        let sum = checksum(&[&bytes]);
        bytes[2..4].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    /// Puts in the checksum of the payload and of the addresses, lengths and protocol before it.
    fn sum(&self, mut bytes: Vec<u8>, at: usize) -> Vec<u8> {
        let octets = |address: IpAddr| match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let length = u32::try_from(bytes.len()).expect("packets here are short").to_be_bytes();
        let protocol = [0, 0, 0, self.protocol()];
        let sum = checksum(&[&octets(self.source), &octets(self.destination), &protocol, &length, &bytes]);
        bytes[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        bytes
    }
}

/// The Internet checksum (RFC 1071) of parts of even length each but the last.
fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0u32;
    for part in parts {
        for pair in part.chunks(2) {
            sum += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("it was folded")
}

/// CRC-32C, which SCTP uses (RFC 9260, appendix A).
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
        }
    }
    !crc
}

/// What can be told of a packet's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Identification or flow label (its low 16 bits).
    pub id: u16,
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Protocol.
    pub protocol: u8,
    /// Where the payload begins.
    pub payload: usize,
}

impl Header {
    /// Reads an IP header (no IPv6 extension headers: nothing here sends any).
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let number16 = |at: usize| Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
        match bytes.first()? >> 4 {
            4 => {
                let source: [u8; 4] = bytes.get(12..16)?.try_into().ok()?;
                let destination: [u8; 4] = bytes.get(16..20)?.try_into().ok()?;
                Some(Self {
                    id: number16(4)?,
                    source: Ipv4Addr::from(source).into(),
                    destination: Ipv4Addr::from(destination).into(),
                    protocol: *bytes.get(9)?,
                    payload: usize::from(bytes[0] & 15) * 4,
                })
            }
            6 => {
                let source: [u8; 16] = bytes.get(8..24)?.try_into().ok()?;
                let destination: [u8; 16] = bytes.get(24..40)?.try_into().ok()?;
                Some(Self {
                    id: number16(2)?,
                    source: Ipv6Addr::from(source).into(),
                    destination: Ipv6Addr::from(destination).into(),
                    protocol: *bytes.get(6)?,
                    payload: 40,
                })
            }
            _ => None,
        }
    }
}
