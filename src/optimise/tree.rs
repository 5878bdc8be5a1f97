//! Long lists that one field tells apart: a packet is led to the few rules that its value can match.
//!
//! Every rule of the list names values of the field; a packet with one value can match only the rules that name it, and meets those in
//! their old order. In nft the value is looked up in a verdict map, in iptables it is found by quarters: each chain of the tree sends each
//! quarter to a chain of its own. All of it is *goto*, so that RETURN keeps its meaning, and a packet that
//! no rule of the list decides goes on to the rest of the chain.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::{Field, is_plain};
use thin_vec::thin_vec;

use crate::net::address_number;
use crate::net::{AddressRange, Family, PortRange, Protocol};
use crate::netfilter::{Chain, Match, MatchKind, Owner, Rule, SetField, SetValue, Target, Verdict};

/// Lists shorter than this are as quick to walk.
const WORTH_A_TREE: usize = 16;
/// Longest name of a chain that iptables takes.
const CHAIN_NAME: usize = 28;
/// Rules at the end of a branch.
const LEAF: usize = 4;
/// Branches of one chain. More than two, for nf_tables counts every goto from a hook to the farthest chain, and refuses a
/// sixteenth (`NFT_JUMP_STACK_SIZE`), iptables-nft's included.
const WAYS: usize = 4;
/// Trees in one chain: each leads on to the next, one goto deeper.
const MOST_TREES: usize = 3;

/// Chain names in use, for making new ones.
pub struct Names {
    taken: FxHashSet<Arc<str>>,
    next: u32,
}

impl Names {
    /// With these taken.
    pub fn new(taken: impl Iterator<Item = Arc<str>>) -> Self {
        Self { taken: taken.collect(), next: 0 }
    }

    /// A chain that belongs to another, by what it is for.
    pub(super) fn named(&mut self, after: &str, word: &str) -> Arc<str> {
        let name: Arc<str> = format!("{after}.{word}").into();
        if name.len() <= CHAIN_NAME && !after.contains('.') && self.taken.insert(name.clone()) {
            return name;
        }
        self.fresh(after)
    }

    fn fresh(&mut self, after: &str) -> Arc<str> {
        let stem = after.split_once('.').map_or(after, |(stem, _)| stem);
        loop {
            self.next += 1;
            let cut = (0..=stem.len().min(19)).rev().find(|&at| stem.is_char_boundary(at)).unwrap_or(0);
            let name: Arc<str> = format!("{}.{}", stem.get(..cut).unwrap_or(""), self.next).into();
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
    }
}

/// What has to be equal for two rules to be divided by one tree: packets of different classes never meet each other's rules, so
/// that these may change places.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Class {
    Ports(Protocol),
    Addresses(Family),
}

type Range = (u128, u128);

impl Field {
    const ALL: [Self; 4] = [Self::OriginalPort, Self::DestinationPort, Self::Source, Self::Destination];

    /// The class of a rule that this field can divide.
    fn class(self, rule: &Rule) -> Option<Class> {
        if !rule.matches.iter().all(|item| is_plain(&item.kind)) || matches!(rule.verdict, Some(Verdict::Map { .. })) {
            return None;
        }
        let mut found = rule.matches.iter().filter(|item| self.of(item));
        let only = found.next()?;
        if found.next().is_some() {
            return None;
        }
        match &only.kind {
            MatchKind::Source(set) | MatchKind::Destination(set) => {
                let family = set.ranges().first()?.family();
                let one =
                    set.ranges().last()?.family() == family && rule.family.is_none_or(|of_rule| of_rule == family);
                one.then_some(Class::Addresses(family))
            }
            _ => rule.matches.iter().find_map(|item| match &item.kind {
                MatchKind::Protocol(list) if !item.negated => match &**list {
                    [one] => Some(Class::Ports(*one)),
                    _ => None,
                },
                _ => None,
            }),
        }
    }

