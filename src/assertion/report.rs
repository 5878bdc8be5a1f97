//! What is said of an assertion that does not hold, or not for certain.

use crate::diagnostic::Diagnostic;
use crate::netfilter::{Hook, TableKind, Verdict};
use crate::packet::Condition;
use crate::packet::condition::Counter;
use crate::policy::{Action, Class, Flow, Policy, Rank};
use crate::span::Location;
use crate::traffic::PlatformVerdict;

use super::codes::{ALLOWED_WITHIN_LIMIT, ASSERT_FAILS, ASSERT_OUT_OF_WORK, ASSERT_SAYS_NOTHING, UNDECIDED};
use super::example::Teller;
use super::judge::{Certainty, Claim, Court, Meaning};
use super::paths::Unseen;
use super::world::World;
use super::{Finding, Outcome, Path, Proof, rule_at};

/// No packet is what it speaks of.
pub(super) fn nothing(location: Location) -> Proof {
    let diagnostic = Diagnostic::new(&ASSERT_SAYS_NOTHING, location, "no connection is what this assert speaks of")
        .label("holds whatever the policy says")
        .help("see that its ends, its service and its `via` can go together on this host");
    Proof::refuted(location, Outcome::Nothing, diagnostic)
}

/// Some of it may pass no hook of the host.
pub(super) fn unseen(location: Location, unseen: &Unseen) -> Proof {
    let message = match unseen {
        Unseen::Translated(_) => {
            "whether this assert holds is undecided: a `chain` block possibly leads these connections elsewhere"
        }
        _ => "whether this assert holds is undecided: some of these connections possibly pass no hook",
    };
    let mut diagnostic = Diagnostic::new(&UNDECIDED, location, message).label("not proved");
    match unseen {
        Unseen::Bridged { title, facts } => {
            diagnostic = diagnostic.note(format!(
                "what members of one network of {title}'s send each other is bridged: see `fwc explain FW0315`"
            ));
            for fact in facts {
                let fact = fact.trim_matches('`');
                diagnostic = diagnostic.help(format!("turn bridge netfilter on and say so: `fact {fact} = 1`"));
            }
        }
        Unseen::Ports(fact) => {
            diagnostic = diagnostic
                .note("iptables sees frames of guests' ports only with bridge netfilter: see `fwc explain FW0315`")
                .help(format!("turn bridge netfilter on and say so: `fact {fact} = 1`; or build for nft"));
        }
        Unseen::Uplink(bridge) => {
            diagnostic = diagnostic
                .note(format!(
                    "if `{bridge}` has the uplink, what comes from outside looks like what its instances send: see `fwc explain FW0315`"
                ))
                .help(format!("if it has none, say so: list `{bridge}` in `instances.bridges` of fwc.facts.json"));
        }
        Unseen::NoPort { routes } => {
            diagnostic = diagnostic
                .note("the bridge has chosen no port yet: iptables tells a guest by its address then, and not all are known")
                .help("assert it of guests by their names, which have an `address`; or build for nft");
            if let Some(fact) = routes {
                diagnostic = diagnostic.help(format!("or, if this host routes nothing, `fact {fact} = 0`"));
            }
        }
        Unseen::Translated(line) => {
            diagnostic = diagnostic
                .related(*line, "translates before the rules look")
                .help("say it as `redirect` or `forward`, whose ports are compared as the client knows them");
        }
        Unseen::OffBridge(network) => {
            diagnostic = diagnostic
                .note(format!("containers on network `{network}` are on no bridge: see `fwc explain FW0314`"))
                .help("assert it of a network or of containers that are on a bridge, by their names");
        }
    }
    Proof::refuted(location, Outcome::Undecided, diagnostic.help(WAIVER))
}

/// How an undecided assert is kept.
const WAIVER: &str = "or say above it why it may stay: `# fwc: expect(undecided) -- reason`";

