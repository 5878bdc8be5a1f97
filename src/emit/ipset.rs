//! Sets beside iptables: the `ipset restore` file.
//!
//! A set is filled under another name and then swapped with the one that rules look into (`ipset swap` is one step in the kernel), so that
//! no packet meets a half-filled list while the file is loaded, and members of an earlier build are gone afterwards. A live
//! set is made if absent and its members are left alone.

use std::fmt::Write as _;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::{NOT_IN_BACK_END, State, write};
use crate::net::{AddressRange, Family, PortRange};
use crate::netfilter::{Ruleset, Set, SetField, SetValue, TableFamily};

/// Members that a set can hold; it takes no memory until there are so many. The kernel refuses to make a set again under the same
/// name with another bound (`mtype_same_set`), so that it must not follow the number of members.
const BOUND: usize = 1 << 20;

/// All sets of a build.
#[derive(Default)]
pub(super) struct Sets {
    entries: Vec<Entry>,
    known: FxHashMap<(u64, &'static str, Option<Family>), String>,
    /// Family of each set of the rule set, by its name.
    pub(super) families: FxHashMap<Arc<str>, Option<Family>>,
}

struct Entry {
    name: String,
    kind: &'static str,
    family: Option<Family>,
    members: Members,
    live: bool,
}

/// The members of a set, in words.
#[derive(Default)]
struct Members {
    /// Each with a line feed behind it: a list may be long, and needs no room beside what is written.
    lines: String,
    count: usize,
}

impl Members {
    fn push(&mut self, member: &str) {
        self.lines.push_str(member);
        self.lines.push('\n');
        self.count += 1;
    }
}

impl Sets {
    /// The sets that the rule set declares.
    pub(super) fn declared(ruleset: &Ruleset, state: &mut State) -> Self {
        let mut sets = Self::default();
        for set in
            ruleset.tables.iter().filter(|table| table.family != TableFamily::Bridge).flat_map(|table| &table.sets)
        {
            if sets.families.insert(set.name.clone(), set.family).is_some() {
                continue;
            }
            if set.name.len() > 31 || !write_safe(&set.name) {
                let message = format!("`{}` cannot be the name of a set", set.name);
                state.fault(&super::UNUSABLE_TEXT, None, message, "use at most 31 letters, digits, `-`, `_` and `.`");
            }
            match kind(&set.fields) {
                Some(kind) => sets.entries.push(Entry {
                    name: set.name.to_string(),
                    kind,
                    family: set.family,
                    members: members(set),
                    live: set.live,
                }),
                None => {
                    let message = format!("ipset has no type for the set `{}`", set.name);
                    state.fault(&NOT_IN_BACK_END, None, message, "choose the nft target, whose sets take every field");
                }
            }
        }
        sets
    }

    /// The set that holds exactly these addresses, all of `family`.
    pub(super) fn addresses(&mut self, family: Family, ranges: &[AddressRange]) -> &str {
        let mut members = Members::default();
        for range in ranges {
            push_nets(range, &mut |net| members.push(net));
        }
        self.generated("net", "hash:net", Some(family), members)
    }

    /// The set that holds exactly these ports, whatever the protocol: the rule says that.
    pub(super) fn ports(&mut self, ranges: &[PortRange]) -> &str {
        let mut members = Members::default();
        ranges.iter().for_each(|range| members.push(&range.to_string()));
        self.generated("port", "bitmap:port range 0-65535", None, members)
    }

    /// A set whose name follows from its members: rules of an earlier build keep the set that they were made for.
    fn generated(&mut self, word: &str, kind: &'static str, family: Option<Family>, members: Members) -> &str {
        // FNV-1a: the name has to be the same on every machine and with every release.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in members.lines.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        let entries = &mut self.entries;
        self.known.entry((hash, kind, family)).or_insert_with(|| {
            let digit = match family {
                Some(Family::Ipv4) => "4",
                Some(Family::Ipv6) => "6",
                None => "",
            };
            let name = format!("fwc-{word}{digit}-{hash:016x}");
            entries.push(Entry { name: name.clone(), kind, family, members, live: false });
            name
        })
    }

    /// Whether there is nothing to write.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Writes what makes and fills the sets.
    pub(super) fn write(&self, out: &mut String) {
        let room = |entry: &Entry| 200 + entry.members.lines.len() + entry.members.count * 24;
        out.reserve_exact(self.entries.iter().map(room).sum());
        for entry in &self.entries {
            let parameters = |out: &mut String| {
                out.push_str(entry.kind);
                match entry.family {
                    Some(Family::Ipv4) => out.push_str(" family inet"),
                    Some(Family::Ipv6) => out.push_str(" family inet6"),
                    None => {}
                }
                if entry.live {
                    // Whoever fills it may give its members a time to live.
                    out.push_str(" timeout 0");
                }
                if entry.kind.starts_with("hash") {
                    // Writing to a String cannot fail.
                    let _ = write!(out, " maxelem {}", entry.members.count.max(BOUND).next_power_of_two());
                }
                out.push_str(" -exist\n");
            };
            let _ = write!(out, "create {} ", entry.name);
            parameters(out);
            if entry.live {
                continue;
            }
            // One spare name for each type: a spare that a broken load left behind then always fits.
            let digit = if entry.family == Some(Family::Ipv6) { "6" } else { "" };
            let word: String = entry.kind.split(' ').next().unwrap_or("").replace([':', ','], "-");
            let spare = format!("fwc-new-{word}{digit}");
            let _ = write!(out, "create {spare} ");
            parameters(out);
            let _ = writeln!(out, "flush {spare}");
            for member in entry.members.lines.lines() {
                out.push_str("add ");
                out.push_str(&spare);
                out.push(' ');
                out.push_str(member);
                out.push('\n');
            }
            let _ = writeln!(out, "swap {spare} {}\ndestroy {spare}", entry.name);
        }
    }
}

/// Whether a name needs no quoting anywhere.
pub(super) fn write_safe(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('-')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte))
}

