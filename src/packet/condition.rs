//! What rules ask of a packet that none of its fields shows: how many came before, the time, who owns the socket, what others have put
//! into a set, and matches that are not modelled. Values, so that whoever reasons about one asks of which kind it is; words are made of
//! them where they are printed.

use std::fmt;
use std::sync::Arc;

use thin_vec::ThinVec;

use super::field::Bits;
use crate::net::Hours;
use crate::netfilter::SetField;

/// A condition. Equal conditions have the same answer for the same packet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// A counter says yes.
    Counted(Question),
    /// It is one of these times.
    Time(Hours),
    /// This user owns the local socket.
    User(Arc<str>),
    /// These fields of the packet are in a set that others fill.
    Member {
        /// The set.
        set: Arc<str>,
        /// The fields.
        fields: ThinVec<SetField>,
    },
    /// These bits of the connection's mark, since others than the rules at hand set it.
    ConnectionMark(Bits),
    /// A match that is not modelled holds: its exact text.
    Unmodelled(Arc<str>),
    /// A verdict that is not modelled decides, rather than let the packet go on: its exact text.
    Decides(Arc<str>),
}

/// A question to a counter. Its answer depends on what was asked before, so that the same packet may get another one the next time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// The counter.
    pub counter: Counter,
    /// Which of the questions that one packet can put to it, from 1.
    pub number: u32,
}

/// Something that counts packets or connections.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Counter {
    /// Says yes while there were at most so many in a time.
    Limit {
        /// How many.
        count: u32,
        /// In how many seconds.
        seconds: u32,
        /// How many may come at once.
        burst: u32,
        /// Prefix length by which sources are told apart; `None`: all together.
        source_prefix: Option<u8>,
        /// What tells it from others of its rate.
        name: CounterName,
    },
    /// Says yes when more than so many connections are open.
    Connections {
        /// How many.
        above: u32,
        /// Prefix length by which sources are told apart; 0: all together.
        source_prefix: u8,
        /// What tells it from others of its size.
        name: CounterName,
    },
    /// A match that counts and is not modelled further: its exact text.
    Unmodelled(Arc<str>),
}

/// What tells counters of one rate apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CounterName {
    /// It is known by its rate and by what is asked of it alone.
    Unnamed,
    /// The name that its rule set gives it.
    Own(Arc<str>),
    /// The name that the second of two compared rule sets gives it, where the first has another counter of that name.
    OfSecond(Arc<str>),
    /// The one that a chain asks of those of its rate, from 1.
    AskedIn {
        /// The chain.
        chain: Arc<str>,
        /// Which.
        number: u32,
    },
}

impl Condition {
    /// Whether it is known what it means, so that packets of both answers can come. What a match that is not modelled says of a packet is
    /// not known: it may say the same of all.
    #[must_use]
    pub fn is_modelled(&self) -> bool {
        match self {
            Self::Counted(question) => !matches!(question.counter, Counter::Unmodelled(_)),
            Self::Time(_) | Self::User(_) | Self::Member { .. } => true,
            Self::ConnectionMark(_) | Self::Unmodelled(_) | Self::Decides(_) => false,
        }
    }
}

impl Counter {
    /// How much it lets through, in words: `10/minute per source`, `20 connections`.
    #[must_use]
    pub fn amount(&self) -> String {
        match self {
            Self::Limit { count, seconds, source_prefix, .. } => {
                let unit = match seconds {
                    1 => "second".to_owned(),
                    60 => "minute".to_owned(),
                    3600 => "hour".to_owned(),
                    86_400 => "day".to_owned(),
                    other => format!("{other} s"),
                };
                format!("{count}/{unit}{}", per(*source_prefix))
            }
            Self::Connections { above, source_prefix, .. } => {
                format!("{above} connections{}", per(Some(*source_prefix)))
            }
            Self::Unmodelled(text) => text.to_string(),
        }
    }

    fn name(&self) -> &CounterName {
        match self {
            Self::Limit { name, .. } | Self::Connections { name, .. } => name,
            Self::Unmodelled(_) => &CounterName::Unnamed,
        }
    }
}

/// By what sources are told apart.
fn per(source_prefix: Option<u8>) -> String {
    match source_prefix {
        None | Some(0) => String::new(),
        Some(32 | 64 | 128) => " per source".to_owned(),
        Some(prefix) => format!(" per /{prefix} of sources"),
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Counted(question) => question.fmt(f),
            Self::Time(hours) => write!(f, "time {hours}"),
            Self::User(user) => write!(f, "user {user}"),
            Self::Member { set, fields } => {
                let fields: Vec<String> = fields.iter().map(ToString::to_string).collect();
                write!(f, "{} in set {set}", fields.join(" and "))
            }
            Self::ConnectionMark(bits) => write!(f, "connection mark {:#x}/{:#x}", bits.value, bits.mask),
            Self::Unmodelled(text) => f.write_str(text),
            Self::Decides(text) => write!(f, "{text} decides"),
        }
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.counter.fmt(f)?;
        if self.number > 1 { write!(f, ", asked {} times", self.number) } else { Ok(()) }
    }
}

impl fmt::Display for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit { burst, .. } => write!(f, "limit {} burst {burst}", self.amount())?,
            Self::Connections { .. } => write!(f, "more than {}", self.amount())?,
            Self::Unmodelled(text) => f.write_str(text)?,
        }
        match self.name() {
            CounterName::Unnamed => Ok(()),
            CounterName::Own(name) if name.is_empty() => Ok(()),
            CounterName::Own(name) => write!(f, ", counter {name}"),
            CounterName::OfSecond(name) => write!(f, ", the second's counter {name}"),
            CounterName::AskedIn { chain, number } => write!(f, ", counter {number} of {chain}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_said_shortly() {
        let limit = |source_prefix| Counter::Limit {
            count: 10,
            seconds: 60,
            burst: 5,
            source_prefix,
            name: CounterName::Own("fwc-1i".into()),
        };
        assert_eq!(limit(None).amount(), "10/minute");
        assert_eq!(limit(Some(64)).amount(), "10/minute per source");
        assert_eq!(limit(Some(24)).to_string(), "limit 10/minute per /24 of sources burst 5, counter fwc-1i");
    }

    #[test]
    fn what_is_not_modelled_is_so_whatever_its_text_says() {
        assert!(Condition::Time(Hours { days: 1, times: None }).is_modelled());
        for text in ["time > \"2020-01-01 00:00:00\"", "owner www", "x: limit 10/60 s burst 5"] {
            assert!(!Condition::Unmodelled(text.into()).is_modelled(), "{text}");
            let counter = Counter::Unmodelled(text.into());
            assert!(!Condition::Counted(Question { counter, number: 1 }).is_modelled(), "{text}");
        }
    }
}
