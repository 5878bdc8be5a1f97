//! Mutants: copies of the emitted text with one rule flipped, left out, or changed places with the next. Every one that means
//! something else must be noticed by the packet run. One that nothing notices must mean the same, and the reasons for that are
//! few: they are told from the text below, or from the kernel's counters: a rule that no packet of the host's whole grid comes to
//! decides nothing there. But such a rule must take packets on another host with the same policy. What is explained by neither
//! fails.
//!
//! A mutant of a rule shows only in what that rule takes; so the counters also say which part of the run it has to face.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::agreement::{Baseline, Subject};
use super::conversation::{FollowUp, follow_ups, older, outlive};
use super::counters::{Place, counted};
use super::emitted::{Backend, Files, load};
use super::emptied::unload;
use super::hosts::{HOSTS, HostCase};
use super::namespace::inside;
use super::oracle::{Oracle, Outcome, Probe};
use super::program::{build_host, load_platform};
use super::traffic::{Case, Grid, Random};

/// Packets that are judged together.
const PART: usize = 60;

/// A mutant: what was done, to which rule, and the file with it done.
struct Mutant {
    what: String,
    file: String,
    rule: usize,
    /// The same thing done to the same rule on another host.
    key: String,
    text: String,
    reason: Option<&'static str>,
}

/// Whether a line is a rule of a chain of ours, in either syntax.
fn is_rule(line: &str) -> bool {
    let line = line.trim();
    (verdict(line).is_some() || line.contains(" vmap "))
        && (line.starts_with("-A ") || !line.ends_with(['{', ';']) && !line.starts_with('#'))
}

/// Verdict words, iptables' and nft's.
const VERDICTS: [&str; 8] = ["ACCEPT", "RETURN", "DROP", "REJECT", "accept", "return", "drop", "reject"];

/// A rule's verdict: the word behind `-j`, or nft's among the last words.
fn verdict(line: &str) -> Option<&str> {
    let bare = without_comment(line);
    let words: Vec<&str> = bare.split_whitespace().collect();
    let found = words.iter().rev().find(|word| VERDICTS.contains(word))?;
    line.find(found).map(|at| &line[at..at + found.len()])
}

/// The line without the quoted texts in it.
fn without_comment(line: &str) -> String {
    line.split('"').step_by(2).collect::<Vec<_>>().join("\"\"")
}

/// The rule with its verdict turned round; a rule that looks its verdict up, with each of them turned round.
fn flips(line: &str) -> Vec<String> {
    if !line.contains(" vmap ") {
        return flipped(line).into_iter().collect();
    }
    let words = line.match_indices(|c: char| c.is_ascii_alphabetic()).map(|(at, _)| at);
    let starts = words.filter(|&at| line[..at].ends_with(": "));
    let turned = starts.filter_map(|at| {
        let word = VERDICTS.iter().find(|word| line[at..].starts_with(**word))?;
        let other = if matches!(*word, "accept" | "return") { "drop" } else { "return" };
        Some(format!("{}{other}{}", &line[..at], &line[at + word.len()..]))
    });
    turned.collect()
}

fn flipped(line: &str) -> Option<String> {
    let word = verdict(line)?;
    let other = match word {
        "ACCEPT" | "RETURN" => "DROP",
        "DROP" | "REJECT" => "RETURN",
        "accept" | "return" => "drop",
        _ => "return",
    };
    // Everything behind a reject's word is about the answer.
    let at = line.rfind(&format!(" {word}"))? + 1;
    let rest = &line[at + word.len()..];
    let comment = rest.find("comment").map_or("", |at| &rest[at..]);
    let rest = if word.eq_ignore_ascii_case("reject") { comment } else { rest };
    Some(format!("{}{other} {}", &line[..at], rest.trim_start()))
}

/// What a rule compares, without verdict and remark.
fn matches(line: &str) -> String {
    let bare = without_comment(line);
    let end = verdict(&bare).and_then(|word| bare.rfind(word)).unwrap_or(bare.len());
    bare[..end].trim_end_matches("-j ").replace("-m comment --comment \"\"", "").trim().to_owned()
}

