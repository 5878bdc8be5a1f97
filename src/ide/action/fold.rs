//! One statement for several that stand under one another and differ in one list alone: the services, the openers, or those whom it is
//! meant for. What is offered reads, word by word, as the statements together; what counts by itself in each of them (a limit, the rate
//! of a log) is left alone.

use super::{Action, ActionKind, touches};
use crate::database::{self, Db, ProjectInput};
use crate::diagnostic::Edit;
use crate::format;
use crate::net::{PortRange, Protocol};
use crate::span::{FileId, Location, Span, Spanned};
use crate::syntax;
use crate::syntax::tree::{Action as Verb, Item, One, Place, Ports, Rule, RuleOption, Statement, StatementKind, Who};

/// More statements than this are not made into one.
const MOST: usize = 1_000;

/// What the statements differ in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    What,
    From,
    To,
}

impl Slot {
    const ALL: [Self; 3] = [Self::From, Self::To, Self::What];

    fn name(self) -> &'static str {
        match self {
            Self::What => "services",
            Self::From => "sources",
            Self::To => "targets",
        }
    }

    fn who(self, rule: &Rule) -> Option<&Who> {
        match self {
            Self::What => None,
            Self::From => rule.sentence.clauses.from.as_deref(),
            Self::To => rule.sentence.clauses.to.as_deref(),
        }
    }
}

/// A statement, and the comment behind it.
struct Line<'t> {
    span: Span,
    rule: &'t Rule,
    comment: Option<Span>,
}

/// The statements at a place and those around them, as one.
pub fn folds(db: &dyn Db, input: ProjectInput, file: FileId, span: Span) -> Vec<Action<'static>> {
    let Some(&(source, true)) = input.files(db).get(file.0 as usize) else { return Vec::new() };
    let text: &str = &source.source(db).text;
    let comments = &database::outline(db, source).comments;
    let Some((body, at)) = place(&database::parse(db, source).tree.statements, span) else { return Vec::new() };
    let fold = |slot| {
        let lines = run(text, comments, body, at, slot)?;
        let (first, last) = (lines.first()?, lines.last()?);
        let replacement = joined(text, &lines, slot)?;
        let span = first.span.to(last.comment.unwrap_or(last.span));
        Some(Action {
            title: format!("Make one statement of {}, with a list of {}", lines.len(), slot.name()),
            kind: ActionKind::Folds,
            edits: vec![Edit { location: Location { file, span }, replacement }],
        })
    };
    Slot::ALL.into_iter().filter_map(fold).collect()
}

/// The statements among which a rule stands that a span touches, and which of them it is.
fn place(statements: &[Statement], span: Span) -> Option<(&[Statement], usize)> {
    statements.iter().enumerate().find_map(|(at, statement)| match &statement.value {
        StatementKind::Rule(_) => touches(statement, span).then_some((statements, at)),
        StatementKind::Group(group) => place(&group.body, span),
        StatementKind::Scope(scope) => place(&scope.body, span),
        _ => None,
    })
}

/// The statements around one that can be folded into it: each on the line behind the other, two at least.
fn run<'t>(text: &str, comments: &[Span], body: &'t [Statement], at: usize, slot: Slot) -> Option<Vec<Line<'t>>> {
    let line = |statement: &'t Statement| {
        let StatementKind::Rule(rule) = &statement.value else { return None };
        let comment = behind(text, comments, statement.span)?;
        (folds_at_all(rule) && has_list(text, rule, slot)).then_some(Line { span: statement.span, rule, comment })
    };
    let anchor = line(body.get(at)?)?;
    let like = |statement: &'t Statement| line(statement).filter(|line| alike(line.rule, anchor.rule, slot));
    let mut lines = Vec::new();
    let mut next = anchor.span;
    for statement in body.get(..at)?.iter().rev().take(MOST) {
        let Some(line) = like(statement).filter(|line| are_neighbours(text, line, next)) else { break };
        next = line.span;
        lines.push(line);
    }
    lines.reverse();
    lines.push(Line { span: anchor.span, rule: anchor.rule, comment: anchor.comment });
    for statement in body.get(at + 1..)?.iter().take(MOST) {
        let Some(line) = like(statement) else { break };
        if !lines.last().is_some_and(|last| are_neighbours(text, last, line.span)) {
            break;
        }
        lines.push(line);
    }
    // What a comment before the first says to fwc is about the first alone.
    if lines.first().is_some_and(|first| is_spoken_for(text, first.span)) {
        lines.remove(0);
    }
    (lines.len() > 1 && lines.iter().any(|line| line.span == anchor.span)).then_some(lines)
}

