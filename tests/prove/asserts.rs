//! What is proved of asserts, against a second reading of the source: policies and asserts are made at random, and for each
//! connection of a small world the interpreter says what the policy does with it and whether the assert speaks of it.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use fwc::assertion::{Outcome, Proof};
use fwc::database::{self, Database};
use fwc::net::Family;
use fwc::project::{MemoryFileSystem, Options, Root};
use fwc::simulate::{Outcome as Gets, parse, trace};

use crate::interpreter::{Attempt, Class, Party, Policy, State, Verdict, load};
use crate::kernel::traffic::Random;

const NAMES: &str = "use docker
interface wan = ens33
interface vpn = wg0
set office = { 198.51.100.0/24, 2001:db8:1::/48 }
set lab = { 198.51.100.128/25, 10.1.0.0/16, 2001:db8:9::/48 }
";

const WHAT: [&str; 9] = ["", "ssh", "http", "tcp 80-443", "udp 53", "{ ssh, udp 53 }", "tcp", "ping", "ipv4 tcp 1-80"];
const OUTSIDE: [&str; 8] =
    ["any", "world", "office", "not office", "lab", "{ office, lab }", "10.1.1.0/24", "not { lab, 2001:db8:1::/48 }"];
const LOCAL: [&str; 3] = ["host", "container", "{ host, container }"];

fn sentence(random: &mut Random) -> String {
    let what = random.pick(&WHAT);
    let (from, to) = match random.below(6) {
        0 => (random.pick(&LOCAL).to_owned(), random.pick(&OUTSIDE).to_owned()),
        1 => (random.pick(&OUTSIDE).to_owned(), random.pick(&OUTSIDE).to_owned()),
        2 => ("host".to_owned(), "container".to_owned()),
        3 if random.one_in(2) => (random.pick(&OUTSIDE).to_owned(), "container direct".to_owned()),
        _ => (random.pick(&OUTSIDE).to_owned(), random.pick(&LOCAL).to_owned()),
    };
    let via = if random.one_in(4) { [" via wan", " via vpn"][random.below(2)] } else { "" };
    format!("{what} from {from} to {to}{via}")
}

/// A bridge of libvirt's.
const BRIDGE: &str = "virbr0";

fn address(text: &str) -> IpAddr {
    text.parse().expect(text)
}

fn party(class: Class, card: Option<&str>, own: &str) -> Party {
    Party { class, card: card.map(str::to_owned), address: address(own), mac: None, name: None }
}

/// Every connection of a small world: each kind of party, on each card, with addresses inside and outside of each set, at ports
/// A protocol, a port, and an ICMP type and code.
type Service = (u8, Option<u16>, Option<(u8, u8)>);

/// inside and outside of each range.
fn world() -> Vec<Attempt> {
    let outside = ["198.51.100.7", "198.51.100.200", "10.1.1.7", "10.1.1.8", "10.1.9.7", "192.0.2.9"];
    let outside_v6 = ["2001:db8:1::7", "2001:db8:9::7", "2001:db8:77::7"];
    let mut parties = Vec::new();
    // Behind the last is a platform that the policies do not use.
    for card in ["ens33", "wg0", BRIDGE] {
        parties.extend(outside.iter().chain(&outside_v6).map(|own| party(Class::Outside, Some(card), own)));
    }
    for (host, container) in [("203.0.113.10", "172.17.0.2"), ("2001:db8::10", "fd00:17::2")] {
        parties.push(party(Class::Host, None, host));
        parties.push(party(Class::Container, Some("docker0"), container));
        parties.push(party(Class::Container, Some("br-app"), &container.replace("17", "18")));
    }
    let services: [Service; 9] = [
        (6, Some(53), None),
        (6, Some(22), None),
        (6, Some(80), None),
        (6, Some(81), None),
        (6, Some(443), None),
        (6, Some(8080), None),
        (17, Some(53), None),
        (17, Some(80), None),
        (1, None, Some((8, 0))),
    ];
    let mut all = Vec::new();
    for from in &parties {
        for to in &parties {
            let v4 = from.address.is_ipv4();
            let behind_bridge = |party: &Party| party.card.as_deref() == Some(BRIDGE);
            if behind_bridge(to) || behind_bridge(from) && to.class != Class::Host {
                continue;
            }
            let same = from.class == to.class && from.card == to.card && from.class != Class::Outside;
            if v4 != to.address.is_ipv4() || same || from.class == Class::Outside && from.address == to.address {
                continue;
            }
            for (protocol, port, icmp) in services {
                let (protocol, icmp) = if icmp.is_some() && !v4 { (58, Some((128, 0))) } else { (protocol, icmp) };
                let container = to.class == Class::Container;
                let host = address(if v4 { "203.0.113.10" } else { "2001:db8::10" });
                let loopback = address(if v4 { "127.0.0.1" } else { "::1" });
                // A container is reached by an address of the host, its own loopback among them, or by its own address.
                let dialled: &[IpAddr] = match (container, from.class) {
                    (false, _) => &[to.address],
                    (true, _) if icmp.is_some() => &[to.address],
                    (true, Class::Host) => &[host, to.address, loopback],
                    (true, _) => &[host, to.address],
                };
                for &dialled in dialled {
                    let direct = container && dialled == to.address;
                    all.push(Attempt {
                        from: from.clone(),
                        to: to.clone(),
                        dialled,
                        port,
                        inside: if container && !direct { port.map(|port| port + 1000) } else { port },
                        direct,
                        published_as: Vec::new(),
                        forwarded: false,
                        protocol,
                        icmp,
                        source_port: port.map(|_| 40_000),
                        state: State::New,
                    });
                }
            }
        }
    }
    all
}