/// The values of a field in a rule, where it says some, and says nothing of the others.
fn field(line: &str, names: &[&str]) -> Option<Vec<String>> {
    names.iter().find_map(|name| {
        let at = line.find(&format!("{name} "))?;
        if line[..at].trim_end().ends_with('!') {
            return None;
        }
        let rest = &line[at + name.len() + 1..];
        let values = match rest.strip_prefix('{') {
            Some(rest) => rest.split('}').next()?,
            None => rest.split_whitespace().next()?,
        };
        let values = values.split(',').map(|value| value.trim().to_owned());
        // What is negated, a set by name, or a pattern tells nothing here.
        Some(values.collect::<Vec<_>>())
            .filter(|values| values.iter().all(|value| !value.starts_with(['!', '@']) && !value.ends_with(['+', '*'])))
    })
}

/// Whether no packet can match both rules: a field of which each names values, and none in common.
fn disjoint(one: &str, other: &str) -> bool {
    let fields: [&[&str]; 5] = [
        &["-p", "meta l4proto"],
        &["-i", "iifname"],
        &["-o", "oifname"],
        &["--icmp-type", "--icmpv6-type", "icmp type", "icmpv6 type"],
        &["--ctstate", "ct state"],
    ];
    let ranged: [&[&str]; 4] = [
        &["-s", "ip saddr", "ip6 saddr"],
        &["-d", "ip daddr", "ip6 daddr"],
        &["--dport", "--dports", "th dport"],
        &["--ctorigdstport", "ct original proto-dst"],
    ];
    let none_common = |names: &&[&str], meet: fn(&str, &str) -> bool| match (field(one, names), field(other, names)) {
        (Some(one), Some(other)) => one.iter().all(|value| !other.iter().any(|other| meet(value, other))),
        _ => false,
    };
    let opposite = |one: &str, other: &str| {
        let bare = |line: &str| matches(line).replace("!= ", "").replace("! ", "");
        matches(one) != matches(other) && bare(one) == bare(other)
    };
    // A packet of no connection has neither a direction nor an original destination.
    let invalid = is_of_invalid;
    let connected = |line: &str| {
        ["--ctdir", "--ctorigdst", "--ctstate DNAT", "ct direction", "ct status", "ct original"]
            .iter()
            .any(|word| line.contains(word))
    };
    let family = |line: &str| {
        let says = |words: [&str; 2]| words.iter().any(|word| line.contains(word));
        (!line.contains("-A ")).then_some((says(["ip saddr", "ip daddr"]), says(["ip6 saddr", "ip6 daddr"])))
    };
    let apart = matches!(
        (family(one), family(other)),
        (Some((true, false)), Some((false, true))) | (Some((false, true)), Some((true, false)))
    );
    apart
        || invalid(one) && connected(other)
        || fields.iter().any(|names| none_common(names, |one, other| one == other))
        || ranged.iter().any(|names| none_common(names, meet))
        || opposite(one, other)
}

/// Whether two values, addresses or ports, with prefix lengths or ranges, have something in common.
fn meet(one: &str, other: &str) -> bool {
    let ends = |text: &str| {
        let port = |text: &str| {
            text.parse::<u16>().ok().map(|port| std::net::IpAddr::from([0, 0, (port >> 8) as u8, port as u8]))
        };
        if let Ok(net) = text.parse::<ipnet::IpNet>() {
            return Some((net.network(), net.broadcast()));
        }
        if let Ok(address) = text.parse::<std::net::IpAddr>() {
            return Some((address, address));
        }
        let (first, last) = text.split_once([':', '-']).unwrap_or((text, text));
        Some((port(first)?, port(last)?))
    };
    match (ends(one), ends(other)) {
        (Some((first, last)), Some((from, to))) => first <= to && from <= last,
        _ => true,
    }
}

/// Whether a rule takes packets that belong to no connection.
fn is_of_invalid(line: &str) -> bool {
    line.contains("--ctstate INVALID") && !line.contains("! --ctstate INVALID") || line.contains("ct state invalid")
}

