//! Addresses, ports and numbers as the tools write them.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::names;
use crate::net::{AddressRange, Family, PortRange, Protocol};

/// `10.0.0.1`, `10.0.0.0/8`, `10.0.0.0/255.0.0.0`, `10.0.0.1-10.0.0.9`, and the same for IPv6. A mask with holes is no range.
pub(super) fn range(text: &str) -> Option<AddressRange> {
    if let Some((address, mask)) = text.split_once('/') {
        return masked(address.parse().ok()?, mask);
    }
    if let Some((first, last)) = text.split_once('-') {
        return AddressRange::new(first.parse().ok()?, last.parse().ok()?);
    }
    text.parse().ok().map(AddressRange::single)
}

/// The addresses that share what a mask shows of them. Nothing if the mask has holes.
fn masked(address: IpAddr, mask: &str) -> Option<AddressRange> {
    let length: u8 = match mask.parse() {
        Ok(length) => length,
        Err(_) => length_of(mask.parse().ok()?)?,
    };
    let net = IpNet::new(address, length).ok()?;
    AddressRange::new(net.network(), net.broadcast())
}

/// The length of a mask without holes.
pub(super) fn length_of(mask: IpAddr) -> Option<u8> {
    let (number, bits) = match mask {
        IpAddr::V4(mask) => (u128::from(u32::from(mask)) << 96, 32),
        IpAddr::V6(mask) => (u128::from(mask), 128),
    };
    let length = number.leading_ones().min(bits);
    let whole = if length == 0 { 0 } else { u128::MAX << (128 - length) };
    (number == whole).then(|| u8::try_from(length).unwrap_or(128))
}

/// A range of addresses of one family.
pub(super) fn of_family(text: &str, family: Family) -> Option<AddressRange> {
    range(text).filter(|range| range.family() == family)
}

/// `80`, or `80:90` with `:` as `between`.
pub(super) fn ports(text: &str, between: char) -> Option<PortRange> {
    let (first, last) = text.split_once(between).unwrap_or((text, text));
    let range = PortRange { first: port(first)?, last: port(last)? };
    (range.first <= range.last).then_some(range)
}

/// A number of 16 bits. Names of services are not read: the tools list numbers, and a name means what a file on the host says.
pub(super) fn port(text: &str) -> Option<u16> {
    // `parse` takes a plus sign.
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// A port by number, as the tools read numbers (decimal, octal, hexadecimal), or by the name of its service.
pub(super) fn named_port(text: &str) -> Option<u16> {
    let number = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u16::from_str_radix(digits, 16).ok(),
        None if text.len() > 1 && text.starts_with('0') => u16::from_str_radix(text, 8).ok(),
        None => port(text),
    };
    number.or_else(|| names::port::lookup(text))
}

/// `http`, `1024:`, `:1023`, `80:90`; an end that is left out is that of all ports. What begins after its end is none.
pub(super) fn named_ports(text: &str, between: char) -> Option<PortRange> {
    // A service may have a dash in its name.
    if let Some(port) = named_port(text) {
        return Some(PortRange::single(port));
    }
    let (first, last) = text.split_once(between)?;
    let first = if first.is_empty() { Some(0) } else { named_port(first) };
    let last = if last.is_empty() { Some(u16::MAX) } else { named_port(last) };
    let range = PortRange { first: first?, last: last? };
    (range.first <= range.last).then_some(range)
}

/// Whether a text is a mask of addresses of a family: a length, or a mask in the form of an address.
pub(super) fn is_mask(text: &str, family: Family) -> bool {
    let most = if family == Family::Ipv4 { 32 } else { 128 };
    match port(text) {
        Some(length) => length <= most,
        None => text.parse::<IpAddr>().is_ok_and(|mask| Family::of(mask) == family),
    }
}

