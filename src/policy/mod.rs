//! The policy: what the source means, every name resolved. For each flow (the class where a connection comes from and the
//! class where it goes) the list of judgements in the order in which they decide. Knows nothing of hooks, chains or back ends.

mod host;
pub mod closed;
pub mod cover;
pub mod meaning;
pub mod names;
mod order;
pub mod resolve;
pub mod service;
pub mod who;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use thin_vec::ThinVec;

use crate::facts::Facts;
use crate::list::OneOrMany;
use crate::net::{AddressSet, Card, Family, Mac, PortRange, PortSet, Protocol};
use crate::netfilter::{IcmpType, MASQUERADE_NUMBERS, Reject};
use crate::span::Location;
use crate::syntax::tree::{Direction, GuestKind, Target, View};

/// Every code that this stage gives.
pub static CODES: &[&crate::diagnostic::Code] = &[
    &names::DUPLICATE_NAME,
    &names::MISSING_PARAMETER,
    &names::UNUSED_NAME,
    &names::NAMES_TOO_DEEP,
    &names::TOO_MANY_RULES,
    &resolve::faults::ALLOW_TO_WHOM,
    &resolve::faults::ALLOW_EVERYTHING,
    &resolve::faults::CLAUSE_SAID_TWICE,
    &resolve::faults::VIA_CROSSES_NOTHING,
    &resolve::faults::MISPLACED_STATEMENT,
    &resolve::faults::UNKNOWN_GROUP,
    &resolve::faults::GROUP_CYCLE,
    &resolve::faults::UNKNOWN_PLATFORM,
    &resolve::faults::UNKNOWN_WORD,
    &resolve::faults::EARLY_TOO_RICH,
    &resolve::faults::FORWARD_WHERE,
    &resolve::faults::CHANGE_NOT_POSSIBLE,
    &resolve::faults::FAMILIES_NEVER_MEET,
    &resolve::faults::HOST_TO_ITSELF,
    &resolve::faults::MASQUERADE_LEAVES_IPV6,
    &service::UNKNOWN_SERVICE,
    &service::SERVICE_CYCLE,
    &service::UNKNOWN_ICMP_TYPE,
    &who::codes::UNKNOWN_PLACE,
    &who::codes::SET_CYCLE,
    &who::codes::EMPTY_SET,
    &who::codes::SET_FILE_LINE,
    &who::codes::UNKNOWN_CONTAINER,
    &who::codes::CONTAINER_ORIGIN,
    &who::codes::UNPUBLISHED_CONTAINER,
    &who::codes::HOST_NETWORK,
    &who::codes::OFF_BRIDGE,
    &who::codes::HOST_ADDRESS,
    &who::codes::CONTAINER_ADDRESS,
    &who::codes::MISPLACED_WORD,
    &who::codes::NESTED_NEGATION,
    &who::codes::DEFAULT_ROUTE_UNKNOWN,
    &who::codes::UNDECLARED_CARD,
    &who::codes::CARD_NAME_TOO_LONG,
    &who::codes::CARD_NAME_IMPOSSIBLE,
    &who::codes::IMPOSSIBLE_USER,
    &who::codes::USER_LOOKED_UP,
];

/// Where a connection's end lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Not on this machine.
    Outside,
    /// This machine itself.
    Host,
    /// A container.
    Container,
    /// An LXD or Incus instance.
    Instance,
    /// A virtual machine.
    Guest,
}

impl Class {
    /// All, in the order in which output is written.
    pub const ALL: [Self; 5] = [Self::Outside, Self::Host, Self::Container, Self::Instance, Self::Guest];

    /// As in chain names and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Outside => "outside",
            Self::Host => "host",
            Self::Container => "container",
            Self::Instance => "instance",
            Self::Guest => "guest",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where connections come from and where they go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Flow {
    /// Who opens them.
    pub from: Class,
    /// Whom they are meant for.
    pub to: Class,
}

impl Flow {
    /// Every flow that a rule can judge: all but the host with itself, which is the loopback's.
    pub fn all() -> impl Iterator<Item = Self> {
        Class::ALL
            .into_iter()
            .flat_map(|from| Class::ALL.into_iter().map(move |to| Self { from, to }))
            .filter(|flow| !(flow.from == Class::Host && flow.to == Class::Host))
    }
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.from, self.to)
    }
}

/// Some interfaces.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CardSet {
    /// The cards; shared by all rules that are made of it.
    pub cards: Arc<[Card]>,
    /// Every card *but* these is meant: what `default-route` comes to while no fact says which card it is.
    pub complement: bool,
}

impl CardSet {
    /// One of these.
    #[must_use]
    pub fn only(mut cards: Vec<Card>) -> Self {
        cards.sort();
        cards.dedup();
        Self { cards: cards.into(), complement: false }
    }
}

