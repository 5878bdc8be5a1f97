//! Guests and instances with a block of their own: judges before the flows. A packet must pass the `out` judge of the guest it
//! comes from and the `in` judge of the guest it goes to; in these chains an allow is RETURN, consent, and a deny is final.

use std::sync::Arc;

use thin_vec::thin_vec;

use crate::diagnostic::{Code, Diagnostic, Level};
use crate::net::{AddressRange, AddressSet, Card, Family};
use crate::netfilter::Target;
use crate::netfilter::{Effect, Hook, Match, MatchKind, Rule, State, TableFamily, TableKind, Verdict};
use crate::policy::{Action, Class, Flow, Gate, GateLine, Judgement, Policy, Rank, who};
use crate::syntax::tree::{Direction, GuestKind};

use super::condition::Seat;
use super::dispatch::{chain_name, to};
use super::{CONSENT_MARK, Program, has_part, state};

/// Traffic to a guest that iptables does not see.
pub static GUEST_ROAD_UNSEEN: Code = Code {
    number: "FW0311",
    name: "guest-road-unseen",
    level: Level::Warning,
    summary: "iptables cannot tell a tap for traffic from the host or routed to the guest",
    explanation: "iptables knows a tap (`physdev`) only for frames that are bridged, and for those that arrive. For what the host itself or a\nrouter on this host sends to a guest, the bridge has not chosen the port yet when OUTPUT and FORWARD are passed.\n\n```fw\nguest vm1 on tap1i0 { in allow ssh from office }                        # warning\n```

**Instead**, give its address, by which it is judged then:

```fw
guest vm1 on tap1i0 address 192.0.2.5 { in allow ssh from office }\n```\n\nGive the guest's address, or build for nft (`target nft`), whose bridge table sees every port.",
};

/// An instance that cannot be told from its neighbours.
pub static GATE_WITHOUT_ADDRESS: Code = Code {
    number: "FW0312",
    name: "gate-without-address",
    level: Level::Error,
    summary: "an instance on a shared bridge has rules of its own but no address",
    explanation: "Rules for one instance need something that tells it from the others on its bridge.\n\n```fw\ninstance blog on lxdbr0 { in allow http from lan }                         # error\n```

**Instead**:

```fw
instance blog on lxdbr0 address 10.10.10.5 { in allow http from lan }\n```\n\nGive its fixed address here or in fwc.facts.json.",
};

/// The chain that bridged frames come to with iptables.
pub(super) const BRIDGED: &str = "fwc-bridged";

/// Whether a gate stands at a tap of its own rather than at an address behind a shared bridge.
pub(super) fn is_on_tap(gate: &Gate) -> bool {
    gate.kind == GuestKind::Guest
}

/// The matches that mean "towards this guest", by family.
pub(super) fn towards(gate: &Gate, bridged: bool) -> Vec<(Option<Family>, Vec<Match>)> {
    if is_on_tap(gate) && bridged {
        return vec![(None, vec![Match::is(MatchKind::OutPort(gate.cards.clone()))])];
    }
    by_address(gate, MatchKind::Destination, MatchKind::OutInterface)
}

/// The matches that mean "from this guest", by family.
pub(super) fn from(gate: &Gate) -> Vec<(Option<Family>, Vec<Match>)> {
    if is_on_tap(gate) {
        return vec![(None, vec![Match::is(MatchKind::InPort(gate.cards.clone()))])];
    }
    by_address(gate, MatchKind::Source, MatchKind::InInterface)
}

fn by_address(
    gate: &Gate,
    address: impl Fn(AddressSet) -> MatchKind,
    card: impl Fn(Arc<[Card]>) -> MatchKind,
) -> Vec<(Option<Family>, Vec<Match>)> {
    Family::BOTH
        .into_iter()
        .filter_map(|family| {
            let set = gate.addresses.of_family(family);
            if set.is_empty() {
                return None;
            }
            let mut matches = Vec::new();
            if !is_on_tap(gate) {
                matches.push(Match::is(card(gate.cards.clone())));
            }
            matches.push(Match::is(address(set)));
            Some((Some(family), matches))
        })
        .collect()
}

