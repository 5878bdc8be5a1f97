//! Puts the statements that the scan finds into the blocks that they stand in, and reads each. The nesting is a list of open
//! blocks, not recursion, and it has a limit.

use pest::Parser;

use crate::diagnostic::{Code, Diagnostic, Level};
use crate::list::make_room;
use crate::span::{FileId, Span, Spanned};
use crate::syntax::Parsed;
use crate::syntax::build::{Builder, Report};
use crate::syntax::fault;
use crate::syntax::grammar::{Grammar, Rule, rule_of};
use crate::syntax::quick;
use crate::syntax::scan::{Cut, Ending, Fault, Piece, Scanner};
use crate::syntax::tree::{Direction, Gate, Statement, StatementKind, Tree};
use crate::syntax::values::shown;

pub(super) static STRANGE_CHARACTER: Code = Code {
    number: "FW0002",
    name: "strange-character",
    level: Level::Error,
    summary: "a character that no statement is written with",
    explanation: "\
Outside of strings and comments a policy is written in plain ASCII. A non-breaking space, a curly quote or a long dash comes from a web
page or a word processor and looks right without being right; a NUL or another control character comes from a damaged file.

    allow tcp 8000–8010 to host        # a long dash, copied from a page
    allow tcp 8000-8010 to host

A name with other letters is written in quotes: `container \"café\"`.
",
};

pub(super) static UNTERMINATED_STRING: Code = Code {
    number: "FW0003",
    name: "unterminated-string",
    level: Level::Error,
    summary: "a quote that is not closed on its line",
    explanation: "\
A string begins and ends on one line. The quote that ends it is missing, so that the rest of the line would be part of it.

    deny to host log \"dropped: 
    deny to host log \"dropped: \"

A string holds everything up to the next quote; there is no way to write a quote inside.
",
};

pub(super) static UNCLOSED_BRACE: Code = Code {
    number: "FW0004",
    name: "unclosed-brace",
    level: Level::Error,
    summary: "a list or block whose closing brace is missing",
    explanation: "\
Every `{` needs its `}`. A list may go on over several lines, so the end of a line does not close it; a block ends with a `}` on a
line of its own.

    allow ssh from { office, vpn to host       # where does the list end?
    allow ssh from { office, vpn } to host

The message points at the brace that was opened. Where the indentation shows the place, the help puts the brace there.
",
};

pub(super) static STRAY_BRACE: Code = Code {
    number: "FW0005",
    name: "stray-brace",
    level: Level::Error,
    summary: "a brace that belongs to nothing",
    explanation: "\
A `}` closes a block or list that is open, and none is; or a `{` opens a block that nothing stands in front of. Often a head line was
deleted or commented out, and its brace was left.

    # to host {
        allow ping
    }                       # closes nothing
",
};

pub(super) static TOO_DEEP: Code = Code {
    number: "FW0006",
    name: "nested-too-deeply",
    level: Level::Error,
    summary: "more than 64 blocks inside one another",
    explanation: "\
Blocks may stand inside one another, up to 64 deep. Nobody can read such a policy; the file was probably made by a program that lost
count of its braces. Each of `from`, `to` and `via` can be said once on the way in, so three levels are enough for anything:

    from office {
        to host {
            via wan { allow ssh }
        }
    }
",
};

pub(super) static TOO_LONG: Code = Code {
    number: "FW0007",
    name: "statement-too-long",
    level: Level::Error,
    summary: "a statement of more than four mebibytes",
    explanation: "\
A statement holds at most 4194304 bytes, so that a damaged file cannot take all memory. A list that long belongs into a file.

    set blocklist from file \"blocklist.txt\"      # addresses and prefixes, one a line
    deny from blocklist to host early
",
};

pub(super) static TOO_MANY: Code = Code {
    number: "FW0008",
    name: "too-many-faults",
    level: Level::Error,
    summary: "more faults in one file than are worth telling",
    explanation: "\
After 500 diagnostics of one file the rest is only counted. A file with that many is most likely not a policy: look whether it is the
right one, and whether a single fault near its beginning makes all the rest.

    *filter                                   # made by iptables-save: not a policy
    -A INPUT -p tcp --dport 22 -j ACCEPT

    allow ssh from any to host                # the same, as a policy says it
",
};

