//! Facts through the front door: texts in, facts and diagnostics out.

use super::*;
use crate::diagnostic::Diagnostic;
use crate::span::{FileId, Span, Spanned};
use crate::syntax::tree::{Fact, FactValue};

/// Each diagnostic in a line: number, the text that it points at, the message.
fn told(text: &str, diagnostics: &[Diagnostic]) -> Vec<String> {
    let place = |diagnostic: &Diagnostic| text.get(diagnostic.primary.location.span.range()).unwrap_or("?").to_owned();
    let line = |one: &Diagnostic| format!("{} {} {}", one.code.number, place(one).replace('\n', " "), one.message);
    diagnostics.iter().map(line).collect()
}

fn read(text: &str) -> (Facts, Vec<String>) {
    let (facts, diagnostics) = json::read(text, FileId(0));
    let told = told(text, &diagnostics);
    (facts, told)
}

/// Applies the first edit of the first diagnostic that has one.
fn mended(text: &str, diagnostics: &[Diagnostic]) -> String {
    let edit = diagnostics.iter().flat_map(|one| &one.helps).flat_map(|help| &help.edits).next().expect("an edit");
    let mut text = text.to_owned();
    text.replace_range(edit.location.span.range(), &edit.replacement);
    text
}

#[test]
fn a_file_is_read_with_its_places() {
    let text = r#"{
  "version": 1,
  "docker": {
    "version": "28.5.2",
    "networks": { "app": { "bridge": "br-app" } },
    "containers": { "web": { "networks": ["app"], "ports": [{ "port": 8080, "container-port": 80 }] } }
  }
}"#;
    let (facts, told) = read(text);
    assert!(told.is_empty(), "{told:?}");
    let (name, web) = facts.container("web").expect("web");
    assert_eq!((name, web.networks.as_slice()), ("web", &["app".to_owned()][..]));
    let port = &web.ports[0];
    assert_eq!((port.protocol.as_str(), port.port, port.container_port), ("tcp", Some(8080), 80));
    let written = |location: Option<Location>| &text[location.expect("place").span.range()];
    assert_eq!(written(port.location), r#"{ "port": 8080, "container-port": 80 }"#);
    assert_eq!(written(web.location), "\"web\"");
    assert_eq!(written(facts.source("docker.version")), "\"28.5.2\"");
    assert_eq!(written(facts.source("docker.networks.app.bridge")), "\"br-app\"");
}

#[test]
fn five_faults_give_five_diagnostics_and_the_rest_is_read() {
    let text = r#"{
  "version": 1,
  "default_route": "ens33",
  "docker": {
    "version": 28.5,
    "userland-proxy": "no",
    "firewall-backend": "nftable",
    "networks": { "app": { "subnets": ["172.18.0.0/16", "172.19.0.0/33"] } },
    "containers": {
      "web": { "ports": [{ "port": 80 }, { "port": 70000, "container-port": 80 }, { "port": 81, "container-port": 81 }] }
    }
  }
}"#;
    let (facts, mut told) = read(text);
    told.sort();
    assert_eq!(
        told,
        [
            "FW0402 \"default_route\" there is no fact `default_route` here",
            "FW0403 \"172.19.0.0/33\" `172.19.0.0/33`: invalid IP address syntax",
            "FW0403 \"nftable\" `nftable` is none of the values that this fact can have",
            "FW0403 \"no\" expected `true` or `false`, found the text `no`",
            "FW0403 28.5 expected a text in quotes, found the number `28.5`",
            "FW0403 70000 expected a number from 0 to 65535, found the number `70000`",
            "FW0403 { \"port\": 80 } `container-port` is missing here",
        ]
    );
    let docker = facts.docker.expect("docker");
    assert_eq!(docker.networks["app"].subnets.len(), 1);
    // The port whose number was wrong is left out, and so is the one without a container port; places stay with their port.
    let ports = &docker.containers["web"].ports;
    let last = ports.last().expect("a port");
    assert_eq!(last.port, Some(81));
    assert_eq!(&text[last.location.expect("place").span.range()], r#"{ "port": 81, "container-port": 81 }"#);
}

