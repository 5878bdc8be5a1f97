//! The host's own connections to containers, and those that docker-proxy opens there for others.
//!
//! What the host sends to a published port shows the loopback device on OUTPUT: Docker's NAT turns it to the container, or docker-proxy
//! takes it in at the host's own address. There the client is known. docker-proxy then opens a connection of its own to the container's
//! address, and on OUTPUT nothing tells that from one that another program of the host opens. So the first is where rules about
//! the host decide, and the second follows: it is never cut while any client may still have docker-proxy open it.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashSet;

use crate::diagnostic::{Code, Diagnostic, Level};
use crate::net::{AddressSet, Card, Family, PortSet, Protocol};
use crate::netfilter::{Hook, Match, MatchKind, Rule, TableFamily, TableKind, Verdict};
use crate::policy::{Action, Class, Flow, Judgement, Published, Rank, Traffic};
use crate::span::Location;
use crate::syntax::tree::View;
use crate::traffic;

use super::condition::{self, HostLeg, Seat};
use super::dispatch::{chain_name, published_matches, to};
use super::{LOCAL, Program, own_address};

/// A deny from the host that leaves containers' own addresses open.
pub static OWN_ADDRESS_LEFT_OPEN: Code = Code {
    number: "FW0305",
    name: "own-address-left-open",
    level: Level::Warning,
    summary: "a deny from the host leaves containers' own addresses open, because docker-proxy's connections look the same",
    explanation: "\
docker-proxy ends a client's connection on the host and opens another, from the host to the container's own address. On OUTPUT
nothing tells that connection from one that a program of the host opens. A rule that closed containers' own addresses to the host would cut
docker-proxy off, and with it every client that it serves: IPv6 to networks without IPv6, and other containers.

A deny from the host therefore closes what the host sends to published ports, at 127.0.0.1, ::1 and its own addresses. It closes
the container's own address as well where it is certain that docker-proxy needs nothing there: the port is not one that anybody
may still reach through docker-proxy.

```fw
use docker
deny from host to container         # warning: 172.17.0.2 stays open to the host's own programs
```

**Instead**, if that matters, say what is published, completely (`fwc facts` on the host writes it), or that docker-proxy is off:

```fw
fact docker.userland-proxy = off
```

`from host user NAME` tells programs apart by their user; docker-proxy is root's.
",
};

/// A deny that would cut docker-proxy off.
pub static OWN_ADDRESS_CANNOT_CLOSE: Code = Code {
    number: "FW0331",
    name: "own-address-cannot-be-closed",
    level: Level::Error,
    summary: "a deny from the host to containers' own addresses would cut docker-proxy's connections",
    explanation: "\
`direct` is a container's own address. What the host sends there looks like the connections that docker-proxy opens for its clients, so
that no rule can close the one and leave the other.

```fw
use docker
deny tcp 80 from host to container direct        # error: docker-proxy connects to port 80, too
```

**Instead**, deny what the host sends to published ports, and leave `direct` out; or say that docker-proxy is off:

```fw
deny tcp 8080 from host to container
fact docker.userland-proxy = off
```
",
};

/// The flow that this is about.
const FLOW: Flow = Flow { from: Class::Host, to: Class::Container };

/// The chain for what the host sends to published ports.
const PUBLISHED_CHAIN: &str = "fwc-host-published";

