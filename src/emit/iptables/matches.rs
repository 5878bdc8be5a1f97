//! What a rule compares, in the words of iptables: which lines a match takes, and what each of them says.

use super::super::CARD_HELP;
use super::{INCOMPLETE_MATCH, NOT_IN_BACK_END, RATE_OUT_OF_RANGE, UNUSABLE_TEXT, Writer, ipset, write};
use crate::net::hours::SHORT_DAYS;
use crate::net::{AddressRange, AddressSet, Card, Family, Mac, PortRange, Protocol};
use crate::netfilter::{IcmpType, Limit, Match, MatchKind, Rule, SetField, State as Track};

/// Ports in one multiport match; a range counts two (`XT_MULTI_PORTS`).
const MULTIPORT: usize = 15;

/// Address lists up to this length are multiplied out, longer ones become a set: a line costs about as much as a look-up.
const LINES_FOR_ADDRESSES: usize = 5;

/// Multiport matches up to this number are multiplied out, more become a set.
const LINES_FOR_PORTS: usize = 4;

/// One match in the words of iptables: the alternatives among which a line takes one each.
pub(super) enum Part<'r> {
    Words(&'r Match),
    Cards(&'static str, bool, Vec<&'r Card>),
    Addresses(Side, bool, &'r AddressSet),
    AddressSet(Side, bool, String),
    Original(Side, bool, Vec<AddressRange>),
    Protocols(bool, &'r [Protocol]),
    Ports(Side, bool, Vec<&'r [PortRange]>),
    PortSet(Side, bool, String),
    OriginalPorts(bool, &'r [PortRange]),
    Icmp(bool, &'r [IcmpType]),
    Macs(bool, &'r [Mac]),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Source,
    Destination,
}

/// So many seconds may a whole burst take to grow again. xt_limit and xt_hashlimit reckon in credits, of which a day has nearly as many
/// as their numbers hold (`user2credits` in net/netfilter/xt_limit.c); with a timer of 300 Hz that is least, of those in use.
/// Beyond it the kernel refuses the rule, and with it the file.
const LONGEST_BURST: u64 = 111_848;

impl Part<'_> {
    /// How many lines it takes. Negated lists take one: all their members are denied in the same line.
    pub(super) fn count(&self) -> usize {
        match self {
            Self::Words(_) | Self::AddressSet(..) | Self::PortSet(..) => 1,
            Self::Cards(_, negated, list) => alternatives(*negated, list.len()),
            Self::Addresses(_, negated, set) => alternatives(*negated, set.ranges().len()),
            Self::Original(_, negated, list) => alternatives(*negated, list.len()),
            Self::Protocols(negated, list) => alternatives(*negated, list.len()),
            Self::Ports(_, negated, list) => alternatives(*negated, list.len()),
            Self::OriginalPorts(negated, list) => alternatives(*negated, list.len()),
            Self::Icmp(negated, list) => alternatives(*negated, list.len()),
            Self::Macs(negated, list) => alternatives(*negated, list.len()),
        }
    }
}

impl<'a, 's> Writer<'a, 's> {
    /// The rule's matches in iptables' words, and how many lines they take together; `None` if no packet matches.
    pub(super) fn parts<'r>(
        &mut self,
        rule: &'r Rule,
        wanted: impl Fn(&Match) -> bool,
    ) -> Option<(Vec<Part<'r>>, usize)> {
        let mut parts: Vec<Part<'r>> = Vec::with_capacity(rule.matches.len());
        let protocol = protocol(rule);
        let mut product = 1usize;
        for item in rule.matches.iter().filter(|item| wanted(item)) {
            let negated = item.negated;
            // A line of a `chain` block is in the words of one tool or the other; all of iptables' begin with a dash.
            if let MatchKind::Unknown(text) = &item.kind
                && !text.starts_with(['-', '!'])
            {
                let message = format!("`{text}` is not written in iptables' words");
                self.fault(&NOT_IN_BACK_END, rule, message, "choose the nft target, or say it in the language");
            }
            let part = match &item.kind {
                MatchKind::InInterface(cards) => self.cards("-i", negated, cards, rule)?,
                MatchKind::OutInterface(cards) => self.cards("-o", negated, cards, rule)?,
                MatchKind::InPort(cards) => self.cards("-m physdev --physdev-in", negated, cards, rule)?,
                MatchKind::OutPort(cards) => self.cards("-m physdev --physdev-out", negated, cards, rule)?,
                MatchKind::Source(set) => self.addresses(Side::Source, negated, set)?,
                MatchKind::Destination(set) => self.addresses(Side::Destination, negated, set)?,
                MatchKind::OriginalSource(set) => Some(Part::Original(Side::Source, negated, prefixes(set))),
                MatchKind::OriginalDestination(set) => Some(Part::Original(Side::Destination, negated, prefixes(set))),
                MatchKind::Protocol(list) => {
                    if list.contains(&Protocol(0)) {
                        let message = "iptables reads protocol 0 as any protocol".to_owned();
                        self.fault(&NOT_IN_BACK_END, rule, message, "leave protocol 0 out, or choose the nft target");
                    }
                    Some(Part::Protocols(negated, list))
                }
                MatchKind::SourcePort(ports) => self.ports(Side::Source, negated, ports.ranges(), protocol, rule),
                MatchKind::DestinationPort(ports) => {
                    self.ports(Side::Destination, negated, ports.ranges(), protocol, rule)
                }
                MatchKind::OriginalDestinationPort(ports) => {
                    self.need_ports(protocol, rule);
                    Some(Part::OriginalPorts(negated, ports.ranges()))
                }
                MatchKind::IcmpType(list) => {
                    if protocol.is_none() {
                        let message = "an ICMP type is compared without saying `icmp`".to_owned();
                        self.fault(&INCOMPLETE_MATCH, rule, message, "name the protocol: `icmp` or `icmpv6`");
                    }
                    Some(Part::Icmp(negated, list))
                }
                MatchKind::SourceMac(list) => Some(Part::Macs(negated, list)),
                MatchKind::InSet(asked) => match self.sets.families.get(&asked.set) {
                    Some(Some(family)) if *family != self.family => {
                        if negated {
                            None
                        } else {
                            return None;
                        }
                    }
                    _ => {
                        if asked.fields.contains(&SetField::OriginalService) {
                            let message = "an ipset cannot hold the port that the client dialled".to_owned();
                            self.fault(
                                &NOT_IN_BACK_END,
                                rule,
                                message,
                                "choose the nft target, or compare the port in a rule",
                            );
                        }
                        Some(Part::Words(item))
                    }
                },
                _ => Some(Part::Words(item)),
            };
            if let Some(part) = part {
                product = product.saturating_mul(part.count());
                parts.push(part);
            }
        }
        for item in &rule.matches {
            if let MatchKind::Limit(limit) = &item.kind {
                self.check_limit(limit, rule);
            }
        }
        Some((parts, product))
    }

    /// Whether the kernel can count it.
    pub(super) fn check_limit(&mut self, limit: &Limit, rule: &Rule) {
        let scale: u64 = if limit.source_prefix.is_some() { 1_000_000 } else { 10_000 };
        let average = scale * u64::from(limit.seconds) / u64::from(limit.count.max(1));
        let whole = average.saturating_mul(u64::from(limit.burst));
        let fits = average > 0 && limit.count > 0 && limit.burst > 0;
        if !fits || whole > scale * LONGEST_BURST {
            let message = format!(
                "the kernel cannot count {} in {} s with a burst of {}",
                limit.count, limit.seconds, limit.burst
            );
            let most = LONGEST_BURST.saturating_mul(u64::from(limit.count)) / u64::from(limit.seconds.max(1));
            let help = match most {
                0 => "take a higher rate".to_owned(),
                _ => format!("let at most {most} come at once: `burst {most}`; or take a shorter time"),
            };
            self.fault(&RATE_OUT_OF_RANGE, rule, message, if fits { &help } else { "take a lower rate" });
        }
    }

    /// Outer `None`: never matches. Inner `None`: always does.
    #[allow(clippy::option_option)]
    pub(super) fn cards<'r>(
        &mut self,
        flag: &'static str,
        negated: bool,
        cards: &'r [Card],
        rule: &Rule,
    ) -> Option<Option<Part<'r>>> {
        for card in cards {
            if !card.is_writable() {
                let message = format!("`{}` cannot be matched as an interface name", card.name);
                self.fault(&UNUSABLE_TEXT, rule, message, CARD_HELP);
            }
        }
        if flag.len() == 2 && cards.iter().any(|card| card.prefix && card.name.is_empty()) {
            return if negated { None } else { Some(None) };
        }
        Some(Some(Part::Cards(flag, negated, distinct(cards))))
    }

    #[allow(clippy::option_option)]
    pub(super) fn addresses<'r>(&mut self, side: Side, negated: bool, set: &'r AddressSet) -> Option<Option<Part<'r>>> {
        let ranges = set.ranges();
        if let [range] = &*ranges
            && write::prefix_length(range) == Some(0)
        {
            return if negated { None } else { Some(None) };
        }
        if ranges.len() > LINES_FOR_ADDRESSES {
            return Some(Some(Part::AddressSet(side, negated, self.sets.addresses(self.family, &ranges).to_owned())));
        }
        Some(Some(Part::Addresses(side, negated, set)))
    }

    pub(super) fn need_ports(&mut self, protocol: Option<&[Protocol]>, rule: &Rule) {
        if !protocol.is_some_and(|list| list.iter().all(|protocol| protocol.has_ports())) {
            let message = "a port is compared without a protocol that has ports".to_owned();
            self.fault(
                &INCOMPLETE_MATCH,
                rule,
                message,
                "name the protocol: `tcp`, `udp`, `sctp`, `dccp` or `udplite`",
            );
        }
    }

    pub(super) fn ports<'r>(
        &mut self,
        side: Side,
        negated: bool,
        ranges: &'r [PortRange],
        protocol: Option<&[Protocol]>,
        rule: &Rule,
    ) -> Option<Part<'r>> {
        self.need_ports(protocol, rule);
        let mut chunks: Vec<&[PortRange]> = Vec::with_capacity(1);
        let mut rest = ranges;
        while !rest.is_empty() {
            let mut slots = 0;
            let fit = rest
                .iter()
                .take_while(|range| {
                    slots += if range.first == range.last { 1 } else { 2 };
                    slots <= MULTIPORT
                })
                .count();
            let (chunk, after) = rest.split_at(fit);
            chunks.push(chunk);
            rest = after;
        }
        // The kernel's port sets know TCP, UDP, SCTP and UDP-Lite (`ip_set_get_ip4_port`).
        let in_sets = protocol.is_some_and(|list| !list.contains(&Protocol(33)));
        if chunks.len() > LINES_FOR_PORTS && in_sets {
            return Some(Part::PortSet(side, negated, self.sets.ports(ranges).to_owned()));
        }
        Some(Part::Ports(side, negated, chunks))
    }

    pub(super) fn part(&mut self, out: &mut String, part: &Part, at: usize, protocol: &mut Option<Protocol>) {
        match part {
            Part::Words(item) => self.words(out, item),
            Part::Cards(flag, negated, cards) => {
                for card in chosen(*negated, cards, at) {
                    match flag.rsplit_once(' ') {
                        Some((module, option)) => {
                            out.push(' ');
                            out.push_str(module);
                            not(out, *negated);
                            out.push_str(option);
                        }
                        None => {
                            not(out, *negated);
                            out.push_str(flag);
                        }
                    }
                    out.push(' ');
                    out.push_str(&card.name);
                    if card.prefix {
                        out.push('+');
                    }
                }
            }
            Part::Addresses(side, negated, set) => {
                let ranges = set.ranges();
                let list = chosen(*negated, &ranges, at);
                for range in list {
                    let source = *side == Side::Source;
                    // `-s` can stand once in a line; iprange matches can be repeated.
                    if list.len() == 1 && write::prefix_length(range).is_some() {
                        not(out, *negated);
                        out.push_str(if source { "-s " } else { "-d " });
                        write::range(out, range);
                    } else {
                        out.push_str(" -m iprange");
                        not(out, *negated);
                        out.push_str(if source { "--src-range " } else { "--dst-range " });
                        write::address(out, range.first);
                        out.push('-');
                        write::address(out, range.last);
                    }
                }
            }
            Part::AddressSet(side, negated, name) | Part::PortSet(side, negated, name) => {
                out.push_str(" -m set");
                not(out, *negated);
                out.push_str("--match-set ");
                out.push_str(name);
                out.push_str(if *side == Side::Source { " src" } else { " dst" });
            }
            Part::Original(side, negated, ranges) => {
                let words = if *side == Side::Source { "--ctorigsrc " } else { "--ctorigdst " };
                for range in chosen(*negated, ranges, at) {
                    conntrack(out, *negated, words);
                    write::range(out, range);
                }
            }
            Part::Protocols(negated, list) => {
                for one in chosen(*negated, list, at) {
                    if !negated {
                        *protocol = Some(*one);
                    }
                    not(out, *negated);
                    out.push_str("-p ");
                    match *one {
                        Protocol::ICMPV6 => out.push_str("ipv6-icmp"),
                        Protocol::TCP | Protocol::UDP | Protocol::ICMP | Protocol::SCTP => {
                            out.push_str(one.name().unwrap_or(""));
                        }
                        Protocol(other) => write::number(out, other),
                    }
                }
            }
            Part::Ports(side, negated, chunks) => {
                for chunk in chosen(*negated, chunks, at) {
                    ports(out, *side, *negated, chunk, *protocol);
                }
            }
            Part::OriginalPorts(negated, list) => {
                for range in chosen(*negated, list, at) {
                    conntrack(out, *negated, "--ctorigdstport ");
                    port_range(out, *range);
                }
            }
            Part::Icmp(negated, list) => {
                for kind in chosen(*negated, list, at) {
                    out.push_str(if self.family == Family::Ipv4 { " -m icmp" } else { " -m icmp6" });
                    not(out, *negated);
                    out.push_str(if self.family == Family::Ipv4 { "--icmp-type " } else { "--icmpv6-type " });
                    write::number(out, kind.kind);
                    if let Some(code) = kind.code {
                        out.push('/');
                        write::number(out, code);
                    }
                }
            }
            Part::Macs(negated, list) => {
                for mac in chosen(*negated, list, at) {
                    out.push_str(" -m mac");
                    not(out, *negated);
                    out.push_str("--mac-source ");
                    out.push_str(&mac.to_string());
                }
            }
        }
    }

    /// Matches that always have one wording.
    pub(super) fn words(&mut self, out: &mut String, item: &Match) {
        let option = |out: &mut String, module: &str, option: &str| {
            out.push_str(module);
            not(out, item.negated);
            out.push_str(option);
        };
        match &item.kind {
            MatchKind::Bridged => option(out, " -m physdev", "--physdev-is-bridged"),
            MatchKind::DestinationLocal => option(out, " -m addrtype", "--dst-type LOCAL"),
            MatchKind::SourceLocal => option(out, " -m addrtype", "--src-type LOCAL"),
            MatchKind::DestinationBroadcast => option(out, " -m addrtype", "--dst-type BROADCAST"),
            MatchKind::DestinationMulticast => option(out, " -m addrtype", "--dst-type MULTICAST"),
            MatchKind::TcpFlags { mask, set } => {
                option(out, " -m tcp", "--tcp-flags ");
                tcp_flags(out, *mask);
                out.push(' ');
                tcp_flags(out, *set);
            }
            MatchKind::State(bits) => {
                option(out, " -m conntrack", "--ctstate ");
                states(out, *bits);
            }
            MatchKind::DirectionOriginal => {
                conntrack(out, false, "--ctdir ");
                out.push_str(if item.negated { "REPLY" } else { "ORIGINAL" });
            }
            MatchKind::DestinationTranslated => {
                // Negated it would hold for a packet without a connection, whatever stands beside it in the same match.
                if item.negated {
                    out.push_str(" -m conntrack ! --ctstate DNAT");
                } else {
                    conntrack(out, false, "--ctstate DNAT");
                }
            }
            MatchKind::SourceTranslated => option(out, " -m conntrack", "--ctstate SNAT"),
            MatchKind::Mark { value, mask } => {
                option(out, " -m mark", "--mark ");
                masked(out, *value, *mask);
            }
            MatchKind::ConnectionMark { value, mask } => {
                option(out, " -m connmark", "--mark ");
                masked(out, *value, *mask);
            }
            MatchKind::User(name) => {
                option(out, " -m owner", "--uid-owner ");
                out.push_str(name);
            }
            MatchKind::InSet(asked) => {
                option(out, " -m set", "--match-set ");
                out.push_str(&asked.set);
                out.push(' ');
                out.push_str(&ipset::flags(&asked.fields));
            }
            MatchKind::Limit(limit) => self.limit(out, limit),
            MatchKind::ConnectionsAbove { count, source_prefix, .. } => {
                out.push_str(" -m connlimit --connlimit-above ");
                write::number(out, *count);
                out.push_str(" --connlimit-mask ");
                write::number(
                    out,
                    if self.family == Family::Ipv6 && *source_prefix == 32 { 64 } else { *source_prefix },
                );
                out.push_str(" --connlimit-saddr");
            }
            MatchKind::Time { days, times } => {
                out.push_str(" -m time");
                if let Some((from, to)) = times {
                    out.push_str(" --timestart ");
                    clock(out, *from);
                    out.push_str(" --timestop ");
                    clock(out, *to);
                }
                if *days & 0x7f != 0x7f {
                    out.push_str(" --weekdays ");
                    list(out, *days, &SHORT_DAYS);
                }
                out.push_str(" --kerneltz");
            }
            MatchKind::Unknown(text) => {
                out.push(' ');
                write::plain(out, text);
            }
            // The others are parts with alternatives.
            _ => {}
        }
    }

    pub(super) fn limit(&self, out: &mut String, limit: &Limit) {
        let Some(prefix) = limit.source_prefix else {
            out.push_str(" -m limit --limit ");
            rate(out, limit);
            out.push_str(" --limit-burst ");
            write::number(out, limit.burst);
            return;
        };
        let prefix = if self.family == Family::Ipv6 && prefix == 32 { 64 } else { prefix };
        out.push_str(" -m hashlimit --hashlimit-upto ");
        rate(out, limit);
        out.push_str(" --hashlimit-burst ");
        write::number(out, limit.burst);
        out.push_str(" --hashlimit-mode srcip --hashlimit-srcmask ");
        write::number(out, prefix);
        out.push_str(" --hashlimit-name ");
        out.push_str(&hashlimit_name(limit));
        // A source is forgotten when its whole burst has come back.
        out.push_str(" --hashlimit-htable-expire ");
        let back = u64::from(limit.seconds) * 1000 * u64::from(limit.burst.max(1)) / u64::from(limit.count.max(1));
        write::number(out, back.clamp(10_000, 86_400_000));
    }
}

