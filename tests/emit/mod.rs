//! Every match, effect and verdict, and the text that each becomes.

use std::sync::Arc;

use fwc::emit::{Context, OutputFile, Target, emit};
use fwc::net::{AddressRange, AddressSet, Card, Family, PortRange, PortSet, Protocol};
use fwc::netfilter::entry::{base, entry_chain};
use fwc::netfilter::{
    Attached, Attachment, Chain, Effect, Hook, IcmpType, Limit, Match, MatchKind, Owner, Reject, Rule, Ruleset, Set,
    SetField, SetValue, State, TableFamily, TableKind, Verdict,
};
use fwc::span::{FileId, Location, SourceText, Span};
use thin_vec::thin_vec;

pub fn addresses(text: &str) -> AddressSet {
    text.split_whitespace().map(|part| part.parse::<AddressRange>().expect(part)).collect()
}

pub fn ports(text: &str) -> PortSet {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        PortRange { first: first.parse().expect(part), last: last.parse().expect(part) }
    };
    text.split_whitespace().map(range).collect()
}

pub fn is(kind: MatchKind) -> Match {
    Match::is(kind)
}

pub fn not(kind: MatchKind) -> Match {
    Match::not(kind)
}

pub fn protocol(protocol: Protocol) -> Match {
    is(MatchKind::protocol(protocol))
}

fn address(text: &str) -> SetValue {
    SetValue::Address(text.parse::<AddressRange>().expect(text).into())
}

pub fn cards(text: &str) -> Vec<Card> {
    text.split_whitespace().map(Card::parse).collect()
}

pub fn rule(matches: Vec<Match>, verdict: Verdict) -> Rule {
    Rule { matches, verdict: Some(verdict), ..Rule::default() }
}

pub fn limit(source_prefix: Option<u8>) -> Match {
    is(MatchKind::Limit(Box::new(Limit { count: 10, seconds: 60, burst: 5, source_prefix, name: "fwc-ssh".into() })))
}

pub fn chain(name: &str, rules: Vec<Rule>) -> Chain {
    Chain { name: name.into(), owner: Owner::Fwc, base: None, rules }
}

/// Adds the chain of ours at a hook, with its attachment in both families.
pub fn at_hook(ruleset: &mut Ruleset, kind: TableKind, hook: Hook, rules: Vec<Rule>) {
    let name: Arc<str> = entry_chain(kind, hook).into();
    for family in Family::BOTH {
        ruleset.attachments.push(Attachment {
            family,
            table: kind,
            parent: hook.chain().to_owned(),
            rule: Attached::Jump(name.clone()),
            create_parent: false,
        });
    }
    let chain = Chain { name, owner: Owner::Fwc, base: Some(base(kind, hook)), rules };
    ruleset.table_mut(TableFamily::Inet, kind).chains.push(chain);
}

