//! The packet run: what the kernel does under the emitted rules is what the policy says, packet by packet.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;

use super::conversation::follow_ups;
use super::emitted::{Backend, Files, load};
use super::hosts::{HOSTS, HostCase};
use super::model::Model;
use super::namespace::{inside, side_by_side};
use super::oracle::{Oracle, Outcome, Probe};
use super::packet::Payload;
use super::program::{build_host, load_platform, open_forwarding};
use super::traffic::{Case, Grid, Random};
use crate::interpreter::{Class, Policy, Verdict, load as read_policy};

/// Packets for each host and program.
const PACKETS: usize = 1_500;
/// Packets for each rule, family and road.
const EACH: usize = 12;

/// A host, ready to be asked.
pub struct Subject {
    /// The host.
    pub model: Model,
    /// Its policy.
    pub policy: Policy,
}

impl Subject {
    /// Reads a host and its policy.
    pub fn new(case: &HostCase) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let model = Model::of(case);
        let policy = read_policy(&root.join(case.policy), &root.join("stdlib"), &model.plan.default_route);
        Self { model, policy }
    }
}

/// What the kernel does without the policy: with the platform's rules alone, and with forwarding between outsiders opened.
pub struct Baseline {
    /// The platform alone.
    pub alone: Vec<Outcome>,
    /// With forwarding opened.
    pub opened: Vec<Outcome>,
    known: bool,
    /// IPv6 of containers is refused in table mangle, which has no REJECT (FW0316).
    silent: bool,
}

impl Baseline {
    /// Asks the kernel. The platform's rules are loaded, the policy's files are not.
    pub fn of(oracle: &mut Oracle<'_>, model: &Model, backend: Backend, files: &Files, cases: &[Case]) -> Self {
        let probes: Vec<Probe> = cases.iter().map(|case| case.probe).collect();
        let alone = oracle.judge(&probes);
        // An accept in an nft table lets nothing through that other tables drop, but for what an attached rule accepts.
        let opens = backend != Backend::Nft || files.values().any(|text| text.contains("fwc-accepted -j ACCEPT"));
        let opened = if opens {
            open_forwarding(oracle.namespace, model, backend, true);
            let opened = oracle.judge(&probes);
            open_forwarding(oracle.namespace, model, backend, false);
            opened
        } else {
            alone.clone()
        };
        let silent = model.silent_ipv6 && backend != Backend::Nft;
        Self { alone, opened, known: model.known, silent }
    }

