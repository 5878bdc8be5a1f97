//! The one database, under the command line and under the language server: salsa keeps what each text came to and does again
//! only what a change touches. Salsa's attributes live in this module alone; the stages are plain functions of plain values.
//!
//! Queries return their diagnostics; nothing is accumulated on the side. A tree's equality ignores spans (so that a stage may
//! compare what two versions of a file say), and for that very reason no query here may be cut off early by it: a diagnostic
//! that was computed for the old spans would point at the wrong lines. Hence `no_eq` on every query that carries spans; an
//! unchanged text is recognised when it is set, before salsa hears of it.

#![allow(missing_docs, reason = "salsa's macros make methods that have no documentation")]

mod case;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use salsa::Setter as _;

use crate::assertion::Proof;
use crate::diagnostic::Diagnostic;
use crate::expectation::{Expectations, Sought};
use crate::levels::Levels;
use crate::netfilter::Ruleset;
use crate::policy::Policy;
use crate::policy::meaning::Meanings;
use crate::policy::resolve::resolve;
use crate::project::{Import, Options, Project, Root, System, load};
use crate::span::{FileId, Location, SourceText};
use crate::syntax;
use crate::syntax::Parsed;
use crate::syntax::outline::Outline;
use crate::syntax::tree::Target;
use crate::{assertion, check, emit, library, lower, memory, optimise, policy, verify};

pub use case::{Case, Found, Unchecked, Verdicts};

/// What the queries need of a database.
#[salsa::db]
pub trait Db: salsa::Database {}

/// The database.
#[salsa::db]
#[derive(Clone, Default)]
pub struct Database {
    storage: salsa::Storage<Self>,
    /// Texts by path, so that a project that is read again finds its files.
    files: HashMap<Arc<str>, SourceFile>,
}

#[salsa::db]
impl salsa::Database for Database {}

#[salsa::db]
impl Db for Database {}

/// A text.
#[salsa::input]
pub struct SourceFile {
    /// Its place in the project's table.
    #[returns(copy)]
    pub id: FileId,
    /// Path and content.
    #[returns(ref)]
    pub source: SourceText,
}

/// Everything that a build is a function of.
#[salsa::input]
pub struct ProjectInput {
    /// The table of texts; each with whether it is a policy file.
    #[returns(ref)]
    pub files: Vec<(SourceFile, bool)>,
    /// What each statement led to.
    #[returns(ref)]
    pub imports: Vec<Import>,
    /// The standard library's files.
    #[returns(ref)]
    pub library: Vec<FileId>,
    /// The facts file.
    #[returns(copy)]
    pub facts: Option<FileId>,
    /// What the command line says about the target.
    #[returns(copy)]
    pub target: Option<Target>,
    /// What went wrong while the texts were read.
    #[returns(ref)]
    pub loading: Vec<Diagnostic>,
    /// The levels of codes.
    #[returns(ref)]
    pub levels: Levels,
}

impl Database {
    /// Reads a project. Reading again after a change keeps what the unchanged texts came to.
    pub fn load(&mut self, system: &dyn System, root: Root, options: Options) -> ProjectInput {
        let (project, files, loading, levels) = self.read(system, root, options);
        let Project { imports, library, facts, target, .. } = project;
        ProjectInput::new(self, files, imports, library, facts, target, loading, levels)
    }

    /// As [`Database::load`], into the input that an earlier reading gave: for a session, in which a project is read at every
    /// keystroke. What did not change is not set, so that what rests on it is kept.
    pub fn reload(&mut self, input: ProjectInput, system: &dyn System, root: Root, options: Options) {
        let (project, files, loading, levels) = self.read(system, root, options);
        if *input.levels(self) != levels {
            input.set_levels(self).to(levels);
        }
        if *input.files(self) != files {
            input.set_files(self).to(files);
        }
        if *input.imports(self) != project.imports {
            input.set_imports(self).to(project.imports);
        }
        if *input.library(self) != project.library {
            input.set_library(self).to(project.library);
        }
        if input.facts(self) != project.facts {
            input.set_facts(self).to(project.facts);
        }
        if input.target(self) != project.target {
            input.set_target(self).to(project.target);
        }
        if *input.loading(self) != loading {
            input.set_loading(self).to(loading);
        }
    }

