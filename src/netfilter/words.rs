//! Netfilter's own words, as a `chain` block has them: cut into words, and an iptables rule's words into its options. What
//! is not known here is kept and named, never passed over.

use std::ops::Range;
use std::sync::LazyLock;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::restrictions;
use crate::net::Family;

/// A letter of a log prefix or comment as it is written between quotation marks. nft knows no escapes there, so that marks, backslashes and
/// control characters are replaced; iptables would take escapes, but one text for both is easier to search for.
#[must_use]
pub fn quotable(letter: char) -> char {
    match letter {
        '"' => '\'',
        '\\' => '/',
        letter if letter.is_control() => ' ',
        letter => letter,
    }
}

/// A word of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word<'t> {
    /// The word without its quotation marks.
    pub text: &'t str,
    /// Where it first is in the line, quotation marks included.
    pub start: usize,
    /// One past its last byte.
    pub end: usize,
    /// Whether it stood in quotation marks.
    pub quoted: bool,
}

impl Word<'_> {
    /// Its bytes in the line.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.start..self.end
    }
}

/// Cuts a line at white space; what stands in quotation marks is one word.
#[must_use]
pub fn words(line: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(rest) = line.get(at..) {
        let skipped = rest.len() - rest.trim_start().len();
        at += skipped;
        let Some(rest) = line.get(at..).filter(|rest| !rest.is_empty()) else { break };
        if let Some(inner) = rest.strip_prefix('"') {
            let length = inner.find('"').unwrap_or(inner.len());
            let end = (at + length + 2).min(line.len());
            words.push(Word { text: inner.get(..length).unwrap_or_default(), start: at, end, quoted: true });
            at = end;
        } else {
            let length = rest.find(char::is_whitespace).unwrap_or(rest.len());
            words.push(Word {
                text: rest.get(..length).unwrap_or_default(),
                start: at,
                end: at + length,
                quoted: false,
            });
            at += length;
        }
    }
    words
}

/// Whether a line is written as iptables takes rules (`-p tcp -j ACCEPT`); nft's statements never begin so.
#[must_use]
pub fn is_iptables(line: &str) -> bool {
    line.trim_start().starts_with(['-', '!'])
}

/// An option of an iptables rule, with its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleOption<'t> {
    /// `!` in front.
    pub negated: bool,
    /// The option as iptables lists it: the long or the usual short form of its synonyms (`-s`, `--dport`).
    pub name: &'static str,
    /// As it is written.
    pub flag: Word<'t>,
    /// What follows it.
    pub values: SmallVec<[Word<'t>; 2]>,
}

impl<'t> RuleOption<'t> {
    /// Its first value; empty if it has none.
    #[must_use]
    pub fn value(&self) -> &'t str {
        self.values.first().map_or("", |word| word.text)
    }

    /// From its flag to its last value.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.flag.start..self.values.last().unwrap_or(&self.flag).end
    }
}

/// An iptables rule, as far as its words are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IptablesRule<'t> {
    /// Options, in order.
    pub options: Vec<RuleOption<'t>>,
    /// Words that no option takes, and options that are not known.
    pub unread: Vec<Word<'t>>,
}

impl<'t> IptablesRule<'t> {
    /// Reads the words of a rule, from behind `-A CHAIN`.
    #[must_use]
    pub fn read(line: &'t str) -> Self {
        let mut rule = Self::default();
        let words = words(line);
        let mut rest = words.iter().copied().peekable();
        let mut negated = false;
        while let Some(word) = rest.next() {
            if word.text == "!" && !word.quoted {
                negated = true;
                continue;
            }
            let known = if word.quoted { None } else { KNOWN.get(word.text) };
            let Some((name, count)) = known else {
                rule.unread.push(word);
                // The values of an unknown option are part of it.
                while word.text.starts_with('-') && rest.peek().is_some_and(|next| !next.text.starts_with(['-', '!'])) {
                    rest.next();
                }
                negated = false;
                continue;
            };
            let mut values = SmallVec::new();
            while values.len() < *count {
                // `--dport ! 22`, as old versions took it.
                if rest.peek().is_some_and(|next| next.text == "!" && !next.quoted) {
                    negated = true;
                    rest.next();
                    continue;
                }
                let Some(value) = rest.next() else { break };
                values.push(value);
            }
            let name = *name;
            rule.options.push(RuleOption { negated, name, flag: word, values });
            negated = false;
        }
        rule
    }

