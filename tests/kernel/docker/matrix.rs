//! The matrix: every policy of `tests/data/live/policies.fw`, by both targets, with all facts, with a compose file and with none; every
//! kind of party dials every kind of address. A connection has to work where it worked without a policy and the policy does not object:
//! what the policy says is worked out by the interpreter, which shares nothing with the compiler. What an assert that holds speaks of is
//! tried, too: those of the policies, and one about each service between each pair of places.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

use fwc::assertion::{Assumption, Outcome, Proof};
use fwc::facts::Facts;
use fwc::netfilter::Target;

use super::built::{Built, Project, build, prove};
use super::daemon::Daemon;
use super::dial::{Answers, Dial, answers, by_docker_proxy};
use super::dials::{Try, tries};
use super::site;
use crate::fixture;
use crate::interpreter::{Attempt, Class, Party, Policy, Verdict, load as read_policy};
use crate::kernel::model::Model;
use crate::kernel::namespace::{HostPlan, at_once};

/// What is declared in front of each policy.
const DECLARED: &str = "interface wan = ens33
interface vpn = wg0
interface lan = eth1
set office = { 10.1.1.0/24, 2001:db8:1::/48 }
";

/// What asserts are about, in every policy.
const ASSERTED: &[&str] = &[
    "ssh from world to host",
    "ssh from office to host",
    "ssh from vpn to host",
    "from lan to host",
    "from container to host",
    "tcp 9100 from world to host",
    "tcp 8080 from world to container",
    "tcp 8080 from office to container",
    "tcp 8080 from container to container",
    "tcp 8080 from host to container",
    "postgres from world to container",
    "postgres from not office to container",
    "udp 5353 from world to container",
    "from world to container direct",
    "from world to container",
    "from lan to container",
    "from host to container",
    "from container to container",
    "from any to container direct",
    "http from container to world",
    "from container to lan",
    "from host to world",
    "http from lan to wan",
    "ssh from vpn to lan",
    "from world to lan",
];

/// What is known to be wrong still: in which policy, and what shows it.
struct Open {
    policy: &'static str,
    what: &'static str,
    shows: fn(&Attempt) -> bool,
}

const OPEN: &[Open] = &[];

/// What a build is told of its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Known {
    Complete,
    Compose,
    Nothing,
}

/// What a matrix came to.
#[derive(Default)]
pub struct Tally {
    pub connections: usize,
    /// Those that the policy alone stops.
    pub stopped: usize,
    /// Builds loaded; builds that are refused, with what was said; builds with the bytes of another.
    pub loaded: usize,
    pub refused: Vec<String>,
    pub equal: usize,
    /// Asserts that hold, and the connections that they speak of.
    pub held: usize,
    pub asserted: usize,
    /// Connections that fare otherwise than the policy says, as a diagnostic of the build has announced.
    pub announced: BTreeMap<&'static str, usize>,
    pub faults: Vec<String>,
}

impl Tally {
    /// Keeps a fault, and shows it to whoever waits for the end.
    fn fault(&mut self, fault: String) {
        println!("{fault}");
        self.faults.push(fault);
    }
}

/// One build.
struct Case {
    title: String,
    policy: String,
    known: Known,
    target: Target,
    project: Project,
    /// The asserts, those of the policy first.
    asserts: Vec<(String, String)>,
    own: usize,
}

impl Case {
    fn project_of(&self, more: &str) -> Project {
        let mut project = self.project.clone();
        project[0].1 += more;
        project
    }

    /// The policy as the interpreter reads it, and each assert.
    fn read(&self) -> (Policy, Vec<Policy>) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("site.fw");
        let asserts: String = self.asserts.iter().map(|(claim, about)| format!("{claim} {about}\n")).collect();
        std::fs::write(&path, format!("{DECLARED}{}{asserts}", self.policy)).expect("it can be written");
        let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("stdlib");
        read_policy(&path, &library, "ens33").split_asserts(self.asserts.len())
    }
}

