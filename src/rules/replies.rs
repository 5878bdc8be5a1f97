//! Answers that are refused though the connections that they belong to are let through.

use std::collections::BTreeSet;

use super::codes::REPLIES_CUT;
use super::walk::{At, Fate, Judged, Parameter, Question, at_hook, judge, reached};
use super::{Subject, is_for_users};
use crate::diagnostic::Diagnostic;
use crate::net::{Card, Family, PortSet, Protocol};
use crate::netfilter::{Chain, Hook, MatchKind, Rule, Ruleset, State, Table, Verdict};

/// Interfaces that no rule names.
const UNNAMED: [&str; 2] = ["other0", "other1"];
/// Connections that are tried for one chain.
const MOST: usize = 400;

pub(super) fn check(subject: &Subject<'_>) -> Vec<Diagnostic> {
    let ruleset = subject.ruleset;
    let mut out = Vec::new();
    for family in Family::BOTH {
        let [input, output, forward] =
            [Hook::Input, Hook::Output, Hook::Forward].map(|hook| at_hook(ruleset, family, hook));
        let interfaces = interfaces(ruleset);
        // A host may be asked, and may ask.
        let opened = tried(family, &input, &interfaces, Hook::Input);
        out.extend(cut(subject, &input, &output, opened));
        let opened = tried(family, &output, &interfaces, Hook::Output);
        out.extend(cut(subject, &output, &input, opened));
        let opened = tried(family, &forward, &interfaces, Hook::Forward);
        out.extend(cut(subject, &forward, &forward, opened));
        // A chain for users is asked before its owner's, whatever else this text has of them.
        let tables = ruleset.tables.iter().filter(|table| super::families(table).contains(&family));
        let users = tables.flat_map(|table| table.chains.iter().map(move |chain| (table, chain)));
        for user in users.filter(|(table, chain)| chain.base.is_none() && is_for_users(table, chain)) {
            let opened = tried(family, &[user], &interfaces, Hook::Forward);
            out.extend(cut(subject, &[user], &[user], opened));
        }
    }
    out
}

type Chains<'r> = [(&'r Table, &'r Chain)];

/// What becomes of a packet in all the chains of a hook.
fn judged<'r>(chains: &Chains<'r>, question: &Question) -> Judged<'r> {
    let mut all = Judged { decided: None, doubts: Vec::new() };
    for (table, chain) in chains {
        let one = judge(table, chain, question);
        all.doubts.extend(one.doubts);
        match one.decided {
            Some((Fate::Refused, _)) => {
                all.decided = one.decided;
                return all;
            }
            // The end of the chain: its policy. No rule stands there to be told.
            None if chain.base.is_some_and(|base| !base.accept) => {
                let at = chain.rules.last().map(|rule| At { table, chain, rule });
                all.decided = at.map(|at| (Fate::Refused, at));
                return all;
            }
            decided => all.decided = all.decided.or(decided),
        }
    }
    all
}

/// The first refused answer for each rule that refuses.
fn cut<'r>(
    subject: &Subject<'_>,
    opening: &Chains<'r>,
    closing: &Chains<'r>,
    opened: Vec<Question>,
) -> Vec<Diagnostic> {
    let mut out: Vec<Diagnostic> = Vec::new();
    for question in opened {
        let first = judged(opening, &question);
        if first.decided.is_some_and(|(fate, _)| fate == Fate::Refused)
            || first.doubts.iter().any(|(fate, _)| *fate == Fate::Refused)
        {
            continue;
        }
        let answer = question.answer();
        let back = judged(closing, &answer);
        let Some((Fate::Refused, at)) = back.decided else { continue };
        if back.doubts.iter().any(|(fate, _)| *fate == Fate::Passed) || !subject.is_told(&at) {
            continue;
        }
        // What a platform lets through, and a policy that is its own, too, refuses: neither is somebody's rule.
        let by_platform = first.decided.is_some_and(|(_, at)| super::is_owned(&at));
        if by_platform && !super::refuses(at.rule) {
            continue;
        }
        // Rules without tracking let answers in by their source port; those are told for what they are.
        let stateless = closing.iter().flat_map(|(table, chain)| reached(table, chain)).any(|(_, at)| {
            at.rule.verdict == Some(Verdict::Accept)
                && at.rule.matches.iter().any(|one| matches!(one.kind, MatchKind::SourcePort(_)))
        });
        let Some(location) = at.rule.origin.filter(|_| !stateless) else { continue };
        out.push(finding(&question, &at, location));
    }
    out
}

