//! Reads YAML into a document: anchors, aliases and merge keys are resolved, every scalar is a text. What a hostile file could
//! blow up is bounded: depth, the number of values, and copies made by merge keys (aliases share, and cost nothing).

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError};

use super::document::{Entry, Node, Value};
use crate::span::Span;

/// How deep lists and mappings may lie in each other.
const DEPTH: usize = 64;
/// How many values a file may have.
const VALUES: usize = 500_000;
/// How many entries merge keys may copy.
const COPIES: usize = 100_000;

/// What is wrong with a text, and where.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) span: Span,
    pub(super) message: String,
    pub(super) help: Option<&'static str>,
    /// Not wrong, but more than is read.
    pub(super) too_large: bool,
}

impl Fault {
    fn new(span: Span, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), help: None, too_large: false }
    }

    fn large(span: Span, message: impl Into<String>) -> Self {
        Self { too_large: true, ..Self::new(span, message) }
    }

    fn help(self, help: &'static str) -> Self {
        Self { help: Some(help), ..self }
    }
}

/// Reads the first document of a text; `None`: there is nothing in it.
pub(super) fn parse(text: &str) -> Result<Option<Rc<Node>>, Fault> {
    // The scanner takes a NUL for the end of the text: what stands behind it would be lost without a word.
    if let Some(at) = text.find('\0') {
        return Err(Fault::new(Span::new(at, at + 1), "a NUL byte").help("YAML cannot have one: is this a text file?"));
    }
    brackets(text)?;
    let offsets = Offsets::new(text);
    let mut builder = Builder { open: Vec::new(), anchors: HashMap::new(), values: 0, copies: 0, root: None };
    let mut documents = 0;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| scan_fault(&error, &offsets))?;
        let span = offsets.span(span);
        match event {
            Event::DocumentStart(_) => {
                documents += 1;
                if documents > 1 {
                    let fault = Fault::new(span, "a second document begins here");
                    return Err(fault.help("a compose file has one; put the other into a file of its own"));
                }
            }
            Event::Alias(id) => {
                let Some(node) = builder.anchors.get(&id).cloned() else {
                    return Err(Fault::new(span, "an alias for an anchor that is not there, or not yet complete"));
                };
                builder.add(node, span)?;
            }
            Event::Scalar(text, style, anchor, _) => {
                let null = style == ScalarStyle::Plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                let value = if null { Value::Null } else { Value::Text(text.into()) };
                let node = Rc::new(Node { span, value });
                builder.anchor(anchor, &node);
                builder.add(node, span)?;
            }
            Event::SequenceStart(anchor, _) => builder.open(span, anchor, Part::List(Vec::new()))?,
            Event::MappingStart(anchor, _) => builder.open(span, anchor, Part::Map(Mapping::default()))?,
            Event::SequenceEnd | Event::MappingEnd => builder.close(span)?,
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
    }
    Ok(builder.root)
}

fn scan_fault(error: &ScanError, offsets: &Offsets) -> Fault {
    let at = offsets.byte(error.marker().index());
    Fault::new(Span::new(at, at), format!("not YAML: {}", super::brief(error.info())))
}

/// Refuses flow brackets that lie too deep before the scanner sees them: it looks back over all open ones at every bracket.
/// Counts brackets in texts and comments, too, and so refuses earlier than it must, which no real file notices.
fn brackets(text: &str) -> Result<(), Fault> {
    let mut depth = 0usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > 1000 {
            return Err(Fault::large(Span::new(at, at + 1), "more than 1000 brackets are open here"));
        }
    }
    Ok(())
}

/// From the scanner's character counts to bytes.
struct Offsets {
    /// Byte of every character; empty where each has one byte.
    bytes: Vec<u32>,
    length: usize,
}

impl Offsets {
    fn new(text: &str) -> Self {
        let bytes = if text.is_ascii() {
            Vec::new()
        } else {
            text.char_indices().map(|(at, _)| u32::try_from(at).unwrap_or(u32::MAX)).collect()
        };
        Self { bytes, length: text.len() }
    }

