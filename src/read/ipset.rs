//! `ipset save` and what `ipset restore` takes: `create`, `add`, `del`, `flush`, `swap`, `rename`, `destroy`.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::scan::{self, Word};
use super::{Fault, FaultKind, address, quoted};
use crate::net::{Card, Family};
use crate::netfilter::{Set, SetField, SetValue};
use crate::span::{FileId, Span};

/// Reads a text of `ipset save`, or one for `ipset restore`: the sets that are there at its end. A set of a type that is not
/// modelled (a list of sets, one with exceptions) is left out, so that rules that look into it stay unknown.
#[must_use]
pub fn ipset(file: FileId, text: &str) -> (Vec<Set>, Vec<Fault>) {
    let mut reader = Reader { sets: FxHashMap::default(), order: 0 };
    let mut faults = Vec::new();
    let mut words = Vec::new();
    for (start, line) in scan::lines(text) {
        if let Err((span, message, help)) = reader.line(line, &mut words) {
            let span = Span::new(start + span.start as usize, start + span.end as usize);
            faults.push(Fault::new(FaultKind::Broken, file, span, message, help));
        }
    }
    let mut sets: Vec<(usize, Arc<str>, Known)> =
        reader.sets.into_iter().map(|(name, known)| (known.order, Arc::from(name), known)).collect();
    sets.sort_unstable_by_key(|(order, ..)| *order);
    let sets = sets.into_iter().filter_map(|(_, name, known)| known.set(name)).collect();
    (sets, faults)
}

struct Reader<'t> {
    sets: FxHashMap<&'t str, Known>,
    /// How many were created: the order of the result.
    order: usize,
}

struct Known {
    order: usize,
    kind: Vec<Part>,
    family: Option<Family>,
    elements: Vec<Box<[SetValue]>>,
    live: bool,
    /// Whether everything about it is modelled.
    whole: bool,
}

impl Known {
    fn set(self, name: Arc<str>) -> Option<Set> {
        let mut addresses = 0;
        let fields = self.kind.iter().map(|part| match part {
            Part::Address => {
                addresses += 1;
                if addresses == 1 { SetField::Source } else { SetField::Destination }
            }
            Part::Service => SetField::DestinationService,
            Part::Port => SetField::DestinationPort,
            Part::Mac => SetField::SourceMac,
            Part::Interface => SetField::InInterface,
        });
        let fields: Vec<SetField> = fields.collect();
        let family = self.family.filter(|_| addresses > 0);
        (self.whole && !fields.is_empty()).then_some(Set {
            name,
            family,
            fields,
            elements: self.elements,
            live: self.live,
        })
    }
}

/// What stands in a place of an element.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Address,
    /// Protocol and port.
    Service,
    /// A port without a protocol (`bitmap:port`).
    Port,
    Mac,
    Interface,
}

