//! The words that see, at a hook, what a judgement means: for each seat (a hook and the road that leads there) a judgement
//! becomes a list of alternatives, each a conjunction of matches.

use std::net::IpAddr;
use std::sync::Arc;

use smallvec::{SmallVec, smallvec};
use thin_vec::thin_vec;

use crate::names::icmp::{self, TrackedAs};
use crate::net::{AddressRange, AddressSet, Card, Family, PortRange, PortSet, Protocol};
use crate::netfilter::{Hook, Match, MatchKind, SetField, State, TableFamily, TableKind, Verdict, entry};
use crate::policy::{Action, CardSet, Class, Flow, Judgement, Party, Policy, Published, Traffic};
use crate::syntax::tree::View;

use super::own_address::at_own_address;

/// The host's connections to containers, by what OUTPUT sees of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostLeg {
    /// Sent to a published port at an address of the host.
    Published,
    /// Sent to the container's own address, as docker-proxy's connections are.
    OwnAddress,
}

/// Where a judgement's rules stand.
#[derive(Clone, Debug)]
pub struct Seat {
    /// The hook.
    pub hook: Hook,
    /// The table.
    pub table: TableKind,
    /// Its family.
    pub family: TableFamily,
    /// The flow that is judged.
    pub flow: Flow,
    /// Traffic to containers that docker-proxy takes in on INPUT, at the published port.
    pub proxied: bool,
    /// On OUTPUT, towards containers: which of the host's connections.
    pub leg: Option<HostLeg>,
    /// Frames between bridge ports, seen with their ports.
    pub bridged: bool,
    /// What an allow says here.
    pub allow: Verdict,
    /// Only these families come here.
    pub families: Vec<Family>,
    /// Whether ports must be compared as they were before our own destination NAT.
    pub translated: bool,
}

impl Seat {
    /// A seat at a hook of the inet tables, for both families, where an allow accepts.
    #[must_use]
    pub fn new(hook: Hook, table: TableKind, flow: Flow) -> Self {
        Self {
            hook,
            table,
            family: TableFamily::Inet,
            flow,
            proxied: false,
            leg: None,
            bridged: false,
            allow: Verdict::Accept,
            families: Family::BOTH.to_vec(),
            translated: false,
        }
    }

    /// REJECT exists in filter tables alone.
    #[must_use]
    pub fn can_reject(&self) -> bool {
        self.table == TableKind::Filter
    }

    /// Whether the same clients come by another hook of this table as well, so that both count together: to what a container publishes
    /// they come by NAT and FORWARD, or by docker-proxy and INPUT.
    #[must_use]
    pub fn counts_with_others(&self) -> bool {
        let filter = self.table == TableKind::Filter && self.family == TableFamily::Inet;
        filter && self.flow.to == Class::Container && (self.proxied || self.hook == Hook::Forward)
    }

    /// Tells apart the limits of seats that count separately.
    #[must_use]
    pub fn suffix(&self) -> &'static str {
        if self.counts_with_others() {
            return "";
        }
        match (self.table, self.bridged, self.hook, self.leg, &self.allow) {
            (TableKind::Mangle, ..) => "m",
            (_, _, _, Some(HostLeg::Published), _) => "h",
            (_, true, ..) => "b",
            (_, _, Hook::Input, ..) => "i",
            (_, _, Hook::Output, ..) => "o",
            (.., Verdict::Return) => "r",
            _ => "f",
        }
    }

    /// Whether a judgement has a say here at all.
    #[must_use]
    pub fn covers(&self, judgement: &Judgement) -> bool {
        if self.proxied || self.leg == Some(HostLeg::Published) {
            // docker-proxy carries what is dialled at a host address, never what a `forward` translated.
            return judgement.to.view != Some(View::Direct) && !judgement.forwarded;
        }
        true
    }
}