/// An address with or without a mask as iptables takes it: `10.0.0.0/8`, `10/8`, `0/0`, `10.0.0.1/255.0.0.0`. Outer `None`: it is none. Inner
/// `None`: its mask has holes, so that it is no range.
#[allow(clippy::option_option)]
pub(super) fn spelt(text: &str, family: Family) -> Option<Option<AddressRange>> {
    let (address, mask) = text.split_once('/').map_or((text, None), |(address, mask)| (address, Some(mask)));
    let address = match family {
        Family::Ipv4 => IpAddr::V4(padded(address)?),
        Family::Ipv6 if address == "0" => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        Family::Ipv6 => IpAddr::V6(address.parse().ok()?),
    };
    let Some(mask) = mask else { return Some(Some(AddressRange::single(address))) };
    if !is_mask(mask, family) {
        return None;
    }
    Some(masked(address, mask))
}

/// An address of which the last parts may be left out: they are 0 then. The tool takes octal and hexadecimal parts, too.
fn padded(text: &str) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    for (at, part) in text.split('.').enumerate() {
        *octets.get_mut(at)? = match part.strip_prefix("0x") {
            Some(digits) => u8::from_str_radix(digits, 16).ok()?,
            None if part.len() > 1 && part.starts_with('0') => u8::from_str_radix(part, 8).ok()?,
            None => u8::try_from(port(part)?).ok()?,
        };
    }
    Some(Ipv4Addr::from(octets))
}

/// A number of 32 bits, decimal or `0x`.
pub(super) fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten(),
    }
}

/// A protocol by its number or by a name of `/etc/protocols` or nft.
pub(super) fn protocol(text: &str) -> Option<Protocol> {
    Some(match text {
        "ipv6-icmp" => Protocol::ICMPV6,
        "ipencap" => Protocol(4),
        "ipv6" => Protocol(41),
        "comp" | "ipcomp" => Protocol(108),
        "l2tp" => Protocol(115),
        "rsvp" => Protocol(46),
        "eigrp" => Protocol(88),
        "mobility-header" | "mh" => Protocol(135),
        _ => Protocol::by_name(text).filter(|_| !text.starts_with('+')).or_else(|| other_protocol(text))?,
    })
}

/// A word in small letters, where the tools take it in any.
pub(super) fn lowered(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|letter| letter.is_ascii_uppercase()) { text.to_ascii_lowercase().into() } else { text.into() }
}

/// Protocols of /etc/protocols that seldom occur.
fn other_protocol(text: &str) -> Option<Protocol> {
    let names: &[(&str, u8)] = &[
        ("hopopt", 0),
        ("ggp", 3),
        ("st", 5),
        ("igp", 9),
        ("pup", 12),
        ("hmp", 20),
        ("xns-idp", 22),
        ("rdp", 27),
        ("iso-tp4", 29),
        ("xtp", 36),
        ("ddp", 37),
        ("idpr-cmtp", 38),
        ("ipv6-route", 43),
        ("ipv6-frag", 44),
        ("idrp", 45),
        ("skip", 57),
        ("ipv6-nonxt", 59),
        ("ipv6-opts", 60),
        ("rspf", 73),
        ("vmtp", 81),
        ("ax.25", 93),
        ("etherip", 97),
        ("encap", 98),
        ("isis", 124),
        ("fc", 133),
        ("mpls-in-ip", 137),
        ("manet", 138),
        ("hip", 139),
        ("shim6", 140),
        ("wesp", 141),
        ("rohc", 142),
        ("ethernet", 143),
    ];
    names.iter().find(|(name, _)| *name == text).map(|(_, number)| Protocol(*number))
}

/// Whether the tools know a protocol by this name or number.
pub(super) fn protocol_known(text: &str) -> bool {
    protocol(text).is_some() || matches!(text, "ip" | "mptcp")
}

/// `10.0.0.1`, `10.0.0.1:80`, `2001:db8::1`, `[2001:db8::1]:80`.
pub(super) fn socket(text: &str) -> Option<(IpAddr, Option<u16>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, after) = rest.split_once(']')?;
        let address: Ipv6Addr = address.parse().ok()?;
        return match after.strip_prefix(':') {
            Some(number) => Some((address.into(), Some(port(number)?))),
            None => after.is_empty().then_some((address.into(), None)),
        };
    }
    if let Ok(address) = text.parse() {
        return Some((address, None));
    }
    let (address, number) = text.rsplit_once(':')?;
    let address: Ipv4Addr = address.parse().ok()?;
    Some((address.into(), Some(port(number)?)))
}
