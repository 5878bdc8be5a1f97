//! Traffic paths: for the two ends of a connection, a family and what is known about the host, the hooks that the connection passes,
//! what its header says there, what NAT and a proxy have made of it, and what the platform's own rules do with it. The answers are
//! the platforms' data ([`crate::platform`]); this module turns a policy's rule and its facts into the question. It writes no rules,
//! gives no diagnostics, and names no platform: what people read is the platform's title.

mod bridges;
mod networks;
mod published;
mod situation;
mod verdict;

use crate::net::Family;
use crate::platform::{self, Platform, Possible, Road};
use crate::policy::{Class, Flow, Judgement, Policy};

pub use bridges::may_lead_outside;
pub use networks::{knows_local_networks, local_networks};
pub use published::{
    container, ip6tables, iptables_off, lists_all, may_proxy, on_loopback, owner, ports_unknown, translated,
};
pub use verdict::{PlatformVerdict, Reached, fact_of, forward_policy, reasons, verdict};

/// Which address of the target the client connects to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// An address of the host that other machines can connect to.
    Host,
    /// 127.0.0.0/8 or `::1`.
    Loopback,
    /// The target's own address.
    Own,
}

/// A question about connections from one class to another: those of a rule, in one family.
#[derive(Clone, Copy)]
pub struct Query<'p> {
    /// The policy, with its facts.
    pub policy: &'p Policy,
    /// From where to where.
    pub flow: Flow,
    /// The rule whose connections are meant; `None`: all of the flow.
    pub rule: Option<&'p Judgement>,
    /// The family.
    pub family: Family,
}

impl<'p> Query<'p> {
    /// The platforms that may handle the connection: those of the target, else those of the opener. None if no platform in use has
    /// either end.
    #[must_use]
    pub fn platforms(&self) -> Vec<&'static Platform> {
        let used: Vec<&'static Platform> =
            self.policy.platforms.iter().filter_map(|name| Platform::load(name)).collect();
        let of = |class: Class| -> Vec<&'static Platform> {
            let wanted = platform_class(class);
            used.iter().copied().filter(|one| wanted.is_some() && one.class == wanted).collect()
        };
        let found = of(self.flow.to);
        let found = if found.is_empty() { of(self.flow.from) } else { found };
        let member = self.rule.and_then(|rule| rule.to.member.as_deref());
        match member.and_then(|name| published::owner(self.policy, name)) {
            Some(owner) if found.iter().any(|one| one.name == owner.name) => vec![owner],
            _ => found,
        }
    }

    /// The paths that the connection usually takes: between two networks that lead outside, by addresses of more than one link.
    #[must_use]
    pub fn usual_paths(&self, platform: &'static Platform, address: Address) -> Vec<Possible<'static, Road>> {
        if address == Address::Own && !self.target_may_have_family() {
            return Vec::new();
        }
        platform.roads(&self.usual(platform, address))
    }

    /// Every path that facts do not exclude, also from neighbours on the target's network and from networks without a way out.
    #[must_use]
    pub fn every_path(&self, platform: &'static Platform, address: Address) -> Vec<Possible<'static, Road>> {
        if address == Address::Own && !self.target_may_have_family() {
            return Vec::new();
        }
        platform.roads(&self.every(platform, address))
    }
}

/// What platforms call a class; `None` for the host and what is outside.
fn platform_class(class: Class) -> Option<platform::Class> {
    match class {
        Class::Container => Some(platform::Class::Container),
        Class::Instance => Some(platform::Class::Instance),
        Class::Guest => Some(platform::Class::Guest),
        Class::Outside | Class::Host => None,
    }
}
