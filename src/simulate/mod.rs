//! One packet's way through a host, hook by hook in the kernel's order: arrival, the routing decision, delivery or departure, with
//! what address translation and marks make of it on the way.
//!
//! What is modelled and what is not: each hook asks its base chains by priority; the first packet of a connection is translated by
//! the first rule that says so; routing looks at addresses alone (no policy routing, no marks); bridges and devices (`ingress`,
//! `brouting`) take no part.

mod answer;
mod nat;
pub mod packet;
mod published;
mod route;

use std::net::IpAddr;

use crate::hooks;
use crate::host::{Entry, Host, words};
use crate::net::Family;
use crate::netfilter::{Effect, Hook, MarkWord, Reject, TableFamily, TableKind, Verdict};
use crate::packet::field::{name_number, number_name};
use crate::packet::{Bits, Field};
use crate::program::{Packet, Place, Space, Visit, walk};

pub use packet::{Misunderstood, Question, parse};

/// A packet's whole way.
#[derive(Clone, Debug)]
pub struct Trace {
    /// What happened, in order.
    pub stages: Vec<Stage>,
    /// What became of it.
    pub outcome: Outcome,
    /// The rule that decided, if one did.
    pub decided: Option<Place>,
    /// What could have come otherwise, since what it asks is not known.
    pub doubts: Vec<Place>,
    /// What was assumed.
    pub notes: Vec<String>,
    /// The packet as it was at the end.
    pub packet: Packet,
    /// The container that it is led to, where a policy's facts say so.
    pub target: Option<String>,
    /// Of the first packet of a connection that arrives: what stops the answer to it, if that is certain.
    pub answer: Option<Stopped>,
}

/// What ends an answer's way.
#[derive(Clone, Debug)]
pub struct Stopped {
    /// How.
    pub outcome: Outcome,
    /// The rule that decides; `None`: a chain's policy.
    pub decided: Option<Place>,
    /// The base chain.
    pub entry: Entry,
}

/// A part of the way.
#[derive(Clone, Debug)]
pub enum Stage {
    /// The chains at a hook.
    Hook(Box<HookStage>),
    /// The routing decision, in words.
    Routing(String),
}

/// A base chain that was asked.
#[derive(Clone, Debug)]
pub struct HookStage {
    /// The hook.
    pub hook: Hook,
    /// The base chain.
    pub entry: Entry,
    /// The packet as it came there.
    pub packet: String,
    /// The rules that it came to.
    pub visits: Vec<Considered>,
    /// What the chain decided; `None`: its policy let it pass.
    pub verdict: Option<Verdict>,
    /// Whether that is the chain's policy.
    pub policy: bool,
    /// What happened to the packet, in words: logs, marks, new addresses.
    pub changes: Vec<String>,
    /// If the chain was not asked: why.
    pub skipped: Option<&'static str>,
}

/// A rule that the packet came to.
#[derive(Clone, Debug)]
pub struct Considered {
    /// The rule, whether it matched, how deep it stands.
    pub visit: Visit,
    /// Why it did not match, or may not.
    pub because: Option<String>,
}

/// What became of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It reached a program on this machine.
    Delivered,
    /// It left by a card, if it is known which.
    Left(Option<String>),
    /// It is gone.
    Dropped,
    /// It was refused with an answer.
    Rejected(Reject),
}

