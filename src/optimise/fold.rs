//! Rules that decide alike and differ in addresses, in ports, or in pairs of both become one.
//!
//! Within a run of neighbouring rules that have the same verdict, no effect and no counter, the order does not matter: a packet
//! meets that verdict if any of them matches. So the run may be regrouped freely.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet, FxHasher};

use super::{Field, Item, is_plain};
use crate::net::{AddressRange, AddressSet, Family, PortRange, PortSet, Protocol};
use crate::netfilter::{Match, MatchKind, Reject, Rule, Set, SetField, SetValue, Target, Verdict};

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

/// Folds every run of the list. New sets go to `sets`; with `concatenate` off, none that join two fields are made.
pub fn fold(items: Vec<Item>, target: Target, concatenate: bool, sets: &mut Sets) -> Vec<Item> {
    let mut out = Vec::with_capacity(items.len());
    let mut run: Vec<Item> = Vec::new();
    for item in items {
        let joins = can_fold(&item.rule);
        if !joins || run.first().is_some_and(|first| first.rule.verdict != item.rule.verdict) {
            out.append(&mut fold_run(std::mem::take(&mut run), target, concatenate, sets));
        }
        if joins { run.push(item) } else { out.push(item) }
    }
    out.append(&mut fold_run(run, target, concatenate, sets));
    out
}

fn can_fold(rule: &Rule) -> bool {
    rule.effects.is_empty()
        && matches!(
            rule.verdict,
            Some(Verdict::Accept | Verdict::Drop | Verdict::Reject(_) | Verdict::Return | Verdict::Goto(_))
        )
        && rule.matches.iter().all(|item| is_plain(&item.kind))
}

fn fold_run(mut run: Vec<Item>, target: Target, concatenate: bool, sets: &mut Sets) -> Vec<Item> {
    if run.len() < 2 {
        return run;
    }
    for field in [Field::Source, Field::Destination, Field::DestinationPort, Field::OriginalPort] {
        run = fold_field(run, field, target);
    }
    if concatenate && run.len() >= WORTH_A_SET {
        for side in [Field::Source, Field::Destination] {
            run = fold_pairs(run, side, target, sets);
        }
    }
    run
}

/// The items that `key` and `same` say are alike, in the order of the first of each; an item without a key stands alone. `Err` gives the
/// run back where no two are alike.
fn groups(
    run: Vec<Item>,
    key: impl Fn(&Item) -> Option<u64>,
    same: impl Fn(&Item, &Item) -> bool,
) -> Result<Vec<Vec<Item>>, Vec<Item>> {
    let mut known: FxHashMap<u64, (usize, usize)> = FxHashMap::default();
    let mut group_of = Vec::with_capacity(run.len());
    let mut count = 0;
    for (at, item) in run.iter().enumerate() {
        let mut found = count;
        if let Some(mut hash) = key(item) {
            // Another key with the same hash takes the next free number.
            while let Some(&(first, group)) = known.get(&hash) {
                if run.get(first).is_some_and(|first| same(first, item)) {
                    found = group;
                    break;
                }
                hash = hash.wrapping_add(1);
            }
            if found == count {
                known.insert(hash, (at, count));
            }
        }
        count += usize::from(found == count);
        group_of.push(found);
    }
    if count == run.len() {
        return Err(run);
    }
    let mut groups: Vec<Vec<Item>> = Vec::new();
    groups.resize_with(count, Vec::new);
    for (item, group) in run.into_iter().zip(group_of) {
        if let Some(members) = groups.get_mut(group) {
            members.push(item);
        }
    }
    Ok(groups)
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
            let family = set.ranges().first()?.family();
            (set.ranges().last()?.family() == family).then_some(Some(family))
        }
        _ => Some(None),
    }
}

fn fold_field(run: Vec<Item>, field: Field, target: Target) -> Vec<Item> {
    let key = |item: &Item| {
        let at = field.place(&item.rule)?;
        let family = family_of(&item.rule, at)?;
        Some(hash_of(&item.rule, family, &[at]))
    };
    let same = |left: &Item, right: &Item| {
        let (Some(a), Some(b)) = (field.place(&left.rule), field.place(&right.rule)) else { return false };
        left.rule.family == right.rule.family
            && family_of(&left.rule, a) == family_of(&right.rule, b)
            && others(&left.rule, &[a]).eq(others(&right.rule, &[b]))
    };
    let groups = match groups(run, key, same) {
        Ok(groups) => groups,
        Err(run) => return run,
    };
    let mut out = Vec::with_capacity(groups.len());
    for mut members in groups {
        if members.len() > 1
            && let Some(kind) = union(&members, field, target)
            && let Some(at) = members.first().and_then(|first| field.place(&first.rule))
        {
            let origins = origins(&members);
            let comment = shared_comment(&members);
            members.truncate(1);
            for item in &mut members {
                item.origins.clone_from(&origins);
                item.rule.comment.clone_from(&comment);
                if let Some(place) = item.rule.matches.get_mut(at) {
                    place.kind = kind.clone();
                }
            }
        }
        out.append(&mut members);
    }
    out
}

