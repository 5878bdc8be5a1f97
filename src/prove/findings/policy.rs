//! Policies that no packet comes to.

use super::question::Asker;
use crate::netfilter::Verdict;
use crate::packet::Cube;
use crate::program::{Does, Place};
use crate::prove::cover::{Stretch, left_over};

impl Asker<'_> {
    /// The rules that decide everything before a chain's end, if an accept is among them; `None` if packets come to the end, or
    /// that is not known. `rules`: how many the chain has.
    pub(super) fn end(&mut self, chain: usize, rules: usize) -> Option<Vec<Place>> {
        let (program, universe) = (self.program, &self.space.universe);
        let mut places = Vec::new();
        for (number, step) in (0u32..).zip(&program.steps) {
            let own = step.place.chain as usize == chain;
            // RETURN from a base chain is its policy, too.
            let returns = || {
                let verdict = self.rule(step.place).and_then(|rule| rule.verdict.as_ref());
                verdict == Some(&Verdict::Return) && matches!(step.does, Does::Decide(_))
            };
            if own && returns() {
                return None;
            }
            if own && step.place.rule as usize == rules {
                let stretch = [Stretch { program, from: 0, to: number, events: false }];
                let mut used = Vec::new();
                let all = Cube::all();
                let left = self.ask(|budget| left_over(&all, &stretch, universe, budget, |_, step| used.push(step)));
                if !matches!(left, Ok(None)) {
                    return None;
                }
                used.sort_unstable();
                used.dedup();
                places.extend(self.needed(&[&all], used));
            }
        }
        places.sort_unstable();
        places.dedup();
        let accepts = |place: &Place| self.rule(*place).is_some_and(|rule| rule.verdict == Some(Verdict::Accept));
        Some(places).filter(|places| places.iter().any(accepts))
    }
}
