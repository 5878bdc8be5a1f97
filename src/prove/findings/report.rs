//! Findings as diagnostics, at the statements that the rules come from. A statement is dead only if everything is that was made
//! from it.

use std::collections::BTreeMap;

use rustc_hash::{FxHashMap, FxHashSet};

use super::codes::{
    COVERED, EMPTY_SET, LEFT_OPEN, NEVER_MATCHES, OVERLAP, POLICY_NEVER_REACHED, REPEATED_BEHIND, SHADOWED,
    UNUSED_CHAIN,
};
use super::{Fate, Findings, rule};
use crate::diagnostic::Diagnostic;
use crate::netfilter::{Chain, Match, MatchKind, Rule, Ruleset, Table, Verdict};
use crate::program::Place;
use crate::span::{FileId, Location, SourceText, Span};

/// Places that are shown beside a finding; the others are counted.
const SHOWN: usize = 8;

/// What the rules were made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Lines of a rule set: each is one rule.
    Lines,
    /// A rule set whose text is no text of lines (nft's JSON): nothing can be taken out of it.
    Objects,
    /// Statements of a policy: RETURN is an allow.
    Statements,
}

/// What is told of a rule set.
pub struct Report<'a> {
    ruleset: &'a Ruleset,
    findings: &'a Findings,
    files: &'a [SourceText],
    origin: Origin,
    /// Whether what is rarely a fault is told, too.
    all: bool,
    /// For each chain the rules that lead to it.
    leading: FxHashMap<(u32, &'a str), Vec<Place>>,
}

/// Everything that was made from one statement.
type Statements = BTreeMap<Location, Vec<Place>>;