    /// What is wrong with the kernel's verdict on packet `at`, if anything.
    pub fn fault(&self, at: usize, case: &Case, policy: &Policy, outcome: Outcome) -> Option<String> {
        let container = [case.attempt.from.class, case.attempt.to.class].contains(&Class::Container);
        let without = if container { self.alone[at] } else { self.opened[at] };
        // A forward of the policy's own goes where nothing went before.
        let forwarded = policy.forwarded(&case.attempt).is_some() && case.attempt.to.class != Class::Host;
        // Without any rule of ours it goes on elsewhere: its ports are those of an earlier connection, whose translation it
        // follows, so that it is no first packet to the host.
        // Between two known ports that may also happen under the policy alone: one's answer looks like the other's question.
        let known_port = |port: Option<u16>| port.is_some_and(|port| port < 1024);
        let mirrored = known_port(case.attempt.source_port) && known_port(case.attempt.port);
        let left = |outcome: Outcome| matches!(outcome, Outcome::Left { .. });
        if case.attempt.to.class == Class::Host && (left(self.alone[at]) || mirrored && left(outcome)) {
            return None;
        }
        // Without facts, what comes in for a container by docker-proxy looks like what comes in for the host.
        if !self.known && case.attempt.to.class == Class::Container && self.alone[at] == Outcome::Delivered {
            return None;
        }
        if !self.known && case.attempt.to.class == Class::Host && outcome == Outcome::Delivered {
            let mut published = case.attempt.clone();
            published.to.class = Class::Container;
            if policy.answer(&published).verdict != Verdict::Deny {
                return None;
            }
        }
        let right = match case.answer.verdict {
            Verdict::Allow if forwarded => outcome.passed(),
            Verdict::Allow => outcome.passed() == without.passed(),
            Verdict::Deny => outcome == Outcome::Dropped || outcome == self.alone[at] && !outcome.passed(),
            // What cannot be answered is only dropped: errors, and what the platform drops before our rules see it.
            Verdict::Reject => {
                // Errors are never answered, nor is what the kernel takes for damaged: IGMP has no meaning in IPv6, and its
                // checksum is looked for there (nf_reject_verify_csum).
                let answerable = match case.probe.packet.payload {
                    Payload::Icmp { kind, .. } => [8, 13, 128].contains(&kind),
                    Payload::Other(protocol) => protocol != 2,
                    _ => true,
                };
                // Nor can the host answer on a link of which it has no address.
                let link_local =
                    matches!(case.probe.packet.source, IpAddr::V6(source) if source.segments()[0] == 0xfe80);
                let silent = self.silent && container && case.probe.packet.source.is_ipv6();
                let answerable = answerable && !link_local && !silent;
                outcome == Outcome::Rejected || (!without.passed() || !answerable) && !outcome.passed()
            }
            Verdict::Platform => outcome == self.alone[at],
            Verdict::Varies => true,
        };
        (!right).then(|| {
            let rule = case.answer.rule.map_or("no rule", |rule| policy.labels[rule].as_str());
            format!(
                "{} in by {:?} ({:?} to {:?}{}): the policy says {:?} ({rule}), the kernel {outcome:?}; without the policy {:?}, opened {:?}",
                case.probe.packet,
                case.attempt.from.card.as_deref().unwrap_or("host"),
                case.attempt.from.class,
                case.attempt.to.class,
                if case.attempt.direct { ", direct" } else { "" },
                case.answer.verdict,
                self.alone[at],
                self.opened[at],
            )
        })
    }
}

/// One host under one program: how many packets were sent, which rules decided, and what was wrong.
fn run(case: &HostCase, backend: Backend, files: &Files) -> Option<(usize, BTreeSet<usize>, Vec<String>)> {
    let subject = Subject::new(case);
    let name = format!("{} with {backend:?}", case.name);
    inside(&name, &subject.model.plan, |namespace| {
        load_platform(namespace, case, &subject.model, backend);
        let grid = Grid::new(&subject.model, &subject.policy);
        let seed = 0x5eed ^ case.name.len() as u64 ^ (backend as u64) << 8;
        let cases = grid.pick(&subject.model, &subject.policy, EACH, PACKETS, &mut Random::new(seed));
        let mut oracle = Oracle::new(namespace);
        let baseline = Baseline::of(&mut oracle, &subject.model, backend, files, &cases);
        load(oracle.namespace, files, backend).unwrap_or_else(|error| panic!("{}: {backend:?}: {error}", case.name));
        let probes: Vec<Probe> = cases.iter().map(|case| case.probe).collect();
        let outcomes = oracle.judge(&probes);
        let mut faults = Vec::new();
        let mut decided = BTreeSet::new();
        for (at, (packet, &outcome)) in cases.iter().zip(&outcomes).enumerate() {
            faults.extend(baseline.fault(at, packet, &subject.policy, outcome));
            decided.extend(packet.answer.rule);
        }
        let mut more = 0;
        for follow_up in follow_ups(&subject.policy, &cases, &outcomes, 4) {
            more += follow_up.packets();
            faults.extend(follow_up.faults(&mut oracle, &cases));
        }
        (cases.len() + more, decided, faults)
    })
}

