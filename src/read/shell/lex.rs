//! The words of a shell script, as far as plain scripts have them: quotation marks, variables, command substitution, here-documents.

use crate::span::Span;

/// A part of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Text as it stands.
    Text(String),
    /// A variable, and the text that stands for it where it is not set.
    Variable { name: String, default: Option<String>, quoted: bool },
    /// What cannot be known without running something: `$(ip route)`.
    Unknown(String),
}

/// A word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub parts: Vec<Part>,
    pub span: Span,
    /// Whether any of it stood in quotation marks.
    pub quoted: bool,
}

impl Word {
    /// Its text, if it is nothing but text.
    pub fn plain(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The text of a word that is no quoted one: those of the language itself.
    pub fn bare(&self) -> Option<&str> {
        self.plain().filter(|_| !self.quoted)
    }
}

/// A token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Word(Word),
    /// `;`, `&`, `&&`, `||`, `|`, `;;`, `(`, `)`, or a line end.
    Operator(&'static str, Span),
    /// `< FILE`, `> FILE`.
    Redirection {
        input: bool,
        span: Span,
    },
    /// `<< END`, and the text up to there.
    Document {
        parts: Vec<Part>,
        span: Span,
    },
}

const OPERATORS: [&str; 9] = ["&&", "||", ";;", ";", "&", "|", "(", ")", "\n"];

/// Cuts a script into tokens.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut lexer = Lexer { text, at: 0, out: Vec::new(), waiting: Vec::new() };
    while lexer.token() {}
    lexer.out
}

