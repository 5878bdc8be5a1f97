//! Members of an index that are found by a hash of their values.

use std::hash::{Hash, Hasher};

use rustc_hash::{FxHashMap, FxHasher};

use crate::packet::cube::Cube;
use crate::packet::field::Field;

/// Members, on average, that are not told apart by their single values: with more, they are divided instead.
const ALIKE: usize = 4;

/// Members by their values in the fields in which each has one: whoever asks for one value finds them at once.
#[derive(Debug)]
pub(super) struct Exact {
    fields: Vec<Field>,
    /// For a hash of the values, where the members are in `numbers`.
    places: FxHashMap<u64, (u32, u32)>,
    numbers: Vec<u32>,
}

impl Exact {
    /// Of members that are told apart well in this way.
    pub(super) fn new<'a>(members: &[u32], cube: &impl Fn(u32) -> &'a Cube) -> Option<Self> {
        let all = members.iter().map(|number| cube(*number).single_fields()).fold(u64::MAX, |all, own| all & own);
        let fields: Vec<Field> = (0..63).filter(|bit| all >> bit & 1 == 1).map(Field).collect();
        let mut hashed: Vec<(u64, u32)> =
            members.iter().filter_map(|number| Some((hash(&fields, cube(*number))?, *number))).collect();
        hashed.sort_unstable();
        let mut places = FxHashMap::default();
        let mut start = 0u32;
        for group in hashed.chunk_by(|one, next| one.0 == next.0) {
            let end = start + u32::try_from(group.len()).unwrap_or(u32::MAX);
            places.extend(group.first().map(|(hash, _)| (*hash, (start, end))));
            start = end;
        }
        let told_apart = !fields.is_empty() && places.len() * ALIKE >= members.len();
        told_apart.then(|| Self { fields, places, numbers: hashed.into_iter().map(|(_, number)| number).collect() })
    }

    /// The members that may have the values of a cube, in order; `None` if it has several in some field.
    pub(super) fn alike(&self, with: &Cube) -> Option<&[u32]> {
        let (start, end) = self.places.get(&hash(&self.fields, with)?).copied().unwrap_or_default();
        Some(self.numbers.get(start as usize..end as usize).unwrap_or_default())
    }
}

/// A hash of the only values that a cube has in some fields; `None` if it has others in any.
fn hash(fields: &[Field], cube: &Cube) -> Option<u64> {
    let mut hasher = FxHasher::default();
    for field in fields {
        cube.get(*field)?.only()?.hash(&mut hasher);
    }
    Some(hasher.finish())
}
