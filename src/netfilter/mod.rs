//! The netfilter intermediate form: what every source becomes and every emitter reads. Tables, chains, rules, sets, in the
//! field's own words (`iptables-save`, `nft list ruleset`). Knows nothing of policies, platforms or output syntax.

pub mod entry;
pub mod extension;
pub mod restrictions;
pub mod words;

use std::fmt;
use std::sync::Arc;

use thin_vec::ThinVec;

use crate::list::OneOrMany;
use crate::net::{AddressSet, Card, Family, Mac, PackedRange, PortRange, PortSet, Protocol};
use crate::span::Location;

/// Marks a packet that a group allowed, between the group's chain and the guest's.
pub const CONSENT_MARK: u32 = 0x2000_0000;
/// Marks a packet for masquerading, between FORWARD and POSTROUTING (iptables sees no arrival card there).
pub const MASQUERADE_MARK: u32 = 0x1000_0000;
/// The bits beside it that tell several addresses apart, where a policy masquerades to more than one.
pub const MASQUERADE_NUMBERS: u32 = 0x0f00_0000;
/// Marks a packet that our nft table accepted on its way through, for a rule in front of other owners' drops.
pub const ACCEPTED_MARK: u32 = 0x4000_0000;

/// Bits of the packet mark that fwc uses itself: a policy's own marks leave them alone.
pub const RESERVED_MARKS: u32 = CONSENT_MARK | MASQUERADE_MARK | ACCEPTED_MARK;

/// So many addresses can be told apart ([`MASQUERADE_NUMBERS`]).
pub const MASQUERADE_ADDRESSES: usize = 16;

/// The mark, in [`MASQUERADE_MARK`] and [`MASQUERADE_NUMBERS`], for one of several addresses.
#[must_use]
pub fn masquerade_mark(number: usize) -> u32 {
    let step = MASQUERADE_NUMBERS & MASQUERADE_NUMBERS.wrapping_neg();
    (0..number.min(MASQUERADE_ADDRESSES - 1)).fold(MASQUERADE_MARK, |mark, _| mark + step)
}

/// A back end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Target {
    /// `iptables-restore`, `ip6tables-restore` and `ipset restore`.
    #[default]
    Iptables,
    /// `nft -f`.
    Nft,
}

/// A whole program: what one `nft list ruleset`, or the four files of an iptables build, hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ruleset {
    /// The tables. Lowering makes at most one of each [`TableKind`] in family [`TableFamily::Inet`], and one bridge table.
    pub tables: Vec<Table>,
    /// Rules in chains that are not ours.
    pub attachments: Vec<Attachment>,
}

/// A table's family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TableFamily {
    /// IPv4 alone (`iptables`, `nft ip`).
    Ipv4,
    /// IPv6 alone (`ip6tables`, `nft ip6`).
    Ipv6,
    /// Both: `nft inet`; the iptables emitter writes it once for each family, leaving out rules of the other.
    Inet,
    /// Bridged frames.
    Bridge,
    /// Frames at one device, before or after everything else (`nft netdev`). Read, never written.
    Netdev,
}

/// What a table is for: iptables' five tables. In nft, the chain type and priority of its base chains follow from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TableKind {
    /// Before connection tracking.
    Raw,
    /// Packet alteration.
    Mangle,
    /// Address translation, for the first packet of a connection.
    Nat,
    /// Verdicts.
    Filter,
    /// Mandatory access control marks.
    Security,
}

impl TableKind {
    /// All five.
    pub const ALL: [Self; 5] = [Self::Raw, Self::Mangle, Self::Nat, Self::Filter, Self::Security];

    /// iptables' name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Mangle => "mangle",
            Self::Nat => "nat",
            Self::Filter => "filter",
            Self::Security => "security",
        }
    }
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Family.
    pub family: TableFamily,
    /// Kind. A table read from nft whose chains are of several kinds is of the kind [`TableKind::Filter`]; see [`Base::kind`].
    pub kind: TableKind,
    /// Its name: for our own tables the kind's name; for tables read from nft, theirs.
    pub name: String,
    /// Sets and maps, before the chains that use them.
    pub sets: Vec<Set>,
    /// Chains.
    pub chains: Vec<Chain>,
}

/// A netfilter hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hook {
    /// On arrival, before routing.
    Prerouting,
    /// To this machine.
    Input,
    /// Through this machine.
    Forward,
    /// From this machine.
    Output,
    /// On departure.
    Postrouting,
    /// nft: on arrival at a device, before everything.
    Ingress,
    /// nft: on departure from a device, after everything.
    Egress,
}

