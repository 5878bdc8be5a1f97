//! What a policy says that it cannot mean, or should not: one file for each check. A check reads the resolved policy and gives
//! diagnostics; it changes nothing.

pub mod container_ports;
pub mod contradiction;
mod cover;
pub mod direct;
pub mod docker_proxy;
pub mod lockout;
pub mod overridden;
pub mod published_port;
mod roads;
pub mod same_bridge;
mod words;

use crate::diagnostic::{Code, Diagnostic};
use crate::netfilter::Target;
use crate::policy::Policy;
use crate::project::Project;

/// Every check, in the order in which they run.
const CHECKS: &[fn(&Policy, Target) -> Vec<Diagnostic>] = &[
    published_port::check,
    docker_proxy::check,
    container_ports::check,
    direct::check,
    overridden::check,
    same_bridge::check,
    contradiction::check,
];

/// Every check that also looks at the words that the policy was written in: for the places of options, and for what the
/// policy has forgotten.
const WORD_CHECKS: &[fn(&Project, &Policy, Target) -> Vec<Diagnostic>] = &[
    lockout::check,
];

/// Every code that checks give.
pub static CODES: &[&Code] = &[
    &published_port::PUBLISHED_PORT,
    &published_port::PUBLISHED_PORT_AMONG,
    &docker_proxy::PROXIED_ROAD_OPEN,
    &docker_proxy::HOST_AND_CONTAINER_DISAGREE,
    &docker_proxy::SECOND_LEG,
    &container_ports::PORT_ON_THE_WRONG_SIDE,
    &direct::DIRECT_DROPPED,
    &direct::DIRECT_MAY_BE_DROPPED,
    &overridden::FORWARD_DROPS,
    &overridden::LIBVIRT_REJECTS,
    &same_bridge::SAME_BRIDGE,
    &contradiction::CONTRADICTION,
    &lockout::LOCKOUT,
];

/// Runs all checks on a policy that is to be built for `target`.
#[must_use]
pub fn run(policy: &Policy, target: Target) -> Vec<Diagnostic> {
    CHECKS.iter().flat_map(|check| check(policy, target)).collect()
}

/// Runs the checks that look at the source as well.
#[must_use]
pub fn run_words(project: &Project, policy: &Policy, target: Target) -> Vec<Diagnostic> {
    WORD_CHECKS.iter().flat_map(|check| check(project, policy, target)).collect()
}
