//! What the names of a policy stand for, found out by the resolver itself: for whoever shows a policy to its author.

use std::collections::BTreeMap;

use crate::policy::host::known_cards;
use crate::policy::names::Names;
use crate::policy::who::Places;
use crate::policy::{CardSet, Party, Policy, TrafficList, service};
use crate::project::Project;
use crate::span::Spanned;
use crate::syntax::tree::Item;

/// What names stand for. One whose declaration is at fault is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meanings {
    /// Sets, those of the standard library too.
    pub sets: BTreeMap<String, Vec<Party>>,
    /// Services, those of the standard library too.
    pub services: BTreeMap<String, TrafficList>,
    /// Interfaces.
    pub interfaces: BTreeMap<String, CardSet>,
}

/// Finds out what every name of a project stands for. `policy` is what the project came to.
#[must_use]
pub fn meanings(project: &Project, policy: &Policy) -> Meanings {
    let names = Names::collect(project, &mut Vec::new());
    let known_cards = known_cards(&names, &policy.cards);
    let places = Places::new(project, &names, &policy.facts, &policy.cards, &known_cards);
    let mut found = Meanings::default();
    for name in names.sets.keys() {
        if let Some(parties) = places.named(name) {
            found.sets.insert((*name).to_owned(), parties.into_vec());
        }
    }
    for (name, declared) in &names.services {
        let item = Spanned::new(Item::Name(Box::from(*name)), declared.location.span);
        let traffic = service::traffic(&names, declared.file, &[item], &mut Vec::new());
        if !traffic.is_empty() {
            found.services.insert((*name).to_owned(), traffic);
        }
    }
    for (name, declared) in &names.interfaces {
        if declared.node.value.is_some() {
            found.interfaces.insert((*name).to_owned(), CardSet::clone(&places.interface(name)));
        }
    }
    found
}
