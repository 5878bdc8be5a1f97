//! A project apart from the database: what takes long is worked out without a handle that whoever edits the texts would wait for.

use std::sync::Arc;

use super::{Db, Judged, Lowered, ProjectInput, Saying, expectations, found, judged, project, relative, resolved};
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

/// What is proved of a project, as a plain value apart from the database: whoever edits the texts need not wait for it.
#[derive(Clone)]
pub struct Case {
    project: Arc<Project>,
    resolved: Arc<(Policy, Vec<Diagnostic>)>,
    judged: Arc<Judged>,
    expectations: Arc<Expectations>,
    levels: Levels,
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
    /// The case of a project as it is now.
    #[must_use]
    pub fn new(db: &dyn Db, input: ProjectInput) -> Self {
        let (project, resolved) = (Arc::clone(project(db, input)), Arc::clone(resolved(db, input)));
        let (judged, expectations) = (Arc::clone(judged(db, input)), Arc::clone(expectations(db, input)));
        Self { project, resolved, judged, expectations, levels: input.levels(db).clone() }
    }

    /// The project.
    #[must_use]
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// Proves the asserts; nothing is proved of a project with errors. None if it was given up on the way.
    #[must_use]
    pub fn asserts(&self, is_given_up: &dyn Fn() -> bool) -> Option<Verdicts> {
        let mut saying = self.saying();
        if self.judged.said.iter().any(|one| self.levels.stops(one)) || is_given_up() {
            let (diagnostics, proofs, excused) = (Vec::new(), Vec::new(), Vec::new());
            return (!is_given_up()).then_some(Verdicts { diagnostics, proofs, ruleset: None, excused });
        }
        let (policy, _) = &*self.resolved;
        let target = self.project.target(&policy.facts);
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
        let hole = saying.diagnostics.iter().any(|one| self.levels.stops(one) && assertion::is_hole(one));
        let (diagnostics, excused) = saying.whole();
        Some(Verdicts { diagnostics, proofs, ruleset: (!hole).then_some(ruleset), excused })
    }

    /// What is found of the rules beside what was told of them before.
    #[must_use]
    pub fn findings(&self, verdicts: &Verdicts) -> Vec<Diagnostic> {
        let Some(ruleset) = &verdicts.ruleset else { return Vec::new() };
        let target = self.project.target(&self.resolved.0.facts);
        let told = self.judged.said.iter().chain(&verdicts.diagnostics).chain(&verdicts.excused).cloned();
        let told: Vec<Diagnostic> = told.collect();
        found(&self.project, ruleset, target, false, &told, &self.expectations)
    }

    /// With what is known of the texts, and nothing said yet.
    fn saying(&self) -> Saying {
        Saying {
            expectations: Arc::clone(&self.expectations),
            levels: self.levels.clone(),
            diagnostics: Vec::new(),
            excused: self.judged.excused.clone(),
        }
    }

    /// What emission says of the rules.
    #[must_use]
    pub fn emission(&self, ruleset: Ruleset) -> Vec<Diagnostic> {
        let (policy, _) = &*self.resolved;
        let target = self.project.target(&policy.facts);
        let sources = relative(&self.project.files);
        let told: Vec<Diagnostic> = self.judged.said.iter().chain(&self.judged.excused).cloned().collect();
        let header = lower::summary::header(policy, target, &lower::summary::limits(&told, &sources));
        let mut saying = self.saying();
        Lowered { ruleset, sources, target, header, partial: false }.written("policy", &mut saying);
        saying.diagnostics
    }

    /// What becomes of asserts that are written at the end of a file, in their order. Empty for a project with faults, or if the asserts
    /// have some, or if it was given up on the way.
    #[must_use]
    pub fn would_hold(&self, file: FileId, asserts: &str, is_given_up: &dyn Fn() -> bool) -> Vec<Outcome> {
        let faulty = |said: &[Diagnostic]| said.iter().any(|one| one.is_error() && assertion::is_hole(one));
        let Some(source) = self.project.source(file).filter(|_| !faulty(&self.judged.said)) else { return Vec::new() };
        let before = source.text.len();
        let text = SourceText { path: Arc::clone(&source.path), text: format!("{}\n{asserts}", source.text).into() };
        let parsed = Arc::new(syntax::parse(&text.text, file));
        if !parsed.diagnostics.is_empty() || is_given_up() {
            return Vec::new();
        }
        let mut project = Project::clone(&self.project);
        let at = file.0 as usize;
        if let (Some(own), Some(tree)) = (project.files.get_mut(at), project.parsed.get_mut(at)) {
            (*own, *tree) = (text, Some(parsed));
        }
        let (mut policy, faults) = resolve(&project);
        policy.assertions.retain(|one| one.location.file == file && one.location.span.start as usize >= before);
        if faulty(&faults) || is_given_up() {
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
