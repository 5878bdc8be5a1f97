//! Matches that the netfilter form does not model, in the words in which the tool lists them: however they were written, those that ask for
//! the same have the same text.

use super::parse::{Instance, Opt};
use crate::names;
use crate::net::Family;

/// The text of a match, if it is known how the tool lists it.
pub(super) fn text(instance: &Instance, family: Family) -> Option<String> {
    let list = Listing { instance };
    let rest = match instance.name {
        "recent" => recent(&list, family),
        "length" => list.range("--length", u16::MAX.into())?,
        "ttl" => list.compared(&[
            ("--ttl-eq", "--ttl-eq"),
            ("--ttl", "--ttl-eq"),
            ("--ttl-lt", "--ttl-lt"),
            ("--ttl-gt", "--ttl-gt"),
        ])?,
        "hl" => list.compared(&[
            ("--hl-eq", "--hl-eq"),
            ("--hl", "--hl-eq"),
            ("--hl-lt", "--hl-lt"),
            ("--hl-gt", "--hl-gt"),
        ])?,
        "dscp" => {
            let option = list.option("--dscp").or(list.option("--dscp-class"))?;
            format!(
                "{}--dscp {:#04x}",
                not(option),
                match option.name {
                    "--dscp" => names::dscp::lookup(option.value()?)?,
                    _ => super::dscp_class(option.value()?)?,
                }
            )
        }
        "pkttype" => {
            let option = list.option("--pkt-type")?;
            let kind = option.value()?.to_ascii_lowercase();
            let kind = match &*kind {
                "bcast" => "broadcast",
                "mcast" => "multicast",
                "host" => "unicast",
                other => other,
            };
            format!("{}--pkt-type {kind}", not(option))
        }
        "statistic" => statistic(&list)?,
        _ => return None,
    };
    Some(format!("-m {} {rest}", instance.name))
}

struct Listing<'i, 't> {
    instance: &'i Instance<'t>,
}

fn not(option: &Opt) -> &'static str {
    if option.negated { "! " } else { "" }
}

impl<'i, 't> Listing<'i, 't> {
    fn option(&self, name: &str) -> Option<&'i Opt<'t>> {
        self.instance.options.iter().find(|option| option.name == name)
    }

    fn value(&self, name: &str) -> Option<&'t str> {
        self.option(name)?.value()
    }

    /// One number, or a range of them.
    fn range(&self, name: &str, most: u64) -> Option<String> {
        let option = self.option(name)?;
        let text = option.value()?;
        let (first, last) = text.split_once(':').unwrap_or((text, text));
        let first = if first.is_empty() { 0 } else { first.parse().ok()? };
        let last = if last.is_empty() { most } else { last.parse().ok()? };
        let range = if first == last { first.to_string() } else { format!("{first}:{last}") };
        Some(format!("{}{name} {range}", not(option)))
    }

    /// The one of these options that is there, under the name that it is listed by.
    fn compared(&self, names: &[(&str, &str)]) -> Option<String> {
        let (option, name) = names.iter().find_map(|(name, listed)| Some((self.option(name)?, *listed)))?;
        Some(format!("{}{name} {}", not(option), option.value()?))
    }
}

/// `--rcheck --seconds 60 --hitcount 4 --rttl --name X --mask M --rsource`.
fn recent(list: &Listing, family: Family) -> String {
    let mut out = String::new();
    for name in ["--set", "--rcheck", "--update", "--remove"] {
        if let Some(option) = list.option(name) {
            out.push_str(not(option));
            out.push_str(name);
        }
    }
    for name in ["--seconds", "--reap", "--hitcount", "--rttl"] {
        if let Some(option) = list.option(name) {
            out.push(' ');
            out.push_str(name);
            if let Some(value) = option.value() {
                out.push(' ');
                out.push_str(value);
            }
        }
    }
    let whole = if family == Family::Ipv4 { "255.255.255.255" } else { "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" };
    let (name, mask) = (list.value("--name").unwrap_or("DEFAULT"), list.value("--mask").unwrap_or(whole));
    let side = if list.option("--rdest").is_some() { "--rdest" } else { "--rsource" };
    format!("{out} --name {name} --mask {mask} {side}")
}

fn statistic(list: &Listing) -> Option<String> {
    Some(match list.value("--mode")? {
        "random" => {
            let option = list.option("--probability")?;
            // The kernel keeps 31 bits of it.
            let steps = (option.value()?.parse::<f64>().ok()? * 2_147_483_648.0).round();
            format!("--mode random {}--probability {:.11}", not(option), steps / 2_147_483_648.0)
        }
        "nth" => {
            let option = list.option("--every")?;
            format!(
                "--mode nth {}--every {} --packet {}",
                not(option),
                option.value()?,
                list.value("--packet").unwrap_or("0")
            )
        }
        _ => return None,
    })
}
