//! A policy that closes a flow and with it something without which the network does not live: neighbour discovery, replies,
//! addresses and names for what runs behind the host's bridges.

use std::net::Ipv6Addr;

use super::{lockout, tracking, words};
use thin_vec::thin_vec;

use crate::diagnostic::{Code, Diagnostic, Level};
use crate::net::{AddressRange, AddressSet, Family, PortRange, Protocol};
use crate::netfilter::{IcmpType, Target};
use crate::policy::cover;
use crate::policy::names::at;
use crate::policy::{Action, ChangeKind, Class, Flow, Judgement, Party, Policy, Rank, Traffic};
use crate::project::Project;
use crate::span::Location;
use crate::syntax::tree::StatementKind;

/// A closed flow that keeps the network from working.
pub static STARVED: Code = Code {
    number: "FW0356",
    name: "starved-network",
    level: Level::Warning,
    summary: "a closed flow also stops what the network needs to live",
    explanation: "\
# The network starves

A flow that ends in deny also denies what nobody thinks of: the neighbour discovery without which IPv6 has no neighbours, the
answers to the host's own connections, the addresses (DHCP) and names (DNS) that instances, guests and containers ask for.

For the host, the prelude lets these live; `use prelude except …` turns that off. For instances and guests, DHCP and DNS are
services of the host like others: a rule that says `to host` without `from` speaks of them too, and closes the rest. An `allow` for what
the host opens closes its own questions for names (DNS) and the time (NTP).

**Why it hurts.** It shows late: leases run out after hours, the neighbour table after minutes.

```fw
use lxd
allow ssh to host          # warning: instances get no addresses and no names any more
```

**Instead**, say what they need, or whom the rule is for:

```fw
use lxd
allow ssh from world to host
allow { dhcp, dns } from instance to host
```

```fw
allow https from host to world             # warning: no names and no time for the host
```

**Instead**: `allow { https, dns, ntp } from host to world`.
",
};

/// A host that gets no address any more.
pub static NO_DHCP_CLIENT: Code = Code {
    number: "FW0357",
    name: "dhcp-answers-denied",
    level: Level::Note,
    summary: "the answers of DHCP servers to this host are denied",
    explanation: "\
# No DHCP for the host

Answers of a DHCP server come from its own address to a question that went to everyone: they belong to no tracked connection, and
the prelude's part `dhcp-client` lets them in.

```fw
use prelude except dhcp-client      # note: right on a host with fixed addresses
default deny to host
```

**Why it hurts.** On a host that gets its address by DHCP, the lease runs out hours after the policy is loaded, and with it the host is
gone. On a host with fixed addresses nothing is lost.
",
};

/// The check.
pub fn check(project: &Project, policy: &Policy, _: Target) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    for part in ["neighbour-discovery", "icmp-errors", "established", "dhcp-client"] {
        if let Some(off) = turned_off(project, part) {
            out.extend(without(policy, part, off));
        }
    }
    for class in [Class::Instance, Class::Guest] {
        out.extend(bridged(project, policy, class));
    }
    out.extend(containers(policy));
    out.extend(host(policy));
    out.extend(policy.early.iter().find_map(|early| no_neighbours(&early.judgement)));
    out
}

/// An `early` deny of link-local addresses: neighbours speak from those, and no prelude comes before it.
fn no_neighbours(deny: &Judgement) -> Option<Diagnostic> {
    let first = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0);
    let last = Ipv6Addr::new(0xfebf, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff);
    let link = AddressSet::new(AddressRange::new(first.into(), last.into()));
    // Who denies all of IPv6 has no neighbours to lose, and has been told of it (FW0351).
    let denied = deny.from.addresses.as_ref()?;
    let all = denied.covers(&AddressSet::all(Family::Ipv6));
    (deny.family != Some(Family::Ipv4) && !all && denied.covers(&link)).then(|| {
        Diagnostic::new(&STARVED, deny.location, "IPv6 stops working: neighbour discovery is denied")
            .label("routers and neighbours speak from link-local addresses (fe80::/10)")
            .help(
                "take `early` out: then the prelude lets neighbour discovery pass first; or leave those addresses out",
            )
    })
}

