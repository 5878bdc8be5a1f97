//! Marks: the copies of the list in which they are known.

use rustc_hash::FxHashMap;

use super::order::targets;
use super::{Copy, Label, MOST_MARKS, Writer};
use crate::netfilter::{Effect, Rule};
use crate::packet::{Bits, Cube, Field};
use crate::program::condition::{MarkTest, narrowed_by_bits};
use crate::program::{Does, Place};

impl Writer<'_, '_> {
    /// Whether a rule sets a mark, or leads to one that does.
    pub(super) fn leads_to_marks(&self, rule: &Rule) -> bool {
        let sets = rule.effects.iter().any(|effect| matches!(effect, Effect::SetMark { .. }));
        sets || targets(rule.verdict.as_ref()).iter().any(|(name, _)| {
            self.by_name.get(name).and_then(|at| self.chains.get(*at)).is_some_and(|chain| chain.marks)
        })
    }

    /// Cubes narrowed by tests of the mark, as far as it is known.
    pub(super) fn by_marks(&self, mut cubes: Vec<Cube>, tests: &[MarkTest]) -> Vec<Cube> {
        for test in tests {
            let known = |field: Field| self.marks.iter().find(|(own, _)| *own == field).map(|(_, value)| *value);
            let mut open = Vec::new();
            let mut differs = false;
            for (field, value) in &test.parts {
                match known(*field) {
                    Some(known) => differs |= known != *value,
                    None => open.push((*field, *value)),
                }
            }
            if differs {
                if !test.negated {
                    return Vec::new();
                }
                continue;
            }
            cubes = narrowed_by_bits(&cubes, &open, test.negated, self.space);
        }
        cubes
    }

    /// Leads on into the copy in which the new mark is known.
    pub(super) fn set_mark(&mut self, set: Bits, cubes: &[Cube], path: u64, place: Place) {
        let mut marks = self.marks.clone();
        for (field, value) in self.space.universe.mark(Bits { value: set.value, mask: set.mask }) {
            marks.retain(|(known, _)| *known != field);
            marks.push((field, value));
        }
        marks.sort_unstable();
        // Bits outside of the mask are turned round: those are not followed.
        if set.value & !set.mask != 0 {
            self.complete = false;
        }
        if marks == self.marks || !cubes.iter().any(|cube| self.comes_here(cube)) {
            return;
        }
        let label = self.label();
        match self.copies.iter_mut().find(|copy| copy.marks == marks) {
            Some(copy) => copy.entries.entry(path).or_default().push(label),
            None if self.made >= MOST_MARKS => self.complete = false,
            None => {
                self.made += 1;
                self.copies.push_back(Copy { marks, entries: FxHashMap::from_iter([(path, vec![label])]) });
            }
        }
        for cube in cubes {
            self.step(cube.clone(), Does::Lead(label), place);
        }
    }

    /// Lets packets in that set the mark in another copy; they have matched the rule, and meet what is left of it.
    pub(super) fn come_in(
        &mut self,
        path: u64,
        cubes: &[Cube],
        tested: &mut Vec<Cube>,
        guard: &Cube,
        after: Label,
        place: Place,
    ) {
        let Some(labels) = self.entries.remove(&path) else { return };
        let inside = self.label();
        for cube in tested.drain(..) {
            self.step(cube, Does::Lead(inside), place);
        }
        self.step(guard.clone(), Does::Lead(after), place);
        self.live = true;
        self.put(inside);
        labels.into_iter().for_each(|label| self.put(label));
        tested.extend_from_slice(cubes);
    }
}
