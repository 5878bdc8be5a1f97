//! The simulator against the kernel, on rule sets made at random: both are asked about packets that come to every rule, and about
//! their neighbours, and have to say the same. The simulator knows the rules from what iptables lists after the load, or from the file
//! that nft loaded: nft 1.0.6 leaves `meta nfproto ipv4` out of some rules that it lists.
//!
//! `FWC_PACKETS=1000000 cargo test kernel::simulated` sends so many packets in place of those of an ordinary run; `FWC_FROM=5000`
//! begins with the rule set of that number. `FWC_LANES=4` goes over so many rule sets of each program at a time: making and letting go of
//! namespaces is mostly waiting.

mod rules;
mod witness;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;

use fwc::emit::{Context, Target, emit};
use fwc::host::{Host, load as load_host};
use fwc::net::{Family, Mac, Protocol};
use fwc::netfilter::Ruleset;
use fwc::packet::Field;
use fwc::program::Place;
use fwc::project::{MemoryFileSystem, Options, Root};
use fwc::simulate::{Outcome as Told, Question, Stage, Trace, trace};
use fwc::verify::verify;

use super::emitted::{Backend, Files, load};
use super::namespace::{HostPlan, Namespace, at_once, inside, side_by_side};
use super::oracle::{Entry, Oracle, Outcome, Probe, Seen};
use super::packet::{ACK, Packet, Payload};
use rules::{crowded, ruleset};
use witness::{FRESH, mac, state, witnesses};

const CARDS: &str = "ens33 203.0.113.10/24 2001:db8::10/64
    docker0 172.17.0.1/16 fd00:17::1/64
    br-app 172.18.0.1/16 fd00:18::1/64
    eth1 192.168.2.1/24 fd00:2::1/64";

/// Packets of an ordinary run, in all.
const PACKETS: usize = 100_000;
/// Connections that are carried on, of each rule set.
const CONNECTIONS: usize = 40;
/// Faults of one program after which it is enough.
const ENOUGH: usize = 20;

/// What came of the rule sets of one program.
#[derive(Debug, Default)]
struct Tally {
    rulesets: usize,
    /// Rule sets that the back end has no words for.
    refused: usize,
    /// Rule sets whose files were proved to mean the same.
    proved: usize,
    packets: usize,
    /// Packets of connections that are open.
    later: usize,
    /// Packets of which the simulator does not know what becomes.
    open: usize,
    rules: usize,
    /// Rules that a packet came to and matched.
    matched: usize,
    /// Rules that decided what became of a packet.
    decided: usize,
    outcomes: [usize; 4],
    faults: Vec<String>,
}

impl Tally {
    /// What several come to together.
    fn of(all: &[Self]) -> Self {
        let sum = |count: fn(&Self) -> usize| all.iter().map(count).sum();
        Self {
            rulesets: sum(|one| one.rulesets),
            refused: sum(|one| one.refused),
            proved: sum(|one| one.proved),
            packets: sum(|one| one.packets),
            later: sum(|one| one.later),
            open: sum(|one| one.open),
            rules: sum(|one| one.rules),
            matched: sum(|one| one.matched),
            decided: sum(|one| one.decided),
            outcomes: std::array::from_fn(|at| all.iter().map(|one| one.outcomes[at]).sum()),
            faults: all.iter().flat_map(|one| one.faults.clone()).collect(),
        }
    }
}

fn variable(name: &str, usual: usize) -> usize {
    std::env::var(name).map_or(usual, |text| text.parse().expect("a number"))
}

