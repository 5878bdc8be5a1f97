//! Masquerades to a fixed address for containers, instances and guests, beside platforms that translate them as well: the first rule in
//! POSTROUTING decides, and a platform that starts again puts its own first.

use crate::diagnostic::{Code, Diagnostic, Level};
use crate::netfilter::Target;
use crate::policy::{Class, Nat, Policy};
use crate::traffic;

/// A platform's rule may come before ours.
pub static MASQUERADE_ORDER: Code = Code {
    number: "FW0333",
    name: "masquerade-may-be-preceded",
    level: Level::Warning,
    summary: "a platform may put its own masquerade before one that gives containers, instances or guests a fixed address",
    explanation: "\
Docker, LXD and libvirt masquerade what leaves their networks, by rules in table nat, POSTROUTING. The first rule that translates a
connection decides. With iptables these platforms insert their rules at the front of that one chain whenever they start or make a
network, before the jump of fwc, until its attach script runs again.

```fw
use docker
interface wan = eth0
container app1 on app address 172.20.0.5
masquerade from container app1 to wan as 203.0.113.20        # warning with iptables
```

**Why it hurts.** After the next `docker network create` or restart of the daemon the container leaves with the address of the
interface, and whoever lets 203.0.113.20 in keeps it out. Nothing on this host shows it.

**Instead**, take the nft target (`target nft`), whose own chain comes before theirs whatever they insert. Or tell the platform not to masquerade that network (Docker: `com.docker.network.bridge.enable_ip_masquerade=false`; LXD:
`ipv4.nat=false`; libvirt: `<forward mode='route'/>`), or to give that address itself (Docker from 25: `com.docker.network.host_ipv4`; LXD:
`ipv4.nat.address`).
",
};

/// The check.
pub fn check(policy: &Policy, target: Target) -> Vec<Diagnostic> {
    if target == Target::Nft {
        return Vec::new();
    }
    let mut out: Vec<Diagnostic> = Vec::new();
    for nat in &policy.nat {
        let Nat::Masquerade { judgement, address: Some(address) } = nat else { continue };
        let translates = match judgement.from.class {
            Class::Container => !traffic::iptables_off(policy),
            Class::Instance | Class::Guest => true,
            Class::Outside | Class::Host => false,
        };
        if translates && !out.iter().any(|one| one.primary.location == judgement.location) {
            let class = judgement.from.class;
            out.push(
                Diagnostic::new(
                    &MASQUERADE_ORDER,
                    judgement.location,
                    format!("the {class}'s platform may put a masquerade of its own before this, without {address}"),
                )
                .label("holds until the platform starts again or makes a network")
                .help("choose the nft target, whose chain comes before that whatever is inserted")
                .help("or turn the platform's own masquerade off for that network"),
            );
        }
    }
    out
}
