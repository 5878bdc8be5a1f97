//! What a policy's rule and its facts say about each attribute that a platform's data may ask for.

use super::published::{container, ip6tables, iptables_off};
use super::{Address, Query};
use crate::facts::{AcceptedMark, Backend, DockerNetwork, ForwardPolicy, GatewayMode, PublishedPort};
use crate::net::{Card, Family, PortSet, Protocol};
use crate::platform::{Attribute, Platform, Situation, family_name, settings};
use crate::policy::{ChangeKind, Class, Judgement, Policy};

impl Query<'_> {
    /// What is so unless something unusual was set up.
    pub(super) fn usual(&self, platform: &Platform, address: Address) -> Situation {
        let at = self.common(platform, address).with(Attribute::LinkLocal, "no");
        let at = match self.flow.from {
            // To the target's platform, another platform's bridge is an interface like any other.
            Class::Container | Class::Instance | Class::Guest
                if self.flow.from != self.flow.to && !matches!(self.flow.to, Class::Outside | Class::Host) =>
            {
                at.with(Attribute::From, "outside")
            }
            Class::Container | Class::Instance | Class::Guest => at.with(Attribute::From, "other-bridge"),
            Class::Outside | Class::Host => at,
        };
        let at = match self.flow.to {
            Class::Container if address != Address::Own => at.with(Attribute::Publish, "yes"),
            _ => at,
        };
        let at = match self.networks().as_slice() {
            [one] => at.with_known(Attribute::Internal, Some(one.internal)),
            _ => at.with(Attribute::Internal, "no"),
        };
        at.with(Attribute::OriginFamily, "yes")
            .with(Attribute::OwnSubnet, "no")
            .with_known(Attribute::Rules, self.writes_rules(platform))
    }

    /// Nothing but what facts say.
    pub(super) fn every(&self, platform: &Platform, address: Address) -> Situation {
        let at = self.common(platform, address);
        let at = match self.flow.from {
            Class::Container | Class::Instance | Class::Guest if self.flow.from != self.flow.to || self.apart() => {
                at.among(Attribute::From, &["other-bridge", "internal"])
            }
            Class::Container | Class::Instance | Class::Guest => {
                at.among(Attribute::From, &["other-bridge", "same-bridge", "internal"])
            }
            Class::Outside | Class::Host => at,
        };
        let at = match self.flow.to {
            Class::Container if address != Address::Own => at.among(Attribute::Publish, &["yes", "ingress"]),
            _ => at,
        };
        let at = match self.networks().as_slice() {
            [one] => at.with_known(Attribute::Internal, Some(one.internal)).with_known(Attribute::Icc, one.icc),
            _ => at,
        };
        // Networks without IPv4 are not what fwc takes for granted.
        let at = if self.family == Family::Ipv4 { at.with(Attribute::TargetFamily, "yes") } else { at };
        let rules = settings(platform, &self.policy.facts).and_then(|settings| match self.family {
            Family::Ipv4 => settings.rules_ipv4,
            Family::Ipv6 => settings.rules_ipv6,
        });
        // A daemon that writes no rules for IPv4 is not what fwc takes for granted; IPv6 differs by version.
        let rules = rules.or((self.family == Family::Ipv4).then_some(true));
        at.with_known(Attribute::Rules, rules).with_known(Attribute::BridgeNetfilter, self.bridge_netfilter())
    }

    /// What is known in either case.
    fn common(&self, platform: &Platform, address: Address) -> Situation {
        let facts = &self.policy.facts;
        let mut at = Situation::unknown().with(Attribute::Family, family_name(self.family));
        at = match self.flow.from {
            Class::Outside => at.with(Attribute::From, "outside"),
            Class::Host => at.with(Attribute::From, "host"),
            Class::Container | Class::Instance | Class::Guest => at,
        };
        at = match (self.flow.to, address) {
            (Class::Outside, _) => at.with(Attribute::To, "outside"),
            (Class::Host, _) => at.with(Attribute::To, "host").with(Attribute::Publish, "no"),
            (_, Address::Loopback) => at.with(Attribute::To, "loopback"),
            (Class::Container, Address::Host) => at.with(Attribute::To, "host"),
            _ => at.with(Attribute::To, "inside").with(Attribute::Publish, "no").with(Attribute::TargetFamily, "yes"),
        };
        let forward = match self.family {
            Family::Ipv4 => facts.forward_policy_ipv4,
            Family::Ipv6 => facts.forward_policy_ipv6,
        };
        at = match forward {
            Some(ForwardPolicy::Accept) => at.with(Attribute::ForwardPolicy, "accept"),
            Some(ForwardPolicy::Drop) => at.with(Attribute::ForwardPolicy, "drop"),
            None => at,
        };
        if let Some(settings) = settings(platform, facts) {
            if let Some(version) = &settings.version {
                at = platform.with_version(at, version);
            }
            at = match settings.backend {
                Some(Backend::Nftables) => at.with(Attribute::Backend, "nftables"),
                Some(Backend::Iptables) => at.with(Attribute::Backend, "iptables"),
                None => at,
            };
            at = at.with_known(Attribute::Proxy, settings.proxy).with_known(Attribute::Swarm, settings.swarm);
        }
        let Some(rule) = self.rule else { return at };
        if let [one] = &*rule.traffic
            && let Some(protocol) = one.protocol
        {
            at = at.with(Attribute::Protocol, protocol_name(protocol));
        }
        let networks = self.networks();
        if let [network] = networks.as_slice() {
            // A network that is known and says nothing of its mode has the ordinary one.
            at = at.with(Attribute::Mode, network.gateway_mode(self.family).unwrap_or(&GatewayMode::Nat).name());
            if address != Address::Own && self.flow.to == Class::Container {
                let has = if self.family == Family::Ipv4 { Some(true) } else { network.ipv6 };
                at = at.with_known(Attribute::TargetFamily, has);
            }
        }
        if self.flow.to == Class::Container && address == Address::Own {
            let opened = opened(self.policy, rule);
            at = at.with_known(Attribute::Opened, opened);
            at = at.with_known(Attribute::Marked, Some(marked(self.policy)));
            at = at.with_known(Attribute::Direct, routed(self.policy, rule, &networks));
        }
        at
    }

    /// The networks that the rule's target is on, as far as they are known.
    pub(super) fn networks(&self) -> Vec<&DockerNetwork> {
        let Some(rule) = self.rule.filter(|_| self.flow.to == Class::Container) else { return Vec::new() };
        networks(self.policy, rule)
    }

    /// Whether the target may have an address of the family.
    pub(super) fn target_may_have_family(&self) -> bool {
        if let Some(addresses) = self.rule.and_then(|rule| rule.to.addresses.as_ref()) {
            return !addresses.of_family(self.family).is_empty();
        }
        let networks = self.networks();
        self.family == Family::Ipv4 || networks.is_empty() || networks.iter().any(|one| one.ipv6 != Some(false))
    }

    /// Whether the platform writes rules for the family: as facts say, else by its version.
    fn writes_rules(&self, platform: &Platform) -> Option<bool> {
        if settings(platform, &self.policy.facts).is_none() || !platform.has_proxy() {
            return (self.family == Family::Ipv4).then_some(true);
        }
        match self.family {
            _ if iptables_off(self.policy) => Some(false),
            Family::Ipv4 => Some(true),
            Family::Ipv6 => ip6tables(self.policy),
        }
    }

    /// Whether both ends are known to be on different networks.
    fn apart(&self) -> bool {
        let Some(rule) = self.rule else { return false };
        let of = |name: Option<&str>| name.and_then(|name| container(self.policy, name));
        match (of(rule.from.member.as_deref()), of(rule.to.member.as_deref())) {
            (Some((from, _)), Some((to, _))) => !from.networks.iter().any(|network| to.networks.contains(network)),
            _ => false,
        }
    }

    /// Whether bridged packets pass the hooks of the IP tables: by the kernel's setting, or by what the platform needs.
    #[must_use]
    pub fn bridge_netfilter(&self) -> Option<bool> {
        let name = match self.family {
            Family::Ipv4 => "net.bridge.bridge-nf-call-iptables",
            Family::Ipv6 => "net.bridge.bridge-nf-call-ip6tables",
        };
        let set = self.policy.facts.sysctls.get(name).map(|value| value == "1");
        let docker = self.policy.facts.docker.as_ref();
        let needed = docker.and_then(|docker| docker.userland_proxy) == Some(false) && !iptables_off(self.policy);
        set.or(needed.then_some(true))
    }
}

