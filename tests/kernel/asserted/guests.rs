//! Asserts about guests on the ports of a bridge that has the uplink: of what is denied, no frame gets through, whether the bridge hands its
//! frames to iptables or not.

use std::fmt::Write as _;

use fwc::assertion::Outcome as Proved;
use fwc::netfilter::Target;

use super::policy::Case;
use super::{build, read};
use crate::interpreter::Attempt;
use crate::kernel::bridged::{guests_plan, honest_attempts, make_guests_bridge};
use crate::kernel::emitted::{Backend, load};
use crate::kernel::emptied::unload;
use crate::kernel::namespace::{at_once, inside};
use crate::kernel::oracle::{Oracle, Outcome, Probe};
use crate::kernel::random::seed;
use crate::kernel::traffic::Random;

/// Policies for each tool and each setting of the bridge.
const POLICIES: usize = 40;
const EACH: usize = 10;

const GUESTS: &str = "use tap
set office = { 192.168.100.55, fd64::55 }
guest vm110 on tap110i0 address { 192.168.100.110, fd64::110 }
guest vm111 on tap111i0 address { 192.168.100.111, fd64::111 }
";
/// One more, with or without rules of its own.
const BLOCKS: &[&str] = &[
    "guest vm112 on tap112i0 address { 192.168.100.112, fd64::112 }\n",
    "guest vm112 on tap112i0 address { 192.168.100.112, fd64::112 } {\n    in allow tcp 80 from world\n}\n",
    "guest vm112 on tap112i0 address { 192.168.100.112, fd64::112 } {\n    out deny tcp 443\n    in deny tcp 22\n}\n",
];
const SERVICES: &[&str] = &["", "tcp 80", "tcp 22", "tcp 443", "udp 53", "tcp", "tcp 80-81", "ipv6 tcp 22"];
const ENDS: &[&str] = &["world", "guest", "guest", "guest vm110", "guest vm112", "host", "office", "{ world, guest }"];

/// Whether frames pass iptables, and what the build is told of it.
#[derive(Clone, Copy, Debug)]
struct Setting {
    hands_on: bool,
    is_told: bool,
}

impl Setting {
    fn facts(self) -> String {
        let call = u8::from(self.hands_on);
        let all = ["net.bridge.bridge-nf-call-iptables", "net.bridge.bridge-nf-call-ip6tables"];
        let told = all.map(|name| format!("fact sysctls.{name} = {call}\n")).concat();
        let routes_nothing = "fact sysctls.net.ipv4.ip_forward = 0\nfact sysctls.net.ipv6.conf.all.forwarding = 0\n";
        if self.is_told { told + routes_nothing } else { String::new() }
    }
}

fn sentence(random: &mut Random) -> String {
    let from = random.pick(ENDS);
    let to = random.pick(ENDS);
    format!("{} from {from} to {to}", random.pick(SERVICES))
}

fn case(random: &mut Random, setting: Setting) -> Case {
    let mut policy = format!("{GUESTS}{}{}", random.pick(BLOCKS), setting.facts());
    let mut sentences = Vec::new();
    for _ in 0..1 + random.below(4) {
        let (action, sentence) = (random.pick(&["allow", "deny", "deny"]), sentence(random));
        writeln!(policy, "{action} {sentence}").expect("a string takes everything");
        sentences.push((action, sentence));
    }
    if random.one_in(2) {
        let (from, to) = (random.pick(&["any", "world", "guest"]), random.pick(&["guest", "host", "world"]));
        writeln!(policy, "default deny from {from} to {to}").expect("a string takes everything");
    }
    let asserts = (0..EACH).map(|_| match random.below(3) {
        0 => (random.pick(&["allow", "deny"]), sentence(random)),
        _ => sentences[random.below(sentences.len())].clone(),
    });
    Case { asserts: asserts.collect(), policy, files: Vec::new() }
}