/// The comment behind a statement on its line. None if it speaks to fwc: that is about the one statement.
fn behind(text: &str, comments: &[Span], statement: Span) -> Option<Option<Span>> {
    let next = comments.partition_point(|comment| comment.start < statement.end);
    let found = comments.get(next).filter(|comment| {
        text.get(statement.end as usize..comment.start as usize).is_some_and(|gap| !gap.contains('\n'))
    });
    let speaks = found.and_then(|comment| text.get(comment.range())).is_some_and(|comment| comment.contains("fwc:"));
    (!speaks).then(|| found.copied())
}

/// Whether a comment on the line before speaks to fwc.
fn is_spoken_for(text: &str, statement: Span) -> bool {
    let before = text.get(..statement.start as usize).unwrap_or_default();
    let mut lines = before.rsplit('\n').skip(1);
    lines.next().map(str::trim_start).is_some_and(|line| line.starts_with('#') && line.contains("fwc:"))
}

/// Whether nothing stands between a statement and the next but the end of a line.
fn are_neighbours(text: &str, line: &Line<'_>, next: Span) -> bool {
    let end = line.comment.unwrap_or(line.span).end as usize;
    let gap = text.get(end..next.start as usize).unwrap_or("none");
    gap.trim().is_empty() && gap.matches('\n').count() == 1
}

/// Whether a rule means the same in two parts as in one.
fn folds_at_all(rule: &Rule) -> bool {
    let counts = |option: &Spanned<RuleOption>| matches!(option.value, RuleOption::Limit(_) | RuleOption::Log(_));
    rule.action.value != Verb::Log && !rule.options.iter().any(counts)
}

/// Whether a list can be made of what a rule has there, on one line and without comments in it.
fn has_list(text: &str, rule: &Rule, slot: Slot) -> bool {
    let plain = |span: Span| text.get(span.range()).is_some_and(|there| !there.contains(['\n', '#']));
    match slot {
        Slot::What => extent(text, &rule.sentence.what).is_some_and(plain),
        _ => slot.who(rule).is_some_and(|who| !who.negated && plain(who.span) && who.members.iter().all(is_member)),
    }
}

/// Whether it may stand in a list beside others: everyone and the rest of the world leave nothing to add.
fn is_member(one: &One) -> bool {
    !one.negated && !matches!(one.place.value, Place::Any | Place::World)
}

/// Whether two rules are the same but for what they have there.
fn alike(one: &Rule, other: &Rule, slot: Slot) -> bool {
    let (a, b) = (&one.sentence, &other.sentence);
    let same = [
        slot == Slot::What || a.what == b.what,
        slot == Slot::From || a.clauses.from == b.clauses.from,
        slot == Slot::To || a.clauses.to == b.clauses.to,
        a.family == b.family && a.clauses.via == b.clauses.via,
        one.action == other.action && one.options == other.options,
    ];
    same.into_iter().all(|same| same)
}

/// Where the services stand, the braces around them with them.
fn extent(text: &str, what: &[Spanned<Item>]) -> Option<Span> {
    let whole = what.first()?.span.to(what.last()?.span);
    let before = text.get(..whole.start as usize)?.trim_end();
    let Some(open) = before.strip_suffix('{') else { return (what.len() == 1).then_some(whole) };
    let close = text.get(whole.end as usize..)?.find('}')?;
    Some(Span::new(open.len(), whole.end as usize + close + 1))
}

