//! What is taken out of connection tracking, and should be translated: the kernel translates what it tracks, and nothing else.

use super::roads;
use crate::diagnostic::{Code, Diagnostic, Level};
use crate::net::PortSet;
use crate::netfilter::Target;
use crate::policy::{Change, ChangeKind, Class, Judgement, Nat, Policy, Traffic, cover};
use crate::span::Location;
use crate::syntax::tree::View;

/// Translation of what is not tracked.
pub static NAT_WITHOUT_TRACKING: Code = Code {
    number: "FW0319",
    name: "nat-without-tracking",
    level: Level::Error,
    summary: "`notrack` takes traffic out of tracking that has to be translated",
    explanation: "\
Address translation is a part of connection tracking: the kernel decides it for a connection's first packet and keeps it for the rest,
and for the answers. A packet that `notrack` has taken out of tracking passes the nat table unseen.

```fw
interface lan = eth1
redirect udp 53 from lan to port 5353
notrack udp 53 from lan to host          # error
allow udp 53 from lan to host
```

**Why it hurts.** The redirect does nothing, and nothing shows that it does; with `masquerade`, packets leave with an inner address and
their answers never come back; a container's published port is no longer led to the container.

**Instead**, take one of the two out, or narrow the `notrack` to what is not translated:

```fw
interface lan = eth1
redirect udp 53 from lan to port 5353
allow udp 53 from lan to host
```
",
};

/// The check.
pub fn check(policy: &Policy, _: Target) -> Vec<Diagnostic> {
    let mut told: Vec<Location> = Vec::new();
    let mut out = Vec::new();
    for change in policy.changes.iter().filter(|change| change.kind == ChangeKind::Notrack) {
        let here = change.judgement.location;
        if told.contains(&here) {
            continue;
        }
        let nat = policy.nat.iter().find_map(|nat| translated(nat, change));
        if let Some((word, there)) = nat {
            told.push(here);
            out.push(
                Diagnostic::new(
                    &NAT_WITHOUT_TRACKING,
                    here,
                    format!("what is not tracked is not translated: `{word}`"),
                )
                .label("takes it out of tracking")
                .related(there, "has to be tracked")
                .help("take one of the two out, or narrow the `notrack` to what is not translated"),
            );
        } else if let Some(found) = published(policy, change) {
            told.push(here);
            out.push(found);
        }
    }
    out
}

/// Whether a translation and a `notrack` speak of the same packets: the translation's word and place.
fn translated(nat: &Nat, change: &Change) -> Option<(&'static str, Location)> {
    let untracked = &change.judgement;
    let (word, judgement, arrives) = match nat {
        Nat::Masquerade { judgement, .. } => ("masquerade", judgement, false),
        Nat::Forward { judgement, .. } => ("forward", judgement, true),
        Nat::Redirect { judgement, .. } => ("redirect", judgement, true),
    };
    let same_origin = judgement.from.class == untracked.from.class && !roads::apart(&judgement.from, &untracked.from);
    // What arrives to be translated is still addressed to the host.
    let to_host = arrives && change.flow.to == Class::Host;
    let same_target = judgement.to.class == untracked.to.class
        && !roads::apart(&judgement.to, &untracked.to)
        && !roads::cards_apart(judgement.via.as_deref(), untracked.via.as_deref());
    (same_origin && (to_host || same_target) && traffic_meets(judgement, untracked))
        .then_some((word, judgement.location))
}

fn traffic_meets(a: &Judgement, b: &Judgement) -> bool {
    let family = a.family.is_none() || b.family.is_none() || a.family == b.family;
    family && a.traffic.iter().any(|one| b.traffic.iter().any(|other| cover::meets(one, other)))
}

/// A published port, which Docker translates.
fn published(policy: &Policy, change: &Change) -> Option<Diagnostic> {
    let judgement = &change.judgement;
    let dialled = match change.flow.to {
        Class::Host => true,
        Class::Container => judgement.to.view != Some(View::Direct),
        _ => false,
    };
    if !dialled || !policy.containers.used || roads::iptables_off(policy) {
        return None;
    }
    let taken = policy.containers.published.iter().find(|one| {
        let bound = Traffic {
            family: one.only_family(),
            protocol: Some(one.protocol),
            ports: Some(PortSet::new([one.ports])),
            icmp: None,
        };
        judgement.traffic.iter().any(|traffic| cover::meets(traffic, &bound))
            && judgement.to.member.as_ref().is_none_or(|name| *name == one.container)
    });
    let of_containers_alone = || {
        let same = policy.changes.iter().filter(|other| other.judgement.location == judgement.location);
        same.into_iter().all(|other| other.flow.to == Class::Container)
    };
    if taken.is_none() && !(roads::ports_unknown(policy) && of_containers_alone()) {
        return None;
    }
    let message = "what is not tracked is not translated: the published port leads nowhere";
    let mut found =
        Diagnostic::new(&NAT_WITHOUT_TRACKING, judgement.location, message).label("takes it out of tracking");
    if let Some((one, location)) = taken.and_then(|one| Some((one, one.location?))) {
        found = found.related(location, roads::publishes(one));
    }
    Some(found.help("leave what containers publish in tracking"))
}
