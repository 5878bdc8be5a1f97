//! Reads the commonest rules without the grammar: one action, services and places alone or in braces, of the options a source port.
//! Long policies are made of such lines, and pest takes fifteen times as long for one. Whatever is not plainly of this form is left to
//! the grammar, faults above all; a test holds that both give the same tree for whatever is read here.

use smallvec::smallvec;
use thin_vec::{ThinVec, thin_vec};

use crate::net::{Family, PortRange, Protocol};
use crate::span::{FileId, Location, Span, Spanned};
use crate::syntax::grammar::RESERVED;
use crate::syntax::tree::{
    Action, Beside, Clauses, Few, Item, Name, One, Place, Ports, Rule as PolicyRule, RuleOption, Sentence, Statement,
    StatementKind, Who,
};
use crate::syntax::values;

/// The words of a statement, one ahead.
struct Words<'t> {
    text: &'t str,
    base: usize,
    /// The word that comes next, and where it stands in the file.
    next: Option<(&'t str, Span)>,
    at: usize,
    /// Whether a byte was met that only the grammar knows what to do with.
    strange: bool,
}

impl<'t> Words<'t> {
    fn new(text: &'t str, base: usize) -> Self {
        let mut words = Self { text, base, next: None, at: 0, strange: false };
        words.advance();
        words
    }

    fn advance(&mut self) {
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(self.at), Some(b' ' | b'\t')) {
            self.at += 1;
        }
        let start = self.at;
        while let Some(byte) = bytes.get(self.at) {
            match byte {
                b'a'..=b'z'
                | b'A'..=b'Z'
                | b'0'..=b'9'
                | b'-'
                | b'_'
                | b'.'
                | b':'
                | b'/'
                | b'+'
                | b'*'
                | b'@'
                | b'%' => {}
                b'{' | b'}' | b',' => {
                    self.at += usize::from(self.at == start);
                    break;
                }
                b' ' | b'\t' => break,
                _ => {
                    self.strange = true;
                    break;
                }
            }
            self.at += 1;
        }
        let word = self.text.get(start..self.at).filter(|word| !word.is_empty());
        self.next = word.map(|word| (word, Span::new(self.base + start, self.base + self.at)));
    }

    fn peek(&self) -> Option<&'t str> {
        self.next.map(|(word, _)| word)
    }

    fn take(&mut self) -> Option<(&'t str, Span)> {
        let word = self.next?;
        self.advance();
        Some(word)
    }

    /// Takes the next word if it is this one.
    fn skip(&mut self, keyword: &str) -> bool {
        let found = self.peek() == Some(keyword);
        if found {
            self.advance();
        }
        found
    }

    /// Reads a list in braces, whose first is the next word.
    fn list<T>(&mut self, mut member: impl FnMut(&mut Self) -> Option<T>) -> Option<(Few<T>, Span)> {
        let (_, open) = self.take()?;
        let mut members = Few::new();
        loop {
            members.push(member(self)?);
            let comma = self.skip(",");
            if self.peek() == Some("}") {
                let (_, close) = self.take()?;
                return Some((members, open.to(close)));
            }
            if !comma {
                return None;
            }
        }
    }
}

/// For each first letter the lengths of the reserved words that begin with it, a bit for each length: nearly every other word is told
/// from them by that alone.
static RESERVED_LENGTHS: [u32; 256] = {
    let mut lengths = [0; 256];
    let mut at = 0;
    while at < RESERVED.len() {
        let word = RESERVED[at].as_bytes();
        lengths[word[0] as usize] |= 1 << word.len();
        at += 1;
    }
    lengths
};

fn is_reserved(word: &str) -> bool {
    let lengths = word.bytes().next().and_then(|first| RESERVED_LENGTHS.get(usize::from(first)));
    lengths.is_some_and(|lengths| word.len() < 32 && lengths >> word.len() & 1 == 1) && RESERVED.contains(&word)
}

/// A name of the policy, as the grammar's `name` without quotes.
fn is_name(word: &str) -> bool {
    word.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_') && is_machine(word)
}

fn is_machine(word: &str) -> bool {
    word.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        && !is_reserved(word)
}

fn is_card(word: &str) -> bool {
    let stem = word.strip_suffix(['+', '*']).unwrap_or(word);
    stem.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && stem.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'@'))
        && !is_reserved(word)
}

