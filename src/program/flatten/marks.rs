//! Marks: the copies of the list in which they are known.

use rustc_hash::FxHashMap;

use super::order::targets;
use super::{Copy, Label, MOST_MARKS, Writer};
use crate::netfilter::{Effect, MarkChange, MarkWord, Rule};
use crate::packet::field::Assigned;
use crate::packet::{Cube, Field};
use crate::program::condition::{MarkTest, connected, narrowed_by_bits};
use crate::program::{Does, Place};

impl Writer<'_, '_> {
    /// Whether a rule sets a mark, or leads to one that does.
    pub(super) fn leads_to_marks(&self, rule: &Rule) -> bool {
        let sets = rule.effects.iter().any(Effect::changes_marks);
        sets || targets(rule.verdict.as_ref()).iter().any(|(name, _)| {
            self.by_name.get(name).and_then(|at| self.chains.get(*at)).is_some_and(|chain| chain.marks)
        })
    }

    /// Cubes narrowed by tests of marks, as far as those are known. What holds what another field did is looked up there.
    pub(super) fn by_marks(&mut self, mut cubes: Vec<Cube>, tests: &[MarkTest]) -> Vec<Cube> {
        for test in tests {
            let mut open = Vec::new();
            let mut differs = false;
            for (field, value) in &test.parts {
                match self.holds(*field) {
                    Assigned::Value(known) => differs |= known != *value,
                    Assigned::Of(other, flip) => open.push((other, *value ^ flip)),
                    Assigned::Open => self.complete = false,
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

    /// What a group of bits holds here.
    fn holds(&self, field: Field) -> Assigned {
        let known = self.marks.iter().find(|(own, _)| *own == field);
        known.map_or(Assigned::Of(field, 0), |(_, value)| *value)
    }

    /// Leads on into the copy in which the new mark is known.
    pub(super) fn set_mark(&mut self, change: MarkChange, cubes: &[Cube], path: u64, place: Place) {
        let mut marks = self.marks.clone();
        for (field, assigned) in self.space.universe.changed(change) {
            let assigned = match assigned {
                Assigned::Of(other, flip) => self.holds(other).flipped(flip),
                assigned => assigned,
            };
            marks.retain(|(known, _)| *known != field);
            if assigned != Assigned::Of(field, 0) {
                marks.push((field, assigned));
            }
        }
        marks.sort_unstable();
        // What has no connection keeps the mark that it has not.
        let cubes: Vec<Cube> = match change.word {
            MarkWord::Packet => cubes.to_vec(),
            MarkWord::Connection => {
                cubes.iter().filter_map(|cube| cube.clone().with(Field::STATE, connected())).collect()
            }
        };
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
            self.step(cube, Does::Lead(label), place);
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
