//! The order of chains: who leads where, and behind which chain each is written.

use rustc_hash::FxHashMap;

use super::Chain;
use crate::netfilter::{Effect, Verdict};

/// Finds the order of chains, who goes where, and who sets marks. `false` if chains lead in a circle, which no kernel loads.
pub(super) fn arrange(chains: &mut [Chain], by_name: &FxHashMap<&str, usize>, first: usize) -> bool {
    let mut successors: Vec<Vec<usize>> = Vec::with_capacity(chains.len());
    let mut gotos = vec![0; chains.len()];
    let mut marks: Vec<bool> = Vec::with_capacity(chains.len());
    for chain in chains.iter() {
        let mut list = Vec::new();
        for rule in chain.rules {
            for (name, goes) in targets(rule.verdict.as_ref()) {
                if let Some(at) = by_name.get(name) {
                    list.push(*at);
                    if let Some(count) = gotos.get_mut(*at).filter(|_| goes) {
                        *count += 1;
                    }
                }
            }
        }
        list.sort_unstable();
        list.dedup();
        successors.push(list);
        marks.push(chain.rules.iter().any(|rule| rule.effects.iter().any(Effect::changes_marks)));
    }
    // Depth first: a chain is finished after all that it leads to.
    let (mut finished, mut state) = (Vec::new(), vec![0u8; chains.len()]);
    let mut acyclic = true;
    let mut stack = vec![(first, 0)];
    if let Some(state) = state.get_mut(first) {
        *state = 1;
    }
    while let Some((chain, next)) = stack.pop() {
        match successors.get(chain).and_then(|list| list.get(next)) {
            Some(to) => {
                stack.push((chain, next + 1));
                match state.get(*to) {
                    Some(0) => {
                        state[*to] = 1;
                        stack.push((*to, 0));
                    }
                    Some(1) => acyclic = false,
                    _ => {}
                }
            }
            None => {
                if let Some(state) = state.get_mut(chain) {
                    *state = 2;
                }
                let below = successors.get(chain).into_iter().flatten();
                if below.into_iter().any(|to| marks.get(*to) == Some(&true)) {
                    marks[chain] = true;
                }
                finished.push(chain);
            }
        }
    }
    let count = finished.len();
    for (at, chain) in finished.iter().enumerate() {
        if let Some(known) = chains.get_mut(*chain) {
            known.rank = count - at;
            known.gotos = gotos.get(*chain).copied().unwrap_or(0);
            known.marks = marks.get(*chain).copied().unwrap_or(true);
        }
    }
    // Callers stand before those they call, so that their own place is known.
    for caller in finished.iter().rev() {
        for to in successors.get(*caller).into_iter().flatten() {
            let place = match chains.get(*to).and_then(|chain| chain.after) {
                Some(known) => common(chains, known, *caller),
                None => Some(*caller),
            };
            if let Some(chain) = chains.get_mut(*to) {
                chain.after = place;
            }
        }
    }
    acyclic
}

/// The nearest chain that the ways to both pass.
fn common(chains: &[Chain], one: usize, other: usize) -> Option<usize> {
    let rank = |at: usize| chains.get(at).map_or(0, |chain| chain.rank);
    let (mut one, mut other) = (one, other);
    while one != other {
        let deeper = if rank(one) > rank(other) { &mut one } else { &mut other };
        *deeper = chains.get(*deeper)?.after?;
    }
    Some(one)
}

/// The chains that a verdict leads to, and whether it goes there without coming back.
pub(super) fn targets(verdict: Option<&Verdict>) -> Vec<(&str, bool)> {
    match verdict {
        Some(Verdict::Jump(name)) => vec![(name, false)],
        Some(Verdict::Goto(name)) => vec![(name, true)],
        Some(Verdict::Map { elements, .. }) => {
            elements.iter().flat_map(|(_, verdict)| targets(Some(verdict))).collect()
        }
        _ => Vec::new(),
    }
}