fn protocol_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::TCP => "tcp",
        Protocol::UDP => "udp",
        _ => "other",
    }
}

/// The networks that a rule's target is on, as far as they are known.
fn networks<'p>(policy: &'p Policy, rule: &Judgement) -> Vec<&'p DockerNetwork> {
    let named = rule.to.member.as_deref().and_then(|name| container(policy, name));
    let docker = policy.facts.docker.iter().flat_map(|docker| docker.networks.values());
    let of_bridge = docker.filter(|network| {
        let bridge = network.bridge.as_ref().map(|bridge| Card::exact(bridge.clone()));
        rule.to.cards.as_ref().is_some_and(|cards| bridge.is_some_and(|bridge| *cards.cards == [bridge]))
    });
    named.map_or_else(|| of_bridge.collect(), |(_, networks)| networks)
}

/// Whether packets straight to containers are let through: by the daemon's settings, or for the interfaces that the rule names.
fn routed(policy: &Policy, rule: &Judgement, networks: &[&DockerNetwork]) -> Option<bool> {
    let docker = policy.facts.docker.as_ref();
    let allowed = docker.and_then(|docker| docker.allow_direct_routing);
    let raw = docker.and_then(|docker| docker.raw_rules);
    if allowed == Some(true) || raw == Some(false) {
        return Some(true);
    }
    let trusted: Vec<Card> = networks
        .iter()
        .flat_map(|network| &network.trusted_host_interfaces)
        .map(|name| Card::exact(name.clone()))
        .collect();
    let cards = rule.via.as_ref().or(rule.from.cards.as_ref()).filter(|cards| !cards.complement);
    match cards {
        Some(cards) if cards.cards.iter().all(|card| trusted.contains(card)) => Some(true),
        Some(cards) if !cards.cards.iter().any(|card| trusted.contains(card)) && !networks.is_empty() => Some(false),
        _ if !trusted.is_empty() || networks.is_empty() => None,
        // Both are off unless somebody turned them on: the version's own default is what a known network has.
        _ => Some(false),
    }
}

