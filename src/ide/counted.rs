//! What the running host counted for the lines of a statement, as far as the facts tell. A line is found again by what it says, not by its place
//! in the source: that moves with every edit, and what was counted would be told of another statement.

use std::collections::{BTreeMap, BTreeSet};

use super::hover::lies_in;
use crate::database::{self, Db, ProjectInput, WrittenLine};
use crate::emit::Line;
use crate::facts::{CounterFact, Facts};
use crate::net::Family;
use crate::netfilter::{Match, MatchKind, Rule, TableKind, Target};
use crate::read::{Count, iptables_rule};
use crate::span::{LineIndex, Location};

/// Other statements of a rule that are named.
const MOST_OTHERS: usize = 6;

/// The counted rules of a chain.
type Chain<'f> = Vec<(Rule, &'f CounterFact)>;

/// What was counted.
pub(super) struct Counted<'f> {
    counters: &'f [CounterFact],
    /// Read when they are first asked for.
    chains: BTreeMap<(Family, TableKind, String), Chain<'f>>,
}

impl<'f> Counted<'f> {
    /// For lines of a target. Rules of nft do not count.
    pub fn new(facts: &'f Facts, target: Target) -> Self {
        let counters = if target == Target::Iptables { facts.counters.as_slice() } else { &[] };
        Self { counters, chains: BTreeMap::new() }
    }

    /// What was counted for a line of a statement: one, or one for each family.
    pub fn remark(&mut self, db: &dyn Db, input: ProjectInput, at: Location, alike: &[&WrittenLine]) -> Option<String> {
        if self.counters.is_empty() {
            return None;
        }
        let mut said = Vec::new();
        for one in alike {
            let Some((count, rules)) = self.of(&one.line) else { continue };
            let family = match one.line.family.filter(|_| alike.len() > 1) {
                Some(Family::Ipv4) => "IPv4: ",
                Some(Family::Ipv6) => "IPv6: ",
                None => "",
            };
            let several = if rules > 1 { format!(", of {rules} rules that are alike") } else { String::new() };
            said.push(format!("{family}{count}{several}"));
        }
        if said.is_empty() {
            return None;
        }
        Some(said.join("; ") + &others(db, input, at, alike))
    }

    /// What the rules that say what a line says counted, and how many they are.
    fn of(&mut self, line: &Line) -> Option<(Count, usize)> {
        let family = line.family?;
        let (chain, words) = line.text.strip_prefix("-A ")?.split_once(' ')?;
        let wanted = iptables_rule(words, family).ok()?;
        let known = self.chains.entry((family, line.table, chain.to_owned())).or_insert_with(|| {
            let of_chain = |counter: &&CounterFact| {
                counter.family.family() == family
                    && counter.table.kind() == line.table
                    && counter.parts().is_some_and(|(own, _)| own == chain)
            };
            let read = |counter: &'f CounterFact| Some((iptables_rule(counter.parts()?.1, family).ok()?, counter));
            self.counters.iter().filter(of_chain).filter_map(read).collect()
        });
        let mut rules = 0;
        let mut sum = Count::default();
        for (_, counter) in known.iter().filter(|(listed, _)| says_the_same(&wanted, listed)) {
            rules += 1;
            sum.packets = sum.packets.saturating_add(counter.packets);
            sum.bytes = sum.bytes.saturating_add(counter.bytes);
        }
        (rules > 0).then_some((sum, rules))
    }
}

/// Whether a listed rule is the one that was written. The kernel lists a user by number, whatever name it was written with: there, the place in
/// the source has to be the same, too.
fn says_the_same(written: &Rule, listed: &Rule) -> bool {
    let user = |item: &Match| matches!(item.kind, MatchKind::User(_));
    let named = |item: &Match| matches!(&item.kind, MatchKind::User(user) if user.bytes().any(|byte| byte.is_ascii_alphabetic()));
    let by_name = written.matches.iter().any(named);
    let same = |one: &Match, other: &Match| one == other || named(one) && user(other) && one.negated == other.negated;
    // The kernel has an order of its own for some matches.
    written.matches.len() == listed.matches.len()
        && written.matches.iter().all(|one| listed.matches.iter().any(|other| same(one, other)))
        && written.effects == listed.effects
        && written.verdict == listed.verdict
        && (!by_name || written.comment == listed.comment)
}

/// The statements that share a line with the one at `at`.
fn others(db: &dyn Db, input: ProjectInput, at: Location, alike: &[&WrittenLine]) -> String {
    let origins = alike.iter().flat_map(|one| &one.origins).filter(|origin| !lies_in(origin, at));
    let root = input.files(db).first().map_or("", |(file, _)| &*file.source(db).path);
    let mut lines: BTreeSet<(bool, &str, u32)> = BTreeSet::new();
    let mut indexes: BTreeMap<u32, LineIndex> = BTreeMap::new();
    for origin in origins {
        let Some((file, _)) = input.files(db).get(origin.file.0 as usize) else { continue };
        let source = file.source(db);
        let index = indexes.entry(origin.file.0).or_insert_with(|| LineIndex::new(&source.text));
        let path = database::relative_path(root, &source.path);
        lines.insert((origin.file != at.file, path, index.line_column(origin.span.start).0));
    }
    let here = lines.iter().filter(|(elsewhere, ..)| !elsewhere).count();
    let mut named: Vec<String> = Vec::new();
    for (place, (elsewhere, path, line)) in lines.iter().take(MOST_OTHERS).enumerate() {
        named.push(match (elsewhere, place) {
            (true, _) => format!("{path}:{line}"),
            (false, 0) => format!("line{} {line}", if here > 1 { "s" } else { "" }),
            (false, _) => line.to_string(),
        });
    }
    if lines.len() > MOST_OTHERS {
        named.push(format!("{} more", lines.len() - MOST_OTHERS));
    }
    match named.split_last() {
        None => String::new(),
        Some((last, [])) => format!(", together with {last}"),
        Some((last, before)) => format!(", together with {} and {last}", before.join(", ")),
    }
}
