//! The chains on the way of a connection's first packet, each as a program that speaks of that packet alone: what conntrack would be
//! asked is known of it.

use std::collections::HashMap;
use std::rc::Rc;

use crate::compare::sequence;
use crate::hooks::{self, Tracking};
use crate::host::{Entry, Host};
use crate::net::Family;
use crate::netfilter::{Effect, Hook, TableKind, Verdict};
use crate::packet::Field;
use crate::program::{Does, End, Event, Program, Space, Step, VISIT, flatten_with_visits};
use crate::prove::cover::{Budget, Stretch, left_over};

/// Work for finding which packets a chain marks and does not translate.
const MARKED: u64 = 200_000;

/// A base chain that packets pass.
#[derive(Debug)]
pub(super) struct Stop {
    /// What it does to packets of a world.
    pub(super) program: Program,
    /// The same, of which only what stops packets is left.
    guard: Option<Program>,
    /// The steps that let packets through by a rule.
    pub(super) accepts: usize,
}

impl Stop {
    /// As what keeps packets from going on; `None` if nothing does.
    pub(super) fn stretch(&self) -> Option<Stretch<'_>> {
        self.guard.as_ref().map(stretch)
    }
}

/// Everything in a guard but its last step.
pub(super) fn stretch(guard: &Program) -> Stretch<'_> {
    Stretch { program: guard, from: 0, to: guard.len().saturating_sub(1), events: false }
}

struct Flat {
    hook: Hook,
    before_tracking: bool,
    program: Program,
}

/// A host's chains for one family.
pub(super) struct Ways<'h> {
    pub(super) host: &'h Host,
    pub(super) space: Space,
    flats: Vec<Flat>,
    /// The chains that translate destinations on arrival, as one.
    pub(super) translations: Program,
    stops: HashMap<(usize, Tracking), Rc<Stop>>,
}

impl<'h> Ways<'h> {
    pub(super) fn new(host: &'h Host, family: Family) -> Self {
        let mut space = Space::new(family, [&host.ruleset]);
        let mut flats = Vec::new();
        for hook in [Hook::Prerouting, Hook::Input, Hook::Forward, Hook::Output, Hook::Postrouting] {
            for entry in host.entries(family, hook).into_iter().filter(|entry| entry.base.kind != TableKind::Nat) {
                let Some(program) = flat(host, entry, &mut space) else { continue };
                let before_tracking = hooks::is_before_tracking(hook, entry.base.priority);
                flats.push(Flat { hook, before_tracking, program });
            }
        }
        let translations = sequence::at(host, family, Hook::Prerouting, true, &mut space);
        let translations = Tracking::NEW.program(&translations, Hook::Prerouting, false);
        Self { host, space, flats, translations, stops: HashMap::new() }
    }

    /// The chains at hooks, for packets of a world; `None` if one cannot be written as a list.
    pub(super) fn stops(&mut self, hooks: &[Hook], world: Tracking) -> Option<Vec<Rc<Stop>>> {
        let mut found = Vec::new();
        for number in 0..self.flats.len() {
            let flat = self.flats.get(number).filter(|flat| hooks.contains(&flat.hook));
            let Some(flat) = flat else { continue };
            if !flat.program.complete {
                return None;
            }
            let stop = match self.stops.get(&(number, world)) {
                Some(known) => Rc::clone(known),
                None => {
                    let program = world.program(&flat.program, flat.hook, flat.before_tracking);
                    let stop = Rc::new(self.stop(program));
                    self.stops.insert((number, world), Rc::clone(&stop));
                    stop
                }
            };
            found.push(stop);
        }
        Some(found)
    }

    /// The chains that leave packets untracked, and the steps of each that do.
    pub(super) fn untracking(&self) -> impl Iterator<Item = (&Program, Vec<u32>)> {
        let notrack = |step: &Step| match step.does {
            Does::Happen(event) => *self.space.event(event) == Event::Effect(Effect::Notrack),
            _ => false,
        };
        let arriving = self.flats.iter().filter(|flat| flat.hook == Hook::Prerouting);
        arriving.filter_map(move |flat| {
            let steps: Vec<u32> =
                (0u32..).zip(&flat.program.steps).filter(|(_, step)| notrack(step)).map(|(number, _)| number).collect();
            (!steps.is_empty()).then_some((&flat.program, steps))
        })
    }

