//! `fwc trace`: recorded hosts, policies beside them, what is assumed, and how it is said.

use std::path::Path;

use super::Place;

fn recorded(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/rulesets").join(path).to_string_lossy().into_owned()
}

const POLICY: &str = "use docker
interface wan = ens33
to host {
    allow ping
    allow ssh from 198.51.100.0/24
}
allow tcp 8080 from 10.0.0.0/8 to container via wan
";

fn traced(arguments: &[&str]) -> super::Run {
    let place = Place::new(&[
        ("site.fw", POLICY),
        ("routed.fw", "target nft\nuse docker\ninterface wan = ens33\nallow from 192.168.2.0/24 on eth1 to wan\n"),
        (
            "redirected.v4",
            "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp --dport 80 -j REDIRECT --to-ports 3128\nCOMMIT\n\
             *filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\nCOMMIT\n",
        ),
        (
            "one-way.v4",
            "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n\
             -A FORWARD -i lxdbr0 -o eth0 -j ACCEPT\nCOMMIT\n",
        ),
        (
            "rules.v4",
            "*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp --dport 22 -m limit --limit 3/min -j ACCEPT\nCOMMIT\n",
        ),
    ]);
    let mut all = vec!["trace"];
    all.extend(arguments);
    place.run(&all)
}

#[test]
fn a_published_port_goes_through_translation_and_forward() {
    let run =
        traced(&[&recorded("docker-28.5/b-web/iptables.save"), "tcp 10.1.1.1:40000 -> 203.0.113.10:8080 via ens33"]);
    assert_eq!(run.code, Some(0), "{}", run.err);
    for part in [
        "PREROUTING  nat PREROUTING  tcp 10.1.1.1:40000 -> 203.0.113.10:8080 in ens33",
        "=> destination is now 172.17.0.2:80",
        "ROUTING  172.17.0.2 is in 172.17.0.2/32 behind docker0",
        "FORWARD  filter FORWARD  tcp 10.1.1.1:40000 -> 172.17.0.2:80 in ens33 out docker0 dialled 203.0.113.10:8080",
        "no: asks for state established, related; it is new",
        "sent on by docker0, by iptables.save:32: -A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT",
    ] {
        assert!(run.out.contains(part), "no `{part}` in\n{}", run.out);
    }
    assert!(!run.out.contains('\x1b'));
}

#[test]
fn a_policy_takes_part_where_it_will_be_attached() {
    let save = recorded("docker-28.5/b-web/iptables.save");
    let ask = |packet: &str| traced(&["site.fw", "--beside", &save, packet]).out;
    let allowed = ask("tcp 10.1.1.1:40000 -> 203.0.113.10:8080 via ens33");
    assert!(allowed.contains("filter DOCKER-USER: jump fwc-forward (made by the attach script)"), "{allowed}");
    assert!(allowed.contains("site.fw:7: allow tcp 8080 from 10.0.0.0/8 to container via wan"), "{allowed}");
    assert!(allowed.starts_with("sent on by docker0, by iptables.save:32"), "{allowed}");
    let denied = ask("tcp 192.0.2.1:40000 -> 203.0.113.10:8080 via ens33");
    assert!(
        denied.starts_with("dropped: no rule allows it, and outside to container is closed, since site.fw:7: allow"),
        "{denied}"
    );
}

#[test]
fn what_our_nft_table_accepts_goes_through_dockers_forward() {
    let save = recorded("docker-28.5/b-web/iptables.save");
    let ask = |packet: &str| traced(&["routed.fw", "--beside", &save, packet]).out;
    let sent = ask("tcp 192.168.2.9:40000 -> 198.51.100.1:443 in eth1 out ens33");
    assert!(sent.starts_with("sent on by ens33, by filter DOCKER-USER: mark 0x40000000/0x40000000: accept"), "{sent}");
    // A mark that it comes with opens nothing.
    let dropped = ask("tcp 198.51.100.1:40000 -> 192.168.2.9:443 in ens33 out eth1 mark 0x40000000");
    assert!(
        dropped.starts_with("dropped: no rule allows it, and outside to outside is closed, since routed.fw:4: allow"),
        "{dropped}"
    );
}

