//! The worker that checks and proves: what takes longer than a keystroke may. It works on plain values, so that nobody who edits waits for it,
//! and gives up what is no longer the text.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::{Receiver, Sender};

use crate::database::Unchecked;
use crate::diagnostic::Diagnostic;
use crate::expectation::Expectations;
use crate::host::listing;
use crate::levels::codes::UNFULFILLED;
use crate::read::Form;
use crate::rules::listing::listing;
use crate::span::{FileId, SourceText};

/// Something to prove.
pub struct Job {
    /// Of which root.
    pub root: PathBuf,
    /// Of which of its states.
    pub revision: u64,
    /// Which state it is in by now.
    pub now: Arc<AtomicU64>,
    /// What.
    pub work: Work,
}

/// What there is to prove.
pub enum Work {
    /// A policy's checks, asserts and findings; or the asserts alone.
    Policy {
        /// The policy.
        unchecked: Unchecked,
        /// It is a file of tests.
        asserts_only: bool,
    },
    /// The findings of a rule set.
    Rules {
        /// Its text.
        source: SourceText,
        /// Its form.
        form: Form,
    },
    /// Nothing.
    Nothing,
}

/// What of it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// What single rules say that they cannot mean.
    Checks,
    /// What is proved of all of them.
    Proofs,
}

/// What was found.
pub struct Found {
    /// Of which root.
    pub root: PathBuf,
    /// Of which of its states.
    pub revision: u64,
    /// What was looked at.
    pub part: Part,
    /// What is said about it.
    pub diagnostics: Vec<Diagnostic>,
}

impl Job {
    fn is_given_up(&self) -> bool {
        self.now.load(Ordering::Acquire) != self.revision
    }

    fn tell(&self, results: &Sender<Found>, part: Part, diagnostics: Vec<Diagnostic>) {
        // A server that has ended wants to know nothing more.
        let _ = results.send(Found { root: self.root.clone(), revision: self.revision, part, diagnostics });
    }

    fn run(&self, results: &Sender<Found>) {
        match &self.work {
            Work::Nothing => {}
            Work::Rules { source, form } => {
                let mut found = listing(source, *form, listing::family(&source.path), &[], false, listing::is_users);
                Expectations::settle_rules(source, *form, false, &mut found);
                // Its faults were told at once.
                let faults = |one: &Diagnostic| one.code == &crate::prove::findings::codes::UNREADABLE;
                self.tell(results, Part::Proofs, found.into_iter().filter(|one| !faults(one)).collect());
            }
            Work::Policy { unchecked, asserts_only: true } => {
                let Some(case) = unchecked.clone().check(&|| self.is_given_up()) else { return };
                self.tell(results, Part::Checks, case.stopping().cloned().collect());
                let Some(verdicts) = case.asserts(&|| self.is_given_up()) else { return };
                let missed = |one: &Diagnostic| one.code == &UNFULFILLED && one.primary.location.file == FileId(0);
                let proofs: Vec<_> = verdicts.proofs.iter().filter_map(|proof| proof.diagnostic.clone()).collect();
                let mut diagnostics: Vec<_> = verdicts.diagnostics().into_iter().filter(missed).collect();
                diagnostics.extend(proofs);
                self.tell(results, Part::Proofs, diagnostics);
            }
            Work::Policy { unchecked, asserts_only: false } => {
                let Some(case) = unchecked.clone().check(&|| self.is_given_up()) else { return };
                self.tell(results, Part::Checks, case.checks().to_vec());
                let Some(verdicts) = case.asserts(&|| self.is_given_up()) else { return };
                let Some(found) = case.found(verdicts, false, &|| self.is_given_up()) else { return };
                // That the rules cannot be written is seldom found, and only when they were.
                let likely = found.likely();
                self.tell(results, Part::Proofs, likely.clone());
                if self.is_given_up() {
                    return;
                }
                let whole = found.whole();
                if whole != likely {
                    self.tell(results, Part::Proofs, whole);
                }
            }
        }
    }
}

/// Proves what comes until nobody can send any more. A fault of fwc costs the one proof.
pub fn work(jobs: &Receiver<Job>, results: &Sender<Found>) {
    for job in jobs {
        if !job.is_given_up() {
            let _ = catch_unwind(AssertUnwindSafe(|| job.run(results)));
        }
    }
}
