//! Cards: what the name of an interface stands for, which class is behind a card, and sets of cards taken together.

use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::names::closest as nearest;
use crate::net::Card;
use crate::platform::Platform;
use crate::policy::names::{at, find};
use crate::policy::who::Places;
use crate::policy::who::codes::{CARD_NAME_IMPOSSIBLE, CARD_NAME_TOO_LONG, UNDECLARED_CARD};
use crate::policy::{CardSet, Class, LocalCards};
use crate::span::{FileId, Location};
use crate::syntax::tree::{Interface, InterfaceValue, Name};

/// What people call a card by what it is for. Few cards are really called so.
const ROLES: [&str; 11] =
    ["wan", "lan", "vpn", "dmz", "uplink", "internet", "external", "internal", "public", "private", "guests"];

impl Places<'_, '_> {
    /// The cards that an interface's name stands for, found out once.
    pub(in crate::policy) fn interface(&self, name: &str) -> Arc<CardSet> {
        let Some(declared) = find(&self.names.interfaces, name) else { return Arc::new(CardSet::only(Vec::new())) };
        let name = &*declared.node.name.value;
        if let Some(known) = self.interfaces.borrow().get(name) {
            return Arc::clone(known);
        }
        let cards = Arc::new(self.declared_cards(declared.node));
        self.interfaces.borrow_mut().insert(name, Arc::clone(&cards));
        cards
    }

    fn declared_cards(&self, interface: &Interface) -> CardSet {
        match &interface.value {
            None => CardSet::only(Vec::new()),
            Some(value) => match &value.value {
                InterfaceValue::Cards(cards) => CardSet::only(cards.iter().map(|card| card.value.clone()).collect()),
                InterfaceValue::DefaultRoute => match &self.facts.default_route {
                    Some(card) => CardSet::only(vec![Card::exact(card.clone())]),
                    None => CardSet { cards: self.known_cards.into(), complement: true },
                },
            },
        }
    }

    /// The cards after `via` or `on`: declared interfaces, or cards by their own names.
    pub fn card_set(&self, file: FileId, cards: &[Name], out: &mut Vec<Diagnostic>) -> Arc<CardSet> {
        let mut of_name = |name: &Name| {
            if self.names.interfaces.contains_key(&*name.value) {
                return self.interface(&name.value);
            }
            self.undeclared_card(at(file, name.span), &name.value, out);
            let card = Card::parse(&name.value);
            self.named_interfaces.borrow_mut().push(card.clone());
            Arc::new(CardSet::only(vec![card]))
        };
        if let [one] = cards {
            return of_name(one);
        }
        let all = cards.iter().map(|name| Arc::unwrap_or_clone(of_name(name)));
        Arc::new(all.fold(CardSet::only(Vec::new()), unite))
    }

    /// Every interface outside that the policy names, by a declaration or without, and the one of the default route.
    pub(in crate::policy) fn named_outside(&self) -> Vec<Card> {
        let mut cards = self.named_interfaces.borrow().clone();
        cards.extend(self.facts.default_route.iter().map(|name| Card::exact(name.clone())));
        for declared in self.names.interfaces.values() {
            if let Some(InterfaceValue::Cards(list)) = declared.node.value.as_ref().map(|value| &value.value) {
                cards.extend(list.iter().map(|card| card.value.clone()));
            }
        }
        cards.sort();
        cards.dedup();
        cards
    }

    fn undeclared_card(&self, here: Location, name: &str, out: &mut Vec<Diagnostic>) {
        if let Some(fault) = card_fault(here, &Card::parse(name)) {
            out.push(fault);
            return;
        }
        if self.facts.interfaces.contains_key(name) {
            return;
        }
        let near = nearest(name, self.names.interfaces.keys().copied());
        let unknown = || Diagnostic::new(&UNDECLARED_CARD, here, format!("no interface `{name}` is declared"));
        if let Some(near) = near {
            out.push(unknown().label("taken as a card's own name").fix(format!("did you mean `{near}`?"), here, near));
        } else if ROLES.contains(&name) || !looks_real(name) {
            out.push(
                unknown()
                    .label("taken as a card's own name")
                    .help(format!("say which card it is: `interface {name} = eth0`, or `= {name}` if it is called so")),
            );
        } else if !self.facts.interfaces.is_empty() && !Card::parse(name).prefix {
            out.push(
                unknown().label("the facts know no such card").help("correct the name, or bring the facts up to date"),
            );
        }
    }
}

/// Whether a name looks like one that the kernel or a program gives: those have a number, or are a pattern.
fn looks_real(name: &str) -> bool {
    let card = Card::parse(name);
    card.prefix
        || name == "lo"
        || name.contains(|letter: char| letter.is_ascii_digit())
        || Platform::of_bridge(name).is_some()
}

