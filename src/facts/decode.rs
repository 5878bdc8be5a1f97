//! From a document to facts. The schema is serde's, so that what is read is what is written; every fault gets its place, and a
//! faulty entry is left out and the rest read again, so that five faults give five diagnostics.

use std::collections::HashSet;
use std::fmt;

use serde::de::{self, DeserializeOwned, IntoDeserializer};

use super::document::{Entry, Node, Value};
use super::{Facts, brief};
use crate::diagnostic::{Code, Diagnostic, Level};
use crate::names::closest;
use crate::span::{FileId, Location, Span};

/// The schema has no such name.
pub static UNKNOWN_FACT: Code = Code {
    number: "FW0402",
    name: "unknown-fact",
    level: Level::Error,
    summary: "a fact has a name that the schema does not know",
    explanation: "\
Facts have fixed names, in kebab case: `docs/facts.md` lists them. A name that is not among them is an error, because a fact
that is misspelt would be a fact that is not known, and the build would quietly be another.

```json
{ \"version\": 1, \"docker\": { \"userland_proxy\": false } }
```

Write the name as the schema has it:

```json
{ \"version\": 1, \"docker\": { \"userland-proxy\": false } }
```
",
};

/// The value has another type than the schema says.
pub static WRONG_FACT: Code = Code {
    number: "FW0403",
    name: "wrong-fact-type",
    level: Level::Error,
    summary: "a fact has a value of the wrong type",
    explanation: "\
Each fact has a type: a text in quotes, a number, `true` or `false`, an address, a list in brackets, an object in braces.

```json
{ \"version\": 1, \"docker\": { \"version\": 28.5 } }
```

A version is a text, since 28.10 is not 28.1:

```json
{ \"version\": 1, \"docker\": { \"version\": \"28.5\" } }
```
",
};

/// How exact a document must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A JSON file: types as the schema has them.
    Strict,
    /// A `fact` statement: a word or number where a text is asked for, and one value for a list of one.
    Statement,
}

/// At most so many faults are told about: behind them the file is something else.
const FAULTS: usize = 50;

/// The facts that a document holds, with their places, and its faults.
pub(super) fn facts(root: &Node, file: FileId, form: Form) -> (Facts, Vec<Diagnostic>) {
    let (facts, skipped, diagnostics) = decode::<Facts>(root, file, form);
    let mut facts = facts.unwrap_or_default();
    locate(&mut facts, root, &skipped, file);
    (facts, diagnostics)
}

fn decode<T: DeserializeOwned>(root: &Node, file: FileId, form: Form) -> (Option<T>, HashSet<Span>, Vec<Diagnostic>) {
    let mut skipped = HashSet::new();
    let mut diagnostics = Vec::new();
    loop {
        match T::deserialize(Reader { node: root, skipped: &skipped, form }) {
            Ok(value) => return (Some(value), skipped, diagnostics),
            Err(fault) => {
                let span = fault.span.unwrap_or(root.span);
                if !fault.told {
                    diagnostics.push(fault.diagnostic(Location { file, span }));
                }
                // Leaving the root out leaves nothing; the same place twice would never end.
                if span == root.span || !skipped.insert(span) || diagnostics.len() >= FAULTS {
                    return (None, skipped, diagnostics);
                }
            }
        }
    }
}

/// Fills the places in: of every fact by its path, of networks, containers and published ports beside them.
fn locate(facts: &mut Facts, root: &Node, skipped: &HashSet<Span>, file: FileId) {
    let mut walk = vec![(String::new(), root)];
    while let Some((path, node)) = walk.pop() {
        for entry in kept(node.entries(), skipped) {
            let path = if path.is_empty() { entry.key.to_string() } else { format!("{path}.{}", entry.key) };
            let nested = matches!(entry.value.value, Value::Map(_));
            let span = if nested { entry.key_span } else { entry.value.span };
            if nested {
                walk.push((path.clone(), &entry.value));
            }
            facts.sources.insert(path, Location { file, span });
        }
    }
    if let Some(Value::List(items)) = root.get("counters").map(|node| &node.value) {
        let items = items.iter().filter(|item| !skipped.contains(&item.span));
        for (counter, item) in facts.counters.iter_mut().zip(items) {
            counter.location = Some(Location { file, span: item.span });
        }
    }
    let places = |networks: &mut std::collections::BTreeMap<String, super::DockerNetwork>,
                  containers: &mut std::collections::BTreeMap<String, super::DockerContainer>,
                  node: &Node| {
        for entry in node.get("networks").map_or(&[][..], |node| node.entries()) {
            if let Some(network) = networks.get_mut(&*entry.key) {
                network.location = Some(Location { file, span: entry.key_span });
            }
        }
        for entry in node.get("containers").map_or(&[][..], |node| node.entries()) {
            let Some(container) = containers.get_mut(&*entry.key) else { continue };
            container.location = Some(Location { file, span: entry.key_span });
            if let Some(Value::List(items)) = entry.value.get("ports").map(|node| &node.value) {
                let items = items.iter().filter(|item| !skipped.contains(&item.span));
                for (port, item) in container.ports.iter_mut().zip(items) {
                    port.location = Some(Location { file, span: item.span });
                }
            }
        }
    };
    if let (Some(docker), Some(node)) = (&mut facts.docker, root.get("docker")) {
        places(&mut docker.networks, &mut docker.containers, node);
    }
    if let (Some(podman), Some(node)) = (&mut facts.podman, root.get("podman")) {
        places(&mut podman.networks, &mut podman.containers, node);
    }
}

