//! `define`, `redefine`, `undefine` and `$NAME`: the text with the values put in, and where each part of it came from. What a file that is
//! included holds is unknown.

use rustc_hash::FxHashMap;

use super::lex::{Kind, Lexer, Token};
use crate::names::closest;
use crate::read::{Fault, FaultKind, quoted};
use crate::span::{FileId, Span};

/// A text without definitions.
pub(super) struct Expanded {
    pub text: String,
    /// Where each piece begins in the text, where it came from, and whether it is a copy of that.
    pieces: Vec<(usize, Span, bool)>,
    pub faults: Vec<Fault>,
    /// Whether a file is included that was not read.
    pub includes: bool,
}

impl Expanded {
    /// The place in the original text.
    pub fn back(&self, span: Span) -> Span {
        let (start, _) = self.ends(span.start as usize);
        let (_, end) = self.ends((span.end as usize).saturating_sub(1).max(span.start as usize));
        Span::new(start, end.max(start))
    }

    /// Where one byte came from.
    fn ends(&self, at: usize) -> (usize, usize) {
        let piece = self
            .pieces
            .partition_point(|(start, ..)| *start <= at)
            .checked_sub(1)
            .and_then(|piece| self.pieces.get(piece));
        match piece {
            Some((start, from, true)) => {
                let place = from.start as usize + (at - start);
                (place, (place + 1).min(from.end as usize))
            }
            Some((_, from, false)) => (from.start as usize, from.end as usize),
            None => (0, 0),
        }
    }
}

/// A value longer than this is not put in: values that hold values can grow without bound.
const LONGEST: usize = 1 << 20;

/// Puts the values of definitions in. `None` if the text has none.
pub(super) fn expand(file: FileId, text: &str) -> Option<Expanded> {
    if !["define", "include", "$"].iter().any(|word| text.contains(word)) {
        return None;
    }
    let expanded =
        Expanded { text: String::with_capacity(text.len()), pieces: Vec::new(), faults: Vec::new(), includes: false };
    let mut writer = Writer { file, source: text, out: expanded, copied: 0, scopes: vec![FxHashMap::default()] };
    writer.read();
    Some(writer.out)
}

struct Writer<'t> {
    file: FileId,
    source: &'t str,
    out: Expanded,
    /// Up to where the source was taken.
    copied: usize,
    /// What is defined: in the file, in the table, in the chain.
    scopes: Vec<FxHashMap<String, String>>,
}

impl<'t> Writer<'t> {
    fn read(&mut self) {
        let mut tokens = Lexer::new(self.source).peekable();
        let mut begins = true;
        while let Some(token) = tokens.next() {
            let starts = begins;
            begins = token.kind == Kind::End || token.is("{") || token.is("}");
            match token.text {
                "define" | "redefine" | "undefine" if starts && token.kind == Kind::Word => {
                    let mut words = Vec::new();
                    let mut depth = 0usize;
                    while let Some(next) = tokens.next_if(|next| depth > 0 || next.kind != Kind::End) {
                        depth = if next.is("{") { depth + 1 } else { depth - usize::from(next.is("}")).min(depth) };
                        words.push(next);
                    }
                    self.copy(token.start);
                    self.copied = words.last().map_or(token.end, |last| last.end);
                    self.define(&token, &words);
                }
                "include" if starts && token.kind == Kind::Word => {
                    let path = tokens.next_if(|next| next.kind == Kind::Quoted);
                    let end = path.map_or(token.end, |path| path.end);
                    self.copy(token.start);
                    self.copied = end;
                    self.include(Span::new(token.start, end), path.map_or("", |path| path.text));
                }
                "{" if token.kind == Kind::Mark => self.scopes.push(FxHashMap::default()),
                "}" if token.kind == Kind::Mark && self.scopes.len() > 1 => drop(self.scopes.pop()),
                word if token.kind == Kind::Word && word.contains('$') => self.substitute(&token),
                _ => {}
            }
        }
        self.copy(self.source.len());
    }

    /// Takes the source as it is, up to a place.
    fn copy(&mut self, to: usize) {
        if let Some(text) = self.source.get(self.copied..to).filter(|text| !text.is_empty()) {
            self.out.pieces.push((self.out.text.len(), Span::new(self.copied, to), true));
            self.out.text.push_str(text);
        }
        self.copied = self.copied.max(to);
    }

    fn fault(&mut self, kind: FaultKind, span: Span, message: String, help: String, replacement: Option<String>) {
        self.out.faults.push(Fault { replacement, ..Fault::new(kind, self.file, span, message, help) });
    }

