//! `fwc diff`: which packets two hosts treat differently.

mod markdown;

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::PathBuf;

use clap::ValueEnum;
use serde_json::{Value, json};

use super::failure::Failure;
use super::hosts::HostArguments;
use super::render::harmless;
use super::{Color, Ending, print};
use crate::compare::{self, Change, Effort, Kind, Report};
use crate::host::{Host, words};
use crate::policy::Flow;
use crate::program::Place;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The first policy or rule set; several files of one host with `+` between (rules.v4+rules.v6+ipset)
    a: PathBuf,
    /// The second
    b: PathBuf,
    #[command(flatten)]
    host: HostArguments,
    /// Packets of all connection states, not only the first of a connection
    #[arg(long)]
    all_states: bool,
    /// How the answer is written
    #[arg(long, default_value = "text")]
    format: Form,
}

/// How the answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people
    Text,
    /// One JSON object, described in docs/trace-and-diff.md
    Json,
    /// For a comment on a pull request
    Markdown,
}

pub(super) fn run(arguments: &Arguments, color: Color) -> Result<Ending, Failure> {
    let one = arguments.host.load(&arguments.a, &[], color)?;
    let other = arguments.host.load(&arguments.b, &[], color)?;
    let broken = || Failure::new("there is nothing to compare: a policy has errors");
    let (Some(one), Some(other)) = (one, other) else { return Err(broken()) };
    let report = compare::compare(&one, &other, arguments.all_states, Effort::default());
    let both = Both { one: &one, other: &other, report: &report };
    print(&match arguments.format {
        Form::Text => both.text(color.on(std::io::stdout().is_terminal())),
        Form::Json => both.json(),
        Form::Markdown => markdown::markdown(&both),
    })?;
    let same = report.changes.is_empty() && report.unknown.is_empty() && both.closed().is_empty();
    Ok(match () {
        () if one.open || other.open => Ending::Open,
        () if same => Ending::Clean,
        () => Ending::Errors,
    })
}

/// One of the two that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    A,
    B,
}

/// A flow that one side closes and the other does not, in words.
fn closed_by(side: Side, flow: &str) -> String {
    match side {
        Side::A => format!("{flow} is closed in A and left open in B"),
        Side::B => format!("{flow} is left open in A and closed in B"),
    }
}

struct Both<'h> {
    one: &'h Host,
    other: &'h Host,
    report: &'h Report,
}

/// How many changes of each kind there are, in words.
fn counted<'c>(changes: impl Iterator<Item = &'c Change>) -> String {
    let (mut allowed, mut denied, mut effects) = (0, 0, 0);
    for change in changes {
        match change.kind {
            Kind::Allowed => allowed += 1,
            Kind::Denied => denied += 1,
            Kind::Effect(..) => effects += 1,
        }
    }
    format!("becomes allowed: {allowed}, becomes denied: {denied}, other effects: {effects}")
}

/// What changes, as a heading says it.
fn heading(kind: &Kind) -> String {
    match kind {
        Kind::Allowed => "becomes allowed".to_owned(),
        Kind::Denied => "becomes denied".to_owned(),
        Kind::Effect(..) => "same verdict, other effects".to_owned(),
    }
}

/// The rule that decides, in words: where it stands, and what it says.
fn rule(host: &Host, place: Place) -> (String, String) {
    let chain = host.chain_name(place.table as usize, place.chain as usize);
    if chain.is_empty() {
        return ("no rules".to_owned(), "everything passes".to_owned());
    }
    let Some(rule) = host.rule(place) else {
        let base = host
            .ruleset
            .tables
            .get(place.table as usize)
            .and_then(|table| table.chains.get(place.chain as usize))
            .and_then(|chain| chain.base);
        let policy = base.map_or("the chain's end", |base| if base.accept { "policy accept" } else { "policy drop" });
        return (harmless(&chain), policy.to_owned());
    };
    let does = rule.effects.iter().map(words::effect).chain(rule.verdict.as_ref().map(words::verdict));
    let does = does.collect::<Vec<_>>().join(", ");
    let line = match rule.origin.and_then(|origin| host.short_line(origin)) {
        Some(line) => format!("{line} ({chain})"),
        None => chain,
    };
    let implied = host.implied(place).map(|flow| format!("{does}, the implied deny of {flow}"));
    let text = implied.unwrap_or_else(|| match rule.origin.and_then(|origin| host.text(origin)) {
        // What a policy says, and what is made of it here; a rule of netfilter says it itself.
        Some(text) if rule.origin.is_some_and(|origin| host.is_policy(origin.file)) => format!("{does}, for: {text}"),
        Some(text) => text,
        None => does,
    });
    (harmless(&line), harmless(&text))
}

fn packets(change: &Change) -> String {
    if change.packets.is_empty() {
        return "every packet".to_owned();
    }
    let parts = change.packets.iter().map(|(field, values)| format!("{field} {values}"));
    harmless(&parts.collect::<Vec<_>>().join("; "))
}

