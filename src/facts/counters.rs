//! What a listing of the running host counted for rules of ours. It says nothing about what the host is: no rule and no proof rests on it,
//! and a policy cannot say it. It is there to be shown beside the rules.

use serde::{Deserialize, Serialize};

use crate::net::Family;
use crate::netfilter::TableKind;
use crate::span::Location;

/// What the kernel counted for one rule, as `iptables-save -c` and `ip6tables-save -c` list it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CounterFact {
    /// Which of the two programs listed it.
    pub family: CountedFamily,
    /// The table that it stands in.
    pub table: CountedTable,
    /// The rule as it is listed, without the counters before it: `-A CHAIN …`.
    pub rule: String,
    /// Packets that matched it.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Where it is said.
    #[serde(skip)]
    pub location: Option<Location>,
}

/// The family of a counted rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum CountedFamily {
    /// Listed by `iptables-save`.
    Ipv4,
    /// Listed by `ip6tables-save`.
    Ipv6,
}

/// The table of a counted rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum CountedTable {
    /// raw.
    Raw,
    /// mangle.
    Mangle,
    /// nat.
    Nat,
    /// filter.
    Filter,
    /// security.
    Security,
}

impl CounterFact {
    /// The chain, and the words of the rule behind it.
    #[must_use]
    pub fn parts(&self) -> Option<(&str, &str)> {
        let (chain, words) = self.rule.strip_prefix("-A ")?.split_once(' ').unwrap_or((self.rule.get(3..)?, ""));
        (!chain.is_empty() && !chain.starts_with('-')).then_some((chain, words))
    }
}

impl CountedFamily {
    /// As the rest of the program calls it.
    #[must_use]
    pub fn family(self) -> Family {
        match self {
            Self::Ipv4 => Family::Ipv4,
            Self::Ipv6 => Family::Ipv6,
        }
    }
}

impl CountedTable {
    /// As the rest of the program calls it.
    #[must_use]
    pub fn kind(self) -> TableKind {
        match self {
            Self::Raw => TableKind::Raw,
            Self::Mangle => TableKind::Mangle,
            Self::Nat => TableKind::Nat,
            Self::Filter => TableKind::Filter,
            Self::Security => TableKind::Security,
        }
    }
}
