//! Rule sets as `iptables-save` writes them, of any length and the same at each run.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use super::policies::firewall::{self, Line};

/// What a list is like.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One host: an address and a port a rule, few that overlap.
    Host,
    /// A firewall between networks: rules overlap widely.
    Firewall,
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::Host, Self::Firewall];

    pub fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Firewall => "firewall",
        }
    }

    /// A list of so many rules.
    pub fn text(self, rules: u32) -> String {
        let mut text = String::from("*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n");
        text.push_str("-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n");
        match self {
            Self::Host => (0..rules).for_each(|number| host(&mut text, number)),
            Self::Firewall => firewall::lines(rules).for_each(|line| firewall(&mut text, &line)),
        }
        text + "COMMIT\n"
    }
}

fn host(text: &mut String, number: u32) {
    let address = Ipv4Addr::from(0x0a00_0000 + number.wrapping_mul(1_103) % 0x0100_0000);
    let port = 1_024 + number.wrapping_mul(7) % 40_000;
    let _ = match number % 8 {
        0 => writeln!(text, "-A FORWARD -s {}/28 -j DROP", Ipv4Addr::from(u32::from(address) & !15)),
        1 => writeln!(text, "-A FORWARD -s {address}/32 -i eth1 -p udp -m udp --dport {port}:{} -j ACCEPT", port + 3),
        2 => writeln!(text, "-A FORWARD -d {address}/32 -o eth1 -p tcp -m tcp --dport {port} -j ACCEPT"),
        _ => writeln!(text, "-A FORWARD -s {address}/32 -p tcp -m tcp --dport {port} -j ACCEPT"),
    };
}

fn firewall(text: &mut String, line: &Line) {
    let [source, destination] = line.between.map(|(address, length)| format!("{address}/{length}"));
    let Line { protocol, source_ports, ports, .. } = line;
    let range = |(first, last): (u32, u32)| if first == last { first.to_string() } else { format!("{first}:{last}") };
    let _ = write!(text, "-A FORWARD -s {source} -d {destination} -p {protocol}");
    if source_ports.is_some() || ports.is_some() {
        let _ = write!(text, " -m {protocol}");
    }
    for (word, ports) in [("--sport", source_ports), ("--dport", ports)] {
        let _ = ports.map(|ports| write!(text, " {word} {}", range(ports)));
    }
    let _ = writeln!(text, " -j {}", if line.deny { "DROP" } else { "ACCEPT" });
}
