//! Interfaces that a policy declares and that the host, by its facts, does not have.

use super::words;
use crate::diagnostic::{Code, Diagnostic, Level};
use crate::names::closest;
use crate::net::Card;
use crate::netfilter::Target;
use crate::platform::Platform;
use crate::policy::Policy;
use crate::project::Project;
use crate::span::Location;
use crate::syntax::tree::{InterfaceValue, StatementKind};

/// An interface that is not there.
pub static ABSENT_INTERFACE: Code = Code {
    number: "FW0371",
    name: "absent-interface",
    level: Level::Warning,
    summary: "an interface is declared that the host's facts do not list",
    explanation: "\
`fwc.facts.json` lists the interfaces of the host. One that a policy declares and that is not among them is a slip, or belongs to a tunnel
that was down when the facts were taken.

**Why it hurts.** A rule for an interface that does not exist matches nothing: an allow keeps out, and what `via` was to guard is not
guarded.

```fw
interface wan = esn33         # warning: the facts list `ens33`
allow https to host via wan
```

**Instead**, correct the name, or take the facts again while the interface is there.
",
};

/// The check.
pub fn check(project: &Project, policy: &Policy, _: Target) -> Vec<Diagnostic> {
    let interfaces = &policy.facts.interfaces;
    // A statement says something of one interface; the file lists them all.
    let listed = |name: &String| {
        let source = policy.facts.source(&format!("interfaces.{name}"));
        project.facts.is_some() && source.is_some_and(|source| Some(source.file) == project.facts)
    };
    let mut out = Vec::new();
    if !interfaces.keys().any(listed) {
        return out;
    }
    words::each(project, &mut |file, statement| {
        let StatementKind::Interface(node) = &statement.value else { return };
        let Some(InterfaceValue::Cards(cards)) = node.value.as_ref().map(|value| &value.value) else { return };
        for card in cards.iter().filter(|card| is_absent(policy, &card.value)) {
            let here = Location { file, span: card.span };
            let found =
                Diagnostic::new(&ABSENT_INTERFACE, here, format!("the facts list no interface `{}`", card.value))
                    .label("a rule for it matches nothing");
            out.push(match closest(&card.value.name, interfaces.keys().map(String::as_str)) {
                Some(near) => found.fix(format!("did you mean `{near}`?"), here, near),
                None => found.help("correct the name, or bring the facts up to date"),
            });
        }
    });
    out
}

/// Whether nothing on the host is called so, as far as the facts say; a platform's bridges come and go.
fn is_absent(policy: &Policy, card: &Card) -> bool {
    let known = policy.facts.interfaces.keys().any(|name| card.matches(name));
    !known && !card.prefix && Platform::of_bridge(&card.name).is_none()
}