    /// The first option of this name.
    #[must_use]
    pub fn option(&self, name: &str) -> Option<&RuleOption<'t>> {
        self.options.iter().find(|option| option.name == name)
    }

    /// Whether a match module is asked for.
    #[must_use]
    pub fn module(&self, name: &str) -> bool {
        self.options.iter().any(|option| option.name == "-m" && option.value() == name)
    }

    /// The protocol that it asks for, if it asks for one.
    #[must_use]
    pub fn protocol(&self) -> Option<&'t str> {
        self.option("-p").filter(|option| !option.negated).map(RuleOption::value)
    }

    /// The target that it jumps or goes to.
    #[must_use]
    pub fn target(&self) -> Option<&RuleOption<'t>> {
        self.option("-j").or_else(|| self.option("-g"))
    }

    /// Whether nothing is asked of a packet. A comment asks nothing.
    #[must_use]
    pub fn matches_everything(&self) -> bool {
        self.unread.is_empty()
            && self.options.iter().all(|option| match option.name {
                "-j" | "-g" | "--comment" => true,
                "-m" => option.value() == "comment",
                name => TARGET_OPTIONS.contains(&name),
            })
    }
}

/// Options by their names, the usual one first, and how many words follow. From the manual pages of iptables 1.8.9 and
/// iptables-extensions.
const OPTIONS: &[(&[&str], usize)] = &[
    (&["-p", "--protocol", "--proto"], 1),
    (&["-s", "--source", "--src"], 1),
    (&["-d", "--destination", "--dst"], 1),
    (&["-i", "--in-interface"], 1),
    (&["-o", "--out-interface"], 1),
    (&["-j", "--jump"], 1),
    (&["-g", "--goto"], 1),
    (&["-m", "--match"], 1),
    (&["-f", "--fragment"], 0),
    (&["-4", "--ipv4"], 0),
    (&["-6", "--ipv6"], 0),
    (&["-c", "--set-counters"], 2),
    (&["--dport", "--destination-port"], 1),
    (&["--sport", "--source-port"], 1),
    (&["--dports", "--destination-ports"], 1),
    (&["--sports", "--source-ports"], 1),
    (&["--ports"], 1),
    (&["--syn"], 0),
    (&["--tcp-flags"], 2),
    (&["--tcp-option"], 1),
    (&["--icmp-type"], 1),
    (&["--icmpv6-type"], 1),
    (&["--state"], 1),
    (&["--ctstate"], 1),
    (&["--ctproto"], 1),
    (&["--ctorigsrc"], 1),
    (&["--ctorigdst"], 1),
    (&["--ctreplsrc"], 1),
    (&["--ctrepldst"], 1),
    (&["--ctorigsrcport"], 1),
    (&["--ctorigdstport"], 1),
    (&["--ctreplsrcport"], 1),
    (&["--ctrepldstport"], 1),
    (&["--ctstatus"], 1),
    (&["--ctexpire"], 1),
    (&["--ctdir"], 1),
    (&["--limit"], 1),
    (&["--limit-burst"], 1),
    (&["--hashlimit-upto"], 1),
    (&["--hashlimit-above"], 1),
    (&["--hashlimit-burst"], 1),
    (&["--hashlimit-mode"], 1),
    (&["--hashlimit-srcmask"], 1),
    (&["--hashlimit-dstmask"], 1),
    (&["--hashlimit-name"], 1),
    (&["--hashlimit-htable-size"], 1),
    (&["--hashlimit-htable-max"], 1),
    (&["--hashlimit-htable-expire"], 1),
    (&["--hashlimit-htable-gcinterval"], 1),
    (&["--hashlimit-rate-match"], 0),
    (&["--hashlimit-rate-interval"], 1),
    (&["--connlimit-upto"], 1),
    (&["--connlimit-above"], 1),
    (&["--connlimit-mask"], 1),
    (&["--connlimit-saddr"], 0),
    (&["--connlimit-daddr"], 0),
    (&["--comment"], 1),
    (&["--mark"], 1),
    (&["--mac-source"], 1),
    (&["--src-range"], 1),
    (&["--dst-range"], 1),
    (&["--match-set"], 2),
    (&["--return-nomatch"], 0),
    (&["--src-type"], 1),
    (&["--dst-type"], 1),
    (&["--limit-iface-in"], 0),
    (&["--limit-iface-out"], 0),
    (&["--uid-owner"], 1),
    (&["--gid-owner"], 1),
    (&["--suppl-groups"], 0),
    (&["--socket-exists"], 0),
    (&["--pkt-type"], 1),
    (&["--physdev-in"], 1),
    (&["--physdev-out"], 1),
    (&["--physdev-is-in"], 0),
    (&["--physdev-is-out"], 0),
    (&["--physdev-is-bridged"], 0),
    (&["--mss"], 1),
    (&["--length"], 1),
    (&["--ttl-eq"], 1),
    (&["--ttl-gt"], 1),
    (&["--ttl-lt"], 1),
    (&["--hl-eq"], 1),
    (&["--hl-gt"], 1),
    (&["--hl-lt"], 1),
    (&["--dscp"], 1),
    (&["--dscp-class"], 1),
    (&["--tos"], 1),
    (&["--timestart"], 1),
    (&["--timestop"], 1),
    (&["--datestart"], 1),
    (&["--datestop"], 1),
    (&["--weekdays"], 1),
    (&["--monthdays"], 1),
    (&["--contiguous"], 0),
    (&["--kerneltz"], 0),
    (&["--string"], 1),
    (&["--hex-string"], 1),
    (&["--algo"], 1),
    (&["--from"], 1),
    (&["--to"], 1),
    (&["--icase"], 0),
    (&["--mode"], 1),
    (&["--probability"], 1),
    (&["--every"], 1),
    (&["--packet"], 1),
    (&["--helper"], 1),
    (&["--name"], 1),
    (&["--set"], 0),
    (&["--rcheck"], 0),
    (&["--update"], 0),
    (&["--remove"], 0),
    (&["--rsource"], 0),
    (&["--rdest"], 0),
    (&["--seconds"], 1),
    (&["--reap"], 0),
    (&["--hitcount"], 1),
    (&["--rttl"], 0),
    (&["--mask"], 1),
    (&["--dir"], 1),
    (&["--pol"], 1),
    (&["--strict"], 0),
    (&["--reqid"], 1),
    (&["--tunnel-src"], 1),
    (&["--tunnel-dst"], 1),
    (&["--espspi"], 1),
    (&["--loose"], 0),
    (&["--validmark"], 0),
    (&["--accept-local"], 0),
    (&["--invert"], 0),
    (&["--transparent"], 0),
    (&["--nowildcard"], 0),
    (&["--log-prefix"], 1),
    (&["--log-level"], 1),
    (&["--log-tcp-sequence"], 0),
    (&["--log-tcp-options"], 0),
    (&["--log-ip-options"], 0),
    (&["--log-uid"], 0),
    (&["--log-macdecode"], 0),
    (&["--nflog-group"], 1),
    (&["--nflog-prefix"], 1),
    (&["--nflog-size"], 1),
    (&["--nflog-threshold"], 1),
    (&["--reject-with"], 1),
    (&["--to-destination"], 1),
    (&["--to-source"], 1),
    (&["--to-ports", "--to-port"], 1),
    (&["--random"], 0),
    (&["--random-fully"], 0),
    (&["--persistent"], 0),
    (&["--set-mark"], 1),
    (&["--set-xmark"], 1),
    (&["--and-mark"], 1),
    (&["--or-mark"], 1),
    (&["--xor-mark"], 1),
    (&["--save-mark"], 0),
    (&["--restore-mark"], 0),
    (&["--nfmask"], 1),
    (&["--ctmask"], 1),
    (&["--set-dscp"], 1),
    (&["--set-dscp-class"], 1),
    (&["--set-tos"], 1),
    (&["--set-mss"], 1),
    (&["--clamp-mss-to-pmtu"], 0),
    (&["--ttl-set"], 1),
    (&["--ttl-inc"], 1),
    (&["--ttl-dec"], 1),
    (&["--hl-set"], 1),
    (&["--hl-inc"], 1),
    (&["--hl-dec"], 1),
    (&["--notrack"], 0),
    (&["--zone"], 1),
    (&["--ctevents"], 1),
    (&["--on-port"], 1),
    (&["--on-ip"], 1),
    (&["--tproxy-mark"], 1),
    (&["--gateway"], 1),
    (&["--queue-num"], 1),
    (&["--queue-balance"], 1),
    (&["--queue-bypass"], 0),
    (&["--set-class"], 1),
    (&["--add-set"], 2),
    (&["--del-set"], 2),
    (&["--exist"], 0),
    (&["--timeout"], 1),
];

