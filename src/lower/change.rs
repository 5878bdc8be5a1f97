//! Changes of packets: marks, DSCP, MSS clamping, tracking exemptions, helpers. They decide nothing.

use std::collections::BTreeMap;

use thin_vec::{ThinVec, thin_vec};

use crate::diagnostic::{Code, Diagnostic, Level};
use crate::net::{AddressRange, AddressSet, Family, Protocol};
use crate::netfilter::{Effect, Hook, IcmpType, Match, MatchKind, Rule, State, TableFamily, TableKind};
use crate::policy::resolve::families;
use crate::policy::{Change, ChangeKind, Class, Flow, Judgement, Nat, Options, Party, Traffic};

use crate::syntax::tree::View;
use crate::traffic;

use super::Program;
use super::condition::{self, Seat};
use crate::netfilter::entry::entry_chain;

/// A mark after routing.
pub static MARK_AFTER_ROUTING: Code = Code {
    number: "FW0318",
    name: "mark-after-routing",
    level: Level::Note,
    summary: "a mark is set after routing, so that no route can be chosen by it",
    explanation: "\
A mark that `ip rule … fwmark` is to see has to be set before the kernel looks for a route. A sentence that names the interface by which
routed traffic leaves (`to wan`, `via wan`) can be told from others only when the route is known. The mark is then set in FORWARD. That
serves traffic control (`tc`), filters and later rules, and no route.

```fw
interface lan = eth1
interface wan = eth0
mark 0x1 smtp from lan to wan            # note
```

**Instead**, if the mark is to choose a route, name the target without an interface:

```fw
interface lan = eth1
mark 0x1 smtp from lan to world
```

If it is not for routes, nothing needs to be changed.
",
};

/// A mark that is set before routing, on a host whose own networks are not known.
pub static MARK_ON_LOCAL_NETWORKS: Code = Code {
    number: "FW0335",
    name: "mark-on-local-networks",
    level: Level::Note,
    summary: "a mark `to world` may be set on what goes to containers, instances or guests, whose addresses are not known",
    explanation: "\
A mark is set before routing, so that a route can be chosen by it. There the interface by which a packet leaves is not known: what goes to
containers, instances and guests is told from what leaves to the world by its address, and their networks are not known without facts.

```fw
use docker
network app on br-app
mark 0x1 from network app to world               # note
```

**Why it hurts.** If a route is chosen by the mark, what goes from one of these networks to another takes it as well.

**Instead**, let `fwc facts` list the networks on the host, or name the target:

```fw
use docker
network app on br-app
mark 0x1 from network app to internet
```
",
};

/// Whether a rule is for the packets that a sentence describes, or for their answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Forth,
    Back,
}

/// TCP flag bits SYN and RST.
const SYN: u8 = 0x02;
const RST: u8 = 0x04;

