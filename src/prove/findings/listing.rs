//! The findings of a text that is a rule set already.

use super::codes::UNREADABLE;
use super::report::{Origin, Report};
use super::{Search, findings};
use crate::diagnostic::Diagnostic;
use crate::net::Family;
use crate::netfilter::Set;
use crate::netfilter::{Chain, Rule, Table};
use crate::read::{self, Fault, Form, Reading};
use crate::span::{FileId, SourceText};

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
    out.extend(Report::new(&reading.ruleset, &found, files, origin, all).diagnostics(told));
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
        Form::Ipset => Reading::default(),
    }
}

/// A line that could not be read.
#[must_use]
pub fn unreadable(fault: &Fault) -> Diagnostic {
    let location = crate::span::Location { file: fault.file, span: fault.span };
    Diagnostic::new(&UNREADABLE, location, fault.message.clone()).help(fault.help.clone())
}
