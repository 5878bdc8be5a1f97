//! The search: which packets of a region get through all chains on their way, and by which rules.

use std::ops::ControlFlow;
use std::rc::Rc;

use super::way::{Stop, Ways};
use crate::packet::Cube;
use crate::program::{Does, HAPPENS, LEADS, Place, Program};
use crate::prove::cover::{Budget, Spent, Stretch, all_left_over};

/// Packets that get through.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    /// Which.
    pub(super) cube: Cube,
    /// The rules that let them through, in the order in which they are met; none if nothing but the ends of chains does.
    pub(super) through: Vec<Place>,
    /// The chain whose end decided last, if no rule of it did.
    pub(super) end: Option<Place>,
}

/// The packets of regions that get through all stops. `before` keeps some besides.
pub(super) fn reach(
    ways: &Ways<'_>,
    regions: &[Cube],
    stops: &[Rc<Stop>],
    before: &[Stretch<'_>],
    budget: &mut Budget,
) -> Result<Vec<Piece>, Spent> {
    // The chain that says most is asked for each of its rules; the others only keep packets out, and are asked about what is left.
    let main = (0..stops.len()).max_by_key(|at| (stops.get(*at).map_or(0, |stop| stop.accepts), *at));
    let mut found = Vec::new();
    let guards = |but: Option<usize>| -> Vec<Stretch<'_>> {
        let others = stops.iter().enumerate().filter(|(at, _)| Some(*at) != but);
        others.filter_map(|(_, stop)| stop.stretch()).chain(before.iter().copied()).collect()
    };
    let Some((at, main)) = main.and_then(|at| Some((at, stops.get(at)?))) else {
        for region in regions {
            let left = all_left_over(region, &guards(None), &ways.space.universe, budget)?;
            found.extend(left.into_iter().map(|cube| Piece { cube, through: Vec::new(), end: None }));
        }
        return Ok(found);
    };
    let guards = guards(Some(at));
    let mut search = Search { ways, budget };
    for region in regions {
        for piece in search.decided(&main.program, region, &guards)? {
            let mut pieces = vec![piece];
            for (_, other) in stops.iter().enumerate().filter(|(number, stop)| *number != at && stop.accepts > 0) {
                let mut next = Vec::new();
                for piece in pieces {
                    for part in search.decided(&other.program, &piece.cube, &[])? {
                        next.push(joined(&piece, part));
                    }
                }
                pieces = next;
            }
            found.append(&mut pieces);
        }
    }
    Ok(found)
}

/// What two chains say of the same packets.
fn joined(piece: &Piece, part: Piece) -> Piece {
    let mut through = piece.through.clone();
    through.extend(part.through);
    Piece { cube: part.cube, through, end: piece.end.or(part.end) }
}

struct Search<'a, 'h> {
    ways: &'a Ways<'h>,
    budget: &'a mut Budget,
}

impl Search<'_, '_> {
    /// The packets of a region that a chain lets through, by the rule that does.
    fn decided(&mut self, program: &Program, region: &Cube, guards: &[Stretch<'_>]) -> Result<Vec<Piece>, Spent> {
        let mut deciding = Vec::new();
        let all = program.index().meeting(
            region,
            0..program.len(),
            |class| class != HAPPENS && class != LEADS,
            |number| {
                let step = program.step(number).filter(|step| step.cube.meets(region));
                if step.is_some_and(|step| matches!(step.does, Does::Decide(_)) && !self.ways.denies(step)) {
                    deciding.push(number);
                }
                ControlFlow::<()>::Continue(())
            },
        );
        debug_assert!(all.is_continue());
        deciding.sort_unstable();
        let mut found = Vec::new();
        for number in deciding {
            let Some(step) = program.step(number) else { continue };
            let Some(both) = step.cube.intersection(region) else { continue };
            let own = Stretch { program, from: 0, to: number, events: false };
            let stretches: Vec<Stretch<'_>> = std::iter::once(own).chain(guards.iter().copied()).collect();
            for cube in all_left_over(&both, &stretches, &self.ways.space.universe, self.budget)? {
                let by_rule = self.ways.host.rule(step.place).is_some_and(|rule| {
                    // Going back from the first chain is its end.
                    rule.verdict != Some(crate::netfilter::Verdict::Return)
                });
                let through = if by_rule { vec![step.place] } else { Vec::new() };
                let end = (!by_rule).then_some(step.place);
                found.extend(self.consented(program, number, Piece { cube, through, end })?);
            }
        }
        Ok(found)
    }

    /// Packets that come to a step, by the rules of a policy that let them go on before.
    fn consented(&mut self, program: &Program, to: u32, piece: Piece) -> Result<Vec<Piece>, Spent> {
        let mut pieces = vec![piece];
        for (number, step) in (0..to).zip(&program.steps).filter(|(_, step)| self.ways.consents(step)) {
            let before = [Stretch { program, from: 0, to: number, events: false }];
            let mut next = Vec::with_capacity(pieces.len());
            for piece in pieces {
                let Some(both) = piece.cube.intersection(&step.cube) else {
                    next.push(piece);
                    continue;
                };
                let mut rest = vec![piece.cube.clone()];
                for passed in all_left_over(&both, &before, &self.ways.space.universe, self.budget)? {
                    rest = rest.into_iter().flat_map(|cube| without(cube, &passed, self.ways)).collect();
                    let mut through = piece.through.clone();
                    let at = through.len().saturating_sub(usize::from(piece.end.is_none()));
                    through.insert(at, step.place);
                    next.push(Piece { cube: passed, through, end: piece.end });
                }
                next.extend(rest.into_iter().map(|cube| Piece { cube, ..piece.clone() }));
            }
            pieces = next;
        }
        Ok(pieces)
    }
}

fn without(cube: Cube, other: &Cube, ways: &Ways<'_>) -> Vec<Cube> {
    if cube.meets(other) { cube.difference(other, &ways.space.universe) } else { vec![cube] }
}
