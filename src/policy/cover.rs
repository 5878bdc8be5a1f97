//! Whether one judgement matches everything that another matches. Says yes only where that is certain; what it cannot decide
//! is left to the proof engine.

use std::net::IpAddr;

use crate::net::{AddressSet, Card, Family, PortSet};
use crate::policy::resolve::families;
use crate::policy::{Action, CardSet, Class, Judgement, Nat, Options, Party, Policy, Special, Traffic};
use crate::syntax::tree::View;

/// Whether every packet that `narrow` matches is matched by `wide` as well.
#[must_use]
pub fn covers(wide: &Judgement, narrow: &Judgement) -> bool {
    if wide.forwarded || narrow.forwarded {
        return false;
    }
    let (ours, theirs) = (&wide.options, &narrow.options);
    if ours.during.is_some() && ours.during != theirs.during {
        return false;
    }
    let source = match (&ours.source_ports, &theirs.source_ports) {
        (None, _) => true,
        (Some(wide), Some(narrow)) => holds_ports(wide, narrow),
        (Some(_), None) => false,
    };
    let family = |family| narrow.family == Some(family) || families(narrow).iter().all(|other| *other == family);
    source
        && narrow.traffic.iter().all(|narrow| wide.traffic.iter().any(|wide| traffic(wide, narrow)))
        && cards(wide.via.as_deref(), narrow.via.as_deref())
        && party(&wide.from, &narrow.from)
        && target(wide, narrow)
        && wide.family.is_none_or(family)
}

/// The `forward` that sends everything which a rule to the host speaks of in one family to another machine, if there is one, and
/// that machine.
#[must_use]
pub fn carried_away<'p>(policy: &'p Policy, rule: &Judgement) -> Option<(&'p Judgement, IpAddr)> {
    policy.nat.iter().find_map(|nat| match nat {
        Nat::Forward { judgement, at, address, .. } => {
            let family = Family::of(*address);
            let to = Party::special(Class::Host, Special { at: at.clone(), ..Special::default() });
            let options = Options { source_ports: judgement.options.source_ports.clone(), ..Options::default() };
            let arriving = Judgement { to, options: options.into(), forwarded: false, ..judgement.clone() };
            let of_family = Judgement { family: Some(family), ..rule.clone() };
            let meets = families(rule).contains(&family) && covers(&arriving, &of_family);
            meets.then_some((judgement, *address))
        }
        _ => None,
    })
}

fn target(wide: &Judgement, narrow: &Judgement) -> bool {
    let (a, b) = (&wide.to, &narrow.to);
    // `deny` closes a container's own address without the word, `allow` does not open it; and `inside` compares other ports.
    let view = a.view == b.view
        || (a.view.is_none()
            && b.view == Some(View::Direct)
            && matches!(wide.action, Action::Deny | Action::Reject(_)))
        || (a.view.is_none() && b.view == Some(View::Inside) && *wide.traffic == [Traffic::ALL]);
    view && party(a, b)
}

/// Whether every packet of one kind of traffic is of another.
#[must_use]
pub fn traffic(wide: &Traffic, narrow: &Traffic) -> bool {
    let family = wide.family.is_none_or(|family| narrow.family == Some(family));
    let protocol = wide.protocol.is_none_or(|protocol| narrow.protocol == Some(protocol));
    let ports = match (&wide.ports, &narrow.ports) {
        (None, _) => true,
        (Some(wide), Some(narrow)) => holds_ports(wide, narrow),
        (Some(_), None) => false,
    };
    let icmp = match (&wide.icmp, &narrow.icmp) {
        (None, _) => true,
        (Some(wide), Some(narrow)) => narrow.iter().all(|one| {
            wide.iter().any(|other| other.kind == one.kind && (other.code.is_none() || other.code == one.code))
        }),
        (Some(_), None) => false,
    };
    family && protocol && ports && icmp
}

/// Whether some packet may be of both kinds.
#[must_use]
pub fn meets(a: &Traffic, b: &Traffic) -> bool {
    let family = a.family.is_none() || b.family.is_none() || a.family == b.family;
    let protocol = a.protocol.is_none() || b.protocol.is_none() || a.protocol == b.protocol;
    let ports = match (&a.ports, &b.ports) {
        (Some(a), Some(b)) => !a.intersection(b).is_empty(),
        _ => true,
    };
    let icmp = match (&a.icmp, &b.icmp) {
        (Some(a), Some(b)) => a.iter().any(|one| b.iter().any(|other| one.kind == other.kind)),
        _ => true,
    };
    family && protocol && ports && icmp
}

fn holds_ports(wide: &PortSet, narrow: &PortSet) -> bool {
    narrow
        .ranges()
        .iter()
        .all(|range| wide.ranges().iter().any(|wide| wide.first <= range.first && range.last <= wide.last))
}

fn holds(wide: Option<&AddressSet>, narrow: Option<&AddressSet>) -> bool {
    match (wide, narrow) {
        (None, _) => true,
        (Some(wide), Some(narrow)) => wide.covers(narrow),
        (Some(_), None) => false,
    }
}

/// Whether every card that `narrow` means is meant by `wide`; `None` means every card.
#[must_use]
pub fn cards(wide: Option<&CardSet>, narrow: Option<&CardSet>) -> bool {
    let listed = |list: &[Card], card: &Card| list.iter().any(|known| known.covers(card));
    match (wide, narrow) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(a), Some(b)) => match (a.complement, b.complement) {
            (false, false) => b.cards.iter().all(|card| listed(&a.cards, card)),
            (true, true) => a.cards.iter().all(|card| listed(&b.cards, card)),
            (true, false) => !b
                .cards
                .iter()
                .any(|card| a.cards.iter().any(|excluded| excluded.covers(card) || card.covers(excluded))),
            (false, true) => false,
        },
    }
}

/// Whether everyone whom `narrow` means is meant by `wide`.
#[must_use]
pub fn party(wide: &Party, narrow: &Party) -> bool {
    let macs =
        wide.macs.is_empty() || (!narrow.macs.is_empty() && narrow.macs.iter().all(|mac| wide.macs.contains(mac)));
    let except =
        wide.except.iter().all(|out| narrow.except.iter().any(|other| party(other, out)) || apart(out, narrow));
    wide.class == narrow.class
        && macs
        && except
        && holds(wide.addresses.as_ref(), narrow.addresses.as_ref())
        && holds(wide.at.as_ref(), narrow.at.as_ref())
        && cards(wide.cards.as_deref(), narrow.cards.as_deref())
        && (wide.live.is_none() || wide.live == narrow.live)
        && (wide.user.is_none() || wide.user == narrow.user)
        && (wide.member.is_none() || wide.member == narrow.member)
        && (wide.published.is_none() || wide.published == narrow.published)
}

/// Whether nobody is certainly both.
fn apart(a: &Party, b: &Party) -> bool {
    match (&a.addresses, &b.addresses) {
        (Some(a), Some(b)) => !a.meets(b),
        _ => false,
    }
}