    fn ranges(self, rule: &Rule) -> Vec<Range> {
        let found = rule.matches.iter().find(|item| self.of(item)).map(|item| &item.kind);
        match found {
            Some(MatchKind::Source(set) | MatchKind::Destination(set)) => {
                set.ranges().iter().map(|range| (address_number(range.first), address_number(range.last))).collect()
            }
            Some(MatchKind::DestinationPort(set) | MatchKind::OriginalDestinationPort(set)) => {
                set.ranges().iter().map(|range| (u128::from(range.first), u128::from(range.last))).collect()
            }
            _ => Vec::new(),
        }
    }

    /// A match for the values of a range.
    fn matching(self, class: Class, (first, last): Range) -> MatchKind {
        let ports = || [port_range(first, last)].into_iter().collect();
        let addresses = || address_range(class, first, last).into_iter().collect();
        match self {
            Self::OriginalPort => MatchKind::OriginalDestinationPort(ports()),
            Self::DestinationPort => MatchKind::DestinationPort(ports()),
            Self::Source => MatchKind::Source(addresses()),
            Self::Destination => MatchKind::Destination(addresses()),
        }
    }

    fn set_field(self) -> SetField {
        match self {
            Self::OriginalPort => SetField::OriginalService,
            Self::DestinationPort => SetField::DestinationService,
            Self::Source => SetField::Source,
            Self::Destination => SetField::Destination,
        }
    }
}

fn port_range(first: u128, last: u128) -> PortRange {
    let port = |number: u128| u16::try_from(number).unwrap_or(u16::MAX);
    PortRange { first: port(first), last: port(last) }
}

fn address_range(class: Class, first: u128, last: u128) -> Option<AddressRange> {
    let address = |number: u128| match class {
        Class::Addresses(Family::Ipv6) => IpAddr::V6(Ipv6Addr::from(number)),
        _ => IpAddr::V4(Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX))),
    };
    AddressRange::new(address(first), address(last))
}

/// Divides the long parts of a chain's rules; new chains go to `made`.
pub fn divide(
    chain: &Arc<str>,
    rules: Vec<Rule>,
    target: Target,
    names: &mut Names,
    made: &mut Vec<Chain>,
) -> Vec<Rule> {
    if rules.len() < WORTH_A_TREE {
        return rules;
    }
    let mut out: Vec<Rule> = Vec::with_capacity(rules.len());
    // Rules that follow a tree stand in a chain of their own, where undecided packets of the tree go on.
    let mut current: Option<Arc<str>> = None;
    let mut first: Vec<Rule> = Vec::new();
    let segments = segments(&rules);
    let mut rules = rules.into_iter();
    let mut trees = 0;
    for (length, fields) in segments {
        let list: Vec<Rule> = rules.by_ref().take(length).collect();
        if fields.is_empty() || trees == MOST_TREES {
            out.extend(list);
            continue;
        }
        let rest = names.fresh(chain);
        let tree = fields.into_iter().find_map(|field| Tree::build(chain, &list, field, target, &rest, names));
        let Some((entries, chains)) = tree else {
            out.extend(list);
            continue;
        };
        trees += 1;
        out.extend(entries);
        // A packet that no entry leads into the tree.
        out.push(Rule { verdict: Some(Verdict::Goto(rest.clone())), ..Rule::default() });
        made.extend(chains);
        let done = std::mem::take(&mut out);
        match current.take() {
            None => first = done,
            Some(name) => made.push(plain(name, done)),
        }
        current = Some(rest);
    }
    match current {
        None => out,
        Some(name) => {
            made.push(plain(name, out));
            first
        }
    }
}

/// Cuts the rules into lists that a field may divide, each with such fields, the best first; and what lies between, with none.
fn segments(rules: &[Rule]) -> Vec<(usize, Vec<Field>)> {
    let mut out = Vec::new();
    let mut rest = rules;
    while !rest.is_empty() {
        let run = |field: Field| rest.iter().take_while(|rule| field.class(rule).is_some()).count();
        let runs = Field::ALL.map(|field| (run(field), field));
        let length = runs.iter().map(|(length, _)| *length).max().unwrap_or(0).max(1);
        let (list, after) = rest.split_at(length.min(rest.len()));
        let mut fields: Vec<Field> = Vec::new();
        if length >= WORTH_A_TREE {
            fields.extend(runs.iter().filter(|(own, _)| *own == length).map(|(_, field)| *field));
            fields.sort_by_cached_key(|field| repeats(list, *field));
        }
        out.push((list.len(), fields));
        rest = after;
    }
    out
}

