//! Values inside statements: addresses, ports, rates, times and the like. The grammar takes each as a word; here it is read,
//! and what is wrong with it is said in the words of the field.

#![allow(clippy::result_large_err, reason = "a fault is rare, and a box around it would be one more thing to read")]

use crate::diagnostic::{Code, Diagnostic, Level};
use crate::names::closest;
use crate::net::hours::{self, SHORT_DAYS};
use crate::net::{AddressRange, Mac, PortRange, Protocol};
use crate::span::Location;
use crate::syntax::tree::{Rate, RateUnit};

pub(super) static BAD_ADDRESS: Code = Code {
    number: "FW0020",
    name: "bad-address",
    level: Level::Error,
    summary: "an address, prefix or range that cannot be read",
    explanation: "\
An address is written `10.1.1.1` or `2001:db8::1`, a prefix `10.0.0.0/8`, a range `10.0.0.1-10.0.0.9`. Each number of an IPv4
address is at most 255, a prefix length at most 32 (IPv4) or 128 (IPv6), and a range ends where it begins or later.

Nothing is guessed here, because a wrong address in a firewall opens the machine to somebody else.

    allow ssh from 10.1.1.300 to host        # 300 is not a byte
    allow ssh from 10.1.1.30 to host         # what was meant

An Ethernet address is a place too, with a word in front: `from mac 1e:0b:85:27:8d:65`.
",
};

pub(super) static HOST_BITS: Code = Code {
    number: "FW0021",
    name: "host-bits-in-prefix",
    level: Level::Warning,
    summary: "a prefix with bits set behind its length",
    explanation: "\
`10.0.0.1/8` names the whole network `10.0.0.0/8`: the kernel ignores the bits behind the length. Whoever wrote it may have
meant the one host `10.0.0.1`, which is sixteen million addresses less.

    allow ssh from 10.0.0.1/8 to host        # really everyone in 10.0.0.0/8?
    allow ssh from 10.0.0.0/8 to host        # yes
    allow ssh from 10.0.0.1 to host          # no, this one
",
};

pub(super) static BAD_PORT: Code = Code {
    number: "FW0022",
    name: "bad-port",
    level: Level::Error,
    summary: "a port or range of ports that cannot be read",
    explanation: "\
A port is a number from 1 to 65535, a range is `8000-8010` with the lower end first. Port 0 is never on the wire of TCP or UDP;
a rule for it would match nothing.

    allow tcp 80800 to host           # above 65535
    allow tcp 8010-8000 to host       # the wrong way round
    allow tcp 8000-8010 to host

Ports have no names of their own: `allow https` names a service, which knows its protocol and its ports.
",
};

pub(super) static BAD_MAC: Code = Code {
    number: "FW0023",
    name: "bad-mac",
    level: Level::Error,
    summary: "an Ethernet address that cannot be read",
    explanation: "\
An Ethernet (MAC) address is six bytes in hexadecimal, two digits each, with colons between them: `1e:0b:85:27:8d:65`.

    guest vm1 on tap1 mac 1e-0b-85-27-8d-65     # dashes, as Windows writes it
    guest vm1 on tap1 mac 1e:0b:85:27:8d:65
",
};

pub(super) static BAD_RATE: Code = Code {
    number: "FW0024",
    name: "bad-rate",
    level: Level::Error,
    summary: "a rate that cannot be read",
    explanation: "\
A rate is a number and a unit of time: `10/minute`. The units are `second`, `minute`, `hour` and `day`, and the number is at
least 1. The kernel counts in steps of a ten-thousandth of a second, so a rate is at most 10000/second.

    allow ssh from any to host limit 10/min
    allow ssh from any to host limit 10/minute per source
",
};

pub(super) static BAD_TIME: Code = Code {
    number: "FW0025",
    name: "bad-time",
    level: Level::Error,
    summary: "days or times that cannot be read",
    explanation: "\
`during` takes days, times, or both: `during mon-fri 08:00-18:00`, `during sat, sun`, `during 22:00-06:00`. Days are `mon`, `tue`,
`wed`, `thu`, `fri`, `sat`, `sun`; times are hours and minutes of a day with 24 hours, from and to. A time that ends before it begins
goes on past midnight.

    allow ssh from office to host during 8-18
    allow ssh from office to host during 08:00-18:00
",
};

pub(super) static BAD_NUMBER: Code = Code {
    number: "FW0026",
    name: "bad-number",
    level: Level::Error,
    summary: "a number that cannot be read or is out of its range",
    explanation: "\
A mark is a number of 32 bits, in decimal or as `0x1f`. A burst and a count of connections are decimal numbers, at least 1.

    mark 0x1g tcp 443 from lan to wan
    mark 0x1f tcp 443 from lan to wan
",
};

