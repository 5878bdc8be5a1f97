//! Whether the files of a build mean what the policy means. What was written is read back, by readers that know nothing of
//! the writers, and compared with the rules that the policy was lowered to, before anything was folded or divided: every packet must get
//! the same verdict and meet the same effects in the same order, at every place where packets enter.

use std::fmt::Write as _;
use std::hash::{Hash as _, Hasher as _};
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::diagnostic::{Code, Level};
use crate::net::Family;
use crate::netfilter::restrictions;
use crate::netfilter::words::IptablesRule;
use crate::netfilter::{
    Base, Chain, Effect, Match, MatchKind, Rule, Ruleset, Set, Table, TableFamily, TableKind, Target, Verdict,
};
use crate::packet::Cube;
use crate::program::{Counters, Does, End, Event, Program, Space, Step, describe, flatten};
use crate::prove::compare::differences;
use crate::prove::cover::Budget;
use crate::read;
use crate::span::FileId;
use rustc_hash::{FxHashMap, FxHashSet, FxHasher};

/// What a comparison of one entry may cost before it is given up, and the build says so: at least, for each step, and at most.
const LEAST: u64 = 1_000_000;
const EACH: u64 = 60;
const MOST: u64 = 3_000_000;

/// A place at which the files do not mean what the policy means; what a person needs to know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disagreement(pub String);

/// Chains that were not compared to the end.
pub static NOT_PROVED: Code = Code {
    number: "FW0606",
    name: "not-proved",
    level: Level::Warning,
    summary: "the output was not proved equal to the policy, for that takes too much work",
    explanation: "\
# Output that was not proved

Every build is read back and compared with the policy, for all packets. In the worst case that takes time exponential in the
number of fields that rules compare, so the work is bounded. Where it ends before the answer is known, the build says so: the
files are what they would have been, and no difference was found, but equality was not shown for these chains.

**Why it hurts.** A fault of the compiler would go unnoticed there.

    $ fwc build huge.fw -o out
    warning: the output of `fwc-forward`, ipv4, was not proved equal to the policy

**Instead**, give lists as sets (`set office = { … }`) rather than as rules of every kind mixed, or compile parts of the policy for themselves.
`--deny FW0606` makes an error of it.
",
};

/// Reads the files of a build and compares them with the policy's rules. Gives the entries that were not compared to the end.
///
/// # Errors
/// The first place where they disagree.
pub fn verify(policy: &Ruleset, target: Target, files: &[(String, String)]) -> Result<Vec<String>, Disagreement> {
    let written = |ending: &str| {
        let found = files.iter().find(|(name, _)| name.ends_with(ending) && !name.contains(".empty."));
        found.map(|(_, text)| text.as_str())
    };
    match target {
        Target::Iptables => {
            let sets = match written(".ipset") {
                Some(text) => {
                    let (sets, faults) = read::ipset(FileId(0), text);
                    readable(&faults, text)?;
                    sets
                }
                None => Vec::new(),
            };
            let families = [(Family::Ipv4, written(".rules.v4")), (Family::Ipv6, written(".rules.v6"))];
            let one =
                |(family, text): (Family, Option<&str>)| restored(policy, family, text.unwrap_or_default(), &sets);
            let [first, second] = families;
            // The families have nothing in common.
            std::thread::scope(|scope| {
                let other = scope.spawn(|| one(second));
                joined(one(first)?, other)
            })
        }
        Target::Nft => {
            let text = written(".nft").unwrap_or_default();
            let reading = read::nft(FileId(0), text);
            readable(&reading.faults, text)?;
            let sets = policy.tables.iter().flat_map(|table| &table.sets).filter(|set| set.live);
            let live: Vec<_> = sets.filter_map(|set| Some((Arc::clone(&set.name), set.family?))).collect();
            let policy = with_words_read(policy, Target::Nft, None, &|line, _| read::nft_line(line, &live).rules);
            let both = |family: Family| compare(&policy, &reading.ruleset, family);
            std::thread::scope(|scope| {
                let other = scope.spawn(|| both(Family::Ipv6));
                joined(both(Family::Ipv4)?, other)
            })
        }
    }
}

/// Rules, jumps written out, and values beyond which an entry is not compared: the work grows faster than they do.
const LARGEST: usize = 1_200_000;