    fn define(&mut self, token: &Token, words: &[Token]) {
        let span = Span::new(token.start, words.last().map_or(token.end, |last| last.end));
        match (token.text, words) {
            ("undefine", [name]) => {
                self.scopes.iter_mut().rev().find_map(|scope| scope.remove(name.text));
            }
            (_, [name, equals, first, ..]) if equals.is("=") && name.kind == Kind::Word => {
                let value = self.source.get(first.start..span.end as usize).unwrap_or_default();
                let value = self.value(value, first.start);
                self.scopes.last_mut().map(|scope| scope.insert(name.text.to_owned(), value));
            }
            // `NAME= VALUE`: the sign belongs to the word before it.
            (_, [name, first, ..]) if name.kind == Kind::Word && name.text.ends_with('=') => {
                let value = self.source.get(first.start..span.end as usize).unwrap_or_default();
                let value = self.value(value, first.start);
                let name = name.text.trim_end_matches('=').to_owned();
                self.scopes.last_mut().map(|scope| scope.insert(name, value));
            }
            _ => {
                let message = format!("`{}` defines nothing", quoted(token.text));
                self.fault(FaultKind::Refused, span, message, "write `define NAME = VALUE`".to_owned(), None);
            }
        }
    }

    fn include(&mut self, span: Span, path: &str) {
        self.out.includes = true;
        let message = format!("the file `{}` was not read", quoted(path));
        let help = "give the listing of what is loaded: `nft list ruleset`".to_owned();
        self.fault(FaultKind::Unread, span, message, help, None);
    }

    /// A value with the values that it names; lists in it are not in braces of their own.
    fn value(&mut self, text: &str, start: usize) -> String {
        let mut out = String::new();
        let mut copied = 0;
        for token in Lexer::new(text).filter(|token| token.kind == Kind::Word && token.text.contains('$')) {
            out.push_str(text.get(copied..token.start).unwrap_or_default());
            let place = Span::new(start + token.start, start + token.end);
            let inside = out.trim_end().ends_with(['{', ',']);
            let value = self.filled(token.text, place, inside);
            out.push_str(&value);
            copied = token.end;
        }
        out.push_str(text.get(copied..).unwrap_or_default());
        out.truncate(LONGEST.min(out.len()));
        out
    }

    fn substitute(&mut self, token: &Token) {
        self.copy(token.start);
        let place = Span::new(token.start, token.end);
        let inside = self.out.text.trim_end().ends_with(['{', ',']);
        let value = self.filled(token.text, place, inside);
        self.out.pieces.push((self.out.text.len(), place, false));
        self.out.text.push_str(&value);
        self.copied = token.end;
    }

    /// A word with its names replaced.
    fn filled(&mut self, word: &str, place: Span, inside: bool) -> String {
        let mut out = String::new();
        let mut parts = word.split('$');
        out.push_str(parts.next().unwrap_or_default());
        for part in parts {
            let length =
                part.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(part.len());
            let (name, rest) = part.split_at(length);
            let value = self.scopes.iter().rev().find_map(|scope| scope.get(name)).cloned();
            match value {
                Some(value) => {
                    let list = value.trim().strip_prefix('{').and_then(|list| list.strip_suffix('}'));
                    out.push_str(list.filter(|_| inside).unwrap_or(&value));
                }
                None => {
                    self.undefined(name, place);
                    out.push('$');
                    out.push_str(name);
                }
            }
            out.push_str(rest);
        }
        out
    }

    fn undefined(&mut self, name: &str, place: Span) {
        let message = format!("`${}` is not defined", quoted(name));
        if self.out.includes {
            let help = "a file that is included may define it".to_owned();
            return self.fault(FaultKind::UnreadRule, place, message, help, None);
        }
        let near = closest(name, self.scopes.iter().flat_map(|scope| scope.keys()).map(String::as_str))
            .map(|near| format!("${near}"));
        let help = near.as_ref().map_or_else(
            || format!("write `define {name} = VALUE` before it"),
            |near| format!("did you mean `{near}`?"),
        );
        self.fault(FaultKind::Refused, place, message, help, near);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> (String, Vec<String>) {
        let found = expand(FileId(0), text).expect("definitions");
        (found.text, found.faults.into_iter().map(|fault| fault.message).collect())
    }

    #[test]
    fn values_are_put_in() {
        let (text, faults) = expanded("define a = { 1, 2 }\ndefine b = { $a, 3 }\ntcp dport { $b, 4 } $a\n");
        assert_eq!(text, "\n\ntcp dport {   1, 2 , 3 , 4 } { 1, 2 }\n");
        assert_eq!(faults, [""; 0]);
        let (text, faults) = expanded("define wan = eth0\niifname $wna\n");
        assert_eq!(text, "\niifname $wna\n");
        assert_eq!(faults, ["`$wna` is not defined"]);
        assert!(expand(FileId(0), "tcp dport 22 accept").is_none());
    }

    #[test]
    fn places_are_those_of_the_source() {
        let source = "define wan = \"eth0\"\niifname $wan accept\n";
        let found = expand(FileId(0), source).expect("definitions");
        let at = found.text.find("accept").expect("a word");
        assert_eq!(source.get(found.back(Span::new(at, at + 6)).range()), Some("accept"));
        let at = found.text.find("\"eth0\"").expect("a word");
        assert_eq!(source.get(found.back(Span::new(at, at + 6)).range()), Some("$wan"));
        let whole = found.back(Span::new(found.text.find("iifname").expect("a word"), found.text.len() - 1));
        assert_eq!(source.get(whole.range()), Some("iifname $wan accept"));
    }
}