/// Every match that both back ends have.
pub fn matches() -> Vec<Vec<Match>> {
    let tcp = || protocol(Protocol::TCP);
    let mut out = vec![
        vec![],
        vec![is(MatchKind::InInterface(cards("eth0").into()))],
        vec![is(MatchKind::InInterface(cards("eth0 br-+ br-app wg0").into()))],
        vec![not(MatchKind::InInterface(cards("eth0").into()))],
        vec![not(MatchKind::InInterface(cards("eth0 br-+").into()))],
        vec![is(MatchKind::Source(addresses("10.0.0.0/8")))],
        vec![is(MatchKind::Source(addresses("2001:db8::/32 2001:db9::1")))],
        vec![is(MatchKind::Source(addresses("10.0.0.1-10.0.0.6 10.9.0.0/16")))],
        vec![not(MatchKind::Source(addresses("10.0.0.1-10.0.0.6 10.9.0.0/16")))],
        vec![is(MatchKind::Source(addresses("10.0.0.1 10.0.0.3 10.0.0.5 10.0.0.7 10.0.0.9 10.0.0.11 ::1")))],
        vec![not(MatchKind::Source(addresses("10.0.0.1 10.0.0.3 10.0.0.5 10.0.0.7 10.0.0.9 10.0.0.11")))],
        vec![is(MatchKind::Destination(addresses("192.0.2.1")))],
        vec![not(MatchKind::Destination(addresses("192.0.2.0/24")))],
        vec![is(MatchKind::Source(addresses("0.0.0.0/0")))],
        vec![is(MatchKind::DestinationLocal)],
        vec![not(MatchKind::DestinationLocal)],
        vec![is(MatchKind::DestinationMulticast)],
        vec![tcp()],
        vec![is(MatchKind::Protocol(vec![Protocol::TCP, Protocol::UDP, Protocol(47)].into()))],
        vec![not(MatchKind::protocol(Protocol::TCP))],
        vec![not(MatchKind::Protocol(vec![Protocol::TCP, Protocol::UDP].into()))],
        vec![tcp(), is(MatchKind::SourcePort(ports("1024-65535")))],
        vec![tcp(), is(MatchKind::DestinationPort(ports("22")))],
        vec![tcp(), is(MatchKind::DestinationPort(ports("80 443 8000-8010")))],
        vec![tcp(), not(MatchKind::DestinationPort(ports("80 443")))],
        vec![
            is(MatchKind::Protocol(vec![Protocol::TCP, Protocol::UDP].into())),
            is(MatchKind::DestinationPort(ports("1 3 5 7 9 11 13 15 17 19 21 23 25 27 29 31-33"))),
        ],
        vec![protocol(Protocol::SCTP), is(MatchKind::DestinationPort(ports("5060")))],
        vec![protocol(Protocol::ICMP), is(MatchKind::IcmpType(thin_vec![IcmpType { kind: 8, code: None }]))],
        vec![
            protocol(Protocol::ICMP),
            is(MatchKind::IcmpType(thin_vec![IcmpType { kind: 8, code: None }, IcmpType { kind: 3, code: Some(4) }])),
        ],
        vec![protocol(Protocol::ICMPV6), is(MatchKind::IcmpType(thin_vec![IcmpType { kind: 128, code: None }]))],
        vec![
            protocol(Protocol::ICMPV6),
            not(MatchKind::IcmpType(thin_vec![
                IcmpType { kind: 1, code: Some(4) },
                IcmpType { kind: 135, code: None }
            ])),
        ],
        vec![tcp(), is(MatchKind::TcpFlags { mask: 0x17, set: 0x02 })],
        vec![tcp(), not(MatchKind::TcpFlags { mask: 0x3f, set: 0 })],
        vec![is(MatchKind::State(State::NEW))],
        vec![is(MatchKind::State(State::ESTABLISHED | State::RELATED))],
        vec![not(MatchKind::State(State::INVALID | State::UNTRACKED))],
        vec![is(MatchKind::DirectionOriginal)],
        vec![not(MatchKind::DirectionOriginal)],
        vec![is(MatchKind::DestinationTranslated)],
        vec![not(MatchKind::State(State::INVALID | State::UNTRACKED)), not(MatchKind::DestinationTranslated)],
        vec![is(MatchKind::OriginalDestination(addresses("203.0.113.10")))],
        vec![is(MatchKind::OriginalDestination(addresses("203.0.113.10 203.0.113.16/28")))],
        vec![not(MatchKind::OriginalDestination(addresses("2001:db8::10")))],
        vec![tcp(), is(MatchKind::OriginalDestinationPort(ports("8080")))],
        vec![tcp(), is(MatchKind::OriginalDestinationPort(ports("80 443 8000-8010")))],
        vec![tcp(), not(MatchKind::OriginalDestinationPort(ports("80 443")))],
        vec![is(MatchKind::Mark { value: 1, mask: 0xff })],
        vec![not(MatchKind::Mark { value: 1, mask: u32::MAX })],
        vec![is(MatchKind::SourceMac(thin_vec!["1e:0b:85:27:8d:65".parse().expect("MAC")]))],
        vec![not(MatchKind::SourceMac(thin_vec![
            "1e:0b:85:27:8d:65".parse().expect("MAC"),
            "1e:0b:85:27:8d:66".parse().expect("MAC"),
        ]))],
        vec![is(MatchKind::in_set("fwc-office".into(), thin_vec![SetField::Source]))],
        vec![not(MatchKind::in_set("fwc-office".into(), thin_vec![SetField::Source]))],
        vec![is(MatchKind::in_set("fwc-pairs".into(), thin_vec![SetField::Source, SetField::DestinationService]))],
        vec![is(MatchKind::in_set("fwc-banned".into(), thin_vec![SetField::Source]))],
        vec![limit(None)],
        vec![limit(Some(64))],
        vec![is(MatchKind::ConnectionsAbove { count: 20, source_prefix: 0, name: "fwc-all".into() })],
        vec![is(MatchKind::ConnectionsAbove { count: 5, source_prefix: 64, name: "fwc-each".into() })],
        vec![is(MatchKind::Time { days: 0b001_1111, times: Some((8 * 60, 18 * 60)) })],
        vec![is(MatchKind::Time { days: 0x7f, times: Some((22 * 60, 6 * 60)) })],
        vec![not(MatchKind::Time { days: 0x7f, times: Some((8 * 60, 24 * 60)) })],
        // A counter beside lists: asked once for a packet.
        vec![
            is(MatchKind::InInterface(cards("eth0 wg0").into())),
            tcp(),
            is(MatchKind::DestinationPort(ports("22"))),
            limit(None),
        ],
        // More comparisons than a rule of the kernel has room for.
        vec![
            not(MatchKind::OriginalSource(addresses("198.51.100.0/28 198.51.100.32/27"))),
            not(MatchKind::OriginalDestination(addresses("10.0.0.1-10.15.255.254"))),
        ],
        vec![tcp(), not(MatchKind::OriginalDestinationPort(ports("1 3 5 7 9 11 13 15 17 19 21 23 25 27 29 31-33")))],
        vec![not(MatchKind::SourceMac(
            (0..16).map(|last| format!("02:00:00:00:00:{last:02x}").parse().expect("MAC")).collect(),
        ))],
    ];
    out.push(vec![
        is(MatchKind::InInterface(cards("eth0 wg0").into())),
        not(MatchKind::InInterface(cards("lo eth1").into())),
        tcp(),
    ]);
    out
}

