//! Times of the day and the week.

use std::fmt;

/// Names of the days of the week, in the order of the bits of [`Hours::days`].
pub const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// The days of the week by the first three letters of their names, as iptables writes them.
pub const SHORT_DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// The bit of a day of the week, by its whole name or by three letters of it or more, however they are capitalised.
#[must_use]
pub fn day(name: &str) -> Option<usize> {
    let begins =
        |day: &str| name.len() >= 3 && day.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    DAYS.iter().position(|day| begins(day))
}

/// Times of the day on days of the week, by the kernel's local clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hours {
    /// Days of the week; Monday is bit 0.
    pub days: u8,
    /// Minutes of the day, from and to; if the end is before the start, the night from the one to the other. `None`: all day.
    pub times: Option<(u16, u16)>,
}

impl Hours {
    /// Every day of the week.
    pub const EVERY_DAY: u8 = 0x7f;

    /// Whether a minute of a day is one of them.
    #[must_use]
    pub fn contain(&self, day: u8, minute: u16) -> bool {
        let at_that_time = match self.times {
            None => true,
            Some((from, to)) if from <= to => (from..to).contains(&minute),
            Some((from, to)) => minute >= from || minute < to,
        };
        self.days & (1 << day) != 0 && at_that_time
    }

    /// Whether there is a minute that is in all of these of which it is so said, and in none of the others.
    pub fn some_minute<'h>(all: impl IntoIterator<Item = (&'h Self, bool)>) -> bool {
        let all: Vec<_> = all.into_iter().collect();
        // What is so at any minute is so at the first of the day, or at one at which something begins or ends.
        let ends = all.iter().filter_map(|(hours, _)| hours.times).flat_map(|(from, to)| [from, to]);
        let minutes: Vec<u16> = std::iter::once(0).chain(ends.filter(|minute| *minute < 24 * 60)).collect();
        (0..7).any(|day| {
            minutes.iter().any(|minute| all.iter().all(|(hours, within)| hours.contain(day, *minute) == *within))
        })
    }
}

/// `Mon, Tue, 08:00 to 18:00`.
impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = SHORT_DAYS.iter().enumerate().filter(|(bit, _)| self.days & (1 << bit) != 0).map(|(_, name)| *name);
        let named: Vec<&str> = named.collect();
        let every = named.len() == DAYS.len() || named.is_empty();
        if !every {
            f.write_str(&named.join(", "))?;
        }
        match self.times {
            Some((from, to)) => {
                let comma = if every { "" } else { ", " };
                write!(f, "{comma}{:02}:{:02} to {:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
            }
            None if every => f.write_str("at times"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_said_shortly() {
        let said = |days, times| Hours { days, times }.to_string();
        assert_eq!(said(0b001_1111, Some((480, 1080))), "Mon, Tue, Wed, Thu, Fri, 08:00 to 18:00");
        assert_eq!(said(0x7f, Some((0, 1440))), "00:00 to 24:00");
        assert_eq!(said(0b110_0000, None), "Sat, Sun");
    }

    #[test]
    fn days_are_known_by_their_first_letters() {
        assert!(DAYS.iter().zip(SHORT_DAYS).all(|(whole, short)| whole.starts_with(short)));
        assert_eq!(
            (day("mon"), day("Thurs"), day("sunday"), day("su"), day("mondays")),
            (Some(0), Some(3), Some(6), None, None)
        );
    }

    #[test]
    fn a_minute_is_found_if_there_is_one() {
        let day = Hours { days: 0x7f, times: Some((480, 1080)) };
        let night = Hours { days: 0x7f, times: Some((1080, 480)) };
        let weekend = Hours { days: 0b110_0000, times: None };
        assert!(!Hours::some_minute([(&day, true), (&night, true)]));
        assert!(!Hours::some_minute([(&day, false), (&night, false)]));
        assert!(Hours::some_minute([(&day, true), (&weekend, true)]));
        assert!(Hours::some_minute([(&day, false), (&weekend, false)]));
        assert!(!Hours::some_minute([(&Hours { days: 0x7f, times: None }, false)]));
    }
}
