//! One pass over the words of a statement: eats what fits, notes at the end of the words what could have followed.

use super::token::{Token, TokenKind};
use super::{Expected, Naming, Part, Role, Word};
use crate::syntax::grammar::RESERVED;

/// Where the pass is.
pub(super) struct Walk<'t, 'w> {
    text: &'t str,
    tokens: &'t [Token],
    at: usize,
    words: &'w mut Vec<Word>,
    /// What could follow the last word.
    pub expected: Vec<Expected>,
    /// What follows is known, and nothing behind it: something that must be said is missing.
    closed: bool,
    /// The part that the last word belongs to, or that must follow it.
    pub part: Part,
}

impl<'t, 'w> Walk<'t, 'w> {
    pub fn new(text: &'t str, tokens: &'t [Token], words: &'w mut Vec<Word>) -> Self {
        Self { text, tokens, at: 0, words, expected: Vec::new(), closed: false, part: Part::Head }
    }

    /// Whether every word is eaten.
    pub fn done(&self) -> bool {
        self.at >= self.tokens.len()
    }

    pub fn position(&self) -> usize {
        self.at
    }

    fn token(&self) -> Option<Token> {
        self.tokens.get(self.at).copied()
    }

    /// The next token's text; empty for a text in quotes, so that it is no word of the language.
    pub fn peek(&self) -> &'t str {
        let word = self.token().filter(|token| token.kind != TokenKind::Quoted);
        word.and_then(|token| self.text.get(token.span.range())).unwrap_or_default()
    }

    /// Notes that something could follow, if the words are at their end.
    pub fn could(&mut self, expected: Expected) {
        if self.done() && !self.closed {
            self.expected.push(expected);
        }
    }

    /// Notes whether something that must be said was: if not, what could follow behind it is not told.
    pub fn must(&mut self, said: bool) {
        self.closed |= !said && self.done();
    }

    /// The next part begins, as far as the words reach.
    pub fn enter(&mut self, part: Part) {
        if !self.closed {
            self.part = part;
        }
    }

    /// Eats the next token, whatever it is.
    pub fn eat(&mut self, role: Role) {
        if let Some(token) = self.token() {
            self.words.push(Word { span: token.span, role });
            self.at += 1;
        }
    }

    /// Eats a word of the language.
    pub fn keyword(&mut self, word: &'static str, role: Role) -> bool {
        if self.done() {
            self.could(Expected::Word(word));
            return false;
        }
        let here = self.peek() == word;
        if here {
            self.eat(role);
        }
        here
    }

    /// Eats the first of some words; gives which.
    pub fn one_of(&mut self, words: &[&'static str], role: Role) -> Option<&'static str> {
        words.iter().copied().find(|word| self.keyword(word, role))
    }

    /// Eats a mark.
    pub fn mark(&mut self, kind: TokenKind) -> bool {
        if self.done() && kind == TokenKind::Equals {
            self.could(Expected::Equals);
        }
        let here = self.token().is_some_and(|token| token.kind == kind);
        if here {
            self.at += 1;
        }
        here
    }

    pub fn is(&self, kind: TokenKind) -> bool {
        self.token().is_some_and(|token| token.kind == kind)
    }

    /// Whether the next token can be a name.
    fn is_name(&self) -> bool {
        match self.token() {
            Some(Token { kind: TokenKind::Quoted, .. }) => true,
            Some(Token { kind: TokenKind::Word, .. }) => !RESERVED.contains(&self.peek()),
            _ => false,
        }
    }

    /// Eats a name.
    pub fn name(&mut self, naming: Naming, declares: bool) -> bool {
        self.could(if declares { Expected::NewName(naming) } else { Expected::Name(naming) });
        let here = self.is_name();
        if here {
            self.eat(Role::Name { naming, declares });
        }
        here
    }

    /// Eats a word that is no name of the policy's, reserved or not.
    pub fn any_word(&mut self, naming: Naming) -> bool {
        self.could(Expected::Name(naming));
        let here = self.is(TokenKind::Word);
        if here {
            self.eat(Role::Name { naming, declares: false });
        }
        here
    }

    /// Eats a value that begins with a digit or, for addresses, holds a colon.
    pub fn value(&mut self, what: &'static str, role: Role) -> bool {
        self.could(Expected::Value(what));
        let here = self.is_value();
        if here {
            self.eat(role);
        }
        here
    }

    pub fn is_value(&self) -> bool {
        let word = self.peek();
        self.is(TokenKind::Word) && (word.starts_with(|first: char| first.is_ascii_digit()) || word.contains(':'))
    }

    /// Eats a text in quotes.
    pub fn quoted(&mut self, what: &'static str, role: Role) -> bool {
        self.could(Expected::Value(what));
        let here = self.is(TokenKind::Quoted);
        if here {
            self.eat(role);
        }
        here
    }

    /// One alone, or some in braces with commas between them.
    pub fn list(&mut self, one: &mut dyn FnMut(&mut Self)) {
        if !self.mark(TokenKind::Open) {
            return one(self);
        }
        while !self.mark(TokenKind::Close) {
            let before = self.at;
            one(self);
            if self.done() {
                // The list is open: what comes behind its brace cannot follow.
                self.closed = true;
                return;
            }
            if !self.mark(TokenKind::Comma) && self.at == before {
                self.unknown();
            }
        }
    }

    /// Eats what does not belong here.
    pub fn unknown(&mut self) {
        match self.token().map(|token| token.kind) {
            Some(TokenKind::Word) => self.eat(Role::Unknown),
            Some(TokenKind::Quoted) => self.eat(Role::Text),
            _ => self.at += 1,
        }
    }

    /// The text of the last word that was eaten.
    pub fn last_word(&self) -> &'t str {
        self.words.last().and_then(|word| self.text.get(word.span.range())).unwrap_or_default()
    }

    /// Goes back to a token; it was a mark.
    pub fn back_to(&mut self, at: usize) {
        self.at = at;
    }
}
