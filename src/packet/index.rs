//! Which products of a list meet a product: for each combination of narrowed fields a tree of boxes that halves the list along
//! the field that tells its members apart best.

use std::hash::{Hash, Hasher};
use std::ops::ControlFlow;

use rustc_hash::{FxHashMap, FxHashSet, FxHasher};

use super::cube::Cube;
use super::field::Field;
use super::values::{Range, Values};

/// Members that are looked at one by one.
const LEAF: usize = 8;
/// Members by which it is seen how a list may be divided.
const SAMPLE: usize = 64;
/// Members, on average, that are not told apart by their single values: with more, they are divided instead.
const ALIKE: usize = 4;
/// Ranges in a field that are few.
const FEW: usize = 4;
/// Boxes that a member is divided into, where its values lie apart: one hull around `10.1.1.1` and `198.18.0.0/24` is half the world.
const PIECES: usize = 8;

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
    /// A member stands once for each of its boxes.
    members: Vec<u32>,
    /// Whether any stands more than once.
    divided: bool,
    nodes: Vec<Node>,
    /// For each node, the hull of its members in each of `fields`.
    hulls: Vec<Range>,
    exact: Option<Exact>,
}

/// Members by their values in the fields in which each has one: whoever asks for one value finds them at once.
#[derive(Debug)]
struct Exact {
    fields: Vec<Field>,
    /// For a hash of the values, where the members are in `numbers`.
    places: FxHashMap<u64, (u32, u32)>,
    numbers: Vec<u32>,
}