/// Matches that must all hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conjunction {
    /// Only packets of this family; `None`: the matches are the same in both.
    pub family: Option<Family>,
    /// The matches.
    pub matches: Vec<Match>,
}

/// One service as it is compared: protocol, dialled ports, and what publishes them.
struct Service<'a> {
    family: Option<Family>,
    protocol: Option<Protocol>,
    ports: Option<PortSet>,
    icmp: Option<&'a [crate::netfilter::IcmpType]>,
    published: Option<&'a Published>,
}

/// The alternatives of a judgement at a seat. Empty: it can never hold here.
#[must_use]
pub fn of(policy: &Policy, judgement: &Judgement, seat: &Seat) -> Vec<Conjunction> {
    let own_address = at_own_address(policy, judgement, seat);
    if seat.leg == Some(HostLeg::OwnAddress) && judgement.action.stops() && judgement.to.view.is_none() {
        return own_address.iter().flat_map(|direct| alternatives(policy, direct, seat)).collect();
    }
    let mut list = alternatives(policy, judgement, seat);
    list.extend(own_address.iter().flat_map(|direct| alternatives(policy, direct, seat)));
    list
}

fn alternatives(policy: &Policy, judgement: &Judgement, seat: &Seat) -> Vec<Conjunction> {
    let mut list = Vec::new();
    let possible = crate::policy::resolve::families(judgement);
    for service in services(policy, judgement, seat) {
        let bound = service.published.and_then(Published::only_family);
        let apart = seat.families.len() < 2
            || possible.len() < 2
            || service.family.is_some()
            || bound.is_some()
            || names_address(&judgement.from)
            || names_address(&judgement.to);
        let both: SmallVec<[Option<Family>; 2]> = if apart {
            possible.iter().filter(|family| seat.families.contains(family)).map(|&family| Some(family)).collect()
        } else {
            smallvec![None]
        };
        for family in both {
            let fits = |other: Option<Family>| family.is_none() || other.is_none() || family == other;
            if !fits(service.family) || !fits(bound) {
                continue;
            }
            for road in roads(policy, judgement, seat, &service, family) {
                list.extend(assemble(judgement, seat, &service, family, road));
            }
        }
    }
    for conjunction in &mut list {
        drop_absent_cards(policy, seat, &mut conjunction.matches);
    }
    list
}

/// "Every card but these" need not name cards whose traffic the entry chain has sent elsewhere.
fn drop_absent_cards(policy: &Policy, seat: &Seat, matches: &mut Vec<Match>) {
    if !matches!(seat.hook, Hook::Input | Hook::Forward | Hook::Output) || seat.bridged {
        return;
    }
    let loopback_apart = seat.hook == Hook::Forward || policy.prelude.iter().any(|part| part == "loopback");
    let elsewhere =
        |card: &Card| (loopback_apart && *card == Card::exact("lo")) || policy.cards.class_of(card).is_some();
    matches.retain_mut(|one| {
        let outside = match &one.kind {
            MatchKind::InInterface(_) => seat.flow.from == Class::Outside,
            MatchKind::OutInterface(_) => seat.flow.to == Class::Outside,
            _ => return true,
        };
        let (MatchKind::InInterface(cards) | MatchKind::OutInterface(cards)) = &mut one.kind else { return true };
        if !one.negated || !outside {
            return true;
        }
        *cards = cards.iter().filter(|card| !elsewhere(card)).cloned().collect();
        !cards.is_empty()
    });
}

/// Whether a judgement is about every container and every service, whatever the address.
pub(super) fn is_for_all_containers(judgement: &Judgement) -> bool {
    judgement.to.is_whole_class() && *judgement.traffic == [Traffic::ALL]
}

fn names_address(party: &Party) -> bool {
    party.addresses.is_some()
        || party.live.is_some()
        || party.at.is_some()
        || party.except.iter().any(|one| one.addresses.is_some() || one.live.is_some() || one.at.is_some())
}

