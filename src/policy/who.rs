//! From the words for places to parties: which class, which cards, which addresses.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::diagnostic::{Code, Diagnostic, Level};
use crate::facts::{DockerContainer, Facts, InstanceFact};
use crate::names::closest as nearest;
use crate::net::{AddressRange, AddressSet, Card, Family, Protocol};
use crate::policy::names::{Names, at, find, too_deep};
use crate::policy::{CardSet, Class, LocalCards, Party, Published};
use crate::project::Project;
use crate::span::{FileId, Location, Spanned};
use crate::syntax::tree::{GuestKind, InterfaceValue, Name, One, Place, SetValue, View, Who};

/// A word for a place that nothing declares.
pub static UNKNOWN_PLACE: Code = Code {
    number: "FW0114",
    name: "unknown-place",
    level: Level::Error,
    summary: "a set or interface that nothing declares",
    explanation: "After `from` and `to` stands a place: `world`, `host`, `container`, an address, a set or a declared interface.\n\n```fw\nset office = { 198.51.100.0/24 }\nallow ssh from offcie to host     # error: did you mean `office`?\n```\n\nCorrect the name or declare it. A card that has no name in the policy is said as `from world on eth1`.",
};

/// A set that contains itself.
pub static SET_CYCLE: Code = Code {
    number: "FW0115",
    name: "set-cycle",
    level: Level::Error,
    summary: "a set contains itself",
    explanation: "```fw\nset a = { b }\nset b = { a }      # error\n```\n\nA set may hold other sets, but not, by whatever road, itself. Take the name out.",
};

/// A set without a member.
pub static EMPTY_SET: Code = Code {
    number: "FW0116",
    name: "empty-set",
    level: Level::Error,
    summary: "a set has no member, so a rule that uses it would do nothing",
    explanation: "A deny from an empty set blocks nothing, an allow lets nobody in; neither is what an author means. An empty or missing\nset file usually means that a download failed.\n\n```fw\nset blocked from file \"blocklist.txt\"   # error: the file holds no address\ndeny from blocked to host\n```\n\nNothing is built. Fill the file, or delete the rule.",
};

/// A line of a set's file that is no address.
pub static SET_FILE_LINE: Code = Code {
    number: "FW0117",
    name: "set-file-line",
    level: Level::Error,
    summary: "a line of a set's file is not an address",
    explanation: "A file for `set NAME from file \"…\"` holds one address, prefix or range a line; `#` and `;` begin comments.\n\n```text\n198.51.100.0/24   # head office\n2001:db8:1::/48\nnot-an-address    # error\n```\n\nA line that cannot be read stops the build, because skipping it would leave a hole.",
};

/// A container that no fact, declaration or compose file knows.
pub static UNKNOWN_CONTAINER: Code = Code {
    number: "FW0118",
    name: "unknown-container",
    level: Level::Error,
    summary: "a container, instance, guest or network that nothing declares",
    explanation: "A container by name stands for what it publishes, so fwc must know it: from a compose file, from `fwc.facts.json`, or from\na declaration.\n\n```fw\ncompose \"docker-compose.yml\"\nallow https to container ngnix     # error: did you mean `nginx`?\ncontainer web on front publish tcp 443\n```\n\nThe same holds for `instance`, `guest` and `network`.",
};

/// A container as an origin that cannot be told from others.
pub static CONTAINER_ORIGIN: Code = Code {
    number: "FW0211",
    name: "container-without-address",
    level: Level::Error,
    summary: "a container named as an origin, or dialled directly, has no fixed address and no network of its own",
    explanation: "Docker gives a container another address at each start. A rule that compared today's address would tomorrow speak of some\nother container.\n\n```fw\nallow submission from container mailer to relay   # error unless `mailer` has a fixed address\n```\n\nGive it `ipv4_address` in the compose file, or a network that it shares with nobody.",
};

/// A container that publishes nothing.
pub static UNPUBLISHED_CONTAINER: Code = Code {
    number: "FW0212",
    name: "container-publishes-nothing",
    level: Level::Error,
    summary: "a rule to a container that publishes no such port",
    explanation: "`to container NAME` means: reached through a host address, at a port that it publishes. A container that publishes nothing\n(or not this port) cannot be reached so, and the rule would decide nothing.\n\n```fw\nallow postgres to container app     # error: `app` publishes nothing\n```\n\nPublish the port, or write `to container app direct` for its own address on its network.",
};

/// A container without a network of its own.
pub static HOST_NETWORK: Code = Code {
    number: "FW0313",
    name: "container-on-the-host-network",
    level: Level::Error,
    summary: "a rule speaks of a container that shares the host's network",
    explanation: "With `network_mode: host` a container has no network of its own: its ports are the host's, its connections are the host's,\nand no bridge, NAT or FORWARD is between. A rule to the container would never match.\n\n```fw\ncompose \"docker-compose.yml\"          # `metrics` has `network_mode: host`\nallow tcp 9100 to container metrics   # error\nallow tcp 9100 from any to host       # what it means\n```\n\nWrite `to host` with the container's ports, or `from host`, which is every program on the host. A container that lives in the\nnetwork of another (`network_mode: service:vpn`) is reached as that other container.",
};

