//! Commands that reach the chains of platforms and of other programs.

use super::codes::{FOREIGN_CHAIN_CHANGED, NEARLY_KNOWN_CHAIN};
use crate::diagnostic::Diagnostic;
use crate::names::closest;
use crate::netfilter::{Ruleset, TableKind};
use crate::platform::{self, Role};
use crate::read::{Change, ChangeKind, Reading};

pub(super) fn check(reading: &Reading) -> Vec<Diagnostic> {
    reading
        .changes
        .iter()
        .filter_map(|change| changed(change).or_else(|| nearly_known(&reading.ruleset, change)))
        .collect()
}

fn changed(change: &Change) -> Option<Diagnostic> {
    let table = change.table.name();
    let (message, help) = match (&change.chain, change.kind) {
        (None, ChangeKind::Made) | (_, ChangeKind::LookedFor) => return None,
        (None, kind) => {
            let verb = if kind == ChangeKind::Emptied { "empties" } else { "deletes" };
            let message =
                format!("{verb} every chain of the table {table}, those of platforms and other programs, too");
            (message, "name the chains that are yours".to_owned())
        }
        (Some(chain), ChangeKind::Emptied) if takes_jumps(change.table, chain) => {
            let message = format!("empties {chain}, with the jumps that platforms and other programs have put there");
            (message, "put your rules into a chain of your own, and empty that".to_owned())
        }
        (Some(chain), kind) => {
            let owned = platform::owner_of(None, table, chain).filter(|owned| owned.role == Role::Private)?;
            let owner = &owned.owner;
            let message = match kind {
                ChangeKind::Emptied => format!("empties `{chain}`, which {owner} writes"),
                ChangeKind::Deleted | ChangeKind::LookedFor => format!("deletes `{chain}`, which {owner} writes"),
                ChangeKind::Made => format!("makes `{chain}`, which {owner} makes itself: the file fails where it has"),
            };
            (message, format!("leave it to {owner}, and load with `--noflush`"))
        }
    };
    Some(Diagnostic::new(&FOREIGN_CHAIN_CHANGED, change.location, message).help(help))
}

/// The built-in chains that platforms put their jumps into.
fn takes_jumps(table: TableKind, chain: &str) -> bool {
    matches!((table, chain), (TableKind::Filter, "FORWARD") | (TableKind::Nat, "PREROUTING" | "POSTROUTING" | "OUTPUT"))
}

/// A chain that is made beside one with nearly its name.
fn nearly_known(ruleset: &Ruleset, change: &Change) -> Option<Diagnostic> {
    let name = change.chain.as_deref().filter(|_| change.kind == ChangeKind::Made)?;
    let table = change.table.name();
    if platform::owner_of(None, table, name).is_some() {
        return None;
    }
    let own = ruleset.tables.iter().filter(|known| known.name == table).flat_map(|table| &table.chains);
    let owned = own.map(|chain| &*chain.name).filter(|chain| platform::owner_of(None, table, chain).is_some());
    let near = closest(name, owned)?;
    let message = format!("`{name}` is nearly the name of `{near}`");
    Some(
        Diagnostic::new(&NEARLY_KNOWN_CHAIN, change.location, message)
            .help(format!("write `{near}`, or choose a name that cannot be taken for it")),
    )
}