#[test]
fn a_rule_that_may_pass_over_a_mark_leaves_the_outcome_open() {
    // Of an answer it is not known whether its connection was translated. If it was, it gets no mark, and is dropped further on.
    let rules = "*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -m conntrack --ctstate DNAT -j ACCEPT\n\
                 -A PREROUTING -j MARK --set-xmark 0x1/0x1\nCOMMIT\n\
                 *filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -m mark --mark 0x0/0x1 -j DROP\nCOMMIT\n";
    let answer = "udp 192.0.2.1:53 -> 198.51.100.1:4000 in eth1 out eth0 state established reply";
    let place = Place::new(&[
        ("host.v4", rules),
        ("late.v4", &rules.replace("ACCEPT\n-A PREROUTING -j MARK", "LOG\n-A PREROUTING -j MARK")),
    ]);
    let run = place.run(&["trace", "host.v4", answer]);
    assert!(run.out.starts_with("possibly "), "{}{}", run.out, run.err);
    let run = place.run(&["trace", "late.v4", answer]);
    assert!(!run.out.starts_with("possibly "), "{}{}", run.out, run.err);
}

#[test]
fn the_packet_is_the_first_that_a_limit_counts() {
    let run = traced(&["rules.v4", "tcp 10.1.1.1:40000 -> host:22 in eth0"]);
    assert!(run.out.starts_with("delivered to this host, by rules.v4:3: -A INPUT"), "{}", run.out);
    assert!(run.out.contains("note: the packet is taken to be within every limit"), "{}", run.out);
    assert!(run.out.contains("match: within the limit: accept"), "{}", run.out);
    let other = traced(&["rules.v4", "tcp 10.1.1.1:40000 -> host:23 in eth0"]);
    assert!(other.out.starts_with("dropped, by the policy of filter INPUT"), "{}", other.out);
}

#[test]
fn what_is_redirected_is_for_this_host_whatever_was_said() {
    let run = traced(&["redirected.v4", "tcp 10.1.1.1:40000 -> 203.0.113.7:80 in eth1 out eth0"]);
    assert!(run.out.contains("ROUTING  to this host: it was redirected"), "{}", run.out);
    assert!(run.out.starts_with("delivered to this host"), "{}", run.out);
}

#[test]
fn an_answer_that_is_stopped_is_said() {
    let run = traced(&["one-way.v4", "tcp 10.0.3.5:40000 -> 198.51.100.7:80 in lxdbr0 out eth0"]);
    let said = "sent on by eth0, by one-way.v4:5: -A FORWARD -i lxdbr0 -o eth0 -j ACCEPT\n\
                but the answer to it is dropped, by the policy of filter FORWARD\n";
    assert!(run.out.starts_with(said), "{}", run.out);
    let json = traced(&["one-way.v4", "--format", "json", "tcp 10.0.3.5:40000 -> 198.51.100.7:80 in lxdbr0 out eth0"]);
    assert!(json.out.contains("\"answer_stopped_by\": {"), "{}", json.out);
}

#[test]
fn what_is_assumed_is_said_and_what_is_known_is_used() {
    let guessed = traced(&["rules.v4", "udp 10.1.1.1 -> 192.0.2.1:9 in eth0"]);
    assert!(guessed.out.contains("note: 192.0.2.1 is taken to be this host's own"), "{}", guessed.out);
    let known = traced(&[
        "rules.v4",
        "--address",
        "eth0=10.0.0.1/8",
        "--address",
        "eth1=192.0.2.254/24",
        "udp 10.1.1.1 -> 192.0.2.1:9 in eth0",
    ]);
    assert!(known.out.contains("192.0.2.1 is in 192.0.2.0/24 behind eth1"), "{}", known.out);
    assert!(known.out.starts_with("sent on by eth1"), "{}", known.out);
}

#[test]
fn json_has_every_rule() {
    let save = recorded("docker-28.5/b-web/iptables.save");
    let run = traced(&[&save, "tcp 10.1.1.1:40000 -> 203.0.113.10:8080 via ens33", "--format", "json"]);
    let whole: serde_json::Value = serde_json::from_str(&run.out).expect("an object");
    assert_eq!((whole["outcome"].as_str(), whole["allowed"].as_bool()), (Some("sent"), Some(true)));
    assert_eq!(whole["interface"], "docker0");
    assert_eq!(whole["decided_by"]["line"], 32);
    let raw = &whole["stages"][0];
    assert_eq!((raw["hook"].as_str(), raw["rules"].as_array().map(Vec::len)), (Some("prerouting"), Some(5)));
    assert_eq!(raw["rules"][0]["because"], "asks for destination 172.17.0.2; it is 203.0.113.10");
}

