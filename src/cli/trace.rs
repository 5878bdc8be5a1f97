//! `fwc trace`: one packet's way through a host.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::PathBuf;

use clap::ValueEnum;
use ipnet::IpNet;
use serde_json::{Value, json};

use super::failure::Failure;
use super::hosts::{HostArguments, address, pointed};
use super::render::harmless;
use super::{Color, Ending, print};
use crate::host::{Host, words};
use crate::names;
use crate::net::Family;
use crate::netfilter::TableFamily;
use crate::program::Place;
use crate::simulate::{self, Considered, HookStage, Outcome, Question, Stage, Stopped, Trace};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A policy or a rule set; several files of one host with `+` between (rules.v4+rules.v6+ipset); `-` for the standard input
    file: PathBuf,
    /// The packet, such as 'tcp 10.1.1.1:40000 -> 203.0.113.10:443 via eth0'; described in docs/trace-and-diff.md
    packet: String,
    /// One more file of the same host; may be given several times
    #[arg(long, value_name = "FILE")]
    with: Vec<PathBuf>,
    #[command(flatten)]
    host: HostArguments,
    /// An address of the host, such as eth0=203.0.113.10/24; may be given several times
    #[arg(long, value_name = "CARD=ADDRESS", value_parser = address)]
    address: Vec<(String, IpNet)>,
    /// Every rule on a line of its own, also where many in a row do not match
    #[arg(short, long)]
    verbose: bool,
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
}

/// Rules in a row that do not match, up to which each has its own line.
const FEW: usize = 3;

pub(super) fn run(arguments: &Arguments, color: Color) -> Result<Ending, Failure> {
    let asked = arguments.host.asked(&arguments.file, &arguments.packet)?;
    let Some(mut host) = arguments.host.load(&arguments.file, &arguments.with, color)? else {
        return Ok(Ending::Errors);
    };
    for (card, address) in &arguments.address {
        host.cards.add(card, *address);
    }
    let mut question = asked.question;
    interfaces(&mut host, &mut question, &arguments.packet)?;
    if let Some((packet, others)) = asked.chosen {
        let more = match others {
            0 => String::new(),
            1 => "; the words mean one other kind of packet, too".to_owned(),
            more => format!("; the words mean {more} other kinds of packets, too"),
        };
        host.notes.insert(0, format!("followed: {packet}{more}"));
    }
    let trace = simulate::trace(&host, &question).map_err(Failure::new)?;
    print(&match arguments.format {
        Form::Text => {
            Text { host: &host, color: color.on(std::io::stdout().is_terminal()), verbose: arguments.verbose }
                .render(&trace)
        }
        Form::Json => json_of(&host, &trace),
    })?;
    let open = host.open || trace.doubts.iter().any(|place| host.is_open(*place));
    Ok(if open { Ending::Open } else { Ending::Clean })
}

