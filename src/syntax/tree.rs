//! The syntax tree: what the author wrote, nothing resolved. Names are as written; every value that a diagnostic may
//! point at carries its span. Owns its data: no parser pair leaves this module's parent. A long policy is a tree of as many rules: what
//! a rule seldom has stands in boxes and in thin vectors, which take the room of one pointer while they are empty.

use std::ops::Deref;

use smallvec::SmallVec;
use thin_vec::ThinVec;

use crate::list::OneOrMany;
use crate::net::{AddressRange, Card, Family, Mac, PackedRange, PortRange};
use crate::span::{Span, Spanned};

/// A name as written (quotes taken off).
pub type Name = Spanned<Box<str>>;

/// A list that mostly has one member, which then stands in place.
pub type Few<T> = SmallVec<[T; 1]>;

/// Ports as written.
pub type Ports = OneOrMany<PortRange>;

/// One file: its statements, in source order. A line that could not be read is absent here and present in the diagnostics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// The statements.
    pub statements: Vec<Statement>,
}

/// A statement, from its first word to its last, without the comment behind it.
pub type Statement = Spanned<StatementKind>;

/// The kinds of statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatementKind {
    /// `use docker`, `use prelude except dhcp-client`.
    Use(Box<Use>),
    /// `target nft`, also `use target nft`.
    Target(Spanned<Target>),
    /// `include "base.fw"`; may hold globs.
    Include(Box<Name>),
    /// `compose "docker-compose.yml"`.
    Compose(Box<Name>),
    /// `fact docker.version = "28.5"`: one value of the facts file, said in source.
    Fact(Box<Fact>),
    /// `interface wan = default-route`.
    Interface(Box<Interface>),
    /// `set office = { 198.51.100.0/24 }`.
    Set(Box<Set>),
    /// `service app = tcp 8000-8010`.
    Service(Box<Service>),
    /// `group web { … }`.
    Group(Box<Group>),
    /// `guest vm110 on tap110i0 mac … { in … }`.
    Guest(Box<Guest>),
    /// `network dmz on br-dmz address 10.5.0.0/24`.
    Network(Box<Network>),
    /// `container db on br-app address 172.18.0.2 publish tcp 5432`.
    Container(Box<Container>),
    /// `allow`, `deny`, `reject`, `log`.
    Rule(Box<Rule>),
    /// `default deny to host`.
    Default(Box<Rule>),
    /// `assert deny ssh from not office to host`.
    Assert(Box<Rule>),
    /// `mark`, `dscp`, `clamp mss`, `notrack`, `helper`.
    Change(Box<Change>),
    /// `masquerade`, `forward`, `redirect`.
    Nat(Box<Nat>),
    /// `apply web`.
    Apply(Box<Name>),
    /// Clauses said once for a block.
    Scope(Box<Scope>),
    /// `chain filter INPUT { netfilter's own words }`.
    Chain(Box<RawChain>),
}

pub use crate::netfilter::Target;

/// `use NAME [except NAME…]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// A file of the standard library: a platform or the prelude.
    pub name: Name,
    /// Its parts that are not wanted.
    pub except: ThinVec<Name>,
}

/// `fact PATH = VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Dotted path in the facts schema.
    pub path: Name,
    /// The value.
    pub value: Spanned<FactValue>,
}

/// A value in a `fact` statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FactValue {
    /// `true`, `on`, `yes`; `false`, `off`, `no`.
    Bool(bool),
    /// A number.
    Number(u64),
    /// A word or a quoted text.
    Text(Box<str>),
}

/// `interface NAME [= VALUE]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name in the policy.
    pub name: Name,
    /// `None`: a parameter that the including file gives.
    pub value: Option<Spanned<InterfaceValue>>,
}

/// What an interface name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InterfaceValue {
    /// The card that the default route leaves by.
    DefaultRoute,
    /// These cards.
    Cards(Vec<Spanned<Card>>),
}

/// `set NAME …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// Its name.
    pub name: Name,
    /// What it holds.
    pub value: SetValue,
}

/// What a set holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetValue {
    /// `= who`.
    Who(Who),
    /// `from file "…"`: addresses, one a line, `#` and `;` comments.
    File(Name),
    /// `live`: filled by others at run time.
    Live,
    /// No value: a parameter that the including file gives.
    Parameter,
}

/// `service NAME = what`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: Name,
    /// Its protocols and ports.
    pub what: Few<Spanned<Item>>,
}

/// `group NAME { … }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: Name,
    /// Its rules.
    pub body: Vec<Statement>,
}

/// Which kind of machine on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GuestKind {
    /// A virtual machine behind a tap.
    Guest,
    /// An LXD or Incus instance.
    Instance,
}

