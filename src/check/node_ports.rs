//! Ports that Kubernetes translates before INPUT, in rules to the host.

use std::cell::LazyCell;

use rustc_hash::FxHashSet;

use super::{roads, words};
use crate::diagnostic::{Code, Diagnostic, Level};
use crate::net::{PortRange, Protocol};
use crate::netfilter::Target;
use crate::policy::{Class, Flow, Judgement, Policy};
use crate::project::Project;

/// A rule to the host about NodePorts.
pub static NODE_PORT_OF_HOST: Code = Code {
    number: "FW0366",
    name: "node-port-of-host",
    level: Level::Error,
    summary: "a rule to the host is about ports that Kubernetes translates before INPUT",
    explanation: "\
kube-proxy translates a NodePort (30000-32767 unless the API server has another range) in nat PREROUTING, to the address and port of a
pod. The packet is then routed: it passes FORWARD and never INPUT, where rules `to host` are. hostPorts and the addresses of load
balancers are translated in the same place.

**Why it hurts.** An allow opens nothing, and a deny closes nothing: the service stays open to everybody.

```fw
use kubernetes
allow kubernetes-nodeport from 198.51.100.0/24 to host     # error
```

**Instead**, say it of the pods. `to container` compares the port that the client connects to, before translation, and everything else to
pods from outside is closed with it:

```fw
use kubernetes
allow kubernetes-nodeport from 198.51.100.0/24 to container
```

Only kube-proxy's modes iptables and nftables do this. In mode ipvs Services come by INPUT, and a replacement in eBPF passes no hook.
",
};

/// A closed port that may be one.
pub static POSSIBLE_NODE_PORT: Code = Code {
    number: "FW0367",
    name: "possible-node-port",
    level: Level::Note,
    summary: "a port that is closed to the host is in the range of Kubernetes' NodePorts",
    explanation: "\
On a node of a Kubernetes cluster the ports 30000-32767 are translated before INPUT, and a rule that closes them `to host` closes nothing.
On any other host such a port is like every other. The policy does not say which it is.

```fw
deny tcp 30080 from world to host       # note
```

On a node, say so, and close it for the pods:

```fw
use kubernetes
deny tcp 30080 from world to container
```
",
};

/// `--service-node-port-range`, unless it was changed.
const NODE_PORTS: PortRange = PortRange { first: 30000, last: 32767 };

/// The check.
pub fn check(project: &Project, policy: &Policy, _: Target) -> Vec<Diagnostic> {
    let node = policy.platforms.iter().any(|name| name == "kubernetes");
    let mut told = FxHashSet::default();
    let mut out = Vec::new();
    for (asserted, judgement) in to_host(policy) {
        if !told.insert(judgement.location) {
            continue;
        }
        let stops = roads::stops(judgement.action);
        if node || whole_range(judgement) {
            let place = roads::own_target(judgement).filter(|place| words::text(project, *place) == "host");
            let mut found = Diagnostic::new(
                &NODE_PORT_OF_HOST,
                judgement.location,
                "Kubernetes translates these ports before INPUT: this has no effect on them",
            )
            .label(if asserted {
                "the ports stay as they are, whatever holds of the host"
            } else {
                "never asked about a NodePort"
            });
            found = match place {
                Some(place) => {
                    found.fix("say it of the pods, by the port that the client connects to", place, "container")
                }
                None => found.help("say it of the pods, by the port that the client connects to: `to container`"),
            };
            if !node {
                found = found.help("and say that this is a node: `use kubernetes`");
            }
            out.push(found);
        } else if stops {
            out.push(
                Diagnostic::new(
                    &POSSIBLE_NODE_PORT,
                    judgement.location,
                    "on a Kubernetes node these ports are translated before INPUT, and stay open",
                )
                .help("on a node, write `use kubernetes` and `to container`"),
            );
        }
    }
    out
}

/// What is said and asserted of connections to the host from elsewhere, and of nothing else.
fn to_host(policy: &Policy) -> impl Iterator<Item = (bool, &Judgement)> {
    let elsewhere = [Class::Outside, Class::Container, Class::Instance, Class::Guest];
    let said = elsewhere.into_iter().flat_map(|from| roads::written(policy, Flow { from, to: Class::Host }));
    let not_host = LazyCell::new(|| roads::statements_beyond(policy, |flow| flow.to == Class::Host));
    let said = said
        .filter(|judgement| node_ports_alone(judgement))
        .filter(move |judgement| !not_host.contains(&judgement.statement));
    let asserted = policy.assertions.iter().flat_map(|assertion| {
        let alone = assertion.judgements.iter().all(|(flow, _)| flow.to == Class::Host);
        let from_elsewhere = move |(flow, _): &&(Flow, Judgement)| alone && flow.from != Class::Host;
        let judgements = assertion.judgements.iter().filter(from_elsewhere).map(|(_, judgement)| judgement);
        judgements.filter(|judgement| node_ports_alone(judgement))
    });
    said.map(|judgement| (false, judgement)).chain(asserted.map(|judgement| (true, judgement)))
}

/// Whether every port that is meant is in the range.
fn node_ports_alone(judgement: &Judgement) -> bool {
    judgement.traffic.iter().all(|traffic| {
        let inside = |range: &PortRange| NODE_PORTS.first <= range.first && range.last <= NODE_PORTS.last;
        matches!(traffic.protocol, Some(Protocol::TCP | Protocol::UDP))
            && traffic.ports.as_ref().is_some_and(|ports| ports.ranges().iter().all(inside))
    })
}

/// Whether the whole range is meant, as by the library's `kubernetes-nodeport`: nothing else has it.
fn whole_range(judgement: &Judgement) -> bool {
    let whole =
        |traffic: &crate::policy::Traffic| traffic.ports.as_ref().is_some_and(|ports| ports.ranges() == [NODE_PORTS]);
    judgement.traffic.iter().any(whole)
}
