//! `fact PATH = VALUE` in a policy: one value of the facts file, said in source. The value is read by the same schema as the
//! file, so that a path is right here if it is right there.

use std::rc::Rc;

use super::document::{Entry, Node, Value};
use super::{Backend, Facts, ForwardPolicy, IptablesVariant, decode, validate};
use crate::diagnostic::Diagnostic;
use crate::span::{FileId, Location, Span, Spanned};
use crate::syntax::tree::{Fact, FactValue};

/// Objects whose names are the user's own: the rest of a path is such a name and one field of the thing.
const NAMED: &[&[&str]] = &[
    &["interfaces"],
    &["docker", "networks"],
    &["docker", "containers"],
    &["podman", "networks"],
    &["podman", "containers"],
    &["instances", "bridges"],
    &["instances", "instances"],
    &["libvirt", "bridges"],
    &["libvirt", "guests"],
];

/// The paths of single values that a statement may say, in order: those of the schema, without what stands under a name of the
/// user's own.
#[must_use]
pub fn paths() -> Vec<String> {
    let whole = Facts {
        docker: Some(super::DockerFact::default()),
        instances: Some(super::InstancesFact::default()),
        libvirt: Some(super::LibvirtFact::default()),
        podman: Some(super::PodmanFact::default()),
        ..Facts::default()
    };
    let mut open = vec![(String::new(), serde_json::to_value(whole).unwrap_or_default())];
    let mut found = Vec::new();
    while let Some((path, value)) = open.pop() {
        match value {
            serde_json::Value::Object(fields) => open.extend(fields.into_iter().map(|(name, value)| {
                let path = if path.is_empty() { name } else { format!("{path}.{name}") };
                (path, value)
            })),
            serde_json::Value::Array(_) => {}
            _ => found.push(path),
        }
    }
    found.sort_unstable();
    found
}

/// The words that a statement may say at a path: those that its schema has. None where any text, number or address may stand.
#[must_use]
pub fn values(path: &str) -> Vec<String> {
    let reads = |value: FactValue| {
        let fact =
            Fact { path: Spanned::new(path.into(), Span::default()), value: Spanned::new(value, Span::default()) };
        read(&fact, FileId(0)).1.is_empty()
    };
    if reads(FactValue::Text("any text".into())) {
        return Vec::new();
    }
    if reads(FactValue::Bool(true)) {
        return vec!["on".to_owned(), "off".to_owned()];
    }
    let words = [
        serde_json::to_value([ForwardPolicy::Accept, ForwardPolicy::Drop]),
        serde_json::to_value([IptablesVariant::NfTables, IptablesVariant::Legacy]),
        serde_json::to_value([Backend::Iptables, Backend::Nftables]),
    ];
    let words = words.iter().flatten().filter_map(|list| list.as_array()).flatten().filter_map(|word| word.as_str());
    words.filter(|word| reads(FactValue::Text((*word).into()))).map(str::to_owned).collect()
}

/// The facts that one statement declares, and what is wrong with it. Where a list is asked for, the statement gives a list of
/// one; [`declare`] puts several together.
#[must_use]
pub fn read(fact: &Fact, file: FileId) -> (Facts, Vec<Diagnostic>) {
    let path_span = fact.path.span;
    if fact.path.value.split('.').next() == Some("counters") {
        let location = Location { file, span: path_span };
        let message = "what a host counted cannot be said in a policy";
        let help = "leave it out: `counters` stand in `fwc.facts.json` alone";
        return (Facts::default(), vec![Diagnostic::new(&decode::UNKNOWN_FACT, location, message).help(help)]);
    }
    let value = match &fact.value.value {
        FactValue::Bool(value) => Value::Bool(*value),
        FactValue::Number(value) => Value::Number(value.to_string().into()),
        FactValue::Text(value) => Value::Text(value.clone()),
    };
    let mut node = Node { span: fact.value.span, value };
    for key in segments(&fact.path.value).into_iter().rev() {
        let entry = Entry { key: key.into(), key_span: path_span, value: Rc::new(node) };
        node = Node { span: path_span.to(fact.value.span), value: Value::Map(vec![entry]) };
    }
    let (mut facts, mut diagnostics) = decode::facts(&node, file, decode::Form::Statement);
    // The whole path is one word: a fault in one of its names is mended by writing that name, not by writing it in its place.
    for diagnostic in &mut diagnostics {
        mend(diagnostic, fact, path_span);
    }
    // A statement's place is the whole statement, whichever part of the path is asked for.
    let location = Location { file, span: path_span.to(fact.value.span) };
    for place in facts.sources.values_mut() {
        *place = location;
    }
    diagnostics.extend(validate::validate(&facts, location));
    (facts, diagnostics)
}

