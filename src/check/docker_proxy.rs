//! Where nothing says what containers publish: docker-proxy's ports and the host's own look the same on INPUT, so some of what
//! a policy says of containers cannot be carried out there.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::roads;
use crate::diagnostic::{Code, Diagnostic, Level};
use crate::net::{Family, PortRange, PortSet};
use crate::netfilter::Target;
use crate::policy::resolve::families;
use crate::policy::{Action, Class, Flow, Judgement, Policy, Rank, Traffic};
use crate::span::Location;
use crate::syntax::tree::View;
use crate::traffic;

/// Containers are guarded, and INPUT is left open.
pub static PROXIED_ROAD_OPEN: Code = Code {
    number: "FW0303",
    name: "proxied-road-open",
    level: Level::Warning,
    summary: "containers are guarded, but docker-proxy's road to them, through INPUT, is left open",
    explanation: "\
A published port has two roads. Docker's NAT takes most connections through FORWARD. What NAT leaves alone comes to INPUT, where
docker-proxy listens: IPv6 to containers without IPv6 (the default network), and, before Docker 29, what containers dial at an
address of the host. On INPUT these ports look like the host's own, and without facts nothing tells them apart.

**Why it hurts.** A policy that speaks of containers alone closes FORWARD and leaves that second road open to everyone.

```fw
allow tcp 443 from 10.1.1.1 to container via ens33      # warning: IPv6 from anyone still arrives
```

The rules hold for the NAT road, and the policy is built. **To close the other road**, any of these is enough:

```fw
compose \"docker-compose.yml\"            # what is published: INPUT is then divided by it
fact docker.userland-proxy = off        # the road does not exist
default deny to host                    # the host is closed as well; allow what it serves
```

`fwc.facts.json`, too, says what is published.
",
};

/// The same port is allowed to one and denied to the other.
pub static HOST_AND_CONTAINER_DISAGREE: Code = Code {
    number: "FW0304",
    name: "host-and-container-disagree",
    level: Level::Error,
    summary: "one port is allowed to containers and denied to the host, or the other way round, and no fact tells them apart",
    explanation: "\
docker-proxy takes in connections to containers on INPUT, at the published port. There they look like connections to the host.
If the policy wants one thing for the host and another for containers at the same port, no rule on INPUT can do both unless it
is known what is published.

```fw
allow tcp 8080 from any to container
deny tcp 8080 from any to host          # error: on INPUT both are `tcp 8080`
```

**Instead**, say what is published, or that docker-proxy is off:

```fw
compose \"docker-compose.yml\"
fact docker.userland-proxy = off
```

or say the same for both: `allow tcp 8080 from any to { host, container }`.
",
};

/// The check.
pub fn check(policy: &Policy, _: Target) -> Vec<Diagnostic> {
    if !traffic::may_proxy(policy) || !traffic::ports_unknown(policy) {
        return Vec::new();
    }
    let mut out = open_roads(policy);
    out.extend(disagreements(policy));
    out
}

/// The families in which connections from that class may come to a container by docker-proxy.
fn proxied_families(policy: &Policy, from: Class) -> &'static [Family] {
    if from == Class::Outside && !traffic::iptables_off(policy) { &[Family::Ipv6] } else { &Family::BOTH }
}

fn is_proxied(policy: &Policy, from: Class, judgement: &Judgement) -> bool {
    judgement.to.view != Some(View::Direct)
        && !judgement.forwarded
        && families(judgement).iter().any(|family| proxied_families(policy, from).contains(family))
}

