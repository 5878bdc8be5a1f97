//! Where packets enter our chains: the names and places that every build has alike, so that a later build finds what an earlier
//! one attached.

use super::{Base, Hook, TableKind};

/// Chains that attachments lead to, with the same names in every build. All of them are declared in every build, empty where a
/// policy has nothing to say there: `iptables-restore --noflush` leaves a chain alone that its file does not name, so that a
/// hook which an edit stops using would otherwise keep the rules of the build before.
pub static ENTRY_CHAINS: [(TableKind, Hook); 13] = [
    (TableKind::Raw, Hook::Prerouting),
    (TableKind::Raw, Hook::Output),
    (TableKind::Mangle, Hook::Prerouting),
    (TableKind::Mangle, Hook::Input),
    (TableKind::Mangle, Hook::Forward),
    (TableKind::Mangle, Hook::Output),
    (TableKind::Mangle, Hook::Postrouting),
    (TableKind::Nat, Hook::Prerouting),
    (TableKind::Nat, Hook::Output),
    (TableKind::Nat, Hook::Postrouting),
    (TableKind::Filter, Hook::Input),
    (TableKind::Filter, Hook::Forward),
    (TableKind::Filter, Hook::Output),
];

/// The name of the chain of ours at a hook: `fwc-input` in the filter table, `fwc-nat-postrouting` elsewhere.
#[must_use]
pub fn entry_chain(kind: TableKind, hook: Hook) -> String {
    match kind {
        TableKind::Filter => format!("fwc-{}", hook.name()),
        _ => format!("fwc-{}-{}", kind.name(), hook.name()),
    }
}

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
    Base { hook, priority: priority - 5, accept: true }
}