/// `guest NAME on CARDS …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guest {
    /// Guest or instance.
    pub kind: GuestKind,
    /// Its name.
    pub name: Name,
    /// Its taps, or the bridge it is on.
    pub cards: Vec<Spanned<Card>>,
    /// Its Ethernet address.
    pub mac: Option<Spanned<Mac>>,
    /// Its addresses.
    pub address: Option<Box<Who>>,
    /// Its judges, in source order. `None`: no block, no gate.
    pub gates: Option<Vec<Gate>>,
}

/// One line of a guest's block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    /// `in` (towards the guest) or `out` (from it).
    pub direction: Spanned<Direction>,
    /// A rule, `apply` or change.
    pub statement: Statement,
}

/// Which way, seen from a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Towards it.
    In,
    /// From it.
    Out,
}

/// `network NAME on CARDS [address who]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its name.
    pub name: Name,
    /// Its bridge.
    pub cards: Vec<Spanned<Card>>,
    /// Its subnets.
    pub address: Option<Box<Who>>,
}

/// `container NAME on NETWORK …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Its name.
    pub name: Name,
    /// The network it is on.
    pub network: Name,
    /// Its fixed addresses.
    pub address: Option<Box<Who>>,
    /// What it publishes.
    pub publish: Vec<Publish>,
}

/// `publish ITEM [at ADDR] [to NUM]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// Protocol and published ports.
    pub item: Spanned<Item>,
    /// The host address it is bound to, if one.
    pub at: Option<Spanned<AddressRange>>,
    /// The container's own port, if another.
    pub to: Option<Spanned<u16>>,
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Does not object.
    Allow,
    /// Silently not.
    Deny,
    /// Not, with an answer; `with NAME` picks it.
    Reject(Option<Box<Name>>),
    /// Writes to the kernel log and goes on.
    Log,
}

/// `ACTION sentence options`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What it does.
    pub action: Spanned<Action>,
    /// To whom.
    pub sentence: Sentence,
    /// How.
    pub options: ThinVec<Spanned<RuleOption>>,
}

/// `[family] [what] clauses`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sentence {
    /// `ipv4` or `ipv6`.
    pub family: Option<Spanned<Family>>,
    /// Services; empty: all.
    pub what: Few<Spanned<Item>>,
    /// From, to, via.
    pub clauses: Clauses,
}

/// `[from who] [to who] [via cards]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clauses {
    /// Who opens the connection.
    pub from: Option<Box<Who>>,
    /// Whom it is meant for.
    pub to: Option<Box<Who>>,
    /// The card where it crosses between outside and this machine: names of interfaces or cards.
    pub via: ThinVec<Name>,
}

/// One service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// `tcp 80, 443`; no ports: all of the protocol.
    Ports {
        /// TCP, UDP or SCTP.
        protocol: crate::net::Protocol,
        /// The ports; empty: all.
        ports: Ports,
    },
    /// `icmp [NAME]`: both families where the name exists in both.
    Icmp(Option<Box<str>>),
    /// `protocol gre`, `protocol 47`.
    Protocol(crate::net::Protocol),
    /// A service by name.
    Name(Box<str>),
}

/// `[not] { one, … }` or one alone. Equality looks at what is said, not at where.
#[derive(Clone, Debug)]
pub struct Who {
    /// The whole, for diagnostics.
    pub span: Span,
    /// `not` in front of the braces.
    pub negated: bool,
    /// The members; at least one.
    pub members: Few<One>,
}

impl PartialEq for Who {
    fn eq(&self, other: &Self) -> bool {
        (self.negated, &self.members) == (other.negated, &other.members)
    }
}
impl Eq for Who {}

/// `[not] place [on cards] [at ADDR] [inside|direct]`. What is said beside the place reads as fields of its own (`one.on`); it stands apart,
/// for a long policy has as many places as rules, and most are said bare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct One {
    /// The place.
    pub place: Spanned<Place>,
    beside: Option<Box<Beside>>,
}

/// What is said beside a place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beside {
    /// `not` in front.
    pub negated: bool,
    /// The cards it is on: names of interfaces or cards.
    pub on: ThinVec<Name>,
    /// The host address that was dialled.
    pub at: Option<Spanned<AddressRange>>,
    /// Which of a container's ports are meant.
    pub view: Option<Spanned<View>>,
}

static BARE: Beside = Beside { negated: false, on: ThinVec::new(), at: None, view: None };

impl One {
    /// A place, and what is said beside it.
    #[must_use]
    pub fn new(place: Spanned<Place>, beside: Beside) -> Self {
        Self { place, beside: (beside != BARE).then(|| Box::new(beside)) }
    }
}