pub(super) static TOO_MANY_WARNINGS: Code = Code {
    number: "FW0030",
    name: "too-many-warnings",
    level: Level::Warning,
    summary: "more warnings in one file than are worth telling",
    explanation: "\
After 500 diagnostics of one file the rest is only counted. Of those that are left out here none stops a build: they are
warnings, mostly one and the same in a long list that a program has written.

    set blocked = {
        198.51.100.7/24,      # FW0021, and so on for a thousand lines
        203.0.113.9/24,
    }

What is told shows what to mend in all of them: here, write each prefix without the bits behind its length. An error among those that
are left out is said as FW0008, and stops the build.
",
};

pub(super) static MISPLACED: Code = Code {
    number: "FW0010",
    name: "misplaced-statement",
    level: Level::Error,
    summary: "a statement in a place where it has no meaning",
    explanation: "\
What may stand where:

- at the top of a file: everything, except `in` and `out`
- in a block with clauses (`to host { … }`) and in a `group`: rules, `apply`, changes (`mark`, `notrack` …) and blocks with clauses
- in the block of a `guest` or `instance`: lines that begin with `in` or `out`, followed by a rule, `apply` or a change

Declarations, defaults and asserts speak about the whole policy, and so they stand outside of blocks.

    guest vm1 on tap1 {
        allow ssh from office         # towards the guest, or from it?
    }
    guest vm1 on tap1 {
        in allow ssh from office
    }
",
};

/// The deepest nesting of blocks.
const DEEPEST: usize = 64;
/// The longest statement, in bytes.
pub(super) const LONGEST: usize = 4 << 20;

/// Reads a text that is known to be shorter than four gibibytes.
pub(super) fn read(text: &str, file: FileId) -> Parsed {
    let report = Report::new(file);
    let mut reader =
        Reader { text, report, open: Vec::new(), top: Vec::new(), too_deep: 0, was_too_deep: false, assumed: 0 };
    for piece in Scanner::new(text) {
        match piece {
            Piece::Statement(cut) => reader.statement(cut),
            Piece::Close(at) => reader.close(at),
        }
    }
    reader.finish()
}

/// A block that is open.
struct Block {
    /// Its statement so far; `None` if its head could not be read.
    head: Option<Statement>,
    kind: BlockKind,
    brace: usize,
    indent: Option<usize>,
    /// The first line inside that is not indented more than the head: where a missing brace belongs.
    outdented: Option<usize>,
    body: Vec<Statement>,
    gates: Vec<Gate>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum BlockKind {
    /// Clauses or a group: rules.
    Rules,
    /// A guest or an instance: gates.
    Gates,
    /// Nobody knows: the head was wrong, and was told.
    Unknown,
    /// A brace without a head.
    Bare,
}

struct Reader<'t> {
    text: &'t str,
    report: Report,
    open: Vec<Block>,
    top: Vec<Statement>,
    /// Blocks that are open beyond the deepest.
    too_deep: usize,
    was_too_deep: bool,
    /// Blocks that were taken as closed though no brace closed them.
    assumed: usize,
}

