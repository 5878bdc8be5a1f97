//! The words of a rule cut into options, each with the match or target that it belongs to, as iptables' own parser cuts them: an option
//! is looked for among those of the matches named so far, the latest first, and may be cut short where that leaves one.

use std::sync::LazyLock;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::value;
use crate::names::closest;
use crate::net::{Family, Protocol};
use crate::netfilter::extension::{self, Extension, ExtensionOption, Kind};
use crate::read::iptables::{Refusal, refuse};
use crate::read::scan::Word;
use crate::read::shell;
use crate::read::{address, quoted};
use crate::span::Span;

/// An option: whether `!` stands before it, its full name, its values.
#[derive(Clone)]
pub(super) struct Opt<'t> {
    pub negated: bool,
    pub name: &'t str,
    pub values: SmallVec<[Word<'t>; 2]>,
    /// Where it begins in the line, `!` included.
    pub start: usize,
    pub end: usize,
}

impl<'t> Opt<'t> {
    /// Its value, if it has exactly one.
    pub fn value(&self) -> Option<&'t str> {
        match self.values.as_slice() {
            [one] => Some(one.text),
            _ => None,
        }
    }

    /// Whether a value has a parameter of a script in it.
    pub fn is_open(&self) -> bool {
        self.values.iter().any(|word| shell::has_parameter(word.text))
    }

    pub fn span(&self) -> Span {
        Span::new(self.start, self.end)
    }
}

/// A match or a target in a rule.
pub(super) struct Instance<'t> {
    pub name: &'t str,
    pub kind: Kind,
    /// What is known of it; nothing of a chain, and of what is no extension of iptables' own.
    known: Option<&'static Extension>,
    pub options: Vec<Opt<'t>>,
    /// Where `-m NAME` or `-j NAME` stands; nothing of a match that `-p` implies.
    pub head: Option<Span>,
    word: Span,
}

/// A part of a rule, in the order in which they begin.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Item {
    /// An option of iptables itself.
    Basic(usize),
    /// A match.
    Match(usize),
}

/// A rule's parts.
#[derive(Default)]
pub(super) struct Parsed<'t> {
    pub items: SmallVec<[Item; 8]>,
    pub basic: SmallVec<[Opt<'t>; 4]>,
    pub matches: SmallVec<[Instance<'t>; 4]>,
    pub target: Option<Instance<'t>>,
    /// Whether the target was named by `-g`.
    pub goto: bool,
}

impl Parsed<'_> {
    /// The one protocol that the rule asks for.
    pub fn protocol(&self) -> Option<Protocol> {
        let option = self.basic.iter().find(|option| option.name == "-p")?;
        address::protocol(&address::lowered(option.value()?)).filter(|_| !option.negated)
    }
}

/// Options that belong to no extension: the short name, the long one, how many words follow.
const BASIC: &[(&str, &str, usize)] = &[
    ("-p", "--protocol", 1),
    ("-s", "--source", 1),
    ("-s", "--src", 1),
    ("-d", "--destination", 1),
    ("-d", "--dst", 1),
    ("-i", "--in-interface", 1),
    ("-o", "--out-interface", 1),
    ("-m", "--match", 1),
    ("-j", "--jump", 1),
    ("-g", "--goto", 1),
    ("-f", "--fragments", 0),
    ("-4", "--ipv4", 0),
    ("-6", "--ipv6", 0),
    ("-c", "--set-counters", 2),
    ("-v", "--verbose", 0),
    ("-n", "--numeric", 0),
    ("-x", "--exact", 0),
    ("-w", "--wait", 0),
    ("-W", "--wait-interval", 1),
    ("", "--line-numbers", 0),
    ("", "--modprobe", 1),
];

/// The same by either name: the short name, how many words follow.
static BASIC_BY_NAME: LazyLock<FxHashMap<&str, (&str, usize)>> = LazyLock::new(|| {
    let names = BASIC.iter().flat_map(|&(short, long, count)| [short, long].map(|name| (name, (short, count))));
    names.filter(|(name, _)| !name.is_empty()).collect()
});

