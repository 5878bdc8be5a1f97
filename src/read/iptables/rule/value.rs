//! What stands after an option: whether the tool takes it.

use super::parse::{Opt, did_you_mean};
use super::{begins, masked, rate};
use crate::names::{self, closest};
use crate::net::hours::SHORT_DAYS;
use crate::net::{Card, Family};
use crate::netfilter::extension::Argument;
use crate::read::iptables::{Refusal, refuse};
use crate::read::scan::Word;
use crate::read::{FaultKind, address, quoted};
use crate::span::Span;

/// The states that `--ctstate` takes.
const STATES: [&str; 7] = ["INVALID", "NEW", "ESTABLISHED", "RELATED", "UNTRACKED", "SNAT", "DNAT"];
const FLAGS: [&str; 8] = ["SYN", "ACK", "FIN", "RST", "URG", "PSH", "ALL", "NONE"];
/// Ports that a list of `multiport` has room for; a range takes two.
const MOST_PORTS: usize = 15;
/// Parts of a packet that a set can be asked with (`IPSET_DIM_MAX` of the kernel).
const MOST_SET_FLAGS: usize = 6;
/// The steps of a second in which the kernel counts a limit (`XT_LIMIT_SCALE`).
const LIMIT_SCALE: u32 = 10_000;

type Checked = Result<(), Refusal>;

/// The place of a part of a word.
fn part(word: &Word, part: &str) -> Span {
    let at = word.text.find(part).unwrap_or(0);
    let start = word.start + usize::from(word.quoted) + at;
    Span::new(start, start + part.len())
}

fn whole(word: &Word) -> Span {
    Span::new(word.start, word.end)
}

/// A word that is none of those that can stand there.
fn no_word<'n>(word: &Word, text: &str, what: &str, known: impl IntoIterator<Item = &'n str>) -> Refusal {
    let message = format!("`{}` is no {what}", quoted(text));
    match closest(text, known) {
        Some(near) => did_you_mean(part(word, text), message, near),
        None => refuse(part(word, text), message, &format!("write a {what} that the tool knows")),
    }
}

/// Checks an option of iptables itself.
pub(super) fn basic(option: &Opt, family: Family) -> Checked {
    let Some(word) = option.values.first().filter(|_| !option.is_open()) else { return Ok(()) };
    match option.name {
        "-p" => protocol(word),
        "-s" | "-d" => {
            if option.negated && word.text.contains(',') {
                return Err(refuse(whole(word), "`!` cannot stand before several addresses", "write a rule for each"));
            }
            word.text.split(',').try_for_each(|text| network(word, text, family))
        }
        "-i" | "-o" => interface(word),
        "-c" => option.values.iter().try_for_each(|word| number(word, 0, u64::MAX)),
        _ => Ok(()),
    }
}

