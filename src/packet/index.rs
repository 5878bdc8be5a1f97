//! Which products of a list meet a product: for each combination of narrowed fields a tree of boxes that halves the list along
//! the field that tells its members apart best.

use std::ops::ControlFlow;

use rustc_hash::FxHashMap;

use super::cube::Cube;
use super::field::Field;
use super::values::Range;

/// Members that are looked at one by one.
const LEAF: usize = 8;

/// An index of cubes by number. Each belongs to a class, by which a search may leave it out.
#[derive(Debug, Default)]
pub struct Index {
    trees: Vec<(u32, Tree)>,
}

/// The members that narrow the same fields.
#[derive(Debug)]
struct Tree {
    signature: u64,
    fields: Vec<Field>,
    members: Vec<u32>,
    nodes: Vec<Node>,
    /// For each node, the hull of its members in each of `fields`.
    hulls: Vec<Range>,
}

#[derive(Debug, Clone, Copy)]
struct Node {
    /// Members `start..end`.
    start: u32,
    end: u32,
    /// The smallest number among them.
    least: u32,
    /// The second child; the first stands right behind its parent. 0: a leaf.
    second: u32,
}

impl Index {
    /// Of cubes, each with its number and class.
    #[must_use]
    pub fn new<'a>(members: impl Iterator<Item = (u32, u32)>, cube: impl Fn(u32) -> &'a Cube) -> Self {
        let mut lists: FxHashMap<(u32, u64), Vec<u32>> = FxHashMap::default();
        for (number, class) in members {
            lists.entry((class, cube(number).signature())).or_default().push(number);
        }
        let mut lists: Vec<_> = lists.into_iter().collect();
        lists.sort_unstable_by_key(|(key, _)| *key);
        Self { trees: lists.into_iter().map(|((class, _), list)| (class, Tree::new(list, &cube))).collect() }
    }

    /// Calls `visit` with the number of every member in `range`, of a class that is `wanted`, that may meet `with`: all that do, and
    /// some that do not.
    pub fn meeting<B>(
        &self,
        with: &Cube,
        range: std::ops::Range<u32>,
        wanted: impl Fn(u32) -> bool,
        mut visit: impl FnMut(u32) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let trees = self.trees.iter().filter(|(class, _)| wanted(*class));
        trees.map(|(_, tree)| tree).try_for_each(|tree| {
            let apart = |hull: &Range, asked: &Range| hull.1 < asked.0 || asked.1 < hull.0;
            tree.search(with, &range, apart, &mut visit)
        })
    }

    /// As [`Index::meeting`], for the members that may hold all of `with`.
    pub fn covering<B>(
        &self,
        with: &Cube,
        range: std::ops::Range<u32>,
        wanted: impl Fn(u32) -> bool,
        mut visit: impl FnMut(u32) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        // Who narrows a field that `with` leaves open does not hold all of it.
        let own = with.signature();
        let trees = self.trees.iter().filter(|(class, tree)| tree.signature & !own == 0 && wanted(*class));
        trees.map(|(_, tree)| tree).try_for_each(|tree| {
            let too_small = |hull: &Range, asked: &Range| asked.0 < hull.0 || hull.1 < asked.1;
            tree.search(with, &range, too_small, &mut visit)
        })
    }
}

