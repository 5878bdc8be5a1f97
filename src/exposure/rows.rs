//! What was found, as rows that a person reads: packets of one road and the same rules are put together.

use std::net::IpAddr;

use rustc_hash::FxHashMap;

use super::asked::{narrower, open, shown, without_limits};
use super::geography::Geography;
use super::naming::{self, addresses, machine};
use super::roads::Road;
use super::way::Ways;
use super::{Certainty, End, Exposure, Row, Section, Through, ThroughKind};
use crate::compare::rectangles::{Allowance, Packets, covered, few};
use crate::host::{Host, words};
use crate::net::{AddressSet, Family};
use crate::optimise::origin::Lines;
use crate::packet::{Cube, Field, Universe, Values};
use crate::policy::{Class, Flow};
use crate::program::Place;
use crate::traffic::{self, PlatformVerdict, Query, Reached};

/// Packets that get through by the same rules within the same limits.
#[derive(Clone, Debug)]
struct Group {
    cube: Cube,
    through: Vec<Place>,
    end: Option<Place>,
    limits: Vec<String>,
}

impl Packets for Group {
    fn cube(&self) -> &Cube {
        &self.cube
    }
}

/// The rows of one road, in one family.
pub(super) fn of_road(
    host: &Host,
    geography: &Geography,
    road: &Road,
    family: Family,
    ways: &Ways<'_>,
    lines: &Lines<'_>,
    allowance: &Allowance,
) -> Vec<Row> {
    let universe = &ways.space.universe;
    let Some(region) = road.regions.iter().chain(&road.never).cloned().reduce(|hull, cube| hull.hull(&cube)) else {
        return Vec::new();
    };
    let region = universe.simplified(region);
    let pieces = road.pieces.iter().map(|piece| Group {
        cube: piece.cube.clone(),
        through: piece.through.clone(),
        end: piece.end,
        limits: Vec::new(),
    });
    // What is let through within a limit and beyond it has none.
    let whole = grouped(pieces).into_iter().flat_map(|list| few(list, &road.never, &region, universe, allowance));
    let groups = grouped(whole.map(|(cube, group)| {
        let (cube, limits) = without_limits(&cube, universe);
        Group { cube, limits, ..group }
    }));
    // What a rule lets through of which it is not known what it decides is let through by none for certain.
    let certain = groups.iter().flatten().filter(|group| !group.through.iter().any(|place| host.is_open(*place)));
    let all: Vec<Cube> = certain.map(|group| group.cube.clone()).chain(road.never.clone()).collect();
    let speaks = host.policy_files > 0 && host.says_rules();
    let teller = Teller { host, geography, road, family, universe, region: &region, speaks, lines, allowance };
    let mut rows = Vec::new();
    for (number, group) in groups.iter().enumerate() {
        let (narrow, broad): (Vec<_>, Vec<_>) = few(group.clone(), &road.never, &region, universe, allowance)
            .into_iter()
            .partition(|(cube, _)| !naming::is_broad(cube));
        if broad.is_empty() {
            rows.extend(narrow.iter().filter_map(|(cube, group)| teller.row(cube, group, &all, Vec::new())));
            continue;
        }
        // What lets nearly everything through is said by what it does not. What other rules let through, whatever holds, need not
        // be taken out of it.
        let others = groups.iter().enumerate().filter(|(other, _)| *other != number).flat_map(|(_, list)| list);
        let others = others.filter(|one| one.limits.is_empty() && open(&one.cube, &region, universe).is_empty());
        let free: Vec<Cube> = road.never.iter().chain(others.map(|one| &one.cube)).cloned().collect();
        let wide = few(group.clone(), &free, &region, universe, allowance);
        let told = wide.iter().map(|(cube, _)| cube).filter(|cube| naming::is_broad(cube));
        let told: Vec<Cube> = told.chain(&free).cloned().collect();
        for (cube, group, except) in teller.broad(wide, &free) {
            rows.extend(teller.row(&cube, &group, &all, except));
        }
        let more = narrow.iter().filter(|(cube, _)| !covered(cube, &told, universe, allowance));
        rows.extend(more.filter_map(|(cube, group)| teller.row(cube, group, &all, Vec::new())));
    }
    rows
}

/// What lets packets through: rules, the end of a chain, limits.
type Way = (Vec<Place>, Option<Place>, Vec<String>);

