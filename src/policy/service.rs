//! From the words for services to protocols and ports.

use thin_vec::ThinVec;

use crate::diagnostic::{Code, Diagnostic, Level};
use crate::names::{closest as nearest, icmp, service};
use crate::net::{Family, PortRange, PortSet, Protocol};
use crate::policy::names::{Names, at, find, too_deep};
use crate::policy::{Traffic, TrafficList};
use crate::span::{FileId, Spanned};
use crate::syntax::tree::Item;

/// A service that nobody declares.
pub static UNKNOWN_SERVICE: Code = Code {
    number: "FW0111",
    name: "unknown-service",
    level: Level::Error,
    summary: "a service name that neither the policy nor the standard library declares",
    explanation: "A word where a service belongs must be declared, here or in the standard library (`fwc services` lists that).\n\n```fw\nallow htpps to container      # error: did you mean `https`?\n```\n\nCorrect the name, say protocol and port (`tcp 8443`), or declare it: `service app = tcp 8443`.",
};

/// A service that is made of itself.
pub static SERVICE_CYCLE: Code = Code {
    number: "FW0112",
    name: "service-cycle",
    level: Level::Error,
    summary: "a service is defined by itself",
    explanation: "\
A service may be made of others; written out, it is a list of protocols and ports. One that is made of itself, at once or by way of
another, has no such list.

**Why it hurts.** Left out, the name would stand for whatever else its definition has, and a rule with it would open or close less than
whoever reads it expects.

```fw
service web = { web, tcp 8080 }        # error
allow web to host
```

A service of the policy takes the place of one of the same name in the standard library, so that `service https = { https, tcp 8443 }` does
not add to that one but names itself.

**Instead**, take the name out of its own definition, or give the larger service a name of its own:

```fw
service web = { https, tcp 8080 }
allow web to host
```
",
};

/// An ICMP type that does not exist.
pub static UNKNOWN_ICMP_TYPE: Code = Code {
    number: "FW0113",
    name: "unknown-icmp-type",
    level: Level::Error,
    summary: "an ICMP type name that neither ICMP nor ICMPv6 has",
    explanation: "```fw\nallow icmp ecko-request to host   # error: did you mean `echo-request`?\n```\n\nThe names are those of iptables and nft: `echo-request`, `destination-unreachable`, `packet-too-big`, … A number is\nrefused, since ICMP and ICMPv6 number differently.",
};

/// Resolves services to traffic, merged so that each protocol appears once. An unknown name costs itself alone.
pub fn traffic(names: &Names<'_>, file: FileId, items: &[Spanned<Item>], out: &mut Vec<Diagnostic>) -> TrafficList {
    let inside = &mut Vec::new();
    if let [item] = items {
        match &item.value {
            Item::Name(name) => return named(names, file, item, name, inside, out),
            Item::Ports { protocol, ports } => return ports_traffic(*protocol, ports).into(),
            _ => {}
        }
    }
    let mut list = Vec::with_capacity(items.len());
    for item in items {
        add(names, file, item, inside, &mut list, out);
    }
    merge(list).into()
}

/// What a service's name stands for, found out once.
fn named<'a>(
    names: &Names<'a>,
    file: FileId,
    item: &Spanned<Item>,
    name: &str,
    inside: &mut Vec<&'a str>,
    out: &mut Vec<Diagnostic>,
) -> TrafficList {
    let Some(declared) = find(&names.services, name) else {
        if names.is_unreadable(name) {
            return Vec::new().into();
        }
        out.push(unknown_service(names, file, item, name));
        return Vec::new().into();
    };
    let name = &*declared.node.name.value;
    if let Some(known) = names.traffic.borrow().get(name) {
        return known.clone();
    }
    let refused = if inside.contains(&name) {
        Some(
            Diagnostic::new(&SERVICE_CYCLE, declared.location, format!("service `{name}` is defined by itself"))
                .help("take it out of its own definition"),
        )
    } else {
        too_deep(inside.len(), declared.location, "service", name)
    };
    if let Some(fault) = refused {
        out.push(fault);
        return Vec::new().into();
    }
    inside.push(name);
    let mut list = Vec::new();
    for member in &declared.node.what {
        add(names, declared.file, member, inside, &mut list, out);
    }
    inside.pop();
    let list: TrafficList = merge(list).into();
    names.traffic.borrow_mut().insert(name, list.clone());
    list
}

