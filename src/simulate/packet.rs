//! A packet in words: `tcp 10.1.1.1:40000 -> 203.0.113.10:443 via ens33`.

use std::net::IpAddr;
use std::ops::Range;
use std::str::FromStr as _;

use crate::names;
use crate::names::icmp::TrackedAs;
use crate::net::{Family, Mac, Protocol};

/// A packet as it is asked about: what was not said is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// Family, where it is said or shows in an address.
    pub family: Option<Family>,
    /// Protocol.
    pub protocol: Option<Protocol>,
    /// ICMP type and code.
    pub icmp: Option<(u8, u8)>,
    /// Source address.
    pub source: Option<IpAddr>,
    /// Source port.
    pub source_port: Option<u16>,
    /// Destination address, as the client has it.
    pub destination: Option<IpAddr>,
    /// Destination port, as the client has it.
    pub destination_port: Option<u16>,
    /// Card of arrival.
    pub arrives: Option<String>,
    /// Card of departure.
    pub leaves: Option<String>,
    /// A program on this machine sends it.
    pub from_host: bool,
    /// The destination is this machine.
    pub to_host: bool,
    /// Connection state, 0 to 4; new where nothing is said.
    pub state: u8,
    /// It goes against the direction in which the connection was opened.
    pub reply: bool,
    /// Packet mark on arrival.
    pub mark: u32,
    /// Mark of the connection, where it is said: one that is new has none.
    pub connection_mark: Option<u32>,
    /// Ethernet source.
    pub mac: Option<Mac>,
    /// TCP flags; of the first packet of a connection, SYN.
    pub flags: Option<u8>,
    /// What the client dialled, where the packet already has another destination.
    pub dialled: Option<(IpAddr, Option<u16>)>,
}

/// A word that was not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misunderstood {
    /// The bytes of the text.
    pub at: Range<usize>,
    /// What is wrong. Lower case, no final full stop.
    pub message: String,
}

/// What can follow the endpoints.
const CLAUSES: [&str; 14] =
    ["via", "in", "out", "to", "from", "state", "mark", "connmark", "mac", "flags", "dialled", "reply", "ipv4", "ipv6"];
const STATES: [&str; 5] = ["new", "established", "related", "invalid", "untracked"];
const PROTOCOLS: [&str; 7] = ["tcp", "udp", "sctp", "icmp", "icmpv6", "ping", "protocol"];
const FLAGS: [&str; 6] = ["fin", "syn", "rst", "psh", "ack", "urg"];

struct Words<'t> {
    words: Vec<(usize, &'t str)>,
    next: usize,
    end: usize,
}

impl<'t> Words<'t> {
    fn peek(&self) -> Option<&'t str> {
        self.words.get(self.next).map(|(_, word)| *word)
    }

    fn take(&mut self) -> Option<&'t str> {
        let word = self.peek();
        self.next += usize::from(word.is_some());
        word
    }

    /// The place of the word that was taken last.
    fn last(&self) -> Range<usize> {
        match self.next.checked_sub(1).and_then(|at| self.words.get(at)) {
            Some((start, word)) => *start..start + word.len(),
            None => self.end..self.end,
        }
    }

    fn wrong<T>(&self, message: impl Into<String>) -> Result<T, Misunderstood> {
        Err(Misunderstood { at: self.last(), message: message.into() })
    }

    /// A word that has to follow.
    fn value(&mut self, what: &str) -> Result<&'t str, Misunderstood> {
        self.take().ok_or_else(|| Misunderstood { at: self.end..self.end, message: format!("expected {what} here") })
    }
}