impl Program<'_> {
    /// The rules of all changes, each at the hook where it takes effect.
    pub(super) fn changes(&mut self) {
        let mut places: BTreeMap<(TableKind, Hook), Vec<Rule>> = BTreeMap::new();
        let (mut late, mut wide) = (Vec::new(), Vec::new());
        for change in &self.policy.changes {
            if matches!(change.kind, ChangeKind::Mark(_)) && self.leaves_by_forward(change) {
                if !self.is_known_before_routing(change) {
                    late.push(change.judgement.location);
                } else if may_be_a_local_network(&change.judgement.to) && !traffic::knows_local_networks(self.policy) {
                    wide.push(change.judgement.location);
                }
            }
            for (kind, hook, rules) in self.change(change) {
                let place = places.entry((kind, hook)).or_default();
                for rule in rules {
                    if !place.contains(&rule) {
                        place.push(rule);
                    }
                }
            }
        }
        late.dedup();
        wide.dedup();
        self.out.extend(late.into_iter().map(|location| {
            Diagnostic::new(&MARK_AFTER_ROUTING, location, "this mark is set after routing: no route is chosen by it")
                .label("the interface where it leaves is known only then")
                .help("if a route is to be, name its target without an interface: `to world`, `to internet`, or addresses")
        }));
        self.out.extend(wide.into_iter().map(|location| {
            Diagnostic::new(
                &MARK_ON_LOCAL_NETWORKS,
                location,
                "this mark may be set on what goes to networks of this machine, too",
            )
            .label("before routing they are told by their addresses, which are not known")
            .help("let `fwc facts` list them on the host, or name the target: `to internet`, or addresses")
        }));
        for ((kind, hook), rules) in places {
            if (kind, hook) == (TableKind::Mangle, Hook::Forward) {
                self.add_to_mangle_forward(rules);
                continue;
            }
            let table = self.table(kind);
            match table.chains.iter_mut().find(|chain| chain.base.is_some_and(|base| base.hook == hook)) {
                Some(chain) => chain.rules.extend(rules),
                None => self.entry(TableFamily::Inet, kind, hook, &entry_chain(kind, hook), rules),
            }
        }
    }

    /// Whether a change is for packets that pass through to the outside: towards this machine's own bridges there is no route to choose.
    fn leaves_by_forward(&self, change: &Change) -> bool {
        change.flow.from != Class::Host && change.flow.to == Class::Outside
    }

    fn change(&self, change: &Change) -> Vec<(TableKind, Hook, Vec<Rule>)> {
        let judgement = &change.judgement;
        let (from, to) = (change.flow.from, change.flow.to);
        let arrival = if from == Class::Host { Hook::Output } else { Hook::Prerouting };
        let altered = match (from, to) {
            (Class::Host, _) => Hook::Output,
            (_, Class::Host) => Hook::Prerouting,
            _ => Hook::Forward,
        };
        match &change.kind {
            ChangeKind::Mark(mark) => {
                let effect =
                    Effect::SetMark { value: *mark, mask: !(super::RESERVED_MARKS | self.masquerade_numbers()) };
                // What comes to the host is told from what is translated only behind routing.
                let altered = if to == Class::Host { Hook::Input } else { altered };
                // Marks choose routes: what is known before routing is marked there.
                if altered != Hook::Forward || !self.is_known_before_routing(change) {
                    let mut rules = self.marked(change, altered, &effect);
                    let answers = self.marked_answers(change, *mark, &mut rules);
                    return std::iter::once((TableKind::Mangle, altered, rules)).chain(answers).collect();
                }
                let mut forwarded = self.marked_where_forwarded(change, &effect);
                let answers = self.marked_answers(change, *mark, &mut forwarded);
                let before = (TableKind::Mangle, Hook::Prerouting, self.marked(change, Hook::Prerouting, &effect));
                let behind = (TableKind::Mangle, Hook::Forward, forwarded);
                [before, behind].into_iter().chain(answers).collect()
            }
            ChangeKind::Dscp(class) => {
                let effect = Effect::SetDscp(*class);
                vec![(
                    TableKind::Mangle,
                    altered,
                    self.changed(change, Way::Forth, TableKind::Mangle, altered, &effect),
                )]
            }
            ChangeKind::ClampMss => {
                let mut both = self.clamp(judgement);
                // Both SYN and SYN/ACK carry the option: the answer crosses the other way.
                let back = Judgement { from: judgement.to.clone(), to: judgement.from.clone(), ..judgement.clone() };
                both.extend(self.clamp(&back));
                vec![(TableKind::Mangle, Hook::Forward, both)]
            }
            ChangeKind::Notrack => {
                let forth = self.changed(change, Way::Forth, TableKind::Raw, arrival, &Effect::Notrack);
                let mut list = vec![(TableKind::Raw, arrival, forth)];
                // The answers would otherwise open a connection of their own.
                let hook = if to == Class::Host { Hook::Output } else { Hook::Prerouting };
                list.push((TableKind::Raw, hook, self.answers(change, hook)));
                list
            }
            ChangeKind::Helper(name) => {
                let rules = self.changed(change, Way::Forth, TableKind::Raw, arrival, &Effect::Helper(name.clone()));
                vec![(TableKind::Raw, arrival, rules)]
            }
        }
    }

    /// Whether the routed packets of a change can be told before it is known where they leave: neither its target nor `via` names an
    /// interface.
    fn is_known_before_routing(&self, change: &Change) -> bool {
        let judgement = &change.judgement;
        let to = &judgement.to;
        let by_address = |party: &Party| party.cards.is_none();
        change.flow.to == Class::Outside
            && judgement.via.is_none()
            && by_address(to)
            && to.except.iter().all(by_address)
    }

    /// The rules of a mark: for what the opener of a connection sends, and for what belongs to none. Answers have a route of their own.
    fn marked(&self, change: &Change, hook: Hook, effect: &Effect) -> Vec<Rule> {
        let rules = self.changed(change, Way::Forth, TableKind::Mangle, hook, effect);
        if !super::has_part(self.policy, "established") {
            return rules;
        }
        let untracked = self.policy.changes.iter().any(|change| change.kind == ChangeKind::Notrack);
        let with = |kind: MatchKind| {
            let kind = Match::is(kind);
            rules.clone().into_iter().map(move |mut rule| {
                rule.matches.retain(|known| *known != kind);
                rule.matches.push(kind.clone());
                rule
            })
        };
        let untracked = untracked.then(|| with(MatchKind::State(State::UNTRACKED))).into_iter().flatten();
        with(MatchKind::DirectionOriginal).chain(untracked).collect()
    }

    /// The answers to what comes in from outside, to this machine or through a `forward`: the connection keeps the mark of what opened it,
    /// and its answers get it before they are routed, so that they can leave where it came in.
    fn marked_answers(
        &self,
        change: &Change,
        mark: u32,
        opening: &mut Vec<Rule>,
    ) -> Option<(TableKind, Hook, Vec<Rule>)> {
        if change.flow.from != Class::Outside || opening.is_empty() || !super::has_part(self.policy, "established") {
            return None;
        }
        // Of what passes through, a sentence that names the target of a `forward` is about what comes in to it.
        let names_target = change.judgement.to.addresses.is_some() && self.is_known_before_routing(change);
        if change.flow.to == Class::Outside && !names_target {
            return None;
        }
        let mask = self.policy.changes.iter().fold(0, |mask, change| match change.kind {
            ChangeKind::Mark(mark) => mask | mark,
            _ => mask,
        });
        let kept =
            |rule: &Rule| Rule { effects: thin_vec![Effect::SetConnectionMark { value: mark, mask }], ..rule.clone() };
        let connections: Vec<Rule> = opening.iter().map(kept).collect();
        let families: Vec<Option<Family>> = opening.iter().map(|rule| rule.family).collect();
        let family =
            families.first().copied().flatten().filter(|one| families.iter().all(|other| *other == Some(*one)));
        let rule = Rule {
            family,
            matches: vec![
                Match::not(MatchKind::DirectionOriginal),
                Match::is(MatchKind::ConnectionMark { value: mark, mask }),
            ],
            effects: thin_vec![Effect::SetMark {
                value: mark,
                mask: !(super::RESERVED_MARKS | self.masquerade_numbers()),
            }],
            origin: Some(change.judgement.location),
            ..Rule::default()
        };
        opening.extend(connections);
        let hook = if change.flow.to == Class::Host { Hook::Output } else { Hook::Prerouting };
        Some((TableKind::Mangle, hook, vec![rule]))
    }

    /// What a `forward` sends to the target of a mark is addressed to the host before routing: it is marked behind it.
    fn marked_where_forwarded(&self, change: &Change, effect: &Effect) -> Vec<Rule> {
        let to = &change.judgement.to;
        let targets: AddressSet = self
            .policy
            .nat
            .iter()
            .filter_map(|nat| match nat {
                Nat::Forward { address, .. } => Some(*address),
                _ => None,
            })
            .filter(|address| to.addresses.as_ref().is_none_or(|set| set.contains(*address)))
            .map(AddressRange::single)
            .collect();
        let mut rules = Vec::new();
        for family in Family::BOTH.into_iter().filter(|family| targets.has_family(*family)) {
            let mut forwarded = change.clone();
            forwarded.judgement.family = Some(family);
            forwarded.judgement.to.addresses = Some(targets.of_family(family));
            if !families(&forwarded.judgement).contains(&family) {
                continue;
            }
            let mut own = self.marked(&forwarded, Hook::Forward, effect);
            own.iter_mut().for_each(|rule| rule.matches.push(Match::is(MatchKind::DestinationTranslated)));
            rules.extend(own);
        }
        rules
    }

    fn changed(&self, change: &Change, way: Way, kind: TableKind, hook: Hook, effect: &Effect) -> Vec<Rule> {
        let mut judgement = change.judgement.clone();
        let early = hook == Hook::Prerouting;
        // What a container publishes is still sent to an address of the host, at the port that it publishes.
        let published = early && way == Way::Forth && is_reached_at_host(&judgement.to);
        let translated = hook == Hook::Input && self.has_redirects();
        let seat = Seat { proxied: published, translated, ..Seat::new(hook, kind, change.flow) };
        if early {
            // The target's cards are not known before routing, and a container is still an address of the host.
            judgement.to = if published { judgement.to.at_any_address() } else { as_dialled(judgement.to) };
            judgement.to.cards = None;
            // Nor is the card that the policy's crossing is at, where the packet leaves by it.
            if change.flow.from != Class::Outside {
                judgement.via = None;
            }
        }
        let routed = early && change.flow.to == Class::Outside && judgement.to.addresses.is_none();
        let local = if routed { traffic::local_networks(self.policy) } else { AddressSet::default() };
        let mut rules = Vec::new();
        let ends = self.class_matches(&judgement, way, hook);
        for mut conjunction in condition::of(self.policy, &judgement, &seat) {
            if kind == TableKind::Raw {
                before_tracking(&mut conjunction.matches);
            }
            for told in &ends {
                let mut matches = told.clone();
                if routed {
                    matches.push(Match::not(MatchKind::DestinationLocal));
                } else if published && judgement.to.at.is_none() {
                    matches.push(Match::is(MatchKind::DestinationLocal));
                }
                matches.extend(conjunction.matches.iter().cloned());
                for (family, matches) in without(&local, conjunction.family, matches) {
                    rules.push(Rule {
                        family,
                        matches,
                        effects: thin_vec![effect.clone()],
                        origin: Some(judgement.location),
                        ..Rule::default()
                    });
                }
            }
        }
        rules
    }

    /// Cards of the classes at both ends, where the hook sees them: alternatives. Beside the judgement stand those of its statement
    /// that share one end with it.
    fn class_matches(&self, judgement: &Judgement, way: Way, hook: Hook) -> Vec<Vec<Match>> {
        let statement = judgement.statement;
        let changes = self.policy.changes.iter().filter(move |change| change.judgement.statement == statement);
        let ends = changes.map(|change| match way {
            Way::Forth => (&change.judgement.from, &change.judgement.to),
            Way::Back => (&change.judgement.to, &change.judgement.from),
        });
        let mut list = vec![Vec::new()];
        if matches!(hook, Hook::Prerouting | Hook::Input | Hook::Forward) {
            let beside = ends.clone().filter(|(_, to)| to.class == judgement.to.class).map(|(from, _)| from);
            list = self.told_end(judgement, &judgement.from, beside, MatchKind::InInterface);
        }
        if matches!(hook, Hook::Forward | Hook::Output) {
            let beside = ends.filter(|(from, _)| from.class == judgement.from.class).map(|(_, to)| to);
            let targets = self.told_end(judgement, &judgement.to, beside, MatchKind::OutInterface);
            let both = |told: &Vec<Match>| targets.iter().map(|to| [told.as_slice(), to].concat()).collect::<Vec<_>>();
            list = list.iter().flat_map(both).collect();
        }
        if hook == Hook::Prerouting && judgement.to.class == Class::Host && judgement.to.addresses.is_none() {
            list.iter_mut().for_each(|told| told.push(Match::is(MatchKind::DestinationLocal)));
        }
        list
    }

    fn clamp(&self, judgement: &Judgement) -> Vec<Rule> {
        let flow = Flow { from: judgement.from.class, to: judgement.to.class };
        let seat = Seat::new(Hook::Forward, TableKind::Mangle, flow);
        let mut judgement = judgement.clone();
        judgement.traffic = Traffic { protocol: Some(Protocol::TCP), ..Traffic::ALL }.into();
        let mut rules = Vec::new();
        let ends = self.class_matches(&judgement, Way::Forth, Hook::Forward);
        let conjunctions = condition::of(self.policy, &judgement, &seat);
        for (conjunction, told) in
            conjunctions.into_iter().flat_map(|one| ends.iter().map(move |told| (one.clone(), told)))
        {
            let mut matches = told.clone();
            matches.extend(
                conjunction
                    .matches
                    .into_iter()
                    .filter(|one| !matches!(one.kind, MatchKind::DestinationTranslated | MatchKind::DirectionOriginal)),
            );
            matches.push(Match::is(MatchKind::TcpFlags { mask: SYN | RST, set: SYN }));
            rules.push(Rule {
                family: conjunction.family,
                matches,
                effects: thin_vec![Effect::ClampMss],
                origin: Some(judgement.location),
                ..Rule::default()
            });
        }
        rules
    }

    /// The other direction of untracked traffic: ends and ports the other way round. What tells only who opens a connection (an
    /// Ethernet address, a user) is not in its answers.
    fn answers(&self, change: &Change, hook: Hook) -> Vec<Rule> {
        let forth = &change.judgement;
        let from = as_dialled(forth.to.clone());
        let mut to = forth.from.clone();
        (to.macs, to.user) = (Vec::new(), None);
        let mut rules = Vec::new();
        for traffic in forth.traffic.iter() {
            let Some(icmp) = traffic.icmp.as_deref().map_or(Some(None), |list| replies(traffic.family, list).map(Some))
            else {
                continue;
            };
            let options = Options { source_ports: traffic.ports.clone(), ..Options::clone(&forth.options) };
            let traffic = Traffic { ports: forth.options.source_ports.clone(), icmp, ..traffic.clone() };
            let judgement = Judgement {
                traffic: traffic.into(),
                from: from.clone(),
                to: to.clone(),
                options: options.into(),
                ..forth.clone()
            };
            let flow = Flow { from: change.flow.to, to: change.flow.from };
            let back = Change { kind: change.kind.clone(), flow, judgement };
            rules.extend(self.changed(&back, Way::Back, TableKind::Raw, hook, &Effect::Notrack));
        }
        rules
    }
}

