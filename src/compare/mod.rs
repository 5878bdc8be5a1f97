//! Which packets two hosts treat differently: at each hook, what becomes allowed, what becomes denied, and what else happens to
//! them. The answer is exact, or says which hook was left open.

mod example;
pub mod reach;
pub mod rectangles;
pub mod sequence;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::host::{Host, words};
use crate::net::Family;
use crate::netfilter::{Hook, MarkWord};
use crate::packet::field::name_number;
use crate::packet::{Bits, Cube, Field, Universe, Values};
use crate::program::{Counters, Does, Event, EventId, Place, Program, Space};
use crate::prove::compare::differences;
use crate::prove::cover::{Budget, Spent, Stretch, all_left_over};

use rectangles::Piece;

/// What two hosts differ in.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The differences.
    pub changes: Vec<Change>,
    /// Hooks of which it is not known, and why.
    pub unknown: Vec<String>,
    /// What was not compared.
    pub notes: Vec<String>,
}

/// What changes for some packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What the first denies, the second allows.
    Allowed,
    /// What the first allows, the second denies.
    Denied,
    /// The same verdict, with other effects: what happens in the first and in the second.
    Effect(String, String),
}

/// Packets, and what changes for them.
#[derive(Clone, Debug)]
pub struct Change {
    /// The family.
    pub family: Family,
    /// The hook.
    pub hook: Hook,
    /// What changes.
    pub kind: Kind,
    /// The packets: field and values, in words. None: all.
    pub packets: Vec<(String, String)>,
    /// One of them, as `fwc trace` takes it.
    pub example: String,
    /// The rule of the first that decides on the example.
    pub left: Place,
    /// The rule of the second.
    pub right: Place,
}

/// How much may be tried at one hook.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Steps of work for finding what differs.
    pub search: u64,
    /// Steps for finding all packets, not only some, between the pairs of rules that were found.
    pub pair: u64,
}

impl Default for Effort {
    fn default() -> Self {
        Self { search: 8_000_000, pair: 500_000 }
    }
}

/// Pieces beyond which rectangles are not made larger.
const MOST_PIECES: usize = 3_000;
/// Changes of one kind at one hook that are told.
const MOST_PAIRS: usize = 4_000;

const HOOKS: [Hook; 5] = [Hook::Input, Hook::Forward, Hook::Output, Hook::Prerouting, Hook::Postrouting];

/// Compares two hosts: for first packets of connections, or for those of all states.
#[must_use]
pub fn compare(left: &Host, right: &Host, all_states: bool, effort: Effort) -> Report {
    let mut report = Report::default();
    let counters = Counters::alike(&left.ruleset, &right.ruleset);
    for family in Family::BOTH {
        let (one, other) = (left.families.contains(&family), right.families.contains(&family));
        match (one, other) {
            (true, true) => {}
            (false, false) => continue,
            _ => {
                let silent = if one { right } else { left };
                report
                    .notes
                    .push(format!("{} says nothing about {family}, which is therefore not compared", silent.name));
                continue;
            }
        }
        for hook in HOOKS {
            for translation in [false, true] {
                at_hook(left, right, &counters, family, hook, translation, all_states, effort, &mut report);
            }
        }
    }
    report
}

