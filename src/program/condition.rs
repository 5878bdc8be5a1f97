//! The packets that a rule's matches mean.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::{Event, EventId, Space};
use crate::net::address_number;
use crate::net::{AddressRange, AddressSet, Card, Family, Hours, PortRange, PortSet, Protocol};
use crate::netfilter::{Effect, Limit, MarkWord, Match, MatchKind, Rule, Set, SetField, SetValue, State, Table};
use crate::packet::condition::{Counter, Question};
use crate::packet::field::card_range;
use crate::packet::values::Range;
use crate::packet::{Bits, Condition, Cube, Field, Values};

/// What a rule asks of a packet.
#[derive(Debug, Default)]
pub(super) struct RuleCondition {
    /// Packets that never match, whatever the rest says (a negated set of several fields).
    pub(super) never: Vec<Cube>,
    /// What is asked that counts: the packets for which it is, in this order.
    pub(super) counted: Vec<(Vec<Cube>, EventId)>,
    /// The packets that match; none: it never does.
    pub(super) cubes: Vec<Cube>,
    /// Tests of marks, apart from `cubes`: what they come to depends on which rules the packet has met.
    pub(super) marks: Vec<MarkTest>,
}

/// A test of a mark: these groups of its bits have these values; or, negated, not all of them.
#[derive(Clone, Debug)]
pub(super) struct MarkTest {
    pub(super) parts: Vec<(Field, u128)>,
    pub(super) negated: bool,
}

/// A set and the fields with which a rule asks it.
type Asked = (Arc<str>, Vec<SetField>);

/// Reads conditions, and keeps what is used again.
pub(super) struct Reader<'r> {
    sets: FxHashMap<&'r str, &'r Set>,
    lists: FxHashMap<Asked, Arc<[Cube]>>,
}

/// TCP's SYN and RST.
pub(super) const SYN_OR_RST: u8 = 0x06;
/// What a rule that clamps the segment size is for.
const CLAMPED: MatchKind = MatchKind::TcpFlags { mask: SYN_OR_RST, set: 0x02 };

/// Matches of iptables that give another answer the next time they are asked.
const COUNTING: [&str; 9] =
    ["recent", "statistic", "quota", "hashlimit", "limit", "connbytes", "nfacct", "connlimit", "random"];

impl<'r> Reader<'r> {
    pub(super) fn new(table: &'r Table) -> Self {
        let sets = table.sets.iter().map(|set| (&*set.name, set)).collect();
        Self { sets, lists: FxHashMap::default() }
    }

    /// The condition of a rule for packets of the space's family. `occurrence` tells the questions of one counter apart.
    pub(super) fn read(
        &mut self,
        rule: &Rule,
        space: &mut Space,
        occurrence: &mut dyn FnMut(&Counter, &[Cube]) -> u32,
    ) -> RuleCondition {
        let family = space.universe.family();
        let mut condition = RuleCondition { cubes: vec![Cube::all()], ..RuleCondition::default() };
        if rule.family.is_some_and(|only| only != family) {
            condition.cubes.clear();
        }
        if rule.effects.contains(&Effect::ClampMss) {
            // The target takes no other packets (xt_TCPMSS), and no answer to a SYN is a RST.
            self.narrow(&mut condition, &Match::is(CLAMPED), space, occurrence);
        }
        if copies_from_connection(rule) {
            apply(&mut condition, Field::STATE, Some(connected()), false, space);
        }
        for item in &rule.matches {
            if condition.cubes.is_empty() {
                break;
            }
            self.narrow(&mut condition, item, space, occurrence);
        }
        // Ports are read from no other packets (xt_tcpudp, xt_multiport; nft's transport header behind `meta l4proto`).
        let has_ports =
            |cube: &Cube| [Field::SOURCE_PORT, Field::DESTINATION_PORT].iter().any(|field| cube.get(*field).is_some());
        if let Some(with_ports) = with_ports()
            && condition.cubes.iter().any(has_ports)
        {
            let cubes = std::mem::take(&mut condition.cubes);
            let narrowed = |cube: Cube| match cube.get(Field::PROTOCOL) {
                Some(values) if with_ports.covers(values) => Some(cube),
                _ if has_ports(&cube) => cube.with(Field::PROTOCOL, with_ports.clone()),
                _ => Some(cube),
            };
            condition.cubes = cubes.into_iter().filter_map(narrowed).collect();
        }
        condition
    }