/// A here-document whose text comes after the line.
struct Waiting {
    end: String,
    /// Whether tabs before its lines belong to it not.
    strip: bool,
    expands: bool,
    /// Where its token stands.
    at: usize,
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    out: Vec<Token>,
    waiting: Vec<Waiting>,
}

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Takes one token; whether there may be more.
    fn token(&mut self) -> bool {
        loop {
            let rest = self.rest();
            if rest.starts_with("\\\r\n") {
                self.at += 3;
            } else if rest.starts_with("\\\n") {
                self.at += 2;
            } else if rest.starts_with([' ', '\t', '\r']) {
                self.at += 1;
            } else if rest.starts_with('#') {
                self.at += rest.find('\n').unwrap_or(rest.len());
            } else {
                break;
            }
        }
        let rest = self.rest();
        if rest.is_empty() {
            return false;
        }
        if self.redirection() {
            return true;
        }
        if let Some(operator) = OPERATORS.into_iter().find(|operator| rest.starts_with(operator)) {
            self.out.push(Token::Operator(operator, Span::new(self.at, self.at + operator.len())));
            self.at += operator.len();
            if operator == "\n" {
                self.documents();
            }
            return true;
        }
        let word = self.word();
        self.out.push(Token::Word(word));
        true
    }

    /// `2>/dev/null`, `<<EOF`, `&>file`.
    fn redirection(&mut self) -> bool {
        let rest = self.rest();
        let digits = rest.len() - rest.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
        let after = rest.get(digits..).unwrap_or_default();
        let start = self.at;
        let known = ["<<<", "<<-", "<<", "&>>", "&>", ">>", ">&", "<&", ">|", "<", ">"];
        let Some(sign) = known.into_iter().find(|sign| after.starts_with(sign)) else { return false };
        if sign.starts_with('&') && digits > 0 {
            return false;
        }
        self.at += digits + sign.len();
        while self.rest().starts_with([' ', '\t']) {
            self.at += 1;
        }
        let target = self.word();
        let span = Span::new(start, self.at);
        match sign {
            "<<" | "<<-" => {
                let end = target.plain().unwrap_or_default().to_owned();
                self.waiting.push(Waiting { end, strip: sign == "<<-", expands: !target.quoted, at: self.out.len() });
                self.out.push(Token::Document { parts: Vec::new(), span });
            }
            "<<<" => self.out.push(Token::Document { parts: target.parts, span }),
            _ => self.out.push(Token::Redirection { input: sign.starts_with('<'), span }),
        }
        true
    }

    /// Takes the texts of the here-documents that the line before announced.
    fn documents(&mut self) {
        for waiting in std::mem::take(&mut self.waiting) {
            let start = self.at;
            let mut body = String::new();
            loop {
                let rest = self.rest();
                if rest.is_empty() {
                    break;
                }
                let length = rest.find('\n').map_or(rest.len(), |at| at + 1);
                let line = rest.get(..length).unwrap_or_default();
                self.at += length;
                let bare = if waiting.strip { line.trim_start_matches('\t') } else { line };
                if bare.trim_end_matches(['\n', '\r']) == waiting.end {
                    break;
                }
                body.push_str(bare);
            }
            let parts = if waiting.expands { expanded(&body) } else { vec![Part::Text(body)] };
            if let Some(Token::Document { parts: place, span }) = self.out.get_mut(waiting.at) {
                *place = parts;
                *span = Span::new(start, self.at);
            }
        }
    }

    fn word(&mut self) -> Word {
        let start = self.at;
        let mut parts: Vec<Part> = Vec::new();
        let mut quoted = false;
        while let Some(letter) = self.rest().chars().next() {
            match letter {
                ' ' | '\t' | '\n' | '\r' | ';' | '&' | '|' | '(' | ')' | '<' | '>' => break,
                '\\' => {
                    self.at += 1;
                    let next = self.rest().chars().next();
                    self.at += next.map_or(0, char::len_utf8);
                    if next != Some('\n') {
                        push(&mut parts, next.map(String::from).unwrap_or_default().as_str());
                        quoted = true;
                    }
                }
                '\'' => {
                    let inside = self.rest().get(1..).unwrap_or_default();
                    let end = inside.find('\'').unwrap_or(inside.len());
                    push(&mut parts, inside.get(..end).unwrap_or_default());
                    self.at += (end + 2).min(self.rest().len());
                    quoted = true;
                }
                '"' => {
                    let inside = self.rest().get(1..).unwrap_or_default();
                    let end = closing_quote(inside);
                    join(&mut parts, expanded(inside.get(..end).unwrap_or_default()));
                    self.at += (end + 2).min(self.rest().len());
                    quoted = true;
                }
                '$' | '`' => {
                    let (part, length) = substitution(self.rest(), false);
                    join(&mut parts, vec![part]);
                    self.at += length;
                }
                letter => {
                    push(&mut parts, letter.encode_utf8(&mut [0; 4]));
                    self.at += letter.len_utf8();
                }
            }
        }
        Word { parts, span: Span::new(start, self.at), quoted }
    }
}

fn push(parts: &mut Vec<Part>, text: &str) {
    match parts.last_mut() {
        Some(Part::Text(before)) => before.push_str(text),
        _ => parts.push(Part::Text(text.to_owned())),
    }
}

fn join(parts: &mut Vec<Part>, more: Vec<Part>) {
    for part in more {
        match part {
            Part::Text(text) => push(parts, &text),
            part => parts.push(part),
        }
    }
}

/// Where a text in double quotation marks ends.
fn closing_quote(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0, 0usize);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 1,
            b'(' if at > 0 && bytes.get(at - 1) == Some(&b'$') => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b'"' if depth == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    text.len()
}

/// The parts of a text in double quotation marks or of a here-document.
fn expanded(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut at = 0;
    while let Some(letter) = text.get(at..).and_then(|rest| rest.chars().next()) {
        let rest = text.get(at..).unwrap_or_default();
        match letter {
            '\\' if rest.get(1..).is_some_and(|next| next.starts_with(['$', '`', '"', '\\'])) => {
                push(&mut parts, rest.get(1..2).unwrap_or_default());
                at += 2;
            }
            '\\' if rest.starts_with("\\\n") => at += 2,
            '$' | '`' => {
                let (part, length) = substitution(rest, true);
                join(&mut parts, vec![part]);
                at += length;
            }
            letter => {
                push(&mut parts, letter.encode_utf8(&mut [0; 4]));
                at += letter.len_utf8();
            }
        }
    }
    parts
}