/// The allows of a guest's `out` lines towards a class, those of the groups that it applies included.
pub(super) fn out_allows<'p>(policy: &'p Policy, gate: &'p Gate, to: Class) -> Vec<&'p Judgement> {
    let mut found = Vec::new();
    let mut applied: Vec<&str> = Vec::new();
    let out = gate.lines.iter().filter(|(direction, _)| *direction == Direction::Out);
    let mut lines: Vec<&GateLine> = out.map(|(_, line)| line).rev().collect();
    while let Some(line) = lines.pop() {
        match line {
            GateLine::Rule(rule) if rule.action == Action::Allow && rule.to.class == to => found.push(&**rule),
            GateLine::Rule(_) => {}
            GateLine::Apply(name, _) if !applied.contains(&&**name) => {
                applied.push(name);
                let group = policy.groups.iter().find(|group| group.name == *name);
                lines.extend(group.into_iter().flat_map(|group| group.lines.iter().rev()));
            }
            GateLine::Apply(..) => {}
        }
    }
    found
}

/// A rule for IP packets alone. A bridge also carries ARP, without which nobody finds a guest: the judges end in deny, and what
/// they judge has to be IP.
fn packets(rule: Rule, family: TableFamily) -> impl Iterator<Item = Rule> {
    let families: &[Option<Family>] =
        if family == TableFamily::Bridge { &[Some(Family::Ipv4), Some(Family::Ipv6)] } else { &[None] };
    families.iter().map(move |&family| Rule { family, ..rule.clone() })
}

/// Frames of every kind, ARP too, from a guest under an Ethernet address that is not its own.
fn borrowed(gates: &[&Gate], family: TableFamily) -> Vec<Rule> {
    let gates = gates.iter().filter(|_| family == TableFamily::Bridge);
    gates
        .filter_map(|gate| {
            let matches = vec![
                Match::is(MatchKind::InPort(gate.cards.clone())),
                Match::not(MatchKind::SourceMac(thin_vec![gate.mac?])),
            ];
            Some(Rule { origin: Some(gate.location), ..to(matches, Verdict::Drop) })
        })
        .collect()
}

/// Who is at the other end of what a chain judges.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Peer {
    /// The host itself: called from INPUT or OUTPUT.
    Host,
    /// Everyone else: called where packets pass through.
    Others,
    /// The host, and whoever it routes for: nft's bridge hooks do not tell them apart.
    HostOrRouted,
}

impl Peer {
    /// Whether a party of that class may be at the other end.
    fn is(self, class: Class) -> bool {
        match self {
            Self::Host => class == Class::Host,
            Self::Others => class != Class::Host,
            // The bridges of other platforms cannot be seen from here: what speaks of them is left out, and so not allowed.
            Self::HostOrRouted => !matches!(class, Class::Container | Class::Instance),
        }
    }

    fn suffix(self) -> &'static str {
        if self == Self::Others { "" } else { "-h" }
    }
}

