//! What comes after a connection's first packet: answers, and what the client sends then; connections that are older than the
//! policy; and segments that belong to no connection at all.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::oracle::{Entry, Oracle, Outcome, Probe, Seen};
use super::packet::{ACK, Payload};
use super::traffic::Case;
use crate::interpreter::{Policy, State, Verdict};

/// Strays that are judged together.
const STRAYS: usize = 60;

/// Something to try beyond first packets.
pub enum FollowUp {
    /// The case's packet is let through, to the host or elsewhere; the answer to it finds back, and so does what the client
    /// sends then.
    Conversation(usize),
    /// Segments out of nowhere, which are dropped wherever the policy closes what it does not name.
    Strays(Vec<Probe>),
    /// The host reaches itself.
    Loopback,
}

impl FollowUp {
    /// How many packets it takes.
    pub fn packets(&self) -> usize {
        match self {
            Self::Conversation(_) => 3,
            Self::Strays(strays) => strays.len(),
            Self::Loopback => 2,
        }
    }

    /// Tries it, and says what went wrong.
    pub fn faults(&self, oracle: &mut Oracle<'_>, cases: &[Case]) -> Vec<String> {
        match self {
            Self::Conversation(at) => converse(oracle, &cases[*at].probe).into_iter().collect(),
            Self::Strays(strays) => {
                let judged = strays.iter().zip(oracle.judge(strays));
                judged
                    .filter(|(_, outcome)| outcome.passed())
                    .map(|(stray, outcome)| format!("{} belongs to no connection and was {outcome:?}", stray.packet))
                    .collect()
            }
            Self::Loopback if loopback_works() => Vec::new(),
            Self::Loopback => vec!["the host does not reach itself by its loopback".to_owned()],
        }
    }
}

/// What there is to try, up to `each` times on each road.
pub fn follow_ups(policy: &Policy, cases: &[Case], outcomes: &[Outcome], each: usize) -> Vec<FollowUp> {
    let mut strays = Vec::new();
    let mut all = vec![FollowUp::Loopback];
    let mut roads = Roads::default();
    for (at, (case, outcome)) in cases.iter().zip(outcomes).enumerate() {
        if case.answer.verdict == Verdict::Varies || !roads.take(case, "", each) {
            continue;
        }
        if outcome.passed() && can_answer(&case.probe) && !policy.is_cut_early(&case.attempt) {
            all.push(FollowUp::Conversation(at));
        }
        if let Payload::Tcp { source, destination, .. } = case.probe.packet.payload
            && drops_strays(policy, case)
        {
            let mut probe = case.probe;
            probe.packet.payload = Payload::Tcp { source, destination, flags: ACK };
            strays.push(probe);
        }
    }
    all.extend(strays.chunks(STRAYS).map(|strays| FollowUp::Strays(strays.to_vec())));
    all
}

/// Whether the policy drops what belongs to no connection and goes the case's way.
fn drops_strays(policy: &Policy, case: &Case) -> bool {
    let mut stray = case.attempt.clone();
    stray.state = State::Invalid;
    policy.answer(&stray).verdict == Verdict::Deny
}

/// The cases of connections that can have been open before the policy was loaded, which refuses new ones of their kind: up to
/// `each` on each road. `alone` is what the platform's own rules do to them.
pub fn older(policy: &Policy, cases: &[Case], alone: &[Outcome], each: usize) -> Vec<usize> {
    let mut roads = Roads::default();
    let refused = |case: &Case| matches!(case.answer.verdict, Verdict::Deny | Verdict::Reject);
    let numbered = cases.iter().zip(alone).enumerate();
    numbered
        .filter(|(_, (case, alone))| {
            let has_ports = matches!(case.probe.packet.payload, Payload::Tcp { .. } | Payload::Udp { .. });
            let road = if matches!(alone, Outcome::Left { .. }) { "through" } else { "to the host" };
            let opens = alone.passed() && refused(case) && !policy.is_cut_early(&case.attempt);
            opens && has_ports && can_answer(&case.probe) && roads.take(case, road, each)
        })
        .map(|(at, _)| at)
        .collect()
}

