//! Policies with what their sentences say of connections, written by hand: each names the rule of the language (`docs/language.md`) that
//! decides.

use std::collections::BTreeMap;

use fwc::netfilter::Target;

use super::built::{Project, build};
use super::daemon::Daemon;
use super::dial::{Answers, Dial, answers, by_docker_proxy};
use super::site;

/// What a policy says of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// It answers as it did without the policy, and without the policy it answers.
    Open,
    /// It does not answer.
    Closed,
    /// It is what it was without the policy.
    Left,
}

/// A policy and what it says.
pub struct Case {
    pub name: &'static str,
    pub policy: &'static str,
    /// Whether it is also built without any facts. Where facts are needed to say what is meant, it is not.
    pub without_facts: bool,
    /// `WHO [SOURCE] > PROTOCOL ADDRESS PORT = open|closed|left`, and the rule that decides behind `#`.
    pub expected: &'static str,
}

pub const CASES: [Case; 9] = [
    Case {
        name: "to host and to container",
        policy: "use docker
allow ssh from 10.1.1.1 to host
allow tcp 8080 from 10.1.1.1 to container via ens33",
        without_facts: true,
        expected: "
peer 10.1.1.1 > tcp 203.0.113.10 22 = open            # 2: the first rule
peer 203.0.113.1 > tcp 203.0.113.10 22 = closed       # 3: a flow with an allow ends in deny
peer 10.1.1.1 > tcp 203.0.113.10 8080 = open          # 2: the second rule; 7: the port that the client dials
peer 203.0.113.1 > tcp 203.0.113.10 8080 = closed     # 3
peer 10.1.1.1 > tcp 203.0.113.10 8443 = closed        # 3
peer 10.1.1.1 > tcp 203.0.113.10 8000 = closed        # 3
peer 10.1.1.1 > tcp 203.0.113.10 5432 = closed        # 3
peer 10.1.1.1 > udp 203.0.113.10 5353 = closed        # 3
peer 10.1.1.1 > tcp 203.0.113.10 8888 = closed        # 4: a container on the host's network is the host
peer 10.1.1.1 > tcp 172.17.0.2 80 = closed            # 7: allow never opens the container's own address
peer 10.1.1.1 > tcp 172.17.0.2 6666 = closed          # 7
peer 2001:db8::1 > tcp 2001:db8::10 22 = closed       # 10: the rule's address is IPv4; 3
peer 2001:db8::1 > tcp 2001:db8::10 8080 = closed     # 7: docker-proxy's road; 3
peer 2001:db8::1 > tcp 2001:db8::10 8086 = closed     # 7, 3
peer 2001:db8::1 > udp 2001:db8::10 5353 = closed     # 7, 3
peer 2001:db8::1 > tcp fd00:6::2 80 = closed          # 7, 3
host > tcp 127.0.0.1 8080 = left                      # 3: nobody speaks of the host's own connections
host > tcp 203.0.113.10 8080 = left
host > tcp ::1 8080 = left
host > tcp 172.17.0.2 443 = left
client > tcp 203.0.113.10 8080 = left                 # 3: nor of containers'
client > tcp 203.0.113.10 22 = left
client > tcp 203.0.113.10 5432 = left
client > tcp 172.18.0.2 5432 = left
neighbour > tcp 172.17.0.2 80 = left
dual > tcp 2001:db8::10 22 = left
",
    },
    Case {
        name: "one sentence alone",
        policy: "allow tcp 8080 from 10.1.1.1 to container via ens33",
        without_facts: true,
        expected: "
peer 10.1.1.1 > tcp 203.0.113.10 8080 = open          # 2
peer 203.0.113.1 > tcp 203.0.113.10 8080 = closed     # 3
peer 203.0.113.1 > tcp 203.0.113.10 5432 = closed     # 3: the rest of containers via ens33 is closed
peer 10.1.1.1 > tcp 172.17.0.2 80 = closed            # 7
peer 2001:db8::1 > tcp 2001:db8::10 8080 = closed     # 7: by docker-proxy, too; 10: the rule's address is IPv4
peer 2001:db8::1 > tcp fd00:6::2 80 = closed          # 7
peer 203.0.113.1 > tcp 203.0.113.10 22 = left         # 3: nobody speaks of the host
peer 2001:db8::1 > tcp 2001:db8::10 22 = left
host > tcp 2001:db8::10 8080 = left
client > tcp 203.0.113.10 8080 = left
",
    },
    Case {
        name: "one sentence alone, other ports by docker-proxy",
        policy: "allow tcp 8080 from 10.1.1.1 to container via ens33",
        without_facts: false,
        expected: "
peer 2001:db8::1 > tcp 2001:db8::10 5432 = closed     # 7, 3
peer 2001:db8::1 > tcp 2001:db8::10 8086 = closed
peer 2001:db8::1 > udp 2001:db8::10 5353 = closed
peer 2001:db8::1 > tcp 2001:db8::10 8888 = left       # 4
",
    },
    Case {
        name: "a deny alone",
        policy: "use docker
deny tcp 5432 from not 10.1.1.1 to container",
        without_facts: true,
        expected: "
peer 10.1.1.1 > tcp 203.0.113.10 5432 = open
peer 203.0.113.1 > tcp 203.0.113.10 5432 = closed     # 2
peer 2001:db8::1 > tcp 2001:db8::10 5432 = closed     # 4: `not` is the rest of the world; 7: by docker-proxy
peer 203.0.113.1 > tcp 203.0.113.10 8080 = open       # 3: without an allow no default
peer 2001:db8::1 > tcp 2001:db8::10 8080 = left
peer 203.0.113.1 > tcp 203.0.113.10 22 = open
client > tcp 203.0.113.10 5432 = left
",
    },
    Case {
        name: "a deny in front of an allow",
        policy: "use docker
allow ssh from 10.1.1.1 to host
deny tcp 8080 from { 203.0.113.1, 2001:db8::1 } to container
allow tcp 8080 from world to container",
        without_facts: true,
        expected: "
peer 10.1.1.1 > tcp 203.0.113.10 8080 = open          # 2: the second rule about containers
peer 203.0.113.1 > tcp 203.0.113.10 8080 = closed     # 2: the first
peer 2001:db8::1 > tcp 2001:db8::10 8080 = closed     # 2, 7: the first, by docker-proxy
peer 2001:db8:1::1 > tcp 2001:db8::10 8080 = left     # 2, 7: the second, by docker-proxy
peer 2001:db8:1::1 > tcp 2001:db8::10 5432 = closed   # 3
",
    },
    Case {
        name: "default deny",
        policy: "use docker
default deny
allow ssh from 10.1.1.1 to host
allow { tcp 8000, tcp 8080 } from { 10.1.1.1, 2001:db8::1 } to container",
        without_facts: true,
        expected: "
peer 10.1.1.1 > tcp 203.0.113.10 22 = open            # 2
peer 10.1.1.1 > tcp 203.0.113.10 8080 = open          # 2
peer 10.1.1.1 > tcp 203.0.113.10 8000 = open          # 7: 6666 inside
peer 203.0.113.1 > tcp 203.0.113.10 8000 = closed     # 3
peer 10.1.1.1 > tcp 203.0.113.10 81 = closed          # 3
peer 10.1.1.1 > tcp 172.17.0.2 80 = closed            # 7
peer 2001:db8::1 > tcp 2001:db8::10 8080 = left       # 7: by docker-proxy; the road does not exist without it
peer 2001:db8::1 > tcp 2001:db8::10 22 = closed       # 3
peer 2001:db8:1::1 > tcp 2001:db8::10 8080 = closed   # 3
peer 2001:db8::1 > tcp 2001:db8::10 5432 = closed     # 3
peer 2001:db8::1 > tcp fd00:6::2 80 = closed          # 7
host > tcp 127.0.0.1 8080 = left                      # 3: from outside only
client > tcp 203.0.113.10 8080 = left
",
    },
    Case {
        name: "from any to container",
        policy: "use docker
allow tcp 8080 from any to container",
        without_facts: false,
        expected: "
peer 203.0.113.1 > tcp 203.0.113.10 8080 = open       # 2, 5
peer 203.0.113.1 > tcp 203.0.113.10 5432 = closed     # 3
peer 2001:db8::1 > tcp 2001:db8::10 8080 = left       # 7: every road
peer 2001:db8::1 > tcp 2001:db8::10 5432 = closed     # 3, 7
host > tcp 127.0.0.1 8080 = left                      # 5: anyone, the host too
host > tcp 203.0.113.10 8080 = left
host > tcp 203.0.113.10 5432 = closed                 # 3
host > tcp ::1 8080 = left
host > tcp 172.17.0.2 443 = left                      # 3: its own address, and everyone was meant
client > tcp 203.0.113.10 8080 = left                 # 5: containers, too
client > tcp 172.18.0.1 8080 = left
client > tcp 203.0.113.10 5432 = closed               # 3
client > tcp 172.18.0.2 5432 = left                   # 3: its own address, and everyone was meant
neighbour > tcp 203.0.113.10 8080 = left
client > tcp 203.0.113.10 22 = left                   # 3: nobody speaks of the host
",
    },
    Case {
        name: "containers ask the host",
        policy: "use docker
allow ssh from container to host
allow tcp 8080 from container to container",
        without_facts: true,
        expected: "
client > tcp 203.0.113.10 22 = open                   # 2
dual > tcp 2001:db8::10 22 = open                     # 10
client > tcp 203.0.113.10 9100 = closed               # 3
client > tcp 203.0.113.10 8080 = left                 # 2: by docker-proxy
neighbour > tcp 203.0.113.10 8080 = left
client > tcp 172.18.0.2 5432 = left                   # 3: from a container, its own address is a flow of its own
peer 203.0.113.1 > tcp 203.0.113.10 8080 = open       # 3: nobody speaks of outside
peer 203.0.113.1 > tcp 203.0.113.10 22 = open
",
    },
    Case {
        name: "one container by name",
        policy: "use docker
allow tcp 5432 from 10.1.1.1 to container db
deny to container db
allow tcp 8080 to container web via ens33",
        without_facts: false,
        expected: "
peer 10.1.1.1 > tcp 203.0.113.10 5432 = open          # 2
peer 203.0.113.1 > tcp 203.0.113.10 5432 = closed     # 2
peer 10.1.1.1 > tcp 203.0.113.10 81 = closed          # 2: every port of db
peer 2001:db8::1 > tcp 2001:db8::10 5432 = closed     # 7
peer 203.0.113.1 > tcp 203.0.113.10 8080 = open       # 2
peer 2001:db8::1 > tcp 2001:db8::10 8080 = left       # 7: by docker-proxy
peer 203.0.113.1 > tcp 203.0.113.10 8443 = closed     # 3
peer 203.0.113.1 > tcp 203.0.113.10 22 = open         # 3: nobody speaks of the host
",
    },
];

