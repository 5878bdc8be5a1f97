//! Rules that decide alike and differ in addresses, in ports, or in pairs of both become one.
//!
//! Within a run of neighbouring rules that have the same verdict, no effect and no counter, the order does not matter: a packet
//! meets that verdict if any of them matches. So the run may be regrouped freely.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet, FxHasher};
use thin_vec::ThinVec;

use super::{Field, is_plain};
use crate::net::{AddressRange, AddressSet, Family, PortRange, PortSet, Protocol};
use crate::netfilter::{Match, MatchKind, Reject, Rule, Set, SetField, SetValue, Target, Verdict};
use crate::span::Location;

/// Ports that one element of an ipset may stand for: `ipset` stores a range port by port.
const WIDEST_IN_IPSET: u16 = 32;
/// Original ports that one iptables rule may name: each takes a line.
const ORIGINAL_PORTS: usize = 4;
/// Rules that a set of pairs has to replace.
const WORTH_A_SET: usize = 3;

impl Field {
    /// The only match of a rule on this field.
    fn place(self, rule: &Rule) -> Option<usize> {
        let mut places = rule.matches.iter().enumerate().filter(|(_, item)| self.of(item)).map(|(at, _)| at);
        let first = places.next()?;
        places.next().is_none().then_some(first)
    }
}

/// The sets of a table. Their names follow from what they hold, so that one that is made twice is kept once.
pub struct Sets<'a> {
    list: &'a mut Vec<Set>,
    names: FxHashSet<Arc<str>>,
}

impl<'a> Sets<'a> {
    /// With those that the table has.
    pub fn new(list: &'a mut Vec<Set>) -> Self {
        let names = list.iter().map(|set| set.name.clone()).collect();
        Self { list, names }
    }

    fn add(&mut self, set: Set) {
        if self.names.insert(set.name.clone()) {
            self.list.push(set);
        }
    }
}

/// The rules of a chain while they are folded, each with the places of all the rules that it was made from.
struct Folding {
    rules: Vec<Rule>,
    /// As many; empty where a rule is still its own.
    origins: Vec<ThinVec<Location>>,
    target: Target,
}

/// Folds every run of the rules. New sets go to `sets`; with `concatenate` off, none that join two fields are made. Gives with each rule
/// the places of those that it was made from, if they are several.
pub fn fold(
    rules: Vec<Rule>,
    target: Target,
    concatenate: bool,
    sets: &mut Sets,
) -> (Vec<Rule>, Vec<ThinVec<Location>>) {
    let mut folding = Folding { origins: vec![ThinVec::new(); rules.len()], rules, target };
    for field in [Field::Source, Field::Destination, Field::DestinationPort, Field::OriginalPort] {
        folding.by_field(field);
    }
    if concatenate {
        for side in [Field::Source, Field::Destination] {
            folding.by_pairs(side, sets);
        }
    }
    (folding.rules, folding.origins)
}

fn can_fold(rule: &Rule) -> bool {
    rule.effects.is_empty()
        && matches!(
            rule.verdict,
            Some(Verdict::Accept | Verdict::Drop | Verdict::Reject(_) | Verdict::Return | Verdict::Goto(_))
        )
        && rule.matches.iter().all(|item| is_plain(&item.kind))
}

/// The runs of rules that may be regrouped freely, with the number of the first rule of each.
fn runs(rules: &[Rule]) -> impl Iterator<Item = (usize, &[Rule])> {
    let joined = |one: &Rule, next: &Rule| one.verdict == next.verdict && can_fold(one) && can_fold(next);
    let mut at = 0;
    rules.chunk_by(joined).map(move |run| {
        at += run.len();
        (at - run.len(), run)
    })
}

