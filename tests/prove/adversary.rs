//! Asserts against connections that were measured on real daemons: an `assert deny` that holds beside facts that do not exclude such a
//! connection has to stop it at one of the hooks that its packets passed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;

use fwc::assertion::{Assumption, Outcome, Proof};
use fwc::database::{self, Database};
use fwc::diagnostic::Diagnostic;
use fwc::facts::Facts;
use fwc::host::{self, Host};
use fwc::project::{MemoryFileSystem, Options, Root};
use fwc::simulate::{Outcome as Gets, parse, trace};

use crate::kernel::traffic::Random;
use crate::recorded::{Line, Seen, lines, scenario};

/// What the connection reaches: a container's name, and whether it is by its own address.
fn target<'f>(line: &Line, facts: &'f Facts) -> Option<(&'f str, bool)> {
    let docker = facts.docker.as_ref()?;
    docker.containers.iter().find_map(|(name, container)| {
        if container.addresses.contains(&line.address) {
            return Some((name.as_str(), true));
        }
        let published = container.ports.iter().any(|port| {
            let first = port.port.unwrap_or_default();
            port.protocol == line.protocol && (first..=port.last_port.unwrap_or(first)).contains(&line.port)
        });
        published.then_some((name.as_str(), false))
    })
}

fn class(line: &Line) -> &'static str {
    match line.from.as_str() {
        "outside" => "world",
        "host" => "host",
        _ => "container",
    }
}

/// The packets of the connection, each as `fwc trace` takes it at the hook where it was seen.
fn packets(line: &Line, facts: &Facts) -> Vec<String> {
    let four = line.address.is_ipv4();
    let container = facts.docker.as_ref().and_then(|docker| docker.containers.get(&line.from));
    let own = container.and_then(|one| one.addresses.iter().find(|address| address.is_ipv4() == four));
    let host = |four: bool| if four { "203.0.113.10" } else { "2001:db8::10" };
    let source = match line.from.as_str() {
        "outside" => (if four { "203.0.113.1" } else { "2001:db8::1" }).to_owned(),
        "host" => host(four).to_owned(),
        _ => own.map_or_else(|| (if four { "172.18.0.9" } else { "fd00:18::9" }).to_owned(), IpAddr::to_string),
    };
    let end = |address: &IpAddr, port: u16| match address {
        IpAddr::V4(address) => format!("{address}:{port}"),
        IpAddr::V6(address) => format!("[{address}]:{port}"),
    };
    let (protocol, dialled) = (&line.protocol, end(&line.address, line.port));
    let packet = |seen: &Seen| {
        let to = end(&seen.address, seen.port);
        let (input, output) = (seen.input.as_deref(), seen.output.as_deref());
        let translated = if seen.address == line.address { String::new() } else { format!(" dialled {dialled}") };
        match (seen.hook.as_str(), input, output) {
            ("input", Some(input), _) => format!("{protocol} {source} -> {to} to host in {input}"),
            ("forward", Some(input), Some(output)) => {
                format!("{protocol} {source} -> {to} in {input} out {output}{translated}")
            }
            // The proxy's second connection is one of its own.
            ("output", _, Some(output)) if output != "lo" && seen.original == seen.port => {
                format!("{protocol} {} -> {to} from host out {output}", host(seen.address.is_ipv4()))
            }
            ("output", _, Some(output)) => {
                format!("{protocol} {source} -> {to} from host out {output}{translated}")
            }
            other => panic!("{other:?}"),
        }
    };
    line.hooks.iter().map(packet).collect()
}

/// Facts as a policy may have them: all, an incomplete list, or what a policy says by itself.
#[derive(Clone, Copy, Debug)]
enum Known {
    All,
    Incomplete,
    Nothing,
}

fn options(facts: &Facts, known: Known) -> Options {
    let mut facts = facts.clone();
    match known {
        Known::All => {}
        Known::Incomplete => {
            if let Some(docker) = &mut facts.docker {
                docker.complete = false;
                docker.containers.clear();
            }
        }
        Known::Nothing => return Options::default(),
    }
    let bytes = serde_json::to_vec(&facts).expect("facts");
    Options { facts: Some(Root { path: PathBuf::from("fwc.facts.json"), bytes }), ..Options::default() }
}

