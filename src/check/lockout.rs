//! A policy that closes the host and leaves no administrator in.

use super::words;
use crate::diagnostic::{Code, Diagnostic, Level};
use crate::net::Protocol;
use crate::netfilter::Target;
use crate::policy::cover;
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

**What counts as a way in**: an allow from outside to the host, not behind a deny that covers it, of everything, of all TCP, or of
some TCP port that is not merely a public service (web, mail, DNS and the like); those count where they are open to named
addresses or cards only, since then a person is meant. A VPN's own port does not count: what comes through the tunnel arrives
on the tunnel's card and is judged like everything else.
",
};

/// TCP ports of services that are open to everyone and that nobody administers a host by.
const PUBLIC: [u16; 22] =
    [20, 21, 25, 43, 53, 70, 79, 80, 88, 110, 113, 119, 143, 179, 443, 465, 563, 587, 853, 993, 995, 1935];

/// The check.
pub fn check(project: &Project, policy: &Policy, _: Target) -> Vec<Diagnostic> {
    let flow = Flow { from: Class::Outside, to: Class::Host };
    let Some(list) = policy.flows.get(&flow) else { return Vec::new() };
    let Some(closing) = list.iter().find(|judgement| closes(policy, judgement)) else { return Vec::new() };
    let mut late: Option<(&Judgement, &Judgement)> = None;
    // What stands before one allow and covers it often covers the next one too.
    let mut last: Option<&Judgement> = None;
    for (at, allow) in list.iter().enumerate().filter(|(_, allow)| is_way_in(allow)) {
        if last.is_some_and(|deny| cover::covers(deny, allow)) {
            continue;
        }
        let before = list.iter().take(at).filter(|earlier| matches!(earlier.action, Action::Deny | Action::Reject(_)));
        match before.into_iter().find(|deny| cover::covers(deny, allow)) {
            None => return Vec::new(),
            Some(deny) => {
                last = Some(deny);
                late = late.or(Some((allow, deny)));
            }
        }
    }
    if !policy.raw.is_empty() && policy.raw.iter().any(|raw| &*raw.hook == "INPUT") {
        // Netfilter's own words may let somebody in; what they say is not known here.
        return Vec::new();
    }
    let mut found =
        Diagnostic::new(&LOCKOUT, closing.location, "this closes the host, and nothing lets an administrator in");
    found = if closing.rank == Rank::End {
        found.label("with an allow and no default, everything else to the host is denied")
    } else {
        found.label("what no rule before it allows ends here")
    };
    if let Some((allow, deny)) = late {
        found = found
            .related(allow.location, "this would let one in")
            .related(deny.location, "but this denies it first")
            .help("move the allow in front of the deny");
        return vec![found];
    }
    let here = words::before(closing.location);
    let indented = inside_block(project, closing);
    found = if indented {
        found.help(
            "let somebody in: `allow ssh from 192.0.2.0/24 to host`, with the addresses that you administer it from",
        )
    } else {
        found.fix(
            "let somebody in; better from the addresses that you administer it from",
            here,
            "allow ssh from any to host\n",
        )
    };
    vec![found]
}

/// Whether a statement is not at the beginning of its line, or stands in a block: a line put before it would inherit clauses.
fn inside_block(project: &Project, judgement: &Judgement) -> bool {
    let start = judgement.location.span.start as usize;
    let before = project.text(judgement.location.file).get(..start).unwrap_or_default();
    !(before.is_empty() || before.ends_with('\n'))
}

/// Whether a judgement denies everything, from everyone outside, that has come so far.
fn closes(policy: &Policy, judgement: &Judgement) -> bool {
    matches!(judgement.action, Action::Deny | Action::Reject(_))
        && judgement.from.is_whole_class()
        && judgement.to.is_whole_class()
        && judgement.family.is_none()
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
