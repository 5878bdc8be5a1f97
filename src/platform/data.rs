//! Reads a platform's file. Every word in it comes from a closed list; a word that is not on it is an error with the place.

use serde::Deserialize;
use std::collections::BTreeMap;

use super::advisory::Versions;
use super::owner::Pattern;
use super::situation::{Attribute, Values, When};
use super::{
    Advisory, Attachment, Class, Destination, Era, Fault, Interface, Leg, Opening, Outcome, Owned, Platform, Preset,
    Requirement, Road, Role, Source, Step,
};
use crate::facts::release;
use crate::net::Card;
use crate::netfilter::{Hook, TableFamily};

/// One word or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Words {
    One(String),
    Several(Vec<String>),
}

impl Words {
    fn all(&self) -> &[String] {
        match self {
            Self::One(word) => std::slice::from_ref(word),
            Self::Several(words) => words,
        }
    }
}

type Asked = BTreeMap<String, Words>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    title: String,
    class: Option<String>,
    #[serde(default)]
    bridges: Vec<String>,
    #[serde(default)]
    ports: Vec<String>,
    swarm_bridge: Option<String>,
    #[serde(default)]
    published_over_every_network: bool,
    #[serde(default)]
    drops_forwarded: bool,
    #[serde(default)]
    versions: Vec<String>,
    /// The facts that say what an attribute is.
    #[serde(default)]
    facts: BTreeMap<String, String>,
    #[serde(default)]
    default: Vec<PresetRow>,
    #[serde(default)]
    impossible: Vec<Asked>,
    #[serde(default)]
    owns: Vec<OwnedRow>,
    #[serde(default)]
    attach: Vec<AttachRow>,
    #[serde(default)]
    road: Vec<RoadRow>,
    #[serde(default)]
    fault: Vec<FaultRow>,
    #[serde(default)]
    advisory: Vec<AdvisoryRow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct PresetRow {
    #[serde(default)]
    when: Asked,
    attribute: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct OwnedRow {
    owner: Option<String>,
    #[serde(default)]
    role: Option<String>,
    family: Option<String>,
    table: Option<String>,
    #[serde(default)]
    chains: Vec<String>,
    #[serde(default)]
    comments: Vec<String>,
    advice: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct AttachRow {
    #[serde(default)]
    when: Asked,
    hook: String,
    table: String,
    chain: String,
    before_priority: Option<i32>,
    #[serde(default = "yes")]
    accept_is_final: bool,
    #[serde(default)]
    made_by_platform: bool,
    why: String,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RoadRow {
    name: String,
    #[serde(default)]
    when: Asked,
    #[serde(default)]
    steps: Vec<StepRow>,
    outcome: String,
    source: Option<String>,
    by: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct StepRow {
    hook: String,
    leg: Option<String>,
    r#in: Option<String>,
    out: Option<String>,
    to: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct FaultRow {
    name: String,
    #[serde(default)]
    when: Asked,
    summary: String,
    effect: String,
    remedy: String,
    source: String,
    assumed: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct AdvisoryRow {
    id: String,
    /// `>=28.2.0 <28.3.3`, several where a fix came to several branches.
    versions: Vec<String>,
    requires: String,
    opening: String,
    summary: String,
    rule: String,
    remedy: String,
    source: String,
}

/// Reads the file of the platform called `name`.
pub(super) fn read(name: &str, text: &str) -> Result<Platform, String> {
    let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
    let eras: Vec<Era> = file.versions.iter().map(|name| Era { name: name.clone(), first: version(name) }).collect();
    if eras.len() > Values::BITS as usize || !eras.is_sorted_by(|a, b| a.first < b.first) {
        return Err("`versions` has too many entries or they do not rise".to_owned());
    }
    let when = |asked: &Asked| when(asked, &eras);
    Ok(Platform {
        name: name.to_owned(),
        class: file.class.as_deref().map(class).transpose()?,
        bridges: file.bridges.iter().map(|text| Card::parse(text)).collect(),
        ports: file.ports.iter().map(|text| Card::parse(text)).collect(),
        swarm_bridge: file.swarm_bridge.clone(),
        published_over_every_network: file.published_over_every_network,
        drops_forwarded: file.drops_forwarded,
        facts: file
            .facts
            .iter()
            .map(|(name, fact)| Ok((attribute(name)?, fact.clone())))
            .collect::<Result<_, String>>()?,
        defaults: file
            .default
            .iter()
            .map(|row| {
                let attribute = attribute(&row.attribute)?;
                value(attribute, &row.value)?;
                Ok(Preset { when: when(&row.when)?, attribute, value: row.value.clone() })
            })
            .collect::<Result<_, String>>()?,
        impossible: file.impossible.iter().map(when).collect::<Result<_, _>>()?,
        owned: file.owns.into_iter().map(|row| owned(&file.title, row)).collect::<Result<_, _>>()?,
        attachments: file
            .attach
            .into_iter()
            .map(|row| {
                Ok(Attachment {
                    when: when(&row.when)?,
                    hook: hook(&row.hook)?,
                    table: row.table,
                    chain: row.chain,
                    before_priority: row.before_priority,
                    accept_is_final: row.accept_is_final,
                    made_by_platform: row.made_by_platform,
                    why: row.why,
                })
            })
            .collect::<Result<_, String>>()?,
        roads: file
            .road
            .into_iter()
            .map(|row| {
                let road = |row: RoadRow| -> Result<Road, String> {
                    Ok(Road {
                        when: when(&row.when)?,
                        steps: row.steps.iter().map(step).collect::<Result<_, _>>()?,
                        outcome: outcome(&row.outcome)?,
                        source: row.source.as_deref().map_or(Ok(Source::Opener), source)?,
                        name: row.name,
                        by: row.by,
                    })
                };
                let name = row.name.clone();
                road(row).map_err(|message| format!("road `{name}`: {message}"))
            })
            .collect::<Result<_, _>>()?,
        faults: file
            .fault
            .into_iter()
            .map(|row| {
                Ok(Fault {
                    when: when(&row.when)?,
                    name: row.name,
                    summary: row.summary,
                    effect: row.effect,
                    remedy: row.remedy,
                    source: row.source,
                    assumed: row.assumed,
                })
            })
            .collect::<Result<_, String>>()?,
        advisories: file.advisory.into_iter().map(advisory).collect::<Result<_, _>>()?,
        title: file.title,
        eras,
    })
}

fn advisory(row: AdvisoryRow) -> Result<Advisory, String> {
    Ok(Advisory {
        versions: row.versions.iter().map(|text| versions(text)).collect::<Result<_, _>>()?,
        requires: match row.requires.as_str() {
            "firewalld" => Requirement::Firewalld,
            "swarm" => Requirement::Swarm,
            word => return unknown("requirement", word),
        },
        opening: match row.opening.as_str() {
            "direct-from-outside" => Opening::DirectFromOutside,
            "between-networks" => Opening::BetweenNetworks,
            "vxlan" => Opening::Vxlan,
            word => return unknown("opening", word),
        },
        id: row.id,
        summary: row.summary,
        rule: row.rule,
        remedy: row.remedy,
        source: row.source,
    })
}

/// `>=28.2.0 <28.3.3`.
fn versions(text: &str) -> Result<Versions, String> {
    let bounds = text.split_once(' ').and_then(|(first, before)| {
        let first = release(first.strip_prefix(">=")?)?;
        Some(Versions { first, before: release(before.strip_prefix('<')?)? })
    });
    bounds.ok_or_else(|| format!("`{text}` is not `>=VERSION <VERSION`"))
}

/// The leading numbers of a version: `28.5.2+dfsg4` is 28, 5, 2. Empty if it does not begin with a number.
pub(super) fn version(text: &str) -> Vec<u64> {
    let mut numbers = Vec::new();
    for part in text.trim_start_matches('v').split('.') {
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        match digits.parse() {
            Ok(number) => numbers.push(number),
            Err(_) => break,
        }
        if digits.len() != part.len() {
            break;
        }
    }
    numbers
}

fn when(asked: &Asked, eras: &[Era]) -> Result<When, String> {
    let mut out = Vec::new();
    for (name, words) in asked {
        let attribute = attribute(name)?;
        let mut values: Values = 0;
        for word in words.all() {
            values |= match attribute {
                Attribute::Version => eras_of(word, eras)?,
                _ => value(attribute, word)?,
            };
        }
        out.push((attribute, values));
    }
    // Asked in the order of the vocabulary, so that conditions name the version first.
    out.sort_unstable_by_key(|(attribute, _)| *attribute);
    Ok(When { asked: out })
}

/// The eras that `>=28.0`, `<29`, `>=23 <27` or an era's own name mean.
pub(super) fn eras_of(text: &str, eras: &[Era]) -> Result<Values, String> {
    let mut chosen: Values = 0;
    for at in 0..eras.len() {
        chosen |= 1 << at;
    }
    for bound in text.split_whitespace() {
        let (least, numbers) = match (bound.strip_prefix(">="), bound.strip_prefix('<')) {
            (Some(numbers), _) => (true, numbers),
            (None, Some(numbers)) => (false, numbers),
            (None, None) => return Err(format!("`{bound}` is neither `>=VERSION` nor `<VERSION`")),
        };
        let numbers = version(numbers);
        if !eras.iter().any(|era| era.first == numbers) {
            return Err(format!("`{bound}` is not a version at which an era begins"));
        }
        for (at, era) in eras.iter().enumerate() {
            if (era.first >= numbers) != least {
                chosen &= !(1 << at);
            }
        }
    }
    Ok(chosen)
}

fn unknown<T>(kind: &str, word: &str) -> Result<T, String> {
    Err(format!("`{word}` is not a {kind}"))
}

fn attribute(name: &str) -> Result<Attribute, String> {
    match Attribute::ALL.iter().find(|attribute| attribute.name() == name) {
        Some(attribute) => Ok(*attribute),
        None => unknown("known attribute", name),
    }
}

fn value(attribute: Attribute, word: &str) -> Result<Values, String> {
    match attribute.values().iter().position(|value| *value == word) {
        Some(at) => Ok(1 << at),
        None => Err(format!("`{word}` is not a value of `{}`", attribute.name())),
    }
}

fn class(word: &str) -> Result<Class, String> {
    match word {
        "container" => Ok(Class::Container),
        "instance" => Ok(Class::Instance),
        "guest" => Ok(Class::Guest),
        _ => unknown("class", word),
    }
}

fn hook(word: &str) -> Result<Hook, String> {
    let hooks = [Hook::Prerouting, Hook::Input, Hook::Forward, Hook::Output, Hook::Postrouting];
    hooks.into_iter().find(|hook| hook.name() == word).map_or_else(|| unknown("hook", word), Ok)
}

fn outcome(word: &str) -> Result<Outcome, String> {
    match word {
        "delivered" => Ok(Outcome::Delivered),
        "host" => Ok(Outcome::Host),
        "dropped" => Ok(Outcome::Dropped),
        "rejected" => Ok(Outcome::Rejected),
        "lost" => Ok(Outcome::Lost),
        "hangs" => Ok(Outcome::Hangs),
        "unanswered" => Ok(Outcome::Unanswered),
        _ => unknown("outcome", word),
    }
}

fn source(word: &str) -> Result<Source, String> {
    match word {
        "opener" => Ok(Source::Opener),
        "bridge" => Ok(Source::Bridge),
        "masqueraded" => Ok(Source::Masqueraded),
        _ => unknown("source", word),
    }
}

fn interface(word: &str) -> Result<Interface, String> {
    match word {
        "arrival" => Ok(Interface::Arrival),
        "bridge" => Ok(Interface::Bridge),
        "loopback" => Ok(Interface::Loopback),
        "departure" => Ok(Interface::Departure),
        "parent" => Ok(Interface::Parent),
        "swarm-bridge" => Ok(Interface::SwarmBridge),
        _ => unknown("place of an interface", word),
    }
}

fn step(row: &StepRow) -> Result<Step, String> {
    Ok(Step {
        hook: hook(&row.hook)?,
        leg: match row.leg.as_deref() {
            None => Leg::Client,
            Some("proxy") => Leg::Proxy,
            Some("stray") => Leg::Stray,
            Some(word) => return unknown("leg", word),
        },
        input: row.r#in.as_deref().map(interface).transpose()?,
        output: row.out.as_deref().map(interface).transpose()?,
        destination: match row.to.as_str() {
            "dialled" => Destination::Dialled,
            "target" => Destination::Target,
            "mesh" => Destination::Mesh,
            "opener" => Destination::Opener,
            word => return unknown("destination", word),
        },
    })
}

fn owned(title: &str, row: OwnedRow) -> Result<Owned, String> {
    let family = match row.family.as_deref() {
        None => None,
        Some("ip") => Some(TableFamily::Ipv4),
        Some("ip6") => Some(TableFamily::Ipv6),
        Some("inet") => Some(TableFamily::Inet),
        Some("bridge") => Some(TableFamily::Bridge),
        Some(word) => return unknown("table family", word),
    };
    let role = match row.role.as_deref() {
        None => Role::Private,
        Some("user") => Role::User,
        Some("ban") => Role::Ban,
        Some(word) => return unknown("role", word),
    };
    Ok(Owned {
        owner: row.owner.unwrap_or_else(|| title.to_owned()),
        role,
        family,
        table: row.table,
        chains: row.chains.iter().map(|text| Pattern::new(text)).collect(),
        comments: row.comments.iter().map(|text| Pattern::new(text)).collect(),
        advice: row.advice,
    })
}