/// Opens connections where nothing but the platform judges them, loads the policy, and says which of them are cut.
pub fn outlive(
    oracle: &mut Oracle<'_>,
    cases: &[Case],
    older: &[usize],
    unload: impl FnOnce(&Oracle<'_>),
    load: impl FnOnce(&Oracle<'_>),
) -> Vec<String> {
    unload(oracle);
    oracle.forget();
    let mut later = Vec::new();
    for &at in older {
        let first = &cases[at].probe;
        let (opened, seen) = oracle.open(first);
        let answer = answer(first, opened, seen);
        oracle.carry_on(&[answer]);
        later.extend([next(first), answer]);
    }
    load(oracle);
    let outcomes = oracle.carry_on(&later);
    let cut = later.iter().zip(outcomes).filter(|(_, outcome)| !outcome.passed());
    cut.map(|(probe, outcome)| format!("{} is older than the policy and was {outcome:?}", probe.packet)).collect()
}

/// How often each road was taken: a pair of classes, a rule, a protocol, a family, the cards.
#[derive(Default)]
struct Roads(BTreeMap<String, usize>);

impl Roads {
    fn take(&mut self, case: &Case, more: &str, each: usize) -> bool {
        let attempt = &case.attempt;
        let road = format!(
            "{:?} {:?} {:?} {} {} {} {more}",
            attempt.from.class,
            attempt.to.class,
            case.answer.rule,
            case.probe.packet.protocol(),
            attempt.dialled.is_ipv4(),
            attempt.direct
        );
        let count = self.0.entry(road).or_default();
        *count += 1;
        *count <= each
    }
}

/// Whether the other side has an answer. To a link-local address the host cannot send without naming the link.
fn can_answer(probe: &Probe) -> bool {
    let link_local = matches!(probe.packet.source, IpAddr::V6(source) if source.segments()[0] == 0xfe80);
    let known =
        matches!(probe.packet.payload, Payload::Tcp { .. } | Payload::Udp { .. } | Payload::Icmp { kind: 8 | 128, .. });
    known && !link_local
}

/// A whole connection: the first packet, its answer, what follows, and an ICMP error from each side about what it was sent. Says what
/// did not get through.
pub fn converse(oracle: &mut Oracle<'_>, first: &Probe) -> Option<String> {
    let mut sent = Vec::new();
    let (_, outcomes) = oracle.converse(first, |opened, seen| {
        let answer = answer(first, opened, seen);
        sent.push(("the answer to", answer));
        if matches!(first.packet.payload, Payload::Tcp { .. } | Payload::Udp { .. }) {
            sent.push(("what follows", next(first)));
            sent.push(("the other side's error about", Probe { packet: answer.packet.refusal(), ..answer }));
            sent.push(("the opener's error about the answer to", Probe { packet: first.packet.refusal(), ..*first }));
        }
        sent.iter().map(|(_, probe)| *probe).collect()
    });
    let lost = outcomes.iter().position(|outcome| !outcome.passed())?;
    Some(format!("{} {} was {:?}", sent[lost].0, first.packet, outcomes[lost]))
}

/// The answer to a packet: from where it came out, to where it seemed to come from; from the host, if it did not come out.
fn answer(first: &Probe, opened: Outcome, seen: Seen) -> Probe {
    let mut packet = first.packet.reply();
    let Outcome::Left { card, destination, port } = opened else {
        return Probe { entry: Entry::Host, packet, mac: None };
    };
    packet.source = destination;
    if let Some((client, client_port)) = seen {
        packet.destination = client;
        if let (
            Payload::Tcp { source, destination, .. } | Payload::Udp { source, destination },
            Some(port),
            Some(client),
        ) = (&mut packet.payload, port, client_port)
        {
            (*source, *destination) = (port, client);
        }
    }
    Probe { entry: Entry::Card(card), packet, mac: None }
}

/// What the client sends when it was answered.
fn next(first: &Probe) -> Probe {
    let mut probe = *first;
    if let Payload::Tcp { flags, .. } = &mut probe.packet.payload {
        *flags = ACK;
    }
    probe
}

/// Whether a datagram that the host sends to itself arrives, in both families.
fn loopback_works() -> bool {
    ["127.0.0.1:0", "[::1]:0"].iter().all(|address| {
        let socket = std::net::UdpSocket::bind(address).expect("the loopback is up");
        socket.set_read_timeout(Some(std::time::Duration::from_millis(100))).expect("a time-out can be set");
        let own = socket.local_addr().expect("it has an address");
        socket.send_to(b"fwc", own).is_ok() && socket.recv(&mut [0; 8]).is_ok()
    })
}
