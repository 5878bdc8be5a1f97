//! The words of nft's language.

/// A word and its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'t> {
    pub kind: Kind,
    /// Without quotation marks.
    pub text: &'t str,
    pub start: usize,
    pub end: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Word,
    Quoted,
    /// One of `{ } ( ) ,`.
    Mark,
    /// A line end or `;`.
    End,
    /// A quotation mark that nothing closes on its line.
    Broken,
}

impl Token<'_> {
    /// Whether it is this bare word or mark.
    pub fn is(&self, text: &str) -> bool {
        self.kind != Kind::Quoted && self.text == text
    }
}

/// Cuts a text into words, one at a time.
#[derive(Clone)]
pub(super) struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Lexer<'t> {
    pub fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    /// The next word without taking it.
    pub fn peek(&self) -> Option<Token<'t>> {
        self.clone().next()
    }
}

impl<'t> Iterator for Lexer<'t> {
    type Item = Token<'t>;

    fn next(&mut self) -> Option<Token<'t>> {
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at)? {
                b' ' | b'\t' | b'\r' => self.at += 1,
                b'\\' if matches!(bytes.get(self.at + 1), Some(b'\n')) => self.at += 2,
                b'#' => {
                    while bytes.get(self.at).is_some_and(|byte| *byte != b'\n') {
                        self.at += 1;
                    }
                }
                _ => break,
            }
        }
        let start = self.at;
        let kind = match bytes.get(start)? {
            b'\n' | b';' => {
                self.at += 1;
                Kind::End
            }
            b'{' | b'}' | b'(' | b')' | b',' => {
                self.at += 1;
                Kind::Mark
            }
            b'"' => {
                let mut end = start + 1;
                while bytes.get(end).is_some_and(|byte| *byte != b'"' && *byte != b'\n') {
                    end += 1;
                }
                if bytes.get(end) != Some(&b'"') {
                    self.at = end;
                    let text = self.text.get(start..end).unwrap_or_default();
                    return Some(Token { kind: Kind::Broken, text, start, end });
                }
                self.at = end + 1;
                let text = self.text.get(start + 1..end).unwrap_or_default();
                return Some(Token { kind: Kind::Quoted, text, start, end: end + 1 });
            }
            _ => {
                while bytes.get(self.at).is_some_and(|byte| !b" \t\r\n;{}(),\"#".contains(byte)) {
                    self.at += 1;
                }
                Kind::Word
            }
        };
        Some(Token { kind, text: self.text.get(start..self.at).unwrap_or_default(), start, end: self.at })
    }
}

/// Words as nft's listing spaces them: one text for one meaning, however it was spaced.
pub(super) fn spaced(tokens: &[Token]) -> String {
    let mut out = String::new();
    for token in tokens {
        let space = !out.is_empty() && !token.is(",") && !token.is(")") && !out.ends_with('(');
        if space {
            out.push(' ');
        }
        match token.kind {
            Kind::Quoted => {
                out.push('"');
                out.push_str(token.text);
                out.push('"');
            }
            Kind::End => {}
            _ => out.push_str(token.text),
        }
    }
    out
}
