//! Every connection that was recorded on a real daemon is predicted by the platforms' data. The prediction knows the facts and the
//! connection, not the recorded answer.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::IpAddr;

use fwc::facts::{Facts, Isolation, NetworkDriver};
use fwc::net::Family;
use fwc::netfilter::{Hook, TableFamily};
use fwc::platform::{
    Attribute, Class, Header, Leg, Outcome, Platform, Prediction, Role, Situation, bridges, owner_of, owner_of_comment,
    owner_of_table, predict,
};

use crate::recorded::{Line, Scenario, Seen, connection, directory, lines, scenario, scenarios};

/// Whether what was seen at a hook is what was predicted. The only value that may stay open is the port to which a stray
/// answer goes: the opener's own, which is picked at random.
fn same(seen: &Seen, header: &Header) -> bool {
    let free = header.leg == Leg::Stray;
    seen.hook == header.hook.name()
        && seen.input == header.input
        && seen.output == header.output
        && Some(seen.address) == header.address
        && (free && header.port.is_none() || Some(seen.port) == header.port)
        && (free && header.original_port.is_none() || Some(seen.original) == header.original_port)
}

/// The recording counts hooks and keeps no order between them, so they are compared as a bag.
fn same_hooks(seen: &[Seen], headers: &[Header]) -> bool {
    let mut left: Vec<&Header> = headers.iter().collect();
    for one in seen {
        match left.iter().position(|header| same(one, header)) {
            Some(at) => drop(left.remove(at)),
            None => return false,
        }
    }
    left.is_empty()
}

/// How the outcome shows at the opener; the reason, where neither a rule nor the road decides that.
fn shows(prediction: &Prediction, scenario: &Scenario, line: &Line) -> Result<Vec<&'static str>, &'static str> {
    match prediction.outcome {
        Outcome::Delivered => Ok(vec!["answered"]),
        Outcome::Dropped | Outcome::Hangs | Outcome::Unanswered => Ok(vec!["timeout"]),
        Outcome::Rejected => Ok(vec!["refused", "unreachable"]),
        Outcome::Lost => Ok(vec!["timeout", "unreachable"]),
        Outcome::Host => {
            let socket = scenario.listening.iter().find(|socket| socket.takes(line));
            match (socket, line.protocol.as_str()) {
                (Some(socket), "udp") if !socket.answers => Err("a UDP service of the host's that answers nobody"),
                (Some(_), _) => Ok(vec!["answered"]),
                (None, _) => Ok(vec!["refused"]),
            }
        }
    }
}

/// Whether the target saw the address that was predicted. Another machine's own address is not in the facts; it is none of the host's.
fn same_source(seen: IpAddr, prediction: &Prediction, facts: &Facts) -> bool {
    let own = || facts.interfaces.values().flat_map(|interface| &interface.addresses);
    prediction.source.map_or_else(|| own().all(|address| address.addr() != seen), |source| source == seen)
}

/// The matches of a rule of one's own that find the packet where a user's rules for forwarded packets belong, written as for
/// iptables; none if it does not come there.
fn user_matches(prediction: &Prediction, facts: &Facts, line: &Line) -> Vec<String> {
    let Some(header) = prediction.headers.iter().find(|header| header.hook == Hook::Forward) else { return Vec::new() };
    if !user_chain(facts, Family::of(line.address)) {
        return Vec::new();
    }
    let (port, original) = (header.port.expect("a port"), header.original_port.expect("a port"));
    let protocol = &line.protocol;
    let mut out =
        vec![format!("-p {protocol} --dport {port}"), format!("-p {protocol} -m conntrack --ctorigdstport {original}")];
    if header.translated {
        out.push("-m conntrack --ctstate DNAT".to_owned());
    }
    // The test's own matches name the card towards the outside and, for a swarm, its bridge.
    out.extend(header.input.iter().filter(|name| *name == "ens33").map(|name| format!("-i {name}")));
    out.extend(header.output.iter().filter(|name| *name == "docker_gwbridge").map(|name| format!("-o {name}")));
    out.sort_unstable();
    out
}

