//! The steps of a program that some packets can meet, and whether two such lists do the same.

use std::hash::{Hash, Hasher};
use std::rc::Rc;

use rustc_hash::{FxHashMap, FxHasher};

use crate::packet::values::Range;
use crate::packet::{Cube, Field, Universe, Values};
use crate::program::{Does, EventId, Program};
use crate::prove::cover::{Budget, Spent};

/// Steps that stand elsewhere in the other list, of which it is looked whether they pass any that must stay in front or behind.
const MOST_MOVED: usize = 32;
/// Steps behind one that leads elsewhere, of which it is looked whether it leads past them.
const NEAR: usize = 32;

/// Fields in which lists of rules that do the same differ, one after the other.
const FOLDED: [Field; 8] = [
    Field::ICMP,
    Field::PROTOCOL,
    Field::IN_INTERFACE,
    Field::OUT_INTERFACE,
    Field::DESTINATION_PORT,
    Field::ORIGINAL_PORT,
    Field::SOURCE,
    Field::DESTINATION,
];

/// A step, as far as it asks more of some packets than what they have in common.
#[derive(Clone, Debug)]
pub struct Step<'p> {
    /// Its number in the program.
    pub number: u32,
    /// What it does.
    pub does: Does,
    cube: Held<'p>,
    /// The same for steps that do the same for the same packets.
    key: u64,
}

#[derive(Clone, Debug)]
enum Held<'p> {
    Own(&'p Cube),
    Cut(Rc<Cube>),
}

impl<'p> Step<'p> {
    fn new(number: u32, does: Does, cube: Held<'p>) -> Self {
        let mut step = Self { number, does, cube, key: 0 };
        step.key = hash(does, step.cube(), None);
        step
    }

    /// What it asks.
    pub fn cube(&self) -> &Cube {
        match &self.cube {
            Held::Own(cube) => cube,
            Held::Cut(cube) => cube,
        }
    }

    /// Whether it takes all of the packets.
    pub fn is_whole(&self) -> bool {
        self.cube().parts().is_empty()
    }

    /// Whether it does the same for the same packets; where it leads is not looked at.
    fn is_like(&self, other: &Self) -> bool {
        let does = match (self.does, other.does) {
            (Does::Lead(_), Does::Lead(_)) => true,
            (one, other) => one == other,
        };
        does && self.key == other.key && self.cube() == other.cube()
    }

    /// For packets that have some of the values they had in a field; `None` if it is not for them.
    fn within(&self, field: Field, values: &Values) -> Option<Self> {
        let Some(own) = self.cube().get(field) else { return Some(self.clone()) };
        if own.covers(values) {
            return Some(Self::new(self.number, self.does, Held::Cut(Rc::new(self.cube().replaced(field, None)))));
        }
        if values.covers(own) {
            return Some(self.clone());
        }
        let both = own.intersection(values)?;
        Some(Self::new(self.number, self.does, Held::Cut(Rc::new(self.cube().replaced(field, Some(both))))))
    }
}

/// The same for steps that do the same for the same packets, apart from a field.
fn hash(does: Does, cube: &Cube, but: Option<Field>) -> u64 {
    let mut hasher = FxHasher::default();
    match does {
        Does::Decide(event) => (0, event).hash(&mut hasher),
        Does::Happen(event) => (1, event).hash(&mut hasher),
        Does::Lead(_) => 2.hash(&mut hasher),
    }
    for (field, values) in cube.parts().iter().filter(|(field, _)| Some(*field) != but) {
        let ranges = values.ranges();
        (field, ranges.len()).hash(&mut hasher);
        ranges.iter().take(4).chain(ranges.iter().rev().take(2)).for_each(|range| range.hash(&mut hasher));
    }
    hasher.finish()
}

/// Steps in order.
#[derive(Debug)]
pub struct List<'p> {
    steps: Vec<Step<'p>>,
    /// How many have been gone through.
    from: usize,
}

impl<'p> List<'p> {
    /// The steps of a program that packets of a region can meet.
    pub fn of(program: &'p Program, region: &Cube, universe: &Universe) -> Self {
        let step = |(number, step): (u32, &'p crate::program::Step)| {
            Some(Step::new(number, step.does, held(&step.cube, region, universe)?))
        };
        Self { steps: (0..).zip(&program.steps).filter_map(step).collect(), from: 0 }
    }

