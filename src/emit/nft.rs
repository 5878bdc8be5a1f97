//! The nft script: one table of ours in family inet, and one in family bridge where bridged frames are judged.
//!
//! Without live sets the table is deleted and made again in one transaction. Where a set is filled by others at run time, its members
//! have to outlive the load, and sets cannot be shared between tables; so the table stays, its rules are flushed, and chains and sets are declared over
//! what is there. Chains and sets that an earlier build had and this one has not then stay behind, empty or unused, and decide
//! nothing.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::family::{is_neutral, of_family};
use super::{
    Context, INCOMPLETE_MATCH, NOT_IN_BACK_END, OutputFile, State, UNUSABLE_TEXT, WRONG_TABLE, header, ipset, write,
};
use crate::diagnostic::Code;
use crate::net::{AddressRange, Card, Family, PortRange, Protocol};
use crate::netfilter::{
    Base, Chain, Effect, IcmpType, Limit, Match, MatchKind, Reject, Rule, Ruleset, SetField, SetValue, Table,
    TableFamily, TableKind, Verdict, words,
};

/// The name of our tables.
const TABLE: &str = "fwc";
/// Longest log prefix (`NF_LOG_PREFIXLEN` less the final NUL).
const LOG_PREFIX: usize = 127;
/// Longest comment on a rule (`NFTNL_UDATA_COMMENT_MAXLEN`).
const COMMENT: usize = 127;
/// Longest chain name that we make; nft itself takes 127 bytes.
const CHAIN_NAME: usize = 100;
/// Address lists up to this length stand in the rule, longer ones in a set with a name.
const INLINE: usize = 5;
/// Sources that a limit remembers at most, and how long.
const REMEMBERED: &str = "size 65535; flags dynamic,timeout; timeout ";

/// The files of an nft build.
pub(super) fn files(ruleset: &Ruleset, context: &Context, state: &mut State) -> Vec<OutputFile> {
    if context.partial {
        return vec![OutputFile { name: format!("{}.nft", context.stem), text: part(ruleset, context, state) }];
    }
    let load = format!(
        "Load with: nft -f {}.nft. The tables below are ours alone and are replaced in one step.",
        context.stem
    );
    let mut text = header(context, &[&load]);
    let mut empty = header(context, &["Takes our tables away."]);
    let own = |family: TableFamily| match family {
        TableFamily::Bridge => "bridge",
        // Read from others alone: lowering makes none.
        TableFamily::Netdev => "netdev",
        TableFamily::Ipv4 | TableFamily::Ipv6 | TableFamily::Inet => "inet",
    };
    for family in ["inet", "bridge"] {
        let tables: Vec<&Table> = ruleset.tables.iter().filter(|table| own(table.family) == family).collect();
        let name = format!("table {family} {TABLE}");
        if tables.is_empty() {
            // A build before this one may have had rules here; they must not go on deciding.
            text.push_str(&format!("\n{name}\ndelete {name}\n"));
            empty.push_str(&format!("\n{name}\ndelete {name}\n"));
            continue;
        }
        let live = tables.iter().flat_map(|table| &table.sets).any(|set| set.live);
        let mut writer = Writer::new(family == "bridge", live, state);
        let body = writer.tables(&tables);
        text.push_str(&format!("\n{name}\n"));
        if live {
            text.push_str(&format!("flush {name}\n"));
            text.push_str(&writer.flushes);
        } else {
            text.push_str(&format!("delete {name}\n"));
        }
        text.push_str(&format!("{name} {{\n{body}}}\n"));
        // A table that holds live sets is only emptied of its rules.
        empty.push_str(&format!("\n{name}\n{} {name}\n", if live { "flush" } else { "delete" }));
    }
    vec![
        OutputFile { name: format!("{}.nft", context.stem), text },
        OutputFile { name: format!("{}.empty.nft", context.stem), text: empty },
    ]
}

