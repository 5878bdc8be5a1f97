//! Comments that say something else than their rule does.

use super::Subject;
use super::codes::COMMENT_DIFFERS;
use super::walk::At;
use crate::diagnostic::Diagnostic;
use crate::netfilter::{MatchKind, Verdict};

const REFUSING: [&str; 6] = ["block", "deny", "drop", "reject", "refuse", "forbid"];
const ACCEPTING: [&str; 4] = ["allow", "accept", "permit", "open"];

pub(super) fn check(subject: &Subject<'_>) -> Vec<Diagnostic> {
    subject.rules().filter_map(|at| differs(&at)).collect()
}

fn differs(at: &At<'_>) -> Option<Diagnostic> {
    let location = at.rule.origin?;
    let comment = at.rule.comment.as_deref()?.to_ascii_lowercase();
    let words: Vec<&str> = comment.split(|letter: char| !letter.is_ascii_alphanumeric()).collect();
    let says = |list: &[&str]| {
        words.iter().any(|word| list.iter().any(|verb| word.strip_suffix('s').unwrap_or(word) == *verb))
    };
    // "block all but": whoever writes so may mean either.
    let (refusing, accepting) = (says(&REFUSING), says(&ACCEPTING));
    let (message, label) = match at.rule.verdict {
        Some(Verdict::Accept) if refusing && !accepting => {
            ("the comment speaks of refusing, and the rule accepts", "accepts")
        }
        Some(Verdict::Drop | Verdict::Reject(_)) if accepting && !refusing => {
            ("the comment speaks of accepting, and the rule refuses", "refuses")
        }
        Some(Verdict::Drop | Verdict::Reject(_)) if words.contains(&"icmp") && has_type(at) => {
            ("the comment speaks of ICMP, and the rule is for one type of it", "the other types pass it by")
        }
        _ => return None,
    };
    Some(
        Diagnostic::new(&COMMENT_DIFFERS, location, message).label(label).help("correct whichever of the two is wrong"),
    )
}

fn has_type(at: &At<'_>) -> bool {
    at.rule.matches.iter().any(|one| matches!(one.kind, MatchKind::IcmpType(_)))
}