/// A policy, and the asserts about it.
struct Case {
    lines: Vec<String>,
    asserts: Vec<(&'static str, String)>,
    /// Docker's version is known: it leads IPv6 to rules that can reject.
    known: bool,
    nft: bool,
}

impl Case {
    fn random(random: &mut Random) -> Self {
        let mut lines = Vec::new();
        for _ in 0..1 + random.below(5) {
            let action = random.pick(&["allow", "allow", "deny", "reject"]);
            lines.push(format!("{action} {}", sentence(random)));
        }
        for target in ["host", "container", "world"] {
            if random.one_in(4) {
                let action = random.pick(&["deny", "reject", "allow"]);
                lines.push(format!("default {action} from any to {target}"));
            }
        }
        let mut asserts = Vec::new();
        for _ in 0..6 {
            let claim = ["allow", "deny", "deny", "reject"][random.below(4)];
            // Half of them are about what a rule says, so that many hold.
            let about = if random.one_in(2) {
                let line = lines[random.below(lines.len())].clone();
                let line = line.strip_prefix("default ").unwrap_or(&line).to_owned();
                line.split_once(' ').map(|(_, rest)| rest.to_owned()).expect("a sentence")
            } else {
                sentence(random)
            };
            asserts.push((claim, about));
        }
        Self { lines, asserts, known: random.one_in(2), nft: random.one_in(2) }
    }

    fn source(&self, asserts: bool) -> String {
        let mut text = NAMES.to_owned();
        if self.known {
            text.push_str("fact docker.version = \"28.5.2\"\n");
        }
        if self.nft {
            text.push_str("fact docker.firewall-backend = iptables\ntarget nft\n");
        }
        for line in &self.lines {
            writeln!(text, "{line}").expect("text");
        }
        for (claim, about) in &self.asserts {
            // For the other reading an assert is a rule like any other, looked at by itself.
            let word = if asserts { "assert " } else { "" };
            writeln!(text, "{word}{claim} {about}").expect("text");
        }
        text
    }

    /// What is proved; `None` if the policy is at fault.
    fn proofs(&self) -> Option<Vec<Proof>> {
        let mut db = Database::default();
        let root = Root { path: PathBuf::from("site.fw"), bytes: self.source(true).into_bytes() };
        let input = db.load(&MemoryFileSystem::default(), root, Options::default());
        let (said, proofs) = database::proofs(&db, input);
        let faulty = said.iter().any(fwc::diagnostic::Diagnostic::is_error);
        (!faulty).then_some(proofs)
    }

