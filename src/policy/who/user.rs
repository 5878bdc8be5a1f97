//! Users of this host whose programs open connections: `host user NAME`.

use crate::diagnostic::Diagnostic;
use crate::policy::who::codes::{IMPOSSIBLE_USER, USER_LOOKED_UP};
use crate::span::Location;

/// The longest name of a user (`LOGIN_NAME_MAX` of shadow-utils, less the final NUL).
const LONGEST: usize = 32;

/// The largest number of a user; the one above it stands for none.
const LARGEST: u32 = u32::MAX - 1;

/// What there is to say about the name of a user, or about the number.
pub(super) fn user_fault(here: Location, name: &str) -> Option<Diagnostic> {
    let fault = |why: &str, help: &str| {
        Some(Diagnostic::new(&IMPOSSIBLE_USER, here, format!("no user can be called `{name}`")).label(why).help(help))
    };
    if name.bytes().all(|byte| byte.is_ascii_digit()) {
        let number: Option<u32> = name.parse().ok().filter(|number| *number <= LARGEST);
        return match number {
            // iptables reads a number that begins with 0 as octal, nft does not.
            Some(number) if number.to_string() == name => None,
            Some(number) => fault("a number that begins with 0", &format!("write `{number}`")),
            None => fault("too large for the number of a user", &format!("the largest is {LARGEST}")),
        };
    }
    let usable = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
    let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if !begins || !name.bytes().all(usable) || name.len() > LONGEST {
        return fault(
            "iptables or nft cannot look this name up",
            "write the number that `id -u` shows, or a name of at most 32 letters, digits, `-`, `_`, `.` and `@`",
        );
    }
    (name != "root").then(|| {
        Diagnostic::new(&USER_LOOKED_UP, here, format!("the rules load only where the user `{name}` exists"))
            .help("make the user before the rules are loaded, or write the number that `id -u` shows")
    })
}
