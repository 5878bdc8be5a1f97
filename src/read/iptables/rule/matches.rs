//! What the modules of `-m` compare.

use std::sync::Arc;

use thin_vec::thin_vec;

use super::{Builder, Opt, card, masked};
use crate::names;
use crate::net::hours::SHORT_DAYS;
use crate::net::{Family, PortSet};
use crate::netfilter::{Limit, MatchKind, State};
use crate::read::address;

impl<'w, 't> Builder<'w, 't, '_> {
    /// A match module with its options. Some modules' options hold apart from one another; of the others, all are modelled or the
    /// whole module is kept by its text.
    pub(super) fn module(&mut self, name: &'t str, start: usize, end: usize) {
        let options = std::mem::take(&mut self.options);
        let before = self.rule.matches.len();
        let whole = match name {
            "comment" => {
                for option in &options {
                    if let (false, "--comment", [value]) = (option.negated, option.name, option.values) {
                        self.remark(&value.value());
                    } else {
                        self.unknown(option.start, option.end);
                    }
                }
                true
            }
            // Of a packet without a connection the states alone are asked, whatever stands beside them (`conntrack_mt`).
            "conntrack" if options.len() > 1 && options.iter().any(holds_unconnected) => false,
            "tcp" | "udp" | "sctp" | "dccp" | "udplite" | "icmp" | "icmp6" | "conntrack" | "state" | "physdev"
            | "iprange" | "mark" | "mac" | "owner" => {
                for option in &options {
                    match self.one(name, option) {
                        Some(kind) => {
                            let flips =
                                name == "conntrack" && option.name == "--ctdir" && option.value() == Some("REPLY");
                            self.push(option.negated != flips, kind);
                        }
                        None if self.holds_always(name, option) => {}
                        None => {
                            let text =
                                format!("-m {name} {}", self.line.get(option.start..option.end).unwrap_or_default());
                            self.push(false, MatchKind::Unknown(text.into()));
                        }
                    }
                }
                true
            }
            "multiport" | "addrtype" => match options.as_slice() {
                [option] => match self.one(name, option) {
                    Some(kind) => {
                        self.push(option.negated, kind);
                        true
                    }
                    None => false,
                },
                [first, second] if name == "addrtype" && first.name != second.name => {
                    match (self.one(name, first), self.one(name, second)) {
                        (Some(one), Some(other)) => {
                            self.push(first.negated, one);
                            self.push(second.negated, other);
                            true
                        }
                        _ => false,
                    }
                }
                _ => false,
            },
            "limit" => self.limit(&options).is_some(),
            "hashlimit" => self.hashlimit(&options).is_some(),
            "connlimit" => self.connlimit(&options).is_some(),
            "time" => self.time(&options).is_some(),
            _ => false,
        };
        if !whole {
            self.rule.matches.truncate(before);
            self.unknown(start, end);
        }
        self.options = options;
    }

    /// Options that every packet of the rule fulfils.
    fn holds_always(&self, module: &str, option: &Opt) -> bool {
        let any_type = matches!((module, option.name), ("icmp", "--icmp-type") | ("icmp6", "--icmpv6-type"));
        any_type && !option.negated && matches!(option.value(), Some("any" | "255"))
    }

    /// A match that one option says.
    fn one(&self, module: &str, option: &Opt) -> Option<MatchKind> {
        let value = option.value();
        Some(match (module, option.name) {
            ("tcp" | "udp" | "sctp" | "dccp" | "udplite", "--dport" | "--destination-port") => {
                MatchKind::DestinationPort(PortSet::new([address::ports(value?, ':')?]))
            }
            ("tcp" | "udp" | "sctp" | "dccp" | "udplite", "--sport" | "--source-port") => {
                MatchKind::SourcePort(PortSet::new([address::ports(value?, ':')?]))
            }
            ("multiport", "--dports" | "--destination-ports") => MatchKind::DestinationPort(port_list(value?)?),
            ("multiport", "--sports" | "--source-ports") => MatchKind::SourcePort(port_list(value?)?),
            ("tcp", "--syn") if option.values.is_empty() => MatchKind::TcpFlags { mask: 0x17, set: 0x02 },
            ("tcp", "--tcp-flags") => match option.values {
                [mask, set] => MatchKind::TcpFlags { mask: tcp_flags(mask.text)?, set: tcp_flags(set.text)? },
                _ => return None,
            },
            ("icmp", "--icmp-type") if self.family == Family::Ipv4 && value != Some("any") && value != Some("255") => {
                MatchKind::IcmpType(names::icmp::lookup(Family::Ipv4, value?)?.into())
            }
            ("icmp6", "--icmpv6-type") if self.family == Family::Ipv6 && value != Some("any") => {
                MatchKind::IcmpType(names::icmp::lookup(Family::Ipv6, value?)?.into())
            }
            ("conntrack", "--ctstate") => match value? {
                "DNAT" => MatchKind::DestinationTranslated,
                "SNAT" => MatchKind::SourceTranslated,
                list => MatchKind::State(states(list)?),
            },
            ("state", "--state") => MatchKind::State(states(value?)?),
            ("conntrack", "--ctdir") if matches!(value, Some("ORIGINAL" | "REPLY")) && !option.negated => {
                MatchKind::DirectionOriginal
            }
            ("conntrack", "--ctorigsrc") => MatchKind::OriginalSource(self.addresses(value?)?),
            ("conntrack", "--ctorigdst") => MatchKind::OriginalDestination(self.addresses(value?)?),
            ("conntrack", "--ctorigdstport") => {
                MatchKind::OriginalDestinationPort(PortSet::new([address::ports(value?, ':')?]))
            }
            ("addrtype", "--dst-type") => match value? {
                "LOCAL" => MatchKind::DestinationLocal,
                "MULTICAST" => MatchKind::DestinationMulticast,
                "BROADCAST" => MatchKind::DestinationBroadcast,
                _ => return None,
            },
            ("addrtype", "--src-type") if value? == "LOCAL" => MatchKind::SourceLocal,
            ("physdev", "--physdev-in") => MatchKind::InPort([card(value?)].into()),
            ("physdev", "--physdev-out") => MatchKind::OutPort([card(value?)].into()),
            ("physdev", "--physdev-is-bridged") if option.values.is_empty() => MatchKind::Bridged,
            ("iprange", "--src-range") => MatchKind::Source(self.addresses(value?)?),
            ("iprange", "--dst-range") => MatchKind::Destination(self.addresses(value?)?),
            ("mark", "--mark") => {
                let (value, mask) = masked(value?)?;
                MatchKind::Mark { value, mask }
            }
            ("mac", "--mac-source") => MatchKind::SourceMac(thin_vec![value?.parse().ok()?]),
            // `1000-2000` are all users with such a number.
            ("owner", "--uid-owner")
                if !value?.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
                    || address::number(value?).is_some() =>
            {
                MatchKind::User(value?.into())
            }
            _ => return None,
        })
    }

    fn limit(&mut self, options: &[Opt]) -> Option<()> {
        // xt_limit's own burst, which the listing leaves out.
        let mut limit = Limit { count: 3, seconds: 3600, burst: 5, source_prefix: None, name: Arc::from("") };
        for option in options {
            match (option.name, option.negated) {
                ("--limit", false) => (limit.count, limit.seconds) = rate(option.value()?)?,
                ("--limit-burst", false) => limit.burst = address::number(option.value()?)?,
                _ => return None,
            }
        }
        self.push(false, MatchKind::Limit(Box::new(limit)));
        Some(())
    }

    /// Modelled: packets by source. What the hash table's own parameters say concerns its memory.
    fn hashlimit(&mut self, options: &[Opt]) -> Option<()> {
        let whole = if self.family == Family::Ipv4 { 32 } else { 128 };
        let mut limit = Limit { count: 0, seconds: 1, burst: 5, source_prefix: None, name: Arc::from("") };
        let mut prefix = whole;
        let mut above = false;
        for option in options.iter().filter(|option| !option.name.starts_with("--hashlimit-htable-")) {
            let value = option.value()?;
            match (option.name, option.negated) {
                ("--hashlimit-upto" | "--hashlimit", false) | ("--hashlimit-above", true) => {
                    (limit.count, limit.seconds) = rate(value)?;
                }
                ("--hashlimit-above", false) | ("--hashlimit-upto", true) => {
                    (limit.count, limit.seconds) = rate(value)?;
                    above = true;
                }
                ("--hashlimit-burst", false) => limit.burst = address::number(value)?,
                ("--hashlimit-mode", false) if value == "srcip" => limit.source_prefix = Some(whole),
                ("--hashlimit-srcmask", false) => prefix = value.parse().ok().filter(|prefix| *prefix <= whole)?,
                ("--hashlimit-name", false) => limit.name = Arc::from(value),
                _ => return None,
            }
        }
        limit.source_prefix = Some(limit.source_prefix.map(|_| prefix)?);
        (limit.count > 0).then(|| self.push(above, MatchKind::Limit(Box::new(limit))))
    }

    fn connlimit(&mut self, options: &[Opt]) -> Option<()> {
        let mut found = None;
        let mut source_prefix = if self.family == Family::Ipv4 { 32 } else { 128 };
        for option in options {
            match option.name {
                "--connlimit-above" | "--connlimit-upto" => {
                    let over = (option.name == "--connlimit-above") != option.negated;
                    found = Some((over, address::number(option.value()?)?));
                }
                "--connlimit-mask" if !option.negated => {
                    source_prefix = option.value()?.parse().ok().filter(|prefix| *prefix <= source_prefix)?;
                }
                "--connlimit-saddr" if !option.negated && option.values.is_empty() => {}
                _ => return None,
            }
        }
        let (over, count) = found?;
        self.push(!over, MatchKind::ConnectionsAbove { count, source_prefix, name: Arc::from("") });
        Some(())
    }

    /// Modelled in the kernel's local time alone, and by the minute.
    fn time(&mut self, options: &[Opt]) -> Option<()> {
        let (mut from, mut to, mut days, mut local) = (None, None, 0x7f, false);
        for option in options {
            match (option.name, option.negated) {
                ("--timestart", false) => from = Some(clock(option.value()?)?),
                ("--timestop", false) => to = Some(clock(option.value()?)?),
                ("--kerneltz", false) => local = true,
                // The ends of time, which iptables-nft lists where none was asked for.
                ("--datestart", false) if option.value()? == "1970-01-01T00:00:00" => {}
                ("--datestop", false) if option.value()? == "2038-01-19T03:14:07" => {}
                ("--weekdays", negated) => {
                    days = 0;
                    for day in option.value()?.split(',') {
                        days |= 1 << SHORT_DAYS.iter().position(|name| *name == day)?;
                    }
                    days = if negated { !days & 0x7f } else { days };
                }
                _ => return None,
            }
        }
        let times = match (from, to) {
            (None, None) => None,
            (from, to) => Some((from.unwrap_or(0), to.unwrap_or(24 * 60))),
        };
        local.then(|| self.push(false, MatchKind::Time { days, times }))
    }
}

