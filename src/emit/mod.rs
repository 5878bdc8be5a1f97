//! From the netfilter form to the texts that the kernel's tools load: `iptables-restore` and `ipset` files, a script that makes
//! the jumps into our chains, and an `nft` script. Knows nothing of policies or platforms, decides nothing about packets, and
//! gives the same bytes for the same input.

mod attach;
mod family;
mod ipset;
mod iptables;
mod nft;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::diagnostic::{Code, Diagnostic, Level};
use crate::net::{Family, Protocol};
use crate::netfilter::{MatchKind, Rule, Ruleset, TableKind, Verdict};
use crate::optimise::origin::Lines;
use crate::span::{Location, SourceText};

pub use crate::netfilter::Target;

/// A name or text that the kernel or its tools would refuse or cut.
pub static UNUSABLE_TEXT: Code = Code {
    number: "FW0601",
    name: "unusable-text",
    level: Level::Error,
    summary: "a name or text is longer than the kernel takes, or has bytes that its tools cannot read",
    explanation: "\
# A name or text that cannot be loaded

Netfilter's tools take interface names of 15 bytes, chain names of 28, set names of 31, log prefixes of 29 (iptables) or 127
(nft), and read neither quotation marks nor line ends inside them.

**Why it hurts.** Some of these are refused, so that nothing is loaded. A log prefix is worse: iptables cuts it silently, and the
search for it in the log finds nothing.

    log \"a prefix that goes on for much longer than this\" ssh to host

**Instead**, write a shorter text, of letters, digits, spaces and punctuation other than quotation marks.
",
};

/// An action that exists only in another table.
pub static WRONG_TABLE: Code = Code {
    number: "FW0602",
    name: "action-in-wrong-table",
    level: Level::Error,
    summary: "an action does not exist in the table that its rule is in",
    explanation: "\
# An action in the wrong table

REJECT exists in the filter table alone, DNAT, SNAT, MASQUERADE and REDIRECT in nat, NOTRACK and helpers in raw, and the
alteration of packets (DSCP, TCPMSS) in mangle.

**Why it hurts.** `iptables-restore` refuses the whole table, so that none of the rules is loaded.

    chain mangle forward { -p tcp -j REJECT }

**Instead**, put the rule into a chain of the table that has the action, or write `deny` where an answer is not needed.
",
};

/// A match or action that the chosen back end has no words for.
pub static NOT_IN_BACK_END: Code = Code {
    number: "FW0603",
    name: "not-in-back-end",
    level: Level::Error,
    summary: "the chosen target has no words for a match or an action",
    explanation: "\
# Not possible with this target

iptables and nft do not have the same matches. nft has no `physdev` in an inet table (bridge ports are matched in its bridge
table), cannot look the dialled port up together with an address in one set, and cannot read iptables' own words; iptables has
no bridge table of this kind, and its sets cannot hold the dialled port.

**Why it hurts.** Leaving the match out would make the rule mean something else, so nothing is written.

    chain filter forward { -m string --string x -j DROP }      # with `use target nft`

**Instead**, choose the other target (`--target iptables`), or write the rule with a match that both have.
",
};

/// A rate that the kernel cannot count.
pub static RATE_OUT_OF_RANGE: Code = Code {
    number: "FW0604",
    name: "rate-out-of-range",
    level: Level::Error,
    summary: "a rate or burst is outside of what the kernel can count",
    explanation: "\
# A rate that cannot be counted

xt_limit counts in steps of 1/10000 second (net/netfilter/xt_limit.c): at most 10000 a second; with `per source` in steps of a millionth. The
time that a whole burst takes to come back has to be under 31 hours. A burst of nothing lets nothing pass.

**Why it hurts.** iptables refuses the rule, and with it the whole table.

    allow ssh to host limit 1/day burst 10

**Instead**, take a shorter time or a smaller burst (`limit 1/hour burst 10`, `limit 1/day burst 1`).
",
};

/// A match that needs another one beside it.
pub static INCOMPLETE_MATCH: Code = Code {
    number: "FW0605",
    name: "incomplete-match",
    level: Level::Error,
    summary: "a match or an action stands without the protocol that it needs",
    explanation: "\
# A match that needs a protocol

Ports exist in TCP, UDP, SCTP, DCCP and UDP-Lite, ICMP types in ICMP and ICMPv6, a reset in TCP. A rule that looks at one of
them has to say which protocol it means.

**Why it hurts.** The tools refuse such a rule; were it loaded, it would compare bytes of another protocol.

    chain filter input { --dport 22 -j ACCEPT }

**Instead**, name the protocol: `-p tcp --dport 22`.
",
};

/// What to do about the name of an interface that cannot be written.
const CARD_HELP: &str =
    "rename the interface: letters, digits, `-`, `_` and `.`, at most 15, with a letter or digit first";

/// Every code that emission gives.
pub static CODES: [&Code; 5] = [&UNUSABLE_TEXT, &WRONG_TABLE, &NOT_IN_BACK_END, &RATE_OUT_OF_RANGE, &INCOMPLETE_MATCH];

/// What emission is told besides the rules.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// The back end.
    pub target: Target,
    /// What file names begin with.
    pub stem: &'a str,
    /// The texts that origins point into, by file number.
    pub sources: &'a [SourceText],
    /// Comment lines for the top of every file, without the comment sign.
    pub header: Vec<String>,
    /// Only some of our chains are written, to be loaded into a program that is there already: its other chains stay.
    pub partial: bool,
}

