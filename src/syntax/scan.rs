//! Cuts a text into statements without understanding them: it knows strings, comments, braces, line ends and, to tell a block's
//! brace from a list's, the words that begin blocks and those that a list follows. One pass, no recursion.

use std::ops::Range;

/// What the text is made of, in order.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A statement, or the head of a block.
    Statement(Cut),
    /// `}` where no list is open, and its place.
    Close(usize),
}

/// A statement cut out of the text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// From its first byte to its last, without comments around it. Empty: a brace that nothing stands in front of.
    pub range: Range<usize>,
    /// How far its line is indented; `None` if something stands before it on its line.
    pub indent: Option<usize>,
    /// What follows it.
    pub ending: Ending,
    /// Why it cannot be read at all.
    pub fault: Option<Fault>,
}

/// What follows a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The end of its line, or a closing brace.
    Line,
    /// `{` at this place: a block of statements.
    Block(usize),
    /// `{` at this place: netfilter's own words, line by line.
    Raw {
        /// The brace.
        brace: usize,
        /// Each line that says something.
        lines: Vec<Range<usize>>,
        /// Whether its `}` was found.
        closed: bool,
    },
}

/// What a scan alone can find wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A list's `{` at this place is not closed.
    List(usize),
    /// A string that begins here is not closed on its line.
    String(usize),
    /// A character outside of strings and comments that nothing in the language is written with.
    Character(usize),
}

/// Whether a statement that begins so, first on its line, shows that a list or a raw block above was never closed. Words that
/// may also begin a member of a list (`container`, `guest`, `host`, `tcp` …) are not among them.
fn begins_statement(word: &[u8]) -> bool {
    matches!(
        word,
        b"use"
            | b"target"
            | b"include"
            | b"compose"
            | b"fact"
            | b"interface"
            | b"set"
            | b"service"
            | b"group"
            | b"allow"
            | b"deny"
            | b"reject"
            | b"log"
            | b"default"
            | b"assert"
            | b"mark"
            | b"dscp"
            | b"clamp"
            | b"notrack"
            | b"helper"
            | b"masquerade"
            | b"forward"
            | b"redirect"
            | b"apply"
            | b"from"
            | b"to"
            | b"via"
            | b"chain"
            | b"in"
            | b"out"
    )
}

/// The same inside of netfilter's own words, where `log`, `set`, `mark`, `redirect` and others are at home.
fn ends_raw(word: &[u8]) -> bool {
    matches!(
        word,
        b"use"
            | b"target"
            | b"include"
            | b"compose"
            | b"interface"
            | b"service"
            | b"group"
            | b"guest"
            | b"instance"
            | b"container"
            | b"allow"
            | b"default"
            | b"assert"
            | b"apply"
            | b"from"
            | b"to"
            | b"via"
            | b"chain"
    )
}

/// Whether a brace behind this word opens a list even at the end of a line.
fn introduces_list(word: &[u8]) -> bool {
    matches!(
        word,
        b"from"
            | b"to"
            | b"via"
            | b"on"
            | b"address"
            | b"not"
            | b"at"
            | b"="
            | b","
            | b"allow"
            | b"deny"
            | b"reject"
            | b"log"
            | b"ipv4"
            | b"ipv6"
            | b"forward"
            | b"redirect"
            | b"masquerade"
            | b"notrack"
            | b"mss"
            | b"publish"
            | b"as"
            | b"except"
    )
}

/// The statements of a text, one after the other.
pub(super) struct Scanner<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    line_start: usize,
    /// Whether nothing but white space stands on the line so far.
    fresh: bool,
}

impl<'t> Scanner<'t> {
    pub fn new(text: &'t str) -> Self {
        let at = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        Self { text, bytes: text.as_bytes(), at, line_start: at, fresh: true }
    }

    fn byte(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn slice(&self, range: Range<usize>) -> &'t [u8] {
        self.bytes.get(range).unwrap_or_default()
    }

    /// Where the line that holds `from` ends: its line feed, or the end of the text.
    fn line_end(&self, from: usize) -> usize {
        let rest = self.slice(from..self.bytes.len());
        rest.iter().position(|&byte| byte == b'\n').map_or(self.bytes.len(), |length| from + length)
    }

    /// Where the word that begins at `from` ends.
    fn word_end(&self, from: usize) -> usize {
        let rest = self.slice(from..self.bytes.len());
        rest.iter().position(|&byte| !is_word(byte)).map_or(self.bytes.len(), |length| from + length)
    }

    fn next_line(&mut self) {
        self.at += 1;
        self.line_start = self.at;
        self.fresh = true;
    }

    /// The first word of the line that begins at `from`, where it stands, and whether it is a closing brace.
    fn first_word(&self, from: usize) -> (usize, &'t [u8]) {
        let rest = self.slice(from..self.bytes.len());
        let start = from + rest.iter().take_while(|&&byte| matches!(byte, b' ' | b'\t' | b'\r')).count();
        if self.bytes.get(start) == Some(&b'}') {
            return (start, b"}");
        }
        (start, self.slice(start..self.word_end(start)))
    }

    /// Whether nothing but a comment follows on the line.
    fn last_on_line(&self, from: usize) -> bool {
        let rest = self.slice(from..self.line_end(from));
        matches!(rest.iter().find(|&&byte| !matches!(byte, b' ' | b'\t' | b'\r')), None | Some(b'#'))
    }