impl Exact {
    /// Of members that are many and told apart well in this way.
    fn new<'a>(members: &[u32], fields: &[Field], cube: &impl Fn(u32) -> &'a Cube) -> Option<Self> {
        if members.len() <= SAMPLE {
            return None;
        }
        let mut fields = fields.to_vec();
        for number in members {
            fields.retain(|field| cube(*number).get(*field).is_some_and(|values| values.only().is_some()));
        }
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
    fn alike(&self, with: &Cube) -> Option<&[u32]> {
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

#[derive(Debug, Clone, Copy)]
struct Node {
    /// Members `start..end`.
    start: u32,
    end: u32,
    /// The smallest number among them.
    least: u32,
    /// The largest.
    most: u32,
    /// The second child; the first stands right behind its parent. 0: a leaf.
    second: u32,
}

impl Index {
    /// Of cubes, each with its number and class.
    #[must_use]
    pub fn new<'a>(members: impl Iterator<Item = (u32, u32)>, cube: impl Fn(u32) -> &'a Cube) -> Self {
        let mut lists: FxHashMap<(u32, u64, u64), Vec<u32>> = FxHashMap::default();
        for (number, class) in members {
            let cube = cube(number);
            lists.entry((class, cube.signature(), cube.single_fields())).or_default().push(number);
        }
        let mut lists: Vec<_> = lists.into_iter().collect();
        lists.sort_unstable_by_key(|(key, _)| *key);
        Self { trees: lists.into_iter().map(|((class, ..), list)| (class, Tree::new(list, &cube))).collect() }
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
        let mut search = Search::new(with, range);
        let beyond = |tree: &Tree| fields == 0 || tree.signature & !fields != 0;
        for (_, tree) in self.trees.iter().filter(|(class, tree)| beyond(tree) && wanted(*class)) {
            if tree.divided {
                let mut seen = FxHashSet::default();
                let mut once = |number| if seen.insert(number) { visit(number) } else { ControlFlow::Continue(()) };
                search.through(tree, |values| Some(Asked::Any(values)), &mut once)?;
            } else {
                search.through(tree, |values| Some(Asked::Any(values)), &mut visit)?;
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
        let any = |values| Some(Asked::Any(values));
        Search::new(with, range).least(self.trees.iter().filter(|(class, _)| wanted(*class)), any, looked, &mut sought)
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
        let trees = self.able_to_hold(with).filter(|(class, _)| wanted(*class));
        Search::new(with, range).least(trees, first_range, looked, &mut sought)
    }

    /// As [`Index::meeting`], for the members that may hold all of `with`. A member may be visited more than once.
    pub fn covering<B>(
        &self,
        with: &Cube,
        range: std::ops::Range<u32>,
        wanted: impl Fn(u32) -> bool,
        mut visit: impl FnMut(u32) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let mut search = Search::new(with, range);
        let mut trees = self.able_to_hold(with).filter(|(class, _)| wanted(*class));
        trees.try_for_each(|(_, tree)| search.through(tree, first_range, &mut visit))
    }

    /// Who narrows a field that `with` leaves open does not hold all of it.
    fn able_to_hold(&self, with: &Cube) -> impl Iterator<Item = &(u32, Tree)> {
        let own = with.signature();
        self.trees.iter().filter(move |(_, tree)| tree.signature & !own == 0)
    }
}

/// Who holds all of some values holds the first range, and that within one box.
fn first_range(values: &Values) -> Option<Asked<'_>> {
    values.ranges().first().copied().map(Asked::All)
}

/// A search through trees, one after the other; its lists are used again for each.
struct Search<'v> {
    with: &'v Cube,
    range: std::ops::Range<u32>,
    asked: Vec<(usize, Asked<'v>)>,
    pending: Vec<u32>,
    /// How many nodes and members were looked at.
    looked: u64,
}

impl<'v> Search<'v> {
    fn new(with: &'v Cube, range: std::ops::Range<u32>) -> Self {
        Self { with, range, asked: Vec::new(), pending: Vec::new(), looked: 0 }
    }

    /// Visits the members of every node that is not excluded by what is `asked` of some field.
    fn through<B>(
        &mut self,
        tree: &Tree,
        asked: impl Fn(&'v Values) -> Option<Asked<'v>>,
        visit: &mut impl FnMut(u32) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        if let Some(members) = tree.exact.as_ref().and_then(|exact| exact.alike(self.with)) {
            return members.iter().filter(|number| self.range.contains(number)).try_for_each(|number| visit(*number));
        }
        self.begin(tree, asked);
        while let Some(members) = self.leaf(tree) {
            members.iter().filter(|number| self.range.contains(number)).try_for_each(|number| visit(*number))?;
        }
        ControlFlow::Continue(())
    }

    /// The smallest number of any of these trees that is `sought`; the work is added to `looked`.
    fn least<'t>(
        mut self,
        trees: impl Iterator<Item = &'t (u32, Tree)>,
        asked: impl Fn(&'v Values) -> Option<Asked<'v>> + Copy,
        looked: &mut u64,
        sought: &mut impl FnMut(u32) -> bool,
    ) -> Option<u32> {
        let least = trees.filter_map(|(_, tree)| self.first(tree, asked, sought)).last();
        *looked += self.looked;
        least
    }

    /// The smallest number of a tree that is `sought`. Greater ones are not looked for afterwards.
    fn first(
        &mut self,
        tree: &Tree,
        asked: impl Fn(&'v Values) -> Option<Asked<'v>>,
        sought: &mut impl FnMut(u32) -> bool,
    ) -> Option<u32> {
        if let Some(members) = tree.exact.as_ref().and_then(|exact| exact.alike(self.with)) {
            self.looked += 1 + members.len() as u64;
            let first = members.iter().copied().find(|number| self.range.contains(number) && sought(*number));
            self.range.end = first.unwrap_or(self.range.end);
            return first;
        }
        let mut found = None;
        self.begin(tree, asked);
        while let Some(members) = self.leaf(tree) {
            self.looked += members.len() as u64;
            for number in members {
                if self.range.contains(number) && sought(*number) {
                    self.range.end = *number;
                    found = Some(*number);
                }
            }
        }
        found
    }

    fn begin(&mut self, tree: &Tree, asked: impl Fn(&'v Values) -> Option<Asked<'v>>) {
        let with = self.with;
        let fields = tree.fields.iter().enumerate();
        self.asked.clear();
        self.asked.extend(fields.filter_map(|(at, field)| Some((at, asked(with.get(*field)?)?))));
        self.pending.clear();
        self.pending.push(0);
    }

    /// The members of the next leaf that nothing excludes.
    fn leaf<'t>(&mut self, tree: &'t Tree) -> Option<&'t [u32]> {
        let width = tree.fields.len();
        while let Some(here) = self.pending.pop() {
            let Some(node) = tree.nodes.get(here as usize) else { continue };
            self.looked += 1;
            if node.least >= self.range.end || node.most < self.range.start {
                continue;
            }
            let hulls = tree.hulls.get(here as usize * width..).unwrap_or_default();
            let excluded = |(at, asked): &(usize, Asked)| hulls.get(*at).is_some_and(|hull| asked.excludes(hull));
            if self.asked.iter().any(excluded) {
                continue;
            }
            if node.second == 0 {
                return tree.members.get(node.start as usize..node.end as usize);
            }
            self.pending.push(node.second);
            self.pending.push(here + 1);
        }
        None
    }
}

/// What is looked for in a field.
enum Asked<'v> {
    /// Boxes in which some of these values are.
    Any(&'v Values),
    /// Boxes in which all of these are.
    All(Range),
}

impl Asked<'_> {
    /// Whether nothing within such a hull is looked for.
    fn excludes(&self, hull: &Range) -> bool {
        match self {
            Self::Any(values) => !values.meets(&Values::range(*hull)),
            Self::All(range) => range.0 < hull.0 || hull.1 < range.1,
        }
    }
}

/// The hulls of a cube in some fields, box by box.
fn boxes(cube: &Cube, fields: &[Field], out: &mut Vec<Range>) -> usize {
    let mut counts: Vec<(usize, usize)> = fields
        .iter()
        .enumerate()
        .map(|(at, field)| (cube.get(*field).map_or(1, |values| values.ranges().len()), at))
        .collect();
    // What has few ranges is divided into all of them.
    counts.sort_unstable();
    let mut left = PIECES;
    let mut parts = vec![1; fields.len()];
    for (count, at) in counts {
        let own = count.min(left);
        left /= own.max(1);
        if let Some(part) = parts.get_mut(at) {
            *part = own;
        }
    }
    let total = parts.iter().product();
    for number in 0..total {
        let mut rest = number;
        for (field, parts) in fields.iter().zip(&parts) {
            out.push(cube.get(*field).map_or((0, u128::MAX), |values| part_hull(values, rest % parts, *parts)));
            rest /= parts;
        }
    }
    total
}

/// The hull of one of so many parts of some values.
fn part_hull(values: &Values, part: usize, of: usize) -> Range {
    let ranges = values.ranges();
    let start = ranges.len() * part / of;
    let end = ranges.len() * (part + 1) / of;
    let part = ranges.get(start..end).unwrap_or_default();
    part.first().zip(part.last()).map_or_else(|| values.hull(), |(first, last)| (first.0, last.1))
}

impl Tree {
    fn new<'a>(members: Vec<u32>, cube: &impl Fn(u32) -> &'a Cube) -> Self {
        let mut fields: Vec<Field> = Vec::new();
        if let Some(first) = members.first() {
            // Members may differ in which of the rarer fields they narrow; those are not used for dividing.
            fields.extend(cube(*first).parts().iter().map(|(field, _)| *field).filter(|field| field.0 < 63));
        }
        let signature = members.first().map_or(0, |first| cube(*first).signature());
        let exact = Exact::new(&members, &fields, cube);
        let mut tree = Self {
            signature,
            fields,
            members: Vec::new(),
            divided: false,
            nodes: Vec::new(),
            hulls: Vec::new(),
            exact,
        };
        let mut hulls = Vec::with_capacity(members.len() * tree.fields.len());
        let mut numbers = Vec::with_capacity(members.len());
        for number in members {
            let pieces = boxes(cube(number), &tree.fields, &mut hulls);
            numbers.extend(std::iter::repeat_n(number, pieces));
            tree.divided |= pieces > 1;
        }
        let mut order: Vec<u32> = (0..u32::try_from(numbers.len()).unwrap_or(u32::MAX)).collect();
        let end = order.len();
        let width = tree.fields.len();
        tree.divide(&mut order, 0, end, &hulls, width, &numbers);
        tree.members = order.iter().filter_map(|at| numbers.get(*at as usize).copied()).collect();
        tree
    }

    fn divide(&mut self, order: &mut [u32], start: usize, end: usize, boxes: &[Range], width: usize, members: &[u32]) {
        let here = self.nodes.len();
        let list = order.get(start..end).unwrap_or_default();
        let numbers = || list.iter().filter_map(|at| members.get(*at as usize)).copied();
        let (least, most) = (numbers().min().unwrap_or(u32::MAX), numbers().max().unwrap_or(u32::MAX));
        let at =
            |number: u32, field: usize| boxes.get(number as usize * width + field).copied().unwrap_or((0, u128::MAX));
        let clamp = |place: usize| u32::try_from(place).unwrap_or(u32::MAX);
        self.nodes.push(Node { start: clamp(start), end: clamp(end), least, most, second: 0 });
        let mut dividing = Dividing::default();
        for field in 0..width {
            let mut hull = (u128::MAX, 0);
            for number in list {
                let (first, last) = at(*number, field);
                hull = (hull.0.min(first), hull.1.max(last));
            }
            self.hulls.push(hull);
            if list.len() > LEAF {
                let step = (list.len() / SAMPLE).max(1);
                dividing.consider(field, list.iter().step_by(step).map(|number| at(*number, field)).collect());
            }
        }
        let start_in = |field: usize| move |number: &u32| (at(*number, field).0, *number);
        let Some(list) = order.get_mut(start..end) else { return };
        let few = dividing.few.and_then(|(field, _)| {
            list.sort_unstable_by_key(start_in(field));
            boundary(list, |number| at(number, field).0)
        });
        let middle = match (few, dividing.many) {
            (Some(middle), _) => middle,
            (None, Some((field, _))) => {
                let middle = list.len() / 2;
                list.select_nth_unstable_by_key(middle, start_in(field));
                middle
            }
            (None, None) => return,
        };
        let middle = start + middle;
        self.divide(order, start, middle, boxes, width, members);
        let second = clamp(self.nodes.len());
        if let Some(node) = self.nodes.get_mut(here) {
            node.second = second;
        }
        self.divide(order, middle, end, boxes, width, members);
    }
}

/// The fields that a list of boxes may be divided by, by a sample.
#[derive(Default)]
struct Dividing {
    /// One in which there are few ranges, and they are apart: `br-+`, `docker0` and `lo`, each for thousands of ports. It comes first, or
    /// whoever asks for a fourth card looks through all ports.
    few: Option<(usize, usize)>,
    /// The one in which the most starts differ; one in which all are alike divides nothing.
    many: Option<(usize, usize)>,
}

impl Dividing {
    fn consider(&mut self, field: usize, mut sample: Vec<Range>) {
        sample.sort_unstable();
        sample.dedup();
        let apart = sample.iter().zip(sample.iter().skip(1)).all(|(one, next)| one.1 < next.0);
        let ranges = sample.len();
        if apart && (2..=FEW).contains(&ranges) && self.few.is_none_or(|(_, known)| ranges < known) {
            self.few = Some((field, ranges));
        }
        sample.dedup_by_key(|range| range.0);
        let starts = sample.len();
        if starts > 1 && self.many.is_none_or(|(_, known)| starts > known) {
            self.many = Some((field, starts));
        }
    }
}

/// The place nearest to the middle of a sorted list at which a value begins.
fn boundary(list: &[u32], value: impl Fn(u32) -> u128) -> Option<usize> {
    let middle = value(*list.get(list.len() / 2)?);
    let before = list.partition_point(|number| value(*number) < middle);
    let behind = list.partition_point(|number| value(*number) <= middle);
    let inside = [before, behind].into_iter().filter(|place| (1..list.len()).contains(place));
    inside.min_by_key(|place| place.abs_diff(list.len() / 2))
}
