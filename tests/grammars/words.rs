//! What the compiler's grammar takes each word of a text for.

use std::ops::Range;

use fwc::syntax::cuts::{Ending, Part, cuts};
use pest::Parser as _;
use pest::iterators::Pair;

/// The grammar of the compiler, read anew.
#[derive(pest_derive::Parser)]
#[grammar = "grammar/fwc.pest"]
struct Grammar;

/// What a word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    Keyword,
    Name,
    /// A number, an address, a port, a rate, a time.
    Value,
    Text,
    Comment,
    /// Netfilter's own words.
    Raw,
    /// `{`, `}`, `,`, `=`.
    Mark,
}

/// The words of a text, with their places.
pub fn words(text: &str) -> Vec<(Range<usize>, &str)> {
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let white = |letter: char| letter.is_ascii_whitespace() || letter == '\u{feff}';
        let stop = |letter: char| white(letter) || matches!(letter, '"' | '{' | '}' | ',' | '=' | '#');
        let first = rest.chars().next().unwrap_or(' ');
        let length = match first {
            _ if white(first) => {
                at += first.len_utf8();
                continue;
            }
            '#' => rest.find('\n').unwrap_or(rest.len()),
            '"' => rest[1..].find(['"', '\n']).map_or(rest.len(), |end| end + 2),
            '{' | '}' | ',' | '=' => 1,
            _ => rest.find(stop).unwrap_or(rest.len()),
        };
        words.push((at..at + length, &rest[..length]));
        at += length;
    }
    words
}

/// What the compiler takes each word for that it can read.
pub fn classes(text: &str) -> Vec<(Range<usize>, Class)> {
    let mut classes = Vec::new();
    let mut raw: Vec<Range<usize>> = Vec::new();
    let mut statements = Vec::new();
    for part in cuts(text) {
        let Part::Statement { range, ending, read } = part else { continue };
        if let Ending::Raw { lines, .. } = ending {
            raw.extend(lines);
        }
        statements.push((
            range.clone(),
            if read { statement(&text[range.clone()], range.start) } else { Vec::new() },
            read,
        ));
    }
    for (place, word) in words(text) {
        let inside = |range: &&Range<usize>| range.start <= place.start && place.end <= range.end;
        let class = match word.as_bytes()[0] {
            _ if raw.iter().any(|line| inside(&line)) => Class::Raw,
            b'#' => Class::Comment,
            b'{' | b'}' | b',' | b'=' => Class::Mark,
            first => {
                let Some((_, found, true)) = statements.iter().find(|(range, ..)| inside(&range)) else { continue };
                match found.iter().find(|(range, _)| *range == place) {
                    _ if first == b'"' => Class::Text,
                    Some((_, class)) => *class,
                    None => Class::Keyword,
                }
            }
        };
        classes.push((place, class));
    }
    classes
}

/// The names and values of a statement; what is neither is a keyword.
fn statement(text: &str, base: usize) -> Vec<(Range<usize>, Class)> {
    let gate =
        text.strip_prefix("in").or_else(|| text.strip_prefix("out")).filter(|rest| rest.starts_with([' ', '\t']));
    let inner = gate.map_or(text, str::trim_start);
    let base = base + text.len() - inner.len();
    let lines = Rule::all_rules().iter().filter(|rule| {
        let name = format!("{rule:?}");
        name.ends_with("_line") || name.ends_with("_head")
    });
    let mut found = Vec::new();
    let pairs = lines.filter_map(|&rule| Grammar::parse(rule, inner).ok()).next().expect("it can be read");
    for pair in pairs {
        collect(pair, base, &mut found);
    }
    found
}

fn collect(pair: Pair<'_, Rule>, base: usize, found: &mut Vec<(Range<usize>, Class)>) {
    let span = pair.as_span();
    let text = span.as_str().trim_end();
    let place = base + span.start()..base + span.start() + text.len();
    let digits = text.starts_with(|letter: char| letter.is_ascii_digit());
    match pair.as_rule() {
        Rule::name
        | Rule::machine
        | Rule::card
        | Rule::place_name
        | Rule::service_name
        | Rule::icmp_name
        | Rule::fact_path
        | Rule::day => found.push((place, Class::Name)),
        Rule::word | Rule::protocol_word => found.push((place, if digits { Class::Value } else { Class::Name })),
        Rule::address | Rule::number | Rule::rate | Rule::mac_address | Rule::port | Rule::times => {
            found.push((place, Class::Value));
        }
        _ => pair.into_inner().for_each(|inner| collect(inner, base, found)),
    }
}

/// The words that are names only in quotes, as the compiler's grammar lists them.
pub fn reserved() -> Vec<String> {
    let grammar = super::read("grammar/fwc.pest");
    let (_, rest) = grammar.split_once("reserved = _{ (").expect("the list");
    let (list, _) = rest.split_once(") ~").expect("its end");
    list.split('|').map(|word| word.trim().trim_matches('"').to_owned()).collect()
}