pub(super) static UNKNOWN_WORD: Code = Code {
    number: "FW0027",
    name: "unknown-value",
    level: Level::Error,
    summary: "a protocol or log level that does not exist",
    explanation: "\
After `protocol` stands the name of an IP protocol (`gre`, `esp`, `ah`, `igmp`, `ospf`, `vrrp` …) or its number, 0 to 255. After
`level` stands a level of syslog: `emerg`, `alert`, `crit`, `error`, `warning`, `notice`, `info` or `debug`.

    allow protocol ger from 10.0.0.1 to host
    allow protocol gre from 10.0.0.1 to host
",
};

/// The user's text, cut to a length that a message can bear.
pub(super) fn shown(text: &str) -> String {
    const MOST: usize = 40;
    if text.chars().count() <= MOST {
        return text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    }
    text.chars().take(MOST).map(|c| if c.is_control() { ' ' } else { c }).chain(['…']).collect()
}

/// Reads an address, prefix or range. The second value is a warning about a prefix with host bits.
pub(super) fn address(text: &str, at: Location) -> Result<(AddressRange, Option<Diagnostic>), Diagnostic> {
    let range = match text.parse::<AddressRange>() {
        Ok(range) => range,
        Err(_) => return Err(bad_address(text, at)),
    };
    if let Some(plain) = mapped(&range) {
        return Err(Diagnostic::new(
            &BAD_ADDRESS,
            at,
            format!("`{}` is an IPv4 address in IPv6 notation", shown(text)),
        )
        .label("no packet has such an address")
        .fix("write the IPv4 address", at, plain.to_string()));
    }
    let warning = text.split_once('/').and_then(|(address, _)| {
        let address: std::net::IpAddr = address.parse().ok()?;
        (address != range.first).then(|| {
            Diagnostic::new(&HOST_BITS, at, format!("`{text}` means the whole network `{range}`"))
                .label("bits behind the prefix length are set")
                .fix("write the network", at, range.to_string())
                .fix("or the one address, if that is meant", at, address.to_string())
        })
    });
    Ok((range, warning))
}

/// The IPv4 addresses that a range of IPv4-mapped IPv6 addresses stands for; `None` for any other, and for all of `::ffff:0:0/96`,
/// which lists of what must not come from outside name.
fn mapped(range: &AddressRange) -> Option<AddressRange> {
    let plain = |address| match address {
        std::net::IpAddr::V6(address) => address.to_ipv4_mapped().map(std::net::IpAddr::V4),
        std::net::IpAddr::V4(_) => None,
    };
    let plain = AddressRange::new(plain(range.first)?, plain(range.last)?)?;
    let all = plain.prefix().is_some_and(|prefix| prefix.prefix_len() == 0);
    (!all).then_some(plain)
}