/// A policy with every match, effect and verdict that both back ends have.
pub fn everything() -> Ruleset {
    let mut ruleset = Ruleset::default();
    let table = ruleset.table_mut(TableFamily::Inet, TableKind::Filter);
    table.sets = vec![
        Set {
            name: "fwc-office".into(),
            family: Some(Family::Ipv4),
            fields: vec![SetField::Source],
            elements: ["198.51.100.0/24", "10.0.0.1-10.0.0.6", "192.0.2.1"].map(|text| [address(text)].into()).to_vec(),
            live: false,
        },
        Set {
            name: "fwc-pairs".into(),
            family: Some(Family::Ipv6),
            fields: vec![SetField::Source, SetField::DestinationService],
            elements: vec![
                [address("2001:db8::/32"), SetValue::Service(Protocol::TCP, PortRange { first: 80, last: 90 })].into(),
                [address("::1"), SetValue::Service(Protocol::UDP, PortRange::single(53))].into(),
            ],
            live: false,
        },
        Set {
            name: "fwc-banned".into(),
            family: Some(Family::Ipv4),
            fields: vec![SetField::Source],
            elements: Vec::new(),
            live: true,
        },
    ];
    for (number, verdict) in [Verdict::Accept, Verdict::Return, Verdict::Goto("fwc-sub".into())].into_iter().enumerate()
    {
        // A rule that goes around by a goto makes the chain one deeper: a chain for each match keeps all of them loadable.
        let rules = matches().into_iter().map(|matches| rule(matches, verdict.clone()));
        let table = ruleset.table_mut(TableFamily::Inet, TableKind::Filter);
        table.chains.extend(rules.enumerate().map(|(at, rule)| {
            chain(&format!("fwc-{number}-{at}"), vec![rule, Rule { verdict: Some(Verdict::Drop), ..Rule::default() }])
        }));
    }
    let table = ruleset.table_mut(TableFamily::Inet, TableKind::Filter);
    let all: Vec<Rule> = table.chains.iter().map(|chain| rule(vec![], Verdict::Jump(chain.name.clone()))).collect();
    table.chains.push(chain("fwc-sub", vec![rule(vec![is(MatchKind::State(State::NEW))], Verdict::Drop)]));
    let mut input = all;
    let tcp = || protocol(Protocol::TCP);
    let log = || Effect::Log { prefix: "fwc \"input\": ".into(), level: 4 };
    input.push(Rule { effects: thin_vec![log()], ..Rule::default() });
    input.push(Rule {
        matches: vec![is(MatchKind::InInterface(cards("eth0 wg0").into())), limit(Some(32))],
        effects: thin_vec![log(), Effect::SetMark { value: 1, mask: 0xff }],
        verdict: Some(Verdict::Drop),
        comment: Some("says \"why\"".into()),
        origin: Some(Location { file: FileId(0), span: Span::new(20, 21) }),
        ..Rule::default()
    });
    for how in [
        Reject::PortUnreachable,
        Reject::HostUnreachable,
        Reject::NetworkUnreachable,
        Reject::HostProhibited,
        Reject::NetworkProhibited,
        Reject::AdminProhibited,
    ] {
        input.push(rule(vec![is(MatchKind::InInterface(cards("eth0").into()))], Verdict::Reject(how)));
    }
    input.push(rule(vec![tcp()], Verdict::Reject(Reject::TcpReset)));
    input.push(Rule {
        matches: vec![is(MatchKind::InInterface(cards("eth0 wg0").into())), tcp(), limit(None)],
        effects: thin_vec![log()],
        verdict: Some(Verdict::Reject(Reject::TcpReset)),
        ..Rule::default()
    });
    input.push(rule(
        vec![],
        Verdict::Map {
            fields: thin_vec![SetField::DestinationService],
            elements: Arc::new(vec![(
                vec![SetValue::Service(Protocol::TCP, PortRange::single(22))],
                Verdict::Goto("fwc-sub".into()),
            )]),
        },
    ));
    at_hook(&mut ruleset, TableKind::Filter, Hook::Input, input);
    at_hook(
        &mut ruleset,
        TableKind::Filter,
        Hook::Output,
        vec![
            rule(vec![is(MatchKind::OutInterface(cards("eth0 wg0").into()))], Verdict::Accept),
            rule(vec![is(MatchKind::User("0".into()))], Verdict::Accept),
            rule(vec![not(MatchKind::User("root".into()))], Verdict::Accept),
        ],
    );
    at_hook(
        &mut ruleset,
        TableKind::Mangle,
        Hook::Forward,
        vec![
            Rule { matches: vec![tcp()], effects: thin_vec![Effect::ClampMss], ..Rule::default() },
            Rule {
                effects: thin_vec![Effect::SetDscp(46), Effect::SetMark { value: 7, mask: u32::MAX }],
                ..Rule::default()
            },
        ],
    );
    at_hook(
        &mut ruleset,
        TableKind::Raw,
        Hook::Prerouting,
        vec![
            Rule {
                matches: vec![tcp(), is(MatchKind::DestinationPort(ports("21")))],
                effects: thin_vec![Effect::Helper("ftp".into())],
                ..Rule::default()
            },
            Rule { matches: vec![protocol(Protocol::UDP)], effects: thin_vec![Effect::Notrack], ..Rule::default() },
        ],
    );
    at_hook(
        &mut ruleset,
        TableKind::Nat,
        Hook::Prerouting,
        vec![
            rule(vec![tcp()], Verdict::Dnat { address: "192.0.2.7".parse().expect("address"), port: Some(80) }),
            rule(vec![tcp()], Verdict::Dnat { address: "2001:db8::7".parse().expect("address"), port: Some(80) }),
            rule(vec![], Verdict::Dnat { address: "192.0.2.7".parse().expect("address"), port: None }),
            rule(vec![protocol(Protocol::UDP)], Verdict::Redirect(53)),
        ],
    );
    at_hook(
        &mut ruleset,
        TableKind::Nat,
        Hook::Postrouting,
        vec![
            rule(
                vec![is(MatchKind::Source(addresses("10.0.0.0/8")))],
                Verdict::Snat("203.0.113.10".parse().expect("address")),
            ),
            rule(vec![is(MatchKind::OutInterface(cards("eth0").into()))], Verdict::Masquerade),
        ],
    );
    ruleset
}

