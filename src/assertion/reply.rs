//! The answer to a first packet that was let through: whoever asserts that a connection is allowed asks for it, too.

use crate::netfilter::Hook;
use crate::packet::{Cube, Field};
use crate::policy::Flow;
use crate::prove::cover::{Budget, Spent};
use crate::traffic::{self, PlatformVerdict, Query};

use super::Prover;
use super::judge::{Bench, Claim, Found, Question};

impl Prover<'_> {
    /// Where answers to packets of a region are stopped, if they are.
    pub(super) fn reply(
        &mut self,
        flow: Flow,
        bench: &Bench,
        cube: &Cube,
        budget: &mut Budget,
    ) -> Result<Option<(Bench, PlatformVerdict, Found)>, Spent> {
        let Some(back) = way_back(bench) else { return Ok(None) };
        let query = Query { policy: self.policy, flow, rule: None, family: bench.family };
        // What comes to the host or leaves it meets no rules but ours.
        let policy = (back.hook == Hook::Forward).then(|| traffic::forward_policy(&query)).flatten();
        let platform = policy.unwrap_or(PlatformVerdict::Nobody);
        let Some(answers) = turned_round(cube) else { return Ok(None) };
        let question = Question {
            claim: Claim::Allow,
            platform: &platform,
            every_service: false,
            accept_is_final: true,
            own_ports: None,
        };
        let found = self.court.search(&question, &back, &answers, budget)?;
        Ok(found.map(|found| (back, platform, found)))
    }
}

/// The hook at which answers to packets of a hook are judged.
fn way_back(bench: &Bench) -> Option<Bench> {
    let hook = match bench.hook {
        Hook::Input => Hook::Output,
        Hook::Output => Hook::Input,
        Hook::Forward => Hook::Forward,
        _ => return None,
    };
    Some(Bench { hook, world: bench.world.answered(), ..*bench })
}

/// The answers to packets: their ends are exchanged, and what only first packets have is gone.
fn turned_round(cube: &Cube) -> Option<Cube> {
    let mut answers = Cube::all();
    for (field, values) in cube.parts() {
        let field = match *field {
            Field::SOURCE => Field::DESTINATION,
            Field::DESTINATION => Field::SOURCE,
            Field::SOURCE_PORT => Field::DESTINATION_PORT,
            Field::DESTINATION_PORT => Field::SOURCE_PORT,
            Field::IN_INTERFACE => Field::OUT_INTERFACE,
            Field::OUT_INTERFACE => Field::IN_INTERFACE,
            Field::PROTOCOL | Field::ORIGINAL_DESTINATION | Field::ORIGINAL_PORT => *field,
            _ => continue,
        };
        answers = answers.with(field, values.clone())?;
    }
    Some(answers)
}
