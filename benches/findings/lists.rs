//! Rule sets as `iptables-save` writes them, of any length and the same at each run.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

/// What a list is like.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One host: an address and a port a rule, few that overlap.
    Host,
    /// A firewall between networks, in the manner of ClassBench's firewall seeds: prefixes of every length on both sides, many of
    /// them short; ports that are any, above 1023, a range or one; both verdicts mixed. Rules overlap widely.
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
        let mut random = Random(0x5eed_1157);
        let mut text = String::from("*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n");
        text.push_str("-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n");
        for number in 0..rules {
            match self {
                Self::Host => host(&mut text, number),
                Self::Firewall => firewall(&mut text, &mut random),
            }
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

fn firewall(text: &mut String, random: &mut Random) {
    // One side may be anybody; then the other is narrow.
    let anybody = random.below(8);
    let narrow = [24, 27, 28, 30, 32, 32, 32, 32];
    let source = match anybody {
        0..=2 => prefix(random, &[0]),
        3 => prefix(random, &narrow),
        _ => prefix(random, &[12, 16, 16, 20, 21, 22, 24, 24, 24, 24, 27, 28, 30, 32, 32, 32]),
    };
    let destination = match anybody {
        0..=2 => prefix(random, &narrow),
        3 => prefix(random, &[0]),
        _ => prefix(random, &[16, 16, 20, 21, 24, 24, 24, 24, 27, 28, 29, 30, 32, 32, 32, 32]),
    };
    let protocol = ["tcp", "tcp", "tcp", "tcp", "tcp", "udp", "udp", "udp", "icmp"][random.below(9) as usize];
    let _ = write!(text, "-A FORWARD -s {source} -d {destination} -p {protocol}");
    if protocol != "icmp" {
        let _ = write!(text, " -m {protocol}");
        if random.below(8) == 0 {
            let _ = write!(text, " --sport {}", ["1024:65535", "53", "123", "1024:5000"][random.below(4) as usize]);
        }
        let first = random.below(60_000);
        let _ = match random.below(10) {
            0 => Ok(()),
            1 => write!(text, " --dport 1024:65535"),
            2 => write!(text, " --dport {first}:{}", first + random.below(5_000)),
            3..=5 => {
                write!(text, " --dport {}", [22, 25, 53, 80, 110, 143, 443, 3_306, 8_080][random.below(9) as usize])
            }
            _ => write!(text, " --dport {first}"),
        };
    }
    let _ = writeln!(text, " -j {}", if random.below(3) == 0 { "DROP" } else { "ACCEPT" });
}

fn prefix(random: &mut Random, lengths: &[u32]) -> String {
    let length = lengths[random.below(u32::try_from(lengths.len()).unwrap_or(1)) as usize];
    let mask = if length == 0 { 0 } else { u32::MAX << (32 - length) };
    // Networks come from some hundred sites, as they do.
    let site = random.below(400).wrapping_mul(0x9e37_79b1) & 0xffff_0000;
    Ipv4Addr::from((site | random.below(0x1_0000)) & mask).to_string() + &format!("/{length}")
}

/// xorshift64*.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u32) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        u32::try_from((self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % u64::from(end)).unwrap_or(0)
    }
}
