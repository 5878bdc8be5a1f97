//! What is said of an assertion that does not hold, or not for certain.

use crate::diagnostic::Diagnostic;
use crate::netfilter::{Hook, TableKind, Verdict};
use crate::policy::{Action, Policy, Rank};
use crate::span::Location;

use super::beyond::Beyond;
use super::codes::{ASSERT_FAILS, ASSERT_POSSIBLY_FAILS, ASSERT_SAYS_NOTHING, ASSERT_UNDECIDED};
use super::example::Teller;
use super::judge::{Claim, Court, Meaning};
use super::world::World;
use super::{Finding, Outcome, Proof, rule_at};

/// No packet is what it speaks of.
pub(super) fn nothing(location: Location) -> Proof {
    let diagnostic = Diagnostic::new(&ASSERT_SAYS_NOTHING, location, "no connection is what this assert speaks of")
        .label("holds whatever the policy says")
        .help("see that its ends, its service and its `via` can go together on this host");
    Proof { location, outcome: Outcome::Nothing, diagnostic: Some(diagnostic) }
}

/// The effort was spent.
pub(super) fn undecided(location: Location) -> Proof {
    let diagnostic =
        Diagnostic::new(&ASSERT_UNDECIDED, location, "whether this assert holds could not be worked out in time")
            .label("neither proved nor refuted")
            .help("say it in several asserts, each of one service or one origin");
    Proof { location, outcome: Outcome::Undecided, diagnostic: Some(diagnostic) }
}

/// Some packet fares otherwise.
pub(super) fn found(
    policy: &Policy,
    court: &mut Court<'_>,
    claim: Claim,
    location: Location,
    finding: &Finding,
) -> Proof {
    let found = &finding.found;
    let (outcome, code) =
        if found.certain { (Outcome::Fails, &ASSERT_FAILS) } else { (Outcome::Possibly, &ASSERT_POSSIBLY_FAILS) };
    let packet = {
        let universe = &court.space(finding.bench.family).universe;
        let teller =
            Teller { policy, universe, flow: finding.flow, hook: finding.bench.hook, world: finding.bench.world };
        teller.words(&found.cube)
    };
    let stopped_behind = match &finding.beyond {
        Beyond::Closed(_) => matches!(found.meaning, Meaning::Allowed | Meaning::Left),
        _ => false,
    };
    let fares = match found.meaning {
        _ if stopped_behind => "stopped by the platform",
        Meaning::Allowed => "allowed",
        Meaning::Left => "left to the platform",
        Meaning::Denied if claim == Claim::Reject => "dropped without an answer",
        Meaning::Denied => "denied",
        Meaning::Rejected => "rejected",
        Meaning::Unknown => "decided by words that fwc does not know",
    };
    let message = if found.certain {
        format!("this assert fails: some of these connections are {fares}")
    } else {
        format!("this assert possibly fails: some of these connections may be {fares}")
    };
    let mut diagnostic = Diagnostic::new(code, location, message).label(match claim {
        Claim::Allow => "not all of this is allowed",
        Claim::Deny => "not all of this is denied",
        Claim::Reject => "not all of this is rejected",
    });
    let rule = found.place.and_then(|place| rule_at(&court.ruleset, place)).cloned();
    let chain =
        found.place.and_then(|place| court.ruleset.tables.get(place.table as usize)?.chains.get(place.chain as usize));
    let limit = chain.is_some_and(|chain| chain.name.starts_with("fwc-limit-") || chain.name.starts_with("fwc-over-"));
    if let Some(origin) = rule.as_ref().and_then(|rule| rule.origin) {
        let drops = matches!(rule.as_ref().and_then(|rule| rule.verdict.as_ref()), Some(Verdict::Drop));
        let what = match found.meaning {
            Meaning::Denied if limit => "beyond this limit it is denied",
            Meaning::Allowed if limit => "within this limit it is allowed",
            Meaning::Denied if drops && is_allow(policy, origin) => {
                "this allows a part of the flow, so that the rest of it ends in deny"
            }
            Meaning::Denied | Meaning::Rejected => "denied here",
            Meaning::Allowed => "allowed here",
            Meaning::Left | Meaning::Unknown => "decided here",
        };
        if origin != location {
            diagnostic = diagnostic.related(origin, what);
        }
    }
    diagnostic = diagnostic.note(format!("for example `{packet}`, {}", road(finding)));
    for note in circumstances(finding) {
        diagnostic = diagnostic.note(note);
    }
    diagnostic = diagnostic.help(advice(claim, finding, limit));
    Proof { location, outcome, diagnostic: Some(diagnostic) }
}

