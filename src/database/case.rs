//! A project apart from the database: what takes long is worked out without a handle that whoever edits the texts would wait for.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Db, Judged, Lowered, ProjectInput, Saying, expectations, named, project, relative, resolved};
use crate::assertion::{self, Outcome, Proof};
use crate::diagnostic::Diagnostic;
use crate::expectation::{Expectations, Sought};
use crate::levels::Levels;
use crate::lower;
use crate::netfilter::Ruleset;
use crate::policy::Policy;
use crate::policy::resolve::resolve;
use crate::project::Project;
use crate::prove::findings::report::{Origin, Report};
use crate::prove::findings::{Search, findings};
use crate::span::{FileId, Location, SourceText};
use crate::syntax;
use crate::syntax::tree::Target;

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

    /// Runs the checks. None if they were given up on the way.
    #[must_use]
    pub fn check(self, is_given_up: &dyn Fn() -> bool) -> Option<Case> {
        let checks = Judged::by_checks(&self.project, &self.resolved.0, &self.expectations, is_given_up)?;
        Some(Case { texts: self, checks })
    }
}

/// A project that was checked, to be proved.
pub struct Case {
    texts: Unchecked,
    checks: Judged,
}

/// What was proved of the asserts of a [`Case`], and what is to be looked at next.
pub struct Verdicts {
    /// What became of the asserts.
    pub proofs: Vec<Proof>,
    /// The rules; none if a fault leaves them without a meaning.
    ruleset: Option<Ruleset>,
    saying: Saying,
    /// Of how much it is said before anything is lowered.
    before: usize,
}

impl Verdicts {
    /// What lowering and the asserts say, and what was expected of either and did not come.
    #[must_use]
    pub fn diagnostics(self) -> Vec<Diagnostic> {
        self.saying.whole().0.split_off(self.before)
    }
}

/// What was found of the rules of a [`Case`].
pub struct Found {
    /// The rules and what was found of them; none if a fault leaves them without a meaning, and then nothing was looked for.
    rules: Option<(Ruleset, Vec<Diagnostic>)>,
    target: Target,
    files: Vec<SourceText>,
    expectations: Arc<Expectations>,
    /// Whether what is rarely a fault was looked for.
    all: bool,
    saying: Saying,
    /// Of how much it is said before anything is lowered.
    before: usize,
}

impl Found {
    /// What [`Found::whole`] begins with if the rules can be written, as nearly all can: for who waits for an answer. What was expected and
    /// did not come is known in the end alone.
    #[must_use]
    pub fn likely(&self) -> Vec<Diagnostic> {
        let mut found = self.rules.as_ref().map_or_else(Vec::new, |(_, found)| found.clone());
        self.expectations.excuse(&mut found, &mut Vec::new());
        self.saying.diagnostics.iter().skip(self.before).cloned().chain(found).collect()
    }

    /// What there is to say beside [`Case::said`]: what lowering and the asserts say, what emission says of the rules, what is found of
    /// them, and what was expected and did not come.
    #[must_use]
    pub fn whole(self) -> Vec<Diagnostic> {
        let Self { rules, target, files, expectations, all, mut saying, before } = self;
        let mut found = Vec::new();
        if let Some((ruleset, of_rules)) = rules {
            // What the files would be is of no interest, but whether they can be written.
            let (sources, header) = (relative(&files), Vec::new());
            Lowered { ruleset, sources, target, header, partial: false, in_force: String::new() }
                .written("policy", &mut saying);
            // Of rules that cannot be written nothing is found.
            if !saying.has_hole() {
                let told: HashSet<Location> = saying.told().map(|one| one.primary.location).collect();
                found.extend(of_rules.into_iter().filter(|one| !told.contains(&one.primary.location)));
            }
            expectations.settle(&mut found, Sought::Findings { all });
        }
        let mut diagnostics = saying.whole().0.split_off(before);
        diagnostics.extend(found);
        diagnostics
    }
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
    pub fn said(&self) -> impl Iterator<Item = &Diagnostic> {
        self.texts.named.said.iter().chain(&self.checks.said)
    }

    /// Proves the asserts; nothing is proved of a project with errors. None if it was given up on the way.
    #[must_use]
    pub fn asserts(&self, is_given_up: &dyn Fn() -> bool) -> Option<Verdicts> {
        let mut saying = self.saying();
        let before = saying.diagnostics.len();
        if saying.stops() || is_given_up() {
            return (!is_given_up()).then_some(Verdicts { proofs: Vec::new(), ruleset: None, saying, before });
        }
        let (policy, _) = &*self.texts.resolved;
        let target = self.target();
        let (ruleset, notes) = lower::lower(policy, target);
        saying.say(notes);
        if is_given_up() {
            return None;
        }
        let mut proofs = assertion::prove(policy, &ruleset, target);
        saying.say_proofs(&mut proofs);
        saying.diagnostics.extend(proofs.iter().filter_map(|proof| proof.diagnostic.clone()));
        let ruleset = (!saying.has_hole()).then_some(ruleset);
        (!is_given_up()).then_some(Verdicts { proofs, ruleset, saying, before })
    }

    /// What the policy has in force, in one line.
    #[must_use]
    pub fn in_force(&self, verdicts: &Verdicts) -> String {
        lower::summary::in_one_line(&self.texts.resolved.0, assertion::proved(&verdicts.proofs))
    }

    /// Looks for what is to be found of the rules. With `all`, what is rarely a fault is looked for, too. None if it was given up.
    #[must_use]
    pub fn found(self, verdicts: Verdicts, all: bool, is_given_up: &dyn Fn() -> bool) -> Option<Found> {
        let target = self.target();
        let Verdicts { ruleset, saying, before, .. } = verdicts;
        let Unchecked { project, resolved, expectations, .. } = self.texts;
        // What nobody else looks at any more makes room.
        let project = Project { parsed: Vec::new(), ..Arc::unwrap_or_clone(project) };
        drop(resolved);
        let told: HashSet<Location> = saying.told().map(|one| one.primary.location).collect();
        let rules = ruleset.map(|ruleset| {
            let found = findings(&ruleset, Search { policies: target == Target::Nft, overlaps: all });
            let report = Report::new(&ruleset, &found, &project.files, Origin::Statements, all);
            let own = |location: Location| !project.library.contains(&location.file) && !told.contains(&location);
            let found = report.diagnostics(|_, _, rule| rule.origin.is_some_and(own));
            (ruleset, found)
        });
        let found = Found { rules, target, files: project.files, expectations, all, saying, before };
        (!is_given_up()).then_some(found)
    }

    fn target(&self) -> Target {
        self.texts.project.target(&self.texts.resolved.0.facts)
    }

    /// With everything that is said before the project is lowered.
    fn saying(&self) -> Saying {
        Saying {
            expectations: Arc::clone(&self.texts.expectations),
            levels: self.texts.levels.clone(),
            diagnostics: self.said().cloned().collect(),
            excused: self.texts.named.excused.iter().chain(&self.checks.excused).cloned().collect(),
        }
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
