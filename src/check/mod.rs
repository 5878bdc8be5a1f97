//! What a policy says that it cannot mean, or should not: one file for each check. A check reads the resolved policy and gives
//! diagnostics; it changes nothing.

pub mod published_port;
mod roads;

use crate::diagnostic::{Code, Diagnostic};
use crate::netfilter::Target;
use crate::policy::Policy;

/// Every check, in the order in which they run.
const CHECKS: &[fn(&Policy, Target) -> Vec<Diagnostic>] = &[published_port::check];

/// Every code that checks give.
pub static CODES: &[&Code] = &[&published_port::PUBLISHED_PORT, &published_port::PUBLISHED_PORT_AMONG];

/// Runs all checks on a policy that is to be built for `target`.
#[must_use]
pub fn run(policy: &Policy, target: Target) -> Vec<Diagnostic> {
    CHECKS.iter().flat_map(|check| check(policy, target)).collect()
}
