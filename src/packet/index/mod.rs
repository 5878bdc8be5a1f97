//! Which products of a list meet a product, or hold it: trees of boxes, and hashes of those that have one value in many fields.

mod exact;
mod scale;
mod tree;

use std::ops::ControlFlow;

use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};

use super::cube::Cube;
use super::field::Field;
use super::values::Values;
use exact::Exact;
use scale::{Scale, Span, WHOLE};
use tree::{Inside, Part, Tree};

/// Members that are found quickly without a hash.
const FEW: usize = 64;
/// There are no more groups than this that are found by a hash.
const MOST_HASHED: usize = 16;
/// From so many members on, groups are made side by side.
const WORTH_THREADS: usize = 4_096;

/// An index of cubes by number. Each belongs to a class, by which a search may leave it out.
#[derive(Debug, Default)]
pub struct Index {
    groups: Vec<Group>,
}

/// Members of a class that are searched together.
#[derive(Debug)]
struct Group {
    class: u32,
    /// The fields that each of them narrows.
    common: u64,
    /// The fields that any of them narrows.
    narrowed: u64,
    tree: Tree,
    exact: Option<Exact>,
}

impl Group {
    fn new<'a>(class: u32, members: &[u32], exact: Option<Exact>, cube: &impl Fn(u32) -> &'a Cube) -> Self {
        let signatures = || members.iter().map(|number| cube(*number).signature());
        let narrowed = signatures().fold(0, |all, own| all | own);
        // The rarer fields are not used for dividing.
        let fields: Vec<Field> = (0..63).filter(|bit| narrowed >> bit & 1 == 1).map(Field).collect();
        let common = signatures().fold(u64::MAX, |all, own| all & own);
        Self { class, common, narrowed, tree: Tree::new(members, &fields, cube), exact }
    }

    /// The members that may have the values of a cube, if a hash tells; in order.
    fn alike(&self, with: &Cube) -> Option<&[u32]> {
        self.exact.as_ref()?.alike(with)
    }
}

/// Members by class, the fields that they narrow, and those to one value.
type Lists = FxHashMap<(u32, u64, u64), Vec<u32>>;

/// Who is searched together: all of a class, for every group costs a search of its own; but those of which a hash tells who may
/// have a packet, by themselves.
fn groups<'a>(lists: Lists, cube: &(impl Fn(u32) -> &'a Cube + Sync)) -> Vec<Group> {
    let all = lists.values().map(Vec::len).sum::<usize>();
    let many = all.div_ceil(MOST_HASHED).max(FEW);
    let mut lists: Vec<_> = lists.into_iter().collect();
    lists.sort_unstable_by_key(|(key, _)| *key);
    let mut hashed: Vec<(u32, Vec<u32>, Option<Exact>)> = Vec::new();
    let mut others: Vec<(u32, Vec<u32>, Option<Exact>)> = Vec::new();
    for ((class, ..), members) in lists {
        let exact =
            Some(&members).filter(|members| members.len() >= many).and_then(|members| Exact::new(members, cube));
        match (exact, others.last_mut()) {
            (Some(exact), _) => hashed.push((class, members, Some(exact))),
            (None, Some((own, others, _))) if *own == class => others.extend(members),
            (None, _) => others.push((class, members, None)),
        }
    }
    hashed.append(&mut others);
    let group = |(class, members, exact): (u32, Vec<u32>, Option<Exact>)| Group::new(class, &members, exact, cube);
    if all < WORTH_THREADS {
        hashed.into_iter().map(group).collect()
    } else {
        hashed.into_par_iter().map(group).collect()
    }
}

