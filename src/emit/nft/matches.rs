//! What a rule compares, in the words of nft.

use super::super::{CARD_HELP, RATE_OUT_OF_RANGE};
use super::sets::{REMEMBERED, joined};
use super::{INCOMPLETE_MATCH, NOT_IN_BACK_END, UNUSABLE_TEXT, Writer, write};
use crate::net::hours::DAYS;
use crate::net::{AddressRange, Card, Family, PortRange};
use crate::netfilter::{IcmpType, Limit, LookUp, Match, MatchKind, Rule, SetField, State};

/// Address lists up to this length stand in the rule, longer ones in a set with a name.
const INLINE: usize = 5;

impl<'a, 's> Writer<'a, 's> {
    /// A packet without a connection is none that was translated, but nft says so of no such packet (`nft_ct_get_eval`).
    fn need_connection(&mut self, negated: bool, rule: &Rule) {
        let without = State::INVALID | State::UNTRACKED;
        let connected = rule.matches.iter().any(|item| match item.kind {
            MatchKind::State(bits) => (if item.negated { !bits } else { bits }) & without == 0,
            _ => false,
        });
        if negated && !connected {
            let message = "nft cannot ask whether a packet without a connection was translated".to_owned();
            self.fault(&NOT_IN_BACK_END, rule, message, "compare the connection's state in the same rule");
        }
    }