fn finding(question: &Question, at: &At<'_>, location: crate::span::Location) -> Diagnostic {
    let protocol = question.protocol;
    let by_policy = !super::refuses(at.rule);
    let [arrives, departs] = [&question.arrives, &question.departs].map(|interface| interface.as_deref().map(named));
    let answers = match (arrives, departs) {
        (None, _) => format!("answers over {protocol} to connections that this host opens"),
        (_, None) => format!("this host's answers over {protocol}"),
        (Some(arrives), Some(departs)) if arrives == departs => format!("answers over {protocol} to what is sent on"),
        (Some(arrives), Some(departs)) => {
            format!("answers over {protocol} to what comes in by {arrives} and leaves by {departs}")
        }
    };
    let message = format!("{answers} are refused");
    let found = Diagnostic::new(&REPLIES_CUT, location, message);
    let found = if by_policy {
        found.label(format!("behind this, the policy of {} refuses them", at.chain.name))
    } else {
        found.label("refuses them")
    };
    found.help("accept answers of every protocol first: `-m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT`")
}

/// An interface as it is called in a message.
fn named(interface: &str) -> &str {
    match interface {
        unnamed if UNNAMED.contains(&unnamed) => "another interface",
        parameter if parameter.starts_with("$(") => "an interface that a command names",
        name => name,
    }
}

/// Names of interfaces that rules tell apart.
fn interfaces(ruleset: &Ruleset) -> Vec<String> {
    let mut names: BTreeSet<String> = UNNAMED.map(str::to_owned).into();
    for rule in ruleset.tables.iter().flat_map(|table| &table.chains).flat_map(|chain| &chain.rules) {
        for one in &rule.matches {
            if let MatchKind::InInterface(cards) | MatchKind::OutInterface(cards) = &one.kind {
                names.extend(cards.iter().map(Card::sample).filter(|name| name != "lo"));
            }
            if let MatchKind::Unknown(words) = &one.kind {
                names.extend(Parameter::read(words).map(|parameter| parameter.name.to_owned()));
            }
        }
    }
    names.into_iter().take(8).collect()
}

/// First packets to try: one that no rule names, and for each rule that lets packets through, one that it is for.
fn tried(family: Family, chains: &Chains<'_>, interfaces: &[String], hook: Hook) -> Vec<Question> {
    let mut out = Vec::new();
    let ways = || -> Vec<(Option<String>, Option<String>)> {
        let all = interfaces.iter().cloned().map(Some);
        match hook {
            Hook::Input => all.map(|name| (name, None)).collect(),
            Hook::Output => all.map(|name| (None, name)).collect(),
            _ => interfaces
                .iter()
                .flat_map(|one| interfaces.iter().map(move |other| (Some(one.clone()), Some(other.clone()))))
                .filter(|(one, other)| one != other)
                .collect(),
        }
    };
    let mut add = |first: &Question| {
        for (arrives, departs) in ways() {
            out.push(Question { arrives, departs, ..first.clone() });
        }
    };
    let unnamed = Question {
        family,
        protocol: Protocol::TCP,
        state: State::NEW,
        arrives: None,
        departs: None,
        source: None,
        destination: None,
        source_port: None,
        port: None,
        original_port: None,
    };
    for protocol in [Protocol::TCP, Protocol::UDP] {
        add(&Question { protocol, ..unnamed.clone() });
    }
    for (table, chain) in chains {
        for (_, at) in reached(table, chain) {
            if super::lets_through(&at) && super::takes_first(at.rule) {
                add(&example(at.rule, unnamed.clone()));
            }
        }
    }
    out.truncate(MOST);
    out
}

/// A packet that a rule is for.
fn example(rule: &Rule, mut question: Question) -> Question {
    for one in rule.matches.iter().filter(|one| !one.negated) {
        let first = |asked: &PortSet| asked.ranges().first().map(|range| range.first);
        match &one.kind {
            MatchKind::Protocol(asked) => question.protocol = asked.first().copied().unwrap_or(question.protocol),
            MatchKind::DestinationPort(asked) => question.port = first(asked),
            MatchKind::OriginalDestinationPort(asked) => question.original_port = first(asked),
            MatchKind::Source(asked) | MatchKind::OriginalSource(asked) => question.source = Some(asked.clone()),
            MatchKind::Destination(asked) => question.destination = Some(asked.clone()),
            _ => {}
        }
    }
    question
}