    fn narrow(
        &mut self,
        condition: &mut RuleCondition,
        item: &Match,
        space: &mut Space,
        occurrence: &mut dyn FnMut(&Counter, &[Cube]) -> u32,
    ) {
        let family = space.universe.family();
        let flag = |field: Field| (field, Values::single(1));
        if asks_connection(item) {
            apply(condition, Field::STATE, Some(connected()), false, space);
        }
        let one = match &item.kind {
            MatchKind::InInterface(cards) => names(Field::IN_INTERFACE, cards),
            MatchKind::OutInterface(cards) => names(Field::OUT_INTERFACE, cards),
            MatchKind::InPort(cards) => names(Field::IN_PORT, cards),
            MatchKind::OutPort(cards) => names(Field::OUT_PORT, cards),
            MatchKind::Bridged => Some(flag(Field::BRIDGED)),
            MatchKind::Source(set) => return addresses(condition, Field::SOURCE, set, item.negated, space),
            MatchKind::Destination(set) => return addresses(condition, Field::DESTINATION, set, item.negated, space),
            MatchKind::OriginalDestination(set) => {
                return addresses(condition, Field::ORIGINAL_DESTINATION, set, item.negated, space);
            }
            MatchKind::OriginalSource(set) => {
                return addresses(condition, Field::ORIGINAL_SOURCE, set, item.negated, space);
            }
            MatchKind::DestinationLocal => Some(flag(Field::LOCAL)),
            MatchKind::SourceLocal => Some(flag(Field::SOURCE_LOCAL)),
            MatchKind::DestinationBroadcast => Some(flag(Field::BROADCAST)),
            MatchKind::DestinationMulticast => Some(flag(Field::MULTICAST)),
            MatchKind::Protocol(list) => Values::union(list.iter().map(|one| (u128::from(one.0), u128::from(one.0))))
                .map(|values| (Field::PROTOCOL, values)),
            MatchKind::SourcePort(ports) => port_values(ports).map(|values| (Field::SOURCE_PORT, values)),
            MatchKind::DestinationPort(ports) => port_values(ports).map(|values| (Field::DESTINATION_PORT, values)),
            MatchKind::OriginalDestinationPort(ports) => {
                port_values(ports).map(|values| (Field::ORIGINAL_PORT, values))
            }
            MatchKind::IcmpType(list) => {
                let protocol = if family == Family::Ipv4 { Protocol::ICMP } else { Protocol::ICMPV6 };
                apply(condition, Field::PROTOCOL, Some(Values::single(u128::from(protocol.0))), false, space);
                Values::union(list.iter().map(|one| {
                    let first = u128::from(one.kind) << 8;
                    one.code.map_or((first, first | 0xff), |code| (first | u128::from(code), first | u128::from(code)))
                }))
                .map(|values| (Field::ICMP, values))
            }
            MatchKind::TcpFlags { mask, set } => {
                apply(condition, Field::PROTOCOL, Some(Values::single(6)), false, space);
                let test = Bits { value: u32::from(*set), mask: u32::from(*mask) };
                return bits(condition, &space.universe.flags(test), item.negated, space);
            }
            MatchKind::State(states) => Values::union(state_numbers(*states)).map(|values| (Field::STATE, values)),
            MatchKind::DirectionOriginal => Some((Field::DIRECTION, Values::single(0))),
            MatchKind::DestinationTranslated => Some(flag(Field::TRANSLATED)),
            MatchKind::SourceTranslated => Some(flag(Field::SOURCE_TRANSLATED)),
            MatchKind::Mark { value, mask } | MatchKind::ConnectionMark { value, mask } => {
                let packet = matches!(item.kind, MatchKind::Mark { .. });
                let word = if packet { MarkWord::Packet } else { MarkWord::Connection };
                let parts = space.universe.mark(word, Bits { value: *value, mask: *mask });
                condition.marks.push(MarkTest { parts, negated: item.negated });
                return;
            }
            MatchKind::SourceMac(list) => Values::union(list.iter().map(|mac| {
                let number = mac.number();
                (number, number)
            }))
            .map(|values| (Field::MAC, values)),
            MatchKind::InSet(asked) => return self.set(condition, &asked.set, &asked.fields, item.negated, space),
            MatchKind::Limit(limit) => {
                // What counts all sources together is a counter of the rule's own, unless a name is shared.
                let name = space.counter(&limit.name, limit.source_prefix.is_some());
                let &Limit { count, seconds, burst, source_prefix, .. } = &**limit;
                let counter = Counter::Limit { count, seconds, burst, source_prefix, name };
                return counted(condition, counter, item.negated, space, occurrence);
            }
            MatchKind::ConnectionsAbove { count, source_prefix, name } => {
                let name = space.counter(name, false);
                let counter = Counter::Connections { above: *count, source_prefix: *source_prefix, name };
                return counted(condition, counter, item.negated, space, occurrence);
            }
            MatchKind::User(user) => hidden(Condition::User(Arc::clone(user)), space),
            MatchKind::Time { days, times } => hidden(Condition::Time(Hours { days: *days, times: *times }), space),
            MatchKind::Unknown(text) => {
                if text.split_whitespace().any(|word| COUNTING.contains(&word)) {
                    let counter = Counter::Unmodelled(Arc::clone(text));
                    return counted(condition, counter, item.negated, space, occurrence);
                }
                hidden(Condition::Unmodelled(Arc::clone(text)), space)
            }
        };
        match one {
            Some((field, values)) => apply(condition, field, Some(values), item.negated, space),
            None if item.negated => {}
            None => condition.cubes.clear(),
        }
    }