impl Hook {
    /// iptables' built-in chain.
    #[must_use]
    pub fn chain(self) -> &'static str {
        match self {
            Self::Prerouting => "PREROUTING",
            Self::Input => "INPUT",
            Self::Forward => "FORWARD",
            Self::Output => "OUTPUT",
            Self::Postrouting => "POSTROUTING",
            Self::Ingress => "INGRESS",
            Self::Egress => "EGRESS",
        }
    }

    /// nft's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Prerouting => "prerouting",
            Self::Input => "input",
            Self::Forward => "forward",
            Self::Output => "output",
            Self::Postrouting => "postrouting",
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }
}

/// Who writes a chain.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// This policy.
    Fwc,
    /// A platform, by the name of its file in the standard library.
    Platform(String),
    /// Netfilter itself (a built-in chain).
    Kernel,
    /// Somebody else.
    Other,
}

/// A chain's place at a hook (nft's base chains; iptables' built-in chains).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Base {
    /// What is judged there. iptables: the table's kind. An nft table may hold chains of several kinds: `type nat` sees the first
    /// packet of a connection alone, and the priority tells whether tracking has happened ([`TableKind::Raw`]: before it).
    pub kind: TableKind,
    /// The hook.
    pub hook: Hook,
    /// nft's priority number.
    pub priority: i32,
    /// What becomes of a packet at its end; `true`: accept.
    pub accept: bool,
}

/// A chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Its name; ours begin with `fwc-` and have at most 28 bytes.
    pub name: Arc<str>,
    /// Who writes it.
    pub owner: Owner,
    /// For lowering's own chains: the hook whose packets enter here from outside. The nft emitter makes it a base chain at that
    /// hook; the iptables emitter writes a plain chain that an [`Attachment`] leads to.
    pub base: Option<Base>,
    /// Its rules.
    pub rules: Vec<Rule>,
}

/// A rule in a chain of others, in one of iptables' tables, made once by the attachment step.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Attachment {
    /// The family it is made in.
    pub family: Family,
    /// The table.
    pub table: TableKind,
    /// The chain that gets the rule: `INPUT`, `DOCKER-USER`.
    pub parent: String,
    /// The rule.
    pub rule: Attached,
    /// Whether `parent` is created first where it is missing (`DOCKER-USER`).
    pub create_parent: bool,
}

impl Attachment {
    /// Whether a build for this back end makes it: jumps lead to chains that nft does not have.
    #[must_use]
    pub fn is_for(&self, target: Target) -> bool {
        match self.rule {
            Attached::Jump(_) => target == Target::Iptables,
            Attached::Accept(_) => target == Target::Nft,
        }
    }
}

/// What the rule of an [`Attachment`] does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Attached {
    /// Leads into a chain of ours (iptables).
    Jump(Arc<str>),
    /// Accepts what has this bit in its mark: our table in nft accepted it, which is not final for other tables.
    Accept(u32),
}

/// A rule: all matches must hold; then the effects happen in order; then the verdict, if any, decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// Only packets of this family (in an inet table).
    pub family: Option<Family>,
    /// The matches, in the order in which they are written. Order matters only for stateful ones.
    pub matches: Vec<Match>,
    /// What happens on the way.
    pub effects: ThinVec<Effect>,
    /// What is decided; `None`: the next rule is considered.
    pub verdict: Option<Verdict>,
    /// A remark for the listing, at most 255 bytes.
    pub comment: Option<Arc<str>>,
    /// The source that it came from.
    pub origin: Option<Location>,
}

/// A match and whether it is negated as a whole (`!`, `!=`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Match {
    /// `true`: the packet must not match.
    pub negated: bool,
    /// What is compared.
    pub kind: MatchKind,
}

impl Match {
    /// Must match.
    #[must_use]
    pub fn is(kind: MatchKind) -> Self {
        Self { negated: false, kind }
    }

    /// Must not match.
    #[must_use]
    pub fn not(kind: MatchKind) -> Self {
        Self { negated: true, kind }
    }
}