/// What iptables alone can say: bridge ports, and its own words.
pub fn iptables_alone() -> Ruleset {
    let mut ruleset = Ruleset::default();
    let rules = [
        vec![is(MatchKind::InPort(cards("tap1 tap2").into()))],
        vec![not(MatchKind::InPort(cards("tap1 tap2").into()))],
        vec![is(MatchKind::Bridged), is(MatchKind::OutPort(cards("tap+").into()))],
        vec![not(MatchKind::Bridged)],
        vec![is(MatchKind::Unknown("-m recent --rcheck --name x --rsource".into()))],
        vec![not(MatchKind::Unknown("-m recent --rcheck --name x --rsource".into()))],
    ];
    let rules = rules.into_iter().map(|matches| rule(matches, Verdict::Drop)).collect();
    at_hook(&mut ruleset, TableKind::Filter, Hook::Forward, rules);
    ruleset
}

/// Bridged frames, which nft judges in a table of their own.
pub fn bridge() -> Ruleset {
    let mut ruleset = Ruleset::default();
    let rules = [
        vec![is(MatchKind::InPort(cards("tap1 tap2").into())), is(MatchKind::Bridged)],
        vec![not(MatchKind::OutPort(cards("tap1").into()))],
        vec![
            is(MatchKind::Source(addresses("10.0.0.0/8"))),
            protocol(Protocol::TCP),
            is(MatchKind::DestinationPort(ports("22 80"))),
        ],
        vec![not(MatchKind::SourceMac(thin_vec!["1e:0b:85:27:8d:65".parse().expect("MAC")]))],
        vec![is(MatchKind::DestinationMulticast)],
        vec![protocol(Protocol::ICMPV6), is(MatchKind::IcmpType(thin_vec![IcmpType { kind: 135, code: None }]))],
    ];
    let rules = rules.into_iter().map(|matches| rule(matches, Verdict::Drop)).collect();
    let base = fwc::netfilter::Base { kind: TableKind::Filter, hook: Hook::Forward, priority: -205, accept: false };
    let chain = Chain { name: "fwc-bridge-forward".into(), owner: Owner::Fwc, base: Some(base), rules };
    ruleset.table_mut(TableFamily::Bridge, TableKind::Filter).chains.push(chain);
    ruleset
}

