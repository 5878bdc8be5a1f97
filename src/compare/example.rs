//! One packet of a set, in the words in which `fwc trace` takes packets.

use std::net::IpAddr;

use crate::host::{Host, words};
use crate::net::Family;
use crate::netfilter::{Hook, MarkWord, MatchKind};
use crate::packet::field::{Word, name_among, name_number};
use crate::packet::{Cube, Field, Universe, Values};

/// A packet of a cube that comes to a hook.
pub(super) fn packet(cube: &Cube, hook: Hook, universe: &Universe, hosts: &[&Host]) -> String {
    let family = universe.family();
    let protocol = pick(cube, Field::PROTOCOL, &[6, 17, if family == Family::Ipv4 { 1 } else { 58 }, 47]);
    let name = words::value(Field::PROTOCOL, protocol, universe);
    let mut text = match name.as_str() {
        "tcp" | "udp" | "sctp" => name,
        _ => match (protocol, family) {
            (1, Family::Ipv4) | (58, Family::Ipv6) => {
                let icmp = pick(cube, Field::ICMP, &[if protocol == 1 { 0x0800 } else { 0x8000 }]);
                format!("{} {}/{}", if protocol == 1 { "icmp" } else { "icmpv6" }, icmp >> 8, icmp & 0xff)
            }
            _ => format!("protocol {protocol}"),
        },
    };
    let ports = [6, 17, 132].contains(&protocol);
    let six = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]);
    let side = |address: Field, port: Field, usual: &[IpAddr], usual_port: u128| {
        let usual: Vec<u128> = usual.iter().map(|address| words::address_number(*address)).collect();
        // The first address of a network is nobody's.
        let second = cube.get(address).and_then(|values| values.hull().0.checked_add(2));
        let others = match family {
            Family::Ipv4 => [IpAddr::from([203, 0, 113, 7]), IpAddr::from([10, 0, 0, 2])],
            Family::Ipv6 => [six(9), IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 2])],
        };
        let usual: Vec<u128> = usual.into_iter().chain(others.map(words::address_number)).chain(second).collect();
        let address = words::address(pick(cube, address, &usual), family);
        let port = u16::try_from(pick(cube, port, &[usual_port])).unwrap_or(0);
        if ports { words::endpoint(address, port) } else { address.to_string() }
    };
    let (near, far) = match family {
        Family::Ipv4 => (IpAddr::from([192, 0, 2, 1]), IpAddr::from([198, 51, 100, 7])),
        Family::Ipv6 => (six(1), six(7)),
    };
    let from_host = matches!(hook, Hook::Output);
    text.push(' ');
    text.push_str(&side(Field::SOURCE, Field::SOURCE_PORT, &[if from_host { near } else { far }], 40_000));
    text.push_str(" -> ");
    text.push_str(&side(Field::DESTINATION, Field::DESTINATION_PORT, &[if from_host { far } else { near }], 443));
    if from_host {
        text.push_str(" from host");
    }
    let local = cube.get(Field::LOCAL).is_some_and(|values| !values.contains(0));
    if hook == Hook::Input || (local && hook == Hook::Prerouting) {
        text.push_str(" to host");
    }
    let names = cards(hosts);
    for (field, word) in [(Field::IN_INTERFACE, "in"), (Field::OUT_INTERFACE, "out")] {
        if let Some(values) = cube.get(field)
            && let Some(name) = card(values, &names)
        {
            text.push_str(&format!(" {word} {name}"));
        }
    }
    let state = pick(cube, Field::STATE, &[0]);
    if state != 0 {
        text.push_str(&format!(" state {}", words::state(state)));
    }
    if pick(cube, Field::DIRECTION, &[0]) == 1 {
        text.push_str(" reply");
    }
    for (word, clause) in [(MarkWord::Packet, "mark"), (MarkWord::Connection, "connmark")] {
        let parts = cube.parts().iter().filter_map(|(field, values)| universe.bits(*field, usual(values, &[0])));
        let mark = parts.filter(|(own, _)| *own == Word::Mark(word)).fold(0, |mark, (_, bits)| mark | bits.value);
        if mark != 0 {
            text.push_str(&format!(" {clause} {mark:#x}"));
        }
    }
    if let Some(values) = cube.get(Field::MAC) {
        text.push_str(&format!(" mac {}", words::value(Field::MAC, usual(values, &[0x0200_5e10_0001]), universe)));
    }
    if cube.get(Field::ORIGINAL_DESTINATION).is_some() || cube.get(Field::ORIGINAL_PORT).is_some() {
        text.push_str(" dialled ");
        text.push_str(&side(Field::ORIGINAL_DESTINATION, Field::ORIGINAL_PORT, &[near], 443));
    }
    text
}

/// A value of a field: a usual one, if it is among them.
fn pick(cube: &Cube, field: Field, wanted: &[u128]) -> u128 {
    cube.get(field).map_or_else(|| wanted.first().copied().unwrap_or(0), |values| usual(values, wanted))
}

fn usual(values: &Values, wanted: &[u128]) -> u128 {
    wanted.iter().copied().find(|value| values.contains(*value)).unwrap_or_else(|| values.hull().0)
}

/// The interfaces that the hosts' rules name.
fn cards(hosts: &[&Host]) -> Vec<String> {
    let tables = hosts.iter().flat_map(|host| &host.ruleset.tables);
    let rules = tables.flat_map(|table| &table.chains).flat_map(|chain| &chain.rules);
    let mut names = vec!["eth0".to_owned(), "eth1".to_owned()];
    for item in rules.flat_map(|rule| &rule.matches) {
        if let MatchKind::InInterface(list) | MatchKind::OutInterface(list) = &item.kind {
            names.extend(list.iter().filter(|card| !card.prefix).map(|card| card.name.clone()));
        }
    }
    names.sort();
    names.dedup();
    // What no rule names stands in front: it is the usual case.
    names.sort_by_key(|name| !name.starts_with("eth"));
    names
}

fn card(values: &Values, names: &[String]) -> Option<String> {
    let known = names.iter().find(|name| values.contains(name_number(name))).cloned();
    known.or_else(|| values.ranges().iter().find_map(|range| name_among(range.0, range.1)))
}