type Refusal = (Span, String, &'static str);

impl<'t> Reader<'t> {
    fn line(&mut self, line: &'t str, words: &mut Vec<Word<'t>>) -> Result<(), Refusal> {
        // `add` lines are by far the most.
        scan::words(line, words)
            .map_err(|span| (span, "this quotation mark is never closed".to_owned(), "close it on the same line"))?;
        let Some(command) = words.first().filter(|word| !word.text.starts_with('#')) else { return Ok(()) };
        let name = words.get(1).filter(|word| !word.text.starts_with('-')).map(|word| word.text);
        let missing = || {
            let message = format!("`{}` stands without the name of a set", quoted(command.text));
            (Span::new(command.start, command.end), message, "write the set's name behind it")
        };
        match command.text {
            "add" => self.add(name.ok_or_else(missing)?, words)?,
            "create" => self.create(name.ok_or_else(missing)?, words),
            "del" => {
                let set = self.known(name.ok_or_else(missing)?, words)?;
                match words.get(2).and_then(|word| element(&set.kind, set.family, word.text)) {
                    Some(gone) => set.elements.retain(|element| **element != *gone),
                    None => set.whole = false,
                }
            }
            "flush" => match name {
                Some(name) => self.known(name, words)?.elements.clear(),
                None => self.sets.values_mut().for_each(|set| set.elements.clear()),
            },
            "destroy" => match name {
                Some(name) => drop(self.sets.remove(name)),
                None => self.sets.clear(),
            },
            "swap" | "rename" => {
                let other = words.get(2).map(|word| word.text).ok_or_else(missing)?;
                let name = name.ok_or_else(missing)?;
                self.known(name, words)?;
                let (one, two) = (self.sets.remove(name), self.sets.remove(other));
                for (name, set) in [(other, one), (name, two)] {
                    if let Some(set) = set {
                        self.sets.insert(name, set);
                    }
                }
            }
            "COMMIT" | "version" | "list" | "save" | "test" | "quit" => {}
            other => {
                let message = format!("`{}` is no command of an ipset file", quoted(other));
                let help = "the lines of an ipset file begin with `create`, `add`, `flush`, `swap` or `destroy`";
                return Err((Span::new(command.start, command.end), message, help));
            }
        }
        Ok(())
    }

    fn known(&mut self, name: &str, words: &[Word]) -> Result<&mut Known, Refusal> {
        let span = words.get(1).map_or_else(Span::default, |word| Span::new(word.start, word.end));
        self.sets.get_mut(name).ok_or_else(|| {
            let message = format!("there is no set `{}` here yet", quoted(name));
            (span, message, "create it on a line before this one")
        })
    }

    fn create(&mut self, name: &'t str, words: &[Word<'t>]) {
        let mut options = words.iter().skip(3).map(|word| word.text);
        let (mut family, mut live, mut exist, mut whole) = (Some(Family::Ipv4), false, false, true);
        while let Some(option) = options.next() {
            match option {
                "family" => {
                    family = options.next().filter(|name| *name == "inet6").map_or(family, |_| Some(Family::Ipv6))
                }
                "timeout" => live = true,
                "-exist" | "-!" => exist = true,
                "netmask" | "bitmask" | "markmask" => whole = false,
                _ => {}
            }
        }
        let kind = words.get(2).and_then(|word| parts(word.text));
        whole &= kind.is_some();
        let kind = kind.unwrap_or_default();
        if exist && self.sets.get(name).is_some_and(|set| set.kind == kind) {
            return;
        }
        self.order += 1;
        let set = Known { order: self.order, kind, family, elements: Vec::new(), live, whole };
        self.sets.insert(name, set);
    }

    fn add(&mut self, name: &str, words: &[Word]) -> Result<(), Refusal> {
        let set = self.known(name, words)?;
        let Some(word) = words.get(2) else {
            let span = words.first().map_or_else(Span::default, |word| Span::new(word.start, word.end));
            return Err((span, "`add` stands without a member".to_owned(), "write the member behind the set's name"));
        };
        if !set.whole {
            return Ok(());
        }
        if words.iter().skip(3).any(|word| !word.quoted && word.text == "nomatch") {
            set.whole = false;
            set.elements = Vec::new();
            return Ok(());
        }
        match element(&set.kind, set.family, word.text) {
            Some(element) => set.elements.push(element.into()),
            None => {
                let message = format!("`{}` is no member of a set of this type", quoted(word.text));
                // What is not read may be anything: the set is no longer known.
                set.whole = false;
                return Err((Span::new(word.start, word.end), message, "look at the set's `create` line"));
            }
        }
        Ok(())
    }
}

fn parts(kind: &str) -> Option<Vec<Part>> {
    let (method, parts) = kind.split_once(':')?;
    if !matches!(method, "hash" | "bitmap") {
        return None;
    }
    parts
        .split(',')
        .map(|part| match part {
            "ip" | "net" => Some(Part::Address),
            "port" if method == "bitmap" => Some(Part::Port),
            "port" => Some(Part::Service),
            "mac" => Some(Part::Mac),
            "iface" => Some(Part::Interface),
            _ => None,
        })
        .collect()
}

fn element(kind: &[Part], family: Option<Family>, text: &str) -> Option<Vec<SetValue>> {
    let mut values = Vec::with_capacity(kind.len());
    let mut parts = text.split(',');
    for part in kind {
        let text = parts.next()?;
        values.push(match part {
            Part::Address => SetValue::Address(
                address::range(text).filter(|range| family.is_none_or(|own| range.family() == own))?.into(),
            ),
            Part::Service => {
                let (protocol, ports) = text.split_once(':').unwrap_or(("tcp", text));
                let protocol = address::protocol(protocol).filter(|protocol| protocol.has_ports())?;
                SetValue::Service(protocol, address::ports(ports, '-')?)
            }
            Part::Port => {
                let text = text.split_once(':').map_or(text, |(_, ports)| ports);
                SetValue::Port(address::ports(text, '-')?)
            }
            Part::Mac => SetValue::Mac(text.parse().ok()?),
            Part::Interface if !text.starts_with("physdev:") => SetValue::Interface(Box::new(Card::exact(text))),
            Part::Interface => return None,
        });
    }
    parts.next().is_none().then_some(values)
}