    /// What a project consists of; the table of its texts, each with whether it is a policy file; what went wrong; and the levels.
    fn read(
        &mut self,
        system: &dyn System,
        root: Root,
        options: Options,
    ) -> (Project, Vec<(SourceFile, bool)>, Vec<Diagnostic>, Levels) {
        let mut table: Vec<Option<SourceFile>> = Vec::new();
        let levels = options.levels.clone();
        let (mut project, loading) = load(system, root, options, &mut |id, source| {
            let file = self.file(id, source);
            let at = id.0 as usize;
            if table.len() <= at {
                table.resize(at + 1, None);
            }
            if let Some(slot) = table.get_mut(at) {
                *slot = Some(file);
            }
            Arc::clone(parse(self, file))
        });
        table.resize(project.files.len(), None);
        let files = (0u32..)
            .zip(std::mem::take(&mut project.files))
            .zip(table)
            .map(|((id, source), known)| {
                known.map_or_else(|| (self.file(FileId(id), &source), false), |policy| (policy, true))
            })
            .collect();
        (project, files, loading, levels)
    }

    /// The input for a text: the one that it had before, with what changed set anew.
    fn file(&mut self, id: FileId, source: &SourceText) -> SourceFile {
        if let Some(&file) = self.files.get(&source.path) {
            if file.source(self) != source {
                file.set_source(self).to(source.clone());
            }
            if file.id(self) != id {
                file.set_id(self).to(id);
            }
            return file;
        }
        let file = SourceFile::new(self, id, source.clone());
        self.files.insert(Arc::clone(&source.path), file);
        file
    }
}

/// Does work that asks the database, unless the texts change meanwhile: whoever changes them waits for every handle of the database to
/// be let go, and so the work ends at its next question. None if that happened.
pub fn unless_changed<T>(work: impl FnOnce() -> T) -> Option<T> {
    salsa::Cancelled::catch(std::panic::AssertUnwindSafe(work)).ok()
}

/// Lets whoever waits to change the texts do so: the work that [`unless_changed`] is doing ends here if there is somebody.
pub fn give_way(db: &dyn Db) {
    db.unwind_if_revision_cancelled();
}

/// What a text says.
#[salsa::tracked(returns(ref), no_eq)]
pub fn parse(db: &dyn Db, file: SourceFile) -> Arc<Parsed> {
    let source = file.source(db);
    let of_library = library_trees().find(|(known, _)| Arc::ptr_eq(&known.text, &source.text));
    of_library.map_or_else(|| Arc::new(syntax::parse(&source.text, file.id(db))), |(_, parsed)| Arc::clone(parsed))
}

/// What the library's files say. It is the same in every project: there is nothing wrong with them that would have a place.
fn library_trees() -> impl Iterator<Item = (&'static SourceText, &'static Arc<Parsed>)> {
    static TREES: LazyLock<Vec<Arc<Parsed>>> = LazyLock::new(|| {
        let parsed = library::sources().iter().map(|source| syntax::parse(&source.text, FileId::default()));
        parsed.map(Arc::new).collect()
    });
    library::sources().iter().zip(TREES.iter())
}

/// What each word of a text is, also where it cannot be read.
#[salsa::tracked(returns(ref), no_eq)]
pub fn outline(db: &dyn Db, file: SourceFile) -> Arc<Outline> {
    Arc::new(syntax::outline::outline(&file.source(db).text))
}

/// The project as a plain value, for the stages behind.
#[salsa::tracked(returns(ref), no_eq)]
pub fn project(db: &dyn Db, input: ProjectInput) -> Arc<Project> {
    let files = input.files(db);
    Arc::new(Project {
        root: FileId(0),
        files: files.iter().map(|(file, _)| file.source(db).clone()).collect(),
        parsed: files.iter().map(|&(file, policy)| policy.then(|| Arc::clone(parse(db, file)))).collect(),
        imports: input.imports(db).clone(),
        library: input.library(db).clone(),
        facts: input.facts(db),
        target: input.target(db),
    })
}

/// What is wrong with the texts themselves: what could not be read and what could not be parsed.
#[salsa::tracked(returns(ref), no_eq)]
pub fn source_diagnostics(db: &dyn Db, input: ProjectInput) -> Arc<Vec<Diagnostic>> {
    let parsed = input.files(db).iter().filter(|(_, policy)| *policy);
    let mut diagnostics = input.loading(db).clone();
    diagnostics.extend(parsed.flat_map(|&(file, _)| parse(db, file).diagnostics.iter().cloned()));
    Arc::new(diagnostics)
}