/// Asserts that were tried, those of them that hold, the frames, and what was wrong.
#[derive(Default)]
struct Tally {
    asserts: usize,
    held: usize,
    frames: usize,
    faults: Vec<String>,
}

fn run(backend: Backend, setting: Setting, seed: u64) -> Option<Tally> {
    let name = format!("asserts about guests, {backend:?}, {setting:?}");
    let mut random = Random::new(seed | 1);
    let attempts = honest_attempts();
    let ran = inside(&name, &guests_plan(), |namespace| {
        make_guests_bridge(namespace, setting.hands_on)?;
        let mut oracle = Oracle::new(namespace);
        let probes: Vec<Probe> = attempts.iter().map(|(probe, ..)| *probe).collect();
        let alone = oracle.judge(&probes);
        let mut tally = Tally::default();
        while tally.asserts < POLICIES * EACH {
            let case = case(&mut random, setting);
            let built = match build(&case, Target::Iptables) {
                Ok(Some(built)) => built,
                Ok(None) => continue,
                Err(error) => panic!("{name}: {error}\n{}", case.policy),
            };
            let (policy, asserts) = read(&case, "vmbr0");
            tally.asserts += asserts.len();
            load(oracle.namespace, &built.files, backend)
                .unwrap_or_else(|error| panic!("{name}: {error}\n{}", case.policy));
            let with = oracle.judge(&probes);
            unload(oracle.namespace, &built.files, backend);
            for (at, assert) in asserts.iter().enumerate().filter(|(at, _)| built.proofs[*at].outcome == Proved::Holds)
            {
                let (claim, about) = &case.asserts[at];
                tally.held += 1;
                let fares = |alone: Outcome, with: Outcome| match *claim {
                    "allow" => alone.passed() && !with.passed(),
                    _ => with.passed(),
                };
                let spoken = |(_, attempt, _): &&(Probe, Attempt, Option<usize>)| policy.is_asserted(assert, attempt);
                tally.frames += attempts.iter().filter(spoken).count();
                let numbered = attempts.iter().enumerate().filter(|(_, one)| spoken(one));
                if let Some((number, (probe, ..))) =
                    numbered.into_iter().find(|(number, _)| fares(alone[*number], with[*number]))
                {
                    tally.faults.push(format!(
                        "{name}: `assert {claim} {about}` holds, but {} by {:?} was {:?}\n{}",
                        probe.packet, probe.entry, with[number], case.policy
                    ));
                }
            }
        }
        Ok::<_, String>(tally)
    });
    match ran? {
        Ok(tally) => Some(tally),
        Err(reason) => {
            println!("skipped: {name}: {reason}");
            None
        }
    }
}

#[test]
fn what_an_assert_denies_to_guests_crosses_no_bridge() {
    let seed = seed();
    println!("FWC_SEED={seed}");
    println!("skipped: asserts about guests, Nft: this kernel tracks no connections on bridges");
    let mut jobs = Vec::new();
    for &backend in Backend::IPTABLES {
        for (hands_on, is_told) in [(true, true), (true, false), (false, true), (false, false)] {
            jobs.push((backend, Setting { hands_on, is_told }, seed + jobs.len() as u64 * 7_919));
        }
    }
    let mut whole = Tally::default();
    for result in at_once(3, &jobs, |&(backend, setting, seed)| run(backend, setting, seed)) {
        let Some(Tally { asserts, held, frames, faults }) = result else { return };
        whole.asserts += asserts;
        whole.held += held;
        whole.frames += frames;
        whole.faults.extend(faults);
    }
    let Tally { asserts, held, frames, faults } = whole;
    println!("{asserts} asserts, {held} of them hold: {frames} frames, {} wrong", faults.len());
    assert!(
        faults.is_empty(),
        "FWC_SEED={seed}: {} faults\n{}",
        faults.len(),
        faults[..faults.len().min(8)].join("\n")
    );
    assert!(held * 10 > asserts, "too few hold: {held} of {asserts}");
}