/// Adds what one statement declares to what is known already. The statement is the nearer source: where it and what is known
/// differ, its value is used and a diagnostic says so. A list gets one more member.
pub fn declare(facts: &mut Facts, fact: &Fact, file: FileId) -> Vec<Diagnostic> {
    let (more, mut diagnostics) = read(fact, file);
    let mut more = more;
    extend(&mut more, facts);
    let (merged, contradictions) = more.merge(std::mem::take(facts));
    *facts = merged;
    diagnostics.extend(contradictions);
    diagnostics
}

/// Lists grow with each statement: what is known already goes into the new list, which then takes its place.
fn extend(more: &mut Facts, facts: &mut Facts) {
    fn grow<T: PartialEq>(more: &mut Vec<T>, known: &mut Vec<T>) {
        if !more.is_empty() {
            let added = std::mem::take(more);
            let mut all = std::mem::take(known);
            for member in added {
                if !all.contains(&member) {
                    all.push(member);
                }
            }
            *more = all;
        }
    }
    for (name, interface) in &mut more.interfaces {
        if let Some(known) = facts.interfaces.get_mut(name) {
            grow(&mut interface.addresses, &mut known.addresses);
        }
    }
    if let (Some(more), Some(known)) = (&mut more.docker, &mut facts.docker) {
        for (name, network) in &mut more.networks {
            if let Some(known) = known.networks.get_mut(name) {
                grow(&mut network.subnets, &mut known.subnets);
                grow(&mut network.gateways, &mut known.gateways);
                grow(&mut network.trusted_host_interfaces, &mut known.trusted_host_interfaces);
            }
        }
        for (name, container) in &mut more.containers {
            if let Some(known) = known.containers.get_mut(name) {
                grow(&mut container.networks, &mut known.networks);
                grow(&mut container.addresses, &mut known.addresses);
            }
        }
    }
    if let (Some(more), Some(known)) = (&mut more.podman, &mut facts.podman) {
        for (name, network) in &mut more.networks {
            if let Some(known) = known.networks.get_mut(name) {
                grow(&mut network.subnets, &mut known.subnets);
                grow(&mut network.gateways, &mut known.gateways);
            }
        }
        for (name, container) in &mut more.containers {
            if let Some(known) = known.containers.get_mut(name) {
                grow(&mut container.networks, &mut known.networks);
                grow(&mut container.addresses, &mut known.addresses);
            }
        }
    }
    let bridges = |more: &mut std::collections::BTreeMap<String, super::BridgeFact>,
                   known: &mut std::collections::BTreeMap<String, super::BridgeFact>| {
        for (name, bridge) in more {
            if let Some(known) = known.get_mut(name) {
                grow(&mut bridge.subnets, &mut known.subnets);
            }
        }
    };
    let machines = |more: &mut std::collections::BTreeMap<String, super::InstanceFact>,
                    known: &mut std::collections::BTreeMap<String, super::InstanceFact>| {
        for (name, machine) in more {
            if let Some(known) = known.get_mut(name) {
                grow(&mut machine.addresses, &mut known.addresses);
            }
        }
    };
    if let (Some(more), Some(known)) = (&mut more.instances, &mut facts.instances) {
        bridges(&mut more.bridges, &mut known.bridges);
        machines(&mut more.instances, &mut known.instances);
    }
    if let (Some(more), Some(known)) = (&mut more.libvirt, &mut facts.libvirt) {
        bridges(&mut more.bridges, &mut known.bridges);
        machines(&mut more.guests, &mut known.guests);
    }
}

/// The names that a path goes by. Interfaces, networks and sysctls may have dots in their own names.
fn segments(path: &str) -> Vec<String> {
    let words: Vec<&str> = path.split('.').collect();
    let join = |words: &[&str]| words.join(".");
    if let [first @ "sysctls", rest @ ..] = words.as_slice()
        && !rest.is_empty()
    {
        return vec![(*first).to_owned(), join(rest)];
    }
    for prefix in NAMED {
        if let Some(rest) = words.strip_prefix(*prefix)
            && let [name @ .., field] = rest
            && !name.is_empty()
        {
            let mut segments: Vec<String> = prefix.iter().map(|word| (*word).to_owned()).collect();
            segments.push(join(name));
            segments.push((*field).to_owned());
            return segments;
        }
    }
    words.into_iter().map(str::to_owned).collect()
}

/// Rewrites an edit that would replace the whole path by one name into one that replaces that name.
fn mend(diagnostic: &mut Diagnostic, fact: &Fact, path_span: Span) {
    let wrong = diagnostic.message.split('`').nth(1).unwrap_or("").to_owned();
    for edit in diagnostic.helps.iter_mut().flat_map(|help| &mut help.edits) {
        let name = edit.replacement.trim_matches('"').to_owned();
        edit.replacement = if edit.location.span == path_span {
            let written = &fact.path.value;
            written
                .split('.')
                .map(|word| if word == wrong { name.as_str() } else { word })
                .collect::<Vec<_>>()
                .join(".")
        } else {
            name
        };
    }
}