fn port_list(text: &str) -> Option<PortSet> {
    text.split(',').map(|part| address::ports(part, ':')).collect()
}

fn tcp_flags(text: &str) -> Option<u8> {
    match text {
        "ALL" => return Some(0x3f),
        "NONE" => return Some(0),
        _ => {}
    }
    text.split(',').try_fold(0, |bits, name| {
        ["FIN", "SYN", "RST", "PSH", "ACK", "URG"].iter().position(|known| *known == name).map(|at| bits | 1 << at)
    })
}

/// Whether a match on connections has a test of states that may hold for a packet without a connection.
fn holds_unconnected(option: &Opt) -> bool {
    let unconnected = |name: &str| matches!(name, "INVALID" | "UNTRACKED");
    let named = option.value().map_or(0, |list| list.split(',').filter(|name| unconnected(name)).count());
    option.name == "--ctstate" && if option.negated { named < 2 } else { named > 0 }
}

fn states(text: &str) -> Option<u8> {
    text.split(',').try_fold(0, |bits, name| {
        Some(
            bits | match name {
                "NEW" => State::NEW,
                "ESTABLISHED" => State::ESTABLISHED,
                "RELATED" => State::RELATED,
                "INVALID" => State::INVALID,
                "UNTRACKED" => State::UNTRACKED,
                _ => return None,
            },
        )
    })
}

/// `10/min`, as the listing writes it, or `10/minute`.
fn rate(text: &str) -> Option<(u32, u32)> {
    let (count, unit) = text.split_once('/').unwrap_or((text, "second"));
    let seconds = match unit {
        "s" | "sec" | "second" => 1,
        "m" | "min" | "minute" => 60,
        "h" | "hour" => 3600,
        "d" | "day" => 86_400,
        _ => return None,
    };
    Some((address::number(count)?, seconds))
}

/// Minutes from `08:00` or `08:00:00`; the last second of the day is its end.
fn clock(text: &str) -> Option<u16> {
    if text == "23:59:59" {
        return Some(24 * 60);
    }
    let mut parts = text.split(':');
    let (hour, minute) = (address::port(parts.next()?)?, address::port(parts.next()?)?);
    let whole = parts.next().is_none_or(|second| second == "00") && parts.next().is_none();
    (whole && hour < 24 && minute < 60).then_some(hour * 60 + minute)
}
