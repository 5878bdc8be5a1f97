//! From text to tree. Never fails: a line that cannot be read costs that line and gives a diagnostic. Knows nothing of what names
//! mean. `scan` cuts the text into statements, `grammar` reads one (`quick` does so for the simplest), `build` makes its part of the tree with the help of `values`,
//! `fault` says why one could not be read, and `blocks` puts the statements into one another. `outline` says for editors what each word is,
//! `cuts` shows the statements of a text to those who need its form rather than its meaning.

mod blocks;
mod build;
pub mod cuts;
mod fault;
mod grammar;
pub mod outline;
mod quick;
mod scan;
pub mod tree;
mod values;

#[cfg(test)]
mod tests;

use crate::diagnostic::{Code, Diagnostic, Level};
use crate::span::{FileId, Location, Span};
use tree::Tree;

/// What came of reading a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// Every statement that could be read.
    pub tree: Tree,
    /// What could not be read, and what is doubtful, in source order.
    pub diagnostics: Vec<Diagnostic>,
}

/// Every kind of diagnostic that this stage gives, in order of number.
pub static CODES: [&Code; 30] = [
    &NOT_TEXT,
    &blocks::STRANGE_CHARACTER,
    &blocks::UNTERMINATED_STRING,
    &blocks::UNCLOSED_BRACE,
    &blocks::STRAY_BRACE,
    &blocks::TOO_DEEP,
    &blocks::TOO_LONG,
    &blocks::TOO_MANY,
    &fault::codes::UNKNOWN_STATEMENT,
    &blocks::MISPLACED,
    &fault::codes::UNEXPECTED,
    &fault::codes::STRAY_WORDS,
    &fault::codes::CLAUSE_ORDER,
    &fault::codes::CLAUSE_TWICE,
    &fault::codes::KEYWORD_AS_NAME,
    &fault::codes::EMPTY_LIST,
    &fault::codes::LIST_MARKS,
    &build::OPTION_TWICE,
    &fault::codes::FOREIGN_WORD,
    &values::BAD_ADDRESS,
    &values::HOST_BITS,
    &values::BAD_PORT,
    &values::BAD_MAC,
    &values::BAD_RATE,
    &values::BAD_TIME,
    &values::BAD_NUMBER,
    &values::UNKNOWN_WORD,
    &fault::codes::NO_PORTS_HERE,
    &TOO_LARGE,
    &blocks::TOO_MANY_WARNINGS,
];

static NOT_TEXT: Code = Code {
    number: "FW0001",
    name: "not-utf8-text",
    level: Level::Error,
    summary: "a file that is not UTF-8 text",
    explanation: "\
A policy is text in UTF-8. The file holds bytes that are not: it was saved in another encoding (Latin-1, UTF-16), was damaged on
its way, or is not a policy at all. What such bytes were meant to be cannot be known, so nothing is built from them.

    iconv -f latin1 -t utf-8 site.fw > site.utf8.fw       # what it takes if it was Latin-1
    iconv -f utf-16 -t utf-8 site.fw > site.utf8.fw       # if an editor on Windows saved it
",
};

static TOO_LARGE: Code = Code {
    number: "FW0029",
    name: "file-too-large",
    level: Level::Error,
    summary: "a file of more than four gibibytes",
    explanation: "\
A source file holds at most 4294967295 bytes. A policy of that size is a list of addresses in disguise: put the addresses into a file
of their own and name it.

    set blocklist from file \"blocklist.txt\"
    deny from blocklist to host
",
};

/// Whether a statement begins with this word.
#[must_use]
pub fn begins_statement(word: &str) -> bool {
    grammar::rule_of(word).is_some()
}

/// Reads a text.
#[must_use]
pub fn parse(text: &str, file: FileId) -> Parsed {
    if u32::try_from(text.len()).is_err() {
        let at = Location { file, span: Span::new(0, 1) };
        let diagnostic = Diagnostic::new(&TOO_LARGE, at, "the file has more than 4294967295 bytes")
            .help("put long lists of addresses into files of their own: `set NAME from file \"…\"`");
        return Parsed { tree: Tree::default(), diagnostics: vec![diagnostic] };
    }
    let mut parsed = blocks::read(text, file);
    parsed.diagnostics.sort_by_key(|diagnostic| diagnostic.primary.location.span.start);
    parsed
}

/// Reads what may or may not be text. Bytes that are not UTF-8 are told once; everything else is read as [`parse`] does, and all
/// spans hold for `bytes`.
#[must_use]
pub fn parse_bytes(bytes: &[u8], file: FileId) -> Parsed {
    let first = match std::str::from_utf8(bytes) {
        Ok(text) => return parse(text, file),
        Err(error) => error.valid_up_to(),
    };
    let at = Location { file, span: Span::new(first, first + 1) };
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        let diagnostic = Diagnostic::new(&NOT_TEXT, at, "the file is UTF-16, and UTF-8 is expected")
            .help("save it as UTF-8, or convert it: `iconv -f utf-16 -t utf-8`");
        return Parsed { tree: Tree::default(), diagnostics: vec![diagnostic] };
    }
    // One control character for each bad byte keeps the offsets; outside of comments and strings it is an error of its own.
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| SUBSTITUTE));
    }
    let mut parsed = parse(&text, file);
    parsed.diagnostics.retain(|diagnostic| {
        let at = diagnostic.primary.location.span.start as usize;
        diagnostic.code != &blocks::STRANGE_CHARACTER || text.as_bytes().get(at) != Some(&(SUBSTITUTE as u8))
    });
    let byte = bytes.get(first).copied().unwrap_or_default();
    let diagnostic = Diagnostic::new(&NOT_TEXT, at, format!("the byte 0x{byte:02x} is not UTF-8 text"))
        .label("the first that is not")
        .help("save the file as UTF-8; if it is Latin-1: `iconv -f latin1 -t utf-8`");
    parsed.diagnostics.insert(0, diagnostic);
    parsed
}

const SUBSTITUTE: char = '\u{1a}';