impl<'a> Report<'a> {
    /// Of what was found in a rule set that was made from these texts.
    #[must_use]
    pub fn new(
        ruleset: &'a Ruleset,
        findings: &'a Findings,
        files: &'a [SourceText],
        origin: Origin,
        all: bool,
    ) -> Self {
        let mut leading: FxHashMap<(u32, &str), Vec<Place>> = FxHashMap::default();
        for (place, rule) in places(ruleset) {
            let mut lead = |verdict: &'a Verdict| {
                if let Verdict::Jump(to) | Verdict::Goto(to) = verdict {
                    leading.entry((place.table, &**to)).or_default().push(place);
                }
            };
            match &rule.verdict {
                Some(Verdict::Map { elements, .. }) => elements.iter().for_each(|(_, verdict)| lead(verdict)),
                Some(verdict) => lead(verdict),
                None => {}
            }
        }
        Self { ruleset, findings, files, origin, all, leading }
    }

    /// The diagnostics. Nothing is said of statements of which a rule is not `told`.
    #[must_use]
    pub fn diagnostics(&self, told: impl Fn(&Table, &Chain, &Rule) -> bool) -> Vec<Diagnostic> {
        let mut out = Vec::new();
        let statements = self.statements();
        let told = |place: Place| {
            let table = self.ruleset.tables.get(place.table as usize);
            let rule = table.zip(self.chain(place)).zip(self.rule(place));
            rule.is_some_and(|((table, chain), rule)| told(table, chain, rule))
        };
        for (location, places) in statements.iter().filter(|(_, places)| places.iter().all(|place| told(*place))) {
            out.extend(self.statement(*location, places));
        }
        out.extend(self.findings.policies.iter().filter_map(|unreached| self.policy(unreached)));
        out.extend(self.findings.unused.iter().filter_map(|(table, chain)| {
            let number = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
            let first = Place { table: number(*table), chain: number(*chain), rule: 0 };
            self.unused(*table, *chain).filter(|_| told(first))
        }));
        out.extend(self.findings.overlaps.iter().filter_map(|overlap| self.overlap(overlap)));
        out.extend(self.open());
        out
    }

    fn statements(&self) -> Statements {
        let mut statements = Statements::new();
        for (place, rule) in places(self.ruleset) {
            if let Some(origin) = rule.origin {
                statements.entry(origin).or_default().push(place);
            }
        }
        statements
    }

    fn rule(&self, place: Place) -> Option<&Rule> {
        rule(self.ruleset, place)
    }

    fn chain(&self, place: Place) -> Option<&Chain> {
        self.ruleset.tables.get(place.table as usize)?.chains.get(place.chain as usize)
    }

    fn statement(&self, location: Location, places: &[Place]) -> Option<Diagnostic> {
        let fates: Vec<(Place, &Fate)> =
            places.iter().filter_map(|place| Some((*place, self.findings.fate(*place)?))).collect();
        let dead = |fate: &Fate| if fate.sought { fate.reached == Some(false) } else { self.is_looked_at(places) };
        if fates.iter().all(|(_, fate)| dead(fate)) {
            // What stands in a chain that nothing comes to is told with the rules that lead there.
            if places.iter().all(|place| self.follows_from_others(*place)) {
                return None;
            }
            return if fates.iter().any(|(_, fate)| fate.sought) {
                self.shadowed(location, &fates)
            } else {
                self.never(location, &fates)
            };
        }
        let repeated = |(place, fate): &(Place, &Fate)| {
            dead(fate) && !self.follows_from_others(*place)
                || (fate.reached == Some(true) && fate.redundant == Some(true) && !fate.redundancy_open)
        };
        if fates.iter().all(repeated) {
            return self.repeated(location, &fates);
        }
        None
    }

    /// Whether the tables of these rules were looked at: not those for bridged frames.
    fn is_looked_at(&self, places: &[Place]) -> bool {
        use crate::netfilter::TableFamily::{Bridge, Netdev};
        places.iter().all(|place| {
            let table = self.ruleset.tables.get(place.table as usize);
            table.is_some_and(|table| !matches!(table.family, Bridge | Netdev))
        })
    }

    /// The rules that lead to the chain of one.
    fn leading(&self, place: Place) -> &[Place] {
        let chain = self.chain(place).map(|chain| (place.table, &*chain.name));
        chain.and_then(|chain| self.leading.get(&chain)).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether the chain of a rule is one that no packet comes to.
    fn follows_from_others(&self, place: Place) -> bool {
        if self.chain(place).is_none_or(|chain| chain.base.is_some()) {
            return false;
        }
        let leading = self.leading(place);
        let comes = |leading: &Place| {
            self.findings.fate(*leading).is_none_or(|fate| fate.reached != Some(false) && fate.sought)
        };
        !leading.is_empty() && !leading.iter().any(comes)
    }

    /// The rules that take the packets of some others, those that are dead themselves replaced by what takes theirs.
    fn keepers(&self, fates: &[(Place, &Fate)]) -> Vec<Place> {
        let mut open: Vec<Place> = fates.iter().flat_map(|(_, fate)| fate.keepers.iter().copied()).collect();
        let (mut seen, mut keepers) = (FxHashSet::default(), Vec::new());
        while let Some(place) = open.pop() {
            if !seen.insert(place) {
                continue;
            }
            match self.findings.fate(place).filter(|fate| fate.reached == Some(false)) {
                Some(dead) => open.extend(&dead.keepers),
                None => keepers.push(place),
            }
        }
        keepers.sort_unstable();
        keepers
    }

    /// The places in the text of some rules, without one.
    fn origins(&self, places: &[Place], without: Location) -> Vec<Location> {
        let mut origins: Vec<Location> =
            places.iter().filter_map(|place| self.rule(*place)?.origin).filter(|origin| *origin != without).collect();
        origins.sort_unstable();
        origins.dedup();
        origins
    }

    fn shadowed(&self, location: Location, fates: &[(Place, &Fate)]) -> Option<Diagnostic> {
        let keepers = self.keepers(fates);
        let origins = self.origins(&keepers, location);
        let rules: Vec<&Rule> = fates.iter().filter_map(|(place, _)| self.rule(*place)).collect();
        let taken: Vec<&Rule> = keepers.iter().filter_map(|place| self.rule(*place)).collect();
        let alike = rules.iter().all(|rule| rule.effects.is_empty())
            && taken.iter().all(|keeper| rules.iter().all(|rule| self.same_verdict(rule, keeper)));
        let by = match origins.len() {
            0 => return self.never(location, fates),
            1 => "the rule before",
            _ => "rules before, together,",
        };
        let code = if alike { &COVERED } else { &SHADOWED };
        let what = self.what(&rules);
        let message = match (alike, origins.len()) {
            (true, 1) => format!("no packet comes to this {what}: an earlier rule decides all of its packets alike"),
            (true, _) => {
                format!("no packet comes to this {what}: earlier rules together decide all of its packets alike")
            }
            (false, 1) => format!("no packet comes to this {what}: an earlier rule takes all of its packets"),
            (false, _) => format!("no packet comes to this {what}: earlier rules together take all of its packets"),
        };
        let label = if alike { "does nothing" } else { "never comes to its turn" };
        let mut fault = Diagnostic::new(code, location, message).label(label);
        for origin in origins.iter().take(SHOWN) {
            fault = fault
                .related(*origin, if by == "the rule before" { "takes all of them" } else { "takes some of them" });
        }
        if origins.len() > SHOWN {
            fault = fault.note(format!("and {} rules more", origins.len() - SHOWN));
        }
        let advice = if alike { "delete it" } else { "put it in front of what takes its packets; or delete it" };
        Some(self.without(fault, location, advice))
    }

    /// Whether two rules decide the same.
    fn same_verdict(&self, rule: &Rule, other: &Rule) -> bool {
        let lets = |rule: &Rule| matches!(rule.verdict, Some(Verdict::Accept | Verdict::Return));
        other.verdict == rule.verdict || (self.origin == Origin::Statements && lets(rule) && lets(other))
    }

    fn what(&self, rules: &[&Rule]) -> &'static str {
        if self.origin == Origin::Statements {
            "statement"
        } else if rules.iter().all(|rule| rule.verdict.is_none()) {
            "rule"
        } else {
            match rules.first().and_then(|rule| rule.verdict.as_ref()) {
                Some(Verdict::Jump(_) | Verdict::Goto(_)) => "jump",
                _ => "rule",
            }
        }
    }

    fn never(&self, location: Location, fates: &[(Place, &Fate)]) -> Option<Diagnostic> {
        if fates.iter().any(|(_, fate)| fate.matches || fate.sought) {
            let place = fates.first()?.0;
            let name = &self.chain(place)?.name;
            let mut fault =
                Diagnostic::new(&NEVER_MATCHES, location, format!("no packet that comes to `{name}` matches this"));
            for origin in self.origins(self.leading(place), location).iter().take(SHOWN) {
                fault = fault.related(*origin, "leads there");
            }
            return Some(self.without(fault, location, "ask for what is led here; or delete it"));
        }
        let empty = fates.iter().all(|(place, _)| {
            let table = self.ruleset.tables.get(place.table as usize);
            let rule = self.rule(*place);
            rule.zip(table).is_some_and(|(rule, table)| rule.matches.iter().any(|item| is_empty(item, table)))
        });
        if empty {
            return Some(
                Diagnostic::new(&EMPTY_SET, location, "this matches nothing: the set that it looks into is empty")
                    .help("fill the set, unless another program does"),
            );
        }
        let fault = Diagnostic::new(&NEVER_MATCHES, location, "no packet matches all that this asks for");
        Some(self.without(fault.label("its matches exclude each other"), location, "correct it; or delete it"))
    }

    fn repeated(&self, location: Location, fates: &[(Place, &Fate)]) -> Option<Diagnostic> {
        let followers: Vec<Place> = fates.iter().filter_map(|(_, fate)| fate.follower).collect();
        // The deny that an allow implies is where the flow ends, and no statement of its own.
        let (implied, said): (Vec<Place>, Vec<Place>) = followers.iter().partition(|place| self.is_implied(**place));
        let origins = self.origins(&said, location);
        let idle = |place: &Place| self.findings.fate(*place).is_some_and(|fate| fate.reached == Some(false));
        if followers.iter().any(idle) {
            // The other is told, because this one takes its packets: one of the two is needed.
            return None;
        }
        if origins.is_empty() && !self.all {
            // Many say in a rule what the policy says anyway.
            return None;
        }
        // Packets that meet a policy are told by the chain's name.
        let ends = followers.iter().find(|place| self.rule(**place).is_none());
        let message = "this could be left out: what follows decides all of its packets alike";
        let mut fault = Diagnostic::new(&REPEATED_BEHIND, location, message).label("changes nothing");
        for origin in origins.iter().take(SHOWN) {
            fault = fault.related(*origin, "decides alike");
        }
        if let Some(name) = ends.and_then(|place| self.chain(*place)).map(|chain| &chain.name) {
            fault = fault.note(format!("the end of `{name}` decides alike"));
        }
        if !implied.is_empty() {
            fault = fault.note("the deny that the allows of this flow imply decides alike");
        }
        Some(fault.help("delete it, unless it stands there for its counter or as a record"))
    }

    /// Whether a rule of a policy refuses for a statement that allows: what no statement allows is denied there.
    fn is_implied(&self, place: Place) -> bool {
        let refuses = |rule: &&Rule| matches!(rule.verdict, Some(Verdict::Drop | Verdict::Reject(_)));
        let origin = self.rule(place).filter(refuses).and_then(|rule| rule.origin);
        let text = |origin: Location| self.files.get(origin.file.0 as usize)?.text.get(origin.span.range());
        self.origin == Origin::Statements
            && origin
                .and_then(text)
                .is_some_and(|words| ["allow", "forward"].iter().any(|word| words.starts_with(word)))
    }

    /// Offers to delete a line, where it stands alone.
    fn without(&self, fault: Diagnostic, location: Location, advice: &str) -> Diagnostic {
        let line = (self.origin != Origin::Objects).then(|| whole_line(self.files, location)).flatten();
        match line {
            Some(line) if advice == "delete it" => fault.fix(advice, line, ""),
            Some(line) => fault.help(advice.split("; or").next().unwrap_or(advice)).fix("or delete it", line, ""),
            None => fault.help(advice),
        }
    }

    fn policy(&self, unreached: &super::Unreached) -> Option<Diagnostic> {
        let chain = self.ruleset.tables.get(unreached.table)?.chains.get(unreached.chain)?;
        let accepts = |place: &&Place| self.rule(**place).is_some_and(|rule| rule.verdict == Some(Verdict::Accept));
        // The widest accept says it best.
        let widest = unreached
            .keepers
            .iter()
            .filter(accepts)
            .min_by_key(|place| self.rule(**place).map_or(usize::MAX, |rule| rule.matches.len()))?;
        let location = self.rule(*widest)?.origin?;
        let message = format!("the policy of `{}` is to drop, and no packet comes to it", chain.name);
        let mut fault = Diagnostic::new(&POLICY_NEVER_REACHED, location, message).label("accepts what is left");
        let others = self.origins(&unreached.keepers, location);
        for origin in others.iter().take(SHOWN) {
            fault = fault.related(*origin, "takes some before");
        }
        Some(fault.help("accept what is meant, and leave the rest to the policy"))
    }

    fn unused(&self, table: usize, chain: usize) -> Option<Diagnostic> {
        let chain = self.ruleset.tables.get(table)?.chains.get(chain)?;
        let location = chain.rules.first()?.origin?;
        let count = chain.rules.len();
        let rules = if count == 1 { "its rule is".to_owned() } else { format!("its {count} rules are") };
        let fault = Diagnostic::new(&UNUSED_CHAIN, location, format!("no rule leads to the chain `{}`", chain.name));
        Some(fault.label(format!("{rules} never asked")).help("lead packets there, or delete the chain"))
    }

    fn overlap(&self, overlap: &super::Overlap) -> Option<Diagnostic> {
        let (first, second) = (self.rule(overlap.first)?.origin?, self.rule(overlap.second)?.origin?);
        let message = "this shares packets with an earlier rule that decides otherwise";
        let fault = Diagnostic::new(&OVERLAP, second, message).label("each matches others, too");
        Some(fault.related(first, "decides what both match").help("if the other is meant to decide, exchange them"))
    }

    fn open(&self) -> Option<Diagnostic> {
        let origins = self.origins(&self.findings.open, Location { file: FileId(u32::MAX), span: Span::default() });
        let first = *origins.first()?;
        let count = origins.len();
        let rules = if count == 1 { "1 rule".to_owned() } else { format!("{count} rules") };
        let message = format!("whether {rules} could be left out was not decided");
        Some(Diagnostic::new(&LEFT_OPEN, first, message).label("the first of them"))
    }
}

