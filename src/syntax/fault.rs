//! Why a statement could not be read, in the words of the field, and how to mend it. The grammar says how far it came; the
//! words there say what was meant. Every edit that is offered was tried first: the statement that it makes can be read.

use pest::Parser;
use pest::error::{Error, ErrorVariant, InputLocation};
use std::ops::Range;

use crate::diagnostic::{Code, Diagnostic, Level};
use crate::span::{FileId, Location, Span};
use crate::syntax::blocks::{MISPLACED, UNCLOSED_BRACE, split_word};
use crate::syntax::grammar::{Grammar, RESERVED, Rule, STATEMENTS, rule_of};
use crate::syntax::values::{nearest, shown};

pub(super) static UNKNOWN_STATEMENT: Code = Code {
    number: "FW0009",
    name: "unknown-statement",
    level: Level::Error,
    summary: "a line that begins with a word no statement begins with",
    explanation: "\
The first word of a line says what kind of statement it is: `allow`, `deny`, `reject`, `log`, `default`, `assert`, `set`, `interface`,
`service`, `group`, `guest`, `masquerade`, `forward` and so on. This one is none of them. All words are written in lower case.

    accept ssh from office to host       # the word of iptables
    allow ssh from office to host

`deny` is what others call `drop` or `block`; `reject` is a deny with an answer. Lines of iptables or nft go into a `chain` block.
",
};

pub(super) static UNEXPECTED: Code = Code {
    number: "FW0011",
    name: "unexpected-word",
    level: Level::Error,
    summary: "something else was expected at this place of a statement",
    explanation: "\
The statement began well, and then something came that cannot stand there. The message points at it and says what was expected.

A rule reads: the action, the service, `from` whom, `to` whom, `via` which interface, then options.

    allow tcp 443 from 10.1.1.1 to container via ens33 limit 10/minute log \"web \"
",
};

pub(super) static STRAY_WORDS: Code = Code {
    number: "FW0012",
    name: "stray-words",
    level: Level::Error,
    summary: "words left over behind a complete statement",
    explanation: "\
The statement was complete, and there are still words on the line. One statement stands on one line; options have names (`limit`, `log`,
`during`, `source port`, `comment`, `early`); a remark begins with `#`.

    allow ssh from office to host for the admins
    allow ssh from office to host           # for the admins
",
};

pub(super) static CLAUSE_ORDER: Code = Code {
    number: "FW0013",
    name: "clause-order",
    level: Level::Error,
    summary: "parts of a sentence that stand in another order than all others",
    explanation: "\
A sentence has one order: service, `from`, `to`, `via`, then options. With one order, two rules can be compared by reading down a column,
and a search finds every rule of a kind.

    allow ssh to host from office
    allow ssh from office to host
",
};

pub(super) static CLAUSE_TWICE: Code = Code {
    number: "FW0014",
    name: "clause-twice",
    level: Level::Error,
    summary: "a `from`, `to` or `via` that is given twice",
    explanation: "\
Each clause stands once. Two of them could mean either or both, and a firewall must not guess. Several places are a list.

    allow ssh from office from vpn to host
    allow ssh from { office, vpn } to host
",
};

pub(super) static KEYWORD_AS_NAME: Code = Code {
    number: "FW0015",
    name: "keyword-as-name",
    level: Level::Error,
    summary: "a word of the language where a name is expected",
    explanation: "\
Words that begin a statement, a clause, a place or an option are names only in quotes. That keeps a policy from changing its meaning
because somebody called a container `host`.

    set limit = { 10.0.0.0/8 }
    set \"limit\" = { 10.0.0.0/8 }

The quotes are needed wherever the name is used. Another name is often better.
",
};

pub(super) static EMPTY_LIST: Code = Code {
    number: "FW0016",
    name: "empty-list",
    level: Level::Error,
    summary: "a list with nothing in it",
    explanation: "\
`{ }` holds nothing, so a rule with it would match nothing: an allow that allows nobody, or worse, a deny that denies nobody. For everyone
write `any`; for a set that is filled at run time declare it `live`.

    allow ssh from { } to host
    set banned live
    deny from banned to host
",
};

pub(super) static LIST_MARKS: Code = Code {
    number: "FW0017",
    name: "list-punctuation",
    level: Level::Error,
    summary: "a comma or brace missing or too many in a list",
    explanation: "\
Several of a kind stand in braces with commas between them. A comma behind the last is allowed, and a list may go on over several lines.
Ports behind a protocol need no braces of their own: `tcp 80, 443`.

    allow ssh from office, vpn to host
    allow ssh from { office, vpn } to host
    allow { tcp 80, 443, udp 53 } to host        # TCP 80 and 443, UDP 53
",
};

pub(super) static FOREIGN_WORD: Code = Code {
    number: "FW0019",
    name: "foreign-word",
    level: Level::Error,
    summary: "a way of writing that belongs to another firewall",
    explanation: "\
The statement is written as iptables, nft, ufw or pf would have it. What it says is understood, but the language has one way for it.

| others write | here |
|---|---|
| `port 443`, `dport 443`, `443/tcp` | `tcp 443` |
| `src 10.1.1.1`, `saddr 10.1.1.1` | `from 10.1.1.1` |
| `dst …`, `daddr …`, `->` | `to …` |
| `! office` | `not office` |
| `sport 1024` | `source port 1024`, behind the clauses |
| a `;` at the end | nothing |
",
};

