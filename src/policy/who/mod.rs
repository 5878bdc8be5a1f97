//! From the words for places to parties: which class, which cards, which addresses.

mod address;
mod cards;
pub mod codes;
mod party;
mod resident;
mod user;

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use rustc_hash::FxHashMap;
use smallvec::{SmallVec, smallvec};

use crate::diagnostic::Diagnostic;
use crate::facts::Facts;
use crate::names::closest as nearest;
use crate::net::{AddressRange, AddressSet, Card};
use crate::platform::{self, Platform};
use crate::policy::names::{Names, at, find, too_deep};
use crate::policy::{CardSet, Class, LocalCards, Party, Special};
use crate::project::Project;
use crate::span::{FileId, Location, Spanned};
use crate::syntax::tree::{GuestKind, Name, One, Place, SetValue, View, Who};
use codes::{EMPTY_SET, MISPLACED_WORD, SET_CYCLE, SET_FILE_LINE, UNKNOWN_PLACE};
use party::{complement, merge};
use user::user_fault;

pub use cards::{card_fault, intersect, unite};
pub use resident::{class_of, known_addresses, published_by, published_on_loopback};

/// Whether a party opens the connection or is opened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// After `from`.
    From,
    /// After `to`.
    To,
}

/// What a `who` comes to: mostly one party.
pub type Parties = SmallVec<[Party; 1]>;

/// A `who`, by its place, and what it came to.
type Resolved = (Location, Option<Parties>);

/// What place names are resolved against.
pub struct Places<'r, 'a> {
    /// The project.
    pub project: &'a Project,
    /// Its names.
    pub names: &'r Names<'a>,
    /// Facts, declarations in source included.
    pub facts: &'r Facts,
    /// Cards by class.
    pub cards: &'r LocalCards,
    /// Every card that something names, for the meaning of an unknown default route.
    pub known_cards: &'r [Card],
    /// What the names of sets came to; `None`: a fault was reported.
    sets: RefCell<SetTable<'a>>,
    /// What the names of interfaces came to.
    interfaces: RefCell<FxHashMap<&'a str, Arc<CardSet>>>,
    /// Interfaces that statements name without a declaration.
    named_interfaces: RefCell<Vec<Card>>,
    /// The last answer for a block's clause, for each role: every line inside asks for it.
    last: RefCell<[Option<Resolved>; 2]>,
    /// Whether what is being resolved names something that is at fault.
    failed: Cell<bool>,
    /// How many unknown places a near name was looked for.
    searches: Cell<u32>,
}

/// Unknown places that get a suggestion.
const MOST_SEARCHES: u32 = 50;

type SetTable<'a> = FxHashMap<(&'a str, Role), Option<Parties>>;

impl<'r, 'a> Places<'r, 'a> {
    /// Nothing is resolved yet.
    #[must_use]
    pub fn new(
        project: &'a Project,
        names: &'r Names<'a>,
        facts: &'r Facts,
        cards: &'r LocalCards,
        known_cards: &'r [Card],
    ) -> Self {
        Self {
            project,
            names,
            facts,
            cards,
            known_cards,
            sets: RefCell::default(),
            interfaces: RefCell::default(),
            named_interfaces: RefCell::default(),
            last: RefCell::default(),
            failed: Cell::new(false),
            searches: Cell::new(0),
        }
    }

    /// Resolves a `who` to the parties that it means. `None`: something in it is at fault, and has been reported, perhaps when
    /// another rule named it.
    pub fn parties(&self, file: FileId, who: &Who, role: Role, out: &mut Vec<Diagnostic>) -> Option<Parties> {
        let before = out.len();
        let parties = self.ask(file, who, role, out);
        parties.filter(|_| !out.get(before..).is_some_and(|new| new.iter().any(Diagnostic::is_error)))
    }

    /// The same for the clause of a block, which every line inside asks for.
    pub fn parties_of_block(&self, file: FileId, who: &Who, role: Role, out: &mut Vec<Diagnostic>) -> Option<Parties> {
        let place = at(file, who.span);
        let slot = usize::from(role == Role::To);
        if let Some(Some((known, parties))) = self.last.borrow().get(slot)
            && *known == place
        {
            return parties.clone();
        }
        let parties = self.parties(file, who, role, out);
        if let Some(slot) = self.last.borrow_mut().get_mut(slot) {
            *slot = Some((place, parties.clone()));
        }
        parties
    }

