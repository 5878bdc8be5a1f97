//! What each word of a text is, by the grammar alone, also where a statement cannot be read: for editors, which ask while a line is
//! half typed. [`Outline`] has every statement, its words and what part each plays; [`expected`] says what may stand at a place.
//! It is told by the same words as the grammar (`tests/ide` compares the two), knows nothing of what names mean, and never fails.

mod clauses;
mod statement;
mod token;
mod walk;

use std::ops::Range;

use crate::span::Span;
use crate::syntax::grammar::RESERVED;
use crate::syntax::scan::{Cut, Ending, Fault, Piece, Scanner, is_word};
use token::{Token, TokenKind, tokens};
use walk::Walk;

/// What a name names, as far as its place says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Naming {
    /// An interface that the policy declares.
    Interface,
    /// A set.
    Set,
    /// A set or, failing that, an interface: a place by name alone.
    Place,
    /// An interface or, failing that, a card: behind `via`, and behind `on` in a clause.
    Via,
    /// A card of the machine.
    Card,
    /// A service.
    Service,
    /// A group.
    Group,
    /// A virtual machine.
    Guest,
    /// An LXD or Incus instance.
    Instance,
    /// A network.
    Network,
    /// A container.
    Container,
    /// A user of the host.
    User,
    /// A file of the standard library, behind `use`.
    Platform,
    /// A part of such a file, behind `except`.
    Part,
    /// A type of ICMP.
    Icmp,
    /// A protocol, behind `protocol`.
    Protocol,
    /// A kind of answer, behind `reject with`.
    Answer,
    /// A conntrack helper.
    Helper,
    /// A DSCP class.
    Dscp,
    /// A syslog level.
    Level,
    /// A day of the week, or days.
    Day,
    /// A value's place in the facts, behind `fact`.
    Fact,
    /// A table of netfilter, behind `chain`.
    Table,
    /// A built-in chain, behind `chain TABLE`.
    Hook,
}

/// What a word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// `allow`.
    Allow,
    /// `deny`, `reject`.
    Deny,
    /// A word of the language.
    Keyword,
    /// A word for a place: `any`, `world`, `host`, `container` …
    PlaceWord,
    /// `tcp`, `udp`, `sctp`, `icmp`, `ipv4` …
    Protocol,
    /// A name.
    Name {
        /// Of what.
        naming: Naming,
        /// Whether this is its declaration.
        declares: bool,
    },
    /// A number, port, rate or time.
    Number,
    /// An address, prefix, range or Ethernet address.
    Address,
    /// A text in quotes.
    Text,
    /// A path of a file in quotes.
    Path,
    /// A line of netfilter's own words.
    Raw,
    /// What does not belong where it stands.
    Unknown,
}

/// A word and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    /// Its place, quotes with it.
    pub span: Span,
    /// What it is.
    pub role: Role,
}

/// What kinds of statement may stand at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Around {
    /// Everything but `in` and `out`.
    Top,
    /// Rules, `apply`, changes and clauses.
    Rules,
    /// `in` and `out`.
    Gates,
    /// Nobody knows: the head of the block is wrong.
    Unknown,
}

/// A statement, readable or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// From its first word to its last; without its block.
    pub span: Span,
    /// Its words, in [`Outline::words`].
    pub words: Range<usize>,
    /// The statement in whose block it stands, in [`Outline::entries`].
    pub parent: Option<usize>,
    /// Its block: from `{` to behind `}`, or to the end of the text.
    pub block: Option<Span>,
    /// Its lists: from `{` to behind `}`.
    pub lists: Vec<Span>,
    /// What may stand in its block.
    pub inside: Around,
}

/// A text's statements and words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// Every statement, in source order; one in a block stands behind the block's head.
    pub entries: Vec<Entry>,
    /// Every word of every statement, in source order.
    pub words: Vec<Word>,
    /// Every comment, from `#` to the last character.
    pub comments: Vec<Span>,
    /// The statements that declare a name, in [`Outline::entries`], and the word that is the name, in [`Outline::words`].
    pub declarations: Vec<(usize, usize)>,
}

/// What may stand at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Expected {
    /// This word.
    Word(&'static str),
    /// `=`.
    Equals,
    /// A name that is known.
    Name(Naming),
    /// A name that is new.
    NewName(Naming),
    /// A value, said by what it is: `port`, `address`, `rate` …
    Value(&'static str),
}

/// The parts of statements, in the order in which they are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// The word or words that it begins with.
    #[default]
    Head,
    /// The name that it declares or uses.
    Name,
    /// What it says of that name.
    Value,
    /// `ipv4`, `ipv6`, services.
    What,
    /// `from …`.
    From,
    /// `to …`.
    To,
    /// `via …`.
    Via,
    /// What follows a sentence.
    Options,
    /// `on …`, of a declaration.
    On,
    /// `address …`.
    Address,
    /// `mac …`.
    Mac,
    /// `publish …`.
    Publish,
    /// `at …`, of a `forward`.
    At,
    /// `port …`, of a `forward` or `redirect`.
    Port,
    /// `as …`, of a `masquerade`.
    As,
    /// `except …`.
    Except,
}