pub(super) static NO_PORTS_HERE: Code = Code {
    number: "FW0028",
    name: "ports-without-port-protocol",
    level: Level::Error,
    summary: "ports behind a protocol or service that has none",
    explanation: "\
Only `tcp`, `udp` and `sctp` are followed by ports. ICMP has types with names, other protocols have neither, and a service knows its ports
already.

    allow icmp 8 to host
    allow icmp echo-request to host
    allow protocol gre 47 to host          # 47 is what gre is
    allow ssh 2222 to host
    allow tcp 2222 to host
",
};

/// Statements above this length get the plain message: every edit is tried by reading the statement again.
const LONGEST_TRIED: usize = 16 << 10;

/// A word, string or mark of a statement.
struct Token {
    range: Range<usize>,
    /// How many braces are open around it; of a brace itself, outside of it.
    depth: usize,
}

struct Case<'t> {
    rule: Rule,
    text: &'t str,
    base: usize,
    file: FileId,
    tokens: Vec<Token>,
    /// The token at which the grammar gave up; the number of tokens if the line ended too early.
    at: usize,
}

/// An edit inside of the statement: what to replace, and by what.
type Change = (Range<usize>, String);

impl Case<'_> {
    fn location(&self, range: Range<usize>) -> Location {
        Location { file: self.file, span: Span::new(self.base + range.start, self.base + range.end) }
    }

    fn text_of(&self, index: usize) -> &str {
        self.tokens.get(index).and_then(|token| self.text.get(token.range.clone())).unwrap_or_default()
    }

    fn found(&self) -> &str {
        self.text_of(self.at)
    }

    fn before(&self) -> &str {
        self.at.checked_sub(1).map_or("", |index| self.text_of(index))
    }

    fn range_of(&self, index: usize) -> Range<usize> {
        let end = self.text.len();
        self.tokens.get(index).map_or(end..end, |token| token.range.clone())
    }

    fn depth_of(&self, index: usize) -> usize {
        self.tokens.get(index).map_or(0, |token| token.depth)
    }

    /// The place of the token at fault, or the end of the statement.
    fn place(&self) -> Location {
        let range = self.range_of(self.at);
        if range.is_empty() {
            // The last word, so that there is something to underline.
            return self.location(self.range_of(self.at.saturating_sub(1)));
        }
        self.location(range)
    }

    fn fits(&self, (range, with): &Change) -> bool {
        if self.text.len() > LONGEST_TRIED {
            return false;
        }
        let (Some(head), Some(tail)) = (self.text.get(..range.start), self.text.get(range.end..)) else { return false };
        Grammar::parse(self.rule, &format!("{head}{with}{tail}")).is_ok()
    }

    /// The edit, if the statement can be read with it.
    fn try_replace(&self, range: Range<usize>, with: impl Into<String>) -> Option<Change> {
        let change = (range, with.into());
        self.fits(&change).then_some(change)
    }

    fn try_token(&self, index: usize, with: impl Into<String>) -> Option<Change> {
        self.tokens.get(index)?;
        self.try_replace(self.range_of(index), with)
    }

    /// Takes a token and the space behind it out.
    fn try_without(&self, index: usize) -> Option<Change> {
        self.tokens.get(index)?;
        let start = self.range_of(index).start;
        let end = if index + 1 < self.tokens.len() { self.range_of(index + 1).start } else { self.text.len() };
        self.try_replace(start..end, "")
    }

    fn fix(&self, diagnostic: Diagnostic, message: impl Into<String>, change: Change) -> Diagnostic {
        diagnostic.fix(message, self.location(change.0), change.1)
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let (mut at, mut depth) = (0, 0usize);
    while let Some(&byte) = bytes.get(at) {
        let rest = bytes.get(at + 1..).unwrap_or_default();
        let length = match byte {
            b' ' | b'\t' | b'\r' | b'\n' => {
                at += 1;
                continue;
            }
            b'#' => {
                at += 1 + rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
                continue;
            }
            b'"' => 2 + rest.iter().position(|&byte| byte == b'"').unwrap_or(rest.len().saturating_sub(1)),
            b'{' | b'}' | b',' | b'=' => 1,
            _ => {
                1 + rest
                    .iter()
                    .position(|byte| {
                        matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'"' | b'{' | b'}' | b',' | b'=' | b'#')
                    })
                    .unwrap_or(rest.len())
            }
        };
        depth = depth.saturating_sub(usize::from(byte == b'}'));
        tokens.push(Token { range: at..at + length, depth });
        depth += usize::from(byte == b'{');
        at += length;
    }
    tokens
}

