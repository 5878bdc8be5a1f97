//! Sets of packets as products: for each field the values that it may have. A field that is not named may have any.

use super::field::{Field, Universe};
use super::values::Values;

/// A product of values, by field in order. Never empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Cube(Vec<(Field, Values)>);

impl Cube {
    /// Every packet.
    #[must_use]
    pub const fn all() -> Self {
        Self(Vec::new())
    }

    /// The product of these; `None` if they are not in the order of the fields.
    #[must_use]
    pub fn of(parts: Vec<(Field, Values)>) -> Option<Self> {
        parts.is_sorted_by(|(one, _), (next, _)| one < next).then_some(Self(parts))
    }

    /// The fields that are narrowed, and to what.
    #[must_use]
    pub fn parts(&self) -> &[(Field, Values)] {
        &self.0
    }

    /// What a field is narrowed to.
    #[must_use]
    pub fn get(&self, field: Field) -> Option<&Values> {
        // Where all fields are narrowed, each stands at its own number.
        let own = self.0.get(usize::from(field.0)).filter(|(own, _)| *own == field);
        own.or_else(|| self.0.iter().find(|(own, _)| *own == field)).map(|(_, values)| values)
    }

    /// Narrows a field; `None` if nothing is left.
    #[must_use]
    pub fn with(mut self, field: Field, values: Values) -> Option<Self> {
        match self.0.binary_search_by_key(&field, |(own, _)| *own) {
            Ok(at) => {
                let slot = self.0.get_mut(at)?;
                slot.1 = slot.1.intersection(&values)?;
            }
            Err(at) => self.0.insert(at, (field, values)),
        }
        Some(self)
    }

    /// With a field as it says, whatever it was before.
    #[must_use]
    pub fn replaced(&self, field: Field, values: Option<Values>) -> Self {
        let mut parts: Vec<_> = self.0.iter().filter(|(own, _)| *own != field).cloned().collect();
        if let Some(values) = values {
            let at = parts.partition_point(|(own, _)| *own < field);
            parts.insert(at, (field, values));
        }
        Self(parts)
    }

    /// The packets in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        let mut both = Vec::with_capacity(self.0.len() + other.0.len());
        let (mut left, mut right) = (self.0.iter().peekable(), other.0.iter().peekable());
        loop {
            match (left.peek(), right.peek()) {
                (Some((a, values)), Some((b, others))) if a == b => {
                    both.push((*a, values.intersection(others)?));
                    left.next();
                    right.next();
                }
                (Some((a, _)), Some((b, _))) => {
                    let next = if a < b { left.next() } else { right.next() };
                    both.extend(next.cloned());
                }
                (Some(_), None) => both.extend(left.next().cloned()),
                (None, Some(_)) => both.extend(right.next().cloned()),
                (None, None) => return Some(Self(both)),
            }
        }
    }

    /// Whether any packet is in both.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        let (short, long) = if self.0.len() <= other.0.len() { (self, other) } else { (other, self) };
        short.0.iter().all(|(field, values)| long.get(*field).is_none_or(|others| values.meets(others)))
    }

    /// Whether every packet of `other` is in it.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.0.iter().all(|(field, values)| other.get(*field).is_some_and(|others| values.covers(others)))
    }

    /// On how many fields `other` reaches beyond it: as many pieces a difference has.
    #[must_use]
    pub fn sides(&self, other: &Self) -> usize {
        self.0.iter().filter(|(field, values)| !other.get(*field).is_some_and(|others| values.covers(others))).count()
    }

    /// The packets that `other` lacks, as products that have no packet in common. They meet `other` nowhere; the last of them is
    /// the one in which the field with the fewest values differs.
    #[must_use]
    pub fn difference(&self, other: &Self, universe: &Universe) -> Vec<Self> {
        let mut pieces = Vec::new();
        let mut rest = self.clone();
        // From the fields with many values to those with few.
        for (field, values) in other.0.iter().rev() {
            let own = rest.get(*field);
            let outside = match own {
                Some(own) => own.difference(values),
                None => universe.complement(*field, values),
            };
            if let Some(outside) = outside {
                pieces.push(rest.replaced(*field, Some(outside)));
            }
            let inside = match own {
                Some(own) => own.intersection(values),
                None => Some(values.clone()),
            };
            match inside {
                Some(inside) => rest = rest.replaced(*field, Some(inside)),
                // They have nothing in common.
                None => return vec![self.clone()],
            }
        }
        pieces
    }

    /// The smallest product that holds both.
    #[must_use]
    pub fn hull(&self, other: &Self) -> Self {
        let both = self.0.iter().filter_map(|(field, values)| {
            let (own, others) = (values.ranges(), other.get(*field)?.ranges());
            Some((*field, Values::union(own.iter().chain(others.iter()).copied())?))
        });
        Self(both.collect())
    }

    /// The field whose values are in the most ranges, if they are in more than `few`.
    #[must_use]
    pub fn scattered(&self, few: usize) -> Option<(Field, &Values)> {
        let parts = self.0.iter().map(|(field, values)| (*field, values));
        parts.max_by_key(|(_, values)| values.ranges().len()).filter(|(_, values)| values.ranges().len() > few)
    }

    /// The fixed fields of which there is one value, by their bit.
    #[must_use]
    pub fn single_fields(&self) -> u64 {
        let single = self.0.iter().filter(|(field, values)| field.0 < 63 && matches!(values.hull(), (a, b) if a == b));
        single.map(|(field, _)| 1u64 << field.0).fold(0, |all, bit| all | bit)
    }

    /// Which fields are narrowed, as a key: fixed fields by their bit, all others together in the last.
    #[must_use]
    pub(super) fn signature(&self) -> u64 {
        self.0.iter().map(|(field, _)| 1u64 << field.0.min(63)).fold(0, |all, bit| all | bit)
    }
}

impl Universe {
    /// Without parts that say nothing.
    #[must_use]
    pub fn simplified(&self, mut cube: Cube) -> Cube {
        cube.0.retain(|(field, values)| *values.ranges() != [self.all(*field)]);
        cube
    }
}
