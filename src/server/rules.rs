//! What there is to know about a rule of a rule set: a packet that comes to it, and that packet's way.

use std::fmt::Write as _;
use std::path::Path;

use super::documents::{Documents, Overlay};
use super::snapshot::View;
use super::subject::Kind;
use crate::compare::reach::{Reached, reach};
use crate::host::{self, Host, words};
use crate::names;
use crate::program::Place;
use crate::project::{Options, Root};
use crate::read::{self, Form};
use crate::simulate::{self, Considered, HookStage, Outcome, Stage, Trace};
use crate::span::Span;

/// Rules of one hook that are shown; those that do not match are left out before those that do.
const MOST: usize = 12;

/// What there is to know about the rule at a place: Markdown, and the rule's own place.
pub fn hover(view: &View, documents: &Documents, offset: u32) -> Option<(Span, String)> {
    let source = view.table.files.first()?;
    let path = Path::new(&*source.path).to_path_buf();
    let root = Root { path, bytes: source.text.as_bytes().to_vec() };
    let host = host::load(&Overlay::new(documents), vec![root], Vec::new(), Options::default()).ok()?;
    let (place, span) = rule_at(&host, offset)?;
    let chain = host.chain_name(place.table as usize, place.chain as usize);
    let mut out = format!("rule {} of `{chain}`\n\n", place.rule + 1);
    if let Kind::Rules(form) = view.kind {
        out.push_str(&counted(source.text.get(span.range()).unwrap_or_default(), form));
    }
    match reach(&host, place) {
        Reached::Never => out.push_str("no packet comes to it and matches\n"),
        Reached::Open => {
            out.push_str("whether a packet comes to it was not decided in the time that there is for looking\n")
        }
        Reached::By(packet) => {
            let _ = writeln!(out, "a packet that comes to it: `{packet}`\n");
            if let Ok(question) = simulate::parse(&packet) {
                match simulate::trace(&host, &question) {
                    Ok(trace) => way(&host, place, &trace, &mut out),
                    Err(why) => drop(writeln!(out, "its way: {why}")),
                }
            }
        }
    }
    Some((span, out))
}

/// What the listing says that the rule counted.
fn counted(rule: &str, form: Form) -> String {
    let counts: Vec<String> = read::counts(rule, form).iter().map(ToString::to_string).collect();
    if counts.is_empty() { String::new() } else { format!("counted: {}\n\n", counts.join(", then ")) }
}

/// The rule that stands at a byte.
fn rule_at(host: &Host, offset: u32) -> Option<(Place, Span)> {
    for (table, own) in (0u32..).zip(&host.ruleset.tables) {
        for (chain, own) in (0u32..).zip(&own.chains) {
            for (rule, own) in (0u32..).zip(&own.rules) {
                let span = own.origin.map(|origin| origin.span);
                if let Some(span) = span.filter(|span| span.start <= offset && offset <= span.end) {
                    return Some((Place { table, chain, rule }, span));
                }
            }
        }
    }
    None
}

/// A packet's way, hook by hook.
fn way(host: &Host, place: Place, trace: &Trace, out: &mut String) {
    for stage in &trace.stages {
        match stage {
            Stage::Routing(why) => drop(writeln!(out, "- routing: {why}")),
            Stage::Hook(stage) => hook(host, place, stage, out),
        }
    }
    let said = match &trace.outcome {
        Outcome::Delivered => "delivered to this host".to_owned(),
        Outcome::Left(Some(card)) => format!("sent on by {card}"),
        Outcome::Left(None) => "sent on".to_owned(),
        Outcome::Dropped => "dropped".to_owned(),
        Outcome::Rejected(kind) => format!("rejected with {}", names::reject::name(*kind)),
    };
    let possibly = if trace.doubts.is_empty() { "" } else { "possibly " };
    let _ = writeln!(out, "\n**{possibly}{said}**");
}

fn hook(host: &Host, place: Place, stage: &HookStage, out: &mut String) {
    if stage.visits.is_empty() && stage.skipped.is_none() && !stage.policy {
        return;
    }
    let chain = host.chain_name(stage.entry.table, stage.entry.chain);
    let verdict = stage.verdict.as_ref().map_or_else(|| "accept".to_owned(), words::verdict);
    let by = if stage.policy { ", by the chain's policy" } else { "" };
    let _ = match stage.skipped {
        Some(why) => writeln!(out, "- **{}** `{chain}`: not asked, {why}", stage.hook.chain()),
        None => writeln!(out, "- **{}** `{chain}`: {verdict}{by}", stage.hook.chain()),
    };
    let matched: Vec<&Considered> = stage.visits.iter().filter(|one| one.visit.matched != Some(false)).collect();
    let passed = stage.visits.len() - matched.len();
    if passed > 0 {
        let _ = writeln!(out, "    - {passed} {} not match", if passed == 1 { "rule does" } else { "rules do" });
    }
    for considered in matched.iter().take(MOST) {
        let Some(rule) = host.rule(considered.visit.place) else { continue };
        let line = rule.origin.and_then(|origin| host.short_line(origin)).unwrap_or_default();
        let text = rule.origin.and_then(|origin| host.text(origin)).unwrap_or_default();
        let possibly = if considered.visit.matched.is_none() { "possibly " } else { "" };
        let this = if considered.visit.place == place { ", this rule" } else { "" };
        let _ = writeln!(out, "    - {possibly}{line} `{text}`{this}");
    }
    if matched.len() > MOST {
        let _ = writeln!(out, "    - and {} more", matched.len() - MOST);
    }
}
