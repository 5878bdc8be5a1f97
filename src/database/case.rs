//! A project apart from the database: what takes long is worked out without a handle that whoever edits the texts would wait for.

use std::sync::Arc;

use super::{Db, Judged, Lowered, ProjectInput, Saying, expectations, found, named, project, relative, resolved};
use crate::assertion::{self, Outcome, Proof};
use crate::diagnostic::Diagnostic;
use crate::expectation::Expectations;
use crate::levels::Levels;
use crate::lower;
use crate::netfilter::Ruleset;
use crate::policy::Policy;
use crate::policy::resolve::resolve;
use crate::project::Project;
use crate::span::{FileId, SourceText};
use crate::syntax;

/// A project of which names and kinds are known, as a plain value apart from the database: whoever edits the texts need not wait for it.
#[derive(Clone)]
pub struct Unchecked {
    project: Arc<Project>,
    resolved: Arc<(Policy, Vec<Diagnostic>)>,
    named: Arc<Judged>,
    expectations: Arc<Expectations>,
    levels: Levels,
}

impl Unchecked {
    /// The project as it is now.
    #[must_use]
    pub fn new(db: &dyn Db, input: ProjectInput) -> Self {
        let (project, resolved) = (Arc::clone(project(db, input)), Arc::clone(resolved(db, input)));
        let (named, expectations) = (Arc::clone(named(db, input)), Arc::clone(expectations(db, input)));
        Self { project, resolved, named, expectations, levels: input.levels(db).clone() }
    }

    /// What is said before any check.
    #[must_use]
    pub fn said(&self) -> &[Diagnostic] {
        &self.named.said
    }

    /// Runs the checks.
    #[must_use]
    pub fn check(self) -> Case {
        let checks = Judged::by_checks(&self.project, &self.resolved.0, &self.expectations);
        Case { texts: self, checks }
    }
}

/// A project that was checked, to be proved.
pub struct Case {
    texts: Unchecked,
    checks: Judged,
}

/// What was proved of the asserts of a [`Case`], and what is to be looked at next.
pub struct Verdicts {
    /// What lowering and the asserts say, and what was expected of either and did not come.
    pub diagnostics: Vec<Diagnostic>,
    /// What became of the asserts.
    pub proofs: Vec<Proof>,
    /// The rules, for [`Case::findings`] and [`Case::emission`]; none if a fault leaves them without a meaning.
    pub ruleset: Option<Ruleset>,
    /// What comments say is known.
    excused: Vec<Diagnostic>,
}

impl Case {
    /// What the checks say.
    #[must_use]
    pub fn checks(&self) -> &[Diagnostic] {
        &self.checks.said
    }

    /// What of it leaves nothing to be built or proved.
    pub fn stopping(&self) -> impl Iterator<Item = &Diagnostic> {
        self.checks.said.iter().filter(|one| self.texts.levels.stops(one))
    }

    /// Everything that is said before the project is lowered.
    fn said(&self) -> impl Iterator<Item = &Diagnostic> {
        self.texts.named.said.iter().chain(&self.checks.said)
    }

    /// What of that is known.
    fn excused(&self) -> impl Iterator<Item = &Diagnostic> {
        self.texts.named.excused.iter().chain(&self.checks.excused)
    }

    /// Proves the asserts; nothing is proved of a project with errors. None if it was given up on the way.
    #[must_use]
    pub fn asserts(&self, is_given_up: &dyn Fn() -> bool) -> Option<Verdicts> {
        let mut saying = self.saying();
        if self.said().any(|one| self.texts.levels.stops(one)) || is_given_up() {
            let (diagnostics, proofs, excused) = (Vec::new(), Vec::new(), Vec::new());
            return (!is_given_up()).then_some(Verdicts { diagnostics, proofs, ruleset: None, excused });
        }
        let (policy, _) = &*self.texts.resolved;
        let target = self.texts.project.target(&policy.facts);
        let (ruleset, notes) = lower::lower(policy, target);
        saying.say(notes);
        if is_given_up() {
            return None;
        }
        let mut proofs = assertion::prove(policy, &ruleset, target);
        saying.say_proofs(&mut proofs);
        saying.diagnostics.extend(proofs.iter().filter_map(|proof| proof.diagnostic.clone()));
        if is_given_up() {
            return None;
        }
        let hole = saying.diagnostics.iter().any(|one| self.texts.levels.stops(one) && assertion::is_hole(one));
        let (diagnostics, excused) = saying.whole();
        Some(Verdicts { diagnostics, proofs, ruleset: (!hole).then_some(ruleset), excused })
    }

    /// What is found of the rules beside what was told of them before.
    #[must_use]
    pub fn findings(&self, verdicts: &Verdicts) -> Vec<Diagnostic> {
        let Some(ruleset) = &verdicts.ruleset else { return Vec::new() };
        let target = self.texts.project.target(&self.texts.resolved.0.facts);
        let told = self.said().chain(&verdicts.diagnostics).chain(&verdicts.excused).cloned();
        let told: Vec<Diagnostic> = told.collect();
        found(&self.texts.project, ruleset, target, false, &told, &self.texts.expectations)
    }

    /// With what is known of the texts, and nothing said yet.
    fn saying(&self) -> Saying {
        Saying {
            expectations: Arc::clone(&self.texts.expectations),
            levels: self.texts.levels.clone(),
            diagnostics: Vec::new(),
            excused: self.excused().cloned().collect(),
        }
    }

    /// What emission says of the rules.
    #[must_use]
    pub fn emission(&self, ruleset: Ruleset) -> Vec<Diagnostic> {
        let (policy, _) = &*self.texts.resolved;
        let target = self.texts.project.target(&policy.facts);
        let sources = relative(&self.texts.project.files);
        let told: Vec<Diagnostic> = self.said().chain(self.excused()).cloned().collect();
        let header = lower::summary::header(policy, target, &lower::summary::limits(&told, &sources));
        let mut saying = self.saying();
        Lowered { ruleset, sources, target, header, partial: false }.written("policy", &mut saying);
        saying.diagnostics
    }

    /// What becomes of asserts that are written at the end of a file, in their order. Empty for a project with faults, or if the asserts
    /// have some, or if it was given up on the way.
    #[must_use]
    pub fn would_hold(&self, file: FileId, asserts: &str, is_given_up: &dyn Fn() -> bool) -> Vec<Outcome> {
        let is_fault = |one: &Diagnostic| one.is_error() && assertion::is_hole(one);
        let Some(source) = self.texts.project.source(file).filter(|_| !self.said().any(is_fault)) else {
            return Vec::new();
        };
        let before = source.text.len();
        let text = SourceText { path: Arc::clone(&source.path), text: format!("{}\n{asserts}", source.text).into() };
        let parsed = Arc::new(syntax::parse(&text.text, file));
        if !parsed.diagnostics.is_empty() || is_given_up() {
            return Vec::new();
        }
        let mut project = Project::clone(&self.texts.project);
        let at = file.0 as usize;
        if let (Some(own), Some(tree)) = (project.files.get_mut(at), project.parsed.get_mut(at)) {
            (*own, *tree) = (text, Some(parsed));
        }
        let (mut policy, faults) = resolve(&project);
        policy.assertions.retain(|one| one.location.file == file && one.location.span.start as usize >= before);
        if faults.iter().any(is_fault) || is_given_up() {
            return Vec::new();
        }
        let target = project.target(&policy.facts);
        let (ruleset, _) = lower::lower(&policy, target);
        if is_given_up() {
            return Vec::new();
        }
        assertion::prove(&policy, &ruleset, target).into_iter().map(|proof| proof.outcome).collect()
    }
}
