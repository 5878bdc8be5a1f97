//! What the kernel counted for a rule, as its listing says. The netfilter form has no room for it, since it decides nothing about packets: it
//! is read from the rule's own text by who asks for it.

use std::fmt;

use super::nft::counters;
use super::{Form, scan};

/// Packets that matched a rule, and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// How many.
    pub packets: u64,
    /// Of what size together.
    pub bytes: u64,
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |number: u64| if number == 1 { "" } else { "s" };
        let (packets, bytes) = (grouped(self.packets), grouped(self.bytes));
        write!(f, "{packets} packet{}, {bytes} byte{}", plural(self.packets), plural(self.bytes))
    }
}

/// A number with a comma before every three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The counts in the text of one rule of a listing, in their order: `[12:720] -A …`, `-A … -c 12 720 …`, `… counter packets 12 bytes 720 …`, or
/// an object of `nft -j`. Only a rule of nft can have several. Counters with names and those of a set's members are not the rule's.
#[must_use]
pub fn counts(text: &str, form: Form) -> Vec<Count> {
    match form {
        Form::Iptables(_) => iptables(text).into_iter().collect(),
        Form::Nft => counters(text),
        Form::NftJson => nft_json(text).unwrap_or_default(),
        Form::Ipset | Form::Script => Vec::new(),
    }
}

fn iptables(line: &str) -> Option<Count> {
    let mut words = Vec::new();
    scan::words(line, &mut words).ok()?;
    let count = |packets: &str, bytes: &str| Some(Count { packets: packets.parse().ok()?, bytes: bytes.parse().ok()? });
    let first = words.first().filter(|word| !word.quoted)?;
    if let Some(inside) = first.text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        let (packets, bytes) = inside.split_once(':')?;
        return count(packets, bytes);
    }
    let at = words.iter().position(|word| !word.quoted && matches!(word.text, "-c" | "--set-counters"))?;
    count(words.get(at + 1)?.text, words.get(at + 2)?.text)
}

fn nft_json(text: &str) -> Option<Vec<Count>> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    let counters = value.pointer("/rule/expr")?.as_array()?.iter().filter_map(|part| part.get("counter"));
    let count = |one: &serde_json::Value| {
        Some(Count { packets: one.get("packets")?.as_u64()?, bytes: one.get("bytes")?.as_u64()? })
    };
    Some(counters.filter_map(count).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str, form: Form) -> Vec<String> {
        counts(text, form).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_form_says_what_was_counted() {
        let iptables = Form::Iptables(None);
        assert_eq!(said("[12:1720] -A INPUT -j DROP", iptables), ["12 packets, 1,720 bytes"]);
        assert_eq!(said("-A INPUT -p tcp -c 1234567 1 -j DROP", iptables), ["1,234,567 packets, 1 byte"]);
        assert_eq!(said("[1:60] -A INPUT -j DROP", iptables), ["1 packet, 60 bytes"]);
        let nft = "tcp dport 22 counter packets 5 bytes 300 accept";
        assert_eq!(said(nft, Form::Nft), ["5 packets, 300 bytes"]);
        let twice = "counter packets 9 bytes 999 limit rate 1/second counter packets 5 bytes 300 accept";
        assert_eq!(said(twice, Form::Nft), ["9 packets, 999 bytes", "5 packets, 300 bytes"]);
        let json = r#"{ "rule": { "handle": 4, "expr": [{ "counter": { "packets": 5, "bytes": 300 } }, { "accept": null }] } }"#;
        assert_eq!(said(json, Form::NftJson), ["5 packets, 300 bytes"]);
        let most = format!("[{0}:{0}] -A INPUT -j DROP", u64::MAX);
        assert_eq!(said(&most, iptables), ["18,446,744,073,709,551,615 packets, 18,446,744,073,709,551,615 bytes"]);
    }

    #[test]
    fn what_is_no_counter_of_the_rule_is_not_taken_for_one() {
        let iptables = Form::Iptables(None);
        for text in [
            "-A INPUT -j DROP",
            "[12] -A INPUT -j DROP",
            "[a:b] -A INPUT -j DROP",
            "[12:99999999999999999999] -A INPUT -j DROP",
            "-A INPUT -m comment --comment \"-c 1 2\" -j DROP",
            "-A INPUT -c 1",
            "",
        ] {
            assert_eq!(said(text, iptables), [""; 0], "{text}");
        }
        for text in [
            "counter accept",
            "counter name \"http\" accept",
            "accept comment \"counter packets 5 bytes 300\"",
            "ip saddr { 192.0.2.1 counter packets 5 bytes 300, 192.0.2.2 counter packets 0 bytes 0 } accept",
            "counter packets 5 accept",
        ] {
            assert_eq!(said(text, Form::Nft), [""; 0], "{text}");
        }
        for text in [r#"{ "rule": { "expr": [{ "counter": "http" }, { "counter": null }] } }"#, "{", "[]"] {
            assert_eq!(said(text, Form::NftJson), [""; 0], "{text}");
        }
    }
}
