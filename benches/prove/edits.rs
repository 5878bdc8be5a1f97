//! An edited copy of a list, and asserts about it.

use std::process::Command;

/// Rules that are taken out.
const GONE: usize = 10;

/// What no policy here lets in.
const CLOSED: [&str; 5] = ["sctp", "sctp 1-1023", "protocol gre", "protocol esp", "protocol 89"];
/// For whom.
const FROM: [&str; 2] = ["world", "10.0.0.0/8"];

/// The list with ten asserts that hold.
pub fn asserting(text: &str) -> String {
    let to = if text.contains("to host") { "host" } else { "lan" };
    let asserts = CLOSED.iter().flat_map(|what| FROM.map(|from| format!("assert deny {what} from {from} to {to}\n")));
    asserts.fold(text.to_owned(), |text, assert| text + &assert)
}

/// A copy without ten rules that let packets through, evenly spread.
pub fn edited(text: &str) -> String {
    let is_rule = |line: &str| line.trim_start().starts_with("allow tcp") || line.ends_with("-j ACCEPT");
    let rules = text.lines().filter(|line| is_rule(line)).count();
    let every = (rules / GONE).max(1);
    let mut seen = 0;
    let mut kept = String::with_capacity(text.len());
    for line in text.lines() {
        let rule = is_rule(line);
        seen += usize::from(rule);
        if !(rule && seen % every == 0) {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// Whether a run says that it did not find out everything.
pub fn leaves_open(program: &str, arguments: &[&str]) -> bool {
    let Ok(output) = Command::new(program).args(arguments).output() else { return true };
    let says = |text: &[u8], words: &str| String::from_utf8_lossy(text).lines().any(|line| line.contains(words));
    says(&output.stderr, "not proved equal")
        || says(&output.stdout, "the search for")
        || says(&output.stdout, "cannot be written")
}
