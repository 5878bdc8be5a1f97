//! Where packets enter our chains: the names and places that every build has alike, so that a later build finds what an earlier
//! one attached.

use std::sync::Arc;

use super::{Base, Hook, TableKind};
use crate::net::Family;

/// Chains that attachments lead to, with the same names in every build. A build declares all of those in the tables that it
/// uses, empty where a policy has nothing to say there: `iptables-restore --noflush` leaves a chain alone that its file does not
/// name, so that a hook which an edit stops using would otherwise keep the rules of the build before. In tables that the build
/// does not use the attachment step empties them: a file that named such a table would bring it to life, and from then on every
/// packet would pass it.
pub static ENTRY_CHAINS: [(TableKind, Hook); 17] = [
    (TableKind::Raw, Hook::Prerouting),
    (TableKind::Raw, Hook::Output),
    (TableKind::Mangle, Hook::Prerouting),
    (TableKind::Mangle, Hook::Input),
    (TableKind::Mangle, Hook::Forward),
    (TableKind::Mangle, Hook::Output),
    (TableKind::Mangle, Hook::Postrouting),
    (TableKind::Nat, Hook::Prerouting),
    (TableKind::Nat, Hook::Input),
    (TableKind::Nat, Hook::Output),
    (TableKind::Nat, Hook::Postrouting),
    (TableKind::Filter, Hook::Input),
    (TableKind::Filter, Hook::Forward),
    (TableKind::Filter, Hook::Output),
    (TableKind::Security, Hook::Input),
    (TableKind::Security, Hook::Forward),
    (TableKind::Security, Hook::Output),
];

/// The name of the chain of ours at a hook: `fwc-input` in the filter table, `fwc-nat-postrouting` elsewhere.
#[must_use]
pub fn entry_chain(kind: TableKind, hook: Hook) -> String {
    match kind {
        TableKind::Filter => format!("fwc-{}", hook.name()),
        _ => format!("fwc-{}-{}", kind.name(), hook.name()),
    }
}

/// The kernel's set of a policy's `live` set, for addresses of a family.
#[must_use]
pub fn live_set(name: &str, family: Family) -> Arc<str> {
    let [v4, v6] = LIVE_SET_ENDINGS;
    Arc::from(format!("fwc-{name}{}", if family == Family::Ipv4 { v4 } else { v6 }))
}

/// What a policy calls the `live` set that is this one in the kernel.
#[must_use]
pub fn live_set_name(set: &str) -> Option<&str> {
    let own = set.strip_prefix("fwc-")?;
    LIVE_SET_ENDINGS.iter().find_map(|ending| own.strip_suffix(ending))
}

const LIVE_SET_ENDINGS: [&str; 2] = ["-v4", "-v6"];

/// The place that a chain of ours takes at a hook when a policy does not choose one: iptables' priority for the table, less five, so
/// that it stands before tables at the customary priorities.
#[must_use]
pub fn base(kind: TableKind, hook: Hook) -> Base {
    let priority = match (kind, hook) {
        (TableKind::Raw, _) => -300,
        (TableKind::Mangle, _) => -150,
        (TableKind::Nat, Hook::Postrouting | Hook::Input) => 100,
        (TableKind::Nat, _) => -100,
        (TableKind::Filter, _) => 0,
        (TableKind::Security, _) => 50,
    };
    Base { kind, hook, priority: priority - 5, accept: true }
}

/// The table and hook that `chain TABLE HOOK` names, if there is such a place. DOCKER-USER is FORWARD: what goes there is judged by
/// our chain at that hook.
#[must_use]
pub fn place(table: &str, hook: &str) -> Option<(TableKind, Hook)> {
    let kind = TableKind::ALL.into_iter().find(|kind| kind.name() == table)?;
    let hook = HOOKS.into_iter().find(|known| {
        known.chain() == hook || (hook == "DOCKER-USER" && kind == TableKind::Filter && *known == Hook::Forward)
    })?;
    hooks(kind).contains(&hook).then_some((kind, hook))
}

/// The hooks that iptables has chains for.
pub const HOOKS: [Hook; 5] = [Hook::Prerouting, Hook::Input, Hook::Forward, Hook::Output, Hook::Postrouting];

/// The hooks at which a table is asked.
#[must_use]
pub fn hooks(kind: TableKind) -> &'static [Hook] {
    use Hook::{Forward, Input, Output, Postrouting, Prerouting};
    match kind {
        TableKind::Raw => &[Prerouting, Output],
        TableKind::Mangle => &[Prerouting, Input, Forward, Output, Postrouting],
        TableKind::Nat => &[Prerouting, Input, Output, Postrouting],
        TableKind::Filter | TableKind::Security => &[Input, Forward, Output],
    }
}
