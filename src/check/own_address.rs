//! Addresses after `to` that may be this host's own, or include it: they are taken for other machines.

use std::net::IpAddr;

use rustc_hash::FxHashSet;

use super::{roads, words};
use crate::diagnostic::{Code, Diagnostic, Level};
use crate::netfilter::Target;
use crate::policy::{Class, Flow, Judgement, Nat, Policy};
use crate::project::Project;

/// An address that may be the host's.
pub static POSSIBLE_OWN_ADDRESS: Code = Code {
    number: "FW0368",
    name: "possible-own-address",
    level: Level::Warning,
    summary: "an address after `to` is taken for another machine, and may be this host's own",
    explanation: "\
An address after `to` is another machine, which this host reaches by routing. What is sent to an address of the host itself goes to INPUT,
and such a rule is not asked about it. Without facts about its interfaces, fwc does not know the host's addresses.

**Why it hurts.** The rule reads as if it guarded the server, and the server is open to everybody.

```fw
allow ssh from 198.51.100.0/24 to 203.0.113.10      # warning
```

**Instead**, if it is this host's own address, say so:

```fw
allow ssh from 198.51.100.0/24 to host at 203.0.113.10
```

If it is another machine, say that this host routes (`use router`), behind which interface the machine is (`to 192.168.2.5 on lan`), or
which addresses the host has: `fact interfaces.eth0.addresses = \"203.0.113.10/24\"`. A prefix that includes an address of the host is
told as well: the host is not among those that are meant.
",
};

/// The check.
pub fn check(project: &Project, policy: &Policy, _: Target) -> Vec<Diagnostic> {
    let flow = Flow { from: Class::Outside, to: Class::Outside };
    let mut out: Vec<Diagnostic> = Vec::new();
    let beside = roads::statements_beyond(policy, |flow| flow.to == Class::Outside);
    let mut told = FxHashSet::default();
    let mut prefix_told = false;
    for judgement in roads::written(policy, flow) {
        // Behind an interface, or beside the host itself: nobody takes it for the host.
        let elsewhere = judgement.to.cards.is_some() || beside.contains(&judgement.statement);
        if elsewhere || !told.insert(judgement.statement) {
            continue;
        }
        let Some((text, found)) = own(project, policy, judgement) else { continue };
        // Of networks it is told once: a router has many such rules.
        let prefix = text.contains('/');
        if !prefix || !prefix_told {
            out.push(found);
        }
        prefix_told |= prefix;
    }
    out
}

/// The target as it is written, and what is to be said of it.
fn own<'p>(project: &'p Project, policy: &Policy, judgement: &Judgement) -> Option<(&'p str, Diagnostic)> {
    let addresses = judgement.to.addresses.as_ref()?;
    let place = roads::own_target(judgement)?;
    // A set has its name for what it lists; what is written out is what somebody had in mind here.
    let text = words::text(project, place);
    let single = text.parse::<IpAddr>().ok();
    if single.is_none() && text.parse::<ipnet::IpNet>().is_err() {
        return None;
    }
    let mut known = policy.facts.interfaces.values().flat_map(|interface| &interface.addresses).peekable();
    if known.peek().is_some() {
        let own = known.map(ipnet::IpNet::addr).find(|own| addresses.contains(*own))?;
        let message = format!("`{text}` includes this host's {own}, which is not meant");
        let found = Diagnostic::new(&POSSIBLE_OWN_ADDRESS, place, message)
            .label("machines behind this host alone")
            .help("what is sent to the host itself is a rule of its own: `… to host`");
        return Some((text, found));
    }
    if routes(policy) || single.is_some_and(|address| address.is_multicast()) {
        return None;
    }
    let others = if single.is_some() { "another machine" } else { "other machines" };
    let message = format!("`{text}` is taken for {others}, not for this host");
    let found = Diagnostic::new(&POSSIBLE_OWN_ADDRESS, place, message).label("reached by routing through this host");
    let found = match single {
        Some(address) => found.fix("if it is this host's own address", place, format!("host at {address}")),
        None => found.help("what is sent to the host itself is a rule of its own: `… to host`"),
    };
    Some((text, found.help("if this host routes to it, say so: `use router`, or an interface: `to … on lan`")))
}

/// Whether the policy says that this host forwards between others.
fn routes(policy: &Policy) -> bool {
    let translates = policy.nat.iter().any(|nat| match nat {
        Nat::Masquerade { judgement, .. } => judgement.from.class == Class::Outside,
        Nat::Forward { .. } => true,
        Nat::Redirect { .. } => false,
    });
    let flow = Flow { from: Class::Outside, to: Class::Outside };
    let crosses = |judgement: &Judgement| judgement.from.cards.is_some() && judgement.to.cards.is_some();
    policy.platforms.iter().any(|name| matches!(name.as_str(), "router" | "tap" | "lxd" | "incus" | "libvirt"))
        || translates
        || roads::written(policy, flow).any(crosses)
}
