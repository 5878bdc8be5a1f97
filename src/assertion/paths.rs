//! Paths to a container that the words of a sentence do not show where they are lowered: through the platform's proxy on INPUT and its
//! second connection on OUTPUT, over the loopback interface, to the container's own address, and between neighbours on one bridge,
//! where no hook may see them. Which of them there are is the platform's data.

use crate::lower;
use crate::net::{AddressRange, AddressSet, Card, Family, PortSet, Protocol, address_number};
use crate::netfilter::{Hook, TableKind, Target};
use crate::packet::field::{card_range, name_number};
use crate::packet::{Cube, Field, Universe, Values};
use crate::platform::{Attribute, Condition, Leg, Outcome, Platform};
use crate::policy::{Class, Flow, Judgement, Party, Policy, Published, Traffic, TrafficList};
use crate::span::Location;
use crate::syntax::tree::View;
use crate::traffic::{self, Address, Query, fact_of};

use super::PUBLISHABLE;

/// A way in through a proxy of the platform.
#[derive(Clone, Debug)]
pub(super) struct Proxied {
    /// The platform.
    pub(super) platform: &'static Platform,
    /// The address that the client connects to.
    pub(super) address: Address,
    /// Only clients with link-local addresses come this way.
    pub(super) link_local: bool,
    /// The facts that would say whether there is such a path at all; empty: there is.
    pub(super) facts: Vec<String>,
}

/// Whether an attribute is a setting of the host or of the platform, so that it is one or the other for every connection.
fn is_setting(attribute: Attribute) -> bool {
    matches!(
        attribute,
        Attribute::Version
            | Attribute::Backend
            | Attribute::Rules
            | Attribute::Proxy
            | Attribute::Swarm
            | Attribute::Direct
            | Attribute::ForwardPolicy
            | Attribute::BridgeNetfilter
    )
}

/// The facts on which a path rests.
fn facts(platform: &Platform, conditions: &[Condition], family: Family) -> Vec<String> {
    let settings = conditions.iter().filter(|condition| is_setting(condition.attribute));
    settings.filter_map(|condition| fact_of(platform, condition, family)).collect()
}

/// The ways in through proxies that facts do not exclude, each once.
pub(super) fn proxied(query: &Query<'_>) -> Vec<Proxied> {
    let addresses: &[Address] =
        if query.flow.from == Class::Host { &[Address::Loopback, Address::Host] } else { &[Address::Host] };
    let mut found: Vec<Proxied> = Vec::new();
    for platform in query.platforms() {
        for &address in addresses {
            for path in query.every_path(platform, address) {
                let carried = path.item.steps.iter().any(|step| step.leg == Leg::Proxy);
                // An answer that is lost does not undo what has arrived.
                if !carried || matches!(path.item.outcome, Outcome::Dropped | Outcome::Rejected) {
                    continue;
                }
                let link_local = path
                    .conditions
                    .iter()
                    .any(|one| one.attribute == Attribute::LinkLocal && one.values.iter().all(|value| value == "yes"));
                let facts = facts(platform, &path.conditions, query.family);
                let same = |known: &&mut Proxied| {
                    (known.platform.name == platform.name, known.address, known.link_local)
                        == (true, address, link_local)
                };
                match found.iter_mut().find(same) {
                    Some(known) if known.facts.is_empty() || facts.is_empty() => known.facts.clear(),
                    Some(known) => {
                        for fact in facts {
                            if !known.facts.contains(&fact) {
                                known.facts.push(fact);
                            }
                        }
                    }
                    None => found.push(Proxied { platform, address, link_local, facts }),
                }
            }
        }
    }
    // Where everybody comes this way, so do the neighbours on the link.
    let wide: Vec<Address> = found.iter().filter(|one| !one.link_local).map(|one| one.address).collect();
    found.retain(|one| !one.link_local || !wide.contains(&one.address));
    found
}

/// Ports that clients connect to, and where they lead.
#[derive(Clone, Debug)]
pub(super) struct Dialled {
    /// The traffic at the host address.
    pub(super) traffic: Traffic,
    /// The host address, if it is bound to one.
    pub(super) at: Option<AddressSet>,
    /// The container's ports; `None`: any.
    pub(super) inside: Option<PortSet>,
    /// The container's own addresses; `None`: any.
    own: Option<AddressSet>,
    /// Whether it is known that something is published there.
    pub(super) known: bool,
}