pub fn expectations(text: &str) -> Vec<(Dial, Expected)> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default()).filter(|line| line.contains('='));
    lines
        .map(|line| {
            let (dial, word) = line.rsplit_once('=').expect("a line has `=`");
            let expected = match word.trim() {
                "open" => Expected::Open,
                "closed" => Expected::Closed,
                "left" => Expected::Left,
                other => panic!("`{other}` is no verdict"),
            };
            (Dial::parse(dial), expected)
        })
        .collect()
}

/// Compares; gives a line for every disagreement.
pub fn disagreements<'d>(
    title: &str,
    expected: &'d [(Dial, Expected)],
    without: &Answers,
    with: &Answers,
) -> Vec<(&'d Dial, String)> {
    let mut faults = Vec::new();
    for (dial, expected) in expected {
        let (before, now) = (&without[dial], &with[dial]);
        let right = match expected {
            Expected::Open => before.is_some() && before == now,
            Expected::Closed => now.is_none(),
            Expected::Left => before == now,
        };
        if !right {
            let text =
                format!("{title}: {dial:?} is {expected:?}, but answers {now:?} (without the policy {before:?})");
            faults.push((dial, text));
        }
    }
    faults
}

/// A policy's project, with what is known of the host or without.
pub fn project(daemon: &Daemon, policy: &str, with_facts: bool) -> Project {
    let mut project = vec![(crate::fixture::POLICY.to_owned(), policy.to_owned())];
    if with_facts {
        project.push(("fwc.facts.json".to_owned(), site::facts(daemon, &BTreeMap::new()).to_string()));
    }
    project
}

