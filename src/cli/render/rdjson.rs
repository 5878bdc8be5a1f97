//! Reviewdog's diagnostic format. <https://github.com/reviewdog/reviewdog/tree/master/proto/rdf>

use serde_json::{Value, json};

use super::finding::{Finding, Position, Region};
use crate::diagnostic::Level;

/// One object with all findings.
#[must_use]
pub fn render(findings: &[Finding]) -> String {
    let diagnostics: Vec<Value> = findings.iter().map(diagnostic).collect();
    let object = json!({ "source": { "name": "fwc" }, "diagnostics": diagnostics });
    serde_json::to_string_pretty(&object).unwrap_or_default() + "\n"
}

fn diagnostic(finding: &Finding) -> Value {
    // A suggestion has no path of its own and stands alone: what takes two edits, or one elsewhere, is told in words.
    let suggestions: Vec<Value> = finding
        .helps
        .iter()
        .filter_map(|help| match help.edits.as_slice() {
            [(region, text)] if region.path == finding.region.path => {
                Some(json!({ "range": range(region), "text": text }))
            }
            _ => None,
        })
        .collect();
    let related: Vec<Value> = finding
        .related
        .iter()
        .map(|(region, label)| json!({ "message": label, "location": location(region) }))
        .collect();
    let words: Vec<&str> = std::iter::once(&finding.message)
        .chain(finding.helps.iter().map(|help| &help.message))
        .map(String::as_str)
        .collect();
    json!({
        "message": words.join("\n"),
        "location": location(&finding.region),
        "severity": severity(finding.level),
        "code": { "value": finding.code.number },
        "suggestions": suggestions,
        "related_locations": related,
    })
}

fn severity(level: Level) -> &'static str {
    match level {
        Level::Error => "ERROR",
        Level::Warning => "WARNING",
        Level::Note => "INFO",
    }
}

fn location(region: &Region) -> Value {
    json!({ "path": &*region.path, "range": range(region) })
}

fn range(region: &Region) -> Value {
    let position = |at: Position| json!({ "line": at.line, "column": at.byte });
    json!({ "start": position(region.start), "end": position(region.end) })
}