/// The services of a judgement: for a named container, only what it publishes. Where docker-proxy takes connections in, the
/// container's own port is in no header: it is told by the published port that leads to it.
fn services<'a>(policy: &'a Policy, judgement: &'a Judgement, seat: &Seat) -> SmallVec<[Service<'a>; 1]> {
    let by_table = seat.proxied || seat.leg == Some(HostLeg::Published) && !policy.containers.published.is_empty();
    let all = (by_table && judgement.to.view == Some(View::Inside)).then_some(&policy.containers.published[..]);
    let plain = |traffic: &Traffic| Service {
        family: traffic.family,
        protocol: traffic.protocol,
        ports: traffic.ports.clone(),
        icmp: None,
        published: None,
    };
    let mut list = SmallVec::new();
    for traffic in judgement.traffic.iter() {
        let known = judgement.to.published.as_deref().or(all.filter(|_| traffic.ports.is_some()));
        let Some(published) = known else {
            list.push(Service { icmp: traffic.icmp.as_deref(), ..plain(traffic) });
            continue;
        };
        for one in published.iter() {
            if let Some(ports) = dialled(traffic, one, judgement.to.view) {
                let known = list.iter_mut().find(|known: &&mut Service<'_>| {
                    known.published.is_some_and(|other| {
                        (other.protocol, other.address, other.family) == (one.protocol, one.address, one.family)
                    }) && known.family == traffic.family
                });
                if let Some(known) = known {
                    known.ports = known.ports.as_ref().map(|before| before.union(&ports));
                    continue;
                }
                list.push(Service {
                    protocol: Some(one.protocol),
                    ports: Some(ports),
                    published: Some(one),
                    ..plain(traffic)
                });
            }
        }
    }
    list
}

/// The published ports of `one` that a traffic means: by what is dialled, or by the container's own port (`inside`).
#[must_use]
pub fn dialled(traffic: &Traffic, one: &Published, view: Option<View>) -> Option<PortSet> {
    if traffic.protocol.is_some_and(|protocol| protocol != one.protocol) {
        return None;
    }
    let whole = PortSet::new([one.ports]);
    let Some(ports) = &traffic.ports else { return Some(whole) };
    let meant = if view == Some(View::Inside) {
        (one.ports.first..=one.ports.last)
            .filter(|port| {
                let inside = one.container_ports.first.saturating_add(port - one.ports.first);
                ports.contains(inside.min(one.container_ports.last))
            })
            .map(PortRange::single)
            .collect()
    } else {
        ports.intersection(&whole)
    };
    (!meant.is_empty()).then_some(meant)
}

/// Whether [`dialled`] gives any port.
pub(super) fn is_dialled(traffic: &Traffic, one: &Published, view: Option<View>) -> bool {
    if view == Some(View::Inside) {
        return dialled(traffic, one, view).is_some();
    }
    traffic.protocol.is_none_or(|protocol| protocol == one.protocol)
        && traffic.ports.as_ref().is_none_or(|ports| ports.meets(one.ports))
}

/// How the service's ports show at a seat.
enum Ports {
    /// In the packet's own header.
    Header,
    /// In the connection's original direction.
    Original,
}

/// One way in which a judgement's traffic shows at a seat.
struct Road {
    ports: Ports,
    extra: Vec<Match>,
}