/// Says why `text`, which `rule` was to read, could not be read.
pub(super) fn explain(rule: Rule, text: &str, base: usize, file: FileId, error: &Error<Rule>) -> Diagnostic {
    let position = match error.location {
        InputLocation::Pos(at) | InputLocation::Span((at, _)) => at,
    };
    let tokens = tokens(text);
    let at = tokens.partition_point(|token| token.range.end <= position);
    let case = Case { rule, text, base, file, tokens, at };
    let positives: &[Rule] = match &error.variant {
        ErrorVariant::ParsingError { positives, .. } => positives,
        ErrorVariant::CustomError { .. } => &[],
    };
    empty_list(&case)
        .or_else(|| clause_twice(&case))
        .or_else(|| clause_order(&case))
        .or_else(|| foreign(&case))
        .or_else(|| keyword_as_name(&case))
        .or_else(|| no_ports(&case))
        .or_else(|| list_marks(&case))
        .or_else(|| misspelt(&case))
        .unwrap_or_else(|| unexpected(&case, positives))
}

fn empty_list(case: &Case<'_>) -> Option<Diagnostic> {
    if case.found() != "}" || case.before() != "{" {
        return None;
    }
    let whole = case.range_of(case.at - 1).start..case.range_of(case.at).end;
    Some(
        Diagnostic::new(&EMPTY_LIST, case.location(whole), "this list is empty")
            .label("expected at least one member")
            .help("write `any` for everyone, or take the statement out"),
    )
}

fn is_clause(word: &str) -> bool {
    matches!(word, "from" | "to" | "via")
}

/// Where a word stands in a sentence: the higher, the further to the right.
fn rank(word: &str) -> Option<u8> {
    Some(match word {
        "from" => 1,
        "to" => 2,
        "via" => 3,
        "as" | "port" => 4,
        "limit" | "log" | "during" | "source" | "comment" | "early" => 5,
        _ => return None,
    })
}

fn is_sentence(rule: Rule) -> bool {
    matches!(
        rule,
        Rule::rule_line
            | Rule::default_line
            | Rule::assert_line
            | Rule::change_line
            | Rule::masquerade_line
            | Rule::forward_line
            | Rule::redirect_line
            | Rule::scope_head
    )
}

/// The clauses and options of a sentence: the token that each begins with, its rank, and where its text begins.
fn parts(case: &Case<'_>) -> Vec<(usize, u8)> {
    let head = match case.rule {
        Rule::scope_head => 0,
        Rule::default_line | Rule::assert_line => 2,
        _ => 1,
    };
    (head..case.tokens.len())
        .filter(|&index| case.depth_of(index) == 0)
        .filter(|&index| {
            let last = index.checked_sub(1).map_or("", |before| case.text_of(before));
            !(case.text_of(index) == "port" && matches!(last, "source" | "to"))
        })
        .filter_map(|index| rank(case.text_of(index)).map(|rank| (index, rank)))
        .collect()
}

fn clause_twice(case: &Case<'_>) -> Option<Diagnostic> {
    let word = case.found();
    if !is_sentence(case.rule) || !is_clause(word) || case.depth_of(case.at) > 0 {
        return None;
    }
    let parts = parts(case);
    let first = parts.iter().position(|&(index, _)| index < case.at && case.text_of(index) == word)?;
    let second = parts.iter().position(|&(index, _)| index == case.at)?;
    let part = |which: usize| -> Option<Range<usize>> {
        let start = case.range_of(parts.get(which)?.0).end;
        let end = parts.get(which + 1).map_or(case.text.len(), |&(next, _)| case.range_of(next).start);
        Some(start..end)
    };
    let (first_range, second_range) = (case.range_of(parts.get(first)?.0), case.range_of(case.at));
    let mut diagnostic =
        Diagnostic::new(&CLAUSE_TWICE, case.location(second_range.clone()), format!("`{word}` is given twice"))
            .label("a second time here")
            .related(case.location(first_range.clone()), "first here");
    let (a, b) = (part(first)?, part(second)?);
    let members = |range: &Range<usize>| {
        let text = case.text.get(range.clone()).unwrap_or_default().trim();
        let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(text);
        inner.trim().trim_end_matches(',').trim_end().to_owned()
    };
    let between = case.text.get(a.end..second_range.start).unwrap_or_default();
    let rest = case.text.get(b.end..).unwrap_or_default();
    let merged = format!(" {{ {}, {} }} {between}{rest}", members(&a), members(&b));
    if let Some(change) = case.try_replace(a.start..case.text.len(), merged.trim_end()) {
        diagnostic = case.fix(diagnostic, "put both into one list", change);
    }
    Some(diagnostic)
}

