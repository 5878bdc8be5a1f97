//! `iptables-save` in particular.

use fwc::net::{Card, Family, PortRange, PortSet, Protocol};
use fwc::netfilter::{Effect, Limit, Match, MatchKind, Owner, Reject, Rule, State, Verdict};
use fwc::read::{Reading, iptables};
use fwc::span::FileId;

fn v4(text: &str) -> Reading {
    iptables(FileId(0), text, Family::Ipv4)
}

/// The rule that these words say.
fn rule(words: &str) -> Rule {
    let mut rule = fwc::read::iptables_rule(words, Family::Ipv4).expect(words);
    rule.origin = None;
    rule
}

fn text(kind: &MatchKind) -> &str {
    match kind {
        MatchKind::Unknown(text) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn chains_have_their_places_and_policies() {
    let reading = v4("*filter\n:INPUT DROP [0:0]\n:fwc-input - [0:0]\n:mine - [0:0]\n-A INPUT -j mine\nCOMMIT\n");
    assert_eq!(reading.faults, []);
    let table = &reading.ruleset.tables[0];
    let owners: Vec<&Owner> = table.chains.iter().map(|chain| &chain.owner).collect();
    assert_eq!(owners, [&Owner::Kernel, &Owner::Fwc, &Owner::Other]);
    assert!(!table.chains[0].base.expect("a place").accept);
    assert_eq!(table.chains[0].rules[0].verdict, Some(Verdict::Jump("mine".into())));
    let origin = table.chains[0].rules[0].origin.expect("a place in the text").span;
    assert_eq!((origin.start, origin.end), (59, 75));
}

#[test]
fn a_rule_has_its_matches_in_order() {
    let read = rule("! -s 10.0.0.0/8 -i br-+ -p tcp -m multiport --dports 80,443 -m conntrack ! --ctstate NEW -j DROP");
    assert_eq!(
        read.matches,
        [
            Match::not(MatchKind::Source(["10.0.0.0/8".parse().expect("prefix")].into_iter().collect())),
            Match::is(MatchKind::InInterface([Card { name: "br-".to_owned(), prefix: true }].into())),
            Match::is(MatchKind::protocol(Protocol::TCP)),
            Match::is(MatchKind::DestinationPort(PortSet::new([80, 443].map(PortRange::single)))),
            Match::not(MatchKind::State(State::NEW)),
        ]
    );
    assert_eq!(read.verdict, Some(Verdict::Drop));
}

#[test]
fn what_is_not_modelled_is_kept_by_its_text() {
    let read = rule(
        "-p tcp -m recent --update --seconds 30 --name A --rsource -m tcp ! --tcp-option 7 -j NFLOG --nflog-group 3",
    );
    // As the tool lists it.
    let recent = "-m recent --update --seconds 30 --name A --mask 255.255.255.255 --rsource";
    assert_eq!(text(&read.matches[1].kind), recent);
    assert_eq!(text(&read.matches[2].kind), "-m tcp ! --tcp-option 7");
    assert_eq!(read.effects, [Effect::Unknown("-j NFLOG --nflog-group 3".into())]);
    assert_eq!(read.verdict, None);
    assert_eq!(rule("-j NFQUEUE --queue-num 1").verdict, Some(Verdict::Unknown("-j NFQUEUE --queue-num 1".into())));
    // An alternative of two kinds is no conjunction of both.
    assert_eq!(text(&rule("-m conntrack --ctstate NEW,DNAT").matches[0].kind), "-m conntrack --ctstate NEW,DNAT");
}

#[test]
fn targets_have_their_details() {
    let read = rule(
        r#"-m limit --limit 3/min --limit-burst 10 -m comment --comment "a \"b\"" -j LOG --log-prefix "[X] " --log-uid"#,
    );
    let limit = Limit { count: 3, seconds: 60, burst: 10, source_prefix: None, name: "".into() };
    assert_eq!(read.matches, [Match::is(MatchKind::Limit(Box::new(limit)))]);
    assert_eq!(read.effects, [Effect::Log { prefix: "[X] ".into(), level: 4 }, Effect::Unknown("--log-uid".into())]);
    assert_eq!(read.comment.as_deref(), Some("a \"b\""));
    let masquerade = rule("-j MASQUERADE --to-ports 1024-65535");
    assert_eq!(masquerade.verdict, Some(Verdict::Masquerade));
    assert_eq!(masquerade.effects, [Effect::Unknown("--to-ports 1024-65535".into())]);
    assert_eq!(rule("-j REJECT").verdict, Some(Verdict::Reject(Reject::PortUnreachable)));
    assert_eq!(rule("-j MARK --set-mark 0x1/0x3").effects, [Effect::SetMark { value: 1, mask: 3 }]);
    assert_eq!(
        rule("-p tcp -j DNAT --to-destination 172.17.0.2:80").verdict,
        Some(Verdict::Dnat { address: "172.17.0.2".parse().expect("address"), port: Some(80) })
    );
}

#[test]
fn a_bad_line_costs_itself_alone() {
    let text = "*filter\nnonsense\n-A INPUT -j\n-A INPUT -s 10.0.0.1 stray -j DROP\n-A INPUT -m comment --comment \"open\n-A INPUT -j DROP\nCOMMIT\n-A INPUT -j DROP\n*wrong\n-A X -j DROP\nCOMMIT\n";
    let reading = v4(text);
    let rules = reading.ruleset.tables[0].chains.iter().flat_map(|chain| &chain.rules);
    let verdicts: Vec<&str> = rules
        .map(|rule| match &rule.verdict {
            Some(Verdict::Unknown(text)) => text,
            Some(Verdict::Drop) => "drop",
            other => panic!("{other:?}"),
        })
        .collect();
    // What is no rule may be anything.
    assert_eq!(verdicts, ["-A INPUT -j", "-A INPUT -s 10.0.0.1 stray -j DROP", "drop"]);
    let messages: Vec<String> =
        reading.faults.iter().map(|fault| format!("{} | {}", fault.message, fault.help)).collect();
    insta::assert_snapshot!("iptables_faults", messages.join("\n"));
}
