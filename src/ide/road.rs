//! Which way the connections of a statement go through the host, by what is known of its platform.

use std::fmt::Write as _;

use crate::check::direct::roads_to;
use crate::facts::{Backend, DockerFact, DockerNetwork, ForwardPolicy};
use crate::net::{Family, Protocol};
use crate::platform::{
    self, Attribute, Condition, Interface, Leg, Outcome, Platform, Possible, Road, Situation, Step, family_name,
};
use crate::policy::{Class, Flow, Judgement, Policy};
use crate::syntax::tree::View;

/// Roads that are shown of one flow.
const MOST_ROADS: usize = 5;

/// The ways of one judgement's connections in a family, one a line of Markdown, the certain ones first; the name of the platform whose data
/// says so. `None`: no platform has a say.
pub(super) fn ways(
    policy: &Policy,
    flow: Flow,
    judgement: &Judgement,
    family: Family,
) -> Option<(&'static str, String)> {
    let platform = platform_of(policy, flow)?;
    let roads: Vec<Possible<'static, Road>> = if judgement.to.view == Some(View::Direct) {
        roads_to(policy, judgement, family)
    } else {
        platform.roads(&situation(policy, platform, flow, judgement, family))
    };
    // What is lost on its way whatever the rules say is left out, where there is anything else.
    let lost = |road: &&Possible<'static, Road>| !matches!(road.item.outcome, Outcome::Lost | Outcome::Hangs);
    let mut arriving: Vec<&Possible<'static, Road>> = roads.iter().filter(lost).collect();
    if arriving.is_empty() {
        arriving.extend(&roads);
    }
    let mut shown: Vec<(&Road, Vec<String>)> = Vec::new();
    for road in arriving {
        let conditions = road.conditions.iter().map(condition).collect::<Vec<_>>().join(", ");
        match shown.iter_mut().find(|(known, _)| alike(known, road.item)) {
            Some((_, cases)) => cases.push(conditions),
            None => shown.push((road.item, vec![conditions])),
        }
    }
    let mut out = String::new();
    for (road, cases) in shown.iter().take(MOST_ROADS) {
        let _ = write!(out, "- {}", way(road));
        if cases.iter().all(|case| !case.is_empty()) {
            match cases.len() {
                1 | 2 => drop(write!(out, ", if {}", cases.join("; or "))),
                more => drop(write!(out, ", in {more} cases of what is not known")),
            }
        }
        out.push('\n');
    }
    if shown.len() > MOST_ROADS {
        let _ = writeln!(out, "- and {} more", shown.len() - MOST_ROADS);
    }
    (!out.is_empty()).then_some((platform.title.as_str(), out))
}

/// What a road rests on, in words.
fn condition(condition: &Condition) -> String {
    let values = condition.values.join(" or ");
    let yes = values == "yes";
    match condition.attribute {
        Attribute::Version => format!("its version is {values}"),
        Attribute::Backend => format!("the backend is {values}"),
        Attribute::Rules => format!("it writes {} for the family", if yes { "rules" } else { "no rules" }),
        Attribute::Proxy => format!("its proxy {}", if yes { "runs" } else { "is off" }),
        Attribute::TargetFamily => {
            format!("the target has {} of the family", if yes { "an address" } else { "no address" })
        }
        Attribute::Mode => format!("the gateway mode is {values}"),
        Attribute::ForwardPolicy => format!("the policy of FORWARD is {values}"),
        Attribute::EveryAddress => {
            format!("it is published on {}", if yes { "every address" } else { "some addresses" })
        }
        Attribute::Swarm => format!("the daemon is {}", if yes { "in a swarm" } else { "in no swarm" }),
        _ => condition.to_string(),
    }
}

/// Whether two roads look the same to a reader.
fn alike(a: &Road, b: &Road) -> bool {
    a.steps == b.steps && a.outcome == b.outcome && a.by == b.by
}

/// The platform that has a say: the target's, else the opener's, else the host itself.
fn platform_of(policy: &Policy, flow: Flow) -> Option<&'static Platform> {
    let of = |class: Class| {
        let wanted = match class {
            Class::Container => platform::Class::Container,
            Class::Instance => platform::Class::Instance,
            Class::Guest => platform::Class::Guest,
            Class::Outside | Class::Host => return None,
        };
        let used = policy.platforms.iter().filter_map(|name| Platform::load(name));
        used.into_iter().find(|platform| platform.class == Some(wanted))
    };
    of(flow.to).or_else(|| of(flow.from)).or_else(|| Platform::load("host"))
}