/// How often values are named again, and how often one rule names several: a field divides the better the less of both.
fn repeats(rules: &[Rule], field: Field) -> usize {
    let mut starts: Vec<u128> = rules.iter().flat_map(|rule| field.ranges(rule)).map(|range| range.0).collect();
    let values = starts.len();
    starts.sort_unstable();
    starts.dedup();
    (values - starts.len()) + (values - rules.len().min(values))
}

pub(super) fn plain(name: Arc<str>, rules: Vec<Rule>) -> Chain {
    Chain { name, owner: Owner::Fwc, base: None, rules }
}

struct Tree<'a> {
    chain: &'a str,
    field: Field,
    class: Class,
    rest: &'a Arc<str>,
    names: &'a mut Names,
    chains: Vec<Chain>,
    /// Rules that may still be written: a rule that names many values stands in many leaves.
    room: usize,
}

struct Entry<'a> {
    rule: &'a Rule,
    ranges: Vec<Range>,
}

impl<'a> Tree<'a> {
    /// The rules that lead into the tree, and its chains; `None` if the field does not divide the list well.
    fn build(
        chain: &'a str,
        list: &'a [Rule],
        field: Field,
        target: Target,
        rest: &'a Arc<str>,
        names: &'a mut Names,
    ) -> Option<(Vec<Rule>, Vec<Chain>)> {
        let mut classes: Vec<Class> = list.iter().filter_map(|rule| field.class(rule)).collect();
        classes.sort_unstable();
        classes.dedup();
        let (mut entries, mut chains) = (Vec::new(), Vec::new());
        for class in classes {
            let members: Vec<Entry> = list
                .iter()
                .filter(|rule| field.class(rule) == Some(class))
                .map(|rule| Entry { rule, ranges: field.ranges(rule) })
                .collect();
            let room = 2 * members.len() + LEAF;
            let mut tree = Tree { chain, field, class, rest, names, chains: Vec::new(), room };
            let mut entry = Rule::default();
            match class {
                Class::Ports(protocol) => entry.matches.push(Match::is(MatchKind::protocol(protocol))),
                Class::Addresses(family) => entry.family = Some(family),
            }
            entry.verdict = Some(match target {
                Target::Nft => tree.map(&members)?,
                Target::Iptables => Verdict::Goto(tree.split(members.iter().collect())?),
            });
            chains.append(&mut tree.chains);
            entries.push(entry);
        }
        Some((entries, chains))
    }

    /// A chain with these rules, and behind them the rest of the list's chain.
    fn leaf(&mut self, rules: Vec<Rule>) -> Option<Arc<str>> {
        self.room = self.room.checked_sub(rules.len())?;
        let name = self.names.fresh(self.chain);
        let mut rules = rules;
        rules.push(Rule { verdict: Some(Verdict::Goto(self.rest.clone())), ..Rule::default() });
        self.chains.push(plain(name.clone(), rules));
        Some(name)
    }

    /// A chain that leads each value to the rules that name it.
    fn split(&mut self, members: Vec<&Entry>) -> Option<Arc<str>> {
        let pivots = if members.len() > LEAF { pivots(&members) } else { Vec::new() };
        if pivots.is_empty() {
            return self.leaf(members.iter().map(|entry| entry.rule.clone()).collect());
        }
        let mut rules = Vec::with_capacity(WAYS);
        let mut from = 0;
        for at in 0..=pivots.len() {
            let end = pivots.get(at).copied();
            let inside = |range: &Range| range.1 >= from && end.is_none_or(|end| range.0 < end);
            let part = members.iter().copied().filter(|entry| entry.ranges.iter().any(inside)).collect();
            let mut lead = Rule { verdict: Some(Verdict::Goto(self.split(part)?)), ..Rule::default() };
            if let Some(end) = end {
                match self.class {
                    Class::Ports(protocol) => lead.matches.push(Match::is(MatchKind::protocol(protocol))),
                    Class::Addresses(family) => lead.family = Some(family),
                }
                // What is below `from` was led away before.
                lead.matches.push(Match::is(self.field.matching(self.class, (0, end - 1))));
                from = end;
            }
            rules.push(lead);
        }
        let name = self.names.fresh(self.chain);
        self.chains.push(plain(name.clone(), rules));
        Some(name)
    }

