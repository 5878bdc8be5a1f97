//! Platforms as data: what Docker, LXD, libvirt and others do to a packet, which chains are theirs, and where a user may
//! attach. One file per platform in `stdlib/platforms/`; this module reads them and answers questions. It knows no platform by
//! name, writes no rules and has no opinion on policies.
//!
//! The questions are answered for a [`Situation`], in which anything may be unknown. Every list in a file is read from the top
//! and the first row that holds decides, so an answer is exact for what is known; for the rest it is every row that could
//! decide, each with the [`Condition`]s under which it does.

mod advisory;
mod answer;
mod connection;
mod data;
mod members;
mod owner;
mod settings;
mod situation;

use std::collections::BTreeMap;
use std::sync::LazyLock;

pub use advisory::{Advisory, Opening, Requirement};
pub use connection::{Connection, Endpoints, Header, Origin, Prediction, predict};
pub use members::bridges;
pub use owner::{Owned, Role, owner_of, owner_of_comment, owner_of_table};
pub use settings::{Settings, settings};
pub use situation::{Attribute, Condition, Situation, When};

use crate::net::{Card, Family};
use crate::netfilter::Hook;
use situation::holds;

/// The files, by platform. Their order is the order in which owners are looked up.
const FILES: [(&str, &str); 13] = [
    ("docker", include_str!("../../stdlib/platforms/docker.toml")),
    ("podman", include_str!("../../stdlib/platforms/podman.toml")),
    ("kubernetes", include_str!("../../stdlib/platforms/kubernetes.toml")),
    ("lxd", include_str!("../../stdlib/platforms/lxd.toml")),
    ("incus", include_str!("../../stdlib/platforms/incus.toml")),
    ("libvirt", include_str!("../../stdlib/platforms/libvirt.toml")),
    ("tap", include_str!("../../stdlib/platforms/tap.toml")),
    ("router", include_str!("../../stdlib/platforms/router.toml")),
    ("host", include_str!("../../stdlib/platforms/host.toml")),
    ("ufw", include_str!("../../stdlib/platforms/ufw.toml")),
    ("firewalld", include_str!("../../stdlib/platforms/firewalld.toml")),
    ("fail2ban", include_str!("../../stdlib/platforms/fail2ban.toml")),
    ("others", include_str!("../../stdlib/platforms/others.toml")),
];

/// The rows of this file stand behind every platform's own: a host that runs containers is still a host.
const BASE: &str = "host";

/// The file of owners that are no platform: CrowdSec, Tailscale and so on. Not a name for `use`.
const OTHERS: &str = "others";

/// Read once. A file that did not parse would be missing here; a test reads each of them.
static PLATFORMS: LazyLock<Vec<Platform>> = LazyLock::new(|| {
    let base = FILES.iter().find(|(name, _)| *name == BASE).and_then(|(name, text)| data::read(name, text).ok());
    let roads = base.map(|base| base.roads).unwrap_or_default();
    let mut platforms: Vec<Platform> = FILES.iter().filter_map(|(name, text)| data::read(name, text).ok()).collect();
    for platform in platforms.iter_mut().filter(|platform| platform.name != BASE) {
        platform.roads.extend(roads.iter().cloned());
    }
    platforms
});

/// What stands behind a bridge of a platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Docker's and Podman's.
    Container,
    /// LXD's and Incus'.
    Instance,
    /// A virtual machine.
    Guest,
}

/// One platform, as its file describes it.
#[derive(Clone, Debug)]
pub struct Platform {
    /// The name that `use` takes.
    pub name: String,
    /// As people write it: `Docker`.
    pub title: String,
    /// What its bridges lead to; `None` if it has none.
    pub class: Option<Class>,
    /// Interfaces that are its bridges where facts do not say.
    pub bridges: Vec<Card>,
    /// Those among them that are ports of a bridge of the host's own, one for each guest.
    pub ports: Vec<Card>,
    /// The bridge over which containers on overlay networks are published.
    pub swarm_bridge: Option<String>,
    /// Whether a container on several networks is published over any of them, and not over the first alone.
    published_over_every_network: bool,
    /// Whether its daemon sets the policy of FORWARD to DROP.
    pub drops_forwarded: bool,
    facts: BTreeMap<Attribute, String>,
    eras: Vec<Era>,
    owned: Vec<Owned>,
    attachments: Vec<Attachment>,
    roads: Vec<Road>,
    impossible: Vec<When>,
    pub(crate) faults: Vec<Fault>,
    advisories: Vec<Advisory>,
    defaults: Vec<Preset>,
}

