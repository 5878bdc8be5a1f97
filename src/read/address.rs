//! Addresses, ports and numbers as the tools write them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

use crate::net::{AddressRange, Family, PortRange, Protocol};

/// `10.0.0.1`, `10.0.0.0/8`, `10.0.0.0/255.0.0.0`, `10.0.0.1-10.0.0.9`, and the same for IPv6. A mask with holes is no range.
pub(super) fn range(text: &str) -> Option<AddressRange> {
    if let Some((address, mask)) = text.split_once('/') {
        let address: IpAddr = address.parse().ok()?;
        let length: u8 = match mask.parse() {
            Ok(length) => length,
            Err(_) => length_of(mask.parse().ok()?)?,
        };
        return match address {
            IpAddr::V4(address) => {
                let net = Ipv4Net::new(address, length).ok()?;
                AddressRange::new(net.network().into(), net.broadcast().into())
            }
            IpAddr::V6(address) => {
                let net = Ipv6Net::new(address, length).ok()?;
                AddressRange::new(net.network().into(), net.broadcast().into())
            }
        };
    }
    if let Some((first, last)) = text.split_once('-') {
        return AddressRange::new(first.parse().ok()?, last.parse().ok()?);
    }
    text.parse().ok().map(AddressRange::single)
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
        "st" | "ggp" | "rdp" => return None,
        _ => Protocol::by_name(text).filter(|_| !text.starts_with('+'))?,
    })
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