/// Packets by what lets them through.
fn grouped(all: impl Iterator<Item = Group>) -> Vec<Vec<Group>> {
    let mut groups: Vec<Vec<Group>> = Vec::new();
    let mut places: FxHashMap<Way, usize> = FxHashMap::default();
    for one in all {
        let key = (one.through.clone(), one.end, one.limits.clone());
        let at = *places.entry(key).or_insert(groups.len());
        match groups.get_mut(at) {
            Some(list) => list.push(one),
            None => groups.push(vec![one]),
        }
    }
    groups
}

/// What is left of everything is worked out up to so many pieces.
const MOST_REST: usize = 400;
/// Services that are taken out of everything are listed up to this many.
const EXCEPTIONS: usize = 12;

struct Teller<'t> {
    host: &'t Host,
    geography: &'t Geography,
    road: &'t Road,
    family: Family,
    universe: &'t Universe,
    region: &'t Cube,
    /// The host's policy has rules.
    speaks: bool,
    lines: &'t Lines<'t>,
    /// How much may be tried to say it in few words.
    allowance: &'t Allowance,
}

impl Teller<'_> {
    /// Cubes of one rule that let nearly everything through, those of the same people as one, with the services that they do not.
    fn broad(&self, cubes: Vec<(Cube, Group)>, free: &[Cube]) -> Vec<(Cube, Group, Vec<super::Service>)> {
        let mut bundles: Vec<(Cube, Group, Vec<Cube>)> = Vec::new();
        let mut rows = Vec::new();
        for (cube, group) in cubes {
            let people = naming::SERVICE
                .iter()
                .fold(cube.clone(), |cube, field| cube.replaced(*field, self.region.get(*field).cloned()));
            match bundles.iter_mut().find(|(known, ..)| *known == people) {
                Some((.., list)) => list.push(cube),
                None => bundles.push((people, group, vec![cube])),
            }
        }
        for (people, group, cubes) in bundles {
            let rest = cubes.iter().chain(free).try_fold(vec![people.clone()], |rest: Vec<Cube>, taken| {
                let rest = rest.into_iter().flat_map(|cube| {
                    if cube.meets(taken) { cube.difference(taken, self.universe) } else { vec![cube] }
                });
                let rest: Vec<Cube> = rest.take(MOST_REST + 1).collect();
                (rest.len() <= MOST_REST).then_some(rest)
            });
            let except: Option<Vec<super::Service>> = rest.filter(|_| cubes.iter().any(naming::is_broad)).map(|rest| {
                let mut all: Vec<super::Service> = rest
                    .iter()
                    .flat_map(|cube| naming::services(cube, self.region, self.apart(), self.universe))
                    .collect();
                all.sort();
                all.dedup();
                all
            });
            match except {
                Some(except) if except.len() <= EXCEPTIONS && except.iter().all(|one| one.protocol.is_some()) => {
                    rows.push((people, group, except));
                }
                _ => {
                    let broad = cubes.into_iter().filter(naming::is_broad);
                    rows.extend(broad.map(|cube| (cube, group.clone(), Vec::new())));
                }
            }
        }
        rows
    }

    fn row(&self, cube: &Cube, group: &Group, all: &[Cube], except: Vec<super::Service>) -> Option<Row> {
        let (host, road) = (self.host, self.road);
        let translation = road.translation.as_ref();
        let spoken = |place: &Place| {
            let origin = host.rule(*place).and_then(|rule| rule.origin);
            origin.is_some_and(|origin| host.is_policy(origin.file))
        };
        let by_policy = group.through.iter().any(spoken);
        let allowed = !group.through.is_empty();
        let mut reasons = Vec::new();
        let platform = match self.platform(if host.policy_alone() { by_policy } else { allowed }) {
            PlatformVerdict::Closed(_) => return None,
            PlatformVerdict::Open(title) => Some(title),
            PlatformVerdict::Depends { reasons: why, .. } => {
                reasons.extend(why);
                None
            }
            PlatformVerdict::Nobody => None,
        };
        let mut through = self.rules(&group.through);
        match platform {
            Some(title) if !by_policy => through.push(Through {
                file: None,
                line: None,
                chain: title.to_owned(),
                text: self.let_in_by(title),
                kind: ThroughKind::Platform,
            }),
            _ if group.through.is_empty() && reasons.is_empty() => {
                through.push(group.end.map_or_else(|| self.nothing(), |place| self.end(place)));
            }
            _ => {}
        }
        if translation.is_some_and(|translation| translation.unknown) {
            reasons.push("the new destination is said in words that are not known".to_owned());
        }
        let bare = shown(cube, &road.soft, self.region, self.universe);
        if bare != *cube && !covered(&bare, all, self.universe, self.allowance) {
            reasons.extend(open(cube, self.region, self.universe));
            for field in road.soft.iter().filter(|field| narrower(cube, **field, self.region).is_some()) {
                if let Some(values) = cube.get(*field) {
                    reasons.push(format!("if its {field} is {}", words::values(*field, values, self.universe)));
                }
            }
        }
        let certainty = if reasons.is_empty() { Certainty::Certain } else { Certainty::Possibly(reasons) };
        let for_proxy = self.for_proxy(&group.through);
        let basic = allowed
            && group.through.iter().all(|place| {
                let origin = host.rule(*place).and_then(|rule| rule.origin);
                origin.and_then(|origin| self.lines.place(origin)).is_some_and(|(file, _)| file.starts_with("std:"))
            });
        let unmentioned = if self.speaks { !by_policy } else { !allowed };
        let sources = addresses(cube.get(Field::SOURCE), self.family);
        let (from, via) = self.from(cube);
        let card = if road.from == Class::Host { Field::OUT_INTERFACE } else { Field::IN_INTERFACE };
        let dialled =
            if self.region.get(Field::ORIGINAL_DESTINATION).is_some() || translation.is_some_and(|one| !one.proxied) {
                Field::ORIGINAL_DESTINATION
            } else {
                Field::DESTINATION
            };
        Some(Row {
            section: self.section(cube),
            exposure: self.exposure(cube, &sources),
            from,
            sources,
            sources_say: String::new(),
            via,
            cards: cube.get(card).cloned(),
            dialled: addresses(cube.get(dialled), self.family),
            to: if for_proxy { anything() } else { self.to(cube) },
            at: self.at(cube),
            services: self.services(cube),
            except,
            families: vec![self.family],
            through,
            limits: group.limits.clone(),
            certainty,
            unmentioned,
            basic,
            remarks: self.remarks(for_proxy),
        })
    }

    /// What the platform's own rules do, where they are not there to be read. `allowed`: a rule of the policy lets packets through.
    fn platform(&self, allowed: bool) -> PlatformVerdict {
        let Some(policy) = self.host.policy.as_ref().filter(|_| !self.host.recorded) else {
            return PlatformVerdict::Nobody;
        };
        let road = self.road;
        let flow = Flow { from: road.from, to: road.to };
        let query = Query { policy, flow, rule: None, family: self.family };
        let translation = road.translation.as_ref();
        let published = translation.is_some_and(|one| one.published.is_some() || one.anything);
        let reached = match translation {
            Some(translation) if translation.proxied => Reached::Socket,
            _ if road.to == Class::Host => Reached::Socket,
            _ if published => Reached::Translated,
            _ => Reached::Own,
        };
        let verdict = match translation {
            // What a rule of the host's own translates, the platform has no say in; nor in what the host itself sends.
            Some(_) if !published => PlatformVerdict::Nobody,
            _ if road.from == Class::Host => PlatformVerdict::Nobody,
            _ => traffic::verdict(&query, reached),
        };
        match verdict {
            PlatformVerdict::Depends { facts, .. } if reached == Reached::Own && road.from != Class::Container => {
                let title = query.platforms().first().map_or("the platform", |platform| platform.title.as_str());
                let why = "version and settings decide, and whether there is a route to the container's own address";
                PlatformVerdict::Depends { reasons: vec![format!("{title}'s {why}")], facts }
            }
            PlatformVerdict::Depends { .. } if allowed && road.from == Class::Container => PlatformVerdict::Nobody,
            PlatformVerdict::Nobody if !allowed => {
                let whose = match (road.from, road.to) {
                    (_, Class::Host) | (Class::Host, _) => "the host's",
                    _ => "the platform's and the host's",
                };
                let reasons = vec![format!("what {whose} other rules do is not known")];
                PlatformVerdict::Depends { reasons, facts: Vec::new() }
            }
            other => other,
        }
    }

    /// What of the platform's rules lets packets in.
    fn let_in_by(&self, title: &str) -> String {
        match (self.road.to, &self.road.translation) {
            (Class::Outside, _) => format!("{title}'s own rules let containers out"),
            (_, Some(_)) => format!("{title}'s own rules let in what is published"),
            (_, None) => format!("{title}'s own rules let packets straight to containers"),
        }
    }

    /// The rules that let packets through: first what translates them, then what allows them. Several rules of one line of a policy are
    /// one, and the line that declares a guest says less than those in its block.
    fn rules(&self, places: &[Place]) -> Vec<Through> {
        let host = self.host;
        let translation = self.road.translation.as_ref().and_then(|translation| translation.place);
        let translation = translation.map(|place| {
            let through = self.through(place);
            let kind = if through.kind == ThroughKind::Policy { through.kind } else { ThroughKind::Translation };
            Through { kind, ..through }
        });
        let gates = |place: &Place| {
            let origin = host.rule(*place).and_then(|rule| rule.origin);
            let gates = host.policy.iter().flat_map(|policy| &policy.gates);
            origin.is_some_and(|origin| gates.into_iter().any(|gate| gate.location == origin))
        };
        let declared = places.iter().filter(|place| gates(place)).count();
        let shown = places.iter().filter(|place| declared == places.len() || !gates(place));
        let mut all: Vec<Through> = Vec::new();
        for one in translation.into_iter().chain(shown.map(|place| self.through(*place))) {
            let same = |known: &Through| known.line.is_some() && (&known.file, known.line) == (&one.file, one.line);
            if !all.iter().any(same) {
                all.push(one);
            }
        }
        all
    }

    fn services(&self, cube: &Cube) -> Vec<super::Service> {
        let anything = self.road.translation.as_ref().is_some_and(|translation| translation.anything);
        let whole = anything && naming::SERVICE.iter().all(|field| narrower(cube, *field, self.region).is_none());
        let cube = if whole { &cube.replaced(Field::PROTOCOL, None) } else { cube };
        naming::services(cube, self.region, self.apart(), self.universe)
    }

    /// Whether rules that speak of containers let packets in to this host: they are for a proxy of the platform's.
    fn for_proxy(&self, places: &[Place]) -> bool {
        let host = self.host;
        let Some(policy) = host.policy.as_ref().filter(|policy| policy.containers.used) else { return false };
        let says = |to: Class, place: &Place| {
            let origin = host.rule(*place).and_then(|rule| rule.origin);
            let flow = policy.flows.get(&crate::policy::Flow { from: self.road.from, to });
            flow.into_iter().flatten().any(|judgement| Some(judgement.location) == origin)
        };
        self.road.to == Class::Host
            && !places.is_empty()
            && places.iter().all(|place| says(Class::Container, place) && !says(Class::Host, place))
    }

    /// What leaves by the default route opens nothing here.
    fn section(&self, cube: &Cube) -> Section {
        let default = naming::card_of(self.host);
        let away = || default.is_some_and(|card| cube.get(Field::OUT_INTERFACE) == Some(&Values::single(card)));
        match (self.road.from, self.road.to) {
            (Class::Outside, Class::Outside) if self.road.translation.is_none() && away() => Section::Outbound,
            (Class::Outside, _) => Section::Inbound,
            (_, Class::Outside) => Section::Outbound,
            _ => Section::Inside,
        }
    }

    fn remarks(&self, for_proxy: bool) -> Vec<String> {
        let translation = self.road.translation.as_ref();
        if for_proxy || translation.is_some_and(|translation| translation.proxied) {
            return vec![format!("{} by docker-proxy", ip(self.family))];
        }
        Vec::new()
    }

    /// Whether the port that was dialled is another field than the one in the header.
    fn apart(&self) -> bool {
        let anything = self.road.translation.as_ref().is_some_and(|translation| translation.anything);
        anything || self.region.get(Field::ORIGINAL_PORT).is_some()
    }

    fn exposure(&self, cube: &Cube, sources: &AddressSet) -> Exposure {
        let from = self.road.from;
        if from != Class::Outside {
            return Exposure::Inside;
        }
        let card = self.cards(cube);
        let default = naming::card_of(self.host);
        let public = internet(self.family);
        let reached = sources.intersection(&public);
        if naming::size(&reached) > naming::size(&public) / 2 {
            return match (card, default) {
                (None, _) => Exposure::World,
                (Some(cards), Some(default)) if cards.contains(default) => Exposure::World,
                (Some(_), Some(_)) => Exposure::Network,
                (Some(cards), None) if cards.ranges().iter().any(|(first, last)| first != last) => Exposure::World,
                (Some(_), None) => Exposure::Anyone,
            };
        }
        if reached.is_empty() { Exposure::Private } else { Exposure::Some }
    }

    /// The cards that packets arrive by, where not all that they can.
    fn cards<'c>(&self, cube: &'c Cube) -> Option<&'c Values> {
        let all = self.geography.cards_of(self.road.from);
        cube.get(Field::IN_INTERFACE).filter(|values| all.is_none_or(|all| !values.covers(all)))
    }

    /// Who opens, and the cards in words.
    fn from(&self, cube: &Cube) -> (End, Option<String>) {
        let names = &self.host.names;
        let class = self.road.from;
        if class == Class::Host {
            let out = narrower(cube, Field::OUT_INTERFACE, self.region);
            let via = out.map(|values| naming::cards(values, None, names, self.universe));
            let says = "this host".to_owned();
            return (End { class, name: None, network: None, says, address: None }, via);
        }
        let cards = self.cards(cube);
        let all = self.geography.cards_of(class);
        let via = cards.map(|values| naming::cards(values, all, names, self.universe));
        if class == Class::Outside {
            let says = "elsewhere".to_owned();
            return (End { class, name: None, network: None, says, address: None }, via);
        }
        let source = single(cube.get(Field::SOURCE), self.family);
        let machine = machine(self.host, source, None, cards, self.universe);
        let says = said(class, &machine, source, cards.is_some());
        (End { class, name: machine.name, network: machine.network, says, address: source }, via)
    }

    /// Who is reached.
    fn to(&self, cube: &Cube) -> End {
        let class = self.road.to;
        if class == Class::Host {
            return End { class, name: None, network: None, says: "this host".to_owned(), address: None };
        }
        let out = narrower(cube, Field::OUT_INTERFACE, &Cube::all());
        let translation = self.road.translation.as_ref();
        let address = translation
            .and_then(|translation| translation.address)
            .or_else(|| single(cube.get(Field::DESTINATION), self.family));
        let published = translation.and_then(|translation| translation.published.as_ref());
        if translation.is_some_and(|translation| translation.anything) {
            return anything();
        }
        let found = self.published_as(cube, address);
        let machine = machine(self.host, address, published.or(found), out, self.universe);
        if class == Class::Outside {
            let cards = out.filter(|values| *values != self.geography.cards_of(class).unwrap_or(values));
            let behind = cards
                .map(|values| naming::cards(values, self.geography.cards_of(class), &self.host.names, self.universe));
            if let Some(name) = &machine.name {
                let says = format!("guest {name}");
                return End {
                    class: Class::Guest,
                    name: machine.name.clone(),
                    network: machine.network,
                    says,
                    address,
                };
            }
            let says = match (translation.and(address), behind) {
                (Some(address), Some(behind)) => format!("{address} behind {behind}"),
                (Some(address), None) => address.to_string(),
                (None, Some(behind)) => format!("networks behind {behind}"),
                (None, None) => "other networks".to_owned(),
            };
            return End { class, name: None, network: machine.network, says, address };
        }
        let narrow = out.is_some_and(|values| self.geography.cards_of(class) != Some(values));
        let says = said(class, &machine, address, narrow);
        End { class, name: machine.name, network: machine.network, says, address }
    }

    /// What facts say is published at the dialled port, for a translation that was recorded.
    fn published_as(&self, cube: &Cube, address: Option<IpAddr>) -> Option<&crate::policy::Published> {
        let translation = self.road.translation.as_ref().filter(|one| one.place.is_some())?;
        let policy = self.host.policy.as_ref()?;
        let dialled = if self.apart() { Field::ORIGINAL_PORT } else { Field::DESTINATION_PORT };
        let port = cube.get(dialled)?.hull().0;
        let own = cube.get(Field::DESTINATION_PORT)?.hull().0;
        let protocol = cube.get(Field::PROTOCOL)?.hull().0;
        let inside = |ports: crate::net::PortRange, port: u128| {
            (u128::from(ports.first)..=u128::from(ports.last)).contains(&port)
        };
        let known = policy.containers.published.iter().find(|one| {
            u128::from(one.protocol.0) == protocol && inside(one.ports, port) && inside(one.container_ports, own)
        })?;
        // What has that address under another name is somebody else.
        let facts = &policy.facts;
        let fixed =
            facts.container(&known.container).map(|(_, container)| container.addresses.clone()).unwrap_or_default();
        let same = |address: IpAddr| fixed.is_empty() || fixed.contains(&address);
        (translation.address.or(address).is_none_or(same)).then_some(known)
    }

    /// The addresses that are dialled.
    fn at(&self, cube: &Cube) -> Option<String> {
        let dialled = if self.region.get(Field::ORIGINAL_DESTINATION).is_some() {
            Field::ORIGINAL_DESTINATION
        } else {
            Field::DESTINATION
        };
        let translated = self.road.translation.is_some();
        let values =
            if translated { narrower(cube, dialled, &self.whole()) } else { narrower(cube, dialled, self.region) };
        let own = single(values, self.family);
        let is_target =
            own.is_some() && !translated && matches!(self.road.to, Class::Container | Class::Instance | Class::Guest);
        let values = values.filter(|_| !is_target)?;
        let all = if translated {
            addresses(self.whole().get(dialled), self.family)
        } else {
            addresses(self.region.get(dialled), self.family)
        };
        Some(naming::places(&addresses(Some(values), self.family), &all, self.family, &self.host.names))
    }

    /// What can be dialled at all.
    fn whole(&self) -> Cube {
        let own = self.geography.here.clone();
        let all = Cube::all().with(Field::ORIGINAL_DESTINATION, own.clone());
        all.and_then(|all| all.with(Field::DESTINATION, own)).unwrap_or_default()
    }

    fn through(&self, place: Place) -> Through {
        let host = self.host;
        let chain = host.chain_name(place.table as usize, place.chain as usize);
        let Some(rule) = host.rule(place) else { return self.end(place) };
        let origin = rule.origin;
        let line = origin.and_then(|origin| self.lines.place(origin));
        let does = rule.verdict.as_ref().map_or_else(String::new, words::verdict);
        let text = origin.and_then(|origin| host.text(origin)).unwrap_or(does);
        let policy = origin.is_some_and(|origin| host.is_policy(origin.file));
        Through {
            file: line.map(|(file, _)| file.to_owned()),
            line: line.map(|(_, line)| line),
            chain,
            text,
            kind: if policy { ThroughKind::Policy } else { ThroughKind::Rule },
        }
    }

    /// The end of a base chain, or a rule that goes back to it.
    fn end(&self, place: Place) -> Through {
        let chain = self.host.chain_name(place.table as usize, place.chain as usize);
        let hook = self.road.hook.chain();
        let base =
            self.host.ruleset.tables.get(place.table as usize).and_then(|table| table.chains.get(place.chain as usize));
        let is_base = base.is_some_and(|chain| chain.base.is_some());
        let chain = if is_base { chain } else { hook.to_owned() };
        Through {
            file: None,
            line: None,
            text: "no rule decides; the chain's policy is accept".to_owned(),
            chain,
            kind: ThroughKind::End,
        }
    }

    fn nothing(&self) -> Through {
        let chain = self.road.hook.chain().to_owned();
        Through { file: None, line: None, text: "there are no rules there".to_owned(), chain, kind: ThroughKind::End }
    }
}

