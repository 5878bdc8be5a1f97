//! Annotations: what is expected at a place, in a comment below the line that the place begins in.

use std::sync::LazyLock;

use fwc::diagnostic::Level;
use fwc::span::Span;
use regex::Regex;

/// What a line of comment expects, or what was found, in the same words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// `#   ^^^`, `#   |`, `# at the end:`, `# in PATH:`.
    pub place: String,
    pub severity: String,
    pub code: String,
    /// What the message has to contain; the whole message of what was found.
    pub message: String,
}

static FORM: LazyLock<Regex> = LazyLock::new(|| {
    let place = r"#\^*|# *(?:\^+|\|)|# from column 2 to [0-9]+:|# at the end:|# in \S+:";
    let form = format!(r"^((?:{place})(?: \+[0-9]+(?::[0-9]+)?)?) (error|warning|note) (FW[0-9]{{4}})(?:: (.+))?$");
    Regex::new(&form).expect("a pattern")
});
static ATTEMPT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^# *[\^|]|^#.*\b(?:error|warning|note) FW").expect("a pattern"));

impl Annotation {
    /// The annotation in a line of a fixture; none if it is a line of another kind.
    ///
    /// # Panics
    /// If the line can only be meant as an annotation and has not its form: it would expect nothing.
    pub fn read(line: &str) -> Option<Self> {
        let Some(parts) = FORM.captures(line) else {
            assert!(!ATTEMPT.is_match(line), "not an annotation, which is `#  ^^^ SEVERITY CODE: MESSAGE`: {line}");
            return None;
        };
        let part = |at| parts.get(at).map_or_else(String::new, |part: regex::Match<'_>| part.as_str().to_owned());
        Some(Self { place: part(1), severity: part(2), code: part(3), message: part(4) })
    }

    /// Whether something that was found is what this expects.
    pub fn is_met_by(&self, found: &Self) -> bool {
        let same = |one: &Self| (one.place.clone(), one.severity.clone(), one.code.clone());
        same(self) == same(found) && found.message.contains(&self.message)
    }

    /// The line of a fixture.
    pub fn line(&self) -> String {
        let Self { place, severity, code, message } = self;
        let message = if message.is_empty() { String::new() } else { format!(": {message}") };
        format!("{place} {severity} {code}{message}\n")
    }
}

pub fn severity(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Note => "note",
    }
}

/// How a place in a text is marked, and the number of the line that it is marked below; none for the end of the text.
///
/// Carets are below the characters of the place; the `#` of the comment counts as the first of them. A place without characters is `|`.
/// `+2` is a place that ends with the second line after; `+2:5` one that ends there before column 5.
pub fn mark(text: &str, span: Span) -> (Option<usize>, String) {
    let range = span.range();
    let before = text.get(..range.start).expect("a place in the text");
    let inside = text.get(range.clone()).expect("a place in the text");
    if range.start == text.len() && (text.is_empty() || text.ends_with('\n')) {
        return (None, "# at the end:".to_owned());
    }
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
    let mut lines = inside.split('\n');
    let width = lines.next().unwrap_or_default().chars().count();
    let place = match (column, width) {
        (0, 0) => "#|".to_owned(),
        (0, _) => format!("#{}", "^".repeat(width.saturating_sub(1))),
        // The comment's sign is in the way of the first column.
        (1, _) => format!("# from column 2 to {}:", 1 + width),
        (_, 0) => format!("#{}|", " ".repeat(column - 1)),
        (_, _) => format!("#{}{}", " ".repeat(column - 1), "^".repeat(width)),
    };
    let more = lines.clone().count();
    let after = text.get(range.end..).unwrap_or_default();
    let end = match lines.next_back() {
        None => String::new(),
        Some(_) if after.is_empty() || after.starts_with('\n') => format!(" +{more}"),
        Some(last) => format!(" +{more}:{}", 1 + last.chars().count()),
    };
    (Some(before.matches('\n').count()), place + &end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(text: &str, place: &str) -> (Option<usize>, String) {
        let start = text.find(place).expect("a place");
        mark(text, Span::new(start, start + place.len()))
    }

    #[test]
    fn a_place_is_marked_below_its_characters() {
        let text = "ä allow ssh\nto host {\n  x\n}\n";
        assert_eq!(marked(text, "ssh"), (Some(0), "#       ^^^".to_owned()));
        assert_eq!(marked(text, "to host"), (Some(1), "#^^^^^^".to_owned()));
        assert_eq!(marked(text, "t"), (Some(1), "#".to_owned()));
        assert_eq!(marked(text, "to host {\n  x\n}"), (Some(1), "#^^^^^^^^ +2".to_owned()));
        assert_eq!(marked(text, "host {\n  "), (Some(1), "#  ^^^^^^ +1:3".to_owned()));
        assert_eq!(marked(text, "o host"), (Some(1), "# from column 2 to 7:".to_owned()));
        assert_eq!(mark(text, Span::new(5, 5)), (Some(0), "#   |".to_owned()));
        assert_eq!(mark(text, Span::new(13, 13)), (Some(1), "#|".to_owned()));
        assert_eq!(mark(text, Span::new(text.len(), text.len())), (None, "# at the end:".to_owned()));
        assert_eq!(mark("", Span::new(0, 0)), (None, "# at the end:".to_owned()));
        assert_eq!(mark("ab", Span::new(2, 2)), (Some(0), "# |".to_owned()));
    }

    #[test]
    fn what_is_written_is_read() {
        for line in [
            "#^^^ error FW0012",
            "# error FW0012",
            "#    ^ warning FW0303: a message: with `words`",
            "#  | +2:5 note FW0303",
            "# at the end: error FW0001: an end",
            "# in std:sets.fw: error FW0213",
            "# from column 2 to 9: error FW0213",
        ] {
            assert_eq!(Annotation::read(line).map(|read| read.line()), Some(format!("{line}\n")), "{line}");
        }
        for line in ["# a comment", "allow ssh to host", "# fwc: expect(shadowed-rule) -- why", ""] {
            assert_eq!(Annotation::read(line), None, "{line}");
        }
    }

    #[test]
    fn what_is_nearly_an_annotation_is_refused() {
        for line in ["#  ^^ eror FW0012", "#  ^^", "#  error FW0012", "# ^ error FW12", "#   ^ ^ error FW0012"] {
            assert!(std::panic::catch_unwind(|| Annotation::read(line)).is_err(), "{line}");
        }
    }
}
