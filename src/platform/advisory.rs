//! Versions of a platform whose own rules have a hole that an advisory names.

use crate::facts::release;

/// An advisory that concerns what a platform's rules let through.
#[derive(Clone, Debug)]
pub struct Advisory {
    /// `CVE-2025-54388`.
    pub id: String,
    /// One line, as a sentence about an affected version.
    pub summary: String,
    /// What has to be so on the host for it to matter.
    pub requires: Requirement,
    /// What is open.
    pub opening: Opening,
    /// The statement that closes it.
    pub rule: String,
    /// What else to do.
    pub remedy: String,
    /// Where that is known from.
    pub source: String,
    pub(super) versions: Vec<Versions>,
}

/// What else has to be on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// firewalld runs there: its reload takes the platform's rules away.
    Firewalld,
    /// The daemon is part of a swarm.
    Swarm,
}

/// What an advisory says is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// A container's own address, from other machines.
    DirectFromOutside,
    /// A container's own address, from containers on other networks.
    BetweenNetworks,
    /// The host's VXLAN port, from other machines.
    Vxlan,
}

/// From the first version up to before the second.
#[derive(Clone, Debug)]
pub(super) struct Versions {
    pub(super) first: (u32, u32, u32),
    pub(super) before: (u32, u32, u32),
}

impl Advisory {
    /// Whether a version is affected; `None`: it is not known, or no version.
    #[must_use]
    pub fn affects(&self, version: Option<&str>) -> Option<bool> {
        let version = release(version?)?;
        Some(self.versions.iter().any(|versions| versions.first <= version && version < versions.before))
    }
}
