//! Rule files as people write them, each with the first thing that `check` says of it: severity, code, place and words.

use fwc::diagnostic::Level;
use fwc::net::{Family, PortRange, PortSet};
use fwc::netfilter::{MatchKind, Ruleset, Verdict};
use fwc::read;
use fwc::rules::listing::listing;
use fwc::span::{FileId, LineIndex, SourceText};

/// What `check` says first: of errors before warnings before notes, the first in the text.
fn first(text: &str) -> String {
    let source = SourceText { path: "rules".into(), text: text.into() };
    let Some(form) = read::detect(text) else { return "no rule set".to_owned() };
    let mut found = listing(&source, form, Family::Ipv4, &[], false, |_, _, _| true);
    found.sort_by_key(|one| (std::cmp::Reverse(one.code.level), one.primary.location.span.start));
    let Some(one) = found.first() else { return "clean".to_owned() };
    let (line, column) = LineIndex::new(text).line_column(one.primary.location.span.start);
    let level = match one.code.level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Note => "note",
    };
    format!("{line}:{column} {level} {} {}", one.code.number, one.message)
}

/// A filter table with these lines, of which the first is line 5; behind them, answers are accepted.
fn filter(lines: &str) -> String {
    let answers = "-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT";
    format!("*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n{lines}\n{answers}\nCOMMIT\n")
}

#[track_caller]
fn says(text: &str, expected: &str) {
    assert_eq!(first(text), expected, "\n{text}");
}

#[track_caller]
fn in_filter(lines: &str, expected: &str) {
    says(&filter(lines), expected);
}

#[test]
fn words_that_iptables_refuses() {
    in_filter(
        "-A INPUT -p tcp --dport 22 -j SSSHD",
        "5:31 error FW0810 there is no chain `SSSHD` in table `filter` of this text",
    );
    in_filter(
        "-A INPUT -p tcp --dport 22 -j ACCPET",
        "5:31 error FW0810 there is no chain `ACCPET` in table `filter` of this text",
    );
    in_filter("-A INPUT -p tcp --dporrt 22 -j ACCEPT", "5:17 error FW0800 `--dporrt` is no option of iptables");
    in_filter("-A INPUT -m conntrak --ctstate NEW -j ACCEPT", "5:13 error FW0800 iptables has no match `conntrak`");
    in_filter(
        "-A INPUT -m state --state ESTABILSHED -j ACCEPT",
        "5:27 error FW0800 `ESTABILSHED` is no connection state",
    );
    in_filter("-A INPUT --dport 22 -j ACCEPT", "5:10 error FW0800 `--dport` needs a protocol");
    in_filter("-A INPUT -p tcp --dport 70000 -j ACCEPT", "5:25 error FW0800 `70000` is no port: those are 0 to 65535");
    in_filter(
        "-A INPUT -p udp --dport 70000 -j ACCEPT",
        "5:25 error FW0813 `70000` is no port: iptables loads it as 4464",
    );
    in_filter("-A INPUT -s 10.0.0.300 -j ACCEPT", "5:13 error FW0800 `10.0.0.300` is no address");
    in_filter(
        "-A INPUT -s 10.0.0.0/33 -j ACCEPT",
        "5:13 error FW0800 `/33` is no prefix of an address: those are /0 to /32",
    );
    in_filter(
        "-A INPUT -s 10.0.0.1 -j ACCEPT\n-A INPUT -s 2001:db8::1 -j ACCEPT",
        "6:13 error FW0800 `2001:db8::1` is an address of IPv6 in rules for IPv4",
    );
    in_filter("-A FORWARD -o eth0 -j MASQUERADE", "5:20 error FW0800 `MASQUERADE` cannot be used in the table filter");
    in_filter("-A INPUT -o eth0 -j ACCEPT", "5:10 error FW0800 `-o` cannot be used in INPUT");
    in_filter("-A INPUT -p tpc --dport 22 -j ACCEPT", "5:13 error FW0800 `tpc` is no protocol");
    in_filter("-A INPUT -p tcp --dport htttp -j ACCEPT", "5:25 error FW0800 `htttp` is no port or service");
    in_filter(
        "-A INPUT -m multiport --dports 80 -j ACCEPT",
        "5:13 error FW0800 `multiport` needs `-p tcp` or `-p udp` or `-p udplite` or `-p sctp` or `-p dccp`",
    );
    in_filter("-A INPUT -s ! 10.0.0.1 -j ACCEPT", "5:13 error FW0800 `!` stands after `-s`");
    in_filter("-A INPUT -m recent --name a -j DROP", "5:13 error FW0800 `recent` says nothing");
    in_filter("-A INPUT -j REJECT --reject-with tcp-reset", "5:10 error FW0800 only TCP connections can be reset");
    in_filter("-A INPTU -j DROP", "5:4 error FW0810 no line makes the chain `INPTU` of the table filter");
    in_filter("-A INPUT -p tcp -j ACCEPT -j DROP", "5:27 error FW0800 the rule has a second target");
}