impl Index {
    /// Of cubes, each with its number and class.
    #[must_use]
    pub fn new<'a>(members: impl Iterator<Item = (u32, u32)>, cube: impl Fn(u32) -> &'a Cube + Sync) -> Self {
        let mut lists = Lists::default();
        for (number, class) in members {
            let cube = cube(number);
            lists.entry((class, cube.signature(), cube.single_fields())).or_default().push(number);
        }
        Self { groups: groups(lists, &cube) }
    }

    /// Calls `visit` with the number of every member in `range`, of a class that is `wanted`, that may meet `with`: all that do, and
    /// some that do not.
    pub fn meeting<B>(
        &self,
        with: &Cube,
        range: std::ops::Range<u32>,
        wanted: impl Fn(u32) -> bool,
        visit: impl FnMut(u32) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        self.meeting_beyond(0, with, range, wanted, visit)
    }

    /// As [`Index::meeting`], without the members that narrow none but some fields (the bits of their numbers).
    pub fn meeting_beyond<B>(
        &self,
        fields: u64,
        with: &Cube,
        range: std::ops::Range<u32>,
        wanted: impl Fn(u32) -> bool,
        mut visit: impl FnMut(u32) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let mut search = Search::new(with, range, Asking::Some);
        let beyond = |group: &Group| fields == 0 || group.narrowed & !fields != 0;
        for group in self.groups.iter().filter(|group| beyond(group) && wanted(group.class)) {
            if group.tree.divided {
                let mut seen = FxHashSet::default();
                let mut once = |number| if seen.insert(number) { visit(number) } else { ControlFlow::Continue(()) };
                search.through(group, &mut once)?;
            } else {
                search.through(group, &mut visit)?;
            }
        }
        ControlFlow::Continue(())
    }

    /// The smallest number of a member in `range`, of a class that is `wanted`, that may meet `with` and is the one `sought`. What
    /// was looked at on the way, nodes and members, is added to `looked`.
    pub fn first_meeting(
        &self,
        with: &Cube,
        range: std::ops::Range<u32>,
        wanted: impl Fn(u32) -> bool,
        looked: &mut u64,
        mut sought: impl FnMut(u32) -> bool,
    ) -> Option<u32> {
        let groups = self.groups.iter().filter(|group| wanted(group.class));
        Search::new(with, range, Asking::Some).least(groups, looked, &mut sought)
    }

    /// As [`Index::first_meeting`], among the members that may hold all of `with`.
    pub fn first_covering(
        &self,
        with: &Cube,
        range: std::ops::Range<u32>,
        wanted: impl Fn(u32) -> bool,
        looked: &mut u64,
        mut sought: impl FnMut(u32) -> bool,
    ) -> Option<u32> {
        let groups = self.able_to_hold(with).filter(|group| wanted(group.class));
        Search::new(with, range, Asking::All).least(groups, looked, &mut sought)
    }

    /// As [`Index::meeting`], for the members that may hold all of `with`. A member may be visited more than once.
    pub fn covering<B>(
        &self,
        with: &Cube,
        range: std::ops::Range<u32>,
        wanted: impl Fn(u32) -> bool,
        mut visit: impl FnMut(u32) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let mut search = Search::new(with, range, Asking::All);
        let mut groups = self.able_to_hold(with).filter(|group| wanted(group.class));
        groups.try_for_each(|group| search.through(group, &mut visit))
    }

    /// Who narrows a field that `with` leaves open does not hold all of it.
    fn able_to_hold(&self, with: &Cube) -> impl Iterator<Item = &Group> {
        let own = with.signature();
        self.groups.iter().filter(move |group| group.common & !own == 0)
    }
}

/// What a search asks of members.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asking {
    /// Those that have some of the packets.
    Some,
    /// Those that have all.
    All,
}

/// A search through groups, one after the other; its lists are used again for each.
struct Search<'v> {
    with: &'v Cube,
    range: std::ops::Range<u32>,
    asking: Asking,
    /// What is looked for in each of a tree's fields.
    asked: Vec<Asked<'v>>,
    pending: Vec<Part>,
    /// How many nodes and members were looked at.
    looked: u64,
}

impl<'v> Search<'v> {
    fn new(with: &'v Cube, range: std::ops::Range<u32>, asking: Asking) -> Self {
        Self { with, range, asking, asked: Vec::new(), pending: Vec::new(), looked: 0 }
    }