#[test]
fn the_simulator_says_what_the_kernel_does() {
    let (wanted, lanes) = (variable("FWC_PACKETS", PACKETS), variable("FWC_LANES", 1).max(1));
    let share = wanted.div_ceil(Backend::ALL.len() * lanes);
    let start = std::time::Instant::now();
    let all: Vec<(Backend, usize)> =
        Backend::ALL.iter().flat_map(|&backend| (0..lanes).map(move |lane| (backend, lane))).collect();
    let tallies = at_once(all.len(), &all, |&(backend, lane)| {
        let plan = HostPlan::parse(CARDS);
        let mut tally = Tally::default();
        let mut number = variable("FWC_FROM", 0) + lane;
        while tally.packets + tally.later < share && tally.faults.len() < ENOUGH {
            let name = format!("the_simulator_says_what_the_kernel_does ({backend:?})");
            let seed = u64::try_from(number + 1).expect("small");
            let own = format!("rule set {number}");
            inside(&name, &plan, |namespace| one(namespace, backend, &own, (&ruleset(seed), seed), &mut tally))?;
            number += lanes;
        }
        Some(tally)
    });
    let Some(tallies) = tallies.into_iter().collect::<Option<Vec<Tally>>>() else { return };
    let (mut total, mut faults) = (0, 0);
    for (backend, tallies) in Backend::ALL.iter().zip(tallies.chunks(lanes)) {
        let tally = Tally::of(tallies);
        let [delivered, left, rejected, dropped] = tally.outcomes;
        total += tally.packets + tally.later;
        faults += tally.faults.len();
        println!(
            "{backend:?}: {} rule sets ({} refused, {} proved as emitted), {} first packets, {} later ones: {delivered} delivered, {left} routed, {rejected} \
             rejected, {dropped} dropped, {} not known; of {} rules {} matched a packet, {} decided one; {} wrong",
            tally.rulesets,
            tally.refused,
            tally.proved,
            tally.packets,
            tally.later,
            tally.open,
            tally.rules,
            tally.matched,
            tally.decided,
            tally.faults.len()
        );
        for fault in &tally.faults {
            println!("{fault}");
        }
        let sent = tally.packets + tally.later;
        if tally.packets < 5_000 {
            continue;
        }
        assert!(tally.outcomes.iter().all(|count| count * 50 > sent), "{backend:?}: an outcome hardly comes up");
        // A rule of the file is often one address or card of a rule that was made, and many stand behind what takes everything.
        assert!(
            tally.matched * 5 > tally.rules,
            "{backend:?}: {} of {} rules saw a packet",
            tally.matched,
            tally.rules
        );
        assert!(tally.proved * 2 > tally.rulesets, "{backend:?}: {} proved", tally.proved);
        assert!(tally.open * 50 < sent && tally.refused * 20 < tally.rulesets, "{backend:?}");
    }
    println!("{total} packets, {faults} wrong, {:.1} s", start.elapsed().as_secs_f64());
    assert_eq!(faults, 0, "the kernel and the simulator disagree");
    assert!(total >= wanted, "only {total} packets were sent");
}

#[test]
fn negated_lists_with_more_members_than_a_line_has_room_for_mean_the_same() {
    let name = "negated_lists_with_more_members_than_a_line_has_room_for_mean_the_same";
    let all: Vec<(Backend, Ruleset)> =
        Backend::ALL.iter().flat_map(|&backend| crowded().into_iter().map(move |one| (backend, one))).collect();
    let tallies = side_by_side(&all, |(backend, ruleset)| {
        let (plan, mut tally) = (HostPlan::parse(CARDS), Tally::default());
        let lists = |namespace: &mut Namespace| one(namespace, *backend, name, (ruleset, 1), &mut tally);
        inside(&format!("{name} ({backend:?})"), &plan, lists).map(|()| tally)
    });
    for ((backend, ruleset), tally) in all.iter().zip(tallies) {
        let Some(tally) = tally else { return };
        let shown = || format!("{backend:?}: {tally:#?}\n{}", crate::prove::lists::shown(ruleset));
        assert!(tally.faults.is_empty() && tally.proved == 1, "{}", shown());
        // In both chains packets are dropped, go around, and are let through.
        assert!(tally.packets > 50 && tally.decided >= 4 && tally.outcomes.iter().sum::<usize>() > 50, "{}", shown());
        assert!(tally.outcomes[3] > 0 && tally.outcomes[0] + tally.outcomes[1] > 0, "{}", shown());
    }
}

