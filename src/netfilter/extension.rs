//! The matches and targets of iptables with their options: what each takes, and where it can be used. Data, read once; a rule file is
//! read with it, and the lines of a `chain` block are checked with it.

use std::sync::LazyLock;

use rustc_hash::FxHashMap;

use super::{Hook, TableKind};
use crate::net::{Family, Protocol};

/// What an extension is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `-m NAME`.
    Match,
    /// `-j NAME`.
    Target,
}

/// A match or a target.
#[derive(Debug)]
pub struct Extension {
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: &'static str,
    /// The one family that has it.
    pub family: Option<Family>,
    /// The one table that it can be used in.
    pub table: Option<TableKind>,
    /// The hooks that it can be used at; empty: all.
    pub hooks: Vec<Hook>,
    /// The protocols of which a rule with it asks for one; empty: any rule.
    pub protocols: Vec<Protocol>,
    /// The options of which at least one is there; empty: none need be.
    pub any: Vec<&'static str>,
    /// Its options.
    pub options: Vec<ExtensionOption>,
}

/// An option of an extension.
#[derive(Debug)]
pub struct ExtensionOption {
    /// Its name, with the two dashes.
    pub name: &'static str,
    /// What follows it.
    pub argument: Argument,
    /// Whether `!` may stand before it.
    pub negatable: bool,
    /// Whether it has to be there.
    pub required: bool,
    /// Whether it may be there more than once.
    pub repeatable: bool,
    /// The name that it is another name of; its own if it is none.
    pub meaning: &'static str,
    /// The options that cannot be used with it.
    pub excludes: Vec<&'static str>,
    /// The options that it cannot be used without.
    pub needs: Vec<&'static str>,
}