fn open_roads(policy: &Policy) -> Vec<Diagnostic> {
    let mut open: BTreeMap<Location, (&Judgement, Vec<Class>)> = BTreeMap::new();
    for from in [Class::Outside, Class::Container] {
        let host = policy.flows.get(&Flow { from, to: Class::Host });
        let denies = policy.flows.get(&Flow { from, to: Class::Container }).into_iter().flatten().filter(|judgement| {
            roads::stops(judgement.action) && judgement.rank > Rank::Prelude && is_proxied(policy, from, judgement)
        });
        // What closes everything comes first, so that a long list of denies is not compared with another long list.
        let (defaults, rules): (Vec<&Judgement>, Vec<&Judgement>) = host
            .into_iter()
            .flatten()
            .filter(|other| roads::stops(other.action))
            .partition(|other| other.rank >= Rank::Default);
        for deny in denies {
            let same = |other: &&&Judgement| other.statement == deny.statement;
            let closed = defaults.iter().any(|other| closes(other, deny))
                || rules.iter().filter(same).any(|other| closes(other, deny))
                || rules.iter().any(|other| closes(other, deny));
            if !closed {
                open.entry(deny.location).or_insert_with(|| (deny, Vec::new())).1.push(from);
            }
        }
    }
    let all = traffic::iptables_off(policy);
    // One warning says it: every further deny has the same cause and the same remedy.
    let mut open = open.into_iter();
    let Some((location, (deny, classes))) = open.next() else { return Vec::new() };
    let what = match (classes.as_slice(), all) {
        (_, true) => "everything that is dialled at the host",
        ([Class::Container], false) => "what containers dial at the host",
        ([Class::Outside], false) => "IPv6",
        _ => "IPv6, and what containers dial at the host,",
    };
    let mut found = Diagnostic::new(
        &PROXIED_ROAD_OPEN,
        location,
        format!("{what} may reach published ports through docker-proxy, past this"),
    );
    found = if deny.rank == Rank::End {
        found.label("with this allow, everything else to containers is denied, but not on INPUT")
    } else {
        found.label("not on INPUT, where docker-proxy listens")
    };
    for (other, _) in open {
        found = found.related(other, "nor this");
    }
    found = found
        .help(
            "say what is published: `compose \"docker-compose.yml\"`, `container NAME on NETWORK publish …`, or facts",
        )
        .help("or, if Docker runs without docker-proxy, `fact docker.userland-proxy = off`")
        .help("or close the host as well: `default deny to host`, with an allow for each of its own ports");
    if !all && classes.contains(&Class::Outside) && traffic::ip6tables(policy) == Some(true) {
        found =
            found.note("`docker.ip6tables` alone does not settle it: networks without IPv6 are still reached this way");
    }
    vec![found]
}

/// Whether a judgement to the host keeps out, on INPUT, whatever `deny` keeps from containers.
fn closes(host: &Judgement, deny: &Judgement) -> bool {
    let plain = |judgement: &Judgement| {
        judgement.options.during.is_none()
            && judgement.options.source_ports.is_none()
            && judgement.options.limit.is_none()
    };
    let traffic = |wide: &Traffic| {
        *wide == Traffic::ALL
            || deny.traffic.iter().all(|narrow| {
                wide.family.is_none()
                    && wide.icmp.is_none()
                    && wide.protocol == narrow.protocol
                    && match (&wide.ports, &narrow.ports) {
                        (None, _) => true,
                        (Some(wide), Some(narrow)) => roads::within(narrow, wide),
                        (Some(_), None) => false,
                    }
            })
    };
    roads::stops(host.action)
        && plain(host)
        && (host.family.is_none() || host.family == deny.family)
        && (host.from.is_whole_class() || host.from == deny.from)
        && (host.to.is_whole_class() || (host.to.at.is_some() && host.to.at == deny.to.at))
        && (host.via.is_none() || host.via == deny.via)
        && host.traffic.iter().any(traffic)
}

fn disagreements(policy: &Policy) -> Vec<Diagnostic> {
    let mut told: Vec<(u32, u32)> = Vec::new();
    let mut out = Vec::new();
    for from in [Class::Outside, Class::Container] {
        let hosts =
            ByPort::new(roads::written(policy, Flow { from, to: Class::Host }).filter(|one| decides_ports(one)));
        let others = roads::written(policy, Flow { from, to: Class::Container });
        for inside in others.filter(|judgement| decides_ports(judgement) && is_proxied(policy, from, judgement)) {
            for host in hosts.near(inside) {
                let differ = roads::stops(host.action) != roads::stops(inside.action);
                let pair = (host.statement, inside.statement);
                if !differ || pair.0 == pair.1 || told.contains(&pair) || apart(policy, from, host, inside) {
                    continue;
                }
                let Some(words) = shared(host, inside) else { continue };
                told.push(pair);
                out.push(disagreement(host, inside, &words));
            }
        }
    }
    out
}

/// Judgements by the ports that they name, so that long lists of rules are not compared each with each.
struct ByPort<'p> {
    single: FxHashMap<u16, Vec<&'p Judgement>>,
    ranges: Vec<&'p Judgement>,
}