/// The same matches for destinations that are in none of these networks, a family apart from the other where they are in one alone.
fn without(networks: &AddressSet, family: Option<Family>, matches: Vec<Match>) -> Vec<(Option<Family>, Vec<Match>)> {
    if networks.is_empty() {
        return vec![(family, matches)];
    }
    let families = Family::BOTH.into_iter().filter(|one| family.is_none_or(|family| family == *one));
    families
        .map(|family| {
            let own = Some(networks.of_family(family)).filter(|own| !own.is_empty());
            let elsewhere = own.map(|own| Match::not(MatchKind::Destination(own)));
            (Some(family), matches.iter().cloned().chain(elsewhere).collect())
        })
        .collect()
}

/// Whether networks of this machine may have addresses of a target in the world: not if it leaves private addresses out.
fn may_be_a_local_network(to: &Party) -> bool {
    let left_out = to.except.iter().filter_map(|one| one.addresses.as_ref());
    let left_out = left_out.fold(AddressSet::default(), |all, set| all.union(set));
    to.addresses.is_none() && !left_out.covers(&AddressSet::private())
}

/// Whether a target is a container by what it publishes at an address of the host.
fn is_reached_at_host(party: &Party) -> bool {
    party.class == Class::Container && party.view != Some(View::Direct)
}