/// Whether a publish leads to every port that the rule names, or to none.
fn opened(policy: &Policy, rule: &Judgement) -> Option<bool> {
    let (container, _) = container(policy, rule.to.member.as_deref()?)?;
    let mut open = Vec::new();
    for traffic in rule.traffic.iter() {
        let Some(ports) = &traffic.ports else {
            if container.ports.is_empty() {
                open.push(false);
                continue;
            }
            return None;
        };
        let own = container
            .ports
            .iter()
            .filter(|port| traffic.protocol.is_some_and(|one| Some(one) == Protocol::by_name(&port.protocol)));
        let own = PortSet::new(own.map(PublishedPort::container_ports));
        let both = ports.intersection(&own);
        match (both == *ports, both.is_empty()) {
            (true, _) => open.push(true),
            (_, true) => open.push(false),
            _ => return None,
        }
    }
    match (open.contains(&true), open.contains(&false)) {
        (true, false) => Some(true),
        (false, true) => Some(false),
        _ => None,
    }
}

/// The platform accepts a mark, and the policy sets it on traffic to containers.
fn marked(policy: &Policy) -> bool {
    let accepted = policy.facts.docker.as_ref().and_then(|docker| docker.bridge_accept_fwmark.as_deref());
    let Some(accepted) = accepted.and_then(AcceptedMark::parse) else { return false };
    policy.changes.iter().any(|change| {
        change.flow.to == Class::Container && matches!(change.kind, ChangeKind::Mark(set) if accepted.covers(set))
    })
}