/// Some of our chains, for a program that is loaded already: made if absent, emptied, filled anew, in one transaction.
fn part(ruleset: &Ruleset, context: &Context, state: &mut State) -> String {
    let load =
        format!("Load with: nft -f {}.nft. Replaces the chains below and leaves the rest as it is.", context.stem);
    let mut text = header(context, &[&load]);
    for family in ["inet", "bridge"] {
        let bridge = family == "bridge";
        let tables: Vec<&Table> =
            ruleset.tables.iter().filter(|table| (table.family == TableFamily::Bridge) == bridge).collect();
        if tables.iter().all(|table| table.chains.is_empty()) {
            continue;
        }
        let mut writer = Writer::new(bridge, false, state);
        let body = writer.tables(&tables);
        let chains = || tables.iter().flat_map(|table| table.chains.iter().map(|chain| (table.kind, &chain.name)));
        text.push_str(&format!("\ntable {family} {TABLE} {{\n"));
        for (kind, name) in chains() {
            text.push_str(&format!("\tchain {} {{\n\t}}\n", writer.chain_name(kind, name)));
        }
        text.push_str("}\n");
        for (kind, name) in chains() {
            text.push_str(&format!("flush chain {family} {TABLE} {}\n", writer.chain_name(kind, name)));
        }
        text.push_str(&format!("table {family} {TABLE} {{\n{body}}}\n"));
    }
    text
}

struct Writer<'a, 's> {
    bridge: bool,
    /// The table keeps its sets over a load.
    live: bool,
    state: &'a mut State<'s>,
    /// Sets, maps and helpers, before the chains that use them.
    objects: String,
    /// For a table that stays: declares sets and empties them, so that members of an earlier build are gone.
    flushes: String,
    known: FxHashMap<u64, String>,
    named: FxHashSet<String>,
    remark: String,
    kind: TableKind,
    renamed: FxHashMap<(TableKind, Arc<str>), String>,
    families: FxHashMap<Arc<str>, Option<Family>>,
}

impl<'a, 's> Writer<'a, 's> {
    fn new(bridge: bool, live: bool, state: &'a mut State<'s>) -> Self {
        Self {
            bridge,
            live,
            state,
            objects: String::new(),
            flushes: String::new(),
            known: FxHashMap::default(),
            named: FxHashSet::default(),
            remark: String::new(),
            kind: TableKind::Filter,
            renamed: FxHashMap::default(),
            families: FxHashMap::default(),
        }
    }

    fn tables(&mut self, tables: &[&Table]) -> String {
        self.names(tables);
        for set in tables.iter().flat_map(|table| &table.sets) {
            if self.families.insert(set.name.clone(), set.family).is_none() {
                self.set(set);
            }
        }
        let mut chains = String::new();
        for table in tables {
            self.kind = table.kind;
            for chain in &table.chains {
                self.chain(&mut chains, chain, table.family);
            }
        }
        let mut out = std::mem::take(&mut self.objects);
        out.push_str(&chains);
        out
    }

    /// Our four iptables tables share one table here: a name that two of them use is told apart by the table's.
    fn names(&mut self, tables: &[&Table]) {
        let mut taken: FxHashSet<String> = FxHashSet::default();
        for table in tables {
            for chain in &table.chains {
                let name = chain.name.to_string();
                if name.len() > CHAIN_NAME || !safe(&name) {
                    let message = format!("`{name}` cannot be the name of a chain");
                    let origin = chain.rules.iter().find_map(|rule| rule.origin);
                    self.state.fault(
                        &UNUSABLE_TEXT,
                        origin,
                        message,
                        "begin it with a letter; use letters, digits, `-`, `_` and `.`",
                    );
                }
                let name = if name.contains('~') { name.replace('~', ".") } else { name };
                if taken.insert(name.clone()) {
                    if *name != *chain.name {
                        self.renamed.insert((table.kind, chain.name.clone()), name);
                    }
                } else {
                    let other = format!("{name}-{}", table.kind.name());
                    taken.insert(other.clone());
                    self.renamed.insert((table.kind, chain.name.clone()), other);
                }
            }
        }
    }

    fn chain_name(&self, kind: TableKind, name: &Arc<str>) -> String {
        self.renamed.get(&(kind, name.clone())).cloned().unwrap_or_else(|| name.to_string())
    }

    fn fault(&mut self, code: &'static Code, rule: &Rule, message: String, help: &str) {
        self.state.fault(code, rule.origin, message, help);
    }

