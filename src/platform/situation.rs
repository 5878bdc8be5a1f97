//! What is known about a connection and the host it meets: for every attribute that a platform's data can ask for, the set of
//! values that it may still have. An unknown attribute has all of them, so that "no facts" is a situation like any other.

use std::fmt;

macro_rules! attributes {
    ($($(#[$doc:meta])* $name:ident = $text:literal { $($value:literal),+ $(,)? })+) => {
        /// Something that a platform's data may ask about a connection or its host.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Attribute {
            $($(#[$doc])* $name,)+
        }

        impl Attribute {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The name that the data files use.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// The values it can have; for [`Attribute::Version`] each platform's file has its own.
            #[must_use]
            pub fn values(self) -> &'static [&'static str] {
                match self { $(Self::$name => &[$($value),+],)+ }
            }
        }
    };
}

attributes! {
    /// The platform's version, as an index into the eras of its file.
    Version = "version" { "" }
    /// Who writes the platform's rules.
    Backend = "backend" { "iptables", "nftables" }
    /// Whether the platform writes rules for the connection's family at all.
    Rules = "rules" { "yes", "no" }
    /// Whether a proxy in user space (docker-proxy) listens on published ports.
    Proxy = "proxy" { "yes", "no" }
    /// The connection's family.
    Family = "family" { "ipv4", "ipv6" }
    /// Its transport protocol.
    Protocol = "protocol" { "tcp", "udp", "other" }
    /// Where it is opened: beyond the host's cards, by the host, by a container or guest on another bridge than the target's,
    /// on the same bridge, by the target itself, on a network without a way out, or on a network that has no bridge of the
    /// host's (macvlan, ipvlan).
    From = "from" { "outside", "host", "other-bridge", "same-bridge", "itself", "internal", "off-bridge" }
    /// What address is dialled: 127.0.0.0/8 or ::1, another address of the host's own, a container's or guest's own, one of
    /// a container without a bridge, or anything else.
    To = "to" { "loopback", "host", "inside", "off-bridge", "outside" }
    /// Whether something is published on the dialled address, protocol and port; `ingress`: by Swarm's routing mesh.
    Publish = "publish" { "no", "yes", "ingress" }
    /// Whether it is published on every address of the host.
    EveryAddress = "every-address" { "yes", "no" }
    /// For a dialled container address: whether a publish of this family leads to this port.
    Opened = "opened" { "yes", "no" }
    /// Whether the target has an address of the dialled family.
    TargetFamily = "target-family" { "yes", "no" }
    /// Whether the opener has an address of the dialled family.
    OriginFamily = "origin-family" { "yes", "no" }
    /// How the target's network is joined to the outside.
    Mode = "mode" { "nat", "nat-unprotected", "routed", "isolated", "open" }
    /// Whether the target's network is internal.
    Internal = "internal" { "yes", "no" }
    /// Whether neighbours on the target's network may talk to each other.
    Icc = "icc" { "yes", "no" }
    /// Whether packets addressed straight to a container are let through by the platform's settings.
    Direct = "direct" { "yes", "no" }
    /// The policy of FORWARD for this family.
    ForwardPolicy = "forward-policy" { "accept", "drop" }
    /// `net.bridge.bridge-nf-call-iptables` (or `-ip6tables`): whether bridged packets pass the IP hooks.
    BridgeNetfilter = "bridge-netfilter" { "yes", "no" }
    /// Whether the dialled address lies in the opener's own network.
    OwnSubnet = "own-subnet" { "yes", "no" }
    /// Whether the dialled address is one that the host has on the interface that faces the opener.
    FacingAddress = "facing-address" { "yes", "no" }
    /// How the opener's network is kept apart from others (Podman's `isolate`).
    FromIsolate = "from-isolate" { "no", "yes", "strict" }
    /// How the target's network is.
    ToIsolate = "to-isolate" { "no", "yes", "strict" }
    /// Whether the two ends use IPv6 link-local addresses.
    LinkLocal = "link-local" { "yes", "no" }
    /// Whether the packet carries a mark that the platform was told to accept (Docker's `--bridge-accept-fwmark`).
    Marked = "marked" { "no", "yes" }
    /// Whether the daemon is part of a swarm.
    Swarm = "swarm" { "yes", "no" }
}

/// A set of values of one attribute; bit N is value N of its list.
pub(super) type Values = u16;

/// Every value that `attribute` can have. A platform narrows [`Attribute::Version`] to the eras of its own file.
fn any(attribute: Attribute) -> Values {
    match attribute {
        Attribute::Version => Values::MAX,
        // A packet carries no mark unless somebody sets one, and who does knows.
        Attribute::Marked => 1,
        _ => (1 << attribute.values().len()) - 1,
    }
}

/// The values that each attribute may still have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Situation {
    values: Vec<Values>,
}

impl Default for Situation {
    fn default() -> Self {
        Self { values: Attribute::ALL.iter().copied().map(any).collect() }
    }
}

impl Situation {
    /// Nothing is known.
    #[must_use]
    pub fn unknown() -> Self {
        Self::default()
    }

    /// The attribute has this value. A value that the attribute cannot have changes nothing.
    #[must_use]
    pub fn with(mut self, attribute: Attribute, value: &str) -> Self {
        if let Some(at) = attribute.values().iter().position(|known| *known == value) {
            self.set(attribute, 1 << at);
        }
        self
    }

    /// The attribute has one of these values. What it cannot have changes nothing.
    #[must_use]
    pub fn among(mut self, attribute: Attribute, values: &[&str]) -> Self {
        let known = attribute.values().iter().enumerate().filter(|(_, value)| values.contains(value));
        let set = known.fold(0, |set, (at, _)| set | 1 << at);
        if set != 0 {
            self.set(attribute, set);
        }
        self
    }

    /// A yes-or-no attribute has this value, if it is known.
    #[must_use]
    pub fn with_known(self, attribute: Attribute, value: Option<bool>) -> Self {
        match value {
            Some(true) => self.with(attribute, "yes"),
            Some(false) => self.with(attribute, "no"),
            None => self,
        }
    }

    /// The one value that the attribute has, if only one is left.
    #[must_use]
    pub fn value(&self, attribute: Attribute) -> Option<&'static str> {
        let set = self.get(attribute);
        let mut left = attribute.values().iter().enumerate().filter(|(at, _)| set & (1 << at) != 0);
        match (left.next(), left.next()) {
            (Some((_, value)), None) => Some(value),
            _ => None,
        }
    }

    pub(super) fn get(&self, attribute: Attribute) -> Values {
        self.values.get(attribute as usize).copied().unwrap_or_else(|| any(attribute))
    }

    pub(super) fn set(&mut self, attribute: Attribute, values: Values) {
        if let Some(slot) = self.values.get_mut(attribute as usize) {
            *slot = values;
        }
    }
}

