//! What the tools of iptables refuse, as they say themselves: a table of their options that a test takes from the tools present, and keeps.

use std::ops::Range;
use std::sync::LazyLock;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::words::{IptablesRule, RuleOption};
use super::{Hook, TableKind};
use crate::net::{Family, Protocol};

/// The table: name, families, whether it can be repeated in one match, the protocols that it needs, the places where it is taken.
const TABLE: &str = include_str!("restrictions.tsv");

/// What one option, match or target is restricted to.
struct Restriction {
    families: Vec<Family>,
    once: bool,
    /// Empty: any, and none.
    protocols: Vec<Protocol>,
    /// Tables and hooks; empty: all.
    places: Vec<(TableKind, Hook)>,
}

/// What a row is about: `-m` with a match, `-j` with a target, `--reject-with` with a way to reject; an option alone has nothing with it.
type Name<'t> = (&'t str, &'t str);

static RESTRICTIONS: LazyLock<FxHashMap<Name<'static>, Restriction>> =
    LazyLock::new(|| TABLE.lines().filter_map(restriction).collect());

fn restriction(line: &'static str) -> Option<(Name<'static>, Restriction)> {
    let mut fields = line.split('\t');
    let name = fields.next()?;
    let name = name.split_once(' ').unwrap_or((name, ""));
    let families = fields.next()?;
    let families =
        [('4', Family::Ipv4), ('6', Family::Ipv6)].into_iter().filter(|(digit, _)| families.contains(*digit));
    let once = fields.next()? == "once";
    let protocols = fields.next()?.split(',').filter_map(Protocol::by_name).collect();
    let places = fields.next()?.split(' ').filter_map(|place| place.split_once(':')).filter_map(place).collect();
    Some((name, Restriction { families: families.map(|(_, family)| family).collect(), once, protocols, places }))
}

fn place((table, chain): (&str, &str)) -> Option<(TableKind, Hook)> {
    let table = TableKind::ALL.into_iter().find(|kind| kind.name() == table)?;
    let hooks = [Hook::Prerouting, Hook::Input, Hook::Forward, Hook::Output, Hook::Postrouting];
    Some((table, hooks.into_iter().find(|hook| hook.chain() == chain)?))
}

/// The families in which the tools take an option with a value that the table lists with it (`-m icmp6`), or an option alone (the value is
/// empty), if they restrict it to one.
#[must_use]
pub fn only_family(option: &str, value: &str) -> Option<Family> {
    match RESTRICTIONS.get(&(option, value))?.families.as_slice() {
        [family] => Some(*family),
        _ => None,
    }
}

/// Whether the table has a match (`-m`, `x`) or a target (`-j`, `X`).
#[must_use]
pub fn is_known(option: &str, value: &str) -> bool {
    RESTRICTIONS.contains_key(&(option, value))
}

/// The first thing in a rule that the tools refuse, with its place in the line: an option that is said twice, or without the protocol that it
/// needs, or where the tools do not take it.
#[must_use]
pub fn refusal(rule: &IptablesRule<'_>, table: TableKind, hook: Option<Hook>) -> Option<(Range<usize>, String)> {
    let protocol = rule.protocol().and_then(named_protocol);
    let mut said: SmallVec<[&str; 16]> = SmallVec::new();
    for option in &rule.options {
        let name = name(option);
        if matches!(option.name, "-m" | "-j" | "-g") {
            // The options of the match before end here; those of no match are said once in a line.
            said.retain(|name| !name.starts_with("--"));
        }
        let known = RESTRICTIONS.get(&name);
        let target = matches!(option.name, "-j" | "-g");
        let once = target || (option.name != "-m" && known.is_some_and(|known| known.once));
        let own = if target { "-j" } else { option.name };
        if once && said.contains(&own) {
            return Some((option.range(), format!("`{}` is said twice, and iptables takes it once", option.flag.text)));
        }
        said.push(own);
        let Some(known) = known else { continue };
        if !needs(known, protocol) {
            let wanted: Vec<String> = known.protocols.iter().map(ToString::to_string).collect();
            let wanted = wanted.join("`, `-p ");
            return Some((option.range(), format!("`{}` needs `-p {wanted}`", spelled(name))));
        }
        // Targets share the names of options, and a place is the target's. The security table was not asked of the tools.
        let placed = !name.0.starts_with("--") || name.0.starts_with("--physdev-");
        let taken = known.places.iter().any(|(of, at)| *of == table && hook.is_none_or(|hook| hook == *at));
        if placed && !known.places.is_empty() && table != TableKind::Security && !taken {
            let at = hook.map_or(String::new(), |hook| format!(" at {}", hook.chain()));
            return Some((
                option.range(),
                format!("iptables takes no `{}` in table {}{at}", spelled(name), table.name()),
            ));
        }
    }
    value_refusal(rule, protocol).or_else(|| hook_refusal(rule, hook)).or_else(|| segment_size_refusal(rule))
}