impl Deref for One {
    type Target = Beside;

    fn deref(&self) -> &Beside {
        self.beside.as_deref().unwrap_or(&BARE)
    }
}

/// How a container is addressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum View {
    /// Through a host address, by the container's own port.
    Inside,
    /// At the container's own address.
    Direct,
}

/// A place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Everyone.
    Any,
    /// Everything that is not on this machine.
    World,
    /// This machine; `user NAME`: one of its users, as an origin.
    Host(Option<Box<Name>>),
    /// An address, prefix or range.
    Address(PackedRange),
    /// An Ethernet address.
    Mac(Mac),
    /// Containers, or one.
    Container(Option<Box<Name>>),
    /// Virtual machines, or one.
    Guest(Option<Box<Name>>),
    /// LXD or Incus instances, or one.
    Instance(Option<Box<Name>>),
    /// A network by name.
    Network(Box<Name>),
    /// A set or an interface by name.
    Name(Box<str>),
}

/// What follows a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleOption {
    /// `limit 10/minute per source burst 5`.
    Limit(Limit),
    /// `log "prefix" level debug rate 5/minute`.
    Log(LogOption),
    /// `during mon-fri 08:00-18:00`.
    During(During),
    /// `source port 1024-65535`.
    SourcePort(Ports),
    /// `comment "…"`.
    Comment(Name),
    /// Judges every packet, before tracking.
    Early,
}

/// A rate: so many in a unit of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    /// How many; at least one.
    pub count: u32,
    /// In what time.
    pub unit: RateUnit,
}

/// A unit of time in a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RateUnit {
    /// Second.
    Second,
    /// Minute.
    Minute,
    /// Hour.
    Hour,
    /// Day.
    Day,
}

/// `limit …`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// A rate of new connections, or a number of open ones.
    pub amount: LimitAmount,
    /// For each source (an IPv4 address, an IPv6 /64) rather than for all together.
    pub per_source: bool,
    /// How many may come at once.
    pub burst: Option<u32>,
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitAmount {
    /// New connections in a time.
    Rate(Rate),
    /// Connections open at once.
    Connections(u32),
}

/// `log …` as an option.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogOption {
    /// What the line in the log begins with.
    pub prefix: Option<Name>,
    /// A syslog level's name.
    pub level: Option<Name>,
    /// At most so many lines.
    pub rate: Option<Spanned<Rate>>,
}

/// `during [days] times`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct During {
    /// Monday is bit 0; 0x7f: every day.
    pub days: u8,
    /// Minutes of the day from and to, local time of the kernel; `None`: all day.
    pub times: Option<(u16, u16)>,
}

/// `mark 0x1 sentence` and its like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What is changed.
    pub kind: Spanned<ChangeKind>,
    /// For which traffic.
    pub sentence: Sentence,
}

/// The kinds of change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// Sets the packet's mark.
    Mark(u32),
    /// Sets the DSCP class, by name (`ef`, `cs1`, `af11`).
    Dscp(Box<str>),
    /// Lowers the TCP maximum segment size to what the path carries.
    ClampMss,
    /// Leaves it out of connection tracking.
    Notrack,
    /// Gives a conntrack helper to the connection.
    Helper(Box<str>),
}

/// A NAT statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Nat {
    /// `masquerade sentence [as ADDR]`.
    Masquerade {
        /// For which traffic.
        sentence: Sentence,
        /// A fixed source address instead of the card's own.
        address: Option<Spanned<AddressRange>>,
    },
    /// `forward [family] what [at ADDR] clauses [port NUM] options`.
    Forward {
        /// Family, what, from, to, via.
        sentence: Sentence,
        /// The host address that is dialled.
        at: Option<Spanned<AddressRange>>,
        /// The port at the target, if another.
        port: Option<Spanned<u16>>,
        /// Options of the allow that it implies.
        options: ThinVec<Spanned<RuleOption>>,
    },
    /// `redirect [family] what [from who] to port NUM`.
    Redirect {
        /// Family, what, from.
        sentence: Sentence,
        /// The host's port.
        port: Spanned<u16>,
    },
}

/// Clauses and a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Said once for all lines inside.
    pub clauses: Clauses,
    /// The lines.
    pub body: Vec<Statement>,
}

/// `chain TABLE HOOK { … }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawChain {
    /// `filter`, `nat`, `mangle`, `raw`, `security`.
    pub table: Name,
    /// A built-in chain's name: `INPUT`, `PREROUTING`, or `DOCKER-USER`.
    pub hook: Name,
    /// Each line of the block as written.
    pub lines: Vec<Name>,
}
