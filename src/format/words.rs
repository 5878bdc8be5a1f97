//! A statement as a row of words and lists, with the comments that stand in its lists.

use std::ops::Range;

/// A part of a statement.
#[derive(Debug)]
pub(super) enum Element<'t> {
    /// A word, a string, `=`.
    Word(&'t str),
    /// A comma outside of a list.
    Comma,
    /// A list in braces.
    List(List<'t>),
}

/// A list in braces.
#[derive(Debug, Default)]
pub(super) struct List<'t> {
    /// The comment behind its opening brace.
    pub opening: Option<&'t str>,
    /// Its members; at least one.
    pub items: Vec<Item<'t>>,
    /// Comments in front of its closing brace.
    pub closing: Vec<Comment<'t>>,
    /// Whether its first member begins a line.
    pub spread: bool,
}

/// A member of a list.
#[derive(Debug, Default)]
pub(super) struct Item<'t> {
    /// Comments on lines of their own in front of it.
    pub leading: Vec<Comment<'t>>,
    /// Whether a blank line stands in front of its words.
    pub blank: bool,
    /// Its words.
    pub words: Vec<&'t str>,
    /// The comment behind it.
    pub trailing: Option<&'t str>,
}

/// A comment on a line of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Comment<'t> {
    /// From its `#` on.
    pub text: &'t str,
    /// Whether a blank line stands in front of it.
    pub blank: bool,
    /// Whether it stands right under the comment behind the line above, and so goes on with it.
    pub continues: bool,
}

impl List<'_> {
    /// Whether it cannot be written on one line.
    pub fn has_comments(&self) -> bool {
        self.opening.is_some()
            || !self.closing.is_empty()
            || self.items.iter().any(|item| item.trailing.is_some() || !item.leading.is_empty())
    }
}

impl Item<'_> {
    /// Whether it only goes on with the ports of the member in front of it.
    pub fn is_port(&self) -> bool {
        self.words.len() == 1
            && self.words.iter().all(|word| word.starts_with(|letter: char| letter.is_ascii_digit()))
            && self.leading.is_empty()
            && !self.blank
    }

    /// Whether bare ports may follow it.
    pub fn takes_ports(&self) -> bool {
        matches!(self.words.first(), Some(&("tcp" | "udp" | "sctp"))) && self.trailing.is_none()
    }
}

/// How far from the beginning of its line a place is, in characters.
pub(super) fn column(text: &str, at: usize) -> usize {
    let before = text.get(..at).unwrap_or_default();
    before.rsplit('\n').next().unwrap_or_default().trim_start_matches('\u{feff}').chars().count()
}

/// A word, mark or comment.
struct Token<'t> {
    text: &'t str,
    at: usize,
    /// Line ends between the one before and this.
    lines: usize,
}

/// Cuts up what stands in `range`. White space is what the scan of statements takes for it.
struct Tokens<'t> {
    text: &'t str,
    at: usize,
    end: usize,
}

impl<'t> Iterator for Tokens<'t> {
    type Item = Token<'t>;

    fn next(&mut self) -> Option<Token<'t>> {
        let rest = self.text.get(self.at..self.end)?;
        let white = |letter: char| matches!(letter, ' ' | '\t' | '\r' | '\n');
        let begin = rest.find(|letter| !white(letter))?;
        let (space, rest) = rest.split_at(begin);
        let length = match rest.as_bytes().first()? {
            b'#' => rest.find('\n').unwrap_or(rest.len()),
            b'"' => rest.get(1..)?.find('"')? + 2,
            b'{' | b'}' | b',' | b'=' => 1,
            _ => rest
                .find(|letter| white(letter) || matches!(letter, '"' | '{' | '}' | ',' | '=' | '#'))
                .unwrap_or(rest.len()),
        };
        let at = self.at + begin;
        self.at = at + length;
        let lines = space.bytes().filter(|&byte| byte == b'\n').count();
        Some(Token { text: rest.get(..length)?, at, lines })
    }
}

/// The elements of the statement in `range`; `None` if its lists are not well-formed.
pub(super) fn elements(text: &str, range: Range<usize>) -> Option<Vec<Element<'_>>> {
    let mut tokens = Tokens { text, at: range.start, end: range.end };
    let mut elements = Vec::new();
    while let Some(token) = tokens.next() {
        elements.push(match token.text {
            "{" => Element::List(Lists::default().read(text, &mut tokens)?),
            "}" => return None,
            "," => Element::Comma,
            word if word.starts_with('#') => return None,
            word => Element::Word(word),
        });
    }
    Some(elements)
}

/// A list being read.
#[derive(Default)]
struct Lists<'t> {
    list: List<'t>,
    item: Item<'t>,
    /// Comments behind the words of `item`, on lines of their own: nobody knows yet whose they are.
    after: Vec<Comment<'t>>,
    /// Where the last comment behind something on its line stands.
    column: Option<usize>,
}

impl<'t> Lists<'t> {
    fn read(mut self, text: &'t str, tokens: &mut Tokens<'t>) -> Option<List<'t>> {
        let mut first = true;
        for token in tokens {
            if first {
                self.list.spread = token.lines > 0;
            }
            match token.text {
                "{" => return None,
                "}" => {
                    self.end_item();
                    self.list.closing = self.item.leading;
                    return Some(self.list).filter(|list| !list.items.is_empty());
                }
                "," if self.item.words.is_empty() => return None,
                "," => self.end_item(),
                comment if comment.starts_with('#') => self.comment(text, &token, first),
                word => {
                    self.word(word, token.lines);
                    self.column = None;
                }
            }
            first = false;
        }
        None
    }

    fn end_item(&mut self) {
        if !self.item.words.is_empty() {
            self.list.items.push(std::mem::take(&mut self.item));
        }
        self.item.leading.append(&mut self.after);
    }

    fn word(&mut self, word: &'t str, lines: usize) {
        if self.item.words.is_empty() {
            self.item.blank = lines > 1 && !(self.list.items.is_empty() && self.item.leading.is_empty());
        } else {
            // A comment amidst the words of a member is put above it.
            let amidst = self.item.trailing.take().map(|text| Comment { text, blank: false, continues: false });
            self.item.leading.extend(amidst);
            self.item.leading.append(&mut self.after);
        }
        self.item.words.push(word);
    }

    fn comment(&mut self, text: &str, token: &Token<'t>, first: bool) {
        let words = token.text.trim_end();
        let here = column(text, token.at);
        if token.lines == 0 {
            self.column = Some(here);
            let at_opening = first;
            if at_opening {
                self.list.opening = Some(words);
                return;
            }
            let ended = self.item.words.is_empty();
            let owner = if ended { self.list.items.last_mut() } else { Some(&mut self.item) };
            if let Some(owner) = owner {
                let earlier = owner.trailing.replace(words);
                owner.leading.extend(earlier.map(|text| Comment { text, blank: false, continues: false }));
            }
            return;
        }
        let continues = token.lines == 1 && self.column == Some(here);
        if !continues {
            self.column = None;
        }
        let nothing_above = self.list.items.is_empty() && self.item.words.is_empty() && self.item.leading.is_empty();
        let comment = Comment { text: words, blank: token.lines > 1 && !nothing_above, continues };
        if self.item.words.is_empty() { self.item.leading.push(comment) } else { self.after.push(comment) }
    }
}