pub(super) fn alternatives(negated: bool, count: usize) -> usize {
    if negated { 1 } else { count }
}

/// The members that one line names: one of a list, all of a negated one.
pub(super) fn chosen<T>(negated: bool, list: &[T], at: usize) -> &[T] {
    if negated { list } else { list.get(at..=at).unwrap_or(&[]) }
}

/// The protocols that a rule asks for.
pub(super) fn protocol(rule: &Rule) -> Option<&[Protocol]> {
    rule.matches.iter().find_map(|item| match &item.kind {
        MatchKind::Protocol(list) if !item.negated => Some(&**list),
        _ => None,
    })
}

/// Cards without those that others of the list cover, so that no packet takes two alternatives.
pub(super) fn distinct(cards: &[Card]) -> Vec<&Card> {
    let mut out: Vec<&Card> = Vec::with_capacity(cards.len());
    for card in cards {
        if out.iter().any(|kept| kept.covers(card)) {
            continue;
        }
        out.retain(|kept| !card.covers(kept));
        out.push(card);
    }
    out
}

pub(super) fn not(out: &mut String, negated: bool) {
    out.push_str(if negated { " ! " } else { " " });
}

/// Begins an option of the match on connections, in the match that the line ended in, where that is one and has no such option.
/// A match that asks for states beside it holds for packets without a connection (`conntrack_mt`), and is left alone.
pub(super) fn conntrack(out: &mut String, negated: bool, option: &str) {
    let line = out.rfind('\n').and_then(|at| out.get(at..)).unwrap_or(out);
    let last = line.rfind(" -m ").and_then(|at| line.get(at..)).filter(|last| last.starts_with(" -m conntrack "));
    let states =
        |last: &str| last.contains("--ctstate") && (last.contains("! --ctstate") || !last.contains("--ctstate DNAT"));
    let joins = last.is_some_and(|last| !last.contains(option) && !states(last));
    if !joins {
        out.push_str(" -m conntrack");
    }
    not(out, negated);
    out.push_str(option);
}