/// `$NAME`, `${NAME}`, `${NAME:-DEFAULT}`, `$(…)`, `` `…` ``: the part, and how long it is.
fn substitution(text: &str, quoted: bool) -> (Part, usize) {
    if text.starts_with('`') {
        let length = text.get(1..).and_then(|rest| rest.find('`')).map_or(text.len(), |at| at + 2);
        return (Part::Unknown(text.get(..length).unwrap_or_default().to_owned()), length);
    }
    let after = text.get(1..).unwrap_or_default();
    if let Some(open) = after.chars().next().filter(|letter| matches!(letter, '(' | '{')) {
        let close = if open == '(' { ')' } else { '}' };
        let mut depth = 0usize;
        let length = after.char_indices().find_map(|(at, letter)| {
            depth += usize::from(letter == open);
            depth -= usize::from(letter == close).min(depth);
            (depth == 0 && letter == close).then_some(at + 2)
        });
        let length = length.unwrap_or(text.len());
        let whole = text.get(..length).unwrap_or_default();
        let inside = text.get(2..length.saturating_sub(1)).unwrap_or_default();
        let part = if open == '{' { braced(inside, quoted) } else { None };
        return (part.unwrap_or_else(|| Part::Unknown(whole.to_owned())), length);
    }
    let first = after.chars().next();
    let length = match first {
        Some(letter) if letter.is_ascii_alphabetic() || letter == '_' => {
            after.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(after.len())
        }
        Some(letter) if letter.is_ascii_digit() || "@*#?$!-".contains(letter) => 1,
        _ => return (Part::Text("$".to_owned()), 1),
    };
    let name = after.get(..length).unwrap_or_default().to_owned();
    (Part::Variable { name, default: None, quoted }, length + 1)
}

fn braced(inside: &str, quoted: bool) -> Option<Part> {
    let length = inside
        .find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_' && letter != '@')
        .unwrap_or(inside.len());
    let (name, rest) = inside.split_at(length);
    let default = match rest {
        "" => None,
        rest => Some(rest.strip_prefix(":-").or(rest.strip_prefix('-')).or(rest.strip_prefix(":="))?.trim_matches('"')),
    };
    if default.is_some_and(|text| text.contains('$')) || name.is_empty() {
        return None;
    }
    Some(Part::Variable { name: name.to_owned(), default: default.map(str::to_owned), quoted })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let word = |token: Token| match token {
            Token::Word(word) => word.parts.iter().map(|part| format!("{part:?}")).collect::<Vec<_>>().join("+"),
            Token::Operator(sign, _) => format!("{sign:?}"),
            Token::Redirection { input, .. } => format!("redirection {input}"),
            Token::Document { parts, .. } => format!("document {parts:?}"),
        };
        tokens(text).into_iter().map(word).collect()
    }

    #[test]
    fn words_have_their_parts() {
        assert_eq!(
            words("a 'b c'\"d $x\" # e"),
            [r#"Text("a")"#, r#"Text("b cd ")+Variable { name: "x", default: None, quoted: true }"#,]
        );
        assert_eq!(
            words("${a:-1}2 $(b c)"),
            [r#"Variable { name: "a", default: Some("1"), quoted: false }+Text("2")"#, r#"Unknown("$(b c)")"#,]
        );
        assert_eq!(
            words("a 2>/dev/null && b \\\n c"),
            [r#"Text("a")"#, "redirection false", r#""&&""#, r#"Text("b")"#, r#"Text("c")"#,]
        );
    }

    #[test]
    fn documents_end_at_their_word() {
        assert_eq!(
            words("a <<E\nb $c\nE\nd"),
            [
                r#"Text("a")"#,
                r#"document [Text("b "), Variable { name: "c", default: None, quoted: true }, Text("\n")]"#,
                r#""\n""#,
                r#"Text("d")"#,
            ]
        );
    }

    #[test]
    fn nothing_is_too_broken() {
        for text in ["'", "\"", "$(", "${", "`", "<<", "a <<E", "\\", "$", "2>", "é\"ü$("] {
            let _ = tokens(text);
        }
    }
}