    fn chain(&mut self, out: &mut String, chain: &Chain, family: TableFamily) {
        let name = self.chain_name(self.kind, &chain.name);
        let helper = |rule: &Rule| rule.effects.iter().any(|effect| matches!(effect, Effect::Helper(_)));
        // A helper is given to a tracked connection: in iptables before tracking, by a template; in nft behind it.
        let split = self.kind == TableKind::Raw && chain.base.is_some();
        open(out, &name, chain.base, self.kind);
        for rule in chain.rules.iter().filter(|rule| !(split && helper(rule))) {
            if self.kind == TableKind::Raw && helper(rule) {
                let message = "a connection helper stands in a chain of the raw table that is no entry".to_owned();
                self.fault(&NOT_IN_BACK_END, rule, message, "put it into the table's entry chain");
            }
            self.rule(out, rule, family);
        }
        // Not as a policy: a chain that a later build no longer has stays behind where the table stays, and must not drop.
        if chain.base.is_some_and(|base| !base.accept) {
            out.push_str("\t\tdrop\n");
        }
        out.push_str("\t}\n");
        if let Some(base) = chain.base
            && split
            && chain.rules.iter().any(helper)
        {
            open(out, &format!("{name}-helper"), Some(Base { priority: -150, ..base }), TableKind::Mangle);
            for rule in chain.rules.iter().filter(|rule| helper(rule)) {
                self.rule(out, rule, family);
            }
            out.push_str("\t}\n");
        }
    }

    /// Writes a rule, once for both families where that can be said in one.
    fn rule(&mut self, out: &mut String, rule: &Rule, table: TableFamily) {
        self.state.remark(&mut self.remark, rule);
        let only = match table {
            TableFamily::Ipv4 => Some(Family::Ipv4),
            TableFamily::Ipv6 => Some(Family::Ipv6),
            _ => rule.family,
        };
        let of_both = only.is_none() && is_neutral(rule) && !self.verdict_has_family(rule);
        if of_both {
            // An empty list means the same in both families.
            if let Some(rule) = of_family(rule, Family::Ipv4) {
                self.one(out, &rule, None);
            }
            return;
        }
        for family in Family::BOTH.into_iter().filter(|family| only.is_none_or(|only| only == *family)) {
            if let Some(rule) = of_family(rule, family)
                && self.set_family_fits(&rule, family)
            {
                self.one(out, &rule, Some(family));
            }
        }
    }

    /// Whether the words for what the rule does, or for a set it looks into, name a family.
    fn verdict_has_family(&self, rule: &Rule) -> bool {
        let by_effect = rule.effects.iter().any(|effect| matches!(effect, Effect::SetDscp(_)));
        let by_match = rule.matches.iter().any(|item| match &item.kind {
            MatchKind::InSet { set, fields } => {
                self.families.get(set).copied().flatten().is_some()
                    || fields.iter().any(|field| matches!(field, SetField::Source | SetField::Destination))
            }
            _ => false,
        });
        by_effect
            || by_match
            || match &rule.verdict {
                Some(Verdict::Dnat { .. } | Verdict::Snat(_)) => true,
                Some(Verdict::Reject(how)) => matches!(how, Reject::HostProhibited | Reject::NetworkProhibited),
                Some(Verdict::Map { fields, .. }) => {
                    fields.iter().any(|field| matches!(field, SetField::Source | SetField::Destination))
                }
                _ => false,
            }
    }

    /// Whether the sets that the rule must be in can hold addresses of this family.
    fn set_family_fits(&self, rule: &Rule, family: Family) -> bool {
        rule.matches.iter().filter(|item| !item.negated).all(|item| match &item.kind {
            MatchKind::InSet { set, .. } => {
                self.families.get(set).copied().flatten().is_none_or(|of_set| of_set == family)
            }
            _ => true,
        })
    }

    /// A line of nft's own words, as it stands.
    fn own_words(&self, out: &mut String, text: &str) {
        let line = text.trim().trim_end_matches(';').trim_end();
        out.push_str("\t\t");
        write::plain(out, line);
        let commented = words::words(line).iter().any(|word| word.text == "comment" && !word.quoted);
        if !self.remark.is_empty() && !commented {
            out.push_str(" comment ");
            write::quoted(out, &self.remark, COMMENT);
        }
        out.push('\n');
    }

