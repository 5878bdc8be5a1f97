//! A rule to the host for a port that a container publishes: NAT leads the traffic past INPUT, and the rule decides nothing.

use rustc_hash::{FxHashMap, FxHashSet};

use super::roads;
use crate::diagnostic::{Code, Diagnostic, Level};
use crate::net::{Family, PortRange, PortSet, Protocol};
use crate::netfilter::Target;
use crate::policy::resolve::families;
use crate::policy::{Class, Flow, Judgement, Policy, Published, Traffic};
use crate::traffic;

/// Every port of a service is published.
pub static PUBLISHED_PORT: Code = Code {
    number: "FW0301",
    name: "published-port-bypasses-input",
    level: Level::Error,
    summary: "a rule to the host for a port that a container publishes decides nothing",
    explanation: "\
Docker and Podman translate what other machines send to a published port before the host's own INPUT rules are asked. The
connection goes through FORWARD to the container; a rule `to host` for that port is never reached.

**Why it hurts.** `deny tcp 8080 to host` leaves the port open to the world, and nothing shows that it does.

```fw
container web on front publish tcp 8080 to 80
deny tcp 8080 from any to host           # error: decides nothing
```

**Instead**, say whom the traffic is meant for:

```fw
deny tcp 8080 from any to container web
```

`to container` is every road to what the container publishes: through NAT, and through docker-proxy, which takes in on INPUT
what NAT leaves alone (IPv6 to a container without IPv6, connections from containers, everything under `--iptables=false`). A
rule to the host is right where NAT leaves the whole rule alone; then fwc says nothing.
",
};

/// Some ports of a service are published.
pub static PUBLISHED_PORT_AMONG: Code = Code {
    number: "FW0302",
    name: "published-port-among-ports",
    level: Level::Warning,
    summary: "some of the ports of a rule to the host are a container's, and the rule decides nothing for those",
    explanation: "\
A rule to the host names ports of which a container publishes some. NAT leads those past the host's INPUT rules (FW0301); for
the others the rule holds.

```fw
container web on front publish tcp 8080 to 80
deny tcp 8000-8999 from any to host         # warning: 8080 stays open
```

**Instead**, say both:

```fw
deny tcp 8000-8999 from any to { host, container }
```
",
};

/// The check.
pub fn check(policy: &Policy, _: Target) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    let mut told: FxHashSet<u32> = FxHashSet::default();
    if policy.containers.published.is_empty() {
        return out;
    }
    let published = gathered(&policy.containers.published);
    // Whoever is not a container of Docker's is translated: also what instances and guests dial.
    for from in [Class::Outside, Class::Instance, Class::Guest] {
        let containers = policy.flows.get(&Flow { from, to: Class::Container }).into_iter().flatten();
        let both: FxHashSet<u32> = containers.map(|judgement| judgement.statement).collect();
        for judgement in roads::written(policy, Flow { from, to: Class::Host }) {
            // The same statement speaks of containers as well: `deny tcp 8080` without `to`, or `to { host, container }`.
            if both.contains(&judgement.statement) || told.contains(&judgement.statement) {
                continue;
            }
            let found: Vec<Diagnostic> = judgement
                .traffic
                .iter()
                .filter(|traffic| may_be_published(&published, traffic))
                .filter_map(|traffic| diverted(policy, judgement, traffic))
                .collect();
            if !found.is_empty() {
                told.insert(judgement.statement);
                out.extend(found);
            }
        }
    }
    out
}

/// Every port that is published, by protocol.
fn gathered(published: &[Published]) -> FxHashMap<Protocol, PortSet> {
    let mut ranges: FxHashMap<Protocol, Vec<PortRange>> = FxHashMap::default();
    for one in published {
        ranges.entry(one.protocol).or_default().push(one.ports);
    }
    ranges.into_iter().map(|(protocol, ranges)| (protocol, PortSet::new(ranges))).collect()
}

/// Whether anybody publishes a port of this traffic; whom it meets is asked of the few that do.
fn may_be_published(published: &FxHashMap<Protocol, PortSet>, traffic: &Traffic) -> bool {
    let (Some(protocol), Some(ports)) = (traffic.protocol, &traffic.ports) else { return false };
    published.get(&protocol).is_some_and(|known| ports.ranges().iter().any(|range| known.meets(*range)))
}

