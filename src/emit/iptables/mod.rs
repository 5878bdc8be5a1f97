//! `iptables-restore --noflush` files: one for each family, holding our own chains alone.
//!
//! A rule of the netfilter form may need several lines: lists are multiplied out, since iptables compares with one interface,
//! address or protocol at a time. What iptables cannot negate (one of several interfaces, a long list) becomes a jump around the rule (`detour`): the
//! excluded packets return from a chain that was called for the rule, or *go to* a new chain that holds the rest. `goto` keeps
//! the meaning of RETURN, for a chain that was gone to returns to where the first one was called from. A counter (a limit) is never written twice: the lines lead to one chain that holds it.

mod detour;
mod matches;
mod once;
mod verdict;

use std::borrow::Cow;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use thin_vec::thin_vec;

use super::family;
use super::ipset::{self, Sets};
use super::{
    Context, INCOMPLETE_MATCH, Line, NOT_IN_BACK_END, OutputFile, RATE_OUT_OF_RANGE, State, UNUSABLE_TEXT, USUAL_LINE,
    WRONG_TABLE, attach, header, translated_port, write,
};
use crate::diagnostic::Code;
use crate::net::{Card, Family, Protocol};
use crate::netfilter::entry::{ENTRY_CHAINS, entry_chain};
use crate::netfilter::{
    Attached, Chain, Effect, Match, MatchKind, Reject, Rule, Ruleset, SetField, SetValue, Table, TableFamily,
    TableKind, Verdict,
};
use detour::{divided, excluded};
use matches::{Part, protocol};
use once::once;

/// Longest chain name (`XT_EXTENSION_MAXNAMELEN` less the final NUL).
const CHAIN_NAME: usize = 28;

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
            "Load {}.ipset first where it exists, and run {}.attach after every load: it makes the jumps into these chains.",
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
            for text in [&mut rules, &mut emptied] {
                text.push_str(&format!("*{}\n{declarations}", kind.name()));
            }
            write::join(&mut rules, body);
            write::join(&mut rules, later);
            for text in [&mut rules, &mut emptied] {
                text.push_str("COMMIT\n");
            }
        }
        files.push(OutputFile { name: format!("{}.rules.{suffix}", context.stem), text: rules });
        empty.push(OutputFile { name: format!("{}.empty.{suffix}", context.stem), text: emptied });
    }
    if !sets.is_empty() {
        let load = format!("Load with: ipset restore -exist -file {}.ipset", context.stem);
        let mut text = header(context, &[&load]);
        sets.write(&mut text);
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
    /// The remark of the rule that is being written.
    comment: Option<Arc<str>>,
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

/// A rule as packets of one family see it, as far as a line has the options for it; None if it matches none of them.
fn of_family(rule: &Rule, family: Family) -> Option<Cow<'_, Rule>> {
    family::of_family(rule, family).and_then(once)
}