    /// Membership in a named set.
    fn set(
        &mut self,
        condition: &mut RuleCondition,
        name: &Arc<str>,
        fields: &[SetField],
        negated: bool,
        space: &mut Space,
    ) {
        let known = self.sets.get(&**name).copied().filter(|set| !set.live);
        let Some(set) = known else {
            // Others fill it: what is in it is not known, only that it is the same for everyone who asks.
            let member = Condition::Member { set: Arc::clone(name), fields: fields.into() };
            match hidden(member, space) {
                Some((field, values)) => apply(condition, field, Some(values), negated, space),
                None => condition.cubes.clear(),
            }
            return;
        };
        if let [only] = fields
            && let Some(field) = single_field(*only)
        {
            let family = space.universe.family();
            let ranges = set.elements.iter().filter_map(|element| value_range(element.first()?, family));
            match Values::union(ranges) {
                Some(values) => apply(condition, field, Some(values), negated, space),
                None if negated => {}
                None => condition.cubes.clear(),
            }
            return;
        }
        let list = self.members(set, fields, space);
        if negated {
            condition.never.extend(list.iter().cloned());
        } else {
            let all = &condition.cubes;
            condition.cubes = match all.as_slice() {
                [one] if one.parts().is_empty() => list.to_vec(),
                _ => all.iter().flat_map(|cube| list.iter().filter_map(|member| cube.intersection(member))).collect(),
            };
        }
    }

    fn members(&mut self, set: &Set, fields: &[SetField], space: &Space) -> Arc<[Cube]> {
        let key = (Arc::clone(&set.name), fields.to_vec());
        if let Some(known) = self.lists.get(&key) {
            return Arc::clone(known);
        }
        let family = space.universe.family();
        let elements = set.elements.iter();
        let list: Arc<[Cube]> = elements.filter_map(|element| element_cube(fields, element, family)).collect();
        self.lists.insert(key, Arc::clone(&list));
        list
    }
}

