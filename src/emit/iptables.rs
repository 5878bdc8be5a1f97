//! `iptables-restore --noflush` files: one for each family, holding our own chains alone.
//!
//! A rule of the netfilter form may need several lines: lists are multiplied out, since iptables compares with one interface,
//! address or protocol at a time. What iptables cannot negate (one of several interfaces) becomes a jump around the rule: the
//! excluded packets return from a chain that was called for the rule, or *go to* a new chain that holds the rest. `goto` keeps
//! the meaning of RETURN, for a chain that was gone to returns to where the first one was called from. A counter (a limit) is never written twice: the lines lead to one chain that holds it.

use std::borrow::Cow;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::family::of_family;
use super::ipset::{self, Sets};
use super::{
    Context, INCOMPLETE_MATCH, NOT_IN_BACK_END, OutputFile, RATE_OUT_OF_RANGE, State, UNUSABLE_TEXT, WRONG_TABLE,
    attach, header, write,
};
use crate::diagnostic::Code;
use crate::net::{AddressRange, Card, Family, Mac, PortRange, Protocol};
use crate::netfilter::entry::{ENTRY_CHAINS, entry_chain};
use crate::netfilter::{
    Chain, Effect, IcmpType, Limit, Match, MatchKind, Reject, Rule, Ruleset, SetField, SetValue, State as Track, Table,
    TableFamily, TableKind, Verdict,
};

/// Longest chain name (`XT_EXTENSION_MAXNAMELEN` less the final NUL).
const CHAIN_NAME: usize = 28;
/// Longest log prefix; the kernel cuts what is longer.
const LOG_PREFIX: usize = 29;
/// Ports in one multiport match; a range counts two (`XT_MULTI_PORTS`).
const MULTIPORT: usize = 15;
/// Address lists up to this length are multiplied out, longer ones become a set: a line costs about as much as a look-up.
const LINES_FOR_ADDRESSES: usize = 5;
/// Multiport matches up to this number are multiplied out, more become a set.
const LINES_FOR_PORTS: usize = 4;

/// The environment variable that names a family's command in the attachment script.
pub(super) fn command(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "IPTABLES",
        Family::Ipv6 => "IP6TABLES",
    }
}

/// Whether a family's file speaks of a table. The filter table is always there: who changes a policy finds its chains by name.
pub(super) fn uses(ruleset: &Ruleset, family: Family, kind: TableKind) -> bool {
    let own = of_table(family);
    let here = |table: &&Table| table.kind == kind && (table.family == TableFamily::Inet || table.family == own);
    kind == TableKind::Filter || ruleset.tables.iter().filter(here).any(|table| !table.chains.is_empty())
}

fn of_table(family: Family) -> TableFamily {
    match family {
        Family::Ipv4 => TableFamily::Ipv4,
        Family::Ipv6 => TableFamily::Ipv6,
    }
}

/// The files of an iptables build.
pub(super) fn files(ruleset: &Ruleset, context: &Context, state: &mut State) -> Vec<OutputFile> {
    let mut sets = Sets::declared(ruleset, state);
    for table in ruleset.tables.iter().filter(|table| table.family == TableFamily::Bridge) {
        let origin = table.chains.iter().flat_map(|chain| &chain.rules).find_map(|rule| rule.origin);
        let help = "match bridge ports with physdev in the filter table, or choose the nft target";
        state.fault(&NOT_IN_BACK_END, origin, "iptables has no table for bridged frames".to_owned(), help);
    }
    let mut files = Vec::with_capacity(6);
    let mut empty = Vec::with_capacity(2);
    for (family, suffix) in [(Family::Ipv4, "v4"), (Family::Ipv6, "v6")] {
        let program = if family == Family::Ipv4 { "iptables-restore" } else { "ip6tables-restore" };
        let load = format!("Load with: {program} --noflush {}.rules.{suffix}", context.stem);
        let sets_first = format!(
            "Load {}.ipset first where it exists; {}.attach makes the jumps into these chains.",
            context.stem, context.stem
        );
        let replaces = "Replaces the chains below and leaves the rest of the program as it is.";
        let mut rules = header(context, &[&load, if context.partial { replaces } else { &sets_first }]);
        let load =
            format!("Empties our chains and leaves the jumps: {program} --noflush {}.empty.{suffix}", context.stem);
        let mut emptied = header(context, &[&load]);
        for kind in [TableKind::Raw, TableKind::Mangle, TableKind::Nat, TableKind::Filter, TableKind::Security] {
            let mut writer = Writer::new(family, kind, &mut sets, state);
            writer.table(ruleset, context.partial);
            let Writer { declarations, body, later, .. } = writer;
            if declarations.is_empty() {
                continue;
            }
            for (text, full) in [(&mut rules, true), (&mut emptied, false)] {
                text.push('*');
                text.push_str(kind.name());
                text.push('\n');
                text.push_str(&declarations);
                if full {
                    text.push_str(&body);
                    text.push_str(&later);
                }
                text.push_str("COMMIT\n");
            }
        }
        files.push(OutputFile { name: format!("{}.rules.{suffix}", context.stem), text: rules });
        empty.push(OutputFile { name: format!("{}.empty.{suffix}", context.stem), text: emptied });
    }
    let members = sets.text();
    if !members.is_empty() {
        let load = format!("Load with: ipset restore -exist -file {}.ipset", context.stem);
        let mut text = header(context, &[&load]);
        text.push_str(&members);
        files.push(OutputFile { name: format!("{}.ipset", context.stem), text });
    }
    if context.partial {
        return files;
    }
    files.append(&mut empty);
    files.push(OutputFile { name: format!("{}.attach", context.stem), text: attach::script(ruleset, context) });
    files
}