#[test]
fn suggestions_mend_the_file() {
    for (text, expected) in [
        (
            r#"{ "version": 1, "docker": { "userland_proxy": false } }"#,
            r#"{ "version": 1, "docker": { "userland-proxy": false } }"#,
        ),
        (
            r#"{ "version": 1, "iptables-variant": "nf_tables" }"#,
            r#"{ "version": 1, "iptables-variant": "nf-tables" }"#,
        ),
        (r#"{ "default-route": "ens33" }"#, r#"{ "version": 1, "default-route": "ens33" }"#),
        ("{}", r#"{ "version": 1}"#),
    ] {
        let (_, diagnostics) = json::read(text, FileId(0));
        let mended = mended(text, &diagnostics);
        assert_eq!(mended, expected);
        assert_eq!(json::read(&mended, FileId(0)).1, [], "{mended}");
    }
}

#[test]
fn what_is_no_json_is_told_with_its_place() {
    for (text, expected) in [
        ("{ \"version\": 1, }", "FW0401 } expected a name in double quotes, found `}`"),
        ("{ \"version\": 1 } x", "FW0401 x the facts end here, but the file goes on"),
        ("{ \"a\": 1, \"a\": 2 }", "FW0401 \"a\" `a` stands twice in this object"),
        ("# facts\n{}", "FW0401 # expected a value, found `#`"),
        ("", "FW0401  the file ends where a value was expected"),
        ("{ \"a\": \"b }", "FW0401 \" this text has no closing quote"),
        ("{ \"a\": 01 }", "FW0401 01 `01` is not a number"),
        ("{ \"a\": ens33 }", "FW0401 ens33 expected a value, found `ens33`"),
        ("{ \"a\0\": 1 }", "FW0401 \"a\0\" this text has an escape or a control character that JSON does not know"),
        ("{\0}", "FW0401 \0 expected a name in double quotes, found the control character U+0000"),
    ] {
        assert_eq!(read(text).1, [expected], "{text}");
    }
    assert!(read(&"[".repeat(200_000)).1[0].contains("in each other"));
    assert!(read(&"{\"a\":".repeat(200_000)).1[0].contains("in each other"));
    assert_eq!(read("[]").1, ["FW0403 [] expected an object, found a list"]);
}

#[test]
fn versions_of_the_schema() {
    assert_eq!(read("{ \"version\": 2 }").1, ["FW0404 2 facts of version 2, but this fwc reads version 1"]);
    assert_eq!(read("{}").1, ["FW0405 { the facts do not say their `version`"]);
    assert!(read("\u{feff}{ \"version\": 1 }").1.is_empty());
}

#[test]
fn versions_of_docker_that_are_not_known() {
    for (version, expected) in [
        ("19.03.15", Some("older than every version")),
        ("20.10.24+dfsg1", None),
        ("29.9", None),
        ("30.0", Some("newer")),
    ] {
        let (_, told) = read(&format!(r#"{{ "version": 1, "docker": {{ "version": "{version}" }} }}"#));
        let said: Vec<&str> = told.iter().map(|one| one.as_str()).collect();
        match expected {
            Some(expected) => assert!(said.iter().any(|one| one.contains(expected)), "{version}: {said:?}"),
            None => assert!(said.is_empty(), "{version}: {said:?}"),
        }
    }
}

#[test]
fn what_no_host_can_have() {
    let docker = |inner: &str| format!("{{ \"version\": 1, \"docker\": {{ {inner} }} }}");
    let podman = |inner: &str| format!("{{ \"version\": 1, \"podman\": {{ {inner} }} }}");
    let port = |inner: &str| docker(&format!("\"containers\": {{ \"web\": {{ \"ports\": [{{ {inner} }}] }} }}"));
    for (text, expected) in [
        (r#"{ "version": 1, "default-route": "a-name-that-is-too-long" }"#.to_owned(), "an interface name at most 15"),
        (r#"{ "version": 1, "interfaces": { "eth 0": {} } }"#.to_owned(), "is no interface name"),
        (r#"{ "version": 1, "interfaces": { "eth0": { "bridge": ".." } } }"#.to_owned(), "is no interface name"),
        (docker(r#""networks": { "a": { "bridge": "br-0123456789abcdef" } }"#), "an interface name at most 15"),
        (docker(r#""networks": { "a": { "gateway-mode-ipv4": "route" } }"#), "is no gateway mode"),
        (docker(r#""version": "new""#), "is not a version of Docker"),
        (docker(r#""version": "28.5", "firewall-backend": "nftables""#), "Docker 28 has no nftables backend"),
        (
            docker(r#""version": "29.0.1", "firewall-backend": "nftables", "swarm": true"#),
            "refuses the nftables backend in a swarm",
        ),
        (docker(r#""bridge-accept-fwmark": "one""#), "is not a mark"),
        (podman(r#""version": "6.0.2", "firewall-driver": "iptables""#), "Podman 6 has no iptables driver"),
        (podman(r#""netavark-version": "2.1.0", "firewall-driver": "iptables""#), "netavark 2 has no iptables driver"),
        (podman(r#""netavark-version": "new""#), "is not a version of netavark"),
        (port(r#""protocol": "icmp", "port": 80, "container-port": 80"#), "is no protocol with ports"),
        (port(r#""port": 0, "container-port": 80"#), "port 0 does not exist"),
        (port(r#""port": 80, "container-port": 0"#), "port 0 does not exist"),
        (port(r#""port": 80, "last-port": 79, "container-port": 80"#), "ends before it begins"),
        (port(r#""last-port": 79, "container-port": 80"#), "but has no beginning"),
        (port(r#""port": 80, "last-port": 90, "container-port": 65530"#), "go beyond 65535"),
        (
            r#"{ "version": 1, "libvirt": { "guests": { "vm": { "mac": "1e:0b" } } } }"#.to_owned(),
            "is not an Ethernet address",
        ),
    ] {
        let told = read(&text).1;
        assert!(
            matches!(told.as_slice(), [one] if one.starts_with("FW0406") && one.contains(expected)),
            "{text}: {told:?}"
        );
    }
}

#[test]
fn facts_that_do_not_fit_each_other() {
    let text = r#"{ "version": 1, "default-route": "ens33", "interfaces": { "ens34": {} }, "docker": {
      "networks": { "app": { "subnets": ["172.18.0.0/16"], "gateways": ["172.19.0.1"] } },
      "containers": {
        "a": { "networks": ["ap"], "ports": [{ "port": 8000, "last-port": 8010, "container-port": 8000 }] },
        "b": { "networks": ["app"], "addresses": ["10.0.0.1"], "ports": [
          { "port": 8005, "container-port": 80 },
          { "port": 8005, "container-port": 80, "protocol": "udp" },
          { "port": 8011, "container-port": 80, "address": "127.0.0.1" } ] },
        "c": { "networks": ["host"], "ports": [
          { "port": 8011, "container-port": 80, "address": "127.0.0.2" },
          { "port": 8011, "container-port": 80, "address": "0.0.0.0" } ] } } } }"#;
    let (_, told) = read(text);
    let told: Vec<&str> = told.iter().map(|one| one.as_str()).collect();
    let numbers: Vec<&str> = told.iter().filter_map(|one| one.split(' ').next()).collect();
    assert_eq!(numbers, ["FW0410", "FW0410", "FW0407", "FW0410", "FW0408", "FW0408", "FW0408"], "{told:#?}");
    assert!(told[4].contains("`a` and `b` both publish tcp 8005"), "{told:#?}");
    assert!(told[5].contains("`b` and `c` both publish tcp 0.0.0.0:8011"), "{told:#?}");
    assert!(told[6].contains("`c` publishes"), "{told:#?}");
}

#[test]
fn a_slow_file_is_read_quickly() {
    // 40,000 published ports on one port, none of which overlaps another's address.
    let ports: Vec<String> = (0..40_000u32)
        .map(|n| format!(r#"{{"port":80,"container-port":80,"address":"10.0.{}.{}"}}"#, n >> 8, n & 255))
        .collect();
    let text = format!(r#"{{"version":1,"docker":{{"containers":{{"a":{{"ports":[{}]}}}}}}}}"#, ports.join(","));
    let (facts, told) = read(&text);
    assert_eq!(facts.docker.expect("docker").containers["a"].ports.len(), 40_000);
    assert!(told.is_empty());
}

fn fact(path: &str, value: FactValue) -> Fact {
    let start = "fact ".len();
    let end = start + path.len();
    Fact {
        path: Spanned::new(path.into(), Span::new(start, end)),
        value: Spanned::new(value, Span::new(end + 3, end + 4)),
    }
}

#[test]
fn declared_facts_go_where_the_path_says() {
    let text = |text: &str| FactValue::Text(text.into());
    let mut facts = Facts::default();
    let mut told = Vec::new();
    for (path, value) in [
        ("docker.version", text("28.5.2")),
        ("docker.userland-proxy", FactValue::Bool(false)),
        ("docker.networks.app.internal", FactValue::Bool(true)),
        ("docker.networks.app.subnets", text("172.18.0.0/16")),
        ("docker.networks.app.subnets", text("fd00::/64")),
        ("sysctls.net.ipv4.ip_forward", FactValue::Number(1)),
        ("interfaces.eth0.100.addresses", text("10.0.0.1/24")),
        ("iptables-variant", text("legacy")),
        ("default-route", text("ens33")),
    ] {
        told.extend(declared::declare(&mut facts, &fact(path, value), FileId(3)));
    }
    // `ens33` is not among the interfaces that were declared.
    assert_eq!(told.iter().map(|one| one.code.number).collect::<Vec<_>>(), Vec::<&str>::new());
    let docker = facts.docker.as_ref().expect("docker");
    assert_eq!((docker.version.as_deref(), docker.userland_proxy), (Some("28.5.2"), Some(false)));
    assert!(docker.networks["app"].internal);
    assert_eq!(docker.networks["app"].subnets.len(), 2);
    assert_eq!(facts.sysctls["net.ipv4.ip_forward"], "1");
    assert_eq!(facts.interfaces["eth0.100"].addresses.len(), 1);
    assert_eq!(facts.iptables_variant, Some(IptablesVariant::Legacy));
    assert_eq!(facts.source("docker.version").map(|place| place.file), Some(FileId(3)));
}

#[test]
fn isolation_is_true_false_or_strict() {
    let read = |value: &str| {
        read(&format!("{{ \"version\": 1, \"podman\": {{ \"networks\": {{ \"a\": {{ \"isolate\": {value} }} }} }} }}"))
    };
    for (text, expected) in [("true", Isolation::On), ("false", Isolation::Off), ("\"strict\"", Isolation::Strict)] {
        let (facts, told) = read(text);
        assert_eq!((facts.podman.expect("podman").networks["a"].isolate, told), (Some(expected), Vec::new()));
    }
    let told = |text: &str| read(text).1;
    assert_eq!(told("\"loose\""), ["FW0403 \"loose\" `loose` is none of the values that this fact can have"]);
    assert_eq!(told("1"), ["FW0403 1 expected `true`, `false` or `strict`, found the number `1`"]);
    let strict = fact("podman.networks.a.isolate", FactValue::Text("strict".into()));
    let (facts, diagnostics) = declared::read(&strict, FileId(0));
    assert_eq!(
        (facts.podman.expect("podman").networks["a"].isolate, diagnostics),
        (Some(Isolation::Strict), Vec::new())
    );
}

#[test]
fn a_declared_fact_that_is_wrong_is_told() {
    let (_, diagnostics) = declared::read(&fact("docker.userland_proxy", FactValue::Bool(true)), FileId(0));
    assert_eq!(diagnostics.len(), 1);
    assert_eq!(mended("fact docker.userland_proxy = yes", &diagnostics), "fact docker.userland-proxy = yes");
    let (_, diagnostics) = declared::read(&fact("docker.userland-proxy", FactValue::Number(3)), FileId(0));
    assert_eq!(diagnostics[0].message, "expected `true` or `false`, found the number `3`");
    let (_, diagnostics) =
        declared::read(&fact("docker.firewall-backend", FactValue::Text("nftable".into())), FileId(0));
    assert_eq!(diagnostics[0].helps[0].edits[0].replacement, "nftables");
    let (_, diagnostics) = declared::read(&fact("docker", FactValue::Number(3)), FileId(0));
    assert_eq!(diagnostics[0].message, "expected an object, found the number `3`");
    let (_, diagnostics) =
        declared::read(&fact("default-route", FactValue::Text("much-too-long-a-name".into())), FileId(0));
    assert_eq!(diagnostics[0].code.number, "FW0406");
    let mut facts = Facts::default();
    declared::declare(&mut facts, &fact("docker.version", FactValue::Text("28.5".into())), FileId(0));
    let again = declared::declare(&mut facts, &fact("docker.version", FactValue::Text("29.0".into())), FileId(0));
    assert_eq!(again[0].code.number, "FW0409");
    // What is said in source beats what was known before.
    assert_eq!(facts.docker.expect("docker").version.as_deref(), Some("29.0"));
}

#[test]
fn the_nearer_source_wins_and_contradictions_are_told() {
    let near = r#"{ "version": 1, "docker": { "version": "28.5.2", "containers": { "db": { "addresses": ["172.18.0.2"] } } } }"#;
    let far = r#"{ "version": 1, "default-route": "ens33", "docker": { "version": "26.1.5", "ip6tables": true,
        "containers": { "db": { "addresses": ["172.18.0.3"] }, "web": {} } } }"#;
    let (near, far) = (json::read(near, FileId(0)).0, json::read(far, FileId(1)).0);
    let (merged, diagnostics) = near.merge(far);
    let docker = merged.docker.as_ref().expect("docker");
    assert_eq!((docker.version.as_deref(), docker.ip6tables), (Some("28.5.2"), Some(true)));
    assert_eq!(docker.containers.len(), 2);
    assert_eq!(docker.containers["db"].addresses, ["172.18.0.2".parse::<IpAddr>().expect("address")]);
    assert_eq!(merged.default_route.as_deref(), Some("ens33"));
    assert_eq!(merged.source("docker.ip6tables").map(|place| place.file), Some(FileId(1)));
    let told: Vec<_> = diagnostics.iter().map(|one| (one.message.as_str(), one.related.len())).collect();
    assert_eq!(
        told,
        [
            ("two values for the fact `docker.version`", 1),
            ("two values for the fact `docker.containers.db.addresses`", 1)
        ]
    );
    assert_eq!(diagnostics[0].related[0].location.file, FileId(1));
    // Merging what is the same says nothing.
    let (_, diagnostics) = merged.clone().merge(merged);
    assert_eq!(diagnostics, []);
}

#[test]
fn a_running_project_and_its_compose_file_are_one() {
    let text = "name: site\nservices:\n  web:\n    ports: [\"8080:80\", \"8000-8010:81\"]\n    networks: [app]\nnetworks:\n  app: {}\n";
    let (near, diagnostics) = compose::read(text, None, FileId(0));
    assert_eq!(diagnostics, []);
    let far = r#"{ "version": 1, "docker": {
        "networks": { "site_app": { "driver": "bridge", "bridge": "br-1234", "project": "site", "compose-name": "app" } },
        "containers": { "site-web-1": { "networks": ["site_app"], "project": "site", "service": "web",
            "ports": [{ "port": 8080, "container-port": 80 }, { "port": 8003, "container-port": 81 }] } } } }"#;
    let (far, diagnostics) = json::read(far, FileId(1));
    assert_eq!(diagnostics, []);
    // The other way round Docker's names stay, and each thing is there once all the same.
    let (reversed, diagnostics) = far.clone().merge(near.clone());
    assert_eq!(diagnostics, []);
    let docker = reversed.docker.as_ref().expect("docker");
    assert_eq!(docker.networks.keys().collect::<Vec<_>>(), ["site_app"]);
    assert_eq!(docker.containers["site-web-1"].networks, ["site_app"]);
    assert_eq!(reversed.container("web").map(|(key, _)| key), Some("site-web-1"));
    let (merged, diagnostics) = near.merge(far);
    assert_eq!(diagnostics, []);
    let docker = merged.docker.as_ref().expect("docker");
    assert_eq!(docker.networks["app"].bridge.as_deref(), Some("br-1234"));
    assert_eq!(docker.containers.len(), 1);
    assert_eq!(docker.containers["web"].ports.len(), 2);
    for name in ["web", "site-web-1"] {
        assert_eq!(merged.container(name).map(|(key, _)| key), Some("web"), "{name}");
    }
    assert_eq!(validate::validate(&merged, Location::default()), []);
    assert!(merged.source("docker.networks.app.bridge").is_some());
}

#[test]
fn releases_are_numbers() {
    for (text, expected) in [
        ("28.5.2", Some((28, 5, 2))),
        ("29", Some((29, 0, 0))),
        ("20.10.24+dfsg1", Some((20, 10, 24))),
        ("v27.0.0-rc.1", Some((27, 0, 0))),
        ("", None),
        ("new", None),
        ("28.x", None),
    ] {
        assert_eq!(release(text), expected, "{text}");
    }
}

#[test]
fn every_code_has_its_own_number_and_a_page() {
    for (at, code) in CODES.iter().enumerate() {
        let same = |other: &&&crate::diagnostic::Code| other.number == code.number || other.name == code.name;
        assert_eq!(CODES.iter().skip(at + 1).find(same), None, "{}", code.number);
        assert!(code.explanation.contains("```"), "{} has no example", code.number);
        assert!(!code.summary.ends_with('.') && code.summary.len() < 100, "{}", code.number);
    }
}

#[test]
fn the_fact_lines_of_the_page_are_read() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/facts.md");
    let page = std::fs::read_to_string(path).expect("docs/facts.md");
    let text = page.split("```text\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let parsed = crate::syntax::parse(text, FileId(0));
    assert_eq!(told(text, &parsed.diagnostics), Vec::<String>::new());
    let mut facts = Facts::default();
    for statement in &parsed.tree.statements {
        let crate::syntax::tree::StatementKind::Fact(fact) = &statement.value else { panic!("{statement:?}") };
        assert_eq!(told(text, &declared::declare(&mut facts, fact, FileId(0))), Vec::<String>::new());
    }
    let docker = facts.docker.expect("docker");
    assert_eq!((docker.version.as_deref(), docker.userland_proxy), (Some("28.5.2"), Some(false)));
    assert_eq!(docker.networks["app"].subnets.len(), 1);
    assert_eq!(facts.sysctls["net.bridge.bridge-nf-call-iptables"], "1");
}

#[test]
fn what_a_host_counted_is_read_and_its_faults_are_told_where_they_stand() {
    let rule = r#""rule": "-A fwc-outside-host -p tcp -m tcp --dport 22 -j ACCEPT""#;
    let counter = |family: &str, table: &str, rule: &str, numbers: &str| {
        format!(r#"{{ "family": "{family}", "table": "{table}", {rule}, {numbers} }}"#)
    };
    let numbers = r#""packets": 1, "bytes": 18446744073709551615"#;
    let bad_rule = counter("ipv4", "filter", r#""rule": "[1:60] -A fwc-input -j ACCEPT""#, numbers);
    let no_chain = counter("ipv6", "mangle", r#""rule": "-A -j ACCEPT""#, numbers);
    let entries = [
        counter("ipv4", "filter", rule, numbers),
        bad_rule.clone(),
        no_chain.clone(),
        counter("ipv5", "filter", rule, numbers),
        counter("ipv6", "filters", rule, numbers),
        counter("ipv6", "filter", rule, r#""packets": -1, "bytes": 0"#),
        counter("ipv6", "filter", rule, r#""packets": 1, "bytes": 18446744073709551616"#),
        counter("ipv6", "filter", rule, r#""packets": 1.5, "bytes": 0"#),
        counter("ipv6", "filter", rule, r#""packets": 1"#),
        counter("ipv6", "filter", rule, r#""packets": 1, "bytes": 1, "place": "site.fw:1""#),
        r#""[1:60] -A INPUT""#.to_owned(),
        counter("ipv6", "filter", rule, r#""packets": 7, "bytes": 420"#),
    ];
    let (facts, mut told) = read(&format!(r#"{{ "version": 1, "counters": [{}] }}"#, entries.join(", ")));
    let missing = counter("ipv6", "filter", rule, r#""packets": 1"#);
    let mut expected = vec![
        format!("FW0406 {bad_rule} `[1:60] -A fwc-input -j ACCEPT` is no rule as iptables-save lists it"),
        format!("FW0406 {no_chain} `-A -j ACCEPT` is no rule as iptables-save lists it"),
        "FW0403 \"ipv5\" `ipv5` is none of the values that this fact can have".to_owned(),
        "FW0403 \"filters\" `filters` is none of the values that this fact can have".to_owned(),
        "FW0403 -1 expected a whole number from 0 to 18446744073709551615, found the number `-1`".to_owned(),
        "FW0403 18446744073709551616 expected a whole number from 0 to 18446744073709551615, found the number `18446744073709552000`".to_owned(),
        "FW0403 1.5 expected a whole number from 0 to 18446744073709551615, found the number `1.5`".to_owned(),
        format!("FW0403 {missing} `bytes` is missing here"),
        "FW0402 \"place\" there is no fact `place` here".to_owned(),
        "FW0403 \"[1:60] -A INPUT\" expected an object, found the text `[1:60] -A INPUT`".to_owned(),
    ];
    told.sort();
    expected.sort();
    assert_eq!(told, expected);
    let ends = [facts.counters.first(), facts.counters.last()].map(|one| one.expect("a counter"));
    assert_eq!(ends.map(|one| (one.packets, one.bytes)), [(1, u64::MAX), (7, 420)]);
    assert_eq!(ends[0].parts(), Some(("fwc-outside-host", "-p tcp -m tcp --dport 22 -j ACCEPT")));
    let (_, told) = read(r#"{ "version": 1, "counters": { "packets": 1 } }"#);
    assert_eq!(told, [r#"FW0403 { "packets": 1 } expected a list, found an object"#]);
}

#[test]
fn a_policy_cannot_say_what_a_host_counted() {
    for (path, value) in [
        ("counters", FactValue::Number(1)),
        ("counters.packets", FactValue::Number(1)),
        ("counters.rule", FactValue::Text("-A fwc-input -j ACCEPT".into())),
    ] {
        let fact =
            Fact { path: Spanned::new(path.into(), Span::new(0, 8)), value: Spanned::new(value, Span::new(9, 10)) };
        let (facts, diagnostics) = declared::read(&fact, FileId(0));
        let said: Vec<&str> = diagnostics.iter().map(|one| one.message.as_str()).collect();
        assert_eq!(said, ["what a host counted cannot be said in a policy"], "{path}");
        assert!(facts.counters.is_empty() && facts.sources.is_empty());
    }
    assert!(!declared::paths().iter().any(|path| path.starts_with("counters")));
}
