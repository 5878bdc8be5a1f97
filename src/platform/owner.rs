//! Who owns which chains, tables and rules, and what may be done with them.

use super::PLATFORMS;
use crate::netfilter::TableFamily;

/// Who may write what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The owner rewrites it as it likes; nobody else's rules last there.
    Private,
    /// The owner made it for the user's rules (DOCKER-USER).
    User,
    /// Rules that shut out addresses at run time; they must stay in front of every allow.
    Ban,
}

/// Chains or tables that belong to somebody.
#[derive(Clone, Debug)]
pub struct Owned {
    /// Who: the platform's title, or the program's name.
    pub owner: String,
    /// What may be done with it.
    pub role: Role,
    pub(super) family: Option<TableFamily>,
    pub(super) table: Option<String>,
    pub(super) chains: Vec<Pattern>,
    pub(super) comments: Vec<Pattern>,
    /// How to live beside it, if there is more to say than to leave it alone.
    pub advice: Option<String>,
}

/// A name with `*` for any text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern(Vec<String>);

impl Pattern {
    pub(super) fn new(text: &str) -> Self {
        Self(text.split('*').map(str::to_owned).collect())
    }

    fn matches(&self, name: &str) -> bool {
        let Some((first, rest)) = self.0.split_first() else { return false };
        let Some(mut left) = name.strip_prefix(first.as_str()) else { return false };
        let Some((last, middle)) = rest.split_last() else { return left.is_empty() };
        for part in middle {
            match left.find(part.as_str()) {
                Some(at) => left = left.get(at + part.len()..).unwrap_or_default(),
                None => return false,
            }
        }
        left.ends_with(last.as_str())
    }
}

/// Who owns a chain. `table` is iptables' table or nft's; `family` its family, where that is known.
#[must_use]
pub fn owner_of(family: Option<TableFamily>, table: &str, chain: &str) -> Option<&'static Owned> {
    PLATFORMS.iter().flat_map(|platform| &platform.owned).find(|owned| {
        owned.table.as_deref().is_none_or(|known| known == table)
            && family.is_none_or(|family| owned.family.is_none_or(|known| known == family))
            && owned.chains.iter().any(|pattern| pattern.matches(chain))
    })
}

/// Who owns a whole nft table.
#[must_use]
pub fn owner_of_table(family: TableFamily, table: &str) -> Option<&'static Owned> {
    owner_of(Some(family), table, "").filter(|owned| owned.table.is_some())
}

/// Who wrote a rule in a built-in chain, going by its comment (LXD's and Incus' xtables drivers own no chains).
#[must_use]
pub fn owner_of_comment(comment: &str) -> Option<&'static Owned> {
    let owned = PLATFORMS.iter().flat_map(|platform| &platform.owned);
    owned.into_iter().find(|owned| owned.comments.iter().any(|pattern| pattern.matches(comment)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_whole_names() {
        assert!(Pattern::new("DOCKER").matches("DOCKER"));
        assert!(!Pattern::new("DOCKER").matches("DOCKER-USER"));
        assert!(Pattern::new("DOCKER-*").matches("DOCKER-USER"));
        assert!(Pattern::new("filter-*__*").matches("filter-forward-in__br"));
        assert!(!Pattern::new("filter-*__*").matches("filter-forward-in"));
        assert!(Pattern::new("*").matches(""));
    }
}