impl Program<'_> {
    /// The calls of the judges at a hook of the inet tables, with their chains.
    pub(super) fn gate_calls(&mut self, hook: Hook) -> Vec<Rule> {
        let mut rules = Vec::new();
        let policy = self.policy;
        for gate in &policy.gates {
            let tap = is_on_tap(gate);
            // With nft a tap's judges stand in the bridge table, which sees every port.
            if tap && self.target == Target::Nft {
                continue;
            }
            let peer = if hook == Hook::Forward { Peer::Others } else { Peer::Host };
            let mut call = |program: &mut Self, matches: Vec<(Option<Family>, Vec<Match>)>, direction| {
                let mut called = false;
                for (family, matches) in matches {
                    let chain = gate_chain(gate, direction, peer);
                    rules.push(Rule { family, ..to(matches, Verdict::Jump(Arc::from(&*chain))) });
                    called = true;
                }
                if called {
                    program.gate_chain(gate, direction, peer, TableFamily::Inet, tap);
                }
            };
            match hook {
                Hook::Input => call(self, from(gate), Direction::Out),
                Hook::Output => call(self, towards(gate, false), Direction::In),
                _ => {
                    if !tap {
                        call(self, from(gate), Direction::Out);
                    }
                    call(self, towards(gate, false), Direction::In);
                }
            }
        }
        rules
    }

    /// Tells of gates that rules for the inet tables cannot reach, whether or not anything else is judged there.
    pub(super) fn unseen_gates(&mut self) {
        let policy = self.policy;
        let by_bridge = |gate: &Gate| is_on_tap(gate) && self.target == Target::Nft;
        let unseen: Vec<&Gate> =
            policy.gates.iter().filter(|gate| gate.addresses.is_empty() && !by_bridge(gate)).collect();
        for gate in unseen {
            self.unseen(gate);
        }
    }

    fn unseen(&mut self, gate: &Gate) {
        let diagnostic = if is_on_tap(gate) {
            Diagnostic::new(
                &GUEST_ROAD_UNSEEN,
                gate.location,
                format!("traffic from this host, or routed by it, to `{}` is not judged", gate.name),
            )
            .label("iptables sees its tap for bridged frames alone")
            .help("give its address (`address 192.0.2.5`), or build for nft")
        } else {
            Diagnostic::new(
                &GATE_WITHOUT_ADDRESS,
                gate.location,
                format!("`{}` cannot be told from others on its bridge", gate.name),
            )
            .help(format!("give its fixed address: `instance {} on … address 10.0.3.5`, or a fact", gate.name))
        };
        self.out.push(diagnostic);
    }

    /// Whether frames between bridge ports are judged: guests on such ports have rules of their own, or a flow that passes them has.
    pub(super) fn judges_bridged(&self) -> bool {
        let flows = [(Class::Guest, Class::Guest), (Class::Outside, Class::Guest), (Class::Guest, Class::Outside)];
        let spoken_of = |(from, to)| self.policy.flows.contains_key(&Flow { from, to });
        let ports = !self.policy.cards.guest_ports.is_empty();
        ports && (self.policy.gates.iter().any(is_on_tap) || flows.into_iter().any(spoken_of))
    }

    /// With iptables, bridged frames pass FORWARD: those of guests' ports are judged here, the others as if they were routed.
    pub(super) fn bridged_frames(&mut self, others: &[Rule]) {
        let mut rules = self.between_ports(TableFamily::Inet);
        rules.extend(others.iter().cloned());
        self.chain(TableFamily::Inet, TableKind::Filter, BRIDGED, rules);
    }

    /// With nft, the bridge table sees frames of guests' ports, whatever the kernel's settings.
    pub(super) fn bridge(&mut self) {
        let policy = self.policy;
        if self.target != Target::Nft || policy.cards.guest_ports.is_empty() {
            return;
        }
        if self.judges_bridged() {
            let rules = self.between_ports(TableFamily::Bridge);
            self.entry(TableFamily::Bridge, TableKind::Filter, Hook::Forward, "fwc-bridge-forward", rules);
        }
        let gates: Vec<&Gate> = policy.gates.iter().filter(|gate| is_on_tap(gate)).collect();
        self.bridge_host_side(&gates);
    }

    /// What becomes of frames that come from guests' ports or go to them. Others get to the end.
    fn between_ports(&mut self, family: TableFamily) -> Vec<Rule> {
        let policy = self.policy;
        let gates: Vec<&Gate> = policy.gates.iter().filter(|gate| is_on_tap(gate)).collect();
        let taps: Arc<[Card]> = policy.cards.guest_ports.as_slice().into();
        let mut rules = Vec::new();
        for gate in &gates {
            for (direction, matches) in [(Direction::Out, from(gate)), (Direction::In, towards(gate, true))] {
                for (_, matches) in matches {
                    let chain = gate_chain(gate, direction, Peer::Others);
                    let verdict = Verdict::Jump(Arc::from(&*chain));
                    rules.extend(packets(to(matches, verdict), family).map(|rule| (direction == Direction::In, rule)));
                }
                if self.target == Target::Nft || direction == Direction::Out || gate.addresses.is_empty() {
                    self.gate_chain(gate, direction, Peer::Others, family, true);
                }
            }
        }
        rules.sort_by_key(|(inward, _)| *inward);
        let mut rules: Vec<Rule> = rules.into_iter().map(|(_, rule)| rule).collect();
        rules.splice(0..0, borrowed(&gates, family));
        // The judges have consented; the flows that the policy speaks of judge the rest of what is new.
        if !gates.is_empty() {
            rules
                .push(Rule { effects: thin_vec![Effect::SetMark { value: 0, mask: CONSENT_MARK }], ..Rule::default() });
        }
        // Without judges nobody has consented, and what no rule speaks of is left to the platform.
        let passed = if gates.is_empty() { Verdict::Return } else { Verdict::Accept };
        if has_part(policy, "established") {
            rules.push(state(State::ESTABLISHED | State::RELATED, Verdict::Accept));
        }
        for (from_guest, to_guest) in [(true, true), (false, true), (true, false)] {
            let class = |guest: bool| if guest { Class::Guest } else { Class::Outside };
            let flow = Flow { from: class(from_guest), to: class(to_guest) };
            let mut matches = Vec::new();
            if from_guest {
                matches.push(Match::is(MatchKind::InPort(taps.clone())));
            }
            if to_guest {
                matches.push(Match::is(MatchKind::OutPort(taps.clone())));
            }
            if policy.flows.contains_key(&flow) {
                let chain = format!("{}-b", chain_name(flow));
                let seat = Seat { bridged: true, family, ..Seat::new(Hook::Forward, TableKind::Filter, flow) };
                let own = self.flow_rules(flow, &seat);
                self.chain(family, TableKind::Filter, &chain, own);
                rules.extend(packets(to(matches.clone(), self.enter(flow, &chain)), family));
            }
            if policy.governs(flow) {
                continue;
            }
            // Between guests it is said apart where one of the others has rules of its own.
            let others = [(Class::Outside, Class::Guest), (Class::Guest, Class::Outside)];
            let apart = others.iter().any(|&(from, to)| policy.governs(Flow { from, to }));
            if !(from_guest && to_guest) || apart {
                rules.push(to(matches, passed.clone()));
            }
        }
        rules
    }

    /// nft alone: between a tap and the host, routed traffic included.
    fn bridge_host_side(&mut self, gates: &[&Gate]) {
        for (hook, direction, name) in
            [(Hook::Input, Direction::Out, "fwc-bridge-input"), (Hook::Output, Direction::In, "fwc-bridge-output")]
        {
            let mut rules = Vec::new();
            if direction == Direction::Out {
                rules.extend(borrowed(gates, TableFamily::Bridge));
            }
            for gate in gates {
                let matches = if direction == Direction::Out { from(gate) } else { towards(gate, true) };
                for (_, matches) in matches {
                    let verdict = Verdict::Jump(Arc::from(&*gate_chain(gate, direction, Peer::HostOrRouted)));
                    rules.extend(packets(to(matches, verdict), TableFamily::Bridge));
                }
                self.gate_chain(gate, direction, Peer::HostOrRouted, TableFamily::Bridge, true);
            }
            let flow = match direction {
                Direction::Out => Flow { from: Class::Guest, to: Class::Host },
                Direction::In => Flow { from: Class::Host, to: Class::Guest },
            };
            if self.policy.flows.contains_key(&flow) {
                let taps: Arc<[Card]> = self.policy.cards.guest_ports.as_slice().into();
                let seat =
                    Seat { bridged: true, family: TableFamily::Bridge, ..Seat::new(hook, TableKind::Filter, flow) };
                let own = self.flow_rules(flow, &seat);
                let chain = format!("{}-b", chain_name(flow));
                self.chain(TableFamily::Bridge, TableKind::Filter, &chain, own);
                let ports =
                    if direction == Direction::Out { MatchKind::InPort(taps) } else { MatchKind::OutPort(taps) };
                rules.extend(packets(to(vec![Match::is(ports)], self.enter(flow, &chain)), TableFamily::Bridge));
            }
            if !rules.is_empty() {
                self.entry(TableFamily::Bridge, TableKind::Filter, hook, name, rules);
            }
        }
    }

    /// One judge's chain.
    fn gate_chain(&mut self, gate: &Gate, direction: Direction, peer: Peer, family: TableFamily, tap: bool) {
        let name = gate_chain(gate, direction, peer);
        if self.has_chain(family, &name) {
            return;
        }
        let class = who::class_of(gate.kind);
        let flow = match direction {
            Direction::In => Flow { from: Class::Outside, to: class },
            Direction::Out => Flow { from: class, to: Class::Outside },
        };
        let hook = match (peer, direction) {
            (Peer::Others, _) => Hook::Forward,
            (_, Direction::In) => Hook::Output,
            (_, Direction::Out) => Hook::Input,
        };
        let seat = Seat { allow: Verdict::Return, bridged: tap, family, ..Seat::new(hook, TableKind::Filter, flow) };
        let mut rules = Vec::new();
        let drop = |matches, family| Rule { family, origin: Some(gate.location), ..to(matches, Verdict::Drop) };
        if direction == Direction::Out {
            if let Some(mac) = gate.mac
                && family != TableFamily::Bridge
            {
                rules.push(drop(vec![Match::not(MatchKind::SourceMac(thin_vec![mac]))], None));
            }
            if tap {
                for known in Family::BOTH {
                    let own = gate.addresses.of_family(known);
                    if !own.is_empty() {
                        let own = own.union(&unconfigured(known));
                        rules.push(drop(vec![Match::not(MatchKind::Source(own))], Some(known)));
                    }
                }
            }
        }
        if has_part(self.policy, "established") {
            rules.push(state(State::ESTABLISHED | State::RELATED, Verdict::Return));
        }
        rules.extend(self.gate_prelude(direction, class, peer, &seat));
        let lines: Vec<&GateLine> =
            gate.lines.iter().filter(|(way, _)| *way == direction).map(|(_, line)| line).collect();
        if lines.iter().any(|line| matches!(line, GateLine::Apply(..))) {
            rules
                .push(Rule { effects: thin_vec![Effect::SetMark { value: 0, mask: CONSENT_MARK }], ..Rule::default() });
        }
        rules.extend(self.gate_lines(&lines, direction, peer, &seat));
        if direction == Direction::In {
            rules.push(drop(Vec::new(), None));
        }
        self.chain(family, TableKind::Filter, &name, rules);
    }

    /// What the prelude lets live between a guest and the rest.
    fn gate_prelude(&mut self, direction: Direction, class: Class, peer: Peer, seat: &Seat) -> Vec<Rule> {
        let policy = self.policy;
        let other = |judgement: &Judgement| {
            let (own, other) = match direction {
                Direction::In => (judgement.to.class, judgement.from.class),
                Direction::Out => (judgement.from.class, judgement.to.class),
            };
            own == class && peer.is(other)
        };
        let mut rules: Vec<Rule> = Vec::new();
        for judgement in
            policy.gate_prelude.iter().filter(|judgement| judgement.rank == Rank::Prelude && other(judgement))
        {
            for rule in self.judge(judgement, seat) {
                if !rules.iter().any(|known| (known.family, &known.matches) == (rule.family, &rule.matches)) {
                    rules.push(rule);
                }
            }
        }
        rules
    }

    fn gate_lines(&mut self, lines: &[&GateLine], direction: Direction, peer: Peer, seat: &Seat) -> Vec<Rule> {
        let mut rules: Vec<Rule> = Vec::new();
        // What one statement comes to stands together.
        let together = |a: &&GateLine, b: &&GateLine| match (a, b) {
            (GateLine::Rule(a), GateLine::Rule(b)) => a.statement == b.statement,
            _ => false,
        };
        for part in lines.chunk_by(together) {
            match part {
                [] => {}
                [GateLine::Rule(_), ..] => {
                    let mut same: Vec<&Judgement> = Vec::with_capacity(part.len());
                    for &line in part {
                        if let GateLine::Rule(judgement) = line {
                            same.push(judgement);
                        }
                    }
                    rules.extend(self.gate_rule(&same, direction, peer, seat));
                }
                [GateLine::Apply(group, location), ..] => {
                    let chain = self.group_chain(group, direction, peer, seat);
                    let call = to(Vec::new(), Verdict::Jump(Arc::from(&*chain)));
                    rules.push(Rule { origin: Some(*location), ..call });
                    let consent = MatchKind::Mark { value: CONSENT_MARK, mask: CONSENT_MARK };
                    let consented = to(vec![Match::is(consent)], Verdict::Return);
                    rules.push(Rule { origin: Some(*location), ..consented });
                }
            }
        }
        rules
    }

    /// The rules of one statement of a gate: all its judgements, one for each class at the other end.
    fn gate_rule(&mut self, same: &[&Judgement], direction: Direction, peer: Peer, seat: &Seat) -> Vec<Rule> {
        let other = |judgement: &Judgement| match direction {
            Direction::In => judgement.from.clone(),
            Direction::Out => judgement.to.clone(),
        };
        let here: Vec<&Judgement> = same.iter().copied().filter(|judgement| peer.is(other(judgement).class)).collect();
        let whole =
            |class| here.iter().any(|judgement| other(judgement).class == class && other(judgement).is_whole_class());
        let everyone = match peer {
            Peer::Host => whole(Class::Host),
            Peer::Others => whole(Class::Outside) && whole(Class::Guest),
            Peer::HostOrRouted => whole(Class::Outside) || whole(Class::Host),
        };
        let mut rules: Vec<Rule> = Vec::new();
        for judgement in here {
            let party = other(judgement);
            let class = party.class;
            let conditions = if everyone || party.is_whole_class() && peer != Peer::Others {
                vec![Vec::new()]
            } else if party.is_whole_class() || class == Class::Container || class == Class::Instance {
                self.behind(class, direction, seat)
            } else {
                vec![Vec::new()]
            };
            for own in self.judge(judgement, seat) {
                for condition in &conditions {
                    let mut rule = own.clone();
                    rule.matches.splice(0..0, condition.iter().cloned());
                    if !rules.contains(&rule) {
                        rules.push(rule);
                    }
                }
            }
        }
        rules
    }

    /// The matches that tell a class at the other end: alternatives.
    fn behind(&self, class: Class, direction: Direction, seat: &Seat) -> Vec<Vec<Match>> {
        let arrives = direction == Direction::In;
        let taps: Arc<[Card]> = self.policy.cards.guest_ports.as_slice().into();
        let card = if arrives { MatchKind::InInterface } else { MatchKind::OutInterface };
        let port = |cards: Arc<[Card]>| if arrives { MatchKind::InPort(cards) } else { MatchKind::OutPort(cards) };
        match class {
            Class::Outside if seat.bridged => vec![vec![Match::not(port(taps))]],
            Class::Outside => self.told_outside(card),
            Class::Guest if seat.bridged => vec![vec![Match::is(port(taps))]],
            Class::Host => vec![Vec::new()],
            other => vec![self.told_by(other, card)],
        }
    }

    /// A group's chain: an allow marks the packet and returns, so that the guest's chain knows of it. One chain serves every
    /// guest that applies the group, and can be loaded alone.
    fn group_chain(&mut self, group: &str, direction: Direction, peer: Peer, seat: &Seat) -> String {
        let name = group_chain(group, direction, peer);
        if self.has_chain(seat.family, &name) {
            return name;
        }
        // Entered before its lines are known, so that a group is made once however many apply it.
        self.chain(seat.family, TableKind::Filter, &name, Vec::new());
        let policy = self.policy;
        let Some(found) = policy.groups.iter().find(|known| *known.name == *group) else { return name };
        let lines: Vec<&GateLine> = found.lines.iter().collect();
        let marked = self.gate_lines(&lines, direction, peer, seat);
        let consent = || Match::is(MatchKind::Mark { value: CONSENT_MARK, mask: CONSENT_MARK });
        let mut rules: Vec<Rule> = Vec::with_capacity(marked.len() + 1);
        let mut undecided = false;
        for rule in marked {
            let already = rule.matches.contains(&consent());
            if rule.verdict == Some(Verdict::Return) && !already {
                let effects = thin_vec![Effect::SetMark { value: CONSENT_MARK, mask: CONSENT_MARK }];
                rules.push(Rule { effects, verdict: None, ..rule });
                undecided = true;
                continue;
            }
            // What has been allowed must not come to a deny that stands behind.
            if std::mem::take(&mut undecided) && !already {
                rules.push(to(vec![consent()], Verdict::Return));
            }
            rules.push(rule);
        }
        let table = self.ruleset.table_mut(seat.family, TableKind::Filter);
        if let Some(chain) = table.chains.iter_mut().find(|chain| *chain.name == *name) {
            chain.rules = rules;
        }
        name
    }

    fn has_chain(&mut self, family: TableFamily, name: &str) -> bool {
        self.ruleset.table_mut(family, TableKind::Filter).chains.iter().any(|chain| *chain.name == *name)
    }
}

