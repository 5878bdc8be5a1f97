//! Narrowing never opens, by packets: of random pairs of policies, of which the second is to let through no more than the first, what the
//! kernel lets through under the second it lets through under the first, in every flow that is closed in both.
//!
//! A run has a seed of its own, which it prints; `FWC_SEED` repeats it, and `FWC_PAIRS` says how many pairs are tried.

use std::path::Path;

use fwc::database::{self, Database};
use fwc::diagnostic::Diagnostic;
use fwc::netfilter::Target;
use fwc::policy::{Class as Side, Flow, Policy as Resolved};

use super::emitted::{Backend, Files, load};
use super::emptied::unload;
use super::namespace::{at_once, inside};
use super::oracle::{Oracle, Outcome, Probe};
use super::platforms::RecordedHost;
use super::random::{number, seed};
use super::traffic::{Grid, Random};
use crate::fixture;
use crate::interpreter::{Attempt, Class, Policy, State, load as read_policy};
use crate::monotone::{Pair, Pairs, closed_in_one};

/// Pairs of an ordinary run.
const PAIRS: u64 = 200;
/// Packets that are sent for each of them.
const PACKETS: usize = 400;
/// The host without docker-proxy, as the pairs say.
const HOST: &str = "docker-28.5-noproxy";

/// A policy that was built.
struct Built {
    resolved: Resolved,
    files: Files,
}

fn build(text: &str, target: Target) -> Option<Built> {
    let mut db = Database::default();
    let input = fixture::load(&mut db, &[(fixture::POLICY.to_owned(), text.to_owned())], Some(target));
    let (resolved, faults) = &**database::resolved(&db, input);
    let resolved = (!faults.iter().any(Diagnostic::is_error)).then(|| resolved.clone())?;
    let (_, compiled) = db.compile_once(input, "site", &[], true);
    let files: Files = compiled.outputs.into_iter().collect();
    (!files.is_empty()).then_some(Built { resolved, files })
}

fn read(text: &str, default_route: &str) -> Policy {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("site.fw");
    std::fs::write(&path, text).expect("a file in a temporary directory");
    read_policy(&path, &Path::new(env!("CARGO_MANIFEST_DIR")).join("stdlib"), default_route)
}

/// The flow of a connection.
fn flow(attempt: &Attempt) -> Flow {
    let side = |class: Class| match class {
        Class::Outside => Side::Outside,
        Class::Host => Side::Host,
        Class::Container => Side::Container,
        Class::Instance => Side::Instance,
        Class::Guest => Side::Guest,
    };
    Flow { from: side(attempt.from.class), to: side(attempt.to.class) }
}

/// First packets at the edges of both policies, in flows that are closed in both.
fn probes(host: &RecordedHost, pair: &Pair, built: &[Built; 2], random: &mut Random) -> Vec<Probe> {
    let model = &host.model;
    let mut both = read(&pair.wide, &model.plan.default_route);
    both.rules.extend(read(&pair.narrow, &model.plan.default_route).rules);
    let grid = Grid::new(model, &both);
    let is_closed = |attempt: &Attempt| {
        let [at_host, at_own] =
            [0, 1].map(|address| built.iter().all(|one| one.resolved.end(flow(attempt)).closes()[address]));
        if attempt.direct { at_own } else { at_host }
    };
    let mut probes = Vec::new();
    for _ in 0..PACKETS * 20 {
        if probes.len() == PACKETS {
            break;
        }
        let Some(probe) = grid.probe(model, random.below(grid.len())) else { continue };
        let attempt = model.attempt(&both, &probe);
        if attempt.state == State::New && is_closed(&attempt) {
            probes.push(probe);
        }
    }
    probes
}

/// What a run counts.
#[derive(Default)]
struct Tally {
    pairs: usize,
    packets: usize,
    stopped: usize,
    faults: Vec<String>,
}

