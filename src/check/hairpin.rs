//! Forwards that clients of the target's own network use, too: its answer goes straight to them, and they do not know it.

use std::net::IpAddr;

use super::roads;
use crate::diagnostic::{Code, Diagnostic, Level};
use crate::netfilter::Target;
use crate::policy::{Class, Judgement, Nat, Policy};

/// No way back for neighbours of the target.
pub static HAIRPIN: Code = Code {
    number: "FW0369",
    name: "forward-without-hairpin",
    level: Level::Note,
    summary: "a `forward` is not masqueraded for clients of the target's own network, who get no answer",
    explanation: "\
A `forward` replaces the destination of a connection and leaves its source. A client on the target's own network that connects to the
host's address is sent to the target, and the target sees a neighbour's address: it answers directly, from its own address, and the
client knows nothing of a connection with that.

```fw
interface lan = eth1
forward tcp 443 to 192.168.2.5                                  # note
```

**Instead**, masquerade what comes from that network, so that the answer goes back through the host:

```fw
interface lan = eth1
forward tcp 443 to 192.168.2.5
masquerade tcp 443 from 192.168.2.0/24 to 192.168.2.5
```

or say where the clients come in, if those of the network use its own address: `forward tcp 443 to 192.168.2.5 via wan`.
",
};

/// The check.
pub fn check(policy: &Policy, _: Target) -> Vec<Diagnostic> {
    let mut statements = Vec::new();
    let mut out = Vec::new();
    for nat in &policy.nat {
        let Nat::Forward { judgement, address, .. } = nat else { continue };
        if may_be_neighbours(policy, judgement, *address) && !statements.contains(&judgement.statement) {
            statements.push(judgement.statement);
            out.push(told(policy, judgement, *address));
        }
    }
    out
}

/// Whether clients of the target's network are among those who are forwarded, and are not masqueraded.
fn may_be_neighbours(policy: &Policy, forward: &Judgement, address: IpAddr) -> bool {
    let private = match address {
        IpAddr::V4(address) => address.is_private(),
        IpAddr::V6(address) => address.is_unique_local(),
    };
    let anywhere = forward.via.is_none() && forward.from.cards.is_none() && forward.from.class == Class::Outside;
    let from_there = forward.from.addresses.as_ref().is_none_or(|from| match network(policy, address) {
        Some(net) => from.contains(net.network()) || from.contains(net.broadcast()),
        None => from.contains(address),
    });
    let masqueraded = policy.nat.iter().any(|nat| match nat {
        Nat::Masquerade { judgement, .. } => match &judgement.to.addresses {
            Some(to) => to.contains(address),
            None => judgement.to.cards.is_none(),
        },
        _ => false,
    });
    private && anywhere && from_there && forward.to.class == Class::Outside && !masqueraded
}

fn told(policy: &Policy, forward: &Judgement, address: IpAddr) -> Diagnostic {
    let own = network(policy, address).map_or_else(|| "NETWORK".to_owned(), |net| net.trunc().to_string());
    let kinds: Vec<String> =
        forward.traffic.iter().map(|traffic| roads::spoken(traffic.protocol, traffic.ports.as_ref())).collect();
    let what = match kinds.as_slice() {
        [one] => one.clone(),
        several => format!("{{ {} }}", several.join(", ")),
    };
    Diagnostic::new(
        &HAIRPIN,
        forward.location,
        format!("clients on the network of `{address}` get no answer by this: it answers them directly"),
    )
    .label("their connections are translated on the way in, and not on the way back")
    .help(format!("if they use it, too: `masquerade {what} from {own} to {address}`"))
    .help("or say where the others come in: `via wan`")
}

/// The network of the host's own that an address is in.
fn network(policy: &Policy, address: IpAddr) -> Option<ipnet::IpNet> {
    let all = policy.facts.interfaces.values().flat_map(|interface| &interface.addresses);
    all.copied().find(|net| net.contains(&address))
}
