//! A tree of boxes. It is divided like the boxes themselves lie: at a value of one field into those that lie below it, those above, and
//! those on both sides. A wide box is thus in the way of few searches, though it may hold half of all others.
//!
//! All that a search asks of boxes stands side by side and is small: a search goes through a hundred places of a large tree, and the
//! way to memory is what takes its time. So values are told on a scale of 32 bits.

use super::scale::{Scale, Span, WHOLE};
use crate::packet::cube::Cube;
use crate::packet::field::Field;
use crate::packet::values::{Range, Values};

/// Members that are looked at one by one.
const LEAF: usize = 6;
/// Members by which it is seen how a list may be divided.
const SAMPLE: usize = 64;
/// Ranges in a field that are few.
const FEW: usize = 4;
/// Boxes that a member is divided into, where its values lie apart: one hull around `10.1.1.1` and `198.18.0.0/24` is half the world.
const PIECES: usize = 8;

/// A tree of boxes.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// The fields that boxes have, in order.
    pub scales: Vec<(Field, Scale)>,
    /// Whether any member stands more than once.
    pub divided: bool,
    /// Everything.
    pub root: Part,
    /// The members in the order of the tree, each once for each of its boxes.
    members: Vec<u32>,
    /// The boxes, one behind the other: for each, its span in every field.
    boxes: Vec<Span>,
    nodes: Vec<Node>,
}

/// Some of the members that are in one part.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    /// The number of its node, or of its first member in the order of the tree.
    at: u32,
    /// How many members; 0 if it has a node.
    length: u32,
    /// The smallest number among them.
    pub least: u32,
    /// The largest.
    pub most: u32,
    /// Where their boxes are in the field that its node above is divided by.
    pub span: Span,
}

impl Default for Part {
    /// Nothing, so that nobody looks there.
    fn default() -> Self {
        Self { at: 0, length: 0, least: u32::MAX, most: 0, span: WHOLE }
    }
}

/// A part that is divided.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// By which of the tree's fields.
    pub field: u8,
    /// What it is divided into: the one with the smallest number first.
    pub parts: [Part; 3],
}

/// What is in a part.
pub(super) enum Inside<'t> {
    /// Parts.
    Node(&'t Node),
    /// Members: the places of their boxes, from the first.
    Leaf(usize, &'t [u32]),
}

impl Tree {
    /// Of members that narrow these fields, or some of them, and perhaps others.
    pub fn new<'a>(members: &[u32], fields: &[Field], cube: &impl Fn(u32) -> &'a Cube) -> Self {
        let cubes = || members.iter().map(|number| cube(*number));
        let scale = |field: &Field| (*field, Scale::new(cubes().filter_map(|cube| cube.get(*field))));
        let mut tree = Self { scales: fields.iter().map(scale).collect(), ..Self::default() };
        let mut boxes = Vec::with_capacity(members.len() * fields.len());
        let mut numbers = Vec::with_capacity(members.len());
        for number in members {
            let pieces = pieces(cube(*number), &tree.scales, &mut boxes);
            numbers.extend(std::iter::repeat_n(*number, pieces));
        }
        tree.divided = numbers.len() > members.len();
        let mut order: Vec<u32> = (0..clamp(numbers.len())).collect();
        let cuts = vec![0; fields.len()];
        let mut division = Division { boxes: &boxes, numbers: &numbers, cuts, nodes: Vec::new() };
        tree.root = division.part(&mut order, 0, None);
        tree.nodes = division.nodes;
        tree.members = order.iter().filter_map(|at| numbers.get(*at as usize).copied()).collect();
        let own = |at: &u32| boxes.get(*at as usize * fields.len()..(*at as usize + 1) * fields.len());
        tree.boxes = order.iter().filter_map(own).flatten().copied().collect();
        tree
    }

    /// What is in a part.
    pub fn inside(&self, part: &Part) -> Option<Inside<'_>> {
        let at = part.at as usize;
        if part.length == 0 {
            return self.nodes.get(at).map(Inside::Node);
        }
        self.members.get(at..at + part.length as usize).map(|members| Inside::Leaf(at, members))
    }

    /// The spans of a box in each of the fields.
    pub fn spans(&self, place: usize) -> &[Span] {
        let width = self.scales.len();
        self.boxes.get(place * width..(place + 1) * width).unwrap_or_default()
    }
}