/// Whether there is a chain for a user's rules for forwarded packets: Docker's, or an own one where Docker writes with nft.
fn user_chain(facts: &Facts, family: Family) -> bool {
    let docker = facts.docker.as_ref().expect("a Docker scenario");
    let platform = Platform::load("docker").expect("docker");
    let own = docker.firewall_backend == Some(fwc::facts::Backend::Nftables);
    let rules = docker.iptables == Some(true) && (family == Family::Ipv4 || docker.ip6tables != Some(false));
    let situation = platform.with_version(Situation::unknown(), docker.version.as_deref().expect("a version"));
    let situation = situation
        .with(Attribute::Rules, if rules { "yes" } else { "no" })
        .with(Attribute::Backend, if own { "nftables" } else { "iptables" });
    let found = platform.attachments(Hook::Forward, family, &situation);
    own || found.iter().all(|found| found.item.chain == "DOCKER-USER")
}

/// Whether the line goes to a port that a container on several networks publishes.
fn on_networks(scenario: &Scenario, line: &Line) -> bool {
    let containers = scenario.facts.podman.iter().flat_map(|podman| podman.containers.values());
    let mut publishing = containers.filter(|one| one.ports.iter().any(|publish| publish.port == Some(line.port)));
    publishing.any(|container| container.networks.len() > 1)
}

/// What was recorded and how much of it was compared.
#[derive(Default)]
struct Tally {
    lines: usize,
    outcomes: usize,
    sources: usize,
    users: usize,
    drops: usize,
    /// Lines with a prediction for each of the networks over which the container is published.
    chosen: usize,
    left_out: BTreeMap<&'static str, usize>,
    roads: BTreeMap<(&'static str, &'static str), usize>,
}

impl Tally {
    /// What of the line is not as predicted.
    fn compare(&mut self, line: &Line, scenario: &Scenario, loaded: &BTreeSet<&str>) -> Result<(), String> {
        self.lines += 1;
        let found = predict(&scenario.facts, &line.connection());
        let prediction = match found.as_slice() {
            [one] => one,
            // A container on two networks is published over each of them, and chance decides which comes first.
            several if several.iter().all(|found| found.conditions.is_empty()) && on_networks(scenario, line) => {
                self.chosen += 1;
                several.iter().find(|one| same_hooks(&line.hooks, &one.headers)).unwrap_or(&several[0])
            }
            _ => return Err(format!("{} predictions: {found:#?}", found.len())),
        };
        if !same_hooks(&line.hooks, &prediction.headers) {
            return Err(format!("predicted {} with {:?}", prediction.road, prediction.headers));
        }
        if let Some(hook) = &line.dropped {
            let last = prediction.headers.last().map(|header| header.hook.name());
            if *prediction.outcome != Outcome::Dropped || last != Some(hook) {
                return Err(format!("{}: recorded a drop in {hook}", prediction.road));
            }
            self.drops += 1;
        }
        *self.roads.entry((prediction.platform, prediction.road)).or_default() += 1;
        match shows(prediction, scenario, line) {
            Ok(answers) if answers.contains(&line.answer.as_str()) => self.outcomes += 1,
            Ok(answers) => return Err(format!("{}: predicted {answers:?}, recorded {}", prediction.road, line.answer)),
            Err(reason) => *self.left_out.entry(reason).or_default() += 1,
        }
        if let Some(source) = line.source {
            if !same_source(source, prediction, &scenario.facts) {
                return Err(format!(
                    "{}: predicted source {:?}, recorded {source}",
                    prediction.road, prediction.source
                ));
            }
            self.sources += 1;
        }
        if let Some(recorded) = &line.user {
            let (mut predicted, mut recorded) = (user_matches(prediction, &scenario.facts, line), recorded.clone());
            predicted.retain(|text| loaded.contains(text.as_str()));
            recorded.sort_unstable();
            if predicted != recorded {
                return Err(format!("{}: predicted matches {predicted:?}, recorded {recorded:?}", prediction.road));
            }
            self.users += 1;
        }
        Ok(())
    }
}

