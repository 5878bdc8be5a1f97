//! What the modules of `-m` compare.

use std::sync::Arc;

use thin_vec::thin_vec;

use super::parse::{Instance, Opt};
use super::{Builder, canonical, card, icmp_types, mac, masked, rate, states};
use crate::net::hours::SHORT_DAYS;
use crate::net::{Family, PortSet};
use crate::netfilter::{Limit, Match, MatchKind, State};
use crate::read::address;

impl<'t> Builder<'t, '_> {
    /// A match with its options. Some matches' options hold apart from one another; of the others, all are modelled or the whole match is
    /// kept by its text.
    pub(super) fn module(&mut self, instance: &Instance<'t>) {
        let (name, options) = (instance.name, instance.options.as_slice());
        let before = self.rule.matches.len();
        let whole = match name {
            _ if options.iter().any(Opt::is_open) => false,
            "comment" => {
                for option in options {
                    if let ("--comment", [value]) = (option.name, option.values.as_slice()) {
                        self.remark(&value.value());
                    }
                }
                true
            }
            // Of a packet without a connection the states alone are asked, whatever stands beside them (`conntrack_mt`).
            "conntrack" if options.len() > 1 && options.iter().any(holds_unconnected) => false,
            "tcp" | "udp" | "sctp" | "dccp" | "udplite" | "icmp" | "icmp6" | "conntrack" | "state" | "physdev"
            | "iprange" | "mark" | "connmark" | "mac" | "owner" => {
                for option in options {
                    self.apart(name, option);
                }
                true
            }
            "multiport" | "addrtype" => match options {
                [option] => match self.one(name, option) {
                    Some(kind) => {
                        self.push(option.negated, kind);
                        true
                    }
                    None => self.either_port(option),
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
            "limit" => self.limit(options).is_some(),
            "hashlimit" => self.hashlimit(options).is_some(),
            "connlimit" => self.connlimit(options).is_some(),
            "time" => self.time(options).is_some(),
            _ => false,
        };
        if !whole {
            self.rule.matches.truncate(before);
            let text = canonical::text(instance, self.family).unwrap_or_else(|| instance.text(self.line));
            self.unknown(text);
        }
    }

    /// An option that holds apart from the others of its match.
    fn apart(&mut self, name: &str, option: &Opt<'t>) {
        if matches!(option.name, "--ctstate" | "--state")
            && let Some(asked) = option.value().and_then(states)
        {
            return self.states(name, option, asked);
        }
        match self.one(name, option) {
            Some(kind) => {
                let flips =
                    option.name == "--ctdir" && option.value().is_some_and(|value| value.eq_ignore_ascii_case("REPLY"));
                self.push(option.negated != flips, kind);
            }
            None if self.holds_always(name, option) => {}
            None => self.unknown(format!("-m {name} {}", self.text(option))),
        }
    }

    /// One of several states, of which translation is no state of its own: a packet of any may be translated.
    fn states(&mut self, name: &str, option: &Opt<'t>, asked: super::States) {
        let negated = option.negated;
        let text = format!("-m {name} {}", self.text(option));
        let parts = [
            (asked.bits != 0, MatchKind::State(asked.bits)),
            (asked.source_translated, MatchKind::SourceTranslated),
            (asked.destination_translated, MatchKind::DestinationTranslated),
        ];
        let mut parts: Vec<Match> =
            parts.into_iter().filter(|(asked, _)| *asked).map(|(_, kind)| Match { negated, kind }).collect();
        if parts.len() == 1 || negated {
            self.rule.matches.append(&mut parts);
        } else if self.alternatives.is_empty() {
            self.alternatives = parts;
            self.alternatives_text = text;
        } else {
            self.unknown(text);
        }
    }

    /// `--ports`: the source's or the destination's.
    fn either_port(&mut self, option: &Opt<'t>) -> bool {
        let set = option.value().and_then(port_list).filter(|_| option.name == "--ports");
        let Some(set) = set else { return false };
        let parts = [MatchKind::SourcePort(set.clone()), MatchKind::DestinationPort(set)];
        let mut parts = parts.map(|kind| Match { negated: option.negated, kind }).to_vec();
        if option.negated {
            self.rule.matches.append(&mut parts);
        } else if self.alternatives.is_empty() {
            self.alternatives = parts;
            self.alternatives_text = format!("-m multiport {}", self.text(option));
        } else {
            return false;
        }
        true
    }

    /// Options that every packet of the rule fulfils.
    fn holds_always(&self, module: &str, option: &Opt<'_>) -> bool {
        let any_type = matches!((module, option.name), ("icmp", "--icmp-type") | ("icmp6", "--icmpv6-type"));
        any_type
            && !option.negated
            && option
                .value()
                .is_some_and(|value| value.eq_ignore_ascii_case("any") || value == "255" && module == "icmp")
    }

    /// A match that one option says.
    fn one(&self, module: &str, option: &Opt<'_>) -> Option<MatchKind> {
        let value = option.value();
        Some(match (module, option.name) {
            ("tcp" | "udp" | "sctp" | "dccp" | "udplite", "--dport" | "--destination-port") => {
                MatchKind::DestinationPort(PortSet::new([address::named_ports(value?, ':')?]))
            }
            ("tcp" | "udp" | "sctp" | "dccp" | "udplite", "--sport" | "--source-port") => {
                MatchKind::SourcePort(PortSet::new([address::named_ports(value?, ':')?]))
            }
            ("multiport", "--dports" | "--destination-ports") => MatchKind::DestinationPort(port_list(value?)?),
            ("multiport", "--sports" | "--source-ports") => MatchKind::SourcePort(port_list(value?)?),
            ("tcp", "--syn") if option.values.is_empty() => MatchKind::TcpFlags { mask: 0x17, set: 0x02 },
            ("tcp", "--tcp-flags") => match option.values.as_slice() {
                [mask, set] => MatchKind::TcpFlags { mask: tcp_flags(mask.text)?, set: tcp_flags(set.text)? },
                _ => return None,
            },
            ("icmp", "--icmp-type") | ("icmp6", "--icmpv6-type") if !self.holds_always(module, option) => {
                MatchKind::IcmpType(icmp_types(self.family, value?)?.into())
            }
            ("conntrack", "--ctdir") => MatchKind::DirectionOriginal,
            ("conntrack", "--ctorigsrc") => MatchKind::OriginalSource(self.addresses(value?)?),
            ("conntrack", "--ctorigdst") => MatchKind::OriginalDestination(self.addresses(value?)?),
            ("conntrack", "--ctorigdstport") => {
                MatchKind::OriginalDestinationPort(PortSet::new([address::named_ports(value?, ':')?]))
            }
            ("addrtype", "--dst-type") => match &*value?.to_ascii_uppercase() {
                "LOCAL" => MatchKind::DestinationLocal,
                "MULTICAST" => MatchKind::DestinationMulticast,
                "BROADCAST" => MatchKind::DestinationBroadcast,
                _ => return None,
            },
            ("addrtype", "--src-type") if value?.eq_ignore_ascii_case("LOCAL") => MatchKind::SourceLocal,
            ("physdev", "--physdev-in") => MatchKind::InPort([card(value?)].into()),
            ("physdev", "--physdev-out") => MatchKind::OutPort([card(value?)].into()),
            ("physdev", "--physdev-is-bridged") if option.values.is_empty() => MatchKind::Bridged,
            ("iprange", "--src-range") => MatchKind::Source(self.range(value?)?),
            ("iprange", "--dst-range") => MatchKind::Destination(self.range(value?)?),
            ("mark", "--mark") => {
                let (value, mask) = masked(value?)?;
                MatchKind::Mark { value, mask }
            }
            ("connmark", "--mark") => {
                let (value, mask) = masked(value?)?;
                MatchKind::ConnectionMark { value, mask }
            }
            ("mac", "--mac-source") => MatchKind::SourceMac(thin_vec![mac(value?)?]),
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

    fn limit(&mut self, options: &[Opt<'_>]) -> Option<()> {
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
    fn hashlimit(&mut self, options: &[Opt<'_>]) -> Option<()> {
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

    fn connlimit(&mut self, options: &[Opt<'_>]) -> Option<()> {
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
    fn time(&mut self, options: &[Opt<'_>]) -> Option<()> {
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
                        days |= 1
                            << SHORT_DAYS
                                .iter()
                                .position(|name| day.len() >= 2 && name.get(..2) == day.get(..2))
                                .or_else(|| address::port(day)?.checked_sub(1).map(usize::from))?;
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
    text.split(',').map(|part| address::named_ports(part, ':')).collect()
}

fn tcp_flags(text: &str) -> Option<u8> {
    let names = ["FIN", "SYN", "RST", "PSH", "ACK", "URG"];
    text.split(',').try_fold(0, |bits, name| match &*name.to_ascii_uppercase() {
        "ALL" => Some(0x3f),
        "NONE" => Some(bits),
        name => names.iter().position(|known| *known == name).map(|at| bits | 1 << at),
    })
}

/// Whether a match on connections has a test of states that may hold for a packet without a connection.
fn holds_unconnected(option: &Opt<'_>) -> bool {
    let unconnected = State::INVALID | State::UNTRACKED;
    let Some(asked) = option.value().filter(|_| option.name == "--ctstate").and_then(states) else { return false };
    let named = (asked.bits & unconnected).count_ones();
    if option.negated { named < 2 } else { named > 0 }
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