/// Whether a line of the policy is an allow.
fn is_allow(policy: &Policy, place: Location) -> bool {
    let own = policy.flows.values().flatten().filter(|judgement| judgement.location == place);
    own.filter(|judgement| judgement.rank != Rank::End).any(|judgement| judgement.action == Action::Allow)
}

/// Where the packet passes.
fn road(finding: &Finding) -> String {
    let flow = finding.flow;
    let hook = finding.bench.hook.chain();
    match (finding.bench.world, finding.bench.hook) {
        (World::Translated, _) => format!("from {flow}: in {hook}, dialled at an address of this host and translated"),
        (_, Hook::Input) if flow.to == crate::policy::Class::Container => {
            format!("from {flow}: in {hook}, taken in by docker-proxy")
        }
        (_, Hook::Forward) if flow.to == crate::policy::Class::Container => {
            format!("from {flow}: in {hook}, sent to the container's own address")
        }
        _ => format!("from {flow}: in {hook}"),
    }
}

/// What it rests on.
fn circumstances(finding: &Finding) -> Vec<String> {
    let found = &finding.found;
    let mut notes = Vec::new();
    if finding.if_published {
        notes
            .push("no fact says what is published: on INPUT, docker-proxy's ports look like the host's own".to_owned());
    }
    for text in &found.conditions {
        notes.push(if let Some(set) = text.strip_prefix("member of ") {
            let set = set.split(' ').next().unwrap_or(set);
            format!("it depends on what others fill into the set `{set}`")
        } else if text.starts_with("time ") {
            "it depends on the time of day".to_owned()
        } else if let Some(user) = text.strip_prefix("owner ") {
            format!("it depends on whether the user `{user}` opens it")
        } else if text.contains(": limit ") || text.contains(": more than ") {
            "it depends on how many came before".to_owned()
        } else {
            let words = text.rsplit_once(" (question ").map_or(text.as_str(), |(words, _)| words);
            format!("it depends on words that fwc does not know: `{}`", words.trim_end_matches(" decides"))
        });
    }
    notes.dedup();
    match (&finding.beyond, found.meaning) {
        (Beyond::Depends(reasons), Meaning::Left | Meaning::Allowed) => notes.extend(reasons.iter().cloned()),
        (Beyond::Closed(by), Meaning::Left | Meaning::Allowed) => notes.push(format!("dropped by {by}")),
        (Beyond::Open, Meaning::Left) => notes.push("no rule speaks of it, and Docker lets it through".to_owned()),
        (Beyond::Nobody, Meaning::Left) => {
            notes.push(
                "no rule of this policy speaks of it: other rules on the host decide, if there are any".to_owned(),
            );
        }
        _ => {}
    }
    if found.meaning == Meaning::Denied && finding.bench.table.1 == TableKind::Mangle {
        notes.push("IPv6 of containers is judged in table mangle, which has no REJECT".to_owned());
    }
    notes
}

fn advice(claim: Claim, finding: &Finding, limit: bool) -> String {
    let flow = finding.flow;
    match (claim, finding.found.meaning) {
        (Claim::Deny, Meaning::Left) | (Claim::Reject, Meaning::Left) => {
            format!("govern the flow {flow}: `deny` what the assert speaks of, or a `default deny` for it")
        }
        (Claim::Deny | Claim::Reject, Meaning::Allowed) => {
            "narrow the rule, put a `deny` in front of it, or say in the assert what is meant to be open".to_owned()
        }
        (Claim::Reject, _) => "say `reject` in the rule, or `assert deny`, which a reject satisfies, too".to_owned(),
        (Claim::Allow, Meaning::Denied | Meaning::Rejected) if limit => {
            "take the limit out, or leave the assert out: what has a limit is not always allowed".to_owned()
        }
        (Claim::Allow, Meaning::Denied | Meaning::Rejected) => {
            "allow it in front of what denies it, or narrow the assert to what is meant to be open".to_owned()
        }
        (Claim::Allow, _) => "an `allow` cannot open what others close: see `fwc explain FW0307`".to_owned(),
        (Claim::Deny, _) => "narrow the assert, or the rule that decides".to_owned(),
    }
}
