//! Words behind a sentence, or in it, that have no effect where they stand.

use rustc_hash::FxHashSet;

use super::words;
use crate::diagnostic::{Code, Diagnostic, Level};
use crate::netfilter::Target;
use crate::policy::Policy;
use crate::policy::names::at;
use crate::project::Project;
use crate::span::{FileId, Location, Span};
use crate::syntax::tree::{Action, Clauses, Nat, One, Place, RateUnit, Rule, RuleOption, StatementKind};

/// A limit on a rule that is none.
pub static LIMIT_WITHOUT_ALLOW: Code = Code {
    number: "FW0221",
    name: "limit-without-allow",
    level: Level::Error,
    summary: "`limit` on a rule that is no allow",
    explanation: "\
# A limit on what?

Within a limit a rule allows, beyond it it denies. On a deny, reject or log that says nothing.

```fw
deny ssh to host limit 10/minute            # error
allow ssh to host limit 10/minute           # at most ten a minute, and no more
deny ssh to host log \"ssh \" rate 10/minute  # a rate for the log
```

**Why it hurts.** One reader takes it for \"deny the first ten\", another for \"deny beyond ten\"; it would be neither.
",
};

/// A card at the host itself.
pub static CARD_OF_HOST: Code = Code {
    number: "FW0222",
    name: "card-of-host",
    level: Level::Error,
    summary: "`host on CARD`: the host is on all of its cards",
    explanation: "\
# The host is on every card

`on` says where a party is: behind which card, on which bridge. The host itself is on all of them. The card by which a connection comes
to the host, or leaves it, is said with `via`; the address that was dialled with `at`.

```fw
allow ssh from any to host on eth1       # error
allow ssh from any to host via eth1
allow ssh from any to host at 10.0.0.1
```
",
};

/// Source ports of a protocol that has none.
pub static SOURCE_PORT_OF_WHAT: Code = Code {
    number: "FW0223",
    name: "source-port-without-protocol",
    level: Level::Error,
    summary: "`source port` on traffic that has no ports",
    explanation: "\
# Ports of which protocol?

TCP, UDP and SCTP have ports. A rule for ICMP or for another protocol has none to compare. Where no service is said, the
protocols that have ports are meant.

```fw
allow { icmp, udp } from 192.0.2.53 to host source port 53      # error
```

**Instead**, say it for what has ports:

```fw
allow udp from 192.0.2.53 to host source port 53
allow icmp from 192.0.2.53 to host
```

**Why it hurts.** The comparison would be left out, or the rule would match nothing, depending on the tool.
",
};

/// A time that is always.
pub static ALWAYS: Code = Code {
    number: "FW0224",
    name: "during-always",
    level: Level::Warning,
    summary: "`during` names every day and every hour",
    explanation: "\
# Always

A time that is every day, from midnight to midnight, leaves nothing out.

```fw
allow ssh to host during mon-sun        # warning: the same without it
allow ssh to host during mon-fri 08:00-18:00
```

Say the hours, or take the word out.
",
};

/// A log that has a rate in name only.
pub static LOG_RATE_HIGH: Code = Code {
    number: "FW0225",
    name: "log-rate-high",
    level: Level::Warning,
    summary: "a log may write more than a hundred lines a second",
    explanation: "\
# Too many lines

Every log has a rate, ten lines a minute unless it is said. Above a hundred a second it protects nothing: a line has about 200 bytes,
which is 1.7 GB a day.

```fw
default deny to host log \"in \" rate 1000/second      # warning
default deny to host log \"in \" rate 30/minute
```

**Why it hurts.** Whoever sends packets fills the disk, and the console of a slow machine stops it.
",
};

/// More lines a second than this are no limit.
const MOST_LINES: u32 = 100;

