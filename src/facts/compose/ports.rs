//! The short form of a published port: `[[ADDRESS:]HOST-PORTS:]PORTS[/PROTOCOL]`, as Docker reads it (docker/go-connections,
//! nat.ParsePortSpec).

use std::net::IpAddr;

use super::super::{PublishedPort, brief};

/// What is wrong with a port, and what to do.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

fn fault(message: impl Into<String>, help: impl Into<String>) -> Fault {
    Fault { message: message.into(), help: help.into() }
}

/// A first and a last port.
type Range = (u16, u16);

/// Reads a short form. A range of the container's ports without host ports gives one entry a port: each gets a port of its own.
///
/// # Errors
/// Whatever Docker would refuse.
pub fn short(text: &str) -> Result<Vec<PublishedPort>, Fault> {
    let (rest, protocol) = match text.rsplit_once('/') {
        Some((rest, protocol)) => (rest, protocol),
        None => (text, ""),
    };
    let (address, host, container) = split(rest)?;
    build(&protocol_name(protocol)?, address_of(address)?, host, container)
}

/// Docker's names of protocols with ports; none: TCP.
pub(super) fn protocol_name(protocol: &str) -> Result<String, Fault> {
    let name = protocol.to_lowercase();
    match name.as_str() {
        "" => Ok("tcp".to_owned()),
        "tcp" | "udp" | "sctp" => Ok(name),
        _ => Err(fault(format!("`{}` is no protocol with ports", brief(protocol)), "write `tcp`, `udp` or `sctp`")),
    }
}

/// A host address; none, or an empty one: all.
pub(super) fn address_of(text: &str) -> Result<Option<IpAddr>, Fault> {
    if text.is_empty() {
        return Ok(None);
    }
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().map(Some).map_err(|_| {
        let help = if bare == "localhost" {
            "write `127.0.0.1`: Docker takes no names here"
        } else {
            "write an address such as `127.0.0.1` or `[::1]`"
        };
        fault(format!("`{}` is not a host address", brief(text)), help)
    })
}

/// Address, host ports and the container's ports, each as written.
fn split(rest: &str) -> Result<(&str, &str, &str), Fault> {
    let wrong_address = |address: &str| {
        fault(
            format!("`{}` has a host address but too few ports", brief(rest)),
            format!("write `{address}:HOST-PORT:PORT`"),
        )
    };
    if rest.starts_with('[') {
        let Some((address, ports)) = rest.split_once(']') else {
            return Err(fault("`[` has no closing bracket", "write an IPv6 address as `[2001:db8::1]`"));
        };
        let address = rest.get(..=address.len()).unwrap_or("");
        return match ports.strip_prefix(':').and_then(|ports| ports.split_once(':')) {
            Some((host, container)) if !container.contains(':') => Ok((address, host, container)),
            _ => Err(wrong_address(address)),
        };
    }
    let Some((before, container)) = rest.rsplit_once(':') else { return Ok(("", "", rest)) };
    match before.rsplit_once(':') {
        Some((address, host)) => Ok((address, host, container)),
        None if before.parse::<IpAddr>().is_ok() => Err(wrong_address(before)),
        None => Ok(("", before, container)),
    }
}

/// One port, or two with a hyphen between.
pub(super) fn range(text: &str) -> Result<Range, Fault> {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<u16>().ok()).flatten().ok_or_else(|| {
            fault(format!("`{}` is not a port", brief(text)), "write a number from 1 to 65535, or two with `-` between")
        })
    };
    match text.split_once('-') {
        None => number(text).map(|port| (port, port)),
        Some((first, last)) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return Err(fault(
                    format!("the range {first}-{last} ends before it begins"),
                    "write the smaller port first",
                ));
            }
            Ok((first, last))
        }
    }
}