fn gate_chain(gate: &Gate, direction: Direction, peer: Peer) -> String {
    let kind = if gate.kind == GuestKind::Guest { "guest" } else { "inst" };
    let way = if direction == Direction::In { "in" } else { "out" };
    short(&format!("fwc-{kind}-{}", gate.name), &format!("-{way}{}", peer.suffix()))
}

/// A chain's name within iptables' 28 bytes: what is too long is cut, and told apart by a number made from the whole.
fn short(name: &str, suffix: &str) -> String {
    const MAX: usize = 28;
    if name.len() + suffix.len() <= MAX {
        return format!("{name}{suffix}");
    }
    // FNV-1a: small, stable for all time, and only there to keep two long names apart.
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let digits = format!("~{:04x}", hash & 0xffff);
    let mut room = MAX - suffix.len() - digits.len();
    while !name.is_char_boundary(room) {
        room -= 1;
    }
    format!("{}{digits}{suffix}", name.get(..room).unwrap_or_default())
}

/// Sources that a guest uses before it has an address, and on its link.
fn unconfigured(family: Family) -> AddressSet {
    let texts: &[&str] = if family == Family::Ipv4 { &["0.0.0.0"] } else { &["::", "fe80::/10"] };
    texts.iter().filter_map(|text| text.parse::<AddressRange>().ok()).collect()
}

/// The chains that judge for a guest, an instance or a group, by its name in the policy; empty if nothing has that name.
#[must_use]
pub fn chains_of(policy: &Policy, name: &str) -> Vec<String> {
    let mut chains = Vec::new();
    for peer in [Peer::Others, Peer::Host] {
        for direction in [Direction::In, Direction::Out] {
            let gates = policy.gates.iter().filter(|gate| *gate.name == *name);
            chains.extend(gates.map(|gate| gate_chain(gate, direction, peer)));
            let groups = policy.groups.iter().filter(|group| *group.name == *name);
            chains.extend(groups.map(|group| group_chain(&group.name, direction, peer)));
        }
    }
    chains
}

fn group_chain(group: &str, direction: Direction, peer: Peer) -> String {
    let way = if direction == Direction::In { "" } else { "-o" };
    short(&format!("fwc-group-{group}"), &format!("{way}{}", peer.suffix()))
}
