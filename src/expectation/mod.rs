//! What comments say of findings: `# fwc: expect(shadowed-rule) -- reason` at the end of a statement's line or on a line before it.
//! An expected finding is not told; one that does not come is a finding itself. `allow` does not ask for it. Both name codes and a
//! reason, and hold for one statement.
//!
//! A pure step between the checks and whoever shows their findings: the command line and a language server get the same from it.

mod comment;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use crate::diagnostic::{Code, Diagnostic, Edit};
use crate::levels::can_be_expected;
use crate::levels::codes::{CANNOT_BE_EXPECTED, UNFULFILLED};
use crate::project::Project;
use crate::prove;
use crate::read::Form;
use crate::span::{FileId, LineIndex, Location, SourceText, Span};
use crate::syntax::tree::{Statement, StatementKind, Tree};
use comment::{Comment, Named, Style};

/// Everything that comments say in some texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expectations {
    all: Vec<Expectation>,
    lines: BTreeMap<FileId, LineIndex>,
    /// What is wrong with the comments themselves.
    pub faults: Vec<Diagnostic>,
}

/// What one comment says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Expectation {
    file: FileId,
    /// The lines of the statement that it is about.
    lines: RangeInclusive<u32>,
    codes: Vec<Named>,
    /// Whether it is a finding if nothing comes.
    expects: bool,
}

/// Which findings have been looked for, so that one that did not come is missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sought {
    /// What is told on the way to output.
    Compiled,
    /// What is proved of finished rules; with what is rarely a fault, or without.
    Findings {
        /// As `fwc check --all`.
        all: bool,
    },
    /// All that is told of a rule set.
    Rules {
        /// As `fwc check --all`.
        all: bool,
    },
}

impl Sought {
    fn includes(self, code: &'static Code) -> bool {
        let proved = prove::CODES.contains(&code);
        let demanded = |all: bool| all || !prove::findings::codes::ON_DEMAND.contains(&code);
        match self {
            Self::Compiled => !proved,
            Self::Findings { all } => proved && demanded(all),
            Self::Rules { all } => demanded(all),
        }
    }
}

impl Expectations {
    /// Of a policy and the files that it includes.
    #[must_use]
    pub fn of_policy(project: &Project) -> Self {
        let mut out = Self::default();
        for (number, (source, parsed)) in (0u32..).zip(project.files.iter().zip(&project.parsed)) {
            let file = FileId(number);
            if let Some(parsed) = parsed.as_ref().filter(|_| !project.library.contains(&file)) {
                out.read(file, source, Style::Words, Some(&parsed.tree));
            }
        }
        out
    }

    /// Of a rule set.
    #[must_use]
    pub fn of_rules(source: &SourceText, form: Form) -> Self {
        let mut out = Self::default();
        match form {
            Form::Iptables(_) => out.read(FileId(0), source, Style::Lines, None),
            Form::Nft | Form::Script => out.read(FileId(0), source, Style::Words, None),
            // No comments can stand there.
            Form::NftJson | Form::Ipset => {}
        }
        out
    }

    fn read(&mut self, file: FileId, source: &SourceText, style: Style, tree: Option<&Tree>) {
        // Most texts have none, and large ones are read again and again.
        if !source.text.contains("fwc:") {
            return;
        }
        let comments = comment::comments(&source.text, style, file, &mut self.faults);
        if comments.is_empty() {
            return;
        }
        let index = LineIndex::new(&source.text);
        for Comment { line, codes, expects } in comments {
            let lines = tree.and_then(|tree| extent(&tree.statements, &index, line)).unwrap_or(line..=line);
            let (codes, refused): (Vec<_>, Vec<_>) = codes.into_iter().partition(|named| can_be_expected(named.code));
            self.faults.extend(refused.into_iter().map(|Named { code, span, .. }| {
                let message = format!("`{}` cannot be expected or allowed", code.name);
                Diagnostic::new(&CANNOT_BE_EXPECTED, Location { file, span }, message)
                    .label("the policy would have no meaning with it")
                    .help("mend what it tells of")
            }));
            self.all.push(Expectation { file, lines, codes, expects });
        }
        self.lines.insert(file, index);
    }

