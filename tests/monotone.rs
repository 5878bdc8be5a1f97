//! Narrowing never opens without saying so: of random pairs of policies, where the second comes from the first by removing or narrowing allows, or by
//! adding or widening denies, whatever the second lets through the first lets through, in every flow that is closed in both.

use std::collections::BTreeMap;

use fwc::compare::{Effort, Kind, compare};
use fwc::database::{self, Database};
use fwc::diagnostic::Diagnostic;
use fwc::host::Host;
use fwc::lower;
use fwc::net::Family;
use fwc::netfilter::Target;
use fwc::policy::{Flow, Policy};

use crate::fixture;
use crate::kernel::traffic::Random;

/// Pairs that are compared in process, unless `FWC_PAIRS` says how many.
const PAIRS: usize = 2_000;

/// What comes before the rules: nothing is known of docker-proxy, or that it is off.
const DOCKER: [&str; 2] = ["use docker\n", "use docker\nfact docker.userland-proxy = off\n"];

/// What `check` reports where a narrower line opens something, where a deny for everybody leaves the host what one for the host closes, and where
/// a line about containers takes their bridges out of the world.
const OPENS: [&str; 3] = ["FW0376", "FW0305", "FW0377"];

const DECLARATIONS: &str =
    "interface wan = eth0\ninterface lan = eth1\nset office = { 198.51.100.0/24, 2001:db8:1::/48 }\n";

/// Origins, each with some that are a part of it.
const ORIGINS: [(&str, &[&str]); 7] = [
    ("any", &["world", "office", "container", "lan"]),
    ("world", &["office", "lan", "10.0.0.0/8", "not office"]),
    ("office", &["198.51.100.7", "198.51.100.0/25"]),
    ("10.0.0.0/8", &["10.1.1.1"]),
    ("not office", &["10.1.1.1"]),
    ("host", &[]),
    ("container", &[]),
];
const TARGETS: [&str; 6] = ["host", "host", "container", "container direct", "world", "any"];
/// Services, each with some that are a part of it.
const SERVICES: [(&str, &[&str]); 6] = [
    ("", &["tcp", "udp 53", "icmp"]),
    ("tcp", &["tcp 22", "tcp 8000-8010"]),
    ("tcp 8000-8010", &["tcp 8001", "tcp 8005-8010"]),
    ("{ tcp 80, udp 443 }", &["tcp 80", "udp 443"]),
    ("udp 53", &[]),
    ("icmp", &["ping"]),
];

/// A rule or a default, part by part.
#[derive(Clone, Debug)]
struct Line {
    default: bool,
    action: &'static str,
    family: &'static str,
    service: &'static str,
    from: &'static str,
    to: &'static str,
    via: &'static str,
    option: &'static str,
}

/// Two policies, the second not to let through more than the first, and what was done to it.
#[derive(Debug)]
pub struct Pair {
    pub wide: String,
    pub narrow: String,
    pub change: &'static str,
}

/// Makes pairs, the same from the same seed.
pub struct Pairs {
    random: Random,
}

impl Pairs {
    pub fn new(seed: u64) -> Self {
        Self { random: Random::new(seed) }
    }