impl Dialled {
    /// The families of the container's own addresses.
    pub(super) fn families(&self) -> impl Iterator<Item = Family> {
        Family::BOTH.into_iter().filter(|family| self.own.as_ref().is_none_or(|own| own.has_family(*family)))
    }
}

/// What a rule to containers means where a proxy takes connections in: what is known to be published, and unless that is all there
/// is, what the words themselves say.
pub(super) fn dialled(policy: &Policy, rule: &Judgement, family: Family) -> Vec<Dialled> {
    let named = rule.to.published.as_deref();
    let mut listed: Vec<Published> = named.unwrap_or(&policy.containers.published).to_vec();
    if rule.from.class == Class::Host {
        let on_loopback = traffic::on_loopback(policy).into_iter();
        listed.extend(on_loopback.filter(|one| rule.to.member.as_ref().is_none_or(|name| *name == one.container)));
    }
    let complete = traffic::lists_all(policy);
    let mut found = Vec::new();
    for one in listed.iter().filter(|one| one.only_family().is_none_or(|only| only == family)) {
        for ports in rule.traffic.iter().filter_map(|traffic| lower::dialled(traffic, one, rule.to.view)) {
            let own = one.address.map(|address| AddressSet::new([AddressRange::single(address)]));
            let at = match (own, &rule.to.at) {
                (Some(own), Some(at)) => Some(own.intersection(at)),
                (own, at) => own.or_else(|| at.clone()),
            };
            if at.as_ref().is_some_and(|at| at.of_family(family).is_empty()) {
                continue;
            }
            found.push(Dialled {
                inside: Some(lower::own_ports(one, &ports)),
                traffic: Traffic { protocol: Some(one.protocol), ports: Some(ports), ..Traffic::ALL },
                at,
                own: lower::own_addresses(policy, &one.container),
                known: true,
            });
        }
    }
    if named.is_some() || complete {
        return found;
    }
    for traffic in rule.traffic.iter().filter(|traffic| traffic.family.is_none_or(|only| only == family)) {
        let protocols: Vec<Protocol> = match traffic.protocol {
            Some(one) => vec![one],
            None => PUBLISHABLE.to_vec(),
        };
        for protocol in protocols.into_iter().filter(|protocol| PUBLISHABLE.contains(protocol)) {
            let ports = traffic.ports.clone().filter(|_| rule.to.view != Some(View::Inside));
            let inside = traffic.ports.clone().filter(|_| rule.to.view == Some(View::Inside));
            let traffic = Traffic { protocol: Some(protocol), ports, ..Traffic::ALL };
            found.push(Dialled { traffic, at: rule.to.at.clone(), inside, own: None, known: false });
        }
    }
    found
}

/// As [`dialled`], for what has to be let through: at ports at which something is known to be published, nothing else is.
pub(super) fn taken_in(policy: &Policy, rule: &Judgement, family: Family) -> Vec<Dialled> {
    let (mut found, unknown): (Vec<Dialled>, Vec<Dialled>) =
        dialled(policy, rule, family).into_iter().partition(|one| one.known);
    let listed = |protocol: Option<Protocol>| {
        let same = found.iter().filter(|known| known.traffic.protocol == protocol && known.at.is_none());
        let ports = same.filter_map(|known| known.traffic.ports.clone());
        ports.fold(PortSet::new([]), |all, ports| all.union(&ports))
    };
    let is_listed = |one: &Dialled| {
        let ports = one.traffic.ports.as_ref();
        ports.is_some_and(|ports| listed(one.traffic.protocol).intersection(ports) == *ports)
    };
    let unlisted: Vec<Dialled> = unknown.into_iter().filter(|one| !is_listed(one)).collect();
    found.extend(unlisted);
    found
}

/// The rule that means, of packets to the host or from it, those that a proxy takes in.
pub(super) fn to_the_proxy(rule: &Judgement, dialled: &Dialled, family: Family) -> (Flow, Judgement) {
    let from = rule.from.class;
    // What the host sends itself is lowered like what it sends away; the interface is put right afterwards.
    let to = if from == Class::Host { Class::Outside } else { Class::Host };
    let mut target = Party::of(to);
    target.addresses = dialled.at.as_ref().map(|at| at.of_family(family));
    let traffic: TrafficList = dialled.traffic.clone().into();
    let rule = Judgement {
        traffic,
        family: Some(family),
        to: target,
        via: rule.via.clone().filter(|_| from == Class::Outside),
        forwarded: false,
        ..rule.clone()
    };
    (Flow { from, to }, rule)
}

