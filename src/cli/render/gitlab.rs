//! GitLab's code quality report. <https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format>

use serde_json::{Value, json};

use super::finding::Finding;
use crate::diagnostic::Level;

/// One array with all findings.
#[must_use]
pub fn render(findings: &[Finding]) -> String {
    let issues: Vec<Value> = findings
        .iter()
        .map(|finding| {
            json!({
                "description": finding.message,
                "check_name": format!("{} {}", finding.code.number, finding.code.name),
                "fingerprint": finding.fingerprint,
                "severity": severity(finding.level),
                "location": {
                    "path": &*finding.region.path,
                    "lines": { "begin": finding.region.start.line, "end": finding.region.end.line },
                },
            })
        })
        .collect();
    serde_json::to_string_pretty(&issues).unwrap_or_default() + "\n"
}

/// GitLab's own order is info, minor, major, critical, blocker.
fn severity(level: Level) -> &'static str {
    match level {
        Level::Error => "critical",
        Level::Warning => "major",
        Level::Note => "info",
    }
}
