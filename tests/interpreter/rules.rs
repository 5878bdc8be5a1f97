//! The ten rules of the language, each with a policy of its own and what the interpreter must say to it.

use std::net::IpAddr;
use std::path::Path;

use super::{Attempt, Class, Party, Policy, State, Verdict, load};

fn policy(text: &str) -> Policy {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("site.fw");
    std::fs::write(&path, text).expect("a file in a temporary directory");
    load(&path, &Path::new(env!("CARGO_MANIFEST_DIR")).join("stdlib"), "ens33")
}

/// Reads `outside ens33 8.8.8.8`, `host - 203.0.113.10`, `container docker0 172.17.0.2 db`.
fn party(text: &str) -> Party {
    let words: Vec<&str> = text.split_whitespace().collect();
    let class = match words[0] {
        "outside" => Class::Outside,
        "host" => Class::Host,
        "container" => Class::Container,
        "instance" => Class::Instance,
        "guest" => Class::Guest,
        other => panic!("what is `{other}`?"),
    };
    Party {
        class,
        card: (words[1] != "-").then(|| words[1].to_owned()),
        address: words[2].parse::<IpAddr>().expect(text),
        mac: None,
        name: words.get(3).map(|&word| word.to_owned()),
    }
}

/// A TCP connection to a port of `to`; a container's own port is 80, and it is reached at 203.0.113.10.
fn tcp(from: &str, to: &str, port: u16) -> Attempt {
    let (from, to) = (party(from), party(to));
    let container = to.class == Class::Container;
    Attempt {
        dialled: if container { "203.0.113.10".parse().expect("an address") } else { to.address },
        inside: Some(if container { 80 } else { port }),
        from,
        to,
        port: Some(port),
        direct: false,
        published_as: Vec::new(),
        forwarded: false,
        protocol: 6,
        icmp: None,
        source_port: Some(40_000),
        state: State::New,
    }
}

fn says(text: &str, attempt: &Attempt) -> Verdict {
    policy(text).answer(attempt).verdict
}

const PEER: &str = "outside ens33 8.8.8.8";
const LAN: &str = "outside eth1 192.168.2.9";
const HOST: &str = "host - 203.0.113.10";
const DB: &str = "container docker0 172.17.0.2 db";
const WEB: &str = "container docker0 172.17.0.3 web";

#[test]
fn first_match_decides_in_each_flow() {
    let text = "deny tcp 22 from 8.8.8.8 to host\nallow tcp 22 to host\nlog to host\n";
    assert_eq!(says(text, &tcp(PEER, HOST, 22)), Verdict::Deny);
    assert_eq!(says(text, &tcp(LAN, HOST, 22)), Verdict::Allow);
    assert_eq!(says(text, &tcp(LAN, HOST, 23)), Verdict::Deny);
    // Nobody spoke of containers.
    assert_eq!(says(text, &tcp(PEER, DB, 22)), Verdict::Platform);
    // A deny alone closes nothing else.
    assert_eq!(says("deny tcp 22 to host\n", &tcp(PEER, HOST, 23)), Verdict::Platform);
}

#[test]
fn any_allow_closes_its_flow_whatever_it_says_besides() {
    let by_card = "allow tcp 80 to container via ens33\n";
    assert_eq!(says(by_card, &tcp(PEER, DB, 80)), Verdict::Allow);
    assert_eq!(says(by_card, &tcp(PEER, DB, 81)), Verdict::Deny);
    assert_eq!(says(by_card, &tcp(LAN, DB, 81)), Verdict::Deny);
    let six = tcp("outside eth1 2001:db8::1", "host - 2001:db8::10", 22);
    for narrow in ["from 10.1.1.1 to host", "to host limit 1/minute", "to host during mon", "to host via ens33"] {
        assert_eq!(says(&format!("allow tcp 22 {narrow}\n"), &tcp(LAN, HOST, 23)), Verdict::Deny, "{narrow}");
    }
    assert_eq!(says("allow ipv4 tcp 22 to host\n", &six), Verdict::Deny);
    assert_eq!(says("allow tcp 22 to host via ens33\n", &six), Verdict::Deny);
    // Other flows are left alone, and what opens or only denies closes nothing.
    assert_eq!(says(by_card, &tcp(PEER, HOST, 81)), Verdict::Platform);
    assert_eq!(says(by_card, &tcp(DB, WEB, 81)), Verdict::Platform);
    assert_eq!(says("default allow to host\nassert deny tcp 1 to host\n", &tcp(PEER, HOST, 1)), Verdict::Allow);
    assert_eq!(says("default allow tcp 2 to host\n", &tcp(PEER, HOST, 1)), Verdict::Platform);
    assert_eq!(says("deny tcp 2 to host\nlog to host\n", &tcp(PEER, HOST, 1)), Verdict::Platform);
    // Only a default for all of the flow takes the place of its end.
    let some = "allow tcp 80 to host via ens33\ndefault allow to host via eth1\n";
    assert_eq!(says(some, &tcp(LAN, HOST, 1)), Verdict::Allow);
    assert_eq!(says(some, &tcp("outside eth2 10.9.9.9", HOST, 1)), Verdict::Deny);
}