fn bad_address(text: &str, at: Location) -> Diagnostic {
    let bad = |what: String| Diagnostic::new(&BAD_ADDRESS, at, what);
    let said = shown(text);
    if text.parse::<Mac>().is_ok() {
        return bad(format!("`{said}` is an Ethernet address, not an IP address"))
            .label("expected an address such as `10.1.1.1` or `2001:db8::/32`")
            .fix("write `mac` in front of it", at, format!("mac {text}"));
    }
    if text.parse::<std::net::SocketAddrV4>().is_ok()
        && let Some((address, port)) = text.split_once(':')
    {
        return bad(format!("`{said}` is an address and a port")).label("a place is an address alone").help(format!(
            "ports stand with the service: `tcp {port} … to {address}`; in a `forward`: `to {address} port {port}`"
        ));
    }
    if let Some((address, mask)) = text.split_once('/')
        && let (Ok(_), Ok(mask)) = (address.parse::<std::net::Ipv4Addr>(), mask.parse::<std::net::Ipv4Addr>())
    {
        let ones = u32::from(mask).leading_ones();
        let diagnostic = bad(format!("`{said}` has a netmask where a prefix length is expected"));
        return if u32::from(mask).count_ones() == ones {
            diagnostic.fix(format!("write its length, {ones}"), at, format!("{address}/{ones}"))
        } else {
            diagnostic.help(format!("`{mask}` is not a netmask either: its ones are not all in front"))
        };
    }
    if let Some((address, length)) = text.split_once('/') {
        return match address.parse::<std::net::IpAddr>() {
            Ok(address) => {
                let most = if address.is_ipv4() { 32 } else { 128 };
                bad(format!("`/{}` is not a prefix length for `{address}`", shown(length)))
                    .label(format!("expected a number from 0 to {most} after the `/`"))
            }
            Err(_) => bad(format!("`{said}` is not a prefix: `{}` is not an IP address", shown(address)))
                .label("expected a prefix such as `10.0.0.0/8` or `2001:db8::/32`")
                .help(why_not_an_address(address)),
        };
    }
    if let Some((first, last)) = text.split_once('-') {
        return match (first.parse::<std::net::IpAddr>(), last.parse::<std::net::IpAddr>()) {
            (Ok(first), Ok(last)) if first.is_ipv4() != last.is_ipv4() => {
                bad(format!("`{said}` begins in one family and ends in the other"))
                    .label("expected both ends to be IPv4, or both IPv6")
            }
            (Ok(_), Ok(_)) => bad(format!("the range `{said}` ends before it begins")).fix(
                "turn it round",
                at,
                format!("{last}-{first}"),
            ),
            (Ok(std::net::IpAddr::V4(start)), Err(_)) if last.parse::<u8>().is_ok() => {
                let [a, b, c, _] = start.octets();
                bad(format!("the range `{said}` has a short end")).label("expected a whole address behind the `-`").fix(
                    "write the whole address",
                    at,
                    format!("{first}-{a}.{b}.{c}.{last}"),
                )
            }
            (Ok(_), Err(_)) => bad(format!("`{said}` is not a range: `{}` is not an IP address", shown(last)))
                .help(why_not_an_address(last)),
            (Err(_), _) => bad(format!("`{said}` is not a range: `{}` is not an IP address", shown(first)))
                .help(why_not_an_address(first)),
        };
    }
    bad(format!("`{said}` is not an IP address"))
        .label("expected an address such as `10.1.1.1`, `10.0.0.0/8` or `2001:db8::1`")
        .help(why_not_an_address(text))
}

/// The first thing that keeps `text` from being an address.
fn why_not_an_address(text: &str) -> String {
    if text.contains(':') {
        return "an IPv6 address has eight groups of up to four hexadecimal digits; `::` stands once for groups of zero".into();
    }
    let parts: Vec<&str> = text.split('.').take(6).collect();
    if let Some(part) = parts.iter().find(|part| part.parse::<u32>().is_ok_and(|value| value > 255)) {
        return format!("`{part}` is above 255");
    }
    if let Some(part) = parts.iter().find(|part| part.len() > 1 && part.starts_with('0') && part.parse::<u8>().is_ok())
    {
        return format!("write `{}` without zeros in front: some programs read them as octal", shown(part));
    }
    if parts.iter().all(|part| part.parse::<u8>().is_ok()) && parts.len() != 4 {
        return format!("an IPv4 address has four numbers, this has {}", parts.len().min(5));
    }
    "a name that begins with a digit needs quotes; a host is named by its address".into()
}

/// Reads a port or a range of ports.
pub(super) fn ports(text: &str, at: Location) -> Result<PortRange, Diagnostic> {
    let bad = |what: String| Diagnostic::new(&BAD_PORT, at, what);
    let said = shown(text);
    let number = |part: &str| -> Result<u16, Diagnostic> {
        if !part.bytes().all(|byte| byte.is_ascii_digit()) || part.is_empty() {
            return Err(bad(format!("`{said}` is not a port"))
                .label("expected a number from 1 to 65535, or a range such as `8000-8010`"));
        }
        match part.parse::<u16>() {
            Ok(0) => Err(bad("port 0 does not exist on the wire".into()).label("expected a number from 1 to 65535")),
            Ok(port) => Ok(port),
            Err(_) => {
                Err(bad(format!("port `{}` is above 65535", shown(part))).label("expected a number from 1 to 65535"))
            }
        }
    };
    let Some((first, last)) = text.split_once('-') else {
        if let Some((first, last)) = text.split_once([':', '/'])
            && let (Ok(lower), Ok(upper)) = (number(first), number(last))
        {
            let fault = bad(format!("`{said}` is not a range of ports"));
            let publish =
                format!("what a container publishes at another port is written `publish tcp {first} to {last}`");
            return Err(if lower > upper {
                fault.help(publish)
            } else {
                fault
                    .label("a range is written with `-`")
                    .fix("write it with `-`", at, format!("{first}-{last}"))
                    .help(publish)
            });
        }
        return number(text).map(PortRange::single);
    };
    let (first, last) = (number(first)?, number(last)?);
    if first > last {
        return Err(bad(format!("the range `{said}` ends before it begins")).fix(
            "turn it round",
            at,
            format!("{last}-{first}"),
        ));
    }
    Ok(PortRange { first, last })
}