/// The first value that the tools refuse.
fn value_refusal(rule: &IptablesRule<'_>, protocol: Option<Protocol>) -> Option<(Range<usize>, String)> {
    for option in &rule.options {
        let value = option.value();
        let refused = match option.name {
            "--dport" | "--sport" | "--dports" | "--sports" | "--ports" | "--ctorigdstport" => {
                value.split(',').any(is_reversed).then(|| format!("the range `{value}` ends before it begins"))
            }
            "--reject-with" => {
                let known = RESTRICTIONS.get(&("--reject-with", value));
                match known {
                    None => Some(format!("iptables has no way to reject called `{value}`")),
                    Some(known) if !needs(known, protocol) => {
                        Some(format!("`{value}` answers TCP alone: say `-p tcp`"))
                    }
                    Some(_) => None,
                }
            }
            "--strict" => {
                let is_none = rule.options.iter().any(|option| option.name == "--pol" && option.value() == "none");
                is_none.then(|| "`--strict` goes with `--pol ipsec`, not with `--pol none`".to_owned())
            }
            "--to-destination" | "--to-source" | "--to-ports" if option.name == "--to-ports" || has_port(value) => {
                let known = RESTRICTIONS.get(&("--to-ports", ""));
                known
                    .is_some_and(|known| !needs(known, protocol))
                    .then(|| format!("`{}` names a port, and the line no protocol that has any", option.flag.text))
            }
            _ => None,
        };
        if let Some(refused) = refused {
            return Some((option.range(), refused));
        }
    }
    None
}

/// What the kernel refuses of one option at some hooks: the option, its value (empty: any), the hooks. iptables-legacy says so when a chain is
/// reached from the hook, not when it is loaded. (xt_policy.c, xt_addrtype.c, xt_devgroup.c, xt_TCPMSS.c)
const NOT_AT: [(&str, &str, [Hook; 2]); 7] = [
    ("--dir", "out", [Hook::Prerouting, Hook::Input]),
    ("--dir", "in", [Hook::Output, Hook::Postrouting]),
    ("--limit-iface-out", "", [Hook::Prerouting, Hook::Input]),
    ("--limit-iface-in", "", [Hook::Output, Hook::Postrouting]),
    ("--dst-group", "", [Hook::Prerouting, Hook::Input]),
    ("--src-group", "", [Hook::Output, Hook::Postrouting]),
    ("--clamp-mss-to-pmtu", "", [Hook::Prerouting, Hook::Input]),
];

/// The first option that the kernel refuses where the rule stands.
fn hook_refusal(rule: &IptablesRule<'_>, hook: Option<Hook>) -> Option<(Range<usize>, String)> {
    let hook = hook?;
    let refused = |option: &&RuleOption<'_>| {
        NOT_AT.iter().any(|(name, value, hooks)| {
            option.name == *name && (value.is_empty() || option.value() == *value) && hooks.contains(&hook)
        })
    };
    let option = rule.options.iter().find(refused)?;
    let values = option.values.iter().map(|word| word.text);
    let said: Vec<&str> = std::iter::once(option.flag.text).chain(values).collect();
    Some((option.range(), format!("iptables-legacy takes no `{}` at {}", said.join(" "), hook.chain())))
}

/// iptables-legacy's TCPMSS takes no line that may match anything but SYN packets (xt_TCPMSS.c).
fn segment_size_refusal(rule: &IptablesRule<'_>) -> Option<(Range<usize>, String)> {
    let target = rule.options.iter().find(|option| option.name == "-j" && option.value() == "TCPMSS")?;
    let asks_for_syn = |option: &RuleOption<'_>| match option.name {
        "--syn" => true,
        "--tcp-flags" => {
            let set = option.values.get(1);
            set.is_some_and(|set| set.text.split(',').any(|flag| matches!(flag, "SYN" | "ALL")))
        }
        _ => false,
    };
    let is_syn = rule.options.iter().any(|option| !option.negated && asks_for_syn(option));
    (!is_syn).then(|| (target.range(), "`TCPMSS` takes SYN packets alone: say `--tcp-flags SYN,RST SYN`".to_owned()))
}

/// Whether a rule about this protocol has what an option needs.
fn needs(known: &Restriction, protocol: Option<Protocol>) -> bool {
    known.protocols.is_empty() || protocol.is_some_and(|protocol| known.protocols.contains(&protocol))
}

/// Whether a range of ports has its ends the wrong way round.
fn is_reversed(range: &str) -> bool {
    let ends = range.split_once(':').map(|(first, last)| (first.parse::<u16>(), last.parse::<u16>()));
    matches!(ends, Some((Ok(first), Ok(last))) if first > last)
}

/// Whether an address to translate to has a port behind it: `192.0.2.1:80`, `[2001:db8::1]:80`.
fn has_port(address: &str) -> bool {
    match address.rsplit_once(']') {
        Some((_, rest)) => rest.starts_with(':'),
        None => address.matches(':').count() == 1,
    }
}

/// The name of an option in the table: matches and targets with their own names.
fn name<'t>(option: &RuleOption<'t>) -> Name<'t> {
    match option.name {
        "-m" | "-j" => (option.name, option.value()),
        "-g" => ("-j", option.value()),
        name => (name, ""),
    }
}

fn spelled((option, value): Name<'_>) -> String {
    if value.is_empty() { option.to_owned() } else { format!("{option} {value}") }
}

fn named_protocol(name: &str) -> Option<Protocol> {
    match name {
        "ipv6-icmp" | "icmp6" => Some(Protocol::ICMPV6),
        _ => Protocol::by_name(name),
    }
}