#[test]
fn a_containers_own_address_is_a_flow_of_its_own_from_this_machine() {
    let direct = |from: &str| Attempt { direct: true, ..tcp(from, DB, 5432) };
    let dialled = tcp(WEB, DB, 5432);
    for text in ["allow tcp 80 to container\n", "allow tcp 80 from container web to container db\n"] {
        assert_eq!(says(text, &direct(WEB)), Verdict::Platform, "{text}");
        assert_eq!(says(text, &dialled), Verdict::Deny, "{text}");
    }
    assert_eq!(says("allow tcp 80 to container\n", &direct(PEER)), Verdict::Deny);
    assert_eq!(says("allow tcp 80 to container\n", &direct(HOST)), Verdict::Platform);
    let said = "allow tcp 80 from any to container direct\n";
    assert_eq!(says(said, &direct(WEB)), Verdict::Deny);
    assert_eq!(says(said, &dialled), Verdict::Platform);
    assert_eq!(says("deny tcp 5432 to container\n", &direct(WEB)), Verdict::Deny);
    assert_eq!(says("default deny from container to container\n", &direct(WEB)), Verdict::Deny);
    assert_eq!(says("allow tcp 80 to container\ndefault allow to container\n", &direct(PEER)), Verdict::Platform);
}

#[test]
fn bridges_of_platforms_that_are_not_used_keep_dhcp_and_dns() {
    let udp = |from: &str, port| Attempt { protocol: 17, ..tcp(from, HOST, port) };
    let text = "allow tcp 22 to host via ens33\n";
    assert_eq!(says(text, &udp("outside virbr0 192.168.122.5", 53)), Verdict::Allow);
    assert_eq!(says(text, &tcp("outside br-4f1c 172.20.0.5", HOST, 53)), Verdict::Allow);
    assert_eq!(says(text, &tcp("outside virbr0 192.168.122.5", HOST, 80)), Verdict::Deny);
    let dhcp = Attempt { source_port: Some(68), ..udp("outside lxdbr0 10.0.3.9", 67) };
    assert_eq!(says(text, &dhcp), Verdict::Allow);
    assert_eq!(says(text, &udp("outside eth1 192.168.2.9", 53)), Verdict::Deny);
    let lan = "outside br-lan 192.168.2.9";
    assert_eq!(says(&format!("interface lan = br-lan\n{text}"), &udp(lan, 53)), Verdict::Deny);
    assert_eq!(says("allow tcp 22 to host via br-lan\n", &udp(lan, 53)), Verdict::Deny);
    // A deny goes before it, a default does not.
    let bridge = udp("outside virbr0 192.168.122.5", 53);
    assert_eq!(says(&format!("{text}deny udp 53 to host\n"), &bridge), Verdict::Deny);
    assert_eq!(says("default deny to host\n", &bridge), Verdict::Allow);
    let off = format!("use prelude except bridge-services\n{text}");
    assert_eq!(says(&off, &udp("outside virbr0 192.168.122.5", 53)), Verdict::Deny);
}

