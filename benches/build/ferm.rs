//! The address lines in ferm's language.

use std::fmt::Write as _;

use super::policies::line;

/// A file of so many lines.
pub fn lines(rules: u32) -> String {
    let mut text = String::from(
        "domain ip table filter chain INPUT {\n    policy DROP;\n    interface lo ACCEPT;\n    mod conntrack ctstate (ESTABLISHED RELATED) ACCEPT;\n",
    );
    for number in 0..rules {
        let (address, port) = line(number);
        let _ = writeln!(text, "    proto tcp dport {port} saddr {address} ACCEPT;");
    }
    text + "}\n"
}