fn roads(
    policy: &Policy,
    judgement: &Judgement,
    seat: &Seat,
    service: &Service<'_>,
    family: Option<Family>,
) -> Vec<Road> {
    let header = || Road { ports: Ports::Header, extra: Vec::new() };
    if seat.hook == Hook::Prerouting && !seat.proxied {
        return vec![header()];
    }
    if seat.proxied {
        let at = service.published.and_then(|one| one.address).map(single);
        return vec![Road {
            ports: Ports::Header,
            extra: at.map(|set| Match::is(MatchKind::Destination(set))).into_iter().collect(),
        }];
    }
    if seat.flow.to == Class::Container && matches!(seat.hook, Hook::Forward | Hook::Output) {
        return container_roads(policy, judgement, seat, service, family);
    }
    if judgement.forwarded {
        // What our own `forward` translated, and nothing that was sent to the target itself.
        let mut extra = vec![Match::is(MatchKind::DestinationTranslated), Match::is(MatchKind::DirectionOriginal)];
        extra.extend(at(judgement).map(|set| Match::is(MatchKind::OriginalDestination(set))));
        return vec![Road { ports: Ports::Original, extra }];
    }
    let routed_in =
        matches!(seat.flow.to, Class::Instance | Class::Guest) && seat.hook == Hook::Forward && !seat.bridged;
    let has_ports = service.ports.is_some();
    if has_ports && (routed_in || seat.translated) {
        return vec![Road { ports: Ports::Original, extra: vec![Match::is(MatchKind::DirectionOriginal)] }];
    }
    vec![header()]
}

fn at(judgement: &Judgement) -> Option<AddressSet> {
    judgement.to.at.clone()
}

fn single(address: IpAddr) -> AddressSet {
    AddressSet::new([AddressRange::single(address)])
}

/// Whether the kernel tracks none of these messages: neighbour discovery and multicast listeners. They belong to no connection that could have a direction or be translated.
fn is_never_tracked(service: &Service<'_>) -> bool {
    service.protocol == Some(Protocol::ICMPV6)
        && service.icmp.is_some_and(|types| {
            types.iter().all(|one| icmp::tracked_as(Family::Ipv6, one.kind) == TrackedAs::Untracked)
        })
}

/// The roads to a container through FORWARD and OUTPUT: NAT's, and the container's own address.
fn container_roads(
    policy: &Policy,
    judgement: &Judgement,
    seat: &Seat,
    service: &Service<'_>,
    family: Option<Family>,
) -> Vec<Road> {
    if is_never_tracked(service) {
        return vec![Road { ports: Ports::Header, extra: Vec::new() }];
    }
    let original = || Match::is(MatchKind::DirectionOriginal);
    let translated = || Match::is(MatchKind::DestinationTranslated);
    let dialled_at = |extra: &mut Vec<Match>| {
        if let Some(address) = service.published.and_then(|one| one.address) {
            extra.push(Match::is(MatchKind::OriginalDestination(single(address))));
        }
        if let Some(set) = at(judgement) {
            let set = family.map_or_else(|| set.clone(), |family| set.of_family(family));
            extra.push(Match::is(MatchKind::OriginalDestination(set)));
        }
    };
    let allow = judgement.action == Action::Allow;
    if seat.leg == Some(HostLeg::Published) && (judgement.to.view.is_none() || service.published.is_some()) {
        // Whatever comes here was sent to a published port, translated or not.
        let mut extra = Vec::new();
        dialled_at(&mut extra);
        return vec![Road { ports: Ports::Original, extra }];
    }
    // The deny that an allow implies here is for what the client sent to an address of this host. Containers talk on at their own
    // addresses, and docker-proxy to them, until a line of the policy says otherwise.
    if judgement.leaves_own_addresses {
        return vec![Road { ports: Ports::Header, extra: vec![original(), translated()] }];
    }
    match judgement.to.view {
        Some(View::Direct) => {
            // nft has no word for a packet without a connection beside those that were not translated. Nobody translates it: what
            // denies is for it, too, by a rule of its own.
            let unconnected = MatchKind::State(State::INVALID | State::UNTRACKED);
            let untranslated = Match::not(MatchKind::DestinationTranslated);
            let connected = vec![Match::not(unconnected.clone()), untranslated];
            let mut roads = vec![Road { ports: Ports::Header, extra: connected }];
            if !allow {
                roads.push(Road { ports: Ports::Header, extra: vec![Match::is(unconnected)] });
            }
            return roads;
        }
        // A container that is not named is compared by its own port, which NAT has put into the header.
        Some(View::Inside) if service.published.is_none() => {
            let mut extra = vec![original(), translated()];
            dialled_at(&mut extra);
            return vec![Road { ports: Ports::Header, extra }];
        }
        _ => {}
    }
    if seat.leg == Some(HostLeg::OwnAddress) {
        return vec![Road { ports: Ports::Header, extra: Vec::new() }];
    }
    let mut roads = Vec::new();
    let mut extra = vec![original()];
    if allow || service.published.is_some() {
        extra.push(translated());
    }
    dialled_at(&mut extra);
    // A deny without ports needs no word of the original direction: it is for every packet towards a container.
    if !allow && service.ports.is_none() && extra.len() == 1 {
        extra.clear();
    }
    roads.push(Road { ports: Ports::Original, extra });
    if allow && !policy.containers.routed_bridges.is_empty() && service.published.is_none() && judgement.to.at.is_none()
    {
        let bridges = policy.containers.routed_bridges.clone();
        roads.push(Road {
            ports: Ports::Header,
            extra: vec![Match::is(MatchKind::OutInterface(bridges.into())), original()],
        });
    }
    roads
}

