//! What was not read makes answers unknown: the exit status is 2, or the answer says "possibly".

use super::Place;

/// A chain that another file has stands before the rules that matter.
const FRAGMENT: &str = "*filter\n:DOCKER-USER - [0:0]\n-A DOCKER-USER -j blocklist\n-A DOCKER-USER -i eth0 -p tcp --dport 8080 -j DROP\n-A DOCKER-USER -j RETURN\nCOMMIT\n";
/// The same in a whole table.
const WHOLE: &str = "*filter\n:INPUT DROP [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n-A INPUT -p tcp --dport 22 -j f2b-sshd\n-A INPUT -p tcp --dport 22 -j ACCEPT\n-A INPUT -p tcp --dport 23 -j f2b-sshd\nCOMMIT\n";

const SSH: &str = "tcp 192.0.2.1:40000 -> 203.0.113.10:22 in eth0 to host";

#[test]
fn a_chain_of_another_file_may_return_or_decide() {
    let place = Place::new(&[("docker.rules", FRAGMENT)]);
    let run = place.run(&["check", "--format", "short", "docker.rules"]);
    assert_eq!(run.code, Some(2), "{}{}", run.out, run.err);
    assert!(run.out.contains("warning[FW0811]"), "{}", run.out);
    assert!(run.out.contains("docker.rules:3:19"), "{}", run.out);
    assert!(!run.out.contains("FW0801"), "later rules may be reached\n{}", run.out);
}

#[test]
fn a_chain_that_a_whole_table_lacks_is_one_error() {
    let place = Place::new(&[("rules.v4", WHOLE)]);
    let run = place.run(&["check", "--format", "short", "rules.v4"]);
    assert_eq!(run.code, Some(1), "{}{}", run.out, run.err);
    assert_eq!(run.out.matches("error[FW0810]").count(), 1, "{}", run.out);
    assert!(run.out.contains("rules.v4:5:31"), "{}", run.out);
    assert!(!run.out.contains("FW0801"), "later rules may be reached\n{}", run.out);
    let run = place.run(&["trace", "rules.v4", SSH]);
    assert_eq!(run.code, Some(2), "{}", run.err);
    assert!(run.out.contains("possibly delivered to this host"), "{}", run.out);
    let run = place.run(&["who", "rules.v4"]);
    assert_eq!(run.code, Some(2), "{}", run.err);
    assert!(run.out.contains("unless `jump f2b-sshd` stops it"), "{}", run.out);
}

#[test]
fn a_chain_that_another_given_file_has_is_known() {
    let chain = "*filter\n:f2b-sshd - [0:0]\n-A f2b-sshd -s 192.0.2.0/24 -j DROP\n-A f2b-sshd -j RETURN\nCOMMIT\n";
    let place = Place::new(&[("rules.v4", WHOLE), ("bans.v4", chain)]);
    let run = place.run(&["trace", "rules.v4+bans.v4", SSH]);
    assert_eq!(run.code, Some(0), "{}", run.err);
    assert!(run.out.starts_with("dropped, by bans.v4:3"), "{}", run.out);
}

#[test]
fn what_no_tool_loads_is_not_compared() {
    let listing = "table inet fw {\n\tchain input {\n\t\ttype filter hook input priority 0; policy drop;\n\t\ttcp dport 22 accept\n\t}\n}\n";
    let broken = listing.replacen("\t}\n", "", 1);
    let place = Place::new(&[("a.nft", listing), ("b.nft", &broken)]);
    for arguments in [&["diff", "a.nft", "b.nft"][..], &["who", "b.nft"], &["trace", "b.nft", SSH]] {
        let run = place.run(arguments);
        assert_eq!(run.code, Some(2), "{arguments:?}: {}{}", run.out, run.err);
        assert!(run.err.contains("[FW0800] Error"), "{arguments:?}: {}", run.err);
        assert_eq!(run.out, "", "{arguments:?}");
    }
}

#[test]
fn a_script_that_begins_with_flush_ruleset_is_no_ipset_file() {
    let script = "flush ruleset;\ntable inet fw {\n\tchain input {\n\t\ttype filter hook input priority 0; policy drop;\n\t\ttcp dport 22 accept\n\t}\n}\n";
    let place = Place::new(&[("rules.nft", script)]);
    let run = place.run(&["who", "rules.nft"]);
    assert_eq!(run.code, Some(0), "{}", run.err);
    assert!(run.out.contains("tcp 22 (ssh)"), "{}", run.out);
}

#[test]
fn text_around_a_dump_is_passed_over_and_said() {
    let text = format!("Here is what we have:\n\nroot@host:~# iptables-save\n{WHOLE}root@host:~#\n")
        .replace("-j f2b-sshd", "-j DROP");
    let place = Place::new(&[("ticket.txt", &text)]);
    let run = place.run(&["check", "--format", "short", "ticket.txt"]);
    assert!(run.out.contains("note[FW0812]") && run.out.contains("ticket.txt:1:1"), "{}", run.out);
    let run = place.run(&["trace", "ticket.txt", SSH]);
    assert_eq!(run.code, Some(0), "{}", run.err);
    assert!(run.out.starts_with("dropped, by ticket.txt:8"), "{}", run.out);
}