#[test]
fn every_recorded_connection_is_predicted() {
    let mut known: BTreeMap<String, Scenario> = BTreeMap::new();
    let mut tally = Tally::default();
    let (mut wrong, mut failed) = (String::new(), 0);
    let lines = lines();
    // For what each line is about, the matches of the test's own that were loaded, as far as one of them found a packet.
    let mut loaded: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for line in &lines {
        let matches = line.user.iter().flatten().map(String::as_str);
        loaded.entry((&line.scenario, &line.about)).or_default().extend(matches);
    }
    for line in &lines {
        let scenario = known.entry(line.scenario.clone()).or_insert_with(|| scenario(&line.scenario));
        if let Err(what) = tally.compare(line, scenario, &loaded[&(&*line.scenario, &*line.about)]) {
            failed += 1;
            let _ = writeln!(wrong, "{line}: {what}");
        }
    }
    let Tally { lines, outcomes, sources, users, drops, chosen, left_out, roads } = tally;
    println!("{} of {lines} connections predicted", lines - failed);
    println!(
        "compared: {outcomes} outcomes, {sources} source addresses, {users} lists of a user's matches, {drops} hooks that drop"
    );
    println!("one of several networks was taken by chance in {chosen} lines");
    for (reason, count) in &left_out {
        println!("outcome left out for {count}: {reason}");
    }
    for ((platform, road), count) in &roads {
        println!("{count:5} {platform}: {road}");
    }
    assert!(failed == 0, "{failed} of {lines} connections are predicted wrongly\n{wrong}");
    assert!(lines >= 3609, "the recordings are incomplete: {lines}");
    let without: Vec<String> = scenarios().filter(|name| !known.contains_key(name)).collect();
    assert_eq!(without, [""; 0], "scenarios without a connection");
}

