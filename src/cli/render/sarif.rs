//! SARIF 2.1.0, for GitHub's code scanning and other places that collect findings. The standard is OASIS's
//! <https://docs.oasis-open.org/sarif/sarif/v2.1.0/>.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::finding::{Advice, Finding, Region};
use crate::codes;
use crate::diagnostic::{Code, Level};

/// What a path in a URI is written without: everything but RFC 3986's unreserved characters and the slash. A colon in the first
/// part would end a scheme.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// One log with one run. Rules are those that the findings need, in order.
#[must_use]
pub fn render(findings: &[Finding]) -> String {
    let rules: Vec<&Code> =
        codes::all().into_iter().filter(|code| findings.iter().any(|one| one.code == *code)).collect();
    let results: Vec<Value> = findings.iter().map(|one| result(one, &rules)).collect();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "fwc",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules.iter().map(|code| rule(code)).collect::<Vec<_>>(),
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    serde_json::to_string_pretty(&log).unwrap_or_default() + "\n"
}

fn level(level: Level) -> &'static str {
    codes::level_name(level)
}

fn rule(code: &Code) -> Value {
    let page = codes::page(code);
    let severity = if code.level == Level::Note { "recommendation" } else { level(code.level) };
    json!({
        "id": code.number,
        "name": code.name,
        "shortDescription": { "text": code.summary },
        "help": { "text": page, "markdown": page },
        "defaultConfiguration": { "level": level(code.level) },
        "properties": { "tags": ["firewall"], "precision": "very-high", "problem.severity": severity },
    })
}

fn result(finding: &Finding, rules: &[&Code]) -> Value {
    let mut text = finding.message.clone();
    for help in &finding.helps {
        text = format!("{text}\n{}", help.message);
    }
    let related: Vec<Value> = (1..)
        .zip(&finding.related)
        .map(|(id, (region, label))| json!({ "id": id, "message": { "text": label }, "physicalLocation": place(region) }))
        .collect();
    let fixes: Vec<Value> = finding.helps.iter().filter(|help| !help.edits.is_empty()).map(fix).collect();
    let mut result = json!({
        "ruleId": finding.code.number,
        "ruleIndex": rules.iter().position(|code| *code == finding.code),
        "level": level(finding.level),
        "message": { "text": text },
        "locations": [{ "physicalLocation": place(&finding.region) }],
        "partialFingerprints": { "fwc/v1": finding.fingerprint },
    });
    if let Some(object) = result.as_object_mut() {
        if !related.is_empty() {
            object.insert("relatedLocations".to_owned(), related.into());
        }
        if !fixes.is_empty() {
            object.insert("fixes".to_owned(), fixes.into());
        }
    }
    result
}

fn fix(help: &Advice) -> Value {
    let mut changes: Vec<(&Region, Vec<Value>)> = Vec::new();
    for (region, text) in &help.edits {
        let replacement = json!({ "deletedRegion": part(region), "insertedContent": { "text": text } });
        match changes.iter_mut().find(|(known, _)| known.path == region.path) {
            Some((_, list)) => list.push(replacement),
            None => changes.push((region, vec![replacement])),
        }
    }
    let changes: Vec<Value> = changes
        .into_iter()
        .map(|(region, list)| json!({ "artifactLocation": artifact(region), "replacements": list }))
        .collect();
    json!({ "description": { "text": help.message }, "artifactChanges": changes })
}

fn place(region: &Region) -> Value {
    json!({ "artifactLocation": artifact(region), "region": part(region) })
}

fn artifact(region: &Region) -> Value {
    let uri = utf8_percent_encode(&region.path, PATH).to_string();
    if region.path.starts_with('/') {
        json!({ "uri": format!("file://{uri}") })
    } else {
        json!({ "uri": uri, "uriBaseId": "%SRCROOT%" })
    }
}

fn part(region: &Region) -> Value {
    json!({
        "startLine": region.start.line,
        "startColumn": region.start.letter,
        "endLine": region.end.line,
        "endColumn": region.end.letter,
        "byteOffset": region.offset,
        "byteLength": region.length,
    })
}
