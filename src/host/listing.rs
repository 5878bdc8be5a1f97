//! What a text that is a rule set already is, by its name and its beginning, and which of its rules are the user's own.

use std::path::Path;

use crate::net::Family;
use crate::netfilter::{Chain, Rule, Table};
use crate::platform;
use crate::read::{self, Form};

/// The form of a rule set; none for a policy, whatever it begins with.
#[must_use]
pub fn form(path: &Path, text: &str) -> Option<Form> {
    if path.extension().is_some_and(|extension| extension == "fw") {
        return None;
    }
    read::detect(text)
}

/// The family that a file's name tells: `rules.v6`, `ip6tables.save`.
#[must_use]
pub fn family(path: &str) -> Family {
    let name = path.rsplit('/').next().unwrap_or(path);
    if name.contains("v6") || name.contains("ip6") { Family::Ipv6 } else { Family::Ipv4 }
}

/// Whether a rule is the user's own: what a platform writes, it writes anew, whatever is wrong with it.
#[must_use]
pub fn is_users(table: &Table, chain: &Chain, rule: &Rule) -> bool {
    let private = |owned: &platform::Owned| owned.role != platform::Role::User;
    let owner = platform::owner_of_table(table.family, &table.name)
        .or_else(|| platform::owner_of(Some(table.family), &table.name, &chain.name));
    let comment = rule.comment.as_deref().and_then(platform::owner_of_comment);
    !owner.is_some_and(private) && comment.is_none()
}