/// Different verdicts and effects beyond which an entry is not compared: each is looked for by itself.
const MOST_EVENTS: usize = 2_000;

/// How much there is in a chain and in those it leads to: rules, and ranges of what they compare.
fn size(table: &Table, chain: &str, known: &mut FxHashMap<String, usize>) -> usize {
    if let Some(size) = known.get(chain) {
        return *size;
    }
    // A circle counts as nothing more; no kernel loads it.
    known.insert(chain.to_owned(), 0);
    let rules = table.chains.iter().find(|own| &*own.name == chain).map_or(&[][..], |own| &own.rules);
    let mut total = 0usize;
    for rule in rules {
        let ranges = rule.matches.iter().map(|item| match &item.kind {
            MatchKind::Source(set) | MatchKind::Destination(set) => set.ranges().len(),
            MatchKind::OriginalDestination(set) | MatchKind::OriginalSource(set) => set.ranges().len(),
            _ => 1,
        });
        total = total.saturating_add(1 + ranges.sum::<usize>());
        if let Some(Verdict::Jump(next) | Verdict::Goto(next)) = &rule.verdict {
            total = total.saturating_add(size(table, next, known));
        }
    }
    known.insert(chain.to_owned(), total);
    total
}

type Outcome = Result<Vec<String>, Disagreement>;

fn joined(mut open: Vec<String>, other: std::thread::ScopedJoinHandle<'_, Outcome>) -> Outcome {
    let failed = |_| Err(Disagreement("the comparison itself failed".to_owned()));
    open.extend(other.join().unwrap_or_else(failed)?);
    Ok(open)
}

fn readable(faults: &[read::Fault], text: &str) -> Result<(), Disagreement> {
    // What a tool refuses in the words of a `chain` block is the policy's matter.
    let Some(fault) = faults.iter().find(|fault| fault.kind == read::FaultKind::Broken) else { return Ok(()) };
    let line = text.get(fault.span.range()).unwrap_or_default();
    Err(Disagreement(format!("what was written cannot be read: {}\n  {line}", fault.message)))
}

/// Whether the tools take every line of a text for `iptables-restore`, as far as their restrictions are known. Rules that differ in values
/// alone are restricted alike: one of them is looked at.
fn loadable(text: &str) -> Result<(), Disagreement> {
    let mut table = TableKind::Filter;
    let mut shapes: FxHashSet<u64> = FxHashSet::default();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('*') {
            table = TableKind::ALL.into_iter().find(|kind| kind.name() == name).unwrap_or(table);
            shapes.clear();
        }
        let Some((_, words)) = line.strip_prefix("-A ").and_then(|rest| rest.split_once(' ')) else { continue };
        if !shapes.insert(shape(words)) {
            continue;
        }
        if let Some((_, what)) = restrictions::refusal(&IptablesRule::read(words), table, None) {
            return Err(Disagreement(format!("what was written cannot be loaded: {what}\n  {line}")));
        }
    }
    Ok(())
}

/// What a rule's restrictions depend on: its options, and the values of those that name a protocol, a match, a target, a way to reject or an
/// address to translate to. The ends of ranges are the reader's to check.
fn shape(words: &str) -> u64 {
    let mut hasher = FxHasher::default();
    let mut value_counts = false;
    for word in words.split(' ') {
        if value_counts || word.starts_with('-') {
            word.hash(&mut hasher);
        }
        value_counts =
            matches!(word, "-p" | "-m" | "-j" | "-g") || word.starts_with("--reject") || word.starts_with("--to-");
    }
    hasher.finish()
}

fn restored(policy: &Ruleset, family: Family, text: &str, sets: &[Set]) -> Outcome {
    loadable(text)?;
    let mut reading = read::iptables(FileId(0), text, family);
    readable(&reading.faults, text)?;
    read::join(&mut reading.ruleset, sets);
    let words = |line: &str, kind: TableKind| read::iptables_line(line, kind, family, sets).rules;
    let policy = with_words_read(policy, Target::Iptables, Some(family), &words);
    compare(&policy, &reading.ruleset, family)
}

/// What reads a line of netfilter's own words, in a table of this kind.
type ReadWords<'r> = &'r dyn Fn(&str, TableKind) -> Vec<Rule>;

