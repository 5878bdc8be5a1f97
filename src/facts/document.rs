//! A JSON or YAML document with the place of every value, before anything is known about what it means.

use std::rc::Rc;

use crate::span::Span;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where.
    pub span: Span,
    /// What.
    pub value: Value,
}

/// A value. Parts are shared, because a YAML alias is the same value in another place.
#[derive(Clone, Debug)]
pub enum Value {
    /// `null`, or nothing.
    Null,
    /// `true` or `false`, in JSON alone: YAML's scalars are texts until somebody asks for more.
    Bool(bool),
    /// A number as written, in JSON alone.
    Number(Box<str>),
    /// A text.
    Text(Box<str>),
    /// A list.
    List(Vec<Rc<Node>>),
    /// An object; keys are unique.
    Map(Vec<Entry>),
}

/// One entry of an object.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name.
    pub key: Box<str>,
    /// Where the name stands.
    pub key_span: Span,
    /// Its value.
    pub value: Rc<Node>,
}

impl Node {
    /// The entry of that name, if this is an object that has one.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| &*entry.key == key)
    }

    /// The value of that name, unless it is absent or null.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Rc<Self>> {
        self.entry(key).map(|entry| &entry.value).filter(|node| !matches!(node.value, Value::Null))
    }

    /// The entries of an object; of anything else none.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// What it is, in words.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "`true` or `false`",
            Value::Number(_) => "a number",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "an object",
        }
    }
}