/// Reads one port, where a range has no meaning.
pub(super) fn port(text: &str, at: Location) -> Result<u16, Diagnostic> {
    let range = ports(text, at)?;
    if range.first == range.last {
        return Ok(range.first);
    }
    Err(Diagnostic::new(&BAD_PORT, at, format!("`{text}` is a range, and one port is expected here")))
}

/// Reads an Ethernet address.
pub(super) fn mac(text: &str, at: Location) -> Result<Mac, Diagnostic> {
    text.parse().map_err(|_| {
        let diagnostic = Diagnostic::new(&BAD_MAC, at, format!("`{}` is not an Ethernet address", shown(text)))
            .label("expected six bytes such as `1e:0b:85:27:8d:65`");
        let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
        let other = text.chars().find(|c| !c.is_ascii_hexdigit() && !matches!(c, '-' | ':' | '.'));
        if digits.len() != 12 || other.is_some() {
            return diagnostic;
        }
        let bytes: Vec<String> = digits
            .to_ascii_lowercase()
            .chars()
            .collect::<Vec<_>>()
            .chunks(2)
            .map(|pair| pair.iter().collect())
            .collect();
        diagnostic.fix("write it with colons", at, bytes.join(":"))
    })
}

/// Reads `10/minute`.
pub(super) fn rate(text: &str, at: Location) -> Result<Rate, Diagnostic> {
    let (count, unit) = text.split_once('/').unwrap_or((text, ""));
    let bad = |what: String| Diagnostic::new(&BAD_RATE, at, what).label("expected a rate such as `10/minute`");
    let units = ["second", "minute", "hour", "day"];
    let unit = match unit {
        "second" => RateUnit::Second,
        "minute" => RateUnit::Minute,
        "hour" => RateUnit::Hour,
        "day" => RateUnit::Day,
        other => {
            let meant = match other.trim_end_matches('s') {
                "" if other == "s" => Some("second"),
                "sec" | "second" => Some("second"),
                "m" | "min" | "minute" => Some("minute"),
                "h" | "hr" | "hour" => Some("hour"),
                "d" | "day" => Some("day"),
                _ => closest(other, units),
            };
            let diagnostic = bad(format!("`{}` is not a unit of time for a rate", shown(other)));
            return Err(match meant {
                Some(unit) => diagnostic.fix(format!("write `{unit}`"), at, format!("{count}/{unit}")),
                None => diagnostic.help("the units are `second`, `minute`, `hour` and `day`"),
            });
        }
    };
    match count.parse::<u32>() {
        Ok(0) => Err(bad(format!("the rate `{}` never lets anything pass", shown(text)))
            .help("write a `deny` if nothing shall pass")),
        Ok(count) if unit == RateUnit::Second && count > 10_000 => {
            Err(bad(format!("the rate `{}` is above 10000/second, the most the kernel counts", shown(text))))
        }
        Ok(count) => Ok(Rate { count, unit }),
        Err(_) => Err(bad(format!("`{}` is too large for a rate", shown(count)))),
    }
}

/// Reads a decimal number of at least one.
pub(super) fn count(text: &str, at: Location) -> Result<u32, Diagnostic> {
    match text.parse::<u32>() {
        Ok(0) => {
            Err(Diagnostic::new(&BAD_NUMBER, at, "a count of 0 never lets anything pass").label("expected 1 or more"))
        }
        Ok(count) => Ok(count),
        Err(_) => Err(Diagnostic::new(&BAD_NUMBER, at, format!("`{}` is not a count", shown(text)))
            .label("expected a decimal number from 1 to 4294967295")),
    }
}

/// Reads a mark: 32 bits, decimal or hexadecimal.
pub(super) fn mark(text: &str, at: Location) -> Result<u32, Diagnostic> {
    let value = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => u32::from_str_radix(digits, 16),
        _ => text.parse(),
    };
    value.map_err(|_| {
        Diagnostic::new(&BAD_NUMBER, at, format!("`{}` is not a mark", shown(text)))
            .label("expected a number of 32 bits such as `1` or `0x1f`")
    })
}