/// The packets that there are at a hook: those to one party first, then multicast and broadcast.
fn worlds(hook: Hook, family: Family, all_states: bool) -> Vec<Cube> {
    let mut parts = Vec::new();
    if !all_states {
        parts.extend([(Field::STATE, Values::single(0)), (Field::DIRECTION, Values::single(0))]);
    }
    let named = Values::range((name_number("!"), u128::MAX));
    let none = Values::single(0);
    let (arrives, leaves) = match hook {
        Hook::Prerouting | Hook::Input => (named, none),
        Hook::Output | Hook::Postrouting => (none, named),
        _ => (named.clone(), named),
    };
    parts.extend([(Field::IN_INTERFACE, arrives), (Field::OUT_INTERFACE, leaves), (Field::BRIDGED, Values::single(0))]);
    let (multicast, all) = match family {
        Family::Ipv4 => ((0xe000_0000, 0xefff_ffff), u128::from(u32::MAX)),
        Family::Ipv6 => ((0xff << 120, u128::MAX), u128::MAX),
    };
    let above = multicast.1.checked_add(1).filter(|above| *above <= all).map(|above| (above, all));
    let one_party = Values::union([(0, multicast.0 - 1)].into_iter().chain(above));
    let flags = |multicast: u128, broadcast: u128| {
        [(Field::MULTICAST, Values::single(multicast)), (Field::BROADCAST, Values::single(broadcast))]
    };
    let local = |own: u128| (Field::LOCAL, Values::single(own));
    let mut unicast: Vec<(Field, Values)> =
        flags(0, 0).into_iter().chain(one_party.map(|values| (Field::DESTINATION, values))).collect();
    match hook {
        Hook::Input => unicast.push(local(1)),
        Hook::Forward => unicast.push(local(0)),
        _ => {}
    }
    let many = flags(1, 0).into_iter().chain([local(0), (Field::DESTINATION, Values::range(multicast))]).collect();
    let broad = flags(0, 1).into_iter().chain([local(0)]).collect();
    let mut worlds: Vec<Vec<(Field, Values)>> = vec![unicast, many];
    if family == Family::Ipv4 && hook != Hook::Forward {
        worlds.push(broad);
    }
    let world = |own: Vec<(Field, Values)>| {
        parts.iter().cloned().chain(own).try_fold(Cube::all(), |cube, (field, values)| cube.with(field, values))
    };
    worlds.into_iter().filter_map(world).collect()
}

/// The kind of destination.
const DESTINATIONS: [Field; 4] = [Field::LOCAL, Field::MULTICAST, Field::BROADCAST, Field::DESTINATION];

/// Packets, to whatever kind of destination; a narrower destination is kept.
fn anywhere(cube: &Cube, world: &Cube) -> Cube {
    DESTINATIONS.iter().fold(cube.clone(), |cube, field| {
        if cube.get(*field) == world.get(*field) { cube.replaced(*field, None) } else { cube }
    })
}

#[allow(clippy::too_many_arguments)]
fn at_hook(
    left: &Host,
    right: &Host,
    counters: &[Counters; 2],
    family: Family,
    hook: Hook,
    translation: bool,
    all_states: bool,
    effort: Effort,
    report: &mut Report,
) {
    let mut space = Space::new(family, [&left.ruleset, &right.ruleset]);
    space.compare(&counters[0]);
    let one = sequence::at(left, family, hook, translation, &mut space);
    space.compare(&counters[1]);
    let other = sequence::at(right, family, hook, translation, &mut space);
    let what = if translation { " (address translation)" } else { "" };
    let open = |why: &str| format!("{family} {}{what}: {why}", hook.chain());
    if !one.complete || !other.complete {
        report.unknown.push(open("the rules cannot be written as one list: jumps, or marks that chains hand on, are too many or not modelled"));
        return;
    }
    let both = (!translation).then(|| (sequence::verdicts(&one, &mut space), sequence::verdicts(&other, &mut space)));
    let mut task = Task {
        left,
        right,
        family,
        hook,
        region: Cube::all(),
        search: Budget::new(effort.search),
        pairs: Budget::new(effort.pair),
        told: Vec::new(),
    };
    let marked = [left, right].into_iter().any(|host| host.ruleset.marks_connections());
    let unmarked = if all_states || marked { Vec::new() } else { space.universe.mark(MarkWord::Connection, ALL_BITS) };
    for world in worlds(hook, family, all_states) {
        // A connection begins without a mark.
        let unmarked = unmarked.iter().map(|(field, value)| (*field, Values::single(*value)));
        let Some(world) = unmarked.into_iter().try_fold(world, |cube, (field, values)| cube.with(field, values)) else {
            continue;
        };
        task.region = world;
        let mut verdicts = Vec::new();
        if let Some((one, other)) = &both
            && task.verdicts(one, other, &space, report, &mut verdicts).is_err()
        {
            report.unknown.push(open("the search for packets was given up: too many rules overlap"));
            return;
        }
        if task.effects(&one, &other, &space, &verdicts, report).is_err() {
            report.unknown.push(open("the search for differences in effects was given up: too many rules overlap"));
            return;
        }
    }
}