/// Commands of iptables and options that a rule cannot have: what is the beginning of one of them is no option of the rule alone.
const COMMANDS: &[&str] = &[
    "--append",
    "--check",
    "--delete",
    "--delete-chain",
    "--flush",
    "--help",
    "--insert",
    "--list",
    "--list-rules",
    "--new-chain",
    "--policy",
    "--rename-chain",
    "--replace",
    "--table",
    "--version",
    "--zero",
];

/// Options of iptables that `!` may stand before.
const NEGATABLE: &[&str] = &["-p", "-s", "-d", "-i", "-o", "-f"];

/// Whether a word begins an option.
fn is_option(word: &Word) -> bool {
    !word.quoted && word.text.len() > 1 && word.text.starts_with('-')
}

fn is_not(word: &Word) -> bool {
    !word.quoted && word.text == "!"
}

/// What a word that begins an option is.
enum Found {
    Basic(&'static str, usize),
    /// Of a match by its number, or of the target.
    Own(Option<usize>, &'static ExtensionOption),
    /// Of a match or target of which the options are not known.
    Loose(Option<usize>),
}

/// Cuts the words of a rule.
pub(super) fn parse<'t>(words: &[Word<'t>], family: Family) -> Result<Parsed<'t>, Refusal> {
    // `-fm NAME`: letters of options that take no value may stand together.
    let apart =
        words.iter().any(|word| flags(word).is_some()).then(|| words.iter().flat_map(apart).collect::<Vec<_>>());
    let words = apart.as_deref().unwrap_or(words);
    let mut parser = Parser { words, at: 0, family, parsed: Parsed::default(), implied: false };
    while parser.at < words.len() {
        parser.option()?;
    }
    parser.finish()
}

/// The letters of a word that are options without values, and one more.
fn flags(word: &Word) -> Option<&'static str> {
    let letters = word.text.strip_prefix('-').filter(|letters| letters.len() == 2 && !word.quoted)?;
    let named = |letter: &str| BASIC.iter().find(|(short, ..)| short.strip_prefix('-') == Some(letter));
    let (first, second) = letters.split_at_checked(1)?;
    let (_, _, 0) = named(first)? else { return None };
    named(second).map(|(short, ..)| *short)
}

fn apart<'t>(word: &Word<'t>) -> Vec<Word<'t>> {
    match (flags(word), word.text.get(..2)) {
        (Some(second), Some(first)) => {
            vec![Word { text: first, end: word.start + 2, ..*word }, Word { text: second, ..*word }]
        }
        _ => vec![*word],
    }
}

struct Parser<'w, 't> {
    words: &'w [Word<'t>],
    at: usize,
    family: Family,
    parsed: Parsed<'t>,
    /// Whether the match that the protocol implies was looked for.
    implied: bool,
}