#[test]
fn the_kernel_does_what_the_policy_says() {
    let mut total = 0;
    let mut failures = 0;
    let only = std::env::var("FWC_HOST").ok();
    let hosts = HOSTS.iter().filter(|case| only.as_deref().is_none_or(|only| only == case.name));
    let jobs: Vec<(&HostCase, Backend)> =
        hosts.flat_map(|case| case.backends.iter().map(move |&backend| (case, backend))).collect();
    let results = side_by_side(&jobs, |&(case, backend)| {
        build_host(case, backend).map(|files| (run(case, backend, &files), Subject::new(case).policy))
    });
    for ((case, backend), result) in jobs.iter().zip(results) {
        let (result, policy) = match result {
            Ok(result) => result,
            Err(error) => {
                println!("{} with {backend:?}: not built: {error}", case.name);
                failures += 1;
                continue;
            }
        };
        let Some((packets, decided, faults)) = result else { return };
        let rules = policy.rules.len() + policy.defaults.len();
        let own: BTreeSet<usize> = policy.rules.iter().chain(&policy.defaults).map(|rule| rule.id).collect();
        let silent: Vec<&str> = own.difference(&decided).map(|&rule| policy.labels[rule].as_str()).collect();
        println!(
            "{} with {backend:?}: {packets} packets, {} of {rules} rules decided at least one{}, {} wrong",
            case.name,
            own.intersection(&decided).count(),
            if silent.is_empty() { String::new() } else { format!(" (not {})", silent.join(", ")) },
            faults.len()
        );
        for fault in faults.iter().take(8) {
            println!("    {fault}");
        }
        total += packets;
        failures += faults.len();
    }
    println!("{total} packets, {failures} wrong");
    assert_eq!(failures, 0, "the kernel and the policy disagree");
    assert!(only.is_some() || total >= 20_000, "only {total} packets were sent");
}

/// A host whose policy is translated by hand below, once for each program.
const SMALL: HostCase = HostCase {
    name: "small",
    policy: "tests/data/hosts/small.fw",
    facts: "tests/data/hosts/docker-web.facts.json",
    truth: "tests/data/hosts/docker-web.facts.json",
    cards: "ens33 203.0.113.10/24 2001:db8::10/64
        docker0 172.17.0.1/16
        br-app 172.18.0.1/16",
    rulesets: &["docker-28.5/b-web"],
    replace: &[],
    backends: Backend::ALL,
};

const BY_HAND_V4: &str = "*filter
:fwc-input - [0:0]
:fwc-forward - [0:0]
-A fwc-input -i docker0 -j RETURN
-A fwc-input -i br-+ -j RETURN
-A fwc-input -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
-A fwc-input -p icmp -m icmp --icmp-type 3 -j ACCEPT
-A fwc-input -p icmp -m icmp --icmp-type 11 -j ACCEPT
-A fwc-input -p icmp -m icmp --icmp-type 12 -j ACCEPT
-A fwc-input -p igmp -j ACCEPT
-A fwc-input -i lo -j ACCEPT
-A fwc-input -m conntrack --ctstate INVALID -j DROP
-A fwc-input -i ens33 -p udp --sport 67 --dport 68 -j ACCEPT
-A fwc-input -s 198.51.100.0/24 -i ens33 -p tcp --dport 22 -j ACCEPT
-A fwc-input -i ens33 -p tcp --dport 113 -j REJECT --reject-with tcp-reset
-A fwc-input -j DROP
-A fwc-forward -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN
-A fwc-forward -i ens33 -o docker0 -m conntrack --ctstate INVALID -j DROP
-A fwc-forward -i ens33 -o br-+ -m conntrack --ctstate INVALID -j DROP
-A fwc-forward -i ens33 -o docker0 -p tcp -m conntrack --ctstate DNAT --ctorigdstport 8080 --ctdir ORIGINAL -j RETURN
-A fwc-forward -i ens33 -o br-+ -p tcp -m conntrack --ctstate DNAT --ctorigdstport 8080 --ctdir ORIGINAL -j RETURN
-A fwc-forward -i ens33 -o docker0 -j DROP
-A fwc-forward -i ens33 -o br-+ -j DROP
COMMIT
";