pub(super) fn ip(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "IPv4",
        Family::Ipv6 => "IPv6",
    }
}

/// Whatever containers publish.
fn anything() -> End {
    let says = "containers, at what they publish".to_owned();
    End { class: Class::Container, name: None, network: None, says, address: None }
}

/// A machine in words: `container db`, `172.17.0.2 on docker0`, `containers on app`, `containers`.
fn said(class: Class, machine: &naming::Machine, address: Option<IpAddr>, narrow: bool) -> String {
    let kind = class.name();
    match (&machine.name, address, &machine.network) {
        (Some(name), ..) => format!("{kind} {name}"),
        (None, Some(address), Some(network)) => format!("{kind} {address} on {network}"),
        (None, Some(address), None) => format!("{kind} {address}"),
        (None, None, Some(network)) if narrow => format!("{kind}s on {network}"),
        _ => format!("{kind}s"),
    }
}

fn single(values: Option<&Values>, family: Family) -> Option<IpAddr> {
    let (first, last) = values?.hull();
    (first == last).then(|| words::address(first, family))
}

/// Addresses that the Internet routes, roughly: what is not for networks of one's own.
fn internet(family: Family) -> AddressSet {
    let own: &[&str] = match family {
        Family::Ipv4 => &[
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "224.0.0.0/3",
        ],
        Family::Ipv6 => &["::/3", "4000::/2", "8000::/1"],
    };
    let own = AddressSet::new(own.iter().filter_map(|text| text.parse().ok()));
    AddressSet::all(family).difference(&own)
}
