//! Podman's containers beside Docker, whose policy of FORWARD drops what Podman's own table accepts.

use crate::diagnostic::{Code, Diagnostic, Level};
use crate::facts::{Backend, ForwardPolicy};
use crate::netfilter::Target;
use crate::policy::{Action, Class, Judgement, Policy, Rank};
use crate::span::Location;
use crate::traffic;

/// An allow that Docker's policy of FORWARD undoes for Podman's containers.
pub static PODMAN_BESIDE_DOCKER: Code = Code {
    number: "FW0378",
    name: "podman-beside-docker",
    level: Level::Warning,
    summary: "an allow has no effect for Podman's containers, because Docker's policy of FORWARD drops what they forward",
    explanation: "\
Docker sets the policy of iptables' FORWARD to DROP when it turns forwarding on, and accepts what goes to its own bridges. netavark's nftables
driver accepts in a table of its own, and that is not final: what no rule of iptables accepts is dropped there. Published ports of Podman's
containers, what they send out, and the answers are lost. An allow of fwc's to or from containers means that this policy does not
object; it accepts nothing on Docker's behalf.

```fw
use docker
use podman
allow https to container              # warning
```

**Instead**, let FORWARD accept what no rule decides, and say so; what the policy denies stays denied:

```fw
use docker
use podman
fact forward-policy-ipv4 = accept
fact forward-policy-ipv6 = accept
allow https to container
```

`iptables -P FORWARD ACCEPT` sets it, at each boot after Docker has started. With netavark's iptables driver, up to 1.x, both are in one table:
`fact podman.firewall-driver = iptables`.
",
};

/// The check.
pub fn check(policy: &Policy, _: Target) -> Vec<Diagnostic> {
    let uses = |name: &str| policy.platforms.iter().any(|used| used == name);
    let facts = &policy.facts;
    let in_iptables = facts.podman.as_ref().and_then(|podman| podman.firewall_driver) == Some(Backend::Iptables);
    let accepts = facts.forward_policy_ipv4 == Some(ForwardPolicy::Accept);
    if !uses("docker") || !uses("podman") || in_iptables || accepts || traffic::iptables_off(policy) {
        return Vec::new();
    }
    let routed = policy.flows.iter().filter(|(flow, _)| {
        (flow.from == Class::Container || flow.to == Class::Container)
            && flow.from != Class::Host
            && flow.to != Class::Host
    });
    let allows = routed.flat_map(|(_, list)| list).filter(|judgement| {
        judgement.action == Action::Allow
            && matches!(judgement.rank, Rank::Rule | Rank::Default)
            && meets_podman(policy, judgement)
    });
    let mut places: Vec<Location> = allows.map(|judgement| judgement.location).collect();
    places.sort_unstable();
    places.dedup();
    let mut places = places.into_iter();
    let Some(first) = places.next() else { return Vec::new() };
    let message = "Docker's policy of FORWARD possibly drops this for Podman's containers";
    let found = Diagnostic::new(&PODMAN_BESIDE_DOCKER, first, message)
        .label("netavark's table accepts it, which is not final")
        .help("let FORWARD accept, and say so: `iptables -P FORWARD ACCEPT`, `fact forward-policy-ipv4 = accept`");
    vec![places.fold(found, |found, place| found.related(place, "and here"))]
}

/// Whether a rule may be about containers of Podman's.
fn meets_podman(policy: &Policy, judgement: &Judgement) -> bool {
    let ends = [&judgement.from, &judgement.to];
    let mut containers = ends.into_iter().filter(|end| end.class == Class::Container);
    containers.any(|end| {
        let docker =
            |name: &str| policy.facts.docker.as_ref().is_some_and(|docker| docker.containers.contains_key(name));
        !end.member.as_deref().is_some_and(docker)
    })
}