/// One row of the table of measured roads: scenario, change of its facts, opener, protocol, address, port, road, outcome.
type Row = (&'static str, fn(&mut Facts), &'static str, &'static str, &'static str, u16, &'static str, Outcome);

fn version(facts: &mut Facts, version: &str) {
    facts.docker.as_mut().expect("a Docker scenario").version = Some(version.to_owned());
}

/// What was measured on 26.1 or read in 28.0's and 29's own listings, on the hosts of the recorded scenarios.
#[test]
fn other_versions_and_settings_take_their_own_roads() {
    use Outcome::{Delivered, Dropped, Hangs, Host, Lost};
    let v26: fn(&mut Facts) = |facts| version(facts, "26.1.5");
    let v26_open: fn(&mut Facts) = |facts| {
        version(facts, "26.1.5");
        facts.forward_policy_ipv4 = Some(fwc::facts::ForwardPolicy::Accept);
    };
    let v26_no6: fn(&mut Facts) = |facts| {
        version(facts, "26.1.5");
        facts.docker.as_mut().expect("docker").ip6tables = None;
        facts.forward_policy_ipv6 = Some(fwc::facts::ForwardPolicy::Accept);
    };
    let bridged: fn(&mut Facts) = |facts| {
        facts.sysctls.insert("net.bridge.bridge-nf-call-iptables".to_owned(), "0".to_owned());
    };
    let bare_bridged: fn(&mut Facts) = |facts| {
        version(facts, "26.1.5");
        facts.docker.as_mut().expect("docker").userland_proxy = Some(false);
        facts.sysctls.insert("net.bridge.bridge-nf-call-iptables".to_owned(), "0".to_owned());
    };
    let v28: fn(&mut Facts) = |facts| version(facts, "28.0.4");
    let routed: fn(&mut Facts) = |facts| version(facts, "27.5.1");
    let v29: fn(&mut Facts) = |facts| {
        version(facts, "29.0.1");
        facts.docker.as_mut().expect("docker").firewall_backend = Some(fwc::facts::Backend::Iptables);
    };
    let v29_nft: fn(&mut Facts) = |facts| {
        version(facts, "29.1.0");
        facts.docker.as_mut().expect("docker").firewall_backend = Some(fwc::facts::Backend::Nftables);
    };
    let bare: fn(&mut Facts) = |facts| {
        let docker = facts.docker.as_mut().expect("docker");
        (docker.userland_proxy, docker.ip6tables) = (Some(false), Some(false));
    };
    let no_proxy: fn(&mut Facts) = |facts| facts.docker.as_mut().expect("docker").userland_proxy = Some(false);
    let policy: fn(&mut Facts) = |facts| facts.forward_policy_ipv4 = Some(fwc::facts::ForwardPolicy::Drop);
    let v28_bare: fn(&mut Facts) = |facts| {
        version(facts, "28.5.2");
        facts.docker.as_mut().expect("docker").userland_proxy = Some(false);
    };
    let isolated: fn(&mut Facts) = |facts| {
        let podman = facts.podman.as_mut().expect("podman");
        podman.networks.get_mut("app").expect("app").isolate = Some(Isolation::On);
    };
    let macvlan: fn(&mut Facts) = |facts| {
        let network = facts.podman.as_mut().and_then(|podman| podman.networks.get_mut("app")).expect("app");
        (network.driver, network.parent) = (Some(NetworkDriver::Macvlan), Some("ens33".to_owned()));
    };
    let same: fn(&mut Facts) = |_| {};
    let (icc, off, podman) = ("docker-28.5-icc-false", "docker-28.5-iptables-false", "podman-5.8-nftables");
    let (web, six, modes) = ("docker-20.10-web", "docker-20.10-ipv6", "docker-28.5-gateway-modes");
    let rows: &[Row] = &[
        (web, v26, "outside", "tcp", "203.0.113.10", 8080, "published-dnat-forward", Delivered),
        (web, v26, "outside", "tcp", "2001:db8::10", 8080, "published-proxy", Delivered),
        (web, v26, "outside", "tcp", "2001:db8::10", 8443, "to-host", Host),
        (web, v26, "outside", "tcp", "203.0.113.10", 9000, "to-host", Host),
        (web, v26, "host", "tcp", "127.0.0.1", 8080, "published-proxy-from-host", Delivered),
        (web, v26, "host", "tcp", "172.17.0.1", 8080, "published-dnat-from-host", Delivered),
        (web, v26, "c1", "tcp", "203.0.113.10", 8080, "published-proxy", Delivered),
        (web, v26, "c0", "udp", "203.0.113.10", 5353, "published-proxy-udp-stray", Lost),
        (web, v26, "c0", "udp", "172.17.0.1", 5353, "published-proxy", Delivered),
        (web, v26, "i1", "tcp", "172.20.0.1", 8080, "published-dnat-from-internal", Dropped),
        (web, v26, "i1", "tcp", "203.0.113.10", 8080, "internal-no-route", Lost),
        (web, v26, "c1", "tcp", "172.17.0.2", 80, "inside-isolated", Dropped),
        (web, v26, "outside", "tcp", "172.17.0.2", 80, "inside-opened", Delivered),
        (web, v26, "outside", "tcp", "172.18.0.2", 80, "inside-opened", Delivered),
        (web, v26, "outside", "tcp", "172.17.0.2", 81, "inside-unpublished-policy", Dropped),
        (web, v26_open, "outside", "tcp", "172.17.0.2", 81, "inside-unpublished-open", Delivered),
        (web, bridged, "c0", "tcp", "172.17.0.2", 80, "inside-same-bridge-unseen", Delivered),
        (six, v26, "outside", "tcp", "2001:db8::10", 8081, "published-dnat-forward", Delivered),
        (six, v26, "outside", "tcp", "2001:db8::10", 9444, "published-proxy", Delivered),
        (six, v26_no6, "outside", "tcp", "2001:db8::10", 8081, "published-proxy", Delivered),
        (six, v26_no6, "outside", "tcp", "fd00:18::2", 81, "inside-no-rules", Delivered),
        (six, bare, "outside", "tcp", "2001:db8::10", 8081, "published-placeholder", Hangs),
        (six, bare, "outside", "tcp", "2001:db8::10", 8080, "to-host", Host),
        (six, no_proxy, "host", "tcp", "::1", 8081, "published-dnat-from-ipv6-loopback", Lost),
        (web, v28, "c1", "tcp", "203.0.113.10", 8080, "published-proxy", Delivered),
        (six, v28, "outside", "tcp", "fe80::1", 8081, "published-link-local-proxy", Delivered),
        (six, v26, "outside", "tcp", "fe80::1", 8081, "published-link-local-lost", Lost),
        (web, v28, "outside", "tcp", "172.17.0.2", 80, "inside-raw-drop-published", Dropped),
        (web, v28, "outside", "tcp", "172.17.0.2", 81, "inside-unpublished", Dropped),
        (modes, routed, "t1", "tcp", "172.18.0.2", 80, "inside-routed-isolated", Dropped),
        (web, same, "c0", "tcp", "2001:db8::10", 8080, "no-address-of-the-family", Lost),
        (web, same, "web", "tcp", "172.17.0.2", 80, "inside-itself", Delivered),
        (web, same, "i1", "tcp", "172.17.0.2", 80, "inside-from-internal", Dropped),
        (icc, no_proxy, "c0", "tcp", "203.0.113.10", 8080, "published-hairpin-icc-off", Dropped),
        (six, bare, "host", "tcp", "::1", 8081, "published-placeholder-from-host", Hangs),
        (six, v28_bare, "outside", "tcp", "fe80::1", 8081, "published-link-local-placeholder", Hangs),
        (off, policy, "outside", "tcp", "172.17.0.2", 80, "inside-no-rules-policy", Dropped),
        (podman, same, "web", "tcp", "2001:db8::10", 8081, "no-address-of-the-family", Lost),
        (podman, isolated, "app1", "tcp", "10.89.8.2", 80, "inside-isolated", Dropped),
        (podman, macvlan, "app1", "tcp", "203.0.113.1", 80, "off-bridge-out", Delivered),
        (podman, macvlan, "app1", "tcp", "203.0.113.10", 8080, "off-bridge-to-host", Lost),
        (podman, macvlan, "outside", "tcp", "10.89.5.2", 80, "off-bridge-in", Delivered),
        (podman, macvlan, "host", "tcp", "10.89.5.2", 80, "host-to-off-bridge", Lost),
        (modes, same, "t1", "tcp", "172.18.0.2", 80, "inside-opened", Delivered),
        (web, v29, "c1", "tcp", "203.0.113.10", 8080, "published-dnat-from-other-bridge", Delivered),
        (web, v29, "c1", "tcp", "172.18.0.1", 8080, "published-dnat-from-other-bridge", Delivered),
        (web, v29, "c0", "tcp", "203.0.113.10", 8080, "published-proxy", Delivered),
        (web, v29, "outside", "tcp", "172.17.0.2", 80, "inside-raw-drop", Dropped),
        (web, v29_nft, "outside", "tcp", "203.0.113.10", 8080, "published-dnat-forward", Delivered),
        (web, v29_nft, "outside", "tcp", "2001:db8::10", 8080, "published-proxy", Delivered),
        (web, v29_nft, "i1", "tcp", "172.20.0.1", 8080, "published-dnat-from-internal-delivered", Delivered),
        (web, v29, "i1", "tcp", "172.20.0.1", 8080, "published-dnat-from-internal", Dropped),
        (web, bare_bridged, "c0", "tcp", "203.0.113.10", 8080, "published-hairpin-untranslated", Lost),
        (web, bare_bridged, "web", "tcp", "203.0.113.10", 8080, "published-hairpin-itself", Delivered),
    ];
    let mut shown = String::new();
    for (name, change, from, protocol, address, port, road, outcome) in rows {
        let mut facts = scenario(name).facts;
        change(&mut facts);
        let connection = connection(from, protocol, address.parse().expect("an address"), *port);
        let found = predict(&facts, &connection);
        let roads: Vec<(&str, &Outcome)> = found.iter().map(|found| (found.road, found.outcome)).collect();
        assert_eq!(roads, [(*road, outcome)], "{name}: {from} to {protocol} {address} {port}");
        let version = facts.docker.as_ref().and_then(|docker| docker.version.as_deref()).unwrap_or("");
        let _ = writeln!(shown, "{name} {version}: {from} to {protocol} {address} {port}\n    {road}: {outcome:?}");
        for header in found.iter().flat_map(|found| &found.headers) {
            let _ = writeln!(shown, "    {}", show(header));
        }
    }
    // What each hook sees on these roads; for the recorded ones the recording itself says.
    insta::assert_snapshot!("roads", shown);
}

fn show(header: &Header) -> String {
    fn or<T: ToString>(value: Option<&T>) -> String {
        value.map_or_else(|| "?".to_owned(), ToString::to_string)
    }
    let card =
        |side: &str, name: &Option<String>| name.as_ref().map_or_else(String::new, |name| format!(" {side} {name}"));
    format!(
        "{}{}{} to {} port {}, dialled {}{}",
        header.hook.name(),
        card("in", &header.input),
        card("out", &header.output),
        or(header.address.as_ref()),
        or(header.port.as_ref()),
        or(header.original_port.as_ref()),
        match header.leg {
            Leg::Client => "",
            Leg::Proxy => " (the proxy's own)",
            Leg::Stray => " (a stray answer)",
        },
    )
}

/// Without facts the answer is every road there can be, and each says what it rests on.
#[test]
fn without_facts_every_road_is_named_with_what_would_settle_it() {
    let docker = Platform::load("docker").expect("docker");
    let asked = Situation::unknown()
        .with(Attribute::From, "outside")
        .with(Attribute::To, "host")
        .with(Attribute::Publish, "yes")
        .with(Attribute::Protocol, "tcp")
        .with(Attribute::Family, "ipv6");
    let found = docker.roads(&asked);
    let names: std::collections::BTreeSet<&str> = found.iter().map(|found| found.item.name.as_str()).collect();
    let expected = [
        "published-dnat-forward",
        "published-link-local-lost",
        "published-link-local-placeholder",
        "published-link-local-proxy",
        "published-placeholder",
        "published-proxy",
        "to-host",
    ];
    assert_eq!(names.into_iter().collect::<Vec<_>>(), expected);
    assert!(found.iter().all(|found| !found.conditions.is_empty()));
    let settled = docker.with_defaults(docker.with_version(asked.with(Attribute::LinkLocal, "no"), "26.1.5"));
    let names: Vec<&str> = docker.roads(&settled).iter().map(|found| found.item.name.as_str()).collect();
    assert_eq!(names, ["published-proxy"], "26.1 writes no ip6tables rules by default");
    // Conditions are what was assumed, not what follows from it, and name nothing that a version does not have.
    let said: Vec<String> = found
        .iter()
        .filter(|found| found.item.name == "to-host")
        .map(|found| found.conditions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
        .collect();
    assert!(said.contains(&"version 28.0.0 and later, proxy yes, mode routed or isolated".to_owned()), "{said:#?}");
    assert!(said.contains(&"version 27.0 to before 28.0.0, rules no, proxy yes, mode routed".to_owned()), "{said:#?}");
    // Direct routes: the version settles it, and the condition says so.
    let direct = docker.with_defaults(
        Situation::unknown()
            .with(Attribute::From, "outside")
            .with(Attribute::To, "inside")
            .with(Attribute::Family, "ipv4")
            .with(Attribute::TargetFamily, "yes")
            .with(Attribute::Opened, "yes"),
    );
    let said: Vec<String> = docker
        .roads(&direct)
        .iter()
        .map(|found| {
            let on: Vec<String> = found.conditions.iter().map(ToString::to_string).collect();
            format!("{}: {}", found.item.name, on.join(", "))
        })
        .collect();
    assert_eq!(
        said,
        [
            "inside-raw-drop: version 28.2.0 and later",
            "inside-raw-drop-published: version 28.0.0 to before 28.2.0",
            "inside-opened: version 20.10 to before 28.0.0",
        ]
    );
}

#[test]
fn a_policy_attaches_where_its_rules_are_reached() {
    let docker = Platform::load("docker").expect("docker");
    let place = |version: &str, family: Family, rules: &str| {
        let situation = docker.with_version(Situation::unknown(), version).with(Attribute::Rules, rules);
        let found = docker.attachments(Hook::Forward, family, &situation.with(Attribute::Backend, "iptables"));
        assert_eq!(found.len(), 1, "{version} {family}");
        found.iter().map(|found| format!("{} {}", found.item.table, found.item.chain)).collect::<String>()
    };
    assert_eq!(place("20.10.24", Family::Ipv4, "yes"), "filter DOCKER-USER");
    assert_eq!(place("20.10.24", Family::Ipv6, "yes"), "mangle FORWARD");
    assert_eq!(place("20.10.24", Family::Ipv6, "no"), "filter FORWARD");
    assert_eq!(place("26.1.5", Family::Ipv6, "yes"), "filter DOCKER-USER");
    assert_eq!(place("28.5.2", Family::Ipv6, "yes"), "filter DOCKER-USER");
    let nft = docker.with_version(Situation::unknown(), "29.0").with(Attribute::Backend, "nftables");
    let found = docker.attachments(Hook::Forward, Family::Ipv4, &nft.with(Attribute::Rules, "yes"));
    assert_eq!(
        found.first().map(|found| (found.item.table.as_str(), found.item.before_priority)),
        Some(("own", Some(0)))
    );
    // With nothing known, ip6tables on 20.10 is among the cases and names the version.
    let open = docker.attachments(Hook::Forward, Family::Ipv6, &Situation::unknown());
    let mangle = open.iter().find(|found| found.item.table == "mangle").expect("20.10's case");
    assert!(mangle.conditions.iter().any(|condition| condition.attribute == Attribute::Version));
}

#[test]
fn faults_are_told_by_version_and_setting() {
    let docker = Platform::load("docker").expect("docker");
    let names = |version: &str, family: &str| {
        let situation = docker.with_version(Situation::unknown(), version).with(Attribute::Family, family);
        let situation = docker.with_defaults(situation);
        let found = docker.faults(&situation);
        found
            .iter()
            .filter(|found| found.conditions.is_empty())
            .map(|found| found.item.name.clone())
            .collect::<Vec<_>>()
    };
    assert!(names("28.5.2", "ipv4").contains(&"direct-route-raw-drop".to_owned()));
    assert!(!names("26.1.5", "ipv4").contains(&"direct-route-raw-drop".to_owned()));
    assert!(names("26.1.5", "ipv4").contains(&"docker-user-return".to_owned()));
    assert!(!names("28.5.2", "ipv4").contains(&"docker-user-return".to_owned()));
    let unknown = docker.faults(&Situation::unknown().with(Attribute::Family, "ipv6"));
    let found = unknown.iter().find(|found| found.item.name == "ip6tables-docker-user-missing").expect("may apply");
    let on: Vec<String> = found.conditions.iter().map(ToString::to_string).collect();
    assert_eq!(on, ["version 20.10 to before 23.0", "rules yes"]);
}

#[test]
fn every_chain_of_a_recorded_rule_set_has_its_owner() {
    let text = std::fs::read_to_string(directory().join("../chains.tsv")).expect("the chains");
    let mut count = 0;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [owner, family, table, chain] = fields.as_slice() else { panic!("{line}") };
        let family = match *family {
            "ip" => TableFamily::Ipv4,
            "ip6" => TableFamily::Ipv6,
            "inet" => TableFamily::Inet,
            _ => TableFamily::Bridge,
        };
        let found = owner_of(Some(family), table, chain);
        assert_eq!(found.map(|found| found.owner.as_str()), Some(*owner), "{line}");
        count += 1;
    }
    println!("{count} chains of recorded rule sets");
    assert!(count > 300);
    assert_eq!(owner_of(Some(TableFamily::Ipv4), "filter", "DOCKER-USER").map(|owned| owned.role), Some(Role::User));
    assert_eq!(owner_of(Some(TableFamily::Ipv4), "filter", "f2b-sshd").map(|owned| owned.role), Some(Role::Ban));
    assert!(owner_of(Some(TableFamily::Ipv4), "filter", "MY-CHAIN").is_none());
    assert!(owner_of(Some(TableFamily::Ipv4), "filter", "INPUT").is_none());
    assert_eq!(owner_of_table(TableFamily::Inet, "lxd").map(|owned| owned.owner.as_str()), Some("LXD"));
    assert!(owner_of_table(TableFamily::Inet, "filter").is_none());
    let comment = owner_of_comment("generated for LXD network-forward lxdbr0");
    assert_eq!(comment.map(|owned| owned.owner.as_str()), Some("LXD"));
    assert!(owner_of_comment("ssh").is_none());
}

/// moby's golden listing of a service with a published port: DNAT to the mesh's namespace with the port kept, accepted before
/// every isolation; IPv6 has only the socket with which dockerd holds the port.
#[test]
fn the_routing_mesh_keeps_the_port_and_is_ipv4_only() {
    let facts = r#"{
        "default-route": "eth0",
        "interfaces": { "eth0": { "addresses": ["203.0.113.10/24", "2001:db8::10/64"] } },
        "docker": {
            "version": "28.5.2", "userland-proxy": true, "iptables": true, "swarm": true, "complete": true,
            "networks": { "ingress": { "driver": "overlay", "subnets": ["10.0.0.0/24"] } },
            "containers": { "svc": { "networks": ["ingress"], "ports": [
                { "port": 8095, "container-port": 80, "ingress": true },
                { "port": 8096, "container-port": 80 }
            ] } }
        }
    }"#;
    let facts: Facts = serde_json::from_str(facts).expect("facts");
    let ask_from = |from: &str, address: &str, port: u16| {
        let mut found = predict(&facts, &connection(from, "tcp", address.parse().expect("an address"), port));
        assert_eq!(found.len(), 1, "{address} {port}: {found:#?}");
        found.remove(0)
    };
    let ask = |address: &str, port: u16| ask_from("outside", address, port);
    let mesh = ask("203.0.113.10", 8095);
    assert_eq!((mesh.road, mesh.outcome), ("ingress-forward", &Outcome::Delivered));
    let header = mesh.headers.first().expect("one hook");
    assert_eq!(header.address, None, "the address of the mesh's namespace is Docker's own affair");
    assert_eq!(
        (header.output.as_deref(), header.port, header.original_port),
        (Some("docker_gwbridge"), Some(8095), Some(8095))
    );
    let held = ask("2001:db8::10", 8095);
    assert_eq!((held.road, held.outcome), ("ingress-placeholder", &Outcome::Hangs));
    let own = ask_from("host", "127.0.0.1", 8095);
    assert_eq!((own.road, own.outcome), ("ingress-from-host", &Outcome::Delivered));
    assert_eq!(own.headers.first().map(show).as_deref(), Some("output out lo to ? port 8095, dialled 8095"));
    let held: Vec<String> = held.headers.iter().map(show).collect();
    assert_eq!(held, ["input in eth0 to 2001:db8::10 port 8095, dialled 8095"]);
    let own = ask_from("host", "::1", 8095);
    assert_eq!((own.road, own.outcome), ("ingress-placeholder-from-host", &Outcome::Hangs));
    let direct = ask("203.0.113.10", 8096);
    assert_eq!(direct.road, "published-dnat-forward");
    assert_eq!(direct.headers.first().and_then(|header| header.output.as_deref()), Some("docker_gwbridge"));
}