/// A stretch of versions that behave alike: from this one up to the next era's.
#[derive(Clone, Debug)]
struct Era {
    name: String,
    first: Vec<u64>,
}

/// A value that a setting has unless it was changed.
#[derive(Clone, Debug)]
struct Preset {
    when: When,
    attribute: Attribute,
    value: String,
}

/// Where rules of a policy can stand so that they are reached and stay.
#[derive(Clone, Debug)]
pub struct Attachment {
    when: When,
    /// Where packets are judged.
    pub hook: Hook,
    /// iptables' table, or the word `own` for an nft table of the policy's.
    pub table: String,
    /// The chain that gets the jump; for an own nft table, the base chain's hook.
    pub chain: String,
    /// For an own nft table: the priority below which its base chain has to be.
    pub before_priority: Option<i32>,
    /// Whether an accept there is final for the packet at this hook.
    pub accept_is_final: bool,
    /// Whether the platform itself makes the chain and the way to it.
    pub made_by_platform: bool,
    /// Why there, for people.
    pub why: String,
}

/// What becomes of the first packet of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It reaches the target.
    Delivered,
    /// It reaches the host's own sockets: answered if one listens, else refused.
    Host,
    /// A rule or policy of the platform stops it; which one is in [`Road::by`].
    Dropped,
    /// As `Dropped`, with an answer that says so.
    Rejected,
    /// It gets nowhere, and not because of a rule: no route, a martian address, an answer from a wrong address.
    Lost,
    /// A placeholder socket takes the connection and nobody ever answers.
    Hangs,
    /// The first packet reaches the target, and the answer is stopped or has no way back: a datagram arrives, a connection does not.
    Unanswered,
}

/// Which of the packets that one connection causes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Leg {
    /// The opener's own first packet.
    Client,
    /// The connection that a proxy opens to the target in its stead.
    Proxy,
    /// An answer that conntrack takes for a connection of its own.
    Stray,
}

/// An interface in a step of a road.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Interface {
    /// Where the opener's packet comes in: the card towards the outside, or the opener's bridge.
    Arrival,
    /// The target's bridge.
    Bridge,
    /// `lo`.
    Loopback,
    /// The card towards the dialled address.
    Departure,
    /// The card that a macvlan or ipvlan network is on.
    Parent,
    /// The bridge that a swarm gives its containers to reach the outside.
    SwarmBridge,
}

/// A destination in a step of a road.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Destination {
    /// As the opener dialled: address and port.
    Dialled,
    /// The target's own address and port.
    Target,
    /// The address of the routing mesh's own namespace, with the dialled port.
    Mesh,
    /// The opener's address and port.
    Opener,
}

/// Whose address the target sees as the opener's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// The opener's own; of what the host opens, the dialled address if that is the host's, else the one towards the target.
    Opener,
    /// The host's, on the target's bridge: masqueraded whoever opens it, or a proxy's connection.
    Bridge,
    /// The host's, on the interface by which the packet leaves, if the opener's network is masqueraded; else the opener's.
    Masqueraded,
}

/// One hook that a packet passes, and what its headers say there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The hook: input, forward or output.
    pub hook: Hook,
    /// Whose packet.
    pub leg: Leg,
    /// In-interface, where the hook has one.
    pub input: Option<Interface>,
    /// Out-interface, where the hook has one.
    pub output: Option<Interface>,
    /// Destination address and port at this hook.
    pub destination: Destination,
}

impl Step {
    /// Whether NAT has replaced the destination, so that conntrack's state DNAT holds and `--dport` is not what was dialled.
    #[must_use]
    pub fn translated(&self) -> bool {
        self.leg == Leg::Client && matches!(self.destination, Destination::Target | Destination::Mesh)
    }
}