/// One end of a connection, as a rule describes it. Everything said must hold, here and in [`Special`], whose fields are a party's own
/// (`party.macs`): nearly no party has any of them, and a policy has as many parties as rules.
#[derive(Clone, Debug)]
pub struct Party {
    /// The class.
    pub class: Class,
    /// The card it is behind (outside), or the bridge or tap it is on.
    pub cards: Option<Arc<CardSet>>,
    /// Its address. For a container, instance or guest: its own.
    pub addresses: Option<AddressSet>,
    special: Option<Arc<Special>>,
}

/// What is seldom said of a party.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Special {
    /// A set that others fill at run time: its name.
    pub live: Option<Arc<str>>,
    /// Its Ethernet address: one of.
    pub macs: Vec<Mac>,
    /// As an origin on the host: the local user.
    pub user: Option<Arc<str>>,
    /// As a target: the host address that was dialled.
    pub at: Option<AddressSet>,
    /// Which of a container's ports are meant.
    pub view: Option<View>,
    /// The one container, instance or guest that is meant.
    pub member: Option<Arc<str>>,
    /// As a named container reached through a host address: what it publishes. `None`: not a named container.
    pub published: Option<Arc<[Published]>>,
    /// Taken out again.
    pub except: Vec<Party>,
}

static NOTHING_SPECIAL: Special = Special {
    live: None,
    macs: Vec::new(),
    user: None,
    at: None,
    view: None,
    member: None,
    published: None,
    except: Vec::new(),
};

impl std::ops::Deref for Party {
    type Target = Special;

    fn deref(&self) -> &Special {
        self.special.as_deref().unwrap_or(&NOTHING_SPECIAL)
    }
}

impl std::ops::DerefMut for Party {
    fn deref_mut(&mut self) -> &mut Special {
        Arc::make_mut(self.special.get_or_insert_default())
    }
}

impl PartialEq for Party {
    fn eq(&self, other: &Self) -> bool {
        (self.class, &self.cards, &self.addresses) == (other.class, &other.cards, &other.addresses)
            && (self.special.is_none() && other.special.is_none() || **self == **other)
    }
}
impl Eq for Party {}

impl Published {
    /// The only family in which it is reached; `None`: both.
    #[must_use]
    pub fn only_family(&self) -> Option<Family> {
        self.address.map(Family::of).or(self.family)
    }
}

impl Party {
    /// Everyone of a class.
    #[must_use]
    pub fn of(class: Class) -> Self {
        Self { class, cards: None, addresses: None, special: None }
    }

    /// Of a class, those of whom this is said.
    #[must_use]
    pub fn special(class: Class, special: Special) -> Self {
        Self { special: Some(Arc::new(special)), ..Self::of(class) }
    }

    /// The same, whatever their addresses.
    #[must_use]
    pub fn at_any_address(&self) -> Self {
        Self { addresses: None, ..self.clone() }
    }

    /// Whether nothing narrows it.
    #[must_use]
    pub fn is_whole_class(&self) -> bool {
        self.cards.is_none() && self.addresses.is_none() && **self == NOTHING_SPECIAL
    }
}

/// One published port or range of a container: what NAT and docker-proxy listen for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Published {
    /// Whose.
    pub container: Arc<str>,
    /// TCP, UDP or SCTP.
    pub protocol: Protocol,
    /// The host address that it is bound to; `None`: all.
    pub address: Option<std::net::IpAddr>,
    /// Bound to every address of this family alone (`0.0.0.0`, `::`).
    pub family: Option<Family>,
    /// The ports that the client dials.
    pub ports: PortRange,
    /// The container's own ports: as many, or one that all lead to.
    pub container_ports: PortRange,
    /// By Swarm's routing mesh, if there is a swarm: rules see the published port then, never the container's own.
    pub ingress: bool,
    /// Where it is said.
    pub location: Option<Location>,
}

/// One kind of traffic.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Traffic {
    /// Only this family (`icmp` names that exist in one alone).
    pub family: Option<Family>,
    /// `None`: every protocol.
    pub protocol: Option<Protocol>,
    /// Ports that the client dials; `None`: every port.
    pub ports: Option<PortSet>,
    /// ICMP types; `None`: every type.
    pub icmp: Option<ThinVec<IcmpType>>,
}

impl Traffic {
    /// All of it.
    pub const ALL: Self = Self { family: None, protocol: None, ports: None, icmp: None };
}

/// The kinds of traffic that a judgement speaks of: at least one, mostly one; a service's are shared by all that name it.
pub type TrafficList = OneOrMany<Traffic>;