    /// Visits all members of a group that nothing excludes.
    fn through<B>(&mut self, group: &Group, visit: &mut impl FnMut(u32) -> ControlFlow<B>) -> ControlFlow<B> {
        if let Some(members) = group.alike(self.with) {
            return members.iter().filter(|number| self.range.contains(number)).try_for_each(|number| visit(*number));
        }
        self.begin(&group.tree);
        while let Some((place, members)) = self.leaf(&group.tree) {
            for (place, number) in (place..).zip(members) {
                if self.range.contains(number) && self.may_be(&group.tree, place) {
                    visit(*number)?;
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// The smallest number of any of these groups that is `sought`; the work is added to `looked`.
    fn least<'t>(
        mut self,
        groups: impl Iterator<Item = &'t Group>,
        looked: &mut u64,
        sought: &mut impl FnMut(u32) -> bool,
    ) -> Option<u32> {
        let least = groups.filter_map(|group| self.first(group, sought)).last();
        *looked += self.looked;
        least
    }

    /// The smallest number of a group that is `sought`. Greater ones are not looked for afterwards.
    fn first(&mut self, group: &Group, sought: &mut impl FnMut(u32) -> bool) -> Option<u32> {
        if let Some(members) = group.alike(self.with) {
            self.looked += 1 + members.len() as u64;
            let first = members.iter().copied().find(|number| self.range.contains(number) && sought(*number));
            self.range.end = first.unwrap_or(self.range.end);
            return first;
        }
        let mut found = None;
        self.begin(&group.tree);
        while let Some((place, members)) = self.leaf(&group.tree) {
            self.looked += members.len() as u64;
            for (place, number) in (place..).zip(members) {
                if self.range.contains(number) && self.may_be(&group.tree, place) && sought(*number) {
                    self.range.end = *number;
                    found = Some(*number);
                }
            }
        }
        found
    }

    fn begin(&mut self, tree: &Tree) {
        self.asked.clear();
        for (field, scale) in &tree.scales {
            self.asked.push(match (self.with.get(*field), self.asking) {
                (None, Asking::Some) => Asked::Nothing,
                (None, Asking::All) => Asked::All(WHOLE),
                (Some(values), Asking::Some) => match *values.ranges() {
                    [one] => Asked::Some(scale.span(one)),
                    _ => Asked::Any(values),
                },
                // Who holds all of some values holds the first range, and that within one box.
                (Some(values), Asking::All) => {
                    values.ranges().first().map_or(Asked::Nothing, |first| Asked::All(scale.span(*first)))
                }
            });
        }
        self.pending.clear();
        self.pending.push(tree.root);
    }

    /// The members of the next leaf that nothing excludes, and the place of the first.
    fn leaf<'t>(&mut self, tree: &'t Tree) -> Option<(usize, &'t [u32])> {
        while let Some(part) = self.pending.pop() {
            // Since it was found, an earlier one may have been.
            if part.least >= self.range.end {
                continue;
            }
            self.looked += 1;
            match tree.inside(&part)? {
                Inside::Leaf(place, members) => return Some((place, members)),
                Inside::Node(node) => {
                    let field = usize::from(node.field);
                    for part in node.parts.iter().rev() {
                        if part.least < self.range.end
                            && part.most >= self.range.start
                            && !self.excludes(tree, field, part.span)
                        {
                            self.pending.push(*part);
                        }
                    }
                }
            }
        }
        None
    }

    /// Whether the box at a place may be one that is looked for.
    fn may_be(&self, tree: &Tree, place: usize) -> bool {
        !tree.spans(place).iter().enumerate().any(|(field, span)| self.excludes(tree, field, *span))
    }

    /// Whether nothing within such a span of a field is looked for.
    fn excludes(&self, tree: &Tree, field: usize, span: Span) -> bool {
        match self.asked.get(field) {
            None | Some(Asked::Nothing) => false,
            Some(Asked::Some(own)) => own.1 < span.0 || span.1 < own.0,
            Some(Asked::All(own)) => own.0 < span.0 || span.1 < own.1,
            Some(Asked::Any(values)) => {
                let scale = tree.scales.get(field).map(|(_, scale)| scale);
                scale.is_some_and(|scale: &Scale| !values.meets_range(scale.range(span)))
            }
        }
    }
}

/// What is looked for in a field.
enum Asked<'v> {
    /// Any boxes.
    Nothing,
    /// Boxes in which some of this span are.
    Some(Span),
    /// Boxes in which some of these values are.
    Any(&'v Values),
    /// Boxes in which all of this span are.
    All(Span),
}