/// Checks an option of an extension.
pub(super) fn check(argument: &Argument, option: &Opt, family: Family) -> Checked {
    let Some(word) = option.values.first().filter(|_| !option.is_open()) else { return Ok(()) };
    let text = word.text;
    let list = |what: &str, known: &[&str]| {
        text.split(',').try_for_each(|one| {
            let has = known.iter().any(|known| begins(known, one));
            if has { Ok(()) } else { Err(no_word(word, one, what, known.iter().copied())) }
        })
    };
    match argument {
        Argument::Number(first, last) => number(word, *first, *last),
        Argument::Range(last) => range(word, *last),
        Argument::Real(first, last) => match text.parse::<f64>() {
            Ok(value) if value >= *first && value <= *last => Ok(()),
            _ => Err(refuse(
                whole(word),
                format!("`{}` is no number between {first} and {last}", quoted(text)),
                "write a number such as 0.5",
            )),
        },
        Argument::Mark => {
            let good = masked(text).is_some();
            if good {
                Ok(())
            } else {
                Err(refuse(
                    whole(word),
                    format!("`{}` is no mark", quoted(text)),
                    "write a number, or a number and a mask: `0x1/0xff`",
                ))
            }
        }
        Argument::Level => {
            let good = names::syslog::lookup(&text.to_ascii_lowercase()).is_some();
            if good {
                Ok(())
            } else {
                Err(no_word(
                    word,
                    text,
                    "syslog level",
                    ["emerg", "alert", "crit", "error", "warning", "notice", "info", "debug"],
                ))
            }
        }
        Argument::Host => host(word, text, family),
        Argument::Network => text.split(',').try_for_each(|text| network(word, text, family)),
        Argument::Protocol => protocol(word),
        Argument::Port => cut_port(word, text),
        Argument::Ports => ports(word, text),
        Argument::PortRange => {
            text.splitn(2, ':').filter(|end| !end.is_empty()).try_for_each(|end| cut_port(word, end))
        }
        Argument::PortList => {
            let count: usize = text.split(',').map(|part| if part.contains(':') { 2 } else { 1 }).sum();
            if count > MOST_PORTS {
                let message = format!("{count} ports, and multiport takes {MOST_PORTS}");
                return Err(refuse(whole(word), message, "write a second rule for the rest: a range counts two"));
            }
            text.split(',').try_for_each(|text| ports(word, text))
        }
        Argument::PrefixLength => number(word, 0, if family == Family::Ipv4 { 32 } else { 128 }),
        Argument::Mac => match super::mac(text) {
            Some(_) => Ok(()),
            None => Err(refuse(
                whole(word),
                format!("`{}` is no Ethernet address", quoted(text)),
                "write six pairs of digits: `52:54:00:00:00:01`",
            )),
        },
        Argument::Addresses => text.split('-').try_for_each(|text| host(word, text, family)),
        Argument::States => list("connection state", &STATES),
        Argument::IcmpType => {
            let any = text.eq_ignore_ascii_case("any");
            if any || super::icmp_types(family, text).is_some() {
                Ok(())
            } else {
                Err(no_word(word, text, "ICMP type", names::icmp::names(family)))
            }
        }
        Argument::Rate => match rate(text) {
            Some((count, seconds)) if option.name == "--limit" && count > seconds * LIMIT_SCALE => Err(refuse(
                whole(word),
                format!("the rate `{}` is above {LIMIT_SCALE}/second, the most the kernel counts", quoted(text)),
                "write a lower one",
            )),
            Some((1.., _)) => Ok(()),
            _ => Err(refuse(
                whole(word),
                format!("`{}` is no rate", quoted(text)),
                "write `10/second`, `10/minute`, `10/hour` or `10/day`",
            )),
        },
        Argument::Class => {
            let named = text.bytes().next().is_some_and(|letter| letter.is_ascii_alphabetic());
            if named && super::dscp_class(text).is_some() {
                Ok(())
            } else {
                Err(no_word(word, text, "DSCP class", ["CS1", "AF11", "EF", "BE"]))
            }
        }
        Argument::Reject => {
            if super::target::reject_named(family, text).is_some() {
                Ok(())
            } else {
                Err(no_word(word, text, "way to refuse", super::target::rejects(family).iter().copied()))
            }
        }
        Argument::Flags => option.values.iter().try_for_each(|word| {
            word.text.split(',').try_for_each(|one| {
                let has = FLAGS.iter().any(|known| known.eq_ignore_ascii_case(one));
                if has { Ok(()) } else { Err(no_word(word, one, "TCP flag", FLAGS)) }
            })
        }),
        Argument::Set => option.values.get(1).map_or(Ok(()), |word| {
            if word.text.split(',').count() > MOST_SET_FLAGS {
                let message = format!("`{}` has more than {MOST_SET_FLAGS} parts of a packet", quoted(word.text));
                return Err(refuse(Span::new(word.start, word.end), message, "a set has fewer fields"));
            }
            word.text.split(',').try_for_each(|one| match one {
                "src" | "dst" => Ok(()),
                _ => Err(no_word(word, one, "part of a packet", ["src", "dst"])),
            })
        }),
        Argument::Translation => translation(word, family),
        Argument::TranslationPorts => {
            text.split('-').try_for_each(|text| port(word, text.split('/').next().unwrap_or_default()))
        }
        Argument::Interface => interface(word),
        Argument::Weekdays => text.split(',').try_for_each(|one| {
            let day = SHORT_DAYS
                .iter()
                .any(|day| one.len() >= 2 && day.get(..2) == one.get(..2) && (one.len() == 2 || *day == one));
            if day || matches!(one.parse(), Ok(1..=7)) {
                Ok(())
            } else {
                Err(no_word(word, one, "day of the week", SHORT_DAYS))
            }
        }),
        Argument::Clock => {
            let parts: Vec<Option<u16>> = text.split(':').map(address::port).collect();
            let good = matches!(parts.as_slice(), [Some(0..24), Some(0..60)] | [Some(0..24), Some(0..60), Some(0..60)]);
            if good {
                Ok(())
            } else {
                Err(refuse(whole(word), format!("`{}` is no time of day", quoted(text)), "write `08:00` or `08:00:00`"))
            }
        }
        Argument::One(known) => {
            let has = known.iter().any(|known| known.eq_ignore_ascii_case(text));
            if has { Ok(()) } else { Err(no_word(word, text, "value of this option", known.iter().copied())) }
        }
        Argument::List(known) => list("value of this option", known),
        Argument::Nothing | Argument::Text | Argument::Tos | Argument::Mask => Ok(()),
    }
}