impl<'t> Parser<'_, 't> {
    fn option(&mut self) -> Result<(), Refusal> {
        let Some(first) = self.words.get(self.at).copied() else { return Ok(()) };
        let negated = is_not(&first);
        self.at += usize::from(negated);
        let Some(word) = self.words.get(self.at).copied().filter(is_option) else {
            let word = self.words.get(self.at).copied().unwrap_or(first);
            self.at += 1;
            let span = Span::new(word.start, word.end);
            if negated {
                return Err(refuse(span, "`!` stands before no option", "write `!` before the option that it negates"));
            }
            let message = format!("`{}` belongs to no option", quoted(word.text));
            return Err(refuse(
                span,
                message,
                "options begin with a dash, and a text with spaces is in quotation marks",
            ));
        };
        self.at += 1;
        let (name, attached) = split(&word);
        let found = self.find(name, &word)?;
        let count = match &found {
            Found::Basic(_, count) => *count,
            Found::Own(_, option) => option.argument.words(),
            Found::Loose(_) => 0,
        };
        let mut values: SmallVec<[Word<'t>; 2]> = SmallVec::new();
        values.extend(attached);
        let span = Span::new(word.start, word.end);
        if count == 0 && !values.is_empty() && !matches!(found, Found::Loose(_)) {
            return Err(refuse(span, format!("`{}` takes no value", quoted(name)), "leave the value out"));
        }
        while values.len() < count {
            let Some(value) = self.words.get(self.at).copied() else {
                let message =
                    format!("`{}` stands without {}", quoted(name), if count == 1 { "a value" } else { "its values" });
                return Err(refuse(span, message, "write what it compares or sets after it"));
            };
            if is_not(&value) && values.is_empty() {
                let message = format!("`!` stands after `{}`", quoted(name));
                return Err(refuse(
                    Span::new(value.start, value.end),
                    message,
                    "write `!` before the option: `! -s 10.0.0.1`",
                ));
            }
            values.push(value);
            self.at += 1;
        }
        if matches!(found, Found::Loose(_)) {
            while let Some(value) = self.words.get(self.at).filter(|word| !is_option(word) && !is_not(word)) {
                values.push(*value);
                self.at += 1;
            }
        }
        let end = values.last().map_or(word.end, |value| value.end);
        let option = Opt { negated, name, values, start: first.start, end };
        match found {
            Found::Basic(name, _) => self.basic(Opt { name, ..option }, &word),
            Found::Own(owner, known) => self.own(owner, known, Opt { name: known.name, ..option }, &word),
            Found::Loose(owner) => {
                if let Some(instance) = self.instance(owner) {
                    instance.options.push(option);
                }
                Ok(())
            }
        }
    }

    fn instance(&mut self, owner: Option<usize>) -> Option<&mut Instance<'t>> {
        match owner {
            Some(at) => self.parsed.matches.get_mut(at),
            None => self.parsed.target.as_mut(),
        }
    }

    /// The matches and the target, the latest first.
    fn owners(&self) -> impl Iterator<Item = (Option<usize>, &Instance<'t>)> {
        let matches = self.parsed.matches.iter().enumerate().rev().map(|(at, one)| (Some(at), one));
        let target = self.parsed.target.iter().map(|one| (None, one));
        target.chain(matches)
    }

    fn find(&mut self, name: &'t str, word: &Word<'t>) -> Result<Found, Refusal> {
        if let Some(found) = self.look_up(name, word)? {
            return Ok(found);
        }
        if !self.implied {
            self.implied = true;
            if let Some(known) = self.parsed.protocol().and_then(|protocol| implied(protocol, self.family)) {
                let (kind, span) = (Kind::Match, Span::new(word.start, word.end));
                let options = Vec::new();
                self.add_match(Instance {
                    name: known.name,
                    kind,
                    known: Some(known),
                    options,
                    head: None,
                    word: span,
                });
                if let Some(found) = self.look_up(name, word)? {
                    return Ok(found);
                }
            }
        }
        if let Some((owner, _)) =
            self.owners().find(|(_, one)| one.known.is_none() && (one.kind == Kind::Match || !one.is_chain()))
        {
            return Ok(Found::Loose(owner));
        }
        Err(self.unknown(name, word))
    }

    fn look_up(&self, name: &str, word: &Word<'t>) -> Result<Option<Found>, Refusal> {
        if let Some((short, count)) = BASIC_BY_NAME.get(name) {
            return Ok(Some(Found::Basic(short, *count)));
        }
        if !name.starts_with("--") {
            return Ok(None);
        }
        for (owner, one) in self.owners() {
            let Some(known) = one.known else { continue };
            if let Some(option) = known.options.iter().find(|option| option.name == name) {
                return Ok(Some(Found::Own(owner, option)));
            }
        }
        // Cut short.
        let mut found: Option<(&'static str, Found)> = None;
        let mut ambiguous = None;
        let basic = BASIC.iter().filter(|(_, known, _)| known.starts_with(name));
        let basic = basic.map(|(short, known, count)| (*short, *known, Found::Basic(short, *count)));
        let own = self.owners().filter_map(|(owner, one)| Some((owner, one.known?)));
        let own = own.flat_map(|(owner, known)| known.options.iter().map(move |option| (owner, option)));
        let own = own.filter(|(_, option)| option.name.starts_with(name));
        let own = own.map(|(owner, option)| (option.meaning, option.name, Found::Own(owner, option)));
        for (meaning, full, one) in basic.chain(own) {
            match &found {
                Some((known, _)) if *known != meaning => ambiguous = Some(full),
                Some(_) => {}
                None => found = Some((meaning, one)),
            }
        }
        ambiguous = ambiguous.or(COMMANDS
            .iter()
            .find(|command| command.starts_with(name))
            .filter(|_| found.is_some())
            .copied());
        if ambiguous.is_some() {
            let message = format!("`{}` is the beginning of several options", quoted(name));
            return Err(refuse(Span::new(word.start, word.end), message, "write the option in full"));
        }
        Ok(found.map(|(_, found)| found))
    }

    /// An option that none of what is named has.
    fn unknown(&self, name: &str, word: &Word) -> Refusal {
        let span = Span::new(word.start, word.end);
        let has = |known: &&Extension, name: &str| known.options.iter().any(|option| option.name == name);
        let families = |known: &&Extension| known.family.is_none_or(|family| family == self.family);
        let owners: Vec<&Extension> =
            extension::all().iter().filter(families).filter(|known| has(known, name)).collect();
        let message = |why: &str| format!("`{}` {why}", quoted(name));
        if let Some(known) =
            owners.iter().find(|known| known.protocols.iter().any(|one| implied(*one, self.family).is_some()))
        {
            let protocols: Vec<String> = known.protocols.iter().map(|one| format!("`-p {one}`")).collect();
            return refuse(
                span,
                message("needs a protocol"),
                &format!("say the protocol before it: {}", protocols.join(" or ")),
            );
        }
        if let Some(known) = owners.first() {
            let help = match known.kind {
                Kind::Match => format!("name its match before it: `-m {}`", known.name),
                Kind::Target => format!("it is an option of the target `{}`", known.name),
            };
            return refuse(span, message("belongs to no match or target of this rule"), &help);
        }
        let own = self.owners().filter_map(|(_, one)| one.known).flat_map(|known| &known.options);
        let all = extension::all().iter().filter(families).flat_map(|known| &known.options);
        let basic = BASIC.iter().map(|(_, name, _)| *name);
        let near = closest(name, own.map(|option| option.name))
            .or_else(|| closest(name, basic.chain(all.map(|option| option.name))));
        match near {
            Some(near) => did_you_mean(span, message("is no option of iptables"), near),
            None => {
                refuse(span, message("is no option of iptables"), "correct it, or name its match before it: `-m NAME`")
            }
        }
    }

    fn add_match(&mut self, instance: Instance<'t>) {
        self.parsed.items.push(Item::Match(self.parsed.matches.len()));
        self.parsed.matches.push(instance);
    }

    fn basic(&mut self, option: Opt<'t>, word: &Word<'t>) -> Result<(), Refusal> {
        let span = option.span();
        if option.negated && !NEGATABLE.contains(&option.name) {
            return Err(refuse(span, format!("`!` cannot stand before `{}`", quoted(word.text)), "leave `!` out"));
        }
        let value = option.values.first().copied();
        match (option.name, value) {
            ("-m", Some(value)) => self.module(&option, value),
            ("-j" | "-g", Some(value)) => self.target(&option, value),
            (name, _) => {
                if NEGATABLE.contains(&name) || name == "-c" {
                    if self.parsed.basic.iter().any(|before| before.name == name) {
                        return Err(refuse(
                            span,
                            format!("`{}` is there twice", quoted(word.text)),
                            "write a rule for each",
                        ));
                    }
                    value::basic(&option, self.family)?;
                    self.parsed.items.push(Item::Basic(self.parsed.basic.len()));
                    self.parsed.basic.push(option);
                }
                Ok(())
            }
        }
    }

    fn module(&mut self, option: &Opt<'t>, value: Word<'t>) -> Result<(), Refusal> {
        let name = match value.text {
            "icmpv6" | "ipv6-icmp" => "icmp6",
            name => name,
        };
        let word = Span::new(value.start, value.end);
        let known = extension::find(Kind::Match, name, Some(self.family));
        if known.is_none() && !extension::ADDED_MATCHES.contains(&name) {
            let names = || extension::names(Kind::Match, Some(self.family));
            if extension::find(Kind::Match, name, None).is_some() {
                let message = format!("{} has no match `{}`", tool(self.family), quoted(name));
                return Err(refuse(word, message, "it is for the other family of addresses"));
            }
            let message = format!("iptables has no match `{}`", quoted(name));
            return Err(match closest(name, names()) {
                Some(near) => did_you_mean(word, message, near),
                None => refuse(word, message, "correct the name, or install the extension that has it"),
            });
        }
        self.implied |= known.is_some_and(|known| {
            self.parsed.protocol().and_then(|one| implied(one, self.family)).is_some_and(|own| std::ptr::eq(own, known))
        });
        self.add_match(Instance {
            name,
            kind: Kind::Match,
            known,
            options: Vec::new(),
            head: Some(option.span()),
            word,
        });
        Ok(())
    }

    fn target(&mut self, option: &Opt<'t>, value: Word<'t>) -> Result<(), Refusal> {
        if self.parsed.target.is_some() {
            return Err(refuse(option.span(), "the rule has a second target", "write a rule for each target"));
        }
        self.parsed.goto = option.name == "-g";
        let known = extension::find(Kind::Target, value.text, Some(self.family)).filter(|_| !self.parsed.goto);
        let word = Span::new(value.start, value.end);
        self.parsed.target = Some(Instance {
            name: value.text,
            kind: Kind::Target,
            known,
            options: Vec::new(),
            head: Some(option.span()),
            word,
        });
        Ok(())
    }

    fn own(
        &mut self,
        owner: Option<usize>,
        known: &'static ExtensionOption,
        option: Opt<'t>,
        word: &Word<'t>,
    ) -> Result<(), Refusal> {
        let span = option.span();
        if option.negated && !known.negatable {
            return Err(refuse(span, format!("`!` cannot stand before `{}`", quoted(word.text)), "leave `!` out"));
        }
        value::check(&known.argument, &option, self.family)?;
        let Some(instance) = self.instance(owner) else { return Ok(()) };
        let same = |before: &&Opt| meaning(instance.known, before.name) == known.meaning;
        if !known.repeatable && instance.options.iter().any(|before| same(&before)) {
            return Err(refuse(span, format!("`{}` is there twice", quoted(word.text)), "write a rule for each"));
        }
        instance.options.push(option);
        Ok(())
    }

    fn finish(self) -> Result<Parsed<'t>, Refusal> {
        let asked = self.parsed.basic.iter().find(|option| option.name == "-p");
        let protocol = self.parsed.protocol();
        for instance in self.parsed.matches.iter().chain(&self.parsed.target) {
            let Some(known) = instance.known else { continue };
            complete(instance, known)?;
            let open = asked.is_some_and(Opt::is_open);
            if !open
                && !known.protocols.is_empty()
                && !protocol.is_some_and(|protocol| known.protocols.contains(&protocol))
            {
                let names: Vec<String> = known.protocols.iter().map(|one| format!("`-p {one}`")).collect();
                let place = asked.map_or(instance.word, Opt::span);
                let message = format!("`{}` needs {}", quoted(instance.name), names.join(" or "));
                return Err(refuse(place, message, "say the protocol, or leave the match out"));
            }
        }
        Ok(self.parsed)
    }
}

