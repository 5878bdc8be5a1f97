//! The answer to a first packet that arrives: a connection of which it is stopped never comes about.

use std::net::IpAddr;

use super::{Outcome, Question, Stage, Stopped, Trace, trace};
use crate::host::{Host, words};
use crate::net::Family;
use crate::netfilter::MarkWord;
use crate::packet::Field;
use crate::packet::field::Word;
use crate::program::{Packet, Space};

/// What stops the answer; `None` if nothing is certain to.
pub(super) fn stopped(host: &Host, question: &Question, first: &Trace, space: &Space) -> Option<Stopped> {
    let opens = question.state == 0 && !question.reply && first.doubts.is_empty();
    if !opens || !matches!(first.outcome, Outcome::Delivered | Outcome::Left(_)) {
        return None;
    }
    let answer = trace(host, &turned_round(question, first, space)?).ok()?;
    if !answer.doubts.is_empty() || !matches!(answer.outcome, Outcome::Dropped | Outcome::Rejected(_)) {
        return None;
    }
    let Some(Stage::Hook(last)) = answer.stages.last() else { return None };
    Some(Stopped { outcome: answer.outcome.clone(), decided: answer.decided, entry: last.entry })
}

/// The answer to a packet as it was at the end of its way. Its destination is the client as it was before source NAT: conntrack puts it
/// back before the answer is routed.
fn turned_round(question: &Question, first: &Trace, space: &Space) -> Option<Question> {
    let packet = &first.packet;
    let port = |field| packet.get(field).and_then(|port| u16::try_from(port).ok());
    let family = question.family.or_else(|| question.source.map(Family::of));
    let address = |field| -> Option<IpAddr> { Some(words::address(packet.get(field)?, family?)) };
    let translated = packet.get(Field::TRANSLATED) == Some(1);
    let leaves = match &first.outcome {
        Outcome::Left(card) => card.clone(),
        _ => None,
    };
    let delivered = first.outcome == Outcome::Delivered;
    // An ICMP message is not answered by one of its own type; where an answer goes has to be known.
    let known = question.source.is_some() && (question.from_host || question.arrives.is_some());
    if question.icmp.is_some() || !known {
        return None;
    }
    Some(Question {
        family,
        protocol: question.protocol,
        icmp: None,
        source: address(Field::DESTINATION),
        source_port: port(Field::DESTINATION_PORT),
        destination: question.source,
        destination_port: question.source_port,
        arrives: if delivered { None } else { leaves },
        leaves: if question.from_host { None } else { question.arrives.clone() },
        from_host: delivered,
        to_host: question.from_host,
        state: 1,
        reply: true,
        mark: 0,
        connection_mark: Some(connection_mark(&first.packet, space)),
        mac: None,
        flags: None,
        dialled: question.destination.filter(|_| translated).map(|address| (address, question.destination_port)),
    })
}

/// The mark of a packet's connection.
fn connection_mark(packet: &Packet, space: &Space) -> u32 {
    let parts = packet.values().iter().filter_map(|(field, value)| space.universe.bits(*field, *value));
    parts.filter(|(word, _)| *word == Word::Mark(MarkWord::Connection)).fold(0, |mark, (_, bits)| mark | bits.value)
}
