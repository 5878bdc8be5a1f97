//! The way of packets through netfilter's hooks, as far as it is the same for one packet and for sets of them: which hooks they pass in
//! which order, where connection tracking takes them up, and what it knows of them. What rules ask of conntrack is then known, and a
//! program can be brought into a form in which the words for it are gone.

use crate::names::icmp::{self, TrackedAs};
use crate::net::Family;
use crate::netfilter::{Hook, MarkWord};
use crate::packet::{Bits, Cube, Field, Values};
use crate::program::{Does, EventId, Place, Program, Space, Step};

/// Connection tracking's place at PREROUTING and OUTPUT (`NF_IP_PRI_CONNTRACK`): chains before it see no connection.
pub const TRACKING: i32 = -200;

/// What arrives and is for this host.
pub const INGRESS: [Hook; 2] = [Hook::Prerouting, Hook::Input];
/// What arrives and is routed on.
pub const FORWARD: [Hook; 3] = [Hook::Prerouting, Hook::Forward, Hook::Postrouting];
/// What this host sends.
pub const EGRESS: [Hook; 2] = [Hook::Output, Hook::Postrouting];

/// Whether a chain comes before connection tracking.
#[must_use]
pub fn is_before_tracking(hook: Hook, priority: i32) -> bool {
    matches!(hook, Hook::Prerouting | Hook::Output) && priority < TRACKING
}

/// What connection tracking knows of packets: they are the first of connections, or the answers to those.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tracking {
    /// It knows them; else they were left out.
    pub tracked: bool,
    /// They are answers.
    pub answers: bool,
    /// The destination of the connection was translated.
    pub translated: bool,
    /// The address that the client connected to is another than that in the header.
    pub address_apart: bool,
    /// So is the port.
    pub port_apart: bool,
    /// Frames that are bridged are not among them.
    pub routed: bool,
}

impl Tracking {
    /// First packets whose header says what the client connected to.
    pub const NEW: Self = Self {
        tracked: true,
        answers: false,
        translated: false,
        address_apart: false,
        port_apart: false,
        routed: true,
    };

    /// First packets of which conntrack alone knows what the client connected to.
    pub const TRANSLATED: Self = Self { translated: true, address_apart: true, port_apart: true, ..Self::NEW };

    /// What a field of conntrack's holds for every one of the packets at a hook, if that is known.
    fn known(self, field: Field, hook: Hook, before_tracking: bool) -> Option<u128> {
        let before = hook == Hook::Prerouting && !self.answers;
        match field {
            Field::STATE if before_tracking => Some(3),
            Field::STATE if !self.tracked => Some(4),
            Field::STATE | Field::DIRECTION => Some(u128::from(self.answers)),
            // Whether the source was translated on departure, an answer may have either.
            Field::SOURCE_TRANSLATED if !self.answers => Some(0),
            Field::TRANSLATED => Some(u128::from(self.translated && !before)),
            Field::BRIDGED if self.routed => Some(0),
            Field::OUT_INTERFACE if matches!(hook, Hook::Prerouting | Hook::Input) => Some(0),
            Field::IN_INTERFACE if matches!(hook, Hook::Output | Hook::Postrouting) => Some(0),
            _ => None,
        }
    }

    /// The field of the header that holds what a field of conntrack's would.
    fn in_header(self, field: Field, hook: Hook) -> Field {
        let before = hook == Hook::Prerouting;
        match (field, self.answers) {
            (Field::ORIGINAL_SOURCE, false) => Field::SOURCE,
            (Field::ORIGINAL_SOURCE, true) => Field::DESTINATION,
            (Field::ORIGINAL_DESTINATION, false) if before || !self.address_apart => Field::DESTINATION,
            (Field::ORIGINAL_DESTINATION, true) if !self.address_apart => Field::SOURCE,
            (Field::ORIGINAL_PORT, false) if before || !self.port_apart => Field::DESTINATION_PORT,
            (Field::ORIGINAL_PORT, true) if !self.port_apart => Field::SOURCE_PORT,
            _ => field,
        }
    }

    /// A cube as a chain at a hook sees it of such packets; `None` if it has none of them.
    #[must_use]
    pub fn cube(self, cube: &Cube, hook: Hook, before_tracking: bool) -> Option<Cube> {
        let mut seen = Cube::all();
        for (field, values) in cube.parts() {
            match self.known(*field, hook, before_tracking) {
                Some(value) if values.contains(value) => {}
                Some(_) => return None,
                None => seen = seen.with(self.in_header(*field, hook), values.clone())?,
            }
        }
        Some(seen)
    }

    /// A chain's program for such packets alone.
    #[must_use]
    pub fn program(self, program: &Program, hook: Hook, before_tracking: bool) -> Program {
        rebuilt(program, |cube| self.cube(cube, hook, before_tracking))
    }
}

/// A program of the steps whose cubes become others; where one becomes nothing, its step is left out.
#[must_use]
pub fn rebuilt(program: &Program, change: impl Fn(&Cube) -> Option<Cube>) -> Program {
    program.rebuilt(|step| Some(Step { cube: change(&step.cube)?, ..*step }))
}

/// A program of which every decision but those that `keeps` names leads to one more step at its end, which decides `passed`.
#[must_use]
pub fn keeping(program: &Program, passed: EventId, keeps: impl Fn(&Step) -> bool) -> Program {
    let end = program.len();
    let mut steps = program.steps.clone();
    for step in &mut steps {
        if matches!(step.does, Does::Decide(_)) && !keeps(step) {
            step.does = Does::Lead(end);
        }
    }
    let place = steps.last().map_or(Place { table: 0, chain: 0, rule: 0 }, |step| step.place);
    steps.push(Step { cube: Cube::all(), does: Does::Decide(passed), place });
    Program::new(steps, program.complete)
}

/// Protocol numbers of ICMP and ICMPv6.
fn icmp_number(family: Family) -> u128 {
    if family == Family::Ipv4 { 1 } else { 58 }
}

/// The messages that can open a connection. All others are never NEW.
fn opening_messages(family: Family) -> impl Iterator<Item = u128> {
    (0..=u8::MAX).filter(move |kind| icmp::tracked_as(family, *kind) == TrackedAs::Opens).map(u128::from)
}

/// The cubes of a region that first packets can be in: ICMP messages that open no connection are never NEW, and no packet comes with
/// a mark that fwc sets itself.
#[must_use]
pub fn openers(cube: &Cube, reserved: u32, space: &Space) -> Vec<Cube> {
    let universe = &space.universe;
    let mut cube = Some(cube.clone());
    for (field, value) in universe.mark(MarkWord::Packet, Bits { value: 0, mask: reserved }) {
        cube = cube.and_then(|cube| cube.with(field, Values::single(value)));
    }
    let Some(cube) = cube else { return Vec::new() };
    let protocol = Values::single(icmp_number(universe.family()));
    let messages = Values::union(opening_messages(universe.family()).map(|kind| (kind << 8, kind << 8 | 0xff)));
    let others =
        universe.complement(Field::PROTOCOL, &protocol).and_then(|rest| cube.clone().with(Field::PROTOCOL, rest));
    let opening = messages.and_then(|messages| cube.with(Field::PROTOCOL, protocol)?.with(Field::ICMP, messages));
    others.into_iter().chain(opening).collect()
}