const ALL_BITS: Bits = Bits { value: 0, mask: u32::MAX };

struct Task<'t> {
    left: &'t Host,
    right: &'t Host,
    family: Family,
    hook: Hook,
    region: Cube,
    search: Budget,
    pairs: Budget,
    /// What was told of packets to one party: for multicast and broadcast it need not be told again.
    told: Vec<(Kind, Cube)>,
}

impl Task<'_> {
    /// Pairs of steps that do different things to packets of the region, in order, and all those packets.
    fn differences(
        &mut self,
        one: &Program,
        other: &Program,
        space: &Space,
    ) -> Result<BTreeMap<(u32, u32), Vec<Cube>>, Spent> {
        let mut pairs: BTreeMap<(u32, u32), Vec<Cube>> = BTreeMap::new();
        differences(one, other, &self.region, space, &mut self.search, |found| {
            pairs.entry((found.left, found.right)).or_default().push(found.cube);
            if pairs.len() > MOST_PAIRS { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if pairs.len() > MOST_PAIRS { Err(Spent) } else { Ok(pairs) }
    }

    /// What becomes allowed and denied. The packets are left in `found`.
    fn verdicts(
        &mut self,
        one: &Program,
        other: &Program,
        space: &Space,
        report: &mut Report,
        found: &mut Vec<Cube>,
    ) -> Result<(), Spent> {
        let pairs = self.differences(one, other, space)?;
        let (mut allowed, mut denied, mut unsure) = (Vec::new(), Vec::new(), Vec::new());
        for ((left, right), cubes) in pairs {
            let kind = match (decision(one, left, space), decision(other, right, space)) {
                (Some(false), Some(true)) => &mut allowed,
                (Some(true), Some(false)) => &mut denied,
                _ => &mut unsure,
            };
            kind.extend(self.pieces(one, other, cubes, left, right, false, space));
        }
        found.extend(allowed.iter().chain(&denied).chain(&unsure).map(|piece| piece.cube.clone()));
        for (kind, pieces) in [(Kind::Allowed, allowed), (Kind::Denied, denied)] {
            self.tell(&kind, pieces, one, other, &space.universe, report);
        }
        let what =
            || Kind::Effect("what is not modelled decides".to_owned(), "what is not modelled decides".to_owned());
        self.tell(&what(), unsure, one, other, &space.universe, report);
        Ok(())
    }

    /// All packets that two steps decide on, as few large cubes; if finding those takes too long, the cubes that are known.
    #[allow(clippy::too_many_arguments)]
    fn pieces(
        &mut self,
        one: &Program,
        other: &Program,
        known: Vec<Cube>,
        left: u32,
        right: u32,
        events: bool,
        space: &Space,
    ) -> Vec<Piece> {
        let all = self.large(one, other, left, right, events, space).unwrap_or(known);
        all.into_iter().map(|cube| Piece { cube, left, right }).collect()
    }

    /// The packets for which nothing stands before two steps; `None` if there are others, or that takes too long.
    fn large(
        &mut self,
        one: &Program,
        other: &Program,
        left: u32,
        right: u32,
        events: bool,
        space: &Space,
    ) -> Option<Vec<Cube>> {
        if events && happens_before(one, left) && happens_before(other, right) {
            // Those who met the same events before come here, too.
            return None;
        }
        let both = one.step(left)?.cube.intersection(&other.step(right)?.cube)?.intersection(&self.region)?;
        let stretches = [
            Stretch { program: one, from: 0, to: left, events },
            Stretch { program: other, from: 0, to: right, events },
        ];
        let all = all_left_over(&both, &stretches, &space.universe, &mut self.pairs).ok()?;
        (!all.is_empty() && all.len() <= MOST_PIECES).then_some(all)
    }

    /// What happens otherwise to packets that meet the same verdict.
    fn effects(
        &mut self,
        one: &Program,
        other: &Program,
        space: &Space,
        verdicts: &[Cube],
        report: &mut Report,
    ) -> Result<(), Spent> {
        let pairs = self.differences(one, other, space)?;
        let mut kinds: Vec<(Kind, Vec<Piece>)> = Vec::new();
        for ((left, right), cubes) in pairs {
            let kind = Kind::Effect(happens(one, left, space), happens(other, right, space));
            for piece in self.pieces(one, other, cubes, left, right, true, space) {
                let mut rest = vec![piece.cube.clone()];
                for gone in verdicts {
                    rest = rest
                        .iter()
                        .flat_map(|cube| {
                            if cube.meets(gone) { cube.difference(gone, &space.universe) } else { vec![cube.clone()] }
                        })
                        .collect();
                    if rest.len() > MOST_PIECES {
                        return Err(Spent);
                    }
                }
                let pieces = rest.into_iter().map(|cube| Piece { cube, ..piece });
                match kinds.iter_mut().find(|(known, _)| *known == kind) {
                    Some((_, list)) => list.extend(pieces),
                    None => kinds.push((kind.clone(), pieces.collect())),
                }
            }
        }
        for (kind, pieces) in kinds {
            self.tell(&kind, pieces, one, other, &space.universe, report);
        }
        Ok(())
    }

    /// The region, of which a kind of destination that is not the usual one is said.
    fn unicast_or(&self) -> Cube {
        [Field::MULTICAST, Field::BROADCAST].iter().fold(self.region.clone(), |region, field| {
            let usual = region.get(*field).is_none_or(|values| values.contains(0));
            if usual { region } else { region.replaced(*field, None) }
        })
    }

    fn tell(
        &mut self,
        kind: &Kind,
        pieces: Vec<Piece>,
        one: &Program,
        other: &Program,
        universe: &Universe,
        report: &mut Report,
    ) {
        let nowhere = Place { table: u32::MAX, chain: u32::MAX, rule: u32::MAX };
        for (cube, piece) in rectangles::few(pieces, &[], &self.region, universe, &rectangles::Allowance::default()) {
            let everywhere = anywhere(&cube, &self.region);
            if self.told.iter().any(|(known, told)| known == kind && told.covers(&everywhere)) {
                continue;
            }
            self.told.push((kind.clone(), everywhere));
            let example = example::packet(&piece.cube, self.hook, universe, &[self.left, self.right]);
            report.changes.push(Change {
                family: self.family,
                hook: self.hook,
                kind: kind.clone(),
                packets: words::cube(&cube, &self.unicast_or(), universe),
                example,
                left: one.step(piece.left).map_or(nowhere, |step| step.place),
                right: other.step(piece.right).map_or(nowhere, |step| step.place),
            });
        }
    }
}

/// Whether a step of a list of verdicts allows; `None`: neither.
fn decision(program: &Program, step: u32, space: &Space) -> Option<bool> {
    match program.step(step)?.does {
        Does::Decide(event) => sequence::allows(space.event(event)),
        _ => None,
    }
}

/// Whether anything happens to packets before a step.
fn happens_before(program: &Program, step: u32) -> bool {
    program.steps.iter().take(step as usize).any(|step| matches!(step.does, Does::Happen(_)))
}

/// What a step does, in words.
fn happens(program: &Program, step: u32, space: &Space) -> String {
    let words = |event: EventId| match space.event(event) {
        Event::Verdict(verdict) => words::verdict(verdict),
        Event::Passed => "accept".to_owned(),
        Event::Effect(effect) => words::effect(effect),
        Event::Counted(question) => format!("asks `{question}`"),
    };
    match program.step(step).map(|step| step.does) {
        Some(Does::Decide(event) | Does::Happen(event)) => words(event),
        _ => "nothing".to_owned(),
    }
}
