//! What tells one finding from another after the lines have moved: the code, the path, the words of the statement, and which of
//! several alike it is. Line numbers, comments, white space and counters take no part.

use std::collections::HashMap;
use std::hash::{Hash as _, Hasher as _};

use serde_json::Value;
use siphasher::sip128::{Hasher128 as _, SipHasher24};

use crate::diagnostic::{Code, Diagnostic};
use crate::span::SourceText;

/// A longer line is a file written without line ends (`nft -j`): there the place alone is what the finding is about.
const LONGEST_LINE: usize = 2000;

/// Gives fingerprints, and counts those that would be alike.
#[derive(Debug, Default)]
pub struct Fingerprints {
    given: HashMap<(&'static str, String, String), u64>,
}

impl Fingerprints {
    /// The fingerprint of a diagnostic about `source`, which is known to all as `path`: 32 hexadecimal digits. Of diagnostics that are alike the
    /// first asked for counts as the first.
    pub fn of(&mut self, diagnostic: &Diagnostic, source: &SourceText, path: &str) -> String {
        let code = diagnostic.code;
        let statement = statement(source, diagnostic);
        let count = self.given.entry((code.number, path.to_owned(), statement.clone())).or_default();
        let index = *count;
        *count += 1;
        hash(code, path, &statement, index)
    }
}

fn hash(code: &Code, path: &str, statement: &str, index: u64) -> String {
    let mut hasher = SipHasher24::new();
    // Each text ends in a byte that none has (`str`'s own way), so that no two lists of texts are the same bytes.
    for text in [code.number, path, statement] {
        text.hash(&mut hasher);
    }
    hasher.write(&index.to_le_bytes());
    format!("{:032x}", hasher.finish128().as_u128())
}

/// The words of the line where a diagnostic's place begins, without what changes from one recording to the next.
#[must_use]
pub fn statement(source: &SourceText, diagnostic: &Diagnostic) -> String {
    let span = diagnostic.primary.location.span.range();
    let text = &*source.text;
    let start = text.get(..span.start).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
    let line = text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
    if line.len() <= LONGEST_LINE {
        return words(line);
    }
    let place = text.get(span).unwrap_or_default();
    match serde_json::from_str::<Value>(place) {
        Ok(mut object) => {
            still(&mut object);
            object.to_string()
        }
        Err(_) => words(place),
    }
}

/// The words without comments and counters (`[12:345]` of iptables, `packets 12 bytes 345` of nft).
fn words(line: &str) -> String {
    let mut out: Vec<&str> = Vec::new();
    for word in without_comment(line).split_whitespace() {
        let counted =
            matches!(out.last(), Some(&("packets" | "bytes"))) && word.bytes().all(|byte| byte.is_ascii_digit());
        if !is_counters(word) {
            out.push(if counted { "0" } else { word });
        }
    }
    out.join(" ")
}

fn is_counters(word: &str) -> bool {
    let inside = word.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).and_then(|pair| pair.split_once(':'));
    inside.is_some_and(|(packets, bytes)| {
        let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        number(packets) && number(bytes)
    })
}

fn without_comment(line: &str) -> &str {
    let mut quoted = false;
    for (at, letter) in line.char_indices() {
        match letter {
            '"' => quoted = !quoted,
            '#' if !quoted => return line.get(..at).unwrap_or(line),
            _ => {}
        }
    }
    line
}

/// Takes handles and counters out of nft's JSON.
fn still(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for name in ["handle", "packets", "bytes"] {
                map.shift_remove(name);
            }
            map.values_mut().for_each(still);
        }
        Value::Array(list) => list.iter_mut().for_each(still),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::{FileId, Location, Span};

    /// Of a code that is no declaration, which the list of codes would look for.
    fn example() -> &'static Code {
        crate::codes::find("shadowed-rule").expect("the code")
    }

    fn fingerprints(text: &str, marks: &[&str]) -> Vec<String> {
        let source = SourceText { path: "rules.v4".into(), text: text.into() };
        let mut all = Fingerprints::default();
        let mut from = 0;
        let places = marks.iter().map(|mark| {
            let at = text.get(from..).and_then(|rest| rest.find(mark)).expect("the mark") + from;
            from = at + mark.len();
            Location { file: FileId(0), span: Span::new(at, from) }
        });
        places.map(|place| all.of(&Diagnostic::new(example(), place, "m"), &source, "rules.v4")).collect()
    }

    #[test]
    fn moved_lines_spaces_comments_and_counters_change_nothing() {
        let one = fingerprints("[1:2] -A INPUT -j DROP\n", &["-j"]);
        for other in ["\n\n# moved\n[77:8888] -A  INPUT\t-j DROP   # why\n", "-A INPUT -j DROP"] {
            assert_eq!(one, fingerprints(other, &["-j"]), "{other}");
        }
        assert_ne!(one, fingerprints("-A INPUT -j ACCEPT\n", &["-j"]));
        let nft = |packets: &str| fingerprints(&format!("ip saddr 10.0.0.1 counter {packets} drop"), &["drop"]);
        assert_eq!(nft("packets 1 bytes 2"), nft("packets 9 bytes 800"));
        assert_ne!(
            fingerprints("log prefix \"a # b\" drop", &["log"]),
            fingerprints("log prefix \"a # c\" drop", &["log"])
        );
    }

    #[test]
    fn statements_that_are_alike_are_told_apart_by_their_order() {
        let two = fingerprints("-A A -j DROP\n-A A -j DROP\n", &["-A", "-A"]);
        assert_ne!(two.first(), two.last());
    }

    #[test]
    fn of_one_long_line_the_object_counts_without_its_handle() {
        let text =
            |handle: u32| format!("{}{{\"rule\": {{\"handle\": {handle}, \"chain\": \"input\"}}}}", " ".repeat(3000));
        let of = |handle| {
            let text = text(handle);
            let object = text.trim_start().to_owned();
            fingerprints(&text, &[&object])
        };
        assert_eq!(of(4), of(19));
    }

    /// Reports and baselines of earlier versions stay good: this value never changes.
    #[test]
    fn the_value_is_pinned() {
        assert_eq!(hash(example(), "rules.v4", "-A INPUT -j DROP", 0), "b507a85d0a7ee458f4136b059c1ea185");
    }
}
