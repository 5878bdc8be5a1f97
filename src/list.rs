//! Lists of which a policy has hundreds of thousands. Most have one member, which stands in place; what has several is shared by all that name
//! it. And room for the few that grow long: a list that doubles whenever it is full stands in memory twice while it is copied, and ends
//! with room for up to as many again, which of a policy of 100,000 rules is more than a tenth.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// A list that mostly has one member. Reads as a slice.
#[derive(Clone)]
pub enum OneOrMany<T> {
    /// Exactly one, without memory of its own.
    One([T; 1]),
    /// Any number, shared.
    Many(Arc<[T]>),
}

impl<T> Deref for OneOrMany<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::One(one) => one,
            Self::Many(many) => many,
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for OneOrMany<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self::Many(Arc::default())
    }
}

impl<T> From<Vec<T>> for OneOrMany<T> {
    fn from(list: Vec<T>) -> Self {
        <[T; 1]>::try_from(list).map_or_else(|many| Self::Many(many.into()), Self::One)
    }
}

impl<T: PartialEq> PartialEq for OneOrMany<T> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Many(one), Self::Many(other)) => same(one, other),
            _ => **self == **other,
        }
    }
}

impl<T: Eq> Eq for OneOrMany<T> {}

impl<T: Hash> Hash for OneOrMany<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_ends(self, state);
    }
}

/// A list that is looked at: one member that was made for that, or all of a list that is kept. Reads as a slice.
#[derive(Clone, Copy, Debug)]
pub enum View<'l, T> {
    /// Exactly one.
    One([T; 1]),
    /// Any number.
    Many(&'l [T]),
}

impl<T> Deref for View<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::One(one) => one,
            Self::Many(many) => many,
        }
    }
}

impl<T> Default for View<'_, T> {
    fn default() -> Self {
        Self::Many(&[])
    }
}

/// The length and the ends: a list of 100,000 is put into tables as often as rules name it.
pub fn hash_ends<T: Hash, H: Hasher>(all: &[T], state: &mut H) {
    all.len().hash(state);
    all.iter().take(4).chain(all.iter().rev().take(4)).for_each(|member| member.hash(state));
}

/// Whether two shared lists are equal; most that are equal are one.
#[must_use]
pub fn same<T: PartialEq>(one: &Arc<[T]>, other: &Arc<[T]>) -> bool {
    Arc::ptr_eq(one, other) || one == other
}

/// From so many members on the room is reckoned.
const LONG: usize = 1024;
/// So many times what it has may a list get at once: what is reckoned from a text's beginning need not hold for its end.
const MOST_TIMES: usize = 16;
/// So many may follow what was reckoned: the deny that ends a flow is no rule of its own.
const SPARE: usize = 256;

/// Makes room for one more member. A long list gets room for all that is still to come, if what is left gives as many as what was
/// done: `done` and `left` are in the same unit, whichever.
pub fn make_room<T>(list: &mut Vec<T>, done: usize, left: usize) {
    if list.len() < list.capacity() || list.len() < LONG {
        return;
    }
    let expected = (list.len() as u128) * (left as u128) / (done.max(1) as u128);
    let expected = usize::try_from(expected).unwrap_or(usize::MAX).min(list.len().saturating_mul(MOST_TIMES));
    // What is reckoned too short grows by halves, and a few more may come at the end. Room that is not used costs no memory: nobody
    // has written there.
    list.reserve_exact(expected.max(list.len() / 2) + SPARE);
}

#[cfg(test)]
mod tests {
    use super::make_room;

    #[test]
    fn a_list_that_comes_evenly_is_copied_while_it_is_short() {
        let all = 100_000;
        let (mut list, mut copied, mut room) = (Vec::new(), 0, 0);
        for at in 0..all {
            make_room(&mut list, at + 1, all - at - 1);
            if list.len() == list.capacity() {
                copied = list.len();
            }
            list.push([0u8; 24]);
            room = list.capacity();
        }
        assert!(copied < all / 4, "still copied with {copied} members");
        assert!(room >= all);
    }

    #[test]
    fn a_list_that_is_longer_than_reckoned_still_grows() {
        let mut list = Vec::new();
        for at in 0..50_000usize {
            make_room(&mut list, 1, 0);
            list.push(at);
        }
        assert_eq!(list.len(), 50_000);
    }

    #[test]
    fn what_is_reckoned_from_a_beginning_has_a_bound() {
        let mut list = vec![0u8; 1024];
        list.shrink_to_fit();
        make_room(&mut list, 1, usize::MAX);
        assert!(list.capacity() <= 1024 * 18);
    }
}