/// Whether a match counts: asking it twice is not the same as asking it once.
fn counts(kind: &MatchKind) -> bool {
    matches!(kind, MatchKind::Limit(_) | MatchKind::ConnectionsAbove { .. } | MatchKind::Unknown(_))
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
            comment: None,
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
        let led = attached.filter_map(|item| if let Attached::Jump(chain) = &item.rule { Some(chain) } else { None });
        for chain in led.chain(tables().flat_map(|table| &table.chains).map(|chain| &chain.name)) {
            self.declare(chain);
        }
        let rules: usize = tables().flat_map(|table: &Table| &table.chains).map(|chain| chain.rules.len()).sum();
        self.body.reserve(rules * USUAL_LINE);
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
        let family = self.family;
        let mut current = chain.name.clone();
        let mut rest = chain.rules.as_slice();
        while let Some(first) = rest.first() {
            let around = excluded(first, family).unwrap_or_default();
            // A counter is asked for each rule anew.
            let alone = around.iter().flatten().any(|item| counts(&item.kind));
            let same = |rule: &&Rule| excluded(rule, family).is_none_or(|own| own == around);
            let length = if alone { 1 } else { rest.iter().take_while(same).count().max(1) };
            let (group, after) = rest.split_at(length.min(rest.len()));
            rest = after;
            let mut shares = group.iter().filter_map(|rule| of_family(rule, family)).map(|rule| divided(rule).0);
            if around.is_empty() {
                for rule in shares {
                    current = self.rule(&current, &rule);
                }
            } else if let Some(first) = shares.next() {
                let rules: Vec<Cow<Rule>> = std::iter::once(first).chain(shares).collect();
                current = self.detour(&current, &around, &rules);
            }
        }
        if chain.base.is_some_and(|base| !base.accept) {
            self.remark.clear();
            self.line(Place::Body, &current, &[], &[], 0, End::Verdict(&Verdict::Drop), None);
        }
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
        self.comment.clone_from(&rule.comment);
    }

    /// Writes one rule into `current`; gives the chain that the next rule belongs in.
    fn rule(&mut self, current: &Arc<str>, rule: &Rule) -> Arc<str> {
        if let Some(Verdict::Map { fields, elements }) = &rule.verdict {
            return self.map(current, rule, fields, elements);
        }
        let Some((parts, product)) = self.parts(rule, |item| !counts(&item.kind)) else {
            return current.clone();
        };
        translated_port(self.state, rule);
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
        elements: &[(Vec<SetValue>, Verdict)],
    ) -> Arc<str> {
        let mut current = current.clone();
        for (values, verdict) in elements {
            let mut one = rule.clone();
            one.verdict = Some(verdict.clone());
            for (field, value) in fields.iter().zip(values) {
                match (field, value) {
                    (SetField::Source, SetValue::Address(range)) => {
                        one.matches.push(Match::is(MatchKind::Source([range.unpacked()].into_iter().collect())));
                    }
                    (SetField::Destination, SetValue::Address(range)) => {
                        one.matches.push(Match::is(MatchKind::Destination([range.unpacked()].into_iter().collect())));
                    }
                    (SetField::DestinationService | SetField::OriginalService, SetValue::Service(protocol, ports)) => {
                        one.matches.retain(|item| !matches!(item.kind, MatchKind::Protocol(_)));
                        one.matches.push(Match::is(MatchKind::protocol(*protocol)));
                        let ports = [*ports].into_iter().collect();
                        one.matches.push(Match::is(if *field == SetField::DestinationService {
                            MatchKind::DestinationPort(ports)
                        } else {
                            MatchKind::OriginalDestinationPort(ports)
                        }));
                    }
                    (SetField::SourceMac, SetValue::Mac(mac)) => {
                        one.matches.push(Match::is(MatchKind::SourceMac(thin_vec![*mac])));
                    }
                    (SetField::InInterface, SetValue::Interface(card)) => {
                        one.matches.push(Match::is(MatchKind::InInterface([Card::clone(card)].into())));
                    }
                    (SetField::OutInterface, SetValue::Interface(card)) => {
                        one.matches.push(Match::is(MatchKind::OutInterface([Card::clone(card)].into())));
                    }
                    (SetField::Protocol, SetValue::Protocol(protocol)) => {
                        one.matches.push(Match::is(MatchKind::protocol(*protocol)));
                    }
                    (SetField::SourcePort, SetValue::Port(ports)) => {
                        one.matches.push(Match::is(MatchKind::SourcePort([*ports].into_iter().collect())));
                    }
                    (SetField::DestinationPort, SetValue::Port(ports)) => {
                        one.matches.push(Match::is(MatchKind::DestinationPort([*ports].into_iter().collect())));
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
        let start = out.len();
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
        let (family, table, comment) = (self.family, self.kind, &self.comment);
        self.state.note(out.get(start..).unwrap_or_default(), origin, |origin, text| Line {
            family: Some(family),
            bridge: false,
            table,
            chain: Arc::from(chain),
            text,
            origin,
            comment: comment.clone(),
        });
        *match place {
            Place::Body => &mut self.body,
            Place::Later => &mut self.later,
        } = out;
    }
}

/// What a rule does, in order.
fn ends(rule: &Rule) -> impl Iterator<Item = End<'_>> {
    rule.effects.iter().map(End::Effect).chain(rule.verdict.as_ref().map(End::Verdict))
}
