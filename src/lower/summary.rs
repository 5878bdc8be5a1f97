//! What is in force, flow by flow, in words: the top of every output file, and what a build prints.

use std::collections::BTreeSet;

use super::{change, dispatch, gate, own_address, proxy};
use crate::check::{direct, docker_proxy, masquerade_order, overridden, same_bridge, second_manager};
use crate::diagnostic::{Code, Diagnostic};
use crate::net::Card;
use crate::netfilter::Target;
use crate::optimise::origin::Lines;
use crate::policy::closed::{End, Extent};
use crate::policy::who::codes;
use crate::policy::{Action, CardSet, Class, Flow, GateLine, Judgement, Policy, Rank};
use crate::span::SourceText;
use crate::syntax::tree::View;
use crate::traffic;

/// Diagnostics that say under which version or setting, or on which road, the output is not what the policy says.
static LIMITS: &[&Code] = &[
    &dispatch::REJECT_IN_MANGLE,
    &direct::DIRECT_MAY_BE_DROPPED,
    &docker_proxy::PROXIED_ROAD_OPEN,
    &own_address::NEIGHBOURS_LEFT_OPEN,
    &proxy::OWN_ADDRESS_LEFT_OPEN,
    &gate::GUEST_ROAD_UNSEEN,
    &overridden::LIBVIRT_REJECTS,
    &change::MARK_ON_LOCAL_NETWORKS,
    &masquerade_order::MASQUERADE_ORDER,
    &same_bridge::SAME_BRIDGE,
    &second_manager::SECOND_MANAGER,
    &second_manager::MANAGER_DROPS,
    &codes::DEFAULT_ROUTE_UNKNOWN,
];

/// A policy with as many limits has one and the same in many lines: the rest is counted.
const MOST_LIMITS: usize = 20;

/// What the diagnostics of a build said of the limits within which its output holds, a line each.
#[must_use]
pub fn limits(diagnostics: &[Diagnostic], sources: &[SourceText]) -> Vec<String> {
    let lines = Lines::new(sources);
    let told = diagnostics.iter().filter(|one| LIMITS.contains(&one.code));
    let mut limits: Vec<String> = told
        .map(|one| {
            let place = lines.place(one.primary.location).map(|(path, line)| format!(", {path}:{line}"));
            format!("Limit ({}{}): {}.", one.code.number, place.unwrap_or_default(), one.message)
        })
        .collect();
    let more = limits.len().saturating_sub(MOST_LIMITS);
    limits.truncate(MOST_LIMITS);
    if more > 0 {
        limits.push(format!("Limit: {more} more, which `fwc check` tells."));
    }
    limits
}

/// The lines at the top of a file: facts that the build rests on and the limits within which it holds, then every flow.
#[must_use]
pub fn header(policy: &Policy, target: Target, limits: &[String]) -> Vec<String> {
    let mut lines = Vec::new();
    lines.push(format!(
        "Target: {}.",
        match target {
            Target::Iptables => "iptables-restore --noflush",
            Target::Nft => "nft -f",
        }
    ));
    match (policy.facts_used.is_empty(), limits.is_empty()) {
        (true, true) => {
            lines.push("Facts: none; holds for every supported version and setting of the platforms.".to_owned());
        }
        (true, false) => {
            lines.push(
                "Facts: none; holds for every supported version and setting of the platforms but for:".to_owned(),
            );
        }
        (false, _) => lines.extend(policy.facts_used.iter().map(|fact| format!("Fact: {fact}."))),
    }
    lines.extend_from_slice(limits);
    lines.extend(flows(policy));
    lines
}

/// What a policy has in force, in one line: how many rules, how many asserts are proved, what is closed and what is left alone.
#[must_use]
pub fn in_one_line(policy: &Policy, proved: usize) -> String {
    let (mut closed, mut open, mut alone) = (Vec::new(), Vec::new(), Vec::new());
    for flow in Flow::all().filter(|flow| classes(policy).contains(&flow.from) && classes(policy).contains(&flow.to)) {
        match policy.end(flow) {
            End::Closed(Extent::Whole) => closed.push(flow.to_string()),
            End::Closed(Extent::HostAddresses) => closed.push(format!("{flow} (by an address of this host)")),
            End::Closed(Extent::OwnAddresses) => closed.push(format!("{flow} (by the container's own address)")),
            End::Open => open.push(left_alone(policy, flow)),
            End::Platform if policy.governs(flow) => {
                let proxied = taken_in(policy, flow).map(|taken_in| format!(", and {taken_in}"));
                alone.push(format!("{flow} (but for what is denied{})", proxied.unwrap_or_default()));
            }
            End::Platform => alone.push(left_alone(policy, flow)),
        }
    }
    let rules = rules(policy);
    let mut parts = vec![format!("{rules} {}", if rules == 1 { "rule" } else { "rules" })];
    match policy.assertions.len() {
        0 => {}
        all if all == proved => parts.push(format!("{all} {} proved", if all == 1 { "assert" } else { "asserts" })),
        all => parts.push(format!("{proved} of {all} asserts proved")),
    }
    let mut line = format!("{}; closed: ", parts.join(", "));
    line.push_str(&if closed.is_empty() { "nothing".to_owned() } else { closed.join(", ") });
    for (what, flows) in [("open by default", open), ("left to the platform", alone)] {
        if !flows.is_empty() {
            line.push_str(&format!("; {what}: {}", flows.join(", ")));
        }
    }
    line
}