/// The states of packets that belong to a connection, or open one.
pub(super) fn connected() -> Values {
    Values::range((0, 2))
}

/// Whether a match can hold only for packets of a connection: of others, conntrack says neither direction nor what was dialled, and
/// whoever asks, negated or not, gets no answer (`conntrack_mt`, `nft_ct_get_eval`). That nothing was translated holds for them.
fn asks_connection(item: &Match) -> bool {
    match &item.kind {
        MatchKind::DirectionOriginal
        | MatchKind::OriginalSource(_)
        | MatchKind::OriginalDestination(_)
        | MatchKind::OriginalDestinationPort(_)
        | MatchKind::ConnectionMark { .. } => true,
        MatchKind::DestinationTranslated | MatchKind::SourceTranslated => !item.negated,
        MatchKind::InSet(asked) => asked.fields.contains(&SetField::OriginalService),
        _ => false,
    }
}

/// Whether a rule copies the connection's mark: for a packet without one it ends there (`nft_ct_get_eval`), or does nothing (`xt_connmark`).
pub(super) fn copies_from_connection(rule: &Rule) -> bool {
    rule.effects.iter().any(|effect| matches!(effect, Effect::CopyMark { to: MarkWord::Packet, .. }))
}

/// The packets whose fields have the values of a set's element.
pub(super) fn element_cube(fields: &[SetField], element: &[SetValue], family: Family) -> Option<Cube> {
    let mut cube = Cube::all();
    for (field, value) in fields.iter().zip(element) {
        match (field, value) {
            (SetField::DestinationService | SetField::OriginalService, SetValue::Service(protocol, ports)) => {
                let original = *field == SetField::OriginalService;
                let port = if original { Field::ORIGINAL_PORT } else { Field::DESTINATION_PORT };
                if original {
                    cube = cube.with(Field::STATE, connected())?;
                }
                cube = cube.with(Field::PROTOCOL, Values::single(u128::from(protocol.0)))?;
                cube = with_port(cube, port, *ports)?;
            }
            (_, SetValue::Port(ports)) => cube = with_port(cube, single_field(*field)?, *ports)?,
            (_, value) => cube = cube.with(single_field(*field)?, Values::range(value_range(value, family)?))?,
        }
    }
    Some(cube)
}

fn with_port(cube: Cube, field: Field, ports: PortRange) -> Option<Cube> {
    let ports = (u128::from(ports.first), u128::from(ports.last));
    if ports == (0, 65_535) { Some(cube) } else { cube.with(field, Values::range(ports)) }
}

/// The field of a packet that holds one field of a set.
fn single_field(field: SetField) -> Option<Field> {
    match field {
        SetField::Source => Some(Field::SOURCE),
        SetField::Destination => Some(Field::DESTINATION),
        SetField::SourceMac => Some(Field::MAC),
        SetField::InInterface => Some(Field::IN_INTERFACE),
        SetField::OutInterface => Some(Field::OUT_INTERFACE),
        SetField::Protocol => Some(Field::PROTOCOL),
        SetField::SourcePort => Some(Field::SOURCE_PORT),
        SetField::DestinationPort => Some(Field::DESTINATION_PORT),
        SetField::DestinationService | SetField::OriginalService => None,
    }
}

fn value_range(value: &SetValue, family: Family) -> Option<Range> {
    match value {
        SetValue::Address(range) => {
            let range = range.unpacked();
            (range.family() == family).then(|| address_range(&range))
        }
        SetValue::Mac(mac) => {
            let number = mac.number();
            Some((number, number))
        }
        SetValue::Interface(card) => Some(card_range(card)),
        SetValue::Protocol(protocol) => Some((u128::from(protocol.0), u128::from(protocol.0))),
        SetValue::Port(ports) => Some((u128::from(ports.first), u128::from(ports.last))),
        SetValue::Service(..) => None,
    }
}