/// The options by each of their names.
static KNOWN: LazyLock<FxHashMap<&'static str, (&'static str, usize)>> = LazyLock::new(|| {
    let usual = |names: &[&'static str]| names.first().copied().unwrap_or_default();
    OPTIONS.iter().flat_map(|(names, count)| names.iter().map(move |name| (*name, (usual(names), *count)))).collect()
});

/// The names of all options that are known, for suggestions.
pub fn option_names() -> impl Iterator<Item = &'static str> {
    OPTIONS.iter().flat_map(|(names, _)| names.iter().copied())
}

/// Options of targets: they ask nothing of a packet.
const TARGET_OPTIONS: &[&str] = &[
    "--log-prefix",
    "--log-level",
    "--log-tcp-sequence",
    "--log-tcp-options",
    "--log-ip-options",
    "--log-uid",
    "--log-macdecode",
    "--nflog-group",
    "--nflog-prefix",
    "--nflog-size",
    "--nflog-threshold",
    "--reject-with",
    "--to-destination",
    "--to-source",
    "--to-ports",
    "--random",
    "--random-fully",
    "--persistent",
    "--set-mark",
    "--set-xmark",
    "--and-mark",
    "--or-mark",
    "--xor-mark",
    "--save-mark",
    "--restore-mark",
    "--nfmask",
    "--ctmask",
    "--set-dscp",
    "--set-dscp-class",
    "--set-tos",
    "--set-mss",
    "--clamp-mss-to-pmtu",
    "--ttl-set",
    "--ttl-inc",
    "--ttl-dec",
    "--hl-set",
    "--hl-inc",
    "--hl-dec",
    "--notrack",
    "--zone",
    "--ctevents",
    "--on-port",
    "--on-ip",
    "--tproxy-mark",
    "--gateway",
    "--queue-num",
    "--queue-balance",
    "--queue-bypass",
    "--set-class",
    "--add-set",
    "--del-set",
    "--exist",
    "--timeout",
    "-4",
    "-6",
    "-c",
];

