//! Changes of packets.

use std::sync::Arc;

use super::faults::*;
use super::{Context, Resolver, families};
use crate::diagnostic::Diagnostic;
use crate::names::{dscp, helper};
use crate::net::{Family, Protocol};
use crate::policy::names::at;
use crate::policy::{Action, Change, ChangeKind, Class, Judgement, Rank, Traffic};
use crate::span::FileId;
use crate::syntax::tree::{self, Item, Sentence};

impl<'a> Resolver<'_, 'a> {
    pub(super) fn change(
        &mut self,
        file: FileId,
        span: crate::span::Span,
        change: &'a tree::Change,
        context: Context<'a>,
    ) {
        let here = at(file, span);
        let kind_place = at(file, change.kind.span);
        let kind = match &change.kind.value {
            tree::ChangeKind::Mark(mark) => ChangeKind::Mark(*mark),
            tree::ChangeKind::Dscp(name) => match dscp::lookup(name) {
                Some(class) => ChangeKind::Dscp(class),
                None => {
                    self.unknown_word(kind_place, "there is no DSCP class", name, &dscp::names().collect::<Vec<_>>());
                    return;
                }
            },
            tree::ChangeKind::ClampMss => ChangeKind::ClampMss,
            tree::ChangeKind::Notrack => ChangeKind::Notrack,
            tree::ChangeKind::Helper(name) => {
                if helper::lookup(name).is_empty() {
                    self.unknown_word(
                        kind_place,
                        "the kernel has no conntrack helper",
                        name,
                        &helper::names().collect::<Vec<_>>(),
                    );
                    return;
                }
                ChangeKind::Helper(Arc::from(&**name))
            }
        };
        if kind == ChangeKind::ClampMss && !is_all_tcp(&change.sentence) {
            self.out.push(
                Diagnostic::new(&CHANGE_NOT_POSSIBLE, here, "`clamp mss` is for every TCP connection of its sentence")
                    .help("leave the service out: `clamp mss from lan to wan`"),
            );
            return;
        }
        let Some(mut ends) = self.ends(file, &change.sentence.clauses, context, &Class::ALL) else { return };
        ends.add_groups();
        let to_said = ends.to_said;
        let judgements = self.judgements(file, here, &change.sentence, ends, Action::Log, Rank::Rule, Arc::default());
        let mut possible = false;
        for (flow, judgement) in judgements {
            let forwarded = flow.from != Class::Host && flow.to != Class::Host;
            if kind == ChangeKind::ClampMss && !forwarded {
                continue;
            }
            possible = true;
            match &kind {
                ChangeKind::Helper(name) => match helped(name, &judgement) {
                    Ok(list) => self.policy.changes.extend(list.into_iter().map(|(name, judgement)| Change {
                        kind: ChangeKind::Helper(name),
                        flow,
                        judgement,
                    })),
                    Err((message, help)) => {
                        self.out.push(Diagnostic::new(&CHANGE_NOT_POSSIBLE, here, message).help(help));
                        return;
                    }
                },
                _ => self.policy.changes.push(Change { kind: kind.clone(), flow, judgement }),
            }
        }
        if !possible && to_said {
            self.out.push(
                Diagnostic::new(
                    &CHANGE_NOT_POSSIBLE,
                    here,
                    "this traffic does not pass the place where the change happens",
                )
                .help("`clamp mss` is for forwarded traffic: `clamp mss from lan to wan`"),
            );
        }
    }
}

/// Whether a sentence names no service, or TCP as a whole.
fn is_all_tcp(sentence: &Sentence) -> bool {
    let tcp = |item: &Item| match item {
        Item::Ports { protocol, ports } => *protocol == Protocol::TCP && ports.is_empty(),
        Item::Protocol(protocol) => *protocol == Protocol::TCP,
        _ => false,
    };
    sentence.what.iter().all(|item| tcp(&item.value))
}

/// Helpers by their names in the kernel, each with what it is given to.
type Helped = Vec<(Arc<str>, Judgement)>;

/// What a helper is given to: the traffic of a judgement that it reads. The kernel refuses a helper that is not registered for the
/// protocol and family, and with it the whole file. An error says what is wrong, and what to write.
fn helped(name: &str, judgement: &Judgement) -> Result<Helped, (String, String)> {
    let known = helper::lookup(name);
    let example = known.first().map_or_else(String::new, |one| {
        let protocol = one.protocol.name().unwrap_or("tcp");
        format!("write `helper {name} {protocol} {} …`", one.port)
    });
    let reads = |traffic: &Traffic| known.iter().any(|one| Some(one.protocol) == traffic.protocol);
    if !judgement.traffic.iter().all(reads) {
        let mut protocols: Vec<&str> = known.iter().filter_map(|one| one.protocol.name()).collect();
        protocols.dedup();
        return Err((format!("the helper `{name}` reads connections of {} alone", protocols.join(" and ")), example));
    }
    let mut list = Vec::new();
    for one in known {
        let traffic: Vec<Traffic> =
            judgement.traffic.iter().filter(|traffic| traffic.protocol == Some(one.protocol)).cloned().collect();
        if traffic.is_empty() {
            continue;
        }
        let family = if one.ipv6 { judgement.family } else { Some(Family::Ipv4) };
        if !one.ipv6 && !families(judgement).contains(&Family::Ipv4) {
            let help = "take the line out, or the IPv6 addresses".to_owned();
            return Err((format!("the helper `{name}` reads IPv4 alone"), help));
        }
        list.push((Arc::from(one.kernel), Judgement { traffic: traffic.into(), family, ..judgement.clone() }));
    }
    Ok(list)
}