/// Puts the kernel's names in the place of those that a policy gives to interfaces.
fn interfaces(host: &mut Host, question: &mut Question, text: &str) -> Result<(), Failure> {
    let place = |name: &str| {
        let mut words = text.split_whitespace().peekable();
        let beside = std::iter::from_fn(|| words.next().map(|word| (word, words.peek().copied())));
        let named = beside
            .filter(|(word, _)| matches!(*word, "via" | "in" | "out"))
            .find_map(|(_, next)| next.filter(|next| *next == name));
        let start = named.map_or(0, |word| word.as_ptr() as usize - text.as_ptr() as usize);
        start..start + named.map_or(text.len(), str::len)
    };
    let mut notes = Vec::new();
    for interface in [&mut question.arrives, &mut question.leaves].into_iter().flatten() {
        if let Some(kernel) = host.declared_interface(interface) {
            if kernel != *interface {
                notes.push(format!("{interface} is {kernel}"));
            }
            *interface = kernel;
        } else if !host.knows_interface(interface) && interface.contains(|letter: char| letter.is_ascii_digit()) {
            // The kernel's names end in numbers: one more interface of the host.
            if host.says_rules() {
                notes.push(format!("nothing here names an interface {interface}: it is taken for one more"));
            }
        } else if !host.knows_interface(interface) && host.says_rules() && !host.names.interfaces.is_empty() {
            let declared = host.names.interfaces.iter().map(|(name, _)| name.as_str());
            let near = names::closest(interface, declared.clone());
            let known: Vec<&str> = declared.collect();
            let help = near.map_or_else(
                || format!("the policy names {}; of another interface, write the kernel's name", known.join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            let message = format!("nothing here names an interface `{interface}`");
            return Err(pointed(text, &place(interface), &message, Some(&help)));
        }
    }
    host.notes.extend(notes);
    Ok(())
}

/// What became of the packet, in words.
fn outcome(trace: &Trace) -> String {
    match &trace.outcome {
        Outcome::Delivered => "delivered to this host".to_owned(),
        Outcome::Left(card) if trace.target.is_some() => {
            let by = card.as_deref().map(|card| format!(", by {card}")).unwrap_or_default();
            format!("sent on to {}{by}", trace.target.as_deref().unwrap_or_default())
        }
        Outcome::Left(Some(card)) => format!("sent on by {card}"),
        Outcome::Left(None) => "sent on".to_owned(),
        Outcome::Dropped => "dropped".to_owned(),
        Outcome::Rejected(kind) => format!("rejected with {}", names::reject::name(*kind)),
    }
}

/// `FILE:LINE` and the text of a rule.
fn source(host: &Host, place: Place) -> (String, String) {
    let chain = || host.chain_name(place.table as usize, place.chain as usize);
    let Some(rule) = host.rule(place) else { return (chain(), String::new()) };
    match rule.origin {
        Some(origin) => {
            let line = host.short_line(origin).unwrap_or_else(chain);
            (harmless(&line), harmless(&host.text(origin).unwrap_or_default()))
        }
        None => {
            let family =
                host.ruleset.tables.get(place.table as usize).map_or(Family::Ipv4, |table| match table.family {
                    TableFamily::Ipv6 => Family::Ipv6,
                    _ => rule.family.unwrap_or(Family::Ipv4),
                });
            let asked: Vec<String> = rule.matches.iter().map(|item| words::asked(item, family)).collect();
            let does = rule.effects.iter().map(words::effect).chain(rule.verdict.as_ref().map(words::verdict));
            let does = does.collect::<Vec<_>>().join(", ");
            let verdict = if asked.is_empty() { does } else { format!("{}: {does}", asked.join(", ")) };
            let remark = rule.comment.as_deref().map(|comment| format!(" ({comment})")).unwrap_or_default();
            (chain(), harmless(&format!("{verdict}{remark}")))
        }
    }
}

struct Text<'h> {
    host: &'h Host,
    color: bool,
    verbose: bool,
}

impl Text<'_> {
    fn paint(&self, code: &str, text: &str) -> String {
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn render(&self, trace: &Trace) -> String {
        let mut out = String::new();
        let good = matches!(trace.outcome, Outcome::Delivered | Outcome::Left(_));
        let said = if trace.doubts.is_empty() && !self.host.open {
            outcome(trace)
        } else {
            format!("possibly {}", outcome(trace))
        };
        let by = match trace.decided {
            Some(place) => {
                let (line, text) = source(self.host, place);
                match self.host.implied(place) {
                    Some(flows) => format!(": no rule allows it, and {flows} is closed, since {line}: {text}"),
                    None => format!(", by {line}: {text}"),
                }
            }
            None if good => String::new(),
            None => match trace.stages.last() {
                Some(Stage::Hook(stage)) => {
                    format!(", by the policy of {}", self.host.chain_name(stage.entry.table, stage.entry.chain))
                }
                _ => String::new(),
            },
        };
        let _ = writeln!(out, "{}{}", self.paint(if good { "1;32" } else { "1;31" }, &said), harmless(&by));
        if let Some(stopped) = &trace.answer {
            let _ = writeln!(out, "{}", harmless(&self.answer(stopped)));
        }
        let mut doubts = trace.doubts.clone();
        doubts.sort_unstable();
        doubts.dedup();
        if !doubts.is_empty() {
            out.push_str("it could come otherwise, where these rules match:\n");
        }
        for place in doubts {
            let (line, text) = source(self.host, place);
            let _ = writeln!(out, "  {line}: {text}");
        }
        for note in self.host.notes.iter().chain(&trace.notes) {
            let _ = writeln!(out, "note: {}", harmless(note));
        }
        for stage in &trace.stages {
            match stage {
                Stage::Routing(why) => {
                    let _ = writeln!(out, "\n{}  {why}", self.paint("1", "ROUTING"));
                }
                Stage::Hook(stage) => self.hook(stage, &mut out),
            }
        }
        out
    }

    /// What becomes of the answer, if it is stopped.
    fn answer(&self, stopped: &Stopped) -> String {
        let how = match stopped.outcome {
            Outcome::Rejected(_) => "rejected",
            _ => "dropped",
        };
        let by = match stopped.decided {
            Some(place) => {
                let (line, text) = source(self.host, place);
                format!("{line}: {text}")
            }
            None => format!("the policy of {}", self.host.chain_name(stopped.entry.table, stopped.entry.chain)),
        };
        format!("but the answer to it is {how}, by {by}")
    }

    fn hook(&self, stage: &HookStage, out: &mut String) {
        let passes = stage.visits.is_empty() && stage.verdict.is_none() && stage.skipped.is_none();
        if passes && !self.verbose {
            return;
        }
        let chain = self.host.chain_name(stage.entry.table, stage.entry.chain);
        let head = self.paint("1", stage.hook.chain());
        let _ = writeln!(out, "\n{head}  {}  {}", harmless(&chain), harmless(&stage.packet));
        if let Some(why) = stage.skipped {
            let _ = writeln!(out, "  not asked: {why}");
            return;
        }
        let mut rest = stage.visits.as_slice();
        while let Some((first, _)) = rest.split_first() {
            let alike = |other: &&Considered| {
                other.visit.matched == Some(false)
                    && other.visit.depth == first.visit.depth
                    && other.visit.place.chain == first.visit.place.chain
            };
            let run = rest.iter().take_while(alike).count();
            if run > FEW && !self.verbose {
                let last = rest.get(run - 1).unwrap_or(first);
                let (from, _) = source(self.host, first.visit.place);
                let (to, _) = source(self.host, last.visit.place);
                let indent = "  ".repeat(first.visit.depth + 1);
                let _ = writeln!(out, "{indent}{from} to {to}: {run} rules do not match");
                rest = rest.get(run..).unwrap_or_default();
                continue;
            }
            self.rule(first, out);
            rest = rest.get(1..).unwrap_or_default();
        }
        for change in &stage.changes {
            let _ = writeln!(out, "  => {}", harmless(change));
        }
        let verdict = stage.verdict.as_ref().map_or_else(|| "accept".to_owned(), words::verdict);
        let by = if stage.policy { " (the chain's policy)" } else { "" };
        let _ = writeln!(out, "  = {}{by}", harmless(&verdict));
    }

    fn rule(&self, considered: &Considered, out: &mut String) {
        let (line, text) = source(self.host, considered.visit.place);
        let indent = "  ".repeat(considered.visit.depth + 1);
        let (mark, code) = match considered.visit.matched {
            Some(true) => ("match", "32"),
            Some(false) => ("no", "2"),
            None => ("possibly", "33"),
        };
        let _ = writeln!(out, "{indent}{line}: {text}");
        let because = considered.because.as_deref().map(|why| format!(": {}", harmless(why))).unwrap_or_default();
        let does = match self.host.rule(considered.visit.place) {
            Some(rule) if considered.visit.matched == Some(true) && rule.origin.is_some() => {
                let effects = rule.effects.iter().map(words::effect);
                let all: Vec<String> = effects.chain(rule.verdict.as_ref().map(words::verdict)).collect();
                if all.is_empty() { String::new() } else { format!(": {}", harmless(&all.join(", "))) }
            }
            _ => String::new(),
        };
        let _ = writeln!(out, "{indent}    {}", self.paint(code, &format!("{mark}{because}{does}")));
    }
}

fn place_of(host: &Host, place: Place) -> Value {
    let rule = host.rule(place);
    let origin = rule.and_then(|rule| rule.origin);
    let line = origin.and_then(|origin| host.line(origin));
    json!({
        "chain": host.chain_name(place.table as usize, place.chain as usize),
        "number": place.rule + 1,
        "file": line.as_ref().map(|(file, _)| file),
        "line": line.as_ref().map(|(_, line)| line),
        "text": origin.and_then(|origin| host.text(origin)),
    })
}

fn json_of(host: &Host, trace: &Trace) -> String {
    let stages: Vec<Value> = trace
        .stages
        .iter()
        .map(|stage| match stage {
            Stage::Routing(why) => json!({ "stage": "routing", "why": why }),
            Stage::Hook(stage) => {
                let rules: Vec<Value> = stage
                    .visits
                    .iter()
                    .map(|considered| {
                        json!({
                            "rule": place_of(host, considered.visit.place),
                            "depth": considered.visit.depth,
                            "matched": match considered.visit.matched { Some(true) => "yes", Some(false) => "no", None => "possibly" },
                            "because": considered.because,
                        })
                    })
                    .collect();
                json!({
                    "stage": "hook",
                    "hook": stage.hook.name(),
                    "chain": host.chain_name(stage.entry.table, stage.entry.chain),
                    "priority": stage.entry.base.priority,
                    "packet": stage.packet,
                    "not_asked": stage.skipped,
                    "rules": rules,
                    "changes": stage.changes,
                    "verdict": if stage.skipped.is_some() { None } else { Some(stage.verdict.as_ref().map_or_else(|| "accept".to_owned(), words::verdict)) },
                    "policy": stage.policy,
                })
            }
        })
        .collect();
    let (kind, card) = match &trace.outcome {
        Outcome::Delivered => ("delivered", None),
        Outcome::Left(card) => ("sent", card.clone()),
        Outcome::Dropped => ("dropped", None),
        Outcome::Rejected(_) => ("rejected", None),
    };
    let mut doubts = trace.doubts.clone();
    doubts.sort_unstable();
    doubts.dedup();
    let notes: Vec<&String> = host.notes.iter().chain(&trace.notes).collect();
    let object = json!({
        "outcome": kind,
        "allowed": matches!(trace.outcome, Outcome::Delivered | Outcome::Left(_)),
        "possibly": !doubts.is_empty() || host.open,
        "says": outcome(trace),
        "interface": card,
        "container": trace.target,
        "decided_by": trace.decided.map(|place| place_of(host, place)),
        "closes": trace.decided.and_then(|place| host.implied(place)),
        "answer_stopped_by": trace.answer.as_ref().map(|stopped| json!({
            "chain": host.chain_name(stopped.entry.table, stopped.entry.chain),
            "rule": stopped.decided.map(|place| place_of(host, place)),
        })),
        "doubts": doubts.iter().map(|place| place_of(host, *place)).collect::<Vec<_>>(),
        "notes": notes,
        "stages": stages,
    });
    serde_json::to_string_pretty(&object).unwrap_or_default() + "\n"
}