#[test]
fn files_that_do_not_load() {
    says(
        "*filter\n:INPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\n",
        "1:1 error FW0800 no `COMMIT` ends the table filter: nothing of it is loaded",
    );
    says(
        "*nat\n:PREROUTING ACCEPT [0:0]\n*filter\n:INPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\nCOMMIT\n",
        "1:1 error FW0800 no `COMMIT` ends the table nat: nothing of it is loaded",
    );
    says(
        &filter("-A INPUT -i lo -j ACCEPT").replace('\n', "\r\n"),
        "1:8 error FW0800 the lines end with a carriage return",
    );
    says(
        &format!("\u{feff}{}", filter("-A INPUT -i lo -j ACCEPT")),
        "1:1 error FW0800 the text begins with a byte order mark",
    );
    says("*filtre\n:INPUT DROP [0:0]\nCOMMIT\n", "1:1 error FW0800 iptables has no table `filtre`");
    says("*filter\n:INPUT DORP [0:0]\nCOMMIT\n", "2:8 error FW0800 `DORP` is no policy of a chain");
}

#[test]
fn words_that_nft_refuses() {
    let table = |line: &str| {
        format!(
            "table inet f {{\n\tset bad {{\n\t\ttype ipv4_addr\n\t}}\n\tchain c {{\n\t\ttype filter hook input priority 0; policy drop;\n\t\t{line}\n\t\tct state established,related accept\n\t}}\n}}\n"
        )
    };
    says(&table("tcp dport 22 acept"), "7:16 error FW0800 `acept` is no statement of nft");
    says(&table("tcp dporrt 22 accept"), "7:7 error FW0800 `dporrt` is no field of this header");
    says(&table("ip saddr @nosuch drop"), "7:12 error FW0800 `@nosuch` is no set of this table");
    says(&table("jump nosuch"), "7:8 error FW0810 there is no chain `nosuch` in table `f` of this text");
    says(&table("ct state estabished accept"), "7:12 error FW0800 `estabished` is no state of a connection");
    says(&table("tcp dport htttp accept"), "7:13 error FW0800 `htttp` is no port or service");
    says(&table("ip saddr 10.0.0.300 accept"), "7:12 error FW0800 `10.0.0.300` is no address");
    says(&table("iifname $wan accept"), "7:11 error FW0800 `$wan` is not defined");
    says(&table("ip saddr @bad drop"), "7:3 note FW0805 this matches nothing: the set that it looks into is empty");
}

