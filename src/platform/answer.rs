//! Answers for a situation in which anything may be unknown: every row of a platform's file that could decide, and what each
//! rests on.

use super::situation::{self, Attribute, Condition, Decision, Situation, When, decide, holds};
use super::{Attachment, Era, Fault, Platform, Possible, Road, family_name};
use crate::net::Family;
use crate::netfilter::Hook;

impl Platform {
    /// Every road that a connection in this situation may take. Exactly one, without conditions, if enough is known.
    #[must_use]
    pub fn roads(&self, situation: &Situation) -> Vec<Possible<'_, Road>> {
        self.decided(&self.roads, |road| &road.when, situation)
    }

    /// Where a policy's rules for `hook` can stand. More than one if that depends on what is not known.
    #[must_use]
    pub fn attachments(&self, hook: Hook, family: Family, situation: &Situation) -> Vec<Possible<'_, Attachment>> {
        let situation = situation.clone().with(Attribute::Family, family_name(family));
        let rows: Vec<&Attachment> = self.attachments.iter().filter(|attachment| attachment.hook == hook).collect();
        let whens: Vec<&When> = rows.iter().map(|row| &row.when).collect();
        self.possible(&whens, &situation, |at| rows.get(at).copied())
    }

    /// The faults that this situation has or may have.
    #[must_use]
    pub fn faults(&self, situation: &Situation) -> Vec<Possible<'_, Fault>> {
        let situation = self.narrowed(situation);
        self.faults
            .iter()
            .filter_map(|fault| {
                let conditions = match holds(&fault.when, &situation)? {
                    true => Vec::new(),
                    false => return None,
                };
                Some(Possible { item: fault, conditions })
            })
            .chain(self.faults.iter().filter(|fault| holds(&fault.when, &situation).is_none()).map(|fault| {
                let asked = fault.when.asked.iter();
                let open = asked.filter(|(attribute, asked)| situation.get(*attribute) & !asked != 0);
                let conditions = open.map(|&(attribute, asked)| self.condition(attribute, asked)).collect();
                Possible { item: fault, conditions }
            }))
            .collect()
    }

    fn decided<'a, T>(
        &'a self,
        rows: &'a [T],
        when: impl Fn(&T) -> &When,
        situation: &Situation,
    ) -> Vec<Possible<'a, T>> {
        let whens: Vec<&When> = rows.iter().map(when).collect();
        self.possible(&whens, situation, |at| rows.get(at))
    }

    fn possible<'a, T>(
        &self,
        whens: &[&When],
        situation: &Situation,
        item: impl Fn(usize) -> Option<&'a T>,
    ) -> Vec<Possible<'a, T>> {
        let situation = self.narrowed(situation);
        let mut decisions: Vec<Decision> = decide(whens, &situation)
            .into_iter()
            .filter_map(|Decision { row, situation: found }| {
                let mut trimmed = self.trimmed(found.clone())?;
                // What follows from the rest is no condition of its own: Docker before 29 has no other backend than iptables.
                for &attribute in Attribute::ALL {
                    if found.get(attribute) == situation.get(attribute) {
                        trimmed.set(attribute, situation.get(attribute));
                    }
                }
                Some(Decision { row, situation: trimmed })
            })
            .collect();
        merge(&mut decisions);
        decisions
            .into_iter()
            .filter_map(|Decision { row, situation: narrowed }| {
                let conditions = Attribute::ALL
                    .iter()
                    .filter(|attribute| narrowed.get(**attribute) != situation.get(**attribute))
                    .map(|&attribute| self.condition(attribute, narrowed.get(attribute)))
                    .collect();
                Some(Possible { item: item(row)?, conditions })
            })
            .collect()
    }

    /// The situation without values that the file rules out together with what is known of the others; `None` if nothing is
    /// left.
    fn trimmed(&self, mut situation: Situation) -> Option<Situation> {
        loop {
            let before = situation.clone();
            for &attribute in self.impossible.iter().flat_map(|when| when.asked.iter().map(|(attribute, _)| attribute))
            {
                let values = situation.get(attribute);
                let mut left = 0;
                for value in (0..situation::Values::BITS).map(|bit| 1 << bit).filter(|value| values & value != 0) {
                    let mut alone = situation.clone();
                    alone.set(attribute, value);
                    let out = self.impossible.iter().any(|when| holds(when, &alone) == Some(true));
                    left |= if out { 0 } else { value };
                }
                if left == 0 {
                    return None;
                }
                situation.set(attribute, left);
            }
            if situation == before {
                return Some(situation);
            }
        }
    }

    /// The situation with only versions that the file knows, and only what can go together.
    fn narrowed(&self, situation: &Situation) -> Situation {
        let mut narrowed = situation.clone();
        let known = (1u32 << self.eras.len()) - 1;
        let known = situation::Values::try_from(known).unwrap_or(situation::Values::MAX);
        narrowed.set(Attribute::Version, situation.get(Attribute::Version) & known);
        // What contradicts the file altogether is answered as if the file did not rule it out.
        self.trimmed(narrowed.clone()).unwrap_or(narrowed)
    }

    fn condition(&self, attribute: Attribute, values: situation::Values) -> Condition {
        let chosen = |at: usize| values & (1 << at) != 0;
        let values = if attribute == Attribute::Version {
            self.era_ranges(&chosen)
        } else {
            let named = attribute.values().iter().enumerate();
            named.filter(|(at, _)| chosen(*at)).map(|(_, value)| (*value).to_owned()).collect()
        };
        Condition { attribute, values }
    }

    /// Runs of neighbouring eras, as people write versions: `20.10 to before 28.0`, `29.0 and later`.
    fn era_ranges(&self, chosen: &impl Fn(usize) -> bool) -> Vec<String> {
        let mut out = Vec::new();
        let mut start: Option<&Era> = None;
        for (at, era) in self.eras.iter().enumerate() {
            match (start, chosen(at)) {
                (None, true) => start = Some(era),
                (Some(first), false) => {
                    out.push(format!("{} to before {}", first.name, era.name));
                    start = None;
                }
                _ => {}
            }
        }
        out.extend(start.map(|first| format!("{} and later", first.name)));
        out
    }
}

/// Joins decisions for one row whose situations differ in a single attribute: together they are one situation.
fn merge(decisions: &mut Vec<Decision>) {
    let joined = |a: &Decision, b: &Decision| {
        let mut differ = Attribute::ALL.iter().filter(|at| a.situation.get(**at) != b.situation.get(**at));
        match (a.row == b.row, differ.next(), differ.next()) {
            (true, Some(&only), None) => {
                let mut both = a.situation.clone();
                both.set(only, a.situation.get(only) | b.situation.get(only));
                Some(both)
            }
            (true, None, _) => Some(a.situation.clone()),
            _ => None,
        }
    };
    let mut at = 0;
    while at < decisions.len() {
        let found = decisions.iter().enumerate().skip(at + 1).find_map(|(other, decision)| {
            let both = decisions.get(at).and_then(|first| joined(first, decision))?;
            Some((other, both))
        });
        match found {
            Some((other, both)) => {
                decisions.remove(other);
                if let Some(first) = decisions.get_mut(at) {
                    first.situation = both;
                }
                at = 0;
            }
            None => at += 1,
        }
    }
}