/// The files of a rule set, folded and divided as in a build, and whether they were proved to mean the same; nothing where the back end
/// has no words for it.
fn files(ruleset: &Ruleset, target: Target) -> Option<(Files, bool)> {
    let mut folded = ruleset.clone();
    fwc::optimise::optimise(&mut folded, target, &[]);
    let context = Context { target, stem: "site", sources: &[], header: Vec::new(), partial: false };
    let written = emit(&folded, &context).ok()?;
    let files: Vec<(String, String)> = written.into_iter().map(|file| (file.name, file.text)).collect();
    let open = verify(ruleset, target, &files)
        .unwrap_or_else(|difference| panic!("{}\n{}\n{files:#?}", difference.0, crate::prove::lists::shown(ruleset)));
    Some((files.into_iter().collect(), open.is_empty()))
}

/// The host with the rules that were loaded.
fn listed(namespace: &Namespace, plan: &HostPlan, backend: Backend, files: &Files) -> Host {
    let run = |program: &str, arguments: &[&str]| namespace.run(program, arguments, "").expect("rules can be listed");
    let variant = backend.variant();
    let texts = match backend {
        Backend::Nft => vec![("site.nft", files["site.nft"].clone())],
        _ => vec![
            ("ipset.save", run("ipset", &["save"])),
            ("iptables.save", run(&format!("iptables-{variant}-save"), &[])),
            ("ip6tables.save", run(&format!("ip6tables-{variant}-save"), &[])),
        ],
    };
    let roots = texts.into_iter().filter(|(_, text)| !text.trim().is_empty());
    let roots = roots.map(|(name, text)| Root { path: PathBuf::from(name), bytes: text.into_bytes() }).collect();
    let mut host = load_host(&MemoryFileSystem::default(), roots, Vec::new(), Options::default())
        .expect("what is listed can be read");
    assert_eq!(host.notes, [""; 0], "what is listed was not understood");
    host.cards.links.clear();
    host.cards.default_route = Some(plan.default_route.clone());
    for card in &plan.cards {
        card.addresses.iter().for_each(|address| host.cards.add(&card.name, *address));
    }
    host.families = Family::BOTH.to_vec();
    host
}

/// One rule set: packets to each of its rules.
fn one(namespace: &mut Namespace, backend: Backend, name: &str, (ruleset, seed): (&Ruleset, u64), tally: &mut Tally) {
    let target = if backend == Backend::Nft { Target::Nft } else { Target::Iptables };
    tally.rulesets += 1;
    let Some((files, proved)) = files(ruleset, target) else {
        tally.refused += 1;
        return;
    };
    tally.proved += usize::from(proved);
    if let Err(error) = load(namespace, &files, backend) {
        tally.faults.push(format!("{name}: {backend:?}: {error}\n{files:#?}"));
        return;
    }
    let plan = namespace.plan.clone();
    let host = listed(namespace, &plan, backend, &files);
    let probes = witnesses(ruleset, &plan, seed);
    let mut oracle = Oracle::new(namespace);
    let alone = ports_of_one(&probes);
    let outcomes = oracle.judge_each(&probes, |probe| is_told_apart(probe, &alone));
    let mut course = Course {
        host: &host,
        plan: &plan,
        tally,
        places: BTreeSet::new(),
        deciders: BTreeSet::new(),
        faults: Vec::new(),
    };
    let mut carried = Vec::new();
    for (probe, (outcome, seen)) in probes.iter().zip(&outcomes) {
        course.tally.packets += 1;
        let way = course.compare(&question(probe, &plan, state(&probe.packet), false), probe, *outcome, *seen);
        if let Some(way) = way
            && outcome.passed()
            && is_told_apart(probe, &alone)
            && is_plain(&way, probe)
            && carried.len() < CONNECTIONS
        {
            carried.push((*probe, *outcome));
        }
    }
    carry_on(&mut oracle, &carried, &mut course);
    let Course { places, deciders, faults, .. } = course;
    let own = host.ruleset.tables.iter().flat_map(|table| &table.chains).filter(|chain| chain.name.starts_with("fwc-"));
    tally.rules += own.map(|chain| chain.rules.len()).sum::<usize>();
    tally.matched += places.len();
    tally.decided += deciders.len();
    let text =
        || files.iter().filter(|(name, _)| !name.contains(".empty.")).map(|(name, text)| format!("{name}\n{text}"));
    if let (Some(first), true) = (faults.first(), tally.faults.is_empty()) {
        println!("{name}, {backend:?}: {first}\n{}", text().collect::<String>());
    }
    tally.faults.extend(faults.into_iter().map(|fault| format!("{name}: {fault}")));
}

