//! From a text to lines, in the order of the source, and from lines to edits.

use std::ops::Range;

use super::align::align;
use super::words::{Comment, Element, List, column, elements};
use super::{Edit, STEP, WIDTH};
use crate::syntax::cuts::{Ending, Part, cuts};

/// A line to be. What is kept as it is may hold several lines of the source.
#[derive(Clone, Debug, Default)]
pub(super) struct Line<'t> {
    /// White space in front of it, in columns.
    pub indent: usize,
    /// What it says; empty where a comment stands alone.
    pub text: String,
    /// The comment behind it, or alone.
    pub comment: Option<&'t str>,
    /// Columns in front of the comment, of those of `text` and the two that are the least.
    pub pad: usize,
    /// Whether a blank line stands in front of it.
    pub blank: bool,
    /// A comment alone that goes on with the one above.
    pub continues: bool,
    /// Begins or ends a block or list, or is kept as it is: nothing is put under it or above it.
    pub edge: bool,
    /// Ends with the brace that opens a block.
    opens: bool,
    /// Where the `=` of a declaration stands in `text`.
    pub equals: Option<usize>,
    /// What of the source it says.
    source: Range<usize>,
}

impl Line<'_> {
    /// Its width without the comment behind it.
    pub fn width(&self) -> usize {
        self.indent + self.text.chars().count()
    }

    fn write(&self, out: &mut String) {
        if self.blank {
            out.push('\n');
        }
        out.extend(std::iter::repeat_n(' ', self.indent));
        out.push_str(&self.text);
        if let Some(comment) = self.comment {
            let gap = if self.text.is_empty() { self.pad } else { self.pad + 2 };
            out.extend(std::iter::repeat_n(' ', gap));
            out.push_str(comment);
        }
        out.push('\n');
    }
}

/// Lays the whole text out, line by line; `None` if its braces do not match.
pub(super) fn lines(text: &str) -> Option<Vec<Edit>> {
    let mut layout = Layout::new(text);
    for part in cuts(text) {
        match part {
            Part::Close(at) => layout.close(at)?,
            Part::Statement { range, ending, read } => layout.statement(&range, &ending, read)?,
        }
    }
    layout.gap(text.len());
    if layout.depth > 0 {
        return None;
    }
    align(&mut layout.lines);
    Some(edits(text, &layout.lines))
}

/// Spaces the words of each statement that can be read and stands on one line, and leaves all else as it is.
pub(super) fn spaces(text: &str) -> Vec<Edit> {
    let spaced = |part| {
        let Part::Statement { range, ending: _, read: true } = part else { return None };
        let there = text.get(range.clone()).filter(|there| !there.contains('\n'))?;
        let replacement = flat(&elements(text, range.clone())?);
        (there != replacement).then_some(Edit { range, replacement })
    };
    cuts(text).filter_map(spaced).collect()
}