/// What may stand at a place in a text, and where that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// What may stand there, most likely first. Empty: nothing, or it is a comment or netfilter's own words.
    pub expected: Vec<Expected>,
    /// The word that is being typed there, to be replaced; empty: none yet.
    pub typed: Span,
    /// The words of its statement in front of that.
    pub words: Vec<Word>,
    /// The part of the statement that the place is in.
    pub part: Part,
    /// The heads of the blocks around it, outermost first.
    pub heads: Vec<Span>,
}

/// The outline of a text.
#[must_use]
pub fn outline(text: &str) -> Outline {
    let mut drawing = Drawing { text, found: Outline::default(), open: Vec::new(), done: 0 };
    for piece in Scanner::new(text) {
        match piece {
            Piece::Close(at) => drawing.close(at),
            Piece::Statement(cut) => drawing.cut(cut),
        }
    }
    drawing.remarks(text.len());
    drawing.found.comments.sort_unstable();
    drawing.found
}

/// An outline in the making.
struct Drawing<'t> {
    text: &'t str,
    found: Outline,
    /// The statements whose blocks are open.
    open: Vec<usize>,
    /// How far the text is looked through for comments.
    done: usize,
}

impl Drawing<'_> {
    /// The comments up to a place, between statements.
    fn remarks(&mut self, until: usize) {
        let range = self.done..until;
        self.done = self.done.max(until);
        if self.text.get(range.clone()).is_some_and(|part| part.contains('#')) {
            let comments = tokens(self.text, range).into_iter().filter(|token| token.kind == TokenKind::Comment);
            self.found.comments.extend(comments.map(|token| token.span));
        }
    }

    /// The end of a block.
    fn close(&mut self, at: usize) {
        self.remarks(at);
        self.done = at + 1;
        let head = self.open.pop().and_then(|entry| self.found.entries.get_mut(entry));
        if let Some(block) = head.and_then(|entry| entry.block.as_mut()) {
            *block = Span::new(block.start as usize, at + 1);
        }
    }

    /// A statement, or the head of a block.
    fn cut(&mut self, cut: Cut) {
        self.remarks(cut.range.start);
        let all = tokens(self.text, cut.range.clone());
        let (comments, words): (Vec<Token>, Vec<Token>) =
            all.into_iter().partition(|token| token.kind == TokenKind::Comment);
        self.found.comments.extend(comments.into_iter().map(|token| token.span));
        self.done = cut.range.end;
        let parent = self.open.last().copied();
        self.found.statement(self.text, &words, Span::new(cut.range.start, cut.range.end), parent);
        match cut.ending {
            Ending::Line => {}
            Ending::Block(brace) => {
                self.block(brace, self.text.len());
                self.open.push(self.found.entries.len() - 1);
                self.done = brace + 1;
            }
            Ending::Raw { brace, lines, closed } => self.raw(brace, &lines, closed),
        }
    }

    fn block(&mut self, brace: usize, end: usize) {
        if let Some(entry) = self.found.entries.last_mut() {
            entry.block = Some(Span::new(brace, end));
        }
    }

    /// The lines of a `chain`.
    fn raw(&mut self, brace: usize, lines: &[Range<usize>], closed: bool) {
        self.done = brace + 1;
        for line in lines {
            self.remarks(line.start);
            self.done = line.end;
            self.found.words.push(Word { span: Span::new(line.start, line.end), role: Role::Raw });
        }
        let rest = self.text.get(self.done..).unwrap_or_default();
        let close = match rest.find('}') {
            Some(at) if closed => self.done + at + 1,
            _ => self.done,
        };
        self.block(brace, close);
        if let Some(entry) = self.found.entries.last_mut() {
            entry.words.end = self.found.words.len();
        }
        self.remarks(close);
    }
}

impl Outline {
    /// Adds a statement with these words.
    fn statement(&mut self, text: &str, words: &[Token], span: Span, parent: Option<usize>) {
        let first = self.words.len();
        let around = match parent {
            None => Around::Top,
            Some(head) => self.entries.get(head).map_or(Around::Unknown, |head| head.inside),
        };
        Walk::new(text, words, &mut self.words).statement(around);
        let named = |word: &Word| matches!(word.role, Role::Name { declares: true, .. });
        let declared = self.words.iter().enumerate().skip(first).find(|(_, word)| named(word));
        self.declarations.extend(declared.map(|(word, _)| (self.entries.len(), word)));
        let inside = inside(words.first().and_then(|head| text.get(head.span.range())).unwrap_or_default());
        let words_end = self.words.len();
        self.entries.push(Entry { span, words: first..words_end, parent, block: None, lists: lists(words), inside });
    }