/// Why two rules may change places.
fn interchangeable(line: &str, next: &str) -> Option<&'static str> {
    let invalid = is_of_invalid;
    let refuses = |line: &str| matches!(verdict(line), Some("DROP" | "REJECT" | "drop" | "reject"));
    let only = |line: &str, wanted: [&str; 2]| {
        let kinds = field(line, &["--icmp-type", "--icmpv6-type", "icmp type", "icmpv6 type"]);
        kinds.is_some_and(|kinds| kinds.iter().all(|kind| wanted.contains(&kind.as_str())))
    };
    let echo = |line: &str| only(line, ["8", "128"]);
    let neighbours = |line: &str| only(line, ["135", "136"]);
    let datagrams = |line: &str| field(line, &["-p", "meta l4proto"]).is_some_and(|values| values == ["udp"]);
    if verdict(line) == verdict(next) {
        Some("both rules have one verdict")
    } else if disjoint(line, next) {
        Some("no packet matches both rules")
    } else if invalid(line) && refuses(next) {
        Some("an invalid packet is refused by either")
    } else if invalid(line) && echo(next) {
        Some("an echo request is never invalid")
    } else if neighbours(line) && invalid(next) {
        Some("neighbour discovery is untracked")
    } else if invalid(line) && datagrams(next) {
        Some("a datagram is never invalid")
    } else {
        None
    }
}

/// Whether the rules behind this one, up to one that takes every packet, have its verdict.
fn is_repeated(lines: &[&str], at: usize) -> bool {
    let line = lines[at];
    let rest = lines[at + 1..].iter().take_while(|next| is_rule(next) && chain(next) == chain(line));
    for next in rest {
        if disjoint(line, next) {
            continue;
        }
        if verdict(next) != verdict(line) {
            return false;
        }
        let bare = matches(next);
        if bare.is_empty() || bare == format!("-A {}", chain(next)) || matches(line).starts_with(&bare) {
            return true;
        }
    }
    false
}

/// Whether the rule passes what is established, and no rule behind it in its chain takes any of that.
fn is_left_alone(lines: &[&str], at: usize) -> bool {
    let line = lines[at];
    let bare = matches(line);
    let established = ["-m conntrack --ctstate ESTABLISHED,RELATED", "ct state established,related"];
    let mut rest = lines[at + 1..].iter().take_while(|next| is_rule(next) && chain(next) == chain(line));
    established.iter().any(|words| bare.ends_with(words)) && rest.all(|next| disjoint(line, next))
}

/// A rule that asks a set, with the sources that the set lists in its place.
fn spelled_out(line: &str, files: &Files) -> String {
    let sets = files.iter().find(|(name, _)| name.ends_with(".ipset"));
    let (Some((_, sets)), Some(at)) = (sets, line.find("-m set --match-set ")) else { return line.to_owned() };
    let words: Vec<&str> = line[at..].split(' ').take(5).collect();
    if !words[4].starts_with("src") || line[..at].trim_end().ends_with('!') {
        return line.to_owned();
    }
    // A set is filled under another name, and then changed for the one in use.
    let mut sources = BTreeSet::new();
    for line in sets.lines() {
        let words_of_set: Vec<&str> = line.split(' ').collect();
        match words_of_set[..] {
            ["flush" | "create", ..] => sources.clear(),
            ["add", _, member, ..] => drop(sources.insert(member.split(',').next().unwrap_or(member))),
            ["swap", _, name] if name == words[3] => break,
            _ => {}
        }
    }
    let sources: Vec<&str> = sources.into_iter().collect();
    line.replace(&words.join(" "), &format!("-s {}", sources.join(",")))
}