    /// As packets meet it that have some of the values they had in a field.
    pub fn within(&self, field: Field, values: &Values) -> Self {
        Self { steps: self.steps().iter().filter_map(|step| step.within(field, values)).collect(), from: 0 }
    }

    /// The steps.
    pub fn steps(&self) -> &[Step<'p>] {
        self.steps.get(self.from..).unwrap_or_default()
    }

    /// Goes on behind the first step.
    pub fn skip(&mut self) {
        self.from += 1;
    }

    /// The decision, if there is only one and nothing else happens.
    pub fn only_decision(&self) -> Option<EventId> {
        let mut only = None;
        for step in self.steps() {
            match step.does {
                Does::Lead(_) => {}
                Does::Decide(event) if only.is_none_or(|known| known == event) => only = Some(event),
                _ => return None,
            }
        }
        only
    }

    /// Whether any step leads elsewhere.
    pub fn leads(&self) -> bool {
        self.steps().iter().any(|step| matches!(step.does, Does::Lead(_)))
    }

    /// Leaves out what no packet meets, and what leads past nothing.
    pub fn settle(&mut self) {
        self.steps.drain(..self.from);
        self.from = 0;
        self.leave_unreached();
        self.leave_idle();
    }

    /// Leaves out what decides before the last step as that does.
    pub fn leave_alike(&mut self) {
        let steps = &mut self.steps;
        if let Some(Does::Decide(event)) = steps.last().filter(|last| last.is_whole()).map(|last| last.does) {
            while steps.len() >= 2 && steps.get(steps.len() - 2).is_some_and(|step| step.does == Does::Decide(event)) {
                steps.swap_remove(steps.len() - 2);
            }
        }
    }

    /// Without steps behind those that all packets are taken by. Those that are led past them come in further behind.
    fn leave_unreached(&mut self) {
        // Steps in front of that number are not reached.
        let mut dead = 0;
        let mut targets: Vec<u32> = Vec::new();
        self.steps.retain(|step| {
            if step.number < dead {
                return false;
            }
            let to = match step.does {
                Does::Happen(_) => return true,
                Does::Lead(to) => to,
                Does::Decide(_) => u32::MAX,
            };
            if step.is_whole() {
                let next = targets.iter().copied().filter(|target| *target > step.number).min();
                dead = to.min(next.unwrap_or(u32::MAX));
                if matches!(step.does, Does::Lead(_)) && dead == to {
                    return false;
                }
            }
            if to != u32::MAX {
                targets.push(to);
            }
            true
        });
    }

    /// Without steps that lead past nothing that their packets would meet.
    fn leave_idle(&mut self) {
        if !self.leads() {
            return;
        }
        let mut idle = Vec::new();
        for (at, step) in self.steps.iter().enumerate() {
            let Does::Lead(to) = step.does else { continue };
            let mut passed = self.steps.iter().skip(at + 1).take_while(|other| other.number < to);
            let meets = |other: &Step| {
                let no_farther = matches!(other.does, Does::Lead(further) if further <= to);
                !no_farther && other.cube().meets(step.cube())
            };
            if !passed.by_ref().take(NEAR).any(meets) && passed.next().is_none() {
                idle.push(step.number);
            }
        }
        self.steps.retain(|step| idle.binary_search(&step.number).is_err());
    }

    /// Puts one step for all that decide the same behind one another and differ in one field, where nothing leads in between.
    pub fn shorten(&mut self) {
        let lead = |step: &Step| if let Does::Lead(to) = step.does { Some(to) } else { None };
        let mut targets: Vec<u32> = self.steps.iter().filter_map(lead).collect();
        targets.sort_unstable();
        let landed = |step: &Step| targets.partition_point(|target| *target <= step.number);
        for field in FOLDED {
            let mut short: Vec<Step> = Vec::with_capacity(self.steps.len());
            for run in self.steps.chunk_by(|one, next| one.does == next.does && landed(one) == landed(next)) {
                match run.first().map(|step| step.does) {
                    Some(Does::Decide(_)) if run.len() > 1 => short.extend(joined(run, field)),
                    _ => short.extend_from_slice(run),
                }
            }
            self.steps = short;
        }
    }