fn judge(oracle: &mut Oracle<'_>, built: &Built, backend: Backend, probes: &[Probe]) -> Vec<Outcome> {
    load(oracle.namespace, &built.files, backend).unwrap_or_else(|error| panic!("{backend:?}: {error}"));
    let outcomes = oracle.judge(probes);
    unload(oracle.namespace, &built.files, backend);
    outcomes
}

/// Tries one pair.
fn compare(
    oracle: &mut Oracle<'_>,
    backend: Backend,
    pair: &Pair,
    built: &[Built; 2],
    probes: &[Probe],
    tally: &mut Tally,
) {
    let [wide, narrow] = built;
    let before = judge(oracle, wide, backend, probes);
    let after = judge(oracle, narrow, backend, probes);
    tally.pairs += 1;
    tally.packets += probes.len();
    for ((probe, before), after) in probes.iter().zip(before).zip(after) {
        tally.stopped += usize::from(before.passed() && !after.passed());
        // Once more by itself: no other connection can have to do with it.
        if after.passed() && !before.passed() {
            let again = [narrow, wide].map(|one| judge(oracle, one, backend, &[*probe])[0]);
            if again[0].passed() && !again[1].passed() {
                tally.faults.push(format!(
                    "{backend:?}, {}: {} by {:?} was {before:?}, and then {after:?}\n{}---\n{}",
                    pair.change, probe.packet, probe.entry, pair.wide, pair.narrow
                ));
            }
        }
    }
}

#[test]
fn what_is_narrowed_lets_no_packet_more_through() {
    let (seed, wanted) = (seed(), number("FWC_PAIRS").unwrap_or(PAIRS));
    println!("FWC_SEED={seed} FWC_PAIRS={wanted}");
    let hosts = RecordedHost::all();
    let host = hosts.iter().find(|host| host.name.starts_with(HOST)).expect("it is recorded");
    let jobs: Vec<(Backend, u64)> = Backend::ALL.iter().copied().zip(1..).collect();
    let each = usize::try_from(wanted.div_ceil(3)).expect("a number of pairs");
    let results = at_once(3, &jobs, |&(backend, number)| {
        let target = if backend == Backend::Nft { Target::Nft } else { Target::Iptables };
        let more = if backend == Backend::Nft { "fact docker.firewall-backend = iptables\n" } else { "" };
        inside(&format!("narrowed, {backend:?}"), &host.model.plan, |namespace| {
            host.load_rules(namespace, backend);
            let mut oracle = Oracle::new(namespace);
            let (mut pairs, mut random) = (Pairs::new(seed ^ number << 40), Random::new(seed | 1));
            let mut tally = Tally::default();
            while tally.pairs < each {
                let Pair { wide, narrow, change } = pairs.pair();
                let here = |text: String| format!("{more}{}", text.replace("= eth0", "= ens33"));
                let pair = Pair { wide: here(wide), narrow: here(narrow), change };
                let (Some(wide), Some(narrow)) = (build(&pair.wide, target), build(&pair.narrow, target)) else {
                    continue;
                };
                // Where the only allow of a flow is taken away, the flow is the platform's again.
                if !closed_in_one(&wide.resolved, &narrow.resolved).is_empty() {
                    continue;
                }
                let built = [wide, narrow];
                let probes = probes(host, &pair, &built, &mut random);
                compare(&mut oracle, backend, &pair, &built, &probes, &mut tally);
            }
            tally
        })
    });
    let mut whole = Tally::default();
    for result in results {
        let Some(Tally { pairs, packets, stopped, faults }) = result else { return };
        whole.pairs += pairs;
        whole.packets += packets;
        whole.stopped += stopped;
        whole.faults.extend(faults);
    }
    let Tally { pairs, packets, stopped, faults } = whole;
    println!(
        "{pairs} pairs, {packets} packets: {stopped} are stopped by the second alone, {} by the first",
        faults.len()
    );
    assert!(
        faults.is_empty(),
        "FWC_SEED={seed}: {} faults\n{}",
        faults.len(),
        faults[..faults.len().min(6)].join("\n")
    );
    assert!(stopped > pairs, "the second policies are hardly narrower: {stopped} packets");
}