fn clause_order(case: &Case<'_>) -> Option<Diagnostic> {
    if !is_sentence(case.rule) || case.depth_of(case.at) > 0 || case.at >= case.tokens.len() {
        return None;
    }
    let word = case.found();
    let parts = parts(case);
    let before = parts.iter().take_while(|&&(index, _)| index < case.at).last().copied();
    let first = parts.first()?.0;
    let start = case.range_of(first).start;
    let piece = |which: usize| -> Option<(u8, &str)> {
        let &(index, rank) = parts.get(which)?;
        let end = parts.get(which + 1).map_or(case.text.len(), |&(next, _)| case.range_of(next).start);
        Some((rank, case.text.get(case.range_of(index).start..end)?.trim()))
    };
    if let Some(mine) = rank(word)
        && let Some(&(later, _)) = parts.iter().find(|&&(index, rank)| index < case.at && rank > mine)
    {
        let mut pieces: Vec<(u8, &str)> = (0..parts.len()).filter_map(piece).collect();
        pieces.sort_by_key(|&(rank, _)| rank);
        let sorted: Vec<&str> = pieces.into_iter().map(|(_, text)| text).collect();
        let other = case.text_of(later);
        let diagnostic =
            Diagnostic::new(&CLAUSE_ORDER, case.place(), format!("`{word}` stands before `{other}`, not behind it"))
                .label(format!("this `{word}` comes too late"))
                .related(case.location(case.range_of(later)), format!("`{other}` is here"));
        return Some(match case.try_replace(start..case.text.len(), sorted.join(" ")) {
            Some(change) => case.fix(diagnostic, "put them in order", change),
            None => diagnostic.help("the order is: service, `from`, `to`, `via`, then options"),
        });
    }
    // A service behind a clause: everything up to the next clause moves in front of the first.
    before?;
    let end = parts
        .iter()
        .find(|&&(index, _)| index > case.at)
        .map_or(case.text.len(), |&(next, _)| case.range_of(next).start);
    let found = case.range_of(case.at);
    let service = case.text.get(found.start..end)?.trim();
    let (clauses, rest) = (case.text.get(start..found.start)?, case.text.get(end..)?);
    let change = case.try_replace(start..case.text.len(), format!("{service} {}{rest}", clauses).trim_end())?;
    Some(
        case.fix(
            Diagnostic::new(
                &CLAUSE_ORDER,
                case.location(found.start..found.start + service.len()),
                format!("the service `{}` stands before the clauses", shown(service)),
            )
            .label("this comes too late"),
            "put it in front",
            change,
        ),
    )
}

fn foreign(case: &Case<'_>) -> Option<Diagnostic> {
    let told = |index: usize, message: String, help: &str, change: Change| {
        let diagnostic = Diagnostic::new(&FOREIGN_WORD, case.location(case.range_of(index)), message);
        Some(case.fix(diagnostic, help, change))
    };
    let candidates = [Some(case.at), case.at.checked_sub(1)];
    for index in candidates.into_iter().flatten().filter(|&index| index > 0 || case.at == 0) {
        let word = case.text_of(index);
        if word.is_empty() || word.starts_with('"') {
            continue;
        }
        if let Some(plain) = word.strip_suffix(';') {
            let change = case.try_token(index, plain).or_else(|| case.try_token(index, format!("{plain},")));
            if let Some(change) = change {
                return told(index, "no `;` is needed".into(), "leave it out", change);
            }
        }
        if let Some(plain) = word.strip_prefix('!')
            && let Some(change) = case.try_token(index, format!("not {plain}").trim_end())
        {
            return told(index, format!("`{}` is written with `not`", shown(word)), "write `not`", change);
        }
        let instead = match word {
            "->" | "=>" | ">" | "dst" | "daddr" | "dest" | "destination" | "-d" => Some("to"),
            "src" | "saddr" | "source" | "-s" => Some("from"),
            "iif" | "iifname" | "oif" | "oifname" | "-i" | "-o" | "dev" => Some("via"),
            "and" | "or" | "&" | "&&" | "|" | "||" => Some(","),
            "proto" => Some("protocol"),
            "icmpv6" | "icmp6" => Some("ipv6 icmp"),
            "icmpv4" | "icmp4" => Some("ipv4 icmp"),
            _ => None,
        };
        if let Some(instead) = instead
            && let Some(change) = case.try_token(index, instead)
        {
            return told(
                index,
                format!("`{word}` is not a word here: it is `{instead}`"),
                &format!("write `{instead}`"),
                change,
            );
        }
        if matches!(word, "and" | "or" | "&" | "&&" | "|" | "||") && index > 0 {
            let (left, right) = (case.text_of(index - 1), case.text_of(index + 1));
            let range = case.range_of(index - 1).start..case.range_of(index + 1).end;
            if let Some(change) = case.try_replace(range, format!("{{ {left}, {right} }}")) {
                return told(index, "several of a kind are a list in braces".into(), "write a list", change);
            }
        }
        if matches!(word, "port" | "ports" | "dport" | "dports" | "--dport" | "--dports" | "-p" | "proto" | "th") {
            if let Some(change) = case.try_without(index) {
                return told(
                    index,
                    format!("`{word}` is not needed: ports follow the protocol"),
                    "leave it out",
                    change,
                );
            }
            if let Some(change) = case.try_token(index, "tcp") {
                let diagnostic = Diagnostic::new(
                    &FOREIGN_WORD,
                    case.location(case.range_of(index)),
                    format!("`{word}` does not say of which protocol"),
                )
                .label("expected `tcp` or `udp` in front of the port");
                let udp = case.try_token(index, "udp");
                let diagnostic = case.fix(diagnostic, "write `tcp`", change);
                return Some(match udp {
                    Some(change) => case.fix(diagnostic, "or `udp`", change),
                    None => diagnostic,
                });
            }
        }
        if matches!(word, "sport" | "sports" | "--sport") && index > 0 {
            let diagnostic = Diagnostic::new(
                &FOREIGN_WORD,
                case.location(case.range_of(index)),
                format!("`{word}` is written `source port`"),
            );
            return Some(match case.try_token(index, "source port") {
                Some(change) => case.fix(diagnostic, "write `source port`", change),
                None => {
                    diagnostic.help("it is an option and stands behind the clauses: `… to host source port 1024-65535`")
                }
            });
        }
        if let Some((first, second)) = word.split_once('/') {
            let (port, protocol) = if is_number(first) { (first, second) } else { (second, first) };
            if is_number(port) && matches!(protocol, "tcp" | "udp" | "sctp") {
                let right = format!("{protocol} {port}");
                if let Some(change) = case.try_token(index, &*right) {
                    return told(
                        index,
                        format!("`{}` is written `{right}`", shown(word)),
                        "write the protocol first",
                        change,
                    );
                }
            }
        }
        if index == case.at
            && is_number(word)
            && let Some(change) = case.try_token(index, format!("tcp {word}"))
        {
            let diagnostic = Diagnostic::new(
                &FOREIGN_WORD,
                case.location(case.range_of(index)),
                format!("`{}` alone is not a service", shown(word)),
            )
            .label("expected `tcp` or `udp` in front of a port");
            return Some(case.fix(
                case.fix(diagnostic, "write `tcp`", change),
                "or `udp`",
                (case.range_of(index), format!("udp {word}")),
            ));
        }
        if matches!(word, "-" | ":" | "..") && index > 0 {
            let range = case.range_of(index - 1).start..case.range_of(index + 1).end;
            let joined = format!("{}-{}", case.text_of(index - 1), case.text_of(index + 1));
            if let Some(change) = case.try_replace(range, joined) {
                return told(index, "a range is written without spaces".into(), "write it in one word", change);
            }
        }
    }
    None
}