impl Reader<'_> {
    fn statement(&mut self, cut: Cut) {
        if self.too_deep > 0 {
            self.too_deep += usize::from(matches!(cut.ending, Ending::Block(_)));
            return;
        }
        let text = self.text.get(cut.range.clone()).unwrap_or_default();
        let words = split_word(text);
        self.indentation(&cut, words.0);
        let statement = self.read(&cut, text, words);
        match cut.ending {
            Ending::Line => {
                // A head without its block can hold nothing; the fault says what is missing.
                if let Some(statement) = statement.and_then(|statement| self.whole(statement, &cut)) {
                    self.place(statement);
                }
            }
            Ending::Block(brace) => self.open(statement, brace, &cut),
            Ending::Raw { brace, ref lines, closed } => self.raw(statement, brace, lines, closed),
        }
    }

    /// Notes where a block seems to end by its indentation, and closes it there if the statement cannot be inside of it.
    fn indentation(&mut self, cut: &Cut, head: &str) {
        while let (Some(indent), Some(block)) = (cut.indent, self.open.last_mut()) {
            let Some(outer) = block.indent.filter(|&outer| indent <= outer) else { return };
            let top_only = rule_of(head).is_some_and(|rule| !inside_rules(rule));
            let outdented = *block.outdented.get_or_insert(cut.range.start - indent);
            let guest = matches!(rule_of(head), Some(Rule::guest_head)) || block.kind != BlockKind::Gates;
            if !top_only || !guest || block.kind == BlockKind::Bare {
                return;
            }
            let brace = block.brace;
            self.unclosed_block(brace, outdented, outer);
            self.assumed += 1;
            self.end_block();
        }
    }

    /// Reads one statement, whose first word and what follows it are `words`; tells the fault if it cannot.
    fn read(&mut self, cut: &Cut, text: &str, (head, rest): (&str, &str)) -> Option<Statement> {
        let span = Span::new(cut.range.start, cut.range.end);
        if let Some(found) = cut.fault {
            if self.report.is_full() {
                self.report.leave_out(Level::Error);
                return None;
            }
            let diagnostic = self.scan_fault(found, cut, text);
            self.report.push(diagnostic);
            return None;
        }
        if text.is_empty() {
            return None;
        }
        if text.len() > LONGEST {
            let at = self.report.at(Span::new(cut.range.start, cut.range.start + head.len()));
            self.report.push(
                Diagnostic::new(&TOO_LONG, at, format!("this statement has {} bytes, more than {LONGEST}", text.len()))
                    .help("put a long list into a file: `set NAME from file \"…\"`"),
            );
            return None;
        }
        let gates = self.open.last().is_some_and(|block| block.kind == BlockKind::Gates);
        let (head, text, base) = match head {
            // The word in front of a guest's rule is taken off; where it may not stand is told when it is placed.
            "in" | "out" if !rest.is_empty() => (split_word(rest).0, rest, cut.range.end - rest.len()),
            _ => (head, text, cut.range.start),
        };
        let gate = base != cut.range.start;
        let rule = rule_of(head).filter(|&rule| !gate || gate_rule(rule));
        if let Some(diagnostic) = self.misplaced(rule, gate, gates, span, base, head) {
            self.report.push(diagnostic);
            return None;
        }
        let Some(rule) = rule else {
            if !self.report.is_full() {
                let diagnostic =
                    fault::unknown_statement(text, base, self.report.file, matches!(cut.ending, Ending::Block(_)));
                self.report.push(diagnostic);
            } else {
                self.report.leave_out(Level::Error);
            }
            return None;
        };
        if rule == Rule::rule_line
            && let Some(statement) = quick::rule(text, base, span)
        {
            return Some(statement);
        }
        match Grammar::parse(rule, text) {
            Ok(pairs) => Builder::new(&mut self.report, base).statement(rule, pairs, span),
            Err(_) if self.report.is_full() => {
                self.report.leave_out(Level::Error);
                None
            }
            Err(error) => {
                let diagnostic = fault::explain(rule, text, base, self.report.file, &error);
                self.report.push(diagnostic);
                None
            }
        }
    }

    /// Why a statement of this kind cannot stand here, if it cannot.
    fn misplaced(
        &self,
        rule: Option<Rule>,
        gate: bool,
        gates: bool,
        span: Span,
        base: usize,
        head: &str,
    ) -> Option<Diagnostic> {
        let block = self.open.last()?.kind;
        let word = self.report.at(Span::new(base, base + head.len()));
        let start = self.report.at(Span::new(span.start as usize, span.start as usize));
        match (block, rule?) {
            (BlockKind::Gates, rule) if !gate && gate_rule(rule) => Some(
                Diagnostic::new(&MISPLACED, word, format!("`{head}` in a guest's block needs `in` or `out` in front"))
                    .fix("`in` judges what comes to the guest", start, "in ")
                    .fix("`out` judges what the guest opens", start, "out "),
            ),
            (BlockKind::Gates, rule) if !gate_rule(rule) => Some(
                Diagnostic::new(&MISPLACED, word, format!("`{head}` cannot stand in a guest's block"))
                    .label("expected a line that begins with `in` or `out`")
                    .help("move it out of the block"),
            ),
            (BlockKind::Rules, rule) if !gates && !gate && !inside_rules(rule) => Some(
                Diagnostic::new(&MISPLACED, word, format!("`{head}` cannot stand in a block"))
                    .label("expected a rule, `apply`, a change or a block with clauses")
                    .help("it speaks about the whole policy: move it out of the block"),
            ),
            _ => None,
        }
    }

    /// A statement at the end of its line, if it is whole without a block.
    fn whole(&mut self, statement: Statement, cut: &Cut) -> Option<Statement> {
        let what = match &statement.value {
            StatementKind::Group(_) => "a group",
            StatementKind::Scope(_) => "a block with clauses",
            StatementKind::Chain(_) => "a chain",
            _ => return Some(statement),
        };
        let end = self.report.at(Span::new(cut.range.end, cut.range.end));
        let at = self.report.at(statement.span);
        let mut diagnostic =
            Diagnostic::new(&fault::codes::UNEXPECTED, at, format!("{what} needs its lines in braces"))
                .label("expected `{` behind this, on the same line");
        if !matches!(statement.value, StatementKind::Scope(_)) {
            diagnostic = diagnostic.fix("give it an empty block", end, " {\n}");
        }
        self.report.push(diagnostic);
        None
    }

    fn scan_fault(&self, found: Fault, cut: &Cut, text: &str) -> Diagnostic {
        match found {
            Fault::String(at) => {
                let end = cut.range.end;
                let trimmed = text.trim_end().len() + cut.range.start;
                Diagnostic::new(
                    &UNTERMINATED_STRING,
                    self.report.at(Span::new(at, end)),
                    "this quote is not closed on its line",
                )
                .fix(
                    "close it at the end of the line",
                    self.report.at(Span::new(trimmed, trimmed)),
                    "\"",
                )
            }
            Fault::List(at) => fault::unclosed_list(text, cut.range.start, at, self.report.file),
            Fault::Character(at) => self.strange(at),
        }
    }

    fn strange(&self, at: usize) -> Diagnostic {
        let found = self.text.get(at..).and_then(|rest| rest.chars().next()).unwrap_or('\0');
        let place = self.report.at(Span::new(at, at + found.len_utf8()));
        let (what, instead) = match found {
            '\0' => ("a NUL character".to_owned(), None),
            '\u{a0}' | '\u{2007}' | '\u{202f}' | '\u{3000}' => {
                ("a space that is not the plain one".to_owned(), Some(" "))
            }
            '\u{200b}' | '\u{200c}' | '\u{200d}' | '\u{feff}' => ("an invisible character".to_owned(), Some("")),
            '“' | '”' | '„' | '«' | '»' => (format!("`{found}` is not a quote here"), Some("\"")),
            '–' | '—' | '−' | '‐' | '‑' => (format!("`{found}` is not the plain `-`"), Some("-")),
            '→' => ("`→` is not a word here".to_owned(), Some("to")),
            _ if found.is_control() => (format!("a control character (U+{:04X})", u32::from(found)), None),
            _ => (format!("`{found}` cannot stand outside of quotes"), None),
        };
        let diagnostic = Diagnostic::new(&STRANGE_CHARACTER, place, what);
        match instead {
            Some("") => diagnostic.fix("take it out", place, ""),
            Some(plain) => diagnostic.fix(format!("write `{plain}`"), place, plain),
            None if found.is_control() => diagnostic.help("is this file a policy? take the character out"),
            None => diagnostic.help("put a name with such letters in quotes"),
        }
    }

    fn open(&mut self, head: Option<Statement>, brace: usize, cut: &Cut) {
        let at = self.report.at(Span::new(brace, brace + 1));
        let kind = match &head {
            Some(statement) => match statement.value {
                StatementKind::Scope(_) | StatementKind::Group(_) => BlockKind::Rules,
                StatementKind::Guest(_) => BlockKind::Gates,
                _ => {
                    let word = split_word(self.text.get(cut.range.clone()).unwrap_or_default()).0;
                    self.report.push(
                        Diagnostic::new(&MISPLACED, at, format!("no block can follow `{}`", shown(word)))
                            .help("options and lists stand on the statement's own line")
                            .help("a block follows clauses (`to host {`), `group`, `guest`, `instance` or `chain`"),
                    );
                    BlockKind::Unknown
                }
            },
            None if cut.range.is_empty() => {
                if self.open.last().is_none_or(|block| block.kind != BlockKind::Bare) {
                    self.report.push(
                        Diagnostic::new(&STRAY_BRACE, at, "nothing stands in front of this `{`")
                            .help("a block has a head such as `to host {` or `group web {`"),
                    );
                }
                BlockKind::Bare
            }
            None => match split_word(self.text.get(cut.range.clone()).unwrap_or_default()).0 {
                "guest" | "instance" => BlockKind::Gates,
                "group" | "from" | "to" | "via" => BlockKind::Rules,
                _ => BlockKind::Unknown,
            },
        };
        if self.open.len() >= DEEPEST {
            self.too_deep = 1;
            if !self.was_too_deep {
                self.was_too_deep = true;
                self.report.push(
                    Diagnostic::new(&TOO_DEEP, at, format!("blocks stand inside one another more than {DEEPEST} deep"))
                        .label("what is inside of this one is not read"),
                );
            }
            return;
        }
        let head = head.filter(|_| kind != BlockKind::Unknown);
        self.open.push(Block {
            head,
            kind,
            brace,
            indent: cut.indent,
            outdented: None,
            body: Vec::new(),
            gates: Vec::new(),
        });
    }

    fn close(&mut self, at: usize) {
        if self.too_deep > 0 {
            self.too_deep -= 1;
            return;
        }
        if self.open.is_empty() && self.assumed > 0 {
            // A block that was taken as closed was not: this is its brace.
            self.assumed -= 1;
            return;
        }
        if self.open.is_empty() {
            let place = self.report.at(Span::new(at, at + 1));
            self.report.push(
                Diagnostic::new(&STRAY_BRACE, place, "this `}` closes nothing")
                    .fix("take it out", place, "")
                    .help("or put back the `{` that it belongs to"),
            );
            return;
        }
        self.end_block();
    }

    fn end_block(&mut self) {
        let Some(block) = self.open.pop() else { return };
        let Some(mut statement) = block.head else { return };
        let mut body = block.body;
        body.shrink_to_fit();
        match &mut statement.value {
            StatementKind::Scope(scope) => scope.body = body,
            StatementKind::Group(group) => group.body = body,
            StatementKind::Guest(guest) => guest.gates = Some(block.gates),
            _ => {}
        }
        self.place(statement);
    }

    fn raw(&mut self, statement: Option<Statement>, brace: usize, lines: &[std::ops::Range<usize>], closed: bool) {
        if !closed {
            let end = lines.last().map_or(brace + 1, |last| last.end);
            let (at, end) = (self.report.at(Span::new(brace, brace + 1)), self.report.at(Span::new(end, end)));
            self.report.push(Diagnostic::new(&UNCLOSED_BRACE, at, "this `{` is not closed").fix(
                "close it behind the last line",
                end,
                "\n}",
            ));
        }
        let Some(mut statement) = statement else { return };
        if let StatementKind::Chain(chain) = &mut statement.value {
            chain.lines = lines
                .iter()
                .map(|line| {
                    Spanned::new(
                        self.text.get(line.clone()).unwrap_or_default().into(),
                        Span::new(line.start, line.end),
                    )
                })
                .collect();
        }
        self.place(statement);
    }

    /// Puts a statement where it belongs.
    fn place(&mut self, statement: Statement) {
        let text = self.text.get(statement.span.range()).unwrap_or_default();
        // No other statement begins like the two words that are looked for.
        let (word, rest) = if text.starts_with(['i', 'o']) { split_word(text) } else { ("", text) };
        let at = statement.span.start as usize;
        let leave = self.report.at(Span::new(at, at + text.len() - rest.len()));
        let word_span = Span::new(at, at + word.len());
        let direction = match word {
            "in" => Some(Direction::In),
            "out" => Some(Direction::Out),
            _ => None,
        };
        let place = self.report.at(word_span);
        match (self.open.last_mut(), direction) {
            (Some(block), Some(direction)) if block.kind == BlockKind::Gates => {
                block.gates.push(Gate { direction: Spanned::new(direction, word_span), statement });
            }
            (Some(block), _) if matches!(block.kind, BlockKind::Unknown | BlockKind::Bare) => {}
            (_, Some(_)) => {
                self.report.push(
                    Diagnostic::new(
                        &MISPLACED,
                        place,
                        format!("`{word}` stands only in the block of a guest or instance"),
                    )
                    .fix("leave it out", leave, "")
                    .help("outside of guests, clauses say the direction: `from …`, `to …`"),
                );
            }
            (block, None) => {
                let list = block.map_or(&mut self.top, |block| &mut block.body);
                let done = statement.span.end as usize;
                make_room(list, done, self.text.len().saturating_sub(done));
                list.push(statement);
            }
        }
    }

    fn unclosed_block(&mut self, brace: usize, before: usize, indent: usize) {
        let at = self.report.at(Span::new(brace, brace + 1));
        let here = self.report.at(Span::new(before, before));
        let closing = format!("{}}}\n", " ".repeat(indent.min(80)));
        self.report.push(
            Diagnostic::new(&UNCLOSED_BRACE, at, "this `{` is not closed")
                .label("this block is still open at the end of its lines")
                .fix("close it where the indentation goes back", here, closing),
        );
    }

    fn finish(mut self) -> Parsed {
        let end = self.text.trim_end().len();
        while let Some(block) = self.open.last() {
            if block.kind != BlockKind::Bare && !self.was_too_deep {
                let (brace, outdented, indent) = (block.brace, block.outdented, block.indent);
                match outdented {
                    Some(before) => self.unclosed_block(brace, before, indent.unwrap_or(0)),
                    None => {
                        let (at, end) =
                            (self.report.at(Span::new(brace, brace + 1)), self.report.at(Span::new(end, end)));
                        self.report.push(
                            Diagnostic::new(&UNCLOSED_BRACE, at, "this `{` is not closed")
                                .label("this block is still open at the end of the file")
                                .fix("close it at the end", end, "\n}"),
                        );
                    }
                }
            }
            self.end_block();
        }
        if self.report.left_out > 0 {
            let at = self.report.at(Span::new(end, end));
            self.report.diagnostics.push(Diagnostic::new(
                if self.report.left_out_error { &TOO_MANY } else { &TOO_MANY_WARNINGS },
                at,
                format!("{} more faults in this file are not shown", self.report.left_out),
            ));
        }
        self.top.shrink_to_fit();
        Parsed { tree: Tree { statements: self.top }, diagnostics: self.report.diagnostics }
    }
}

/// Kinds of statement that a block with clauses, or a group, may hold.
pub(super) fn inside_rules(rule: Rule) -> bool {
    matches!(rule, Rule::rule_line | Rule::apply_line | Rule::change_line | Rule::scope_head)
}

/// Kinds of statement that may stand behind `in` and `out`.
pub(super) fn gate_rule(rule: Rule) -> bool {
    matches!(rule, Rule::rule_line | Rule::apply_line | Rule::change_line)
}

/// The first word of a statement, and what follows it without the white space between.
pub(super) fn split_word(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| c.is_ascii_whitespace() || matches!(c, '"' | '{' | '}' | ',' | '=' | '#'))
        .unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    (word, rest.trim_start())
}
