//! Guests and instances with a block, and the groups that their blocks apply.

use std::sync::Arc;

use super::faults::*;
use super::{Context, Resolver};
use crate::diagnostic::Diagnostic;
use crate::net::AddressSet;
use crate::policy::names::{at, find};
use crate::policy::who::{self};
use crate::policy::{Class, Gate, GateLine, Group, Party, Rank};
use crate::span::FileId;
use crate::syntax::tree::{self, Direction, GuestKind, Name, Rule, Statement, StatementKind};

impl<'a> Resolver<'_, 'a> {
    pub(super) fn gate(&mut self, file: FileId, guest: &'a tree::Guest) {
        let location = at(file, guest.name.span);
        find(&self.places.names.guests, &guest.name.value);
        for card in &guest.cards {
            self.out.extend(who::card_fault(at(file, card.span), &card.value));
        }
        let Some(gates) = &guest.gates else { return };
        let fact = self.places.instance_fact(guest.kind, &guest.name.value);
        let known: Vec<crate::net::AddressRange> =
            fact.iter().flat_map(|fact| &fact.addresses).copied().map(crate::net::AddressRange::single).collect();
        let mac =
            guest.mac.as_ref().map(|mac| mac.value).or_else(|| fact.and_then(|fact| fact.mac.as_ref()?.parse().ok()));
        let addresses = match &guest.address {
            Some(who) => self.places.own(file, who, &mut self.out),
            None => AddressSet::new(known),
        };
        let mut lines = Vec::new();
        for gate in gates {
            let direction = gate.direction.value;
            lines.extend(
                self.gate_lines(file, &gate.statement, direction, guest.kind).into_iter().map(|line| (direction, line)),
            );
        }
        self.policy.gates.push(Gate {
            name: Arc::from(&*guest.name.value),
            kind: guest.kind,
            cards: guest.cards.iter().map(|card| card.value.clone()).collect(),
            mac,
            addresses,
            lines,
            location,
        });
    }

    fn gate_lines(
        &mut self,
        file: FileId,
        statement: &'a Statement,
        direction: Direction,
        kind: GuestKind,
    ) -> Vec<GateLine> {
        match &statement.value {
            StatementKind::Rule(rule) => self.gate_rule(file, statement.span, rule, Some((direction, kind))),
            StatementKind::Apply(name) => {
                self.gate_group(file, name, &mut Vec::new());
                vec![GateLine::Apply(Arc::from(&*name.value), at(file, name.span))]
            }
            _ => {
                self.out.push(
                    Diagnostic::new(
                        &MISPLACED_STATEMENT,
                        at(file, statement.span),
                        "a guest's block takes rules and `apply`",
                    )
                    .help("move this statement out of the block"),
                );
                Vec::new()
            }
        }
    }

    /// A rule of a gate: the guest is one end, the sentence's other end is whoever it names.
    fn gate_rule(
        &mut self,
        file: FileId,
        span: crate::span::Span,
        rule: &'a Rule,
        gate: Option<(Direction, GuestKind)>,
    ) -> Vec<GateLine> {
        let here = at(file, span);
        let clauses = &rule.sentence.clauses;
        let own_end = match gate {
            Some((Direction::In, _)) => clauses.to.as_ref().map(|who| ("to", who.span)),
            Some((Direction::Out, _)) => clauses.from.as_ref().map(|who| ("from", who.span)),
            None => clauses.to.as_ref().map(|who| ("to", who.span)),
        };
        if let Some((word, span)) = own_end {
            self.out.push(
                Diagnostic::new(&CLAUSE_SAID_TWICE, at(file, span), format!("`{word}` is the guest itself here"))
                    .help("take the clause out: the block says whose rule it is"),
            );
            return Vec::new();
        }
        let Some(action) = self.action(file, &rule.action) else { return Vec::new() };
        let Some(options) = self.options(file, &rule.options) else { return Vec::new() };
        let Some(mut ends) = self.ends(file, clauses, Context::default(), &Class::ALL) else { return Vec::new() };
        let class = gate.map_or(Class::Guest, |(_, kind)| who::class_of(kind));
        let own = smallvec::smallvec![Party::of(class)];
        match gate {
            Some((Direction::Out, _)) => ends.from = own,
            _ => ends.to = own,
        }
        let judgements = self.judgements(file, here, &rule.sentence, ends, action, Rank::Rule, options);
        judgements.into_iter().map(|(_, judgement)| GateLine::Rule(Box::new(judgement))).collect()
    }

    fn gate_group(&mut self, file: FileId, name: &'a Name, inside: &mut Vec<&'a str>) {
        let Some((group_file, group)) = self.group(file, name, inside) else { return };
        if self.policy.groups.iter().any(|known| *known.name == *name.value) {
            return;
        }
        inside.push(&name.value);
        let mut lines = Vec::new();
        for statement in &group.body {
            match &statement.value {
                StatementKind::Rule(rule) => lines.extend(self.gate_rule(group_file, statement.span, rule, None)),
                StatementKind::Apply(inner) => {
                    self.gate_group(group_file, inner, inside);
                    lines.push(GateLine::Apply(Arc::from(&*inner.value), at(group_file, inner.span)));
                }
                _ => self.out.push(
                    Diagnostic::new(
                        &MISPLACED_STATEMENT,
                        at(group_file, statement.span),
                        "a group that guests apply takes rules and `apply`",
                    )
                    .help("move this statement out of the group"),
                ),
            }
        }
        inside.pop();
        let location = at(group_file, group.name.span);
        self.policy.groups.push(Group { name: Arc::from(&*name.value), lines, location });
    }
}
