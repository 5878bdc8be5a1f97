//! What the checks on traffic ask about rules: which the author wrote, whether two can mean the same connection, and how their words
//! read.

use rustc_hash::FxHashSet;

use crate::net::{PortRange, PortSet, Protocol};
use crate::policy::{Action, CardSet, Flow, Judgement, Party, Policy, Published, Rank, Traffic};
use crate::span::Location;
use crate::syntax::tree::View;

/// The author's own judgements in a flow: neither the prelude's, nor the deny that ends a flow, nor what a `forward` implies.
pub(super) fn written(policy: &Policy, flow: Flow) -> impl Iterator<Item = &Judgement> {
    let list = policy.flows.get(&flow).into_iter().flatten();
    list.filter(|judgement| matches!(judgement.rank, Rank::Rule | Rank::Default) && !judgement.forwarded)
}

/// Every judgement of one statement, with its flow.
pub(super) fn statement(policy: &Policy, number: u32) -> impl Iterator<Item = (Flow, &Judgement)> {
    policy.flows.iter().flat_map(move |(flow, list)| {
        list.iter().filter(move |judgement| judgement.statement == number).map(move |judgement| (*flow, judgement))
    })
}

/// The statements that have a judgement in a flow which is not `wanted`. One pass: a check that looks at every rule asks this, not
/// [`statement`] of each.
pub(super) fn statements_beyond(policy: &Policy, wanted: impl Fn(Flow) -> bool) -> FxHashSet<u32> {
    let others = policy.flows.iter().filter(|(flow, _)| !wanted(**flow));
    others.flat_map(|(_, list)| list.iter().map(|judgement| judgement.statement)).collect()
}

/// Whether an action keeps traffic out.
pub(super) fn stops(action: Action) -> bool {
    matches!(action, Action::Deny | Action::Reject(_))
}

/// A kind of traffic as the language writes it: `tcp 443`, `udp`, `icmp`.
pub(super) fn spoken(protocol: Option<Protocol>, ports: Option<&PortSet>) -> String {
    let word = protocol.map_or_else(|| "everything".to_owned(), |protocol| protocol.to_string());
    let Some(ports) = ports else { return word };
    let listed: Vec<String> = ports.ranges().iter().map(ToString::to_string).collect();
    match listed.as_slice() {
        [one] => format!("{word} {one}"),
        many => {
            let items: Vec<String> = many.iter().map(|ports| format!("{word} {ports}")).collect();
            format!("{{ {} }}", items.join(", "))
        }
    }
}

/// What a publish line says: `tcp 8080 of the host to 80`.
pub(super) fn publishes(one: &Published) -> String {
    let at = one.address.map(|address| format!(" at {address}")).unwrap_or_default();
    format!("`{}` publishes {} {}{at}, its own {}", one.container, one.protocol, one.ports, one.container_ports)
}

/// Whether every port of one set is in the other.
pub(super) fn within(inner: &PortSet, outer: &PortSet) -> bool {
    inner.intersection(outer) == *inner
}

/// Whether a set of ports and a run of them have one in common. Makes nothing: policies have many rules.
pub(super) fn overlaps(ports: &PortSet, range: PortRange) -> bool {
    ports.ranges().iter().any(|one| one.first <= range.last && range.first <= one.last)
}

/// Whether a kind of traffic means ports of a publication, compared as the rule says.
pub(super) fn meant(traffic: &Traffic, one: &Published, view: Option<View>) -> bool {
    if traffic.protocol.is_some_and(|protocol| protocol != one.protocol) {
        return false;
    }
    let Some(ports) = &traffic.ports else { return true };
    let side = if view == Some(View::Inside) { one.container_ports } else { one.ports };
    overlaps(ports, side)
}

/// Whether nobody can be both, for certain.
pub(super) fn apart(a: &Party, b: &Party) -> bool {
    let addresses = match (&a.addresses, &b.addresses) {
        (Some(a), Some(b)) => a.intersection(b).is_empty(),
        _ => false,
    };
    let at = match (&a.at, &b.at) {
        (Some(a), Some(b)) => a.intersection(b).is_empty(),
        _ => false,
    };
    let macs = !a.macs.is_empty() && !b.macs.is_empty() && !a.macs.iter().any(|mac| b.macs.contains(mac));
    let members = a.member.is_some() && b.member.is_some() && a.member != b.member;
    addresses
        || at
        || macs
        || members
        || cards_apart(a.cards.as_deref(), b.cards.as_deref())
        || taken_out(a, b)
        || taken_out(b, a)
}

/// Whether everyone whom `narrow` means is among those whom `wide` leaves out.
fn taken_out(wide: &Party, narrow: &Party) -> bool {
    wide.except.iter().any(|out| {
        let addresses = match (&out.addresses, &narrow.addresses) {
            (None, _) => true,
            (Some(out), Some(narrow)) => narrow.difference(out).is_empty(),
            (Some(_), None) => false,
        };
        let cards = match (&out.cards, &narrow.cards) {
            (None, _) => true,
            (Some(out), Some(narrow)) => out == narrow,
            (Some(_), None) => false,
        };
        addresses && cards && out.live.is_none() && out.macs.is_empty() && out.user.is_none() && out.member.is_none()
    })
}

/// Whether no card is among both.
pub(super) fn cards_apart(a: Option<&CardSet>, b: Option<&CardSet>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => {
            let both = crate::policy::who::intersect(a, b);
            !both.complement && both.cards.is_empty()
        }
        _ => false,
    }
}

/// The place behind `to`, where it belongs to the statement alone and an edit there changes nothing else.
pub(super) fn own_target(judgement: &Judgement) -> Option<Location> {
    let target = judgement.target?;
    let outer = judgement.location;
    let inside =
        target.file == outer.file && outer.span.start <= target.span.start && target.span.end <= outer.span.end;
    inside.then_some(target)
}

/// The place right behind another.
pub(super) fn behind(location: Location) -> Location {
    let end = location.span.end;
    Location { file: location.file, span: crate::span::Span { start: end, end } }
}
