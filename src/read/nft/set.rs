//! Sets and verdict maps as nft declares them.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::super::address;
use super::super::join::{Folded, fold};
use super::lex::{Kind, Token, spaced};
use crate::net::{Card, Family, Protocol};
use crate::netfilter::{SetField, SetValue, Verdict};

/// A type of value that the netfilter form has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Address(Family),
    Protocol,
    Port,
    /// A protocol and a port that stand side by side.
    Service,
    Mac,
    Interface,
}

impl Type {
    fn named(word: &str) -> Option<Self> {
        Some(match word {
            "ipv4_addr" => Self::Address(Family::Ipv4),
            "ipv6_addr" => Self::Address(Family::Ipv6),
            "inet_proto" => Self::Protocol,
            "inet_service" => Self::Port,
            "ether_addr" => Self::Mac,
            "ifname" => Self::Interface,
            _ => return None,
        })
    }

    /// Of `typeof`: the two words of a field.
    fn of(first: &str, second: &str) -> Option<Self> {
        Some(match (first, second) {
            ("ip", "saddr" | "daddr") => Self::Address(Family::Ipv4),
            ("ip6", "saddr" | "daddr") => Self::Address(Family::Ipv6),
            ("meta", "l4proto") | ("ip", "protocol") => Self::Protocol,
            ("tcp" | "udp" | "th" | "sctp" | "dccp" | "udplite", "sport" | "dport") => Self::Port,
            ("ether", "saddr" | "daddr") => Self::Mac,
            ("meta", "iifname" | "oifname") | ("iifname" | "oifname", "") => Self::Interface,
            _ => return None,
        })
    }
}

/// A list longer than this is not written out in the text of a match.
const LONG: usize = 1000;

/// The elements of a verdict map.
pub(super) type Elements = Arc<Vec<(Vec<SetValue>, Verdict)>>;

/// A set or a map.
#[derive(Clone, Default)]
pub(super) struct RawSet<'t> {
    pub name: &'t str,
    /// A verdict map.
    pub verdicts: bool,
    /// A map to something else than verdicts.
    pub data: bool,
    /// What the elements hold, a protocol and its port as one; `None`: something that the netfilter form lacks.
    pub types: Option<Vec<Type>>,
    /// The words after `type`, for sets whose types are not modelled.
    pub declared: Vec<&'t str>,
    pub elements: Vec<Box<[SetValue]>>,
    /// The verdicts, in a verdict map, one an element.
    pub does: Vec<Verdict>,
    /// What is done where nothing else is found.
    pub otherwise: Option<Verdict>,
    /// Time-outs, or rules that add to it.
    pub live: bool,
    /// The text of all elements.
    pub text: Vec<&'t str>,
    /// An element was not understood.
    pub broken: bool,
    pub folded: Option<Arc<Folded>>,
    pub listing: Option<Arc<str>>,
    pub maps: FxHashMap<(Vec<SetField>, Option<Protocol>), Elements>,
}