impl From<Traffic> for TrafficList {
    fn from(one: Traffic) -> Self {
        Self::One([one])
    }
}

/// What a judgement does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Does not object.
    Allow,
    /// Silently not.
    Deny,
    /// Not, with an answer.
    Reject(Reject),
    /// Writes to the kernel log; decides nothing.
    Log,
}

impl Action {
    /// Whether it keeps traffic out.
    #[must_use]
    pub fn stops(self) -> bool {
        matches!(self, Self::Deny | Self::Reject(_))
    }
}

/// A rate or a number of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// So many new connections in so many seconds; `None` seconds: so many open at once.
    pub count: u32,
    /// 1, 60, 3600 or 86400.
    pub seconds: Option<u32>,
    /// For each source rather than together.
    pub per_source: bool,
    /// How many may come at once.
    pub burst: u32,
}

/// A line in the kernel log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// What it begins with.
    pub prefix: Arc<str>,
    /// Syslog severity, 0 to 7.
    pub level: u8,
    /// At most so many lines, in so many seconds.
    pub rate: (u32, u32),
}

/// Everything behind a sentence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Within it allow, beyond it deny.
    pub limit: Option<Limit>,
    /// Written to the kernel log.
    pub log: Option<Log>,
    /// Days (Monday is bit 0) and minutes of the day.
    pub during: Option<(u8, Option<(u16, u16)>)>,
    /// The client's own ports.
    pub source_ports: Option<PortSet>,
    /// A remark for the listing.
    pub comment: Option<Arc<str>>,
}

/// Where a judgement comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rank {
    /// What the prelude lets live.
    Prelude,
    /// A rule, or the allow that a `forward` implies.
    Rule,
    /// A default.
    Default,
    /// The deny that ends a flow with an allow.
    End,
}

/// One judgement in one flow: this traffic, from this party to that, is let through or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Statements that were split over several judgements share their number; it also names their limits' state.
    pub statement: u32,
    /// Where it comes from.
    pub rank: Rank,
    /// What it does.
    pub action: Action,
    /// Only this family.
    pub family: Option<Family>,
    /// The services; at least one.
    pub traffic: TrafficList,
    /// Who opens.
    pub from: Party,
    /// Whom it is meant for.
    pub to: Party,
    /// The card where it crosses between outside and this machine.
    pub via: Option<Arc<CardSet>>,
    /// The rest.
    pub options: Arc<Options>,
    /// Set if it stands for a `forward`: only what that translated.
    pub forwarded: bool,
    /// At a flow's end: containers' own addresses are a flow of their own, and nothing closes that.
    pub leaves_own_addresses: bool,
    /// The statement.
    pub location: Location,
    /// What stands behind its `to`, in the statement itself or in a block around it.
    pub target: Option<Location>,
}

/// A guest's or instance's judges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    /// The guest.
    pub name: Arc<str>,
    /// Guest or instance.
    pub kind: GuestKind,
    /// Its taps, or its bridge.
    pub cards: Arc<[Card]>,
    /// Its Ethernet address.
    pub mac: Option<Mac>,
    /// Its addresses; empty: unknown.
    pub addresses: AddressSet,
    /// What its lines say, in order.
    pub lines: Vec<(Direction, GateLine)>,
    /// Where it is declared.
    pub location: Location,
}

/// A line of a gate or group: a judgement between the guest and others, or a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GateLine {
    /// A judgement; for `in` its `from` is the other side, for `out` its `to`.
    Rule(Box<Judgement>),
    /// `apply NAME`.
    Apply(Arc<str>, Location),
}

/// A named list of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: Arc<str>,
    /// Its lines.
    pub lines: Vec<GateLine>,
    /// Where it is declared.
    pub location: Location,
}

/// What a change does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// Sets the packet's mark.
    Mark(u32),
    /// Sets the DSCP field.
    Dscp(u8),
    /// Clamps the TCP maximum segment size.
    ClampMss,
    /// Leaves it out of tracking.
    Notrack,
    /// Gives a helper.
    Helper(Arc<str>),
}

/// A change of packets in a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What.
    pub kind: ChangeKind,
    /// The flow.
    pub flow: Flow,
    /// For which traffic; its action is not used.
    pub judgement: Judgement,
}

/// A translation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Nat {
    /// Source NAT on departure.
    Masquerade {
        /// For which traffic, outside or local to outside.
        judgement: Judgement,
        /// A fixed address instead of the card's.
        address: Option<std::net::IpAddr>,
    },
    /// Destination NAT on arrival.
    Forward {
        /// For which traffic; its `to` is the class that it goes to.
        judgement: Judgement,
        /// Where it goes.
        address: std::net::IpAddr,
        /// The port there, if another.
        port: Option<u16>,
        /// The host address that is dialled; `None`: any of the host's.
        at: Option<AddressSet>,
    },
    /// Destination NAT to this machine.
    Redirect {
        /// For which traffic.
        judgement: Judgement,
        /// The host's port.
        port: u16,
    },
}

