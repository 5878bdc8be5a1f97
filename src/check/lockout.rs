//! A policy that closes the host and leaves no administrator in.

use std::sync::Arc;

use super::words;
use crate::diagnostic::{Code, Diagnostic, Level};
use crate::net::{AddressSet, Family, Protocol};
use crate::netfilter::Target;
use crate::policy::cover;
use crate::policy::resolve::families;
use crate::policy::{Action, CardSet, Class, Flow, Judgement, Policy, Rank, Traffic};
use crate::project::Project;

/// A policy that locks its administrator out.
pub static LOCKOUT: Code = Code {
    number: "FW0351",
    name: "lockout",
    level: Level::Warning,
    summary: "the host is closed, and no rule lets an administrator in",
    explanation: "\
# Locked out

A flow with an allow but no default ends in deny, and `default deny to host` says so outright. Once such a policy is loaded, new
connections to the host pass only where a rule lets them.

**Why it hurts.** The session in which the policy is loaded goes on, since established connections pass; the next one does not
come about. On a machine without a console that is the end.

    allow https to host                  # warning: and who administers it?

**Instead**, let somebody in, from addresses that you keep:

    set admins = { 198.51.100.0/24 }
    allow https to host
    allow ssh from admins to host

**What counts as a way in**: an allow from outside to the host, not behind a deny that covers it, whose port no `forward` sends to
another machine, and that holds at all times and for addresses that the policy itself names; of everything, of all TCP, or of
some TCP port that is not merely a public service (web, mail, DNS and the like); those count where they are open to named
addresses or cards only, since then a person is meant. A VPN's own port does not count: what comes through the tunnel arrives
on the tunnel's card and is judged like everything else.

An `early` deny of everyone is one, too, whatever is allowed: it drops every packet, those of open sessions included.
",
};

/// TCP ports of services that are open to everyone and that nobody administers a host by.
const PUBLIC: [u16; 22] =
    [20, 21, 25, 43, 53, 70, 79, 80, 88, 110, 113, 119, 143, 179, 443, 465, 563, 587, 853, 993, 995, 1935];

/// The check.
pub fn check(project: &Project, policy: &Policy, _: Target) -> Vec<Diagnostic> {
    if let Some(found) = policy.early.iter().find_map(|early| cut_off(policy, &early.judgement)) {
        return vec![found];
    }
    let flow = Flow { from: Class::Outside, to: Class::Host };
    let Some(list) = policy.flows.get(&flow) else { return Vec::new() };
    let Some(closing) = list.iter().find(|judgement| closes(policy, judgement)) else { return Vec::new() };
    let reaches = |allow: &Judgement| closing.family.is_none_or(|family| families(allow).contains(&family));
    let mut stopped: Option<(&Judgement, Stop)> = None;
    let mut sometimes: Option<(&Judgement, &str)> = None;
    // What stands before one allow and covers it often covers the next one too.
    let mut last: Option<&Judgement> = None;
    for (at, allow) in list.iter().enumerate().filter(|(_, allow)| is_way_in(allow) && reaches(allow)) {
        if last.is_some_and(|deny| cover::covers(deny, allow)) {
            continue;
        }
        match stop(policy, list.get(..at).unwrap_or_default(), allow) {
            Some(stop) => {
                if let Stop::Denied(deny) = stop {
                    last = Some(deny);
                }
                stopped = stopped.or(Some((allow, stop)));
            }
            None => match condition(allow) {
                Some(when) => sometimes = sometimes.or(Some((allow, when))),
                None => return Vec::new(),
            },
        }
    }
    if !policy.raw.is_empty() && policy.raw.iter().any(|raw| &*raw.hook == "INPUT") {
        // Netfilter's own words may let somebody in; what they say is not known here.
        return Vec::new();
    }
    vec![report(project, closing, stopped, sometimes)]
}