/// Answers to what got through, and what follows those.
fn carry_on(oracle: &mut Oracle<'_>, carried: &[(Probe, Outcome)], course: &mut Course<'_>) {
    let mut answers = Vec::new();
    oracle.forget();
    for (probe, outcome) in carried {
        let (again, _) = oracle.open(probe);
        let entry = match again {
            Outcome::Left { card, .. } => Entry::Card(card),
            _ => Entry::Host,
        };
        // To the host it is really delivered this time, of which nothing is seen.
        if again == *outcome || *outcome == Outcome::Delivered {
            answers.push((*probe, Probe { entry, packet: probe.packet.reply(), mac: None }));
        }
    }
    let replies: Vec<Probe> = answers.iter().map(|(_, reply)| *reply).collect();
    oracle.forget_deliveries();
    let outcomes = oracle.carry_on(&replies);
    let mut third = Vec::new();
    for ((first, reply), outcome) in answers.iter().zip(outcomes) {
        course.tally.later += 1;
        let way = course.compare(&question(reply, course.plan, 1, true), reply, outcome, None);
        // An answer that was left out of tracking does not make the connection an established one.
        let tracked = way.is_some_and(|way| way.packet.get(Field::STATE) == Some(1));
        if outcome.passed() && tracked {
            let mut packet = first.packet;
            if let Payload::Tcp { flags, .. } = &mut packet.payload {
                *flags = ACK;
            }
            third.push(Probe { packet, ..*first });
        }
    }
    oracle.forget_deliveries();
    let outcomes = oracle.carry_on(&third);
    for (probe, outcome) in third.iter().zip(outcomes) {
        course.tally.later += 1;
        course.compare(&question(probe, course.plan, 1, false), probe, outcome, None);
    }
}

/// Whether a packet got through as it came, as the first of a connection that is tracked.
fn is_plain(way: &Trace, probe: &Probe) -> bool {
    let untouched = [(Field::TRANSLATED, 0), (Field::SOURCE_TRANSLATED, 0), (Field::STATE, 0)];
    matches!(probe.packet.payload, Payload::Tcp { .. } | Payload::Udp { .. })
        && untouched.into_iter().all(|(field, value)| way.packet.get(field) == Some(value))
}

/// The source ports among those that are given out, each once, which no other packet has by chance, as the edge of a range.
fn ports_of_one(probes: &[Probe]) -> BTreeSet<u16> {
    let (mut once, mut more) = (BTreeSet::new(), BTreeSet::new());
    for port in probes.iter().filter_map(source_port).filter(|port| *port >= FRESH) {
        if !once.insert(port) {
            more.insert(port);
        }
    }
    &once - &more
}

fn source_port(probe: &Probe) -> Option<u16> {
    match probe.packet.payload {
        Payload::Tcp { source, .. } | Payload::Udp { source, .. } | Payload::Sctp { source, .. } => Some(source),
        _ => None,
    }
}

/// Whether no other packet can belong to the same connection, so that nothing need be forgotten before it.
fn is_told_apart(probe: &Probe, alone: &BTreeSet<u16>) -> bool {
    source_port(probe).is_some_and(|port| alone.contains(&port))
}

/// What the simulator is asked.
fn question(probe: &Probe, plan: &HostPlan, state: u8, reply: bool) -> Question {
    let Packet { source, destination, payload } = probe.packet;
    let (source_port, destination_port) = match payload {
        Payload::Tcp { source, destination, .. }
        | Payload::Udp { source, destination }
        | Payload::Sctp { source, destination } => (Some(source), Some(destination)),
        _ => (None, None),
    };
    let arrives = match probe.entry {
        Entry::Card(card) => Some(plan.cards[card].name.clone()),
        Entry::Host => None,
    };
    Question {
        family: Some(Family::of(source)),
        protocol: Some(Protocol(probe.packet.protocol())),
        icmp: if let Payload::Icmp { kind, code, .. } = payload { Some((kind, code)) } else { None },
        source: Some(source),
        source_port,
        destination: Some(destination),
        destination_port,
        from_host: arrives.is_none(),
        mac: arrives.is_some().then(|| Mac(mac(probe))),
        arrives,
        state,
        reply,
        flags: if let Payload::Tcp { flags, .. } = payload { Some(flags) } else { None },
        ..Question::default()
    }
}

