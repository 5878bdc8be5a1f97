//! Chains that rules jump to and that their tables do not have.

use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::{ChainName, Fault, FaultKind, quoted};
use crate::names::closest;
use crate::netfilter::{Rule, Table, Verdict};
use crate::span::{FileId, Span};

/// A fault for each chain that a table's rules name and no line makes, at the first rule that does. A table that is `whole` needs it;
/// one that is a part of another may find it there. `targets` are names that are meant, perhaps, where no chain is.
pub(super) fn missing(file: FileId, text: &str, table: &Table, whole: bool, targets: &[&str]) -> Vec<Fault> {
    let names: FxHashSet<&str> = table.chains.iter().map(|chain| &*chain.name).collect();
    let mut told: FxHashSet<&str> = FxHashSet::default();
    let mut faults = Vec::new();
    for rule in table.chains.iter().flat_map(|chain| &chain.rules) {
        for name in jumped(rule.verdict.as_ref()) {
            if names.contains(&**name) || !told.insert(name) {
                continue;
            }
            let kind = if whole { FaultKind::MissingChain } else { FaultKind::ChainElsewhere };
            let known = table.chains.iter().map(|chain| &*chain.name).chain(targets.iter().copied());
            let near = targets.iter().copied().find(|known| known.eq_ignore_ascii_case(name));
            let near = near.or_else(|| closest(name, known));
            let message =
                format!("there is no chain `{}` in table `{}` of this text", quoted(name), quoted(&table.name));
            let help = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None if whole => "declare the chain in this text, or correct its name".to_owned(),
                None => "give the text that has the chain, too: what it does is unknown".to_owned(),
            };
            faults.push(Fault {
                replacement: near.map(str::to_owned),
                missing: Some(ChainName { family: table.family, table: table.name.clone(), chain: Arc::clone(name) }),
                ..Fault::new(kind, file, word(text, rule, name), message, help)
            });
        }
    }
    faults
}

/// The chains that a verdict leads to.
fn jumped(verdict: Option<&Verdict>) -> Vec<&Arc<str>> {
    match verdict {
        Some(Verdict::Jump(name) | Verdict::Goto(name)) => vec![name],
        Some(Verdict::Map { elements, .. }) => elements.iter().flat_map(|(_, verdict)| jumped(Some(verdict))).collect(),
        _ => Vec::new(),
    }
}

/// Where a rule's text names a chain; the whole rule if a map elsewhere does.
fn word(text: &str, rule: &Rule, name: &str) -> Span {
    let Some(origin) = rule.origin else { return Span::default() };
    let own = text.get(origin.span.range()).unwrap_or_default();
    let part = |letter: char| letter.is_alphanumeric() || "-_./+".contains(letter);
    let whole = |at: usize| {
        let before = own.get(..at).and_then(|before| before.chars().next_back());
        let after = own.get(at + name.len()..).and_then(|after| after.chars().next());
        !before.is_some_and(part) && !after.is_some_and(part)
    };
    let at = own.match_indices(name).map(|(at, _)| at).filter(|at| whole(*at)).last();
    let start = origin.span.start as usize;
    at.map_or(origin.span, |at| Span::new(start + at, start + at + name.len()))
}