/// What keeps an allow from letting anybody in.
#[derive(Clone, Copy)]
enum Stop<'p> {
    /// A deny stands before it.
    Denied(&'p Judgement),
    /// An `early` deny comes before every rule.
    Early(&'p Judgement),
    /// A `forward` carries the connections to another machine.
    Carried(&'p Judgement),
}

fn stop<'p>(policy: &'p Policy, before: &'p [Judgement], allow: &Judgement) -> Option<Stop<'p>> {
    let mut denies = before.iter().filter(|earlier| matches!(earlier.action, Action::Deny | Action::Reject(_)));
    let mut early = policy.early.iter().map(|early| &early.judgement);
    let denied = denies.find(|deny| cover::covers(deny, allow)).map(Stop::Denied);
    let denied = denied.or_else(|| early.find(|deny| cover::covers(deny, allow)).map(Stop::Early));
    denied.or_else(|| cover::carried_away(policy, allow).map(|(forward, _)| Stop::Carried(forward)))
}

/// When alone an allow lets somebody in.
fn condition(allow: &Judgement) -> Option<&'static str> {
    // All days without times are always (FW0224).
    if allow.options.during.is_some_and(|during| during != (0b111_1111, None)) {
        return Some("at these times alone");
    }
    allow.from.live.is_some().then_some("as long as others keep this set filled")
}

fn report(
    project: &Project,
    closing: &Judgement,
    stopped: Option<(&Judgement, Stop)>,
    sometimes: Option<(&Judgement, &str)>,
) -> Diagnostic {
    let message = match sometimes {
        Some(_) => "this closes the host, and an administrator does not always get in",
        None => "this closes the host, and nothing lets an administrator in",
    };
    let found = Diagnostic::new(&LOCKOUT, closing.location, message).label(if closing.rank == Rank::End {
        "with an allow and no default, everything else to the host is denied"
    } else {
        "what no rule before it allows ends here"
    });
    if let Some((allow, when)) = sometimes {
        return found
            .related(allow.location, format!("lets one in {when}"))
            .help("let somebody in without a condition, unless there is a console");
    }
    let Some((allow, stop)) = stopped else { return let_in(project, closing, found) };
    let found = found.related(allow.location, "this would let one in");
    match stop {
        Stop::Denied(deny) => {
            found.related(deny.location, "but this denies it first").help("move the allow in front of the deny")
        }
        Stop::Early(deny) => found
            .related(deny.location, "but this drops its packets before any rule")
            .help("take those addresses out of the `early` deny"),
        Stop::Carried(forward) => found
            .related(forward.location, "but this sends it to another machine")
            .help("forward another port, or say `at` which address of the host it is for"),
    }
}

/// Adds the help that lets somebody in.
fn let_in(project: &Project, closing: &Judgement, found: Diagnostic) -> Diagnostic {
    if inside_block(project, closing) {
        return found.help(
            "let somebody in: `allow ssh from 192.0.2.0/24 to host`, with the addresses that you administer it from",
        );
    }
    found.fix(
        "let somebody in; better from the addresses that you administer it from",
        words::before(closing.location),
        "allow ssh from any to host\n",
    )
}

/// An `early` deny of everyone outside, in a family or in both: answers are dropped as well, and open sessions end.
fn cut_off(policy: &Policy, deny: &Judgement) -> Option<Diagnostic> {
    let every = |cards: &Option<Arc<CardSet>>| cards.as_ref().is_none_or(|cards| every_card(policy, cards));
    let from = &deny.from;
    let narrow = from.live.is_some() || !from.macs.is_empty() || !from.except.is_empty();
    if narrow || !every(&from.cards) || !every(&deny.via) {
        return None;
    }
    let whole = |family: &Family| {
        deny.family.is_none_or(|only| only == *family)
            && from.addresses.as_ref().is_none_or(|set| set.covers(&AddressSet::all(*family)))
    };
    let families: Vec<Family> = Family::BOTH.into_iter().filter(whole).collect();
    let message = match families.as_slice() {
        [] => return None,
        [Family::Ipv4] => "this cuts the host off from IPv4: every packet that comes in is dropped",
        [Family::Ipv6] => "this cuts the host off from IPv6: every packet that comes in is dropped",
        _ => "this cuts the host off: every packet that comes in is dropped",
    };
    Some(
        Diagnostic::new(&LOCKOUT, deny.location, message)
            .label("before any rule, and answers and open sessions too")
            .help("name the addresses that are to be shut out, or take `early` out: then open connections live on"),
    )
}

/// Whether a statement is not at the beginning of its line, or stands in a block: a line put before it would inherit clauses.
fn inside_block(project: &Project, judgement: &Judgement) -> bool {
    let start = judgement.location.span.start as usize;
    let before = project.text(judgement.location.file).get(..start).unwrap_or_default();
    !(before.is_empty() || before.ends_with('\n'))
}

/// Whether a judgement denies everything, from everyone outside, that has come so far.
pub fn closes(policy: &Policy, judgement: &Judgement) -> bool {
    matches!(judgement.action, Action::Deny | Action::Reject(_))
        && judgement.from.is_whole_class()
        && judgement.to.is_whole_class()
        && judgement.family != Some(Family::Ipv6)
        && judgement.options.during.is_none()
        && judgement.options.source_ports.is_none()
        && judgement.traffic.iter().any(|traffic| cover::traffic(traffic, &ssh()))
        && judgement.via.as_ref().is_none_or(|via| every_card(policy, via))
}

fn ssh() -> Traffic {
    let ports = std::iter::once(crate::net::PortRange::single(22)).collect();
    Traffic { protocol: Some(Protocol::TCP), ports: Some(ports), ..Traffic::ALL }
}

/// Whether these are all the cards that somebody outside can come in by, as far as is known.
pub fn every_card(policy: &Policy, cards: &CardSet) -> bool {
    cards.complement && cards.cards.iter().all(|card| card.name == "lo" || policy.cards.class_of(card).is_some())
}

/// Whether an administrator can come in by this.
fn is_way_in(judgement: &Judgement) -> bool {
    if judgement.action != Action::Allow || judgement.forwarded || judgement.rank == Rank::Prelude {
        return false;
    }
    let named = !judgement.from.is_whole_class();
    judgement.traffic.iter().any(|traffic| match (traffic.protocol, &traffic.ports) {
        (None, _) | (Some(Protocol::TCP), None) => true,
        (Some(Protocol::TCP), Some(ports)) => {
            named || ports.ranges().iter().any(|range| (range.first..=range.last).any(|port| !PUBLIC.contains(&port)))
        }
        _ => false,
    })
}