/// Where a part of the prelude is turned off.
fn turned_off(project: &Project, part: &str) -> Option<Location> {
    let mut found = None;
    words::each(project, &mut |file, statement| {
        if let StatementKind::Use(node) = &statement.value
            && &*node.name.value == "prelude"
            && let Some(name) = node.except.iter().find(|name| &*name.value == part)
        {
            found = Some(at(file, name.span));
        }
    });
    found
}

fn without(policy: &Policy, part: &str, off: Location) -> Option<Diagnostic> {
    let inward = Flow { from: Class::Outside, to: Class::Host };
    let outward = Flow { from: Class::Host, to: Class::Outside };
    let icmp = |kind| Traffic {
        family: Some(Family::Ipv6),
        protocol: Some(Protocol::ICMPV6),
        icmp: Some(thin_vec![IcmpType { kind, code: None }]),
        ..Traffic::ALL
    };
    let untracked = policy.changes.iter().any(|change| change.kind == ChangeKind::Notrack);
    let stateless = !policy.prelude.iter().any(|part| part == "established");
    let (code, traffic, message, lost) = match part {
        "neighbour-discovery" => (
            &STARVED,
            icmp(135),
            "IPv6 stops working: neighbour discovery is denied",
            "no other machine finds this one any more, and it finds none",
        ),
        // Errors about tracked connections are RELATED and pass with `established`.
        "icmp-errors" if untracked || stateless => (
            &STARVED,
            icmp(2),
            "large packets vanish: path MTU discovery is denied",
            "`packet too big` about untracked connections is needed",
        ),
        "established" => (
            &STARVED,
            tcp(),
            "answers to this host's own connections are denied",
            "nothing stands for established connections any more",
        ),
        "dhcp-client" => (
            &NO_DHCP_CLIENT,
            udp(Family::Ipv4, 68),
            "answers of DHCP servers are denied",
            "the host gets no address by DHCP",
        ),
        _ => return None,
    };
    let (flow, closing) =
        [inward, outward].into_iter().find_map(|flow| Some((flow, closing(policy, flow, &traffic)?)))?;
    let message = match (part, flow == outward) {
        ("established", true) => "answers to those who connect to this host are denied",
        _ => message,
    };
    Some(
        Diagnostic::new(code, closing.location, message)
            .label("everything that no rule allows ends here")
            .related(off, lost)
            .help(format!("take `{part}` out of the `except`, or allow it by a rule")),
    )
}

fn tcp() -> Traffic {
    Traffic { protocol: Some(Protocol::TCP), ports: Some(tracking::clients()), ..Traffic::ALL }
}

fn udp(family: Family, port: u16) -> Traffic {
    Traffic {
        family: Some(family),
        protocol: Some(Protocol::UDP),
        ports: Some(std::iter::once(PortRange::single(port)).collect()),
        icmp: None,
    }
}

/// The judgement that denies this traffic to everyone, if none before it lets somebody through.
fn closing<'p>(policy: &'p Policy, flow: Flow, traffic: &Traffic) -> Option<&'p Judgement> {
    for judgement in policy.flows.get(&flow)? {
        match judgement.action {
            Action::Allow if judgement.traffic.iter().any(|allowed| cover::meets(allowed, traffic)) => return None,
            Action::Deny | Action::Reject(_) if denies(policy, judgement, flow, traffic) => return Some(judgement),
            _ => {}
        }
    }
    None
}