/// The builds of a policy.
fn cases_of(fixture: &fixture::Fixture, facts: &str) -> Vec<Case> {
    let (own, policy): (Vec<&str>, Vec<&str>) =
        fixture.policy().lines().partition(|line| line.trim_start().starts_with("assert "));
    let policy = policy.join("\n") + "\n";
    let own = own.into_iter().map(|line| {
        let words = line.trim_start().trim_start_matches("assert ");
        words.split_once(' ').map(|(claim, about)| (claim.to_owned(), about.to_owned())).expect("a claim")
    });
    let mut asserts: Vec<(String, String)> = own.collect();
    let count = asserts.len();
    for about in ASSERTED {
        asserts.extend(["deny", "allow"].map(|claim| (claim.to_owned(), (*about).to_owned())));
    }
    let mut cases = Vec::new();
    for known in [Known::Complete, Known::Compose, Known::Nothing] {
        for target in [Target::Iptables, Target::Nft] {
            let mut source = DECLARED.to_owned() + &policy;
            let mut project = Vec::new();
            if known != Known::Complete && target == Target::Nft {
                // Beside Docker, nft needs to know which tool Docker writes with.
                source += "fact docker.firewall-backend = iptables\n";
            }
            if known == Known::Compose {
                source += "compose \"docker-compose.yml\"\n";
                project.push(("docker-compose.yml".to_owned(), site::compose()));
            }
            if known == Known::Complete {
                project.push(("fwc.facts.json".to_owned(), facts.to_owned()));
            }
            project.insert(0, (fixture::POLICY.to_owned(), source));
            let title = format!("{}, {target:?}, {known:?}", fixture.title);
            let (policy, asserts) = (policy.clone(), asserts.clone());
            cases.push(Case { title, policy, known, target, project, asserts, own: count });
        }
    }
    cases
}

/// What answers without a policy: as the host is, and with everything routed that is routed between those outside.
struct Baseline {
    alone: Answers,
    opened: Answers,
}

impl Baseline {
    fn of(daemon: &Daemon, dials: &[Dial]) -> Result<Self, String> {
        let mut alone = answers(daemon, dials);
        // A first packet may be lost on a machine that has much to do.
        let silent: Vec<Dial> = dials.iter().filter(|dial| alone[dial].is_none()).cloned().collect();
        alone.extend(answers(daemon, &silent));
        let routed = |verb: &str| {
            let cards = ["ens33", "wg0", "eth1"];
            let pairs = cards.iter().flat_map(|from| cards.iter().map(move |to| (from, to)));
            let rules = pairs.map(|(from, to)| {
                format!("for program in iptables ip6tables; do $program -w {verb} FORWARD -i {from} -o {to} -j ACCEPT; done\n")
            });
            rules.collect::<String>()
        };
        daemon.shell(&routed("-I"))?;
        let between: Vec<Dial> = dials.iter().filter(|dial| dial.is_routed()).cloned().collect();
        let opened = answers(daemon, &between);
        daemon.shell(&routed("-D"))?;
        Ok(Self { alone, opened })
    }
}

/// A build that is loaded, and what is expected of it.
struct Trial<'t> {
    daemon: &'t Daemon,
    model: &'t Model,
    baseline: &'t Baseline,
    tries: &'t [Try],
    case: &'t Case,
    built: &'t Built,
    policy: Policy,
}