pub(super) fn ports(out: &mut String, side: Side, negated: bool, ranges: &[PortRange], protocol: Option<Protocol>) {
    let source = side == Side::Source;
    if let ([range], Some(protocol @ (Protocol::TCP | Protocol::UDP))) = (ranges, protocol) {
        out.push_str(" -m ");
        out.push_str(protocol.name().unwrap_or(""));
        not(out, negated);
        out.push_str(if source { "--sport " } else { "--dport " });
        port_range(out, *range);
        return;
    }
    out.push_str(" -m multiport");
    not(out, negated);
    out.push_str(if source { "--sports " } else { "--dports " });
    for (at, range) in ranges.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        port_range(out, *range);
    }
}

pub(super) fn port_range(out: &mut String, range: PortRange) {
    write::number(out, range.first);
    if range.last != range.first {
        out.push(':');
        write::number(out, range.last);
    }
}

pub(super) fn masked(out: &mut String, value: u32, mask: u32) {
    use std::fmt::Write as _;
    // Writing to a String cannot fail.
    let _ = write!(out, "0x{value:x}/0x{mask:x}");
}

pub(super) fn list(out: &mut String, bits: u8, names: &[&str]) {
    let mut separator = "";
    for (at, name) in names.iter().enumerate() {
        if bits & (1 << at) != 0 {
            out.push_str(separator);
            out.push_str(name);
            separator = ",";
        }
    }
}