/// Follows a packet.
///
/// # Errors
/// Says what of the packet has to be known and is not.
pub fn trace(host: &Host, question: &Question) -> Result<Trace, String> {
    let family =
        match question.family {
            Some(family) => family,
            None => match host.families.as_slice() {
                [only] => *only,
                _ => return Err(
                    "whether the packet is IPv4 or IPv6 is not known: give an address, or begin with `ipv4` or `ipv6`"
                        .to_owned(),
                ),
            },
        };
    let mut space = Space::new(family, [&host.ruleset]);
    let packet = first(question, &space);
    let mut way = Way {
        host,
        question,
        family,
        packet,
        tracked: true,
        translated: nat::Translated::default(),
        trace: Trace {
            stages: Vec::new(),
            outcome: Outcome::Dropped,
            decided: None,
            doubts: Vec::new(),
            notes: Vec::new(),
            packet: Packet::default(),
            target: None,
            answer: None,
        },
        space: &mut space,
    };
    if !host.families.contains(&family) {
        way.note(format!("no text says anything about {family}: every packet passes"));
    }
    for table in &host.ruleset.tables {
        if matches!(table.family, TableFamily::Bridge | TableFamily::Netdev)
            && table.chains.iter().any(|chain| !chain.rules.is_empty())
        {
            way.note(format!(
                "the table {} {} takes no part: only routed packets are followed",
                if table.family == TableFamily::Bridge { "bridge" } else { "netdev" },
                table.name
            ));
        }
    }
    let ended = way.go();
    if let Some(outcome) = ended {
        way.trace.outcome = outcome;
    }
    way.trace.packet = way.packet;
    let mut trace = way.trace;
    trace.answer = answer::stopped(host, question, &trace, &space);
    Ok(trace)
}

/// The packet as it comes into the kernel.
fn first(question: &Question, space: &Space) -> Packet {
    let mut packet = Packet::default();
    packet.set(Field::STATE, u128::from(question.state));
    packet.set(Field::DIRECTION, u128::from(question.reply));
    packet.set(Field::BRIDGED, 0);
    packet.set(Field::TRANSLATED, 0);
    packet.set(Field::SOURCE_TRANSLATED, 0);
    if let Some(protocol) = question.protocol {
        packet.set(Field::PROTOCOL, u128::from(protocol.0));
    }
    if let Some((kind, code)) = question.icmp {
        packet.set(Field::ICMP, u128::from(kind) << 8 | u128::from(code));
    }
    let ports = [(Field::SOURCE_PORT, question.source_port), (Field::DESTINATION_PORT, question.destination_port)];
    for (field, port) in ports {
        if let Some(port) = port {
            packet.set(field, u128::from(port));
        }
    }
    let addresses = [(Field::SOURCE, question.source), (Field::DESTINATION, question.destination)];
    for (field, address) in addresses {
        if let Some(address) = address {
            packet.set(field, words::address_number(address));
        }
    }
    if let Some(address) = question.destination {
        packet.set(Field::MULTICAST, u128::from(address.is_multicast()));
        packet.set(Field::BROADCAST, u128::from(address == IpAddr::from([255, 255, 255, 255])));
    } else if question.to_host {
        packet.set(Field::MULTICAST, 0);
        packet.set(Field::BROADCAST, 0);
    }
    if let Some(mac) = question.mac {
        packet.set(Field::MAC, mac.number());
    }
    let dialled = question.dialled;
    let original = [
        (Field::ORIGINAL_SOURCE, packet.get(Field::SOURCE)),
        (
            Field::ORIGINAL_DESTINATION,
            dialled.map(|(address, _)| words::address_number(address)).or(packet.get(Field::DESTINATION)),
        ),
        (
            Field::ORIGINAL_PORT,
            dialled.and_then(|(_, port)| port).map(u128::from).or(packet.get(Field::DESTINATION_PORT)),
        ),
    ];
    // Of an answer, the fields say what the other side sent first: that is not known.
    for (field, value) in original.into_iter().filter(|_| !question.reply || dialled.is_some()) {
        if let Some(value) = value {
            packet.set(field, value);
        }
    }
    if question.reply {
        packet.forget(Field::TRANSLATED);
        packet.forget(Field::SOURCE_TRANSLATED);
    } else if dialled.is_some() {
        packet.set(Field::TRANSLATED, 1);
    }
    // A connection begins without a mark.
    let opens = question.state == 0 && !question.reply;
    let marks = [
        (MarkWord::Packet, Some(question.mark)),
        (MarkWord::Connection, question.connection_mark.or(opens.then_some(0))),
    ];
    for (word, value) in marks {
        let Some(value) = value else { continue };
        for (field, value) in space.universe.mark(word, Bits { value, mask: u32::MAX }) {
            packet.set(field, value);
        }
    }
    let syn = opens.then_some(0x02);
    if let Some(flags) = question.flags.or(syn).filter(|_| question.protocol == Some(crate::net::Protocol::TCP)) {
        for (field, value) in space.universe.flags(Bits { value: u32::from(flags), mask: 0xff }) {
            packet.set(field, value);
        }
    }
    packet
}