/// The entries that had no fault.
fn kept<'a>(entries: &'a [Entry], skipped: &'a HashSet<Span>) -> impl Iterator<Item = &'a Entry> {
    entries.iter().filter(|entry| !skipped.contains(&entry.key_span) && !skipped.contains(&entry.value.span))
}

#[derive(Debug)]
struct Fault {
    span: Option<Span>,
    message: String,
    unknown: Option<Unknown>,
    /// A field that has to be there.
    missing: Option<&'static str>,
    /// It is missing because its value was faulty, which has been told.
    told: bool,
}

/// A name that the schema does not have, and those that it has there.
#[derive(Debug)]
struct Unknown {
    name: String,
    known: &'static [&'static str],
    value: bool,
}

impl Fault {
    /// The address types' own messages do not say what they could not read.
    fn about(self, text: &str) -> Self {
        if self.message.contains('`') {
            return self;
        }
        Self { message: format!("`{}`: {}", brief(text), self.message), ..self }
    }

    fn new(message: String) -> Self {
        Self { span: None, message, unknown: None, missing: None, told: false }
    }

    fn at(mut self, span: Span) -> Self {
        self.span.get_or_insert(span);
        self
    }

    fn diagnostic(self, location: Location) -> Diagnostic {
        let Some(unknown) = self.unknown else {
            return Diagnostic::new(&WRONG_FACT, location, self.message);
        };
        let code = if unknown.value { &WRONG_FACT } else { &UNKNOWN_FACT };
        let diagnostic = Diagnostic::new(code, location, self.message);
        let known = unknown.known.iter().map(|known| format!("`{known}`")).collect::<Vec<_>>().join(", ");
        match closest(&unknown.name, unknown.known.iter().copied()) {
            Some(near) => diagnostic.fix(format!("write `{near}`"), location, format!("\"{near}\"")),
            None if known.is_empty() => diagnostic,
            None => diagnostic.help(format!("known here: {known}")),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

/// What serde calls a type, in the words of the person who writes the file.
fn words(expected: &dyn de::Expected) -> String {
    let expected = expected.to_string();
    match expected.as_str() {
        "a boolean" => "`true` or `false`".to_owned(),
        "a string" | "a borrowed string" => "a text in quotes".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "an object".to_owned(),
        "u16" => "a number from 0 to 65535".to_owned(),
        "u32" => "a whole number".to_owned(),
        "u64" => format!("a whole number from 0 to {}", u64::MAX),
        other if other.starts_with("struct ") => "an object".to_owned(),
        other if other.contains("network address") => "an address and a prefix length such as `10.0.0.0/8`".to_owned(),
        other if other.to_lowercase().contains("ip address") => "an IP address".to_owned(),
        _ => expected,
    }
}

fn found(unexpected: &de::Unexpected<'_>) -> String {
    match unexpected {
        de::Unexpected::Bool(value) => format!("`{value}`"),
        de::Unexpected::Unsigned(value) => format!("the number `{value}`"),
        de::Unexpected::Signed(value) => format!("the number `{value}`"),
        de::Unexpected::Float(value) => format!("the number `{value}`"),
        de::Unexpected::Str(value) => format!("the text `{}`", brief(value)),
        de::Unexpected::Unit | de::Unexpected::Option => "`null`".to_owned(),
        de::Unexpected::Seq => "a list".to_owned(),
        de::Unexpected::Map => "an object".to_owned(),
        other => other.to_string(),
    }
}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn invalid_type(unexpected: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(format!("expected {}, found {}", words(expected), found(&unexpected)))
    }

    fn invalid_value(unexpected: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::invalid_type(unexpected, expected)
    }

    fn missing_field(field: &'static str) -> Self {
        Self { missing: Some(field), ..Self::new(format!("`{field}` is missing here")) }
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let unknown = Unknown { name: field.to_owned(), known: expected, value: false };
        Self { unknown: Some(unknown), ..Self::new(format!("there is no fact `{}` here", brief(field))) }
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let unknown = Unknown { name: variant.to_owned(), known: expected, value: true };
        let message = format!("`{}` is none of the values that this fact can have", brief(variant));
        Self { unknown: Some(unknown), ..Self::new(message) }
    }
}

/// Reads one node as serde asks for it.
#[derive(Clone, Copy)]
struct Reader<'a> {
    node: &'a Node,
    skipped: &'a HashSet<Span>,
    form: Form,
}

impl<'a> Reader<'a> {
    fn of(self, node: &'a Node) -> Self {
        Self { node, ..self }
    }