/// What a project comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiled {
    /// Everything there is to say about it.
    pub diagnostics: Vec<Diagnostic>,
    /// What comments say is known.
    pub excused: Vec<Diagnostic>,
    /// The target that was chosen.
    pub target: Target,
    /// The files to write, name and text. Empty if there is an error.
    pub outputs: Vec<(String, String)>,
    /// The files, read back, do not mean what the policy means: a fault of the compiler. Then there are none.
    pub disagreement: Option<verify::Disagreement>,
    /// What the policy has in force, in one line; empty if there is an error.
    pub in_force: String,
}

/// A line that is written for a target, and every statement that it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenLine {
    /// The line.
    pub line: emit::Line,
    /// The statements; several, if rules were made into one.
    pub origins: Vec<Location>,
}

/// The lines that statements become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The lines, in the order of the files.
    pub lines: Vec<WrittenLine>,
    /// Whether the project has no errors: otherwise nothing is built, and these lines are those of the statements that could be read.
    pub whole: bool,
}

/// The lines that a project's statements become for a target.
#[salsa::tracked(returns(ref), no_eq)]
pub fn written(db: &dyn Db, input: ProjectInput, target: Target) -> Arc<Written> {
    let project = project(db, input);
    let (policy, faults) = &**resolved(db, input);
    let whole = !faults.iter().chain(source_diagnostics(db, input).iter()).any(Diagnostic::is_error);
    let (mut ruleset, _) = lower::lower(policy, target);
    let sources = relative(&project.files);
    let folded = optimise::optimise(&mut ruleset, target, &sources);
    let context = emit::Context { target, stem: "policy", sources: &sources, header: Vec::new(), partial: false };
    let origins = |line: &emit::Line| {
        let several = line.comment.as_ref().and_then(|comment| folded.get(&(line.origin, Arc::clone(comment))));
        several.cloned().unwrap_or_else(|| vec![line.origin])
    };
    let lines = emit::lines(&ruleset, &context).into_iter();
    Arc::new(Written { lines: lines.map(|line| WrittenLine { origins: origins(&line), line }).collect(), whole })
}

/// What the names of a project stand for.
#[salsa::tracked(returns(ref), no_eq)]
pub fn meanings(db: &dyn Db, input: ProjectInput) -> Arc<Meanings> {
    Arc::new(policy::meaning::meanings(project(db, input), &resolved(db, input).0))
}

/// What the source means.
#[salsa::tracked(returns(ref), no_eq)]
pub fn resolved(db: &dyn Db, input: ProjectInput) -> Arc<(Policy, Vec<Diagnostic>)> {
    Arc::new(resolve(project(db, input)))
}

/// What comments say of findings.
#[salsa::tracked(returns(ref), no_eq)]
pub fn expectations(db: &dyn Db, input: ProjectInput) -> Arc<Expectations> {
    Arc::new(Expectations::of_policy(project(db, input)))
}

/// The whole road for one project. Output files are named after `stem`.
pub fn compile(db: &dyn Db, input: ProjectInput, stem: String) -> &Arc<Compiled> {
    compile_part(db, input, stem, Vec::new())
}

/// As [`compile`]; with names of guests, instances or groups in `only`, the output is their chains alone.
#[salsa::tracked(returns(ref), no_eq)]
pub fn compile_part(db: &dyn Db, input: ProjectInput, stem: String, only: Vec<String>) -> Arc<Compiled> {
    let project = project(db, input);
    let (policy, _) = &**resolved(db, input);
    let target = project.target(&policy.facts);
    let mut saying = Saying::new(db, input);
    let (mut outputs, mut in_force) = (Vec::new(), String::new());
    // A policy with a hole in it is not lowered: what it would say is not what it will say.
    if !saying.stops() {
        let lowered = Lowered::new(policy, target, &only, &project.files, &mut saying);
        in_force.clone_from(&lowered.in_force);
        outputs = lowered.written(&stem, &mut saying);
    }
    let (diagnostics, excused) = saying.whole();
    Arc::new(Compiled { diagnostics, excused, target, outputs, disagreement: None, in_force })
}

/// Bytes of text from which on a policy is long: some 30,000 rules.
const LONG: usize = 1 << 20;