/// Understands a packet.
///
/// # Errors
/// Points at the first word that is none of the forms.
pub fn parse(text: &str) -> Result<Question, Misunderstood> {
    let start = |word: &str| word.as_ptr() as usize - text.as_ptr() as usize;
    let words: Vec<(usize, &str)> = text.split_whitespace().map(|word| (start(word), word)).collect();
    if words.is_empty() {
        return Err(Misunderstood {
            at: 0..0,
            message: "expected a packet, such as `tcp 10.1.1.1 -> 203.0.113.10:443 via eth0`".to_owned(),
        });
    }
    let mut reader =
        Reader { words: Words { words, next: 0, end: text.len() }, question: Question::default(), via: None };
    reader.protocol()?;
    reader.endpoints()?;
    while reader.words.peek().is_some() {
        reader.clause()?;
    }
    reader.finish()
}

struct Reader<'t> {
    words: Words<'t>,
    question: Question,
    via: Option<(&'t str, Range<usize>)>,
}

impl<'t> Reader<'t> {
    fn family(&mut self, family: Family) -> Result<(), Misunderstood> {
        match self.question.family {
            Some(known) if known != family => {
                self.words.wrong(format!("this is {family}, and what stands before is {known}"))
            }
            _ => {
                self.question.family = Some(family);
                Ok(())
            }
        }
    }

    fn protocol(&mut self) -> Result<(), Misunderstood> {
        while let Some(word @ ("ipv4" | "ipv6")) = self.words.peek() {
            self.words.take();
            self.family(if word == "ipv4" { Family::Ipv4 } else { Family::Ipv6 })?;
        }
        let Some(word) = self.words.peek() else { return Ok(()) };
        match word {
            "tcp" | "udp" | "sctp" => self.question.protocol = Protocol::by_name(word),
            "ping" => {
                self.words.take();
                self.question.icmp = Some((8, 0));
                return Ok(());
            }
            "icmp" | "icmpv6" => {
                self.words.take();
                if word == "icmpv6" {
                    self.family(Family::Ipv6)?;
                }
                return self.icmp(word == "icmpv6");
            }
            "protocol" => {
                self.words.take();
                let name = self.words.value("a protocol's name or number")?;
                let number = name.parse().ok().map(Protocol).or_else(|| Protocol::by_name(name));
                if number.is_none() {
                    return self
                        .words
                        .wrong(format!("`{name}` is no protocol: give its number, 0 to 255, or its name"));
                }
                self.question.protocol = number;
                return Ok(());
            }
            _ if begins_elsewhere(word) => return Ok(()),
            _ => {
                self.words.take();
                let near = names::closest(word, PROTOCOLS);
                let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                return self.words.wrong(format!("expected a protocol or an address, not `{word}`{near}"));
            }
        }
        self.words.take();
        Ok(())
    }

    fn icmp(&mut self, six: bool) -> Result<(), Misunderstood> {
        let family = if six { Family::Ipv6 } else { Family::Ipv4 };
        self.question.protocol = Some(if six { Protocol::ICMPV6 } else { Protocol::ICMP });
        let Some(word) = self.words.peek() else { return Ok(()) };
        let mut numbers = word.splitn(2, '/');
        let kind = numbers.next().and_then(|kind| kind.parse::<u8>().ok());
        if let Some(kind) = kind {
            self.words.take();
            let code = match numbers.next() {
                Some(code) => match code.parse() {
                    Ok(code) => code,
                    Err(_) => return self.words.wrong(format!("`{code}` is no ICMP code: 0 to 255")),
                },
                None => 0,
            };
            self.question.icmp = Some((kind, code));
        } else if let Some(types) = names::icmp::lookup(family, word) {
            self.words.take();
            self.question.icmp = types.first().map(|one| (one.kind, one.code.unwrap_or(0)));
        } else if !begins_elsewhere(word) {
            self.words.take();
            let near = names::closest(word, names::icmp::names(family));
            let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            return self.words.wrong(format!("`{word}` is no ICMP type{near}"));
        }
        Ok(())
    }