struct Way<'h, 's> {
    host: &'h Host,
    question: &'h Question,
    family: Family,
    packet: Packet,
    tracked: bool,
    translated: nat::Translated,
    trace: Trace,
    space: &'s mut Space,
}

impl Way<'_, '_> {
    fn note(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.trace.notes.contains(&text) {
            self.trace.notes.push(text);
        }
    }

    fn card(&mut self, field: Field, name: Option<&str>) {
        match name {
            Some(name) => self.packet.set(field, name_number(name)),
            None => self.packet.forget(field),
        }
    }

    /// The whole way; `None` if a hook ended it.
    fn go(&mut self) -> Option<Outcome> {
        if self.question.from_host { self.outward() } else { self.inward() }
    }

    fn inward(&mut self) -> Option<Outcome> {
        let arrives = self.question.arrives.clone();
        self.card(Field::IN_INTERFACE, arrives.as_deref());
        self.packet.set(Field::OUT_INTERFACE, 0);
        if arrives.is_none() {
            self.note("the interface of arrival is not said: `in CARD` says it");
        }
        self.locate_source();
        self.locate_destination();
        self.hook(Hook::Prerouting)?;
        let led = self.lead_to_container();
        let to = match &led {
            Some(led) => route::Route { local: false, card: Some(led.bridge.clone()), why: led.why.clone() },
            None => self.route(),
        };
        self.trace.target = led.map(|led| led.target);
        self.trace.stages.push(Stage::Routing(to.why.clone()));
        if to.local {
            self.packet.set(Field::LOCAL, 1);
            self.packet.set(Field::OUT_INTERFACE, 0);
            self.hook(Hook::Input)?;
            return Some(Outcome::Delivered);
        }
        self.packet.set(Field::LOCAL, 0);
        self.card(Field::OUT_INTERFACE, to.card.as_deref());
        if to.card.is_none() {
            self.note("the interface of departure is not known: say `out CARD`, or give the host's addresses with --facts or --address");
        }
        self.hook(Hook::Forward)?;
        self.packet.set(Field::IN_INTERFACE, 0);
        self.hook(Hook::Postrouting)?;
        Some(Outcome::Left(to.card))
    }

    fn outward(&mut self) -> Option<Outcome> {
        self.packet.set(Field::IN_INTERFACE, 0);
        self.packet.set(Field::SOURCE_LOCAL, 1);
        let before = self.destination_of_host();
        self.card(Field::OUT_INTERFACE, before.card.as_deref());
        self.packet.set(Field::LOCAL, u128::from(before.local));
        self.trace.stages.push(Stage::Routing(before.why.clone()));
        self.hook(Hook::Output)?;
        let mut to = before;
        if self.translated.destination {
            // The kernel looks up the way again; for what now goes elsewhere, OUTPUT has seen the first card.
            to = self.route();
            self.trace.stages.push(Stage::Routing(to.why.clone()));
            self.card(Field::OUT_INTERFACE, if to.local { Some("lo") } else { to.card.as_deref() });
            self.packet.set(Field::LOCAL, u128::from(to.local));
        }
        if to.card.is_none() && !to.local {
            self.note("the interface of departure is not known: say `out CARD`, or give the host's addresses with --facts or --address");
        }
        self.hook(Hook::Postrouting)?;
        if !to.local {
            return Some(Outcome::Left(to.card));
        }
        self.packet.set(Field::IN_INTERFACE, name_number("lo"));
        self.packet.set(Field::OUT_INTERFACE, 0);
        self.trace.stages.push(Stage::Routing("the packet comes back by lo".to_owned()));
        self.hook(Hook::Prerouting)?;
        self.hook(Hook::Input)?;
        Some(Outcome::Delivered)
    }

