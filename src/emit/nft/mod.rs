//! The nft script: one table of ours in family inet, and one in family bridge where bridged frames are judged.
//!
//! Without live sets the table is deleted and made again in one transaction. Where a set is filled by others at run time, its members
//! have to outlive the load, and sets cannot be shared between tables; so the table stays, its rules are flushed, and chains and sets are declared over
//! what is there. Chains and sets that an earlier build had and this one has not then stay behind, empty or unused, and decide
//! nothing.

mod matches;
mod sets;
mod verdict;

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::family::{is_neutral, of_family};
use super::{
    Context, INCOMPLETE_MATCH, Line, NOT_IN_BACK_END, OutputFile, State, UNUSABLE_TEXT, USUAL_LINE, WRONG_TABLE,
    attach, header, ipset, translated_port, write,
};
use crate::diagnostic::Code;
use crate::net::Family;
use crate::netfilter::{
    Base, Chain, Effect, Match, MatchKind, Reject, Rule, Ruleset, SetField, Table, TableFamily, TableKind, Target,
    Verdict, words,
};
use matches::says_family;

/// The name of our tables.
const TABLE: &str = "fwc";

/// Longest comment on a rule (`NFTNL_UDATA_COMMENT_MAXLEN`).
const COMMENT: usize = 127;

/// Longest chain name that we make; nft itself takes 127 bytes.
const CHAIN_NAME: usize = 100;

/// The files of an nft build.
pub(super) fn files(ruleset: &Ruleset, context: &Context, state: &mut State) -> Vec<OutputFile> {
    if context.partial {
        return vec![OutputFile { name: format!("{}.nft", context.stem), text: part(ruleset, context, state) }];
    }
    let load = format!(
        "Load with: nft -f {}.nft. The tables below are ours alone and are replaced in one step.",
        context.stem
    );
    let attached = ruleset.attachments.iter().any(|attachment| attachment.is_for(Target::Nft));
    let attach = if attached {
        format!(
            "Run {}.nft.attach after it: Docker's FORWARD drops what no rule of iptables accepts, whatever this table accepted.",
            context.stem
        )
    } else {
        format!("{}.nft.attach takes away what an earlier build made in chains of iptables.", context.stem)
    };
    let mut text = header(context, &[&load, &attach]);
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
        let chains = writer.chains(&tables);
        text.push_str(&format!("\n{name}\n"));
        if live {
            text.push_str(&format!("flush {name}\n"));
            text.push_str(&writer.flushes);
        } else {
            text.push_str(&format!("delete {name}\n"));
        }
        writer.table(&mut text, &name, chains);
        // A table that holds live sets is only emptied of its rules.
        empty.push_str(&format!("\n{name}\n{} {name}\n", if live { "flush" } else { "delete" }));
    }
    let mut files = vec![
        OutputFile { name: format!("{}.nft", context.stem), text },
        OutputFile { name: format!("{}.empty.nft", context.stem), text: empty },
    ];
    files.push(OutputFile { name: format!("{}.nft.attach", context.stem), text: attach::script(ruleset, context) });
    files
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
        let written = writer.chains(&tables);
        let chains = || tables.iter().flat_map(|table| table.chains.iter().map(|chain| (table.kind, &chain.name)));
        text.push_str(&format!("\ntable {family} {TABLE} {{\n"));
        for (kind, name) in chains() {
            text.push_str(&format!("\tchain {} {{\n\t}}\n", writer.chain_name(kind, name)));
        }
        text.push_str("}\n");
        for (kind, name) in chains() {
            text.push_str(&format!("flush chain {family} {TABLE} {}\n", writer.chain_name(kind, name)));
        }
        writer.table(&mut text, &format!("table {family} {TABLE}"), written);
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
    /// The chain that is being written.
    current: Arc<str>,
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
            current: Arc::default(),
            renamed: FxHashMap::default(),
            families: FxHashMap::default(),
        }
    }

    /// The chains, and in `objects` what they use.
    fn chains(&mut self, tables: &[&Table]) -> String {
        self.names(tables);
        for set in tables.iter().flat_map(|table| &table.sets) {
            if self.families.insert(set.name.clone(), set.family).is_none() {
                self.set(set);
            }
        }
        let rules: usize = tables.iter().flat_map(|table| &table.chains).map(|chain| chain.rules.len() + 1).sum();
        let mut chains = String::with_capacity(self.objects.len() + rules * USUAL_LINE);
        for table in tables {
            self.kind = table.kind;
            for chain in &table.chains {
                self.chain(&mut chains, chain, table.family);
            }
        }
        chains
    }

    /// A table of that name with these chains.
    fn table(&self, out: &mut String, name: &str, chains: String) {
        out.push_str(&format!("{name} {{\n{}", self.objects));
        write::join(out, chains);
        out.push_str("}\n");
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
        self.current = Arc::from(&*name);
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
            let name = format!("{name}-helper");
            open(out, &name, Some(Base { priority: -150, ..base }), TableKind::Mangle);
            self.current = Arc::from(name);
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
            MatchKind::InSet(asked) => {
                self.families.get(&asked.set).copied().flatten().is_some()
                    || asked.fields.iter().any(|field| matches!(field, SetField::Source | SetField::Destination))
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
            MatchKind::InSet(asked) => {
                self.families.get(&asked.set).copied().flatten().is_none_or(|of_set| of_set == family)
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
        let start = out.len();
        self.line(out, rule, family);
        let line = out.get(start..).filter(|line| !line.is_empty());
        if let Some(line) = line {
            let (bridge, table, chain) = (self.bridge, self.kind, Arc::clone(&self.current));
            let about =
                |origin, text| Line { family, bridge, table, chain, text, origin, comment: rule.comment.clone() };
            self.state.note(line, rule.origin, about);
        }
    }

    fn line(&mut self, out: &mut String, rule: &Rule, family: Option<Family>) {
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
        translated_port(self.state, rule);
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

/// Whether nft reads it as a name: words of nft are not, but none of them begins with `fwc`.
fn safe(name: &str) -> bool {
    ipset::write_safe(name) && name.starts_with("fwc")
}