fn is_number(word: &str) -> bool {
    word.bytes().next().is_some_and(|byte| byte.is_ascii_digit())
        && word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
}

fn keyword_as_name(case: &Case<'_>) -> Option<Diagnostic> {
    let word = case.found();
    if !RESERVED.contains(&word) {
        return None;
    }
    let change = case.try_token(case.at, format!("\"{word}\""))?;
    Some(case.fix(
        Diagnostic::new(&KEYWORD_AS_NAME, case.place(), format!("`{word}` is a keyword, and a name is expected here")),
        format!("put it in quotes if it is the name: `\"{word}\"`"),
        change,
    ))
}

fn no_ports(case: &Case<'_>) -> Option<Diagnostic> {
    let ports = case.found();
    if !is_number(ports) {
        return None;
    }
    let before = case.before();
    let earlier = case.at.checked_sub(2).map_or("", |index| case.text_of(index));
    let diagnostic = |message: String| Diagnostic::new(&NO_PORTS_HERE, case.place(), message);
    if before == "icmp" {
        let name = match ports {
            "0" => Some("echo-reply"),
            "3" => Some("destination-unreachable"),
            "8" | "128" => Some("echo-request"),
            "11" => Some("time-exceeded"),
            _ => None,
        };
        let diagnostic = diagnostic("ICMP has no ports".into())
            .label("expected the name of a type, such as `echo-request`, or nothing");
        return Some(match name.and_then(|name| case.try_token(case.at, name)) {
            Some(change) => case.fix(diagnostic, "if the type of this number is meant, write its name", change),
            None => diagnostic,
        });
    }
    if earlier == "protocol" {
        let whole = case.range_of(case.at - 2).start..case.range_of(case.at - 1).end;
        let diagnostic = diagnostic(format!("`protocol {}` is not followed by ports", shown(before)));
        if matches!(before, "tcp" | "udp" | "sctp")
            && let Some(change) = case.try_replace(whole, before)
        {
            return Some(case.fix(diagnostic, format!("with ports, write `{before}` alone"), change));
        }
        return Some(match case.try_without(case.at) {
            Some(change) => case.fix(diagnostic, "leave the ports out", change),
            None => diagnostic,
        });
    }
    // A service by name, with ports behind it.
    if case.at < 1
        || RESERVED.contains(&before)
        || !before.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic())
    {
        return None;
    }
    let as_tcp =
        case.try_replace(case.range_of(case.at - 1).start..case.range_of(case.at).end, format!("tcp {ports}"))?;
    let without = case.try_without(case.at)?;
    let diagnostic = diagnostic(format!("the service `{}` has ports of its own", shown(before)))
        .label("expected no port behind the name of a service");
    Some(case.fix(case.fix(diagnostic, "leave the ports out", without), "or write them without the service", as_tcp))
}

