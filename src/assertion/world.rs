//! First packets of connections. What rules ask of conntrack is known of them: they are NEW, they go the way that the connection was
//! opened, no source was translated yet, and unless the destination was translated, the port that the client dialled is the one
//! in the header. A program is brought into one of two worlds, in which that is so, and in which the words for it are gone.

use crate::net::Family;
use crate::packet::{Bits, Cube, Field, Values};
use crate::program::{Does, Program, Space, Step};

/// Whether the destination was translated before the hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum World {
    /// The header says what the client dialled.
    Plain,
    /// Conntrack alone knows it.
    Translated,
}

/// Protocol numbers of ICMP and ICMPv6.
fn icmp_number(family: Family) -> u128 {
    if family == Family::Ipv4 { 1 } else { 58 }
}

/// The messages that can open a connection: nf_conntrack_proto_icmp.c (echo, timestamp, information, address mask) and
/// nf_conntrack_proto_icmpv6.c (echo, node information). All others are never NEW.
fn opening_messages(family: Family) -> &'static [u128] {
    if family == Family::Ipv4 { &[8, 13, 15, 17] } else { &[128, 139] }
}

impl World {
    /// A cube's first packets; `None` if it has none here.
    pub(super) fn cube(self, cube: &Cube) -> Option<Cube> {
        let mut first = Cube::all();
        for (field, values) in cube.parts() {
            let known = match *field {
                Field::STATE | Field::DIRECTION | Field::SOURCE_TRANSLATED => Some(0),
                Field::TRANSLATED => Some(u128::from(self == Self::Translated)),
                _ => None,
            };
            if let Some(value) = known {
                if !values.contains(value) {
                    return None;
                }
                continue;
            }
            let field = match *field {
                Field::ORIGINAL_SOURCE => Field::SOURCE,
                Field::ORIGINAL_DESTINATION if self == Self::Plain => Field::DESTINATION,
                Field::ORIGINAL_PORT if self == Self::Plain => Field::DESTINATION_PORT,
                other => other,
            };
            first = first.with(field, values.clone())?;
        }
        Some(first)
    }

    /// A program for first packets alone.
    pub(super) fn program(self, program: &Program) -> Program {
        rebuilt(program, |cube| self.cube(cube))
    }

    /// As [`World::program`], of a chain that is passed before the destination is translated: what is in its header is what the
    /// client dialled.
    pub(super) fn program_before(self, program: &Program) -> Program {
        rebuilt(program, |cube| {
            let mut before = cube.clone();
            for (header, dialled) in
                [(Field::DESTINATION, Field::ORIGINAL_DESTINATION), (Field::DESTINATION_PORT, Field::ORIGINAL_PORT)]
            {
                if let Some(values) = cube.get(header).filter(|_| self == Self::Translated) {
                    before = before.replaced(header, None).with(dialled, values.clone())?;
                }
            }
            // Nothing was translated yet, whatever becomes of it.
            if let Some(values) = before.get(Field::TRANSLATED) {
                if !values.contains(0) {
                    return None;
                }
                before = before.replaced(Field::TRANSLATED, None);
            }
            self.cube(&before)
        })
    }
}

/// A program of the steps whose cubes become others; where one becomes nothing, its step is left out.
#[must_use]
pub fn rebuilt(program: &Program, change: impl Fn(&Cube) -> Option<Cube>) -> Program {
    let mut places = Vec::with_capacity(program.steps.len() + 1);
    let mut kept: Vec<Step> = Vec::with_capacity(program.steps.len());
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    for step in &program.steps {
        places.push(number(kept.len()));
        if let Some(cube) = change(&step.cube) {
            kept.push(Step { cube, does: step.does, place: step.place });
        }
    }
    places.push(number(kept.len()));
    for step in &mut kept {
        if let Does::Lead(to) = &mut step.does {
            *to = places.get(*to as usize).copied().unwrap_or(u32::MAX);
        }
    }
    Program::new(kept, program.complete)
}

/// The cubes of a region that first packets can be in: ICMP messages that open no connection are never NEW, and no packet comes with
/// a mark that fwc sets itself.
#[must_use]
pub fn openers(cube: &Cube, reserved: u32, space: &Space) -> Vec<Cube> {
    let universe = &space.universe;
    let mut cube = Some(cube.clone());
    for (field, value) in universe.mark(Bits { value: 0, mask: reserved }) {
        cube = cube.and_then(|cube| cube.with(field, Values::single(value)));
    }
    let Some(cube) = cube else { return Vec::new() };
    let icmp = Values::single(icmp_number(universe.family()));
    let messages = Values::union(opening_messages(universe.family()).iter().map(|kind| (kind << 8, kind << 8 | 0xff)));
    let others = universe.complement(Field::PROTOCOL, &icmp).and_then(|rest| cube.clone().with(Field::PROTOCOL, rest));
    let opening = messages.and_then(|messages| cube.with(Field::PROTOCOL, icmp)?.with(Field::ICMP, messages));
    others.into_iter().chain(opening).collect()
}