impl Instance<'_> {
    /// What is known of it.
    pub fn known(&self) -> Option<&'static Extension> {
        self.known
    }

    /// Whether a target is, as far as its name tells, a chain: of those no options are known, since they have none.
    fn is_chain(&self) -> bool {
        self.kind == Kind::Target && self.known.is_none() && !extension::ADDED_TARGETS.contains(&self.name)
    }

    /// Where it stands in the line: its options may stand apart from it.
    pub fn span(&self) -> Span {
        let ends = self.options.iter().map(Opt::span).chain(self.head);
        ends.reduce(|before, next| Span::new(before.start.min(next.start) as usize, before.end.max(next.end) as usize))
            .unwrap_or(self.word)
    }

    /// Its text, with its options put together.
    pub fn text(&self, line: &str) -> String {
        let parts = self.head.into_iter().chain(self.options.iter().map(Opt::span));
        let mut text = String::new();
        for part in parts {
            text.push_str(if text.is_empty() { "" } else { " " });
            text.push_str(line.get(part.range()).unwrap_or_default());
        }
        if self.head.is_some() { text } else { format!("-m {} {text}", self.name) }
    }
}

fn tool(family: Family) -> &'static str {
    if family == Family::Ipv4 { "iptables" } else { "ip6tables" }
}

