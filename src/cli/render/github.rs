//! Annotations on GitHub: commands for its runner, one a line.
//! <https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions>

use std::fmt::Write as _;

use super::finding::Finding;
use super::harmless;
use crate::diagnostic::Level;

/// One command for each finding.
#[must_use]
pub fn render(findings: &[Finding]) -> String {
    let mut out = String::new();
    for finding in findings {
        let word = match finding.level {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Note => "notice",
        };
        let region = &finding.region;
        let _ = write!(out, "::{word} file={},line={}", property(&region.path), region.start.line);
        // The runner takes columns on one line only.
        if region.end.line == region.start.line {
            let _ = write!(out, ",col={},endColumn={}", region.start.letter, region.end.letter);
        } else {
            let _ = write!(out, ",endLine={}", region.end.line);
        }
        let title = format!("{} {}", finding.code.number, finding.code.name);
        let _ = writeln!(out, ",title={}::{}", property(&title), data(&harmless(&finding.whole())));
    }
    out
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