    /// `[SOURCE] [-> DESTINATION]`.
    fn endpoints(&mut self) -> Result<(), Misunderstood> {
        let Some(word) = self.words.peek() else { return Ok(()) };
        let is_clause = |word: &str| CLAUSES.contains(&word);
        if word != "->" && !is_clause(word) {
            self.words.take();
            let (address, port, host) = self.endpoint(word)?;
            self.question.source = address;
            self.question.source_port = port;
            self.question.from_host |= host;
        }
        if self.words.peek() == Some("->") {
            self.words.take();
            let word = self.words.value("the destination")?;
            let (address, port, host) = self.endpoint(word)?;
            self.question.destination = address;
            self.question.destination_port = port;
            self.question.to_host |= host;
        }
        Ok(())
    }

    /// An address with or without a port, `host`, or `any`.
    fn endpoint(&mut self, word: &str) -> Result<(Option<IpAddr>, Option<u16>, bool), Misunderstood> {
        let (place, port) = split_port(word);
        let port = match port {
            None => None,
            Some(text) => match text.parse::<u16>() {
                Ok(port) => Some(port),
                Err(_) => {
                    let end = self.words.last().end;
                    let at = end - text.len()..end;
                    return Err(Misunderstood { at, message: format!("`{text}` is no port: 0 to 65535") });
                }
            },
        };
        if port.is_some() && !self.question.protocol.is_none_or(Protocol::has_ports) {
            return self.words.wrong("this protocol has no ports");
        }
        match place {
            "host" => return Ok((None, port, true)),
            "any" | "*" | "" => return Ok((None, port, false)),
            _ => {}
        }
        match place.parse::<IpAddr>() {
            Ok(address) => {
                self.family(Family::of(address))?;
                Ok((Some(address), port, false))
            }
            Err(_) if place.contains('/') => {
                self.words.wrong("a packet has one address, not a prefix: take one of its addresses")
            }
            Err(_) => {
                self.words.wrong(format!("`{place}` is no address; `host` is this machine, `any` leaves it open"))
            }
        }
    }

    fn clause(&mut self) -> Result<(), Misunderstood> {
        let Some(word) = self.words.take() else { return Ok(()) };
        match word {
            "ipv4" => self.family(Family::Ipv4)?,
            "ipv6" => self.family(Family::Ipv6)?,
            "via" => {
                let card = self.card()?;
                self.via = Some((card, self.words.last()));
            }
            "in" => self.question.arrives = Some(self.card()?.to_owned()),
            "out" => self.question.leaves = Some(self.card()?.to_owned()),
            "to" | "from" => {
                match self.words.value("`host`")? {
                    "host" => {}
                    other => {
                        return self.words.wrong(format!(
                            "expected `host` after `{word}`, not `{other}`; addresses stand around `->`"
                        ));
                    }
                }
                if word == "to" {
                    self.question.to_host = true;
                } else {
                    self.question.from_host = true;
                }
            }
            "state" => {
                let name = self.words.value("a connection state")?;
                match STATES.iter().position(|state| state.eq_ignore_ascii_case(name)) {
                    Some(state) => self.question.state = u8::try_from(state).unwrap_or(0),
                    None => {
                        let near = names::closest(name, STATES);
                        let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                        return self.words.wrong(format!("`{name}` is no connection state{near}"));
                    }
                }
            }
            "reply" => {
                self.question.reply = true;
                if self.question.state == 0 {
                    self.question.state = 1;
                }
            }
            "mark" => self.question.mark = self.mark()?,
            "connmark" => self.question.connection_mark = Some(self.mark()?),
            "mac" => {
                let text = self.words.value("an Ethernet address")?;
                match Mac::from_str(text) {
                    Ok(mac) => self.question.mac = Some(mac),
                    Err(_) => {
                        return self.words.wrong(format!(
                            "`{text}` is no Ethernet address: six pairs of digits, `02:00:5e:10:00:01`"
                        ));
                    }
                }
            }
            "flags" => {
                let text = self.words.value("TCP flags")?;
                let mut flags = 0u8;
                for name in text.split(',').filter(|name| *name != "none") {
                    match FLAGS.iter().position(|flag| flag.eq_ignore_ascii_case(name)) {
                        Some(bit) => flags |= 1 << bit,
                        None => {
                            return self.words.wrong(format!("`{name}` is no TCP flag: fin, syn, rst, psh, ack, urg"));
                        }
                    }
                }
                self.question.flags = Some(flags);
            }
            "dialled" => {
                let text = self.words.value("the address that the client dialled")?;
                match self.endpoint(text)? {
                    (Some(address), port, _) => self.question.dialled = Some((address, port)),
                    _ => return self.words.wrong("expected the address that the client dialled"),
                }
            }
            "->" => {
                return self
                    .words
                    .wrong("the destination is said already, or stands too late: SOURCE -> DESTINATION comes first");
            }
            _ => {
                let near = names::closest(word, CLAUSES);
                let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                return self.words.wrong(format!("expected {}, not `{word}`{near}", CLAUSES[..11].join(", ")));
            }
        }
        Ok(())
    }

