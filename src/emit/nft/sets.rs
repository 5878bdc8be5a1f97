//! Sets and maps with names, and the keys that are looked up in them.

use super::matches::port_range;
use super::{TABLE, UNUSABLE_TEXT, Writer, safe, write};
use crate::net::Family;
use crate::netfilter::{Rule, SetField, SetValue, Verdict};

/// Sources that a limit remembers at most, and how long.
pub(super) const REMEMBERED: &str = "size 65535; flags dynamic,timeout; timeout ";

impl<'a, 's> Writer<'a, 's> {
    /// The set that keeps a counter for each source. Equal names share their state; each family has its own.
    pub(super) fn dynamic(&mut self, name: &str, word: &str, parameters: &str, family: Option<Family>) -> String {
        let six = family == Some(Family::Ipv6);
        let stem: String = name
            .trim_start_matches("fwc-")
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c))
            .collect();
        let set = format!("fwc-{word}{}-{stem}", if six { "6" } else { "4" });
        if self.named.insert(set.clone()) {
            let kind = if six { "ipv6_addr" } else { "ipv4_addr" };
            self.objects.push_str(&format!("\tset {set} {{\n\t\ttype {kind}; {parameters}\n\t}}\n"));
        }
        set
    }

    /// The set or map with exactly these elements, made if there is none yet. Its name follows from its content, so that a table
    /// that stays over a load never has another set under the same name.
    pub(super) fn named(&mut self, word: &str, kind: &str, elements: &str, what: &str) -> String {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in kind.bytes().chain(elements.bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if let Some(name) = self.known.get(&hash) {
            return name.clone();
        }
        let name = format!("fwc-{word}-{hash:016x}");
        self.objects.push_str(&format!("\t{what} {name} {{\n\t\t{kind}\n\t\telements = {{ {elements} }}\n\t}}\n"));
        self.known.insert(hash, name.clone());
        name
    }

    pub(super) fn set(&mut self, set: &crate::netfilter::Set) {
        if set.name.len() > 31 || !safe(&set.name) {
            let message = format!("`{}` cannot be the name of a set", set.name);
            self.state.fault(
                &UNUSABLE_TEXT,
                None,
                message,
                "begin it with a letter; use at most 31 letters, digits, `-` and `_`",
            );
        }
        // A set without intervals is a hash table, the quicker look-up. In a table that stays, a set keeps its kind whatever it holds.
        let interval = self.live && set.fields.iter().any(|field| *field != SetField::SourceMac)
            || set.elements.iter().flat_map(|element| element.iter()).any(is_interval);
        let mut kind = String::from("type ");
        for (at, field) in set.fields.iter().enumerate() {
            if at > 0 {
                kind.push_str(" . ");
            }
            kind.push_str(field_type(*field, set.family));
        }
        kind.push(';');
        if interval {
            kind.push_str(if set.live { " flags interval,timeout;" } else { " flags interval;" });
        } else if set.live {
            kind.push_str(" flags timeout;");
        }
        let elements = joined(&set.elements, |out, element| {
            for (at, value) in element.iter().enumerate() {
                if at > 0 {
                    out.push_str(" . ");
                }
                set_value(out, value, set.fields.get(at).copied());
            }
        });
        self.objects.push_str("\tset ");
        self.objects.push_str(&set.name);
        self.objects.push_str(" {\n\t\t");
        self.objects.push_str(&kind);
        self.objects.push('\n');
        if !set.live && !elements.is_empty() {
            self.objects.push_str("\t\telements = { ");
            self.objects.push_str(&elements);
            self.objects.push_str(" }\n");
        }
        self.objects.push_str("\t}\n");
        if self.live && !set.live {
            let family = if self.bridge { "bridge" } else { "inet" };
            self.flushes.push_str(&format!("table {family} {TABLE} {{\n\tset {} {{\n\t\t{kind}\n\t}}\n}}\n", set.name));
            self.flushes.push_str(&format!("flush set {family} {TABLE} {}\n", set.name));
        }
    }

    /// Appends the packet's fields that a set or map is asked with.
    #[allow(clippy::unused_self)]
    pub(super) fn key(&self, out: &mut String, fields: &[SetField], family: Option<Family>) {
        let six = family == Some(Family::Ipv6);
        for (at, field) in fields.iter().enumerate() {
            out.push_str(if at > 0 { " . " } else { " " });
            out.push_str(match field {
                SetField::Source if six => "ip6 saddr",
                SetField::Source => "ip saddr",
                SetField::Destination if six => "ip6 daddr",
                SetField::Destination => "ip daddr",
                SetField::DestinationService => "meta l4proto . th dport",
                SetField::SourceMac => "ether saddr",
                SetField::InInterface => "iifname",
                SetField::OriginalService => "ct original proto-dst",
                SetField::OutInterface => "oifname",
                SetField::Protocol => "meta l4proto",
                SetField::SourcePort => "th sport",
                SetField::DestinationPort => "th dport",
            });
        }
    }

    pub(super) fn map(
        &mut self,
        out: &mut String,
        fields: &[SetField],
        keys: &[(Vec<SetValue>, Verdict)],
        rule: &Rule,
        family: Option<Family>,
    ) {
        self.key(out, fields, family);
        let mut elements = String::with_capacity(keys.len() * 40);
        for (at, (values, verdict)) in keys.iter().enumerate() {
            separate(&mut elements, at);
            let out = &mut elements;
            for (at, value) in values.iter().enumerate() {
                if at > 0 {
                    out.push_str(" . ");
                }
                set_value(out, value, fields.get(at).copied());
            }
            out.push_str(" :");
            self.verdict(out, verdict, rule, family);
        }
        let mut kind = String::from("type ");
        for (at, field) in fields.iter().enumerate() {
            if at > 0 {
                kind.push_str(" . ");
            }
            kind.push_str(field_type(*field, family));
        }
        let interval = keys.iter().flat_map(|(values, _)| values).any(is_interval);
        kind.push_str(if interval { " : verdict; flags interval;" } else { " : verdict;" });
        let name = self.named("map", &kind, &elements, "map");
        out.push_str(" vmap @");
        out.push_str(&name);
    }
}