/// 127.0.0.0/8 or `::1`.
fn loopback(family: Family) -> Values {
    match family {
        Family::Ipv4 => Values::range((0x7f00_0000, 0x7fff_ffff)),
        Family::Ipv6 => Values::single(1),
    }
}

/// The packets of a region at the first hook of a path through a proxy.
pub(super) fn first_packets(path: &Proxied, from: Class, cube: &Cube, universe: &Universe) -> Option<Cube> {
    let family = universe.family();
    let mut cube = cube.clone();
    if from == Class::Host {
        cube = cube.replaced(Field::OUT_INTERFACE, Some(Values::single(name_number("lo"))));
        cube = cube.replaced(Field::LOCAL, None);
        let destinations = match path.address {
            Address::Loopback => loopback(family),
            _ => universe.complement(Field::DESTINATION, &loopback(family))?,
        };
        cube = cube.with(Field::DESTINATION, destinations)?;
    }
    if path.link_local {
        let first = 0xfe80_u128 << 112;
        cube = cube.with(Field::SOURCE, Values::range((first, first | ((1 << 118) - 1))))?;
    }
    Some(cube)
}

/// What comes back by the loopback interface of what left by it.
pub(super) fn looped(cube: &Cube) -> Cube {
    let lo = Values::single(name_number("lo"));
    cube.replaced(Field::OUT_INTERFACE, None).replaced(Field::IN_INTERFACE, Some(lo))
}

/// The proxy's second connection for packets of a cube, in one family, which need not be the client's.
pub(super) fn second_connection(policy: &Policy, dialled: &Dialled, cube: &Cube, family: Family) -> Option<Cube> {
    let mut second = Cube::all();
    if let Some(protocol) = cube.get(Field::PROTOCOL) {
        second = second.with(Field::PROTOCOL, protocol.clone())?;
    }
    if let Some(cards) = Values::union(policy.cards.container.iter().map(card_range)) {
        second = second.with(Field::OUT_INTERFACE, cards)?;
    }
    if let Some(own) = &dialled.own {
        let own = own.of_family(family);
        let ranges = own.ranges();
        let ranges = ranges.iter().map(|range| (address_number(range.first), address_number(range.last)));
        second = second.with(Field::DESTINATION, Values::union(ranges)?)?;
    }
    if let Some(ports) = &dialled.inside {
        let ports = ports.ranges().iter().map(|range| (u128::from(range.first), u128::from(range.last)));
        second = second.with(Field::DESTINATION_PORT, Values::union(ports)?)?;
    }
    Some(second)
}

/// The hooks that a connection through a proxy passes before the proxy has it.
pub(super) fn hooks(from: Class) -> &'static [Hook] {
    if from == Class::Host { &[Hook::Output, Hook::Input] } else { &[Hook::Input] }
}

/// What a deny of published ports means at the containers' own addresses, where its words do not show it.
pub(super) fn to_own_addresses(policy: &Policy, rule: &Judgement) -> Vec<Judgement> {
    let own = lower::at_own_addresses(policy, rule).into_iter();
    let mut found: Vec<Judgement> = own.map(|own| own.judgement(policy, rule)).collect();
    // Whoever names no port means every port of a container.
    if rule.to.published.is_some() && rule.to.view.is_none() {
        for direct in &mut found {
            let mut whole = rule.traffic.iter().filter(|asked| asked.ports.is_none()).cloned().peekable();
            if whole.peek().is_some() {
                direct.traffic = whole.chain(direct.traffic.iter().cloned()).collect::<Vec<_>>().into();
            }
        }
    }
    found
}