/// A container that the host's hooks never see.
pub static OFF_BRIDGE: Code = Code {
    number: "FW0314",
    name: "container-off-the-bridge",
    level: Level::Error,
    summary: "a rule speaks of a container on a macvlan or ipvlan network, whose packets the host's firewall never sees",
    explanation: "A macvlan network, and an ipvlan network in its default mode `l2`, sends and receives straight through its parent card. The\npackets pass no hook of the host, so no rule of the host can decide about them.\n\n```fw\ncompose \"docker-compose.yml\"            # `resolver` is on a macvlan network\nallow dns from lan to container resolver  # error: decides nothing\n```\n\nFilter on the router of that network or inside the container, or put the container on a bridge network and publish its ports.",
};

/// A host address where a place outside belongs.
pub static HOST_ADDRESS: Code = Code {
    number: "FW0213",
    name: "host-address-as-place",
    level: Level::Error,
    summary: "an address of this host stands where a party outside is expected",
    explanation: "An address in `from` or `to` is a party outside. For an address of this machine say which of its roads is meant:\n\n```fw\nallow https to 203.0.113.10            # error\nallow https to host at 203.0.113.10\nallow https to container at 203.0.113.10\n```",
};

/// An address on a container network where a container is meant.
pub static CONTAINER_ADDRESS: Code = Code {
    number: "FW0214",
    name: "container-address-as-place",
    level: Level::Error,
    summary: "an address on a local network stands where a party outside is expected",
    explanation: "An address in `from` or `to` is a party outside. One that lies in a network on this machine never arrives from outside, so\nthe rule would decide nothing.\n\n```fw\nallow dns from 172.17.0.5 to host              # error\nallow dns from container resolver to host\nallow dns from network app to host\n```",
};

/// Words that do not go with a place.
pub static MISPLACED_WORD: Code = Code {
    number: "FW0215",
    name: "misplaced-word",
    level: Level::Error,
    summary: "`at`, `on`, `inside`, `direct`, `user` or a MAC where it cannot apply",
    explanation: "`at` names the host address that was dialled: it belongs to a place on this machine, after `to`. `inside` and `direct` say\nhow a container is addressed, after `to container`. `user` and `mac` describe who opens a connection, after `from`.\n\n```fw\nallow https from office at 203.0.113.10 to host     # error\nallow https from office to host at 203.0.113.10\n```",
};

/// A negation that has no plain meaning.
pub static NESTED_NEGATION: Code = Code {
    number: "FW0216",
    name: "nested-negation",
    level: Level::Error,
    summary: "`not` over members that are themselves negated",
    explanation: "```fw\nset far = not office\nallow ssh from not { far, vpn } to host    # error\n```\n\nSay it without the double negation.",
};

/// The default route's card is not known.
pub static DEFAULT_ROUTE_UNKNOWN: Code = Code {
    number: "FW0411",
    name: "default-route-unknown",
    level: Level::Warning,
    summary: "no fact says which card the default route leaves by",
    explanation: "`interface wan = default-route` takes the card from the fact `default-route`. Without it, the name stands for *every card\nthat nothing else names*: not the loopback, not a bridge of a platform, not another declared interface. That is right on\na host with one outside card, and treats every further undeclared card like the Internet.\n\n```fw\ninterface wan = ens33                 # or\nfact default-route = ens33            # or \"default-route\": \"ens33\" in fwc.facts.json\n```",
};

/// A card that nothing declares.
pub static UNDECLARED_CARD: Code = Code {
    number: "FW0119",
    name: "undeclared-card",
    level: Level::Warning,
    summary: "a card's name is close to a declared interface, or no fact knows it",
    explanation: "After `via` and `on` stands an interface that the policy declares, or a card's own name. A name that is almost a declared\none, or that the host's facts do not list, is probably a slip, and the rule would match nothing.\n\n```fw\ninterface wan = ens33\nallow https to container via wna     # warning: did you mean `wan`?\n```",
};

/// An interface name that the kernel does not take.
pub static CARD_NAME_TOO_LONG: Code = Code {
    number: "FW0501",
    name: "card-name-too-long",
    level: Level::Error,
    summary: "an interface name has more than 15 bytes",
    explanation: "Linux interface names have at most 15 bytes (IFNAMSIZ less the final NUL). iptables refuses a longer one.\n\n```fw\ninterface lan = enp0s31f6-office-lan     # error\n```",
};

/// Whether a party opens the connection or is opened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// After `from`.
    From,
    /// After `to`.
    To,
}

/// A `who`, by its place, and what it came to.
type Resolved = (Location, Option<Vec<Arc<Party>>>);

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
    /// Each class as a whole, once.
    classes: [Arc<Party>; 5],
    /// What the names of sets came to; `None`: a fault was reported.
    sets: RefCell<SetTable>,
    /// The last answer for each role: the clause of a block is asked for by every line inside.
    last: RefCell<[Option<Resolved>; 2]>,
    /// Whether what is being resolved names something that is at fault.
    failed: Cell<bool>,
    /// How many unknown places a near name was looked for.
    searches: Cell<u32>,
}