    fn ask(&self, file: FileId, who: &Who, role: Role, out: &mut Vec<Diagnostic>) -> Option<Parties> {
        // The two commonest: a set or an address alone.
        if let ([one], false) = (who.members.as_slice(), who.negated)
            && !one.negated
            && one.on.is_empty()
            && one.at.is_none()
            && one.view.is_none()
        {
            match &one.place.value {
                Place::Address(range) => {
                    return Some(smallvec![self.address(at(file, one.place.span), range.unpacked(), out)]);
                }
                Place::World => return Some(smallvec![Party::of(Class::Outside)]),
                Place::Host(None) => return Some(smallvec![Party::of(Class::Host)]),
                Place::Name(name) if self.names.sets.contains_key(&**name) => {
                    return self.set(name, role, &mut Vec::new(), out);
                }
                _ => {}
            }
        }
        self.failed.set(false);
        let parties = self.who(file, who, role, &mut Vec::new(), out);
        (!self.failed.get()).then(|| parties.into())
    }

    fn who(
        &self,
        file: FileId,
        who: &Who,
        role: Role,
        inside: &mut Vec<String>,
        out: &mut Vec<Diagnostic>,
    ) -> Vec<Party> {
        let mut parties = Vec::with_capacity(who.members.len());
        for one in &who.members {
            parties.extend(self.one(file, at(file, who.span), one, role, inside, out));
        }
        let parties = merge(parties);
        if who.negated { complement(parties, at(file, who.span), out) } else { parties }
    }

    /// A place and what is beside it. `not` is for the place: whoever else is on the same interfaces remains.
    fn one(
        &self,
        file: FileId,
        whole: Location,
        one: &One,
        role: Role,
        inside: &mut Vec<String>,
        out: &mut Vec<Diagnostic>,
    ) -> Vec<Party> {
        let mut parties = self.place(file, &one.place, one.view.as_ref(), role, inside, out);
        if one.negated && one.at.is_none() {
            parties = complement(parties, whole, out);
            if let Some(interface) = one.on.first() {
                parties.retain(|party| party.class == Class::Outside);
                if matches!(one.place.value, Place::Any | Place::World) {
                    out.push(nobody_on(at(file, one.place.span), &interface.value));
                }
            }
        }
        if !one.on.is_empty() {
            let cards = self.card_set(file, &one.on, out);
            for party in &mut parties {
                party.cards = Some(match &party.cards {
                    Some(before) => Arc::new(intersect(before, &cards)),
                    None => cards.clone(),
                });
            }
        }
        if let Some(address) = &one.at {
            if role == Role::From || parties.iter().any(|party| party.class == Class::Outside) {
                out.push(
                    Diagnostic::new(&MISPLACED_WORD, at(file, address.span), "`at` is not possible here")
                        .label("names the host address that was dialled")
                        .help(
                            "write it after a place on this machine: `to host at ADDRESS`, `to container at ADDRESS`",
                        ),
                );
            }
            for party in &mut parties {
                party.at = Some(AddressSet::new([address.value]));
            }
        }
        if let Some(view) = &one.view {
            if role == Role::From || parties.iter().any(|party| party.class != Class::Container) {
                out.push(
                    Diagnostic::new(
                        &MISPLACED_WORD,
                        at(file, view.span),
                        "`inside` and `direct` go with `to container`",
                    )
                    .help("take the word out, or write `to container`"),
                );
            }
            for party in &mut parties {
                party.view = Some(view.value);
            }
        }
        // A host address is a part of what is named: `not host at …` is the host at another.
        if one.negated && one.at.is_some() { complement(parties, whole, out) } else { parties }
    }