fn denies(policy: &Policy, judgement: &Judgement, flow: Flow, traffic: &Traffic) -> bool {
    let options = &judgement.options;
    judgement.traffic.iter().any(|denied| cover::traffic(denied, traffic))
        && judgement.family.is_none_or(|family| traffic.family == Some(family))
        && judgement.from == Party::of(flow.from)
        && judgement.to == Party::of(flow.to)
        && options.during.is_none()
        && options.source_ports.is_none()
        && judgement.via.as_ref().is_none_or(|via| lockout::every_card(policy, via))
}

/// Instances and guests behind bridges of the host, which serves them DHCP and DNS.
fn bridged(project: &Project, policy: &Policy, class: Class) -> Option<Diagnostic> {
    // Guests whose taps are bridged into the network outside get addresses from there.
    let bridges = if class == Class::Instance { &policy.cards.instance } else { &policy.cards.guest };
    if bridges.is_empty() {
        return None;
    }
    let inward = Flow { from: class, to: Class::Host };
    let lost_dhcp = closing(policy, inward, &udp(Family::Ipv4, 67));
    let lost_dns = closing(policy, inward, &udp(Family::Ipv4, 53));
    let (closing, services, what) = match (lost_dhcp, lost_dns) {
        (Some(closing), Some(_)) => (closing, "{ dhcp, dns }", "addresses (DHCP) nor names (DNS)"),
        (Some(closing), None) => (closing, "dhcp", "addresses (DHCP)"),
        (None, Some(closing)) => (closing, "dns", "names (DNS)"),
        (None, None) => return None,
    };
    let neither = if services.starts_with('{') { "neither" } else { "no" };
    let fault =
        Diagnostic::new(&STARVED, closing.location, format!("{class}s get {neither} {what} from this host any more"));
    let fault = fault.label(if closing.rank == Rank::End {
        format!("speaks of {class}s too, and so closes what they do not get allowed")
    } else {
        format!("closes the host to {class}s")
    });
    let rule = format!("allow {services} from {class} to host");
    let start = closing.location.span.start as usize;
    let text = project.text(closing.location.file);
    let first = text.get(..start).is_some_and(|before| before.is_empty() || before.ends_with('\n'));
    Some(if first {
        fault.fix("let them ask the host", words::before(closing.location), format!("{rule}\n"))
    } else {
        fault.help(format!("let them ask the host: `{rule}`"))
    })
}

/// Containers ask the resolvers that the host knows, outside or on the host itself.
fn containers(policy: &Policy) -> Option<Diagnostic> {
    let dns = udp(Family::Ipv4, 53);
    let outside = closing(policy, Flow { from: Class::Container, to: Class::Outside }, &dns)?;
    closing(policy, Flow { from: Class::Container, to: Class::Host }, &dns)?;
    Some(
        Diagnostic::new(&STARVED, outside.location, "containers get no names any more: DNS is denied")
            .label("neither outside nor on the host is a resolver open to them")
            .help("allow the resolver that they use: `allow dns from container to world`, or `to host`"),
    )
}

/// The host asks for names and for the time. Said where an allow closes what it opens: a default says it itself.
fn host(policy: &Policy) -> Option<Diagnostic> {
    let outward = Flow { from: Class::Host, to: Class::Outside };
    let lost = |port| {
        let denied = |family| closing(policy, outward, &udp(family, port)).filter(|one| one.rank == Rank::End);
        denied(Family::Ipv4).filter(|_| denied(Family::Ipv6).is_some())
    };
    let (closing, services, what) = match (lost(53), lost(123)) {
        (Some(closing), Some(_)) => (closing, "{ dns, ntp }", "neither names (DNS) nor the time (NTP)"),
        (Some(closing), None) => (closing, "dns", "no names (DNS)"),
        (None, Some(closing)) => (closing, "ntp", "no time (NTP)"),
        (None, None) => return None,
    };
    Some(
        Diagnostic::new(&STARVED, closing.location, format!("this host gets {what} from outside any more"))
            .label("closes what the host opens, but for what is allowed")
            .help(format!("allow what it needs: `allow {services} from host to world`")),
    )
}
