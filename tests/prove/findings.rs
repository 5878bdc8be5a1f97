//! Rules that no packet comes to, and rules that could be left out, against what comes out when every packet of a small world is
//! tried.
//!
//! `FWC_LISTS=100000` tries so many lists; without it, as many as take a few seconds.
//!
//! And what is found in every recorded rule set, for a person to look at: `recorded.snap`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use fwc::net::Family;
use fwc::netfilter::{Ruleset, Verdict};
use fwc::packet::Field;
use fwc::packet::field::name_number;
use fwc::program::{Event, Packet, Place, Space, walk};
use fwc::prove::findings::listing::listing;
use fwc::prove::findings::{Search, findings};
use fwc::read::Form;
use fwc::span::{LineIndex, Location, SourceText};

use super::lists::{Lists, shown};

/// What happens to a packet, and the rules that it matches on its way.
fn walked(ruleset: &Ruleset, packet: &Packet, space: &mut Space) -> (Vec<Event>, Vec<Place>) {
    let walk = walk(ruleset, 0, "start", &mut packet.clone(), space).expect("the chain");
    assert!(!walk.possibly);
    let mut met: Vec<Event> = walk.effects.into_iter().map(Event::Effect).collect();
    met.push(walk.verdict.map_or(Event::Passed, Event::Verdict));
    (met, walk.visits.iter().filter(|visit| visit.matched == Some(true)).map(|visit| visit.place).collect())
}

#[test]
fn what_is_found_is_what_trying_every_packet_shows() {
    let count = std::env::var("FWC_LISTS").map_or(150, |count| count.parse().expect("a number"));
    let mut lists = Lists::new(0xf1d5);
    let (mut dead, mut redundant, mut needed, mut missed, mut several) = (0, 0, 0, 0, 0);
    for number in 0..count {
        let mut ruleset = lists.small();
        if number % 3 == 0 {
            ruleset.tables[0].chains.iter_mut().skip(1).for_each(|chain| chain.rules.truncate(1));
        }
        // Chains that nothing leads to would be looked at by themselves.
        let reached = led_to(&ruleset);
        for (at, chain) in ruleset.tables[0].chains.iter_mut().enumerate() {
            if !reached.contains(&at) {
                chain.rules.clear();
            }
        }
        let found = findings(&ruleset, Search { policies: false, overlaps: false });
        assert!(found.open.is_empty(), "left open:\n{}", shown(&ruleset));
        let mut space = Space::new(Family::Ipv4, [&ruleset]);
        // Rules of this world do not ask for interfaces.
        let card = Some(name_number("eth0"));
        let world: Vec<Packet> = lists.world(&space).filter(|packet| packet.get(Field::IN_INTERFACE) == card).collect();
        let mut matched: BTreeSet<Place> = BTreeSet::new();
        let outcomes: Vec<Vec<Event>> = world
            .iter()
            .map(|packet| {
                let (met, places) = walked(&ruleset, packet, &mut space);
                matched.extend(places);
                met
            })
            .collect();
        for (chain, own) in ruleset.tables[0].chains.iter().enumerate() {
            for rule in 0..own.rules.len() {
                let number = |at: usize| u32::try_from(at).expect("small");
                let place = Place { table: 0, chain: number(chain), rule: number(rule) };
                let fate = found.fate(place).expect("a fate");
                let alive = fate.reached == Some(true);
                assert_eq!(alive, matched.contains(&place), "{place:?} {fate:?}\n{}", shown(&ruleset));
                if !alive {
                    dead += 1;
                    several += usize::from(fate.keepers.len() > 1);
                    continue;
                }
                let plain = own.rules[rule].effects.is_empty()
                    && matches!(own.rules[rule].verdict, Some(Verdict::Accept | Verdict::Drop));
                if !plain {
                    continue;
                }
                let mut without = ruleset.clone();
                without.tables[0].chains[chain].rules.remove(rule);
                let mut other = world.iter().zip(&outcomes);
                let same = other.all(|(packet, met)| walked(&without, packet, &mut space).0 == *met);
                if fate.redundant == Some(true) {
                    redundant += 1;
                    assert!(same, "not redundant: {place:?} {fate:?}\n{}", shown(&ruleset));
                } else if same {
                    // A rule that stands at several places of the list may be needed for itself alone.
                    assert!(shown_at_several(&ruleset, chain), "redundant: {place:?} {fate:?}\n{}", shown(&ruleset));
                    missed += 1;
                } else {
                    needed += 1;
                }
            }
        }
    }
    println!(
        "{count} lists: {dead} dead ({several} by several), {redundant} redundant, {needed} needed, {missed} missed"
    );
    if count >= 150 {
        assert!(dead > 100 && several > 10 && redundant > 10 && needed > 100);
        assert!(missed * 20 < redundant + 20, "{missed} of {redundant}");
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