/// The files of a build, and how their sources are called.
pub fn build(ruleset: &Ruleset, target: Target, stem: &str) -> Vec<OutputFile> {
    let sources = [SourceText { path: "site.fw".into(), text: "allow ssh to host\n# more\nlog to host\n".into() }];
    let context = Context { target, stem, sources: &sources, header: vec!["facts: none".to_owned()], partial: false };
    emit(ruleset, &context).expect("the rule set has only what both back ends can say")
}

#[test]
fn everything_in_words_of_iptables_and_nft() {
    for target in [Target::Iptables, Target::Nft] {
        for file in build(&everything(), target, "site") {
            insta::assert_snapshot!(file.name.as_str(), file.text);
        }
    }
    for (ruleset, target, stem) in [(iptables_alone(), Target::Iptables, "bridged"), (bridge(), Target::Nft, "bridge")]
    {
        let files = build(&ruleset, target, stem);
        let file = files.first().expect("a file");
        insta::assert_snapshot!(file.name.as_str(), file.text);
    }
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    for target in [Target::Iptables, Target::Nft] {
        assert_eq!(build(&everything(), target, "site"), build(&everything(), target, "site"));
    }
}

#[test]
fn what_a_back_end_cannot_say_is_an_error_at_its_source() {
    let fault = |kind: TableKind, target: Target, rule: Rule| {
        let mut ruleset = Ruleset::default();
        at_hook(&mut ruleset, kind, Hook::Prerouting, vec![rule]);
        let context = Context { target, stem: "site", sources: &[], header: Vec::new(), partial: false };
        let problems = emit(&ruleset, &context).expect_err("cannot be said");
        problems.iter().map(|problem| problem.code.number).collect::<Vec<_>>()
    };
    let reject = || rule(vec![], Verdict::Reject(Reject::PortUnreachable));
    assert_eq!(fault(TableKind::Mangle, Target::Iptables, reject()), ["FW0602"]);
    assert_eq!(fault(TableKind::Mangle, Target::Nft, reject()), ["FW0602"]);
    let port = || rule(vec![is(MatchKind::DestinationPort(ports("22")))], Verdict::Accept);
    assert_eq!(fault(TableKind::Filter, Target::Iptables, port()), ["FW0605"]);
    assert_eq!(fault(TableKind::Filter, Target::Nft, port()), ["FW0605"]);
    let unknown = rule(vec![is(MatchKind::Unknown("-m recent --rcheck".into()))], Verdict::Drop);
    assert_eq!(fault(TableKind::Filter, Target::Nft, unknown), ["FW0603"]);
    let unconnected = rule(vec![not(MatchKind::DestinationTranslated)], Verdict::Drop);
    assert_eq!(fault(TableKind::Mangle, Target::Nft, unconnected), ["FW0603"]);
    let bridged = rule(vec![is(MatchKind::InPort(cards("tap0").into()))], Verdict::Drop);
    assert_eq!(fault(TableKind::Filter, Target::Nft, bridged), ["FW0603"]);
    let long = Rule {
        effects: thin_vec![Effect::Log { prefix: "a prefix of more than 29 bytes: ".into(), level: 4 }],
        ..Rule::default()
    };
    assert_eq!(fault(TableKind::Filter, Target::Iptables, long), ["FW0601"]);
    for (burst, source_prefix) in [(10, None), (2, None), (2, Some(32))] {
        let slow = Limit { count: 1, seconds: 86_400, burst, source_prefix, name: "fwc-x".into() };
        assert_eq!(
            fault(
                TableKind::Filter,
                Target::Iptables,
                rule(vec![is(MatchKind::Limit(Box::new(slow)))], Verdict::Accept)
            ),
            ["FW0604"]
        );
    }
}