/// The families that an iptables rule's words name: addresses, ICMP of one kind, `-4` and `-6`. None: it holds for both. Two:
/// no packet is of both.
#[must_use]
pub fn families(line: &str) -> Vec<Family> {
    let rule = IptablesRule::read(line);
    let mut found: Vec<Family> = rule.options.iter().flat_map(named_families).collect();
    found.sort_unstable();
    found.dedup();
    found
}

fn named_families(option: &RuleOption<'_>) -> Vec<Family> {
    let value = option.value();
    let one = |family| vec![family];
    match option.name {
        "-4" => one(Family::Ipv4),
        "-6" => one(Family::Ipv6),
        "-p" if !option.negated => match value {
            "icmp" | "1" | "igmp" | "2" => one(Family::Ipv4),
            "icmpv6" | "ipv6-icmp" | "58" => one(Family::Ipv6),
            _ => Vec::new(),
        },
        "-m" | "-j" | "--reject-with" => restrictions::only_family(option.name, value).into_iter().collect(),
        // The names that live sets have, one for each family.
        "--match-set" | "--add-set" | "--del-set" if value.starts_with("fwc-") => match value.rsplit('-').next() {
            Some("v4") => one(Family::Ipv4),
            Some("v6") => one(Family::Ipv6),
            _ => Vec::new(),
        },
        "-s" | "-d" | "--ctorigsrc" | "--ctorigdst" | "--ctreplsrc" | "--ctrepldst" | "--src-range" | "--dst-range"
        | "--to-destination" | "--to-source" | "--to" | "--on-ip" | "--gateway" | "--tunnel-src" | "--tunnel-dst" => {
            value.split([',', '-']).filter_map(family_of).collect()
        }
        name => restrictions::only_family(name, "").into_iter().collect(),
    }
}