    /// The text that a word or number in a statement stands for.
    fn plain(self) -> Option<String> {
        match (&self.node.value, self.form) {
            (Value::Number(written), Form::Statement) => Some(written.to_string()),
            (Value::Bool(value), Form::Statement) => Some(value.to_string()),
            _ => None,
        }
    }

    fn any<V: de::Visitor<'a>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(written) => {
                if let Ok(number) = written.parse::<u64>() {
                    visitor.visit_u64(number)
                } else if let Ok(number) = written.parse::<i64>() {
                    visitor.visit_i64(number)
                } else {
                    visitor.visit_f64(written.parse().map_err(<Fault as de::Error>::custom)?)
                }
            }
            Value::Text(text) => visitor.visit_str(text).map_err(|fault: Fault| fault.about(text)),
            Value::List(items) => {
                let items = items.iter().filter(|item| !self.skipped.contains(&item.span));
                visitor.visit_seq(Items { reader: self, items: Box::new(items.map(AsRef::as_ref)) })
            }
            Value::Map(entries) => {
                let entries = Box::new(kept(entries, self.skipped));
                visitor.visit_map(Entries { reader: self, entries, value: None })
            }
        }
    }
}

impl<'de> de::Deserializer<'de> for Reader<'de> {
    type Error = Fault;

    fn deserialize_any<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.any(visitor).map_err(|fault| {
            // A fault without a place is of this very node.
            let own = fault.missing.filter(|_| fault.span.is_none()).and_then(|field| self.node.entry(field));
            let told = fault.told || own.is_some_and(|entry| self.skipped.contains(&entry.value.span));
            Fault { told, ..fault }.at(self.node.span)
        })
    }

    fn deserialize_option<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.node.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_str<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.plain() {
            Some(text) => visitor.visit_str(&text).map_err(|fault: Fault| fault.about(&text).at(self.node.span)),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_seq<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match (&self.node.value, self.form) {
            (Value::Text(_) | Value::Number(_), Form::Statement) => {
                visitor.visit_seq(Items { reader: self, items: Box::new(std::iter::once(self.node)) })
            }
            _ => self.deserialize_any(visitor),
        }
    }

    /// serde would take a list for an object, its items for the fields in order. Nobody means that.
    fn deserialize_struct<V: de::Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.node.value {
            Value::List(_) => Err(Fault::new("expected an object, found a list".to_owned()).at(self.node.span)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: de::Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let result = match &self.node.value {
            Value::Text(text) => visitor.visit_enum((&**text).into_deserializer()),
            _ => {
                return Err(
                    Fault::new(format!("expected a text in quotes, found {}", self.node.kind())).at(self.node.span)
                );
            }
        };
        result.map_err(|fault: Fault| fault.at(self.node.span))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct newtype_struct tuple
        tuple_struct map identifier ignored_any
    }
}

struct Items<'a> {
    reader: Reader<'a>,
    items: Box<dyn Iterator<Item = &'a Node> + 'a>,
}

impl<'a> de::SeqAccess<'a> for Items<'a> {
    type Error = Fault;

    fn next_element_seed<T: de::DeserializeSeed<'a>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        self.items.next().map(|node| seed.deserialize(self.reader.of(node))).transpose()
    }
}

struct Entries<'a> {
    reader: Reader<'a>,
    entries: Box<dyn Iterator<Item = &'a Entry> + 'a>,
    value: Option<&'a Node>,
}

impl<'a> de::MapAccess<'a> for Entries<'a> {
    type Error = Fault;

    fn next_key_seed<K: de::DeserializeSeed<'a>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        let Some(entry) = self.entries.next() else { return Ok(None) };
        self.value = Some(&entry.value);
        let key: de::value::StrDeserializer<'_, Fault> = (&*entry.key).into_deserializer();
        seed.deserialize(key).map(Some).map_err(|fault| fault.at(entry.key_span))
    }

    fn next_value_seed<V: de::DeserializeSeed<'a>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        match self.value.take() {
            Some(node) => seed.deserialize(self.reader.of(node)),
            None => Err(Fault::new("a value without a name".to_owned())),
        }
    }
}