impl Database {
    /// As [`compile_part`], for a project of which nothing else will be asked: each stage's value is let go when the next stage
    /// has its own, so that a large policy is not held in four forms at once. Gives the texts, too, for showing diagnostics.
    ///
    /// With `verified` the files are read back and compared with the policy.
    #[must_use]
    pub fn compile_once(
        self,
        input: ProjectInput,
        stem: &str,
        only: &[String],
        verified: bool,
    ) -> (Vec<SourceText>, Compiled) {
        let project = Arc::clone(project(&self, input));
        let resolved = Arc::clone(resolved(&self, input));
        let target = project.target(&resolved.0.facts);
        let mut saying = Saying::new(&self, input);
        // The trees.
        drop(self);
        let files = Arc::try_unwrap(project).map_or_else(|shared| shared.files.clone(), |own| own.files);
        let long = files.iter().map(|file| file.text.len()).sum::<usize>() > LONG;
        // What a stage let go seldom fits what the next one asks for, and both would be held. A short policy is done before that matters.
        let release = || {
            if long {
                memory::give_back()
            }
        };
        release();
        let (mut outputs, mut disagreement, mut in_force) = (Vec::new(), None, String::new());
        if !saying.stops() {
            let lowered = Lowered::new(&resolved.0, target, only, &files, &mut saying);
            drop(resolved);
            release();
            let plain = verified.then(|| lowered.ruleset.clone());
            in_force.clone_from(&lowered.in_force);
            outputs = lowered.written(stem, &mut saying);
            if let Some(plain) = plain.filter(|_| !outputs.is_empty()) {
                match verify::verify(&plain, target, &outputs) {
                    Ok(open) => saying.say(open.into_iter().map(|chain| {
                        let message = format!("the output of {chain}, was not proved equal to the policy");
                        Diagnostic::new(&verify::NOT_PROVED, Location::default(), message)
                            .note("no difference was found in the time that there is for looking")
                    })),
                    Err(found) => disagreement = Some(found),
                }
            }
        }
        if disagreement.is_some() {
            outputs.clear();
        }
        let (diagnostics, excused) = saying.whole();
        (files, Compiled { diagnostics, excused, target, outputs, disagreement, in_force })
    }
}

/// What became of a project's asserts, and what else there is to say about it before that; no asserts are proved of a policy
/// with an error in it. What comments say is known of a proof is no longer said in it.
#[must_use]
pub fn proofs(db: &dyn Db, input: ProjectInput) -> (Vec<Diagnostic>, Vec<Proof>) {
    let project = project(db, input);
    let (policy, _) = &**resolved(db, input);
    let target = project.target(&policy.facts);
    let mut saying = Saying::new(db, input);
    if saying.stops() {
        return (saying.diagnostics, Vec::new());
    }
    let (ruleset, notes) = lower::lower(policy, target);
    saying.say(notes);
    let mut proofs = assertion::prove(policy, &ruleset, target);
    saying.say_proofs(&mut proofs);
    (saying.whole().0, proofs)
}

/// What is said of a project before it is lowered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// What there is to say.
    pub said: Vec<Diagnostic>,
    /// What comments say is known.
    pub excused: Vec<Diagnostic>,
}

impl Judged {
    fn new(mut said: Vec<Diagnostic>, expectations: &Expectations) -> Self {
        let mut excused = Vec::new();
        expectations.excuse(&mut said, &mut excused);
        Self { said, excused }
    }

    /// What the checks say; None if they were given up.
    fn by_checks(
        project: &Project,
        policy: &Policy,
        expectations: &Expectations,
        is_given_up: &dyn Fn() -> bool,
    ) -> Option<Self> {
        let said = check::run(project, policy, project.target(&policy.facts), is_given_up)?;
        Some(Self::new(said, expectations))
    }
}

/// What is said before any check: what could not be read or parsed, and what names and kinds are wrong.
#[salsa::tracked(returns(ref), no_eq)]
pub fn named(db: &dyn Db, input: ProjectInput) -> Arc<Judged> {
    let (_, faults) = &**resolved(db, input);
    let expectations = expectations(db, input);
    let said = source_diagnostics(db, input).iter().chain(faults).cloned().collect();
    let mut named = Judged::new(said, expectations);
    named.said.extend(expectations.faults.iter().cloned());
    Arc::new(named)
}

/// Everything that is said about a project before it is lowered: what [`named`] says, and the checks.
#[salsa::tracked(returns(ref), no_eq)]
pub fn judged(db: &dyn Db, input: ProjectInput) -> Arc<Judged> {
    let (policy, _) = &**resolved(db, input);
    let mut judged = Judged::clone(named(db, input));
    if let Some(checks) = Judged::by_checks(project(db, input), policy, expectations(db, input), &|| false) {
        judged.said.extend(checks.said);
        judged.excused.extend(checks.excused);
    }
    Arc::new(judged)
}

/// What is said about a project, stage by stage, and what of it comments say is known.
struct Saying {
    expectations: Arc<Expectations>,
    levels: Levels,
    diagnostics: Vec<Diagnostic>,
    excused: Vec<Diagnostic>,
}