/// A tree that is being made.
struct Division<'b> {
    boxes: &'b [Span],
    /// The member that each box belongs to.
    numbers: &'b [u32],
    /// How often the way to the part that is being made was divided by each field.
    cuts: Vec<u32>,
    nodes: Vec<Node>,
}

impl Division<'_> {
    fn span(&self, of: u32, field: usize) -> Span {
        self.boxes.get(of as usize * self.cuts.len() + field).copied().unwrap_or(WHOLE)
    }

    /// Makes a part of a list of boxes, which stands at a place among all of them, and all that is below it.
    fn part(&mut self, list: &mut [u32], start: usize, divided_by: Option<usize>) -> Part {
        let numbers = || list.iter().filter_map(|at| self.numbers.get(*at as usize)).copied();
        let (least, most) = (numbers().min().unwrap_or(u32::MAX), numbers().max().unwrap_or(0));
        let span = divided_by.map_or(WHOLE, |field| {
            let spans = list.iter().map(|at| self.span(*at, field));
            spans.fold((u32::MAX, 0), |hull: Span, span| (hull.0.min(span.0), hull.1.max(span.1)))
        });
        let whole = Part { at: clamp(start), length: clamp(list.len()), least, most, span };
        let Some((field, lengths)) = self.lengths(list) else { return whole };
        let at = clamp(self.nodes.len());
        self.nodes.push(Node::default());
        self.cuts.get_mut(field).into_iter().for_each(|cuts| *cuts += 1);
        let mut parts = [Part::default(); 3];
        let (mut rest, mut place) = (&mut *list, start);
        for (part, length) in parts.iter_mut().zip(lengths) {
            let Some((own, behind)) = std::mem::take(&mut rest).split_at_mut_checked(length) else { break };
            if length > 0 {
                *part = self.part(own, place, Some(field));
            }
            (rest, place) = (behind, place + length);
        }
        self.cuts.get_mut(field).into_iter().for_each(|cuts| *cuts -= 1);
        // Whoever looks for the first one finds early ones early.
        parts.sort_unstable_by_key(|part| part.least);
        if let Some(node) = self.nodes.get_mut(at as usize) {
            *node = Node { field: u8::try_from(field).unwrap_or(u8::MAX), parts };
        }
        Part { at, length: 0, ..whole }
    }

    /// Orders a list so that it falls into parts: the field that tells them apart, and how many are in each. `None` if it is not to be
    /// divided.
    fn lengths(&self, list: &mut [u32]) -> Option<(usize, [usize; 3])> {
        let whole = list.len();
        if whole <= LEAF {
            return None;
        }
        let step = whole.div_ceil(SAMPLE);
        let mut ways = Ways::default();
        for field in 0..self.cuts.len() {
            ways.consider(field, list.iter().step_by(step).map(|at| self.span(*at, field)).collect());
        }
        let sides = ways.few.map(|(_, field, value)| (field, value)).or_else(|| ways.best(&self.cuts));
        if let Some((field, value)) = sides {
            let side = |at: &u32| Side::of(self.span(*at, field), value);
            list.sort_unstable_by_key(|at| (side(at), *at));
            let below = list.partition_point(|at| side(at) < Side::Above);
            let apart = list.partition_point(|at| side(at) < Side::Both);
            let lengths = [below, apart - below, whole - apart];
            // A sample may mislead.
            if lengths.iter().all(|length| *length <= whole - whole / 16) {
                return Some((field, lengths));
            }
        }
        let (_, field) = ways.starts.filter(|(starts, _)| *starts > 1)?;
        let middle = whole / 2;
        list.select_nth_unstable_by_key(middle, |at| (self.span(*at, field).0, *at));
        Some((field, [middle, whole - middle, 0]))
    }
}

/// Where a box lies, as seen from a value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Below,
    Above,
    Both,
}

impl Side {
    fn of(span: Span, value: u32) -> Self {
        if span.1 < value {
            Self::Below
        } else if span.0 >= value {
            Self::Above
        } else {
            Self::Both
        }
    }
}