fn diverted(policy: &Policy, judgement: &Judgement, traffic: &Traffic) -> Option<Diagnostic> {
    let ports = traffic.ports.as_ref()?;
    let possible: Vec<Family> =
        families(judgement).into_iter().filter(|&family| traffic.family.is_none_or(|only| only == family)).collect();
    let takes = |one: &&Published| {
        traffic.protocol == Some(one.protocol)
            && ports.meets(one.ports)
            && match (&judgement.to.at, one.address) {
                (Some(at), Some(address)) => at.contains(address),
                _ => true,
            }
            && possible.iter().any(|&family| traffic::translated(policy, one, family))
    };
    let takers: Vec<&Published> = policy.containers.published.iter().filter(takes).collect();
    if takers.is_empty() {
        return None;
    }
    // A publication at one address leaves the host's other addresses to the host.
    let everywhere = |one: &&&Published| match (one.address, &judgement.to.at) {
        (None, _) => true,
        (Some(address), Some(at)) => at.ranges().iter().all(|range| range.first == address && range.last == address),
        (Some(_), None) => false,
    };
    let union =
        |list: &mut dyn Iterator<Item = &&Published>| PortSet::new(list.map(|one| one.ports)).intersection(ports);
    let lost = union(&mut takers.iter().filter(everywhere));
    let all = roads::within(ports, &lost);
    // A port that the author names by itself, not one among many: the rule cannot have been meant so.
    let named = ports.ranges().iter().any(|range| roads::within(&PortSet::new([*range]), &lost));
    let taken = union(&mut takers.iter());
    let words = roads::spoken(traffic.protocol, Some(&taken));
    let message = format!("NAT leads `{words}` past the host, to a container");
    let code = if named { &PUBLISHED_PORT } else { &PUBLISHED_PORT_AMONG };
    let mut found = Diagnostic::new(code, judgement.location, message).label(
        match (all, named, takers.iter().all(|one| one.address.is_some())) {
            (true, ..) => "decides nothing",
            (_, false, true) => "decides nothing at the address that it is published on",
            _ => "decides nothing for that",
        },
    );
    for one in &takers {
        if let Some(location) = one.location {
            found = found.related(location, roads::publishes(one));
        }
    }
    found = helped(policy, judgement, &words, &takers, all, found);
    let proxied = possible.contains(&Family::Ipv6)
        && traffic::may_proxy(policy)
        && takers
            .iter()
            .any(|one| one.only_family() != Some(Family::Ipv4) && !traffic::translated(policy, one, Family::Ipv6));
    if proxied {
        found = found.note("IPv6 may come to INPUT by docker-proxy; `to container` is both roads");
    }
    Some(found)
}

/// The rewriting of `to host`, where it changes this service alone; otherwise words.
fn helped(
    policy: &Policy,
    judgement: &Judgement,
    words: &str,
    takers: &[&Published],
    all: bool,
    found: Diagnostic,
) -> Diagnostic {
    let one_name = takers.iter().all(|one| takers.first().is_some_and(|first| first.container == one.container));
    let place = match takers.first() {
        Some(first) if one_name => format!("container {}", first.container),
        _ => "container".to_owned(),
    };
    let at = |name: &str| match judgement.to.at.as_ref().map(crate::net::AddressSet::ranges).as_deref() {
        Some([range]) if range.first == range.last => Some(format!("{name} at {}", range.first)),
        Some(_) => None,
        None => Some(name.to_owned()),
    };
    let alone = judgement.traffic.len() == 1
        && roads::statement(policy, judgement.statement).all(|(flow, _)| flow.to == Class::Host)
        && roads::own_target(judgement).is_some();
    match (roads::own_target(judgement), at(&place), at("host")) {
        (Some(target), Some(place), _) if alone && all => found.fix("say whom it is meant for", target, place),
        (Some(target), Some(place), Some(host)) if alone => {
            found.fix("if it is meant for both, say both", target, format!("{{ {host}, {place} }}"))
        }
        _ => found.help(format!("say it in a rule of its own: `{words} … to {place}`")),
    }
}