/// What is wrong with an interface's name, if no interface can be called so (`dev_valid_name` in the kernel's net/core/dev.c).
#[must_use]
pub fn card_fault(here: Location, card: &Card) -> Option<Diagnostic> {
    let name = &*card.name;
    if name.len() > Card::MAX {
        let fault =
            Diagnostic::new(&CARD_NAME_TOO_LONG, here, format!("`{card}` is longer than an interface name can be"));
        return Some(fault.label(format!("{} bytes", name.len())).help("interface names have at most 15 bytes"));
    }
    if card.prefix && name.len() == Card::MAX {
        let fault = Diagnostic::new(&CARD_NAME_TOO_LONG, here, format!("`{card}` leaves no room for what follows"));
        return Some(fault.label("15 bytes before the sign for any ending").help("write at most 14 bytes before it"));
    }
    let fault = |what: String| Some(Diagnostic::new(&CARD_NAME_IMPOSSIBLE, here, what));
    if name.parse::<std::net::IpAddr>().is_ok() || name.parse::<ipnet::IpNet>().is_ok() {
        let fault = fault(format!("`{card}` is an address, not an interface"))?;
        return Some(
            fault
                .help("write the interface that has it, as `ip address` shows it: `eth0`")
                .help(format!("an address has a name by `set NAME = {card}`, and goes after `from`, `to` or `at`")),
        );
    }
    if let Some((own, _)) = name.split_once('@') {
        let fault = fault(format!("`{card}` is an interface and what it stands on"))?;
        return Some(fault.fix("its name is what stands before the `@`", here, own));
    }
    if let Some((own, _)) = name.split_once(':') {
        let fault = fault(format!("`{card}` is the label of an address, not an interface"))?;
        return Some(fault.help(format!("write `{own}`; for that address alone: `host at 192.0.2.11`")));
    }
    let strange = |letter: char| letter == '/' || letter.is_whitespace();
    if name.contains(strange) || (!card.prefix && matches!(name, "" | "." | "..")) {
        return Some(fault(format!("no interface can be called `{card}`"))?.help("write a name that `ip link` shows"));
    }
    if card.prefix && name.is_empty() {
        return Some(
            fault(format!("`{card}` is every interface"))?.help("take the clause out: then every one is meant"),
        );
    }
    if !card.is_writable() {
        return Some(
            fault(format!("iptables or nft cannot compare the name `{card}`"))?
                .help("rename the interface: letters, digits, `-`, `_` and `.`, with a letter or digit first"),
        );
    }
    None
}

impl LocalCards {
    /// Whether nobody is behind this host's own bridges: whatever is routed comes from outside, and goes there.
    #[must_use]
    pub fn has_nobody(&self) -> bool {
        self.container.is_empty() && self.instance.is_empty() && self.guest.is_empty()
    }

    /// The class of machines behind a card; `None`: outside.
    #[must_use]
    pub fn class_of(&self, card: &Card) -> Option<Class> {
        if self.outside.iter().any(|outside| outside.covers(card)) {
            return None;
        }
        [(&self.container, Class::Container), (&self.instance, Class::Instance), (&self.guest, Class::Guest)]
            .into_iter()
            .find(|(cards, _)| cards.iter().any(|known| known.covers(card)))
            .map(|(_, class)| class)
    }
}

/// Cards in either.
#[must_use]
pub fn unite(a: CardSet, b: CardSet) -> CardSet {
    match (a.complement, b.complement) {
        (false, false) => CardSet::only(a.cards.iter().chain(&*b.cards).cloned().collect()),
        (true, true) => {
            CardSet { cards: a.cards.iter().filter(|card| b.cards.contains(card)).cloned().collect(), complement: true }
        }
        (true, false) => {
            let cards =
                a.cards.iter().filter(|card| !b.cards.iter().any(|other| other.covers(card))).cloned().collect();
            CardSet { cards, complement: true }
        }
        (false, true) => unite(b, a),
    }
}

/// Cards in both.
#[must_use]
pub fn intersect(a: &CardSet, b: &CardSet) -> CardSet {
    match (a.complement, b.complement) {
        (false, false) => {
            let narrower = |x: &CardSet, y: &CardSet| -> Vec<Card> {
                x.cards.iter().filter(|card| y.cards.iter().any(|other| other.covers(card))).cloned().collect()
            };
            let mut cards = narrower(a, b);
            cards.extend(narrower(b, a));
            CardSet::only(cards)
        }
        (true, true) => {
            let mut both = CardSet::only(a.cards.iter().chain(&*b.cards).cloned().collect());
            both.complement = true;
            both
        }
        (false, true) => CardSet::only(
            a.cards.iter().filter(|card| !b.cards.iter().any(|other| other.covers(card))).cloned().collect(),
        ),
        (true, false) => intersect(b, a),
    }
}