/// The match that a protocol's options belong to.
fn implied(protocol: Protocol, family: Family) -> Option<&'static Extension> {
    let name = match protocol {
        Protocol::TCP => "tcp",
        Protocol::UDP => "udp",
        Protocol::SCTP => "sctp",
        Protocol::ICMP => "icmp",
        Protocol::ICMPV6 => "icmp6",
        Protocol(33) => "dccp",
        Protocol(50) => "esp",
        Protocol(51) => "ah",
        Protocol(135) => "mh",
        _ => return None,
    };
    extension::find(Kind::Match, name, Some(family))
}

fn meaning<'n>(known: Option<&Extension>, name: &'n str) -> &'n str {
    let option = known.and_then(|known| known.options.iter().find(|option| option.name == name));
    option.map_or(name, |option| option.meaning)
}

/// Whether an extension has the options that it needs, and none that exclude each other.
fn complete(instance: &Instance, known: &Extension) -> Result<(), Refusal> {
    let has = |name: &str| {
        instance.options.iter().find(|option| meaning(Some(known), option.name) == meaning(Some(known), name))
    };
    if let Some(missing) = known.options.iter().find(|option| option.required && has(option.meaning).is_none()) {
        let message = format!("`{}` needs `{}`", quoted(instance.name), missing.name);
        return Err(refuse(instance.word, message, "write the option after it"));
    }
    if !known.any.is_empty() && !known.any.iter().any(|name| has(name).is_some()) {
        let names = known.any.iter().take(4).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let message = format!("`{}` says nothing", quoted(instance.name));
        return Err(refuse(instance.word, message, &format!("write one of its options: {names}")));
    }
    for option in &instance.options {
        let Some(own) = known.options.iter().find(|known| known.name == option.name) else { continue };
        if let Some(other) = own.excludes.iter().find(|name| has(name).is_some()) {
            let message = format!("`{}` and `{other}` exclude each other", option.name);
            return Err(refuse(option.span(), message, "leave one of them out"));
        }
        if let Some(other) = own.needs.iter().find(|name| has(name).is_none()) {
            let message = format!("`{}` needs `{other}`", option.name);
            return Err(refuse(option.span(), message, "write both"));
        }
    }
    Ok(())
}

/// The name of an option, and the value that is attached to it: `--dport=22`, `-ptcp`.
fn split<'t>(word: &Word<'t>) -> (&'t str, Option<Word<'t>>) {
    let attached = |at: usize, skip: usize| {
        let (name, rest) = word.text.split_at(at);
        let text = rest.get(skip..).unwrap_or_default();
        (name, Some(Word { text, start: word.start + at + skip, end: word.end, quoted: false }))
    };
    match word.text.find('=') {
        Some(at) if word.text.starts_with("--") => attached(at, 1),
        _ if word.text.starts_with("--") || word.text.len() == 2 || !word.text.is_char_boundary(2) => (word.text, None),
        _ if BASIC.iter().any(|(short, _, count)| *count == 1 && word.text.starts_with(short) && !short.is_empty()) => {
            attached(2, 0)
        }
        _ => (word.text, None),
    }
}

/// A refusal of a word that is nearly another.
pub(super) fn did_you_mean(span: Span, message: String, near: &str) -> Refusal {
    Refusal { replacement: Some(near.to_owned()), ..refuse(span, message, &format!("did you mean `{near}`?")) }
}
