//! Rules that no packet comes to, and rules that could be left out, against what comes out when every packet of a small world is
//! tried.
//!
//! And whether a change of a list makes a difference. `FWC_LISTS=100000` tries so many lists; without it, as many as
//! take a few seconds.
//!
//! And what is found in every recorded rule set, for a person to look at: `recorded.snap`.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use fwc::net::Family;
use fwc::netfilter::{Ruleset, Verdict};
use fwc::packet::Cube;
use fwc::program::{End, Place, Space, flatten, flatten_with_visits};
use fwc::prove::compare::differences;
use fwc::prove::cover::Budget;
use fwc::prove::findings::{Search, findings};
use fwc::read::Form;
use fwc::rules::listing::listing;
use fwc::span::{LineIndex, Location, SourceText};

use super::lists::{Lists, shown};
use super::small::World;

/// How many lists are made where nothing else is said.
const LISTS: usize = 2_000;

/// What came of the lists.
#[derive(Debug, Default)]
struct Tally {
    dead: usize,
    /// Rules that several others together keep every packet from.
    several: usize,
    redundant: usize,
    needed: usize,
    /// Rules that could be left out, and are not said to be.
    missed: usize,
    /// Changed lists that do otherwise to some packet, and that do not.
    different: usize,
    equal: usize,
    /// Questions whose answer would have taken too much work.
    open: usize,
}

/// A list of a small world, without rules in chains that nothing leads to: those would be looked at by themselves.
fn list(lists: &mut Lists, number: usize) -> Ruleset {
    let mut ruleset = lists.small();
    if number.is_multiple_of(3) {
        ruleset.tables[0].chains.iter_mut().skip(1).for_each(|chain| chain.rules.truncate(1));
    }
    let reached = led_to(&ruleset);
    for (at, chain) in ruleset.tables[0].chains.iter_mut().enumerate() {
        if !reached.contains(&at) {
            chain.rules.clear();
        }
    }
    ruleset
}

/// The steps that are looked at.
fn written(ruleset: &Ruleset) -> String {
    let mut space = Space::new(Family::Ipv4, [ruleset]);
    let program = flatten_with_visits(ruleset, 0, "start", End::Passed, &mut space).expect("the chain");
    super::shown(&program, &space)
}

/// Rules that no packet comes to, and those that could be left out.
fn compare_findings(world: &mut World, ruleset: &Ruleset, tally: &mut Tally) {
    let found = findings(ruleset, Search { policies: false, overlaps: false });
    if !found.open.is_empty() {
        tally.open += 1;
        return;
    }
    let mut matched: BTreeSet<(usize, usize)> = BTreeSet::new();
    let chains = world.chains(ruleset);
    let fates = world.fates(&chains, |chain, rule| {
        matched.insert((chain, rule));
    });
    for (chain, own) in ruleset.tables[0].chains.iter().enumerate() {
        for rule in 0..own.rules.len() {
            let number = |at: usize| u32::try_from(at).expect("small");
            let place = Place { table: 0, chain: number(chain), rule: number(rule) };
            let fate = found.fate(place).expect("a fate");
            let alive = fate.reached == Some(true);
            let known = matched.contains(&(chain, rule));
            assert_eq!(alive, known, "{place:?} {fate:?}\n{}\n{}", shown(ruleset), written(ruleset));
            if !alive {
                tally.dead += 1;
                tally.several += usize::from(fate.keepers.len() > 1);
                continue;
            }
            let plain = own.rules[rule].effects.is_empty()
                && matches!(own.rules[rule].verdict, Some(Verdict::Accept | Verdict::Drop));
            if !plain {
                continue;
            }
            let mut without = ruleset.clone();
            without.tables[0].chains[chain].rules.remove(rule);
            let chains = world.chains(&without);
            let same = world.fates(&chains, |_, _| ()) == fates;
            if fate.redundant == Some(true) {
                tally.redundant += 1;
                assert!(same, "not redundant: {place:?} {fate:?}\n{}", shown(ruleset));
            } else if same {
                // A rule that stands at several places of the list may be needed for itself alone.
                assert!(shown_at_several(ruleset, chain), "redundant: {place:?} {fate:?}\n{}", shown(ruleset));
                tally.missed += 1;
            } else {
                tally.needed += 1;
            }
        }
    }
}

/// Whether a change makes a difference to any packet.
fn compare_changed(world: &mut World, ruleset: &Ruleset, changed: &Ruleset, tally: &mut Tally) {
    let mut space = Space::new(Family::Ipv4, [ruleset, changed]);
    let mut steps = |ruleset| flatten(ruleset, 0, "start", End::Passed, &mut space).expect("the chain");
    let (left, right) = (steps(ruleset), steps(changed));
    let mut found = false;
    let all = differences(&left, &right, &Cube::all(), &space, &mut Budget::new(1_000_000), |_| {
        found = true;
        ControlFlow::Break(())
    });
    if all.is_err() {
        tally.open += 1;
        return;
    }
    let (one, other) = (world.chains(ruleset), world.chains(changed));
    let differ = world.fates(&one, |_, _| ()) != world.fates(&other, |_, _| ());
    assert_eq!(found, differ, "{}\n{}", shown(ruleset), shown(changed));
    *(if differ { &mut tally.different } else { &mut tally.equal }) += 1;
}

