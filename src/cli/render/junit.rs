//! JUnit's XML, as Jenkins reads it: a suite for each file that was looked at. An error is a test that failed; a warning or note is told
//! in a test that passed, for it does not fail the check; a file without findings is one test that passed.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::finding::Finding;
use super::harmless;
use crate::diagnostic::Level;

/// The whole document; `checked` are the files that were looked at.
#[must_use]
pub fn render(findings: &[Finding], checked: &[String]) -> String {
    let mut files: BTreeMap<&str, Vec<&Finding>> = checked.iter().map(|path| (path.as_str(), Vec::new())).collect();
    for finding in findings {
        files.entry(&finding.region.path).or_default().push(finding);
    }
    let failed = |list: &[&Finding]| list.iter().filter(|one| one.level == Level::Error).count();
    let tests: usize = files.values().map(|list| list.len().max(1)).sum();
    let failures: usize = files.values().map(|list| failed(list)).sum();
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuites name=\"fwc\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\">\n"
    );
    for (path, list) in files {
        let name = escape(path);
        let (tests, failures) = (list.len().max(1), failed(&list));
        let _ = writeln!(
            out,
            "  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"0\">"
        );
        if list.is_empty() {
            let _ = writeln!(out, "    <testcase classname=\"{name}\" name=\"no findings\"/>");
        }
        for finding in list {
            out.push_str(&case(finding, &name));
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

fn case(finding: &Finding, path: &str) -> String {
    let code = finding.code;
    let start = finding.region.start;
    let place = format!("{path}:{}:{}", start.line, start.letter);
    let title = format!("{} {} at line {}", code.number, code.name, start.line);
    let words = escape(&finding.whole());
    let inside = match finding.level {
        Level::Error => format!(
            "<failure type=\"{}\" message=\"{}\">{place}: {words}</failure>",
            code.name,
            escape(&finding.message).replace('\n', " ")
        ),
        Level::Warning => format!("<system-out>{place}: warning: {words}</system-out>"),
        Level::Note => format!("<system-out>{place}: note: {words}</system-out>"),
    };
    format!("    <testcase classname=\"{path}\" name=\"{title}\">\n      {inside}\n    </testcase>\n")
}

/// XML 1.0 has no words for most control characters, nor for U+FFFE and U+FFFF: they are shown as what they are.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in harmless(text).chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => {
                let _ = write!(out, "{}", letter.escape_unicode());
            }
            letter => out.push(letter),
        }
    }
    out
}
