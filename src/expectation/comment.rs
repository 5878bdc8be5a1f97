//! Comments that speak to fwc, found and read.

use crate::codes;
use crate::diagnostic::{Code, Diagnostic};
use crate::levels::codes::{MALFORMED, UNKNOWN_CODE};
use crate::span::{FileId, Location, Span};

/// Where comments can stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Behind words, too: policies, nft.
    Words,
    /// On lines of their own: what `iptables-restore` reads.
    Lines,
}

/// What one of them says.
pub(super) struct Comment {
    /// The line that it is about, counted from 1.
    pub line: u32,
    /// What it names.
    pub codes: Vec<Named>,
    /// `expect`, not `allow`.
    pub expects: bool,
}

/// A code in a comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// It.
    pub code: &'static Code,
    /// Where it stands.
    pub span: Span,
    /// What to delete to be without it: it and its comma, or the comment if it names nothing else.
    pub removal: Span,
}

/// How it is written, for messages.
const FORM: &str = "write `# fwc: expect(CODE) -- reason`, or `allow` in place of `expect`";

/// The comments of a text that speak to fwc; what is wrong with them goes to `faults`.
pub(super) fn comments(text: &str, style: Style, file: FileId, faults: &mut Vec<Diagnostic>) -> Vec<Comment> {
    let mut out = Vec::new();
    // Those that stand alone wait for the next line that says something.
    let mut waiting: Vec<(Comment, Span)> = Vec::new();
    let mut start = 0;
    for (number, line) in (1u32..).zip(text.split('\n')) {
        let hash = hash(line, style);
        let said = line.get(..hash.unwrap_or(line.len())).unwrap_or_default().trim();
        if !said.is_empty() && said != "}" {
            out.extend(waiting.drain(..).map(|(comment, _)| Comment { line: number, ..comment }));
        }
        if let Some(hash) = hash {
            let before = line.get(..hash).unwrap_or_default().trim_end().len();
            // A line that it has for itself goes with it.
            let end = if before == 0 { line.len() + 1 } else { line.trim_end_matches('\r').len() };
            let whole = Span::new(start + before, (start + end).min(text.len()));
            let text = line.get(hash + 1..).unwrap_or_default();
            let read = Reader { text, base: start + hash + 1, whole, file, faults }.read();
            match read {
                Some(comment) if said.is_empty() => {
                    waiting.push((comment, Span::new(start + hash, start + line.len())))
                }
                Some(comment) => out.push(Comment { line: number, ..comment }),
                None => {}
            }
        }
        start += line.len() + 1;
    }
    faults.extend(waiting.into_iter().map(|(_, span)| {
        Diagnostic::new(&MALFORMED, Location { file, span }, "no statement follows this comment")
            .help("put it on the line before the statement that it is about, or at the end of that line")
    }));
    out
}

/// Where a comment begins on a line.
fn hash(line: &str, style: Style) -> Option<usize> {
    if style == Style::Lines {
        return line.trim_start().starts_with('#').then(|| line.find('#')).flatten();
    }
    let mut quoted = false;
    line.bytes().position(|byte| {
        quoted ^= byte == b'"';
        byte == b'#' && !quoted
    })
}

/// Reads what stands behind `#`.
struct Reader<'a, 'f> {
    text: &'a str,
    /// Where it begins in the file.
    base: usize,
    /// The comment with the space before it.
    whole: Span,
    file: FileId,
    faults: &'f mut Vec<Diagnostic>,
}

impl Reader<'_, '_> {
    /// `None`: it does not speak to fwc, or cannot be read, which is told.
    fn read(self) -> Option<Comment> {
        let directive = self.text.trim_start().strip_prefix("fwc:")?;
        let at = |part: &str| self.base + (part.as_ptr() as usize - self.text.as_ptr() as usize);
        let span = |part: &str| Span::new(at(part), at(part) + part.len());
        let whole = Location { file: self.file, span: span(directive.trim()) };
        let mut malformed = |message: &str| {
            self.faults.push(Diagnostic::new(&MALFORMED, whole, message).help(FORM));
        };
        let directive = directive.trim();
        let word_end = directive.find(|letter: char| !letter.is_alphanumeric()).unwrap_or(directive.len());
        let (word, rest) = directive.split_at(word_end);
        let expects = match word {
            "expect" => true,
            "allow" => false,
            _ => {
                malformed("a comment to fwc says `expect` or `allow`");
                return None;
            }
        };
        let listed = rest.trim_start().strip_prefix('(').and_then(|rest| rest.split_once(')'));
        let Some((list, rest)) = listed.filter(|(list, _)| !list.trim().is_empty()) else {
            malformed("no code is named in parentheses, and there is no form for all of them");
            return None;
        };
        let reason = rest.trim_start().strip_prefix("--").map(str::trim).filter(|reason| !reason.is_empty());
        if reason.is_none() {
            malformed("a reason is missing behind `--`");
            return None;
        }
        let mut codes = Vec::new();
        let (list_start, list_end) = (at(list), at(list) + list.len());
        for part in list.split(',') {
            let (name, start, end) = (part.trim(), at(part), at(part) + part.len());
            let removal = match (start == list_start, end == list_end) {
                (true, true) => self.whole,
                (true, false) => Span::new(start, end + 1 + spaces(self.text, end + 1 - self.base)),
                (false, _) => Span::new(start - 1, end),
            };
            match codes::find(name) {
                Some(code) => codes.push(Named { code, span: span(name), removal }),
                None => self.faults.push(unknown(name, Location { file: self.file, span: span(name) })),
            }
        }
        Some(Comment { line: 0, codes, expects })
    }
}

/// How much space there is at a place.
fn spaces(text: &str, at: usize) -> usize {
    text.get(at..).map_or(0, |rest| rest.len() - rest.trim_start().len())
}

fn unknown(name: &str, location: Location) -> Diagnostic {
    let fault = Diagnostic::new(&UNKNOWN_CODE, location, format!("there is no diagnostic `{name}`"));
    match codes::nearest(name) {
        Some(near) => fault.fix(format!("did you mean `{near}`?"), location, near),
        None => fault.help("`fwc explain` lists them"),
    }
}