/// The family of `10.0.0.1`, `10.0.0.0/8`, `10.0.0.1:80`, `2001:db8::/32`, `[2001:db8::1]:80`.
fn family_of(text: &str) -> Option<Family> {
    let bare = text.split('/').next().unwrap_or_default();
    let bare = bare.strip_prefix('[').and_then(|rest| rest.split(']').next()).unwrap_or(bare);
    let v4 = bare.split(':').next().unwrap_or_default();
    match (bare.parse::<std::net::IpAddr>(), v4.parse::<std::net::Ipv4Addr>()) {
        (Ok(address), _) => Some(Family::of(address)),
        (_, Ok(_)) => Some(Family::Ipv4),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_into_words_with_their_places() {
        let line = "-p tcp  --log-prefix \"a b\" -j LOG";
        let found = words(line);
        let texts: Vec<&str> = found.iter().map(|word| word.text).collect();
        assert_eq!(texts, ["-p", "tcp", "--log-prefix", "a b", "-j", "LOG"]);
        assert_eq!(line.get(found[3].range()), Some("\"a b\""));
        assert_eq!(words("\"open").len(), 1);
        assert_eq!(words("").len(), 0);
    }

    #[test]
    fn options_have_their_values_and_unknown_ones_are_named() {
        let rule = IptablesRule::read(
            "! -s 10.0.0.0/8 -p tcp --destination-port 22 --tcp-flags SYN,ACK SYN --frobnicate 3 -j DROP",
        );
        let names: Vec<&str> = rule.options.iter().map(|option| option.name).collect();
        assert_eq!(names, ["-s", "-p", "--dport", "--tcp-flags", "-j"]);
        assert!(rule.options[0].negated && !rule.options[1].negated);
        assert_eq!(rule.options[3].values.len(), 2);
        assert_eq!(rule.unread.iter().map(|word| word.text).collect::<Vec<_>>(), ["--frobnicate"]);
        assert!(!rule.matches_everything());
        assert!(IptablesRule::read("-j LOG --log-prefix \"x\" -m comment --comment y").matches_everything());
    }

    #[test]
    fn the_families_that_words_name() {
        use Family::{Ipv4, Ipv6};
        assert_eq!(families("-s 10.0.0.1 -j ACCEPT"), [Ipv4]);
        assert_eq!(families("-p tcp --dport 80 -j DNAT --to-destination 10.0.0.1:80"), [Ipv4]);
        assert_eq!(families("-p tcp --dport 80 -j DNAT --to-destination [2001:db8::1]:80"), [Ipv6]);
        assert_eq!(families("-s 2001:db8::/32 -d 10.0.0.1"), [Ipv4, Ipv6]);
        assert_eq!(families("-p ipv6-icmp -j ACCEPT"), [Ipv6]);
        assert_eq!(families("-m set --match-set fwc-bad-v6 src -j DROP"), [Ipv6]);
        assert_eq!(families("-p tcp --dport 22 -j ACCEPT"), []);
        assert_eq!(families("-m iprange --src-range 10.0.0.1-10.0.0.9 -j ACCEPT"), [Ipv4]);
    }
}