/// Every policy, by both targets, with and without facts.
pub fn verdicts(daemon: &Daemon) -> Vec<String> {
    let dials: Vec<Dial> = {
        let all = CASES.iter().flat_map(|case| expectations(case.expected)).map(|(dial, _)| dial);
        let unique: std::collections::BTreeSet<Dial> = all.collect();
        unique.into_iter().collect()
    };
    let without = answers(daemon, &dials);
    let mut faults = Vec::new();
    let (mut count, mut closed) = (0, 0);
    for case in &CASES {
        let expected = expectations(case.expected);
        let dials: Vec<Dial> = expected.iter().map(|(dial, _)| dial.clone()).collect();
        for nft in [false, true] {
            for with_facts in [true, false] {
                if !with_facts && !case.without_facts {
                    continue;
                }
                let target = if nft { Target::Nft } else { Target::Iptables };
                let built = build(&project(daemon, case.policy, with_facts), target)
                    .unwrap_or_else(|error| panic!("{}: {error}", case.policy));
                built.load(daemon).unwrap_or_else(|error| panic!("{}: {error}", case.policy));
                let with = answers(daemon, &dials);
                built.unload(daemon).unwrap_or_else(|error| panic!("{}: {error}", case.policy));
                let target = if nft { "nft" } else { "iptables" };
                let known = if with_facts { "facts" } else { "no facts" };
                let title = format!("{}, {target}, {known}", case.name);
                let found = disagreements(&title, &expected, &without, &with);
                // One text cannot be right for every host on a road by docker-proxy, and the build has said so.
                let (announced, wrong): (Vec<_>, Vec<_>) =
                    found.into_iter().partition(|(dial, _)| built.warned() && !with_facts && by_docker_proxy(dial));
                for (_, one) in &announced {
                    println!("announced: {one}");
                }
                faults.extend(wrong.into_iter().map(|(_, one)| one));
                count += expected.len();
                closed += expected
                    .iter()
                    .filter(|(dial, expected)| *expected == Expected::Closed && without[dial].is_some())
                    .count();
            }
        }
    }
    println!(
        "{} {}: {count} connections, {closed} that only the policy closes, {} disagreements",
        daemon.setup.name,
        daemon.version,
        faults.len()
    );
    faults
}