    /// The bits of marks that one of these hooks' chains changes, in packets that it sends on as they are.
    pub(super) fn marks_changed(&self, hooks: &[Hook]) -> Vec<Field> {
        let flats = self.flats.iter().filter(|flat| hooks.contains(&flat.hook));
        let mut changed: Vec<Field> =
            flats.flat_map(|flat| flat.program.mark_states().flatten()).map(|(field, _)| *field).collect();
        if hooks.contains(&Hook::Prerouting) {
            changed.extend(self.marked_untranslated());
        }
        changed.sort_unstable();
        changed.dedup();
        changed
    }

    /// The bits of marks that differ where the chains that translate destinations let packets on untranslated.
    fn marked_untranslated(&self) -> Vec<Field> {
        let program = &self.translations;
        let mut budget = Budget::new(MARKED);
        let mut comes = |number: u32, step: &Step| {
            let before = Stretch { program, from: 0, to: number, events: false };
            let left = left_over(&step.cube, &[before], &self.space.universe, &mut budget, |_, _| ());
            left.map_or(true, |left| left.is_some())
        };
        let mut found = Vec::new();
        for (number, step) in (0u32..).zip(&program.steps) {
            let marks = program.marks_at(number);
            let on = matches!(step.does, Does::Decide(_)) && !changes(&self.space, step);
            if on && !marks.is_empty() && comes(number, step) {
                found.extend(marks.iter().map(|(field, _)| *field));
            }
        }
        found
    }

    fn stop(&mut self, program: Program) -> Stop {
        let by_rule = |step: &Step| self.host.rule(step.place).is_some();
        let accepts = program.steps.iter().filter(|step| matches!(step.does, Does::Decide(_)));
        let accepts = accepts.filter(|step| by_rule(step) && !self.denies(step)).count();
        let tagged = program.steps.iter().filter(|step| self.consents(step)).count();
        let guard = self.guard(&program);
        Stop { program, guard, accepts: accepts + tagged }
    }

    /// Whether a step ends a packet's way.
    pub(super) fn denies(&self, step: &Step) -> bool {
        let Does::Decide(event) = step.does else { return false };
        matches!(self.space.event(event), Event::Verdict(Verdict::Drop | Verdict::Reject(_)))
    }

    /// Whether a step is the place of a policy's rule that allows by going back.
    pub(super) fn consents(&self, step: &Step) -> bool {
        let rule = self.host.rule(step.place).filter(|_| step.does == Does::Happen(VISIT));
        let rule = rule.filter(|rule| rule.verdict == Some(Verdict::Return));
        rule.and_then(|rule| rule.origin).is_some_and(|origin| self.host.is_policy(origin.file))
    }

    /// A program of which every decision but those that deny leads to the end.
    fn guard(&mut self, program: &Program) -> Option<Program> {
        if !program.steps.iter().any(|step| self.denies(step)) {
            return None;
        }
        Some(self.keeping(program, |ways, step| ways.denies(step)))
    }

    /// A program of which every decision but some leads to the end.
    pub(super) fn keeping(&mut self, program: &Program, keeps: impl Fn(&Self, &Step) -> bool) -> Program {
        let passed = self.space.number(Event::Passed);
        hooks::keeping(program, passed, |step| keeps(self, step))
    }
}

/// Whether a step of the chains that translate gives packets another destination, or may.
pub(super) fn changes(space: &Space, step: &Step) -> bool {
    let Does::Decide(event) = step.does else { return false };
    match space.event(event) {
        Event::Verdict(Verdict::Dnat { .. } | Verdict::Redirect(_) | Verdict::Unknown(_)) => true,
        Event::Verdict(verdict) => matches!(verdict, Verdict::Drop | Verdict::Reject(_)),
        _ => false,
    }
}

/// A base chain as a list. Of a policy alone, what stands behind its rules is the platform's: the end of a chain that is not its own
/// lets packets on.
fn flat(host: &Host, entry: Entry, space: &mut Space) -> Option<Program> {
    let chain = host.ruleset.tables.get(entry.table)?.chains.get(entry.chain)?;
    let accept = entry.base.accept || (!host.recorded && chain.owner == crate::netfilter::Owner::Kernel);
    let end = if accept { End::Accept } else { End::Drop };
    flatten_with_visits(&host.ruleset, entry.table, &chain.name, end, space)
}