fn list_marks(case: &Case<'_>) -> Option<Diagnostic> {
    let found = case.found();
    let marks = |message: &str| Diagnostic::new(&LIST_MARKS, case.place(), message);
    if found == "," {
        if case.depth_of(case.at) == 0
            && let Some(change) = in_braces(case, case.at)
        {
            return Some(case.fix(marks("several of a kind need braces around them"), "put them in braces", change));
        }
        if let Some(change) = case.try_token(case.at, "") {
            return Some(case.fix(marks("this comma is one too many"), "leave it out", change));
        }
        return None;
    }
    if case.before() == ","
        && case.depth_of(case.at) == 0
        && let Some(change) = in_braces(case, case.at - 1)
    {
        return Some(case.fix(marks("several of a kind need braces around them"), "put them in braces", change));
    }
    // Where a service is expected the grammar points at the one before the gap.
    let gap = (case.at..case.at + 16).find_map(|index| missing_comma(case, index));
    if let Some((index, change)) = gap {
        let place = case.location(case.range_of(index));
        let diagnostic = Diagnostic::new(&LIST_MARKS, place, "a comma is missing in front of this");
        return Some(case.fix(diagnostic, "put commas between the members", change));
    }
    (case.depth_of(case.at) > 0 && found == "{").then(|| {
        marks("a list cannot stand inside of a list")
            .help("write all members into one list, or give the inner one a name with `set`")
    })
}

/// Commas from the gap before the token at `at` to the end of its list.
fn missing_comma(case: &Case<'_>, at: usize) -> Option<(usize, Change)> {
    let before = at.checked_sub(1).map_or("", |index| case.text_of(index));
    if case.depth_of(at) == 0
        || at >= case.tokens.len()
        || matches!(before, "{" | ",")
        || matches!(case.text_of(at), "}" | "{" | ",")
    {
        return None;
    }
    let here = case.range_of(at).start;
    let after = case.range_of(at - 1).end;
    let change = case.try_replace(after..here, ", ").or_else(|| {
        // More than one may be missing.
        let commas = (at..case.tokens.len()).take_while(|&index| case.depth_of(index) > 0);
        let mut list = String::new();
        let mut end = after;
        for index in commas.take(64) {
            let range = case.range_of(index);
            if case.text_of(index) != "," {
                list.push_str(", ");
                list.push_str(case.text_of(index));
            }
            end = range.end;
        }
        case.try_replace(after..end, list)
    })?;
    Some((at, change))
}

/// Braces around the members that stand about the comma at `comma`: from some word before it to some word behind the last one.
fn in_braces(case: &Case<'_>, comma: usize) -> Option<Change> {
    let furthest = case.tokens.len().min(comma + 24);
    for first in (comma.saturating_sub(4)..comma).rev() {
        for last in (comma + 1..furthest).rev() {
            let range = case.range_of(first).start..case.range_of(last).end;
            let list = format!("{{ {} }}", case.text.get(range.clone())?);
            if let Some(change) = case.try_replace(range, list) {
                return Some(change);
            }
        }
    }
    None
}

/// Words that are no names and yet not reserved, for finding what was meant.
const OTHER_WORDS: [&str; 18] = [
    "user",
    "file",
    "live",
    "except",
    "level",
    "rate",
    "burst",
    "per",
    "connections",
    "address",
    "publish",
    "mss",
    "default-route",
    "nft",
    "iptables",
    "second",
    "minute",
    "hour",
];

fn misspelt(case: &Case<'_>) -> Option<Diagnostic> {
    let cannot = |index: usize, what: &str| {
        Diagnostic::new(
            &UNEXPECTED,
            case.location(case.range_of(index)),
            format!("{what} `{}`", shown(case.text_of(index))),
        )
    };
    if matches!(case.found(), "per" | "a") && case.at > 0 {
        let range = case.range_of(case.at - 1).start..case.range_of(case.at + 1).end;
        let rate = format!("{}/{}", case.before(), case.text_of(case.at + 1));
        if let Some(change) = case.try_replace(range, rate) {
            return Some(case.fix(
                cannot(case.at, "a rate is written with `/`, not with"),
                "write it in one word",
                change,
            ));
        }
    }
    if matches!(case.found(), ":" | ":=" | "==" | "is")
        || matches!(case.rule, Rule::set_line | Rule::interface_line | Rule::service_line)
    {
        let here = case.range_of(case.at).start;
        let change = case.try_token(case.at, "=").or_else(|| case.try_replace(here..here, "= "));
        if let Some(change) = change {
            return Some(case.fix(cannot(case.at, "a `=` is expected in front of"), "write `=`", change));
        }
    }
    for index in [Some(case.at), case.at.checked_sub(1)].into_iter().flatten().filter(|&index| index > 0) {
        let word = case.text_of(index);
        let known = RESERVED.iter().chain(&OTHER_WORDS).copied().filter(|&known| known != word);
        let Some(meant) = nearest(word, known) else { continue };
        let Some(change) = case.try_token(index, meant) else { continue };
        return Some(case.fix(
            Diagnostic::new(
                &UNEXPECTED,
                case.location(case.range_of(index)),
                format!("`{}` is not a word that can stand here", shown(word)),
            ),
            format!("did you mean `{meant}`?"),
            change,
        ));
    }
    None
}