impl<'p> ByPort<'p> {
    fn new(judgements: impl Iterator<Item = &'p Judgement>) -> Self {
        let mut table = Self { single: FxHashMap::default(), ranges: Vec::new() };
        for judgement in judgements {
            let mut wide = false;
            for range in ranges(judgement) {
                if range.first == range.last {
                    table.single.entry(range.first).or_default().push(judgement);
                } else {
                    wide = true;
                }
            }
            if wide {
                table.ranges.push(judgement);
            }
        }
        table
    }

    /// Those that may have a port in common with `other`.
    fn near(&self, other: &Judgement) -> Vec<&'p Judgement> {
        let mut found = self.ranges.clone();
        for range in ranges(other) {
            if range.first == range.last {
                found.extend(self.single.get(&range.first).into_iter().flatten());
            } else {
                let within = self.single.iter().filter(|(port, _)| range.first <= **port && **port <= range.last);
                found.extend(within.flat_map(|(_, list)| list));
            }
        }
        // In the order of the source, so that the same policy always says the same.
        found.sort_by_key(|judgement| (judgement.location, judgement.statement));
        found.dedup_by_key(|judgement| judgement.statement);
        found
    }
}

fn ranges(judgement: &Judgement) -> impl Iterator<Item = PortRange> {
    judgement
        .traffic
        .iter()
        .filter_map(|traffic| traffic.ports.as_ref())
        .flat_map(|ports| ports.ranges().iter().copied())
}

/// Whether a judgement decides something about named ports.
fn decides_ports(judgement: &Judgement) -> bool {
    judgement.action != Action::Log
        && judgement.to.view != Some(View::Inside)
        && judgement.traffic.iter().any(|traffic| traffic.ports.is_some())
}

/// Whether no connection that may come by docker-proxy is meant by both.
fn apart(policy: &Policy, from: Class, host: &Judgement, inside: &Judgement) -> bool {
    let possible = proxied_families(policy, from);
    let both = families(host);
    let family = families(inside).into_iter().any(|family| {
        let of = |judgement: &Judgement| {
            judgement.from.addresses.as_ref().map(|set| set.of_family(family)).filter(|set| !set.is_empty())
        };
        let meet = match (of(host), of(inside)) {
            (Some(a), Some(b)) => !a.intersection(&b).is_empty(),
            _ => true,
        };
        possible.contains(&family) && both.contains(&family) && meet
    });
    let at = match (&host.to.at, &inside.to.at) {
        (Some(a), Some(b)) => a.intersection(b).is_empty(),
        _ => false,
    };
    !family
        || at
        || roads::apart(&host.from, &inside.from)
        || roads::cards_apart(host.via.as_deref(), inside.via.as_deref())
}

/// The ports that both speak of, in the language's words.
fn shared(host: &Judgement, inside: &Judgement) -> Option<String> {
    let meets = |a: &Traffic, b: &Traffic| -> Option<PortSet> {
        let both = a.ports.as_ref()?.intersection(b.ports.as_ref()?);
        (a.protocol == b.protocol && !both.is_empty()).then_some(both)
    };
    host.traffic
        .iter()
        .find_map(|a| inside.traffic.iter().find_map(|b| Some(roads::spoken(a.protocol, Some(&meets(a, b)?)))))
}

fn disagreement(host: &Judgement, inside: &Judgement, words: &str) -> Diagnostic {
    let word = |judgement: &Judgement| if roads::stops(judgement.action) { "denied" } else { "allowed" };
    let (first, later) = if host.location <= inside.location { (host, inside) } else { (inside, host) };
    let place = |judgement: &Judgement| if judgement.to.class == Class::Host { "to the host" } else { "to containers" };
    Diagnostic::new(
        &HOST_AND_CONTAINER_DISAGREE,
        later.location,
        format!("`{words}` is {} {} and {} {}", word(first), place(first), word(later), place(later)),
    )
    .label("through docker-proxy, both are the same on INPUT")
    .related(first.location, format!("{} {} here", word(first), place(first)))
    .help("say what is published: `compose \"docker-compose.yml\"`, `container NAME on NETWORK publish …`, or facts")
    .help("or, if Docker runs without docker-proxy, `fact docker.userland-proxy = off`")
}