/// A target as a packet's own words have it before translation: the address that was dialled is its destination.
fn as_dialled(mut party: Party) -> Party {
    if party.at.is_some() {
        party.addresses = party.at.take();
    }
    // A party of which nothing special is said stays one.
    if party.published.is_some() || party.view.is_some() {
        (party.published, party.view) = (None, None);
    }
    party
}

/// The types that answer these; None if nothing does.
fn replies(family: Option<Family>, asked: &[IcmpType]) -> Option<ThinVec<IcmpType>> {
    // Echo, timestamp, information and address mask; echo of ICMPv6 (IANA "ICMP Type Numbers", "ICMPv6 Parameters").
    let pairs: &[(u8, u8)] = match family {
        Some(Family::Ipv6) => &[(128, 129)],
        _ => &[(8, 0), (13, 14), (15, 16), (17, 18)],
    };
    let reply = |one: &IcmpType| pairs.iter().find(|(request, _)| *request == one.kind).map(|(_, reply)| *reply);
    let list: ThinVec<IcmpType> =
        asked.iter().filter_map(|one| Some(IcmpType { kind: reply(one)?, code: one.code })).collect();
    (!list.is_empty()).then_some(list)
}

/// In the words that the raw table has: nothing is tracked there yet, so that nobody can say what was translated, and what was dialled
/// stands in the header.
fn before_tracking(matches: &mut Vec<Match>) {
    matches.retain_mut(|one| {
        let kind = std::mem::replace(&mut one.kind, MatchKind::DirectionOriginal);
        one.kind = match kind {
            MatchKind::OriginalSource(set) => MatchKind::Source(set),
            MatchKind::OriginalDestination(set) => MatchKind::Destination(set),
            MatchKind::OriginalDestinationPort(ports) => MatchKind::DestinationPort(ports),
            other => other,
        };
        !matches!(
            one.kind,
            MatchKind::DirectionOriginal | MatchKind::DestinationTranslated | MatchKind::SourceTranslated
        )
    });
}