/// LXD accepts whatever crosses its bridge and stops nothing itself; libvirt's networks of mode nat reject what nobody asked for.
#[test]
fn instances_and_guests_have_their_roads() {
    let facts = |policy: &str| -> Facts {
        let text = format!(
            r#"{{ "default-route": "eth0", "forward-policy-ipv4": "{policy}",
                "interfaces": {{ "eth0": {{ "addresses": ["203.0.113.10/24"] }} }},
                "instances": {{ "bridges": {{ "incusbr0": {{ "subnets": ["10.10.10.0/24"] }} }},
                    "instances": {{ "c1": {{ "bridge": "incusbr0", "addresses": ["10.10.10.50"] }} }} }},
                "libvirt": {{ "bridges": {{ "virbr0": {{ "subnets": ["192.168.122.0/24"] }} }},
                    "guests": {{ "vm1": {{ "bridge": "virbr0", "addresses": ["192.168.122.5"] }} }} }} }}"#
        );
        serde_json::from_str(&text).expect("facts")
    };
    let roads = |policy: &str, from: &str, address: &str| {
        let found = predict(&facts(policy), &connection(from, "tcp", address.parse().expect("an address"), 22));
        let all: Vec<String> = found
            .iter()
            .map(|found| {
                let on: Vec<String> = found.conditions.iter().map(ToString::to_string).collect();
                let hooks: Vec<String> = found.headers.iter().map(show).collect();
                format!("{} {:?} [{}] {}", found.platform, found.outcome, on.join(", "), hooks.join("; "))
            })
            .collect();
        all.join(" | ")
    };
    let through = "forward in eth0 out incusbr0 to 10.10.10.50 port 22, dialled 22";
    assert_eq!(roads("accept", "outside", "10.10.10.50"), format!("incus Delivered [] {through}"));
    assert_eq!(roads("drop", "outside", "10.10.10.50"), format!("incus Dropped [] {through}"));
    assert_eq!(
        roads("accept", "c1", "198.51.100.1"),
        "incus Delivered [] forward in incusbr0 out eth0 to 198.51.100.1 port 22, dialled 22"
    );
    let through = "forward in eth0 out virbr0 to 192.168.122.5 port 22, dialled 22";
    assert_eq!(
        roads("accept", "outside", "192.168.122.5"),
        format!(
            "libvirt Rejected [mode nat or isolated] {through} | libvirt Delivered [mode routed] {through} | \
             libvirt Delivered [mode open] {through}"
        )
    );
    assert_eq!(
        roads("accept", "host", "192.168.122.5"),
        "libvirt Delivered [] output out virbr0 to 192.168.122.5 port 22, dialled 22"
    );
}