impl Tree {
    fn new<'a>(mut members: Vec<u32>, cube: &impl Fn(u32) -> &'a Cube) -> Self {
        let mut fields: Vec<Field> = Vec::new();
        if let Some(first) = members.first() {
            // Members may differ in which of the rarer fields they narrow; those are not used for dividing.
            fields.extend(cube(*first).parts().iter().map(|(field, _)| *field).filter(|field| field.0 < 63));
        }
        let signature = members.first().map_or(0, |first| cube(*first).signature());
        let mut tree = Self { signature, fields, members: Vec::new(), nodes: Vec::new(), hulls: Vec::new() };
        let boxes: Vec<Range> = members
            .iter()
            .flat_map(|number| {
                let cube = cube(*number);
                tree.fields.iter().map(|field| cube.get(*field).map_or((0, u128::MAX), super::values::Values::hull))
            })
            .collect();
        let mut order: Vec<u32> = (0..u32::try_from(members.len()).unwrap_or(u32::MAX)).collect();
        let end = order.len();
        let width = tree.fields.len();
        tree.divide(&mut order, 0, end, &boxes, width, &members);
        members = order.iter().filter_map(|at| members.get(*at as usize).copied()).collect();
        tree.members = members;
        tree
    }

    fn divide(&mut self, order: &mut [u32], start: usize, end: usize, boxes: &[Range], width: usize, members: &[u32]) {
        let here = self.nodes.len();
        let list = order.get(start..end).unwrap_or_default();
        let least = list.iter().filter_map(|at| members.get(*at as usize)).min().copied().unwrap_or(u32::MAX);
        let at =
            |number: u32, field: usize| boxes.get(number as usize * width + field).copied().unwrap_or((0, u128::MAX));
        let clamp = |place: usize| u32::try_from(place).unwrap_or(u32::MAX);
        self.nodes.push(Node { start: clamp(start), end: clamp(end), least, second: 0 });
        let mut best: Option<(usize, u32)> = None;
        for field in 0..width {
            let mut hull = (u128::MAX, 0);
            for number in list {
                let (first, last) = at(*number, field);
                hull = (hull.0.min(first), hull.1.max(last));
            }
            self.hulls.push(hull);
            if list.len() > LEAF {
                // Members whose start differs from their neighbour's in a sample: a field in which all are alike divides nothing.
                let step = (list.len() / 64).max(1);
                let mut starts: Vec<u128> = list.iter().step_by(step).map(|number| at(*number, field).0).collect();
                starts.sort_unstable();
                starts.dedup();
                let score = clamp(starts.len());
                if score > 1 && best.is_none_or(|(_, known)| score > known) {
                    best = Some((field, score));
                }
            }
        }
        let Some((field, _)) = best else { return };
        let middle = list.len() / 2;
        let Some(list) = order.get_mut(start..end) else { return };
        list.select_nth_unstable_by_key(middle, |number| (at(*number, field), *number));
        let middle = start + middle;
        self.divide(order, start, middle, boxes, width, members);
        let second = clamp(self.nodes.len());
        if let Some(node) = self.nodes.get_mut(here) {
            node.second = second;
        }
        self.divide(order, middle, end, boxes, width, members);
    }

    /// Visits the members of every node that is not `excluded` by its hull and by what is asked in the same field.
    fn search<B>(
        &self,
        with: &Cube,
        range: &std::ops::Range<u32>,
        excluded: impl Fn(&Range, &Range) -> bool,
        visit: &mut impl FnMut(u32) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let asked: Vec<(usize, Range)> = self
            .fields
            .iter()
            .enumerate()
            .filter_map(|(at, field)| with.get(*field).map(|values| (at, values.hull())))
            .collect();
        let width = self.fields.len();
        let mut pending = vec![0u32];
        while let Some(here) = pending.pop() {
            let Some(node) = self.nodes.get(here as usize) else { continue };
            let hulls = self.hulls.get(here as usize * width..).unwrap_or_default();
            let excluded = |(at, asked): &(usize, Range)| hulls.get(*at).is_some_and(|hull| excluded(hull, asked));
            if node.least >= range.end || asked.iter().any(excluded) {
                continue;
            }
            if node.second == 0 {
                let members = self.members.get(node.start as usize..node.end as usize).unwrap_or_default();
                members.iter().filter(|number| range.contains(number)).try_for_each(|number| visit(*number))?;
            } else {
                pending.push(node.second);
                pending.push(here + 1);
            }
        }
        ControlFlow::Continue(())
    }
}