impl Both<'_> {
    /// The changes by hook and kind, in order.
    fn groups(&self) -> Vec<(String, Vec<&Change>)> {
        let mut groups: Vec<(String, Vec<&Change>)> = Vec::new();
        for change in &self.report.changes {
            let title = format!("{} {}: {}", change.family, change.hook.chain(), heading(&change.kind));
            match groups.iter_mut().find(|(known, _)| *known == title) {
                Some((_, list)) => list.push(change),
                None => groups.push((title, vec![change])),
            }
        }
        groups
    }

    /// The flows that one of two policies closes and the other does not: which of the two closes it, and the flow.
    fn closed(&self) -> Vec<(Side, String)> {
        let (Some(one), Some(other)) = (&self.one.policy, &self.other.policy) else { return Vec::new() };
        let mut differ = Vec::new();
        for flow in Flow::all() {
            let sides = [one.end(flow).closes(), other.end(flow).closes()];
            let part = |at: usize, words: &str| match [sides[0][at], sides[1][at]] {
                [true, false] => Some((Side::A, format!("{flow}{words}"))),
                [false, true] => Some((Side::B, format!("{flow}{words}"))),
                _ => None,
            };
            let whole = sides.iter().all(|[host, own]| host == own);
            if whole {
                differ.extend(part(0, ""));
            } else {
                differ.extend(part(0, " (by an address of this host)"));
                differ.extend(part(1, " (by the container's own address)"));
            }
        }
        differ
    }

    /// How many changes of each kind, on one line.
    fn summary(&self) -> String {
        if self.report.changes.is_empty() {
            let certain = self.report.unknown.is_empty() && !self.one.open && !self.other.open;
            return if certain { "no difference" } else { "no difference was found" }.to_owned();
        }
        counted(self.report.changes.iter())
    }

    fn notes(&self) -> impl Iterator<Item = String> {
        let mut notes: Vec<String> =
            self.one.notes.iter().chain(&self.other.notes).chain(&self.report.notes).cloned().collect();
        notes.dedup();
        notes.into_iter().map(|note| harmless(&note))
    }

    fn text(&self, color: bool) -> String {
        let paint = |code: &str, text: &str| if color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() };
        let mut out = String::new();
        let _ = writeln!(out, "A: {}\nB: {}", harmless(&self.one.name), harmless(&self.other.name));
        for (side, flow) in self.closed() {
            let _ = writeln!(out, "{}", paint("1;33", &closed_by(side, &flow)));
        }
        for note in self.notes() {
            let _ = writeln!(out, "note: {note}");
        }
        for (title, changes) in self.groups() {
            let code = match changes.first().map(|change| &change.kind) {
                Some(Kind::Allowed) => "1;32",
                Some(Kind::Denied) => "1;31",
                _ => "1;33",
            };
            let _ = writeln!(out, "\n{}", paint(code, &title));
            for change in changes {
                let _ = writeln!(out, "  {}", packets(change));
                if let Kind::Effect(left, right) = &change.kind {
                    let _ = writeln!(out, "    A: {}; B: {}", harmless(left), harmless(right));
                }
                let _ = writeln!(out, "    example: {}", harmless(&change.example));
                for (side, host, place) in [("A", self.one, change.left), ("B", self.other, change.right)] {
                    let (line, text) = rule(host, place);
                    let _ = writeln!(out, "    {side}: {line}: {text}");
                }
            }
        }
        if !self.report.unknown.is_empty() {
            out.push('\n');
        }
        for unknown in &self.report.unknown {
            let _ = writeln!(out, "{}: {unknown}", paint("1;33", "unknown"));
        }
        let _ = writeln!(out, "\n{}", self.summary());
        out
    }

    fn json(&self) -> String {
        let side = |host: &Host, place: Place| {
            let known = host.rule(place);
            let line = known.and_then(|rule| rule.origin).and_then(|origin| host.line(origin));
            let (_, text) = rule(host, place);
            json!({
                "chain": host.chain_name(place.table as usize, place.chain as usize),
                "file": line.as_ref().map(|(file, _)| file),
                "line": line.as_ref().map(|(_, line)| line),
                "text": text,
            })
        };
        let changes: Vec<Value> = self
            .report
            .changes
            .iter()
            .map(|change| {
                let (kind, effects) = match &change.kind {
                    Kind::Allowed => ("allowed", None),
                    Kind::Denied => ("denied", None),
                    Kind::Effect(left, right) => ("effect", Some(json!({ "a": left, "b": right }))),
                };
                let packets: serde_json::Map<String, Value> = change
                    .packets
                    .iter()
                    .map(|(field, values)| (field.clone(), Value::from(values.as_str())))
                    .collect();
                json!({
                    "change": kind,
                    "effects": effects,
                    "family": change.family.to_string(),
                    "hook": change.hook.name(),
                    "packets": packets,
                    "example": change.example,
                    "a": side(self.one, change.left),
                    "b": side(self.other, change.right),
                })
            })
            .collect();
        let closed = |wanted| -> Vec<String> {
            self.closed().iter().filter(|(side, _)| *side == wanted).map(|(_, flow)| flow.clone()).collect()
        };
        let nothing_differs =
            self.report.changes.is_empty() && self.report.unknown.is_empty() && self.closed().is_empty();
        let object = json!({
            "a": self.one.name,
            "b": self.other.name,
            "closed_in_a_only": closed(Side::A),
            "closed_in_b_only": closed(Side::B),
            "equal": nothing_differs && !self.one.open && !self.other.open,
            "changes": changes,
            "unknown": self.report.unknown,
            "notes": self.notes().collect::<Vec<_>>(),
        });
        serde_json::to_string_pretty(&object).unwrap_or_default() + "\n"
    }
}