/// What follows an option.
#[derive(Clone, Debug, PartialEq)]
pub enum Argument {
    /// Nothing.
    Nothing,
    /// A whole number within bounds.
    Number(u64, u64),
    /// One number or two with a colon between, each up to a bound.
    Range(u64),
    /// A number with a fraction, within bounds.
    Real(f64, f64),
    /// Any text.
    Text,
    /// A type of service, by number or name.
    Tos,
    /// A number of 32 bits, perhaps with a mask.
    Mark,
    /// A syslog level, by number or name.
    Level,
    /// An address or a name of a host.
    Host,
    /// An address with a prefix or mask.
    Network,
    /// A protocol, by number or name.
    Protocol,
    /// A port, by number or name.
    Port,
    /// A port or a range of ports.
    Ports,
    /// A port or a range of ports, which may begin after its end: it matches nothing then.
    PortRange,
    /// A list of ports and ranges, at most 15.
    PortList,
    /// The length of a prefix.
    PrefixLength,
    /// The length of a prefix, or a mask.
    Mask,
    /// An Ethernet address.
    Mac,
    /// A range of addresses.
    Addresses,
    /// States of connection tracking.
    States,
    /// A type of ICMP or ICMPv6.
    IcmpType,
    /// So many in a unit of time.
    Rate,
    /// A DSCP class.
    Class,
    /// A way to refuse.
    Reject,
    /// Two lists of TCP flags: those that are looked at, and those of them that are set.
    Flags,
    /// A set's name and the parts of the packet that are looked up.
    Set,
    /// Addresses and ports that are written into a packet.
    Translation,
    /// Ports that are written into a packet.
    TranslationPorts,
    /// An interface.
    Interface,
    /// Days of the week.
    Weekdays,
    /// A time of day.
    Clock,
    /// One of these words.
    One(Vec<&'static str>),
    /// Some of these words, with commas between.
    List(Vec<&'static str>),
}

impl Argument {
    /// How many words follow the option.
    #[must_use]
    pub fn words(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Flags | Self::Set => 2,
            _ => 1,
        }
    }

    fn read(text: &'static str) -> Self {
        let (name, inside) = text.split_once('(').unwrap_or((text, ""));
        let inside = inside.strip_suffix(')').unwrap_or(inside);
        let (first, last) = inside.split_once("..").unwrap_or(("", ""));
        let number = |most: u64| Self::Number(first.parse().unwrap_or(0), last.parse().unwrap_or(most));
        let words = || inside.split(',').collect();
        match name {
            "none" => Self::Nothing,
            "u8" => number(u8::MAX.into()),
            "u16" => number(u16::MAX.into()),
            "u32" => number(u32::MAX.into()),
            "u64" => number(u64::MAX),
            "u8s" => Self::Range(u8::MAX.into()),
            "u16s" => Self::Range(u16::MAX.into()),
            "u32s" => Self::Range(u32::MAX.into()),
            "u64s" => Self::Range(u64::MAX),
            "real" => Self::Real(first.parse().unwrap_or(0.0), last.parse().unwrap_or(f64::MAX)),
            "tos" => Self::Tos,
            "mark" => Self::Mark,
            "level" => Self::Level,
            "host" => Self::Host,
            "net" => Self::Network,
            "protocol" => Self::Protocol,
            "port" => Self::Port,
            "ports" => Self::Ports,
            "portrange" => Self::PortRange,
            "portlist" => Self::PortList,
            "prefix" => Self::PrefixLength,
            "mask" => Self::Mask,
            "mac" => Self::Mac,
            "range" => Self::Addresses,
            "states" => Self::States,
            "icmp" => Self::IcmpType,
            "rate" => Self::Rate,
            "class" => Self::Class,
            "reject" => Self::Reject,
            "flags" => Self::Flags,
            "set" => Self::Set,
            "to" => Self::Translation,
            "toports" => Self::TranslationPorts,
            "interface" => Self::Interface,
            "weekdays" => Self::Weekdays,
            "clock" => Self::Clock,
            "one" => Self::One(words()),
            "list" => Self::List(words()),
            _ => Self::Text,
        }
    }
}

struct Extensions {
    all: Vec<Extension>,
    by_name: FxHashMap<(Kind, &'static str), usize>,
}

static EXTENSIONS: LazyLock<Extensions> = LazyLock::new(|| {
    let all = read(include_str!("extensions.txt"));
    let by_name = all.iter().enumerate().map(|(at, one)| ((one.kind, one.name), at)).collect();
    Extensions { all, by_name }
});

/// The extension of this name, if a family has it.
#[must_use]
pub fn find(kind: Kind, name: &str, family: Option<Family>) -> Option<&'static Extension> {
    // The names in the table live longer than the one that is looked up.
    let by_name: &FxHashMap<(Kind, &str), usize> = &EXTENSIONS.by_name;
    let at = *by_name.get(&(kind, name))?;
    EXTENSIONS.all.get(at).filter(|one| one.family.is_none() || family.is_none() || one.family == family)
}

/// All extensions.
#[must_use]
pub fn all() -> &'static [Extension] {
    &EXTENSIONS.all
}

/// The names of all extensions of a kind that a family has.
pub fn names(kind: Kind, family: Option<Family>) -> impl Iterator<Item = &'static str> {
    let has =
        move |one: &&Extension| one.kind == kind && (one.family.is_none() || family.is_none() || one.family == family);
    all().iter().filter(has).map(|one| one.name)
}

/// Targets of extensions that are not iptables' own (xtables-addons): a host may have them.
pub const ADDED_TARGETS: &[&str] = &[
    "ACCOUNT",
    "CHAOS",
    "DELUDE",
    "DHCPMAC",
    "DNETMAP",
    "ECHO",
    "IPMARK",
    "LOGMARK",
    "PROTO",
    "RTPENGINE",
    "SYSRQ",
    "TARPIT",
];

/// Matches of extensions that are not iptables' own (xtables-addons, ndpi, layer7): a host may have them.
pub const ADDED_MATCHES: &[&str] = &[
    "account",
    "asn",
    "condition",
    "dhcpmac",
    "fuzzy",
    "geoip",
    "gradm",
    "iface",
    "ipp2p",
    "ipv4options",
    "layer7",
    "length2",
    "lscan",
    "ndpi",
    "pknock",
    "psd",
    "quota2",
    "web",
];