    fn one<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.random.below(list.len())]
    }

    fn sometimes(&mut self, one_in: usize, words: &'static str) -> &'static str {
        if self.random.below(one_in) == 0 { words } else { "" }
    }

    fn line(&mut self) -> Line {
        let default = self.random.below(5) == 0;
        let action = self.one(&["allow", "allow", "allow", "deny", "reject", "log"]);
        let (service, _) = self.one(&SERVICES);
        let (from, _) = self.one(&ORIGINS);
        let to = self.one(&TARGETS);
        // A connection crosses one interface where one end alone is outside.
        let outside = |place: &str| !["host", "container", "container direct", "any"].contains(&place);
        let via = if outside(from) != outside(to) && from != "lan" { self.one(&["", "", "wan", "lan"]) } else { "" };
        let family = if service == "icmp" { "" } else { self.sometimes(8, "ipv4") };
        let option = match self.random.below(12) {
            0 => "during mon-fri 08:00-18:00",
            1 if service.starts_with("tcp") => "source port 1024-65535",
            2 => "log \"one \"",
            _ => "",
        };
        Line { default, action, family, service, from, to, via, option }
    }

    /// A random policy and one that is to let through no more.
    pub fn pair(&mut self) -> Pair {
        let alone = self.random.below(3) == 0;
        let count = 2 + self.random.below(5);
        let wide: Vec<Line> = (0..count).map(|_| self.line()).collect();
        let mut narrow = wide.clone();
        let change = self.change(&mut narrow);
        let text = |lines: &[Line]| {
            let lines: String = lines.iter().map(Line::text).collect();
            format!("{DECLARATIONS}{lines}")
        };
        let (wide, narrow) = (text(&wide), text(&narrow));
        if alone {
            return Pair { wide, narrow, change };
        }
        let docker = self.one(&DOCKER);
        Pair { wide: format!("{docker}{wide}"), narrow: format!("{docker}{narrow}"), change }
    }

    fn change(&mut self, lines: &mut Vec<Line>) -> &'static str {
        let rules = |action: &'static str| {
            let is = move |(_, line): &(usize, &Line)| !line.default && line.action == action;
            lines.iter().enumerate().filter(is).map(|(at, _)| at).collect::<Vec<usize>>()
        };
        let (allows, denies) = (rules("allow"), rules("deny"));
        match self.random.below(4) {
            0 if !allows.is_empty() => {
                let at = self.one(&allows);
                lines.remove(at);
                "an allow is removed"
            }
            1 if !denies.is_empty() => {
                let at = self.one(&denies);
                let deny = &mut lines[at];
                match self.random.below(4) {
                    0 => deny.via = "",
                    1 => deny.service = "",
                    2 => deny.option = "",
                    _ => deny.from = "any",
                }
                "a deny is widened"
            }
            2 => {
                let added = Line { default: false, action: "deny", ..self.line() };
                let at = self.random.below(lines.len() + 1);
                lines.insert(at, added);
                "a deny is added"
            }
            _ => match allows.is_empty() {
                true => "nothing",
                false => {
                    let at = self.one(&allows);
                    self.narrowed(&mut lines[at]);
                    "an allow is narrowed"
                }
            },
        }
    }

    fn narrowed(&mut self, allow: &mut Line) {
        let parts = |known: &[(&'static str, &'static [&'static str])], word: &str| -> &'static [&'static str] {
            known.iter().find(|(whole, _)| *whole == word).map_or(&[], |(_, parts)| parts)
        };
        let (services, origins) = (parts(&SERVICES, allow.service), parts(&ORIGINS, allow.from));
        match self.random.below(5) {
            0 if !services.is_empty() => allow.service = self.one(services),
            1 if !origins.is_empty() => allow.from = self.one(origins),
            2 if allow.via.is_empty() && allow.from != "lan" => allow.via = self.one(&["wan", "lan"]),
            3 if allow.option.is_empty() => allow.option = "during mon-fri 08:00-18:00",
            _ => allow.family = if allow.service == "icmp" { "" } else { "ipv4" },
        }
    }
}

impl Line {
    fn text(&self) -> String {
        let word = |before: &str, word: &str| if word.is_empty() { String::new() } else { format!(" {before}{word}") };
        format!(
            "{}{}{}{}{}{}{}{}\n",
            if self.default { "default " } else { "" },
            self.action,
            word("", self.family),
            word("", self.service),
            word("from ", self.from),
            word("to ", self.to),
            word("via ", self.via),
            word("", self.option),
        )
    }
}

/// The flows that one of two policies closes and the other does not.
pub fn closed_in_one(one: &Policy, other: &Policy) -> Vec<Flow> {
    Flow::all().filter(|&flow| one.end(flow).closes() != other.end(flow).closes()).collect()
}

/// What `check` reports of a policy that it opens, and how often.
fn said_to_open(db: &mut Database, text: &str, target: Target) -> BTreeMap<String, usize> {
    let input = fixture::load(db, &[(fixture::POLICY.to_owned(), text.to_owned())], Some(target));
    let compiled = database::compile(db, input, "site".to_owned());
    let mut opens = BTreeMap::new();
    for one in compiled.diagnostics.iter().filter(|one| OPENS.contains(&one.code.number)) {
        *opens.entry(one.message.clone()).or_insert(0) += 1;
    }
    opens
}

/// A policy as a host that has nothing else; none if it has errors.
fn host(db: &mut Database, text: &str, target: Target) -> Option<Host> {
    let input = fixture::load(db, &[(fixture::POLICY.to_owned(), text.to_owned())], Some(target));
    let broken = database::source_diagnostics(db, input).iter().any(Diagnostic::is_error);
    let (policy, faults) = &**database::resolved(db, input);
    if broken || faults.iter().any(Diagnostic::is_error) {
        return None;
    }
    let (ruleset, _) = lower::lower(policy, target);
    Some(Host { ruleset, families: Family::BOTH.to_vec(), policy: Some(policy.clone()), ..Host::default() })
}

#[test]
fn what_is_narrowed_lets_nothing_more_through() {
    let wanted = std::env::var("FWC_PAIRS").ok().and_then(|text| text.parse().ok()).unwrap_or(PAIRS);
    let seed = std::env::var("FWC_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(0x0c10_5ed0);
    let mut pairs = Pairs::new(seed);
    let mut db = Database::default();
    let (mut compared, mut opened, mut said, mut narrower, mut unknown) = (0, 0, 0, 0, 0);
    while compared < wanted {
        let pair = pairs.pair();
        let target = if compared % 2 == 0 { Target::Nft } else { Target::Iptables };
        let (Some(wide), Some(narrow)) = (host(&mut db, &pair.wide, target), host(&mut db, &pair.narrow, target))
        else {
            continue;
        };
        let policies = (wide.policy.as_ref().expect("a policy"), narrow.policy.as_ref().expect("a policy"));
        // Where the only allow of a flow is taken away, the flow is the platform's again, and `diff` says so.
        if !closed_in_one(policies.0, policies.1).is_empty() {
            opened += 1;
            continue;
        }
        let report = compare(&wide, &narrow, false, Effort::default());
        unknown += usize::from(!report.unknown.is_empty());
        let more = report.changes.iter().find(|change| change.kind == Kind::Allowed);
        if more.is_some() {
            let before = said_to_open(&mut db, &pair.wide, target);
            let mut after = said_to_open(&mut db, &pair.narrow, target).into_iter();
            let new = after.any(|(message, count)| before.get(&message).is_none_or(|known| *known < count));
            assert!(new, "{}: {more:?}\n{}\n---\n{}", pair.change, pair.wide, pair.narrow);
            said += 1;
        }
        narrower += usize::from(report.changes.iter().any(|change| change.kind == Kind::Denied));
        compared += 1;
    }
    println!(
        "{compared} pairs: {narrower} let less through, {said} more, and said so, {unknown} not known at some hook; {opened} more leave a flow"
    );
    assert!(said > 0 && said * 20 < compared, "{said} of {compared} let more through");
    assert!(narrower * 3 > compared, "too few pairs differ: {narrower} of {compared}");
    assert!(unknown * 100 < compared, "too much is not known: {unknown} of {compared}");
}