/// Reads the word after `protocol`.
pub(super) fn protocol(text: &str, at: Location) -> Result<Protocol, Diagnostic> {
    Protocol::by_name(text).ok_or_else(|| {
        let diagnostic = Diagnostic::new(&UNKNOWN_WORD, at, format!("`{}` is not a known IP protocol", shown(text)))
            .label("expected a name such as `gre` or a number from 0 to 255");
        match closest(text, Protocol::NAMES.map(|(name, _)| name)) {
            Some(name) => diagnostic.fix(format!("did you mean `{name}`?"), at, name),
            None => diagnostic.help("write the number that IANA assigned to it"),
        }
    })
}

/// Reads a syslog level; gives the spelling of `iptables --log-level`.
pub(super) fn level(text: &str, at: Location) -> Result<&'static str, Diagnostic> {
    const LEVELS: [(&str, &str); 13] = [
        ("emerg", "emerg"),
        ("alert", "alert"),
        ("crit", "crit"),
        ("err", "error"),
        ("warn", "warning"),
        ("notice", "notice"),
        ("info", "info"),
        ("debug", "debug"),
        ("error", "error"),
        ("warning", "warning"),
        ("panic", "emerg"),
        ("emergency", "emerg"),
        ("critical", "crit"),
    ];
    LEVELS.iter().find(|(name, _)| *name == text).map(|&(_, level)| level).ok_or_else(|| {
        let diagnostic = Diagnostic::new(&UNKNOWN_WORD, at, format!("there is no log level `{}`", shown(text)))
            .label("expected `emerg`, `alert`, `crit`, `error`, `warning`, `notice`, `info` or `debug`");
        match closest(text, LEVELS.map(|(name, _)| name)) {
            Some(name) => diagnostic.fix(format!("did you mean `{name}`?"), at, name),
            None => diagnostic,
        }
    })
}

/// Reads `mon` or `mon-fri`, also across the end of the week. Monday is bit 0.
pub(super) fn days(text: &str, at: Location) -> Result<u8, Diagnostic> {
    let names = || SHORT_DAYS.iter().map(|day| day.to_ascii_lowercase());
    let day = |word: &str| -> Result<usize, Diagnostic> {
        names().position(|known| known == word).ok_or_else(|| {
            let diagnostic = Diagnostic::new(&BAD_TIME, at, format!("`{}` is not a day", shown(word)))
                .label("expected `mon`, `tue`, `wed`, `thu`, `fri`, `sat` or `sun`, or days such as `mon-fri`");
            let meant = hours::day(word).and_then(|day| names().nth(day)).or_else(|| {
                let names: Vec<String> = names().collect();
                closest(word, names.iter().map(String::as_str)).map(str::to_owned)
            });
            match meant {
                Some(meant) => diagnostic.fix(format!("write `{meant}`"), at, text.replace(word, &meant)),
                None => diagnostic,
            }
        })
    };
    let Some((first, last)) = text.split_once('-') else { return day(text).map(|day| 1 << day) };
    let (first, last) = (day(first)?, day(last)?);
    let mut days = 0;
    let mut at = first;
    loop {
        days |= 1 << at;
        if at == last {
            return Ok(days);
        }
        at = (at + 1) % 7;
    }
}

/// Reads `08:00-18:00` into minutes of the day. `24:00` is an end only.
pub(super) fn times(text: &str, at: Location) -> Result<(u16, u16), Diagnostic> {
    let bad = |what: String| {
        Diagnostic::new(&BAD_TIME, at, what)
            .label("expected times such as `08:00-18:00`, hours and minutes of 24 hours")
    };
    let minute = |word: &str| -> Result<u16, Diagnostic> {
        let wrong = || bad(format!("`{}` is not a time of day", shown(word)));
        let (hour, minute) = word.split_once(':').ok_or_else(wrong)?;
        if hour.len() > 2 || minute.len() != 2 || !hour.bytes().chain(minute.bytes()).all(|byte| byte.is_ascii_digit())
        {
            return Err(wrong());
        }
        let (hour, minute): (u16, u16) = (hour.parse().map_err(|_| wrong())?, minute.parse().map_err(|_| wrong())?);
        if minute > 59 || hour > 24 || (hour == 24 && minute > 0) { Err(wrong()) } else { Ok(hour * 60 + minute) }
    };
    let Some((first, last)) = text.split_once('-') else {
        return Err(bad(format!("`{}` says one time, and two are expected, from and to", shown(text))));
    };
    let (first, last) = (minute(first)?, minute(last)?);
    if first == 24 * 60 {
        return Err(bad("a time cannot begin at `24:00`".into()).help("write `00:00`"));
    }
    if first == last {
        return Err(bad(format!("`{}` is no time at all", shown(text))).help("leave the times out for the whole day"));
    }
    Ok((first, last))
}
