//! Files of tests: a policy's own language, of which only what claims something, and what that needs, may stand in them.

use crate::diagnostic::Diagnostic;
use crate::span::{FileId, Location};
use crate::syntax::tree::{Statement, StatementKind, Tree};

use super::codes::RULE_IN_TEST;

/// Whether a file of tests says which policy it tests.
#[must_use]
pub fn names_policy(tree: &Tree) -> bool {
    tree.statements.iter().any(|statement| matches!(statement.value, StatementKind::Include(_)))
}

/// What a file of tests says that the policy should.
#[must_use]
pub fn rules_in(tree: &Tree, file: FileId) -> Vec<Diagnostic> {
    let found = tree.statements.iter().filter(|statement| changes(statement));
    found
        .map(|statement| {
            Diagnostic::new(
                &RULE_IN_TEST,
                Location { file, span: statement.span },
                "this would change the policy that is tested",
            )
            .label("not an assert, nor what one needs")
            .help("write it into the policy; a file of tests holds asserts, includes, and names for them")
        })
        .collect()
}

/// Whether a statement changes what a policy does.
fn changes(statement: &Statement) -> bool {
    !matches!(
        statement.value,
        StatementKind::Include(_)
            | StatementKind::Assert(_)
            | StatementKind::Interface(_)
            | StatementKind::Set(_)
            | StatementKind::Service(_)
            | StatementKind::Fact(_)
            | StatementKind::Compose(_)
            | StatementKind::Target(_)
    )
}