/// What a row of a platform's data asks for: for each attribute it names, the values with which it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct When {
    pub(super) asked: Vec<(Attribute, Values)>,
}

/// Whether a row holds in a situation.
enum Holds {
    Always,
    Never,
    /// That depends on this attribute, which is not known well enough.
    Perhaps(Attribute, Values),
}

impl When {
    /// Whether it asks for an attribute.
    pub(super) fn asks(&self, attribute: Attribute) -> bool {
        self.asked.iter().any(|(asked, _)| *asked == attribute)
    }

    fn holds(&self, situation: &Situation) -> Holds {
        let mut open = None;
        for &(attribute, asked) in &self.asked {
            let left = situation.get(attribute);
            if left & asked == 0 {
                return Holds::Never;
            }
            if left & !asked != 0 && open.is_none() {
                open = Some(Holds::Perhaps(attribute, asked));
            }
        }
        open.unwrap_or(Holds::Always)
    }
}

/// What an outcome rests on beyond what was known: the attribute, and the values with which it comes out so.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Condition {
    /// What has to be known.
    pub attribute: Attribute,
    /// The values with which it holds.
    pub values: Vec<String>,
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.attribute.name(), self.values.join(" or "))
    }
}

/// One way through a list of rows in which the first that holds decides: the row (its place in the list), and the situation
/// narrowed to where it is the one that decides.
pub(super) struct Decision {
    pub(super) row: usize,
    pub(super) situation: Situation,
}

/// Every row that decides somewhere in `situation`, in order. Exact: wherever a row depends on something unknown, both cases
/// are followed.
pub(super) fn decide(rows: &[&When], situation: &Situation) -> Vec<Decision> {
    let mut out = Vec::new();
    let mut open = vec![(0, situation.clone())];
    while let Some((start, mut situation)) = open.pop() {
        for (row, when) in rows.iter().enumerate().skip(start) {
            match when.holds(&situation) {
                Holds::Never => {}
                Holds::Always => {
                    out.push(Decision { row, situation });
                    break;
                }
                Holds::Perhaps(attribute, asked) => {
                    let left = situation.get(attribute);
                    let mut otherwise = situation.clone();
                    otherwise.set(attribute, left & !asked);
                    situation.set(attribute, left & asked);
                    open.push((row + 1, otherwise));
                    open.push((row, situation));
                    break;
                }
            }
        }
    }
    out
}

/// Whether `when` holds in all, some or none of `situation`: `Some(true)`, `None`, `Some(false)`.
pub(super) fn holds(when: &When, situation: &Situation) -> Option<bool> {
    match when.holds(situation) {
        Holds::Always => Some(true),
        Holds::Never => Some(false),
        Holds::Perhaps(..) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn when(asked: &[(Attribute, Values)]) -> When {
        When { asked: asked.to_vec() }
    }

    #[test]
    fn unknown_attributes_are_followed_both_ways_and_known_ones_are_not() {
        let proxied = when(&[(Attribute::Proxy, 1), (Attribute::Rules, 2)]);
        let rest = when(&[]);
        let rows = [&proxied, &rest];
        let found: Vec<usize> = decide(&rows, &Situation::unknown()).iter().map(|decision| decision.row).collect();
        assert_eq!(found, [0, 1, 1]);
        let known = Situation::unknown().with(Attribute::Proxy, "no");
        assert_eq!(decide(&rows, &known).len(), 1);
        let known = Situation::unknown().with(Attribute::Proxy, "yes").with(Attribute::Rules, "no");
        assert_eq!(decide(&rows, &known).first().map(|decision| decision.row), Some(0));
    }

    #[test]
    fn every_attribute_fits_its_set_of_values() {
        for attribute in Attribute::ALL {
            assert!(attribute.values().len() < Values::BITS as usize, "{}", attribute.name());
        }
    }
}