    /// Asks the chains at a hook; `None` if one ended the way.
    fn hook(&mut self, hook: Hook) -> Option<()> {
        for entry in self.host.entries(self.family, hook) {
            self.entry(hook, entry)?;
        }
        Some(())
    }

    fn entry(&mut self, hook: Hook, entry: Entry) -> Option<()> {
        let chain = self.host.ruleset.tables.get(entry.table)?.chains.get(entry.chain)?;
        let mut stage = HookStage {
            hook,
            entry,
            packet: self.shown(),
            visits: Vec::new(),
            verdict: None,
            policy: false,
            changes: Vec::new(),
            skipped: None,
        };
        let translates = entry.base.kind == TableKind::Nat;
        if translates {
            stage.skipped = self.not_translated_here(hook);
        }
        if stage.skipped.is_some() {
            if !chain.rules.is_empty() {
                self.trace.stages.push(Stage::Hook(Box::new(stage)));
            }
            return Some(());
        }
        let before_tracking = hooks::is_before_tracking(hook, entry.base.priority) && self.tracked;
        let mut packet = self.packet.clone();
        if before_tracking {
            // No connection is known there: whoever asks for its state sees an invalid one.
            packet.set(Field::STATE, 3);
            [Field::ORIGINAL_PORT, Field::ORIGINAL_DESTINATION, Field::ORIGINAL_SOURCE]
                .into_iter()
                .for_each(|field| packet.forget(field));
        }
        if translates {
            // Rules about translation are asked for the first packet.
            packet.set(Field::STATE, if self.question.state == 2 { 2 } else { 0 });
        }
        let seen = packet.clone();
        let name = chain.name.clone();
        let walked = walk(&self.host.ruleset, entry.table, &name, &mut packet, self.space)?;
        for (field, _) in self.space.universe.no_marks() {
            match packet.get(field) {
                Some(value) => self.packet.set(field, value),
                None => self.packet.forget(field),
            }
        }
        for visit in walked.visits {
            let because = self.because(&visit, &seen);
            self.note_limit(&visit);
            stage.visits.push(Considered { visit, because });
        }
        for effect in &walked.effects {
            stage.changes.push(words::effect(effect));
            if *effect == Effect::Notrack {
                self.tracked = false;
                self.packet.set(Field::STATE, 4);
            }
        }
        let last = stage.visits.iter().rev().find(|considered| {
            considered.visit.matched == Some(true)
                && self.host.rule(considered.visit.place).is_some_and(|rule| rule.verdict.is_some())
        });
        let decided = last.map(|considered| considered.visit.place);
        stage.policy = walked.verdict.is_none();
        let verdict = walked.verdict.or_else(|| (!entry.base.accept).then_some(Verdict::Drop));
        self.doubt(&stage, verdict.as_ref());
        stage.verdict.clone_from(&verdict);
        let outcome = match &verdict {
            Some(Verdict::Drop) => Some(Outcome::Dropped),
            Some(Verdict::Reject(kind)) => Some(Outcome::Rejected(*kind)),
            Some(verdict) => {
                if translates {
                    stage.changes.extend(self.translate(verdict, hook));
                }
                None
            }
            None => None,
        };
        let policy = stage.policy;
        self.trace.stages.push(Stage::Hook(Box::new(stage)));
        match outcome {
            Some(outcome) => {
                self.trace.outcome = outcome;
                self.trace.decided = if policy { None } else { decided };
                None
            }
            None => {
                if verdict.is_some() && !translates && entry.base.kind == TableKind::Filter {
                    self.trace.decided = decided;
                }
                Some(())
            }
        }
    }

