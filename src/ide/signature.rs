//! How a statement goes on: the form of the one that is being typed, and the part of it that the place is in.

use super::{outline, text};
use crate::database::{Db, ProjectInput};
use crate::span::{FileId, Span};
use crate::syntax::outline::{Part, expected};

/// The form of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The whole form.
    pub label: String,
    /// Its parts, as places in the label.
    pub parts: Vec<Span>,
    /// Which of them the place is in.
    pub active: Option<usize>,
    /// What the statement does, Markdown.
    pub documentation: &'static str,
}

/// The parts that rules have in common.
const SENTENCE: [(Part, &str); 4] = [
    (Part::What, "[ipv4|ipv6] [service, …]"),
    (Part::From, "[from place]"),
    (Part::To, "[to place]"),
    (Part::Via, "[via interface]"),
];
const OPTIONS: (Part, &str) = (Part::Options, "[limit …] [log …] [during …] [source port …] [comment …]");

/// The form of the statement that is being typed at a place.
#[must_use]
pub fn signature(db: &dyn Db, input: ProjectInput, file: FileId, offset: u32) -> Option<Signature> {
    outline(db, input, file)?;
    let source = text(db, input, file);
    let expectation = expected(source, offset);
    let word = |at: usize| expectation.words.get(at).and_then(|word| source.get(word.span.range())).unwrap_or_default();
    let (gate, head) = if matches!(word(0), "in" | "out") { (Some(word(0)), word(1)) } else { (None, word(0)) };
    let mut form = form(head, word(1))?;
    if let (Some(gate), Some((_, head))) = (gate, form.first_mut()) {
        *head = format!("{gate} {head}");
    }
    let mut label = String::new();
    let mut parts = Vec::with_capacity(form.len());
    for (_, text) in &form {
        if !label.is_empty() {
            label.push(' ');
        }
        let start = label.len();
        label.push_str(text);
        parts.push(Span::new(start, label.len()));
    }
    let active = form.iter().position(|(part, _)| *part == expectation.part);
    Some(Signature { label, parts, active, documentation: super::words::meaning(head).unwrap_or_default() })
}

fn own(parts: &[(Part, &str)]) -> Vec<(Part, String)> {
    parts.iter().map(|(part, text)| (*part, (*text).to_owned())).collect()
}

/// The form of the statement that begins with a word; `second` is the word behind it.
fn form(head: &str, second: &str) -> Option<Vec<(Part, String)>> {
    let sentence = |head: &str, value: Option<&str>, rest: &[(Part, &str)]| {
        let mut parts = vec![(Part::Head, head.to_owned())];
        parts.extend(value.map(|value| (Part::Value, value.to_owned())));
        parts.extend(own(&SENTENCE));
        parts.extend(own(rest));
        parts
    };
    Some(match head {
        "allow" | "deny" | "log" => sentence(head, None, &[OPTIONS]),
        "reject" => sentence("reject [with answer]", None, &[OPTIONS]),
        "default" => sentence("default allow|deny|reject|log", None, &[OPTIONS]),
        "assert" => sentence("assert allow|deny|reject", None, &[]),
        "mark" => sentence(head, Some("number"), &[]),
        "dscp" => sentence(head, Some("class"), &[]),
        "clamp" => sentence(head, Some("mss"), &[]),
        "helper" => sentence(head, Some("name"), &[]),
        "notrack" => sentence(head, None, &[]),
        "masquerade" => sentence(head, None, &[(Part::As, "[as address]")]),
        "forward" => own(&[
            (Part::Head, "forward"),
            (Part::What, "[ipv4|ipv6] service, …"),
            (Part::At, "[at address]"),
            (Part::From, "[from place]"),
            (Part::To, "to address"),
            (Part::Via, "[via interface]"),
            (Part::Port, "[port number]"),
            OPTIONS,
        ]),
        "redirect" => own(&[
            (Part::Head, "redirect"),
            (Part::What, "[ipv4|ipv6] service, …"),
            (Part::From, "[from place]"),
            (Part::Port, "to port number"),
        ]),
        _ => return declaration(head, second),
    })
}

/// The form of a statement that has no sentence.
fn declaration(head: &str, second: &str) -> Option<Vec<(Part, String)>> {
    Some(match head {
        "apply" => own(&[(Part::Head, "apply"), (Part::Name, "group")]),
        "use" if second == "target" => own(&[(Part::Head, "use target"), (Part::Name, "iptables|nft")]),
        "use" => own(&[(Part::Head, "use"), (Part::Name, "platform"), (Part::Except, "[except part, …]")]),
        "target" => own(&[(Part::Head, "target"), (Part::Name, "iptables|nft")]),
        "include" | "compose" => vec![(Part::Head, head.to_owned()), (Part::Name, "\"file\"".to_owned())],
        "fact" => own(&[(Part::Head, "fact"), (Part::Name, "path"), (Part::Value, "= value")]),
        "interface" => {
            own(&[(Part::Head, "interface"), (Part::Name, "name"), (Part::Value, "[= default-route | card, …]")])
        }
        "set" => {
            own(&[(Part::Head, "set"), (Part::Name, "name"), (Part::Value, "[= place, … | from file \"file\" | live]")])
        }
        "service" => own(&[(Part::Head, "service"), (Part::Name, "name"), (Part::Value, "= service, …")]),
        "network" => own(&[
            (Part::Head, "network"),
            (Part::Name, "name"),
            (Part::On, "on card, …"),
            (Part::Address, "[address place]"),
        ]),
        "container" => own(&[
            (Part::Head, "container"),
            (Part::Name, "name"),
            (Part::On, "on network"),
            (Part::Address, "[address place]"),
            (Part::Publish, "[publish service [at address] [to port]] …"),
        ]),
        "group" => own(&[(Part::Head, "group"), (Part::Name, "name {")]),
        "guest" | "instance" => {
            let mut parts = vec![(Part::Head, head.to_owned())];
            parts.extend(own(&[
                (Part::Name, "name"),
                (Part::On, "on card, …"),
                (Part::Mac, "[mac address]"),
                (Part::Address, "[address place]"),
            ]));
            parts
        }
        "from" | "to" | "via" => {
            own(&[(Part::From, "[from place]"), (Part::To, "[to place]"), (Part::Via, "[via interface] {")])
        }
        "chain" => own(&[(Part::Head, "chain"), (Part::Name, "table"), (Part::Value, "CHAIN {")]),
        _ => return None,
    })
}