/// What a match compares. Lists are alternatives. Every address in one match is of one family, the rule's. A long program has hundreds of
/// thousands of these: none takes more than the room of three pointers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MatchKind {
    /// Arrival interface: one of.
    InInterface(Arc<[Card]>),
    /// Departure interface: one of.
    OutInterface(Arc<[Card]>),
    /// Bridge port of arrival, of a frame that is bridged or that goes to the host (`physdev --physdev-in`; `iifname` in a bridge table).
    InPort(Arc<[Card]>),
    /// Bridge port of departure (`physdev --physdev-out`; `oifname` in a bridge table).
    OutPort(Arc<[Card]>),
    /// The frame is bridged, not routed (`physdev --physdev-is-bridged`; always so in a bridge forward chain).
    Bridged,
    /// Source address.
    Source(AddressSet),
    /// Destination address (after any destination NAT that the hook follows).
    Destination(AddressSet),
    /// Destination is an address of this machine (`addrtype --dst-type LOCAL`; `fib daddr type local`).
    DestinationLocal,
    /// Source is an address of this machine (`addrtype --src-type LOCAL`; `fib saddr type local`).
    SourceLocal,
    /// Destination is a broadcast address of this machine's networks (`addrtype --dst-type BROADCAST`; `fib daddr type broadcast`).
    DestinationBroadcast,
    /// Destination is multicast (`pkttype`/`addrtype MULTICAST`).
    DestinationMulticast,
    /// Protocol: one of.
    Protocol(OneOrMany<Protocol>),
    /// Source port; a [`MatchKind::Protocol`] with ports stands before it.
    SourcePort(PortSet),
    /// Destination port (after any destination NAT that the hook follows).
    DestinationPort(PortSet),
    /// ICMP or ICMPv6 type and code, one of; the rule's family says which protocol. A [`MatchKind::Protocol`] stands before it.
    IcmpType(ThinVec<IcmpType>),
    /// TCP flags: of `mask`, exactly `set` are set (`--tcp-flags SYN,RST SYN`).
    TcpFlags {
        /// Looked at.
        mask: u8,
        /// Set among them.
        set: u8,
    },
    /// Connection state: one of the [`State`] bits.
    State(u8),
    /// The packet goes the way that the connection was opened.
    DirectionOriginal,
    /// The connection's destination was translated (`ctstate DNAT`; `ct status dnat`). This and the next, negated, hold for packets
    /// without a connection, too; what else asks for something of the connection does not, negated or not.
    DestinationTranslated,
    /// The connection's source was translated (`ctstate SNAT`; `ct status snat`).
    SourceTranslated,
    /// Address of the client that opened the connection, before any translation (`--ctorigsrc`; `ct original ip saddr`).
    OriginalSource(AddressSet),
    /// Address that the client dialled.
    OriginalDestination(AddressSet),
    /// Port that the client dialled.
    OriginalDestinationPort(PortSet),
    /// Packet mark: `mark & mask == value`.
    Mark {
        /// Value.
        value: u32,
        /// Mask.
        mask: u32,
    },
    /// As `Mark`, of the connection's mark. It holds for packets of connections alone, negated or not.
    ConnectionMark {
        /// Value.
        value: u32,
        /// Bits that are compared.
        mask: u32,
    },
    /// Ethernet source: one of.
    SourceMac(ThinVec<Mac>),
    /// Owner of the local socket.
    User(Arc<str>),
    /// Membership in a named set of the table (ipset beside iptables): these fields of the packet, concatenated.
    InSet(Box<LookUp>),
    /// At most so many in a time; stateful.
    Limit(Box<Limit>),
    /// More than so many connections open (`connlimit --connlimit-above`, `ct count over`); stateful.
    ConnectionsAbove {
        /// How many.
        count: u32,
        /// Prefix length by which sources are told apart: 0 all together, 32, 64.
        source_prefix: u8,
        /// Name of the nft set that keeps the counts, where told apart.
        name: Arc<str>,
    },
    /// Time of day and week, kernel's local time.
    Time {
        /// Monday is bit 0.
        days: u8,
        /// Minutes of the day, from and to.
        times: Option<(u16, u16)>,
    },
    /// A match that is not modelled: its exact text. May match, may not; two of the same text are alike for the same packet. What
    /// is read from a text that hides its parameters (`xt match "recent"`) has its place added, and what looks into a set has the
    /// set's elements, so that unlike things never have the same text.
    Unknown(Arc<str>),
}

impl MatchKind {
    /// This protocol alone.
    #[must_use]
    pub fn protocol(protocol: Protocol) -> Self {
        Self::Protocol(OneOrMany::One([protocol]))
    }

    /// Membership in a set.
    #[must_use]
    pub fn in_set(set: Arc<str>, fields: impl Into<ThinVec<SetField>>) -> Self {
        Self::InSet(Box::new(LookUp { set, fields: fields.into() }))
    }
}

/// What is looked up where ([`MatchKind::InSet`]).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LookUp {
    /// The set's name.
    pub set: Arc<str>,
    /// The fields, in the set's order.
    pub fields: ThinVec<SetField>,
}

/// Bits of [`MatchKind::State`].
#[derive(Clone, Copy, Debug)]
pub struct State;

