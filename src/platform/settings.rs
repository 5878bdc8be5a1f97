//! How a platform's daemon is set up, as far as facts say.

use super::Platform;
use super::members::views;
use crate::facts::{Backend, Facts};

/// A daemon's settings; `None`: not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Its version.
    pub version: Option<String>,
    /// Who writes its rules.
    pub backend: Option<Backend>,
    /// Whether it writes rules for IPv4.
    pub rules_ipv4: Option<bool>,
    /// Whether it writes rules for IPv6.
    pub rules_ipv6: Option<bool>,
    /// Whether its proxy runs.
    pub proxy: Option<bool>,
    /// Whether it is part of a swarm.
    pub swarm: Option<bool>,
    /// Whether the facts list all that there is.
    pub complete: bool,
}

/// A platform's settings; `None` if no fact says anything about it.
#[must_use]
pub fn settings(platform: &Platform, facts: &Facts) -> Option<Settings> {
    let view = views(facts).into_iter().find(|view| view.platform == platform.name)?;
    let [rules_ipv4, rules_ipv6] = view.rules;
    Some(Settings {
        version: view.version,
        backend: view.backend,
        rules_ipv4,
        rules_ipv6,
        proxy: view.proxy,
        swarm: view.swarm,
        complete: view.complete,
    })
}