const BY_HAND_V6: &str = "*filter
:fwc-input - [0:0]
-A fwc-input -i docker0 -j RETURN
-A fwc-input -i br-+ -j RETURN
-A fwc-input -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
-A fwc-input -i lo -j ACCEPT
-A fwc-input -p ipv6-icmp -m icmp6 --icmpv6-type 135 -j ACCEPT
-A fwc-input -p ipv6-icmp -m icmp6 --icmpv6-type 136 -j ACCEPT
-A fwc-input -p ipv6-icmp -m icmp6 --icmpv6-type 130 -j ACCEPT
-A fwc-input -p ipv6-icmp -m icmp6 --icmpv6-type 131 -j ACCEPT
-A fwc-input -p ipv6-icmp -m icmp6 --icmpv6-type 132 -j ACCEPT
-A fwc-input -p ipv6-icmp -m icmp6 --icmpv6-type 143 -j ACCEPT
-A fwc-input -p ipv6-icmp -m icmp6 --icmpv6-type 133 -j ACCEPT
-A fwc-input -s fe80::/10 -p ipv6-icmp -m icmp6 --icmpv6-type 134 -j ACCEPT
-A fwc-input -p ipv6-icmp -m icmp6 --icmpv6-type 1 -j ACCEPT
-A fwc-input -p ipv6-icmp -m icmp6 --icmpv6-type 2 -j ACCEPT
-A fwc-input -p ipv6-icmp -m icmp6 --icmpv6-type 3 -j ACCEPT
-A fwc-input -p ipv6-icmp -m icmp6 --icmpv6-type 4 -j ACCEPT
-A fwc-input -m conntrack --ctstate INVALID -j DROP
-A fwc-input -s fe80::/10 -i ens33 -p udp --sport 547 --dport 546 -j ACCEPT
-A fwc-input -i ens33 -p tcp --dport 8080 -j ACCEPT
-A fwc-input -i ens33 -p tcp --dport 113 -m conntrack --ctstate NEW -j REJECT --reject-with tcp-reset
-A fwc-input -s 2001:db8:1::/48 -i ens33 -p tcp --dport 22 -j ACCEPT
-A fwc-input -j DROP
COMMIT
";

const BY_HAND_ATTACH: &str = "set -e
$IPTABLES -w -I INPUT -j fwc-input
$IPTABLES -w -I DOCKER-USER -j fwc-forward
$IP6TABLES -w -I INPUT -j fwc-input
";

#[test]
fn a_translation_by_hand_agrees_and_a_wrong_one_does_not() {
    for backend in [Backend::IptablesNft, Backend::IptablesLegacy] {
        let files = |v4: &str| {
            let texts = [("small.rules.v4", v4), ("small.rules.v6", BY_HAND_V6), ("small.attach", BY_HAND_ATTACH)];
            texts.map(|(name, text)| (name.to_owned(), text.to_owned())).into_iter().collect::<Files>()
        };
        let Some((packets, _, faults)) = run(&SMALL, backend, &files(BY_HAND_V4)) else { return };
        assert!(packets >= PACKETS, "only {packets} packets");
        assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults[..faults.len().min(12)].join("\n"));
        for (right, wrong) in [
            ("-s 198.51.100.0/24", "-s 198.51.100.0/25"),
            ("--dport 22 ", "--dport 22:23 "),
            ("--ctorigdstport 8080", "--ctorigdstport 7001"),
            ("REJECT --reject-with tcp-reset", "DROP"),
            ("-A fwc-input -j DROP\n", ""),
            ("-A fwc-input -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT\n", ""),
            ("-A fwc-input -m conntrack --ctstate INVALID -j DROP\n", ""),
        ] {
            assert!(BY_HAND_V4.contains(right), "{right}");
            let (_, _, faults) =
                run(&SMALL, backend, &files(&BY_HAND_V4.replace(right, wrong))).expect("it ran before");
            assert!(!faults.is_empty(), "{backend:?}: nothing noticed {wrong:?} for {right:?}");
        }
    }
}
