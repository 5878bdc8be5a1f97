//! Several texts of one host made into one rule set.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::{ChainName, Reading};
use crate::net::{AddressSet, Card, Family, Mac, PortSet};
use crate::netfilter::{Match, MatchKind, Ruleset, Set, SetField, SetValue, Table, TableFamily, TableKind};

/// What `ipset` matches begin with in an unknown match.
const LOOK_UP: &str = "-m set ";

/// Puts several readings together: both families of iptables, what nft lists, and the sets beside iptables. Tables that nft lists for
/// iptables-nft are left out where they were read from `iptables-save` too, which says more about them.
#[must_use]
pub fn merge(readings: impl IntoIterator<Item = Reading>, sets: &[Set]) -> Reading {
    let mut whole = Reading::default();
    for reading in readings {
        for table in reading.ruleset.tables {
            load(&mut whole.ruleset, table, &reading.emptied);
        }
        whole.ruleset.attachments.extend(reading.ruleset.attachments);
        whole.faults.extend(reading.faults);
        whole.objects.extend(reading.objects);
        whole.changes.extend(reading.changes);
        whole.saved.extend(reading.saved);
    }
    let saved: FxHashSet<(TableFamily, TableKind)> = whole
        .ruleset
        .tables
        .iter()
        .filter(|table| from_iptables(table))
        .map(|table| (table.family, table.kind))
        .collect();
    whole.ruleset.tables.retain(|table| {
        let kind = TableKind::ALL.into_iter().find(|kind| kind.name() == table.name);
        from_iptables(table)
            || !kind.is_some_and(|kind| saved.contains(&(table.family, kind)) && of_iptables_nft(table))
    });
    join(&mut whole.ruleset, sets);
    whole
}

/// Adds a table as a load into a kernel does that has the others: chains of the same table of iptables are the same chains.
fn load(ruleset: &mut Ruleset, table: Table, emptied: &FxHashSet<ChainName>) {
    let same = |known: &&mut Table| (known.family, &known.name) == (table.family, &table.name);
    let iptables = matches!(table.family, TableFamily::Ipv4 | TableFamily::Ipv6) && table.name == table.kind.name();
    let Some(known) = ruleset.tables.iter_mut().find(same).filter(|_| iptables) else {
        ruleset.tables.push(table);
        return;
    };
    let Table { family, name, sets, chains, .. } = table;
    known.sets.extend(sets);
    for chain in chains {
        let Some(before) = known.chains.iter_mut().find(|before| before.name == chain.name) else {
            known.chains.push(chain);
            continue;
        };
        let own = ChainName { family, table: name.clone(), chain: chain.name.clone() };
        if emptied.contains(&own) {
            before.rules.clear();
        }
        before.base = chain.base.or(before.base);
        before.rules.extend(chain.rules);
    }
}

/// Whether a table was read from `iptables-save`: only there, the kernel's chains are known as such.
fn from_iptables(table: &Table) -> bool {
    use crate::netfilter::Owner;
    matches!(table.family, TableFamily::Ipv4 | TableFamily::Ipv6)
        && table.chains.iter().any(|chain| chain.owner == Owner::Kernel)
}

/// Whether all base chains of a table read from nft are those that iptables-nft makes.
fn of_iptables_nft(table: &Table) -> bool {
    table
        .chains
        .iter()
        .filter_map(|chain| Some((&chain.name, chain.base?)))
        .all(|(name, base)| &**name == base.hook.chain())
}

/// Gives the rules of iptables tables the sets that they look into. A set that is known whole becomes part of the match where one
/// field is compared; the others are put into the table, and named.
pub fn join(ruleset: &mut Ruleset, sets: &[Set]) {
    let known: FxHashMap<&str, &Set> = sets.iter().map(|set| (&*set.name, set)).collect();
    let mut folded: FxHashMap<&str, Folded> = FxHashMap::default();
    for table in &mut ruleset.tables {
        let family = match table.family {
            TableFamily::Ipv4 => Family::Ipv4,
            TableFamily::Ipv6 => Family::Ipv6,
            _ => continue,
        };
        let mut named: FxHashSet<Arc<str>> = table.sets.iter().map(|set| set.name.clone()).collect();
        for item in table.chains.iter_mut().flat_map(|chain| &mut chain.rules).flat_map(|rule| &mut rule.matches) {
            let MatchKind::Unknown(text) = &item.kind else { continue };
            let Some((negated, set, flags)) = look_up(text) else { continue };
            let Some(set) = known.get(set) else { continue };
            let Some(fields) = asked(&set.fields, &flags) else { continue };
            if set.family.is_some_and(|of_set| of_set != family) {
                continue;
            }
            let kind = match (fields.as_slice(), set.live) {
                ([field], false) => {
                    let of_set = folded.entry(&set.name).or_insert_with(|| fold(&set.elements));
                    of_set.compared(*field)
                }
                _ => None,
            };
            let kind = kind.unwrap_or_else(|| {
                if named.insert(set.name.clone()) {
                    table.sets.push(Set { fields: fields.clone(), ..(*set).clone() });
                }
                MatchKind::in_set(set.name.clone(), fields)
            });
            *item = Match { negated: item.negated != negated, kind };
        }
    }
}