/// How a list of boxes may be divided, by a sample.
#[derive(Default)]
struct Ways {
    /// A field in which there are few ranges, and they are apart: `br-+`, `docker0` and `lo`, each for thousands of ports. It comes first,
    /// or whoever asks for a fourth card looks through all ports. How many they are, the field, and a value between them.
    few: Option<(usize, usize, u32)>,
    /// By each field: the work of a search, the field and a value.
    by_work: Vec<(usize, usize, u32)>,
    /// The most different starts, and their field.
    starts: Option<(usize, usize)>,
}

impl Ways {
    fn consider(&mut self, field: usize, mut sample: Vec<Span>) {
        sample.sort_unstable();
        self.consider_few(field, &sample);
        let starts = 1 + sample.iter().zip(sample.iter().skip(1)).filter(|(one, next)| one.0 != next.0).count();
        if self.starts.is_none_or(|(known, _)| starts > known) {
            self.starts = Some((starts, field));
        }
        let least = sample.first().map_or(0, |range| range.0);
        let mut values: Vec<u32> =
            sample.iter().flat_map(|range| [Some(range.0), range.1.checked_add(1)]).flatten().collect();
        values.retain(|value| *value > least);
        values.sort_unstable();
        let whole = sample.len();
        let mut best: Option<(usize, usize, u32)> = None;
        let mut before = None;
        for quarter in 1..4 {
            let Some(value) = values.get(values.len() * quarter / 4).copied() else { continue };
            if before.replace(value) == Some(value) {
                continue;
            }
            let count = |side: Side| sample.iter().filter(|range| Side::of(**range, value) == side).count();
            let (below, above) = (count(Side::Below), count(Side::Above));
            // Whoever looks for one of a side looks through that side, and everyone through what is on both.
            let work = below * below + above * above + (whole - below - above) * whole;
            if work * 10 <= whole * whole * 9 && best.is_none_or(|(known, ..)| work < known) {
                best = Some((work, field, value));
            }
        }
        self.by_work.extend(best);
    }

    /// The field and the value by which little work is left. Of those nearly as good it is the field by which least was divided before:
    /// of a list that is told apart by ports alone, whoever asks for an address looks through everything.
    fn best(&self, cuts: &[u32]) -> Option<(usize, u32)> {
        let least = self.by_work.iter().map(|(work, ..)| *work).min()?;
        let good = self.by_work.iter().filter(|(work, ..)| *work <= least + least / 2);
        let before = |field: usize| cuts.get(field).copied().unwrap_or(0);
        good.min_by_key(|(work, field, _)| (before(*field), *work)).map(|(_, field, value)| (*field, *value))
    }

    fn consider_few(&mut self, field: usize, sorted: &[Span]) {
        let mut ranges: Vec<(Span, usize)> = Vec::with_capacity(FEW + 1);
        for range in sorted {
            let full = ranges.len() == FEW;
            match ranges.last_mut() {
                Some((last, count)) if last == range => *count += 1,
                Some((last, _)) if full || range.0 <= last.1 => return,
                _ => ranges.push((*range, 1)),
            }
        }
        if ranges.len() < 2 || self.few.is_some_and(|(known, ..)| known <= ranges.len()) {
            return;
        }
        let mut before = 0;
        let mut best: Option<(usize, u32)> = None;
        for ((first, _), count) in ranges.iter().copied() {
            let uneven = (2usize * before).abs_diff(sorted.len());
            if before > 0 && best.is_none_or(|(known, _)| uneven < known) {
                best = Some((uneven, first));
            }
            before += count;
        }
        self.few = best.map(|(_, value)| (ranges.len(), field, value));
    }
}

/// The boxes of a cube in some fields, one behind the other, and how many they are.
fn pieces(cube: &Cube, fields: &[(Field, Scale)], out: &mut Vec<Span>) -> usize {
    let mut counts: Vec<(usize, usize)> = fields
        .iter()
        .enumerate()
        .map(|(at, (field, _))| (cube.get(*field).map_or(1, |values| values.ranges().len()), at))
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
        for ((field, scale), parts) in fields.iter().zip(&parts) {
            let own = |values| scale.span(part_hull(values, rest % parts, *parts));
            out.push(cube.get(*field).map_or(WHOLE, own));
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

fn clamp(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