fn mutants(files: &Files) -> Vec<Mutant> {
    let mut mutants = Vec::new();
    for (file, text) in files.iter().filter(|(name, _)| is_program(name)) {
        let lines: Vec<&str> = text.lines().collect();
        let spelled: Vec<String> = lines.iter().map(|line| spelled_out(line, files)).collect();
        let spelled: Vec<&str> = spelled.iter().map(String::as_str).collect();
        let with = |changes: &[(usize, Option<&str>)]| {
            let mut changed: Vec<Option<&str>> = lines.iter().map(|line| Some(*line)).collect();
            for &(at, line) in changes {
                changed[at] = line;
            }
            changed.into_iter().flatten().collect::<Vec<_>>().join("\n") + "\n"
        };
        for (at, line) in lines.iter().enumerate().filter(|(_, line)| is_rule(line)) {
            let follower = lines.get(at + 1).filter(|next| is_rule(next) && chain(next) == chain(line));
            let mut add = |what: &str, text: String, reason| {
                let mut key = format!("{what} {}", in_place(file, &lines, at));
                let mut name = format!("{what} in {file}, line {}: {}", at + 1, line.trim());
                if let Some(next) = follower.filter(|_| what.starts_with("changed")) {
                    key += &format!(" and {}", shape(next));
                    name += &format!(" and {}", next.trim());
                }
                mutants.push(Mutant { what: name, file: file.clone(), rule: at, key, text, reason });
            };
            for (number, flipped) in flips(line).iter().enumerate() {
                add(["flipped", "flipped in another place"][number.min(1)], with(&[(at, Some(flipped))]), None);
            }
            let repeated = is_repeated(&spelled, at).then_some("a later rule says the same of more packets");
            let passing = is_left_alone(&spelled, at)
                .then_some("nothing of ours refuses what is established there; it is left to the platform");
            add("left out", with(&[(at, None)]), repeated.or(passing));
            if let Some(next) = follower {
                let reason = interchangeable(spelled[at], spelled[at + 1]);
                add("changed places with the next", with(&[(at, Some(next)), (at + 1, Some(line))]), reason);
            }
        }
    }
    mutants
}

fn is_program(name: &str) -> bool {
    [".rules.v4", ".rules.v6", ".nft"].iter().any(|ending| name.ends_with(ending)) && !name.contains(".empty.")
}

/// iptables names the chain in each line; nft's chains end at braces, which are no rules.
fn chain(line: &str) -> &str {
    line.strip_prefix("-A ").and_then(|rest| rest.split(' ').next()).unwrap_or_default()
}

/// A part of the run.
enum Trial {
    /// First packets.
    First(Range<usize>),
    /// What follows them.
    After(FollowUp),
    /// Connections that are older than the policy.
    Older(Vec<usize>),
}

/// A host under its own program: the run in parts, and which rules took a packet in which of them.
struct Run<'a> {
    subject: &'a Subject,
    backend: Backend,
    files: &'a Files,
    cases: Vec<Case>,
    baseline: Baseline,
    trials: Vec<Trial>,
    taken: BTreeMap<Place, Vec<usize>>,
}

impl<'a> Run<'a> {
    /// Runs it all once, and counts.
    fn new(oracle: &mut Oracle<'_>, subject: &'a Subject, backend: Backend, files: &'a Files) -> Self {
        let grid = Grid::new(&subject.model, &subject.policy);
        let cases = grid.pick(&subject.model, &subject.policy, 8, 1_200, &mut Random::new(0x0bad_5eed));
        let baseline = Baseline::of(oracle, &subject.model, backend, files, &cases);
        let (counting, mut counters) = counted(files, backend, is_rule);
        load(oracle.namespace, &counting, backend).expect("a copy that counts loads");
        let mut trials = Vec::new();
        let mut taken: BTreeMap<Place, Vec<usize>> = BTreeMap::new();
        let mut outcomes = Vec::new();
        let mut faults = Vec::new();
        let mut note = |places: Vec<Place>, trial: usize| {
            for place in places {
                taken.entry(place).or_default().push(trial);
            }
        };
        for start in (0..cases.len()).step_by(PART) {
            let part = start..(start + PART).min(cases.len());
            let probes: Vec<Probe> = cases[part.clone()].iter().map(|case| case.probe).collect();
            outcomes.extend(oracle.judge(&probes));
            note(counters.taken(oracle.namespace), trials.len());
            trials.push(Trial::First(part));
        }
        for (at, (case, &outcome)) in cases.iter().zip(&outcomes).enumerate() {
            faults.extend(baseline.fault(at, case, &subject.policy, outcome));
        }
        for follow_up in follow_ups(&subject.policy, &cases, &outcomes, 2) {
            faults.extend(follow_up.faults(oracle, &cases));
            note(counters.taken(oracle.namespace), trials.len());
            trials.push(Trial::After(follow_up));
        }
        let older = older(&subject.policy, &cases, &baseline.alone, 1);
        counters.forget();
        faults.extend(outlive(
            oracle,
            &cases,
            &older,
            |oracle| unload(oracle.namespace, files, backend),
            |oracle| load(oracle.namespace, &counting, backend).expect("it loaded before"),
        ));
        note(counters.taken(oracle.namespace), trials.len());
        trials.push(Trial::Older(older));
        assert!(faults.is_empty(), "it is wrong before it is changed: {} faults\n{}", faults.len(), faults.join("\n"));
        load(oracle.namespace, files, backend).expect("the program itself loads");
        Self { subject, backend, files, cases, baseline, trials, taken }
    }