/// A way that a connection takes.
#[derive(Clone, Debug)]
pub struct Road {
    when: When,
    /// Stable name: `published-dnat-forward`.
    pub name: String,
    /// The hooks of the filter tables, in order. Empty: no hook of the host sees it, or only prerouting does.
    pub steps: Vec<Step>,
    /// What becomes of it, as far as the platform decides.
    pub outcome: Outcome,
    /// Whose address the target sees.
    pub source: Source,
    /// The rule or setting that decides, if it is not delivered.
    pub by: Option<String>,
}

/// A road that a connection may take, and what that rests on.
#[derive(Clone, Debug)]
pub struct Possible<'a, T> {
    /// The road, attachment or fault.
    pub item: &'a T,
    /// What is taken for granted beyond the situation; empty if it is certain.
    pub conditions: Vec<Condition>,
}

/// A behaviour of some versions that a policy has to know.
#[derive(Clone, Debug)]
pub struct Fault {
    when: When,
    /// Stable name: `ip6tables-docker-user-missing`.
    pub name: String,
    /// One line.
    pub summary: String,
    /// What follows from it for a policy.
    pub effect: String,
    /// What to do.
    pub remedy: String,
    /// Where that is known from.
    pub source: String,
    /// What a proof takes for granted instead, where no fact says whether it is so.
    pub assumed: Option<String>,
}

impl Platform {
    /// A platform by the name that `use` takes.
    #[must_use]
    pub fn load(name: &str) -> Option<&'static Self> {
        Self::all().find(|platform| platform.name == name)
    }

    /// All platforms that `use` can name.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        PLATFORMS.iter().filter(|platform| platform.name != OTHERS)
    }

    /// Their names, for `use` and for suggestions.
    pub fn names() -> impl Iterator<Item = &'static str> {
        Self::all().map(|platform| platform.name.as_str())
    }

    /// The platform whose bridge an interface of this name is, going by the name alone.
    #[must_use]
    pub fn of_bridge(interface: &str) -> Option<&'static Self> {
        Self::all().find(|platform| platform.bridges.iter().any(|card| card.matches(interface)))
    }

    /// Whether it has a proxy in user space for published ports.
    #[must_use]
    pub fn has_proxy(&self) -> bool {
        self.roads.iter().flat_map(|road| &road.steps).any(|step| step.leg == Leg::Proxy)
    }

    /// Whether its rules keep packets from a target's own address unless it is set up to let them through.
    #[must_use]
    pub fn guards_own_addresses(&self) -> bool {
        self.roads.iter().any(|road| road.when.asks(Attribute::Direct))
    }

    /// The fact that says what an attribute is, as a policy writes it.
    #[must_use]
    pub fn fact(&self, attribute: Attribute, family: Family) -> Option<&str> {
        let own = self.facts.get(&attribute).map(String::as_str);
        own.or(match (attribute, family) {
            (Attribute::ForwardPolicy, Family::Ipv4) => Some("forward-policy-ipv4"),
            (Attribute::ForwardPolicy, Family::Ipv6) => Some("forward-policy-ipv6"),
            (Attribute::BridgeNetfilter, Family::Ipv4) => Some("sysctls.net.bridge.bridge-nf-call-iptables"),
            (Attribute::BridgeNetfilter, Family::Ipv6) => Some("sysctls.net.bridge.bridge-nf-call-ip6tables"),
            _ => None,
        })
    }

    /// The versions at which its behaviour changes, oldest first.
    pub fn versions(&self) -> impl Iterator<Item = &str> {
        self.eras.iter().map(|era| era.name.as_str())
    }

    /// The situation in which this is its version (`28.5.2`, `20.10.24+dfsg1`). A version older than the oldest that the file
    /// knows, or one that is no version, leaves it unknown.
    #[must_use]
    pub fn with_version(&self, mut situation: Situation, version: &str) -> Situation {
        let numbers = data::version(version);
        if let Some(at) = self.eras.iter().rposition(|era| !numbers.is_empty() && era.first <= numbers) {
            situation.set(Attribute::Version, 1 << at);
        }
        situation
    }

    /// The situation in which its version is within these bounds, as the files write them (`>=2.0`).
    fn with_versions(&self, mut situation: Situation, bounds: &str) -> Situation {
        if let Ok(values) = data::eras_of(bounds, &self.eras) {
            situation.set(Attribute::Version, values);
        }
        situation
    }

    /// Fills in what the platform does unless it was told otherwise (userland-proxy on, ip6tables by version), for a host on
    /// which nothing says so. Use it where a fact is known to be at its default, not where it is unknown.
    #[must_use]
    pub fn with_defaults(&self, situation: Situation) -> Situation {
        let mut filled = situation;
        for preset in &self.defaults {
            if holds(&preset.when, &filled) == Some(true) && filled.value(preset.attribute).is_none() {
                filled = filled.with(preset.attribute, &preset.value);
            }
        }
        filled
    }

    /// The advisories about its own rules.
    #[must_use]
    pub fn advisories(&self) -> &[Advisory] {
        &self.advisories
    }

    /// The chains and tables that are its own.
    #[must_use]
    pub fn owned(&self) -> &[Owned] {
        &self.owned
    }
}

