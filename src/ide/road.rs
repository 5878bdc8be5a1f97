//! Which way the connections of a statement go through the host, by what is known of its platform.

use std::fmt::Write as _;

use crate::net::Family;
use crate::platform::{Attribute, Condition, Interface, Leg, Outcome, Platform, Possible, Road, Step};
use crate::policy::{Flow, Judgement, Policy};
use crate::syntax::tree::View;
use crate::traffic::{Address, Query};

/// Roads that are shown of one flow.
const MOST_ROADS: usize = 5;

/// The ways of one judgement's connections in a family, one a line of Markdown, the certain ones first; the name of the platform whose data
/// says so. `None`: no platform has a say.
pub(super) fn ways(
    policy: &Policy,
    flow: Flow,
    judgement: &Judgement,
    family: Family,
) -> Option<(&'static str, String)> {
    let query = Query { policy, flow, rule: Some(judgement), family };
    // Where no platform has either end, it is the host itself.
    let platform = query.platforms().into_iter().next().or_else(|| Platform::load("host"))?;
    let address = if judgement.to.view == Some(View::Direct) { Address::Own } else { Address::Host };
    let roads = query.usual_paths(platform, address);
    // What is lost on its way whatever the rules say is left out, where there is anything else.
    let lost = |road: &&Possible<'static, Road>| !matches!(road.item.outcome, Outcome::Lost | Outcome::Hangs);
    let mut arriving: Vec<&Possible<'static, Road>> = roads.iter().filter(lost).collect();
    if arriving.is_empty() {
        arriving.extend(&roads);
    }
    let mut shown: Vec<(&Road, Vec<String>)> = Vec::new();
    for road in arriving {
        let conditions = road.conditions.iter().map(condition).collect::<Vec<_>>().join(", ");
        match shown.iter_mut().find(|(known, _)| alike(known, road.item)) {
            Some((_, cases)) => cases.push(conditions),
            None => shown.push((road.item, vec![conditions])),
        }
    }
    let mut out = String::new();
    for (road, cases) in shown.iter().take(MOST_ROADS) {
        let _ = write!(out, "- {}", way(road));
        if cases.iter().all(|case| !case.is_empty()) {
            match cases.len() {
                1 | 2 => drop(write!(out, ", if {}", cases.join("; or "))),
                more => drop(write!(out, ", in {more} cases of what is not known")),
            }
        }
        out.push('\n');
    }
    if shown.len() > MOST_ROADS {
        let _ = writeln!(out, "- and {} more", shown.len() - MOST_ROADS);
    }
    (!out.is_empty()).then_some((platform.title.as_str(), out))
}

/// What a road rests on, in words.
fn condition(condition: &Condition) -> String {
    let values = condition.values.join(" or ");
    let yes = values == "yes";
    match condition.attribute {
        Attribute::Version => format!("its version is {values}"),
        Attribute::Backend => format!("the backend is {values}"),
        Attribute::Rules => format!("it writes {} for the family", if yes { "rules" } else { "no rules" }),
        Attribute::Proxy => format!("its proxy {}", if yes { "runs" } else { "is off" }),
        Attribute::TargetFamily => {
            format!("the target has {} of the family", if yes { "an address" } else { "no address" })
        }
        Attribute::Mode => format!("the gateway mode is {values}"),
        Attribute::ForwardPolicy => format!("the policy of FORWARD is {values}"),
        Attribute::EveryAddress => {
            format!("it is published on {}", if yes { "every address" } else { "some addresses" })
        }
        Attribute::Swarm => format!("the daemon is {}", if yes { "in a swarm" } else { "in no swarm" }),
        _ => condition.to_string(),
    }
}

/// Whether two roads look the same to a reader.
fn alike(a: &Road, b: &Road) -> bool {
    a.steps == b.steps && a.outcome == b.outcome && a.by == b.by
}

/// One road in words: its hooks, and what becomes of the connection.
fn way(road: &Road) -> String {
    let steps: Vec<String> = road.steps.iter().map(step).collect();
    let path = if steps.is_empty() { "no filter hook sees it".to_owned() } else { steps.join(", then ") };
    let by = road.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
    let end = match road.outcome {
        Outcome::Delivered => "delivered",
        Outcome::Host => "to the host's own sockets",
        Outcome::Dropped => "dropped",
        Outcome::Rejected => "rejected",
        Outcome::Lost => "lost",
        Outcome::Hangs => "never answered",
        Outcome::Unanswered => "delivered, but its answer does not come back",
    };
    format!("{path}: {end}{by}")
}

fn step(step: &Step) -> String {
    let card = |card: Interface| match card {
        Interface::Arrival => "the card of arrival",
        Interface::Bridge => "the bridge",
        Interface::Loopback => "`lo`",
        Interface::Departure => "the card of departure",
        Interface::Parent => "the parent card",
        Interface::SwarmBridge => "Swarm's bridge",
    };
    let mut out = format!("**{}**", step.hook.chain());
    match (step.input.map(card), step.output.map(card)) {
        (Some(input), Some(output)) => drop(write!(out, " from {input} to {output}")),
        (Some(input), None) => drop(write!(out, " from {input}")),
        (None, Some(output)) => drop(write!(out, " to {output}")),
        (None, None) => {}
    }
    match step.leg {
        Leg::Proxy => out.push_str(" (the proxy's own connection)"),
        Leg::Stray => out.push_str(" (an answer that is taken for a connection)"),
        Leg::Client if step.translated() => out.push_str(" (already translated)"),
        Leg::Client => {}
    }
    out
}
