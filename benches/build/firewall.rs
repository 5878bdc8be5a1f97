//! The rules of a firewall between networks, in the manner of ClassBench's firewall seeds: prefixes of every length on both sides, many
//! of them short; ports that are any, above 1023, a range or one; both verdicts mixed. Rules overlap widely.

use std::net::Ipv4Addr;

/// A rule; the same at each run.
pub struct Line {
    /// Whether packets are kept out.
    pub deny: bool,
    /// Prefixes, source and destination.
    pub between: [(Ipv4Addr, u32); 2],
    /// `tcp`, `udp` or `icmp`.
    pub protocol: &'static str,
    /// Source ports, if they are asked for.
    pub source_ports: Option<(u32, u32)>,
    /// Destination ports, if they are asked for.
    pub ports: Option<(u32, u32)>,
}

/// So many rules.
pub fn lines(rules: u32) -> impl Iterator<Item = Line> {
    let mut random = Random(0x5eed_1157);
    (0..rules).map(move |_| line(&mut random))
}

fn line(random: &mut Random) -> Line {
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
    let (mut source_ports, mut ports) = (None, None);
    if protocol != "icmp" {
        if random.below(8) == 0 {
            source_ports = Some([(1024, 65_535), (53, 53), (123, 123), (1024, 5000)][random.below(4) as usize]);
        }
        let first = random.below(60_000);
        ports = match random.below(10) {
            0 => None,
            1 => Some((1024, 65_535)),
            2 => Some((first, first + random.below(5_000))),
            3..=5 => {
                let port = [22, 25, 53, 80, 110, 143, 443, 3_306, 8_080][random.below(9) as usize];
                Some((port, port))
            }
            _ => Some((first, first)),
        };
    }
    Line { deny: random.below(3) == 0, between: [source, destination], protocol, source_ports, ports }
}

fn prefix(random: &mut Random, lengths: &[u32]) -> (Ipv4Addr, u32) {
    let length = lengths[random.below(u32::try_from(lengths.len()).unwrap_or(1)) as usize];
    let mask = if length == 0 { 0 } else { u32::MAX << (32 - length) };
    // Networks come from some hundred sites, as they do.
    let site = random.below(400).wrapping_mul(0x9e37_79b1) & 0xffff_0000;
    // None is this host's own, or for many hosts at once.
    let site = if matches!(site >> 24, 0 | 127 | 224..) { site ^ 0x4000_0000 } else { site };
    (Ipv4Addr::from((site | random.below(0x1_0000)) & mask), length)
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