#[test]
fn spellings_that_people_use_are_read_whole() {
    for lines in [
        "-A INPUT -p tcp --dport http -j ACCEPT",
        "-A INPUT -p tcp --dport 1024: -j ACCEPT",
        "-A INPUT -p UDP --dport 53 -j ACCEPT",
        "-A INPUT -m state --state related,established -j ACCEPT",
        "-A INPUT -s 0/0 -p tcp --syn -j ACCEPT",
        "-A INPUT -s 10/8 -j ACCEPT",
        "-A INPUT --proto tcp --sour 10.0.0.1 -j ACCEPT",
        "-A INPUT -p tcp -m multiport --ports 80,443 -j ACCEPT",
        "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -j ACCEPT",
        "-A INPUT -p icmp --icmp-type echo-req -j ACCEPT",
        "-A INPUT -p tcp --dport=22 -j ACCEPT",
        "-A INPUT -p tcp ! --dport 22 -j ACCEPT",
        "-A INPUT -j REJECT --reject-with port-unreach",
    ] {
        let text = filter(lines);
        let reading = read::iptables(FileId(0), &text, Family::Ipv4);
        assert_eq!(super::faults(&reading, &text), [""; 0], "{lines}");
        assert_eq!(unknown(&reading.ruleset), [""; 0], "{lines}");
    }
}

/// The texts of what is not modelled.
fn unknown(ruleset: &Ruleset) -> Vec<String> {
    let rules = ruleset.tables.iter().flat_map(|table| &table.chains).flat_map(|chain| &chain.rules);
    let of_rule = |rule: &fwc::netfilter::Rule| {
        let matches = rule.matches.iter().filter_map(|item| match &item.kind {
            MatchKind::Unknown(text) => Some(text.to_string()),
            _ => None,
        });
        let verdict = match &rule.verdict {
            Some(Verdict::Unknown(text)) => Some(text.to_string()),
            _ => None,
        };
        matches.chain(verdict).collect::<Vec<_>>()
    };
    rules.flat_map(of_rule).collect()
}

#[test]
fn nft_scripts_are_read_whole() {
    let script = "define wan = \"eth0\"\ndefine web = { http, https }\ndefine all = { $web, 8000-8080 }\ntable inet f {\n\tchain input {\n\t\ttype filter hook input priority 0; policy drop;\n\t\tiifname $wan tcp dport $all accept\n\t\tmeta nfproto vmap { ipv4 : accept, ipv6 : drop }\n\t\tct state vmap { established : accept, invalid : drop, new : continue }\n\t}\n}\n";
    let reading = read::nft(FileId(0), script);
    assert_eq!(super::faults(&reading, script), [""; 0]);
    assert_eq!(unknown(&reading.ruleset), [""; 0]);
    let rule = &reading.ruleset.tables[0].chains[0].rules[0];
    let origin = rule.origin.expect("a place").span;
    assert_eq!(script.get(origin.range()), Some("iifname $wan tcp dport $all accept"));
    let ranges = [(80, 80), (443, 443), (8000, 8080)].map(|(first, last)| PortRange { first, last });
    let asked = MatchKind::DestinationPort(PortSet::new(ranges));
    assert!(rule.matches.iter().any(|item| item.kind == asked), "{:?}", rule.matches);
}

#[test]
fn what_is_not_given_is_said_once() {
    says(
        "include \"/etc/nftables.d/*.nft\"\ntable inet f {\n\tchain input {\n\t\ttype filter hook input priority 0; policy drop;\n\t\tjump base\n\t\tip saddr @bans drop\n\t\ttcp dport 22 accept\n\t}\n}\n",
        "1:1 warning FW0811 the file `/etc/nftables.d/*.nft` was not read",
    );
    says(
        "*filter\n:DOCKER-USER - [0:0]\n-A DOCKER-USER -j blocklist\n-A DOCKER-USER -i eth0 -j DROP\nCOMMIT\n",
        "3:19 warning FW0811 there is no chain `blocklist` in table `filter` of this text",
    );
}