fn address_range(range: &AddressRange) -> Range {
    (address_number(range.first), address_number(range.last))
}

fn with_ports() -> Option<Values> {
    Values::union([6, 17, 33, 132, 136].map(|number| (number, number)))
}

fn names(field: Field, cards: &[Card]) -> Option<(Field, Values)> {
    Values::union(cards.iter().map(card_range)).map(|values| (field, values))
}

fn port_values(ports: &PortSet) -> Option<Values> {
    Values::union(ports.ranges().iter().map(|range| (u128::from(range.first), u128::from(range.last))))
}

fn state_numbers(states: u8) -> impl Iterator<Item = Range> {
    let known = [State::NEW, State::ESTABLISHED, State::RELATED, State::INVALID, State::UNTRACKED];
    (0u128..).zip(known).filter(move |(_, bit)| states & bit != 0).map(|(number, _)| (number, number))
}

fn addresses(condition: &mut RuleCondition, field: Field, set: &AddressSet, negated: bool, space: &Space) {
    let family = space.universe.family();
    let own = set.iter().filter(|range| range.family() == family).map(|range| address_range(&range));
    match Values::union(own) {
        Some(values) => apply(condition, field, Some(values), negated, space),
        // No packet of this family has such an address; `!` of an address of the other family is for that family, too.
        None => condition.cubes.clear(),
    }
}

/// Narrows every alternative.
fn apply(condition: &mut RuleCondition, field: Field, values: Option<Values>, negated: bool, space: &Space) {
    let values = match (values, negated) {
        (Some(values), true) => space.universe.complement(field, &values),
        (values, _) => values,
    };
    let Some(values) = values else {
        condition.cubes.clear();
        return;
    };
    if *values.ranges() == [space.universe.all(field)] {
        return;
    }
    let before = std::mem::take(&mut condition.cubes);
    condition.cubes = before.into_iter().filter_map(|cube| cube.with(field, values.clone())).collect();
}

/// Narrows by bits: all parts as they say, or at least one of them otherwise.
pub(super) fn bits(condition: &mut RuleCondition, parts: &[(Field, u128)], negated: bool, space: &Space) {
    condition.cubes = narrowed_by_bits(&condition.cubes, parts, negated, space);
}

/// Cubes narrowed by bits.
pub(super) fn narrowed_by_bits(cubes: &[Cube], parts: &[(Field, u128)], negated: bool, space: &Space) -> Vec<Cube> {
    let mut found = Vec::new();
    for cube in cubes {
        let mut rest = Some(cube.clone());
        for (field, value) in parts {
            let Some(here) = rest.take() else { break };
            let value = Values::single(*value);
            if negated && let Some(others) = space.universe.complement(*field, &value) {
                found.extend(here.clone().with(*field, others));
            }
            rest = here.with(*field, value);
        }
        if !negated {
            found.extend(rest);
        }
    }
    found
}

/// A condition that no field of a packet shows, where it holds.
fn hidden(condition: Condition, space: &mut Space) -> Option<(Field, Values)> {
    space.universe.field_of(condition).map(|field| (field, Values::single(1)))
}

/// A question whose answer depends on what was asked before: that it is asked is an event, its answer a condition of its own.
fn counted(
    condition: &mut RuleCondition,
    counter: Counter,
    negated: bool,
    space: &mut Space,
    occurrence: &mut dyn FnMut(&Counter, &[Cube]) -> u32,
) {
    let number = occurrence(&counter, &condition.cubes);
    let question = Question { counter, number };
    let event = space.number(Event::Counted(question.clone()));
    condition.counted.push((condition.cubes.clone(), event));
    match hidden(Condition::Counted(question), space) {
        Some((field, values)) => apply(condition, field, Some(values), negated, space),
        None => condition.cubes.clear(),
    }
}