fn unexpected(case: &Case<'_>, positives: &[Rule]) -> Diagnostic {
    let expected = expected(positives);
    let found = case.found();
    let before = case.before();
    if case.at >= case.tokens.len() {
        let message = match expected.as_str() {
            "" => "the line ends too early".to_owned(),
            expected => format!("the line ends, and {expected} is expected"),
        };
        let message = if message.len() < 100 { message } else { "the line ends too early".to_owned() };
        let mut diagnostic = Diagnostic::new(&UNEXPECTED, case.place(), message);
        diagnostic = diagnostic.label(format!("nothing follows `{}`", shown(before)));
        return with_form(case, diagnostic);
    }
    if positives.contains(&Rule::EOI) {
        let range = case.range_of(case.at).start..case.text.len();
        let without_eoi: Vec<Rule> = positives.iter().copied().filter(|&rule| rule != Rule::EOI).collect();
        let other = self::expected(&without_eoi);
        let mut diagnostic = Diagnostic::new(
            &STRAY_WORDS,
            case.location(range.clone()),
            format!("`{}` is left over behind a complete statement", shown(found)),
        );
        diagnostic = match other.as_str() {
            "" => diagnostic.label("expected the end of the line"),
            other => diagnostic.label(format!("expected {other}, or the end of the line")),
        };
        if case.rule == Rule::assert_line && rank(found) == Some(5) {
            return diagnostic.help("an assert says what must hold; options belong to rules");
        }
        // No edit takes the words out: what is left could be wider than what was meant.
        return diagnostic.help("behind a remark's `#` anything may stand; everything else has to be understood");
    }
    let diagnostic = match expected.as_str() {
        "" => Diagnostic::new(&UNEXPECTED, case.place(), format!("`{}` cannot stand here", shown(found))),
        expected => Diagnostic::new(&UNEXPECTED, case.place(), format!("`{}` cannot stand here", shown(found)))
            .label(format!("expected {expected}")),
    };
    with_form(case, diagnostic)
}

/// Adds how a statement of this kind is written.
fn with_form(case: &Case<'_>, diagnostic: Diagnostic) -> Diagnostic {
    let form = match case.rule {
        Rule::rule_line => "allow tcp 443 from 10.1.1.1 to container via ens33",
        Rule::default_line => "default deny to host",
        Rule::assert_line => "assert deny ssh from not office to host",
        Rule::apply_line => "apply web",
        Rule::change_line => "mark 0x1 tcp 443 from lan to wan",
        Rule::masquerade_line => "masquerade from lan to wan",
        Rule::forward_line => "forward tcp 2222 from wan to 192.168.2.5 port 22",
        Rule::redirect_line => "redirect tcp 80 from lan to port 3128",
        Rule::use_line => "use docker",
        Rule::target_line => "target nft",
        Rule::include_line => "include \"base.fw\"",
        Rule::compose_line => "compose \"docker-compose.yml\"",
        Rule::fact_line => "fact docker.version = \"28.5\"",
        Rule::interface_line => "interface wan = eth0",
        Rule::set_line => "set office = { 198.51.100.0/24 }",
        Rule::service_line => "service app = tcp 8000-8010",
        Rule::network_line => "network dmz on br-dmz address 10.5.0.0/24",
        Rule::container_line => "container db on br-app address 172.18.0.2 publish tcp 5432",
        Rule::group_head => "group web {",
        Rule::guest_head => "guest vm110 on tap110i0 mac 1e:0b:85:27:8d:65 {",
        Rule::chain_head => "chain filter INPUT {",
        _ => return diagnostic,
    };
    diagnostic.help(format!("it is written like this: `{form}`"))
}

/// What the grammar would have taken, in the words of the field.
fn expected(positives: &[Rule]) -> String {
    let mut phrases: Vec<&str> = Vec::new();
    for rule in positives {
        let phrase = match rule {
            Rule::EOI => "the end of the line",
            Rule::from => "`from`",
            Rule::to => "`to`",
            Rule::via => "`via`",
            Rule::what
            | Rule::ports_item
            | Rule::transport
            | Rule::icmp_item
            | Rule::protocol_item
            | Rule::service_name => "a service such as `http` or `tcp 443`",
            Rule::who
            | Rule::one
            | Rule::any
            | Rule::world
            | Rule::host
            | Rule::container
            | Rule::guest
            | Rule::instance
            | Rule::network
            | Rule::mac
            | Rule::place_name => "a place such as `host`, `10.1.1.1` or a name",
            Rule::address if positives.contains(&Rule::place_name) => continue,
            Rule::address => "an address such as `10.1.1.1`",
            Rule::limit | Rule::log | Rule::during | Rule::source_port | Rule::comment | Rule::early => "an option",
            Rule::name | Rule::machine => "a name",
            Rule::card => "an interface",
            Rule::string => "a text in quotes",
            Rule::number => "a number",
            Rule::rate | Rule::log_rate => "a rate such as `10/minute`",
            Rule::connections => "`connections`",
            Rule::mac_address => "an Ethernet address",
            Rule::port => "a port",
            Rule::to_port => "`port`",
            Rule::day => "days such as `mon-fri`",
            Rule::times => "times such as `08:00-18:00`",
            Rule::word => "a word",
            Rule::protocol_word => "a protocol such as `gre`",
            Rule::action | Rule::assert_action => "`allow`, `deny` or `reject`",
            Rule::target => "`iptables` or `nft`",
            Rule::equals => "`=`",
            Rule::on_word => "`on`",
            Rule::mss => "`mss`",
            Rule::default_route => "`default-route`",
            Rule::fact_path => "a fact such as `docker.version`",
            Rule::from_file => "`from file`",
            Rule::live => "`live`",
            Rule::publish => "`publish`",
            Rule::having => "`address`",
            Rule::with_mac => "`mac`",
            Rule::as_address => "`as`",
            _ => continue,
        };
        if !phrases.contains(&phrase) {
            phrases.push(phrase);
        }
    }
    phrases.truncate(5);
    match phrases.split_last() {
        None => String::new(),
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
    }
}