/// Which rules of a run `key` and `same` say are alike, where there are at least `least`: their numbers, in the order of the first of
/// each. A rule without a key stands alone.
fn alike(
    run: &[Rule],
    least: usize,
    key: impl Fn(&Rule) -> Option<u64>,
    same: impl Fn(&Rule, &Rule) -> bool,
) -> Vec<Vec<usize>> {
    if run.len() < least {
        return Vec::new();
    }
    // By hash the group and its first rule; another key with the same hash takes the next free number.
    let mut known: FxHashMap<u64, (u32, u32)> = FxHashMap::default();
    let mut group_of: Vec<Option<u32>> = Vec::with_capacity(run.len());
    let mut sizes: Vec<u32> = Vec::new();
    for (at, rule) in (0u32..).zip(run) {
        let Some(mut hash) = key(rule) else {
            group_of.push(None);
            continue;
        };
        let found = loop {
            match known.get(&hash) {
                Some(&(first, group)) if run.get(first as usize).is_some_and(|first| same(first, rule)) => break group,
                Some(_) => hash = hash.wrapping_add(1),
                None => {
                    let group = u32::try_from(sizes.len()).unwrap_or(u32::MAX);
                    known.insert(hash, (at, group));
                    sizes.push(0);
                    break group;
                }
            }
        };
        if let Some(size) = sizes.get_mut(found as usize) {
            *size += 1;
        }
        group_of.push(Some(found));
    }
    drop(known);
    let enough = |size: &u32| *size as usize >= least;
    if !sizes.iter().any(enough) {
        return Vec::new();
    }
    let room = |size: &u32| if enough(size) { Vec::with_capacity(*size as usize) } else { Vec::new() };
    let mut groups: Vec<Vec<usize>> = sizes.iter().map(room).collect();
    for (at, group) in group_of.into_iter().enumerate() {
        let Some(group) = group.map(|group| group as usize) else { continue };
        if let (Some(members), true) = (groups.get_mut(group), sizes.get(group).is_some_and(enough)) {
            members.push(at);
        }
    }
    groups.retain(|members| !members.is_empty());
    groups
}

impl Folding {
    /// Makes one rule of each group that `alike` finds in a run and that `one` makes a rule of.
    fn merge(&mut self, alike: impl Fn(&[Rule]) -> Vec<Vec<usize>>, mut one: impl FnMut(&[&Rule]) -> Option<Rule>) {
        let mut merged: Vec<(Vec<usize>, Rule)> = Vec::new();
        for (begin, run) in runs(&self.rules) {
            for members in alike(run) {
                let rules: Vec<&Rule> = members.iter().filter_map(|&at| run.get(at)).collect();
                if let Some(rule) = one(&rules) {
                    merged.push((members.into_iter().map(|at| begin + at).collect(), rule));
                }
            }
        }
        if merged.is_empty() {
            return;
        }
        let mut gone = vec![false; self.rules.len()];
        for (members, rule) in merged {
            let origins: ThinVec<Location> = members.iter().flat_map(|&at| self.places(at)).copied().collect();
            let Some((&first, others)) = members.split_first() else { continue };
            if let (Some(place), Some(own)) = (self.rules.get_mut(first), self.origins.get_mut(first)) {
                (*place, *own) = (rule, origins);
            }
            for &other in others {
                if let Some(gone) = gone.get_mut(other) {
                    *gone = true;
                }
            }
        }
        let mut left = gone.iter().map(|gone| !gone);
        self.rules.retain(|_| left.next().unwrap_or(true));
        let mut left = gone.iter().map(|gone| !gone);
        self.origins.retain(|_| left.next().unwrap_or(true));
    }

    /// The places of what a rule was made from.
    fn places(&self, at: usize) -> &[Location] {
        match (self.origins.get(at), self.rules.get(at)) {
            (Some(several), _) if !several.is_empty() => several,
            (_, Some(rule)) => rule.origin.as_slice(),
            _ => &[],
        }
    }

