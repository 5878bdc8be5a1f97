//! Flows in which every allow has a `via`: the other interfaces are closed with it.

use std::collections::BTreeMap;

use super::words;
use crate::diagnostic::{Code, Diagnostic, Level};
use crate::net::Card;
use crate::netfilter::Target;
use crate::policy::closed::{End, Extent};
use crate::policy::{Action, CardSet, Class, Flow, Judgement, Policy, Rank, who};
use crate::project::Project;
use crate::span::Location;
use crate::syntax::tree::{InterfaceValue, StatementKind};

/// Interfaces that no allow of a closed flow names.
pub static CLOSED_BY_VIA: Code = Code {
    number: "FW0364",
    name: "other-interfaces-closed",
    level: Level::Note,
    summary: "every allow of a flow has a `via`, and the other interfaces are closed with it",
    explanation: "\
An `allow` closes its flow, whatever it says besides: what no rule allows is denied, on every interface and in both address families.
`via` narrows what is allowed, not what is closed.

```fw
interface wan = eth0
allow { ssh, https } to host via wan       # note: eth1, wg0 and all others are closed to the host, too
```

**Why it is said.** Somebody who writes `via` thinks of one interface. What the others have open is lost as well, and on a machine with an
interface for administration that may be the way in.

If that is meant, a default says so, and the note is gone:

```fw
interface wan = eth0
allow { ssh, https } to host via wan
default deny to host
```

**Instead**, if the other interfaces are to be left alone, two defaults close the one and open the rest:

```fw
interface wan = eth0
allow { ssh, https } to host via wan
default deny to host via wan
default allow to host
```
",
};

/// Interfaces that are named in a note; the rest is counted.
const MOST_NAMED: usize = 6;

/// The check.
pub fn check(project: &Project, policy: &Policy, _: Target) -> Vec<Diagnostic> {
    let mut found: BTreeMap<Location, (Vec<Flow>, CardSet)> = BTreeMap::new();
    for (&flow, list) in &policy.flows {
        if let Some((first, named)) = closed(policy, flow, list) {
            found.entry(first).or_insert_with(|| (Vec::new(), named)).0.push(flow);
        }
    }
    found.into_iter().map(|(place, (flows, named))| note(project, policy, place, &flows, &named)).collect()
}

/// The first allow of a flow that its allows close, and the interfaces of all of them, if each names some and no default is about others.
fn closed(policy: &Policy, flow: Flow, list: &[Judgement]) -> Option<(Location, CardSet)> {
    let by_default = list.iter().any(Judgement::is_unconditional);
    if by_default || policy.end(flow) != End::Closed(Extent::Whole) {
        return None;
    }
    let allows = list.iter().filter(|one| one.rank == Rank::Rule && one.action == Action::Allow && !one.forwarded);
    let mut named = CardSet::only(Vec::new());
    let mut first = None;
    for allow in allows {
        named = who::unite(named, CardSet::clone(allow.via.as_ref()?));
        first = first.or(Some(allow.location));
    }
    let speaks_of_others = |default: &Judgement| {
        default.via.as_ref().is_none_or(|via| who::unite(named.clone(), CardSet::clone(via)) != named)
    };
    let mut defaults = list.iter().filter(|one| one.rank == Rank::Default && one.action != Action::Log);
    if defaults.any(speaks_of_others) {
        return None;
    }
    first.map(|first| (first, named))
}

fn note(project: &Project, policy: &Policy, place: Location, flows: &[Flow], named: &CardSet) -> Diagnostic {
    let closed: Vec<String> = flows.iter().map(Flow::to_string).collect();
    let others = others(project, policy, named);
    let message = format!("on every other interface, {} is closed with this", closed.join(", "));
    let mut note = Diagnostic::new(&CLOSED_BY_VIA, place, message).label("no allow without a `via`, and no default");
    if !others.is_empty() {
        let more = others.len().saturating_sub(MOST_NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let names: Vec<&str> = others.iter().map(String::as_str).take(MOST_NAMED).collect();
        note = note.note(format!("closed with it: {}{more}, and whatever else there is", names.join(", ")));
    }
    let Some(flow) = flows.first() else { return note };
    let deny = format!("default deny from {} to {}", place_word(flow.from), place_word(flow.to));
    let allow = format!("default allow from {} to {}", place_word(flow.from), place_word(flow.to));
    let close_named = if named.complement {
        format!("`{deny}` with the same `via`")
    } else {
        format!("`{deny} via {}`", cards(named))
    };
    note.help(format!("to leave them alone: {close_named}, and `{allow}`"))
        .help(format!("or say that it is meant: `{deny}`"))
}

/// The interfaces that the policy and the facts name outside, and the allows do not.
fn others(project: &Project, policy: &Policy, named: &CardSet) -> Vec<String> {
    let is_other = |card: &Card| {
        let listed = named.cards.iter().any(|known| known.covers(card));
        listed == named.complement && card.name != "lo" && policy.cards.class_of(card).is_none()
    };
    let mut declared: BTreeMap<Card, Option<String>> =
        policy.facts.interfaces.keys().map(|name| (Card::exact(name.clone()), None)).collect();
    words::each(project, &mut |_, statement| {
        let StatementKind::Interface(interface) = &statement.value else { return };
        if let Some(InterfaceValue::Cards(list)) = interface.value.as_ref().map(|value| &value.value) {
            declared.extend(list.iter().map(|card| (card.value.clone(), Some(interface.name.value.to_string()))));
        }
    });
    declared
        .into_iter()
        .filter(|(card, _)| is_other(card))
        .map(|(card, name)| match name {
            Some(name) if name != card.to_string() => format!("{name} ({card})"),
            _ => card.to_string(),
        })
        .collect()
}

fn cards(named: &CardSet) -> String {
    let names: Vec<String> = named.cards.iter().map(Card::to_string).collect();
    if let [one] = names.as_slice() { one.clone() } else { format!("{{ {} }}", names.join(", ")) }
}

fn place_word(class: Class) -> &'static str {
    if class == Class::Outside { "world" } else { class.name() }
}