/// Every rule with its place.
fn places(ruleset: &Ruleset) -> impl Iterator<Item = (Place, &Rule)> {
    let tables = (0u32..).zip(&ruleset.tables);
    let chains = tables.flat_map(|(table, own)| (0u32..).zip(&own.chains).map(move |(chain, own)| (table, chain, own)));
    chains.flat_map(|(table, chain, own)| {
        (0u32..).zip(&own.rules).map(move |(rule, own)| (Place { table, chain, rule }, own))
    })
}

/// Whether a match looks into a set without elements.
fn is_empty(item: &Match, table: &Table) -> bool {
    match &item.kind {
        MatchKind::Source(set)
        | MatchKind::Destination(set)
        | MatchKind::OriginalSource(set)
        | MatchKind::OriginalDestination(set) => !item.negated && set.is_empty(),
        MatchKind::SourcePort(set) | MatchKind::DestinationPort(set) | MatchKind::OriginalDestinationPort(set) => {
            !item.negated && set.is_empty()
        }
        MatchKind::InInterface(cards) | MatchKind::OutInterface(cards) => !item.negated && cards.is_empty(),
        MatchKind::SourceMac(list) => !item.negated && list.is_empty(),
        MatchKind::InSet(asked) => {
            let empty = |own: &&crate::netfilter::Set| own.name == asked.set && !own.live && own.elements.is_empty();
            !item.negated && table.sets.iter().any(|own| empty(&own))
        }
        _ => false,
    }
}

/// The line of a place, with its end, if nothing else stands on it.
fn whole_line(files: &[SourceText], location: Location) -> Option<Location> {
    let span = files.get(location.file.0 as usize)?.whole_lines(location.span)?;
    Some(Location { file: location.file, span })
}
