//! The fields of a packet that rules compare, and what is known of the values that they can have.

use std::fmt;

use rustc_hash::FxHashMap;

use super::condition::Condition;
use super::cube::Cube;
use super::values::{Range, Values};
use crate::net::{Card, Family};
use crate::netfilter::{MarkChange, MarkWord};

/// A field. The order is the order in which packets are described, and in which a difference of sets is divided: what has few
/// values comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Field(pub u16);

impl Field {
    /// Connection state: 0 NEW, 1 ESTABLISHED, 2 RELATED, 3 INVALID, 4 UNTRACKED.
    pub const STATE: Self = Self(0);
    /// 0: the packet goes the way that the connection was opened; 1: it is an answer.
    pub const DIRECTION: Self = Self(1);
    /// 1: the connection's destination was translated.
    pub const TRANSLATED: Self = Self(2);
    /// 1: the connection's source was translated.
    pub const SOURCE_TRANSLATED: Self = Self(3);
    /// 1: the frame is bridged.
    pub const BRIDGED: Self = Self(4);
    /// 1: the destination is an address of this machine.
    pub const LOCAL: Self = Self(5);
    /// 1: the destination is a multicast address.
    pub const MULTICAST: Self = Self(6);
    /// 1: the destination is a broadcast address of this machine's networks.
    pub const BROADCAST: Self = Self(7);
    /// 1: the source is an address of this machine.
    pub const SOURCE_LOCAL: Self = Self(8);
    /// IP protocol.
    pub const PROTOCOL: Self = Self(9);
    /// ICMP type and code: `type << 8 | code`.
    pub const ICMP: Self = Self(10);
    /// Arrival interface, as [`name_number`].
    pub const IN_INTERFACE: Self = Self(11);
    /// Departure interface.
    pub const OUT_INTERFACE: Self = Self(12);
    /// Bridge port of arrival.
    pub const IN_PORT: Self = Self(13);
    /// Bridge port of departure.
    pub const OUT_PORT: Self = Self(14);
    /// Destination port.
    pub const DESTINATION_PORT: Self = Self(15);
    /// Port that the client dialled.
    pub const ORIGINAL_PORT: Self = Self(16);
    /// Source port.
    pub const SOURCE_PORT: Self = Self(17);
    /// Destination address.
    pub const DESTINATION: Self = Self(18);
    /// Source address.
    pub const SOURCE: Self = Self(19);
    /// Address that the client dialled.
    pub const ORIGINAL_DESTINATION: Self = Self(20);
    /// Address that the client had when it dialled.
    pub const ORIGINAL_SOURCE: Self = Self(21);
    /// Ethernet source address, 48 bits.
    pub const MAC: Self = Self(22);
    /// The first of the groups of bits of the packet's mark.
    const MARKS: u16 = 64;
    /// The first of the groups of bits of the connection's mark.
    const CONNECTION_MARKS: u16 = 96;
    /// The first of the groups of TCP flags.
    const FLAGS: u16 = 128;
    /// The first of the conditions that are true or false and not looked into.
    const CONDITIONS: u16 = 136;

    /// Whether it is a condition.
    #[must_use]
    pub fn is_condition(self) -> bool {
        self.0 >= Self::CONDITIONS
    }
}

/// A test of some bits of a word (the packet mark, the TCP flags).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bits {
    /// What they are.
    pub value: u32,
    /// Which.
    pub mask: u32,
}

/// What is known of the fields while packets of one family are reasoned about: the groups of bits, and the conditions.
///
/// Two programs that are compared share one universe, so that a condition has one field in both.
#[derive(Clone, Debug)]
pub struct Universe {
    family: Family,
    marks: Vec<u32>,
    connection_marks: Vec<u32>,
    flags: Vec<u32>,
    conditions: Vec<Condition>,
    known: FxHashMap<Condition, Field>,
}

impl Universe {
    /// For packets of a family; `masks` are those of every test and change there will be of marks and TCP flags.
    #[must_use]
    pub fn new(family: Family, masks: &Masks) -> Self {
        let division = |masks: &[u32], whole| groups(masks.iter().copied(), whole);
        Self {
            family,
            marks: division(&masks.marks, u32::MAX),
            connection_marks: division(&masks.connection_marks, u32::MAX),
            flags: division(&masks.flags, 0xff),
            conditions: Vec::new(),
            known: FxHashMap::default(),
        }
    }

    /// The family.
    #[must_use]
    pub fn family(&self) -> Family {
        self.family
    }