    /// The place in the list of a step, or of the first behind it.
    fn place(&self, number: u32) -> usize {
        self.steps().partition_point(|step| step.number < number)
    }
}

/// Steps that do the same; one for all that differ in this field.
fn joined<'p>(run: &[Step<'p>], field: Field) -> Vec<Step<'p>> {
    // The first of those that are alike, and the values of all.
    let mut joined: Vec<(&Step<'p>, Vec<Range>)> = Vec::with_capacity(run.len());
    let mut places: FxHashMap<u64, usize> = FxHashMap::default();
    for step in run {
        let ranges = step.cube().get(field).map(|values| values.ranges().to_vec()).unwrap_or_default();
        if ranges.is_empty() {
            joined.push((step, ranges));
            continue;
        }
        let place = *places.entry(hash(step.does, step.cube(), Some(field))).or_insert(joined.len());
        match joined.get_mut(place) {
            Some((first, known)) if is_alike_but(first.cube(), step.cube(), field) => known.extend(ranges),
            _ => joined.push((step, ranges)),
        }
    }
    let whole = |(first, ranges): (&Step<'p>, Vec<Range>)| {
        let values = Values::union(ranges).filter(|values| first.cube().get(field) != Some(values));
        let cube = values.map(|values| Held::Cut(Rc::new(first.cube().replaced(field, Some(values)))));
        cube.map_or_else(|| first.clone(), |cube| Step::new(first.number, first.does, cube))
    };
    joined.into_iter().map(whole).collect()
}

/// Whether two cubes are the same in all fields but one.
fn is_alike_but(one: &Cube, other: &Cube, field: Field) -> bool {
    let is_other = |part: &&(Field, Values)| part.0 != field;
    one.parts().iter().filter(is_other).eq(other.parts().iter().filter(is_other))
}

/// What a step asks of the packets of a region beyond what they have in common; `None` if it is not for them.
fn held<'p>(cube: &'p Cube, region: &Cube, universe: &Universe) -> Option<Held<'p>> {
    let is_all = |field: Field, values: &Values| *values.ranges() == [universe.all(field)];
    if cube.parts().iter().all(|(field, values)| region.get(*field).is_none() && !is_all(*field, values)) {
        return Some(Held::Own(cube));
    }
    let mut parts = Vec::with_capacity(cube.parts().len());
    for (field, values) in cube.parts() {
        match region.get(*field) {
            Some(all) if values.covers(all) => {}
            Some(all) => parts.push((*field, values.intersection(all)?)),
            None if is_all(*field, values) => {}
            None => parts.push((*field, values.clone())),
        }
    }
    Some(Held::Cut(Rc::new(Cube::of(parts)?)))
}

/// How two lists stand to each other.
pub enum Relation<'l, 'p> {
    /// They do the same.
    Same,
    /// They do, as far as is seen, but for these steps.
    But(Vec<&'l Step<'p>>),
}

/// Whether two lists are the same, apart from the order of steps that nothing tells which is first.
///
/// # Errors
/// [`Spent`] if the budget ends.
pub fn relation<'l, 'p>(
    left: &'l List<'p>,
    right: &'l List<'p>,
    budget: &mut Budget,
) -> Result<Relation<'l, 'p>, Spent> {
    if is_same(left, right) {
        return Ok(Relation::Same);
    }
    let (pairs, alone) = pairs(left, right);
    if !alone.is_empty() {
        return Ok(Relation::But(alone));
    }
    let leads = |step: &&'l Step<'p>| matches!(step.does, Does::Lead(_));
    let leading: Vec<_> = left.steps().iter().chain(right.steps()).filter(leads).collect();
    if !leading.is_empty() {
        return Ok(Relation::But(leading));
    }
    if runs(left) == runs(right) {
        // Every step has a counterpart, in the same run of steps that do the same.
        return Ok(Relation::Same);
    }
    let moved = moved(&pairs);
    let step = |at: usize| left.steps().get(at);
    if moved.len() > MOST_MOVED {
        return Ok(Relation::But(moved.iter().filter_map(|pair| step(pair.0)).collect()));
    }
    budget.take(moved.len() as u64 * pairs.len() as u64 / 8)?;
    let mut torn = Vec::new();
    for one in &moved {
        for other in pairs.iter().filter(|other| (one.0 < other.0) != (one.1 < other.1) && one.0 != other.0) {
            let (Some(step), Some(passed)) = (step(one.0), step(other.0)) else { continue };
            if step.does != passed.does && step.cube().meets(passed.cube()) {
                torn.extend([step, passed]);
            }
        }
    }
    Ok(if torn.is_empty() { Relation::Same } else { Relation::But(torn) })
}