    fn one(&mut self, out: &mut String, rule: &Rule, family: Option<Family>) {
        if let ([Match { negated: false, kind: MatchKind::Unknown(text) }], [], None) =
            (rule.matches.as_slice(), rule.effects.as_slice(), &rule.verdict)
        {
            if words::is_iptables(text) {
                let item = Match::is(MatchKind::Unknown(text.clone()));
                self.matching(&mut String::new(), &item, rule, family);
            } else {
                self.own_words(out, text);
            }
            return;
        }
        if rule.effects.is_empty()
            && rule.verdict.is_none()
            && !rule.matches.iter().any(|item| matches!(item.kind, MatchKind::Limit(_) | MatchKind::Unknown(_)))
        {
            return;
        }
        if let Some(Verdict::Map { elements, .. }) = &rule.verdict
            && elements.is_empty()
        {
            return;
        }
        let mut line = String::with_capacity(160);
        for item in &rule.matches {
            if !self.matching(&mut line, item, rule, family) {
                return;
            }
        }
        // A match on an address says the family already.
        if let Some(family) = family
            && !rule.matches.iter().any(says_family)
        {
            let word = match (self.bridge, family) {
                (false, Family::Ipv4) => " meta nfproto ipv4",
                (false, Family::Ipv6) => " meta nfproto ipv6",
                (true, Family::Ipv4) => " meta protocol ip",
                (true, Family::Ipv6) => " meta protocol ip6",
            };
            line.insert_str(0, word);
        }
        for effect in &rule.effects {
            self.effect(&mut line, effect, rule, family);
        }
        if let Some(verdict) = &rule.verdict {
            self.verdict(&mut line, verdict, rule, family);
        }
        out.push_str("\t\t");
        out.push_str(line.trim_start());
        if !self.remark.is_empty() {
            out.push_str(" comment ");
            write::quoted(out, &self.remark, COMMENT);
        }
        out.push('\n');
    }