/// A few lines that close a part of the ways to a container.
fn rules(random: &mut Random, line: &Line, name: &str, known: Known) -> Vec<String> {
    let service = format!("{} {}", line.protocol, line.port);
    let class = class(line);
    let mut pool = vec![
        format!("deny {service} from any to container"),
        format!("deny {service} from any to {{ host, container }}"),
        format!("deny {service} from {class} to container"),
        format!("deny {service} from {class} to container direct"),
        format!("deny from {class} to container"),
        "deny from any to container".to_owned(),
        "deny from host to container".to_owned(),
        "default deny from any to host".to_owned(),
        "default deny from any to container".to_owned(),
        "allow ssh from any to host".to_owned(),
        "allow tcp 443 from world to container".to_owned(),
        "allow tcp 9999 from host to container".to_owned(),
    ];
    if matches!(known, Known::All) {
        pool.push(format!("deny from any to container {name}"));
        pool.push(format!("deny {service} from {class} to container {name}"));
    }
    (0..1 + random.below(3)).map(|_| pool[random.below(pool.len())].clone()).collect()
}

/// Whether a packet is stopped on the host.
fn is_stopped(host: &Host, packet: &str) -> bool {
    let question = parse(packet).unwrap_or_else(|fault| panic!("{packet}: {fault:?}"));
    let trace = trace(host, &question).unwrap_or_else(|fault| panic!("{packet}: {fault}"));
    matches!(trace.outcome, Gets::Dropped | Gets::Rejected(_))
}

#[test]
fn what_was_answered_is_stopped_where_an_assert_says_so() {
    let recorded = lines();
    let mut facts: BTreeMap<&str, Facts> = BTreeMap::new();
    let usable = |line: &&Line| line.scenario.starts_with("docker") && line.mark.is_none() && line.answer == "answered";
    let usable: Vec<&Line> = recorded.iter().filter(usable).collect();
    let mut random = Random::new(0x0adc_e55a);
    let (mut held, mut refuted, mut assumed_away, mut faults) = (0, 0, 0, Vec::new());
    for _ in 0..850 {
        let line = usable[random.below(usable.len())];
        let facts = facts.entry(&line.scenario).or_insert_with(|| scenario(&line.scenario).facts);
        let Some((name, direct)) = target(line, facts) else { continue };
        let known = [Known::All, Known::Incomplete, Known::Nothing][random.below(3)];
        let mut policy = "use docker\n".to_owned();
        if random.one_in(2) {
            policy.push_str("target nft\n");
        }
        for rule in rules(&mut random, line, name, known) {
            writeln!(policy, "{rule}").expect("text");
        }
        // Without the word, too, what is denied is denied at the container's own address.
        let word = if direct && random.one_in(2) { " direct" } else { "" };
        // Every one of them is about the connection.
        let (service, class) = (format!("{} {}", line.protocol, line.port), class(line));
        let about = [format!("{service} from {class}"), format!("from {class}"), format!("{service} from any")];
        let claims: String = about.iter().map(|about| format!("assert deny {about} to container{word}\n")).collect();
        let root = |text: &str| Root { path: PathBuf::from("site.fw"), bytes: text.as_bytes().to_vec() };
        let mut db = Database::default();
        let input = db.load(&MemoryFileSystem::default(), root(&format!("{policy}{claims}")), options(facts, known));
        let (said, proofs) = database::proofs(&db, input);
        if said.iter().any(Diagnostic::is_error) {
            continue;
        }
        let holds = proofs.iter().filter(|proof| proof.outcome == Outcome::Holds).count();
        held += holds;
        refuted += proofs.len() - holds;
        if holds == 0 {
            continue;
        }
        let packets = packets(line, facts);
        // What passes no hook is assumed away, as long as no fact shows a network that does so.
        let assumed = |proof: &Proof| proof.assumes.contains(&Assumption::OnBridges);
        let excused = packets.is_empty() && matches!(known, Known::Nothing);
        if excused && proofs.iter().filter(|proof| proof.outcome == Outcome::Holds).all(assumed) {
            assumed_away += holds;
            continue;
        }
        let host = host::load(&MemoryFileSystem::default(), vec![root(&policy)], Vec::new(), options(facts, known));
        let host = host.unwrap_or_else(|refused| panic!("{refused:?}\n{policy}"));
        if !packets.iter().any(|packet| is_stopped(&host, packet)) {
            faults.push(format!("{}, {known:?}: {packets:?}\n{policy}{claims}", line.scenario));
        }
    }
    println!("{held} asserts hold beside a measured connection ({assumed_away} by an assumption), {refuted} do not");
    faults.sort();
    faults.dedup();
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
    assert!(held > 300 && refuted > 300, "{held} {refuted}");
}