/// Room that is set aside for a rule, in bytes. What is not written to is never taken, and a text that grows step by step is held twice at
/// each.
const USUAL_LINE: usize = 160;

/// A finished file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputFile {
    /// File name: no directory.
    pub name: String,
    /// Content.
    pub text: String,
}

/// Writes the files of a build. Any diagnostic means that nothing can be written.
///
/// # Errors
/// What the target's tools could not load, all of it, each at the source that asks for it.
pub fn emit(ruleset: &Ruleset, context: &Context) -> Result<Vec<OutputFile>, Vec<Diagnostic>> {
    let mut state = State { lines: Lines::new(context.sources), problems: BTreeMap::new(), written: None };
    let files = match context.target {
        Target::Iptables => iptables::files(ruleset, context, &mut state),
        Target::Nft => nft::files(ruleset, context, &mut state),
    };
    if state.problems.is_empty() { Ok(files) } else { Err(state.problems.into_values().collect()) }
}

/// A line of a rule, as it is written, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The family that it is written for; `None`: both, in one line.
    pub family: Option<Family>,
    /// In a table for bridged frames.
    pub bridge: bool,
    /// Its table. nft has all of ours in one.
    pub table: TableKind,
    /// Its chain, by the name that it is written with.
    pub chain: Arc<str>,
    /// The line, without white space around it.
    pub text: String,
    /// The place that the rule comes from.
    pub origin: Location,
    /// The rule's own remark.
    pub comment: Option<Arc<str>>,
}

/// Every line that is written of a rule with a place in the source, in the order of the files. What could not be written is absent.
#[must_use]
pub fn lines(ruleset: &Ruleset, context: &Context) -> Vec<Line> {
    let mut state = State { lines: Lines::new(context.sources), problems: BTreeMap::new(), written: Some(Vec::new()) };
    match context.target {
        Target::Iptables => drop(iptables::files(ruleset, context, &mut state)),
        Target::Nft => drop(nft::files(ruleset, context, &mut state)),
    }
    state.written.unwrap_or_default()
}

/// What every writer shares: where origins lie, and what went wrong.
struct State<'a> {
    lines: Lines<'a>,
    problems: BTreeMap<(Location, &'static str, String), Diagnostic>,
    /// The lines so far, if somebody asks for them one by one.
    written: Option<Vec<Line>>,
}

impl State<'_> {
    /// Notes a line, if it comes from somewhere and somebody asks.
    fn note(&mut self, line: &str, origin: Option<Location>, about: impl FnOnce(Location, String) -> Line) {
        if let (Some(written), Some(origin)) = (&mut self.written, origin) {
            written.push(about(origin, line.trim().to_owned()));
        }
    }

    /// Notes a fault, once for a place and message, though a rule be written for both families.
    fn fault(&mut self, code: &'static Code, origin: Option<Location>, message: String, help: &str) {
        let location = origin.unwrap_or_default();
        let diagnostic = Diagnostic::new(code, location, message.clone()).help(help);
        self.problems.entry((location, code.number, message)).or_insert(diagnostic);
    }

    /// Writes what the comment of a rule says: the place that it comes from, then the remark of its own.
    fn remark(&self, out: &mut String, rule: &Rule) {
        out.clear();
        if let Some((path, line)) = rule.origin.and_then(|origin| self.lines.place(origin)) {
            out.push_str(path);
            out.push(':');
            write::number(out, line);
        }
        if let Some(comment) = &rule.comment {
            // The remark of a folded rule begins with the first of its places.
            if comment.starts_with(out.as_str()) {
                out.clear();
            }
            if !out.is_empty() {
                out.push(' ');
            }
            out.push_str(comment);
        }
    }
}

/// Reports a port that is translated in a rule about a protocol that has none.
fn translated_port(state: &mut State, rule: &Rule) {
    if !matches!(rule.verdict, Some(Verdict::Dnat { port: Some(_), .. } | Verdict::Redirect(_))) {
        return;
    }
    // Those whose ports the kernel can write (nf_nat_proto.c) and the tools take beside a port.
    const WRITABLE: [Protocol; 4] = [Protocol::TCP, Protocol::UDP, Protocol::SCTP, Protocol(33)];
    let named = rule.matches.iter().any(|item| match &item.kind {
        MatchKind::Protocol(list) => !item.negated && list.iter().all(|protocol| WRITABLE.contains(protocol)),
        _ => false,
    });
    if !named {
        let message = "a port is translated for a protocol that has none".to_owned();
        state.fault(&INCOMPLETE_MATCH, rule.origin, message, "name services of `tcp`, `udp`, `sctp` or `dccp`");
    }
}

/// The comment lines at the top of a file.
fn header(context: &Context, remarks: &[&str]) -> String {
    let mut out = String::from("# Generated by fwc");
    let mut separator = " from ";
    for source in context.sources.iter().filter(|source| !source.path.starts_with("std:")) {
        out.push_str(separator);
        write::plain(&mut out, source.path.rsplit_once("//").map_or(&source.path, |(_, path)| path));
        separator = ", ";
    }
    out.push_str(". Edits here are lost with the next build.\n");
    for line in context.header.iter().map(String::as_str).chain(remarks.iter().copied()) {
        out.push_str(if line.is_empty() { "#" } else { "# " });
        write::plain(&mut out, line);
        out.push('\n');
    }
    out
}