/// The effort was spent.
pub(super) fn out_of_work(location: Location) -> Proof {
    let diagnostic =
        Diagnostic::new(&ASSERT_OUT_OF_WORK, location, "whether this assert holds could not be worked out in time")
            .label("neither proved nor refuted")
            .help("say it in several asserts, each of one service or one origin");
    Proof::refuted(location, Outcome::OutOfWork, diagnostic)
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
    let (outcome, code) = match found.certainty {
        Certainty::Certain => (Outcome::Fails, &ASSERT_FAILS),
        Certainty::Beyond => (Outcome::WithinLimits, &ALLOWED_WITHIN_LIMIT),
        Certainty::Possibly => (Outcome::Undecided, &UNDECIDED),
    };
    let counted = found.conditions.iter().any(|(condition, _)| matches!(condition, Condition::Counted(_)));
    let packet = {
        let universe = &court.space(finding.bench.family).universe;
        let Flow { from, to } = finding.flow;
        let flow = match finding.path {
            Path::Reply => Flow { from: to, to: from },
            Path::Proxy(_) | Path::Loopback(_) => Flow { from, to: Class::Host },
            Path::SecondConnection(_) => Flow { from: Class::Host, to },
            // What a proxy takes in was sent to an address of the host.
            Path::Words if finding.bench.hook == Hook::Input => Flow { from, to: Class::Host },
            Path::Words => finding.flow,
        };
        let teller = Teller { policy, universe, flow, hook: finding.bench.hook, world: finding.bench.world };
        teller.words(&found.cube)
    };
    let stopped_behind = match &finding.platform {
        PlatformVerdict::Closed(_) => matches!(found.meaning, Meaning::Allowed | Meaning::Left),
        _ => false,
    };
    let fares = match found.meaning {
        _ if finding.path == Path::Reply => "allowed, and their answers stopped",
        _ if stopped_behind => "stopped by the platform",
        Meaning::Allowed => "allowed",
        Meaning::Left => "left to the platform",
        Meaning::Denied if claim == Claim::Reject => "dropped without an answer",
        Meaning::Denied => "denied",
        Meaning::Rejected => "rejected",
        Meaning::Unknown => "decided by words that fwc does not know",
    };
    let message = match found.certainty {
        Certainty::Certain => format!("this assert fails: some of these connections are {fares}"),
        Certainty::Beyond if counted => format!("this assert holds within a limit only: what is beyond it is {fares}"),
        Certainty::Beyond => format!("this assert holds at some times only: at others some of this is {fares}"),
        Certainty::Possibly => {
            format!("whether this assert holds is undecided: some of these connections may be {fares}")
        }
    };
    let mut diagnostic = Diagnostic::new(code, location, message).label(match claim {
        Claim::Allow => "not all of this is allowed",
        Claim::Deny => "not all of this is denied",
        Claim::Reject => "not all of this is rejected",
    });
    let rule = found.place.and_then(|place| rule_at(&court.ruleset, place)).cloned();
    let origin = rule.as_ref().and_then(|rule| rule.origin);
    let limit = counted && origin.is_some_and(|origin| has_limit(policy, origin));
    if let Some(origin) = origin {
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
    diagnostic = diagnostic.help(advice(claim, finding));
    if outcome == Outcome::Undecided {
        diagnostic = diagnostic.help(WAIVER);
    }
    Proof::refuted(location, outcome, diagnostic)
}

/// Whether a line of the policy is an allow.
fn is_allow(policy: &Policy, place: Location) -> bool {
    let own = policy.flows.values().flatten().filter(|judgement| judgement.location == place);
    own.filter(|judgement| judgement.rank != Rank::End).any(|judgement| judgement.action == Action::Allow)
}

/// Whether a line of the policy has a limit.
fn has_limit(policy: &Policy, place: Location) -> bool {
    let mut own = policy.flows.values().flatten().filter(|judgement| judgement.location == place);
    own.any(|judgement| judgement.options.limit.is_some())
}

/// Where the packet passes.
fn road(finding: &Finding) -> String {
    let flow = finding.flow;
    let hook = finding.bench.hook.chain();
    match finding.path {
        Path::Proxy(title) => return format!("from {flow}: in {hook}, taken in by {title}'s proxy"),
        Path::Loopback(title) => {
            return format!("from {flow}: in {hook}, to an address of the host itself, taken in by {title}'s proxy");
        }
        Path::SecondConnection(title) => {
            return format!("from {flow}: what {title}'s proxy opens for it, in {hook}");
        }
        Path::Reply => return format!("from {flow}: the answer to it, in {hook}"),
        Path::Words => {}
    }
    match (finding.bench.world, finding.bench.hook) {
        (World::Translated, _) => format!("from {flow}: in {hook}, dialled at an address of this host and translated"),
        (_, Hook::Input) if flow.to == Class::Container => {
            format!("from {flow}: in {hook}, taken in by a proxy")
        }
        (_, Hook::Forward) if flow.to == Class::Container => {
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
        let what = if finding.bench.hook == Hook::Input || finding.path != Path::Words {
            "on INPUT, a proxy's ports look like the host's own"
        } else {
            "which port of its own a container has for it is not known"
        };
        notes.push(format!("no fact lists all that is published: {what}"));
    }
    if !finding.facts.is_empty() {
        notes.push(format!("what would settle whether there is this path: {}", finding.facts.join(", ")));
    }
    notes.extend(found.conditions.iter().map(|(condition, holds)| depends_on(condition, *holds)));
    notes.dedup();
    match (&finding.platform, found.meaning) {
        (PlatformVerdict::Depends { reasons, facts }, Meaning::Left | Meaning::Allowed) => {
            notes.extend(reasons.iter().cloned());
            if !facts.is_empty() {
                notes.push(format!("what would settle it: {}", facts.join(", ")));
            }
        }
        (PlatformVerdict::Closed(by), Meaning::Left | Meaning::Allowed) => notes.push(format!("dropped by {by}")),
        (PlatformVerdict::Open(title), Meaning::Left) => {
            notes.push(format!("no rule speaks of it, and {title} lets it through"));
        }
        (PlatformVerdict::Nobody, Meaning::Left) => {
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

/// What it depends on that no packet shows.
fn depends_on(condition: &Condition, holds: bool) -> String {
    match condition {
        Condition::Member { set, .. } if holds => format!("if others put it into the set `{set}`"),
        Condition::Member { set, .. } => format!("unless others put it into the set `{set}`"),
        Condition::Time(hours) if holds => format!("it depends on the time: so it is {hours}"),
        Condition::Time(hours) => format!("it depends on the time: so it is except {hours}"),
        Condition::User(user) => format!("it depends on whether the user `{user}` opens it"),
        Condition::Counted(question) => match &question.counter {
            counter @ (Counter::Limit { .. } | Counter::Connections { .. }) => {
                format!("it depends on how many came before: the limit is {}", counter.amount())
            }
            Counter::Unmodelled(text) => unknown_words(text),
        },
        Condition::ConnectionMark(bits) => {
            format!("if its connection has the mark {:#x}/{:#x}, which others may set", bits.value, bits.mask)
        }
        Condition::Unmodelled(text) | Condition::Decides(text) => unknown_words(text),
    }
}

fn unknown_words(text: &str) -> String {
    format!("it depends on words that fwc does not know: `{text}`")
}

fn advice(claim: Claim, finding: &Finding) -> String {
    let flow = finding.flow;
    let proxied = matches!(finding.path, Path::Proxy(_));
    let unlisted = finding.if_published && finding.path == Path::Words && finding.bench.hook != Hook::Input;
    match (claim, finding.found.meaning) {
        (Claim::Deny | Claim::Reject, _) if unlisted => format!(
            "list what is published: `fwc facts`; or close containers' own addresses: `deny from {} to container direct`",
            word(flow.from)
        ),
        _ if matches!(finding.path, Path::SecondConnection(_)) => {
            "list what is published, so that its proxy is let through: `fwc facts`; or leave the host out of `direct`"
                .to_owned()
        }
        _ if finding.path == Path::Reply => {
            format!("accept the answers: govern the flow {} to {}, or say the fact", flow.to, flow.from)
        }
        (Claim::Allow, _) if proxied && finding.if_published => {
            "name the ports in the `allow`, or list what is published: `fwc facts`".to_owned()
        }
        (Claim::Deny | Claim::Reject, _) if proxied && finding.if_published => format!(
            "close the rest of INPUT: `default deny from {} to host`; or list what is published: `fwc facts`",
            word(flow.from)
        ),
        (Claim::Deny | Claim::Reject, Meaning::Left) if proxied => {
            format!(
                "close the port on INPUT, too: name it in a `deny`, or `default deny from {} to host`",
                word(flow.from)
            )
        }
        (Claim::Deny, Meaning::Left) | (Claim::Reject, Meaning::Left) => {
            format!("govern the flow {flow}: `deny` what the assert speaks of, or a `default deny` for it")
        }
        (Claim::Deny | Claim::Reject, Meaning::Allowed) => {
            "narrow the rule, put a `deny` in front of it, or say in the assert what is meant to be open".to_owned()
        }
        (Claim::Reject, _) => "say `reject` in the rule, or `assert deny`, which a reject satisfies, too".to_owned(),
        (Claim::Allow, Meaning::Denied | Meaning::Rejected) if finding.found.certainty == Certainty::Beyond => {
            let waiver = ALLOWED_WITHIN_LIMIT.name;
            format!("allow the rest, too, or say that this is meant: `# fwc: expect({waiver}) -- why`")
        }
        (Claim::Allow, Meaning::Denied | Meaning::Rejected) => {
            "allow it in front of what denies it, or narrow the assert to what is meant to be open".to_owned()
        }
        (Claim::Allow, _) => "an `allow` cannot open what others close: see `fwc explain FW0307`".to_owned(),
        (Claim::Deny, _) => "narrow the assert, or the rule that decides".to_owned(),
    }
}

/// A class as the language writes it where everyone of it is meant.
fn word(class: Class) -> &'static str {
    if class == Class::Outside { "world" } else { class.name() }
}