impl Trial<'_> {
    fn attempt(&self, one: &Try) -> Attempt {
        self.model.attempt(&self.policy, &one.probe(&self.model.plan))
    }

    /// What has to answer; an error if the policy does not say.
    fn expected(&self, one: &Try, attempt: &Attempt) -> Option<Option<String>> {
        let alone = self.baseline.alone[&one.dial].clone();
        let routed = one.dial.is_routed();
        // Within one bridge there may be no hook that sees a packet.
        let unseen = attempt.direct && attempt.from.card == attempt.to.card && !self.daemon.setup.bridge_netfilter;
        // Whoever is stopped early hears nothing from here, and nothing is heard of them.
        if self.policy.is_cut_early(attempt) {
            return Some(None);
        }
        match self.policy.answer(attempt).verdict {
            Verdict::Varies => None,
            Verdict::Deny | Verdict::Reject if unseen && alone.is_some() => {
                (!self.built.codes.contains("FW0315")).then_some(None)
            }
            Verdict::Deny | Verdict::Reject => Some(None),
            Verdict::Platform => Some(alone),
            Verdict::Allow if attempt.forwarded => Some(Some(format!("lan {}", attempt.inside.unwrap_or_default()))),
            Verdict::Allow if routed && self.opens() => Some(self.baseline.opened[&one.dial].clone()),
            Verdict::Allow => Some(alone),
        }
    }

    /// Whether an accept of the build lets through what others would drop: one in an nft table does not.
    fn opens(&self) -> bool {
        self.case.target != Target::Nft || self.built.files.values().any(|text| text.contains("fwc-accepted -j ACCEPT"))
    }

    /// What the build has said of a connection that cannot be as the policy wants it, in one text for all that is not known.
    fn announcement(&self, one: &Try, attempt: &Attempt, verdict: Verdict) -> Option<&'static str> {
        let said = |code: &&'static str| self.built.codes.contains(code);
        let proxied = by_docker_proxy(&one.dial) && attempt.to.class == Class::Container;
        let stops = matches!(verdict, Verdict::Deny | Verdict::Reject);
        let neighbours = attempt.from.card == attempt.to.card && attempt.direct;
        // On INPUT, docker-proxy's ports look like the host's own while nothing says what is published.
        if self.case.known != Known::Complete && proxied {
            let taken_in = self.built.in_force.contains("but for what docker-proxy takes in").then_some("takes in");
            return ["FW0303", "FW0304"].into_iter().find(said).or(taken_in);
        }
        // Docker-proxy's connections look like the host's own.
        if attempt.from.class == Class::Host && attempt.direct && stops {
            return ["FW0305"].into_iter().find(said);
        }
        if self.case.known == Known::Compose && neighbours && stops {
            return ["FW0332"].into_iter().find(said);
        }
        None
    }

    /// Dials everything, and says what is otherwise than expected.
    fn run(&self, tally: &mut Tally) -> Answers {
        let dials: Vec<Dial> = self.tries.iter().map(|one| one.dial.clone()).collect();
        let mut now = answers(self.daemon, &dials);
        let attempts: Vec<Attempt> = self.tries.iter().map(|one| self.attempt(one)).collect();
        let wrong = |now: &Answers| -> Vec<usize> {
            let differs = |at: &usize| {
                let one = &self.tries[*at];
                self.expected(one, &attempts[*at]).is_some_and(|expected| expected != now[&one.dial])
            };
            (0..self.tries.len()).filter(differs).collect()
        };
        let again: Vec<Dial> = wrong(&now).into_iter().map(|at| self.tries[at].dial.clone()).collect();
        now.extend(answers(self.daemon, &again));
        for at in wrong(&now) {
            let (one, attempt) = (&self.tries[at], &attempts[at]);
            let answer = self.policy.answer(attempt);
            let rule = answer.rule.map_or("no rule", |rule| self.policy.labels[rule].as_str());
            let fault = format!(
                "{}: {} ({:?} to {:?}{}): the policy says {:?} ({rule}), but {:?} answers; without the policy {:?}",
                self.case.title,
                one.dial,
                attempt.from.class,
                attempt.to.class,
                if attempt.direct { ", direct" } else { "" },
                answer.verdict,
                now[&one.dial],
                self.baseline.alone[&one.dial],
            );
            match self.announcement(one, attempt, answer.verdict).or(self.known(attempt)) {
                Some(code) => *tally.announced.entry(code).or_default() += 1,
                None => tally.fault(fault),
            }
        }
        tally.connections += self.tries.len();
        tally.loaded += 1;
        for (one, attempt) in self.tries.iter().zip(&attempts) {
            let stopped = self.expected(one, attempt) == Some(None) && self.baseline.alone[&one.dial].is_some();
            tally.stopped += usize::from(stopped);
        }
        now
    }

    /// Tries the asserts that hold.
    fn asserts(&self, asserts: &[Policy], proofs: &[Proof], now: &Answers, tally: &mut Tally) {
        if proofs.len() != asserts.len() {
            let what = format!("{}: {} asserts, {} proofs", self.case.title, asserts.len(), proofs.len());
            return tally.faults.push(what);
        }
        for (at, (assert, proof)) in asserts.iter().zip(proofs).enumerate() {
            let (claim, about) = &self.case.asserts[at];
            if proof.outcome != Outcome::Holds {
                if at < self.case.own && self.case.known == Known::Complete {
                    let said = proof.diagnostic.as_ref().map_or("", |said| said.message.as_str());
                    tally.faults.push(format!("{}: `assert {claim} {about}` does not hold: {said}", self.case.title));
                }
                continue;
            }
            tally.held += 1;
            for one in self.tries {
                let attempt = self.attempt(one);
                if !self.policy.is_asserted(assert, &attempt) || self.is_assumed_away(proof, one, &attempt) {
                    continue;
                }
                tally.asserted += 1;
                let (alone, now) = (&self.baseline.alone[&one.dial], &now[&one.dial]);
                let wrong = if claim == "deny" { now.is_some() } else { alone.is_some() && now.is_none() };
                if let Some(what) = self.known(&attempt).filter(|_| wrong) {
                    *tally.announced.entry(what).or_default() += 1;
                } else if wrong {
                    tally.fault(format!(
                        "{}: `assert {claim} {about}` holds, but {} gets {now:?}; without the policy {alone:?}",
                        self.case.title, one.dial
                    ));
                }
            }
        }
    }

    /// What is known of a fault.
    fn known(&self, attempt: &Attempt) -> Option<&'static str> {
        let fits = |open: &&Open| self.case.title.starts_with(open.policy) && (open.shows)(attempt);
        OPEN.iter().find(fits).map(|open| open.what)
    }

    /// Whether a proof has assumed that what an allow to the host names is no published port, or is of a container whose name the
    /// build knows, and not its address.
    fn is_assumed_away(&self, proof: &Proof, one: &Try, attempt: &Attempt) -> bool {
        let host = Party { class: Class::Host, card: None, address: attempt.dialled, mac: None, name: None };
        let taken = Attempt { to: host, inside: attempt.port, ..attempt.clone() };
        proof.assumes.contains(&Assumption::OwnPorts)
            && by_docker_proxy(&one.dial)
            && matches!(self.policy.answer(&taken).verdict, Verdict::Allow | Verdict::Varies)
    }
}