#[test]
fn the_more_specific_default_goes_first() {
    let text = "default deny to host\ndefault allow to host via eth1\nallow tcp 22 to host\n";
    assert_eq!(says(text, &tcp(PEER, HOST, 80)), Verdict::Deny);
    assert_eq!(says(text, &tcp(LAN, HOST, 80)), Verdict::Allow);
    assert_eq!(says(text, &tcp(PEER, HOST, 22)), Verdict::Allow);
    let alone = "default deny\n";
    assert_eq!(says(alone, &tcp(PEER, HOST, 80)), Verdict::Deny);
    assert_eq!(says(alone, &tcp(PEER, LAN, 80)), Verdict::Deny);
    assert_eq!(says(alone, &tcp(HOST, PEER, 80)), Verdict::Platform);
    assert_eq!(says(alone, &tcp(DB, PEER, 80)), Verdict::Platform);
}

#[test]
fn places_sets_and_not() {
    let text = "set office = { 192.168.2.0/24 }\ndeny tcp 1 from not office to host\ndeny tcp 2 from world to host
deny tcp 3 from { office, not 192.168.2.9 } to host\ndeny tcp 4 from eth1 to host\n";
    assert_eq!(says(text, &tcp(PEER, HOST, 1)), Verdict::Deny);
    assert_eq!(says(text, &tcp(LAN, HOST, 1)), Verdict::Platform);
    // Containers are no part of the world, so that they are not the rest of it.
    assert_eq!(says(text, &tcp(DB, HOST, 1)), Verdict::Platform);
    assert_eq!(says(text, &tcp(DB, HOST, 2)), Verdict::Platform);
    assert_eq!(says(text, &tcp(LAN, HOST, 3)), Verdict::Platform);
    assert_eq!(says(text, &tcp("outside eth1 192.168.2.8", HOST, 3)), Verdict::Deny);
    assert_eq!(says(text, &tcp(LAN, HOST, 4)), Verdict::Deny);
    assert_eq!(says(text, &tcp(PEER, HOST, 4)), Verdict::Platform);
    // An address is an outside party.
    assert_eq!(says("deny from 172.17.0.2 to host\n", &tcp(DB, HOST, 4)), Verdict::Platform);
}

#[test]
fn via_is_where_the_connection_crosses() {
    let text = "deny from container to world via ens33\ndeny tcp 1 via eth1\n";
    assert_eq!(says(text, &tcp(DB, PEER, 80)), Verdict::Deny);
    assert_eq!(says(text, &tcp(DB, LAN, 80)), Verdict::Platform);
    assert_eq!(says(text, &tcp(LAN, HOST, 1)), Verdict::Deny);
    assert_eq!(says(text, &tcp(HOST, LAN, 1)), Verdict::Deny);
    assert_eq!(says(text, &tcp(DB, WEB, 1)), Verdict::Platform);
}

#[test]
fn ports_are_those_that_the_client_dials() {
    let text = "allow tcp 8080 from any to container\n";
    assert_eq!(says(text, &tcp(PEER, DB, 8080)), Verdict::Allow);
    assert_eq!(says(text, &tcp(PEER, DB, 80)), Verdict::Deny);
    let inside = "allow tcp 80 from any to container inside\n";
    assert_eq!(says(inside, &tcp(PEER, DB, 8080)), Verdict::Allow);
    assert_eq!(says(inside, &Attempt { inside: Some(81), ..tcp(PEER, DB, 80) }), Verdict::Deny);
    let direct = Attempt { direct: true, ..tcp(PEER, DB, 8080) };
    assert_eq!(says(text, &direct), Verdict::Deny);
    assert_eq!(says("deny tcp 8080 to container\n", &direct), Verdict::Deny);
    assert_eq!(says("allow tcp 8080 from any to container direct\n", &direct), Verdict::Allow);
    let at = "deny tcp to container at 203.0.113.10\n";
    assert_eq!(says(at, &tcp(PEER, DB, 1)), Verdict::Deny);
    let elsewhere = Attempt { dialled: "203.0.113.11".parse().expect("an address"), ..tcp(PEER, DB, 1) };
    assert_eq!(says(at, &elsewhere), Verdict::Platform);
    assert_eq!(says("allow tcp 80 from any to container db\n", &tcp(PEER, WEB, 80)), Verdict::Deny);
}