/// The ipset type whose fields, in this order, are `fields`. It follows from the fields alone and never from the members, for a
/// set cannot change its type while rules look into it.
fn kind(fields: &[SetField]) -> Option<&'static str> {
    use SetField::{Destination, DestinationService, InInterface, Source, SourceMac};
    Some(match fields {
        [Source | Destination] => "hash:net",
        [Source | Destination, DestinationService] => "hash:net,port",
        [Source, Destination] | [Destination, Source] => "hash:net,net",
        [Source, DestinationService, Destination] | [Destination, DestinationService, Source] => "hash:net,port,net",
        [SourceMac] => "hash:mac",
        [Source | Destination, SourceMac] => "hash:ip,mac",
        [Source | Destination, InInterface] => "hash:net,iface",
        _ => return None,
    })
}

/// The flags with which a rule looks packets up in a set of these fields.
pub(super) fn flags(fields: &[SetField]) -> String {
    let mut out = String::new();
    for field in fields {
        if !out.is_empty() {
            out.push(',');
        }
        out.push_str(match field {
            SetField::Source | SetField::SourceMac | SetField::InInterface | SetField::SourcePort => "src",
            SetField::Destination
            | SetField::DestinationService
            | SetField::OriginalService
            | SetField::OutInterface
            | SetField::Protocol
            | SetField::DestinationPort => "dst",
        });
    }
    out
}

fn members(set: &Set) -> Members {
    let mut seen: FxHashSet<&[SetValue]> = FxHashSet::default();
    let mut ordered = Members::default();
    let mut word = String::with_capacity(60);
    for element in set.elements.iter().filter(|element| seen.insert(element)) {
        if only_member(element, &mut word).is_some() {
            ordered.push(&word);
            continue;
        }
        // A range that is no prefix becomes several members, in every field that has one.
        let mut words: Vec<String> = vec![String::new()];
        for value in element {
            let mut alternatives: Vec<String> = Vec::new();
            match value {
                SetValue::Address(range) => push_nets(&range.unpacked(), &mut |net| alternatives.push(net.to_owned())),
                SetValue::Service(protocol, ports) => alternatives.push(format!("{}:{ports}", protocol.0)),
                SetValue::Mac(mac) => alternatives.push(mac.to_string()),
                SetValue::Interface(card) => alternatives.push(card.name.clone()),
                // No type that `kind` gives has these.
                SetValue::Protocol(protocol) => alternatives.push(protocol.0.to_string()),
                SetValue::Port(ports) => alternatives.push(ports.to_string()),
            }
            words = words
                .iter()
                .flat_map(|word| {
                    alternatives.iter().map(
                        move |next| {
                            if word.is_empty() { next.clone() } else { format!("{word},{next}") }
                        },
                    )
                })
                .collect();
        }
        words.iter().for_each(|word| ordered.push(word));
    }
    ordered
}

/// The member of an element that comes to one alone; most do. None for the others.
fn only_member(element: &[SetValue], word: &mut String) -> Option<()> {
    word.clear();
    for value in element {
        if !word.is_empty() {
            word.push(',');
        }
        match value {
            SetValue::Address(range) => {
                let range = &range.unpacked();
                write::prefix_length(range).filter(|length| *length > 0)?;
                write::range(word, range);
            }
            SetValue::Service(protocol, ports) => {
                // Writing to a String cannot fail.
                let _ = write!(word, "{}:{ports}", protocol.0);
            }
            SetValue::Mac(mac) => {
                let _ = write!(word, "{mac}");
            }
            SetValue::Interface(card) => word.push_str(&card.name),
            // No type that `kind` gives has these.
            SetValue::Protocol(_) | SetValue::Port(_) => return None,
        }
    }
    Some(())
}

/// Gives each prefix of a range. ipset's `net` takes no prefix of length 0 (it is written as its halves) and, in IPv6, no range.
fn push_nets(range: &AddressRange, give: &mut impl FnMut(&str)) {
    let mut word = String::with_capacity(20);
    match write::prefix_length(range) {
        Some(0) => match range.family() {
            Family::Ipv4 => ["0.0.0.0/1", "128.0.0.0/1"].into_iter().for_each(give),
            Family::Ipv6 => ["::/1", "8000::/1"].into_iter().for_each(give),
        },
        Some(_) => {
            write::range(&mut word, range);
            give(&word);
        }
        None => {
            for net in range.prefixes() {
                word.clear();
                let _ = write!(word, "{net}");
                give(&word);
            }
        }
    }
}