/// The name of a family as the data files write it.
#[must_use]
pub fn family_name(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "ipv4",
        Family::Ipv6 => "ipv6",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_parses() {
        for (name, text) in FILES {
            if let Err(message) = data::read(name, text) {
                panic!("{name}: {message}");
            }
        }
    }

    /// A row that can never decide is a mistake in the data: something in front of it takes all that it asks for.
    #[test]
    fn no_row_of_a_file_is_dead() {
        for (name, text) in FILES {
            let platform = data::read(name, text).expect(name);
            let marked = Situation::unknown().with(Attribute::Marked, "yes");
            let mut live = platform.roads(&Situation::unknown());
            live.extend(platform.roads(&marked));
            let live: Vec<&str> = live.iter().map(|road| road.item.name.as_str()).collect();
            for road in &platform.roads {
                assert!(live.contains(&road.name.as_str()), "{name}: `{}` never decides", road.name);
            }
            for hook in [Hook::Input, Hook::Forward, Hook::Output] {
                let rows = platform.attachments.iter().filter(|attachment| attachment.hook == hook).count();
                let mut live: Vec<String> = Vec::new();
                for family in Family::BOTH {
                    let found = platform.attachments(hook, family, &Situation::unknown());
                    live.extend(found.iter().map(|found| format!("{} {}", found.item.table, found.item.why)));
                }
                live.sort_unstable();
                live.dedup();
                assert_eq!(live.len(), rows, "{name}: {hook:?}");
            }
        }
    }

    #[test]
    fn names_are_given_once() {
        let unique = |names: Vec<&str>| {
            let all = names.len();
            all == names.into_iter().collect::<std::collections::BTreeSet<_>>().len()
        };
        for (name, text) in FILES {
            let own = data::read(name, text).expect(name);
            assert!(unique(own.roads.iter().map(|road| road.name.as_str()).collect()), "{name}: roads");
            assert!(unique(own.faults.iter().map(|fault| fault.name.as_str()).collect()), "{name}: faults");
        }
        assert_eq!(Platform::names().count(), FILES.len() - 1);
    }

    #[test]
    fn a_word_that_is_not_on_a_list_is_an_error() {
        let road = |when: &str, rest: &str| {
            data::read("x", &format!("title = \"x\"\n[[road]]\nname = \"r\"\nwhen = {{ {when} }}\n{rest}")).err()
        };
        assert_eq!(road("proxy = \"yes\"", "outcome = \"host\""), None);
        assert!(road("proxi = \"yes\"", "outcome = \"host\"").is_some_and(|message| message.contains("`proxi`")));
        assert!(road("proxy = \"on\"", "outcome = \"host\"").is_some_and(|message| message.contains("`on`")));
        assert!(road("", "outcome = \"gone\"").is_some_and(|message| message.contains("`gone`")));
        assert!(road("version = \">=9\"", "outcome = \"host\"").is_some_and(|message| message.contains(">=9")));
    }
}