    fn byte(&self, character: usize) -> usize {
        match self.bytes.get(character) {
            Some(&byte) => byte as usize,
            None if self.bytes.is_empty() => character.min(self.length),
            None => self.length,
        }
    }

    fn span(&self, span: saphyr_parser::Span) -> Span {
        Span::new(self.byte(span.start.index()), self.byte(span.end.index()))
    }
}

/// A list or mapping that is not complete.
struct Open {
    span: Span,
    anchor: usize,
    part: Part,
}

enum Part {
    List(Vec<Rc<Node>>),
    Map(Mapping),
}

#[derive(Default)]
struct Mapping {
    entries: Vec<Entry>,
    keys: HashSet<Box<str>>,
    /// The key whose value comes next.
    key: Option<(Box<str>, Span)>,
    /// What `<<` names, in order.
    merged: Vec<Rc<Node>>,
}

struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, Rc<Node>>,
    values: usize,
    copies: usize,
    root: Option<Rc<Node>>,
}

impl Builder {
    fn anchor(&mut self, anchor: usize, node: &Rc<Node>) {
        // The parser numbers anchors from 1; 0 is none.
        if anchor > 0 {
            self.anchors.insert(anchor, Rc::clone(node));
        }
    }

    fn open(&mut self, span: Span, anchor: usize, part: Part) -> Result<(), Fault> {
        if self.open.len() >= DEPTH {
            return Err(Fault::large(span, format!("more than {DEPTH} lists and mappings in each other")));
        }
        self.open.push(Open { span, anchor, part });
        Ok(())
    }

    fn close(&mut self, end: Span) -> Result<(), Fault> {
        let Some(Open { span, anchor, part }) = self.open.pop() else { return Ok(()) };
        let value = match part {
            Part::List(items) => Value::List(items),
            Part::Map(mapping) => Value::Map(self.merge(mapping)?),
        };
        let last = match &value {
            Value::List(items) => items.last().map(|item| item.span),
            Value::Map(entries) => entries.iter().map(|entry| entry.value.span).max_by_key(|span| span.end),
            _ => None,
        };
        // A block has no closing bracket: its end is reported where the next thing begins, lines below. Its last part says
        // better where it ends, unless that part was merged or aliased and stands elsewhere.
        let end = match last {
            Some(last) if end.start == end.end && last.start >= span.start && last.end <= end.end => last.end,
            _ => end.end,
        };
        let node = Rc::new(Node { span: Span { start: span.start, end: end.max(span.end) }, value });
        self.anchor(anchor, &node);
        let span = node.span;
        self.add(node, span)
    }

    /// Puts a complete value where it belongs. `span` is where it is written, which for an alias is not where it stands.
    fn add(&mut self, node: Rc<Node>, span: Span) -> Result<(), Fault> {
        self.values += 1;
        if self.values > VALUES {
            return Err(Fault::large(span, format!("more than {VALUES} values")));
        }
        match self.open.last_mut().map(|open| &mut open.part) {
            None => self.root = Some(node),
            Some(Part::List(items)) => items.push(node),
            Some(Part::Map(mapping)) => match mapping.key.take() {
                None => {
                    let key: Box<str> = match &node.value {
                        Value::Text(text) => text.clone(),
                        Value::Null => "null".into(),
                        _ => return Err(Fault::new(span, "a list or mapping as a key").help("a key is a text")),
                    };
                    mapping.key = Some((key, span));
                }
                Some((key, _)) if &*key == "<<" => match &node.value {
                    Value::List(items) => mapping.merged.extend(items.iter().cloned()),
                    _ => mapping.merged.push(node),
                },
                Some((key, key_span)) => {
                    if !mapping.keys.insert(key.clone()) {
                        let fault =
                            Fault::new(key_span, format!("`{}` stands twice in this mapping", super::brief(&key)));
                        return Err(fault.help("keep one of the two"));
                    }
                    mapping.entries.push(Entry { key, key_span, value: node });
                }
            },
        }
        Ok(())
    }