pub(super) fn states(out: &mut String, bits: u8) {
    // The constants name the bits in this order.
    const { assert!(Track::NEW == 1 && Track::UNTRACKED == 16) };
    list(out, bits, &["NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED"]);
}

pub(super) fn tcp_flags(out: &mut String, bits: u8) {
    if bits == 0 {
        out.push_str("NONE");
    } else {
        list(out, bits & 0x3f, &["FIN", "SYN", "RST", "PSH", "ACK", "URG"]);
    }
}

pub(super) fn clock(out: &mut String, minutes: u16) {
    use std::fmt::Write as _;
    if minutes >= 24 * 60 {
        out.push_str("23:59:59");
    } else {
        let _ = write!(out, "{:02}:{:02}", minutes / 60, minutes % 60);
    }
}

/// An address list as iptables' conntrack match takes it, which knows no ranges.
pub(super) fn prefixes(set: &AddressSet) -> Vec<AddressRange> {
    set.iter().flat_map(|range| range.prefixes()).map(AddressRange::from).collect()
}

pub(super) fn rate(out: &mut String, limit: &Limit) {
    write::number(out, limit.count);
    out.push_str(match limit.seconds {
        1 => "/second",
        60 => "/minute",
        3600 => "/hour",
        _ => "/day",
    });
}

/// The name of a hashlimit's table, 15 bytes at most. It follows from the limit's values too: the kernel keeps the values of a table that
/// exists already under the name (`htable_find_get`), so that an edit of a rate would go unnoticed.
pub(super) fn hashlimit_name(limit: &Limit) -> String {
    let mut hash = 0x811c_9dc5_u32;
    let values = [limit.count, limit.seconds, limit.burst, u32::from(limit.source_prefix.unwrap_or(0))];
    for byte in limit.name.bytes().chain(values.iter().flat_map(|value| value.to_be_bytes())) {
        hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    let readable: String =
        limit.name.trim_start_matches("fwc-").chars().filter(char::is_ascii_alphanumeric).take(6).collect();
    format!("{readable}-{hash:08x}")
}