#[test]
fn a_packet_that_is_not_understood_is_pointed_at() {
    let run = traced(&["rules.v4", "tcp 10.1.1.1 -> 203.0.113.10:99999"]);
    assert_eq!(run.code, Some(2));
    assert_eq!(
        run.err,
        "fwc: `99999` is no port: 0 to 65535\n  tcp 10.1.1.1 -> 203.0.113.10:99999\n                               ^^^^^\n"
    );
    let text = traced(&["site.fw", "--beside", "site.fw", "tcp 10.1.1.1 -> host:22"]);
    assert_eq!((text.code, text.out.as_str()), (Some(2), ""));
}

#[test]
fn lxd_and_ufw_hosts_are_followed() {
    let lxd = recorded("lxd-5.0-nft");
    let path = std::fs::read_dir(lxd)
        .expect("recorded")
        .flatten()
        .map(|entry| entry.path().join("nft.txt"))
        .find(|path| path.exists());
    let path = path.expect("a listing").to_string_lossy().into_owned();
    let run = traced(&[&path, "udp 10.0.0.5:68 -> 255.255.255.255:67 in lxdbr0 to host"]);
    assert!(run.out.contains("delivered to this host"), "{}{}", run.out, run.err);
    let ufw = recorded("ufw-0.36/b-typical/iptables.save");
    let run = traced(&[&ufw, "tcp 192.0.2.2:40000 -> host:443 in eth0"]);
    assert!(
        run.out.contains("dropped, by iptables.save:106: -A ufw-user-input -s 192.0.2.0/24 -j DROP"),
        "{}",
        run.out
    );
}

#[test]
fn a_packet_that_refutes_an_assert_is_one_that_trace_takes() {
    let policy = "interface known = { eth0, ens33, enp1s0, wg0, eth1, lan0 }\n\
                  deny http from world to host via known\nallow http from world to host\n\
                  assert deny http from world to host\n";
    let place = Place::new(&[("site.fw", policy)]);
    let checked = place.run(&["check", "site.fw"]);
    let said = format!("{}{}", checked.out, checked.err);
    let told = said.split_once("for example `").and_then(|(_, rest)| rest.split_once('`'));
    let (packet, _) = told.unwrap_or_else(|| panic!("no example: {said}"));
    let traced = place.run(&["trace", "site.fw", packet]);
    assert!(traced.out.starts_with("delivered to this host, by site.fw:3"), "{packet}\n{}{}", traced.out, traced.err);
}

const SITE: &str = "interface wan = eth0
interface lan = eth1
use docker
compose \"docker-compose.yml\"
allow ssh from 198.51.100.0/24 to host via wan
allow https to container web via wan
allow postgres from lan to container db
deny http from lan to host
";