    /// Appends a match, each word after a space; `false` if it can never hold.
    pub(super) fn matching(&mut self, out: &mut String, item: &Match, rule: &Rule, family: Option<Family>) -> bool {
        let negated = item.negated;
        let ip = if family == Some(Family::Ipv6) { " ip6" } else { " ip" };
        match &item.kind {
            MatchKind::InInterface(cards) => return self.cards(out, " iifname", negated, cards, rule),
            MatchKind::OutInterface(cards) => return self.cards(out, " oifname", negated, cards, rule),
            MatchKind::InPort(cards) if self.bridge => return self.cards(out, " iifname", negated, cards, rule),
            MatchKind::OutPort(cards) if self.bridge => return self.cards(out, " oifname", negated, cards, rule),
            MatchKind::Bridged if self.bridge => return !negated,
            MatchKind::InPort(_) | MatchKind::OutPort(_) | MatchKind::Bridged => {
                let message = "nft does not see bridge ports in its inet table".to_owned();
                self.fault(&NOT_IN_BACK_END, rule, message, "match the guest in the bridge table, or by its address");
            }
            MatchKind::Source(set) => return self.addresses(out, ip, " saddr", negated, &set.ranges()),
            MatchKind::Destination(set) => return self.addresses(out, ip, " daddr", negated, &set.ranges()),
            MatchKind::OriginalDestination(set) => {
                let words = if family == Some(Family::Ipv6) { " ct original ip6" } else { " ct original ip" };
                return self.addresses(out, words, " daddr", negated, &set.ranges());
            }
            MatchKind::OriginalSource(set) => {
                let words = if family == Some(Family::Ipv6) { " ct original ip6" } else { " ct original ip" };
                return self.addresses(out, words, " saddr", negated, &set.ranges());
            }
            MatchKind::SourceLocal => {
                out.push_str(if negated { " fib saddr type != local" } else { " fib saddr type local" });
            }
            MatchKind::DestinationBroadcast => {
                out.push_str(if negated { " fib daddr type != broadcast" } else { " fib daddr type broadcast" });
            }
            MatchKind::DestinationLocal => {
                out.push_str(if negated { " fib daddr type != local" } else { " fib daddr type local" });
            }
            MatchKind::DestinationMulticast => {
                // A bridge table has no routing to ask.
                out.push_str(if self.bridge { " meta pkttype" } else { " fib daddr type" });
                out.push_str(if negated { " != multicast" } else { " multicast" });
            }
            MatchKind::Protocol(list) => {
                out.push_str(" meta l4proto");
                self.list(out, negated, list, |out, protocol| match protocol.name() {
                    Some(name @ ("tcp" | "udp" | "icmp" | "sctp" | "esp" | "ah" | "dccp" | "udplite")) => {
                        out.push_str(name)
                    }
                    Some("icmpv6") => out.push_str("ipv6-icmp"),
                    _ => write::number(out, protocol.0),
                });
            }
            MatchKind::SourcePort(ports) => {
                self.need_ports(rule);
                out.push_str(" th sport");
                self.list(out, negated, ports.ranges(), port_range);
            }
            MatchKind::DestinationPort(ports) => {
                self.need_ports(rule);
                out.push_str(" th dport");
                self.list(out, negated, ports.ranges(), port_range);
            }
            MatchKind::OriginalDestinationPort(ports) => {
                self.need_ports(rule);
                out.push_str(" ct original proto-dst");
                if let [range] = ports.ranges() {
                    out.push_str(if negated { " != " } else { " " });
                    port_range(out, range);
                } else {
                    // nft 1.0.6 lists an anonymous set here in a form that does not load again.
                    let elements = joined(ports.ranges(), port_range);
                    let name = self.named("ports", "type inet_service; flags interval;", &elements, "set");
                    out.push_str(if negated { " != @" } else { " @" });
                    out.push_str(&name);
                }
            }
            MatchKind::IcmpType(list) => return self.icmp(out, negated, list, rule, family),
            MatchKind::TcpFlags { mask, set } => {
                use std::fmt::Write as _;
                let sign = if negated { "!=" } else { "==" };
                // Writing to a String cannot fail.
                let _ = write!(out, " tcp flags & 0x{mask:x} {sign} 0x{set:x}");
            }
            MatchKind::State(bits) => {
                // The states exclude one another, so that "none of these" is "one of the others".
                let bits = if negated { !bits & 0x1f } else { bits & 0x1f };
                if bits == 0 {
                    return false;
                }
                if bits != 0x1f {
                    out.push_str(" ct state ");
                    let names = ["new", "established", "related", "invalid", "untracked"];
                    let mut separator = "";
                    for (_, name) in names.iter().enumerate().filter(|(at, _)| bits & (1 << at) != 0) {
                        out.push_str(separator);
                        out.push_str(name);
                        separator = ",";
                    }
                }
            }
            MatchKind::DirectionOriginal => {
                out.push_str(if negated { " ct direction reply" } else { " ct direction original" });
            }
            MatchKind::DestinationTranslated => {
                self.need_connection(negated, rule);
                out.push_str(if negated { " ct status & dnat == 0" } else { " ct status dnat" });
            }
            MatchKind::SourceTranslated => {
                self.need_connection(negated, rule);
                out.push_str(if negated { " ct status & snat == 0" } else { " ct status snat" });
            }
            MatchKind::Mark { value, mask } | MatchKind::ConnectionMark { value, mask } => {
                use std::fmt::Write as _;
                out.push_str(if matches!(item.kind, MatchKind::Mark { .. }) { " meta mark" } else { " ct mark" });
                if *mask != u32::MAX {
                    let _ = write!(out, " & 0x{mask:x}");
                }
                let _ = write!(out, " {} 0x{value:x}", if negated { "!=" } else { "==" });
            }
            MatchKind::SourceMac(list) => {
                out.push_str(" ether saddr");
                self.list(out, negated, list, |out, mac| out.push_str(&mac.to_string()));
            }
            MatchKind::User(name) => {
                out.push_str(if negated { " meta skuid != " } else { " meta skuid " });
                if name.bytes().all(|byte| byte.is_ascii_digit()) {
                    out.push_str(name);
                } else {
                    write::quoted(out, name, 32);
                }
            }
            MatchKind::InSet(asked) => {
                let LookUp { set, fields } = &**asked;
                if !self.families.contains_key(set) {
                    let message =
                        format!("the set `{set}` is in the inet table, and frames are compared in the bridge table");
                    self.fault(&NOT_IN_BACK_END, rule, message, "write the addresses, or choose the iptables target");
                }
                if fields.contains(&SetField::OriginalService) && fields.len() > 1 {
                    let message = "nft cannot look the dialled port up together with another field".to_owned();
                    self.fault(&NOT_IN_BACK_END, rule, message, "compare the dialled port in a rule of its own");
                }
                if let (Some(Some(of_set)), Some(family)) = (self.families.get(set), family)
                    && *of_set != family
                {
                    return negated;
                }
                self.key(out, fields, family);
                out.push_str(if negated { " != @" } else { " @" });
                out.push_str(set);
            }
            MatchKind::Limit(limit) => self.limit(out, negated, limit, rule, family),
            MatchKind::ConnectionsAbove { count, source_prefix, name } => {
                let over = if negated { "" } else { "over " };
                if *source_prefix == 0 {
                    out.push_str(" ct count ");
                } else {
                    let set = self.dynamic(name, "count", "size 65535; flags dynamic;", family);
                    out.push_str(" add @");
                    out.push_str(&set);
                    out.push_str(" {");
                    self.source(out, *source_prefix, family);
                    out.push_str(" ct count ");
                }
                out.push_str(over);
                write::number(out, *count);
                if *source_prefix != 0 {
                    out.push_str(" }");
                }
            }
            MatchKind::Time { days, times } => return self.time(out, negated, *days, *times, rule),
            // A line of a `chain` block is in the words of one tool or the other; only those of iptables begin with a dash.
            MatchKind::Unknown(text) if negated || text.starts_with(['-', '!']) => {
                let message = format!("`{text}` is written in iptables' words");
                self.fault(&NOT_IN_BACK_END, rule, message, "choose the iptables target, or say it in the language");
            }
            MatchKind::Unknown(text) => {
                out.push(' ');
                out.push_str(text);
            }
        }
        true
    }