impl State {
    /// First packet of a connection.
    pub const NEW: u8 = 1;
    /// Of a connection that has seen both ways.
    pub const ESTABLISHED: u8 = 2;
    /// Belongs to another connection (an ICMP error, an FTP data channel).
    pub const RELATED: u8 = 4;
    /// Belongs to none and cannot open one.
    pub const INVALID: u8 = 8;
    /// Left out of tracking.
    pub const UNTRACKED: u8 = 16;
}

/// An ICMP type, with or without a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IcmpType {
    /// Type.
    pub kind: u8,
    /// Code; `None`: any.
    pub code: Option<u8>,
}

/// A rate limit, for all together or by source.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Limit {
    /// How many.
    pub count: u32,
    /// In how many seconds: 1, 60, 3600, 86400.
    pub seconds: u32,
    /// How many may come at once.
    pub burst: u32,
    /// Prefix length by which sources are told apart (32, 64); `None`: all together.
    pub source_prefix: Option<u8>,
    /// Name of the state: of the hashlimit, of the nft set. Equal names share their state; a limit without a name has its own.
    pub name: Arc<str>,
}

/// A field of a packet that a set can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SetField {
    /// Source address.
    Source,
    /// Destination address.
    Destination,
    /// Protocol and destination port together (ipset's `port`; nft's `meta l4proto . th dport`).
    DestinationService,
    /// Source Ethernet address.
    SourceMac,
    /// Arrival interface.
    InInterface,
    /// Port that the client dialled, with its protocol (nft alone).
    OriginalService,
    /// Departure interface (nft alone).
    OutInterface,
    /// Protocol (nft alone).
    Protocol,
    /// Source port of whatever protocol the rule asks for (nft alone).
    SourcePort,
    /// Destination port of whatever protocol the rule asks for (nft alone).
    DestinationPort,
}

impl fmt::Display for SetField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Destination => "destination",
            Self::DestinationService => "destination service",
            Self::SourceMac => "source MAC",
            Self::InInterface => "arrival interface",
            Self::OriginalService => "dialled service",
            Self::OutInterface => "departure interface",
            Self::Protocol => "protocol",
            Self::SourcePort => "source port",
            Self::DestinationPort => "destination port",
        })
    }
}

/// A named set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// Its name: ours begin with `fwc-`; at most 31 bytes.
    pub name: Arc<str>,
    /// Family of its addresses; `None`: it holds none.
    pub family: Option<Family>,
    /// What each element holds. In a set read from elsewhere these are the fields that rules usually ask with: the set knows the kinds of
    /// its values alone (an address, not whose), and [`MatchKind::InSet`] says with what it is asked.
    pub fields: Vec<SetField>,
    /// The elements; each has one value a field. Empty for a live set.
    pub elements: Vec<Box<[SetValue]>>,
    /// Filled by others at run time: never flushed.
    pub live: bool,
}

/// One field of a set's element.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SetValue {
    /// An address, prefix or range.
    Address(PackedRange),
    /// A protocol and a port range.
    Service(Protocol, PortRange),
    /// An Ethernet address.
    Mac(Mac),
    /// An interface.
    Interface(Box<Card>),
    /// A protocol.
    Protocol(Protocol),
    /// Ports, without a protocol.
    Port(PortRange),
}

/// Something that a rule does besides deciding.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// A line in the kernel log.
    Log {
        /// What it begins with; at most 29 bytes in iptables, 127 in nft.
        prefix: Arc<str>,
        /// Syslog severity, 0 to 7.
        level: u8,
    },
    /// `mark = (mark & !mask) ^ value`.
    SetMark {
        /// Value.
        value: u32,
        /// Bits that are replaced.
        mask: u32,
    },
    /// As `SetMark`, of the connection's mark.
    SetConnectionMark {
        /// Value.
        value: u32,
        /// Bits that are replaced.
        mask: u32,
    },
    /// Copies one mark to the other: `to = (to & !cleared) ^ (other & copied) ^ value`.
    CopyMark {
        /// The mark that is written.
        to: MarkWord,
        /// Bits of it that are replaced.
        cleared: u32,
        /// Bits of the other that are copied.
        copied: u32,
        /// Value.
        value: u32,
    },
    /// Changes either mark in a way that is not modelled: its exact text.
    OpenMarks(Arc<str>),
    /// Sets the DSCP field (6 bits).
    SetDscp(u8),
    /// Clamps the TCP maximum segment size to the path's.
    ClampMss,
    /// Leaves the packet out of connection tracking.
    Notrack,
    /// Gives the connection a helper (`ftp`, `sip`).
    Helper(Arc<str>),
    /// Something else, which decides nothing: its exact text.
    Unknown(Arc<str>),
}

