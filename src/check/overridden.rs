//! Allows that another owner's rules override: an accept in one table is not final for another, a drop is.

use super::roads;
use crate::diagnostic::{Code, Diagnostic, Level};
use crate::facts::{Backend, ForwardPolicy};
use crate::net::Family;
use crate::netfilter::Target;
use crate::policy::resolve::families;
use crate::policy::{Action, Class, Flow, Judgement, Policy, Rank};

/// Docker's iptables FORWARD drops what an nft table accepts.
pub static FORWARD_DROPS: Code = Code {
    number: "FW0309",
    name: "forward-policy-drops",
    level: Level::Error,
    summary: "an nft table cannot let through what Docker's FORWARD policy drops",
    explanation: "\
With its iptables backend Docker sets the policy of filter FORWARD to DROP, unless forwarding was on before it started. Packets
pass every table: an accept in fwc's own nft table ends that table alone, and Docker's policy still drops what no rule of
Docker's accepts. Routed traffic, and that of LXD, Incus and libvirt, is such traffic.

```fw
target nft
use docker
allow from 192.168.1.0/24 on lan to world on wan       # error: Docker's FORWARD drops it
```

**Instead**, one of:

```fw
target iptables                     # attached in front of Docker's rules, where an accept is final
fact forward-policy-ipv4 = accept   # if it is: turn forwarding on before Docker starts, or `iptables -P FORWARD ACCEPT`
fact docker.firewall-backend = nftables   # Docker 29's own nftables backend sets no policy
```
",
};

/// libvirt rejects what comes in to its guests.
pub static LIBVIRT_REJECTS: Code = Code {
    number: "FW0310",
    name: "libvirt-rejects",
    level: Level::Warning,
    summary: "libvirt possibly rejects what comes in to a guest, whatever an nft table accepts",
    explanation: "\
On a network in NAT mode (libvirt's default, `virbr0`) libvirt rejects connections to guests that they did not ask for. With
libvirt's nftables backend, or with fwc's nft target, that stands in another table than fwc's rules: an accept in ours does not
override a reject in theirs. Networks in mode `route` or `open` let such connections in.

```fw
use libvirt
target nft
allow ssh from 192.0.2.0/24 to guest        # warning: rejected on a network in NAT mode
```

**Instead**, put the guest on a network in mode `route` or `open`, or on a bridge of its own; or build for iptables beside
libvirt's iptables backend (`fact libvirt.firewall-backend = iptables`), where the rules stand in front of libvirt's.
",
};

/// The check.
pub fn check(policy: &Policy, target: Target) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    let mut told: Vec<u32> = Vec::new();
    for (flow, list) in &policy.flows {
        let allows = list.iter().filter(|judgement| {
            judgement.action == Action::Allow && matches!(judgement.rank, Rank::Rule | Rank::Default)
        });
        for judgement in allows {
            if told.contains(&judgement.statement) {
                continue;
            }
            let found = forward(policy, target, *flow, judgement).or_else(|| libvirt(policy, target, *flow, judgement));
            if let Some(found) = found {
                told.push(judgement.statement);
                out.push(found);
            }
        }
    }
    out
}

fn forward(policy: &Policy, target: Target, flow: Flow, judgement: &Judgement) -> Option<Diagnostic> {
    let docker = policy.facts.docker.as_ref();
    let routed = |class| !matches!(class, Class::Host | Class::Container);
    let beside = target == Target::Nft
        && policy.platforms.iter().any(|name| name == "docker")
        && docker.and_then(|docker| docker.firewall_backend) != Some(Backend::Nftables)
        && !roads::iptables_off(policy);
    if !beside || !routed(flow.from) || !routed(flow.to) {
        return None;
    }
    // Guests on one bridge talk without being routed; their frames meet FORWARD only where bridge netfilter is on.
    if flow.from != Class::Outside && flow.from == flow.to {
        return None;
    }
    let drops = |family: &Family| match family {
        Family::Ipv4 => policy.facts.forward_policy_ipv4 != Some(ForwardPolicy::Accept),
        Family::Ipv6 => {
            policy.facts.forward_policy_ipv6 == Some(ForwardPolicy::Drop)
                || (policy.facts.forward_policy_ipv6.is_none() && roads::ip6tables(policy) == Some(true))
        }
    };
    let dropped: Vec<Family> = families(judgement).into_iter().filter(drops).collect();
    let name = match dropped.as_slice() {
        [] => return None,
        [Family::Ipv4] => "forward-policy-ipv4",
        _ => "forward-policy-ipv6",
    };
    let name = if dropped.contains(&Family::Ipv4) { "forward-policy-ipv4" } else { name };
    let mut found = Diagnostic::new(
        &FORWARD_DROPS,
        judgement.location,
        format!("Docker's FORWARD policy drops {flow}, whatever an nft table accepts"),
    )
    .label("allowed here, dropped there");
    for source in ["docker.version", name] {
        if let Some(location) = policy.facts.source(source) {
            found = found.related(location, "the fact");
        }
    }
    Some(
        found
            .help("build for iptables (`target iptables`), where the rules stand in front of Docker's")
            .help(format!("or keep FORWARD's policy at ACCEPT, and say so: `fact {name} = accept`")),
    )
}

fn libvirt(policy: &Policy, target: Target, flow: Flow, judgement: &Judgement) -> Option<Diagnostic> {
    let backend = policy.facts.libvirt.as_ref().and_then(|libvirt| libvirt.firewall_backend);
    let theirs = policy.platforms.iter().any(|name| name == "libvirt") || policy.facts.libvirt.is_some();
    let overridden = backend == Some(Backend::Nftables) || target == Target::Nft;
    if !theirs || !overridden || flow.from == Class::Host || flow.to != Class::Guest {
        return None;
    }
    // A guest on a bridge of somebody else's is none of libvirt's networks.
    let bridges = || policy.cards.guest.iter();
    let elsewhere = judgement.to.cards.as_ref().is_some_and(|cards| {
        !cards.complement && !cards.cards.iter().any(|card| bridges().any(|bridge| bridge.covers(card)))
    });
    if elsewhere || bridges().next().is_none() {
        return None;
    }
    let found = Diagnostic::new(
        &LIBVIRT_REJECTS,
        judgement.location,
        "libvirt possibly rejects this: its networks in NAT mode let nobody in",
    )
    .label("an accept here does not override a reject in libvirt's own table")
    .help("put the guest on a network in mode `route` or `open`");
    Some(match backend {
        Some(Backend::Iptables) => {
            found.help("or build for iptables (`target iptables`): there the rules stand in front of libvirt's")
        }
        _ => found.help(
            "or use libvirt's iptables backend (`fact libvirt.firewall-backend = iptables`) and `target iptables`",
        ),
    })
}