    fn place(
        &self,
        file: FileId,
        place: &Spanned<Place>,
        view: Option<&Spanned<View>>,
        role: Role,
        inside: &mut Vec<String>,
        out: &mut Vec<Diagnostic>,
    ) -> Vec<Party> {
        let here = at(file, place.span);
        match &place.value {
            Place::Any => Class::ALL.map(Party::of).to_vec(),
            Place::World => vec![Party::of(Class::Outside)],
            Place::Host(None) => vec![Party::of(Class::Host)],
            Place::Host(Some(user)) => {
                if role == Role::To {
                    out.push(
                        Diagnostic::new(
                            &MISPLACED_WORD,
                            at(file, user.span),
                            "`user` describes who opens a connection",
                        )
                        .help("write `from host user NAME`, or leave the user out"),
                    );
                }
                out.extend(user_fault(at(file, user.span), &user.value));
                vec![Party::special(Class::Host, Special { user: Some(Arc::from(&*user.value)), ..Special::default() })]
            }
            Place::Address(range) => vec![self.address(here, range.unpacked(), out)],
            Place::Mac(mac) => {
                if role == Role::To {
                    out.push(
                        Diagnostic::new(&MISPLACED_WORD, here, "a MAC address can be compared only where it comes from")
                            .help("netfilter sees no destination MAC for routed traffic: write `from mac …`, or use the address"),
                    );
                }
                vec![Party::special(Class::Outside, Special { macs: vec![*mac], ..Special::default() })]
            }
            Place::Container(None) => vec![Party::of(Class::Container)],
            Place::Container(Some(name)) => self.container(file, here, name, view, role, out).into_iter().collect(),
            Place::Guest(None) => vec![Party::of(Class::Guest)],
            Place::Instance(None) => vec![Party::of(Class::Instance)],
            Place::Guest(Some(name)) => self.guest(file, name, GuestKind::Guest, out).into_iter().collect(),
            Place::Instance(Some(name)) => self.guest(file, name, GuestKind::Instance, out).into_iter().collect(),
            Place::Network(name) => self.network(file, name, out).into_iter().collect(),
            Place::Name(name) => self.name(here, name, role, inside, out),
        }
    }

    fn name(
        &self,
        here: Location,
        name: &str,
        role: Role,
        inside: &mut Vec<String>,
        out: &mut Vec<Diagnostic>,
    ) -> Vec<Party> {
        if self.names.sets.contains_key(name) {
            let parties = self.set(name, role, inside, out);
            self.failed.set(self.failed.get() || parties.is_none());
            return parties.into_iter().flatten().collect();
        }
        if find(&self.names.interfaces, name).is_some() {
            return vec![Party { cards: Some(self.interface(name)), ..Party::of(Class::Outside) }];
        }
        if self.names.is_unreadable(name) {
            self.failed.set(true);
        } else {
            out.push(self.unknown_place(here, name));
        }
        Vec::new()
    }

    /// What a set's name stands for, as an origin. `None`: a fault.
    pub(in crate::policy) fn named(&self, name: &str) -> Option<Parties> {
        self.set(name, Role::From, &mut Vec::new(), &mut Vec::new())
    }

    /// What a set's name stands for, found out once for each role. `None`: a fault, reported then.
    fn set(&self, name: &str, role: Role, inside: &mut Vec<String>, out: &mut Vec<Diagnostic>) -> Option<Parties> {
        let set = find(&self.names.sets, name)?;
        let key = (&*set.node.name.value, role);
        if let Some(known) = self.sets.borrow().get(&key) {
            return known.clone();
        }
        let refused = if inside.iter().any(|outer| outer == name) {
            Some(
                Diagnostic::new(&SET_CYCLE, set.location, format!("set `{name}` contains itself"))
                    .help("take the name out of its own definition"),
            )
        } else {
            too_deep(inside.len(), set.location, "set", name)
        };
        if let Some(fault) = refused {
            out.push(fault);
            return None;
        }
        inside.push(name.to_owned());
        let (before, outer) = (out.len(), self.failed.replace(false));
        let parties = match &set.node.value {
            SetValue::Who(who) => self.who(set.file, who, role, inside, out),
            SetValue::File(path) => self.set_file(set.statement, path, out),
            SetValue::Live => {
                vec![Party::special(Class::Outside, Special { live: Some(Arc::from(name)), ..Special::default() })]
            }
            SetValue::Parameter => Vec::new(),
        };
        inside.pop();
        let failed = self.failed.replace(outer) || out.iter().skip(before).any(Diagnostic::is_error);
        let parties: Option<Parties> = (!failed).then(|| parties.into());
        self.sets.borrow_mut().insert(key, parties.clone());
        parties
    }

