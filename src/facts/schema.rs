//! Keeps `docs/facts.schema.json`, and the field lists and the example of `docs/facts.md`, true. With `FWC_UPDATE=1` in the
//! environment the files are written; without, the tests fail when they are stale.

use std::fmt::Write as _;

use serde_json::Value;

use super::{Facts, json};
use crate::span::FileId;

const BEGIN: &str = "<!-- fields: generated from the schema -->\n";
const END: &str = "<!-- end of fields -->\n";

fn docs(name: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)
}

fn schema() -> Value {
    let mut schema = serde_json::to_value(schemars::schema_for!(Facts)).expect("schema");
    schema["title"] = "fwc.facts.json".into();
    schema
}

fn keep(name: &str, expected: &str) {
    let path = docs(name);
    if std::env::var_os("FWC_UPDATE").is_some() {
        std::fs::write(&path, expected).expect("write");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "docs/{name} is stale: run `FWC_UPDATE=1 cargo test --lib facts::schema`");
}

#[test]
fn the_json_schema_is_current() {
    keep("facts.schema.json", &format!("{}\n", serde_json::to_string_pretty(&schema()).expect("text")));
}

/// What a field holds, in words.
fn kind(field: &Value, definitions: &Value) -> String {
    if let Some(reference) = field["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap_or_default();
        let target = &definitions[name];
        let constants = |list: &Value| -> Vec<String> {
            list.as_array()
                .into_iter()
                .flatten()
                .map(|one| one.get("const").unwrap_or(one))
                .filter_map(|one| one.as_str().map(str::to_owned).or(one.as_bool().map(|value| value.to_string())))
                .map(|text| format!("`{text}`"))
                .collect()
        };
        let mut values = constants(&target["oneOf"]);
        values.extend(constants(&target["enum"]));
        return if values.is_empty() { format!("[object](#{})", name.to_lowercase()) } else { values.join(" or ") };
    }
    if let Some(choices) = field["anyOf"].as_array() {
        return choices.iter().find(|one| one["type"] != "null").map_or_else(String::new, |one| kind(one, definitions));
    }
    let name = match &field["type"] {
        Value::Array(types) => types.iter().find_map(|one| one.as_str().filter(|one| *one != "null")),
        one => one.as_str(),
    };
    match name.unwrap_or_default() {
        "boolean" => "true or false".to_owned(),
        "integer" => "number".to_owned(),
        "array" => format!("list of {}", kind(&field["items"], definitions)),
        "object" => format!("by name: {}", kind(&field["additionalProperties"], definitions)),
        "string" if field["format"] == "ip" => "address".to_owned(),
        _ => "text".to_owned(),
    }
}

fn fields() -> String {
    let schema = schema();
    let definitions = &schema["$defs"];
    let mut out = String::new();
    let mut section = |title: &str, object: &Value| {
        let Some(properties) = object["properties"].as_object() else { return };
        let description = object["description"].as_str().unwrap_or_default().replace('\n', " ");
        let _ = write!(out, "### {title}\n\n{description}\n\n| field | holds | meaning |\n|---|---|---|\n");
        for (name, field) in properties {
            let meaning = field["description"].as_str().unwrap_or_default().replace('\n', " ").replace('|', "\\|");
            let _ = writeln!(out, "| `{name}` | {} | {meaning} |", kind(field, definitions));
        }
        out.push('\n');
    };
    section("Facts", &schema);
    for (name, object) in definitions.as_object().expect("definitions") {
        section(name, object);
    }
    out
}

#[test]
fn the_field_lists_are_current() {
    let text = std::fs::read_to_string(docs("facts.md")).expect("docs/facts.md");
    let (before, rest) = text.split_once(BEGIN).expect("begin");
    let (_, after) = rest.split_once(END).expect("end");
    keep("facts.md", &format!("{before}{BEGIN}\n{}{END}{after}", fields()));
}

#[test]
fn the_example_is_read_and_uses_every_field() {
    let text = std::fs::read_to_string(docs("facts.md")).expect("docs/facts.md");
    let example = text.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let (facts, diagnostics) = json::read(example, FileId(0));
    assert_eq!(diagnostics, [], "{example}");
    let schema = schema();
    let objects = schema["$defs"].as_object().into_iter().flatten().map(|(_, object)| object).chain([&schema]);
    for name in objects.filter_map(|object| object["properties"].as_object()).flat_map(|properties| properties.keys()) {
        assert!(example.contains(&format!("\"{name}\":")), "the example does not show `{name}`");
    }
    // What is written again is the same.
    let written = serde_json::to_string_pretty(&facts).expect("text");
    let (again, diagnostics) = json::read(&written, FileId(0));
    assert_eq!(diagnostics, []);
    assert_eq!(serde_json::to_value(&again).expect("value"), serde_json::to_value(&facts).expect("value"));
}