fn number(word: &Word, first: u64, last: u64) -> Checked {
    match unsigned(word.text) {
        Some(value) if value >= first && value <= last => Ok(()),
        _ => {
            let message = format!("`{}` is no number between {first} and {last}", quoted(word.text));
            Err(refuse(whole(word), message, "write such a number"))
        }
    }
}

/// A number as `strtoull` takes it: decimal, `0x`, or octal with a leading zero.
fn unsigned(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None if text.len() > 1 && text.starts_with('0') => u64::from_str_radix(text, 8).ok(),
        None if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        None => None,
    }
}

fn range(word: &Word, last: u64) -> Checked {
    let (low, high) = word.text.split_once(':').unwrap_or((word.text, word.text));
    let low = if low.is_empty() { Some(0) } else { unsigned(low) };
    let high = if high.is_empty() { Some(last) } else { unsigned(high) };
    match (low, high) {
        // What begins after its end is taken, and matches nothing.
        (Some(low), Some(high)) if low.max(high) <= last => Ok(()),
        _ => {
            let message = format!("`{}` is no range of numbers up to {last}", quoted(word.text));
            Err(refuse(whole(word), message, "write `FIRST:LAST`"))
        }
    }
}

fn protocol(word: &Word) -> Checked {
    let text = address::lowered(word.text);
    if text == "all" || address::protocol_known(&text) {
        return Ok(());
    }
    Err(no_word(
        word,
        word.text,
        "protocol",
        ["tcp", "udp", "icmp", "ipv6-icmp", "sctp", "esp", "ah", "gre", "igmp", "all"],
    ))
}

fn interface(word: &Word) -> Checked {
    let name = word.text.strip_suffix('+').unwrap_or(word.text);
    if word.text.is_empty() || word.text.len() > Card::MAX {
        let message = format!("`{}` is no interface name: those have 1 to {} bytes", quoted(name), Card::MAX);
        return Err(refuse(whole(word), message, "write the name that `ip link` shows"));
    }
    Ok(())
}

fn port(word: &Word, text: &str) -> Checked {
    if address::named_port(text).is_some() {
        return Ok(());
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
        return Err(refuse(
            part(word, text),
            format!("`{}` is no port: those are 0 to 65535", quoted(text)),
            "correct the number",
        ));
    }
    Err(no_word(word, text, "port or service", names::port::names()))
}

/// A port where the tool does not look at its size and keeps the last 16 bits.
fn cut_port(word: &Word, text: &str) -> Checked {
    match unsigned(text).filter(|number| *number > u16::MAX.into()) {
        Some(number) if number <= u32::MAX.into() => {
            let message = format!("`{number}` is no port: iptables loads it as {}", number & 0xffff);
            let refusal = refuse(part(word, text), message, "correct the number: ports are 0 to 65535");
            Err(Refusal { kind: FaultKind::Misread, ..refusal })
        }
        _ => port(word, text),
    }
}

