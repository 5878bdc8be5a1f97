//! Whether two rule sets do the same to every packet, entry by entry.

use std::ops::ControlFlow;

use super::align::aligned;
use super::compare::{Difference, differences};
use super::cover::{Budget, Spent};
use crate::net::Family;
use crate::netfilter::{Ruleset, TableFamily, TableKind};
use crate::packet::Cube;
use crate::program::{End, Program, Space, flatten};

/// An entry at which the rule sets differ.
#[derive(Debug)]
pub struct Mismatch {
    /// The family.
    pub family: Family,
    /// The table.
    pub kind: TableKind,
    /// The entry chain.
    pub chain: String,
    /// The packets; `None` if one of the rule sets has no such entry.
    pub difference: Option<Difference>,
    /// The programs, and what their numbers mean.
    pub programs: Option<(Program, Program, Space)>,
}

/// The first entry at which the rule sets differ, for packets of these families.
///
/// # Errors
/// [`Spent`] if an answer was not found within the budget.
pub fn mismatch(
    left: &Ruleset,
    right: &Ruleset,
    families: &[Family],
    budget: &mut Budget,
) -> Result<Option<Mismatch>, Spent> {
    for (number, table) in left.tables.iter().enumerate() {
        for &family in families.iter().filter(|family| covers(table.family, **family)) {
            let other = right.tables.iter().position(|other| {
                other.kind == table.kind
                    && covers(other.family, family)
                    && (other.family == TableFamily::Bridge) == (table.family == TableFamily::Bridge)
            });
            let mut space = Space::new(family, [left, right]);
            for chain in table.chains.iter().filter(|chain| chain.base.is_some()) {
                let one = flatten(left, number, &chain.name, End::Passed, &mut space);
                let two = other.and_then(|other| flatten(right, other, &chain.name, End::Passed, &mut space));
                let missing = |difference, programs| Mismatch {
                    family,
                    kind: table.kind,
                    chain: chain.name.to_string(),
                    difference,
                    programs,
                };
                let (Some(one), Some(two)) = (one, two) else { return Ok(Some(missing(None, None))) };
                if one.complete && two.complete && aligned(&one, &two, &space.universe) {
                    continue;
                }
                let mut found = None;
                differences(&one, &two, &Cube::all(), &space, budget, |difference| {
                    found = Some(difference);
                    ControlFlow::Break(())
                })?;
                if found.is_some() {
                    return Ok(Some(missing(found, Some((one, two, space)))));
                }
            }
        }
    }
    Ok(None)
}

fn covers(table: TableFamily, family: Family) -> bool {
    match table {
        TableFamily::Ipv4 => family == Family::Ipv4,
        TableFamily::Ipv6 => family == Family::Ipv6,
        TableFamily::Inet | TableFamily::Bridge => true,
        TableFamily::Netdev => false,
    }
}