#[test]
fn what_is_found_is_what_trying_every_packet_shows() {
    let count = std::env::var("FWC_LISTS").map_or(LISTS, |count| count.parse().expect("a number"));
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let share = |worker: usize| {
        let mut tally = Tally::default();
        let (mut lists, mut world) = (Lists::new(0xf1d5 + worker as u64), World::new());
        for number in (worker..count).step_by(workers) {
            let ruleset = list(&mut lists, number);
            let changed = lists.changed_small(&ruleset);
            compare_findings(&mut world, &ruleset, &mut tally);
            compare_changed(&mut world, &ruleset, &changed, &mut tally);
        }
        tally
    };
    let mut all = Tally::default();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|worker| scope.spawn(move || share(worker))).collect();
        for worker in workers {
            let tally = worker.join().unwrap_or_else(|fault| std::panic::resume_unwind(fault));
            all.dead += tally.dead;
            all.several += tally.several;
            all.redundant += tally.redundant;
            all.needed += tally.needed;
            all.missed += tally.missed;
            all.different += tally.different;
            all.equal += tally.equal;
            all.open += tally.open;
        }
    });
    println!("{count} lists, {} packets each: {all:?}", World::new().len());
    if count >= 1_000 {
        assert!(all.dead > 100 && all.several > 10 && all.redundant > 10 && all.needed > 100);
        assert!(all.open * 500 < count, "{} left open", all.open);
        assert!(all.different > 100 && all.equal > 100);
        assert!(all.missed * 20 < all.redundant + 20, "{} of {}", all.missed, all.redundant);
    }
}

/// The chains that the first one leads to, and itself.
fn led_to(ruleset: &Ruleset) -> BTreeSet<usize> {
    let chains = &ruleset.tables[0].chains;
    let (mut open, mut seen) = (vec![0], BTreeSet::new());
    while let Some(chain) = open.pop() {
        if seen.insert(chain) {
            for rule in &chains[chain].rules {
                let names: Vec<&str> = targets(rule.verdict.as_ref());
                open.extend(chains.iter().enumerate().filter(|(_, own)| names.contains(&&*own.name)).map(|(at, _)| at));
            }
        }
    }
    seen
}

fn targets(verdict: Option<&Verdict>) -> Vec<&str> {
    match verdict {
        Some(Verdict::Jump(name) | Verdict::Goto(name)) => vec![name],
        Some(Verdict::Map { elements, .. }) => elements.iter().flat_map(|(_, one)| targets(Some(one))).collect(),
        _ => Vec::new(),
    }
}

/// Whether a chain is come to on more than one way, or with more than one mark.
fn shown_at_several(ruleset: &Ruleset, chain: usize) -> bool {
    let table = &ruleset.tables[0];
    let rules = || table.chains.iter().flat_map(|chain| &chain.rules);
    let marks =
        rules().any(|rule| rule.effects.iter().any(|one| matches!(one, fwc::netfilter::Effect::SetMark { .. })));
    let ways = |chain: usize| {
        rules()
            .flat_map(|rule| targets(rule.verdict.as_ref()))
            .filter(|name| *name == &*table.chains[chain].name)
            .count()
    };
    marks || ways(chain) > 1 || (0..chain).any(|before| ways(before) > 1)
}

/// The texts below a directory.
fn texts(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("directory").map(|entry| entry.expect("entry").path()) {
        if entry.is_dir() {
            texts(&entry, found);
        } else {
            found.push(entry);
        }
    }
}

#[test]
fn recorded_rule_sets() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/rulesets");
    let mut files = Vec::new();
    texts(&root, &mut files);
    files.sort_unstable();
    let (mut out, mut read) = (String::new(), 0);
    for path in files {
        let text = std::fs::read_to_string(&path).expect("text");
        let form = match fwc::read::detect(&text) {
            None | Some(Form::Ipset) => continue,
            Some(form) => form,
        };
        read += 1;
        let name = path.strip_prefix(&root).expect("below").display().to_string();
        let family = if name.contains("ip6") { Family::Ipv6 } else { Family::Ipv4 };
        let source = SourceText { path: name.as_str().into(), text: text.into() };
        let lines = LineIndex::new(&source.text);
        let line = |location: Location| lines.line_column(location.span.start).0;
        let mut list: Vec<(u32, String)> = listing(&source, form, family, &[], false, |_, _, _| true)
            .iter()
            .map(|one| {
                let here = line(one.primary.location);
                let rule = source.text.lines().nth(here as usize - 1).unwrap_or_default().trim();
                let rule = if form == Form::NftJson { "" } else { rule };
                let by: Vec<String> = one.related.iter().map(|label| line(label.location).to_string()).collect();
                (here, format!("  {here} {} {} | {rule} | {}", one.code.number, one.code.name, by.join(" ")))
            })
            .collect();
        list.sort();
        if !list.is_empty() {
            let shown: Vec<String> = list.into_iter().map(|(_, line)| line.trim_end().to_owned()).collect();
            out.push_str(&format!("{name}\n{}\n", shown.join("\n")));
        }
    }
    assert!(read > 100, "{read}");
    insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "." }, {
        insta::assert_snapshot!("recorded", out);
    });
}
