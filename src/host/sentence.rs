//! Connections in the words of a policy's rules (`ssh from 198.51.100.7 to host via wan`), as packets.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::assertion;
use crate::database::{self, Database, Unchecked};
use crate::diagnostic::Diagnostic;
use crate::project::{Options, Root, System};
use crate::span::FileId;

/// What the words are read behind: a statement that speaks of connections and changes nothing.
const BEFORE: &str = "assert allow ";

/// Why words mean no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misunderstood {
    /// The bytes of the text.
    pub at: Range<usize>,
    /// What is wrong. Lower case, no final full stop.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

/// Whether a text has the form of a rule and not that of a packet: words around `from` and `to`, and no arrow.
#[must_use]
pub fn is_sentence(text: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().collect();
    let parties = words.windows(2).any(|pair| match pair {
        ["from" | "to", "host"] => false,
        ["from" | "to", _] => true,
        _ => false,
    });
    let begins = words.iter().find(|word| !matches!(**word, "ipv4" | "ipv6"));
    let packets =
        ["tcp", "udp", "sctp", "icmp", "icmpv6", "ping", "protocol", "host", "any", "from", "to", "via", "in", "out"];
    let word = begins.is_some_and(|word| {
        word.starts_with(|letter: char| letter.is_ascii_alphabetic()) && !word.contains([':', '.'])
    });
    let service = word && begins.is_some_and(|word| !packets.contains(word)) && words.contains(&"to");
    !words.contains(&"->") && (parties || service)
}

/// The first packets of the connections that a policy's words mean on its host, as [`crate::simulate::parse`] takes them: one for each flow,
/// family and way, what usually happens first.
///
/// # Errors
/// Points at the words that the policy does not know, or says that they mean no connection.
pub fn packets(system: &dyn System, policy: &Path, options: Options, text: &str) -> Result<Vec<String>, Misunderstood> {
    let whole =
        |message: &str, help: Option<String>| Misunderstood { at: 0..text.len(), message: message.to_owned(), help };
    let name = policy.file_name().and_then(|name| name.to_str()).filter(|name| !name.contains(['"', '*', '?', '[']));
    let Some(name) = name.filter(|_| policy.as_os_str() != "-") else {
        return Err(whole("words of a policy are understood where it is a file", None));
    };
    if text.contains(['\n', '\r', '#']) {
        return Err(whole("one connection, on one line", None));
    }
    let bytes = format!("{BEFORE}{text}\ninclude \"{name}\"\n").into_bytes();
    let mut db = Database::default();
    let root = Root { path: policy.with_file_name(".connection.fwtest"), bytes };
    let input = db.load(system, root, options);
    let own = |one: &&Diagnostic| one.is_error() && one.primary.location.file == FileId(0);
    if let Some(wrong) = Unchecked::new(&db, input).said().iter().find(own) {
        return Err(misunderstood(wrong, text));
    }
    let project = Arc::clone(database::project(&db, input));
    let resolved = Arc::clone(database::resolved(&db, input));
    let target = project.target(&resolved.0.facts);
    let asked = resolved.0.assertions.iter().find(|one| one.location.file == FileId(0));
    let found = asked.map(|asked| assertion::packets(&resolved.0, target, asked)).unwrap_or_default();
    if found.is_empty() {
        return Err(whole("no connection is like this", None));
    }
    Ok(found)
}

fn misunderstood(wrong: &Diagnostic, text: &str) -> Misunderstood {
    let range = wrong.primary.location.span.range();
    let place = |at: usize| at.saturating_sub(BEFORE.len()).min(text.len());
    let help = wrong.helps.first().map(|help| help.message.clone());
    Misunderstood { at: place(range.start)..place(range.end), message: wrong.message.clone(), help }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_told_from_packets() {
        for text in [
            "ssh from 198.51.100.7 to host via wan",
            "ssh to host",
            "tcp 443 from any to container web",
            "ping from lan to wan",
            "ipv6 https from world to container",
            "postgres from lan to container db direct",
        ] {
            assert!(is_sentence(text), "{text}");
        }
        for text in [
            "tcp 10.1.1.1:40000 -> 203.0.113.10:443 via ens33",
            "tcp 10.1.1.1 to host via eth0",
            "ping 10.1.1.1 -> host",
            "tcp from host -> 8.8.8.8:53",
            "10.1.1.1 -> 10.1.1.2",
            "udp host -> 8.8.8.8:53 out eth0",
            "tpc 10.1.1.1 -> host:22",
        ] {
            assert!(!is_sentence(text), "{text}");
        }
    }
}
