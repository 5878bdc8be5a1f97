//! One rule: the steps of its condition, of what it does, and of its verdict.

use std::sync::Arc;

use super::order::targets;
use super::{Frame, Label, MOST_INLETS, MOST_STEPS, Pending, Writer, clamp, deeper};
use crate::net::Family;
use crate::netfilter::{Reject, Rule, Verdict};
use crate::packet::condition::Counter;
use crate::packet::{Condition, Cube, Values};
use crate::program::condition::{MarkTest, RuleCondition, element_cube};
use crate::program::{Does, Event, EventId, Place, Step, VISIT};

impl Writer<'_, '_> {
    /// Writes a rule. Gives the packets that it sends elsewhere for good.
    pub(super) fn rule(&mut self, rule: &Rule, guard: &Cube, frame: &mut Frame, place: Place, path: u64) -> Vec<Cube> {
        let condition = self.condition(rule, path);
        let cubes: Vec<Cube> = condition.cubes.iter().filter_map(|cube| cube.intersection(guard)).collect();
        let after = self.label();
        if cubes.is_empty() {
            for chain in targets(rule.verdict.as_ref()).into_iter().filter_map(|(name, goes)| goes.then_some(name)) {
                if let Some(chain) = self.by_name.get(chain) {
                    *frame.idle.entry(*chain).or_default() += 1;
                }
            }
        } else {
            for never in condition.never.iter().filter_map(|cube| cube.intersection(guard)) {
                self.step(never, Does::Lead(after), place);
            }
            if self.visits {
                self.visit(&cubes, &condition.marks, place);
            }
            for (asked, event) in &condition.counted {
                self.happen(asked.iter().filter_map(|cube| cube.intersection(guard)), *event, place);
            }
            // Packets of the cubes that fail these are led past the rule.
            let loose = !condition.never.is_empty() || !condition.marks.is_empty();
            self.inside(loose, |writer| {
                writer.matched(rule, &cubes, &condition.marks, guard, frame, after, place, path);
            });
        }
        self.put(after);
        let ends = match &rule.verdict {
            Some(Verdict::Goto(name)) => self.by_name.contains_key(&**name),
            Some(verdict) => !matches!(verdict, Verdict::Jump(_) | Verdict::Map { .. } | Verdict::Unknown(_)),
            None => false,
        };
        let all = condition.marks.is_empty() && condition.never.is_empty() && condition.counted.is_empty();
        if ends && all { cubes } else { Vec::new() }
    }

    /// The condition of a rule. Each question that it puts to a counter has a number, the first that no question of the kind has
    /// which was put to any of the same packets before. So what a packet is asked first is the first, wherever it stands.
    fn condition(&mut self, rule: &Rule, path: u64) -> RuleCondition {
        let (questions, numbered, coming) = (&mut self.questions, &mut self.numbered, &self.coming);
        let mut number = |counter: &Counter, asked: &[Cube]| {
            *numbered.entry((path, counter.clone())).or_insert_with(|| {
                let before = questions.entry(counter.clone()).or_default();
                let asked: Vec<Cube> = asked.iter().filter_map(|cube| cube.intersection(coming)).collect();
                let met = before.iter().filter(|(cube, _)| asked.iter().any(|own| own.meets(cube)));
                let taken: Vec<u32> = met.map(|(_, number)| *number).collect();
                let free = (1..).find(|number| !taken.contains(number)).unwrap_or(u32::MAX);
                before.extend(asked.into_iter().map(|cube| (cube, free)));
                free
            })
        };
        self.reader.read(rule, self.space, &mut number)
    }

    /// Keeps the place of a rule and the packets that match it.
    fn visit(&mut self, cubes: &[Cube], marks: &[MarkTest], place: Place) {
        if !self.live || self.steps.len() >= MOST_STEPS {
            return;
        }
        for cube in self.by_marks(cubes.to_vec(), marks) {
            self.steps.push(Step { cube, does: Does::Happen(VISIT), place });
        }
    }

