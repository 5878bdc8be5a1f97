//! Policies of any length, the same at each run: lines of one kind, and a mix as hosts have it.

#[path = "firewall.rs"]
pub mod firewall;

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use firewall::Line;

/// Which rules a policy is made of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `allow tcp PORT from ADDRESS`, no two lines alike.
    Addresses,
    /// Services, sets, ports, cards, addresses, containers, limits and logs, for a host with Docker.
    Host,
    /// A firewall between networks: rules overlap widely.
    Firewall,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Addresses, Self::Host, Self::Firewall];

    pub fn name(self) -> &'static str {
        match self {
            Self::Addresses => "addresses",
            Self::Host => "host",
            Self::Firewall => "firewall",
        }
    }

    /// A policy of so many rules.
    pub fn policy(self, rules: u32) -> String {
        match self {
            Self::Addresses => addresses(rules),
            Self::Host => host(rules),
            Self::Firewall => between_networks(rules),
        }
    }
}

/// The address and the port of a line: spread, so that no two lines fold into one range.
pub fn line(number: u32) -> (Ipv4Addr, u16) {
    let port = 1_024 + number.wrapping_mul(7) % 40_000;
    (Ipv4Addr::from(0x0a00_0000 + number.wrapping_mul(1_103) % 0x0100_0000), u16::try_from(port).unwrap_or(u16::MAX))
}

fn addresses(rules: u32) -> String {
    let mut text = String::from("to host {\n");
    for number in 0..rules {
        let (address, port) = line(number);
        let _ = writeln!(text, "    allow tcp {port} from {address}");
    }
    text + "}\n"
}

fn host(rules: u32) -> String {
    let mut text = String::from(
        "use docker\nfact forward-policy-ipv4 = accept\nfact forward-policy-ipv6 = accept\n\
         interface wan = ens33\ninterface lan = eth1\ninterface vpn = wg0\n",
    );
    // One declaration of each kind for every hundred rules.
    let parts = rules.div_ceil(100);
    for part in 0..parts {
        let (address, port) = line(part);
        let _ = writeln!(text, "set site{part} = {{ {address}, 198.18.{}.0/24, 2001:db8:{part:x}::/48 }}", part % 256);
        let _ = writeln!(
            text,
            "service app{part} = {{ tcp {port}, udp {}-{} }}",
            50_000 + part % 5_000,
            50_004 + part % 5_000
        );
        let _ = writeln!(text, "container web{part} on front publish tcp {} to 80", 60_000 + part % 5_000);
    }
    for number in 0..rules {
        let part = number / 100;
        let (address, port) = line(number);
        let _ = match number % 12 {
            0 => writeln!(text, "allow ssh from site{part} to host"),
            1 => writeln!(text, "allow tcp {port} from {address} to host"),
            2 => writeln!(text, "allow app{part} from {{ lan, {address} }} to host"),
            3 => writeln!(text, "allow tcp {} from {address} to container via wan", 60_000 + part % 5_000),
            4 => writeln!(text, "allow tcp {} from {address} to container web{part}", 60_000 + part % 5_000),
            5 => writeln!(text, "deny from {}/28 to host", Ipv4Addr::from(u32::from(address) & !15)),
            6 => writeln!(text, "allow {{ http, https, udp {port} }} from {address} to host via lan"),
            7 => writeln!(text, "allow tcp {port} from {address} to lan"),
            8 => writeln!(
                text,
                "allow udp {port}-{} from 2001:db8:{:x}:{:x}::/64 to host",
                port + 3,
                number >> 16,
                number & 0xffff
            ),
            9 => writeln!(text, "reject tcp {port} from site{part} to host"),
            10 => writeln!(text, "allow from host to {address} via wan"),
            _ => writeln!(text, "deny tcp {port} from vpn to {address} on lan"),
        };
        if number % 100 == 99 {
            let _ = writeln!(text, "allow ssh from {address} to host limit 10/minute per source");
        }
    }
    text
}

fn between_networks(rules: u32) -> String {
    let mut text = String::from("interface wan = ens33\ninterface lan = eth1\n\n");
    for line in firewall::lines(rules) {
        let Line { deny, between: [source, destination], protocol, source_ports, ports } = line;
        let range =
            |(first, last): (u32, u32)| if first == last { first.to_string() } else { format!("{first}-{last}") };
        let ports = ports.map_or_else(String::new, |ports| format!(" {}", range(ports)));
        let behind = source_ports.map_or_else(String::new, |ports| format!(" source port {}", range(ports)));
        let _ = writeln!(
            text,
            "{} ipv4 {protocol}{ports} from {}/{} on wan to {}/{} on lan{behind}",
            if deny { "deny" } else { "allow" },
            source.0,
            source.1,
            destination.0,
            destination.1,
        );
    }
    text
}