/// Unknown places that get a suggestion.
const MOST_SEARCHES: u32 = 50;

type SetTable = FxHashMap<(Box<str>, Role), Option<Vec<Arc<Party>>>>;

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
        let classes = Class::ALL.map(|class| Arc::new(Party::of(class)));
        Self {
            project,
            names,
            facts,
            cards,
            known_cards,
            classes,
            sets: RefCell::default(),
            last: RefCell::default(),
            failed: Cell::new(false),
            searches: Cell::new(0),
        }
    }

    /// Everyone of a class.
    #[must_use]
    pub fn everyone(&self, class: Class) -> Arc<Party> {
        let known = self.classes.iter().find(|party| party.class == class);
        known.map_or_else(|| Arc::new(Party::of(class)), Arc::clone)
    }

    /// Resolves a `who` to the parties that it means. `None`: something in it is at fault, and has been reported, perhaps when
    /// another rule named it.
    pub fn parties(&self, file: FileId, who: &Who, role: Role, out: &mut Vec<Diagnostic>) -> Option<Vec<Arc<Party>>> {
        let place = at(file, who.span);
        let slot = usize::from(role == Role::To);
        if let Some(Some((known, parties))) = self.last.borrow().get(slot)
            && *known == place
        {
            return parties.clone();
        }
        let before = out.len();
        let parties = self.fresh(file, who, role, out);
        let parties = parties.filter(|_| !out.get(before..).is_some_and(|new| new.iter().any(Diagnostic::is_error)));
        if let Some(slot) = self.last.borrow_mut().get_mut(slot) {
            *slot = Some((place, parties.clone()));
        }
        parties
    }

    fn fresh(&self, file: FileId, who: &Who, role: Role, out: &mut Vec<Diagnostic>) -> Option<Vec<Arc<Party>>> {
        // The two commonest: a set or an address alone.
        if let ([one], false) = (who.members.as_slice(), who.negated)
            && !one.negated
            && one.on.is_empty()
            && one.at.is_none()
            && one.view.is_none()
        {
            match &one.place.value {
                Place::Address(range) => {
                    return Some(vec![Arc::new(self.address(at(file, one.place.span), *range, out))]);
                }
                Place::World => return Some(vec![self.everyone(Class::Outside)]),
                Place::Host(None) => return Some(vec![self.everyone(Class::Host)]),
                Place::Name(name) if self.names.sets.contains_key(&**name) => {
                    return self.set(name, role, &mut Vec::new(), out);
                }
                _ => {}
            }
        }
        self.failed.set(false);
        let parties = self.who(file, who, role, &mut Vec::new(), out);
        (!self.failed.get()).then(|| parties.into_iter().map(Arc::new).collect())
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
            let members = self.one(file, one, role, inside, out);
            parties.extend(if one.negated { complement(members, at(file, who.span), out) } else { members });
        }
        let parties = merge(parties);
        if who.negated { complement(parties, at(file, who.span), out) } else { parties }
    }

    fn one(
        &self,
        file: FileId,
        one: &One,
        role: Role,
        inside: &mut Vec<String>,
        out: &mut Vec<Diagnostic>,
    ) -> Vec<Party> {
        let mut parties = self.place(file, &one.place, one.view.as_ref(), role, inside, out);
        if !one.on.is_empty() {
            let cards = Arc::new(self.card_set(file, &one.on, out));
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
                party.at = Some(Box::new(AddressSet::new([address.value])));
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
        parties
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
                vec![Party { user: Some(Arc::from(&*user.value)), ..Party::of(Class::Host) }]
            }
            Place::Address(range) => vec![self.address(here, *range, out)],
            Place::Mac(mac) => {
                if role == Role::To {
                    out.push(
                        Diagnostic::new(&MISPLACED_WORD, here, "a MAC address can be compared only where it comes from")
                            .help("netfilter sees no destination MAC for routed traffic: write `from mac …`, or use the address"),
                    );
                }
                vec![Party { macs: vec![*mac], ..Party::of(Class::Outside) }]
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

    fn address(&self, here: Location, range: AddressRange, out: &mut Vec<Diagnostic>) -> Party {
        out.extend(self.own_address(here, range).or_else(|| self.inner_address(here, range)));
        Party { addresses: Some(AddressSet::new([range])), ..Party::of(Class::Outside) }
    }

    /// An address of this host: of a card, or a gateway that a platform has put on its bridge.
    fn own_address(&self, here: Location, range: AddressRange) -> Option<Diagnostic> {
        if range.first != range.last {
            return None;
        }
        let fault = || {
            Diagnostic::new(&HOST_ADDRESS, here, format!("`{}` is an address of this host", range.first)).fix(
                "name the host's own side",
                here,
                format!("host at {}", range.first),
            )
        };
        let has = |card: &crate::facts::InterfaceFact| card.addresses.iter().any(|net| net.addr() == range.first);
        if let Some((card, _)) = self.facts.interfaces.iter().find(|(_, card)| has(card)) {
            return Some(fault().label(format!("on `{card}`")));
        }
        let (name, network) = self.bridge_networks().find(|(_, network)| network.gateways.contains(&range.first))?;
        let fault = fault().label(format!("the gateway of network `{name}`, on this host"));
        Some(network.location.map_or(fault.clone(), |location| fault.related(location, "the network")))
    }

    /// An address or prefix that lies in a network on this machine. A wider prefix, which merely holds one, is a party outside.
    fn inner_address(&self, here: Location, range: AddressRange) -> Option<Diagnostic> {
        let within = |net: &ipnet::IpNet| net.contains(&range.first) && net.contains(&range.last);
        let words = range.prefix().map_or_else(|| range.to_string(), |prefix| prefix.to_string());
        let words = if range.first == range.last { range.first.to_string() } else { words };
        if let Some((name, network)) = self.bridge_networks().find(|(_, network)| network.subnets.iter().any(within)) {
            let fault =
                Diagnostic::new(&CONTAINER_ADDRESS, here, format!("`{words}` lies in the container network `{name}`"))
                    .fix("name the network", here, format!("network {name}"))
                    .help("or name the container: `container NAME`");
            return Some(network.location.map_or(fault.clone(), |location| fault.related(location, "the network")));
        }
        let instances = self.facts.instances.iter().flat_map(|facts| &facts.bridges).map(|bridge| ("instance", bridge));
        let guests = self.facts.libvirt.iter().flat_map(|facts| &facts.bridges).map(|bridge| ("guest", bridge));
        let (word, (bridge, _)) = instances.chain(guests).find(|(_, (_, bridge))| bridge.subnets.iter().any(within))?;
        Some(
            Diagnostic::new(
                &CONTAINER_ADDRESS,
                here,
                format!("`{words}` lies on this machine, behind bridge `{bridge}`"),
            )
            .help(format!("name who has it: `{word} NAME`")),
        )
    }

    /// The networks that have a bridge on this host.
    fn bridge_networks(&self) -> impl Iterator<Item = (&String, &crate::facts::DockerNetwork)> {
        let docker = self.facts.docker.iter().flat_map(|docker| &docker.networks);
        let podman = self.facts.podman.iter().flat_map(|podman| &podman.networks);
        docker.chain(podman).filter(|(_, network)| network.driver.as_deref().is_none_or(|driver| driver == "bridge"))
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
            return parties.into_iter().flatten().map(Arc::unwrap_or_clone).collect();
        }
        if find(&self.names.interfaces, name).is_some() {
            let cards = self.interface(name);
            return vec![Party { cards: Some(Arc::new(cards)), ..Party::of(Class::Outside) }];
        }
        out.push(self.unknown_place(here, name));
        Vec::new()
    }

    /// What a set's name stands for, found out once for each role. `None`: a fault, reported then.
    fn set(
        &self,
        name: &str,
        role: Role,
        inside: &mut Vec<String>,
        out: &mut Vec<Diagnostic>,
    ) -> Option<Vec<Arc<Party>>> {
        let set = find(&self.names.sets, name)?;
        let key = (Box::from(name), role);
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
            SetValue::Live => vec![Party { live: Some(Arc::from(name)), ..Party::of(Class::Outside) }],
            SetValue::Parameter => Vec::new(),
        };
        inside.pop();
        let failed = self.failed.replace(outer) || out.iter().skip(before).any(Diagnostic::is_error);
        let parties: Option<Vec<Arc<Party>>> = (!failed).then(|| parties.into_iter().map(Arc::new).collect());
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
                            message,
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

    fn docker_container(&self, name: &str) -> Option<&DockerContainer> {
        let docker = self.facts.docker.iter().map(|docker| &docker.containers);
        docker.chain(self.facts.podman.iter().map(|podman| &podman.containers)).find_map(|table| table.get(name))
    }

    fn container(
        &self,
        file: FileId,
        place: Location,
        name: &Name,
        view: Option<&Spanned<View>>,
        role: Role,
        out: &mut Vec<Diagnostic>,
    ) -> Option<Party> {
        let here = at(file, name.span);
        find(&self.names.containers, &name.value);
        let Some(container) = self.docker_container(&name.value) else {
            let tables = self.facts.docker.iter().map(|docker| &docker.containers);
            let tables = tables.chain(self.facts.podman.iter().map(|podman| &podman.containers));
            let known: Vec<&str> = tables.flat_map(|table| table.keys()).map(String::as_str).collect();
            out.push(self.unknown_member("container", here, &name.value, &known));
            return None;
        };
        if let Some(fault) = self.elsewhere(place, &name.value, container, view, role) {
            out.push(fault);
            return None;
        }
        let member = Some(Arc::<str>::from(&*name.value));
        let direct = view.is_some_and(|view| view.value == View::Direct);
        if role == Role::To && !direct {
            let published: Arc<[Published]> = published_by(&name.value, container).into();
            if published.is_empty() && !self.on_routed_network(container) {
                out.push(unpublished(here, &name.value, container));
            }
            let addresses = (!container.addresses.is_empty()).then(|| own_addresses(container));
            return Some(Party { member, published: Some(published), addresses, ..Party::of(Class::Container) });
        }
        if !container.addresses.is_empty() {
            return Some(Party { member, addresses: Some(own_addresses(container)), ..Party::of(Class::Container) });
        }
        if let [network] = container.networks.as_slice()
            && let Some((party, alone)) = self.network_party(network)
            && alone
        {
            return Some(Party { member, ..party });
        }
        let mut fault = Diagnostic::new(
            &CONTAINER_ORIGIN,
            here,
            format!("container `{}` has no fixed address and no network of its own", name.value),
        )
        .help("give it `ipv4_address` in the compose file, or a network that it shares with nobody");
        if let Some(location) = container.location {
            fault = fault.related(location, "the container is declared here");
        }
        out.push(fault);
        None
    }

    /// A container that is not where rules to containers look: on the host's network, in another's, or on no bridge.
    fn elsewhere(
        &self,
        place: Location,
        name: &str,
        container: &DockerContainer,
        view: Option<&Spanned<View>>,
        role: Role,
    ) -> Option<Diagnostic> {
        let docker = self.facts.docker.iter().map(|docker| &docker.networks);
        let tables = docker.chain(self.facts.podman.iter().map(|podman| &podman.networks));
        let networks: Vec<_> = tables
            .flat_map(|table| table.iter().filter(|(network, _)| container.networks.contains(*network)))
            .collect();
        let of_driver = |wanted: &str| networks.iter().any(|(_, network)| network.driver.as_deref() == Some(wanted));
        let told = |fault: Diagnostic| match container.location {
            Some(location) => fault.related(location, "the container"),
            None => fault,
        };
        if let Some(other) = &container.network_of {
            let fault = Diagnostic::new(
                &HOST_NETWORK,
                place,
                format!("container `{name}` lives in the network of container `{other}`"),
            );
            return Some(told(fault).fix("name that one", place, format!("container {other}")));
        }
        if container.networks.iter().any(|network| network == "host") || of_driver("host") {
            let fault = Diagnostic::new(&HOST_NETWORK, place, format!("container `{name}` shares the host's network"))
                .label("no rule to containers meets it");
            return Some(match (role, view) {
                (Role::To, None) => told(fault).fix("its ports are the host's", place, "host"),
                (Role::To, Some(_)) => told(fault).help("its ports are the host's: `to host`"),
                (Role::From, _) => told(fault).help("its connections are the host's: `from host`, every program on it"),
            });
        }
        let (first, _) = networks.first()?;
        let unseen = networks.len() == container.networks.len()
            && networks.iter().all(|(_, network)| match network.driver.as_deref() {
                Some("macvlan") => true,
                Some("ipvlan") => network.ipvlan_mode.as_deref().is_none_or(|mode| mode == "l2"),
                _ => false,
            });
        if !unseen {
            return None;
        }
        let driver = networks.first().and_then(|(_, network)| network.driver.as_deref()).unwrap_or("macvlan");
        let mut fault = Diagnostic::new(
            &OFF_BRIDGE,
            place,
            format!("the host's firewall never sees container `{name}`, on a network of driver {driver}"),
        )
        .label("no hook of the host is passed");
        if let Some(location) = networks.first().and_then(|(_, network)| network.location) {
            fault = fault.related(location, format!("network `{first}`"));
        }
        Some(told(fault).help("filter on that network's router or in the container, or put it on a bridge network"))
    }

    fn on_routed_network(&self, container: &DockerContainer) -> bool {
        let networks = self.facts.docker.iter().flat_map(|docker| &docker.networks);
        networks.filter(|(name, _)| container.networks.contains(name)).any(|(_, network)| {
            network.gateway_mode_ipv4.as_deref() == Some("routed")
                || network.gateway_mode_ipv6.as_deref() == Some("routed")
        })
    }

    /// The containers of a Docker network, and whether it is one container alone.
    fn network_party(&self, name: &str) -> Option<(Party, bool)> {
        let docker = self.facts.docker.iter().map(|docker| (&docker.networks, &docker.containers));
        let podman = self.facts.podman.iter().map(|podman| (&podman.networks, &podman.containers));
        let (networks, containers) = docker.chain(podman).find(|(networks, _)| networks.contains_key(name))?;
        let network = networks.get(name)?;
        let members = containers.values().filter(|container| container.networks.iter().any(|on| on == name)).count();
        let cards = network.bridge.as_ref().map(|bridge| Arc::new(CardSet::only(vec![Card::exact(bridge.clone())])));
        let addresses = (!network.subnets.is_empty())
            .then(|| network.subnets.iter().map(|&subnet| AddressRange::from(subnet)).collect());
        (cards.is_some() || addresses.is_some())
            .then(|| (Party { cards, addresses, ..Party::of(Class::Container) }, members == 1))
    }

    fn network(&self, file: FileId, name: &Name, out: &mut Vec<Diagnostic>) -> Option<Party> {
        if let Some(network) = find(&self.names.networks, &name.value) {
            let cards: Vec<Card> = network.node.cards.iter().map(|card| card.value.clone()).collect();
            let class = cards.iter().find_map(|card| self.cards.class_of(card)).unwrap_or(Class::Container);
            let addresses = network.node.address.as_ref().map(|who| self.own(network.file, who, out));
            return Some(Party { cards: Some(Arc::new(CardSet::only(cards))), addresses, ..Party::of(class) });
        }
        if let Some((party, _)) = self.network_party(&name.value) {
            return Some(party);
        }
        let known: Vec<&str> = self
            .facts
            .docker
            .iter()
            .flat_map(|docker| docker.networks.keys())
            .map(String::as_str)
            .chain(self.names.networks.keys().copied())
            .collect();
        if known.contains(&&*name.value) {
            out.push(
                Diagnostic::new(
                    &CONTAINER_ORIGIN,
                    at(file, name.span),
                    format!("neither bridge nor subnet of network `{}` is known", name.value),
                )
                .help("give it a subnet (`ipam`) or `com.docker.network.bridge.name` in the compose file, or facts"),
            );
        } else {
            out.push(self.unknown_member("network", at(file, name.span), &name.value, &known));
        }
        None
    }

    fn guest(&self, file: FileId, name: &Name, kind: GuestKind, out: &mut Vec<Diagnostic>) -> Option<Party> {
        let class = class_of(kind);
        let member = Some(Arc::<str>::from(&*name.value));
        let fact = self.instance_fact(kind, &name.value);
        if let Some(guest) = find(&self.names.guests, &name.value).filter(|guest| guest.node.kind == kind) {
            let cards = guest.node.cards.iter().map(|card| card.value.clone()).collect();
            let mut addresses = guest.node.address.as_ref().map(|who| self.own(guest.file, who, out));
            if addresses.is_none() {
                addresses = fact.and_then(known_addresses);
            }
            let macs = guest.node.mac.iter().map(|mac| mac.value).collect();
            return Some(Party {
                cards: Some(Arc::new(CardSet::only(cards))),
                addresses,
                macs,
                member,
                ..Party::of(class)
            });
        }
        if let Some(fact) = fact {
            let cards = fact.tap.as_ref().or(fact.bridge.as_ref());
            let cards = cards.map(|card| Arc::new(CardSet::only(vec![Card::exact(card.clone())])));
            let macs = fact.mac.iter().filter_map(|mac| mac.parse().ok()).collect();
            return Some(Party { cards, addresses: known_addresses(fact), macs, member, ..Party::of(class) });
        }
        let word = class.name();
        let declared = self.names.guests.iter().filter(|(_, guest)| guest.node.kind == kind).map(|(name, _)| *name);
        let known: Vec<&str> = declared.chain(self.instance_names(kind)).collect();
        out.push(self.unknown_member(word, at(file, name.span), &name.value, &known));
        None
    }

    /// What facts know of an instance or virtual machine.
    #[must_use]
    pub fn instance_fact(&self, kind: GuestKind, name: &str) -> Option<&InstanceFact> {
        match kind {
            GuestKind::Instance => self.facts.instances.as_ref()?.instances.get(name),
            GuestKind::Guest => self.facts.libvirt.as_ref()?.guests.get(name),
        }
    }

    fn instance_names(&self, kind: GuestKind) -> Vec<&str> {
        match kind {
            GuestKind::Instance => {
                self.facts.instances.iter().flat_map(|facts| facts.instances.keys()).map(String::as_str).collect()
            }
            GuestKind::Guest => {
                self.facts.libvirt.iter().flat_map(|facts| facts.guests.keys()).map(String::as_str).collect()
            }
        }
    }

    /// Addresses in a declaration: a guest's or a network's own, not a party outside.
    pub fn own(&self, file: FileId, who: &Who, out: &mut Vec<Diagnostic>) -> AddressSet {
        let mut ranges = Vec::new();
        for one in &who.members {
            match &one.place.value {
                Place::Address(range) if !one.negated && !who.negated => ranges.push(*range),
                Place::Name(name) if !one.negated && !who.negated && self.names.sets.contains_key(&**name) => {
                    let parties = self.name(at(file, one.place.span), name, Role::From, &mut Vec::new(), out);
                    let plain = |party: &Party| {
                        let rest = Party { addresses: None, ..party.clone() };
                        party.addresses.is_some() && rest == Party::of(Class::Outside)
                    };
                    if !parties.iter().all(plain) {
                        let message = format!("`{name}` holds more than addresses");
                        out.push(
                            Diagnostic::new(&MISPLACED_WORD, at(file, one.place.span), message)
                                .help("give the addresses alone, in a set of their own or in braces"),
                        );
                    }
                    let sets = parties.iter().filter_map(|party| party.addresses.as_ref());
                    ranges.extend(sets.flat_map(|set| set.ranges().iter().copied()));
                }
                _ => out.push(
                    Diagnostic::new(
                        &MISPLACED_WORD,
                        at(file, one.place.span),
                        "an address or prefix was expected here",
                    )
                    .help("as in `address 192.0.2.5` or `address { 192.0.2.5, 2001:db8::5 }`"),
                ),
            }
        }
        AddressSet::new(ranges)
    }

    fn unknown_member(&self, kind: &str, here: Location, name: &str, known: &[&str]) -> Diagnostic {
        let unknown = Diagnostic::new(&UNKNOWN_CONTAINER, here, format!("no {kind} is called `{name}`"));
        match nearest(name, known.iter().copied()) {
            Some(near) => unknown.fix(format!("did you mean `{near}`?"), here, near),
            None if kind == "container" => unknown
                .help(format!("read its compose file (`compose \"docker-compose.yml\"`), or declare it: `container {name} on NETWORK publish tcp 80`")),
            None if kind == "network" => unknown.help(format!("declare it: `network {name} on BRIDGE address 172.18.0.0/16`")),
            None => unknown.help(format!("declare it: `{kind} {name} on CARD address 192.0.2.5`, or give it in fwc.facts.json")),
        }
    }

    /// The cards that an interface's name stands for.
    fn interface(&self, name: &str) -> CardSet {
        let Some(declared) = find(&self.names.interfaces, name) else { return CardSet::only(Vec::new()) };
        match &declared.node.value {
            None => CardSet::only(Vec::new()),
            Some(value) => match &value.value {
                InterfaceValue::Cards(cards) => CardSet::only(cards.iter().map(|card| card.value.clone()).collect()),
                InterfaceValue::DefaultRoute => match &self.facts.default_route {
                    Some(card) => CardSet::only(vec![Card::exact(card.clone())]),
                    None => CardSet { cards: self.known_cards.to_vec(), complement: true },
                },
            },
        }
    }

    /// The cards after `via` or `on`: declared interfaces, or cards by their own names.
    pub fn card_set(&self, file: FileId, cards: &[Name], out: &mut Vec<Diagnostic>) -> CardSet {
        let mut all = CardSet::only(Vec::new());
        for name in cards {
            let here = at(file, name.span);
            let set = if self.names.interfaces.contains_key(&*name.value) {
                self.interface(&name.value)
            } else {
                self.undeclared_card(here, &name.value, out);
                CardSet::only(vec![Card::parse(&name.value)])
            };
            all = unite(all, set);
        }
        all
    }

    fn undeclared_card(&self, here: Location, name: &str, out: &mut Vec<Diagnostic>) {
        if name.trim_end_matches(['+', '*']).len() > Card::MAX {
            out.push(
                Diagnostic::new(&CARD_NAME_TOO_LONG, here, format!("`{name}` is longer than an interface name can be"))
                    .help("interface names have at most 15 bytes"),
            );
            return;
        }
        if self.facts.interfaces.contains_key(name) {
            return;
        }
        let near = nearest(name, self.names.interfaces.keys().copied());
        let unknown = || Diagnostic::new(&UNDECLARED_CARD, here, format!("no interface `{name}` is declared"));
        if let Some(near) = near {
            out.push(unknown().label("taken as a card's own name").fix(format!("did you mean `{near}`?"), here, near));
        } else if !self.facts.interfaces.is_empty() && !Card::parse(name).prefix {
            out.push(
                unknown().label("the facts know no such card").help("correct the name, or bring the facts up to date"),
            );
        }
    }
}