    /// Takes what is expected or allowed out of `diagnostics`, to `excused`.
    pub fn excuse(&self, diagnostics: &mut Vec<Diagnostic>, excused: &mut Vec<Diagnostic>) {
        if !self.all.is_empty() {
            excused.extend(diagnostics.extract_if(.., |one| self.all.iter().any(|known| self.covers(known, one))));
        }
    }

    /// As [`Expectations::excuse`], and adds what was expected and did not come.
    pub fn settle(&self, diagnostics: &mut Vec<Diagnostic>, sought: Sought) {
        let mut excused = Vec::new();
        self.excuse(diagnostics, &mut excused);
        diagnostics.extend(self.unfulfilled(&excused, sought));
    }

    /// Settles what was found in a rule set with what its comments say.
    pub fn settle_rules(source: &SourceText, form: Form, all: bool, diagnostics: &mut Vec<Diagnostic>) {
        let expectations = Self::of_rules(source, form);
        expectations.settle(diagnostics, Sought::Rules { all });
        diagnostics.extend(expectations.faults);
    }

    fn covers(&self, expectation: &Expectation, diagnostic: &Diagnostic) -> bool {
        let Location { file, span } = diagnostic.primary.location;
        expectation.file == file
            && expectation.codes.iter().any(|named| named.code == diagnostic.code)
            && self.lines.get(&file).is_some_and(|index| expectation.lines.contains(&index.line_column(span.start).0))
    }

    /// What was expected and did not come, of the codes that were sought.
    #[must_use]
    pub fn unfulfilled(&self, excused: &[Diagnostic], sought: Sought) -> Vec<Diagnostic> {
        let mut out = Vec::new();
        for expectation in self.all.iter().filter(|known| known.expects) {
            let come = |code: &Code| excused.iter().any(|one| one.code == code && self.covers(expectation, one));
            let missed = |named: &&Named| sought.includes(named.code) && !come(named.code);
            for &Named { code, span, removal } in expectation.codes.iter().filter(missed) {
                let location = |span| Location { file: expectation.file, span };
                out.push(
                    Diagnostic::new(
                        &UNFULFILLED,
                        location(span),
                        format!("`{}` is expected here and does not come", code.name),
                    )
                    .label(format!("nothing of the kind is found on line {}", expectation.lines.start()))
                    .fix(
                        "take it out of the comment, or write `allow` if it comes only at times",
                        location(removal),
                        "",
                    ),
                );
            }
        }
        out
    }
}

/// The lines of the statement without a block that has a line of its own among several.
fn extent(statements: &[Statement], index: &LineIndex, line: u32) -> Option<RangeInclusive<u32>> {
    statements.iter().find_map(|statement| match &statement.value {
        StatementKind::Group(group) => extent(&group.body, index, line),
        StatementKind::Scope(scope) => extent(&scope.body, index, line),
        StatementKind::Guest(guest) => {
            let gates = guest.gates.iter().flatten();
            gates.into_iter().find_map(|gate| extent(std::slice::from_ref(&gate.statement), index, line))
        }
        StatementKind::Chain(_) => None,
        _ => {
            let last = statement.span.end.saturating_sub(1).max(statement.span.start);
            let lines = index.line_column(statement.span.start).0..=index.line_column(last).0;
            lines.contains(&line).then_some(lines)
        }
    })
}

/// The edit that says of a finding that it is expected, on a line before it. `None` if it cannot be expected there.
#[must_use]
pub fn insertion(source: &SourceText, diagnostic: &Diagnostic, reason: &str) -> Option<Edit> {
    let Location { file, span } = diagnostic.primary.location;
    if !can_be_expected(diagnostic.code) || crate::read::detect(&source.text) == Some(Form::NftJson) {
        return None;
    }
    let before = source.text.get(..span.start as usize)?;
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let rest = source.text.get(start..)?;
    let indent = rest.get(..rest.len() - rest.trim_start_matches([' ', '\t']).len())?;
    let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    Some(Edit {
        location: Location { file, span: Span::new(start, start) },
        replacement: format!("{indent}# fwc: expect({}) -- {reason}\n", diagnostic.code.name),
    })
}

#[cfg(test)]
mod tests;
