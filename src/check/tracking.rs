//! What is taken out of connection tracking, and should be translated: the kernel translates what it tracks, and nothing else. And what
//! cannot be told there, since tracking begins before routing.

use super::roads;
use crate::diagnostic::{Code, Diagnostic, Level};
use crate::net::{PortRange, PortSet};
use crate::netfilter::Target;
use crate::policy::{
    Action, Change, ChangeKind, Class, Flow, Judgement, Nat, Options, Party, Policy, Rank, Traffic, cover,
};
use crate::span::Location;
use crate::syntax::tree::View;
use crate::traffic;

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

/// An exemption from tracking by what is known only later.
pub static UNTRACKED_BY_ROUTE: Code = Code {
    number: "FW0322",
    name: "untracked-by-route",
    level: Level::Error,
    summary: "a `notrack` asks for what is not known before tracking: where a packet leaves, or who is behind a card",
    explanation: "\
Tracking begins before routing. What is seen there is the card of arrival and what stands in the packet. Neither the card that it will
leave by is known, nor whether that leads to a container or to a machine outside. And it is asked twice: answers come the other way
round, so that the `from` of the sentence is where they go.

```fw
interface lan = eth1
interface wan = eth0
notrack udp 123 from lan to wan          # error
allow from lan to wan
```

**Why it hurts.** Untracked would be more than is said: here every answer from port 123, of the host's own questions, too. What is not
tracked is not translated, and no rule for answers (`established`) lets it through.

**Instead**, name the addresses at both ends of routed traffic. Between the outside and the host, cards do.

```fw
interface lan = eth1
interface wan = eth0
notrack udp 123 from 192.168.2.0/24 to 198.51.100.0/24
allow from lan to wan
allow udp from 198.51.100.0/24 to 192.168.2.0/24 source port 123
notrack udp 53 from lan to host
allow { udp 53, ssh } from lan to host
```
",
};

/// Answers that no rule lets through.
pub static UNTRACKED_ANSWERS_DENIED: Code = Code {
    number: "FW0323",
    name: "untracked-answers-denied",
    level: Level::Warning,
    summary: "the answers of what is not tracked are denied",
    explanation: "\
Answers pass because the kernel knows the connection that they belong to. Of what is not tracked it knows none: its answers are packets
like any other, and need a rule of their own where their direction is closed.

```fw
notrack udp 123 from 192.168.2.0/24 to 198.51.100.0/24
allow udp 123 from 192.168.2.0/24 to 198.51.100.0/24      # closes routed traffic: the answers, too
```

**Why it hurts.** Questions go out, and no answer comes back; a counter of dropped packets is all that shows it.

**Instead**, let the answers through by the port that they come from:

```fw
notrack udp 123 from 192.168.2.0/24 to 198.51.100.0/24
allow udp 123 from 192.168.2.0/24 to 198.51.100.0/24
allow udp from 198.51.100.0/24 to 192.168.2.0/24 source port 123
```
",
};

/// What of a change cannot be told before tracking, said in words; None if all can.
fn unknown(policy: &Policy, change: &Change) -> Option<&'static str> {
    let judgement = &change.judgement;
    let (from, to) = (&judgement.from, &judgement.to);
    let leaves = match (change.flow.from, change.flow.to) {
        // What the host sends has its route.
        (Class::Host, Class::Outside) => true,
        (Class::Host, _) => to.addresses.is_some(),
        _ => is_in_the_packet(policy, to),
    };
    if !leaves {
        return Some("where a packet goes is not known yet where tracking begins");
    }
    let answers_known = match (change.flow.from, change.flow.to) {
        (Class::Host, _) => from.user.is_none(),
        // What the host answers has its route, and no Ethernet address yet.
        (Class::Outside, Class::Host) => from.macs.is_empty(),
        (_, Class::Host) => from.macs.is_empty() || from.addresses.is_some(),
        _ => is_in_the_packet(policy, from),
    };
    (!answers_known).then_some("where the answers go is not known yet where tracking begins")
}