/// A statement whose first word is not known.
pub(super) fn unknown_statement(text: &str, base: usize, file: FileId, block: bool) -> Diagnostic {
    let (word, rest) = split_word(text);
    let at = |start: usize, end: usize| Location { file, span: Span::new(base + start, base + end) };
    let first = text.chars().next().map_or(0, char::len_utf8);
    let place = at(0, word.len().max(first));
    if rule_of(word).is_some() {
        return Diagnostic::new(&MISPLACED, place, format!("`{word}` cannot stand behind `in` or `out`"))
            .label("expected a rule, `apply` or a change");
    }
    if matches!(word, "in" | "out") {
        return Diagnostic::new(&UNEXPECTED, place, format!("a rule is expected behind `{word}`"))
            .help(format!("in a guest's block: `{word} allow ssh from office`"));
    }
    let shown_word = shown(if word.is_empty() { text.get(..first).unwrap_or_default() } else { word });
    let lower = word.to_ascii_lowercase();
    let diagnostic = Diagnostic::new(&UNKNOWN_STATEMENT, place, format!("no statement begins with `{shown_word}`"));
    let instead = match lower.as_str() {
        "accept" | "permit" | "pass" | "open" | "return" => Some("allow"),
        "drop" | "block" | "discard" => Some("deny"),
        "snat" => Some("masquerade"),
        "dnat" | "rdr" | "portforward" | "port-forward" => Some("forward"),
        "define" | "var" | "let" | "ipset" | "alias" => Some("set"),
        "iface" | "nic" | "zone" => Some("interface"),
        "policy" => Some("default"),
        "import" | "source" | "load" => Some("include"),
        "test" | "verify" => Some("assert"),
        "vm" => Some("guest"),
        _ => None,
    };
    let keywords = STATEMENTS.map(|(known, _)| known);
    if let Some(instead) = instead.or_else(|| keywords.into_iter().find(|known| *known == lower)) {
        let why = if instead == lower { "words are written in lower case" } else { "that is its word here" };
        return diagnostic.fix(format!("write `{instead}`: {why}"), place, instead);
    }
    if matches!(
        lower.as_str(),
        "iptables" | "ip6tables" | "nft" | "table" | "add" | "flush" | "ufw" | "pfctl" | "commit" | "rule"
    ) || word.starts_with(['-', '*', ':'])
    {
        return diagnostic
            .label("this looks like another firewall's language")
            .help("netfilter's own words go into a block: `chain filter INPUT { … }`")
            .help("to check a file of iptables or nft rules, give it to `fwc check`");
    }
    if let Some(meant) = nearest(word, keywords.into_iter().chain(["in", "out"])) {
        return diagnostic.fix(format!("did you mean `{meant}`?"), place, meant);
    }
    let sentence =
        |with: &str| text.len() <= LONGEST_TRIED && Grammar::parse(Rule::rule_line, &format!("{with} {text}")).is_ok();
    let begins_service = matches!(word, "tcp" | "udp" | "sctp" | "icmp" | "protocol" | "ipv4" | "ipv6");
    if !block && (begins_service || rest.starts_with("from") || rest.starts_with("to")) && sentence("allow") {
        return diagnostic
            .label("a rule begins with what it does")
            .fix("write `allow` in front", at(0, 0), "allow ")
            .fix("or `deny`", at(0, 0), "deny ");
    }
    diagnostic
        .help("a line begins with `allow`, `deny`, `reject`, `default`, `set`, `interface`, `use` or another keyword")
}

/// A list that is not closed: `brace` is where it was opened, in the file.
pub(super) fn unclosed_list(text: &str, base: usize, brace: usize, file: FileId) -> Diagnostic {
    let at =
        |position: usize, length: usize| Location { file, span: Span::new(base + position, base + position + length) };
    let opened = brace.saturating_sub(base);
    let diagnostic = Diagnostic::new(&UNCLOSED_BRACE, at(opened, 1), "this list is not closed")
        .label("expected a `}` behind its last member");
    let (head, rest) = split_word(text);
    let statement = if matches!(head, "in" | "out") { rest } else { text };
    let skipped = text.len() - statement.len();
    let Some(rule) = rule_of(split_word(statement).0) else { return diagnostic };
    if text.len() > LONGEST_TRIED {
        return diagnostic;
    }
    for token in tokens(text).iter().filter(|token| token.range.start > opened).take(64) {
        let end = token.range.end;
        let (Some(front), Some(back)) = (text.get(skipped..end), text.get(end..)) else { continue };
        if Grammar::parse(rule, &format!("{front} }}{back}")).is_ok() {
            return diagnostic.fix("close it here", at(end, 0), " }");
        }
    }
    diagnostic
}