impl Saying {
    /// With everything that is said before a project is lowered.
    fn new(db: &dyn Db, input: ProjectInput) -> Self {
        let (judged, expectations) = (judged(db, input), Arc::clone(expectations(db, input)));
        let (diagnostics, excused) = (judged.said.clone(), judged.excused.clone());
        Self { expectations, levels: input.levels(db).clone(), diagnostics, excused }
    }

    fn say(&mut self, diagnostics: impl IntoIterator<Item = Diagnostic>) {
        let mut new: Vec<Diagnostic> = diagnostics.into_iter().collect();
        self.expectations.excuse(&mut new, &mut self.excused);
        self.diagnostics.extend(new);
    }

    /// Takes out of proofs what is known.
    fn say_proofs(&mut self, proofs: &mut [Proof]) {
        for proof in proofs {
            let mut one: Vec<Diagnostic> = proof.diagnostic.take().into_iter().collect();
            self.expectations.excuse(&mut one, &mut self.excused);
            proof.diagnostic = one.pop();
        }
    }

    /// Whether nothing can be written for what was said.
    fn stops(&self) -> bool {
        self.diagnostics.iter().any(|one| self.levels.stops(one))
    }

    /// Everything that was said, be it known or not.
    fn told(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().chain(&self.excused)
    }

    /// Whether a fault leaves the rules without a meaning.
    fn has_hole(&self) -> bool {
        self.diagnostics.iter().any(|one| self.levels.stops(one) && assertion::is_hole(one))
    }

    /// What is said and what is known, in the end. What was expected is missed only where everything was looked for.
    fn whole(mut self) -> (Vec<Diagnostic>, Vec<Diagnostic>) {
        if !self.stops() {
            self.diagnostics.extend(self.expectations.unfulfilled(&self.excused, Sought::Compiled));
        }
        (self.diagnostics, self.excused)
    }
}

/// A policy in netfilter's form, with what the files say about it in their first lines.
struct Lowered {
    ruleset: Ruleset,
    sources: Vec<SourceText>,
    target: Target,
    header: Vec<String>,
    partial: bool,
    /// What the policy has in force, in one line.
    in_force: String,
}

impl Lowered {
    /// Lowers a policy, or the chains of what is named in `only`. What there is to say goes to `saying`.
    fn new(policy: &Policy, target: Target, only: &[String], files: &[SourceText], saying: &mut Saying) -> Self {
        let (mut ruleset, notes) = lower::lower(policy, target);
        saying.say(notes);
        let mut in_force = String::new();
        if only.is_empty() {
            let proofs = assertion::prove(policy, &ruleset, target);
            in_force = lower::summary::in_one_line(policy, assertion::proved(&proofs));
            saying.say(proofs.into_iter().filter_map(|proof| proof.diagnostic));
        } else {
            lower::keep(&mut ruleset, policy, only);
        }
        let sources = relative(files);
        // What is known holds all the same.
        let told: Vec<Diagnostic> = saying.told().cloned().collect();
        let header = lower::summary::header(policy, target, &lower::summary::limits(&told, &sources));
        Self { ruleset, sources, target, header, partial: !only.is_empty(), in_force }
    }

    /// The files; none if anything is wrong.
    fn written(mut self, stem: &str, saying: &mut Saying) -> Vec<(String, String)> {
        optimise::optimise(&mut self.ruleset, self.target, &self.sources);
        let (target, header, partial) = (self.target, self.header, self.partial);
        let context = emit::Context { target, stem, sources: &self.sources, header, partial };
        let mut outputs = Vec::new();
        match emit::emit(&self.ruleset, &context) {
            Ok(files) => outputs.extend(files.into_iter().map(|file| (file.name, file.text))),
            Err(faults) => saying.say(faults),
        }
        if saying.stops() {
            outputs.clear();
        }
        outputs
    }
}

/// The texts under paths relative to the root file's directory: output must be the same bytes wherever the policy lies.
fn relative(files: &[SourceText]) -> Vec<SourceText> {
    let root = files.first().map_or("", |file| &*file.path);
    let short = |path: &str| Arc::from(relative_path(root, path));
    files.iter().map(|file| SourceText { path: short(&file.path), text: Arc::clone(&file.text) }).collect()
}

/// A path relative to the directory of the root file, if it lies in there.
#[must_use]
pub fn relative_path<'p>(root: &str, path: &'p str) -> &'p str {
    let directory = root.rfind('/').map_or("", |end| root.get(..=end).unwrap_or_default());
    path.strip_prefix(directory).unwrap_or(path)
}

#[cfg(test)]
mod tests;
