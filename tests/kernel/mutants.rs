//! Mutants: copies of the emitted text with one rule flipped, left out, or changed places with the next. Every one that means
//! something else must be noticed by the packet run. One that nothing notices must mean the same, and the reasons for that are
//! few: they are told from the text below, and what they do not explain fails.

use std::collections::BTreeMap;

use super::agreement::{Baseline, Subject, states};
use super::emitted::{Backend, Files, load};
use super::hosts::HOSTS;
use super::namespace::inside;
use super::oracle::{Oracle, Outcome, Probe};
use super::program::{build_host, load_platform};
use super::traffic::{Case, Grid, Random};

/// A mutant: what was done, and the file with it done.
struct Mutant {
    what: String,
    file: String,
    text: String,
    reason: Option<&'static str>,
}

/// Whether a line is a rule of a chain of ours, in either syntax.
fn is_rule(line: &str) -> bool {
    let line = line.trim();
    verdict(line).is_some() && (line.starts_with("-A ") || !line.ends_with(['{', ';']) && !line.starts_with('#'))
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
    fields.iter().any(|names| match (field(one, names), field(other, names)) {
        (Some(one), Some(other)) => one.iter().all(|value| !other.contains(value)),
        _ => false,
    })
}

/// Why two rules may change places.
fn interchangeable(line: &str, next: &str) -> Option<&'static str> {
    let invalid = |line: &str| line.contains("ctstate INVALID") || line.contains("ct state invalid");
    let refuses = |line: &str| matches!(verdict(line), Some("DROP" | "REJECT" | "drop" | "reject"));
    let datagrams = |line: &str| field(line, &["-p", "meta l4proto"]).is_some_and(|values| values == ["udp"]);
    if verdict(line) == verdict(next) {
        Some("both rules have one verdict")
    } else if disjoint(line, next) {
        Some("no packet matches both rules")
    } else if invalid(line) && refuses(next) {
        Some("an invalid packet is refused by either")
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

fn mutants(files: &Files) -> Vec<Mutant> {
    let mut mutants = Vec::new();
    for (file, text) in files.iter().filter(|(name, _)| is_program(name)) {
        let lines: Vec<&str> = text.lines().collect();
        let with = |changes: &[(usize, Option<&str>)]| {
            let mut changed: Vec<Option<&str>> = lines.iter().map(|line| Some(*line)).collect();
            for &(at, line) in changes {
                changed[at] = line;
            }
            changed.into_iter().flatten().collect::<Vec<_>>().join("\n") + "\n"
        };
        for (at, line) in lines.iter().enumerate().filter(|(_, line)| is_rule(line)) {
            let mut add = |what: &str, text: String, reason| {
                mutants.push(Mutant { what: format!("{what}: {}", line.trim()), file: file.clone(), text, reason });
            };
            let follower = lines.get(at + 1).filter(|next| is_rule(next) && chain(next) == chain(line));
            if let Some(flipped) = flipped(line) {
                add("flipped", with(&[(at, Some(&flipped))]), None);
            }
            let repeated = is_repeated(&lines, at).then_some("a later rule says the same of more packets");
            add("left out", with(&[(at, None)]), repeated);
            if let Some(next) = follower {
                let reason = interchangeable(line, next);
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

fn faults(baseline: &Baseline, subject: &Subject, cases: &[Case], outcomes: &[Outcome]) -> usize {
    let numbered = cases.iter().zip(outcomes).enumerate();
    numbered.filter(|(at, (case, outcome))| baseline.fault(*at, case, &subject.policy, **outcome).is_some()).count()
}

/// Whether some packet fares otherwise than the policy says. Most mutants show it in the first few hundred.
fn is_noticed(oracle: &mut Oracle<'_>, baseline: &Baseline, subject: &Subject, cases: &[Case]) -> bool {
    const PART: usize = 300;
    cases.chunks(PART).enumerate().any(|(part, cases)| {
        let probes: Vec<Probe> = cases.iter().map(|case| case.probe).collect();
        let outcomes = oracle.judge(&probes);
        let mut numbered = cases.iter().zip(outcomes).enumerate();
        numbered.any(|(at, (case, outcome))| baseline.fault(part * PART + at, case, &subject.policy, outcome).is_some())
    })
}

/// Whether answers no longer find back, or stray segments get in.
fn confused(oracle: &mut Oracle<'_>, cases: &[Case], outcomes: &[Outcome]) -> bool {
    let mut faults = Vec::new();
    states(oracle, cases, outcomes, &mut faults);
    !faults.is_empty()
}

#[test]
fn mutants_of_a_router_are_noticed_by_iptables() {
    survive_none("mutants_of_a_router_are_noticed_by_iptables", "plain", Backend::IptablesNft);
}

#[test]
fn mutants_of_a_router_are_noticed_by_nft() {
    survive_none("mutants_of_a_router_are_noticed_by_nft", "plain", Backend::Nft);
}

#[test]
#[ignore = "rules for roads that the host lacks (IPv6 on its bridges, published ports without NAT) survive"]
fn mutants_of_a_docker_host_are_noticed_by_iptables() {
    survive_none("mutants_of_a_docker_host_are_noticed_by_iptables", "docker-web-28.5", Backend::IptablesNft);
}

#[test]
#[ignore = "rules for roads that the host lacks (IPv6 on its bridges, published ports without NAT) survive"]
fn mutants_of_a_docker_host_are_noticed_by_nft() {
    survive_none("mutants_of_a_docker_host_are_noticed_by_nft", "docker-web-28.5", Backend::Nft);
}

/// Every mutant of a host's program is noticed, or explained.
fn survive_none(test: &str, name: &str, backend: Backend) {
    let case = HOSTS.iter().find(|case| case.name == name).expect(name);
    let subject = Subject::new(case);
    let files = build_host(case, backend).unwrap_or_else(|error| panic!("{name}: {error}"));
    let report = inside(test, &subject.model.plan, |namespace| {
        load_platform(namespace, case, &subject.model, backend);
        let grid = Grid::new(&subject.model, &subject.policy);
        let cases = grid.pick(&subject.model, &subject.policy, 8, 1_200, &mut Random::new(0x0bad_5eed));
        let probes: Vec<Probe> = cases.iter().map(|case| case.probe).collect();
        let mut oracle = Oracle::new(namespace);
        let baseline = Baseline::of(&mut oracle, &subject.model, backend, &cases);
        load(oracle.namespace, &files, backend).unwrap_or_else(|error| panic!("{name}: {error}"));
        let outcomes = oracle.judge(&probes);
        assert_eq!(faults(&baseline, &subject, &cases, &outcomes), 0, "{name}: it is wrong before it is changed");
        let all = mutants(&files);
        let (mut noticed, mut refused) = (0, 0);
        let mut equal: BTreeMap<&str, usize> = BTreeMap::new();
        let mut missed = Vec::new();
        for mutant in &all {
            let changed = Files::from([(mutant.file.clone(), mutant.text.clone())]);
            if load(oracle.namespace, &changed, backend).is_err() {
                refused += 1;
            } else if is_noticed(&mut oracle, &baseline, &subject, &cases)
                || (mutant.reason.is_none() && confused(&mut oracle, &cases, &outcomes))
            {
                noticed += 1;
            } else if let Some(reason) = mutant.reason {
                *equal.entry(reason).or_default() += 1;
            } else {
                missed.push(mutant.what.clone());
            }
            let original = Files::from([(mutant.file.clone(), files[&mutant.file].clone())]);
            load(oracle.namespace, &original, backend).expect("it loaded before");
        }
        println!(
            "{name} with {backend:?}: {} mutants, {noticed} noticed, {refused} refused by the loader, {equal:?}, {} missed",
            all.len(),
            missed.len()
        );
        for what in &missed {
            println!("    missed: {what}");
        }
        missed
    });
    let Some(missed) = report else { return };
    assert!(missed.is_empty(), "{} mutants went unnoticed", missed.len());
}