    /// Notes the rules that possibly matched, where that could change what the chain decides, or what later chains see.
    fn doubt(&mut self, stage: &HookStage, verdict: Option<&Verdict>) {
        let mut doubts = Vec::new();
        // Whether a rule further behind leaves something for later chains. A rule in front that ends the way passes it over.
        let mut marked = false;
        for considered in stage.visits.iter().rev().filter(|considered| considered.visit.matched != Some(false)) {
            let Some(rule) = self.host.rule(considered.visit.place) else { continue };
            let leaves = |effect: &Effect| *effect == Effect::Notrack || effect.changes_marks();
            let marks = rule.effects.iter().any(leaves);
            let same = match (&rule.verdict, verdict) {
                (None, _) => !marks,
                (Some(Verdict::Accept), None) => !marked,
                (Some(one), Some(other)) => one == other && !marked,
                _ => false,
            };
            if considered.visit.matched.is_none() && !same {
                doubts.push(considered.visit.place);
            }
            marked |= marks;
        }
        self.trace.doubts.extend(doubts.into_iter().rev());
    }

    /// Says that a rule that counts decides otherwise for later packets.
    fn note_limit(&mut self, visit: &Visit) {
        let Some(rule) = self.host.rule(visit.place) else { return };
        if visit.counts && visit.matched.is_some() && rule.verdict.is_some() {
            self.note("the packet is taken to be within every limit: beyond one it may be decided otherwise");
        }
    }

    /// Why a rule did not match, or may not.
    fn because(&self, visit: &Visit, packet: &Packet) -> Option<String> {
        if visit.matched == Some(true) {
            return visit.counts.then(|| "within the limit".to_owned());
        }
        let rule = self.host.rule(visit.place)?;
        let Some(item) = visit.because.and_then(|number| rule.matches.get(number)) else {
            if visit.matched.is_none() {
                return Some("what it decides is not known".to_owned());
            }
            let other = rule.family.filter(|family| *family != self.family);
            let family = other.map(|family| format!("it is for {family}"));
            return Some(family.unwrap_or_else(|| "the packet has no connection".to_owned()));
        };
        let asked = words::asked(item, self.family);
        let own = words::compared(item).and_then(|field| {
            let value = packet.get(field)?;
            Some(words::value(field, value, &self.space.universe))
        });
        Some(match (visit.matched, own) {
            (Some(false), Some(own)) => format!("asks for {asked}; it is {own}"),
            (Some(false), None) => format!("asks for {asked}"),
            _ => format!("whether it has {asked} is not known"),
        })
    }

    /// The packet in words.
    fn shown(&self) -> String {
        let get = |field: Field| self.packet.get(field);
        let text = |field: Field| get(field).map(|value| words::value(field, value, &self.space.universe));
        let side = |address: Field, port: Field| {
            let address = get(address).map(|number| words::address(number, self.family));
            let port = get(port).and_then(|port| u16::try_from(port).ok());
            match (address, port) {
                (Some(address), Some(port)) => words::endpoint(address, port),
                (Some(address), None) => address.to_string(),
                (None, Some(port)) => format!("any:{port}"),
                (None, None) => "any".to_owned(),
            }
        };
        let protocol = text(Field::PROTOCOL).unwrap_or_else(|| "any protocol".to_owned());
        let icmp = text(Field::ICMP).map(|icmp| format!(" {icmp}")).unwrap_or_default();
        let mut out = format!(
            "{protocol}{icmp} {} -> {}",
            side(Field::SOURCE, Field::SOURCE_PORT),
            side(Field::DESTINATION, Field::DESTINATION_PORT)
        );
        for (field, word) in [(Field::IN_INTERFACE, "in"), (Field::OUT_INTERFACE, "out")] {
            match get(field) {
                Some(0) => {}
                Some(number) => {
                    if let Some(name) = number_name(number) {
                        out.push_str(&format!(" {word} {name}"));
                    }
                }
                None => out.push_str(&format!(" {word} ?")),
            }
        }
        if let Some(state) = get(Field::STATE).filter(|state| *state != 0) {
            out.push_str(&format!(" state {}", words::state(state)));
        }
        if get(Field::TRANSLATED) == Some(1) {
            let dialled = side(Field::ORIGINAL_DESTINATION, Field::ORIGINAL_PORT);
            out.push_str(&format!(" dialled {dialled}"));
        }
        out
    }
}