/// The rule in `text`, if it is of the simple form; `base` is where it begins, `span` what the statement covers.
pub(super) fn rule(text: &str, base: usize, span: Span) -> Option<Statement> {
    let mut words = Words::new(text, base);
    let (action, action_span) = words.take()?;
    let action = match action {
        "allow" => Action::Allow,
        "deny" => Action::Deny,
        "reject" => Action::Reject(None),
        "log" => Action::Log,
        _ => return None,
    };
    let family = match words.peek() {
        Some("ipv4") => Some(Family::Ipv4),
        Some("ipv6") => Some(Family::Ipv6),
        _ => None,
    };
    let family = family.and_then(|family| Some(Spanned::new(family, words.take()?.1)));
    let what = match words.peek() {
        None | Some("from" | "to" | "via" | "source") => Few::new(),
        Some("{") => words.list(item)?.0,
        Some(_) => smallvec![item(&mut words)?],
    };
    let from = if words.skip("from") { Some(Box::new(who(&mut words)?)) } else { None };
    let to = if words.skip("to") { Some(Box::new(who(&mut words)?)) } else { None };
    let via = if words.skip("via") {
        let (word, at) = words.take().filter(|(word, _)| is_card(word))?;
        thin_vec![Name::new(word.into(), at)]
    } else {
        ThinVec::new()
    };
    let options = if words.peek() == Some("source") { thin_vec![source_port(&mut words)?] } else { ThinVec::new() };
    if words.next.is_some() || words.strange {
        return None;
    }
    let sentence = Sentence { family, what, clauses: Clauses { from, to, via } };
    let rule = PolicyRule { action: Spanned::new(action, action_span), sentence, options };
    Some(Statement::new(StatementKind::Rule(Box::new(rule)), span))
}

fn item(words: &mut Words<'_>) -> Option<Spanned<Item>> {
    let (word, at) = words.take()?;
    let protocol = match word {
        "tcp" => Protocol::TCP,
        "udp" => Protocol::UDP,
        "sctp" => Protocol::SCTP,
        "icmp" => return Some(icmp(words, at)),
        _ => return is_name(word).then(|| Spanned::new(Item::Name(word.into()), at)),
    };
    let digit = words.peek().and_then(|word| word.bytes().next()).is_some_and(|byte| byte.is_ascii_digit());
    if !digit {
        return Some(Spanned::new(Item::Ports { protocol, ports: Ports::default() }, at));
    }
    let (range, end) = ports(words)?;
    Some(Spanned::new(Item::Ports { protocol, ports: Ports::One([range]) }, at.to(end)))
}

/// A port or a range of them.
fn ports(words: &mut Words<'_>) -> Option<(PortRange, Span)> {
    let (word, at) = words.take().filter(|(word, _)| word.starts_with(|letter: char| letter.is_ascii_digit()))?;
    Some((values::ports(word, nowhere()).ok()?, at))
}

/// ICMP, perhaps of one type; `at` is where its name stands.
fn icmp(words: &mut Words<'_>, at: Span) -> Spanned<Item> {
    let is_type = |word: &str| {
        word == "redirect"
            || word.starts_with(|letter: char| letter.is_ascii_alphabetic())
                && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && !is_reserved(word)
    };
    match words.next.filter(|(word, _)| is_type(word)) {
        Some((word, end)) => {
            words.advance();
            Spanned::new(Item::Icmp(Some(word.into())), at.to(end))
        }
        None => Spanned::new(Item::Icmp(None), at),
    }
}

/// `source port 1024-65535`.
fn source_port(words: &mut Words<'_>) -> Option<Spanned<RuleOption>> {
    let (_, at) = words.take()?;
    if !words.skip("port") {
        return None;
    }
    let (range, end) = ports(words)?;
    Some(Spanned::new(RuleOption::SourcePort(Ports::One([range])), at.to(end)))
}

fn who(words: &mut Words<'_>) -> Option<Who> {
    let (members, span) = if words.peek() == Some("{") {
        words.list(|words| Some(one(words)?.0))?
    } else {
        let (one, span) = one(words)?;
        (smallvec![one], span)
    };
    Some(Who { span, negated: false, members })
}

/// A place, perhaps with its card, and all that it covers.
fn one(words: &mut Words<'_>) -> Option<(One, Span)> {
    let (mut word, mut at) = words.take()?;
    let begin = at;
    let negated = word == "not";
    if negated {
        (word, at) = words.take()?;
    }
    let mut span = at;
    let mut named = |words: &mut Words<'_>| {
        let (name, at) = words.next.filter(|(word, _)| is_machine(word))?;
        words.advance();
        span = span.to(at);
        Some(Box::new(Name::new(name.into(), at)))
    };
    let place = match word {
        "any" => Place::Any,
        "world" => Place::World,
        "host" => Place::Host(None),
        "container" => Place::Container(named(words)),
        "guest" => Place::Guest(named(words)),
        "instance" => Place::Instance(named(words)),
        _ if is_name(word) => Place::Name(word.into()),
        _ if is_reserved(word) => return None,
        _ => match values::address(word, nowhere()) {
            Ok((range, None)) => Place::Address(range.into()),
            // A warning is for the other reader to tell.
            _ => return None,
        },
    };
    let place = Spanned::new(place, span);
    let on = if words.skip("on") {
        let (word, at) = words.take().filter(|(word, _)| is_card(word))?;
        span = span.to(at);
        thin_vec![Name::new(word.into(), at)]
    } else {
        ThinVec::new()
    };
    Some((One::new(place, Beside { negated, on, ..Beside::default() }), begin.to(span)))
}

/// A place for diagnostics that are thrown away: the grammar's reader makes them again.
fn nowhere() -> Location {
    Location { file: FileId(0), span: Span::default() }
}
