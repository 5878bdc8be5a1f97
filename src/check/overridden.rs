//! Allows that another owner's rules override: an accept in one table is not final for another, a drop is.

use crate::diagnostic::{Code, Diagnostic, Level};
use crate::facts::Backend;
use crate::netfilter::Target;
use crate::policy::{Action, Class, Flow, Judgement, Policy, Rank};

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
            if let Some(found) = libvirt(policy, target, *flow, judgement) {
                told.push(judgement.statement);
                out.push(found);
            }
        }
    }
    out
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