/// The own addresses of containers that publish what no fact lists: any of their ports may be meant.
pub(super) fn to_unlisted_addresses(policy: &Policy, rule: &Judgement) -> Option<Judgement> {
    let target = &rule.to;
    if target.published.is_some() || target.view.is_some() || target.at.is_some() || traffic::lists_all(policy) {
        return None;
    }
    let listed = |protocol: Protocol, ports: &PortSet| {
        let everywhere = policy
            .containers
            .published
            .iter()
            .filter(|one| one.protocol == protocol && one.address.is_none() && one.family.is_none());
        let all = PortSet::new(everywhere.map(|one| one.ports));
        all.intersection(ports) == *ports
    };
    let mut traffic: Vec<Traffic> = Vec::new();
    for asked in rule.traffic.iter() {
        let Some(ports) = &asked.ports else { continue };
        let protocols = asked.protocol.map_or_else(|| PUBLISHABLE.to_vec(), |one| vec![one]);
        for protocol in protocols.into_iter().filter(|protocol| PUBLISHABLE.contains(protocol)) {
            if !listed(protocol, ports) {
                traffic.push(Traffic { protocol: Some(protocol), ports: None, family: asked.family, icmp: None });
            }
        }
    }
    let mut direct = Judgement { traffic: traffic.into(), ..rule.clone() };
    direct.to.view = Some(View::Direct);
    (!direct.traffic.is_empty()).then_some(direct)
}