    fn unknown_place(&self, here: Location, name: &str) -> Diagnostic {
        let unknown = Diagnostic::new(&UNKNOWN_PLACE, here, format!("no set or interface is called `{name}`"));
        let has = |kind: &str| unknown.clone().fix(format!("write `{kind} {name}`"), here, format!("{kind} {name}"));
        if self.docker_container(name).is_some() || self.names.containers.contains_key(name) {
            return has("container");
        }
        if let Some(guest) = self.names.guests.get(name) {
            return has(if guest.node.kind == GuestKind::Guest { "guest" } else { "instance" });
        }
        if self.names.networks.contains_key(name) {
            return has("network");
        }
        if let Some(instead) = meant(name) {
            return unknown.fix(format!("write `{instead}`"), here, instead);
        }
        if let Some(class) = Platform::of_bridge(name).and_then(|platform| platform.class) {
            let word = match class {
                platform::Class::Container => "container",
                platform::Class::Instance => "instance",
                platform::Class::Guest => "guest",
            };
            return unknown.label(format!("the name of a bridge; what is behind it are {word}s")).fix(
                format!("write `{word}`"),
                here,
                word,
            );
        }
        if name.contains('.') && name.ends_with(|letter: char| letter.is_ascii_alphabetic()) {
            return unknown
                .help("names of the DNS are not looked up: write addresses, in a set with that name if you like");
        }
        if self.facts.interfaces.contains_key(name) {
            return unknown
                .fix("a card by its own name is said with `on`", here, format!("world on {name}"))
                .help(format!("or declare it: `interface {name} = {name}`"));
        }
        let known = self.names.sets.keys().chain(self.names.interfaces.keys()).copied();
        let words = ["any", "world", "host", "container", "guest", "instance"];
        // Who slips hundreds of times has another fault, and each search compares with every name.
        self.searches.set(self.searches.get().saturating_add(1));
        let near = if self.searches.get() > MOST_SEARCHES { None } else { nearest(name, known.chain(words)) };
        match near {
            Some(near) => unknown.fix(format!("did you mean `{near}`?"), here, near),
            None => unknown.help(format!("declare it: `set {name} = {{ … }}` or `interface {name} = CARD`")),
        }
    }

    fn set_file(&self, statement: Location, path: &Name, out: &mut Vec<Diagnostic>) -> Vec<Party> {
        let file = statement.file;
        // A file that could not be read was reported where texts are loaded.
        let Some(&id) = self.names.import(statement).and_then(|import| import.files.first()) else {
            return Vec::new();
        };
        let text = self.project.text(id);
        let mut ranges = Vec::new();
        let mut offset = 0;
        for line in text.split_inclusive('\n') {
            let content = line.split(['#', ';']).next().unwrap_or_default();
            let word = content.trim();
            if !word.is_empty() {
                let start = offset + content.find(word).unwrap_or(0);
                match word.parse::<AddressRange>() {
                    Ok(range) => ranges.push(range),
                    Err(message) => out.push(
                        Diagnostic::new(
                            &SET_FILE_LINE,
                            at(id, crate::span::Span::new(start, start + word.len())),
                            if word.len() > LONGEST_ADDRESS { "this is no address".to_owned() } else { message },
                        )
                        .related(at(file, path.span), "the set is read from this file")
                        .help("one address, prefix or range a line; `#` begins a comment"),
                    ),
                }
            }
            offset += line.len();
        }
        if ranges.is_empty() {
            out.push(
                Diagnostic::new(&EMPTY_SET, at(file, path.span), format!("`{}` holds no address", path.value))
                    .help("nothing would be matched, so nothing is built: fill the file or delete the set"),
            );
        }
        vec![Party { addresses: Some(AddressSet::new(ranges)), ..Party::of(Class::Outside) }]
    }
}

/// No address, prefix or range has more bytes: two IPv6 addresses with IPv4 ends, and a hyphen.
const LONGEST_ADDRESS: usize = 2 * 45 + 1;

/// `not any on CARD`: `not` is for the place, and leaves nobody who could be on an interface.
fn nobody_on(here: Location, interface: &str) -> Diagnostic {
    Diagnostic::new(&EMPTY_SET, here, format!("nobody is left on `{interface}`"))
        .label("`not` is for this place, `on` for whoever else there is")
        .help("to leave out who is on it, name the interface as a place: `interface leased = eth3`, `not leased`")
}

/// What others call a place of the language.
fn meant(name: &str) -> Option<&'static str> {
    match name.to_ascii_lowercase().as_str() {
        "all" | "anyone" | "anybody" | "anywhere" | "everyone" | "everywhere" | "everything" => Some("any"),
        "localhost" | "self" | "me" | "this" | "local" | "firewall" | "fw" => Some("host"),
        "docker" | "podman" | "containers" => Some("container"),
        "lxd" | "incus" | "instances" => Some("instance"),
        "libvirt" | "kvm" | "vm" | "vms" | "guests" => Some("guest"),
        "outside" | "wide-area" => Some("world"),
        _ => None,
    }
}
