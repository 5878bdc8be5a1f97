//! The findings of a text that is a rule set already.

use super::codes::BAN_TOO_LATE;
use crate::diagnostic::Diagnostic;
use crate::net::Family;
use crate::netfilter::Set;
use crate::netfilter::{Chain, Rule, Table};
use crate::prove::findings::codes::{MISREAD, MISSING_CHAIN, NOT_READ, PASSED_OVER, UNREADABLE};
use crate::prove::findings::report::{Origin, Report};
use crate::prove::findings::{Search, findings};
use crate::read::{self, Fault, FaultKind, Form, Reading};
use crate::span::{FileId, Location, SourceText};

/// What a rule set's text comes to: what is wrong with its lines, and what was found of its rules. An `iptables-save` text that does not show its
/// family is of `family`. `sets` are what its rules look into, as `ipset save` tells. Nothing is said of rules that are not `told`; with `all`,
/// what is rarely a fault is told, too.
#[must_use]
pub fn listing(
    source: &SourceText,
    form: Form,
    family: Family,
    sets: &[Set],
    all: bool,
    told: impl Fn(&Table, &Chain, &Rule) -> bool,
) -> Vec<Diagnostic> {
    let mut reading = read(source, form, family);
    read::join(&mut reading.ruleset, sets);
    let mut out: Vec<Diagnostic> = reading.faults.iter().map(unreadable).collect();
    let found = findings(&reading.ruleset, Search { policies: true, overlaps: all });
    let origin = if form == Form::NftJson { Origin::Objects } else { Origin::Lines };
    let files = std::slice::from_ref(source);
    let first = super::check(&reading, source, form, &told);
    let late: Vec<Location> =
        first.iter().filter(|one| one.code == &BAN_TOO_LATE).map(|one| one.primary.location).collect();
    // That no packet comes to such a jump is the same, said with less.
    let proved = Report::new(&reading.ruleset, &found, files, origin, all).diagnostics(told);
    out.extend(first);
    out.extend(proved.into_iter().filter(|one| !late.contains(&one.primary.location)));
    out
}

/// Reads a rule set's text; an `ipset save` has no rules.
#[must_use]
pub fn read(source: &SourceText, form: Form, family: Family) -> Reading {
    let file = FileId(0);
    match form {
        Form::Iptables(known) => read::iptables(file, &source.text, known.unwrap_or(family)),
        Form::Nft => read::nft(file, &source.text),
        Form::NftJson => read::nft_json(file, &source.text),
        Form::Script => read::script(file, &source.text),
        Form::Ipset => Reading::default(),
    }
}

/// What is wrong with a text, or was not read of it.
#[must_use]
pub fn unreadable(fault: &Fault) -> Diagnostic {
    let location = Location { file: fault.file, span: fault.span };
    let code = match fault.kind {
        FaultKind::Passed => &PASSED_OVER,
        FaultKind::Misread => &MISREAD,
        FaultKind::UnreadRule | FaultKind::Unread | FaultKind::ChainElsewhere => &NOT_READ,
        FaultKind::MissingChain => &MISSING_CHAIN,
        FaultKind::Unloadable | FaultKind::Refused | FaultKind::Broken => &UNREADABLE,
    };
    let found = Diagnostic::new(code, location, fault.message.clone());
    match &fault.replacement {
        Some(text) => found.fix(fault.help.clone(), location, text.clone()),
        None => found.help(fault.help.clone()),
    }
}