impl<'t> RawSet<'t> {
    /// Takes the words after `type` or `typeof`.
    pub fn set_types(&mut self, words: &[Token<'t>], by_field: bool) {
        let colon = words.iter().position(|word| word.is(":"));
        let (keys, data) = words.split_at(colon.unwrap_or(words.len()));
        let data: Vec<&str> = data.iter().skip(1).map(|word| word.text).collect();
        self.verdicts = data == ["verdict"];
        self.data = !data.is_empty() && !self.verdicts;
        self.declared = keys.iter().map(|word| word.text).collect();
        let one = |part: &[Token]| match (by_field, part) {
            (false, [word]) => Type::named(word.text),
            (true, [first]) => Type::of(first.text, ""),
            (true, [first, second]) => Type::of(first.text, second.text),
            _ => None,
        };
        let types: Option<Vec<Type>> = keys.split(|word| word.is(".")).map(one).collect();
        self.types = types.filter(|_| !self.data).map(|types| joined(&types));
    }

    /// Takes one element's words: key, then `timeout 1h` and the like, then perhaps `: verdict`.
    pub fn add(&mut self, words: &[Token<'t>]) {
        let colon = words.iter().position(|word| word.is(":"));
        let (key, verdict) = words.split_at(colon.unwrap_or(words.len()));
        let extra = |word: &Token| {
            word.kind == Kind::Word
                && matches!(
                    word.text,
                    "timeout" | "expires" | "comment" | "counter" | "limit" | "quota" | "last" | "ct"
                )
        };
        let key = key.split(extra).next().unwrap_or_default();
        let verdict = verdict.get(1..).unwrap_or_default().split(extra).next().unwrap_or_default();
        let Some(types) = &self.types else { return };
        let verdict = if self.verdicts { simple_verdict(verdict) } else { Some(None) };
        let values = values(types, key);
        let catch_all = matches!(key, [word] if word.is("*"));
        match (values, verdict) {
            (_, Some(verdict)) if catch_all && self.verdicts => {
                // `continue` is what happens anyway.
                self.otherwise = verdict;
            }
            (Some(values), Some(verdict)) if self.verdicts => {
                // A key that leads on is told from one that is absent only where there is a catch-all.
                if let Some(verdict) = verdict {
                    self.elements.push(values.into());
                    self.does.push(verdict);
                } else {
                    self.broken = true;
                }
            }
            (Some(values), Some(_)) => self.elements.push(values.into()),
            _ => self.broken = true,
        }
    }

    pub fn clear(&mut self) {
        self.elements.clear();
        self.does.clear();
        self.otherwise = None;
        self.text.clear();
        self.broken = false;
    }

    /// Whether all of it is known.
    pub fn whole(&self) -> bool {
        self.types.is_some() && !self.broken && !self.live
    }

    /// The elements as a match of one field lists them.
    pub fn folded(&mut self) -> Arc<Folded> {
        let elements = &self.elements;
        self.folded.get_or_insert_with(|| Arc::new(fold(elements))).clone()
    }

    /// The map for keys of these fields; shared by all rules that ask with them.
    pub fn map(&mut self, fields: &[SetField], protocol: Option<Protocol>) -> Option<Elements> {
        let types = self.types.as_ref()?;
        if !self.verdicts || self.broken || self.live || self.otherwise.is_some() || !fits(types, fields, protocol) {
            return None;
        }
        let key = (fields.to_vec(), protocol);
        if let Some(known) = self.maps.get(&key) {
            return Some(known.clone());
        }
        let elements = self.elements.iter().zip(&self.does).map(|(values, verdict)| {
            let values = fields.iter().zip(values).map(|(field, value)| match (field, value, protocol) {
                (SetField::OriginalService, SetValue::Port(ports), Some(protocol)) => {
                    SetValue::Service(protocol, *ports)
                }
                _ => value.clone(),
            });
            (values.collect(), verdict.clone())
        });
        let elements: Elements = Arc::new(elements.collect());
        self.maps.insert(key, elements.clone());
        Some(elements)
    }

    /// The text of a static set's elements, for matches that are not modelled; of a long one, its length and a hash.
    pub fn listed(&mut self) -> Option<Arc<str>> {
        if self.live {
            return None;
        }
        let texts = &self.text;
        let listed = self.listing.get_or_insert_with(|| {
            let mut listed = String::from("{ ");
            for (at, text) in texts.iter().enumerate() {
                let tokens: Vec<Token> = super::lex::Lexer::new(text).filter(|token| token.kind != Kind::End).collect();
                listed.push_str(if at > 0 { ", " } else { "" });
                listed.push_str(&spaced(&tokens));
            }
            listed.push_str(" }");
            if listed.len() > LONG {
                // FNV-1a: the same text on every machine.
                let hash = |seed: u64| {
                    listed.bytes().fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
                };
                let (one, two) = (hash(0xcbf2_9ce4_8422_2325), hash(0x6c62_272e_07bb_0142));
                listed = format!("{{ {} bytes, {one:016x}{two:016x} }}", listed.len());
            }
            Arc::from(listed)
        });
        Some(listed.clone())
    }

    /// The fields that the set is listed with.
    pub fn default_fields(&self) -> Option<Vec<SetField>> {
        let mut addresses = 0;
        let fields = self.types.as_ref()?.iter().map(|kind| match kind {
            Type::Address(_) => {
                addresses += 1;
                if addresses == 1 { SetField::Source } else { SetField::Destination }
            }
            Type::Protocol => SetField::Protocol,
            Type::Port => SetField::DestinationPort,
            Type::Service => SetField::DestinationService,
            Type::Mac => SetField::SourceMac,
            Type::Interface => SetField::InInterface,
        });
        Some(fields.collect())
    }

    pub fn family(&self) -> Option<Family> {
        let mut families = self.types.iter().flatten().filter_map(|kind| match kind {
            Type::Address(family) => Some(*family),
            _ => None,
        });
        let first = families.next()?;
        families.all(|family| family == first).then_some(first)
    }
}

/// Whether a set of these types can be asked with these fields.
pub(super) fn fits(types: &[Type], fields: &[SetField], protocol: Option<Protocol>) -> bool {
    types.len() == fields.len()
        && types.iter().zip(fields).all(|(kind, field)| match field {
            SetField::Source | SetField::Destination => matches!(kind, Type::Address(_)),
            SetField::DestinationService => *kind == Type::Service,
            SetField::SourceMac => *kind == Type::Mac,
            SetField::InInterface | SetField::OutInterface => *kind == Type::Interface,
            SetField::OriginalService => *kind == Type::Port && protocol.is_some(),
            SetField::Protocol => *kind == Type::Protocol,
            SetField::SourcePort | SetField::DestinationPort => *kind == Type::Port,
        })
}

/// A protocol directly before a port makes a service of both.
fn joined(types: &[Type]) -> Vec<Type> {
    let mut out: Vec<Type> = Vec::with_capacity(types.len());
    for kind in types {
        match (out.last_mut(), kind) {
            (Some(last @ Type::Protocol), Type::Port) => *last = Type::Service,
            _ => out.push(*kind),
        }
    }
    out
}

/// The values of a key.
pub(super) fn values(types: &[Type], key: &[Token]) -> Option<Vec<SetValue>> {
    let mut parts = key.split(|word| word.is("."));
    let mut out = Vec::with_capacity(types.len());
    let mut one = || match parts.next()? {
        [word] => Some(*word),
        _ => None,
    };
    for kind in types {
        out.push(match kind {
            Type::Address(family) => SetValue::Address(address::of_family(one()?.text, *family)?.into()),
            Type::Protocol => SetValue::Protocol(address::protocol(one()?.text)?),
            Type::Port => SetValue::Port(address::named_ports(one()?.text, '-')?),
            Type::Service => {
                SetValue::Service(address::protocol(one()?.text)?, address::named_ports(one()?.text, '-')?)
            }
            Type::Mac => SetValue::Mac(one()?.text.parse().ok()?),
            Type::Interface => SetValue::Interface(Box::new(card(one()?.text)?)),
        });
    }
    parts.next().is_none().then_some(out)
}

/// An interface as nft names it: `br-*` means every name that begins so, `\*` an asterisk.
pub(super) fn card(text: &str) -> Option<Card> {
    if text.contains('\\') || text.is_empty() {
        return None;
    }
    Some(match text.strip_suffix('*') {
        Some(name) => Card { name: name.to_owned(), prefix: true },
        None => Card::exact(text),
    })
}

/// A verdict without details. Inner `None`: `continue`.
#[allow(clippy::option_option)]
pub(super) fn simple_verdict(words: &[Token]) -> Option<Option<Verdict>> {
    Some(Some(match words {
        [word] => match word.text {
            "accept" => Verdict::Accept,
            "drop" => Verdict::Drop,
            "return" => Verdict::Return,
            "continue" => return Some(None),
            _ => return None,
        },
        [word, chain] if word.is("jump") => Verdict::Jump(Arc::from(chain.text)),
        [word, chain] if word.is("goto") => Verdict::Goto(Arc::from(chain.text)),
        _ => return None,
    }))
}