/// One family's program for one table.
struct Writer<'a, 's> {
    family: Family,
    kind: TableKind,
    sets: &'a mut Sets,
    state: &'a mut State<'s>,
    names: FxHashSet<Arc<str>>,
    next: FxHashMap<Arc<str>, u32>,
    declarations: String,
    body: String,
    /// Rules of chains that were made on the way, after all others.
    later: String,
    remark: String,
}

/// Where a line is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Body,
    Later,
}

/// What a line ends in.
#[derive(Clone, Copy)]
enum End<'r> {
    Effect(&'r Effect),
    Verdict(&'r Verdict),
    Jump(&'r str),
    Goto(&'r str),
    Nothing,
}

/// One match in the words of iptables: the alternatives among which a line takes one each.
enum Part<'r> {
    Words(&'r Match),
    Cards(&'static str, bool, Vec<&'r Card>),
    Addresses(Side, bool, &'r [AddressRange]),
    AddressSet(Side, bool, String),
    Original(bool, Vec<AddressRange>),
    Protocols(bool, &'r [Protocol]),
    Ports(Side, bool, Vec<&'r [PortRange]>),
    PortSet(Side, bool, String),
    OriginalPorts(bool, &'r [PortRange]),
    Icmp(bool, &'r [IcmpType]),
    Macs(bool, &'r [Mac]),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Source,
    Destination,
}

impl Part<'_> {
    /// How many lines it takes. Negated lists take one: all their members are denied in the same line.
    fn count(&self) -> usize {
        match self {
            Self::Words(_) | Self::AddressSet(..) | Self::PortSet(..) => 1,
            Self::Cards(_, negated, list) => alternatives(*negated, list.len()),
            Self::Addresses(_, negated, list) => alternatives(*negated, list.len()),
            Self::Original(negated, list) => alternatives(*negated, list.len()),
            Self::Protocols(negated, list) => alternatives(*negated, list.len()),
            Self::Ports(_, negated, list) => alternatives(*negated, list.len()),
            Self::OriginalPorts(negated, list) => alternatives(*negated, list.len()),
            Self::Icmp(negated, list) => alternatives(*negated, list.len()),
            Self::Macs(negated, list) => alternatives(*negated, list.len()),
        }
    }
}

fn alternatives(negated: bool, count: usize) -> usize {
    if negated { 1 } else { count }
}

/// The members that one line names: one of a list, all of a negated one.
fn chosen<T>(negated: bool, list: &[T], at: usize) -> &[T] {
    if negated { list } else { list.get(at..=at).unwrap_or(&[]) }
}

/// Whether a match counts: asking it twice is not the same as asking it once.
fn counts(kind: &MatchKind) -> bool {
    matches!(kind, MatchKind::Limit(_) | MatchKind::ConnectionsAbove { .. } | MatchKind::Unknown(_))
}

/// Whether a negated match has no wording in one line.
fn needs_detour(item: &Match) -> bool {
    item.negated
        && match &item.kind {
            MatchKind::InInterface(cards) | MatchKind::OutInterface(cards) => cards.len() > 1,
            MatchKind::Protocol(list) => list.len() > 1,
            MatchKind::Time { .. } | MatchKind::Unknown(_) => true,
            kind => counts(kind),
        }
}

/// Whether what the rule does on the way could change whether the rule still matches.
fn alters(rule: &Rule) -> bool {
    rule.effects.iter().any(|effect| !matches!(effect, Effect::Log { .. }))
}

impl<'a, 's> Writer<'a, 's> {
    fn new(family: Family, kind: TableKind, sets: &'a mut Sets, state: &'a mut State<'s>) -> Self {
        Self {
            family,
            kind,
            sets,
            state,
            names: FxHashSet::default(),
            next: FxHashMap::default(),
            declarations: String::new(),
            body: String::new(),
            later: String::new(),
            remark: String::new(),
        }
    }

    fn table(&mut self, ruleset: &Ruleset, partial: bool) {
        let own = of_table(self.family);
        let (family, kind) = (self.family, self.kind);
        let tables = || {
            ruleset
                .tables
                .iter()
                .filter(move |table| table.kind == kind && (table.family == TableFamily::Inet || table.family == own))
        };
        // A table that is named comes to life and costs every packet: one where the policy has nothing to say is not.
        let used = uses(ruleset, family, kind);
        for (_, hook) in ENTRY_CHAINS.iter().filter(|(entry, _)| *entry == kind && used && !partial) {
            self.declare(&Arc::from(entry_chain(kind, *hook)));
        }
        let attached = ruleset.attachments.iter().filter(|item| item.family == family && item.table == kind);
        for chain in
            attached.map(|item| &item.chain).chain(tables().flat_map(|table| &table.chains).map(|chain| &chain.name))
        {
            self.declare(chain);
        }
        for chain in tables().flat_map(|table: &Table| &table.chains) {
            self.chain(chain);
        }
    }

    fn declare(&mut self, name: &Arc<str>) {
        if !self.names.insert(name.clone()) {
            return;
        }
        if name.len() > CHAIN_NAME || !ipset::write_safe(name) {
            let message = format!("`{name}` cannot be the name of a chain");
            self.state.fault(&UNUSABLE_TEXT, None, message, "use at most 28 letters, digits, `-`, `_` and `.`");
        }
        self.declarations.push(':');
        self.declarations.push_str(name);
        self.declarations.push_str(" - [0:0]\n");
    }

    /// A new chain, named after the one that it continues.
    fn fresh(&mut self, after: &str) -> Arc<str> {
        let stem = after.split_once('~').map_or(after, |(stem, _)| stem);
        let stem: Arc<str> = Arc::from(stem);
        loop {
            let number = self.next.entry(stem.clone()).or_insert(0);
            *number += 1;
            let digits = number.to_string();
            let room = CHAIN_NAME.saturating_sub(digits.len() + 1);
            let cut = (0..=room.min(stem.len())).rev().find(|&at| stem.is_char_boundary(at)).unwrap_or(0);
            let name: Arc<str> = Arc::from(format!("{}~{digits}", stem.get(..cut).unwrap_or("")));
            if !self.names.contains(&name) {
                self.declare(&name);
                return name;
            }
        }
    }

    fn chain(&mut self, chain: &Chain) {
        let mut current = chain.name.clone();
        let mut rest = chain.rules.as_slice();
        while let Some(first) = rest.first() {
            let detours = |rule: &'_ Rule| -> Vec<Match> {
                // Most rules have none, and an empty list costs nothing.
                rule.matches.iter().filter(|item| needs_detour(item)).cloned().collect()
            };
            let around = detours(first);
            // A counter is asked for each rule anew.
            let alone = around.iter().any(|item| counts(&item.kind));
            let length = if alone { 1 } else { rest.iter().take_while(|rule| detours(rule) == around).count().max(1) };
            let (group, after) = rest.split_at(length.min(rest.len()));
            rest = after;
            let family = self.family;
            let shares = group.iter().filter_map(|rule| of_family(rule, family));
            if around.is_empty() {
                for rule in shares {
                    current = self.rule(&current, &rule);
                }
            } else if shares.clone().next().is_some() {
                current = self.detour(&current, &around, &shares.collect::<Vec<_>>());
            }
        }
        if chain.base.is_some_and(|base| !base.accept) {
            self.remark.clear();
            self.line(Place::Body, &current, &[], &[], 0, End::Verdict(&Verdict::Drop), None);
        }
    }

    /// Writes rules that packets with any of the excluded properties go around; gives the chain that the next rule belongs in.
    ///
    /// Where none of the rules leaves the chain by RETURN or goto, they stand in a chain that is called and that the excluded leave by
    /// RETURN. Otherwise the excluded go to a new chain, which holds what follows. That is one goto deeper, and nf_tables counts
    /// those, so that it is not the rule.
    fn detour(&mut self, current: &Arc<str>, around: &[Match], rules: &[Cow<Rule>]) -> Arc<str> {
        let leaves = |rule: &Cow<Rule>| {
            matches!(rule.verdict, Some(Verdict::Return | Verdict::Goto(_) | Verdict::GotoMap { .. }))
        };
        let deeper = rules.iter().any(leaves);
        let next = self.fresh(current);
        let inner = if deeper { current } else { &next };
        if !deeper {
            self.remark.clear();
            self.line(Place::Body, current, &[], &[], 0, End::Jump(&next), None);
        }
        if let Some(first) = rules.first() {
            self.set_remark(first);
        }
        for item in around {
            let positive = Rule { matches: vec![Match::is(item.kind.clone())], ..Rule::default() };
            self.lines(inner, &positive, if deeper { End::Goto(&next) } else { End::Verdict(&Verdict::Return) });
        }
        let mut last = inner.clone();
        for rule in rules {
            last = self.rule(&last, rule);
        }
        if !deeper {
            return current.clone();
        }
        self.remark.clear();
        self.goto(Place::Body, &last, &next);
        next
    }

    fn goto(&mut self, place: Place, from: &str, to: &str) {
        let remark = std::mem::take(&mut self.remark);
        self.line(place, from, &[], &[], 0, End::Goto(to), None);
        self.remark = remark;
    }

    /// Writes a rule's matches, however many lines they take, each with the same end.
    fn lines(&mut self, chain: &str, rule: &Rule, end: End) {
        let Some((parts, product)) = self.parts(rule, |_| true) else { return };
        for at in 0..product {
            self.line(Place::Body, chain, &parts, &[], at, end, rule.origin);
        }
    }

    fn set_remark(&mut self, rule: &Rule) {
        self.state.remark(&mut self.remark, rule);
    }

    /// Writes one rule into `current`; gives the chain that the next rule belongs in.
    fn rule(&mut self, current: &Arc<str>, rule: &Rule) -> Arc<str> {
        if let Some(Verdict::GotoMap { fields, elements }) = &rule.verdict {
            return self.map(current, rule, fields, elements);
        }
        let Some((parts, product)) = self.parts(rule, |item| !counts(&item.kind) && !needs_detour(item)) else {
            return current.clone();
        };
        let counters: Vec<Part> =
            rule.matches.iter().filter(|item| counts(&item.kind) && !item.negated).map(Part::Words).collect();
        self.set_remark(rule);
        let actions = rule.effects.len() + usize::from(rule.verdict.is_some());
        if actions == 0 && counters.is_empty() {
            return current.clone();
        }
        // These targets ask for the protocol in the very line that they stand in.
        let asks = matches!(
            rule.verdict,
            Some(Verdict::Reject(Reject::TcpReset) | Verdict::Dnat { port: Some(_), .. } | Verdict::Redirect(_))
        );
        let again: Vec<Part> = match protocol(rule) {
            Some(list @ [_]) if asks => vec![Part::Protocols(false, list)],
            _ => Vec::new(),
        };
        // Several things to do: in a chain of their own, unless asking again costs nothing and gives the same answer.
        let apart = actions > 1 && (product > 1 || !counters.is_empty() || alters(rule));
        let action_chain = apart.then(|| {
            let name = self.fresh(current);
            for end in ends(rule) {
                self.line(Place::Later, &name, &again, &[], 0, end, rule.origin);
            }
            name
        });
        let all: Vec<End> = match &action_chain {
            Some(name) if matches!(rule.verdict, None | Some(Verdict::Jump(_))) => vec![End::Jump(name)],
            Some(name) => vec![End::Goto(name)],
            None if actions == 0 => vec![End::Nothing],
            None => ends(rule).collect(),
        };
        if product == 1 || counters.is_empty() {
            for at in 0..product {
                for &end in &all {
                    self.line(Place::Body, current, &parts, &counters, at, end, rule.origin);
                }
            }
            return current.clone();
        }
        let counter_chain = self.fresh(current);
        for &end in &all {
            self.line(Place::Later, &counter_chain, &again, &counters, 0, end, rule.origin);
        }
        // RETURN and goto mean the caller of this chain, so that the counter's chain must be gone to, not called; beyond the limit it
        // then has to find the next rule by itself.
        let leaves = matches!(rule.verdict, Some(Verdict::Return | Verdict::Goto(_)));
        let end = if leaves { End::Goto(&counter_chain) } else { End::Jump(&counter_chain) };
        for at in 0..product {
            self.line(Place::Body, current, &parts, &[], at, end, rule.origin);
        }
        if !leaves {
            return current.clone();
        }
        let rest = self.fresh(current);
        self.goto(Place::Later, &counter_chain, &rest);
        self.goto(Place::Body, current, &rest);
        rest
    }

    /// iptables has no verdict maps: one rule for each key.
    fn map(
        &mut self,
        current: &Arc<str>,
        rule: &Rule,
        fields: &[SetField],
        elements: &[(Vec<SetValue>, Arc<str>)],
    ) -> Arc<str> {
        let mut current = current.clone();
        for (values, chain) in elements {
            let mut one = rule.clone();
            one.verdict = Some(Verdict::Goto(chain.clone()));
            for (field, value) in fields.iter().zip(values) {
                match (field, value) {
                    (SetField::Source, SetValue::Address(range)) => {
                        one.matches.push(Match::is(MatchKind::Source([*range].into_iter().collect())));
                    }
                    (SetField::Destination, SetValue::Address(range)) => {
                        one.matches.push(Match::is(MatchKind::Destination([*range].into_iter().collect())));
                    }
                    (SetField::DestinationService | SetField::OriginalService, SetValue::Service(protocol, ports)) => {
                        one.matches.retain(|item| !matches!(item.kind, MatchKind::Protocol(_)));
                        one.matches.push(Match::is(MatchKind::Protocol(vec![*protocol])));
                        let ports = [*ports].into_iter().collect();
                        one.matches.push(Match::is(if *field == SetField::DestinationService {
                            MatchKind::DestinationPort(ports)
                        } else {
                            MatchKind::OriginalDestinationPort(ports)
                        }));
                    }
                    (SetField::SourceMac, SetValue::Mac(mac)) => {
                        one.matches.push(Match::is(MatchKind::SourceMac(vec![*mac])));
                    }
                    (SetField::InInterface, SetValue::Interface(card)) => {
                        one.matches.push(Match::is(MatchKind::InInterface(vec![card.clone()])));
                    }
                    _ => self.fault(
                        &NOT_IN_BACK_END,
                        rule,
                        "a map's key does not fit its field".to_owned(),
                        "this is a fault of fwc: please report it",
                    ),
                }
            }
            if let Some(share) = of_family(&one, self.family) {
                current = self.rule(&current, &share);
            }
        }
        current
    }

    fn fault(&mut self, code: &'static Code, rule: &Rule, message: String, help: &str) {
        self.state.fault(code, rule.origin, message, help);
    }

    /// The rule's matches in iptables' words, and how many lines they take together; `None` if no packet matches.
    fn parts<'r>(&mut self, rule: &'r Rule, wanted: impl Fn(&Match) -> bool) -> Option<(Vec<Part<'r>>, usize)> {
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
                MatchKind::Source(set) => self.addresses(Side::Source, negated, set.ranges())?,
                MatchKind::Destination(set) => self.addresses(Side::Destination, negated, set.ranges())?,
                MatchKind::OriginalDestination(set) => {
                    let prefixes = set.ranges().iter().flat_map(AddressRange::prefixes).map(AddressRange::from);
                    Some(Part::Original(negated, prefixes.collect()))
                }
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
                MatchKind::InSet { set, fields } => match self.sets.families.get(set) {
                    Some(Some(family)) if *family != self.family => {
                        if negated {
                            None
                        } else {
                            return None;
                        }
                    }
                    _ => {
                        if fields.contains(&SetField::OriginalService) {
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

    fn check_limit(&mut self, limit: &Limit, rule: &Rule) {
        let scale: u64 = if limit.source_prefix.is_some() { 1_000_000 } else { 10_000 };
        let average = scale * u64::from(limit.seconds) / u64::from(limit.count.max(1));
        let whole = average.saturating_mul(u64::from(limit.burst));
        let fits = average > 0 && limit.count > 0 && limit.burst > 0;
        if !fits || (limit.source_prefix.is_none() && whole > u64::from(u32::MAX)) {
            let message = format!(
                "the kernel cannot count {} in {} s with a burst of {}",
                limit.count, limit.seconds, limit.burst
            );
            self.fault(
                &RATE_OUT_OF_RANGE,
                rule,
                message,
                "take a shorter time or a smaller burst, or count `per source`",
            );
        }
    }

    /// Outer `None`: never matches. Inner `None`: always does.
    #[allow(clippy::option_option)]
    fn cards<'r>(
        &mut self,
        flag: &'static str,
        negated: bool,
        cards: &'r [Card],
        rule: &Rule,
    ) -> Option<Option<Part<'r>>> {
        for card in cards {
            if card.name.len() > Card::MAX
                || !card.name.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\'".contains(&byte))
                || (!card.prefix && (card.name.is_empty() || card.name.ends_with('+')))
            {
                let message = format!("`{}` cannot be matched as an interface name", card.name);
                self.fault(
                    &UNUSABLE_TEXT,
                    rule,
                    message,
                    "interface names have 1 to 15 bytes, without spaces and quotation marks",
                );
            }
        }
        if flag.len() == 2 && cards.iter().any(|card| card.prefix && card.name.is_empty()) {
            return if negated { None } else { Some(None) };
        }
        Some(Some(Part::Cards(flag, negated, distinct(cards))))
    }

    #[allow(clippy::option_option)]
    fn addresses<'r>(&mut self, side: Side, negated: bool, ranges: &'r [AddressRange]) -> Option<Option<Part<'r>>> {
        if let [range] = ranges
            && write::prefix_length(range) == Some(0)
        {
            return if negated { None } else { Some(None) };
        }
        if ranges.len() > LINES_FOR_ADDRESSES {
            return Some(Some(Part::AddressSet(side, negated, self.sets.addresses(self.family, ranges).to_owned())));
        }
        Some(Some(Part::Addresses(side, negated, ranges)))
    }

    fn need_ports(&mut self, protocol: Option<&[Protocol]>, rule: &Rule) {
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

    fn ports<'r>(
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

    /// Writes the line that takes the alternatives number `at` of all parts.
    #[allow(clippy::too_many_arguments)]
    fn line(
        &mut self,
        place: Place,
        chain: &str,
        parts: &[Part],
        counters: &[Part],
        at: usize,
        end: End,
        origin: Option<crate::span::Location>,
    ) {
        let mut out = std::mem::take(match place {
            Place::Body => &mut self.body,
            Place::Later => &mut self.later,
        });
        out.push_str("-A ");
        out.push_str(chain);
        let mut rest = at;
        let mut protocol = None;
        for part in parts.iter().chain(counters) {
            let count = part.count().max(1);
            self.part(&mut out, part, rest % count, &mut protocol);
            rest /= count;
        }
        if let End::Effect(Effect::ClampMss) = end {
            let clear = |part: &Part| !matches!(part, Part::Words(Match { kind: MatchKind::TcpFlags { .. }, .. }));
            if protocol != Some(Protocol::TCP) && parts.iter().all(|part| !matches!(part, Part::Protocols(..))) {
                out.push_str(" -p tcp");
            }
            if parts.iter().all(clear) {
                out.push_str(" -m tcp --tcp-flags SYN,RST SYN");
            }
        }
        if !self.remark.is_empty() {
            out.push_str(" -m comment --comment ");
            write::quoted(&mut out, &self.remark, 255);
        }
        self.end(&mut out, end, protocol, origin);
        out.push('\n');
        *match place {
            Place::Body => &mut self.body,
            Place::Later => &mut self.later,
        } = out;
    }

    fn part(&mut self, out: &mut String, part: &Part, at: usize, protocol: &mut Option<Protocol>) {
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
            Part::Addresses(side, negated, ranges) => {
                let list = chosen(*negated, ranges, at);
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
            Part::Original(negated, ranges) => {
                for range in chosen(*negated, ranges, at) {
                    conntrack(out, *negated, "--ctorigdst ");
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
    fn words(&mut self, out: &mut String, item: &Match) {
        let option = |out: &mut String, module: &str, option: &str| {
            out.push_str(module);
            not(out, item.negated);
            out.push_str(option);
        };
        match &item.kind {
            MatchKind::Bridged => option(out, " -m physdev", "--physdev-is-bridged"),
            MatchKind::DestinationLocal => option(out, " -m addrtype", "--dst-type LOCAL"),
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
            MatchKind::Mark { value, mask } => {
                option(out, " -m mark", "--mark ");
                masked(out, *value, *mask);
            }
            MatchKind::User(name) => {
                option(out, " -m owner", "--uid-owner ");
                out.push_str(name);
            }
            MatchKind::InSet { set, fields } => {
                option(out, " -m set", "--match-set ");
                out.push_str(set);
                out.push(' ');
                out.push_str(&ipset::flags(fields));
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
                    list(out, *days, &["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]);
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

    fn limit(&self, out: &mut String, limit: &Limit) {
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

    fn end(&mut self, out: &mut String, end: End, protocol: Option<Protocol>, origin: Option<crate::span::Location>) {
        let mut only_in = |kind: TableKind, what: &str| {
            if self.kind != kind {
                let message = format!("{what} exists in the {} table only, not in {}", kind.name(), self.kind.name());
                self.state.fault(&WRONG_TABLE, origin, message, "move the rule to a chain of that table");
            }
        };
        match end {
            End::Nothing => {}
            End::Jump(name) => {
                out.push_str(" -j ");
                out.push_str(name);
            }
            End::Goto(name) => {
                out.push_str(" -g ");
                out.push_str(name);
            }
            End::Effect(Effect::Log { prefix, level }) => {
                if prefix.len() > LOG_PREFIX {
                    let message = format!("the log prefix `{prefix}` is longer than 29 bytes");
                    self.state.fault(&UNUSABLE_TEXT, origin, message, "shorten it: iptables cuts the rest off");
                }
                out.push_str(" -j LOG --log-prefix ");
                write::quoted(out, prefix, LOG_PREFIX);
                out.push_str(" --log-level ");
                write::number(out, *level);
            }
            End::Effect(Effect::SetMark { value, mask }) => {
                out.push_str(" -j MARK --set-xmark ");
                masked(out, *value, *mask);
            }
            End::Effect(Effect::SetDscp(value)) => {
                only_in(TableKind::Mangle, "DSCP");
                out.push_str(" -j DSCP --set-dscp ");
                write::number(out, *value);
            }
            End::Effect(Effect::ClampMss) => out.push_str(" -j TCPMSS --clamp-mss-to-pmtu"),
            End::Effect(Effect::Notrack) => {
                only_in(TableKind::Raw, "NOTRACK");
                out.push_str(" -j CT --notrack");
            }
            End::Effect(Effect::Helper(name)) => {
                only_in(TableKind::Raw, "a connection helper");
                out.push_str(" -j CT --helper ");
                out.push_str(name);
            }
            End::Verdict(verdict) => match verdict {
                Verdict::Accept => out.push_str(" -j ACCEPT"),
                Verdict::Drop => out.push_str(" -j DROP"),
                Verdict::Return => out.push_str(" -j RETURN"),
                Verdict::Reject(how) => {
                    only_in(TableKind::Filter, "REJECT");
                    if *how == Reject::TcpReset && protocol != Some(Protocol::TCP) {
                        let message = "a TCP reset answers a rule that is not about TCP alone".to_owned();
                        self.state.fault(&INCOMPLETE_MATCH, origin, message, "name the protocol: `tcp`");
                    }
                    out.push_str(" -j REJECT --reject-with ");
                    out.push_str(reject(*how, self.family));
                }
                Verdict::Jump(name) => {
                    out.push_str(" -j ");
                    out.push_str(name);
                }
                Verdict::Goto(name) => {
                    out.push_str(" -g ");
                    out.push_str(name);
                }
                Verdict::Dnat { address, port } => {
                    only_in(TableKind::Nat, "DNAT");
                    out.push_str(" -j DNAT --to-destination ");
                    match (address.is_ipv6(), port) {
                        (true, Some(_)) => {
                            out.push('[');
                            write::address(out, *address);
                            out.push(']');
                        }
                        _ => write::address(out, *address),
                    }
                    if let Some(port) = port {
                        out.push(':');
                        write::number(out, *port);
                    }
                }
                Verdict::Snat(address) => {
                    only_in(TableKind::Nat, "SNAT");
                    out.push_str(" -j SNAT --to-source ");
                    write::address(out, *address);
                }
                Verdict::Masquerade => {
                    only_in(TableKind::Nat, "MASQUERADE");
                    out.push_str(" -j MASQUERADE");
                }
                Verdict::Redirect(port) => {
                    only_in(TableKind::Nat, "REDIRECT");
                    out.push_str(" -j REDIRECT --to-ports ");
                    write::number(out, *port);
                }
                // Was taken apart before.
                Verdict::GotoMap { .. } => {}
            },
        }
    }
}

/// What a rule does, in order.
fn ends(rule: &Rule) -> impl Iterator<Item = End<'_>> {
    rule.effects.iter().map(End::Effect).chain(rule.verdict.as_ref().map(End::Verdict))
}

/// The protocols that a rule asks for.
fn protocol(rule: &Rule) -> Option<&[Protocol]> {
    rule.matches.iter().find_map(|item| match &item.kind {
        MatchKind::Protocol(list) if !item.negated => Some(list.as_slice()),
        _ => None,
    })
}

/// Cards without those that others of the list cover, so that no packet takes two alternatives.
fn distinct(cards: &[Card]) -> Vec<&Card> {
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

fn not(out: &mut String, negated: bool) {
    out.push_str(if negated { " ! " } else { " " });
}

/// Begins an option of the match on connections, in the match that the line ended in, where that is one and has no such option.
/// A match that asks for states beside it holds for packets without a connection (`conntrack_mt`), and is left alone.
fn conntrack(out: &mut String, negated: bool, option: &str) {
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

fn ports(out: &mut String, side: Side, negated: bool, ranges: &[PortRange], protocol: Option<Protocol>) {
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

fn port_range(out: &mut String, range: PortRange) {
    write::number(out, range.first);
    if range.last != range.first {
        out.push(':');
        write::number(out, range.last);
    }
}

fn masked(out: &mut String, value: u32, mask: u32) {
    use std::fmt::Write as _;
    // Writing to a String cannot fail.
    let _ = write!(out, "0x{value:x}/0x{mask:x}");
}

fn list(out: &mut String, bits: u8, names: &[&str]) {
    let mut separator = "";
    for (at, name) in names.iter().enumerate() {
        if bits & (1 << at) != 0 {
            out.push_str(separator);
            out.push_str(name);
            separator = ",";
        }
    }
}

fn states(out: &mut String, bits: u8) {
    // The constants name the bits in this order.
    const { assert!(Track::NEW == 1 && Track::UNTRACKED == 16) };
    list(out, bits, &["NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED"]);
}

fn tcp_flags(out: &mut String, bits: u8) {
    if bits == 0 {
        out.push_str("NONE");
    } else {
        list(out, bits & 0x3f, &["FIN", "SYN", "RST", "PSH", "ACK", "URG"]);
    }
}

fn clock(out: &mut String, minutes: u16) {
    use std::fmt::Write as _;
    if minutes >= 24 * 60 {
        out.push_str("23:59:59");
    } else {
        let _ = write!(out, "{:02}:{:02}", minutes / 60, minutes % 60);
    }
}

fn rate(out: &mut String, limit: &Limit) {
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
fn hashlimit_name(limit: &Limit) -> String {
    let mut hash = 0x811c_9dc5_u32;
    let values = [limit.count, limit.seconds, limit.burst, u32::from(limit.source_prefix.unwrap_or(0))];
    for byte in limit.name.bytes().chain(values.iter().flat_map(|value| value.to_be_bytes())) {
        hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    let readable: String =
        limit.name.trim_start_matches("fwc-").chars().filter(char::is_ascii_alphanumeric).take(6).collect();
    format!("{readable}-{hash:08x}")
}

fn reject(how: Reject, family: Family) -> &'static str {
    match (how, family) {
        (Reject::TcpReset, _) => "tcp-reset",
        (Reject::PortUnreachable, Family::Ipv4) => "icmp-port-unreachable",
        (Reject::HostUnreachable, Family::Ipv4) => "icmp-host-unreachable",
        (Reject::NetworkUnreachable, Family::Ipv4) => "icmp-net-unreachable",
        (Reject::HostProhibited, Family::Ipv4) => "icmp-host-prohibited",
        (Reject::NetworkProhibited, Family::Ipv4) => "icmp-net-prohibited",
        (Reject::AdminProhibited, Family::Ipv4) => "icmp-admin-prohibited",
        (Reject::PortUnreachable, Family::Ipv6) => "icmp6-port-unreachable",
        (Reject::HostUnreachable, Family::Ipv6) => "icmp6-addr-unreachable",
        (Reject::NetworkUnreachable, Family::Ipv6) => "icmp6-no-route",
        (Reject::HostProhibited | Reject::NetworkProhibited | Reject::AdminProhibited, Family::Ipv6) => {
            "icmp6-adm-prohibited"
        }
    }
}