/// A path that passes no hook of the host.
pub(super) enum Unseen {
    /// Between neighbours on one bridge.
    Bridged {
        /// The platform's title.
        title: &'static str,
        /// The facts that would say whether there is one.
        facts: Vec<String>,
    },
    /// To or from containers on this macvlan or ipvlan network.
    OffBridge(String),
    /// Between guests' bridge ports and others, which iptables sees by bridge netfilter alone: the fact that says that it is on.
    Ports(&'static str),
    /// From outside to instances on a bridge that may have the uplink among its ports, or the other way round.
    Uplink(String),
    /// To a guest whose address is not known, by a bridge that has chosen no port yet where iptables looks: from the host, or routed by it.
    NoPort {
        /// The fact that says whether the host routes at all, for what comes from elsewhere.
        routes: Option<&'static str>,
    },
    /// To another port than the client connects to, perhaps, by this line of a `chain` block.
    Translated(Location),
}

/// Whether connections may pass no hook at all.
pub(super) fn unseen(query: &Query<'_>, rule: &Judgement, target: Target) -> Option<Unseen> {
    let of_guests = || (target == Target::Iptables).then(|| at_ports(query, rule)).flatten();
    bridged(query, rule)
        .or_else(|| off_bridge(query, rule))
        .or_else(of_guests)
        .or_else(|| by_uplink(query, rule))
        .or_else(|| translated(query, rule))
}

/// Where a line of a `chain` block may lead what is denied by its port or its address elsewhere, before the rules that deny it look. The ports
/// that `redirect` and `forward` lead away from are compared as the client knows them.
fn translated(query: &Query<'_>, rule: &Judgement) -> Option<Unseen> {
    let Flow { from, to } = query.flow;
    let by_port = rule.traffic.iter().any(|traffic| traffic.ports.is_some());
    let by_address = rule.to.addresses.is_some() || rule.to.at.is_some();
    if !matches!(to, Class::Host | Class::Outside) || !(by_port || by_address) {
        return None;
    }
    let hook = if from == Class::Host { Hook::Output } else { Hook::Prerouting };
    let chains = query.policy.raw.iter();
    let mut translating =
        chains.filter(|raw| &*raw.table == TableKind::Nat.name() && raw.hook.eq_ignore_ascii_case(hook.chain()));
    translating.find_map(|raw| raw.lines.first()).map(|(_, location)| Unseen::Translated(*location))
}

/// Where no fact says that bridge netfilter is on, what a guest's bridge port sends to the host may look to iptables like something from
/// outside: what stops that stops it, too.
pub(super) fn taken_for_outside(query: &Query<'_>, rule: &Judgement, target: Target) -> Option<Unseen> {
    let from_outside = query.policy.flows.get(&Flow { from: Class::Outside, to: Class::Host });
    let is_stopped = from_outside.into_iter().flatten().any(|one| one.action.stops());
    let guest_to_host = query.flow == Flow { from: Class::Guest, to: Class::Host };
    (guest_to_host && target == Target::Iptables && is_stopped).then(|| at_ports(query, rule)).flatten()
}

/// What comes by the uplink of an instance's own bridge.
fn by_uplink(query: &Query<'_>, rule: &Judgement) -> Option<Unseen> {
    let instance = match (query.flow.from, query.flow.to) {
        (Class::Outside, Class::Instance) => &rule.to,
        (Class::Instance, Class::Outside) => &rule.from,
        _ => return None,
    };
    let meant =
        |card: &&Card| instance.cards.as_ref().is_none_or(|cards| cards.cards.contains(card) != cards.complement);
    let card = traffic::may_lead_outside(query.policy).into_iter().find(meant)?;
    Some(Unseen::Uplink(card.to_string()))
}

/// To or from guests on ports of a bridge of the host's own, as iptables sees them. A bridge table of nft sees every port.
fn at_ports(query: &Query<'_>, rule: &Judgement) -> Option<Unseen> {
    let Flow { from, to } = query.flow;
    let facts = &query.policy.facts;
    if query.policy.cards.guest_ports.is_empty() {
        return None;
    }
    let by_port = matches!(
        (from, to),
        (Class::Outside | Class::Guest, Class::Guest) | (Class::Guest, Class::Outside | Class::Host)
    );
    if by_port && query.bridge_netfilter() != Some(true) {
        return Some(Unseen::Ports(match query.family {
            Family::Ipv4 => "sysctls.net.bridge.bridge-nf-call-iptables",
            Family::Ipv6 => "sysctls.net.bridge.bridge-nf-call-ip6tables",
        }));
    }
    let (setting, fact) = match query.family {
        Family::Ipv4 => ("net.ipv4.ip_forward", "sysctls.net.ipv4.ip_forward"),
        Family::Ipv6 => ("net.ipv6.conf.all.forwarding", "sysctls.net.ipv6.conf.all.forwarding"),
    };
    let is_off = facts.sysctls.get(setting).is_some_and(|value| value == "0");
    match from {
        _ if to != Class::Guest || rule.to.addresses.is_some() => None,
        Class::Host => Some(Unseen::NoPort { routes: None }),
        Class::Outside if !is_off => Some(Unseen::NoPort { routes: Some(fact) }),
        _ => None,
    }
}

/// Between members of one class on one bridge.
fn bridged(query: &Query<'_>, rule: &Judgement) -> Option<Unseen> {
    let Flow { from, to } = query.flow;
    if from != to || !matches!(from, Class::Container | Class::Instance | Class::Guest) {
        return None;
    }
    let on_port = |party: &Party| {
        let ports = &query.policy.cards.guest_ports;
        let cards = party.cards.as_ref().filter(|cards| !cards.complement);
        cards.is_some_and(|cards| cards.cards.iter().all(|card| ports.contains(card)))
    };
    if on_port(&rule.from) && on_port(&rule.to) {
        return None;
    }
    // Who is on a bridge port of the host's own is judged there: `at_ports` has what iptables sees of it.
    let mut bridges = query.platforms().into_iter().filter(|platform| platform.ports.is_empty());
    bridges.find_map(|platform| {
        let paths = query.every_path(platform, Address::Own);
        let hidden = paths.iter().find(|path| path.item.steps.is_empty() && path.item.outcome == Outcome::Delivered)?;
        Some(Unseen::Bridged { title: &platform.title, facts: facts(platform, &hidden.conditions, query.family) })
    })
}

/// By a network that facts name, on an interface of the host past its bridges. Containers of it have no published ports.
fn off_bridge(query: &Query<'_>, rule: &Judgement) -> Option<Unseen> {
    let Flow { from, to } = query.flow;
    let ends = [(from, &rule.from), (to, &rule.to)];
    let on_any_network = |(class, party): &(Class, &Party)| match class {
        Class::Outside => true,
        Class::Container => {
            party.cards.is_none() && party.addresses.is_none() && party.member.is_none() && party.at.is_none()
        }
        _ => false,
    };
    let container = ends.iter().any(|(class, _)| *class == Class::Container);
    if !container || rule.to.view == Some(View::Inside) || !ends.iter().all(on_any_network) {
        return None;
    }
    let facts = &query.policy.facts;
    let docker = facts.docker.iter().map(|docker| (&docker.networks, &docker.containers, docker.complete));
    let podman = facts.podman.iter().map(|podman| (&podman.networks, &podman.containers, podman.complete));
    docker.chain(podman).find_map(|(networks, containers, complete)| {
        let used = |name: &String| !complete || containers.values().any(|one| one.networks.contains(name));
        let off = networks.iter().filter(|(_, one)| one.is_off_bridge());
        let (name, _) = off.into_iter().find(|(name, _)| used(name))?;
        Some(Unseen::OffBridge(name.clone()))
    })
}