    /// Whether some packet that comes to the mutant's rule fares otherwise than it should.
    fn notices(&self, oracle: &mut Oracle<'_>, mutant: &Mutant) -> bool {
        let place = (mutant.file.clone(), mutant.rule);
        let trials = self.taken.get(&place).map_or(&[][..], Vec::as_slice);
        trials.iter().any(|&trial| match &self.trials[trial] {
            Trial::First(part) => {
                let probes: Vec<Probe> = self.cases[part.clone()].iter().map(|case| case.probe).collect();
                let outcomes = oracle.judge(&probes);
                let fault = |(at, outcome): (usize, Outcome)| {
                    self.baseline.fault(at, &self.cases[at], &self.subject.policy, outcome)
                };
                part.clone().zip(outcomes).any(|packet| fault(packet).is_some())
            }
            Trial::After(follow_up) => !follow_up.faults(oracle, &self.cases).is_empty(),
            Trial::Older(older) => {
                let faults = outlive(
                    oracle,
                    &self.cases,
                    older,
                    |oracle| unload(oracle.namespace, self.files, self.backend),
                    |oracle| {
                        load(oracle.namespace, self.files, self.backend).expect("it loaded before");
                        load(oracle.namespace, &mutant.files(), self.backend).expect("it loaded before");
                    },
                );
                !faults.is_empty()
            }
        })
    }
}

/// A rule's file and chain, and its shape.
fn in_place(file: &str, lines: &[&str], at: usize) -> String {
    let family = file.rsplit('.').next().unwrap_or_default();
    let chain =
        lines[..at].iter().rev().find_map(|line| line.trim().strip_prefix("chain ")).filter(|_| family == "nft");
    format!("{family} {} {}", chain.unwrap_or_default(), shape(lines[at]))
}

impl Mutant {
    fn files(&self) -> Files {
        Files::from([(self.file.clone(), self.text.clone())])
    }
}

/// A rule without what differs from host to host: names of bridges, and in the rules that lead on, published ports.
fn shape(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut kept: Vec<&str> = Vec::new();
    let leads_on = !line.contains("comment");
    let mut values = false;
    for word in words {
        let of_host = matches!(word, "-i" | "-o" | "iifname" | "oifname")
            || leads_on
                && matches!(word, "--dport" | "--dports" | "multiport" | "dport" | "proto-dst" | "-d" | "daddr");
        let open = kept.last().is_some_and(|last| last.ends_with('('));
        if values || open && word == "{" {
            values = !word.ends_with('}');
            if !values {
                kept.push(")");
            }
        } else if open {
            kept.push(")");
        } else if of_host {
            kept.push("(");
        } else {
            // Where table mangle judges in filter's place, the chain is the same one.
            kept.push(if word.starts_with("fwc-") { word.trim_end_matches("-m") } else { word });
        }
    }
    kept.join(" ")
}

#[test]
fn mutants_of_a_router_are_noticed_by_iptables() {
    survive_none("mutants_of_a_router_are_noticed_by_iptables", "plain", &[], Backend::IptablesNft);
}

#[test]
fn mutants_of_a_router_are_noticed_by_nft() {
    survive_none("mutants_of_a_router_are_noticed_by_nft", "plain", &[], Backend::Nft);
}

/// Hosts with the same policy as the first, on which rules for other roads take packets.
const DOCKER: [&str; 3] = ["docker-unmanaged", "docker-web-28.5", "docker-dual-20.10"];

#[test]
fn mutants_of_a_docker_host_are_noticed_by_iptables() {
    survive_none("mutants_of_a_docker_host_are_noticed_by_iptables", "docker-dual-28.5", &DOCKER, Backend::IptablesNft);
}

#[test]
fn mutants_of_a_docker_host_are_noticed_by_nft() {
    survive_none("mutants_of_a_docker_host_are_noticed_by_nft", "docker-dual-28.5", &DOCKER, Backend::Nft);
}