    /// Rules that differ in this field alone become one.
    fn by_field(&mut self, field: Field) {
        let key = |rule: &Rule| {
            let at = field.place(rule)?;
            let family = family_of(rule, at)?;
            Some(hash_of(rule, family, &[at]))
        };
        let same = |left: &Rule, right: &Rule| {
            let (Some(a), Some(b)) = (field.place(left), field.place(right)) else { return false };
            left.family == right.family
                && family_of(left, a) == family_of(right, b)
                && others(left, &[a]).eq(others(right, &[b]))
        };
        let target = self.target;
        self.merge(
            |run| alike(run, 2, key, same),
            |members| {
                let mut rule = (*members.first()?).clone();
                rule.matches.get_mut(field.place(members.first()?)?)?.kind = union(members, field, target)?;
                rule.comment = shared_comment(members);
                Some(rule)
            },
        );
    }

    /// Rules that name pairs of address and port become a look-up of both at once.
    fn by_pairs(&mut self, side: Field, sets: &mut Sets) {
        let target = self.target;
        let key = |rule: &Rule| {
            let places = pair_places(rule, side)?;
            if !fits_in_set(rule, places, target) {
                return None;
            }
            let family = family_of(rule, places[0])?;
            Some(hash_of(rule, family, &places))
        };
        let same = |left: &Rule, right: &Rule| {
            let (Some(a), Some(b)) = (pair_places(left, side), pair_places(right, side)) else { return false };
            left.family == right.family
                && family_of(left, a[0]) == family_of(right, b[0])
                && others(left, &a).eq(others(right, &b))
        };
        self.merge(
            |run| alike(run, WORTH_A_SET, key, same),
            |members| {
                let first = *members.first()?;
                let (set, family) = pair_set(members, side)?;
                let look_up = Match::is(MatchKind::in_set(set.name.clone(), set.fields.as_slice()));
                let mut matches: Vec<Match> = others(first, &pair_places(first, side)?).cloned().collect();
                matches.push(look_up);
                let rule =
                    Rule { family: Some(family), matches, comment: shared_comment(members), ..Rule::clone(first) };
                sets.add(set);
                Some(rule)
            },
        );
    }
}

/// The matches of a rule but for those at `without`.
fn others<'r>(rule: &'r Rule, without: &'r [usize]) -> impl Iterator<Item = &'r Match> {
    rule.matches.iter().enumerate().filter(|(at, _)| !without.contains(at)).map(|(_, item)| item)
}

fn hash_of(rule: &Rule, family: Option<Family>, without: &[usize]) -> u64 {
    let mut hasher = FxHasher::default();
    rule.family.hash(&mut hasher);
    family.hash(&mut hasher);
    for item in others(rule, without) {
        item.hash(&mut hasher);
    }
    hasher.finish()
}

/// The family of an address match: a set of both stays as it is.
fn family_of(rule: &Rule, at: usize) -> Option<Option<Family>> {
    match rule.matches.get(at).map(|item| &item.kind) {
        Some(MatchKind::Source(set) | MatchKind::Destination(set)) => {
            let ranges = set.ranges();
            let family = ranges.first()?.family();
            (ranges.last()?.family() == family).then_some(Some(family))
        }
        _ => Some(None),
    }
}

/// What all members match on the field together; `None` if that cannot be one rule.
fn union(members: &[&Rule], field: Field, target: Target) -> Option<MatchKind> {
    let kinds = || members.iter().flat_map(|rule| rule.matches.iter().filter(|found| field.of(found)));
    let addresses = || {
        let sets = kinds().filter_map(|found| match &found.kind {
            MatchKind::Source(set) | MatchKind::Destination(set) => Some(set),
            _ => None,
        });
        sets.flat_map(AddressSet::iter)
    };
    let ports = || {
        kinds().flat_map(|found| match &found.kind {
            MatchKind::DestinationPort(set) | MatchKind::OriginalDestinationPort(set) => set.ranges(),
            _ => &[],
        })
    };
    Some(match field {
        Field::Source => MatchKind::Source(AddressSet::new(addresses())),
        Field::Destination => MatchKind::Destination(AddressSet::new(addresses())),
        Field::DestinationPort => MatchKind::DestinationPort(PortSet::new(ports().copied())),
        Field::OriginalPort => {
            let set = PortSet::new(ports().copied());
            // iptables takes a line for each, and a set cannot hold them: the tree divides them instead.
            if target == Target::Iptables && set.ranges().len() > ORIGINAL_PORTS {
                return None;
            }
            MatchKind::OriginalDestinationPort(set)
        }
    })
}