/// What all members match on the field together; `None` if that cannot be one rule.
fn union(members: &[Item], field: Field, target: Target) -> Option<MatchKind> {
    let kinds = || members.iter().flat_map(|item| item.rule.matches.iter().filter(|found| field.of(found)));
    let addresses = || {
        kinds().flat_map(|found| match &found.kind {
            MatchKind::Source(set) | MatchKind::Destination(set) => set.ranges(),
            _ => &[],
        })
    };
    let ports = || {
        kinds().flat_map(|found| match &found.kind {
            MatchKind::DestinationPort(set) | MatchKind::OriginalDestinationPort(set) => set.ranges(),
            _ => &[],
        })
    };
    Some(match field {
        Field::Source => MatchKind::Source(AddressSet::new(addresses().copied())),
        Field::Destination => MatchKind::Destination(AddressSet::new(addresses().copied())),
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

fn origins(members: &[Item]) -> Vec<crate::span::Location> {
    members.iter().flat_map(Item::places).copied().collect()
}

/// The remark of a folded rule: kept where all have the same.
fn shared_comment(members: &[Item]) -> Option<Arc<str>> {
    let first = members.first()?.rule.comment.clone()?;
    members.iter().all(|item| item.rule.comment.as_ref() == Some(&first)).then_some(first)
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

/// Rules that name pairs of address and port become a look-up of both at once.
fn fold_pairs(run: Vec<Item>, side: Field, target: Target, sets: &mut Sets) -> Vec<Item> {
    let key = |item: &Item| {
        let places = pair_places(&item.rule, side)?;
        if !fits_in_set(&item.rule, places, target) {
            return None;
        }
        let family = family_of(&item.rule, places[0])?;
        Some(hash_of(&item.rule, family, &places))
    };
    let same = |left: &Item, right: &Item| {
        let (Some(a), Some(b)) = (pair_places(&left.rule, side), pair_places(&right.rule, side)) else { return false };
        left.rule.family == right.rule.family
            && family_of(&left.rule, a[0]) == family_of(&right.rule, b[0])
            && others(&left.rule, &a).eq(others(&right.rule, &b))
    };
    let groups = match groups(run, key, same) {
        Ok(groups) => groups,
        Err(run) => return run,
    };
    let mut out = Vec::with_capacity(groups.len());
    for mut members in groups {
        if members.len() >= WORTH_A_SET
            && let Some((set, family)) = pair_set(&members, side)
            && let Some(places) = members.first().and_then(|first| pair_places(&first.rule, side))
        {
            let origins = origins(&members);
            let comment = shared_comment(&members);
            members.truncate(1);
            for item in &mut members {
                let look_up =
                    Match::is(MatchKind::InSet { set: set.name.clone(), fields: set.fields.as_slice().into() });
                let mut matches: Vec<Match> = others(&item.rule, &places).cloned().collect();
                matches.push(look_up);
                item.rule.matches = matches;
                item.rule.family = Some(family);
                item.rule.comment.clone_from(&comment);
                item.origins.clone_from(&origins);
            }
            sets.add(set);
        }
        out.append(&mut members);
    }
    out
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
fn pair_set(members: &[Item], side: Field) -> Option<(Set, Family)> {
    let mut pairs: Vec<(Protocol, PortRange, AddressRange)> = Vec::with_capacity(members.len());
    for item in members {
        let places = pair_places(&item.rule, side)?;
        let kinds = places.map(|at| item.rule.matches.get(at).map(|item| &item.kind));
        let [
            Some(MatchKind::Source(addresses) | MatchKind::Destination(addresses)),
            Some(MatchKind::Protocol(protocols)),
            Some(MatchKind::DestinationPort(ports)),
        ] = kinds
        else {
            return None;
        };
        for protocol in protocols {
            for ports in ports.ranges() {
                pairs.extend(addresses.ranges().iter().map(|address| (*protocol, *ports, *address)));
            }
        }
    }
    let family = pairs.first()?.2.family();
    pairs.sort_unstable();
    let bound = 1000 + 4 * pairs.len();
    let mut elements: Vec<Vec<SetValue>> = Vec::with_capacity(pairs.len());
    for of_protocol in pairs.chunk_by(|a, b| a.0 == b.0) {
        for (protocol, ports, addresses) in apart(of_protocol, bound)? {
            for range in addresses.ranges() {
                elements.push(vec![SetValue::Address(*range), SetValue::Service(protocol, ports)]);
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
fn content_hash(elements: &[Vec<SetValue>]) -> u64 {
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
    for value in elements.iter().flatten() {
        match value {
            SetValue::Address(range) => {
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