fn host(name: &str) -> &'static HostCase {
    HOSTS.iter().find(|case| case.name == name).expect(name)
}

/// Runs `body` on a host under its own program.
fn on<T: Send>(
    test: &str,
    name: &str,
    backend: Backend,
    body: impl FnOnce(&mut Oracle<'_>, &Run<'_>) -> T + Send,
) -> Option<T> {
    let case = host(name);
    let subject = Subject::new(case);
    let files = build_host(case, backend).unwrap_or_else(|error| panic!("{name}: {error}"));
    inside(test, &subject.model.plan, |namespace| {
        load_platform(namespace, case, &subject.model, backend);
        let mut oracle = Oracle::new(namespace);
        let run = Run::new(&mut oracle, &subject, backend, &files);
        body(&mut oracle, &run)
    })
}

/// What became of the mutants of one host.
#[derive(Default)]
struct Report {
    tried: usize,
    /// Of those that were noticed or are explained.
    noticed_keys: BTreeSet<String>,
    noticed: usize,
    refused: usize,
    equal: BTreeMap<&'static str, usize>,
    /// Of rules that no packet of this host comes to: what was done, and the mutant's key.
    unreached: Vec<(String, String)>,
    /// Nothing was noticed where packets do come to the rule.
    missed: Vec<(String, String)>,
}

impl Report {
    fn of(oracle: &mut Oracle<'_>, run: &Run<'_>, wanted: impl Fn(&str) -> bool) -> Self {
        let mut report = Self::default();
        let mut changed: Option<String> = None;
        for mutant in mutants(run.files).iter().filter(|mutant| wanted(&mutant.key)) {
            report.tried += 1;
            let left = (mutant.what.clone(), mutant.key.clone());
            if !run.taken.contains_key(&(mutant.file.clone(), mutant.rule)) {
                match mutant.reason {
                    Some(reason) => *report.equal.entry(reason).or_default() += 1,
                    None => report.unreached.push(left),
                }
                continue;
            }
            if let Some(before) = changed.filter(|before| *before != mutant.file) {
                let original = Files::from([(before.clone(), run.files[&before].clone())]);
                load(oracle.namespace, &original, run.backend).expect("it loaded before");
            }
            changed = Some(mutant.file.clone());
            if load(oracle.namespace, &mutant.files(), run.backend).is_err() {
                report.refused += 1;
            } else if run.notices(oracle, mutant) {
                report.noticed += 1;
                report.noticed_keys.insert(mutant.key.clone());
            } else if let Some(reason) = mutant.reason {
                report.noticed_keys.insert(mutant.key.clone());
                *report.equal.entry(reason).or_default() += 1;
            } else {
                report.missed.push(left);
            }
        }
        report
    }

    fn print(&self, name: &str, backend: Backend) {
        println!(
            "{name} with {backend:?}: {} mutants, {} noticed, {} refused by the loader, equal: {:?}, {} of rules that no packet of this host comes to, {} unnoticed",
            self.tried,
            self.noticed,
            self.refused,
            self.equal,
            self.unreached.len(),
            self.missed.len()
        );
    }
}

/// Every mutant of a host's program is noticed there, or on another host with the same policy; or it is explained.
fn survive_none(test: &str, name: &str, others: &[&str], backend: Backend) {
    let report = on(test, name, backend, |oracle, run| Report::of(oracle, run, |_| true));
    let Some(report) = report else { return };
    report.print(name, backend);
    // What no packet comes to for one bridge is noticed for another.
    let unreached = report.unreached.into_iter().filter(|(_, key)| !report.noticed_keys.contains(key));
    let mut left: Vec<(String, String)> = report.missed.into_iter().chain(unreached).collect();
    for other in others {
        let wanted: BTreeSet<&str> = left.iter().map(|(_, key)| key.as_str()).collect();
        if wanted.is_empty() {
            break;
        }
        let report = on(test, other, backend, |oracle, run| Report::of(oracle, run, |key| wanted.contains(key)));
        let Some(report) = report else { return };
        report.print(other, backend);
        left.retain(|(_, key)| !report.noticed_keys.contains(key));
    }
    for (what, _) in &left {
        println!("    unnoticed: {what}");
    }
    assert!(left.is_empty(), "{} mutants went unnoticed", left.len());
}
