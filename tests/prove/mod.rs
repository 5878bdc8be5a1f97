//! What is proved of rule sets, against what comes out when every packet of a small world is tried.

mod adversary;
mod counters;
mod asserts;
mod findings;
pub mod lists;
mod mutants;
mod small;

use std::ops::ControlFlow;

use fwc::net::Family;
use fwc::netfilter::Ruleset;
use fwc::packet::{Cube, Field, Values};
use fwc::program::{Does, End, Event, EventId, Packet, Place, Program, Space, Step, flatten, walk};
use fwc::prove::compare::differences;
use fwc::prove::cover::Budget;

use lists::Lists;

/// The events that a packet meets in a list of steps.
fn run(program: &Program, packet: &Packet, space: &Space) -> Vec<Event> {
    let (mut met, mut at) = (Vec::new(), 0u32);
    while let Some(step) = program.step(at) {
        at += 1;
        if packet.is_in(&step.cube).expect("every field is known") {
            match step.does {
                Does::Decide(event) => {
                    met.push(space.event(event).clone());
                    return met;
                }
                Does::Happen(event) => met.push(space.event(event).clone()),
                Does::Lead(to) => at = to,
            }
        }
    }
    panic!("a packet that nothing decided");
}

/// Steps as text.
fn shown(program: &Program, space: &Space) -> String {
    let numbered = program.steps.iter().enumerate();
    let line = |(number, step): (usize, &fwc::program::Step)| {
        let does = match step.does {
            Does::Decide(event) | Does::Happen(event) => format!("{:?}", space.event(event)),
            Does::Lead(to) => format!("to {to}"),
        };
        format!("{number}: {:?} {does} ({}.{})\n", step.cube.parts(), step.place.chain, step.place.rule)
    };
    numbered.map(line).collect()
}

/// The same, from the chains themselves.
fn walked(ruleset: &Ruleset, packet: &Packet, space: &mut Space) -> Vec<Event> {
    let walk = walk(ruleset, 0, "start", &mut packet.clone(), space).expect("the chain");
    assert!(!walk.possibly);
    let mut met: Vec<Event> = walk.effects.into_iter().map(Event::Effect).collect();
    met.push(walk.verdict.map_or(Event::Passed, Event::Verdict));
    met
}

#[test]
fn a_list_of_steps_does_to_every_packet_what_its_chains_do() {
    let mut lists = Lists::new(0x5eed);
    let (mut packets, mut verdicts) = (0, std::collections::BTreeMap::new());
    for _ in 0..600 {
        let ruleset = lists.ruleset();
        let mut space = Space::new(Family::Ipv4, [&ruleset]);
        let program = flatten(&ruleset, 0, "start", End::Passed, &mut space).expect("the chain");
        assert!(program.complete);
        for _ in 0..60 {
            let packet = lists.packet(&space);
            let met = run(&program, &packet, &space);
            assert_eq!(
                met,
                walked(&ruleset, &packet, &mut space),
                "{packet:?}\n{}\n{}",
                lists::shown(&ruleset),
                shown(&program, &space)
            );
            *verdicts.entry(format!("{:?}", met.last())).or_insert(0) += 1;
            packets += 1;
        }
    }
    println!("{packets} packets: {verdicts:?}");
    assert!(verdicts.len() == 3);
}

#[test]
fn a_difference_is_found_just_where_there_is_one() {
    let mut lists = Lists::new(0xd1ff);
    let (mut equal, mut different) = (0, 0);
    for _ in 0..1_500 {
        let one = lists.ruleset();
        let other = lists.changed(&one);
        let mut space = Space::new(Family::Ipv4, [&one, &other]);
        let left = flatten(&one, 0, "start", End::Passed, &mut space).expect("the chain");
        let right = flatten(&other, 0, "start", End::Passed, &mut space).expect("the chain");
        let mut found = None;
        differences(&left, &right, &Cube::all(), &space, &mut Budget::new(1_000_000), |difference| {
            found = Some(difference);
            ControlFlow::Break(())
        })
        .unwrap_or_else(|_| {
            panic!("{} {}\n{}\n{}", left.complete, right.complete, shown(&left, &space), shown(&right, &space))
        });
        let tried = lists.world(&space).find(|packet| run(&left, packet, &space) != run(&right, packet, &space));
        assert_eq!(
            found.is_some(),
            tried.is_some(),
            "{tried:?} {found:?}\n{}\n{}\n{}\n{}",
            lists::shown(&one),
            lists::shown(&other),
            shown(&left, &space),
            shown(&right, &space)
        );
        if let Some(found) = &found {
            different += 1;
            let packet = lists.packet_of(&found.cube, &space);
            assert_ne!(run(&left, &packet, &space), run(&right, &packet, &space), "{packet:?} {found:?}");
        } else {
            equal += 1;
        }
    }
    println!("{different} differ, {equal} are equal");
    assert!(different > 200 && equal > 200);
}

/// A list of rules of both verdicts that overlap widely, and the same with neighbours exchanged that do the same, or have no packet in
/// common.
fn long_lists(count: u32) -> [Vec<Step>; 2] {
    let step = |number: u32| {
        let (low, wide) = (u128::from(number.wrapping_mul(2_654_435_761)), number.is_multiple_of(3));
        let low = if wide { low & 0xff00_0000 } else { low };
        let sources = Values::range((low, low | if wide { 0x00ff_ffff } else { 0 }));
        let port = Values::single(u128::from(number % 500));
        let cube = Cube::all().with(Field::SOURCE, sources).and_then(|cube| cube.with(Field::DESTINATION_PORT, port));
        let does = Does::Decide(EventId(u32::from(number.is_multiple_of(5))));
        Step { cube: cube.expect("not empty"), does, place: Place { table: 0, chain: 0, rule: number } }
    };
    let last =
        Step { cube: Cube::all(), does: Does::Decide(EventId(1)), place: Place { table: 0, chain: 0, rule: count } };
    let list: Vec<Step> = (0..count).map(step).chain([last]).collect();
    let mut other = list.clone();
    for at in (0..list.len() - 2).step_by(7) {
        if list[at].does == list[at + 1].does || !list[at].cube.meets(&list[at + 1].cube) {
            other.swap(at, at + 1);
        }
    }
    [list, other]
}

#[test]
fn long_lists_that_overlap_are_compared_with_little_work() {
    const COUNT: u32 = 6_000;
    let space = Space::new(Family::Ipv4, []);
    let [list, mut other] = long_lists(COUNT);
    let compared = |other: &[Step]| {
        let (left, right) = (Program::new(list.clone(), true), Program::new(other.to_vec(), true));
        let mut found = Vec::new();
        let mut budget = Budget::new(u64::from(COUNT) * 100);
        let all = differences(&left, &right, &Cube::all(), &space, &mut budget, |difference| {
            found.push(difference);
            ControlFlow::Continue(())
        });
        assert!(all.is_ok(), "too much work");
        found
    };
    assert_ne!(list, other);
    assert!(compared(&other).is_empty());
    // A verdict that is another, of a rule that is met: its own packets differ, and the steps are those that they meet.
    let changed = 3_001;
    other[changed].does = Does::Decide(EventId(7));
    let found = compared(&other);
    assert!(!found.is_empty());
    for difference in found {
        assert_eq!(difference.right as usize, changed);
        assert!(list[difference.left as usize].cube.covers(&difference.cube));
        assert!(other[changed].cube.covers(&difference.cube));
        assert!(!list[..difference.left as usize].iter().any(|step| step.cube.meets(&difference.cube)));
    }
}
