//! Asserts that hold now, made of a statement: what it says of its own packets, and of an `allow` that nobody else gets in. They are
//! offered if the proof engine says so, and stand with the file's other asserts.

use super::{Action, ActionKind, touches};
use crate::assertion::Outcome;
use crate::database::{self, Db, ProjectInput, Unchecked};
use crate::diagnostic::Edit;
use crate::span::{FileId, Location, Span, Spanned};
use crate::syntax;
use crate::syntax::tree::{
    Action as Verb, Clauses, Direction, Guest, GuestKind, Place, Rule, Statement, StatementKind, Who,
};

/// A rule with all that is said of it, as source text.
#[derive(Clone, Debug, Default)]
struct Sentence {
    verb: &'static str,
    what: String,
    from: Option<String>,
    to: Option<String>,
    via: Option<String>,
    /// Everyone but whom it is from.
    others: Option<String>,
}

impl Sentence {
    /// Takes clauses in that were not said further in.
    fn take(&mut self, text: &str, clauses: &Clauses) -> Option<()> {
        if let (None, Some(from)) = (&self.from, &clauses.from) {
            self.from = Some(text.get(from.span.range())?.to_owned());
            self.others = others(text, from);
        }
        if let (None, Some(to)) = (&self.to, &clauses.to) {
            self.to = Some(text.get(to.span.range())?.to_owned());
        }
        if self.via.is_none() {
            self.via = list(text, &clauses.via);
        }
        Some(())
    }

    fn assert(&self, verb: &str, from: Option<&String>) -> String {
        let clause = |word: &str, said: Option<&String>| said.map(|said| format!(" {word} {said}")).unwrap_or_default();
        let (from, to, via) = (clause("from", from), clause("to", self.to.as_ref()), clause("via", self.via.as_ref()));
        format!("assert {verb}{}{from}{to}{via}", self.what)
    }
}

/// The asserts that a statement at a place gives and that hold.
pub fn asserts(db: &dyn Db, input: ProjectInput, file: FileId, span: Span) -> Vec<Action<'static>> {
    let files = input.files(db);
    let Some(&(source, true)) = files.get(file.0 as usize) else { return Vec::new() };
    let text: &str = &source.source(db).text;
    let parsed = database::parse(db, source);
    let Some(sentence) = sentence(text, &parsed.tree.statements, span) else { return Vec::new() };
    let mut candidates = vec![(sentence.assert(sentence.verb, sentence.from.as_ref()), "Assert what it says")];
    if let Some(others) = sentence.others.as_ref().filter(|_| sentence.verb == "allow") {
        candidates.push((sentence.assert("deny", Some(others)), "Assert that nobody else is let in"));
    }
    candidates.retain(|(assert, _)| is_new(&parsed.tree.statements, assert));
    let written: Vec<&str> = candidates.iter().map(|(assert, _)| assert.as_str()).collect();
    let is_given_up = || {
        database::give_way(db);
        false
    };
    let Some(case) = Unchecked::new(db, input).check(&is_given_up) else { return Vec::new() };
    let outcomes = case.would_hold(file, &(written.join("\n") + "\n"), &is_given_up);
    if outcomes.len() != candidates.len() {
        return Vec::new();
    }
    let holding = candidates.into_iter().zip(outcomes).filter(|(_, outcome)| *outcome == Outcome::Holds);
    let action = |((assert, title), _): ((String, &str), Outcome)| Action {
        title: format!("{title}: it holds now"),
        kind: ActionKind::Asserts,
        edits: vec![insertion(text, &parsed.tree.statements, file, &assert)],
    };
    holding.map(action).collect()
}

/// The rule at a place with what the blocks around it say. None if it is none, or if what it means hangs on who applies it.
fn sentence(text: &str, statements: &[Statement], span: Span) -> Option<Sentence> {
    statements.iter().find_map(|statement| match &statement.value {
        StatementKind::Rule(rule) if touches(statement, span) => of_rule(text, rule),
        StatementKind::Scope(scope) => {
            let mut sentence = sentence(text, &scope.body, span)?;
            sentence.take(text, &scope.clauses)?;
            Some(sentence)
        }
        StatementKind::Guest(guest) => of_gate(text, guest, span),
        _ => None,
    })
}

fn of_rule(text: &str, rule: &Rule) -> Option<Sentence> {
    let verb = match rule.action.value {
        Verb::Allow => "allow",
        Verb::Deny => "deny",
        Verb::Reject(_) => "reject",
        Verb::Log => return None,
    };
    let mut what = String::new();
    if let Some(family) = &rule.sentence.family {
        what = format!(" {}", text.get(family.span.range())?);
    }
    if let Some(items) = list(text, &rule.sentence.what) {
        what.push_str(&format!(" {items}"));
    }
    let mut sentence = Sentence { verb, what, ..Sentence::default() };
    sentence.take(text, &rule.sentence.clauses)?;
    Some(sentence)
}

/// A line of a guest's block: towards it, or from it.
fn of_gate(text: &str, guest: &Guest, span: Span) -> Option<Sentence> {
    let gate = guest.gates.iter().flatten().find(|gate| touches(&gate.statement, span))?;
    let StatementKind::Rule(rule) = &gate.statement.value else { return None };
    let mut sentence = of_rule(text, rule)?;
    let kind = match guest.kind {
        GuestKind::Guest => "guest",
        GuestKind::Instance => "instance",
    };
    let own = format!("{kind} {}", text.get(guest.name.span.range())?);
    match gate.direction.value {
        Direction::In if sentence.to.is_none() => sentence.to = Some(own),
        Direction::Out if sentence.from.is_none() => (sentence.from, sentence.others) = (Some(own), None),
        _ => return None,
    }
    Some(sentence)
}

/// Everyone in the world but these.
fn others(text: &str, who: &Who) -> Option<String> {
    let named = |place: &Place| matches!(place, Place::Address(_) | Place::Network(_) | Place::Name(_));
    let plain = who.members.iter().all(|one| !one.negated && named(&one.place.value));
    let there = text.get(who.span.range())?;
    (plain && !who.negated).then(|| format!("not {there}"))
}

/// Things in a row, in braces if they are several.
fn list<T>(text: &str, items: &[Spanned<T>]) -> Option<String> {
    let words = items.iter().map(|item| text.get(item.span.range())).collect::<Option<Vec<&str>>>()?;
    match words.as_slice() {
        [] => None,
        [one] => Some((*one).to_owned()),
        several => Some(format!("{{ {} }}", several.join(", "))),
    }
}

/// Whether a file does not say it yet.
fn is_new(statements: &[Statement], assert: &str) -> bool {
    let parsed = syntax::parse(assert, FileId(0));
    parsed.tree.statements.first().is_some_and(|own| !statements.iter().any(|known| known.value == own.value))
}

/// Behind the last assert of a file, else at its end.
fn insertion(text: &str, statements: &[Statement], file: FileId, assert: &str) -> Edit {
    let last = statements.iter().rev().find(|statement| matches!(statement.value, StatementKind::Assert(_)));
    let end_of_line = |at: usize| text.get(at..).and_then(|rest| rest.find('\n')).map(|length| at + length);
    let (at, replacement) = match last.map(|statement| end_of_line(statement.span.end as usize)) {
        Some(Some(end)) => (end + 1, format!("{assert}\n")),
        Some(None) => (text.len(), format!("\n{assert}\n")),
        None if text.ends_with('\n') || text.is_empty() => (text.len(), format!("\n{assert}\n")),
        None => (text.len(), format!("\n\n{assert}\n")),
    };
    Edit { location: Location { file, span: Span::new(at, at) }, replacement }
}