fn add<'a>(
    names: &Names<'a>,
    file: FileId,
    item: &Spanned<Item>,
    inside: &mut Vec<&'a str>,
    list: &mut Vec<Traffic>,
    out: &mut Vec<Diagnostic>,
) {
    match &item.value {
        Item::Ports { protocol, ports } => list.push(ports_traffic(*protocol, ports)),
        Item::Protocol(protocol) => list.push(Traffic { protocol: Some(*protocol), ..Traffic::ALL }),
        Item::Icmp(None) => list.extend(Family::BOTH.map(|family| icmp_traffic(family, None))),
        Item::Icmp(Some(name)) => {
            let found: Vec<Traffic> = Family::BOTH
                .into_iter()
                .filter_map(|family| Some(icmp_traffic(family, Some(icmp::lookup(family, name)?))))
                .collect();
            if found.is_empty() {
                let mut unknown = Diagnostic::new(
                    &UNKNOWN_ICMP_TYPE,
                    at(file, item.span),
                    format!("`{name}` is no type of ICMP or ICMPv6"),
                );
                if let Some(near) = nearest(name, Family::BOTH.into_iter().flat_map(icmp::names)) {
                    unknown = unknown.help(format!("did you mean `icmp {near}`?"));
                }
                out.push(unknown);
            }
            list.extend(found);
        }
        Item::Name(name) => list.extend(named(names, file, item, name, inside, out).iter().cloned()),
    }
}

fn unknown_service(names: &Names<'_>, file: FileId, item: &Spanned<Item>, name: &str) -> Diagnostic {
    let place = at(file, item.span);
    let unknown = Diagnostic::new(&UNKNOWN_SERVICE, place, format!("no service is called `{name}`"));
    if names.sets.contains_key(name) || names.interfaces.contains_key(name) {
        return unknown.label("this is a set or an interface").help(format!("write `from {name}` or `to {name}`"));
    }
    match name.to_ascii_lowercase().as_str() {
        "all" | "any" | "anything" | "everything" => {
            return unknown.help("leave it out: a rule without a service is for all of them");
        }
        "established" | "related" | "replies" | "loopback" | "lo" => {
            return unknown
                .label("no line is needed for this")
                .help("answers and the loopback pass before all rules: `std:prelude.fw` says so; take the line out");
        }
        "ping6" | "pingv6" => return unknown.fix("for IPv6 alone write `ipv6 ping`", place, "ipv6 ping"),
        "icmpv6" | "icmp6" | "ipv6-icmp" => return unknown.fix("write `ipv6 icmp`", place, "ipv6 icmp"),
        "incoming" | "inbound" => return unknown.fix("what comes to this machine is `to host`", place, "to host"),
        "outgoing" | "outbound" => return unknown.fix("what it opens itself is `from host`", place, "from host"),
        _ => {}
    }
    if let Some(ours) = service::synonym(name) {
        return unknown.fix(format!("it is `{ours}` here"), place, ours);
    }
    match nearest(name, names.services.keys().copied()) {
        Some(near) => unknown.fix(format!("did you mean `{near}`?"), place, near),
        None => unknown.help("say protocol and port, as in `tcp 8443`, or declare it: `service NAME = tcp 8443`"),
    }
}

fn ports_traffic(protocol: Protocol, ports: &[PortRange]) -> Traffic {
    let ports = (!ports.is_empty()).then(|| PortSet::new(ports.iter().copied()));
    Traffic { protocol: Some(protocol), ports, ..Traffic::ALL }
}

fn icmp_traffic(family: Family, types: Option<Vec<crate::netfilter::IcmpType>>) -> Traffic {
    let protocol = if family == Family::Ipv4 { Protocol::ICMP } else { Protocol::ICMPV6 };
    Traffic { family: Some(family), protocol: Some(protocol), ports: None, icmp: types.map(ThinVec::from) }
}

/// One entry a protocol: ports of the same protocol together, in order of first mention.
fn merge(list: Vec<Traffic>) -> Vec<Traffic> {
    if list.len() < 2 {
        return list;
    }
    let mut merged: Vec<(Traffic, Vec<PortRange>)> = Vec::new();
    for mut traffic in list {
        let ports = |of: &Traffic| of.ports.iter().flat_map(|set| set.ranges().to_vec()).collect::<Vec<PortRange>>();
        let same =
            merged.iter_mut().find(|(known, _)| known.family == traffic.family && known.protocol == traffic.protocol);
        let Some((known, ranges)) = same else {
            let ranges = ports(&traffic);
            merged.push((traffic, ranges));
            continue;
        };
        if traffic.ports.is_none() {
            known.ports = None;
        }
        ranges.extend(ports(&traffic));
        known.icmp = match (known.icmp.take(), traffic.icmp.take()) {
            (Some(mut a), Some(b)) => {
                a.extend(b);
                a.sort_unstable();
                a.dedup();
                Some(a)
            }
            _ => None,
        };
    }
    // The ports of a protocol are united at once: one by one would take the square of a long list.
    let united = |(traffic, ranges): (Traffic, Vec<PortRange>)| Traffic {
        ports: traffic.ports.is_some().then(|| PortSet::new(ranges)),
        ..traffic
    };
    merged.into_iter().map(united).collect()
}
