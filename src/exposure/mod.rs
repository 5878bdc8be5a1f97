//! Who can reach what: for each service on this machine, its containers, instances and guests, from which networks, by which road,
//! and through which rules. Exact over the first packets of connections, or said to be possible, or not known.
//!
//! `geography` knows which cards lead where; `way` makes lists of the chains on a packet's way; `roads` goes along each way from
//! arrival to delivery, through address translation; `reach` finds the packets that get through; `rows` says what was found, `merge` in few
//! words.

mod asked;
mod geography;
mod merge;
mod naming;
mod reach;
mod roads;
mod rows;
mod way;

use std::net::IpAddr;

use crate::compare::rectangles::Allowance;
use crate::host::Host;
use crate::net::{AddressSet, Family};
use crate::netfilter::TableFamily;
use crate::optimise::origin::Lines;
use crate::packet::Values;
use crate::policy::Class;

use geography::Geography;
use roads::Surveyor;
use way::Ways;

pub use naming::{Service, called, numbers};

/// What is open on a host.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What can be reached, the most exposed first.
    pub rows: Vec<Row>,
    /// What is not known.
    pub unknown: Vec<String>,
    /// What a reader should know.
    pub notes: Vec<String>,
    /// The families that were looked at.
    pub families: Vec<Family>,
}

/// Whose connections are asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Section {
    /// From elsewhere.
    Inbound,
    /// From machines on this one to this machine and to others on it.
    Inside,
    /// From this machine and those on it to elsewhere.
    Outbound,
}

/// Which sections are wanted besides the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Between this machine and those on it.
    pub inside: bool,
    /// To elsewhere.
    pub outbound: bool,
}

/// How large the part of the world is that reaches something; what is more exposed comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exposure {
    /// The Internet, or most of it.
    World,
    /// Anyone behind cards of which it is not known where they lead.
    Anyone,
    /// Some addresses of the Internet.
    Some,
    /// Anyone behind a card that the default route does not leave by.
    Network,
    /// Addresses of private networks alone.
    Private,
    /// Machines on this one.
    Inside,
}

impl Exposure {
    /// A word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::World => "world",
            Self::Anyone => "anyone",
            Self::Some => "some",
            Self::Network => "network",
            Self::Private => "private",
            Self::Inside => "inside",
        }
    }

    /// What it means.
    #[must_use]
    pub fn means(self) -> &'static str {
        match self {
            Self::World => "the Internet",
            Self::Anyone => "anyone, by a card of which it is not known where it leads",
            Self::Some => "some public addresses",
            Self::Network => "anyone on a network beside the Internet's",
            Self::Private => "private addresses",
            Self::Inside => "machines on this host",
        }
    }
}

/// An end of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct End {
    /// What it is.
    pub class: Class,
    /// Its name, if it is one machine and has one.
    pub name: Option<String>,
    /// Its network or bridge, for machines on this one.
    pub network: Option<String>,
    /// In words: `container db`, `this host`, `behind eth1`.
    pub says: String,
    /// Its own address, if it is one.
    pub address: Option<IpAddr>,
}

/// How sure it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Certainty {
    /// Those packets arrive.
    Certain,
    /// They arrive if something holds that is not known.
    Possibly(Vec<String>),
}

/// What lets packets through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Through {
    /// The file, for a rule that stands in one.
    pub file: Option<String>,
    /// The line in it.
    pub line: Option<u32>,
    /// The chain.
    pub chain: String,
    /// The rule's text; of what is no rule, what it does.
    pub text: String,
    /// Who says it.
    pub kind: ThroughKind,
}

/// Who lets packets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThroughKind {
    /// A line of the policy.
    Policy,
    /// A rule of a rule set.
    Rule,
    /// A rule that gives connections another destination.
    Translation,
    /// The end of a chain: no rule decides.
    End,
    /// The platform's own rules, which are known but not there to be read.
    Platform,
}