/// Puts the parts together. `host` empty or `0`: Docker picks.
pub(super) fn build(
    protocol: &str,
    address: Option<IpAddr>,
    host: &str,
    container: &str,
) -> Result<Vec<PublishedPort>, Fault> {
    if container.is_empty() {
        return Err(fault("the container's own port is missing", "write `HOST-PORT:PORT`"));
    }
    let (first, last) = range(container)?;
    if first == 0 {
        return Err(fault("port 0 does not exist in the container", "write a number from 1 to 65535"));
    }
    let one = |port, last_port, container_port, one_of_range| PublishedPort {
        protocol: protocol.to_owned(),
        address,
        port,
        last_port,
        container_port,
        one_of_range,
        ingress: false,
        location: None,
    };
    if host.is_empty() || host == "0" {
        return Ok((first..=last).map(|port| one(None, None, port, false)).collect());
    }
    let (host_first, host_last) = range(host)?;
    if host_first == 0 {
        return Err(fault("a range cannot begin with port 0", "leave the host ports out where Docker is to pick them"));
    }
    let (count, host_count) = (last - first, host_last - host_first);
    let host_end = (host_count > 0).then_some(host_last);
    if count == host_count {
        Ok(vec![one(Some(host_first), host_end, first, false)])
    } else if count == 0 {
        // Docker takes the first of them that is free.
        Ok(vec![one(Some(host_first), host_end, first, true)])
    } else {
        Err(fault(
            format!("{} ports of the host for {} of the container", u32::from(host_count) + 1, u32::from(count) + 1),
            "make both ranges of one length",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `PROTOCOL ADDRESS PORTS > PORT`, an entry a line.
    fn read(text: &str) -> String {
        match short(text) {
            Ok(ports) => ports
                .iter()
                .map(|port| {
                    let address = port.address.map_or("*".to_owned(), |address| address.to_string());
                    let range = match (port.port, port.last_port) {
                        (Some(first), Some(last)) => format!("{first}-{last}"),
                        (Some(first), None) => first.to_string(),
                        _ => "?".to_owned(),
                    };
                    let one = if port.one_of_range { "one of " } else { "" };
                    format!("{} {address} {one}{range} > {}", port.protocol, port.container_port)
                })
                .collect::<Vec<_>>()
                .join("; "),
            Err(fault) => format!("error: {}", fault.message),
        }
    }

    #[test]
    fn short_forms() {
        for (text, expected) in [
            ("3000", "tcp * ? > 3000"),
            ("3000-3002", "tcp * ? > 3000; tcp * ? > 3001; tcp * ? > 3002"),
            ("8000:8000", "tcp * 8000 > 8000"),
            ("9090-9091:8080-8081", "tcp * 9090-9091 > 8080"),
            ("8000-8010:80-90", "tcp * 8000-8010 > 80"),
            ("8000-8010:80", "tcp * one of 8000-8010 > 80"),
            ("127.0.0.1:8001:8001", "tcp 127.0.0.1 8001 > 8001"),
            ("127.0.0.1:5000-5010:5000-5010", "tcp 127.0.0.1 5000-5010 > 5000"),
            ("127.0.0.1::5000", "tcp 127.0.0.1 ? > 5000"),
            ("[::1]:8080:80", "tcp ::1 8080 > 80"),
            ("::1:8080:80", "tcp ::1 8080 > 80"),
            ("[2001:db8::10]::80/udp", "udp 2001:db8::10 ? > 80"),
            ("6060:6060/udp", "udp * 6060 > 6060"),
            ("5000:5000/SCTP", "sctp * 5000 > 5000"),
            ("0:80", "tcp * ? > 80"),
            ("0.0.0.0:80:80", "tcp 0.0.0.0 80 > 80"),
            ("53:53/", "tcp * 53 > 53"),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn what_docker_refuses() {
        for text in [
            "",
            "http",
            "80:",
            "80:http",
            "80:80/icmp",
            "70000:80",
            "80:70000",
            "8010-8000:80",
            "80:0",
            "80-90:80-85",
            "8000:80-90",
            "localhost:80:80",
            "127.0.0.1:80",
            "[::1]:80",
            "[::1:80:80",
            "-1:80",
            "1-:80",
            "80:80/tcp/udp",
            "+1:80",
            "0-5:0-5",
            "fe80::1%eth0:80:80",
            "[::1]80:80",
        ] {
            assert!(short(text).is_err(), "{text}: {}", read(text));
        }
        assert_eq!(read("80-90:80-85"), "error: 11 ports of the host for 6 of the container");
    }
}