    /// Adds what `<<` brings: keys that the mapping does not have itself, those of the first named mapping before the others'.
    fn merge(&mut self, mapping: Mapping) -> Result<Vec<Entry>, Fault> {
        let Mapping { mut entries, mut keys, merged, .. } = mapping;
        for node in merged {
            let Value::Map(others) = &node.value else {
                return Err(Fault::new(node.span, "`<<` takes a mapping or a list of mappings"));
            };
            for entry in others {
                self.copies += 1;
                if self.copies > COPIES {
                    return Err(Fault::large(node.span, format!("merge keys copy more than {COPIES} entries")));
                }
                if keys.insert(entry.key.clone()) {
                    entries.push(entry.clone());
                }
            }
        }
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Rc<Node> {
        parse(text).unwrap_or_else(|fault| panic!("{}: {text}", fault.message)).expect("a document")
    }

    fn scalar<'a>(node: &'a Node, path: &[&str]) -> &'a str {
        match path {
            [] => match &node.value {
                Value::Text(text) => text,
                other => panic!("{other:?}"),
            },
            [key, rest @ ..] => scalar(node.get(key).unwrap_or_else(|| panic!("no {key}")), rest),
        }
    }

    #[test]
    fn anchors_aliases_and_merge_keys() {
        let text = "base: &base { a: 1, b: 2 }\nother: &other\n  b: 3\n  c: 4\nboth:\n  <<: [*base, *other]\n  a: 5\nsame: *base\n";
        let root = tree(text);
        assert_eq!(scalar(&root, &["both", "a"]), "5");
        assert_eq!(scalar(&root, &["both", "b"]), "2");
        assert_eq!(scalar(&root, &["both", "c"]), "4");
        assert_eq!(scalar(&root, &["same", "b"]), "2");
    }

    #[test]
    fn spans_are_bytes() {
        let text = "ä: \"ö\"\nports:\n  - \"80:80\"\n  - 81:81\nlast: x\n";
        let root = tree(text);
        let Value::List(ports) = &root.get("ports").expect("ports").value else { panic!() };
        assert_eq!(&text[ports[0].span.range()], "\"80:80\"");
        assert_eq!(&text[ports[1].span.range()], "81:81");
        assert_eq!(&text[root.entry("ports").expect("ports").key_span.range()], "ports");
        let list = &root.get("ports").expect("ports").span;
        assert!(text[list.range()].trim_end().ends_with("81:81"), "{:?}", &text[list.range()]);
    }

    #[test]
    fn hostile_texts_are_refused_in_bounded_time() {
        let mut laughs = "a0: &a0 [x]\n".to_owned();
        for level in 1..40 {
            let before = level - 1;
            laughs.push_str(&format!("a{level}: &a{level} [*a{before}, *a{before}, *a{before}, *a{before}]\n"));
        }
        assert!(parse(&laughs).is_ok(), "aliases are shared, not copied");
        let mut merges = "a0: &a0 { k0: x }\n".to_owned();
        for level in 1..1000 {
            merges.push_str(&format!("a{level}: &a{level}\n  <<: *a{}\n  k{level}: x\n", level - 1));
        }
        assert!(parse(&merges).is_err_and(|fault| fault.too_large));
        for text in ["[".repeat(100_000), "{a: ".repeat(100_000), "- ".repeat(100_000), "? ".repeat(100_000)] {
            assert!(parse(&text).is_err());
        }
        assert!(parse("services:\0\n  a: b").is_err());
        assert!(parse("a: *a").is_err());
        assert!(parse("a: &a [*a]").is_err());
        assert!(parse("a: 1\na: 2\n").is_err());
        assert!(parse("").is_ok_and(|root| root.is_none()));
    }
}