    fn mark(&mut self) -> Result<u32, Misunderstood> {
        let text = self.words.value("a mark")?;
        let hexadecimal = text.strip_prefix("0x");
        let number = hexadecimal.map_or_else(|| text.parse().ok(), |digits| u32::from_str_radix(digits, 16).ok());
        match number {
            Some(mark) => Ok(mark),
            None => self.words.wrong(format!("`{text}` is no mark: a number up to 0xffffffff")),
        }
    }

    fn card(&mut self) -> Result<&'t str, Misunderstood> {
        let card = self.words.value("an interface's name")?;
        if card.len() > 15 || card.contains('/') || card.ends_with('+') {
            return self.words.wrong(format!("`{card}` is no interface's name: one interface, at most 15 bytes"));
        }
        Ok(card)
    }

    fn finish(mut self) -> Result<Question, Misunderstood> {
        if let Some((card, at)) = self.via {
            let slot = if self.question.from_host { &mut self.question.leaves } else { &mut self.question.arrives };
            if slot.as_deref().is_some_and(|known| known != card) {
                return Err(Misunderstood {
                    at,
                    message: "two interfaces are said: `via` is `in`, or `out` for what this machine sends".to_owned(),
                });
            }
            *slot = Some(card.to_owned());
        }
        let question = &mut self.question;
        if let Some(0..) = question.icmp.map(|(kind, _)| kind)
            && question.protocol.is_none()
        {
            // `ping`: the family decides.
            let six = question.family == Some(Family::Ipv6);
            question.protocol = Some(if six { Protocol::ICMPV6 } else { Protocol::ICMP });
            question.icmp = Some(if six { (128, 0) } else { (8, 0) });
        }
        if let Some(state) = question.icmp.and_then(|(kind, _)| state_without_connection(question.protocol, kind))
            && question.state == 0
        {
            question.state = state;
        }
        let whole = Range { start: 0, end: self.words.end };
        if question.from_host && question.arrives.is_some() {
            return Err(Misunderstood {
                at: whole,
                message: "what this machine sends arrives by no interface: leave out `in`".to_owned(),
            });
        }
        if question.to_host && question.leaves.is_some() && !question.from_host {
            return Err(Misunderstood {
                at: whole,
                message: "what goes to this machine leaves by no interface: leave out `out`".to_owned(),
            });
        }
        if question.flags.is_some() && question.protocol != Some(Protocol::TCP) {
            return Err(Misunderstood { at: whole, message: "`flags` are TCP's: begin with `tcp`".to_owned() });
        }
        Ok(self.question)
    }
}