impl Program<'_> {
    /// Whether docker-proxy may run.
    pub(super) fn proxy_may_run(&self) -> bool {
        traffic::may_proxy(self.policy)
    }

    /// The rules that tell, on OUTPUT's loopback, what the host sends to published ports.
    pub(super) fn sent_to_published_ports(&mut self) -> Vec<Rule> {
        let seat = Seat { leg: Some(HostLeg::Published), ..Seat::new(Hook::Output, TableKind::Filter, FLOW) };
        let own = self.flow_rules(FLOW, &seat);
        self.chain(TableFamily::Inet, TableKind::Filter, PUBLISHED_CHAIN, own);
        let lo = Match::is(MatchKind::OutInterface([Card::exact("lo")].into()));
        let first = vec![lo, Match::is(MatchKind::DirectionOriginal)];
        let translated = [first.as_slice(), &[Match::is(MatchKind::DestinationTranslated)]].concat();
        let mut rules = vec![to(translated, self.enter(FLOW, PUBLISHED_CHAIN))];
        for (family, matches) in self.proxied_ports() {
            rules.push(Rule { family, ..to([first.as_slice(), &matches].concat(), self.enter(FLOW, PUBLISHED_CHAIN)) });
        }
        rules
    }

    /// Where docker-proxy may listen on the loopback: what is known to be published, and the ports that rules about the host name while that
    /// may not be all.
    fn proxied_ports(&self) -> Vec<(Option<Family>, Vec<Match>)> {
        if !self.proxy_may_run() {
            return Vec::new();
        }
        let containers = &self.policy.containers;
        let known: Vec<Published> = containers.published.iter().chain(&containers.on_loopback).cloned().collect();
        let mut places = published_matches(&known);
        if !self.list_is_complete() {
            places.extend(self.ports_named_for_host().into_iter().map(|((family, protocol), ports)| {
                let ports = MatchKind::DestinationPort(ports);
                (family, vec![Match::is(MatchKind::protocol(protocol)), Match::is(ports)])
            }));
        }
        places
    }

    /// The ports of denies that name the host as their origin. Where a deny is for everybody, the same port of the host's own may be
    /// meant for nobody but its own programs.
    fn ports_named_for_host(&self) -> BTreeMap<(Option<Family>, Protocol), PortSet> {
        let mut named: BTreeMap<(Option<Family>, Protocol), PortSet> = BTreeMap::new();
        let list = self.policy.flows.get(&FLOW).into_iter().flatten();
        let own = list.filter(|judgement| {
            (judgement.action.stops() || self.sentence)
                && matches!(judgement.rank, Rank::Rule | Rank::Default)
                && judgement.to.view.is_none()
                && !self.speaks_of_others(judgement)
        });
        for judgement in own {
            for traffic in judgement.traffic.iter() {
                if let (Some(protocol), Some(ports)) = (traffic.protocol, &traffic.ports) {
                    let family = traffic.family.or(judgement.family);
                    let known = named.entry((family, protocol)).or_insert_with(|| PortSet::new([]));
                    *known = known.union(ports);
                }
            }
        }
        named
    }

    /// Whether the statement of a judgement about the host is about other origins, too.
    fn speaks_of_others(&self, judgement: &Judgement) -> bool {
        let others = self.policy.flows.iter().filter(|(flow, _)| flow.to == FLOW.to && flow.from != FLOW.from);
        others.flat_map(|(_, list)| list).any(|other| other.statement == judgement.statement)
    }

    /// Whether everything that is published is known.
    fn list_is_complete(&self) -> bool {
        self.policy.facts.docker.as_ref().is_some_and(|docker| docker.complete)
    }

    /// Whether a judgement has a say about the host's connections to containers' own addresses.
    pub(super) fn covers_own_address(&self, judgement: &Judgement) -> bool {
        match judgement.action {
            _ if judgement.rank == Rank::Prelude => true,
            // What an allow closes by itself is what is sent to published ports, unless it says `direct`.
            _ if judgement.rank == Rank::End => !judgement.leaves_own_addresses,
            Action::Allow => judgement.to.view == Some(View::Direct) || condition::is_for_all_containers(judgement),
            Action::Log => judgement.to.at.is_none(),
            Action::Deny | Action::Reject(_) => self.closes_own_address(judgement),
        }
    }

    /// The chain for what the host sends to containers' own addresses, where a rule has a say about that.
    pub(super) fn own_address_chain(&mut self) -> Option<String> {
        let mut list = self.policy.flows.get(&FLOW).into_iter().flatten();
        if !list.any(|judgement| judgement.rank > Rank::Prelude && self.covers_own_address(judgement)) {
            return None;
        }
        let seat = Seat { leg: Some(HostLeg::OwnAddress), ..Seat::new(Hook::Output, TableKind::Filter, FLOW) };
        let own = self.flow_rules(FLOW, &seat);
        let chain = chain_name(FLOW);
        self.chain(TableFamily::Inet, TableKind::Filter, &chain, own);
        Some(chain)
    }

    /// Whether a deny can close containers' own addresses without cutting a connection of docker-proxy's.
    fn closes_own_address(&self, judgement: &Judgement) -> bool {
        let of_another_user = judgement.from.user.as_deref().is_some_and(|user| user != "root" && user != "0");
        self.sentence
            || !self.proxy_may_run()
            || self.list_is_complete()
            || of_another_user
            || judgement.to.published.is_some() && judgement.to.addresses.is_some()
    }

    /// The connections of docker-proxy that rules of the policy leave possible: to the container's side of everything published that some
    /// client may still reach by it.
    pub(super) fn proxy_connections(&self, seat: &Seat) -> Vec<Rule> {
        if seat.leg != Some(HostLeg::OwnAddress) || self.sentence || !self.proxy_may_run() {
            return Vec::new();
        }
        let mut known = FxHashSet::default();
        let mut rules = Vec::new();
        for published in self.reached_by_proxy() {
            let addresses = self.addresses(published);
            if !known.insert((published.protocol, published.container_ports, addresses.clone())) {
                continue;
            }
            let base = vec![
                Match::is(MatchKind::protocol(published.protocol)),
                Match::is(MatchKind::DestinationPort(PortSet::new([published.container_ports]))),
            ];
            let accept = |family, matches| Rule { family, ..to(matches, Verdict::Accept) };
            let Some(addresses) = addresses else {
                rules.push(accept(None, base));
                continue;
            };
            for family in Family::BOTH.into_iter().filter(|family| addresses.has_family(*family)) {
                let at = Match::is(MatchKind::Destination(addresses.of_family(family)));
                rules.push(accept(Some(family), std::iter::once(at).chain(base.iter().cloned()).collect()));
            }
        }
        rules
    }

    /// What is published and may be reached through docker-proxy by somebody.
    fn reached_by_proxy(&self) -> impl Iterator<Item = &Published> {
        let containers = &self.policy.containers;
        let listens = containers.published.iter().filter(|one| {
            [Class::Host, Class::Outside].into_iter().chain(LOCAL).any(|from| self.may_reach_by_proxy(from, one))
        });
        listens.chain(containers.on_loopback.iter().filter(|one| self.lets_through(Class::Host, one)))
    }

    fn may_reach_by_proxy(&self, from: Class, one: &Published) -> bool {
        let by_proxy = match from {
            Class::Host => true,
            Class::Outside => Family::BOTH.into_iter().any(|family| {
                one.only_family().is_none_or(|only| only == family) && !traffic::translated(self.policy, one, family)
            }),
            other => !self.cards(other).is_empty(),
        };
        by_proxy && self.lets_through(from, one)
    }

    /// Whether the policy may let somebody of a class through to a published port: it does unless a deny for all of it comes first.
    fn lets_through(&self, from: Class, one: &Published) -> bool {
        let Some(list) = self.policy.flows.get(&Flow { from, to: Class::Container }) else { return true };
        let meant = |judgement: &Judgement| {
            judgement.to.view != Some(View::Direct)
                && judgement.to.published.as_ref().is_none_or(|list| list.contains(one))
                && judgement.traffic.iter().any(|traffic| condition::is_dialled(traffic, one, judgement.to.view))
        };
        for judgement in list.iter().filter(|judgement| judgement.rank > Rank::Prelude && meant(judgement)) {
            match judgement.action {
                Action::Allow => return true,
                Action::Deny | Action::Reject(_) if keeps_all_from(judgement, one) => return false,
                _ => {}
            }
        }
        true
    }

    /// A container's own addresses, where they are fixed.
    fn addresses(&self, one: &Published) -> Option<AddressSet> {
        own_address::own_addresses(self.policy, &one.container)
    }

    /// Reports denies from the host that leave containers' own addresses open, or that would cut docker-proxy off.
    pub(super) fn note_own_addresses(&mut self) {
        if self.sentence || !self.proxy_may_run() {
            return;
        }
        let list: Vec<&Judgement> = self.policy.flows.get(&FLOW).into_iter().flatten().collect();
        let [mut left, mut unlisted] = [BTreeSet::new(), BTreeSet::new()];
        let mut refused: BTreeSet<Location> = BTreeSet::new();
        for judgement in &list {
            if condition::is_for_all_containers(judgement) && judgement.action == Action::Allow {
                break;
            }
            let written = matches!(judgement.rank, Rank::Rule | Rank::Default);
            if !written || !judgement.action.stops() || judgement.to.at.is_some() {
                continue;
            }
            let is_direct = judgement.to.view == Some(View::Direct);
            let cut = !self.closes_own_address(judgement) || is_direct && self.meets_proxy(judgement);
            // Addresses that may be the host's own, too, are meant for others first.
            if judgement.from.addresses.is_some() && self.speaks_of_others(judgement) {
                continue;
            }
            let left_open =
                || own_address::left_open(self.policy, judgement).next().is_some() || self.leaves_to_proxy(judgement);
            let left = if self.closes_unlisted(judgement) { &mut left } else { &mut unlisted };
            match (cut, is_direct) {
                (true, true) => drop(refused.insert(judgement.location)),
                (true, false) => drop(left.insert(judgement.location)),
                (false, false) if left_open() => drop(left.insert(judgement.location)),
                _ => {}
            }
        }
        self.out.extend(refused.into_iter().map(|location| {
            Diagnostic::new(
                &OWN_ADDRESS_CANNOT_CLOSE,
                location,
                "closed to the host, containers' own addresses are closed to docker-proxy",
            )
            .label("docker-proxy's connections to containers look like the host's own")
            .help("leave `direct` out: that closes what the host sends to published ports")
            .help("or, if Docker runs without docker-proxy, `fact docker.userland-proxy = off`")
        }));
        let all = "the host still reaches containers at their own addresses";
        let listed = "the host still reaches containers at their own addresses, and at ports that no fact lists";
        for (message, places) in [(all, left), (listed, unlisted)] {
            let mut places = places.into_iter();
            let Some(first) = places.next() else { continue };
            let found = Diagnostic::new(&OWN_ADDRESS_LEFT_OPEN, first, message)
                .label("closes what the host sends to published ports")
                .help(
                    "if Docker runs without docker-proxy, `fact docker.userland-proxy = off`; or say all that is published, with fixed addresses",
                )
                .note("docker-proxy's connections to containers look like the host's own, and may not be cut");
            self.out.push(places.fold(found, |found, place| found.related(place, "and here")));
        }
    }

    /// Whether a deny closes what the host sends to ports of docker-proxy's that no fact lists: where it names the host and its ports.
    /// Others may be the host's own, at its own addresses and 127.0.0.1.
    fn closes_unlisted(&self, judgement: &Judgement) -> bool {
        let with_ports = || judgement.traffic.iter().all(|traffic| traffic.ports.is_some());
        self.list_is_complete()
            || judgement.to.published.is_some()
            || judgement.to.view.is_none() && with_ports() && !self.speaks_of_others(judgement)
    }

    /// Whether a deny means, at containers' own addresses, a port that docker-proxy may have to connect to for somebody.
    fn leaves_to_proxy(&self, judgement: &Judgement) -> bool {
        let dialled = |one: &Published| {
            let named = judgement.to.published.as_ref().is_none_or(|list| list.contains(one));
            let dials = |traffic: &Traffic| condition::is_dialled(traffic, one, judgement.to.view);
            named && judgement.traffic.iter().any(dials)
        };
        self.meets_proxy(judgement) && judgement.to.published.is_none() || self.reached_by_proxy().any(dialled)
    }

    /// Whether a deny of containers' own addresses means a port that docker-proxy connects to.
    fn meets_proxy(&self, judgement: &Judgement) -> bool {
        self.reached_by_proxy().any(|one| {
            let addresses = match (&judgement.to.addresses, self.addresses(one)) {
                (Some(meant), Some(own)) => !meant.intersection(&own).is_empty(),
                _ => true,
            };
            let ports = PortSet::new([one.container_ports]);
            let meets = |traffic: &Traffic| {
                traffic.protocol.is_none_or(|protocol| protocol == one.protocol)
                    && traffic.ports.as_ref().is_none_or(|meant| !meant.intersection(&ports).is_empty())
            };
            addresses && judgement.traffic.iter().any(meets)
        })
    }
}