#[test]
fn gates_judge_beside_the_rest() {
    let text = "guest vm on tap0 mac 02:00:00:00:00:07 {\n    in allow tcp 80\n    out deny tcp 25\n}\n";
    let vm = "guest tap0 10.0.0.7 vm";
    assert_eq!(says(text, &tcp(PEER, vm, 80)), Verdict::Allow);
    assert_eq!(says(text, &tcp(PEER, vm, 81)), Verdict::Deny);
    assert_eq!(says(text, &tcp(vm, PEER, 25)), Verdict::Deny);
    assert_eq!(says(text, &tcp(vm, PEER, 26)), Verdict::Allow);
    let mut forged = tcp(vm, PEER, 26);
    forged.from.mac = Some(fwc::net::Mac([2, 0, 0, 0, 0, 8]));
    assert_eq!(says(text, &forged), Verdict::Deny);
    let closed = format!("default deny\ndeny from 8.8.8.8 to guest\n{text}");
    assert_eq!(says(&closed, &tcp(PEER, vm, 80)), Verdict::Deny);
    assert_eq!(says(&closed, &tcp(LAN, vm, 80)), Verdict::Allow);
}

#[test]
fn limits_vary_and_the_prelude_stands_before_the_rules() {
    assert_eq!(says("allow tcp 22 to host limit 1/minute\n", &tcp(PEER, HOST, 22)), Verdict::Varies);
    let too_big = |text| {
        let mut attempt = tcp("outside ens33 2001:db8::1", "host - 2001:db8::10", 1);
        (attempt.protocol, attempt.port, attempt.icmp, attempt.state) = (58, None, Some((2, 0)), State::Invalid);
        says(text, &attempt)
    };
    assert_eq!(too_big("default deny to host\n"), Verdict::Allow);
    assert_eq!(too_big("use prelude except icmp-errors\ndefault deny to host\n"), Verdict::Deny);
    // Where nothing closes the flow, the prelude, too, is on the cards that its lines name, and log lines are no such lines.
    assert_eq!(too_big("use prelude except icmp-errors\ndefault deny to host via ens33\n"), Verdict::Deny);
    assert_eq!(too_big("use prelude except icmp-errors\ndefault deny to host via eth1\n"), Verdict::Platform);
    assert_eq!(
        too_big("use prelude except icmp-errors\ndeny tcp 1 to host via eth1\nlog to host\n"),
        Verdict::Platform
    );
    assert_eq!(too_big("use prelude except icmp-errors\nlog to host\n"), Verdict::Platform);
    assert_eq!(too_big("use prelude except icmp-errors\nallow tcp 1 to host via eth1\n"), Verdict::Deny);
}

#[test]
fn scopes_groups_and_forwards_count_where_they_stand() {
    let text = "group web {\n    allow tcp 80\n}\nto host {\n    from 10.0.0.0/8 {\n        apply web\n    }\n}\n";
    assert_eq!(says(text, &tcp("outside eth1 10.1.1.1", HOST, 80)), Verdict::Allow);
    assert_eq!(says(text, &tcp(PEER, HOST, 80)), Verdict::Deny);
    let forward = "interface wan = ens33\nforward tcp 2222 from wan to 192.168.2.5 port 22\n";
    let attempt =
        Attempt { dialled: "203.0.113.10".parse().expect("an address"), ..tcp(PEER, "outside eth1 192.168.2.5", 2222) };
    let carried = Attempt { forwarded: true, inside: Some(22), ..attempt.clone() };
    assert_eq!(says(forward, &carried), Verdict::Allow);
    // It closes its target at its port, and no more of what is routed.
    assert_eq!(says(forward, &tcp(PEER, "outside eth1 192.168.2.5", 22)), Verdict::Deny);
    assert_eq!(says(forward, &tcp(LAN, "outside eth2 192.168.2.5", 22)), Verdict::Deny);
    assert_eq!(says(forward, &tcp(PEER, "outside eth1 192.168.2.5", 2222)), Verdict::Platform);
    assert_eq!(says(forward, &tcp(PEER, "outside eth1 192.168.2.6", 22)), Verdict::Platform);
    let timed = "forward tcp 2222 to 192.168.2.5 port 22 during mon\n";
    assert_eq!(says(timed, &carried), Verdict::Varies);
    assert_eq!(policy(forward).forwarded(&attempt).and_then(|(_, port)| port), Some(22));
}