    /// An event for packets that are in any of the cubes, once for each.
    fn happen(&mut self, cubes: impl Iterator<Item = Cube>, event: EventId, place: Place) {
        let mut cubes: Vec<Cube> = cubes.collect();
        let Some(last) = cubes.pop() else { return };
        let behind = self.label();
        for cube in cubes {
            self.step(cube.clone(), Does::Happen(event), place);
            self.step(cube, Does::Lead(behind), place);
        }
        self.step(last, Does::Happen(event), place);
        self.put(behind);
    }

    #[allow(clippy::too_many_arguments)]
    fn matched(
        &mut self,
        rule: &Rule,
        cubes: &[Cube],
        marks: &[MarkTest],
        guard: &Cube,
        frame: &mut Frame,
        after: Label,
        place: Place,
        path: u64,
    ) {
        // Tests of the mark do not narrow what follows a jump: the mark may be another one there.
        let mut tested = self.by_marks(cubes.to_vec(), marks);
        for effect in &rule.effects {
            let event = self.space.number(Event::Effect(effect.clone()));
            self.happen(tested.iter().cloned(), event, place);
            for change in effect.mark_changes() {
                self.set_mark(change, &tested, path, place);
                self.come_in(path, cubes, &mut tested, guard, after, place);
            }
        }
        if let Some(verdict) = &rule.verdict {
            self.verdict(verdict, cubes, tested, guard, frame, after, place, path);
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn verdict(
        &mut self,
        verdict: &Verdict,
        cubes: &[Cube],
        tested: Vec<Cube>,
        guard: &Cube,
        frame: &mut Frame,
        after: Label,
        place: Place,
        path: u64,
    ) {
        let body = |writer: &Self, name: &str| writer.by_name.get(name).copied();
        match verdict {
            Verdict::Return => tested.into_iter().for_each(|cube| self.step(cube, frame.leave(), place)),
            Verdict::Jump(name) if body(self, name).is_some() => {
                let Some(chain) = body(self, name) else { return };
                let guard = self.enter(chain, cubes, tested, guard, after, place);
                let mut inner = Frame { path, ..Frame::to(after) };
                if let Some(guard) = guard {
                    // What its rules lead to is written before its end: no packet is there that did not come in.
                    let before = std::mem::take(&mut self.loose);
                    self.chain(chain, &guard, &mut inner, path);
                    self.close(&mut inner, &guard);
                    self.loose = before;
                }
            }
            Verdict::Goto(name) if body(self, name).is_some() => {
                let Some(chain) = body(self, name) else { return };
                self.goes(chain, cubes, tested, guard, frame, after, place, path);
            }
            Verdict::Map { fields, elements } => {
                let family = self.space.universe.family();
                for (number, (key, verdict)) in elements.iter().enumerate() {
                    let Some(member) = element_cube(fields, key, family) else { continue };
                    let part = |cubes: &[Cube]| -> Vec<Cube> {
                        cubes.iter().filter_map(|cube| cube.intersection(&member)).collect()
                    };
                    let (cubes, tested) = (part(cubes), part(&tested));
                    if !cubes.is_empty() {
                        let path = deeper(path, Place { rule: clamp(number), ..place });
                        let behind = self.label();
                        self.verdict(verdict, &cubes, tested, guard, frame, behind, place, path);
                        self.put(behind);
                    }
                }
            }
            Verdict::Unknown(text) => self.open(text.clone(), tested, None, place),
            // The chain is not here: it is in the kernel, or in another file.
            Verdict::Jump(name) => self.open(format!("jump {name}").into(), tested, None, place),
            Verdict::Goto(name) => self.open(format!("goto {name}").into(), tested, Some(frame.leave()), place),
            verdict => {
                let event = self.space.number(Event::Verdict(plain(verdict, self.space.universe.family())));
                tested.into_iter().for_each(|cube| self.step(cube, Does::Decide(event), place));
            }
        }
    }

    /// What may decide, or let the packets go on: to the next rule, unless `else_to` says something else.
    fn open(&mut self, text: Arc<str>, tested: Vec<Cube>, else_to: Option<Does>, place: Place) {
        let condition = self.space.universe.field_of(Condition::Decides(Arc::clone(&text)));
        let event = self.space.number(Event::Verdict(Verdict::Unknown(text)));
        for cube in tested {
            let decided = match condition {
                Some(field) => cube.clone().with(field, Values::single(1)),
                None => Some(cube.clone()),
            };
            if let Some(decided) = decided {
                self.step(decided, Does::Decide(event), place);
            }
            // Those that it does not decide.
            if let (Some(does), Some(_)) = (else_to, condition) {
                self.step(cube, does, place);
            }
        }
    }

    /// Goes to a chain: written here if this is the only rule that leads there, else behind all that do.
    #[allow(clippy::too_many_arguments)]
    fn goes(
        &mut self,
        chain: usize,
        cubes: &[Cube],
        tested: Vec<Cube>,
        guard: &Cube,
        frame: &mut Frame,
        after: Label,
        place: Place,
        path: u64,
    ) {
        let shared = self.chains.get(chain).is_some_and(|chain| chain.gotos > 1);
        if shared {
            // What a rule before has sent elsewhere does not come here.
            let inlets: Vec<Cube> = if self.sets_marks {
                cubes.iter().take(MOST_INLETS).cloned().collect()
            } else {
                let here = cubes.iter().filter(|cube| self.comes_here(cube));
                here.filter_map(|cube| cube.intersection(&self.coming)).take(MOST_INLETS).collect()
            };
            let loose = self.loose || tested != cubes;
            let label = match frame.pending.iter_mut().find(|pending| pending.chain == chain) {
                Some(pending) => {
                    if pending.inlets.len() < MOST_INLETS {
                        pending.inlets.extend(inlets);
                    }
                    pending.seen += 1;
                    pending.loose |= loose;
                    pending.label
                }
                None => {
                    let label = self.label();
                    // The same path in every copy, whichever rule leads there.
                    let path = deeper(frame.path, Place { table: place.table, chain: clamp(chain), rule: u32::MAX });
                    frame.pending.push(Pending { chain, label, path, inlets, seen: 1, loose });
                    label
                }
            };
            tested.into_iter().for_each(|cube| self.step(cube, Does::Lead(label), place));
            return;
        }
        // Of several cubes, all other packets are led past the chain.
        let loose = !matches!((cubes, tested.as_slice()), ([one], [exact]) if one == exact);
        if let Some(inside) = self.enter(chain, cubes, tested, guard, after, place) {
            self.inside(loose, |writer| writer.chain(chain, &inside, frame, path));
            self.step(inside, frame.leave(), place);
        }
    }

    /// Lets the packets that match into the chain that is written next, and leads the others past it. Gives the packets that may be in it.
    #[allow(clippy::too_many_arguments)]
    fn enter(
        &mut self,
        chain: usize,
        cubes: &[Cube],
        tested: Vec<Cube>,
        guard: &Cube,
        after: Label,
        place: Place,
    ) -> Option<Cube> {
        let sets_marks = self.chains.get(chain).is_some_and(|chain| chain.marks);
        if let ([one], [exact]) = (cubes, tested.as_slice())
            && (one == exact || !sets_marks)
        {
            return Some(exact.clone());
        }
        if !sets_marks && tested.is_empty() {
            return None;
        }
        let inside = self.label();
        tested.into_iter().for_each(|cube| self.step(cube, Does::Lead(inside), place));
        self.step(guard.clone(), Does::Lead(after), place);
        self.put(inside);
        match cubes {
            [one] => Some(one.clone()),
            _ => Some(guard.clone()),
        }
    }
}

/// A verdict as packets of a family see it: ICMPv6 has one answer for all that is prohibited.
fn plain(verdict: &Verdict, family: Family) -> Verdict {
    match verdict {
        Verdict::Reject(Reject::HostProhibited | Reject::NetworkProhibited) if family == Family::Ipv6 => {
            Verdict::Reject(Reject::AdminProhibited)
        }
        verdict => verdict.clone(),
    }
}