impl ThroughKind {
    /// A word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Rule => "rule",
            Self::Translation => "translation",
            Self::End => "end",
            Self::Platform => "platform",
        }
    }
}

/// Something that can be reached.
#[derive(Clone, Debug)]
pub struct Row {
    /// Whose connections these are.
    pub section: Section,
    /// How exposed it is.
    pub exposure: Exposure,
    /// Who opens the connections.
    pub from: End,
    /// Their addresses.
    pub sources: AddressSet,
    /// The addresses in words.
    pub sources_say: String,
    /// The cards that they arrive by, or leave by if this machine opens them, in words; `None`: any.
    pub via: Option<String>,
    /// The numbers of those cards ([`name_number`](crate::packet::field::name_number)).
    pub cards: Option<Values>,
    /// Who is reached.
    pub to: End,
    /// The addresses that are dialled, in words, where not all of the target's.
    pub at: Option<String>,
    /// The addresses that are dialled.
    pub dialled: AddressSet,
    /// At which services.
    pub services: Vec<Service>,
    /// If that is everything: but these.
    pub except: Vec<Service>,
    /// In which families.
    pub families: Vec<Family>,
    /// What lets it through.
    pub through: Vec<Through>,
    /// Limits within which it does.
    pub limits: Vec<String>,
    /// Whether that is certain.
    pub certainty: Certainty,
    /// No rule of the policy says anything about it; of rule sets alone, no rule at all lets it through.
    pub unmentioned: bool,
    /// It is what the standard library's prelude lets live.
    pub basic: bool,
    /// What a reader should know of it.
    pub remarks: Vec<String>,
}

/// How much may be tried for one road.
#[derive(Clone, Copy, Debug)]
pub struct Effort(pub u64);

impl Default for Effort {
    fn default() -> Self {
        Self(2_000_000)
    }
}

/// What can be reached on a host, and by whom.
#[must_use]
pub fn expose(host: &Host, wanted: Wanted, effort: Effort) -> Report {
    let mut report = Report { notes: host.notes.clone(), ..Report::default() };
    let lines = Lines::new(&host.files);
    let mut drafts = Vec::new();
    let allowance = Allowance::default();
    for family in Family::BOTH.into_iter().filter(|family| host.families.contains(family)) {
        report.families.push(family);
        let geography = Geography::new(host, family);
        let mut ways = Ways::new(host, family);
        let found = {
            let mut surveyor = Surveyor {
                ways: &mut ways,
                geography: &geography,
                family,
                effort: effort.0,
                found: roads::Roads::default(),
            };
            surveyor.from(Class::Outside, &Class::ALL);
            let local = [Class::Host, Class::Container, Class::Instance, Class::Guest];
            for from in [Class::Container, Class::Instance, Class::Guest] {
                if wanted.inside {
                    surveyor.from(from, &local);
                }
                if wanted.outbound {
                    surveyor.from(from, &[Class::Outside]);
                }
            }
            if wanted.outbound {
                surveyor.from(Class::Host, &[Class::Outside]);
            }
            surveyor.found
        };
        report.unknown.extend(found.unknown);
        for road in &found.roads {
            drafts.extend(rows::of_road(host, &geography, road, family, &ways, &lines, &allowance));
        }
    }
    for family in Family::BOTH.into_iter().filter(|family| !report.families.contains(family)) {
        report.notes.push(format!("no text says anything about {family}: what is open there is not known"));
    }
    drafts.retain(|row| wanted.outbound || row.section != Section::Outbound);
    let bridged = host.ruleset.tables.iter().filter(|table| table.family == TableFamily::Bridge);
    if bridged.flat_map(|table| &table.chains).any(|chain| !chain.rules.is_empty()) {
        let note = "what goes over a bridge without being routed, and the rules about it, take no part";
        report.notes.push(note.to_owned());
    }
    report.rows = merge::merged(host, drafts, &report.families);
    report
}