fn ports(word: &Word, text: &str) -> Checked {
    let Some((first, last)) = text.split_once(':') else { return port(word, text) };
    for end in [first, last].into_iter().filter(|end| !end.is_empty()) {
        port(word, end)?;
    }
    match address::named_ports(text, ':') {
        Some(_) => Ok(()),
        None => Err(refuse(
            part(word, text),
            format!("`{}` begins after its end", quoted(text)),
            "write the smaller port first",
        )),
    }
}

fn host(word: &Word, text: &str, family: Family) -> Checked {
    match text.parse::<std::net::IpAddr>() {
        Ok(address) if Family::of(address) == family => Ok(()),
        Ok(_) => Err(other_family(word, text, family)),
        Err(_) if address::spelt(text, family).is_some() => Ok(()),
        Err(_) if is_name(text, family) => Ok(()),
        Err(_) => Err(no_address(word, text)),
    }
}

fn other_family(word: &Word, text: &str, family: Family) -> Refusal {
    let (own, other) = if family == Family::Ipv4 { ("IPv4", "IPv6") } else { ("IPv6", "IPv4") };
    let message = format!("`{}` is an address of {other} in rules for {own}", quoted(text));
    refuse(part(word, text), message, &format!("move the rule to the file for {other}"))
}

fn no_address(word: &Word, text: &str) -> Refusal {
    refuse(part(word, text), format!("`{}` is no address", quoted(text)), "correct the address")
}

/// Whether it may be the name of a host, which the tool looks up when the file is loaded.
fn is_name(text: &str, family: Family) -> bool {
    let letters = text.bytes().any(|letter| letter.is_ascii_alphabetic());
    let hexadecimal = family == Family::Ipv6 && text.contains(':');
    letters && !hexadecimal && text.bytes().all(|letter| letter.is_ascii_alphanumeric() || b"-._".contains(&letter))
}

fn network(word: &Word, text: &str, family: Family) -> Checked {
    if address::spelt(text, family).is_some() {
        return Ok(());
    }
    let (address, mask) = text.split_once('/').map_or((text, None), |(address, mask)| (address, Some(mask)));
    if let Ok(address) = address.parse::<std::net::IpAddr>()
        && Family::of(address) != family
    {
        return Err(other_family(word, text, family));
    }
    let known = address::spelt(address, family).is_some();
    match mask {
        Some(mask) if known && !address::is_mask(mask, family) => {
            let most = if family == Family::Ipv4 { 32 } else { 128 };
            let message = format!("`/{}` is no prefix of an address: those are /0 to /{most}", quoted(mask));
            Err(refuse(part(word, text), message, "correct the prefix"))
        }
        _ if known || is_name(address, family) => Ok(()),
        _ => Err(no_address(word, text)),
    }
}

/// `10.0.0.1-10.0.0.9:80-90`, `[2001:db8::1]:80`, `:80`.
fn translation(word: &Word, family: Family) -> Checked {
    let text = word.text;
    let (addresses, numbers) = if family == Family::Ipv6 {
        match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((inside, after)) => (inside, after.strip_prefix(':')),
            None => (text, None),
        }
    } else {
        text.split_once(':').map_or((text, None), |(addresses, numbers)| (addresses, Some(numbers)))
    };
    for one in addresses.split('-').filter(|one| !one.is_empty()) {
        match one.parse::<std::net::IpAddr>() {
            Ok(address) if Family::of(address) == family => {}
            Ok(_) => return Err(other_family(word, one, family)),
            Err(_) => return Err(no_address(word, one)),
        }
    }
    let numbers = numbers.map(|numbers| numbers.split('/').next().unwrap_or_default());
    numbers.into_iter().flat_map(|numbers| numbers.split('-')).try_for_each(|one| port(word, one))
}
