//! Single packets. What becomes of one is found at once, and one decides most questions about many.

use crate::packet::field::name_number;
use crate::packet::{Cube, Field, Values};
use crate::program::{Does, HAPPENS, Program};
use crate::prove::cover::{Budget, Spent};

/// Whether packets that are alike in all that steps ask for come to a step; `None` if they are not.
pub(super) fn comes(program: &Program, packets: &Cube, to: u32, budget: &mut Budget) -> Result<Option<bool>, Spent> {
    let (mut from, mut looked) = (0, 0);
    while let Some(number) = program.first_meeting(packets, from..to, |class| class != HAPPENS, &mut looked, |_| true) {
        budget.take(1 + std::mem::take(&mut looked) / 64)?;
        match program.step(number).filter(|step| step.cube.covers(packets)).map(|step| step.does) {
            Some(Does::Lead(further)) if further <= to => from = further,
            Some(_) => return Ok(Some(false)),
            None => return Ok(None),
        }
    }
    budget.take(1 + looked / 64)?;
    Ok(Some(true))
}

/// A packet of a cube, as far as fields are always there; what other rules rarely ask for is taken where the cube leaves it open.
pub(super) fn point(cube: &Cube, way: u64) -> Cube {
    let mut own = cube.parts().iter().peekable();
    let mut parts = Vec::with_capacity(usize::from(Field::MAC.0) + 1);
    for number in 0..=Field::MAC.0 {
        let field = Field(number);
        let value = match own.next_if(|(own, _)| *own == field) {
            Some((_, values)) => chosen(values, way, number),
            None => rare(field, way),
        };
        parts.push((field, Values::single(value)));
    }
    parts.extend(own.cloned());
    Cube::of(parts).unwrap_or_else(|| cube.clone())
}

/// A number that looks like chance and is the same at each run.
fn scattered(way: u64, number: u16) -> u64 {
    let mut state =
        (way + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(number).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state ^= state >> 29;
    state = state.wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ state >> 32
}

fn chosen(values: &Values, way: u64, number: u16) -> u128 {
    let (first, last) = values.hull();
    match way {
        0 => first,
        1 => last,
        _ => {
            let chance = scattered(way, number);
            let ranges = values.ranges();
            let at = usize::try_from(chance % ranges.len().max(1) as u64).unwrap_or(0);
            let (first, last) = ranges.get(at).copied().unwrap_or((first, last));
            first + u128::from(chance >> 8) % (last - first).saturating_add(1).max(1)
        }
    }
}

fn rare(field: Field, way: u64) -> u128 {
    let chance = u128::from(scattered(way, field.0));
    match field {
        Field::PROTOCOL => 99,
        Field::ICMP => 0xfdfd,
        Field::IN_INTERFACE | Field::OUT_INTERFACE | Field::IN_PORT | Field::OUT_PORT => name_number("zz9"),
        Field::DESTINATION_PORT | Field::ORIGINAL_PORT | Field::SOURCE_PORT => 1 + chance % 65_534,
        Field::SOURCE | Field::DESTINATION | Field::ORIGINAL_DESTINATION | Field::ORIGINAL_SOURCE => {
            0x2d00_0000 + chance % 0x0100_0000
        }
        Field::MAC => chance % (1 << 48),
        // Flags, and the state: NEW.
        _ => 0,
    }
}
