//! Reads `fwc.facts.json`. Strict JSON (RFC 8259), and no name twice in an object: of two values one would be silently lost.

use std::rc::Rc;

use super::document::{Entry, Node, Value};
use super::{Facts, decode, validate};
use crate::diagnostic::{Code, Diagnostic, Level};
use crate::span::{FileId, Location, Span};

/// The text is no JSON.
pub static FACTS_SYNTAX: Code = Code {
    number: "FW0401",
    name: "facts-syntax",
    level: Level::Error,
    summary: "a facts file is not JSON",
    explanation: "\
A facts file is JSON (RFC 8259): names and texts in double quotes, a comma between two entries and none behind the last,
no comments, each name once in an object.

It is an error because facts decide how rules are written: half a facts file would describe another host.

```json
{ \"version\": 1, \"default-route\": \"ens33\", }
```

Take the last comma away:

```json
{ \"version\": 1, \"default-route\": \"ens33\" }
```
",
};

/// How deep objects and lists may lie in each other. The schema needs 7.
const DEPTH: usize = 32;

/// The facts of a text, and what is wrong with it. Faulty entries are left out; everything else is read.
#[must_use]
pub fn read(text: &str, file: FileId) -> (Facts, Vec<Diagnostic>) {
    let root = match parse(text) {
        Ok(root) => root,
        Err(fault) => {
            let location = Location { file, span: fault.span };
            let mut diagnostic = Diagnostic::new(&FACTS_SYNTAX, location, fault.message);
            if let Some(help) = fault.help {
                diagnostic = diagnostic.help(help);
            }
            return (Facts::default(), vec![diagnostic]);
        }
    };
    let (facts, mut diagnostics) = decode::facts(&root, file, decode::Form::Strict);
    diagnostics.extend(validate::version(&facts, &root, file));
    diagnostics.extend(validate::validate(&facts, Location { file, span: root.span }));
    (facts, diagnostics)
}

/// What is wrong with a text, and where.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) span: Span,
    pub(super) message: String,
    pub(super) help: Option<&'static str>,
}

/// Reads a text into a tree.
pub(super) fn parse(text: &str) -> Result<Node, Fault> {
    let mut reader = Reader { text, at: 0 };
    // Windows editors put a byte order mark in front; RFC 8259 lets a reader ignore it.
    if text.starts_with('\u{feff}') {
        reader.at = '\u{feff}'.len_utf8();
    }
    let root = reader.value(0)?;
    reader.space();
    if reader.at < text.len() {
        return Err(reader.fault("the facts end here, but the file goes on"));
    }
    Ok(root)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// The character at hand, as a place; at the end of the text an empty one.
    fn here(&self) -> Span {
        Span::new(self.at, self.at + self.rest().chars().next().map_or(0, char::len_utf8))
    }

    fn fault(&self, message: impl Into<String>) -> Fault {
        Fault { span: self.here(), message: message.into(), help: None }
    }

    fn expected(&self, what: &str) -> Fault {
        let help = self.rest().starts_with(['#', '/']).then_some("JSON has no comments; take it out");
        let message = match self.rest().chars().next() {
            None => format!("the file ends where {what} was expected"),
            Some(found) if found.is_control() => {
                format!("expected {what}, found the control character U+{:04X}", u32::from(found))
            }
            Some(found) => format!("expected {what}, found `{found}`"),
        };
        Fault { span: self.here(), message, help }
    }

    fn value(&mut self, depth: usize) -> Result<Node, Fault> {
        self.space();
        let start = self.at;
        let value = match self.peek() {
            Some(b'{' | b'[') if depth >= DEPTH => {
                return Err(self.fault(format!("more than {DEPTH} objects and lists in each other")));
            }
            Some(b'{') => self.map(depth)?,
            Some(b'[') => self.list(depth)?,
            Some(b'"') => Value::Text(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b'a'..=b'z') => self.word()?,
            _ => return Err(self.expected("a value")),
        };
        Ok(Node { span: Span::new(start, self.at), value })
    }

    fn map(&mut self, depth: usize) -> Result<Value, Fault> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen: std::collections::HashMap<Box<str>, Span> = std::collections::HashMap::new();
        self.at += 1;
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Map(entries));
        }
        loop {
            self.space();
            let start = self.at;
            if self.peek() != Some(b'"') {
                let mut fault = self.expected("a name in double quotes");
                if self.peek() == Some(b'}') {
                    fault.help = Some("take the comma before it away");
                }
                return Err(fault);
            }
            let key = self.string()?;
            let key_span = Span::new(start, self.at);
            if seen.insert(key.clone(), key_span).is_some() {
                return Err(Fault {
                    span: key_span,
                    message: format!("`{key}` stands twice in this object"),
                    help: Some("keep one of the two"),
                });
            }
            self.space();
            if self.peek() != Some(b':') {
                return Err(self.expected("`:`"));
            }
            self.at += 1;
            let value = Rc::new(self.value(depth + 1)?);
            entries.push(Entry { key, key_span, value });
            if self.ends(b'}', "`,` or `}`")? {
                return Ok(Value::Map(entries));
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value, Fault> {
        let mut items = Vec::new();
        self.at += 1;
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::List(items));
        }
        loop {
            items.push(Rc::new(self.value(depth + 1)?));
            if self.ends(b']', "`,` or `]`")? {
                return Ok(Value::List(items));
            }
        }
    }

    /// Whether the closing bracket follows; else a comma must.
    fn ends(&mut self, close: u8, what: &str) -> Result<bool, Fault> {
        self.space();
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                Ok(false)
            }
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(true)
            }
            _ => Err(self.expected(what)),
        }
    }

    fn string(&mut self) -> Result<Box<str>, Fault> {
        let start = self.at;
        let mut at = start + 1;
        loop {
            match self.text.as_bytes().get(at) {
                None => {
                    let span = Span::new(start, start + 1);
                    return Err(Fault { span, message: "this text has no closing quote".to_owned(), help: None });
                }
                Some(b'"') => break,
                Some(b'\\') => at += 2,
                Some(_) => at += 1,
            }
        }
        let end = (at + 1).min(self.text.len());
        let written = self.text.get(start..end).unwrap_or("");
        let fault = |_| Fault {
            span: Span::new(start, end),
            message: "this text has an escape or a control character that JSON does not know".to_owned(),
            help: None,
        };
        let text = serde_json::from_str::<String>(written).map_err(fault)?;
        self.at = end;
        Ok(text.into_boxed_str())
    }

    fn number(&mut self) -> Result<Value, Fault> {
        let start = self.at;
        while matches!(self.peek(), Some(b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')) {
            self.at += 1;
        }
        let written = self.text.get(start..self.at).unwrap_or("");
        if serde_json::from_str::<serde_json::Number>(written).is_err() {
            let span = Span::new(start, self.at);
            let help = Some("a text, such as a version, stands in double quotes");
            return Err(Fault { span, message: format!("`{written}` is not a number"), help });
        }
        Ok(Value::Number(written.into()))
    }

    fn word(&mut self) -> Result<Value, Fault> {
        let start = self.at;
        while matches!(self.peek(), Some(b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_')) {
            self.at += 1;
        }
        match self.text.get(start..self.at).unwrap_or("") {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            "null" => Ok(Value::Null),
            other => Err(Fault {
                span: Span::new(start, self.at),
                message: format!("expected a value, found `{}`", super::brief(other)),
                help: Some("a text stands in double quotes"),
            }),
        }
    }
}