    /// The field of a condition, which is true or false. `None` if there are more than fit.
    pub fn field_of(&mut self, condition: Condition) -> Option<Field> {
        if let Some(field) = self.known.get(&condition) {
            return Some(*field);
        }
        let number = u16::try_from(self.conditions.len()).ok()?.checked_add(Field::CONDITIONS)?;
        self.conditions.push(condition.clone());
        self.known.insert(condition, Field(number));
        Some(Field(number))
    }

    /// The conditions, and their fields.
    pub fn conditions(&self) -> impl Iterator<Item = (Field, &Condition)> {
        (Field::CONDITIONS..).map(Field).zip(&self.conditions)
    }

    /// The condition of a field; `None` if it is another kind of field.
    #[must_use]
    pub fn condition(&self, field: Field) -> Option<&Condition> {
        let at = field.0.checked_sub(Field::CONDITIONS)?;
        self.conditions.get(usize::from(at))
    }

    /// The largest value that a field can have; the smallest is 0.
    #[must_use]
    pub fn largest(&self, field: Field) -> u128 {
        match field {
            Field::STATE => 4,
            Field::PROTOCOL => 255,
            Field::ICMP | Field::DESTINATION_PORT | Field::ORIGINAL_PORT | Field::SOURCE_PORT => 65_535,
            Field::IN_INTERFACE | Field::OUT_INTERFACE | Field::IN_PORT | Field::OUT_PORT => u128::MAX,
            Field::SOURCE | Field::DESTINATION | Field::ORIGINAL_DESTINATION | Field::ORIGINAL_SOURCE => {
                if self.family == Family::Ipv4 { u128::from(u32::MAX) } else { u128::MAX }
            }
            Field::MAC => (1 << 48) - 1,
            Field(number) if (Field::MARKS..Field::CONDITIONS).contains(&number) => {
                self.group(field).map_or(0, |(_, mask)| (1u128 << mask.count_ones()) - 1)
            }
            _ => 1,
        }
    }

    /// Every value of a field.
    #[must_use]
    pub fn all(&self, field: Field) -> Range {
        (0, self.largest(field))
    }

    /// The values of a field that are not among these.
    #[must_use]
    pub fn complement(&self, field: Field, values: &Values) -> Option<Values> {
        Values::range(self.all(field)).difference(values)
    }

    /// The word that a group of bits belongs to, and the group.
    fn group(&self, field: Field) -> Option<(Word, u32)> {
        let [marks, connection, flags, end] =
            [Field::MARKS, Field::CONNECTION_MARKS, Field::FLAGS, Field::CONDITIONS].map(usize::from);
        let number = usize::from(field.0);
        let (word, parts, first) = match number {
            _ if number >= end => return None,
            _ if number >= flags => (Word::TcpFlags, &self.flags, flags),
            _ if number >= connection => (Word::Mark(MarkWord::Connection), &self.connection_marks, connection),
            _ => (Word::Mark(MarkWord::Packet), &self.marks, marks),
        };
        Some((word, *parts.get(number.checked_sub(first)?)?))
    }

    fn mark_groups(&self, word: MarkWord) -> (&[u32], u16) {
        match word {
            MarkWord::Packet => (&self.marks, Field::MARKS),
            MarkWord::Connection => (&self.connection_marks, Field::CONNECTION_MARKS),
        }
    }

    /// What a test of a mark says of each group of its bits.
    #[must_use]
    pub fn mark(&self, word: MarkWord, test: Bits) -> Vec<(Field, u128)> {
        let (groups, first) = self.mark_groups(word);
        divide(groups, first, test)
    }

    /// Every group of bits of both marks, with the value 0.
    #[must_use]
    pub fn no_marks(&self) -> Vec<(Field, u128)> {
        let none = Bits { value: 0, mask: u32::MAX };
        let mut parts = self.mark(MarkWord::Packet, none);
        parts.extend(self.mark(MarkWord::Connection, none));
        parts
    }

    /// Whether a field is a group of bits of a mark.
    #[must_use]
    pub fn is_mark(&self, field: Field) -> bool {
        matches!(self.group(field), Some((Word::Mark(_), _)))
    }