fn read(text: &'static str) -> Vec<Extension> {
    let mut all: Vec<Extension> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let mut words = line.split_ascii_whitespace();
        let Some(first) = words.next() else { continue };
        if line.starts_with(' ') {
            let Some(last) = all.last_mut() else { continue };
            last.options.push(option(first, words));
        } else if let Some(name) = words.next() {
            let kind = if first == "match" { Kind::Match } else { Kind::Target };
            all.push(extension(kind, name, words));
        }
    }
    all
}

fn extension(kind: Kind, name: &'static str, mut words: impl Iterator<Item = &'static str>) -> Extension {
    let (hooks, protocols, any, options) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut found = Extension { kind, name, family: None, table: None, hooks, protocols, any, options };
    while let Some(word) = words.next() {
        match word {
            "ipv4" => found.family = Some(Family::Ipv4),
            "ipv6" => found.family = Some(Family::Ipv6),
            "in" => {
                found.table = words.next().and_then(|name| TableKind::ALL.into_iter().find(|kind| kind.name() == name))
            }
            "at" => {
                let all = [Hook::Prerouting, Hook::Input, Hook::Forward, Hook::Output, Hook::Postrouting];
                let named = words.next().unwrap_or_default().split(',');
                found.hooks = named.filter_map(|name| all.into_iter().find(|hook| hook.chain() == name)).collect();
            }
            "of" => {
                found.protocols = words.next().unwrap_or_default().split(',').filter_map(Protocol::by_name).collect();
            }
            "any" => found.any = words.next().unwrap_or_default().split(',').collect(),
            _ => {}
        }
    }
    found
}

fn option(name: &'static str, mut words: impl Iterator<Item = &'static str>) -> ExtensionOption {
    let argument = words.next().map_or(Argument::Nothing, Argument::read);
    let mut found = ExtensionOption {
        name,
        argument,
        negatable: false,
        required: false,
        repeatable: false,
        meaning: name,
        excludes: Vec::new(),
        needs: Vec::new(),
    };
    while let Some(word) = words.next() {
        match word {
            "not" => found.negatable = true,
            "must" => found.required = true,
            "many" => found.repeatable = true,
            "is" => found.meaning = words.next().unwrap_or(name),
            "without" => found.excludes = words.next().unwrap_or_default().split(',').collect(),
            "with" => found.needs = words.next().unwrap_or_default().split(',').collect(),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_have_their_options() {
        let conntrack = find(Kind::Match, "conntrack", Some(Family::Ipv6)).expect("a match");
        let state = conntrack.options.iter().find(|option| option.name == "--ctstate").expect("an option");
        assert!(state.negatable && state.argument == Argument::States);
        let masquerade = find(Kind::Target, "MASQUERADE", None).expect("a target");
        assert_eq!((masquerade.table, masquerade.hooks.as_slice()), (Some(TableKind::Nat), &[Hook::Postrouting][..]));
        assert!(find(Kind::Match, "hl", Some(Family::Ipv4)).is_none());
        assert!(find(Kind::Target, "conntrack", None).is_none());
        let udp = find(Kind::Match, "udp", None).expect("a match");
        assert!(udp.options.iter().any(|option| option.name == "--dport" && option.meaning == "--destination-port"));
    }

    #[test]
    fn every_word_of_the_data_is_understood() {
        for option in all().iter().flat_map(|one| &one.options) {
            for name in option.excludes.iter().chain(&option.needs).chain([&option.name, &option.meaning]) {
                assert!(name.starts_with("--"), "{name}");
            }
        }
        let begins = |line: &&str| line.starts_with("match ") || line.starts_with("target ");
        assert_eq!(all().len(), include_str!("extensions.txt").lines().filter(begins).count());
    }
}