    /// Appends one value, or a list of them in braces.
    #[allow(clippy::unused_self)]
    pub(super) fn list<T>(&self, out: &mut String, negated: bool, list: &[T], write: impl Fn(&mut String, &T)) {
        out.push_str(if negated { " != " } else { " " });
        if let [one] = list {
            write(out, one);
            return;
        }
        out.push_str("{ ");
        for (at, one) in list.iter().enumerate() {
            if at > 0 {
                out.push_str(", ");
            }
            write(out, one);
        }
        out.push_str(" }");
    }

    pub(super) fn cards(&mut self, out: &mut String, words: &str, negated: bool, cards: &[Card], rule: &Rule) -> bool {
        for card in cards {
            if !card.is_writable() {
                let message = format!("`{}` cannot be matched as an interface name", card.name);
                self.fault(&UNUSABLE_TEXT, rule, message, CARD_HELP);
            }
        }
        if cards.iter().any(|card| card.prefix && card.name.is_empty()) {
            return !negated;
        }
        let mut distinct: Vec<&Card> = Vec::with_capacity(cards.len());
        for card in cards {
            if distinct.iter().any(|kept| kept.covers(card)) {
                continue;
            }
            distinct.retain(|kept| !card.covers(kept));
            distinct.push(card);
        }
        out.push_str(words);
        self.list(out, negated, &distinct, |out, card| {
            out.push('"');
            out.push_str(&card.name);
            out.push_str(if card.prefix { "*\"" } else { "\"" });
        });
        true
    }

    pub(super) fn addresses(
        &mut self,
        out: &mut String,
        ip: &str,
        side: &str,
        negated: bool,
        ranges: &[AddressRange],
    ) -> bool {
        if let [range] = ranges
            && write::prefix_length(range) == Some(0)
        {
            // The family is said apart.
            return !negated;
        }
        out.push_str(ip);
        out.push_str(side);
        let original = ip.starts_with(" ct");
        if ranges.len() <= INLINE && !(original && ranges.len() > 1) {
            self.list(out, negated, ranges, write::range);
            return true;
        }
        let mut kind = String::from(if ip.ends_with('6') { "type ipv6_addr;" } else { "type ipv4_addr;" });
        if ranges.iter().any(|range| range.first != range.last) {
            kind.push_str(" flags interval;");
        }
        let name = self.named("net", &kind, &joined(ranges, write::range), "set");
        out.push_str(if negated { " != @" } else { " @" });
        out.push_str(&name);
        true
    }

    pub(super) fn need_ports(&mut self, rule: &Rule) {
        let named = rule.matches.iter().any(|item| match &item.kind {
            MatchKind::Protocol(list) => !item.negated && list.iter().all(|protocol| protocol.has_ports()),
            _ => false,
        });
        if !named {
            let message = "a port is compared without a protocol that has ports".to_owned();
            self.fault(
                &INCOMPLETE_MATCH,
                rule,
                message,
                "name the protocol: `tcp`, `udp`, `sctp`, `dccp` or `udplite`",
            );
        }
    }

    pub(super) fn icmp(
        &mut self,
        out: &mut String,
        negated: bool,
        list: &[IcmpType],
        rule: &Rule,
        family: Option<Family>,
    ) -> bool {
        let Some(family) = family else {
            let message = "an ICMP type is compared without saying which family".to_owned();
            self.fault(&INCOMPLETE_MATCH, rule, message, "name the protocol: `icmp` or `icmpv6`");
            return true;
        };
        let word = if family == Family::Ipv4 { "icmp" } else { "icmpv6" };
        if list.iter().all(|kind| kind.code.is_none()) {
            out.push(' ');
            out.push_str(word);
            out.push_str(" type");
            self.list(out, negated, list, |out, kind| write::number(out, kind.kind));
            return true;
        }
        let elements = joined(list, |out, kind| {
            write::number(out, kind.kind);
            out.push_str(" . ");
            match kind.code {
                Some(code) => write::number(out, code),
                None => out.push_str("0-255"),
            }
        });
        let kind = format!("type {word}_type . {word}_code; flags interval;");
        let name = self.named("icmp", &kind, &elements, "set");
        out.push_str(&format!(" {word} type . {word} code {}@{name}", if negated { "!= " } else { "" }));
        true
    }