/// The remark of a folded rule: kept where all have the same.
fn shared_comment(members: &[&Rule]) -> Option<Arc<str>> {
    let first = members.first()?.comment.clone()?;
    members.iter().all(|rule| rule.comment.as_ref() == Some(&first)).then_some(first)
}

/// Whether a rule has to name its protocol beside the look-up of its port.
fn needs_protocol(rule: &Rule) -> bool {
    let compares = |kind: &MatchKind| {
        matches!(
            kind,
            MatchKind::SourcePort(_)
                | MatchKind::OriginalDestinationPort(_)
                | MatchKind::IcmpType(_)
                | MatchKind::TcpFlags { .. }
        )
    };
    matches!(rule.verdict, Some(Verdict::Reject(Reject::TcpReset)))
        || rule.matches.iter().any(|item| compares(&item.kind))
}

/// Where a rule compares an address on `side`, a protocol and a port, once each and positively, and need not name the protocol apart.
fn pair_places(rule: &Rule, side: Field) -> Option<[usize; 3]> {
    if needs_protocol(rule) {
        return None;
    }
    let address = side.place(rule)?;
    family_of(rule, address)??;
    let port = Field::DestinationPort.place(rule)?;
    let mut protocols = rule.matches.iter().enumerate().filter(|(_, item)| matches!(item.kind, MatchKind::Protocol(_)));
    let (protocol, found) = protocols.next()?;
    if protocols.next().is_some() || found.negated {
        return None;
    }
    // Sets know the ports of these three (`ip_set_get_port`).
    let known = |protocol: &Protocol| [Protocol::TCP, Protocol::UDP, Protocol::SCTP].contains(protocol);
    match &found.kind {
        MatchKind::Protocol(list) if !list.is_empty() && list.iter().all(known) => Some([address, protocol, port]),
        _ => None,
    }
}

/// Whether the pairs of a rule are worth elements of their own: a list times a list is not.
fn fits_in_set(rule: &Rule, places: [usize; 3], target: Target) -> bool {
    let kinds = places.map(|at| rule.matches.get(at).map(|item| &item.kind));
    let [
        Some(MatchKind::Source(addresses) | MatchKind::Destination(addresses)),
        Some(MatchKind::Protocol(protocols)),
        Some(MatchKind::DestinationPort(ports)),
    ] = kinds
    else {
        return false;
    };
    let wide = |range: &PortRange| range.last - range.first >= WIDEST_IN_IPSET;
    if target == Target::Iptables && ports.ranges().iter().any(wide) {
        return false;
    }
    let (addresses, services) = (addresses.ranges().len(), ports.ranges().len() * protocols.len());
    addresses * services <= 64.max(4 * addresses.max(services))
}