/// The check.
pub fn check(project: &Project, policy: &Policy, _: Target) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    let portless = portless(policy);
    words::each(project, &mut |file, statement| {
        let here = at(file, statement.span);
        match &statement.value {
            StatementKind::Rule(rule) | StatementKind::Default(rule) => {
                clauses(file, &rule.sentence.clauses, &mut out);
                options(&portless, file, here, rule, &mut out);
            }
            StatementKind::Assert(rule) => clauses(file, &rule.sentence.clauses, &mut out),
            StatementKind::Change(change) => clauses(file, &change.sentence.clauses, &mut out),
            StatementKind::Scope(scope) => clauses(file, &scope.clauses, &mut out),
            StatementKind::Nat(nat) => match &**nat {
                Nat::Masquerade { sentence, .. } | Nat::Forward { sentence, .. } | Nat::Redirect { sentence, .. } => {
                    clauses(file, &sentence.clauses, &mut out);
                }
            },
            _ => {}
        }
    });
    out
}

fn clauses(file: FileId, clauses: &Clauses, out: &mut Vec<Diagnostic>) {
    for who in [&clauses.from, &clauses.to].into_iter().flatten() {
        let alone = who.members.len() == 1 && !who.negated && clauses.via.is_empty();
        let last = clauses.to.as_ref().is_none_or(|to| std::ptr::eq(to, who));
        for one in &who.members {
            if let (Place::Host(_), Some(card)) = (&one.place.value, one.on.first()) {
                out.push(card_of_host(file, one, card.span, alone && last && one.on.len() == 1));
            }
        }
    }
}

fn card_of_host(file: FileId, one: &One, card: Span, rewritable: bool) -> Diagnostic {
    let fault = Diagnostic::new(&CARD_OF_HOST, at(file, card), "the host is on all of its cards")
        .label("the card that a connection comes by is said with `via`");
    let word = at(file, Span { start: one.place.span.end, end: card.start });
    if rewritable && one.at.is_none() {
        fault.fix("say the card that it crosses", word, " via ")
    } else {
        fault.help("write `via CARD` behind `from` and `to`, or `host at ADDRESS` for the address that was dialled")
    }
}

/// Statements that compare source ports of traffic without ports.
fn portless(policy: &Policy) -> FxHashSet<Location> {
    let judgements = policy.flows.values().flatten().filter(|judgement| judgement.options.source_ports.is_some());
    // Traffic of every protocol is meant as far as it has ports; a protocol that is named and has none cannot be meant.
    let without = judgements.filter(|judgement| {
        judgement.traffic.iter().any(|traffic| traffic.protocol.is_some_and(|protocol| !protocol.has_ports()))
    });
    without.map(|judgement| judgement.location).collect()
}

fn options(portless: &FxHashSet<Location>, file: FileId, here: Location, rule: &Rule, out: &mut Vec<Diagnostic>) {
    for option in &rule.options {
        let place = at(file, option.span);
        match &option.value {
            RuleOption::Limit(_) if rule.action.value != Action::Allow => {
                out.push(
                    Diagnostic::new(&LIMIT_WITHOUT_ALLOW, place, "`limit` goes with `allow`")
                        .label("within it allow, beyond it deny")
                        .related(at(file, rule.action.span), "this allows nothing")
                        .help("write `allow … limit …`: what is beyond the limit is denied; a log has a `rate`"),
                );
            }
            RuleOption::SourcePort(_) if portless.contains(&here) => {
                out.push(
                    Diagnostic::new(&SOURCE_PORT_OF_WHAT, place, "`source port` on traffic that has no ports")
                        .help("only `tcp`, `udp` and `sctp` have ports: give the others a rule of their own"),
                );
            }
            RuleOption::During(during)
                if during.days & 0x7f == 0x7f && during.times.is_none_or(|(from, to)| from == 0 && to >= 1439) =>
            {
                out.push(
                    Diagnostic::new(&ALWAYS, place, "this is always")
                        .label("every day, from midnight to midnight")
                        .fix("take it out", place, ""),
                );
            }
            RuleOption::Log(log) => {
                if let Some(rate) = &log.rate
                    && rate.value.unit == RateUnit::Second
                    && rate.value.count > MOST_LINES
                {
                    out.push(
                        Diagnostic::new(&LOG_RATE_HIGH, at(file, rate.span), "this rate protects nothing")
                            .label("whoever sends packets fills the log")
                            .fix("a rate that a disk bears", at(file, rate.span), "10/second"),
                    );
                }
            }
            _ => {}
        }
    }
}