    /// The other reading: the policy, and each assert as a policy of one rule.
    fn read(&self) -> (Policy, Vec<Policy>) {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("site.fw");
        std::fs::write(&path, self.source(false)).expect("policy");
        let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("stdlib");
        load(&path, &library, "ens33").split_asserts(self.asserts.len())
    }
}

/// Whether a verdict is not what is claimed; `None`: that depends on what is not modelled here.
fn wrong(claim: &str, case: &Case, attempt: &Attempt, verdict: Verdict) -> Option<bool> {
    let ends = [attempt.from.class, attempt.to.class];
    let container = ends.contains(&Class::Container) && !ends.contains(&Class::Host);
    let silent = container && !case.known && !case.nft && Family::of(attempt.from.address) == Family::Ipv6;
    match (claim, verdict) {
        (_, Verdict::Varies) => None,
        // Table mangle has no REJECT.
        ("reject", Verdict::Reject) if silent => Some(true),
        ("reject", verdict) => Some(verdict != Verdict::Reject),
        // What Docker does with it depends on its version; a policy that allows it is not one that denies it.
        ("deny", Verdict::Platform) if attempt.direct && attempt.from.class != Class::Host => None,
        ("allow", Verdict::Platform | Verdict::Allow) if attempt.direct && attempt.from.class != Class::Host => None,
        ("deny", verdict) => Some(!matches!(verdict, Verdict::Deny | Verdict::Reject)),
        (_, Verdict::Platform) => None,
        (_, verdict) => Some(verdict != Verdict::Allow),
    }
}

/// Whether the packet that is shown goes from the host to a container's own address.
fn is_second_leg(proof: &Proof) -> bool {
    proof.diagnostic.iter().flat_map(|one| &one.notes).any(|note| note.ends_with("from host to container: in OUTPUT"))
}

#[test]
fn asserts_hold_just_where_no_connection_fares_otherwise() {
    let mut random = Random::new(0xa55e_2757);
    let world = world();
    let (mut held, mut failed, mut open, mut policies) = (0, 0, 0, 0);
    let mut faults = Vec::new();
    for _ in 0..300 {
        let case = Case::random(&mut random);
        let Some(proofs) = case.proofs() else { continue };
        policies += 1;
        assert_eq!(proofs.len(), case.asserts.len());
        let (policy, alone) = case.read();
        for ((proof, (claim, about)), sentence) in proofs.iter().zip(&case.asserts).zip(&alone) {
            let broken = world
                .iter()
                .filter(|attempt| policy.is_asserted(sentence, attempt))
                .find(|attempt| wrong(claim, &case, attempt, policy.answer(attempt).verdict) == Some(true));
            match (proof.outcome, broken) {
                (Outcome::Holds, None) => held += 1,
                (Outcome::Fails, Some(_)) => failed += 1,
                (Outcome::Undecided | Outcome::Nothing, _) => open += 1,
                // An allow without ports opens containers' own addresses to the host: those are where docker-proxy connects to.
                (Outcome::Fails, None) if is_second_leg(proof) => open += 1,
                (outcome, broken) => faults.push(format!(
                    "assert {claim} {about}: {outcome:?}, but {broken:?}\n{:?}\n{}",
                    proof.diagnostic.as_ref().map(|one| &one.notes),
                    case.source(false)
                )),
            }
        }
    }
    println!("{policies} policies: {held} asserts hold, {failed} fail, {open} rest on something else");
    assert!(
        faults.is_empty(),
        "{} faults\n{}",
        faults.len(),
        faults.iter().take(6).cloned().collect::<Vec<_>>().join("\n")
    );
    assert!(held > 150 && failed > 300, "{held} {failed}");
}

/// The packet that refutes an assert, if one is shown, in the words of `fwc trace`.
fn example(proof: &Proof) -> Option<&str> {
    let notes = proof.diagnostic.iter().flat_map(|one| &one.notes);
    notes.into_iter().find_map(|note| note.strip_prefix("for example `")?.split('`').next())
}

#[test]
fn what_refutes_an_assert_fares_so_where_it_is_traced() {
    let mut random = Random::new(0x0e6a_11ce);
    let mut traced = 0;
    for _ in 0..120 {
        let case = Case::random(&mut random);
        let Some(proofs) = case.proofs() else { continue };
        let lines = case.source(true);
        let lines: Vec<&str> = lines.lines().filter(|line| !line.starts_with("assert ")).collect();
        let root = Root { path: PathBuf::from("site.fw"), bytes: lines.join("\n").into_bytes() };
        let host = fwc::host::load(&MemoryFileSystem::default(), vec![root], Vec::new(), Options::default());
        let host = host.unwrap_or_else(|refused| panic!("{refused:?}\n{}", lines.join("\n")));
        for (proof, (claim, about)) in proofs.iter().zip(&case.asserts) {
            let stopped_elsewhere = proof.diagnostic.iter().any(|one| one.message.contains("stopped"));
            let Some(packet) = example(proof).filter(|_| proof.outcome == Outcome::Fails && !stopped_elsewhere) else {
                continue;
            };
            let question = parse(packet).unwrap_or_else(|fault| panic!("{packet}: {fault:?}"));
            let trace = trace(&host, &question).unwrap_or_else(|fault| panic!("{packet}: {fault}"));
            let arrives = matches!(trace.outcome, Gets::Delivered | Gets::Left(_));
            let fares = match *claim {
                "allow" => !arrives,
                "deny" => arrives,
                _ => trace.outcome == Gets::Dropped || arrives,
            };
            assert!(fares, "assert {claim} {about}: {packet}: {:?}\n{}", trace.outcome, lines.join("\n"));
            traced += 1;
        }
    }
    assert!(traced > 100, "{traced}");
}

/// A policy and asserts that between them watch every line of it.
const WATCHED: [&str; 9] = [
    "allow ssh from office to host",
    "allow tcp 8080 from { office, lab } to host",
    "reject telnet from world to host",
    "allow udp 51820 to host via wan",
    "deny https from 198.51.100.7 to container",
    "allow https from any to container via wan",
    "deny smtp from container to world",
    "allow http from host to world",
    "default deny from any to host",
];
const WATCHING: [&str; 16] = [
    "assert allow ssh from office to host",
    "assert deny ssh from not office to host",
    "assert allow tcp 8080 from lab to host",
    "assert allow tcp 8080 from office to host",
    "assert deny tcp 8080 from not { office, lab } to host",
    "assert reject telnet from world to host",
    "assert allow udp 51820 from world to host via wan",
    "assert deny udp 51820 from world to host via vpn",
    "assert deny https from 198.51.100.7 to container",
    "assert allow https from 10.1.1.0/24 to container via wan",
    "assert deny smtp from container to world",
    "assert allow http from host to world",
    "assert deny telnet from host to world",
    "assert deny http from world to host",
    "assert deny http from container to host",
    "assert deny http from world to container via wan",
];

/// What became of the asserts; `None` if the policy itself is at fault.
fn outcomes(lines: &[String]) -> Option<Vec<Outcome>> {
    let mut text = NAMES.to_owned();
    for line in lines.iter().map(String::as_str).chain(WATCHING) {
        writeln!(text, "{line}").expect("text");
    }
    let mut db = Database::default();
    let root = Root { path: PathBuf::from("site.fw"), bytes: text.into_bytes() };
    let input = db.load(&MemoryFileSystem::default(), root, Options::default());
    let (said, proofs) = database::proofs(&db, input);
    let faulty = said.iter().any(fwc::diagnostic::Diagnostic::is_error);
    (!faulty).then(|| proofs.into_iter().map(|proof| proof.outcome).collect())
}

#[test]
fn a_changed_rule_breaks_the_assert_that_watches_it() {
    let lines: Vec<String> = WATCHED.iter().map(|line| (*line).to_owned()).collect();
    assert_eq!(outcomes(&lines), Some(vec![Outcome::Holds; WATCHING.len()]));
    let changes: [(&str, &str); 12] = [
        ("ssh", "http"),
        ("8080", "8081"),
        ("telnet", "tcp 24"),
        ("51820", "51821"),
        ("https", "imaps"),
        ("smtp", "tcp 26"),
        ("office", "lab"),
        ("via wan", "via vpn"),
        ("198.51.100.7", "198.51.100.8"),
        ("reject", "deny"),
        ("allow", "deny"),
        ("deny", "allow"),
    ];
    let (mut mutants, mut faulty) = (0, 0);
    for at in 0..lines.len() {
        let mut changed: Vec<Vec<String>> = Vec::new();
        let mut without = lines.clone();
        without.remove(at);
        changed.push(without);
        for (old, new) in changes {
            let mut other = lines.clone();
            other[at] = other[at].replacen(old, new, 1);
            if other != lines {
                changed.push(other);
            }
        }
        for mutant in changed {
            match outcomes(&mutant) {
                Some(outcomes) => {
                    mutants += 1;
                    let broken = outcomes.iter().any(|outcome| *outcome != Outcome::Holds);
                    assert!(broken, "no assert noticed:\n{}", mutant.join("\n"));
                }
                None => faulty += 1,
            }
        }
    }
    println!("{mutants} changed policies, all noticed; {faulty} are errors by themselves");
    assert!(mutants > 25);
}

#[test]
fn what_was_not_worked_out_is_not_taken_for_proved() {
    let mut db = Database::default();
    let bytes = b"allow ssh from any to host\nassert deny telnet from any to host\n".to_vec();
    let root = Root { path: PathBuf::from("site.fw"), bytes };
    let input = db.load(&MemoryFileSystem::default(), root, Options::default());
    let (policy, _) = &**database::resolved(&db, input);
    let target = fwc::netfilter::Target::Iptables;
    let (ruleset, _) = fwc::lower::lower(policy, target);
    let outcome = |effort| fwc::assertion::prove_within(policy, &ruleset, target, effort)[0].outcome;
    assert_eq!(outcome(1), Outcome::OutOfWork);
    assert_eq!(outcome(10_000), Outcome::Holds);
}

#[test]
fn a_proof_names_what_the_data_of_a_platform_leave_open() {
    let assumed = |platform: &str| {
        let policy =
            format!("use {platform}\ndefault deny from world to container\nassert deny from world to container\n");
        let mut db = Database::default();
        let input = crate::fixture::load(&mut db, &[(crate::fixture::POLICY.to_owned(), policy)], None);
        let (_, proofs) = database::proofs(&db, input);
        let [proof] = proofs.as_slice() else { panic!("{platform}: one assert") };
        assert_eq!(proof.outcome, Outcome::Holds, "{platform}");
        proof.assumes.iter().map(ToString::to_string).any(|one| one.contains("ipvs"))
    };
    assert!(assumed("kubernetes"));
    assert!(!assumed("podman"));
}