/// Whether a packet itself tells that it goes to a party.
fn is_in_the_packet(policy: &Policy, party: &Party) -> bool {
    match party.class {
        Class::Host => true,
        Class::Outside => {
            let said = party.addresses.is_some() || party.live.is_some() || policy.cards.has_nobody();
            said && party.cards.is_none() && party.macs.is_empty() && party.except.iter().all(|one| one.cards.is_none())
        }
        // What is dialled at an address of the host is not in the packet's own words yet.
        _ => party.addresses.is_some() && (party.published.is_none() || party.view == Some(View::Direct)),
    }
}

/// The check. A statement is told of once, of a translation first.
pub fn check(policy: &Policy, _: Target) -> Vec<Diagnostic> {
    let mut told: Vec<Location> = Vec::new();
    let mut out = Vec::new();
    for fault in [untranslated, untold, unanswered] {
        for change in policy.changes.iter().filter(|change| change.kind == ChangeKind::Notrack) {
            let here = change.judgement.location;
            if told.contains(&here) {
                continue;
            }
            if let Some(found) = fault(policy, change) {
                told.push(here);
                out.push(found);
            }
        }
    }
    out
}

fn untranslated(policy: &Policy, change: &Change) -> Option<Diagnostic> {
    let Some((word, there)) = policy.nat.iter().find_map(|nat| translated(nat, change)) else {
        return published(policy, change);
    };
    let message = format!("what is not tracked is not translated: `{word}`");
    Some(
        Diagnostic::new(&NAT_WITHOUT_TRACKING, change.judgement.location, message)
            .label("takes it out of tracking")
            .related(there, "has to be tracked")
            .help("take one of the two out, or narrow the `notrack` to what is not translated"),
    )
}

fn untold(policy: &Policy, change: &Change) -> Option<Diagnostic> {
    let what = unknown(policy, change)?;
    Some(
        Diagnostic::new(&UNTRACKED_BY_ROUTE, change.judgement.location, format!("{what}: {}", change.flow))
            .label("would take more out of tracking than it says")
            .help("name the addresses at both ends, or narrow it to `to host`"),
    )
}

/// The ports that clients open connections from (`net.ipv4.ip_local_port_range`, as the kernel sets it).
pub(super) fn clients() -> PortSet {
    PortSet::new([PortRange { first: 32768, last: 60999 }])
}

/// Answers that are denied, all of them, and of which no rule in front speaks.
fn unanswered(policy: &Policy, change: &Change) -> Option<Diagnostic> {
    let forth = &change.judgement;
    let flow = Flow { from: change.flow.to, to: change.flow.from };
    let list = policy.flows.get(&flow)?;
    // Whom an answer goes to says neither an Ethernet address nor a user.
    let plain = |party: &Party| {
        let mut plain = Party::of(party.class);
        (plain.cards, plain.addresses) = (party.cards.clone(), party.addresses.clone());
        plain
    };
    let (from, to) = (plain(&forth.to), plain(&forth.from));
    let denied = |traffic: &Traffic| {
        let options = Options { source_ports: traffic.ports.clone(), ..Options::default() };
        let back = Judgement {
            rank: Rank::Rule,
            traffic: Traffic { ports: traffic.ports.as_ref().map(|_| clients()), icmp: None, ..traffic.clone() }.into(),
            from: from.clone(),
            to: to.clone(),
            options: options.into(),
            ..forth.clone()
        };
        let speaks = |rule: &Judgement| {
            traffic_meets(rule, &back) && !roads::apart(&rule.from, &from) && !roads::apart(&rule.to, &to)
        };
        let mut rules = list.iter().filter(|rule| rule.rank != Rank::Prelude && rule.action != Action::Log);
        let first =
            rules.find(|rule| if rule.action == Action::Allow { speaks(rule) } else { cover::covers(rule, &back) });
        first.filter(|rule| rule.action != Action::Allow).map(|rule| rule.location)
    };
    let there = forth.traffic.iter().find_map(denied)?;
    let message = format!("answers of what is not tracked are denied: {flow}");
    Some(
        Diagnostic::new(&UNTRACKED_ANSWERS_DENIED, forth.location, message)
            .label("its answers belong to no connection")
            .related(there, "closes the way back")
            .help("let them through by the port that they come from: `allow udp from … to … source port 123`"),
    )
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
    if !dialled || !policy.containers.used || traffic::iptables_off(policy) {
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
    if taken.is_none() && !(traffic::ports_unknown(policy) && of_containers_alone()) {
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