/// The state of an ICMP message that opens no connection and belongs to none, by its place in [`STATES`].
fn state_without_connection(protocol: Option<Protocol>, kind: u8) -> Option<u8> {
    let family = if protocol == Some(Protocol::ICMPV6) { Family::Ipv6 } else { Family::Ipv4 };
    let name = match names::icmp::tracked_as(family, kind) {
        TrackedAs::Untracked => "untracked",
        TrackedAs::Invalid if !names::icmp::belongs_to_connections(family, kind) => "invalid",
        _ => return None,
    };
    STATES.iter().position(|state| *state == name).and_then(|at| u8::try_from(at).ok())
}

/// Whether a word is no protocol and no ICMP type, but what comes behind them.
fn begins_elsewhere(word: &str) -> bool {
    let (place, _) = split_port(word);
    CLAUSES.contains(&word)
        || ["->", "host", "any", "*"].contains(&place)
        || place.parse::<IpAddr>().is_ok()
        || word.contains([':', '.', '['])
}

/// `PLACE`, `PLACE:PORT`, `[ADDRESS]:PORT`.
fn split_port(word: &str) -> (&str, Option<&str>) {
    if let Some(rest) = word.strip_prefix('[')
        && let Some((address, behind)) = rest.split_once(']')
    {
        return (address, behind.strip_prefix(':'));
    }
    match word.rsplit_once(':') {
        // More than one colon: an IPv6 address.
        Some((place, _)) if place.contains(':') => (word, None),
        Some((place, port)) => (place, Some(port)),
        None => (word, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_understood() {
        let one = parse("tcp 10.1.1.1:40000 -> 203.0.113.10:443 via ens33").expect("a packet");
        assert_eq!(one.family, Some(Family::Ipv4));
        assert_eq!((one.source_port, one.destination_port), (Some(40_000), Some(443)));
        assert_eq!(one.arrives.as_deref(), Some("ens33"));
        let out = parse("udp host -> [2001:db8::1]:53 via wg0 mark 0x1").expect("a packet");
        assert!(out.from_host && out.arrives.is_none());
        assert_eq!((out.leaves.as_deref(), out.destination_port, out.mark), (Some("wg0"), Some(53), 1));
        let six = parse("ping 2001:db8::2 -> host in eth0").expect("a packet");
        assert_eq!((six.protocol, six.icmp, six.to_host), (Some(Protocol::ICMPV6), Some((128, 0)), true));
        let echo = parse("icmp echo-request 10.0.0.1 -> 10.0.0.2 in eth0 out docker0").expect("a packet");
        assert_eq!(echo.icmp, Some((8, 0)));
        let bare = parse("tcp -> 192.0.2.1:22 state established reply").expect("a packet");
        assert_eq!((bare.source, bare.state, bare.reply), (None, 1, true));
    }

    #[test]
    fn faults_point_at_the_word() {
        for (text, at, begins) in [
            ("tcp 10.1.1.1 -> 203.0.113.10:99999", "99999", "`99999` is no port"),
            (
                "tpc 10.1.1.1 -> 203.0.113.10",
                "tpc",
                "expected a protocol or an address, not `tpc`; did you mean `tcp`?",
            ),
            ("tcp 10.1.1.1 -> 2001:db8::1", "2001:db8::1", "this is ipv6"),
            ("tcp 10.1.1.0/24 -> host", "10.1.1.0/24", "a packet has one address"),
            ("tcp 10.1.1.1 -> host state ne", "ne", "`ne` is no connection state; did you mean `new`?"),
            ("tcp 10.1.1.1 -> host on eth0", "on", "expected via"),
            (
                "icmp echo-requst 10.1.1.1 -> host",
                "echo-requst",
                "`echo-requst` is no ICMP type; did you mean `echo-request`?",
            ),
            ("tcp 10.1.1.1 -> host via", "", "expected an interface's name here"),
        ] {
            let fault = parse(text).expect_err(text);
            assert_eq!(text.get(fault.at.clone()), Some(at), "{text}: {fault:?}");
            assert!(fault.message.starts_with(begins), "{text}: {}", fault.message);
        }
    }
}