/// How many rules and defaults a policy has, those of guests, instances and groups included.
fn rules(policy: &Policy) -> usize {
    let flows = policy.flows.values().flatten();
    let flows = flows.filter(|judgement| matches!(judgement.rank, Rank::Rule | Rank::Default));
    let gates = policy.gates.iter().flat_map(|gate| gate.lines.iter().map(|(_, line)| line));
    let lines = gates.chain(policy.groups.iter().flat_map(|group| &group.lines));
    let gates = lines.filter_map(|line| if let GateLine::Rule(judgement) = line { Some(&**judgement) } else { None });
    let early = policy.early.iter().map(|early| &early.judgement);
    flows.chain(gates).chain(early).map(|judgement| judgement.statement).collect::<BTreeSet<u32>>().len()
}

/// One line for every flow that can exist on this host: what ends it, or that it is left alone.
#[must_use]
pub fn flows(policy: &Policy) -> Vec<String> {
    let classes = classes(policy);
    let mut lines = Vec::new();
    let mut alone = Vec::new();
    for flow in Flow::all().filter(|flow| classes.contains(&flow.from) && classes.contains(&flow.to)) {
        match policy.flows.get(&flow) {
            Some(_) if policy.only_logs(flow) => lines.push(format!("{flow}: logged, and left to the platform.")),
            Some(judgements) => {
                let open = matches!(policy.end(flow), End::Open | End::Platform);
                let proxied = taken_in(policy, flow).filter(|_| open).map(|taken_in| format!(" (but for {taken_in})"));
                lines.push(format!("{flow}: {}{}.", in_force(judgements), proxied.unwrap_or_default()));
            }
            None => alone.push(left_alone(policy, flow)),
        }
    }
    if !alone.is_empty() {
        lines.push(format!("Left to the platform: {}.", alone.join(", ")));
    }
    lines
}

/// A flow that is left to the platform, or open by default, with what is not.
fn left_alone(policy: &Policy, flow: Flow) -> String {
    match taken_in(policy, flow) {
        Some(taken_in) => format!("{flow} (but for {taken_in})"),
        None => flow.to_string(),
    }
}

/// What ends as connections to the host do, whatever is said of a flow to containers: on INPUT docker-proxy's ports look like the host's
/// own, unless it is known which they are.
fn taken_in(policy: &Policy, flow: Flow) -> Option<String> {
    let to_host = Flow { from: flow.from, to: Class::Host };
    let comes_by_proxy = flow.to == Class::Container && flow.from != Class::Host && traffic::may_proxy(policy);
    let differs = comes_by_proxy && !traffic::lists_all(policy) && policy.governs(to_host);
    (differs && policy.end(to_host) != End::Open)
        .then(|| format!("what docker-proxy takes in, which ends as {to_host}"))
}

fn classes(policy: &Policy) -> BTreeSet<Class> {
    let mut classes = BTreeSet::from([Class::Outside, Class::Host]);
    for (class, cards) in [
        (Class::Container, &policy.cards.container),
        (Class::Instance, &policy.cards.instance),
        (Class::Guest, &policy.cards.guest),
    ] {
        if !cards.is_empty() {
            classes.insert(class);
        }
    }
    classes.extend(policy.flows.keys().flat_map(|flow| [flow.from, flow.to]));
    classes
}

fn in_force(judgements: &[Judgement]) -> String {
    let count = |action: fn(Action) -> bool| {
        let statements: BTreeSet<u32> = judgements
            .iter()
            .filter(|judgement| judgement.rank == Rank::Rule && action(judgement.action))
            .map(|judgement| judgement.statement)
            .collect();
        statements.len()
    };
    let (allows, denies) =
        (count(|action| action == Action::Allow), count(|action| matches!(action, Action::Deny | Action::Reject(_))));
    let mut parts = Vec::new();
    let plural = |count: usize, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
    if allows > 0 {
        parts.push(plural(allows, "allow", "allows"));
    }
    if denies > 0 {
        parts.push(plural(denies, "deny", "denies"));
    }
    let mut open = true;
    for judgement in judgements.iter().filter(|judgement| judgement.rank == Rank::Default) {
        let what = match judgement.action {
            Action::Allow => "allow",
            Action::Deny => "deny",
            Action::Reject(_) => "reject",
            Action::Log => "log",
        };
        let partial = !judgement.is_unconditional() && judgement.action != Action::Log;
        let via = judgement.via.as_ref().map(|cards| format!(" via {}", names(cards))).unwrap_or_default();
        let some = if partial && judgement.via.is_none() { " of what its default names" } else { "" };
        parts.push(format!("then {what} the rest{via}{some}"));
        open &= partial || judgement.action == Action::Log;
    }
    let ends: BTreeSet<&str> = judgements.iter().filter(|judgement| judgement.rank == Rank::End).map(end).collect();
    open &= ends.is_empty() || judgements.iter().any(is_of_forward);
    parts.extend(ends.into_iter().map(|end| format!("then deny the rest{end}")));
    if open {
        parts.push("what remains is left to the platform".to_owned());
    }
    parts.join(", ")
}

/// Whether it ends what a `forward` carries, and no more of the flow.
fn is_of_forward(judgement: &Judgement) -> bool {
    judgement.rank == Rank::End && judgement.to.addresses.is_some()
}

/// What of a flow the deny at its end is for.
fn end(judgement: &Judgement) -> &'static str {
    if judgement.leaves_own_addresses {
        " that is dialled at an address of this host"
    } else if judgement.to.view == Some(View::Direct) {
        " that is dialled at a container's own address"
    } else if is_of_forward(judgement) {
        " at the address and port of its forward"
    } else {
        ""
    }
}

/// Cards in words.
#[must_use]
pub fn names(cards: &CardSet) -> String {
    let list = cards.cards.iter().map(Card::to_string).collect::<Vec<_>>().join(", ");
    if cards.complement { format!("every card but {list}") } else { list }
}