/// The line of a `chain` block that a rule stands for.
fn words(rule: &Rule) -> Option<&Arc<str>> {
    match rule.matches.as_slice() {
        [Match { kind: MatchKind::Unknown(line), .. }] => Some(line),
        _ => None,
    }
}

/// The policy's rules, with the lines of `chain` blocks read in place of their words.
fn with_words_read<'p>(
    policy: &'p Ruleset,
    target: Target,
    family: Option<Family>,
    read: ReadWords<'_>,
) -> std::borrow::Cow<'p, Ruleset> {
    let helper = |rule: &Rule| rule.effects.iter().any(|effect| matches!(effect, Effect::Helper(_)));
    let mut rules = policy.tables.iter().flat_map(|table| &table.chains).flat_map(|chain| &chain.rules);
    if !rules.any(|rule| words(rule).is_some() || (target == Target::Nft && helper(rule))) {
        return std::borrow::Cow::Borrowed(policy);
    }
    let mut policy = policy.clone();
    for table in &mut policy.tables {
        let mut made = Vec::new();
        for chain in &mut table.chains {
            let mut rules = Vec::with_capacity(chain.rules.len());
            for rule in std::mem::take(&mut chain.rules) {
                match words(&rule) {
                    // A line of one family is in that family's file alone.
                    Some(_) if family.is_some() && rule.family.is_some_and(|only| Some(only) != family) => {}
                    Some(line) => rules.extend(read(line, table.kind)),
                    None => rules.push(rule),
                }
            }
            // nft gives a helper behind tracking, in a chain of its own.
            if target == Target::Nft
                && table.kind == TableKind::Raw
                && let Some(base) = chain.base
                && rules.iter().any(helper)
            {
                let (helpers, rest) = rules.into_iter().partition(helper);
                rules = rest;
                made.push(Chain {
                    name: format!("{}-helper", chain.name).into(),
                    owner: chain.owner.clone(),
                    base: Some(Base { priority: -150, ..base }),
                    rules: helpers,
                });
            }
            chain.rules = rules;
        }
        table.chains.append(&mut made);
    }
    std::borrow::Cow::Owned(policy)
}

/// An entry of one side: its table and chain, and what its end is.
struct Entry<'r> {
    table: usize,
    chain: &'r Chain,
}

fn entries(ruleset: &Ruleset, family: Family) -> Vec<Entry<'_>> {
    let tables = ruleset.tables.iter().enumerate().filter(|(_, table)| serves(table, family));
    tables.flat_map(|(number, table)| table.chains.iter().map(move |chain| Entry { table: number, chain })).collect()
}

fn serves(table: &Table, family: Family) -> bool {
    match table.family {
        TableFamily::Ipv4 => family == Family::Ipv4,
        TableFamily::Ipv6 => family == Family::Ipv6,
        TableFamily::Inet | TableFamily::Bridge => true,
        TableFamily::Netdev => false,
    }
}

fn compare(policy: &Ruleset, read: &Ruleset, family: Family) -> Outcome {
    let mut open = Vec::new();
    let (ours, theirs) = (entries(policy, family), entries(read, family));
    // A build of some guests' chains alone has no entries: each of its chains is one.
    let whole = ours.iter().any(|entry| entry.chain.base.is_some());
    let mut space = Space::new(family, [policy, read]);
    let counters = [Counters::of(policy), Counters::of(read)];
    for own in ours.iter().filter(|entry| entry.chain.base.is_some() == whole) {
        let bridge = |ruleset: &Ruleset, table: usize| {
            ruleset.tables.get(table).is_some_and(|table| table.family == TableFamily::Bridge)
        };
        let kind = |ruleset: &Ruleset, entry: &Entry| ruleset.tables.get(entry.table).map(|table| table.kind);
        let same = theirs.iter().find(|other| {
            other.chain.name == own.chain.name
                && bridge(read, other.table) == bridge(policy, own.table)
                // In iptables a name is one table's; in nft all our chains are in one.
                && (other.chain.base.is_some() || kind(read, other) == kind(policy, own))
        });
        let Some(same) = same else {
            let idle = own.chain.rules.iter().all(|rule| rule.family.is_some_and(|only| only != family));
            if idle && own.chain.base.is_none_or(|base| base.accept) {
                continue;
            }
            return Err(Disagreement(format!("the files lack the chain `{}`, {family}", own.chain.name)));
        };
        let weight =
            policy.tables.get(own.table).map_or(0, |table| size(table, &own.chain.name, &mut FxHashMap::default()));
        if weight > LARGEST {
            open.push(format!("`{}`, {family}", own.chain.name));
            continue;
        }
        let end = if own.chain.base.is_some_and(|base| !base.accept) { End::Drop } else { End::Passed };
        space.compare(&counters[0]);
        let left = flatten(policy, own.table, &own.chain.name, end, &mut space);
        space.compare(&counters[1]);
        let right = flatten(read, same.table, &same.chain.name, End::Passed, &mut space);
        let (Some(left), Some(right)) = (left, right) else { continue };
        if space.events() > MOST_EVENTS {
            open.push(format!("`{}`, {family}", own.chain.name));
            continue;
        }
        let sides = Sides { left: &left, right: &right, policy, read, space: &space, chain: &own.chain.name };
        if !sides.compare()? {
            open.push(format!("`{}`, {family}", own.chain.name));
        }
    }
    // What the policy has no entry for must do nothing.
    for other in theirs.iter().filter(|entry| whole && entry.chain.base.is_some()) {
        if !other.chain.rules.is_empty() && !ours.iter().any(|own| own.chain.name == other.chain.name) {
            return Err(Disagreement(format!("the files have a chain `{}` that the policy lacks", other.chain.name)));
        }
    }
    Ok(open)
}