const COMPOSE: &str = "services:
  web: { image: nginx, ports: [\"443:8443\"] }
  db: { image: postgres, ports: [\"5432:5432\"] }
";

/// What is said of a packet, and the exit status.
fn asked(packet: &str) -> (Option<i32>, String, String) {
    let place = Place::new(&[("site.fw", SITE), ("docker-compose.yml", COMPOSE)]);
    let run = place.run(&["trace", "site.fw", packet]);
    (run.code, run.out, run.err)
}

#[test]
fn a_policys_own_words_are_followed_as_a_packet() {
    for (words, says, packet) in [
        (
            "ssh from 198.51.100.7 to host via wan",
            "delivered to this host, by site.fw:5: allow ssh",
            "tcp 198.51.100.7 -> 203.0.113.10:22 to host via eth0",
        ),
        (
            "postgres from 192.0.2.9 to container db",
            "dropped: no rule allows it, and outside to container is closed, since site.fw:6: allow https",
            "tcp 192.0.2.9 -> 203.0.113.10:5432 to host in eth0",
        ),
        (
            "postgres from 192.0.2.9 on lan to container db",
            "sent on to container db, port 5432",
            "tcp 192.0.2.9 -> 203.0.113.10:5432 to host in eth1",
        ),
        (
            "http from lan to host",
            "dropped, by site.fw:8: deny http from lan to host",
            "-> 203.0.113.10:80 to host via eth1",
        ),
        (
            "ipv6 https from world to container web via wan",
            "delivered to this host, by site.fw:6",
            "-> [2001:db8::10]:443",
        ),
    ] {
        let (code, out, err) = asked(words);
        assert_eq!(code, Some(0), "{words}: {err}");
        assert!(out.starts_with(says), "{words}: {out}");
        let note = out.lines().find(|line| line.starts_with("note: followed: ")).unwrap_or_default();
        assert!(note.contains(packet), "{words}: {note}");
        // What is followed is a packet that trace takes, and nothing else comes of it.
        let followed = note.trim_start_matches("note: followed: ").split("; ").next().unwrap_or_default();
        assert_eq!(asked(followed).1.lines().next(), out.lines().next(), "{followed}");
    }
}

#[test]
fn words_that_the_policy_does_not_know_are_pointed_at() {
    for (words, message, marked) in [
        ("sssh from lan to host", "no service is called `sssh`", "^^^^"),
        ("ssh from lann to host", "no set or interface is called `lann`", "^^^^"),
        ("ssh from lan to hosst", "no set or interface is called `hosst`", "^^^^^"),
        ("tcp 10.1.1.1 -> host:22 via wna", "nothing here names an interface `wna`", "^^^"),
    ] {
        let (code, out, err) = asked(words);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{words}");
        assert!(err.contains(message) && err.contains("did you mean"), "{words}: {err}");
        assert!(err.lines().any(|line| line.trim() == marked), "{words}: {err}");
    }
    let place = Place::new(&[("rules.v4", "*filter\n:INPUT DROP [0:0]\nCOMMIT\n")]);
    let run = place.run(&["trace", "rules.v4", "ssh from 10.1.1.1 to container web"]);
    assert_eq!(run.code, Some(2));
    assert!(run.err.contains("a rule set is asked about a packet"), "{}", run.err);
}

#[test]
fn interfaces_go_by_the_policys_names_and_the_kernels() {
    let ask = |interface: &str| asked(&format!("tcp 198.51.100.7 -> host:22 via {interface}")).1;
    assert!(ask("wan").starts_with("delivered to this host, by site.fw:5"), "{}", ask("wan"));
    assert!(ask("wan").contains("\nnote: wan is eth0\n"), "{}", ask("wan"));
    assert!(ask("eth0").starts_with("delivered to this host, by site.fw:5"), "{}", ask("eth0"));
    assert!(ask("lan").starts_with("dropped: no rule allows it, and outside to host is closed"), "{}", ask("lan"));
    assert!(ask("eth7").contains("note: nothing here names an interface eth7"), "{}", ask("eth7"));
}

#[test]
fn a_published_port_is_followed_along_the_platforms_path() {
    let (_, out, _) = asked("tcp 192.0.2.9 -> host:443 via eth0");
    assert!(out.starts_with("sent on to container web, port 8443"), "{out}");
    assert!(out.contains("ROUTING  Docker leads port 443 of this host to container web, port 8443"), "{out}");
    assert!(out.contains("FORWARD  filter FORWARD") && !out.contains("INPUT  filter INPUT"), "{out}");
    // Of IPv6 Docker does so for networks that have it; here docker-proxy takes the connection in.
    let (_, out, _) = asked("tcp 2001:db8::9 -> host:443 via eth0");
    assert!(out.starts_with("delivered to this host, by site.fw:6") && out.contains("INPUT  filter INPUT"), "{out}");
}

#[test]
fn what_a_router_gets_from_inside_is_not_taken_for_its_own() {
    let place = Place::new(&[("site.fw", "interface wan = eth0\ninterface lan = eth1\nallow from lan to wan\n")]);
    let run = place.run(&["trace", "site.fw", "udp 192.168.2.9 -> 8.8.8.8:53 in lan out wan"]);
    assert!(run.out.starts_with("sent on by eth0, by site.fw:3"), "{}", run.out);
    let run = place.run(&["trace", "site.fw", "udp 192.168.2.9 -> 8.8.8.8:53 in lan"]);
    assert!(run.out.contains("note: 8.8.8.8 is taken to be elsewhere"), "{}", run.out);
    assert!(!run.out.contains("taken to be this host's own"), "{}", run.out);
}