    /// The words of a statement.
    #[must_use]
    pub fn words_of(&self, entry: &Entry) -> &[Word] {
        self.words.get(entry.words.clone()).unwrap_or_default()
    }

    /// The word at a place; at a border between two, the one that begins there.
    #[must_use]
    pub fn word_at(&self, offset: u32) -> Option<Word> {
        let behind = self.words.partition_point(|word| word.span.start <= offset);
        let last = self.words.get(behind.checked_sub(1)?)?;
        (offset <= last.span.end).then_some(*last)
    }

    /// The innermost statement that holds a place, its block included; its number in [`Outline::entries`].
    #[must_use]
    pub fn entry_at(&self, offset: u32) -> Option<usize> {
        let mut at = self.entries.partition_point(|entry| entry.span.start <= offset).checked_sub(1);
        while let Some(number) = at {
            let entry = self.entries.get(number)?;
            let end = entry.block.map_or(entry.span.end, |block| block.end.max(entry.span.end));
            if offset <= end {
                return Some(number);
            }
            at = entry.parent;
        }
        None
    }
}

/// What may stand in the block of a statement that begins with this word.
fn inside(head: &str) -> Around {
    match head {
        "from" | "to" | "via" | "group" => Around::Rules,
        "guest" | "instance" => Around::Gates,
        _ => Around::Unknown,
    }
}

/// The lists among the tokens of a statement: they do not stand in one another.
fn lists(words: &[Token]) -> Vec<Span> {
    let mut found = Vec::new();
    let mut open = None;
    for token in words {
        match (token.kind, open) {
            (TokenKind::Open, None) => open = Some(token.span),
            (TokenKind::Close, Some(start)) => {
                found.push(start.to(token.span));
                open = None;
            }
            _ => {}
        }
    }
    found
}

/// What may stand at a place.
#[must_use]
pub fn expected(text: &str, offset: u32) -> Expectation {
    let offset = (0..=(offset as usize).min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    let before = text.get(..offset).unwrap_or_default();
    let Spot { start, heads, raw } = spot(before);
    let mut words = tokens(text, start..offset);
    let line = before.rfind('\n').map_or(0, |at| at + 1);
    let remark = tokens(text, line.max(start)..offset).last().is_some_and(|one| one.kind == TokenKind::Comment);
    words.retain(|token| token.kind != TokenKind::Comment);
    let typed = typed(text, &mut words, offset);
    let around = match heads.last() {
        None => Around::Top,
        Some(head) => {
            inside(text.get(head.range()).and_then(|head| head.split_whitespace().next()).unwrap_or_default())
        }
    };
    let mut found = Vec::new();
    let mut walk = Walk::new(text, &words, &mut found);
    walk.statement(around);
    let (mut expected, part) = (std::mem::take(&mut walk.expected), walk.part);
    if raw || remark {
        expected.clear();
    }
    Expectation { expected, typed, words: found, part, heads }
}

/// What a text ends in.
struct Spot {
    /// Where the statement begins that the end belongs to; the end itself, if it belongs to none.
    start: usize,
    /// The heads of the blocks that are open.
    heads: Vec<Span>,
    /// The end belongs to netfilter's own words.
    raw: bool,
}

fn spot(before: &str) -> Spot {
    let mut found = Spot { start: before.len(), heads: Vec::new(), raw: false };
    for piece in Scanner::new(before) {
        (found.start, found.raw) = (before.len(), false);
        match piece {
            Piece::Close(_) => drop(found.heads.pop()),
            Piece::Statement(cut) => match cut.ending {
                Ending::Block(_) => found.heads.push(Span::new(cut.range.start, cut.range.end)),
                Ending::Raw { closed, .. } => found.raw = !closed,
                Ending::Line => {
                    let rest = before.get(cut.range.end..).unwrap_or_default();
                    if !rest.contains('\n') || matches!(cut.fault, Some(Fault::List(_))) {
                        found.start = cut.range.start;
                    }
                }
            },
        }
    }
    found
}

/// Takes off the word that is being typed at the end of the words, with what stands of it behind the place.
fn typed(text: &str, words: &mut Vec<Token>, offset: usize) -> Span {
    let last = words.pop_if(|last| {
        let whole = last.kind == TokenKind::Quoted
            && last.span.range().len() > 1
            && text.get(last.span.range()).is_some_and(|text| text.ends_with('"'));
        matches!(last.kind, TokenKind::Word | TokenKind::Quoted) && last.span.end as usize == offset && !whole
    });
    match last {
        None => Span::new(offset, offset),
        Some(Token { kind: TokenKind::Word, span }) => {
            let rest = text.as_bytes().get(offset..).unwrap_or_default();
            let more = rest.iter().take_while(|&&byte| is_word(byte)).count();
            Span::new(span.start as usize, offset + more)
        }
        Some(token) => token.span,
    }
}

/// Whether a word is a name only in quotes.
#[must_use]
pub fn is_reserved(word: &str) -> bool {
    RESERVED.contains(&word)
}