    fn statement(&mut self) -> Cut {
        let start = self.at;
        let indent = self.fresh.then_some(start - self.line_start);
        let line_indent = indent.unwrap_or(usize::MAX);
        self.fresh = false;
        let head = self.slice(start..self.word_end(start));
        let heads_block = matches!(
            head,
            b"from" | b"to" | b"via" | b"group" | b"guest" | b"instance" | b"chain" | b"network" | b"container"
        );
        let known = heads_block || begins_statement(head);
        let mut end = start;
        let mut depth = 0usize;
        let mut list = start;
        let mut previous: &[u8] = b"";
        let mut before: &[u8] = b"";
        let mut strange = None;
        let mut fault = None;
        let mut ending = Ending::Line;
        while let Some(byte) = self.byte() {
            match byte {
                b'\n' if depth == 0 => break,
                b'\n' => {
                    let (word_at, word) = self.first_word(self.at + 1);
                    let outdented = word == b"}" && word_at - (self.at + 1) < line_indent && indent.is_some();
                    if begins_statement(word) || outdented {
                        break;
                    }
                    self.at += 1;
                    self.line_start = self.at;
                    continue;
                }
                b' ' | b'\t' | b'\r' => {}
                b'#' => {
                    self.at = self.line_end(self.at);
                    continue;
                }
                b'"' => {
                    let rest = self.slice(self.at + 1..self.bytes.len());
                    let stop =
                        rest.iter().position(|&byte| byte == b'"' || byte == b'\n').map(|length| self.at + 1 + length);
                    match stop.filter(|&stop| self.bytes.get(stop) == Some(&b'"')) {
                        Some(stop) => {
                            self.at = stop;
                            end = stop + 1;
                        }
                        None => {
                            fault = Some(Fault::String(self.at));
                            end = stop.unwrap_or(self.bytes.len());
                            self.at = end;
                            depth = 0;
                            break;
                        }
                    }
                    before = std::mem::replace(&mut previous, b"\"");
                }
                b'{' => {
                    let after_list_word =
                        introduces_list(previous) || matches!(before, b"mark" | b"dscp" | b"helper" | b"with");
                    let block = match known {
                        _ if depth > 0 => false,
                        true if heads_block => !introduces_list(previous),
                        _ => end == start || (self.last_on_line(self.at + 1) && !after_list_word),
                    };
                    if block {
                        ending = Ending::Block(self.at);
                        self.at += 1;
                        break;
                    }
                    if depth == 0 {
                        list = self.at;
                    }
                    depth += 1;
                    end = self.at + 1;
                    before = std::mem::replace(&mut previous, b"{");
                }
                b'}' if depth == 0 => break,
                b'}' => {
                    depth -= 1;
                    end = self.at + 1;
                    before = std::mem::replace(&mut previous, b"}");
                }
                b',' | b'=' => {
                    end = self.at + 1;
                    before = std::mem::replace(&mut previous, if byte == b',' { b"," } else { b"=" });
                }
                _ => {
                    let stop = self.word_end(self.at);
                    let word = self.slice(self.at..stop);
                    if strange.is_none()
                        && let Some(length) = word.iter().position(|byte| !(b' '..0x7f).contains(byte))
                    {
                        strange = Some(Fault::Character(self.at + length));
                    }
                    before = std::mem::replace(&mut previous, word);
                    self.at = stop;
                    end = stop;
                    continue;
                }
            }
            self.at += 1;
        }
        if fault.is_none() && depth > 0 {
            fault = Some(Fault::List(list));
        }
        if head == b"chain"
            && let Ending::Block(brace) = ending
        {
            ending = self.raw(brace, line_indent);
        }
        Cut { range: start..end, indent, ending, fault: fault.or(strange) }
    }

    /// Reads the lines of a `chain` block, behind its brace.
    fn raw(&mut self, brace: usize, indent: usize) -> Ending {
        let mut lines = Vec::new();
        let mut depth = 0usize;
        let mut line: Option<Range<usize>> = None;
        let mut closed = false;
        while let Some(byte) = self.byte() {
            match byte {
                b'\n' => {
                    lines.extend(line.take());
                    let (word_at, word) = self.first_word(self.at + 1);
                    if ends_raw(word) && indent != usize::MAX && word_at - (self.at + 1) <= indent {
                        break;
                    }
                    self.next_line();
                    continue;
                }
                b' ' | b'\t' | b'\r' => {
                    self.at += 1;
                    continue;
                }
                b'#' => {
                    self.at = self.line_end(self.at);
                    continue;
                }
                b'}' if depth == 0 => {
                    closed = true;
                    self.at += 1;
                    break;
                }
                b'"' => {
                    let rest = self.slice(self.at + 1..self.line_end(self.at));
                    line.get_or_insert(self.at..self.at);
                    // To the closing quote; one that is not closed is left to the reader of the words.
                    self.at += rest.iter().position(|&byte| byte == b'"').map_or(0, |length| length + 1);
                }
                b'{' => depth += 1,
                b'}' => depth -= 1,
                _ => {}
            }
            let start = line.get_or_insert(self.at..self.at).start;
            self.at += 1;
            line = Some(start..self.at);
        }
        lines.extend(line);
        self.fresh = false;
        Ending::Raw { brace, lines, closed }
    }
}

/// Whether a byte goes on a word. Anything but white space, quotes, braces, commas, `=` and `#` does.
pub(super) fn is_word(byte: u8) -> bool {
    !matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'"' | b'{' | b'}' | b',' | b'=' | b'#')
}

impl Iterator for Scanner<'_> {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        loop {
            match self.byte()? {
                b'\n' => self.next_line(),
                b' ' | b'\t' | b'\r' => self.at += 1,
                b'#' => self.at = self.line_end(self.at),
                b'}' => {
                    self.at += 1;
                    self.fresh = false;
                    return Some(Piece::Close(self.at - 1));
                }
                _ => {
                    debug_assert!(self.text.is_char_boundary(self.at));
                    return Some(Piece::Statement(self.statement()));
                }
            }
        }
    }
}