/// The host's own programs reach published ports at loopback addresses, whatever an allow closes by itself.
pub(super) fn loopback_addresses() -> impl Iterator<Item = Rule> {
    Family::BOTH.into_iter().map(|family| {
        let to_loopback = Match::is(MatchKind::OriginalDestination(AddressSet::loopback(family)));
        Rule { family: Some(family), ..to(vec![to_loopback], Verdict::Accept) }
    })
}

/// Whether a deny keeps everybody of its flow, at all times, from all of a publication.
fn keeps_all_from(deny: &Judgement, one: &Published) -> bool {
    let options = &deny.options;
    let whole = |traffic: &Traffic| {
        traffic.family.is_none()
            && traffic.icmp.is_none()
            && traffic.protocol.is_none_or(|protocol| protocol == one.protocol)
            && traffic.ports.as_ref().is_none_or(|ports| {
                let side = if deny.to.view == Some(View::Inside) { one.container_ports } else { one.ports };
                ports.ranges().iter().any(|range| range.first <= side.first && side.last <= range.last)
            })
    };
    deny.from.is_whole_class()
        && deny.via.is_none()
        && deny.to.at.is_none()
        && (deny.family.is_none() || deny.family == one.only_family())
        && options.during.is_none()
        && options.source_ports.is_none()
        && deny.traffic.iter().any(whole)
}