    /// The bits of the connection's mark that a cube's packets have, each with a value that it can have.
    pub fn connection_marks<'c>(&'c self, cube: &'c Cube) -> impl Iterator<Item = (Field, Bits, &'c Values)> {
        cube.parts().iter().filter_map(|(field, values)| match self.bits(*field, values.hull().0)? {
            (Word::Mark(MarkWord::Connection), bits) => Some((*field, bits, values)),
            _ => None,
        })
    }

    /// What becomes of each group of bits that a change of a mark changes.
    #[must_use]
    pub fn changed(&self, change: MarkChange) -> Vec<(Field, Assigned)> {
        let (groups, first) = self.mark_groups(change.word);
        let (others, first_other) = self.mark_groups(change.word.other());
        let MarkChange { cleared, copied, value, .. } = change;
        let changes = |part: u32| part & (cleared | copied | value) != 0;
        let assigned = |field: Field, part: u32| {
            let flip = gather(value, part);
            if part & copied == 0 {
                return if part & cleared == part { Assigned::Value(flip) } else { Assigned::Of(field, flip) };
            }
            let other = (first_other..).zip(others).find(|(_, other)| **other == part);
            match other.filter(|_| part & copied & cleared == part) {
                Some((other, _)) => Assigned::Of(Field(other), flip),
                None => Assigned::Open,
            }
        };
        let numbered = (first..).zip(groups).filter(|(_, part)| changes(**part));
        numbered.map(|(number, part)| (Field(number), assigned(Field(number), *part))).collect()
    }

    /// What a test of the TCP flags says of each group of them.
    #[must_use]
    pub fn flags(&self, test: Bits) -> Vec<(Field, u128)> {
        divide(&self.flags, Field::FLAGS, test)
    }

    /// The bits of a word that a value of one of its groups stands for.
    #[must_use]
    pub fn bits(&self, field: Field, value: u128) -> Option<(Word, Bits)> {
        let (word, mask) = self.group(field)?;
        Some((word, Bits { value: spread(value, mask), mask }))
    }
}

/// The masks by which rules look at marks and at TCP flags, or change them.
#[derive(Clone, Debug, Default)]
pub struct Masks {
    /// Of the packet's mark.
    pub marks: Vec<u32>,
    /// Of the connection's mark.
    pub connection_marks: Vec<u32>,
    /// Of the TCP flags.
    pub flags: Vec<u32>,
}

/// A word whose bits are tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// A mark.
    Mark(MarkWord),
    /// The TCP flags.
    TcpFlags,
}

/// What a group of bits holds after rules changed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Assigned {
    /// This.
    Value(u128),
    /// What a field held when the packet came, with these bits turned round.
    Of(Field, u128),
    /// Both marks at once: not followed.
    Open,
}

impl Assigned {
    /// The same, with bits turned round.
    #[must_use]
    pub fn flipped(self, flip: u128) -> Self {
        match self {
            Self::Value(value) => Self::Value(value ^ flip),
            Self::Of(field, own) => Self::Of(field, own ^ flip),
            Self::Open => Self::Open,
        }
    }
}

/// The coarsest division of bits such that every mask is a union of parts. Bits that no mask names are in none.
fn groups(masks: impl IntoIterator<Item = u32>, whole: u32) -> Vec<u32> {
    let mut parts = vec![whole];
    let mut named = 0;
    for mask in masks {
        named |= mask;
        let inside = parts.iter().map(|part| part & mask);
        let outside = parts.iter().map(|part| part & !mask);
        parts = inside.chain(outside).filter(|part| *part != 0).collect();
    }
    parts.retain(|part| part & named != 0);
    parts.sort_unstable();
    parts
}

fn divide(parts: &[u32], first: u16, test: Bits) -> Vec<(Field, u128)> {
    let numbered = (first..).zip(parts).filter(|(_, part)| *part & test.mask != 0);
    numbered.map(|(number, part)| (Field(number), gather(test.value, *part))).collect()
}

/// The bits of `word` that `mask` names, side by side.
fn gather(word: u32, mask: u32) -> u128 {
    let bits = (0..32).filter(|bit| mask & (1 << bit) != 0);
    bits.enumerate().filter(|(_, bit)| word & (1 << bit) != 0).map(|(at, _)| 1u128 << at).sum()
}

fn spread(value: u128, mask: u32) -> u32 {
    let bits = (0..32).filter(|bit| mask & (1 << bit) != 0);
    bits.enumerate().filter(|(at, _)| value & (1 << at) != 0).map(|(_, bit)| 1u32 << bit).sum()
}

/// An interface name as a number that keeps the order of names: its bytes, and zeros behind.
#[must_use]
pub fn name_number(name: &str) -> u128 {
    let mut bytes = [0; 16];
    for (slot, byte) in bytes.iter_mut().zip(name.bytes()) {
        *slot = byte;
    }
    u128::from_be_bytes(bytes)
}

