//! What is proved of rule sets, against what comes out when every packet of a small world is tried.

mod asserts;
mod findings;
pub mod lists;
mod mutants;
mod small;

use std::ops::ControlFlow;

use fwc::net::Family;
use fwc::netfilter::Ruleset;
use fwc::packet::Cube;
use fwc::program::{Does, End, Event, Packet, Program, Space, flatten, walk};
use fwc::prove::align::aligned;
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
    let (mut equal, mut different, mut quick) = (0, 0, 0);
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
            assert!(
                !aligned(&left, &right, &space.universe),
                "the quick way says yes wrongly\n{}\n{}",
                lists::shown(&one),
                lists::shown(&other)
            );
        } else {
            equal += 1;
            quick += usize::from(aligned(&left, &right, &space.universe));
        }
    }
    println!("{different} differ, {equal} are equal, {quick} of them shown the quick way");
    assert!(different > 200 && equal > 200 && quick > 20);
}