/// The set of a group's pairs, its elements apart from one another (nft refuses elements that overlap); `None` if that takes too
/// many.
fn pair_set(members: &[&Rule], side: Field) -> Option<(Set, Family)> {
    let mut pairs: Vec<(Protocol, PortRange, AddressRange)> = Vec::with_capacity(members.len());
    for rule in members {
        let places = pair_places(rule, side)?;
        let kinds = places.map(|at| rule.matches.get(at).map(|item| &item.kind));
        let [
            Some(MatchKind::Source(addresses) | MatchKind::Destination(addresses)),
            Some(MatchKind::Protocol(protocols)),
            Some(MatchKind::DestinationPort(ports)),
        ] = kinds
        else {
            return None;
        };
        for protocol in protocols.iter() {
            for ports in ports.ranges() {
                pairs.extend(addresses.ranges().iter().map(|address| (*protocol, *ports, *address)));
            }
        }
    }
    let family = pairs.first()?.2.family();
    pairs.sort_unstable();
    let bound = 1000 + 4 * pairs.len();
    let mut elements: Vec<Box<[SetValue]>> = Vec::with_capacity(pairs.len());
    for of_protocol in pairs.chunk_by(|a, b| a.0 == b.0) {
        for (protocol, ports, addresses) in apart(of_protocol, bound)? {
            for range in addresses.iter() {
                elements.push([SetValue::Address(range.into()), SetValue::Service(protocol, ports)].into());
            }
        }
    }
    let field = if side == Field::Source { SetField::Source } else { SetField::Destination };
    let digit = if family == Family::Ipv4 { '4' } else { '6' };
    let word = if side == Field::Source { "from" } else { "to" };
    let name = format!("fwc-{word}{digit}-{:016x}", content_hash(&elements));
    let fields = vec![field, SetField::DestinationService];
    Some((Set { name: name.into(), family: Some(family), fields, elements, live: false }, family))
}

/// Port ranges of one protocol, cut where any of them begins or ends, each with all of its addresses.
fn apart(
    pairs: &[(Protocol, PortRange, AddressRange)],
    bound: usize,
) -> Option<Vec<(Protocol, PortRange, AddressSet)>> {
    let mut out = Vec::new();
    if pairs.iter().all(|(_, ports, _)| ports.first == ports.last) {
        for of_port in pairs.chunk_by(|a, b| a.1 == b.1) {
            let (protocol, ports, _) = of_port.first()?;
            out.push((*protocol, *ports, of_port.iter().map(|pair| pair.2).collect()));
        }
        return Some(out);
    }
    let mut edges: Vec<u32> =
        pairs.iter().flat_map(|(_, ports, _)| [u32::from(ports.first), u32::from(ports.last) + 1]).collect();
    edges.sort_unstable();
    edges.dedup();
    let mut buckets: Vec<Vec<AddressRange>> = vec![Vec::new(); edges.len()];
    let mut count = 0;
    for (_, ports, address) in pairs {
        let from = edges.partition_point(|&edge| edge < u32::from(ports.first));
        let to = edges.partition_point(|&edge| edge <= u32::from(ports.last));
        count += to - from;
        if count > bound {
            return None;
        }
        buckets.get_mut(from..to)?.iter_mut().for_each(|bucket| bucket.push(*address));
    }
    let protocol = pairs.first()?.0;
    for (window, bucket) in edges.windows(2).zip(buckets) {
        if let ([first, after], false) = (window, bucket.is_empty()) {
            let ports = PortRange { first: u16::try_from(*first).ok()?, last: u16::try_from(after - 1).ok()? };
            out.push((protocol, ports, bucket.into_iter().collect()));
        }
    }
    Some(out)
}

/// FNV-1a over the elements: the same name on every machine and with every release.
fn content_hash(elements: &[Box<[SetValue]>]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut feed = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    let address = |address: std::net::IpAddr| match address {
        std::net::IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        std::net::IpAddr::V6(address) => address.octets(),
    };
    for value in elements.iter().flat_map(|element| element.iter()) {
        match value {
            SetValue::Address(range) => {
                let range = range.unpacked();
                feed(&address(range.first));
                feed(&address(range.last));
            }
            SetValue::Service(protocol, ports) => {
                feed(&[protocol.0]);
                feed(&ports.first.to_be_bytes());
                feed(&ports.last.to_be_bytes());
            }
            SetValue::Mac(mac) => feed(&mac.0),
            SetValue::Interface(card) => feed(card.name.as_bytes()),
            SetValue::Protocol(protocol) => feed(&[protocol.0]),
            SetValue::Port(ports) => {
                feed(&ports.first.to_be_bytes());
                feed(&ports.last.to_be_bytes());
            }
        }
    }
    hash
}