/// Every policy beside a daemon; with `whole`, also built with less than all that is known.
pub fn matrix(daemon: &Daemon, whole: bool) -> Result<Tally, String> {
    let start = Instant::now();
    let addresses = daemon.addresses()?;
    let facts = site::facts(daemon, &addresses);
    let truth: Facts = serde_json::from_value(facts.clone()).map_err(|error| error.to_string())?;
    let facts = facts.to_string();
    let model = Model::new(HostPlan::parse(&site::cards()), &truth, true);
    let tries = tries(daemon, &addresses);
    let dials: Vec<Dial> = tries.iter().map(|one| one.dial.clone()).collect();
    let baseline = Baseline::of(daemon, &dials)?;
    let fixtures = fixture::read("data/live/policies.fw");
    let mut cases: Vec<Case> = fixtures.iter().flat_map(|one| cases_of(one, &facts)).collect();
    cases.retain(|case| whole || case.known == Known::Complete);
    let built = at_once(2, &cases, |case| {
        let built = build(&case.project, case.target)?;
        let asserts: String = case.asserts.iter().fold(String::new(), |mut text, (claim, about)| {
            let _ = writeln!(text, "assert {claim} {about}");
            text
        });
        Ok::<_, String>((built, prove(&case.project_of(&asserts), case.target)))
    });
    let prepared = start.elapsed();
    let mut tally = Tally::default();
    let mut seen: BTreeMap<Vec<(String, String)>, Answers> = BTreeMap::new();
    for (case, result) in cases.iter().zip(built) {
        let (built, proofs) = match result {
            Ok(built) => built,
            Err(error) => {
                if case.known == Known::Complete {
                    tally.faults.push(format!("{}: not built: {error}", case.title));
                }
                tally.refused.push(format!("{}: {error}", case.title));
                continue;
            }
        };
        let (policy, asserts) = case.read();
        let trial = Trial { daemon, model: &model, baseline: &baseline, tries: &tries, case, built: &built, policy };
        let bytes: Vec<(String, String)> = built.files.clone().into_iter().collect();
        let now = match seen.get(&bytes) {
            Some(now) => {
                tally.equal += 1;
                now.clone()
            }
            None => {
                built.load(daemon).map_err(|error| format!("{}: {error}", case.title))?;
                let now = trial.run(&mut tally);
                built.unload(daemon).map_err(|error| format!("{}: {error}", case.title))?;
                seen.insert(bytes, now.clone());
                now
            }
        };
        trial.asserts(&asserts, &proofs, &now, &mut tally);
    }
    // What is there without a policy is there again.
    let after = answers(daemon, &dials);
    let lost: Vec<Dial> = dials.iter().filter(|dial| after[dial] != baseline.alone[dial]).cloned().collect();
    let again = answers(daemon, &lost);
    for dial in lost.iter().filter(|dial| again[dial] != baseline.alone[dial]) {
        let (was, is) = (&baseline.alone[dial], &again[dial]);
        tally.faults.push(format!("after all is taken away, {dial} gets {is:?}, not {was:?}"));
    }
    println!(
        "{} {}: {} connections a build, {} answered without a policy; {} builds loaded, {} refused, {} equal to another; {} connections, \
         {} that only the policy stops; {} asserts hold, {} connections of theirs; {:?} announced; {} wrong; {:.0} s ({:.0} s of them building)",
        daemon.setup.name,
        daemon.version,
        dials.len(),
        baseline.alone.values().flatten().count(),
        tally.loaded,
        tally.refused.len(),
        tally.equal,
        tally.connections,
        tally.stopped,
        tally.held,
        tally.asserted,
        tally.announced,
        tally.faults.len(),
        start.elapsed().as_secs_f64(),
        prepared.as_secs_f64(),
    );
    for refused in &tally.refused {
        println!("    refused: {refused}");
    }
    Ok(tally)
}
