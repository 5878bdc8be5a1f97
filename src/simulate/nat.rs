//! Address translation: which chains are asked, and what a verdict makes of the packet.

use std::net::IpAddr;

use super::Way;
use crate::host::words;
use crate::net::Family;
use crate::netfilter::{Hook, Verdict};
use crate::packet::Field;
use crate::packet::field::number_name;

/// What is settled for the connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Translated {
    /// A rule gave it another destination.
    pub(super) destination: bool,
    /// A rule decided about the destination, if only that it stays.
    pub(super) destination_settled: bool,
    /// It was sent to this machine itself, whatever its address and interface were.
    pub(super) redirected: bool,
    /// As `destination_settled`, of the source.
    pub(super) source_settled: bool,
}

impl Way<'_, '_> {
    /// Why a chain that translates is not asked.
    pub(super) fn not_translated_here(&self, hook: Hook) -> Option<&'static str> {
        let destination = matches!(hook, Hook::Prerouting | Hook::Output);
        if !self.tracked || self.question.state == 4 {
            return Some("the connection is not tracked, so nothing is translated");
        }
        match self.question.state {
            3 => return Some("an invalid packet is not translated"),
            _ if self.question.reply => {
                return Some("answers are translated back by connection tracking, not by rules");
            }
            _ if self.question.dialled.is_some() && destination => {
                return Some("the packet is said to be translated already");
            }
            _ => {}
        }
        if hook == Hook::Prerouting && self.question.from_host {
            return Some("what this machine sends has its destination settled at OUTPUT");
        }
        if hook == Hook::Input && self.question.from_host {
            return Some("what this machine sends has its source settled at POSTROUTING");
        }
        let settled = if destination { self.translated.destination_settled } else { self.translated.source_settled };
        settled.then_some("another chain has settled it already")
    }

    /// Does to the packet what a verdict says.
    pub(super) fn translate(&mut self, verdict: &Verdict, hook: Hook) -> Option<String> {
        match verdict {
            Verdict::Dnat { address, port } => Some(self.destination(Some(*address), *port)),
            Verdict::Redirect(port) => {
                let own = match hook {
                    Hook::Output => Some(match self.family {
                        Family::Ipv4 => IpAddr::from([127, 0, 0, 1]),
                        Family::Ipv6 => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
                    }),
                    _ => self.own_address(Field::IN_INTERFACE),
                };
                let text = self.destination(own, Some(*port));
                self.translated.redirected = true;
                self.packet.set(Field::LOCAL, 1);
                Some(text)
            }
            Verdict::Snat(address) => Some(self.source(Some(*address))),
            Verdict::Masquerade => {
                let own = self.own_address(Field::OUT_INTERFACE);
                Some(self.source(own))
            }
            _ => None,
        }
    }

    /// The host's address on the card that a field names.
    fn own_address(&self, field: Field) -> Option<IpAddr> {
        let card = self.packet.get(field).and_then(number_name)?;
        let like = match self.family {
            Family::Ipv4 => IpAddr::from([0, 0, 0, 0]),
            Family::Ipv6 => IpAddr::from([0u16; 8]),
        };
        self.host.cards.address_of(&card, like)
    }

    fn destination(&mut self, address: Option<IpAddr>, port: Option<u16>) -> String {
        let (before, before_port) = (self.packet.get(Field::DESTINATION), self.packet.get(Field::DESTINATION_PORT));
        match address {
            Some(address) => self.packet.set(Field::DESTINATION, words::address_number(address)),
            None => self.packet.forget(Field::DESTINATION),
        }
        if let Some(port) = port {
            self.packet.set(Field::DESTINATION_PORT, u128::from(port));
        }
        self.translated.destination = true;
        self.translated.destination_settled = true;
        self.packet.set(Field::MULTICAST, 0);
        self.packet.set(Field::BROADCAST, 0);
        // A translation to where it goes anyway is none.
        let same = before.is_some()
            && self.packet.get(Field::DESTINATION) == before
            && self.packet.get(Field::DESTINATION_PORT) == before_port;
        self.packet.set(Field::TRANSLATED, u128::from(!same));
        match (address, port) {
            (Some(address), Some(port)) => format!("destination is now {}", words::endpoint(address, port)),
            (Some(address), None) => format!("destination is now {address}"),
            (None, _) => "destination is now an address of this host".to_owned(),
        }
    }

    fn source(&mut self, address: Option<IpAddr>) -> String {
        match address {
            Some(address) => self.packet.set(Field::SOURCE, words::address_number(address)),
            None => self.packet.forget(Field::SOURCE),
        }
        self.translated.source_settled = true;
        self.packet.set(Field::SOURCE_TRANSLATED, 1);
        match address {
            Some(address) => format!("source is now {address}"),
            None => "source is now this host's address on that interface".to_owned(),
        }
    }
}