/// One of the two marks that rules set and ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MarkWord {
    /// The packet's.
    Packet,
    /// The connection's, which all of its packets share.
    Connection,
}

impl MarkWord {
    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Packet => Self::Connection,
            Self::Connection => Self::Packet,
        }
    }
}

/// What an effect does to a mark: `mark = (mark & !cleared) ^ (other & copied) ^ value`. Where bits are copied that are not cleared, what
/// becomes of them is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkChange {
    /// The mark that is written.
    pub word: MarkWord,
    /// Bits of it that are replaced.
    pub cleared: u32,
    /// Bits of the other mark that are copied.
    pub copied: u32,
    /// Value.
    pub value: u32,
}

impl Effect {
    /// What it does to marks.
    pub fn mark_changes(&self) -> impl Iterator<Item = MarkChange> + use<> {
        let set = |word, value, cleared| Some(MarkChange { word, cleared, copied: 0, value });
        let open = |word| Some(MarkChange { word, cleared: 0, copied: u32::MAX, value: 0 });
        let changes = match *self {
            Self::SetMark { value, mask } => [set(MarkWord::Packet, value, mask), None],
            Self::SetConnectionMark { value, mask } => [set(MarkWord::Connection, value, mask), None],
            Self::CopyMark { to, cleared, copied, value } => {
                [Some(MarkChange { word: to, cleared, copied, value }), None]
            }
            Self::OpenMarks(_) => [open(MarkWord::Packet), open(MarkWord::Connection)],
            _ => [None, None],
        };
        changes.into_iter().flatten()
    }

    /// Whether it changes a mark.
    #[must_use]
    pub fn changes_marks(&self) -> bool {
        self.mark_changes().next().is_some()
    }
}

/// How a packet is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reject {
    /// ICMP port unreachable.
    PortUnreachable,
    /// ICMP host unreachable (IPv6: address unreachable).
    HostUnreachable,
    /// ICMP network unreachable (IPv6: no route).
    NetworkUnreachable,
    /// ICMP host prohibited (IPv6: administratively prohibited).
    HostProhibited,
    /// ICMP network prohibited (IPv6: administratively prohibited).
    NetworkProhibited,
    /// ICMP administratively prohibited.
    AdminProhibited,
    /// A TCP reset; a [`MatchKind::Protocol`] for TCP stands before it.
    TcpReset,
}

/// What a rule decides.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Lets it through this table.
    Accept,
    /// Silently not.
    Drop,
    /// Not, with an answer.
    Reject(Reject),
    /// Back to the calling chain.
    Return,
    /// Into a chain, and back at its end.
    Jump(Arc<str>),
    /// Into a chain, and from its end to where this chain was called.
    Goto(Arc<str>),
    /// Destination NAT.
    Dnat {
        /// New address, of the rule's family.
        address: std::net::IpAddr,
        /// New port, if another.
        port: Option<u16>,
    },
    /// Source NAT to a fixed address.
    Snat(std::net::IpAddr),
    /// Source NAT to the address of the card.
    Masquerade,
    /// Destination NAT to this machine.
    Redirect(u16),
    /// Looks the packet's fields up and does what stands there (nft `vmap`); goes on if nothing does. No two keys overlap.
    Map {
        /// The fields.
        fields: ThinVec<SetField>,
        /// Key and verdict; shared by the rules that look into one map. No verdict is a map.
        elements: Arc<Vec<(Vec<SetValue>, Verdict)>>,
    },
    /// Something else, which may decide or not: its exact text.
    Unknown(Arc<str>),
}

impl Ruleset {
    /// Whether any rule gives connections a mark, or may.
    #[must_use]
    pub fn marks_connections(&self) -> bool {
        let rules = self.tables.iter().flat_map(|table| &table.chains).flat_map(|chain| &chain.rules);
        let mut changes = rules.flat_map(|rule| &rule.effects).flat_map(Effect::mark_changes);
        changes.any(|change| change.word == MarkWord::Connection)
    }

    /// The table of that family and kind, made if absent.
    pub fn table_mut(&mut self, family: TableFamily, kind: TableKind) -> &mut Table {
        let at = self.tables.iter().position(|table| table.family == family && table.kind == kind);
        let at = at.unwrap_or_else(|| {
            self.tables.push(Table {
                family,
                kind,
                name: kind.name().to_owned(),
                sets: Vec::new(),
                chains: Vec::new(),
            });
            self.tables.len() - 1
        });
        &mut self.tables[at]
    }
}