    /// The map from every value that a rule names to the chain of the rules that name it.
    fn map(&mut self, members: &[Entry]) -> Option<Verdict> {
        let mut edges: Vec<u128> = Vec::with_capacity(members.len() * 2);
        for (first, last) in members.iter().flat_map(|entry| &entry.ranges) {
            edges.push(*first);
            edges.extend(last.checked_add(1));
        }
        edges.sort_unstable();
        edges.dedup();
        let mut buckets: Vec<Vec<usize>> = vec![Vec::new(); edges.len()];
        let mut room = 1000 + 4 * members.len();
        for (at, entry) in members.iter().enumerate() {
            for (first, last) in &entry.ranges {
                let from = edges.partition_point(|edge| edge < first);
                let to = edges.partition_point(|edge| edge <= last);
                room = room.checked_sub(to - from)?;
                buckets.get_mut(from..to)?.iter_mut().for_each(|bucket| bucket.push(at));
            }
        }
        let mut known: FxHashMap<Vec<usize>, Arc<str>> = FxHashMap::default();
        let mut elements = Vec::with_capacity(edges.len());
        let mut longest = 0;
        for (at, bucket) in buckets.into_iter().enumerate() {
            if bucket.is_empty() {
                continue;
            }
            let first = *edges.get(at)?;
            let last = edges.get(at + 1).map_or(u128::MAX, |next| next - 1);
            longest = longest.max(bucket.len());
            let chain = match known.get(&bucket) {
                Some(chain) => chain.clone(),
                None => {
                    // Every value here is one that the rules name: they need not ask again.
                    let rules = bucket
                        .iter()
                        .filter_map(|&at| members.get(at))
                        .map(|entry| self.without_field(entry.rule))
                        .collect();
                    let chain = self.leaf(rules)?;
                    known.insert(bucket, chain.clone());
                    chain
                }
            };
            let value = match self.class {
                Class::Ports(protocol) => SetValue::Service(protocol, port_range(first, last)),
                Class::Addresses(_) => SetValue::Address(address_range(self.class, first, last)?.into()),
            };
            elements.push((vec![value], Verdict::Goto(chain)));
        }
        // A map whose chains are as long as the list divides nothing.
        (longest * 2 <= members.len())
            .then(|| Verdict::Map { fields: thin_vec![self.field.set_field()], elements: elements.into() })
    }

    fn without_field(&self, rule: &Rule) -> Rule {
        let mut rule = rule.clone();
        rule.matches.retain(|item| !self.field.of(item));
        if let Class::Addresses(family) = self.class {
            rule.family = Some(family);
        }
        rule
    }
}

/// Values that divide the rules into lists, each clearly shorter than the whole; none if there are no such values.
fn pivots(members: &[&Entry]) -> Vec<u128> {
    let mut starts: Vec<u128> = members.iter().flat_map(|entry| &entry.ranges).map(|range| range.0).collect();
    starts.sort_unstable();
    let ways = WAYS.min(members.len().div_ceil(LEAF));
    let mut pivots: Vec<u128> = (1..ways).filter_map(|way| starts.get(way * starts.len() / ways).copied()).collect();
    pivots.dedup();
    pivots.retain(|pivot| *pivot > 0);
    let mut from = 0;
    for end in pivots.iter().copied().map(Some).chain([None]) {
        let inside = |range: &Range| range.1 >= from && end.is_none_or(|end| range.0 < end);
        let part = members.iter().filter(|entry| entry.ranges.iter().any(inside)).count();
        if part * 4 > members.len() * 3 {
            return Vec::new();
        }
        from = end.unwrap_or(from);
    }
    pivots
}