/// Two programs that ought to be equal.
struct Sides<'a> {
    left: &'a Program,
    right: &'a Program,
    policy: &'a Ruleset,
    read: &'a Ruleset,
    space: &'a Space,
    chain: &'a str,
}

impl Sides<'_> {
    /// Whether they are equal; `false` if that was not found out.
    fn compare(&self) -> Result<bool, Disagreement> {
        if !self.left.complete || !self.right.complete {
            return Ok(false);
        }
        let mut found = None;
        let steps = u64::from(self.left.len()) + u64::from(self.right.len());
        let mut budget = Budget::new((LEAST + EACH * steps).min(MOST));
        let all = differences(self.left, self.right, &Cube::all(), self.space, &mut budget, |difference| {
            found = Some(difference);
            ControlFlow::Break(())
        });
        let family = self.space.universe.family();
        let Some(difference) = found else { return Ok(all.is_ok()) };
        // Which time a counter is asked is known no better than which packets come to a chain.
        if self.differs_in_number(difference.left, difference.right) {
            return Ok(false);
        }
        let mut text = format!("the chain `{}`, {family}, does not mean what the policy means\n", self.chain);
        let _ = writeln!(text, "  a packet:   {}", describe::packet(&difference.cube, &self.space.universe));
        let _ = writeln!(text, "  the policy: {}", self.outcome(self.left, self.policy, difference.left));
        let _ = write!(text, "  the files:  {}", self.outcome(self.right, self.read, difference.right));
        Err(Disagreement(text))
    }

    /// Whether two steps ask the same counter, and differ only in how often it was asked before.
    fn differs_in_number(&self, left: u32, right: u32) -> bool {
        let question = |program: &Program, step: u32| match program.step(step).map(|step| step.does) {
            Some(Does::Decide(event) | Does::Happen(event)) => match self.space.event(event) {
                Event::Counted(question) => Some(question.clone()),
                _ => None,
            },
            _ => None,
        };
        let both = question(self.left, left).zip(question(self.right, right));
        both.is_some_and(|(left, right)| left.counter == right.counter && left.number != right.number)
    }

    fn outcome(&self, program: &Program, ruleset: &Ruleset, step: u32) -> String {
        let Some(Step { does, place, .. }) = program.step(step) else { return "nothing".to_owned() };
        let what = match does {
            Does::Decide(event) | Does::Happen(event) => match self.space.event(*event) {
                Event::Passed => "passes".to_owned(),
                Event::Verdict(verdict) => describe::verdict(verdict),
                Event::Effect(effect) => describe::effect(effect),
                Event::Counted(question) => format!("asks {question}"),
            },
            Does::Lead(_) => "is led on".to_owned(),
        };
        let chain = ruleset.tables.get(place.table as usize).and_then(|table| table.chains.get(place.chain as usize));
        let chain = chain.map_or("", |chain| &*chain.name);
        format!("{what}, by rule {} of `{chain}`", place.rule + 1)
    }
}