/// Whether a set needs intervals to hold this.
pub(super) fn is_interval(value: &SetValue) -> bool {
    match value {
        SetValue::Address(range) => {
            let range = range.unpacked();
            range.first != range.last
        }
        SetValue::Service(_, ports) => ports.first != ports.last,
        SetValue::Mac(_) => false,
        SetValue::Interface(card) => card.prefix,
        SetValue::Protocol(_) => false,
        SetValue::Port(ports) => ports.first != ports.last,
    }
}

pub(super) fn joined<T>(list: &[T], write: impl Fn(&mut String, &T)) -> String {
    let mut out = String::with_capacity(list.len() * 24);
    for (at, one) in list.iter().enumerate() {
        separate(&mut out, at);
        write(&mut out, one);
    }
    out
}

/// What stands before element number `at`.
fn separate(out: &mut String, at: usize) {
    if at > 0 {
        // nft reads lines of any length, people do not.
        out.push_str(if at.is_multiple_of(8) { ",\n\t\t\t" } else { ", " });
    }
}

pub(super) fn field_type(field: SetField, family: Option<Family>) -> &'static str {
    match field {
        SetField::Source | SetField::Destination if family == Some(Family::Ipv6) => "ipv6_addr",
        SetField::Source | SetField::Destination => "ipv4_addr",
        SetField::DestinationService => "inet_proto . inet_service",
        SetField::SourceMac => "ether_addr",
        SetField::InInterface | SetField::OutInterface => "ifname",
        SetField::OriginalService | SetField::SourcePort | SetField::DestinationPort => "inet_service",
        SetField::Protocol => "inet_proto",
    }
}

pub(super) fn set_value(out: &mut String, value: &SetValue, field: Option<SetField>) {
    match value {
        SetValue::Address(range) => write::range(out, &range.unpacked()),
        SetValue::Service(protocol, ports) => {
            // The dialled port cannot stand in one key with its protocol: a match beside the look-up says that.
            if field != Some(SetField::OriginalService) {
                write::number(out, protocol.0);
                out.push_str(" . ");
            }
            port_range(out, ports);
        }
        SetValue::Mac(mac) => out.push_str(&mac.to_string()),
        SetValue::Protocol(protocol) => write::number(out, protocol.0),
        SetValue::Port(ports) => port_range(out, ports),
        SetValue::Interface(card) => {
            out.push('"');
            out.push_str(&card.name);
            out.push_str(if card.prefix { "*\"" } else { "\"" });
        }
    }
}