fn assemble(
    judgement: &Judgement,
    seat: &Seat,
    service: &Service<'_>,
    family: Option<Family>,
    road: Road,
) -> Vec<Conjunction> {
    // Room for exactly what most rules say: 100,000 of them are held at once.
    let party = |party: &Party| usize::from(party.addresses.is_some()) + usize::from(party.cards.is_some());
    let room = usize::from(service.protocol.is_some())
        + usize::from(service.ports.is_some())
        + usize::from(judgement.via.is_some())
        + party(&judgement.from)
        + party(&judgement.to)
        + road.extra.len();
    let mut base = Vec::with_capacity(room);
    if let Some(via) = &judgement.via {
        let arrives = judgement.from.class == Class::Outside;
        base.push(card_match(via, arrives, seat.bridged));
    }
    let mut alternatives = vec![base];
    for (party, role_from) in [(&judgement.from, true), (&judgement.to, false)] {
        let Some(own) = party_matches(party, role_from, seat, family) else { return Vec::new() };
        for alternative in &mut alternatives {
            alternative.extend(own.iter().cloned());
        }
        for except in &party.except {
            let Some(terms) = party_matches(except, role_from, seat, family) else { continue };
            alternatives = subtract(alternatives, &terms);
        }
    }
    for matches in &mut alternatives {
        service_matches(matches, judgement, service, &road);
    }
    alternatives.into_iter().map(|matches| Conjunction { family, matches }).collect()
}

/// Takes a conjunction away: not all of its terms. One alternative for each term that fails, those before it holding, so that
/// the alternatives never overlap.
fn subtract(alternatives: Vec<Vec<Match>>, terms: &[Match]) -> Vec<Vec<Match>> {
    let mut list = Vec::new();
    for alternative in alternatives {
        for (index, term) in terms.iter().enumerate() {
            let mut matches = alternative.clone();
            matches.extend(terms.iter().take(index).cloned());
            matches.push(Match { negated: !term.negated, kind: term.kind.clone() });
            list.push(matches);
        }
    }
    list
}

fn card_match(cards: &CardSet, arrives: bool, bridged: bool) -> Match {
    let list = cards.cards.clone();
    let kind = match (arrives, bridged) {
        (true, false) => MatchKind::InInterface(list),
        (false, false) => MatchKind::OutInterface(list),
        (true, true) => MatchKind::InPort(list),
        (false, true) => MatchKind::OutPort(list),
    };
    Match { negated: cards.complement, kind }
}