/// Whether they are the same, step by step.
pub fn is_same(left: &List, right: &List) -> bool {
    let alike = |(one, other): (&Step, &Step)| {
        one.is_like(other)
            && match (one.does, other.does) {
                (Does::Lead(to), Does::Lead(there)) => left.place(to) == right.place(there),
                _ => true,
            }
    };
    left.steps().len() == right.steps().len() && left.steps().iter().zip(right.steps()).all(alike)
}

/// Places of steps in the two lists.
type Pair = (usize, usize);

/// Pairs of places at which the same step stands, in the order of the first list, and the steps that stand in one list alone.
fn pairs<'l, 'p>(left: &'l List<'p>, right: &'l List<'p>) -> (Vec<Pair>, Vec<&'l Step<'p>>) {
    let sorted = |list: &'l List<'p>| {
        let mut sorted: Vec<(u64, usize)> = list.steps().iter().enumerate().map(|(at, step)| (step.key, at)).collect();
        sorted.sort_unstable();
        sorted
    };
    let (ours, theirs) = (sorted(left), sorted(right));
    let (mut ours, mut theirs) = (ours.iter().peekable(), theirs.iter().peekable());
    let (mut pairs, mut alone) = (Vec::with_capacity(left.steps().len()), Vec::new());
    loop {
        match (ours.peek().copied().copied(), theirs.peek().copied().copied()) {
            (Some((key, at)), Some((other_key, other))) if key == other_key => {
                match (left.steps().get(at), right.steps().get(other)) {
                    (Some(one), Some(twin)) if one.is_like(twin) => pairs.push((at, other)),
                    (one, twin) => alone.extend([one, twin].into_iter().flatten()),
                }
                ours.next();
                theirs.next();
            }
            (Some((key, at)), other) if other.is_none_or(|(other, _)| key < other) => {
                alone.extend(left.steps().get(at));
                ours.next();
            }
            (_, Some((_, other))) => {
                alone.extend(right.steps().get(other));
                theirs.next();
            }
            (_, None) => break,
        }
    }
    pairs.sort_unstable();
    (pairs, alone)
}

/// The keys of a list; of steps behind one another that do the same, in the order of the keys.
fn runs(list: &List) -> Vec<u64> {
    let mut keys = Vec::with_capacity(list.steps().len());
    for run in list.steps().chunk_by(|one, next| one.does == next.does) {
        let start = keys.len();
        keys.extend(run.iter().map(|step| step.key));
        keys.get_mut(start..).unwrap_or_default().sort_unstable();
    }
    keys
}

/// Pairs without which the others are in the same order in both lists.
fn moved(pairs: &[Pair]) -> Vec<Pair> {
    // For each length of a part that is in order, the pair that ends one with the smallest second place; and for each pair the one before.
    let (mut ends, mut previous): (Vec<usize>, Vec<Option<usize>>) = (Vec::new(), Vec::with_capacity(pairs.len()));
    let second = |at: usize| pairs.get(at).map_or(usize::MAX, |pair| pair.1);
    for (at, pair) in pairs.iter().enumerate() {
        let length = ends.partition_point(|end| second(*end) < pair.1);
        previous.push(length.checked_sub(1).and_then(|before| ends.get(before)).copied());
        match ends.get_mut(length) {
            Some(end) => *end = at,
            None => ends.push(at),
        }
    }
    let mut in_order = vec![false; pairs.len()];
    let mut at = ends.last().copied();
    while let Some(here) = at {
        in_order.get_mut(here).into_iter().for_each(|flag| *flag = true);
        at = previous.get(here).copied().flatten();
    }
    pairs.iter().zip(in_order).filter(|(_, in_order)| !in_order).map(|(pair, _)| *pair).collect()
}