#[test]
fn shell_scripts_are_read() {
    let script = "#!/bin/sh\nIPT=/sbin/iptables\nWAN=eth0\n$IPT -F\n$IPT -P INPUT DROP\n$IPT -A INPUT -i lo -j ACCEPT\nfor port in 22 80; do\n\t$IPT -A INPUT -i $WAN -p tcp --dport $port -j ACCEPT\ndone\nlogged() {\n\tiptables -A INPUT -s \"$1\" -j LOG --log-prefix \"bad $1: \"\n}\nlogged 192.0.2.0/24\niptables -t nat -A POSTROUTING -o $WAN -j MASQUERADE\necho done\n";
    assert_eq!(read::detect(script), Some(read::Form::Script));
    let reading = read::script(FileId(0), script);
    assert_eq!(super::faults(&reading, script), [""; 0]);
    assert_eq!(unknown(&reading.ruleset), [""; 0]);
    let counts: Vec<(String, usize)> = reading
        .ruleset
        .tables
        .iter()
        .map(|table| (table.name.clone(), table.chains.iter().map(|chain| chain.rules.len()).sum()))
        .collect();
    assert_eq!(counts, [("filter".to_owned(), 4), ("nat".to_owned(), 1)]);
    let base = reading.ruleset.tables[0].chains[0].base.expect("a place");
    assert!(!base.accept);
}

#[test]
fn what_a_command_prints_is_a_parameter() {
    let script = "EXT=$(ip route show default | awk '{print $5}')\niptables -A INPUT -i ${EXT} -j DROP\nif [ -n \"$SSH\" ]; then\n  iptables -A INPUT -p tcp --dport 22 -j ACCEPT\nfi\n";
    let reading = read::script(FileId(0), script);
    assert_eq!(super::faults(&reading, script), [""; 0]);
    let unknown = unknown(&reading.ruleset);
    assert_eq!(unknown.len(), 2, "{unknown:?}");
    assert!(unknown[0].starts_with("-i $") && unknown[1].starts_with("if "), "{unknown:?}");
    says(
        "iptables -P INPUT DROP\nsource /etc/fw/extra.sh\niptables -A INPUT -i lo -j ACCEPT\n",
        "2:1 warning FW0811 `source /etc/fw/extra.sh` may change rules: fwc does not know the command",
    );
}

#[test]
fn commands_change_what_came_before() {
    let text = "*filter\n-P INPUT DROP\n-N mine\n-A INPUT -i lo -j ACCEPT\n-A INPUT -j mine\n-I INPUT 1 -p tcp --dport 22 -j ACCEPT\n-R INPUT 2 -i eth0 -j ACCEPT\n-D INPUT -j mine\n-E mine yours\n-Z\nCOMMIT\n";
    let reading = read::iptables(FileId(0), text, Family::Ipv4);
    assert_eq!(super::faults(&reading, text), [""; 0]);
    let chains = &reading.ruleset.tables[0].chains;
    let rules: Vec<&str> = chains[0]
        .rules
        .iter()
        .map(|rule| text.get(rule.origin.expect("a place").span.range()).expect("a line"))
        .collect();
    assert_eq!(rules, ["-I INPUT 1 -p tcp --dport 22 -j ACCEPT", "-R INPUT 2 -i eth0 -j ACCEPT"]);
    assert_eq!(&*chains[1].name, "yours");
}

#[test]
fn a_list_of_iptables_is_read() {
    let text = "-P INPUT DROP\n-P FORWARD ACCEPT\n-P OUTPUT ACCEPT\n-N f2b-sshd\n-A INPUT -p tcp -m multiport --dports 22 -j f2b-sshd\n-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A f2b-sshd -j RETURN\n";
    let reading = read::iptables(FileId(0), text, Family::Ipv4);
    assert_eq!(reading.ruleset.tables[0].name, "filter");
    assert!(!reading.ruleset.tables[0].chains[0].base.expect("a place").accept);
    says(text, "1:1 note FW0812 this list names no table: it is read as the table filter");
}
