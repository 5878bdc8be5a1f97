//! What guests and containers may do: send as whoever they like, and come to every service of the host.

use super::codes::{BRIDGES_TRUSTED, GUEST_NOT_CHECKED, HARDWARE_ADDRESS_DECIDES};
use super::walk::{At, at_hook, reached};
use super::{Subject, is_open, takes_first};
use crate::diagnostic::Diagnostic;
use crate::net::{Card, Family};
use crate::netfilter::{Hook, MatchKind, Rule, Verdict};

/// What names of bridges begin with that platforms make, and those of `br+`, which takes in all of them.
const BRIDGES: [&str; 8] = ["docker", "br-", "br+", "cni", "podman", "lxdbr", "incusbr", "virbr"];
/// What names of guests' interfaces begin with.
const GUESTS: [&str; 3] = ["tap", "vnet", "fwpr"];

pub(super) fn check(subject: &Subject<'_>) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    for family in Family::BOTH {
        for (table, chain) in at_hook(subject.ruleset, family, Hook::Input) {
            let own = chain.rules.iter().map(|rule| At { table, chain, rule });
            out.extend(own.filter(|at| subject.is_told(at)).filter_map(|at| trusted(&at)));
        }
        for (table, chain) in at_hook(subject.ruleset, family, Hook::Forward) {
            let rules = reached(table, chain);
            let told = || rules.iter().filter(|(_, at)| subject.is_told(at));
            out.extend(told().filter_map(|(way, at)| by_hardware_address(way, at)));
            out.extend(told().filter_map(|(way, at)| unchecked(&rules, way, at)));
        }
    }
    out
}

/// An accept at INPUT of whatever comes from a platform's bridges.
fn trusted(at: &At<'_>) -> Option<Diagnostic> {
    let location = at.rule.origin?;
    let [only] = at.rule.matches.as_slice() else { return None };
    let MatchKind::InInterface(asked) = &only.kind else { return None };
    let bridge = asked.iter().find(|card| is_bridge(card))?;
    if only.negated || at.rule.verdict != Some(Verdict::Accept) {
        return None;
    }
    let name = bridge;
    Some(
        Diagnostic::new(&BRIDGES_TRUSTED, location, format!("whoever is on `{name}` reaches every port of this host"))
            .label("compares the interface alone")
            .note(format!("a packet that shows it: `tcp 172.17.0.2 -> host:22 via {}`", bridge.sample()))
            .help("accept the ports that containers need from the host, and drop the rest"),
    )
}

fn is_bridge(card: &Card) -> bool {
    let name = card.to_string();
    BRIDGES.iter().any(|beginning| name.starts_with(beginning))
}

fn has(rule: &Rule, wanted: impl Fn(&MatchKind) -> bool) -> bool {
    rule.matches.iter().any(|one| wanted(&one.kind))
}

fn compares_address(kind: &MatchKind) -> bool {
    matches!(kind, MatchKind::Source(_) | MatchKind::InSet(_))
}

/// An accept of new connections that nothing but a hardware address narrows to somebody.
fn by_hardware_address(way: &[At<'_>], at: &At<'_>) -> Option<Diagnostic> {
    let location = at.rule.origin?;
    let rules = || way.iter().map(|jump| jump.rule).chain([at.rule]);
    let by_address = at.rule.matches.iter().any(|one| !one.negated && matches!(one.kind, MatchKind::SourceMac(_)));
    let narrowed = rules().any(|rule| has(rule, |kind| compares_address(kind) || matches!(kind, MatchKind::InPort(_))));
    if !by_address || narrowed || at.rule.verdict != Some(Verdict::Accept) || !rules().all(takes_first) {
        return None;
    }
    Some(
        Diagnostic::new(&HARDWARE_ADDRESS_DECIDES, location, "lets in whoever sends with this hardware address")
            .label("the sender chooses it, and neither the port nor the IP address is compared")
            .help("compare the IP address, too, or the port of the bridge that it may come from (`--physdev-in`)"),
    )
}

/// A jump for what a guest sends, behind which neither its hardware address nor its IP address is compared.
fn unchecked(rules: &[(Vec<At<'_>>, At<'_>)], way: &[At<'_>], at: &At<'_>) -> Option<Diagnostic> {
    let location = at.rule.origin?;
    let port = at.rule.matches.iter().find_map(|one| match &one.kind {
        MatchKind::InPort(asked) if !one.negated => asked.first(),
        _ => None,
    })?;
    let (Verdict::Jump(_) | Verdict::Goto(_)) = at.rule.verdict.as_ref()? else { return None };
    if !GUESTS.iter().any(|beginning| port.name.starts_with(beginning)) {
        return None;
    }
    let is_sender = |rule: &Rule| has(rule, |kind| compares_address(kind) || matches!(kind, MatchKind::SourceMac(_)));
    let open = |rule: &Rule| has(rule, |kind| matches!(kind, MatchKind::Unknown(_)));
    let here = |jump: &At<'_>| std::ptr::eq(jump.rule, at.rule);
    let behind: Vec<&At<'_>> =
        rules.iter().filter(|(way, _)| way.iter().any(here)).map(|(_, at)| at).chain([at]).collect();
    let accepts = behind.iter().any(|at| at.rule.verdict == Some(Verdict::Accept));
    let before = way.iter().any(|jump| is_sender(jump.rule));
    // Rules in front of the jump may have dropped what is forged, for this port or for all.
    let earlier = at
        .chain
        .rules
        .iter()
        .take_while(|rule| !std::ptr::eq(*rule, at.rule))
        .any(|rule| is_sender(rule) && !matches!(rule.verdict, Some(Verdict::Accept)));
    let unclear = behind.iter().any(|at| is_sender(at.rule) || open(at.rule) || is_open(at));
    if !accepts || before || earlier || unclear {
        return None;
    }
    Some(
        Diagnostic::new(&GUEST_NOT_CHECKED, location, format!("the guest on `{}` may send as anybody", port))
            .label("neither its hardware address nor its IP address is compared")
            .help(format!(
                "drop first what is not its own: `-m physdev --physdev-in {} -m mac ! --mac-source ADDRESS -j DROP`",
                port
            )),
    )
}