/// The comparison on one host.
struct Course<'a> {
    host: &'a Host,
    plan: &'a HostPlan,
    tally: &'a mut Tally,
    places: BTreeSet<Place>,
    deciders: BTreeSet<Place>,
    faults: Vec<String>,
}

impl Course<'_> {
    /// Asks the simulator, and compares. Gives what it says, where that rests on nothing unknown.
    fn compare(&mut self, question: &Question, probe: &Probe, outcome: Outcome, seen: Seen) -> Option<Trace> {
        let way = trace(self.host, question).expect("everything is said");
        self.note(&way);
        self.tally.outcomes[match outcome {
            Outcome::Delivered => 0,
            Outcome::Left { .. } => 1,
            Outcome::Rejected => 2,
            Outcome::Dropped => 3,
        }] += 1;
        // Only connections that nothing translated are carried on. The simulator asks the rules about translation anew for each packet,
        // and a mark that depends on the state can make them answer otherwise than for the first.
        let translated =
            [Field::TRANSLATED, Field::SOURCE_TRANSLATED].iter().any(|field| way.packet.get(*field) == Some(1));
        if !way.doubts.is_empty() || question.state == 1 && translated {
            self.tally.open += 1;
            return None;
        }
        if !self.agree(&way, probe, outcome, seen) {
            self.faults.push(format!(
                "{} from {:?}, state {}: the kernel says {outcome:?} {seen:?}, the simulator {:?} {:?}\n  {:?}",
                probe.packet,
                question.arrives.as_deref().unwrap_or("host"),
                question.state,
                way.outcome,
                way.decided.and_then(|place| self.host.rule(place)?.origin).and_then(|at| self.host.text(at)),
                way.packet,
            ));
        }
        Some(way)
    }

    /// The rules that a packet matched and those that decided.
    fn note(&mut self, way: &Trace) {
        for stage in &way.stages {
            let Stage::Hook(stage) = stage else { continue };
            let chain = |place: Place| {
                let table = self.host.ruleset.tables.get(place.table as usize);
                table
                    .and_then(|table| table.chains.get(place.chain as usize))
                    .is_some_and(|chain| chain.name.starts_with("fwc-"))
            };
            let matched = stage.visits.iter().filter(|one| one.visit.matched == Some(true)).map(|one| one.visit.place);
            self.places.extend(matched.filter(|place| chain(*place)));
        }
        self.deciders.extend(way.decided);
    }

    fn agree(&self, way: &Trace, probe: &Probe, outcome: Outcome, seen: Seen) -> bool {
        match (&way.outcome, outcome) {
            (Told::Delivered, Outcome::Delivered)
            | (Told::Dropped, Outcome::Dropped)
            | (Told::Rejected(_), Outcome::Rejected) => true,
            (Told::Rejected(_), Outcome::Dropped) => !is_answerable(&probe.packet),
            (Told::Left(Some(name)), Outcome::Left { card, destination, port }) => {
                let said = |field: Field, value: u128| way.packet.get(field) == Some(value);
                self.plan.cards[card].name == *name
                    && said(Field::DESTINATION, number(destination))
                    && port.is_none_or(|port| said(Field::DESTINATION_PORT, u128::from(port)))
                    && seen.is_none_or(|(source, _)| said(Field::SOURCE, number(source)))
            }
            _ => false,
        }
    }
}

/// Whether the kernel answers when a packet is refused: not to errors, nor where it looks for the checksum of a protocol
/// that has none (nf_reject_verify_csum).
fn is_answerable(packet: &Packet) -> bool {
    match packet.payload {
        Payload::Icmp { kind, .. } => {
            if packet.source.is_ipv4() {
                kind != 3
            } else {
                kind >= 128
            }
        }
        Payload::Other(protocol) => [47, 50].contains(&protocol),
        _ => true,
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}