/// `-m set ! --match-set NAME src,dst`, without further options: whether it is negated, the set, whether each place is `src`.
fn look_up(text: &str) -> Option<(bool, &str, Vec<bool>)> {
    let rest = text.strip_prefix(LOOK_UP)?;
    let (negated, rest) = rest.strip_prefix("! ").map_or((false, rest), |rest| (true, rest));
    let mut words = rest.split_ascii_whitespace();
    if words.next()? != "--match-set" {
        return None;
    }
    let (name, flags) = (words.next()?, words.next()?);
    let flags = flags.split(',').map(|flag| match flag {
        "src" => Some(true),
        "dst" => Some(false),
        _ => None,
    });
    let flags = flags.collect::<Option<Vec<bool>>>()?;
    words.next().is_none().then_some((negated, name, flags))
}

/// The fields of a packet that a set is asked with.
fn asked(fields: &[SetField], source: &[bool]) -> Option<Vec<SetField>> {
    if fields.len() > source.len() {
        return None;
    }
    fields
        .iter()
        .zip(source)
        .map(|(field, source)| {
            Some(match (field, source) {
                (SetField::Source | SetField::Destination, true) => SetField::Source,
                (SetField::Source | SetField::Destination, false) => SetField::Destination,
                (SetField::DestinationService, false) => SetField::DestinationService,
                (SetField::DestinationPort, true) => SetField::SourcePort,
                (SetField::DestinationPort, false) => SetField::DestinationPort,
                (SetField::SourceMac, true) => SetField::SourceMac,
                (SetField::InInterface, true) => SetField::InInterface,
                (SetField::InInterface, false) => SetField::OutInterface,
                _ => return None,
            })
        })
        .collect()
}

/// The elements of a set of one field, as a match lists them.
pub(super) enum Folded {
    Addresses(AddressSet),
    Ports(PortSet),
    Macs(Vec<Mac>),
    Cards(Vec<Card>),
    Protocols(Vec<crate::net::Protocol>),
    /// Of another kind.
    Other,
}

pub(super) fn fold(elements: &[Box<[SetValue]>]) -> Folded {
    fn all<T>(elements: &[Box<[SetValue]>], pick: impl Fn(&SetValue) -> Option<T>) -> Option<Vec<T>> {
        let one = |element: &[SetValue]| match element {
            [value] => pick(value),
            _ => None,
        };
        elements.iter().map(|element| one(element)).collect()
    }
    let address = |value: &SetValue| if let SetValue::Address(range) = value { Some(range.unpacked()) } else { None };
    let port = |value: &SetValue| if let SetValue::Port(range) = value { Some(*range) } else { None };
    let mac = |value: &SetValue| if let SetValue::Mac(mac) = value { Some(*mac) } else { None };
    let card = |value: &SetValue| if let SetValue::Interface(card) = value { Some(Card::clone(card)) } else { None };
    let protocol = |value: &SetValue| if let SetValue::Protocol(one) = value { Some(*one) } else { None };
    if let Some(list) = all(elements, address) {
        Folded::Addresses(AddressSet::new(list))
    } else if let Some(list) = all(elements, port) {
        Folded::Ports(PortSet::new(list))
    } else if let Some(list) = all(elements, mac) {
        Folded::Macs(list)
    } else if let Some(list) = all(elements, card) {
        Folded::Cards(list)
    } else if let Some(list) = all(elements, protocol) {
        Folded::Protocols(list)
    } else {
        Folded::Other
    }
}

impl Folded {
    /// The match that compares a field with these values, if there is one.
    pub(super) fn compared(&self, field: SetField) -> Option<MatchKind> {
        Some(match (self, field) {
            (Self::Addresses(set), SetField::Source) => MatchKind::Source(set.clone()),
            (Self::Addresses(set), SetField::Destination) => MatchKind::Destination(set.clone()),
            (Self::Ports(set), SetField::SourcePort) => MatchKind::SourcePort(set.clone()),
            (Self::Ports(set), SetField::DestinationPort) => MatchKind::DestinationPort(set.clone()),
            (Self::Macs(list), SetField::SourceMac) => MatchKind::SourceMac(list.as_slice().into()),
            (Self::Cards(list), SetField::InInterface) => MatchKind::InInterface(list.as_slice().into()),
            (Self::Cards(list), SetField::OutInterface) => MatchKind::OutInterface(list.as_slice().into()),
            (Self::Protocols(list), SetField::Protocol) => MatchKind::Protocol(list.clone().into()),
            _ => return None,
        })
    }
}