/// What stands in a list, or alone.
fn members(text: &str, span: Span) -> Option<&str> {
    let there = text.get(span.range())?.trim();
    let inner = there.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(there);
    Some(inner.trim().trim_end_matches(',').trim_end())
}

/// The one statement. None if it does not read as all of them together.
fn joined(text: &str, lines: &[Line<'_>], slot: Slot) -> Option<String> {
    let first = lines.first()?;
    let extent = |rule: &Rule| match slot {
        Slot::What => extent(text, &rule.sentence.what),
        _ => slot.who(rule).map(|who| who.span),
    };
    let commented = lines.iter().any(|line| line.comment.is_some());
    let list = match ports(text, lines, slot).filter(|_| !commented) {
        Some(ports) => ports,
        None => {
            let mut list = String::from("{");
            for line in lines {
                let comment = line.comment.and_then(|comment| text.get(comment.range())).unwrap_or_default();
                let end = if commented { "\n" } else { "" };
                list.push_str(&format!(" {}, {comment}{end}", members(text, extent(line.rule)?)?));
            }
            list + "}"
        }
    };
    let span = extent(first.rule)?;
    let before = text.get(first.span.start as usize..span.start as usize)?;
    let after = text.get(span.end as usize..first.span.end as usize)?;
    let laid_out = format::format(&format!("{before}{list}{after}\n"));
    reads_as_all(&laid_out, lines, slot).then(|| indented(text, first.span, laid_out.trim_end()))
}

/// Ports of one protocol are a list by themselves: `tcp 80, 443`.
fn ports(text: &str, lines: &[Line<'_>], slot: Slot) -> Option<String> {
    if slot != Slot::What {
        return None;
    }
    let mut list: Option<String> = None;
    for line in lines {
        let [Spanned { value: Item::Ports { ports, .. }, span }] = line.rule.sentence.what.as_slice() else {
            return None;
        };
        let words = text.get(span.range()).filter(|_| !ports.is_empty())?;
        let (_, own) = words.split_once(|letter: char| letter.is_whitespace())?;
        list = Some(list.map_or_else(|| words.to_owned(), |list| format!("{list}, {}", own.trim())));
    }
    list
}

/// Whether a text is one rule that says what all of them say.
fn reads_as_all(text: &str, lines: &[Line<'_>], slot: Slot) -> bool {
    let parsed = syntax::parse(text, FileId(0));
    let [Statement { value: StatementKind::Rule(rule), .. }] = parsed.tree.statements.as_slice() else { return false };
    let all = || lines.iter().map(|line| line.rule);
    let same = match slot {
        Slot::What => {
            let each = |item: &Spanned<Item>| single(&item.value);
            let own: Vec<_> = rule.sentence.what.iter().flat_map(each).collect();
            own == all().flat_map(|rule| &rule.sentence.what).flat_map(each).collect::<Vec<_>>()
        }
        _ => {
            let own: Vec<&One> = slot.who(rule).into_iter().flat_map(|who| &who.members).collect();
            own == all().filter_map(|rule| slot.who(rule)).flat_map(|who| &who.members).collect::<Vec<_>>()
        }
    };
    parsed.diagnostics.is_empty() && same && lines.first().is_some_and(|first| alike(rule, first.rule, slot))
}

/// What one item says, port by port: `tcp 80, 443` is `tcp 80` and `tcp 443`.
fn single(item: &Item) -> Vec<(Item, Option<(Protocol, PortRange)>)> {
    match item {
        Item::Ports { protocol, ports } if !ports.is_empty() => {
            let none = Item::Ports { protocol: *protocol, ports: Ports::default() };
            ports.iter().map(|&port| (none.clone(), Some((*protocol, port)))).collect()
        }
        other => vec![(other.clone(), None)],
    }
}

/// A statement as it stands at a place: its further lines as far in as its first.
fn indented(text: &str, place: Span, statement: &str) -> String {
    let before = text.get(..place.start as usize).unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    let indent = line.get(..line.len() - line.trim_start().len()).unwrap_or_default();
    statement.replace('\n', &format!("\n{indent}"))
}