    /// Appends a match, each word after a space; `false` if it can never hold.
    fn matching(&mut self, out: &mut String, item: &Match, rule: &Rule, family: Option<Family>) -> bool {
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
            MatchKind::Source(set) => return self.addresses(out, ip, " saddr", negated, set.ranges()),
            MatchKind::Destination(set) => return self.addresses(out, ip, " daddr", negated, set.ranges()),
            MatchKind::OriginalDestination(set) => {
                let words = if family == Some(Family::Ipv6) { " ct original ip6" } else { " ct original ip" };
                return self.addresses(out, words, " daddr", negated, set.ranges());
            }
            MatchKind::OriginalSource(set) => {
                let words = if family == Some(Family::Ipv6) { " ct original ip6" } else { " ct original ip" };
                return self.addresses(out, words, " saddr", negated, set.ranges());
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
                out.push_str(if negated { " ct status & dnat == 0" } else { " ct status dnat" });
            }
            MatchKind::SourceTranslated => {
                out.push_str(if negated { " ct status & snat == 0" } else { " ct status snat" });
            }
            MatchKind::Mark { value, mask } => {
                use std::fmt::Write as _;
                out.push_str(" meta mark");
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
            MatchKind::InSet { set, fields } => {
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
    fn list<T>(&self, out: &mut String, negated: bool, list: &[T], write: impl Fn(&mut String, &T)) {
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

    fn cards(&mut self, out: &mut String, words: &str, negated: bool, cards: &[Card], rule: &Rule) -> bool {
        for card in cards {
            let safe = card.name.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\*".contains(&byte));
            if card.name.len() > Card::MAX || !safe || (card.name.is_empty() && !card.prefix) {
                let message = format!("`{}` cannot be matched as an interface name", card.name);
                self.fault(
                    &UNUSABLE_TEXT,
                    rule,
                    message,
                    "interface names have 1 to 15 bytes, without quotation marks and `*`",
                );
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

    fn addresses(&mut self, out: &mut String, ip: &str, side: &str, negated: bool, ranges: &[AddressRange]) -> bool {
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

    fn need_ports(&mut self, rule: &Rule) {
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

    fn icmp(
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

    fn time(&mut self, out: &mut String, negated: bool, days: u8, times: Option<(u16, u16)>, rule: &Rule) -> bool {
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
            let names = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
            let chosen: Vec<&str> =
                names.iter().enumerate().filter(|(at, _)| days & (1 << at) != 0).map(|(_, name)| *name).collect();
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

    fn limit(&mut self, out: &mut String, negated: bool, limit: &Limit, rule: &Rule, family: Option<Family>) {
        if limit.count == 0 || limit.burst == 0 {
            let message = "a rate or a burst of nothing lets nothing pass".to_owned();
            self.fault(&super::RATE_OUT_OF_RANGE, rule, message, "write `deny`, or a rate of at least one");
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
    fn source(&self, out: &mut String, prefix: u8, family: Option<Family>) {
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

    /// The set that keeps a counter for each source. Equal names share their state; each family has its own.
    fn dynamic(&mut self, name: &str, word: &str, parameters: &str, family: Option<Family>) -> String {
        let six = family == Some(Family::Ipv6);
        let stem: String = name
            .trim_start_matches("fwc-")
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c))
            .collect();
        let set = format!("fwc-{word}{}-{stem}", if six { "6" } else { "4" });
        if self.named.insert(set.clone()) {
            let kind = if six { "ipv6_addr" } else { "ipv4_addr" };
            self.objects.push_str(&format!("\tset {set} {{\n\t\ttype {kind}; {parameters}\n\t}}\n"));
        }
        set
    }

    /// The set or map with exactly these elements, made if there is none yet. Its name follows from its content, so that a table
    /// that stays over a load never has another set under the same name.
    fn named(&mut self, word: &str, kind: &str, elements: &str, what: &str) -> String {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in kind.bytes().chain(elements.bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if let Some(name) = self.known.get(&hash) {
            return name.clone();
        }
        let name = format!("fwc-{word}-{hash:016x}");
        self.objects.push_str(&format!("\t{what} {name} {{\n\t\t{kind}\n\t\telements = {{ {elements} }}\n\t}}\n"));
        self.known.insert(hash, name.clone());
        name
    }

    fn set(&mut self, set: &crate::netfilter::Set) {
        if set.name.len() > 31 || !safe(&set.name) {
            let message = format!("`{}` cannot be the name of a set", set.name);
            self.state.fault(
                &UNUSABLE_TEXT,
                None,
                message,
                "begin it with a letter; use at most 31 letters, digits, `-` and `_`",
            );
        }
        // A set without intervals is a hash table, the quicker look-up. In a table that stays, a set keeps its kind whatever it holds.
        let interval = self.live && set.fields.iter().any(|field| *field != SetField::SourceMac)
            || set.elements.iter().flatten().any(is_interval);
        let mut kind = String::from("type ");
        for (at, field) in set.fields.iter().enumerate() {
            if at > 0 {
                kind.push_str(" . ");
            }
            kind.push_str(field_type(*field, set.family));
        }
        kind.push(';');
        if interval {
            kind.push_str(if set.live { " flags interval,timeout;" } else { " flags interval;" });
        } else if set.live {
            kind.push_str(" flags timeout;");
        }
        let elements = joined(&set.elements, |out, element| {
            for (at, value) in element.iter().enumerate() {
                if at > 0 {
                    out.push_str(" . ");
                }
                set_value(out, value, set.fields.get(at).copied());
            }
        });
        self.objects.push_str("\tset ");
        self.objects.push_str(&set.name);
        self.objects.push_str(" {\n\t\t");
        self.objects.push_str(&kind);
        self.objects.push('\n');
        if !set.live && !elements.is_empty() {
            self.objects.push_str("\t\telements = { ");
            self.objects.push_str(&elements);
            self.objects.push_str(" }\n");
        }
        self.objects.push_str("\t}\n");
        if self.live && !set.live {
            let family = if self.bridge { "bridge" } else { "inet" };
            self.flushes.push_str(&format!("table {family} {TABLE} {{\n\tset {} {{\n\t\t{kind}\n\t}}\n}}\n", set.name));
            self.flushes.push_str(&format!("flush set {family} {TABLE} {}\n", set.name));
        }
    }

    /// Appends the packet's fields that a set or map is asked with.
    #[allow(clippy::unused_self)]
    fn key(&self, out: &mut String, fields: &[SetField], family: Option<Family>) {
        let six = family == Some(Family::Ipv6);
        for (at, field) in fields.iter().enumerate() {
            out.push_str(if at > 0 { " . " } else { " " });
            out.push_str(match field {
                SetField::Source if six => "ip6 saddr",
                SetField::Source => "ip saddr",
                SetField::Destination if six => "ip6 daddr",
                SetField::Destination => "ip daddr",
                SetField::DestinationService => "meta l4proto . th dport",
                SetField::SourceMac => "ether saddr",
                SetField::InInterface => "iifname",
                SetField::OriginalService => "ct original proto-dst",
                SetField::OutInterface => "oifname",
                SetField::Protocol => "meta l4proto",
                SetField::SourcePort => "th sport",
                SetField::DestinationPort => "th dport",
            });
        }
    }

    fn effect(&mut self, out: &mut String, effect: &Effect, rule: &Rule, family: Option<Family>) {
        use std::fmt::Write as _;
        match effect {
            Effect::Log { prefix, level } => {
                if prefix.len() > LOG_PREFIX {
                    let message = "the log prefix is longer than 127 bytes".to_owned();
                    self.fault(&UNUSABLE_TEXT, rule, message, "shorten it");
                }
                out.push_str(" log prefix ");
                write::quoted(out, prefix, LOG_PREFIX);
                let names = ["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"];
                out.push_str(" level ");
                out.push_str(names.get(usize::from(*level)).unwrap_or(&"warn"));
            }
            Effect::Unknown(text) => {
                out.push(' ');
                write::plain(out, text);
            }
            // Writing to a String cannot fail.
            Effect::SetMark { value, mask: u32::MAX } => {
                let _ = write!(out, " meta mark set 0x{value:x}");
            }
            Effect::SetMark { value, mask } => {
                let _ = write!(out, " meta mark set meta mark & 0x{:x} ^ 0x{value:x}", !mask);
            }
            Effect::SetDscp(value) => {
                out.push_str(if family == Some(Family::Ipv6) { " ip6" } else { " ip" });
                let _ = write!(out, " dscp set 0x{value:02x}");
            }
            Effect::ClampMss => {
                let asked = |item: &Match| matches!(item.kind, MatchKind::TcpFlags { .. });
                if !rule.matches.iter().any(asked) {
                    out.push_str(" tcp flags & 0x6 == 0x2");
                }
                out.push_str(" tcp option maxseg size set rt mtu");
            }
            Effect::Notrack => {
                if self.kind != TableKind::Raw {
                    let message = format!("NOTRACK exists in the raw table only, not in {}", self.kind.name());
                    self.fault(&WRONG_TABLE, rule, message, "move the rule to a chain of that table");
                }
                out.push_str(" notrack");
            }
            Effect::Helper(name) => {
                let protocol = rule.matches.iter().find_map(|item| match &item.kind {
                    MatchKind::Protocol(list) if !item.negated => match list.as_slice() {
                        [one @ (Protocol::TCP | Protocol::UDP)] => one.name(),
                        _ => None,
                    },
                    _ => None,
                });
                let Some(protocol) = protocol else {
                    let message = format!("the helper `{name}` stands without its protocol");
                    self.fault(&INCOMPLETE_MATCH, rule, message, "name one: `tcp` or `udp`");
                    return;
                };
                let object = format!("fwc-{name}-{protocol}");
                if !safe(&object) {
                    let message = format!("`{name}` cannot be the name of a helper");
                    self.fault(&UNUSABLE_TEXT, rule, message, "use the name of a kernel module, such as `ftp`");
                }
                if self.named.insert(object.clone()) {
                    let _ = writeln!(
                        self.objects,
                        "\tct helper {object} {{\n\t\ttype \"{name}\" protocol {protocol};\n\t}}"
                    );
                }
                let _ = write!(out, " ct helper set \"{object}\"");
            }
        }
    }

    fn verdict(&mut self, out: &mut String, verdict: &Verdict, rule: &Rule, family: Option<Family>) {
        use std::fmt::Write as _;
        if self.kind != TableKind::Nat
            && matches!(verdict, Verdict::Dnat { .. } | Verdict::Snat(_) | Verdict::Masquerade | Verdict::Redirect(_))
        {
            let message = format!("address translation exists in the nat table only, not in {}", self.kind.name());
            self.fault(&WRONG_TABLE, rule, message, "move the rule to a chain of that table");
        }
        let ip = if family == Some(Family::Ipv6) { "ip6" } else { "ip" };
        match verdict {
            Verdict::Accept => out.push_str(" accept"),
            Verdict::Drop => out.push_str(" drop"),
            Verdict::Return => out.push_str(" return"),
            Verdict::Jump(name) | Verdict::Goto(name) => {
                out.push_str(if matches!(verdict, Verdict::Jump(_)) { " jump " } else { " goto " });
                out.push_str(&self.chain_name(self.kind, name));
            }
            Verdict::Reject(how) => {
                if self.kind != TableKind::Filter {
                    let message = format!("REJECT exists in the filter table only, not in {}", self.kind.name());
                    self.fault(&WRONG_TABLE, rule, message, "move the rule to a chain of that table");
                }
                out.push_str(" reject with ");
                out.push_str(match (how, family) {
                    (Reject::TcpReset, _) => "tcp reset",
                    (Reject::PortUnreachable, _) => "icmpx port-unreachable",
                    (Reject::HostUnreachable, _) => "icmpx host-unreachable",
                    (Reject::NetworkUnreachable, _) => "icmpx no-route",
                    (Reject::AdminProhibited, _) => "icmpx admin-prohibited",
                    (_, Some(Family::Ipv6)) => "icmpv6 admin-prohibited",
                    (Reject::HostProhibited, _) => "icmp host-prohibited",
                    (Reject::NetworkProhibited, _) => "icmp net-prohibited",
                });
            }
            // Writing to a String cannot fail.
            Verdict::Dnat { address, port: None } => {
                let _ = write!(out, " dnat {ip} to {address}");
            }
            Verdict::Dnat { address, port: Some(port) } => {
                let _ = if address.is_ipv6() {
                    write!(out, " dnat {ip} to [{address}]:{port}")
                } else {
                    write!(out, " dnat {ip} to {address}:{port}")
                };
            }
            Verdict::Snat(address) => {
                let _ = write!(out, " snat {ip} to {address}");
            }
            Verdict::Masquerade => out.push_str(" masquerade"),
            Verdict::Redirect(port) => {
                let _ = write!(out, " redirect to :{port}");
            }
            Verdict::Map { fields, elements } => self.map(out, fields, elements, rule, family),
            Verdict::Unknown(text) => {
                out.push(' ');
                write::plain(out, text);
            }
        }
    }

    fn map(
        &mut self,
        out: &mut String,
        fields: &[SetField],
        keys: &[(Vec<SetValue>, Verdict)],
        rule: &Rule,
        family: Option<Family>,
    ) {
        self.key(out, fields, family);
        let mut elements = String::with_capacity(keys.len() * 40);
        for (at, (values, verdict)) in keys.iter().enumerate() {
            separate(&mut elements, at);
            let out = &mut elements;
            for (at, value) in values.iter().enumerate() {
                if at > 0 {
                    out.push_str(" . ");
                }
                set_value(out, value, fields.get(at).copied());
            }
            out.push_str(" :");
            self.verdict(out, verdict, rule, family);
        }
        let mut kind = String::from("type ");
        for (at, field) in fields.iter().enumerate() {
            if at > 0 {
                kind.push_str(" . ");
            }
            kind.push_str(field_type(*field, family));
        }
        let interval = keys.iter().flat_map(|(values, _)| values).any(is_interval);
        kind.push_str(if interval { " : verdict; flags interval;" } else { " : verdict;" });
        let name = self.named("map", &kind, &elements, "map");
        out.push_str(" vmap @");
        out.push_str(&name);
    }
}

/// Whether a set needs intervals to hold this.
fn is_interval(value: &SetValue) -> bool {
    match value {
        SetValue::Address(range) => range.first != range.last,
        SetValue::Service(_, ports) => ports.first != ports.last,
        SetValue::Mac(_) => false,
        SetValue::Interface(card) => card.prefix,
        SetValue::Protocol(_) => false,
        SetValue::Port(ports) => ports.first != ports.last,
    }
}

/// Opens a chain.
fn open(out: &mut String, name: &str, base: Option<Base>, kind: TableKind) {
    use std::fmt::Write as _;
    // Writing to a String cannot fail.
    let _ = writeln!(out, "\tchain {name} {{");
    let Some(base) = base else { return };
    let chain_type = match (kind, base.hook) {
        (TableKind::Nat, _) => "nat",
        // A mark that is set on a packet of this machine has to change its route.
        (TableKind::Mangle, crate::netfilter::Hook::Output) => "route",
        _ => "filter",
    };
    let (hook, priority) = (base.hook.name(), base.priority);
    let _ = writeln!(out, "\t\ttype {chain_type} hook {hook} priority {priority}; policy accept;");
}

/// Whether the match is written with a word of its family, on which nft itself asks for the family first.
fn says_family(item: &Match) -> bool {
    match &item.kind {
        MatchKind::Source(set) | MatchKind::Destination(set) => {
            !matches!(set.ranges(), [range] if write::prefix_length(range) == Some(0))
        }
        _ => false,
    }
}

/// Whether nft reads it as a name: words of nft are not, but none of them begins with `fwc`.
fn safe(name: &str) -> bool {
    ipset::write_safe(name) && name.starts_with("fwc")
}

fn joined<T>(list: &[T], write: impl Fn(&mut String, &T)) -> String {
    let mut out = String::with_capacity(list.len() * 24);
    for (at, one) in list.iter().enumerate() {
        separate(&mut out, at);
        write(&mut out, one);
    }
    out
}

/// What stands before element number `at`.
fn separate(out: &mut String, at: usize) {
    if at > 0 {
        // nft reads lines of any length, people do not.
        out.push_str(if at.is_multiple_of(8) { ",\n\t\t\t" } else { ", " });
    }
}

fn port_range(out: &mut String, range: &PortRange) {
    write::number(out, range.first);
    if range.last != range.first {
        out.push('-');
        write::number(out, range.last);
    }
}

fn clock(out: &mut String, minutes: u16) {
    use std::fmt::Write as _;
    // Writing to a String cannot fail.
    let _ = if minutes >= 24 * 60 {
        write!(out, "\"23:59:59\"")
    } else {
        write!(out, "\"{:02}:{:02}\"", minutes / 60, minutes % 60)
    };
}

fn field_type(field: SetField, family: Option<Family>) -> &'static str {
    match field {
        SetField::Source | SetField::Destination if family == Some(Family::Ipv6) => "ipv6_addr",
        SetField::Source | SetField::Destination => "ipv4_addr",
        SetField::DestinationService => "inet_proto . inet_service",
        SetField::SourceMac => "ether_addr",
        SetField::InInterface | SetField::OutInterface => "ifname",
        SetField::OriginalService | SetField::SourcePort | SetField::DestinationPort => "inet_service",
        SetField::Protocol => "inet_proto",
    }
}

fn set_value(out: &mut String, value: &SetValue, field: Option<SetField>) {
    match value {
        SetValue::Address(range) => write::range(out, range),
        SetValue::Service(protocol, ports) => {
            // The dialled port cannot stand in one key with its protocol: a match beside the look-up says that.
            if field != Some(SetField::OriginalService) {
                write::number(out, protocol.0);
                out.push_str(" . ");
            }
            port_range(out, ports);
        }
        SetValue::Mac(mac) => out.push_str(&mac.to_string()),
        SetValue::Protocol(protocol) => write::number(out, protocol.0),
        SetValue::Port(ports) => port_range(out, ports),
        SetValue::Interface(card) => {
            out.push('"');
            out.push_str(&card.name);
            out.push_str(if card.prefix { "*\"" } else { "\"" });
        }
    }
}