/// The numbers of all names that a card means.
#[must_use]
pub fn card_range(card: &Card) -> Range {
    let first = name_number(&card.name);
    let free = 8 * 16usize.saturating_sub(card.name.len());
    let last = if !card.prefix || free == 0 { first } else { first | (u128::MAX >> (128 - free)) };
    (first, last)
}

/// The name of a number, where it is one that an interface can have.
#[must_use]
pub fn number_name(number: u128) -> Option<String> {
    let bytes = number.to_be_bytes();
    let end = bytes.iter().position(|byte| *byte == 0)?;
    let (name, rest) = bytes.split_at(end);
    let usable = !name.is_empty() && name.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'/');
    (usable && rest.iter().all(|byte| *byte == 0)).then(|| String::from_utf8_lossy(name).into_owned())
}

/// The first name that an interface can have among these numbers.
#[must_use]
pub fn name_among(first: u128, last: u128) -> Option<String> {
    let bytes = first.to_be_bytes();
    let mut found: Option<u128> = None;
    let mut consider = |bytes: [u8; 16]| {
        let number = u128::from_be_bytes(bytes);
        if (first..=last).contains(&number) && number_name(number).is_some() && found.is_none_or(|known| number < known)
        {
            found = Some(number);
        }
    };
    // The next name in order begins as the first number does, and then has a larger letter, or one more.
    for length in 0..15usize {
        let mut begin = [0u8; 16];
        for (slot, byte) in begin.iter_mut().zip(bytes.iter().take(length)) {
            *slot = *byte;
        }
        consider(begin);
        let above = bytes.get(length).copied().unwrap_or(0);
        for letter in [above.max(b'!'), above.saturating_add(1).max(b'!'), above.saturating_add(2).max(b'!')] {
            let mut next = begin;
            if let Some(slot) = next.get_mut(length) {
                *slot = letter;
            }
            consider(next);
        }
    }
    found.and_then(number_name)
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Self::STATE => "state",
            Self::DIRECTION => "direction",
            Self::TRANSLATED => "destination translated",
            Self::SOURCE_TRANSLATED => "source translated",
            Self::BRIDGED => "bridged",
            Self::LOCAL => "local destination",
            Self::MULTICAST => "multicast destination",
            Self::BROADCAST => "broadcast destination",
            Self::SOURCE_LOCAL => "local source",
            Self::PROTOCOL => "protocol",
            Self::ICMP => "icmp type",
            Self::IN_INTERFACE => "arrival interface",
            Self::OUT_INTERFACE => "departure interface",
            Self::IN_PORT => "bridge port of arrival",
            Self::OUT_PORT => "bridge port of departure",
            Self::DESTINATION_PORT => "destination port",
            Self::ORIGINAL_PORT => "dialled port",
            Self::SOURCE_PORT => "source port",
            Self::DESTINATION => "destination",
            Self::SOURCE => "source",
            Self::ORIGINAL_DESTINATION => "dialled address",
            Self::ORIGINAL_SOURCE => "original source",
            Self::MAC => "source MAC",
            Self(number) if number >= Self::CONDITIONS => "condition",
            Self(number) if number >= Self::FLAGS => "tcp flags",
            Self(number) if number >= Self::CONNECTION_MARKS => "connection mark",
            _ => "mark",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_divide_the_bits_as_coarsely_as_they_can() {
        assert_eq!(groups([0xffff_ffff], u32::MAX), [0xffff_ffff]);
        assert_eq!(groups([0x3000_0000, 0x1000_0000], u32::MAX), [0x1000_0000, 0x2000_0000]);
        let universe = Universe::new(Family::Ipv4, &Masks { marks: vec![0xff, 0x0f], ..Masks::default() });
        let parts = universe.mark(MarkWord::Packet, Bits { value: 0x25, mask: 0xff });
        assert_eq!(parts.iter().map(|(_, value)| *value).collect::<Vec<_>>(), [5, 2]);
        let back = parts.iter().filter_map(|(field, value)| universe.bits(*field, *value)).map(|(_, bits)| bits.value);
        assert_eq!(back.sum::<u32>(), 0x25);
    }

    #[test]
    fn names_keep_their_order_and_prefixes_are_ranges() {
        let (first, last) = card_range(&Card::parse("br-+"));
        assert!((first..=last).contains(&name_number("br-")));
        assert!((first..=last).contains(&name_number("br-0123456789ab")));
        assert!(!(first..=last).contains(&name_number("br")));
        assert_eq!(number_name(name_number("eth0")).as_deref(), Some("eth0"));
        assert_eq!(number_name(name_number("")), None);
    }
}
