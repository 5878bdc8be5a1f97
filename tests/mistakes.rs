//! What beginners write, and what following the first edit that is offered, until none is left, makes of it.

use fwc::database::Database;
use fwc::diagnostic::Diagnostic;

use crate::fixture::Fixture;

/// Where following edits ends. A mistake for which nothing is offered stays as it is.
const MISTAKES: &[(&str, &str)] = &[
    ("allow OpenSSH to host", "allow ssh to host"),
    ("allow sshd from 10.0.0.0/8 to host", "allow ssh from 10.0.0.0/8 to host"),
    ("allow pgsql from 10.0.0.0/8 to host", "allow postgres from 10.0.0.0/8 to host"),
    ("allow postgresql to host", "allow postgres to host"),
    ("allow mariadb to host", "allow mysql to host"),
    ("allow www to host", "allow http to host"),
    ("allow igmp to host", "allow protocol igmp to host"),
    ("allow esp to host", "allow protocol esp to host"),
    ("allow ah from 192.0.2.1 to host", "allow protocol ah from 192.0.2.1 to host"),
    ("deny named to host", "deny dns to host"),
    ("allow htpps to host", "allow https to host"),
    ("allow ssh 2222 to host", "allow tcp 2222 to host"),
    ("allow port 22 proto tcp to host", "allow tcp 22 to host"),
    ("allow proto tcp port 22 from 10.0.0.0/8 to host", "allow tcp 22 from 10.0.0.0/8 to host"),
    ("allow tcp/udp 53 to host", "allow { tcp 53, udp 53 } to host"),
    ("allow http:8080 to host", "allow tcp 8080 to host"),
    ("allow tcp:8080 to host", "allow tcp 8080 to host"),
    ("allow 6000:6007/tcp to host", "allow tcp 6000-6007 to host"),
    ("allow 443/tcp to host", "allow tcp 443 to host"),
    ("allow ssh to host in on wg0", "allow ssh to host via wg0"),
    ("allow ssh from any to host //", "allow ssh from any to host"),
    ("allow ssh from any to host // the admins", "allow ssh from any to host # the admins"),
    ("ufw allow 22/tcp", "allow tcp 22 from any to host"),
    ("ufw allow from 10.0.0.0/8 to any port 22 proto tcp", "allow tcp 22 from 10.0.0.0/8 to host"),
    ("ufw allow in on wg0 to any port 80 proto tcp", "allow tcp 80 from any to host via wg0"),
    ("ufw deny from 203.0.113.4", "deny from 203.0.113.4 to host"),
    ("ufw default deny incoming", "default deny to host"),
    ("ufw limit ssh", "ufw limit ssh"),
    ("ufw allow from 10.0.0.0/8 port 22", "ufw allow from 10.0.0.0/8 port 22"),
    ("default deny incoming", "default deny to host"),
    ("default deny outgoing", "default deny from host"),
    ("tcp dport 22 accept", "allow tcp 22 from any to host"),
    ("ip saddr 10.0.0.0/8 tcp dport 22 accept", "allow tcp 22 from 10.0.0.0/8 to host"),
    ("ct state established,related accept", "ct state established,related accept"),
    ("-A INPUT -p tcp --dport 22 -j ACCEPT", "allow tcp 22 from any to host"),
    ("iptables -A INPUT -s 192.0.2.0/24 -p tcp --dport 443 -j DROP", "deny tcp 443 from 192.0.2.0/24 to host"),
    (
        "iptables -A INPUT ! -s 10.0.0.0/8 -p tcp --dport 22 -j ACCEPT",
        "iptables -A INPUT ! -s 10.0.0.0/8 -p tcp --dport 22 -j ACCEPT",
    ),
    (
        "-A INPUT -p tcp --dport 22 -m limit --limit 3/min -j ACCEPT",
        "-A INPUT -p tcp --dport 22 -m limit --limit 3/min -j ACCEPT",
    ),
];

/// The first edits that are offered, carried out; `None` if none is.
fn followed(text: &str) -> Option<String> {
    let mut db = Database::default();
    let input = Fixture::new("a mistake", &format!("{text}\n")).load(&mut db, None);
    let (_, compiled) = db.compile_once(input, "site", &[], false);
    let first = |one: &Diagnostic| one.helps.iter().find(|help| !help.edits.is_empty()).cloned();
    let help = compiled.diagnostics.iter().filter(|one| one.is_error()).find_map(first)?;
    let mut edits = help.edits;
    edits.sort_by_key(|edit| std::cmp::Reverse(edit.location.span.start));
    let mut after = format!("{text}\n");
    for edit in edits {
        after.replace_range(edit.location.span.range(), &edit.replacement);
    }
    Some(after.trim_end().to_owned())
}

/// The words that narrow a rule: addresses, ports, interfaces.
fn narrowing(text: &str) -> Vec<String> {
    let words = text.split(|letter: char| letter.is_whitespace() || matches!(letter, ':' | ',' | '"'));
    let parts = words.flat_map(|word| word.split("/tcp"));
    let narrows = |word: &&str| word.bytes().any(|byte| byte.is_ascii_digit()) && !word.contains("/min");
    parts.filter(narrows).map(str::to_owned).collect()
}

#[test]
fn following_what_is_offered_ends_where_the_author_meant_and_opens_no_more() {
    let mut wrong = Vec::new();
    for (mistake, meant) in MISTAKES {
        let mut text = (*mistake).to_owned();
        let mut rounds = 0;
        while let Some(after) = followed(&text).filter(|_| rounds < 8) {
            text = after;
            rounds += 1;
        }
        if text != *meant {
            wrong.push(format!("{mistake}\n    ends in {text}\n    and not {meant}"));
        }
        let lost: Vec<String> = narrowing(mistake).into_iter().filter(|word| !text.contains(word.as_str())).collect();
        let is_range = mistake.contains("6000:6007") && text.contains("6000-6007");
        if !lost.is_empty() && !is_range {
            wrong.push(format!("{mistake}\n    ends in {text}, which lost {lost:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_statement_over_several_lines_is_not_opened_to_everyone() {
    let text = "allow ssh\n    from 10.0.0.0/8\n    to host";
    assert_eq!(followed(text), None);
}

#[test]
fn nothing_is_said_to_be_unused_beside_a_statement_that_was_not_read() {
    let mut db = Database::default();
    let input = Fixture::new("a slip", "interface wan = eth0\nallow ssh frm any to host via wan\n").load(&mut db, None);
    let (_, compiled) = db.compile_once(input, "site", &[], false);
    let said: Vec<&str> = compiled.diagnostics.iter().map(|one| one.code.number).collect();
    assert!(!said.is_empty() && !said.contains(&"FW0103"), "{said:?}");
}