/// A deny that judges every packet, before tracking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Early {
    /// What it drops; addresses and cards only.
    pub judgement: Judgement,
}

/// A `chain` block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawChain {
    /// `filter`, `nat`, …
    pub table: Arc<str>,
    /// `INPUT`, …
    pub hook: Arc<str>,
    /// Lines and where they are.
    pub lines: Vec<(Arc<str>, Location)>,
    /// The block.
    pub location: Location,
}

/// An assertion, kept for the proof engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assertion {
    /// What is claimed, for every one of these judgements' packets.
    pub judgements: Vec<(Flow, Judgement)>,
    /// The statement.
    pub location: Location,
}

/// A set whose elements others add at run time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveSet {
    /// Its name in the policy.
    pub name: Arc<str>,
    /// Where it is declared.
    pub location: Location,
}

/// Which cards belong to which class on this machine. Outside is the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalCards {
    /// Docker's and Podman's bridges.
    pub container: Vec<Card>,
    /// LXD's and Incus's bridges.
    pub instance: Vec<Card>,
    /// libvirt's bridges, and taps.
    pub guest: Vec<Card>,
    /// Bridge ports that lead to a guest each. Bridged frames show the bridge as their interface.
    pub guest_ports: Vec<Card>,
    /// Addresses of guests behind such ports: what the host or a router on it sends to them shows no port yet.
    pub guest_addresses: AddressSet,
    /// Cards that the policy calls outside although a pattern above covers them (`br-lan` beside `br-+`).
    pub outside: Vec<Card>,
}

/// How Docker is on the host, as far as is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Containers {
    /// A platform that runs containers is used or implied.
    pub used: bool,
    /// Everything that is known to be published through a host address.
    pub published: Vec<Published>,
    /// What is published at a loopback address: for the host alone.
    pub on_loopback: Vec<Published>,
    /// Bridges of networks whose gateway mode is `routed`: no NAT stands before their containers.
    pub routed_bridges: Vec<Card>,
}

/// A whole policy.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// What the source asks to be emitted.
    pub target: Option<Target>,
    /// Names of the platforms in use, sorted.
    pub platforms: Vec<String>,
    /// Parts of the prelude that built-in conntrack rules stand for and that are wanted: `loopback`, `established`, `invalid`.
    pub prelude: Vec<String>,
    /// Number of the prelude's last statement that stands before its part `invalid`.
    pub invalid_after: u32,
    /// The flows that are governed, with their judgements in deciding order.
    pub flows: BTreeMap<Flow, Vec<Judgement>>,
    /// The prelude's judgements between guests or instances and others, for their own judges.
    pub gate_prelude: Vec<Judgement>,
    /// Denies before tracking.
    pub early: Vec<Early>,
    /// Changes.
    pub changes: Vec<Change>,
    /// Translations.
    pub nat: Vec<Nat>,
    /// Guests and instances with a block.
    pub gates: Vec<Gate>,
    /// Groups that gates apply.
    pub groups: Vec<Group>,
    /// `chain` blocks.
    pub raw: Vec<RawChain>,
    /// Assertions.
    pub assertions: Vec<Assertion>,
    /// Sets that others fill.
    pub live_sets: Vec<LiveSet>,
    /// Cards by class.
    pub cards: LocalCards,
    /// Addresses of the networks on this machine that the policy declares.
    pub declared_networks: AddressSet,
    /// Containers.
    pub containers: Containers,
    /// Every fact that is known, from file, source and compose files.
    pub facts: Facts,
    /// Facts that this policy rests on, as the output names them.
    pub facts_used: Vec<String>,
}

impl Policy {
    /// The addresses that masquerades give, each once; `None`: the interface's own.
    #[must_use]
    pub fn masquerade_addresses(&self) -> Vec<Option<std::net::IpAddr>> {
        let mut list = Vec::new();
        for nat in &self.nat {
            if let Nat::Masquerade { address, .. } = nat
                && !list.contains(address)
            {
                list.push(*address);
            }
        }
        list
    }

    /// The bits of the packet mark by which iptables tells several of them apart.
    #[must_use]
    pub fn masquerade_numbers(&self) -> u32 {
        if self.masquerade_addresses().len() > 1 { MASQUERADE_NUMBERS } else { 0 }
    }
}

impl Default for Flow {
    fn default() -> Self {
        Self { from: Class::Outside, to: Class::Host }
    }
}