/// Cuts source and lines at the same places, wherever a line of the source ends between two lines, and keeps what differs.
fn edits(text: &str, lines: &[Line<'_>]) -> Vec<Edit> {
    let mut edits = Vec::new();
    let mut from = 0;
    let mut done = 0;
    let mut written = String::new();
    let mut add = |to: usize, written: &mut String, from: &mut usize| {
        if text.get(*from..to) != Some(written.as_str()) {
            edits.push(Edit { range: *from..to, replacement: std::mem::take(written) });
        }
        written.clear();
        *from = to;
    };
    for (number, line) in lines.iter().enumerate() {
        line.write(&mut written);
        done = done.max(line.source.end);
        let Some(next) = lines.get(number + 1) else { break };
        if let Some(end) = text.get(done..next.source.start).and_then(|between| between.find('\n')) {
            add(done + end + 1, &mut written, &mut from);
        }
    }
    let last = text.get(done..).and_then(|rest| rest.find('\n')).map_or(text.len(), |end| done + end + 1);
    if !lines.is_empty() {
        add(last, &mut written, &mut from);
    }
    add(text.len(), &mut written, &mut from);
    edits
}

/// A statement on one line.
fn flat(elements: &[Element<'_>]) -> String {
    let mut out = String::new();
    for element in elements {
        match element {
            Element::Word(word) => push(&mut out, word),
            Element::Comma => out.push(','),
            Element::List(list) => push(&mut out, &flat_list(list)),
        }
    }
    out
}

fn flat_list(list: &List<'_>) -> String {
    let items: Vec<String> = list.items.iter().map(|item| item.words.join(" ")).collect();
    format!("{{ {} }}", items.join(", "))
}

/// Puts a word behind others.
fn push(out: &mut String, word: &str) {
    if !out.is_empty() {
        out.push(' ');
    }
    out.push_str(word);
}

fn width(text: &str) -> usize {
    text.chars().count()
}

struct Layout<'t> {
    text: &'t str,
    /// How far the text is laid out.
    at: usize,
    lines: Vec<Line<'t>>,
    /// Line ends since what was last laid out.
    ends: usize,
    /// Open blocks.
    depth: usize,
    /// Where the comment behind the last line stands in the source.
    column: Option<usize>,
}

impl<'t> Layout<'t> {
    fn new(text: &'t str) -> Self {
        let at = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        Self { text, at, lines: Vec::new(), ends: 0, depth: 0, column: None }
    }

    fn slice(&self, range: Range<usize>) -> &'t str {
        self.text.get(range).unwrap_or_default()
    }

    /// Adds a line, with the blank line in front of it that the source has.
    fn push(&mut self, line: Line<'t>) {
        let opens = self.lines.last().is_none_or(|last| last.opens);
        let blank = line.blank || (self.ends > 1 && !opens);
        self.lines.push(Line { blank, ..line });
        self.ends = 0;
        self.column = None;
    }

    /// Lays out the comments up to `to`, or up to what is no comment, and gives the place.
    fn gap(&mut self, to: usize) -> usize {
        while let Some(byte) = self.text.as_bytes().get(self.at).filter(|_| self.at < to) {
            match byte {
                b'\n' => self.ends += 1,
                b' ' | b'\t' | b'\r' => {}
                b'#' => {
                    let rest = self.slice(self.at..to);
                    let length = rest.find('\n').unwrap_or(rest.len());
                    self.comment(self.at..self.at + length);
                    self.at += length;
                    continue;
                }
                _ => break,
            }
            self.at += 1;
        }
        self.at
    }

    fn comment(&mut self, range: Range<usize>) {
        let comment = self.slice(range.clone()).trim_end();
        let here = column(self.text, range.start);
        if self.ends == 0
            && let Some(last) = self.lines.last_mut()
        {
            last.comment = Some(comment);
            last.source.end = range.end;
            self.column = Some(here);
            return;
        }
        let continues = self.ends == 1 && self.column == Some(here);
        let indent = self.depth * STEP;
        self.push(Line { indent, comment: Some(comment), continues, source: range, ..Line::default() });
        if continues {
            self.column = Some(here);
        }
    }

    fn close(&mut self, at: usize) -> Option<()> {
        self.gap(at);
        self.depth = self.depth.checked_sub(1)?;
        self.brace(at, self.depth * STEP);
        Some(())
    }

    /// Writes the brace that closes a block, behind the other one if nothing stands between.
    fn brace(&mut self, at: usize, indent: usize) {
        self.at = at + 1;
        self.ends = 0;
        self.column = None;
        match self.lines.last_mut().filter(|last| last.opens && last.comment.is_none()) {
            Some(opening) => {
                opening.text.push('}');
                opening.opens = false;
                opening.source.end = at + 1;
            }
            None => {
                let source = at..at + 1;
                self.lines.push(Line { indent, text: "}".to_owned(), edge: true, source, ..Line::default() });
            }
        }
    }

    fn statement(&mut self, range: &Range<usize>, ending: &Ending, read: bool) -> Option<()> {
        if range.is_empty() {
            return None;
        }
        self.gap(range.start);
        let brace = match ending {
            Ending::Line => None,
            Ending::Block(brace) | Ending::Raw { brace, .. } => Some(*brace),
        };
        let end = brace.map_or(range.end, |brace| brace + 1);
        let indent = self.depth * STEP;
        match elements(self.text, range.clone()).filter(|_| read) {
            Some(elements) => self.laid_out(&elements, indent, brace.is_some(), range.start..end),
            None => self.kept(range, brace.is_some(), range.start..end),
        }
        self.at = end;
        match ending {
            Ending::Line => {}
            Ending::Block(_) => self.depth += 1,
            Ending::Raw { lines, closed, .. } => return self.raw(lines, *closed, indent),
        }
        Some(())
    }

    /// A statement that cannot be read, byte for byte; one of several lines with all that stands in front of its first word, because
    /// its lines are indented against each other.
    fn kept(&mut self, range: &Range<usize>, opens: bool, source: Range<usize>) {
        let before = self.slice(0..range.start);
        let line = before.rfind('\n').map_or(0, |end| end + 1);
        let lead = self.slice(line..range.start);
        let spread =
            self.slice(range.clone()).contains('\n') && lead.chars().all(|letter| matches!(letter, ' ' | '\t'));
        let (indent, begin) = if spread { (0, line) } else { (self.depth * STEP, range.start) };
        let brace = if opens { " {" } else { "" };
        let text = format!("{}{brace}", self.slice(begin..range.end));
        self.push(Line { indent, text, edge: true, source, ..Line::default() });
    }

    /// A statement, on one line if it fits, otherwise with its lists broken, the longest first.
    fn laid_out(&mut self, elements: &[Element<'t>], indent: usize, opens: bool, source: Range<usize>) {
        let list = |element: &Element<'_>| matches!(element, Element::List(list) if list.spread || list.has_comments());
        let mut broken: Vec<bool> = elements.iter().map(list).collect();
        let mut lines = rows(elements, &broken, indent, opens);
        while let Some(place) = to_break(elements, &broken, &lines) {
            if let Some(state) = broken.get_mut(place) {
                *state = true;
            }
            lines = rows(elements, &broken, indent, opens);
        }
        if let [(line, _)] = lines.as_mut_slice() {
            line.equals = equals(elements);
        }
        for (line, _) in lines {
            self.push(Line { source: source.clone(), ..line });
        }
    }

    /// Netfilter's own words. Lines keep their places against each other.
    fn raw(&mut self, lines: &[Range<usize>], closed: bool, indent: usize) -> Option<()> {
        if !closed {
            return None;
        }
        let first = self.lines.len();
        let mut columns = Vec::new();
        self.depth += 1;
        for range in lines {
            self.gap(range.start);
            columns.resize(self.lines.len() - first, None);
            let text = self.slice(range.clone()).to_owned();
            let before = self.slice(0..range.start);
            let lead = before.rsplit('\n').next().unwrap_or_default();
            let own = lead.chars().all(|letter| matches!(letter, ' ' | '\t'));
            columns.push(own.then(|| lead.chars().map(|letter| if letter == '\t' { STEP } else { 1 }).sum::<usize>()));
            self.push(Line { indent: indent + STEP, text, source: range.clone(), ..Line::default() });
            self.at = range.end;
        }
        let end = self.gap(self.text.len());
        self.depth -= 1;
        let least = columns.iter().flatten().min().copied().unwrap_or(0);
        for (line, column) in self.lines.iter_mut().skip(first).zip(columns) {
            line.indent += column.map_or(0, |column| column - least);
        }
        self.brace(end, indent);
        Some(())
    }
}

/// Where the `=` of a declaration stands in its line.
fn equals(elements: &[Element<'_>]) -> Option<usize> {
    match elements {
        [Element::Word("set" | "service" | "interface" | "fact"), name, Element::Word("="), ..] => {
            let Element::Word(name) = name else { return None };
            let Some(Element::Word(keyword)) = elements.first() else { return None };
            Some(keyword.len() + name.len() + 2)
        }
        _ => None,
    }
}

/// The list to break next: the longest of those on a line that is too wide.
fn to_break(elements: &[Element<'_>], broken: &[bool], rows: &[(Line<'_>, Range<usize>)]) -> Option<usize> {
    let (_, wide) = rows.iter().find(|(line, held)| line.width() > WIDTH && holds_list(elements, broken, held))?;
    let lists = elements.iter().enumerate().zip(broken).filter(|((place, _), _)| wide.contains(place));
    let whole = lists.filter_map(|((place, element), &broken)| match element {
        Element::List(list) if !broken => Some((width(&flat_list(list)), place)),
        _ => None,
    });
    whole.max_by_key(|&(width, place)| (width, std::cmp::Reverse(place))).map(|(_, place)| place)
}

fn holds_list(elements: &[Element<'_>], broken: &[bool], held: &Range<usize>) -> bool {
    let mut both = elements.iter().zip(broken).enumerate();
    both.any(|(place, (element, &broken))| held.contains(&place) && !broken && matches!(element, Element::List(_)))
}

/// The lines of a statement, and which elements each holds, where the lists that `broken` says go over several lines.
fn rows<'t>(elements: &[Element<'t>], broken: &[bool], indent: usize, opens: bool) -> Vec<(Line<'t>, Range<usize>)> {
    let mut rows = Vec::new();
    let mut line = Line { indent, ..Line::default() };
    let mut begin = 0;
    for (place, element) in elements.iter().enumerate() {
        match element {
            Element::Word(word) => push(&mut line.text, word),
            Element::Comma => line.text.push(','),
            Element::List(list) if broken.get(place) == Some(&true) => {
                push(&mut line.text, "{");
                line.comment = list.opening;
                line.edge = true;
                rows.push((line, begin..place));
                rows.extend(members(list, indent + STEP).into_iter().map(|line| (line, 0..0)));
                line = Line { indent, text: "}".to_owned(), edge: true, ..Line::default() };
                begin = place + 1;
            }
            Element::List(list) => push(&mut line.text, &flat_list(list)),
        }
    }
    if opens {
        line.text.push_str(" {");
        line.edge = true;
        line.opens = true;
    }
    rows.push((line, begin..elements.len()));
    rows
}

/// The lines of a broken list: a member a line, and bare ports behind the protocol that they belong to.
fn members<'t>(list: &List<'t>, indent: usize) -> Vec<Line<'t>> {
    let mut lines: Vec<Line<'t>> = Vec::new();
    // Whether bare ports may go on with the last line.
    let mut open = false;
    let alone = |comment: &Comment<'t>| Line {
        indent,
        comment: Some(comment.text),
        blank: comment.blank,
        continues: comment.continues,
        ..Line::default()
    };
    for item in &list.items {
        let text = format!("{},", item.words.join(" "));
        if open && item.is_port() {
            if let Some(line) = lines.last_mut().filter(|line| line.width() + width(&text) < WIDTH) {
                push(&mut line.text, &text);
                line.comment = item.trailing;
            } else {
                lines.push(Line { indent: indent + STEP, text, comment: item.trailing, ..Line::default() });
            }
            open = item.trailing.is_none();
            continue;
        }
        lines.extend(item.leading.iter().map(alone));
        lines.push(Line { indent, text, comment: item.trailing, blank: item.blank, ..Line::default() });
        open = item.takes_ports();
    }
    lines.extend(list.closing.iter().map(alone));
    lines
}