fn situation(policy: &Policy, platform: &Platform, flow: Flow, judgement: &Judgement, family: Family) -> Situation {
    // The ordinary case: two networks that lead outside, and addresses of more than one link.
    let mut at = Situation::unknown()
        .with(Attribute::Family, family_name(family))
        .with(Attribute::Internal, "no")
        .with(Attribute::LinkLocal, "no")
        .with(Attribute::OriginFamily, "yes")
        .with(Attribute::OwnSubnet, "no");
    if let [one] = &*judgement.traffic
        && let Some(protocol) = one.protocol
    {
        let name = match protocol {
            Protocol::TCP => "tcp",
            Protocol::UDP => "udp",
            _ => "other",
        };
        at = at.with(Attribute::Protocol, name);
    }
    at = match flow.from {
        Class::Outside => at.with(Attribute::From, "outside"),
        Class::Host => at.with(Attribute::From, "host"),
        Class::Container | Class::Instance | Class::Guest => at.with(Attribute::From, "other-bridge"),
    };
    at = match flow.to {
        Class::Outside => at.with(Attribute::To, "outside"),
        Class::Host => at.with(Attribute::To, "host").with(Attribute::Publish, "no"),
        // By a published port, at an address of the host.
        Class::Container => at.with(Attribute::To, "host").with(Attribute::Publish, "yes"),
        Class::Instance | Class::Guest => at.with(Attribute::To, "inside"),
    };
    at = match (family, policy.facts.forward_policy_ipv4, policy.facts.forward_policy_ipv6) {
        (Family::Ipv4, Some(ForwardPolicy::Accept), _) | (Family::Ipv6, _, Some(ForwardPolicy::Accept)) => {
            at.with(Attribute::ForwardPolicy, "accept")
        }
        (Family::Ipv4, Some(ForwardPolicy::Drop), _) | (Family::Ipv6, _, Some(ForwardPolicy::Drop)) => {
            at.with(Attribute::ForwardPolicy, "drop")
        }
        _ => at,
    };
    if let Some(network) = network_of(policy, judgement) {
        let mode = if family == Family::Ipv4 { &network.gateway_mode_ipv4 } else { &network.gateway_mode_ipv6 };
        let has = if family == Family::Ipv4 { Some(true) } else { network.ipv6 };
        // A network that is known and says nothing of its mode has the ordinary one.
        at = at.with(Attribute::Mode, mode.as_deref().unwrap_or("nat")).with_known(Attribute::TargetFamily, has);
    }
    match &policy.facts.docker {
        Some(docker) if platform.name == "docker" => of_daemon(at, platform, docker, family),
        _ => at,
    }
}

/// What is known of Docker's daemon.
fn of_daemon(mut at: Situation, platform: &Platform, docker: &DockerFact, family: Family) -> Situation {
    if let Some(version) = &docker.version {
        at = platform.with_version(at, version);
    }
    at = match docker.firewall_backend {
        Some(Backend::Nftables) => at.with(Attribute::Backend, "nftables"),
        Some(Backend::Iptables) => at.with(Attribute::Backend, "iptables"),
        None => at,
    };
    let rules = if family == Family::Ipv4 { docker.iptables } else { docker.ip6tables };
    at.with_known(Attribute::Proxy, docker.userland_proxy)
        .with_known(Attribute::Rules, rules)
        .with_known(Attribute::Swarm, docker.swarm)
}

/// The network of the one container that is meant, if it has one bridge and no more.
fn network_of<'p>(policy: &'p Policy, judgement: &Judgement) -> Option<&'p DockerNetwork> {
    let (_, container) = policy.facts.container(judgement.to.member.as_deref()?)?;
    let [name] = container.networks.as_slice() else { return None };
    let docker = policy.facts.docker.iter().find_map(|docker| docker.networks.get(name));
    let network = docker.or_else(|| policy.facts.podman.iter().find_map(|podman| podman.networks.get(name)))?;
    (network.driver.as_deref().is_none_or(|driver| driver == "bridge") && !network.internal).then_some(network)
}

/// One road in words: its hooks, and what becomes of the connection.
fn way(road: &Road) -> String {
    let steps: Vec<String> = road.steps.iter().map(step).collect();
    let path = if steps.is_empty() { "no filter hook sees it".to_owned() } else { steps.join(", then ") };
    let by = road.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
    let end = match road.outcome {
        Outcome::Delivered => "delivered",
        Outcome::Host => "to the host's own sockets",
        Outcome::Dropped => "dropped",
        Outcome::Rejected => "rejected",
        Outcome::Lost => "lost",
        Outcome::Hangs => "never answered",
        Outcome::Unanswered => "delivered, but its answer does not come back",
    };
    format!("{path}: {end}{by}")
}

fn step(step: &Step) -> String {
    let card = |card: Interface| match card {
        Interface::Arrival => "the card of arrival",
        Interface::Bridge => "the bridge",
        Interface::Loopback => "`lo`",
        Interface::Departure => "the card of departure",
        Interface::Parent => "the parent card",
        Interface::SwarmBridge => "Swarm's bridge",
    };
    let mut out = format!("**{}**", step.hook.chain());
    match (step.input.map(card), step.output.map(card)) {
        (Some(input), Some(output)) => drop(write!(out, " from {input} to {output}")),
        (Some(input), None) => drop(write!(out, " from {input}")),
        (None, Some(output)) => drop(write!(out, " to {output}")),
        (None, None) => {}
    }
    match step.leg {
        Leg::Proxy => out.push_str(" (the proxy's own connection)"),
        Leg::Stray => out.push_str(" (an answer that is taken for a connection)"),
        Leg::Client if step.translated() => out.push_str(" (already translated)"),
        Leg::Client => {}
    }
    out
}