impl LocalCards {
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

/// Guest or instance as a class.
#[must_use]
pub fn class_of(kind: GuestKind) -> Class {
    match kind {
        GuestKind::Guest => Class::Guest,
        GuestKind::Instance => Class::Instance,
    }
}

fn known_addresses(fact: &InstanceFact) -> Option<AddressSet> {
    (!fact.addresses.is_empty()).then(|| fact.addresses.iter().copied().map(AddressRange::single).collect())
}

/// Why nobody reaches a container through an address of the host.
fn unpublished(here: Location, name: &str, container: &DockerContainer) -> Diagnostic {
    let ports = &container.ports;
    let loopback = |port: &&crate::facts::PublishedPort| port.address.is_some_and(|address| address.is_loopback());
    let (message, said, help) = if ports.is_empty() {
        (
            format!("container `{name}` publishes nothing"),
            "",
            "publish the port, or write `direct` behind it for its own address",
        )
    } else if ports.iter().all(|port| loopback(&port)) {
        (
            format!("container `{name}` publishes on the loopback alone"),
            "only programs on the host reach it here",
            "publish it on another address, or leave the rule out",
        )
    } else {
        (
            format!("Docker picks a port for container `{name}` at each start"),
            "no fixed port of the host",
            "publish it at a fixed port (`8080:80`), or write `direct` behind it for its own address",
        )
    };
    let mut fault = Diagnostic::new(&UNPUBLISHED_CONTAINER, here, message).help(help);
    let lines = ports.iter().filter_map(|port| port.location);
    for location in lines.clone() {
        fault = fault.related(location, said);
    }
    if lines.count() == 0
        && let Some(location) = container.location
    {
        fault = fault.related(location, "the container");
    }
    fault
}

fn own_addresses(container: &DockerContainer) -> AddressSet {
    container.addresses.iter().copied().map(AddressRange::single).collect()
}

/// What a container publishes at fixed ports and not on the loopback alone.
#[must_use]
pub fn published_by(name: &str, container: &DockerContainer) -> Vec<Published> {
    let container_name: Arc<str> = Arc::from(name);
    container
        .ports
        .iter()
        .filter(|port| !port.address.is_some_and(|address| address.is_loopback()))
        .filter_map(|port| {
            let unspecified = port.address.filter(std::net::IpAddr::is_unspecified);
            Some(Published {
                container: container_name.clone(),
                protocol: Protocol::by_name(&port.protocol)?,
                address: port.address.filter(|address| !address.is_unspecified()),
                family: unspecified.map(Family::of),
                ports: port.host_ports()?,
                container_ports: port.container_ports(),
                location: port.location,
            })
        })
        .collect()
}

/// Everyone but these. Parties outside are taken from the world alone; others from everyone.
fn complement(parties: Vec<Party>, here: Location, out: &mut Vec<Diagnostic>) -> Vec<Party> {
    if let [only] = parties.as_slice()
        && !only.except.is_empty()
        && (Party { except: Vec::new(), ..only.clone() }).is_whole_class()
    {
        return only.except.clone();
    }
    if parties.iter().any(|party| !party.except.is_empty()) {
        out.push(
            Diagnostic::new(&NESTED_NEGATION, here, "`not` stands over something that is negated already")
                .help("say it without the double negation"),
        );
        return Vec::new();
    }
    if parties.iter().all(|party| party.class == Class::Outside) {
        return vec![Party { except: parties, ..Party::of(Class::Outside) }];
    }
    Class::ALL
        .into_iter()
        .filter(|&class| !parties.iter().any(|party| party.class == class && party.is_whole_class()))
        .map(|class| {
            let except = parties.iter().filter(|party| party.class == class).cloned().collect();
            Party { except, ..Party::of(class) }
        })
        .collect()
}

/// Whether nothing narrows it but addresses.
fn differs_in_addresses_alone(party: &Party) -> bool {
    Party { addresses: None, ..party.clone() }.is_whole_class()
}

/// Parties that differ in their addresses alone, or in their cards alone, become one.
fn merge(parties: Vec<Party>) -> Vec<Party> {
    if parties.len() < 2 {
        return parties;
    }
    // Plain addresses are the long lists: they are united at once.
    let plain =
        |party: &Party| party.class == Class::Outside && party.addresses.is_some() && differs_in_addresses_alone(party);
    let (listed, others): (Vec<Party>, Vec<Party>) = parties.into_iter().partition(plain);
    let mut merged: Vec<Party> = Vec::with_capacity(others.len() + 1);
    if !listed.is_empty() {
        let ranges =
            listed.iter().filter_map(|party| party.addresses.as_ref()).flat_map(|set| set.ranges().iter().copied());
        merged.push(Party { addresses: Some(AddressSet::new(ranges)), ..Party::of(Class::Outside) });
    }
    for party in others {
        let mut taken = false;
        for known in &mut merged {
            if let (Some(a), Some(b)) = (&known.addresses, &party.addresses)
                && (Party { addresses: None, ..known.clone() }) == (Party { addresses: None, ..party.clone() })
                && party.published.is_none()
            {
                known.addresses = Some(a.union(b));
                taken = true;
                break;
            }
            if let (Some(a), Some(b)) = (&known.cards, &party.cards)
                && (Party { cards: None, ..known.clone() }) == (Party { cards: None, ..party.clone() })
                && party.member.is_none()
            {
                known.cards = Some(Arc::new(unite(CardSet::clone(a), CardSet::clone(b))));
                taken = true;
                break;
            }
        }
        if !taken && !merged.contains(&party) {
            merged.push(party);
        }
    }
    merged
}

/// Cards in either.
#[must_use]
pub fn unite(a: CardSet, b: CardSet) -> CardSet {
    match (a.complement, b.complement) {
        (false, false) => CardSet::only(a.cards.into_iter().chain(b.cards).collect()),
        (true, true) => {
            CardSet { cards: a.cards.into_iter().filter(|card| b.cards.contains(card)).collect(), complement: true }
        }
        (true, false) => {
            let cards = a.cards.into_iter().filter(|card| !b.cards.iter().any(|other| other.covers(card))).collect();
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
            let mut both = CardSet::only(a.cards.iter().chain(&b.cards).cloned().collect());
            both.complement = true;
            both
        }
        (false, true) => CardSet::only(
            a.cards.iter().filter(|card| !b.cards.iter().any(|other| other.covers(card))).cloned().collect(),
        ),
        (true, false) => intersect(b, a),
    }
}