/// What a party shows at a seat. `None`: nothing of this family, or nothing that could be seen.
pub fn party_matches(party: &Party, from: bool, seat: &Seat, family: Option<Family>) -> Option<Vec<Match>> {
    let mut matches = Vec::new();
    let arrives_known = matches!(seat.hook, Hook::Prerouting | Hook::Input | Hook::Forward);
    let leaves_known = matches!(seat.hook, Hook::Forward | Hook::Output | Hook::Postrouting);
    if let Some(cards) = &party.cards {
        // A tap is a bridge port: its frames arrive, for IP, at the bridge.
        let port = party.class == Class::Guest && party.member.is_some();
        let host_side = party.class == Class::Host && seat.hook == Hook::Input;
        if from && arrives_known || host_side {
            let by_mac = port && !party.macs.is_empty();
            if !by_mac {
                matches.push(card_match(cards, true, seat.bridged || port));
            }
        } else if !from && leaves_known {
            // What the host sends or routes has no bridge port yet: xt_physdev refuses to compare one at OUTPUT, and at FORWARD it never
            // matches. The address tells the guest.
            let unseen = port && !seat.bridged && matches!(seat.hook, Hook::Output | Hook::Forward);
            if unseen && party.addresses.is_none() {
                return None;
            }
            if !unseen {
                matches.push(card_match(cards, false, seat.bridged || port));
            }
        }
    }
    // A container that publishes is told by what it publishes; a guest that sends, by its MAC, in both families.
    let told_otherwise = if from { !party.macs.is_empty() } else { party.published.is_some() };
    if let Some(addresses) = &party.addresses
        && !told_otherwise
    {
        let set = family.map_or_else(|| addresses.clone(), |family| addresses.of_family(family));
        if set.is_empty() {
            return None;
        }
        matches.push(Match::is(if from { MatchKind::Source(set) } else { MatchKind::Destination(set) }));
    }
    if let Some(live) = &party.live {
        let field = if from { SetField::Source } else { SetField::Destination };
        matches.push(Match::is(MatchKind::in_set(entry::live_set(live, family?), thin_vec![field])));
    }
    if !party.macs.is_empty() && from && arrives_known {
        matches.push(Match::is(MatchKind::SourceMac(party.macs.as_slice().into())));
    }
    if let Some(user) = &party.user {
        matches.push(Match::is(MatchKind::User(Arc::clone(user))));
    }
    if let Some(at) = &party.at
        && !from
    {
        let set = family.map_or_else(|| AddressSet::clone(at), |family| at.of_family(family));
        if set.is_empty() {
            return None;
        }
        match (party.class, seat.hook) {
            // Containers are dialled at a host address, which only the connection remembers after NAT.
            (Class::Container, Hook::Forward | Hook::Output) => {}
            (Class::Instance | Class::Guest | Class::Outside, Hook::Forward) => {
                matches.push(Match::is(MatchKind::OriginalDestination(set)));
            }
            _ => matches.push(Match::is(MatchKind::Destination(set))),
        }
    }
    Some(matches)
}

fn service_matches(matches: &mut Vec<Match>, judgement: &Judgement, service: &Service<'_>, road: &Road) {
    matches.extend(road.extra.iter().cloned());
    if let Some(protocol) = service.protocol {
        matches.push(Match::is(MatchKind::protocol(protocol)));
    } else if judgement.options.source_ports.is_some() {
        matches.push(Match::is(MatchKind::Protocol(vec![Protocol::TCP, Protocol::UDP, Protocol::SCTP].into())));
    }
    if let Some(ports) = &judgement.options.source_ports {
        matches.push(Match::is(MatchKind::SourcePort(ports.clone())));
    }
    if let Some(ports) = &service.ports {
        matches.push(Match::is(match road.ports {
            Ports::Header => MatchKind::DestinationPort(ports.clone()),
            Ports::Original => MatchKind::OriginalDestinationPort(ports.clone()),
        }));
    }
    if let Some(types) = service.icmp {
        matches.push(Match::is(MatchKind::IcmpType(types.into())));
    }
    if let Some((days, times)) = judgement.options.during {
        matches.push(Match::is(MatchKind::Time { days, times }));
    }
}