#[test]
fn bridges_come_from_facts_or_else_from_their_names() {
    let names = |platform: &str, facts: &Facts| {
        let platform = Platform::load(platform).expect("a platform");
        bridges(platform, facts).iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names("docker", &Facts::default()), "br-+ docker0 docker_gwbridge");
    assert_eq!(
        names("docker", &scenario("docker-28.5-gateway-modes").facts),
        "br-isol br-routed br-trust br-unprot docker0"
    );
    assert_eq!(names("podman", &scenario("podman-5.8-nftables").facts), "br-app podman0 podman1 podman2 podman3");
}

#[test]
fn a_bridge_is_known_by_its_name() {
    let class = |name: &str| Platform::of_bridge(name).and_then(|platform| platform.class);
    assert_eq!(class("docker0"), Some(Class::Container));
    assert_eq!(class("br-4ea7d622750f"), Some(Class::Container));
    assert_eq!(class("podman1"), Some(Class::Container));
    assert_eq!(class("lxdbr0"), Some(Class::Instance));
    assert_eq!(class("incusbr0"), Some(Class::Instance));
    assert_eq!(class("virbr0"), Some(Class::Guest));
    assert_eq!(class("eth0"), None);
    assert!(Platform::load("docekr").is_none());
    assert!(Platform::load("others").is_none());
}