    pub(super) fn time(
        &mut self,
        out: &mut String,
        negated: bool,
        days: u8,
        times: Option<(u16, u16)>,
        rule: &Rule,
    ) -> bool {
        let all_days = days & 0x7f == 0x7f;
        if negated && !all_days && times.is_some() {
            let message = "nft cannot negate days and times together".to_owned();
            self.fault(&NOT_IN_BACK_END, rule, message, "write the two as rules of their own");
        }
        if let Some((from, to)) = times {
            // A night passes midnight: it is what the day between leaves.
            let across = from > to;
            let (first, last) = if across { (to, from) } else { (from, to) };
            out.push_str(" meta hour ");
            if across != negated {
                out.push_str("!= ");
            }
            clock(out, first);
            out.push('-');
            clock(out, last);
        }
        if !all_days {
            out.push_str(" meta day");
            let chosen: Vec<&str> =
                DAYS.iter().enumerate().filter(|(at, _)| days & (1 << at) != 0).map(|(_, name)| *name).collect();
            if chosen.is_empty() {
                return negated;
            }
            self.list(out, negated, &chosen, |out, day| {
                out.push('"');
                out.push_str(day);
                out.push('"');
            });
        }
        true
    }

    pub(super) fn limit(
        &mut self,
        out: &mut String,
        negated: bool,
        limit: &Limit,
        rule: &Rule,
        family: Option<Family>,
    ) {
        if limit.count == 0 || limit.burst == 0 {
            let message = "a rate or a burst of nothing lets nothing pass".to_owned();
            self.fault(&RATE_OUT_OF_RANGE, rule, message, "write `deny`, or a rate of at least one");
        }
        let words = |out: &mut String| {
            out.push_str(if negated { " limit rate over " } else { " limit rate " });
            write::number(out, limit.count);
            out.push_str(match limit.seconds {
                1 => "/second",
                60 => "/minute",
                3600 => "/hour",
                _ => "/day",
            });
            out.push_str(" burst ");
            write::number(out, limit.burst);
            out.push_str(" packets");
        };
        let Some(prefix) = limit.source_prefix else {
            words(out);
            return;
        };
        // A source is forgotten when its whole burst has come back.
        let back = u64::from(limit.seconds) * u64::from(limit.burst.max(1)) / u64::from(limit.count.max(1));
        let parameters = format!("{REMEMBERED}{}s;", back.clamp(60, 86_400));
        // A table that stays has the set of the build before: another time to forget needs another name.
        let name = if self.live { format!("{}-{back}s", limit.name) } else { limit.name.to_string() };
        let set = self.dynamic(&name, "limit", &parameters, family);
        out.push_str(" update @");
        out.push_str(&set);
        out.push_str(" {");
        self.source(out, prefix, family);
        words(out);
        out.push_str(" }");
    }

    #[allow(clippy::unused_self)]
    pub(super) fn source(&self, out: &mut String, prefix: u8, family: Option<Family>) {
        match (family, prefix) {
            (Some(Family::Ipv6), 128..) => out.push_str(" ip6 saddr"),
            (Some(Family::Ipv6), 0..=64) => out.push_str(" ip6 saddr and ffff:ffff:ffff:ffff::"),
            (Some(Family::Ipv6), length) => {
                let mask = std::net::Ipv6Addr::from(u128::MAX << (128 - u32::from(length)));
                out.push_str(&format!(" ip6 saddr and {mask}"));
            }
            (_, 0 | 32..) => out.push_str(" ip saddr"),
            (_, length) => {
                let mask = std::net::Ipv4Addr::from(u32::MAX << (32 - u32::from(length)));
                out.push_str(&format!(" ip saddr and {mask}"));
            }
        }
    }
}

/// Whether the match is written with a word of its family, on which nft itself asks for the family first.
pub(super) fn says_family(item: &Match) -> bool {
    match &item.kind {
        MatchKind::Source(set) | MatchKind::Destination(set) => {
            !matches!(&*set.ranges(), [range] if write::prefix_length(range) == Some(0))
        }
        _ => false,
    }
}

pub(super) fn port_range(out: &mut String, range: &PortRange) {
    write::number(out, range.first);
    if range.last != range.first {
        out.push('-');
        write::number(out, range.last);
    }
}

pub(super) fn clock(out: &mut String, minutes: u16) {
    use std::fmt::Write as _;
    // Writing to a String cannot fail.
    let _ = if minutes >= 24 * 60 {
        write!(out, "\"23:59:59\"")
    } else {
        write!(out, "\"{:02}:{:02}\"", minutes / 60, minutes % 60)
    };
}
